"""Schemas to relationships, attributes to values, entities to members: also what marshmallow-jsonapi gets wrong."""

from __future__ import annotations

import enum
import json
import uuid
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, time
from decimal import Decimal
from types import SimpleNamespace
from typing import ClassVar

import marshmallow
import marshmallow_jsonapi.flask
import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st
from marshmallow import (
    EXCLUDE,
    INCLUDE,
    ValidationError,
    post_dump,
    post_load,
    pre_dump,
    pre_load,
    validate,
    validates,
    validates_schema,
)
from marshmallow_jsonapi import Schema, fields

from flask_atomic import Atomic, MemoryLayer
from flask_atomic.codec import Codec, InvalidResource
from flask_atomic.errors import Code, ConfigurationError
from tests.application import add, application, id_, post, update
from tests.application import schema as plain_schema
from tests.documents import json_values


class Genre(enum.Enum):
    ROCK = "rock music"
    JAZZ = "jazz music"


def dasherize(text):
    return text.replace("_", "-")


class LineSchema(marshmallow.Schema):
    text = fields.Str(required=True)
    syllables = fields.Int(data_key="syllable/count", load_default=0)
    genre = fields.Enum(Genre)


class TrackSchema(Schema):
    id = fields.UUID(attribute="key")
    title = fields.Str(required=True, validate=[validate.Length(min=1, max=20), validate.NoneOf(["Untitled" * 4])])
    length_in_seconds = fields.Decimal(attribute="length", load_default=Decimal(1))
    genre = fields.Enum(Genre, allow_none=True)
    released = fields.DateTime(data_key="releasedAt")
    lines = fields.List(fields.Nested(LineSchema))
    credits = fields.Dict(keys=fields.Str(validate=validate.Length(max=3)), values=fields.Nested(LineSchema))
    secret = fields.Str(load_only=True)
    plays = fields.Int(dump_only=True)
    owned_by = fields.Relationship(type_="companies", include_resource_linkage=True, allow_none=True, attribute="owner")
    performers = fields.Relationship(type_="performers", many=True, required=True)
    label = fields.Relationship(type_="labels", dump_only=True, data_key="theLabel")

    class Meta:
        type_ = "musicTracks"
        inflect = dasherize


@pytest.fixture(scope="module")
def tracks():
    return Codec(TrackSchema)


def codec(*, meta=None, bases=(Schema,), **members):
    """A codec of a schema that has these members beside an `id`."""
    members = {"id": fields.Str(), **members}
    return Codec(type("SomeSchema", bases, {**members, "Meta": type("Meta", (), {"type_": "things", **(meta or {})})}))


def problems(codec, attributes, **options):
    with pytest.raises(InvalidResource) as invalid:
        codec.load(attributes, **options)
    resource = {"attributes": attributes, "id": options.get("id")}
    for problem in invalid.value.problems:
        value = resource
        for token in problem.tokens:
            value = value[token]  # else it does not point into what was sent
    return invalid.value.problems


def places(codec, attributes, **options):
    return {problem.tokens for problem in problems(codec, attributes, **options)}


def problems_with_relationships(codec, *relationships):
    """The problems with a resource that has no attributes, but these relationships."""
    with pytest.raises(InvalidResource) as invalid:
        codec.load({}, relationships=relationships)
    return [tuple(problem) for problem in invalid.value.problems]


def refused(codec, value):
    """The tokens below the attribute, and the detail, of the only problem with a value of the attribute `it`."""
    (problem,) = problems(codec, {"it": value})
    assert problem.code is Code.INVALID_ATTRIBUTE
    assert problem.tokens[:2] == ("attributes", "it")
    return problem.tokens[2:], problem.detail


class TestDeclaration:
    def test_type_and_id(self, tracks):
        assert (tracks.schema_name, tracks.type, tracks.id_attribute) == ("TrackSchema", "musicTracks", "key")
        assert codec().id_attribute == "id"

    def test_attributes_are_known_by_the_name_in_documents(self, tracks):
        assert tracks.attributes == {
            "title": "title",
            "length": "length-in-seconds",
            "genre": "genre",
            "released": "releasedAt",
            "lines": "lines",
            "credits": "credits",
            "secret": "secret",
            "plays": "plays",
        }

    def test_fields_are_what_is_shown(self, tracks):
        shown = {"title", "length-in-seconds", "genre", "releasedAt", "lines", "credits", "plays"}
        assert tracks.fields == shown | {"owned-by", "performers", "theLabel"}

    def test_loaded_attributes_are_those_that_clients_may_set(self, tracks):
        assert tracks.loaded_attributes == {"title", "length", "genre", "released", "lines", "credits", "secret"}

    def test_a_path_loads_into_its_first_attribute(self):
        assert codec(city=fields.Str(attribute="address.city")).loaded_attributes == {"address"}

    def test_what_a_post_load_hook_makes_of_the_attributes_is_not_known(self):
        class Hashing(Schema):
            password = fields.Str(load_only=True)

            @post_load
            def hash(self, data, **kwargs):
                return {"password_hash": hash(data["password"])}

        made = codec(bases=(Hashing,))

        assert made.loaded_attributes == frozenset()
        assert made.load({"password": "x"}) == {"password_hash": hash("x")}

    def test_relationships(self, tracks):
        owned_by, performers, label = tracks.relationships.values()

        assert list(tracks.relationships) == ["owned-by", "performers", "theLabel"]
        assert [owned_by.name, owned_by.attribute, owned_by.type] == ["owned-by", "owner", "companies"]
        assert [owned_by.many, owned_by.required, owned_by.nullable] == [False, False, True]
        assert [owned_by.shown, owned_by.writable] == [True, True]
        assert [performers.many, performers.required, performers.shown] == [True, True, False]
        assert [performers.attribute, performers.nullable] == ["performers", False]
        assert [label.name, label.attribute, label.writable] == ["theLabel", "label", False]

    def test_a_load_only_relationship_is_not_shown(self):
        made = codec(owner=fields.Relationship(type_="people", include_resource_linkage=True, load_only=True))
        assert not made.relationships["owner"].shown

    def test_options_of_meta_are_those_of_fields(self):
        made = codec(
            meta={"dump_only": ("plays", "owner"), "load_only": ("secret",), "exclude": ("internal",)},
            plays=fields.Int(),
            secret=fields.Str(),
            internal=fields.Str(),
            owner=fields.Relationship(type_="people"),
        )

        assert made.fields == {"plays", "owner"}
        assert made.attributes.keys() == {"plays", "secret"}
        assert not made.relationships["owner"].writable
        assert places(made, {"internal": "x", "plays": 1}) == {("attributes", "internal"), ("attributes", "plays")}

    def test_what_is_declared_cannot_be_changed(self, tracks):
        for mapping in (tracks.relationships, tracks.attributes):
            with pytest.raises(TypeError):
                mapping["x"] = "y"

    def test_the_class_of_the_user_stays_as_it_was(self):
        before = TrackSchema().fields.keys()
        Codec(TrackSchema)
        Codec(TrackSchema)

        assert TrackSchema().fields.keys() == before
        assert TrackSchema().fields["id"].data_key == "id"
        assert marshmallow.class_registry.get_class(f"{__name__}.TrackSchema") is TrackSchema
        assert TrackSchema().dump({"key": uuid.UUID(int=1), "owner": None})["data"]["relationships"]

    def test_one_instance_serves_all_requests(self, monkeypatch):
        made = []
        init = marshmallow.Schema.__init__
        monkeypatch.setattr(marshmallow.Schema, "__init__", lambda *a, **k: (made.append(a[0]), init(*a, **k))[1])
        some = codec(lines=fields.List(fields.Nested(LineSchema)))
        some.load({"lines": [{"text": "x"}]})
        some.dump([{"lines": [{"text": "x"}]}])
        at_first = len(made)

        for _ in range(3):
            some.load({"lines": [{"text": "x"}]})
            problems(some, {"lines": [{}]})
            some.dump([{"lines": [{"text": "x"}]}])

        assert len(made) == at_first > 0


