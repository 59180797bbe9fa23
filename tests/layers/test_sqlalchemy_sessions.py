"""Where the SQLAlchemy layer gets its sessions from, and that none of them outlives its unit."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import pytest
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import select, text, update
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from flask_atomic.errors import Code, ConfigurationError, OperationFailed, Transient
from flask_atomic.layers.sqlalchemy import SQLAlchemyLayer
from tests.layers.hooks import Store, Work
from tests.layers.music import Company, resource, schema
from tests.layers.music import text as text_field


class TestUnits:
    def test_each_unit_has_a_session_of_its_own(self, store: Store) -> None:
        first, second = Work(store), Work(store)
        assert first.unit.session is not second.unit.session
        first.rollback()
        second.rollback()

    def test_a_unit_connects_when_it_is_used(self, store: Store) -> None:
        work = Work(store)
        assert store.engine.pool.checkedout() == 0
        work.get("companies", 1)
        assert store.engine.pool.checkedout() == 1
        work.rollback()
        assert store.engine.pool.checkedout() == 0

    def test_what_is_rolled_back_is_undone(self, store: Store) -> None:
        with store.work(commit=False) as work:
            work.add("companies", name="A")
            work.flush()
        assert store.rows(select(Company.name)) == []

    def test_what_is_not_committed_yet_is_seen_by_nobody_else(self, store: Store) -> None:
        with store.work() as work:
            work.add("companies", name="A")
            work.flush()
            assert store.rows(select(Company.name)) == []
        assert store.rows(select(Company.name)) == [("A",)]

    def test_a_unit_that_cannot_roll_back_is_closed_all_the_same(self, store: Store) -> None:
        work = Work(store)
        work.add("companies", name="A")
        work.flush()

        def fail(*_: Any) -> None:
            raise RuntimeError("no rollback today")

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(work.unit.session, "rollback", fail)
            with pytest.raises(RuntimeError):
                work.rollback()
        assert store.engine.pool.checkedout() == 0
        assert store.rows(select(Company.name)) == []

    @pytest.mark.parametrize("options", [{"autobegin": False}, {"autoflush": True}, {"expire_on_commit": True}])
    def test_options_of_the_application_do_not_matter(self, store: Store, options: dict[str, bool]) -> None:
        layer = store.layer_on(sessionmaker(store.engine, **options))
        with store.work(layer=layer) as work:
            company = work.add("companies", name="A")
            assert work.get("companies", -1) == {}
            assert work.identify("companies", company) is None
        assert store.rows(select(Company.name)) == [("A",)]

    def test_a_session_of_an_outer_transaction_can_be_rolled_back_by_it(self, store: Store) -> None:
        with store.engine.connect() as connection, connection.begin() as outer:
            layer = store.layer_on(sessionmaker(connection))
            work = Work(store, layer)
            work.add("companies", name="A")
            work.flush()
            work.commit()
            assert connection.scalar(select(Company.name)) == "A"
            outer.rollback()
        assert store.rows(select(Company.name)) == []


class TestIsolation:
    ASKED: ClassVar[Mapping[str, tuple[str, str, Any]]] = {
        "postgresql": ("REPEATABLE READ", "SHOW transaction_isolation", "repeatable read"),
        "mysql": ("READ COMMITTED", "SELECT @@SESSION.tx_isolation", "READ-COMMITTED"),
        "sqlite": ("READ UNCOMMITTED", "PRAGMA read_uncommitted", 1),
    }
    """For each dialect a level, and a question whose answer tells whether it is in force."""

    def test_the_level_is_that_of_the_unit_alone(self, store: Store) -> None:
        level, question, answer = self.ASKED[store.dialect]
        layer = store.layer_on(sessionmaker(store.engine), isolation_level=level)
        with store.work(layer=layer) as work:
            work.add("companies", name="A")
            work.add("tracks", title="a")
            work.flush()
            assert work.unit.session.scalar(text(question)) == answer
        with store.engine.connect() as connection:
            assert connection.scalar(text(question)) != answer

    def test_the_level_is_there_for_who_uses_the_session_first(self, store: Store) -> None:
        level, question, answer = self.ASKED[store.dialect]
        layer = store.layer_on(sessionmaker(store.engine), isolation_level=level)
        with store.work(layer=layer) as work:
            assert work.unit.session.scalar(text(question)) == answer
            work.add("companies", name="A")
            work.flush()
        assert store.rows(select(Company.name)) == [("A",)]

    def test_a_shared_session_has_it_for_the_unit_alone(self, store: Store) -> None:
        level, question, answer = self.ASKED[store.dialect]
        session = scoped_session(sessionmaker(store.engine))
        layer = store.layer_on(session, share_session=True, isolation_level=level)
        with store.work(layer=layer) as work:
            assert work.unit.session.scalar(text(question)) == answer
        assert session.scalar(text(question)) != answer
        session.remove()

    def test_an_engine_that_is_only_known_to_requests(self, store: Store) -> None:
        sessions = sessionmaker()
        layer = store.layer_on(sessions)
        sessions.configure(bind=store.engine.execution_options(isolation_level="AUTOCOMMIT"))
        with store.work(commit=False, layer=layer) as work, pytest.raises(ConfigurationError, match="AUTOCOMMIT"):
            work.get("companies", 1)

    @pytest.mark.parametrize("module_store", ["postgresql"], indirect=True)
    def test_transactions_that_cannot_be_serialized_may_succeed_later(self, store: Store) -> None:
        with store.work() as work:
            company = work.add("companies", name="A")
            work.flush()
            id_ = company.id
        layer = store.layer_on(sessionmaker(store.engine), isolation_level="SERIALIZABLE")
        with store.work(commit=False, layer=layer) as work:
            company = work.one("companies", id_)
            with Session(store.engine) as other, other.begin():
                other.execute(update(Company).values(country="CH"))
            work.update("companies", company, country="FR")
            with pytest.raises(Transient):
                work.flush()

    @pytest.mark.parametrize("module_store", ["postgresql"], indirect=True)
    def test_they_may_fail_at_the_commit_too(self, store: Store) -> None:
        layer = store.layer_on(sessionmaker(store.engine), isolation_level="SERIALIZABLE")
        first, second = Work(store, layer), Work(store, layer)
        for work, name in ((first, "A"), (second, "B")):
            work.get("companies", -1)
            work.unit.session.execute(select(Company).where(Company.country == "CH")).all()
            work.add("companies", name=name, country="CH")
            work.flush()
        first.commit()
        with pytest.raises(Transient):
            second.commit()
        second.rollback()
        assert store.engine.pool.checkedout() == 0
        assert store.rows(select(Company.name)) == [("A",)]


class TestSharing:
    @pytest.fixture
    def session(self, store: Store) -> Iterator[scoped_session[Session]]:
        session = scoped_session(sessionmaker(store.engine))
        yield session
        session.remove()

    def test_a_fresh_session_is_made_by_the_factory_unless_it_is_shared(
        self, store: Store, session: scoped_session[Session]
    ) -> None:
        work = Work(store, store.layer_on(session))
        assert work.unit.session is not session()
        work.rollback()
        work = Work(store, store.layer_on(session, share_session=True))
        assert work.unit.session is session()
        work.rollback()

    def test_the_session_is_the_application_s_again_afterwards(
        self, store: Store, session: scoped_session[Session]
    ) -> None:
        layer = store.layer_on(session, share_session=True)
        with store.work(layer=layer) as work:
            company = work.add("companies", name="A")
            assert not session().autoflush
        assert session().autoflush
        assert company in session
        assert session.scalars(select(Company)).one() is company
        session.commit()
        with store.work(layer=layer, commit=False) as work:
            work.update("companies", work.one("companies", company.id), name="B")
            work.flush()
        assert session().autoflush
        assert company.name == "A"

    def test_what_the_application_read_before_is_read_anew(
        self, store: Store, session: scoped_session[Session]
    ) -> None:
        session().expire_on_commit = False
        company = Company(name="A")
        session.add(company)
        session.commit()
        with store.engine.begin() as connection:
            connection.execute(text("UPDATE companies SET name = 'B'"))
        with store.work(layer=store.layer_on(session, share_session=True)) as work:
            assert work.one("companies", company.id).name == "B"

    @pytest.mark.parametrize("occupied", ["pending", "dirty", "deleted", "reading"])
    def test_a_session_that_is_in_use_is_refused(
        self, store: Store, session: scoped_session[Session], occupied: str
    ) -> None:
        company = Company(name="A")
        session.add(company)
        if occupied != "pending":
            session.commit()
        if occupied == "dirty":
            company.name = "B"
        if occupied == "deleted":
            session.delete(company)
        if occupied == "reading":
            session.scalars(select(Company)).all()
        with pytest.raises(ConfigurationError, match="pending changes or an open transaction"):
            Work(store, store.layer_on(session, share_session=True))
        assert session().autoflush
        assert session().in_transaction()


class TestFlaskSQLAlchemy:
    @pytest.fixture
    def db(self, database_url: str, tmp_path: Any) -> Iterator[SQLAlchemy]:
        db = SQLAlchemy()
        application = Flask("test")
        application.config["SQLALCHEMY_DATABASE_URI"] = database_url
        application.config["SQLALCHEMY_BINDS"] = {"other": f"sqlite:///{tmp_path / 'other.sqlite'}"}
        db.init_app(application)
        with application.app_context():
            yield db
            engines = db.engines.values()
        for engine in engines:
            assert engine.pool.checkedout() == 0

    def test_resources_are_kept_in_the_databases_of_their_models(self, db: SQLAlchemy) -> None:
        class Here(db.Model):  # type: ignore[name-defined]
            id = db.Column(db.Integer, primary_key=True)
            name = db.Column(db.String(20))

        class There(db.Model):  # type: ignore[name-defined]
            __bind_key__ = "other"
            id = db.Column(db.Integer, primary_key=True)
            name = db.Column(db.String(20))

        db.create_all()
        layer = SQLAlchemyLayer(db)
        here = resource(schema("heres", {"name": text_field}), Here)
        there = resource(schema("theres", {"name": text_field}), There)
        assert layer.atomic_claim(here) is layer
        assert layer.atomic_claim(there) is layer
        for declared, model in ((here, Here), (there, There)):
            unit = layer.atomic_begin()
            entity = layer.atomic_add(unit, declared, None, {"name": "A"}, {})
            layer.atomic_flush(unit)
            id_ = layer.atomic_identify(unit, declared, entity)
            assert unit.session is not db.session()
            layer.atomic_commit(unit)
            assert db.session.execute(select(model.id, model.name)).all() == [(id_, "A")]
            db.session.remove()
        unit = layer.atomic_begin()
        layer.atomic_get(unit, there, [1])
        layer.atomic_add(unit, here, None, {"name": "B"}, {})
        with pytest.raises(OperationFailed) as failure:
            layer.atomic_add(unit, there, None, {"name": "B"}, {})
        assert failure.value.code is Code.NOT_ATOMIC
        layer.atomic_rollback(unit)

    def test_the_session_of_the_application_can_be_shared(self, db: SQLAlchemy) -> None:
        class Thing(db.Model):  # type: ignore[name-defined]
            id = db.Column(db.Integer, primary_key=True)

        db.create_all()
        layer = SQLAlchemyLayer(db, share_session=True)
        things = resource(schema("things", {}), Thing)
        layer.atomic_claim(things)
        unit = layer.atomic_begin()
        assert unit.session is db.session()
        layer.atomic_add(unit, things, None, {}, {})
        layer.atomic_flush(unit)
        layer.atomic_commit(unit)
        assert len(db.session.scalars(select(Thing)).all()) == 1
        db.session.remove()

    def test_the_layer_needs_no_application_to_be_made(self) -> None:
        layer = SQLAlchemyLayer(SQLAlchemy())
        assert layer.name == "sqlalchemy"
        assert SQLAlchemyLayer(SQLAlchemy(), name="archive").name == "archive"


def test_the_layer_does_not_need_flask_sqlalchemy() -> None:
    program = "import sys, flask_atomic.layers.sqlalchemy; sys.exit('flask_sqlalchemy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
