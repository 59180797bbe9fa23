"""An update is stored as a whole: what it names is written, also where the row that was read had the value already.

Another transaction has changed the row and not yet committed, so the request reads what was there before and waits when
it writes. Both succeed, and the request is the later one: all that it names is as it says.
"""

from __future__ import annotations

from threading import Thread
from typing import Any

import pytest
from marshmallow_jsonapi import fields
from sqlalchemy import ForeignKey, create_engine, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship, sessionmaker, validates

from flask_atomic import Atomic
from flask_atomic.layers.sqlalchemy import SQLAlchemyLayer
from tests.application import Answer, application, id_, post, relate, remove, schema, to_one, update
from tests.servers import second_connection, wait_for_a_waiter


class Base(DeclarativeBase):
    pass


class Map(Base):
    __tablename__ = "maps"
    id: Mapped[int] = mapped_column(primary_key=True)


class Point(Base):
    """Rows that are written past the session."""

    __tablename__ = "points"
    id: Mapped[int] = mapped_column(primary_key=True)
    x: Mapped[int]
    y: Mapped[int]
    map_id: Mapped[int | None] = mapped_column(ForeignKey("maps.id"))
    map: Mapped[Map | None] = relationship()


class Pin(Base):
    """Rows that the session writes."""

    __tablename__ = "pins"
    id: Mapped[int] = mapped_column(primary_key=True)
    x: Mapped[int]
    y: Mapped[int]
    map_id: Mapped[int | None] = mapped_column(ForeignKey("maps.id"))
    map: Mapped[Map | None] = relationship()

    @validates("x", "map")
    def _check(self, _: str, value: Any) -> Any:
        return value


class Places:
    """The points or the pins 1 (5, 0) and 2 (0, 0) on map 1; beside it the maps 2 and 3.

    :param type_: the type and the table of the rows.
    """

    def __init__(self, url: str, type_: str) -> None:
        self.type = type_
        self.outside = second_connection(url)
        Base.metadata.create_all(self.outside)
        with self.outside.connect() as connection:
            connection.execute(text("INSERT INTO maps VALUES (1), (2), (3)"))
            connection.execute(text(f"INSERT INTO {type_} VALUES (1, 5, 0, 1), (2, 0, 0, 1)"))
        atomic = Atomic(SQLAlchemyLayer(sessionmaker(create_engine(url))))
        model = {"points": Point, "pins": Pin}[type_]
        atomic.resource(schema(type_, x=fields.Int(), y=fields.Int(), map=to_one("maps")), model=model)
        atomic.resource(schema("maps"), model=Map)
        self.client = application(atomic).test_client()

    def meanwhile(self, change: str, *operations: Any) -> Answer:
        """Send the operations while somebody has changed rows, who commits when the request waits for one of them."""
        answers: list[Answer] = []
        with self.outside.connect() as other:
            other.exec_driver_sql("BEGIN")
            other.execute(text(f"UPDATE {self.type} SET {change}"))
            request = Thread(target=lambda: answers.append(post(self.client, *operations)))
            request.start()
            with self.outside.connect() as looking:
                wait_for_a_waiter(looking, request.is_alive)
            other.exec_driver_sql("COMMIT")
        request.join()
        (answer,) = answers
        return answer

    def stored(self, columns: str) -> list[tuple[Any, ...]]:
        with self.outside.connect() as connection:
            return [tuple(row) for row in connection.execute(text(f"SELECT {columns} FROM {self.type} ORDER BY id"))]


@pytest.fixture(params=["postgresql", "mariadb"])
def url(request: pytest.FixtureRequest) -> str:
    found: str = request.getfixturevalue(f"{request.param}_url")
    return found


@pytest.fixture(params=["points", "pins"])
def places(request: pytest.FixtureRequest, url: str) -> Places:
    return Places(url, request.param)


def test_attributes(places: Places) -> None:
    answer = places.meanwhile(
        "x = 6, y = 2 WHERE id = 1",
        update(places.type, "1", attributes={"x": 5, "y": 1}),
        update(places.type, "2", attributes={"x": 0, "y": 1}),
    )

    assert answer.status == 200
    assert places.stored("x, y") == [(5, 1), (0, 1)]


def test_an_attribute_alone_that_has_the_value(places: Places) -> None:
    assert places.meanwhile("x = 6 WHERE id = 1", update(places.type, "1", attributes={"x": 5})).status == 200
    assert places.stored("x, y") == [(5, 0), (0, 0)]


def test_rows_of_which_one_has_the_value(places: Places) -> None:
    both = [update(places.type, number, attributes={"x": 5}) for number in "12"]

    assert places.meanwhile("x = 6", *both).status == 200
    assert places.stored("x") == [(5,), (5,)]


def test_what_the_update_does_not_name_is_left(places: Places) -> None:
    assert places.meanwhile("x = 6, y = 2", update(places.type, "1", attributes={"y": 1})).status == 200
    assert places.stored("x, y") == [(6, 1), (6, 2)]


@pytest.mark.parametrize("map_", ["1", None])
def test_a_to_one_relationship_that_is_as_it_should_be(places: Places, map_: str | None) -> None:
    if map_ is None:
        with places.outside.connect() as connection:
            connection.execute(text(f"UPDATE {places.type} SET map_id = NULL"))
    linkage = map_ and id_("maps", map_)
    named = update(places.type, "1", attributes={"y": 1}, relationships={"map": linkage})

    assert places.meanwhile("map_id = 2, y = 2 WHERE id = 1", named).status == 200
    assert places.stored("map_id, y")[0] == (map_ and int(map_), 1)


@pytest.mark.parametrize("earlier", [[], [remove("maps", "3")]])
def test_setting_a_to_one_relationship_to_what_it_is(places: Places, earlier: list[Any]) -> None:
    """What was removed earlier has the session forget what it knew of the row."""
    setting = relate("update", id_(places.type, "1"), "map", id_("maps", "1"))

    assert places.meanwhile("map_id = 2 WHERE id = 1", *earlier, setting).status in (200, 204)
    assert places.stored("map_id") == [(1,), (1,)]
