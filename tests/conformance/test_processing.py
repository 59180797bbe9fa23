"""Atomic Operations, "Processing" and "Processing Errors"; what JSON:API 1.1 says of all writing requests."""

from __future__ import annotations

import pytest
from marshmallow_jsonapi import fields

from flask_atomic import Atomic, Conflict
from tests.application import (
    Answer,
    add,
    application,
    id_,
    lid,
    post,
    read,
    relate,
    remove,
    schema,
    seeded,
    stored,
    update,
)
from tests.recording import RecordingLayer

ARTICLE = id_("articles", "3")
PERSON = id_("people", "1")


@pytest.fixture(params=[True, False], ids=["batched", "strict"])
def made(request):
    return seeded(ATOMIC_BATCH=request.param)


@pytest.mark.statement("A11")
@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
def test_operations_are_sent_by_post_alone(client, method):
    response = client.open("/api/operations", method=method, json={"atomic:operations": [remove("tags", "x")]})

    assert Answer(None, response).errors == [(405, "method-not-allowed", None)]
    assert "POST" in response.headers["Allow"]
    assert read(client, "tags", "x") is not None


@pytest.mark.statement("A12")
def test_operations_are_performed_in_their_order(client):
    names = ["a", "b", "c"]

    answer = post(
        client,
        *(update("people", "1", attributes={"name": name}) for name in names),
        relate("add", ARTICLE, "tags", [id_("tags", "y")]),
        relate("update", ARTICLE, "tags", [id_("tags", "y")]),
        relate("add", ARTICLE, "tags", [id_("tags", "x")]),
    )

    assert [result["data"]["attributes"]["name"] for result in answer.results[:3]] == names
    assert read(client, "people", "1")["attributes"] == {"name": "c"}
    assert read(client, "articles", "3")["relationships"]["tags"]["data"] == [id_("tags", "y"), id_("tags", "x")]


@pytest.mark.statement("A13", "A14", "B66")
@pytest.mark.parametrize("position", range(6))
def test_whichever_operation_fails_nothing_has_changed(made, position):
    before = stored(made.layer)
    operations = [
        add("people", lid="a", attributes={"name": "A"}),
        update("articles", "3", {"author": lid("people", "a")}, attributes={"title": "Changed"}),
        relate("update", ARTICLE, "editors", []),
        remove("tags", "x"),
        add("tags", id="z"),
    ]
    operations.insert(position, remove("people", "9"))

    assert post(made.client, *operations).errors == [(404, "resource-not-found", f"/{position}/ref/id")]
    assert stored(made.layer) == before


@pytest.mark.statement("A13", "A14", "A20")
def test_neither_has_anything_where_the_commit_fails():
    layer = RecordingLayer("boats")
    layer.failures["commit"] = Conflict("Somebody was faster.")
    atomic = Atomic(layer)
    atomic.resource(schema("boats", name=fields.Str()))

    answer = post(application(atomic).test_client(), add("boats"), add("boats"))

    assert answer.errors == [(409, "conflict", None)]
    assert (layer.rows, layer.open) == ({}, [])


@pytest.mark.statement("A15", "A16", "A17", "A18")
def test_a_success_has_a_result_for_each_operation_in_its_place(client):
    answer = post(
        client,
        add("tags", id="z"),
        remove("tags", "y"),
        update("people", "1"),
        relate("update", ARTICLE, "author", None),
        update("tags", "x"),
    )

    assert answer.response.status_code == 200
    results = answer.response.json["atomic:results"]
    assert [result.get("data", {}).get("id") for result in results] == ["z", None, "1", None, "x"]


@pytest.mark.statement("A12", "A18")
def test_each_result_shows_the_resource_as_its_own_operation_left_it(client):
    answer = post(
        client,
        add("people", lid="a", attributes={"name": "a"}),
        update("people", lid="a", attributes={"name": "b"}),
        relate("add", lid("people", "a"), "friends", [PERSON]),
        update("people", lid="a"),
        {"op": "remove", "ref": lid("people", "a")},
    )

    names = [result["data"]["attributes"]["name"] if result else None for result in answer.results]
    assert names == ["a", "b", None, "b", None]
    friends = [result["data"]["relationships"]["friends"]["data"] for result in answer.results if result]
    assert friends == [[], [], [PERSON]]


@pytest.mark.statement("A19")
def test_there_is_no_document_where_no_result_has_data(client):
    answer = post(client, remove("tags", "y"), relate("update", ARTICLE, "author", None))

    assert (answer.status, answer.response.data) == (204, b"")
    assert "Content-Type" not in answer.response.headers


@pytest.mark.statement("A20", "A21", "A26", "B105")
def test_a_failure_is_a_document_of_errors_that_point_at_what_was_sent(client):
    linkage = {"author": id_("people", "9"), "tags": [id_("tags", "x"), id_("tags", "q")]}

    answer = post(client, remove("tags", "y"), update("articles", "3", linkage))

    assert answer.status == 404
    assert answer.errors == [
        (404, "related-resource-not-found", "/1/data/relationships/author/data"),
        (404, "related-resource-not-found", "/1/data/relationships/tags/data/1"),
    ]


@pytest.mark.statement("A22", "A23", "A24")
@pytest.mark.parametrize(
    ("operation", "pointer"),
    [
        ({}, ""),
        ("add", ""),
        ({"op": "create", "data": PERSON}, "/op"),
        ({"op": "add"}, ""),
        ({"op": "add", "data": [PERSON]}, "/data"),
        ({"op": "update", "data": {"type": "people"}}, "/data"),
        ({"op": "remove"}, ""),
        ({"op": "remove", "ref": {"type": "people"}}, "/ref"),
        ({"op": "update", "ref": {**PERSON, "relationship": "friends"}}, ""),
    ],
)
def test_a_malformed_operation_is_told_at_it(client, operation, pointer):
    answer = post(client, remove("tags", "x"), operation)

    assert answer.errors == [(400, "invalid-operation", f"/1{pointer}")]
    assert answer.status == 400


@pytest.mark.statement("A25", "A26", "B102")
@pytest.mark.parametrize(
    ("operation", "error"),
    [
        (add("nothing"), (404, "unknown-type", "/0/data/type")),
        (add("people", id="9", attributes={"name": "N"}), (403, "client-id-forbidden", "/0/data/id")),
        (add("tags", id="x"), (409, "id-taken", "/0/data/id")),
        (add("people", attributes={"name": 1}), (422, "invalid-attribute", "/0/data/attributes/name")),
    ],
)
def test_what_is_valid_but_cannot_be_processed_has_a_closer_code(client, operation, error):
    answer = post(client, operation)

    assert answer.errors == [error]
    assert answer.error_objects[0]["detail"] != answer.error_objects[0]["title"]


@pytest.mark.statement("B65")
@pytest.mark.parametrize("permitted", ["add", "update", "remove"])
def test_what_may_be_done_is_decided_for_each_type(permitted):
    made = seeded()
    atomic = Atomic(made.layer, name="guarded")
    atomic.resource(schema("tags", label=fields.Str()), operations={permitted}, id_type=str)
    client = application(atomic).test_client()

    for operation in (add("tags"), update("tags", "x"), remove("tags", "x")):
        answer = post(client, operation)
        if operation["op"] == permitted:
            assert answer.status in (200, 204)
        else:
            assert answer.errors == [(403, "operation-not-supported", "/0/op")]
