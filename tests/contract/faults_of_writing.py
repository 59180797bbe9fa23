"""Faults in operations, and in writes that wait."""

from __future__ import annotations

from typing import Any

from flask_atomic import MemoryLayer, hookimpl
from flask_atomic.layers.memory import Entity
from tests.contract.layers import DeferredLayer
from tests.contract.planted import breaks


def shortened(entity: Any) -> Entity:
    """The entity as a store with narrow columns would have it."""
    return Entity(**{name: value[:2] if isinstance(value, str) else value for name, value in vars(entity).items()})


# ----------------------------------------------------------------------------------------------------------------- add


@breaks(("atomic_add", "Add a resource"))
class AddsNothing(MemoryLayer):
    @hookimpl
    def atomic_add(self, unit: Any, resource: Any, id: Any, attributes: Any, relationships: Any) -> Any:
        return Entity(id=self._new_id(unit, resource) if id is None else id, **attributes)


@breaks(("atomic_add", "None if the layer is to make one"))
class AlwaysMakesTheSameId(MemoryLayer):
    @hookimpl
    def atomic_add(self, unit: Any, resource: Any, id: Any, attributes: Any, relationships: Any) -> Any:
        return super().atomic_add(unit, resource, id or 1, attributes, relationships)


@breaks(("atomic_add", "the client's id"))
class MakesEveryId(MemoryLayer):
    @hookimpl
    def atomic_add(self, unit: Any, resource: Any, attributes: Any, relationships: Any) -> Any:
        return super().atomic_add(unit, resource, None, attributes, relationships)


@breaks(("atomic_add", "those that were sent"))
class AddsNoRelationships(MemoryLayer):
    @hookimpl
    def atomic_add(self, unit: Any, resource: Any, id: Any, attributes: Any) -> Any:
        return super().atomic_add(unit, resource, id, attributes, {})


@breaks(("atomic_add", "None or an empty sequence for one that is to hold nothing"))
class CannotHoldNothing(MemoryLayer):
    @hookimpl
    def atomic_add(self, unit: Any, resource: Any, id: Any, attributes: Any, relationships: Any) -> Any:
        assert all(relationships.values())
        return super().atomic_add(unit, resource, id, attributes, relationships)


@breaks(("atomic_add", "Related resources may be waiting, too."))
class TakesIdsFromEntities(DeferredLayer):
    @hookimpl
    def atomic_add(self, unit: Any, resource: Any, id: Any, attributes: Any, relationships: Any) -> Any:
        entity = Entity(**attributes, id=id)
        ids = {
            relationship: tuple(r.entity.id for r in related) if relationship.many else related.entity.id
            for relationship, related in relationships.items()
        }
        self.defer(unit, lambda: self.insert(unit, resource, entity, ids))
        return entity


@breaks(("atomic_add", "the new entity"))
class ShowsWhatWasGiven(MemoryLayer):
    @hookimpl
    def atomic_add(self, unit: Any, resource: Any, id: Any, attributes: Any, relationships: Any) -> Any:
        entity = super().atomic_add(unit, resource, id, attributes, relationships)
        unit.entities[resource.type, entity.id] = shortened(entity)
        return entity


@breaks(("atomic_add", "if the store refuses"))
class RaisesForTakenIds(MemoryLayer):
    @hookimpl
    def atomic_add(self, unit: Any, resource: Any, id: Any, attributes: Any, relationships: Any) -> Any:
        if unit.get((resource.type, id)) is not None:
            raise KeyError(id)
        return super().atomic_add(unit, resource, id, attributes, relationships)


# -------------------------------------------------------------------------------------------------------------- update


@breaks(("atomic_update", "Change the attributes and relationships that are given"))
class UpdatesNothing(MemoryLayer):
    @hookimpl
    def atomic_update(self, unit: Any, resource: Any, entity: Any) -> Any:
        return super().atomic_update(unit, resource, entity, {}, {})


