"""Operations on relationships."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ...hookspecs import Id, Reference
from .expect import expect_related
from .promise import promise
from .tested import Relation, TestedLayer
from .work import Work, holding

__all__ = ["Relationships"]


class Relationships:
    """Tests of `atomic_set_relationship`, `atomic_add_to_relationship`, and so on."""

    @promise("atomic_set_relationship", "Set a to-one relationship", needs={"to_one"})
    def test_set_a_to_one(self, tested: TestedLayer) -> None:
        """To one that is stored, and then to another."""
        _test_set(tested, tested.to_one, [0], [1])

    @promise("atomic_set_relationship", "None clears it", needs={"to_one"})
    def test_clear_a_to_one(self, tested: TestedLayer) -> None:
        """Once and again."""
        _test_set(tested, tested.to_one, [0], [], [])

    @promise("atomic_set_relationship", "replace all members of a to-many", needs={"to_many"})
    def test_replace_the_members_of_a_to_many(self, tested: TestedLayer) -> None:
        """By others, by more, by fewer, and by none."""
        _test_set(tested, tested.to_many, [0], [1], [0, 1], [1], [], [0])

    @promise("atomic_set_relationship", "Set a to-one relationship", needs={"to_one"})
    def test_set_a_to_one_to_what_is_new(self, tested: TestedLayer) -> None:
        """Of a new resource, to another one of the same unit."""
        relation = tested.to_one
        with tested.work() as work:
            owner, member, _ = work.owner_and_members(relation)
            work.flush()
            work.set_relationship(owner, relation.relationship, member)
            work.flush()
            expect_related("What was set", relation.relationship, work.show(owner), member.id)

    @promise("atomic_add_to_relationship", "Add members to a to-many relationship", needs={"to_many"})
    def test_add_members(self, tested: TestedLayer) -> None:
        """Those that are members stay."""
        _test_members(tested, [0], (lambda on, first, second: on.add(second), [0, 1]))

    @promise("atomic_add_to_relationship", "those that are members already stay so, once", needs={"to_many"})
    def test_add_members_that_are_there(self, tested: TestedLayer) -> None:
        """Alone, and together with one that is new."""
        _test_members(
            tested,
            [0],
            (lambda on, first, second: on.add(first), [0]),
            (lambda on, first, second: on.add(first, second), [0, 1]),
        )

    @promise("atomic_add_to_relationship", "those that are members already stay so, once", needs={"to_many"})
    def test_add_members_twice(self, tested: TestedLayer) -> None:
        """In one unit."""
        _test_members(
            tested,
            [],
            (lambda on, first, second: on.add(first).add(first), [0]),
            (lambda on, first, second: on.add(second).add(first, second), [0, 1]),
        )

    @promise("atomic_add_to_relationship", "`related` may be empty.", needs={"to_many"})
    def test_add_no_members(self, tested: TestedLayer) -> None:
        """Nothing changes then."""
        _test_members(tested, [0], (lambda on, first, second: on.add(), [0]))

    @promise("atomic_remove_from_relationship", "Remove members from a to-many relationship", needs={"to_many"})
    def test_remove_members(self, tested: TestedLayer) -> None:
        """The others stay."""
        _test_members(
            tested,
            [0, 1],
            (lambda on, first, second: on.remove(first), [1]),
            (lambda on, first, second: on.remove(second), []),
        )

    @promise(
        "atomic_remove_from_relationship",
        "Remove members from a to-many relationship",
        needs={"to_many", "add_to_relationship"},
    )
    def test_remove_members_that_were_just_added(self, tested: TestedLayer) -> None:
        """In one unit, and the other way round."""
        _test_members(
            tested,
            [0],
            (lambda on, first, second: on.add(second).remove(second), [0]),
            (lambda on, first, second: on.add(second).remove(first), [1]),
            (lambda on, first, second: on.remove(second).add(second), [1]),
        )

    @promise("atomic_remove_from_relationship", "those that are no members are passed over", needs={"to_many"})
    def test_remove_who_is_no_member(self, tested: TestedLayer) -> None:
        """Alone, and together with one who is."""
        _test_members(
            tested,
            [0],
            (lambda on, first, second: on.remove(second), [0]),
            (lambda on, first, second: on.remove(second, first), []),
        )

    @promise(
        "atomic_remove_from_relationship",
        "A reference to a resource that exists nowhere has no `entity`, only an `id`.",
        needs={"to_many"},
    )
    def test_remove_what_exists_nowhere(self, tested: TestedLayer) -> None:
        """Alone, and together with one who is a member."""
        _test_members(
            tested,
            [0],
            (lambda on, first, second: on.remove(on.missing()), [0]),
            (lambda on, first, second: on.remove(on.missing(), first), []),
        )

    @promise("atomic_remove_from_relationship", "`related` may be empty.", needs={"to_many"})
    def test_remove_no_members(self, tested: TestedLayer) -> None:
        """Nothing changes then."""
        _test_members(tested, [0], (lambda on, first, second: on.remove(), [0]))

    @promise("atomic_exclusive", "True for one-to-one and one-to-many relationships.")
    def test_what_is_not_exclusive_is_shared(self, tested: TestedLayer) -> None:
        """Where the layer says False, two resources may be related to the same one."""
        shared = [
            relation
            for relation in tested.relations
            if tested.layer.exclusive(resource=relation.resource, relationship=relation.relationship) is False
        ]
        for relation in shared:
            resource, relationship = relation
            with tested.work() as work:
                member = work.member(relation)
                owners = [
                    work.add(resource, number, related={relationship: holding(relationship, member)})
                    for number in ((0, 2) if tested.other(relation) is resource else (0, 1))
                ]
                work.flush()
                for owner in owners:
                    shown = work.look(resource, owner.id)
                    expect_related("What shares a related resource", relationship, shown, member.id)


class _Members:
    """The members of a to-many relationship of one resource, in one unit. What is done to them is flushed at once."""

    def __init__(self, work: Work, owner: Reference, relation: Relation, missing: Id) -> None:
        self._work = work
        self._owner = owner
        self._relation = relation
        self._missing = missing

    def add(self, *members: Reference) -> _Members:
        self._work.add_to_relationship(self._owner, self._relation.relationship, *members)
        self._work.flush()
        return self

    def remove(self, *members: Reference) -> _Members:
        self._work.remove_from_relationship(self._owner, self._relation.relationship, *members)
        self._work.flush()
        return self

    def missing(self) -> Reference:
        return self._work.missing(self._relation, self._missing)


_Step = tuple[Callable[[_Members, Reference, Reference], object], Sequence[int]]
"""What to do, given the owner's members and two resources that could be; and which of the two are members then."""


