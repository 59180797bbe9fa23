"""Databases for the shop, as many as a combination of kinds needs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import text

from flask_atomic.layers.sqlalchemy.xids import Xid
from tests.servers import Database, mariadb_database, postgresql_database_on, preparing_postgresql, second_connection

COMBINATIONS = (
    ("postgresql", "postgresql"),
    ("postgresql", "mariadb"),
    ("mariadb", "postgresql"),
    ("sqlite", "postgresql"),
    ("postgresql", "postgresql", "mariadb"),
    ("mariadb", "mariadb", "postgresql"),
    ("sqlite", "postgresql", "mariadb"),
)
"""The kinds of databases that are tried together; the first of each decides."""

_MOST = 2
"""How many of one kind a combination has."""


class Stores(NamedTuple):
    """Databases of each kind, and a folder for those that are files."""

    databases: dict[str, list[Database]]
    folder: Path

    def urls(self, kinds: tuple[str, ...]) -> list[str]:
        """The URLs of empty databases of these kinds."""
        used = {kind: iter(databases) for kind, databases in self.databases.items()}
        return [self._sqlite() if kind == "sqlite" else _emptied(next(used[kind])) for kind in kinds]

    def _sqlite(self) -> str:
        path = self.folder / "deciding.sqlite"
        path.unlink(missing_ok=True)
        return f"sqlite:///{path}"


def _emptied(database: Database) -> str:
    database.empty()
    return database.url


@contextmanager
def stores(folder: Path, *, durable: bool = False) -> Iterator[Stores]:
    """Databases on PostgreSQL and MariaDB.

    :param durable: whether PostgreSQL waits for the disk.
    :raises ServerMissing: if a server is.
    """
    with ExitStack() as stack:
        server = stack.enter_context(preparing_postgresql(durable=durable))
        made = {
            "postgresql": [stack.enter_context(postgresql_database_on(server)) for _ in range(_MOST)],
            "mariadb": [stack.enter_context(mariadb_database()) for _ in range(_MOST)],
        }
        yield Stores(made, folder)


def prepared(url: str) -> list[Xid]:
    """What is prepared in the database, on MariaDB on its server, seen by a second connection."""
    engine = second_connection(url)
    with engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            names = connection.scalars(text("SELECT gid FROM pg_prepared_xacts WHERE database = current_database()"))
        elif engine.dialect.name == "mysql":
            names = [row.data.decode() for row in connection.exec_driver_sql("XA RECOVER")]
        else:
            names = []
        found = [xid for xid in map(Xid.parse, names) if xid is not None]
    engine.dispose()
    return found
