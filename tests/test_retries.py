"""What passes is tried again: the whole plan, some times, for some time; and everything else is not."""

from __future__ import annotations

import logging
import weakref

import pytest
from marshmallow_jsonapi import fields

from flask_atomic import (
    Atomic,
    ConfigurationError,
    Conflict,
    MemoryLayer,
    Refused,
    RequestFailed,
    Transient,
    UnknownOutcome,
    hookimpl,
)
from flask_atomic.retries import Retries
from tests.application import add, application, id_, post, relate, remove, schema, to_many, to_one, update
from tests.recording import Deferring, RecordingLayer, Voting


class Clock:
    """A time that goes by while somebody sleeps, or works."""

    def __init__(self):
        self.now = 1000.0
        self.slept = []

    def sleep(self, seconds):
        self.slept.append(seconds)
        self.now += seconds

    def retries(self, limit=3, seconds=5, jitter=lambda: 1.0):
        return Retries(limit=limit, seconds=seconds, clock=lambda: self.now, sleep=self.sleep, jitter=jitter)


class Work:
    """Fails so often, and takes so long each time."""

    def __init__(self, clock, *, failures, seconds=0.0):
        self.clock = clock
        self.failures = failures
        self.seconds = seconds
        self.tries = 0

    def __call__(self):
        self.tries += 1
        self.clock.now += self.seconds
        if self.tries <= self.failures:
            raise Transient(f"Busy {self.tries}.")
        return "done"


class TestRetries:
    @pytest.mark.parametrize("failures", [0, 1, 2, 3])
    def test_the_outcome_is_that_of_the_first_try_that_does_not_pass(self, failures):
        clock = Clock()
        work = Work(clock, failures=failures)

        assert clock.retries().run(work) == "done"
        assert work.tries == failures + 1
        assert len(clock.slept) == failures

    @pytest.mark.parametrize("limit", [0, 1, 3])
    def test_in_the_end_the_last_failure_is_raised(self, limit, caplog):
        clock = Clock()
        work = Work(clock, failures=9, seconds=0.25)

        with pytest.raises(Transient, match=f"Busy {limit + 1}."):
            clock.retries(limit).run(work)

        assert work.tries == limit + 1
        assert len(clock.slept) == limit
        (entry,) = caplog.records
        assert (entry.name, entry.levelno, entry.exc_info) == ("flask_atomic.attempts", logging.WARNING, None)
        told = "and is the last one, {:.3f} s after the first began."
        assert entry.getMessage() == f"Try {limit + 1} failed, 'Busy {limit + 1}.', {told.format(clock.now - 1000)}"

    def test_each_pause_may_be_twice_as_long(self):
        clock = Clock()

        clock.retries().run(Work(clock, failures=3))

        assert clock.slept == pytest.approx([0.1, 0.2, 0.4])

    def test_how_long_it_is_of_that_is_left_to_chance(self):
        clock = Clock()

        clock.retries(jitter=iter([0.5, 0.0, 0.25]).__next__).run(Work(clock, failures=3))

        assert clock.slept == pytest.approx([0.05, 0.0, 0.1])

    def test_no_try_begins_after_the_time_is_up(self):
        clock = Clock()
        work = Work(clock, failures=9, seconds=2.0)

        with pytest.raises(Transient, match="Busy 3"):
            clock.retries(limit=9).run(work)

        assert work.tries == 3
        assert clock.now == pytest.approx(1006.3)

    def test_the_pause_counts(self):
        clock = Clock()
        work = Work(clock, failures=9, seconds=4.95)

        with pytest.raises(Transient, match="Busy 1"):
            clock.retries().run(work)

        assert clock.slept == []

    @pytest.mark.parametrize("failure", [Conflict("."), UnknownOutcome("."), ZeroDivisionError(), SystemExit()])
    def test_whatever_else_is_raised_is_raised_at_once(self, failure):
        clock, tries = Clock(), []

        def fail():
            tries.append(1)
            raise failure

        with pytest.raises(type(failure)):
            clock.retries().run(fail)

        assert len(tries) == 1

    def test_while_it_waits_nothing_of_the_last_try_is_kept(self):
        class Entity:
            pass

        kept, tries = [], []

        def attempt():
            entity = Entity()
            kept.append(weakref.ref(entity))
            tries.append(1)
            if len(tries) < 3:
                raise Transient("Busy.")

        seen = []
        Retries(limit=3, seconds=5, sleep=lambda _: seen.append([each() for each in kept])).run(attempt)

        assert seen == [[None], [None, None]]


