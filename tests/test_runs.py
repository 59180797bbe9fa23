"""Runs: operations in a row that do the same are one call of a hook, and nobody can tell but by the time it takes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import wraps
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from marshmallow_jsonapi import fields
from sqlalchemy import Engine, ForeignKey, String, create_engine, event, text
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    Session,
    mapped_column,
    relationship,
    sessionmaker,
    validates,
    with_loader_criteria,
)

from flask_atomic import Atomic, Conflict, MemoryLayer, current_operation, hookimpl
from flask_atomic.layers.sqlalchemy import SQLAlchemyLayer
from tests.application import Answer, add, application, id_, lid, post, read, relate, remove, schema, to_one, update
from tests.contract.layers import RunningLayer
from tests.recording import Deferring
from tests.servers import second_connection

# ------------------------------------------------------------------------------------------------------------- a store


class Base(DeclarativeBase):
    pass


class Box(Base):
    __tablename__ = "boxes"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str | None] = mapped_column(String(20))


class Thing(Base):
    __tablename__ = "things"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str | None] = mapped_column(String(20))
    tenant: Mapped[int | None]
    box_id: Mapped[int | None] = mapped_column(ForeignKey("boxes.id", ondelete="SET NULL"))
    box: Mapped[Box | None] = relationship()


class Label(Base):
    __tablename__ = "labels"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str | None] = mapped_column(String(20), unique=True)


class Node(Base):
    __tablename__ = "nodes"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str | None] = mapped_column(String(20))
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("nodes.id"))
    parent: Mapped[Node | None] = relationship(remote_side=[id])


class Leaf(Base):
    """Goes with its parent."""

    __tablename__ = "leaves"
    id: Mapped[int] = mapped_column(primary_key=True)
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("leaves.id", ondelete="CASCADE"))
    parent: Mapped[Leaf | None] = relationship(remote_side=[id])


class Page(Base):
    """Goes with its box."""

    __tablename__ = "pages"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str | None] = mapped_column(String(20))
    box_id: Mapped[int | None] = mapped_column(ForeignKey("boxes.id", ondelete="CASCADE"))
    box: Mapped[Box | None] = relationship()


class Lock(Base):
    """Keeps its box from going."""

    __tablename__ = "locks"
    id: Mapped[int] = mapped_column(primary_key=True)
    box_id: Mapped[int | None] = mapped_column(ForeignKey("boxes.id"))
    box: Mapped[Box | None] = relationship()


class Parent(Base):
    __tablename__ = "parents"
    id: Mapped[int] = mapped_column(primary_key=True)
    children: Mapped[list[Child]] = relationship(back_populates="parent", cascade="all, delete-orphan")


class Child(Base):
    """Goes when it loses its parent: with a flush that writes one, anything may go."""

    __tablename__ = "children"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str | None] = mapped_column(String(20))
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("parents.id"))
    parent: Mapped[Parent | None] = relationship(back_populates="children")


class Draft(Base):
    __tablename__ = "drafts"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str | None] = mapped_column(String(20))
    version: Mapped[int] = mapped_column()

    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012


class Word(Base):
    """The database finds texts equal whose case differs."""

    __tablename__ = "words"
    id: Mapped[str] = mapped_column(
        String(20)
        .with_variant(String(20, collation="NOCASE"), "sqlite")
        .with_variant(String(20, collation="utf8mb4_general_ci"), "mysql", "mariadb"),
        primary_key=True,
    )
    name: Mapped[str | None] = mapped_column(String(20))


NAME = fields.Str(allow_none=True)
TYPES: Mapping[str, tuple[type, dict[str, Any]]] = {
    "boxes": (Box, {"name": NAME}),
    "things": (Thing, {"name": NAME, "box": to_one("boxes")}),
    "labels": (Label, {"name": NAME}),
    "nodes": (Node, {"name": NAME, "parent": to_one("nodes")}),
    "leaves": (Leaf, {"parent": to_one("leaves")}),
    "pages": (Page, {"name": NAME, "box": to_one("boxes")}),
    "locks": (Lock, {"box": to_one("boxes")}),
    "drafts": (Draft, {"name": NAME}),
    "parents": (Parent, {}),
    "children": (Child, {"name": NAME, "parent": to_one("parents")}),
    "words": (Word, {"name": NAME}),
}

SINGLE = ("add", "update", "remove", "get")
JOINT = ("add_all", "update_all", "remove_all")


def recorded(kind: type) -> type:
    """A class of data layers that write down, in `heard`, which hooks are called, for which type and how many."""

    def init(self: Any, *args: Any, **options: Any) -> None:
        kind.__init__(self, *args, **options)  # type: ignore[misc]
        self.heard = []

    hooks = {f"atomic_{hook}": _recorded(hook, getattr(kind, f"atomic_{hook}")) for hook in (*SINGLE, *JOINT)}
    return type(f"Recorded{kind.__name__}", (kind,), {"__init__": init, **hooks})


def _recorded(hook: str, method: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(method)
    def call(self: Any, unit: Any, resource: Any, *args: Any) -> Any:
        if hook != "get":
            self.heard.append((hook, resource.type, len(args[0]) if hook in JOINT else 1))
        return method(self, unit, resource, *args)

    return call


RecordedLayer = recorded(SQLAlchemyLayer)


class Store:
    """An application on a database."""

    def __init__(self, url: str, *plugins: object, layer: Callable[..., Any] = RecordedLayer, **config: Any) -> None:
        self.engine = create_engine(url)
        if self.engine.dialect.name == "sqlite":
            event.listen(self.engine, "connect", lambda connection, _: connection.execute("PRAGMA foreign_keys=ON"))
        Base.metadata.drop_all(self.engine)
        Base.metadata.create_all(self.engine)
        self.outside = second_connection(url)
        self.sessions = sessionmaker(self.engine)
        self.layer = layer(self.sessions)
        self.atomic = Atomic(self.layer, *plugins)
        for type_, (model, declared) in TYPES.items():
            client_ids = "required" if type_ == "words" else "allowed"
            self.atomic.resource(schema(type_, **declared), model=model, layer="sqlalchemy", client_ids=client_ids)
        self._config = config

    def start(self) -> Store:
        self.client = application(self.atomic, **self._config).test_client()
        return self

    def insert(self, *entities: Any) -> None:
        """Put rows into the database, behind the back of the layer."""
        with Session(self.engine) as session, session.begin():
            session.add_all(entities)

    def post(self, *operations: Any) -> Answer:
        if not hasattr(self, "client"):
            self.start()
        if hasattr(self.layer, "heard"):
            self.layer.heard.clear()
        return post(self.client, *operations)

    def rows(self, table: str, columns: str = "*") -> list[tuple[Any, ...]]:
        """What is committed, seen through another connection."""
        with self.outside.connect() as connection:
            return sorted(map(tuple, connection.execute(text(f"SELECT {columns} FROM {table}"))))

    def ids(self, table: str) -> list[Any]:
        return [id_ for (id_,) in self.rows(table, "id")]

    @contextmanager
    def counted(self) -> Iterator[list[str]]:
        """The statements that are executed meanwhile."""
        statements: list[str] = []

        def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
            statements.append(" ".join(statement.split()))

        event.listen(self.engine, "before_cursor_execute", note)
        try:
            yield statements
        finally:
            event.remove(self.engine, "before_cursor_execute", note)


@pytest.fixture
def store(sqlite_url: str) -> Store:
    """One that performs runs."""
    return Store(sqlite_url)


@pytest.fixture(params=[True, False], ids=["batched", "strict"])
def either(request: pytest.FixtureRequest, sqlite_url: str) -> Store:
    """One that performs runs, and one that does not: what a test says holds for both."""
    return Store(sqlite_url, ATOMIC_BATCH=request.param)


def named(*names: str | None) -> list[dict[str, Any]]:
    """The members of resources with these names."""
    return [{"attributes": {"name": name}} for name in names]


# ----------------------------------------------------------------------------------------------------- which are called


class TestCalls:
    """Which hooks are called, for how many resources each time."""

    def test_operations_in_a_row_are_one_call(self, store: Store) -> None:
        answer = store.post(*(add("things", **each) for each in named("a", "b", "c")))

        assert store.layer.heard == [("add_all", "things", 3)]
        assert [result["data"]["attributes"]["name"] for result in answer.results] == ["a", "b", "c"]

        answer = store.post(*(update("things", str(id_), **each) for id_, each in enumerate(named("d", "e", "f"), 1)))

        assert store.layer.heard == [("update_all", "things", 3)]
        assert [result["data"]["attributes"]["name"] for result in answer.results] == ["d", "e", "f"]
        assert store.rows("things", "id, name") == [(1, "d"), (2, "e"), (3, "f")]

        assert store.post(*(remove("things", id_) for id_ in "321")).status == 204

        assert store.layer.heard == [("remove_all", "things", 3)]
        assert store.ids("things") == []

    def test_another_type_or_verb_ends_the_run(self, store: Store) -> None:
        store.post(
            *(add("things"), add("things"), add("boxes"), add("things")),
            *(update("things", "1"), update("things", "2"), update("boxes", "1")),
            *(remove("things", "1"), remove("things", "2"), remove("boxes", "1"), remove("things", "3")),
        )

        joint = [call for call in store.layer.heard if call[0] in JOINT]
        assert joint == [
            *(("add_all", "things", 2), ("add_all", "boxes", 1), ("add_all", "things", 1)),
            *(("update_all", "things", 2), ("update_all", "boxes", 1)),
            *(("remove_all", "things", 2), ("remove_all", "boxes", 1), ("remove_all", "things", 1)),
        ]
        assert store.layer.heard == joint

    def test_a_single_operation_is_no_run(self, store: Store) -> None:
        for operation in (add("things"), update("things", "1"), remove("things", "1")):
            store.post(operation)
            assert store.layer.heard == [(operation["op"], "things", 1)]

    def test_a_strict_attempt_has_none(self, sqlite_url: str) -> None:
        store = Store(sqlite_url, ATOMIC_BATCH=False)

        store.post(add("things"), add("things"), update("things", "1"), update("things", "2"), remove("things", "1"))

        assert [hook for hook, *_ in store.layer.heard] == ["add", "add", "update", "update", "remove"]

    def test_an_operation_that_names_a_version_is_none(self, store: Store) -> None:
        store.post(*(add("drafts") for _ in range(4)))
        updates = [update("drafts", id_, attributes={"name": "n"}) for id_ in "123"]
        updates[1]["data"]["meta"] = {"version": "1"}
        removals = [remove("drafts", id_) for id_ in "1234"]
        removals[1]["ref"]["meta"] = {"version": "2"}

        assert store.post(*updates).status == 200
        singles = [call for call in store.layer.heard if call[0] == "update_all"]
        assert singles == [("update_all", "drafts", 1)] * 2

        removals[2]["ref"]["meta"] = {"version": "1"}
        assert store.post(*removals).errors == [(409, "stale", "/2/ref/meta/version")]
        assert store.ids("drafts") == [1, 2, 3, 4]

        del removals[2]["ref"]["meta"]
        assert store.post(*removals).status == 204
        assert [call for call in store.layer.heard if call[0] == "remove_all"] == [
            ("remove_all", "drafts", 1),
            ("remove_all", "drafts", 2),
        ]

    def test_a_layer_without_the_hooks_is_asked_one_by_one(self) -> None:
        layer = Deferring("store")
        atomic = Atomic(layer)
        atomic.resource(schema("things", name=NAME))
        client = application(atomic).test_client()

        post(client, add("things"), add("things"))
        post(client, update("things", "1"), update("things", "2"))
        post(client, remove("things", "1"), remove("things", "2"))

        hooks = [hook for _, hook, *_ in layer.log if hook in SINGLE]
        assert hooks == ["add"] * 2 + ["get"] + ["update"] * 2 + ["get"] + ["remove"] * 2

    def test_a_layer_whose_writes_do_not_wait_is_asked_one_by_one(self) -> None:
        class WithoutFlush(MemoryLayer):
            @hookimpl
            def atomic_add_all(self) -> Any:
                raise AssertionError

        atomic = Atomic(WithoutFlush())
        atomic.resource(schema("things", name=NAME))

        assert post(application(atomic).test_client(), add("things"), add("things")).status == 200


class TestStatements:
    """What the database is asked."""

    def test_what_is_removed_is_not_read(self, store: Store) -> None:
        store.insert(*(Thing(id=id_) for id_ in range(1, 1002)))

        with store.counted() as statements:
            assert store.post(*(remove("things", str(id_)) for id_ in range(1, 1001))).status == 204

        assert [statement.split(" ")[0] for statement in statements] == ["DELETE"]
        assert store.ids("things") == [1001]

    def test_what_is_added_or_updated_is_one_statement(self, store: Store) -> None:
        with store.counted() as statements:
            assert store.post(*(add("things", id=str(id_)) for id_ in range(1, 501))).status == 200
        assert [statement.split(" ")[0] for statement in statements] == ["SELECT", "INSERT"]

        with store.counted() as statements:
            store.post(*(update("things", str(id_), attributes={"name": str(id_)}) for id_ in range(1, 501)))
        assert [statement.split(" ")[0] for statement in statements] == ["SELECT", "UPDATE"]

    def test_updates_that_come_to_several_runs_are_read_together(self, store: Store) -> None:
        """Each run would be read by itself, since it does not name all that is shown."""
        store.insert(*(cls(id=id_) for cls in (Node, Thing) for id_ in range(1, 71)), *(Box(id=id_) for id_ in (1, 2)))
        ids = [str(id_) for id_ in range(1, 71)]
        parent = {"parent": id_("nodes", "70")}
        renames = [update("things", id_, attributes={"name": "n"}) for id_ in ids]
        patterns = [
            [update("nodes", id_, parent if n % 2 else None, attributes={"name": "n"}) for n, id_ in enumerate(ids)],
            [*renames[:25], update("boxes", "1"), *renames[25:50], update("boxes", "2"), *renames[50:]],
            [renames[n // 2] for n in range(100)],
        ]
        for operations in patterns:
            with store.counted() as statements:
                assert store.post(*operations).status == 200

            tables = [statement.partition(" FROM ")[2].split(" ")[0] for statement in statements]
            assert len([table for table in tables if table in ("nodes", "things")]) == 1

    @pytest.mark.parametrize("url", ["sqlite_url", "postgresql_url", "mariadb_url"])
    def test_a_tree_that_is_added_by_local_ids(self, request: pytest.FixtureRequest, url: str) -> None:
        """Each refers to a member of what would be the same run. On SQLite, the session inserts them one by one."""
        store = Store(request.getfixturevalue(url))
        root = add("nodes", lid="n0")
        others = [add("nodes", {"parent": lid("nodes", f"n{(n - 1) // 2}")}, lid=f"n{n}") for n in range(1, 127)]

        with store.counted() as statements:
            answer = store.post(root, *others)

        parents = [result["data"]["relationships"]["parent"]["data"] for result in answer.results]
        ids = [result["data"]["id"] for result in answer.results]
        assert parents == [None, *(id_("nodes", ids[(n - 1) // 2]) for n in range(1, 127))]
        assert len(statements) <= (127 if url == "sqlite_url" else 10)

    def test_what_refers_to_itself(self, store: Store) -> None:
        """One to nothing, one to itself, and one to each that is stored."""
        store.insert(Node(id=7))

        answer = store.post(
            add("nodes"),
            add("nodes", {"parent": lid("nodes", "a")}, lid="a"),
            add("nodes", {"parent": id_("nodes", "7")}),
        )

        parents = [result["data"]["relationships"]["parent"]["data"] for result in answer.results]
        assert parents == [None, id_("nodes", answer.results[1]["data"]["id"]), id_("nodes", "7")]


# ------------------------------------------------------------------------------------------------ who wants to see each


THINGS = [add("things", **each) for each in named("a", "b", "c")]
RENAMES = [update("things", str(id_), **each) for id_, each in enumerate(named("d", "e", "f"), 1)]
REMOVALS = [remove("things", str(id_)) for id_ in (1, 2, 3)]
REQUESTS = {"add": THINGS, "update": RENAMES, "remove": REMOVALS}


class Wrapper:
    """Wraps a hook of single operations, and hears of each; `refuse` says what to refuse."""

    def __new__(cls, hook: str, refuse: Callable[..., bool] = lambda **_: False) -> Any:
        seen: list[Any] = []

        def add(attributes: Any) -> Any:
            return (yield from _look(attributes=attributes))

        def update(entity: Any, attributes: Any) -> Any:
            return (yield from _look(entity=entity, attributes=attributes))

        def remove(entity: Any) -> Any:
            return (yield from _look(entity=entity))

        def _look(**arguments: Any) -> Any:
            seen.append(arguments)
            if refuse(**arguments):
                raise Conflict("A reason.")
            return (yield)

        function = {"add": add, "update": update, "remove": remove}[hook]
        implementation = staticmethod(hookimpl(wrapper=True)(function))
        return type("Wrapper", (), {"name": "wrapper", "seen": seen, f"atomic_{hook}": implementation})()


class TestWrappers:
    """Who stands around the hook of a single operation sees each of them."""

    @pytest.mark.parametrize("op", REQUESTS)
    def test_a_wrapper_sees_each(self, sqlite_url: str, op: str) -> None:
        wrapper = Wrapper(op)
        store = Store(sqlite_url, wrapper)
        if op != "add":
            store.insert(*(Thing(id=id_) for id_ in (1, 2, 3)))

        store.post(*REQUESTS[op])

        assert len(wrapper.seen) == 3
        assert store.layer.heard == [(op, "things", 1)] * 3

    def test_a_wrapper_may_refuse_one_that_is_added(self, sqlite_url: str) -> None:
        store = Store(sqlite_url, Wrapper("add", lambda attributes: attributes["name"] == "b"))

        assert store.post(*THINGS).errors == [(409, "conflict", "/1")]
        assert store.ids("things") == []

    @pytest.mark.parametrize("op", ["update", "remove"])
    def test_a_wrapper_may_refuse_one_that_exists(self, sqlite_url: str, op: str) -> None:
        store = Store(sqlite_url, Wrapper(op, lambda entity, **_: entity.id == 2))
        store.insert(*(Thing(id=id_, name="old") for id_ in (1, 2, 3)))

        assert store.post(*REQUESTS[op]).errors == [(409, "conflict", "/1")]
        assert store.rows("things", "id, name") == [(1, "old"), (2, "old"), (3, "old")]

    def test_a_wrapper_of_reading_hides_what_is_to_be_removed(self, sqlite_url: str) -> None:
        class Hides:
            @hookimpl(wrapper=True)
            def atomic_get(self) -> Any:
                return {id_: entity for id_, entity in (yield).items() if id_ != 2}

        store = Store(sqlite_url, Hides())
        store.insert(*(Thing(id=id_) for id_ in (1, 2, 3)))

        assert store.post(*REMOVALS).errors == [(404, "resource-not-found", "/1/ref/id")]
        assert store.ids("things") == [1, 2, 3]
        assert store.post(REMOVALS[0], REMOVALS[2]).status == 204
        assert store.layer.heard == [("remove", "things", 1)] * 2

    def test_a_wrapper_of_one_operation_leaves_the_others(self, sqlite_url: str) -> None:
        store = Store(sqlite_url, Wrapper("update"))

        store.post(*THINGS)
        assert store.layer.heard == [("add_all", "things", 3)]
        store.post(*REMOVALS)
        assert store.layer.heard == [("remove_all", "things", 3)]

    @pytest.mark.parametrize("op", REQUESTS)
    def test_a_wrapper_of_both_is_content_with_runs(self, sqlite_url: str, op: str) -> None:
        wrapper = Wrapper(op)
        called: list[str] = []

        @hookimpl(wrapper=True)
        def joint() -> Any:
            called.append(op)
            return (yield)

        setattr(wrapper, f"atomic_{op}_all", joint)
        if op == "remove":
            wrapper.atomic_get = hookimpl(wrapper=True)(lambda: (yield))  # type: ignore[attr-defined]
        store = Store(sqlite_url, wrapper)
        store.insert(*(Thing(id=id_) for id_ in (1, 2, 3)))

        assert store.post(*REQUESTS[op]).status in (200, 204)
        assert (called, wrapper.seen) == ([op], [])

    def test_the_hooks_of_runs_may_be_wrapped(self, sqlite_url: str) -> None:
        class Counts:
            seen: list[int] = []  # noqa: RUF012

            @hookimpl(wrapper=True)
            def atomic_add_all(self, attributes: Any) -> Any:
                self.seen.append(len(attributes))
                return (yield)

        store = Store(sqlite_url, Counts())

        store.post(*THINGS)

        assert Counts.seen == [3]


class TestSubclasses:
    """Who has the hook of a single operation anew, in a layer that inherits, sees each of them."""

    @pytest.mark.parametrize("op", REQUESTS)
    def test_a_hook_of_a_subclass_is_called_for_each(self, sqlite_url: str, op: str) -> None:
        seen = []
        inherited = getattr(SQLAlchemyLayer, f"atomic_{op}")

        @wraps(inherited)
        def hook(self: Any, *args: Any) -> Any:
            seen.append(args)
            return inherited(self, *args)

        store = Store(sqlite_url, layer=type("Mine", (SQLAlchemyLayer,), {f"atomic_{op}": hook}))
        store.insert(*(Thing(id=id_) for id_ in (1, 2, 3)))

        assert store.post(*REQUESTS[op]).status in (200, 204)
        assert len(seen) == 3

    @pytest.mark.parametrize("op", REQUESTS)
    def test_a_hook_of_the_object_is_called_for_each(self, sqlite_url: str, op: str) -> None:
        seen = []

        def layer(sessions: Any) -> SQLAlchemyLayer:
            made = SQLAlchemyLayer(sessions)
            inherited = getattr(made, f"atomic_{op}")

            @wraps(inherited)
            def hook(*args: Any) -> Any:
                seen.append(args)
                return inherited(*args)

            setattr(made, f"atomic_{op}", hook)
            return made

        store = Store(sqlite_url, layer=layer)
        store.insert(*(Thing(id=id_) for id_ in (1, 2, 3)))

        assert store.post(*REQUESTS[op]).status in (200, 204)
        assert len(seen) == 3

    def test_a_subclass_that_reads_in_its_own_way_hides_what_is_to_be_removed(self, sqlite_url: str) -> None:
        class Hides(SQLAlchemyLayer):
            @hookimpl
            def atomic_get(self, unit: Any, resource: Any, ids: Sequence[Any]) -> Any:
                found = super().atomic_get(unit, resource, ids)
                return {id_: entity for id_, entity in found.items() if id_ != 2}

        store = Store(sqlite_url, layer=Hides)
        store.insert(*(Thing(id=id_) for id_ in (1, 2, 3)))

        assert store.post(*REMOVALS).errors == [(404, "resource-not-found", "/1/ref/id")]
        assert store.ids("things") == [1, 2, 3]

    def test_a_mixin_is_called_for_each(self, sqlite_url: str) -> None:
        seen = []

        class Audit:
            @hookimpl
            def atomic_add(self, unit: Any, resource: Any, id: Any, attributes: Any, relationships: Any) -> Any:
                seen.append(attributes)
                return super().atomic_add(unit, resource, id, attributes, relationships)  # type: ignore[misc]

        class Audited(Audit, SQLAlchemyLayer):
            pass

        Store(sqlite_url, layer=Audited).post(*THINGS)

        assert seen == [{"name": name} for name in "abc"]


class TestListeners:
    """Who listens to SQLAlchemy."""

    def test_rows_that_a_session_does_not_see_are_not_removed(self, either: Store) -> None:
        def ours(state: Any) -> None:
            state.statement = state.statement.options(with_loader_criteria(Thing, Thing.tenant == 1))

        event.listen(either.sessions, "do_orm_execute", ours)
        either.insert(Thing(id=1, tenant=1), Thing(id=2, tenant=2), Thing(id=3, tenant=1))

        assert either.post(*REMOVALS).errors == [(404, "resource-not-found", "/1/ref/id")]
        assert either.ids("things") == [1, 2, 3]
        assert either.post(REMOVALS[0], REMOVALS[2]).status == 204
        assert either.ids("things") == [2]

    def test_who_listens_to_what_is_loaded_hears_of_what_is_removed(self, either: Store) -> None:
        loaded = []

        def note(thing: Thing, _: Any) -> None:
            loaded.append(thing.id)

        either.insert(*(Thing(id=id_) for id_ in (1, 2, 3)))
        event.listen(Thing, "load", note)
        try:
            assert either.post(*REMOVALS).status == 204
        finally:
            event.remove(Thing, "load", note)

        assert sorted(loaded) == [1, 2, 3]

    @pytest.mark.parametrize("when", ["before_delete", "after_delete"])
    def test_who_listens_to_rows_that_are_deleted_hears_of_each(self, either: Store, when: str) -> None:
        deleted = []

        def note(_mapper: Any, _connection: Any, thing: Thing) -> None:
            deleted.append(thing.id)

        either.insert(*(Thing(id=id_) for id_ in (1, 2, 3)))
        event.listen(Thing, when, note)
        try:
            assert either.post(*REMOVALS).status == 204
        finally:
            event.remove(Thing, when, note)

        assert deleted == [1, 2, 3]

    def test_a_session_that_deletes_in_its_own_way_is_asked_for_each(self, sqlite_url: str) -> None:
        deleted = []

        class OwnSession(Session):
            def delete(self, instance: object) -> None:
                deleted.append(instance)
                super().delete(instance)

        store = Store(
            sqlite_url, layer=lambda sessions: SQLAlchemyLayer(sessionmaker(sessions.kw["bind"], class_=OwnSession))
        )
        store.insert(*(Thing(id=id_) for id_ in (1, 2, 3)))

        assert store.post(*REMOVALS).status == 204
        assert len(deleted) == 3


class Noted(Base):
    """Its methods note what the client wrote in the operation."""

    __tablename__ = "noted"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str | None] = mapped_column(String(20))
    source: Mapped[str | None] = mapped_column(String(20))

    @validates("name")
    def note_source(self, _key: str, value: Any) -> Any:
        self.source = current_operation.meta["source"] if current_operation else "unknown"
        return value


@pytest.mark.parametrize("batch", [True, False])
def test_methods_of_models_know_the_operation(sqlite_url: str, batch: bool) -> None:
    deleted = []

    class Notes(Session):
        def delete(self, instance: object) -> None:
            deleted.append(current_operation.meta["source"] if current_operation else "unknown")
            super().delete(instance)

    def layer(sessions: Any) -> Any:
        return RecordedLayer(sessionmaker(sessions.kw["bind"], class_=Notes))

    store = Store(sqlite_url, layer=layer, ATOMIC_BATCH=batch)
    store.atomic.resource(schema("noted", name=NAME, source=fields.Str(dump_only=True)), model=Noted)

    def sources(*operations: dict[str, Any]) -> Any:
        answer = store.post(*({**each, "meta": {"source": str(n)}} for n, each in enumerate(operations)))
        if answer.status == 204:
            return deleted
        return [result["data"]["attributes"]["source"] for result in answer.results]

    assert sources(*(add("noted", **each) for each in named("a", "b", "c"))) == ["0", "1", "2"]
    assert sources(*(update("noted", id_, **each) for id_, each in zip("321", named("d", "e", "f"), strict=True))) == [
        *("0", "1", "2")
    ]
    assert sources(*(remove("noted", id_) for id_ in "312")) == ["0", "1", "2"]
    assert {hook for hook, *_ in store.layer.heard if hook in JOINT} == ({"remove_all"} if batch else set())


# ------------------------------------------------------------------------------------------------------------- outcomes


class TestRemovals:
    def test_of_the_same_resource(self, either: Store) -> None:
        either.insert(*(Thing(id=id_) for id_ in (1, 2, 3)))

        answer = either.post(*(remove("things", id_) for id_ in "1213"))

        assert answer.errors == [(404, "resource-not-found", "/2/ref/id")]
        assert either.ids("things") == [1, 2, 3]

    @pytest.mark.parametrize("count", [3, 60, 300])
    def test_of_one_that_is_missing_among_many(self, either: Store, count: int) -> None:
        either.insert(*(Thing(id=id_) for id_ in range(1, count + 1)))
        ids = [*range(1, count), 999, count]

        answer = either.post(add("boxes"), *(remove("things", str(id_)) for id_ in ids))

        assert answer.errors == [(404, "resource-not-found", f"/{count}/ref/id")]
        assert either.ids("things") == list(range(1, count + 1))
        assert either.ids("boxes") == []

    def test_of_what_no_id_can_be(self, either: Store) -> None:
        either.insert(Thing(id=1))

        answer = either.post(remove("things", "1"), remove("things", str(2**63)), remove("things", "x"))

        assert (404, "resource-not-found", "/1/ref/id") in answer.errors
        assert either.ids("things") == [1]

    def test_of_what_was_added_by_its_local_id(self, either: Store) -> None:
        removals = [{"op": "remove", "ref": lid("things", name)} for name in "ab"]

        answer = either.post(add("things", lid="a"), add("things", lid="b"), add("things"), *removals)

        assert [bool(result) for result in answer.results] == [True, True, True, False, False]
        assert either.ids("things") == [3]
        assert either.post(add("things", lid="a"), *removals[:1] * 2).errors == [
            (404, "resource-not-found", "/2/ref/lid")
        ]
        assert either.ids("things") == [3]

    def test_of_what_was_updated_and_before_it_is_added_again(self, either: Store) -> None:
        either.insert(*(Thing(id=id_, name="old") for id_ in (1, 2, 3)))

        answer = either.post(
            *(update("things", str(id_), **each) for id_, each in enumerate(named("d", "e"), 1)),
            *(remove("things", id_) for id_ in "12"),
            *(add("things", id=id_, **each) for id_, each in zip("21", named("g", "h"), strict=True)),
            *(update("things", id_) for id_ in "123"),
        )

        shown = [result["data"]["attributes"]["name"] for result in answer.results if result]
        assert shown == ["d", "e", "g", "h", "h", "g", "old"]
        assert either.rows("things", "id, name") == [(1, "h"), (2, "g"), (3, "old")]

    def test_of_what_is_read_for_another_operation(self, either: Store) -> None:
        """As the box of a thing; the box is known when it is removed, and is not there afterwards."""
        either.insert(*(Box(id=id_) for id_ in (1, 2)))

        answer = either.post(
            add("things", {"box": id_("boxes", "1")}, lid="t"),
            remove("boxes", "1"),
            remove("boxes", "2"),
            update("things", lid="t"),
            update("boxes", "1"),
        )

        assert answer.errors == [(404, "resource-not-found", "/4/data/id")]
        assert either.ids("boxes") == [1, 2]

    @pytest.mark.parametrize("type_", ["things", "pages", "locks"])
    @pytest.mark.parametrize("parents_first", [True, False])
    def test_of_boxes_and_what_is_in_them(self, either: Store, type_: str, parents_first: bool) -> None:
        """The database empties the box, removes what is in it, or refuses."""
        model = TYPES[type_][0]
        either.insert(*(Box(id=id_) for id_ in (1, 2)))
        either.insert(*(model(id=id_, box_id=id_) for id_ in (1, 2)))
        boxes, contents = ([remove(of, id_) for id_ in "12"] for of in ("boxes", type_))

        answer = either.post(*(boxes + contents if parents_first else contents + boxes))

        if not parents_first or type_ == "things":
            assert answer.status == 204
            assert either.ids("boxes") == either.ids(type_) == []
        else:
            error = (404, "resource-not-found", "/2/ref/id") if type_ == "pages" else (409, "conflict", "/0")
            assert answer.errors == [error]
            assert either.ids("boxes") == either.ids(type_) == [1, 2]

    @pytest.mark.parametrize("type_", ["nodes", "leaves"])
    @pytest.mark.parametrize("parent_first", [True, False])
    def test_of_a_parent_and_its_child(self, either: Store, type_: str, parent_first: bool) -> None:
        model = TYPES[type_][0]
        either.insert(model(id=1))
        either.insert(model(id=2, parent_id=1))
        ids = "12" if parent_first else "21"

        answer = either.post(*(remove(type_, id_) for id_ in ids))

        if not parent_first:
            assert answer.status == 204
            assert either.ids(type_) == []
        else:
            error = (409, "conflict", "/0") if type_ == "nodes" else (404, "resource-not-found", "/1/ref/id")
            assert answer.errors == [error]
            assert either.ids(type_) == [1, 2]

    @pytest.mark.parametrize("batch", [True, False])
    def test_what_the_database_changes_for_it_is_shown(self, sqlite_url: str, batch: bool) -> None:
        """Also by entities that somebody has kept."""

        class Keeps:
            kept: list[Any] = []  # noqa: RUF012

            @hookimpl(wrapper=True)
            def atomic_update(self, entity: Any) -> Any:
                self.kept.append(entity)
                return (yield)

        store = Store(sqlite_url, Keeps(), ATOMIC_BATCH=batch)
        store.insert(Box(id=1), Box(id=2))
        store.insert(Thing(id=1, box_id=1), Thing(id=2, box_id=2))

        answer = store.post(
            *(update("things", id_, attributes={"name": "n"}) for id_ in "12"),
            *(remove("boxes", id_) for id_ in "12"),
            *(update("things", id_, attributes={"name": "m"}) for id_ in "12"),
        )

        shown = [result["data"]["relationships"]["box"]["data"] for result in answer.results if result]
        assert shown == [id_("boxes", "1"), id_("boxes", "2"), None, None]

    @pytest.mark.parametrize("url", ["sqlite_url", "mariadb_url"])
    @pytest.mark.parametrize("batch", [True, False])
    def test_of_texts_that_the_database_finds_equal(
        self, request: pytest.FixtureRequest, url: str, batch: bool
    ) -> None:
        store = Store(request.getfixturevalue(url), ATOMIC_BATCH=batch)
        store.insert(*(Word(id=id_) for id_ in ("abc", "def", "ghi")))

        for other in ("ABC", "Abc", "abc ", "\xe4bc"):
            answer = store.post(remove("words", "def"), remove("words", other), remove("words", "ghi"))
            assert answer.errors == [(404, "resource-not-found", "/1/ref/id")]
            answer = store.post(remove("words", "abc"), remove("words", other))
            assert answer.errors == [(404, "resource-not-found", "/1/ref/id")]
        assert store.ids("words") == ["abc", "def", "ghi"]

        assert store.post(remove("words", "abc"), remove("words", "def")).status == 204
        assert store.ids("words") == ["ghi"]

    @pytest.mark.parametrize("batch", [True, False])
    def test_on_each_database(self, database_url: str, batch: bool) -> None:
        store = Store(database_url, ATOMIC_BATCH=batch)
        store.insert(*(Box(id=id_) for id_ in (1, 2, 3)))
        store.insert(*(Thing(id=id_, box_id=id_) for id_ in (1, 2, 3)))

        assert store.post(*REMOVALS, remove("things", "9")).errors == [(404, "resource-not-found", "/3/ref/id")]
        assert store.ids("things") == [1, 2, 3]
        assert store.post(*(remove("boxes", id_) for id_ in "12"), update("things", "1"), *REMOVALS).status == 200
        assert store.ids("things") == []
        assert store.ids("boxes") == [3]


class TestAdditions:
    def test_of_an_id_that_is_taken(self, either: Store) -> None:
        either.insert(Thing(id=2, name="old"))

        answer = either.post(*(add("things", id=id_, **each) for id_, each in zip("123", named(*"abc"), strict=True)))

        assert answer.errors == [(409, "id-taken", "/1/data/id")]
        assert either.rows("things", "id, name") == [(2, "old")]

    def test_of_the_same_id(self, either: Store) -> None:
        answer = either.post(*(add("things", id=id_) for id_ in "121"))

        assert answer.errors == [(409, "id-taken", "/2/data/id")]
        assert either.ids("things") == []

    @pytest.mark.parametrize("batch", [True, False])
    def test_of_the_same_id_where_the_store_would_not_refuse(self, batch: bool) -> None:
        class Overwrites(RunningLayer):
            @hookimpl
            def atomic_add_all(self, unit: Any, resource: Any, ids: Any, attributes: Any, relationships: Any) -> Any:
                assert len(set(ids)) == len(ids)
                return super().atomic_add_all(unit, resource, ids, attributes, relationships)

        layer = Overwrites()
        atomic = Atomic(layer)
        atomic.resource(schema("things", name=NAME), client_ids="allowed")
        client = application(atomic, ATOMIC_BATCH=batch).test_client()

        answer = post(client, *(add("things", id=id_) for id_ in "121"))

        assert answer.errors == [(409, "id-taken", "/2/data/id")]
        assert layer._entities == {}

    def test_of_a_unique_value_that_is_taken(self, either: Store) -> None:
        answer = either.post(*(add("labels", **each) for each in named("a", "b", "a", "c")))

        assert answer.errors == [(409, "conflict", "/2/data/attributes/name")]
        assert either.ids("labels") == []

    def test_with_what_is_related(self, either: Store) -> None:
        """To what is stored, to what was added before, and to nothing."""
        either.insert(Box(id=1))
        boxes = [id_("boxes", "1"), lid("boxes", "b"), None]

        answer = either.post(add("boxes", lid="b"), *(add("things", {"box": box}) for box in boxes))

        shown = [result["data"]["relationships"]["box"]["data"] for result in answer.results[1:]]
        assert shown == [id_("boxes", "1"), id_("boxes", "2"), None]
        assert either.rows("things", "id, box_id") == [(1, 1), (2, 2), (3, None)]

    def test_with_what_does_not_exist(self, either: Store) -> None:
        either.insert(Box(id=1))

        answer = either.post(*(add("things", {"box": id_("boxes", box)}, lid=f"t{n}") for n, box in enumerate("121")))

        assert answer.errors == [(404, "related-resource-not-found", "/1/data/relationships/box/data")]
        assert either.ids("things") == []

    def test_of_resources_that_refer_to_members_of_the_same_run(self, either: Store) -> None:
        answer = either.post(
            add("nodes", lid="a", attributes={"name": "a"}),
            add("nodes", {"parent": lid("nodes", "a")}, lid="b", attributes={"name": "b"}),
            add("nodes", lid="c", attributes={"name": "c"}),
            add("nodes", {"parent": lid("nodes", "b")}, attributes={"name": "d"}),
            add("nodes", {"parent": lid("nodes", "c")}, attributes={"name": "e"}),
        )

        assert answer.status == 200
        ids = dict(either.rows("nodes", "name, id"))
        assert dict(either.rows("nodes", "name, parent_id")) == {
            **dict.fromkeys("ac"),
            **{name: ids[parent] for name, parent in ("ba", "db", "ec")},
        }


class TestUpdates:
    def test_of_the_same_resource(self, either: Store) -> None:
        either.insert(*(Thing(id=id_) for id_ in (1, 2)))

        answer = either.post(*(update("things", id_, **each) for id_, each in zip("1211", named(*"abcd"), strict=True)))

        assert [result["data"]["attributes"]["name"] for result in answer.results] == ["a", "b", "c", "d"]
        assert either.rows("things", "id, name") == [(1, "d"), (2, "b")]

    def test_of_the_same_resource_where_all_is_forgotten_in_between(self, either: Store) -> None:
        either.insert(Parent(id=1), *(Child(id=id_, parent_id=1) for id_ in (1, 2)))
        parent = {"parent": id_("parents", "1")}

        answer = either.post(
            update("children", "1", parent),
            *(update("children", "2"), update("children", "2", parent), update("children", "2", **named("last")[0])),
        )

        assert [result["data"]["attributes"]["name"] for result in answer.results] == [None, None, None, "last"]

    def test_of_one_that_is_missing(self, either: Store) -> None:
        either.insert(*(Thing(id=id_, name="old") for id_ in (1, 3)))

        assert either.post(*RENAMES).errors == [(404, "resource-not-found", "/1/data/id")]
        assert either.rows("things", "id, name") == [(1, "old"), (3, "old")]

    @pytest.mark.parametrize("count", [2, 30])
    def test_of_one_that_is_missing_like_what_it_is_to_be_related_to(self, either: Store, count: int) -> None:
        """The target is looked for first."""
        either.insert(*(Thing(id=id_) for id_ in range(2, count + 1)))
        others = [update("things", str(id_), attributes={"name": "n"}) for id_ in range(2, count + 1)]

        answer = either.post(update("things", "1", {"box": id_("boxes", "9")}), *others)

        assert answer.errors == [(404, "resource-not-found", "/0/data/id")]

    def test_with_relationships(self, either: Store) -> None:
        either.insert(*(Box(id=id_) for id_ in (1, 2)))
        either.insert(Thing(id=1, box_id=1), Thing(id=2), Thing(id=3, box_id=1))

        answer = either.post(
            update("things", "1", {"box": id_("boxes", "2")}),
            update("things", "2", {"box": id_("boxes", "1")}, attributes={"name": "n"}),
            update("things", "3", {"box": None}),
            relate("update", id_("things", "3"), "box", id_("boxes", "1")),
        )

        shown = [result["data"]["relationships"]["box"]["data"] for result in answer.results[:3]]
        assert shown == [id_("boxes", "2"), id_("boxes", "1"), None]
        assert either.rows("things", "id, box_id") == [(1, 2), (2, 1), (3, 1)]

    def test_with_a_relationship_that_has_to_be_looked_for_in_the_middle_of_a_run(self, either: Store) -> None:
        """After a removal nothing is known any more; what waits is written before anything is read."""
        either.insert(Label(id=1), *(Box(id=id_) for id_ in (1, 2, 3)), *(Thing(id=id_) for id_ in (1, 2, 3)))
        first, second, third = (id_("boxes", each) for each in "123")

        answer = either.post(
            remove("labels", "1"),
            *(update("things", "1", {"box": first}), update("things", "2"), update("things", "3", {"box": second})),
            *(update("things", "2"), update("things", "1", {"box": third}, attributes={"name": "last"})),
        )

        assert answer.results[-1]["data"]["attributes"] == {"name": "last"}
        assert answer.results[-1]["data"]["relationships"]["box"]["data"] == third
        assert either.rows("things", "id, name, box_id") == [(1, "last", 3), (2, None, None), (3, None, 2)]

    def test_with_a_relationship_that_has_to_be_looked_for_among_additions(self, store: Store) -> None:
        store.insert(Label(id=1), *(Box(id=id_) for id_ in (1, 2)))
        added = [add("things", {"box": id_("boxes", each)}) for each in "12"]

        answer = store.post(remove("labels", "1"), add("things"), *added)

        assert answer.status == 200
        assert store.rows("things", "id, box_id") == [(1, None), (2, 1), (3, 2)]
        assert "add" not in [hook for hook, *_ in store.layer.heard]

    def test_that_relate_a_type_to_itself(self, either: Store) -> None:
        either.insert(*(Node(id=id_) for id_ in (1, 2, 3)))

        parents = {"1": id_("nodes", "2"), "2": id_("nodes", "2"), "3": id_("nodes", "1")}
        answer = either.post(*(update("nodes", id_, {"parent": parent}) for id_, parent in parents.items()))

        shown = [result["data"]["relationships"]["parent"]["data"] for result in answer.results]
        assert shown == list(parents.values())

    @pytest.mark.parametrize(("first", "second"), [("1", "2"), ("2", "1")])
    def test_that_hand_over_a_unique_value(self, either: Store, first: str, second: str) -> None:
        either.insert(Label(id=1, name="a"), Label(id=2, name="b"))
        own = {"1": "a", "2": "b"}

        passed_on = [update("labels", first, **named("c")[0]), update("labels", second, **named(own[first])[0])]
        assert either.post(*passed_on).status == 200

        either.post(*(update("labels", id_, **named(name)[0]) for id_, name in (("1", "x"), ("2", "y"))))
        taken = [
            update("labels", first, **named("y" if first == "1" else "x")[0]),
            update("labels", second, **named("z")[0]),
        ]
        assert either.post(*taken).errors == [(409, "conflict", "/0/data/attributes/name")]
        assert either.rows("labels", "id, name") == [(1, "x"), (2, "y")]


class TestTwoLayers:
    @pytest.mark.parametrize("batch", [True, False])
    def test_operations_on_both(self, sqlite_url: str, batch: bool) -> None:
        memory = RunningLayer("memory")
        store = Store(sqlite_url, memory, ATOMIC_BATCH=batch)
        store.atomic.resource(schema("notes", box=to_one("boxes")), layer="memory")
        boxes = [add("boxes", lid="a"), add("boxes", lid="b")]
        notes = [add("notes", {"box": lid("boxes", name)}) for name in "ab"]

        answer = store.post(*boxes, *notes, *(update("notes", id_) for id_ in "12"), *notes)

        shown = [result["data"]["relationships"]["box"]["data"] for result in answer.results[2:]]
        assert shown == [id_("boxes", id) for id in "121212"]

        missing = store.post(*(remove("notes", id_) for id_ in "12"), *(remove("boxes", id_) for id_ in "19"))
        assert missing.errors == [(404, "resource-not-found", "/3/ref/id")]
        assert (len(memory._entities), store.ids("boxes")) == (4, [1, 2])
        assert store.post(*(remove(of, id_) for of in ("notes", "boxes") for id_ in "12")).status == 204
        assert (len(memory._entities), store.ids("boxes")) == (2, [])

    def test_what_is_read_afterwards_is_not_there(self, store: Store) -> None:
        store.insert(*(Thing(id=id_) for id_ in (1, 2)))

        assert store.post(remove("things", "1"), remove("things", "2")).status == 204
        assert read(store.client, "things", "1") is None


# ------------------------------------------------------------------------------------------------------ random requests


IDS = ["1", "2", "3", "4"]
NAMES = st.sampled_from(["a", "b", "c", None])


@st.composite
def runs(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Operations on few resources: duplicates, missing ones and such that are added again occur often."""
    operations: list[dict[str, Any]] = []
    for _ in range(draw(st.integers(1, 4))):
        type_ = draw(
            st.sampled_from(["things", "things", "boxes", "labels", "pages", "locks", "nodes", "leaves", "words"])
        )
        operation = draw(st.sampled_from([_addition, _change, _removal, _removal]))
        ids = draw(st.lists(st.sampled_from(IDS), min_size=1, max_size=4, unique=draw(st.integers(0, 3)) > 0))
        operations += [operation(draw, type_, id) for id in ids]
    return operations


