"""A run: operations in a row that do the same to resources of one type, performed by one call of a hook."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import groupby
from operator import attrgetter
from typing import Any

from .hookspecs import Related
from .plugins import Layer
from .resources import Reference, Relationship
from .steps import Step

__all__ = ["Run", "may_run", "runs_of"]

_LONG = 20
"""How long a run of updates is in which the layer reads what is updated, if at all; for less, all is read at once."""


def may_run(step: Step) -> bool:
    """Whether the step may be one of a run, if it may wait: it is compared with no version."""
    return step.verb in step.binding.runs and not step.versions


def runs_of(steps: Iterable[Step]) -> Iterator[tuple[list[Step], bool]]:
    """The steps, those in a row that do the same to one type together, and whether the layer finds their targets."""
    for (verb, binding), row in groupby(steps, key=attrgetter("verb", "binding")):
        alike = list(row)
        found = verb == "remove" or (verb == "update" and len(alike) >= _LONG)
        yield alike, found and verb in binding.runs


class Run:
    """The members of a run that have not been performed yet, in their order."""

    def __init__(self) -> None:
        self._steps: list[Step] = []
        self._references: list[Reference] = []
        self._relationships: list[Mapping[Relationship, Related]] = []

    def __bool__(self) -> bool:
        return bool(self._steps)

    def takes(self, step: Step) -> bool:
        """Whether the step goes on with the run: not if it may be related to a member that may have no entity yet."""
        last = self._steps[-1]
        if step.binding is not last.binding or step.verb != last.verb:
            return False
        return not (step.linkage and step.binding.refers_to_itself)

    def add(self, step: Step, reference: Reference, relationships: Mapping[Relationship, Related]) -> None:
        """Let a step be the next member.

        :param reference: the resource that it is about. One that is added has no entity yet; any other may have none.
        """
        self._steps.append(step)
        self._references.append(reference)
        self._relationships.append(relationships)

    def perform(self, unit: Callable[[Layer], Any]) -> None:
        """Perform the members; what was added or updated has its entity then.

        :param unit: gives the unit of work of a layer.
        """
        binding, references = self._steps[0].binding, self._references
        layer, call = binding.layer, {"unit": unit(binding.layer), "resource": binding.resource}
        if self._steps[0].verb == "remove":
            layer.remove_all(**call, ids=[reference.id for reference in references])
            return
        call |= {"attributes": [step.attributes for step in self._steps], "relationships": self._relationships}
        if self._steps[0].verb == "add":
            ids = [None if step.target is None else step.target.id for step in self._steps]
            entities = layer.add_all(**call, ids=ids)
        else:
            ids = [reference.id for reference in references]
            entities = layer.update_all(**call, ids=ids, entities=[reference.entity for reference in references])
        for reference, entity in zip(references, entities, strict=True):
            reference.entity = entity
