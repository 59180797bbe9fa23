"""Rows that are written past the session are those that it would have written, and whoever listens hears of them."""

from __future__ import annotations

import enum
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial, wraps
from typing import Any
from uuid import UUID

import pytest
from marshmallow import fields as plain
from marshmallow import post_load
from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Computed,
    Date,
    Enum,
    ForeignKey,
    Identity,
    Integer,
    Numeric,
    SmallInteger,
    String,
    TypeDecorator,
    Uuid,
    create_engine,
    delete,
    event,
    func,
    inspect,
    select,
)
from sqlalchemy.ext.associationproxy import association_proxy
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.ext.mutable import MutableDict
from sqlalchemy.orm import (
    Mapped,
    MappedAsDataclass,
    Session,
    column_property,
    composite,
    mapped_column,
    object_session,
    relationship,
    sessionmaker,
    synonym,
    validates,
)
from sqlalchemy.pool import StaticPool

from flask_atomic import Atomic, current_operation, hookimpl
from flask_atomic.errors import NotFound
from flask_atomic.layers.sqlalchemy import SQLAlchemyLayer
from flask_atomic.layers.sqlalchemy.rows import is_plain
from tests.application import add, application, id_, lid, post, relate, remove, schema, to_one, update
from tests.layers.hooks import Store
from tests.layers.music import Company, Concert, Tag
from tests.layers.test_sqlalchemy_equivalence import Declared, atomic_of, compare, new_base, row, words

# --------------------------------------------------------------------------------------------- columns of every kind


class Loud(TypeDecorator[str]):
    """Stores something else than is given, nothing as well."""

    impl = String
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Any) -> Any:
        return "NONE" if value is None else str(value).upper()

    def process_result_value(self, value: Any, dialect: Any) -> Any:
        return None if value == "NONE" else value


class Shifted(TypeDecorator[int]):
    """Numbers that are stored as others."""

    impl = Integer
    cache_ok = True
    python_type = int

    def process_bind_param(self, value: Any, dialect: Any) -> Any:
        return None if value is None else 1000 - value

    def process_result_value(self, value: Any, dialect: Any) -> Any:
        return None if value is None else 1000 - value


class Mood(enum.Enum):
    GOOD = "good"
    BAD = "bad"


def from_context(context: Any) -> Any:
    return str(context.get_current_parameters().get("name"))


@wraps(from_context)
def from_context_if_there_is_one(context: Any) -> Any:
    return "none" if context is None else from_context(context)


class Counting:
    """A default that is no function."""

    def __call__(self) -> str:
        return "c"


TEXTS = ("a", "b")
COLUMNS: dict[str, tuple[Callable[[], Any], Any, Any]] = {
    "text": (lambda: mapped_column(String), plain.Raw, TEXTS),
    "number in a text": (lambda: mapped_column(String), plain.Raw, (1, 2)),
    "default": (lambda: mapped_column(String, default="d"), plain.Raw, TEXTS),
    "default that is called": (lambda: mapped_column(String, default=lambda: "d"), plain.Raw, TEXTS),
    "default with the context": (lambda: mapped_column(String, default=from_context), plain.Raw, TEXTS),
    "default with the context, decorated": (
        lambda: mapped_column(String, default=from_context_if_there_is_one),
        plain.Raw,
        TEXTS,
    ),
    "default of an object": (lambda: mapped_column(String, default=Counting()), plain.Raw, TEXTS),
    "default of a partial": (lambda: mapped_column(String, default=partial(str, "d")), plain.Raw, TEXTS),
    "default of SQL": (lambda: mapped_column(String, default=func.lower("D")), plain.Raw, TEXTS),
    "default of the server": (lambda: mapped_column(String, server_default="d"), plain.Raw, TEXTS),
    "changed by the session": (lambda: mapped_column(String, onupdate="u"), plain.Raw, TEXTS),
    "json": (lambda: mapped_column(JSON), plain.Raw, ({"a": None}, [1])),
    "json without null": (lambda: mapped_column(JSON(none_as_null=True)), plain.Raw, ({"a": None}, [1])),
    "json that is watched": (lambda: mapped_column(MutableDict.as_mutable(JSON())), plain.Dict, ({"a": 1}, {})),
    "enum of texts": (lambda: mapped_column(Enum("a", "b")), plain.Raw, TEXTS),
    "enum": (lambda: mapped_column(Enum(Mood)), lambda **o: plain.Enum(Mood, by_value=True, **o), ("good", "bad")),
    "number": (lambda: mapped_column(Integer), plain.Raw, (0, -1)),
    "decimal": (lambda: mapped_column(Numeric(8, 2)), plain.Decimal, ("1.239", "2")),
    "truth": (lambda: mapped_column(Boolean), plain.Raw, (True, False)),
    "date": (lambda: mapped_column(Date), plain.Date, ("2020-01-01", "2021-01-01")),
    "decorated": (lambda: mapped_column(Loud), plain.Raw, TEXTS),
    "decorated with a default": (lambda: mapped_column(Loud, default="d"), plain.Raw, TEXTS),
    "deferred": (lambda: mapped_column(String, deferred=True), plain.Raw, TEXTS),
    "of another name": (lambda: mapped_column("another", String), plain.Raw, TEXTS),
    "of another key": (lambda: mapped_column("another", String, key="more"), plain.Raw, TEXTS),
    "of the name of the parameter": (lambda: mapped_column("row_key_", String), plain.Raw, TEXTS),
    "of the key of the parameter": (lambda: mapped_column("another", String, key="row_key_"), plain.Raw, TEXTS),
    "unique": (lambda: mapped_column(String, unique=True), plain.Raw, TEXTS),
}


