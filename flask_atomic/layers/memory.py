"""A data layer that keeps resources in the memory of the process: for tests, prototypes, and as an example to read.

A unit of work takes a copy of each resource when it first meets it. What it changes stays with it until the commit,
which is refused if another unit has committed a change to any of them in the meantime.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from threading import Lock
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

from ..errors import ConfigurationError, Conflict, Transient
from ..hookspecs import Reference, Relationship, Remembered, Resource, hookimpl

__all__ = ["MemoryLayer"]

Key = tuple[str, Any]
"""The type and the id of a resource."""


class Entity(SimpleNamespace):
    """A resource: its `id`, its attributes, and the ids of what it is related to, a tuple of them for a to-many.

    How often it was written is kept beside, so that an attribute may be called what it likes.
    """

    __slots__ = ("_written",)

    def __getattr__(self, name: str) -> None:
        if name.startswith("__"):
            raise AttributeError(name)
        return None  # what was never set is null


class MemoryLayer:
    """Serves every resource type it is asked to.

    Options of `Atomic.resource`: `id_type` is the type of the ids: `int` (the default), `str` or `uuid.UUID`.
    `defaults` has, by attribute, functions without arguments that make the value of a new resource that was given
    none. `versioned=True` gives the resources versions. Other options are passed over, since a type may have been
    declared for another layer. Relationships are independent of each other: the other end of one is set by those who
    set it.

    :param name: what `Atomic.resource(layer=...)` calls it.
    """

    def __init__(self, name: str = "memory") -> None:
        self.name = name
        self._resources: dict[str, Resource] = {}
        self._entities: dict[Key, Entity] = {}
        self._remembered: dict[str, Remembered] = {}
        self._numbers = count(1)
        self._committing = Lock()

    @hookimpl
    def atomic_claim(self, resource: Resource) -> MemoryLayer:
        if resource.options.get("id_type", int) not in _PARSERS:
            raise ConfigurationError(f"The id_type of '{resource.type}' is not int, str or uuid.UUID.")
        if not isinstance(resource.options.get("versioned", False), bool):
            raise ConfigurationError(f"versioned= of '{resource.type}' is not True or False.")
        defaults = resource.options.get("defaults", {})
        if not isinstance(defaults, Mapping) or not all(map(callable, defaults.values())):
            raise ConfigurationError(f"defaults= of '{resource.type}' is no mapping of attributes to functions.")
        self._resources[resource.type] = resource
        return self

    @hookimpl
    def atomic_exclusive(self) -> bool:
        return False

    @hookimpl
    def atomic_versioned(self, resource: Resource) -> bool:
        return bool(resource.options.get("versioned", False))

    @hookimpl
    def atomic_begin(self) -> Unit:
        return Unit(self._entities)

    @hookimpl
    def atomic_prepare(self, unit: Unit) -> None:
        self._committing.acquire()
        unit.holds_lock = True
        changed = any(self._entities.get(key) is not found for key, found in unit.found.items())
        if changed or any(type_ in unit.searched and (type_, id_) not in unit.found for type_, id_ in self._entities):
            raise Transient("Another request has changed the same resources.")
        if any(self._remembered.get(key) is not unit.recalled.get(key) for key in unit.remembered):
            raise Conflict("Another request has the same key.")

    @hookimpl
    def atomic_commit(self, unit: Unit) -> None:
        for key in unit.changed:
            entity = unit.entities[key]
            if entity is None:
                self._entities.pop(key, None)
            else:
                self._entities[key] = entity
        self._remembered.update(unit.remembered)
        for digest, remembered in unit.forgotten.items():
            if self._remembered.get(digest) is remembered:
                del self._remembered[digest]
        self._release(unit)

    @hookimpl
    def atomic_rollback(self, unit: Unit) -> None:
        self._release(unit)

    def _release(self, unit: Unit) -> None:
        if unit.holds_lock:
            unit.holds_lock = False
            self._committing.release()

    @hookimpl
    def atomic_parse_id(self, resource: Resource, text: str) -> Any:
        return _PARSERS[resource.options.get("id_type", int)](text)

    @hookimpl
    def atomic_get(self, unit: Unit, resource: Resource, ids: Sequence[Any]) -> Mapping[Any, Entity]:
        found = {id_: unit.get((resource.type, id_)) for id_ in ids}
        return {id_: entity for id_, entity in found.items() if entity is not None}

    @hookimpl
    def atomic_identify(self, entity: Entity) -> Any:
        return entity.id

    @hookimpl
    def atomic_linkage(
        self, unit: Unit, resource: Resource, entities: Sequence[Entity], relationship: Relationship
    ) -> list[Any]:
        return [_related_ids(entity, relationship) for entity in entities]

    @hookimpl
    def atomic_version(self, entities: Sequence[Entity]) -> list[str]:
        return [str(entity._written) for entity in entities]

    @hookimpl
    def atomic_match_version(self, entity: Entity, version: str) -> bool:
        return version == str(entity._written)  # the vote finds out who has changed it since

    @hookimpl
    def atomic_add(
        self,
        unit: Unit,
        resource: Resource,
        id: Any,
        attributes: Mapping[str, Any],
        relationships: Mapping[Relationship, Any],
    ) -> Entity:
        if id is not None and unit.get((resource.type, id)) is not None:
            raise Conflict("Another resource has this id already.")  # the core looked, but a wrapper may hide some
        defaults = {name: make() for name, make in resource.options.get("defaults", {}).items()}
        entity = Entity(**{**defaults, **attributes, "id": self._new_id(unit, resource) if id is None else id})
        unit.put((resource.type, entity.id), entity)
        _relate(entity, relationships)
        return entity

    def _new_id(self, unit: Unit, resource: Resource) -> Any:
        id_type = resource.options.get("id_type", int)
        ids = (uuid4() if id_type is UUID else id_type(number) for number in self._numbers)
        return next(id_ for id_ in ids if unit.get((resource.type, id_)) is None)  # a client may have taken some

    @hookimpl
    def atomic_update(
        self,
        unit: Unit,
        resource: Resource,
        entity: Entity,
        attributes: Mapping[str, Any],
        relationships: Mapping[Relationship, Any],
    ) -> Entity:
        unit.put((resource.type, entity.id), entity)
        vars(entity).update(attributes)
        _relate(entity, relationships)
        return entity

    @hookimpl
    def atomic_remove(self, unit: Unit, resource: Resource, entity: Entity) -> None:
        unit.put((resource.type, entity.id), None)
        for holder in self._resources.values():
            held = [other for other in holder.relationships.values() if other.type == resource.type]
            for key, other in unit.all_of(holder.type) if held else ():
                self._unlink(unit, key, other, held, entity.id)

    @staticmethod
    def _unlink(unit: Unit, key: Key, entity: Entity, held: Sequence[Relationship], id_: Any) -> None:
        for relationship in held:
            related = _related_ids(entity, relationship)
            if relationship.many and id_ in related:
                setattr(entity, relationship.attribute, tuple(other for other in related if other != id_))
                unit.put(key, entity)
            elif not relationship.many and related == id_:
                setattr(entity, relationship.attribute, None)
                unit.put(key, entity)

    @hookimpl
    def atomic_set_relationship(
        self, unit: Unit, resource: Resource, entity: Entity, relationship: Relationship, related: Any
    ) -> None:
        unit.put((resource.type, entity.id), entity)
        _relate(entity, {relationship: related})

    @hookimpl
    def atomic_add_to_relationship(
        self, unit: Unit, resource: Resource, entity: Entity, relationship: Relationship, related: Sequence[Reference]
    ) -> None:
        unit.put((resource.type, entity.id), entity)
        members = dict.fromkeys([*_related_ids(entity, relationship), *(reference.id for reference in related)])
        setattr(entity, relationship.attribute, tuple(members))

    @hookimpl
    def atomic_remove_from_relationship(
        self, unit: Unit, resource: Resource, entity: Entity, relationship: Relationship, related: Sequence[Reference]
    ) -> None:
        unit.put((resource.type, entity.id), entity)
        removed = {reference.id for reference in related}
        members = tuple(id_ for id_ in _related_ids(entity, relationship) if id_ not in removed)
        setattr(entity, relationship.attribute, members)

    @hookimpl
    def atomic_recall(self, unit: Unit, key: str, now: int) -> Remembered | None:
        found = unit.recalled[key] = self._remembered.get(key)
        return None if found is None or found.expires <= now else found

    @hookimpl
    def atomic_remember(self, unit: Unit, key: str, remembered: Remembered) -> None:
        unit.remembered[key] = remembered

    @hookimpl
    def atomic_forget(self, unit: Unit, now: int) -> int:
        kept = list(self._remembered.items())
        unit.forgotten = {key: remembered for key, remembered in kept if remembered.expires <= now}
        return len(unit.forgotten)


class Unit:
    """What one attempt at a request has seen and changed.

    :param committed: the resources that are committed, by key; only read here.
    """

    def __init__(self, committed: Mapping[Key, Entity]) -> None:
        self._committed = committed
        self.found: dict[Key, Entity | None] = {}
        """What was committed when the unit first looked."""
        self.entities: dict[Key, Entity | None] = {}
        """The unit's own copies; None for a resource that is not there, or not any more."""
        self.changed: set[Key] = set()
        self.searched: set[str] = set()
        """The types of which all resources were looked at."""
        self.recalled: dict[str, Remembered | None] = {}
        """What was remembered when the unit looked, by key."""
        self.remembered: dict[str, Remembered] = {}
        self.forgotten: dict[str, Remembered] = {}
        self.holds_lock = False

    def get(self, key: Key) -> Entity | None:
        if key not in self.entities:
            found = self.found[key] = self._committed.get(key)
            self.entities[key] = None if found is None else _copy(found)
        return self.entities[key]

    def put(self, key: Key, entity: Entity | None) -> None:
        self.get(key)
        self.entities[key] = entity
        self.changed.add(key)
        if entity is not None:
            entity._written = (entity._written or 0) + 1

    def all_of(self, type_: str) -> Iterator[tuple[Key, Entity]]:
        self.searched.add(type_)
        for key in list(dict.fromkeys([*self._committed, *self.entities])):
            entity = self.get(key) if key[0] == type_ else None
            if entity is not None:
                yield key, entity


def _copy(entity: Entity) -> Entity:
    copy = Entity(**vars(entity))
    copy._written = entity._written
    return copy


def _related_ids(entity: Entity, relationship: Relationship) -> Any:
    related = getattr(entity, relationship.attribute)
    return () if related is None and relationship.many else related


def _relate(entity: Entity, relationships: Mapping[Relationship, Any]) -> None:
    for relationship, related in relationships.items():
        ids = None if related is None else tuple(r.id for r in related) if relationship.many else related.id
        setattr(entity, relationship.attribute, ids)


def _integer(text: str) -> int | None:
    digits = text.removeprefix("-")
    return int(text) if digits.isascii() and digits.isdigit() and len(digits) <= 20 else None


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text) if len(text) == 36 else None
    except ValueError:
        return None


def _string(text: str) -> str:
    return text


_PARSERS: Mapping[type, Any] = {int: _integer, str: _string, UUID: _uuid}
