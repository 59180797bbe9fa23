"""Versions: what tells one state of a resource from another."""

from __future__ import annotations

from ...errors import OperationFailed
from .expect import expect
from .promise import promise
from .tested import Relation, TestedLayer
from .work import Deed, Work

__all__ = ["Versions"]


class Versions:
    """Tests of the hooks for versions."""

    @promise("atomic_versioned", "Say whether resources of the type have versions", needs={"versions"})
    def test_resources_have_versions(self, tested: TestedLayer) -> None:
        """All that are added, from the beginning."""
        resource = tested.versioned
        with tested.work() as work:
            for number in (0, 1):
                one = work.one(resource, number)
                work.flush()
                assert work.version(one) is not None, f"A '{resource.type}' that was just added has no version."

    @promise("atomic_version", "in the order of `entities`, where the same may be twice", needs={"versions", "update"})
    def test_versions_of_several(self, tested: TestedLayer) -> None:
        """One answer for each that was asked about."""
        resource = tested.versioned
        with tested.work() as work:
            first, second = (work.one(resource, number) for number in (0, 1))
            work.flush()
            work.update(second, tested.sample(resource, 0))
            work.flush()
            own = [work.version(one) for one in (first, second)]
            expect("The versions of several entities", work.versions(second, first, second), [own[1], own[0], own[1]])

    @promise("atomic_version", "It stays the same as long as the resource does.", needs={"versions"})
    def test_a_version_stays(self, tested: TestedLayer) -> None:
        """From one unit to the next, and in each of them."""
        resource = tested.versioned
        with tested.work() as work:
            one = work.one(resource)
            work.flush()
            version, id_ = work.version(one), one.id
            work.commit()
        for _ in range(2):
            with tested.work() as work:
                for _ in range(2):
                    expect("The version of what nobody writes", work.version(work.get(resource, id_)), version)

    @promise("atomic_version", "the resource has another version then", needs={"versions", "update"})
    def test_an_update_makes_another_version(self, tested: TestedLayer) -> None:
        """Each time."""
        resource = tested.versioned
        _test_renewed(tested, *(_update(tested, number) for number in (1, 0, 1)))
        with tested.work() as work:
            one = work.one(resource)
            work.flush()
            before = work.version(one)
            work.update(one, tested.sample(resource, 0))
            work.flush()
            assert work.version(one) != before, f"A version stays {before!r} in a unit that updates the resource."

    @promise("atomic_version", "the resource has another version then", needs={"versions"})
    def test_a_relationship_makes_another_version(self, tested: TestedLayer) -> None:
        """To change one is to change the resource that declares it, wherever the relationship is kept."""
        for relation in tested.relations:
            if tested.bindings[relation.resource.type].versioned:
                _test_renewed_by(tested, relation)

    @promise("atomic_match_version", "Say whether the resource has the version", needs={"versions", "update"})
    def test_versions_match(self, tested: TestedLayer) -> None:
        """That which is shown does, an older one does not, and what never was a version does not either."""
        resource = tested.versioned
        id_ = tested.done(lambda work: work.one(resource).id)
        older = tested.done(lambda work: work.version(work.get(resource, id_)))
        tested.done(_update(tested, 1))
        with tested.work() as work:
            one = work.get(resource, id_)
            for version, expected in ((older, False), ("no version", False), ("\N{SNOWMAN}", False)):
                expect(f"Whether the version is {version!r}", work.matches(one, version), expected)
            version = work.version(one)
            expect("Whether the version is the one that is shown", work.matches(one, version), True)

    @promise("atomic_match_version", "if nobody else has changed the resource", needs={"versions", "update"})
    def test_two_units_match_one_version(self, tested: TestedLayer) -> None:
        """And update the resource then: one of them at most is committed."""
        resource = tested.versioned
        id_ = tested.done(lambda work: work.one(resource).id)
        version = tested.done(lambda work: work.version(work.get(resource, id_)))

        def update(work: Work) -> bool:
            one = work.get(resource, id_)
            matches = work.matches(one, version)
            if matches:
                work.update(one, tested.sample(resource, 1))
            return matches

        with tested.work() as work:
            try:
                first: bool | OperationFailed = update(work)
            finally:
                others = tested.meanwhile(lambda: tested.attempt(update))
            try:
                work.commit()
            except OperationFailed as failure:
                first = failure
        both = [outcome for outcome in (first, others.end()) if outcome is True]
        assert len(both) < 2, f"Two units found the version {version!r}, and both have updated the resource."


def _update(tested: TestedLayer, number: int) -> Deed:
    resource = tested.versioned
    return lambda work: work.update(work.one(resource), tested.sample(resource, number))


def _test_renewed_by(tested: TestedLayer, relation: Relation) -> None:
    with tested.work() as work:
        owner, *members = work.owner_and_members(relation)
        work.flush()
        versions = [work.version(owner)]
        for member in members:
            work.relate(owner, relation, member)
            work.flush()
            versions.append(work.version(owner))
    name = relation.relationship.name
    assert len(set(versions)) == len(versions), f"Of a resource whose '{name}' change, the versions are {versions}."


def _test_renewed(tested: TestedLayer, *deeds: Deed) -> None:
    resource = tested.versioned
    tested.done(lambda work: work.one(resource))
    versions = [tested.done(lambda work: work.version(work.one(resource)))]
    for do in deeds:
        tested.done(do)
        versions.append(tested.done(lambda work: work.version(work.one(resource))))
    assert len(set(versions)) == len(versions), f"Of a resource that is updated, the versions are {versions}."
