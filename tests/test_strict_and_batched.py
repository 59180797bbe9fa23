"""The law of batching: a batched and a strict run of any documents give the same answers and leave the same rows.

But for the ids that the store makes: rows that are written together may be numbered in another order. So each generated
id is compared by where it first appeared, and the documents name no such ids.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from marshmallow import validate
from marshmallow_jsonapi import Schema, fields
from sqlalchemy import CheckConstraint, Column, ForeignKey, String, Table, create_engine, event, text
from sqlalchemy.engine import Engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship, sessionmaker
from sqlalchemy.pool import StaticPool

from flask_atomic import Atomic, MemoryLayer
from flask_atomic.layers.sqlalchemy import SQLAlchemyLayer

# --------------------------------------------------------------------------------------------------- a small world


class Base(DeclarativeBase):
    pass


article_tags = Table(
    "article_tags",
    Base.metadata,
    Column("article_id", ForeignKey("articles.id"), primary_key=True),
    Column("tag_id", ForeignKey("tags.id"), primary_key=True),
)


class Person(Base):
    __tablename__ = "people"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str | None] = mapped_column(String(20), unique=True)
    age: Mapped[int | None] = mapped_column(CheckConstraint("age < 100"))
    boss_id: Mapped[int | None] = mapped_column(ForeignKey("people.id"))
    boss: Mapped[Person | None] = relationship(remote_side=[id], back_populates="staff")
    staff: Mapped[list[Person]] = relationship(back_populates="boss")
    badge: Mapped[Badge | None] = relationship(back_populates="owner")


class Badge(Base):
    __tablename__ = "badges"
    id: Mapped[int] = mapped_column(primary_key=True)
    owner_id: Mapped[int | None] = mapped_column(ForeignKey("people.id"), unique=True)
    owner: Mapped[Person | None] = relationship(back_populates="badge")


class Article(Base):
    __tablename__ = "articles"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str] = mapped_column(String(20), unique=True)
    author_id: Mapped[int] = mapped_column(ForeignKey("people.id"))  # a person who has written cannot be removed
    author: Mapped[Person] = relationship()
    tags: Mapped[list[Tag]] = relationship(secondary=article_tags, back_populates="articles")

    @property
    def headline(self) -> str:
        return self.title.upper()


class Tag(Base):
    __tablename__ = "tags"
    id: Mapped[str] = mapped_column(String(20), primary_key=True)
    articles: Mapped[list[Article]] = relationship(secondary=article_tags, back_populates="tags")


class PersonSchema(Schema):
    id = fields.Str()
    name = fields.Str(allow_none=True, validate=validate.Length(max=5))
    age = fields.Int(allow_none=True)
    boss = fields.Relationship(type_="people", allow_none=True, include_resource_linkage=True)
    staff = fields.Relationship(type_="people", many=True)
    badge = fields.Relationship(type_="badges", allow_none=True, include_resource_linkage=True)

    class Meta:
        type_ = "people"


class BadgeSchema(Schema):
    id = fields.Str()
    owner = fields.Relationship(type_="people", allow_none=True, include_resource_linkage=True)

    class Meta:
        type_ = "badges"


class ArticleSchema(Schema):
    id = fields.Str()
    title = fields.Str(required=True)
    author = fields.Relationship(type_="people", required=True, include_resource_linkage=True)
    tags = fields.Relationship(type_="tags", many=True, include_resource_linkage=True)

    class Meta:
        type_ = "articles"


class TagSchema(Schema):
    id = fields.Str()
    articles = fields.Relationship(type_="articles", many=True, include_resource_linkage=True)

    class Meta:
        type_ = "tags"


TYPES: dict[str, dict[str, Any]] = {
    "people": {
        "attributes": {"name": st.sampled_from(["a", "b", "c", None, "too long"]), "age": st.sampled_from([1, 100])},
        "relationships": {"boss": "people", "staff": ["people"], "badge": "badges"},
    },
    "badges": {"attributes": {}, "relationships": {"owner": "people"}},
    "articles": {
        "attributes": {"title": st.sampled_from(["t", "u", "v", "w"])},
        "relationships": {"author": "people", "tags": ["tags"]},
    },
    "tags": {"attributes": {}, "relationships": {"articles": ["articles"]}},
}

EXISTING = {"people": ["1", "2", "3"], "badges": ["1", "2"], "articles": ["1", "2"], "tags": ["x", "y"]}
PERHAPS = {"people": ["99", "01"], "badges": ["99"], "articles": ["99", "nonsense"], "tags": ["z"]}

SEED = [  # always in a strict run, which numbers them in this order
    {"type": "people", "attributes": {"name": "a"}},
    {
        "type": "people",
        "attributes": {"name": "b"},
        "relationships": {"boss": {"data": {"type": "people", "id": "1"}}},
    },
    {"type": "people", "attributes": {"name": None}},
    {"type": "badges", "relationships": {"owner": {"data": {"type": "people", "id": "1"}}}},
    {"type": "badges"},
    {"type": "tags", "id": "x"},
    {"type": "tags", "id": "y"},
    *(
        {
            "type": "articles",
            "attributes": {"title": title},
            "relationships": {
                "author": {"data": {"type": "people", "id": "2"}},
                "tags": {"data": [{"type": "tags", "id": "x"}]},
            },
        }
        for title in ("t", "u")
    ),
]

# ------------------------------------------------------------------------------------------------------- documents


@st.composite
def operation_lists(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Operations of the right shape that contradict each other, and what is stored, every now and then."""
    declared: list[tuple[str, str]] = []
    operations = []
    for position in range(draw(st.integers(1, 7))):
        type_ = draw(st.sampled_from([*TYPES, "people"]))
        op = draw(st.sampled_from(["add", "add", "update", "update", "update", "remove", "relationship"]))
        operations.append(_OPERATIONS[op](draw, type_, declared, f"lid{position}"))
    return operations


