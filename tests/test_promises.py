"""A plugin that raises or returns what it must not: the log names it and the hook, and a client hears nothing."""

from __future__ import annotations

import functools
import logging

import pytest
from flask import got_request_exception
from marshmallow_jsonapi import fields

from flask_atomic import Atomic, Conflict, RequestFailed, hookimpl
from flask_atomic.errors import Code, ErrorObject, PluginDefect
from flask_atomic.hookspecs import DataLayer, Observer
from tests.application import add, application, id_, lid, post, relate, remove, schema, to_many, to_one, update
from tests.contract.layers import RunningLayer
from tests.recording import Deferring, Row, Voting

OF_KEYS = {"atomic_recall", "atomic_remember", "atomic_forget"}
"""The hooks of requests with a key: tests/test_idempotency.py is about these."""

OF_RECOVERY = {"atomic_in_doubt", "atomic_recover"}
"""Those of the command `flask atomic recover`: tests/test_recover.py is about these."""

OF_RUNS = {"atomic_add_all", "atomic_update_all", "atomic_remove_all"}
"""Those of several operations, which are performed one by one if such a hook fails."""

START_UP = {
    *("atomic_claim", "atomic_independent", "atomic_exclusive", "atomic_remembers", "atomic_versioned"),
    "atomic_check",
}
BROADCAST = [hook for hook in vars(Observer) if hook.startswith("atomic_")]
ELSEWHERE = START_UP | OF_KEYS | OF_RECOVERY | OF_RUNS
ROUTED = [hook for hook in vars(DataLayer) if hook.startswith("atomic_") and hook not in ELSEWHERE]

OPERATIONS = [
    add("boats", {"sister": id_("boats", "1")}, lid="b", attributes={"name": "new"}),
    add("boats", {"sister": lid("boats", "b"), "fleet": [id_("boats", "1")]}),
    update("boats", "1", attributes={"name": "changed"}, meta={"version": "1"}),
    relate("update", id_("boats", "1"), "sister", id_("boats", "1")),
    relate("add", id_("boats", "1"), "fleet", [id_("boats", "1")]),
    relate("remove", id_("boats", "1"), "fleet", [id_("boats", "1")]),
    remove("boats", "1"),
]
"""They call every hook of a layer that is in `ROUTED` but `atomic_rollback`."""


class VotingLater(Voting, Deferring):
    """Has every hook that a layer can have."""

    @hookimpl
    def atomic_versioned(self):
        return True

    @hookimpl
    def atomic_version(self, entities):
        return ["1" for _ in entities]

    @hookimpl
    def atomic_match_version(self, version):
        return version == "1"


def harbour(*plugins):
    """The layer of an application with these plugins, and a client. It has the boat 1."""
    layer = VotingLater("recorder")
    atomic = Atomic(layer, *plugins)
    atomic.resource(schema("boats", name=fields.Str(), sister=to_one("boats"), fleet=to_many("boats")))
    layer.rows["boats", 1] = Row(id=1, name="first", sister=[], fleet=[])
    return layer, application(atomic).test_client()


def plugin(name, hook, behave, **marks):
    """A plugin called `name` with one hook."""

    def behaving(self):
        return behave()

    def wrapping(self):
        value = behave()
        yield
        return value

    function = wrapping if marks.get("wrapper") else behaving
    return type("Plugin", (), {"name": name, hook: hookimpl(**marks)(function)})()


def fail():
    raise ZeroDivisionError("secret")


def defect(client, caplog, *operations):
    """What the log has on a request that ends in a 500, behind the id; the id is looked for."""
    caplog.clear()
    answer = post(client, *operations)
    assert answer.errors == [(500, "internal-error", None)]
    assert "secret" not in answer.response.text
    (record,) = [record for record in caplog.records if record.levelname == "ERROR"]
    error, _, told = record.getMessage().partition(": ")
    assert error == f"Error {answer.error_objects[0]['id']}"
    assert isinstance(record.exc_info[1], PluginDefect)
    return told