class TestSettings:
    @pytest.mark.parametrize(
        ("name", "value"),
        [("RETRIES", -1), ("RETRIES", True), ("RETRIES", 1.5), ("RETRIES", None)]
        + [("RETRY_SECONDS", value) for value in (0, -1, None, "5", True, float("inf"), float("nan"))],
    )
    def test_what_they_cannot_be(self, name, value):
        with pytest.raises(ConfigurationError, match=f"ATOMIC_{name} is "):
            application(Atomic(MemoryLayer()), **{f"ATOMIC_{name}": value})

    @pytest.mark.parametrize(("name", "value"), [("RETRIES", 0), ("RETRY_SECONDS", 1), ("RETRY_SECONDS", 0.5)])
    def test_what_they_can_be(self, name, value):
        application(Atomic(MemoryLayer()), **{f"ATOMIC_{name}": value})


# ------------------------------------------------------------------------------------------------------ whole requests

TYPES = ("anchors", "boats")


class Busy:
    """Mixed into a layer, makes a failure pass after it was raised so many times."""

    times = 1

    def hear(self, hook, *facts):
        failing = hook in self.failures
        try:
            super().hear(hook, *facts)
        finally:
            if failing:
                self.times -= 1
                if self.times == 0:
                    del self.failures[hook]


class BusyLayer(Busy, RecordingLayer):
    pass


class BusyVoting(Busy, Voting):
    pass


class BusyDeferring(Busy, Deferring):
    pass


class Fleet:
    """Anchors, in a layer that votes, and boats, in one that does not."""

    def __init__(self, *plugins, anchors=BusyVoting, boats=BusyDeferring, **config):
        self.log = []
        self.anchors, self.boats = anchors("anchors", self.log), boats("boats", self.log)
        self.atomic = Atomic(self.anchors, self.boats, *plugins)
        related = {"anchor": to_one("anchors"), "boats": to_many("boats")}
        for type_ in TYPES:
            self.atomic.resource(schema(type_, name=fields.Str(), **related), layer=type_)
        self.client = application(self.atomic, **config).test_client()
        for type_ in TYPES:
            assert post(self.client, add(type_, attributes={"name": "first"})).status == 200
        self.log.clear()

    def heard(self, *hooks):
        return [(name, hook) for name, hook, *_ in self.log if hook in hooks]

    @property
    def stored(self):
        layers = (self.anchors, self.boats)
        return [sorted(row.name for row in layer.rows.values()) for layer in layers]


def write(name="new"):
    """Operations that call every hook."""
    attributes = {"name": name}
    return [
        add("anchors", attributes=attributes),
        update("anchors", "1", attributes={"name": "changed"}),
        add("boats", {"anchor": id_("anchors", "1")}, attributes=attributes),
        relate("add", id_("boats", "1"), "boats", [id_("boats", "1")]),
        relate("update", id_("boats", "1"), "anchor", id_("anchors", "1")),
        relate("remove", id_("boats", "1"), "boats", [id_("boats", "1")]),
        remove("boats", "1"),
    ]


ANCHORS = ["begin", "get", "add", "update", "identify", "linkage", "prepare"]
BOATS = ["begin", "get", "add", "remove", "flush", "identify", "linkage", "commit"]
BOATS += ["add_to_relationship", "set_relationship", "remove_from_relationship"]
HOOKS = [("anchors", hook) for hook in ANCHORS] + [("boats", hook) for hook in BOATS]


@pytest.mark.parametrize("batch", [True, False])
class TestWhatPasses:
    @pytest.mark.parametrize(("layer", "hook"), HOOKS)
    def test_it_is_tried_again_from_every_hook(self, batch, layer, hook):
        fleet = Fleet(ATOMIC_BATCH=batch)
        getattr(fleet, layer).failures[hook] = Transient("Busy.")

        answer = post(fleet.client, *write())

        assert answer.status == 200
        assert fleet.stored == [["changed", "new"], ["new"]]
        assert fleet.heard("begin").count((layer, "begin")) == 2
        assert fleet.heard("commit")[-2:] == [("boats", "commit"), ("anchors", "commit")]
        assert not fleet.anchors.open + fleet.boats.open

    @pytest.mark.parametrize(("retries", "times", "status"), [(0, 1, 503), (1, 2, 503), (2, 2, 200)])
    def test_as_often_as_the_application_wants(self, batch, retries, times, status):
        fleet = Fleet(ATOMIC_BATCH=batch, ATOMIC_RETRIES=retries)
        fleet.boats.failures["flush"], fleet.boats.times = Transient("Busy."), times
        before = fleet.stored

        answer = post(fleet.client, *write())

        assert answer.status == status
        assert answer.response.headers.get("Retry-After") == (None if status == 200 else "1")
        assert (fleet.stored == before) == (status != 200)

    def test_one_operation_too(self, batch):
        fleet = Fleet(ATOMIC_BATCH=batch)
        fleet.boats.failures["commit"] = Transient("Busy.")

        assert post(fleet.client, add("boats", attributes={"name": "new"})).status == 200
        assert fleet.stored[1] == ["first", "new"]

    def test_what_was_undone_is_not_shown(self, batch):
        """Neither the ids nor anything else of the try that failed is in the answer."""
        fleet = Fleet(ATOMIC_BATCH=batch)
        fleet.boats.failures["commit"] = Transient("Busy.")

        answer = post(fleet.client, *write())

        shown = [result["data"]["id"] for result in answer.results[:3]]
        assert [int(shown[0]), int(shown[2])] == [max(id_ for _, id_ in fleet.anchors.rows), *_ids(fleet.boats)]

    def test_without_http_it_is_the_same(self, batch):
        fleet = Fleet(ATOMIC_BATCH=batch, ATOMIC_RETRIES=1)
        document = {"atomic:operations": [add("boats", attributes={"name": "new"})]}
        with fleet.client.application.app_context():
            fleet.boats.failures["add"] = Transient("Busy.")
            assert len(fleet.atomic.perform(document)) == 1
            fleet.boats.failures["add"], fleet.boats.times = Transient("Busy."), 2
            with pytest.raises(RequestFailed) as failed:
                fleet.atomic.perform(document)
        assert failed.value.headers == {"Retry-After": "1"}
        assert failed.value.__cause__ is not None