def schema(**members):
    return type("BrokenSchema", (Schema,), {"Meta": type("Meta", (), {"type_": "things"}), **members})


TYPELESS = type("Meta", (), {})


class TestMistakesInTheSetUp:
    @pytest.mark.parametrize(
        ("wrong", "told"),
        [
            (None, "marshmallow_jsonapi.Schema"),
            ("articles", "'articles'"),
            (marshmallow.Schema, "marshmallow_jsonapi.Schema"),
            (TrackSchema(), "marshmallow_jsonapi.Schema"),
            (schema(), "`id`"),
            (schema(id=fields.Str(), Meta=TYPELESS), "type_"),
            (schema(id=fields.Str(), Meta=type("Meta", (), {"type_": 5})), "Meta.type_"),
            (schema(id=fields.Str(), Meta=type("Meta", (), {"type_": "a/b"})), "'a/b'"),
            (schema(id=fields.Str(), owner=fields.Relationship()), "type_="),
            (schema(id=fields.Str(), owner=fields.BaseRelationship()), "type_="),
            (schema(id=fields.Str(), type=fields.Str()), "'type'"),
            (schema(id=fields.Str(), kind=fields.Str(data_key="type")), "'type'"),
            (schema(id=fields.Str(), key=fields.Str(data_key="id", load_only=True)), "'id'"),
            (schema(id=fields.Str(), type=fields.Relationship(type_="types")), "'type'"),
            (
                schema(id=fields.Str(), a=fields.Str(), b=fields.Relationship(type_="x", data_key="a", load_only=True)),
                "a",
            ),
            (schema(id=fields.Str(), a=fields.Str(), b=fields.Str(data_key="a")), "'a'"),
            (
                schema(
                    id=fields.Str(),
                    a=fields.Relationship(type_="x", dump_only=True),
                    b=fields.Relationship(type_="x", data_key="a", load_only=True),
                ),
                "'a'",
            ),
            (schema(id=fields.Str(), _hidden=fields.Str()), "'_hidden'"),
            (schema(id=fields.Str(), a=fields.Str(data_key="@a")), "'@a'"),
            (schema(id=fields.Str(), a=fields.Str(data_key="a:b")), "'a:b'"),
            (schema(id=fields.Str(), a=fields.Str(data_key="a-")), "'a-'"),
            (schema(id=fields.Str(), a=fields.Method("missing")), "missing"),
            (schema(id=fields.Str(), Meta=type("Meta", (), {"type_": "x", "exclude": ("unknown",)})), "unknown"),
        ],
    )
    def test_a_schema_that_declares_no_resource_type_is_refused_at_start_up(self, wrong, told):
        with pytest.raises(ConfigurationError) as error:
            Codec(wrong)
        assert told in str(error.value)
        if isinstance(wrong, type) and wrong is not marshmallow.Schema:
            assert "BrokenSchema" in str(error.value)

    def test_names_that_json_api_has_are_fine(self):
        names = {"a", "A1", "a-b_c d", "9", "é", "été-1"}
        made = codec(**{f"f{index}": fields.Str(data_key=name) for index, name in enumerate(sorted(names))})
        assert made.fields == names

    def test_one_name_may_be_read_by_one_field_and_shown_by_another(self):
        made = codec(pin=fields.Str(data_key="pin", load_only=True), masked=fields.Str(data_key="pin", dump_only=True))

        assert made.load({"pin": "1234"}) == {"pin": "1234"}
        assert made.dump([{"masked": "****"}]) == [{"attributes": {"pin": "****"}}]

    def test_a_nested_schema_that_does_not_exist_is_told_once_it_is_needed(self):
        made = codec(it=fields.Nested("NoSuchSchema"))
        with pytest.raises(ConfigurationError, match="NoSuchSchema"):
            _ = made.computed


class TestComputed:
    @pytest.mark.parametrize(
        "members",
        [
            {},
            {"it": fields.Str(attribute="other")},
            {"it": fields.Nested(LineSchema)},
            {"it": fields.Constant(1)},
            {"it": fields.Function(deserialize=str)},
            {"it": fields.Nested(lambda: NodeSchema())},
            {"owner": fields.Relationship(type_="people", include_resource_linkage=True)},
            {"load": pre_load(lambda self, data, **kwargs: data)},
        ],
    )
    def test_values_of_attributes_are_not_computed(self, members):
        assert not codec(**members).computed

    @pytest.mark.parametrize(
        "members",
        [
            {"it": fields.Function(lambda entity: 1)},
            {"it": fields.Method("compute"), "compute": lambda self, entity: 1},
            {"it": fields.Str(attribute="author.name")},
            {"it": fields.List(fields.Nested(marshmallow.Schema.from_dict({"a": fields.Function(lambda entity: 1)})))},
            {"it": fields.Dict(values=fields.Nested(marshmallow.Schema.from_dict({"a": fields.Str(attribute="b.c")})))},
            {"it": fields.Tuple([fields.Nested(marshmallow.Schema.from_dict({"a": fields.Function(lambda e: 1)}))])},
            {"it": type("Own", (fields.Str,), {"get_value": lambda self, *args, **kwargs: "x"})()},
            {"hook": post_dump(lambda self, data, **kwargs: data)},
            {"hook": pre_dump(lambda self, data, **kwargs: data)},
            {"get_attribute": lambda self, entity, name, default: 1},
        ],
    )
    def test_values_from_elsewhere_are(self, members):
        assert codec(**members).computed

    def test_only_what_is_shown_counts(self):
        assert not codec(it=fields.Str(attribute="author.name", load_only=True)).computed


class NodeSchema(marshmallow.Schema):
    genre = fields.Enum(Genre)
    child = fields.Nested(lambda: NodeSchema())


