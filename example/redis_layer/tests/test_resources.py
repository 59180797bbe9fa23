"""Resources and relationships, through HTTP, and what is at which key then."""

from __future__ import annotations

import pytest
from flask import Flask
from flask_atomic import Atomic, ConfigurationError
from flask_atomic.testing import AtomicClient, Document, identifier
from redis import Redis

from flask_atomic_redis import RedisLayer
from tests import library

ADA, BOB = identifier("people", "1"), identifier("people", "2")
BOOK = identifier("books", "1")
SHELF = "123e4567-e89b-12d3-a456-426614174000"


@pytest.fixture
def client(layer: RedisLayer) -> AtomicClient:
    """A client of the library, where Ada (1) has written a book (1) that Bob (2) and she read."""
    client = library.client(layer)
    people = library.person("Bob", library.person("Ada"))
    relationships = {"author": ADA, "readers": [BOB, ADA]}
    assert client.send(library.book("Notes", people, relationships=relationships)).status == 200
    return client


def test_keys_are_those_of_the_documentation(client: AtomicClient, redis: Redis, prefix: str) -> None:
    assert {key.removeprefix(prefix): redis.type(key) for key in redis.scan_iter(f"{prefix}*")} == {
        ":people": "string",
        ":books": "string",
        ":people:1": "hash",
        ":people:2": "hash",
        ":books:1": "hash",
        ":books.readers:1": "set",
        ":people@referrers:1": "set",
        ":people@referrers:2": "set",
    }
    assert redis.hgetall(f"{prefix}:books:1") == {"id": "1", "title": '"Notes"', "author": "1"}
    assert redis.smembers(f"{prefix}:books.readers:1") == {"1", "2"}


def test_members_are_shown_in_the_order_of_their_ids(client: AtomicClient) -> None:
    assert library.shown(library.read(client, "books", "1"))["readers"] == ["1", "2"]


def test_new_ids_are_random_where_they_are_no_numbers(client: AtomicClient) -> None:
    document = Document().add("shelves", lid="s").add("shelves")
    first, second = client.send(document).resources
    assert first["id"] != second["id"]
    assert library.read(client, "shelves", first["id"].upper()) == first


def test_a_number_that_a_client_has_taken_is_passed_over(client: AtomicClient) -> None:
    taken = Document()
    for number in (3, 4, 5, 8):
        taken = library.person("Taken", taken, id=str(number))
    assert client.send(taken).status == 200
    new = library.person("B", library.person("A"))
    ids = [resource["id"] for resource in client.send(new).resources]
    assert len({*ids, "1", "2", "3", "4", "5", "8"}) == 8
    assert library.read(client, "people", "5")["attributes"]["name"] == "Taken"


def test_a_thousand_numbers_in_a_row_that_are_taken_are_passed_over_quickly(
    client: AtomicClient, redis: Redis, prefix: str, round_trips: list[list[str]]
) -> None:
    with redis.pipeline() as pipeline:
        for number in range(3, 1003):
            pipeline.hset(f"{prefix}:people:{number}", "id", str(number))
        pipeline.execute()
    round_trips.clear()
    (new,) = client.send(library.person("New")).resources
    assert int(new["id"]) > 1002
    assert len(round_trips) < 25


@pytest.mark.parametrize("id_", ["x", "1.0", "", " 1", "\u0663", "9" * 19, "1" * 5000, "--1"])
def test_what_is_no_number_names_nothing(client: AtomicClient, id_: str) -> None:
    answer = client.send(Document().update({"type": "people", "id": id_}))
    assert answer.status == (404 if id_ else 400)


@pytest.mark.parametrize("id_", [SHELF.replace("-", ""), f"{{{SHELF}}}", SHELF.replace("1", "\u0661"), "1"])
def test_what_is_no_uuid_names_nothing(client: AtomicClient, id_: str) -> None:
    assert client.send(Document().update({"type": "shelves", "id": id_})).status == 404


def test_equal_ids_are_one(client: AtomicClient) -> None:
    assert library.read(client, "people", "0001")["id"] == "1"
    client.send(library.person("Taken", id="01")).assert_error("id-taken")
    assert client.send(Document().add("shelves", id=SHELF)).status == 200
    client.send(Document().add("shelves", id=SHELF.upper())).assert_error("id-taken")


# --------------------------------------------------------------------------------------------------------- removal


