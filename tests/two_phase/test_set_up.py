"""Databases and arguments that cannot work are refused, with what to do about it."""

from __future__ import annotations

from typing import Any

import pytest
from click.testing import CliRunner
from flask import Flask
from flask.cli import ScriptInfo
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import Integer, MetaData, Table, create_engine
from sqlalchemy.orm import mapped_column, scoped_session, sessionmaker

from flask_atomic import Atomic, ConfigurationError, cli
from flask_atomic.layers.sqlalchemy import TwoPhaseSQLAlchemyLayer, decisions_table
from flask_atomic.layers.sqlalchemy.branches import check
from tests.application import post, schema
from tests.servers import engines_disposed
from tests.two_phase.shop import DECISIONS, Orders, application, create_tables, engines
from tests.two_phase.stores import Stores
from tests.two_phase.test_two_phase import BOTH

NOWHERE = "postgresql+psycopg://postgres@127.0.0.1:1/nowhere"


def refused(urls: list[str]) -> str:
    with pytest.raises(ConfigurationError) as error, engines_disposed():
        application(engines(urls))
    return str(error.value)


class TestDatabases:
    def test_a_branch_that_cannot_prepare(self, sqlite_url: str) -> None:
        told = refused([sqlite_url, sqlite_url.replace("database", "other")])

        assert "other.sqlite cannot prepare a transaction, so it can only be the database that decides" in told

    def test_a_server_that_is_not_set_to_prepare(self, sqlite_url: str, postgresql_url: str) -> None:
        told = refused([sqlite_url, postgresql_url])

        assert "Set max_prepared_transactions in its postgresql.conf to at least max_connections" in told
        assert "postgres@" not in told

    def test_a_table_that_is_nowhere(self, sqlite_url: str) -> None:
        binds = engines([sqlite_url, NOWHERE])
        del binds[DECISIONS]

        with pytest.raises(ConfigurationError, match="does not know in which database the table atomic_decisions is"):
            application(binds)

    def test_a_server_that_is_away_while_the_application_starts(self, sqlite_url: str) -> None:
        """Then it is looked at when it is first used."""
        with engines_disposed():
            binds = engines([sqlite_url, NOWHERE])
            app = application(binds)
            check = CliRunner().invoke(cli.atomic, ["check"], obj=ScriptInfo(create_app=lambda: app))
            create_tables({Orders: binds[Orders]})

            assert check.exit_code == 1
            assert "The store is busy or cannot be reached. connection failed: " in check.stderr
            assert post(app.test_client(), BOTH[0]).status == 200
            assert post(app.test_client(), *BOTH).status == 503

    def test_the_one_that_decides_is_away(self, mariadb_url: str) -> None:
        with engines_disposed():
            app = application(engines([NOWHERE, mariadb_url]))
            check = CliRunner().invoke(cli.atomic, ["check"], obj=ScriptInfo(create_app=lambda: app))

        assert check.exit_code == 1
        assert "'sqlalchemy': The store is busy or cannot be reached. connection failed: " in check.stderr

    @pytest.mark.parametrize("arguments", [["check", "--connect"], ["recover"], ["recover", "--dry-run"]])
    def test_the_table_of_the_decisions_is_missing(self, arguments: list[str], sqlite_url: str) -> None:
        with engines_disposed():
            app = application(engines([sqlite_url]))
            command = CliRunner().invoke(cli.atomic, arguments, obj=ScriptInfo(create_app=lambda: app))

        assert command.exit_code == 1
        assert "raised ConfigurationError. The table atomic_decisions cannot be used in sqlite:///" in command.stderr
        assert "no such table: atomic_decisions. It was declared by decisions_table(metadata); " in command.stderr
        assert "make it as those of the models are made, by a migration" in command.stderr

    def test_a_class_that_is_nowhere(self, sqlite_url: str) -> None:
        db = SQLAlchemy()
        decisions = decisions_table(db.metadata)
        invoice = type(
            "Invoice", (db.Model,), {"__bind_key__": "books", "id": mapped_column(Integer, primary_key=True)}
        )
        atomic = Atomic(TwoPhaseSQLAlchemyLayer(db, decisions))
        atomic.resource(schema("invoices"), model=invoice)
        app = Flask("shop")
        app.config["SQLALCHEMY_DATABASE_URI"] = sqlite_url
        db.init_app(app)

        with pytest.raises(ConfigurationError, match=r"database Invoice is: .*'books'.*SQLALCHEMY_BINDS"):
            app.register_blueprint(atomic.blueprint)

    @pytest.mark.parametrize(
        ("level", "told"), [("READ COMMITTED", "is none that sqlite has"), (None, "is set to AUTOCOMMIT")]
    )
    def test_an_isolation_level_that_cannot_be(self, level: str | None, told: str, sqlite_url: str) -> None:
        """Also one of an engine that is known only when all types are claimed, as those of Flask-SQLAlchemy are."""
        db = SQLAlchemy(engine_options={} if level else {"isolation_level": "AUTOCOMMIT"})
        atomic = Atomic(TwoPhaseSQLAlchemyLayer(db, decisions_table(db.metadata), isolation_level=level))
        app = Flask("shop")
        app.config["SQLALCHEMY_DATABASE_URI"] = sqlite_url
        db.init_app(app)

        with pytest.raises(ConfigurationError, match=told):
            app.register_blueprint(atomic.blueprint)

    def test_flask_sqlalchemy_that_comes_too_late(self) -> None:
        db = SQLAlchemy()
        atomic = Atomic(TwoPhaseSQLAlchemyLayer(db, decisions_table(db.metadata)))

        with pytest.raises(ConfigurationError, match=r"Call db.init_app\(app\) before the blueprint is registered"):
            Flask("shop").register_blueprint(atomic.blueprint)

    def test_a_session_that_is_bound_to_a_connection(self, sqlite_url: str) -> None:
        with engines_disposed(), create_engine(sqlite_url).connect() as connection:
            layer = TwoPhaseSQLAlchemyLayer(sessionmaker(connection), DECISIONS)
            with pytest.raises(ConfigurationError, match="cannot decide"):
                application({Orders: connection.engine}, layer=layer)


