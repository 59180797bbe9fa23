"""The collector waits while a large request is performed, and goes on afterwards, whatever has become of it."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import Any

import pytest

from flask_atomic import Atomic, MemoryLayer, hookimpl
from tests.application import add, application, post, schema


class Looking:
    """Notes whether garbage was collected while operations were added."""

    def __init__(self) -> None:
        self.was_running: set[bool] = set()
        self.fails = False

    @hookimpl(wrapper=True)
    def atomic_add(self) -> Iterator[Any]:
        self.was_running.add(gc.isenabled())
        if self.fails:
            raise RuntimeError
        return (yield)  # type: ignore[misc]


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize(("operations", "waits"), [(1, False), (1000, True)])
def test_the_collector_waits_for_large_requests(operations: int, waits: bool, fails: bool) -> None:
    looking = Looking()
    looking.fails = fails
    atomic = Atomic(MemoryLayer(), looking)
    atomic.resource(schema("notes"))
    client = application(atomic).test_client()

    answer = post(client, *[add("notes")] * operations)
    assert answer.status == (500 if fails else 200)
    assert looking.was_running == {not waits}
    assert gc.isenabled()


def test_a_collector_that_was_stopped_stays_so() -> None:
    atomic = Atomic(MemoryLayer())
    atomic.resource(schema("notes"))
    client = application(atomic).test_client()
    gc.disable()
    try:
        post(client, *[add("notes")] * 1000)
        assert not gc.isenabled()
    finally:
        gc.enable()
