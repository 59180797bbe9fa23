"""Adding, changing and removing resources in the SQLAlchemy layer: statements, order, and what the entities show."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from sqlalchemy import delete, event, select, update

from flask_atomic.errors import Conflict, NotFound, Unprocessable
from tests.layers.hooks import Store, Work
from tests.layers.music import Company, Entry, Letter, Node, Page, Performer, Playlist, Reading, Stamp, Tag, Track


def verbs(statements: list[str]) -> list[str]:
    return [statement.partition(" ")[0] for statement in statements]


def test_a_thousand_new_resources_are_few_statements(store: Store) -> None:
    with store.work() as work:
        with store.counted() as statements:
            tracks = [work.add("tracks", title=f"t{number}") for number in range(1000)]
            work.flush()
            assert len({work.identify("tracks", track) for track in tracks}) == 1000
        assert len(statements) <= 2
        with store.counted() as statements:
            performers = [work.add("performers", name="A") for _ in range(1000)]
            work.flush()
            assert len({performer.id for performer in performers}) == 1000
        assert len(statements) <= (2 if store.dialect != "sqlite" else 1000)  # which tells new integers row by row
    assert len(store.rows(select(Track.id))) == 1000


def test_a_thousand_changes_are_one_statement(store: Store) -> None:
    with store.work() as work:
        ids = [work.add("tracks", title="a") for _ in range(1000)]
        work.flush()
        ids = [track.id for track in ids]
    with store.work() as work:
        tracks = work.get("tracks", *ids)
        with store.counted() as statements:
            for number, track in enumerate(tracks.values()):
                work.update("tracks", track, title=f"t{number}", seconds=number + 1)
            work.flush()
        assert len(statements) == 1
    assert len({title for (title,) in store.rows(select(Track.title))}) == 1000


def test_a_thousand_removals_are_few_statements(store: Store) -> None:
    with store.work() as work:
        for number in range(1000):
            work.add("tags", f"c{number}")
    with store.work() as work:
        tags = work.get("tags", *(f"c{number}" for number in range(1000)))
        with store.counted() as statements:
            for tag in tags.values():
                work.remove("tags", tag)
            work.flush()
        assert verbs(statements) == ["DELETE"]
    assert store.rows(select(Tag.code)) == []


def test_only_what_is_given_is_changed(store: Store) -> None:
    with store.work() as work:
        company = work.add("companies", name="A", country="CH")
        track = work.add("tracks", title="a", seconds=5, owner=company)
        work.flush()
        with store.counted() as statements:
            work.update("tracks", track, seconds=6)
            work.update("companies", company)
            work.flush()
        [statement] = statements
        assert statement.startswith("UPDATE tracks SET seconds=")
    assert store.rows(select(Track.title, Track.seconds)) == [("a", 6)]


def test_nothing_given_is_nothing_written(store: Store) -> None:
    with store.work() as work:
        track = work.add("tracks", title="a")
        work.flush()
        with store.counted() as statements:
            work.update("tracks", track)
            work.flush()
        assert statements == []


class TestConstructor:
    def test_required_arguments_are_given_or_empty(self, store: Store) -> None:
        with store.work() as work:
            letter = work.add("letters")
            stamp = work.add("stamps", motif="m", letters=[letter])
            work.flush()
            assert (stamp.motif, stamp.year, stamp.price) == ("m", None, 5)
            assert work.linkage("stamps", "letters", stamp) == [[letter.id]]
            work.update("stamps", stamp, year=1840)
        assert store.rows(select(Stamp.motif, Stamp.year, Stamp.price)) == [("m", 1840, 5)]
        assert len(store.rows(select(Letter.id).where(Letter.stamp_id.is_not(None)))) == 1


class TestValidators:
    def test_a_refused_attribute_is_an_error_at_it(self, store: Store) -> None:
        with store.work(commit=False) as work:
            track = work.add("tracks", title="a")
            for action in (
                lambda: work.add("tracks", title="LOUD"),
                lambda: work.update("tracks", track, title="LOUD"),
            ):
                with pytest.raises(Unprocessable) as failure:
                    action()
                assert failure.value.attribute == "title"
                assert "shout" not in failure.value.detail


class TestWhatIsShown:
    """Entities show what is stored after a flush."""

    def test_inexact_values_are_read_again_all_at_once(self, store: Store) -> None:
        moment = datetime(2020, 2, 29, 12, 30, 15, 987654, timezone(timedelta(hours=5, minutes=30)))
        with store.work() as work:
            readings = [work.add("readings", amount=Decimal("1.23456"), taken_at=moment) for _ in range(5)]
            with store.counted() as statements:
                work.flush()
                shown = [(each.amount, each.taken_at, each.doubled, each.state, each.changes) for each in readings]
            assert verbs(statements)[-1] == "SELECT"
            assert verbs(statements).count("SELECT") == 1
        stored = store.rows(select(Reading.amount, Reading.taken_at, Reading.doubled, Reading.state, Reading.changes))
        assert shown == stored
        assert shown[0][:1] + shown[0][3:] == (Decimal("1.23"), "new", 0)

    def test_computed_values_follow_a_change(self, store: Store) -> None:
        with store.work() as work:
            readings = [work.add("readings", amount=Decimal(1)) for _ in range(5)]
            work.flush()
            for number, reading in enumerate(readings):
                work.update("readings", reading, amount=Decimal(number))
            with store.counted() as statements:
                work.flush()
                assert [reading.doubled for reading in readings] == [Decimal(2 * number) for number in range(5)]
                assert [reading.changes for reading in readings] == [1] * 5
            assert verbs(statements).count("SELECT") == 1

    def test_exact_values_are_not_read_again(self, store: Store) -> None:
        with store.work() as work:
            tracks = [work.add("tracks", title="a", seconds=1) for _ in range(3)]
            with store.counted() as statements:
                work.flush()
                assert [(track.title, track.seconds, track.owner_id) for track in tracks] == [("a", 1, None)] * 3
        assert "SELECT" not in verbs(statements)

    def test_rows_with_server_made_values_only_are_read_together(self, store: Store) -> None:
        with store.work() as work:
            readings = [work.add("readings", note="n") for _ in range(5)]
            with store.counted() as statements:
                work.flush()
                assert {(each.state, each.changes) for each in readings} == {("new", 0)}
            assert verbs(statements).count("SELECT") <= 1

    def test_a_row_that_vanished_before_it_could_be_shown_is_gone(self, store: Store) -> None:
        with store.work(commit=False) as work:
            reading = work.add("readings", amount=Decimal(1))
            work.flush()

            def vanish(session: Any, _context: Any) -> None:
                session.connection().execute(delete(Reading))

            work.update("readings", reading, amount=Decimal(2))
            event.listen(work.unit.session, "after_flush", vanish)
            with pytest.raises(NotFound):
                work.flush()


class TestOrder:
    """What would fail one after the other fails together."""

    def test_a_unique_value_is_not_taken_before_it_is_given_up(self, store: Store) -> None:
        with store.work(commit=False) as work:
            first, second = work.add("companies", name="a"), work.add("companies", name="b")
            work.flush()
            work.update("companies", second, name="a")
            with pytest.raises(Conflict) as conflict:
                work.update("companies", first, name="c")
            assert conflict.value.attribute == "name"

    def test_a_unique_value_is_handed_on(self, store: Store) -> None:
        for order in (1, -1):
            with store.work(commit=False) as work:
                given, taken = [work.add("companies", name="a"), work.add("companies", name="b")][::order]
                work.flush()
                name = given.name
                work.update("companies", given, name="c")
                work.update("companies", taken, name=name)
                work.flush()
                assert taken.name == name

    def test_changing_twice_is_two_changes(self, store: Store) -> None:
        with store.work(commit=False) as work:
            first, second = work.add("companies", name="a"), work.add("companies", name="b")
            work.flush()
            work.update("companies", second, name=first.name)
            with pytest.raises(Conflict):
                work.update("companies", second, name="c")

    def test_a_unique_foreign_key_counts_as_well(self, store: Store) -> None:
        with store.work(commit=False) as work:
            playlists = [work.add("playlists", name=name) for name in "ab"]
            entries = [work.add("entries", position=1, playlist=playlist) for playlist in playlists]
            work.flush()
            work.update("entries", entries[1], playlist=playlists[0])
            with pytest.raises(Conflict):
                work.update("entries", entries[0], playlist=playlists[1])

    def test_changes_in_the_order_of_the_keys_wait_together(self, store: Store) -> None:
        with store.work() as work:
            companies = [work.add("companies", name=str(number)) for number in range(50)]
            work.flush()
            with store.counted() as statements:
                for company in companies:
                    work.update("companies", company, name=f"new {company.name}")
                work.flush()
            assert len(statements) == 1

    def test_what_is_not_unique_waits_in_any_order(self, store: Store) -> None:
        with store.work() as work:
            companies = [work.add("companies", name=str(number)) for number in range(50)]
            work.flush()
            with store.counted() as statements:
                for company in reversed(companies):
                    work.update("companies", company, country="CH")
                work.flush()
            assert len(statements) == 1

    def test_rows_that_refer_to_each_other_go_one_by_one(self, store: Store) -> None:
        with store.work(commit=False) as work:
            node = work.add("nodes", label="a")
            work.add("nodes", label="b", friends=[node])
            work.flush()
            with pytest.raises(Conflict):
                work.remove("nodes", node)  # although the friend would be the next to go


class TestRemoval:
    def test_what_referred_to_it_is_unlinked(self, store: Store) -> None:
        with store.work() as work:
            company, tag = work.add("companies", name="A"), work.add("tags", "c")
            performer = work.add("performers", name="P")
            track = work.add("tracks", title="a", owner=company, tags=[tag], performers=[performer])
            work.flush()
            id_ = track.id
            work.remove("companies", company)
            work.flush()
            assert work.linkage("tracks", "owner", track) == [None]
            work.remove("performers", performer)
            work.flush()
            track = work.one("tracks", id_)
            assert work.linkage("tracks", "performers", track) == [[]]
            work.remove("tracks", track)
        assert store.rows(select(Track.id)) == []
        assert store.rows(select(Tag.code)) == [("c",)]

    def test_what_belongs_to_it_goes_with_it(self, store: Store) -> None:
        with store.work() as work:
            playlist = work.add("playlists", name="A")
            entries = [work.add("entries", position=number, playlist=playlist) for number in range(3)]
            work.flush()
            ids = [entry.id for entry in entries]
            work.remove("playlists", playlist)
            work.flush()
            assert work.get("entries", *ids) == {}
        assert store.rows(select(Playlist.id)) == []

    def test_it_does_not_load_the_children_that_the_database_deletes(self, store: Store) -> None:
        with store.work() as work:
            node = work.add("nodes", label="a")
            for number in range(100):
                work.add("nodes", label=str(number), parent=node)
            work.flush()
            id_ = node.id
        with store.work() as work:
            node = work.one("nodes", id_)
            work.remove("nodes", node)
            work.flush()
            assert len(work.unit.session.identity_map) == 0
        assert store.rows(select(Node.id)) == []

    def test_what_is_still_referred_to_stays(self, store: Store) -> None:
        with store.work(commit=False) as work:
            tag = work.add("tags", "c")
            work.add("tracks", title="a", tags=[tag])
            work.flush()
            work.remove("tags", tag)
            with pytest.raises(Conflict):
                work.flush()

    @pytest.mark.parametrize("count", [1, 3])
    def test_a_row_that_was_removed_meanwhile_is_gone(self, store: Store, count: int) -> None:
        with store.work() as work:
            performers = [work.add("performers", name="A") for _ in range(count)]
            work.flush()
            ids = [performer.id for performer in performers]
        for write in (Work.remove, partial(Work.update, name="B")):
            with store.work(commit=False) as work:
                found = work.get("performers", *ids)
                work.unit.session.connection().execute(delete(Performer).where(Performer.id == ids[-1]))
                for performer in found.values():
                    write(work, "performers", performer)
                with pytest.raises(NotFound):
                    work.flush()

    def test_an_add_after_a_removal_may_have_its_id(self, store: Store) -> None:
        with store.work() as work:
            tag = work.add("tags", "c")
            work.flush()
            work.remove("tags", tag)
            work.flush()
            work.add("tags", "c")
        assert store.rows(select(Tag.code)) == [("c",)]


class TestVersions:
    def test_a_version_counts_up(self, store: Store) -> None:
        with store.work() as work:
            page = work.add("pages", "home", body="a")
            work.flush()
            work.update("pages", page, body="b")
        assert store.rows(select(Page.version)) == [(2,)]

    def test_a_row_that_was_changed_meanwhile_is_a_conflict(self, store: Store) -> None:
        with store.work() as work:
            work.add("pages", "home", body="a")
        for write in (Work.remove, partial(Work.update, body="b")):
            with store.work(commit=False) as work:
                page = work.one("pages", "home")
                work.unit.session.connection().execute(update(Page).values(version=Page.version + 1))
                write(work, "pages", page)
                with pytest.raises(Conflict):
                    work.flush()


def test_entities_of_one_unit_are_none_of_the_next(store: Store) -> None:
    with store.work() as work:
        company = work.add("companies", name="A")
        work.flush()
        id_ = company.id
    with store.work() as work:
        assert work.one("companies", id_) is not company
    assert store.rows(select(Company.id)) == [(id_,)]
    assert store.rows(select(Entry.id)) == []
