"""How many operations may wait together, and how much slower it goes on after a failure that is nobody's yet.

What was written before a failure is not to blame for it, so that the next attempt does it in the same way. Of many
operations that failed together, some are first found by writing a few at a time: one by one, each costs a statement.
"""

from __future__ import annotations

import math
import sys
from typing import NamedTuple

__all__ = ["FAST", "STRICT", "Pace"]

_FEW = 50
"""How many operations may be written one by one, to find out which of them is to blame."""


class Pace(NamedTuple):
    """The pace of one attempt.

    :param start: up to this operation, any number may wait together.
    :param most: from there on, at most so many.
    :param reads_ahead: whether all that the operations name is read first, also what need not be.
    """

    start: int
    most: int
    reads_ahead: bool = False

    def __str__(self) -> str:
        if self.most == sys.maxsize:
            return "All that is named is read first."
        return f"From operation {self.start} on, at most {self.most} are written together."

    def strict_from(self, operations: int) -> int:
        """The first operation that is run strictly, of so many."""
        return self.start if self.most == 1 else operations

    def stops(self, operations: int) -> range:
        """The operations before which what waits is written."""
        return range(self.start, operations, self.most)

    def after(self, first: int, count: int) -> Pace:
        """The pace of the attempt after one in which `count` operations, from `first` on, failed together.

        It is slower each time: an attempt that is strict from its first operation on finds who is to blame.
        """
        if first < self.start:  # it had succeeded; others have changed what is stored
            return STRICT
        return self._replace(start=first, most=1 if count <= _FEW else math.isqrt(count))

    def after_loss(self, first: int, count: int) -> Pace:
        """The pace of the attempt after one that has written to what is not there, which reading tells of first."""
        return self.after(first, count) if self.reads_ahead else self._replace(reads_ahead=True)


FAST = Pace(0, sys.maxsize)
STRICT = Pace(0, 1)
