"""Rounds: in each, something dies at a point of a request over several databases, and somebody recovers.

In the end the request is whole or absent, as the point and the answer say, and nothing is left prepared.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import cycle, product
from random import Random
from typing import NamedTuple
from unittest.mock import patch

from click.testing import CliRunner
from flask import Flask
from flask.cli import ScriptInfo
from sqlalchemy import Connection, Engine, event, select
from sqlalchemy.orm import sessionmaker

from flask_atomic.cli import atomic
from flask_atomic.layers.sqlalchemy import TwoPhaseSQLAlchemyLayer, decisions
from tests.application import Answer, add, post
from tests.servers import second_connection

from .planted import planted
from .points import DECIDED, POINTS, at
from .shop import BASES, DECISIONS, MODELS, application, create_tables, engines
from .stores import COMBINATIONS, Stores, prepared

__all__ = ["KINDS", "Finding", "Round", "Shop", "open_shop", "perform", "rounds"]

KINDS = ("process", "branch", "decisive", "recovery")
"""What happens at the point: the process is killed, the connection to a branch is, that to the database that decides
is; or somebody recovers whatever there is, although the request goes on."""

_SECONDS = 20
"""How long until a recovery must have ended what is left; MariaDB takes a while to notice that a process is dead."""

_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload([__name__])


class Round(NamedTuple):
    """One request, and what happens to it.

    :param kinds: those of the databases.
    :param number: what the request stores, in each of them.
    """

    kinds: tuple[str, ...]
    point: str
    kind: str
    number: str


class Finding(NamedTuple):
    """What should not be."""

    round: Round
    detail: str


class Shop(NamedTuple):
    """Databases with tables, and an application that recovers."""

    urls: list[str]
    layer: TwoPhaseSQLAlchemyLayer
    app: Flask
    seen: list[Engine]
    """For looks from outside, in the order of the databases."""

    def stored(self, number: str) -> list[bool]:
        """In which databases the request is."""
        return [self._has(engine, number) for engine in self.seen]

    def _has(self, engine: Engine, number: str) -> bool:
        model = dict(zip(BASES, MODELS.values(), strict=True))[BASES[self.seen.index(engine)]]
        with engine.connect() as connection:
            return connection.scalar(select(model.id).where(model.number == number)) is not None

    def recover(self, *arguments: str) -> int:
        """Run the command, and return its exit code."""
        command = ["recover", "--older-than", "0", *arguments]
        done = CliRunner().invoke(atomic, command, obj=ScriptInfo(create_app=lambda: self.app))
        assert isinstance(done.exception, SystemExit | None), done.output
        return done.exit_code

    def recover_twice_at_once(self) -> None:
        """Recover in two threads."""
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda _: self._recover(), range(2)))

    def _recover(self) -> None:
        with self.app.app_context():
            self.layer.atomic_recover(0)

    def prepared(self) -> int:
        """How much is prepared of what is this shop's."""
        with self.seen[0].connect() as connection:
            owner = connection.exec_driver_sql("SELECT decision FROM atomic_decisions WHERE id = 'owner'").scalar_one()
        return len({xid for url in self.urls for xid in prepared(url) if xid.owner == owner})


@contextmanager
def open_shop(stores: Stores, kinds: tuple[str, ...]) -> Iterator[Shop]:
    """A shop on empty databases of these kinds. What is prepared is ended with it."""
    urls = stores.urls(kinds)
    binds = engines(urls)
    create_tables(binds)
    layer = TwoPhaseSQLAlchemyLayer(sessionmaker(binds=binds), DECISIONS)
    shop = Shop(urls, layer, application(binds, layer=layer), [second_connection(url) for url in urls])
    assert shop.recover() == 0  # now the database that decides has a name
    try:
        yield shop
    finally:
        _recovered(shop)
        for engine in (*binds.values(), *shop.seen):
            engine.dispose()


def rounds(combinations: Sequence[tuple[str, ...]] = COMBINATIONS) -> Iterator[Round]:
    """All that can happen in all combinations of databases, mixed, again and again."""
    possible = [each for each in product(combinations, KINDS, POINTS) if _can_happen(*each)]
    Random(0).shuffle(possible)
    for number, (kinds, kind, point) in enumerate(cycle(possible)):
        yield Round(kinds, point, kind, f"{number}")


