"""Ids and reading in the SQLAlchemy layer: what texts stand for, and what one SELECT finds."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import (
    CHAR,
    BigInteger,
    Integer,
    SmallInteger,
    String,
    TypeDecorator,
    Uuid,
    delete,
    select,
)
from sqlalchemy.dialects import mysql, postgresql
from sqlalchemy.types import TypeEngine

from flask_atomic.layers.sqlalchemy.keys import key_of
from tests.layers.hooks import Store
from tests.layers.music import Node, Performer, Tag

ID = uuid.UUID("0a1b2c3d-0000-4000-8000-00000000abcd")


OTHER_DIGITS = "\u0667", "\uff17", "\u00b2"  # Arabic, of full width, and superscript


class Snowflake(TypeDecorator[int]):
    impl = BigInteger
    cache_ok = True
    python_type = int


class Guid(TypeDecorator[uuid.UUID]):
    impl = CHAR(32)
    cache_ok = True

    @property
    def python_type(self) -> type[uuid.UUID]:
        return uuid.UUID


@pytest.mark.parametrize(
    ("type_", "text", "value"),
    [
        *[(Integer(), text, 7) for text in ("7", "007", "0" * 5000 + "7")],
        (Integer(), "-7", -7),
        (Integer(), "-0", 0),
        (SmallInteger(), "9223372036854775807", 2**63 - 1),
        (BigInteger(), "-9223372036854775808", -(2**63)),
        (BigInteger(), "9223372036854775808", None),
        (mysql.INTEGER(), "7", 7),
        (Snowflake(), "7", 7),
        *[
            (Integer(), text, None)
            for text in (
                "",
                " 7",
                "7 ",
                "7\n",
                "+7",
                "--7",
                "1_000",
                "1.0",
                "1e3",
                "0x7",
                "\u0667",
                "\uff17",
                "\u00b2",
                "9" * 5000,
            )
        ],
        *[(Uuid(), text, ID) for text in (str(ID), str(ID).upper(), ID.hex, ID.hex.upper())],
        (postgresql.UUID(), str(ID), ID),
        (Guid(), str(ID), ID),
        *[(Uuid(as_uuid=False), text, str(ID)) for text in (str(ID), ID.hex.upper())],
        *[
            (Uuid(), text, None)
            for text in (
                "",
                "{" + str(ID) + "}",
                ID.urn,
                str(ID) + "\n",
                " " + ID.hex,
                ID.hex[:-1],
                str(ID).replace("-", "", 1),
                ID.hex[:-1] + "g",
                ID.hex[:-1] + "\u0667",
            )
        ],
        (String(5), "abcde", "abcde"),
        (String(5), "äöüéß", "äöüéß"),
        (String(), "x" * 5000, "x" * 5000),
        (String(5), " a ", " a "),
        (String(5), "abcdef", None),
        (String(5), "a\0", None),
        (String(5), "\ud800", None),
    ],
)
def test_a_text_is_an_id_or_none(type_: TypeEngine[Any], text: str, value: object) -> None:
    key = key_of(type_)
    assert key is not None
    parsed = key.parse(text)
    assert (parsed, type(parsed)) == (value, type(value))


@given(st.integers(-(2**63), 2**63 - 1))
def test_an_integer_is_read_as_it_is_written(number: int) -> None:
    key = key_of(BigInteger())
    assert key is not None
    assert key.parse(str(number)) == number


@given(st.uuids())
def test_a_uuid_is_read_as_it_is_written(value: uuid.UUID) -> None:
    key = key_of(Uuid())
    assert key is not None
    assert key.parse(str(value)) == value


@given(st.text())
def test_any_text_is_an_id_or_none(text: str) -> None:
    for type_ in (Integer(), Uuid(), Uuid(as_uuid=False), String(3)):
        key = key_of(type_)
        assert key is not None
        value = key.parse(text)
        assert value is None or key.parse(str(value)) == value


def test_what_is_asked_for_is_read_at_once(store: Store) -> None:
    with store.work() as work:
        ids = [work.add("tags", f"c{number}").code for number in range(30)]
        work.flush()
    with store.work() as work, store.counted() as statements:
        found = work.get("tags", *ids, "missing", ids[0])
        assert set(found) == set(ids)
        assert all(entity.code == id_ for id_, entity in found.items())
        assert work.get("tags") == {}
    assert len(statements) == 1


@pytest.mark.parametrize("count", [1000, 70_000])
def test_any_number_of_ids_can_be_asked_for(store: Store, count: int) -> None:
    with store.work() as work:
        performers = [work.add("performers", name="A") for _ in range(2)]
        work.flush()
        first, second = (performer.id for performer in performers)
    with store.work() as work, store.counted() as statements:
        found = work.get("performers", first, *range(-count, 0), second)
        assert list(found) == [first, second]
    assert len(statements) == (1 if count == 1000 else 3)


def test_ids_beyond_the_column_are_not_found(store: Store) -> None:
    with store.work() as work:
        performer = work.add("performers", name="A")
        work.flush()
        limits = [2**31 - 1, 2**31, -(2**31), -(2**31) - 1, 2**63 - 1, -(2**63)]
        assert list(work.get("performers", *limits, performer.id)) == [performer.id]


def test_ids_that_only_the_database_holds_equal_are_not_the_same(store: Store) -> None:
    with store.work() as work:
        work.add("tags", "abc")
    with store.work() as work:
        assert set(work.get("tags", "abc", "ABC", "abc ", "äbc")) == {"abc"}


def test_relationships_are_not_read_even_if_the_model_is_eager(store: Store) -> None:
    with store.work() as work:
        tag, performer = work.add("tags", "c"), work.add("performers", name="A")
        track = work.add("tracks", title="a", tags=[tag], performers=[performer])
        work.flush()
        ids = track.id, performer.id
    with store.work() as work, store.counted() as statements:
        track, performer = work.one("tracks", ids[0]), work.one("performers", ids[1])
        assert (track.title, performer.name) == ("a", "A")
        assert len(work.unit.session.identity_map) == 2
    assert len(statements) == 2


def test_reading_does_not_flush_what_waits(store: Store) -> None:
    with store.work() as work:
        work.add("companies", name="A")
        with store.counted() as statements:
            assert work.get("companies", -1) == {}
        assert len(statements) == 1


def test_reading_sees_what_was_flushed_and_keeps_what_waits(store: Store) -> None:
    with store.work() as work:
        company = work.add("companies", name="A")
        work.flush()
        work.update("companies", company, country="CH")
        assert work.one("companies", company.id) is company
        assert company.country == "CH"


def test_what_was_read_is_kept_until_the_next_flush(store: Store) -> None:
    with store.work() as work:
        ids = [work.identify("tags", work.add("tags", f"c{number}")) for number in range(10)]
    with store.work() as work:
        work.get("tags", *ids)
        with store.counted() as statements:
            codes = [work.unit.session.get(Tag, id_) for id_ in ids]
        assert None not in codes
        assert statements == []


def test_rows_that_the_database_deleted_are_not_found(store: Store) -> None:
    with store.work() as work:
        parent = work.add("nodes", label="a")
        child = work.add("nodes", label="b", parent=parent)
        other = work.add("nodes", label="c")
        work.flush()
        ids = parent.id, child.id, other.id
        work.remove("nodes", parent)
        assert list(work.get("nodes", *ids)) == [ids[2]]
        with store.counted() as statements:
            assert other.label == "c"
        assert statements == []
    assert store.rows(select(Node.id)) == [(ids[2],)]


def test_rows_that_vanished_unnoticed_are_not_found(store: Store) -> None:
    with store.work() as work:
        performers = [work.add("performers", name=name) for name in "ab"]
        work.flush()
        work.unit.session.connection().execute(delete(Performer).where(Performer.id == performers[0].id))
        assert list(work.get("performers", *(each.id for each in performers))) == [performers[1].id]


def test_the_id_is_known_after_the_flush(store: Store) -> None:
    with store.work() as work:
        made, chosen = work.add("tracks", title="a"), work.add("tracks", ID, title="b")
        assert work.identify("tracks", made) is None
        assert work.identify("tracks", chosen) == ID
        work.flush()
        assert work.identify("tracks", made) == made.id
        assert isinstance(made.id, uuid.UUID)
        assert work.identify("tracks", chosen) == ID


def test_a_subclass_is_found_by_its_own_type_and_by_its_parent_s(store: Store) -> None:
    with store.work() as work:
        human, firm = work.add("humans", name="H", nickname="h"), work.add("firms", name="F")
        work.update("humans", human, employer=firm)
        work.flush()
        ids = human.id, firm.id
        assert work.linkage("humans", "employer", human) == [firm.id]
    with store.work() as work:
        with store.counted() as statements:
            assert list(work.get("humans", *ids)) == [ids[0]]
            assert list(work.get("firms", *ids)) == [ids[1]]
        assert len(statements) == 2
    with store.work() as work:
        with store.counted() as statements:
            assert set(work.get("parties", *ids)) == set(ids)
        assert len(statements) == 1
        assert work.one("humans", ids[0]).nickname == "h"
        with store.counted() as statements:
            work.update("humans", work.one("humans", ids[0]), name="G", nickname="g")
            work.flush()
        assert [statement.split()[:2] for statement in statements[1:]] == [["UPDATE", "parties"], ["UPDATE", "humans"]]
