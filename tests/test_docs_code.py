"""The code of the documentation runs, and the answers that it shows are those that are given."""

from __future__ import annotations

import importlib
import json
import logging.config
import re
import shlex
import sqlite3
import textwrap
from collections.abc import Callable, Iterator
from contextlib import closing
from http import HTTPStatus
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest
from flask import Flask
from flask.testing import FlaskClient
from gunicorn.app.wsgiapp import WSGIApplication
from sqlalchemy import text

import flask_atomic
from flask_atomic.negotiation import CONTENT_TYPE
from tests.servers import engines_disposed

CODE = Path(__file__).parents[1] / "docs" / "code"

Load = Callable[[str], ModuleType]


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Load:
    """Imports a module of the documentation's code by its name."""
    monkeypatch.syspath_prepend(CODE)
    return importlib.import_module


@pytest.fixture
def sqlite_file(tmp_path: Path) -> Iterator[Path]:
    """A file for a database, which does not exist yet."""
    with engines_disposed():
        yield tmp_path / "database.sqlite"


# ---------------------------------------------------------------------------------------------- requests and answers


class Exchange(NamedTuple):
    """A request and its answer, as they stand in a file of exchanges.

    :param url: what it is sent to, None for the endpoint.
    :param sent: the headers of the request that are shown.
    :param headers: those of the answer.
    :param body: the document of the answer, None for none.
    """

    name: str
    url: str | None
    sent: dict[str, str]
    document: str
    status: str
    headers: dict[str, str]
    body: Any