class SpanSchema(marshmallow.Schema):
    """Its hook calls a member as the class does: in a mapping, which marshmallow does not look into."""

    low = fields.Int()
    high = fields.Int(data_key="theHigh")
    inner = fields.Nested(lambda: SpanSchema())
    inner_spans = fields.Dict(values=fields.List(fields.Nested(lambda: SpanSchema())), data_key="renamed")

    @validates_schema
    def bounds(self, data, **kwargs):
        if data.get("high"):
            raise ValidationError({"high": "Too high."})
        if data.get("low"):
            raise ValidationError({"high": "Needed with low."})


def a_relationship(**options):
    return fields.Relationship(type_="people", **options)


def naming(called, message, *, meta=None, **members):
    """A codec of a schema whose hook has this message about what it calls so."""

    def refuse(self, data, **kwargs):
        raise ValidationError({called: message})

    held = {"held_by": a_relationship(), "owner": a_relationship(data_key="ownedBy")}
    return codec(meta={"inflect": dasherize, **(meta or {})}, refuse=validates_schema(refuse), **held, **members)


class TestLoading:
    def test_values_come_by_the_attribute_of_the_entity(self, tracks):
        values = tracks.load(
            {
                "title": "Blue",
                "length-in-seconds": "1.5",
                "genre": "JAZZ",
                "releasedAt": "2020-01-02T03:04:05+00:00",
                "lines": [{"text": "a", "syllable/count": 3}, {"text": "b"}],
                "credits": {"abc": {"text": "c"}},
                "secret": "s",
            }
        )

        assert values == {
            "title": "Blue",
            "length": Decimal("1.5"),
            "genre": Genre.JAZZ,
            "released": datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC),
            "lines": [{"text": "a", "syllables": 3}, {"text": "b", "syllables": 0}],
            "credits": {"abc": {"text": "c", "syllables": 0}},
            "secret": "s",
        }

    def test_defaults_are_for_new_resources(self, tracks):
        assert tracks.load({"title": "Blue"}) == {"title": "Blue", "length": Decimal(1)}
        assert tracks.load({"genre": None}, partial=True) == {"genre": None}
        assert tracks.load({}, partial=True) == {}

    def test_an_update_replaces_a_nested_attribute_as_a_whole(self, tracks):
        """JSON:API lets an update leave out attributes, but no part of one: it would be lost."""
        assert tracks.load({"lines": [{"text": "a"}]}, partial=True) == {"lines": [{"text": "a", "syllables": 0}]}
        assert places(tracks, {"lines": [{"genre": "JAZZ"}]}, partial=True) == {("attributes", "lines", 0)}

    def test_what_was_sent_is_left_alone(self, tracks):
        sent = {"title": "Blue", "lines": [{"text": "a"}], "credits": {"a": {"text": "b"}}}
        before = json.dumps(sent)
        tracks.load(sent)
        assert json.dumps(sent) == before

    def test_uuid_date_and_time(self):
        made = codec(key=fields.UUID(), day=fields.Date(), hour=fields.Time())
        text = "8c6f4a5e-0000-4000-8000-000000000001"
        assert made.load({"key": text, "day": "2020-02-29", "hour": "23:59:59"}) == {
            "key": uuid.UUID(text),
            "day": date(2020, 2, 29),
            "hour": time(23, 59, 59),
        }

    def test_hooks_run(self):
        class Hooked(Schema):
            first = fields.Str(required=True)
            last = fields.Str()

            @pre_load
            def split(self, data, **kwargs):
                first, _, last = data.pop("full").partition(" ")
                return {**data, "first": first, "last": last}

            @pre_load(pass_many=True)
            def unwrapped_or_not(self, data, many, **kwargs):
                assert not many
                return data

            @validates("last")
            def short(self, value, **kwargs):
                if len(value) > 3:
                    raise ValidationError("Too long.")

            @post_load
            def join(self, data, **kwargs):
                return OrderedDict(name=f"{data['first']} {data['last']}")

        made = codec(bases=(Hooked,), meta={"unknown": EXCLUDE})

        assert made.load({"full": "Ada Lov"}) == {"name": "Ada Lov"}
        assert problems(made, {"full": "Ada Lovelace"}) == (
            (("attributes",), "last: Too long.", Code.INVALID_ATTRIBUTE),
        )

    def test_hooks_may_refuse(self):
        class Refusing(Schema):
            it = fields.Str()

            @pre_load
            def before(self, data, **kwargs):
                if data["it"] == "before":
                    raise ValidationError("Not before.", "it")
                return data

            @post_load
            def after(self, data, **kwargs):
                raise ValidationError("Not after.")

        made = codec(bases=(Refusing,))

        assert problems(made, {"it": "before"}) == ((("attributes", "it"), "Not before.", Code.INVALID_ATTRIBUTE),)
        assert problems(made, {"it": "x"}) == (((), "Not after.", Code.INVALID_RESOURCE),)

    @pytest.mark.parametrize("returned", [None, SimpleNamespace(title="x"), [("title", "x")], "x"])
    def test_a_post_load_hook_must_return_a_mapping(self, returned):
        made = codec(it=fields.Str(), make=post_load(lambda self, data, **kwargs: returned))
        with pytest.raises(TypeError, match=f"SomeSchema returned a {type(returned).__name__}.*mapping"):
            made.load({"it": "x"})

    def test_a_post_load_hook_never_sees_relationships(self):
        seen = []
        made = codec(
            it=fields.Str(),
            owner=fields.Relationship(type_="people", required=True),
            look=post_load(lambda self, data, **kwargs: seen.append(data) or data),
        )
        assert made.load({"it": "x"}, id="1") == {"it": "x"}
        assert seen == [{"id": "1", "it": "x"}]


