"""The layer comes to an application by its entry point and the configuration."""

from __future__ import annotations

from importlib.metadata import entry_points

import pytest
from flask_atomic import ConfigurationError
from flask_atomic.testing import AtomicClient
from redis import Redis

from flask_atomic_redis import from_config
from tests import library


def test_the_entry_point_is_there() -> None:
    (entry_point,) = entry_points(group="flask_atomic", name="redis")
    assert entry_point.load() is from_config


def test_without_a_url_there_is_no_layer() -> None:
    assert from_config({"REDIS_PREFIX": "x"}) is None


def test_a_layer_that_is_discovered_serves(redis_url: str, redis: Redis, prefix: str) -> None:
    app = library.application(ATOMIC_DISCOVER=["redis"], REDIS_URL=redis_url, REDIS_PREFIX=prefix)
    assert AtomicClient(app).send(library.person("Ada")).status == 200
    assert redis.hget(f"{prefix}:people:1", "name") == '"Ada"'


@pytest.mark.parametrize(
    "config",
    [{}, {"ATOMIC_DISCOVER": ["redis"], "ATOMIC_BLOCK": ["redis"]}, {"ATOMIC_DISCOVER": ["redis"], "REDIS_URL": None}],
)
def test_a_layer_that_is_not_discovered_is_told(redis_url: str, config: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError):
        library.application(**{"REDIS_URL": redis_url, **config})


def test_a_wrong_url_is_told() -> None:
    with pytest.raises(ConfigurationError, match="is none of Redis"):
        library.application(ATOMIC_DISCOVER=["redis"], REDIS_URL="http://127.0.0.1")
