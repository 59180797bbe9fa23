"""How many SQL statements a request sends, by database: each is a round trip."""

from __future__ import annotations

from collections.abc import Callable

from flask import Flask

from . import floor
from .client import Json
from .databases import fresh, title
from .local import LocalClient
from .options import Options
from .server import create_app
from .servers import SERVERS, Server
from .shop import Shop
from .table import Table

__all__ = ["measure", "tables"]

_APPLICATIONS: dict[str, Callable[[str], Flask]] = {
    "ours": create_app,
    "floor": floor.create_app,
    "orm": floor.create_app,
    "orm-each": floor.create_app,
}


def measure(options: Options) -> Json:
    """Return the numbers by database, server and workload."""
    return {
        title(database): {
            server.name: _measure(server, database, options)
            for server in options.compared(database)
            if server.name in _APPLICATIONS
        }
        for database in options.databases
    }


def _measure(server: Server, database: str, options: Options) -> Json:
    counts: Json = {}
    with fresh(database, options.work) as url:
        client = LocalClient(_APPLICATIONS[server.name](url), server.path)
        shop = Shop(client, url)
        for workload in options.workloads:
            workload.run(shop)
            counts[workload.title] = client.statements
        shop.check()
    return counts


def tables(figures: Json) -> list[Table]:
    """Return one table."""
    head = list(dict.fromkeys(each for servers in figures.values() for counts in servers.values() for each in counts))
    rows = [
        [f"{database}, {SERVERS[name].title}", *(str(counts[workload]) for workload in head)]
        for database, servers in figures.items()
        for name, counts in servers.items()
    ]
    return [Table("statements", "SQL statements for a request", ["", *head], rows)]
