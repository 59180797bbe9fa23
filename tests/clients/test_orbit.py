"""`@orbit/jsonapi` in Node, against the running demo: what it sends is understood, and it understands the answers."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from flask_atomic.negotiation import CONTENT_TYPE
from tests.clients.conftest import RunningDemo

PACKAGE = Path(__file__).parent / "orbit"
INSTALL = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"]

COMPANY = {"type": "recordCompanies", "id": "1"}
LYRIC = {"type": "lyrics", "id": "1"}
ADA = {"type": "performers", "id": "1"}
CHARLES = {"type": "performers", "id": "2"}


class Conversation:
    """What Orbit printed: the identifiers of the records that it made, and each exchange by its name."""

    def __init__(self, printed: dict[str, Any]) -> None:
        self.track: dict[str, str] = printed["track"]
        self.passing: dict[str, str] = printed["passing"]
        self.unknown: dict[str, str] = printed["unknown"]
        self.language: dict[str, str] = printed["language"]
        self.exchanges: dict[str, dict[str, Any]] = printed["exchanges"]

    def sent(self, name: str) -> list[dict[str, Any]]:
        """The operations of a request."""
        document: dict[str, Any] = self.exchanges[name]["sent"]["document"]
        assert list(document) == ["atomic:operations"]
        operations: list[dict[str, Any]] = document["atomic:operations"]
        return operations

    def records(self, name: str) -> list[dict[str, Any] | None]:
        """What Orbit makes of the answer to a request that succeeded."""
        assert "records" in self.exchanges[name], self.exchanges[name]
        records: list[dict[str, Any] | None] = self.exchanges[name]["records"]
        return records

    def refusal(self, name: str) -> tuple[int, list[tuple[str, str]]]:
        """The status of a refused request, with the code and the pointer of each error that Orbit was told."""
        exchange = self.exchanges[name]
        return exchange["status"], [(error["code"], error["source"]["pointer"]) for error in exchange["errors"]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the client and what it needs installed."""
    return installed_in(tmp_path_factory.mktemp("orbit"))


def installed_in(folder: Path) -> Path:
    missing = [program for program in ("node", "npm") if shutil.which(program) is None]
    if missing:
        give_up(f"not installed: {' and '.join(missing)}")
    for name in ("package.json", "package-lock.json", "source.mjs", "operations.mjs"):
        shutil.copy(PACKAGE / name, folder)
    ended = subprocess.run(INSTALL, cwd=folder, capture_output=True, text=True, timeout=300)
    if ended.returncode != 0:
        give_up(f"npm does not install @orbit/jsonapi: {ended.stderr}")
    return folder


def give_up(reason: str) -> None:
    if os.environ.get("FLASK_ATOMIC_REQUIRE_NODE") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="module")
def orbit(folder: Path, running_demo: RunningDemo) -> Conversation:
    """The conversation of Orbit and the demo."""
    command = ["node", "operations.mjs", running_demo.url]
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stderr
    return Conversation(json.loads(ended.stdout))


