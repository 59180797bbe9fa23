"""Tables of nested schemas give what marshmallow gives, for whatever is sent or shown; and know where they cannot."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import marshmallow
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from marshmallow import EXCLUDE, INCLUDE, fields, post_dump, post_load, pre_load, validate, validates_schema

from flask_atomic.codec import Codec
from tests.documents import json_values
from tests.test_fieldtables import declare, outcome


class Part(marshmallow.Schema):
    """What may be nested in itself, with a field of each kind that makes a difference."""

    number = fields.Int(required=True)
    name = fields.Str(data_key="called", validate=validate.Length(max=3), allow_none=True)
    count = fields.Int(load_default=7, dump_default=8, attribute="amount")
    made = fields.Str(dump_only=True)
    secret = fields.Str(load_only=True)
    doubled = fields.Function(lambda part: 2 * part["number"] if isinstance(part.get("number"), int) else None)
    part = fields.Nested(lambda: Part(), allow_none=True)
    parts = fields.List(fields.Nested(lambda: Part(only=("number", "part"))))
    by_name = fields.Dict(values=fields.Nested(lambda: Part(exclude=("parts",))))


class Lenient(Part):
    class Meta:
        unknown = INCLUDE


class Loading(Part):
    @post_load
    def change(self, values: Any, **_: Any) -> Any:
        return {**values, "changed": True}


class Preparing(Part):
    @pre_load
    def change(self, values: Any, **_: Any) -> Any:
        return {**values, "number": 5} if isinstance(values, dict) else values


class Validating(Part):
    @validates_schema
    def refuse(self, values: Mapping[str, Any], **_: Any) -> None:
        if values.get("number") == 1:
            raise marshmallow.ValidationError("Not that one.", "number")


class Dumping(Part):
    @post_dump
    def change(self, shown: Any, **_: Any) -> Any:
        return {**shown, "changed": True}


class Getting(Part):
    def get_attribute(self, obj: Any, attr: str, default: Any) -> Any:
        return 5 if attr == "number" else super().get_attribute(obj, attr, default)


class Telling(Part):
    def handle_error(self, error: marshmallow.ValidationError, data: Any, **_: Any) -> None:
        raise marshmallow.ValidationError("Wrong somehow.")


class Paths(marshmallow.Schema):
    number = fields.Int(attribute="inner.number")
    part = fields.Nested(Part, attribute="inner.part")


class Doubles(marshmallow.Schema):
    number = fields.Int(data_key="part")
    part = fields.Nested(Part, data_key="part")


NESTED = {
    "alone": fields.Nested(Part),
    "null": fields.Nested(Part, allow_none=True),
    "many": fields.Nested(Part, many=True),
    "of many": fields.Nested(Part(many=True)),
    "list": fields.List(fields.Nested(Part)),
    "dict": fields.Dict(values=fields.Nested(Part)),
    "excluding": fields.Nested(Part, unknown=EXCLUDE),
    "partial": fields.Nested(Part(partial=True)),
    "plucked": fields.Pluck(Part, "number"),
    **{kind.__name__: fields.List(fields.Nested(kind)) for kind in Part.__subclasses__()},
    "paths": fields.Nested(Paths),
    "doubles": fields.Nested(Doubles),
}

NAMES = ["number", "called", "count", "amount", "made", "secret", "part", "parts", "by_name", "@note", "other"]
SCALARS = st.sampled_from([None, 1, 2, "3", "long text", True, [], {}])


def objects(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Objects that are right as a rule, and other things."""
    parts = st.fixed_dictionaries(
        {"number": st.sampled_from([1, 2, 3, "x"])},
        optional={"called": SCALARS, "count": SCALARS, "part": inner, "parts": st.lists(inner, max_size=2)},
    )
    return st.one_of(parts, parts, st.dictionaries(st.sampled_from(NAMES), inner, max_size=4), inner)


VALUES = st.recursive(SCALARS, objects, max_leaves=8).flatmap(
    lambda value: st.sampled_from([value, [value], {"a": value}])
)


def with_and_without(field: Any) -> tuple[Codec, Codec]:
    """A codec with tables, and one without."""
    with_tables = Codec(declare({"nested": field}))
    with patch("flask_atomic.codec.use_tables"):
        return with_tables, Codec(declare({"nested": field}))


@pytest.mark.parametrize("kind", NESTED)
def test_what_is_loaded_and_shown(kind: str) -> None:
    table, marshmallows = with_and_without(NESTED[kind])

    @given(value=st.one_of(VALUES, json_values))
    @settings(max_examples=25)
    def compare(value: Any) -> None:
        for partial in (False, True):
            sent = {"nested": value}
            assert outcome(table.load, sent, partial=partial) == outcome(marshmallows.load, sent, partial=partial)
        entities = [SimpleNamespace(id=1, nested=value)]
        assert shown(table, entities) == shown(marshmallows, entities)

    compare()


def shown(codec: Codec, entities: list[Any]) -> Any:
    """What is dumped, or what is raised for an entity that cannot be what it is."""
    try:
        return repr(codec.dump(entities))
    except Exception as error:
        return repr(error)
