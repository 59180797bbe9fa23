"""A library: resource types with all that schemas may have, in memory and on a database, for tests that need much."""

from __future__ import annotations

import enum
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from flask import Flask
from flask.testing import FlaskClient
from marshmallow import Schema as PlainSchema
from marshmallow import ValidationError, validate, validates_schema
from marshmallow_jsonapi import Schema, fields
from sqlalchemy import JSON, Column, DateTime, ForeignKey, Numeric, String, Table, create_engine, event
from sqlalchemy.engine import Engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship, sessionmaker

from flask_atomic import Atomic, MemoryLayer
from flask_atomic.layers.sqlalchemy import SQLAlchemyLayer

ANN, BOB = "6f1c1e2a-0000-4000-8000-00000000000a", "6f1c1e2a-0000-4000-8000-00000000000b"
TAGS = "key words"
"""The collection of the tags."""


class State(enum.Enum):
    NEW = "new"
    WORN = "worn"


# ------------------------------------------------------------------------------------------------------------ models


class Base(DeclarativeBase):
    pass


book_tags = Table(
    "book_tags",
    Base.metadata,
    Column("book_id", ForeignKey("books.id"), primary_key=True),
    Column("tag_id", ForeignKey("tags.id"), primary_key=True),
)
acquaintances = Table(
    "acquaintances",
    Base.metadata,
    Column("person_id", ForeignKey("people.id"), primary_key=True),
    Column("friend_id", ForeignKey("people.id"), primary_key=True),
)


class Book(Base):
    __tablename__ = "books"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str] = mapped_column(String(40))
    isbn: Mapped[str | None] = mapped_column(String(20), unique=True)
    pages: Mapped[int | None]
    weight: Mapped[float | None]
    price: Mapped[Decimal | None] = mapped_column(Numeric(8, 2, asdecimal=True))
    published: Mapped[date | None]
    printed_at: Mapped[datetime | None] = mapped_column(DateTime())
    serial: Mapped[UUID | None]
    state: Mapped[State | None]
    size: Mapped[Any | None] = mapped_column(JSON(none_as_null=True))
    chapters: Mapped[Any | None] = mapped_column(JSON(none_as_null=True))
    extra: Mapped[Any | None] = mapped_column(JSON(none_as_null=True))
    secret: Mapped[str | None]
    shelf_mark: Mapped[str] = mapped_column(default="none")
    author_id: Mapped[UUID] = mapped_column(ForeignKey("people.id"))
    sequel_id: Mapped[int | None] = mapped_column(ForeignKey("books.id"))
    author: Mapped[Person] = relationship(back_populates="books")
    sequel: Mapped[Book | None] = relationship(remote_side=[id], back_populates="prequels")
    prequels: Mapped[list[Book]] = relationship(back_populates="sequel")
    tags: Mapped[list[Tag]] = relationship(secondary=book_tags, back_populates="books")


class Person(Base):
    __tablename__ = "people"
    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    name: Mapped[str] = mapped_column(String(20), unique=True)
    boss_id: Mapped[UUID | None] = mapped_column(ForeignKey("people.id"))
    boss: Mapped[Person | None] = relationship(remote_side=[id], back_populates="staff")
    staff: Mapped[list[Person]] = relationship(back_populates="boss")
    books: Mapped[list[Book]] = relationship(back_populates="author")
    card: Mapped[Card | None] = relationship(back_populates="owner")
    friends: Mapped[list[Person]] = relationship(
        secondary=acquaintances,
        primaryjoin=lambda: Person.id == acquaintances.c.person_id,
        secondaryjoin=lambda: Person.id == acquaintances.c.friend_id,
    )


class Tag(Base):
    __tablename__ = "tags"
    id: Mapped[str] = mapped_column(String(20), primary_key=True)
    label: Mapped[str | None] = mapped_column(String(20))
    books: Mapped[list[Book]] = relationship(secondary=book_tags, back_populates="tags")


