"""Fixtures of the tests of commits over several databases."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.servers import engines_disposed, lent

from .stores import Stores, stores


@pytest.fixture(scope="session")
def all_stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stores]:
    """Databases of each kind; a PostgreSQL that prepares is started for the session."""
    yield from lent(stores(tmp_path_factory.mktemp("stores")))


@pytest.fixture
def databases(all_stores: Stores) -> Iterator[Stores]:
    """The same, for one test."""
    with engines_disposed():
        yield all_stores
