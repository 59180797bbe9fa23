"""The commit of a session, and what is known where it fails: that it was not made, that it was, or neither."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Collection, Iterable
from typing import Any

from sqlalchemy import Connection, ExceptionContext, Transaction, TwoPhaseTransaction, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from ...errors import Transient, UnknownOutcome

__all__ = ["commit", "commit_one", "commit_through", "has_changes", "is_over", "refuse_aborted", "watch"]

_logger = logging.getLogger(__name__)

_OPEN_STATES = ("08", "40003", "57P02")
"""SQLSTATEs that leave open whether a COMMIT was made, of PostgreSQL, those who speak like it and poolers between."""

_DEADLOCK = 1213
_NOT_READY = 1047
_ROLLED_BACK = ("SQLITE_FULL", "SQLITE_IOERR", "SQLITE_INTERRUPT")
"""After which SQLite may have rolled back by itself."""

_OPEN_CODES = (1053, 1158, 1159, 1160, 1161, 1180, 1927, *range(2000, 3000))
"""Likewise of MySQL and MariaDB; those from 2000 are the client's own."""

_ROLLS_BACK = (_DEADLOCK, 1205)
"""The errors of theirs after which a transaction may be over: the latter, if the server is set to that."""


def commit(session: Session, connections: Collection[Connection]) -> None:
    """Commit, and return if that was made.

    :param connections: those of the session.
    :raises UnknownOutcome: if nobody can tell; also if one of several connections has made its own.
    :raises Exception: whatever else the session raises; nothing is committed then.
    """
    begin = _Begin(session, connections)
    try:
        begin.expect()
        session.commit()
    except Exception as error:
        open_ = [connection.get_transaction() is not None for connection in connections]
        if not begin.was_made or (all(open_) and _is_refusal(error)):
            raise
        if any(open_):
            raise UnknownOutcome("The store was lost during the commit.") from error
        _tell_failed_listener(session)
    finally:
        begin.forget()


class _Begin:
    """The moment at which a COMMIT is sent: until then nothing can be committed, and the transactions must be there.

    Only where somebody may write until then, or raise, does it take a listener to know it. Otherwise it is the first
    thing that the session does, and a transaction is active as long as it was not tried.
    """

    def __init__(self, session: Session, connections: Collection[Connection]) -> None:
        self._connections = connections
        self._name = "commit_twophase" if session.twophase else "commit"
        self._heard = () if _commits_at_once(session, connections) else tuple(connections)
        self._active: list[Transaction] = []
        self._was_heard = False

    def expect(self) -> None:
        """See that the transactions are there, now or when it is heard.

        :raises Transient: if one is not.
        """
        for connection in self._heard:
            event.listen(connection, self._name, self._hear)
        if not self._heard:
            self._check()
            transactions = [connection.get_transaction() for connection in self._connections]
            self._active = [each for each in transactions if each is not None and each.is_active]

    def _hear(self, *_: object) -> None:
        if not self._was_heard:
            self._check()
        self._was_heard = True

    def _check(self) -> None:
        for connection in self._connections:
            refuse_aborted(connection)

    @property
    def was_made(self) -> bool:
        """Whether a COMMIT may have been sent."""
        return self._was_heard or not all(transaction.is_active for transaction in self._active)

    def forget(self) -> None:
        """Listen no more."""
        for connection in self._heard:
            event.remove(connection, self._name, self._hear)


def _commits_at_once(session: Session, connections: Iterable[Connection]) -> bool:
    """Whether nothing comes before the COMMIT when the session commits, and nobody hears of it."""
    return not (
        session.twophase
        or getattr(session.commit, "__func__", None) is not Session.commit
        or session.dispatch.before_commit
        or session.in_nested_transaction()
        or has_changes(session)
        or any(connection.dispatch.commit for connection in connections)
    )


def has_changes(session: Session) -> bool:
    """Whether there is anything that the session would flush."""
    return bool(session.new or session.deleted or session.identity_map.check_modified())


def commit_through(session: Session, commit: Callable[[], None]) -> None:
    """Commit a session whose connections somebody else commits, and return if that was done.

    Those who listen to the session hear what they always do: they may write before, and are called after.

    :param commit: called once when everything is written.
    :raises Exception: whatever it or the session raises; if it has returned, nothing.
    """
    done = []

    def finish(_: Session) -> None:
        _flush(session)
        commit()
        done.append(True)

    event.listen(session, "before_commit", finish)  # after those who listen to all sessions of the kind
    try:
        session.commit()
    except Exception:
        if not done:
            raise
        _tell_failed_listener(session)
    finally:
        event.remove(session, "before_commit", finish)


_FLUSHES = 100
"""As many as a session tries until nothing is left to write."""


def _flush(session: Session) -> None:
    for _ in range(_FLUSHES):
        if not has_changes(session):
            return
        session.flush()
    raise RuntimeError("What listens to the session writes more in every flush.")


