"""The demo over HTTP: every resource type, every relationship from both ends, its set-up and its page."""

from __future__ import annotations

import html
import re
import subprocess
import sys
from pathlib import Path
from shutil import copytree
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Engine, text

from tests.demo import LANGUAGE, ROOT, TRACK, Demo, Failure, Request, add, on_relationship
from tests.servers import second_connection

FIRST_TRACK = {"type": "musicTracks", "id": TRACK}


@pytest.fixture
def demo(database_url: str) -> Demo:
    return Demo(database_url)


@pytest.fixture
def demo_on_sqlite(sqlite_url: str) -> Demo:
    return Demo(sqlite_url)


@pytest.fixture
def outside(database_url: str) -> Engine:
    return second_connection(database_url)


def rows(outside: Engine, statement: str) -> list[tuple[Any, ...]]:
    with outside.connect() as connection:
        return [tuple(row) for row in connection.execute(text(statement))]


# ------------------------------------------------------------------------------------------------ resource types

SHOWN = {
    "musicTracks": (
        {
            "title": "Difference",
            "lengthInSeconds": 12.125,
            "genre": "Mechanical",
            "releasedAt": "1843-09-01T12:00:00.250000+00:00",
        },
        {"ownedBy": {"data": None}, "lyric": {"data": None}},
    ),
    "performers": ({"artistName": "Mary Somerville", "bornAt": "1780-12-26"}, None),
    "playlists": ({"name": "Night"}, None),
    "recordCompanies": ({"name": "Sums", "countryOfResidence": "Scotland"}, {"parent": {"data": None}}),
    "lyrics": ({"text": "La la", "format": "plain"}, {"track": {"data": None}, "language": {"data": None}}),
    "textLanguages": ({"isoCode": "de"}, None),
    "auditEntries": ({"action": "listened"}, None),
}
SET_BY_THE_SERVER = {"playlists": ["isArchived"], "lyrics": ["createdAt"], "auditEntries": ["at"]}
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?\+00:00")


AT_THE_LIMITS: list[tuple[str, dict[str, Any]]] = [
    ("musicTracks", {"title": "t"}),
    ("musicTracks", {"title": "t" * 200, "lengthInSeconds": 0.001}),
    ("musicTracks", {"title": "t", "lengthInSeconds": 86400, "genre": None, "releasedAt": None}),
    ("musicTracks", {"title": "t", "lengthInSeconds": None}),
    ("performers", {"artistName": "p"}),
    ("performers", {"artistName": "p", "bornAt": None}),
    ("recordCompanies", {"name": "c", "countryOfResidence": None}),
    ("lyrics", {"text": "t", "format": None}),
    ("textLanguages", {"isoCode": "xx"}),
    ("textLanguages", {"isoCode": "xx-Latn8"}),
]


def new(type_: str, attributes: dict[str, Any]) -> dict[str, Any]:
    """An operation that adds a resource, with an id where the client must make one."""
    return add(type_, attributes, str(uuid4()) if type_ == "textLanguages" else None)


def test_a_resource_shows_what_it_was_given_and_every_to_one_relationship(demo: Demo) -> None:
    results = demo.perform(*(new(type_, attributes) for type_, (attributes, _) in SHOWN.items()))
    for result in results:
        resource = result["data"]
        for name in SET_BY_THE_SERVER.get(resource["type"], ()):
            value = resource["attributes"].pop(name)
            assert value is False if name == "isArchived" else MOMENT.fullmatch(value)
        assert (resource["attributes"], resource.get("relationships")) == SHOWN[resource["type"]]


def test_values_at_the_limits_are_stored(demo: Demo) -> None:
    results = demo.perform(*(new(type_, attributes) for type_, attributes in AT_THE_LIMITS))
    for (type_, attributes), result in zip(AT_THE_LIMITS, results, strict=True):
        resource = demo.read({"type": type_, "id": result["data"]["id"]})
        assert attributes.items() <= resource["attributes"].items()


