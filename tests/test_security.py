"""What the page on security says of other sites, of what answers tell, and of what gets into the log."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask, abort
from marshmallow import ValidationError
from marshmallow_jsonapi import Schema, fields
from sqlalchemy import create_engine
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, sessionmaker

from flask_atomic import Atomic, MemoryLayer, hookimpl
from flask_atomic.hookspecs import DataLayer, Observer
from flask_atomic.layers.sqlalchemy import SQLAlchemyLayer
from tests.application import add, application, declare, id_, post, relate, remove, seeded, send, update, world
from tests.servers import engines_disposed

BODY = b'{"atomic:operations":[{"op":"add","data":{"type":"tags","id":"a"}}]}'


# ------------------------------------------------------------------------------------------------------- other sites

WITHOUT_PREFLIGHT = [
    None,
    "",
    "text/plain",
    "text/plain; charset=utf-8",
    "TEXT/PLAIN",
    "application/x-www-form-urlencoded",
    "application/x-www-form-urlencoded;charset=UTF-8",
    "multipart/form-data",
    "multipart/form-data; boundary=application/json",
    # What a browser takes for one of these, and a careless server for JSON.
    "text/plain;application/json",
    "text/plain; application/vnd.api+json",
    "text/plain;,application/json",
    "text/plain, application/json",
    'text/plain; a="application/json"',
    "text/plain;application/vnd.api+json;ext=https://jsonapi.org/ext/atomic",
]
"""What a page of another site can have a browser send as `Content-Type` without being asked (Fetch, 2.2.2)."""


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("content_type", WITHOUT_PREFLIGHT)
def test_what_browsers_send_without_asking_is_refused(content_type: str | None, strict: bool) -> None:
    made = world(ATOMIC_STRICT_MEDIA_TYPE=strict)

    answer = send(made.client, BODY, content_type=content_type)

    assert answer.response.status_code == 415
    assert made.layer._entities == {}


def test_a_form_is_refused() -> None:
    answer = world().client.post("/api/operations", data={"atomic:operations": "[]"})

    assert answer.status_code == 415


@pytest.mark.parametrize("content_type", ["application/json", "application/vnd.api+json"])
def test_a_browser_that_asks_is_not_allowed(content_type: str) -> None:
    asked = {
        "Origin": "https://evil.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": f"content-type,{content_type}",
    }

    answer = world().client.options("/api/operations", headers=asked)

    assert answer.status_code == 200
    assert [name for name in dict(answer.headers) if name.startswith("Access-Control")] == []


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE"])
def test_no_other_method_performs_anything(method: str) -> None:
    made = world()

    answer = made.client.open("/api/operations", method=method, data=BODY, content_type="application/json")

    assert answer.status_code == 405
    assert made.layer._entities == {}


@pytest.mark.parametrize("accept", ["*/*", "application/*", "text/html,application/xhtml+xml,*/*;q=0.8"])
def test_an_answer_is_never_taken_for_a_page(accept: str) -> None:
    answer = send(world().client, BODY.replace(b'"a"', b'"<script>"'), headers={"Accept": accept})

    assert answer.response.status_code == 200
    assert answer.response.content_type.startswith("application/vnd.api+json;")


# ----------------------------------------------------------------------------------------------------------- secrets

SECRET = "correct-horse"


KEY = {"Idempotency-Key": '"a"'}


def everything(hook: str) -> list[dict[str, Any]]:
    """Operations for which the hook is called."""
    last = [remove("people", "99")] if hook == "atomic_rollback" else []
    return [
        add("people", attributes={"name": "Eve"}, relationships={"friends": [id_("people", "1")]}),
        update("people", "1", attributes={"name": "Ann B."}),
        relate("add", id_("people", "1"), "friends", [id_("people", "1")]),
        relate("update", id_("people", "1"), "friends", []),
        relate("remove", id_("people", "1"), "friends", [id_("people", "2")]),
        remove("tags", "y"),
        *last,
    ]


NOT_IN_REQUESTS = {"atomic_claim", "atomic_independent", "atomic_exclusive", "atomic_versioned", "atomic_forget"}
OF_VERSIONS = {"atomic_version", "atomic_match_version"}
HOOKS = [
    hook
    for hook in (*vars(DataLayer), *vars(Observer))
    if hook.startswith("atomic_")
    and hook not in NOT_IN_REQUESTS | OF_VERSIONS
    and (hasattr(MemoryLayer, hook) or hook in vars(Observer))
]


class Listening:
    """Somebody to call `atomic_committed` on."""

    @hookimpl
    def atomic_committed(self) -> None:
        pass


def leaking(hook: str, what: BaseException | str) -> object:
    """A plugin that stands around a hook, and raises or returns what has a secret in it."""

    @hookimpl(wrapper=True)
    def leak(self: object) -> Any:
        returned = yield
        if armed:
            armed.append("called")
            if isinstance(what, BaseException):
                raise what
            return what
        return returned

    armed: list[str] = []
    plugin = type("Leaking", (), {hook: leak})()
    plugin.armed = armed
    return plugin


FAILURES = [
    RuntimeError(SECRET),
    KeyError(SECRET),
    UnicodeDecodeError("utf-8", SECRET.encode(), 0, 1, SECRET),
    OperationalError(f"INSERT {SECRET}", {"password": SECRET}, Exception(f"postgresql://user:{SECRET}@host/db")),
    [SECRET],
]


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: type(failure).__name__)
@pytest.mark.parametrize("hook", HOOKS)
def test_nothing_that_a_plugin_raises_or_returns_is_answered(hook: str, failure: Any) -> None:
    plugin: Any = leaking(hook, failure)
    made = seeded(plugin, Listening(), ATOMIC_IDEMPOTENCY="optional", ATOMIC_RETRIES=0)
    plugin.armed.append("armed")

    answer = post(made.client, *everything(hook), headers=KEY)

    assert "called" in plugin.armed
    assert SECRET not in answer.response.text
    assert SECRET not in str(answer.response.headers)


def client_of(**members: Any) -> Any:
    """A client of an application with one type, whose schema has these members."""
    meta = type("Meta", (), {"type_": "things"})
    atomic = Atomic(MemoryLayer())
    atomic.resource(type("ThingSchema", (Schema,), {"id": fields.Str(), "Meta": meta, **members}))
    return application(atomic).test_client()


def fail(*_: Any, **__: Any) -> Any:
    raise ValueError(SECRET)


@pytest.mark.parametrize(
    "field",
    [
        fields.Str(validate=fail),
        fields.Function(deserialize=fail),
        fields.Function(serialize=fail, deserialize=str),
        fields.Str(load_default=fail),
    ],
    ids=["validator", "deserialize", "serialize", "default"],
)
def test_nothing_that_a_field_raises_is_answered(field: Any) -> None:
    client = client_of(name=field, other=fields.Str())

    for attributes in ({"name": "x"}, {"other": "x"}):
        answer = post(client, add("things", attributes=attributes))
        assert SECRET not in answer.response.text


def test_what_a_schema_says_of_a_value_is_for_the_client() -> None:
    def refuse(value: str) -> None:
        raise ValidationError("No.")

    (error,) = post(client_of(name=fields.Str(validate=refuse)), add("things", attributes={"name": "x"})).error_objects
    assert error["detail"] == "No."


@pytest.mark.parametrize("failure", [RuntimeError(SECRET), ZeroDivisionError(SECRET)])
def test_nothing_that_a_decorator_raises_is_answered(failure: Exception) -> None:
    def failing(view: Any) -> Any:
        def fail(**values: Any) -> Any:
            raise failure

        return fail

    atomic = Atomic(MemoryLayer(), decorators=[failing])
    declare(atomic)

    answer = post(application(atomic).test_client(), add("tags", id="a"))

    assert answer.response.status_code == 500
    assert SECRET not in answer.response.text


def test_no_500_of_the_application_is_told() -> None:
    atomic = Atomic(MemoryLayer(), decorators=[lambda view: lambda **values: abort(500, SECRET)])
    declare(atomic)

    answer = post(application(atomic).test_client(), add("tags", id="a"))

    assert answer.response.status_code == 500
    assert SECRET not in answer.response.text


class Base(DeclarativeBase):
    pass


class Thing(Base):
    __tablename__ = "things"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str | None]


class ThingSchema(Schema):
    id = fields.Str()
    name = fields.Str()

    class Meta:
        type_ = "things"


def on_database(url: str, **options: Any) -> Flask:
    atomic = Atomic(SQLAlchemyLayer(sessionmaker(create_engine(url, **options))))
    atomic.resource(ThingSchema, model=Thing)
    return application(atomic, ATOMIC_RETRIES=0)


@pytest.fixture
def disposed() -> Iterator[None]:
    with engines_disposed():
        yield


@pytest.mark.usefixtures("disposed")
@pytest.mark.parametrize(
    "url",
    [
        f"postgresql+psycopg://{SECRET}:{SECRET}@127.0.0.1:1/{SECRET}",
        f"mysql+pymysql://{SECRET}:{SECRET}@127.0.0.1:1/{SECRET}",
        f"sqlite:////nowhere/{SECRET}/database.sqlite",
        "sqlite://",  # without the table
    ],
)
def test_nothing_of_a_database_that_fails_is_answered(url: str) -> None:
    answer = post(on_database(url).test_client(), add("things", attributes={"name": SECRET}))

    assert answer.response.status_code in (500, 503)
    assert SECRET not in answer.response.text
    assert "things" not in answer.response.text


# --------------------------------------------------------------------------------------------------------------- log

HOSTILE = "x\nERROR forged\r\x1b[31m%s%d{0}\x00\u2028\u202e" + "y" * 1_000_000
"""What is meant to forge an entry, to colour a terminal, to be filled in, and to fill the disk."""


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.DEBUG, "flask_atomic")
    return caplog


@pytest.mark.parametrize("hook", HOOKS)
def test_no_exception_forges_or_floods_the_log(hook: str, log: pytest.LogCaptureFixture) -> None:
    plugin: Any = leaking(hook, RuntimeError(HOSTILE))
    made = seeded(plugin, Listening(), ATOMIC_IDEMPOTENCY="optional", ATOMIC_RETRIES=0)
    log.clear()
    plugin.armed.append("armed")

    post(made.client, *everything(hook), headers=KEY)

    assert "forged" in log.text
    lines = log.text.splitlines()
    assert all(line.isprintable() for line in lines)
    assert not any(line.startswith("ERROR forged") for line in lines)
    assert len(log.text) < 200_000


@pytest.mark.usefixtures("disposed")
@pytest.mark.parametrize("options", [{}, {"hide_parameters": True}])
def test_values_of_statements_are_in_the_log_unless_they_are_hidden(
    options: dict[str, Any], log: pytest.LogCaptureFixture
) -> None:
    post(on_database("sqlite://", **options).test_client(), add("things", attributes={"name": SECRET}))

    assert "no such table" in log.text
    assert (SECRET in log.text) == (not options)
