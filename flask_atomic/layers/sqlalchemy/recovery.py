"""What is left of transactions whose process has died, or has lost a database, between two phases."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError, StatementError

from ...errors import Transient
from ...hookspecs import InDoubt
from .branches import finish, label, prepared
from .decisions import Decisions
from .xids import Xid

__all__ = ["Recovery"]

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Recovery:
    """The branches that are prepared, and what becomes of them.

    :param decisive: the database that decides.
    :param owner: what it calls itself by.
    :param others: those that have branches.
    """

    decisive: Engine
    decisions: Decisions
    owner: str
    others: Sequence[Engine]

    def left(self) -> list[InDoubt]:
        """All branches, also those of requests that are being served."""
        left = {xid: engine for engine in self.others for xid in self._branches(engine)}
        decided = self.decisions.of(self.decisive, {xid.id for xid in left})
        return [_in_doubt(xid, engine, decided.get(xid.id)) for xid, engine in left.items()]

    def finish(self, older_than: float) -> list[InDoubt]:
        """Do with each branch what was decided about its transaction, and abort what was not decided.

        Then forget the decisions that nobody needs any more.

        :param older_than: how many seconds ago a transaction was begun at least.
        :return: the branches that are no more.
        :raises Transient: if a database could not be asked; the others were.
        """
        finished: list[InDoubt] = []
        left: set[str] = set()
        unreached = []
        for engine in self.others:
            try:
                branches = list(self._branches(engine))
            except SQLAlchemyError as error:
                _logger.warning("%s cannot be asked what it has prepared: %s", label(engine), _told(error))
                unreached.append(label(engine))
                continue
            for xid in branches:
                decision = self._finish(engine, xid) if _age(xid) >= older_than else None
                if decision is None:
                    left.add(xid.id)
                else:
                    finished.append(_in_doubt(xid, engine, decision))
        if unreached:
            raise Transient(f"{' and '.join(unreached)} cannot be reached.")
        self.decisions.forget(self.decisive, left)
        return finished

    def _finish(self, engine: Engine, xid: Xid) -> str | None:
        try:
            decision = self.decisions.settle(self.decisive, xid, in_time=False)
            assert decision is not None  # nothing is too late here
            finish(engine, xid, decision)
        except SQLAlchemyError as error:
            _logger.warning("The part of transaction %s in %s stays: %s", xid.id, label(engine), _told(error))
            return None
        return decision

    def _branches(self, engine: Engine) -> Iterator[Xid]:
        return (xid for xid in prepared(engine) if xid.owner == self.owner)


def _in_doubt(xid: Xid, engine: Engine, decision: str | None) -> InDoubt:
    return InDoubt(label(engine), str(xid), _age(xid), decision)


def _told(error: SQLAlchemyError) -> str:
    """The words of the driver on one line: whoever runs the recovery needs no traceback."""
    return " ".join(str(error.orig if isinstance(error, StatementError) else error).split())


def _age(xid: Xid) -> float:
    return time.time() - xid.started
