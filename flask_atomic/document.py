"""A request document to operations: what has the wrong shape, and nothing else.

Every malformed operation is told in one answer. The module never asks which resource types exist: where a `href` leads
is told to it by the function that it is given.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .errors import MOST_ERRORS, Code, ErrorObject, RequestFailed, Token, pointer
from .operations import OPERATIONS, RESULTS, Identifier, Linkage, Operation, Ref, ResourceObject

__all__ = ["ResolveHref", "read"]

_FOREIGN_MEMBERS = ("data", "included", "errors", RESULTS)

ResolveHref = Callable[[str], Ref | None]
"""Where a `href` leads, None for nowhere.

:raises ValueError: if it cannot be a target at all; the argument is told to the client.
"""


def read(document: Any, resolve_href: ResolveHref, max_operations: int | None = None) -> list[Operation]:
    """Return the operations of a request document in their order.

    :param document: the parsed body.
    :param max_operations: how many are accepted; None for any number.
    :raises RequestFailed: 400 with an error for each malformed operation (extension, "Processing Errors"), 422 if
        there are too many.
    """
    objects = _operation_objects(document)
    if max_operations is not None and len(objects) > max_operations:
        detail = f"{len(objects)} operations were sent; at most {max_operations} are accepted."
        raise RequestFailed(ErrorObject.of(Code.TOO_MANY_OPERATIONS, detail, pointer=pointer(OPERATIONS)))
    operations: list[Operation] = []
    errors: list[ErrorObject] = []
    for index, value in enumerate(objects):
        try:
            operations.append(_operation(index, value, resolve_href))
        except _Malformed as flaw:
            errors.append(ErrorObject.of(flaw.code, flaw.detail, pointer=pointer(OPERATIONS, index, *flaw.tokens)))
            if len(errors) == MOST_ERRORS:
                break
    if errors:
        raise RequestFailed(*errors)
    return operations


class _Malformed(Exception):
    """A value has the wrong shape. `tokens` lead to it from the value being read; each caller puts its own in front."""

    def __init__(self, detail: str, *tokens: Token, code: Code = Code.INVALID_OPERATION) -> None:
        self.detail = detail
        self.tokens = tokens
        self.code = code

    def below(self, *tokens: Token) -> _Malformed:
        return _Malformed(self.detail, *tokens, *self.tokens, code=self.code)


def _operation_objects(document: Any) -> list[Any]:
    if not isinstance(document, dict):
        raise _invalid("The document is not an object.")
    foreign = [name for name in _FOREIGN_MEMBERS if name in document]
    if foreign:
        detail = "A request of this extension has no such top-level member."
        raise RequestFailed(*(_problem(detail, name) for name in foreign))
    if not isinstance(document.get("meta", {}), dict):
        raise _invalid("'meta' is not an object.", "meta")
    if OPERATIONS not in document:
        raise _invalid(f"The document has no member '{OPERATIONS}'.")
    objects = document[OPERATIONS]
    if not isinstance(objects, list) or not objects:
        raise _invalid(f"'{OPERATIONS}' is not an array of one or more operations.", OPERATIONS)
    return objects


def _problem(detail: str, *tokens: Token) -> ErrorObject:
    return ErrorObject.of(Code.INVALID_DOCUMENT, detail, pointer=pointer(*tokens))


def _invalid(detail: str, *tokens: Token) -> RequestFailed:
    return RequestFailed(_problem(detail, *tokens))


def _operation(index: int, value: Any, resolve_href: ResolveHref) -> Operation:
    if not isinstance(value, dict):
        raise _Malformed("The operation is not an object.")
    if "op" not in value:
        raise _Malformed("The operation has no member 'op'.")
    op = value["op"]
    if op not in ("add", "update", "remove"):
        raise _Malformed("'op' is not 'add', 'update' or 'remove'.", "op")
    # What was not sent is empty, and a dict as if it was: plugins may write it as JSON, or hand it to a job.
    meta = _object(value, "meta") if "meta" in value else {}
    ref, href = _target(op, value, resolve_href) if "ref" in value or "href" in value else (None, None)
    return Operation(index, op, ref, href, _data(op, value, ref, href), meta)


def _data(op: str, value: dict[str, Any], ref: Ref | None, href: str | None) -> ResourceObject | Linkage:
    if href is not None and ref is None:
        return None  # it leads nowhere: what its data should look like cannot be told
    if ref is not None and ref.relationship is not None:
        return _relationship_data(value)
    if ref is not None and ref.id is None and ref.lid is None and op != "add":
        raise _Malformed("The href names a collection; only 'add' can target one.", "href", code=Code.INVALID_HREF)
    if op != "remove":
        return _resource_data(op, value)
    _check_removal(value, ref)
    return None


def _object(value: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """The object that the member `name` holds."""
    member = value[name]
    if not isinstance(member, dict):
        raise _Malformed(f"'{name}' is not an object.", name)
    return member


def _target(op: str, value: dict[str, Any], resolve_href: ResolveHref) -> tuple[Ref | None, str | None]:
    if "ref" in value:
        if "href" in value:
            raise _Malformed("'ref' and 'href' exclude each other.", "href")
        try:
            return _ref(op, value["ref"]), None
        except _Malformed as flaw:
            raise flaw.below("ref") from None
    href = value["href"]
    if not isinstance(href, str):
        raise _Malformed("'href' is not a string.", "href")
    try:
        return resolve_href(href), href
    except ValueError as error:
        raise _Malformed(str(error), "href", code=Code.INVALID_HREF) from None


def _ref(op: str, value: Any) -> Ref:
    type_, id_, lid = _identity(value)
    # Some clients name the collection that they add to by a ref; it says nothing that the data does not say.
    if id_ is None and lid is None and (op != "add" or "relationship" in value):
        raise _unidentified()
    relationship = _text(value, "relationship") if "relationship" in value else None
    return Ref(type_, id_, lid, relationship, value.get("meta", {}))


def _identifier(value: Any) -> Identifier:
    type_, id_, lid = _identity(value)
    if id_ is None and lid is None:
        raise _unidentified()
    return Identifier(type_, id_, lid)


def _unidentified() -> _Malformed:
    return _Malformed("A resource identifier has neither 'id' nor 'lid'.")


def _identity(value: Any) -> tuple[str, str | None, str | None]:
    """The three identifying members. Whether `id` and `lid` may both be missing is for the caller to say.

    What has them may have `meta` as well, which is an object wherever it stands (JSON:API 1.1, "Meta Information").
    """
    if not isinstance(value, dict):
        raise _Malformed("A resource or a resource identifier is an object.")
    if "type" not in value:
        raise _Malformed("The member 'type' is missing.")
    type_ = _text(value, "type")
    id_ = _text(value, "id") if "id" in value else None
    lid = _text(value, "lid") if "lid" in value else None
    if id_ is not None and lid is not None:
        raise _Malformed("'id' and 'lid' exclude each other.", "lid")
    if "meta" in value:
        _object(value, "meta")
    return type_, id_, lid


def _text(value: dict[str, Any], name: str) -> str:
    text = value[name]
    if not isinstance(text, str) or not text:
        raise _Malformed(f"'{name}' is not a string of one or more characters.", name)
    return text


def _linkage(value: Any) -> Linkage:
    if value is None:
        return None
    if not isinstance(value, list):
        return _identifier(value)
    identifiers = []
    for position, member in enumerate(value):
        try:
            identifiers.append(_identifier(member))
        except _Malformed as flaw:
            raise flaw.below(position) from None
    return tuple(identifiers)


def _linkage_of(value: dict[str, Any]) -> Linkage:
    try:
        return _linkage(value["data"])
    except _Malformed as flaw:
        raise flaw.below("data") from None


def _relationship_data(value: dict[str, Any]) -> Linkage:
    if "data" not in value:
        raise _Malformed("An operation on a relationship needs 'data'.")
    return _linkage_of(value)


def _check_removal(value: dict[str, Any], ref: Ref | None) -> None:
    if ref is None:
        raise _Malformed("The removal of a resource needs 'ref' or 'href'.")
    if "data" in value:
        raise _Malformed(
            "The removal of a resource has no 'data'; to remove members of a relationship, name it in the target.",
            "data",
        )


def _resource_data(op: str, value: dict[str, Any]) -> ResourceObject:
    if "data" not in value:
        raise _Malformed(f"The operation '{op}' of a resource needs 'data'.")
    try:
        resource = _resource_object(value["data"])
        if op == "update" and resource.id is None and resource.lid is None:
            raise _Malformed("The resource to update has neither 'id' nor 'lid'.")
    except _Malformed as flaw:
        raise flaw.below("data") from None
    return resource


def _resource_object(value: Any) -> ResourceObject:
    type_, id_, lid = _identity(value)
    attributes = _named_values(value, "attributes") if "attributes" in value else {}
    relationships: Mapping[str, Any] = {}
    if "relationships" in value:
        named = _named_values(value, "relationships")
        relationships = {name: _relationship_object(name, member) for name, member in named.items()}
    return ResourceObject(type_, id_, lid, attributes, relationships, value.get("meta", {}), frozenset(value))


def _named_values(value: dict[str, Any], name: str) -> Mapping[str, Any]:
    """The object `attributes` or `relationships` without its @-members (JSON:API 1.1, "@-Members": ignore them)."""
    members = _object(value, name)
    for member in members:
        if "@" in member and member[0] == "@":
            return {each: inner for each, inner in members.items() if each[:1] != "@"}
    return members


def _relationship_object(name: str, value: Any) -> Linkage:
    try:
        if not isinstance(value, dict):
            raise _Malformed("A relationship is an object with the member 'data'.")
        if "data" not in value:
            raise _Malformed("The relationship has no member 'data'.")
        if "meta" in value:
            _object(value, "meta")
        return _linkage_of(value)
    except _Malformed as flaw:
        raise flaw.below("relationships", name) from None
