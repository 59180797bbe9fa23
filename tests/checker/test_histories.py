"""What a client must take for true after several tries."""

from __future__ import annotations

import pytest

from tests.checker.histories import Answer, Loss, Outcome, Try, outcome

DONE = Answer(200)
REPLAYED = Answer(200, is_replay=True)
STALE = Answer(409, ("stale",))
IN_USE = Answer(409, ("idempotency-key-in-use",))
UNAVAILABLE = Answer(503, ("unavailable",))
FAILED = Answer(500, ("internal-error",))
UNKNOWN = Answer(500, ("outcome-unknown",))


@pytest.mark.parametrize(
    ("tries", "expected"),
    [
        ([], Outcome.REFUSED),
        ([Loss.INCOMPLETE], Outcome.REFUSED),
        ([Loss.UNHEARD], Outcome.UNKNOWN),
        ([UNKNOWN], Outcome.UNKNOWN),
        ([IN_USE], Outcome.UNKNOWN),
        ([DONE], Outcome.ACKNOWLEDGED),
        ([Answer(204)], Outcome.ACKNOWLEDGED),
        ([STALE], Outcome.REFUSED),
        ([UNAVAILABLE], Outcome.REFUSED),
        ([FAILED], Outcome.REFUSED),
        ([Loss.UNHEARD, REPLAYED], Outcome.ACKNOWLEDGED),
        ([DONE, Loss.UNHEARD], Outcome.ACKNOWLEDGED),
        ([Loss.UNHEARD, UNAVAILABLE], Outcome.UNKNOWN),
        ([UNKNOWN, FAILED], Outcome.UNKNOWN),
        ([IN_USE, UNAVAILABLE, Loss.INCOMPLETE], Outcome.UNKNOWN),
        ([Loss.UNHEARD, STALE], Outcome.REFUSED),
        ([UNKNOWN, STALE, UNAVAILABLE], Outcome.REFUSED),
        ([Loss.INCOMPLETE, UNAVAILABLE], Outcome.REFUSED),
    ],
)
def test_outcome(tries: list[Try], expected: Outcome) -> None:
    assert outcome(tries) is expected
