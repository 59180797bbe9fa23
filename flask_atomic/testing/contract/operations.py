"""Operations on resources."""

from __future__ import annotations

from ...errors import OperationFailed
from ...hookspecs import Id
from .expect import expect, expect_attributes, expect_related
from .promise import promise
from .tested import Relation, TestedLayer
from .work import Work, holding, updating

__all__ = ["Operations"]


class Operations:
    """Tests of `atomic_add`, `atomic_update` and `atomic_remove`."""

    # --------------------------------------------------------------------------------------------------------- add

    @promise("atomic_add", "Add a resource")
    def test_add(self, tested: TestedLayer) -> None:
        """It is there in the unit, and after the commit for others."""
        resource = tested.resource
        with tested.work() as work:
            one = work.one(resource)
            work.flush()
            shown = work.look(resource, one.id)
            expect_attributes("What was added, in the same unit", resource, shown, tested.sample(resource, 0))
            work.commit()
        shown = tested.look(resource, one.id)
        expect_attributes("What was added, in another unit", resource, shown, tested.sample(resource, 0))

    @promise("atomic_add", "None if the layer is to make one")
    def test_add_makes_ids(self, tested: TestedLayer) -> None:
        """Another one for each resource, in one unit and in several."""
        resource = tested.resource
        ids = tested.done(lambda work: [work.one(resource, number).id for number in (0, 1)])
        ids.append(tested.done(lambda work: work.one(resource, 2).id))
        assert len(set(ids)) == len(ids), f"New resources got the ids {ids}."
        for number, id_ in enumerate(ids):
            expect_attributes("What was added", resource, tested.look(resource, id_), tested.sample(resource, number))

    @promise("atomic_add", "the client's id", needs={"client_ids"})
    def test_add_takes_the_id_of_a_client(self, tested: TestedLayer) -> None:
        """The resource has that id, and is found by it."""
        resource = tested.with_client_ids
        (id_,) = tested.free_ids(resource)
        with tested.work() as work:
            one = work.add(resource, id=id_)
            work.flush()
            expect("The id of what was added with an id", work.identify(one), id_)
            work.commit()
        shown = tested.look(resource, id_)
        expect_attributes("What was added with an id", resource, shown, tested.sample(resource, 0))

    @promise("atomic_add", "those that were sent", needs={"to_one"})
    def test_add_relates_to_one(self, tested: TestedLayer) -> None:
        """To a resource that was read."""
        _test_add_with_what_is_stored(tested, tested.to_one)

    @promise("atomic_add", "those that were sent", needs={"to_many"})
    def test_add_relates_to_many(self, tested: TestedLayer) -> None:
        """To resources that were read."""
        _test_add_with_what_is_stored(tested, tested.to_many)

    @promise("atomic_add", "None or an empty sequence for one that is to hold nothing", needs={"to_one"})
    def test_add_relates_to_none(self, tested: TestedLayer) -> None:
        """A to-one relationship may be given as None."""
        _test_add_with_nothing(tested, tested.to_one)

    @promise("atomic_add", "None or an empty sequence for one that is to hold nothing", needs={"to_many"})
    def test_add_relates_to_no_members(self, tested: TestedLayer) -> None:
        """A to-many relationship may be given as an empty sequence."""
        _test_add_with_nothing(tested, tested.to_many)

    @promise("atomic_add", "Related resources may be waiting, too.", needs={"to_one"})
    def test_add_relates_to_a_new_one(self, tested: TestedLayer) -> None:
        """To a resource of the same unit, which was not flushed yet."""
        _test_add_with_what_is_new(tested, tested.to_one)

    @promise("atomic_add", "Related resources may be waiting, too.", needs={"to_many"})
    def test_add_relates_to_new_members(self, tested: TestedLayer) -> None:
        """To resources of the same unit, which were not flushed yet."""
        _test_add_with_what_is_new(tested, tested.to_many)

    @promise("atomic_add", "the new entity")
    def test_add_returns_the_entity(self, tested: TestedLayer) -> None:
        """It shows what a fresh read shows."""
        resource = tested.resource
        with tested.work() as work:
            one = work.one(resource)
            work.flush()
            shown = work.show(one)
            work.commit()
        expect("What the new entity showed", shown, tested.look(resource, one.id))

    @promise("atomic_add", "if the store refuses", needs={"client_ids"})
    def test_add_is_refused_as_a_failure(self, tested: TestedLayer) -> None:
        """A second resource with the same id is refused as an operation that failed, or takes the place of the first.

        The core does not let it come to this, unless another request is faster.
        """
        resource = tested.with_client_ids
        (id_,) = tested.free_ids(resource)
        tested.done(lambda work: work.add(resource, id=id_))
        outcome = tested.attempt(lambda work: work.add(resource, 1, id=id_))
        kept = tested.sample(resource, 0 if isinstance(outcome, OperationFailed) else 1)
        expect_attributes("What has the id now", resource, tested.look(resource, id_), kept)

    # ------------------------------------------------------------------------------------------------------ update

    @promise("atomic_update", "Change the attributes and relationships that are given")
    def test_update_of_attributes(self, tested: TestedLayer) -> None:
        """All of them."""
        resource = tested.resource
        id_ = tested.done(lambda work: work.one(resource).id)
        new = tested.sample(resource, 1)
        tested.done(updating(resource, id_, new))
        expect_attributes("What was updated", resource, tested.look(resource, id_), new)

    @promise("atomic_update", "Change the attributes and relationships that are given", needs={"to_one"})
    def test_update_of_a_to_one(self, tested: TestedLayer) -> None:
        """To another resource, and to none."""
        _test_update_of_relationship(tested, tested.to_one)

    @promise("atomic_update", "Change the attributes and relationships that are given", needs={"to_many"})
    def test_update_of_a_to_many(self, tested: TestedLayer) -> None:
        """All members are replaced."""
        _test_update_of_relationship(tested, tested.to_many)

    @promise("atomic_update", "and no others")
    def test_update_of_one_attribute(self, tested: TestedLayer) -> None:
        """The others stay what they were."""
        resource = tested.resource
        old, new = (tested.sample(resource, number) for number in (0, 1))
        id_ = tested.done(lambda work: work.one(resource).id)
        given = {name: value for name, value in new.items() if old[name] != value}
        for name, value in given.items():
            tested.done(updating(resource, id_, {name: value}))
            shown = tested.look(resource, id_)
            expect_attributes(f"What had '{name}' updated", resource, shown, {**old, name: value})
            tested.done(updating(resource, id_, {name: old[name]}))

    @promise("atomic_update", "and no others", needs={"to_one"})
    def test_update_leaves_a_to_one(self, tested: TestedLayer) -> None:
        """Where attributes are updated, and the other way round."""
        _test_update_of_part(tested, tested.to_one)

    @promise("atomic_update", "and no others", needs={"to_many"})
    def test_update_leaves_a_to_many(self, tested: TestedLayer) -> None:
        """Where attributes are updated, and the other way round."""
        _test_update_of_part(tested, tested.to_many)

    @promise("atomic_update", "the entity, or its successor where entities are immutable")
    def test_update_returns_the_entity(self, tested: TestedLayer) -> None:
        """It shows what a fresh read shows."""
        resource = tested.resource
        id_ = tested.done(lambda work: work.one(resource).id)
        with tested.work() as work:
            one = work.get(resource, id_)
            work.update(one, tested.sample(resource, 1))
            work.flush()
            shown = work.show(one)
            expect("The id of the entity that was returned", work.identify(one), id_)
            work.commit()
        expect("What the entity showed that was returned", shown, tested.look(resource, id_))

    @promise("atomic_update", "It may be that none are given.")
    def test_update_of_nothing(self, tested: TestedLayer) -> None:
        """Clients read by it."""
        resource = tested.resource
        id_ = tested.done(lambda work: work.one(resource).id)
        before = tested.look(resource, id_)
        with tested.work() as work:
            one = work.get(resource, id_)
            work.update(one)
            work.flush()
            expect("What the update of nothing shows", work.show(one), before)
            work.commit()
        expect("What had nothing updated", tested.look(resource, id_), before)

    @promise("atomic_update", "A new resource is related to itself by an update, after a flush.", needs={"to_own_type"})
    def test_update_relates_a_new_resource_to_itself(self, tested: TestedLayer) -> None:
        """In the unit that adds it."""
        resource, relationship = tested.to_own_type
        with tested.work() as work:
            one = work.one(resource)
            work.flush()
            work.update(one, {}, {relationship: holding(relationship, one)})
            work.flush()
            expect_related("What is related to itself", relationship, work.show(one), one.id)
            work.commit()
        expect_related("What is related to itself", relationship, tested.look(resource, one.id), one.id)

    # ------------------------------------------------------------------------------------------------------ remove

    @promise("atomic_remove", "Remove the resource")
    def test_remove(self, tested: TestedLayer) -> None:
        """It is not there in the unit, nor after the commit; others are."""
        resource = tested.resource
        removed, kept = tested.done(lambda work: [work.one(resource, number).id for number in (0, 1)])
        with tested.work() as work:
            work.remove(work.get(resource, removed))
            work.flush()
            expect("What was removed, in the same unit", work.look(resource, removed), None)
            work.commit()
        expect("What was removed, in another unit", tested.look(resource, removed), None)
        shown = tested.look(resource, kept)
        expect_attributes("What was not removed", resource, shown, tested.sample(resource, 1))

    @promise("atomic_remove", "Remove the resource")
    def test_remove_what_was_just_added(self, tested: TestedLayer) -> None:
        """In the unit that adds it."""
        resource = tested.resource
        with tested.work() as work:
            one = work.one(resource)
            work.flush()
            id_ = one.id
            work.remove(one)
            work.commit()
        expect("What was added and removed", tested.look(resource, id_), None)

    @promise("atomic_remove", "refers to nothing then or goes with it", needs={"to_one"})
    def test_remove_what_a_to_one_holds(self, tested: TestedLayer) -> None:
        """Nothing refers to what is not there."""
        _test_removal_of_related(tested, tested.to_one)

    @promise("atomic_remove", "refers to nothing then or goes with it", needs={"to_many"})
    def test_remove_what_a_to_many_holds(self, tested: TestedLayer) -> None:
        """Nothing refers to what is not there."""
        _test_removal_of_related(tested, tested.to_many)

    @promise("atomic_remove", "Its id is free for a new resource.", needs={"client_ids"})
    def test_remove_frees_the_id(self, tested: TestedLayer) -> None:
        """In the same unit, and afterwards."""
        resource = tested.with_client_ids
        (id_,) = tested.free_ids(resource)
        tested.done(lambda work: work.add(resource, id=id_))
        with tested.work() as work:
            work.remove(work.get(resource, id_))
            work.flush()
            work.add(resource, 1, id=id_)
            work.flush()
            shown = work.look(resource, id_)
            expect_attributes("What has the id now, in the unit", resource, shown, tested.sample(resource, 1))
            work.commit()
        shown = tested.look(resource, id_)
        expect_attributes("What has the id now", resource, shown, tested.sample(resource, 1))


