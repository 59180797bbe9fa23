"""Every operation on resources and relationships over HTTP: what it answers, what is stored, and what it is refused."""

from __future__ import annotations

import json
import pickle

import pytest

from flask_atomic import hookimpl
from tests.application import NOTE, add, id_, lid, post, read, relate, remove, seeded, stored, update

EDITORS = ("articles", 3)
NOTE_B = NOTE.replace("a", "b")
"""An id that no note has, with letters."""


@pytest.fixture
def made():
    return seeded()


@pytest.fixture(scope="module")
def firm():
    """The same, for operations that change nothing."""
    return seeded()


@pytest.fixture
def client(made):
    return made.client


def editors(made):
    """The ids of the editors of the article, a relationship that the resource does not show."""
    return stored(made.layer)[EDITORS]["edited_by"]


def refused(made, *operations):
    """The errors of the operations, which have changed nothing, in the order of their pointers."""
    before = stored(made.layer)
    answer = post(made.client, *operations)
    assert stored(made.layer) == before
    return sorted(answer.errors, key=lambda error: error[2])


class TestAddingAResource:
    """Statements A27 to A33 and B67 to B78."""

    def test_the_result_is_the_resource_with_its_id(self, client):
        (result,) = post(client, add("people", attributes={"name": "Cid"})).results

        assert result == {
            "data": {
                "type": "people",
                "id": "4",
                "attributes": {"name": "Cid"},
                "relationships": {"friends": {"data": []}},
            }
        }
        assert read(client, "people", "4") == result["data"]

    def test_relationships_are_set(self, client):
        linkage = {
            "author": id_("people", "2"),
            "tags": [id_("tags", "y"), id_("tags", "x"), id_("tags", "y")],
            "sequel": None,
        }

        answer = post(client, add("articles", linkage, attributes={"title": "Second"}))

        assert answer.results[0]["data"]["relationships"] == {
            "author": {"data": id_("people", "2")},
            "tags": {"data": [id_("tags", "y"), id_("tags", "x")]},
            "sequel": {"data": None},
            "firstReader": {"data": None},
        }

    @pytest.mark.parametrize(
        "target",
        [
            {"href": "labels"},
            {"href": "/api/labels/"},
            {"href": "http://localhost/api/labels"},
            {"href": "labels/z"},
            {"ref": id_("tags", "z")},
        ],
    )
    def test_a_target_may_say_the_same_as_the_data(self, client, target):
        assert post(client, {**add("tags", id="z"), **target}).results[0]["data"]["id"] == "z"

    @pytest.mark.parametrize("target", [{"ref": id_("notes", NOTE_B.upper())}, {"href": f"notes/{NOTE_B.upper()}"}])
    def test_ids_in_the_target_are_compared_as_parsed(self, client, target):
        operation = {**add("notes", {"about": id_("articles", "3")}, id=NOTE_B, attributes={"text": ""}), **target}

        assert post(client, operation).results[0]["data"]["id"] == NOTE_B

    def test_the_target_may_repeat_a_local_id(self, client):
        operation = {**add("people", lid="a", attributes={"name": "Cid"}), "ref": lid("people", "a")}

        assert post(client, operation).results[0]["data"]["id"] == "4"

    @pytest.mark.parametrize(
        ("target", "pointer"),
        [
            ({"href": "people"}, "/0/data/type"),
            ({"href": "people/z"}, "/0/data/type"),
            ({"ref": id_("nothing", "z")}, "/0/data/type"),
            ({"href": "labels/x"}, "/0/data/id"),
            ({"ref": id_("tags", "x")}, "/0/data/id"),
            ({"ref": lid("tags", "z")}, "/0/data/id"),
        ],
    )
    def test_a_target_that_says_something_else_is_a_conflict(self, firm, target, pointer):
        assert refused(firm, {**add("tags", id="z"), **target}) == [(409, "target-mismatch", pointer)]

    @pytest.mark.parametrize(
        ("data", "pointer"),
        [
            ({"type": "people", "attributes": {"name": "A"}}, "/0/data"),
            ({"type": "people", "attributes": {"name": "A"}, "lid": "b"}, "/0/data/lid"),
        ],
    )
    def test_a_target_that_says_more_is_a_conflict(self, firm, data, pointer):
        operation = {"op": "add", "ref": lid("people", "a"), "data": data}

        assert refused(firm, operation) == [(409, "target-mismatch", pointer)]

    @pytest.mark.parametrize(
        ("data", "errors"),
        [
            (add("nothing"), [(404, "unknown-type", "/0/data/type")]),
            (add("people", attributes={"name": 1}), [(422, "invalid-attribute", "/0/data/attributes/name")]),
            (add("people", attributes={}), [(422, "invalid-attribute", "/0/data/attributes")]),
            (add("people"), [(422, "invalid-attribute", "/0/data")]),
            (
                add("articles", attributes={"title": "", "slug": "s", "wordCount": "many", "a/b~": 1}),
                [
                    (422, "invalid-attribute", "/0/data/attributes/slug"),
                    (422, "invalid-attribute", "/0/data/attributes/a~1b~0"),
                    (422, "invalid-attribute", "/0/data/attributes/title"),
                    (422, "invalid-attribute", "/0/data/attributes/wordCount"),
                ],
            ),
            (
                add("articles", {"author": id_("people", "77")}, attributes={"title": "T"}),
                [(404, "related-resource-not-found", "/0/data/relationships/author/data")],
            ),
            (
                add("articles", {"author": id_("people", "ann")}, attributes={"title": "T"}),
                [(404, "related-resource-not-found", "/0/data/relationships/author/data")],
            ),
            (
                add(
                    "articles",
                    {"tags": [id_("tags", "x"), id_("tags", "q"), id_("tags", "r")]},
                    attributes={"title": "T"},
                ),
                [
                    (404, "related-resource-not-found", "/0/data/relationships/tags/data/1"),
                    (404, "related-resource-not-found", "/0/data/relationships/tags/data/2"),
                ],
            ),
            (
                add("articles", {"author": id_("tags", "x"), "tags": [id_("no", "1")]}, attributes={"title": "T"}),
                [
                    (409, "type-mismatch", "/0/data/relationships/author/data/type"),
                    (409, "type-mismatch", "/0/data/relationships/tags/data/0/type"),
                ],
            ),
            (
                add("articles", {"writer": None, "firstReader": None}, attributes={"title": "T"}),
                [
                    (422, "invalid-relationship", "/0/data/relationships/writer"),
                    (422, "invalid-relationship", "/0/data/relationships/firstReader"),
                ],
            ),
            (
                add("articles", {"author": [], "tags": None, "editors": id_("people", "1")}, attributes={"title": "T"}),
                [
                    (400, "invalid-operation", "/0/data/relationships/author/data"),
                    (400, "invalid-operation", "/0/data/relationships/tags/data"),
                    (400, "invalid-operation", "/0/data/relationships/editors/data"),
                ],
            ),
            (
                add("notes", {"about": None}, id=NOTE, attributes={"text": ""}),
                [(422, "invalid-relationship", "/0/data/relationships/about/data")],
            ),
            (
                add("notes", {}, id=NOTE, attributes={"text": ""}),
                [(422, "invalid-relationship", "/0/data/relationships")],
            ),
            (add("notes", id=NOTE, attributes={"text": ""}), [(422, "invalid-relationship", "/0/data")]),
        ],
    )
    def test_what_is_wrong_is_told_where_it_is(self, firm, data, errors):
        assert refused(firm, data) == sorted(errors, key=lambda error: error[2])


