"""Small data layers that write down what is asked of them, and fail where they are told to."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import count
from types import SimpleNamespace
from typing import Any

from flask_atomic import Conflict, hookimpl
from flask_atomic.hookspecs import Reference, Relationship, Resource

Key = tuple[str, Any]


class Row(SimpleNamespace):
    """A resource: attributes by name, and ids for relationships. What was never set is null."""

    def __getattr__(self, name: str) -> None:
        if name.startswith("__"):
            raise AttributeError(name)


class Unit:
    """What one unit of work sees."""

    def __init__(self, rows: Mapping[Key, Row]) -> None:
        self.rows = {key: Row(**vars(row)) for key, row in rows.items()}
        self.waiting: list[tuple[Resource, Row]] = []


class RecordingLayer:
    """Writes at once, and has no vote on the commit.

    Options of `Atomic.resource`: `unique` names attributes that no two resources may share; `exclusive` names
    relationships that take a resource from others; `inverse` has, by the name of a relationship, the type and the
    attribute of its other end, which then decides on it; `restrict` likewise, of those who forbid a removal.

    :param log: gets a tuple for each call: this layer's name, the hook, and what it was about.
    """

    def __init__(self, name: str, log: list[tuple[Any, ...]] | None = None) -> None:
        self.name = name
        self.log = [] if log is None else log
        self.failures: dict[str, BaseException] = {}
        """What to raise, by the name of the hook without its prefix."""
        self.rows: dict[Key, Row] = {}
        """What is committed."""
        self.open: list[Unit] = []
        """The units that were begun, and neither committed nor rolled back."""
        self._numbers = count(1)

    def hear(self, hook: str, *facts: Any) -> None:
        self.log.append((self.name, hook, *facts))
        if hook in self.failures:
            raise self.failures[hook]

    @hookimpl
    def atomic_claim(self) -> RecordingLayer:
        return self

    @hookimpl
    def atomic_exclusive(self, resource: Resource, relationship: Relationship) -> bool:
        return relationship.name in resource.options.get("exclusive", ())

    @hookimpl
    def atomic_begin(self) -> Unit:
        self.hear("begin")
        self.open.append(Unit(self.rows))
        return self.open[-1]

    @hookimpl
    def atomic_commit(self, unit: Unit) -> None:
        self.hear("commit")
        self.rows = unit.rows
        self.open.remove(unit)

    @hookimpl
    def atomic_rollback(self, unit: Unit) -> None:
        self.hear("rollback")
        self.open.remove(unit)

    @hookimpl
    def atomic_parse_id(self, text: str) -> int | None:
        return int(text) if text.isdecimal() else None

    @hookimpl
    def atomic_get(self, unit: Unit, resource: Resource, ids: Sequence[int]) -> dict[int, Row]:
        self.hear("get", resource.type, list(ids))
        return {id_: unit.rows[resource.type, id_] for id_ in ids if (resource.type, id_) in unit.rows}

    @hookimpl
    def atomic_identify(self, resource: Resource, entity: Row) -> int | None:
        self.hear("identify", resource.type)
        return entity.id

    @hookimpl
    def atomic_linkage(
        self, unit: Unit, resource: Resource, entities: Sequence[Row], relationship: Relationship
    ) -> list[Any]:
        self.hear("linkage", relationship.name, len(entities))
        inverse = resource.options.get("inverse", {}).get(relationship.name)
        if inverse is None:
            found = [_ids(getattr(entity, relationship.attribute)) for entity in entities]
        else:
            found = [[row.id for row in _referring(unit, inverse, entity.id)] for entity in entities]
        return found if relationship.many else [ids[0] if ids else None for ids in found]

    @hookimpl
    def atomic_add(
        self,
        unit: Unit,
        resource: Resource,
        id: int | None,
        attributes: Mapping[str, Any],
        relationships: Mapping[Relationship, Any],
    ) -> Row:
        self.hear("add", resource.type)
        row = Row(**attributes, id=id)
        _relate(row, relationships)
        self.write(unit, resource, row)
        return row

    @hookimpl
    def atomic_update(
        self,
        unit: Unit,
        resource: Resource,
        entity: Row,
        attributes: Mapping[str, Any],
        relationships: Mapping[Relationship, Any],
    ) -> Row:
        self.hear("update", resource.type, entity.id)
        vars(entity).update(attributes)
        _relate(entity, relationships)
        self.write(unit, resource, entity)
        return entity

    @hookimpl
    def atomic_remove(self, unit: Unit, resource: Resource, entity: Row) -> None:
        self.hear("remove", resource.type, entity.id)
        entity.removed = True
        self.write(unit, resource, entity)

    @hookimpl
    def atomic_set_relationship(
        self, unit: Unit, resource: Resource, entity: Row, relationship: Relationship, related: Any
    ) -> None:
        self.hear("set_relationship", relationship.name)
        _relate(entity, {relationship: related})
        self.write(unit, resource, entity)

    @hookimpl
    def atomic_add_to_relationship(
        self, unit: Unit, resource: Resource, entity: Row, relationship: Relationship, related: Sequence[Reference]
    ) -> None:
        self.hear("add_to_relationship", relationship.name)
        members = dict.fromkeys([*_ids(getattr(entity, relationship.attribute)), *(each.id for each in related)])
        setattr(entity, relationship.attribute, list(members))
        self.write(unit, resource, entity)

    @hookimpl
    def atomic_remove_from_relationship(
        self, unit: Unit, resource: Resource, entity: Row, relationship: Relationship, related: Sequence[Reference]
    ) -> None:
        self.hear("remove_from_relationship", relationship.name)
        gone = [each.id for each in related]
        members = [id_ for id_ in _ids(getattr(entity, relationship.attribute)) if id_ not in gone]
        setattr(entity, relationship.attribute, members)
        self.write(unit, resource, entity)

    def write(self, unit: Unit, resource: Resource, row: Row) -> None:
        """Write a row that was added, changed or removed, now or later."""
        self.store(unit, [(resource, row)])

    def store(self, unit: Unit, written: Iterable[tuple[Resource, Row]]) -> None:
        """Write rows as one statement would: what must hold is looked at when all are there."""
        written = list(written)
        for resource, row in written:
            row.id = next(self._numbers) if row.id is None else row.id
            unit.rows[resource.type, row.id] = row
        for resource, row in written:
            self._relate_by_id(unit, resource, row)
            if row.removed:
                unit.rows.pop((resource.type, row.id), None)
        for resource, row in written:
            _check(unit, resource, row)

    @staticmethod
    def _relate_by_id(unit: Unit, resource: Resource, row: Row) -> None:
        for relationship in resource.relationships.values():
            related = _ids(getattr(row, relationship.attribute))
            setattr(row, relationship.attribute, related)
            if relationship.name not in resource.options.get("exclusive", ()):
                continue
            for id_ in related:
                for other in _referring(unit, (resource.type, relationship.attribute), id_):
                    left = [each for each in _ids(getattr(other, relationship.attribute)) if each != id_]
                    setattr(other, relationship.attribute, related if other is row else left)


class Voting(RecordingLayer):
    """Has a vote on the commit."""

    @hookimpl
    def atomic_prepare(self) -> None:
        self.hear("prepare")


class Deferring(RecordingLayer):
    """Lets writes wait for a flush, which alone tells the ids of new resources."""

    def write(self, unit: Unit, resource: Resource, row: Row) -> None:
        unit.waiting.append((resource, row))

    @hookimpl
    def atomic_flush(self, unit: Unit) -> None:
        self.hear("flush", len(unit.waiting))
        waiting, unit.waiting = unit.waiting, []
        self.store(unit, waiting)


def _relate(row: Row, relationships: Mapping[Relationship, Any]) -> None:
    for relationship, related in relationships.items():
        setattr(row, relationship.attribute, related if relationship.many else [] if related is None else [related])


def _ids(related: Collection[Any] | None) -> list[Any]:
    return [each.id if isinstance(each, Reference) else each for each in related or ()]


def _referring(unit: Unit, end: tuple[str, str], id_: Any) -> list[Row]:
    """The rows of a type whose attribute refers to that id."""
    type_, attribute = end
    return [row for (of, _), row in unit.rows.items() if of == type_ and id_ in _ids(getattr(row, attribute))]


def _check(unit: Unit, resource: Resource, row: Row) -> None:
    if row.removed:
        if any(_referring(unit, end, row.id) for end in resource.options.get("restrict", ())):
            raise Conflict("Others refer to the resource.")
        return
    others = [other for (type_, _), other in unit.rows.items() if type_ == resource.type and other is not row]
    for name in resource.options.get("unique", ()):
        if getattr(row, name) is not None and getattr(row, name) in [getattr(other, name) for other in others]:
            raise Conflict("The value is taken.", attribute=name)
