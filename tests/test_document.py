"""A request document to operations: what each becomes, and what a malformed one is told."""

from __future__ import annotations

from urllib.parse import unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flask_atomic import document
from flask_atomic.errors import RequestFailed
from flask_atomic.operations import Identifier, Operation, Ref, ResourceObject
from tests.documents import TypeOfResource, documents, json_values, mutated, texts
from tests.pointers import resolve

ids = texts.filter(bool)
TYPES = [
    TypeOfResource("articles", ids, {"title": texts}, {"author": "people"}, {"tags": "tags"}),
    TypeOfResource("people", ids, {"name": texts, "born": json_values}, to_many={"articles": "articles"}),
    TypeOfResource("tags", ids, client_ids=True),
]
COLLECTIONS = {type_.type for type_ in TYPES}


def resolve_href(href):
    """Where `href` leads: the function that the reader is given, without hosts and prefixes."""
    if "?" in href:
        raise ValueError("A target has no query.")
    match [unquote(segment) for segment in href.split("/")]:
        case [collection, *rest] if collection not in COLLECTIONS or len(rest) not in (0, 1, 3):
            return None
        case [collection]:
            return Ref(collection, None, None, None)
        case [collection, id_]:
            return Ref(collection, id_, None, None)
        case [collection, id_, "relationships", name]:
            return Ref(collection, id_, None, name)
    return None


def read(*operations, **members):
    return document.read({"atomic:operations": list(operations), **members}, resolve_href)


def errors_of(value, max_operations=None):
    """The errors of a document, none if it can be read; every pointer leads to something in it."""
    try:
        document.read(value, resolve_href, max_operations)
    except RequestFailed as failed:
        for error in failed.errors:
            resolve(value, error.pointer)
        return failed.errors
    return ()


def refusals(value, max_operations=None):
    """Status, code and pointer of each error of a document."""
    return [(error.status, error.code, error.pointer) for error in errors_of(value, max_operations)]


def refusals_of(operation):
    """The same for the one operation of a document, with pointers from the operation on."""
    root = "/atomic:operations/0"
    found = refusals({"atomic:operations": [operation]})
    assert all(pointer.startswith(root) for _, _, pointer in found)
    return [(status, code, pointer.removeprefix(root)) for status, code, pointer in found]


ARTICLE = {"type": "articles", "id": "1"}
TAG = {"type": "tags", "id": "t"}
REMOVAL = {"op": "remove", "ref": ARTICLE}
TAGS = {**ARTICLE, "relationship": "tags"}


class TestDocument:
    """Statements A2 to A4, B22 and B50, and what part 1 says of the document."""

    @pytest.mark.parametrize(
        ("value", "pointer"),
        [
            (None, ""),
            (True, ""),
            (1, ""),
            ("atomic:operations", ""),
            ([], ""),
            ([{"atomic:operations": [REMOVAL]}], ""),
            ({}, ""),
            ({"jsonapi": {"version": "1.1"}, "meta": {}}, ""),
            ({"operations": [REMOVAL]}, ""),
            ({"Atomic:Operations": [REMOVAL]}, ""),
            ({"atomic:operations": None}, "/atomic:operations"),
            ({"atomic:operations": {}}, "/atomic:operations"),
            ({"atomic:operations": REMOVAL}, "/atomic:operations"),
            ({"atomic:operations": "add"}, "/atomic:operations"),
            ({"atomic:operations": []}, "/atomic:operations"),
            ({"atomic:operations": [REMOVAL], "data": None}, "/data"),
            ({"atomic:operations": [REMOVAL], "included": []}, "/included"),
            ({"atomic:operations": [REMOVAL], "errors": []}, "/errors"),
            ({"atomic:operations": [REMOVAL], "atomic:results": [{}]}, "/atomic:results"),
            ({"data": ARTICLE}, "/data"),
            ({"atomic:operations": [REMOVAL], "meta": []}, "/meta"),
            ({"atomic:operations": [REMOVAL], "meta": None}, "/meta"),
        ],
    )
    def test_a_malformed_document_is_refused(self, value, pointer):
        assert refusals(value) == [(400, "invalid-document", pointer)]

    def test_every_member_that_must_not_be_there_is_told(self):
        value = {"data": None, "included": [], "errors": [], "atomic:results": [], "atomic:operations": [{}]}

        assert refusals(value) == [
            (400, "invalid-document", f"/{name}") for name in ("data", "included", "errors", "atomic:results")
        ]

    def test_other_members_change_nothing(self):
        """Statements A1, B21 and B55."""
        others = {"jsonapi": {"version": "1.1"}, "links": {}, "meta": {"a": 1}, "unknown": 1, "@note": []}

        assert read(REMOVAL, **others) == read(REMOVAL)

    @pytest.mark.parametrize("limit", [2, 3, None])
    def test_as_many_operations_as_are_accepted_are_read(self, limit):
        assert len(document.read({"atomic:operations": [REMOVAL] * 2}, resolve_href, limit)) == 2

    def test_more_than_that_are_not_even_looked_at(self):
        value = {"atomic:operations": [REMOVAL, {}, None]}

        assert refusals(value, max_operations=2) == [(422, "too-many-operations", "/atomic:operations")]


