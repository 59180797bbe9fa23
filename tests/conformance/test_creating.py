"""Both texts, "Creating Resources"."""

from __future__ import annotations

import pytest
from marshmallow_jsonapi import fields

from flask_atomic import Atomic, MemoryLayer, hookimpl
from tests.application import NOTE, add, application, id_, lid, post, read, schema

OPERATION = "invalid-operation"
NEW_NOTE = NOTE.replace("a", "b")


def article(relationships=None, **members):
    return add("articles", relationships, **{"attributes": {"title": "T"}, **members})


@pytest.mark.statement("A27")
@pytest.mark.parametrize(
    "href", ["labels", "labels/", "./labels", "/api/labels", "http://localhost/api/labels", "//localhost/api/labels"]
)
def test_a_collection_may_be_targeted_whose_name_is_not_the_type(client, href):
    assert post(client, {**add("tags", id="z"), "href": href}).results[0]["data"]["id"] == "z"


@pytest.mark.statement("A28", "B67")
@pytest.mark.parametrize("data", [None, [], [id_("people", "4")], "people", 1, True])
def test_the_data_is_one_resource_object(refused, data):
    assert refused({"op": "add", "data": data}) == [(400, OPERATION, "/0/data")]


@pytest.mark.statement("A28")
def test_the_data_must_be_there(refused):
    assert refused({"op": "add", "href": "labels"}) == [(400, OPERATION, "/0")]


@pytest.mark.statement("A29", "B67")
def test_the_resource_has_a_type(refused):
    assert refused({"op": "add", "href": "labels", "data": {"id": "z"}}) == [(400, OPERATION, "/0/data")]


@pytest.mark.statement("A30")
def test_the_result_has_the_resource_also_where_it_is_as_it_was_sent(client):
    operation = add("tags", id="z", attributes={"label": "Zed"})

    assert post(client, operation).results == [{"data": operation["data"]}]


@pytest.mark.statement("A31", "B31")
def test_the_result_has_the_new_resource_with_what_the_server_gave_it(client):
    (result,) = post(client, article()).results

    assert result["data"]["id"] == "4"
    assert result["data"]["attributes"] == {"title": "T", "slug": "none", "wordCount": None, "options": None}
    assert result["data"] == read(client, "articles", "4")


@pytest.mark.statement("A32", "A33")
@pytest.mark.parametrize(
    ("operation", "error"),
    [
        (article(attributes={}), (422, "invalid-attribute", "/0/data/attributes")),
        (article({"writer": None}), (422, "invalid-relationship", "/0/data/relationships/writer")),
        (article({"author": id_("tags", "x")}), (409, "type-mismatch", "/0/data/relationships/author/data/type")),
    ],
)
def test_what_cannot_be_created_is_an_error(refused, operation, error):
    assert refused(operation) == [error]


@pytest.mark.statement("B68")
@pytest.mark.parametrize("relationship", [{}, {"links": {"self": "/"}}, {"meta": {}}, None, [], id_("people", "1")])
def test_a_relationship_is_an_object_with_data(refused, relationship):
    operation = article()
    operation["data"]["relationships"] = {"author": relationship}

    assert refused(operation) == [(400, OPERATION, "/0/data/relationships/author")]


@pytest.mark.statement("B69")
def test_the_clients_id_is_taken_where_it_is_allowed(client):
    note = add("notes", {"about": id_("articles", "3")}, id=NEW_NOTE, attributes={"text": ""})

    answer = post(client, add("tags", id="z"), add("tags"), note)

    made = answer.results[1]["data"]["id"]
    assert [result["data"]["id"] for result in answer.results] == ["z", made, NEW_NOTE]
    assert made not in ("x", "y", "z")


@pytest.mark.statement("B69")
@pytest.mark.parametrize("identity", [{}, {"lid": "n"}])
def test_the_clients_id_is_missed_where_it_is_required(refused, identity):
    note = add("notes", {"about": id_("articles", "3")}, attributes={"text": ""}, **identity)

    assert refused(note) == [(422, "client-id-required", "/0/data")]


