"""What passes on real servers is tried again and stored once; of a commit whose answer is lost nobody says anything."""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext, suppress
from threading import Thread
from typing import Any

import psycopg
import pymysql
import pytest
from marshmallow_jsonapi import fields
from sqlalchemy import Connection, Engine, Integer, QueuePool, String, create_engine, event, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, scoped_session, sessionmaker

from flask_atomic import Atomic, Refused, Transient, hookimpl
from flask_atomic.layers.sqlalchemy import SQLAlchemyLayer, idempotency_table
from tests.application import Answer, add, application, post, schema, update
from tests.proxy import Proxy
from tests.servers import second_connection, wait_for_a_waiter


class Base(DeclarativeBase):
    pass


class Note(Base):
    __tablename__ = "notes"
    id: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str] = mapped_column(String(20))
    stars: Mapped[int] = mapped_column(Integer, default=0)


idempotency_table(Base.metadata)


class Interruption:
    """Does something once, before a hook is called; counts the tries, and hears of commits.

    :param hook: the hook, without its prefix.
    :param do: what to do; it is given the unit.
    :param at: at which call of the hook.
    :param later: what to do when another try begins.
    """

    def __init__(
        self,
        hook: str = "",
        do: Callable[[Any], object] = lambda unit: None,
        *,
        at: int = 1,
        later: Callable[[], object] = lambda: None,
    ) -> None:
        self.hook = hook
        self.do = do
        self.left = at
        self.later = later
        self.tries = 0
        self.committed = 0

    def happen(self, hook: str, unit: Any) -> None:
        if hook == self.hook:
            self.left -= 1
            if self.left == 0:
                self.do(unit)

    @hookimpl(wrapper=True)
    def atomic_begin(self) -> Iterator[Any]:
        self.tries += 1
        if self.tries == 2:
            self.later()
        return (yield)

    @hookimpl(wrapper=True)
    def atomic_get(self, unit: Any) -> Iterator[Any]:
        self.happen("get", unit)
        return (yield)

    @hookimpl(wrapper=True)
    def atomic_add(self, unit: Any) -> Iterator[Any]:
        self.happen("add", unit)
        return (yield)

    @hookimpl(wrapper=True)
    def atomic_flush(self, unit: Any) -> Iterator[Any]:
        self.happen("flush", unit)
        return (yield)

    @hookimpl(wrapper=True)
    def atomic_commit(self, unit: Any) -> Iterator[Any]:
        self.happen("commit", unit)
        return (yield)

    @hookimpl
    def atomic_committed(self) -> None:
        self.committed += 1


class Notes:
    """An application with the notes 1 and 2, and the same database seen from outside."""

    def __init__(self, url: str, **options: Any) -> None:
        self.engine = create_engine(url, poolclass=QueuePool, **options)
        self.outside = second_connection(url)
        Base.metadata.create_all(self.outside)
        with self.outside.connect() as connection:
            connection.execute(text("INSERT INTO notes VALUES (1, 'a', 0), (2, 'b', 0)"))
            if url.startswith("postgresql"):
                connection.execute(text("ALTER SEQUENCE notes_id_seq RESTART WITH 3"))
        self.sessions = sessionmaker(self.engine)
        self.plugin = Interruption()

    def post(
        self,
        *operations: Any,
        plugin: Interruption | None = None,
        level: str | None = None,
        headers: dict[str, str] | None = None,
        **config: Any,
    ) -> Answer:
        self.plugin = plugin or Interruption()
        atomic = Atomic(SQLAlchemyLayer(self.sessions, isolation_level=level), self.plugin)
        declared = schema("notes", text=fields.Str(), stars=fields.Int())
        atomic.resource(declared, model=Note)
        return post(application(atomic, **config).test_client(), *operations, headers=headers)

    @property
    def stored(self) -> list[tuple[Any, ...]]:
        """The texts and the stars, seen through another connection."""
        with self.outside.connect() as connection:
            return [tuple(row) for row in connection.execute(text("SELECT text, stars FROM notes ORDER BY id"))]

    def other(self, *statements: str) -> None:
        """What somebody else does, and commits."""
        with self.outside.connect() as connection:
            for statement in statements:
                connection.execute(text(statement))

    def kill(self, *processes: int) -> None:
        """End connections, as a server does that is shut down."""
        end, looking = {
            "postgresql": ("SELECT pg_terminate_backend({})", "SELECT 1 FROM pg_stat_activity WHERE pid = {}"),
            "mysql": ("KILL {}", "SELECT 1 FROM information_schema.processlist WHERE id = {}"),
        }[self.engine.dialect.name]
        with self.outside.connect() as connection:
            for process in processes:
                connection.exec_driver_sql(end.format(process))
                wait(lambda process=process: not connection.exec_driver_sql(looking.format(process)).all())  # type: ignore[misc]

    def process(self, session: Session) -> int:
        ask = {"postgresql": "SELECT pg_backend_pid()", "mysql": "SELECT connection_id()"}
        return int(session.scalar(text(ask[self.engine.dialect.name])) or 0)


