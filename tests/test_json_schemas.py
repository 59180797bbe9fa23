"""The JSON Schemas: what they let pass, what they catch, and that every answer in the test suite is held to them."""

from __future__ import annotations

import ast
import copy
import json
from typing import Any

import pytest
from flask import Flask, Response
from flask.testing import FlaskClient
from hypothesis import given

from tests.demo import Request, readme_block
from tests.documents import documents
from tests.json_schemas import EXTENSION, REQUEST, RESPONSE, flaws
from tests.test_bad_input import TYPES
from tests.test_docs_code import CODE, exchanges

CONTENT_TYPE = f'application/vnd.api+json;ext="{EXTENSION}"'
JSONAPI = {"version": "1.1", "ext": [EXTENSION]}
ANN = {"type": "people", "id": "1"}


# ---------------------------------------------------------------------------------------------------------- responses

ARTICLE: dict[str, Any] = {
    "type": "articles",
    "id": "1",
    "attributes": {"title": "T", "word-count": None, "Ünïcode 2": [{"~": 1}]},
    "relationships": {
        "author": {"data": ANN, "links": {"related": "/articles/1/author"}},
        "sequel": {"data": None},
        "tags": {"data": [{"type": "tags", "id": "x", "meta": {}}, {"type": "tags", "id": "y"}], "meta": {"n": 2}},
    },
    "links": {"self": {"href": "https://example.org/articles/1", "hreflang": ["en"]}},
    "meta": {"anything": ["at", "all"]},
}
ERROR: dict[str, Any] = {
    "status": "422",
    "code": "invalid-attribute",
    "title": "An attribute is not acceptable",
    "detail": "No.",
    "source": {"pointer": "/atomic:operations/0/data/attributes/a~1b~0"},
}


def answer(**members: Any) -> dict[str, Any]:
    return {"jsonapi": JSONAPI, **members}


def results(*objects: Any) -> dict[str, Any]:
    return answer(**{"atomic:results": list(objects)})


def errors(*objects: Any) -> dict[str, Any]:
    return answer(errors=list(objects))


def changed(value: Any, *path: Any, to: Any) -> Any:
    """A copy of the value in which the member that `path` leads to is another; `...` stands for none."""
    copied = holder = copy.deepcopy(value)
    for token in path[:-1]:
        holder = holder[token]
    if to is ...:
        del holder[path[-1]]
    else:
        holder[path[-1]] = to
    return copied


def article(*path: Any, to: Any) -> dict[str, Any]:
    return results({"data": changed(ARTICLE, *path, to=to)})


def error(*path: Any, to: Any) -> dict[str, Any]:
    return errors(changed(ERROR, *path, to=to))


@pytest.mark.parametrize(
    "document",
    [
        results({}),
        results({"data": ARTICLE}, {}, {"meta": {}}, {"data": {"type": "tags", "id": "x"}}),
        errors(ERROR, {**ERROR, "id": "7", "source": {"parameter": "include"}, "links": {"about": "/help#a"}}),
        errors({**ERROR, "source": {"header": "Accept"}}),
        error("source", to=...),
        error("source", "pointer", to=""),
        errors({**ERROR, "status": "500", "id": "x"}),
        {**results({}), "links": {"self": "/operations"}, "meta": {}},
    ],
)
def test_right_responses(document: Any) -> None:
    assert flaws(RESPONSE, document) == []


NO_NAMES = ["", "-a", "a-", "_a", "a_", "a ", "a/b", "a.b", "~", "a+b", "a,b", "a\n", "@a", "ext:a", "$", "{a}"]

