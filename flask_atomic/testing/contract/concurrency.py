"""Units of work that are open at the same time.

A store may let one of them wait for the other, or refuse it: what is asserted holds for every order in which they end.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from threading import Barrier
from typing import Any

from ...errors import Conflict, NotFound, OperationFailed
from ...hookspecs import Id, Reference, Resource
from .expect import expect, expect_attributes, expect_related
from .meanwhile import Meanwhile
from .promise import promise
from .tested import Relation, TestedLayer
from .work import Deed, Shown, Work, updating

__all__ = ["Concurrency"]

_ROUNDS = 5


class Concurrency:
    """Tests of isolation, and of what is left of two units that are in each other's way."""

    # --------------------------------------------------------------------------------------------------- isolation

    @promise("atomic_begin", "never what other units have not committed")
    def test_nobody_sees_what_is_added(self, tested: TestedLayer) -> None:
        """Before the commit, nor after a rollback."""
        resource = tested.resource
        with tested.work() as work:
            one = work.one(resource)
            work.flush()
            id_ = one.id
            glance = tested.meanwhile(lambda: tested.glance(resource, id_))
            work.rollback()
        _expect_glance(glance, None)
        expect("What was rolled back", tested.look(resource, id_), None)

    @promise("atomic_begin", "never what other units have not committed", needs={"update"})
    def test_nobody_sees_what_is_updated(self, tested: TestedLayer) -> None:
        """Before the commit, nor after a rollback."""
        resource = tested.resource
        id_ = tested.done(lambda work: work.one(resource).id)
        _test_unseen(tested, resource, id_, updating(resource, id_, tested.sample(resource, 1)))

    @promise("atomic_begin", "never what other units have not committed", needs={"remove"})
    def test_nobody_misses_what_is_removed(self, tested: TestedLayer) -> None:
        """Before the commit, nor after a rollback."""
        resource = tested.resource
        id_ = tested.done(lambda work: work.one(resource).id)
        _test_unseen(tested, resource, id_, lambda work: work.remove(work.get(resource, id_)))

    @promise("atomic_begin", "never what other units have not committed", needs={"to_one"})
    def test_nobody_sees_what_a_to_one_holds(self, tested: TestedLayer) -> None:
        """Before the commit, nor after a rollback."""
        _test_relationship_unseen(tested, tested.to_one)

    @promise("atomic_begin", "never what other units have not committed", needs={"to_many"})
    def test_nobody_sees_new_members(self, tested: TestedLayer) -> None:
        """Before the commit, nor after a rollback."""
        _test_relationship_unseen(tested, tested.to_many)

    # ------------------------------------------------------------------------------------------------ side by side

    @promise("atomic_begin", "All state of the request is in the object that is returned")
    def test_units_are_kept_apart(self, tested: TestedLayer) -> None:
        """What another one does, and how it ends, makes no difference to a unit."""
        resource = tested.resource
        outcomes = _race(tested, lambda work: work.one(resource).id, lambda work: work.one(resource, 1).id)
        _expect_an_id_each(outcomes)
        for number, each in enumerate(outcomes):
            if not _is_failure(each):
                shown = tested.look(resource, each)
                expect_attributes("What a unit added beside another", resource, shown, tested.sample(resource, number))

    @promise("atomic_begin", "All state of the request is in the object that is returned")
    def test_a_rollback_is_of_one_unit(self, tested: TestedLayer) -> None:
        """What another one has done in the meantime stays."""
        resource = tested.resource
        with tested.work() as work:
            work.one(resource)
            work.flush()
            others = tested.meanwhile(lambda: tested.attempt(lambda work: work.one(resource, 1).id))
            work.rollback()
        outcome = others.end()
        if not _is_failure(outcome):
            shown = tested.look(resource, outcome)
            expect_attributes("What another unit committed", resource, shown, tested.sample(resource, 1))

    @promise("atomic_begin", "one layer serves many requests at once")
    def test_threads(self, tested: TestedLayer) -> None:
        """Each adds a resource and updates it. Whatever was committed is there, whole."""
        resource = tested.resource
        numbers = range(len(tested.samples(resource)))
        barrier = Barrier(len(numbers))

        def serve(number: int) -> Id | OperationFailed:
            barrier.wait(tested.patience)
            added = tested.attempt(lambda work: work.add(resource, number).id)
            if not _is_failure(added):
                for _ in range(_ROUNDS if tested.layer.supports("update") else 0):
                    tested.attempt(updating(resource, added, tested.sample(resource, number)))
                    tested.glance(resource, added)
            return added

        threads = [tested.thread(partial(serve, number)) for number in numbers]
        outcomes = [thread.end() for thread in threads]
        assert not all(map(_is_failure, outcomes)), f"Nothing was committed: {outcomes}."
        _expect_an_id_each(outcomes)
        for number, outcome in enumerate(outcomes):
            if not _is_failure(outcome):
                shown = tested.look(resource, outcome)
                expect_attributes("What a thread committed", resource, shown, tested.sample(resource, number))

    # ------------------------------------------------------------------------------------------- in each other's way

    @promise("atomic_begin", "or refuse one of the two", needs={"update"})
    def test_one_of_two_units_is_committed(self, tested: TestedLayer) -> None:
        """Whatever they do to each other."""
        resource = tested.resource
        id_ = tested.done(lambda work: work.one(resource).id)
        update = updating(resource, id_, tested.sample(resource, 1))
        outcomes = _race(tested, update, update)
        assert not all(map(_is_failure, outcomes)), f"Both units were refused: {outcomes}."

    @promise("atomic_commit", "What others have committed meanwhile is not undone", needs={"update"})
    def test_updates_of_one_resource(self, tested: TestedLayer) -> None:
        """Of different attributes: what was committed of both is there."""
        resource = tested.resource
        old, new = (tested.sample(resource, number) for number in (0, 1))
        given = [{name: value} for name, value in new.items() if old[name] != value]
        id_ = tested.done(lambda work: work.one(resource).id)
        outcomes = _race(tested, *(updating(resource, id_, part) for part in (given[0], given[-1])))
        expected = dict(old)
        for part, outcome in zip((given[0], given[-1]), outcomes, strict=True):
            expected |= {} if _is_failure(outcome) else part
        expect_attributes("What two units updated", resource, tested.look(resource, id_), expected)

    @promise(
        "atomic_commit",
        "What others have committed meanwhile is not undone",
        needs={"to_many", "add_to_relationship"},
    )
    def test_members_added_to_one_resource(self, tested: TestedLayer) -> None:
        """By two units: whatever was committed is there."""
        relation = tested.to_many
        resource, relationship = relation
        with tested.work() as work:
            owner, *members = work.owner_and_members(relation)
            work.commit()

        def addition(member: Reference) -> Deed:
            return lambda work: work.add_to_relationship(
                work.get(resource, owner.id), relationship, work.get(member.resource, member.id)
            )

        outcomes = _race(tested, *map(addition, members))
        expected = [member.id for member, outcome in zip(members, outcomes, strict=True) if not _is_failure(outcome)]
        expect_related("What two units added to", relationship, tested.look(resource, owner.id), *expected)

    @promise("atomic_commit", "What others have committed meanwhile is not undone", needs={"update", "remove"})
    def test_update_of_what_is_removed(self, tested: TestedLayer) -> None:
        """What one unit removes is not brought back by another that updates it, whichever begins."""
        resource = tested.resource
        for begins_with_removal in (False, True):
            id_ = tested.done(lambda work: work.one(resource).id)
            update, removal = _update_and_removal(tested, resource, id_)
            deeds = (removal, update) if begins_with_removal else (update, removal)
            outcomes = dict(zip(deeds, _race(tested, *deeds), strict=True))
            if not _is_failure(outcomes[removal]):
                expect("What was removed while another unit updated it", tested.look(resource, id_), None)

    @promise("atomic_commit", "What others have committed meanwhile is not undone", needs={"client_ids"})
    def test_one_id_for_two_resources(self, tested: TestedLayer) -> None:
        """Two units add a resource with the same id: one of them at most is committed."""
        resource = tested.with_client_ids
        (id_,) = tested.free_ids(resource)
        outcomes = _race(tested, *(_addition(resource, id_, number) for number in (0, 1)))
        committed = [number for number, outcome in enumerate(outcomes) if not _is_failure(outcome)]
        assert len(committed) < 2, f"Two resources with the id {id_!r} were added, and both were committed."
        for number in committed:
            expect_attributes("What has the id", resource, tested.look(resource, id_), tested.sample(resource, number))

    @promise("atomic_commit", "if the store refuses; `atomic_rollback` is called then", needs={"client_ids"})
    def test_a_refused_commit_is_rolled_back(self, tested: TestedLayer) -> None:
        """The store goes on as if the unit that it refused had never been."""
        resource = tested.with_client_ids
        first, second = tested.free_ids(resource, 2)
        _race(tested, *(_addition(resource, first, number) for number in (0, 1)))
        tested.done(lambda work: work.add(resource, 2, id=second))
        expect_attributes("What was added then", resource, tested.look(resource, second), tested.sample(resource, 2))

    @promise("atomic_rollback", "also after a failed commit", needs={"update"})
    def test_rollback_after_a_failure(self, tested: TestedLayer) -> None:
        """After two units were in each other's way, others are not."""
        resource = tested.resource
        id_ = tested.done(lambda work: work.one(resource).id)
        for number in (1, 0, 1):
            new = tested.sample(resource, number)
            update = updating(resource, id_, new)
            _race(tested, update, update)
            tested.done(update)
            expect_attributes("What was updated then", resource, tested.look(resource, id_), new)

    @promise("atomic_prepare", "to veto", needs={"update"})
    def test_a_veto_is_a_failure(self, tested: TestedLayer) -> None:
        """Of an operation, and no defect."""
        resource = tested.resource
        id_ = tested.done(lambda work: work.one(resource).id)
        update = updating(resource, id_, tested.sample(resource, 1))
        outcomes = _race(tested, update, update)
        updated = any(not _is_failure(outcome) for outcome in outcomes)
        expected = tested.sample(resource, 1 if updated else 0)
        expect_attributes("What two units updated alike", resource, tested.look(resource, id_), expected)

    @promise("atomic_prepare", "After a return, `atomic_commit` must not fail.", needs={"update"})
    def test_commit_after_a_vote(self, tested: TestedLayer) -> None:
        """Whatever another unit does meanwhile."""
        resource = tested.resource
        id_ = tested.done(lambda work: work.one(resource).id)
        with tested.work() as work:
            work.update(work.get(resource, id_), tested.sample(resource, 1))
            work.prepare()
            others = tested.meanwhile(lambda: tested.attempt(updating(resource, id_, tested.sample(resource, 0))))
            work.commit_prepared()
        number = 1 if _is_failure(others.end()) else 0
        shown = tested.look(resource, id_)
        expect_attributes("What was voted on and committed", resource, shown, tested.sample(resource, number))

    @promise("atomic_remove", "refers to nothing then or goes with it", needs={"to_one"})
    def test_removal_of_what_is_being_related_to(self, tested: TestedLayer) -> None:
        """One unit relates a resource to another that a second unit removes, whichever begins."""
        _test_removal_while_related(tested, tested.to_one)

    @promise("atomic_remove", "refers to nothing then or goes with it", needs={"to_many"})
    def test_removal_of_what_becomes_a_member(self, tested: TestedLayer) -> None:
        """One unit relates a resource to another that a second unit removes, whichever begins."""
        _test_removal_while_related(tested, tested.to_many)


