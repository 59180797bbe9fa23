"""Measure how fast flask_atomic is, next to views that are written by hand and to other implementations.

Prints tables. The parts that can be measured:

  comparison   the same requests to each server: milliseconds
  growth       requests of 1 to 10 000 operations: time and memory for each operation, and refusals
  concurrency  two workers, sixteen clients: throughput
  members      one member of a to-many relationship of few and of many
  statements   SQL statements for a request, by database
  stages       where the time of a request goes
  startup      imports, and many resource types

The servers: ours; floor, orm and orm-each, written by hand (benchmarks/floor.py); the peers drf, ninja and fastapi
(benchmarks/peers), each of which is installed into an environment of its own when it is first run.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from . import comparison, concurrency, growth, machine, members, plot, stages, startup, statements
from .client import Json
from .databases import SQLITE
from .options import FULL, SMALL, Options
from .servers import SERVERS, install
from .table import Table

_DOCS = Path(__file__).resolve().parents[1] / "docs" / "benchmarks"


class _Part(NamedTuple):
    measure: Callable[[Options], Json]
    tables: Callable[[Json], list[Table]]


_PARTS = {
    "comparison": _Part(comparison.measure, comparison.tables),
    "growth": _Part(growth.measure, growth.tables),
    "concurrency": _Part(concurrency.measure, concurrency.tables),
    "members": _Part(members.measure, members.tables),
    "statements": _Part(statements.measure, statements.tables),
    "stages": _Part(stages.measure, stages.tables),
    "startup": _Part(startup.measure, startup.tables),
    "machine": _Part(lambda options: machine.measure(options.databases), machine.tables),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Do what the arguments of the command line say."""
    parser = _parser()
    given = parser.parse_args(arguments)
    if given.docs is not None and find_spec("matplotlib") is None:
        parser.error("--docs draws a plot, which takes matplotlib: install the extra 'bench'")
    options = _options(given)
    options.work.mkdir(parents=True, exist_ok=True)
    for name in options.servers:
        install(SERVERS[name], options.work)
    figures: Json = {}
    for name in dict.fromkeys([*given.parts, "machine"]):
        figures[name] = _PARTS[name].measure(options)
        for table in _PARTS[name].tables(figures[name]):
            print(table.markdown(), end="\n\n", flush=True)
            if given.docs is not None:
                table.write(given.docs)
    if given.json is not None:
        given.json.write_text(json.dumps(figures, indent=1))
    if given.docs is not None and "growth" in figures:
        plot.draw(figures["growth"], given.docs / "growth.svg")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parts, servers = [name for name in _PARTS if name != "machine"], list(SERVERS)
    parser.add_argument("--parts", type=_names(parts), default=parts, help="some of the parts, with commas")
    parser.add_argument("--servers", type=_names(servers), help="some of the servers, with commas")
    parser.add_argument(
        "--database",
        action="append",
        dest="databases",
        metavar="URL",
        help="also measure on this database server, where ours and what is written by hand is concerned; "
        "databases are made there and dropped again",
    )
    parser.add_argument("--rounds", type=int, help="how often everything is measured; the servers take turns")
    parser.add_argument("--seconds", type=float, help="how long a kind of request is repeated for in a round")
    parser.add_argument("--members", type=int, help="how many members the large to-many relationship has")
    parser.add_argument("--small", action="store_true", help="a little of everything: to see whether it works")
    parser.add_argument("--work", type=Path, help="the scratch folder, which keeps the environments of the peers")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures, too")
    parser.add_argument(
        "--docs", type=Path, nargs="?", const=_DOCS, metavar="FOLDER", help="write the tables and the plot, too"
    )
    return parser


def _names(known: Sequence[str]) -> Callable[[str], tuple[str, ...]]:
    def read(text: str) -> tuple[str, ...]:
        names = tuple(text.split(","))
        unknown = set(names) - set(known)
        if unknown:
            raise argparse.ArgumentTypeError(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(known)}")
        return names

    return read


def _options(given: argparse.Namespace) -> Options:
    amounts: dict[str, Any] = dict(SMALL if given.small else FULL)
    for name in ("servers", "rounds", "seconds", "members"):
        if getattr(given, name) is not None:
            amounts[name] = getattr(given, name)
    work = given.work or Path(tempfile.gettempdir(), "flask_atomic_benchmarks")
    return Options(work=work.resolve(), databases=(SQLITE, *(given.databases or ())), **amounts)


if __name__ == "__main__":
    main()