WRONG_RESPONSES = [
    # at the top (A2 to A4, A16, B22 to B26)
    *([], None, "x", {}, answer(), results(), errors(), answer(data=None), answer(meta={})),
    *(answer(**{"atomic:results": value}) for value in ({}, None, "x")),
    {**results({}), "errors": [ERROR]},
    *({**results({}), name: []} for name in ("data", "included", "atomic:operations", "unknown", "@note")),
    *({**results({}), "jsonapi": value} for value in (..., None, {}, {"version": 1.1}, {**JSONAPI, "extra": 1})),
    *({**results({}), "jsonapi": {**JSONAPI, "ext": value}} for value in (EXTENSION, [], ["https://example.org/ext"])),
    {**results({}), "meta": []},
    {**results({}), "links": {"other": "/x"}},
    # results (A10, A43: `data: null` is not the absence of data)
    *(results(value) for value in (None, [], {"data": None}, {"data": []}, {"data": ANN, "links": {}})),
    *(results({"meta": value}) for value in (None, [])),
    # resources (B31 to B42)
    *(article(name, to=value) for name in ("type", "id") for value in (..., None, 1, "")),
    *(article("type", to=name) for name in NO_NAMES),
    article("lid", to="x"),
    article("unknown", to=1),
    *(
        article(name, to=value)
        for name in ("attributes", "relationships", "meta", "links")
        for value in (None, [], "x")
    ),
    *(article("attributes", name, to=1) for name in (*NO_NAMES, "type", "id")),
    *(article("relationships", name, to={"data": None}) for name in (*NO_NAMES, "type", "id")),
    *(article("relationships", "author", to=value) for value in (None, [], ANN, {}, {"data": None, "extra": 1})),
    *(
        article("relationships", "author", "data", to=value)
        for value in ("1", 1, {}, {"type": "people"}, {"id": "1"}, {**ANN, "id": 1}, {**ANN, "lid": "a"})
    ),
    *(article("relationships", "author", "data", to={**ANN, name: {}}) for name in ("attributes", "links")),
    *(article("relationships", "tags", "data", to=[value]) for value in (None, "x", [], {"type": "tags"})),
    article("relationships", "tags", "data", to=[ANN, ANN]),
    # links (B46, B51)
    *(article("links", "self", to=value) for value in (1, [], {}, {"href": None}, "a b", "%zz", {"href": "", "x": 1})),
    article("links", "related", to="/x"),
    # errors (B103 to B111)
    *(errors(value) for value in (None, "x", [], {})),
    *(error(name, to=value) for name in ("status", "code", "title", "detail") for value in (..., None, 400, "")),
    *(error("status", to=value) for value in ("200", "4000", "x", "422\n")),
    *(error("code", to=value) for value in ("Invalid", "invalid_attribute", "-a", "a b")),
    *(error("source", to=value) for value in (None, {}, "x", {"pointer": None}, {"line": 1})),
    *(error("source", name, to="x") for name in ("parameter", "header")),
    *(error("source", "pointer", to=value) for value in ("data", "/a~2", "/~", "#/data")),
    error("status", to="500"),
    error("extra", to=1),
    error("links", to={"self": "/x"}),
]


@pytest.mark.parametrize("document", WRONG_RESPONSES, ids=range(len(WRONG_RESPONSES)))
def test_wrong_responses(document: Any) -> None:
    if isinstance(document, dict):
        document = {name: value for name, value in document.items() if value is not ...}
    assert flaws(RESPONSE, document)


# ----------------------------------------------------------------------------------------------------------- the hook


def client_that_is_given(body: str, status: int = 200, **headers: str) -> FlaskClient:
    flask = Flask("planted")

    @flask.route("/", methods=["GET", "HEAD", "POST"])
    def view() -> Response:
        return Response(body, status, {"Content-Type": CONTENT_TYPE, "Vary": "Accept", **headers})

    return flask.test_client()


RIGHT = json.dumps(results({"data": ARTICLE}))


def test_the_client_of_any_test_lets_right_answers_pass() -> None:
    assert client_that_is_given(RIGHT).post("/").status_code == 200
    assert client_that_is_given(json.dumps(error("status", to="404")), 404).get("/").status_code == 404
    assert client_that_is_given("", 405).head("/").status_code == 405
    assert client_that_is_given("no JSON", **{"Content-Type": "text/plain"}).get("/").text == "no JSON"


@pytest.mark.parametrize(
    ("body", "status", "headers"),
    [
        (json.dumps(article("id", to=1)), 200, {}),
        (json.dumps(error("detail", to=...)), 422, {}),
        (json.dumps(article("attributes", "author", to=1)), 200, {}),
        (RIGHT, 201, {}),
        (json.dumps(errors(ERROR)), 404, {}),
        (json.dumps(errors(ERROR, {**ERROR, "status": "404"})), 422, {}),
        (RIGHT.replace("null", "NaN"), 200, {}),
        (RIGHT.replace('"id": "1"', '"id": "1", "id": "1"'), 200, {}),
        (RIGHT, 200, {"Vary": "Cookie"}),
        (RIGHT, 200, {"Content-Type": "application/vnd.api+json"}),
        (RIGHT, 200, {"Content-Type": f"{CONTENT_TYPE}; charset=utf-8"}),
    ],
)
def test_the_client_of_any_test_catches_wrong_answers(body: str, status: int, headers: dict[str, str]) -> None:
    with pytest.raises(AssertionError):
        client_that_is_given(body, status, **headers).post("/")