def operations(first: Any, second: Any) -> list[Any]:
    """Adds, updates and removals with all that a value may be."""
    return [
        add("things"),
        add("things", attributes={"value": None}),
        add("things", attributes={"value": first, "name": "n"}),
        add("things", attributes={"value": second}),
        update("things", "1", attributes={"value": None}),
        update("things", "2", attributes={"name": "m"}),
        update("things", "4", attributes={"value": None, "name": "o"}),
        update("things", "3", attributes={"value": second}),
        update("things", "3", attributes={"value": first, "name": None}),
        remove("things", "1"),
        remove("things", "3"),
    ]


def things(model: Any, value: Any = plain.Raw, **declared: Any) -> list[Declared]:
    return [Declared(model, "things", {"name": words(), "value": value(allow_none=True), **declared})]


@pytest.mark.parametrize("column", COLUMNS)
def test_columns(column: str) -> None:
    make, field, values = COLUMNS[column]

    class Thing(new_base()):
        name = mapped_column(String)
        value = make()

    compare(things(Thing, field), [], operations(*values))


# ---------------------------------------------------------------------------------------------- models of every kind


class Point:
    def __init__(self, x: Any, y: Any) -> None:
        self.x, self.y = x, y

    def __composite_values__(self) -> tuple[Any, Any]:
        return self.x, self.y


def simple(base: Any) -> Any:
    class Thing(base):
        name = mapped_column(String)
        value = mapped_column(String)

    return Thing


def with_init(base: Any) -> Any:
    class Thing(base):
        name = mapped_column(String)
        value = mapped_column(String)

        def __init__(self) -> None:
            self.value = "initial"

    return Thing


def with_init_of_sql(base: Any) -> Any:
    class Thing(base):
        name = mapped_column(String)
        value = mapped_column(String)

        def __init__(self) -> None:
            self.value = func.lower("INITIAL")

    return Thing


def with_own_setattr(base: Any) -> Any:
    class Thing(base):
        name = mapped_column(String)
        value = mapped_column(String)

        def __setattr__(self, name: str, value: Any) -> None:
            super().__setattr__(name, f"<{value}>" if name == "value" else value)

    return Thing


def with_validator(base: Any) -> Any:
    class Thing(base):
        name = mapped_column(String)
        value = mapped_column(String)

        @validates("value")
        def follow(self, _: str, value: Any) -> Any:
            self.name = f"of {value}"
            return value and value.upper()

    return Thing


def with_listener(base: Any) -> Any:
    Thing = simple(base)  # noqa: N806
    event.listen(Thing.value, "set", lambda thing, value, *_: value and value.upper(), retval=True)
    return Thing


def with_hybrid(base: Any) -> Any:
    class Thing(base):
        name = mapped_column(String)
        stored = mapped_column(String)

        @hybrid_property
        def value(self) -> Any:
            return self.stored

        @value.inplace.setter
        def _set_value(self, value: Any) -> None:
            self.stored = value and value * 2

    return Thing


def with_composite(base: Any) -> Any:
    class Thing(base):
        name = mapped_column(String)
        value = mapped_column(String)
        both = composite(Point, name, value)

    return Thing


def with_expression(base: Any) -> Any:
    class Thing(base):
        name = mapped_column(String)
        value = mapped_column(String)
        both = column_property(name + value)

    return Thing


def with_computed(base: Any) -> Any:
    class Thing(base):
        name = mapped_column(String)
        value = mapped_column(String)
        both = mapped_column(String, Computed("name || value"))

    return Thing


def with_unmapped(base: Any) -> Any:
    class Thing(base):
        name = mapped_column(String)
        value = mapped_column(String)
        __mapper_args__ = {"exclude_properties": ["hidden", "other"]}  # noqa: RUF012

    Thing.__table__.append_column(Column("hidden", String, default="hidden"))
    Thing.__table__.append_column(Column("other", String, default=func.lower("OTHER")))
    return Thing


def with_version(base: Any) -> Any:
    class Thing(base):
        name = mapped_column(String)
        value = mapped_column(String)
        version = mapped_column(Integer, nullable=False)
        __mapper_args__ = {"version_id_col": version}  # noqa: RUF012

    return Thing


def of_a_hierarchy(base: Any) -> Any:
    class Thing(base):
        name = mapped_column(String)
        value = mapped_column(String)
        kind = mapped_column(String)
        __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "thing"}  # noqa: RUF012

    return Thing


def with_subclass(base: Any) -> Any:
    Thing = simple(base)  # noqa: N806

    class Child(Thing):
        id = mapped_column(ForeignKey("thing.id"), primary_key=True)

    Thing.child = Child  # so that it is not collected
    return Thing


def of_a_subclass(base: Any) -> Any:
    class Parent(base):
        name = mapped_column(String)

    class Thing(Parent):
        id = mapped_column(ForeignKey("parent.id"), primary_key=True)
        value = mapped_column(String)

    return Thing


