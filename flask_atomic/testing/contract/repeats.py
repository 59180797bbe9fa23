"""Requests that are sent again: what is remembered under a key."""

from __future__ import annotations

import time
from hashlib import sha256

from ...errors import OperationFailed
from ...hookspecs import Remembered
from .expect import expect
from .promise import promise
from .tested import TestedLayer
from .work import Work

__all__ = ["Repeats"]

_EXPIRES = int(time.time()) + 1_000_000
_BEFORE, _AFTER = _EXPIRES - 1, _EXPIRES
_KEY, _OTHER_KEY = (sha256(key).hexdigest() for key in (b"key", b"other key"))
_BODY = bytes(range(256)) * 400


class Repeats:
    """Tests of the hooks for requests that are sent again."""

    @promise("atomic_remembers", "Say whether the answer to a request that writes the type", needs={"repeats"})
    def test_answers_are_remembered_for_every_type(self, tested: TestedLayer) -> None:
        """For each of which the layer has said so."""
        for number, binding in enumerate(tested.bindings.values()):
            if binding.remembers:
                key, answer = sha256(str(number).encode()).hexdigest(), _answer(200 + number)
                with tested.work() as work:
                    expect("What is remembered at first", work.recall(key, _BEFORE, binding.resource), None)
                    work.remember(key, answer, binding.resource)
                    work.commit()
                with tested.work() as work:
                    expect("What is remembered then", work.recall(key, _BEFORE, binding.resource), answer)

    @promise("atomic_recall", "Returned is what was remembered, whole.", needs={"repeats"})
    def test_an_answer_is_remembered_whole(self, tested: TestedLayer) -> None:
        """However long it is and whatever bytes it has, and one without a body, too."""
        for key, answer in ((_KEY, _answer(200, _BODY)), (_OTHER_KEY, _answer(204))):
            _remember(tested, key, answer)
            for _ in range(2):
                expect("What is remembered", _recalled(tested, key), answer)

    @promise("atomic_recall", "under the key, None if none has", needs={"repeats"})
    def test_another_key_has_nothing(self, tested: TestedLayer) -> None:
        """What is remembered under one key is not found under another."""
        _remember(tested, _KEY, _answer(200))
        expect("What is remembered under another key", _recalled(tested, _OTHER_KEY), None)

    @promise("atomic_recall", "It has expired if `expires` is not above `now`.", needs={"repeats"})
    def test_what_has_expired_is_not_recalled(self, tested: TestedLayer) -> None:
        """Whether or not it is there still."""
        _remember(tested, _KEY, _answer(200))
        expect("What expires in the next second", _recalled(tested, _KEY, _BEFORE), _answer(200))
        expect("What expires in this second", _recalled(tested, _KEY, _AFTER), None)

    @promise("atomic_remember", "not after a rollback", needs={"repeats"})
    def test_a_rollback_leaves_nothing_under_the_key(self, tested: TestedLayer) -> None:
        """Nor does one after the vote."""
        for go_on in (_do_nothing, Work.prepare):
            with tested.work() as work:
                work.recall(_KEY, _BEFORE)
                work.remember(_KEY, _answer(200))
                go_on(work)
                work.rollback()
            expect("What is remembered after a rollback", _recalled(tested, _KEY), None)

    @promise("atomic_remember", "What has expired is replaced.", needs={"repeats"})
    def test_what_has_expired_is_replaced(self, tested: TestedLayer) -> None:
        """By the answer to another request."""
        _remember(tested, _KEY, _answer(200))
        later = _answer(204)._replace(expires=_EXPIRES + 1)
        _remember(tested, _KEY, later, now=_AFTER)
        expect("What is remembered then", _recalled(tested, _KEY, _AFTER), later)

    @promise("atomic_remember", "one at most commits", needs={"repeats"})
    def test_two_units_remember_under_one_key(self, tested: TestedLayer) -> None:
        """Both found nothing there."""
        with tested.work() as work:
            first: object = work.recall(_KEY, _BEFORE)
            other = tested.meanwhile(lambda: tested.attempt(lambda work: _take(work, _answer(204))))
            try:
                work.remember(_KEY, _answer(200))
                work.commit()
            except OperationFailed as failure:
                first = failure
        outcomes = [first, other.end()]
        assert None in outcomes, f"Neither unit could be committed: {outcomes}."
        assert outcomes != [None, None], "Two units that found nothing under a key have both remembered an answer."

    @promise("atomic_forget", "Forget what has expired, and nothing else.", needs={"repeats"})
    def test_what_has_expired_is_forgotten(self, tested: TestedLayer) -> None:
        """What has not stays."""
        lasting = _answer(200)._replace(expires=_EXPIRES + 1)
        _remember(tested, _KEY, _answer(200))
        _remember(tested, _OTHER_KEY, lasting)
        for count in (1, 0):
            forgotten = tested.done(lambda work: work.forget(_AFTER))
            assert forgotten in (count, None), f"It says that {forgotten!r} were forgotten, not {count}."
        expect("What has expired", _recalled(tested, _KEY), None)
        expect("What has not", _recalled(tested, _OTHER_KEY), lasting)


def _answer(status: int, body: bytes = b"") -> Remembered:
    return Remembered(sha256(body).hexdigest(), status, body, _EXPIRES)


def _take(work: Work, answer: Remembered) -> Remembered | None:
    """Remember an answer if there is none; return what there is."""
    found = work.recall(_KEY, _BEFORE)
    if found is None:
        work.remember(_KEY, answer)
    return found


def _remember(tested: TestedLayer, key: str, answer: Remembered, now: int = _BEFORE) -> None:
    with tested.work() as work:
        expect("What is remembered at first", work.recall(key, now), None)
        work.remember(key, answer)
        work.commit()


def _recalled(tested: TestedLayer, key: str, now: int = _BEFORE) -> Remembered | None:
    with tested.work() as work:
        return work.recall(key, now)


def _do_nothing(work: Work) -> None:
    pass
