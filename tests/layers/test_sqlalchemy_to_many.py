"""To-many relationships in the SQLAlchemy layer: every kind, from both sides, without loading who else is a member."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import event, select

from flask_atomic.errors import Refused, Transient, Unprocessable
from flask_atomic.layers.sqlalchemy.to_many import ToMany
from tests.layers.hooks import Store, Work
from tests.layers.music import (
    Chapter,
    Company,
    Fan,
    Firm,
    Human,
    Letter,
    Node,
    Performer,
    Player,
    Stamp,
    Tag,
    Team,
    Track,
    Trainer,
)


def make(type_: str, count: int) -> list[Any]:
    """Entities that could be members."""
    makers = {
        "tracks": lambda number: Track(title=f"t{number}"),
        "performers": lambda number: Performer(name=f"p{number}"),
        "tags": lambda number: Tag(code=f"c{number}"),
        "nodes": lambda number: Node(label=f"n{number}"),
        "fans": lambda number: Fan(),
        "players": lambda number: Player(),
        "chapters": lambda number: Chapter(),
        "letters": lambda number: Letter(),
        "humans": lambda number: Human(name=f"h{number}"),
    }
    return [makers[type_](number) for number in range(count)]


ATTRIBUTES = {
    "companies": {"name": "A"},
    "tracks": {"title": "a"},
    "performers": {"name": "A"},
    "nodes": {"label": "a"},
    "firms": {"name": "A"},
    "stamps": {"motif": "a"},
}

KINDS = [
    pytest.param("companies", "tracks", lambda: Company(name="A"), id="one-to-many, both ways"),
    pytest.param("companies", "reviewed", lambda: Company(name="A"), id="one-to-many, one way"),
    pytest.param("tracks", "performers", lambda: Track(title="a"), id="many-to-many, both ways, a set"),
    pytest.param("performers", "tracks", lambda: Performer(name="A"), id="many-to-many, from the other side"),
    pytest.param("tracks", "tags", lambda: Track(title="a"), id="many-to-many, one way"),
    pytest.param("nodes", "children", lambda: Node(label="a"), id="one-to-many to itself"),
    pytest.param("nodes", "friends", lambda: Node(label="a"), id="many-to-many to itself"),
    pytest.param("teams", "fans", Team, id="write-only"),
    pytest.param("teams", "critics", Team, id="dynamic"),
    pytest.param("teams", "chapters", Team, id="ordered by the collection"),
    pytest.param("stamps", "letters", lambda: Stamp(motif="a", year=1, letters=[]), id="entities without a hash"),
    pytest.param("firms", "staff", lambda: Firm(name="A"), id="joined inheritance"),
]


def assert_members(work: Work, type_: str, name: str, entity: Any, ids: Sequence[Any]) -> None:
    [found] = work.linkage(type_, name, entity)
    assert len(found) == len(ids)
    assert set(found) == set(ids)


@pytest.mark.parametrize(("type_", "name", "owner"), KINDS)
def test_members_come_and_go(store: Store, type_: str, name: str, owner: Any) -> None:
    held = store.resources[type_].relationships[name].type
    with store.work() as work:
        entity, *members = work.unit.keep(owner()), *make(held, 5)
        work.unit.session.add_all([entity, *members])
        work.flush()
        ids = [work.identify(held, member) for member in members]
        for names, action in [
            ((0, 1, 2), lambda: work.set(type_, entity, name, members[:3])),
            ((0, 1, 2, 3), lambda: work.join(type_, entity, name, members[1], members[3])),
            ((0, 3), lambda: work.leave(type_, entity, name, members[1], members[2], members[4])),
            ((0, 3), lambda: work.join(type_, entity, name, members[0])),
            ((2, 3, 4), lambda: work.set(type_, entity, name, members[2:])),
            ((2, 3, 4), lambda: work.set(type_, entity, name, members[2:])),
            ((), lambda: work.update(type_, entity, **{name: []})),
            ((1,), lambda: work.update(type_, entity, **{name: [members[1]]})),
        ]:
            action()
            work.flush()
            assert_members(work, type_, name, entity, [ids[number] for number in names])
        id_ = work.identify(type_, entity)
    with store.work() as work:
        assert work.linkage(type_, name, work.one(type_, id_)) == [[ids[1]]]


@pytest.mark.parametrize(("type_", "name", "owner"), KINDS)
def test_a_new_resource_has_members_at_once(store: Store, type_: str, name: str, owner: Any) -> None:
    held = store.resources[type_].relationships[name].type
    with store.work() as work:
        members = make(held, 3)
        work.unit.session.add_all(members)
        work.flush()
        entity = work.add(type_, **ATTRIBUTES.get(type_, {}), **{name: members})
        work.flush()
        ids = [work.identify(held, member) for member in members]
        assert_members(work, type_, name, entity, ids)


@pytest.mark.parametrize("count", [10, 2000])
@pytest.mark.parametrize(
    ("type_", "name", "joining", "leaving"),
    [
        ("companies", "tracks", "UPDATE", "UPDATE"),
        ("companies", "reviewed", "UPDATE", "UPDATE"),
        ("tracks", "performers", "INSERT", "DELETE"),
        ("performers", "tracks", "INSERT", "DELETE"),
    ],
)
def test_the_other_members_are_not_loaded(
    store: Store, type_: str, name: str, joining: str, leaving: str, count: int
) -> None:
    held = store.resources[type_].relationships[name].type
    with store.work() as work:
        members, others = make(held, count), make(held, 2)
        work.unit.session.add_all([*members, *others])
        entity = work.add(type_, **ATTRIBUTES[type_], **{name: members})
        work.flush()
        id_ = work.identify(type_, entity)
        ids = [work.identify(held, each) for each in (members[0], *others)]
    with store.work() as work:
        entity, (member, *others) = work.one(type_, id_), work.get(held, *ids).values()
        known = set(work.unit.session)
        with store.counted() as statements:
            work.join(type_, entity, name, member, *others)
        assert verbs(statements) == ["SELECT", joining]
        assert len(work.linkage(type_, name, entity)[0]) == count + 2
        with store.counted() as statements:
            work.leave(type_, entity, name, member, *others)
        assert verbs(statements) == ["SELECT", leaving]
        assert len(work.linkage(type_, name, entity)[0]) == count - 1
        assert set(work.unit.session) == known


def verbs(statements: list[str]) -> list[str]:
    return [statement.partition(" ")[0] for statement in statements]


@pytest.mark.parametrize("name", ["tracks", "reviewed"])
def test_a_member_moves_from_one_owner_to_another(store: Store, name: str) -> None:
    with store.work() as work:
        old, new = work.add("companies", name="old"), work.add("companies", name="new")
        tracks = [work.add("tracks", title="a"), work.add("tracks", title="b")]
        work.flush()
        work.set("companies", old, name, tracks)
        work.join("companies", new, name, tracks[0])
        assert work.linkage("companies", name, old, new) == [[tracks[1].id], [tracks[0].id]]
        work.set("companies", new, name, tracks)
        work.flush()
        assert_members(work, "companies", name, old, [])
        assert_members(work, "companies", name, new, [track.id for track in tracks])


def test_the_other_end_follows(store: Store) -> None:
    with store.work() as work:
        company, track = work.add("companies", name="A"), work.add("tracks", title="a")
        performer = work.add("performers", name="P")
        work.flush()
        work.join("companies", company, "tracks", track)
        work.join("tracks", track, "performers", performer)
        assert work.linkage("tracks", "owner", track) == [company.id]
        assert work.linkage("performers", "tracks", performer) == [[track.id]]
        work.leave("performers", performer, "tracks", track)
        assert work.linkage("tracks", "performers", track) == [[]]


def test_a_member_that_cannot_be_without_its_owner_stays(store: Store) -> None:
    with store.work() as work:
        team = work.unit.keep(Team(trainers=[Trainer(), Trainer()]))
        work.add("teams")
        work.unit.session.add(team)
        work.flush()
        [first, second] = work.linkage("teams", "trainers", team)[0]
        trainer = work.one("trainers", first)
        with pytest.raises(Refused) as refused:
            work.leave("teams", team, "trainers", trainer)
        assert refused.value.relationship == "trainers"
        with pytest.raises(Refused):
            work.set("teams", team, "trainers", [trainer])
        work.rollback()
        assert second != first


def test_orphans_are_deleted_where_the_model_says_so(store: Store) -> None:
    with store.work() as work:
        team = work.unit.keep(Team(players=[Player(), Player(), Player()]))
        work.unit.session.add(team)
        work.flush()
        [first, second, third] = work.linkage("teams", "players", team)[0]
        work.leave("teams", team, "players", work.one("players", first))
        assert list(work.get("players", first, second, third)) == [second, third]
        work.set("teams", team, "players", [work.one("players", second)])
        work.flush()
        assert list(work.get("players", first, second, third)) == [second]


def test_a_collection_that_numbers_its_members_knows_all_of_them(store: Store) -> None:
    with store.work() as work:
        team, chapters = work.add("teams"), [work.add("chapters") for _ in range(4)]
        work.flush()
        work.set("teams", team, "chapters", chapters[:3])
        work.join("teams", team, "chapters", chapters[3])
        work.leave("teams", team, "chapters", chapters[1])
        ids = [chapter.id for chapter in chapters]
    positions = dict(store.rows(select(Chapter.id, Chapter.position).where(Chapter.team_id.is_not(None))))
    assert positions == {ids[0]: 0, ids[2]: 1, ids[3]: 2}


def test_membership_events_of_the_application_happen(store: Store) -> None:
    heard = []

    def hear_append(owner: Company, track: Track, _: Any) -> None:
        heard.append(("append", owner.name, track.title))

    def hear_remove(owner: Company, track: Track, _: Any) -> None:
        heard.append(("remove", owner.name, track.title))

    event.listen(Company.tracks, "append", hear_append)
    event.listen(Company.tracks, "remove", hear_remove)
    try:
        with store.work() as work:
            company = work.add("companies", name="A")
            tracks = [work.add("tracks", title=title) for title in "abc"]
            work.flush()
            work.set("companies", company, "tracks", tracks[:2])
            work.join("companies", company, "tracks", *tracks)
            work.leave("companies", company, "tracks", tracks[0])
    finally:
        event.remove(Company.tracks, "append", hear_append)
        event.remove(Company.tracks, "remove", hear_remove)
    assert heard == [("append", "A", title) for title in "abc"] + [("remove", "A", "a")]


def test_a_refused_member_is_an_error_of_the_relationship(store: Store) -> None:
    def refuse(_owner: Company, _track: Track, _: Any) -> None:
        raise ValueError("not this one")

    with store.work(commit=False) as work:
        company, track = work.add("companies", name="A"), work.add("tracks", title="a")
        work.flush()
        event.listen(Company.tracks, "append", refuse)
        try:
            with pytest.raises(Unprocessable) as failure:
                work.join("companies", company, "tracks", track)
        finally:
            event.remove(Company.tracks, "append", refuse)
        assert failure.value.relationship == "tracks"
        assert "not this one" not in failure.value.detail


def test_an_association_object_is_a_resource_like_any_other(store: Store) -> None:
    with store.work() as work:
        playlist, track = work.add("playlists", name="A"), work.add("tracks", title="a")
        entry = work.add("entries", position=1, playlist=playlist, track=track)
        again = work.add("entries", position=2, playlist=playlist, track=track)
        work.flush()
        assert_members(work, "playlists", "entries", playlist, [entry.id, again.id])
        work.remove("entries", entry)
        work.flush()
        assert_members(work, "tracks", "entries", track, [again.id])


def test_members_are_counted_once_although_they_are_many(store: Store) -> None:
    with store.work() as work:
        nodes = [work.add("nodes", label=str(number)) for number in range(3000)]
        work.flush()
        work.join("nodes", nodes[0], "friends", *nodes[:2000])
        work.join("nodes", nodes[0], "friends", *nodes)
        assert len(work.linkage("nodes", "friends", nodes[0])[0]) == 3000


def test_linkage_of_many_resources_is_one_statement(store: Store) -> None:
    with store.work() as work:
        companies = [work.add("companies", name=f"c{number}") for number in range(100)]
        tracks = [work.add("tracks", title="a", owner=company) for company in companies for _ in range(2)]
        work.flush()
        with store.counted() as statements:
            linkage = work.linkage("companies", "tracks", *companies)
        assert len(statements) == 1
        assert [set(ids) for ids in linkage] == [
            {track.id for track in tracks if track.owner_id == company.id} for company in companies
        ]


@pytest.mark.parametrize(
    ("type_", "name", "exclusive"),
    [("companies", "tracks", True), ("nodes", "children", True), ("tracks", "performers", False)],
)
def test_members_of_a_one_to_many_are_taken_from_others(store: Store, type_: str, name: str, exclusive: bool) -> None:
    resource = store.resources[type_]
    assert store.layer.atomic_exclusive(resource, resource.relationships[name]) is exclusive


@pytest.mark.parametrize("write", ["join", "leave"])
@pytest.mark.filterwarnings("default:DELETE statement")
def test_the_same_write_of_a_member_by_two_requests_at_once_will_pass(
    store: Store, write: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other request commits between the look at the members and the write: there is nothing left to be done."""
    with store.work() as work:
        track, performer = work.add("tracks", title="a"), work.add("performers", name="P")
        work.flush()
        ids = track.id, performer.id
        if write == "join":
            work.join("tracks", track, "performers", performer)
    with store.work(commit=False) as work:
        track, performer = work.one("tracks", ids[0]), work.one("performers", ids[1])
        seen = [] if write == "join" else [performer]
        monkeypatch.setattr(ToMany, "_members", lambda *_, **__: seen)
        with pytest.raises(Transient):
            getattr(work, write)("tracks", track, "performers", performer)
