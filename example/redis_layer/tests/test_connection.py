"""A server that cannot be reached, or not any more: the client hears that it may try again, and no more."""

from __future__ import annotations

import logging
from collections.abc import Generator

import pytest
from flask_atomic import Transient, hookimpl
from flask_atomic.testing import Answer, AtomicClient, Document, identifier
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from flask_atomic_redis import RedisLayer
from flask_atomic_redis.connection import Connection
from tests import library, server
from tests.proxy import cut_at_exec

ADA = identifier("people", "1")


class Kill:
    """Kills the connections of the layer before a hook is called; `after`, after its work is done."""

    def __init__(self, redis: Redis, prefix: str) -> None:
        self._redis = redis
        self._prefix = prefix
        self.before = ""
        self.once = False

    def _kill(self, hook: str) -> None:
        if hook == self.before:
            assert kill(self._redis, self._prefix) == 1
            self.before = "" if self.once else hook

    @hookimpl(wrapper=True)
    def atomic_get(self) -> Generator[None, object, object]:
        self._kill("get")
        return (yield)

    @hookimpl(wrapper=True)
    def atomic_update(self) -> Generator[None, object, object]:
        self._kill("update")
        return (yield)

    @hookimpl(wrapper=True)
    def atomic_flush(self) -> Generator[None, object, object]:
        self._kill("flush")
        return (yield)

    @hookimpl(wrapper=True)
    def atomic_commit(self) -> Generator[None, object, object]:
        self._kill("commit")
        return (yield)


def kill(redis: Redis, name: str) -> int:
    """Kill the connections of that name, and say how many there were."""
    found = [client["id"] for client in redis.client_list() if client["name"] == name]
    return sum(redis.client_kill_filter(_id=id_) for id_ in found)


@pytest.fixture
def killer(redis: Redis, prefix: str) -> Kill:
    return Kill(redis, prefix)


@pytest.fixture
def client(layer: RedisLayer, killer: Kill) -> AtomicClient:
    """A client of the library, where there is Ada (1)."""
    client = library.client(layer, killer, ATOMIC_RETRIES=1)
    assert client.send(library.person("Ada")).status == 200
    return client


def assert_unavailable(answer: Answer) -> None:
    assert answer.assert_error("unavailable", status=503).detail == "The store cannot be used now."
    assert answer.response.headers["Retry-After"] == "1"
    assert "Traceback" not in answer.response.text


@pytest.mark.parametrize("hook", ["get", "update", "flush", "commit"])
def test_a_connection_that_is_killed_in_the_middle_leaves_nothing(
    client: AtomicClient, killer: Kill, redis: Redis, prefix: str, hook: str
) -> None:
    killer.before = hook
    document = library.person("Bob").update(ADA, attributes={"name": "Changed"})
    assert_unavailable(client.send(document))
    assert redis.hget(f"{prefix}:people:1", "name") == '"Ada"'
    assert set(redis.scan_iter(f"{prefix}:people:*")) == {f"{prefix}:people:1"}
    killer.before = ""
    assert client.send(document).status == 200


@pytest.mark.parametrize("hook", ["get", "update", "flush", "commit"])
def test_the_request_is_tried_again_with_another_one(
    client: AtomicClient, killer: Kill, redis: Redis, prefix: str, hook: str
) -> None:
    killer.before, killer.once = hook, True
    document = library.person("Bob").update(ADA, attributes={"name": "Changed"})
    assert client.send(document).status == 200
    assert redis.hget(f"{prefix}:people:1", "name") == '"Changed"'
    assert len(list(redis.scan_iter(f"{prefix}:people:*"))) == 2


def test_a_connection_that_was_killed_between_requests_is_made_again(
    client: AtomicClient, redis: Redis, prefix: str
) -> None:
    assert kill(redis, prefix) == 1
    assert library.read(client, "people", "1")["attributes"]["name"] == "Ada"


