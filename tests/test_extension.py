"""The endpoint in a Flask application: methods, paths, bodies, decorators, blueprints, and `perform` without HTTP."""

from __future__ import annotations

import datetime
import io
import json
import logging

import pytest
from flask import Blueprint, Flask, Response, abort, current_app, got_request_exception, request
from marshmallow import ValidationError
from marshmallow_jsonapi import Schema, fields
from werkzeug.datastructures import WWWAuthenticate
from werkzeug.exceptions import Unauthorized
from werkzeug.routing import RequestRedirect

from flask_atomic import Atomic, MemoryLayer, RequestFailed, current_operation, hookimpl
from flask_atomic.errors import Code, ErrorObject, PluginDefect
from tests.application import (
    CONTENT_TYPE,
    Answer,
    add,
    application,
    declare,
    id_,
    post,
    relate,
    remove,
    schema,
    seeded,
    send,
    stored,
    to_one,
    update,
    world,
)

BOATS = schema("boats", name=fields.Str())


def fleet(**options):
    """An `Atomic` that serves boats in memory."""
    atomic = Atomic(MemoryLayer(), **options)
    atomic.resource(BOATS)
    return atomic


@pytest.fixture(scope="module")
def client():
    return seeded().client


class TestMethods:
    """Statement A11, and part 1 of requests."""

    @pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "TRACE", "HEAD", "PROPFIND", "FOO"])
    @pytest.mark.parametrize("path", ["/api/operations", "/api/operations/"])
    def test_others_than_post_are_not_allowed(self, client, method, path):
        response = client.open(path, method=method)

        assert response.status_code == 405
        assert response.headers["Allow"] == "OPTIONS, POST"
        assert response.headers["Content-Type"] == CONTENT_TYPE
        if method == "HEAD":
            assert response.data == b""
        else:
            assert Answer(None, response).errors == [(405, "method-not-allowed", None)]

    def test_options_are_told(self, client):
        response = client.options("/api/operations")

        assert (response.status_code, response.headers["Allow"], response.data) == (200, "OPTIONS, POST", b"")
        assert response.vary.as_set() == {"accept"}

    def test_options_are_not_decorated(self):
        """A login check must not answer the question of a browser what it may send."""
        client = application(fleet(decorators=[lambda view: lambda: abort(401)])).test_client()

        assert client.options("/api/operations").status_code == 200
        assert client.post("/api/operations").status_code == 401

    @pytest.mark.parametrize("path", ["/api/operations", "/api/operations/"])
    def test_a_slash_at_the_end_makes_no_difference(self, client, path):
        operation = {"op": "update", "href": "people/1", "data": id_("people", "1")}

        assert post(client, operation, path=path).results[0]["data"]["id"] == "1"

    def test_other_paths_are_the_applications(self, client):
        response = client.post("/api/operation")

        assert response.status_code == 404
        assert response.mimetype == "text/html"


