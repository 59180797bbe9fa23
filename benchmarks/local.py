"""A client without HTTP: an application in this process, whose SQL statements are counted."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from flask import Flask
from sqlalchemy import Engine, event

from .client import MEDIA_TYPE, Answer, Json, document

__all__ = ["LocalClient", "statements_counted"]


class LocalClient:
    """A client of the endpoint at `path` of an application."""

    def __init__(self, app: Flask, path: str = "/operations") -> None:
        self._client = app.test_client()
        self._path = path
        self.statements = 0
        """How many the last request has sent to the database."""
        self.before: Callable[[], object] = lambda: None
        """Called before each request."""

    def perform(self, operations: Sequence[Json]) -> Answer:
        """Send the operations in one request."""
        body = document(operations)
        with statements_counted() as count:
            self.before()
            begin = time.perf_counter()
            response = self._client.post(self._path, data=body, content_type=MEDIA_TYPE)
            seconds = time.perf_counter() - begin
        self.statements = count[0]
        return Answer(seconds, response.status_code, json.loads(response.data) if response.data else {})


@contextmanager
def statements_counted() -> Iterator[list[int]]:
    """The number of statements that all engines send meanwhile, in a list of its own."""
    count = [0]

    def add(*_: Any) -> None:
        count[0] += 1

    event.listen(Engine, "before_cursor_execute", add)
    try:
        yield count
    finally:
        event.remove(Engine, "before_cursor_execute", add)
