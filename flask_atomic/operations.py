"""What a request consists of: operations, the resource objects in them, and the identifiers in those.

These are the values that the request document holds, made by `document` and never changed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from .errors import Token, pointer

__all__ = ["NOTHING", "OPERATIONS", "RESULTS", "Identifier", "Linkage", "Operation", "Ref", "ResourceObject"]

OPERATIONS = "atomic:operations"
"""The member of a request document that holds the operations."""

RESULTS = "atomic:results"
"""The member of a response document that holds the results."""


NOTHING: Mapping[Any, Any] = MappingProxyType({})
"""What stands for an object or a table that is not there."""


class Identifier(NamedTuple):
    """A resource identifier object: a `type` with either an `id` or a local id (`lid`)."""

    type: str
    id: str | None
    lid: str | None


Linkage = Identifier | tuple[Identifier, ...] | None
"""Resource linkage: one identifier or none for a to-one relationship, a tuple of them for a to-many."""


class Ref(NamedTuple):
    """What an operation targets: a resource, a relationship of one, or (`id` and `lid` both None) a collection.

    :param meta: the `meta` of the member `ref`; a `href` has none.
    """

    type: str
    id: str | None
    lid: str | None
    relationship: str | None
    meta: Mapping[str, Any] = NOTHING


class ResourceObject(NamedTuple):
    """The `data` of an operation on a resource.

    :param relationships: the linkage of each relationship by its name.
    :param members: the names of the members that were sent, `attributes` for instance.
    """

    type: str
    id: str | None
    lid: str | None
    attributes: Mapping[str, Any]
    relationships: Mapping[str, Linkage]
    meta: Mapping[str, Any]
    members: Collection[str]


class Operation(NamedTuple):
    """One operation object, in the shape that the extension asks for ("Operation Objects").

    :param index: its place in the request, from 0.
    :param op: what to do.
    :param ref: the target, from the member `ref` or from where `href` leads; None without a target.
    :param href: the member `href`; where it leads nowhere, `ref` is None.
    :param data: the resource of an `add` or `update`, the linkage of an operation on a relationship, else None.
    :param meta: the operation's own `meta`.
    """

    index: int  # type: ignore[assignment]  # of a tuple, nobody asks where a value is in it
    op: Literal["add", "update", "remove"]
    ref: Ref | None
    href: str | None
    data: ResourceObject | Linkage
    meta: Mapping[str, Any]

    def pointer(self, *tokens: Token) -> str:
        """The pointer to a member of this operation; to the operation itself without tokens."""
        return pointer(OPERATIONS, self.index, *tokens)
