"""Small layers that keep the contract, for faults to be planted in, and applications with one layer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import count
from threading import Lock
from types import SimpleNamespace
from typing import Any

from flask import Flask

from flask_atomic import Atomic, MemoryLayer, NotFound, hookimpl
from flask_atomic.hookspecs import Reference, Relationship, Resource
from flask_atomic.layers.memory import Entity, Unit
from flask_atomic.testing import ArticleSchema, PersonSchema


def application_of(layer: object) -> Flask:
    """An application whose people and articles the layer keeps."""
    atomic = Atomic(layer)
    atomic.resource(PersonSchema, client_ids="allowed", versioned=True)
    atomic.resource(ArticleSchema, versioned=True)
    application = Flask(__name__)
    application.register_blueprint(atomic.blueprint)
    return application


class DeferredLayer(MemoryLayer):
    """Keeps writes back until the flush, which makes the ids, too."""

    @hookimpl
    def atomic_begin(self) -> Any:
        unit: Any = Unit(self._entities)
        unit.waiting = []
        return unit

    @hookimpl
    def atomic_identify(self, entity: Entity) -> Any:
        return entity.id

    @hookimpl
    def atomic_add(self, unit: Any, resource: Resource, id: Any, attributes: Any, relationships: Any) -> Entity:
        entity = Entity(**attributes, id=id)
        related = ids_of(relationships)  # to find them may flush
        self.defer(unit, lambda: self.insert(unit, resource, entity, related))
        return entity

    def insert(self, unit: Any, resource: Resource, entity: Entity, related: Mapping[Relationship, Any]) -> None:
        if entity.id is None:
            entity.id = self._new_id(unit, resource)
        for relationship, ids in related.items():
            setattr(entity, relationship.attribute, ids)
        unit.put((resource.type, entity.id), entity)

    @hookimpl
    def atomic_update(
        self, unit: Any, resource: Resource, entity: Entity, attributes: Any, relationships: Any
    ) -> Entity:
        ids_of(relationships)
        self.defer(unit, partial(MemoryLayer.atomic_update, self, unit, resource, entity, attributes, relationships))
        return entity

    @hookimpl
    def atomic_remove(self, unit: Any, resource: Resource, entity: Entity) -> None:
        self.defer(unit, partial(MemoryLayer.atomic_remove, self, unit, resource, entity))

    @hookimpl
    def atomic_set_relationship(
        self, unit: Any, resource: Resource, entity: Entity, relationship: Relationship, related: Any
    ) -> None:
        ids_of({relationship: related})
        write = MemoryLayer.atomic_set_relationship
        self.defer(unit, partial(write, self, unit, resource, entity, relationship, related))

    @hookimpl
    def atomic_add_to_relationship(
        self, unit: Any, resource: Resource, entity: Entity, relationship: Relationship, related: Sequence[Reference]
    ) -> None:
        ids_of({relationship: related})
        write = MemoryLayer.atomic_add_to_relationship
        self.defer(unit, partial(write, self, unit, resource, entity, relationship, related))

    @hookimpl
    def atomic_remove_from_relationship(
        self, unit: Any, resource: Resource, entity: Entity, relationship: Relationship, related: Sequence[Reference]
    ) -> None:
        ids_of({relationship: related})
        write = MemoryLayer.atomic_remove_from_relationship
        self.defer(unit, partial(write, self, unit, resource, entity, relationship, related))

    def defer(self, unit: Any, write: Callable[[], object]) -> None:
        unit.waiting.append(write)

    @hookimpl
    def atomic_flush(self, unit: Any) -> bool | None:
        waiting, unit.waiting = unit.waiting, []
        for write in waiting:
            write()
        return None


class RunningLayer(DeferredLayer):
    """Writes several resources of one type together."""

    @hookimpl
    def atomic_add_all(
        self, unit: Any, resource: Resource, ids: Any, attributes: Any, relationships: Any
    ) -> Sequence[Entity]:
        return [self.atomic_add(unit, resource, *each) for each in zip(ids, attributes, relationships, strict=True)]

    @hookimpl
    def atomic_update_all(
        self, unit: Any, resource: Resource, ids: Any, entities: Any, attributes: Any, relationships: Any
    ) -> Sequence[Entity]:
        there = [
            self.find(unit, resource, id_) if entity is None else entity
            for id_, entity in zip(ids, entities, strict=True)
        ]
        changes = zip(there, attributes, relationships, strict=True)
        return [self.atomic_update(unit, resource, *each) for each in changes]

    @hookimpl
    def atomic_remove_all(self, unit: Any, resource: Resource, ids: Any) -> bool:
        for id_ in ids:
            self.defer(unit, partial(self.delete, unit, resource, id_))
        return True

    def delete(self, unit: Any, resource: Resource, id_: Any) -> None:
        MemoryLayer.atomic_remove(self, unit, resource, self.find(unit, resource, id_))

    @staticmethod
    def find(unit: Any, resource: Resource, id_: Any) -> Entity:
        entity: Entity | None = unit.get((resource.type, id_))
        if entity is None:
            raise NotFound("There is no such resource.")
        return entity


class ImmutableLayer(MemoryLayer):
    """Makes a new entity for each update."""

    @hookimpl
    def atomic_update(
        self, unit: Any, resource: Resource, entity: Entity, attributes: Any, relationships: Any
    ) -> Entity:
        successor = Entity(**vars(entity))
        successor._written = entity._written
        return super().atomic_update(unit, resource, successor, attributes, relationships)


class LockedLayer(MemoryLayer):
    """Has one unit at a time; others wait for its end, for however long it takes."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = Lock()

    @hookimpl
    def atomic_begin(self) -> Unit:
        self._lock.acquire()
        return super().atomic_begin()

    @hookimpl
    def atomic_commit(self, unit: Unit) -> None:
        super().atomic_commit(unit)
        self._lock.release()

    @hookimpl
    def atomic_rollback(self, unit: Unit) -> None:
        super().atomic_rollback(unit)
        self._lock.release()


def ids_of(relationships: Mapping[Relationship, Any]) -> dict[Relationship, Any]:
    """What relationships hold, as the memory layer keeps it."""
    return {
        relationship: None if related is None else tuple(r.id for r in related) if relationship.many else related.id
        for relationship, related in relationships.items()
    }


class Log:
    """Lines that can be added and read, and nothing else: it lacks everything that can be lacking."""

    def __init__(self) -> None:
        self._lines: dict[int, Any] = {}
        self._numbers: Iterator[int] = count(1)

    @hookimpl
    def atomic_claim(self) -> Log:
        return self

    @hookimpl
    def atomic_begin(self) -> dict[int, Any]:
        return {}

    @hookimpl
    def atomic_commit(self, unit: dict[int, Any]) -> None:
        self._lines |= unit

    @hookimpl
    def atomic_rollback(self, unit: dict[int, Any]) -> None:
        unit.clear()

    @hookimpl
    def atomic_parse_id(self, text: str) -> int | None:
        return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else None

    @hookimpl
    def atomic_get(self, unit: dict[int, Any], ids: Sequence[int]) -> dict[int, Any]:
        lines = self._lines | unit
        return {id_: lines[id_] for id_ in ids if id_ in lines}

    @hookimpl
    def atomic_identify(self, entity: Any) -> Any:
        return entity.id

    @hookimpl
    def atomic_add(self, unit: dict[int, Any], attributes: Mapping[str, Any]) -> Any:
        entity = SimpleNamespace(id=next(self._numbers), **attributes)
        unit[entity.id] = entity
        return entity