def _tell_failed_listener(session: Session) -> None:
    _logger.exception("What listens to the session failed after the commit, which is made.")
    session.close()  # it is stuck half-way, and may be the application's


def commit_one(connection: Connection, transaction: Transaction) -> None:
    """Commit the transaction of a connection, and return if that was made.

    :raises UnknownOutcome: if nobody can tell.
    :raises Exception: whatever else is raised; nothing is committed then.
    """
    begun = []

    def note(*_: object) -> None:
        refuse_aborted(connection)
        begun.append(True)

    name = "commit_twophase" if isinstance(transaction, TwoPhaseTransaction) else "commit"
    event.listen(connection, name, note)
    try:
        transaction.commit()
    except Exception as error:
        if not begun or _is_refusal(error):
            raise
        raise UnknownOutcome("The connection to the store was lost during the commit.") from error
    finally:
        event.remove(connection, name, note)


_LOST = "flask_atomic.lost"
_IN_ERROR = 3
"""What libpq calls a transaction in which a statement has failed."""


def watch(connection: Connection) -> None:
    """Have the commit know of a statement that has ended the transaction, whoever hears of it first.

    After a deadlock, which is also what Galera says to the slower of two, MariaDB rolls back and goes on in a new
    transaction. Where it has no room, SQLite may roll back and go on in none. A node of Galera that takes no part in
    its cluster refuses everything, a ROLLBACK as well: what is open ends with the connection, and the next one may
    lead to another node.
    """
    if connection.dialect.name in ("mysql", "mariadb", "sqlite"):
        connection.info.pop(_LOST, None)
        if _note_end not in connection.dialect.dispatch.handle_error:
            event.listen(connection.dialect, "handle_error", _note_end)


def _note_end(context: ExceptionContext) -> None:
    connection, error = context.connection, context.original_exception
    code = _code(error)
    if code == _NOT_READY:
        context.is_disconnect = True
    elif connection is None or context.statement is None:
        return  # a COMMIT or a ROLLBACK, after which there is nothing to go on in
    elif isinstance(error, sqlite3.Error):
        _note_end_on_sqlite(connection, error)
    elif code in _ROLLS_BACK:
        if isinstance(connection.get_transaction(), TwoPhaseTransaction):
            # A branch that was rolled back refuses what SQLAlchemy would end it by; so the connection is closed.
            context.is_disconnect = True
            context.invalidate_pool_on_disconnect = False
        elif code == _DEADLOCK:
            connection.info[_LOST] = True


def is_over(error: DBAPIError) -> bool:
    """Whether nothing is left of a transaction whose ROLLBACK has failed: the database has rolled back by itself."""
    return error.connection_invalidated or _code(error.orig) == _DEADLOCK


def _note_end_on_sqlite(connection: Connection, error: sqlite3.Error) -> None:
    driver: Any = connection.connection.dbapi_connection
    if _sqlite_name(error).startswith(_ROLLED_BACK) and not driver.in_transaction:
        driver.execute("BEGIN")  # what may follow is rolled back with it
        connection.info[_LOST] = True


def refuse_aborted(connection: Connection) -> None:
    """See that the transaction is still there: somebody may have caught its failure.

    PostgreSQL takes the COMMIT of such a one for a rollback, and says nothing; likewise what prepares it.
    """
    if connection.invalidated or connection.info.pop(_LOST, False):
        raise Transient("The store is busy or cannot be reached.")
    driver: Any = connection.connection.dbapi_connection
    if getattr(getattr(driver, "info", None), "transaction_status", None) == _IN_ERROR:
        raise RuntimeError("A statement failed, somebody caught the exception, and the transaction is over.")


def _is_refusal(error: Exception) -> bool:
    """Whether an exception at the COMMIT is the word of the database that nothing is committed.

    It is not where the connection has ended, whatever was heard at last: the server may have been done by then. Nor is
    it what has neither an SQLSTATE nor a number: a driver says that by itself, when it has lost its way in the answer.
    A node of Galera that is not ready has not even begun.
    """
    if not isinstance(error, DBAPIError):
        return False
    cause: Any = error.orig
    if isinstance(cause, sqlite3.Error):
        return not _sqlite_name(cause).startswith("SQLITE_IOERR")  # such as that of the last fsync
    state = getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None) or ""
    code = _code(cause)
    if code == _NOT_READY:
        return True
    if error.connection_invalidated or not (state or isinstance(code, int)):
        return False
    return not (state.startswith(_OPEN_STATES) or code in _OPEN_CODES)


def _sqlite_name(error: sqlite3.Error) -> str:
    """What SQLite calls the error; empty for one of the driver's own."""
    return getattr(error, "sqlite_errorname", "")


def _code(cause: BaseException | None) -> object:
    """The number that MySQL and MariaDB have for an error."""
    return (*getattr(cause, "args", ()), None)[0]
