"""Whatever dies between two phases, the request is whole or absent in the end. The command runs more of the same."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from itertools import islice

import pytest

from tests.two_phase.planted import DEFECTS
from tests.two_phase.points import POINTS
from tests.two_phase.rounds import KINDS, Round, open_shop, perform, rounds
from tests.two_phase.stores import COMBINATIONS, Stores

THREE = ("postgresql", "postgresql", "mariadb")


@pytest.fixture(autouse=True)
def _without_log() -> Iterator[None]:
    """What is killed says so, at length."""
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("point", POINTS)
def test_a_process_that_is_killed(databases: Stores, point: str) -> None:
    with open_shop(databases, THREE) as shop:
        assert perform(shop, Round(THREE, point, "process", "1")) == []


@pytest.mark.parametrize("kinds", COMBINATIONS, ids="-".join)
def test_every_combination_of_databases(databases: Stores, kinds: tuple[str, ...]) -> None:
    with open_shop(databases, kinds) as shop:
        for each in islice(rounds([kinds]), 6):
            assert perform(shop, each) == []


def test_all_that_can_happen_is_among_the_rounds() -> None:
    every = list(islice(rounds(), 200))
    assert {(each.kind, each.point) for each in every} == {
        (kind, point) for kind in KINDS for point in POINTS if not (point == "done" and kind in ("branch", "decisive"))
    }
    assert {each.kinds for each in every} == set(COMBINATIONS)


@pytest.mark.parametrize(
    ("defect", "point", "kind"),
    [
        ("record apart", "recorded", "process"),
        ("branches first", "between two commits", "process"),
        ("settled without a record", "all prepared", "recovery"),
        ("recovery commits all", "all prepared", "process"),
    ],
)
def test_a_planted_defect_is_found(databases: Stores, defect: str, point: str, kind: str) -> None:
    with open_shop(databases, THREE) as shop:
        assert perform(shop, Round(THREE, point, kind, "1"), defect)


def test_every_defect_is_planted() -> None:
    assert len(DEFECTS) == 4