class TestBody:
    def test_a_media_type_that_is_not_supported(self, client):
        answer = post(client, add("nothing"), content_type="text/plain")

        assert answer.errors == [(415, "unsupported-media-type", None)]
        assert answer.error_objects[0]["source"] == {"header": "Content-Type"}

    def test_the_media_type_with_the_extension_may_be_insisted_on(self):
        client = seeded(ATOMIC_STRICT_MEDIA_TYPE=True).client

        assert post(client, update("people", "1")).status == 200
        assert post(client, update("people", "1"), content_type="application/vnd.api+json").status == 415

    def test_an_answer_that_is_not_acceptable(self, client):
        answer = post(client, update("people", "1"), headers={"Accept": "text/html"})

        assert answer.errors == [(406, "not-acceptable", None)]

    @pytest.mark.parametrize("size", [100, 99])
    def test_one_over_the_limit(self, size):
        client = world(MAX_CONTENT_LENGTH=99).client
        body = json.dumps({"atomic:operations": [add("tags", id="a")]}).ljust(size)

        answer = send(client, body)

        if size > 99:
            assert answer.errors == [(413, "too-large", None)]
        else:
            assert answer.status == 200

    @pytest.mark.parametrize("size", [100, 99])
    def test_one_over_the_limit_that_does_not_say_so(self, size):
        """In chunks, without a length."""
        client = world(MAX_CONTENT_LENGTH=99).client
        body = json.dumps({"atomic:operations": [add("tags", id="a")]}).ljust(size).encode()

        response = client.post(
            "/api/operations",
            content_type=CONTENT_TYPE,
            input_stream=io.BytesIO(body),
            environ_overrides={"wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked"},
        )

        assert response.status_code == (413 if size > 99 else 200)
        if size > 99:
            assert Answer(None, response).errors == [(413, "too-large", None)]

    @pytest.mark.parametrize("terminated", [True, False])
    def test_one_that_ends_with_the_connection(self, client, caplog, terminated):
        """Nobody hears the answer, but it is no defect either."""

        class Gone(io.BytesIO):
            def readinto(self, buffer):
                raise ConnectionResetError

            def read(self, size=-1):
                raise ConnectionResetError

        response = client.post(
            "/api/operations",
            content_type=CONTENT_TYPE,
            content_length=99,
            input_stream=Gone(),
            environ_overrides={"wsgi.input_terminated": terminated},
        )

        assert Answer(None, response).errors == [(400, "bad-request", None)]
        assert [record for record in caplog.records if record.levelno > logging.INFO] == []

    @pytest.mark.parametrize("value", ["", " ", "{", "[]", "null"])
    def test_none_that_can_be_read(self, client, value):
        answer = send(client, value)

        assert answer.status == 400
        assert answer.error_objects[0]["code"] in ("invalid-json", "invalid-document")


class TestSparseFields:
    """Statement B58."""

    @pytest.mark.parametrize(
        ("query", "attributes", "relationships"),
        [
            ("fields[articles]=title", {"title"}, None),
            ("fields%5Barticles%5D=title,author", {"title"}, {"author"}),
            ("fields[articles]=tags", None, {"tags"}),
            ("fields[articles]=", None, None),
            ("fields[articles]=editors", None, None),
            ("fields[people]=", ..., ...),
        ],
    )
    def test_other_fields_are_not_sent(self, client, query, attributes, relationships):
        answer = post(client, update("articles", "3"), path=f"/api/operations?{query}")
        whole = post(client, update("articles", "3")).results[0]["data"]

        data = answer.results[0]["data"]
        for name, wanted in (("attributes", attributes), ("relationships", relationships)):
            members = whole[name] if wanted is ... else wanted and {each: whole[name][each] for each in wanted}
            assert data.get(name) == members

    def test_results_without_data_stay_as_they_are(self, client):
        operations = [relate("add", id_("people", "1"), "friends", []), update("people", "1")]

        answer = post(client, *operations, path="/api/operations?fields[people]=")

        assert answer.results == [{}, {"data": id_("people", "1")}]

    @pytest.mark.parametrize(
        "parameter", ["include", "sort", "filter[a]", "page[size]", "fields", "fields[no]", "fields[people]", "a"]
    )
    def test_other_parameters_are_refused(self, client, parameter):
        """Statements B56 and B59 to B63."""
        answer = post(client, update("people", "1"), path="/api/operations", query_string={parameter: "friends,foes"})

        assert answer.errors == [(400, "invalid-parameter", None)]
        assert answer.error_objects[0]["source"] == {"parameter": parameter}


