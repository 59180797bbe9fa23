"""JSON:API 1.1, "Document Structure": what stands in requests and answers, and what it is called."""

from __future__ import annotations

import re

import pytest
from marshmallow_jsonapi import fields

from flask_atomic import Atomic, ConfigurationError, MemoryLayer, hookimpl
from tests.application import (
    NOTE,
    add,
    application,
    id_,
    post,
    relate,
    remove,
    schema,
    seeded,
    send,
    to_one,
    update,
)

OPERATION = "invalid-operation"
ARTICLE, PERSON, TAG = id_("articles", "3"), id_("people", "1"), id_("tags", "x")
EXTENSION = "https://jsonapi.org/ext/atomic"


class Remarks:
    @hookimpl
    def atomic_result_meta(self, operation):
        return dict(operation.meta)


@pytest.fixture(scope="module")
def documents():
    """One answer of each kind that has a document."""
    client = seeded(Remarks()).client
    article = add(
        "articles",
        {"author": PERSON, "tags": [TAG], "editors": [PERSON], "sequel": None},
        attributes={"title": "T", "options": {"any thing": [{"is": None}]}},
    )
    answers = [
        post(client, article, {**remove("tags", "y"), "meta": {"any thing": {"at": "all"}}}, update("articles", "3")),
        post(client, update("articles", "3"), update("tags", "x"), query_string="fields[articles]=&fields[tags]="),
        post(client, {}),
        post(client, add("articles", {"author": id_("people", "9")}, attributes={"title": "T"})),
        post(client, update("people", "1"), query_string="sort=name"),
        post(client, update("people", "1"), headers={"Accept": "text/html"}),
        send(client, "["),
    ]
    return [answer.response.json for answer in answers]


def results(documents):
    return [result for document in documents for result in document.get("atomic:results", ())]


def resources(documents):
    return [result["data"] for result in results(documents) if "data" in result]


def assert_linkage(value):
    for identifier in value if isinstance(value, list) else [] if value is None else [value]:
        assert identifier.keys() == {"type", "id"}
        assert all(isinstance(text, str) and text for text in identifier.values())


@pytest.mark.statement("B19", "B20", "B22", "B23", "B24", "B25", "B26")
def test_an_answer_has_the_members_that_are_defined(documents):
    assert {frozenset(document) for document in documents} == {
        frozenset({"jsonapi", "atomic:results"}),
        frozenset({"jsonapi", "errors"}),
    }
    for result in results(documents):
        assert result.keys() <= {"data", "meta"}
    for document in documents:
        for error in document.get("errors", ()):
            assert error.keys() <= {"id", "status", "code", "title", "detail", "source"}


@pytest.mark.statement("B20", "B29", "B31", "B34", "B37", "B39", "B41", "B42", "B45", "B48")
def test_a_resource_in_an_answer_has_the_members_that_are_defined(documents):
    """Primary data is never an array: each result has one resource at the most."""
    shown = resources(documents)
    assert len(shown) == 4
    for resource in shown:
        assert {"type", "id"} <= resource.keys() <= {"type", "id", "attributes", "relationships"}
        assert all(isinstance(resource[name], str) and resource[name] for name in ("type", "id"))
        assert isinstance(resource.get("attributes", {}), dict)
        for relationship in resource.get("relationships", {}).values():
            assert relationship.keys() == {"data"}
            assert_linkage(relationship["data"])


@pytest.mark.statement("B30", "B45")
@pytest.mark.parametrize("members", [[], [TAG], [TAG, id_("tags", "y")]])
def test_a_to_many_is_an_array_however_many_members_it_has(client, members):
    (result,) = post(client, update("articles", "3", {"tags": members})).results

    assert result["data"]["relationships"]["tags"] == {"data": members}


@pytest.mark.statement("B52")
def test_the_implementation_is_told(documents):
    assert [document["jsonapi"] for document in documents] == [{"version": "1.1", "ext": [EXTENSION]}] * len(documents)


@pytest.mark.statement("B50")
def test_meta_in_an_answer_is_an_object_of_any_members(documents):
    assert [result["meta"] for result in results(documents) if "meta" in result] == [{"any thing": {"at": "all"}}]


@pytest.mark.statement("B36", "B54")
def test_names_in_an_answer_are_those_that_are_allowed(documents):
    globally_allowed = re.compile(r"[A-Za-z0-9]([-_A-Za-z0-9]*[A-Za-z0-9])?")
    names = {"atomic", "results"}  # of the extension, which has the colon
    for resource in resources(documents):
        names |= {resource["type"], *resource, *resource.get("attributes", ()), *resource.get("relationships", ())}

    assert {"wordCount", "firstReader", "tags"} <= names
    assert [name for name in names if not globally_allowed.fullmatch(name)] == []