def _members(draw: st.DrawFn, type_: str, id: str) -> dict[str, Any]:
    declared = TYPES[type_][1]
    members: dict[str, Any] = {"type": type_, "id": id}
    if "name" in declared and draw(st.booleans()):
        members["attributes"] = {"name": draw(NAMES)}
    for name, target in (("box", "boxes"), ("parent", type_)):
        if name in declared and draw(st.booleans()):
            related = draw(st.sampled_from([None, *IDS]))
            members["relationships"] = {name: {"data": related and id_(target, related)}}
    return members


def _addition(draw: st.DrawFn, type_: str, id: str) -> dict[str, Any]:
    return {"op": "add", "data": _members(draw, type_, id)}


def _change(draw: st.DrawFn, type_: str, id: str) -> dict[str, Any]:
    return {"op": "update", "data": _members(draw, type_, id)}


def _removal(draw: st.DrawFn, type_: str, id: str) -> dict[str, Any]:
    return remove(type_, id)


class Law:
    """Two applications on one database: a batched and a strict one."""

    def __init__(self, url: str) -> None:
        self.stores = {batch: Store(url, ATOMIC_BATCH=batch) for batch in (True, False)}
        self.engine: Engine = self.stores[True].engine

    def restore(self) -> None:
        """The first three of each type are there; the second is in the first box."""
        with self.engine.begin() as connection:
            for table in reversed(Base.metadata.sorted_tables):
                if table.name in ("nodes", "leaves"):
                    connection.execute(table.update().values(parent_id=None))
                connection.execute(table.delete())
        for type_, (model, declared) in TYPES.items():
            inside = {"box": {"box_id": 1}, "parent": {"parent_id": 1}}
            held = next((inside[name] for name in inside if name in declared), {})
            keys = [key if type_ == "words" else int(key) for key in IDS[:3]]
            self.stores[True].insert(model(id=keys[0]))
            self.stores[True].insert(model(id=keys[1], **held), model(id=keys[2]))

    def outcome(self, documents: Sequence[Any], *, batch: bool) -> Any:
        """The answers, and what is stored after each."""
        self.restore()
        store = self.stores[batch]
        outcomes = []
        for operations in documents:
            response = store.post(*operations).response
            assert response.status_code < 500
            outcomes.append((response.status_code, response.get_json(silent=True)))
            outcomes.append(
                {table.name: sorted(map(str, store.rows(table.name))) for table in Base.metadata.sorted_tables}
            )
        return outcomes

    def compare(self, documents: Sequence[Any]) -> None:
        assert self.outcome(documents, batch=True) == self.outcome(documents, batch=False)


