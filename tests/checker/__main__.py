"""The command: `python -m tests.checker --store postgresql --seconds 600 --faults all --seed 1`."""

from __future__ import annotations

import signal
import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from pathlib import Path
from random import Random
from tempfile import mkdtemp

from .faults import FAULTS
from .opening import STORES, opened
from .planted import LAYERS
from .runs import Plan, run

SHOWN = 50
"""How many findings are shown; the others are counted."""


def main() -> int:
    """Run the checker; return 1 if something was found."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # then, too, neither server nor database is left behind
    arguments = _arguments()
    plan = Plan(
        seconds=arguments.seconds,
        faults=arguments.faults,
        seed=arguments.seed,
        intensity=arguments.intensity,
        clients=arguments.clients,
        workers=arguments.workers,
        threads=arguments.threads,
        defect=arguments.defect,
    )
    folder = Path(mkdtemp(prefix="checker-"))
    print(f"{arguments.store}, {plan}\nlog and histories: {folder}", flush=True)
    with opened(arguments.store, plan.faults, folder, Random(plan.seed)) as target:
        report = run(target, plan, folder)
    for name, figure in report.figures.items():
        print(f"{figure:>10}  {name}")
    for finding in report.findings[:SHOWN]:
        print(f"{finding.kind}: {finding.batch or '-'}: {finding.detail}")
    print(f"{len(report.findings)} findings")
    return 1 if report.findings else 0


def _arguments() -> Namespace:
    parser = ArgumentParser(prog="python -m tests.checker", description="Is anything lost, twice or in part?")
    parser.add_argument("--store", choices=STORES, default="sqlite")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--faults", type=_faults, default="all", help=f"all, none, or some of {','.join(FAULTS)}")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--intensity", type=float, default=1, help="how much more often than usual faults come")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--threads", type=int, default=4)
    parser.add_argument("--defect", choices=sorted(LAYERS), default="", help="a defect to plant, which is to be found")
    arguments = parser.parse_args()
    if arguments.defect and arguments.store == "two-databases":
        parser.error("these defects are in the layer over one database; python -m tests.two_phase plants others")
    return arguments


def _faults(names: str) -> frozenset[str]:
    faults = {"all": frozenset(FAULTS), "none": frozenset()}.get(names, frozenset(names.split(",")))
    if unknown := faults - FAULTS.keys():
        raise ArgumentTypeError(f"there is no fault {', '.join(unknown)}")
    return faults


if __name__ == "__main__":
    sys.exit(main())