@breaks(("atomic_update", "and no others"))
class ReplacesEverything(MemoryLayer):
    @hookimpl
    def atomic_update(self, unit: Any, resource: Any, entity: Any, attributes: Any, relationships: Any) -> Any:
        successor = Entity(id=entity.id)
        return super().atomic_update(unit, resource, successor, attributes, relationships)


@breaks(("atomic_update", "the entity, or its successor where entities are immutable"))
class ReturnsWhatWas(MemoryLayer):
    @hookimpl
    def atomic_update(self, unit: Any, resource: Any, entity: Any, attributes: Any, relationships: Any) -> Any:
        before = Entity(**vars(entity))
        super().atomic_update(unit, resource, entity, attributes, relationships)
        return before


@breaks(("atomic_update", "It may be that none are given."))
class MustUpdateSomething(MemoryLayer):
    @hookimpl
    def atomic_update(self, unit: Any, resource: Any, entity: Any, attributes: Any, relationships: Any) -> Any:
        next(iter([*attributes, *relationships]))
        return super().atomic_update(unit, resource, entity, attributes, relationships)


@breaks(("atomic_update", "A new resource is related to itself by an update, after a flush."))
class RelatesToOthersOnly(MemoryLayer):
    @hookimpl
    def atomic_update(self, unit: Any, resource: Any, entity: Any, attributes: Any, relationships: Any) -> Any:
        others = {
            relationship: None if related is not None and related.id == entity.id else related
            for relationship, related in relationships.items()
        }
        return super().atomic_update(unit, resource, entity, attributes, others)


# -------------------------------------------------------------------------------------------------------------- remove


@breaks(("atomic_remove", "Remove the resource"))
class RemovesNothing(MemoryLayer):
    @hookimpl
    def atomic_remove(self, unit: Any, resource: Any, entity: Any) -> None:
        pass


@breaks(("atomic_remove", "refers to nothing then or goes with it"))
class LeavesReferences(MemoryLayer):
    @hookimpl
    def atomic_prepare(self, unit: Any) -> None:
        pass

    @hookimpl
    def atomic_remove(self, unit: Any, resource: Any, entity: Any) -> None:
        unit.put((resource.type, entity.id), None)


@breaks(("atomic_remove", "Its id is free for a new resource."))
class KeepsTombstones(MemoryLayer):
    @hookimpl
    def atomic_remove(self, unit: Any, resource: Any, entity: Any) -> None:
        super().atomic_remove(unit, resource, entity)
        unit.buried = entity.id

    @hookimpl
    def atomic_get(self, unit: Any, resource: Any, ids: Any) -> Any:
        living = [id_ for id_ in ids if id_ != getattr(unit, "buried", None)]
        return super().atomic_get(unit, resource, living)


# ------------------------------------------------------------------------------------------------------- relationships


@breaks(
    ("atomic_set_relationship", "Set a to-one relationship"),
    ("atomic_set_relationship", "replace all members of a to-many"),
)
class SetsNothing(MemoryLayer):
    @hookimpl
    def atomic_set_relationship(self) -> None:
        pass


@breaks(("atomic_set_relationship", "None clears it"), ("atomic_set_relationship", "replace all members of a to-many"))
class NeverClears(MemoryLayer):
    @hookimpl
    def atomic_set_relationship(self, unit: Any, resource: Any, entity: Any, relationship: Any, related: Any) -> None:
        if related:
            super().atomic_set_relationship(unit, resource, entity, relationship, related)


@breaks(("atomic_add_to_relationship", "Add members to a to-many relationship"))
class ReplacesMembers(MemoryLayer):
    @hookimpl
    def atomic_add_to_relationship(
        self, unit: Any, resource: Any, entity: Any, relationship: Any, related: Any
    ) -> None:
        self.atomic_set_relationship(unit, resource, entity, relationship, related)


@breaks(("atomic_add_to_relationship", "those that are members already stay so, once"))
class AddsMembersTwice(MemoryLayer):
    @hookimpl
    def atomic_add_to_relationship(
        self, unit: Any, resource: Any, entity: Any, relationship: Any, related: Any
    ) -> None:
        members = getattr(entity, relationship.attribute) or ()
        super().atomic_add_to_relationship(unit, resource, entity, relationship, related)
        setattr(entity, relationship.attribute, (*members, *(reference.id for reference in related)))


