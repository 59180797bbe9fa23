"""The demo under gunicorn: eight clients write to SQLite at once, and every request is stored whole or not at all."""

from __future__ import annotations

import json
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from itertools import cycle
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from sqlalchemy import Engine, make_url, text

from flask_atomic.negotiation import CONTENT_TYPE
from tests.demo import ROOT, TRACK, add, on_relationship
from tests.json_schemas import check_document
from tests.servers import second_connection

CLIENTS = 8
ROUNDS = 9
TIMEOUT = 240

SHARED_TRACK = {"type": "musicTracks", "id": TRACK}
SHARED_LYRIC = {"type": "lyrics", "id": "1"}


class Answer(NamedTuple):
    status: int
    document: Any

    @property
    def ids(self) -> list[str]:
        """The ids of the resources that the results show."""
        return [result["data"]["id"] for result in self.document["atomic:results"] if "data" in result]


class Client:
    """One of those who write at the same time, by one connection that stays open.

    :param number: what the names of its resources begin with.
    """

    def __init__(self, port: int, number: int) -> None:
        self.connection = HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)
        self.number = number
        self.statuses: list[int] = []
        self.kept: set[str] = set()
        """The names of the companies whose requests were acknowledged, and that were not removed again."""
        self.moved: dict[str, str] = {}
        """The last acknowledged genre of each track that is kept, by the name of its company."""

    def post(self, *operations: dict[str, Any]) -> Answer:
        body = json.dumps({"atomic:operations": operations})
        self.connection.request("POST", "/api/operations", body, {"Content-Type": CONTENT_TYPE})
        response = self.connection.getresponse()
        content = response.read()
        if content:
            check_document(content, response.status)
        self.statuses.append(response.status)
        return Answer(response.status, json.loads(content) if content else None)

    def work(self) -> None:
        with closing(self.connection):
            for number, step in zip(range(ROUNDS), cycle([self.update, self.remove, self.fail]), strict=False):
                name = f"{self.number}-{number}"
                added = self.post(*whole(name), add("auditEntries", {"action": name}))
                assert added.status == 200, added
                company, track, *_ = added.ids
                self.kept.add(name)
                step(name, {"type": "recordCompanies", "id": company}, {"type": "musicTracks", "id": track})
                self.compete(track)

    def update(self, name: str, company: dict[str, str], track: dict[str, str]) -> None:
        genre = f"genre of {name}"
        operations = [
            {"op": "update", "data": {**company, "attributes": {"countryOfResidence": genre}}},
            {"op": "update", "data": {**track, "attributes": {"genre": genre}}},
        ]
        assert self.post(*operations).status == 200
        self.moved[name] = genre

    def remove(self, name: str, company: dict[str, str], track: dict[str, str]) -> None:
        assert self.post({"op": "remove", "ref": company}, {"op": "remove", "ref": track}).status == 204
        self.kept.remove(name)

    def fail(self, name: str, company: dict[str, str], track: dict[str, str]) -> None:
        """Send requests whose last operation is refused: by the database, and for a resource that is not there."""
        assert self.post(*whole(f"{name}-refused"), *whole(name)).status == 409
        gone = {"type": "playlists", "id": "999999"}
        assert self.post(*whole(f"{name}-refused"), {"op": "remove", "ref": gone}).status == 404

    def compete(self, track: str) -> None:
        """Write what the others write, too: the lyric goes from track to track."""
        mine = {"type": "musicTracks", "id": track}
        answer = self.post(
            {"op": "update", "data": {**SHARED_TRACK, "attributes": {"genre": f"genre of {self.number}"}}},
            on_relationship("add", {"type": "playlists", "id": "1"}, "tracks", [SHARED_TRACK]),
            on_relationship("update", SHARED_LYRIC, "track", mine),
        )
        assert answer.status in (200, 404), answer  # 404: the track of this round is removed already


def whole(name: str) -> list[dict[str, Any]]:
    """Operations of which all are stored, or none: a company, its track, and the track's two performers."""
    company, track = {"type": "recordCompanies", "lid": name}, {"type": "musicTracks", "lid": name}
    return [
        {"op": "add", "data": {**company, "attributes": {"name": name}}},
        {
            "op": "add",
            "data": {**track, "attributes": {"title": name}, "relationships": {"ownedBy": {"data": company}}},
        },
        on_relationship("add", track, "performers", [{"type": "performers", "id": "1"}]),
        on_relationship("add", track, "performers", [{"type": "performers", "id": "2"}]),
    ]