class TestExceptions:
    @pytest.mark.parametrize("hook", [hook for hook in ROUTED if hook != "atomic_rollback"])
    def test_the_layer_and_its_wrappers_are_named(self, hook, caplog):
        _, client = harbour(plugin("tracer", hook, fail, wrapper=True))

        told = defect(client, caplog, *OPERATIONS)

        assert told == f"{hook} of the plugin 'recorder' or 'tracer' raised ZeroDivisionError."

    def test_a_layer_without_wrappers_is_named_alone(self, caplog):
        layer, client = harbour(plugin("elsewhere", "atomic_update", lambda: None, wrapper=True))
        layer.failures["add"] = ZeroDivisionError("secret")

        told = defect(client, caplog, *OPERATIONS)

        assert told == "atomic_add of the plugin 'recorder' raised ZeroDivisionError."

    def test_the_rollback_is_named_in_an_entry_of_its_own(self, caplog):
        layer, client = harbour()
        layer.failures["rollback"] = ZeroDivisionError("the reason")

        assert post(client, remove("boats", "9")).status == 404

        (record,) = caplog.records
        assert str(record.exc_info[1]) == "atomic_rollback of the plugin 'recorder' raised ZeroDivisionError."

    @pytest.mark.parametrize("hook", [hook for hook in BROADCAST if hook != "atomic_committed"])
    def test_of_the_plugins_that_are_asked_all_are_named(self, hook, caplog):
        asked = [plugin("first", hook, lambda: None), plugin("second", hook, fail)]

        told = defect(harbour(*asked)[1], caplog, *OPERATIONS)

        assert told == f"{hook} of the plugin 'first' or 'second' raised ZeroDivisionError."

    def test_the_reason_is_in_the_log_and_told_by_the_signal(self, caplog):
        layer, client = harbour()
        layer.failures["add"] = ZeroDivisionError("the reason")
        heard = []

        with got_request_exception.connected_to(lambda sender, exception: heard.append(exception), client.application):
            defect(client, caplog, *OPERATIONS)

        assert heard == [caplog.records[-1].exc_info[1]]
        assert heard[0].__cause__ is layer.failures["add"]
        assert (heard[0].hook, heard[0].plugins) == ("atomic_add", ("recorder",))

    def test_without_http_it_is_raised(self):
        layer, client = harbour()
        layer.failures["add"] = ZeroDivisionError("the reason")
        atomic = next(iter(client.application.extensions["atomic"]))

        with client.application.app_context(), pytest.raises(PluginDefect, match="atomic_add of the plugin 'recorder'"):
            atomic.perform({"atomic:operations": [add("boats")]})

    def test_only_the_hook_that_failed_is_named_where_one_calls_another(self, caplog):
        """A layer that asks for the id of a related resource makes the layer of that resource flush."""

        class Curious(VotingLater):
            @hookimpl
            def atomic_add(self, relationships):
                return [reference.id for reference in relationships.values()]

        near, far = Curious("near"), VotingLater("far")
        atomic = Atomic(near, far)
        atomic.resource(schema("boats", anchor=to_one("anchors")), layer="near")
        atomic.resource(schema("anchors"), layer="far")
        far.failures["flush"] = ZeroDivisionError("secret")
        operations = add("anchors", lid="a"), add("boats", {"anchor": lid("anchors", "a")})

        told = defect(application(atomic, ATOMIC_BATCH=True).test_client(), caplog, *operations)

        assert told == "atomic_flush of the plugin 'far' raised ZeroDivisionError."

    def test_what_a_plugin_may_raise_is_no_defect(self):
        def refuse():
            raise RequestFailed(ErrorObject.of(Code.OPERATION_REFUSED, "Not on Sundays."))

        def conflict():
            raise Conflict("The name is taken.")

        for behave, error in [(refuse, (403, "operation-refused", None)), (conflict, (409, "conflict", "/0"))]:
            _, client = harbour(plugin("policy", "atomic_add", behave, wrapper=True))
            assert post(client, *OPERATIONS).errors == [error]


ROW = object()

