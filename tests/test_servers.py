"""The databases that the other tests rely on: separate, empty, and seen from outside."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Column, ForeignKey, Integer, MetaData, Table, create_engine, inspect, make_url, text

from tests import servers

METADATA = MetaData()
PARENT = Table("parent", METADATA, Column("id", Integer, primary_key=True, autoincrement=False))
CHILD = Table("child", METADATA, Column("id", ForeignKey(PARENT.c.id), primary_key=True))

NOWHERE = "127.0.0.1:1"
"""An address on which nothing listens."""


@pytest.mark.parametrize("occasion", ["first", "second"])
def test_each_test_has_an_empty_database(database_url: str, occasion: str) -> None:
    engine = create_engine(database_url)
    assert inspect(engine).get_table_names() == []
    METADATA.create_all(engine)
    with engine.begin() as connection:
        connection.execute(PARENT.insert().values(id=1))
        connection.execute(CHILD.insert().values(id=1))


@pytest.fixture(params=["postgresql", "mariadb"])
def url_after_a_forgotten_transaction(request: pytest.FixtureRequest) -> Iterator[str]:
    database: servers.Database = request.getfixturevalue(f"{request.param}_database")
    database.empty()
    engine = create_engine(database.url)
    METADATA.create_all(engine)
    forgotten = engine.connect()
    forgotten.execute(PARENT.insert().values(id=1))
    yield request.getfixturevalue(f"{request.param}_url")
    forgotten.invalidate()
    engine.dispose()


def test_a_forgotten_transaction_does_not_stop_the_next_test(url_after_a_forgotten_transaction: str) -> None:
    assert inspect(create_engine(url_after_a_forgotten_transaction)).get_table_names() == []


def test_a_second_connection_sees_what_is_committed_and_nothing_else(database_url: str) -> None:
    engine, outside = create_engine(database_url), servers.second_connection(database_url)
    METADATA.create_all(engine)
    with outside.connect() as watcher:
        count = text("SELECT count(*) FROM parent")
        with engine.begin() as connection:
            connection.execute(PARENT.insert().values(id=1))
            assert watcher.scalar(count) == 0
        assert watcher.scalar(count) == 1


def test_used_engines_are_disposed_of(sqlite_url: str) -> None:
    with servers.engines_disposed():
        engine = create_engine(sqlite_url)
        engine.connect().close()
        pool = engine.pool
    assert engine.pool is not pool


@pytest.fixture
def started_postgresql(monkeypatch: pytest.MonkeyPatch) -> Iterator[servers.Database]:
    monkeypatch.setattr(servers, "POSTGRESQL_URL", make_url(f"postgresql+psycopg://postgres@{NOWHERE}/test"))
    yield from servers.lent(servers.postgresql_database())


@pytest.fixture
def started_mariadb(monkeypatch: pytest.MonkeyPatch) -> Iterator[servers.Database]:
    monkeypatch.setattr(servers, "MARIADB_URL", make_url(f"mysql+pymysql://root@{NOWHERE}/test"))
    yield from servers.lent(servers.mariadb_database())


@pytest.mark.parametrize("server", ["postgresql", "mariadb"])
def test_a_server_is_started_where_none_answers(server: str, request: pytest.FixtureRequest) -> None:
    database: servers.Database = request.getfixturevalue(f"started_{server}")
    database.empty()
    assert NOWHERE not in database.url
    with servers.engines_disposed():
        engine = create_engine(database.url)
        METADATA.create_all(engine)
        assert set(inspect(engine).get_table_names()) == {"child", "parent"}


@pytest.fixture
def _no_mariadb(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(servers, "MARIADB_URL", make_url(f"mysql+pymysql://root@{NOWHERE}/test"))
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(servers, "SERVER_FOLDERS", [])


@pytest.mark.usefixtures("_no_mariadb")
def test_a_missing_server_skips_with_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FLASK_ATOMIC_REQUIRE_SERVERS", raising=False)
    with pytest.raises(pytest.skip.Exception, match=NOWHERE):
        next(servers.lent(servers.mariadb_database()))


@pytest.mark.usefixtures("_no_mariadb")
def test_a_missing_server_fails_where_servers_are_required(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLASK_ATOMIC_REQUIRE_SERVERS", "1")
    with pytest.raises(servers.ServerMissing, match=NOWHERE):
        next(servers.lent(servers.mariadb_database()))
