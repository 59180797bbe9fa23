"""What the endpoint answered, with assertions that tell the errors when they fail."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from werkzeug.test import TestResponse

from ..errors import ErrorObject
from ..operations import RESULTS
from .document import Document

__all__ = ["Answer"]

_EXCERPT = 500
"""How many characters of an answer that is no document of JSON:API a message shows."""


class Answer:
    """The answer to a document.

    :param sent: the document.
    :param response: the response of the test client.
    """

    def __init__(self, sent: Document, response: TestResponse) -> None:
        self.sent = sent
        self.response = response

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self.response.status_code

    def assert_success(self) -> None:
        """Go on if all operations were performed.

        :raises AssertionError: with all errors, if the request failed.
        """
        __tracebackhide__ = True
        _ = self.results

    @property
    def results(self) -> list[dict[str, Any]]:
        """The result object of each operation. An answer without a document (204) has empty ones.

        :raises AssertionError: with all errors, if the request failed.
        """
        __tracebackhide__ = True
        if self.status == 204:
            return [{} for _ in self.sent.operations]
        results: list[dict[str, Any]] | None = self._document.get(RESULTS)
        if results is None:
            raise AssertionError(f"There are no results. {self}")
        return results

    @property
    def resources(self) -> list[Any]:
        """The resource in the result of each operation, None where the result has none.

        :raises AssertionError: with all errors, if the request failed.
        """
        __tracebackhide__ = True
        return [result.get("data") for result in self.results]

    @property
    def errors(self) -> list[ErrorObject]:
        """The errors, none if the request succeeded."""
        return [_error(told) for told in self._document.get("errors", ())]

    def assert_error(
        self, code: str | None = None, *, pointer: str | None = None, status: int | None = None
    ) -> ErrorObject:
        """Return the first error with this code, pointer and status, as far as they are given.

        :raises AssertionError: with all errors that there are, if there is none like it.
        """
        __tracebackhide__ = True
        wanted = {"code": code, "pointer": pointer, "status": status}
        wanted = {name: value for name, value in wanted.items() if value is not None}
        for error in self.errors:
            if all(getattr(error, name) == value for name, value in wanted.items()):
                return error
        described = ", ".join(f"{name} {value!r}" for name, value in wanted.items())
        raise AssertionError(f"There is no error{' with ' if wanted else ''}{described}. {self}")

    def value_at(self, pointer: str) -> Any:
        """What the pointer (RFC 6901) of an error leads to in the document that was sent.

        :raises LookupError: if it leads nowhere.
        """
        value: Any = self.sent.to_json()
        for token in pointer.split("/")[1:]:
            name = token.replace("~1", "/").replace("~0", "~")
            if isinstance(value, list) and name.isdecimal():
                value = value[int(name)]
            elif isinstance(value, dict):
                value = value[name]
            else:
                raise LookupError(f"{pointer} leads nowhere: there is no {name!r} in {value!r}.")
        return value

    @property
    def _document(self) -> Mapping[str, Any]:
        document = self.response.get_json(force=True, silent=True)
        return document if isinstance(document, dict) else {}

    def __str__(self) -> str:
        told = f"The answer is {self.response.status}"
        if self.errors:
            return "\n  ".join([f"{told}:", *map(self._described, self.errors)])
        return told + ("." if self.status < 300 else f": {self.response.text[:_EXCERPT]}")

    def _described(self, error: ErrorObject) -> str:
        source = error.pointer or error.parameter or error.header
        place = "" if source is None else f" at {source}"
        if error.pointer is not None:
            place += f" ({self._shown(error.pointer)})"
        return f"{error.status} {error.code}{place}: {error.detail}"

    def _shown(self, pointer: str) -> str:
        try:
            return json.dumps(self.value_at(pointer))[:_EXCERPT]
        except LookupError:
            return "which leads nowhere"


def _error(told: Mapping[str, Any]) -> ErrorObject:
    """The error object of a document, with empty members where an application of its own left them out."""
    source = told.get("source", {})
    return ErrorObject(
        status=int(told.get("status", 0)),
        code=told.get("code", ""),
        title=told.get("title", ""),
        detail=told.get("detail", ""),
        pointer=source.get("pointer"),
        parameter=source.get("parameter"),
        header=source.get("header"),
        id=told.get("id"),
    )
