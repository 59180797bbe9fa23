"""Local ids: declared by an `add`, used by what comes after it, and checked for the whole request beforehand."""

from __future__ import annotations

import pytest

from flask_atomic import Atomic, MemoryLayer, hookimpl
from tests.application import (
    Answer,
    add,
    application,
    id_,
    lid,
    post,
    read,
    relate,
    schema,
    seeded,
    stored,
    to_many,
    to_one,
    update,
)

TITLE = {"title": "T"}
NAME = {"name": "N"}


class Begun:
    """Notices whether a unit of work was begun."""

    def __init__(self):
        self.begun = False

    @hookimpl(wrapper=True)
    def atomic_begin(self):
        self.begun = True
        return (yield)


@pytest.fixture
def client():
    return seeded().client


@pytest.fixture(scope="module")
def begun():
    return Begun()


@pytest.fixture(scope="module")
def firm(begun):
    """An application for operations that are refused before anything is begun."""
    return seeded(begun)


@pytest.fixture
def refused(firm, begun):
    def errors(*operations):
        begun.begun = False
        answer = post(firm.client, *operations)
        assert not begun.begun
        return answer.errors

    return errors


def person(name, **members):
    return add("people", lid=name, attributes={"name": name}, **members)


@pytest.mark.parametrize("batch", [True, False])
class TestUse:
    """Everywhere that an id can stand. Statements A8, B32, B33 and B48."""

    @pytest.fixture
    def client(self, batch):
        return seeded(ATOMIC_BATCH=batch).client

    def test_in_linkage_of_an_addition(self, client):
        answer = post(
            client,
            person("a"),
            add("articles", {"author": lid("people", "a"), "editors": [lid("people", "a")]}, attributes={"title": "T"}),
        )

        created = answer.results[0]["data"]["id"]
        assert answer.results[1]["data"]["relationships"]["author"] == {"data": id_("people", created)}

    def test_in_the_data_of_an_update(self, client):
        answer = post(client, person("a"), update("people", lid="a", attributes={"name": "b"}))

        assert [result["data"]["attributes"]["name"] for result in answer.results] == ["a", "b"]
        assert answer.results[0]["data"]["id"] == answer.results[1]["data"]["id"] == "4"

    def test_in_the_target_of_an_update(self, client):
        operation = {**update("people", lid="a", attributes={"name": "b"}), "ref": lid("people", "a")}

        answer = post(client, person("a"), operation)

        assert answer.results[1]["data"]["attributes"]["name"] == "b"

    def test_in_the_linkage_of_an_update(self, client):
        answer = post(client, person("a"), update("articles", "3", {"author": lid("people", "a")}))

        assert answer.results[1]["data"]["relationships"]["author"] == {"data": id_("people", "4")}

    def test_in_a_removal(self, client):
        answer = post(client, person("a"), {"op": "remove", "ref": lid("people", "a")})

        assert answer.results[1] == {}
        assert read(client, "people", "4") is None

    def test_in_the_target_and_the_members_of_a_relationship(self, client):
        friends = [lid("people", "b"), id_("people", "1"), lid("people", "b")]

        post(client, person("a"), person("b"), relate("add", lid("people", "a"), "friends", friends))

        expected = {"data": [id_("people", "5"), id_("people", "1")]}
        assert read(client, "people", "4")["relationships"]["friends"] == expected

    def test_in_a_to_one_relationship(self, client):
        post(client, person("a"), relate("update", id_("articles", "3"), "author", lid("people", "a")))

        assert read(client, "articles", "3")["relationships"]["author"] == {"data": id_("people", "4")}

    def test_in_the_removal_of_members(self, client):
        answer = post(
            client,
            person("a"),
            person("b", relationships={"friends": [lid("people", "a")]}),
            relate("remove", lid("people", "b"), "friends", [lid("people", "a")]),
        )

        assert answer.results[2] == {}
        assert read(client, "people", "5")["relationships"]["friends"] == {"data": []}

    def test_beside_the_id_of_the_same_resource(self, client):
        """A sequential id can be guessed: it then names the resource that the local id names."""
        answer = post(client, person("a"), update("people", "4", attributes={"name": "b"}), update("people", lid="a"))

        assert [result["data"]["attributes"]["name"] for result in answer.results] == ["a", "b", "b"]

    def test_of_members_that_were_removed_by_their_id(self, client):
        """They are members of nothing, which is what the removal of members is to bring about."""
        answer = post(
            client,
            person("a"),
            {"op": "remove", "ref": id_("people", "4")},
            relate("remove", id_("people", "1"), "friends", [lid("people", "a")]),
        )

        assert answer.results[1:] == [{}, {}]

    def test_of_a_resource_that_was_removed_by_its_id(self, client):
        answer = post(
            client, person("a"), {"op": "remove", "ref": id_("people", "4")}, update("people", lid="a", attributes={})
        )

        assert answer.errors == [(404, "resource-not-found", "/2/data/lid")]

    def test_of_a_related_resource_that_was_removed_by_its_id(self, client):
        answer = post(
            client,
            person("a"),
            {"op": "remove", "ref": id_("people", "4")},
            relate("add", id_("people", "1"), "friends", [id_("people", "2"), lid("people", "a")]),
        )

        assert answer.errors == [(404, "related-resource-not-found", "/2/data/1")]


