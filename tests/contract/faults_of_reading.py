"""Faults in identity and reading."""

from __future__ import annotations

from datetime import date
from types import SimpleNamespace
from typing import Any

from flask_atomic import MemoryLayer, hookimpl
from flask_atomic.layers.memory import Entity
from tests.contract.layers import DeferredLayer
from tests.contract.planted import breaks

# ------------------------------------------------------------------------------------------------------------ identity


@breaks(("atomic_claim", "the layer itself to serve the type"))
class ClaimsOnce(MemoryLayer):
    @hookimpl
    def atomic_claim(self, resource: Any) -> Any:
        is_known = resource.type in self._resources
        return None if is_known else super().atomic_claim(resource)


@breaks(("atomic_parse_id", "raises nothing, whatever the text"))
class RaisesForTexts(MemoryLayer):
    @hookimpl
    def atomic_parse_id(self, text: str) -> Any:
        return int(text)


@breaks(("atomic_parse_id", "The id can be hashed."))
class HasListsForIds(MemoryLayer):
    @hookimpl
    def atomic_parse_id(self, resource: Any, text: str) -> Any:
        return [super().atomic_parse_id(resource, text)]


@breaks(("atomic_parse_id", "Texts for the same id give equal ids"))
class HasAnObjectForEachText(MemoryLayer):
    @hookimpl
    def atomic_parse_id(self, text: str) -> Any:
        return object()


@breaks(("atomic_parse_id", "the `str()` of the id is one of them"))
class CannotReadItsOwnIds(MemoryLayer):
    @hookimpl
    def atomic_parse_id(self, text: str) -> Any:
        return (text,) if text.isalpha() else None


@breaks(("atomic_parse_id", "Return the canonical id that `text` stands for"))
class HasTextsForIds(MemoryLayer):
    @hookimpl
    def atomic_parse_id(self, text: str) -> Any:
        return text


@breaks(("atomic_parse_id", "None if no resource of the type can have it"))
class CannotCompareLargeIds(MemoryLayer):
    @hookimpl
    def atomic_get(self, unit: Any, resource: Any, ids: Any) -> Any:
        for id_ in ids:
            id_.to_bytes(8, signed=True)
        return super().atomic_get(unit, resource, ids)


@breaks(("atomic_identify", "Return the id of the entity"))
class IdentifiesByText(MemoryLayer):
    @hookimpl
    def atomic_identify(self, entity: Any) -> Any:
        return str(entity.id)


@breaks(("atomic_identify", "None if only `atomic_flush` can tell"))
class NeverTellsTheId(MemoryLayer):
    @hookimpl
    def atomic_identify(self, entity: Any) -> Any:
        return None


# ------------------------------------------------------------------------------------------------------------- reading


@breaks(("atomic_get", "Return the entities that exist, by id"))
class ReadsTheFirstOnly(MemoryLayer):
    @hookimpl
    def atomic_get(self, unit: Any, resource: Any, ids: Any) -> Any:
        return super().atomic_get(unit, resource, ids[:1])


@breaks(("atomic_get", "ids without an entity are left out"))
class RaisesForMissing(MemoryLayer):
    @hookimpl
    def atomic_get(self, unit: Any, resource: Any, ids: Any) -> Any:
        found = super().atomic_get(unit, resource, ids)
        return {id_: found[id_] for id_ in ids}


@breaks(("atomic_get", "There may be thousands of ids."))
class HasALimitOfParameters(MemoryLayer):
    @hookimpl
    def atomic_get(self, unit: Any, resource: Any, ids: Any) -> Any:
        if len(ids) > 999:
            raise OverflowError("too many parameters")
        return super().atomic_get(unit, resource, ids)


@breaks(("atomic_get", "The attributes of an entity have the values that are stored."))
class ReadsIdsOnly(MemoryLayer):
    @hookimpl
    def atomic_get(self, unit: Any, resource: Any, ids: Any) -> Any:
        return {id_: Entity(id=id_) for id_ in super().atomic_get(unit, resource, ids)}


