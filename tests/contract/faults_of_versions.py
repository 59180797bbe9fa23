"""Faults in versions."""

from __future__ import annotations

from typing import Any

from flask_atomic import MemoryLayer, hookimpl
from tests.contract.planted import breaks


@breaks(("atomic_versioned", "Say whether resources of the type have versions"))
class HasNoneAfterAll(MemoryLayer):
    @hookimpl
    def atomic_version(self, entities: Any) -> Any:
        return [None for _ in entities]


@breaks(("atomic_version", "in the order of `entities`, where the same may be twice"))
class HasOneOfEach(MemoryLayer):
    @hookimpl
    def atomic_version(self, entities: Any) -> Any:
        return super().atomic_version({id(entity): entity for entity in entities}.values())


@breaks(("atomic_version", "in the order of `entities`, where the same may be twice"))
class SortsVersions(MemoryLayer):
    @hookimpl
    def atomic_version(self, entities: Any) -> Any:
        return sorted(super().atomic_version(entities))


@breaks(("atomic_version", "It stays the same as long as the resource does."))
class HasAVersionForEachUnit(MemoryLayer):
    @hookimpl
    def atomic_version(self, unit: Any, entities: Any) -> Any:
        return [f"{id(entity)}-{entity._written}" for entity in entities]


@breaks(("atomic_version", "the resource has another version then"))
class HasOneVersion(MemoryLayer):
    @hookimpl
    def atomic_version(self, entities: Any) -> Any:
        return ["1" for _ in entities]


@breaks(("atomic_version", "the resource has another version then"))
class ForgetsRelationships(MemoryLayer):
    @hookimpl
    def atomic_add_to_relationship(
        self, unit: Any, resource: Any, entity: Any, relationship: Any, related: Any
    ) -> None:
        written = entity._written
        super().atomic_add_to_relationship(unit, resource, entity, relationship, related)
        entity._written = written


@breaks(("atomic_match_version", "Say whether the resource has the version"))
class MatchesAny(MemoryLayer):
    @hookimpl
    def atomic_match_version(self) -> Any:
        return True


@breaks(("atomic_match_version", "Say whether the resource has the version"))
class MatchesNone(MemoryLayer):
    @hookimpl
    def atomic_match_version(self) -> Any:
        return False


@breaks(("atomic_match_version", "Say whether the resource has the version"))
class MatchesAnOlderOne(MemoryLayer):
    @hookimpl
    def atomic_match_version(self, entity: Any, version: Any) -> Any:
        return version.isdecimal() and int(version) <= entity._written


@breaks(("atomic_match_version", "if nobody else has changed the resource"))
class OnlyCompares(MemoryLayer):
    @hookimpl
    def atomic_prepare(self, unit: Any) -> None:
        self._committing.acquire()
        unit.holds_lock = True
