"""Requests that are sent again: what was answered is remembered in the transaction that performed the operations."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any, Generic, TypeVar

from .errors import Code, ConfigurationError, Conflict, OperationFailed, RequestFailed
from .idempotency import Idempotency, Remembered, key_error
from .plugins import Binding, Layer, Plugins
from .steps import Plan
from .transaction import Transaction

__all__ = ["Repeats", "forget", "refuse_without_memory"]

Answer = TypeVar("Answer")


class Repeats(Generic[Answer]):
    """The repeats of one request, and the layer that remembers its answer: the one whose commit decides.

    :param plan: the operations of the request.
    :raises RequestFailed: 422 if that layer cannot remember it.
    """

    def __init__(self, plan: Plan, plugins: Plugins, idempotency: Idempotency[Answer]) -> None:
        self._idempotency = idempotency
        self._plugins = plugins
        self._layer = min(
            (layer for layer in plugins.layers if layer in plan.written), key=lambda layer: layer.can_prepare
        )
        written = {step.binding.resource.type: step.binding for step in plan.steps}
        bindings = [written[type_] for type_ in sorted(written) if written[type_].layer is self._layer]
        for binding in bindings:
            if not binding.remembers:
                detail = f"Where '{binding.resource.type}' are kept, no keys are. Send the request without one."
                raise key_error(Code.IDEMPOTENCY_NOT_SUPPORTED, detail)
        self._is_one_of_several = len(plan.written) > 1
        self._call = {"resources": [binding.resource for binding in bindings], "key": idempotency.key}

    def recall(self, transaction: Transaction) -> Answer | None:
        """The answer that was given to the request, None if it was not performed yet.

        :raises RequestFailed: 422 if the key was another request's, 409 if that is being performed.
        """
        try:
            remembered: Remembered | None = self._layer.recall(
                unit=transaction.unit(self._layer), now=int(time.time()), **self._call
            )
        except Conflict as conflict:
            raise _in_use() from conflict
        if remembered is None:
            return None
        if remembered.fingerprint != self._idempotency.fingerprint:
            detail = "The key was sent with another document, or to another URL. Take a new key for this request."
            raise key_error(Code.IDEMPOTENCY_KEY_REUSED, detail)
        return self._idempotency.load(remembered)

    def remember(self, transaction: Transaction, answer: Answer) -> None:
        """Remember the answer if the transaction commits.

        :raises RequestFailed: 409 if a repeat of the request was faster.
        """
        status, body = self._idempotency.dump(answer)
        expires = int(time.time()) + self._idempotency.seconds
        remembered = Remembered(self._idempotency.fingerprint, status, body, expires)
        try:
            self._layer.remember(unit=transaction.unit(self._layer), remembered=remembered, **self._call)
        except Conflict as conflict:
            raise _in_use() from conflict

    def recall_instead_of(self, failure: RequestFailed) -> Answer:
        """The answer that a repeat was given meanwhile: the failure may be for no other reason than that.

        :raises RequestFailed: the failure, if there is none.
        """
        codes = {error.code for error in failure.errors}
        if Code.PARTLY_COMMITTED.code in codes or (Code.OUTCOME_UNKNOWN.code in codes and self._is_one_of_several):
            raise failure
        with Transaction(self._plugins.layers, ()) as transaction:
            try:
                answer = self.recall(transaction)
            except OperationFailed:
                raise failure from None
        if answer is None:
            raise failure
        return answer


def refuse_without_memory(bindings: Mapping[str, Binding]) -> None:
    """See that the answer to every request can be remembered.

    :raises ConfigurationError: if a layer cannot do it.
    """
    for type_, binding in bindings.items():
        if not binding.remembers:
            raise ConfigurationError(
                f"ATOMIC_IDEMPOTENCY is 'required', but the data layer '{binding.layer.name}' cannot remember answers "
                f"to requests that write '{type_}'. The SQLAlchemy layer needs a table for them: call "
                f"idempotency_table(metadata) with the metadata of the models, before the blueprint is registered. "
                f"With another layer that cannot, make it 'optional'."
            )


def forget(layers: Iterable[Layer]) -> dict[Layer, int]:
    """Have the layers that can do so forget what has expired.

    :return: for each of them, how much that was.
    :raises OperationFailed: if a store cannot be used now.
    """
    return {layer: _forget(layer) for layer in layers if layer.supports("forget")}


def _forget(layer: Layer) -> int:
    with Transaction([layer], [layer]) as transaction:
        forgotten: Any = layer.forget(unit=transaction.unit(layer), now=int(time.time()))
        transaction.commit()
        return int(forgotten or 0)


def _in_use() -> RequestFailed:
    return key_error(
        Code.IDEMPOTENCY_KEY_IN_USE, "The request with this key is being performed. Send it again a little later."
    )