class TestClientIds:
    """Statements B69, B70 and B76."""

    def test_an_allowed_one_is_taken(self, client):
        assert post(client, add("tags", id="new")).results[0]["data"]["id"] == "new"

    def test_where_one_is_allowed_there_need_be_none(self, client):
        """An id that a client has taken is not given again."""
        post(client, *(add("tags", id=str(number)) for number in range(4, 8)))

        assert post(client, add("tags")).results[0]["data"]["id"] == "8"

    def test_it_is_compared_as_parsed(self, client):
        note = add(
            "notes", {"about": id_("articles", "003")}, id=NOTE.replace("a", "b").upper(), attributes={"text": ""}
        )

        answer = post(client, note)

        assert answer.results[0]["data"]["id"] == NOTE.replace("a", "b")

    @pytest.mark.parametrize(
        ("operation", "error"),
        [
            (add("people", id="9", attributes={"name": "A"}), (403, "client-id-forbidden", "/0/data/id")),
            (add("tags", id="x"), (409, "id-taken", "/0/data/id")),
            (
                add("notes", {"about": id_("articles", "3")}, id=NOTE.upper(), attributes={"text": ""}),
                (409, "id-taken", "/0/data/id"),
            ),
            (
                add("notes", {"about": id_("articles", "3")}, id="1", attributes={"text": ""}),
                (422, "invalid-id", "/0/data/id"),
            ),
            (
                add("notes", {"about": id_("articles", "3")}, attributes={"text": ""}),
                (422, "client-id-required", "/0/data"),
            ),
            (
                add("notes", {"about": id_("articles", "3")}, lid="n", attributes={"text": ""}),
                (422, "client-id-required", "/0/data"),
            ),
        ],
    )
    def test_one_that_is_not_right_is_refused(self, firm, operation, error):
        assert refused(firm, operation) == [error]

    @pytest.mark.parametrize("batch", [True, False])
    def test_one_cannot_be_given_twice(self, batch):
        made = seeded(ATOMIC_BATCH=batch)

        assert refused(made, add("tags", id="z"), add("tags", id="z")) == [(409, "id-taken", "/1/data/id")]

    @pytest.mark.parametrize("batch", [True, False])
    def test_it_is_free_again_after_a_removal(self, batch):
        client = seeded(ATOMIC_BATCH=batch).client

        answer = post(client, remove("tags", "x"), add("tags", id="x", attributes={"label": "new"}))

        assert answer.results[1]["data"]["attributes"] == {"label": "new"}

    @pytest.mark.parametrize("batch", [True, False])
    def test_a_removal_of_another_one_does_not_free_it(self, batch):
        made = seeded(ATOMIC_BATCH=batch)

        assert refused(made, remove("tags", "y"), add("tags", id="x")) == [(409, "id-taken", "/1/data/id")]


