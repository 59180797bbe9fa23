"""One request over several layers: with those that can vote, and not with another one that cannot."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask_atomic import MemoryLayer, Transient, hookimpl
from flask_atomic.layers.sqlalchemy import SQLAlchemyLayer
from flask_atomic.testing import AtomicClient, Document, identifier
from flask_sqlalchemy import SQLAlchemy
from redis import Redis
from sqlalchemy import NullPool
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from flask_atomic_redis import RedisLayer
from tests import library


class Base(DeclarativeBase):
    pass


class Shelf(Base):
    __tablename__ = "shelves"
    id: Mapped[int] = mapped_column(primary_key=True)
    room: Mapped[str | None]


@pytest.fixture
def tables(tmp_path: Path) -> tuple[Flask, SQLAlchemy]:
    """An application with a database."""
    db = SQLAlchemy(model_class=Base, engine_options={"poolclass": NullPool})
    app = Flask("tables")
    app.config["SQLALCHEMY_DATABASE_URI"] = f"sqlite:///{tmp_path / 'shelves.sqlite'}"
    db.init_app(app)
    with app.app_context():
        db.create_all()
    return app, db


@pytest.fixture
def with_tables(layer: RedisLayer, tables: tuple[Flask, SQLAlchemy]) -> AtomicClient:
    """A client of the library, whose shelves are in a table."""
    app, db = tables
    app.register_blueprint(library.atomic(layer, SQLAlchemyLayer(db), shelves={"model": Shelf}).blueprint)
    return AtomicClient(app)


def shelf_and_book(**members: Any) -> Document:
    shelf = Document().add("shelves", lid="s", attributes={"room": "A"})
    return library.book("Notes", shelf, relationships={"shelf": identifier("shelves", lid="s")}, **members)


def keys(redis: Redis, prefix: str) -> set[str]:
    """The keys of resources."""
    return {key.removeprefix(prefix) for key in redis.scan_iter(f"{prefix}:*:*")}


def test_to_write_into_tables_and_into_redis_is_refused(
    with_tables: AtomicClient, redis: Redis, prefix: str, round_trips: list[list[str]]
) -> None:
    with_tables.send(shelf_and_book()).assert_error("not-atomic", status=422)
    assert (keys(redis, prefix), round_trips) == (set(), [])  # refused before anything was begun
    assert library.read(with_tables, "shelves", "1") is None


def test_what_is_in_a_table_can_be_referred_to(with_tables: AtomicClient, redis: Redis, prefix: str) -> None:
    (shelf,) = with_tables.send(Document().add("shelves", attributes={"room": "A"})).resources
    (book,) = with_tables.send(library.book("Notes", relationships={"shelf": shelf})).resources
    assert library.shown(book)["shelf"] == shelf["id"]
    assert redis.hget(f"{prefix}:books:1", "shelf") == "1"
    missing = library.book("Notes", relationships={"shelf": identifier("shelves", "99")})
    with_tables.send(missing).assert_error("related-resource-not-found")


def test_nobody_tells_of_a_removal_elsewhere(with_tables: AtomicClient) -> None:
    (shelf,) = with_tables.send(Document().add("shelves")).resources
    (book,) = with_tables.send(library.book("Notes", relationships={"shelf": shelf})).resources
    assert with_tables.send(Document().remove(shelf)).status == 204
    assert library.shown(library.read(with_tables, "books", book["id"]))["shelf"] == shelf["id"]


# ---------------------------------------------------------------------------------------------------- with memory


class Veto:
    """Keeps the memory from committing."""

    vetoes = False

    @hookimpl(wrapper=True)
    def atomic_prepare(self) -> Iterator[None]:
        if self.vetoes:
            raise Transient("Not now.")
        return (yield)


@pytest.fixture
def veto() -> Veto:
    return Veto()


@pytest.fixture
def with_memory(layer: RedisLayer, veto: Veto) -> AtomicClient:
    """A client of the library, whose shelves are in memory."""
    return AtomicClient(library.application(layer, MemoryLayer(), veto, shelves={"layer": "memory"}))


def test_memory_and_redis_commit_together(with_memory: AtomicClient, redis: Redis, prefix: str) -> None:
    shelf, book = with_memory.send(shelf_and_book()).resources
    assert library.shown(book)["shelf"] == shelf["id"]
    assert keys(redis, prefix) == {":books:1"}
    assert library.read(with_memory, "shelves", shelf["id"]) == shelf
    assert library.read(with_memory, "books", "1") == book


def test_if_the_memory_votes_against_it_nothing_is_in_redis(
    with_memory: AtomicClient, veto: Veto, redis: Redis, prefix: str
) -> None:
    veto.vetoes = True
    with_memory.send(shelf_and_book()).assert_error("unavailable", status=503)
    veto.vetoes = False
    assert keys(redis, prefix) == set()
    assert library.read(with_memory, "shelves", "1") is None


def test_if_redis_refuses_nothing_is_in_memory(layer: RedisLayer, redis: Redis, prefix: str) -> None:
    class Change:
        """Changes the author before the commit."""

        is_on = False

        @hookimpl(wrapper=True)
        def atomic_commit(self) -> Iterator[None]:
            if self.is_on:
                redis.hset(f"{prefix}:people:1", "name", '"Changed"')
            return (yield)

    change = Change()
    client = AtomicClient(library.application(layer, MemoryLayer(), change, shelves={"layer": "memory"}))
    client.send(library.person("Ada"))
    change.is_on = True
    document = Document().add("shelves").update(identifier("people", "1"), attributes={"name": "Lovelace"})
    client.send(document).assert_error("unavailable", status=503)
    assert library.read(client, "shelves", "1") is None
    assert redis.hget(f"{prefix}:people:1", "name") == '"Changed"'
