"""Defects to plant into the commit over several databases. The rounds have to find each of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from sqlalchemy import Connection, Engine

from flask_atomic.layers.sqlalchemy import recovery
from flask_atomic.layers.sqlalchemy.databases import Databases
from flask_atomic.layers.sqlalchemy.decisions import COMMIT, Decisions
from flask_atomic.layers.sqlalchemy.xids import Xid

__all__ = ["DEFECTS", "planted"]


def _record_apart(self: Decisions, connection: Connection, xid: Xid) -> None:
    """Commit the record in a transaction of its own, before the data."""
    with connection.engine.begin() as other:
        self._decide(other, xid, COMMIT, in_time=True)


def _branches_first(self: Databases, decisive: Any, branches: Any) -> None:
    """Commit what is prepared before the decision."""
    for branch in branches:
        branch.finish()
    decisive.commit()


def _settle_without_record(self: Decisions, engine: Engine, xid: Xid, *, in_time: bool) -> str:
    """Presume what is not decided to be aborted, and leave no word of it."""
    return self.of(engine, [xid.id]).get(xid.id, "abort")


def _finish_all(engine: Engine, xid: Xid, decision: str) -> None:
    """Commit whatever is prepared."""
    _finish(engine, xid, COMMIT)


_finish = recovery.finish

DEFECTS = {
    "record apart": (Decisions, "commit", _record_apart),
    "branches first": (Databases, "_commit_decided", _branches_first),
    "settled without a record": (Decisions, "settle", _settle_without_record),
    "recovery commits all": (recovery, "finish", _finish_all),
}


@contextmanager
def planted(defect: str | None) -> Iterator[None]:
    """Have everything that commits or recovers in this process do so with the defect."""
    if defect is None:
        yield
        return
    owner, name, wrong = DEFECTS[defect]
    with patch.object(owner, name, wrong):
        yield
