"""PostgreSQL behind PgBouncer, whose connections are given to others after each transaction."""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from threading import Lock

from tests.servers import ServerMissing, program

from .daemons import Daemon
from .faults import Striking
from .own_servers import own_postgresql
from .targets import Target

__all__ = ["behind_pgbouncer"]

SETTINGS = """\
[databases]
{name} = host={host} port=5432 user=postgres

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 5
query_wait_timeout = 5
server_login_retry = 1
"""
"""There are fewer connections to the server than threads that want one."""

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
        server.ask(IMPATIENT.format(name=server.url.database))
        port = _free_port()
        settings = Path(str(server.url.query["host"])) / "pgbouncer.ini"
        settings.write_text(SETTINGS.format(name=server.url.database, host=server.url.query["host"], port=port))
        settings.chmod(0o644)
        with Daemon([pgbouncer, str(settings)], ("127.0.0.1", port), log, server.user) as pooler:
            yield Target(
                url=server.url.render_as_string(),
                way=server.url.set(host="127.0.0.1", port=port, query={}).render_as_string(),
                application={"pooled": True},
                strikes=[server.killed(dice), *_strikes(pooler, dice)],
                leave=pooler.kill,
            )


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
