"""The clients that the documentation shows, against the running demo."""

from __future__ import annotations

import importlib
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest
from flask import Flask, Response

from flask_atomic.negotiation import CONTENT_TYPE
from tests.clients.checked_demo import checked
from tests.clients.conftest import RunningDemo

CODE = Path(__file__).parents[2] / "docs" / "code"

PERFORMER = {"op": "add", "data": {"type": "performers", "attributes": {"artistName": "Blaise"}}}
NOTHING = {"op": "add", "ref": {"type": "performers", "id": "1", "relationship": "tracks"}, "data": []}
NUMERIC = {"op": "update", "data": {"type": "performers", "id": 1}}

Perform = Callable[..., list[dict[str, Any]]]
Client = tuple[ModuleType, Perform]


@pytest.fixture(params=["urllib", "httpx"])
def client(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, running_demo: RunningDemo
) -> Iterator[Client]:
    """The module of a client, and its function with where to send to."""
    monkeypatch.syspath_prepend(CODE)
    module = importlib.import_module(f"client_{request.param}")
    if request.param == "urllib":
        yield module, lambda *operations: module.perform(f"{running_demo.url}/api/operations", *operations)
    else:
        with httpx.Client(base_url=running_demo.url) as connected:
            yield module, lambda *operations: module.perform(connected, *operations)


def test_what_is_no_response_document_reaches_no_client() -> None:
    wrong = checked(Flask("wrong"))
    wrong.add_url_rule("/", view_func=lambda: Response("{}", headers={"Vary": "Accept"}, content_type=CONTENT_TYPE))

    assert wrong.test_client().get("/").status_code == 500


def test_there_is_a_result_for_each_operation(client: Client) -> None:
    _, perform = client
    added, empty = perform(PERFORMER, NOTHING)
    assert added["data"]["attributes"]["artistName"] == "Blaise"
    assert empty == {}


def test_without_content_too(client: Client) -> None:
    _, perform = client
    assert perform(NOTHING, NOTHING) == [{}, {}]


def test_a_refusal_has_the_errors(client: Client) -> None:
    """A number as an `id`, which examples of other servers have, is one."""
    module, perform = client
    with pytest.raises(module.OperationsRefused) as caught:
        perform(PERFORMER, NUMERIC)
    (error,) = caught.value.args[0]
    assert (error["status"], error["code"]) == ("400", "invalid-operation")
    assert error["source"] == {"pointer": "/atomic:operations/1/data/id"}


def options_of_curl() -> tuple[str, dict[str, str], str]:
    """The URL, the headers and the body of the documented command, which has these options and no others."""
    program, url, *options = shlex.split((CODE / "client.sh").read_text("utf-8").replace("\\\n", ""))
    assert program == "curl"
    header, media_type, *switches, data, body = options[:1], options[1], *options[2:-2], options[-2], options[-1]
    assert (header, switches, data) == (["-H"], ["--fail-with-body", "--silent", "--show-error"], "-d")
    name, _, value = media_type.partition(": ")
    return url, {name: value}, body


def test_the_command_is_performed(running_demo: RunningDemo) -> None:
    url, headers, body = options_of_curl()
    answer = httpx.post(url.replace("http://127.0.0.1:5000", running_demo.url), headers=headers, content=body)
    added, empty = answer.json()["atomic:results"]
    assert (added["data"]["attributes"]["artistName"], empty) == ("Blaise", {})


def test_the_media_type_that_curl_sends_by_itself_is_refused(running_demo: RunningDemo) -> None:
    _, _, body = options_of_curl()
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = httpx.post(f"{running_demo.url}/api/operations", headers=form, content=body)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (415, "unsupported-media-type")
