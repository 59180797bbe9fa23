"""Units of work: begun on first use, then all committed, or each rolled back, whatever fails and wherever."""

from __future__ import annotations

import logging

import pytest
from marshmallow_jsonapi import fields

from flask_atomic import Atomic, Conflict, Refused, RequestFailed, Transient, hookimpl
from tests.application import add, application, id_, lid, post, relate, remove, schema, to_many, to_one, update
from tests.recording import Deferring, RecordingLayer, Voting

TYPES = ("anchors", "boats", "cabins")


class Fleet:
    """An application with one layer for each of some types, which all refer to all, and the log of the layers."""

    def __init__(self, *kinds, plugins=(), seed=True, **config):
        self.log = []
        types = TYPES[: len(kinds)]
        self.layers = [kind(type_, self.log) for kind, type_ in zip(kinds, types, strict=True)]
        self.atomic = Atomic(*self.layers, *plugins)
        for type_ in types:
            related = {f"{other[:-1]}": to_one(other) for other in types} | {other: to_many(other) for other in types}
            self.atomic.resource(schema(type_, name=fields.Str(), **related), layer=type_)
        self.client = application(self.atomic, **config).test_client()
        for type_ in types if seed else ():
            assert post(self.client, add(type_, attributes={"name": "first"})).status == 200
        self.log.clear()

    def heard(self, *hooks):
        """Which layers were called for which of these hooks, in order."""
        return [(name, hook) for name, hook, *_ in self.log if hook in hooks]

    @property
    def stored(self):
        return [{key: vars(row).copy() for key, row in layer.rows.items()} for layer in self.layers]

    @property
    def open(self):
        return [layer.name for layer in self.layers if layer.open]


class FailingOnce(Deferring):
    def hear(self, hook, *facts):
        try:
            super().hear(hook, *facts)
        finally:
            self.failures.pop(hook, None)


UNIT = ("begin", "prepare", "commit", "rollback")


@pytest.mark.parametrize("batch", [True, False])
class TestBegin:
    def test_on_first_use_only(self, batch):
        fleet = Fleet(Voting, Voting, Voting, ATOMIC_BATCH=batch)

        post(fleet.client, update("cabins", "1"), update("anchors", "1"), update("cabins", "1"))

        assert fleet.heard("begin") == [("cabins", "begin"), ("anchors", "begin")]

    def test_also_for_what_is_only_read(self, batch):
        fleet = Fleet(Voting, Voting, ATOMIC_BATCH=batch)

        post(fleet.client, update("boats", "1", {"anchor": id_("anchors", "1")}))

        assert fleet.heard(*UNIT) == [
            ("boats", "begin"),
            ("anchors", "begin"),
            ("boats", "prepare"),
            ("boats", "commit"),
            ("anchors", "rollback"),
        ]

    def test_none_for_what_is_refused_beforehand(self, batch):
        fleet = Fleet(Voting, ATOMIC_BATCH=batch)

        post(fleet.client, update("anchors", "1"), update("anchors", "1", attributes={"name": 1}))

        assert fleet.log == []


class TestCommit:
    def test_all_vote_then_all_commit_in_the_order_of_registration(self):
        fleet = Fleet(Voting, Voting, Voting)

        post(fleet.client, update("cabins", "1"), update("boats", "1"), update("anchors", "1"))

        assert fleet.heard(*UNIT[1:]) == [(name, "prepare") for name in TYPES] + [(name, "commit") for name in TYPES]
        assert fleet.open == []

    def test_the_one_that_cannot_vote_commits_first(self):
        fleet = Fleet(Voting, Deferring, Voting)

        post(fleet.client, update("cabins", "1"), update("boats", "1"), update("anchors", "1"))

        assert fleet.heard(*UNIT[1:]) == [
            ("anchors", "prepare"),
            ("cabins", "prepare"),
            ("boats", "commit"),
            ("anchors", "commit"),
            ("cabins", "commit"),
        ]

    def test_two_that_cannot_vote_are_refused_before_anything_is_begun(self):
        fleet = Fleet(RecordingLayer, Voting, Deferring)

        answer = post(fleet.client, update("cabins", "1"), update("boats", "1"), update("anchors", "1"))

        assert answer.errors == [(422, "not-atomic", None)]
        assert "anchors and cabins" in answer.error_objects[0]["detail"]
        assert fleet.log == []

    def test_one_of_them_may_be_read(self):
        fleet = Fleet(RecordingLayer, RecordingLayer)

        answer = post(fleet.client, update("anchors", "1", {"boat": id_("boats", "1"), "boats": [id_("boats", "1")]}))

        assert answer.status == 200
        assert fleet.heard("commit", "rollback") == [("anchors", "commit"), ("boats", "rollback")]

    def test_an_operation_on_a_relationship_writes_to_the_layer_of_its_resource(self):
        fleet = Fleet(RecordingLayer, RecordingLayer)

        post(fleet.client, relate("add", id_("boats", "1"), "anchors", [id_("anchors", "1")]))

        assert fleet.heard("commit", "rollback") == [("boats", "commit"), ("anchors", "rollback")]

    def test_results_are_made_before_it(self):
        fleet = Fleet(Voting)

        post(fleet.client, add("anchors"))

        assert [hook for _, hook in fleet.heard("linkage", "commit")] == ["linkage", "linkage", "commit"]


