"""The layers that come with the package, and small ones of other kinds, keep the contract."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask
from marshmallow_jsonapi import Schema, fields
from sqlalchemy import create_engine, event
from sqlalchemy.orm import sessionmaker

from flask_atomic import Atomic, MemoryLayer
from flask_atomic.layers.sqlalchemy import SQLAlchemyLayer
from flask_atomic.testing import ArticleSchema, LayerContract, PersonSchema
from tests.contract import models
from tests.contract.layers import DeferredLayer, ImmutableLayer, LockedLayer, Log, RunningLayer, application_of


class TestMemoryLayer(LayerContract):
    lacks = frozenset({"flush"})

    @pytest.fixture
    def application(self) -> Flask:
        return application_of(MemoryLayer())


class TestSQLAlchemyLayer(LayerContract):
    lacks = frozenset({"prepare"})

    @pytest.fixture
    def application(self, database_url: str) -> Iterator[Flask]:
        engine = create_engine(database_url)
        if engine.dialect.name == "sqlite":
            event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA foreign_keys=ON"))
        models.Base.metadata.create_all(engine)
        atomic = Atomic(SQLAlchemyLayer(sessionmaker(engine)))
        atomic.resource(PersonSchema, client_ids="allowed", model=models.Person)
        atomic.resource(ArticleSchema, model=models.Article)
        application = Flask(__name__)
        application.register_blueprint(atomic.blueprint)
        yield application
        assert engine.pool.checkedout() == 0


class TestLayerThatDefersWrites(LayerContract):
    @pytest.fixture
    def application(self) -> Flask:
        return application_of(DeferredLayer())


class TestLayerThatWritesSeveralResourcesTogether(LayerContract):
    @pytest.fixture
    def application(self) -> Flask:
        return application_of(RunningLayer())


class TestLayerOfImmutableEntities(LayerContract):
    lacks = frozenset({"flush"})

    @pytest.fixture
    def application(self) -> Flask:
        return application_of(ImmutableLayer())


class TestLayerWithALock(LayerContract):
    lacks = frozenset({"flush"})

    @pytest.fixture
    def application(self) -> Flask:
        return application_of(LockedLayer())


class LineSchema(Schema):
    id = fields.Str()
    text = fields.Str()

    class Meta:
        type_ = "lines"


class TestLayerThatOnlyAdds(LayerContract):
    lacks = frozenset(
        {
            *("prepare", "linkage", "update", "remove", "flush"),
            *("add_to_relationship", "set_relationship", "remove_from_relationship"),
            *("client_ids", "to_one", "to_many", "to_own_type", "versions", "repeats", "null", "forget"),
        }
    )
    samples = {"lines": ({"text": "One"}, {"text": "Two"})}  # noqa: RUF012  # nothing changes it

    @pytest.fixture
    def application(self) -> Flask:
        atomic = Atomic(Log())
        atomic.resource(LineSchema)
        application = Flask(__name__)
        application.register_blueprint(atomic.blueprint)
        return application
