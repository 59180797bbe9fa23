"""Atomic Operations, "Document Structure", "Operation Objects" and "Result Objects"."""

from __future__ import annotations

import pytest

from flask_atomic import hookimpl
from tests.application import add, id_, lid, post, relate, remove, seeded, send, stored, update

OPERATION = "invalid-operation"
DOCUMENT = "invalid-document"
PERSON = id_("people", "1")
NEW_TAG = {"type": "tags", "id": "z", "attributes": {"label": None}}


@pytest.fixture
def refused(firm):
    """A function that sends a document and returns its errors; nothing was changed then."""
    before = stored(firm.layer)
    yield lambda document: send(firm.client, document).errors
    assert stored(firm.layer) == before


def of(*operations):
    return {"atomic:operations": list(operations)}


@pytest.mark.statement("A1")
def test_other_top_level_members_may_be_there(client):
    answer = send(
        client,
        {
            "jsonapi": {"version": "1.1", "ext": ["https://jsonapi.org/ext/atomic"]},
            "meta": {"sent": "now"},
            "links": {"describedby": "http://example.org/"},
            **of(add("tags", id="z")),
        },
    )

    assert answer.results == [{"data": NEW_TAG}]
    assert answer.response.json["jsonapi"]["version"] == "1.1"


@pytest.mark.statement("A2")
@pytest.mark.parametrize("member", ["data", "included"])
@pytest.mark.parametrize("value", [None, [], PERSON])
def test_there_is_no_data_and_nothing_included(refused, member, value):
    assert refused({**of(remove("tags", "x")), member: value}) == [(400, DOCUMENT, f"/{member}")]


@pytest.mark.statement("A2", "A3", "A4")
@pytest.mark.parametrize(
    ("operations", "member"),
    [([add("tags", id="z"), remove("tags", "x")], "atomic:results"), ([remove("tags", "none")], "errors")],
)
def test_an_answer_has_results_or_errors_and_no_more(client, operations, member):
    assert post(client, *operations).response.json.keys() == {"jsonapi", member}


@pytest.mark.statement("A3")
@pytest.mark.parametrize("value", [[], {}, None, "add", add("tags", id="z")])
def test_there_are_one_or_more_operations_in_an_array(refused, value):
    assert refused({"atomic:operations": value}) == [(400, DOCUMENT, "/atomic:operations")]


@pytest.mark.statement("A3")
def test_operations_and_results_exclude_each_other(refused):
    assert refused({**of(remove("tags", "x")), "atomic:results": [{}]}) == [(400, DOCUMENT, "/atomic:results")]


@pytest.mark.statement("A4")
def test_operations_and_errors_exclude_each_other(refused):
    assert refused({**of(remove("tags", "x")), "errors": [{"status": "400"}]}) == [(400, DOCUMENT, "/errors")]


@pytest.mark.statement("A5")
def test_op_must_be_there(refused):
    assert refused(of({"ref": PERSON})) == [(400, OPERATION, "/0")]


@pytest.mark.statement("A6")
@pytest.mark.parametrize("op", ["", "ADD", "get", "replace", " add", None, 1, ["add"]])
def test_op_is_one_of_three_strings(refused, op):
    assert refused(of({"op": op, "ref": PERSON})) == [(400, OPERATION, "/0/op")]


@pytest.mark.statement("A7")
@pytest.mark.parametrize("op", ["add", "update", "remove"])
def test_ref_and_href_exclude_each_other(refused, op):
    operation = {"op": op, "ref": PERSON, "href": "people/1", "data": PERSON}

    assert refused(of(operation)) == [(400, OPERATION, "/0/href")]


@pytest.mark.statement("A8")
@pytest.mark.parametrize("target", [id_("people", "1"), lid("people", "a")])
def test_ref_names_a_resource_or_a_relationship_of_one_by_id_or_lid(client, target):
    answer = post(
        client,
        add("people", lid="a", attributes={"name": "A"}),
        relate("add", target, "friends", [target]),
        {"op": "update", "ref": target, "data": {**target, "attributes": {"name": "B"}}},
        {"op": "remove", "ref": target},
    )

    updated = answer.results[2]["data"]
    assert updated["attributes"] == {"name": "B"}
    assert id_("people", updated["id"]) in updated["relationships"]["friends"]["data"]