ALL = [
    add("anchors", lid="a", attributes={"name": "new"}),
    update("anchors", "1", {"anchor": id_("anchors", "1")}, attributes={"name": "changed"}),
    add("boats", {"anchor": lid("anchors", "a")}, attributes={"name": "new"}),
    relate("add", id_("cabins", "1"), "boats", [id_("boats", "1")]),
    relate("update", id_("cabins", "1"), "anchor", lid("anchors", "a")),
    relate("remove", id_("cabins", "1"), "cabins", [id_("cabins", "1")]),
    remove("boats", "1"),
]
"""Operations that call every hook."""

FAILING = (
    [("anchors", hook) for hook in ("begin", "get", "add", "update", "identify", "linkage", "prepare")]
    + [("boats", hook) for hook in ("begin", "get", "add", "remove", "flush", "identify", "linkage", "commit")]
    + [
        ("cabins", hook)
        for hook in ("begin", "get", "add_to_relationship", "set_relationship", "remove_from_relationship", "prepare")
    ]
)
"""The hooks of three layers that `ALL` calls; after the commit of the boats nothing must fail."""


@pytest.mark.parametrize("batch", [True, False])
@pytest.mark.parametrize(("layer", "hook"), FAILING)
class TestFailures:
    """Statement A14: wherever it comes from, a failure undoes everything and leaves nothing open."""

    @pytest.fixture
    def fleet(self, batch):
        return Fleet(Voting, Deferring, Voting, ATOMIC_BATCH=batch)

    @pytest.mark.parametrize(
        ("failure", "error"),
        [(Conflict("A reason."), (409, "conflict")), (ZeroDivisionError("secret"), (500, "internal-error"))],
    )
    def test_of_a_hook(self, fleet, layer, hook, failure, error):
        before = fleet.stored
        failures = fleet.layers[TYPES.index(layer)].failures
        failures[hook] = failure

        answer = post(fleet.client, *ALL)

        assert [told[:2] for told in answer.errors] == [error]
        assert "secret" not in answer.response.text
        assert fleet.stored == before
        assert fleet.open == []
        failures.clear()
        assert post(fleet.client, *ALL).status == 200

    def test_that_ends_the_process(self, fleet, layer, hook):
        before = fleet.stored
        fleet.layers[TYPES.index(layer)].failures[hook] = SystemExit()

        with pytest.raises(SystemExit):
            post(fleet.client, *ALL)

        assert fleet.stored == before
        assert fleet.open == []


@pytest.mark.parametrize("kind", [KeyboardInterrupt, GeneratorExit])
@pytest.mark.parametrize("hook", ["add", "commit"])
def test_other_ends_leave_nothing_open_either(kind, hook):
    fleet = Fleet(Voting, RecordingLayer)
    fleet.layers[1].failures[hook] = kind()

    with pytest.raises(kind):
        post(fleet.client, add("anchors"), add("boats"))

    assert fleet.open == []
    assert len(fleet.layers[0].rows) == len(fleet.layers[1].rows) == 1


