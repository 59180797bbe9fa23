"""Faults in operations on several resources."""

from __future__ import annotations

from typing import Any

from flask_atomic import NotFound, hookimpl
from flask_atomic.layers.memory import Entity
from tests.contract.layers import RunningLayer
from tests.contract.planted import breaks

# ------------------------------------------------------------------------------------------------------------- add_all


@breaks(("atomic_add_all", "Add resources as by `atomic_add`, one after the other"))
class AddsTheFirstOnly(RunningLayer):
    @hookimpl
    def atomic_add_all(self, unit: Any, resource: Any, ids: Any, attributes: Any, relationships: Any) -> Any:
        first = self.atomic_add(unit, resource, ids[0], attributes[0], relationships[0])
        return [first, *(Entity(id=number, **each) for number, each in enumerate(attributes[1:], 99))]


@breaks(("atomic_add_all", "Add resources as by `atomic_add`, one after the other"))
class RelatesWhatWasNotSent(RunningLayer):
    @hookimpl
    def atomic_add_all(self, unit: Any, resource: Any, ids: Any, attributes: Any, relationships: Any) -> Any:
        added = super().atomic_add_all(unit, resource, ids, attributes, relationships)
        self.atomic_flush(unit)
        for entity in added:
            entity.mentor = added[0].id
        return added


@breaks(("atomic_add_all", "the new entities, in the same order"))
class ReturnsNewEntitiesInReverse(RunningLayer):
    @hookimpl
    def atomic_add_all(self, unit: Any, resource: Any, ids: Any, attributes: Any, relationships: Any) -> Any:
        return super().atomic_add_all(unit, resource, ids, attributes, relationships)[::-1]


@breaks(("atomic_add_all", "the client's id of each, None where the layer is to make one"))
class MakesAnIdForAllOrNone(RunningLayer):
    @hookimpl
    def atomic_add_all(self, unit: Any, resource: Any, ids: Any, attributes: Any, relationships: Any) -> Any:
        ids = ids if all(ids) else [None] * len(ids)
        return super().atomic_add_all(unit, resource, ids, attributes, relationships)


@breaks(("atomic_add_all", "those that were sent for each"))
class RelatesAllLikeTheLast(RunningLayer):
    @hookimpl
    def atomic_add_all(self, unit: Any, resource: Any, ids: Any, attributes: Any, relationships: Any) -> Any:
        relationships = [relationships[-1]] * len(ids)
        return super().atomic_add_all(unit, resource, ids, attributes, relationships)


@breaks(("atomic_add_all", "None of the resources is related to another one of them"))
class TakesTheOwnTypeForItself(RunningLayer):
    @hookimpl
    def atomic_add_all(self, unit: Any, resource: Any, ids: Any, attributes: Any, relationships: Any) -> Any:
        others = [{to: each for to, each in own.items() if to.type != resource.type} for own in relationships]
        return super().atomic_add_all(unit, resource, ids, attributes, others)


@breaks(("atomic_add_all", "If it raises, the operations are performed again in a new unit"))
class AddsAtOnce(RunningLayer):
    @hookimpl
    def atomic_add_all(self, unit: Any, resource: Any, ids: Any, attributes: Any, relationships: Any) -> Any:
        added = super().atomic_add_all(unit, resource, ids, attributes, relationships)
        self.atomic_flush(unit)
        self._entities.update({(resource.type, entity.id): entity for entity in added})
        return added


@breaks(("atomic_add_all", "if the store refuses"))
class RaisesForOneTakenId(RunningLayer):
    @hookimpl
    def atomic_add_all(self, unit: Any, resource: Any, ids: Any, attributes: Any, relationships: Any) -> Any:
        for id_ in ids:
            if unit.get((resource.type, id_)) is not None:
                raise KeyError(id_)
        return super().atomic_add_all(unit, resource, ids, attributes, relationships)


# ---------------------------------------------------------------------------------------------------------- update_all


@breaks(("atomic_update_all", "Update different resources as by `atomic_update`, one after the other"))
class UpdatesWhatTheFirstDoes(RunningLayer):
    @hookimpl
    def atomic_update_all(
        self, unit: Any, resource: Any, ids: Any, entities: Any, attributes: Any, relationships: Any
    ) -> Any:
        named = [{name: each.get(name) for name in attributes[0]} for each in attributes]
        return super().atomic_update_all(unit, resource, ids, entities, named, relationships)


@breaks(("atomic_update_all", "Update different resources as by `atomic_update`, one after the other"))
class UpdatesTheLastOnly(RunningLayer):
    @hookimpl
    def atomic_update_all(
        self, unit: Any, resource: Any, ids: Any, entities: Any, attributes: Any, relationships: Any
    ) -> Any:
        found = [self.find(unit, resource, id_) for id_ in ids]
        self.atomic_update(unit, resource, found[-1], attributes[-1], relationships[-1])
        return found


