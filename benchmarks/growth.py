"""Requests that grow: the time and the memory that an operation costs among few and among many."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from statistics import median

from .client import Json
from .databases import SQLITE
from .measuring import opened, repeated
from .options import Options
from .servers import SERVERS, Server
from .shop import Shop
from .table import Table

__all__ = ["measure", "tables"]

_KINDS = {"adds": Shop.adds, "updates": Shop.updates, "removes": Shop.removes, "errors": Shop.errors}
_COMPARED = "adds"
"""What all servers are asked for; the rest is for ours and the ORM by hand, and errors for ours alone."""

_LARGE = 1000
"""From how many operations on the memory that a request takes says something about an operation."""

_Cell = Callable[[str, Json], str]


def measure(options: Options) -> Json:
    """Return the seconds of requests, and the bytes that the server grew by at the peak, by kind, server and size."""
    figures: Json = {}
    for _ in range(options.rounds):
        for kind in _KINDS:
            of_kind = figures.setdefault(kind, {})
            for server in options.compared(SQLITE):
                if kind == _COMPARED or server.name == "ours" or (server.name == "orm" and kind != "errors"):
                    _measure(kind, server, options, of_kind.setdefault(server.name, {}))
    return figures


def _measure(kind: str, server: Server, options: Options, figures: Json) -> None:
    with opened(server, SQLITE, options) as (shop, run):
        _KINDS[kind](shop, 10)
        memory = _Memory(run.worker())
        for size in options.sizes:
            of_size = figures.setdefault(str(size), {"seconds": [], "bytes": []})
            seconds = repeated(lambda: _KINDS[kind](shop, size), options, least=1)  # noqa: B023 - called at once
            of_size["seconds"] += seconds
            of_size["bytes"] += memory.growth()


class _Memory:
    """How much memory a process has taken at the peak since this object was made; Linux tells."""

    def __init__(self, process: int | None) -> None:
        self._folder = Path(f"/proc/{process}")
        self._before = self._peak()

    def growth(self) -> list[int]:
        """The bytes, if they are told."""
        peak = self._peak()
        return [] if peak is None or self._before is None else [peak - self._before]

    def _peak(self) -> int | None:
        with suppress(OSError):
            for line in (self._folder / "status").read_text().splitlines():
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
        return None


def tables(figures: Json) -> list[Table]:
    """Return tables of the time and of the memory that an operation takes."""
    adds, others = figures[_COMPARED], {kind: of_kind for kind, of_kind in figures.items() if kind != _COMPARED}
    rows = [(SERVERS[name].title, of_server) for name, of_server in adds.items()]
    rows_of_others = [
        (f"{SERVERS[name].title}, {kind}", of_server)
        for kind, of_kind in others.items()
        for name, of_server in of_kind.items()
    ]
    unit = "microseconds for each operation, by the number of operations in the request"
    return [
        _table("growth-adds", f"Adds: {unit}", rows, _microseconds),
        _table("growth-others", f"Updates, removes and refusals: {unit}", rows_of_others, _microseconds),
        *_memory_table([*((f"{title}, {_COMPARED}", of_server) for title, of_server in rows), *rows_of_others]),
    ]


def _table(name: str, title: str, rows: list[tuple[str, Json]], cell: _Cell) -> Table:
    sizes = list(dict.fromkeys(size for _, of_server in rows for size in of_server))
    return Table(
        name, title, ["", *sizes], [[row, *(cell(size, of_server[size]) for size in sizes)] for row, of_server in rows]
    )


def _memory_table(rows: list[tuple[str, Json]]) -> list[Table]:
    large = [(row, {size: each for size, each in sizes.items() if int(size) >= _LARGE}) for row, sizes in rows]
    told = [(row, sizes) for row, sizes in large if sizes and all(each["bytes"] for each in sizes.values())]
    if not told:
        return []
    title = "Memory: KiB for each operation that the server grows by at the peak, by the number of operations"
    return [_table("growth-memory", title, told, _kibibytes)]


def _microseconds(size: str, figures: Json) -> str:
    each = median(figures["seconds"]) / int(size) * 1e6
    return f"{each:.0f}"


def _kibibytes(size: str, figures: Json) -> str:
    return f"{median(figures['bytes']) / int(size) / 1024:.1f}"
