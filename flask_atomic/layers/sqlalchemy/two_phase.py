"""The data layer over several databases, which commit as one, or not at all, whatever dies in between."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Engine, Table
from sqlalchemy.exc import DBAPIError, SQLAlchemyError, UnboundExecutionError
from sqlalchemy.orm import Mapper, scoped_session, sessionmaker

from ...errors import ConfigurationError
from ...hookspecs import InDoubt, Resource, hookimpl
from . import isolation
from .branches import check, has_branches, label, reach
from .commit import commit_through
from .databases import Databases, RoutedSession
from .decisions import Decisions, is_declared, tells_time
from .failures import failure_of
from .layer import SQLAlchemyLayer
from .recovery import Recovery
from .remembered import table_for
from .unit import Place, Unit
from .xids import Xid

__all__ = ["TwoPhaseSQLAlchemyLayer"]


class TwoPhaseSQLAlchemyLayer(SQLAlchemyLayer):
    """Keeps resources in mapped classes of SQLAlchemy, in several databases that commit as one.

    One database decides; it may be of any kind. The others are on PostgreSQL or MariaDB, where
    `flask atomic recover` finishes what is left of a process that has died.

    :param sessions: the `SQLAlchemy` object of Flask-SQLAlchemy with `SQLALCHEMY_BINDS`, a `sessionmaker` with `binds`,
        or a `scoped_session` of one.
    :param decisions: the `decisions_table` of the database that decides. Idempotency keys are kept there, too.
    :param name: the name of the layer, for `resource(..., layer=)`.
    :param isolation_level: that of all transactions, "SERIALIZABLE" for instance; None for those of the engines.
    :raises ConfigurationError: for arguments that do not fit.
    """

    def __init__(
        self, sessions: Any, decisions: Table, *, name: str = "sqlalchemy", isolation_level: str | None = None
    ) -> None:
        super().__init__(sessions, name=name, isolation_level=isolation_level)
        if not is_declared(decisions):
            raise ConfigurationError(
                "TwoPhaseSQLAlchemyLayer needs the table of its decisions. Give it decisions_table(metadata), with the "
                "metadata of models in the database that is to decide."
            )
        self._decisions = Decisions(decisions)
        self._open_routed = _routed(sessions)
        self._owners: dict[Engine, str] = {}  # what was found out once about databases, and stays true
        self._fit: set[Engine] = set()

    # ------------------------------------------------------------------------------------------------ at start-up

    @hookimpl
    def atomic_check(self) -> None:
        """Look at the databases of all types, as far as they can be reached."""
        with self._open_routed() as session, _failing():
            decisive = self._decisive(session)
            bound = dict.fromkeys(_bound(session, mapped.model.mapper) for mapped in self._mapped.values())
            others = [engine for engine in bound if engine is not decisive]
            for engine in (decisive, *others):
                isolation.check(engine, self._isolation_level)
            for engine in others:
                check(engine)
            reach(decisive)

    # ------------------------------------------------------------------------------------------- the unit of work

    @hookimpl
    def atomic_begin(self) -> Unit:
        """Open a session; it connects to each database when that is first used."""
        session = self._open_routed()
        with _failing():
            decisive = self._decisive(session)
            xid = Xid.new(self._owner(decisive))
        session.databases = Databases(decisive, self._decisions, xid, self._isolation_level, self._check_once)
        return _TwoPhaseUnit(session, session.databases, computes=self._computes)

    def _decisive(self, session: RoutedSession) -> Engine:
        """The engine of the database that decides."""
        table = self._decisions.table
        try:
            engine = session.get_bind(clause=table)
        except RuntimeError as error:
            raise ConfigurationError(
                "Flask-SQLAlchemy does not know the application yet. Call db.init_app(app) before the blueprint is "
                "registered."
            ) from error
        except UnboundExecutionError as error:
            raise ConfigurationError(
                f"The session does not know in which database the table {table.name} is. Tell it: sessionmaker(binds="
                f"{{decisions_table(metadata): engine, ...}})."
            ) from error
        if not isinstance(engine, Engine) or not tells_time(engine):
            raise ConfigurationError(
                f"{engine!r} cannot decide. Let an engine of SQLite, PostgreSQL, MySQL or MariaDB have {table.name}."
            )
        return engine

    def _owner(self, decisive: Engine) -> str:
        if decisive not in self._owners:
            try:
                self._owners[decisive] = self._decisions.owner(decisive)
            except DBAPIError as error:
                if failure_of(error, ()) is not None:
                    raise
                reason = str(error.orig).partition("\n")[0]
                raise ConfigurationError(
                    f"The table {self._decisions.table.name} cannot be used in {label(decisive)}: {reason}. It was "
                    f"declared by decisions_table(metadata); make it as those of the models are made, by a migration "
                    f"or by metadata.create_all()."
                ) from error
        return self._owners[decisive]

    def _check_once(self, engine: Engine) -> None:
        if engine not in self._fit:
            check(engine)
            self._fit.add(engine)

    # ------------------------------------------------------------------------------------ requests that are sent again

    def _memory(self, resource: Resource) -> tuple[Place, Table | None]:
        """The database that decides: what is decided is seen there at once."""
        return self._decisions.table, table_for(self._decisions.table.metadata)

    # ------------------------------------------------------------------------------------------- what is left behind

    @hookimpl
    def atomic_in_doubt(self) -> Sequence[InDoubt]:
        """List what the databases of all models have prepared."""
        with _failing():
            return self._recovery().left()

    @hookimpl
    def atomic_recover(self, older_than: float) -> Sequence[InDoubt]:
        """Commit what the database that decides has a record of, and abort the rest."""
        with _failing():
            return self._recovery().finish(older_than)

    def _recovery(self) -> Recovery:
        with self._open_routed() as session:
            decisive = self._decisive(session)
            models = [mapped.model for mapped in self._mapped.values()]
            # Listeners may have written to databases in which no type is kept.
            mappers = [mapper for model in models for mapper in model.mapper.registry.mappers]
            others = [
                engine for engine in _engines(session, mappers) if engine is not decisive and has_branches(engine)
            ]
        return Recovery(decisive, self._decisions, self._owner(decisive), others)


class _TwoPhaseUnit(Unit):
    """A unit whose session connects to the databases of a transaction that spans them.

    :param databases: those that the session connects to.
    """

    def __init__(self, session: RoutedSession, databases: Databases, *, computes: bool) -> None:
        super().__init__(session, shared=False, isolation_level=None, computes=computes)
        self._databases = databases

    def _note_written(self, connection: object) -> None:
        """Let the unit write to any number of databases."""

    def _commit(self) -> None:
        commit_through(self._session, self._databases.commit)

    def _roll_back(self) -> None:
        try:
            super()._roll_back()
        except Exception:  # at the first database; and what is left of it anywhere is left for recovery
            self._databases.rollback()

    def _close(self) -> None:
        super()._close()
        self._databases.close()


def _routed(sessions: Any) -> Callable[[], RoutedSession]:
    """What opens sessions like those of the application, which connect through the databases of a unit."""
    scoped = sessions if isinstance(sessions, scoped_session) else getattr(sessions, "session", None)
    factory = scoped.session_factory if isinstance(scoped, scoped_session) else sessions
    if not isinstance(factory, sessionmaker):
        raise ConfigurationError(
            f"TwoPhaseSQLAlchemyLayer cannot take sessions from {sessions!r}. Give it the SQLAlchemy object of "
            f"Flask-SQLAlchemy, a sessionmaker, or a scoped_session of one."
        )
    made: Any = type(f"Routed{factory.class_.__name__}", (RoutedSession, factory.class_), {})
    return lambda: made(**{**factory.kw, "twophase": False, "join_transaction_mode": "rollback_only"})


def _bound(session: RoutedSession, mapper: Mapper[Any]) -> Engine:
    """The engine that the session has for a class.

    :raises ConfigurationError: if it has none.
    """
    try:
        return session.get_bind(mapper).engine
    except UnboundExecutionError as error:
        raise ConfigurationError(
            f"The session does not know in which database {mapper.class_.__name__} is: {error} With "
            f"Flask-SQLAlchemy, put its __bind_key__ into SQLALCHEMY_BINDS; otherwise, the class into "
            f"sessionmaker(binds={{...}})."
        ) from error


def _engines(session: RoutedSession, mappers: Sequence[Mapper[Any]]) -> list[Engine]:
    """The engines that the session has for the classes; classes for which it has none are passed over."""
    found: dict[Engine, None] = {}
    for mapper in mappers:
        try:
            found[session.get_bind(mapper).engine] = None
        except UnboundExecutionError:
            continue
    return list(found)


@contextmanager
def _failing() -> Iterator[None]:
    """Raise what a database refuses as the failure that it is."""
    try:
        yield
    except SQLAlchemyError as error:
        failure = failure_of(error, ())
        if failure is None:
            raise
        raise failure from error