@pytest.mark.parametrize("hook", ["begin", "get", "update", "prepare", "commit"])
def test_of_what_passes_the_client_is_told_when_to_try_again(hook):
    fleet = Fleet(Voting, ATOMIC_RETRIES=0)
    fleet.layers[0].failures[hook] = Transient("Busy.")

    answer = post(fleet.client, update("anchors", "1"), update("anchors", "1"))

    assert answer.errors == [(503, "unavailable", None)]
    assert answer.error_objects[0]["detail"] == "Busy."
    assert answer.response.headers["Retry-After"] == "1"
    assert len(fleet.heard("begin")) == 1
    assert fleet.open == []


def test_the_operations_of_these_tests_call_every_hook():
    fleet = Fleet(Voting, Deferring, Voting)

    assert post(fleet.client, *ALL).status == 200

    assert set(FAILING) - set(fleet.heard(*(hook for _, hook in FAILING))) == set()
    assert fleet.open == []


class TestPointers:
    """Where what a layer raises is told."""

    @pytest.mark.parametrize("hook", ["get", "add", "flush", "identify", "linkage"])
    @pytest.mark.parametrize("batch", [True, False])
    def test_a_failure_of_an_operation_is_told_at_it(self, hook, batch):
        fleet = Fleet(Voting, Deferring, ATOMIC_BATCH=batch)
        fleet.layers[1].failures[hook] = Conflict("A reason.")

        answer = post(fleet.client, update("anchors", "1"), add("boats"), update("boats", "1"))

        index = 2 if hook == "get" else 1
        assert answer.errors == [(409, "conflict", f"/{index}")]

    @pytest.mark.parametrize(("layer", "hook"), [(0, "prepare"), (1, "commit")])
    @pytest.mark.parametrize("operations", [1, 2])
    def test_a_failure_of_the_commit_is_told_at_none(self, layer, hook, operations):
        fleet = Fleet(Voting, Deferring)
        fleet.layers[layer].failures[hook] = Conflict("A reason.")

        answer = post(fleet.client, *[update(TYPES[layer], "1")] * operations)

        assert answer.errors == [(409, "conflict", None)]
        assert answer.error_objects[0]["detail"] == "A reason."


class TestRollback:
    def test_each_that_was_begun_is_rolled_back_once(self):
        fleet = Fleet(Voting, Voting, Voting, ATOMIC_BATCH=False)

        post(fleet.client, update("anchors", "1"), update("cabins", "1"), update("anchors", "9"))

        assert sorted(fleet.heard("rollback")) == [("anchors", "rollback"), ("cabins", "rollback")]

    def test_the_failure_of_one_is_logged_and_stops_no_other(self, caplog):
        fleet = Fleet(Voting, Voting, Voting, ATOMIC_BATCH=False)
        fleet.layers[1].failures["rollback"] = ZeroDivisionError("the reason")

        answer = post(fleet.client, *(update(type_, "1") for type_ in TYPES), remove("anchors", "9"))

        assert answer.errors == [(404, "resource-not-found", "/3/ref/id")]
        assert len(fleet.heard("rollback")) == 3
        assert [record.getMessage() for record in caplog.records] == ["The layer boats failed to roll back."]
        assert caplog.records[0].exc_info[1].__cause__ is fleet.layers[1].failures["rollback"]

    def test_nor_does_the_end_of_the_process(self):
        fleet = Fleet(Voting, Voting, Voting, ATOMIC_BATCH=False)
        for layer in fleet.layers:
            layer.failures["rollback"] = SystemExit()

        with pytest.raises(SystemExit):
            post(fleet.client, *(update(type_, "1") for type_ in TYPES), remove("anchors", "9"))

        assert len(fleet.heard("rollback")) == 3

    def test_a_layer_that_fails_to_commit_is_rolled_back(self):
        fleet = Fleet(Voting, RecordingLayer, ATOMIC_RETRIES=0)
        fleet.layers[1].failures["commit"] = Transient("Busy.")

        answer = post(fleet.client, update("anchors", "1"), update("boats", "1"))

        assert answer.errors == [(503, "unavailable", None)]
        assert fleet.heard("prepare", "commit", "rollback") == [
            ("anchors", "prepare"),
            ("boats", "commit"),
            ("boats", "rollback"),
            ("anchors", "rollback"),
        ]


