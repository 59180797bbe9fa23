"""The contract finds every fault: each promise is broken by a layer, and each test fails for one."""

from __future__ import annotations

import re

import pytest

from flask_atomic import hookspecs
from flask_atomic.testing.contract.promise import BrokenPromise, Promise
from tests.contract import (  # they register
    faults_of_reading,  # noqa: F401
    faults_of_repeats,  # noqa: F401
    faults_of_runs,  # noqa: F401
    faults_of_units,  # noqa: F401
    faults_of_versions,  # noqa: F401
    faults_of_writing,  # noqa: F401
)
from tests.contract.planted import FAULTS, TESTS, Fault, failing_tests

Found = dict[Fault, dict[str, BrokenPromise]]


@pytest.fixture(scope="module")
def found() -> Found:
    """For each fault, the tests of the promise that fail."""
    return {fault: failing_tests(fault) for fault in FAULTS}


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_a_fault_is_found(found: Found, fault: Fault) -> None:
    assert found[fault]
    for failure in found[fault].values():
        assert re.match(r"The layer '\w+' broke a promise of atomic_\w+", str(failure))
        assert f"{fault.promise.hook}: “{fault.promise.sentence}”.\n" in str(failure)


def test_every_test_fails_for_some_fault(found: Found) -> None:
    assert set(TESTS) - {name for failing in found.values() for name in failing} == set()


def test_every_promise_is_broken_by_some_fault() -> None:
    assert {fault.promise for fault in FAULTS} == set(TESTS.values())


@pytest.mark.parametrize("promise", sorted(set(TESTS.values())), ids=str)
def test_a_promise_is_a_sentence_of_the_documentation(promise: Promise) -> None:
    documentation = getattr(hookspecs.DataLayer, promise.hook).__doc__
    assert promise.sentence in " ".join(documentation.split())


ABOUT_SERVERS = {"atomic_check", "atomic_in_doubt", "atomic_recover"}
"""What they promise is about servers and processes that die: see `tests/two_phase`."""


def test_every_hook_of_a_data_layer_promises_something() -> None:
    hooks = {name for name in vars(hookspecs.DataLayer) if name.startswith("atomic_")}
    assert {promise.hook for promise in TESTS.values()} == hooks - ABOUT_SERVERS
