"""The checker as it is run: it finds nothing in the application, and finds what is planted there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest

from tests.checker.faults import FAULTS
from tests.checker.planted import LAYERS
from tests.checker.runs import Plan, run

SECONDS = 3


def test_nothing_is_lost_or_stored_twice_or_in_part(database_url: str, tmp_path: Path) -> None:
    report = run(database_url, Plan(seconds=SECONDS, faults=frozenset(FAULTS), seed=1, intensity=3), tmp_path)
    assert report.findings == []
    assert report.figures["acknowledged"] > 0


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
    plans = (Plan(seconds=SECONDS, faults=faults, seed=seed, intensity=8, defect=defect) for seed in range(10))
    assert any(kinds & {finding.kind for finding in run(fresh(store), plan, tmp_path).findings} for plan in plans)
