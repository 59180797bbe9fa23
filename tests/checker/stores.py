"""The databases, seen from outside of the application: what is stored, and what can be done to those who store."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import suppress
from typing import Any

from sqlalchemy import Connection, Engine, NullPool, create_engine, make_url, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import aliased

from .application import Account, Entry, Half, Lamp, List, Model, Note, Receipt, list_readers, sessions
from .histories import Fact, State
from .verdict import Stored

__all__ = ["ACCOUNTS", "LISTS", "STREETS", "Store"]

ACCOUNTS = 12
LISTS = 4
LONGEST_STAY = 60
"""How many seconds a connection may last whose application has ended."""

STREETS = ((1, 2, 3), (4, 5, 6))
"""The lamps of each."""

_CONNECTED = {
    "postgresql": "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()",
    "mysql": "SELECT id FROM information_schema.processlist WHERE db = database() AND id <> connection_id()",
}
"""Who else is connected to the database: the ids of connections."""

_KILL = {"postgresql": "SELECT pg_terminate_backend({})", "mysql": "KILL CONNECTION {}"}

_LOCK = {
    "postgresql": ["BEGIN", "SELECT id FROM accounts WHERE id <= 6 FOR UPDATE"],
    "mysql": ["BEGIN", "SELECT id FROM accounts WHERE id <= 6 FOR UPDATE"],
    "sqlite": ["BEGIN IMMEDIATE"],
}


class Store:
    """A database that the checked application writes to, or two of them.

    :param url: of an empty database.
    :param beside: that of a second one for some of the models, empty for none.
    """

    def __init__(self, url: str, beside: str = "") -> None:
        self._engine = _engine(url)
        self._beside = _engine(beside) if beside else self._engine
        self._sessions = sessions(self._engine, self._beside)
        self.dialect = self._engine.dialect.name
        self._before = frozenset(self._connected())

    def fill(self) -> None:
        """Make the tables, the accounts, the lists and the lamps."""
        for engine in self._engines():
            Model.metadata.create_all(engine)
        with self._sessions() as session, session.begin():
            session.add_all(Account(id=number, balance=0) for number in range(1, ACCOUNTS + 1))
            session.add_all(List(id=number) for number in range(1, LISTS + 1))
            session.add_all(Lamp(id=number) for street in STREETS for number in street)

    def stored(self) -> Stored:
        """What is stored now."""
        other = aliased(Half)
        with self._sessions() as session:
            facts: Counter[Fact] = Counter()
            for entry in session.scalars(select(Entry)):
                facts["entry", entry.batch, entry.account_id, entry.amount] += 1
            for note in session.scalars(select(Note)):
                facts["note", note.batch, note.number, note.list_id or 0] += 1
            halves = select(Half.batch, Half.side, other.batch).outerjoin(other, Half.other_id == other.id)
            for batch, side, others in session.execute(halves):
                facts["half", batch, side, batch == others] += 1
            return Stored(
                receipts={str(receipt.id): receipt.batch for receipt in session.scalars(select(Receipt))},
                facts=facts,
                members=frozenset(("reader", *row) for row in session.execute(select(list_readers))),
                balances={account.id: account.balance for account in session.scalars(select(Account))},
                seen=self.watch(session.connection({"mapper": Lamp})),
            )

    def watch(self, connection: Connection) -> frozenset[State]:
        """How the lamps of each street shine at this moment."""
        rows = connection.execute(select(Lamp.id, Lamp.red, Lamp.green, Lamp.blue))
        lamps: dict[int, Fact] = {row.id: ("lamp", *row) for row in rows}
        return frozenset(tuple(lamps[number] for number in street) for street in STREETS)

    def connected(self) -> Connection:
        """A connection to where the lamps are, on which each statement is a transaction."""
        return self._beside.connect()

    def wait_until_left(self) -> None:
        """Wait until nobody else is connected, so that nothing can change any more.

        :raises TimeoutError: if somebody stays.
        """
        deadline = time.monotonic() + LONGEST_STAY
        while others := self._others():
            if time.monotonic() > deadline:
                raise TimeoutError(f"There are still the connections {others}.")
            time.sleep(0.05)

    def kill_a_connection(self, position: float) -> bool:
        """Have the server end a connection, one of them all as `position` says, from 0 to 1."""
        others = self._others()
        if not others:
            return False
        engine, other = others[int(position * len(others))]
        with suppress(DBAPIError):  # it may have ended by itself
            _ask(engine, _KILL[engine.dialect.name].format(other))
        return True

    def hold_locks(self, seconds: float) -> bool:
        """Keep others from writing to half of the accounts, or to anything, for so long."""
        try:
            with self._engine.connect() as connection:
                for statement in _LOCK[self.dialect]:
                    connection.execute(text(statement))
                time.sleep(seconds)
        except DBAPIError:  # somebody else had them, or the connection was killed
            return False
        return True

    def _others(self) -> list[tuple[Engine, int]]:
        """Who has connected since this store was made."""
        return [other for other in self._connected() if other not in self._before]

    def _connected(self) -> list[tuple[Engine, int]]:
        asked = [engine for engine in self._engines() if engine.dialect.name in _CONNECTED]
        return [(engine, other) for engine in asked for other in _ask(engine, _CONNECTED[engine.dialect.name])]

    def _engines(self) -> list[Engine]:
        return list(dict.fromkeys([self._engine, self._beside]))


def _ask(engine: Engine, statement: str) -> list[Any]:
    with engine.connect() as connection:
        result = connection.execute(text(statement))
        return list(result.scalars()) if result.returns_rows else []


def _engine(url: str) -> Engine:
    """An engine that does not wait for ever, and asks nothing more of a server when it closes a connection.

    A node of a cluster that is on its way out refuses even what ends a transaction.
    """
    is_mysql = make_url(url).get_backend_name() == "mysql"
    timeouts = dict.fromkeys(["connect_timeout", "read_timeout", "write_timeout"], 10) if is_mysql else {}
    return create_engine(
        url,
        poolclass=NullPool,
        isolation_level="AUTOCOMMIT",
        pool_reset_on_return=None,
        skip_autocommit_rollback=True,
        connect_args=timeouts,
    )
