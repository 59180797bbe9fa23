"""JSON text to a value: what is read, what is refused, and where the refusal points."""

from __future__ import annotations

import json
import sys
import tracemalloc
from contextlib import suppress

import marshmallow
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from marshmallow_jsonapi import fields

from flask_atomic import Atomic, MemoryLayer, strictjson
from flask_atomic.errors import RequestFailed
from tests.application import add, application, post, schema, seeded, stored, update
from tests.documents import json_values
from tests.pointers import resolve

MAX_DEPTH = 100


def parse(body, max_depth=MAX_DEPTH):
    return strictjson.parse(body, max_depth)


def refusal(body):
    with pytest.raises(RequestFailed) as failed:
        parse(body)
    (error,) = failed.value.errors
    assert failed.value.status == 400
    return error


def leniently(text):
    """What the standard decoder makes of the text: the document that the client sent, for a pointer to be tried on."""
    return json.loads(text, parse_int=str)


LONG = "9" * (sys.get_int_max_str_digits() + 1)


class TestReading:
    @given(json_values, st.booleans())
    def test_what_can_be_stored_comes_back_as_it_was_written(self, value, ensure_ascii):
        text = json.dumps(value, ensure_ascii=ensure_ascii)

        assert parse(text) == parse(text.encode()) == value
        assert json.dumps(parse(text), ensure_ascii=ensure_ascii) == text  # 1, 1.0 and true are equal in Python

    @pytest.mark.parametrize(
        ("text", "value"),
        [
            ('"\\ud83d\\ude00"', "\U0001f600"),
            ('"\\\\u0000"', "\\u0000"),
            ('"\\\\ud800"', "\\ud800"),
            ('["\\\\u0000", "\\u0001"]', ["\\u0000", "\x01"]),
            ("1e308", 1e308),
            ("1e-400", 0.0),
            ("-" + LONG[:-1], -int(LONG[:-1])),
            ('{"a": {"a": 1}, "A": 2}', {"a": {"a": 1}, "A": 2}),
            (" \n[1]\t", [1]),
        ],
    )
    def test_what_only_looks_like_a_flaw_is_read(self, text, value):
        assert parse(text) == value

    def test_the_deepest_nesting_that_is_allowed_is_read(self):
        text = "[" * MAX_DEPTH + "1" + "]" * MAX_DEPTH

        assert parse(text) == json.loads(text)


