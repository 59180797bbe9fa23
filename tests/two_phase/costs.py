"""What two phases cost: requests to one database and to two, in turns, where commits wait for the disk."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from statistics import median
from time import perf_counter
from typing import Any

from flask.testing import FlaskClient
from sqlalchemy.orm import sessionmaker

from flask_atomic.layers.sqlalchemy import SQLAlchemyLayer
from tests.application import add, post

from .shop import Orders, application, create_tables, engines
from .stores import COMBINATIONS, Stores

__all__ = ["measure"]

_WARMING = 20


def measure(stores: Stores, requests: int) -> Iterator[str]:
    """Yield a line of a table for each combination of two databases: medians in milliseconds."""
    yield f"{'databases':<26}{'one phase':>12}{'the first':>12}{'the second':>12}{'both':>12}"
    for kinds in COMBINATIONS:
        if len(kinds) == 2:
            figures = _measure(stores.urls(kinds), requests)
            yield f"{', '.join(kinds):<26}" + "".join(f"{figure:>12.2f}" for figure in figures)


def _measure(urls: list[str], requests: int) -> list[float]:
    binds = engines(urls)
    create_tables(binds)
    one = application({Orders: binds[Orders]}, layer=SQLAlchemyLayer(sessionmaker(binds[Orders]))).test_client()
    two = application(binds).test_client()
    cases: list[tuple[FlaskClient, list[str]]] = [
        (one, ["orders", "orders"]),
        (two, ["orders", "orders"]),
        (two, ["invoices", "invoices"]),
        (two, ["orders", "invoices"]),
    ]
    numbers = count()
    times: list[list[float]] = [[] for _ in cases]
    for _ in range(requests + _WARMING):
        for (client, types), measured in zip(cases, times, strict=True):
            measured.append(_time(client, types, numbers))
    for engine in binds.values():
        engine.dispose()
    return [median(each[_WARMING:]) * 1000 for each in times]


def _time(client: FlaskClient, types: list[str], numbers: Iterator[int]) -> float:
    operations: list[Any] = [add(type_, attributes={"number": str(next(numbers))}) for type_ in types]
    started = perf_counter()
    answer = post(client, *operations)
    taken = perf_counter() - started
    assert answer.status == 200
    return taken
