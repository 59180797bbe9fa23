"""Spans and metrics of OpenTelemetry, for whoever registers `Telemetry`: a plugin that only wraps and observes.

It needs the extra `opentelemetry`. Spans and metrics have names of hooks, operations and resource types, and spans the
id of the request; nothing else that a client has sent, and nothing that is stored.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from opentelemetry.metrics import Histogram, Meter, MeterProvider, get_meter
from opentelemetry.trace import Span, StatusCode, TracerProvider, get_tracer, set_span_in_context, use_span

from .context import current_operation, current_request
from .errors import OperationFailed, RequestFailed, Transient, UnknownOutcome
from .hookspecs import Id, Operation, Record, Resource, Unit, hookimpl
from .operations import ResourceObject

__all__ = ["Telemetry"]

_SCOPE = "flask_atomic"
_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

_OUTCOMES: Mapping[type[Exception], str] = {
    Transient: "transient",
    UnknownOutcome: "unknown",
    OperationFailed: "refused",
    RequestFailed: "refused",
}

Attributes = Mapping[str, str | int]
Wrapping = Generator[None, Any, Any]


@dataclass(frozen=True, slots=True)
class _Transaction:
    """A unit of work that is open, and its span."""

    unit: Unit
    span: Span
    started: float


_open: ContextVar[tuple[_Transaction, ...]] = ContextVar("flask_atomic.telemetry", default=())
"""The units of the attempt that is under way."""

_counted: ContextVar[tuple[str, int]] = ContextVar("flask_atomic.telemetry.counted", default=("", 0))
"""The last attempt that was counted as a retry, by the id of its request."""


def _wrapper_of_type(hook: str) -> Callable[..., Wrapping]:
    @hookimpl(wrapper=True, tryfirst=True)
    def wrapper(self: Telemetry, unit: Unit, resource: Resource) -> Wrapping:
        with self._call(hook, unit, resource):
            return (yield)

    return wrapper


def _wrapper_of_run(hook: str) -> Callable[..., Wrapping]:
    @hookimpl(wrapper=True, tryfirst=True)
    def wrapper(self: Telemetry, unit: Unit, resource: Resource, ids: Sequence[Id | None]) -> Wrapping:
        with self._call(hook, unit, resource, operations=len(ids)):
            return (yield)

    return wrapper


def _wrapper_of_unit(hook: str) -> Callable[..., Wrapping]:
    @hookimpl(wrapper=True, tryfirst=True)
    def wrapper(self: Telemetry, unit: Unit) -> Wrapping:
        with self._call(hook, unit):
            return (yield)

    return wrapper


class Telemetry:
    """A plugin that tells OpenTelemetry about transactions, hooks and operations.

    :param tracer_provider: what makes spans; the global one by default.
    :param meter_provider: what makes metrics; the global one by default.
    """

    name = "telemetry"

    def __init__(
        self, tracer_provider: TracerProvider | None = None, meter_provider: MeterProvider | None = None
    ) -> None:
        self._tracer = get_tracer(_SCOPE, tracer_provider=tracer_provider)
        meter = get_meter(_SCOPE, meter_provider=meter_provider)
        self._operations = meter.create_counter(
            "flask_atomic.operations", "{operation}", "Operations that were committed, and those that a hook refused."
        )
        self._retries = meter.create_counter(
            "flask_atomic.retries", "{attempt}", "Attempts at requests that were attempted before."
        )
        self._calls = _histogram(meter, "flask_atomic.hook.duration", "How long the hooks of data layers take.")
        self._transactions = _histogram(meter, "flask_atomic.transaction.duration", "How long transactions are open.")

    atomic_get = _wrapper_of_type("atomic_get")
    atomic_linkage = _wrapper_of_type("atomic_linkage")
    atomic_add = _wrapper_of_type("atomic_add")
    atomic_update = _wrapper_of_type("atomic_update")
    atomic_remove = _wrapper_of_type("atomic_remove")
    atomic_add_all = _wrapper_of_run("atomic_add_all")
    atomic_update_all = _wrapper_of_run("atomic_update_all")
    atomic_remove_all = _wrapper_of_run("atomic_remove_all")
    atomic_add_to_relationship = _wrapper_of_type("atomic_add_to_relationship")
    atomic_set_relationship = _wrapper_of_type("atomic_set_relationship")
    atomic_remove_from_relationship = _wrapper_of_type("atomic_remove_from_relationship")
    atomic_flush = _wrapper_of_unit("atomic_flush")
    atomic_prepare = _wrapper_of_unit("atomic_prepare")
    atomic_recall = _wrapper_of_unit("atomic_recall")
    atomic_remember = _wrapper_of_unit("atomic_remember")

    @hookimpl(wrapper=True, tryfirst=True)
    def atomic_begin(self) -> Wrapping:
        started = perf_counter()
        span = self._tracer.start_span("atomic transaction", attributes=_attempt())
        self._count_retry()
        try:
            unit = yield
        except BaseException as error:
            _fail(span, error)
            span.end()
            raise
        _open.set((*_open.get(), _Transaction(unit, span, started)))
        return unit

    @hookimpl(wrapper=True, tryfirst=True)
    def atomic_commit(self, unit: Unit) -> Wrapping:
        try:
            with self._call("atomic_commit", unit):
                result = yield
        except UnknownOutcome:
            self._end(unit, "unknown")
            raise
        self._end(unit, "committed")
        return result

    @hookimpl(wrapper=True, tryfirst=True)
    def atomic_rollback(self, unit: Unit) -> Wrapping:
        try:
            return (yield)
        finally:
            self._end(unit, "rolled back")

    @hookimpl
    def atomic_committed(self, records: Sequence[Record]) -> None:
        for record in records:
            self._count(record.operation, "committed")

    def _count_retry(self) -> None:
        attempt = (current_request.id, current_request.attempts) if bool(current_request) else ("", 0)
        if attempt[1] > 1 and attempt != _counted.get():  # an attempt begins several units
            _counted.set(attempt)
            self._retries.add(1)

    @contextmanager
    def _call(
        self, hook: str, unit: Unit, resource: Resource | None = None, operations: int | None = None
    ) -> Iterator[None]:
        attributes: Attributes = {"flask_atomic.hook": hook, **_type(resource)}
        transaction = _transaction_of(unit)
        parent = None if transaction is None else set_span_in_context(transaction.span)
        span = self._tracer.start_span(hook, parent, attributes={**attributes, **_operations(operations)})
        started, outcome = perf_counter(), "done"
        with use_span(span, end_on_exit=True, record_exception=False, set_status_on_exception=False):
            try:
                yield
            except BaseException as error:
                outcome = _fail(span, error)
                if bool(current_operation):
                    self._count(current_operation, outcome)
                raise
            finally:
                self._calls.record(perf_counter() - started, {**attributes, "flask_atomic.outcome": outcome})

    def _count(self, operation: Operation, outcome: str) -> None:
        target = operation.data if isinstance(operation.data, ResourceObject) else operation.ref
        assert target is not None
        self._operations.add(
            1,
            {
                "flask_atomic.operation": operation.op,
                "flask_atomic.resource.type": target.type,
                "flask_atomic.outcome": outcome,
            },
        )

    def _end(self, unit: Unit, outcome: str) -> None:
        transaction = _transaction_of(unit)
        if transaction is None:
            return
        _open.set(tuple(other for other in _open.get() if other is not transaction))
        transaction.span.set_attribute("flask_atomic.outcome", outcome)
        transaction.span.end()
        self._transactions.record(perf_counter() - transaction.started, {"flask_atomic.outcome": outcome})


def _histogram(meter: Meter, name: str, description: str) -> Histogram:
    return meter.create_histogram(name, "s", description, explicit_bucket_boundaries_advisory=_SECONDS)


def _transaction_of(unit: Unit) -> _Transaction | None:
    """Nobody else's unit is the same object; two layers that return one constant for all units share a span."""
    return next((transaction for transaction in reversed(_open.get()) if transaction.unit is unit), None)


def _attempt() -> Attributes:
    if not bool(current_request):  # no request needed the unit, but a command
        return {}
    return {"flask_atomic.request.id": current_request.id, "flask_atomic.attempt": current_request.attempts}


def _type(resource: Resource | None) -> Attributes:
    return {} if resource is None else {"flask_atomic.resource.type": resource.type}


def _operations(count: int | None) -> Attributes:
    """What is performed: so many operations, or the current one if there is one."""
    if count is not None:
        return {"flask_atomic.operations": count}
    if not bool(current_operation):
        return {}
    return {"flask_atomic.operation": current_operation.op, "flask_atomic.operation.index": current_operation.index}


def _fail(span: Span, error: BaseException) -> str:
    """Tell the span of an exception, whose message may hold what a client sent, by its type; return the outcome."""
    span.set_attribute("error.type", type(error).__qualname__)
    outcome = next((outcome for kind, outcome in _OUTCOMES.items() if isinstance(error, kind)), "defect")
    if outcome != "refused":
        span.set_status(StatusCode.ERROR)
    return outcome
