"""What can go wrong, and how it is told.

This module turns problems into JSON:API error objects. It knows neither Flask nor any other module of the package, and
it never decides *whether* something is wrong.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from itertools import takewhile
from typing import Any, NamedTuple

__all__ = [
    "MOST_ERRORS",
    "Code",
    "ConfigurationError",
    "Conflict",
    "ErrorObject",
    "NotFound",
    "OperationFailed",
    "OutOfSpace",
    "PluginDefect",
    "Refused",
    "RequestFailed",
    "Stale",
    "Token",
    "Transient",
    "UnknownOutcome",
    "Unprocessable",
    "overall_status",
    "pointer",
]

MOST_ERRORS = 1000
"""How many errors are looked for in a request; what else is wrong with it costs no more."""

_LONGEST_NAME = 1000
_TOLD = 10  # in the message of an exception

Token = str | int
"""One reference token of a JSON pointer: a member's name or the index of an element."""


class Code(Enum):
    """The kinds of problem: a stable `code`, the HTTP status it goes with, and the `title` that all occurrences share.

    The table is part of the public interface: clients may rely on the codes (JSON:API 1.1, "Error Objects").
    """

    INVALID_JSON = "invalid-json", 400, "The body is not valid JSON"
    INVALID_DOCUMENT = "invalid-document", 400, "The document is malformed"
    INVALID_OPERATION = "invalid-operation", 400, "An operation is malformed"
    INVALID_STRING = "invalid-string", 400, "A string holds characters that cannot be stored"
    INVALID_HREF = "invalid-href", 400, "A href cannot be the target of an operation"
    INVALID_PARAMETER = "invalid-parameter", 400, "A query parameter is not supported"
    MISSING_IDEMPOTENCY_KEY = "missing-idempotency-key", 400, "A request needs an idempotency key"
    INVALID_IDEMPOTENCY_KEY = "invalid-idempotency-key", 400, "The idempotency key is malformed"
    UNDECLARED_LID = "undeclared-lid", 400, "A local id is used before an operation declares it"
    DUPLICATE_LID = "duplicate-lid", 400, "A local id is declared twice"
    BAD_REQUEST = "bad-request", 400, "The request cannot be read"
    OPERATION_NOT_SUPPORTED = "operation-not-supported", 403, "The operation is not supported"
    OPERATION_REFUSED = "operation-refused", 403, "The operation is not allowed"
    CLIENT_ID_FORBIDDEN = "client-id-forbidden", 403, "The id of a new resource is not the client's to choose"
    UNKNOWN_TYPE = "unknown-type", 404, "There is no such resource type"
    UNKNOWN_RELATIONSHIP = "unknown-relationship", 404, "The resource type has no such relationship"
    UNKNOWN_HREF = "unknown-href", 404, "The href leads nowhere"
    RESOURCE_NOT_FOUND = "resource-not-found", 404, "There is no such resource"
    RELATED_RESOURCE_NOT_FOUND = "related-resource-not-found", 404, "A related resource does not exist"
    METHOD_NOT_ALLOWED = "method-not-allowed", 405, "Operations are sent by POST"
    NOT_ACCEPTABLE = "not-acceptable", 406, "No acceptable media type can be sent"
    TARGET_MISMATCH = "target-mismatch", 409, "The data does not belong to the target"
    TYPE_MISMATCH = "type-mismatch", 409, "The relationship does not hold resources of this type"
    ID_TAKEN = "id-taken", 409, "A resource with this id exists already"
    CONFLICT = "conflict", 409, "The operation conflicts with what is stored"
    STALE = "stale", 409, "The resource has changed meanwhile"
    IDEMPOTENCY_KEY_IN_USE = "idempotency-key-in-use", 409, "A request with this idempotency key is being performed"
    TOO_LARGE = "too-large", 413, "The body is too large"
    UNSUPPORTED_MEDIA_TYPE = "unsupported-media-type", 415, "The media type is not supported"
    INVALID_ATTRIBUTE = "invalid-attribute", 422, "An attribute is not acceptable"
    INVALID_RELATIONSHIP = "invalid-relationship", 422, "A relationship is not acceptable"
    INVALID_RESOURCE = "invalid-resource", 422, "The resource is not acceptable"
    INVALID_ID = "invalid-id", 422, "The id cannot be one of this type"
    CLIENT_ID_REQUIRED = "client-id-required", 422, "A new resource needs an id from the client"
    TOO_MANY_OPERATIONS = "too-many-operations", 422, "The request has too many operations"
    TOO_MANY_MEMBERS = "too-many-members", 422, "A linkage has too many members"
    ANSWER_TOO_LARGE = "answer-too-large", 422, "The answer would be too large"
    NOT_ATOMIC = "not-atomic", 422, "The operations cannot be performed as one"
    IDEMPOTENCY_KEY_REUSED = "idempotency-key-reused", 422, "The idempotency key belongs to another request"
    IDEMPOTENCY_NOT_SUPPORTED = "idempotency-not-supported", 422, "An idempotency key cannot be kept"
    INTERNAL_ERROR = "internal-error", 500, "The server failed"
    PARTLY_COMMITTED = "partly-committed", 500, "Not every store has committed"
    OUTCOME_UNKNOWN = "outcome-unknown", 500, "It is not known whether the store has committed"
    UNAVAILABLE = "unavailable", 503, "The store cannot be used now"
    INSUFFICIENT_STORAGE = "insufficient-storage", 507, "The store has no room left"

    def __init__(self, code: str, status: int, title: str) -> None:
        self.code = code
        self.status = status
        self.title = title


