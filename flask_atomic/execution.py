"""One attempt at a plan: operations in order, writes that wait for each other where that cannot be told, results.

The strict order is the definition: each operation is written before the next one is looked at, and its result shows
the resource as it is then. Batching only saves time. It reads what the operations name in one go, lets writes wait for
a common flush, and ends the wait as soon as an operation could make a difference to what waits. If anything fails
while writes wait, the whole attempt is thrown away, and those that waited are run strictly in another one, which finds
out what is to blame.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from .context import Performing, request_served
from .errors import Code, ErrorObject, NotFound, OperationFailed, PluginDefect, RequestFailed, Transient
from .hookspecs import Related
from .known import KnownResources
from .loggers import attempts
from .operations import NOTHING
from .pace import FAST, STRICT, Pace
from .plugins import Binding, Plugins
from .repeats import Repeats
from .resources import Record, Reference, Relationship
from .results import Room, resource_objects, with_meta
from .retries import Retries
from .runs import Run, may_run
from .steps import Key, Plan, PlannedLinkage, Step, target_path
from .transaction import Transaction, refuse_unless_atomic
from .waiting import Waiting, WaitingStep

__all__ = ["perform"]


Answer = TypeVar("Answer")
Present = Callable[[Sequence[Record]], Answer]


def perform(
    plan: Plan,
    plugins: Plugins,
    present: Present[Answer],
    *,
    batch: bool,
    retries: Retries,
    repeats: Repeats[Answer] | None = None,
) -> tuple[list[Record] | None, Answer]:
    """Perform all operations of the plan and commit, or none.

    :param present: makes an answer of the records. It is called before the commit, so that what cannot be answered is
        not stored.
    :param batch: whether writes may wait for each other; it makes no difference to the outcome.
    :param retries: performs the plan again after a failure that passes, when nothing of the try that failed is left.
    :param repeats: what remembers the answer for a repeat of the request, None if nothing does.
    :return: a record for each operation, in their order, and the answer; None and the answer that was given before, if
        the request is such a repeat.
    :raises RequestFailed: with the errors of the first operation that failed, or of the commit.
    :raises Exception: a defect, that of a plugin as a `PluginDefect`. Everything is rolled back then, too.
    """
    refuse_unless_atomic(plan.written)
    try:
        return retries.run(lambda: _run(plan, plugins, present, repeats, batch=batch))
    except Transient as failure:
        raise RequestFailed.because_of(failure) from failure


class _Ambiguous(Exception):
    """Something failed while `count` operations, from `first` on, were under way: any of them may be to blame."""

    def __init__(self, first: int, count: int) -> None:
        super().__init__(first, count)
        self.first = first
        self.count = count


class _Judged(RequestFailed):
    """A refusal of our own, raised before anything of the operation was done."""


def _run(
    plan: Plan, plugins: Plugins, present: Present[Answer], repeats: Repeats[Answer] | None, *, batch: bool
) -> tuple[list[Record] | None, Answer]:
    pace = FAST if batch and len(plan.steps) > 1 else STRICT
    while True:
        try:
            return _attempt(plan, plugins, present, repeats, pace)
        except _Ambiguous as ambiguous:
            following = pace.after_loss if isinstance(ambiguous.__cause__, NotFound) else pace.after
            pace = following(ambiguous.first, ambiguous.count)
            _tell(ambiguous, pace)


def _tell(ambiguous: _Ambiguous, pace: Pace) -> None:
    reason = ambiguous.__cause__
    exception = reason if attempts.isEnabledFor(logging.DEBUG) else None
    if isinstance(reason, PluginDefect):  # of which nobody hears otherwise, if the next attempt succeeds
        attempts.warning("A batched attempt failed. %s There is a defect: %s", pace, reason, exc_info=exception)
    else:
        attempts.info("A batched attempt failed. %s", pace, exc_info=exception)


def _attempt(
    plan: Plan, plugins: Plugins, present: Present[Answer], repeats: Repeats[Answer] | None, pace: Pace
) -> tuple[list[Record] | None, Answer]:
    request_served().attempts += 1
    with Transaction(plugins.layers, plan.written) as transaction:
        try:
            given = None if repeats is None else repeats.recall(transaction)
            if given is not None:
                return None, given
            records = with_meta(_Attempt(plan, plugins, transaction, pace).run(), plugins)
            answer = present(records)
            if repeats is not None:
                repeats.remember(transaction, answer)
            transaction.commit()
        except Transient:
            raise
        except OperationFailed as failure:  # of the commit, or of nobody in particular
            raise RequestFailed.because_of(failure) from failure
        return records, answer


class _Attempt:
    """Everything that one attempt knows. Nothing of it outlives the attempt."""

    def __init__(self, plan: Plan, plugins: Plugins, transaction: Transaction, pace: Pace) -> None:
        self._steps = plan.steps
        self._transaction = transaction
        self._unit = transaction.unit
        self._strict_from = pace.strict_from(len(plan.steps))
        self._stops = pace.stops(len(plan.steps))
        self._reads_ahead = pace.reads_ahead
        self._position = 0
        self._known = KnownResources(plugins.bindings, transaction)
        self._waiting = Waiting()
        self._run = Run()  # its members are among those that wait
        self._room = Room(plan.max_answer)
        self._results: list[dict[str, Any]] = [{} for _ in plan.steps]
        self._ids: list[Any] = [None for _ in plan.steps]

    def run(self) -> list[Record]:
        if self._strict_from > 0:
            try:
                self._run_batched()
            except Transient:
                raise
            except RequestFailed as failure:
                if self._waiting:
                    raise self._ambiguous() from failure
                raise
            except Exception as error:
                raise self._ambiguous() from error
        self._run_strictly()
        return [
            Record(step.operation, step.binding.resource, id_, result)
            for step, id_, result in zip(self._steps, self._ids, self._results, strict=True)
        ]

    def _ambiguous(self) -> _Ambiguous:
        first = self._waiting.steps[0].position if self._waiting else self._position
        return _Ambiguous(first, self._position - first + 1)

    def _run_strictly(self) -> None:
        with Performing() as perform_now:
            for position, step in enumerate(self._steps[self._strict_from :], self._strict_from):
                self._known.forget()
                perform_now(step.operation)
                try:
                    self._perform(position, step)
                    self._settle()
                except Transient:
                    raise
                except OperationFailed as failure:
                    raise RequestFailed(step.blame(failure)) from failure

    def _run_batched(self) -> None:
        steps = self._steps[: self._strict_from]
        self._known.read_named(steps, also_found_by_layers=self._reads_ahead)
        with Performing() as perform_now:
            for position, step in enumerate(steps):
                self._position = position
                perform_now(step.operation)
                may_wait = step.may_wait
                if not may_wait or position in self._stops or self._waiting.ends_before(step):
                    self._settle()
                if not (may_wait and self._join_run(position, step)):
                    self._perform_run()
                    self._perform(position, step)
                if not may_wait:
                    self._settle()
            perform_now(None)
            self._settle()

    def _perform(self, position: int, step: Step) -> None:
        try:
            reference = _PERFORM[step.verb](self, step)
        except _Judged:
            if not self._waiting:
                raise
            self._settle()  # with nothing that waits and nothing known, it is judged as the strict order has it
            self._known.forget()
            reference = _PERFORM[step.verb](self, step)
        self._waiting.add(position, step, reference)

    # ------------------------------------------------------------------------------------------------------ runs

    def _join_run(self, position: int, step: Step) -> bool:
        """Let a step be performed together with those around it; False if it has to be alone."""
        if not may_run(step):
            return False
        if self._run and not self._run.takes(step):
            self._perform_run()  # the step may be related to its members
        reference = _REFERENCE_IN_RUN[step.verb](self, step)
        if reference is None:
            return False
        related: Mapping[Relationship, Related] = NOTHING
        if step.linkage:
            related = self._related(step, step.linkage)  # this may end the run, and have all be forgotten
            if step.verb == "update" and step.target is not None:
                self._known.keep(step.target, reference)
        self._run.add(step, reference, related)
        self._waiting.add(position, step, reference)
        return True

    def _new_in_run(self, step: Step) -> Reference | None:
        target = step.target
        if target is not None and (_relationships_to_itself(step) or not self._is_free(target)):
            return None
        return self._known.add(target, step.binding, None)

    def _is_free(self, target: Key) -> bool:
        """Whether the client's id, if it is one, is known to be that of no other resource."""
        return target.id is None or (self._known.has_all_named and not self._known.has_met(target))

    def _changed_in_run(self, step: Step) -> Reference | None:
        if step.target is None:
            return None
        # It must be there before anything is looked for that it is related to.
        target = self._known.get(step.target) if step.linkage else self._known.meet(step.target)
        return None if target is None or target in self._waiting else target

    def _removed_in_run(self, step: Step) -> Reference | None:
        target = self._changed_in_run(step)
        if target is not None:
            target.entity = None
        return target

    def _perform_run(self) -> None:
        if self._run:
            run, self._run = self._run, Run()
            with Performing():
                run.perform(self._unit)

    # ------------------------------------------------------------------------------------------------ operations

    def _add(self, step: Step) -> Reference:
        layer, target = step.binding.layer, step.target
        if target is not None and target.id is not None:
            self._refuse_taken(step, target)
        to_itself = _relationships_to_itself(step)
        others = [other for other in step.linkage if other not in to_itself]
        entity = layer.add(
            unit=self._unit(layer),
            resource=step.binding.resource,
            id=None if target is None else target.id,
            attributes=step.attributes,
            relationships=self._related(step, others),
        )
        reference = self._known.add(target, step.binding, entity)
        if to_itself:
            self._relate_to_itself(step, reference, to_itself)
        return reference

    def _refuse_taken(self, step: Step, target: Key) -> None:
        taken = self._known.get(target) if self._known.has_all_named else self._find([target])
        if taken:
            detail = f"There is a resource of type '{target.type}' with this id already."
            raise _Judged(step.error(Code.ID_TAKEN, detail, "data", "id"))

    def _relate_to_itself(self, step: Step, reference: Reference, relationships: Collection[Relationship]) -> None:
        """Relate a new resource to itself, which many stores can only do when it is there."""
        layer = step.binding.layer
        if not layer.supports("update"):
            detail = "A new resource cannot be related to itself here."
            raise RequestFailed(step.error(Code.OPERATION_NOT_SUPPORTED, detail, "data", "relationships"))
        self._transaction.flush(layer)
        self._change(step, reference, {}, self._related(step, relationships))

    def _update(self, step: Step) -> Reference:
        reference, related = self._target_and_related(step)
        self._change(step, reference, step.attributes, related)
        return reference

    def _change(
        self,
        step: Step,
        reference: Reference,
        attributes: Mapping[str, Any],
        relationships: Mapping[Relationship, Related],
    ) -> None:
        layer = step.binding.layer
        reference.entity = layer.update(
            unit=self._unit(layer),
            resource=step.binding.resource,
            entity=reference.entity,
            attributes=attributes,
            relationships=relationships,
        )

    def _remove(self, step: Step) -> Reference:
        reference, _ = self._target_and_related(step)
        layer = step.binding.layer
        layer.remove(unit=self._unit(layer), resource=step.binding.resource, entity=reference.entity)
        reference.entity = None
        return reference

    def _write_relationship(self, step: Step) -> Reference:
        reference, related = self._target_and_related(step)
        layer = step.binding.layer
        for relationship, value in related.items():
            getattr(layer, step.verb)(
                unit=self._unit(layer),
                resource=step.binding.resource,
                entity=reference.entity,
                relationship=relationship,
                related=value,
            )
        return reference

    # --------------------------------------------------------------------------------------------------- reading

    def _find(self, keys: Iterable[Key]) -> dict[Key, Reference]:
        """The resources that exist of those that `keys`, all of one type, name."""
        known = {key: self._known.get(key) for key in keys}
        found = {key: reference for key, reference in known.items() if reference is not None}
        unknown = [key for key, reference in known.items() if reference is None]
        if unknown:
            self._settle()  # what waits may be what is looked for
            found |= self._known.read(unknown)
        return found

    def _target_and_related(self, step: Step) -> tuple[Reference, dict[Relationship, Related]]:
        """Find what an operation on an existing resource is about.

        :raises RequestFailed: 404 for the target or for each related resource that does not exist.
        """
        assert step.target is not None
        target = self._known.get(step.target) or self._find([step.target]).get(step.target)
        if target is None:
            detail = f"There is no such '{step.target.type}'."
            member = "id" if step.target.lid is None else "lid"
            raise RequestFailed(step.error(Code.RESOURCE_NOT_FOUND, detail, *target_path(step.operation, member)))
        related = self._related(step, step.linkage)
        if target in self._waiting:
            self._settle()
        self._known.keep(step.target, target)  # the next operation on it must find that it waits
        self._match_versions(step, target)
        return target, related

    def _match_versions(self, step: Step, target: Reference) -> None:
        layer = step.binding.layer
        for version, path in step.versions.items():
            unit, resource = self._unit(layer), step.binding.resource
            if not layer.match_version(unit=unit, resource=resource, entity=target.entity, version=version):
                raise _Judged(step.error(Code.STALE, "The resource has another version by now.", *path))

    def _related(self, step: Step, relationships: Collection[Relationship]) -> dict[Relationship, Related]:
        related: dict[Relationship, Related] = {}
        if not relationships:
            return related
        errors: list[ErrorObject] = []
        for relationship in relationships:
            linkage = step.linkage[relationship]
            found = self._find(linkage)
            if step.verb != "remove_from_relationship":
                errors += _errors_of_missing(step, linkage, found)
            members = [found.get(key) or self._known.missing(key) for key in linkage]
            related[relationship] = members if relationship.many else members[0] if members else None
        if errors:
            raise RequestFailed(*errors)
        return related

    # --------------------------------------------------------------------------------------------------- writing

    def _settle(self) -> None:
        """Write what waits and make the results."""
        waiting = self._waiting.steps
        if not waiting:
            return
        self._perform_run()
        with Performing(waiting[0].step.operation if len(waiting) == 1 else None):
            for layer in dict.fromkeys(step.binding.layer for _, step, _ in waiting):
                self._transaction.flush(layer)
            for position, _, reference in waiting:
                self._ids[position] = reference.id
            self._show([entry for entry in waiting if entry.step.verb in ("add", "update")])
        if self._transaction.has_lost or any(step.verb == "remove" for _, step, _ in waiting):
            self._known.forget()  # the store may have removed more than it was asked to
            self._transaction.has_lost = False
        error = self._room.take((step, self._results[position]) for position, step, _ in waiting)
        self._waiting.clear()
        if error is not None:  # nothing waits any more: it is certain which operation is to blame
            raise RequestFailed(error)

    def _show(self, written: Iterable[WaitingStep]) -> None:
        by_binding: dict[Binding, list[WaitingStep]] = {}
        for entry in written:
            if entry.step.verb == "add":
                self._known.name(entry.reference, entry.step.target)
            by_binding.setdefault(entry.step.binding, []).append(entry)
        for binding, entries in by_binding.items():
            unit = self._unit(binding.layer)
            resources = resource_objects(binding, unit, [entry.reference for entry in entries])
            for entry, resource in zip(entries, resources, strict=True):
                self._results[entry.position] = {"data": resource}


def _relationships_to_itself(step: Step) -> Collection[Relationship]:
    """Those by which the operation relates its target to itself."""
    return {relationship for relationship, linkage in step.linkage.items() if step.target in linkage}


def _errors_of_missing(step: Step, linkage: PlannedLinkage, found: Mapping[Key, Reference]) -> list[ErrorObject]:
    detail = "There is no such resource."
    return [
        step.error(Code.RELATED_RESOURCE_NOT_FOUND, detail, *path) for key, path in linkage.items() if key not in found
    ]


_REFERENCE_IN_RUN: Mapping[str, Callable[[_Attempt, Step], Reference | None]] = {
    "add": _Attempt._new_in_run,
    "update": _Attempt._changed_in_run,
    "remove": _Attempt._removed_in_run,
}

_PERFORM: Mapping[str, Callable[[_Attempt, Step], Reference]] = {
    "add": _Attempt._add,
    "update": _Attempt._update,
    "remove": _Attempt._remove,
    "add_to_relationship": _Attempt._write_relationship,
    "set_relationship": _Attempt._write_relationship,
    "remove_from_relationship": _Attempt._write_relationship,
}
