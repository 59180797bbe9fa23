"""What a test of the contract expects to see. The messages say both, with and without the rewriting of pytest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...hookspecs import Id, Relationship, Resource
from .work import Shown

__all__ = ["expect", "expect_attributes", "expect_related"]


def expect(what: str, seen: object, expected: object) -> None:
    """Compare, and say what it is about if the two are not the same."""
    __tracebackhide__ = True
    if seen != expected:
        raise AssertionError(f"{what}: expected {expected!r}, seen {seen!r}.")


def expect_attributes(what: str, resource: Resource, shown: Shown | None, attributes: Mapping[str, Any]) -> None:
    """Compare the attributes, as far as resources of the type show them."""
    __tracebackhide__ = True
    expected = {name: value for name, value in attributes.items() if name in resource.codec.fields}
    seen = None if shown is None else {name: shown.get(name) for name in expected}
    expect(f"{what}, attributes", seen, expected)


def expect_related(what: str, relationship: Relationship, shown: Shown | None, *ids: Id) -> None:
    """Compare what a relationship shows, in whatever order: nothing or one for a to-one, any number for a to-many."""
    __tracebackhide__ = True
    expected = sorted(ids, key=str) if relationship.many else ids[0] if ids else None
    seen = "no such resource" if shown is None else shown[relationship.name]
    expect(f"{what}, '{relationship.name}'", seen, expected)
