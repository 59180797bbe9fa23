"""Atomic Operations, "Updating To-One Relationships" and "To-Many"; JSON:API 1.1, "Updating Relationships"."""

from __future__ import annotations

import pytest

from flask_atomic import Atomic
from tests.application import (
    add,
    application,
    id_,
    lid,
    post,
    read,
    relate,
    schema,
    seeded,
    to_many,
    to_one,
    update,
)

OPERATION = "invalid-operation"
ARTICLE = id_("articles", "3")
ANN, BOB, NOBODY = id_("people", "1"), id_("people", "2"), id_("people", "9")
X, Y = id_("tags", "x"), id_("tags", "y")


@pytest.fixture(params=[True, False], ids=["batched", "strict"])
def made(request):
    return seeded(ATOMIC_BATCH=request.param)


@pytest.fixture(scope="module", params=[True, False], ids=["batched", "strict"])
def firm(request):
    return seeded(ATOMIC_BATCH=request.param)


def linkage(client, relationship):
    return read(client, "articles", "3")["relationships"][relationship]["data"]


def by_ref(op, relationship, data):
    return relate(op, ARTICLE, relationship, data)


def by_href(op, relationship, data):
    return {"op": op, "href": f"/api/articles/3/relationships/{relationship}", "data": data}


# ------------------------------------------------------------------------------------------------------------ to-one


@pytest.mark.statement("A47", "A48", "A50", "B91", "B98")
@pytest.mark.parametrize("operation", [by_ref, by_href])
@pytest.mark.parametrize("data", [BOB, ANN, None])
def test_a_to_one_is_updated_by_ref_or_href(client, operation, data):
    answer = post(client, operation("update", "author", data))

    assert (answer.status, answer.response.data) == (204, b"")
    assert linkage(client, "author") == data


@pytest.mark.statement("A49")
def test_the_result_for_a_to_one_is_empty(client):
    assert post(client, by_ref("update", "author", BOB), update("articles", "3")).results[0] == {}


@pytest.mark.statement("A47", "A53")
@pytest.mark.parametrize(("relationship", "data"), [("author", BOB), ("tags", [Y])])
def test_a_relationship_is_not_targeted_by_both(refused, relationship, data):
    both = {**by_ref("update", relationship, data), **by_href("update", relationship, data)}

    assert refused(both) == [(400, OPERATION, "/0/href")]


@pytest.mark.statement("A48", "B99")
@pytest.mark.parametrize("op", ["add", "remove"])
@pytest.mark.parametrize("data", [ANN, None])
def test_a_to_one_has_no_other_operation(refused, op, data):
    assert refused(by_ref(op, "author", data)) == [(403, "operation-not-supported", "/0/op")]


@pytest.mark.statement("A48", "B91")
@pytest.mark.parametrize("data", [[], [BOB], "2", 2, True, {}, {"type": "people"}, {"id": "2"}])
def test_the_data_of_a_to_one_is_an_identifier_or_null(refused, data):
    assert refused(by_ref("update", "author", data)) == [(400, OPERATION, "/0/data")]


@pytest.mark.statement("B91", "B92")
@pytest.mark.parametrize("relationship", ["author", "tags"])
def test_the_data_of_a_relationship_must_be_there(refused, relationship):
    target = {**ARTICLE, "relationship": relationship}

    assert refused({"op": "update", "ref": target}) == [(400, OPERATION, "/0")]


@pytest.mark.statement("A51", "A52")
@pytest.mark.parametrize(
    ("operation", "error"),
    [
        (by_ref("update", "author", NOBODY), (404, "related-resource-not-found", "/0/data")),
        (by_ref("update", "author", X), (409, "type-mismatch", "/0/data/type")),
        (by_ref("update", "writer", None), (404, "unknown-relationship", "/0/ref/relationship")),
        (by_href("update", "writer", None), (404, "unknown-relationship", "/0/href")),
        (relate("update", id_("articles", "9"), "author", None), (404, "resource-not-found", "/0/ref/id")),
    ],
)
def test_a_to_one_that_cannot_be_updated_is_an_error(refused, operation, error):
    assert refused(operation) == [error]


# ----------------------------------------------------------------------------------------------------------- to-many


@pytest.mark.statement("A53", "A54", "A55", "A56", "A58", "B98")
@pytest.mark.parametrize("operation", [by_ref, by_href])
@pytest.mark.parametrize(("op", "data", "members"), [("add", [Y], [X, Y]), ("update", [Y], [Y]), ("remove", [X], [])])
def test_members_are_added_replaced_and_removed(client, operation, op, data, members):
    answer = post(client, operation(op, "tags", data))

    assert (answer.status, answer.response.data) == (204, b"")
    assert linkage(client, "tags") == members


