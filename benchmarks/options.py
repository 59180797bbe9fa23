"""What is measured, and how much of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .databases import SQLITE
from .servers import SERVERS, Server
from .workloads import WORKLOADS, Workload

__all__ = ["FULL", "SMALL", "Options"]


@dataclass(frozen=True, kw_only=True)
class Options:
    """The options of one run.

    :param work: the scratch folder: environments of peers, databases, logs.
    :param servers: the names of the servers that are compared.
    :param databases: URLs on the database servers to measure on; peers have SQLite alone.
    :param rounds: how often everything is measured; in each round the servers take turns.
    :param seconds: how long one kind of request is repeated for in a round; what takes long is done fewer times.
    :param most_runs: how often it is repeated at the most.
    :param most_operations: how many operations the largest request has.
    :param members: how many members the large to-many has.
    :param types: how many resource types are registered.
    :param requests: how many requests each of the concurrent clients sends.
    """

    work: Path
    servers: tuple[str, ...]
    databases: tuple[str, ...] = (SQLITE,)
    rounds: int
    seconds: float
    most_runs: int
    most_operations: int
    members: int
    types: int
    requests: int

    def compared(self, database: str) -> Iterator[Server]:
        """The servers that are measured on the database."""
        for name in self.servers:
            if SERVERS[name].peer is None or database == SQLITE:
                yield SERVERS[name]

    @property
    def workloads(self) -> tuple[Workload, ...]:
        """Those that are not too large."""
        return tuple(workload for workload in WORKLOADS if workload.operations <= self.most_operations)

    @property
    def sizes(self) -> tuple[int, ...]:
        """How many operations requests that grow have."""
        return tuple(size for size in (1, 10, 100, 1000, 10_000) if size <= self.most_operations)


FULL = {
    "servers": tuple(SERVERS),
    "rounds": 3,
    "seconds": 0.4,
    "most_runs": 50,
    "most_operations": 10_000,
    "members": 100_000,
    "types": 200,
    "requests": 50,
}
SMALL = {
    "servers": ("ours", "floor"),
    "rounds": 1,
    "seconds": 0.0,
    "most_runs": 1,
    "most_operations": 100,
    "members": 100,
    "types": 5,
    "requests": 2,
}