class TestRefusing:
    @pytest.mark.parametrize(
        "body",
        [
            pytest.param(b"\xff", id="no UTF-8"),
            pytest.param('"\ud800"', id="a lone surrogate in a str"),
            pytest.param('{"a": 1}'.encode("utf-16"), id="UTF-16"),
            pytest.param(b"", id="nothing"),
            pytest.param(b" ", id="white space"),
            pytest.param("\ufeff{}", id="a byte order mark"),
            pytest.param("{", id="cut off"),
            pytest.param("{'a': 1}", id="single quotes"),
            pytest.param('{"a": 1,}', id="a comma too many"),
            pytest.param("[1] [2]", id="two documents"),
            pytest.param('"a\nb"', id="a bare line break in a string"),
            pytest.param('"a\0b"', id="a bare NUL in a string"),
            pytest.param("01", id="a leading zero"),
            pytest.param("[NaN", id="NaN, and cut off"),
            pytest.param('{"a": 1, "a": 2', id="a duplicate, and cut off"),
            pytest.param("[" * 100_000, id="an abyss"),
            pytest.param("[" * 100_000 + "]" * 100_000, id="an abyss with a way back"),
            pytest.param("[NaN, " + "[" * 100_000, id="NaN before an abyss"),
        ],
    )
    def test_what_is_no_json_is_refused_without_a_pointer(self, body):
        error = refusal(body)

        assert (error.code, error.pointer) == ("invalid-json", None)

    @pytest.mark.parametrize(
        ("text", "where"), [("[1,\n 2 3]", "line 2, column 4"), ("", "line 1, column 1"), ('"\t"', "line 1, column 2")]
    )
    def test_the_detail_says_where_the_text_breaks(self, text, where):
        assert where in refusal(text).detail

    @pytest.mark.parametrize(
        ("text", "pointer"),
        [
            ("NaN", ""),
            ("[1, Infinity]", "/1"),
            ('{"a": [-Infinity]}', "/a/0"),
            ('{"a/b": {"~": NaN}}', "/a~1b/~0"),
            ('{"a": 1e400}', "/a"),
            ('{"a": -1e400}', "/a"),
            (LONG, ""),
            (f'{{"a": [-{LONG}]}}', "/a/0"),
            (f"[-{LONG[:-1]}, NaN]", "/1"),
            ('{"a": 1, "a": 1}', "/a"),
            ('{"a": 1, "\\u0061": 2}', "/a"),
            ('{"a": 1, "a": 2, "a": 3}', "/a"),
            ('[{}, {"b": {"a": 1, "a": 2}}]', "/1/b/a"),
            ('{"a": {"b": NaN}, "a": 1}', "/a"),
            ('{"": 1, "": 2}', "/"),
            ("[NaN, NaN]", "/0"),
            ('{"a": NaN, "b": 1e400}', "/a"),
        ],
    )
    def test_a_value_that_no_store_can_keep_is_pointed_at(self, text, pointer):
        error = refusal(text)

        assert (error.code, error.pointer) == ("invalid-json", pointer)

    @pytest.mark.parametrize(
        ("text", "pointer"),
        [
            ('"\\u0000"', ""),
            ('["a", "b\\u0000c"]', "/1"),
            ('{"a": "\\ud800"}', "/a"),
            ('{"a": "\\uDFFF"}', "/a"),
            ('{"a": "\\ude00\\ud83d"}', "/a"),
            ('{"a": {"\\u0000": 1}}', "/a"),
            ('{"\\udbff": 1}', ""),
            ('{"a": "\\ud800", "b": "\\u0000"}', "/a"),
        ],
    )
    def test_text_that_no_store_can_keep_is_pointed_at(self, text, pointer):
        error = refusal(text)

        assert (error.code, error.pointer) == ("invalid-string", pointer)

    @pytest.mark.parametrize(
        "text",
        [
            pytest.param('{"\\ud800": NaN}', id="NaN"),
            pytest.param('{"\\ud800": {"a": 1, "a": 2}}', id="a duplicate"),
            pytest.param('{"\\ud800": ' + "[" * MAX_DEPTH + "]" * MAX_DEPTH + "}", id="too deep"),
        ],
    )
    def test_no_pointer_leads_through_a_name_that_cannot_be_encoded(self, text):
        error = refusal(text)

        assert (error.code, error.pointer) == ("invalid-string", "")

    @pytest.mark.parametrize(
        ("text", "pointer"),
        [
            ("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1), "/0" * MAX_DEPTH),
            ("[1, {}, " * MAX_DEPTH + "1" + "]" * MAX_DEPTH, "/2" * (MAX_DEPTH - 1) + "/1"),
            ('{"a": ' * (MAX_DEPTH + 2) + "1" + "}" * (MAX_DEPTH + 2), "/a" * MAX_DEPTH),
        ],
    )
    def test_the_first_object_or_array_that_stands_too_deep_is_pointed_at(self, text, pointer):
        error = refusal(text)

        assert (error.code, error.pointer) == ("invalid-json", pointer)
        assert isinstance(resolve(json.loads(text), pointer), dict | list)

    def test_the_search_for_a_flaw_needs_no_memory_for_each_level_of_each_value(self):
        depth, width = 400, 20_000
        text = "[" * depth + "1, " * width + "NaN" + "]" * depth
        tracemalloc.start()
        try:
            error = refusal(text)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()

        assert error.pointer == "/0" * (depth - 1) + f"/{width}"
        assert peak < 100 * len(text)


flawed_leaves = st.sampled_from(
    [
        *("null", "true", "1", "1.5", '"a"', '"\\ud83d\\ude00"'),
        *("NaN", "-Infinity", "1e400", '"\\u0000"', '"a\\udfff"', LONG, "[" * MAX_DEPTH + "]" * MAX_DEPTH),
    ]
)
flawed_names = st.sampled_from(['"a"', '"b"', '"~"', '"/"', '""', '"\\ud800"', '"\\u0000"'])


def _array(elements):
    return f"[{', '.join(elements)}]"


def _object(members):
    return f"{{{', '.join(f'{name}: {value}' for name, value in members)}}}"


flawed_texts = st.recursive(
    flawed_leaves,
    lambda inner: (
        st.lists(inner, max_size=4).map(_array) | st.lists(st.tuples(flawed_names, inner), max_size=4).map(_object)
    ),
    max_leaves=8,
)
"""JSON as the standard decoder reads it, mostly with what it should not have read."""


class TestLaws:
    @given(flawed_texts)
    def test_a_text_is_read_whole_or_refused_with_a_pointer_to_something_in_it(self, text):
        try:
            value = parse(text)
        except RequestFailed as failed:
            (error,) = failed.errors
            resolve(leniently(text), error.pointer)
            error.pointer.encode()
        else:
            assert json.dumps(value) == text

    @given(st.text() | st.binary())
    @example(b"\xed\xa0\x80")
    def test_no_body_raises_anything_else(self, body):
        with suppress(RequestFailed):
            parse(body)


class TestTheSetting:
    """How deep objects and arrays stand in each other: `options` is on the sixth level, an attribute's value."""

    @staticmethod
    def of(depth):
        return update("articles", "3", attributes={"options": json.loads('{"a":' * depth + "1" + "}" * depth)})

    def test_it_has_a_limit(self):
        made = seeded(ATOMIC_MAX_DEPTH=8)
        before = stored(made.layer)

        for depth, members in ((4, "/a/a/a"), (50, "/a/a/a")):
            answer = post(made.client, self.of(depth))
            assert answer.errors == [(400, "invalid-json", f"/0/data/attributes/options{members}")]
            assert "more than 8 deep" in answer.error_objects[0]["detail"]
        assert stored(made.layer) == before
        assert post(made.client, self.of(3)).status == 200

    def test_that_is_100_unless_the_application_says_otherwise(self):
        client = seeded().client

        assert post(client, self.of(95)).status == 200
        assert post(client, self.of(96)).errors == [(400, "invalid-json", "/0/data/attributes/options" + "/a" * 95)]

    def test_a_schema_nested_in_itself_takes_what_is_not_too_deep(self):
        """Else the limit would have to be lower: the stack has no room for more than about 107 levels of it."""

        class Node(marshmallow.Schema):
            child = fields.Nested(lambda: Node())

        atomic = Atomic(MemoryLayer())
        atomic.resource(schema("nodes", child=fields.Nested(Node)))
        client = application(atomic).test_client()
        text = '{"child":' * 95 + "{}" + "}" * 95

        answer = post(client, add("nodes", attributes=json.loads(text)))

        assert answer.results[0]["data"]["attributes"] == json.loads(text)
