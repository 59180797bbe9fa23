"""Something that is done in another thread."""

from __future__ import annotations

from collections.abc import Callable
from threading import Thread
from typing import Generic, TypeVar

from flask import Flask

__all__ = ["Meanwhile"]

Outcome = TypeVar("Outcome")


class Meanwhile(Generic[Outcome]):
    """Something that is done in a thread of its own, in the context of the application.

    :param patience: how many seconds it may take before it counts as blocked.
    """

    def __init__(self, application: Flask, patience: float, do: Callable[[], Outcome]) -> None:
        self._application = application
        self._patience = patience
        self._do = do
        self._outcomes: list[Outcome] = []
        self._error: BaseException | None = None
        self._thread = Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        __tracebackhide__ = True
        try:
            with self._application.app_context():
                self._outcomes.append(self._do())
        except BaseException as error:  # those of pytest, too: they are for the thread of the test
            self._error = error

    def wait(self, seconds: float) -> None:
        """Wait for the end, but no longer than that."""
        self._thread.join(seconds)

    def end(self) -> Outcome:
        """Return what was returned, or raise what was raised.

        :raises AssertionError: if there is no end to it.
        """
        __tracebackhide__ = True
        self.wait(self._patience)
        if self._thread.is_alive():
            raise AssertionError(
                f"It has not come to an end in {self._patience} seconds: it waits for what another unit keeps."
            )
        if self._error is not None:
            raise self._error
        return self._outcomes[0]
