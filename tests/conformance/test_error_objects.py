"""JSON:API 1.1, "Errors": the answers of everything that can go wrong."""

from __future__ import annotations

import pytest

from flask_atomic import Transient, hookimpl
from tests.application import Answer, add, id_, lid, post, relate, remove, seeded, send, update
from tests.pointers import resolve

PERSON = id_("people", "1")


class Trouble:
    """Raises what an operation's `meta` asks for."""

    @hookimpl
    def atomic_authorize(self, operation):
        if operation.meta.get("raise") == "transient":
            raise Transient("Later.")
        if operation.meta.get("raise") == "defect":
            raise ZeroDivisionError("secret")


@pytest.fixture(scope="module")
def client():
    return seeded(Trouble(), MAX_CONTENT_LENGTH=5000).client


def failing(client):
    """One answer of each kind, and more than one of some."""
    return [
        send(client, "{"),
        send(client, '{"a": 1, "a": 2}'),
        send(client, {"data": None, "included": []}),
        send(client, " " * 5001),
        Answer(None, client.get("/api/operations")),
        post(client, {}, {"op": "x"}, {"op": "remove", "href": "a?b"}),
        post(
            client, update("people", lid="a"), add("nothing"), add("people", id="7"), relate("add", PERSON, "foes", [])
        ),
        post(client, add("articles", {"author": id_("people", "8")}, attributes={"title": "T"})),
        post(client, add("articles", {"author": id_("tags", "x")}, attributes={"title": 1, "a/b~c": 2})),
        post(client, add("tags", id="x")),
        post(client, remove("people", "9")),
        post(client, {"op": "remove", "href": "people/9"}),
        post(client, update("people", "1"), query_string="sort=a&include=b"),
        post(client, update("people", "1"), headers={"Accept": "text/html"}),
        post(client, update("people", "1"), content_type="text/plain"),
        post(client, {**update("people", "1"), "meta": {"raise": "transient"}}),
        post(client, {**update("people", "1"), "meta": {"raise": "defect"}}),
    ]


@pytest.fixture(scope="module")
def answers(client):
    return failing(client)


@pytest.fixture(scope="module")
def errors(answers):
    return [error for answer in answers for error in answer.response.json["errors"]]


@pytest.mark.statement("B105")
def test_errors_are_in_an_array(answers):
    for answer in answers:
        errors = answer.response.json["errors"]
        assert isinstance(errors, list)
        assert errors
        assert all(isinstance(error, dict) for error in errors)


@pytest.mark.statement("B106", "B108")
def test_an_error_object_has_a_status_a_code_a_title_and_a_detail(errors):
    for error in errors:
        assert (
            {"status", "code", "title", "detail"}
            <= error.keys()
            <= {
                *("id", "status", "code", "title", "detail", "source"),
            }
        )
        assert all(isinstance(error[name], str) and error[name] for name in error.keys() - {"source"})
        assert error["status"].isdigit()


@pytest.mark.statement("B109")
def test_all_errors_of_a_code_have_one_title_and_one_status(errors):
    assert len({error["code"] for error in errors}) > 15
    assert len({(error["code"], error["title"], error["status"]) for error in errors}) == len(
        {error["code"] for error in errors}
    )


@pytest.mark.statement("B110")
def test_the_source_is_one_pointer_parameter_or_header_or_there_is_none(errors):
    sources = [error.get("source") for error in errors]

    assert {None if source is None else tuple(source) for source in sources} == {
        None,
        ("pointer",),
        ("parameter",),
        ("header",),
    }


@pytest.mark.statement("A21", "B111")
def test_pointers_lead_to_what_was_sent(answers):
    pointed = 0
    for answer in answers:
        for error in answer.response.json["errors"]:
            if "pointer" in error.get("source", {}):
                resolve(answer.sent, error["source"]["pointer"])
                pointed += 1
    assert pointed > 15


@pytest.mark.statement("B111")
def test_names_are_escaped_in_pointers(client):
    answer = post(client, update("people", "1", attributes={"a/b~c": 1, "": 2}))

    assert {pointer for _, _, pointer in answer.errors} == {"/0/data/attributes/a~1b~0c", "/0/data/attributes/"}


@pytest.mark.statement("B111")
@pytest.mark.parametrize(
    ("operation", "pointer"),
    [
        (add("people", attributes={}), "/0/data/attributes"),
        (add("people"), "/0/data"),
        ({"op": "add"}, "/0"),
        ({"op": "remove", "ref": {"type": "people"}}, "/0/ref"),
        (update("articles", "3", {"tags": [{"type": "tags"}]}), "/0/data/relationships/tags/data/0"),
    ],
)
def test_what_is_missing_is_told_at_its_parent(client, operation, pointer):
    assert [where for _, _, where in post(client, operation).errors] == [pointer]


@pytest.mark.statement("B103")
def test_all_that_can_be_known_beforehand_is_told_and_then_the_first_failure(client):
    malformed = post(client, {}, remove("people", "9"), {"op": "x"})
    planned = post(client, remove("people", "9"), add("nothing"), update("people", lid="a"))
    performed = post(client, remove("people", "9"), remove("people", "8"))

    assert malformed.errors == [(400, "invalid-operation", "/0"), (400, "invalid-operation", "/2/op")]
    assert planned.errors == [(404, "unknown-type", "/1/data/type"), (400, "undeclared-lid", "/2/data/lid")]
    assert performed.errors == [(404, "resource-not-found", "/0/ref/id")]


@pytest.mark.statement("B104")
@pytest.mark.parametrize(
    ("operations", "status"),
    [
        ([add("nothing"), relate("update", PERSON, "foes", [])], 404),
        ([add("people"), update("people", "1", attributes={"name": 1})], 422),
        ([add("nothing"), add("people")], 400),
        ([add("people", id="9"), update("people", "1", {"friends": [id_("tags", "x")]})], 400),
    ],
)
def test_several_errors_have_the_status_that_applies_to_all(client, operations, status):
    answer = post(client, *operations)

    assert len(answer.errors) > 1
    assert answer.status == status


@pytest.mark.statement("B102")
def test_statuses_have_what_http_asks_for(client):
    assert client.get("/api/operations").headers["Allow"] == "OPTIONS, POST"
    later = post(client, {**update("people", "1"), "meta": {"raise": "transient"}})
    assert (later.status, later.response.headers["Retry-After"]) == (503, "1")
    nothing = post(client, relate("add", PERSON, "friends", []))
    assert (nothing.status, nothing.response.data) == (204, b"")


def test_a_defect_is_told_by_an_id_and_nothing_from_the_inside(client, caplog):
    answer = post(client, {**update("people", "1"), "meta": {"raise": "defect"}})

    assert answer.errors == [(500, "internal-error", None)]
    assert answer.error_objects[0]["id"] in caplog.text
    assert "secret" not in answer.response.text


def test_a_local_id_is_told_at_each_place(client):
    friends = [lid("people", "a"), lid("people", "b")]

    assert post(client, relate("add", PERSON, "friends", friends)).errors == [
        (400, "undeclared-lid", "/0/data/0/lid"),
        (400, "undeclared-lid", "/0/data/1/lid"),
    ]