def wait(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.fixture
def notes(database_url: str) -> Notes:
    return Notes(database_url)


@pytest.fixture(params=["postgresql", "mariadb"])
def on_server(request: pytest.FixtureRequest) -> Notes:
    return Notes(request.getfixturevalue(f"{request.param}_url"))


NEW = [update("notes", "1", attributes={"text": "mine"}), add("notes", attributes={"text": "new"})]
STORED = [("mine", 0), ("b", 0), ("new", 0)]
BEFORE = [("a", 0), ("b", 0)]
UNAVAILABLE = [(503, "unavailable", None)]


# --------------------------------------------------------------------------------------------------- lost connections


class TestLostConnections:
    @pytest.mark.parametrize("hook", ["get", "add", "flush"])
    @pytest.mark.parametrize("batch", [True, False])
    def test_in_the_middle(self, on_server: Notes, hook: str, batch: bool) -> None:
        def kill(unit: Any) -> None:
            on_server.kill(on_server.process(unit.session))

        answer = on_server.post(*NEW, plugin=Interruption(hook, kill), ATOMIC_RETRIES=1, ATOMIC_BATCH=batch)

        assert (answer.status, on_server.plugin.tries, on_server.plugin.committed) == (200, 2, 1)
        assert on_server.stored == STORED
        assert on_server.engine.pool.checkedout() == 0  # type: ignore[attr-defined]

    @pytest.mark.parametrize("hook", ["get", "add", "flush"])
    def test_without_another_try(self, on_server: Notes, hook: str) -> None:
        def kill(unit: Any) -> None:
            on_server.kill(on_server.process(unit.session))

        assert on_server.post(*NEW, plugin=Interruption(hook, kill), ATOMIC_RETRIES=0).errors == UNAVAILABLE
        assert on_server.stored == BEFORE
        assert on_server.post(*NEW, ATOMIC_RETRIES=0).status == 200

    def test_there_is_nothing_to_roll_back_then(self, on_server: Notes, caplog: pytest.LogCaptureFixture) -> None:
        def kill(unit: Any) -> None:
            on_server.kill(on_server.process(unit.session))
            raise Refused("For another reason.")

        answer = on_server.post(*NEW, plugin=Interruption("commit", kill))

        assert answer.errors == [(403, "operation-refused", None)]
        assert on_server.stored == BEFORE
        assert [record.message for record in caplog.records if record.levelno > logging.INFO] == []

    def test_of_a_whole_pool_no_more_than_one_is_tried(self, on_server: Notes) -> None:
        sessions = [on_server.sessions() for _ in range(5)]
        processes = [on_server.process(session) for session in sessions]
        for session in sessions:
            session.close()
        assert on_server.engine.pool.checkedin() == 5  # type: ignore[attr-defined]
        on_server.kill(*processes)

        answer = on_server.post(*NEW, ATOMIC_RETRIES=1)

        assert (answer.status, on_server.plugin.tries) == (200, 2)
        assert on_server.stored == STORED


# ---------------------------------------------------------------------------------------------- others at the same time


class TestSerialization:
    @pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
    def test_a_row_that_somebody_else_has_changed(self, postgresql_url: str, level: str) -> None:
        notes = Notes(postgresql_url)

        def change(_: Any) -> None:
            notes.other("UPDATE notes SET stars = 5 WHERE id = 1")

        answer = notes.post(*NEW, plugin=Interruption("flush", change), level=level)

        assert (answer.status, notes.plugin.tries, notes.plugin.committed) == (200, 2, 1)
        assert answer.results[0]["data"]["attributes"] == {"text": "mine", "stars": 5}
        assert notes.stored == [("mine", 5), ("b", 0), ("new", 0)]

    def test_without_another_try(self, postgresql_url: str) -> None:
        notes = Notes(postgresql_url)

        def change(_: Any) -> None:
            notes.other("UPDATE notes SET stars = 5 WHERE id = 1")

        plugin = Interruption("flush", change)
        assert notes.post(*NEW, plugin=plugin, level="REPEATABLE READ", ATOMIC_RETRIES=0).errors == UNAVAILABLE
        assert notes.stored == [("a", 5), ("b", 0)]

    @pytest.mark.parametrize("retries", [0, 1])
    def test_a_commit_that_is_refused(self, postgresql_url: str, retries: int) -> None:
        """Each has read what the other one writes."""
        notes = Notes(postgresql_url)

        def skew(_: Any) -> None:
            with notes.outside.connect().execution_options(isolation_level="SERIALIZABLE") as other:
                other.execute(text("SELECT count(*) FROM notes"))
                other.execute(text("UPDATE notes SET stars = 5 WHERE id = 1"))
                other.commit()

        answer = notes.post(
            update("notes", "1"),
            NEW[1],
            plugin=Interruption("commit", skew),
            level="SERIALIZABLE",
            ATOMIC_RETRIES=retries,
        )

        assert (answer.status, notes.plugin.tries) == [(503, 1), (200, 2)][retries]
        assert notes.stored == [("a", 5), ("b", 0), *[("new", 0)] * retries]


class TestLocks:
    LIMITS = (
        ("sqlite", "PRAGMA busy_timeout = 20"),
        ("postgresql", "SET LOCAL lock_timeout = '20ms'"),
        ("mysql", "SET SESSION innodb_lock_wait_timeout = 1"),
    )

    @pytest.mark.parametrize("retries", [0, 1])
    def test_one_that_somebody_else_holds(self, notes: Notes, retries: int) -> None:
        held = notes.outside.connect()
        held.exec_driver_sql("BEGIN IMMEDIATE" if notes.engine.dialect.name == "sqlite" else "BEGIN")
        held.execute(text("UPDATE notes SET stars = 5 WHERE id = 1"))

        def be_impatient(unit: Any) -> None:
            unit.session.connection().exec_driver_sql(dict(self.LIMITS)[notes.engine.dialect.name])

        plugin = Interruption("flush", be_impatient, later=lambda: held.exec_driver_sql("COMMIT"))
        answer = notes.post(*NEW, plugin=plugin, ATOMIC_RETRIES=retries)
        if not retries:
            held.exec_driver_sql("COMMIT")
        held.close()

        assert (answer.status, notes.plugin.tries) == [(503, 1), (200, 2)][retries]
        assert notes.stored == [[("a", 5), ("b", 0)], [("mine", 5), ("b", 0), ("new", 0)]][retries]

    @pytest.mark.parametrize("retries", [0, 1])
    def test_a_deadlock(self, on_server: Notes, retries: int) -> None:
        """We hold the first note and want the second; the other one holds that and wants the first."""
        postgresql = on_server.engine.dialect.name == "postgresql"
        other = on_server.outside.connect()
        threads: list[Thread] = []

        def cross(unit: Any) -> None:
            other.exec_driver_sql("BEGIN")
            if postgresql:  # who looks for deadlocks first is the one to give in
                other.exec_driver_sql("SET LOCAL deadlock_timeout = '60s'")
                unit.session.connection().exec_driver_sql("SET LOCAL deadlock_timeout = '10ms'")
            else:  # the one that has written less
                for id_ in range(100, 120):
                    other.exec_driver_sql(f"INSERT INTO notes VALUES ({id_}, 'ballast', 0)")
            other.exec_driver_sql("UPDATE notes SET stars = 5 WHERE id = 2")

            def take_the_first() -> None:
                other.exec_driver_sql("UPDATE notes SET stars = 5 WHERE id = 1")
                other.exec_driver_sql("DELETE FROM notes WHERE id >= 100")
                other.exec_driver_sql("COMMIT")

            threads.append(Thread(target=take_the_first))
            threads[0].start()
            with on_server.outside.connect() as connection:
                wait_for_a_waiter(connection)

        answer = on_server.post(
            *(update("notes", id_, attributes={"text": "mine"}) for id_ in "12"),
            plugin=Interruption("flush", cross, at=2),
            ATOMIC_BATCH=False,
            ATOMIC_RETRIES=retries,
        )
        threads[0].join()
        other.close()

        assert (answer.status, on_server.plugin.tries) == [(503, 1), (200, 2)][retries]
        assert on_server.stored == [[("a", 5), ("b", 5)], [("mine", 5), ("mine", 5)]][retries]

    @pytest.mark.parametrize("retries", [0, 1])
    def test_a_commit_that_would_have_to_wait_for_a_reader(self, sqlite_url: str, retries: int) -> None:
        notes = Notes(sqlite_url)
        reader = notes.outside.connect()
        reader.exec_driver_sql("BEGIN")
        reader.execute(text("SELECT text FROM notes")).all()

        def be_impatient(unit: Any) -> None:
            unit.session.connection().exec_driver_sql("PRAGMA busy_timeout = 20")

        plugin = Interruption("commit", be_impatient, later=lambda: reader.exec_driver_sql("COMMIT"))
        answer = notes.post(*NEW, plugin=plugin, ATOMIC_RETRIES=retries)
        reader.close()

        assert (answer.status, notes.plugin.tries) == [(503, 1), (200, 2)][retries]
        assert notes.stored == [BEFORE, STORED][retries]

    def test_sqlite_when_what_was_read_is_old(self, sqlite_url: str) -> None:
        """Where reading opens a transaction, it cannot be written in after somebody else has."""
        notes = Notes(sqlite_url)
        codes: list[str] = []

        @event.listens_for(notes.engine, "connect")
        def connect(connection: Any, _: object) -> None:
            connection.isolation_level = None
            connection.execute("PRAGMA journal_mode = WAL")

        @event.listens_for(notes.engine, "begin")
        def begin(connection: Any) -> None:
            connection.exec_driver_sql("BEGIN")

        @event.listens_for(notes.engine, "handle_error")
        def note(context: Any) -> None:
            codes.append(context.original_exception.sqlite_errorname)

        def change(_: Any) -> None:
            notes.other("UPDATE notes SET stars = 5 WHERE id = 1")

        answer = notes.post(*NEW, plugin=Interruption("flush", change))

        assert codes == ["SQLITE_BUSY_SNAPSHOT"]
        assert (answer.status, notes.plugin.tries) == (200, 2)
        assert notes.stored == [("mine", 5), ("b", 0), ("new", 0)]


# -------------------------------------------------------------------------------- failures that a plugin has caught


def run_and_catch(unit: Any, statement: str) -> None:
    with suppress(DBAPIError):
        unit.session.execute(text(statement))


class Careless(Interruption):
    """Has a statement fail after each flush, and does not care."""

    @hookimpl(wrapper=True)
    def atomic_flush(self, unit: Any) -> Iterator[Any]:
        result = yield
        run_and_catch(unit, TestCaughtFailures.WRONG)
        return result


class TestCaughtFailures:
    """A transaction that is over stores nothing more, so the request fails, too, whoever has caught the failure."""

    WRONG = "INSERT INTO notes VALUES (2, 'taken', 0)"

    @pytest.mark.parametrize("at_flush", [True, False])
    @pytest.mark.parametrize("batch", [True, False])
    def test_postgresql_has_rolled_back(
        self, postgresql_url: str, at_flush: bool, batch: bool, caplog: pytest.LogCaptureFixture
    ) -> None:
        notes = Notes(postgresql_url)
        at_commit = Interruption("commit", lambda unit: run_and_catch(unit, self.WRONG))

        answer = notes.post(*NEW, plugin=Careless() if at_flush else at_commit, ATOMIC_BATCH=batch)

        assert [error[:2] for error in answer.errors] == [(500, "internal-error")]
        assert notes.plugin.committed == 0
        assert notes.stored == BEFORE
        assert [record.levelno for record in caplog.records if record.name != "flask_atomic.attempts"] == [
            logging.ERROR
        ]
        assert notes.post(*NEW).status == 200

    @pytest.mark.parametrize("hook", ["flush", "commit"])
    def test_within_a_savepoint(self, notes: Notes, hook: str) -> None:
        def fail(unit: Any) -> None:
            with suppress(DBAPIError), unit.session.begin_nested():
                unit.session.execute(text(self.WRONG))

        plugin = Interruption(hook, fail)

        assert notes.post(*NEW, plugin=plugin).status == 200
        assert (plugin.tries, plugin.committed) == (1, 1)
        assert notes.stored == STORED

    @pytest.mark.parametrize("savepoint", [False, True])
    @pytest.mark.parametrize("retries", [0, 1])
    def test_mariadb_has_rolled_back_after_a_deadlock(self, mariadb_url: str, retries: int, savepoint: bool) -> None:
        notes = Notes(mariadb_url)
        other = notes.outside.connect()
        threads: list[Thread] = []
        caught: list[int] = []

        def lose(unit: Any) -> None:
            unit.session.execute(text("UPDATE notes SET text = 'a' WHERE id = 1"))
            other.exec_driver_sql("BEGIN")
            for id_ in range(100, 120):  # who has written less is the one to give in
                other.exec_driver_sql(f"INSERT INTO notes VALUES ({id_}, 'ballast', 0)")
            other.exec_driver_sql("UPDATE notes SET stars = 5 WHERE id = 2")

            def take_the_first() -> None:
                other.exec_driver_sql("UPDATE notes SET stars = 5 WHERE id = 1")
                other.exec_driver_sql("DELETE FROM notes WHERE id >= 100")
                other.exec_driver_sql("COMMIT")

            threads.append(Thread(target=take_the_first))
            threads[0].start()
            with notes.outside.connect() as connection:
                wait_for_a_waiter(connection)
            try:
                with unit.session.begin_nested() if savepoint else nullcontext():
                    unit.session.execute(text("UPDATE notes SET stars = 6 WHERE id = 2"))
            except DBAPIError as error:
                caught.append(error.orig.args[0])  # type: ignore[union-attr]
            threads[0].join()

        answer = notes.post(
            *NEW,
            plugin=Interruption("add", lose),
            ATOMIC_BATCH=False,
            ATOMIC_RETRIES=retries,
        )
        other.close()

        assert len(caught) == 1
        assert (answer.status, notes.plugin.tries) == [(503, 1), (200, 2)][retries]
        assert notes.stored == [[("a", 5), ("b", 5)], [("mine", 5), ("b", 5), ("new", 0)]][retries]
        assert notes.post(add("notes", attributes={"text": "next"}), ATOMIC_RETRIES=0).status == 200

    @pytest.mark.parametrize("retries", [0, 1])
    def test_a_connection_that_is_lost(self, on_server: Notes, retries: int) -> None:
        def lose(unit: Any) -> None:
            on_server.kill(on_server.process(unit.session))
            run_and_catch(unit, "SELECT 1")

        answer = on_server.post(*NEW, plugin=Interruption("commit", lose), ATOMIC_RETRIES=retries)

        assert (answer.status, on_server.plugin.tries) == [(503, 1), (200, 2)][retries]
        assert on_server.stored == [BEFORE, STORED][retries]


# -------------------------------------------------------------------------------------------------------- the commit


class Garbling(Proxy):
    """Passes on an answer of the server so that it makes no sense: said twice, or out of turn."""

    begins = False
    """Whether it is the next one."""

    def begin(self, _: Any) -> None:
        self.begins = True

    def pass_other(self, target: socket.socket, data: bytes) -> bool:
        if self.begins and target.getsockname()[:2] == self._listening.server_address[:2]:
            self.begins = False
            postgresql = self.url.get_backend_name() == "postgresql"
            data = b"C\0\0\0\x0bCOMMIT\0" + data if postgresql else data[:3] + b"\x63" + data[4:]
        return super().pass_other(target, data)


class TestUnknownOutcome:
    @pytest.mark.parametrize("executed", [False, True])
    def test_a_connection_that_is_cut_at_the_commit(
        self, on_server: Notes, executed: bool, caplog: pytest.LogCaptureFixture
    ) -> None:
        url = on_server.engine.url.render_as_string(hide_password=False)
        with Proxy(url) as proxy:
            on_server.sessions = sessionmaker(create_engine(proxy.url, poolclass=QueuePool))
            plugin = Interruption("commit", lambda unit: proxy.cut_at_commit(executed=executed))

            answer = on_server.post(*NEW, plugin=plugin)

            assert answer.errors == [(500, "outcome-unknown", None)]
            (error,) = answer.error_objects
            told = "The store was lost during the commit. The log has more under the id."
            assert error["detail"] == told
            assert "Retry-After" not in answer.response.headers
            assert (plugin.tries, plugin.committed) == (1, 0)
            (record,) = caplog.records
            assert (record.levelno, error["id"] in record.getMessage()) == (logging.CRITICAL, True)
            assert on_server.stored == (STORED if executed else BEFORE)
            assert on_server.post(add("notes", attributes={"text": "next"})).status == 200
            on_server.sessions.kw["bind"].dispose()
        assert on_server.stored == [*(STORED if executed else BEFORE), ("next", 0)]

    @pytest.mark.parametrize("hook", ["get", "commit"])
    def test_an_answer_that_the_driver_does_not_understand(self, on_server: Notes, hook: str) -> None:
        with Garbling(on_server.engine.url.render_as_string(hide_password=False)) as proxy:
            engine = create_engine(proxy.url, poolclass=QueuePool)
            engine.connect().close()
            on_server.sessions = sessionmaker(engine)

            answer = on_server.post(*NEW, plugin=Interruption(hook, proxy.begin), ATOMIC_BATCH=False)

            engine.dispose()
        assert (answer.status, on_server.plugin.tries) == {"get": (200, 2), "commit": (500, 1)}[hook]
        assert hook == "get" or answer.errors == [(500, "outcome-unknown", None)]
        assert on_server.stored == STORED

    @pytest.mark.parametrize("executed", [False, True])
    def test_with_a_key_it_is_found_out(self, on_server: Notes, executed: bool) -> None:
        key: dict[str, Any] = {"headers": {"Idempotency-Key": '"one"'}, "ATOMIC_IDEMPOTENCY": "optional"}
        url = on_server.engine.url.render_as_string(hide_password=False)
        with Proxy(url) as proxy:
            on_server.sessions = sessionmaker(create_engine(proxy.url, poolclass=QueuePool))
            cut = Interruption("commit", lambda unit: proxy.cut_at_commit(executed=executed))

            first = on_server.post(*NEW, plugin=cut, **key)
            again = on_server.post(*NEW, **key)

            on_server.sessions.kw["bind"].dispose()
        assert first.status == (200 if executed else 500)
        assert (again.status, "Idempotency-Replayed" in again.response.headers) == (200, executed)
        assert on_server.stored == STORED

    def test_another_connection_that_cannot_even_roll_back(
        self, on_server: Notes, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What is known of the commit is told all the same."""
        elsewhere = create_engine(sqlite_url)
        failed: list[Any] = []

        def fail(connection: Any) -> None:
            failed.append(connection)
            raise RuntimeError("secret")

        def prepare(unit: Any) -> None:
            unit.session.execute(text("SELECT 1"), bind_arguments={"bind": elsewhere})
            say(on_server.engine, OSError("secret"))
            monkeypatch.setattr(elsewhere.dialect, "do_rollback", fail)

        answer = on_server.post(*NEW, plugin=Interruption("commit", prepare))

        assert failed
        assert answer.errors == [(500, "outcome-unknown", None)]
        assert on_server.stored == BEFORE

    def test_a_connection_that_was_killed_right_before_it(self, on_server: Notes) -> None:
        """The session hears the same as if it had been killed after that, and does not guess."""

        def kill(unit: Any) -> None:
            on_server.kill(on_server.process(unit.session))

        assert on_server.post(*NEW, plugin=Interruption("commit", kill)).errors == [(500, "outcome-unknown", None)]
        assert on_server.plugin.tries == 1
        assert on_server.stored == BEFORE


def say(engine: Engine, error: Exception) -> None:
    """Have the driver say this at the next COMMIT, which is not made: what stores say that are not at hand here."""
    commit = engine.dialect.do_commit

    def fail(_: Any) -> None:
        engine.dialect.do_commit = commit  # type: ignore[method-assign]
        raise error

    engine.dialect.do_commit = fail  # type: ignore[assignment, method-assign]


POSTGRESQL = {"40001": 200, "40P01": 200, "25P04": 200, "40003": 500, "08007": 500, "08P01": 500, "57P02": 500}
MYSQL = {1213: 200, 1205: 200, 1047: 200, 3101: 200, 1180: 500, 1053: 500, 1927: 500, 2013: 500, 2999: 500}


class TestWhatIsSaidAtTheCommit:
    @pytest.mark.parametrize(("state", "status"), POSTGRESQL.items())
    def test_by_those_who_speak_like_postgresql(self, postgresql_url: str, state: str, status: int) -> None:
        notes = Notes(postgresql_url)
        say(notes.engine, psycopg.errors.lookup(state)("secret"))
        self.check(notes, status)

    @pytest.mark.parametrize(("code", "status"), MYSQL.items())
    def test_by_those_who_speak_like_mysql(self, mariadb_url: str, code: int, status: int) -> None:
        """Galera certifies at the commit, and says 1213 if another node was faster."""
        notes = Notes(mariadb_url)
        say(notes.engine, pymysql.err.OperationalError(code, "secret"))
        self.check(notes, status)

    @pytest.mark.parametrize("error", [OSError("secret"), RuntimeError("secret")])
    def test_something_that_is_no_answer_of_the_database(self, notes: Notes, error: Exception) -> None:
        say(notes.engine, error)
        self.check(notes, 500)

    def check(self, notes: Notes, status: int) -> None:
        answer = notes.post(*NEW)
        assert "secret" not in answer.response.text
        if status == 200:
            assert (answer.status, notes.plugin.tries) == (200, 2)
            assert notes.stored == STORED
        else:
            assert answer.errors == [(500, "outcome-unknown", None)]
            assert (notes.plugin.tries, notes.stored) == (1, BEFORE)


@pytest.mark.parametrize("code", [1047, 1180, 1205, 1213])
def test_what_nodes_of_galera_say_of_a_statement(mariadb_url: str, code: int) -> None:
    notes = Notes(mariadb_url)
    told = f"SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = {code}, MESSAGE_TEXT = 'secret'"
    notes.other(f"CREATE TRIGGER say BEFORE INSERT ON notes FOR EACH ROW {told}")

    answer = notes.post(*NEW, plugin=Interruption(later=lambda: notes.other("DROP TRIGGER say")))

    assert (answer.status, notes.plugin.tries) == (200, 2)
    assert notes.stored == STORED


class TestListeners:
    """Code of the application around the commit: what it raises is never taken for an answer of the COMMIT."""

    @pytest.mark.parametrize("options", [{}, {"twophase": True}])
    @pytest.mark.parametrize("failure", [ZeroDivisionError(), Transient("Busy."), "no connection"])
    def test_after_it(
        self, mariadb_url: str, options: dict[str, bool], failure: Exception | str, caplog: pytest.LogCaptureFixture
    ) -> None:
        notes = Notes(mariadb_url)
        notes.sessions = sessionmaker(notes.engine, **options)

        @event.listens_for(notes.sessions, "after_commit")
        def fail(_: Session) -> None:
            if isinstance(failure, Exception):
                raise failure
            create_engine(notes.engine.url.set(port=1)).connect()

        answer = notes.post(*NEW)

        assert (answer.status, notes.plugin.tries, notes.plugin.committed) == (200, 1, 1)
        assert notes.stored == STORED
        (record,) = caplog.records
        assert record.getMessage() == "What listens to the session failed after the commit, which is made."
        assert notes.engine.pool.checkedout() == 0  # type: ignore[attr-defined]

    def test_after_it_in_a_session_that_the_application_goes_on_using(self, sqlite_url: str) -> None:
        notes = Notes(sqlite_url)
        session = scoped_session(sessionmaker(notes.engine))
        layer = SQLAlchemyLayer(session, share_session=True)

        @event.listens_for(session, "after_commit", once=True)
        def fail(_: Session) -> None:
            raise ZeroDivisionError

        atomic = Atomic(layer)
        atomic.resource(schema("notes", text=fields.Str()), model=Note)
        assert post(application(atomic).test_client(), *NEW).status == 200
        assert session.scalar(text("SELECT count(*) FROM notes")) == 3
        session.remove()

    def test_before_it_when_the_database_objects(self, notes: Notes) -> None:
        @event.listens_for(notes.sessions, "before_commit")
        def write(session: Session) -> None:
            session.add(Note(id=1, text="taken"))

        assert notes.post(NEW[1]).errors == [(409, "conflict", None)]
        assert notes.stored == BEFORE

    def test_before_it_when_the_connection_is_lost(self, on_server: Notes) -> None:
        tries: list[int] = []

        @event.listens_for(on_server.sessions, "before_commit")
        def write(session: Session) -> None:
            tries.append(1)
            if len(tries) == 1:
                on_server.kill(on_server.process(session))
            session.add(Note(text=f"listener {len(tries)}"))

        assert on_server.post(*NEW).status == 200
        assert on_server.stored == [*STORED, ("listener 2", 0)]

    def test_right_before_it(self, notes: Notes) -> None:
        def fail(_: Connection) -> None:
            raise ZeroDivisionError

        plugin = Interruption("commit", lambda unit: event.listen(unit.session.connection(), "commit", fail))

        assert notes.post(*NEW, plugin=plugin).errors == [(500, "internal-error", None)]
        assert notes.stored == BEFORE

    def test_right_before_it_when_a_statement_fails_that_nobody_misses(self, postgresql_url: str) -> None:
        def fail(connection: Connection) -> None:
            with suppress(DBAPIError):
                connection.execute(text(TestCaughtFailures.WRONG))

        notes = Notes(postgresql_url)
        plugin = Interruption("commit", lambda unit: event.listen(unit.session.connection(), "commit", fail))

        assert notes.post(*NEW, plugin=plugin).errors == [(500, "internal-error", None)]
        assert notes.stored == BEFORE

    @pytest.mark.parametrize("failure", [ZeroDivisionError(), Transient("Busy.")])
    @pytest.mark.parametrize("rolls_back", [False, True])
    def test_in_a_session_with_a_commit_of_its_own(self, notes: Notes, failure: Exception, rolls_back: bool) -> None:
        class Own(Session):
            def commit(self) -> None:
                if rolls_back:
                    self.rollback()
                raise failure

        notes.sessions = sessionmaker(notes.engine, class_=Own)

        expected = (503, "unavailable") if isinstance(failure, Transient) else (500, "internal-error")
        assert notes.post(*NEW, ATOMIC_RETRIES=0).errors == [(*expected, None)]
        assert notes.stored == BEFORE

    @pytest.mark.parametrize("error", [ZeroDivisionError(), "no such table"])
    def test_after_it_where_an_outer_transaction_goes_on(self, notes: Notes, error: Exception | str) -> None:
        """Nothing is committed then, and nobody can have lost it."""
        with notes.engine.connect() as connection, connection.begin() as outer:
            notes.sessions = sessionmaker(connection)

            @event.listens_for(notes.sessions, "after_commit")
            def fail(_: Session) -> None:
                if isinstance(error, Exception):
                    raise error
                connection.execute(text("SELECT 1 FROM nowhere"))

            assert notes.post(*NEW).errors == [(500, "internal-error", None)]
            assert connection.get_transaction() is outer
            outer.rollback()
        assert notes.stored == BEFORE

    def test_what_the_application_binds_a_session_to_is_left_as_it_was(self, notes: Notes) -> None:
        with notes.engine.connect() as connection, connection.begin() as outer:
            notes.sessions = sessionmaker(connection)
            assert notes.post(*NEW).status == 200
            assert list(connection.dispatch.commit) == []
            outer.rollback()
        assert notes.stored == BEFORE