@pytest.fixture(scope="module")
def few_at_a_time() -> Iterator[None]:
    """Have all that may happen between a batched and a strict attempt happen with few operations, too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("flask_atomic.pace._FEW", 1)
        patch.setattr("flask_atomic.runs._LONG", 2)
        yield


DOCUMENTS = st.lists(runs(), min_size=1, max_size=2)
CHECKS = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


@pytest.fixture(scope="module")
def law(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Law]:
    law = Law(f"sqlite:///{tmp_path_factory.mktemp('law') / 'database.sqlite'}")
    yield law
    for store in law.stores.values():
        store.engine.dispose()
        store.outside.dispose()


@pytest.mark.usefixtures("few_at_a_time")
@pytest.mark.no_cover
@given(documents=DOCUMENTS)
@settings(max_examples=80, suppress_health_check=CHECKS)
def test_random_runs_cannot_be_told_from_single_operations(law: Law, documents: list[Any]) -> None:
    law.compare(documents)


@pytest.mark.usefixtures("few_at_a_time")
@pytest.mark.no_cover
@pytest.mark.parametrize("server", ["postgresql", "mariadb"])
def test_on_a_server_random_runs_cannot_be_told_from_single_operations(
    server: str, request: pytest.FixtureRequest
) -> None:
    law = Law(request.getfixturevalue(f"{server}_url"))

    @given(documents=DOCUMENTS)
    @settings(max_examples=15, suppress_health_check=CHECKS)
    def compare_here(documents: list[Any]) -> None:
        law.compare(documents)

    compare_here()
