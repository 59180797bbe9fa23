"""What the log has on a request: which logger, which facts, and nothing that a client could forge."""

from __future__ import annotations

import logging
from uuid import UUID

import pytest
from flask import abort

from flask_atomic import Atomic, MemoryLayer, RequestFailed, current_request, hookimpl
from flask_atomic.errors import PluginDefect
from flask_atomic.loggers import defects
from tests.application import add, application, declare, post, send, world

FORGED = "x\nERROR flask_atomic.defects forged\r\x1b[2J\u2028\u202e"
"""What a client sends to have a line of its own in the log."""


@pytest.fixture
def log(caplog):
    caplog.set_level(logging.INFO, "flask_atomic")
    return caplog


def entry(log, name="requests"):
    (found,) = [record for record in log.records if record.name == f"flask_atomic.{name}"]
    return found


def facts(record):
    return record.status, record.codes, record.operations, record.attempts


class Failing:
    """A plugin that has each operation fail by an exception."""

    def __init__(self, failure):
        self.failure = failure

    @hookimpl(wrapper=True)
    def atomic_add(self):
        yield
        raise self.failure


class TestRequests:
    def test_a_success(self, log):
        client = world().client

        post(client, add("tags", id="a"), add("tags", id="b"))

        assert facts(entry(log)) == (200, (), 2, 1)
        assert entry(log).levelname == "INFO"

    def test_a_refusal_before_any_attempt(self, log):
        post(world().client, add("nothing"), add("tags", id="\0"), add("articles"))

        assert facts(entry(log)) == (400, ("invalid-string",), 0, 0)

    def test_each_kind_of_error_once(self, log):
        post(world().client, add("nothing"), add("articles"), add("nothing"))

        status, codes, *counts = facts(entry(log))
        assert (status, sorted(codes), counts) == (400, ["invalid-attribute", "unknown-type"], [3, 0])

    def test_a_defect(self, log):
        post(world(Failing(ZeroDivisionError())).client, add("tags", id="a"))

        assert facts(entry(log)) == (500, ("internal-error",), 1, 1)

    def test_what_is_answered_before_the_document_is_read(self, log):
        send(world().client, b"", content_type="text/plain")

        assert facts(entry(log)) == (415, ("unsupported-media-type",), 0, 0)

    def test_what_a_decorator_answers(self, log):
        atomic = Atomic(MemoryLayer(), decorators=[lambda view: lambda **values: abort(401)])
        declare(atomic)

        post(application(atomic).test_client(), add("tags", id="a"))

        assert facts(entry(log)) == (401, ("unauthorized",), 0, 0)

    def test_options_are_no_request_to_perform_anything(self, log):
        world().client.options("/api/operations")

        assert log.records == []

    def test_the_text_has_the_facts_too(self, log):
        post(world().client, add("nothing"), headers={"X-Request-ID": "abc"})

        told = f"Request abc: 404 unknown-type; operations: 1, attempts: 0, {entry(log).duration:.4f} s"
        assert entry(log).getMessage() == told
        assert entry(log).duration > 0

    def test_nothing_is_logged_where_the_level_is_above(self, caplog):
        caplog.set_level(logging.WARNING, "flask_atomic")

        post(world().client, add("tags", id="a"))

        assert caplog.records == []


class TestWithoutHTTP:
    def test_a_success(self, log):
        _, atomic, _ = made = world()

        with made.client.application.app_context():
            atomic.perform({"atomic:operations": [add("tags", id="a")]})

        assert facts(entry(log)) == (200, (), 1, 1)

    def test_a_refusal(self, log):
        _, atomic, _ = made = world()

        with made.client.application.app_context(), pytest.raises(RequestFailed):
            atomic.perform({"atomic:operations": [add("nothing")]})

        assert facts(entry(log)) == (404, ("unknown-type",), 1, 0)

    def test_a_defect(self, log):
        _, atomic, _ = made = world(Failing(ZeroDivisionError()))

        with made.client.application.app_context(), pytest.raises(Exception, match="ZeroDivisionError"):
            atomic.perform({"atomic:operations": [add("tags", id="a")]})

        assert facts(entry(log)) == (500, ("internal-error",), 1, 1)


