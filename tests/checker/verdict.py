"""What is stored against what was told: pure functions, from histories and rows to findings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, fields
from typing import NamedTuple

from .histories import Answer, Batch, Fact, History, Outcome, State

__all__ = ["Finding", "Stored", "compare", "judge"]


@dataclass(frozen=True)
class Stored:
    """What is stored at the end.

    :param receipts: the batch of each receipt, by the id of the receipt.
    :param facts: everything else that batches add and remove, each as often as it is stored.
    :param members: the members of relationships that all clients add to.
    :param balances: what each account says that it has.
    :param before: the states of rows that are overwritten, before anything was sent.
    :param seen: those that were seen while batches were sent, and at the end.
    """

    receipts: Mapping[str, str] = field(default_factory=dict)
    facts: Counter[Fact] = field(default_factory=Counter)
    members: frozenset[Fact] = frozenset()
    balances: Mapping[int, int] = field(default_factory=dict)
    before: frozenset[State] = frozenset()
    seen: frozenset[State] = frozenset()


class Finding(NamedTuple):
    """A broken promise.

    :param kind: `lost`, `twice`, `left`, `half`, `mixed`, `sums` or `told`; `apart` where servers have not stored the
        same; `defect` where it is the log that tells.
    :param batch: the id of the batch that it is about, empty for none in particular.
    """

    kind: str
    batch: str
    detail: str


def judge(histories: Sequence[History], stored: Stored, refusals: Set[str] = frozenset()) -> list[Finding]:
    """Everything that is not as the clients were told.

    :param refusals: the codes of errors that any batch may be refused with.
    """
    applied = Counter(stored.receipts.values())
    return [
        *(finding for history in histories for finding in _counts(history, applied[history.batch.id])),
        *(finding for history in histories for finding in _turns(history)),
        *(finding for history in histories for finding in _answers(history, stored.receipts, refusals)),
        *_differences([history.batch for history in histories], applied, stored),
        *_mixtures([history.batch for history in histories if applied[history.batch.id]], stored),
        *_sums(stored),
    ]


def compare(first: Stored, others: Iterable[Stored]) -> Iterator[Finding]:
    """Where servers that should have stored the same have not."""
    for number, other in enumerate(others, 2):
        for part in fields(Stored):
            if (here := getattr(first, part.name)) != (there := getattr(other, part.name)):
                yield Finding("apart", "", f"{part.name}, server 1: {here}; server {number}: {there}")


def _counts(history: History, times: int) -> Iterator[Finding]:
    """How often a batch is stored: once if it is acknowledged, not at all if it is refused, else one or the other."""
    batch = history.batch.id
    if history.outcome is Outcome.ACKNOWLEDGED and times == 0:
        yield Finding("lost", batch, "It was acknowledged and is not stored.")
    if history.outcome is Outcome.REFUSED and times > 0:
        yield Finding("left", batch, "It was refused and is stored.")
    if times > 1:
        yield Finding("twice", batch, f"It is stored {times} times.")


def _turns(history: History) -> Iterator[Finding]:
    """A repeat never turns a client's error into a success or the other way round."""
    answers = [each for each in history.tries if isinstance(each, Answer) and not _PASSING & set(each.codes)]
    if len({answer.status < 400 for answer in answers if answer.status < 500}) > 1:
        yield Finding("told", history.batch.id, "It was both acknowledged and refused.")


def _answers(history: History, receipts: Mapping[str, str], refusals: Set[str]) -> Iterator[Finding]:
    """What was told in each answer, whatever the others say."""
    batch = history.batch
    for answer in dict.fromkeys(history.tries):
        if not isinstance(answer, Answer):
            continue
        if answer.status < 400:
            if batch.is_doomed:
                yield Finding("told", batch.id, "It was acknowledged, but cannot be performed.")
            if answer.receipt is None:
                yield Finding("told", batch.id, "It was acknowledged without a receipt, or with several.")
            elif receipts.get(answer.receipt) not in (None, batch.id):
                yield Finding("told", batch.id, f"The receipt it was told, {answer.receipt}, is another's.")
            elif batch.id in receipts.values() and answer.receipt not in receipts:
                yield Finding("told", batch.id, f"The receipt it was told, {answer.receipt}, is not stored.")
        elif unexpected := set(answer.codes or ["no code"]) - _PASSING - batch.refusals - refusals:
            yield Finding("told", batch.id, f"A {answer.status}, {', '.join(sorted(unexpected))}, was no answer to it.")


_PASSING = {"unavailable", "insufficient-storage", "outcome-unknown", "idempotency-key-in-use"}
"""The codes that any batch may be answered with while there are faults."""


def _differences(batches: Iterable[Batch], applied: Counter[str], stored: Stored) -> Iterator[Finding]:
    """What is stored of a batch without the rest of it, and what is missing from one that is there.

    The order in which batches were performed is of no account: each adds its facts and removes them.
    """
    expected: Counter[Fact] = Counter()
    members: set[Fact] = set()
    for batch in batches:
        for _ in range(applied[batch.id]):
            expected.update(batch.adds)
            expected.subtract(batch.removes)
            members |= batch.members
    for fact in sorted({*expected, *stored.facts}, key=repr):
        if stored.facts[fact] != expected[fact]:
            detail = f"{fact} is stored {stored.facts[fact]} times, not {expected[fact]}."
            yield Finding("half", str(fact[1]), detail)
    for fact in sorted(members ^ stored.members, key=repr):
        detail = f"{fact} is missing." if fact in members else f"{fact} belongs to no batch that is stored."
        yield Finding("half", "", detail)


def _mixtures(applied: Iterable[Batch], stored: Stored) -> Iterator[Finding]:
    """Rows that are overwritten are always as one batch wrote them: each row, and all that it wrote together."""
    written = stored.before | {batch.overwrites for batch in applied}
    rows = {row for state in written for row in state}
    for state in sorted(stored.seen - written):
        strange = [row for row in state if row not in rows]
        detail = f"Nobody wrote {strange}." if strange else f"Nobody wrote {state} together."
        yield Finding("mixed", "", detail)


def _sums(stored: Stored) -> Iterator[Finding]:
    """The sum of all accounts is kept, and each account has what its entries come to."""
    entries: Counter[int] = Counter()
    for fact, times in stored.facts.items():
        if fact[0] == "entry":
            entries[int(fact[2])] += int(fact[3]) * times
    if sum(entries.values()):
        yield Finding("sums", "", f"All entries come to {sum(entries.values())}, not 0.")
    for account, balance in stored.balances.items():
        if balance != entries[account]:
            yield Finding("sums", "", f"Account {account} says {balance}; its entries come to {entries[account]}.")
