"""The values of one operation on their way into an entity: attributes, and relationships in an order that works."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ...errors import Unprocessable
from ...hookspecs import Entity, Reference, Related, Relationship
from .mapping import Mapped
from .unit import Unit

__all__ = ["accepting", "foreign_ids", "prepare", "set_attributes", "set_relationships"]


def foreign_ids(mapped: Mapped, relationships: Mapping[Relationship, Related]) -> dict[str, Any]:
    """The values of the columns that keep ids, by attribute.

    Asking for an id may flush, so it is done before anything of the operation waits.
    """
    references = {each: related for each, related in relationships.items() if each in mapped.foreign_ids}
    return {
        relationship.attribute: reference.id if isinstance(reference, Reference) else None
        for relationship, reference in references.items()
    }


def prepare(mapped: Mapped, unit: Unit, entity: Entity | None, relationships: Mapping[Relationship, Related]) -> None:
    """Make way for the relationships; `entity` is None for one that is about to be added."""
    for relationship, related in relationships.items():
        if relationship in mapped.relations:
            mapped.relations[relationship].prepare(unit, entity, related)


def set_attributes(entity: Entity, values: Mapping[str, Any]) -> None:
    """Set attributes one by one, so that one that is refused can be named."""
    for name, value in values.items():
        with accepting(attribute=name):
            setattr(entity, name, value)


def set_relationships(
    mapped: Mapped, unit: Unit, entity: Entity, relationships: Mapping[Relationship, Related]
) -> None:
    """Set what the row itself refers to first, then what refers to it."""
    relations = {each: mapped.relations[each] for each in relationships if each in mapped.relations}
    circular = False
    for relationship, relation in sorted(relations.items(), key=lambda item: not item[1].columns):
        if circular and relation.refers_to_itself and not relation.columns:
            unit.flush()  # a session finds no order for rows that refer to each other
        circular = circular or relation.refers_to_itself
        with accepting(relationship=relationship.attribute):
            relation.set(unit, entity, relationships[relationship])


@contextmanager
def accepting(*, attribute: str | None = None, relationship: str | None = None) -> Iterator[None]:
    """Let validators of the application refuse a value, by ValueError or by `assert`, as SQLAlchemy's examples do."""
    try:
        yield
    except (ValueError, AssertionError) as error:
        detail = "The value is not acceptable."
        raise Unprocessable(detail, attribute=attribute, relationship=relationship) from error