def exchanges(file: Path) -> list[Exchange]:
    sections = re.split(r"^### ?(.*)\n", file.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    texts = {name: text for name, text in zip(sections[::2], sections[1::2], strict=True) if name}
    names = [name.removesuffix(": request") for name in texts if name.endswith(": request")]
    assert list(texts) == [f"{name}: {part}" for name in names for part in ("request", "answer")]
    return [exchange(name, texts[f"{name}: request"], texts[f"{name}: answer"]) for name in names]


def exchange(name: str, request: str, answer: str) -> Exchange:
    url, sent = None, {}
    if request.startswith("POST "):
        head, _, request = request.partition("\n\n")
        request_line, *lines = head.splitlines()
        url, sent = request_line.split()[1], dict(line.split(": ", 1) for line in lines)
    head, _, body = answer.partition("\n\n")
    status_line, *headers = head.splitlines()
    return Exchange(
        name,
        url,
        sent,
        request,
        status_line.removeprefix("HTTP/1.1 "),
        dict(header.split(": ", 1) for header in headers),
        json.loads(body) if body else None,
    )


APPLICATIONS: dict[str, tuple[str, str]] = {
    "quickstart": ("quickstart", "/api/operations"),
    "operations": ("quickstart", "/api/operations"),
    "local_ids": ("quickstart", "/api/operations"),
    "errors": ("quickstart", "/api/operations"),
    "declarations": ("declarations", "/operations"),
    "endpoints": ("endpoints", "/api/operations"),
    "links": ("links", "/api/operations"),
    "table_app": ("table_app", "/operations"),
    "sqlalchemy_models": ("sqlalchemy_models", "/operations"),
    "stale_writes": ("stale_writes", "/operations"),
    "several_layers": ("several_layers", "/operations"),
    "idempotency": ("idempotency", "/operations"),
}
"""For each file of exchanges, the module that has its application, and the endpoint."""


def application(load: Load, name: str, file: Path) -> Flask:
    database = {
        "quickstart": [f"sqlite:///{file}"],
        "sqlalchemy_models": [f"sqlite:///{file}"],
        "stale_writes": [f"sqlite:///{file}"],
        "table_app": [str(file)],
        "idempotency": [f"sqlite:///{file}"],
        "several_layers": [f"sqlite:///{file}", f"sqlite:///{file}-books"],
    }
    made: Flask = load(name).create_app(*database.get(name, []))
    return made


def test_every_file_of_exchanges_has_an_application() -> None:
    assert {file.stem for file in CODE.glob("*.http")} == set(APPLICATIONS)


@pytest.mark.parametrize("name", APPLICATIONS)
def test_answers_are_those_of_the_documentation(name: str, load: Load, sqlite_file: Path) -> None:
    module, endpoint = APPLICATIONS[name]
    client = application(load, module, sqlite_file).test_client()
    for shown in exchanges(CODE / f"{name}.http"):
        url = shown.url or endpoint
        answer = client.post(url, data=shown.document, content_type=CONTENT_TYPE, headers=shown.sent)
        given = json.loads(answer.data) if answer.data else None
        assert (shown.name, given) == (shown.name, shown.body)
        assert f"{answer.status_code} {HTTPStatus(answer.status_code).phrase}" == shown.status
        assert {name: answer.headers.get(name) for name in shown.headers} == shown.headers


def test_the_command_of_the_quickstart_sends_the_request(load: Load, sqlite_file: Path) -> None:
    command, url, *options = shlex.split((CODE / "quickstart.sh").read_text("utf-8").replace("\\\n", ""))
    assert (command, options[::2], options[3]) == ("curl", ["-H", "-d"], "@request.json")
    first = exchanges(CODE / "quickstart.http")[0]
    client = application(load, "quickstart", sqlite_file).test_client()
    headers = dict([options[1].split(": ", 1)])
    answer = client.post(url.removeprefix("http://127.0.0.1:5000"), data=first.document, headers=headers)
    assert answer.json == first.body


# ------------------------------------------------------------------------------------------------------------ plugins


def post(client: FlaskClient, *operations: dict[str, Any]) -> tuple[int, Any]:
    answer = client.post("/operations", json={"atomic:operations": operations})
    return answer.status_code, answer.json and {**answer.json}


def article(title: str) -> dict[str, Any]:
    return {"op": "add", "data": {"type": "articles", "attributes": {"title": title}}}


def entry(text: str) -> dict[str, Any]:
    return {"op": "add", "data": {"type": "entries", "attributes": {"text": text}}}


def test_the_journal_numbers_entries_and_keeps_them(load: Load) -> None:
    client = load("hooks").create_app().test_client()
    status, document = post(client, entry("one"), entry("two"))
    assert status == 200
    assert [result["data"]["id"] for result in document["atomic:results"]] == ["1", "2"]
    _, document = post(client, {"op": "remove", "ref": {"type": "entries", "id": "1"}})
    assert [error["code"] for error in document["errors"]] == ["operation-not-supported"]


def test_the_journal_and_the_memory_commit_together_or_not_at_all(load: Load) -> None:
    hooks = load("hooks")
    announcements, counter = hooks.Announcements(), hooks.Counter()
    client = hooks.create_app(announcements, counter).test_client()
    missing = {"op": "remove", "ref": {"type": "articles", "id": "9"}}
    assert post(client, entry("one"), article("One"), missing)[0] == 404
    assert announcements.titles == []
    assert post(client, entry("two"), article("Two"))[0] == 200
    assert (announcements.titles, counter.operations) == (["Two"], 2)


def test_the_number_of_an_operation_is_answered(load: Load) -> None:
    hooks = load("hooks")
    client = hooks.create_app(hooks.Echo()).test_client()
    _, document = post(client, {**article("One"), "meta": {"number": 7}}, article("Two"))
    assert [result.get("meta") for result in document["atomic:results"]] == [{"number": 7}, None]


def test_articles_are_kept(load: Load) -> None:
    hooks = load("hooks")
    client = hooks.create_app(hooks.KeepsArticles()).test_client()
    post(client, article("One"))
    status, document = post(client, {"op": "remove", "ref": {"type": "articles", "id": "1"}})
    assert (status, document["errors"][0]["detail"]) == (403, "Articles are kept.")


def test_both_endpoints_serve_and_one_wants_a_token(load: Load) -> None:
    application = load("endpoints").create_app()
    client = application.test_client()
    document = {"atomic:operations": [{"op": "add", "data": {"type": "notes", "attributes": {"text": "One"}}}]}
    assert client.post("/api/operations", json=document).status_code == 200
    assert client.post("/internal/batch", json=document).status_code == 401
    token = {"Authorization": "Bearer open sesame"}
    assert client.post("/internal/batch", json=document, headers=token).status_code == 200
    removal = {"atomic:operations": [{"op": "remove", "ref": {"type": "notes", "id": "1"}}]}
    assert client.post("/api/operations", json=removal).status_code == 403
    assert client.post("/internal/batch/", json=removal, headers=token).status_code == 204


def test_documents_are_performed_without_http(load: Load) -> None:
    endpoints = load("endpoints")
    results = endpoints.import_notes(endpoints.create_app(), ["one", "two"])
    assert [result["data"]["attributes"]["text"] for result in results] == ["one", "two"]


def test_a_job_pays_once(load: Load, sqlite_file: Path) -> None:
    idempotency = load("idempotency")
    with idempotency.create_app(f"sqlite:///{sqlite_file}").app_context():
        first = idempotency.pay_salaries("May", [100, 200])
        assert [result["data"]["id"] for result in first] == ["1", "2"]
        assert idempotency.pay_salaries("May", [100, 200]) == first
        assert [result["data"]["id"] for result in idempotency.pay_salaries("June", [100])] == ["3"]


def test_keys_are_those_of_a_user(load: Load, sqlite_file: Path) -> None:
    client = load("idempotency").create_app(f"sqlite:///{sqlite_file}").test_client()
    document = {"atomic:operations": [{"op": "add", "data": {"type": "payments", "attributes": {"amount": 1}}}]}
    answers = [
        client.post("/operations", json=document, headers={"Idempotency-Key": '"a"'}, auth=(user, "secret"))
        for user in ("ann", "bob", "ann")
    ]
    assert [answer.headers.get("Idempotency-Replayed") for answer in answers] == [None, None, "true"]


# ----------------------------------------------------------------------------------------------------------- security


def test_who_is_logged_in_sends_operations(load: Load) -> None:
    client = load("login_session").create_app().test_client()
    note = {"op": "add", "data": {"type": "notes", "attributes": {"text": "One"}}}
    assert post(client, note)[0] == 401
    assert client.post("/login", data={"name": "ann", "password": "wrong"}).status_code == 401
    login = client.post(
        "/login", data={"name": "ann", "password": "correct horse"}, base_url="https://localhost"
    ).headers["Set-Cookie"]
    assert {"Secure", "HttpOnly", "SameSite=Lax"} <= set(login.split("; "))
    document = {"atomic:operations": [note]}
    assert client.post("/operations", json=document, base_url="https://localhost").status_code == 200


@pytest.mark.parametrize("given", [None, "Bearer", "Bearer ", "Bearer wrong", "Basic YW5uOmE=", "Bearer a=b", "é"])
def test_a_token_is_asked_for(given: str | None, load: Load) -> None:
    client = load("login_token").create_app().test_client()
    answer = client.post("/operations", json={}, headers={} if given is None else {"Authorization": given})
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")


def test_a_token_is_good_for_some_operations(load: Load) -> None:
    client = load("login_token").create_app().test_client()
    note, entry_ = (
        {"op": "add", "data": {"type": type_, "attributes": {"text": "One"}}} for type_ in ("notes", "entries")
    )
    removal = {"op": "remove", "ref": {"type": "notes", "id": "1"}}

    def send(whose: str, *operations: dict[str, Any]) -> tuple[int, list[Any]]:
        headers = {"Authorization": f"Bearer {whose}'s token"}
        answer = client.post("/operations", json={"atomic:operations": operations}, headers=headers)
        return answer.status_code, [error["source"]["pointer"] for error in (answer.json or {}).get("errors", [])]

    assert send("bob", note) == (200, [])
    assert send("bob", note, removal) == (403, ["/atomic:operations/1"])
    assert send("ann", entry_) == (403, ["/atomic:operations/0"])
    assert send("ann", removal) == (204, [])


# ---------------------------------------------------------------------------------------------------------- operation


def test_the_log_is_as_the_page_on_operation_says(load: Load, sqlite_file: Path, capsys: Any) -> None:
    operation = load("operation")
    loggers = [logging.getLogger(name) for name in operation.LOGGING["loggers"]]
    client = operation.create_app(f"sqlite:///{sqlite_file}").test_client()
    logging.config.dictConfig(operation.LOGGING)
    try:
        document = {"atomic:operations": [article("One"), {"op": "update", "data": {"type": "articles", "id": "9"}}]}
        assert client.post("/operations", json=document, headers={"X-Request-ID": "7f3a"}).status_code == 404
    finally:
        for logger in loggers:
            logger.handlers.clear()
            logger.propagate = True
            logger.setLevel(logging.NOTSET)
    told = capsys.readouterr().err.splitlines()[-1]
    request = "Request 7f3a: 404 resource-not-found; operations: 2, attempts: 1"
    assert re.fullmatch(rf"[-0-9:, ]+ INFO flask_atomic.requests \[7f3a\] {request}, \d\.\d{{4}} s", told)


def test_gunicorn_takes_its_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["gunicorn", "-c", str(CODE / "gunicorn_conf.py"), "operation:create_app()"])
    settings = WSGIApplication().cfg
    assert (settings.worker_class_str, settings.workers, settings.threads) == ("gthread", 4, 8)
    assert (settings.max_requests, settings.max_requests_jitter, settings.graceful_timeout) == (10_000, 1_000, 30)


