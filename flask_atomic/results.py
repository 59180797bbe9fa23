"""What the results of operations show: resources, all of one type at once, and the meta of plugins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .plugins import Binding, Plugins
from .promises import CheckedHook
from .resources import Record, Reference, Relationship

__all__ = ["resource_objects", "with_meta"]


def resource_objects(binding: Binding, unit: Any, references: Sequence[Reference]) -> list[dict[str, Any]]:
    """Return the resource object (JSON:API 1.1, "Resource Objects") of each resource as it is now.

    :param references: resources of the type of `binding`, all of them written to the store.
    """
    entities = [reference.entity for reference in references]
    objects = [
        {"type": reference.type, "id": str(reference.id), **members}
        for reference, members in zip(references, binding.resource.codec.dump(entities), strict=True)
    ]
    for relationship in binding.shown:
        linkage = binding.layer.linkage(
            unit=unit, resource=binding.resource, entities=entities, relationship=relationship
        )
        for shown, related in zip(objects, linkage, strict=True):
            shown.setdefault("relationships", {})[relationship.name] = {"data": _linkage(relationship, related)}
    if binding.versioned:
        versions = binding.layer.version(unit=unit, resource=binding.resource, entities=entities)
        for shown, version in zip(objects, versions, strict=True):
            if version is not None:
                shown["meta"] = {**shown.get("meta", {}), "version": version}
    return objects


def _linkage(relationship: Relationship, related: Any) -> Any:
    if relationship.many:
        return [{"type": relationship.type, "id": str(id_)} for id_ in related]
    return None if related is None else {"type": relationship.type, "id": str(related)}


def with_meta(records: list[Record], plugins: Plugins) -> list[Record]:
    """Return the records with what plugins have to say in the `meta` of each result."""
    if plugins.result_meta is None:
        return records
    shown = []
    for record in records:
        meta = _meta(record, plugins.result_meta)
        shown.append(record._replace(result={**record.result, "meta": meta}) if meta else record)
    return shown


def _meta(record: Record, result_meta: CheckedHook) -> dict[str, Any]:
    given = result_meta(operation=record.operation, resource=record.resource, id=record.id)
    meta: dict[str, Any] = {}
    for members in reversed(given):  # pluggy calls the plugin that was registered last first
        meta |= members
    return meta