def of_a_dataclass(base: Any) -> Any:
    class Thing(MappedAsDataclass, base):
        id: Mapped[int] = mapped_column(primary_key=True, init=False)
        name: Mapped[str | None] = mapped_column(init=False)
        value: Mapped[str | None] = mapped_column(default="d")

    return Thing


def numbered_for_ever(base: Any) -> Any:
    Thing = simple(base)  # noqa: N806
    Thing.__table__.dialect_options["sqlite"]["autoincrement"] = True
    return Thing


def keyed(type_: Any) -> Callable[[Any], Any]:
    def make(base: Any) -> Any:
        class Thing(base):
            id = mapped_column(type_, primary_key=True)
            name = mapped_column(String)
            value = mapped_column(String)

        return Thing

    return make


def with_identity(base: Any) -> Any:
    class Thing(base):
        id = mapped_column(Integer, Identity(), primary_key=True)
        name = mapped_column(String)
        value = mapped_column(String)

    return Thing


def with_proxy(base: Any) -> Any:
    class Part(base):
        thing_id = mapped_column(ForeignKey("thing.id"))
        label = mapped_column(String)

    class Thing(base):
        name = mapped_column(String)
        value = mapped_column(String)
        parts = relationship(Part, cascade="all, delete-orphan")
        labels = association_proxy("parts", "label")

    return Thing


MODELS: dict[str, Callable[[Any], Any]] = {
    "simple": simple,
    "__init__": with_init,
    "__init__ that sets SQL": with_init_of_sql,
    "__setattr__": with_own_setattr,
    "validator": with_validator,
    "listener of an attribute": with_listener,
    "hybrid": with_hybrid,
    "composite": with_composite,
    "expression": with_expression,
    "computed": with_computed,
    "columns that are not mapped": with_unmapped,
    "hierarchy": of_a_hierarchy,
    "subclass": of_a_subclass,
    "class that has a subclass": with_subclass,
    "dataclass": of_a_dataclass,
    "numbers that are never used twice": numbered_for_ever,
    "identity": with_identity,
    "small number on SQLite": keyed(BigInteger().with_variant(Integer, "sqlite")),
    "association proxy": with_proxy,
}


@pytest.mark.parametrize("model", MODELS)
def test_models(model: str) -> None:
    compare(things(MODELS[model](new_base())), [], operations(*TEXTS))


def test_a_model_with_a_version() -> None:
    sent = operations(*TEXTS)
    del sent[4]  # which changes nothing
    compare(things(with_version(new_base())), [], sent)


def test_numbers_that_are_stored_as_others() -> None:
    types = things(keyed(Shifted)(new_base()))
    seen = compare(types, [row(types[0].model, id=1)], [add("things"), add("things"), remove("things", "1")])
    assert [each["id"] for each in seen.rows["thing"]] == [0, -1]


SHORT = (
    *("text", "number in a text", "default", "default that is called", "json without null", "enum of texts", "enum"),
    *("number", "decimal", "truth", "date", "decorated", "decorated with a default", "deferred", "of another name"),
    *("of another key", "unique", "default of a partial", "default of an object"),
    *("simple", "__init__", "dataclass", "identity", "small number on SQLite", "association proxy"),
)
"""The columns and models that make no difference to how rows are written: several by one statement."""


@pytest.mark.parametrize("name", [*COLUMNS, *MODELS])
def test_who_asks_for_nothing_more_is_written_past_the_session(name: str) -> None:
    field: Any = plain.Raw
    if name in MODELS:
        Thing = MODELS[name](new_base())  # noqa: N806
    else:
        make, field, _ = COLUMNS[name]

        class Thing(new_base()):  # type: ignore[no-redef]
            name = mapped_column(String)
            value = make()

    inserts: list[str] = []
    with database(things(Thing), []) as engine:
        client = application(atomic_of(things(Thing, field), sessionmaker(engine))).test_client()
        event.listen(engine, "before_cursor_execute", lambda *call: inserts.append(call[2].partition(" ")[0]))
        assert post(client, *(add("things") for _ in range(9))).status == 200
    assert (inserts.count("INSERT") == 1) is (name in SHORT)


@pytest.mark.parametrize("type_", [BigInteger, SmallInteger], ids=lambda type_: type_.__name__)
def test_a_key_that_the_database_does_not_number_is_missing(type_: Any) -> None:
    compare(things(keyed(type_)(new_base())), [], [add("things"), add("things")], 422)


@pytest.mark.parametrize("last", [None, -5, 0, 7, 2**63 - 2, 2**63 - 1])
def test_numbers_go_on_where_the_database_would(last: int | None) -> None:
    Thing = simple(new_base())  # noqa: N806
    seed = [] if last is None else [row(Thing, id=last)]
    sent = [add("things"), add("things")]
    if last is not None and last >= 2**63 - 2:  # what comes next, SQLite makes up
        types = things(Thing)
        assert all(one["data"]["id"] for one in run_rows(types, seed, sent).results)
    else:
        compare(things(Thing), seed, sent)


