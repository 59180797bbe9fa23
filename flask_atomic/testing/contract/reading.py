"""Reading resources and what they are related to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ...hookspecs import Id, Resource
from .expect import expect, expect_attributes, expect_related
from .promise import promise
from .tested import Relation, TestedLayer
from .work import Shown, Work, holding, updating

__all__ = ["Reading"]


class Reading:
    """Tests of `atomic_get` and `atomic_linkage`."""

    @promise("atomic_get", "Return the entities that exist, by id")
    def test_get_returns_several(self, tested: TestedLayer) -> None:
        """All that exist, at once."""
        resource = tested.resource
        ids = tested.done(lambda work: [work.one(resource, number).id for number in (0, 1)])
        with tested.work() as work:
            found = work.entities(resource, reversed(ids))
            expect("The ids that were found", set(found), set(ids))
            for number, id_ in enumerate(ids):
                shown = work.show(work.reference(resource, found[id_], id_))
                expect_attributes(f"The entity for {id_!r}", resource, shown, tested.sample(resource, number))

    @promise("atomic_get", "ids without an entity are left out")
    def test_get_leaves_out_what_does_not_exist(self, tested: TestedLayer) -> None:
        """Beside what exists, and alone."""
        resource = tested.resource
        id_ = tested.done(lambda work: work.one(resource).id)
        free = [each for each in tested.free_ids(resource, 3) if each != id_]
        with tested.work() as work:
            expect("The ids that were found", list(work.entities(resource, [*free, id_])), [id_])
            expect("What was found by ids that nothing has", dict(work.entities(resource, free)), {})

    @promise("atomic_get", "There may be thousands of ids.")
    def test_get_takes_thousands_of_ids(self, tested: TestedLayer) -> None:
        """A document names as many as it likes."""
        resource = tested.resource
        id_ = tested.done(lambda work: work.one(resource).id)
        ids = dict.fromkeys([*tested.free_ids(resource, 5000), id_])
        with tested.work() as work:
            expect("The ids that were found", list(work.entities(resource, ids)), [id_])

    @promise("atomic_get", "The attributes of an entity have the values that are stored.")
    def test_entities_show_what_is_stored(self, tested: TestedLayer) -> None:
        """Read twice in a unit, and in two units, it is the same."""
        resource = tested.resource
        id_ = tested.done(lambda work: work.one(resource).id)
        for _ in range(2):
            with tested.work() as work:
                for _ in range(2):
                    shown = work.look(resource, id_)
                    expect_attributes("What was read", resource, shown, tested.sample(resource, 0))

    @promise("atomic_get", "The attributes of an entity have the values that are stored.")
    def test_values_of_every_kind(self, tested: TestedLayer) -> None:
        """All that there are samples of, of all types."""
        for resource in filter(tested.samples, tested.resources):
            for number in range(len(tested.samples(resource))):
                id_ = tested.done(lambda work, place=(resource, number): work.one(*place).id)  # type: ignore[misc]
                shown = tested.look(resource, id_)
                expect_attributes(f"A '{resource.type}'", resource, shown, tested.sample(resource, number))

    @promise("atomic_get", "One that was set to None is None.", needs={"null"})
    def test_null_is_added(self, tested: TestedLayer) -> None:
        """What a resource is added with."""
        for resource, names in tested.with_null:
            sent = {**tested.sample(resource, 0), **dict.fromkeys(names)}
            id_ = tested.done(_addition(resource, sent))
            expect_attributes("What was added with null", resource, tested.look(resource, id_), sent)

    @promise("atomic_get", "One that was set to None is None.", needs={"null", "update"})
    def test_null_takes_the_place_of_a_value(self, tested: TestedLayer) -> None:
        """By an update of nothing else."""
        for resource, names in tested.with_null:
            id_ = tested.done(lambda work, resource=resource: work.one(resource).id)  # type: ignore[misc]
            tested.done(updating(resource, id_, dict.fromkeys(names)))
            expected = {**tested.sample(resource, 0), **dict.fromkeys(names)}
            expect_attributes("What was set to null", resource, tested.look(resource, id_), expected)

    @promise("atomic_get", "A nullable one that was never sent is there, too", needs={"null"})
    def test_what_was_not_sent_is_there(self, tested: TestedLayer) -> None:
        """Whatever its value; without one the result would lack a member."""
        for resource, names in tested.with_null:
            sent = {name: value for name, value in tested.sample(resource, 0).items() if name not in names}
            id_ = tested.done(_addition(resource, sent))
            shown = tested.look(resource, id_) or {}
            expect("What is missing of what was not sent", [name for name in names if name not in shown], [])
            expect_attributes("What was sent beside", resource, shown, sent)

    @promise("atomic_get", "Sees what the unit has flushed.")
    def test_get_sees_what_was_flushed(self, tested: TestedLayer) -> None:
        """Before the commit, and whether the unit has looked for it already or not."""
        resource = tested.resource
        with tested.work() as work:
            for number in (0, 1):
                one = work.one(resource, number)
                work.flush()
                shown = work.look(resource, one.id)
                expect_attributes("What was just added", resource, shown, tested.sample(resource, number))

    @promise("atomic_get", "Must not flush what waits.", needs={"flush"})
    def test_get_does_not_flush(self, tested: TestedLayer) -> None:
        """An id that was not known before is not known afterwards."""
        resource = tested.resource
        with tested.work() as work:
            one = work.one(resource)
            if work.identify(one) is None:
                work.entities(resource, tested.free_ids(resource, 1))
                expect("The id of what still waits", work.identify(one), None)

    @promise("atomic_get", "To have read makes no difference to what is written later.", needs={"update"})
    def test_reading_early_is_only_a_hint(self, tested: TestedLayer) -> None:
        """The same operations, with entities read just before each and with those that were all read at first."""
        for relation in _some_relations(tested):
            tested.done(lambda work, relation=relation: work.owner_and_members(relation))  # type: ignore[misc]
            late = _operations(tested, relation, early=False)
            early = _operations(tested, relation, early=True)
            expect("What is shown if all was read before the first operation", early, late)

    @promise("atomic_linkage", "Return what each entity is related to", needs={"to_one"})
    def test_linkage_of_a_to_one(self, tested: TestedLayer) -> None:
        """The id, or None."""
        _test_linkage(tested, tested.to_one)

    @promise("atomic_linkage", "the related ids (to-many)", needs={"to_many"})
    def test_linkage_of_a_to_many(self, tested: TestedLayer) -> None:
        """The ids, none of them twice."""
        _test_linkage(tested, tested.to_many)

    @promise("atomic_linkage", "in the order of `entities`, where the same may be twice", needs={"to_one"})
    def test_linkage_of_several_to_one(self, tested: TestedLayer) -> None:
        """One answer for each that was asked about."""
        _test_order(tested, tested.to_one)

    @promise("atomic_linkage", "in the order of `entities`, where the same may be twice", needs={"to_many"})
    def test_linkage_of_several_to_many(self, tested: TestedLayer) -> None:
        """One answer for each that was asked about."""
        _test_order(tested, tested.to_many)

    @promise("atomic_linkage", "Sees what the unit has flushed.", needs={"to_one"})
    def test_linkage_sees_what_was_flushed(self, tested: TestedLayer) -> None:
        """Before the commit."""
        relation = tested.to_one
        with tested.work() as work:
            member = work.member(relation)
            owner = work.owner(relation, member)
            work.flush()
            expect("What was just related", work.linkage(relation.relationship, owner), [member.id])


def _addition(resource: Resource, attributes: Mapping[str, Any]) -> Callable[[Work], Id]:
    return lambda work: work.add(resource, attributes=attributes).id


def _some_relations(tested: TestedLayer) -> list[Relation]:
    return [tested.find(need) for need in ("to_one", "to_many") if tested.has(need)]


def _test_linkage(tested: TestedLayer, relation: Relation) -> None:
    relationship = relation.relationship

    def relate(work: Work) -> tuple[object, object, object]:
        member = work.member(relation)
        return work.owner(relation, member).id, work.one(relation.resource, 1).id, member.id

    owner, bare, member = tested.done(relate)
    with tested.work() as work:
        expect_related("What is related", relationship, work.look(relation.resource, owner), member)
        expect_related("What is related to nothing", relationship, work.look(relation.resource, bare))


def _test_order(tested: TestedLayer, relation: Relation) -> None:
    with tested.work() as work:
        member = work.member(relation)
        owner = work.owner(relation, member)
        bare = work.one(relation.resource, 1)
        work.flush()
        related, nothing = _held(relation, member.id), _held(relation)
        for entities, expected in (
            ((owner, bare, owner), [related, nothing, related]),
            ((bare, owner, bare, bare), [nothing, related, nothing, nothing]),
        ):
            linkage = work.linkage(relation.relationship, *entities)
            seen = [list(each) for each in linkage] if relation.relationship.many else linkage
            expect("The linkage of several entities", seen, expected)


def _held(relation: Relation, *ids: Id) -> Any:
    return list(ids) if relation.relationship.many else ids[0] if ids else None


def _operations(tested: TestedLayer, relation: Relation, *, early: bool) -> list[Shown | None]:
    """Perform several operations, and return what is shown of everything then; nothing is committed."""
    resource, relationship = relation
    other = tested.other(relation)
    owner = resource, tested.ids[resource.type, 0]
    first, second = ((other, tested.ids[other.type, tested.number_of_member(relation, number)]) for number in (0, 1))
    attributes = {} if other is resource else tested.sample(resource, 1)  # a member may have them
    shown: list[Shown | None] = []
    with tested.work() as work:
        read = {each: work.get(*each) for each in (owner, first, second) if early}
        for changed, related in ((attributes, [first]), ({}, [second]), (attributes, []), ({}, [first])):
            members = [read.get(each) or work.get(*each) for each in related]
            reference = read.get(owner) or work.get(*owner)
            work.update(reference, changed, {relationship: holding(relationship, *members)})
            work.flush()
            shown.append(work.show(read.get(owner) or work.get(*owner)))
        return [*shown, *(work.look(*each) for each in (owner, first, second))]
