"""To-one relationships in the SQLAlchemy layer: foreign keys, one-to-one from either side, and partners who move."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from flask_atomic.errors import Conflict
from tests.layers.hooks import Store
from tests.layers.music import Badge, Boss, Lyric, Node, Passport, Person, Visa


def test_a_foreign_key_is_set_and_cleared(store: Store) -> None:
    with store.work() as work:
        company = work.add("companies", name="A")
        track = work.add("tracks", title="a", owner=company)
        work.flush()
        with store.counted() as statements:
            assert work.linkage("tracks", "owner", track) == [company.id]
        assert statements == []
        work.set("tracks", track, "owner", None)
        work.flush()
        assert work.linkage("tracks", "owner", track) == [None]
        work.update("tracks", track, owner=company, title="b")
        work.flush()
        id_ = track.id
    with store.work() as work:
        track = work.one("tracks", id_)
        with store.counted() as statements:
            assert work.linkage("tracks", "owner", track) == [company.id]
        assert statements == []


def test_a_foreign_key_that_is_no_id_is_looked_up_for_all_at_once(store: Store) -> None:
    with store.work() as work:
        companies = [work.add("companies", name=name) for name in "ab"]
        concerts = [work.add("concerts", company=company) for company in [*companies, None]]
        work.flush()
        with store.counted() as statements:
            assert work.linkage("concerts", "company", *concerts) == [*(each.id for each in companies), None]
        assert len(statements) == 1
        work.set("concerts", concerts[0], "company", companies[1])
        work.flush()
        assert work.linkage("concerts", "company", concerts[0]) == [companies[1].id]


def test_pairs_of_new_resources_are_written_together(store: Store) -> None:
    with store.work() as work, store.counted() as statements:
        for number in range(20):
            company = work.add("companies", name=f"c{number}")
            work.add("tracks", title="a", owner=company)
        work.flush()
    assert len(statements) == (2 if store.dialect != "sqlite" else 21)  # SQLite tells a new id only row by row


def test_setting_a_foreign_key_reads_nothing(store: Store) -> None:
    with store.work() as work:
        companies = [work.add("companies", name=name) for name in "ab"]
        tracks = [work.add("tracks", title="a", owner=companies[0]) for _ in range(10)]
        work.flush()
        ids, owners = [track.id for track in tracks], [company.id for company in companies]
    with store.work() as work:
        new = work.get("companies", *owners)[owners[1]]
        tracks = work.get("tracks", *ids).values()
        with store.counted() as statements:
            for track in tracks:
                work.update("tracks", track, owner=new)
            work.flush()
        assert len(statements) == 1
        assert work.linkage("tracks", "owner", *tracks) == [owners[1]] * 10


def test_a_resource_refers_to_itself(store: Store) -> None:
    with store.work() as work:
        node, other = work.add("nodes", label="a"), work.add("nodes", label="b")
        work.flush()
        for change, parent, children in [
            (lambda: work.update("nodes", node, parent=node), node.id, [node.id]),
            (lambda: work.update("nodes", node, parent=node), node.id, [node.id]),
            (lambda: work.set("nodes", node, "parent", None), None, []),
            (lambda: work.join("nodes", node, "children", node, other), node.id, [node.id, other.id]),
            (lambda: work.set("nodes", node, "parent", other), other.id, [other.id]),
            (lambda: work.set("nodes", node, "children", [node]), node.id, [node.id]),
            (lambda: work.leave("nodes", node, "children", node), None, []),
            (lambda: work.set("nodes", node, "children", [node, other]), node.id, [node.id, other.id]),
            (lambda: work.set("nodes", node, "children", [other]), None, [other.id]),
        ]:
            change()
            work.flush()
            assert work.linkage("nodes", "parent", node) == [parent]
            assert work.linkage("nodes", "children", node) == [children]
        work.join("nodes", node, "friends", node)
        assert work.linkage("nodes", "friends", node) == [[node.id]]
        work.leave("nodes", node, "friends", node)
        work.set("nodes", node, "children", [node, other])
        work.remove("nodes", node)
    assert store.rows(select(Node.label)) == []


def test_two_resources_refer_to_each_other(store: Store) -> None:
    with store.work() as work:
        first, second = work.add("nodes", label="a"), work.add("nodes", label="b")
        work.flush()
        work.update("nodes", first, parent=second)
        work.flush()
        work.update("nodes", second, parent=first)
        work.flush()
        assert work.linkage("nodes", "parent", first, second) == [second.id, first.id]


class TestCircles:
    """Rows that refer to each other, for which a session by itself finds no order."""

    def test_one_that_has_itself(self, store: Store) -> None:
        with store.work() as work:
            own, other = work.add("bosses"), work.add("bosses")
            work.flush()
            work.set("bosses", own, "boss", own)
            work.flush()
            work.unit.session.expire_all()
            work.set("bosses", own, "boss", other)
            work.flush()
            work.join("bosses", own, "staff", own)
            work.join("bosses", other, "staff", own)
            assert work.linkage("bosses", "boss", own, other) == [other.id, None]
            work.set("bosses", own, "boss", own)
            work.flush()
            id_ = other.id
            work.remove("bosses", own)
        assert store.rows(select(Boss.id, Boss.boss_id)) == [(id_, None)]

    def test_an_update_that_sets_both_ends(self, store: Store) -> None:
        with store.work() as work:
            first, second = work.add("bosses"), work.add("bosses")
            work.flush()
            work.update("bosses", first, staff=[second], boss=second)
            work.flush()
            assert work.linkage("bosses", "boss", first, second) == [second.id, first.id]
            work.remove("bosses", first)
            work.flush()
            assert work.linkage("bosses", "boss", second) == [None]

    def test_a_new_resource_that_is_at_both_ends(self, store: Store) -> None:
        with store.work() as work:
            old = work.add("bosses")
            work.flush()
            new = work.add("bosses", staff=[old], boss=old)
            work.flush()
            assert work.linkage("bosses", "boss", old, new) == [new.id, old.id]

    def test_what_cannot_be_ordered_together_is_not_the_client_s_defect(self, store: Store) -> None:
        with store.work(commit=False) as work:
            first, second = work.add("bosses"), work.add("bosses")
            work.flush()
            work.update("bosses", first, boss=second)
            work.update("bosses", second, boss=first)
            with pytest.raises(Conflict):
                work.flush()


def test_an_id_in_a_column_is_a_relationship_to_a_resource_kept_elsewhere(store: Store) -> None:
    with store.work() as work:
        visit = work.add("visits", page=work.add("pages", "home"))
        work.flush()
        assert (visit.page, work.linkage("visits", "page", visit)) == ("home", ["home"])
        work.set("visits", visit, "page", None)
        work.flush()
        assert work.linkage("visits", "page", visit) == [None]


ONE_TO_ONE = [
    pytest.param("lyrics", "track", "tracks", "lyric", id="both ways, here"),
    pytest.param("tracks", "lyric", "lyrics", "track", id="both ways, there"),
    pytest.param("passports", "person", "people", None, id="one way, here"),
    pytest.param("people", "visa", "visas", None, id="one way, there"),
]
VALUES: dict[str, dict[str, Any]] = {"lyrics": {"text": "la"}, "tracks": {"title": "a"}}


@pytest.mark.parametrize(("type_", "name", "held", "inverse"), ONE_TO_ONE)
class TestOneToOne:
    def test_partners_move(self, store: Store, type_: str, name: str, held: str, inverse: str | None) -> None:
        with store.work() as work:
            owners = [work.add(type_, **VALUES.get(type_, {})) for _ in range(3)]
            partners = [work.add(held, **VALUES.get(held, {})) for _ in range(3)]
            work.flush()
            ids = [work.identify(held, partner) for partner in partners]
            owner_ids = [work.identify(type_, owner) for owner in owners]
            for owner, partner, expected in [
                (0, 0, (0, None, None)),
                (1, 1, (0, 1, None)),
                (1, 0, (None, 0, None)),
                (2, 0, (None, None, 0)),
                (2, 0, (None, None, 0)),
                (1, 2, (None, 2, 0)),
                (2, 2, (None, None, 2)),
                (0, 2, (2, None, None)),
                (0, None, (None, None, None)),
                (0, 1, (1, None, None)),
            ]:
                work.set(type_, owners[owner], name, None if partner is None else partners[partner])
                work.flush()
                linkage = [None if number is None else ids[number] for number in expected]
                assert work.linkage(type_, name, *owners) == linkage
                if inverse:
                    back = {ids.index(id_): owner_ids[number] for number, id_ in enumerate(linkage) if id_ is not None}
                    assert work.linkage(held, inverse, *partners) == [back.get(number) for number in range(3)]

    def test_partners_move_before_anything_is_flushed(
        self, store: Store, type_: str, name: str, held: str, inverse: str | None
    ) -> None:
        with store.work() as work:
            partners = [work.add(held, **VALUES.get(held, {})) for _ in range(2)]
            first = work.add(type_, **VALUES.get(type_, {}), **{name: partners[0]})
            second = work.add(type_, **VALUES.get(type_, {}), **{name: partners[0]})
            work.update(type_, first, **{name: partners[1]})
            work.update(type_, second, **{name: partners[1]})
            work.update(type_, first, **{name: partners[0]})
            work.flush()
            ids = [work.identify(held, partner) for partner in partners]
            assert work.linkage(type_, name, first, second) == ids

    def test_partners_move_between_units(
        self, store: Store, type_: str, name: str, held: str, inverse: str | None
    ) -> None:
        with store.work() as work:
            partners = [work.add(held, **VALUES.get(held, {})) for _ in range(2)]
            owners = [work.add(type_, **VALUES.get(type_, {}), **{name: partner}) for partner in partners]
            work.flush()
            ids = [work.identify(held, partner) for partner in partners]
            owner_ids = [work.identify(type_, owner) for owner in owners]
        with store.work() as work:
            found, others = work.get(type_, *owner_ids), work.get(held, *ids)
            work.update(type_, found[owner_ids[0]], **{name: others[ids[1]]})
            work.update(type_, found[owner_ids[1]], **{name: others[ids[0]]})
            work.flush()
            assert work.linkage(type_, name, *(found[id_] for id_ in owner_ids)) == [ids[1], ids[0]]

    def test_a_new_resource_takes_the_partner_of_another(
        self, store: Store, type_: str, name: str, held: str, inverse: str | None
    ) -> None:
        with store.work() as work:
            partner = work.add(held, **VALUES.get(held, {}))
            first = work.add(type_, **VALUES.get(type_, {}), **{name: partner})
            work.flush()
            second = work.add(type_, **VALUES.get(type_, {}), **{name: partner})
            work.flush()
            assert work.linkage(type_, name, first, second) == [None, work.identify(held, partner)]

    def test_new_pairs_are_only_inserted(
        self, store: Store, type_: str, name: str, held: str, inverse: str | None
    ) -> None:
        with store.work() as work, store.counted() as statements:
            for _ in range(20):
                partner = work.add(held, **VALUES.get(held, {}))
                work.add(type_, **VALUES.get(type_, {}), **{name: partner})
            assert statements == []
            work.flush()
        assert {statement.partition(" ")[0] for statement in statements} == {"INSERT"}

    def test_linkage_of_all_is_one_statement_at_most(
        self, store: Store, type_: str, name: str, held: str, inverse: str | None
    ) -> None:
        with store.work() as work:
            partners = [work.add(held, **VALUES.get(held, {})) for _ in range(20)]
            owners = [work.add(type_, **VALUES.get(type_, {}), **{name: partner}) for partner in partners]
            owners.append(work.add(type_, **VALUES.get(type_, {})))
            work.flush()
            ids = [work.identify(held, partner) for partner in partners]
            with store.counted() as statements:
                assert work.linkage(type_, name, *owners) == [*ids, None]
            assert len(statements) <= 1


def test_the_exclusive_to_one_relationships_are_the_one_to_one(store: Store) -> None:
    exclusive = {
        (type_, name)
        for type_, resource in store.resources.items()
        for name, relationship in resource.relationships.items()
        if not relationship.many and store.layer.atomic_exclusive(resource, relationship)
    }
    assert exclusive == {
        ("lyrics", "track"),
        ("tracks", "lyric"),
        ("passports", "person"),
        ("people", "visa"),
        ("badges", "person"),
    }


def test_a_partner_that_cannot_be_without_its_owner_stays(store: Store) -> None:
    with store.work() as work:
        person = work.add("people")
        work.add("badges", person=person)
        work.flush()
        with pytest.raises(Conflict) as conflict:
            work.add("badges", person=person)
        assert conflict.value.relationship == "person"
        badge = work.add("badges", person=work.add("people"))
        work.flush()
        with pytest.raises(Conflict):
            work.update("badges", badge, person=person)
    assert len(store.rows(select(Badge.id))) == 2


def test_removing_the_owner_unlinks_the_partner(store: Store) -> None:
    with store.work() as work:
        track, person = work.add("tracks", title="a"), work.add("people")
        work.add("lyrics", text="la", track=track)
        work.update("people", person, visa=work.add("visas"))
        work.flush()
        work.remove("tracks", track)
        work.remove("people", person)
    assert store.rows(select(Lyric.track_id)) == [(None,)]
    assert store.rows(select(Visa.person_id)) == [(None,)]
    assert store.rows(select(Person.id)) == []
    assert store.rows(select(Passport.id)) == []
