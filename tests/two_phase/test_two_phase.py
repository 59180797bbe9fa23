"""`TwoPhaseSQLAlchemyLayer` through HTTP: what a request over several databases does, and what becomes of failures."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Thread
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, event, insert, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session, sessionmaker

from flask_atomic import hookimpl
from flask_atomic.layers.sqlalchemy import TwoPhaseSQLAlchemyLayer
from tests.application import Answer, add, post, remove, update
from tests.proxy import Proxy
from tests.servers import wait_for_a_waiter
from tests.two_phase.points import at
from tests.two_phase.rounds import Shop, open_shop
from tests.two_phase.shop import BASES, DECISIONS, Invoice, Invoices, Order, Orders, application, engine, engines
from tests.two_phase.stores import Stores

PAIRS = [("postgresql", "postgresql"), ("postgresql", "mariadb"), ("mariadb", "postgresql"), ("sqlite", "postgresql")]
BOTH = [add("orders", attributes={"number": "1"}), add("invoices", attributes={"number": "1"})]


@pytest.fixture(params=PAIRS, ids="-".join)
def shop(databases: Stores, request: pytest.FixtureRequest) -> Iterator[Shop]:
    """A shop on two databases, the first of which decides."""
    with open_shop(databases, request.param) as opened:
        yield opened


@pytest.fixture
def postgresql_shop(databases: Stores) -> Iterator[Shop]:
    with open_shop(databases, PAIRS[0]) as opened:
        yield opened


@pytest.fixture
def mariadb_branch(databases: Stores) -> Iterator[Shop]:
    with open_shop(databases, PAIRS[1]) as opened:
        yield opened


class Said:
    """What is said to databases of how transactions end, with the number of the database."""

    _EVENTS = ("commit", "prepare_twophase", "commit_twophase", "rollback", "rollback_twophase")

    def __init__(self, engines: list[Engine]) -> None:
        self.lines: list[tuple[int, str]] = []
        for number, each in enumerate(engines):
            event.listen(each, "before_cursor_execute", lambda *of, at=number: self._note(at, of[2]))
            for name in self._EVENTS:
                event.listen(each, name, lambda *_, at=number, name=name: self.lines.append((at, name)))

    def _note(self, number: int, statement: str) -> None:
        self.lines.append((number, " ".join(statement.split()[:3])))


def served(shop: Shop, *operations: Any, plugins: Any = (), binds: Any = None, **config: Any) -> Answer:
    """Send the operations to an application of their own."""
    made = binds or engines(shop.urls)
    try:
        return post(application(made, *plugins, **config).test_client(), *operations)
    finally:
        for each in made.values():
            assert each.pool.checkedout() == 0  # type: ignore[attr-defined]
            each.dispose()


# ------------------------------------------------------------------------------------------------------- what is said


class TestStatements:
    """What it costs: what a database is told beside the operations."""

    def said(self, shop: Shop, *operations: Any) -> list[tuple[int, str]]:
        binds = engines(shop.urls)
        client = application(binds).test_client()
        assert post(client, *BOTH).status == 200  # everything is found out about the databases
        said = Said([binds[base] for base in BASES if base in binds])
        assert post(client, *operations).status == 200
        return [(at, each) for at, each in said.lines if not each.startswith(("INSERT INTO orders", "INSERT INTO inv"))]

    def test_two_databases(self, postgresql_shop: Shop) -> None:
        said = self.said(
            postgresql_shop,
            add("orders", attributes={"number": "2"}),
            add("invoices", attributes={"number": "2"}),
        )

        assert said == [
            (1, "prepare_twophase"),
            (0, "INSERT INTO atomic_decisions"),
            (0, "commit"),
            (1, "commit_twophase"),
        ]

    def test_two_databases_of_which_one_is_mariadb(self, mariadb_branch: Shop) -> None:
        said = self.said(
            mariadb_branch,
            add("orders", attributes={"number": "2"}),
            add("invoices", attributes={"number": "2"}),
        )

        assert said == [
            (1, "XA BEGIN %(xid)s"),
            (1, "prepare_twophase"),
            (1, "XA END %(xid)s"),
            (1, "XA PREPARE %(xid)s"),
            (0, "INSERT INTO atomic_decisions"),
            (0, "commit"),
            (1, "commit_twophase"),
            (1, "XA COMMIT %(xid)s"),
        ]

    def test_one_database_commits_in_one_phase(self, postgresql_shop: Shop) -> None:
        assert self.said(postgresql_shop, add("orders", attributes={"number": "2"})) == [(0, "commit")]

    def test_a_branch_alone_commits_in_one_phase(self, postgresql_shop: Shop) -> None:
        assert self.said(postgresql_shop, add("invoices", attributes={"number": "2"})) == [(1, "commit_twophase")]

    def test_a_database_that_is_only_read_is_rolled_back(self, postgresql_shop: Shop) -> None:
        said = self.said(postgresql_shop, update("orders", "1"), add("invoices", attributes={"number": "2"}))

        assert [each for each in said if "SELECT" not in each[1]] == [(1, "commit_twophase"), (0, "rollback")]


# ------------------------------------------------------------------------------------------------- what is performed


class TestRequests:
    def test_both_databases_are_written_or_neither(self, shop: Shop) -> None:
        assert served(shop, *BOTH).status == 200
        again = served(shop, add("orders", attributes={"number": "2"}), add("invoices", attributes={"number": "1"}))

        assert again.errors == [(409, "conflict", "/1/data/attributes/number")]
        assert (shop.stored("1"), shop.stored("2")) == ([True, True], [False, False])
        assert shop.prepared() == 0

    def test_each_kind_of_operation(self, shop: Shop) -> None:
        assert served(shop, *BOTH).status == 200
        changed = served(shop, update("invoices", "1", attributes={"number": "3"}), remove("orders", "1"))

        assert changed.status == 200
        assert (shop.stored("1"), shop.stored("3")) == ([False, False], [False, True])

    def test_a_branch_alone(self, shop: Shop) -> None:
        assert served(shop, add("invoices", attributes={"number": "1"})).status == 200

        assert shop.stored("1") == [False, True]
        assert shop.prepared() == 0

    def test_keys_are_kept_in_the_database_that_decides(self, shop: Shop) -> None:
        once: dict[str, Any] = {"ATOMIC_IDEMPOTENCY": "optional"}
        client = application(engines(shop.urls), **once).test_client()
        for operations in (BOTH, [add("invoices", attributes={"number": "2"})]):
            key = {"headers": {"Idempotency-Key": f'"{len(operations)}"'}}
            first, second = (post(client, *operations, **key) for _ in range(2))

            assert (first.status, second.status) == (200, 200)
            assert second.response.headers["Idempotency-Replayed"] == "true"
            assert first.response.data == second.response.data
        assert (shop.stored("1"), shop.stored("2")) == ([True, True], [False, True])
        with shop.seen[0].connect() as connection:
            assert connection.exec_driver_sql("SELECT count(*) FROM atomic_idempotency_keys").scalar() == 2

    def test_what_listens_to_the_session_takes_part(self, shop: Shop) -> None:
        """It may write to databases that the operations do not mention, and hears of the commit when it is made."""
        binds = engines(shop.urls)
        sessions = sessionmaker(binds=binds)
        heard: list[list[bool]] = []

        @event.listens_for(sessions, "before_commit")
        def note(session: Session) -> None:
            session.add(Invoice(number="by a listener"))

        event.listen(sessions, "after_commit", lambda _: heard.append(shop.stored("by a listener")))

        layer = TwoPhaseSQLAlchemyLayer(sessions, DECISIONS)
        answer = post(application(binds, layer=layer).test_client(), BOTH[0])

        assert answer.status == 200
        assert (shop.stored("1"), heard) == ([True, False], [[False, True]])

    def test_the_isolation_level_is_that_of_every_database(self, postgresql_shop: Shop) -> None:
        levels: list[str] = []

        class Look:
            @hookimpl(wrapper=True)
            def atomic_commit(self, unit: Any) -> Any:
                for model in (Order, Invoice):
                    found = unit.session.scalar(text("SHOW transaction_isolation"), bind_arguments={"mapper": model})
                    levels.append(found)
                return (yield)

        binds = engines(postgresql_shop.urls)
        layer = TwoPhaseSQLAlchemyLayer(sessionmaker(binds=binds), DECISIONS, isolation_level="SERIALIZABLE")

        assert post(application(binds, Look(), layer=layer).test_client(), *BOTH).status == 200
        assert levels == ["serializable", "serializable"]


# ------------------------------------------------------------------------------------------------- what is tried again


class Between:
    """Does something once, before the second operation."""

    def __init__(self, act: Any) -> None:
        self._act = act
        self.tries = 0

    @hookimpl(wrapper=True)
    def atomic_update(self, attributes: Any) -> Any:
        if attributes["number"] == "b":
            self.tries += 1
            if self.tries == 1:
                self._act()
        return (yield)


class TestRetries:
    def test_a_deadlock_in_a_branch(self, mariadb_branch: Shop) -> None:
        """MariaDB lets nothing but an end of such a branch pass, and SQLAlchemy does not find it."""
        with mariadb_branch.seen[1].begin() as connection:
            connection.execute(insert(Invoice), [{"id": number, "number": f"{number}"} for number in range(1, 20)])
        other = create_engine(mariadb_branch.urls[1])
        with other.connect() as connection:
            # Who has written more is not the one to be rolled back.
            connection.execute(text("UPDATE invoices SET number = concat(number, '!') WHERE id > 1"))
            waiting = Thread(target=connection.execute, args=[text("UPDATE invoices SET number = 'z' WHERE id = 1")])

            def act() -> None:
                waiting.start()
                with mariadb_branch.seen[1].connect() as looking:
                    wait_for_a_waiter(looking)

            plugin = Between(act)
            ending = Thread(target=lambda: (waiting.join(), connection.rollback()))
            serving = served(
                mariadb_branch,
                update("invoices", "1", attributes={"number": "a"}),
                add("orders", attributes={"number": "1"}),
                update("invoices", "2", attributes={"number": "b"}),
                plugins=[plugin, _Ending(ending)],
                ATOMIC_BATCH=False,
            )
            ending.join()
        assert (serving.status, plugin.tries) == (200, 2)
        assert (mariadb_branch.stored("a"), mariadb_branch.stored("b")) == ([False, True], [False, True])
        other.dispose()


class _Ending:
    """Ends the other transaction when the first try is over."""

    def __init__(self, ending: Thread) -> None:
        self._ending = ending

    @hookimpl
    def atomic_result_meta(self) -> None:
        return None

    @hookimpl(wrapper=True)
    def atomic_rollback(self) -> Any:
        returned = yield
        if not self._ending.is_alive():
            self._ending.start()
            self._ending.join()
        return returned


# -------------------------------------------------------------------------------------------------- connections lost


@contextmanager
def through_proxy(shop: Shop, number: int) -> Iterator[tuple[Proxy, dict[Any, Engine]]]:
    """Engines of which one goes through a proxy."""
    with Proxy(shop.urls[number]) as proxy:
        binds = engines(shop.urls)
        bypassed = engine(proxy.url.render_as_string(hide_password=False))
        for key in [BASES[number], *([DECISIONS] if number == 0 else [])]:
            binds[key] = bypassed
        yield proxy, binds


class TestLostConnections:
    """Real connections, cut while a COMMIT is under way."""

    @pytest.fixture(params=PAIRS[:3], ids="-".join)
    def shop(self, databases: Stores, request: pytest.FixtureRequest) -> Iterator[Shop]:
        with open_shop(databases, request.param) as opened:
            yield opened

    @pytest.mark.parametrize("executed", [False, True])
    def test_at_the_decision_it_is_found_out(self, shop: Shop, executed: bool) -> None:
        with through_proxy(shop, 0) as (proxy, binds):
            at("recorded", [binds[Orders], binds[Invoices]], lambda: proxy.cut_at_commit(executed=executed))

            answer = served(shop, *BOTH, binds=binds, ATOMIC_RETRIES=0)

        assert answer.status == (200 if executed else 503)
        assert shop.stored("1") == [executed, executed]
        assert shop.prepared() == 0

    @pytest.mark.parametrize("executed", [False, True])
    def test_a_database_that_decides_and_is_gone(
        self, shop: Shop, executed: bool, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Then nobody can tell; what is prepared is left, and recovered."""
        with through_proxy(shop, 0) as (proxy, binds):

            def act() -> None:
                proxy.cut_at_commit(executed=executed)
                proxy.refuse()

            at("recorded", [binds[Orders], binds[Invoices]], act)
            answer = served(shop, *BOTH, binds=binds)

        assert answer.errors == [(500, "outcome-unknown", None)]
        assert shop.prepared() == 1
        while shop.recover() != 0:  # as long as a server holds the connection that was cut
            assert shop.prepared() == 1
        assert shop.stored("1") == [executed, executed]

    @pytest.mark.parametrize("executed", [False, True])
    def test_after_the_decision_it_is_done_by_another_one(self, shop: Shop, executed: bool) -> None:
        with through_proxy(shop, 1) as (proxy, binds):
            at("decided", [binds[Orders], binds[Invoices]], lambda: proxy.cut_at_commit(executed=executed))

            answer = served(shop, *BOTH, binds=binds)

        assert answer.status == 200
        while shop.prepared():
            shop.recover()  # MariaDB may not have heard of the cut in time
        assert shop.stored("1") == [True, True]

    def test_a_branch_that_is_gone_after_the_decision(self, shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
        """It is committed, and said to be; the log tells what has to be done."""
        with through_proxy(shop, 1) as (proxy, binds):

            def act() -> None:
                proxy.cut_at_commit(executed=False)
                proxy.refuse()

            at("decided", [binds[Orders], binds[Invoices]], act)
            answer = served(shop, *BOTH, binds=binds)

        assert answer.status == 200
        (record,) = [record for record in caplog.records if record.levelno == logging.CRITICAL]
        assert "is committed, but not yet in" in record.getMessage()
        assert "run `flask atomic recover`" in record.getMessage()
        while shop.recover() != 0:
            assert shop.prepared() == 1
        assert shop.stored("1") == [True, True]


def test_a_failed_prepare_leaves_the_pool_as_it_was(postgresql_shop: Shop) -> None:
    """PostgreSQL prepares nothing that has touched a temporary table."""
    binds = engines(postgresql_shop.urls)

    class Temporary:
        @hookimpl(wrapper=True)
        def atomic_commit(self, unit: Any) -> Any:
            unit.session.execute(text("CREATE TEMPORARY TABLE scratch (i int)"), bind_arguments={"mapper": Invoice})
            return (yield)

    client = application(binds, Temporary()).test_client()

    assert post(client, *BOTH).status == 500
    assert postgresql_shop.stored("1") == [False, False]
    with binds[Invoices].connect() as connection:
        assert connection.scalar(select(Invoice.id)) is None
    assert binds[Invoices].pool.checkedout() == 0  # type: ignore[attr-defined]


def test_a_failure_that_somebody_caught(postgresql_shop: Shop) -> None:
    """PostgreSQL takes the PREPARE of such a transaction for a rollback, and says nothing."""

    class Caught:
        @hookimpl(wrapper=True)
        def atomic_commit(self, unit: Any) -> Any:
            with suppress(DBAPIError):
                unit.session.execute(text("SELECT 1 / 0"), bind_arguments={"mapper": Invoice})
            return (yield)

    assert served(postgresql_shop, *BOTH, plugins=[Caught()]).status == 500
    assert postgresql_shop.stored("1") == [False, False]
