"""A run: operations in a row that do the same to resources of one type, performed by one call of a hook."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from operator import attrgetter
from typing import Any

from .context import Performing
from .errors import NotFound
from .hookspecs import Related
from .plugins import Layer
from .resources import Reference, Relationship
from .steps import Step

__all__ = ["Run", "may_run", "runs_of"]

Call = Mapping[str, Any]
"""The unit and the resource type, which each hook is given."""
Relationships = Mapping[Relationship, Related]

_LONG = 20
"""How long the run of updates is in which the layer reads what is updated, if at all; else, all is read at once."""


def may_run(step: Step) -> bool:
    """Whether the step may be one of a run, if it may wait: it is compared with no version."""
    return step.verb in step.binding.runs and not step.versions


def runs_of(steps: Iterable[Step]) -> Iterator[tuple[list[Step], bool]]:
    """The steps, those in a row that do the same to one type together, and whether the layer finds their targets.

    It does not find those of updates that come to several runs, each of which it might read by itself.
    """
    rows = [(verb, binding, list(row)) for (verb, binding), row in groupby(steps, key=attrgetter("verb", "binding"))]
    updates = Counter(binding for verb, binding, _ in rows if verb == "update")
    for verb, binding, alike in rows:
        found = verb == "remove" or (verb == "update" and updates[binding] == 1 and _is_long_run(alike))
        yield alike, found and verb in binding.runs


def _is_long_run(alike: Sequence[Step]) -> bool:
    """Whether updates in a row are many, and one run: of different resources, not related to each other."""
    if len(alike) < _LONG or len({step.target for step in alike}) < len(alike):
        return False
    return all(step.may_wait and may_run(step) and not _may_be_related(step) for step in alike)


def _may_be_related(step: Step) -> bool:
    """Whether the step may be related to another one of its type."""
    return bool(step.linkage) and step.binding.refers_to_itself


class Run:
    """The members of a run that have not been performed yet, in their order."""

    def __init__(self) -> None:
        self._steps: list[Step] = []
        self._references: list[Reference] = []
        self._relationships: list[Relationships] = []

    def __bool__(self) -> bool:
        return bool(self._steps)

    def takes(self, step: Step) -> bool:
        """Whether the step goes on with the run: not if it may be related to a member that may have no entity yet."""
        last = self._steps[-1]
        if step.binding is not last.binding or step.verb != last.verb:
            return False
        return not _may_be_related(step)

    def add(self, step: Step, reference: Reference, relationships: Relationships) -> None:
        """Let a step be the next member.

        :param reference: the resource that it is about. One that is added has no entity yet; any other may have none.
        """
        self._steps.append(step)
        self._references.append(reference)
        self._relationships.append(relationships)

    def perform(self, unit: Callable[[Layer], Any]) -> None:
        """Perform the members; what was added or updated has its entity then.

        :param unit: gives the unit of work of a layer.
        :raises NotFound: if what is to be updated or removed does not exist; it may be found out later, too.
        """
        first, references = self._steps[0], self._references
        layer = first.binding.layer
        call = {"unit": unit(layer), "resource": first.binding.resource}
        if first.verb == "remove":
            if not layer.remove_all(**call, ids=[reference.id for reference in references]):
                self._perform_each(layer, call)
            return
        values = {"attributes": [step.attributes for step in self._steps], "relationships": self._relationships}
        if first.verb == "add":
            entities = layer.add_all(**call, ids=[_id_of_new(step) for step in self._steps], **values)
        else:
            ids = [reference.id for reference in references]
            read = [reference.entity for reference in references]
            entities = layer.update_all(**call, ids=ids, entities=read, **values)
        if entities is None:
            self._perform_each(layer, call)
            return
        for reference, entity in zip(references, entities, strict=True):
            reference.entity = entity

    def _perform_each(self, layer: Layer, call: Call) -> None:
        """Perform the members one by one, each as the current operation: the layer would rather have it so."""
        perform = _PERFORM[self._steps[0].verb]
        self._read(layer, call)
        for step, reference, relationships in zip(self._steps, self._references, self._relationships, strict=True):
            with Performing(step.operation):
                reference.entity = perform(layer, call, step, reference.entity, relationships)

    def _read(self, layer: Layer, call: Call) -> None:
        unread = [] if self._steps[0].verb == "add" else [each for each in self._references if each.entity is None]
        found = layer.get(**call, ids=[reference.id for reference in unread]) if unread else {}
        if len(found) < len(unread):
            raise NotFound("There is no such resource.")
        for reference in unread:
            reference.entity = found[reference.id]


def _add(layer: Layer, call: Call, step: Step, entity: Any, relationships: Relationships) -> Any:
    return layer.add(**call, id=_id_of_new(step), attributes=step.attributes, relationships=relationships)


def _update(layer: Layer, call: Call, step: Step, entity: Any, relationships: Relationships) -> Any:
    return layer.update(**call, entity=entity, attributes=step.attributes, relationships=relationships)


def _remove(layer: Layer, call: Call, step: Step, entity: Any, relationships: Relationships) -> None:
    layer.remove(**call, entity=entity)


_PERFORM: Mapping[str, Callable[[Layer, Call, Step, Any, Relationships], Any]] = {
    "add": _add,
    "update": _update,
    "remove": _remove,
}


def _id_of_new(step: Step) -> Any:
    return None if step.target is None else step.target.id
