"""What two requests at once can do to each other's data, by the isolation level: the table of the page on operation.

One request is held after it has read and before it writes; another runs from its beginning to its end meanwhile. Each
looks only at what is stored when it reads. Whether requests fail makes no difference: what counts is what the database
has in the end, and that those that were told so are in it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from marshmallow_jsonapi import Schema, fields
from sqlalchemy import Engine, create_engine, event, func, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

from example.database import set_up_sqlite
from flask_atomic import Atomic, Conflict, hookimpl
from flask_atomic.layers.sqlalchemy import SQLAlchemyLayer
from tests.application import add, application, post, update

PAGE = Path(__file__).parents[2] / "docs" / "operation.rst"

ANOMALIES = ["lost update", "write skew", "phantom"]


def told() -> Iterator[tuple[str, str, str, str]]:
    """The database, the level, the anomaly and what the page says of it."""
    table = PAGE.read_text("utf-8").partition(".. _isolation-table:")[2].partition("\n\n\n")[0]
    heading, *rows = re.findall(r"^   \* - (.*)\n     - (.*)\n     - (.*)\n     - (.*)\n     - (.*)$", table, re.M)
    assert list(heading[2:]) == ANOMALIES
    for database, level, *cells in rows:
        yield from ((database, level, anomaly, cell) for anomaly, cell in zip(ANOMALIES, cells, strict=True))


# ---------------------------------------------------------------------------------------------------------- the world


class Model(DeclarativeBase):
    pass


class Account(Model):
    __tablename__ = "accounts"
    id: Mapped[int] = mapped_column(primary_key=True)
    amount: Mapped[int]

    @property
    def deposit(self) -> None:
        """Only to be written: what comes to the amount that was read."""

    @deposit.setter
    def deposit(self, value: int) -> None:
        self.amount += value


class Doctor(Model):
    __tablename__ = "doctors"
    id: Mapped[int] = mapped_column(primary_key=True)
    on_call: Mapped[bool]


class Booking(Model):
    __tablename__ = "bookings"
    id: Mapped[int] = mapped_column(primary_key=True)
    slot: Mapped[int]


class AccountSchema(Schema):
    id = fields.Str()
    deposit = fields.Int(load_only=True)

    class Meta:
        type_ = "accounts"


class DoctorSchema(Schema):
    id = fields.Str()
    on_call = fields.Bool()

    class Meta:
        type_ = "doctors"


class BookingSchema(Schema):
    id = fields.Str()
    slot = fields.Int()

    class Meta:
        type_ = "bookings"


@dataclass(eq=False)
class Rules:
    """What the application asks for: somebody is on call, and a slot is booked once. They look before each write.

    :param between: for a type, what is done once when a request has looked and has not yet written one of that type.
    """

    between: dict[str, Callable[[], Any]] = field(default_factory=dict)

    @hookimpl(wrapper=True)
    def atomic_update(self, unit, resource):
        if resource.type == "doctors" and counted(unit.session, Doctor.on_call) < 2:
            raise Conflict("Somebody has to be on call.")
        self._interfere(resource)
        return (yield)

    @hookimpl(wrapper=True)
    def atomic_add(self, unit, resource):
        if counted(unit.session, Booking.slot == 1):
            raise Conflict("The slot is booked.")
        self._interfere(resource)
        return (yield)

    def _interfere(self, resource):
        self.between.pop(resource.type, lambda: None)()


def counted(session: Session, condition: Any) -> int:
    return session.scalar(select(func.count()).where(condition))


@dataclass
class World:
    client: FlaskClient
    rules: Rules
    engine: Engine

    def both(self, type_: str, first: list[Any], second: list[Any]) -> int:
        """Perform the second request when the first is about to write; return how many succeeded by their answers."""
        statuses = []
        self.rules.between[type_] = lambda: statuses.append(post(self.client, *second).status)
        statuses.append(post(self.client, *first).status)
        assert len(statuses) == 2
        assert set(statuses) <= {200, 409, 503}
        assert 200 in statuses
        return statuses.count(200)


def world(database: str, level: str, url: str) -> World:
    engine = create_engine(url, **({"connect_args": WITHOUT_WAITING[database]} if database in WITHOUT_WAITING else {}))
    if level == "``BEGIN IMMEDIATE``":
        set_up_sqlite(engine)
        event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA busy_timeout = 0"))
    Model.metadata.create_all(engine)
    with Session(engine) as session, session.begin():
        session.add_all([Account(id=1, amount=0), Doctor(id=1, on_call=True), Doctor(id=2, on_call=True)])
    rules = Rules()
    isolation_level = None if database == "SQLite" else level
    atomic = Atomic(SQLAlchemyLayer(sessionmaker(engine), isolation_level=isolation_level), rules)
    atomic.resource(AccountSchema, model=Account)
    atomic.resource(DoctorSchema, model=Doctor)
    atomic.resource(BookingSchema, model=Booking)
    return World(application(atomic, ATOMIC_RETRIES=1).test_client(), rules, engine)


WITHOUT_WAITING: dict[str, dict[str, Any]] = {
    "SQLite": {"timeout": 0},
    "MariaDB": {"init_command": "SET innodb_lock_wait_timeout = 0"},
}
"""Who holds a lock waits here for the end of who waits for the lock: the latter has to give up at once."""


# ------------------------------------------------------------------------------------------------------ the anomalies


def lost_update(made: World) -> bool:
    deposit = update("accounts", "1", attributes={"deposit": 10})
    acknowledged = made.both("accounts", [deposit], [deposit])
    with Session(made.engine) as session:
        return session.scalar(select(Account.amount)) != 10 * acknowledged


def write_skew(made: World) -> bool:
    first, second = (update("doctors", id_, attributes={"on_call": False}) for id_ in ("1", "2"))
    made.both("doctors", [first], [second])
    with Session(made.engine) as session:
        return counted(session, Doctor.on_call) == 0


def phantom(made: World) -> bool:
    # The layer connects, at its level, when it first reads; before that, a rule would connect at that of the engine.
    booking = [update("accounts", "1"), add("bookings", attributes={"slot": 1})]
    made.both("bookings", booking, booking)
    with Session(made.engine) as session:
        return counted(session, Booking.slot == 1) > 1


HAPPENS = {"lost update": lost_update, "write skew": write_skew, "phantom": phantom}


@pytest.mark.parametrize(("database", "level", "anomaly", "cell"), list(told()))
def test_the_page_says_what_happens(database, level, anomaly, cell, request):
    url = request.getfixturevalue(f"{database.lower()}_url")

    happened = HAPPENS[anomaly](world(database, level, url))

    assert ("possible" if happened else "no") == cell
