"""The units of work of one attempt: begun on first use, and then all committed or all rolled back."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from functools import cached_property
from types import TracebackType
from typing import Any
from uuid import uuid4

from .errors import Code, ErrorObject, OperationFailed, RequestFailed, UnknownOutcome
from .loggers import transactions
from .plugins import Layer

__all__ = ["Transaction", "refuse_unless_atomic"]


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


class Transaction:
    """A context manager: what is not committed when it ends is rolled back.

    :param layers: all layers in the order of their registration, in which they vote and commit.
    :param written: those that the request writes to; the units of the others are only read, and never committed.
    """

    def __init__(self, layers: Iterable[Layer], written: Collection[Layer]) -> None:
        self._order = tuple(layers)
        self._written = written
        self._units: dict[Layer, Any] = {}
        self.has_lost = False
        """Whether a flush may have removed resources that no operation has."""

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

    def flush(self, layer: Layer) -> None:
        """Have the layer write what waits there."""
        if layer.defers_writes:
            self.has_lost |= any(layer.flush(unit=self.unit(layer)))

    @cached_property
    def id(self) -> str:
        """What the log and the client call the transaction by."""
        return str(uuid4())

    def commit(self) -> None:
        """Let the layers vote, then commit: first the one that cannot vote, if any, then those that said yes.

        :raises RequestFailed: `partly-committed` if a layer failed after others had committed; those that remain are
            committed still. `outcome-unknown` if the first to commit cannot tell whether it has; the others are to be
            rolled back.
        :raises Exception: whatever else a vote or the first commit raised. Nothing is committed then.
        """
        writing = [layer for layer in self._order if layer in self._units and layer in self._written]
        for layer in writing:
            if layer.can_prepare:
                layer.prepare(unit=self._units[layer])
        committed: list[Layer] = []
        failures: dict[Layer, BaseException] = {}
        for layer in sorted(writing, key=lambda layer: layer.can_prepare):
            try:
                layer.commit(unit=self._units[layer])
            except BaseException as error:  # also what ends the process must not keep the others from committing
                if not committed:
                    others = [other for other in writing if other is not layer]
                    if isinstance(error, UnknownOutcome):
                        self._tell_unknown(layer, others, error)
                    if others and not isinstance(error, OperationFailed | RequestFailed):
                        self._tell_defect(layer, others)
                    raise
                failures[layer] = error
            else:
                del self._units[layer]
                committed.append(layer)
        if failures:
            self._tell_partial(committed, failures)

    def _tell_partial(self, committed: Iterable[Layer], failures: Mapping[Layer, BaseException]) -> None:
        """Log what is known of a commit that some layers have not made, and raise.

        :raises RequestFailed: `partly-committed`.
        :raises BaseException: what ends the process, if a layer failed by that.
        """
        known = f"Committed: {_names(committed)}. Not known, since the commit failed: {_names(failures)}."
        for layer, error in failures.items():
            told = "Transaction %s: the layer '%s' failed to commit, although it had voted for it. %s"
            extra = {"error_id": self.id}
            transactions.critical(told, self.id, layer.name, known, exc_info=error, extra=extra)
        first = min(failures.values(), key=lambda error: isinstance(error, Exception))
        if not isinstance(first, Exception):
            raise first
        detail = f"The operations are stored in part. {known} The log has more under the id."
        raise RequestFailed(ErrorObject.of(Code.PARTLY_COMMITTED, detail, id=self.id)) from first

    def _tell_unknown(self, layer: Layer, others: Collection[Layer], error: UnknownOutcome) -> None:
        """Log what is known where nobody can tell whether the first commit was made, and raise.

        :raises RequestFailed: `outcome-unknown`.
        """
        known = f" Not known: '{layer.name}'. Rolled back: {_names(others)}." if others else ""
        told = "Transaction %s: the layer '%s' was lost while it committed.%s"
        transactions.critical(told, self.id, layer.name, known, exc_info=error, extra={"error_id": self.id})
        detail = f"{error.detail}{known} The log has more under the id."
        raise RequestFailed(ErrorObject.of(error.code, detail, id=self.id)) from error

    def _tell_defect(self, layer: Layer, others: Iterable[Layer]) -> None:
        """Log what is known where the first commit raised what it must not; that itself is logged as a defect."""
        told = "Transaction %s: the layer '%s' broke off its commit. Not known: '%s'. Rolled back: %s."
        transactions.critical(told, self.id, layer.name, layer.name, _names(others))

    def rollback(self) -> None:
        """Roll back each unit that is still open, each by itself: the failure of one is logged and stops no other."""
        while self._units:
            layer, unit = self._units.popitem()
            try:
                layer.rollback(unit=unit)
            except Exception:
                transactions.exception("The layer %s failed to roll back.", layer.name)
            except BaseException:
                self.rollback()
                raise


def _names(layers: Iterable[Layer]) -> str:
    return ", ".join(f"'{layer.name}'" for layer in layers)
