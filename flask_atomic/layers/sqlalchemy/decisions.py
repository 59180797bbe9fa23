"""The table of decisions: which transactions over several databases are committed, and which never will be.

A row is inserted by the transaction that it is about, together with its data, or by somebody who found a part of it and
no row. The primary key lets one of the two have their way: whoever comes second hears so.

How long a row counts is measured by one clock, that of the database, from one moment, the one in the name of the
transaction. Before the limit no row is deleted; after it no transaction can decide for itself.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    Engine,
    Integer,
    MetaData,
    String,
    Table,
    cast,
    delete,
    extract,
    func,
    insert,
    literal,
    select,
)
from sqlalchemy.exc import IntegrityError

from ...errors import Transient
from .xids import Xid

__all__ = ["ABORT", "COMMIT", "Decisions", "decisions_table", "is_declared", "tells_time"]

COMMIT = "commit"
ABORT = "abort"

_NAME = "atomic_decisions"
_INFO = "flask_atomic.decisions_table"
_OWNER = "owner"

_LIMIT = 3600
"""How many seconds after it was begun a transaction may decide to commit."""
_KEPT = 2 * _LIMIT
"""How long a row is kept; the rest is for a clock that is set back."""

_AT_ONCE = 500
"""How many rows to delete in one transaction."""

_PATIENCE = 5
"""How many seconds to wait for a transaction that may be about to commit."""

_CLOCKS: Mapping[str, ColumnElement[Any]] = {
    "sqlite": cast(func.strftime("%s", "now"), Integer),
    "postgresql": extract("epoch", func.clock_timestamp()),
    "mysql": func.unix_timestamp(),
    "mariadb": func.unix_timestamp(),
}


def decisions_table(metadata: MetaData) -> Table:
    """Declare the table `atomic_decisions`, by which transactions over several databases are committed or are not.

    The database that it stands in decides. It is made as the tables of models are: by `metadata.create_all`, or by a
    migration, where Alembic finds it.

    :param metadata: that of models in the database: `db.metadata`, `Base.metadata`.
    :return: the table; the same for every call.
    """
    table: Table | None = metadata.info.get(_INFO)
    if table is None:
        metadata.info[_INFO] = table = Table(
            _NAME,
            metadata,
            Column("id", String(20), primary_key=True),
            Column("decision", String(12), nullable=False),
            Column("started", BigInteger, nullable=False, index=True),
        )
    return table


def is_declared(table: object) -> bool:
    """Whether it is a table that `decisions_table` has made."""
    return isinstance(table, Table) and table.metadata.info.get(_INFO) is table


def tells_time(engine: Engine) -> bool:
    """Whether the clock of the database can be asked."""
    return engine.dialect.name in _CLOCKS


@dataclass(frozen=True)
class Decisions:
    """The rows of the table.

    :param table: from `decisions_table`.
    """

    table: Table

    def owner(self, engine: Engine) -> str:
        """What the database calls itself by: 12 hexadecimal digits, made when somebody first asks."""
        with engine.connect() as connection:
            found = self._find(connection, [_OWNER])
            if not found:
                connection.rollback()
                self._introduce(connection)
                found = self._find(connection, [_OWNER])
            return found[_OWNER]

    def _introduce(self, connection: Connection) -> None:
        row = {"id": _OWNER, "decision": secrets.token_hex(6), "started": 0}
        try:
            with connection.begin():
                connection.execute(insert(self.table), row)
        except IntegrityError:
            pass  # somebody else was faster

    def commit(self, connection: Connection, xid: Xid) -> None:
        """Decide to commit, together with whatever else is in the transaction of the connection.

        :raises Transient: if it was decided otherwise, or too long ago to tell.
        """
        try:
            if self._decide(connection, xid, COMMIT, in_time=True):
                return
        except IntegrityError as error:
            raise Transient("The operations took so long that they were given up.") from error
        raise Transient("The operations took too long.")

    def settle(self, engine: Engine, xid: Xid, *, in_time: bool) -> str | None:
        """Find out what was decided, and decide to abort if nothing was.

        :param in_time: whether that may only be done before the limit.
        :return: COMMIT or ABORT; None if it is too late to tell.
        :raises Exception: if the database cannot be asked, or the transaction may still be about to commit.
        """
        with engine.connect() as connection:
            found = self._find(connection, [xid.id])
            connection.rollback()
            if found:
                return found[xid.id]
            try:
                with connection.begin():
                    _wait_briefly(connection)
                    decided = self._decide(connection, xid, ABORT, in_time=in_time)
            except IntegrityError:
                return self._find(connection, [xid.id])[xid.id]
            return ABORT if decided else None

    def of(self, engine: Engine, ids: Collection[str]) -> Mapping[str, str]:
        """What is decided of these transactions; those of which nothing is are left out."""
        with engine.connect() as connection:
            return self._find(connection, ids)

    def forget(self, engine: Engine, left: Collection[str]) -> int:
        """Delete what nobody needs any more.

        :param left: the transactions that have branches. They were looked for in all databases.
        :return: how many rows there were.
        """
        table = self.table
        old = table.c.decision.in_([COMMIT, ABORT]) & (table.c.started < _clock(engine) - _KEPT)
        with engine.connect() as connection:  # a DELETE that looks for them might wait for those who are deciding
            ids = connection.scalars(select(table.c.id).where(old)).all()
        unneeded = [id_ for id_ in ids if id_ not in left]
        for start in range(0, len(unneeded), _AT_ONCE):
            with engine.begin() as connection:
                connection.execute(delete(table).where(table.c.id.in_(unneeded[start : start + _AT_ONCE])))
        return len(unneeded)

    def _find(self, connection: Connection, ids: Collection[str]) -> dict[str, str]:
        table = self.table
        rows = connection.execute(select(table.c.id, table.c.decision).where(table.c.id.in_(ids)))
        return {row.id: row.decision for row in rows}

    def _decide(self, connection: Connection, xid: Xid, decision: str, *, in_time: bool) -> bool:
        row = select(literal(xid.id), literal(decision), literal(xid.started, BigInteger))
        if in_time:
            row = row.where(_clock(connection) < xid.started + _LIMIT)
        statement = insert(self.table).from_select(["id", "decision", "started"], row)
        return connection.execute(statement, execution_options={"preserve_rowcount": True}).rowcount == 1


def _clock(database: Engine | Connection) -> ColumnElement[Any]:
    return _CLOCKS[database.dialect.name]


def _wait_briefly(connection: Connection) -> None:
    """Have a statement that waits for another transaction give up after a while."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = {_PATIENCE * 1000}")
    elif connection.dialect.name in ("mysql", "mariadb"):
        connection.detach()  # others should not find it like that
        connection.exec_driver_sql(f"SET SESSION innodb_lock_wait_timeout = {_PATIENCE}")
