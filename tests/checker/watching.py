"""A look, again and again, at rows that all clients overwrite: what is mixed may be whole again a moment later."""

from __future__ import annotations

from contextlib import suppress
from threading import Event, Thread
from typing import Self

from sqlalchemy.exc import DBAPIError

from .histories import State
from .stores import Store

__all__ = ["Watcher"]

PAUSE = 0.02
"""How many seconds there are between two looks."""


class Watcher:
    """Looks at the lamps, inside of its context.

    :param store: where they are.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._stop = Event()
        with store.connected() as connection:
            self.before = store.watch(connection)
        """The states before anything was sent."""
        self.seen: frozenset[State] = frozenset()
        """Those that were seen meanwhile."""

    def __enter__(self) -> Self:
        self._thread = Thread(target=self._go_on)
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stop.set()
        self._thread.join()

    def _go_on(self) -> None:
        while not self._stop.wait(PAUSE):
            with suppress(DBAPIError), self._store.connected() as connection:  # connections are killed
                while not self._stop.wait(PAUSE):
                    self.seen |= self._store.watch(connection)
