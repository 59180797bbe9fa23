"""A plan: the operations of one request as steps that can be performed, more than once if need be.

Nothing here changes once it is made, and nothing asks whether a step is right.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Any, Literal, NamedTuple

from .errors import Code, ErrorObject, OperationFailed, Stale, Token, Unprocessable
from .operations import Operation, ResourceObject
from .plugins import Binding, Layer
from .resources import Relationship, Resource

__all__ = ["Key", "Plan", "PlannedLinkage", "Step", "Verb", "blame", "target_path"]

Verb = Literal["add", "update", "remove", "add_to_relationship", "set_relationship", "remove_from_relationship"]
"""The hook that performs a step, without its prefix `atomic_`."""


class Key(NamedTuple):
    """What a resource is known by during one request: its type with its canonical id, or with its local id."""

    type: str
    id: Any
    lid: str | None


PlannedLinkage = Mapping[Key, tuple[Token, ...]]
"""The related resources of one relationship without duplicates, each with where the operation names it first."""


class Step(NamedTuple):
    """One operation, ready to be performed.

    :param target: the resource; None for a new one that has neither a client's id nor a local id.
    :param relationship: the relationship that the operation is on, if it is on one.
    :param attributes: loaded values by the attribute of the entity.
    :param linkage: the relationships to write.
    :param versions: those that the target must have, each with where the operation names it.
    """

    operation: Operation
    verb: Verb
    binding: Binding
    target: Key | None
    relationship: Relationship | None
    attributes: Mapping[str, Any]
    linkage: Mapping[Relationship, PlannedLinkage]
    versions: Mapping[str, tuple[Token, ...]]

    @property
    def may_wait(self) -> bool:
        """Whether the write may be flushed together with others.

        Not if it is that of the members of a to-many, nor if it writes the related resources as well, which is what
        taking them from others amounts to.
        """
        if not self.binding.may_wait or (self.relationship is not None and self.relationship.many):
            return False
        return not self.linkage or self.binding.exclusive.isdisjoint(self.linkage)

    @property
    def writes_like(self) -> str:
        """What the write is to a store: setting a to-one relationship updates its resource."""
        return "update" if self.verb == "set_relationship" else self.verb

    @property
    def named(self) -> Iterable[Key]:
        """Every resource that the operation names."""
        targets = () if self.target is None else (self.target,)
        return chain(targets, *self.linkage.values()) if self.linkage else targets

    def error(self, code: Code, detail: str, *tokens: Token) -> ErrorObject:
        """An error object that points into the operation."""
        return ErrorObject.of(code, detail, pointer=self.operation.pointer(*tokens))

    def blame(self, failure: OperationFailed) -> ErrorObject:
        """The error object of what a layer or a plugin raised: at the member it blames if that was sent."""
        if isinstance(failure, Stale):
            return self.error(failure.code, failure.detail, *next(iter(self.versions.values()), ()))
        return blame(self.operation, self.binding.resource, failure)


class Plan(NamedTuple):
    """All operations of a request, ready to be performed.

    :param written: the layers that the operations write to.
    :param max_answer: about how many bytes the results may have together, None for any number.
    """

    steps: tuple[Step, ...]
    written: frozenset[Layer]
    max_answer: int | None


def target_path(operation: Operation, member: str | None = None) -> tuple[str, ...]:
    """Where the operation names its target, or a member of that; a `href` has no members to point at."""
    if operation.href is not None:
        return ("href",)
    named = "data" if operation.ref is None else "ref"
    return (named,) if member is None else (named, member)


def blame(operation: Operation, resource: Resource, failure: OperationFailed) -> ErrorObject:
    """The error object of what was raised for an operation: at the member that the failure blames if that was sent.

    :param resource: the type that the operation writes.
    """
    on_relationship = operation.ref is not None and operation.ref.relationship is not None
    if operation.op == "remove" and not on_relationship and isinstance(failure, Unprocessable):
        detail = "What is stored cannot be without the resource."  # no value was sent
        return ErrorObject.of(Code.CONFLICT, detail, pointer=operation.pointer())
    code, path = _blamed(operation, resource, failure)
    if not isinstance(failure, Unprocessable):
        code = failure.code
    return ErrorObject.of(code, failure.detail, pointer=operation.pointer(*path))


def _blamed(operation: Operation, resource: Resource, failure: OperationFailed) -> tuple[Code, tuple[str, ...]]:
    """The member to blame, and the code that goes with a value there that is not acceptable."""
    data = operation.data
    if isinstance(data, ResourceObject):
        attribute = None if failure.attribute is None else resource.codec.attributes.get(failure.attribute)
        if attribute is not None and attribute in data.attributes:
            return Code.INVALID_ATTRIBUTE, ("data", "attributes", attribute)
        for name in data.relationships:
            relationship = resource.relationships.get(name)
            if relationship is not None and relationship.attribute == failure.relationship:
                return Code.INVALID_RELATIONSHIP, ("data", "relationships", name)
    elif operation.ref is not None and operation.ref.relationship is not None:
        relationship = resource.relationships.get(operation.ref.relationship)
        if relationship is not None and relationship.attribute == failure.relationship:
            return Code.INVALID_RELATIONSHIP, ("data",)
    return failure.code, ()