@contextmanager
def gunicorn(database_url: str, monkeypatch: pytest.MonkeyPatch, log: Path, *options: str) -> Iterator[int]:
    """The port at which the demo is served meanwhile."""
    monkeypatch.setenv("EXAMPLE_DATABASE_URL", database_url)
    with socket.create_server(("127.0.0.1", 0)) as listening, log.open("w") as errors:
        file = listening.fileno()
        command = [sys.executable, "-m", "gunicorn", "-k", "gthread", *options, "--bind", f"fd://{file}"]
        with subprocess.Popen([*command, "example:create_app()"], cwd=ROOT, pass_fds=[file], stderr=errors) as server:
            try:
                yield listening.getsockname()[1]
            finally:
                server.terminate()
                server.wait(TIMEOUT)


def select(outside: Engine, statement: str) -> list[tuple[Any, ...]]:
    with outside.connect() as connection:
        return [tuple(row) for row in connection.execute(text(statement))]


@pytest.mark.parametrize("options", [("--threads", "8"), ("--threads", "4", "--workers", "2")], ids=" ".join)
def test_eight_clients_at_once(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...]
) -> None:
    log = tmp_path / "log"
    with gunicorn(sqlite_url, monkeypatch, log, *options) as port:
        clients = [Client(port, number) for number in range(CLIENTS)]
        with ThreadPoolExecutor(CLIENTS) as pool:
            for finished in [pool.submit(client.work) for client in clients]:
                finished.result(TIMEOUT)
        assert_nobody_holds_the_database(sqlite_url)
    statuses = {status for client in clients for status in client.statuses}
    assert statuses == {200, 204, 404, 409}, log.read_text()
    assert "Traceback" not in log.read_text()
    assert_stored(second_connection(sqlite_url), clients)


def assert_nobody_holds_the_database(url: str) -> None:
    """While the server is still running, a second connection can have the database to itself without waiting."""
    assert hold_the_database(url, patience=0) == (0, 0, 0)


def wait_until_nobody_holds_the_database(url: str) -> None:
    """The same, when requests that nobody waits for may still be under way."""
    assert hold_the_database(url, patience=TIMEOUT * 1000) == (0, 0, 0)


def hold_the_database(url: str, *, patience: int) -> tuple[Any, ...]:
    """Whether the database was busy for `patience` milliseconds, and what is left in its log."""
    assert make_url(url).database
    with second_connection(url).connect() as connection:
        connection.exec_driver_sql(f"PRAGMA busy_timeout = {patience}")
        return tuple(connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one())


def assert_stored(outside: Engine, clients: list[Client]) -> None:
    kept = {name for client in clients for name in client.kept}
    genres = {name: client.moved.get(name) for client in clients for name in client.kept}
    companies = "SELECT name, country_of_residence FROM record_companies WHERE id > 1"
    assert dict(select(outside, companies)) == genres
    tracks = (
        "SELECT c.name, t.title, t.genre, count(p.performer_id) FROM music_tracks t "
        "LEFT JOIN record_companies c ON c.id = t.owned_by_id LEFT JOIN track_performers p ON p.track_id = t.id "
        "WHERE t.title <> 'Note G' GROUP BY t.id"
    )
    assert sorted(select(outside, tracks)) == sorted((name, name, genres[name], 2) for name in kept)
    assert select(outside, "SELECT count(*) FROM playlist_tracks") == [(1,)]
    assert select(outside, "PRAGMA foreign_key_check") == []


def test_clients_that_go_away_leave_nothing_open(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with gunicorn(sqlite_url, monkeypatch, tmp_path / "log", "--threads", "4") as port:
        for number in range(6):
            vanish(port, whole(f"half {number}"), part=0.5)
            vanish(port, whole(f"unheard {number}"), part=1)
        client = Client(port, 0)
        with closing(client.connection):
            assert client.post(*whole("heard")).status == 200  # were a lock left, it would wait for it until refused
        wait_until_nobody_holds_the_database(sqlite_url)
    companies = (
        "SELECT c.name, count(t.id) FROM record_companies c LEFT JOIN music_tracks t ON t.owned_by_id = c.id "
        "WHERE c.id > 1 GROUP BY c.id"
    )
    stored = dict(select(second_connection(sqlite_url), companies))
    assert "heard" in stored
    assert not any(name.startswith("half") for name in stored)
    assert set(stored.values()) == {1}  # what nobody heard of is there as a whole, or not at all


def vanish(port: int, operations: list[dict[str, Any]], *, part: float) -> None:
    """Send a part of a request, and reset the connection without waiting for the answer."""
    body = json.dumps({"atomic:operations": operations}).encode()
    headers = ["Host: demo", f"Content-Type: {CONTENT_TYPE}", f"Content-Length: {len(body)}"]
    head = "\r\n".join(["POST /api/operations HTTP/1.1", *headers, "", ""])
    with socket.create_connection(("127.0.0.1", port), TIMEOUT) as connection:
        connection.sendall(head.encode() + body[: int(len(body) * part)])
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