class TestDecorators:
    @staticmethod
    def answer(*decorators, path="/api/operations", **config):
        flask = application(fleet(decorators=decorators), **config)
        return post(flask.test_client(), add("boats"), path=path)

    def test_the_first_is_the_innermost(self):
        calls = []

        def noting(name):
            def decorator(view):
                def decorated(**values):
                    calls.append(name)
                    return view(**values)

                return decorated

            return decorator

        assert self.answer(noting("inner"), noting("outer")).status == 200
        assert calls == ["outer", "inner"]

    def test_what_it_returns_is_the_answer(self):
        answer = self.answer(lambda view: lambda: ({"login": "first"}, 418, {"X-Reason": "tea"}))

        assert answer.response.json == {"login": "first"}
        assert answer.response.headers["X-Reason"] == "tea"
        assert answer.status == 418
        assert answer.response.vary.as_set() == {"accept"}

    def test_what_it_aborts_with_is_told_as_an_error_with_its_headers(self):
        schemes = [WWWAuthenticate("basic", {"realm": "here"}), WWWAuthenticate("bearer")]

        def login():
            raise Unauthorized("Log in first.", www_authenticate=schemes)

        answer = self.answer(lambda view: login)

        (error,) = answer.error_objects
        assert error == {"status": "401", "code": "unauthorized", "title": "Unauthorized", "detail": "Log in first."}
        assert [sent.strip() for sent in answer.response.headers.getlist("WWW-Authenticate")] == [
            str(scheme).strip() for scheme in schemes
        ]

    @pytest.mark.parametrize(
        ("status", "code"),
        [(400, "bad-request"), (403, "forbidden"), (429, "too-many-requests"), (503, "service-unavailable")],
    )
    def test_every_status_has_a_code(self, status, code):
        assert self.answer(lambda view: lambda: abort(status)).errors == [(status, code, None)]

    def test_a_detail_is_a_text(self):
        (error,) = self.answer(lambda view: lambda: abort(400, {"name": ["wrong"]})).error_objects

        assert error["detail"] == "{'name': ['wrong']}"

    def test_a_response_that_it_aborts_with_is_given_as_it_is(self):
        answer = self.answer(lambda view: lambda: abort(Response("no", 403, {"X-Reason": "tea"}, "text/plain")))

        assert (answer.status, answer.response.text, answer.response.mimetype) == (403, "no", "text/plain")
        assert answer.response.headers["X-Reason"] == "tea"

    def test_a_redirection_is_given_as_it_is(self):
        def elsewhere():
            raise RequestRedirect("http://localhost/login")

        answer = self.answer(lambda view: elsewhere)

        assert (answer.status, answer.response.headers["Location"]) == (308, "http://localhost/login")

    @pytest.mark.parametrize("failure", [ZeroDivisionError("secret"), None])
    def test_a_defect_is_told_with_an_id(self, failure, caplog):
        def defect():
            if failure:
                raise failure
            abort(500, "secret")

        heard = []
        flask = application(fleet(decorators=[lambda view: defect]))
        with got_request_exception.connected_to(lambda sender, exception: heard.append(exception), flask):
            answer = post(flask.test_client(), add("boats"))

        assert answer.errors == [(500, "internal-error", None)]
        assert "secret" not in answer.response.text
        assert answer.error_objects[0]["id"] in caplog.records[0].getMessage()
        assert heard == [caplog.records[0].exc_info[1]]

    def test_a_refusal_is_told_as_one(self):
        def refuse():
            raise RequestFailed(ErrorObject.of(Code.OPERATION_REFUSED, "Not on Sundays."), headers={"Retry-After": "9"})

        answer = self.answer(lambda view: refuse)

        assert answer.errors == [(403, "operation-refused", None)]
        assert answer.response.headers["Retry-After"] == "9"

    def test_errors_are_answers_in_every_mode(self):
        """Nothing is left to a debugger, which would answer a client of the API with a page."""
        answer = self.answer(lambda view: lambda: 1 / 0, TESTING=True, DEBUG=True)

        assert answer.errors == [(500, "internal-error", None)]