class TestPartialCommit:
    """A layer breaks the promise that it made by its vote."""

    @pytest.mark.parametrize("failure", [ZeroDivisionError("secret"), Conflict("secret")])
    def test_what_is_known_is_in_the_answer_and_in_the_log(self, failure, caplog):
        witness = Witness("witness")
        fleet = Fleet(Voting, Voting, Voting, plugins=[witness])
        witness.heard.clear()
        fleet.layers[1].failures["commit"] = failure

        answer = post(fleet.client, *(update(type_, "1", attributes={"name": "new"}) for type_ in TYPES))

        assert answer.errors == [(500, "partly-committed", None)]
        (error,) = answer.error_objects
        known = "Committed: 'anchors', 'cabins'. Not known, since the commit failed: 'boats'."
        assert error["detail"] == (f"The operations are stored in part. {known} The log has more under the id.")
        assert [vars(row)["name"] for layer in fleet.layers for row in layer.rows.values()] == ["new", "first", "new"]
        assert fleet.open == []
        assert witness.heard == []
        (record,) = caplog.records
        assert record.levelno == logging.CRITICAL
        assert record.getMessage() == (
            f"Transaction {error['id']}: the layer 'boats' failed to commit, although it had voted for it. {known}"
        )
        assert failure in (record.exc_info[1], record.exc_info[1].__cause__)

    def test_each_that_failed_is_in_the_log_under_the_same_id(self, caplog):
        fleet = Fleet(Voting, Voting, Voting)
        for layer in fleet.layers[1:]:
            layer.failures["commit"] = ZeroDivisionError(layer.name)

        (error,) = post(fleet.client, *(update(type_, "1") for type_ in TYPES)).error_objects

        assert "Committed: 'anchors'. Not known, since the commit failed: 'boats', 'cabins'." in error["detail"]
        assert [str(record.exc_info[1].__cause__) for record in caplog.records] == ["boats", "cabins"]
        assert all(error["id"] in record.getMessage() for record in caplog.records)

    def test_without_http_it_is_the_same_error(self):
        fleet = Fleet(Voting, Voting)
        fleet.layers[1].failures["commit"] = ZeroDivisionError("the reason")

        with fleet.client.application.app_context(), pytest.raises(RequestFailed) as caught:
            fleet.atomic.perform({"atomic:operations": [add("anchors"), add("boats")]})

        assert [error.code for error in caught.value.errors] == ["partly-committed"]
        assert caught.value.__cause__.__cause__ is fleet.layers[1].failures["commit"]

    def test_the_end_of_the_process_waits_for_the_other_commits(self, caplog):
        fleet = Fleet(Voting, Voting, Voting)
        fleet.layers[1].failures["commit"] = SystemExit()

        with pytest.raises(SystemExit):
            post(fleet.client, *(update(type_, "1") for type_ in TYPES))

        assert fleet.heard("commit", "rollback") == [*((name, "commit") for name in TYPES), ("boats", "rollback")]
        assert [record.levelno for record in caplog.records] == [logging.CRITICAL]

    def test_nor_is_it_lost_to_an_earlier_failure(self, caplog):
        fleet = Fleet(Voting, Voting, Voting)
        fleet.layers[1].failures["commit"] = ZeroDivisionError()
        fleet.layers[2].failures["commit"] = SystemExit()

        with pytest.raises(SystemExit):
            post(fleet.client, *(update(type_, "1") for type_ in TYPES))

        assert len(caplog.records) == 2
        assert fleet.open == []

    def test_a_vote_that_is_broken_before_anything_is_committed_undoes_everything(self):
        fleet = Fleet(Voting, Voting)
        before = fleet.stored
        fleet.layers[0].failures["commit"] = ZeroDivisionError()

        assert post(fleet.client, add("anchors"), add("boats")).errors == [(500, "internal-error", None)]
        assert fleet.stored == before
        assert fleet.open == []