class TestUpdatingAResource:
    """Statements A34 to A40 and B79 to B90."""

    @pytest.mark.parametrize(
        "target", [{}, {"ref": id_("people", "1")}, {"href": "people/1"}, {"href": "/api/people/01"}]
    )
    def test_what_is_sent_is_changed(self, client, target):
        answer = post(client, {**update("people", "1", attributes={"name": "Eve"}), **target})

        assert answer.results == [{"data": read(client, "people", "1")}]
        assert answer.results[0]["data"]["attributes"] == {"name": "Eve"}
        assert answer.results[0]["data"]["relationships"] == {"friends": {"data": [id_("people", "2")]}}

    def test_what_is_not_sent_stays(self, made):
        before = stored(made.layer)

        post(made.client, update("articles", "3", attributes={"wordCount": None}))

        assert stored(made.layer) == before | {EDITORS: before[EDITORS] | {"word_count": None}}

    def test_relationships_are_replaced(self, client):
        linkage = {"author": None, "tags": [id_("tags", "y")], "sequel": id_("articles", "3")}

        answer = post(client, update("articles", "3", linkage))

        assert answer.results[0]["data"]["relationships"] == {
            "author": {"data": None},
            "tags": {"data": [id_("tags", "y")]},
            "sequel": {"data": id_("articles", "3")},
            "firstReader": {"data": None},
        }
        assert answer.results[0]["data"]["attributes"]["title"] == "First"

    def test_ids_are_compared_as_parsed(self, client):
        operation = {**update("people", "01", attributes={"name": "Eve"}), "ref": id_("people", "1")}

        assert post(client, operation).results[0]["data"]["id"] == "1"

    @pytest.mark.parametrize(
        ("operation", "errors"),
        [
            (update("nothing", "1"), [(404, "unknown-type", "/0/data/type")]),
            (update("people", "9"), [(404, "resource-not-found", "/0/data/id")]),
            (update("people", "ann"), [(404, "resource-not-found", "/0/data/id")]),
            (update("people", "9" * 30), [(404, "resource-not-found", "/0/data/id")]),
            ({**update("people", "9"), "ref": id_("people", "9")}, [(404, "resource-not-found", "/0/ref/id")]),
            ({**update("people", "9"), "href": "people/9"}, [(404, "resource-not-found", "/0/href")]),
            ({**update("people", "1"), "href": "nothing/1"}, [(404, "unknown-href", "/0/href")]),
            ({**update("people", "1"), "ref": id_("no", "1")}, [(404, "unknown-type", "/0/ref/type")]),
            ({**update("people", "1"), "ref": id_("people", "2")}, [(409, "target-mismatch", "/0/data/id")]),
            ({**update("people", "x"), "ref": id_("people", "2")}, [(409, "target-mismatch", "/0/data/id")]),
            ({**update("people", "1"), "href": "people/2"}, [(409, "target-mismatch", "/0/data/id")]),
            ({**update("people", "1"), "href": "articles/1"}, [(409, "target-mismatch", "/0/data/type")]),
            ({**update("people", "1"), "href": "people"}, [(400, "invalid-href", "/0/href")]),
            (
                update("people", "1", attributes={"name": None, "nick": "N"}),
                [
                    (422, "invalid-attribute", "/0/data/attributes/nick"),
                    (422, "invalid-attribute", "/0/data/attributes/name"),
                ],
            ),
            (
                update("articles", "3", {"tags": [id_("tags", "q")], "author": id_("people", "9")}),
                [
                    (404, "related-resource-not-found", "/0/data/relationships/tags/data/0"),
                    (404, "related-resource-not-found", "/0/data/relationships/author/data"),
                ],
            ),
            (
                update("notes", NOTE, {"about": None}),
                [(422, "invalid-relationship", "/0/data/relationships/about/data")],
            ),
        ],
    )
    def test_what_is_wrong_is_told_where_it_is(self, firm, operation, errors):
        assert refused(firm, operation) == sorted(errors, key=lambda error: error[2])


