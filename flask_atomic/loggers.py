"""The loggers, one for each concern, and the entry about a request.

Every entry has the id of the request that it is about as `request_id`. Nothing that a client sent is in a message; in
the text of an exception it may be, so that text is escaped.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterator, MutableMapping
from time import perf_counter
from typing import Any

from .context import Request, Serving, current_request
from .errors import Code, RequestFailed

__all__ = ["LoggedServing", "attempts", "defects", "requests", "transactions"]


_LONGEST = 10_000
"""How many characters of an exception's message are logged: a client may have sent most of it."""


class _Logger(logging.LoggerAdapter[logging.Logger]):
    """Gives each entry the id of the request that is being served."""

    def __init__(self, concern: str) -> None:
        logger = logging.getLogger(f"flask_atomic.{concern}")
        logger.addFilter(_escape)
        super().__init__(logger)

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        request_id = current_request.id if bool(current_request) else None
        return msg, {**kwargs, "extra": {"request_id": request_id, **kwargs.get("extra", {})}}


def _escape(record: logging.LogRecord) -> bool:
    """Have exceptions written in a way that nothing in their messages passes for an entry of its own."""
    if record.exc_info and record.exc_info[1] is not None:
        told = traceback.TracebackException.from_exception(record.exc_info[1])
        text = "".join(told.format()).removesuffix("\n")
        for message in sorted(_messages(told), key=len, reverse=True):  # one may be part of another
            text = text.replace(message, _escaped(message))
        record.exc_text = text
    return True


def _messages(told: traceback.TracebackException | None) -> Iterator[str]:
    """The messages that are long or have control characters, of the exception and of those that led to it."""
    if told is not None:
        if len(str(told)) > _LONGEST or not str(told).isprintable():
            yield str(told)
        yield from _messages(told.__cause__)
        yield from _messages(told.__context__)


def _escaped(message: str) -> str:
    cut = message if len(message) <= _LONGEST else f"{message[:_LONGEST]}... ({len(message)} characters)"
    return "".join(map(_printable, cut))


def _printable(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape").decode()


requests = _Logger("requests")
"""One entry for each request."""

attempts = _Logger("attempts")
"""Attempts that were not the last."""

transactions = _Logger("transactions")
"""Commits and rollbacks that failed."""

defects = _Logger("defects")
"""Exceptions that are nobody's refusal."""


# A data layer imports nothing from here.
for _module in ("commit", "databases", "recovery"):
    logging.getLogger(f"flask_atomic.layers.sqlalchemy.{_module}").addFilter(_escape)


class LoggedServing(Serving):
    """A context manager like `Serving` that logs at the end what became of the request.

    An exception is told as the status that it stands for. Otherwise, who serves the request sets the status.
    """

    def __enter__(self) -> Request:
        self._started = perf_counter()
        return super().__enter__()

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, RequestFailed):
            self._request.tell(error.status, error.errors)
        elif isinstance(error, Exception):
            self._request.codes = (Code.INTERNAL_ERROR.code,)
        try:
            _tell(self._request, perf_counter() - self._started)
        finally:
            super().__exit__(kind, error, traceback)


def _tell(request: Request, duration: float) -> None:
    if requests.isEnabledFor(logging.INFO):
        facts = {
            "status": request.status,
            "codes": request.codes,
            "operations": request.operations,
            "attempts": request.attempts,
            "duration": duration,
        }
        outcome = " ".join([str(request.status), *request.codes])
        told = "Request %s: %s; operations: %d, attempts: %d, %.4f s"
        requests.info(told, request.id, outcome, request.operations, request.attempts, duration, extra=facts)
