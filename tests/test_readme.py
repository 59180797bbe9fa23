"""What the README shows: its requests are sent as they stand, its programs run, and the answers are compared."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread
from types import ModuleType
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy import text
from werkzeug.serving import make_server
from werkzeug.test import TestResponse

from tests.demo import ROOT, Demo, Request, add, readme_block
from tests.servers import second_connection

ADDRESS = "http://127.0.0.1:5000"


@pytest.fixture
def demo(sqlite_url: str) -> Demo:
    return Demo(sqlite_url)


@contextmanager
def served(flask: Flask) -> Iterator[str]:
    """The base URL at which the application answers meanwhile."""
    server = make_server("127.0.0.1", 0, flask)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def send(demo: Demo, name: str) -> TestResponse:
    request = Request.of(readme_block(f"request: {name}"))
    assert request.url.startswith(ADDRESS)
    return demo.client.post(request.url, data=request.body, content_type=request.content_type)


def answer(name: str) -> Any:
    return json.loads(readme_block(f"answer: {name}"))


def without_uuids(value: Any) -> Any:
    """The value with the same name for each UUID, whatever UUID it is."""
    if isinstance(value, dict):
        return {name: without_uuids(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [without_uuids(inner) for inner in value]
    try:
        return f"UUID {UUID(value).version}"
    except (AttributeError, TypeError, ValueError):
        return value


def test_the_first_request_gets_the_answer_shown_and_links_the_performers(demo: Demo, sqlite_url: str) -> None:
    response = send(demo, "add")
    assert response.status_code == 200
    assert without_uuids(response.get_json()) == without_uuids(answer("add"))
    track = UUID(response.get_json()["atomic:results"][1]["data"]["id"])
    with second_connection(sqlite_url).connect() as connection:
        linked = text("SELECT performer_id FROM track_performers WHERE track_id = :track ORDER BY performer_id")
        assert connection.scalars(linked, {"track": track.hex}).all() == [1, 2]


def test_the_second_request_gets_the_error_shown_and_leaves_nothing(demo: Demo, sqlite_url: str) -> None:
    send(demo, "add")
    before = dump(sqlite_url)
    response = send(demo, "conflict")
    assert response.status_code == 409
    assert response.get_json() == answer("conflict")
    assert dump(sqlite_url) == before


def test_the_second_request_is_wrong_in_its_last_operation_only(demo: Demo) -> None:
    *right, wrong = json.loads(Request.of(readme_block("request: conflict")).body)["atomic:operations"]
    pointer = answer("conflict")["errors"][0]["source"]["pointer"]
    assert pointer.startswith(f"/atomic:operations/{len(right)}/")
    assert demo.perform(*right, wrong | {"data": wrong["data"] | {"attributes": {"name": "Another name"}}})


def test_the_python_client_gets_the_same_answer_as_curl(demo: Demo) -> None:
    with served(demo.flask) as address:
        program = readme_block("python: client")
        assert ADDRESS in program
        run = subprocess.run(
            [sys.executable, "-c", program.replace(ADDRESS, address)], capture_output=True, text=True, timeout=30
        )
    assert run.returncode == 0, run.stderr
    shown = json.dumps(without_uuids(answer("add"))).replace("Continuous Records", "Discrete Records")
    assert without_uuids(json.loads(run.stdout)) == json.loads(shown)


def test_the_application_serves_what_it_declares(sqlite_url: str) -> None:
    program = readme_block("python: application")
    assert "sqlite:///articles.sqlite" in program
    module = ModuleType("readme_application")
    source = program.replace("sqlite:///articles.sqlite", sqlite_url)
    exec(compile(source, "README.md", "exec", dont_inherit=True), module.__dict__)
    author = {"type": "people", "lid": "ann"}
    article = add("articles", {"title": "Numbers"}, author=author)
    operations = [{"op": "add", "data": {**author, "attributes": {"name": "Ann"}}}, article]
    response = module.create_app().test_client().post("/api/operations", json={"atomic:operations": operations})
    person, written = (result["data"] for result in response.get_json()["atomic:results"])
    assert person["attributes"] == {"name": "Ann"}
    assert written["relationships"]["author"]["data"] == {"type": "people", "id": person["id"]}


def test_links_lead_to_files_that_are_there() -> None:
    targets = re.findall(r"\]\((?!https?:)([^)#]+)\)", (ROOT / "README.md").read_text("utf-8"))
    assert targets
    assert [target for target in targets if not (ROOT / target).exists()] == []


def dump(url: str) -> dict[str, list[tuple[Any, ...]]]:
    """All that is stored."""
    with second_connection(url).connect() as connection:
        tables = connection.scalars(text("SELECT name FROM sqlite_master WHERE type = 'table'")).all()
        return {table: [tuple(row) for row in connection.execute(text(f"SELECT * FROM {table}"))] for table in tables}
