"""Spans and metrics of OpenTelemetry, as a collector gets them."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from typing import Any, NamedTuple

import pytest
from flask import Flask
from flask.testing import FlaskClient
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode, get_current_span
from sqlalchemy import Integer, String, create_engine
from sqlalchemy.orm import DeclarativeBase, mapped_column, sessionmaker

from flask_atomic import Atomic, Conflict, MemoryLayer, Transient, UnknownOutcome, cli, hookimpl
from flask_atomic.layers.sqlalchemy import SQLAlchemyLayer
from flask_atomic.telemetry import Telemetry
from tests.application import TagSchema, add, application, id_, post, relate, remove, schema, update, world

SECRET = "a secret of the client"


class Collector(NamedTuple):
    exporter: InMemorySpanExporter
    tracers: TracerProvider
    reader: InMemoryMetricReader
    meters: MeterProvider

    def telemetry(self) -> Telemetry:
        return Telemetry(self.tracers, self.meters)

    def spans(self, name: str | None = None) -> list[ReadableSpan]:
        return [span for span in self.exporter.get_finished_spans() if name in (None, span.name)]

    def points(self, name: str) -> Counter[tuple[Any, ...]]:
        """What was counted under the name, by the values of the attributes in the order of their names."""
        counted: Counter[tuple[Any, ...]] = Counter()
        data = self.reader.get_metrics_data()
        for metric in data.resource_metrics[0].scope_metrics[0].metrics if data else ():
            if metric.name == f"flask_atomic.{name}":
                for point in metric.data.data_points:
                    key = tuple(value for _, value in sorted((point.attributes or {}).items()))
                    counted[key] = getattr(point, "value", None) or getattr(point, "count", 0)
        return counted


@pytest.fixture
def collector():
    exporter, tracers, reader = InMemorySpanExporter(), TracerProvider(), InMemoryMetricReader()
    tracers.add_span_processor(SimpleSpanProcessor(exporter))
    meters = MeterProvider([reader])
    yield Collector(exporter, tracers, reader, meters)
    meters.shutdown()
    tracers.shutdown()


@pytest.fixture
def failures():
    return {}


@pytest.fixture
def client(collector, failures) -> FlaskClient:
    """A client of an application in memory whose adds raise what `failures` has for the name of the new resource."""

    class Failing:
        @hookimpl(wrapper=True)
        def atomic_add(self, attributes):
            entity = yield
            if attributes.get("name") in failures:
                raise failures[attributes["name"]]
            return entity

    return world(collector.telemetry(), Failing()).client


class Spoiler:
    """Has every attempt at a label fail."""

    @hookimpl(wrapper=True)
    def atomic_add(self, resource):
        entity = yield
        if resource.type == "labels":
            raise ZeroDivisionError
        return entity


def person(name: str) -> dict[str, Any]:
    return add("people", attributes={"name": name})


class TestSpans:
    def test_of_a_transaction_and_the_hooks_in_it(self, client, collector):
        post(client, person("Ann"), headers={"X-Request-ID": "abc"})

        *calls, transaction = collector.spans()
        assert [span.name for span in calls] == ["atomic_add", "atomic_linkage", "atomic_prepare", "atomic_commit"]
        assert {span.parent.span_id for span in calls} == {transaction.context.span_id}
        assert transaction.name == "atomic transaction"
        assert dict(transaction.attributes) == {
            "flask_atomic.request.id": "abc",
            "flask_atomic.attempt": 1,
            "flask_atomic.outcome": "committed",
        }

    def test_of_an_operation(self, client, collector):
        post(client, person("Ann"), person("Bob"))

        _, span = collector.spans("atomic_add")
        assert dict(span.attributes) == {
            "flask_atomic.hook": "atomic_add",
            "flask_atomic.resource.type": "people",
            "flask_atomic.operation": "add",
            "flask_atomic.operation.index": 1,
        }

    def test_of_every_operation_there_is(self, client, collector):
        post(client, person("Ann"), person("Bob"))
        ann, bob = id_("people", "1"), id_("people", "2")
        collector.exporter.clear()

        post(
            client,
            relate("add", ann, "friends", [bob]),
            relate("remove", ann, "friends", [bob]),
            relate("update", ann, "friends", []),
            update("people", "1"),
            remove("people", "1"),
        )

        names = [span.name for span in collector.spans() if span.name not in ("atomic_get", "atomic_linkage")]
        relationship = [f"atomic_{verb}_relationship" for verb in ("add_to", "remove_from", "set")]
        ends = ["atomic_prepare", "atomic_commit", "atomic transaction"]
        assert names == [*relationship, "atomic_update", "atomic_remove", *ends]

    def test_they_belong_to_the_span_of_the_server(self, client, collector):
        tracer = collector.tracers.get_tracer("server")

        with tracer.start_as_current_span("server") as server:
            post(client, person("Ann"))
            assert get_current_span() is server

        (transaction,) = collector.spans("atomic transaction")
        assert transaction.parent.span_id == server.context.span_id
        assert {span.context.trace_id for span in collector.spans()} == {server.context.trace_id}

    def test_what_a_layer_does_belongs_to_the_span_of_its_hook(self, collector):
        seen = []

        class Inside:
            @hookimpl(wrapper=True)
            def atomic_add(self):
                seen.append(get_current_span())
                return (yield)

        post(world(collector.telemetry(), Inside()).client, person("Ann"))

        (span,) = collector.spans("atomic_add")
        assert seen[0].context == span.context

    def test_of_a_refusal(self, client, collector, failures):
        failures["Ann"] = Conflict(SECRET)

        post(client, person("Ann"))

        (call,) = collector.spans("atomic_add")
        assert (call.attributes["error.type"], call.status.status_code) == ("Conflict", StatusCode.UNSET)
        (transaction,) = collector.spans("atomic transaction")
        assert transaction.attributes["flask_atomic.outcome"] == "rolled back"

    @pytest.mark.parametrize("failure", [Transient("later"), ZeroDivisionError("no")])
    def test_of_a_failure(self, failure, client, collector, failures):
        failures["Ann"] = failure

        post(client, person("Ann"))

        call = collector.spans("atomic_add")[0]
        assert call.attributes["error.type"] == type(failure).__name__
        assert call.status.status_code is StatusCode.ERROR

    def test_a_unit_that_cannot_be_begun(self, collector):
        class Closed:
            @hookimpl(wrapper=True)
            def atomic_begin(self):
                yield
                raise Transient("later")

        assert post(world(collector.telemetry(), Closed()).client, person("Ann")).status == 503

        assert {(span.name, span.attributes["error.type"]) for span in collector.spans()} == {
            ("atomic transaction", "Transient")
        }

    def test_of_a_commit_of_which_nobody_knows(self, collector):
        class Lost:
            @hookimpl(wrapper=True)
            def atomic_commit(self):
                yield
                raise UnknownOutcome("The connection was lost.")

        assert post(world(collector.telemetry(), Lost()).client, person("Ann")).status == 500

        assert collector.points("transaction.duration") == {("unknown",): 1}
        assert collector.points("hook.duration")["atomic_commit", "unknown"] == 1
        assert not any("committed" in attributes for attributes in collector.points("operations"))
        (call,) = collector.spans("atomic_commit")
        assert (call.attributes["error.type"], call.status.status_code) == ("UnknownOutcome", StatusCode.ERROR)

    def test_nothing_of_the_client_is_in_them(self, client, collector, failures):
        failures[SECRET] = ZeroDivisionError(SECRET)

        post(client, person(SECRET), headers={"User-Agent": SECRET, "X-Request-ID": SECRET})
        post(client, add(SECRET))

        assert collector.spans("atomic_add")
        assert all(SECRET not in span.to_json() for span in collector.spans())
        assert SECRET not in collector.reader.get_metrics_data().to_json()

    def test_a_run_is_one_call(self, collector, sqlite_url):
        class Base(DeclarativeBase):
            pass

        class Tag(Base):
            __tablename__ = "tags"
            id = mapped_column(Integer, primary_key=True)
            label = mapped_column(String(9))

        engine = create_engine(sqlite_url)
        Base.metadata.create_all(engine)
        atomic = Atomic(SQLAlchemyLayer(sessionmaker(engine)), collector.telemetry())
        atomic.resource(TagSchema, model=Tag)
        client = application(atomic).test_client()

        assert post(client, *[add("tags")] * 3).status == 200
        assert post(client, *(update("tags", id, attributes={"label": "x"}) for id in "123")).status == 200
        assert post(client, *(remove("tags", id) for id in "12")).status == 204

        runs = [span.attributes for span in collector.spans() if span.name.endswith("_all")]
        assert [(run["flask_atomic.hook"], run["flask_atomic.operations"]) for run in runs] == [
            ("atomic_add_all", 3),
            ("atomic_update_all", 3),
            ("atomic_remove_all", 2),
        ]
        assert {run["flask_atomic.resource.type"] for run in runs} == {"tags"}
        assert collector.points("operations") == {
            ("add", "committed", "tags"): 3,
            ("update", "committed", "tags"): 3,
            ("remove", "committed", "tags"): 2,
        }


class TestMetrics:
    def test_operations_that_were_committed(self, client, collector):
        post(client, person("Ann"), person("Bob"), add("tags", id="a"))
        post(client, relate("add", id_("people", "1"), "friends", [id_("people", "2")]))

        assert collector.points("operations") == {
            ("add", "committed", "people"): 3,
            ("add", "committed", "tags"): 1,
        }

    @pytest.mark.parametrize(
        ("failure", "outcome"),
        [(Conflict("no"), "refused"), (ZeroDivisionError(), "defect")],
    )
    def test_operations_that_failed(self, failure, outcome, client, collector, failures):
        failures["Ann"] = failure

        post(client, person("Ann"))

        assert collector.points("operations") == {("add", outcome, "people"): 1}

    def test_calls(self, client, collector):
        post(client, person("Ann"), person("Bob"))

        calls = collector.points("hook.duration")
        assert calls["atomic_add", "done", "people"] == 2
        assert calls["atomic_commit", "done"] == 1

    def test_transactions(self, client, collector):
        post(client, person("Ann"))
        post(client, person("Bob"))
        post(client, remove("people", "9"))

        assert collector.points("transaction.duration") == {("committed",): 2, ("rolled back",): 1}

    def test_attempts_after_the_first(self, client, collector, failures):
        failures["Eve"] = ZeroDivisionError()

        post(client, person("Ann"), person("Bob"))
        assert collector.points("retries") == {}

        post(client, person("Ann"), person("Eve"))
        post(client, person("Ann"), person("Eve"))
        assert collector.points("retries") == {(): 2}

    def test_an_attempt_is_one_however_many_layers_take_part(self, collector):
        atomic = Atomic(MemoryLayer(name="first"), MemoryLayer(name="second"), collector.telemetry(), Spoiler())
        atomic.resource(TagSchema, layer="first", id_type=str, client_ids="allowed")
        atomic.resource(schema("labels"), layer="second", id_type=str, client_ids="allowed")

        post(application(atomic).test_client(), add("tags", id="a"), add("labels", id="b"))

        assert len(collector.spans("atomic transaction")) == 4
        assert collector.points("retries") == {(): 1}

    def test_buckets_are_of_seconds(self, client, collector):
        post(client, person("Ann"))

        (scope,) = collector.reader.get_metrics_data().resource_metrics[0].scope_metrics
        durations = [metric for metric in scope.metrics if metric.name.endswith(".duration")]
        assert {metric.unit for metric in durations} == {"s"}
        assert {metric.data.data_points[0].explicit_bounds[0] for metric in durations} == {0.0005}


def test_a_command_is_no_request(collector):
    made = world(collector.telemetry())

    result = made.client.application.test_cli_runner().invoke(cli.atomic, ["purge"])

    assert (result.exit_code, result.output) == (0, "atomic (/api/operations): 0 forgotten by 'memory'\n")
    (transaction,) = collector.spans("atomic transaction")
    assert dict(transaction.attributes) == {"flask_atomic.outcome": "committed"}


def test_it_is_not_imported_by_the_package():
    code = "import flask_atomic, flask_atomic.testing, sys; sys.exit('opentelemetry' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_without_providers_those_of_the_process_are_used():
    made = world(Telemetry())

    assert isinstance(made.client.application, Flask)
    assert post(made.client, person("Ann")).status == 200
