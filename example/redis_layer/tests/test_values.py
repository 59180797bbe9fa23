"""Values come back equal and of the same type, or are refused at the attribute that has them."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum, IntFlag, StrEnum
from ipaddress import ip_address, ip_interface
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from flask_atomic import Atomic
from flask_atomic.testing import AtomicClient, Document, identifier
from marshmallow_jsonapi import Schema, fields

from flask_atomic_redis import RedisLayer
from flask_atomic_redis.values import decode, encode


class Genre(Enum):
    JAZZ = "the one with the blue notes"
    ROCK = ("also", 1)


class Level(IntEnum):
    LOW = 1


class Word(StrEnum):
    YES = "y"


class Permission(IntFlag):
    READ = 1
    WRITE = 2


ENUMS = {kind.__name__: kind for kind in (Genre, Level, Word, Permission)}

VALUES = [
    None,
    True,
    0,
    -1,
    1 << 70,
    1.0,
    -0.0,
    1e308,
    float("inf"),
    "",
    "1",
    "null",
    "Zoë 春 🖋\0\ud800",
    Decimal("1.50"),
    Decimal("-Infinity"),
    Decimal("1E+500"),
    UUID(int=7),
    date(1, 1, 1),
    time(23, 59, 59, 999999),
    time(1, tzinfo=timezone(timedelta(hours=-3))),
    datetime(2024, 2, 29, 12, 0, 0, 1),
    datetime(9999, 12, 31, tzinfo=UTC),
    datetime(2024, 1, 1, tzinfo=timezone(timedelta(hours=5, minutes=30))),
    timedelta(days=-1, microseconds=1),
    ip_address("127.0.0.1"),
    ip_address("::1"),
    ip_interface("10.0.0.1/8"),
    ip_interface("fe80::1/64"),
    [],
    [1, [None, "a"], {}],
    (1, "a", [Decimal("2")]),
    {},
    {"a": {"b": [date(2024, 1, 1)]}},
    {"date": "2024-01-01"},
    {"dict": [["a", 1]]},
    {1: "a", UUID(int=1): {}},
    *Genre,
    *Level,
    *Word,
    *Permission,
    {Genre.JAZZ: [Level.LOW]},
]


def types(value: Any) -> Any:
    """The types of a value and of all that it holds."""
    if isinstance(value, dict):
        return dict, [(types(key), types(item)) for key, item in value.items()]
    return type(value), [types(item) for item in value] if isinstance(value, list | tuple) else []


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_a_value_comes_back_equal(value: object) -> None:
    back = decode(encode(value, ENUMS), ENUMS)
    assert (back, types(back)) == (value, types(value))


def test_a_number_that_is_none_comes_back() -> None:
    assert repr(decode(encode([float("nan"), Decimal("sNaN")]))) == "[nan, Decimal('sNaN')]"


class Text(str):
    """Something that only looks like a text."""


@pytest.mark.parametrize(
    "value",
    [object(), {1}, b"x", 1j, [object()], {"a": object()}, (Text("a"),), Genre.JAZZ, Level.LOW, Text("a")],
    ids=repr,
)
def test_a_value_of_another_type_is_refused(value: object) -> None:
    with pytest.raises(TypeError):
        encode(value)


def test_an_enumeration_of_the_same_name_is_another_one() -> None:
    other = Enum("Genre", ["JAZZ"])
    with pytest.raises(TypeError):
        encode(other.JAZZ, ENUMS)
    with pytest.raises(TypeError):
        encode(Permission.READ | Permission.WRITE, ENUMS)


def test_a_member_that_is_not_there_any_more_is_told() -> None:
    with pytest.raises(LookupError):
        decode('{"enum":["Genre","POLKA"]}', ENUMS)


# --------------------------------------------------------------------------------------------------------- by HTTP


class PartSchema(Schema):
    width = fields.Int()
    label = fields.Str()

    class Meta:
        type_ = "parts"


class ThingSchema(Schema):
    id = fields.Str()
    text = fields.Str(data_key="the text")
    price = fields.Decimal(as_string=True)
    made = fields.AwareDateTime()
    day = fields.Date()
    at = fields.Time()
    lasts = fields.TimeDelta()
    key = fields.UUID()
    address = fields.IP()
    genre = fields.Enum(Genre)
    tags = fields.List(fields.Str())
    pair = fields.Tuple((fields.Int(), fields.Str()))
    sizes = fields.Dict(keys=fields.Int(), values=fields.Float())
    anything = fields.Raw(allow_none=True)
    count = fields.Int(data_key="how-many")
    colour = fields.Enum(Level, by_value=True)

    class Meta:
        type_ = "things"


THING = {
    "the text": "Ünlü",
    "price": "1.50",
    "made": "2024-02-29T12:00:00+02:00",
    "day": "2024-02-29",
    "at": "12:00:00.000001",
    "lasts": 90,
    "key": "123e4567-e89b-12d3-a456-426614174000",
    "address": "::1",
    "genre": "ROCK",
    "tags": ["a", "b"],
    "pair": [1, "a"],
    "sizes": {"1": 2.5},
    "anything": {"UUID": [1, None, {"x": True}]},
    "how-many": 7,
}


@pytest.fixture
def client(layer: RedisLayer) -> AtomicClient:
    atomic = Atomic(layer)
    atomic.resource(ThingSchema, layer="redis", enums=[Genre])
    app = Flask("things")
    app.register_blueprint(atomic.blueprint)
    return AtomicClient(app)


def test_attributes_are_answered_as_they_were_sent(client: AtomicClient) -> None:
    (added,) = client.send(Document().add("things", attributes=THING)).resources
    assert added["attributes"] == {**THING, "colour": None}
    (read,) = client.send(Document().update(added)).resources
    assert read == added


def test_attributes_that_were_never_set_are_null(client: AtomicClient) -> None:
    (added,) = client.send(Document().add("things")).resources
    assert set(added["attributes"].values()) == {None}


@pytest.mark.parametrize("member", ["colour", "how-many"])
def test_a_value_that_cannot_be_stored_is_told_at_its_attribute(client: AtomicClient, member: str) -> None:
    value = {"colour": 1, "how-many": "1" * 4299 + "0" * 4}[member]
    document = Document().add("things").add("things", attributes={member: value})
    answer = client.send(document)
    answer.assert_error("invalid-attribute", status=422, pointer=f"/atomic:operations/1/data/attributes/{member}")
    assert client.send(Document().update(identifier("things", "1"))).status == 404