class TestBlueprints:
    def test_one_of_the_applications_keeps_its_own_errors(self):
        blueprint = Blueprint("pages", __name__)
        blueprint.add_url_rule("/page", view_func=lambda: abort(403))
        blueprint.register_error_handler(403, lambda error: ("No page.", 403))
        client = application(fleet(blueprint=blueprint)).test_client()

        assert client.get("/api/page").text == "No page."
        assert client.post("/api/page").mimetype == "text/html"
        assert post(client, add("nothing")).errors == [(404, "unknown-type", "/0/data/type")]
        assert client.get("/api/operations").json["errors"][0]["code"] == "method-not-allowed"

    def test_error_handlers_of_the_application_are_not_asked(self):
        flask = application(fleet(decorators=[lambda view: lambda: abort(403)]))
        flask.register_error_handler(Exception, lambda error: ("Sorry.", 500))

        assert post(flask.test_client(), add("boats")).errors == [(403, "forbidden", None)]

    def test_a_prefix_may_have_variables(self):
        """They reach the view's decorators, and a href is relative to what they stood for."""
        tenants = []

        def decorator(view):
            def decorated(tenant):
                tenants.append(tenant)
                return view(tenant=tenant)

            return decorated

        client = application(fleet(decorators=[decorator]), url_prefix="/<tenant>/api").test_client()
        path = "/acme%20inc/api/operations"
        post(client, add("boats"), path=path)

        for href in ("boats/1", "/acme%20inc/api/boats/1", "http://localhost/acme%20inc/api/boats/1"):
            assert post(client, {**update("boats", "1"), "href": href}, path=path).status == 200
        elsewhere = {**update("boats", "1"), "href": "/other/api/boats/1"}
        assert post(client, elsewhere, path=path).errors == [(404, "unknown-href", "/0/href")]
        assert tenants == ["acme inc"] * 5

    def test_nested_ones(self):
        outer = Blueprint("outer", __name__, url_prefix="/outer")
        outer.register_blueprint(fleet().blueprint, url_prefix="/inner")
        flask = Flask("application")
        flask.register_blueprint(outer)

        operation = {**add("boats"), "href": "/outer/inner/boats"}
        assert post(flask.test_client(), operation, path="/outer/inner/operations").status == 200

    @pytest.mark.parametrize(
        ("prefix", "path", "url", "href"),
        [
            (None, "/operations", "/operations", "/boats/1"),
            ("/", "/operations", "/operations", "/boats/1"),
            ("/api", "/v1/atomic.json", "/api/v1/atomic.json", "/api/boats/1"),
            ("/api", "/v1/operations", "/api/v1/operations/", "../boats/1"),
        ],
    )
    def test_prefix_and_path_may_be_any(self, prefix, path, url, href):
        client = application(fleet(path=path), url_prefix=prefix).test_client()

        answer = post(client, add("boats"), {**update("boats", "1"), "href": href}, path=url)

        assert answer.status == 200

    def test_an_application_may_be_mounted_below_a_path(self):
        client = application(fleet()).test_client()
        mounted = {"environ_overrides": {"SCRIPT_NAME": "/mounted"}}

        assert post(client, add("boats"), {**update("boats", "1"), "href": "boats/1"}, **mounted).status == 200
        assert post(client, {**update("boats", "1"), "href": "/mounted/api/boats/1"}, **mounted).status == 200
        assert post(client, {**update("boats", "1"), "href": "/api/boats/1"}, **mounted).status == 404