class TestRequestId:
    @pytest.mark.parametrize("id_", ["a", "7d7f5e0c-2f0b-4b6e-9c43-1f2f0c7f8a11", "Root=1-67:8/a+b.c_d", "x" * 128])
    def test_that_of_the_header(self, id_, log):
        post(world().client, add("tags", id="a"), headers={"X-Request-ID": id_})

        assert entry(log).request_id == id_

    @pytest.mark.parametrize("id_", ["", " ", "a b", "x" * 129, "a\tb", 'a"b', "%0a", "ä", "a,b", "\x1b[2J"])
    def test_another_one_where_that_cannot_be_used(self, id_, log):
        post(world().client, add("tags", id="a"), headers={"X-Request-ID": id_})

        assert str(UUID(entry(log).request_id)) == entry(log).request_id

    def test_each_request_has_its_own(self, log):
        client = world().client

        post(client, add("tags", id="a"))
        post(client, add("tags", id="b"))

        first, second = log.records
        assert first.request_id != second.request_id

    def test_a_defect_and_its_request_are_found_by_each_other(self, log):
        answer = post(world(Failing(ZeroDivisionError())).client, add("tags", id="a"))

        assert entry(log, "defects").error_id == answer.error_objects[0]["id"]
        assert entry(log, "defects").request_id == entry(log).request_id

    def test_what_is_performed_while_a_request_is_served_has_the_same(self, log):
        made = world()

        with made.client.application.test_request_context(headers={"X-Request-ID": "abc"}):
            made.atomic.perform({"atomic:operations": [add("tags", id="a")]})

        assert entry(log).request_id == "abc"

    def test_there_is_none_outside_of_requests(self, log):
        defects.error("nobody's")

        assert entry(log, "defects").request_id is None


class TestCurrentRequest:
    def test_plugins_know_it(self):
        seen = []

        class Curious:
            @hookimpl
            def atomic_committed(self):
                seen.append((current_request.id, current_request.operations, current_request.attempts))

        post(world(Curious()).client, add("tags", id="a"), headers={"X-Request-ID": "abc"})

        assert seen == [("abc", 1, 1)]

    def test_it_ends(self):
        post(world().client, add("tags", id="a"))

        assert not current_request
        with pytest.raises(RuntimeError, match="No request is being served"):
            current_request.id  # noqa: B018


class TestAttempts:
    def post(self):
        post(world(Failing(ZeroDivisionError())).client, add("tags", id="a"), add("tags", id="b"))

    def test_a_strict_attempt_after_a_batched_one(self, log):
        self.post()

        assert facts(entry(log)) == (500, ("internal-error",), 2, 2)
        assert entry(log, "attempts").request_id == entry(log).request_id
        assert entry(log, "attempts").exc_info is None

    def test_a_defect_that_the_strict_attempt_does_not_meet_is_told(self, log):
        class FailsOnce:
            calls = 0

            @hookimpl(wrapper=True)
            def atomic_add(self):
                self.calls += 1
                if self.calls == 1:
                    raise ZeroDivisionError("a secret")
                return (yield)

        assert post(world(FailsOnce()).client, add("tags", id="a"), add("tags", id="b")).status == 200

        told = entry(log, "attempts")
        assert told.levelno == logging.WARNING
        assert told.getMessage().endswith("'FailsOnce' raised ZeroDivisionError.")
        assert "secret" not in log.text

    def test_the_exception_is_for_those_who_debug(self, caplog):
        caplog.set_level(logging.DEBUG, "flask_atomic")

        self.post()

        assert entry(caplog, "attempts").exc_info[0] is PluginDefect


class TestForgery:
    def test_nothing_of_an_exception_passes_for_an_entry(self, log):
        try:
            raise KeyError("harmless") from ValueError(FORGED)
        except KeyError as error:
            cause = error
            cause.__cause__.__cause__ = ValueError(f"{FORGED}\nmore")  # the other message is part of this one
        client = world(Failing(cause)).client

        post(client, add("tags", id="a"))

        lines = log.text.splitlines()
        assert all(line.isprintable() for line in lines)
        assert not any(line.startswith("ERROR flask_atomic.defects forged") for line in lines)
        escaped = r"ValueError: x\nERROR flask_atomic.defects forged\r\x1b[2J\u2028\u202e"
        assert {escaped, rf"{escaped}\nmore"} <= set(lines)

    def test_nothing_of_a_request_is_in_its_entry(self, log):
        post(world().client, add(FORGED, id=FORGED), path="/api/operations?" + "fields[forged]=x")
        post(world().client, add(FORGED, id=FORGED), headers={"User-Agent": "forged", "X-Request-ID": "forged forged"})

        assert "forged" not in log.text
