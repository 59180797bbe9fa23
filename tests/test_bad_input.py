"""Any bytes whatever: an error document with the right status, code and pointer, and nothing changed."""

from __future__ import annotations

import json
from string import ascii_lowercase

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.application import (
    CONTENT_TYPE,
    NOTE,
    Answer,
    add,
    id_,
    lid,
    post,
    relate,
    remove,
    seeded,
    send,
    stored,
    update,
)
from tests.documents import TypeOfResource, documents, json_values, mutated, texts


@pytest.fixture(scope="module")
def made():
    return seeded()


@pytest.fixture
def refused(made):
    """A function that sends a body and returns its errors; nothing was changed then."""
    before = stored(made.layer)
    yield lambda body: send(made.client, body).errors
    assert stored(made.layer) == before


JSON, DOCUMENT, OPERATION, STRING = "invalid-json", "invalid-document", "invalid-operation", "invalid-string"
ATTRIBUTE = "invalid-attribute"
GOOD = json.dumps({"atomic:operations": [add("people", attributes={"name": "N"})]})
ARTICLE = id_("articles", "3")
PERSON = id_("people", "1")


def inside(text):
    """A body in which the JSON `text` is an attribute."""
    return GOOD.replace('"N"', text)


NAME = "/0/data/attributes/name"

