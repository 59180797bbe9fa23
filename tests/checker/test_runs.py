"""The checker as it is run: it finds nothing in the application, and finds what is planted there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from random import Random
from uuid import uuid4

import pytest

from tests.checker.faults import FAULTS
from tests.checker.opening import opened
from tests.checker.planted import LAYERS
from tests.checker.runs import Plan, run
from tests.checker.targets import Target
from tests.servers import ServerMissing, lent

SECONDS = 3


def test_nothing_is_lost_or_stored_twice_or_in_part(database_url: str, tmp_path: Path) -> None:
    report = run(
        Target(urls=[database_url]), Plan(seconds=SECONDS, faults=frozenset(FAULTS), seed=1, intensity=3), tmp_path
    )
    assert report.findings == []
    assert report.figures["acknowledged"] > 0


@pytest.fixture
def pgbouncer(tmp_path: Path) -> Iterator[Target]:
    yield from lent(opened("pgbouncer", FAULTS, tmp_path, Random(1)))


def test_behind_pgbouncer_that_is_killed_as_its_server_is(pgbouncer: Target, tmp_path: Path) -> None:
    report = run(pgbouncer, Plan(seconds=4, faults=frozenset({"server", "pooler"}), seed=1, intensity=8), tmp_path)
    assert report.findings == []
    assert report.figures["acknowledged"] > 0
    assert report.figures["fault: server killed"] > 0
    assert report.figures["fault: pooler killed"] > 0


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Target]:
    with ExitStack() as stack:
        try:
            target = stack.enter_context(opened("full-disk", FAULTS, tmp_path, Random(1)))
        except ServerMissing as missing:  # a right that not everybody has, not a part that could be installed
            pytest.skip(str(missing))
        yield target


def test_on_a_disk_that_is_full_now_and_then(full_disk: Target, tmp_path: Path) -> None:
    report = run(full_disk, Plan(seconds=4, faults=frozenset({"disk", "workers"}), seed=1, intensity=3), tmp_path)
    assert report.findings == []
    assert report.figures["acknowledged"] > 0
    assert report.figures["fault: disk filled"] > 0


@pytest.fixture
def two_databases(tmp_path: Path) -> Iterator[Target]:
    yield from lent(opened("two-databases", FAULTS, tmp_path, Random(1)))


def test_over_two_databases_beside_a_recovery(two_databases: Target, tmp_path: Path) -> None:
    faults = frozenset({"workers", "backends", "recovery"})
    report = run(two_databases, Plan(seconds=6, faults=faults, seed=1, intensity=3), tmp_path)
    assert report.findings == []
    assert report.figures["acknowledged"] > 0
    assert report.figures["fault: workers killed"] > 0


PLANTED = {
    "commits-early": ("sqlite", None, {"left", "half"}),
    "retries-without-rollback": ("sqlite", "failures", {"twice", "left"}),
    "forgets-versions": ("sqlite", None, {"sums"}),
    "remembers-elsewhere": ("postgresql", "failures", {"lost"}),
    "writes-differences": ("postgresql", None, {"mixed"}),
    "takes-unknown-for-failed": ("postgresql", "network", {"twice", "left"}),
}
"""For each defect the store and the fault that bring it to light, and what is found then."""


def test_every_defect_is_planted() -> None:
    assert PLANTED.keys() == LAYERS.keys()


@pytest.fixture
def fresh(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], str]:
    """Gives the URL of an empty database, each time that it is called."""

    def empty(store: str) -> str:
        if store == "sqlite":
            return f"sqlite:///{tmp_path / uuid4().hex}"
        database = request.getfixturevalue(f"{store}_database")
        database.empty()
        return str(database.url)

    return empty


@pytest.mark.parametrize("defect", PLANTED)
def test_a_planted_defect_is_found(defect: str, fresh: Callable[[str], str], tmp_path: Path) -> None:
    store, fault, kinds = PLANTED[defect]
    faults = frozenset([fault] if fault else [])
    plans = (Plan(seconds=1, faults=faults, seed=seed, intensity=8, defect=defect) for seed in range(30))
    assert any(
        kinds & {finding.kind for finding in run(Target(urls=[fresh(store)]), plan, tmp_path).findings}
        for plan in plans
    )