class TestHosts:
    @pytest.mark.parametrize(
        ("host", "href", "status"),
        [
            ("localhost", "http://localhost/api/boats/1", 200),
            ("localhost", "https://LOCALHOST:443/api/boats/1", 200),
            ("localhost", "//localhost:80/api/boats/1", 200),
            ("localhost:5000", "http://localhost:5000/api/boats/1", 200),
            ("localhost:5000", "http://localhost/api/boats/1", 404),
            ("localhost", "http://example.org/api/boats/1", 404),
            ("localhost", "//example.org/api/boats/1", 404),
            ("localhost", "ftp://localhost/api/boats/1", 404),
            ("localhost", "mailto:boats", 404),
            ("[::1]:5000", "http://[::1]:5000/api/boats/1", 200),
            ("localhost", "http://[::1/api/boats/1", 400),
            ("localhost", "http://localhost:port/api/boats/1", 400),
            ("what is this", "boats/1", 200),
        ],
    )
    def test_a_href_leads_to_this_one(self, host, href, status):
        client = application(fleet()).test_client()
        post(client, add("boats"))

        answer = post(client, {**update("boats", "1"), "href": href}, headers={"Host": host})

        assert answer.status == status
        if status != 200:
            assert answer.errors == [(status, "invalid-href" if status == 400 else "unknown-href", "/0/href")]
            assert "port" not in answer.error_objects[0]["detail"].lower()


class TestSeveral:
    def test_several_in_one_application(self):
        """Each has its own types, permissions and store."""
        public = Atomic(MemoryLayer(), name="public", path="/v1")
        public.resource(BOATS, operations=["add"])
        internal = Atomic(MemoryLayer(), name="internal", path="/v2")
        internal.resource(BOATS)
        internal.resource(schema("ships"))
        flask = application(public)
        flask.register_blueprint(internal.blueprint, url_prefix="/api")
        client = flask.test_client()

        assert post(client, add("boats"), path="/api/v1").status == 200
        assert post(client, remove("boats", "1"), path="/api/v1").errors == [(403, "operation-not-supported", "/0/op")]
        assert post(client, add("ships"), path="/api/v1").errors == [(404, "unknown-type", "/0/data/type")]
        assert post(client, remove("boats", "1"), path="/api/v2").errors == [(404, "resource-not-found", "/0/ref/id")]
        assert post(client, add("ships"), path="/api/v2").status == 200
        assert set(flask.extensions["atomic"]) == {public, internal}

    def test_two_on_one_blueprint(self):
        blueprint = Blueprint("api", __name__)
        for path in ("/a", "/b"):
            atomic = fleet(blueprint=blueprint, path=path)
        client = application(atomic).test_client()

        assert [post(client, add("boats"), path=f"/api{path}").status for path in ("/a", "/b", "/c")] == [200, 200, 404]

    def test_one_in_several_applications(self):
        """Settings belong to the application."""
        atomic = fleet()
        lenient, strict = application(atomic), application(atomic, ATOMIC_MAX_OPERATIONS=1)

        assert post(lenient.test_client(), add("boats"), add("boats")).status == 200
        assert post(strict.test_client(), add("boats"), add("boats")).status == 422

    def test_one_under_two_prefixes(self):
        atomic = fleet()
        flask = application(atomic)
        services = dict(flask.extensions["atomic"])
        flask.register_blueprint(atomic.blueprint, name="again", url_prefix="/again")
        client = flask.test_client()

        assert flask.extensions["atomic"] == services

        assert post(client, {**add("boats"), "href": "/api/boats"}).status == 200
        assert post(client, {**add("boats"), "href": "/again/boats"}, path="/again/operations").status == 200
        assert post(client, {**add("boats"), "href": "/again/boats"}).status == 404

    def test_an_application_from_a_factory(self):
        atomic = fleet()

        def create_app():
            flask = Flask("made")
            flask.register_blueprint(atomic.blueprint)
            return flask

        for _ in range(2):
            assert post(create_app().test_client(), add("boats"), path="/operations").status == 200


DOCUMENT = {"atomic:operations": [add("tags", id="z", attributes={"label": "é"})]}
RESULTS = [{"data": {"type": "tags", "id": "z", "attributes": {"label": "é"}}}]


