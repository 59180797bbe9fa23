"""Applications with the types of `tests.application`, and some resources of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from flask.testing import FlaskClient

from tests.application import World, post, seeded, stored


@pytest.fixture
def made() -> World:
    return seeded()


@pytest.fixture
def client(made: World) -> FlaskClient:
    return made.client


@pytest.fixture(scope="module")
def firm() -> World:
    """For requests that change nothing."""
    return seeded()


@pytest.fixture
def refused(firm: World) -> Iterator[Callable[..., list[tuple[int, str, str | None]]]]:
    """A function that sends operations and returns their errors; nothing was changed then."""
    before = stored(firm.layer)
    yield lambda *operations: post(firm.client, *operations).errors
    assert stored(firm.layer) == before
