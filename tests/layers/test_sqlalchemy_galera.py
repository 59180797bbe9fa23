"""On a cluster of MariaDB Galera, what passes is tried again and stored once, at whichever node it is noticed."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import sessionmaker

from flask_atomic import Refused
from tests.application import Answer
from tests.checker.nodes import target_on
from tests.checker.runs import Plan, run
from tests.cluster.galera import Galera, galera
from tests.cluster.node import Node
from tests.layers.test_sqlalchemy_retries import BEFORE, NEW, STORED, UNAVAILABLE, Base, Interruption, Notes, wait
from tests.servers import engines_disposed, lent, second_connection

DATABASE = "test"
PATIENT: dict[str, Any] = {"ATOMIC_RETRY_SECONDS": 60}
"""However slow the machine is, there is time for another try."""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Galera]:
    for cluster in lent(galera()):
        cluster.create(DATABASE)
        yield cluster


@pytest.fixture
def node(cluster: Galera) -> Node:
    """The one that the application uses."""
    return cluster.nodes[1]


@pytest.fixture
def notes(cluster: Galera) -> Iterator[Notes]:
    """The application at the second node, seen through it, too."""
    with engines_disposed():
        notes = Notes(cluster.urls(DATABASE)[1])
        cluster.wait_until_whole()
        yield notes
        notes.other(*(f"DELETE FROM {table}" for table in Base.metadata.tables))


def stored(cluster: Galera) -> list[tuple[Any, ...]]:
    """The texts and the stars, when each node has the same."""
    cluster.wait_until_whole()
    seen = []
    for url in cluster.urls(DATABASE):
        with second_connection(url).connect() as connection:
            seen.append([tuple(row) for row in connection.execute(text("SELECT text, stars FROM notes ORDER BY id"))])
    assert seen[0] == seen[1] == seen[2]
    return seen[0]


class TestConflicts:
    """Another node changes the row that our transaction has changed, and commits first."""

    @pytest.fixture
    def be_faster(self, cluster: Galera) -> Any:
        def change(_: Any = None) -> None:
            with second_connection(cluster.urls(DATABASE)[0]).connect() as connection:
                connection.execute(text("UPDATE notes SET stars = 5 WHERE id = 1"))
            cluster.wait_until_whole()

        return change

    @pytest.mark.parametrize("hook", ["add", "commit"])
    def test_are_noticed_by_the_next_statement_and_tried_again(
        self, notes: Notes, cluster: Galera, be_faster: Any, hook: str
    ) -> None:
        answer = notes.post(*NEW, plugin=Interruption(hook, be_faster), ATOMIC_BATCH=False, **PATIENT)

        assert (answer.status, notes.plugin.tries, notes.plugin.committed) == (200, 2, 1)
        assert answer.results[0]["data"]["attributes"] == {"text": "mine", "stars": 5}
        assert stored(cluster) == [("mine", 5), ("b", 0), ("new", 0)]

    def test_without_another_try(self, notes: Notes, cluster: Galera, be_faster: Any) -> None:
        assert notes.post(*NEW, plugin=Interruption("commit", be_faster), ATOMIC_RETRIES=0).errors == UNAVAILABLE
        assert stored(cluster) == [("a", 5), ("b", 0)]

    def test_are_not_forgotten_where_somebody_catches_them(self, notes: Notes, cluster: Galera, be_faster: Any) -> None:
        def swallow(unit: Any) -> None:
            be_faster()
            with pytest.raises(DBAPIError):
                unit.session.execute(text("SELECT 1"))
            unit.session.connection().exec_driver_sql("UPDATE notes SET stars = 6 WHERE id = 2")

        answer = notes.post(*NEW, plugin=Interruption("commit", swallow), **PATIENT)

        assert (answer.status, notes.plugin.tries) == (200, 2)
        assert stored(cluster) == [("mine", 5), ("b", 0), ("new", 0)]

    def test_leave_nothing_to_roll_back(
        self, notes: Notes, cluster: Galera, be_faster: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        def refuse(_: Any) -> None:
            be_faster()
            raise Refused("For another reason.")

        answer = notes.post(*NEW, plugin=Interruption("commit", refuse))

        assert answer.errors == [(403, "operation-refused", None)]
        assert [record.message for record in caplog.records if record.levelno > logging.INFO] == []
        assert notes.post(*NEW, ATOMIC_RETRIES=0).status == 200
        assert stored(cluster) == [("mine", 5), ("b", 0), ("new", 0)]


@pytest.fixture
def _is_back_afterwards(notes: Notes, cluster: Galera, node: Node) -> Iterator[None]:
    yield
    node.rejoin()
    cluster.wait_until_whole()


@pytest.mark.usefixtures("_is_back_afterwards")
class TestANodeThatIsCutOff:
    def test_refuses_all_and_keeps_nothing(
        self, notes: Notes, cluster: Galera, node: Node, caplog: pytest.LogCaptureFixture
    ) -> None:
        def cut_off(_: Any) -> None:
            node.isolate()
            wait(lambda: node.state not in ("Synced", ""))

        for hook in ("commit", "none"):
            answer = notes.post(*NEW, plugin=Interruption(hook, cut_off), ATOMIC_RETRIES=1, **PATIENT)
            assert (answer.errors, notes.plugin.tries) == (UNAVAILABLE, 2)
        assert notes.engine.pool.checkedout() == 0  # type: ignore[attr-defined]
        assert [record.message for record in caplog.records if record.levelno > logging.WARNING] == []
        node.rejoin()
        assert stored(cluster) == BEFORE
        assert notes.post(*NEW, ATOMIC_RETRIES=0).status == 200
        assert stored(cluster) == STORED

    def test_knows_nothing_of_a_commit_that_it_was_making(self, notes: Notes, cluster: Galera, node: Node) -> None:
        def send(plugin: Interruption | None = None) -> Answer:
            return notes.post(*NEW, plugin=plugin, headers={"Idempotency-Key": '"once"'}, ATOMIC_IDEMPOTENCY="optional")

        answer = send(Interruption("commit", lambda _: node.isolate()))
        assert (answer.status, answer.error_objects[0]["code"]) == (500, "outcome-unknown")
        assert notes.plugin.committed == 0

        notes.sessions = sessionmaker(create_engine(cluster.urls(DATABASE)[0]))
        assert send().status == 200  # another node performs it, or knows that it is performed
        node.rejoin()
        assert stored(cluster) == STORED


def test_nothing_is_lost_while_nodes_go_and_come_back(cluster: Galera, tmp_path: Path) -> None:
    plan = Plan(seconds=12, faults=frozenset(["nodes", "workers", "clients"]), seed=1, workers=1, intensity=5)
    report = run(target_on(cluster, Random(plan.seed)), plan, tmp_path)
    assert report.findings == []
    assert report.figures["acknowledged"] > 0
    assert report.figures["rollbacks that failed"] == 0
    assert sum(times for name, times in report.figures.items() if name.startswith("fault: nodes")) > 0