class TestDefects:
    """Statements B105 and B109, and what part 1 says of 500."""

    def test_the_id_is_in_the_log_and_nothing_of_the_inside_in_the_answer(self, caplog):
        fleet = Fleet(Voting)
        failure = fleet.layers[0].failures["add"] = ZeroDivisionError("secret")

        answer = post(fleet.client, add("anchors"))

        (error,) = answer.error_objects
        assert error["code"] == "internal-error"
        assert "secret" not in answer.response.text
        assert "ZeroDivisionError" not in answer.response.text
        (record,) = caplog.records
        assert error["id"] in record.getMessage()
        assert record.exc_info[1].__cause__ is failure

    def test_each_has_an_id_of_its_own(self):
        fleet = Fleet(Voting)
        fleet.layers[0].failures["add"] = ZeroDivisionError()

        ids = [post(fleet.client, add("anchors")).error_objects[0]["id"] for _ in range(2)]

        assert ids[0] != ids[1]

    def test_a_layer_that_knows_no_id_is_named_in_the_log(self, caplog):
        class Forgetful(Voting):
            @hookimpl
            def atomic_identify(self):
                """Know nothing."""

        fleet = Fleet(Forgetful, seed=False)

        assert post(fleet.client, add("anchors")).errors == [(500, "internal-error", None)]
        told = "atomic_identify of the plugin 'anchors' returned None after a flush, for one of 'anchors'."
        assert caplog.records[0].getMessage().endswith(told)


class Witness:
    def __init__(self, name, failure=None):
        self.name = name
        self.failure = failure
        self.heard = []

    @hookimpl
    def atomic_committed(self, records):
        self.heard.append(records)
        if self.failure:
            raise self.failure


class TestCommitted:
    def test_it_is_called_once_with_a_record_for_each_operation(self):
        witness = Witness("witness")
        fleet = Fleet(Deferring, Voting, plugins=[witness])
        witness.heard.clear()

        answer = post(
            fleet.client,
            add("anchors", lid="a", attributes={"name": "new"}),
            {**remove("anchors", "1"), "meta": {"why": "old"}},
            relate("update", id_("boats", "01"), "anchor", lid("anchors", "a")),
            path="/api/operations?fields[anchors]=boat",
        )

        (records,) = witness.heard
        assert [(record.resource.type, record.id) for record in records] == [
            ("anchors", 2),
            ("anchors", 1),
            ("boats", 1),
        ]
        assert [record.operation.op for record in records] == ["add", "remove", "update"]
        assert records[1].operation.meta == {"why": "old"}
        assert records[0].result["data"]["attributes"] == {"name": "new"}
        assert "attributes" not in answer.results[0]["data"]
        assert records[1].result == records[2].result == {}

    def test_it_comes_after_the_commit(self):
        class Late(Witness):
            @hookimpl
            def atomic_committed(self, records):
                self.heard.append(self.fleet.open)

        witness = Late("late")
        witness.fleet = Fleet(Voting, Voting, plugins=[witness], seed=False)

        post(witness.fleet.client, add("anchors"), add("boats"))

        assert witness.heard == [[]]

    @pytest.mark.parametrize(
        ("hook", "failure"), [("add", Refused(".")), ("prepare", Conflict(".")), ("commit", Transient("."))]
    )
    def test_nobody_hears_of_a_failure(self, hook, failure):
        witness = Witness("witness")
        fleet = Fleet(Voting, plugins=[witness], seed=False, ATOMIC_RETRIES=0)
        fleet.layers[0].failures[hook] = failure

        post(fleet.client, add("anchors"), add("anchors"))

        assert witness.heard == []

    def test_an_error_is_logged_and_keeps_no_other_from_hearing(self, caplog):
        witnesses = [Witness("first"), Witness("second", ZeroDivisionError("the reason")), Witness("third")]
        fleet = Fleet(Voting, plugins=witnesses, seed=False)

        answer = post(fleet.client, add("anchors"))

        assert answer.status == 200
        assert [len(witness.heard) for witness in witnesses] == [1, 1, 1]
        assert [record.getMessage() for record in caplog.records] == ["The plugin 'second' failed in atomic_committed."]

    def test_a_wrapper_is_around_each_that_hears(self):
        class Timer:
            calls = 0

            @hookimpl(wrapper=True)
            def atomic_committed(self):
                self.calls += 1
                return (yield)

        timer = Timer()
        fleet = Fleet(Voting, plugins=[Witness("first"), timer, Witness("second")], seed=False)

        post(fleet.client, add("anchors"))

        assert timer.calls == 2

    def test_it_hears_once_of_what_is_run_twice(self):
        witness = Witness("witness")
        fleet = Fleet(FailingOnce, plugins=[witness], seed=False)
        fleet.layers[0].failures["flush"] = Conflict("Only in the batched attempt.")

        post(fleet.client, add("anchors"), add("anchors"))

        assert len(fleet.heard("begin")) == 2
        assert [len(records) for records in witness.heard] == [2]