def _race(tested: TestedLayer, first: Deed, second: Deed) -> list[Any]:
    """Let two units do something, the second while the first is open; return what each returned, or its failure."""
    with tested.work() as work:
        outcome: Any = first(work)
        work.flush()
        others = tested.meanwhile(lambda: tested.attempt(second))
        try:
            work.commit()
        except OperationFailed as failure:
            outcome = failure
    return [outcome, others.end()]


def _is_failure(outcome: object) -> bool:
    return isinstance(outcome, OperationFailed)


def _expect_an_id_each(outcomes: Sequence[Id | OperationFailed]) -> None:
    """No id is that of two resources, of those that were added and committed."""
    __tracebackhide__ = True
    ids = [outcome for outcome in outcomes if not _is_failure(outcome)]
    for id_ in ids:
        assert ids.count(id_) == 1, f"Two units gave the id {id_!r} to two resources, and both were committed."


def _addition(resource: Resource, id_: Id, number: int) -> Deed:
    """Add a resource with an id, after a look whether it is taken: so does the core."""

    def add(work: Work) -> None:
        if work.entities(resource, [id_]):
            raise Conflict("The id is taken.")
        work.add(resource, number, id=id_)

    return add


def _update_and_removal(tested: TestedLayer, resource: Resource, id_: Id) -> tuple[Deed, Deed]:
    return (
        lambda work: work.update(_existing(work, resource, id_), tested.sample(resource, 1)),
        lambda work: work.remove(_existing(work, resource, id_)),
    )