def test_keys_of_clients_and_of_the_database_mixed() -> None:
    Thing = simple(new_base())  # noqa: N806
    types = [declared._replace(client_ids="allowed") for declared in things(Thing)]
    seen = compare(
        types, [], [add("things"), add("things", id="5"), add("things"), add("things", id="3"), add("things")]
    )
    assert [each["id"] for each in seen.rows["thing"]] == [1, 3, 5, 6, 7]


@pytest.mark.parametrize("type_", [String(10), Uuid()], ids=["text", "uuid"])
def test_keys_of_clients(type_: Any) -> None:
    types = [declared._replace(client_ids="required") for declared in things(keyed(type_)(new_base()))]
    ids = [str(UUID(int=number)) for number in (2, 1)] if isinstance(type_, Uuid) else ["b", "a"]
    compare(types, [], [*(add("things", id=id) for id in ids), update("things", ids[0], attributes={"value": "v"})])
    compare(types, [], [add("things", id=ids[0]), add("things", id=ids[0])], 409)


# ------------------------------------------------------------------------------------------------- one after the other


def test_of_a_row_that_is_updated_twice_both_results_are_shown() -> None:
    types = things(simple(new_base()))
    sent = [update("things", "1", attributes={name: value}) for name in ("value", "name") for value in ("x", "y")]
    compare(types, [row(types[0].model, id=1)], sent)


def test_added_then_updated_then_removed() -> None:
    types = things(simple(new_base()))
    named = {"lid": "l", "type": "things"}
    sent = [
        add("things"),
        add("things", lid="l"),
        {"op": "update", "ref": named, "data": {**named, "attributes": {"value": "v"}}},
        {"op": "remove", "ref": named},
        add("things"),
        update("things", "1", attributes={"value": "w"}),
    ]
    compare(types, [], sent)


def test_the_add_that_fails_is_blamed() -> None:
    class Thing(new_base()):
        name = mapped_column(String)
        value = mapped_column(String, unique=True)

    sent = [add("things", attributes={"value": value}) for value in "abcac"]
    seen = compare(things(Thing), [], sent, 409)
    assert seen.document["errors"][0]["source"]["pointer"].startswith("/atomic:operations/3/")


def test_a_value_that_is_taken_before_it_is_given_up_is_a_conflict_although_updates_name_different_columns() -> None:
    class Thing(new_base()):
        name = mapped_column(String)
        value = mapped_column(String, unique=True)

    seed = [row(Thing, id=number, value=value) for number, value in enumerate("abc")]
    sent = [
        update("things", "0", attributes={"value": "x", "name": "n"}),
        update("things", "1", attributes={"value": "c"}),
        update("things", "2", attributes={"value": "z", "name": "n"}),
    ]
    compare(things(Thing), seed, sent, 409)
    compare(things(Thing), seed, [sent[0], sent[2], sent[1]])


# ------------------------------------------------------------------------------------------------------- relationships


def families(**column: Any) -> tuple[list[Declared], list[Any]]:
    """Companies and tracks, both plain, and reviews, which are not."""
    base = new_base()

    class Company(base):
        name = mapped_column(String)
        tracks = relationship("Track", back_populates="owner", passive_deletes="all")

    class Track(base):
        name = mapped_column(String)
        owner_id = mapped_column(ForeignKey("company.id", **column))
        owner = relationship("Company", back_populates="tracks")

    class Review(base):
        name = mapped_column(String, server_default="r")
        track_id = mapped_column(ForeignKey("track.id", **column))
        track = relationship("Track")

    types = [
        Declared(Company, "companies", {"name": words()}),
        Declared(Track, "tracks", {"name": words(), "owner": to_one("companies")}),
        Declared(Review, "reviews", {"name": words(), "track": to_one("tracks")}),
    ]
    seed = [row(Company, id=1), row(Company, id=2), row(Track, id=1, owner_id=1), row(Review, id=1, track_id=1)]
    return types, seed


def test_added_together_and_related() -> None:
    sent = [
        add("tracks", {"owner": id_("companies", "1")}),
        add("companies", lid="c", attributes={"name": "c"}),
        add("tracks", {"owner": lid("companies", "c")}, lid="t"),
        add("reviews", {"track": lid("tracks", "t")}),
        add("companies", lid="d"),
        add("tracks", {"owner": lid("companies", "d")}),
        add("tracks", {"owner": None}),
        update("tracks", "1", {"owner": lid("companies", "d")}, attributes={"name": "n"}),
        update("tracks", "2", {"owner": None}),
        relate("update", id_("tracks", "3"), "owner", id_("companies", "2")),
        relate("update", id_("reviews", "1"), "track", lid("tracks", "t")),
    ]
    compare(*families(), sent)


@pytest.mark.parametrize(("ondelete", "status"), [("CASCADE", 200), ("SET NULL", 200), (None, 409)])
def test_removals_that_concern_other_tables(ondelete: str | None, status: int) -> None:
    types, seed = families(ondelete=ondelete)
    sent = [update("reviews", "1", attributes={"name": "n"}), remove("companies", "2"), remove("companies", "1")]
    compare(types, seed, sent, status)
    gone = 404 if ondelete == "CASCADE" else status
    compare(types, seed, [*sent, update("tracks", "1")], gone)


