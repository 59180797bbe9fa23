"""Units of work, one after the other: begin, prepare, commit and rollback in every order that can occur."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from ...errors import OperationFailed
from ...hookspecs import Id, Reference, Resource
from .expect import expect, expect_attributes
from .promise import promise
from .tested import Relation, TestedLayer
from .work import Shown, Work, updating

__all__ = ["Units"]

_MANY = 20
"""More units than a pool of connections has room for."""


class Units:
    """Tests of `atomic_begin`, `atomic_prepare`, `atomic_commit` and `atomic_rollback`."""

    @promise("atomic_begin", "may be anything but None")
    def test_begin_returns_a_unit(self, tested: TestedLayer) -> None:
        """It is what the other hooks are given."""
        with tested.work() as work:
            assert work.unit is not None, "It returned None."

    @promise("atomic_begin", "A unit sees what was committed before it began")
    def test_a_unit_sees_what_was_committed(self, tested: TestedLayer) -> None:
        """Also where another unit has looked before."""
        resource = tested.resource
        (missing,) = tested.free_ids(resource)
        expect("What was not added yet", tested.look(resource, missing), None)
        for number in (0, 1):
            id_ = tested.done(lambda work, number=number: work.one(resource, number).id)  # type: ignore[misc]
            expect_attributes(
                "What was committed", resource, tested.look(resource, id_), tested.sample(resource, number)
            )

    @promise("atomic_begin", "A unit sees what was committed before it began", needs={"update"})
    def test_a_unit_sees_what_was_updated(self, tested: TestedLayer) -> None:
        """Also where another unit has looked before."""
        resource = tested.resource
        id_ = tested.done(lambda work: work.one(resource).id)
        for number in (1, 0):
            tested.look(resource, id_)
            new = tested.sample(resource, number)
            tested.done(updating(resource, id_, new))
            expect_attributes("What was committed", resource, tested.look(resource, id_), new)

    # ------------------------------------------------------------------------------------------------------ commit

    @promise("atomic_commit", "Make everything that was done in the unit lasting")
    def test_commit_makes_everything_lasting(self, tested: TestedLayer) -> None:
        """Whatever the layer has operations on resources for, in one unit."""
        _test_commit(tested, _resource_changes(tested))

    @promise("atomic_commit", "Make everything that was done in the unit lasting", needs={"to_one"})
    def test_commit_makes_a_to_one_lasting(self, tested: TestedLayer) -> None:
        """Of a resource that was there before."""
        _test_commit(tested, _relationship_changes(tested, tested.to_one))

    @promise("atomic_commit", "Make everything that was done in the unit lasting", needs={"to_many"})
    def test_commit_makes_members_lasting(self, tested: TestedLayer) -> None:
        """Of a resource that was there before."""
        _test_commit(tested, _relationship_changes(tested, tested.to_many))

    @promise("atomic_commit", "and close it")
    def test_units_are_committed_one_after_the_other(self, tested: TestedLayer) -> None:
        """As many as one likes: none leaves something open that the next would need."""
        id_ = tested.done(lambda work: work.one(tested.resource).id)
        for _ in range(_MANY):
            _write(tested, id_)

    # ---------------------------------------------------------------------------------------------------- rollback

    @promise("atomic_rollback", "Undo everything that was done in the unit")
    def test_rollback_undoes_everything(self, tested: TestedLayer) -> None:
        """Whatever the layer has operations on resources for, in one unit, after a flush."""
        _test_rollback(tested, _resource_changes(tested), Work.flush)

    @promise("atomic_rollback", "Undo everything that was done in the unit", needs={"to_one"})
    def test_rollback_undoes_a_to_one(self, tested: TestedLayer) -> None:
        """Of a resource that was there before."""
        _test_rollback(tested, _relationship_changes(tested, tested.to_one), Work.flush)

    @promise("atomic_rollback", "Undo everything that was done in the unit", needs={"to_many"})
    def test_rollback_undoes_members(self, tested: TestedLayer) -> None:
        """Of a resource that was there before."""
        _test_rollback(tested, _relationship_changes(tested, tested.to_many), Work.flush)

    @promise(
        "atomic_begin", "After a `Transient` the same operations are performed in a new unit", needs={"client_ids"}
    )
    def test_what_was_rolled_back_can_be_done_again(self, tested: TestedLayer) -> None:
        """With the same id: nothing of the first unit is in the way."""
        resource = tested.with_client_ids
        (id_,) = tested.free_ids(resource)
        for end in (Work.flush, Work.prepare):
            with tested.work() as work:
                work.add(resource, id=id_)
                end(work)
                work.rollback()
        tested.done(lambda work: work.add(resource, id=id_))
        expect_attributes("What was added in the end", resource, tested.look(resource, id_), tested.sample(resource, 0))

    @promise("atomic_prepare", "A vote makes nothing lasting")
    def test_rollback_after_the_vote(self, tested: TestedLayer) -> None:
        """Another layer may have voted against."""
        _test_rollback(tested, _resource_changes(tested), Work.prepare)

    @promise("atomic_prepare", "A vote makes nothing lasting", needs={"to_many"})
    def test_rollback_of_members_after_the_vote(self, tested: TestedLayer) -> None:
        """Another layer may have voted against."""
        _test_rollback(tested, _relationship_changes(tested, tested.to_many), Work.prepare)

    @promise("atomic_rollback", "at any point after `atomic_begin`")
    def test_rollback_at_once(self, tested: TestedLayer) -> None:
        """Before any operation."""
        with tested.work() as work:
            work.rollback()

    @promise("atomic_rollback", "at any point after `atomic_begin`")
    def test_rollback_after_a_read(self, tested: TestedLayer) -> None:
        """That found something, and that found nothing."""
        resource = tested.resource
        id_ = tested.done(lambda work: work.one(resource).id)
        for looked_for in (id_, *tested.free_ids(resource)):
            with tested.work() as work:
                work.entities(resource, [looked_for])
                work.rollback()

    @promise("atomic_rollback", "at any point after `atomic_begin`")
    def test_rollback_of_what_waits(self, tested: TestedLayer) -> None:
        """Before the flush: it is not written by anything that follows."""
        resource = tested.with_client_ids if tested.has("client_ids") else tested.resource
        (id_,) = tested.free_ids(resource) if tested.has("client_ids") else (None,)
        with tested.work() as work:
            id_ = work.identify(work.add(resource, id=id_))
            work.rollback()
        other = tested.done(lambda work: work.one(resource, 1).id)
        expect_attributes("What was added then", resource, tested.look(resource, other), tested.sample(resource, 1))
        if id_ not in (None, other):
            expect("What was rolled back", tested.look(resource, id_), None)

    @promise("atomic_rollback", "Nothing of the unit is left open")
    def test_units_are_rolled_back_one_after_the_other(self, tested: TestedLayer) -> None:
        """As many as one likes, at whatever point: none keeps something that the next one needs."""
        id_ = tested.done(lambda work: work.one(tested.resource).id)
        for go_on in (_do_nothing, _do_nothing, Work.flush, Work.prepare) * (_MANY // 4):
            with tested.work() as work:
                _touch(tested, work, id_)
                go_on(work)
                work.rollback()
        _write(tested, id_)

    @promise("atomic_rollback", "Nothing of the unit is left open")
    def test_reading_leaves_nothing_open(self, tested: TestedLayer) -> None:
        """Units that were only read from are rolled back."""
        resource = tested.resource
        id_ = tested.done(lambda work: work.one(resource).id)
        for _ in range(_MANY):
            tested.look(resource, id_)
        _write(tested, id_)


class _Changes(NamedTuple):
    """Something to do in a unit.

    :param places: the resources that are there before.
    :param make: does it, and returns the resources that it adds.
    """

    places: Sequence[tuple[Resource, Id]]
    make: Callable[[Work], Sequence[Reference]]


def _resource_changes(tested: TestedLayer) -> _Changes:
    """Remove one, update another, and add a third, as far as the layer can do it."""
    resource = tested.resource
    updates, removes = (tested.layer.supports(hook) for hook in ("update", "remove"))
    numbers = (0, 1) if removes else (0,)
    ids = tested.done(lambda work: [work.one(resource, number).id for number in numbers])

    def make(work: Work) -> Sequence[Reference]:
        if removes:
            work.remove(work.get(resource, ids[1]))
            work.flush()
        if updates:
            work.update(work.get(resource, ids[0]), tested.sample(resource, 1))
            work.flush()
        return [work.add(resource, 0 if updates else 1)]

    return _Changes([(resource, id_) for id_ in ids], make)


def _relationship_changes(tested: TestedLayer, relation: Relation) -> _Changes:
    """Relate a resource to another by the first operation for it that the layer has."""
    with tested.work() as work:
        owner, member, _ = work.owner_and_members(relation)
        work.commit()

    def make(work: Work) -> Sequence[Reference]:
        work.relate(work.get(relation.resource, owner.id), relation, work.get(member.resource, member.id))
        return []

    return _Changes([(relation.resource, owner.id)], make)


def _test_commit(tested: TestedLayer, changes: _Changes) -> None:
    before = _looks(tested, changes.places)
    with tested.work() as work:
        added = changes.make(work)
        work.flush()
        places = [*changes.places, *((each.resource, each.id) for each in added)]
        shown = [work.look(*place) for place in places]
        work.commit()
    after = _looks(tested, places)
    expect("What is shown after the commit", after, shown)
    assert after != before, f"Operations that should have changed something have not: {after!r}."


def _test_rollback(tested: TestedLayer, changes: _Changes, go_on: Callable[[Work], object]) -> None:
    before = _looks(tested, changes.places)
    with tested.work() as work:
        added = changes.make(work)
        go_on(work)
        ids = [place for each in added if (place := (each.resource, each.id)) not in changes.places]
        work.rollback()
    expect("What is shown after the rollback", _looks(tested, changes.places), before)
    expect("What was added before the rollback", _looks(tested, ids), [None] * len(ids))


def _looks(tested: TestedLayer, places: Sequence[tuple[Resource, Id]]) -> list[Shown | None]:
    return [tested.look(*place) for place in places]


def _touch(tested: TestedLayer, work: Work, id_: Id) -> None:
    """Write something that another unit would have to wait for, if the store locks what is written."""
    if tested.layer.supports("update"):
        work.update(work.get(tested.resource, id_), tested.sample(tested.resource, 0))
    else:
        work.add(tested.resource, 2)


def _write(tested: TestedLayer, id_: Id) -> None:
    outcome = tested.attempt(lambda work: _touch(tested, work, id_))
    if isinstance(outcome, OperationFailed) and tested.layer.supports("update"):  # others may be there already
        raise AssertionError("A write was refused after other units had ended.") from outcome


def _do_nothing(work: Work) -> None:
    pass
