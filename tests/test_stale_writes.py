"""Versions of resources: shown in `meta`, named by operations, and never written over unnoticed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Thread
from typing import Any
from uuid import uuid4

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from marshmallow_jsonapi import fields
from sqlalchemy import (
    DDL,
    Column,
    Connection,
    Engine,
    FetchedValue,
    ForeignKey,
    LargeBinary,
    String,
    Table,
    create_engine,
    event,
    select,
    text,
    update,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship, sessionmaker
from sqlalchemy.types import UserDefinedType

from flask_atomic import Atomic, ConfigurationError, MemoryLayer, Stale, hookimpl
from flask_atomic.layers.sqlalchemy import SQLAlchemyLayer
from tests.application import Answer, add, application, id_, lid, post, relate, schema, to_many, to_one
from tests.application import remove as removal
from tests.application import update as change
from tests.recording import RecordingLayer
from tests.servers import second_connection


class Base(DeclarativeBase):
    pass


book_tags = Table(
    "book_tags",
    Base.metadata,
    Column("book_id", ForeignKey("books.id"), primary_key=True),
    Column("tag_id", ForeignKey("tags.id"), primary_key=True),
)


class Book(Base):
    """Counts its versions; that is what SQLAlchemy does where it is told nothing else."""

    __tablename__ = "books"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str | None] = mapped_column(String(20), unique=True)
    price: Mapped[int | None]
    revision: Mapped[int] = mapped_column()
    sequel_id: Mapped[int | None] = mapped_column(ForeignKey("books.id"))
    sequel: Mapped[Book | None] = relationship(remote_side=[id])
    tags: Mapped[list[Tag]] = relationship(secondary=book_tags, back_populates="books")
    pages: Mapped[list[Page]] = relationship(back_populates="book")
    cover: Mapped[Cover | None] = relationship(back_populates="book")

    __mapper_args__ = {"version_id_col": revision}  # noqa: RUF012

    @property
    def notes(self) -> dict[str, Any] | None:
        return {"sold": self.price is not None, "version": "the schema's"} if self.title == "noted" else None


class Tag(Base):
    __tablename__ = "tags"
    id: Mapped[int] = mapped_column(primary_key=True)
    books: Mapped[list[Book]] = relationship(secondary=book_tags, back_populates="tags")


class Page(Base):
    __tablename__ = "pages"
    id: Mapped[int] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column()
    book_id: Mapped[int | None] = mapped_column(ForeignKey("books.id"))
    book: Mapped[Book | None] = relationship(back_populates="pages")

    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012


class Cover(Base):
    __tablename__ = "covers"
    id: Mapped[int] = mapped_column(primary_key=True)
    book_id: Mapped[int | None] = mapped_column(ForeignKey("books.id"), unique=True)
    book: Mapped[Book | None] = relationship(back_populates="cover")


class Draft(Base):
    """Has random versions."""

    __tablename__ = "drafts"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str | None] = mapped_column(String(20))
    version: Mapped[str] = mapped_column(String(32))

    __mapper_args__ = {"version_id_col": version, "version_id_generator": lambda _: uuid4().hex}  # noqa: RUF012


class Stamped(Base):
    """Has versions of bytes, which are not read with the row."""

    __tablename__ = "stamped"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str | None] = mapped_column(String(20))
    version: Mapped[bytes] = mapped_column(LargeBinary(16), deferred=True)

    __mapper_args__ = {"version_id_col": version, "version_id_generator": lambda _: uuid4().bytes}  # noqa: RUF012


class Ledger(Base):
    """Has a version that a trigger counts up."""

    __tablename__ = "ledgers"
    __table_args__ = {"implicit_returning": False}  # noqa: RUF012 - RETURNING comes before the trigger on SQLite
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str | None] = mapped_column(String(20))
    version: Mapped[int] = mapped_column(server_default="1", server_onupdate=FetchedValue())

    __mapper_args__ = {"version_id_col": version, "version_id_generator": False}  # noqa: RUF012


TRIGGERS = {
    "sqlite": [
        "CREATE TRIGGER ledgers_version AFTER UPDATE ON ledgers BEGIN "
        "UPDATE ledgers SET version = OLD.version + 1 WHERE id = NEW.id; END"
    ],
    "postgresql": [
        "CREATE FUNCTION ledgers_version() RETURNS trigger LANGUAGE plpgsql AS "
        "'BEGIN NEW.version := OLD.version + 1; RETURN NEW; END'",
        "CREATE TRIGGER ledgers_version BEFORE UPDATE ON ledgers FOR EACH ROW EXECUTE FUNCTION ledgers_version()",
    ],
    "mysql": [
        "CREATE TRIGGER ledgers_version BEFORE UPDATE ON ledgers FOR EACH ROW SET NEW.version = OLD.version + 1",
    ],
}
for dialect, statements in TRIGGERS.items():
    for statement in statements:
        event.listen(Ledger.__table__, "after_create", DDL(statement).execute_if(dialect=dialect))


class WithXmin(DeclarativeBase):
    pass


class Xid(UserDefinedType[str]):
    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "xid"


class Account(WithXmin):
    """Its version is what PostgreSQL writes into each row anyway."""

    __tablename__ = "accounts"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str | None] = mapped_column(String(20))
    xmin: Mapped[str] = mapped_column(Xid, system=True, server_default=FetchedValue())

    __mapper_args__ = {"version_id_col": xmin, "version_id_generator": False}  # noqa: RUF012


TITLE = {"title": fields.Str(allow_none=True)}
BOOK = {
    **TITLE,
    "price": fields.Int(allow_none=True),
    "notes": fields.ResourceMeta(),
    "sequel": to_one("books"),
    "tags": to_many("tags"),
    "pages": to_many("pages"),
    "cover": to_one("covers"),
}


class Store:
    """Books, pages and the rest in a database, behind two applications: one batches, the other does not."""

    def __init__(self, engine: Engine, **options: Any) -> None:
        self.engine = engine
        self._second = second_connection(engine.url.render_as_string(hide_password=False))
        Base.metadata.create_all(engine)
        self.layer = SQLAlchemyLayer(sessionmaker(engine), **options)
        self.client = self._client(batch=True)
        self.strict = self._client(batch=False)

    def _client(self, *, batch: bool) -> FlaskClient:
        atomic = Atomic(self.layer)
        atomic.resource(schema("books", **BOOK), model=Book, independent=True, client_ids="allowed")
        atomic.resource(schema("tags", books=to_many("books")), model=Tag, client_ids="allowed")
        atomic.resource(schema("pages", book=to_one("books")), model=Page, client_ids="allowed")
        atomic.resource(schema("covers", book=to_one("books")), model=Cover, client_ids="allowed")
        for type_, model in {"drafts": Draft, "stamped": Stamped, "ledgers": Ledger}.items():
            atomic.resource(schema(type_, **TITLE), model=model)
        return application(atomic, ATOMIC_BATCH=batch).test_client()

    def books(self, *titles: str) -> None:
        """Add books, numbered from 1, and as many tags, pages and covers."""
        numbers = [str(number) for number, _ in enumerate(titles, 1)]
        rest = [add(type_, id=number) for type_ in ("tags", "pages", "covers") for number in numbers]
        new = [
            add("books", id=number, attributes={"title": title}) for number, title in zip(numbers, titles, strict=True)
        ]
        assert post(self.client, *new, *rest).status == 200

    def elsewhere(self, *statements: Any) -> None:
        """Execute something in another connection, and commit."""
        with self._second.begin() as connection:
            for each in statements:
                connection.execute(each)

    def rows(self, model: Any) -> list[dict[str, Any]]:
        """What is committed, seen through another connection."""
        with self._second.connect() as connection:
            return [dict(row) for row in connection.execute(select(model.__table__).order_by("id")).mappings()]


@pytest.fixture
def store(database_url: str) -> Store:
    return Store(create_engine(database_url))


@pytest.fixture
def sqlite_store(sqlite_url: str) -> Store:
    return Store(create_engine(sqlite_url))


def version(answer: Answer, index: int = 0) -> str:
    """The version that a result shows."""
    shown: str = answer.results[index]["data"]["meta"]["version"]
    return shown


def versioned(version: Any) -> dict[str, Any]:
    return {"meta": {"version": version}}


def with_ref(operation: dict[str, Any], version: Any) -> dict[str, Any]:
    """The operation with a version in its `ref`."""
    return {**operation, "ref": {**operation["ref"], **versioned(version)}}


BOOK_1, TAG_1, PAGE_1, COVER_1 = (id_(type_, "1") for type_ in ("books", "tags", "pages", "covers"))

# ------------------------------------------------------------------------------------------------------------- shown


@pytest.mark.parametrize("type_", ["books", "drafts", "stamped", "ledgers"])
def test_each_write_shows_another_version(store: Store, type_: str) -> None:
    shown = [version(post(store.client, add(type_, attributes={"title": "One"})))]
    for title in ("Two", "Three"):
        shown.append(version(post(store.client, change(type_, "1", attributes={"title": title}))))
    assert all(isinstance(each, str) for each in shown)
    assert len(set(shown)) == 3
    assert version(post(store.client, change(type_, "1"))) == shown[-1]


def test_counted_versions_are_texts(store: Store) -> None:
    store.books("One")
    assert version(post(store.client, change("books", "1"))) == "1"


def test_a_result_shows_the_version_that_its_operation_made(store: Store) -> None:
    answer = post(
        store.client,
        add("books", lid="b", attributes={"title": "One"}),
        change("books", lid="b", attributes={"title": "Two"}),
        change("books", lid="b", attributes={"price": 3}),
    )
    assert [version(answer, index) for index in range(3)] == ["1", "2", "3"]


def test_the_version_joins_the_meta_of_the_schema_and_prevails(sqlite_store: Store) -> None:
    shown = post(sqlite_store.client, add("books", attributes={"title": "noted"})).results[0]["data"]["meta"]
    assert shown == {"sold": False, "version": "1"}


def test_sparse_fields_leave_the_version(sqlite_store: Store) -> None:
    sqlite_store.books("One")
    answer = post(sqlite_store.client, change("books", "1"), path="/api/operations?fields[books]=price")
    assert answer.results[0]["data"] == {
        **BOOK_1,
        "attributes": {"price": None},
        "meta": {"version": "1"},
    }


def test_a_column_that_may_be_null_is_no_version() -> None:
    class Own(DeclarativeBase):
        pass

    class Sheet(Own):
        __tablename__ = "sheets"
        id: Mapped[int] = mapped_column(primary_key=True)
        version: Mapped[int | None] = mapped_column()

        __mapper_args__ = {"version_id_col": version}  # noqa: RUF012

    atomic = Atomic(SQLAlchemyLayer(sessionmaker()))
    atomic.resource(schema("sheets"), model=Sheet)
    with pytest.raises(ConfigurationError, match=r"version_id_col of Sheet, 'version', may be null, .* nullable=False"):
        application(atomic)


def test_what_a_layer_has_no_version_of_shows_none() -> None:
    class Without(WithVersions):
        @hookimpl
        def atomic_version(self, entities: Sequence[Any]) -> list[str | None]:
            return [None for _ in entities]

    assert "meta" not in post(client_of(Without()), add("books")).results[0]["data"]


NEW = lid("books", "new")


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "update", "data": NEW},
        {"op": "update", "data": {**NEW, "attributes": {"price": None}}},
        {"op": "update", "data": {**NEW, "relationships": {"sequel": {"data": None}}}},
        relate("update", NEW, "sequel", None),
        relate("update", NEW, "cover", None),
        relate("add", NEW, "tags", []),
    ],
)
def test_what_changes_nothing_of_a_new_resource_makes_no_version(
    sqlite_store: Store, operation: dict[str, Any]
) -> None:
    requests = [[{"op": "add", "data": NEW}, *[operation] * 2]]
    assert outcome(sqlite_store, sqlite_store.client, requests) == outcome(sqlite_store, sqlite_store.strict, requests)
    assert {row["revision"] for row in sqlite_store.rows(Book)} == {1}


def test_types_without_versions_show_none_and_ignore_what_is_called_so(sqlite_store: Store) -> None:
    answer = post(sqlite_store.client, add("tags", **versioned(7)), change("tags", "1", **versioned(["?"])))
    assert [result["data"].get("meta") for result in answer.results] == [None, None]


# ------------------------------------------------------------------------------------------------------------- named


def on_book(**members: Any) -> list[tuple[dict[str, Any], str]]:
    """Each kind of operation on the first book, with where it names a version."""
    written = [
        (change("books", "1", attributes={"title": "New"}, **members), "data"),
        (change("books", "1", **members), "data"),
        (change("books", "1", relationships={"tags": [TAG_1]}, **members), "data"),
        ({**change("books", "1", attributes={"title": "New"}), "ref": {**BOOK_1, **members}}, "ref"),
    ]
    ref = {**BOOK_1, **members}
    return [
        *written,
        ({"op": "remove", "ref": ref}, "ref"),
        (relate("update", ref, "sequel", BOOK_1), "ref"),
        (relate("update", ref, "sequel", None), "ref"),
        (relate("update", ref, "cover", COVER_1), "ref"),
        (relate("add", ref, "tags", [TAG_1]), "ref"),
        (relate("add", ref, "tags", []), "ref"),
        (relate("update", ref, "tags", [TAG_1]), "ref"),
        (relate("remove", ref, "tags", [TAG_1]), "ref"),
        (relate("add", ref, "pages", [PAGE_1]), "ref"),
    ]


KINDS = range(len(on_book()))


@pytest.mark.parametrize("kind", KINDS)
def test_an_operation_that_names_the_version_is_performed(store: Store, kind: int) -> None:
    store.books("One")
    operation, _ = on_book(**versioned("1"))[kind]
    assert post(store.client, operation).status in (200, 204)
    left = store.rows(Book)
    assert [row["revision"] for row in left] == ([] if operation["op"] == "remove" and "data" not in operation else [2])


@pytest.mark.parametrize("kind", KINDS)
def test_an_operation_that_names_another_version_is_refused(store: Store, kind: int) -> None:
    store.books("One")
    store.elsewhere(update(Book.__table__).values(price=1, revision=2))
    operation, member = on_book(**versioned("1"))[kind]
    for client in (store.client, store.strict):
        answer = post(client, change("tags", "1"), operation)
        assert answer.errors == [(409, "stale", f"/1/{member}/meta/version")]
    assert [(row["title"], row["price"], row["revision"]) for row in store.rows(Book)] == [("One", 1, 2)]


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_version_is_malformed(sqlite_store: Store, kind: int) -> None:
    for named in (1, None, "", True, ["1"], {"version": "1"}, 1.5):
        operation, member = on_book(**versioned(named))[kind]
        answer = post(sqlite_store.client, operation)
        assert answer.errors == [(400, "invalid-operation", f"/0/{member}/meta/version")]


def test_what_cannot_be_a_version_of_the_type_is_another_version(store: Store) -> None:
    store.books("One")
    for named in ("01", "one", " 1", "1" * 5000, "\u0661", "☃"):
        answer = post(store.client, change("books", "1", **versioned(named)))
        assert answer.errors == [(409, "stale", "/0/data/meta/version")]


def test_both_members_may_name_a_version(sqlite_store: Store) -> None:
    sqlite_store.books("One")
    operation = {**change("books", "1", **versioned("1")), "ref": BOOK_1}
    assert post(sqlite_store.client, with_ref(operation, "7")).errors == [(409, "stale", "/0/ref/meta/version")]
    assert version(post(sqlite_store.client, with_ref(operation, "1"))) == "2"


def test_a_new_resource_has_no_version_to_compare(sqlite_store: Store) -> None:
    answer = post(sqlite_store.client, add("books", **versioned(7)))
    assert version(answer) == "1"


def test_the_version_of_an_identifier_in_linkage_means_nothing(sqlite_store: Store) -> None:
    sqlite_store.books("One", "Two")
    other = {**id_("books", "2"), **versioned("7")}
    assert post(sqlite_store.client, relate("update", BOOK_1, "sequel", other)).status == 204


def test_an_operation_that_names_a_version_makes_a_new_one(store: Store) -> None:
    """So a request can rest on a resource that it does not change."""
    store.books("One")
    answer = post(store.client, change("books", "1", **versioned("1")))
    assert version(answer) == "2"


@pytest.mark.parametrize("type_", ["drafts", "stamped", "ledgers"])
def test_versions_of_any_kind_can_be_named(store: Store, type_: str) -> None:
    first = version(post(store.client, add(type_, attributes={"title": "One"})))
    second = version(post(store.client, change(type_, "1", **versioned(first))))
    assert first != second
    answer = post(store.client, change(type_, "1", attributes={"title": "Late"}, **versioned(first)))
    assert answer.errors == [(409, "stale", "/0/data/meta/version")]
    answer = post(store.client, change(type_, "1", attributes={"title": "Two"}, **versioned(second)))
    assert answer.status == 200
    assert post(store.client, with_ref(removal(type_, "1"), second)).status == 409
    assert post(store.client, with_ref(removal(type_, "1"), version(answer))).status == 204


def test_xmin_of_postgresql(postgresql_url: str) -> None:
    engine = create_engine(postgresql_url)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE accounts (id serial PRIMARY KEY, title varchar(20))"))
    atomic = Atomic(SQLAlchemyLayer(sessionmaker(engine)))
    atomic.resource(schema("accounts", **TITLE), model=Account)
    client = application(atomic).test_client()
    first = version(post(client, add("accounts", attributes={"title": "One"})))
    second = version(post(client, change("accounts", "1", **versioned(first))))
    assert post(client, change("accounts", "1", **versioned(first))).status == 409
    assert post(client, change("accounts", "1", attributes={"title": "Two"}, **versioned(second))).status == 200


# ------------------------------------------------------------------------------------------ in one and the same request


def test_two_operations_cannot_both_name_the_version_that_was_stored(store: Store) -> None:
    store.books("One")
    operations = [change("books", "1", attributes={"price": price}, **versioned("1")) for price in (1, 2)]
    for client in (store.client, store.strict):
        assert post(client, *operations).errors == [(409, "stale", "/1/data/meta/version")]
    assert [row["price"] for row in store.rows(Book)] == [None]


def test_operations_on_several_resources_that_name_versions_wait_together(sqlite_store: Store) -> None:
    sqlite_store.books("One", "Two", "Three")
    statements: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement.split()[0])

    operations = [change("books", str(n), attributes={"price": n}, **versioned("1")) for n in (1, 2, 3)]
    event.listen(sqlite_store.engine, "before_cursor_execute", note)
    answer = post(sqlite_store.client, *operations)
    assert [version(answer, index) for index in range(3)] == ["2", "2", "2"]
    assert statements[:4] == ["SELECT", "UPDATE", "UPDATE", "UPDATE"]  # one question for all of them


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        (relate("add", BOOK_1, "tags", [TAG_1]), 2),
        (relate("add", BOOK_1, "tags", []), 1),
        (relate("update", BOOK_1, "tags", [TAG_1]), 2),
        (relate("remove", BOOK_1, "tags", [TAG_1]), 1),
        (relate("add", BOOK_1, "pages", [PAGE_1]), 2),
        (relate("update", BOOK_1, "cover", COVER_1), 2),
        (relate("update", BOOK_1, "cover", None), 1),
        (relate("update", BOOK_1, "sequel", BOOK_1), 2),
        (change("books", "1", relationships={"tags": [TAG_1], "cover": COVER_1}, attributes={"price": 1}), 2),
        (relate("add", TAG_1, "books", [BOOK_1]), 1),
    ],
)
def test_a_changed_relationship_makes_a_version_of_its_resource(
    store: Store, operation: dict[str, Any], expected: int
) -> None:
    store.books("One")
    assert post(store.client, operation).status in (200, 204)
    assert post(store.client, operation).status in (200, 204)  # changes nothing more
    assert [row["revision"] for row in store.rows(Book)] == [expected]


def test_members_that_are_added_and_removed_make_versions(store: Store) -> None:
    store.books("One")
    for number, op in enumerate(["add", "remove"], 2):
        for name, member in {"tags": TAG_1, "pages": PAGE_1}.items():
            assert post(store.client, relate(op, BOOK_1, name, [member])).status == 204
        assert [row["revision"] for row in store.rows(Book)] == [2 * number - 1]
    assert [row["version"] for row in store.rows(Page)] == [3]


# ---------------------------------------------------------------------------------------------------------- two at once


class Meanwhile:
    """Does something, once, when a unit has read a row and before it writes."""

    def __init__(self, engine: Engine, do: Callable[[], None]) -> None:
        self._do: Callable[[], None] | None = do
        self._engine = engine
        event.listen(engine, "before_cursor_execute", self._hear)

    def _hear(self, connection: Connection, _cursor: Any, statement: str, *_: Any) -> None:
        do = self._do
        if do is not None and (statement.split()[0] in ("UPDATE", "DELETE", "INSERT") or "FOR UPDATE" in statement):
            self._do = None
            do()


def moved(store: Store) -> Callable[[], None]:
    """What another application does that knows the versions."""
    return lambda: store.elsewhere(
        update(Book.__table__).where(Book.id == 1).values(price=1, revision=Book.revision + 1)
    )


RACES = {
    "update": change("books", "1", attributes={"price": 2}),
    "remove": removal("books", "1"),
    "tags": relate("update", BOOK_1, "tags", [TAG_1]),
    "sequel": relate("update", BOOK_1, "sequel", BOOK_1),
}


@pytest.mark.parametrize("operation", RACES.values(), ids=RACES)
def test_a_concurrent_update_is_noticed(store: Store, operation: dict[str, Any]) -> None:
    """Also by a request that names no version: between its SELECT and what it writes, somebody else commits."""
    store.books("One")
    Meanwhile(store.engine, moved(store))
    answer = post(store.client, operation)
    assert answer.errors == [(409, "stale", "/0")]
    assert [(row["price"], row["revision"]) for row in store.rows(Book)] == [(1, 2)]


@pytest.mark.parametrize("kind", KINDS)
def test_a_concurrent_update_is_noticed_at_the_version(store: Store, kind: int) -> None:
    """Whatever the operation is, and whether it changes anything."""
    store.books("One")
    operation, member = on_book(**versioned("1"))[kind]
    for client in (store.client, store.strict):
        Meanwhile(store.engine, moved(store))
        answer = post(client, change("tags", "1"), operation)
        assert answer.errors == [(409, "stale", f"/1/{member}/meta/version")]
        store.elsewhere(update(Book.__table__).values(revision=1))
    assert [(row["title"], row["price"]) for row in store.rows(Book)] == [("One", 1)]


@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
def test_a_transaction_that_is_performed_again_finds_the_other_version(postgresql_url: str, level: str) -> None:
    """The database refuses the first one; the second reads what is there by then."""
    store = Store(create_engine(postgresql_url), isolation_level=level)
    store.books("One")
    Meanwhile(store.engine, moved(store))
    answer = post(store.client, change("books", "1", attributes={"title": "New"}, **versioned("1")))
    assert answer.errors == [(409, "stale", "/0/data/meta/version")]
    Meanwhile(store.engine, moved(store))
    answer = post(store.client, change("books", "1", attributes={"title": "New"}))
    assert (version(answer), answer.results[0]["data"]["attributes"]) == ("4", {"title": "New", "price": 1})


def test_a_row_that_is_moved_to_another_resource_is_noticed_too(store: Store) -> None:
    """The page has versions; the tag that is written here has none."""
    store.books("One", "Two")
    page_moved = update(Page.__table__).where(Page.id == 1).values(book_id=2, version=Page.version + 1)
    Meanwhile(store.engine, lambda: store.elsewhere(page_moved))
    answer = post(store.client, relate("add", BOOK_1, "pages", [PAGE_1]))
    assert answer.errors == [(409, "stale", "/0")]
    assert [row["book_id"] for row in store.rows(Page)] == [2, None]


def test_a_request_can_rest_on_a_version_of_what_it_does_not_change(store: Store) -> None:
    """The book is compared and left as it is; by the time of the commit it is another one."""
    store.books("One", "Two")
    Meanwhile(store.engine, moved(store))
    answer = post(store.client, change("books", "1", **versioned("1")), change("books", "2", attributes={"price": 5}))
    assert answer.errors == [(409, "stale", "/0/data/meta/version")]
    assert [row["price"] for row in store.rows(Book)] == [1, None]


class Counter:
    """Reads the price of the first book, and adds one to it; again where somebody was faster."""

    def __init__(self, store: Store, rounds: int) -> None:
        self._client = store.client
        self._rounds = rounds
        self.added = 0
        self.statuses: list[int] = []

    def work(self) -> None:
        for _ in range(self._rounds):
            read = post(self._client, change("books", "1"))
            if read.status == 200:
                price = read.results[0]["data"]["attributes"]["price"]
                new = change("books", "1", attributes={"price": price + 1}, **versioned(version(read)))
                self._send(new)

    def _send(self, operation: dict[str, Any]) -> None:
        answer = post(self._client, operation, change("tags", "1"))
        self.statuses.append(answer.status)
        self.added += answer.status == 200


def test_of_many_who_count_at_once_nobody_is_lost(store: Store) -> None:
    store.books("One")
    store.elsewhere(update(Book.__table__).values(price=0))
    counters = [Counter(store, rounds=8) for _ in range(4)]
    threads = [Thread(target=counter.work) for counter in counters]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {status for counter in counters for status in counter.statuses} <= {200, 409, 503}
    assert [row["price"] for row in store.rows(Book)] == [sum(counter.added for counter in counters)]


# -------------------------------------------------------------------------------------------------- batched and strict

IDS = st.sampled_from(["1", "2"])
NAMED = st.sampled_from([{}, {}, versioned("1"), versioned("1"), versioned("2"), versioned("3")])


def linkage(type_: str) -> st.SearchStrategy[list[dict[str, str]]]:
    return st.lists(IDS.map(lambda id: id_(type_, id)), max_size=2, unique_by=lambda each: each["id"])


def one_or_none(type_: str) -> st.SearchStrategy[dict[str, str] | None]:
    return st.none() | IDS.map(lambda id: id_(type_, id))


@st.composite
def operations(draw: st.DrawFn) -> dict[str, Any]:
    """An operation on books or pages that perhaps names a version."""
    kind = draw(st.sampled_from(["update", "update", "update", "page", "remove", "many", "one", "add"]))
    id, named = draw(IDS), draw(NAMED)
    if kind == "add":
        return add("books", id=draw(st.sampled_from(["1", "7", "8"])), attributes={"price": 1})
    if kind == "remove":
        return {"op": "remove", "ref": {**id_(draw(st.sampled_from(["books", "pages", "tags"])), id), **named}}
    if kind == "page":
        return change("pages", id, relationships={"book": draw(one_or_none("books"))}, **named)
    ref = {**id_("books", id), **named}
    if kind == "many":
        name = draw(st.sampled_from(["tags", "pages"]))
        return relate(draw(st.sampled_from(["add", "update", "remove"])), ref, name, draw(linkage(name)))
    if kind == "one":
        name, type_ = draw(st.sampled_from([("sequel", "books"), ("cover", "covers")]))
        return relate("update", ref, name, draw(one_or_none(type_)))
    related = draw(st.fixed_dictionaries({}, optional={"tags": linkage("tags"), "cover": one_or_none("covers")}))
    attributes = draw(st.fixed_dictionaries({}, optional={"title": st.sampled_from("ab"), "price": st.just(1)}))
    return change("books", id, relationships=related, attributes=attributes, **named)


def outcome(store: Store, client: FlaskClient, requests: Sequence[Sequence[Any]]) -> tuple[list[Any], list[Any]]:
    """What is answered to the requests, and what is stored in the end."""
    with store.engine.begin() as connection:
        connection.execute(update(Book.__table__).values(sequel_id=None))
        for table in reversed(Base.metadata.sorted_tables):
            connection.execute(table.delete())
    store.books("a", "b")
    answers = [post(client, *operations).response for operations in requests]
    assert all(answer.status_code < 500 for answer in answers)
    shown = [(answer.status_code, answer.get_json(silent=True)) for answer in answers]
    return shown, [store.rows(model) for model in (Book, Page, Cover)]


def compare(store: Store, requests: Sequence[Sequence[Any]]) -> None:
    assert outcome(store, store.client, requests) == outcome(store, store.strict, requests)


requests = st.lists(st.lists(operations(), min_size=1, max_size=5), min_size=1, max_size=2)


@given(requests=requests)
@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_batched_and_strict_runs_find_the_same_versions(sqlite_store: Store, requests: list[Any]) -> None:
    compare(sqlite_store, requests)


@pytest.mark.parametrize("server", ["postgresql", "mariadb"])
def test_batched_and_strict_runs_find_the_same_versions_on_servers(server: str, request: pytest.FixtureRequest) -> None:
    store = Store(create_engine(request.getfixturevalue(f"{server}_url")))

    @given(requests=requests)
    @settings(max_examples=12, suppress_health_check=[HealthCheck.too_slow])
    def compare_here(requests: list[Any]) -> None:
        compare(store, requests)

    compare_here()


# ----------------------------------------------------------------------------------------------------- other layers


@pytest.fixture
def memory() -> FlaskClient:
    atomic = Atomic(MemoryLayer())
    atomic.resource(schema("books", **TITLE, sequel=to_one("books")), versioned=True)
    atomic.resource(schema("tags"))
    return application(atomic).test_client()


def test_versions_in_memory(memory: FlaskClient) -> None:
    first = version(post(memory, add("books")))
    second = version(post(memory, change("books", "1", attributes={"title": "One"}, **versioned(first))))
    assert first != second
    assert post(memory, change("books", "1", **versioned(first))).errors == [(409, "stale", "/0/data/meta/version")]
    assert "meta" not in post(memory, add("tags", **versioned(7))).results[0]["data"]
    assert post(memory, with_ref(relate("update", BOOK_1, "sequel", None), second)).status == 204
    assert post(memory, with_ref(removal("books", "1"), second)).status == 409


def test_an_attribute_may_be_called_version() -> None:
    atomic = Atomic(MemoryLayer())
    atomic.resource(schema("books", version=fields.Str(), _written=fields.Str(data_key="written")), versioned=True)
    client = application(atomic).test_client()
    resource = post(client, add("books", attributes={"version": "first"})).results[0]["data"]
    assert (resource["attributes"]["version"], resource["meta"]) == ("first", {"version": "1"})


class WithVersions(MemoryLayer):
    """Says of each type that it has versions."""

    @hookimpl
    def atomic_versioned(self) -> bool:
        return True


def client_of(layer: object, *plugins: object) -> FlaskClient:
    atomic = Atomic(layer, *plugins)
    atomic.resource(schema("books", **TITLE))
    return application(atomic).test_client()


def test_a_layer_with_versions_owes_their_hooks() -> None:
    class Lacking(RecordingLayer):
        @hookimpl
        def atomic_versioned(self) -> bool:
            return True

    with pytest.raises(ConfigurationError, match="lacks atomic_version, atomic_match_version"):
        client_of(Lacking("lacking"))


def test_stale_from_a_layer_points_at_the_version_if_one_is_named() -> None:
    class Refusing(WithVersions):
        @hookimpl
        def atomic_update(self) -> Any:
            raise Stale("Somebody was faster.")

    client = client_of(Refusing())
    post(client, add("books"))
    assert post(client, change("books", "1")).errors == [(409, "stale", "/0")]
    assert post(client, change("books", "1", **versioned("1"))).errors == [(409, "stale", "/0/data/meta/version")]