class TestRemovingAResource:
    """Statements A41 to A46, B100 and B101."""

    @pytest.mark.parametrize("target", [{"ref": id_("people", "2")}, {"href": "people/2"}, {"href": "/api/people/002"}])
    def test_it_is_gone(self, client, target):
        answer = post(client, {"op": "remove", **target})

        assert answer.status == 204
        assert read(client, "people", "2") is None

    def test_it_is_not_there_for_a_later_operation(self, firm):
        assert refused(firm, remove("tags", "x"), update("tags", "x")) == [(404, "resource-not-found", "/1/data/id")]
        assert refused(firm, remove("tags", "x"), remove("tags", "x")) == [(404, "resource-not-found", "/1/ref/id")]

    def test_nor_to_be_related_to(self, firm):
        linkage = {"tags": [id_("tags", "y"), id_("tags", "x")]}

        assert refused(firm, remove("tags", "x"), update("articles", "3", linkage)) == [
            (404, "related-resource-not-found", "/1/data/relationships/tags/data/1")
        ]

    @pytest.mark.parametrize(
        ("operation", "error"),
        [
            (remove("nothing", "1"), (404, "unknown-type", "/0/ref/type")),
            (remove("people", "9"), (404, "resource-not-found", "/0/ref/id")),
            (remove("people", "ann"), (404, "resource-not-found", "/0/ref/id")),
            ({"op": "remove", "href": "people/9"}, (404, "resource-not-found", "/0/href")),
            ({"op": "remove", "href": "people/1/friends"}, (404, "unknown-href", "/0/href")),
            ({"op": "remove", "href": "people"}, (400, "invalid-href", "/0/href")),
            ({"op": "remove", "href": "people/1?a=b"}, (400, "invalid-href", "/0/href")),
            ({"op": "remove", "data": id_("people", "1")}, (400, "invalid-operation", "/0")),
            ({**remove("people", "1"), "data": None}, (400, "invalid-operation", "/0/data")),
            ({**remove("people", "1"), "data": [id_("people", "2")]}, (400, "invalid-operation", "/0/data")),
        ],
    )
    def test_what_is_wrong_is_told_where_it_is(self, firm, operation, error):
        assert refused(firm, operation) == [error]


