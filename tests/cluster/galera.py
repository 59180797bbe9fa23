"""Three nodes of MariaDB Galera on loopback, which can be killed, cut off and brought back.

They take what Debian's packages `mariadb-server` and `galera-4` install, and nothing of a server that runs already:
each has a folder, a file of defaults and ports of its own.
"""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.servers import ServerMissing, program

from .node import Node, Ports, hand_over, wait_until

__all__ = ["Galera", "galera"]

PROVIDERS = [Path("/usr/lib/galera/libgalera_smm.so"), Path("/usr/lib64/galera-4/libgalera_smm.so")]
"""Where packages put the library that makes a server a node."""

PROGRAMS = ["mariadbd", "mariadb-install-db", "my_print_defaults", "wsrep_sst_rsync", "rsync"]
"""What a node calls, and what it is made with; besides one of `LISTERS`."""

LISTERS = ["lsof", "ss", "sockstat"]


class Galera:
    """The nodes of a cluster."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        self.nodes = nodes

    def urls(self, database: str) -> list[str]:
        """The URL of a database at each node."""
        return [node.url.set(database=database).render_as_string() for node in self.nodes]

    def create(self, database: str) -> None:
        """Make a database, and know that every node has it."""
        self.nodes[0].ask(f"CREATE DATABASE {database} CHARACTER SET utf8mb4")
        self.wait_until_whole()

    def wait_until_whole(self) -> None:
        """Wait until each node takes part, and has what was committed at any node until now.

        :raises TimeoutError: if that does not come to be.
        """
        for node in self.nodes:
            node.wait_until_synced(others=len(self.nodes) - 1)
        last = max(node.committed for node in self.nodes)
        wait_until(lambda: all(node.committed >= last for node in self.nodes), lambda: "The nodes do not catch up.")


@contextmanager
def galera(count: int = 3) -> Iterator[Galera]:
    """A cluster, which is gone afterwards, with all that is stored in it.

    :raises ServerMissing: if something is not installed.
    """
    provider = _provider()
    with TemporaryDirectory(prefix="galera-") as folder, ExitStack() as stack:
        nodes = _nodes(Path(folder), provider, count)
        first, *others = nodes
        first.install()
        hand_over(Path(folder))
        for node in nodes:
            stack.callback(node.kill)  # nothing of it is wanted any more
        first.start("--wsrep-new-cluster")
        first.wait_until_synced(others=0)
        for node in others:
            node.start()
        for node in nodes:
            node.wait_until_synced(others=len(others))
        yield Galera(nodes)


def _provider() -> Path:
    missing = [name for name in PROGRAMS if program(name) is None]
    if not any(map(program, LISTERS)):
        missing.append(" or ".join(LISTERS))
    provider = next((path for path in PROVIDERS if path.exists()), None)
    if provider is None or missing:
        missing += ["libgalera_smm.so"] if provider is None else []
        raise ServerMissing(f"There is no Galera cluster without {', '.join(missing)}: mariadb-server and galera-4.")
    return provider


def _nodes(folder: Path, provider: Path, count: int) -> list[Node]:
    free = _free_ports(4 * count)
    ports = [Ports(*free[start : start + 4]) for start in range(0, len(free), 4)]
    addresses = ",".join(f"127.0.0.1:{each.group}" for each in ports)
    return [Node(folder / f"node{number}", each, addresses, provider) for number, each in enumerate(ports, 1)]


def _free_ports(count: int) -> list[int]:
    """Ports that nobody has, and that no connection is given by chance while a node is away."""
    lowest_by_chance = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    ports = random.sample(range(10_000, max(lowest_by_chance, 20_000)), 20 * count)
    return [port for port in ports if _is_free(port)][:count]


def _is_free(port: int) -> bool:
    with closing(socket.socket()) as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0