def test_the_pool_has_what_the_page_on_operation_says(load: Load, sqlite_file: Path) -> None:
    operation = load("operation")
    with operation.create_app(f"sqlite:///{sqlite_file}").app_context():
        pool = operation.db.engine.pool
    assert (pool.size(), pool._max_overflow, pool._timeout, pool._pre_ping) == (8, 8, 5, True)


def test_connections_to_a_node_wait_for_what_the_others_have_committed(load: Load, mariadb_url: str) -> None:
    several_servers = load("several_servers")
    with several_servers.create_app(mariadb_url).app_context():
        session = several_servers.db.session
        assert session.execute(text("SELECT @@wsrep_sync_wait, @@innodb_lock_wait_timeout")).one() == (7, 3)


# ------------------------------------------------------------------------------------------- the layer of the tutorial


def pasted(page: str, file: str) -> list[str]:
    """The lines that a reader has who pastes the page's blocks of a file one after the other."""
    blocks = re.findall(rf"^\.\. literalinclude:: code/{file}\n((?:   :.*\n)*)", page, flags=re.MULTILINE)
    return [line for block in blocks for line in shown_lines(CODE / file, block)]


def shown_lines(file: Path, options: str) -> list[str]:
    text = file.read_text("utf-8")
    given = dict(re.findall(r"^   :([\w-]+): ?(.*)$", options, flags=re.MULTILINE))
    assert set(given) <= {"caption", "dedent", "start-after", "end-before"}
    if "start-after" in given:
        text = text.split(f"{given['start-after']}\n", 1)[1]
    if "end-before" in given:
        text = text.split(given["end-before"], 1)[0]
    return (textwrap.dedent(text) if "dedent" in given else text).splitlines()


