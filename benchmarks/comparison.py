"""The same requests to each server: median milliseconds, next to what an ORM takes that is written by hand."""

from __future__ import annotations

from statistics import median

from .client import Json
from .databases import title
from .measuring import opened, repeated
from .options import Options
from .servers import SERVERS
from .table import Table

__all__ = ["measure", "tables"]

_BASES = ("orm", "floor", "ours")
"""What ratios are to: the first of these that was measured."""


def measure(options: Options) -> Json:
    """Return the seconds of all requests, by database, server and workload."""
    figures: Json = {}
    for _ in range(options.rounds):
        for database in options.databases:
            of_database = figures.setdefault(title(database), {})
            for server in options.compared(database):
                of_server = of_database.setdefault(server.name, {})
                with opened(server, database, options) as (shop, _run):
                    for workload in options.workloads:
                        if workload.needs not in server.lacks:
                            workload.run(shop)  # the first one does not count
                            seconds = repeated(lambda: workload.run(shop), options, least=2)  # noqa: B023 - called now
                            of_server.setdefault(workload.title, []).extend(seconds)
    return figures


def tables(figures: Json) -> list[Table]:
    """Return a table for each database."""
    return [_table(database, servers) for database, servers in figures.items()]


def _table(database: str, servers: Json) -> Table:
    base = next((name for name in _BASES if name in servers), next(iter(servers)))
    medians = {
        name: {workload: median(seconds) for workload, seconds in workloads.items()}
        for name, workloads in servers.items()
    }
    head = list(dict.fromkeys(workload for workloads in medians.values() for workload in workloads))
    return Table(
        f"requests-{database.lower()}",
        f"{database}: median milliseconds for a request, and the ratio to '{SERVERS[base].title}'",
        ["", *head],
        [
            [SERVERS[name].title, *(_cell(of_server.get(each), medians[base].get(each)) for each in head)]
            for name, of_server in medians.items()
        ],
    )


def _cell(seconds: float | None, base: float | None) -> str:
    if seconds is None:
        return "-"
    ratio = "" if base is None else f" ({seconds / base:.2f})"
    return f"{seconds * 1000:.{1 if seconds < 0.1 else 0}f}{ratio}"
