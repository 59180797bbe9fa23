"""The layer keeps all promises of the hooks."""

# <contract>
from __future__ import annotations

from uuid import UUID

import pytest
from flask import Flask
from flask_atomic import Atomic
from flask_atomic.testing import ArticleSchema, LayerContract, PersonSchema

from flask_atomic_redis import RedisLayer


class TestRedisLayer(LayerContract):
    lacks = ("prepare", "versions", "repeats", "forget")

    @pytest.fixture(params=[int, str, UUID])
    def application(self, layer: RedisLayer, request: pytest.FixtureRequest) -> Flask:
        atomic = Atomic(layer)
        atomic.resource(PersonSchema, layer="redis", id_type=request.param, client_ids="allowed")
        atomic.resource(ArticleSchema, layer="redis", id_type=request.param)
        application = Flask("contract")
        application.register_blueprint(atomic.blueprint)
        return application


# </contract>