ARTICLE = id_("articles", "3")


class TestToOneRelationships:
    """Statements A47 to A52 and B91."""

    @pytest.mark.parametrize("data", [id_("people", "2"), id_("people", "1"), None])
    def test_one_is_set(self, client, data):
        assert post(client, relate("update", ARTICLE, "author", data)).status == 204

        assert read(client, "articles", "3")["relationships"]["author"] == {"data": data}

    def test_by_href(self, client):
        operation = {"op": "update", "href": "/api/articles/3/relationships/author", "data": None}

        assert post(client, operation).status == 204
        assert read(client, "articles", "3")["relationships"]["author"] == {"data": None}

    def test_to_itself(self, client):
        assert post(client, relate("update", ARTICLE, "sequel", ARTICLE)).status == 204

        assert read(client, "articles", "3")["relationships"]["sequel"] == {"data": ARTICLE}

    @pytest.mark.parametrize(
        ("operation", "error"),
        [
            (relate("add", ARTICLE, "author", id_("people", "2")), (403, "operation-not-supported", "/0/op")),
            (relate("remove", ARTICLE, "author", id_("people", "1")), (403, "operation-not-supported", "/0/op")),
            (relate("update", ARTICLE, "author", []), (400, "invalid-operation", "/0/data")),
            (relate("update", ARTICLE, "author", [id_("people", "2")]), (400, "invalid-operation", "/0/data")),
            (relate("update", ARTICLE, "author", "2"), (400, "invalid-operation", "/0/data")),
            (relate("update", ARTICLE, "author", {"type": "people"}), (400, "invalid-operation", "/0/data")),
            ({"op": "update", "ref": {**ARTICLE, "relationship": "author"}}, (400, "invalid-operation", "/0")),
            (relate("update", ARTICLE, "author", id_("people", "9")), (404, "related-resource-not-found", "/0/data")),
            (relate("update", ARTICLE, "author", id_("people", "b")), (404, "related-resource-not-found", "/0/data")),
            (relate("update", ARTICLE, "author", id_("tags", "x")), (409, "type-mismatch", "/0/data/type")),
            (relate("update", id_("articles", "9"), "author", None), (404, "resource-not-found", "/0/ref/id")),
            (relate("update", id_("articles", "b"), "author", None), (404, "resource-not-found", "/0/ref/id")),
            (relate("update", id_("nothing", "3"), "author", None), (404, "unknown-type", "/0/ref/type")),
            (relate("update", ARTICLE, "writer", None), (404, "unknown-relationship", "/0/ref/relationship")),
            (relate("update", ARTICLE, "title", None), (404, "unknown-relationship", "/0/ref/relationship")),
            (relate("update", ARTICLE, "firstReader", None), (403, "operation-not-supported", "/0/ref/relationship")),
            (relate("update", id_("notes", NOTE), "about", None), (422, "invalid-relationship", "/0/data")),
            (
                {"op": "update", "href": "articles/3/relationships/writer", "data": None},
                (404, "unknown-relationship", "/0/href"),
            ),
            (
                {"op": "update", "href": "articles/9/relationships/author", "data": None},
                (404, "resource-not-found", "/0/href"),
            ),
        ],
    )
    def test_what_is_wrong_is_told_where_it_is(self, firm, operation, error):
        assert refused(firm, operation) == [error]