def test_who_is_removed_leaves_all_relationships(client: AtomicClient, redis: Redis, prefix: str) -> None:
    mentored = Document().update(BOB, relationships={"mentor": ADA}).update(ADA, relationships={"mentor": ADA})
    assert client.send(mentored).status == 200
    assert client.send(Document().remove(ADA)).status == 204
    assert library.shown(library.read(client, "books", "1")) == {"author": None, "readers": ["2"], "shelf": None}
    assert library.shown(library.read(client, "people", "2")) == {"mentor": None}
    assert set(redis.scan_iter(f"{prefix}:people*:1")) == set()


def test_who_comes_back_with_the_same_id_is_not_related_again(client: AtomicClient) -> None:
    again = library.person("Ada again", Document().remove(ADA), id="1")
    assert client.send(again).status == 200
    assert library.shown(library.read(client, "books", "1")) == {"author": None, "readers": ["2"], "shelf": None}


def test_who_left_a_relationship_and_is_removed_leaves_it_to_the_others(client: AtomicClient) -> None:
    document = (
        Document()
        .update(BOOK, relationships={"author": BOB})
        .set_relationship(BOOK, "readers", [BOB])
        .remove(ADA)
        .update(BOOK)
    )
    book = client.send(document).resources[-1]
    assert library.shown(book) == {"author": "2", "readers": ["2"], "shelf": None}


def test_nothing_is_left_of_what_is_removed(client: AtomicClient, redis: Redis, prefix: str) -> None:
    assert client.send(Document().remove(BOOK).remove(ADA).remove(BOB)).status == 204
    assert set(redis.scan_iter(f"{prefix}*")) == {f"{prefix}:people", f"{prefix}:books"}


def test_a_resource_whose_owner_is_gone_can_be_removed(client: AtomicClient, redis: Redis, prefix: str) -> None:
    assert client.send(Document().remove(BOOK)).status == 204
    assert client.send(Document().remove(ADA)).status == 204
    assert redis.exists(f"{prefix}:books:1", f"{prefix}:books.readers:1") == 0


# --------------------------------------------------------------------------------------------------------- in a unit


def test_a_request_sees_what_it_has_written(client: AtomicClient, redis: Redis, prefix: str) -> None:
    document = (
        library.person("Eve", lid="eve")
        .add_to_relationship(BOOK, "readers", [identifier("people", lid="eve")])
        .update(BOOK, attributes={"title": "Changed"})
        .remove_from_relationship(BOOK, "readers", [ADA])
        .update(BOOK)
    )
    book = client.send(document).resources[-1]
    assert (book["attributes"]["title"], library.shown(book)["readers"]) == ("Changed", ["2", "3"])
    assert redis.smembers(f"{prefix}:books.readers:1") == {"2", "3"}


@pytest.mark.parametrize("batch", [True, False])
def test_a_request_that_fails_leaves_nothing(layer: RedisLayer, redis: Redis, prefix: str, batch: bool) -> None:
    client = library.client(layer, ATOMIC_BATCH=batch)
    client.send(library.person("Ada"))
    before = {key: redis.dump(key) for key in redis.scan_iter(f"{prefix}*:*:*")}
    document = library.person("Bob").update(ADA, attributes={"name": "Changed"}).remove(identifier("people", "99"))
    client.send(document).assert_error("resource-not-found", pointer="/atomic:operations/2/ref/id")
    assert {key: redis.dump(key) for key in redis.scan_iter(f"{prefix}*:*:*")} == before


# ----------------------------------------------------------------------------------------------------------- set-up


def test_a_type_of_another_layer_is_not_claimed(layer: RedisLayer) -> None:
    atomic = Atomic(layer)
    atomic.resource(library.ShelfSchema)
    with pytest.raises(ConfigurationError, match="No data layer claims 'shelves'"):
        Flask("test").register_blueprint(atomic.blueprint)


@pytest.mark.parametrize(("option", "value"), [("id_type", float), ("enums", [int]), ("enums", ["Colour"])])
def test_options_that_mean_nothing_are_refused(layer: RedisLayer, option: str, value: object) -> None:
    atomic = Atomic(layer)
    atomic.resource(library.ShelfSchema, layer="redis", **{option: value})
    with pytest.raises(ConfigurationError, match=option):
        Flask("test").register_blueprint(atomic.blueprint)


def test_a_url_of_something_else_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="is none of Redis"):
        RedisLayer("postgresql://127.0.0.1")