@pytest.mark.statement("B70")
def test_the_clients_id_is_refused_where_it_is_not_supported(refused):
    assert refused(article(id="9")) == [(403, "client-id-forbidden", "/0/data/id")]


@pytest.mark.statement("B74")
def test_a_creation_that_is_not_supported(made):
    atomic = Atomic(made.layer)
    atomic.resource(schema("people", name=fields.Str()), operations={"update", "remove"})

    answer = post(application(atomic).test_client(), add("people", attributes={"name": "N"}))

    assert answer.errors == [(403, "operation-not-supported", "/0/op")]


@pytest.mark.statement("B75")
def test_related_resources_that_do_not_exist(refused):
    assert refused(article({"author": id_("people", "9"), "editors": [id_("people", "1"), id_("people", "8")]})) == [
        (404, "related-resource-not-found", "/0/data/relationships/author/data"),
        (404, "related-resource-not-found", "/0/data/relationships/editors/data/1"),
    ]


@pytest.mark.statement("B35", "B76", "B78")
@pytest.mark.parametrize(
    "operation",
    [
        add("tags", id="x"),
        add("notes", {"about": id_("articles", "3")}, id=NOTE.upper(), attributes={"text": "the same UUID"}),
    ],
)
def test_an_id_that_exists(refused, operation):
    assert refused(operation) == [(409, "id-taken", "/0/data/id")]


@pytest.mark.statement("B35", "B76")
def test_an_id_that_an_earlier_operation_took(refused):
    assert refused(add("tags", id="z"), add("tags", id="z")) == [(409, "id-taken", "/1/data/id")]


@pytest.mark.statement("B77", "B78")
@pytest.mark.parametrize("href", ["people", "/api/articles/", "people/z"])
def test_a_type_that_is_not_in_the_collection(refused, href):
    assert refused({**add("tags", id="z"), "href": href}) == [(409, "target-mismatch", "/0/data/type")]


@pytest.mark.statement("B32", "B33")
def test_a_local_id_stands_for_the_new_resource_wherever_it_is_named(client):
    answer = post(
        client,
        add("people", {"friends": [lid("people", "a")]}, lid="a", attributes={"name": "A"}),
        article({"author": lid("people", "a"), "sequel": lid("articles", "a")}, lid="a"),
        {"op": "update", "ref": lid("people", "a"), "data": {**lid("people", "a"), "attributes": {"name": "B"}}},
    )

    person, written, renamed = [result["data"] for result in answer.results]
    same = {"type": "people", "id": person["id"]}
    assert person["relationships"]["friends"] == {"data": [same]}
    assert written["relationships"]["author"] == {"data": same}
    assert written["relationships"]["sequel"] == {"data": id_("articles", written["id"])}
    assert (renamed["id"], renamed["attributes"]) == (person["id"], {"name": "B"})


@pytest.mark.statement("B33")
def test_another_local_id_stands_for_nothing(refused):
    person = add("people", lid="a", attributes={"name": "A"})

    assert refused(person, article({"author": lid("people", "A")})) == [
        (400, "undeclared-lid", "/1/data/relationships/author/data/lid")
    ]
    assert refused(person, person) == [(400, "duplicate-lid", "/1/data/lid")]


@pytest.mark.statement("B74")
def test_a_layer_without_the_hook_does_not_create():
    class Reader:
        @hookimpl
        def atomic_claim(self):
            return self

    memory, reader = MemoryLayer(), Reader()
    hooks = ("exclusive", "begin", "prepare", "commit", "rollback", "parse_id", "get", "identify", "linkage")
    for hook in hooks:
        setattr(reader, f"atomic_{hook}", getattr(memory, f"atomic_{hook}"))
    atomic = Atomic(reader)
    atomic.resource(schema("boats"))

    assert post(application(atomic).test_client(), add("boats")).errors == [(403, "operation-not-supported", "/0/op")]
