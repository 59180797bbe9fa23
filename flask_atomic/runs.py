"""A run: operations in a row that do the same to resources of one type, performed by one call of a hook."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from .hookspecs import Related
from .plugins import Binding, Layer
from .resources import Reference, Relationship
from .steps import Step

__all__ = ["Run", "may_run"]


def may_run(step: Step) -> bool:
    """Whether the step may be one of a run, if it may wait: it is compared with no version."""
    return step.verb in step.binding.runs and not step.versions


class _Member(NamedTuple):
    step: Step
    reference: Reference
    relationships: Mapping[Relationship, Related]


class Run:
    """The members of a run that have not been performed yet, in their order."""

    def __init__(self) -> None:
        self._members: list[_Member] = []

    def __bool__(self) -> bool:
        return bool(self._members)

    def takes(self, step: Step) -> bool:
        """Whether the step goes on with the run: not if it may be related to a member that has no entity yet."""
        last = self._members[-1].step
        if step.binding is not last.binding or step.verb != last.verb:
            return False
        return not (step.linkage and step.binding.refers_to_itself)

    def add(self, step: Step, reference: Reference, relationships: Mapping[Relationship, Related]) -> None:
        """Let a step be the next member.

        :param reference: the resource that it is about; one that is added has no entity yet.
        """
        self._members.append(_Member(step, reference, relationships))

    def perform(self, unit: Callable[[Layer], Any]) -> None:
        """Perform the members, and begin again with none; what was added or updated has its entity then.

        :param unit: gives the unit of work of a layer.
        """
        members, self._members = self._members, []
        steps, references, relationships = zip(*members, strict=True)
        binding: Binding = steps[0].binding
        layer, call = binding.layer, {"unit": unit(binding.layer), "resource": binding.resource}
        if steps[0].verb == "remove":
            layer.remove_all(**call, ids=[reference.id for reference in references])
            return
        values = {"attributes": [step.attributes for step in steps], "relationships": relationships}
        if steps[0].verb == "add":
            ids = [None if step.target is None else step.target.id for step in steps]
            entities = layer.add_all(**call, ids=ids, **values)
        else:
            entities = layer.update_all(**call, entities=[reference.entity for reference in references], **values)
        for reference, entity in zip(references, entities, strict=True):
            reference.entity = entity