class TestMalformedOperations:
    @pytest.mark.parametrize("operation", [None, 1, "add", [], [REMOVAL]])
    def test_an_operation_is_an_object(self, operation):
        assert refusals_of(operation) == [(400, "invalid-operation", "")]

    @pytest.mark.parametrize(
        ("op", "pointer"),
        [
            ({}, ""),
            *(
                ({"op": op}, "/op")
                for op in (None, 1, True, "", "Add", "ADD", "add ", "replace", "get", ["add"], {"add": 1})
            ),
        ],
    )
    def test_op_is_one_of_three_strings(self, op, pointer):
        """Statements A5, A6 and A22 to A24."""
        assert refusals_of({**op, "ref": ARTICLE}) == [(400, "invalid-operation", pointer)]

    @pytest.mark.parametrize("meta", [None, [], 1, "a"])
    def test_meta_is_an_object(self, meta):
        """Statements A9 and B50."""
        assert refusals_of({**REMOVAL, "meta": meta}) == [(400, "invalid-operation", "/meta")]
        addition = {"op": "add", "data": {"type": "articles", "meta": meta}}
        assert refusals_of(addition) == [(400, "invalid-operation", "/data/meta")]
        assert refusals_of({"op": "remove", "ref": {**ARTICLE, "meta": meta}}) == [
            (400, "invalid-operation", "/ref/meta")
        ]

    @pytest.mark.parametrize("meta", [None, [], 1, "a"])
    def test_meta_of_a_relationship_is_an_object(self, meta):
        """Statements B42, B48 and B50."""
        identifier = {**TAG, "meta": meta}
        for relationship, place in [
            ({"data": [TAG], "meta": meta}, "meta"),
            ({"data": [TAG, identifier]}, "data/1/meta"),
            ({"data": identifier}, "data/meta"),
        ]:
            operation = {"op": "update", "data": {**ARTICLE, "relationships": {"tags": relationship}}}
            assert refusals_of(operation) == [(400, "invalid-operation", f"/data/relationships/tags/{place}")]
        for linkage, place in [([identifier], "data/0/meta"), (identifier, "data/meta")]:
            operation = {"op": "update", "ref": TAGS, "data": linkage}
            assert refusals_of(operation) == [(400, "invalid-operation", f"/{place}")]

    @pytest.mark.parametrize("op", ["add", "update", "remove"])
    @pytest.mark.parametrize("href", ["articles/1", "nowhere", None])
    def test_ref_and_href_exclude_each_other(self, op, href):
        """Statements A7, A34, A41, A47 and A53."""
        operation = {"op": op, "ref": ARTICLE, "href": href, "data": ARTICLE}

        assert refusals_of(operation) == [(400, "invalid-operation", "/href")]

    @pytest.mark.parametrize("op", ["add", "update", "remove"])
    @pytest.mark.parametrize(
        ("ref", "pointer"),
        [
            (None, ""),
            ([], ""),
            ("articles/1", ""),
            ([ARTICLE], ""),
            ({}, ""),
            ({"id": "1"}, ""),
            ({"lid": "a"}, ""),
            ({"type": "articles", "relationship": "tags"}, ""),
            ({"type": "articles", "relationship": None}, ""),
            ({"type": "articles", "id": "1", "lid": "a"}, "/lid"),
            ({"type": "articles", "id": 1}, "/id"),
            ({"type": "articles", "id": ""}, "/id"),
            ({"type": "articles", "id": None}, "/id"),
            ({"type": "articles", "lid": 1}, "/lid"),
            ({"type": "articles", "lid": ""}, "/lid"),
            ({"type": "articles", "lid": None}, "/lid"),
            ({"type": 1, "id": "1"}, "/type"),
            ({"type": "", "id": "1"}, "/type"),
            ({"type": None, "id": "1"}, "/type"),
            ({"type": 1, "id": 1}, "/type"),
            ({"type": "articles", "id": "1", "relationship": None}, "/relationship"),
            ({"type": "articles", "id": "1", "relationship": ""}, "/relationship"),
            ({"type": "articles", "id": "1", "relationship": ["tags"]}, "/relationship"),
        ],
    )
    def test_ref_identifies_a_resource_or_a_relationship_of_one(self, op, ref, pointer):
        """Statements A8, B34 and B48."""
        operation = {"op": op, "ref": ref, "data": ARTICLE}

        assert refusals_of(operation) == [(400, "invalid-operation", f"/ref{pointer}")]

    @pytest.mark.parametrize("op", ["update", "remove"])
    def test_only_an_add_can_name_a_collection_by_ref(self, op):
        operation = {"op": op, "ref": {"type": "articles"}, "data": ARTICLE}

        assert refusals_of(operation) == [(400, "invalid-operation", "/ref")]

    @pytest.mark.parametrize("op", ["add", "update", "remove"])
    @pytest.mark.parametrize("href", [None, 1, [], {"href": "articles/1"}])
    def test_href_is_a_string(self, op, href):
        """Statement A8."""
        operation = {"op": op, "href": href, "data": ARTICLE}

        assert refusals_of(operation) == [(400, "invalid-operation", "/href")]

    @pytest.mark.parametrize("op", ["add", "update", "remove"])
    def test_an_href_that_can_be_no_target_is_refused_in_the_words_of_the_resolver(self, op):
        value = {"atomic:operations": [{"op": op, "href": "articles?a=1", "data": ARTICLE}]}

        assert refusals(value) == [(400, "invalid-href", "/atomic:operations/0/href")]
        assert [error.detail for error in errors_of(value)] == ["A target has no query."]

    @pytest.mark.parametrize("op", ["update", "remove"])
    @pytest.mark.parametrize("data", [{}, {"data": ARTICLE}])
    def test_only_an_add_targets_a_collection(self, op, data):
        assert refusals_of({"op": op, "href": "articles", **data}) == [(400, "invalid-href", "/href")]

    @pytest.mark.parametrize("data", [{}, {"data": ARTICLE}])
    def test_a_removal_has_a_target(self, data):
        """Statement A41."""
        assert refusals_of({"op": "remove", **data}) == [(400, "invalid-operation", "")]

    @pytest.mark.parametrize("target", [{"ref": ARTICLE}, {"href": "articles/1"}])
    @pytest.mark.parametrize("data", [None, [], {}, ARTICLE, [TAG]])
    def test_the_removal_of_a_resource_has_no_data(self, target, data):
        """A forgotten `relationship` must not remove the parent."""
        assert refusals_of({"op": "remove", **target, "data": data}) == [(400, "invalid-operation", "/data")]

    @pytest.mark.parametrize(
        "operation",
        [
            {"op": "add"},
            {"op": "add", "href": "articles"},
            {"op": "add", "href": "articles/1"},
            {"op": "add", "ref": ARTICLE},
            {"op": "update"},
            {"op": "update", "href": "articles/1"},
            {"op": "update", "ref": ARTICLE},
            {"op": "add", "ref": TAGS},
            {"op": "update", "ref": TAGS},
            {"op": "remove", "ref": TAGS},
            {"op": "add", "href": "articles/1/relationships/tags"},
            {"op": "remove", "href": "articles/1/relationships/tags"},
        ],
    )
    def test_every_other_operation_has_data(self, operation):
        """Statements A22, A28, B67, B79 and B91."""
        assert refusals_of(operation) == [(400, "invalid-operation", "")]

    RESOURCES = (
        (None, ""),
        (1, ""),
        ("articles", ""),
        ([], ""),
        ([ARTICLE], ""),
        ({}, ""),
        ({"id": "1"}, ""),
        ({"attributes": {"type": "articles"}}, ""),
        ({"type": None, "id": "1"}, "/type"),
        ({"type": 1, "id": "1"}, "/type"),
        ({"type": "", "id": "1"}, "/type"),
        ({"type": ["articles"], "id": "1"}, "/type"),
        ({"type": "articles", "id": None}, "/id"),
        ({"type": "articles", "id": 1}, "/id"),
        ({"type": "articles", "id": ""}, "/id"),
        ({"type": "articles", "id": {}}, "/id"),
        ({"type": "articles", "lid": None}, "/lid"),
        ({"type": "articles", "lid": 1}, "/lid"),
        ({"type": "articles", "lid": ""}, "/lid"),
        ({"type": "articles", "id": "1", "lid": "a"}, "/lid"),
        ({**ARTICLE, "attributes": None}, "/attributes"),
        ({**ARTICLE, "attributes": []}, "/attributes"),
        ({**ARTICLE, "attributes": "title"}, "/attributes"),
        ({**ARTICLE, "relationships": None}, "/relationships"),
        ({**ARTICLE, "relationships": []}, "/relationships"),
        ({**ARTICLE, "relationships": [{"data": None}]}, "/relationships"),
    )

    @pytest.mark.parametrize(("data", "pointer"), RESOURCES)
    @pytest.mark.parametrize(
        "operation",
        [
            {"op": "add"},
            {"op": "add", "href": "articles"},
            {"op": "add", "ref": ARTICLE},
            {"op": "update"},
            {"op": "update", "href": "articles/1"},
            {"op": "update", "ref": ARTICLE},
        ],
    )
    def test_the_data_of_a_resource_is_one_resource_object(self, operation, data, pointer):
        """Statements A28, A29, B31, B34, B39, B41, B67 and B79."""
        assert refusals_of({**operation, "data": data}) == [(400, "invalid-operation", f"/data{pointer}")]

    @pytest.mark.parametrize("target", [{}, {"ref": ARTICLE}, {"href": "articles/1"}])
    def test_the_resource_to_update_is_identified_by_its_data_too(self, target):
        """Statements A34 and B79."""
        operation = {"op": "update", **target, "data": {"type": "articles", "attributes": {}}}

        assert refusals_of(operation) == [(400, "invalid-operation", "/data")]

    LINKAGES = (
        (1, ""),
        (False, ""),
        ("t", ""),
        ({}, ""),
        ({"id": "t"}, ""),
        ({"type": "tags"}, ""),
        ({"type": "tags", "attributes": {}}, ""),
        ({"type": "", "id": "t"}, "/type"),
        ({"type": "tags", "id": 7}, "/id"),
        ({"type": "tags", "id": None}, "/id"),
        ({"type": "tags", "id": ""}, "/id"),
        ({"type": "tags", "lid": 7}, "/lid"),
        ({"type": "tags", "id": "t", "lid": "a"}, "/lid"),
        ([None], "/0"),
        ([TAG, None], "/1"),
        ([TAG, "t"], "/1"),
        ([[TAG]], "/0"),
        ([TAG, TAG, {"type": "tags"}], "/2"),
        ([TAG, {"type": "tags", "id": 7}], "/1/id"),
        ([{"type": "tags", "id": "t", "lid": "a"}], "/0/lid"),
    )

    @pytest.mark.parametrize(("linkage", "pointer"), LINKAGES)
    @pytest.mark.parametrize("op", ["add", "update"])
    def test_a_relationship_of_a_resource_holds_linkage(self, op, linkage, pointer):
        """Statements B45, B48, B68 and B82; the name of the relationship is escaped in the pointer."""
        operation = {"op": op, "data": {**ARTICLE, "relationships": {"t/a~g": {"data": linkage}}}}

        assert refusals_of(operation) == [
            (400, "invalid-operation", f"/data/relationships/t~1a~0g/data{pointer}"),
        ]

    @pytest.mark.parametrize("op", ["add", "update"])
    @pytest.mark.parametrize("relationship", [None, [], [TAG], "t", {}, TAG, {"links": {}}, {"meta": {}}, {"@data": 1}])
    def test_a_relationship_of_a_resource_has_data(self, op, relationship):
        """Statements B41, B42, B68 and B82."""
        operation = {"op": op, "data": {**ARTICLE, "relationships": {"tags": relationship}}}

        assert refusals_of(operation) == [(400, "invalid-operation", "/data/relationships/tags")]

    @pytest.mark.parametrize(("linkage", "pointer"), LINKAGES)
    @pytest.mark.parametrize("op", ["add", "update", "remove"])
    @pytest.mark.parametrize("target", [{"ref": TAGS}, {"href": "articles/1/relationships/tags"}])
    def test_the_data_of_an_operation_on_a_relationship_is_linkage(self, op, target, linkage, pointer):
        """Statements B45, B48, B91 and B92. Which linkage suits which relationship is not a matter of shape."""
        operation = {"op": op, **target, "data": linkage}

        assert refusals_of(operation) == [(400, "invalid-operation", f"/data{pointer}")]

    def test_every_malformed_operation_is_told_and_each_once(self):
        value = {
            "atomic:operations": [
                REMOVAL,
                {"op": "replace", "ref": {}},
                None,
                REMOVAL,
                {"op": "update", "href": "articles", "data": ARTICLE},
                {"op": "add", "data": {"type": 1, "attributes": [], "relationships": []}},
            ]
        }

        assert refusals(value) == [
            (400, "invalid-operation", "/atomic:operations/1/op"),
            (400, "invalid-operation", "/atomic:operations/2"),
            (400, "invalid-href", "/atomic:operations/4/href"),
            (400, "invalid-operation", "/atomic:operations/5/data/type"),
        ]


