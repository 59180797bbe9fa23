"""The values of one operation on their way into an entity: attributes, and relationships in an order that works."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy.orm.attributes import flag_modified

from ...errors import Unprocessable
from ...hookspecs import Entity, Reference, Related, Relationship
from .mapping import Mapped
from .model import state_of
from .to_one import ToOne
from .unit import Unit

__all__ = ["Accepting", "foreign_ids", "prepare", "set_attributes", "set_relationships", "write_all"]

_NOT_ACCEPTED = (ValueError, AssertionError)
_DETAIL = "The value is not acceptable."


def foreign_ids(mapped: Mapped, relationships: Mapping[Relationship, Related]) -> dict[str, Any]:
    """The values of the columns that keep ids, by attribute.

    Asking for an id may flush, so it is done before anything of the operation waits.
    """
    if not relationships or not mapped.foreign_ids:
        return {}
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
    name = None
    try:
        for name, value in values.items():
            setattr(entity, name, value)
    except _NOT_ACCEPTED as error:
        raise Unprocessable(_DETAIL, attribute=name) from error


def set_relationships(
    mapped: Mapped, unit: Unit, entity: Entity, relationships: Mapping[Relationship, Related]
) -> None:
    """Set what the row itself refers to first, then what refers to it."""
    if not relationships:
        return
    relations = {each: mapped.relations[each] for each in relationships if each in mapped.relations}
    circular = False
    for relationship, relation in sorted(relations.items(), key=lambda item: not item[1].columns):
        if circular and relation.refers_to_itself and not relation.columns:
            unit.flush()  # a session finds no order for rows that refer to each other
        circular = circular or relation.refers_to_itself
        with Accepting(relationship.attribute):
            relation.set(unit, entity, relationships[relationship])


def write_all(mapped: Mapped, entity: Entity, values: Mapping[str, Any], relationships: Iterable[Relationship]) -> None:
    """Have all that is set be written, also what has the value already.

    Another request may have changed it since it was read, and then this one would be stored in part. Where rows have
    versions, that is found out.
    """
    if mapped.model.mapper.version_id_col is not None or not state_of(entity).persistent:
        return
    relations = [mapped.relations[each] for each in relationships if each in mapped.relations]
    local = [relation.local for relation in relations if isinstance(relation, ToOne) and relation.local is not None]
    for name in (*values, *local):
        if name in mapped.model.column and name in entity.__dict__:
            flag_modified(entity, name)


class Accepting:
    """Lets validators of the application refuse a value, by ValueError or by `assert`, as SQLAlchemy's examples do.

    :param relationship: the attribute that holds the relationship that is set.
    """

    __slots__ = ("_relationship",)

    def __init__(self, relationship: str | None = None) -> None:
        self._relationship = relationship

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, _NOT_ACCEPTED):
            raise Unprocessable(_DETAIL, relationship=self._relationship) from error
