"""The commit of a session, and what is known where it fails: that it was not made, that it was, or neither."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Collection
from typing import Any

from sqlalchemy import Connection, ExceptionContext, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from ...errors import Transient, UnknownOutcome

__all__ = ["commit", "watch"]

_logger = logging.getLogger(__name__)

_OPEN_STATES = ("08", "40003", "57P02")
"""SQLSTATEs that leave open whether a COMMIT was made, of PostgreSQL, those who speak like it and poolers between."""

_DEADLOCK = 1213
_ROLLED_BACK = ("SQLITE_FULL", "SQLITE_IOERR", "SQLITE_INTERRUPT")
"""After which SQLite may have rolled back by itself."""

_OPEN_CODES = (1053, 1158, 1159, 1160, 1161, 1180, 1927, *range(2000, 3000))
"""Likewise of MySQL and MariaDB; those from 2000 are the client's own."""


def commit(session: Session, connections: Collection[Connection]) -> None:
    """Commit, and return if that was made.

    :param connections: those of the session.
    :raises UnknownOutcome: if nobody can tell; also if one of several connections has made its own.
    :raises Exception: whatever else the session raises; nothing is committed then.
    """
    begun: list[Connection] = []

    def note(connection: Connection, *_: object) -> None:
        if not begun:
            for each in connections:
                _refuse_aborted(each)
        begun.append(connection)

    name = "commit_twophase" if session.twophase else "commit"
    for connection in connections:
        event.listen(connection, name, note)
    try:
        session.commit()
    except Exception as error:
        open_ = [connection.get_transaction() is not None for connection in connections]
        if not begun or (all(open_) and _is_refusal(error)):
            raise
        if any(open_):
            raise UnknownOutcome("The store was lost during the commit.") from error
        _logger.exception("What listens to the session failed after the commit, which is made.")
        session.close()  # it is stuck half-way, and may be the application's
    finally:
        for connection in connections:
            event.remove(connection, name, note)


_LOST = "flask_atomic.lost"
_IN_ERROR = 3
"""What libpq calls a transaction in which a statement has failed."""


def watch(connection: Connection) -> None:
    """Have the commit know of a statement that has ended the transaction, whoever hears of it first.

    After a deadlock, MariaDB rolls back and goes on in a new transaction. Where it has no room, SQLite may roll back
    and go on in none.
    """
    if connection.dialect.name in ("mysql", "mariadb", "sqlite"):
        connection.info.pop(_LOST, None)
        if not event.contains(connection.dialect, "handle_error", _note_end):
            event.listen(connection.dialect, "handle_error", _note_end)


def _note_end(context: ExceptionContext) -> None:
    connection, error = context.connection, context.original_exception
    if connection is None or context.statement is None:
        return
    if isinstance(error, sqlite3.Error):
        driver: Any = connection.connection.dbapi_connection
        if _sqlite_name(error).startswith(_ROLLED_BACK) and not driver.in_transaction:
            driver.execute("BEGIN")  # what may follow is rolled back with it
            connection.info[_LOST] = True
    elif (*getattr(error, "args", ()), None)[0] == _DEADLOCK:
        connection.info[_LOST] = True


def _refuse_aborted(connection: Connection) -> None:
    """See that the transaction is still there: somebody may have caught its failure.

    PostgreSQL takes the COMMIT of such a one for a rollback, and says nothing.
    """
    if connection.invalidated or connection.info.pop(_LOST, False):
        raise Transient("The store is busy or cannot be reached.")
    driver: Any = connection.connection.dbapi_connection
    if getattr(getattr(driver, "info", None), "transaction_status", None) == _IN_ERROR:
        raise RuntimeError("A statement failed, somebody caught the exception, and the transaction is over.")


def _is_refusal(error: Exception) -> bool:
    """Whether an exception at the COMMIT is the word of the database that nothing is committed.

    It is not where the connection has ended, whatever was heard at last: the server may have been done by then.
    """
    if not isinstance(error, DBAPIError):
        return False
    cause: Any = error.orig
    if isinstance(cause, sqlite3.Error):
        return not _sqlite_name(cause).startswith("SQLITE_IOERR")  # such as that of the last fsync
    state = getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None) or ""
    code = (*getattr(cause, "args", ()), None)[0]
    return not (error.connection_invalidated or state.startswith(_OPEN_STATES) or code in _OPEN_CODES)


def _sqlite_name(error: sqlite3.Error) -> str:
    """What SQLite calls the error; empty for one of the driver's own."""
    return getattr(error, "sqlite_errorname", "")