@pytest.mark.parametrize("listening", ["company", "track", "validator"])
def test_who_listens_to_a_relationship_hears_of_it(listening: str) -> None:
    heard: list[Any] = []
    types, seed = families()
    company, track = types[0].model, types[1].model
    if listening == "company":
        event.listen(company.tracks, "append", lambda owner, member, _: heard.append(("append", owner.id)))
        event.listen(company.tracks, "remove", lambda owner, member, _: heard.append(("remove", owner.id)))
    else:
        event.listen(track.owner, "set", lambda member, owner, *_: heard.append(owner and owner.id))
    sent = [
        add("tracks", {"owner": id_("companies", "1")}),
        add("tracks", {"owner": id_("companies", "2")}),
        update("tracks", "1", {"owner": id_("companies", "2")}),
        update("tracks", "2", {"owner": None}),
    ]
    logs = []
    for listened in (True, False):
        heard.clear()
        run_rows(types, seed, sent, listened=listened)
        logs.append(list(heard))
    assert logs[0] == logs[1] != []


def test_tables_that_refer_to_each_other() -> None:
    base = new_base()

    class Hen(base):
        egg_id = mapped_column(ForeignKey("egg.id", use_alter=True, name="hatched"))
        egg = relationship("Egg", foreign_keys=egg_id, post_update=True)

    class Egg(base):
        hen_id = mapped_column(ForeignKey("hen.id"))
        hen = relationship("Hen", foreign_keys=hen_id)

    types = [Declared(Hen, "hens", {"egg": to_one("eggs")}), Declared(Egg, "eggs", {"hen": to_one("hens")})]
    sent = [
        add("hens", lid="h"),
        add("eggs", {"hen": lid("hens", "h")}, lid="e"),
        add("eggs", {"hen": lid("hens", "h")}),
        update("hens", "1", {"egg": id_("eggs", "1")}),
        update("hens", "1", {"egg": None}),
        remove("eggs", "1"),
        remove("eggs", "2"),
    ]
    compare(types, [], sent)


def test_two_types_on_one_row() -> None:
    class Thing(new_base()):
        name = mapped_column(String)

    types = [Declared(Thing, type_, {"name": words()}) for type_ in ("things", "items")]
    sent = [add(type_, attributes={"name": type_}) for type_ in ("things", "items", "things")]
    compare(types, [], [*sent, *(update(type_, "1", attributes={"name": type_}) for type_ in ("items", "things"))])


# -------------------------------------------------------------------------------------------------------- who listens


@contextmanager
def database(types: list[Declared], seed: list[Any]) -> Iterator[Any]:
    engine = create_engine("sqlite://", poolclass=StaticPool)
    event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA foreign_keys=ON"))
    types[0].model.metadata.create_all(engine)
    with engine.begin() as connection:
        for statement in seed:
            connection.execute(statement)
    yield engine
    engine.dispose()


def run_rows(
    types: list[Declared],
    seed: list[Any],
    sent: list[Any],
    *plugins: object,
    listened: bool = False,
    sessions: Any = sessionmaker,
    batch: bool = True,
) -> Any:
    with database(types, seed) as engine:
        maker = sessions(engine)
        if listened:
            event.listen(maker, "before_flush", lambda *_: None)
        answer = post(application(atomic_of(types, maker, *plugins), ATOMIC_BATCH=batch).test_client(), *sent)
        assert answer.status == 200, answer.response.json
        return answer


WRITES = [
    *(add("things", attributes={"value": value}) for value in "abc"),
    *(update("things", id, attributes={"value": "v"}) for id in "12"),
    *(remove("things", id) for id in "23"),
]
ROW_EVENTS = ("before_insert", "after_insert", "before_update", "after_update", "before_delete", "after_delete")


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("on", ["class", "base", "mapper"])
@pytest.mark.parametrize("name", ROW_EVENTS)
def test_listeners_of_rows_hear_each(name: str, on: str, late: bool) -> None:
    heard: list[Any] = []
    base = new_base()
    types = things(simple(base))
    Thing = types[0].model  # noqa: N806
    target = {"class": Thing, "base": base, "mapper": Thing.__mapper__}[on]

    def listen() -> None:
        event.listen(target, name, lambda mapper, connection, thing: heard.append(thing.id), propagate=True)

    with database(types, []) as engine:
        if not late:
            listen()
        client = application(atomic_of(types, sessionmaker(engine))).test_client()
        if late:
            listen()
        assert post(client, *WRITES).status == 200
    assert len(heard) == (3 if name.endswith("insert") else 2)


@pytest.mark.parametrize("name", ["init", "refresh_flush"])
def test_listeners_of_entities_hear_each(name: str) -> None:
    heard: list[Any] = []

    class Thing(new_base()):
        name = mapped_column(String)
        value = mapped_column(String)
        more = mapped_column(String, default="m")

    event.listen(Thing, name, lambda *_: heard.append(name))
    run_rows(things(Thing), [], WRITES)
    assert len(heard) == 3


