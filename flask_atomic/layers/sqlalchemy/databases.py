"""The databases of one unit of work, and how they commit as one.

All but one of those that were written to prepare. Then the one that decides commits its part together with a row that
says so, and the others commit what they have prepared. Whatever happens before that row is committed, nothing is;
whatever happens afterwards, everything will be.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from sqlalchemy import CompoundSelect, Connection, Engine, Select, TwoPhaseTransaction, event
from sqlalchemy.orm import Session

from ...errors import ConfigurationError, Transient, UnknownOutcome
from .branches import finish, label
from .commit import commit_one, refuse_aborted, watch
from .decisions import COMMIT, Decisions
from .xids import Xid

__all__ = ["Databases", "RoutedSession"]

_logger = logging.getLogger(__name__)


class RoutedSession(Session):
    """A session that connects through the databases of a unit.

    Whoever asks the session for a connection, a listener of the application for instance, gets one that they commit.
    """

    databases: Databases | None = None
    """None as long as only the engines are of interest."""

    def get_bind(self, *arguments: Any, **options: Any) -> Engine | Connection:
        """Return what the session has for a class or a table: the engine, or the connection of the unit to it."""
        bind = super().get_bind(*arguments, **options)
        return bind if self.databases is None else self.databases.connection(bind)


class Databases:
    """The databases of a unit; each is connected to when it is first used.

    :param decisive: the one that decides.
    :param decisions: its table.
    :param xid: the name of the first branch.
    :param isolation_level: that of all transactions, None for those of the engines.
    :param check: called with an engine before it is used for a branch; raises if it cannot be.
    """

    def __init__(
        self,
        decisive: Engine,
        decisions: Decisions,
        xid: Xid,
        isolation_level: str | None,
        check: Callable[[Engine], None],
    ) -> None:
        self._decisive = decisive
        self._decisions = decisions
        self._xid = xid
        self._isolation_level = isolation_level
        self._check = check
        self._used: dict[Engine, _Database] = {}

    def connection(self, bind: Engine | Connection) -> Connection:
        """The connection of the unit to a database, in a transaction.

        :raises ConfigurationError: if it can neither decide nor prepare.
        """
        engine = bind.engine
        if engine is not bind and not (engine in self._used and self._used[engine].connection is bind):
            raise ConfigurationError(
                "A session that is bound to a connection cannot commit in two phases. Bind it to engines."
            )
        if engine not in self._used:
            self._used[engine] = self._open(engine)
        return self._used[engine].connection

    def _open(self, engine: Engine) -> _Database:
        if engine is self._decisive:
            xid = None
        else:
            self._check(engine)
            xid = self._xid._replace(number=len(self._used))
        connection = engine.connect()
        try:
            if self._isolation_level is not None:
                connection = connection.execution_options(isolation_level=self._isolation_level)
            return _Database(connection, xid)
        except BaseException:
            connection.invalidate()
            connection.close()
            raise

    # ---------------------------------------------------------------------------------------------------- the end

    def commit(self) -> None:
        """Commit everything that was written, or nothing.

        :raises UnknownOutcome: if nobody can tell. What is prepared stays so.
        :raises Exception: whatever else a database raises; nothing is committed then.
        """
        written = [each for each in self._used.values() if each.written]
        if len(written) < 2:
            for only in written:
                only.commit()
            return
        self.connection(self._decisive)
        decisive = self._used[self._decisive]
        branches = [each for each in written if each is not decisive]
        for each in written:
            refuse_aborted(each.connection)
        for branch in branches:
            branch.prepare()
        self._decisions.commit(decisive.connection, self._xid)
        self._commit_decided(decisive, branches)

    def _commit_decided(self, decisive: _Database, branches: Sequence[_Database]) -> None:
        try:
            refusal = self._decide(decisive)
            if refusal is None:
                for branch in branches:
                    branch.finish()
        except BaseException:  # also what ends the process must not have anything rolled back any more
            for branch in branches:
                branch.leave()
            raise
        if refusal is not None:
            raise refusal

    def _decide(self, decisive: _Database) -> Exception | None:
        """Commit the database that decides; return why nothing is committed, None if it is.

        :raises UnknownOutcome: if nobody can tell.
        """
        try:
            decisive.commit()
        except UnknownOutcome as lost:
            return self._find_out(lost)
        except Exception as error:
            return error
        return None

    def _find_out(self, lost: UnknownOutcome) -> Exception | None:
        try:
            decision = self._decisions.settle(self._decisive, self._xid, in_time=True)
        except Exception:
            _logger.warning("The database that decides cannot be asked for the decision.", exc_info=True)
            raise lost from lost.__cause__
        if decision is None:
            raise lost
        return None if decision == COMMIT else Transient("The store cannot be reached.")

    def rollback(self) -> None:
        """Roll back what is still open, each database by itself, and trust no connection any more."""
        for each in self._used.values():
            each.rollback()

    def close(self) -> None:
        """Give all connections back."""
        while self._used:
            _, each = self._used.popitem()
            each.close()


class _Database:
    """One database of a unit.

    :param connection: one without a transaction, which is begun.
    :param xid: the name of the branch, None for the database that decides.
    """

    def __init__(self, connection: Connection, xid: Xid | None) -> None:
        self.connection = connection
        self.written = False
        self._xid = xid
        watch(connection)
        self._transaction = connection.begin() if xid is None else connection.begin_twophase(str(xid))
        event.listen(connection, "before_cursor_execute", self._note)

    def _note(self, *execution: Any) -> None:
        """Take every statement for a write that is not known to read only: a CTE may write, and a text may, too."""
        compiled = getattr(execution[4], "compiled", None)
        if compiled is None or not isinstance(compiled.statement, Select | CompoundSelect) or compiled.ctes:
            self.written = True

    def commit(self) -> None:
        """Commit without a word from anybody else.

        :raises UnknownOutcome: if nobody can tell whether that was done.
        :raises Exception: whatever else is raised; nothing is committed then.
        """
        try:
            commit_one(self.connection, self._transaction)
        except BaseException:
            if self._xid is not None:
                self.leave()
            raise

    def prepare(self) -> None:
        """Have the database promise to commit."""
        assert isinstance(self._transaction, TwoPhaseTransaction)
        try:
            self._transaction.prepare()
        except BaseException:
            self.leave()
            raise

    def finish(self) -> None:
        """Commit what was prepared; if that cannot be done now, say that it has to be done later."""
        try:
            self._transaction.commit()
        except Exception:
            self.leave()
            self._finish_anew()

    def _finish_anew(self) -> None:
        assert self._xid is not None
        engine = self.connection.engine
        try:
            finish(engine, self._xid, COMMIT)
        except Exception:
            told = "Transaction %s is committed, but not yet in %s: run `flask atomic recover`."
            _logger.critical(told, self._xid.id, label(engine), exc_info=True)

    def leave(self) -> None:
        """Close the connection: what is prepared stays so, and what is not is rolled back by the database."""
        self.connection.invalidate()

    def rollback(self) -> None:
        """Roll back if that can be done, and close the connection. What is prepared otherwise is left for recovery."""
        with suppress(Exception):
            if self.connection.get_transaction() is self._transaction:
                self._transaction.rollback()
        self.leave()

    def close(self) -> None:
        """Give the connection back to its pool."""
        event.remove(self.connection, "before_cursor_execute", self._note)
        self.connection.close()