@pytest.mark.statement("B36", "B54")
@pytest.mark.parametrize("name", ["-a", "a-", "_a", "a b ", "a.b", "a/b", "a+b", "a,b", "@a", "atomic:a", "a\nb", "a?"])
def test_a_type_or_field_with_another_name_is_refused_at_start_up(name):
    for declared in (
        schema(name),
        schema("boats", a=fields.Str(data_key=name)),
        schema("boats", a=to_one("boats", data_key=name)),
    ):
        with pytest.raises(ConfigurationError, match=r"does not allow|cannot be used"):
            Atomic(MemoryLayer()).resource(declared)


@pytest.mark.statement("B38")
@pytest.mark.parametrize("name", ["id", "type", "crew"])
def test_a_second_field_of_one_name_is_refused_at_start_up(name):
    declared = schema("boats", crew=to_one("boats"), other=fields.Str(data_key=name))

    with pytest.raises(ConfigurationError, match=f"second '{name}'|collides.*'{name}'"):
        Atomic(MemoryLayer()).resource(declared)


@pytest.mark.statement("B38")
@pytest.mark.parametrize("name", ["id", "type", "author", "tags"])
def test_what_is_no_attribute_cannot_be_sent_as_one(refused, name):
    assert refused(update("articles", "3", attributes={name: "1"})) == [
        (422, "invalid-attribute", f"/0/data/attributes/{name}")
    ]


@pytest.mark.statement("B38")
def test_an_attribute_cannot_be_sent_as_a_relationship(refused):
    assert refused(update("articles", "3", {"title": None})) == [
        (422, "invalid-relationship", "/0/data/relationships/title")
    ]


@pytest.mark.statement("B54")
@pytest.mark.parametrize("name", ["Title", "TITLE", "word_count", "wordcount"])
def test_names_are_case_sensitive(refused, name):
    assert refused(update("articles", "3", attributes={name: "1"})) == [
        (422, "invalid-attribute", f"/0/data/attributes/{name}")
    ]
    assert refused({"Op": "remove", "ref": TAG}) == [(400, OPERATION, "/0")]


@pytest.mark.statement("B22", "B23")
@pytest.mark.parametrize("body", ["[]", "null", '"atomic:operations"', "1", "{}", '{"meta": {}}', '{"jsonapi": {}}'])
def test_the_root_of_a_request_is_an_object_with_operations(firm, body):
    assert send(firm.client, body).errors == [(400, "invalid-document", "")]


@pytest.mark.statement("B21", "B55")
@pytest.mark.parametrize("name", ["@note", "unknown", "other:member", "", "Op", "links"])
@pytest.mark.parametrize("value", [None, 1, {"type": "people", "id": "2"}])
def test_members_that_nobody_defines_are_ignored(client, name, value):
    more = {name: value}
    friends = {"data": [{**PERSON, **more}], **more}
    data = {**PERSON, **more, "attributes": {"name": "New"}, "relationships": {"friends": friends}}

    answer = send(
        client, {**more, "atomic:operations": [{**more, "op": "update", "ref": {**PERSON, **more}, "data": data}]}
    )

    (result,) = answer.results
    assert result["data"]["attributes"] == {"name": "New"}
    assert result["data"]["relationships"] == {"friends": {"data": [PERSON]}}


@pytest.mark.statement("B55")
def test_at_members_are_ignored_among_the_fields_too(client):
    data = {**PERSON, "attributes": {"@name": 1, "name": "New"}, "relationships": {"@friends": 1}}

    (result,) = post(client, {"op": "update", "data": data}).results

    assert result["data"]["attributes"] == {"name": "New"}


@pytest.mark.statement("B29")
@pytest.mark.parametrize("data", [[], [TAG], "tags", 1, None])
def test_the_data_of_an_operation_is_what_its_target_asks_for(refused, data):
    assert refused({"op": "update", "ref": TAG, "data": data}) == [(400, OPERATION, "/0/data")]


@pytest.mark.statement("B31")
@pytest.mark.parametrize("data", [{"id": "1"}, {"lid": "1"}, {"attributes": {"name": "N"}}, {"type": "people"}])
def test_a_resource_that_is_not_new_has_type_and_id(refused, data):
    assert refused({"op": "update", "ref": PERSON, "data": data}) == [(400, OPERATION, "/0/data")]


@pytest.mark.statement("B34")
@pytest.mark.parametrize("member", ["type", "id", "lid"])
@pytest.mark.parametrize("value", [1, 1.5, None, True, [], {}, ""])
def test_type_id_and_lid_are_strings(refused, member, value):
    identifier = {"type": "people", **({} if member == "lid" else {"id": "1"}), member: value}

    assert refused({"op": "remove", "ref": identifier}) == [(400, OPERATION, f"/0/ref/{member}")]
    assert refused({"op": "update", "data": identifier}) == [(400, OPERATION, f"/0/data/{member}")]
    assert refused(relate("add", PERSON, "friends", [identifier])) == [(400, OPERATION, f"/0/data/0/{member}")]


