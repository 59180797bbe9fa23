"""The data layer: the hooks of flask_atomic, on a server of Redis."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from enum import Enum
from functools import partial
from typing import Any
from uuid import UUID

from flask_atomic import ConfigurationError, Conflict, hookimpl
from flask_atomic.hookspecs import Reference, Related, Relationship, Resource
from redis import Redis

from .connection import Connection
from .entity import Entity, fields_of, links_of, new_entity, stored_entity, texts_of
from .keys import Keys
from .relations import Relations
from .unit import Change, Unit
from .values import decode, encode

__all__ = ["RedisLayer"]

_INTEGER = re.compile(r"(-?)0*([0-9]{1,18})", re.ASCII)
_UUID = re.compile("-".join(f"[0-9a-fA-F]{{{digits}}}" for digits in (8, 4, 4, 4, 12)))


class RedisLayer:
    """Serves the resource types that are declared with its name: `atomic.resource(Schema, layer="redis")`.

    Options of `Atomic.resource`: `id_type` is the type of the ids: `int` (the default; new ones are counted), `str` or
    `uuid.UUID` (new ones are random). `enums` has the subclasses of `Enum` that the attributes have values of.

    :param url: the URL of the server, as `redis.Redis.from_url` takes it.
    :param prefix: what all keys begin with. Whatever else the database holds must not begin so.
    :param name: what `Atomic.resource(layer=...)` calls it.
    :param options: what else `redis.Redis.from_url` takes, timeouts for instance.
    :raises ConfigurationError: if the URL is none of Redis.
    """

    hooks_version = 1

    def __init__(self, url: str, *, prefix: str = "atomic", name: str = "redis", **options: Any) -> None:
        self.name = name
        self._types: set[str] = set()
        self._keys = Keys(prefix)
        self._relations = Relations(self._keys, self._types)
        try:
            self._client = Redis.from_url(url, **{**options, "decode_responses": True})
        except ValueError as error:
            raise ConfigurationError(f"The URL of the layer '{name}' is none of Redis: {error}") from error

    def close(self) -> None:
        """Close the connections to the server."""
        self._client.close()

    # <claim>
    @hookimpl
    def atomic_claim(self, resource: Resource) -> RedisLayer | None:
        if resource.layer != self.name:
            return None
        if resource.options.get("id_type", int) not in (int, str, UUID):
            raise ConfigurationError(f"The id_type of '{resource.type}' is not int, str or uuid.UUID.")
        if not all(isinstance(kind, type) and issubclass(kind, Enum) for kind in resource.options.get("enums", ())):
            raise ConfigurationError(f"The enums of '{resource.type}' are not all subclasses of Enum.")
        self._types.add(resource.type)
        return self

    # </claim>

    @hookimpl
    def atomic_exclusive(self) -> bool:
        return False

    # <unit>
    @hookimpl
    def atomic_begin(self) -> Unit:
        return Unit(Connection(self._client))

    @hookimpl
    def atomic_flush(self, unit: Unit) -> None:
        self._number(unit)
        unit.flush()

    @hookimpl
    def atomic_commit(self, unit: Unit) -> None:
        unit.commit()

    @hookimpl
    def atomic_rollback(self, unit: Unit) -> None:
        unit.connection.release()

    # </unit>

    @hookimpl
    def atomic_parse_id(self, resource: Resource, text: str) -> int | str | UUID | None:
        id_type = resource.options.get("id_type", int)
        if id_type is str:
            return text
        if id_type is UUID:
            return UUID(text) if _UUID.fullmatch(text) else None
        written = _INTEGER.fullmatch(text)
        return None if written is None else int(written[1] + written[2])

    @hookimpl
    def atomic_get(self, unit: Unit, resource: Resource, ids: Sequence[Any]) -> Mapping[Any, Entity]:
        keys = {id_: self._keys.resource(resource.type, id_) for id_ in ids}
        unit.read(hashes=keys.values())
        found = {id_: unit.hash_at(key) for id_, key in keys.items()}
        return {id_: stored_entity(resource, id_, stored) for id_, stored in found.items() if stored}

    @hookimpl
    def atomic_identify(self, entity: Entity) -> Any:
        return entity._id

    @hookimpl
    def atomic_linkage(
        self, unit: Unit, resource: Resource, entities: Sequence[Entity], relationship: Relationship
    ) -> list[Any]:
        if not relationship.many:
            return [getattr(entity, relationship.attribute) for entity in entities]
        keys = [self._relations.members_key(resource, relationship, entity) for entity in entities]
        unit.read(sets=keys)
        return [sorted(map(decode, unit.members_at(key))) for key in keys]

    @hookimpl
    def atomic_add(
        self,
        unit: Unit,
        resource: Resource,
        id: Any,
        attributes: Mapping[str, Any],
        relationships: Mapping[Relationship, Related],
    ) -> Entity:
        links = links_of(relationships)  # first of all: to find the id of a new resource elsewhere may flush
        entity = new_entity(resource, id, fields_of(resource, attributes))
        if entity._id is None:
            unit.unnumbered.append((resource, entity))
        elif not self._place(unit, resource, entity):
            raise Conflict(f"There is a resource of type '{resource.type}' with this id already.")
        unit.waiting.append(Change(partial(self._relations.set_new, unit, resource, entity, links)))
        return entity

    @hookimpl
    def atomic_update(
        self,
        unit: Unit,
        resource: Resource,
        entity: Entity,
        attributes: Mapping[str, Any],
        relationships: Mapping[Relationship, Related],
    ) -> Entity:
        links = links_of(relationships)
        entity._hash.write(fields_of(resource, attributes))
        unit.waiting.append(
            Change(
                partial(self._relations.set, unit, resource, entity, links),
                sets=partial(self._relations.members_keys, resource, links, entity),
            )
        )
        return entity

    @hookimpl
    def atomic_remove(self, unit: Unit, resource: Resource, entity: Entity) -> None:
        unit.waiting.append(
            Change(
                partial(self._remove, unit, resource, entity),
                sets=partial(self._relations.sets_to_unlink, resource, entity),
                hashes=partial(self._relations.hashes_to_unlink, unit, resource, entity),
            )
        )

    def _remove(self, unit: Unit, resource: Resource, entity: Entity) -> None:
        self._relations.unlink(unit, resource, entity)
        entity._hash.delete()

    @hookimpl
    def atomic_set_relationship(
        self, unit: Unit, resource: Resource, entity: Entity, relationship: Relationship, related: Related
    ) -> None:
        self.atomic_update(unit, resource, entity, {}, {relationship: related})

    @hookimpl
    def atomic_add_to_relationship(
        self, unit: Unit, resource: Resource, entity: Entity, relationship: Relationship, related: Sequence[Reference]
    ) -> None:
        links = links_of({relationship: related})[relationship]
        unit.waiting.append(Change(lambda: self._relations.add(unit, resource, entity, relationship, texts_of(links))))

    @hookimpl
    def atomic_remove_from_relationship(
        self, unit: Unit, resource: Resource, entity: Entity, relationship: Relationship, related: Sequence[Reference]
    ) -> None:
        links = links_of({relationship: related})[relationship]
        unit.waiting.append(
            Change(lambda: self._relations.remove(unit, resource, entity, relationship, texts_of(links)))
        )

    # <number>
    def _number(self, unit: Unit) -> None:
        """Give ids to the new resources that have none: as many numbers as are needed, in two round trips.

        Clients may have taken some of them. The more often that happens, the more are skipped.
        """
        skipped = 0
        while unit.unnumbered:
            counts = Counter(resource.type for resource, _ in unit.unnumbered)
            increments = [("INCRBY", self._keys.last_number(type_), n + skipped) for type_, n in counts.items()]
            last = dict(zip(counts, unit.connection.ask(*increments), strict=True))
            numbers = {type_: iter(range(last[type_] - n + 1, last[type_] + 1)) for type_, n in counts.items()}
            for resource, entity in unit.unnumbered:
                entity._id = next(numbers[resource.type])
            unit.read(hashes=(self._keys.resource(resource.type, entity._id) for resource, entity in unit.unnumbered))
            unit.unnumbered = [new for new in unit.unnumbered if not self._place(unit, *new)]
            skipped = 2 * skipped + 1

    # </number>

    def _place(self, unit: Unit, resource: Resource, entity: Entity) -> bool:
        """Put a new resource where its id says; whether that was free."""
        place = unit.hash_at(self._keys.resource(resource.type, entity._id))
        if place:
            return False
        place.write({**entity._hash.fields, resource.codec.id_attribute: encode(entity._id)})
        entity._hash = place
        return True