def _identifier(draw: st.DrawFn, type_: str, declared: list[tuple[str, str]]) -> dict[str, str]:
    lids = [lid for of_type, lid in declared if of_type == type_]
    if lids and draw(st.booleans()):
        return {"type": type_, "lid": draw(st.sampled_from(lids))}
    return {"type": type_, "id": draw(st.sampled_from(EXISTING[type_] * 12 + PERHAPS[type_]))}


def _linkage(draw: st.DrawFn, related: str | list[str], declared: list[tuple[str, str]]) -> Any:
    if isinstance(related, list):
        return [_identifier(draw, related[0], declared) for _ in range(draw(st.integers(0, 3)))]
    return _identifier(draw, related, declared) if draw(st.integers(0, 3)) else None


def _members(draw: st.DrawFn, type_: str, declared: list[tuple[str, str]], always: tuple[str, ...]) -> dict[str, Any]:
    attributes = {
        name: draw(values)
        for name, values in TYPES[type_]["attributes"].items()
        if name in always or draw(st.booleans())
    }
    relationships = {
        name: {"data": _linkage(draw, related, declared)}
        for name, related in TYPES[type_]["relationships"].items()
        if name in always or draw(st.integers(0, 2)) == 0
    }
    return {"type": type_, "attributes": attributes, "relationships": relationships}


def _add(draw: st.DrawFn, type_: str, declared: list[tuple[str, str]], lid: str) -> dict[str, Any]:
    if type_ == "tags":
        data = _members(draw, type_, declared, ())
        return {"op": "add", "data": {**data, "id": draw(st.sampled_from(["x", "z", "q", "r"]))}}
    if draw(st.integers(0, 4)) == 0:  # it may refer to itself
        declared.append((type_, lid))
        return {"op": "add", "data": {**_members(draw, type_, declared, ("title", "author")), "lid": lid}}
    data = _members(draw, type_, declared, ("title", "author"))
    declared.append((type_, lid))
    return {"op": "add", "data": {**data, "lid": lid}}