BROKEN = [
    ("atomic_begin", None, "None, which is no unit"),
    ("atomic_parse_id", [1], "a value of type list, which cannot be hashed, as an id"),
    ("atomic_get", None, "None, not a mapping"),
    ("atomic_get", [(1, ROW)], "a value of type list, not a mapping"),
    ("atomic_get", {1: ROW, 7: ROW}, "an id that it was not asked for: 7"),
    ("atomic_get", {"1": ROW}, "an id that it was not asked for: '1'"),
    ("atomic_get", {1: None}, "None as an entity; what does not exist is left out"),
    ("atomic_add", None, "None, not an entity"),
    ("atomic_update", None, "None, not an entity"),
    ("atomic_flush", None, "None from a wrapper, not what its yield gave it"),
    ("atomic_identify", {}, "a value of type dict, which cannot be hashed, as an id"),
    ("atomic_identify", None, "None after a flush, for one of 'boats'"),
    ("atomic_linkage", None, "None, not a sequence"),
    ("atomic_linkage", {1: 1}, "a value of type dict, not a sequence"),
    ("atomic_linkage", [], "a sequence of 0 for 1 entities"),
    ("atomic_linkage", [1, 2], "a sequence of 2 for 1 entities"),
    ("atomic_linkage", [[1]], "a value of type list as the linkage of 'sister', not an id or None"),
    ("atomic_version", None, "None, not a sequence"),
    ("atomic_version", [], "a sequence of 0 for 1 entities"),
    ("atomic_version", [1], "1 as a version, not a text or None"),
    ("atomic_version", [""], "'' as a version, not a text or None"),
    ("atomic_match_version", None, "None, not True or False"),
    ("atomic_match_version", "yes", "a value of type str, not True or False"),
]
"""Hooks, what they must not return, and how the log tells it."""

ONE = add("boats", {"sister": id_("boats", "1")})
CHANGED = update("boats", "1", meta={"version": "1"})


class TestReturnedValues:
    @pytest.mark.parametrize(("hook", "value", "told"), BROKEN)
    def test_what_cannot_be_used_is_a_defect(self, hook, value, told, caplog):
        operations = [CHANGED] if hook in ("atomic_update", "atomic_match_version") else [ONE]
        layer, client = harbour(plugin("spoiler", hook, lambda: value, wrapper=True))
        before = dict(layer.rows)

        assert defect(client, caplog, *operations) == f"{hook} of the plugin 'recorder' or 'spoiler' returned {told}."
        assert layer.rows == before

    @pytest.mark.parametrize(
        ("related", "kind"),
        [
            (None, "None"),
            ("12", "a value of type str"),
            (7, "a value of type int"),
            ((1, None), "a value of type tuple"),
        ],
    )
    def test_the_linkage_of_a_to_many_is_a_sequence_for_each(self, related, kind, caplog):
        class Spoiler:
            @hookimpl(wrapper=True)
            def atomic_linkage(self, relationship):
                linkage = yield
                return [related] if relationship.many else linkage

        told = defect(harbour(Spoiler())[1], caplog, ONE)

        assert told == (
            f"atomic_linkage of the plugin 'recorder' or 'Spoiler' returned {kind} as the linkage of 'fleet', not a "
            f"sequence of ids without None."
        )

    @pytest.mark.parametrize("related", [[1], (1,), {1: "x"}.keys(), range(1, 2)])
    def test_any_collection_of_ids_will_do(self, related):
        class Layer(VotingLater):
            @hookimpl
            def atomic_linkage(self, entities, relationship):
                return tuple(related if relationship.many else None for _ in entities)

        atomic = Atomic(Layer("layer"))
        atomic.resource(schema("boats", sister=to_one("boats"), fleet=to_many("boats")))

        (result,) = post(application(atomic).test_client(), add("boats")).results

        assert result["data"]["relationships"]["fleet"]["data"] == [id_("boats", "1")]

    @pytest.mark.parametrize(
        ("given", "wrapper", "told"),
        [("ab", False, "a value of type str, not a mapping"), (None, True, "None from a wrapper, not what its yield")],
    )
    def test_the_meta_of_a_result_is_a_mapping(self, given, wrapper, told, caplog):
        _, client = harbour(plugin("echo", "atomic_result_meta", lambda: given, wrapper=wrapper))

        assert told in defect(client, caplog, ONE)

    def test_values_of_all_hooks_that_have_one_are_looked_at(self):
        """A new hook is to be thought of here."""
        looked_at = {hook for hook, _, _ in BROKEN}
        returning = {hook for hook in ROUTED if vars(DataLayer)[hook].__annotations__["return"] != "None"}

        assert looked_at == returning


