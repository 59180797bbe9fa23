"""The plugins of the documentation, in memory and on SQLite, batched and strictly."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, g, request
from marshmallow_jsonapi import Schema, fields
from sqlalchemy import ForeignKey, create_engine, select
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship, sessionmaker

from flask_atomic import Atomic, ConfigurationError, Conflict, MemoryLayer, hookimpl
from flask_atomic.layers.sqlalchemy import SQLAlchemyLayer
from flask_atomic.testing import Answer, AtomicClient, Document, identifier, in_memory
from tests.application import to_many, to_one
from tests.servers import second_connection

CODE = Path(__file__).parents[1] / "docs" / "code"


@pytest.fixture
def plugin(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Any]:
    """Imports a class of the documentation's code by its module and its name."""
    monkeypatch.syspath_prepend(CODE)
    return lambda module, name: getattr(importlib.import_module(module), name)


# ---------------------------------------------------------------------------------------------------- an application


class PersonSchema(Schema):
    id = fields.Str()
    name = fields.Str(required=True)
    articles = to_many("articles")

    class Meta:
        type_ = "people"


class ArticleSchema(Schema):
    id = fields.Str()
    title = fields.Str(required=True)
    author = to_one("people")

    class Meta:
        type_ = "articles"


class TagSchema(Schema):
    id = fields.Str()
    label = fields.Str()

    class Meta:
        type_ = "tags"


class Base(DeclarativeBase):
    pass


class Belonging:
    owner: Mapped[str | None]
    tenant: Mapped[str | None]
    removed_at: Mapped[datetime | None]


class Person(Belonging, Base):
    __tablename__ = "people"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    articles: Mapped[list[Article]] = relationship(back_populates="author")


class Article(Belonging, Base):
    __tablename__ = "articles"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    author_id: Mapped[int | None] = mapped_column(ForeignKey("people.id"))
    author: Mapped[Person | None] = relationship(back_populates="articles")


class Tag(Base):
    __tablename__ = "tags"
    id: Mapped[int] = mapped_column(primary_key=True)
    label: Mapped[str | None]


class Entry(Base):
    __tablename__ = "entries"
    id: Mapped[int] = mapped_column(primary_key=True)
    user: Mapped[str]
    op: Mapped[str]
    type: Mapped[str]
    resource_id: Mapped[str]
    relationship: Mapped[str | None]


class Once:
    """Makes the first attempt at every request fail when it updates a person, but not the second one."""

    def __init__(self) -> None:
        self.attempts = 0

    @hookimpl(wrapper=True)
    def atomic_begin(self) -> Any:
        self.attempts += 1
        return (yield)

    @hookimpl(wrapper=True)
    def atomic_update(self, resource: Any) -> Any:
        if resource.type == "people" and self.attempts == 1:
            raise Conflict("Not at once.")
        return (yield)