def _update(draw: st.DrawFn, type_: str, declared: list[tuple[str, str]], lid: str) -> dict[str, Any]:
    identifier = _identifier(draw, type_, declared)
    return {"op": "update", "data": {**_members(draw, type_, declared, ()), **identifier}}


def _remove(draw: st.DrawFn, type_: str, declared: list[tuple[str, str]], lid: str) -> dict[str, Any]:
    return {"op": "remove", "ref": _identifier(draw, type_, declared)}


def _relationship(draw: st.DrawFn, type_: str, declared: list[tuple[str, str]], lid: str) -> dict[str, Any]:
    name, related = draw(st.sampled_from(list(TYPES[type_]["relationships"].items())))
    op = draw(st.sampled_from(["add", "update", "remove"])) if isinstance(related, list) else "update"
    ref = {**_identifier(draw, type_, declared), "relationship": name}
    return {"op": op, "ref": ref, "data": _linkage(draw, related, declared)}


_OPERATIONS: dict[str, Callable[..., dict[str, Any]]] = {
    "add": _add,
    "update": _update,
    "remove": _remove,
    "relationship": _relationship,
}

# ----------------------------------------------------------------------------------------------------------- worlds


class World:
    """A store, and two applications on it: one that batches and one that does not."""

    def empty(self) -> None:
        """Take all rows away."""
        raise NotImplementedError

    clients: Mapping[bool, FlaskClient]
    """One of each application, by whether it batches."""

    def rows(self) -> dict[str, list[dict[str, Any]]]:
        """All that is stored: by table, each row by column, generated ids under their names in KEYS."""
        raise NotImplementedError

    def run(self, documents: Sequence[Any], *, batch: bool) -> tuple[list[Any], dict[str, list[str]]]:
        """The answers to the documents, and the rows that are there in the end."""
        self.empty()
        places = Places()
        seeded = post(self.clients[False], [{"op": "add", "data": resource} for resource in SEED], places)
        assert seeded[0] == 200
        answers = [post(self.clients[batch], operations, places) for operations in documents]
        return answers, {name: sorted(str(places.in_row(row)) for row in rows) for name, rows in self.rows().items()}


def clients(layer: object) -> Mapping[bool, FlaskClient]:
    return {batch: client(layer, batch=batch) for batch in (True, False)}


def client(layer: object, *, batch: bool) -> FlaskClient:
    app = Flask(__name__)
    app.config["ATOMIC_BATCH"] = batch
    atomic = Atomic(layer)
    atomic.resource(PersonSchema, model=Person)
    atomic.resource(BadgeSchema, model=Badge)
    atomic.resource(ArticleSchema, model=Article)
    atomic.resource(TagSchema, model=Tag, client_ids="required", id_type=str)
    app.register_blueprint(atomic.blueprint)
    return app.test_client()


def post(client: FlaskClient, operations: list[dict[str, Any]], places: Places) -> tuple[int, Any]:
    response = client.post("/operations", json={"atomic:operations": operations})
    document = response.get_json(silent=True)
    return response.status_code, places.in_document(document)


class Places(dict[tuple[str, str], str]):
    """The resources that were answered, by type and id: what replaces their ids in a comparison."""

    def in_document(self, document: Any) -> Any:
        for result in (document or {}).get("atomic:results", []):
            if "data" in result:
                resource = result["data"]["type"], result["data"]["id"]
                self.setdefault(resource, f"the {len(self)}th resource answered")
        return self._replaced(document)

    def _replaced(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._replaced(inner) for inner in value]
        if not isinstance(value, dict):
            return value
        replaced = {name: self._replaced(inner) for name, inner in value.items()}
        return {**replaced, "id": self[value["type"], value["id"]]} if {"type", "id"} <= value.keys() else replaced

    def in_row(self, row: dict[str, Any]) -> dict[str, Any]:
        return {
            column: value if value is None or column not in KEYS else self[KEYS[column], str(value)]
            for column, value in row.items()
        }


