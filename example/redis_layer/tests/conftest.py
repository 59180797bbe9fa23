from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from redis import Connection, Redis

from flask_atomic_redis import RedisLayer
from tests import server


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """The URL of a server, whose data are somebody else's."""
    yield from server.lent(server.redis_server())


@pytest.fixture
def own_url() -> Iterator[str]:
    """The URL of a server of the test's own, whose configuration it may change."""
    yield from server.lent(server.own_server())


@pytest.fixture
def redis(redis_url: str) -> Iterator[Redis]:
    """A look at the server from outside."""
    with Redis.from_url(redis_url, decode_responses=True) as client:
        yield client


@pytest.fixture
def prefix(redis: Redis) -> Iterator[str]:
    """What the keys of the test begin with; they are deleted in the end."""
    prefix = f"test-{uuid4().hex}"
    yield prefix
    keys = list(redis.scan_iter(f"{prefix}*", count=10_000))
    if keys:
        redis.unlink(*keys)


@pytest.fixture
def round_trips() -> list[list[str]]:
    """The names of the commands that the layer has sent, for each round trip."""
    return []


@pytest.fixture
def layer(redis_url: str, prefix: str, round_trips: list[list[str]]) -> Iterator[RedisLayer]:
    """A layer with keys of its own."""

    class Recorded(Connection):
        def pack_commands(self, commands: Any) -> Any:
            round_trips.append([name for name, *_ in commands])
            return super().pack_commands(commands)

    layer = RedisLayer(redis_url, prefix=prefix, client_name=prefix, connection_class=Recorded)
    yield layer
    layer.close()
