"""The databases that can be checked, by name."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from random import Random

from tests.servers import mariadb_database, postgresql_database

from .full_disk import full_disk
from .nodes import on_galera
from .own_servers import own_mariadb, own_postgresql
from .pgbouncer import behind_pgbouncer
from .targets import Target
from .two_databases import two_databases

__all__ = ["STORES", "opened"]

_OWN = {"postgresql": own_postgresql, "mariadb": own_mariadb}
_COMMON = {"postgresql": postgresql_database, "mariadb": mariadb_database}

STORES = ("sqlite", "full-disk", *_COMMON, "pgbouncer", "galera", "two-databases")
"""The names."""


def opened(store: str, faults: Collection[str], folder: Path, dice: Random) -> AbstractContextManager[Target]:
    """An empty database. A server that is to be killed is one of the checker's own.

    :param folder: gets files and logs.
    :raises ServerMissing: if the server is missing that it takes.
    """
    log = folder / "database.log"
    if store == "full-disk":
        return full_disk(dice)
    if store == "pgbouncer":
        return behind_pgbouncer(log, dice)
    if store == "galera":
        return on_galera(dice)
    if store == "two-databases":
        return two_databases(dice)
    return _plain(store, faults, folder, log, dice)


@contextmanager
def _plain(store: str, faults: Collection[str], folder: Path, log: Path, dice: Random) -> Iterator[Target]:
    if store == "sqlite":
        yield Target(urls=[f"sqlite:///{folder / 'database.sqlite'}"])
    elif "server" in faults:
        with _OWN[store](log) as server:
            yield Target(urls=[server.url.render_as_string()], strikes=[server.killed(dice)])
    else:
        with _COMMON[store]() as database:
            database.empty()
            yield Target(urls=[database.url])