@pytest.mark.parametrize("batch", [True, False])
class TestSelfReference:
    @pytest.fixture
    def client(self, batch):
        return seeded(ATOMIC_BATCH=batch).client

    def test_to_one(self, client):
        answer = post(client, add("articles", {"sequel": lid("articles", "a")}, lid="a", attributes={"title": "T"}))

        created = answer.results[0]["data"]
        assert created["relationships"]["sequel"] == {"data": id_("articles", created["id"])}
        assert read(client, "articles", created["id"]) == created

    def test_to_many_beside_others(self, client):
        friends = [id_("people", "1"), lid("people", "a")]

        answer = post(client, person("b"), person("a", relationships={"friends": friends}))

        expected = {"data": [id_("people", "1"), id_("people", "5")]}
        assert answer.results[1]["data"]["relationships"]["friends"] == expected

    def test_beside_one_that_does_not_exist(self, client):
        friends = [lid("people", "a"), id_("people", "9")]

        answer = post(client, person("a", relationships={"friends": friends}))

        assert answer.errors == [(404, "related-resource-not-found", "/0/data/relationships/friends/data/1")]
        assert read(client, "people", "4") is None


@pytest.mark.parametrize("batch", [True, False])
def test_a_resource_may_refer_to_itself_by_the_clients_id(batch):
    atomic = Atomic(MemoryLayer())
    atomic.resource(schema("pages", next=to_one("pages")), client_ids="allowed", id_type=int)
    client = application(atomic, ATOMIC_BATCH=batch).test_client()

    answer = post(client, add("pages", id="1"), add("pages", {"next": id_("pages", "007")}, id="7"))

    assert answer.results[1]["data"]["relationships"]["next"] == {"data": id_("pages", "7")}


class TestIdentity:
    """A local id belongs to a type: the same text may stand for one resource of each."""

    def test_each_type_has_its_own(self, client):
        answer = post(
            client,
            person("a"),
            add(
                "articles",
                {"author": lid("people", "a"), "sequel": lid("articles", "a")},
                lid="a",
                attributes={"title": "T"},
            ),
        )

        relationships = answer.results[1]["data"]["relationships"]
        assert relationships["author"] == {"data": id_("people", "4")}
        assert relationships["sequel"] == {"data": id_("articles", "5")}

    def test_it_is_no_id(self, client):
        answer = post(client, person("1"), update("people", "1"))

        assert answer.results[1]["data"]["attributes"] == {"name": "Ann"}

    @pytest.mark.parametrize("text", [" ", "é", "a/b~c", "__class__", "x" * 5000])
    def test_it_may_be_any_text(self, client, text):
        answer = post(client, person(text), update("people", lid=text))

        assert answer.results[1]["data"]["attributes"] == {"name": text}

    def test_it_does_not_outlive_the_request(self, client):
        assert post(client, person("a")).status == 200

        assert post(client, update("people", lid="a")).errors == [(400, "undeclared-lid", "/0/data/lid")]