@pytest.mark.parametrize("write", [add("things"), update("things", "1")], ids=["add", "update"])
@pytest.mark.parametrize(
    ("name", "given", "shown"),
    [
        ("by_setter", "given", "given"),
        ("by_synonym", "given", "given"),
        ("nowhere", "given", None),
        ("value", func.lower("GIVEN"), "given"),
    ],
)
def test_what_a_schema_gives_besides_what_it_declares_is_set(name: str, given: Any, shown: Any, write: Any) -> None:
    class Thing(new_base()):
        value = mapped_column(String)
        by_synonym = synonym("value")

        @property
        def by_setter(self) -> None:
            """Write only, as a password is."""

        @by_setter.setter
        def by_setter(self, value: str) -> None:
            self.value = value

    class Giving(schema("things", value=plain.Str(dump_only=True))):
        @post_load
        def give(self, loaded: Any, **_: Any) -> Any:
            return {**loaded, name: given}

    with database([Declared(Thing, "things")], [row(Thing, id=1)]) as engine:
        atomic = Atomic(SQLAlchemyLayer(sessionmaker(engine)))
        atomic.resource(Giving, model=Thing)
        answer = post(application(atomic).test_client(), write, write)
        for result in answer.results:
            assert result["data"]["attributes"]["value"] == shown


def test_a_class_that_is_called_otherwise_makes_its_entities_itself() -> None:
    base = new_base()

    class Calling(type(base)):
        def __call__(cls, *args: Any, **kwargs: Any) -> Any:
            thing = super().__call__(*args, **kwargs)
            thing.value = "made"
            return thing

    class Thing(base, metaclass=Calling):
        name = mapped_column(String)
        value = mapped_column(String)

    answer = run_rows(things(Thing), [], [add("things", attributes={"name": name}) for name in "ab"])
    assert [result["data"]["attributes"]["value"] for result in answer.results] == ["made", "made"]


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("name", ["before_attach", "after_attach", "transient_to_pending"])
def test_who_listens_when_a_session_adds_sees_values_and_may_change_them(name: str, count: int) -> None:
    heard: list[Any] = []

    def change(session: Any, thing: Any) -> None:
        heard.append((current_operation.index, thing.value))
        thing.value += "!"

    def sessions(engine: Any) -> Any:
        maker = sessionmaker(engine)
        event.listen(maker, name, change)
        return maker

    sent = [add("things", attributes={"value": value}) for value in "abc"[:count]]
    answer = run_rows(things(simple(new_base())), [], sent, sessions=sessions)
    assert heard == [(0, "a"), (1, "b"), (2, "c")][:count]
    assert [result["data"]["attributes"]["value"] for result in answer.results] == ["a!", "b!", "c!"][:count]


SESSION_EVENTS = {
    "before_flush": 3,
    "after_flush": 3,
    "after_flush_postexec": 3,
    "before_attach": 3,
    "after_attach": 3,
    "transient_to_pending": 3,
    "pending_to_persistent": 3,
    "persistent_to_deleted": 2,
}


@pytest.mark.parametrize("on", ["sessionmaker", "class", "instance"])
@pytest.mark.parametrize("name", SESSION_EVENTS)
def test_listeners_of_sessions_hear_each(name: str, on: str) -> None:
    heard: list[Any] = []

    def note(*_: Any) -> None:
        heard.append(name)

    class Own(Session):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            if on == "instance":
                event.listen(self, name, note)

    def sessions(engine: Any) -> Any:
        maker = sessionmaker(engine, class_=Own)
        if on != "instance":
            event.listen(maker if on == "sessionmaker" else Own, name, note)
        return maker

    run_rows(things(simple(new_base())), [], WRITES, sessions=sessions)
    assert len(heard) >= SESSION_EVENTS[name]


def test_a_session_that_does_not_delete_has_its_way() -> None:
    class Soft(Session):
        def delete(self, thing: Any) -> None:
            thing.name = "deleted"

    types = things(simple(new_base()))
    with database(types, [row(types[0].model, id=1), row(types[0].model, id=2)]) as engine:
        client = application(atomic_of(types, sessionmaker(engine, class_=Soft))).test_client()
        post(client, remove("things", "1"), remove("things", "2"))
        with engine.connect() as connection:
            assert connection.scalars(select(types[0].model.name)).all() == ["deleted", "deleted"]


def test_sessions_are_plain_unless_someone_listens() -> None:
    maker = sessionmaker()
    assert is_plain(maker())
    event.listen(maker, "after_commit", lambda session: None)  # what it hears of is the same
    assert is_plain(maker())
    event.listen(maker, "before_flush", lambda *_: None)
    assert not is_plain(maker())


# --------------------------------------------------------------------------------------------------- plugins beside us


class Beside:
    """A plugin that does something before or after what the layer does."""

    def __init__(self, before: Any = None, after: Any = None) -> None:
        self.before = before or (lambda unit, entity: None)
        self.after = after or (lambda unit, entity: None)

    @hookimpl(wrapper=True)
    def atomic_add(self, unit: Any) -> Any:
        self.before(unit, None)
        entity = yield
        self.after(unit, entity)
        return entity

    @hookimpl(wrapper=True)
    def atomic_update(self, unit: Any, entity: Any) -> Any:
        self.before(unit, entity)
        yield
        self.after(unit, entity)
        return entity

    @hookimpl(wrapper=True)
    def atomic_remove(self, unit: Any, entity: Any) -> Any:
        self.before(unit, entity)
        yield
        self.after(unit, entity)


