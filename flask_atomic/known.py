"""The resources that one attempt has met, by id and by local id, so that each is read from its store once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from .plugins import Binding
from .resources import Reference
from .runs import may_run, runs_of
from .steps import Key, Step
from .transaction import Transaction

__all__ = ["KnownResources"]


class KnownResources:
    """A reference to each resource that was read or added; never a note that one is missing.

    :param bindings: the resource types, by type.
    :param transaction: that of the attempt.
    """

    def __init__(self, bindings: Mapping[str, Binding], transaction: Transaction) -> None:
        self._bindings = bindings
        self._unit = transaction.unit
        self._find_id = partial(_find_id, bindings, transaction)
        self._references: dict[Key, Reference] = {}
        self._ids: dict[Key, Key] = {}  # from the local ids of resources that have been written
        self._looked_for: set[Key] = set()
        self.has_all_named = False
        """Whether every existing resource that the operations name by id is known."""

    def get(self, key: Key | None) -> Reference | None:
        """The resource of that key, if it is known and has not been removed."""
        reference = None if key is None else self._references.get(key)
        return None if reference is None or reference.entity is None else reference

    def has_met(self, key: Key) -> bool:
        """Whether there is a reference to the resource, be it one that is not there yet or not any more."""
        return key in self._references

    def add(self, key: Key | None, binding: Binding, entity: Any) -> Reference:
        """Make a new resource known, by `key` if it has one yet."""
        reference = self._reference(binding, entity, None if key is None else key.id)
        if key is not None:
            self._references[key] = reference
        return reference

    def keep(self, key: Key, reference: Reference) -> None:
        """Make a resource known that was found by that key, and may have been forgotten since."""
        self._references[self._ids.get(key, key)] = reference

    def name(self, reference: Reference, key: Key | None) -> None:
        """Make a resource that was written known by its id; `key` may be its local id."""
        by_id = Key(reference.type, reference.id, None)
        self._references[by_id] = reference
        if key is not None and key.lid is not None:
            self._ids[key] = by_id

    def meet(self, key: Key) -> Reference | None:
        """A reference to a resource that need not have been read, nor exist.

        :return: None if it was looked for and not found, and for a local id whose resource has not been written yet.
        """
        reference = self._references.get(key)
        if reference is not None or key in self._looked_for:
            return reference
        by_id = key if key.lid is None else self._ids.get(key)
        if by_id is None:
            return None
        return self._references.setdefault(by_id, self._reference(self._bindings[key.type], None, by_id.id))

    def read_named(self, steps: Iterable[Step], *, also_found_by_layers: bool) -> None:
        """Read every existing resource that the steps name by id, in one go for each type.

        :param also_found_by_layers: whether to read what layers find in runs, too.
        """
        named: dict[str, dict[Any, Key]] = {}
        for run, layer_finds in runs_of(steps):
            for step in run:
                if layer_finds and not also_found_by_layers and may_run(step) and not step.linkage:
                    continue
                for key in step.named:
                    if key.lid is None:
                        named.setdefault(key.type, {})[key.id] = key
        for type_, keys_by_id in named.items():
            self._fetch(self._bindings[type_], keys_by_id)
            self._looked_for.update(keys_by_id.values())
        self.has_all_named = True

    def read(self, keys: Sequence[Key]) -> dict[Key, Reference]:
        """Read the resources of these keys, one or more of one type; those that do not exist are left out."""
        by_id = {key: self._ids.get(key, key) for key in keys}
        self._fetch(self._bindings[keys[0].type], {named.id: named for named in by_id.values()})
        found = {key: reference for key, named in by_id.items() if (reference := self._references.get(named))}
        self._references |= found
        return found

    def missing(self, key: Key) -> Reference:
        """A reference to a resource that exists nowhere."""
        return self._reference(self._bindings[key.type], None, self._ids.get(key, key).id)

    def forget(self) -> None:
        """Forget all but which local id stands for which id."""
        self._references.clear()
        self._looked_for.clear()
        self.has_all_named = False

    def _fetch(self, binding: Binding, keys_by_id: Mapping[Any, Key]) -> None:
        layer, resource = binding.layer, binding.resource
        found = layer.get(unit=self._unit(layer), resource=resource, ids=list(keys_by_id))
        for id_, entity in found.items():
            self._references[keys_by_id[id_]] = self._reference(binding, entity, id_)

    def _reference(self, binding: Binding, entity: Any, id_: Any) -> Reference:
        return Reference(binding.resource, entity, id_, self._find_id)


def _find_id(bindings: Mapping[str, Binding], transaction: Transaction, reference: Reference) -> Any:
    """The id of a resource that was added; the store may have to be written to for it."""
    layer = bindings[reference.type].layer
    unit, resource, entity = transaction.unit(layer), reference.resource, reference.entity
    id_ = layer.identify(unit=unit, resource=resource, entity=entity)
    if id_ is None:
        transaction.flush(layer)
        id_ = layer.identify(unit=unit, resource=resource, entity=entity)
    if id_ is None:
        raise layer.identify.broken(f"returned None after a flush, for one of '{reference.type}'")
    return id_
