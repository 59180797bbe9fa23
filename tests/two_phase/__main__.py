"""The command: `python -m tests.two_phase --rounds 300`."""

from __future__ import annotations

import logging
import signal
import sys
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Iterable
from itertools import groupby, islice
from pathlib import Path
from tempfile import TemporaryDirectory

from .costs import measure
from .planted import DEFECTS
from .rounds import KINDS, Finding, Round, open_shop, perform, rounds
from .stores import Stores, stores


def main() -> int:
    """Run the rounds, print what was done and found, and return 1 if something was."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # then, too, no server is left behind
    parser = ArgumentParser(prog="python -m tests.two_phase", description="Is a request over several databases whole?")
    parser.add_argument("--rounds", type=int, default=300, metavar="N")
    parser.add_argument("--kind", choices=KINDS, help="only what happens like this")
    parser.add_argument("--defect", choices=sorted(DEFECTS), help="a defect to plant, which is to be found")
    parser.add_argument("--costs", type=int, metavar="N", help="instead, measure N requests of each kind")
    arguments = parser.parse_args()
    with TemporaryDirectory() as folder, stores(Path(folder), durable=arguments.costs is not None) as databases:
        if arguments.costs is not None:
            for line in measure(databases, arguments.costs):
                print(line, flush=True)
            return 0
        wanted = (each for each in rounds() if arguments.kind in (None, each.kind))
        return _run(databases, islice(wanted, arguments.rounds), arguments.defect)


def _run(databases: Stores, wanted: Iterable[Round], defect: str | None) -> int:
    logging.disable()  # what is killed says so, at length
    done: Counter[tuple[str, str]] = Counter()
    findings: list[Finding] = []
    chosen = sorted(wanted, key=lambda each: each.kinds)
    for kinds, together in groupby(chosen, key=lambda each: each.kinds):
        with open_shop(databases, kinds) as shop:
            for each in together:
                findings += perform(shop, each, defect)
                done[each.kind, each.point] += 1
        print(f"{done.total():>6}  rounds up to {', '.join(kinds)}", flush=True)
    for (kind, point), count in sorted(done.items()):
        print(f"{count:>6}  {kind:<10}{point}")
    for finding in findings:
        print(f"{finding.round}: {finding.detail}")
    print(f"{done.total()} rounds, {len(findings)} findings")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