class TestRefusals:
    """What is wrong with a local id is told before a unit of work is begun."""

    @pytest.mark.parametrize(
        ("operation", "pointer"),
        [
            (update("people", lid="a"), "/0/data/lid"),
            ({**update("people", lid="a"), "ref": lid("people", "a")}, "/0/ref/lid"),
            ({"op": "remove", "ref": lid("people", "a")}, "/0/ref/lid"),
            (relate("update", lid("articles", "a"), "author", None), "/0/ref/lid"),
            (relate("add", lid("articles", "a"), "editors", []), "/0/ref/lid"),
            (relate("update", id_("articles", "3"), "author", lid("people", "a")), "/0/data/lid"),
            (relate("add", id_("articles", "3"), "editors", [lid("people", "a")]), "/0/data/0/lid"),
            (relate("remove", id_("articles", "3"), "editors", [lid("people", "a")]), "/0/data/0/lid"),
            (
                add("articles", {"author": lid("people", "a")}, attributes=TITLE),
                "/0/data/relationships/author/data/lid",
            ),
            (update("articles", "3", {"tags": [lid("tags", "a")]}), "/0/data/relationships/tags/data/0/lid"),
        ],
    )
    def test_one_that_nobody_declares(self, refused, operation, pointer):
        error = (400, "undeclared-lid", pointer)

        assert refused(operation) == [error]
        assert refused(operation, add("articles", lid="a", attributes=TITLE), person("a"), add("tags", lid="a")) == [
            error
        ]

    def test_one_that_another_type_declares(self, refused):
        assert refused(person("a"), update("articles", lid="a")) == [(400, "undeclared-lid", "/1/data/lid")]

    def test_one_that_is_declared_twice(self, refused):
        assert refused(person("a"), person("b"), person("a"), person("a")) == [
            (400, "duplicate-lid", "/2/data/lid"),
            (400, "duplicate-lid", "/3/data/lid"),
        ]

    def test_one_that_is_declared_again_after_a_removal(self, refused):
        removal = {"op": "remove", "ref": lid("people", "a")}

        assert refused(person("a"), removal, person("a")) == [(400, "duplicate-lid", "/2/data/lid")]

    @pytest.mark.parametrize(
        ("operation", "pointer"),
        [
            (update("people", lid="a"), "/2/data/lid"),
            ({"op": "remove", "ref": lid("people", "a")}, "/2/ref/lid"),
            (relate("update", lid("people", "a"), "friends", []), "/2/ref/lid"),
            (relate("add", id_("people", "1"), "friends", [id_("people", "2"), lid("people", "a")]), "/2/data/1/lid"),
            (relate("remove", id_("people", "1"), "friends", [lid("people", "a")]), "/2/data/0/lid"),
        ],
    )
    def test_one_of_a_removed_resource(self, refused, operation, pointer):
        removal = {"op": "remove", "ref": lid("people", "a")}

        assert refused(person("a"), removal, operation) == [(404, "resource-not-found", pointer)]

    def test_one_in_a_resource_that_is_declared_later(self, refused):
        assert refused(
            person("a", relationships={"friends": [lid("people", "b")]}),
            person("b", relationships={"friends": [lid("people", "a")]}),
        ) == [(400, "undeclared-lid", "/0/data/relationships/friends/data/0/lid")]

    def test_one_that_disagrees_with_the_target(self, refused):
        operation = {**update("people", lid="a"), "ref": lid("people", "b")}

        assert refused(person("a"), person("b"), operation) == [(409, "target-mismatch", "/2/data/lid")]

    def test_one_beside_an_id_for_the_same_resource(self, refused):
        operation = {**update("people", lid="a"), "ref": id_("people", "1")}

        assert refused(person("a"), operation) == [(409, "target-mismatch", "/1/data/lid")]

    @pytest.mark.parametrize(
        ("operation", "pointer"),
        [
            (add("people", id="4", lid="a", attributes={"name": ""}), "/0/data/lid"),
            ({"op": "remove", "ref": {**id_("people", "1"), "lid": "a"}}, "/0/ref/lid"),
            (relate("add", id_("people", "1"), "friends", [{**id_("people", "1"), "lid": "a"}]), "/0/data/0/lid"),
            (add("people", lid="", attributes={"name": ""}), "/0/data/lid"),
            (add("people", lid=1, attributes={"name": ""}), "/0/data/lid"),
            (add("people", lid=None, attributes={"name": ""}), "/0/data/lid"),
        ],
    )
    def test_one_that_is_malformed(self, refused, operation, pointer):
        assert refused(operation) == [(400, "invalid-operation", pointer)]

    def test_it_is_declared_whatever_else_is_wrong_with_its_resource(self, refused):
        """Those who refer to it are not told that nobody declares it."""
        mistaken = {**person("a"), "href": "labels"}

        assert refused(mistaken, update("people", lid="a")) == [(409, "target-mismatch", "/0/data/type")]
        assert refused(add("people", lid="a"), update("people", lid="a")) == [(422, "invalid-attribute", "/0/data")]

    def test_it_does_not_replace_a_clients_id(self, refused):
        note = add("notes", {"about": id_("articles", "3")}, lid="n", attributes={"text": ""})

        assert refused(note, update("notes", lid="n")) == [(422, "client-id-required", "/0/data")]

    def test_href_addresses_none(self, refused):
        """The text in a URL is an id, and this one cannot be the id of a person."""
        assert refused(person("a"), {"op": "remove", "href": "people/a"}) == [(404, "resource-not-found", "/1/href")]


def test_a_resource_that_another_layer_keeps():
    """What a layer gets for a local id of another one has the id that was made there."""
    first, second = MemoryLayer("first"), MemoryLayer("second")
    atomic = Atomic(first, second)
    atomic.resource(schema("boats", captain=to_one("sailors")), layer="first")
    atomic.resource(schema("sailors", boats=to_many("boats")), layer="second")
    client = application(atomic).test_client()

    answer: Answer = post(
        client,
        add("sailors", lid="a"),
        add("boats", {"captain": lid("sailors", "a")}, lid="b"),
        relate("add", lid("sailors", "a"), "boats", [lid("boats", "b")]),
        update("sailors", lid="a"),
    )

    assert answer.results[1]["data"]["relationships"]["captain"] == {"data": id_("sailors", "1")}
    assert answer.results[3]["data"]["relationships"]["boats"] == {"data": [id_("boats", "1")]}
    assert stored(first).keys() == {("boats", 1)}
    assert stored(second).keys() == {("sailors", 1)}