BODIES = [
    # what is no JSON, or not JSON alone
    (b"", JSON, None),
    (b" \r\n\t", JSON, None),
    (b"\x00", JSON, None),
    (b"\xff\xfe", JSON, None),
    (b"\x80abc", JSON, None),
    (GOOD.encode("utf-16"), JSON, None),
    (GOOD.encode("utf-32"), JSON, None),
    (b"\xef\xbb\xbf" + GOOD.encode(), JSON, None),
    (GOOD[:-1], JSON, None),
    (GOOD[: len(GOOD) // 2], JSON, None),
    (GOOD + GOOD, JSON, None),
    (GOOD + "]", JSON, None),
    (GOOD.replace('"', "'"), JSON, None),
    (GOOD.replace("]}", ",]}"), JSON, None),
    ("atomic:operations=add", JSON, None),
    ("<?xml version='1.0'?><operations/>", JSON, None),
    ("{" * 100_000, JSON, None),
    ("[" * 100_000, JSON, None),
    ("[" * 100_000 + "]" * 100_000, JSON, None),
    ('{"a":' * 5000 + "1" + "}" * 5000, JSON, None),
    (inside("[" * 5000 + "]" * 5000), JSON, None),
    (inside("'x'"), JSON, None),
    (inside("True"), JSON, None),
    (inside("1."), JSON, None),
    (inside("01"), JSON, None),
    (inside("+1"), JSON, None),
    (inside("0x1"), JSON, None),
    (inside('"\t"'), JSON, None),
    (inside('"\\x00"'), JSON, None),
    (inside('"\\ud8"'), JSON, None),
    (inside("/* */ 1"), JSON, None),
    # what JSON has not, or no store can keep
    (inside("NaN"), JSON, NAME),
    (inside("-Infinity"), JSON, NAME),
    (inside("1e400"), JSON, NAME),
    (inside("-1e999999999"), JSON, NAME),
    (inside("1" * 5000), JSON, NAME),
    (inside("[1, NaN]"), JSON, f"{NAME}/1"),
    (inside('{"a": 1, "a": 2}'), JSON, f"{NAME}/a"),
    (GOOD.replace('"op"', '"op": "remove", "op"'), JSON, "/0/op"),
    (GOOD[:-1] + ', "atomic:operations": []}', JSON, "/atomic:operations"),
    (inside('"\\u0000"'), STRING, NAME),
    (inside('"a\\u0000b"'), STRING, NAME),
    (inside('"\\ud800"'), STRING, NAME),
    (inside('"\\udc00\\ud800"'), STRING, NAME),
    (inside('{"\\u0000": 1}'), STRING, NAME),
    (inside('{"\\udfff": 1}'), STRING, NAME),
    (GOOD.replace('"people"', '"\\u0000"'), STRING, "/0/data/type"),
    (GOOD.replace('"op"', '"\\ud9ff": 1, "op"'), STRING, "/0"),
    # what is no document of the extension
    *((body, DOCUMENT, "") for body in ("null", "true", "0", '"add"', "[]", "{}", f"[{GOOD}]")),
    ('{"atomic:results": []}', DOCUMENT, "/atomic:results"),
    ('{"data": {"type": "people"}}', DOCUMENT, "/data"),
    ('{"errors": []}', DOCUMENT, "/errors"),
    (GOOD[:-1] + ', "included": []}', DOCUMENT, "/included"),
    (GOOD[:-1] + ', "data": null}', DOCUMENT, "/data"),
    (GOOD[:-1] + ', "meta": []}', DOCUMENT, "/meta"),
    *(
        (f'{{"atomic:operations": {value}}}', DOCUMENT, "/atomic:operations")
        for value in ("null", "true", "1", '"add"', "{}", "[]", '{"0": {"op": "add"}}')
    ),
]


@pytest.mark.parametrize(("body", "code", "pointer"), BODIES, ids=range(len(BODIES)))
def test_bodies(made, body, code, pointer):
    """The pointer is not resolved where the body cannot be read by others either."""
    before = stored(made.layer)

    response = made.client.post("/api/operations", data=body, content_type=CONTENT_TYPE)

    assert response.status_code == 400
    assert response.headers["Content-Type"] == CONTENT_TYPE
    (error,) = response.json["errors"]
    told = error.get("source", {}).get("pointer")
    expected = f"/atomic:operations{pointer}" if pointer and pointer.startswith("/0") else pointer
    assert (error["status"], error["code"], told) == ("400", code, expected)
    assert stored(made.layer) == before


NOT_OBJECTS = [None, True, 0, 1.5, "x", [], [{}]]
NOT_STRINGS = [None, True, 0, 1.5, "", [], {}, ["people"]]
ODD_NAMES = [
    "__class__",
    "__init__",
    "type",
    "id",
    "constructor",
    "a/b",
    "~",
    "~1",
    "",
    " ",
    "%00",
    "x" * 1000,
    "é",
    "🙂",
]


def shape(pointer):
    return [(400, OPERATION, pointer)]


OPERATIONS = [
    # values of the wrong kind, wherever an object, a string or a linkage is due
    *((value, shape("/0")) for value in NOT_OBJECTS),
    *(({"op": value, "ref": PERSON}, shape("/0/op")) for value in [*NOT_STRINGS, "ADD", "add ", "get", "__class__"]),
    ({"ref": PERSON}, shape("/0")),
    ({}, shape("/0")),
    *(({"op": "remove", "ref": value}, shape("/0/ref")) for value in NOT_OBJECTS),
    *(({"op": "add", "data": value}, shape("/0/data")) for value in NOT_OBJECTS),
    *(({"op": "update", "data": value}, shape("/0/data")) for value in NOT_OBJECTS),
    *(({"op": "add", "data": {"type": value}}, shape("/0/data/type")) for value in NOT_STRINGS),
    *(({"op": "remove", "ref": {"type": value, "id": "1"}}, shape("/0/ref/type")) for value in NOT_STRINGS),
    *(({"op": "remove", "ref": {"type": "people", "id": value}}, shape("/0/ref/id")) for value in NOT_STRINGS),
    *(({"op": "remove", "ref": {"type": "people", "lid": value}}, shape("/0/ref/lid")) for value in NOT_STRINGS),
    *((update("people", value), shape("/0/data/id")) for value in [True, 0, 1.5, "", [], {}]),
    ({"op": "update", "data": {"type": "people", "id": None}}, shape("/0/data/id")),
    *(
        ({"op": "update", "ref": {**ARTICLE, "relationship": value}, "data": None}, shape("/0/ref/relationship"))
        for value in NOT_STRINGS
    ),
    *(({"op": "remove", "href": value}, shape("/0/href")) for value in [None, True, 0, [], {}]),
    *(({**remove("people", "1"), "meta": value}, shape("/0/meta")) for value in NOT_OBJECTS),
    *((add("people", attributes=value), shape("/0/data/attributes")) for value in NOT_OBJECTS),
    *(
        ({"op": "update", "data": {**ARTICLE, "relationships": value}}, shape("/0/data/relationships"))
        for value in NOT_OBJECTS
    ),
    *(
        (
            {"op": "update", "data": {**ARTICLE, "relationships": {"author": value}}},
            shape("/0/data/relationships/author"),
        )
        for value in [*NOT_OBJECTS, {}, {"links": {}}, {"meta": {}}, PERSON]
    ),
    *(
        (update("articles", "3", {"author": value}), shape("/0/data/relationships/author/data"))
        for value in NOT_OBJECTS[1:5]
    ),
    *(
        (update("articles", "3", {"tags": value}), shape("/0/data/relationships/tags/data"))
        for value in NOT_OBJECTS[:5]
    ),
    (update("articles", "3", {"tags": id_("tags", "x")}), shape("/0/data/relationships/tags/data")),
    (update("articles", "3", {"author": [PERSON]}), shape("/0/data/relationships/author/data")),
    *(
        (update("articles", "3", {"tags": [id_("tags", "x"), value]}), shape("/0/data/relationships/tags/data/1"))
        for value in [*NOT_OBJECTS, {}, {"id": "x"}, {"type": "tags"}]
    ),
    (update("articles", "3", {"tags": [{"type": "tags", "id": 1}]}), shape("/0/data/relationships/tags/data/0/id")),
    *(
        (relate(op, PERSON, "friends", value), shape("/0/data"))
        for op in ("add", "update", "remove")
        for value in (None, "2", 2, {}, PERSON)
    ),
    *((relate("update", ARTICLE, "author", value), shape("/0/data")) for value in ("1", 1, True, {}, [], [PERSON])),
    # what contradicts itself, or says too little
    ({"op": "remove"}, shape("/0")),
    ({"op": "add"}, shape("/0")),
    ({"op": "update"}, shape("/0")),
    ({"op": "add", "ref": PERSON}, shape("/0")),
    ({"op": "update", "ref": PERSON}, shape("/0")),
    ({"op": "update", "ref": PERSON, "data": {"type": "people"}}, shape("/0/data")),
    ({"op": "remove", "ref": {"type": "people"}}, shape("/0/ref")),
    ({"op": "remove", "ref": {"id": "1"}}, shape("/0/ref")),
    ({"op": "remove", "ref": PERSON, "href": "people/1"}, shape("/0/href")),
    ({"op": "remove", "ref": {**PERSON, "lid": "a"}}, shape("/0/ref/lid")),
    ({"op": "remove", "ref": PERSON, "data": [id_("people", "2")]}, shape("/0/data")),
    ({"op": "remove", "ref": PERSON, "data": None}, shape("/0/data")),
    ({"op": "remove", "data": PERSON}, shape("/0")),
    ({"op": "update", "ref": {**ARTICLE, "relationship": "author"}}, shape("/0")),
    # hrefs
    *(
        ({"op": "remove", "href": href}, [(404, "unknown-href", "/0/href")])
        for href in (
            *("", ".", "..", "/", "//", "people//1", "nothing/1", "People/1", "people/1/friends", "../people/1"),
            *("people/1/relationships", "people/1/relationships/", "people/1/relationships/friends/1", "/people/1"),
            *("/api", "/api/operations", "http://example.org/api/people/1", "//example.org/people/1", "people%2F1"),
            *("/api//people/1", "http://localhost//api/people/1", "javascript:people/1", "file:///api/people/1"),
            *("é/1", "x" * 5000),
        )
    ),
    *(
        ({"op": "remove", "href": href}, [(400, "invalid-href", "/0/href")])
        for href in (
            "people/1?",
            "people/1?a=b",
            "people/1#",
            "people/1#top",
            "people/%00",
            "people/%FF",
            "http://[",
            "people",
        )
    ),
    # names that mean something to Python, to a parser or to nobody
    *((add(name), [(404, "unknown-type", "/0/data/type")]) for name in ODD_NAMES if name),
    *((remove(name, "1"), [(404, "unknown-type", "/0/ref/type")]) for name in ODD_NAMES if name),
    *(
        (relate("update", ARTICLE, name, None), [(404, "unknown-relationship", "/0/ref/relationship")])
        for name in (*ODD_NAMES, "edited_by", "first_reader", "title")
        if name
    ),
    # ids that nothing can have
    *(
        (remove("people", text), [(404, "resource-not-found", "/0/ref/id")])
        for text in (
            "x",
            "1.0",
            "1e0",
            " 1",
            "1 ",
            "+1",
            "0x1",
            "¹",
            "\u0661",
            "-",
            "9" * 5000,
            "x" * 5000,
            "1;",
            "' or 1=1",
        )
    ),
    *(
        (remove("people", str(number)), [(404, "resource-not-found", "/0/ref/id")])
        for number in (2**31, 2**63, 2**64, -(2**70))
    ),
    *(
        (remove("notes", text), [(404, "resource-not-found", "/0/ref/id")])
        for text in ("1", "x" * 36, NOTE[:-1], NOTE + "0")
    ),
    (relate("add", PERSON, "friends", [id_("people", "9" * 5000)]), [(404, "related-resource-not-found", "/0/data/0")]),
    # attributes
    *(
        (
            update("articles", "3", attributes={name: 1}),
            [(422, ATTRIBUTE, "/0/data/attributes/" + name.replace("~", "~0").replace("/", "~1"))],
        )
        for name in (
            *ODD_NAMES,
            "_resource_meta",
            "_schema",
            "author",
            "tags",
            "word_count",
            "slug",
            "links",
            "meta",
            "attributes",
        )
    ),
    *(
        (update("people", "1", attributes={"name": value}), [(422, ATTRIBUTE, NAME)])
        for value in (None, True, 0, 1.5, [], {}, ["N"])
    ),
    *(
        (update("articles", "3", attributes={"wordCount": value}), [(422, ATTRIBUTE, "/0/data/attributes/wordCount")])
        for value in ("", "x", [], {}, "1" * 5000, "Infinity", "nan")
    ),
    *(
        (update("articles", "3", attributes={"options": value}), [(422, ATTRIBUTE, "/0/data/attributes/options")])
        for value in (True, 1, "x", [], [["a", 1]])
    ),
    (update("articles", "3", attributes={"title": "x" * 5000}), [(422, ATTRIBUTE, "/0/data/attributes/title")]),
    # relationships
    *(
        (
            update("articles", "3", {name: None}),
            [(422, "invalid-relationship", "/0/data/relationships/" + name.replace("~", "~0").replace("/", "~1"))],
        )
        for name in (*ODD_NAMES, "edited_by", "title", "first_reader", "firstReader")
    ),
    (
        {"op": "add", "data": {"type": "articles", "relationships": {"ownedBy": {}}}},
        shape("/0/data/relationships/ownedBy"),
    ),
    (
        add("articles", {"a/b": None}),
        [(422, "invalid-relationship", "/0/data/relationships/a~1b"), (422, ATTRIBUTE, "/0/data")],
    ),
    # local ids
    (update("people", lid="a"), [(400, "undeclared-lid", "/0/data/lid")]),
    (relate("add", PERSON, "friends", [lid("people", "x" * 5000)]), [(400, "undeclared-lid", "/0/data/0/lid")]),
]


def test_there_are_many_of_them():
    assert len(BODIES) + len(OPERATIONS) > 300


@pytest.mark.parametrize(("operation", "errors"), OPERATIONS, ids=range(len(OPERATIONS)))
def test_operations(refused, operation, errors):
    assert refused({"atomic:operations": [operation]}) == errors


@pytest.mark.parametrize("position", [0, 1, 2])
def test_what_stands_beside_it_is_not_performed(refused, position):
    """Wherever it stands, with operations around it that could be performed."""
    good = [add("people", attributes={"name": "N"}), remove("tags", "x")]

    for bad, (_, code, pointer) in [
        ({"op": "remove"}, (400, OPERATION, "")),
        (add("people"), (422, ATTRIBUTE, "/data")),
        (remove("people", "9"), (404, "resource-not-found", "/ref/id")),
    ]:
        operations = [*good[:position], bad, *good[position:]]
        ((_, told, where),) = refused({"atomic:operations": operations})
        assert (told, where) == (code, f"/{position}{pointer}")


def test_members_that_nobody_defines_are_ignored():
    """Statements B21, B54 and B55: this much is not bad input."""
    made = seeded()
    noise = {"@note": [None], "unknown": {"id": 1}, "links": 5, "type ": "x"}
    operation = {
        **noise,
        "op": "update",
        "ref": {**PERSON, **noise},
        "data": {
            **PERSON,
            **noise,
            "attributes": {"name": "New", "@note": 1},
            "relationships": {"@note": 1, "friends": {**noise, "data": [{**PERSON, **noise}]}},
        },
    }

    answer = send(made.client, {**noise, "jsonapi": 7, "atomic:operations": [operation]})

    assert answer.results[0]["data"]["attributes"] == {"name": "New"}
    assert answer.results[0]["data"]["relationships"] == {"friends": {"data": [PERSON]}}


# --------------------------------------------------------------------------------------------------- arbitrary input

short = st.text(ascii_lowercase, max_size=3)
TYPES = [
    TypeOfResource(
        "articles",
        st.sampled_from(["3", "03", "9", "x"]),
        {"title": short, "wordCount": st.none() | st.integers(), "options": st.dictionaries(texts, json_values)},
        {"author": "people", "sequel": "articles"},
        {"editors": "people", "tags": "tags"},
    ),
    TypeOfResource("people", st.sampled_from(["1", "2", "8"]), {"name": short}, {}, {"friends": "people"}),
    TypeOfResource("tags", st.sampled_from(["x", "y", "z"]), {"label": short}, client_ids=True),
    TypeOfResource(
        "notes", st.just(NOTE) | st.uuids().map(str), {"text": short}, {"about": "articles"}, client_ids=True
    ),
]

several = settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def worlds():
    """The same application twice: with batching and without."""
    return seeded(), seeded(ATOMIC_BATCH=False)


def check(made, answer: Answer, before):
    """Whatever was sent, the answer is one of the protocol; after an error nothing has changed."""
    if answer.status in (200, 204):
        made.layer._entities.clear()
        made.layer._entities.update(before)  # for the next example
        if answer.status == 200:
            assert answer.results
    else:
        assert 400 <= answer.status < 500
        assert answer.errors
    assert made.layer._entities == before


@several
@given(document=mutated(documents(TYPES)) | documents(TYPES))
def test_documents_of_about_the_right_shape(worlds, document):
    for made in worlds:
        before = dict(made.layer._entities)
        check(made, send(made.client, document), before)


@several
@given(value=json_values | st.fixed_dictionaries({"atomic:operations": st.lists(json_values, max_size=3)}))
def test_any_json(made, value):
    before = dict(made.layer._entities)

    answer = send(made.client, value)

    assert answer.errors
    assert answer.status in (400, 404, 422)
    assert made.layer._entities == before


@several
@given(body=st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_any_bytes(made, body):
    response = made.client.post("/api/operations", data=body, content_type=CONTENT_TYPE)

    assert response.status_code == 400
    assert response.json["errors"][0]["code"] in (JSON, DOCUMENT, STRING)


@several
@given(text=st.text(max_size=40), op=st.sampled_from(["add", "update", "remove"]))
def test_any_href(made, text, op):
    data = {} if op == "remove" else {"data": id_("tags", "q")}

    answer = post(made.client, {"op": op, "href": text, **data}, remove("people", "9"))

    assert 400 <= answer.status < 500


headers = st.text(st.characters(max_codepoint=255, exclude_characters="\r\n"), max_size=60)


@several
@given(header=headers)
def test_any_content_type(made, header):
    answer = post(made.client, remove("people", "9"), content_type=None, headers={"Content-Type": header})

    assert answer.errors in ([(404, "resource-not-found", "/0/ref/id")], [(415, "unsupported-media-type", None)])


@several
@given(header=headers)
def test_any_accept(made, header):
    answer = post(made.client, remove("people", "9"), headers={"Accept": header})

    assert answer.errors in ([(404, "resource-not-found", "/0/ref/id")], [(406, "not-acceptable", None)])
