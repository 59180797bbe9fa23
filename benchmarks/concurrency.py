"""Two worker processes and sixteen clients at once: throughput, and how long the slowest wait."""

from __future__ import annotations

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from statistics import median, quantiles

from sqlalchemy import Engine, NullPool, create_engine, func, select

from .client import Client, Json, document
from .databases import fresh, title
from .models import Customer, prepare
from .options import Options
from .servers import SERVERS, Server, running
from .shop import Wrong
from .table import Table

__all__ = ["measure", "tables"]

_WORKERS = 2
_CLIENTS = 16
_ADDS = 10
"""How many operations a request has."""

_COMPARED = ("ours", "orm")


def measure(options: Options) -> Json:
    """Return the seconds of all requests and of all rounds, by database and server."""
    figures: Json = {}
    for _ in range(options.rounds):
        for database in options.databases:
            of_database = figures.setdefault(title(database), {})
            for server in options.compared(database):
                if server.name in _COMPARED:
                    of_server = of_database.setdefault(server.name, {"seconds": [], "refused": 0, "throughput": []})
                    _measure(server, database, options, of_server)
    return figures


def _measure(server: Server, database: str, options: Options, figures: Json) -> None:
    with fresh(database, options.work) as url:
        engine = create_engine(url, poolclass=NullPool)
        prepare(engine)  # the workers would do it both at once
        with running(server, url, options.work, workers=_WORKERS, threads=_CLIENTS // _WORKERS) as run:
            sent, elapsed = _send_all(run.port, server.path, options.requests)
        statuses = Counter(status for _, status in sent)
        _check(engine, (statuses[200] + 1) * _ADDS)
    figures["seconds"] += [seconds for seconds, status in sent if status == 200]
    figures["refused"] += len(sent) - statuses[200]
    figures["throughput"].append(statuses[200] / elapsed)


def _send_all(port: int, path: str, requests: int) -> tuple[list[tuple[float, int]], float]:
    """Have all clients send requests; return the seconds and the status of each, and the seconds that it took."""
    _send(port, path, 1, 0)  # does not count
    with ThreadPoolExecutor(_CLIENTS) as pool:
        begin = time.perf_counter()
        clients = [pool.submit(_send, port, path, requests, each) for each in range(1, _CLIENTS + 1)]
        sent = [answer for client in clients for answer in client.result()]
        return sent, time.perf_counter() - begin


def _send(port: int, path: str, requests: int, number: int) -> list[tuple[float, int]]:
    """Send requests one after the other; return the seconds and the status of each."""
    bodies = [document([_add(f"{number}-{request}-{each}") for each in range(_ADDS)]) for request in range(requests)]
    with Client(port, path) as client:
        return [client.send(body)[:2] for body in bodies]


def _add(name: str) -> Json:
    attributes = {"name": f"Customer {name}", "email": f"customer{name}@example.com"}
    return {"op": "add", "data": {"type": "customer", "attributes": attributes}}


def _check(engine: Engine, expected: int) -> None:
    with engine.connect() as connection:
        stored = connection.scalar(select(func.count()).select_from(Customer))
    if stored != expected:
        raise Wrong(f"{stored} customers are stored, and not {expected}.")


def tables(figures: Json) -> list[Table]:
    """Return one table."""
    rows = [
        [
            f"{database}, {SERVERS[name].title}",
            f"{median(each['throughput']):.0f}",
            *(f"{seconds * 1000:.1f}" for seconds in _median_and_slowest(each["seconds"])),
            str(each["refused"]),
        ]
        for database, servers in figures.items()
        for name, each in servers.items()
    ]
    title = f"{_WORKERS} workers, {_CLIENTS} clients at once, {_ADDS} adds in each request"
    return [Table("concurrency", title, ["", "requests a second", "median ms", "p99 ms", "refused"], rows)]


def _median_and_slowest(seconds: list[float]) -> tuple[float, float]:
    return median(seconds), quantiles(seconds, n=100, method="inclusive")[98]
