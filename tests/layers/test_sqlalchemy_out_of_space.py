"""A store without room: a clear answer, nothing of the request is stored, and all is well when there is room again.

SQLite is given room for so many pages, or for files of so many bytes. Triggers have PostgreSQL and MariaDB say what
they say when a disk is full.
"""

from __future__ import annotations

import resource
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from marshmallow_jsonapi import fields
from sqlalchemy import Text, create_engine, event, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, sessionmaker

from example.database import set_up_sqlite
from flask_atomic import Atomic, hookimpl
from flask_atomic.layers.sqlalchemy import SQLAlchemyLayer, idempotency_table
from tests.application import Answer, add, application, post, schema
from tests.servers import second_connection


class Base(DeclarativeBase):
    pass


class Note(Base):
    __tablename__ = "notes"
    id: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str] = mapped_column(Text)


idempotency_table(Base.metadata)

LONG = "x" * 3000
FULL = [(507, "insufficient-storage", None)]


class Careless:
    """Has a statement fail before each flush, and goes on as if nothing were."""

    name = "careless"

    @hookimpl(wrapper=True)
    def atomic_flush(self, unit: Any) -> Iterator[Any]:
        connection = unit.session.connection()
        with suppress(DBAPIError):
            for id_ in range(1000, 1100):
                connection.execute(text(f"INSERT INTO notes VALUES ({id_}, '{LONG}')"))
        connection.execute(text("DELETE FROM notes WHERE id >= 1000"))
        return (yield)


class Notes:
    """An application that keeps notes, and the same database seen from outside.

    :param pragmas: what each connection to SQLite is set to.
    """

    def __init__(self, url: str, *plugins: object, pragmas: dict[str, Any] | None = None, begin: bool = True) -> None:
        self.pragmas = pragmas or {}
        self.engine = create_engine(url)
        self.outside = second_connection(url)
        Base.metadata.create_all(self.outside)
        if begin:
            set_up_sqlite(self.engine)
        if self.engine.dialect.name == "sqlite":
            event.listen(self.engine, "connect", self._set_up)
        atomic = Atomic(SQLAlchemyLayer(sessionmaker(self.engine)), *plugins)
        atomic.resource(schema("notes", text=fields.Str()), model=Note)
        self.client = application(atomic, ATOMIC_RETRIES=1, ATOMIC_IDEMPOTENCY="optional").test_client()

    def _set_up(self, connection: sqlite3.Connection, _: object) -> None:
        for name, value in self.pragmas.items():
            connection.execute(f"PRAGMA {name} = {value}")

    def add(self, count: int, value: str = LONG, key: str | None = None) -> Answer:
        headers = {"Idempotency-Key": f'"{key}"'} if key else {}
        return post(self.client, *(add("notes", attributes={"text": value}) for _ in range(count)), headers=headers)

    @property
    def stored(self) -> int:
        with self.outside.connect() as connection:
            return int(connection.scalar(text("SELECT count(*) FROM notes")) or 0)


@contextmanager
def files_up_to(size: int) -> Iterator[None]:
    """Have writes fail beyond so many bytes of a file, as they do where a quota is used up."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("begin", [True, False])
def test_sqlite_is_full(sqlite_url: str, begin: bool) -> None:
    notes = Notes(sqlite_url, pragmas={"max_page_count": 20}, begin=begin)
    assert notes.add(2).status == 200

    answer = notes.add(30, key="k")

    assert answer.errors == FULL
    assert "Retry-After" not in answer.response.headers
    assert notes.stored == 2
    assert notes.add(1, "short").status == 200

    notes.pragmas = {"max_page_count": 1000}
    notes.engine.dispose()
    answer = notes.add(30, key="k")
    assert (answer.status, answer.response.headers.get("Idempotency-Replayed")) == (200, None)
    assert notes.stored == 33


@pytest.mark.parametrize("begin", [True, False])
def test_sqlite_has_rolled_back_and_somebody_goes_on(sqlite_url: str, begin: bool) -> None:
    """After the failure SQLite is in no transaction, and would store what follows statement by statement."""
    notes = Notes(sqlite_url, Careless(), pragmas={"max_page_count": 20}, begin=begin)

    assert [error[:2] for error in notes.add(2, "short").errors] == [(503, "unavailable")]
    assert notes.stored == 0


def test_sqlite_has_no_room_for_the_index_of_its_log(sqlite_url: str) -> None:
    notes = Notes(sqlite_url)
    assert notes.add(2).status == 200
    notes.engine.dispose()  # who closes the file last removes the log
    notes.outside.dispose()

    with files_up_to(100):
        answer = notes.add(1)

    assert answer.errors == FULL
    assert notes.stored == 2
    assert notes.add(1).status == 200


def test_a_disk_that_fails_during_the_operations(sqlite_url: str) -> None:
    notes = Notes(sqlite_url, pragmas={"cache_size": 2}, begin=False)
    assert notes.add(2).status == 200

    with files_up_to(30_000):
        answer = notes.add(100)

    assert answer.errors == [(503, "unavailable", None)]
    assert notes.stored == 2
    assert notes.add(100).status == 200


def test_a_disk_that_fails_during_the_commit(sqlite_url: str) -> None:
    """What was written last may be there when the file is opened the next time: SQLite cannot tell."""
    notes = Notes(sqlite_url, begin=False)
    assert notes.add(2).status == 200

    with files_up_to(30_000):
        answer = notes.add(100)

    assert [error[:2] for error in answer.errors] == [(500, "outcome-unknown")]
    assert notes.stored == 2
    assert notes.add(100).status == 200


SAYING = {
    "53100": ["CREATE FUNCTION full_() RETURNS trigger LANGUAGE plpgsql AS "
              "$$BEGIN RAISE EXCEPTION 'No space left on device' USING ERRCODE = 'disk_full'; END$$",
              "CREATE TRIGGER full_ BEFORE INSERT ON notes EXECUTE FUNCTION full_()"],
    **{code: ["CREATE TRIGGER full_ BEFORE INSERT ON notes FOR EACH ROW "
              f"SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = {code}"] for code in ("1021", "1114")},
}  # fmt: skip
"""What has a server say that a disk or a table is full, by what it says then."""

NO_MORE = {"postgresql": "DROP TRIGGER full_ ON notes", "mysql": "DROP TRIGGER full_"}


@pytest.mark.parametrize("code", SAYING)
def test_a_server_is_full(code: str, request: pytest.FixtureRequest) -> None:
    notes = Notes(request.getfixturevalue("postgresql_url" if code == "53100" else "mariadb_url"))
    with notes.outside.connect() as connection:
        for statement in SAYING[code]:
            connection.exec_driver_sql(statement)

    answer = notes.add(2)

    assert answer.errors == FULL
    assert "Retry-After" not in answer.response.headers
    assert notes.stored == 0
    with notes.outside.connect() as connection:
        connection.exec_driver_sql(NO_MORE[connection.dialect.name])
    assert notes.add(2).status == 200