def both_ways(types: list[Declared], seed: list[Any], sent: list[Any], *plugins: object) -> list[Any]:
    """The rows after strict and batched runs with these plugins, all the same as when the session writes them."""
    seen = []
    for listened, batch in ((True, False), (True, True), (False, False), (False, True)):
        with database(types, seed) as engine:
            maker = sessionmaker(engine)
            if listened:
                event.listen(maker, "before_flush", lambda *_: None)
            answer = post(application(atomic_of(types, maker, *plugins), ATOMIC_BATCH=batch).test_client(), *sent)
            with engine.connect() as connection:
                tables = types[0].model.metadata.sorted_tables
                rows = [[tuple(each) for each in connection.execute(table.select())] for table in tables]
            seen.append((answer.status, answer.response.json, rows))
    assert seen[1:] == seen[:1] * 3
    assert seen[0][0] in (200, 204), seen[0][1]
    return seen[0][2]


def test_a_plugin_changes_what_was_added_and_updated() -> None:
    def change(unit: Any, entity: Any) -> None:
        if entity is not None:
            entity.name = f"<{entity.value}>"

    types = things(simple(new_base()))
    both_ways(types, [], WRITES, Beside(after=change))
    both_ways(types, [row(types[0].model, id=1)], [update("things", "1", attributes={"value": "v"})], Beside(change))


@pytest.mark.parametrize("look", [lambda unit: None, lambda unit: unit.session], ids=["at once", "in the session"])
def test_a_plugin_sees_what_was_set_on_what_was_added(look: Any) -> None:
    seen = []

    def note(unit: Any, thing: Any) -> None:
        look(unit)
        seen.append(inspect(thing).attrs.value.history.added)

    run_rows(things(simple(new_base())), [], [add("things", attributes={"value": v}) for v in "ab"], Beside(after=note))
    assert seen == [["a"], ["b"]]


def test_a_plugin_relates_what_was_added() -> None:
    types, seed = families()
    company = types[0].model

    def change(unit: Any, entity: Any) -> None:
        if isinstance(entity, types[1].model):
            entity.owner = unit.session.get(company, 2) if entity.name == "by session" else company(name="new")

    sent = [
        *(add("tracks", {"owner": id_("companies", "1")}, attributes={"name": name}) for name in ("x", "by session")),
        *(add("tracks", attributes={"name": name}) for name in ("y", "by session")),
    ]
    rows = both_ways(types, seed, sent, Beside(after=change))
    assert len(rows[0]) == 4


def test_a_plugin_flushes_and_sees_what_was_written() -> None:
    Thing = simple(new_base())  # noqa: N806
    seen: list[Any] = []

    def look(unit: Any, entity: Any) -> None:
        unit.session.flush()
        values = unit.session.connection().execute(select(Thing.__table__.c.value)).scalars().all()
        seen.append(values)

    both_ways(things(Thing), [], WRITES, Beside(after=look))
    once = len(seen) // 4
    assert seen[:once] == seen[once : 2 * once] == seen[2 * once : 3 * once] == seen[3 * once :]
    assert seen[0] == ["a"]


def test_a_plugin_parts_what_refers_to_a_row_before_it_is_removed() -> None:
    types, seed = families()
    track = types[1].model

    def part(unit: Any, entity: Any) -> None:
        for each in unit.session.scalars(select(track).where(track.owner_id == entity.id)):
            each.owner = None

    rows = both_ways(types, seed, [remove("companies", "2"), remove("companies", "1")], Beside(before=part))
    assert rows[0] == []


def test_a_plugin_adds_rows_of_its_own() -> None:
    types, seed = families()

    def note(unit: Any, entity: Any) -> None:
        unit.session.add(types[2].model(name="note"))

    sent = [
        add("companies"),
        add("companies"),
        update("companies", "1", attributes={"name": "n"}),
        remove("companies", "2"),
    ]
    rows = both_ways(types, seed, sent, Beside(before=note, after=note))
    assert len(rows[2]) == 9


class Saving:
    """A plugin that writes every addition in a savepoint, and takes back those that fail."""

    @hookimpl(wrapper=True)
    def atomic_add(self, unit: Any) -> Any:
        with unit.session.begin_nested():
            entity = yield
        assert object_session(entity) is unit.session
        return entity


def test_a_plugin_writes_in_savepoints() -> None:
    types = things(simple(new_base()))
    both_ways(types, [], WRITES, Saving())


# ---------------------------------------------------------------------------------------------- on all the databases


def verbs(statements: list[str]) -> list[str]:
    return [statement.partition(" ")[0] for statement in statements]


COUNTED = range(1000)


def test_a_thousand_adds_are_few_statements(store: Store) -> None:
    with store.work() as work, store.counted() as statements:
        for _ in COUNTED:
            work.add("concerts")
        work.flush()
    expected = {"sqlite": ["UPDATE", "SELECT", "INSERT"]}.get(store.dialect, ["INSERT"])
    assert verbs(statements) == expected
    assert len(store.rows(select(Concert.id))) == 1000


def test_a_thousand_adds_with_ids_are_one_statement(store: Store) -> None:
    with store.work() as work, store.counted() as statements:
        for number in COUNTED:
            work.add("tags", f"t{number}")
        work.flush()
    assert verbs(statements) == ["INSERT"]


