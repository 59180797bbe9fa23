"""What fails for a while, and is tried again: how often, how long, and after which pauses."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from .errors import Transient
from .loggers import attempts

__all__ = ["Retries"]

_FIRST_PAUSE = 0.1
"""The longest first pause, in seconds. Each of the following may be twice as long as the one before."""

Outcome = TypeVar("Outcome")


@dataclass(frozen=True, kw_only=True, slots=True)
class Retries:
    """How often something is tried again that fails with `Transient`.

    :param limit: how many times; 0 for never.
    :param seconds: how long after the beginning of the first try another one may begin.
    :param clock: the time in seconds, of which only differences count.
    :param sleep: waits for so many seconds.
    :param jitter: a random share of the longest pause, so that those who were in each other's way meet no more.
    """

    limit: int
    seconds: float
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    jitter: Callable[[], float] = random.random

    def run(self, attempt: Callable[[], Outcome]) -> Outcome:
        """Return what `attempt` returns.

        :raises Transient: that of the last try, where none is left or no time for another.
        :raises Exception: whatever else a try raises, at once.
        """
        start = self.clock()
        number = 0
        while True:
            try:
                return attempt()
            except Transient as failure:
                pause = self.jitter() * _FIRST_PAUSE * 2**number
                number += 1
                taken = self.clock() - start
                if number > self.limit or taken + pause > self.seconds:
                    _tell_end(number, failure, taken)
                    raise
                _tell(number, failure, pause)
            self.sleep(pause)  # not within the handler: the failure would keep all that the attempt knew


def _tell(number: int, failure: Transient, pause: float) -> None:
    told = "Try %d failed, %r. The operations are performed again in %.3f s."
    attempts.info(told, number, failure.detail, pause, exc_info=_reason(failure))


def _tell_end(number: int, failure: Transient, taken: float) -> None:
    told = "Try %d failed, %r, and is the last one, %.3f s after the first began."
    attempts.warning(told, number, failure.detail, taken, exc_info=_reason(failure))


def _reason(failure: Transient) -> Transient | None:
    return failure if attempts.isEnabledFor(logging.DEBUG) else None
