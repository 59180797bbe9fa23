"""Requests that meet: the one that commits last is tried again, or refused, if the other has changed what it read."""

from __future__ import annotations

from collections.abc import Callable, Generator
from threading import Barrier, Thread
from typing import Any

import pytest
from flask_atomic import hookimpl
from flask_atomic.testing import Answer, AtomicClient, Document, identifier
from redis import Redis

from flask_atomic_redis import RedisLayer
from tests import library

ADA, BOB, EVE = (identifier("people", id_) for id_ in "123")
BOOK = identifier("books", "1")


class Meanwhile:
    """Does something once, when a request has done all its work and is about to commit."""

    def __init__(self) -> None:
        self.do: Callable[[], Any] | None = None

    @hookimpl(wrapper=True)
    def atomic_commit(self) -> Generator[None, object, object]:
        do, self.do = self.do, None
        if do is not None:
            do()
        return (yield)


@pytest.fixture
def meanwhile() -> Meanwhile:
    return Meanwhile()


@pytest.fixture
def client(layer: RedisLayer, meanwhile: Meanwhile) -> AtomicClient:
    """A client of the library: Ada (1) has written the book (1) that Bob (2) reads, and there is Eve (3)."""
    client = library.client(layer, meanwhile, ATOMIC_RETRIES=0)
    people = library.person("Eve", library.person("Bob", library.person("Ada")))
    assert client.send(library.book("Notes", people, relationships={"author": ADA, "readers": [BOB]})).status == 200
    return client


