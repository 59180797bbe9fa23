"""PostgreSQL behind PgBouncer, whose connections are given to others after each transaction."""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Iterator
from configparser import ConfigParser
from contextlib import contextmanager
from pathlib import Path
from random import Random
from threading import Lock

from tests.servers import ServerMissing, program

from .daemons import Daemon
from .faults import Striking
from .own_servers import NAME, own_postgresql
from .targets import Target

__all__ = ["behind_pgbouncer"]

DOCUMENTED = Path(__file__).parents[2] / "docs" / "code" / "pgbouncer.ini"

OTHERWISE = {"auth_type": "any", "unix_socket_dir": "", "default_pool_size": "5"}
"""What is set otherwise than documented. There are fewer connections to the server than threads that want one."""

IMPATIENT = "ALTER DATABASE {name} SET lock_timeout = '1s'"
"""What keeps a request from waiting long for a lock. It cannot be said when PgBouncer is connected to."""


@contextmanager
def behind_pgbouncer(log: Path, dice: Random) -> Iterator[Target]:
    """A PostgreSQL of the checker's own, which the application reaches through a PgBouncer only.

    :raises ServerMissing: if one of both cannot be started.
    """
    pgbouncer = program("pgbouncer")
    if pgbouncer is None:
        raise ServerMissing("There is no pgbouncer that could be started. It is a package of Debian.")
    with own_postgresql(log) as server:
        server.ask(IMPATIENT.format(name=NAME))
        port = _free_port()
        settings = _settings(Path(str(server.url.query["host"])), port)
        with Daemon([pgbouncer, str(settings)], ("127.0.0.1", port), log, server.user) as pooler:
            yield Target(
                urls=[server.url.render_as_string()],
                ways=[server.url.set(host="127.0.0.1", port=port, query={}).render_as_string()],
                application={"pooled": True},
                strikes=[server.killed(dice), *_strikes(pooler, dice)],
                leave=pooler.kill,
            )


def _settings(folder: Path, port: int) -> Path:
    """A file that leads from the port to the server whose socket is in the folder."""
    settings = ConfigParser(interpolation=None)
    settings.read(DOCUMENTED, "utf-8")
    settings["databases"] = {NAME: f"host={folder} port=5432 user=postgres"}
    settings["pgbouncer"].update({"listen_port": str(port), **OTHERWISE})
    file = folder / "pgbouncer.ini"
    with file.open("w", encoding="utf-8") as lines:
        settings.write(lines)
    file.chmod(0o644)
    return file


def _strikes(pooler: Daemon, dice: Random) -> list[Striking]:
    one_at_a_time = Lock()

    def kill() -> bool:
        with one_at_a_time:
            pooler.kill()
            time.sleep(dice.uniform(0, 0.5))
            pooler.start()
        return True

    def restart() -> bool:
        with one_at_a_time:
            pooler.stop(signal.SIGINT, seconds=10)  # it waits for the end of transactions
            pooler.start()
        return True

    return [Striking("pooler killed", 6, kill), Striking("pooler restarted", 10, restart)]


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])
