"""One unit of work, and the hooks called in it as the core calls them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import count, repeat
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple

from ...errors import NotFound
from ...hookspecs import Entity, Id, Reference, Related, Relationship, Remembered, Resource

if TYPE_CHECKING:
    from .tested import Relation, TestedLayer

__all__ = ["Deed", "Shown", "Work", "holding", "updating"]

Shown = dict[str, Any]
"""The attributes and relationships of a resource by their names in documents: what its result would show."""


Deed = Callable[["Work"], object]
"""What is done in a unit."""


class _New(NamedTuple):
    """A resource to be added, as layers are told of it."""

    id: Id | None
    attributes: Mapping[str, Any]
    relationships: Mapping[Relationship, Related]


class Work:
    """A unit of work. As a context manager it rolls back what was not committed.

    Resources are `Reference`s, as layers know them. The ids of those that are added are found when they are asked for.
    """

    def __init__(self, tested: TestedLayer) -> None:
        self._tested = tested
        self._layer = tested.layer
        self.unit = self._layer.begin()
        self._is_open = True
        self._there: dict[tuple[str, int], Reference] = {}
        self._ids: dict[tuple[str, int], Id] = {}

    def __enter__(self) -> Work:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._is_open:
            self.rollback()

    # ------------------------------------------------------------------------------------------------------- the end

    def flush(self) -> bool:
        """Write what waits; return whether resources may be gone that nobody removed."""
        return self._layer.defers_writes and any(self._layer.flush(unit=self.unit))

    def prepare(self) -> None:
        """Let the layer vote, if it can."""
        self.flush()
        self._ids = {place: reference.id for place, reference in self._there.items()}
        if self._layer.can_prepare:
            self._layer.prepare(unit=self.unit)

    def commit(self) -> None:
        """Write what waits, vote and commit."""
        self.prepare()
        self.commit_prepared()

    def commit_prepared(self) -> None:
        """Commit after the vote."""
        self._layer.commit(unit=self.unit)
        self._is_open = False
        self._tested.ids.update(self._ids)

    def rollback(self) -> None:
        """Roll back."""
        self._is_open = False
        self._layer.rollback(unit=self.unit)

    # ------------------------------------------------------------------------------------------------------- reading

    def entities(self, resource: Resource, ids: Iterable[Id]) -> Mapping[Id, Entity]:
        """What `atomic_get` returns."""
        found: Mapping[Id, Entity] = self._layer.get(unit=self.unit, resource=resource, ids=list(ids))
        return found

    def get(self, resource: Resource, id_: Id) -> Reference:
        """A resource that is there."""
        found = self.entities(resource, [id_])
        assert id_ in found, f"There is no '{resource.type}' with the id {id_!r}, although it was added."
        return self.reference(resource, found[id_], id_)

    def missing(self, relation: Relation, id_: Id) -> Reference:
        """A resource that the relationship could hold, if it existed."""
        return self.reference(self._tested.other(relation), None, id_)

    def reference(self, resource: Resource, entity: Entity, id_: Id | None) -> Reference:
        """A reference, which finds out the id if it has to."""
        return Reference(resource, entity, id_, self._find_id)

    def identify(self, reference: Reference) -> Id | None:
        """What `atomic_identify` returns."""
        return self._layer.identify(unit=self.unit, resource=reference.resource, entity=reference.entity)

    def _find_id(self, reference: Reference) -> Id:
        id_ = self.identify(reference)
        if id_ is None:
            self.flush()
            id_ = self.identify(reference)
        assert id_ is not None, f"atomic_identify knows no id for a '{reference.type}' that was written."
        return id_

    def linkage(self, relationship: Relationship, *references: Reference) -> list[Any]:
        """What `atomic_linkage` returns."""
        entities = [reference.entity for reference in references]
        linkage: Sequence[Any] = self._layer.linkage(
            unit=self.unit, resource=references[0].resource, entities=entities, relationship=relationship
        )
        return list(linkage)

    def related(self, relationship: Relationship, reference: Reference) -> Any:
        """The id of the related resource or None, or the ids of all members in an order of their own."""
        (related,) = self.linkage(relationship, reference)
        return sorted(related, key=str) if relationship.many else related

    def versions(self, *references: Reference) -> list[str | None]:
        """What `atomic_version` returns."""
        entities = [reference.entity for reference in references]
        resource = references[0].resource
        return list(self._layer.version(unit=self.unit, resource=resource, entities=entities))

    def version(self, reference: Reference) -> str | None:
        """The version of one resource."""
        (version,) = self.versions(reference)
        return version

    def matches(self, reference: Reference, version: str | None) -> bool:
        """What `atomic_match_version` returns."""
        matches: bool = self._layer.match_version(
            unit=self.unit, resource=reference.resource, entity=reference.entity, version=version
        )
        return matches

    def recall(self, key: str, now: int, resource: Resource | None = None) -> Remembered | None:
        """What `atomic_recall` returns, for a request that writes one type."""
        found: Remembered | None = self._layer.recall(
            unit=self.unit, resources=[resource or self._tested.remembering], key=key, now=now
        )
        return found

    def remember(self, key: str, remembered: Remembered, resource: Resource | None = None) -> None:
        """Have an answer remembered."""
        resources = [resource or self._tested.remembering]
        self._layer.remember(unit=self.unit, resources=resources, key=key, remembered=remembered)

    def forget(self, now: int) -> int | None:
        """What `atomic_forget` returns."""
        forgotten: int | None = self._layer.forget(unit=self.unit, now=now)
        return forgotten

    def show(self, reference: Reference) -> Shown:
        """What the result of a resource shows that has been flushed."""
        (members,) = reference.resource.codec.dump([reference.entity])
        shown = self._tested.bindings[reference.type].shown
        linkage = {relationship.name: self.related(relationship, reference) for relationship in shown}
        return {**members.get("attributes", {}), **linkage}

    def look(self, resource: Resource, id_: Id) -> Shown | None:
        """What a resource shows that is read now, None if it is not there."""
        entities = self.entities(resource, [id_])
        return self.show(self.reference(resource, entities[id_], id_)) if id_ in entities else None

    # ------------------------------------------------------------------------------------------------------- writing

    def one(self, resource: Resource, number: int = 0) -> Reference:
        """The resource with the attributes of that sample: known, read, or added now."""
        place = resource.type, number
        if place not in self._there:
            id_ = self._tested.ids.get(place)
            found = {} if id_ is None else self.entities(resource, [id_])
            if id_ not in found:
                return self.add(resource, number)
            self._there[place] = self.reference(resource, found[id_], id_)
        return self._there[place]

    def add(
        self,
        resource: Resource,
        number: int = 0,
        *,
        id: Id | None = None,
        attributes: Mapping[str, Any] | None = None,
        related: Mapping[Relationship, Related] | None = None,
    ) -> Reference:
        """Add a resource with these attributes or those of that sample, and with all relationships that it must have.

        The attributes are given by their names in documents.
        """
        self._tested.require("add")
        new = self._new(resource, number, id, attributes, related or {})
        entity = self._layer.add(
            unit=self.unit, resource=resource, id=new.id, attributes=new.attributes, relationships=new.relationships
        )
        return self._added(resource, number, entity, new.id)

    def add_all(
        self,
        resource: Resource,
        *related: Mapping[Relationship, Related],
        ids: Sequence[Id | None] | None = None,
    ) -> list[Reference]:
        """Add a resource for each of `related`, with the attributes of the first samples, in one go if the layer can.

        :param ids: those of clients.
        """
        self._tested.require("add")
        given = [None] * len(related) if ids is None else ids
        new = [self._new(resource, *each) for each in zip(count(), given, repeat(None), related, strict=False)]
        entities = None
        if self._layer.supports("add_all"):
            ids_, attributes, relationships = zip(*new, strict=True)
            entities = self._layer.add_all(
                unit=self.unit, resource=resource, ids=ids_, attributes=attributes, relationships=relationships
            )
        if entities is None:
            return [
                self.add(resource, number, id=each.id, related=each.relationships) for number, each in enumerate(new)
            ]
        return [self._added(resource, number, entities[number], each.id) for number, each in enumerate(new)]

    def _new(
        self,
        resource: Resource,
        number: int,
        id: Id | None,
        attributes: Mapping[str, Any] | None,
        related: Mapping[Relationship, Related],
    ) -> _New:
        if id is None and resource.client_ids == "required":
            id = self._tested.new_id(resource, number)
        required = {
            relationship: self._required(relationship, number)
            for relationship in resource.relationships.values()
            if relationship.required and relationship.writable and relationship not in related
        }
        sent = self._tested.sample(resource, number) if attributes is None else attributes
        return _New(id, self._tested.values(resource, sent), {**required, **related})

    def _added(self, resource: Resource, number: int, entity: Entity, id_: Id | None) -> Reference:
        self._there[resource.type, number] = added = self.reference(resource, entity, id_)
        return added

    def _required(self, relationship: Relationship, number: int) -> Related:
        if relationship.many or relationship.nullable:
            return holding(relationship)
        return self.one(self._tested.bindings[relationship.type].resource, number)

    def update(
        self,
        reference: Reference,
        attributes: Mapping[str, Any] | None = None,
        related: Mapping[Relationship, Related] | None = None,
    ) -> None:
        """Update attributes, by their names in documents, and relationships."""
        reference.entity = self._layer.update(
            unit=self.unit,
            resource=reference.resource,
            entity=reference.entity,
            attributes=self._tested.values(reference.resource, attributes or {}, partial=True),
            relationships=related or {},
        )

    def update_all(
        self,
        references: Sequence[Reference],
        attributes: Sequence[Mapping[str, Any]],
        related: Sequence[Mapping[Relationship, Related]],
    ) -> None:
        """Update resources of one type, in one go if the layer can. Those without an `entity` were not read.

        :raises NotFound: if one does not exist; perhaps not before the flush.
        """
        self._tested.require("update")
        resource, entities = references[0].resource, None
        if self._layer.supports("update_all"):
            entities = self._layer.update_all(
                unit=self.unit,
                resource=resource,
                ids=[reference.id for reference in references],
                entities=[reference.entity for reference in references],
                attributes=[self._tested.values(resource, each, partial=True) for each in attributes],
                relationships=related,
            )
        if entities is None:
            for reference, new, linkage in zip(references, attributes, related, strict=True):
                if reference.entity is None:
                    reference.entity = self._found(resource, reference.id)
                self.update(reference, new, linkage)
            return
        for reference, entity in zip(references, entities, strict=True):
            reference.entity = entity

    def _found(self, resource: Resource, id_: Id) -> Entity:
        entity = self.entities(resource, [id_]).get(id_)
        if entity is None:
            raise NotFound("There is no such resource.")
        return entity

    def remove(self, reference: Reference) -> None:
        """Remove a resource."""
        self._layer.remove(unit=self.unit, resource=reference.resource, entity=reference.entity)

    def remove_all(self, resource: Resource, *ids: Id) -> None:
        """Remove resources that need not have been read, in one go if the layer can.

        :raises NotFound: if one does not exist; perhaps not before the flush.
        """
        self._tested.require("remove")
        together = self._layer.supports("remove_all")
        if not (together and self._layer.remove_all(unit=self.unit, resource=resource, ids=ids)):
            self.remove_one_by_one(resource, *ids)

    def remove_one_by_one(self, resource: Resource, *ids: Id) -> None:
        """Read and remove each after the one before it was written.

        :raises NotFound: if one does not exist.
        """
        for id_ in ids:
            self.remove(self.reference(resource, self._found(resource, id_), id_))
            self.flush()

    def add_to_relationship(self, reference: Reference, relationship: Relationship, *members: Reference) -> None:
        """Add members."""
        self._layer.add_to_relationship(**self._on(reference, relationship), related=members)

    def set_relationship(self, reference: Reference, relationship: Relationship, related: Related) -> None:
        """Set a relationship."""
        self._layer.set_relationship(**self._on(reference, relationship), related=related)

    def remove_from_relationship(self, reference: Reference, relationship: Relationship, *members: Reference) -> None:
        """Remove members."""
        self._layer.remove_from_relationship(**self._on(reference, relationship), related=members)

    def _on(self, reference: Reference, relationship: Relationship) -> dict[str, Any]:
        return {
            "unit": self.unit,
            "resource": reference.resource,
            "entity": reference.entity,
            "relationship": relationship,
        }

    def relate(self, reference: Reference, relation: Relation, member: Reference) -> None:
        """Relate two resources, by the first operation for it that the layer has."""
        relationship = relation.relationship
        if relationship.many and self._layer.supports("add_to_relationship"):
            self.add_to_relationship(reference, relationship, member)
        elif self._layer.supports("set_relationship"):
            self.set_relationship(reference, relationship, holding(relationship, member))
        else:
            self._tested.require("update")
            self.update(reference, {}, {relationship: holding(relationship, member)})

    # ----------------------------------------------------------------------------------------------- related resources

    def member(self, relation: Relation, number: int = 0) -> Reference:
        """One of the resources that the owner can be related to."""
        return self.one(self._tested.other(relation), self._tested.number_of_member(relation, number))

    def owner(self, relation: Relation, *members: Reference) -> Reference:
        """A new resource that is related to these."""
        related = {relation.relationship: holding(relation.relationship, *members)}
        return self.add(relation.resource, related=related)

    def owner_and_members(self, relation: Relation) -> tuple[Reference, Reference, Reference]:
        """A resource that is related to nothing by that relationship, and two that it could be related to."""
        return self.one(relation.resource), self.member(relation), self.member(relation, 1)


def updating(resource: Resource, id_: Id, attributes: Mapping[str, Any]) -> Deed:
    """Read a resource and update its attributes."""
    return lambda work: work.update(work.get(resource, id_), attributes)


def holding(relationship: Relationship, *references: Reference) -> Related:
    """The value of a relationship that holds these: at most one if it is to-one."""
    if relationship.many:
        return references
    return references[0] if references else None
