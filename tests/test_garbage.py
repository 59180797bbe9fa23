"""The collector waits while a large request is performed, and goes on afterwards, whatever has become of it."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, sessionmaker

from flask_atomic import Atomic, MemoryLayer, hookimpl
from flask_atomic.layers.sqlalchemy import SQLAlchemyLayer
from flask_atomic.operations import Operation
from flask_atomic.resources import Reference
from flask_atomic.steps import Step
from tests.application import add, application, post, remove, schema, update


class Looking:
    """Notes whether garbage was collected while operations were added."""

    def __init__(self) -> None:
        self.was_running: set[bool] = set()
        self.fails = False

    @hookimpl(wrapper=True)
    def atomic_add(self) -> Iterator[Any]:
        self.was_running.add(gc.isenabled())
        if self.fails:
            raise RuntimeError
        return (yield)  # type: ignore[misc]


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize(("operations", "waits"), [(1, False), (1000, True)])
def test_the_collector_waits_for_large_requests(operations: int, waits: bool, fails: bool) -> None:
    looking = Looking()
    looking.fails = fails
    atomic = Atomic(MemoryLayer(), looking)
    atomic.resource(schema("notes"))
    client = application(atomic).test_client()

    answer = post(client, *[add("notes")] * operations)
    assert answer.status == (500 if fails else 200)
    assert looking.was_running == {not waits}
    assert gc.isenabled()


def test_a_collector_that_was_stopped_stays_so() -> None:
    atomic = Atomic(MemoryLayer())
    atomic.resource(schema("notes"))
    client = application(atomic).test_client()
    gc.disable()
    try:
        post(client, *[add("notes")] * 1000)
        assert not gc.isenabled()
    finally:
        gc.enable()


class Base(DeclarativeBase):
    pass


class Note(Base):
    __tablename__ = "notes"
    id: Mapped[int] = mapped_column(primary_key=True)


def made() -> int:
    """How many there are of what a request makes for its operations."""
    return sum(isinstance(each, Operation | Step | Reference | Note) for each in gc.get_objects())


@pytest.mark.parametrize("kind", ["memory", "sqlalchemy"])
def test_nothing_of_a_request_is_left_to_it(kind: str, sqlite_url: str) -> None:
    engine = create_engine(sqlite_url)
    Base.metadata.create_all(engine)
    atomic = Atomic(MemoryLayer() if kind == "memory" else SQLAlchemyLayer(sessionmaker(engine)))
    atomic.resource(schema("notes"), **({} if kind == "memory" else {"model": Note}))
    client = application(atomic).test_client()
    assert post(client, add("notes"), add("notes")).status == 200
    gc.collect()
    before = made()
    gc.disable()
    try:
        requests = [add("notes")] * 100, [update("notes", "1")] * 2, [remove("notes", "1"), remove("notes", "2")]
        for operations in requests:
            assert post(client, *operations).status < 300
        assert made() == before
    finally:
        gc.enable()