def _existing(work: Work, resource: Resource, id_: Id) -> Reference:
    """A resource that another unit may have removed."""
    found = work.entities(resource, [id_])
    if id_ not in found:
        raise NotFound("It is gone.")
    return work.reference(resource, found[id_], id_)


def _test_unseen(tested: TestedLayer, resource: Resource, id_: Id, do: Deed) -> None:
    before = tested.look(resource, id_)
    with tested.work() as work:
        do(work)
        work.flush()
        glance = tested.meanwhile(lambda: tested.glance(resource, id_))
        work.rollback()
    _expect_glance(glance, before)
    expect("What is shown after the rollback", tested.look(resource, id_), before)


def _test_relationship_unseen(tested: TestedLayer, relation: Relation) -> None:
    with tested.work() as work:
        owner, member, _ = work.owner_and_members(relation)
        work.commit()

    def relate(work: Work) -> None:
        one, other = (work.get(each.resource, each.id) for each in (owner, member))
        work.relate(one, relation, other)

    _test_unseen(tested, owner.resource, owner.id, relate)


def _expect_glance(glance: Meanwhile[Shown | OperationFailed | None], before: Shown | None) -> None:
    seen = glance.end()
    if not _is_failure(seen):
        expect("What another unit sees meanwhile", seen, before)


def _test_removal_while_related(tested: TestedLayer, relation: Relation) -> None:
    for begins_with_removal in (False, True):
        with tested.work() as work:
            owner, member, _ = work.owner_and_members(relation)
            work.commit()
        relate, removal = _relating_and_removal(relation, owner.id, member)
        _race(tested, *((removal, relate) if begins_with_removal else (relate, removal)))
        shown = tested.look(relation.resource, owner.id)
        if tested.look(member.resource, member.id) is None and shown is not None:
            expect_related("What was related to a resource that was removed", relation.relationship, shown)


def _relating_and_removal(relation: Relation, owner: Id, member: Reference) -> tuple[Deed, Deed]:
    return (
        lambda work: work.relate(
            work.get(relation.resource, owner), relation, _existing(work, member.resource, member.id)
        ),
        lambda work: work.remove(_existing(work, member.resource, member.id)),
    )
