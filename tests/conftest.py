"""Fixtures of all tests.

Name the fixture of an application anything but `app`: pytest-flask pushes one context for the whole of a test that has
a fixture of that name, and what should be separate requests then share their state.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import settings
from werkzeug.test import TestResponse

from tests import json_schemas, servers

# How long an example takes says more about the machine than about the code.
settings.register_profile("steady", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("steady")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--fuzz-seconds",
        type=int,
        default=0,
        metavar="SECONDS",
        help="send other random requests in every run, for so long (tests/test_fuzz.py)",
    )


SERVERS = ("postgresql", "mariadb")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Coverage makes a test take twice as long. What runs on each kind of store is measured on SQLite.

    The SQLAlchemy layer has lines of its own for servers, so its own tests are measured on all of them. Tests that only
    send more to what other tests cover are marked so themselves.
    """
    for item in items:
        parameters = item.callspec.params.values() if hasattr(item, "callspec") else ()
        if item.path.parent.name != "layers" and any(each in SERVERS for each in parameters if isinstance(each, str)):
            item.add_marker("no_cover")


@pytest.fixture(scope="session", autouse=True)
def _answers_are_checked() -> Iterator[None]:
    """Every answer that a test client of any test is given is checked against the JSON Schema of responses."""
    send = FlaskClient.open

    def send_and_check(client: FlaskClient, *args: Any, **kwargs: Any) -> TestResponse:
        response = send(client, *args, **kwargs)
        json_schemas.check_response(response, response.request.method)
        return response

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FlaskClient, "open", send_and_check)
        yield


@pytest.fixture(scope="session")
def postgresql_database() -> Iterator[servers.Database]:
    """This session's database on a PostgreSQL server; tests ask for `postgresql_url`."""
    yield from servers.lent(servers.postgresql_database())


@pytest.fixture(scope="session")
def mariadb_database() -> Iterator[servers.Database]:
    """This session's database on a MariaDB server; tests ask for `mariadb_url`."""
    yield from servers.lent(servers.mariadb_database())


@pytest.fixture
def sqlite_url(tmp_path: Path) -> Iterator[str]:
    """The URL, a string, of an SQLite database in a file that does not exist yet."""
    with servers.engines_disposed():
        yield f"sqlite:///{tmp_path / 'database.sqlite'}"


@pytest.fixture
def postgresql_url(postgresql_database: servers.Database) -> Iterator[str]:
    """The URL, a string, of an empty PostgreSQL database."""
    postgresql_database.empty()
    with servers.engines_disposed():
        yield postgresql_database.url


@pytest.fixture
def mariadb_url(mariadb_database: servers.Database) -> Iterator[str]:
    """The URL, a string, of an empty MariaDB database."""
    mariadb_database.empty()
    with servers.engines_disposed():
        yield mariadb_database.url


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def database_url(request: pytest.FixtureRequest) -> str:
    """The URL, a string, of an empty database: the test runs once on each kind of server."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url
