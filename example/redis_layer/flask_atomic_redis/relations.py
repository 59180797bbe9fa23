"""Relationships, and who holds a resource in one: what has to change together when either changes.

A resource that is removed leaves every relationship that holds it. So that they need not be searched for, each
resource has the set of its referrers: one text for each relationship that holds it. Where another layer keeps the
related resource there is none, since nobody would tell of the removal.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from flask_atomic.hookspecs import Relationship, Resource

from .entity import Entity, text_of, texts_of
from .keys import Keys
from .unit import Unit
from .values import NULL, decode, encode

__all__ = ["Relations"]


class Relations:
    """The relationships of the resources that a layer keeps.

    :param keys: where they are kept.
    :param types: the types that the layer keeps.
    """

    def __init__(self, keys: Keys, types: Collection[str]) -> None:
        self._keys = keys
        self._types = types

    def members_key(self, resource: Resource, relationship: Relationship, entity: Entity) -> str:
        """Where the members of a to-many relationship are."""
        return self._keys.members(resource.type, relationship.attribute, entity._id)

    def members_keys(self, resource: Resource, relationships: Iterable[Relationship], entity: Entity) -> list[str]:
        """Where the members are of those relationships that are to-many."""
        many = [relationship for relationship in relationships if relationship.many]
        return [self.members_key(resource, relationship, entity) for relationship in many]

    def set(self, unit: Unit, resource: Resource, entity: Entity, links: Mapping[Relationship, Any]) -> None:
        """Set to-one relationships, and replace all members of to-many ones."""
        for relationship, linked in links.items():
            if relationship.many:
                members = texts_of(linked)
                old = unit.members_at(self.members_key(resource, relationship, entity))
                self.remove(unit, resource, entity, relationship, old.difference(members))
                self.add(unit, resource, entity, relationship, members)
            else:
                before, after = entity._hash.fields.get(relationship.attribute, NULL), text_of(linked)
                self._forget(unit, resource, entity, relationship, [before])
                self._remember(unit, resource, entity, relationship, [after])
                entity._hash.write({relationship.attribute: after})

    def add(
        self, unit: Unit, resource: Resource, entity: Entity, relationship: Relationship, members: Collection[str]
    ) -> None:
        """Add members to a to-many relationship; the others are not read."""
        unit.set_at(self.members_key(resource, relationship, entity)).add(members)
        self._remember(unit, resource, entity, relationship, members)

    def remove(
        self, unit: Unit, resource: Resource, entity: Entity, relationship: Relationship, members: Collection[str]
    ) -> None:
        """Remove members from a to-many relationship; the others are not read."""
        unit.set_at(self.members_key(resource, relationship, entity)).remove(members)
        self._forget(unit, resource, entity, relationship, members)

    def set_new(self, unit: Unit, resource: Resource, entity: Entity, links: Mapping[Relationship, Any]) -> None:
        """Set the relationships of a new resource: there is nothing to be read first."""
        for key in self.members_keys(resource, resource.relationships.values(), entity):
            unit.set_at(key).read_as(())
        self.set(unit, resource, entity, links)

    # <unlink>
    def unlink(self, unit: Unit, resource: Resource, entity: Entity) -> None:
        """Empty every relationship of the resource, and take it out of every one that holds it."""
        relationships = resource.relationships.values()
        self.set(unit, resource, entity, {each: [] if each.many else None for each in relationships})
        text, key = encode(entity._id), self._keys.referrers(resource.type, entity._id)
        referrers = unit.members_at(key)
        for type_, attribute, many, id_ in map(decode, referrers):
            if many:
                unit.set_at(self._keys.members(type_, attribute, id_)).remove([text])
            elif holder := unit.hash_at(self._keys.resource(type_, id_)):
                holder.write({attribute: NULL})
        unit.set_at(key).remove(referrers)

    # </unlink>

    def sets_to_unlink(self, resource: Resource, entity: Entity) -> list[str]:
        """The keys of the sets that `unlink` needs."""
        own = self.members_keys(resource, resource.relationships.values(), entity)
        return [self._keys.referrers(resource.type, entity._id), *own]

    def hashes_to_unlink(self, unit: Unit, resource: Resource, entity: Entity) -> list[str]:
        """The keys of the hashes that `unlink` needs: those whose to-one relationships hold the resource."""
        referrers = map(decode, unit.members_at(self._keys.referrers(resource.type, entity._id)))
        return [self._keys.resource(type_, id_) for type_, _, many, id_ in referrers if not many]

    def _remember(
        self, unit: Unit, resource: Resource, entity: Entity, relationship: Relationship, members: Iterable[str]
    ) -> None:
        for key in self._referrers_keys(relationship, members):
            unit.set_at(key).add([_referrer(resource, entity, relationship)])

    def _forget(
        self, unit: Unit, resource: Resource, entity: Entity, relationship: Relationship, members: Iterable[str]
    ) -> None:
        for key in self._referrers_keys(relationship, members):
            unit.set_at(key).remove([_referrer(resource, entity, relationship)])

    def _referrers_keys(self, relationship: Relationship, members: Iterable[str]) -> list[str]:
        if relationship.type not in self._types:
            return []
        return [self._keys.referrers(relationship.type, decode(member)) for member in members if member != NULL]


def _referrer(resource: Resource, entity: Entity, relationship: Relationship) -> str:
    return encode([resource.type, relationship.attribute, relationship.many, entity._id])