def _test_members(tested: TestedLayer, before: Sequence[int], *steps: _Step) -> None:
    """Do one thing after another to a to-many relationship, each in a unit of its own."""
    relation = tested.to_many
    with tested.work() as work:
        members = [work.member(relation, number) for number in (0, 1)]
        owner = work.owner(relation, *(members[number] for number in before))
        work.commit()
    missing = next(
        id_ for id_ in tested.free_ids(tested.other(relation), 5) if id_ not in [each.id for each in members]
    )
    for do, after in steps:
        expected = [members[number].id for number in after]
        with tested.work() as work:
            one = work.get(relation.resource, owner.id)
            do(_Members(work, one, relation, missing), *(work.get(each.resource, each.id) for each in members))
            expect_related("In the same unit", relation.relationship, work.show(one), *expected)
            work.commit()
        shown = tested.look(relation.resource, owner.id)
        expect_related("After the commit", relation.relationship, shown, *expected)


def _test_set(tested: TestedLayer, relation: Relation, *values: Sequence[int]) -> None:
    """Set a relationship to one value after another, each in a unit of its own."""
    resource, relationship = relation
    with tested.work() as work:
        owner, *members = work.owner_and_members(relation)
        work.commit()
    for value in values:
        expected = [members[number].id for number in value]
        with tested.work() as work:
            one = work.get(resource, owner.id)
            related = [work.get(tested.other(relation), id_) for id_ in expected]
            work.set_relationship(one, relationship, holding(relationship, *related))
            work.flush()
            expect_related("In the same unit", relationship, work.show(one), *expected)
            work.commit()
        expect_related("After the commit", relationship, tested.look(resource, owner.id), *expected)
