"""One request over several layers: two in memory, which vote on the commit, and a database, which cannot.

Each hook of each layer fails, before and after it has done its work, by a refusal, a defect and the end of the process.
"""

from __future__ import annotations

import logging
from functools import wraps
from itertools import count
from typing import NamedTuple

import pytest
from marshmallow_jsonapi import fields
from sqlalchemy import Column, ForeignKey, QueuePool, Table, create_engine, event, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship, sessionmaker

from flask_atomic import Atomic, Conflict, MemoryLayer
from flask_atomic.hookspecs import DataLayer
from flask_atomic.layers.sqlalchemy import SQLAlchemyLayer
from tests.application import add, application, id_, lid, post, read, relate, remove, schema, to_many, to_one, update
from tests.recording import RecordingLayer
from tests.servers import engines_disposed, second_connection

OF_KEYS = {"atomic_recall", "atomic_remember", "atomic_forget"}
"""The hooks of requests with a key: tests/test_idempotency.py is about these."""

OF_VERSIONS = {"atomic_version", "atomic_match_version"}
"""The hooks of types with versions: tests/test_stale_writes.py is about these."""

OF_COMMANDS = {"atomic_check", "atomic_in_doubt", "atomic_recover"}
"""The hooks that no request calls: tests/two_phase is about these."""

OF_RUNS = {"atomic_add_all", "atomic_update_all", "atomic_remove_all"}
"""The hooks of several operations: only batched attempts call them, and strict ones those of a single operation."""

AT_START_UP = {"atomic_claim", "atomic_independent", "atomic_exclusive", "atomic_remembers", "atomic_versioned"}
ELSEWHERE = AT_START_UP | OF_COMMANDS | OF_KEYS | OF_VERSIONS
HOOKS = [hook for hook in vars(DataLayer) if hook.startswith("atomic_") and hook not in ELSEWHERE]


# ----------------------------------------------------------------------------------------------- layers that can fail


class Trouble(NamedTuple):
    """Where a layer fails: in which hook, before or after it has done its work."""

    hook: str
    when: str
    error: BaseException


def breakable(kind):
    """A class of data layers like `kind` whose hooks fail where `trouble` says so.

    Its units are `open` until they are given back: to a rollback, or to a commit that succeeds. They are `abandoned` if
    the rollback failed before it had done anything.
    """

    def init(self, *args, **options):
        kind.__init__(self, *args, **options)
        self.trouble = None
        self.called = []
        self.open = []
        self.abandoned = []

    def close_abandoned(self):
        while self.abandoned:
            kind.atomic_rollback(self, self.abandoned.pop())

    hooks = {hook: breakable_hook(hook, vars(kind)[hook]) for hook in HOOKS if hook in vars(kind)}
    return type(f"Breakable{kind.__name__}", (kind,), {"__init__": init, "close_abandoned": close_abandoned, **hooks})


def breakable_hook(hook, method):
    @wraps(method)
    def call(self, *args):
        self.called.append(hook)
        if hook == "atomic_rollback":
            self.open.remove(*args)
            self.abandoned.append(*args)
        fail(self.trouble, hook, "before")
        result = method(self, *args)
        if hook == "atomic_rollback":
            self.abandoned.remove(*args)
        fail(self.trouble, hook, "after")
        if hook == "atomic_begin":
            self.open.append(result)
        if hook == "atomic_commit":
            self.open.remove(*args)
        return result

    return call


def fail(trouble, *point):
    if trouble and trouble[:2] == point:
        raise trouble.error


LAYERS = {
    "harbour": breakable(MemoryLayer),
    "fleet": breakable(MemoryLayer),
    "database": breakable(SQLAlchemyLayer),
}
TYPES = {"harbour": "anchors", "fleet": "boats", "database": "cabins"}


# --------------------------------------------------------------------------------------------------- an application


class Base(DeclarativeBase):
    pass


