"""What a request costs on three nodes, next to one: `python -m tests.cluster.cost`. No node waits for its disk."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.measuring import opened
from benchmarks.options import FULL, Options
from benchmarks.servers import SERVERS
from benchmarks.shop import Shop
from benchmarks.table import Table

from .galera import galera

SIZES = (1, 10, 100, 1000)
"""How many adds a request has."""

DATABASE = "cost"

Figures = dict[str, dict[int, float]]
"""The seconds of the quickest request, by what it was sent to and the number of its adds."""


def main() -> None:
    """Measure, print and write."""
    parser = ArgumentParser(prog="python -m tests.cluster.cost", description=__doc__)
    parser.add_argument("--rounds", type=int, default=6, help="how often the application is started anew for each")
    parser.add_argument("--requests", type=int, default=10, help="how many requests of each size it gets in a round")
    parser.add_argument("--docs", type=Path, metavar="FOLDER", help="write the table, too")
    given = parser.parse_args()
    with TemporaryDirectory(prefix="cost-") as folder, ExitStack() as stack:
        options = Options(work=Path(folder), **FULL)  # type: ignore[arg-type]
        nodes = list(_nodes(stack).items())
        figures: Figures = {name: dict.fromkeys(SIZES, float("inf")) for name, _ in nodes}
        for _ in range(given.rounds):
            with ExitStack() as round_:
                shops = {name: round_.enter_context(opened(SERVERS["ours"], url, options))[0] for name, url in nodes}
                _measure(shops, given.requests, figures)
            nodes.append(nodes.pop(0))  # some process is the first, and has it harder
        table = _table(figures)
    print(table.markdown())
    if given.docs is not None:
        table.write(given.docs)


def _nodes(stack: ExitStack) -> dict[str, str]:
    """The URLs of a node without others, of one of three, and of another of them, which waits for the others."""
    one, three = (stack.enter_context(galera(count)) for count in (1, 3))
    for cluster in (one, three):
        cluster.create(DATABASE)
    three.nodes[1].ask("SET GLOBAL wsrep_sync_wait = 7")
    first, second, _ = three.urls(DATABASE)
    return {"one node": one.urls(DATABASE)[0], "three nodes": first, "three nodes, wsrep_sync_wait": second}


def _measure(shops: Mapping[str, Shop], requests: int, figures: Figures) -> None:
    """Send requests to each in turn, so that what else the machine does is in the way of all."""
    for size in SIZES:
        for _ in range(requests):
            for name, shop in shops.items():
                figures[name][size] = min(shop.adds(size), figures[name][size])


def _table(figures: Figures) -> Table:
    least = figures["one node"]
    rows = [
        [name, *(f"{sizes[size] * 1000:.1f} ({sizes[size] / least[size]:.2f})" for size in SIZES)]
        for name, sizes in figures.items()
    ]
    return Table("cluster", "Milliseconds of a request, and in ratio to one node", ["adds", *map(str, SIZES)], rows)


if __name__ == "__main__":
    main()
