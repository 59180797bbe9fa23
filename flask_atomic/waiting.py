"""The operations that wait for a common flush, and what ends the wait."""

from __future__ import annotations

from typing import NamedTuple

from .plugins import Binding
from .resources import Reference, Relationship
from .steps import Step

__all__ = ["Waiting", "WaitingStep"]


class WaitingStep(NamedTuple):
    """A step whose write may not be in the store yet, and whose result is still to be made.

    :param position: that of the operation in the request.
    :param reference: the resource that the operation is about.
    """

    position: int
    step: Step
    reference: Reference


class Waiting:
    """The steps that wait, in their order."""

    def __init__(self) -> None:
        self.steps: list[WaitingStep] = []
        self._references: set[Reference] = set()
        self._bindings: dict[str, Binding] = {}

    def __bool__(self) -> bool:
        return bool(self.steps)

    def __contains__(self, reference: Reference) -> bool:
        return reference in self._references

    def add(self, position: int, step: Step, reference: Reference) -> None:
        """Let a step wait."""
        if not self.steps or self.steps[-1].step.binding is not step.binding:
            self._bindings[reference.type] = step.binding
        self.steps.append(WaitingStep(position, step, reference))
        self._references.add(reference)

    def clear(self) -> None:
        """Begin again with none."""
        self.steps.clear()
        self._references.clear()
        self._bindings.clear()

    def ends_before(self, step: Step) -> bool:
        """Whether what waits must be written, and its results made, before a step that may wait is performed."""
        if not self.steps:
            return False
        first = self.steps[0].step
        if step.verb != first.verb and step.writes_like != first.writes_like:
            return True
        if step.verb == "remove":
            # A child must not go after its parent unnoticed.
            return step.binding is not first.binding or step.binding.refers_to_itself
        return bool(step.linkage) and any(self._is_changed_by(step, relationship) for relationship in step.linkage)

    def _is_changed_by(self, step: Step, relationship: Relationship) -> bool:
        """Whether writing the relationship can change the linkage that a waiting resource shows."""
        type_ = step.binding.resource.type
        related = self._bindings.get(relationship.type)
        if related is None:
            return False
        return type_ in related.shown_to_many or (relationship.many and type_ in related.shown_to_one)
