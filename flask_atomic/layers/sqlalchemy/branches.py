"""Branches: what a database has prepared of a transaction, and keeps until somebody says what is to become of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from sqlalchemy import URL, Connection, Engine
from sqlalchemy.exc import DBAPIError

from ...errors import ConfigurationError
from .decisions import COMMIT
from .xids import Xid

__all__ = ["check", "finish", "has_branches", "label", "prepared", "reach"]


class _Statements(NamedTuple):
    """What is said to a kind of database."""

    list: str
    commit: str
    abort: str


_POSTGRESQL = _Statements(
    "SELECT gid FROM pg_prepared_xacts WHERE database = current_database()", "COMMIT PREPARED", "ROLLBACK PREPARED"
)
_MYSQL = _Statements("XA RECOVER", "XA COMMIT", "XA ROLLBACK")
_STATEMENTS = {"postgresql": _POSTGRESQL, "mysql": _MYSQL, "mariadb": _MYSQL}


def has_branches(engine: Engine) -> bool:
    """Whether it is a kind of database that can prepare."""
    return engine.dialect.name in _STATEMENTS


def label(engine: Engine) -> str:
    """What to call the database before people; its users are nobody's business."""
    url = engine.url
    return URL.create(url.get_backend_name(), host=url.host, port=url.port, database=url.database).render_as_string()


def check(engine: Engine) -> None:
    """See that the database prepares transactions.

    :raises ConfigurationError: if it does not.
    """
    if not has_branches(engine):
        raise ConfigurationError(
            f"{label(engine)} cannot prepare a transaction, so it can only be the database that decides: give "
            f"TwoPhaseSQLAlchemyLayer the decisions_table(...) of its metadata. Or keep these models in PostgreSQL or "
            f"MariaDB, or let another layer serve them."
        )
    with _alone(engine) as connection:
        if engine.dialect.name == "postgresql":
            _check_postgresql(connection, label(engine))
        else:
            _check_mysql(connection, label(engine))


def reach(engine: Engine) -> None:
    """See that the database can be connected to."""
    if engine.dialect.name != "sqlite":  # it is no server, and may be in the very connection
        with _alone(engine):
            pass


def _check_postgresql(connection: Connection, name: str) -> None:
    if connection.exec_driver_sql("SHOW max_prepared_transactions").scalar_one() == "0":
        raise ConfigurationError(
            f"The server of {name} prepares no transactions. Set max_prepared_transactions in its postgresql.conf to "
            f"at least max_connections, and start it again."
        )


def _check_mysql(connection: Connection, name: str) -> None:
    found = connection.exec_driver_sql("SHOW VARIABLES LIKE 'wsrep_on'").one_or_none()
    if found is not None and found[1] == "ON":
        raise ConfigurationError(
            f"The server of {name} is a node of a Galera cluster, which has no XA transactions. It can only be the "
            f"database that decides: give TwoPhaseSQLAlchemyLayer the decisions_table(...) of its metadata."
        )


def prepared(engine: Engine) -> list[Xid]:
    """The branches in a database that are prepared; on MariaDB, those on the server."""
    with _outside_transactions(engine) as connection:
        rows = connection.exec_driver_sql(_STATEMENTS[engine.dialect.name].list)
        found = (Xid.parse(_text(row[-1])) for row in rows)
        return [xid for xid in found if xid is not None]


def finish(engine: Engine, xid: Xid, decision: str) -> None:
    """Do with a branch what was decided.

    If somebody else has done so meanwhile, nothing is left to do.

    :raises Exception: if it is still there: on MariaDB, if the connection that prepared it is open.
    """
    statements = _STATEMENTS[engine.dialect.name]
    said = statements.commit if decision == COMMIT else statements.abort
    try:
        with _outside_transactions(engine) as connection:
            connection.exec_driver_sql(f"{said} '{xid}'")
    except DBAPIError:
        if xid in prepared(engine):
            raise


@contextmanager
def _alone(engine: Engine) -> Iterator[Connection]:
    """A connection that is not left in the pool: at start-up, workers that are forked would share it.

    It is as the engine makes it. What is set on it, the pool would undo on the next one.
    """
    with engine.connect() as connection:
        connection.detach()
        yield connection


@contextmanager
def _outside_transactions(engine: Engine) -> Iterator[Connection]:
    """A connection of which each statement stands for itself."""
    with engine.connect() as connection:
        yield connection.execution_options(isolation_level="AUTOCOMMIT")


def _text(value: Any) -> str:
    return value.decode("ascii", "replace") if isinstance(value, bytes) else str(value)
