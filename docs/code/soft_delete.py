"""Soft delete: what is removed is marked, and is there no more for anybody."""

from datetime import UTC, datetime

from flask_atomic import MemoryLayer, hookimpl


# <plugin>
class SoftDelete:
    """Mixed into a data layer: resources of types with the option `soft_delete` get a `removed_at`."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.soft = {}

    @hookimpl
    def atomic_claim(self, resource):
        if resource.options.get("soft_delete"):
            self.soft[resource.type] = resource
        return super().atomic_claim(resource)

    @hookimpl
    def atomic_remove(self, unit, resource, entity):
        if resource.type in self.soft:
            self.atomic_update(unit, resource, entity, {"removed_at": datetime.now(UTC)}, {})
        else:
            super().atomic_remove(unit, resource, entity)

    @hookimpl
    def atomic_get(self, unit, resource, ids):
        found = super().atomic_get(unit, resource, ids)
        if resource.type in self.soft:
            found = {id: entity for id, entity in found.items() if entity.removed_at is None}
        return found

    @hookimpl
    def atomic_linkage(self, unit, resource, entities, relationship):
        linkage = super().atomic_linkage(unit, resource, entities, relationship)
        if relationship.type not in self.soft:
            return linkage
        members = linkage if relationship.many else [[id] for id in linkage if id is not None]
        ids = {id for related in members for id in related}
        there = self.atomic_get(unit, self.soft[relationship.type], list(ids)) if ids else {}
        if relationship.many:
            return [[id for id in related if id in there] for related in linkage]
        return [id if id in there else None for id in linkage]


class SoftDeleteMemoryLayer(SoftDelete, MemoryLayer):
    pass


# </plugin>
