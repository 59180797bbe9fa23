"""What clients sent and what they were told: values, and what follows from them. Nothing here sends or stores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

__all__ = ["Answer", "Batch", "Fact", "History", "Loss", "Outcome", "State", "Try", "outcome"]

Fact = tuple[str | int | bool, ...]
"""Something that is stored: what kind of thing, the id of the batch that it began with, and what is so about it."""

State = tuple[Fact, ...]
"""What is so, at one moment, about rows that are always written together."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What a request is to change. Besides, each has a receipt: a row that no other batch touches.

    :param id: what the receipt and all rows that the batch adds are marked with.
    :param kind: what kind of batch it is.
    :param adds: what is so afterwards, and was not so before.
    :param removes: what is not so any more, although it was before.
    :param members: what is so afterwards, and may have been so before: members of a relationship that others add, too.
    :param overwrites: what is so afterwards about rows that others overwrite, too, always all of them together.
    :param refusals: the codes that it may be refused with, besides `unavailable`.
    :param is_doomed: whether it must be refused.
    """

    id: str
    kind: str
    adds: tuple[Fact, ...] = ()
    removes: tuple[Fact, ...] = ()
    members: frozenset[Fact] = frozenset()
    overwrites: State = ()
    refusals: frozenset[str] = frozenset()
    is_doomed: bool = False


class Answer(NamedTuple):
    """What a client was told.

    :param codes: the codes of the errors.
    :param receipt: the id of the receipt, of an answer without errors.
    :param is_replay: whether the answer is marked as one that was given before.
    """

    status: int
    codes: tuple[str, ...] = ()
    receipt: str | None = None
    is_replay: bool = False


class Loss(Enum):
    """Why a client was told nothing."""

    INCOMPLETE = "the request was not sent to its end"
    UNHEARD = "the answer did not come, or nobody waited for it"


Try = Answer | Loss


class Outcome(Enum):
    """What a client must take for true, after all that it was told."""

    ACKNOWLEDGED = "acknowledged"
    REFUSED = "refused"
    UNKNOWN = "unknown"


class History(NamedTuple):
    """One batch, and what came of each try to send it."""

    batch: Batch
    tries: tuple[Try, ...]

    @property
    def outcome(self) -> Outcome:
        """What its client must take for true."""
        return outcome(self.tries)


_OPEN = frozenset({"outcome-unknown", "idempotency-key-in-use"})
"""The codes of answers that leave open whether the batch is stored, or is going to be."""


def outcome(tries: Sequence[Try]) -> Outcome:
    """What must be true after these tries, the last of which was made with the key of the others, if there are others.

    Success is for good. A refusal of the client's (4xx) is, too: another try would be, or was, refused for the same
    reason. A failure of the server's (5xx) says of its own try alone that it left no trace.
    """
    answers = [each for each in tries if isinstance(each, Answer)]
    if any(answer.status < 400 for answer in answers):
        return Outcome.ACKNOWLEDGED
    if any(answer.status < 500 and not _OPEN & set(answer.codes) for answer in answers):
        return Outcome.REFUSED
    is_open = any(_OPEN & set(answer.codes) for answer in answers) or Loss.UNHEARD in tries
    return Outcome.UNKNOWN if is_open else Outcome.REFUSED