def code_lines(lines: list[str]) -> list[str]:
    return [line for line in lines if line.strip() and not re.fullmatch(r" *# </?\w+>", line)]


@pytest.mark.parametrize("file", ["table_app.py", "table_layer.py", "test_table_layer.py"])
def test_who_pastes_the_blocks_of_the_tutorial_has_its_files(file: str) -> None:
    page = (CODE.parent / "data-layers.rst").read_text("utf-8")
    assert code_lines(pasted(page, file)) == code_lines((CODE / file).read_text("utf-8").splitlines())


def add(type_: str, lid: str, **members: Any) -> dict[str, Any]:
    return {"op": "add", "data": {"type": type_, "lid": lid, **members}}


def on_tags(op: str, *ids: str) -> dict[str, Any]:
    tags = [{"type": "tags", "id": id_} for id_ in ids]
    return {"op": op, "ref": {"type": "articles", "id": "1", "relationship": "tags"}, "data": tags}


FIRST = {"op": "update", "data": {"type": "articles", "id": "1"}}
"""Reads the first article back."""


@pytest.fixture
def tables(load: Load, sqlite_file: Path) -> FlaskClient:
    """A client of the tutorial's application, which has the tags 1 and 2, and the articles 1 and 2."""
    client = application(load, "table_app", sqlite_file).test_client()
    tags = [add("tags", word, attributes={"word": word}) for word in ("one", "two")]
    articles = [add("articles", title, attributes={"title": title}) for title in ("One", "Two")]
    assert post(client, *tags, *articles)[0] == 200
    return client


def shown_relationships(client: FlaskClient, *operations: dict[str, Any]) -> Any:
    status, document = post(client, *operations, FIRST)
    assert status == 200, document
    return {name: value["data"] for name, value in document["atomic:results"][-1]["data"]["relationships"].items()}