neighbours = Table(
    "neighbours",
    Base.metadata,
    Column("one", ForeignKey("cabins.id", ondelete="CASCADE"), primary_key=True),
    Column("other", ForeignKey("cabins.id", ondelete="CASCADE"), primary_key=True),
)


class Cabin(Base):
    __tablename__ = "cabins"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str | None]
    anchor: Mapped[int | None]
    boat: Mapped[int | None]
    cabins: Mapped[list[Cabin]] = relationship(
        secondary=neighbours,
        primaryjoin=id == neighbours.c.one,
        secondaryjoin=id == neighbours.c.other,
        passive_deletes=True,
    )


class Port:
    """An application whose anchors, boats and cabins are kept by three layers, and related to each other.

    There are two of each.
    """

    def __init__(self, url, *others, **config):
        self.outside = second_connection(url)
        self.engine = create_engine(url, poolclass=QueuePool)
        event.listen(self.engine, "connect", set_up_connection)
        event.listen(self.engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
        Base.metadata.create_all(self.engine)
        self.layers = {
            "harbour": LAYERS["harbour"]("harbour"),
            "fleet": LAYERS["fleet"]("fleet"),
            "database": LAYERS["database"](sessionmaker(self.engine), name="database"),
        }
        self.atomic = Atomic(*self.layers.values(), *others)
        for layer, type_ in TYPES.items():
            related = {"anchor": to_one("anchors"), "boat": to_one("boats"), "cabins": to_many("cabins")}
            options = {"model": Cabin} if layer == "database" else {}
            self.atomic.resource(schema(type_, name=fields.Str(), **related), layer=layer, **options)
        for other in others:
            self.atomic.resource(schema(other.name, cabin=to_one("cabins")), layer=other.name)
        self.client = application(self.atomic, **config).test_client()
        assert post(self.client, *(add(type_) for type_ in TYPES.values() for _ in range(2))).status == 200
        self._seed = {name: dict(self.layers[name]._entities) for name in ("harbour", "fleet")}
        self.restore()

    def restore(self, next_id=3):
        """Make all as new; the ids of new anchors and boats begin with this one."""
        for name, entities in self._seed.items():
            self.layers[name]._entities.clear()
            self.layers[name]._entities.update(entities)
            self.layers[name]._numbers = count(next_id)
        with self.outside.connect() as connection:
            connection.exec_driver_sql("DELETE FROM neighbours")
            connection.exec_driver_sql("DELETE FROM cabins")
            connection.exec_driver_sql("INSERT INTO cabins (id) VALUES (1), (2)")
        for layer in self.layers.values():
            layer.called.clear()
            layer.trouble = None

    def stored(self):
        """What is committed in each layer; in the database, as another connection sees it."""
        stored = {name: self._entities(name) for name in ("harbour", "fleet")}
        with self.outside.connect() as connection:
            rows = [connection.execute(text(f"SELECT * FROM {table}")).all() for table in Base.metadata.tables]
        return {**stored, "database": [sorted(each) for each in rows]}

    def _entities(self, name):
        return {key: vars(entity).copy() for key, entity in self.layers[name]._entities.items()}

    def assert_nothing_is_open(self):
        assert {name: layer.open for name, layer in self.layers.items()} == {name: [] for name in self.layers}
        for name in ("harbour", "fleet"):
            assert not self.layers[name]._committing.locked()
        assert self.engine.pool.checkedout() == 0
        with self.outside.connect() as connection:
            connection.exec_driver_sql("BEGIN IMMEDIATE")  # which nobody's lock keeps from beginning
            connection.exec_driver_sql("ROLLBACK")


def set_up_connection(connection, _):
    connection.isolation_level = None
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA synchronous = OFF")


OPERATIONS = [
    add("anchors", lid="a", attributes={"name": "new"}),
    add("boats", {"anchor": lid("anchors", "a")}, lid="b", attributes={"name": "new"}),
    add("cabins", {"anchor": lid("anchors", "a"), "boat": lid("boats", "b")}, lid="c", attributes={"name": "new"}),
    *(
        operation
        for type_ in TYPES.values()
        for operation in (
            update(type_, "1", {"boat": lid("boats", "b")}, attributes={"name": "changed"}),
            relate("update", id_(type_, "1"), "anchor", id_("anchors", "1")),
            relate("add", id_(type_, "1"), "cabins", [lid("cabins", "c"), id_("cabins", "1")]),
            relate("remove", id_(type_, "1"), "cabins", [id_("cabins", "1")]),
        )
    ),
    *(remove(type_, "2") for type_ in TYPES.values()),
]
"""They call every hook of the three layers but `atomic_rollback`."""

NEXT = [operation for type_ in TYPES.values() for operation in (add(type_), update(type_, "1"))]
"""A request that succeeds whatever was stored before."""

FAILS_AT_THE_END = [*OPERATIONS, update("boats", "99")]
"""Everything is rolled back."""


# ----------------------------------------------------------------------------------------------------------- failures

POINTS = [
    (layer, hook, when)
    for layer, kind in LAYERS.items()
    for hook in HOOKS
    if hasattr(kind, hook)
    for when in ("before", "after")
]
POINTS_OF_RUNS = [point for point in POINTS if point[1] in OF_RUNS]
OTHER_POINTS = [point for point in POINTS if point[1] not in OF_RUNS]


def have_stored(layer, hook, when):
    """The layers that have stored what they were told to.

    The database commits first. Whatever fails before that, or in it, undoes everything; afterwards, nothing can be
    undone. A commit that has done its work and fails has kept no promise: nobody can know that it is done.
    """
    if hook != "atomic_commit":
        return set()
    if layer == "database":
        return {"database"} if when == "after" else set()
    return set(LAYERS) - ({layer} if when == "before" else set())


@pytest.fixture(scope="module", params=[True, False], ids=["batched", "strict"])
def shared_port(request, tmp_path_factory):
    """An application for all failures, and what is stored when nothing fails."""
    with engines_disposed():
        port = Port(f"sqlite:///{tmp_path_factory.mktemp('port') / 'database.sqlite'}", ATOMIC_BATCH=request.param)
        assert post(port.client, *OPERATIONS).status == 200
        yield port, port.stored()


def test_every_hook_is_among_the_points_of_failure():
    assert {hook for _, hook, _ in POINTS} == set(HOOKS)


class Failures:
    """What holds after each failure."""

    @pytest.fixture(autouse=True)
    def _aftermath(self, shared_port, layer, hook, when):
        """After each test: what is stored, that nothing is open, and that the next request works."""
        self.port, self.success = shared_port
        self.done = have_stored(layer, hook, when)
        self.port.restore()
        self.operations = FAILS_AT_THE_END if hook == "atomic_rollback" else OPERATIONS
        self.failing = self.port.layers[layer]
        before = self.port.stored()
        yield
        assert hook in self.failing.called
        self.failing.trouble = None
        self.failing.close_abandoned()
        assert self.port.stored() == {name: (self.success if name in self.done else before)[name] for name in LAYERS}
        self.port.assert_nothing_is_open()
        assert post(self.port.client, *NEXT).status == 200

    def test_that_ends_the_process(self, hook, when):
        self.failing.trouble = Trouble(hook, when, KeyboardInterrupt())

        with pytest.raises(KeyboardInterrupt):
            post(self.port.client, *self.operations)


@pytest.mark.parametrize(("layer", "hook", "when"), OTHER_POINTS)
class TestFailures(Failures):
    """Statement A14, as far as stores keep what they promise."""

    @pytest.mark.parametrize(
        ("error", "told"),
        [(Conflict("A reason."), (409, "conflict")), (ZeroDivisionError("secret"), (500, "internal-error"))],
    )
    def test_of_a_hook(self, layer, hook, when, error, told, caplog):
        self.failing.trouble = Trouble(hook, when, error)

        answer = post(self.port.client, *self.operations)

        logged = [record for record in caplog.records if record.levelno > logging.WARNING]
        assert "secret" not in answer.response.text
        if hook == "atomic_rollback":
            assert answer.errors == [(404, "resource-not-found", f"/{len(OPERATIONS)}/data/id")]
            assert [record.getMessage() for record in logged] == [f"The layer {layer} failed to roll back."]
        elif hook == "atomic_commit" and layer != "database":
            assert answer.errors == [(500, "partly-committed", None)]
            assert_partial_commit_is_told(layer, answer.error_objects[0], logged)
        else:
            assert {error[:2] for error in answer.errors} == {told}
            expected = [
                f"Error {error['id']}: {hook} of the plugin '{layer}' raised ZeroDivisionError."
                for error in answer.error_objects
                if "id" in error
            ]
            if hook == "atomic_commit" and told[0] == 500:
                assert_broken_commit_is_told(logged.pop(0))
            assert [record.getMessage() for record in logged] == expected


@pytest.mark.parametrize(("layer", "hook", "when"), POINTS_OF_RUNS)
@pytest.mark.parametrize("shared_port", [True], ids=["batched"], indirect=True)
class TestFailuresOfRuns(Failures):
    """The next attempt performs the operations one by one, where nothing fails."""

    @pytest.mark.parametrize("error", [Conflict("A reason."), ZeroDivisionError("secret")])
    def test_of_a_hook(self, hook, when, error, caplog):
        self.done = set(LAYERS)
        self.port.restore(next_id=4)  # for the attempt that fails takes ids
        assert post(self.port.client, *self.operations).status == 200
        self.success = self.port.stored()
        self.port.restore()
        self.failing.trouble = Trouble(hook, when, error)

        assert post(self.port.client, *self.operations).status == 200

        logged = [record for record in caplog.records if record.levelno >= logging.WARNING]
        defect = f"{hook} of the plugin 'database' raised ZeroDivisionError."
        assert [record.getMessage().partition("defect: ")[2] for record in logged] == (
            [defect] if isinstance(error, ZeroDivisionError) else []
        )


@pytest.mark.parametrize("shared_port", [False], ids=["strict"], indirect=True)
def test_strict_attempts_call_no_hook_of_runs(shared_port):
    port, _ = shared_port
    port.restore()

    assert post(port.client, *OPERATIONS).status == 200
    assert OF_RUNS.isdisjoint(port.layers["database"].called)


def assert_broken_commit_is_told(record):
    known = "the layer 'database' broke off its commit. Not known: 'database'. Rolled back: 'harbour', 'fleet'."
    assert (record.levelno, record.name) == (logging.CRITICAL, "flask_atomic.transactions")
    assert record.getMessage().partition(": ")[2] == known


def assert_partial_commit_is_told(layer, error, logged):
    others = ", ".join(f"'{name}'" for name in ("database", "harbour", "fleet") if name != layer)
    known = f"Committed: {others}. Not known, since the commit failed: '{layer}'."
    assert error["detail"] == f"The operations are stored in part. {known} The log has more under the id."
    transaction = (
        f"Transaction {error['id']}: the layer '{layer}' failed to commit, although it had voted for it. {known}"
    )
    assert [(record.levelno, record.getMessage()) for record in logged] == [(logging.CRITICAL, transaction)]


# ------------------------------------------------------------------------------------------------ what goes together


@pytest.fixture
def port(sqlite_url):
    return Port(sqlite_url)


def related(port, type_, name):
    """What the first resource of the type shows of a relationship."""
    return read(port.client, type_, "1")["relationships"][name]["data"]


class TestRelationships:
    @pytest.mark.parametrize("batch", [True, False])
    def test_a_resource_refers_to_those_of_other_layers_by_local_ids(self, sqlite_url, batch):
        port = Port(sqlite_url, ATOMIC_BATCH=batch)

        answer = post(
            port.client,
            add("cabins", lid="c"),
            add("anchors", {"cabins": [lid("cabins", "c"), id_("cabins", "1")]}, lid="a"),
            add("boats", {"anchor": lid("anchors", "a"), "cabins": [lid("cabins", "c")]}, lid="b"),
            update("cabins", "1", {"boat": lid("boats", "b"), "anchor": lid("anchors", "a")}),
        )

        shown = [result["data"]["relationships"] for result in answer.results]
        assert shown[1]["cabins"]["data"] == [id_("cabins", "3"), id_("cabins", "1")]
        assert shown[2] == {
            "anchor": {"data": id_("anchors", "3")},
            "boat": {"data": None},
            "cabins": {"data": [id_("cabins", "3")]},
        }
        assert shown[3]["boat"]["data"] == id_("boats", "3")
        assert related(port, "cabins", "anchor") == id_("anchors", "3")

    @pytest.mark.parametrize("holder", TYPES.values())
    @pytest.mark.parametrize(("name", "type_"), [("anchor", "anchors"), ("boat", "boats"), ("cabins", "cabins")])
    def test_a_related_resource_exists_in_its_own_layer(self, port, holder, name, type_):
        missing = id_(type_, "99")
        linkage, where = ([missing], "data/0") if name == "cabins" else (missing, "data")

        answer = post(port.client, add("anchors"), add("cabins"), update(holder, "1", {name: linkage}))

        assert answer.errors == [(404, "related-resource-not-found", f"/2/data/relationships/{name}/{where}")]
        assert len(port.stored()["harbour"]) == 2

    def test_one_that_an_earlier_operation_removes_cannot_be_related(self, port):
        answer = post(port.client, remove("cabins", "2"), update("boats", "1", {"cabins": [id_("cabins", "2")]}))

        assert answer.errors == [(404, "related-resource-not-found", "/1/data/relationships/cabins/data/0")]

    def test_other_layers_are_not_told_of_a_removal(self, port):
        """They keep the id, until somebody takes it out; the operation for that may stand before the removal."""
        post(port.client, update("boats", "1", {"cabins": [id_("cabins", "1"), id_("cabins", "2")]}))

        assert post(port.client, remove("cabins", "2")).status == 204
        assert related(port, "boats", "cabins") == [id_("cabins", "1"), id_("cabins", "2")]

        members = relate("remove", id_("boats", "1"), "cabins", [id_("cabins", "1"), id_("cabins", "2")])
        assert post(port.client, members, remove("cabins", "1")).status == 204
        assert related(port, "boats", "cabins") == []


class TestCombinations:
    @pytest.fixture
    def journal(self):
        return RecordingLayer("journal")

    @pytest.fixture
    def port(self, sqlite_url, journal):
        """With a fourth layer, which cannot vote either."""
        return Port(sqlite_url, journal)

    def test_a_database_and_another_that_cannot_vote_are_refused_before_anything_is_begun(self, port, journal):
        answer = post(port.client, add("boats"), add("cabins"), add("journal"))

        assert answer.errors == [(422, "not-atomic", None)]
        assert answer.error_objects[0]["detail"] == (
            "The operations write to database and journal, which cannot be committed as one. Send a request for each."
        )
        assert journal.log == []
        assert {hook for layer in port.layers.values() for hook in layer.called} == set()

    @pytest.mark.parametrize("type_", ["cabins", "journal"])
    def test_each_goes_together_with_any_number_that_vote(self, port, type_):
        assert post(port.client, add("boats"), add("anchors"), add(type_)).status == 200

    def test_both_may_be_used_if_one_is_only_read(self, port, journal):
        assert post(port.client, add("journal", {"cabin": id_("cabins", "1")})).status == 200
        assert port.layers["database"].called == ["atomic_parse_id", "atomic_begin", "atomic_get", "atomic_rollback"]
        assert len(journal.rows) == 1

    def test_a_failure_to_close_what_was_only_read_is_logged_and_changes_nothing(self, port, journal, caplog):
        port.layers["database"].trouble = Trouble("atomic_rollback", "after", ZeroDivisionError())

        assert post(port.client, add("journal", {"cabin": id_("cabins", "1")})).status == 200
        assert [record.getMessage() for record in caplog.records] == ["The layer database failed to roll back."]
        assert len(journal.rows) == 1