def _test_add_with_what_is_stored(tested: TestedLayer, relation: Relation) -> None:
    member = tested.done(lambda work: work.member(relation).id)
    with tested.work() as work:
        owner = work.owner(relation, work.member(relation))
        work.flush()
        expect_related("What the new entity holds", relation.relationship, work.show(owner), member)
        work.commit()
    expect_related("What was added with it", relation.relationship, tested.look(relation.resource, owner.id), member)


def _test_add_with_nothing(tested: TestedLayer, relation: Relation) -> None:
    owner = tested.done(lambda work: work.owner(relation).id)
    expect_related("What was added with nothing", relation.relationship, tested.look(relation.resource, owner))


def _test_add_with_what_is_new(tested: TestedLayer, relation: Relation) -> None:
    def add(work: Work) -> tuple[Id, Id]:
        member = work.member(relation)
        owner = work.owner(relation, member)
        return owner.id, member.id

    owner, member = tested.done(add)
    expect_related("What was added with it", relation.relationship, tested.look(relation.resource, owner), member)


def _test_update_of_relationship(tested: TestedLayer, relation: Relation) -> None:
    resource, relationship = relation
    owner, first, second = tested.done(
        lambda work: [
            work.owner(relation, work.member(relation)).id,
            *(work.member(relation, number).id for number in (0, 1)),
        ]
    )
    for holds in ([second], [], [first]):
        with tested.work() as work:
            one = work.get(resource, owner)
            members = [work.get(tested.other(relation), member) for member in holds]
            work.update(one, {}, {relationship: holding(relationship, *members)})
            work.flush()
            expect_related("What the updated entity holds", relationship, work.show(one), *holds)
            work.commit()
        expect_related("What it was updated to", relationship, tested.look(resource, owner), *holds)


def _test_update_of_part(tested: TestedLayer, relation: Relation) -> None:
    resource, relationship = relation
    attributes = tested.sample(resource, 0)
    owner, member = tested.done(lambda work: (work.owner(relation, work.member(relation)).id, work.member(relation).id))
    tested.done(updating(resource, owner, attributes))
    expect_related("What had attributes updated", relationship, tested.look(resource, owner), member)
    tested.done(lambda work: work.update(work.get(resource, owner), {}, {relationship: holding(relationship)}))
    expect_attributes("What had a relationship updated", resource, tested.look(resource, owner), attributes)


def _test_removal_of_related(tested: TestedLayer, relation: Relation) -> None:
    resource, relationship = relation
    owner, member = tested.done(lambda work: (work.owner(relation, work.member(relation)).id, work.member(relation).id))
    outcome = tested.attempt(lambda work: work.remove(work.get(tested.other(relation), member)))
    shown = tested.look(resource, owner)
    if isinstance(outcome, OperationFailed):
        expect_related("After a removal that was refused", relationship, shown, member)
    elif shown is not None:
        expect_related("What held the resource that was removed", relationship, shown)