@pytest.mark.statement("B35")
def test_type_and_id_identify_one_resource(client):
    post(client, add("tags", id="3", attributes={"label": "a tag"}), update("articles", "3", attributes={"title": "N"}))

    answer = post(client, update("tags", "3"), update("articles", "3"), update("articles", "003"))

    tag, article, again = [result["data"] for result in answer.results]
    assert (tag["attributes"], article["attributes"]["title"]) == ({"label": "a tag"}, "N")
    assert again == article


@pytest.mark.statement("B37", "B39", "B41")
@pytest.mark.parametrize("member", ["attributes", "relationships"])
@pytest.mark.parametrize("value", [None, [], "name", 1, [{}]])
def test_attributes_and_relationships_are_objects(refused, member, value):
    assert refused({"op": "update", "data": {**PERSON, member: value}}) == [(400, OPERATION, f"/0/data/{member}")]


@pytest.mark.statement("B37")
def test_a_resource_may_have_all_of_them_and_none(client):
    whole = {
        **PERSON,
        "attributes": {"name": "New"},
        "relationships": {"friends": {"data": [], "links": {"self": "/"}, "meta": {"count": 0}}},
        "links": {"self": "/people/1"},
        "meta": {"seen": True},
    }

    answer = post(client, {"op": "update", "data": whole}, {"op": "update", "data": PERSON})

    assert answer.results[0] == answer.results[1]
    assert answer.results[0]["data"]["attributes"] == {"name": "New"}


@pytest.mark.statement("B41", "B42")
@pytest.mark.parametrize("value", [None, [], "1", 1, {}, [PERSON]])
def test_a_relationship_is_an_object(refused, value):
    data = {**ARTICLE, "relationships": {"author": value}}

    assert refused({"op": "update", "data": data}) == [(400, OPERATION, "/0/data/relationships/author")]


@pytest.mark.statement("B45", "B48")
@pytest.mark.parametrize(
    ("relationship", "linkage", "place"),
    [
        ("author", [], ""),
        ("author", [PERSON], ""),
        ("author", "1", ""),
        ("author", {"type": "people"}, ""),
        ("author", {"id": "1"}, ""),
        ("tags", None, ""),
        ("tags", TAG, ""),
        ("tags", [TAG, None], "/1"),
        ("tags", [{"type": "tags"}], "/0"),
        ("tags", [{**TAG, "lid": "a"}], "/0/lid"),
    ],
)
def test_linkage_is_null_or_an_identifier_or_an_array_of_them(refused, relationship, linkage, place):
    assert refused(update("articles", "3", {relationship: linkage})) == [
        (400, OPERATION, f"/0/data/relationships/{relationship}/data{place}")
    ]


@pytest.mark.statement("B48")
def test_an_identifier_may_have_meta(client):
    members = [{**id_("people", "2"), "meta": {"since": "2026"}}]

    assert post(client, relate("update", PERSON, "friends", members)).status == 204


@pytest.mark.statement("B46", "B47", "B51")
def test_a_link_to_itself_leads_to_what_the_application_serves():
    declared = schema("boats", name=fields.Str())
    declared.Meta.self_url, declared.Meta.self_url_kwargs = "/boats/{id}", {"id": "<id>"}
    atomic = Atomic(MemoryLayer())
    atomic.resource(declared)
    flask = application(atomic)
    flask.add_url_rule("/boats/<id>", "boat", lambda id: {"data": {"type": "boats", "id": id}})
    client = flask.test_client()

    answer = post(client, add("boats"), add("boats"))

    for result in answer.results:
        links = result["data"]["links"]
        assert links == {"self": f"/boats/{result['data']['id']}"}
        assert client.get(links["self"]).json["data"]["id"] == result["data"]["id"]


@pytest.mark.statement("B46", "B47")
def test_there_are_no_links_where_nothing_is_served(documents):
    assert len(resources(documents)) == 4
    assert [resource for resource in resources(documents) if "links" in resource] == []


@pytest.mark.statement("B53")
@pytest.mark.parametrize(
    "member", [{"ext": ["https://example.com/unknown"]}, {"profile": ["urn:x"]}, {"version": "9.9"}, {}, None]
)
def test_nothing_is_negotiated_by_what_a_request_says_of_its_implementation(client, member):
    answer = send(client, {"jsonapi": member, "atomic:operations": [update("notes", NOTE)]})

    assert answer.results[0]["data"]["id"] == NOTE