class TestToManyRelationships:
    """Statements A53 to A60 and B92 to B99."""

    @pytest.mark.parametrize(
        ("op", "ids", "expected"),
        [
            ("add", ["1"], (2, 1)),
            ("add", ["2"], (2,)),
            ("add", ["1", "2", "1", "01"], (2, 1)),
            ("add", [], (2,)),
            ("update", ["1"], (1,)),
            ("update", ["1", "2", "1"], (1, 2)),
            ("update", ["2"], (2,)),
            ("update", [], ()),
            ("remove", ["2"], ()),
            ("remove", ["2", "2"], ()),
            ("remove", ["1"], (2,)),
            ("remove", ["002", "77", "nobody"], ()),
            ("remove", [], (2,)),
        ],
    )
    @pytest.mark.parametrize("batch", [True, False])
    def test_its_members_change(self, op, ids, expected, batch):
        made = seeded(ATOMIC_BATCH=batch)
        operation = relate(op, ARTICLE, "editors", [id_("people", each) for each in ids])

        answer = post(made.client, operation, operation)

        assert answer.status == 204
        assert editors(made) == expected

    def test_by_href(self, made):
        operation = {"op": "add", "href": "articles/3/relationships/editors", "data": [id_("people", "1")]}

        assert post(made.client, operation).status == 204
        assert editors(made) == (2, 1)

    def test_its_resource_and_members_stay_when_members_are_removed(self, made):
        post(made.client, relate("remove", ARTICLE, "editors", [id_("people", "2")]))

        assert read(made.client, "people", "2") is not None
        assert read(made.client, "articles", "3") is not None

    def test_forgetting_the_relationship_does_not_remove_the_resource(self, firm):
        operation = {"op": "remove", "ref": ARTICLE, "data": [id_("people", "2")]}

        assert refused(firm, operation) == [(400, "invalid-operation", "/0/data")]

    @pytest.mark.parametrize("op", ["add", "update", "remove"])
    @pytest.mark.parametrize(
        ("target", "name", "data", "error"),
        [
            (ARTICLE, "editors", id_("people", "1"), (400, "invalid-operation", "/0/data")),
            (ARTICLE, "editors", None, (400, "invalid-operation", "/0/data")),
            (ARTICLE, "editors", "1", (400, "invalid-operation", "/0/data")),
            (ARTICLE, "editors", {}, (400, "invalid-operation", "/0/data")),
            (ARTICLE, "editors", [None], (400, "invalid-operation", "/0/data/0")),
            (ARTICLE, "editors", [id_("people", "1"), {"type": "people"}], (400, "invalid-operation", "/0/data/1")),
            (ARTICLE, "editors", [[id_("people", "1")]], (400, "invalid-operation", "/0/data/0")),
            (ARTICLE, "editors", [id_("tags", "x")], (409, "type-mismatch", "/0/data/0/type")),
            (ARTICLE, "editors", [id_("nothing", "x")], (409, "type-mismatch", "/0/data/0/type")),
            (ARTICLE, "reviewers", [], (404, "unknown-relationship", "/0/ref/relationship")),
            (id_("articles", "9"), "editors", [], (404, "resource-not-found", "/0/ref/id")),
            (id_("articles", "9"), "editors", [id_("people", "9")], (404, "resource-not-found", "/0/ref/id")),
            (id_("articles", "x"), "editors", [], (404, "resource-not-found", "/0/ref/id")),
        ],
    )
    def test_what_is_wrong_is_told_where_it_is(self, firm, op, target, name, data, error):
        assert refused(firm, relate(op, target, name, data)) == [error]

    @pytest.mark.parametrize("op", ["add", "update"])
    def test_each_member_that_does_not_exist_is_told(self, firm, op):
        members = [id_("people", "1"), id_("people", "8"), id_("people", "9"), id_("people", "8")]

        assert refused(firm, relate(op, ARTICLE, "editors", members)) == [
            (404, "related-resource-not-found", "/0/data/1"),
            (404, "related-resource-not-found", "/0/data/2"),
        ]


