"""One attempt at a plan: operations in order, writes that wait for each other where that cannot be told, results.

The strict order is the definition: each operation is written before the next one is looked at, and its result shows
the resource as it is then. Batching only saves time. It reads what the operations name in one go, lets writes wait for
a common flush, and ends the wait as soon as an operation could make a difference to what waits. If anything fails
while writes wait, the whole attempt is thrown away and the plan is run strictly, which finds out what is to blame.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from .context import Performing
from .errors import Code, ErrorObject, OperationFailed, RequestFailed, Transient
from .hookspecs import Related
from .plugins import Binding, Layer, Plugins
from .resources import Record, Reference, Relationship
from .results import resource_objects, with_meta
from .steps import Key, Plan, PlannedLinkage, Step, target_path
from .transaction import Transaction, refuse_unless_atomic

__all__ = ["perform"]


Answer = TypeVar("Answer")
Present = Callable[[Sequence[Record]], Answer]


def perform(plan: Plan, plugins: Plugins, present: Present[Answer], *, batch: bool) -> tuple[list[Record], Answer]:
    """Perform all operations of the plan and commit, or none.

    :param present: makes an answer of the records. It is called before the commit, so that what cannot be answered is
        not stored.
    :param batch: whether writes may wait for each other; it makes no difference to the outcome.
    :return: a record for each operation, in their order, and the answer.
    :raises RequestFailed: with the errors of the first operation that failed, or of the commit.
    :raises Exception: a defect in a plugin. Everything is rolled back then, too.
    """
    refuse_unless_atomic(plan.written)
    if batch and len(plan.steps) > 1:
        try:
            return _attempt(plan, plugins, present, batch=True)
        except _Ambiguous:
            pass
    return _attempt(plan, plugins, present, batch=False)


class _Ambiguous(Exception):
    """Something failed while several operations were under way: only a strict attempt can tell which is to blame."""


def _attempt(plan: Plan, plugins: Plugins, present: Present[Answer], *, batch: bool) -> tuple[list[Record], Answer]:
    with Transaction(plugins.layers, plan.written) as transaction:
        try:
            records = with_meta(_Attempt(plan, plugins, transaction, batch=batch).run(), plugins)
            answer = present(records)
            transaction.commit()
        except OperationFailed as failure:  # of the commit, or of nobody in particular
            raise RequestFailed.because_of(failure) from failure
        return records, answer


class _Waiting(NamedTuple):
    """An operation whose write may not be in the store yet, and whose result is still to be made."""

    position: int
    step: Step
    reference: Reference


class _Attempt:
    """Everything that one attempt knows. Nothing of it outlives the attempt."""

    def __init__(self, plan: Plan, plugins: Plugins, transaction: Transaction, *, batch: bool) -> None:
        self._steps = plan.steps
        self._bindings = plugins.bindings
        self._unit = transaction.unit
        self._batch = batch
        self._cache: dict[Key, Reference] = {}  # never holds a miss
        self._has_read_together = False  # and has forgotten nothing of it since
        self._local_ids: dict[Key, Key] = {}  # from the local ids of written resources to their ids
        self._waiting: list[_Waiting] = []
        self._waiting_references: set[Reference] = set()
        self._waiting_bindings: dict[str, Binding] = {}
        self._results: list[dict[str, Any]] = [{} for _ in plan.steps]
        self._ids: list[Any] = [None] * len(
            plan.steps
        )  # not references: a strict attempt keeps no entity it is done with

    def run(self) -> list[Record]:
        try:
            self._run_steps()
        except (Transient, _Ambiguous):
            raise
        except RequestFailed:
            if self._waiting and self._batch:
                raise _Ambiguous from None
            raise
        except Exception:
            if self._batch:
                raise _Ambiguous from None
            raise
        return [
            Record(step.operation, step.binding.resource, id_, result)
            for step, id_, result in zip(self._steps, self._ids, self._results, strict=True)
        ]

    def _run_steps(self) -> None:
        if self._batch:
            self._read_together()
        for position, step in enumerate(self._steps):
            with Performing(step.operation):
                self._run_step(position, step)
        if self._waiting:
            self._settle()

    def _run_step(self, position: int, step: Step) -> None:
        if self._batch:
            self._perform(position, step)
            return
        try:
            self._perform(position, step)
        except Transient:
            raise
        except OperationFailed as failure:
            raise RequestFailed(step.blame(failure)) from failure
        self._forget()

    def _perform(self, position: int, step: Step) -> None:
        if self._waiting and self._ends_wait(step):
            self._settle()
        reference = _PERFORM[step.verb](self, step)
        self._waiting.append(_Waiting(position, step, reference))
        self._waiting_references.add(reference)
        self._waiting_bindings[reference.type] = step.binding
        if not (self._batch and step.may_wait):
            self._settle()

    # ------------------------------------------------------------------------------------------------ operations

    def _add(self, step: Step) -> Reference:
        layer, resource, target = step.binding.layer, step.binding.resource, step.target
        id_ = None if target is None else target.id
        if target is not None and id_ is not None:
            self._refuse_taken(step, target)
        to_itself = {relationship for relationship, linkage in step.linkage.items() if target in linkage}
        entity = layer.add(
            unit=self._unit(layer),
            resource=resource,
            id=id_,
            attributes=step.attributes,
            relationships=self._related(step, [other for other in step.linkage if other not in to_itself]),
        )
        reference = Reference(resource, entity, id_, self._find_id)
        if target is not None:
            self._cache[target] = reference
        if to_itself:
            self._relate_to_itself(step, reference, to_itself)
        return reference

    def _refuse_taken(self, step: Step, target: Key) -> None:
        # As long as the cache has all that was read together, a client's id that is not in it was free.
        known = self._cache.get(target) if self._has_read_together else self._find([target]).get(target)
        if known is not None and known.entity is not None:
            detail = f"There is a resource of type '{target.type}' with this id already."
            raise RequestFailed(step.error(Code.ID_TAKEN, detail, "data", "id"))

    def _relate_to_itself(self, step: Step, reference: Reference, relationships: Iterable[Relationship]) -> None:
        """Relate a new resource to itself, which many stores can only do when it is there."""
        layer = step.binding.layer
        if not layer.supports("update"):
            detail = "A new resource cannot be related to itself here."
            raise RequestFailed(step.error(Code.OPERATION_NOT_SUPPORTED, detail, "data", "relationships"))
        self._flush(layer)
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
        reference.entity = step.binding.layer.update(
            unit=self._unit(step.binding.layer),
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

    def _read_together(self) -> None:
        """Read every existing resource that the operations name by id, in one go for each type."""
        named: dict[str, dict[Any, None]] = {}
        for step in self._steps:
            for key in step.named():
                if key.lid is None:
                    named.setdefault(key.type, {})[key.id] = None
        for type_, ids in named.items():
            self._fetch(self._bindings[type_], ids)
        self._has_read_together = True

    def _fetch(self, binding: Binding, ids: Iterable[Any]) -> None:
        layer, resource = binding.layer, binding.resource
        for id_, entity in layer.get(unit=self._unit(layer), resource=resource, ids=list(ids)).items():
            self._cache[Key(resource.type, id_, None)] = Reference(resource, entity, id_, self._find_id)

    def _forget(self) -> None:
        self._cache.clear()
        self._has_read_together = False

    def _find(self, keys: Iterable[Key]) -> dict[Key, Reference]:
        """The resources that exist of those that `keys`, all of one type, name."""
        found: dict[Key, Reference] = {}
        unknown: list[Key] = []
        for key in keys:
            reference = self._cache.get(key)
            if reference is not None and reference.entity is not None:
                found[key] = reference
            else:
                unknown.append(key)
        return found | self._look_up(unknown) if unknown else found

    def _look_up(self, keys: Sequence[Key]) -> dict[Key, Reference]:
        if self._waiting:
            self._settle()  # what waits may be what is looked for
        by_id = {key: self._local_ids.get(key, key) for key in keys}
        self._fetch(self._bindings[keys[0].type], dict.fromkeys(named.id for named in by_id.values()))
        found = {key: self._cache[named] for key, named in by_id.items() if named in self._cache}
        self._cache |= found
        return found

    def _target_and_related(self, step: Step) -> tuple[Reference, dict[Relationship, Related]]:
        """Find what an operation on an existing resource is about.

        :raises RequestFailed: 404 for the target and for each related resource that does not exist.
        """
        assert step.target is not None
        target = self._find([step.target]).get(step.target)
        if target is None:
            detail = f"There is no such '{step.target.type}'."
            member = "id" if step.target.lid is None else "lid"
            path = target_path(step.operation, member)
            raise RequestFailed(step.error(Code.RESOURCE_NOT_FOUND, detail, *path))
        related = self._related(step, step.linkage)
        if target in self._waiting_references:
            self._settle()
        return target, related

    def _related(self, step: Step, relationships: Iterable[Relationship]) -> dict[Relationship, Related]:
        related: dict[Relationship, Related] = {}
        missing: list[ErrorObject] = []
        for relationship in relationships:
            linkage = step.linkage[relationship]
            references = self._find(linkage)
            members = [references.get(key) or self._nobody(key) for key in linkage]
            if step.verb != "remove_from_relationship":
                missing += self._missing(step, linkage, references)
            related[relationship] = members if relationship.many else members[0] if members else None
        if missing:
            raise RequestFailed(*missing)
        return related

    def _nobody(self, key: Key) -> Reference:
        named = self._local_ids.get(key, key)
        return Reference(self._bindings[key.type].resource, None, named.id, self._find_id)

    @staticmethod
    def _missing(step: Step, linkage: PlannedLinkage, found: Mapping[Key, Reference]) -> list[ErrorObject]:
        detail = "There is no such resource."
        return [
            step.error(Code.RELATED_RESOURCE_NOT_FOUND, detail, *path)
            for key, path in linkage.items()
            if key not in found
        ]

    def _find_id(self, reference: Reference) -> Any:
        """The id of a resource that was added; the store may have to be written to for it."""
        layer = self._bindings[reference.type].layer
        call = {"unit": self._unit(layer), "resource": reference.resource, "entity": reference.entity}
        id_ = layer.identify(**call)
        if id_ is None:
            self._flush(layer)
            id_ = layer.identify(**call)
        if id_ is None:
            raise TypeError(f"atomic_identify of the layer '{layer.name}' knows no id for a {reference.type}.")
        return id_

    # -------------------------------------------------------------------------------------------------- batching

    def _ends_wait(self, step: Step) -> bool:
        """Whether the results of what waits must be made before the step is performed."""
        first = self._waiting[0].step
        if not step.may_wait or step.writes_like != first.writes_like:
            return True
        if step.verb == "remove":
            # A child must not go after its parent unnoticed.
            return step.binding is not first.binding or step.binding.refers_to_itself
        return any(self._changes_what_waits(step, relationship) for relationship in step.linkage)

    def _changes_what_waits(self, step: Step, relationship: Relationship) -> bool:
        """Whether writing the relationship can change the linkage that a waiting resource shows."""
        type_ = step.binding.resource.type
        takes_over = relationship in step.binding.exclusive
        related = self._waiting_bindings.get(relationship.type)
        if related is not None:
            if type_ in related.shown_to_many:
                return True
            if type_ in related.shown_to_one and (relationship.many or takes_over):
                return True
        return takes_over and type_ in self._waiting_bindings

    def _settle(self) -> None:
        """Write what waits and make the results."""
        waiting = self._waiting
        with Performing(waiting[0].step.operation if len(waiting) == 1 else None):
            for layer in dict.fromkeys(step.binding.layer for _, step, _ in waiting):
                self._flush(layer)
            for entry in waiting:
                self._ids[entry.position] = entry.reference.id
            self._show([entry for entry in waiting if entry.step.verb in ("add", "update")])
        if any(entry.step.verb == "remove" for entry in waiting):
            self._forget()  # the store may have removed more than it was asked to
        self._waiting = []
        self._waiting_references.clear()
        self._waiting_bindings.clear()

    def _flush(self, layer: Layer) -> None:
        if layer.defers_writes:
            layer.flush(unit=self._unit(layer))

    def _show(self, written: Sequence[_Waiting]) -> None:
        by_binding: dict[Binding, list[_Waiting]] = {}
        for entry in written:
            by_binding.setdefault(entry.step.binding, []).append(entry)
        for binding, entries in by_binding.items():
            for entry in entries:
                self._remember(entry)
            unit = self._unit(binding.layer)
            resources = resource_objects(binding, unit, [entry.reference for entry in entries])
            for entry, resource in zip(entries, resources, strict=True):
                self._results[entry.position] = {"data": resource}

    def _remember(self, entry: _Waiting) -> None:
        reference, key = entry.reference, entry.step.target
        by_id = Key(reference.type, reference.id, None)
        self._cache[by_id] = reference
        if entry.step.verb == "add" and key is not None and key.lid is not None:
            self._local_ids[key] = by_id


_PERFORM: Mapping[str, Callable[[_Attempt, Step], Reference]] = {
    "add": _Attempt._add,
    "update": _Attempt._update,
    "remove": _Attempt._remove,
    "add_to_relationship": _Attempt._write_relationship,
    "set_relationship": _Attempt._write_relationship,
    "remove_from_relationship": _Attempt._write_relationship,
}