@pytest.mark.parametrize("executed", [False, True])
def test_a_connection_that_is_lost_while_it_commits_leaves_the_outcome_open(
    redis: Redis, prefix: str, executed: bool, caplog: pytest.LogCaptureFixture
) -> None:
    database = redis.connection_pool.connection_kwargs.get("db", 0)
    with cut_at_exec(redis, executed=executed) as port:
        layer = RedisLayer(f"redis://127.0.0.1:{port}/{database}", prefix=prefix)
        answer = library.client(layer).send(library.person("Ada"))
        layer.close()
    error = answer.assert_error("outcome-unknown", status=500)
    assert error.detail == "The connection to the store was lost during the commit. The log has more under the id."
    assert "Retry-After" not in answer.response.headers
    assert [record.levelno for record in caplog.records] == [logging.CRITICAL]
    assert redis.exists(f"{prefix}:people:1") == executed


def test_a_connection_that_was_lost_is_not_made_again_for_the_same_unit(
    redis_url: str, redis: Redis, prefix: str
) -> None:
    """The new connection would watch nothing."""
    with Redis.from_url(redis_url, client_name=prefix) as client:
        connection = Connection(client)
        assert kill(redis, prefix) == 1
        for _ in range(2):
            with pytest.raises(Transient):
                connection.ask(("WATCH", prefix))
        with pytest.raises(Transient):
            connection.commit([("SET", prefix, "1")])
        connection.release()
    assert redis.exists(prefix) == 0


def test_a_failure_leaves_no_connection_behind(client: AtomicClient, killer: Kill, redis: Redis, prefix: str) -> None:
    client.send(library.person("Bob").remove(identifier("people", "99"))).assert_error("resource-not-found")
    (connection,) = [each for each in redis.client_list() if each["name"] == prefix]
    assert (connection["multi"], connection["cmd"]) == ("-1", "unwatch")
    killer.before = "commit"
    assert_unavailable(client.send(library.person("Bob")))
    assert kill(redis, prefix) == 0


def test_of_a_pool_that_is_exhausted_the_client_hears_that_the_store_is_busy(redis_url: str, prefix: str) -> None:
    layer = RedisLayer(redis_url, prefix=prefix, max_connections=1)
    inner: list[Answer] = []

    class Nested:
        @hookimpl(wrapper=True)
        def atomic_commit(self) -> Generator[None, object, object]:
            inner.append(client.send(library.person("Bob")))
            return (yield)

    client = library.client(layer, Nested())
    assert client.send(library.person("Ada")).status == 200
    assert_unavailable(inner[0])
    layer.close()


def test_a_server_that_is_not_there_is_a_503_without_a_word_of_the_driver(
    caplog: pytest.LogCaptureFixture,
) -> None:
    layer = RedisLayer(f"redis://127.0.0.1:{server.free_port()}", retry=Retry(NoBackoff(), 0))
    with caplog.at_level(logging.ERROR):
        assert_unavailable(library.client(layer).send(library.person("Ada")))
    assert caplog.records == []
    layer.close()


def test_a_server_that_has_no_memory_left_keeps_what_it_has(own_url: str) -> None:
    layer = RedisLayer(own_url)
    client = library.client(layer)
    assert client.send(library.person("Ada")).status == 200
    with Redis.from_url(own_url) as redis:
        redis.config_set("maxmemory", "1")
        assert_unavailable(client.send(Document().update(ADA, attributes={"name": "Changed"})))
        redis.config_set("maxmemory", "0")
    assert library.read(client, "people", "1")["attributes"]["name"] == "Ada"
    layer.close()


def test_a_password_that_is_wrong_is_a_defect_without_a_word_of_the_driver(own_url: str) -> None:
    with Redis.from_url(own_url) as redis:
        redis.config_set("requirepass", "secret")
    layer = RedisLayer(own_url.replace("redis://", "redis://:wrong@"))
    answer = library.client(layer).send(library.person("Ada"))
    answer.assert_error("internal-error", status=500)
    assert "password" not in answer.response.text.lower()
    layer.close()
