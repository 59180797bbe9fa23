"""The units of work of one attempt: begun on first use, and then all committed or all rolled back."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable
from types import TracebackType
from typing import Any

from .errors import Code, ErrorObject, RequestFailed
from .plugins import Layer

__all__ = ["PartialCommit", "Transaction", "refuse_unless_atomic"]

_logger = logging.getLogger(__name__)


def refuse_unless_atomic(written: Collection[Layer]) -> None:
    """Refuse a request that writes to two layers neither of which can vote on the commit.

    :raises RequestFailed: 422, before anything is begun.
    """
    decisive = sorted(layer.name for layer in written if not layer.can_prepare)
    if len(decisive) > 1:
        detail = (
            f"The operations write to {' and '.join(decisive)}, which cannot be committed as one. "
            f"Send a request for each."
        )
        raise RequestFailed(ErrorObject.of(Code.NOT_ATOMIC, detail))


class PartialCommit(Exception):
    """A layer failed to commit although it had voted for it, when others had committed already."""


class Transaction:
    """A context manager: what is not committed when it ends is rolled back.

    :param layers: all layers in the order of their registration, in which they vote and commit.
    :param written: those that the request writes to; the units of the others are only read, and never committed.
    """

    def __init__(self, layers: Iterable[Layer], written: Collection[Layer]) -> None:
        self._order = tuple(layers)
        self._written = written
        self._units: dict[Layer, Any] = {}

    def __enter__(self) -> Transaction:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.rollback()

    def unit(self, layer: Layer) -> Any:
        """The unit of work of that layer, begun now if the layer was not needed before."""
        if layer not in self._units:
            self._units[layer] = layer.begin()
        return self._units[layer]

    def commit(self) -> None:
        """Let the layers vote, then commit: first the one that cannot vote, if any, then those that said yes.

        :raises PartialCommit: if a layer failed after others had committed; those that remain are committed still.
        :raises Exception: whatever a vote or the first commit raised. Nothing is committed then.
        """
        writing = [layer for layer in self._order if layer in self._units and layer in self._written]
        for layer in writing:
            if layer.can_prepare:
                layer.prepare(unit=self._units[layer])
        broken: BaseException | None = None
        for position, layer in enumerate(sorted(writing, key=lambda layer: layer.can_prepare)):
            try:
                layer.commit(unit=self._units[layer])
            except BaseException as error:  # also what ends the process must not keep the others from committing
                if position == 0:
                    raise
                _logger.critical("The layer %s failed to commit after others had committed.", layer.name)
                broken = broken or error
            else:
                del self._units[layer]
        if isinstance(broken, Exception):
            raise PartialCommit from broken
        if broken is not None:
            raise broken

    def rollback(self) -> None:
        """Roll back each unit that is still open, each by itself: the failure of one is logged and stops no other."""
        while self._units:
            layer, unit = self._units.popitem()
            try:
                layer.rollback(unit=unit)
            except Exception:
                _logger.exception("The layer %s failed to roll back.", layer.name)
            except BaseException:
                self.rollback()
                raise
