"""The operation that is being performed, for schemas, model events and hooks that are not handed it."""

from __future__ import annotations

from contextvars import ContextVar, Token

from werkzeug.local import LocalProxy

from .operations import Operation

__all__ = ["Performing", "current_operation"]

_operation: ContextVar[Operation | None] = ContextVar("flask_atomic.operation", default=None)


def _current() -> Operation:
    operation = _operation.get()
    if operation is None:
        raise RuntimeError("No single operation is being performed.")
    return operation


current_operation: Operation = LocalProxy(_current)  # type: ignore[assignment]  # as Flask types its own proxies
"""The operation that is being planned or performed: a proxy, false outside of one.

While writes of several operations are flushed together there is no single one either.
"""


class Performing:
    """A context manager: `operation` is the current one inside it, None for none."""

    def __init__(self, operation: Operation | None) -> None:
        self._operation = operation

    def __enter__(self) -> None:
        self._token: Token[Operation | None] = _operation.set(self._operation)

    def __exit__(self, *exception: object) -> None:
        _operation.reset(self._token)
