"""Request documents, built one operation at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from ..operations import OPERATIONS

__all__ = ["Document", "Linkage", "ResourceIdentifier", "identifier"]

ResourceIdentifier = Mapping[str, Any]
"""An object with a `type` and an `id` or `lid`: what `identifier` returns, or a whole resource of a result."""

Linkage = ResourceIdentifier | Sequence[ResourceIdentifier] | None
"""What a relationship holds: a resource or None (to-one), or any number of resources (to-many)."""


def identifier(type: str, id: str | None = None, *, lid: str | None = None) -> dict[str, str]:
    """Return the identifier of a resource that is stored, by its `id`, or that the same document adds, by its `lid`."""
    return {"type": type} | _given(id=id, lid=lid)


@dataclass(frozen=True)
class Document:
    """A request document. It never changes: each method returns a new one with one operation more.

    :param operations: the operation objects, as JSON has them.
    """

    operations: tuple[Mapping[str, Any], ...] = ()

    def add(
        self,
        type: str,
        *,
        id: str | None = None,
        lid: str | None = None,
        attributes: Mapping[str, Any] | None = None,
        relationships: Mapping[str, Linkage] | None = None,
        href: str | None = None,
        meta: Mapping[str, Any] | None = None,
    ) -> Document:
        """Add a resource; `href` names its collection besides."""
        data = _resource({"type": type} | _given(id=id, lid=lid), attributes, relationships)
        return self.operation({"op": "add", **_given(href=href), "data": data, **_given(meta=meta)})

    def update(
        self,
        target: ResourceIdentifier,
        *,
        attributes: Mapping[str, Any] | None = None,
        relationships: Mapping[str, Linkage] | None = None,
        href: str | None = None,
        meta: Mapping[str, Any] | None = None,
    ) -> Document:
        """Update a resource; `href` names it besides. Without attributes and relationships it is only read."""
        data = _resource(_identifier(target), attributes, relationships)
        return self.operation({"op": "update", **_given(href=href), "data": data, **_given(meta=meta)})

    def remove(self, target: ResourceIdentifier | str, *, meta: Mapping[str, Any] | None = None) -> Document:
        """Remove a resource; a text is its `href`."""
        return self.operation({"op": "remove", **_target(target), **_given(meta=meta)})

    def add_to_relationship(
        self,
        target: ResourceIdentifier | str,
        relationship: str,
        related: Sequence[ResourceIdentifier],
        *,
        meta: Mapping[str, Any] | None = None,
    ) -> Document:
        """Add members to a to-many relationship of a resource; a text is the resource's `href`."""
        return self._on_relationship("add", target, relationship, related, meta)

    def set_relationship(
        self,
        target: ResourceIdentifier | str,
        relationship: str,
        related: Linkage,
        *,
        meta: Mapping[str, Any] | None = None,
    ) -> Document:
        """Set a to-one relationship of a resource, or replace all members of a to-many; a text is its `href`."""
        return self._on_relationship("update", target, relationship, related, meta)

    def remove_from_relationship(
        self,
        target: ResourceIdentifier | str,
        relationship: str,
        related: Sequence[ResourceIdentifier],
        *,
        meta: Mapping[str, Any] | None = None,
    ) -> Document:
        """Remove members from a to-many relationship of a resource; a text is the resource's `href`."""
        return self._on_relationship("remove", target, relationship, related, meta)

    def operation(self, operation: Mapping[str, Any]) -> Document:
        """Append an operation object as it is: one that is malformed, for instance."""
        return Document((*self.operations, deepcopy(dict(operation))))

    def to_json(self) -> dict[str, Any]:
        """The document as JSON has it, for `Atomic.perform` or another client."""
        return {OPERATIONS: [deepcopy(dict(operation)) for operation in self.operations]}

    def _on_relationship(
        self,
        op: str,
        target: ResourceIdentifier | str,
        relationship: str,
        related: Linkage,
        meta: Mapping[str, Any] | None,
    ) -> Document:
        return self.operation(
            {"op": op, **_target(target, relationship), "data": _linkage(related), **_given(meta=meta)}
        )


def _given(**members: Any) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}


def _resource(
    identified: dict[str, Any], attributes: Mapping[str, Any] | None, relationships: Mapping[str, Linkage] | None
) -> dict[str, Any]:
    if relationships is None:
        return identified | _given(attributes=attributes)
    linked = {name: {"data": _linkage(related)} for name, related in relationships.items()}
    return identified | _given(attributes=attributes, relationships=linked)


def _identifier(resource: ResourceIdentifier) -> dict[str, Any]:
    return {name: resource[name] for name in ("type", "id", "lid") if name in resource}


def _linkage(related: Linkage) -> Any:
    if related is None:
        return None
    return _identifier(related) if isinstance(related, Mapping) else [_identifier(each) for each in related]


def _target(target: ResourceIdentifier | str, relationship: str | None = None) -> dict[str, Any]:
    if not isinstance(target, str):
        return {"ref": _identifier(target) | _given(relationship=relationship)}
    return {"href": target if relationship is None else f"{target}/relationships/{quote(relationship, safe='')}"}
