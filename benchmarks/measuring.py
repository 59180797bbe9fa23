"""A server with an empty shop, and repeated requests to it."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from .client import Client
from .databases import fresh
from .options import Options
from .servers import Running, Server, running
from .shop import Shop

__all__ = ["opened", "repeated"]


@contextmanager
def opened(server: Server, database: str, options: Options) -> Iterator[tuple[Shop, Running]]:
    """An empty shop on the server, which runs meanwhile; what is stored is checked in the end.

    :raises Wrong: if that is not what must be stored.
    """
    with (
        fresh(database, options.work) as url,
        running(server, url, options.work) as run,
        Client(run.port, server.path) as client,
    ):
        shop = Shop(client, url, server.results)
        yield shop, run
        shop.check()


def repeated(run: Callable[[], float], options: Options, *, least: int) -> list[float]:
    """The seconds that `run` returns each time it is called, `least` times or more, until the time for it is up."""
    seconds: list[float] = []
    gc.disable()
    try:
        while len(seconds) < options.most_runs and (len(seconds) < least or sum(seconds) < options.seconds):
            seconds.append(run())
    finally:
        gc.enable()
    return seconds
