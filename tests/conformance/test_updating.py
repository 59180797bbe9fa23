"""Both texts, "Updating Resources"."""

from __future__ import annotations

import pytest
from marshmallow import pre_load
from marshmallow_jsonapi import Schema, fields

from flask_atomic import Atomic, MemoryLayer
from tests.application import (
    NOTE,
    add,
    application,
    id_,
    lid,
    post,
    read,
    relate,
    schema,
    stored,
    to_many,
    update,
)
from tests.recording import RecordingLayer

OPERATION = "invalid-operation"
PERSON = id_("people", "1")


@pytest.mark.statement("A34", "A35")
@pytest.mark.parametrize("target", [{"ref": PERSON}, {"href": "people/1"}, {"href": "/api/people/1/"}, {}])
def test_it_is_targeted_by_ref_or_href_or_its_data(client, target):
    answer = post(client, {**update("people", "1", attributes={"name": "New"}), **target})

    assert answer.results[0]["data"]["attributes"] == {"name": "New"}
    assert read(client, "people", "1")["attributes"] == {"name": "New"}
    assert read(client, "people", "2")["attributes"] == {"name": "Bob"}


@pytest.mark.statement("A34")
def test_it_is_not_targeted_by_both(refused):
    both = {**update("people", "1"), "ref": PERSON, "href": "people/1"}

    assert refused(both) == [(400, OPERATION, "/0/href")]


@pytest.mark.statement("A35")
def test_no_other_operation_updates_a_resource(refused):
    """An `add` of a resource that exists replaces nothing."""
    assert refused({"op": "add", "data": {**id_("tags", "x"), "attributes": {"label": "N"}}}) == [
        (409, "id-taken", "/0/data/id")
    ]


class ShoutingSchema(Schema):
    """The server makes capitals of what is sent."""

    id = fields.Str()
    name = fields.Str()

    @pre_load
    def shout(self, values, **_):
        return {**values, "name": values["name"].upper()} if "name" in values else values

    class Meta:
        type_ = "signs"


@pytest.mark.statement("A36", "B84")
def test_the_result_shows_what_the_server_has_changed():
    atomic = Atomic(MemoryLayer())
    atomic.resource(ShoutingSchema)
    client = application(atomic).test_client()

    answer = post(client, add("signs"), update("signs", "1", attributes={"name": "stop"}))

    assert answer.results[1] == {"data": {"type": "signs", "id": "1", "attributes": {"name": "STOP"}}}


@pytest.mark.statement("A37", "B84")
@pytest.mark.parametrize("attributes", [{"label": "new"}, {}])
def test_the_result_shows_the_resource_also_where_it_is_as_it_was_sent(client, attributes):
    (result,) = post(client, update("tags", "x", attributes=attributes)).results

    assert result == {"data": {"type": "tags", "id": "x", "attributes": {"label": None, **attributes}}}


@pytest.mark.statement("A39", "A40")
@pytest.mark.parametrize(
    ("operation", "error"),
    [
        (update("people", "1", attributes={"name": None}), (422, "invalid-attribute", "/0/data/attributes/name")),
        (update("articles", "3", attributes={"slug": "s"}), (422, "invalid-attribute", "/0/data/attributes/slug")),
        (update("nothing", "1"), (404, "unknown-type", "/0/data/type")),
        (
            update("notes", NOTE, {"about": None}),
            (422, "invalid-relationship", "/0/data/relationships/about/data"),
        ),
    ],
)
def test_what_cannot_be_updated_is_an_error(refused, operation, error):
    assert refused(operation) == [error]


@pytest.mark.statement("B79")
@pytest.mark.parametrize(
    ("data", "pointer"),
    [
        (None, "/data"),
        ([PERSON], "/data"),
        ({"type": "people"}, "/data"),
        ({"id": "1"}, "/data"),
        ({"type": "people", "id": None}, "/data/id"),
    ],
)
def test_the_data_is_one_resource_with_its_identity(refused, data, pointer):
    """The target does not stand for it."""
    assert refused({"op": "update", "ref": PERSON, "data": data}) == [(400, OPERATION, f"/0{pointer}")]


@pytest.mark.statement("B79")
def test_the_identity_may_be_a_local_id(client):
    answer = post(
        client,
        add("people", lid="a", attributes={"name": "A"}),
        update("people", lid="a", attributes={"name": "B"}),
    )

    first, second = [result["data"] for result in answer.results]
    assert (second["id"], second["attributes"]) == (first["id"], {"name": "B"})


@pytest.mark.statement("B80", "B81")
def test_what_is_missing_keeps_its_value(made):
    before = stored(made.layer)

    post(made.client, update("articles", "3", {"sequel": id_("articles", "3")}, attributes={"wordCount": 1}))

    article = ("articles", 3)
    assert stored(made.layer) == before | {article: before[article] | {"word_count": 1, "sequel": 3}}