class TestPerform:
    @pytest.mark.parametrize("form", [dict, json.dumps, lambda value: json.dumps(value, ensure_ascii=False).encode()])
    def test_the_results_are_returned(self, form):
        made = world()

        with made.client.application.app_context():
            assert made.atomic.perform(form(DOCUMENT)) == RESULTS

        assert len(stored(made.layer)) == 1

    def test_results_without_data_are_empty(self):
        made = seeded()

        with made.client.application.app_context():
            assert made.atomic.perform({"atomic:operations": [remove("tags", "x")]}) == [{}]

    @pytest.mark.parametrize(
        ("document", "error"),
        [
            ({"atomic:operations": [add("tags", id="x"), add("nothing")]}, (404, "unknown-type")),
            ({"atomic:operations": [add("tags", id="x")]}, (409, "id-taken")),
            ({}, (400, "invalid-document")),
            ("{", (400, "invalid-json")),
            (b"\xff", (400, "invalid-json")),
            ("\ud800", (400, "invalid-json")),
            ({"atomic:operations": [float("nan")]}, (400, "invalid-json")),
        ],
    )
    def test_a_refusal_is_raised(self, document, error):
        made = seeded()
        before = stored(made.layer)

        with made.client.application.app_context(), pytest.raises(RequestFailed) as caught:
            made.atomic.perform(document)

        assert [(each.status, each.code) for each in caught.value.errors] == [error]
        assert stored(made.layer) == before

    def test_a_defect_is_raised_with_its_reason(self):
        class Broken:
            @hookimpl(wrapper=True)
            def atomic_add(self):
                raise ZeroDivisionError
                yield

        made = world(Broken())

        with made.client.application.app_context(), pytest.raises(PluginDefect) as caught:
            made.atomic.perform(DOCUMENT)

        assert isinstance(caught.value.__cause__, ZeroDivisionError)

    @pytest.mark.parametrize(
        ("href", "code"),
        [
            ("people/1", None),
            ("/api/people/1", None),
            ("/people/1", "unknown-href"),
            ("http://localhost/api/people/1", "unknown-href"),
            ("//localhost/api/people/1", "unknown-href"),
        ],
    )
    def test_a_href_is_relative_to_where_the_endpoint_was_registered(self, href, code):
        """There is no host without a request."""
        made = seeded()
        document = {"atomic:operations": [{**update("people", "1"), "href": href}]}

        with made.client.application.app_context():
            if code is None:
                assert made.atomic.perform(document)[0]["data"]["id"] == "1"
            else:
                with pytest.raises(RequestFailed) as caught:
                    made.atomic.perform(document)
                assert caught.value.errors[0].code == code

    def test_it_needs_an_application(self):
        with pytest.raises(RuntimeError, match="application context"):
            world().atomic.perform(DOCUMENT)

    def test_negotiation_and_settings_of_answers_do_not_matter(self):
        made = world(ATOMIC_STRICT_MEDIA_TYPE=True, ATOMIC_NO_CONTENT=True)

        with made.client.application.app_context():
            assert made.atomic.perform(DOCUMENT) == RESULTS


class TestResults:
    @pytest.mark.parametrize("value", [object(), datetime.timedelta(1), b"bytes"])
    @pytest.mark.parametrize("count", [1, 2])
    def test_what_cannot_be_written_is_not_stored(self, value, count, caplog):
        class Odd(Schema):
            id = fields.Str()
            value = fields.Raw(dump_only=True)

            class Meta:
                type_ = "odd"

        layer = MemoryLayer()
        atomic = Atomic(layer)
        atomic.resource(Odd, defaults={"value": lambda: value})

        answer = post(application(atomic).test_client(), *[add("odd")] * count)

        assert answer.errors == [(500, "internal-error", None)]
        assert "Odd" in str(caplog.records[0].exc_info[1])
        assert stored(layer) == {}

    @pytest.mark.parametrize("text", ["é", "\u2028", "𝄞", '"\\/', "<script>"])
    def test_texts_come_back_as_they_were_sent(self, text):
        answer = post(world().client, add("tags", id=text, attributes={"label": text}))

        assert answer.results == [{"data": {"type": "tags", "id": text, "attributes": {"label": text}}}]