class TestTheId:
    UUID = "8c6f4a5e-0000-4000-8000-000000000001"

    def test_it_is_validated_and_never_returned(self, tracks):
        assert tracks.load({"title": "Blue"}, id=self.UUID) == {"title": "Blue", "length": Decimal(1)}
        assert problems(tracks, {"title": "Blue"}, id="x") == ((("id",), "Not a valid UUID.", Code.INVALID_ID),)

    def test_its_flaws_are_told_with_those_of_the_attributes(self, tracks):
        assert places(tracks, {"title": ""}, id="x") == {("id",), ("attributes", "title")}

    def test_one_that_is_only_shown_is_not_validated(self):
        made = codec(id=fields.Int(dump_only=True), it=fields.Str())
        assert made.load({"it": "x"}, id="not a number") == {"it": "x"}

    def test_whether_it_is_required_is_not_for_the_schema_to_say(self):
        made = codec(id=fields.Int(required=True, validate=validate.Range(min=5)), it=fields.Str())
        assert made.load({"it": "x"}) == {"it": "x"}
        assert places(made, {"it": "x"}, id="4") == {("id",)}

    @pytest.mark.parametrize("unknown", [None, EXCLUDE, INCLUDE])
    def test_an_attribute_cannot_pass_for_it(self, unknown):
        """Measured: marshmallow-jsonapi lets `attributes.id` override the id."""
        made = codec(meta={"unknown": unknown} if unknown else {}, it=fields.Str())
        assert places(made, {"id": "2", "it": "x"}, id="1") == {("attributes", "id")}

    @pytest.mark.parametrize("named", [{"data_key": "key"}, {}])
    def test_it_is_called_id_in_documents(self, named):
        made = codec(id=fields.Int(**named), meta={"inflect": str.upper}, it=fields.Str())
        assert made.load({"IT": "x"}, id="1") == {"it": "x"}
        assert made.dump([{"id": 1, "it": "x"}]) == [{"attributes": {"IT": "x"}}]

    def test_a_hook_that_blames_an_id_that_was_not_sent_blames_the_resource(self):
        def check(self, data, **kwargs):
            raise ValidationError("No id.", "id")

        made = codec(it=fields.Str(), check=validates_schema(check))
        assert problems(made, {"it": "x"}) == (((), "No id.", Code.INVALID_RESOURCE),)
        assert problems(made, {"it": "x"}, id="1") == ((("id",), "No id.", Code.INVALID_ID),)


class TestNamesThatAreNoAttributes:
    @pytest.mark.parametrize("unknown", [None, EXCLUDE, INCLUDE])
    @pytest.mark.parametrize(
        "name", ["owner", "id", "type", "plays", "_resource_meta", "_document_meta", "_schema", "_jsonapi_x", ""]
    )
    def test_they_are_refused_whatever_is_unknown(self, unknown, name):
        """Measured: marshmallow-jsonapi takes relationships and `_resource_meta` from the attributes."""
        made = codec(
            meta={"unknown": unknown} if unknown else {},
            it=fields.Str(),
            plays=fields.Int(dump_only=True),
            owner=fields.Relationship(type_="people"),
            meta_data=fields.ResourceMeta(),
            document_meta=fields.DocumentMeta(),
        )
        value = {"data": {"type": "people", "id": "1"}}

        (problem,) = problems(made, {name: value, "it": "x"})
        assert problem.tokens == ("attributes", name)
        assert problem.code is Code.INVALID_ATTRIBUTE

    def test_they_hide_no_other_problem(self, tracks):
        sent = {"title": 5, "owned-by": None, "id": "1", "plays": 1, "unknown": 1, "genre": "x"}
        assert places(tracks, sent, id="x") == {("id",), *(("attributes", name) for name in sent)}

    def test_unknown_attributes_are_refused(self, tracks):
        """Unknown ones are also those that the schema or the entity calls otherwise."""
        names = {"unknown", "length", "length_in_seconds", "released", "key", "owner", "owned_by"}
        assert places(tracks, dict.fromkeys(names), partial=True) == {("attributes", name) for name in names}

    def test_unknown_attributes_may_be_passed_over(self):
        made = codec(meta={"unknown": EXCLUDE}, it=fields.Str())
        assert made.load({"it": "x", "unknown": 1}) == {"it": "x"}

    def test_unknown_attributes_may_be_kept_but_reach_nothing_that_is_declared(self):
        made = codec(
            meta={"unknown": INCLUDE},
            id=fields.Str(attribute="key"),
            it=fields.Str(attribute="that"),
            admin=fields.Bool(attribute="is_admin", dump_only=True),
            owner=fields.Relationship(type_="people", attribute="owner_id"),
        )
        assert made.load({"it": "x", "unknown": 1}) == {"that": "x", "unknown": 1}
        for name in ("key", "that", "is_admin", "owner_id", "_sa_instance_state"):
            assert places(made, {"it": "x", name: 1}) == {("attributes", name)}


