"""What the results of operations show: resources, all of one type at once, and the meta of plugins; and how much."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from json.encoder import encode_basestring_ascii
from types import MappingProxyType
from typing import Any

from .errors import Code, ErrorObject
from .plugins import Binding, Plugins
from .promises import CheckedHook
from .resources import Record, Reference, Relationship
from .schemas import writable
from .steps import Step

__all__ = ["Room", "resource_objects", "with_meta"]


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


class Room:
    """How much room there is for results, which a small request could make large: each update shows all of a resource.

    :param limit: about how many bytes; None for any number.
    """

    def __init__(self, limit: int | None) -> None:
        self._limit = limit
        self._taken = 0

    def take(self, results: Iterable[tuple[Step, Mapping[str, Any]]]) -> ErrorObject | None:
        """Find room for the results of these steps, which are in their order.

        :return: what to refuse the request for: the first operation whose result finds none; None if all do.
        """
        if self._limit is None:
            return None
        for step, result in results:
            self._taken += _size_of_result(result)
            if self._taken > self._limit:
                detail = f"The results up to this one would take more than {self._limit} bytes. Send fewer operations."
                return step.error(Code.ANSWER_TOO_LARGE, detail)
        return None


_CONTAINER = 50
_NUMBER = 10
_LONG = 100
_NONE: Mapping[str, Any] = MappingProxyType({})


def _size_of_result(result: Mapping[str, Any]) -> int:
    """About how many bytes a result takes as JSON, without what is short in any case. This is asked about every one."""
    size = _CONTAINER
    for name, member in result.get("data", _NONE).items():
        if name == "attributes" or name == "meta":
            size += _size(member)
        elif name == "relationships":
            size += sum(_size(each["data"]) for each in member.values() if type(each["data"]) is list)
    return size


def _size(container: Any) -> int:
    """About how many bytes an object or an array takes as JSON: at least 50, since it also takes time to be made."""
    size = _CONTAINER
    if type(container) is dict:
        size += len("".join(container))
        container = container.values()
    for value in container:
        kind = type(value)
        if kind is str:
            size += len(value) if len(value) < _LONG else len(encode_basestring_ascii(value))
        elif kind is dict or kind is list:
            size += _size(value)
        else:
            size += _NUMBER if kind is not int else _NUMBER + value.bit_length() // 4
    return size


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
    try:
        return {name: writable(value, name) for name, value in meta.items()}
    except TypeError as error:
        raise result_meta.broken("returned a value that cannot be written as JSON") from error