@pytest.mark.parametrize(("required", "outcome"), [("", pytest.skip.Exception), ("1", pytest.fail.Exception)])
def test_a_missing_program_skips_unless_it_is_required(
    required: str, outcome: type[BaseException], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("FLASK_ATOMIC_REQUIRE_NODE", required)
    with pytest.raises(outcome, match="not installed: node and npm"):
        installed_in(tmp_path)


def test_the_lock_file_names_no_registry() -> None:
    assert "://" not in (PACKAGE / "package-lock.json").read_text("utf-8")


def test_the_media_type_is_that_of_the_extension(orbit: Conversation) -> None:
    assert [exchange["sent"]["headers"] for exchange in orbit.exchanges.values()] == [
        {"Accept": CONTENT_TYPE, "Content-Type": CONTENT_TYPE}
    ] * len(orbit.exchanges)


def test_records_are_added_under_ids_of_the_client(orbit: Conversation) -> None:
    """Each with a `ref` that says the same as the data."""
    language, track, *_ = orbit.sent("add")
    assert (language["op"], language["ref"]) == ("add", orbit.language)
    assert (track["op"], track["ref"]) == ("add", orbit.track)
    assert all(UUID(record["id"]).version == 4 for record in (orbit.language, orbit.track))
    assert orbit.records("add")[:2] == [
        {**orbit.language, "attributes": {"isoCode": "fr"}},
        {
            **orbit.track,
            "attributes": {"title": "Pascaline", "genre": "Mechanical", "releasedAt": "1645-01-01T00:00:00.000Z"},
            "relationships": {"ownedBy": {"data": COMPANY}, "lyric": {"data": None}},
        },
    ]


def test_records_and_single_attributes_are_updated(orbit: Conversation) -> None:
    _, track, language = orbit.records("update")
    assert track == {
        **orbit.track,
        "attributes": {"title": "La Pascaline", "genre": "Mechanical", "releasedAt": "1645-01-01T00:00:00.000Z"},
        "relationships": {"ownedBy": {"data": COMPANY}, "lyric": {"data": None}},
    }
    assert language == {**orbit.language, "attributes": {"isoCode": "fr-FR"}}


def test_a_to_one_relationship_is_replaced(orbit: Conversation) -> None:
    operation = orbit.sent("add")[2]
    assert operation == {"op": "update", "ref": {**LYRIC, "relationship": "language"}, "data": orbit.language}
    assert orbit.records("add")[2] is None
    assert orbit.records("clear to-one")[1] == {**LYRIC, "relationships": {"language": {"data": orbit.language}}}


def test_a_to_one_relationship_is_cleared(orbit: Conversation) -> None:
    operation = orbit.sent("clear to-one")[0]
    assert operation == {"op": "update", "ref": {**orbit.track, "relationship": "ownedBy"}, "data": None}
    result, _, track = orbit.records("clear to-one")
    assert result is None
    assert track is not None
    assert track["relationships"]["ownedBy"] == {"data": None}


@pytest.mark.parametrize(("op", "related"), [("add", CHARLES), ("remove", ADA)])
def test_one_member_of_a_to_many_relationship_is_no_array_and_refused(
    orbit: Conversation, op: str, related: dict[str, str]
) -> None:
    """Extension, "Updating To-Many Relationships": the data is an array."""
    name = f"{op} {'to' if op == 'add' else 'from'} to-many"
    assert orbit.sent(name) == [{"op": op, "ref": {**orbit.track, "relationship": "performers"}, "data": related}]
    assert orbit.refusal(name) == (400, [("invalid-operation", "/atomic:operations/0/data")])


def test_all_members_of_a_to_many_relationship_are_replaced(orbit: Conversation) -> None:
    name = "replace to-many"
    ref = {**orbit.track, "relationship": "performers"}
    assert orbit.sent(name) == [{"op": "update", "ref": ref, "data": []}]
    assert (orbit.exchanges[name]["status"], orbit.records(name)) == (204, [None])


def test_the_mended_serializer_adds_and_removes_members(orbit: Conversation, running_demo: RunningDemo) -> None:
    """All were removed before: what is there now was added, but for the one that was removed again."""
    assert [operation["data"] for operation in orbit.sent("add to to-many, mended")] == [[ADA], [CHARLES]]
    assert orbit.records("add to to-many, mended") == [None, None]
    assert orbit.records("remove from to-many, mended") == [None]
    assert performers(running_demo, orbit.track) == [int(CHARLES["id"])]


def performers(demo: RunningDemo, track: dict[str, str]) -> list[int]:
    with closing(sqlite3.connect(demo.database)) as connection:
        found = connection.execute(
            "SELECT performer_id FROM track_performers WHERE track_id = ?", (UUID(track["id"]).hex,)
        )
        return [performer for (performer,) in found]


def test_an_id_that_is_taken_is_a_conflict(orbit: Conversation) -> None:
    assert orbit.refusal("an id that is taken") == (409, [("id-taken", "/atomic:operations/1/data/id")])


def test_an_id_that_the_server_makes_is_refused(orbit: Conversation) -> None:
    """Orbit gives every record an id."""
    assert orbit.refusal("an id that the server makes") == (
        403,
        [("client-id-forbidden", "/atomic:operations/0/data/id")],
    )


def test_an_unknown_record_is_missing_and_nothing_was_done(orbit: Conversation) -> None:
    """Not by the request that was refused before, either: its first operation added the record."""
    assert orbit.sent("an unknown record")[0] == {"op": "remove", "ref": orbit.passing}
    assert orbit.refusal("an unknown record") == (404, [("resource-not-found", "/atomic:operations/1/ref/id")])


def test_records_are_removed(orbit: Conversation, running_demo: RunningDemo) -> None:
    assert (orbit.exchanges["remove"]["status"], orbit.records("remove")) == (204, [None, None])
    with closing(sqlite3.connect(running_demo.database)) as connection:
        titles = connection.execute("SELECT title FROM music_tracks ORDER BY title").fetchall()
        languages = connection.execute("SELECT iso_code FROM text_languages").fetchall()
    assert titles == [("La Pascaline",), ("Note G",)]
    assert languages == [("en",)]
