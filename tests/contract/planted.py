"""Faults that are planted in layers: for each, the promise that it breaks."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import pytest

from flask_atomic.testing import SAMPLES, LayerContract
from flask_atomic.testing.contract.promise import BrokenPromise, Promise, promises
from flask_atomic.testing.contract.tested import OPTIONAL_HOOKS, TestedLayer
from tests.contract.layers import application_of

__all__ = ["FAULTS", "TESTS", "Fault", "breaks", "failing_tests"]

TESTS = promises(LayerContract)
"""The promise that each test of the contract is about."""


class Fault(NamedTuple):
    """A layer that breaks a promise."""

    promise: Promise
    layer: type

    def __str__(self) -> str:
        return f"{self.layer.__name__}-{self.promise.hook}"


FAULTS: list[Fault] = []


def breaks(*broken: tuple[str, str]) -> Callable[[type], type]:
    """Register a class of layers, with the hooks and sentences of the promises that it breaks."""

    def register(layer: type) -> type:
        FAULTS.extend(Fault(Promise(*promise), layer) for promise in broken)
        return layer

    return register


def failing_tests(fault: Fault) -> dict[str, BrokenPromise]:
    """The tests of the broken promise that fail, with what they say."""
    failures = {}
    for name in (name for name, promise in TESTS.items() if promise == fault.promise):
        try:
            _run(name, fault.layer())
        except BrokenPromise as failure:
            failures[name] = failure
    return failures


def _run(name: str, layer: object) -> None:
    lacks = [hook for hook in OPTIONAL_HOOKS if not hasattr(layer, f"atomic_{hook}")]
    tested = TestedLayer(application_of(layer), lacks, SAMPLES, {}, patience=1)
    try:
        getattr(LayerContract(), name)(tested)
    except pytest.skip.Exception as skipped:
        raise AssertionError(f"{name} is not for {type(layer).__name__}: {skipped}") from skipped