class TestPlaces:
    def test_every_problem_is_told_once_with_its_place(self, tracks):
        sent = {
            "length-in-seconds": "x",
            "genre": "POLKA",
            "releasedAt": 5,
            "lines": [{"text": "a"}, {"syllable/count": "many"}, 3, {"text": None, "unknown": 1}],
            "credits": {"long name": {"text": "a"}, "a": {"text": 5}, "b": 7},
        }
        assert sorted((p.tokens[1:], p.detail) for p in problems(tracks, sent)) == sorted(
            [
                ((), "title: Missing data for required field."),
                (("length-in-seconds",), "Not a valid number."),
                (("genre",), "Must be one of: ROCK, JAZZ."),
                (("releasedAt",), "Not a valid datetime."),
                (("lines", 1), "text: Missing data for required field."),
                (("lines", 1, "syllable/count"), "Not a valid integer."),
                (("lines", 2), "Invalid input type."),
                (("lines", 3, "text"), "Field may not be null."),
                (("lines", 3, "unknown"), "Unknown field."),
                (("credits", "long name"), "Longer than maximum length 3."),
                (("credits", "a", "text"), "Not a valid string."),
                (("credits", "b"), "Invalid input type."),
            ]
        )

    def test_they_are_told_in_the_order_of_what_was_sent(self):
        names = [*"hgfedcba"]
        made = codec(it=fields.Nested(LineSchema), e=fields.Int())

        outer = problems(made, dict.fromkeys(names, "x"))
        inner = problems(made, {"it": {"text": "a", **dict.fromkeys(names)}})

        assert [problem.tokens for problem in outer] == [("attributes", name) for name in names]
        assert [problem.tokens for problem in inner] == [("attributes", "it", name) for name in names]

    def test_one_value_may_have_several_problems(self):
        made = codec(it=fields.Str(validate=[validate.Length(max=1), validate.Regexp("a")]))
        assert [detail for _, detail, _ in problems(made, {"it": "xyz"})] == [
            "Longer than maximum length 1.",
            "String does not match expected pattern.",
        ]

    @pytest.mark.parametrize(
        ("field", "value", "tokens"),
        [
            (fields.List(fields.List(fields.Int())), [[1], [2, "x"]], (1, 1)),
            (fields.Tuple([fields.Str(), fields.Nested(LineSchema)]), ["a", {"text": 1}], (1, "text")),
            (fields.Dict(values=fields.Dict(values=fields.Int())), {"value": {"key": "x"}}, ("value", "key")),
            (fields.Dict(values=fields.List(fields.Int())), {"key": [1, "x"]}, ("key", 1)),
            (fields.Dict(values=fields.Nested(LineSchema)), {"value": {"text": 1}}, ("value", "text")),
            (fields.Dict(keys=fields.Int()), {"x": 1}, ("x",)),
            (fields.Nested(LineSchema, many=True), [{"text": "a"}, {"text": 1}], (1, "text")),
            (fields.Nested(LineSchema, many=True), {"text": "a"}, ()),
            (fields.Nested(lambda: NodeSchema()), {"child": {"child": {"genre": "x"}}}, ("child", "child", "genre")),
            (fields.Pluck(LineSchema, "text"), 5, ()),
            (fields.Pluck(LineSchema, "text", many=True), ["a", 5], (1,)),
            (fields.List(fields.Nested(LineSchema)), {"0": {"text": 1}}, ()),
        ],
    )
    def test_a_problem_inside_an_attribute(self, field, value, tokens):
        assert refused(codec(it=field), value)[0] == tokens

    def test_names_are_not_escaped_here(self):
        made = codec(it=fields.Dict(values=fields.Int()))
        assert refused(made, {"a/b~c": "x"})[0] == ("a/b~c",)

    def test_errors_without_an_index(self):
        class Unindexed(LineSchema):
            class Meta:
                index_errors = False

        tokens, detail = refused(codec(it=fields.Nested(Unindexed, many=True)), [{"text": 1}])
        assert tokens == ()
        assert "Not a valid string." in detail

    def test_schema_errors_hide_no_field_errors(self):
        """Measured: in marshmallow-jsonapi they come out as bare strings, and alone."""

        class Whole(Schema):
            low = fields.Int()
            high = fields.Int(data_key="theHigh")

            @validates_schema(skip_on_field_errors=False)
            def nothing_in_particular(self, data, **kwargs):
                raise ValidationError("Bad as a whole.")

            @validates_schema(skip_on_field_errors=False)
            def by_name(self, data, **kwargs):
                raise ValidationError("Too high.", "high")

            @validates_schema(skip_on_field_errors=False)
            def several(self, data, **kwargs):
                raise ValidationError({"low": ["Too low."], "high": "Far too high.", "_schema": ["Bad, really."]})

            @validates_schema
            def not_reached(self, data, **kwargs):
                raise ValidationError("Field errors go before.")

        found = problems(codec(bases=(Whole,)), {"low": "x", "theHigh": 5})

        assert sorted((tokens, detail) for tokens, detail, _ in found) == [
            ((), "Bad as a whole."),
            ((), "Bad, really."),
            (("attributes", "low"), "Not a valid integer."),
            (("attributes", "low"), "Too low."),
            (("attributes", "theHigh"), "Far too high."),
            (("attributes", "theHigh"), "Too high."),
        ]
        assert {code for tokens, _, code in found if not tokens} == {Code.INVALID_RESOURCE}

    def test_errors_of_a_nested_schema_as_a_whole(self):
        class Pair(marshmallow.Schema):
            a = fields.Int()

            @validates_schema
            def never(self, data, **kwargs):
                raise ValidationError("No such pair.")

        made = codec(it=fields.List(fields.Nested(Pair)))
        assert refused(made, [{"a": 1}]) == ((0,), "No such pair.")

    @pytest.mark.parametrize(
        ("field", "value", "tokens"),
        [
            (fields.Nested(lambda: SpanSchema()), {"theHigh": 1}, ("theHigh",)),
            (fields.Nested(lambda: SpanSchema(many=True)), [{"theHigh": 0}, {"theHigh": 1}], (1, "theHigh")),
            (fields.List(fields.Nested(lambda: SpanSchema())), [{"theHigh": 1}], (0, "theHigh")),
            (fields.Dict(values=fields.Nested(lambda: SpanSchema())), {"a": {"theHigh": 1}}, ("a", "theHigh")),
            (fields.Nested(lambda: SpanSchema()), {"inner": {"theHigh": 1}}, ("inner", "theHigh")),
            (fields.Nested(lambda: SpanSchema(unknown=INCLUDE)), {"theHigh": 1, "high": 1}, ("high",)),
            (fields.Nested(lambda: SpanSchema()), {"renamed": {"a/b": [{"theHigh": 1}]}}, ("renamed", "a/b", 0)),
        ],
    )
    def test_a_hook_of_a_nested_schema_may_call_a_member_as_the_class_does(self, field, value, tokens):
        expected = (*tokens, "theHigh") if tokens[:1] == ("renamed",) else tokens
        assert refused(codec(it=field), value) == (expected, "Too high.")

    def test_a_member_that_was_not_sent_is_named_as_in_documents(self):
        assert refused(codec(it=fields.Nested(SpanSchema)), {"low": 1}) == ((), "theHigh: Needed with low.")

    @pytest.mark.parametrize("called", ["held_by", "held-by"])
    @pytest.mark.parametrize(
        ("message", "detail"), [("Away.", "Away."), (["Away."], "Away."), ({"data": "Away."}, "data: Away.")]
    )
    def test_a_hook_may_name_a_relationship(self, called, message, detail):
        made = naming(called, message)
        assert problems_with_relationships(made, "held-by", "other") == [
            (("relationships", "held-by"), detail, Code.INVALID_RELATIONSHIP)
        ]
        for sent in ([], ["other"]):
            assert problems_with_relationships(made, *sent) == [((), f"held-by: {detail}", Code.INVALID_RESOURCE)]

    @pytest.mark.parametrize(("called", "name"), [("owner", "ownedBy"), ("ownedBy", "ownedBy")])
    def test_a_hook_may_name_a_relationship_that_has_a_data_key(self, called, name):
        made = naming(called, "Away.")
        assert problems_with_relationships(made, name) == [
            (("relationships", name), "Away.", Code.INVALID_RELATIONSHIP)
        ]
        assert problems_with_relationships(made) == [((), f"{name}: Away.", Code.INVALID_RESOURCE)]

    def test_a_name_is_first_of_all_that_of_an_attribute(self):
        """`writer` is the name of an attribute in documents, and that of a relationship in the class."""
        made = naming("writer", "Away.", it=fields.Str(data_key="writer"), writer=a_relationship(data_key="author"))
        assert places(made, {"writer": "x"}) == {("attributes", "writer")}
        assert problems_with_relationships(made, "author") == [
            (("attributes",), "writer: Away.", Code.INVALID_ATTRIBUTE)
        ]

    def test_a_name_that_was_sent_as_an_unknown_attribute_is_that_attribute(self):
        author = a_relationship(data_key="author", attribute="author")
        made = naming("writer", "Away.", meta={"unknown": INCLUDE}, writer=author)
        assert places(made, {"writer": "x"}) == {("attributes", "writer")}

    def test_what_is_wrong_with_a_relationship_hides_no_refused_attribute(self):
        with pytest.raises(InvalidResource) as invalid:
            naming("owner", "Away.").load({"held-by": 1}, relationships=["ownedBy"])
        assert {problem.tokens for problem in invalid.value.problems} == {
            ("attributes", "held-by"),
            ("relationships", "ownedBy"),
        }

    @pytest.mark.parametrize(
        "message", [5, None, ["a", 5], ("a", "b"), {"deep": {"deeper": ["x"]}}, [{"x": ["y"]}], b"x"]
    )
    def test_messages_of_any_kind_become_texts(self, message):
        def check(value):
            raise ValidationError(message)

        found = problems(codec(it=fields.Str(validate=check)), {"it": "x"})
        assert {tokens for tokens, _, _ in found} == {("attributes", "it")}
        assert all(isinstance(detail, str) for _, detail, _ in found)

    def test_the_schemas_own_handle_error_is_not_asked(self):
        def handle_error(self, error, data, **kwargs):
            raise RuntimeError

        assert refused(codec(it=fields.Int(), handle_error=handle_error), "x") == ((), "Not a valid integer.")

    def test_validators_of_relationships_are_left_out(self):
        def check(self, value, **kwargs):
            raise AssertionError

        made = codec(owner=fields.Relationship(type_="people"), check=validates("owner")(check))
        assert made.load({}) == {}