class TestOperations:
    def test_an_add(self):
        data = {
            "type": "articles",
            "lid": "a",
            "attributes": {"title": "T", "x": None},
            "relationships": {
                "author": {"data": {"type": "people", "lid": "p"}},
                "editor": {"data": None},
                "tags": {"data": [TAG, TAG]},
                "notes": {"data": []},
            },
            "meta": {"m": 1},
        }
        tag = Identifier("tags", "t", None)

        assert read({"op": "add", "data": data, "meta": {"n": 2}}) == [
            Operation(
                index=0,
                op="add",
                ref=None,
                href=None,
                data=ResourceObject(
                    "articles",
                    None,
                    "a",
                    {"title": "T", "x": None},
                    {"author": Identifier("people", None, "p"), "editor": None, "tags": (tag, tag), "notes": ()},
                    {"m": 1},
                    {"type", "lid", "attributes", "relationships", "meta"},
                ),
                meta={"n": 2},
            )
        ]

    @pytest.mark.parametrize("op", ["add", "update"])
    def test_a_resource_needs_neither_attributes_nor_relationships(self, op):
        (operation,) = read({"op": op, "data": ARTICLE})

        assert operation.data == ResourceObject("articles", "1", None, {}, {}, {}, {"type", "id"})
        assert operation.meta == {}

    def test_a_new_resource_needs_no_identity(self):
        """Statements A29 and B31."""
        (operation,) = read({"op": "add", "data": {"type": "articles"}})

        assert operation.data == ResourceObject("articles", None, None, {}, {}, {}, {"type"})

    def test_a_resource_may_be_updated_by_its_local_id(self):
        (operation,) = read({"op": "update", "data": {"type": "articles", "lid": "a"}})

        assert (operation.data.id, operation.data.lid) == (None, "a")

    @pytest.mark.parametrize(
        ("target", "ref", "href"),
        [
            ({"ref": ARTICLE}, Ref("articles", "1", None, None), None),
            ({"ref": {"type": "articles", "lid": "a"}}, Ref("articles", None, "a", None), None),
            ({"href": "articles/1"}, Ref("articles", "1", None, None), "articles/1"),
            ({"href": "nowhere/1"}, None, "nowhere/1"),
        ],
    )
    def test_a_removal(self, target, ref, href):
        """Statements A8 and A41."""
        assert read({"op": "remove", **target}) == [Operation(0, "remove", ref, href, None, {})]

    @pytest.mark.parametrize("op", ["add", "update", "remove"])
    @pytest.mark.parametrize(
        ("target", "ref"),
        [
            ({"ref": TAGS}, Ref("articles", "1", None, "tags")),
            ({"ref": {"type": "articles", "lid": "a", "relationship": "tags"}}, Ref("articles", None, "a", "tags")),
            ({"href": "articles/1/relationships/tags"}, Ref("articles", "1", None, "tags")),
        ],
    )
    @pytest.mark.parametrize(
        ("data", "linkage"),
        [
            (None, None),
            ([], ()),
            (TAG, Identifier("tags", "t", None)),
            ([TAG, {"type": "tags", "lid": "a"}], (Identifier("tags", "t", None), Identifier("tags", None, "a"))),
        ],
    )
    def test_an_operation_on_a_relationship(self, op, target, ref, data, linkage):
        """Statements A47, A48 and A53 to A56."""
        (operation,) = read({"op": op, **target, "data": data})

        assert (operation.op, operation.ref, operation.data) == (op, ref, linkage)

    def test_an_add_may_target_its_collection(self):
        """Statement A27."""
        (operation,) = read({"op": "add", "href": "articles", "data": {"type": "articles"}})

        assert (operation.ref, operation.href) == (Ref("articles", None, None, None), "articles")

    @pytest.mark.parametrize("op", ["add", "update", "remove"])
    @pytest.mark.parametrize("data", [{}, {"data": "anything"}])
    def test_where_the_href_leads_nowhere_the_data_is_not_judged(self, op, data):
        """Whether it should be a resource or linkage cannot be told; the answer is the 404 of a later step."""
        (operation,) = read({"op": op, "href": "nowhere", **data})

        assert (operation.ref, operation.href, operation.data) == (None, "nowhere", None)

    def test_at_members_of_attributes_and_relationships_are_no_fields(self):
        """Statement B55: even one that would be malformed as a relationship."""
        data = {**ARTICLE, "attributes": {"@a": 1, "a": 2}, "relationships": {"@b": 1, "b": {"data": None, "@c": 3}}}
        (operation,) = read({"op": "update", "data": data})

        assert (operation.data.attributes, operation.data.relationships) == ({"a": 2}, {"b": None})

    def test_an_operation_points_at_its_members(self):
        _, operation = read(REMOVAL, REMOVAL)

        assert operation.pointer() == "/atomic:operations/1"
        assert operation.pointer("ref", "a/b") == "/atomic:operations/1/ref/a~1b"