@breaks(("atomic_get", "The attributes of an entity have the values that are stored."))
class KeepsDatesAsTexts(MemoryLayer):
    @hookimpl
    def atomic_add(self, unit: Any, resource: Any, id: Any, attributes: Any, relationships: Any) -> Any:
        kept = {name: str(value) if isinstance(value, date) else value for name, value in attributes.items()}
        return super().atomic_add(unit, resource, id, kept, relationships)


@breaks(("atomic_get", "One that was set to None is None."))
class KeepsZeroForNull(MemoryLayer):
    @hookimpl
    def atomic_add(self, unit: Any, resource: Any, id: Any, attributes: Any, relationships: Any) -> Any:
        kept = {name: 0 if value is None else value for name, value in attributes.items()}
        return super().atomic_add(unit, resource, id, kept, relationships)


@breaks(("atomic_get", "One that was set to None is None."))
class DropsNullAtTheCommit(MemoryLayer):
    @hookimpl
    def atomic_commit(self, unit: Any) -> None:
        for key in filter(unit.entities.get, unit.changed):
            before = self._entities.get(key, Entity())
            for name in (name for name, value in vars(unit.entities[key]).items() if value is None):
                setattr(unit.entities[key], name, getattr(before, name))
        super().atomic_commit(unit)


@breaks(("atomic_get", "A nullable one that was never sent is there, too"))
class ReadsWhatWasSentOnly(MemoryLayer):
    @hookimpl
    def atomic_get(self, unit: Any, resource: Any, ids: Any) -> Any:
        found = super().atomic_get(unit, resource, ids)
        unrelated = dict.fromkeys(relationship.attribute for relationship in resource.relationships.values())
        return {id_: SimpleNamespace(**{**unrelated, **vars(entity)}) for id_, entity in found.items()}


@breaks(("atomic_get", "Sees what the unit has flushed."))
class ReadsWhatIsCommitted(MemoryLayer):
    @hookimpl
    def atomic_get(self, unit: Any, resource: Any, ids: Any) -> Any:
        found = {id_: self._entities.get((resource.type, id_)) for id_ in ids}
        return {id_: entity for id_, entity in found.items() if entity is not None}


@breaks(("atomic_get", "Must not flush what waits."))
class FlushesToRead(DeferredLayer):
    @hookimpl
    def atomic_get(self, unit: Any, resource: Any, ids: Any) -> Any:
        self.atomic_flush(unit)
        return super().atomic_get(unit, resource, ids)


@breaks(("atomic_get", "To have read makes no difference to what is written later."))
class UpdatesWhatWasReadLast(MemoryLayer):
    @hookimpl
    def atomic_get(self, unit: Any, resource: Any, ids: Any) -> Any:
        unit.cursor = super().atomic_get(unit, resource, ids)
        return unit.cursor

    @hookimpl
    def atomic_update(self, unit: Any, resource: Any, entity: Any, attributes: Any, relationships: Any) -> Any:
        if entity.id not in unit.cursor:
            return entity
        return super().atomic_update(unit, resource, entity, attributes, relationships)


# ------------------------------------------------------------------------------------------------------------- linkage


@breaks(
    ("atomic_linkage", "Return what each entity is related to"),
    ("atomic_linkage", "the related ids (to-many)"),
)
class RelatesByText(MemoryLayer):
    @hookimpl
    def atomic_linkage(self, entities: Any, relationship: Any) -> Any:
        linkage = super().atomic_linkage(entities, relationship)
        return [[*map(str, each)] if relationship.many else each and str(each) for each in linkage]


@breaks(("atomic_linkage", "in the order of `entities`, where the same may be twice"))
class RelatesInItsOwnOrder(MemoryLayer):
    @hookimpl
    def atomic_linkage(self, entities: Any, relationship: Any) -> Any:
        return super().atomic_linkage(sorted(entities, key=lambda entity: entity.id), relationship)


@breaks(("atomic_linkage", "Sees what the unit has flushed."))
class RelatesWhatIsCommitted(MemoryLayer):
    @hookimpl
    def atomic_linkage(self, resource: Any, entities: Any, relationship: Any) -> Any:
        committed = [self._entities.get((resource.type, entity.id), Entity()) for entity in entities]
        return super().atomic_linkage(committed, relationship)
