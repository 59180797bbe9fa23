"""Whatever is sent, the layer answers as the memory layer does, and what it keeps holds together."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from flask import Flask
from flask_atomic import Atomic, MemoryLayer
from flask_atomic.testing import ArticleSchema, AtomicClient, Document, PersonSchema, identifier
from redis import Redis

from flask_atomic_redis import RedisLayer
from flask_atomic_redis.values import decode, encode

NUMBERS = [str(number) for number in range(1, 6)]
SHOWN = {"people": ("name", "mentor", None), "articles": ("title", "author", "reviewers")}
"""Of each type an attribute, a to-one and a to-many relationship."""


def client(layer: object) -> AtomicClient:
    atomic = Atomic(layer)
    for schema in (PersonSchema, ArticleSchema):
        atomic.resource(schema, layer=getattr(layer, "name", None), client_ids="required")
    app = Flask("equivalence")
    app.register_blueprint(atomic.blueprint)
    return AtomicClient(app)


def random_document(random: Random) -> Document:
    document = Document()
    for _ in range(random.randint(1, 3)):
        document = with_random_operation(document, random)
    return document


def with_random_operation(document: Document, random: Random) -> Document:
    type_ = random.choice(list(SHOWN))
    name, one, many = SHOWN[type_]
    target = identifier(type_, random.choice(NUMBERS))
    people = [identifier("people", id_) for id_ in random.sample(NUMBERS, random.randint(0, 3))]
    person = random.choice([None, *people])
    linkage: dict[str, Any] = {one: person}
    if many is not None:
        linkage[many] = people
    chosen = {key: value for key, value in linkage.items() if random.random() < 0.5}
    attributes = {name: str(random.random())}
    op = random.choice(["add", "add", "update", "update", "remove", "to-one", "join", "join", "leave", "replace"])
    if op == "add":
        return document.add(type_, id=target["id"], attributes=attributes, relationships=chosen)
    if op == "update":
        return document.update(target, attributes=attributes, relationships=chosen)
    if op == "remove":
        return document.remove(target)
    if op == "to-one" or many is None:
        return document.set_relationship(target, one, person)
    if op == "join":
        return document.add_to_relationship(target, many, people)
    if op == "leave":
        return document.remove_from_relationship(target, many, people)
    return document.set_relationship(target, many, people)


def without_order(value: Any) -> Any:
    """A document whose to-many linkage is in the order of the ids."""
    if isinstance(value, list):
        return [without_order(item) for item in value]
    if not isinstance(value, dict):
        return value
    members = {name: without_order(member) for name, member in value.items()}
    if isinstance(value.get("data"), list):
        members["data"].sort(key=lambda identifier: identifier["id"])
    return members


def referrers_by_search(redis: Redis, prefix: str) -> dict[str, set[str]]:
    """For each resource who is related to it, found out from all relationships."""
    found: dict[str, set[str]] = {}
    for type_, (_, one, many) in SHOWN.items():
        for key in redis.scan_iter(f"{prefix}:{type_}:*"):
            owner = int(key.rpartition(":")[2])
            related = [(one, False, redis.hget(key, one) or "null")]
            related += [(many, True, member) for member in redis.smembers(f"{prefix}:{type_}.{many}:{owner}")]
            for attribute, is_many, member in related:
                if member != "null":
                    place = f"{prefix}:people@referrers:{decode(member)}"
                    found.setdefault(place, set()).add(encode([type_, attribute, is_many, owner]))
    return found


@pytest.mark.parametrize("seed", range(4))
def test_the_layer_answers_as_memory_does(layer: RedisLayer, redis: Redis, prefix: str, seed: int) -> None:
    random = Random(seed)
    stored, remembered = client(layer), client(MemoryLayer())
    everybody = Document()
    for type_, (name, _, _) in SHOWN.items():
        for id_ in NUMBERS:
            everybody = everybody.add(type_, id=id_, attributes={name: "first"})
    succeeded = 0
    for document in [everybody, *(random_document(random) for _ in range(150))]:
        answer, expected = stored.send(document), remembered.send(document)
        assert answer.status == expected.status, f"{answer}\n{expected}"
        assert without_order(answer.response.get_json(silent=True)) == without_order(
            expected.response.get_json(silent=True)
        )
        succeeded += answer.status < 300
    there = {key: redis.smembers(key) for key in redis.scan_iter(f"{prefix}:*@referrers:*")}
    assert there == referrers_by_search(redis, prefix)
    assert succeeded > 10
