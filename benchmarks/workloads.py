"""The kinds of requests that are compared."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from .shop import Shop

__all__ = ["LIDS", "PARTIAL_UPDATES", "WORKLOADS", "Workload"]

LIDS = "local ids"
PARTIAL_UPDATES = "updates of some attributes"


class Workload(NamedTuple):
    """One kind of request.

    :param title: the heading of its column.
    :param operations: how many there are in the request.
    :param request: sends it, and returns how many seconds it took.
    :param needs: what a server must know for it, if there is anything that not all do.
    """

    title: str
    operations: int
    request: Callable[[Shop, int], float]
    needs: str | None = None

    def run(self, shop: Shop) -> float:
        """Send the request, and return how many seconds it took."""
        return self.request(shop, self.operations)


WORKLOADS = (
    Workload("1 add", 1, Shop.adds),
    Workload("10 adds", 10, Shop.adds),
    Workload("100 adds", 100, Shop.adds),
    Workload("1000 adds", 1000, Shop.adds),
    Workload("50 + 50 by lid", 100, Shop.grouped, needs=LIDS),
    Workload("50 + 50 by lid, alternating", 100, Shop.alternating, needs=LIDS),
    Workload("100 updates", 100, Shop.updates),
    Workload("1000 updates", 1000, Shop.updates),
    Workload("1000 renames", 1000, Shop.renames, needs=PARTIAL_UPDATES),
    Workload("100 removes", 100, Shop.removes),
    Workload("1000 removes", 1000, Shop.removes),
)
