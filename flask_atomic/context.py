"""The request that is being served and the operation that is being performed, for those that are not handed them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextvars import ContextVar, Token
from dataclasses import dataclass
from functools import cached_property
from uuid import uuid4

from werkzeug.local import LocalProxy

from .errors import ErrorObject
from .operations import Operation

__all__ = ["Performing", "Request", "Serving", "current_operation", "current_request", "request_served"]


@dataclass
class Request:
    """What is known of a request while it is served. It is kept up to date by the core, and is for reading.

    :param given_id: what the request is called by who sent it, None for nothing that can be used.
    :param operations: how many operations it has, 0 until its document is read.
    :param attempts: how many attempts to perform them were begun.
    :param status: the HTTP status of the answer, 500 until there is one.
    :param codes: what kinds of errors the answer has.
    """

    given_id: str | None
    operations: int = 0
    attempts: int = 0
    status: int = 500
    codes: tuple[str, ...] = ()

    @cached_property
    def id(self) -> str:
        """What the log calls the request: the id that was given, or one that is made up when it is first asked for."""
        return str(uuid4()) if self.given_id is None else self.given_id

    def tell(self, status: int, errors: Iterable[ErrorObject]) -> None:
        """Note what the request is refused for."""
        self.status = status
        self.codes = tuple(dict.fromkeys(error.code for error in errors))


_request: ContextVar[Request | None] = ContextVar("flask_atomic.request", default=None)
_operation: ContextVar[Operation | None] = ContextVar("flask_atomic.operation", default=None)


def request_served() -> Request:
    """The request that is being served, by itself: the proxy looks it up at each use."""
    request = _request.get()
    if request is None:
        raise RuntimeError("No request is being served.")
    return request


current_request: Request = LocalProxy(request_served)  # type: ignore[assignment]  # as Flask types its own proxies
"""The request that is being served, by HTTP or by `Atomic.perform`: a proxy, false outside of one."""


def _current() -> Operation:
    operation = _operation.get()
    if operation is None:
        raise RuntimeError("No single operation is being performed.")
    return operation


current_operation: Operation = LocalProxy(_current)  # type: ignore[assignment]  # as Flask types its own proxies
"""The operation that is being planned or performed: a proxy, false outside of one.

While writes of several operations are flushed together there is no single one either.
"""


class Serving:
    """A context manager: inside it, a request with that id is the current one; None for an id that is made up."""

    def __init__(self, id: str | None) -> None:
        self._request = Request(id)

    def __enter__(self) -> Request:
        self._token = _request.set(self._request)
        return self._request

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        _request.reset(self._token)


class Performing:
    """A context manager: `operation` is the current one inside it, None for none.

    What it gives, called with another operation, makes that the current one.
    """

    __slots__ = ("_operation", "_token")

    def __init__(self, operation: Operation | None = None) -> None:
        self._operation = operation

    def __enter__(self) -> Callable[[Operation | None], object]:
        self._token: Token[Operation | None] = _operation.set(self._operation)
        return _operation.set

    def __exit__(self, *exception: object) -> None:
        _operation.reset(self._token)
