"""Fixtures of the tests of data layers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.layers.hooks import Store


@pytest.fixture(scope="module", params=["sqlite", "postgresql", "mariadb"])
def module_store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path_factory.mktemp('databases') / 'database.sqlite'}"
    else:
        database = request.getfixturevalue(f"{request.param}_database")
        database.empty()
        url = database.url
    store = Store(url)
    yield store
    store.engine.dispose()


@pytest.fixture
def store(module_store: Store) -> Store:
    """The SQLAlchemy layer on a database of each kind, with empty tables."""
    module_store.empty()
    return module_store