class ErrorObject(NamedTuple):
    """One error object (JSON:API 1.1, "Error Objects"). At most one of `pointer`, `parameter` and `header` is set."""

    status: int
    code: str
    title: str
    detail: str
    pointer: str | None = None
    parameter: str | None = None
    header: str | None = None
    id: str | None = None

    @classmethod
    def of(
        cls,
        code: Code,
        detail: str,
        *,
        pointer: str | None = None,
        parameter: str | None = None,
        header: str | None = None,
        id: str | None = None,
    ) -> ErrorObject:
        """The error object of one occurrence of `code`; `detail` is for people and says what to do."""
        return cls(code.status, code.code, code.title, detail, pointer, parameter, header, id)

    def to_json(self) -> dict[str, Any]:
        """The object as it stands in a document."""
        told: dict[str, Any] = {"id": self.id} if self.id else {}
        told |= {"status": str(self.status), "code": self.code, "title": self.title, "detail": self.detail}
        source = {"pointer": self.pointer, "parameter": self.parameter, "header": self.header}
        source = {name: value for name, value in source.items() if value is not None}
        return told | ({"source": source} if source else {})


def pointer(*tokens: Token) -> str:
    """The JSON pointer (RFC 6901) to the value that `tokens` lead to from the root of the document.

    A name that is longer than any real one ends it: the pointer then leads to the nearest parent, since every error
    below would repeat the name.
    """
    short = takewhile(lambda token: len(token) <= _LONGEST_NAME, map(str, tokens))
    return "".join(f"/{token.replace('~', '~0').replace('/', '~1')}" for token in short)


def overall_status(errors: Iterable[ErrorObject]) -> int:
    """The HTTP status of an answer with these errors: theirs if they agree, else the most general one.

    JSON:API 1.1, "Processing Errors": 400 for a mix of 4xx, 500 as soon as one is a 5xx.
    """
    statuses = {error.status for error in errors}
    if len(statuses) == 1:
        return statuses.pop()
    return 500 if max(statuses) >= 500 else 400


class ConfigurationError(Exception):
    """The set-up is wrong. Raised while the application starts; the message names the culprit and says what to do."""


class PluginDefect(Exception):
    """A plugin broke a promise of a hook: it raised or returned what it must not. Clients are told nothing of it.

    :param hook: the name of the hook.
    :param plugins: the names of those who take part in it, first those that have the hook, then those that wrap it.
    :param how: what happened, as the rest of a sentence.
    """

    def __init__(self, hook: str, plugins: Sequence[str], how: str) -> None:
        super().__init__(f"{hook} of the plugin {' or '.join(map(repr, plugins))} {how}.")
        self.hook = hook
        self.plugins = tuple(plugins)


class RequestFailed(Exception):
    """The request is refused as a whole, for the reasons in `errors` (at least one)."""

    def __init__(self, *errors: ErrorObject, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(*(f"{error.code} at {error.pointer}: {error.detail}" for error in errors[:_TOLD]))
        self.errors = errors
        self.headers = dict(headers or {})

    @property
    def status(self) -> int:
        """The HTTP status of the answer."""
        return overall_status(self.errors)

    @classmethod
    def because_of(cls, failure: OperationFailed) -> RequestFailed:
        """The refusal for a failure that no operation is to blame for: that of a commit, or one that will pass."""
        headers = {"Retry-After": "1"} if failure.code is Code.UNAVAILABLE else None
        return cls(ErrorObject.of(failure.code, failure.detail), headers=headers)


class OperationFailed(Exception):
    """What a data layer or a plugin raises when an operation cannot be performed; raise one of the subclasses.

    :param detail: a sentence for the client. It is sent as it is: never put a driver's message into it.
    :param attribute: the attribute to blame, by the name that the entity has it under.
    :param relationship: the relationship to blame, likewise.

    The core finds the pointer: the attribute or relationship if the operation names it, else the operation.
    """

    code = Code.CONFLICT

    def __init__(self, detail: str, *, attribute: str | None = None, relationship: str | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.attribute = attribute
        self.relationship = relationship


class Refused(OperationFailed):
    """The operation is not allowed: 403."""

    code = Code.OPERATION_REFUSED


class NotFound(OperationFailed):
    """The resource is gone, although it was there when the core looked: 404."""

    code = Code.RESOURCE_NOT_FOUND


class Conflict(OperationFailed):
    """The operation contradicts what is stored, a unique value for instance: 409."""

    code = Code.CONFLICT


class Stale(Conflict):
    """Somebody else has changed the resource meanwhile: 409, at the version that the operation names if it does."""

    code = Code.STALE


class Unprocessable(OperationFailed):
    """The store cannot take the value: 422."""

    code = Code.INVALID_RESOURCE


class Transient(OperationFailed):
    """The store cannot serve the request now, but the same request may succeed later: 503 with `Retry-After`."""

    code = Code.UNAVAILABLE


class OutOfSpace(Transient):
    """The store has no room left: 507 (RFC 4918, section 11.5), if it has none when the request is tried again either.

    Without `Retry-After`: a client is not to repeat such a request by itself.
    """

    code = Code.INSUFFICIENT_STORAGE


class UnknownOutcome(OperationFailed):
    """The store was lost while it committed, and nobody knows whether it did: 500. For `atomic_commit` alone to raise.

    The request is not run again. Its other layers are rolled back.
    """

    code = Code.OUTCOME_UNKNOWN