def test_a_body_that_is_no_json_is_caught_too() -> None:
    with pytest.raises(ValueError, match="Expecting value"):
        client_that_is_given("").post("/")


# ----------------------------------------------------------------------------------------------------------- requests


def request(*operations: Any) -> dict[str, Any]:
    return {"atomic:operations": list(operations)}


ADD = {"op": "add", "data": {"type": "people", "lid": "a", "attributes": {"name": "N", "@note": 1}}}
MEMBERS = {"op": "add", "ref": {**ANN, "relationship": "friends"}, "data": [{"type": "people", "lid": "a"}]}
REMOVE = {"op": "remove", "ref": ANN}
UPDATE = {"op": "update", "data": {**ANN, "relationships": {"boss": {"data": None}, "@note": 1}}}

WRONG_REQUESTS = [
    *([], {}, request(), {**request(REMOVE), "data": None}, {**request(REMOVE), "meta": []}),
    *(request(value) for value in (None, {}, {"op": "ADD", "data": ANN}, {"op": "remove"}, {"op": "add"})),
    request({**REMOVE, "href": "people/1"}),
    request({**REMOVE, "data": [ANN]}),
    request({**REMOVE, "extra": 1}),
    *(request({**REMOVE, "ref": value}) for value in (None, {}, {"type": "people"}, {**ANN, "lid": "a"})),
    *(request({**MEMBERS, "data": value}) for value in (ANN, None, "x", [None], [{"type": "people"}])),
    *(request({**UPDATE, "data": value}) for value in (None, [], {"type": "people"}, {"id": "1"}, {**ANN, "id": 1})),
    request({**UPDATE, "data": {**ANN, "relationships": {"boss": {"meta": {}}}}}),
    request({**UPDATE, "data": {**ANN, "attributes": {"type": 1}}}),
    request({"op": "add", "href": "people/1/relationships/friends", "data": ANN}),
]


def test_right_requests() -> None:
    to_one = {"op": "update", "href": "people/1/relationships/boss", "data": None}
    assert flaws(REQUEST, {**request(ADD, MEMBERS, REMOVE, UPDATE, to_one), "meta": {}, "@note": 1}) == []


@pytest.mark.parametrize("document", WRONG_REQUESTS, ids=range(len(WRONG_REQUESTS)))
def test_wrong_requests(document: Any) -> None:
    assert flaws(REQUEST, document)


@given(document=documents(TYPES))
def test_the_requests_that_the_tests_make_up_are_right(document: Any) -> None:
    assert flaws(REQUEST, document) == []


# ------------------------------------------------------------------------------------------------- what is documented

EXCHANGES = [
    pytest.param(shown, id=f"{file.stem}-{shown.name}") for file in CODE.glob("*.http") for shown in exchanges(file)
]


@pytest.mark.parametrize("shown", EXCHANGES)
def test_what_the_documentation_shows(shown: Any) -> None:
    """Requests that are shown because they are refused as malformed are wrong here, too."""
    malformed = {"invalid-document", "invalid-operation"}
    refused = malformed & {told["code"] for told in (shown.body or {}).get("errors", [])}
    assert bool(flaws(REQUEST, json.loads(shown.document))) == bool(refused)
    assert shown.body is None or flaws(RESPONSE, shown.body) == []


@pytest.mark.parametrize("name", ["add", "conflict"])
def test_what_the_readme_shows(name: str) -> None:
    assert flaws(REQUEST, json.loads(Request.of(readme_block(f"request: {name}")).body)) == []
    assert flaws(RESPONSE, json.loads(readme_block(f"answer: {name}"))) == []


def test_what_the_python_client_of_the_readme_sends() -> None:
    (operations,) = (
        ast.literal_eval(statement.value)
        for statement in ast.parse(readme_block("python: client")).body
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "operations"
    )
    assert flaws(REQUEST, request(*operations)) == []