class Overheard:
    """Notes the current operation in the hooks of a request."""

    def __init__(self):
        self.heard = []

    def note(self, hook):
        self.heard.append((hook, current_operation.index if current_operation else None))

    @hookimpl
    def atomic_authorize(self):
        self.note("authorize")

    @hookimpl(wrapper=True)
    def atomic_add(self):
        self.note("add")
        return (yield)

    @hookimpl(wrapper=True)
    def atomic_remove(self):
        self.note("remove")
        yield

    @hookimpl(wrapper=True)
    def atomic_linkage(self):
        self.note("linkage")
        return (yield)

    @hookimpl(wrapper=True)
    def atomic_prepare(self):
        self.note("prepare")
        yield

    @hookimpl
    def atomic_committed(self):
        self.note("committed")


class TestCurrentOperation:
    @pytest.mark.parametrize("batch", [True, False])
    def test_hooks_know_it(self, batch):
        overheard = Overheard()
        atomic = Atomic(MemoryLayer(), overheard)
        atomic.resource(schema("boats", tender=to_one("boats")))

        post(application(atomic, ATOMIC_BATCH=batch).test_client(), add("boats"), add("boats"), remove("boats", "1"))

        assert overheard.heard == [
            ("authorize", 0),
            ("authorize", 1),
            ("authorize", 2),
            ("add", 0),
            ("linkage", 0),
            ("add", 1),
            ("linkage", 1),
            ("remove", 2),
            ("prepare", None),
            ("committed", None),
        ]

    def test_validators_know_it(self):
        def check(value):
            if value != current_operation.meta["expected"]:
                raise ValidationError(f"Not what operation {current_operation.index} is about.")

        atomic = Atomic(MemoryLayer())
        atomic.resource(schema("boats", name=fields.Str(validate=check)))
        client = application(atomic).test_client()
        operations = [
            {**add("boats", attributes={"name": name}), "meta": {"expected": expected}}
            for name, expected in (("a", "a"), ("b", "b"), ("a", "b"))
        ]

        assert post(client, *operations[:2]).status == 200
        answer = post(client, *operations)
        assert answer.errors == [(422, "invalid-attribute", "/2/data/attributes/name")]
        assert answer.error_objects[0]["detail"] == "Not what operation 2 is about."

    def test_computed_fields_know_it_unless_several_are_shown_together(self):
        shown = fields.Function(lambda entity: current_operation.op if current_operation else None)
        atomic = Atomic(MemoryLayer())
        atomic.resource(schema("boats", by=shown))

        answer = post(application(atomic).test_client(), add("boats"), update("boats", "1"))

        assert [result["data"]["attributes"]["by"] for result in answer.results] == ["add", "update"]

    def test_there_is_none_outside(self):
        assert not current_operation
        with pytest.raises(RuntimeError, match="No single operation"):
            _ = current_operation.op

    def test_there_is_none_after_a_failure(self):
        post(seeded().client, add("nothing"), remove("people", "9"))

        assert not current_operation


def test_the_context_of_the_request_is_there():
    """Hooks and schemas run in it, and see the application that is serving."""

    class Curious:
        @hookimpl
        def atomic_authorize(self):
            seen.append((current_app.name, request.path))

    seen = []
    atomic = Atomic(MemoryLayer(), Curious())
    declare(atomic)

    post(application(atomic).test_client(), add("tags", id="a"))

    assert seen == [("application", "/api/operations")]


def test_what_clients_do_wrong_is_logged_as_the_end_of_a_request_and_nothing_else(caplog):
    client = seeded().client

    with caplog.at_level(logging.DEBUG, "flask_atomic"):
        post(client, add("nothing"))
        post(client, remove("people", "9"))
        send(client, b"\xff")

    logged = [(record.name, record.levelname, record.codes) for record in caplog.records]
    codes = ["unknown-type", "resource-not-found", "invalid-json"]
    assert logged == [("flask_atomic.requests", "INFO", (code,)) for code in codes]
