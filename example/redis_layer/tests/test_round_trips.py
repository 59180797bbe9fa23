"""How often the server is asked: what is done together takes as many round trips as one."""

from __future__ import annotations

import pytest
from flask_atomic.testing import AtomicClient, Document, identifier
from redis import Redis

from flask_atomic_redis import RedisLayer
from tests import library

COUNT = 1000


@pytest.fixture
def client(layer: RedisLayer) -> AtomicClient:
    return library.client(layer)


def people(count: int = COUNT) -> Document:
    document = Document()
    for number in range(count):
        document = Document((*document.operations, *library.person(f"Person {number}").operations))
    return document


@pytest.fixture
def stored(client: AtomicClient, round_trips: list[list[str]]) -> list[dict[str, str]]:
    """The identifiers of a thousand people that are there."""
    resources = client.send(people()).resources
    round_trips.clear()
    return [identifier("people", resource["id"]) for resource in resources]


def test_a_thousand_are_added_in_four_round_trips(client: AtomicClient, round_trips: list[list[str]]) -> None:
    assert client.send(people()).status == 200
    assert round_trips == [
        ["INCRBY"],
        ["WATCH", *["HGETALL"] * COUNT],
        ["MULTI", *["HSET"] * COUNT],
        ["EXEC"],
    ]


def test_a_thousand_are_read_in_one_round_trip(
    client: AtomicClient, stored: list[dict[str, str]], round_trips: list[list[str]]
) -> None:
    document = Document(tuple(operation for one in stored for operation in Document().update(one).operations))
    assert client.send(document).status == 200
    assert round_trips == [["WATCH", *["HGETALL"] * COUNT], ["UNWATCH"]]


def test_a_thousand_are_updated_in_three_round_trips(
    client: AtomicClient, stored: list[dict[str, str]], round_trips: list[list[str]]
) -> None:
    changed = [Document().update(one, attributes={"name": "Changed"}) for one in stored]
    assert client.send(Document(tuple(each.operations[0] for each in changed))).status == 200
    assert [len(commands) for commands in round_trips] == [1 + COUNT, 1 + COUNT, 1]


def test_a_hundred_pairs_are_added_together(client: AtomicClient, round_trips: list[list[str]]) -> None:
    document = Document()
    for number in range(100):
        author = identifier("people", lid=str(number))
        document = library.book(
            "Book", library.person("Author", document, lid=str(number)), relationships={"author": author}
        )
    assert client.send(document).status == 200
    assert [len(commands) for commands in round_trips] == [2, 201, 301, 1]  # and a set of referrers for each author


@pytest.fixture
def books(client: AtomicClient, stored: list[dict[str, str]], round_trips: list[list[str]]) -> list[dict[str, str]]:
    """A hundred books, by the first hundred of the people."""
    document = Document()
    for author in stored[:100]:
        document = library.book("Book", document, relationships={"author": author, "readers": stored[100:103]})
    added = client.send(document).resources
    round_trips.clear()
    return [identifier("books", book["id"]) for book in added]


def removal(resources: list[dict[str, str]]) -> Document:
    return Document(tuple({"op": "remove", "ref": resource} for resource in resources))


def test_a_hundred_are_removed_together(
    client: AtomicClient, books: list[dict[str, str]], round_trips: list[list[str]]
) -> None:
    assert client.send(removal(books)).status == 204
    names = [sorted(set(commands)) for commands in round_trips]
    assert names == [["HGETALL", "WATCH"], ["SMEMBERS", "WATCH"], ["DEL", "MULTI", "SREM"], ["EXEC"]]


def test_those_who_refer_to_them_are_read_together(client: AtomicClient, round_trips: list[list[str]]) -> None:
    document = Document()
    for number in range(100):
        shelf = identifier("shelves", lid=str(number))
        document = library.book("Book", document.add(**shelf), relationships={"shelf": shelf})
    added = client.send(document).resources
    round_trips.clear()
    assert client.send(removal([identifier("shelves", shelf["id"]) for shelf in added[::2]])).status == 204
    names = [sorted(set(commands)) for commands in round_trips]
    reading = [["HGETALL", "WATCH"], ["SMEMBERS", "WATCH"], ["HGETALL", "WATCH"]]
    assert names == [*reading, ["DEL", "HSET", "MULTI", "SREM"], ["EXEC"]]
    assert library.shown(library.read(client, "books", added[-1]["id"]))["shelf"] is None


@pytest.mark.parametrize("op", ["add", "remove"])
def test_one_member_of_a_large_set_is_written_without_the_others(
    client: AtomicClient, redis: Redis, prefix: str, round_trips: list[list[str]], op: str
) -> None:
    book = client.send(library.book("Read by many", library.person("Reader"))).resources[1]
    redis.sadd(f"{prefix}:books.readers:1", *range(1000, 101_000))
    round_trips.clear()
    reader = [identifier("people", "1")]
    document = Document()
    write = document.add_to_relationship if op == "add" else document.remove_from_relationship
    assert client.send(write(book, "readers", reader)).status == 204
    assert [sorted(commands) for commands in round_trips] == [
        ["HGETALL", "WATCH"],
        ["HGETALL", "WATCH"],
        ["MULTI", *["SADD" if op == "add" else "SREM"] * 2],
        ["EXEC"],
    ]
    assert redis.scard(f"{prefix}:books.readers:1") == 100_000 + (op == "add")