def tag(*ids: str) -> list[dict[str, str]]:
    return [{"type": "tags", "id": id_} for id_ in ids]


def test_the_layer_of_the_tutorial_relates_many(tables: FlaskClient) -> None:
    assert shown_relationships(tables, on_tags("add", "1"), on_tags("add", "1", "2"))["tags"] == tag("1", "2")
    assert shown_relationships(tables, on_tags("remove", "1", "99"))["tags"] == tag("2")
    assert shown_relationships(tables, on_tags("update", "1"))["tags"] == tag("1")
    assert shown_relationships(tables, {"op": "remove", "ref": {"type": "tags", "id": "1"}})["tags"] == []


def test_the_layer_of_the_tutorial_relates_one(tables: FlaskClient) -> None:
    other = {"type": "articles", "id": "2"}
    follow = {"op": "update", "ref": {"type": "articles", "id": "1", "relationship": "follows"}, "data": other}
    assert shown_relationships(tables, follow)["follows"] == other
    assert shown_relationships(tables, {**follow, "data": None})["follows"] is None
    to_itself = add(
        "articles",
        "a",
        attributes={"title": "A"},
        relationships={"follows": {"data": {"type": "articles", "lid": "a"}}},
    )
    _, document = post(tables, to_itself)
    resource = document["atomic:results"][0]["data"]
    assert resource["relationships"]["follows"]["data"] == {"type": "articles", "id": resource["id"]}
    assert shown_relationships(tables, follow, {"op": "remove", "ref": other})["follows"] is None


def test_the_layer_of_the_tutorial_keeps_nothing_of_a_request_that_fails(
    tables: FlaskClient, sqlite_file: Path
) -> None:
    status, document = post(
        tables, add("tags", "t", attributes={"word": "three"}), add("tags", "u", attributes={"word": "one"})
    )
    assert (status, document["errors"][0]["source"]["pointer"]) == (409, "/atomic:operations/1")
    with closing(sqlite3.connect(sqlite_file, isolation_level=None, timeout=0)) as connection:
        assert connection.execute("SELECT word FROM tags ORDER BY id").fetchall() == [("one",), ("two",)]
        connection.execute("BEGIN EXCLUSIVE")  # nobody holds a lock


def test_the_layer_of_the_tutorial_refuses_what_it_cannot_serve(load: Load, sqlite_file: Path) -> None:
    atomic = flask_atomic.Atomic(load("table_layer").TableLayer(sqlite_file))
    atomic.resource(load("table_app").ArticleSchema, table="articles")
    atomic.resource(load("table_app").TagSchema, table="tags")
    with pytest.raises(flask_atomic.ConfigurationError, match="'tags' of 'articles' needs a table"):
        Flask("tables").register_blueprint(atomic.blueprint)


@pytest.mark.parametrize(
    ("statement", "parameters", "failure"),
    [
        ("INSERT INTO tags (word) VALUES (?)", [None], flask_atomic.Unprocessable),
        ("INSERT INTO tags (word) VALUES (?)", ["one"], flask_atomic.Conflict),
        ("INSERT INTO article_tags VALUES (?, ?)", [1, 99], flask_atomic.Conflict),
        ("INSERT INTO tags (id, word) VALUES (?, ?)", [1 << 80, "x"], flask_atomic.Unprocessable),
        ("INSERT INTO tags (word) VALUES (?)", [object()], flask_atomic.Unprocessable),
        ("BEGIN IMMEDIATE", [], flask_atomic.Transient),
        ("SELECT * FROM nothing", [], sqlite3.OperationalError),
    ],
)
def test_the_layer_of_the_tutorial_translates_errors(
    tables: FlaskClient, load: Load, sqlite_file: Path, statement: str, parameters: list[Any], failure: type[Exception]
) -> None:
    with (
        closing(sqlite3.connect(sqlite_file, isolation_level=None, timeout=0)) as connection,
        closing(sqlite3.connect(sqlite_file, isolation_level=None)) as other,
    ):
        connection.execute("PRAGMA foreign_keys = ON")
        if failure is flask_atomic.Transient:
            other.execute("BEGIN IMMEDIATE")
        with pytest.raises(failure):
            load("table_layer")._execute(connection, statement, *parameters)
