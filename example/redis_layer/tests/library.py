"""Books, people and shelves, and applications that serve them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Flask
from flask_atomic import Atomic
from flask_atomic.testing import AtomicClient, Document, identifier
from marshmallow_jsonapi import Schema, fields

from flask_atomic_redis import RedisLayer


class PersonSchema(Schema):
    id = fields.Str()
    name = fields.Str(required=True)
    mentor = fields.Relationship(type_="people", include_resource_linkage=True, allow_none=True)

    class Meta:
        type_ = "people"


class BookSchema(Schema):
    id = fields.Str()
    title = fields.Str(required=True)
    author = fields.Relationship(type_="people", include_resource_linkage=True, allow_none=True)
    readers = fields.Relationship(type_="people", include_resource_linkage=True, many=True)
    shelf = fields.Relationship(type_="shelves", include_resource_linkage=True, allow_none=True)

    class Meta:
        type_ = "books"


class ShelfSchema(Schema):
    id = fields.Str()
    room = fields.Str()

    class Meta:
        type_ = "shelves"


def atomic(*plugins: object, shelves: dict[str, Any] | None = None) -> Atomic:
    """The types of the library: people have numbers that clients may choose, and shelves have UUIDs.

    :param shelves: the options of shelves, if another layer than "redis" keeps them.
    """
    atomic = Atomic(*plugins)
    atomic.resource(PersonSchema, layer="redis", client_ids="allowed")
    atomic.resource(BookSchema, layer="redis")
    atomic.resource(ShelfSchema, **(shelves or {"layer": "redis", "id_type": UUID, "client_ids": "allowed"}))
    return atomic


def application(*plugins: object, shelves: dict[str, Any] | None = None, **config: Any) -> Flask:
    """An application that serves the library."""
    app = Flask("library")
    app.config.update(config)
    app.register_blueprint(atomic(*plugins, shelves=shelves).blueprint)
    return app


def client(layer: RedisLayer, *plugins: object, **config: Any) -> AtomicClient:
    return AtomicClient(application(layer, *plugins, **config))


def person(name: str, document: Document | None = None, **members: Any) -> Document:
    return (document or Document()).add("people", attributes={"name": name}, **members)


def book(title: str, document: Document | None = None, **members: Any) -> Document:
    return (document or Document()).add("books", attributes={"title": title}, **members)


def shown(resource: dict[str, Any]) -> dict[str, Any]:
    """The ids that the relationships of a resource show."""
    return {
        name: [each["id"] for each in held["data"]]
        if isinstance(held["data"], list)
        else held["data"] and held["data"]["id"]
        for name, held in resource["relationships"].items()
    }


def read(client: AtomicClient, type: str, id: str) -> Any:
    """The resource as it is stored, None if it is not there."""
    answer = client.send(Document().update(identifier(type, id)))
    return None if answer.status == 404 else answer.resources[0]
