"""The demo as a client sees it, and the documents in the README and on the demo's page."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from example import create_app
from flask_atomic.negotiation import CONTENT_TYPE

ROOT = Path(__file__).parent.parent

TRACK = "a0000000-0000-4000-8000-000000000001"
LANGUAGE = "e0000000-0000-4000-8000-000000000001"


class Failure(NamedTuple):
    """An error, as far as clients rely on it."""

    status: int
    code: str
    pointer: str | None


class Demo:
    """The demo on a database of its own."""

    def __init__(self, database_url: str) -> None:
        self.flask: Flask = create_app({"SQLALCHEMY_DATABASE_URI": database_url})
        self.client: FlaskClient = self.flask.test_client()

    def post(self, *operations: dict[str, Any]) -> TestResponse:
        return self.client.post("/api/operations", json={"atomic:operations": operations}, content_type=CONTENT_TYPE)

    def perform(self, *operations: dict[str, Any]) -> list[dict[str, Any]]:
        """The results of operations that are performed."""
        response = self.post(*operations)
        if response.status_code == 204:
            return [{} for _ in operations]
        assert response.status_code == 200, response.text
        results: list[dict[str, Any]] = response.get_json()["atomic:results"]
        return results

    def failures(self, *operations: dict[str, Any]) -> list[Failure]:
        """The errors of operations that are refused."""
        response = self.post(*operations)
        assert response.status_code >= 400, response.text
        return [
            Failure(int(error["status"]), error["code"], error.get("source", {}).get("pointer"))
            for error in response.get_json()["errors"]
        ]

    def add(self, type_: str, attributes: dict[str, Any], id: str | None = None, **related: Any) -> dict[str, str]:
        """Add a resource, and return its identifier."""
        (result,) = self.perform(add(type_, attributes, id, **related))
        return {"type": type_, "id": result["data"]["id"]}

    def read(self, identifier: dict[str, str]) -> dict[str, Any]:
        """The resource as it is now."""
        (result,) = self.perform({"op": "update", "data": identifier})
        resource: dict[str, Any] = result["data"]
        return resource

    def exists(self, identifier: dict[str, str]) -> bool:
        return self.post({"op": "update", "data": identifier}).status_code == 200

    def linkage(self, identifier: dict[str, str], relationship: str) -> Any:
        return self.read(identifier)["relationships"][relationship]["data"]


def add(type_: str, attributes: dict[str, Any], id: str | None = None, **related: Any) -> dict[str, Any]:
    """An operation that adds a resource."""
    data: dict[str, Any] = {"type": type_, "attributes": attributes}
    if id is not None:
        data["id"] = id
    if related:
        data["relationships"] = {name: {"data": linkage} for name, linkage in related.items()}
    return {"op": "add", "data": data}


def on_relationship(op: str, identifier: dict[str, str], relationship: str, linkage: Any) -> dict[str, Any]:
    """An operation on a relationship."""
    return {"op": op, "ref": {**identifier, "relationship": relationship}, "data": linkage}


class Request(NamedTuple):
    """What curl would send."""

    url: str
    content_type: str
    body: str

    @classmethod
    def of(cls, command: str) -> Request:
        """Read a command of the form `curl URL -H 'Content-Type: ...' -d BODY`."""
        program, url, header_flag, header, data_flag, body = shlex.split(command.replace("\\\n", ""))
        assert (program, header_flag, data_flag) == ("curl", "-H", "-d")
        return cls(url, header.removeprefix("Content-Type: "), body)


def readme_block(marker: str) -> str:
    """The code under `<!-- marker -->` in the README."""
    lines = iter((ROOT / "README.md").read_text("utf-8").splitlines())
    assert f"<!-- {marker} -->" in lines  # it also moves there
    return "\n".join(_fenced(lines))


def _fenced(lines: Iterator[str]) -> Iterator[str]:
    assert next(lines).startswith("```")
    for line in lines:
        if line == "```":
            return
        yield line