@pytest.mark.statement("A8")
@pytest.mark.parametrize(
    ("ref", "pointer"),
    [
        ({}, ""),
        ({"type": "people"}, ""),
        ({"id": "1"}, ""),
        ({"lid": "a"}, ""),
        ({"type": "people", "relationship": "friends"}, ""),
        ({"type": "people", "id": 1}, "/id"),
        ({"type": "people", "id": "1", "lid": "a"}, "/lid"),
        ({"type": "people", "id": "1", "relationship": ["friends"]}, "/relationship"),
        ("people/1", ""),
        ([PERSON], ""),
        (None, ""),
    ],
)
def test_ref_has_no_other_form(refused, ref, pointer):
    assert refused(of({"op": "remove", "ref": ref})) == [(400, OPERATION, f"/0/ref{pointer}")]


@pytest.mark.statement("A8")
def test_a_local_id_in_ref_was_assigned_by_an_earlier_operation(refused):
    later = add("people", lid="a", attributes={"name": "A"})

    assert refused(of({"op": "remove", "ref": lid("people", "a")}, later)) == [(400, "undeclared-lid", "/0/ref/lid")]


@pytest.mark.statement("A8")
@pytest.mark.parametrize("href", [None, 1, True, {"href": "people/1"}, ["people/1"]])
def test_href_is_a_string(refused, href):
    assert refused(of({"op": "remove", "href": href})) == [(400, OPERATION, "/0/href")]


@pytest.mark.statement("A8")
@pytest.mark.parametrize("href", ["http://[", "http://localhost:x/api/people/1", "people/%FF", "people/1?a=b"])
def test_href_is_a_uri_reference_to_a_target(refused, href):
    assert refused(of({"op": "remove", "href": href})) == [(400, "invalid-href", "/0/href")]


@pytest.mark.statement("A9")
def test_an_operation_may_have_meta(client):
    answer = post(client, {**add("tags", id="z"), "meta": {"why": ["because"]}}, {**remove("tags", "x"), "meta": {}})

    assert answer.results == [{"data": NEW_TAG}, {}]


@pytest.mark.statement("A9", "B50")
@pytest.mark.parametrize("meta", [None, [], "because", 1])
def test_meta_is_an_object(refused, meta):
    operation = remove("tags", "x")

    assert refused(of({**operation, "meta": meta})) == [(400, OPERATION, "/0/meta")]
    assert refused(of(add("tags", meta=meta))) == [(400, OPERATION, "/0/data/meta")]
    assert refused({**of(operation), "meta": meta}) == [(400, DOCUMENT, "/meta")]
    assert refused(of({**operation, "ref": {**operation["ref"], "meta": meta}})) == [(400, OPERATION, "/0/ref/meta")]
    author = {**id_("people", "1"), "meta": meta}
    for relationship, place in (({"data": None, "meta": meta}, "meta"), ({"data": author}, "data/meta")):
        written = {"op": "update", "data": {**id_("articles", "3"), "relationships": {"author": relationship}}}
        assert refused(of(written)) == [(400, OPERATION, f"/0/data/relationships/author/{place}")]
    linkage = relate("add", id_("people", "1"), "friends", [author])
    assert refused(of(linkage)) == [(400, OPERATION, "/0/data/0/meta")]


class Remarks:
    """Repeats in the result what the operation's own `meta` says."""

    @hookimpl
    def atomic_result_meta(self, operation):
        return dict(operation.meta)


@pytest.mark.statement("A10")
def test_a_result_may_have_data_and_meta_and_be_empty():
    remark = {"meta": {"said": "so"}}

    answer = post(
        seeded(Remarks()).client,
        {**add("tags", id="z"), **remark},
        {**remove("tags", "x"), **remark},
        update("tags", "z"),
        remove("tags", "y"),
    )

    assert answer.results == [{"data": NEW_TAG, **remark}, remark, {"data": NEW_TAG}, {}]
