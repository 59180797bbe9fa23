"""Where the application itself serves resources: `links.self` in results, and `href` to its own URLs."""

from __future__ import annotations

import pytest
from flask import Flask
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.test import Client

from flask_atomic import Atomic, ConfigurationError, MemoryLayer
from tests.application import add, id_, post, schema, to_many, update


def application(rule: str = "/stories/<int:id>", endpoint: str = "show", prefix: str | None = "/api") -> Flask:
    atomic = Atomic(MemoryLayer())
    atomic.resource(schema("articles", authors=to_many("people")), endpoint=endpoint)
    atomic.resource(schema("people"))
    app = Flask("application")
    app.register_blueprint(atomic.blueprint, url_prefix=prefix)
    app.add_url_rule(rule, "show", lambda **values: values)
    app.add_url_rule("/people/<int:id>", "person", lambda **values: values)
    return app


@pytest.fixture
def client():
    client = application().test_client()
    post(client, add("articles"), add("people"))
    return client


class TestSelf:
    def test_it_is_there_where_the_application_serves_the_resource(self, client):
        article, person = post(client, add("articles"), add("people")).results

        assert article["data"]["links"] == {"self": "/stories/3"}
        assert "links" not in person["data"]
        assert client.get(article["data"]["links"]["self"]).json == {"id": 3}

    def test_under_a_mount_it_has_the_path_of_the_mount(self):
        mounted = Client(DispatcherMiddleware(Flask("root"), {"/mount": application()}))
        document = {"atomic:operations": [add("articles")]}
        answer = mounted.post("/mount/api/operations", json=document)

        assert answer.json["atomic:results"][0]["data"]["links"] == {"self": "/mount/stories/1"}
        document = {"atomic:operations": [{"op": "remove", "href": "/mount/stories/1"}]}
        assert mounted.post("/mount/api/operations", json=document).status_code == 204
        document = {"atomic:operations": [{"op": "remove", "href": "/stories/1"}]}
        assert mounted.post("/mount/api/operations", json=document).status_code == 404

    def test_it_shares_the_variables_of_the_url_that_was_asked(self):
        app = application("/<tenant>/stories/<id>", prefix="/<tenant>/api")
        answer = app.test_client().post("/blue/api/operations", json={"atomic:operations": [add("articles")]})

        assert answer.json["atomic:results"][0]["data"]["links"] == {"self": "/blue/stories/1"}

    @pytest.mark.parametrize(("rule", "endpoint"), [("/stories/<id>", "none"), ("/<a>/<b>", "show"), ("/all", "show")])
    def test_an_endpoint_that_cannot_be_linked_to_is_a_defect_that_stores_nothing(self, rule, endpoint, caplog):
        app = application(rule, endpoint)
        answer = app.test_client().post("/api/operations", json={"atomic:operations": [add("articles")]})

        assert answer.status_code == 500
        logged = caplog.records[0].exc_info[1]
        assert isinstance(logged, ConfigurationError)
        assert f"endpoint='{endpoint}' of 'articles' must answer GET requests" in str(logged)

    def test_without_a_request_there_is_none(self):
        app = application()
        with app.app_context():
            (atomic,) = app.extensions["atomic"]
            (result,) = atomic.perform({"atomic:operations": [add("articles")]})

        assert "links" not in result["data"]


class TestHref:
    @pytest.mark.parametrize("href", ["/stories/1", "../stories/1", "http://localhost/stories/1", "/stories/1/"])
    def test_it_addresses_the_resource(self, client, href):
        (result,) = post(client, {**update("articles", "1"), "href": href}).results

        assert result["data"]["id"] == "1"

    def test_it_addresses_a_relationship(self, client):
        href = "/stories/1/relationships/authors"
        added = post(client, {"op": "add", "href": href, "data": [id_("people", "2")]}, update("articles", "1"))

        assert added.results[1]["data"]["relationships"] == {"authors": {"data": [id_("people", "2")]}}

    def test_a_url_with_a_slash_at_its_end(self):
        client = application("/stories/<id>/").test_client()
        post(client, add("articles"))

        assert post(client, {"op": "remove", "href": "/stories/1"}).response.status_code == 204

    @pytest.mark.parametrize("href", ["/stories", "/stories/x", "/people/1", "/stories%2F1", "/stories/1/authors"])
    def test_it_leads_nowhere(self, client, href):
        assert post(client, {"op": "remove", "href": href}).errors == [(404, "unknown-href", "/0/href")]