def both(client: AtomicClient, meanwhile: Meanwhile, last: Document, first: Document) -> Answer:
    """The answer to what commits last; the other must succeed."""
    firsts: list[Answer] = []
    meanwhile.do = lambda: firsts.append(client.send(first))
    answer = client.send(last)
    assert [each.status // 100 for each in firsts] == [2], str(firsts[0])
    return answer


LINK = Document().update(BOOK, relationships={"author": BOB})
REPLACE = Document().set_relationship(BOOK, "readers", [ADA])
JOIN = Document().add_to_relationship(BOOK, "readers", [EVE])
COLLISIONS = {
    "update and update": (
        Document().update(ADA, attributes={"name": "A"}),
        Document().update(ADA, attributes={"name": "B"}),
    ),
    "update and remove": (Document().update(ADA, attributes={"name": "A"}), Document().remove(ADA)),
    "remove and remove": (Document().remove(ADA), Document().remove(ADA)),
    "link and remove": (LINK, Document().remove(BOB)),
    "link and remove the owner": (LINK, Document().remove(BOOK)),
    "join and remove": (JOIN, Document().remove(EVE)),
    "join and remove the owner": (JOIN, Document().remove(BOOK)),
    "unlink and remove": (Document().set_relationship(BOOK, "author", None), Document().remove(ADA)),
    "one id for two": (library.person("A", id="9"), library.person("B", id="9")),
}


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("name", COLLISIONS)
def test_the_last_to_commit_is_refused(client: AtomicClient, meanwhile: Meanwhile, name: str, turned: bool) -> None:
    last, first = reversed(COLLISIONS[name]) if turned else COLLISIONS[name]
    answer = both(client, meanwhile, last, first)
    answer.assert_error("unavailable", status=503)
    assert answer.response.headers["Retry-After"] == "1"


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("name", COLLISIONS)
def test_if_it_is_tried_again_it_comes_after_the_other(
    layer: RedisLayer, client: AtomicClient, redis: Redis, prefix: str, name: str, turned: bool
) -> None:
    last, first = reversed(COLLISIONS[name]) if turned else COLLISIONS[name]
    meanwhile = Meanwhile()
    answer = both(library.client(layer, meanwhile), meanwhile, last, first)
    assert answer.status in (200, 204, 404, 409)
    assert dangling(redis, prefix) == []


@pytest.mark.parametrize("name", COLLISIONS)
def test_what_is_stored_after_a_collision_holds_together(
    client: AtomicClient, meanwhile: Meanwhile, redis: Redis, prefix: str, name: str
) -> None:
    both(client, meanwhile, *COLLISIONS[name])
    assert dangling(redis, prefix) == []


def dangling(redis: Redis, prefix: str) -> list[str]:
    """The keys of the sets that belong to, or hold, a resource that is not there."""
    wrong = []
    for key in redis.scan_iter(f"{prefix}:*[.@]*:*"):
        type_, _, id_ = key.removeprefix(f"{prefix}:").partition(":")
        owner = f"{prefix}:{type_.partition('.')[0].partition('@')[0]}:{id_}"
        members = [f"{prefix}:people:{member}" for member in redis.smembers(key)] if "." in type_ else []
        wrong += [key for needed in (owner, *members) if not redis.exists(needed)]
    return wrong


def test_who_is_refused_succeeds_when_it_tries_again(client: AtomicClient, meanwhile: Meanwhile) -> None:
    last, first = COLLISIONS["update and update"]
    assert both(client, meanwhile, last, first).status == 503
    assert client.send(last).resources[0]["attributes"]["name"] == "A"


def test_an_id_that_was_taken_meanwhile_is_told_when_it_is_tried_again(
    client: AtomicClient, meanwhile: Meanwhile
) -> None:
    last, first = COLLISIONS["one id for two"]
    assert both(client, meanwhile, last, first).status == 503
    client.send(last).assert_error("id-taken", status=409)


def test_two_can_join_at_once(client: AtomicClient, meanwhile: Meanwhile) -> None:
    assert both(client, meanwhile, JOIN, Document().add_to_relationship(BOOK, "readers", [ADA])).status == 204
    assert library.shown(library.read(client, "books", "1"))["readers"] == ["1", "2", "3"]


def test_members_are_replaced_only_if_they_are_still_the_same(client: AtomicClient, meanwhile: Meanwhile) -> None:
    assert both(client, meanwhile, REPLACE, JOIN).status == 503
    assert both(client, meanwhile, JOIN, REPLACE).status == 204
    assert library.shown(library.read(client, "books", "1"))["readers"] == ["1", "3"]


def test_requests_on_different_resources_do_not_meet(client: AtomicClient, meanwhile: Meanwhile) -> None:
    last, first = Document().update(ADA, attributes={"name": "A"}), Document().update(EVE, attributes={"name": "E"})
    assert both(client, meanwhile, last, first).status == 200


def test_numbers_are_given_once(client: AtomicClient, meanwhile: Meanwhile) -> None:
    answer = both(client, meanwhile, library.person("A"), library.person("B"))
    assert answer.resources[0]["id"] == "4"
    assert library.read(client, "people", "5")["attributes"]["name"] == "B"


def test_nobody_sees_what_is_not_committed(client: AtomicClient, meanwhile: Meanwhile) -> None:
    seen: list[Any] = []
    meanwhile.do = lambda: seen.append(library.read(client, "people", "1"))
    assert client.send(Document().update(ADA, attributes={"name": "Changed"})).status == 200
    assert [each["attributes"]["name"] for each in seen] == ["Ada"]


def test_of_threads_that_count_none_is_lost(client: AtomicClient) -> None:
    threads, each = 4, 10
    start = Barrier(threads)

    def count() -> None:
        start.wait()
        for _ in range(each):
            while not increment(client):
                pass

    client.send(Document().update(ADA, attributes={"name": "0"}))
    workers = [Thread(target=count) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert library.read(client, "people", "1")["attributes"]["name"] == str(threads * each)


def increment(client: AtomicClient) -> bool:
    """Write a number that is one more than the one that was read, unless somebody else has done so meanwhile."""
    number = int(library.read(client, "people", "1")["attributes"]["name"]) + 1
    marker = identifier("people", str(1000 + number))  # that it is new makes it a comparison
    document = library.person("step", id=marker["id"]).update(ADA, attributes={"name": str(number)})
    return client.send(document).status == 200