def written(operation):
    """The operation object that says what `operation` says."""
    told = {"op": operation.op, "meta": operation.meta}
    if operation.href is not None:
        told["href"] = operation.href
    elif operation.ref is not None:
        told["ref"] = present(operation.ref)
    if isinstance(operation.data, ResourceObject):
        relationships = {name: {"data": linkage(value)} for name, value in operation.data.relationships.items()}
        told["data"] = present(operation.data._replace(members=None)) | {"relationships": relationships}
    elif operation.ref is not None and operation.ref.relationship is not None:
        told["data"] = linkage(operation.data)
    return told


def present(members):
    return {name: value for name, value in members._asdict().items() if value is not None}


def linkage(value):
    if value is None:
        return None
    return present(value) if isinstance(value, Identifier) else [present(member) for member in value]


def in_full(operation):
    """The operation object with the members that may be left out."""
    told = {"meta": {}, **operation}
    if "ref" in told:
        told["ref"] = {"meta": {}, **told["ref"]}
    if "data" in told and "relationship" not in told.get("ref", {}) and "/relationships/" not in told.get("href", ""):
        told["data"] = {"attributes": {}, "relationships": {}, "meta": {}, **told["data"]}
    return told


def with_foreign_members(value):
    """The document with members that mean nothing in each of its objects, but for values that are the client's own."""
    if isinstance(value, list):
        return [with_foreign_members(member) for member in value]
    if not isinstance(value, dict):
        return value
    own = ("attributes", "meta")
    members = {name: member if name in own else with_foreign_members(member) for name, member in value.items()}
    if "relationships" in members:
        members["relationships"].pop("unknown")  # there it would be the name of a relationship
    return members | {"@note": 1, "unknown": [{}]}


