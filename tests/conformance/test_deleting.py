"""Both texts, "Deleting Resources"."""

from __future__ import annotations

import pytest

from flask_atomic import Atomic, hookimpl
from tests.application import add, application, id_, post, read, remove, schema, seeded, to_one
from tests.recording import RecordingLayer

OPERATION = "invalid-operation"
TAG = id_("tags", "x")


@pytest.mark.statement("A41", "A42", "A44", "B100")
@pytest.mark.parametrize("target", [{"ref": TAG}, {"href": "labels/x"}, {"href": "/api/labels/%78"}])
def test_it_is_targeted_by_ref_or_href(client, target):
    answer = post(client, {"op": "remove", **target})

    assert (answer.status, answer.response.data) == (204, b"")
    assert read(client, "tags", "x") is None
    assert read(client, "tags", "y") is not None


@pytest.mark.statement("A41")
@pytest.mark.parametrize(
    ("target", "pointer"),
    [
        ({}, ""),
        ({"data": TAG}, ""),
        ({"ref": TAG, "href": "labels/x"}, "/href"),
        ({"ref": TAG, "data": TAG}, "/data"),
        ({"ref": TAG, "data": None}, "/data"),
    ],
)
def test_it_is_not_targeted_by_both_or_neither_or_by_data(refused, target, pointer):
    assert refused({"op": "remove", **target}) == [(400, OPERATION, f"/0{pointer}")]


@pytest.mark.statement("A41")
def test_a_collection_cannot_be_deleted(refused):
    assert refused({"op": "remove", "href": "labels"}) == [(400, "invalid-href", "/0/href")]


@pytest.mark.statement("A43")
def test_its_result_is_empty(client):
    answer = post(client, remove("tags", "x"), add("tags", id="z"))

    assert answer.results[0] == {}


@pytest.mark.statement("B100")
def test_nothing_but_meta_stands_in_a_result_of_its_own():
    class Farewell:
        @hookimpl
        def atomic_result_meta(self, operation, id):
            return {"bye": id} if operation.op == "remove" else None

    assert post(seeded(Farewell()).client, remove("tags", "x")).results == [{"meta": {"bye": "x"}}]


@pytest.mark.statement("A45", "A46")
@pytest.mark.parametrize(
    ("operation", "error"),
    [
        (remove("nothing", "1"), (404, "unknown-type", "/0/ref/type")),
        ({"op": "remove", "href": "tags/x"}, (404, "unknown-href", "/0/href")),
    ],
)
def test_what_cannot_be_deleted_is_an_error(refused, operation, error):
    assert refused(operation) == [error]


@pytest.mark.statement("A45", "A46")
def test_what_others_need_is_not_deleted():
    layer = RecordingLayer("boats")
    atomic = Atomic(layer)
    atomic.resource(schema("boats", tender=to_one("boats")), restrict=[("boats", "tender")])
    client = application(atomic).test_client()
    post(client, add("boats"), add("boats", {"tender": id_("boats", "1")}))

    assert post(client, remove("boats", "1")).errors == [(409, "conflict", "/0")]
    assert set(layer.rows) == {("boats", 1), ("boats", 2)}


@pytest.mark.statement("B101")
@pytest.mark.parametrize("id", ["9", "none", "9" * 40])
def test_a_resource_that_does_not_exist(refused, id):
    assert refused(remove("people", id)) == [(404, "resource-not-found", "/0/ref/id")]
    assert refused({"op": "remove", "href": f"people/{id}"}) == [(404, "resource-not-found", "/0/href")]


@pytest.mark.statement("B101")
def test_a_resource_that_an_earlier_operation_removed(refused):
    assert refused(remove("tags", "x"), remove("tags", "x")) == [(404, "resource-not-found", "/1/ref/id")]
