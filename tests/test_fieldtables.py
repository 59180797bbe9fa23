"""Tables of fields give what marshmallow gives: for all fields that they know, and for whatever is sent or shown."""

from __future__ import annotations

import enum
import json
import re
import uuid
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any, ClassVar

import marshmallow
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from marshmallow import (
    EXCLUDE,
    INCLUDE,
    RAISE,
    ValidationError,
    fields,
    post_dump,
    post_load,
    pre_dump,
    pre_load,
    validate,
    validates,
    validates_schema,
)
from marshmallow_jsonapi import Schema
from marshmallow_jsonapi import fields as jsonapi_fields

from flask_atomic.codec import Codec, InvalidResource
from tests.documents import json_values


class Genre(enum.Enum):
    ROCK = "rock music"
    JAZZ = 2


def declare(declared: dict[str, Any], **meta: Any) -> type[Schema]:
    members = {"id": fields.Str(), **declared, "Meta": type("Meta", (), {"type_": "things", **meta})}
    return type("ThingSchema", (Schema,), members)


def by_marshmallow(schema: type[Schema]) -> Codec:
    """The codec without its tables."""
    codec = Codec(schema)
    codec._load_table = codec._dump_table = None
    return codec


def outcome(call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """What a call returns or raises, so that types, the order of members, and nan compare as well."""
    try:
        return repr(call(*args, **kwargs))
    except InvalidResource as invalid:
        return invalid.problems
    except Exception as error:
        return type(error), str(error)


# ------------------------------------------------------------------------------------------------ schemas of all kinds


def refuse_even(value: Any) -> None:
    if value in (2, 4, True, "2"):
        raise ValidationError({"even": ["Is even."]})


def refuse_long(value: Any) -> None:
    if len(value) > 2:  # a TypeError for numbers: a defect of the application
        raise ValidationError(["Is long.", "Far too long."])


validators = st.lists(
    st.sampled_from(
        [
            validate.Length(min=1, max=3),  # a TypeError of marshmallow for numbers
            validate.Range(min=0, max=3),
            validate.OneOf(["a", "on", 1, True, date(2020, 1, 1)]),
            validate.Regexp("[a-z]"),
            validate.Length(equal=2, error="{input} is not {equal} long, {oh}"),  # which fails if it is told
            validate.URL(schemes={"https"}, error="No {input}!"),
            validate.Email(error="No {input}!"),
            json.loads,  # a ValueError of the standard library
            refuse_even,
            refuse_long,
            lambda value: value != "a",
        ]
    ),
    max_size=3,
)

defaults = st.sampled_from([None, "a", 3, True, 1.5, [1], {"a": 1}, Genre.ROCK, lambda: "made", lambda: 7, list])


def options(*, inner: bool = False) -> st.SearchStrategy[dict[str, Any]]:
    """The options that every field has; `inner` for a field in another one."""
    own: dict[str, Any] = {
        "allow_none": st.booleans(),
        "validate": validators,
        "error_messages": st.sampled_from(
            [{"invalid": "No!", "null": "Not null!"}, {"invalid": "{input}!"}, {"invalid": "{oh}"}]
        ),
    }
    place: dict[str, Any] = {
        "load_default": defaults,
        "dump_default": defaults,
        "data_key": st.sampled_from(["alpha", "betaKey", "c c"]),
        "attribute": st.sampled_from(["alpha", "id", "key", "beta", "in.ner"]),
        "required": st.booleans(),
        "load_only": st.booleans(),
        "dump_only": st.booleans(),
    }
    drawn = st.fixed_dictionaries({}, optional=own if inner else own | place)
    return drawn.map(_agreeing)


def _agreeing(chosen: dict[str, Any]) -> dict[str, Any]:
    if chosen.get("required"):
        chosen.pop("load_default", None)
    if chosen.get("load_only"):
        chosen.pop("dump_only", None)
    return chosen


def kinds(*, inner: bool = False) -> st.SearchStrategy[Any]:
    """Fields of every kind that the tables know."""
    common = options(inner=inner)
    plain = st.sampled_from(
        [
            *(fields.Str, fields.String, fields.Email, fields.Url, fields.Int, fields.Float, fields.Bool, fields.Raw),
            *(fields.Decimal, fields.UUID, fields.Date, fields.Time, fields.DateTime, fields.AwareDateTime),
            *(fields.NaiveDateTime, fields.TimeDelta, fields.Dict, jsonapi_fields.Str, jsonapi_fields.Int),
        ]
    ).flatmap(lambda kind: common.map(lambda chosen: kind(**chosen)))
    return st.one_of(plain, _special(common), *([] if inner else [_containers()]))


def _special(common: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[Any]:
    return st.one_of(
        _with(common, fields.Int, strict=st.booleans(), as_string=st.booleans()),
        _with(common, fields.Float, allow_nan=st.booleans(), as_string=st.booleans()),
        _with(common, fields.Decimal, places=st.sampled_from([None, 0, 2]), as_string=st.booleans()),
        _with(common, fields.Bool, truthy=st.sampled_from([{"a"}, set(), {"on", True}])),
        _with(common, fields.Bool, falsy=st.sampled_from([{"a"}, {"off"}])),
        _with(common, fields.DateTime, format=st.sampled_from(["iso", "rfc", "timestamp", "%d.%m.%Y"])),
        _with(common, fields.Date, format=st.sampled_from(["iso", "%d.%m.%Y"])),
        _with(common, fields.AwareDateTime, default_timezone=st.just(UTC)),
        _with(common, fields.NaiveDateTime, timezone=st.just(UTC)),
        _with(common, fields.TimeDelta, precision=st.sampled_from(["days", "seconds"])),
        _with(common, fields.Url, relative=st.booleans(), require_tld=st.booleans()),
        _with(common, fields.Enum, enum=st.just(Genre), by_value=st.sampled_from([False, True, fields.Raw])),
    )


def _with(common: st.SearchStrategy[dict[str, Any]], kind: Any, **special: st.SearchStrategy[Any]) -> Any:
    return st.tuples(common, st.fixed_dictionaries(special)).map(lambda drawn: kind(**drawn[0], **drawn[1]))


def _containers() -> st.SearchStrategy[Any]:
    inner = st.deferred(lambda: kinds(inner=True))
    lists = st.tuples(inner, options()).map(lambda drawn: fields.List(drawn[0], **drawn[1]))
    keys, values = st.none() | st.builds(fields.Str), st.none() | inner
    dicts = st.tuples(keys, values, options()).map(
        lambda drawn: fields.Dict(**{"keys": drawn[0], "values": drawn[1], **drawn[2]})
    )
    return lists | dicts


ids = st.one_of(
    st.sampled_from([fields.Str, fields.Int, fields.UUID]).flatmap(lambda kind: st.builds(kind)),
    st.builds(fields.Str, validate=validators, required=st.booleans()),
    st.builds(fields.Str, attribute=st.sampled_from(["key", "id"])),
    st.builds(fields.Int, dump_only=st.just(True)),
)
metas = st.fixed_dictionaries(
    {},
    optional={
        "unknown": st.sampled_from([RAISE, EXCLUDE, INCLUDE]),
        "inflect": st.just(str.upper),
        "datetimeformat": st.just("%Y"),
        "dateformat": st.just("%Y"),
    },
)
NAMES = ("alpha", "beta", "gamma", "delta")


@st.composite
def schemas(draw: st.DrawFn) -> type[Schema]:
    declared = {name: draw(kinds()) for name in draw(st.lists(st.sampled_from(NAMES), unique=True))}
    schema = declare({"id": draw(ids), **declared}, **draw(metas))
    try:
        Codec(schema)
    except Exception:  # two attributes of one name, for instance
        return declare({name: fields.Str() for name in declared})
    return schema


good = st.sampled_from(
    [
        *("", "a", "on", "off", "true", "0", "1", "7", "1.50", "NaN", "-Infinity", "rock music", "ROCK", "JAZZ"),
        *(
            "a@b.de",
            "nowhere",
            "https://a.de/b",
            "2020-01-01",
            "12:30:00",
            "2020-01-01T12:30:00",
            "2020-01-01T12:30:00+02:00",
        ),
        *("01.02.2020", "Thu, 01 Jan 1970 00:00:00 -0000", "6f1c1e2a-0000-4000-8000-00000000000a", "\ud800"),
        *(0, 1, 2, -1, 10**30, True, False, 1.0, 1.5, 1e308, ["a"], ["a", "b", 1], {"a": "a"}, {"a": 1, "b": None}),
    ]
)
sent = good | json_values


@given(
    st.data(), schemas(), st.booleans(), st.none() | st.sampled_from(["1", "a", "6f1c1e2a-0000-4000-8000-00000000000a"])
)
def test_values_load_as_marshmallow_loads_them(
    data: st.DataObject, schema: type[Schema], partial: bool, id_: str | None
) -> None:
    codec, reference = Codec(schema), by_marshmallow(schema)
    names = sorted({*codec._loaded_names, "unknown"})
    attributes = data.draw(st.dictionaries(st.sampled_from(names), sent))
    options = {"id": id_, "partial": partial}
    assert outcome(codec.load, attributes, **options) == outcome(reference.load, attributes, **options)


shown = st.one_of(
    good,
    json_values,
    st.sampled_from(
        [
            *(Genre.ROCK, Genre.JAZZ, Decimal("1.50"), Decimal(2), Decimal("NaN"), float("inf"), float("nan"), b"a"),
            *(date(2020, 1, 1), time(1, 2), datetime(2020, 1, 1, tzinfo=UTC), datetime(2020, 1, 1), timedelta(1)),
            *(uuid.UUID(int=1), {1, 2}, (1, "a"), {"a": Decimal(1)}, [Genre.JAZZ], object, {"a": b"b"}),
        ]
    ),
)


@given(st.data(), schemas())
def test_entities_are_dumped_as_marshmallow_dumps_them(data: st.DataObject, schema: type[Schema]) -> None:
    codec, reference = Codec(schema), by_marshmallow(schema)
    plain = {attribute for attribute in codec.attributes if "." not in attribute}
    attributes = sorted((plain | {"more"}) - {codec.id_attribute})
    values = st.dictionaries(st.sampled_from(attributes), shown)
    things = values.map(lambda given: SimpleNamespace(**given, **{codec.id_attribute: 7}))
    entities = data.draw(st.lists(things, min_size=1, max_size=3))
    assert outcome(codec.dump, entities) == outcome(reference.dump, entities)


@settings(max_examples=30)
@given(schemas())
def test_most_schemas_have_tables(schema: type[Schema]) -> None:
    codec = Codec(schema)
    taken = {codec.id_attribute, "id"} & codec.loaded_attributes
    paths = [name for name in codec.attributes if "." in name]
    assert (codec._load_table is not None) >= (not taken and not paths)
    assert (codec._dump_table is not None) >= (not paths)


# ------------------------------------------------------------------------------------------------------- validators

near_addresses = st.lists(
    st.sampled_from(
        [
            *(
                "a",
                "B7",
                "_",
                "+",
                "-",
                "--",
                ".",
                "..",
                "@",
                "'",
                '"',
                "[",
                "127.0.0.1",
                "]",
                " ",
                "\n",
                "\0",
                "{",
                "\\",
            ),
            *("com", "c", "7", "localhost", "\u00e9", "\u212a", "\u0131", "\u0660", "\uff0e", "\u00df", "xn--p1ai"),
            *("x" * 31, "x" * 32, "x" * 63, "x" * 64, "x." * 100),
        ]
    ),
    max_size=9,
).map("".join)
addresses = st.one_of(
    near_addresses,
    st.tuples(near_addresses, near_addresses).map("@".join),
    st.emails(),
    st.from_regex(re.compile(r"[\w+.-]+@([\w-]{1,70}\.)+[\w-]+\n?")),
    st.text(max_size=20),
)


@pytest.mark.parametrize("error", [None, "No!", "No, {input}!", "{oh}", "{"])
@given(address=addresses)
@example(address="a@b.de")
@example(address="a@b.c")
@example(address="a@b-.de")
@example(address="a@" + "x" * 31 + "-" + "x" * 31 + ".de")
@example(address="a@" + "x" * 32 + "-" + "x" * 31 + ".de")
@example(address="a@" + "x" * 64 + ".de")
def test_an_address_is_judged_as_by_marshmallow(error: str | None, address: str) -> None:
    assume(len(address) <= 320)
    validator = validate.Email(error=error)
    reference = by_marshmallow(declare({"value": fields.Str(validate=lambda value: validator(value) and None)}))
    codec = Codec(declare({"value": fields.Str(validate=validator)}))
    assert outcome(codec.load, {"value": address}) == outcome(reference.load, {"value": address})


@pytest.mark.parametrize("address", ["a@b.de", "first.last+tag@my-mail.example.com", "_@7.museum"])
def test_a_usual_address_is_not_given_to_marshmallow(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    codec = Codec(declare({"value": fields.Email()}))
    monkeypatch.setattr(validate.Email, "__call__", lambda *_: pytest.fail("It was."))
    assert codec.load({"value": address}) == {"value": address}


class Choosy(validate.Email):
    """An application's own: it may refuse more, and its False means nothing to marshmallow."""

    def __call__(self, value: str) -> str:
        if value.startswith("no"):
            raise ValidationError({"prefix": ["Not this one."]})
        return super().__call__(value)


class Lengthy(validate.Length):
    def __call__(self, value: Any) -> Any:
        raise ValidationError({"length": ["Never right."]})


def wordy(validator: Any) -> Any:
    """A validator of marshmallow whose message is made by the application."""
    validator._format_error = lambda *_: {"own": ["Not so."]}
    return validator


VALIDATORS = {
    "an own address": Choosy(),
    "an own length": Lengthy(),
    "an own message": wordy(validate.Length(max=2)),
    "an own message of addresses": wordy(validate.Email()),
    "a message that is no text": validate.Regexp("a$", error=["Not", "so."]),  # type: ignore[arg-type]
    "several": [validate.Length(max=2), validate.Regexp("a$")],
    "several addresses": [validate.Email(), Choosy()],
    "none": [],
}


@pytest.mark.parametrize("validator", VALIDATORS)
def test_what_a_validator_says_is_told_as_by_marshmallow(validator: str) -> None:
    schema = declare({"value": fields.Str(validate=VALIDATORS[validator])})
    for value in ("", "a", "b", "bbb", "a@b.de", "no@b.de", "nowhere"):
        assert outcome(Codec(schema).load, {"value": value}) == outcome(by_marshmallow(schema).load, {"value": value})


# -------------------------------------------------------------------------------------- what only marshmallow can do


class Shout(fields.Str):
    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        return super()._deserialize(value, *args, **kwargs).upper()


class Hush(fields.Str):
    def _serialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        return None if value is None else value.lower()


def changed(**changes: Any) -> fields.Str:
    """A field of which the application has replaced methods."""
    field = fields.Str()
    vars(field).update(changes)
    return field


class Inner(marshmallow.Schema):
    a = fields.Str()


FIELDS: dict[str, Any] = {
    "a class of its own": Shout(),
    "a class of its own, to dump": Hush(),
    "one in a list": fields.List(Shout()),
    "one in the names of a mapping": fields.Dict(keys=Shout()),
    "one in the values of a mapping": fields.Dict(values=fields.List(Hush())),
    "nested": fields.Nested(Inner),
    "a list of nested": fields.List(fields.Nested(Inner)),
    "plucked": fields.Pluck(Inner, "a"),
    "a tuple": fields.Tuple((fields.Str(), fields.Int())),
    "a constant": fields.Constant("c"),
    "an address": fields.IP(),
    "a method": fields.Method("show", deserialize="see"),
    "a function": fields.Function(lambda thing: thing.value * 2, deserialize=str),
    "a path": fields.Str(attribute="value.real"),
    "an own deserialize": changed(deserialize=lambda value, *_, **__: f"<{value}>"),
    "an own _deserialize": changed(_deserialize=lambda value, *_, **__: f"<{value}>"),
    "an own _serialize": changed(_serialize=lambda value, *_, **__: f"<{value}>"),
    "an own serialize": changed(serialize=lambda *_, **__: "own"),
    "an own _validate": changed(_validate=lambda _: None),
}


@pytest.mark.parametrize("field", FIELDS)
def test_a_field_that_is_not_known_is_left_to_marshmallow(field: str) -> None:
    members = {"show": lambda self, thing: "shown", "see": lambda self, value: "seen"}
    schema = type("Other", (declare({"value": FIELDS[field]}),), members)
    codec, reference = Codec(schema), by_marshmallow(schema)
    assert codec._load_table is None
    assert codec._dump_table is None
    for value in ("Aa", "127.0.0.1", ["Aa"], {"a": "Aa"}, ["Aa", 1], [{"a": "Aa"}]):
        assert outcome(codec.load, {"value": value}) == outcome(reference.load, {"value": value})
        thing = SimpleNamespace(value=value)
        assert outcome(codec.dump, [thing]) == outcome(reference.dump, [thing])


def test_a_changed_field_is_still_guarded() -> None:
    codec = Codec(declare({"value": changed(_deserialize=lambda value, *_, **__: int(value))}))
    with pytest.raises(ValueError, match="invalid literal"):  # a defect of the application
        codec.load({"value": "x"})


class Hooks:
    """What an application may put into a schema."""

    @pre_load
    def before_load(self, data: Any, **_: Any) -> Any:
        return data

    @post_load
    def after_load(self, data: Any, **_: Any) -> Any:
        return {**data, "more": 1}

    @validates("value")
    def check(self, value: Any, **_: Any) -> None:
        if value == "bad":
            raise ValidationError("Bad.")

    @validates_schema
    def check_all(self, data: Any, **_: Any) -> None:
        if data.get("value") == "bad":
            raise ValidationError("All bad.")

    @pre_load
    def unwrap_request(self, data: Any, many: bool, **_: Any) -> Any:
        return {"value": "unwrapped"}

    def unwrap_item(self, item: Any) -> Any:
        return {"value": "unwrapped"}

    def load(self, *args: Any, **kwargs: Any) -> Any:
        return {"value": "loaded"}

    @pre_dump
    def before_dump(self, thing: Any, **_: Any) -> Any:
        return SimpleNamespace(value="before")

    @post_dump
    def after_dump(self, data: Any, **_: Any) -> Any:
        return data

    def get_attribute(self, thing: Any, name: str, default: Any) -> Any:
        return f"got {name}"

    def dump(self, things: Any, **_: Any) -> Any:
        return {"data": [{"attributes": {"value": "dumped"}} for _ in things]}

    def format_items(self, data: Any, many: bool) -> Any:
        return [{"attributes": {"value": "formatted"}} for _ in data]

    def get_resource_links(self, item: Any) -> Any:
        return {"self": "/here"}

    def render_meta_document(self, data: Any) -> Any:
        return {"data": [{"attributes": {"value": "rendered"}} for _ in data["data"]]}


OF_LOADING = (*("before_load", "after_load", "check", "check_all", "unwrap_request", "unwrap_item", "load"),)
OF_DUMPING = (
    *("before_dump", "after_dump", "get_attribute", "dump", "format_items", "get_resource_links"),
    "render_meta_document",
)


@pytest.mark.parametrize("name", [*OF_LOADING, *OF_DUMPING])
def test_a_hook_of_the_schema_is_called(name: str) -> None:
    schema = type("Hooked", (declare({"value": fields.Str()}),), {name: vars(Hooks)[name]})
    codec, reference = Codec(schema), by_marshmallow(schema)
    assert (codec._load_table is None) is (name in OF_LOADING)
    assert (codec._dump_table is None) is (name in OF_DUMPING)
    for value in ("good", "bad"):
        assert outcome(codec.load, {"value": value}) == outcome(reference.load, {"value": value})
    assert outcome(codec.dump, [SimpleNamespace(value="v")]) == outcome(reference.dump, [SimpleNamespace(value="v")])


def test_links_of_the_schema_are_shown() -> None:
    codec = Codec(declare({"value": fields.Str()}, self_url="/things/{id}", self_url_kwargs={"id": "<id>"}))
    assert codec._dump_table is None
    assert codec.dump([SimpleNamespace(id=7, value="v")]) == [
        {"attributes": {"value": "v"}, "links": {"self": "/things/7"}}
    ]


def test_meta_of_a_resource_is_shown() -> None:
    codec = Codec(declare({"value": fields.Str(), "meta": jsonapi_fields.ResourceMeta()}))
    assert codec.dump([SimpleNamespace(value="v", meta={"a": 1})]) == [{"attributes": {"value": "v"}, "meta": {"a": 1}}]


def test_entities_with_items_are_dumped_by_their_items() -> None:
    class Row(dict[str, Any]):
        value = "attribute"

    codec = Codec(declare({"value": fields.Str()}))
    assert codec._dump_table is not None
    things = [SimpleNamespace(value="plain"), Row(value="item"), Row()]
    assert [each["attributes"]["value"] for each in codec.dump(things)] == ["plain", "item", "attribute"]


def test_a_second_attribute_for_the_id_is_not_loaded() -> None:
    codec = Codec(declare({"id": fields.Str(dump_only=True), "number": fields.Int(attribute="id")}))
    assert codec.load({"number": 5}) == {}


@pytest.mark.parametrize(
    "id_field", [fields.Int(), fields.UUID(), fields.Str(validate=validate.Length(max=1)), Shout()]
)
def test_an_id_is_validated(id_field: Any) -> None:
    schema = declare({"id": id_field, "value": fields.Str()})
    for id_ in ("1", "ab"):
        assert outcome(Codec(schema).load, {}, id=id_) == outcome(by_marshmallow(schema).load, {}, id=id_)


# ----------------------------------------------------------------------------------------------- code of applications


class Called:
    """A validator, or what makes a default: it is to be called as often as by marshmallow."""

    calls: ClassVar[list[Any]] = []

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error

    def __call__(self, *args: Any) -> Any:
        self.calls.append(args)
        if self.error is not None and args[0] != "fine":
            raise self.error
        return len(self.calls)


ERRORS = {
    "none": None,
    "refusal": ValidationError("Refused."),
    "refusal for several reasons": ValidationError({"a": ["Refused."]}),
    "value": ValueError("A defect."),
    "name": NameError("A defect."),
}


@pytest.mark.parametrize("other", ["x", None, 5])
@pytest.mark.parametrize("value", ["fine", "x", 5])
@pytest.mark.parametrize("error", ERRORS)
def test_code_of_the_application_is_called_as_by_marshmallow(error: str, value: Any, other: Any) -> None:
    made = {
        "value": fields.Str(validate=[Called(ERRORS[error]), Called()]),
        "default": fields.Int(load_default=Called(), dump_default=Called()),
        "other": fields.Str(),
    }
    schema = declare(made)
    seen = []
    for codec in (Codec(schema), by_marshmallow(schema)):
        Called.calls.clear()
        loaded = outcome(codec.load, {"value": value, "other": other})
        dumped = outcome(codec.dump, [SimpleNamespace(value=value, other="x")])
        seen.append((loaded, dumped, list(Called.calls)))
    assert seen[0] == seen[1]