def understood(value):
    """The operations of a document, but for the names of members that were there to be understood or not."""
    return [
        operation._replace(data=operation.data._replace(members=()))
        if isinstance(operation.data, ResourceObject)
        else operation
        for operation in document.read(value, resolve_href)
    ]


class TestLaws:
    @given(documents(TYPES))
    def test_a_valid_document_is_read_and_nothing_of_it_is_lost(self, value):
        operations = document.read(value, resolve_href)

        assert [operation.index for operation in operations] == list(range(len(operations)))
        assert [written(operation) for operation in operations] == [
            in_full(operation) for operation in value["atomic:operations"]
        ]

    @given(documents(TYPES))
    def test_members_that_mean_nothing_change_nothing(self, value):
        """Statements B21 and B55."""
        assert understood(with_foreign_members(value)) == understood(value)

    @given(mutated(documents(TYPES)) | json_values | st.builds(lambda value: {"atomic:operations": value}, json_values))
    @settings(max_examples=300)
    def test_any_document_is_read_or_refused_with_pointers_into_it(self, value):
        """Statements A21 to A24 and B111."""
        for error in errors_of(value):
            assert error.status == 400
            assert error.code in {"invalid-document", "invalid-operation", "invalid-href"}

    @given(st.lists(mutated(documents(TYPES, max_operations=1)), min_size=2, max_size=4))
    def test_each_operation_is_judged_by_itself(self, values):
        """So the order of operations, and what else is malformed, changes no verdict."""
        operations = [
            operation
            for value in values
            if isinstance(value, dict) and isinstance(value.get("atomic:operations"), list)
            for operation in value["atomic:operations"]
        ]

        assert verdict(operations) == [
            (index, *told) for index, operation in enumerate(operations) for _, *told in verdict([operation])
        ]


def verdict(operations):
    """Index, pointer below the operation, and code, of each operation that is malformed."""
    told = errors_of({"atomic:operations": operations}) if operations else ()
    return [(int(error.pointer.split("/")[2]), error.pointer.split("/")[3:], error.code) for error in told]
