"""The verdict: nothing is found where all is as it was told, and whatever is not is found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.checker import batches
from tests.checker.batches import Account, Note, Pair, Prepared
from tests.checker.histories import Answer, Batch, Fact, History, Loss, State, Try
from tests.checker.verdict import Stored, compare, judge

STALE = Answer(409, ("stale",))
UNAVAILABLE = Answer(503, ("unavailable",))

PAID = batches.transfer("paid", Account("1", 0, "1"), Account("2", 0, "1"), 5).batch
NOTED = batches.append("noted", "1", 2, ["1", "2"]).batch
PAIRED = batches.pair("paired").batch
PARTED = batches.part("parted", Pair(PAIRED, "1", "2")).batch
MOVED = batches.move("moved", Note("1", "noted", 0, "1"), "2").batch
LIT = batches.shine("lit", ["1", "2"], 1, 0).batch
RELIT = batches.shine("relit", ["1", "2"], 1, 1).batch
DOOMED = batches.doomed(batches.pair("doomed")).batch


DARK = (("lamp", 1, 0, 0, 0), ("lamp", 2, 0, 0, 0))
"""How the lamps were before."""


def acknowledged(batch: Batch, *more: Try) -> History:
    return History(batch, (Answer(200, receipt=batch.id), *more))


def refused(batch: Batch) -> History:
    return History(batch, (UNAVAILABLE,))


def unheard(batch: Batch) -> History:
    return History(batch, (Loss.UNHEARD,))


def stored(*applied: Batch) -> Stored:
    """What is stored when these are; a receipt has the id of its batch."""
    facts: Counter[Fact] = Counter()
    for batch in applied:
        facts.update(batch.adds)
        facts.subtract(batch.removes)
    balances = Counter({int(fact[2]): int(fact[3]) for fact in +facts if fact[0] == "entry"})
    members = frozenset(fact for batch in applied for fact in batch.members)
    states = frozenset(batch.overwrites for batch in applied if batch.overwrites)
    return Stored({batch.id: batch.id for batch in applied}, +facts, members, balances, frozenset([DARK]), states)


def found(histories: Sequence[History], stored: Stored) -> set[tuple[str, str]]:
    return {(finding.kind, finding.batch) for finding in judge(histories, stored)}


EVERYTHING = [PAID, NOTED, PAIRED, PARTED, MOVED, LIT, RELIT]


def test_nothing_was_sent() -> None:
    assert judge([], Stored()) == []


def test_everything_was_acknowledged() -> None:
    assert judge([acknowledged(batch) for batch in EVERYTHING], stored(*EVERYTHING)) == []


def test_everything_was_refused() -> None:
    histories = [*map(refused, EVERYTHING), History(DOOMED, (Answer(404, ("resource-not-found",)),))]
    assert judge(histories, Stored()) == []


@pytest.mark.parametrize("applied", [[], [PAID], EVERYTHING])
def test_the_unknown_may_be_there_or_not(applied: list[Batch]) -> None:
    assert judge([unheard(batch) for batch in EVERYTHING], stored(*applied)) == []


def test_lost() -> None:
    assert found([acknowledged(PAID)], Stored()) == {("lost", "paid")}


def test_left() -> None:
    assert found([refused(PAIRED)], stored(PAIRED)) == {("left", "paired")}


@pytest.mark.parametrize("history", [acknowledged(PAIRED), unheard(PAIRED)])
def test_twice(history: History) -> None:
    once = stored(PAIRED)
    twice = replace(once, receipts={**once.receipts, "other": "paired"}, facts=once.facts + once.facts)
    assert found([history], twice) == {("twice", "paired")}


def test_a_row_twice() -> None:
    once = stored(PAIRED)
    assert found([acknowledged(PAIRED)], replace(once, facts=once.facts + once.facts)) == {("half", "paired")}


@pytest.mark.parametrize("history", [acknowledged(PAIRED), unheard(PAIRED)])
def test_a_row_too_few(history: History) -> None:
    once = stored(PAIRED)
    assert found([history], replace(once, facts=Counter(PAIRED.adds[:1]))) == {("half", "paired")}


def test_rows_without_the_receipt() -> None:
    assert found([unheard(NOTED)], replace(stored(NOTED), receipts={})) == {("half", "noted"), ("half", "")}


def test_the_receipt_without_the_rows() -> None:
    assert found([unheard(NOTED)], Stored(receipts={"1": "noted"})) == {("half", "noted"), ("half", "")}


def test_rows_that_nobody_sent() -> None:
    assert found([], Stored(facts=Counter(PAIRED.adds))) == {("half", "paired")}


def test_a_removal_that_removed_nothing() -> None:
    kept = replace(stored(PAIRED), receipts={"paired": "paired", "parted": "parted"})
    assert found([acknowledged(PAIRED), acknowledged(PARTED)], kept) == {("half", "paired")}


def test_a_move_that_moved_nothing() -> None:
    kept = replace(stored(NOTED), receipts={"noted": "noted", "moved": "moved"})
    assert found([acknowledged(NOTED), acknowledged(MOVED)], kept) == {("half", "noted")}


def test_a_member_that_is_missing() -> None:
    assert found([acknowledged(NOTED)], replace(stored(NOTED), members=frozenset())) == {("half", "")}


def test_a_lost_update() -> None:
    assert found([acknowledged(PAID)], replace(stored(PAID), balances={1: -5, 2: 0})) == {("sums", "")}


@pytest.mark.parametrize(
    "state",
    [
        (("lamp", 1, 1, 0, 0), ("lamp", 2, 1, 0, 0)),
        (("lamp", 1, 1, 1, 1), ("lamp", 2, 1, 1, 1)),
        (LIT.overwrites[0], RELIT.overwrites[1]),
        (LIT.overwrites[0], DARK[1]),
    ],
)
def test_a_mixture(state: State) -> None:
    histories = [acknowledged(LIT), acknowledged(RELIT)]
    assert found(histories, replace(stored(LIT, RELIT), seen=frozenset([state]))) == {("mixed", "")}


@pytest.mark.parametrize("state", [LIT.overwrites, RELIT.overwrites, DARK])
def test_lamps_may_be_as_any_batch_that_is_stored_wrote_them_and_as_they_were(state: State) -> None:
    assert found([acknowledged(LIT), unheard(RELIT)], replace(stored(LIT, RELIT), seen=frozenset([state]))) == set()


def test_what_only_a_refused_batch_wrote() -> None:
    seen = frozenset([RELIT.overwrites])
    assert found([acknowledged(LIT), refused(RELIT)], replace(stored(LIT), seen=seen)) == {("mixed", "")}


def test_half_a_transfer() -> None:
    half = replace(stored(PAID), facts=Counter(PAID.adds[:1]), balances={1: -5, 2: 0})
    assert found([acknowledged(PAID)], half) == {("half", "paid"), ("sums", "")}


@pytest.mark.parametrize(
    "history",
    [
        acknowledged(DOOMED),
        acknowledged(PAIRED, Answer(409, ("stale",))),
        acknowledged(PAID, STALE),
        History(PAIRED, (Answer(200, receipt=None),)),
        History(PAIRED, (Answer(200, receipt="another"),)),
        acknowledged(PAIRED, Answer(500, ("internal-error",))),
        acknowledged(PAIRED, Answer(500)),
    ],
)
def test_an_answer_that_was_none(history: History) -> None:
    batch = history.batch
    assert found([history], stored(batch)) == {("told", batch.id)}


def test_the_receipt_of_another() -> None:
    histories = [acknowledged(PAIRED), History(NOTED, (Answer(200, receipt="paired"),))]
    assert found(histories, stored(PAIRED, NOTED)) == {("told", "noted")}


# ------------------------------------------------------------------------------------------------------- any of them


@st.composite
def worlds(draw: st.DrawFn) -> tuple[list[History], Stored]:
    """Histories, and what is stored if every promise was kept."""
    histories: list[History] = []
    applied: list[Batch] = []
    pairs: list[Batch] = []
    notes: list[Note] = []
    for number in range(draw(st.integers(1, 12))):
        prepared = draw(st.sampled_from(_possible(number, pairs, notes)))
        kept, history = draw(st.sampled_from(_told(prepared.batch)))
        histories.append(history)
        if kept:
            applied.append(prepared.batch)
            pairs = [pair for pair in pairs if pair.adds != prepared.batch.removes]
            notes = [note for note in notes if (note.fact,) != prepared.batch.removes]
            pairs += [prepared.batch] if prepared.batch.kind == "pair" else []
            notes += [
                Note("1", str(fact[1]), int(fact[2]), str(fact[3])) for fact in prepared.batch.adds if _is_note(fact)
            ]
    return histories, stored(*applied)


def _is_note(fact: Fact) -> bool:
    return fact[0] == "note"


def _possible(number: int, pairs: list[Batch], notes: list[Note]) -> list[Prepared]:
    id_ = f"batch {number}"
    # Accounts that no other batch has: then `stored` need not add their balances up.
    source, target = Account(f"{number}1", 0, "1"), Account(f"{number}2", 0, "1")
    return [
        batches.transfer(id_, source, target, 7),
        batches.append(id_, "1", 2, ["1", "2"]),
        batches.pair(id_),
        # One: of two that are alike, either would explain what the other one wrote.
        *([batches.shine(id_, ["1", "2"], 1, 0)] if number == 0 else []),
        *(batches.part(id_, Pair(pair, "1", "2")) for pair in pairs[:1]),
        *(batches.move(id_, note, "3") for note in notes[:1] if note.list != "3"),
    ]


def _told(batch: Batch) -> list[tuple[bool, History]]:
    """What may be told of a batch, each with whether it is stored."""
    unknown = [unheard(batch), History(batch, (Answer(500, ("outcome-unknown",)), UNAVAILABLE))]
    return [
        (True, acknowledged(batch)),
        (True, History(batch, (Loss.UNHEARD, Answer(200, receipt=batch.id, is_replay=True)))),
        (False, refused(batch)),
        *((kept, history) for kept in (True, False) for history in unknown),
    ]


@given(worlds())
def test_nothing_is_found_where_every_promise_was_kept(world: tuple[list[History], Stored]) -> None:
    assert judge(*world) == []


@given(worlds(), st.randoms(use_true_random=False))
def test_whatever_is_taken_away_is_found(world: tuple[list[History], Stored], dice: Random) -> None:
    histories, kept = world
    for worse in _less(kept, dice):
        assert judge(histories, worse) != []


def _less(kept: Stored, dice: Random) -> list[Stored]:
    """The same without a row, with one twice, without a receipt, with another balance, and with a lamp that mixes."""
    mixed = (("lamp", 1, 0, 0, 1), ("lamp", 2, 0, 0, 1))
    worse = [replace(kept, seen=kept.seen | {mixed})]
    if kept.facts:
        fact = dice.choice(sorted(kept.facts, key=repr))
        worse += [replace(kept, facts=kept.facts - Counter([fact])), replace(kept, facts=kept.facts + Counter([fact]))]
    if kept.receipts:
        receipt = dice.choice(sorted(kept.receipts))
        rest = {other: batch for other, batch in kept.receipts.items() if other != receipt}
        worse.append(replace(kept, receipts=rest))
    if kept.balances:
        account = dice.choice(sorted(kept.balances))
        worse.append(replace(kept, balances={**kept.balances, account: kept.balances[account] + 1}))
    return worse


def test_servers_that_have_stored_the_same() -> None:
    assert list(compare(stored(*EVERYTHING), [stored(*EVERYTHING), stored(*reversed(EVERYTHING))])) == []


@pytest.mark.parametrize("missing", EVERYTHING, ids=lambda batch: batch.kind)
def test_servers_that_have_not_stored_the_same(missing: Batch) -> None:
    others = [stored(*EVERYTHING), stored(*(batch for batch in EVERYTHING if batch is not missing))]
    findings = list(compare(stored(*EVERYTHING), others))
    assert {finding.kind for finding in findings} == {"apart"}
    assert all("server 3" in finding.detail for finding in findings)