class TestArguments:
    @pytest.mark.parametrize("table", [None, Table("atomic_decisions", MetaData())])
    def test_a_table_that_is_none_of_decisions(self, table: Any) -> None:
        with pytest.raises(ConfigurationError, match=r"Give it decisions_table\(metadata\)"):
            TwoPhaseSQLAlchemyLayer(sessionmaker(), table)

    def test_sessions_of_nobody_knows_what(self) -> None:
        with pytest.raises(ConfigurationError, match="cannot take sessions from"):
            TwoPhaseSQLAlchemyLayer(Flask("shop"), DECISIONS)

    def test_a_scoped_session(self, databases: Stores) -> None:
        urls = databases.urls(("sqlite", "postgresql"))
        with engines_disposed():
            binds = engines(urls)
            create_tables(binds)
            layer = TwoPhaseSQLAlchemyLayer(scoped_session(sessionmaker(binds=binds)), DECISIONS)

            assert post(application(binds, layer=layer).test_client(), *BOTH).status == 200

    def test_a_session_that_is_twophase_already(self, databases: Stores) -> None:
        urls = databases.urls(("sqlite", "postgresql"))
        with engines_disposed():
            binds = engines(urls)
            create_tables(binds)
            layer = TwoPhaseSQLAlchemyLayer(sessionmaker(binds=binds, twophase=True), DECISIONS)

            assert post(application(binds, layer=layer).test_client(), *BOTH).status == 200


def test_a_look_at_a_database_changes_no_connection_of_the_application(mariadb_url: str) -> None:
    with engines_disposed():
        engine = create_engine(mariadb_url, pool_size=1)
        check(engine)
        with engine.connect() as connection:
            connection.exec_driver_sql("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
        with engine.connect() as connection:
            assert connection.exec_driver_sql("SELECT @@tx_isolation").scalar_one() == "READ-COMMITTED"
