"""`Idempotency-Key`: a request that is sent again gets the answer that was given, and is not performed again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event
from typing import Any

import pytest
from flask import Flask, request
from flask_sqlalchemy import SQLAlchemy
from marshmallow_jsonapi import fields
from sqlalchemy import Engine, Text, create_engine, func, select, update
from sqlalchemy.dialects.mysql import LONGTEXT
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, sessionmaker

from flask_atomic import (
    Atomic,
    ConfigurationError,
    Conflict,
    MemoryLayer,
    RequestFailed,
    Transient,
    UnknownOutcome,
    hookimpl,
)
from flask_atomic.hookspecs import HOOKS_VERSION, Remembered
from flask_atomic.idempotency import read_key
from flask_atomic.layers.sqlalchemy import SQLAlchemyLayer, idempotency_table
from tests.application import Answer, add, application, post, remove, schema, send
from tests.application import update as change
from tests.servers import second_connection
from tests.test_cli import run

KEY = '"8e03978e-40d5-43e8-bc93-6894a57f9324"'
REPLAYED = "Idempotency-Replayed"
PEOPLE = schema("people", name=fields.Str(), text=fields.Str())
PATH = "/operations"


class Base(DeclarativeBase):
    """All models of this module share it."""


class Person(Base):
    __tablename__ = "people"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str | None] = mapped_column(Text)
    text: Mapped[str | None] = mapped_column(Text().with_variant(LONGTEXT(), "mysql", "mariadb"))


KEYS = idempotency_table(Base.metadata)


class Store:
    """A data layer with a look at it from outside."""

    layer: Any
    options: dict[str, Any]

    def people(self) -> int:
        """How many are stored."""
        raise NotImplementedError

    def remembered(self) -> int:
        """How many answers are."""
        raise NotImplementedError

    def age(self) -> None:
        """Have all answers expire."""
        raise NotImplementedError


class InMemory(Store):
    def __init__(self) -> None:
        self.layer = MemoryLayer()
        self.options = {}

    def people(self) -> int:
        return len(self.layer._entities)

    def remembered(self) -> int:
        return len(self.layer._remembered)

    def age(self) -> None:
        aged = {key: answer._replace(expires=1) for key, answer in self.layer._remembered.items()}
        self.layer._remembered.update(aged)


class InDatabase(Store):
    def __init__(self, url: str) -> None:
        self.engine = create_engine(url, pool_size=20)
        Base.metadata.create_all(self.engine)
        self.layer = SQLAlchemyLayer(sessionmaker(self.engine))
        self.options = {"model": Person}
        self.outside: Engine = second_connection(url)

    def _count(self, table: Any) -> int:
        with self.outside.connect() as connection:
            return connection.execute(select(func.count()).select_from(table)).scalar_one()

    def people(self) -> int:
        return self._count(Person)

    def remembered(self) -> int:
        return self._count(KEYS)

    def age(self) -> None:
        with self.outside.connect() as connection:
            connection.execute(update(KEYS).values(expires=1))


@pytest.fixture(params=["memory", "sqlite", "postgresql", "mariadb"])
def store(request: pytest.FixtureRequest) -> Store:
    if request.param == "memory":
        return InMemory()
    return InDatabase(request.getfixturevalue(f"{request.param}_url"))


def made(store: Store, *plugins: object, scope: Callable[[], Any] | None = None, **config: Any) -> Flask:
    """An application that keeps people in the store."""
    atomic = Atomic(store.layer, *plugins, idempotency_scope=scope)
    atomic.resource(PEOPLE, client_ids="allowed", **store.options)
    return application(atomic, None, **{"ATOMIC_IDEMPOTENCY": "optional", **config})


def keyed(app: Flask, *operations: Any, key: str = KEY, path: str = PATH, **headers: str) -> Answer:
    return post(app.test_client(), *operations, path=path, headers={"Idempotency-Key": key, **headers})


def replayed(answer: Answer) -> bool:
    """Whether the answer was given before."""
    return answer.response.headers.get(REPLAYED) == "true"


def assert_replay(answer: Answer, first: Answer) -> None:
    """The answer is that of the first request, but for the mark."""
    assert replayed(answer)
    assert not replayed(first)
    assert answer.response.status == first.response.status
    assert answer.response.data == first.response.data
    assert [header for header in answer.response.headers if header[0] != REPLAYED] == list(first.response.headers)


def refused(answer: Answer) -> tuple[int, str, dict[str, str]]:
    (error,) = answer.error_objects
    return answer.status, error["code"], error["source"]


OF_KEY = {"header": "Idempotency-Key"}
ADD = add("people", attributes={"name": "Ann"})


class TestRepeats:
    def test_a_repeat_gets_the_answer_that_was_given(self, store):
        app = made(store)
        first = keyed(app, ADD)
        assert first.results[0]["data"]["attributes"] == {"name": "Ann", "text": None}

        for _ in range(3):
            assert_replay(keyed(app, ADD), first)
        assert (store.people(), store.remembered()) == (1, 1)

    def test_what_has_changed_since_makes_no_difference(self, store):
        app = made(store)
        first = keyed(app, ADD)
        id_ = first.results[0]["data"]["id"]
        post(app.test_client(), change("people", id_, attributes={"name": "Bob"}), path=PATH)

        assert_replay(keyed(app, ADD), first)

    def test_an_answer_without_content_is_given_again_without(self, store):
        app = made(store)
        keyed(app, add("people", id="7"), key='"other"')
        first = keyed(app, remove("people", "7"))
        assert first.status == 204

        assert_replay(keyed(app, remove("people", "7")), first)

    def test_an_empty_answer_with_content_is_given_again_with_it(self, store):
        app = made(store, ATOMIC_NO_CONTENT=False)
        keyed(app, add("people", id="7"), key='"other"')
        first = keyed(app, remove("people", "7"))
        assert first.results == [{}]

        assert_replay(keyed(app, remove("people", "7")), first)

    def test_a_large_answer_is_remembered_whole(self, store):
        app = made(store)
        large = add("people", attributes={"text": "é" * 600_000})
        first = keyed(app, large)

        assert_replay(keyed(app, large), first)
        assert len(first.response.data) > 600_000

    def test_many_operations_are_one_request(self, store):
        app = made(store)
        first = keyed(app, *[ADD] * 20)

        assert_replay(keyed(app, *[ADD] * 20), first)
        assert store.people() == 20

    def test_other_keys_are_other_requests(self, store):
        app = made(store)
        keys = ['"a"', '"A"', '"a "', '"b"', '" a"', r'"\""', r'"\\"']
        answers = [keyed(app, ADD, key=key) for key in keys]

        assert not any(map(replayed, answers))
        assert (store.people(), store.remembered()) == (len(keys), len(keys))

    def test_requests_without_a_key_are_performed_each_time(self, store):
        app = made(store)
        for _ in range(2):
            assert post(app.test_client(), ADD, path=PATH).status == 200
        assert (store.people(), store.remembered()) == (2, 0)

    def test_what_is_committed_is_told_once(self, store):
        class Heard:
            def __init__(self):
                self.records = []

            @hookimpl
            def atomic_committed(self, records):
                self.records += records

        heard = Heard()
        app = made(store, heard)
        for _ in range(3):
            keyed(app, ADD)
        assert len(heard.records) == 1

    def test_a_replay_has_the_headers_that_the_application_adds(self, store):
        app = made(store)
        app.after_request(lambda response: response.headers.set("X-Served", "yes") or response)
        first = keyed(app, ADD)

        assert_replay(keyed(app, ADD), first)


class TestOtherRequests:
    def test_another_body_is_refused(self, store):
        app = made(store)
        first = keyed(app, ADD)

        other = keyed(app, add("people", attributes={"name": "Bob"}))
        assert refused(other) == (422, "idempotency-key-reused", OF_KEY)
        assert_replay(keyed(app, ADD), first)
        assert store.people() == 1

    def test_the_body_is_compared_byte_by_byte(self, store):
        app = made(store)
        keyed(app, ADD)
        text = json.dumps({"atomic:operations": [ADD]}, indent=1)

        answer = send(app.test_client(), text, path=PATH, headers={"Idempotency-Key": KEY})
        assert refused(answer) == (422, "idempotency-key-reused", OF_KEY)

    def test_other_fields_are_refused(self, store):
        app = made(store)
        first = keyed(app, ADD, path=f"{PATH}?fields[people]=name")
        assert first.results[0]["data"]["attributes"] == {"name": "Ann"}

        assert refused(keyed(app, ADD))[:2] == (422, "idempotency-key-reused")
        assert_replay(keyed(app, ADD, path=f"{PATH}?fields[people]=name"), first)

    def test_another_host_is_refused(self, store):
        app = made(store)
        keyed(app, ADD)
        assert refused(keyed(app, ADD, Host="other.test"))[:2] == (422, "idempotency-key-reused")

    def test_another_prefix_is_refused(self):
        atomic = Atomic(MemoryLayer())
        atomic.resource(PEOPLE)
        app = application(atomic, "/<tenant>", ATOMIC_IDEMPOTENCY="optional")
        keyed(app, ADD, path="/one/operations")
        assert refused(keyed(app, ADD, path="/two/operations"))[:2] == (422, "idempotency-key-reused")


class TestScopes:
    def test_keys_of_different_scopes_are_different(self, store):
        app = made(store, scope=lambda: request.headers["X-User"])
        ann, bob = (keyed(app, ADD, **{"X-User": user}) for user in ("ann", "bob"))

        assert not replayed(bob)
        assert ann.response.data != bob.response.data
        assert_replay(keyed(app, ADD, **{"X-User": "ann"}), ann)
        assert_replay(keyed(app, ADD, **{"X-User": "bob"}), bob)
        assert store.people() == 2

    @pytest.mark.parametrize(("scope", "key"), [("a", '"bc"'), ("ab", '"c"'), ('a", "b', '"c"'), ("\0é\ud800", '"c"')])
    def test_a_scope_may_be_any_text(self, store, scope, key):
        scopes = iter([scope, "a", scope])
        app = made(store, scope=lambda: next(scopes))
        first = keyed(app, ADD, key=key)

        if scope != "a":
            assert not replayed(keyed(app, ADD, key='"c"'))
        else:
            next(scopes)
        assert_replay(keyed(app, ADD, key=key), first)

    def test_a_scope_that_is_no_text_is_a_defect(self, store):
        app = made(store, scope=lambda: None)
        answer = keyed(app, ADD)
        assert (answer.status, answer.errors[0][1]) == (500, "internal-error")
        assert store.people() == 0

    def test_the_scope_is_not_asked_for_without_a_key(self, store):
        app = made(store, scope=pytest.fail)
        assert post(app.test_client(), ADD, path=PATH).status == 200

    def test_an_atomic_with_other_layers_has_the_scope(self):
        atomic = Atomic(MemoryLayer(), idempotency_scope=lambda: request.headers["X-User"])
        atomic.resource(PEOPLE)
        app = application(atomic.with_layers(MemoryLayer()), None, ATOMIC_IDEMPOTENCY="optional")
        assert not any(replayed(keyed(app, ADD, **{"X-User": user})) for user in ("ann", "bob"))


class TestFailures:
    @pytest.mark.parametrize("number", [1, 2, 20])
    def test_a_failure_is_not_remembered(self, store, number):
        app = made(store)
        operations = [*[ADD] * number, change("people", "99", attributes={"name": "Zoe"})]
        assert keyed(app, *operations).status == 404
        assert (store.people(), store.remembered()) == (0, 0)

        keyed(app, add("people", id="99"), key='"other"')
        again = keyed(app, *operations)
        assert (again.status, replayed(again)) == (200, False)
        assert_replay(keyed(app, *operations), again)

    def test_a_malformed_request_is_not_remembered(self, store):
        app = made(store)
        assert keyed(app, {"op": "nonsense"}).status == 400
        assert keyed(app, ADD).status == 200

    def test_a_commit_that_fails_leaves_nothing(self, store):
        class FailsOnce:
            failed = False

            @hookimpl(wrapper=True)
            def atomic_commit(self):
                if not self.failed:
                    self.failed = True
                    raise Conflict("Not now.")
                return (yield)

        app = made(store, FailsOnce())
        assert keyed(app, ADD).errors == [(409, "conflict", None)]
        assert (store.people(), store.remembered()) == (0, 0)

        again = keyed(app, ADD)
        assert (again.status, replayed(again), store.people()) == (200, False, 1)

    def test_a_defect_leaves_nothing(self, store):
        class Broken:
            @hookimpl
            def atomic_result_meta(self):
                raise ZeroDivisionError

        app = made(store, Broken())
        assert keyed(app, ADD).status == 500
        assert (store.people(), store.remembered()) == (0, 0)

    @pytest.mark.parametrize("hook", ["atomic_recall", "atomic_remember"])
    def test_a_plugin_that_breaks_is_named(self, store, hook, caplog):
        def fail(self):
            yield
            raise ZeroDivisionError("secret")

        broken = type("Broken", (), {hook: hookimpl(wrapper=True)(fail)})()
        answer = keyed(made(store, broken), ADD)
        assert (answer.status, "secret" in answer.response.text) == (500, False)
        assert f"{hook} of the plugin '{store.layer.name}' or 'Broken' raised ZeroDivisionError." in caplog.text
        assert (store.people(), store.remembered()) == (0, 0)

    def test_an_answer_that_gets_lost_in_the_commit_is_found(self, store):
        class LosesItsWay:
            @hookimpl(wrapper=True)
            def atomic_commit(self):
                yield
                raise UnknownOutcome("The connection is lost.")

        answer = keyed(made(store, LosesItsWay()), ADD)
        assert (answer.status, replayed(answer), store.people()) == (200, True, 1)

    def test_a_store_that_is_away_when_it_is_asked_again_changes_nothing(self, store):
        class Away:
            calls = 0

            @hookimpl(wrapper=True)
            def atomic_recall(self):
                self.calls += 1
                if self.calls > 1:
                    raise Transient("Away.")
                return (yield)

        answer = keyed(made(store, Away()), change("people", "99"))
        assert answer.errors == [(404, "resource-not-found", "/0/data/id")]


class TestExpiry:
    def test_what_has_expired_is_performed_again_and_remembered_anew(self, store):
        app = made(store)
        first = keyed(app, ADD)
        store.age()

        second = keyed(app, ADD)
        assert not replayed(second)
        assert second.response.data != first.response.data
        assert_replay(keyed(app, ADD), second)
        assert (store.people(), store.remembered()) == (2, 1)

    def test_an_expired_key_can_be_that_of_another_request(self, store):
        app = made(store)
        keyed(app, ADD)
        store.age()
        assert keyed(app, add("people", attributes={"name": "Bob"})).status == 200

    def test_a_failure_leaves_what_has_expired(self, store):
        app = made(store)
        keyed(app, ADD)
        store.age()
        assert keyed(app, change("people", "99")).status == 404
        assert store.remembered() == 1

    def test_answers_are_remembered_as_long_as_the_setting_says(self, store):
        app = made(store, ATOMIC_IDEMPOTENCY_SECONDS=1_000_000_000)
        first = keyed(app, ADD)
        output = run(lambda: app, "purge").output
        assert output == f"atomic (/operations): 0 forgotten by '{store.layer.name}'\n"
        assert_replay(keyed(app, ADD), first)

    def test_purge_forgets_what_has_expired(self, store):
        app = made(store)
        keyed(app, ADD, key='"a"')
        keyed(app, ADD, key='"b"')
        store.age()
        last = keyed(app, ADD, key='"c"')

        result = run(lambda: app, "purge")
        assert (result.exit_code, result.output) == (
            0,
            f"atomic (/operations): 2 forgotten by '{store.layer.name}'\n",
        )
        assert (store.people(), store.remembered()) == (3, 1)
        assert_replay(keyed(app, ADD, key='"c"'), last)

    def test_purge_tells_of_a_store_that_is_away(self, store):
        class Away:
            @hookimpl(wrapper=True)
            def atomic_forget(self):
                yield
                raise Transient("The store is away.")

        app = made(store, Away())
        keyed(app, ADD)
        store.age()
        result = run(lambda: app, "purge")
        assert (result.exit_code, result.output) == (1, "Error: atomic (/operations): The store is away.\n")
        assert store.remembered() == 1


class TestAtTheSameTime:
    def test_one_of_many_is_performed_and_all_hear_of_it(self, store):
        count = 6
        barrier = Barrier(count)
        app = made(store, ATOMIC_RETRIES=0)

        def work(_: int) -> Answer:
            barrier.wait(30)
            return keyed(app, ADD, ADD)

        with ThreadPoolExecutor(count) as pool:
            answers = list(pool.map(work, range(count)))

        assert store.people() == 2
        assert store.remembered() == 1
        performed = [answer for answer in answers if answer.status == 200]
        assert sum(not replayed(answer) for answer in performed) <= 1  # its connection may have been the one to wait
        assert len({answer.response.data for answer in performed}) == 1
        for answer in answers:
            assert answer.status == 200 or answer.errors[0][1] in ("idempotency-key-in-use", "unavailable")

    def test_a_repeat_that_comes_before_the_end_gets_the_answer(self, store):
        """The operations of the second one fail for no other reason than those of the first."""
        recalled, first_is_done = Event(), Event()

        class SecondWaits:
            calls = 0

            @hookimpl(wrapper=True)
            def atomic_recall(self):
                self.calls += 1
                mine = self.calls
                found = yield
                if mine == 1:
                    recalled.set()
                    assert first_is_done.wait(30)
                return found

        app = made(store, SecondWaits())
        with ThreadPoolExecutor(1) as pool:
            slow = pool.submit(keyed, app, add("people", id="7"))
            assert recalled.wait(30)
            first = keyed(app, add("people", id="7"))
            first_is_done.set()
            assert_replay(slow.result(30), first)
        assert (store.people(), store.remembered()) == (1, 1)

    def test_another_request_with_the_key_is_refused_although_it_began_before(self, store):
        recalled, other_is_done = Event(), Event()

        class FirstWaits:
            calls = 0

            @hookimpl(wrapper=True)
            def atomic_recall(self):
                self.calls += 1
                mine = self.calls
                found = yield
                if mine == 1:
                    recalled.set()
                    assert other_is_done.wait(30)
                return found

        app = made(store, FirstWaits())
        with ThreadPoolExecutor(1) as pool:
            slow = pool.submit(keyed, app, add("people", id="8"))
            assert recalled.wait(30)
            assert keyed(app, add("people", id="7")).status == 200
            other_is_done.set()
            assert refused(slow.result(30))[:2] == (422, "idempotency-key-reused")
        assert store.people() == 1

    @pytest.mark.parametrize("hook", ["atomic_recall", "atomic_remember"])
    def test_a_store_that_does_not_wait_says_that_the_key_is_in_use(self, store, hook):
        def hold(self):
            raise Conflict("Another unit has the key.")
            yield

        hold.__name__ = hook
        holder = type("Holder", (), {hook: hookimpl(wrapper=True)(hold)})()
        assert refused(keyed(made(store, holder), ADD)) == (409, "idempotency-key-in-use", OF_KEY)
        assert store.people() == 0


class TestHeader:
    @pytest.mark.parametrize(
        ("value", "key"),
        [
            ('"a"', "a"),
            ('  "a b" \t', "a b"),
            (r'"a\"b\\c"', 'a"b\\c'),
            ('"!#[]~"', "!#[]~"),
            (f'"{"k" * 255}"', "k" * 255),
            ('"' + r"\"" * 255 + '"', '"' * 255),
        ],
    )
    def test_a_key_is_a_string_in_quotes(self, value, key):
        assert read_key(value) == key

    @pytest.mark.parametrize(
        "value",
        [
            "",
            '""',
            "8e03978e-40d5-43e8-bc93-6894a57f9324",
            "'a'",
            '"a',
            'a"',
            '"a" "b"',
            '"a", "b"',
            '"a";b=1',
            '"a"b"',
            r'"a\b"',
            '"a\\"',
            '"é"',
            '"a\tb"',
            '"a\x7f"',
            ":YQ==:",
            "1",
            "?1",
            f'"{"k" * 256}"',
            '"' * 100_000,
        ],
    )
    def test_anything_else_is_refused(self, value):
        layer = MemoryLayer()
        atomic = Atomic(layer)
        atomic.resource(PEOPLE)
        app = application(atomic, None, ATOMIC_IDEMPOTENCY="optional")
        assert refused(keyed(app, ADD, key=value)) == (400, "invalid-idempotency-key", OF_KEY)
        assert layer._entities == {}

    def test_two_keys_are_refused(self):
        atomic = Atomic(MemoryLayer())
        atomic.resource(PEOPLE)
        app = application(atomic, None, ATOMIC_IDEMPOTENCY="optional")
        headers = [("Idempotency-Key", '"a"'), ("Idempotency-Key", '"b"')]
        answer = post(app.test_client(), ADD, path=PATH, headers=headers)
        assert refused(answer) == (400, "invalid-idempotency-key", OF_KEY)


class TestSettings:
    def test_off_is_the_default(self, store):
        app = made(store, ATOMIC_IDEMPOTENCY="off")
        for key in (KEY, KEY, "nonsense"):
            answer = keyed(app, ADD, key=key)
            assert (answer.status, replayed(answer)) == (200, False)
        assert (store.people(), store.remembered()) == (3, 0)
        assert Flask("x").config.get("ATOMIC_IDEMPOTENCY") is None
        assert application(Atomic(MemoryLayer()), None).config["ATOMIC_IDEMPOTENCY"] == "off"

    def test_required(self, store):
        app = made(store, ATOMIC_IDEMPOTENCY="required")
        assert refused(post(app.test_client(), ADD, path=PATH)) == (400, "missing-idempotency-key", OF_KEY)
        assert store.people() == 0
        first = keyed(app, ADD)
        assert_replay(keyed(app, ADD), first)

    @pytest.mark.parametrize(
        ("key", "value"),
        [
            ("ATOMIC_IDEMPOTENCY", True),
            ("ATOMIC_IDEMPOTENCY", "on"),
            ("ATOMIC_IDEMPOTENCY", []),
            ("ATOMIC_IDEMPOTENCY_SECONDS", 0),
            ("ATOMIC_IDEMPOTENCY_SECONDS", None),
            ("ATOMIC_IDEMPOTENCY_SECONDS", "1"),
        ],
    )
    def test_wrong_values(self, key, value):
        with pytest.raises(ConfigurationError, match=f"^{key} is "):
            application(Atomic(MemoryLayer()), None, **{key: value})


class WithoutMemory(MemoryLayer):
    """A layer that cannot remember."""

    @hookimpl
    def atomic_remembers(self):
        return False


def without(layer: type, *hooks: str) -> type:
    """A class of layers like that, but without some hooks."""
    kept = {name: member for name, member in vars(layer).items() if name not in (*hooks, "__dict__", "__weakref__")}
    return type(f"{layer.__name__}WithoutHooks", (), kept)


class TestLayersWithoutMemory:
    @pytest.mark.parametrize(
        "layer",
        [
            WithoutMemory,
            without(MemoryLayer, "atomic_recall", "atomic_remember"),
            without(MemoryLayer, "atomic_recall"),
        ],
    )
    def test_a_key_is_refused(self, layer):
        atomic = Atomic(layer("memory"))
        atomic.resource(PEOPLE)
        app = application(atomic, None, ATOMIC_IDEMPOTENCY="optional")
        assert refused(keyed(app, ADD)) == (422, "idempotency-not-supported", OF_KEY)
        assert post(app.test_client(), ADD, path=PATH).status == 200

    def test_it_is_refused_at_start_up_where_keys_are_required(self):
        atomic = Atomic(WithoutMemory("x"))
        atomic.resource(PEOPLE)
        with pytest.raises(
            ConfigurationError, match="the data layer 'x' cannot remember answers to requests that write 'people'"
        ):
            application(atomic, None, ATOMIC_IDEMPOTENCY="required")

    def test_a_layer_that_recalls_must_remember(self):
        atomic = Atomic(without(MemoryLayer, "atomic_remember")("x"))
        atomic.resource(PEOPLE)
        with pytest.raises(ConfigurationError, match="lacks atomic_remember"):
            application(atomic, None)

    def test_a_model_without_the_table(self, sqlite_url):
        class Other(DeclarativeBase):
            pass

        class Cat(Other):
            __tablename__ = "cats"
            id: Mapped[int] = mapped_column(primary_key=True)

        engine = create_engine(sqlite_url)
        Other.metadata.create_all(engine)
        atomic = Atomic(SQLAlchemyLayer(sessionmaker(engine)))
        atomic.resource(schema("cats"), model=Cat)
        app = application(atomic, None, ATOMIC_IDEMPOTENCY="optional")
        assert refused(keyed(app, add("cats"))) == (422, "idempotency-not-supported", OF_KEY)
        assert run(lambda: app, "purge").output == "atomic (/operations): 0 forgotten by 'sqlalchemy'\n"

    def test_purge_passes_over_layers_that_need_none(self):
        atomic = Atomic(without(MemoryLayer, "atomic_forget")("x"))
        atomic.resource(PEOPLE)
        assert run(lambda: application(atomic, None), "purge").output == ""

    def test_what_is_recalled_must_be_a_value_of_ours(self):
        class Wrong(MemoryLayer):
            @hookimpl
            def atomic_recall(self):
                return "yes"

        atomic = Atomic(Wrong())
        atomic.resource(PEOPLE)
        answer = keyed(application(atomic, None, ATOMIC_IDEMPOTENCY="optional"), ADD)
        assert answer.status == 500


class TestSeveralLayers:
    """People and cats; the store of one of them remembers."""

    CATS = schema("cats", name=fields.Str())
    BOTH = (ADD, add("cats", attributes={"name": "Tom"}))

    def made(self, *layers: Any, people: Store, cats: MemoryLayer) -> Flask:
        atomic = Atomic(*layers)
        atomic.resource(PEOPLE, layer=people.layer.name, **people.options)
        atomic.resource(self.CATS, layer=cats.name)
        return application(atomic, None, ATOMIC_IDEMPOTENCY="optional")

    @pytest.mark.parametrize("cats_first", [True, False])
    def test_the_one_that_cannot_vote_remembers(self, database_url, cats_first):
        people, cats = InDatabase(database_url), MemoryLayer()
        layers = [cats, people.layer] if cats_first else [people.layer, cats]
        app = self.made(*layers, people=people, cats=cats)
        first = keyed(app, *self.BOTH)
        assert first.status == 200

        assert_replay(keyed(app, *self.BOTH), first)
        assert (people.people(), len(cats._entities)) == (1, 1)
        assert (people.remembered(), len(cats._remembered)) == (1, 0)

    def test_the_first_of_those_that_vote_remembers(self):
        people, cats = InMemory(), MemoryLayer("cats")
        app = self.made(cats, people.layer, people=people, cats=cats)
        first = keyed(app, *self.BOTH)
        assert first.status == 200

        assert_replay(keyed(app, *self.BOTH), first)
        assert (people.people(), len(cats._entities)) == (1, 1)
        assert (people.remembered(), len(cats._remembered)) == (0, 1)

    def test_the_one_that_is_written_to_remembers(self, sqlite_url):
        people, cats = InDatabase(sqlite_url), MemoryLayer()
        app = self.made(people.layer, cats, people=people, cats=cats)
        keyed(app, self.BOTH[1])
        assert (people.remembered(), len(cats._remembered)) == (0, 1)

    def test_a_vote_against_leaves_nothing(self, database_url):
        class Against(MemoryLayer):
            against = True

            @hookimpl
            def atomic_prepare(self, unit):
                super().atomic_prepare(unit)
                if self.against:
                    raise Conflict("No.")

        people, cats = InDatabase(database_url), Against()
        app = self.made(people.layer, cats, people=people, cats=cats)
        assert keyed(app, *self.BOTH).status == 409
        assert (people.people(), people.remembered()) == (0, 0)

        cats.against = False
        again = keyed(app, *self.BOTH)
        assert (again.status, replayed(again)) == (200, False)

    def test_a_commit_in_part_is_not_told_as_a_success(self, sqlite_url):
        class Breaks(MemoryLayer):
            @hookimpl
            def atomic_commit(self):
                raise OSError("The disk is full.")

        people, cats = InDatabase(sqlite_url), Breaks()
        app = self.made(people.layer, cats, people=people, cats=cats)
        answer = keyed(app, *self.BOTH)
        assert answer.errors == [(500, "partly-committed", None)]

    def test_a_commit_that_was_lost_is_not_told_as_one_of_all(self, sqlite_url):
        """The database has committed, and the memory was rolled back since nobody knew."""

        class Lost:
            @hookimpl(wrapper=True)
            def atomic_commit(self):
                yield
                raise UnknownOutcome("The connection is lost.")

        people, cats = InDatabase(sqlite_url), MemoryLayer()
        app = self.made(people.layer, cats, Lost(), people=people, cats=cats)
        assert keyed(app, *self.BOTH).errors == [(500, "outcome-unknown", None)]
        assert (people.remembered(), cats._entities) == (1, {})


class TestDatabases:
    def test_each_database_remembers_its_own(self, tmp_path, sqlite_url):
        db = SQLAlchemy()

        class Here(db.Model):
            id: Mapped[int] = mapped_column(primary_key=True)

        class There(db.Model):
            __bind_key__ = "there"
            id: Mapped[int] = mapped_column(primary_key=True)

        tables = {key: idempotency_table(db.metadatas[key]) for key in (None, "there")}
        app = Flask("databases")
        binds = {"there": f"sqlite:///{tmp_path / 'there.sqlite'}"}
        app.config.update(SQLALCHEMY_DATABASE_URI=sqlite_url, SQLALCHEMY_BINDS=binds, ATOMIC_IDEMPOTENCY="required")
        db.init_app(app)
        atomic = Atomic()
        atomic.resource(schema("here"), model=Here)
        atomic.resource(schema("there"), model=There)
        app.register_blueprint(atomic.blueprint)

        def counted() -> list[int]:
            with app.app_context():
                engines = [db.engines[key] for key in tables]
                found = []
                for engine, table in zip(engines, tables.values(), strict=True):
                    with engine.connect() as connection:
                        found.append(connection.execute(select(func.count()).select_from(table)).scalar_one())
                return found

        with app.app_context():
            db.create_all()
        first = keyed(app, add("there"))
        assert counted() == [0, 1]
        assert_replay(keyed(app, add("there")), first)
        keyed(app, add("here"), key='"other"')
        assert counted() == [1, 1]
        with app.app_context():
            for engine, table in zip([db.engines[key] for key in tables], tables.values(), strict=True):
                with engine.begin() as connection:
                    connection.execute(update(table).values(expires=1))
        assert run(lambda: app, "purge").output == "atomic (/operations): 2 forgotten by 'sqlalchemy'\n"
        assert counted() == [0, 0]

    def test_the_table_is_declared_once(self):
        assert idempotency_table(Base.metadata) is KEYS
        assert KEYS in Base.metadata.sorted_tables

    def test_a_table_that_was_not_made_is_a_defect(self, database_url, caplog):
        store = InDatabase(database_url)
        KEYS.drop(store.engine)
        assert keyed(made(store), ADD).status == 500
        assert store.people() == 0
        (entry,) = [record for record in caplog.records if record.name == "flask_atomic.defects"]
        assert "The table 'atomic_idempotency_keys' cannot be read. It was declared by" in entry.exc_text

    @pytest.mark.parametrize("level", ["SERIALIZABLE", "REPEATABLE READ"])
    def test_isolation_makes_no_difference(self, database_url, level):
        store = InDatabase(database_url)
        if store.engine.dialect.name == "sqlite" and level != "SERIALIZABLE":
            level = "READ UNCOMMITTED"
        store.layer = SQLAlchemyLayer(sessionmaker(store.engine), isolation_level=level)
        app = made(store)
        first = keyed(app, ADD)
        assert_replay(keyed(app, ADD), first)


class TestJobs:
    """`Atomic.perform` with a key."""

    DOCUMENT = {"atomic:operations": [ADD]}  # noqa: RUF012  # nothing changes it

    @pytest.fixture
    def job(self, store: Store) -> Iterator[Callable[..., Any]]:
        app = made(store, ATOMIC_IDEMPOTENCY="off", scope=pytest.fail)
        (atomic,) = app.extensions["atomic"]
        with app.app_context():
            yield atomic.perform

    def test_results_are_returned_again(self, store, job):
        first = job(self.DOCUMENT, idempotency_key="nightly 2026-01-01")
        assert job(self.DOCUMENT, idempotency_key="nightly 2026-01-01") == first
        assert first[0]["data"]["attributes"]["name"] == "Ann"
        assert (store.people(), store.remembered()) == (1, 1)

        job(self.DOCUMENT, idempotency_key="nightly 2026-01-02")
        job(self.DOCUMENT)
        assert (store.people(), store.remembered()) == (3, 2)

    def test_another_document_is_refused(self, job):
        job(self.DOCUMENT, idempotency_key="k")
        with pytest.raises(RequestFailed) as failure:
            job({"atomic:operations": [ADD, ADD]}, idempotency_key="k")
        assert failure.value.errors[0].code == "idempotency-key-reused"

    def test_keys_of_clients_are_others(self, store):
        app = made(store)
        (atomic,) = app.extensions["atomic"]
        keyed(app, ADD, key='"k"')
        with app.app_context():
            atomic.perform(self.DOCUMENT, idempotency_key="k")
        assert store.people() == 2


def test_a_remembered_answer_is_a_value() -> None:
    remembered = Remembered("f", 200, b"", 1)
    with pytest.raises(AttributeError):
        remembered.status = 404  # type: ignore[misc]
    assert HOOKS_VERSION == 1