@breaks(
    ("atomic_add_to_relationship", "`related` may be empty."),
    ("atomic_remove_from_relationship", "`related` may be empty."),
)
class WantsMembers(MemoryLayer):
    @hookimpl
    def atomic_add_to_relationship(self, related: Any) -> None:
        assert related

    @hookimpl
    def atomic_remove_from_relationship(self, related: Any) -> None:
        assert related


@breaks(("atomic_remove_from_relationship", "Remove members from a to-many relationship"))
class RemovesAllMembers(MemoryLayer):
    @hookimpl
    def atomic_remove_from_relationship(self, unit: Any, resource: Any, entity: Any, relationship: Any) -> None:
        self.atomic_set_relationship(unit, resource, entity, relationship, ())


@breaks(("atomic_remove_from_relationship", "those that are no members are passed over"))
class RemovesMembersOnly(MemoryLayer):
    @hookimpl
    def atomic_remove_from_relationship(self, entity: Any, relationship: Any, related: Any) -> None:
        members = list(getattr(entity, relationship.attribute) or ())
        for reference in related:
            members.remove(reference.id)
        setattr(entity, relationship.attribute, members)


@breaks(
    (
        "atomic_remove_from_relationship",
        "A reference to a resource that exists nowhere has no `entity`, only an `id`.",
    )
)
class RemovesByEntity(MemoryLayer):
    @hookimpl
    def atomic_remove_from_relationship(self, entity: Any, relationship: Any, related: Any) -> None:
        removed = {vars(reference.entity)["id"] for reference in related}
        members = getattr(entity, relationship.attribute) or ()
        setattr(entity, relationship.attribute, tuple(id_ for id_ in members if id_ not in removed))


@breaks(("atomic_exclusive", "True for one-to-one and one-to-many relationships."))
class TakesFromOthers(MemoryLayer):
    @hookimpl
    def atomic_add(self, unit: Any, resource: Any, id: Any, attributes: Any, relationships: Any) -> Any:
        for relationship in relationships:
            for _, other in unit.all_of(resource.type):
                setattr(other, relationship.attribute, None)
        return super().atomic_add(unit, resource, id, attributes, relationships)


# ------------------------------------------------------------------------------------------------------------- waiting


@breaks(("atomic_flush", "Write what waits."), ("atomic_flush", "Afterwards `atomic_identify` knows every entity"))
class FlushesTheFirstOnly(DeferredLayer):
    @hookimpl
    def atomic_flush(self, unit: Any) -> None:
        if unit.waiting:
            unit.waiting.pop(0)()
            unit.waiting.clear()


@breaks(("atomic_flush", "entities show what is stored"))
class FlushesInPart(DeferredLayer):
    @hookimpl
    def atomic_flush(self, unit: Any) -> None:
        super().atomic_flush(unit)
        for key in unit.changed:
            unit.entities[key] = shortened(unit.entities[key])


@breaks(("atomic_flush", "There may be nothing to write."))
class AlwaysFlushesSomething(DeferredLayer):
    @hookimpl
    def atomic_flush(self, unit: Any) -> None:
        unit.waiting[0]()
        super().atomic_flush(unit)


@breaks(("atomic_flush", "True if resources may be gone that nobody removed"))
class RemovesOrphansInSilence(DeferredLayer):
    @hookimpl
    def atomic_set_relationship(self, unit: Any, resource: Any, entity: Any, relationship: Any, related: Any) -> None:
        held = getattr(entity, relationship.attribute)
        super().atomic_set_relationship(unit, resource, entity, relationship, related)
        for id_ in held if relationship.many else [held]:
            unit.put((relationship.type, id_), None)


@breaks(("atomic_independent", "Answer False where the representation can change without a write of the resource"))
class CountsWhatIsFlushed(DeferredLayer):
    @hookimpl
    def atomic_flush(self, unit: Any) -> None:
        super().atomic_flush(unit)
        for key in unit.changed:
            unit.entities[key].age = len(unit.changed)
