"""Operations in a row that do the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ...errors import NotFound, OperationFailed
from ...hookspecs import Id, Reference, Resource
from .expect import expect, expect_attributes, expect_related
from .promise import promise
from .tested import Relation, TestedLayer
from .work import Shown, Work, holding, updating

__all__ = ["Runs"]


class Runs:
    """Tests of `atomic_add_all`, `atomic_update_all` and `atomic_remove_all`.

    Of a layer without these hooks, they are tests of several operations in one unit.
    """

    # ------------------------------------------------------------------------------------------------------ add_all

    @promise("atomic_add_all", "Add resources as by `atomic_add`, one after the other", needs={"add"})
    def test_add_all(self, tested: TestedLayer) -> None:
        """They are there in the unit, and after the commit for others, each with another id."""
        resource = tested.resource
        with tested.work() as work:
            ids = [one.id for one in work.add_all(resource, {}, {})]
            work.flush()
            shown = [work.look(resource, id_) for id_ in ids]
            work.commit()
        assert len(set(ids)) == 2, f"New resources got the ids {ids}."
        for number, id_ in enumerate(ids):
            sample = tested.sample(resource, number)
            expect_attributes("What was added, in the same unit", resource, shown[number], sample)
            expect_attributes("What was added, in another unit", resource, tested.look(resource, id_), sample)

    @promise("atomic_add_all", "Add resources as by `atomic_add`, one after the other", needs={"add"})
    def test_add_all_shows_what_add_shows(self, tested: TestedLayer) -> None:
        """Added together or one by one, resources show the same."""
        resource = tested.resource
        with tested.work() as work:
            one_by_one = [work.add(resource, number) for number in (0, 1)]
            work.flush()
            expected = [work.show(one) for one in one_by_one]
            work.rollback()
        with tested.work() as work:
            together = work.add_all(resource, {}, {})
            work.flush()
            expect("What was added together", [work.show(one) for one in together], expected)

    @promise("atomic_add_all", "the new entities, in the same order", needs={"add"})
    def test_add_all_returns_the_entities(self, tested: TestedLayer) -> None:
        """Each shows what a fresh read of its resource shows."""
        resource = tested.resource
        with tested.work() as work:
            added = work.add_all(resource, {}, {})
            work.flush()
            shown = [work.show(one) for one in added]
            work.commit()
        for number, one in enumerate(added):
            expect_attributes("A new entity", resource, shown[number], tested.sample(resource, number))
            expect("What a new entity showed", shown[number], tested.look(resource, one.id))

    @promise(
        "atomic_add_all", "the client's id of each, None where the layer is to make one", needs={"add", "client_ids"}
    )
    def test_add_all_takes_the_ids_of_clients(self, tested: TestedLayer) -> None:
        """Of all, and of one only if clients need not give any."""
        resource = tested.with_client_ids
        free = tested.free_ids(resource, 2)
        some = [None, free[0]] if resource.client_ids == "allowed" else free[:1]
        for ids in (free, some):
            with tested.work() as work:
                added = work.add_all(resource, *({} for _ in ids), ids=ids)
                work.flush()
                for number, (one, id_) in enumerate(zip(added, ids, strict=True)):
                    identified = work.identify(one)
                    expect("The id of what was added", identified, identified if id_ is None else id_)
                    shown = work.look(resource, one.id)
                    expect_attributes("What was added", resource, shown, tested.sample(resource, number))

    @promise("atomic_add_all", "those that were sent for each", needs={"add", "to_one"})
    def test_add_all_relates_to_one(self, tested: TestedLayer) -> None:
        """The one to another resource, the other to none."""
        _test_add_with_related(tested, tested.to_one)

    @promise("atomic_add_all", "those that were sent for each", needs={"add", "to_many"})
    def test_add_all_relates_to_many(self, tested: TestedLayer) -> None:
        """The one to another resource, the other to none."""
        _test_add_with_related(tested, tested.to_many)

    @promise("atomic_add_all", "None of the resources is related to another one of them", needs={"add", "to_own_type"})
    def test_add_all_relates_to_the_own_type(self, tested: TestedLayer) -> None:
        """To a resource that is there already, or waits."""
        _test_add_with_related(tested, tested.to_own_type)

    @promise("atomic_add_all", "If it raises, the operations are performed again in a new unit", needs={"add"})
    def test_add_all_leaves_nothing_after_a_rollback(self, tested: TestedLayer) -> None:
        """With a flush before it, and without."""
        resource = tested.resource
        for flush in (True, False):
            with tested.work() as work:
                added = work.add_all(resource, {}, {})
                ids = [one.id for one in added] if flush else []
                work.rollback()
            expect("What was added before a rollback", _looks(tested, resource, ids), [None] * len(ids))

    @promise("atomic_add_all", "if the store refuses", needs={"add", "client_ids"})
    def test_add_all_is_refused_as_a_failure(self, tested: TestedLayer) -> None:
        """For an id that is taken: then nothing is added, or the new resource takes the place of the first.

        The core does not let it come to this, unless another request is faster.
        """
        resource = tested.with_client_ids
        free, taken = tested.free_ids(resource, 2)
        tested.done(lambda work: work.add(resource, 2, id=taken))
        outcome = tested.attempt(lambda work: work.add_all(resource, {}, {}, ids=[free, taken]))
        if isinstance(outcome, OperationFailed):
            expect("What was added together with what was refused", tested.look(resource, free), None)
        kept = tested.sample(resource, 2 if isinstance(outcome, OperationFailed) else 1)
        expect_attributes("What has the id now", resource, tested.look(resource, taken), kept)

    # --------------------------------------------------------------------------------------------------- update_all

    @promise(
        "atomic_update_all", "Update different resources as by `atomic_update`, one after the other", needs={"update"}
    )
    def test_update_all(self, tested: TestedLayer) -> None:
        """Each takes a value that the one before it has given up."""
        resource = tested.resource
        ids = _added(tested, resource)
        for numbers, attributes in (
            ((0, 1), [_spare(tested, resource), tested.sample(resource, 0)]),
            ((1, 0), [tested.sample(resource, 1), tested.sample(resource, 0)]),
        ):
            with tested.work() as work:
                work.update_all([work.get(resource, ids[number]) for number in numbers], attributes, [{}, {}])
                work.commit()
            for number, updated in zip(numbers, attributes, strict=True):
                expect_attributes("What was updated", resource, tested.look(resource, ids[number]), updated)

    @promise(
        "atomic_update_all", "Update different resources as by `atomic_update`, one after the other", needs={"update"}
    )
    def test_update_all_of_one_attribute(self, tested: TestedLayer) -> None:
        """Of one resource, where nothing is given for the other: all else stays what it was."""
        resource = tested.resource
        ids = _added(tested, resource)
        old, other = (tested.sample(resource, number) for number in (0, 1))
        for name, value in _spare(tested, resource).items():
            with tested.work() as work:
                work.update_all([work.get(resource, id_) for id_ in ids], [{name: value}, {}], [{}, {}])
                work.flush()
                shown = [work.look(resource, id_) for id_ in ids]
            expect_attributes(f"What had '{name}' updated", resource, shown[0], {**old, name: value})
            expect_attributes("What had nothing updated", resource, shown[1], other)

    @promise("atomic_update_all", "the entities, or their successors, in the same order", needs={"update"})
    def test_update_all_returns_the_entities(self, tested: TestedLayer) -> None:
        """Each shows what a fresh read of its resource shows."""
        resource = tested.resource
        ids = _added(tested, resource)
        with tested.work() as work:
            found = _update_both(tested, work, ids)
            expect("The ids of the entities that were returned", [work.identify(one) for one in found], ids)
            shown = [work.show(one) for one in found]
            work.commit()
        expect("What the entities showed that were returned", shown, _looks(tested, resource, ids))

    @promise("atomic_update_all", "those that were read; None for each other, which need not exist", needs={"update"})
    def test_update_all_of_what_was_not_read(self, tested: TestedLayer) -> None:
        """All that is given, or a part, of none that was read, and of one of two; what is returned shows it."""
        resource = tested.resource
        ids = _added(tested, resource)
        spare = _spare(tested, resource)
        name, value = next(iter(spare.items()))
        for read in (0, 1):
            for new in (spare, {name: value}):
                with tested.work() as work:
                    found = [
                        work.get(resource, id_) if number < read else work.reference(resource, None, id_)
                        for number, id_ in enumerate(ids)
                    ]
                    work.update_all(found, [{}, new], [{}, {}])
                    work.flush()
                    shown = [work.show(one) for one in found]
                    work.commit()
                expect("What the entities showed that were returned", shown, _looks(tested, resource, ids))
                expect_attributes("What was not read", resource, shown[1], {**tested.sample(resource, 1), **new})
                tested.done(updating(resource, ids[1], tested.sample(resource, 1)))

    @promise(
        "atomic_update_all",
        "if one of the resources does not exist; at the latest, `atomic_flush` does",
        needs={"update", "remove"},
    )
    def test_update_all_of_what_does_not_exist(self, tested: TestedLayer) -> None:
        """Nothing is updated then, wherever it stands among those that exist."""
        resource = tested.resource
        *there, removed = _added(tested, resource, 3)
        tested.done(lambda work: _remove(work, resource, removed))
        before = _looks(tested, resource, there)
        spare = _spare(tested, resource)
        for ids in ([removed, there[1]], [there[1], removed], [removed]):
            with tested.work() as work:
                found = [work.reference(resource, None, id_) for id_ in ids]
                _expect_not_found(
                    work,
                    lambda: work.update_all(found, [spare for _ in found], [{} for _ in found]),  # noqa: B023
                )
            expect("What was to be updated", _looks(tested, resource, there), before)
            expect("What does not exist", tested.look(resource, removed), None)

    @promise("atomic_update_all", "those that are given for each", needs={"update", "to_one"})
    def test_update_all_relates_to_one(self, tested: TestedLayer) -> None:
        """The one to another resource, the other to none."""
        _test_update_of_related(tested, tested.to_one)

    @promise("atomic_update_all", "those that are given for each", needs={"update", "to_many"})
    def test_update_all_relates_to_many(self, tested: TestedLayer) -> None:
        """The one to another resource, the other to none."""
        _test_update_of_related(tested, tested.to_many)

    @promise("atomic_update_all", "Called instead of `atomic_update`", needs={"update"})
    def test_update_all_leaves_nothing_after_a_rollback(self, tested: TestedLayer) -> None:
        """The operations may have to be performed again, in a new unit."""
        resource = tested.resource
        ids = _added(tested, resource)
        before = _looks(tested, resource, ids)
        with tested.work() as work:
            _update_both(tested, work, ids)
            work.rollback()
        expect("What was updated before a rollback", _looks(tested, resource, ids), before)

    # --------------------------------------------------------------------------------------------------- remove_all

    @promise(
        "atomic_remove_all", "Remove different resources as by `atomic_remove`, one after the other", needs={"remove"}
    )
    def test_remove_all(self, tested: TestedLayer) -> None:
        """They are not there in the unit, nor after the commit; others are."""
        resource = tested.resource
        *removed, kept = _added(tested, resource, 3)
        with tested.work() as work:
            work.remove_all(resource, *removed)
            work.flush()
            expect("What was removed, in the same unit", [work.look(resource, id_) for id_ in removed], [None, None])
            work.commit()
        expect("What was removed, in another unit", _looks(tested, resource, removed), [None, None])
        shown = tested.look(resource, kept)
        expect_attributes("What was not removed", resource, shown, tested.sample(resource, 2))

    @promise("atomic_remove_all", "The resources need not have been read", needs={"remove"})
    def test_remove_all_of_what_was_read_in_part(self, tested: TestedLayer) -> None:
        """Read in the unit, added by it, or neither."""
        resource = tested.resource
        read, unread = _added(tested, resource)
        with tested.work() as work:
            work.get(resource, read)
            added = work.add(resource, 2)
            work.flush()
            ids = [unread, added.id, read]
            work.remove_all(resource, *ids)
            work.commit()
        expect("What was removed", _looks(tested, resource, ids), [None] * 3)

    @promise("atomic_remove_all", "if one of them does not exist; at the latest, `atomic_flush` does", needs={"remove"})
    def test_remove_all_of_what_does_not_exist(self, tested: TestedLayer) -> None:
        """Nothing is removed then, wherever it stands among those that exist."""
        resource = tested.resource
        first, second, removed = _added(tested, resource, 3)
        tested.done(lambda work: _remove(work, resource, removed))
        before = _looks(tested, resource, [first, second])
        for ids in ([removed, first], [first, removed, second], [first, removed], [removed]):
            with tested.work() as work:
                _expect_not_found(work, lambda: work.remove_all(resource, *ids))  # noqa: B023
            expect("What was to be removed", _looks(tested, resource, [first, second]), before)

    @promise("atomic_remove_all", "if one of them does not exist; at the latest, `atomic_flush` does", needs={"remove"})
    def test_remove_all_of_what_the_unit_has_removed(self, tested: TestedLayer) -> None:
        """It does not exist any more, also where the unit had read it."""
        resource = tested.resource
        removed, other = _added(tested, resource)
        with tested.work() as work:
            work.get(resource, removed)
            work.remove_all(resource, removed)
            work.flush()
            _expect_not_found(work, lambda: work.remove_all(resource, other, removed))

    @promise(
        "atomic_remove_all",
        "Remove different resources as by `atomic_remove`, one after the other",
        needs={"remove", "client_ids"},
    )
    def test_remove_all_frees_the_ids(self, tested: TestedLayer) -> None:
        """In the same unit."""
        resource = tested.with_client_ids
        ids = tested.free_ids(resource, 2)
        tested.done(lambda work: work.add_all(resource, {}, {}, ids=ids))
        with tested.work() as work:
            work.remove_all(resource, *ids)
            work.flush()
            work.add_all(resource, {}, {}, ids=ids[::-1])
            work.commit()
        for number, id_ in enumerate(ids[::-1]):
            shown = tested.look(resource, id_)
            expect_attributes("What has the id now", resource, shown, tested.sample(resource, number))

    @promise(
        "atomic_remove_all",
        "Remove different resources as by `atomic_remove`, one after the other",
        needs={"remove", "to_one"},
    )
    def test_remove_all_of_what_a_to_one_holds(self, tested: TestedLayer) -> None:
        """What holds the resource shows the same as after `atomic_remove`, or that is refused."""
        _test_removal_of_related(tested, tested.to_one)

    @promise(
        "atomic_remove_all",
        "Remove different resources as by `atomic_remove`, one after the other",
        needs={"remove", "to_many"},
    )
    def test_remove_all_of_what_a_to_many_holds(self, tested: TestedLayer) -> None:
        """What holds the resource shows the same as after `atomic_remove`, or that is refused."""
        _test_removal_of_related(tested, tested.to_many)

    @promise(
        "atomic_remove_all",
        "Remove different resources as by `atomic_remove`, one after the other",
        needs={"remove", "to_own_type"},
    )
    def test_remove_all_of_a_type_that_refers_to_itself(self, tested: TestedLayer) -> None:
        """A resource and the one that it holds, in either order: as one after the other."""
        relation = tested.to_own_type
        for reverse in (False, True):

            def both(owner: Id, member: Id, reverse: bool = reverse) -> list[Id]:
                return [member, owner] if reverse else [owner, member]

            expect("What is left", *_what_is_left(tested, relation, both))

    @promise("atomic_remove_all", "Called instead of `atomic_get` and `atomic_remove` when and as", needs={"remove"})
    def test_remove_all_removes_nothing_after_a_rollback(self, tested: TestedLayer) -> None:
        """The operations may have to be performed again, in a new unit."""
        resource = tested.resource
        ids = _added(tested, resource)
        before = _looks(tested, resource, ids)
        with tested.work() as work:
            work.remove_all(resource, *ids)
            work.flush()
            work.rollback()
        expect("What was removed before a rollback", _looks(tested, resource, ids), before)


def _added(tested: TestedLayer, resource: Resource, count: int = 2) -> list[Id]:
    return tested.done(lambda work: [work.add(resource, number).id for number in range(count)])


def _spare(tested: TestedLayer, resource: Resource) -> Mapping[str, Any]:
    """Attributes that the second of two resources does not have, if the values must be unique."""
    return tested.sample(resource, 2 if len(tested.samples(resource)) > 2 else 1)


def _update_both(tested: TestedLayer, work: Work, ids: Sequence[Id]) -> list[Reference]:
    """Update two resources, and flush."""
    resource = tested.resource
    found = [work.get(resource, id_) for id_ in ids]
    work.update_all(found, [_spare(tested, resource), tested.sample(resource, 0)], [{}, {}])
    work.flush()
    return found


def _remove(work: Work, resource: Resource, id_: Id) -> None:
    work.remove(work.get(resource, id_))
    work.flush()


def _looks(tested: TestedLayer, resource: Resource, ids: Sequence[Id]) -> list[Shown | None]:
    return [tested.look(resource, id_) for id_ in ids]


def _expect_not_found(work: Work, write: Callable[[], object]) -> None:
    try:
        write()
        work.flush()
    except NotFound:
        return
    raise AssertionError("Something that does not exist was written, and nobody was told.")


def _test_add_with_related(tested: TestedLayer, relation: Relation) -> None:
    """The first of two is related to a resource that waits, and then to one that is stored."""
    resource, relationship = relation
    other = tested.other(relation)
    for waits in (True, False):
        stored = None if waits else tested.done(lambda work: work.add(other, 2).id)
        with tested.work() as work:
            member = work.add(other, 2) if waits else work.get(other, stored)
            added = work.add_all(
                resource, {relationship: holding(relationship, member)}, {relationship: holding(relationship)}
            )
            work.flush()
            first, second = (work.look(resource, one.id) for one in added)
            expect_related("The first of what was added", relationship, first, member.id)
            expect_related("The second of what was added", relationship, second)


def _test_update_of_related(tested: TestedLayer, relation: Relation) -> None:
    """Two resources exchange what they are related to: one is related to something, and the other to nothing."""
    resource, relationship = relation
    ids = _added(tested, resource)
    member = tested.done(lambda work: work.one(tested.other(relation), 2).id)
    for holder in (0, 1):
        with tested.work() as work:
            one = work.get(tested.other(relation), member)
            related = [
                {relationship: holding(relationship, one) if number == holder else holding(relationship)}
                for number in (0, 1)
            ]
            work.update_all([work.get(resource, id_) for id_ in ids], [{}, {}], related)
            work.commit()
        shown = _looks(tested, resource, ids)
        expect_related("What was related", relationship, shown[holder], member)
        expect_related("What was not related", relationship, shown[1 - holder])


def _test_removal_of_related(tested: TestedLayer, relation: Relation) -> None:
    expect("What is left", *_what_is_left(tested, relation, lambda owner, member: [member]))


def _what_is_left(
    tested: TestedLayer, relation: Relation, removed: Callable[[Id, Id], Sequence[Id]]
) -> tuple[object, object]:
    """What an owner and its member show, or that it is refused, after they were removed together, and one by one."""
    resource, other = relation.resource, tested.other(relation)
    owner, member = tested.done(lambda work: (work.owner(relation, work.member(relation)).id, work.member(relation).id))

    def left(remove: Callable[[Work], object]) -> object:
        with tested.work() as work:
            try:
                remove(work)
                work.flush()
            except OperationFailed:
                return "refused"
            return work.look(resource, owner), work.look(other, member)

    ids = removed(owner, member)
    type_ = resource if owner in ids else other
    together = left(lambda work: work.remove_all(type_, *ids))
    return together, left(lambda work: work.remove_one_by_one(type_, *ids))