def test_a_thousand_updates_are_one_statement(store: Store) -> None:
    store.insert(*(Company(id=number + 1, name=f"c{number}") for number in COUNTED))
    with store.work() as work:
        companies = work.get("companies", *(number + 1 for number in COUNTED))
        with store.counted() as statements:
            for company in companies.values():
                work.update("companies", company, country="de")
            work.flush()
    assert verbs(statements) == ["UPDATE"]
    assert store.rows(select(Company.country).distinct()) == [("de",)]


def test_a_thousand_removals_are_one_statement(store: Store) -> None:
    store.insert(*(Tag(code=f"t{number}") for number in COUNTED))
    with store.work() as work:
        tags = work.get("tags", *(f"t{number}" for number in COUNTED))
        with store.counted() as statements:
            for tag in tags.values():
                work.remove("tags", tag)
            work.flush()
    assert verbs(statements) == ["DELETE"]
    assert store.rows(select(Tag.code)) == []


def test_adds_of_two_types_that_are_related_are_few_statements(store: Store) -> None:
    with store.work() as work, store.counted() as statements:
        companies = [work.add("companies", name=f"c{number}") for number in range(100)]
        for company in companies:
            work.add("guests", host=company)
        work.flush()
    numbered = {"sqlite": ["UPDATE", "SELECT", "INSERT"]}.get(store.dialect, ["INSERT"])
    assert verbs(statements) == numbered * 2


def test_an_update_of_a_row_that_is_gone_is_told(store: Store) -> None:
    store.insert(Company(id=1, name="c"))
    with store.work(commit=False) as work:
        company = work.one("companies", 1)
        work.unit.session.rollback()  # so that nothing is locked
        with store.engine.begin() as connection:
            connection.execute(delete(Company))
        work.update("companies", company, country="de")
        with pytest.raises(NotFound):
            work.flush()


def test_removals_of_rows_of_which_one_is_gone_are_told(store: Store) -> None:
    store.insert(*(Tag(code=code) for code in "abc"))
    with store.work(commit=False) as work:
        tags = work.get("tags", *"abc")
        work.unit.session.rollback()
        with store.engine.begin() as connection:
            connection.execute(delete(Tag).where(Tag.code == "b"))
        for tag in tags.values():
            work.remove("tags", tag)
        with pytest.raises(NotFound):
            work.flush()


@pytest.mark.parametrize("begin", [None, "BEGIN IMMEDIATE"])
def test_numbers_are_not_given_twice_where_two_write_at_once(sqlite_url: str, begin: str | None) -> None:
    types = things(simple(new_base()))
    Thing = types[0].model  # noqa: N806
    engine = create_engine(sqlite_url, connect_args={"timeout": 20})
    if begin is not None:
        event.listen(engine, "connect", lambda connection, _: setattr(connection, "isolation_level", None))
        event.listen(engine, "begin", lambda connection: connection.exec_driver_sql(begin))
    Thing.metadata.create_all(engine)
    flask = application(atomic_of(types, sessionmaker(engine)))

    def write(_: int) -> list[str]:
        answer = post(flask.test_client(), *(add("things") for _ in range(20)))
        return [each["data"]["id"] for each in answer.results] if answer.status == 200 else []

    with ThreadPoolExecutor(4) as threads:
        given = [id for ids in threads.map(write, range(20)) for id in ids]
    with engine.connect() as connection:
        stored = connection.scalars(select(Thing.id)).all()
    assert sorted(map(int, given)) == sorted(stored) != []
    assert len(set(given)) == len(given)


def test_others_cannot_write_between_numbering_and_inserting(sqlite_url: str) -> None:
    types = things(simple(new_base()))
    Thing = types[0].model  # noqa: N806
    engine = create_engine(sqlite_url, connect_args={"timeout": 0})
    Thing.metadata.create_all(engine)
    refused = []

    @event.listens_for(engine, "before_cursor_execute")
    def intrude(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("SELECT max"):
            with sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), timeout=0) as other:
                try:
                    other.execute("INSERT INTO thing (name) VALUES ('other')")
                except sqlite3.OperationalError as error:
                    refused.append(str(error))
            other.close()

    answer = post(application(atomic_of(types, sessionmaker(engine))).test_client(), add("things"), add("things"))
    assert [each["data"]["id"] for each in answer.results] == ["1", "2"]
    assert refused == ["database is locked"]


def test_two_databases(tmp_path: Any) -> None:
    bases = new_base(), new_base()
    engines = [create_engine(f"sqlite:///{tmp_path / name}") for name in "ab"]
    types = []
    for name, base, engine in zip(("things", "items"), bases, engines, strict=True):
        model = simple(base)
        base.metadata.create_all(engine)
        types.append(Declared(model, name, {"name": words()}))
    maker = sessionmaker(binds={declared.model: engine for declared, engine in zip(types, engines, strict=True)})
    client = application(atomic_of(types, maker)).test_client()
    for declared, engine in zip(types, engines, strict=True):
        sent = [*(add(declared.type) for _ in range(3)), update(declared.type, "1", attributes={"name": "n"})]
        assert post(client, *sent, remove(declared.type, "2"), remove(declared.type, "3")).status == 200
        with engine.connect() as connection:
            assert connection.execute(select(declared.model.id, declared.model.name)).all() == [(1, "n")]
    assert post(client, add("things"), add("items")).errors[0][1] == "not-atomic"
    for engine in engines:
        engine.dispose()