HUGE = 10**400
MANY_DIGITS = "9" * 4300


class TestHostileValues:
    @pytest.mark.parametrize(
        ("field", "value"),
        [
            (fields.TimeDelta(serialization_type=float), HUGE),
            (fields.TimeDelta(serialization_type=float), "nan"),
            (fields.TimeDelta(), HUGE),
            (fields.DateTime("timestamp"), HUGE),
            (fields.DateTime("timestamp_ms"), HUGE),
            (fields.DateTime("rfc"), "Mon, 1 Jan 99999999999999999999 00:00:00 +0000"),
            (fields.DateTime(validate=validate.Range(min=datetime(2000, 1, 1))), "2020-01-01T00:00:00Z"),
            (fields.DateTime(), "2020-01-01T00:00:00+99:99"),
            (fields.NaiveDateTime(timezone=UTC), "0001-01-01T00:00:00+23:59"),
            (fields.Date(), "0000-00-00"),
            (fields.Float(), HUGE),
            (fields.Float(), "Infinity"),
            (fields.Decimal(), "Infinity"),
            (fields.Decimal(), "sNaN"),
            (fields.Decimal(), "1e999999999"),
            (fields.Decimal(), "-1e-999999999"),
            (fields.Decimal(as_string=True), "1e999999999"),
            (fields.Decimal(places=2), "1e30"),
            (fields.Decimal(allow_nan=True, validate=validate.Range(min=0)), "NaN"),
            (fields.Integer(), "1" + MANY_DIGITS),
            (fields.Integer(), [1]),
            (fields.Boolean(), []),
            (fields.Enum(Genre), "__class__"),
            (fields.Enum(Genre), "__doc__"),
            (fields.Enum(Genre), "mro"),
            (fields.Enum(Genre), ["ROCK"]),
            (fields.Enum(Genre, by_value=True), ["rock music"]),
            (fields.Enum(Genre, by_value=True), {}),
            (fields.UUID(), 5),
            (fields.Url(), "http://["),
            (fields.Email(), "a@" + "\u2100" * 70 + ".com"),
            (fields.IPv6(exploded=True), "::1%eth0"),
            (fields.IPv4Interface(), "1.2.3.4/99"),
            (fields.List(fields.Str()), {"a": 1}),
            (fields.Tuple([fields.Str()]), {"a": 1}),
            (fields.Raw(validate=validate.OneOf({1, 2})), [1]),
            (fields.Raw(validate=validate.Range(min=1)), "x"),
            (fields.Raw(validate=validate.Length(max=1)), 5),
            (fields.Raw(validate=validate.Regexp("x")), {}),
            (fields.Raw(validate=validate.ContainsOnly({1})), [{}]),
            (fields.Function(deserialize=float), "x"),
        ],
    )
    def test_they_are_refused_at_the_attribute(self, field, value):
        made = codec(it=field, other=fields.Str(required=True))
        assert places(made, {"it": value}) == {("attributes", "it"), ("attributes",)}  # and the other is told of

    @pytest.mark.parametrize(
        ("field", "value", "tokens"),
        [
            (fields.List(fields.TimeDelta(serialization_type=float)), [1, HUGE], (1,)),
            (fields.List(fields.Enum(Genre)), ["ROCK", "mro"], (1,)),
            (fields.Tuple([fields.Enum(Genre)]), ["mro"], (0,)),
            (fields.Dict(values=fields.Enum(Genre)), {"a": "__doc__"}, ("a",)),
            (fields.Dict(keys=fields.Enum(Genre)), {"__doc__": 1}, ("__doc__",)),
            (fields.Nested(LineSchema), {"text": "x", "genre": "mro"}, ("genre",)),
            (fields.Nested(lambda: NodeSchema()), {"child": {"child": {"genre": "mro"}}}, ("child", "child", "genre")),
            (fields.Nested({"it": fields.Decimal()}), {"it": "1e999999"}, ("it",)),
        ],
    )
    def test_they_are_refused_where_they_stand(self, field, value, tokens):
        assert refused(codec(it=field), value)[0] == tokens

    @pytest.mark.parametrize(
        "flaw", [lambda value: value.missing, lambda value: value + 1, lambda value: {}[value], lambda value: 1 / 0]
    )
    def test_a_defect_of_the_application_is_not_taken_for_a_bad_value(self, flaw):
        made = codec(it=fields.Str(validate=flaw))
        with pytest.raises((AttributeError, TypeError, KeyError, ZeroDivisionError)):
            made.load({"it": "x"})

    def test_a_field_of_the_application_may_leave_the_work_to_marshmallow(self):
        class Own(fields.DateTime):
            def _deserialize(self, value, attr, data, **kwargs):
                return super()._deserialize(value, attr, data, **kwargs)

        assert refused(codec(it=Own("timestamp")), HUGE) == ((), "Not a valid value.")

    def test_a_defect_in_a_field_or_a_hook_is_not_either(self):
        class Own(fields.Str):
            def _deserialize(self, value, attr, data, **kwargs):
                return int("x")

        with pytest.raises(ValueError, match="invalid literal"):
            codec(it=Own()).load({"it": "x"})
        with pytest.raises(ValueError, match="badly formed"):
            codec(it=fields.Str(validate=lambda value: uuid.UUID(value))).load({"it": "x"})

        def check(self, data, **kwargs):
            return data["missing"]

        with pytest.raises(KeyError):
            codec(it=fields.Str(), check=validates_schema(check)).load({"it": "x"})

    @given(
        st.dictionaries(
            st.sampled_from(["title", "length-in-seconds", "genre", "releasedAt", "lines", "credits"]), json_values
        )
    )
    def test_any_values_are_loaded_or_refused(self, attributes):
        made = Codec(TrackSchema)
        try:
            values = made.load(attributes, partial=True)
        except InvalidResource:
            assert places(made, attributes, partial=True)
        else:
            json.dumps(made.dump([values]), allow_nan=False)


class Lazy:
    """An entity whose relationships must not be read."""

    id = 7
    title = "Blue"

    @property
    def owner(self):
        raise AssertionError("a relationship was read")

    performers = owner