def _ids(layer):
    return [id_ for _, id_ in layer.rows]


class TestStrictRuns:
    def test_a_failure_that_passes_in_the_strict_run_is_tried_again_as_well(self):
        fleet = Fleet()
        fleet.boats.failures.update(flush=Conflict("Of nobody."))  # in the batched attempt
        boats, hear = fleet.boats, fleet.boats.hear

        def busy_when_strict(hook, *facts):
            if hook == "flush" and fleet.heard("begin").count(("boats", "begin")) == 2:
                raise Transient("Busy.")
            hear(hook, *facts)

        boats.hear = busy_when_strict
        answer = post(fleet.client, *write())

        assert answer.status == 200
        assert fleet.heard("begin").count(("boats", "begin")) == 3
        assert fleet.stored == [["changed", "new"], ["new"]]


class Witness:
    def __init__(self):
        self.committed = []
        self.metas = 0
        self.loaded = 0

    @hookimpl
    def atomic_authorize(self):
        self.loaded += 1

    @hookimpl
    def atomic_result_meta(self):
        self.metas += 1

    @hookimpl
    def atomic_committed(self, records):
        self.committed.append(len(records))


class TestWhoHears:
    def test_of_the_commit_once_of_results_as_often_as_they_are_made_of_the_plan_once(self):
        witness = Witness()
        fleet = Fleet(witness)
        vars(witness).update(committed=[], metas=0, loaded=0)
        fleet.boats.failures["commit"], fleet.boats.times = Transient("Busy."), 2

        assert post(fleet.client, *write()).status == 200

        assert vars(witness) == {"committed": [7], "metas": 21, "loaded": 7}

    def test_results_that_cannot_be_made_now(self):
        class Signature:
            times = 0

            @hookimpl
            def atomic_result_meta(self):
                self.times += 1
                if self.times == 3:  # after the two resources that the fleet begins with
                    raise Transient("The key cannot be read.")

        fleet = Fleet(Signature())

        assert post(fleet.client, add("boats", attributes={"name": "new"})).status == 200
        assert fleet.stored[1] == ["first", "new"]

    def test_the_log_says_which_try_it_was_and_why_it_failed(self, caplog):
        caplog.set_level(logging.INFO, "flask_atomic.attempts")
        fleet = Fleet()
        fleet.boats.failures["commit"], fleet.boats.times = Transient("It is\nbusy."), 2

        post(fleet.client, *write())

        told = [(record.levelno, record.getMessage().partition(" The op")[0]) for record in caplog.records]
        assert told == [(logging.INFO, f"Try {number} failed, 'It is\\nbusy.'.") for number in (1, 2)]
        assert [record.exc_info for record in caplog.records] == [None, None]

    def test_for_those_who_look_for_the_reason_it_has_the_failure(self, caplog):
        caplog.set_level(logging.DEBUG, "flask_atomic.attempts")
        fleet = Fleet()
        failure = fleet.boats.failures["commit"] = Transient("Busy.")

        post(fleet.client, *write())

        (record,) = caplog.records
        assert record.exc_info[1] is failure


