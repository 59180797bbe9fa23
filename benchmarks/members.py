"""One member is added to, and removed from, a to-many relationship of few members and of many."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from statistics import median
from typing import Any, ClassVar

from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from marshmallow_jsonapi import Schema, fields
from sqlalchemy import Column, Connection, Engine, ForeignKey, Integer, String, func, insert, select
from sqlalchemy import Table as SqlTable
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from flask_atomic import Atomic

from .client import Json
from .databases import fresh, title
from .local import LocalClient
from .models import tuned
from .options import Options
from .shop import Wrong
from .table import Table

__all__ = ["measure", "tables"]

_FEW = 10
_LEAST_RUNS = 3


class Base(DeclarativeBase):
    """The base class of all models."""

    type_annotation_map: ClassVar = {str: String(100)}


_library_readers = SqlTable(
    "library_readers",
    Base.metadata,
    Column("library_id", Integer, ForeignKey("libraries.id"), primary_key=True),
    Column("reader_id", Integer, ForeignKey("readers.id"), primary_key=True, index=True),
)


class Library(Base):
    """A library with its books, by their foreign keys, and its readers, by a table of both."""

    __tablename__ = "libraries"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    books: Mapped[list[Book]] = relationship(back_populates="library")
    readers: Mapped[list[Reader]] = relationship(secondary=_library_readers)


class Book(Base):
    """A book, in a library or in none."""

    __tablename__ = "books"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    library_id: Mapped[int | None] = mapped_column(ForeignKey("libraries.id"), index=True)
    library: Mapped[Library | None] = relationship(back_populates="books")


class Reader(Base):
    """A reader, of any number of libraries."""

    __tablename__ = "readers"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


class LibrarySchema(Schema):
    """A library; results do not show its members."""

    id = fields.Str()
    name = fields.Str(required=True)
    books = fields.Relationship(type_="book", many=True)
    readers = fields.Relationship(type_="reader", many=True)

    class Meta:
        type_ = "library"


class BookSchema(Schema):
    """A book."""

    id = fields.Str()
    name = fields.Str(required=True)

    class Meta:
        type_ = "book"


class ReaderSchema(Schema):
    """A reader."""

    id = fields.Str()
    name = fields.Str(required=True)

    class Meta:
        type_ = "reader"


_KINDS = {"books": "by foreign key", "readers": "by a table of its own"}


def measure(options: Options) -> Json:
    """Return seconds and statements by database, relationship, number of members and operation."""
    return {title(database): _measure(database, options) for database in options.databases}


def _measure(database: str, options: Options) -> Json:
    with fresh(database, options.work) as url:
        app, engine = _create_app(url)
        sizes = (_FEW, options.members)
        with engine.begin() as connection:
            _fill(connection, sizes)
        client = LocalClient(app)
        figures = {
            name: {str(size): _toggled(client, name, library, options) for library, size in enumerate(sizes, 1)}
            for name in _KINDS
        }
        with engine.begin() as connection:
            _check(connection, sizes)
        engine.dispose()
    return figures


def _create_app(url: str) -> tuple[Flask, Engine]:
    db = SQLAlchemy()
    app = Flask(__name__)
    app.config["SQLALCHEMY_DATABASE_URI"] = url
    db.init_app(app)
    atomic = Atomic()
    for schema, model in ((LibrarySchema, Library), (BookSchema, Book), (ReaderSchema, Reader)):
        atomic.resource(schema, model=model)
    app.register_blueprint(atomic.blueprint)
    with app.app_context():
        Base.metadata.create_all(tuned(db.engine))
        return app, db.engine


def _fill(connection: Connection, sizes: tuple[int, ...]) -> None:
    """Make a library of each size; the book and the reader that come first are in none."""
    members = [library for library, size in enumerate(sizes, 1) for _ in range(size)]
    _insert(connection, Library, ({"id": library, "name": "Library"} for library, _ in enumerate(sizes, 1)))
    _insert(connection, Reader, ({"id": id_, "name": "Reader"} for id_ in range(1, len(members) + 2)))
    libraries: list[int | None] = [None, *members]
    _insert(connection, Book, ({"id": id_, "name": "Book", "library_id": of} for id_, of in enumerate(libraries, 1)))
    _insert(connection, _library_readers, ({"library_id": of, "reader_id": id_} for id_, of in enumerate(members, 2)))


def _insert(connection: Connection, into: Any, rows: Iterator[Json]) -> None:
    while chunk := list(islice(rows, 10_000)):
        connection.execute(insert(into), chunk)


def _toggled(client: LocalClient, name: str, library: int, options: Options) -> Json:
    """Add the member that is in none, and remove it again, several times."""
    figures: Json = {op: {"seconds": [], "statements": 0} for op in ("add", "remove")}
    for _ in range(max(_LEAST_RUNS, options.most_runs)):
        for op in figures:
            ref = {"type": "library", "id": str(library), "relationship": name}
            answer = client.perform([{"op": op, "ref": ref, "data": [{"type": name.removesuffix("s"), "id": "1"}]}])
            if answer.status != 204:
                raise Wrong(f"{answer.status}: {answer.document}")
            figures[op]["seconds"].append(answer.seconds)
            figures[op]["statements"] = client.statements
    return figures


def _check(connection: Connection, sizes: tuple[int, ...]) -> None:
    for library, size in enumerate(sizes, 1):
        for column in (Book.library_id, _library_readers.c.library_id):
            stored = connection.scalar(select(func.count()).where(column == library))
            if stored != size:
                raise Wrong(f"{stored} members by {column}, and not {size}.")


def tables(figures: Json) -> list[Table]:
    """Return one table."""
    rows = [
        [f"{database}, {_KINDS[name]}", f"{int(size):,}", *_cells(of_size["add"]), *_cells(of_size["remove"])]
        for database, relationships in figures.items()
        for name, sizes in relationships.items()
        for size, of_size in sizes.items()
    ]
    head = ["", "members", "add: statements", "add: ms", "remove: statements", "remove: ms"]
    return [Table("members", "One member of a to-many relationship is added and removed", head, rows)]


def _cells(figures: Json) -> list[str]:
    return [str(figures["statements"]), f"{median(figures['seconds']) * 1000:.2f}"]
