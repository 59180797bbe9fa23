"""Writes that wait for a flush."""

from __future__ import annotations

from ...hookspecs import Resource
from .expect import expect, expect_attributes
from .promise import promise
from .tested import Relation, TestedLayer
from .work import Shown, Work, holding

__all__ = ["Waiting"]


class Waiting:
    """Tests of `atomic_flush`, and of what a layer says about writes that wait."""

    @promise("atomic_flush", "Write what waits.")
    def test_flush_writes(self, tested: TestedLayer) -> None:
        """All of it."""
        resource = tested.resource
        with tested.work() as work:
            added = [work.one(resource, number) for number in (0, 1)]
            work.flush()
            for number, one in enumerate(added):
                shown = work.look(resource, one.id)
                expect_attributes("What had waited", resource, shown, tested.sample(resource, number))

    @promise("atomic_flush", "Afterwards `atomic_identify` knows every entity")
    def test_flush_makes_ids(self, tested: TestedLayer) -> None:
        """Another one for each."""
        resource = tested.resource
        with tested.work() as work:
            added = [work.one(resource, number) for number in (0, 1)]
            work.flush()
            ids = [work.identify(one) for one in added]
        assert len({*ids} - {None}) == 2, f"The ids of two resources that were flushed are {ids}."

    @promise("atomic_flush", "entities show what is stored")
    def test_entities_show_what_was_flushed(self, tested: TestedLayer) -> None:
        """What is read afterwards, in the unit and after the commit, is the same."""
        resource = tested.resource
        with tested.work() as work:
            one = work.one(resource)
            work.flush()
            shown = work.show(one)
            expect("What is read after the flush", work.look(resource, one.id), shown)
            work.commit()
        expect("What is read after the commit", tested.look(resource, one.id), shown)

    @promise("atomic_flush", "entities show what is stored", needs={"update"})
    def test_entities_show_what_was_updated_and_flushed(self, tested: TestedLayer) -> None:
        """The entity that was read before, and updated."""
        resource = tested.resource
        id_ = tested.done(lambda work: work.one(resource).id)
        with tested.work() as work:
            one = work.get(resource, id_)
            work.update(one, tested.sample(resource, 1))
            work.flush()
            shown = work.show(one)
            work.commit()
        expect("What is read after the commit", tested.look(resource, id_), shown)

    @promise("atomic_flush", "There may be nothing to write.")
    def test_flush_of_nothing(self, tested: TestedLayer) -> None:
        """At first, after a read, and a second time."""
        resource = tested.resource
        with tested.work() as work:
            work.flush()
            work.entities(resource, tested.free_ids(resource))
            work.flush()
            one = work.one(resource)
            work.flush()
            work.flush()
            work.commit()
        shown = tested.look(resource, one.id)
        expect_attributes("What was flushed twice", resource, shown, tested.sample(resource, 0))

    @promise(
        "atomic_flush",
        "True if resources may be gone that nobody removed",
        needs={"set_relationship", "to_one"},
    )
    def test_flush_tells_of_orphans_of_a_to_one(self, tested: TestedLayer) -> None:
        """What is related to nothing any more is still there, or the flush says that something may be gone."""
        _test_orphans(tested, tested.to_one)

    @promise(
        "atomic_flush",
        "True if resources may be gone that nobody removed",
        needs={"set_relationship", "to_many"},
    )
    def test_flush_tells_of_orphans_of_a_to_many(self, tested: TestedLayer) -> None:
        """What is related to nothing any more is still there, or the flush says that something may be gone."""
        _test_orphans(tested, tested.to_many)

    @promise(
        "atomic_independent",
        "Answer False where the representation can change without a write of the resource",
        needs={"flush"},
    )
    def test_writes_may_wait_for_each_other(self, tested: TestedLayer) -> None:
        """Flushed one by one, or together, resources show the same, unless the layer says False."""
        resource = tested.resource
        if tested.layer.independent(resource=resource) is not False:
            expect("What is shown after a common flush", _added(tested, together=True), _added(tested, together=False))


def _added(tested: TestedLayer, *, together: bool) -> list[Shown]:
    """What two new resources show after a flush for each, or after a common one."""
    resource = tested.resource
    with tested.work() as work:
        if together:
            added = [work.one(resource, number) for number in (0, 1)]
            work.flush()
            return [work.show(one) for one in added]
        return [_added_alone(work, resource, number) for number in (0, 1)]


def _added_alone(work: Work, resource: Resource, number: int) -> Shown:
    one = work.one(resource, number)
    work.flush()
    return work.show(one)


def _test_orphans(tested: TestedLayer, relation: Relation) -> None:
    resource, relationship = relation
    with tested.work() as work:
        member = work.member(relation)
        owner = work.owner(relation, member)
        work.commit()
    with tested.work() as work:
        one = work.get(resource, owner.id)
        work.set_relationship(one, relationship, holding(relationship))
        if not work.flush():
            work.get(tested.other(relation), member.id)
            work.get(resource, owner.id)
