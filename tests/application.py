"""A small application in memory to send operations to, and the means to send them and to read the answers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple
from uuid import UUID

from flask import Flask
from flask.testing import FlaskClient
from marshmallow import validate
from marshmallow_jsonapi import Schema, fields
from werkzeug.test import TestResponse

from flask_atomic import Atomic, MemoryLayer
from tests.pointers import resolve

CONTENT_TYPE = 'application/vnd.api+json;ext="https://jsonapi.org/ext/atomic"'
ROOT = "/atomic:operations"
NOTE = "6f1c1e2a-0000-4000-8000-00000000000a"
"""The id of the note that `seeded` stores."""


# --------------------------------------------------------------------------------------------------------- declaring


def schema(type_: str, **declared: Any) -> type[Schema]:
    """A schema with an `id` and these fields."""
    meta = type("Meta", (), {"type_": type_})
    return type(f"{type_.title()}Schema", (Schema,), {"id": fields.Str(), **declared, "Meta": meta})


def to_one(type_: str, **options: Any) -> fields.Relationship:
    """A to-one relationship that is shown and may be null."""
    return fields.Relationship(type_=type_, **{"include_resource_linkage": True, "allow_none": True, **options})


def to_many(type_: str, **options: Any) -> fields.Relationship:
    """A to-many relationship that is shown."""
    return fields.Relationship(type_=type_, many=True, **{"include_resource_linkage": True, **options})


class ArticleSchema(Schema):
    id = fields.Str()
    title = fields.Str(required=True, validate=validate.Length(1, 40))
    word_count = fields.Int(data_key="wordCount", allow_none=True)
    options = fields.Dict(allow_none=True)
    slug = fields.Str(dump_only=True)
    author = to_one("people")
    sequel = to_one("articles")
    editors = fields.Relationship(type_="people", many=True, attribute="edited_by")
    tags = to_many("tags")
    first_reader = to_one("people", data_key="firstReader", dump_only=True)

    class Meta:
        type_ = "articles"


class PersonSchema(Schema):
    id = fields.Str()
    name = fields.Str(required=True)
    friends = to_many("people")

    class Meta:
        type_ = "people"


class TagSchema(Schema):
    id = fields.Str()
    label = fields.Str()

    class Meta:
        type_ = "tags"


class NoteSchema(Schema):
    id = fields.Str()
    text = fields.Str(required=True)
    about = to_one("articles", required=True, allow_none=False)

    class Meta:
        type_ = "notes"


def declare(atomic: Atomic) -> None:
    """Declare articles and people with integers as ids, tags with strings, and notes with UUIDs."""
    atomic.resource(ArticleSchema, defaults={"slug": lambda: "none"})
    atomic.resource(PersonSchema)
    atomic.resource(TagSchema, client_ids="allowed", collection="labels", id_type=str)
    atomic.resource(NoteSchema, client_ids="required", id_type=UUID)


def application(atomic: Atomic, url_prefix: str | None = "/api", **config: Any) -> Flask:
    """An application that serves `atomic`."""
    flask = Flask("application")
    flask.config.update(config)
    flask.register_blueprint(atomic.blueprint, url_prefix=url_prefix)
    return flask


class World(NamedTuple):
    """An application with the types of `declare`, and who is behind it."""

    client: FlaskClient
    atomic: Atomic
    layer: MemoryLayer


def world(*plugins: object, **config: Any) -> World:
    """An application with the types of `declare` in memory, and these plugins besides."""
    layer = MemoryLayer()
    atomic = Atomic(layer, *plugins)
    declare(atomic)
    return World(application(atomic, **config).test_client(), atomic, layer)


def seeded(*plugins: object, **config: Any) -> World:
    """The same with the people 1 and 2, friends of each other, the article 3 by 1, the tags x and y, and a note."""
    made = world(*plugins, **config)
    answer = post(
        made.client,
        add("people", lid="ann", attributes={"name": "Ann"}),
        add("people", lid="bob", attributes={"name": "Bob"}, relationships={"friends": [lid("people", "ann")]}),
        add(
            "articles",
            attributes={"title": "First", "wordCount": 9},
            relationships={"author": lid("people", "ann"), "editors": [lid("people", "bob")]},
        ),
        add("tags", id="x"),
        add("tags", id="y"),
        update("people", "1", relationships={"friends": [id_("people", "2")]}),
        update("articles", "3", relationships={"tags": [id_("tags", "x")]}),
        add("notes", id=NOTE, attributes={"text": "!"}, relationships={"about": id_("articles", "3")}),
    )
    assert answer.response.status_code == 200, answer.response.json
    return made


def stored(layer: MemoryLayer) -> dict[Any, Any]:
    """Everything that the layer has committed."""
    return {key: dict(vars(entity)) for key, entity in layer._entities.items()}


# ----------------------------------------------------------------------------------------------- writing operations


def id_(type_: str, id: str) -> dict[str, str]:
    return {"type": type_, "id": id}


def lid(type_: str, lid: str) -> dict[str, str]:
    return {"type": type_, "lid": lid}


def _resource(type_: str, relationships: Mapping[str, Any] | None, members: dict[str, Any]) -> dict[str, Any]:
    data = {"type": type_, **members}
    if relationships is not None:
        data["relationships"] = {name: {"data": linkage} for name, linkage in relationships.items()}
    return data


def add(type_: str, relationships: Mapping[str, Any] | None = None, **members: Any) -> dict[str, Any]:
    """The operation that adds a resource; `relationships` has the linkage by name."""
    return {"op": "add", "data": _resource(type_, relationships, members)}


def update(
    type_: str, id: str | None = None, relationships: Mapping[str, Any] | None = None, **members: Any
) -> dict[str, Any]:
    """The operation that updates a resource, by its id or `lid=`."""
    return {
        "op": "update",
        "data": _resource(type_, relationships, members if id is None else {"id": id, **members}),
    }


def remove(type_: str, id: str) -> dict[str, Any]:
    """The operation that removes a resource."""
    return {"op": "remove", "ref": id_(type_, id)}


def relate(op: str, target: Mapping[str, str], relationship: str, data: Any) -> dict[str, Any]:
    """The operation on a relationship of the resource that the identifier `target` names."""
    return {"op": op, "ref": {**target, "relationship": relationship}, "data": data}


# ------------------------------------------------------------------------------------------------------------ sending


class Answer(NamedTuple):
    """What was sent, as JSON that was parsed if it can be, and the response."""

    sent: Any
    response: TestResponse

    @property
    def status(self) -> int:
        return self.response.status_code

    @property
    def results(self) -> list[dict[str, Any]]:
        """The result objects of a success with a document."""
        document = self._document(200)
        assert set(document) == {"jsonapi", "atomic:results"}
        results: list[dict[str, Any]] = document["atomic:results"]
        if isinstance(self.sent, dict):
            assert len(results) == len(self.sent["atomic:operations"])
        return results

    @property
    def errors(self) -> list[tuple[int, str, str | None]]:
        """Status, code and pointer of each error; pointers begin behind `/atomic:operations`.

        The document is checked on the way: its members, its status, and that every pointer leads to something that was
        sent.
        """
        return [(int(error["status"]), error["code"], self._shortened(error)) for error in self.error_objects]

    @property
    def error_objects(self) -> list[dict[str, Any]]:
        errors: list[dict[str, Any]] = self._document(self.status)["errors"]
        assert errors
        statuses = {int(error["status"]) for error in errors}
        general = statuses.pop() if len(statuses) == 1 else 500 if max(statuses) >= 500 else 400
        assert self.status == general >= 400
        for error in errors:
            assert set(error) - {"id", "source"} == {"status", "code", "title", "detail"}
            assert all(error.values())
            assert len(error.get("source", {"": ""})) == 1
        return errors

    def _document(self, status: int) -> dict[str, Any]:
        assert self.status == status, self.response.text
        assert self.response.headers["Content-Type"] == CONTENT_TYPE
        assert self.response.vary.as_set() == {"accept"}
        document: dict[str, Any] = self.response.json
        assert document["jsonapi"] == {"version": "1.1", "ext": ["https://jsonapi.org/ext/atomic"]}
        assert ("errors" in document) != ("atomic:results" in document)
        return document

    def _shortened(self, error: dict[str, Any]) -> str | None:
        pointer: str | None = error.get("source", {}).get("pointer")
        if pointer is None:
            return None
        resolve(self.sent, pointer)
        return pointer.removeprefix(ROOT) if pointer.startswith(f"{ROOT}/") else pointer


def post(client: FlaskClient, *operations: Any, path: str = "/api/operations", **options: Any) -> Answer:
    """Send the operations; `options` are those of the test client."""
    return send(client, {"atomic:operations": list(operations)}, path=path, **options)


def send(client: FlaskClient, body: Any, path: str = "/api/operations", **options: Any) -> Answer:
    """Send a body: bytes and texts as they are, other values as JSON."""
    data = body if isinstance(body, bytes | str) else json.dumps(body)
    response = client.post(path, **{"data": data, "content_type": CONTENT_TYPE, **options})
    return Answer(_parsed(data), response)


def _parsed(data: bytes | str) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None


def read(client: FlaskClient, type_: str, id: str) -> dict[str, Any] | None:
    """The resource as an update without changes returns it, None if there is none."""
    answer = post(client, update(type_, id))
    if answer.status == 404:
        return None
    found: dict[str, Any] = answer.results[0]["data"]
    return found