@pytest.fixture(params=[True, False], ids=["batched", "strict"])
def batch(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


class Blog:
    """An application with people, articles and tags on one data layer, and who is logged in to it."""

    def __init__(self, layer: object, *plugins: object, batch: bool = True, **options: Any) -> None:
        self.atomic = Atomic(layer, *plugins)
        self.atomic.resource(PersonSchema, model=Person, **options)
        self.atomic.resource(ArticleSchema, model=Article, **options)
        self.atomic.resource(TagSchema, model=Tag, shared=True, client_ids="allowed")
        self.application = Flask("blog")
        self.application.config["ATOMIC_BATCH"] = batch
        self.application.register_blueprint(self.atomic.blueprint)
        self.application.before_request(_log_in)
        self._client = AtomicClient(self.application)

    def send(self, document: Document, user: str = "ada", tenant: str = "engines") -> Answer:
        return self._client.send(document, headers={"X-User": user, "X-Tenant": tenant})

    def one(self, document: Document, **who: str) -> Any:
        """The resource of the only result."""
        [resource] = self.send(document, **who).resources
        return resource

    def shown(self, resource: Any, **who: str) -> Any:
        """What is shown of the resource now."""
        return self.one(Document().update(resource), **who)


def _log_in() -> None:
    g.user, g.tenant = request.headers["X-User"], request.headers["X-Tenant"]


@pytest.fixture
def sessions(sqlite_url: str) -> sessionmaker[Any]:
    """Sessions on a database in a file that has the tables."""
    engine = create_engine(sqlite_url)
    Base.metadata.create_all(engine)
    return sessionmaker(engine)


@pytest.fixture(params=["memory", "sqlalchemy"])
def blog(request: pytest.FixtureRequest, batch: bool) -> Callable[..., Blog]:
    """Makes an application with these plugins."""

    def made(*plugins: object, **options: Any) -> Blog:
        memory = request.param == "memory"
        layer = MemoryLayer() if memory else SQLAlchemyLayer(request.getfixturevalue("sessions"))
        return Blog(layer, *plugins, batch=batch, **options)

    return made


def person(name: str = "Ada") -> Document:
    return Document().add("people", lid="p", attributes={"name": name})


def article(title: str = "Notes", **relationships: Any) -> Document:
    return Document().add("articles", attributes={"title": title}, relationships=relationships)


MISSING = identifier("articles", "99")


# -------------------------------------------------------------------------------------------------------- audit trail


def rows(url: str, *columns: Any) -> list[tuple[Any, ...]]:
    """What a second connection sees."""
    with second_connection(url).connect() as connection:
        return [tuple(row) for row in connection.execute(select(*columns).order_by(columns[0]))]


def entries(url: str) -> list[tuple[Any, ...]]:
    found = rows(url, Entry.id, Entry.user, Entry.op, Entry.type, Entry.resource_id, Entry.relationship)
    return [entry[1:] for entry in found]


@pytest.fixture
def audited(plugin: Any, sessions: Any, batch: bool) -> Callable[..., Blog]:
    def made(*plugins: object) -> Blog:
        return Blog(SQLAlchemyLayer(sessions), plugin("audit_trail", "AuditTrail")(Entry), *plugins, batch=batch)

    return made


def test_the_audit_trail_has_every_operation(audited: Any, sqlite_url: str) -> None:
    blog = audited()
    ada, notes = blog.send(
        Document()
        .add("people", lid="ada", attributes={"name": "Ada"})
        .add("articles", attributes={"title": "Notes"}, relationships={"author": identifier("people", lid="ada")})
    ).resources
    changes = Document().update(notes, attributes={"title": "Sketch"}).set_relationship(notes, "author", None)
    changes = changes.add_to_relationship(ada, "articles", [notes]).remove_from_relationship(ada, "articles", [notes])
    blog.send(changes.remove("/articles/1"), user="bob").assert_success()
    assert entries(sqlite_url) == [
        ("ada", "add", "people", "1", None),
        ("ada", "add", "articles", "1", None),
        ("bob", "update", "articles", "1", None),
        ("bob", "update", "articles", "1", "author"),
        ("bob", "add", "people", "1", "articles"),
        ("bob", "remove", "people", "1", "articles"),
        ("bob", "remove", "articles", "1", None),
    ]


def test_nothing_is_audited_of_a_request_that_fails(audited: Any, sqlite_url: str) -> None:
    blog = audited()
    blog.send(person("Ada").add("people", attributes={"name": "Ada"})).assert_error("conflict")
    blog.send(person("Ada").remove(MISSING)).assert_error("resource-not-found")
    assert entries(sqlite_url) == []


def test_what_cannot_be_audited_is_not_done(audited: Any, sqlite_url: str) -> None:
    blog = audited()
    with sessionmaker(second_connection(sqlite_url))() as session, session.begin():
        Entry.__table__.drop(session.connection())
    assert blog.send(person()).status == 500
    assert rows(sqlite_url, Person.id) == []


def test_a_second_attempt_is_audited_once(plugin: Any, sessions: Any, sqlite_url: str) -> None:
    trail = plugin("audit_trail", "AuditTrail")(Entry)
    blog = Blog(SQLAlchemyLayer(sessions), trail, once := Once())
    blog.send(person().update(identifier("people", lid="p"))).assert_success()
    assert once.attempts == 2
    assert [entry[1:4] for entry in entries(sqlite_url)] == [("add", "people", "1"), ("update", "people", "1")]


def test_types_that_are_kept_elsewhere_are_not_audited(plugin: Any, sessions: Any, sqlite_url: str) -> None:
    atomic = Atomic(MemoryLayer(), SQLAlchemyLayer(sessions), plugin("audit_trail", "AuditTrail")(Entry))
    atomic.resource(PersonSchema, model=Person, layer="sqlalchemy")
    atomic.resource(ArticleSchema, model=Article, layer="sqlalchemy")
    atomic.resource(TagSchema, layer="memory")
    flask = Flask("blog")
    flask.register_blueprint(atomic.blueprint)
    flask.before_request(_log_in)
    document = Document().add("tags").add("people", attributes={"name": "Ada"}).add("tags")
    who = {"X-User": "ada", "X-Tenant": "engines"}
    AtomicClient(flask).send(document, headers=who).assert_success()
    assert [entry[1:4] for entry in entries(sqlite_url)] == [("add", "people", "1")]
    AtomicClient(in_memory(atomic)).send(document).assert_success()
    assert len(entries(sqlite_url)) == 1


# ---------------------------------------------------------------------------------------------- row-level permission


@pytest.fixture
def owned(blog: Any, plugin: Any) -> Blog:
    made: Blog = blog(plugin("ownership", "Ownership")("articles"))
    return made


@pytest.mark.parametrize(
    "change",
    [
        lambda article, person: Document().update(article, attributes={"title": "Mine"}),
        lambda article, person: Document().update(article, relationships={"author": person}),
        lambda article, person: Document().remove(article),
        lambda article, person: Document().set_relationship(article, "author", person),
        lambda article, person: Document().add_to_relationship(person, "articles", [article]),
        lambda article, person: Document().remove_from_relationship(person, "articles", [article]),
        lambda article, person: Document().add(
            "people", attributes={"name": "Bob"}, relationships={"articles": [article]}
        ),
    ],
    ids=["attributes", "relationships", "remove", "set", "add members", "remove members", "members of a new one"],
)
def test_a_resource_is_changed_by_its_owner_only(owned: Blog, change: Any) -> None:
    ada = owned.one(person())
    notes = owned.one(article(author=ada))
    document = person("Charles").operation(change(notes, ada).operations[0])

    answer = owned.send(document, user="bob")

    error = answer.assert_error("operation-refused", pointer="/atomic:operations/1", status=403)
    assert error.detail == "The 'articles' is somebody else's."
    assert (owned.shown(notes), owned.shown(ada)["attributes"]) == (notes, ada["attributes"])
    assert owned.send(document, user="ada").errors == []


@pytest.mark.parametrize(
    "change",
    [
        lambda person: Document().update(person, relationships={"articles": []}),
        lambda person: Document().set_relationship(person, "articles", []),
    ],
)
def test_members_that_are_owned_are_not_replaced(owned: Blog, change: Any) -> None:
    ada = owned.one(person())
    owned.one(article(author=ada))
    error = owned.send(change(ada)).assert_error("operation-refused")
    assert error.detail == "Members are added and removed, not replaced: those to go may be somebody else's."


def test_a_to_one_refers_and_members_that_nobody_owns_are_replaced(blog: Any, plugin: Any) -> None:
    served = blog(plugin("ownership", "Ownership")("people"))
    ada = served.one(person())
    notes = served.one(article(author=ada), user="bob")
    served.send(
        Document().set_relationship(notes, "author", None).update(notes, relationships={"author": ada}), "bob"
    ).assert_success()
    served.send(Document().set_relationship(ada, "articles", [notes]), user="ada").assert_success()
    served.send(Document().set_relationship(ada, "articles", []), user="bob").assert_error("operation-refused")


def test_who_adds_in_one_request_may_change_in_it(owned: Blog) -> None:
    notes = identifier("articles", lid="notes")
    document = Document().add("articles", lid="notes", attributes={"title": "Notes"})
    answer = owned.send(document.update(notes, attributes={"title": "Sketch"}).remove(notes), user="bob")
    assert [resource and resource["attributes"] for resource in answer.resources] == [
        {"title": "Notes"},
        {"title": "Sketch"},
        None,
    ]


def test_other_types_are_everybodys_and_missing_members_nobodys(owned: Blog) -> None:
    ada = owned.one(person())
    document = (
        Document().update(ada, attributes={"name": "Countess"}).remove_from_relationship(ada, "articles", [MISSING])
    )
    assert owned.send(document, user="bob").errors == []


# ------------------------------------------------------------------------------------------------------------ metrics


def calls(metrics: Any) -> dict[tuple[str, str], int]:
    pattern = r'^atomic_hook_seconds_count\{hook="(\w+)",outcome="(\w+)"\} (\d+)$'
    return {(hook, outcome): int(count) for hook, outcome, count in re.findall(pattern, metrics.text(), re.MULTILINE)}


def test_hooks_are_counted_and_timed(plugin: Any, sessions: Any) -> None:
    metrics = plugin("metrics", "Metrics")()
    blog = Blog(SQLAlchemyLayer(sessions), metrics)
    blog.send(person("Ada").add("people", attributes={"name": "Bob"})).assert_success()
    assert calls(metrics) == {("add", "done"): 2, ("flush", "done"): 1, ("commit", "done"): 1}
    seconds = re.findall(
        r'^atomic_hook_seconds_sum\{hook="(\w+)",outcome="done"\} (\S+)$', metrics.text(), re.MULTILINE
    )
    assert [hook for hook, _ in seconds] == ["add", "flush", "commit"]
    assert all(float(each) > 0 for _, each in seconds)


def test_hooks_that_fail_are_counted_apart(plugin: Any, sessions: Any) -> None:
    metrics = plugin("metrics", "Metrics")()
    blog = Blog(SQLAlchemyLayer(sessions), metrics)
    blog.send(person("Ada").add("people", attributes={"name": "Ada"})).assert_error("conflict")
    assert calls(metrics) == {("add", "done"): 4, ("flush", "done"): 1, ("flush", "failed"): 2}


def test_every_hook_that_is_timed_is_there(blog: Any, plugin: Any) -> None:
    metrics = plugin("metrics", "Metrics")()
    served = blog(metrics)
    notes = served.one(article())
    served.send(Document().update(notes).remove(notes)).assert_success()
    assert {("get", "done"), ("update", "done"), ("remove", "done"), ("commit", "done")} <= calls(metrics).keys()


# ------------------------------------------------------------------------------------------------------------- events


def test_an_event_is_published_for_each_operation(blog: Any, plugin: Any) -> None:
    published: list[Any] = []
    served = blog(plugin("events", "Events")(published.append))
    notes = served.one(article())
    served.send(Document().set_relationship(notes, "author", None).remove(notes)).assert_success()
    assert published == [
        {"op": "add", "type": "articles", "id": "1", "relationship": None, "resource": notes},
        {"op": "update", "type": "articles", "id": "1", "relationship": "author", "resource": None},
        {"op": "remove", "type": "articles", "id": "1", "relationship": None, "resource": None},
    ]


def test_what_is_published_is_committed(plugin: Any, sessions: Any, sqlite_url: str) -> None:
    seen: list[Any] = []
    events = plugin("events", "Events")(lambda event: seen.extend(rows(sqlite_url, Person.id, Person.name)))
    Blog(SQLAlchemyLayer(sessions), events).send(person()).assert_success()
    assert seen == [(1, "Ada")]


def test_nothing_is_published_of_a_request_that_fails(blog: Any, plugin: Any) -> None:
    published: list[Any] = []
    served = blog(plugin("events", "Events")(published.append))
    served.send(person().remove(MISSING)).assert_error("resource-not-found")
    assert published == []


def test_nothing_is_published_if_the_commit_fails(blog: Any, plugin: Any) -> None:
    class Vetoes:
        @hookimpl(wrapper=True)
        def atomic_commit(self) -> Any:
            raise Conflict("Too late.")
            yield

    published: list[Any] = []
    blog(plugin("events", "Events")(published.append), Vetoes()).send(person()).assert_error("conflict")
    assert published == []


def test_a_second_attempt_publishes_once(plugin: Any, sessions: Any) -> None:
    published: list[Any] = []
    blog = Blog(SQLAlchemyLayer(sessions), plugin("events", "Events")(published.append), once := Once())
    blog.send(person().add("people", attributes={"name": "Bob"}).update(identifier("people", lid="p"))).assert_success()
    assert once.attempts == 2
    assert [(event["op"], event["id"]) for event in published] == [("add", "1"), ("add", "2"), ("update", "1")]


# -------------------------------------------------------------------------------------------------------- soft delete


@pytest.fixture(params=["memory", "sqlalchemy"])
def soft(request: pytest.FixtureRequest, plugin: Any, batch: bool) -> Blog:
    if request.param == "memory":
        return Blog(plugin("soft_delete", "SoftDeleteMemoryLayer")(), batch=batch, soft_delete=True)
    layer = type("SoftDeleteSQLAlchemyLayer", (plugin("soft_delete", "SoftDelete"), SQLAlchemyLayer), {})
    return Blog(layer(request.getfixturevalue("sessions")), batch=batch, soft_delete=True)


def test_what_was_removed_softly_is_there_no_more(soft: Blog) -> None:
    notes = soft.one(article())
    assert soft.send(Document().remove(notes)).status == 204
    for document in (
        Document().update(notes),
        Document().remove(notes),
        Document().set_relationship(notes, "author", None),
    ):
        soft.send(document).assert_error("resource-not-found", status=404)
    answer = soft.send(Document().add("people", attributes={"name": "Ada"}, relationships={"articles": [notes]}))
    answer.assert_error("related-resource-not-found", status=404)


def test_it_is_there_no_more_for_what_follows_in_the_request(soft: Blog) -> None:
    notes = soft.one(article())
    sketch = soft.one(article("Sketch"))
    document = Document().remove(notes).remove(sketch).update(notes)
    soft.send(document).assert_error("resource-not-found", pointer="/atomic:operations/2/data/id")
    assert soft.shown(notes) == notes


def test_what_was_removed_softly_is_not_shown_as_related(soft: Blog) -> None:
    ada = soft.one(person())
    notes, sketch = (soft.one(article(title, author=ada)) for title in ("Notes", "Sketch"))
    soft.send(Document().add_to_relationship(ada, "articles", [notes, sketch])).assert_success()
    soft.send(Document().remove(notes)).assert_success()
    assert soft.shown(ada)["relationships"]["articles"]["data"] == [identifier("articles", sketch["id"])]
    soft.send(Document().remove(ada)).assert_success()
    assert soft.shown(sketch)["relationships"]["author"]["data"] is None


def test_other_types_are_removed_as_ever(soft: Blog) -> None:
    tag = soft.one(Document().add("tags"))
    assert soft.send(Document().remove(tag)).status == 204
    soft.send(Document().remove(tag)).assert_error("resource-not-found")


def test_a_row_that_was_removed_softly_is_kept(plugin: Any, sessions: Any, sqlite_url: str) -> None:
    layer = type("SoftDeleteSQLAlchemyLayer", (plugin("soft_delete", "SoftDelete"), SQLAlchemyLayer), {})
    blog = Blog(layer(sessions), soft_delete=True)
    notes, tag = blog.send(article().add("tags")).resources
    blog.send(Document().remove(notes).remove(tag)).assert_success()
    assert rows(sqlite_url, Tag.id) == []
    [(title, removed_at)] = rows(sqlite_url, Article.title, Article.removed_at)
    assert title == "Notes"
    assert removed_at is not None


# ---------------------------------------------------------------------------------------------------------- isolation


@pytest.fixture
def isolated(blog: Any, plugin: Any) -> Blog:
    made: Blog = blog(plugin("tenants", "Tenants")())
    return made


@pytest.mark.parametrize(
    "attempt",
    [
        lambda article: Document().update(article),
        lambda article: Document().update(article, attributes={"title": "Mine"}),
        lambda article: Document().remove(article),
        lambda article: Document().set_relationship(article, "author", None),
    ],
)
def test_what_another_tenant_has_does_not_exist(isolated: Blog, attempt: Any) -> None:
    notes = isolated.one(article())
    answer = isolated.send(person().operation(attempt(notes).operations[0]), tenant="others")
    nothing = isolated.send(person().operation(attempt(MISSING).operations[0]), tenant="others")
    assert answer.errors == nothing.errors
    answer.assert_error("resource-not-found", status=404)
    assert isolated.shown(notes) == notes


@pytest.mark.parametrize(
    "attempt",
    [
        lambda own, foreign: Document().add("people", attributes={"name": "B"}, relationships={"articles": [foreign]}),
        lambda own, foreign: Document().update(own, relationships={"articles": [foreign]}),
        lambda own, foreign: Document().add_to_relationship(own, "articles", [foreign]),
        lambda own, foreign: Document().set_relationship(own, "articles", [foreign]),
    ],
)
def test_nobody_is_related_to_what_another_tenant_has(isolated: Blog, attempt: Any) -> None:
    notes = isolated.one(article())
    ada = isolated.one(person(), tenant="others")
    answer = isolated.send(attempt(ada, notes), tenant="others")
    assert answer.errors == isolated.send(attempt(ada, MISSING), tenant="others").errors
    answer.assert_error("related-resource-not-found", status=404)
    assert isolated.shown(ada, tenant="others") == ada


def test_to_remove_what_another_tenant_has_from_a_relationship_says_nothing(isolated: Blog) -> None:
    notes = isolated.one(article())
    ada = isolated.one(person(), tenant="others")
    answer = isolated.send(Document().remove_from_relationship(ada, "articles", [notes, MISSING]), tenant="others")
    assert answer.status == 204


def test_a_tenant_has_what_it_adds(isolated: Blog) -> None:
    ada = isolated.one(person(), tenant="others")
    notes = isolated.one(article(author=ada), tenant="others")
    assert isolated.shown(notes, tenant="others")["relationships"]["author"]["data"] == identifier("people", ada["id"])


def test_what_is_shared_is_everybodys(isolated: Blog) -> None:
    tag = isolated.one(Document().add("tags", attributes={"label": "x"}))
    assert isolated.shown(tag, tenant="others") == tag


def test_the_tenant_is_stored(plugin: Any, sessions: Any, sqlite_url: str) -> None:
    blog = Blog(SQLAlchemyLayer(sessions), plugin("tenants", "Tenants")())
    blog.send(person("Ada").add("people", attributes={"name": "Bob"}), tenant="others").assert_success()
    assert rows(sqlite_url, Person.name, Person.tenant) == [("Ada", "others"), ("Bob", "others")]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shared": True}, "'people' is shared"),
        ({"client_ids": "allowed"}, "'people' takes ids from clients"),
    ],
)
def test_what_would_leak_is_refused_at_start_up(plugin: Any, options: Any, message: str) -> None:
    atomic = Atomic(MemoryLayer(), plugin("tenants", "Tenants")())
    atomic.resource(PersonSchema, **options)
    atomic.resource(ArticleSchema)
    with pytest.raises(ConfigurationError, match=message):
        Flask("blog").register_blueprint(atomic.blueprint)