class Card(Base):
    """Belongs to one person, who has no other."""

    __tablename__ = "cards"
    id: Mapped[int] = mapped_column(primary_key=True)
    owner_id: Mapped[UUID | None] = mapped_column(ForeignKey("people.id"), unique=True)
    owner: Mapped[Person | None] = relationship(back_populates="card")


# ----------------------------------------------------------------------------------------------------------- schemas


class SizeSchema(PlainSchema):
    height = fields.Int(required=True, validate=validate.Range(1, 100))
    width = fields.Int(allow_none=True)


class ChapterSchema(PlainSchema):
    heading = fields.Str(required=True)
    pages = fields.List(fields.Int(), data_key="onPages")
    size = fields.Nested(SizeSchema, allow_none=True)


def dasherize(name: str) -> str:
    return name.replace("_", "-")


class BookSchema(Schema):
    id = fields.Str()
    title = fields.Str(required=True, validate=validate.Length(1, 40))
    isbn = fields.Str(allow_none=True, validate=validate.Length(max=20))
    pages = fields.Int(allow_none=True)
    weight = fields.Float(allow_none=True)
    price = fields.Decimal(places=2, allow_none=True, as_string=True)
    published = fields.Date(data_key="publishedOn", allow_none=True)
    printed_at = fields.NaiveDateTime(allow_none=True)
    serial = fields.UUID(allow_none=True)
    state = fields.Enum(State, by_value=True, allow_none=True)
    size = fields.Nested(SizeSchema, allow_none=True)
    chapters = fields.List(fields.Nested(ChapterSchema), allow_none=True)
    extra = fields.Dict(allow_none=True)
    secret = fields.Str(load_only=True)
    shelf_mark = fields.Str(dump_only=True)
    author = fields.Relationship(type_="people", required=True, include_resource_linkage=True)
    sequel = fields.Relationship(type_="books", allow_none=True, include_resource_linkage=True)
    prequels = fields.Relationship(type_="books", many=True, include_resource_linkage=True)
    tags = fields.Relationship(type_="tags", many=True, include_resource_linkage=True)

    @validates_schema
    def refuse_the_unlucky(self, data: Mapping[str, Any], **_: Any) -> None:
        if data.get("pages") == 13:
            raise ValidationError("No book has 13 pages.")

    class Meta:
        type_ = "books"
        inflect = dasherize


class PersonSchema(Schema):
    id = fields.Str()
    name = fields.Str(required=True, validate=validate.Length(max=20))
    boss = fields.Relationship(type_="people", allow_none=True, include_resource_linkage=True)
    staff = fields.Relationship(type_="people", many=True)
    books = fields.Relationship(type_="books", many=True, data_key="hasWritten")
    card = fields.Relationship(type_="cards", allow_none=True, include_resource_linkage=True)
    friends = fields.Relationship(type_="people", many=True, include_resource_linkage=True)

    class Meta:
        type_ = "people"


class TagSchema(Schema):
    id = fields.Str()
    label = fields.Str(allow_none=True, validate=validate.Length(max=20))
    books = fields.Relationship(type_="books", many=True, dump_only=True)

    class Meta:
        type_ = "tags"


class CardSchema(Schema):
    id = fields.Str()
    owner = fields.Relationship(type_="people", allow_none=True, include_resource_linkage=True)

    class Meta:
        type_ = "cards"


# ------------------------------------------------------------------------------------------------------ applications

FIRST = [
    {"type": "people", "id": ANN, "attributes": {"name": "Ann"}},
    {
        "type": "people",
        "id": BOB,
        "attributes": {"name": "Bob"},
        "relationships": {
            "boss": {"data": {"type": "people", "id": ANN}},
            "friends": {"data": [{"type": "people", "id": ANN}]},
        },
    },
    {"type": "tags", "id": "x"},
    {"type": "tags", "id": "y"},
    *(
        {
            "type": "books",
            "attributes": {"title": title, "isbn": title},
            "relationships": {
                "author": {"data": {"type": "people", "id": ANN}},
                "tags": {"data": [{"type": "tags", "id": "x"}]},
            },
        }
        for title in ("One", "Two")
    ),
    {"type": "cards", "relationships": {"owner": {"data": {"type": "people", "id": ANN}}}},
    *({"type": "cards"} for _ in range(3)),
]
"""The resources that are there in the beginning; integer ids count from 1, in memory through all types."""


