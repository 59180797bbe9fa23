"""One node of MariaDB Galera, on loopback: it has a folder, a file of defaults and ports of its own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from getpass import getuser
from pathlib import Path
from typing import Any, NamedTuple

import pymysql
import pymysql.cursors
from sqlalchemy import URL

from tests.servers import START_SECONDS, program

__all__ = ["Node", "Ports", "hand_over", "wait_until"]

SYNC_SECONDS = 2 * START_SECONDS
"""How long a node may take until it has what the others have."""

DEFAULTS = """\
[mysqld]
user = {user}
datadir = {folder}/data
socket = {folder}/socket
pid-file = {folder}/pid
log-error = {folder}/log.err
bind-address = 127.0.0.1
port = {ports.sql}
skip-name-resolve
default-storage-engine = InnoDB
binlog-format = ROW
innodb-autoinc-lock-mode = 2
# A killed process loses nothing that the operating system has.
innodb-flush-log-at-trx-commit = 2
innodb-buffer-pool-size = 32M
innodb-log-file-size = 16M
aria-pagecache-buffer-size = 8M
wsrep-on = ON
wsrep-provider = {provider}
wsrep-provider-options = "{options}"
wsrep-cluster-name = {cluster}
wsrep-cluster-address = gcomm://{addresses}
wsrep-node-name = {name}
wsrep-node-address = 127.0.0.1
wsrep-sst-method = rsync
wsrep-sst-receive-address = 127.0.0.1:{ports.sst}
"""

OPTIONS = {
    "gmcast.listen_addr": "tcp://127.0.0.1:{ports.group}",
    "ist.recv_addr": "127.0.0.1:{ports.ist}",
    "gcache.size": "16M",
    # The others go on without a node that has said nothing for so long: sooner than usual.
    "evs.keepalive_period": "PT0.5S",
    "evs.suspect_timeout": "PT3S",
    "evs.inactive_timeout": "PT6S",
    "evs.install_timeout": "PT6S",
}


class Ports(NamedTuple):
    """Where a node listens: for clients, for the other nodes, for what it has missed, and for all that there is."""

    sql: int
    group: int
    ist: int
    sst: int


class Node:
    """One of the servers.

    :param folder: the node's own, which is made; its name is that of the node.
    :param addresses: of all nodes, for each other.
    :param provider: the library that makes a server a node.
    """

    def __init__(self, folder: Path, ports: Ports, addresses: str, provider: Path) -> None:
        self.name = folder.name
        self.url = URL.create("mysql+pymysql", "root", host="127.0.0.1", port=ports.sql)
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: pymysql.Connection[Any] | None = None
        self._set_up(ports, addresses, provider)

    def _set_up(self, ports: Ports, addresses: str, provider: Path) -> None:
        options = ";".join(f"{name}={value}" for name, value in OPTIONS.items()).format(ports=ports)
        known = {"folder": self._folder, "cluster": self._folder.parent.name, "name": self.name, "user": user()}
        defaults = DEFAULTS.format(ports=ports, addresses=addresses, provider=provider, options=options, **known)
        (self._folder / "data").mkdir(parents=True)
        (self._folder / "defaults").write_text(defaults)

    def install(self) -> None:
        """Make what the first node begins with, and gives to the others."""
        command = [program("mariadb-install-db"), "--no-defaults", f"--datadir={self._folder / 'data'}"]
        command += [f"--user={getuser()}", "--auth-root-authentication-method=normal", "--skip-test-db"]
        subprocess.run(command, check=True, capture_output=True)

    def start(self, *options: str) -> None:
        """Start it. It asks the others for what it has missed, for everything if that is too much."""
        command = [program("mariadbd"), f"--defaults-file={self._folder / 'defaults'}"]
        if not options and (position := self._position(command)):
            options = (f"--wsrep-start-position={position}",)
        with (self._folder / "output").open("ab") as output:
            # A group of its own: Ctrl-C is not for the nodes, which are stopped in order.
            self._process = subprocess.Popen(
                [*command, *options], stdout=output, stderr=output, env=_environment(), process_group=0
            )

    def _position(self, command: Sequence[str]) -> str:
        """Up to where the node has what the cluster wrote; empty for one that knows nothing of it."""
        if not (self._folder / "data" / "ibdata1").exists():
            return ""
        told = self._folder / "position.err"
        told.unlink(missing_ok=True)
        subprocess.run(
            [*command, "--wsrep-recover", f"--log-error={told}"], check=True, capture_output=True, env=_environment()
        )
        found = [line.partition("Recovered position:")[2].strip() for line in told.read_text().splitlines()]
        return next(filter(None, found), "")

    def kill(self) -> None:
        """`kill -9`."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Have it leave the others in order."""
        self._end(signal.SIGTERM)

    def _end(self, kind: signal.Signals) -> None:
        process, self._process = self._process, None
        self._forget()
        if process is not None:
            process.send_signal(signal.SIGCONT)
            process.send_signal(kind)
            try:
                process.wait(START_SECONDS)
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)  # what copies data is not to outlive it
                process.wait()

    def lose_data(self) -> None:
        """Delete what it has stored. It must not be running."""
        assert self._process is None
        data = self._folder / "data"
        shutil.rmtree(data)
        data.mkdir()
        hand_over(data)

    def pause(self) -> None:
        """Have it hang, with all its connections, until it resumes."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Have it go on as if nothing had been."""
        self._signal(signal.SIGCONT)

    def _signal(self, kind: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(kind)

    def isolate(self) -> None:
        """Cut it off from the other nodes; not from clients."""
        self.ask("SET GLOBAL wsrep_provider_options = 'gmcast.isolate=1'")

    def rejoin(self) -> None:
        """Let it find the others again."""
        self.ask("SET GLOBAL wsrep_provider_options = 'gmcast.isolate=0'")

    def ask(self, statement: str) -> Sequence[tuple[Any, ...]]:
        """The rows that a statement returns.

        :raises pymysql.Error: if the node does not answer, or with an error.
        """
        try:
            with self._connected() as cursor:
                cursor.execute(statement)
                return cursor.fetchall()
        except pymysql.Error:
            self._forget()
            raise

    def _connected(self) -> pymysql.cursors.Cursor:
        # Not by SQLAlchemy, which ends with a ROLLBACK: a node that is cut off refuses even that.
        if self._connection is None:
            timeouts = dict.fromkeys(["connect_timeout", "read_timeout", "write_timeout"], 5)
            self._connection = pymysql.connect(
                host=self.url.host, port=self.url.port, user=self.url.username, autocommit=True, **timeouts
            )
        return self._connection.cursor()

    def _forget(self) -> None:
        """Close what the node is asked by."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(pymysql.Error):  # closed already
                connection.close()

    @property
    def status(self) -> dict[str, str]:
        """What the node says of itself and of the cluster; empty if it does not answer."""
        with suppress(pymysql.Error):
            rows = self.ask("SHOW STATUS WHERE variable_name IN ('{}')".format("', '".join(STATUS)))
            return {name.lower(): value for name, value in rows}
        return {}

    @property
    def state(self) -> str:
        """`Synced` if the node takes part; empty if it does not answer."""
        return self.status.get("wsrep_local_state_comment", "")

    def is_synced(self, others: int) -> bool:
        """Whether it takes part, together with so many others."""
        status = self.status
        return [status.get(name) for name in STATUS[:3]] == ["ON", "Synced", str(1 + others)]

    @property
    def committed(self) -> int:
        """The number of the last transaction of the cluster that the node has committed."""
        return int(self.status["wsrep_last_committed"])

    def wait_until_synced(self, others: int) -> None:
        """Wait until it takes part, together with so many others.

        :raises TimeoutError: if it does not.
        """
        wait_until(lambda: self.is_synced(others), self._told)

    def _told(self) -> str:
        log = (self._folder / "log.err").read_text("utf-8", errors="replace").splitlines()[-20:]
        return "\n".join([f"{self.name} does not take part: {self.status or 'no answer'}. The end of its log:", *log])


STATUS = ["wsrep_ready", "wsrep_local_state_comment", "wsrep_cluster_size", "wsrep_last_committed"]


def user() -> str:
    """Whom the nodes run as; they do not take root unless they are told to."""
    return "mysql" if os.geteuid() == 0 else getuser()


def hand_over(folder: Path) -> None:
    """Give a folder to whom the nodes run as."""
    if os.geteuid() == 0:
        for path in (folder, *folder.rglob("*")):
            shutil.chown(path, user())


def _environment() -> dict[str, str]:
    """A node calls programs that may be where only root looks for them."""
    return {**os.environ, "PATH": os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/bin"])}


def wait_until(holds: Callable[[], bool], otherwise: Callable[[], str]) -> None:
    """Wait, also while nodes do not answer.

    :param otherwise: says what is wrong.
    :raises TimeoutError: if it takes too long.
    """
    deadline = time.monotonic() + SYNC_SECONDS
    while True:
        with suppress(pymysql.Error, KeyError):
            if holds():
                return
        if time.monotonic() > deadline:
            raise TimeoutError(otherwise())
        time.sleep(0.1)
