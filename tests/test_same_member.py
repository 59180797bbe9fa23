"""Two requests that add the same member to a to-many relationship at the same time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Barrier, Thread, local
from typing import Any

import pytest
from sqlalchemy import Column, Engine, ForeignKey, Table, create_engine, event, select, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship, sessionmaker

from flask_atomic import Atomic
from flask_atomic.layers.sqlalchemy import SQLAlchemyLayer
from tests.application import Answer, application, id_, post, relate, schema, to_many
from tests.servers import second_connection


class Base(DeclarativeBase):
    pass


book_tags = Table(
    "book_tags",
    Base.metadata,
    Column("book_id", ForeignKey("books.id"), primary_key=True),
    Column("tag_id", ForeignKey("tags.id"), primary_key=True),
)


class Book(Base):
    __tablename__ = "books"
    id: Mapped[int] = mapped_column(primary_key=True)
    tags: Mapped[list[Tag]] = relationship(secondary=book_tags)


class Tag(Base):
    __tablename__ = "tags"
    id: Mapped[int] = mapped_column(primary_key=True)


@contextmanager
def both_look_before_one_writes(engine: Engine) -> Iterator[None]:
    """Have the first INSERT of each of two threads wait for that of the other."""
    barrier, seen = Barrier(2, timeout=30), local()

    def meet(*arguments: Any) -> None:
        if arguments[2].startswith("INSERT") and not hasattr(seen, "once"):
            seen.once = True
            barrier.wait()

    event.listen(engine, "before_cursor_execute", meet)
    yield
    event.remove(engine, "before_cursor_execute", meet)


@pytest.mark.parametrize(("retries", "statuses"), [(3, [204, 204]), (0, [204, 503])])
def test_it_is_a_member_once(database_url: str, retries: int, statuses: list[int]) -> None:
    engine, outside = create_engine(database_url), second_connection(database_url)
    Base.metadata.create_all(outside)
    with outside.connect() as connection:
        connection.execute(text("INSERT INTO books VALUES (1)"))
        connection.execute(text("INSERT INTO tags VALUES (1), (2)"))
    atomic = Atomic(SQLAlchemyLayer(sessionmaker(engine)))
    atomic.resource(schema("books", tags=to_many("tags")), model=Book)
    atomic.resource(schema("tags"), model=Tag)
    app = application(atomic, ATOMIC_RETRIES=retries)
    answers: list[Answer] = []

    def request() -> None:
        adding = relate("add", id_("books", "1"), "tags", [id_("tags", "1")])
        answers.append(post(app.test_client(), adding))

    with both_look_before_one_writes(engine):
        threads = [Thread(target=request) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert sorted(answer.status for answer in answers) == statuses
    with outside.connect() as connection:
        assert connection.execute(select(book_tags)).all() == [(1, 1)]