class Library:
    """A store, and applications on it.

    :param configurations: the settings of each application.
    """

    ids: Mapping[str, list[str]]
    """The ids of the resources that are there in the beginning, by type."""

    def __init__(self, layer: Callable[[], object], *configurations: Mapping[str, Any]) -> None:
        self.clients = [self._client(layer(), configuration) for configuration in configurations]
        operations = [{"op": "add", "data": resource} for resource in FIRST]
        answer = self.clients[0].post(
            "/api/operations",
            json={"atomic:operations": operations},
            content_type='application/vnd.api+json;ext="https://jsonapi.org/ext/atomic"',
        )
        assert answer.status_code == 200, answer.text
        ids: dict[str, list[str]] = {}
        for result in answer.get_json()["atomic:results"]:
            ids.setdefault(result["data"]["type"], []).append(result["data"]["id"])
        self.ids = ids

    def _client(self, layer: object, configuration: Mapping[str, Any]) -> FlaskClient:
        atomic = Atomic(layer)
        atomic.resource(BookSchema, model=Book, defaults={"shelf_mark": lambda: "none"})
        may = {"add", "update", "remove", "friends.add", "friends.update"}  # nobody loses a single friend
        atomic.resource(PersonSchema, model=Person, client_ids="allowed", id_type=UUID, operations=may)
        atomic.resource(TagSchema, model=Tag, client_ids="required", id_type=str, collection=TAGS)
        atomic.resource(CardSchema, model=Card)
        flask = Flask("library")
        flask.config.from_mapping(configuration)
        flask.register_blueprint(atomic.blueprint, url_prefix="/api")
        return flask.test_client()

    def rows(self) -> Any:
        """All that is stored, to be compared."""
        raise NotImplementedError

    def restore(self) -> None:
        """Store again what was there in the beginning."""
        raise NotImplementedError


class MemoryLibrary(Library):
    """In the memory of the process."""

    def __init__(self, *configurations: Mapping[str, Any]) -> None:
        self.layer = MemoryLayer()
        super().__init__(lambda: self.layer, *configurations)
        self._first = dict(self.layer._entities)

    def rows(self) -> Any:
        return {key: dict(vars(entity)) for key, entity in self.layer._entities.items()}

    def restore(self) -> None:
        self.layer._entities.clear()
        self.layer._entities.update(self._first)


class SQLiteLibrary(Library):
    """In an SQLite file, which is looked at through a connection of its own."""

    def __init__(self, file: Path, *configurations: Mapping[str, Any]) -> None:
        self._file = file
        self.engine = create_engine(f"sqlite:///{file}")
        _set_up(self.engine)
        Base.metadata.create_all(self.engine)
        super().__init__(lambda: SQLAlchemyLayer(sessionmaker(self.engine)), *configurations)
        self._first = sqlite3.connect(":memory:")
        with closing(sqlite3.connect(file)) as connection:
            connection.backup(self._first)

    def close(self) -> None:
        self.engine.dispose()
        self._first.close()

    def rows(self) -> Any:
        with closing(sqlite3.connect(self._file, timeout=0)) as connection:
            return {
                table: sorted(connection.execute(f"SELECT * FROM {table}"), key=repr) for table in Base.metadata.tables
            }

    def restore(self) -> None:
        with closing(sqlite3.connect(self._file, timeout=0)) as connection:
            self._first.backup(connection)


def _set_up(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def on_connect(connection: sqlite3.Connection, _: object) -> None:
        connection.isolation_level = None
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA synchronous = OFF")

    @event.listens_for(engine, "begin")
    def on_begin(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