def _can_happen(kinds: tuple[str, ...], kind: str, point: str) -> bool:
    if "between" in point and len(kinds) < 3:
        return False
    if kind == "decisive" and kinds[0] == "sqlite":
        return False
    return not (point == "done" and kind in ("branch", "decisive"))


def perform(shop: Shop, round_: Round, defect: str | None = None) -> list[Finding]:
    """Have it happen, recover, and look."""
    with planted(defect), patch.object(decisions, "_PATIENCE", 1):  # some wait for what waits for them
        if round_.kind == "process":
            status = None
            _kill(shop, round_, defect)
        else:
            status = _disturb(shop, round_).status
        is_ended = _recovered(shop, at_once=int(round_.number) % 2 == 1)
    return [Finding(round_, detail) for detail in _faults(shop, round_, status, is_ended)]


def _faults(shop: Shop, round_: Round, status: int | None, is_ended: bool) -> Iterator[str]:
    stored = shop.stored(round_.number)
    if not is_ended:
        yield "something is left prepared"
    if len(set(stored)) > 1:
        yield f"it is stored in part: {stored}"
    due = {None: round_.point in DECIDED, 200: True, 503: False}.get(status)
    if due is None:
        yield f"the answer is a {status}"
    elif set(stored) != {due}:
        yield f"it is stored: {stored}, although the {'answer' if status else 'point'} says {due}"


# ------------------------------------------------------------------------------------------------ what happens


def _kill(shop: Shop, round_: Round, defect: str | None) -> None:
    process = _processes.Process(target=_die, args=(shop.urls, round_, defect))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL, f"the process was not killed {round_.point}"


def _die(urls: list[str], round_: Round, defect: str | None) -> None:
    """Be the process that serves the request, and is killed."""
    with planted(defect):
        binds = engines(urls)
        at(round_.point, [binds[base] for base in BASES if base in binds], _kill_this_process)
        _send(application(binds), round_)
        _kill_this_process()


def _kill_this_process() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _disturb(shop: Shop, round_: Round) -> Answer:
    """Serve the request while a connection is killed, or somebody recovers."""
    binds = engines(shop.urls)
    used = [binds[base] for base in BASES if base in binds]
    backends = _Backends(used[0] if round_.kind == "decisive" else used[1])

    def act() -> None:
        if round_.kind == "recovery":
            shop.recover()
        else:
            backends.kill()

    at(round_.point, used, act)
    try:
        answer = _send(application(binds), round_)
        if round_.point == "done":
            act()
        return answer
    finally:
        for engine in used:
            engine.dispose()


def _send(app: Flask, round_: Round) -> Answer:
    types = list(MODELS)[: len(round_.kinds)]
    return post(app.test_client(), *(add(type_, attributes={"number": round_.number}) for type_ in types))


class _Backends:
    """The connections of an engine as its server sees them."""

    def __init__(self, engine: Engine) -> None:
        self._url = engine.url.render_as_string(hide_password=False)
        self._last = 0
        for name in ("begin", "begin_twophase"):
            event.listen(engine, name, self._note)

    def _note(self, connection: Connection, *_: object) -> None:
        driver = connection.connection.dbapi_connection
        if driver is not None:
            self._last = driver.info.backend_pid if connection.dialect.name == "postgresql" else driver.thread_id()

    def kill(self) -> None:
        """Kill the last one that has begun a transaction."""
        engine = second_connection(self._url)
        with engine.connect() as connection:
            if engine.dialect.name == "postgresql":
                connection.exec_driver_sql(f"SELECT pg_terminate_backend({self._last}, 5000)")
            else:
                connection.exec_driver_sql(f"KILL {self._last}")
        engine.dispose()


def _recovered(shop: Shop, *, at_once: bool = False) -> bool:
    """Recover until nothing is left; by two at a time, or by one after the other."""
    deadline = time.monotonic() + _SECONDS
    while shop.prepared():
        if time.monotonic() > deadline:
            return False
        if at_once:
            shop.recover_twice_at_once()
        else:
            shop.recover()
    return shop.recover() == 0  # once more, for nothing