@pytest.mark.parametrize(
    ("type_", "attribute", "value"),
    [
        *(("musicTracks", "title", value) for value in ["", "t" * 201, None, 5]),
        *(("musicTracks", "lengthInSeconds", value) for value in [0, -1, 86400.5, "long", True, []]),
        ("musicTracks", "genre", 5),
        *(("musicTracks", "releasedAt", value) for value in ["1843-09-01T12:00:00", "1843-09-01", "today", 5]),
        *(("musicTracks", "releasedAt", value) for value in ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:00-14:00"]),
        ("performers", "artistName", None),
        *(("performers", "bornAt", value) for value in ["1780-13-01", "1780-12-26T00:00:00Z", 1780]),
        ("playlists", "name", None),
        ("playlists", "isArchived", True),
        ("recordCompanies", "name", "n" * 201),
        ("recordCompanies", "countryOfResidence", {}),
        ("lyrics", "text", None),
        ("lyrics", "createdAt", "1843-09-01T12:00:00Z"),
        *(("textLanguages", "isoCode", value) for value in ["d", "de-DE-190", None]),
        ("auditEntries", "at", "1843-09-01T12:00:00Z"),
    ],
)
def test_other_values_are_refused(demo_on_sqlite: Demo, type_: str, attribute: str, value: Any) -> None:
    attributes = SHOWN[type_][0] | {attribute: value}
    failures = demo_on_sqlite.failures(new(type_, attributes))
    pointer = f"/atomic:operations/0/data/attributes/{attribute}"
    assert failures == [Failure(422, "invalid-attribute", pointer)]


@pytest.mark.parametrize(
    ("type_", "attribute"),
    [
        ("musicTracks", "title"),
        ("performers", "artistName"),
        ("playlists", "name"),
        ("recordCompanies", "name"),
        ("lyrics", "text"),
        ("textLanguages", "isoCode"),
        ("auditEntries", "action"),
    ],
)
def test_a_required_attribute_is_required(demo_on_sqlite: Demo, type_: str, attribute: str) -> None:
    attributes = {name: value for name, value in SHOWN[type_][0].items() if name != attribute}
    response = demo_on_sqlite.post(new(type_, attributes))
    (error,) = response.get_json()["errors"]
    assert response.status_code == 422
    assert attribute in error["detail"]


@pytest.mark.parametrize("type_", ["playlists", "recordCompanies", "textLanguages"])
def test_a_unique_attribute_is_unique(demo: Demo, type_: str) -> None:
    attributes = SHOWN[type_][0]
    attribute = "isoCode" if type_ == "textLanguages" else "name"
    operations = [new(type_, attributes) for _ in range(2)]
    assert demo.failures(*operations) == [Failure(409, "conflict", f"/atomic:operations/1/data/attributes/{attribute}")]
    assert demo.perform(operations[0])


def test_a_moment_is_shown_in_utc_as_it_is_stored(demo: Demo) -> None:
    (result,) = demo.perform(add("musicTracks", {"title": "t", "releasedAt": "2020-01-01T01:30:00.123456+02:00"}))
    assert result["data"]["attributes"]["releasedAt"] == "2019-12-31T23:30:00.123456+00:00"
    assert demo.read({"type": "musicTracks", "id": result["data"]["id"]}) == result["data"]


def test_a_text_is_stored_whole_or_refused(demo: Demo) -> None:
    response = demo.post(add("lyrics", {"text": "la " * 50_000}))
    if response.status_code == 200:
        (result,) = response.get_json()["atomic:results"]
        assert len(demo.read({"type": "lyrics", "id": result["data"]["id"]})["attributes"]["text"]) == 150_000
    else:
        assert response.status_code == 422


# ------------------------------------------------------------------------------------------------------------ ids


def test_a_client_may_choose_the_id_of_a_track(demo: Demo) -> None:
    id_ = str(uuid4())
    assert demo.add("musicTracks", {"title": "t"}, id_.upper())["id"] == id_
    assert demo.failures(add("musicTracks", {"title": "t"}, id_)) == [
        Failure(409, "id-taken", "/atomic:operations/0/data/id")
    ]
    assert UUID(demo.add("musicTracks", {"title": "t"})["id"]).version == 4


def test_a_client_must_choose_the_id_of_a_language(demo_on_sqlite: Demo) -> None:
    (failure,) = demo_on_sqlite.failures(add("textLanguages", {"isoCode": "de"}))
    assert failure == Failure(422, "client-id-required", "/atomic:operations/0/data")


@pytest.mark.parametrize("type_", ["performers", "playlists", "recordCompanies", "lyrics", "auditEntries"])
def test_a_client_must_not_choose_other_ids(demo_on_sqlite: Demo, type_: str) -> None:
    (failure,) = demo_on_sqlite.failures(add(type_, SHOWN[type_][0], "5"))
    assert failure == Failure(403, "client-id-forbidden", "/atomic:operations/0/data/id")


def test_integer_ids_are_made_by_the_server(demo: Demo) -> None:
    for type_ in ("performers", "playlists", "recordCompanies", "lyrics", "auditEntries"):
        assert int(demo.add(type_, SHOWN[type_][0])["id"]) > 0


# -------------------------------------------------------------------------------------------------- relationships


def make(demo: Demo, type_: str) -> dict[str, str]:
    """A new resource with values that no other has."""
    unique = uuid4().hex
    attributes = SHOWN[type_][0] | ({"name": unique} if "name" in SHOWN[type_][0] else {})
    if type_ == "textLanguages":
        return demo.add(type_, {"isoCode": unique[:8]}, str(uuid4()))
    return demo.add(type_, attributes)


ONE_TO_MANY = [
    ("musicTracks", "ownedBy", "recordCompanies", "tracks"),
    ("lyrics", "language", "textLanguages", "lyrics"),
]
MANY_TO_MANY = [
    ("musicTracks", "performers", "performers", "tracks", "track_performers"),
    ("playlists", "tracks", "musicTracks", "occursIn", "playlist_tracks"),
]


@pytest.mark.parametrize(("many_type", "to_one", "one_type", "to_many"), ONE_TO_MANY)
def test_one_to_many_from_both_ends(demo: Demo, many_type: str, to_one: str, one_type: str, to_many: str) -> None:
    child, other_child = make(demo, many_type), make(demo, many_type)
    parent = make(demo, one_type)
    demo.perform(on_relationship("update", child, to_one, parent))
    assert demo.linkage(child, to_one) == parent
    demo.perform(on_relationship("add", parent, to_many, [other_child]))
    assert demo.linkage(other_child, to_one) == parent
    demo.perform(on_relationship("remove", parent, to_many, [child]))
    assert demo.linkage(child, to_one) is None
    demo.perform(on_relationship("update", parent, to_many, [child]))
    assert (demo.linkage(child, to_one), demo.linkage(other_child, to_one)) == (parent, None)
    demo.perform(on_relationship("update", child, to_one, None))
    assert demo.linkage(child, to_one) is None
    assert "relationships" not in demo.read(parent) or to_many not in demo.read(parent)["relationships"]


@pytest.mark.parametrize(("many_type", "to_one", "one_type", "to_many"), ONE_TO_MANY)
def test_removing_the_one_unlinks_the_many(
    demo: Demo, many_type: str, to_one: str, one_type: str, to_many: str
) -> None:
    parent = make(demo, one_type)
    child = demo.add(many_type, SHOWN[many_type][0], **{to_one: parent})
    demo.perform({"op": "remove", "ref": parent})
    assert demo.linkage(child, to_one) is None
    assert not demo.exists(parent)


@pytest.mark.parametrize(("many_type", "to_one", "one_type", "to_many"), ONE_TO_MANY)
def test_removing_one_of_the_many_keeps_the_one(
    demo: Demo, many_type: str, to_one: str, one_type: str, to_many: str
) -> None:
    parent, child = make(demo, one_type), make(demo, many_type)
    demo.perform(on_relationship("add", parent, to_many, [child]), {"op": "remove", "ref": child})
    assert demo.exists(parent)
    assert not demo.exists(child)


@pytest.mark.parametrize(("type_", "relationship", "other_type", "inverse", "table"), MANY_TO_MANY)
def test_many_to_many_from_both_ends(
    demo: Demo, outside: Engine, type_: str, relationship: str, other_type: str, inverse: str, table: str
) -> None:
    def linked() -> int:
        return len(rows(outside, f"SELECT * FROM {table}")) - at_first

    at_first = len(rows(outside, f"SELECT * FROM {table}"))
    this, other, another = make(demo, type_), make(demo, other_type), make(demo, other_type)
    demo.perform(on_relationship("add", this, relationship, [other, another, other]))
    assert linked() == 2
    demo.perform(on_relationship("add", other, inverse, [this]))
    assert linked() == 2
    demo.perform(on_relationship("remove", other, inverse, [this]))
    assert linked() == 1
    demo.perform(on_relationship("update", this, relationship, []))
    assert linked() == 0
    demo.perform(on_relationship("update", other, inverse, [this]))
    assert linked() == 1
    demo.perform({"op": "remove", "ref": this})
    assert linked() == 0
    assert demo.exists(other)
    linked_again = demo.add(type_, SHOWN[type_][0], **{relationship: [other, another]})
    assert linked() == 2
    demo.perform({"op": "remove", "ref": other})
    assert linked() == 1
    assert demo.exists(linked_again)


def test_a_company_belongs_to_another_or_to_none(demo: Demo) -> None:
    parent = make(demo, "recordCompanies")
    child = demo.add("recordCompanies", {"name": "Subsidiary"}, parent=parent)
    assert demo.linkage(child, "parent") == parent
    demo.perform(on_relationship("update", child, "parent", None))
    assert demo.linkage(child, "parent") is None
    demo.perform(on_relationship("update", child, "parent", parent), {"op": "remove", "ref": parent})
    assert demo.linkage(child, "parent") is None


def test_a_company_that_belongs_to_itself_can_be_removed(demo: Demo) -> None:
    data = {"type": "recordCompanies", "lid": "own", "attributes": {"name": "Own"}}
    itself = {"type": "recordCompanies", "lid": "own"}
    (result,) = demo.perform({"op": "add", "data": data | {"relationships": {"parent": {"data": itself}}}})
    company = {"type": "recordCompanies", "id": result["data"]["id"]}
    assert demo.linkage(company, "parent") == company
    demo.perform({"op": "remove", "ref": company})
    assert not demo.exists(company)


def test_a_lyric_is_taken_from_the_track_that_had_it(demo: Demo) -> None:
    lyric, first, second = make(demo, "lyrics"), make(demo, "musicTracks"), make(demo, "musicTracks")
    for take in (
        on_relationship("update", first, "lyric", lyric),
        {"op": "update", "data": {**second, "relationships": {"lyric": {"data": lyric}}}},
        on_relationship("update", lyric, "track", first),
        {"op": "update", "data": {**lyric, "relationships": {"track": {"data": second}}}},
    ):
        demo.perform(take)
        owner, loser = (first, second) if demo.linkage(lyric, "track") == first else (second, first)
        assert demo.linkage(owner, "lyric") == lyric
        assert demo.linkage(loser, "lyric") is None
    assert demo.linkage(lyric, "track") == second
    third = demo.add("musicTracks", {"title": "t"}, lyric=lyric)
    assert (demo.linkage(lyric, "track"), demo.linkage(second, "lyric")) == (third, None)


def test_a_track_gives_up_its_lyric_for_another(demo: Demo) -> None:
    track, old, new = make(demo, "musicTracks"), make(demo, "lyrics"), make(demo, "lyrics")
    demo.perform(on_relationship("update", track, "lyric", old), on_relationship("update", track, "lyric", new))
    assert (demo.linkage(old, "track"), demo.linkage(new, "track")) == (None, track)
    newest = demo.add("lyrics", {"text": "t"}, track=track)
    assert (demo.linkage(new, "track"), demo.linkage(track, "lyric")) == (None, newest)
    demo.perform({"op": "remove", "ref": track})
    assert demo.linkage(newest, "track") is None
    track = demo.add("musicTracks", {"title": "t"}, lyric=newest)
    demo.perform({"op": "remove", "ref": newest})
    assert demo.linkage(track, "lyric") is None


# ---------------------------------------------------------------------------------------------------- two layers


@pytest.mark.parametrize("op", ["update", "remove"])
def test_an_audit_entry_stays_as_it_is(demo_on_sqlite: Demo, op: str) -> None:
    entry = demo_on_sqlite.add("auditEntries", {"action": "listened"})
    operation = {"op": "update", "data": entry} if op == "update" else {"op": "remove", "ref": entry}
    assert demo_on_sqlite.failures(operation) == [Failure(403, "operation-not-supported", "/atomic:operations/0/op")]


def test_one_request_writes_to_both_layers_or_to_none(demo: Demo, outside: Engine) -> None:
    entry = add("auditEntries", {"action": "added a playlist"})
    _, result = demo.perform(add("playlists", {"name": "Both"}), entry)
    last = int(result["data"]["id"])
    assert demo.failures(add("playlists", {"name": "None"}), entry, add("playlists", {"name": "Both"})) == [
        Failure(409, "conflict", "/atomic:operations/2/data/attributes/name")
    ]
    assert rows(outside, "SELECT name FROM playlists ORDER BY id") == [("Evening",), ("Both",)]
    assert int(demo.add("auditEntries", {"action": "next"})["id"]) > last


def test_no_connection_stays_open(demo: Demo) -> None:
    playlist = add("playlists", {"name": "Night"})
    demo.perform(playlist)
    demo.failures(playlist)
    demo.failures({"op": "remove", "ref": {"type": "playlists", "id": "999"}})
    with demo.flask.app_context():
        (engine,) = demo.flask.extensions["sqlalchemy"].engines.values()
        assert engine.pool.checkedout() == 0


# --------------------------------------------------------------------------------------------------------- set-up


def test_a_new_database_has_rows_to_play_with_once(demo: Demo, outside: Engine, database_url: str) -> None:
    assert demo.read(FIRST_TRACK)["relationships"] == {
        "ownedBy": {"data": {"type": "recordCompanies", "id": "1"}},
        "lyric": {"data": {"type": "lyrics", "id": "1"}},
    }
    assert demo.linkage({"type": "lyrics", "id": "1"}, "language") == {"type": "textLanguages", "id": LANGUAGE}
    demo.perform({"op": "remove", "ref": FIRST_TRACK})
    assert not Demo(database_url).exists(FIRST_TRACK)
    assert rows(outside, "SELECT id FROM performers ORDER BY id") == [(1,), (2,)]


def test_processes_that_start_at_once_make_one_database(
    outside: Engine, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXAMPLE_DATABASE_URL", database_url)
    command = [sys.executable, "-c", "import example; print(); input(); example.create_app()"]
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    starting = [subprocess.Popen(command, cwd=ROOT, text=True, **pipes) for _ in range(4)]
    for process in starting:
        assert process.stdout is not None
        process.stdout.readline()  # it is ready
    for process in starting:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    errors = [process.communicate()[1] for process in starting]
    assert [process.returncode for process in starting] == [0, 0, 0, 0], errors
    assert rows(outside, "SELECT name FROM playlists") == [("Evening",)]


def test_sqlite_is_set_up_for_several_threads(demo_on_sqlite: Demo) -> None:
    with demo_on_sqlite.flask.app_context():
        (engine,) = demo_on_sqlite.flask.extensions["sqlalchemy"].engines.values()
        with engine.connect() as connection:
            pragmas = ("foreign_keys", "journal_mode", "busy_timeout")
            assert [connection.exec_driver_sql(f"PRAGMA {pragma}").scalar() for pragma in pragmas] == [1, "wal", 30000]
            assert connection.connection.driver_connection.in_transaction


def test_flask_finds_it_and_it_makes_its_database_in_the_instance_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copytree(ROOT / "example", tmp_path / "example")
    monkeypatch.delenv("EXAMPLE_DATABASE_URL", raising=False)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    command = [sys.executable, "-m", "flask", "--app", "example", "routes"]
    routes = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert "/api/operations" in routes
    with second_connection(f"sqlite:///{tmp_path / 'instance' / 'example.sqlite'}").connect() as connection:
        assert connection.scalar(text("SELECT title FROM music_tracks")) == "Note G"
        assert connection.scalar(text("PRAGMA journal_mode")) == "wal"


def test_the_requests_on_the_page_do_what_it_says(demo_on_sqlite: Demo) -> None:
    page = demo_on_sqlite.client.get("/")
    assert page.mimetype == "text/html"
    commands = [html.unescape(block) for block in re.findall("<pre>(.*?)</pre>", page.text, re.DOTALL)]
    answers = [
        demo_on_sqlite.client.post(request.url, data=request.body, content_type=request.content_type)
        for request in map(Request.of, commands)
    ]
    assert [answer.status_code for answer in answers] == [200, 200, 404]
    (error,) = answers[2].get_json()["errors"]
    assert error["source"]["pointer"] == "/atomic:operations/2/data/relationships/language/data"
