"""What gets in the way while clients write."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from random import Random
from threading import Event
from typing import NamedTuple

from sqlalchemy.exc import DBAPIError

from .daemons import children
from .stores import Store

__all__ = ["FAULTS", "Striking", "kill_a_worker", "strikes", "striking"]

_SERVERS = frozenset({"postgresql", "mysql"})
_ALL = _SERVERS | {"sqlite"}

FAULTS: Mapping[str, frozenset[str]] = {
    "workers": _ALL,
    "backends": _SERVERS,
    "network": _SERVERS,
    "locks": _ALL,
    "pool": _ALL,
    "clients": _ALL,
    "failures": _ALL,
    "server": _SERVERS,
    "pooler": frozenset({"postgresql"}),
    "disk": frozenset({"sqlite"}),
    "nodes": frozenset({"mysql"}),
    "recovery": _SERVERS,
}
"""The faults, and the dialects of the databases that can have them."""


class Striking(NamedTuple):
    """A fault that comes again and again.

    :param seconds: how long it takes until it comes again, on the average.
    :param strike: has it come; whether it did.
    """

    name: str
    seconds: float
    strike: Callable[[], bool]


def strikes(
    faults: Iterable[str], stores: Sequence[Store], servers: Sequence[int], others: Iterable[Striking], dice: Random
) -> list[Striking]:
    """Those of the faults that come again and again.

    :param servers: the process ids of gunicorn.
    :param others: those that these stores can have besides.
    """
    known = [
        *others,
        Striking("workers killed", 3, lambda: kill_a_worker(dice.choice(servers), dice)),
        Striking("backends killed", 0.7, lambda: dice.choice(stores).kill_a_connection(dice.random())),
        Striking("locks held", 4, lambda: dice.choice(stores).hold_locks(dice.uniform(0.1, 2.5))),
    ]
    return [striking for striking in known if striking.name.partition(" ")[0] in faults]


def kill_a_worker(server: int, dice: Random) -> bool:
    """`kill -9` of one of the processes that gunicorn has started."""
    workers = children(server)
    if not workers:
        return False
    os.kill(dice.choice(workers), signal.SIGKILL)
    return True


@contextmanager
def striking(every: Iterable[Striking], dice: Random, intensity: float, counts: Counter[str]) -> Iterator[None]:
    """Let the faults come meanwhile, each by itself.

    :param intensity: how much more often than usual.
    :param counts: how often each did.
    """
    stop = Event()

    def go_on(fault: Striking) -> None:
        while not stop.wait(dice.uniform(0, 2 * fault.seconds / intensity)):
            with suppress(DBAPIError):  # another fault has come first
                counts[fault.name] += fault.strike()

    every = list(every)
    with ThreadPoolExecutor(max(len(every), 1)) as pool:
        striking = [pool.submit(go_on, fault) for fault in every]
        try:
            yield
        finally:
            stop.set()
        for each in striking:
            each.result()  # one that could not strike would show less than it says