class TestDumping:
    def test_attributes_come_by_the_name_in_documents(self, tracks):
        entity = SimpleNamespace(
            key=uuid.UUID(int=1),
            title="Blue",
            length=Decimal("1.50"),
            genre=Genre.JAZZ,
            released=datetime(2020, 1, 2, tzinfo=UTC),
            lines=[{"text": "a", "syllables": 3}],
            credits={"abc": SimpleNamespace(text="c")},
            secret="s",
            plays=3,
        )

        assert tracks.dump([entity]) == [
            {
                "attributes": {
                    "title": "Blue",
                    "length-in-seconds": 1.5,
                    "genre": "JAZZ",
                    "releasedAt": "2020-01-02T00:00:00+00:00",
                    "lines": [{"text": "a", "syllable/count": 3}],
                    "credits": {"abc": {"text": "c"}},
                    "plays": 3,
                }
            }
        ]

    def test_relationships_are_not_read(self):
        made = codec(
            title=fields.Str(),
            owner=fields.Relationship(type_="people", include_resource_linkage=True, related_url="/x"),
            performers=fields.Relationship(type_="people", many=True, include_resource_linkage=True),
        )
        assert made.dump([Lazy()]) == [{"attributes": {"title": "Blue"}}]

    def test_names_are_inflected_once(self):
        """Measured: marshmallow-jsonapi inflects the names a second time when it dumps."""
        made = codec(meta={"inflect": lambda name: name + "X"}, a=fields.Str(), b=fields.Str(data_key="b"))
        assert made.dump([{"a": "1", "b": "2"}]) == [{"attributes": {"aX": "1", "b": "2"}}]
        assert made.load({"aX": "1", "b": "2"}) == {"a": "1", "b": "2"}

    def test_what_is_not_there_is_left_out(self):
        made = codec(title=fields.Str(), default=fields.Str(dump_default="d"))
        assert made.dump([{}, {"title": None}]) == [
            {"attributes": {"default": "d"}},
            {"attributes": {"title": None, "default": "d"}},
        ]
        assert codec(title=fields.Str()).dump([{"id": 1}, {}]) == [{}, {}]
        assert codec().dump([]) == []

    def test_meta_and_links(self):
        made = codec(
            meta={"self_url": "/things/{id}/{name}", "self_url_kwargs": {"id": "<id>", "name": "<name>"}},
            name=fields.Str(),
            about=fields.ResourceMeta(),
        )
        assert made.dump([{"id": 1, "name": "x", "about": {"seen": date(2020, 1, 1)}}]) == [
            {"attributes": {"name": "x"}, "meta": {"seen": "2020-01-01"}, "links": {"self": "/things/1/x"}}
        ]
        assert "about" not in made.fields

    def test_meta_that_is_null_is_not_shown(self):
        """Measured: marshmallow-jsonapi fails for it."""
        made = codec(name=fields.Str(), about=fields.ResourceMeta())
        assert made.dump([{"id": 1, "about": None}, {"id": 2}, {"id": 3, "about": {}}]) == [{}, {}, {}]
        assert not made.computed

    def test_links_of_flask_views(self):
        class Viewed(marshmallow_jsonapi.flask.Schema):
            id = fields.Int()
            owner = marshmallow_jsonapi.flask.Relationship(type_="people", related_view="owner")

            class Meta:
                type_ = "things"
                self_view = "thing"
                self_view_kwargs: ClassVar = {"id": "<id>"}
                self_view_many = "things"

        app = Flask("viewed")
        app.add_url_rule("/things/<int:id>", "thing")
        with app.test_request_context():
            assert Codec(Viewed).dump([{"id": 1}]) == [{"links": {"self": "/things/1"}}]

    def test_links_of_collections_are_not_asked_for(self):
        made = codec(meta={"self_url": "/things/{id}", "self_url_kwargs": {"id": "<id>"}, "self_url_many": "/{x}"})
        assert made.dump([{"id": 1}, {"id": 2}]) == [{"links": {"self": "/things/1"}}, {"links": {"self": "/things/2"}}]

    def test_meta_of_documents_is_not_kept(self):
        """Measured: marshmallow-jsonapi shows one request's in the next dump."""
        made = codec(title=fields.Str(), about=fields.DocumentMeta())
        assert made.dump([{"title": "x", "about": {"secret": 1}}]) == [{"attributes": {"title": "x"}}]
        assert made.dump([{"title": "y"}]) == [{"attributes": {"title": "y"}}]

    def test_a_load_leaves_nothing_behind(self):
        made = codec(title=fields.Str(), owner=fields.Relationship(type_="people", include_resource_linkage=True))
        for sent in ({"title": "x"}, {"included": []}, {"meta": {}}, {"data": None}):
            if sent.keys() - {"title"}:
                assert places(made, sent) == {("attributes", name) for name in sent}
            else:
                made.load(sent)
            assert made.dump([{"title": "y"}]) == [{"attributes": {"title": "y"}}]

    def test_hooks_run(self):
        class Hooked(Schema):
            title = fields.Str()

            @pre_dump
            def unpack(self, entity, **kwargs):
                return entity["inner"]

            @post_dump
            def shout(self, item, **kwargs):
                return {**item, "title": item["title"].upper(), "extra": Decimal(1)}

            @post_dump(pass_many=True)
            def before_the_envelope(self, items, many, **kwargs):
                assert many
                return [{**item, "count": len(items)} for item in items]

            @post_dump(pass_many=True)
            def over_the_envelope(self, document, many, **kwargs):
                assert len(document["data"]) == 2
                return document

        entities = [{"inner": {"id": 1, "title": "a"}}, {"inner": {"id": 2, "title": "b"}}]

        assert codec(bases=(Hooked,)).dump(entities) == [
            {"attributes": {"title": "A", "extra": 1, "count": 2}},
            {"attributes": {"title": "B", "extra": 1, "count": 2}},
        ]

    @pytest.mark.parametrize("change", [lambda items: items[1:], lambda items: [*items, {}], lambda items: []])
    def test_hooks_must_not_lose_or_add_items(self, change):
        made = codec(a_hook=post_dump(lambda self, items, **kwargs: change(items), pass_many=True))
        with pytest.raises(TypeError, match="SomeSchema must return as many items"):
            made.dump([{"id": 1}, {"id": 2}])

    def test_computed_values_are_shown(self):
        made = codec(
            twice=fields.Function(lambda entity: entity["n"] * 2),
            thrice=fields.Method("triple"),
            triple=lambda self, entity: entity["n"] * 3,
        )
        assert made.dump([{"n": 2}]) == [{"attributes": {"twice": 4, "thrice": 6}}]

    @pytest.mark.parametrize(
        ("value", "written"),
        [
            (Decimal("1.25"), "1.25"),
            (Decimal("3.00"), "3"),
            (Decimal("-0"), "0"),
            (Decimal("12345678901234567890"), "12345678901234567890"),
            (Decimal("NaN"), '"NaN"'),
            (Decimal("-Infinity"), '"-Infinity"'),
            (Decimal("1e999"), '"1E+999"'),
            (float("nan"), '"NaN"'),
            (float("inf"), '"Infinity"'),
            (1.5, "1.5"),
            (True, "true"),
            (Genre.ROCK, '"rock music"'),
            (enum.IntEnum("Number", ["ONE"]).ONE, "1"),
            (enum.StrEnum("Text", ["A"]).A, '"a"'),
            (type("Text", (str,), {})("a"), '"a"'),
            (uuid.UUID(int=0), '"00000000-0000-0000-0000-000000000000"'),
            (datetime(2020, 1, 2, 3), '"2020-01-02T03:00:00"'),
            (date(2020, 1, 2), '"2020-01-02"'),
            (time(1, 2), '"01:02:00"'),
            ((1, Decimal(2)), "[1, 2]"),
            ({5}, "[5]"),
            (OrderedDict({1: Decimal("0.5"), uuid.UUID(int=0): None}), None),
            ([{"a": [Decimal("0.5")]}], '[{"a": [0.5]}]'),
        ],
    )
    def test_every_value_can_be_written_as_json(self, value, written):
        made = codec(it=fields.Raw())
        (members,) = made.dump([{"it": value}])
        text = json.dumps(members["attributes"]["it"], allow_nan=False)
        assert text == (written or '{"1": 0.5, "00000000-0000-0000-0000-000000000000": null}')

    def test_decimals_are_texts_where_the_field_says_so(self):
        made = codec(it=fields.Decimal(as_string=True, places=2))
        assert made.dump([{"it": Decimal("1.5")}]) == [{"attributes": {"it": "1.50"}}]

    @pytest.mark.parametrize(
        "field",
        [
            fields.Decimal(allow_nan=True),
            fields.Float(allow_nan=True),
            fields.Decimal(allow_nan=True, as_string=True),
            fields.Float(allow_nan=True, as_string=True),
        ],
    )
    @pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity"])
    def test_what_is_no_number_can_be_sent_back(self, field, value):
        made = codec(it=field)
        (members,) = made.dump([made.load({"it": value})])
        assert made.dump([made.load(members["attributes"])]) == [members]

    @pytest.mark.parametrize("value", [object(), b"x", 1j, [object()], {"a": b"x"}])
    def test_what_cannot_be_written_is_told_by_name(self, value):
        with pytest.raises(TypeError, match=r"SomeSchema, it: a .* cannot be written as JSON"):
            codec(it=fields.Raw()).dump([{"it": value}])