@pytest.mark.statement("A57")
@pytest.mark.parametrize("op", ["add", "update", "remove"])
def test_the_result_for_a_to_many_is_empty(client, op):
    assert post(client, by_ref(op, "tags", [Y]), update("articles", "3")).results[0] == {}


@pytest.mark.statement("A59", "A60")
@pytest.mark.parametrize("op", ["add", "update", "remove"])
@pytest.mark.parametrize(
    ("target", "relationship", "data", "error"),
    [
        (ARTICLE, "tags", [X, ANN], (409, "type-mismatch", "/0/data/1/type")),
        (ARTICLE, "labels", [], (404, "unknown-relationship", "/0/ref/relationship")),
        (id_("articles", "9"), "tags", [], (404, "resource-not-found", "/0/ref/id")),
    ],
)
def test_a_to_many_that_cannot_be_updated_is_an_error(refused, op, target, relationship, data, error):
    assert refused(relate(op, target, relationship, data)) == [error]


@pytest.mark.statement("B92")
@pytest.mark.parametrize("op", ["add", "update", "remove"])
@pytest.mark.parametrize(
    ("data", "pointer"),
    [(X, ""), (None, ""), ("x", ""), ({}, ""), ([X, None], "/1"), ([[X]], "/0"), ([{"type": "tags"}], "/0")],
)
def test_the_data_of_a_to_many_is_an_array_of_identifiers(refused, op, data, pointer):
    assert refused(by_ref(op, "tags", data)) == [(400, OPERATION, f"/0/data{pointer}")]


@pytest.mark.statement("B93")
@pytest.mark.parametrize("members", [[], [Y], [Y, X], [X, Y]])
def test_every_member_is_replaced(client, members):
    post(client, by_ref("update", "tags", members))

    assert linkage(client, "tags") == members


@pytest.mark.statement("B93")
def test_nothing_is_replaced_where_a_member_cannot_be_found(refused):
    assert refused(by_ref("update", "tags", [Y, id_("tags", "q"), id_("tags", "r")])) == [
        (404, "related-resource-not-found", "/0/data/1"),
        (404, "related-resource-not-found", "/0/data/2"),
    ]


@pytest.mark.statement("B94", "B95")
@pytest.mark.parametrize("data", [[], [X], [X, X], [Y, X, Y]])
def test_members_are_never_there_twice(client, data):
    operation = by_ref("add", "tags", data)

    assert post(client, operation, operation).status == 204
    assert linkage(client, "tags") == ([X, Y] if Y in data else [X])


@pytest.mark.statement("B96")
@pytest.mark.parametrize("data", [[], [Y], [id_("tags", "q")], [id_("tags", "q"), Y, Y]])
def test_members_that_are_missing_are_removed_with_success(client, data):
    operation = by_ref("remove", "tags", data)

    assert post(client, operation, operation).status == 204
    assert linkage(client, "tags") == [X]


@pytest.mark.statement("B96")
def test_only_members_are_removed_and_no_resources(client):
    post(client, by_ref("remove", "tags", [X]))

    assert linkage(client, "tags") == []
    assert read(client, "tags", "x") is not None


@pytest.mark.statement("B93", "B96", "B99")
@pytest.mark.parametrize("permitted", ["tags.add", "tags.update", "tags.remove", "author.update"])
def test_operations_on_relationships_that_are_not_supported(made, permitted):
    atomic = Atomic(made.layer)
    declared = schema("articles", author=to_one("people"), tags=to_many("tags"))
    atomic.resource(declared, operations={permitted})
    atomic.resource(schema("people"), operations=())
    atomic.resource(schema("tags"), operations=(), id_type=str)
    client = application(atomic).test_client()

    for op in ("add", "update", "remove"):
        for relationship, data in (("tags", [X]), ("author", ANN)):
            answer = post(client, by_ref(op, relationship, data))
            if f"{relationship}.{op}" == permitted:
                assert answer.status == 204
            else:
                assert answer.errors == [(403, "operation-not-supported", "/0/op")]


@pytest.mark.statement("B48")
def test_members_may_be_named_by_local_ids(client):
    answer = post(
        client,
        add("people", lid="a", attributes={"name": "A"}),
        by_ref("update", "author", lid("people", "a")),
        add("tags", lid="b", attributes={"label": "B"}),
        by_ref("add", "tags", [lid("tags", "b")]),
    )

    person, tag = answer.results[0]["data"]["id"], answer.results[2]["data"]["id"]
    assert linkage(client, "author") == id_("people", person)
    assert linkage(client, "tags") == [X, id_("tags", tag)]
