"""What `flask atomic recover` touches and what it leaves alone, and how long decisions are kept."""

from __future__ import annotations

import time
from collections.abc import Iterator
from unittest.mock import patch

import pytest
from sqlalchemy import create_engine

from flask_atomic.layers.sqlalchemy import decisions
from flask_atomic.layers.sqlalchemy.decisions import ABORT, COMMIT, Decisions
from flask_atomic.layers.sqlalchemy.xids import Xid
from tests.application import post
from tests.two_phase.points import at
from tests.two_phase.rounds import Shop, open_shop
from tests.two_phase.shop import DECISIONS, Invoices, Orders, application, engines
from tests.two_phase.stores import Stores
from tests.two_phase.test_two_phase import BOTH, PAIRS, served


@pytest.fixture
def shop(databases: Stores) -> Iterator[Shop]:
    with open_shop(databases, PAIRS[0]) as opened:
        yield opened


def rows(shop: Shop) -> dict[str, str]:
    """What is decided."""
    with shop.seen[0].connect() as connection:
        found = connection.exec_driver_sql("SELECT id, decision FROM atomic_decisions WHERE id <> 'owner'").all()
    return {row.id: row.decision for row in found}


def prepare(shop: Shop, name: str) -> None:
    """Leave a branch of that name."""
    engine = create_engine(shop.urls[1])
    with engine.connect() as connection:
        transaction = connection.begin_twophase(name)
        connection.exec_driver_sql("INSERT INTO invoices (number) VALUES ('1')")
        transaction.prepare()
        connection.invalidate()
    engine.dispose()


def owner(shop: Shop) -> str:
    return Decisions(DECISIONS).owner(shop.seen[0])


def test_transactions_of_others_are_left_alone(shop: Shop) -> None:
    """Another application may use the same server, and other programs prepare as well."""
    names = [str(Xid.new("0" * 12)), "somebody else's"]
    prepare(shop, names[0])

    assert shop.recover() == 0

    with shop.seen[1].connect() as connection:
        assert connection.exec_driver_sql("SELECT gid FROM pg_prepared_xacts").scalars().all() == names[:1]
        connection.exec_driver_sql(f"ROLLBACK PREPARED '{names[0]}'")


def test_young_transactions_are_left_alone(shop: Shop) -> None:
    prepare(shop, str(Xid.new(owner(shop))))

    assert shop.recover("--older-than", "60") == 0
    assert (shop.prepared(), rows(shop)) == (1, {})
    assert shop.recover("--dry-run") == 1
    assert (shop.prepared(), rows(shop)) == (1, {})
    assert shop.recover() == 0
    assert (shop.prepared(), list(rows(shop).values())) == (0, ["abort"])
    assert shop.stored("1") == [False, False]


def test_a_request_that_was_given_up_is_performed_anew(shop: Shop) -> None:
    binds = engines(shop.urls)
    at("all prepared", [binds[Orders], binds[Invoices]], lambda: shop.recover())

    assert served(shop, *BOTH, binds=binds).status == 200
    assert (shop.stored("1"), sorted(rows(shop).values())) == ([True, True], ["abort", "commit"])


def test_a_request_that_was_given_up_and_is_not_tried_again(shop: Shop) -> None:
    binds = engines(shop.urls)
    at("all prepared", [binds[Orders], binds[Invoices]], lambda: shop.recover())

    assert served(shop, *BOTH, binds=binds, ATOMIC_RETRIES=0).errors == [(503, "unavailable", None)]
    assert (shop.stored("1"), list(rows(shop).values())) == ([False, False], ["abort"])


class TestTime:
    """By the clock of the database, from the moment in the name of the transaction."""

    def test_what_took_too_long_is_not_committed(self, shop: Shop) -> None:
        with patch.object(time, "time", return_value=time.time() - decisions._LIMIT - 10):
            answer = served(shop, *BOTH, ATOMIC_RETRIES=0)

        assert answer.errors == [(503, "unavailable", None)]
        assert (shop.stored("1"), shop.prepared(), rows(shop)) == ([False, False], 0, {})

    def test_after_that_nobody_concludes_from_a_missing_row(self, shop: Shop) -> None:
        late = Xid.new(owner(shop))._replace(started=int(time.time()) - decisions._LIMIT - 10)

        assert Decisions(DECISIONS).settle(shop.seen[0], late, in_time=True) is None
        assert rows(shop) == {}
        assert Decisions(DECISIONS).settle(shop.seen[0], late, in_time=False) == ABORT

    @pytest.mark.parametrize(
        ("seconds", "kept"), [(0, True), (decisions._KEPT - 60, True), (decisions._KEPT + 60, False)]
    )
    def test_decisions_are_forgotten_by_recover(self, shop: Shop, seconds: int, kept: bool) -> None:
        assert served(shop, *BOTH).status == 200
        self._age(shop, seconds)

        assert shop.recover() == 0

        assert list(rows(shop).values()) == ([COMMIT] if kept else [])
        assert shop.recover() == 0  # the database that decides has not forgotten its name

    def test_but_not_those_of_branches_that_are_left(self, shop: Shop) -> None:
        xid = Xid.new(owner(shop))
        prepare(shop, str(xid))
        Decisions(DECISIONS).settle(shop.seen[0], xid, in_time=True)
        self._age(shop, decisions._KEPT + 60)

        assert shop.recover("--older-than", "1000") == 0
        assert rows(shop) == {xid.id: ABORT}

    def _age(self, shop: Shop, seconds: int) -> None:
        with shop.seen[0].connect() as connection:
            connection.exec_driver_sql(f"UPDATE atomic_decisions SET started = started - {seconds} WHERE id <> 'owner'")


def test_an_application_that_was_not_used_yet_recovers(shop: Shop) -> None:
    """Also one whose tables are new."""
    with shop.seen[0].connect() as connection:
        connection.exec_driver_sql("DELETE FROM atomic_decisions")
    app = application(engines(shop.urls))

    with app.app_context():
        assert post(app.test_client(), *BOTH).status == 200
    assert len({Decisions(DECISIONS).owner(shop.seen[0]) for _ in range(2)}) == 1


def test_what_cannot_be_reached_is_told_in_a_line(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    """With the reason, and without a traceback."""
    binds = {**engines(shop.urls), Invoices: create_engine("postgresql+psycopg://postgres@127.0.0.1:1/books")}

    assert shop._replace(app=application(binds)).recover() == 1

    (entry,) = [each for each in caplog.records if each.name == "flask_atomic.layers.sqlalchemy.recovery"]
    told = "postgresql://127.0.0.1:1/books cannot be asked what it has prepared: connection failed: "
    assert (entry.getMessage()[: len(told)], entry.exc_info, "\n" in entry.getMessage()) == (told, None, False)
