"""After every request the connection is back in the pool and no transaction is open, whatever failed on the way."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from marshmallow_jsonapi import fields
from sqlalchemy import Engine, QueuePool, String, create_engine, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, sessionmaker

from flask_atomic import Atomic, hookimpl
from flask_atomic.layers.sqlalchemy import SQLAlchemyLayer
from tests.application import add, application, post, remove, schema, update
from tests.servers import second_connection


class Base(DeclarativeBase):
    pass


class Note(Base):
    __tablename__ = "notes"
    id: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str] = mapped_column(String(20))


HOOKS = [
    "atomic_begin",
    "atomic_get",
    "atomic_add",
    "atomic_update",
    "atomic_remove",
    "atomic_flush",
    "atomic_identify",
    "atomic_commit",
    "atomic_rollback",
]

FAILURES = [(hook, when) for hook in HOOKS for when in ("before", "after") if (hook, when) != ("atomic_begin", "after")]
"""Where a hook fails. A unit that a wrapper of `atomic_begin` keeps to itself is not the core's to close."""


def failing(hook: str, when: str, error: type[BaseException]) -> object:
    """A plugin that fails before or after the layer has done its work in one hook."""

    def wrapper(self: object) -> Iterator[Any]:
        if when == "before":
            raise error("on purpose")
        result = yield
        raise error("on purpose")
        return result

    return type("Failing", (), {hook: hookimpl(wrapper=True)(wrapper)})()


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = create_engine(database_url, poolclass=QueuePool)
    Base.metadata.create_all(engine)
    yield engine
    engine.dispose()


def serve(engine: Engine, *plugins: object, **config: Any) -> Any:
    atomic = Atomic(SQLAlchemyLayer(sessionmaker(engine)), *plugins)
    atomic.resource(schema("notes", text=fields.Str(required=True)), model=Note)
    return application(atomic, **config).test_client()


def assert_nothing_is_open(engine: Engine, database_url: str) -> None:
    assert engine.pool.checkedout() == 0  # type: ignore[attr-defined]
    outside = second_connection(database_url)
    with outside.connect() as connection:  # which would wait for a lock, or find the table locked
        connection.execute(text("UPDATE notes SET text = 'mine'"))


OPERATIONS = [add("notes", attributes={"text": "new"}), update("notes", "1", attributes={"text": "b"})]


class TestNothingIsOpen:
    @pytest.mark.parametrize(("hook", "when"), FAILURES)
    def test_where_a_hook_fails(self, engine, database_url, hook, when):
        assert post(serve(engine), add("notes", attributes={"text": "a"})).response.status_code == 200
        # Where a rollback leaves the transaction open, another attempt would wait for its locks: there must be none.
        client = serve(engine, failing(hook, when, RuntimeError), ATOMIC_BATCH="roll" not in hook)
        answer = post(client, *OPERATIONS, remove("notes", "1"), *([remove("notes", "9")] if "roll" in hook else []))

        assert answer.response.status_code in (404, 500)
        committed = hook == "atomic_commit" and when == "after"
        with second_connection(database_url).connect() as connection:
            texts = list(connection.execute(text("SELECT text FROM notes")).scalars())
        assert texts == (["new"] if committed else ["a"])
        if (hook, when) != ("atomic_rollback", "before"):
            assert_nothing_is_open(engine, database_url)

    @pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit])
    def test_where_the_process_is_told_to_end(self, engine, database_url, error):
        client = serve(engine, failing("atomic_flush", "after", error))
        with pytest.raises(error):
            post(client, *OPERATIONS[:1])

        assert_nothing_is_open(engine, database_url)

    def test_after_a_success_and_a_refusal(self, engine, database_url):
        client = serve(engine)
        assert post(client, *OPERATIONS[:1]).response.status_code == 200
        assert_nothing_is_open(engine, database_url)
        assert post(client, *OPERATIONS[:1], remove("notes", "9")).response.status_code == 404
        assert_nothing_is_open(engine, database_url)