KEYS = {
    "people_id": "people",
    "boss_id": "people",
    "badges_id": "badges",
    "owner_id": "people",
    "articles_id": "articles",
    "author_id": "people",
    "article_id": "articles",
}
"""The columns with generated ids, and the types of the resources that have them."""


class MemoryWorld(World):
    def empty(self) -> None:
        self._layer = MemoryLayer()
        self.clients = clients(self._layer)

    def rows(self) -> dict[str, list[dict[str, Any]]]:
        rows: dict[str, list[dict[str, Any]]] = {type_: [] for type_ in TYPES}
        for (type_, _), entity in self._layer._entities.items():
            rows[type_].append(vars(entity))
        return rows


class SQLWorld(World):
    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        Base.metadata.create_all(engine)
        self.clients = clients(SQLAlchemyLayer(sessionmaker(engine)))

    def empty(self) -> None:
        with self.engine.begin() as connection:
            for statement in EMPTY[self.engine.dialect.name]:
                connection.execute(text(statement))

    def rows(self) -> dict[str, list[dict[str, Any]]]:
        with self.engine.connect() as connection:
            return {
                table.name: [
                    {f"{table.name}_id" if column == "id" else column: value for column, value in row.items()}
                    for row in connection.execute(table.select()).mappings()
                ]
                for table in Base.metadata.tables.values()
            }


TABLES = ["article_tags", "articles", "badges", "people", "tags"]

EMPTY = {
    "sqlite": [f"DELETE FROM {table}" for table in TABLES],
    "postgresql": [f"TRUNCATE {', '.join(TABLES)} RESTART IDENTITY"],
    "mysql": [
        "SET FOREIGN_KEY_CHECKS=0",
        *(f"DELETE FROM {table}" for table in TABLES),
        *(f"ALTER TABLE {table} AUTO_INCREMENT=1" for table in ("people", "badges", "articles")),
        "SET FOREIGN_KEY_CHECKS=1",
    ],
}
"""How all rows go, and numbers begin with 1 again."""


def compare(world: World, documents: Sequence[Any]) -> None:
    batched_answers, batched_rows = world.run(documents, batch=True)
    strict_answers, strict_rows = world.run(documents, batch=False)
    assert batched_answers == strict_answers
    assert all(status < 500 for status, _ in strict_answers)
    assert batched_rows == strict_rows


def sqlite_engine() -> Engine:
    engine = create_engine("sqlite://", poolclass=StaticPool)
    event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA foreign_keys=ON"))
    return engine


pytestmark = pytest.mark.no_cover


@pytest.fixture(autouse=True, scope="module")
def few_at_a_time() -> Iterator[None]:
    """Have all that may happen between a batched and a strict attempt happen with few operations, too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("flask_atomic.pace._FEW", 1)
        patch.setattr("flask_atomic.runs._LONG", 1)
        yield


documents = st.lists(operation_lists(), min_size=1, max_size=3)


@given(documents=documents)
@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
def test_in_memory_a_batched_run_cannot_be_told_from_a_strict_one(documents: list[Any]) -> None:
    compare(MemoryWorld(), documents)


@pytest.fixture(scope="module")
def sqlite_world() -> Iterator[World]:
    engine = sqlite_engine()
    yield SQLWorld(engine)
    engine.dispose()


@given(documents=documents)
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_on_sqlite_a_batched_run_cannot_be_told_from_a_strict_one(sqlite_world: World, documents: list[Any]) -> None:
    compare(sqlite_world, documents)


@pytest.mark.parametrize("server", ["postgresql", "mariadb"])
def test_on_a_server_a_batched_run_cannot_be_told_from_a_strict_one(
    server: str, request: pytest.FixtureRequest
) -> None:
    engine = create_engine(request.getfixturevalue(f"{server}_url"))
    world = SQLWorld(engine)

    @given(documents=documents)
    @settings(max_examples=10, suppress_health_check=[HealthCheck.too_slow])
    def compare_here(documents: list[Any]) -> None:
        compare(world, documents)

    compare_here()
    engine.dispose()
