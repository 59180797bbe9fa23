"""The layer over several databases keeps the contract of data layers: with resources in a branch, keys elsewhere."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask
from sqlalchemy import MetaData
from sqlalchemy.orm import sessionmaker

from flask_atomic import Atomic
from flask_atomic.layers.sqlalchemy import TwoPhaseSQLAlchemyLayer, decisions_table, idempotency_table
from flask_atomic.testing import ArticleSchema, LayerContract, PersonSchema
from tests.contract import models
from tests.two_phase.shop import engine
from tests.two_phase.stores import Stores

DECISIONS = decisions_table(MetaData())
KEYS = idempotency_table(DECISIONS.metadata)


class TestTwoPhaseSQLAlchemyLayer(LayerContract):
    lacks = frozenset({"prepare"})

    @pytest.fixture
    def application(self, databases: Stores) -> Iterator[Flask]:
        deciding, branch = map(engine, databases.urls(("sqlite", "mariadb")))  # whose branches are fussier
        DECISIONS.metadata.create_all(deciding)
        models.Base.metadata.create_all(branch)
        sessions = sessionmaker(binds={models.Base: branch, DECISIONS: deciding, KEYS: deciding})
        atomic = Atomic(TwoPhaseSQLAlchemyLayer(sessions, DECISIONS))
        atomic.resource(PersonSchema, client_ids="allowed", model=models.Person)
        atomic.resource(ArticleSchema, model=models.Article)
        application = Flask(__name__)
        application.register_blueprint(atomic.blueprint)
        yield application
        assert branch.pool.checkedout() == deciding.pool.checkedout() == 0
