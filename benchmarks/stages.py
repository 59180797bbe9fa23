"""Where the time of a request goes, in this process: microseconds for each operation, by stage."""

from __future__ import annotations

import functools
import inspect
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from statistics import median
from typing import Any, NamedTuple
from unittest.mock import patch

from flask_atomic import document, execution, extension, planning, strictjson
from flask_atomic.codec import Codec
from flask_atomic.layers.sqlalchemy import SQLAlchemyLayer

from .client import Json
from .databases import SQLITE, fresh
from .local import LocalClient
from .options import Options
from .server import create_app
from .shop import Shop
from .table import Table
from .workloads import LIDS, Workload

__all__ = ["measure", "tables"]

_WHOLE, _EXECUTE, _JSON, _REST = "whole", "execute", "json", "rest"


class _Stage(NamedTuple):
    """A function, or several, whose time is a stage of its own or a part of another one."""

    name: str
    title: str
    owner: Any = None
    functions: tuple[str, ...] = ()
    part: bool = False


_STAGES = (
    _Stage("parse", "parse: bytes to JSON values", strictjson, ("parse",)),
    _Stage("read", "read: JSON values to operations", document, ("read",)),
    _Stage("plan", "plan: names, ids, linkage, attributes", planning, ("plan",)),
    _Stage("load", "of that, load: the schema", Codec, ("load",), part=True),
    _Stage(_EXECUTE, "execute: in the transaction, with the commit", execution, ("perform",)),
    _Stage("get", "of that, the layer's get", SQLAlchemyLayer, ("atomic_get",), part=True),
    _Stage(
        "write",
        "of that, the layer's add, update, remove",
        SQLAlchemyLayer,
        tuple(f"atomic_{op}{many}" for op in ("add", "update", "remove") for many in ("", "_all")),
        part=True,
    ),
    _Stage("flush", "of that, the layer's flush", SQLAlchemyLayer, ("atomic_flush",), part=True),
    _Stage("show", "of that, show: the results", execution, ("resource_objects",), part=True),
    _Stage("dump", "of that again, dump: the schema", Codec, ("dump",), part=True),
    _Stage("commit", "of that, the layer's commit", SQLAlchemyLayer, ("atomic_commit",), part=True),
    _Stage(_JSON, "JSON: results to bytes", extension, ("_document",)),
    _Stage(_REST, "Flask: routing, headers, the response"),
    _Stage(_WHOLE, "the whole request"),
)


def measure(options: Options) -> Json:
    """Return the seconds of each stage in each request, by workload."""
    figures: Json = {}
    with fresh(SQLITE, options.work) as url, _timed() as spent:
        client = LocalClient(create_app(url))
        shop = Shop(client, url)
        for workload in _workloads(min(options.most_operations, 1000)):
            runs = figures.setdefault(workload.title, {"operations": workload.operations, "runs": []})["runs"]
            workload.run(shop)
            for _ in range(min(options.most_runs, 20)):
                runs.append(_stages(workload, shop, client, spent))
        shop.check()
    return figures


def _workloads(size: int) -> list[Workload]:
    return [
        Workload("1 add", 1, Shop.adds),
        Workload(f"{size} adds", size, Shop.adds),
        Workload(f"{size // 2} + {size // 2} by lid", size, Shop.alternating, needs=LIDS),
        Workload(f"{size} updates", size, Shop.updates),
        Workload(f"{size} removes", size, Shop.removes),
    ]


def _stages(workload: Workload, shop: Shop, client: LocalClient, spent: Counter[str]) -> dict[str, float]:
    client.before = spent.clear  # other requests may come first
    whole = workload.run(shop)
    stages = {stage.name: spent[stage.name] for stage in _STAGES}
    stages[_EXECUTE] -= stages[_JSON]  # the answer is made before the commit
    parts = sum(stages[stage.name] for stage in _STAGES if not stage.part)
    return {**stages, _REST: whole - parts, _WHOLE: whole}


@contextmanager
def _timed() -> Iterator[Counter[str]]:
    """Have every stage of what is set up and done meanwhile add its seconds under its name."""
    spent: Counter[str] = Counter()
    with ExitStack() as patches:
        for stage in _STAGES:
            for name in stage.functions:
                timed = _adding(spent, stage.name, getattr(stage.owner, name))
                patches.enter_context(patch.object(stage.owner, name, timed))
        yield spent


def _adding(spent: Counter[str], stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        begin = time.perf_counter()
        try:
            return function(*args, **kwargs)
        finally:
            spent[stage] += time.perf_counter() - begin  # type: ignore[assignment]

    call.__signature__ = inspect.signature(function)  # type: ignore[attr-defined] # pluggy looks at it
    return call


def tables(figures: Json) -> list[Table]:
    """Return one table."""
    rows = [[stage.title, *(_microseconds(each, stage.name) for each in figures.values())] for stage in _STAGES]
    return [Table("stages", "Microseconds for each operation, by stage", ["", *figures], rows)]


def _microseconds(figures: Json, stage: str) -> str:
    each = median(run[stage] for run in figures["runs"]) / figures["operations"] * 1e6
    return f"{each:.1f}"