@pytest.mark.statement("B82")
def test_a_relationship_is_replaced_by_its_data(client):
    linkage = {"author": None, "tags": [id_("tags", "y")]}

    (result,) = post(client, update("articles", "3", linkage)).results

    relationships = result["data"]["relationships"]
    assert {name: relationships[name]["data"] for name in linkage} == linkage


@pytest.mark.statement("B82")
@pytest.mark.parametrize("relationship", [{}, {"links": {}}, {"meta": {}}])
def test_a_relationship_has_data(refused, relationship):
    data = {**id_("articles", "3"), "relationships": {"tags": relationship}}

    assert refused({"op": "update", "data": data}) == [(400, OPERATION, "/0/data/relationships/tags")]


@pytest.mark.statement("B83", "B85")
def test_the_whole_update_is_refused_where_a_relationship_cannot_be_replaced(made):
    atomic = Atomic(made.layer)
    declared = schema("people", name=fields.Str(), friends=to_many("people"))
    atomic.resource(declared, operations={"update", "friends.add"})
    client = application(atomic).test_client()

    answer = post(client, update("people", "1", {"friends": []}, attributes={"name": "New"}))

    assert answer.errors == [(403, "operation-not-supported", "/0/data/relationships/friends")]
    assert read(client, "people", "1")["attributes"] == {"name": "Ann"}
    assert post(client, relate("add", PERSON, "friends", [PERSON])).status == 204


@pytest.mark.statement("B85")
def test_an_update_that_is_not_supported(made):
    atomic = Atomic(made.layer)
    atomic.resource(schema("people", name=fields.Str()), operations={"add", "remove"})

    answer = post(application(atomic).test_client(), update("people", "1", attributes={"name": "New"}))

    assert answer.errors == [(403, "operation-not-supported", "/0/op")]


@pytest.mark.statement("B86")
@pytest.mark.parametrize("id", ["9", "none", "9" * 40])
def test_a_resource_that_does_not_exist(refused, id):
    assert refused(update("people", id)) == [(404, "resource-not-found", "/0/data/id")]
    assert refused({**update("people", id), "ref": id_("people", id)}) == [(404, "resource-not-found", "/0/ref/id")]
    assert refused({**update("people", id), "href": f"people/{id}"}) == [(404, "resource-not-found", "/0/href")]


@pytest.mark.statement("B87")
def test_related_resources_that_do_not_exist(refused):
    linkage = {"author": id_("people", "9"), "tags": [id_("tags", "x"), id_("tags", "q")]}

    assert refused(update("articles", "3", linkage)) == [
        (404, "related-resource-not-found", "/0/data/relationships/author/data"),
        (404, "related-resource-not-found", "/0/data/relationships/tags/data/1"),
    ]


@pytest.mark.statement("B88", "B90")
def test_a_unique_value_that_is_taken():
    layer = RecordingLayer("boats")
    atomic = Atomic(layer)
    atomic.resource(schema("boats", name=fields.Str()), unique=["name"])
    client = application(atomic).test_client()
    post(client, add("boats", attributes={"name": "Ada"}), add("boats", attributes={"name": "Eva"}))

    answer = post(client, update("boats", "2", attributes={"name": "Ada"}))

    assert answer.errors == [(409, "conflict", "/0/data/attributes/name")]
    assert answer.error_objects[0]["detail"] == "The value is taken."
    assert [row.name for row in layer.rows.values()] == ["Ada", "Eva"]


@pytest.mark.statement("B89", "B90")
@pytest.mark.parametrize(
    ("target", "pointer"),
    [
        ({"ref": id_("people", "2")}, "/0/data/id"),
        ({"ref": id_("articles", "1")}, "/0/data/type"),
        ({"href": "people/2"}, "/0/data/id"),
        ({"href": "/api/articles/1"}, "/0/data/type"),
    ],
)
def test_data_that_does_not_match_the_target(refused, target, pointer):
    operation = {**update("people", "1", attributes={"name": "New"}), **target}

    assert refused(operation) == [(409, "target-mismatch", pointer)]


@pytest.mark.statement("B89")
def test_a_local_id_does_not_match_another_nor_an_id(refused):
    new = [add("people", lid=name, attributes={"name": name}) for name in "ab"]

    for data in (lid("people", "b"), id_("people", "1")):
        assert refused(*new, {"op": "update", "ref": lid("people", "a"), "data": data}) == [
            (409, "target-mismatch", "/2/data/lid" if "lid" in data else "/2/data/id")
        ]


@pytest.mark.statement("B89")
def test_ids_are_compared_as_parsed(client):
    operation = {**update("people", "007", attributes={"name": "N"}), "ref": id_("people", "7")}
    assert post(client, operation).errors == [(404, "resource-not-found", "/0/ref/id")]

    note = {**update("notes", NOTE.upper(), attributes={"text": "N"}), "href": f"notes/{NOTE}"}
    assert post(client, note).results[0]["data"]["id"] == NOTE