class TestAllOrNothing:
    """Statements A12 to A19 and B66."""

    @pytest.mark.parametrize("batch", [True, False])
    def test_a_failure_undoes_what_came_before_it(self, batch):
        made = seeded(ATOMIC_BATCH=batch)
        operations = [
            add("people", lid="new", attributes={"name": "New"}),
            update("articles", "3", {"author": lid("people", "new")}, attributes={"title": "Changed"}),
            relate("update", ARTICLE, "editors", []),
            remove("tags", "x"),
            remove("people", "9"),
            update("people", "1", attributes={"name": "too late"}),
        ]

        assert refused(made, *operations) == [(404, "resource-not-found", "/4/ref/id")]

    def test_operations_are_performed_in_order(self, client):
        answer = post(
            client,
            *(update("people", "1", attributes={"name": name}) for name in ("a", "b", "c")),
            relate("update", id_("people", "1"), "friends", []),
            update("people", "1"),
        )

        assert [result and result["data"]["attributes"]["name"] for result in answer.results] == [
            "a",
            "b",
            "c",
            {},
            "c",
        ]
        shown = [result["data"]["relationships"]["friends"]["data"] for result in answer.results if result]
        assert shown == [[id_("people", "2")]] * 3 + [[]]

    def test_each_result_belongs_to_its_operation(self, client):
        answer = post(
            client,
            add("tags", id="z"),
            relate("update", ARTICLE, "tags", [id_("tags", "z")]),
            remove("tags", "y"),
            update("tags", "x"),
        )

        assert [result.get("data", {}).get("id") for result in answer.results] == ["z", None, None, "x"]

    def test_there_is_no_document_without_data(self, client):
        answer = post(client, remove("tags", "x"), relate("update", ARTICLE, "author", None))

        assert answer.status == 204
        assert answer.response.data == b""
        assert "Content-Type" not in answer.response.headers
        assert answer.response.vary.as_set() == {"accept"}

    def test_unless_the_application_wants_one(self):
        client = seeded(ATOMIC_NO_CONTENT=False).client

        assert post(client, remove("tags", "x"), remove("tags", "y")).results == [{}, {}]


class TestRefOfAnAdd:
    """It may say what the data says, as some clients have it."""

    def test_the_type_alone(self, client):
        (result,) = post(client, {**add("people", attributes={"name": "Cid"}), "ref": {"type": "people"}}).results

        assert result["data"]["attributes"] == {"name": "Cid"}

    def test_another_type(self, client):
        answer = post(client, {**add("people", attributes={"name": "Cid"}), "ref": {"type": "articles"}})

        assert answer.errors == [(409, "target-mismatch", "/0/data/type")]


class Jobs:
    """Writes the operations that were performed down, for a job in another process."""

    def __init__(self):
        self.kept = b""
        self.metas = ""

    @hookimpl
    def atomic_committed(self, records):
        self.kept = pickle.dumps([record.operation for record in records])
        self.metas = json.dumps([record.operation.meta for record in records])


def test_what_hooks_are_given_can_be_handed_on():
    jobs = Jobs()
    sent = [
        {"op": "add", "data": {"type": "people", "lid": "a", "attributes": {"name": "Cid"}}},
        {"op": "update", "href": "/api/people/1", "data": {"type": "people", "id": "1"}},
        {"op": "remove", "href": "/api/labels/x"},
        relate("update", id_("articles", "3"), "author", None),
    ]

    assert post(seeded(jobs).client, *sent).status == 200
    assert [operation.op for operation in pickle.loads(jobs.kept)] == ["add", "update", "remove", "update"]
    assert json.loads(jobs.metas) == [{}, {}, {}, {}]