def by_place(function):
    """A decorator of an application, which knows no names of arguments."""

    @functools.wraps(function)
    def called(*args):
        return function(*args)

    return called


class TestHooksOfOneFunction:
    """They are called without pluggy, but as pluggy calls them."""

    @pytest.mark.parametrize(
        "parse_id",
        [
            lambda self, resource, text: int(text),
            lambda self, text, resource: int(text),
            lambda self, text: int(text),
            lambda self, resource, text, base=10: int(text, base),
            lambda self, resource, text, **more: int(text) if not more else None,
            lambda self, resource, text, /: int(text),
            by_place(lambda self, resource, text: int(text)),
        ],
    )
    def test_it_gets_the_arguments_that_it_takes(self, parse_id):
        layer_class = type("Parsing", (VotingLater,), {"atomic_parse_id": hookimpl(parse_id)})
        layer = layer_class("recorder")
        atomic = Atomic(layer)
        atomic.resource(schema("boats", name=fields.Str()))
        layer.rows["boats", 1] = Row(id=1, name="first")

        assert post(application(atomic).test_client(), remove("boats", "1")).response.status_code == 204
        assert not layer.rows


RUNS = {
    "atomic_add_all": [add("boats"), add("boats")],
    "atomic_update_all": [update("boats", "1"), update("boats", "2")],
    "atomic_remove_all": [remove("boats", "1"), remove("boats", "2")],
}

BROKEN_RUNS = [
    ("atomic_add_all", {}, "a value of type dict, not a sequence"),
    ("atomic_add_all", [ROW], "a sequence of 1 for 2 operations"),
    ("atomic_update_all", [ROW] * 3, "a sequence of 3 for 2 operations"),
    ("atomic_update_all", [ROW, None], "None as an entity"),
    ("atomic_remove_all", None, "None, not True or False"),
]


class TestRuns:
    """A strict attempt does without the hooks of runs: clients notice no defect of one, but the log has it."""

    @pytest.mark.parametrize("hook", RUNS)
    def test_the_layer_and_its_wrappers_are_named(self, hook, caplog):
        told = self.defect(plugin("tracer", hook, fail, wrapper=True), hook, caplog)

        assert told == f"{hook} of the plugin 'recorder' or 'tracer' raised ZeroDivisionError."

    @pytest.mark.parametrize(("hook", "value", "told"), BROKEN_RUNS)
    def test_what_cannot_be_used_is_a_defect(self, hook, value, told, caplog):
        defect = self.defect(plugin("spoiler", hook, lambda: value, wrapper=True), hook, caplog)

        assert defect == f"{hook} of the plugin 'recorder' or 'spoiler' returned {told}."

    def defect(self, culprit, hook, caplog):
        """What the log says of the attempt that failed, to who wants to know."""
        atomic = Atomic(RunningLayer("recorder"), culprit)
        atomic.resource(schema("boats"))
        client = application(atomic).test_client()
        for _ in range(2):
            assert post(client, add("boats")).status == 200
        caplog.set_level(logging.DEBUG, "flask_atomic.attempts")

        assert post(client, *RUNS[hook]).status in (200, 204)

        (failed,) = [record.exc_info[1] for record in caplog.records if record.exc_info]
        assert isinstance(failed, PluginDefect)
        return str(failed)

    def test_values_of_all_hooks_that_have_one_are_looked_at(self):
        returning = {hook for hook in OF_RUNS if vars(DataLayer)[hook].__annotations__["return"] != "None"}

        assert {hook for hook, _, _ in BROKEN_RUNS} == returning