def test_one_instance_is_right_in_eight_threads(tracks):
    """Measured: `include_data` on a shared schema gave 3999 wrong dumps of 4000; nothing here is shared."""

    def turn(number):
        title = f"Track {number}"
        values = tracks.load({"title": title, "lines": [{"text": title}], "credits": {"a": {"text": title}}})
        assert values["lines"] == [{"text": title, "syllables": 0}]
        (members,) = tracks.dump([SimpleNamespace(key=number, **values)])
        assert members["attributes"]["title"] == title
        assert members["attributes"]["credits"]["a"]["text"] == title
        (problem,) = problems(tracks, {"title": title, "lines": [{}] * (number % 3) + [5]})[-1:]
        return problem.tokens == ("attributes", "lines", number % 3)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(turn, range(1500)))


LOADED_LINE = {"text": "a", "syllables": 0}


class TestAtMembers:
    """They are ignored wherever a schema says what an object holds; an object that may hold anything keeps them."""

    def test_in_nested_objects(self):
        some = codec(line=fields.Nested(LineSchema), lines=fields.List(fields.Nested(LineSchema)))
        line = {"@note": 1, "text": "a"}

        assert some.load({"line": line, "lines": [line]}) == {"line": LOADED_LINE, "lines": [LOADED_LINE]}

    def test_in_a_nested_list(self):
        some = codec(lines=fields.Nested(LineSchema, many=True))

        assert some.load({"lines": [{"@note": 1, "text": "a"}]}) == {"lines": [LOADED_LINE]}

    def test_in_a_free_object(self):
        assert codec(free=fields.Dict()).load({"free": {"@note": 1}}) == {"free": {"@note": 1}}


class LoanSchema(Schema):
    id = fields.Str()
    days_left = fields.Int()
    span = fields.Nested(SpanSchema)
    held_by = a_relationship(allow_none=True)
    keepers = a_relationship(data_key="watchedBy", many=True)

    @validates_schema
    def refuse(self, data, **kwargs):
        if data.get("days_left") == 0:
            raise ValidationError("Nobody may hold it.", "held_by")
        if data.get("days_left") == -1:
            raise ValidationError({"keepers": {0: ["Gone."]}, "days_left": ["Too late."]})

    class Meta:
        type_ = "loans"
        inflect = dasherize


@pytest.fixture(scope="module")
def loans():
    """A client of an application that has the person 1 and the loan 2."""
    atomic = Atomic(MemoryLayer())
    atomic.resource(LoanSchema)
    atomic.resource(plain_schema("people"))
    client = application(atomic).test_client()
    assert post(client, add("people"), add("loans")).status == 200
    return client


class TestWhatAClientHearsOfHooks:
    @pytest.mark.parametrize(
        ("attributes", "relationships", "errors"),
        [
            ({"span": {"theHigh": 1}}, {}, [("invalid-attribute", "/attributes/span/theHigh")]),
            ({"span": {"low": 1}}, {}, [("invalid-attribute", "/attributes/span")]),
            ({"days-left": 0}, {"held-by": None}, [("invalid-relationship", "/relationships/held-by")]),
            ({"days-left": 0}, {"watchedBy": []}, [("invalid-resource", "")]),
            ({"days-left": 0}, None, [("invalid-resource", "")]),
            (
                {"days-left": -1},
                {"watchedBy": [id_("people", "1")]},
                [("invalid-relationship", "/relationships/watchedBy"), ("invalid-attribute", "/attributes/days-left")],
            ),
            (
                {"days-left": -1},
                {},
                [("invalid-resource", ""), ("invalid-attribute", "/attributes/days-left")],
            ),
        ],
    )
    @pytest.mark.parametrize("operation", [add("loans"), update("loans", "2")])
    def test_of_attributes_and_of_relationships(self, loans, operation, attributes, relationships, errors):
        sent = update("loans", relationships=relationships, attributes=attributes)["data"]

        answer = post(loans, {**operation, "data": {**operation["data"], **sent}})

        assert answer.errors == [(422, code, f"/0/data{place}") for code, place in errors]
        if ("invalid-resource", "") in errors:
            name = "held-by" if attributes["days-left"] == 0 else "watchedBy"
            assert name in answer.error_objects[0]["detail"]