@breaks(("atomic_update_all", "the entities, or their successors, in the same order"))
class ReturnsUpdatedEntitiesInReverse(RunningLayer):
    @hookimpl
    def atomic_update_all(
        self, unit: Any, resource: Any, ids: Any, entities: Any, attributes: Any, relationships: Any
    ) -> Any:
        return super().atomic_update_all(unit, resource, ids, entities, attributes, relationships)[::-1]


@breaks(("atomic_update_all", "those that are given for each"))
class UpdatesAttributesOnly(RunningLayer):
    @hookimpl
    def atomic_update_all(self, unit: Any, resource: Any, ids: Any, entities: Any, attributes: Any) -> Any:
        return super().atomic_update_all(unit, resource, ids, entities, attributes, [{} for _ in entities])


@breaks(("atomic_update_all", "Called instead of `atomic_update`"))
class UpdatesAtOnce(RunningLayer):
    @hookimpl
    def atomic_update_all(
        self, unit: Any, resource: Any, ids: Any, entities: Any, attributes: Any, relationships: Any
    ) -> Any:
        for id_, new in zip(ids, attributes, strict=True):
            vars(self._entities[resource.type, id_]).update(new)
        return super().atomic_update_all(unit, resource, ids, entities, attributes, relationships)


@breaks(("atomic_update_all", "those that were read; None for each other, which need not exist"))
class UpdatesWhatWasRead(RunningLayer):
    @hookimpl
    def atomic_update_all(
        self, unit: Any, resource: Any, ids: Any, entities: Any, attributes: Any, relationships: Any
    ) -> Any:
        changes = zip(entities, attributes, relationships, strict=True)
        return [self.atomic_update(unit, resource, *each) for each in changes]


@breaks(("atomic_update_all", "if one of the resources does not exist; at the latest, `atomic_flush` does"))
class AddsWhatDoesNotExist(RunningLayer):
    @staticmethod
    def find(unit: Any, resource: Any, id_: Any) -> Entity:
        return unit.get((resource.type, id_)) or Entity(id=id_)


# ---------------------------------------------------------------------------------------------------------- remove_all


@breaks(("atomic_remove_all", "Remove different resources as by `atomic_remove`, one after the other"))
class RemovesTheFirstOnly(RunningLayer):
    @hookimpl
    def atomic_remove_all(self, unit: Any, resource: Any, ids: Any) -> bool:
        return super().atomic_remove_all(unit, resource, ids[:1])


@breaks(("atomic_remove_all", "Remove different resources as by `atomic_remove`, one after the other"))
class LeavesReferencesToAll(RunningLayer):
    def delete(self, unit: Any, resource: Any, id_: Any) -> None:
        unit.put((resource.type, id_), None)


@breaks(("atomic_remove_all", "Remove different resources as by `atomic_remove`, one after the other"))
class BuriesAll(RunningLayer):
    @hookimpl
    def atomic_remove_all(self, unit: Any, resource: Any, ids: Any) -> bool:
        unit.buried = ids
        return super().atomic_remove_all(unit, resource, ids)

    @hookimpl
    def atomic_commit(self, unit: Any) -> None:
        super().atomic_commit(unit)
        for key in [key for key in self._entities if key[1] in getattr(unit, "buried", ())]:
            del self._entities[key]


@breaks(("atomic_remove_all", "Remove different resources as by `atomic_remove`, one after the other"))
class RemovesTogetherWhatRefersToEachOther(RunningLayer):
    @hookimpl
    def atomic_remove_all(self, unit: Any, resource: Any, ids: Any) -> bool:
        held = {id_: vars(unit.get((resource.type, id_)) or Entity()) for id_ in ids}
        return super().atomic_remove_all(unit, resource, [id_ for id_ in ids if not set(ids) & set(held[id_].values())])


@breaks(("atomic_remove_all", "The resources need not have been read"))
class RemovesWhatWasRead(RunningLayer):
    @hookimpl
    def atomic_remove_all(self, unit: Any, resource: Any, ids: Any) -> bool:
        return super().atomic_remove_all(unit, resource, [id_ for id_ in ids if (resource.type, id_) in unit.entities])


@breaks(("atomic_remove_all", "if one of them does not exist; at the latest, `atomic_flush` does"))
class PassesOverWhatDoesNotExist(RunningLayer):
    def delete(self, unit: Any, resource: Any, id_: Any) -> None:
        if unit.get((resource.type, id_)) is not None:
            super().delete(unit, resource, id_)


@breaks(("atomic_remove_all", "if one of them does not exist; at the latest, `atomic_flush` does"))
class RemovesAtOnceUntilOneIsMissing(RunningLayer):
    def delete(self, unit: Any, resource: Any, id_: Any) -> None:
        if self._entities.pop((resource.type, id_), None) is None:
            raise NotFound("There is no such resource.")


@breaks(("atomic_remove_all", "Called instead of `atomic_get` and `atomic_remove` when and as"))
class RemovesAtOnce(RunningLayer):
    def delete(self, unit: Any, resource: Any, id_: Any) -> None:
        super().delete(unit, resource, id_)
        del self._entities[resource.type, id_]