class TestWhatIsNotTriedAgain:
    @pytest.mark.parametrize("failure", [Refused("."), Conflict("."), ZeroDivisionError("secret")])
    def test_a_refusal_stays_one(self, failure):
        """Also if the next try would be accepted."""
        fleet = Fleet(boats=BusyLayer, ATOMIC_BATCH=False)
        fleet.boats.failures["add"] = failure
        before = fleet.stored

        assert post(fleet.client, *write()).status in (403, 409, 500)
        assert fleet.heard("begin").count(("boats", "begin")) == 1
        assert fleet.stored == before

    def test_nor_does_a_try_that_fails_make_one_of_it(self):
        """What a later try finds wrong is told as if the request had come then."""
        fleet = Fleet(ATOMIC_BATCH=False)
        fleet.boats.failures["get"] = Transient("Busy.")

        assert post(fleet.client, *write(), remove("boats", "9")).errors == [(404, "resource-not-found", "/7/ref/id")]

    def test_a_commit_of_which_parts_are_made(self):
        fleet = Fleet()
        fleet.anchors.failures["commit"] = Transient("Busy.")

        answer = post(fleet.client, *write())

        assert answer.errors == [(500, "partly-committed", None)]
        assert "Retry-After" not in answer.response.headers
        assert fleet.heard("commit", "begin").count(("boats", "commit")) == 1
        assert fleet.heard("begin").count(("boats", "begin")) == 1

    def test_a_vote_that_is_broken_before_anything_is_committed_is(self):
        fleet = Fleet()
        fleet.anchors.failures["commit"] = Transient("Busy.")

        assert post(fleet.client, add("anchors", attributes={"name": "new"})).status == 200
        assert fleet.stored[0] == ["first", "new"]

    @pytest.mark.parametrize("operations", [1, 2])
    def test_what_planning_hears(self, operations):
        """Nothing is open then. A plugin that asks a service can ask again by itself."""

        class Guard:
            asked = 0

            @hookimpl
            def atomic_authorize(self, operation):
                if operation.meta:
                    self.asked += 1
                    raise Transient("The policy cannot be read.")

        guard = Guard()
        fleet = Fleet(guard)

        answer = post(fleet.client, *[{**remove("boats", "1"), "meta": {"why": "old"}}] * operations)

        assert answer.errors == [(503, "unavailable", None)]
        assert answer.response.headers["Retry-After"] == "1"
        assert (guard.asked, fleet.log) == (1, [])


class TestUnknownOutcome:
    """The store was lost while it committed: nobody can tell what it has, so nothing is tried again."""

    def test_it_is_told_to_the_client_and_the_log_and_nobody_else(self, caplog):
        witness = Witness()
        fleet = Fleet(witness, anchors=BusyLayer)
        witness.committed.clear()
        failure = fleet.boats.failures["commit"] = UnknownOutcome("The line is dead.")

        answer = post(fleet.client, add("boats"), add("boats"))

        assert answer.errors == [(500, "outcome-unknown", None)]
        (error,) = answer.error_objects
        assert error["detail"] == "The line is dead. The log has more under the id."
        assert "Retry-After" not in answer.response.headers
        assert fleet.heard("begin", "commit", "rollback") == [
            ("boats", "begin"),
            ("boats", "commit"),
            ("boats", "rollback"),
        ]
        assert witness.committed == []
        (record,) = caplog.records
        assert record.levelno == logging.CRITICAL
        assert record.getMessage() == f"Transaction {error['id']}: the layer 'boats' was lost while it committed."
        assert failure is record.exc_info[1]

    def test_those_who_have_voted_are_rolled_back(self, caplog):
        fleet = Fleet()
        fleet.boats.failures["commit"] = UnknownOutcome("The line is dead.")
        before = fleet.stored

        (error,) = post(fleet.client, *write()).error_objects

        known = "Not known: 'boats'. Rolled back: 'anchors'."
        assert error["detail"] == f"The line is dead. {known} The log has more under the id."
        assert fleet.heard("prepare", "commit", "rollback") == [
            ("anchors", "prepare"),
            ("boats", "commit"),
            ("boats", "rollback"),
            ("anchors", "rollback"),
        ]
        assert fleet.stored == before
        assert caplog.records[0].getMessage().endswith(known)

    def test_of_one_that_commits_after_others_it_is_a_part(self):
        fleet = Fleet()
        fleet.anchors.failures["commit"] = UnknownOutcome("The line is dead.")

        answer = post(fleet.client, *write())

        assert answer.errors == [(500, "partly-committed", None)]
        assert "Committed: 'boats'. Not known, since the commit failed: 'anchors'." in answer.error_objects[0]["detail"]

    @pytest.mark.parametrize("hook", ["add", "flush", "prepare"])
    def test_from_another_hook_it_is_a_defect(self, hook, caplog):
        fleet = Fleet(ATOMIC_BATCH=False)
        layer = fleet.anchors if hook == "prepare" else fleet.boats
        layer.failures[hook] = UnknownOutcome("The line is dead.")
        before = fleet.stored

        assert post(fleet.client, *write()).errors == [(500, "internal-error", None)]
        told = f"atomic_{hook} of the plugin '{layer.name}' raised UnknownOutcome, which is for commits."
        assert caplog.records[0].getMessage().endswith(told)
        assert fleet.heard("begin").count((layer.name, "begin")) == 1
        assert fleet.stored == before
