"""Targets by `href`: every kind of operation, however the reference is written and wherever the endpoint is."""

from __future__ import annotations

import json
from urllib.parse import quote, urljoin

import pytest
from flask import Blueprint, Flask
from hypothesis import given
from hypothesis import strategies as st
from marshmallow_jsonapi import fields
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.test import Client

from flask_atomic import Atomic, MemoryLayer
from flask_atomic.href import Endpoint, resolve
from flask_atomic.operations import Ref
from flask_atomic.resources import Catalog
from tests.application import NOTE, Answer, add, id_, lid, post, remove, schema, seeded, stored, update

PEOPLE = [id_("people", "1"), id_("people", "2")]


def by_href(op, href, **members):
    return {"op": op, "href": href, **members}


# ----------------------------------------------------------------------------------------------- the kinds of operation

KINDS = {
    "add a resource": ({"op": "add", "data": {"type": "tags", "id": "new"}}, "labels"),
    "update a resource": (
        {
            "op": "update",
            "ref": id_("articles", "3"),
            "data": {**id_("articles", "3"), "attributes": {"title": "Changed"}},
        },
        "articles/3",
    ),
    "remove a resource": ({"op": "remove", "ref": id_("tags", "x")}, "labels/x"),
    "update a to-one relationship": (
        {"op": "update", "ref": {**id_("articles", "3"), "relationship": "author"}, "data": PEOPLE[1]},
        "articles/3/relationships/author",
    ),
    "clear a to-one relationship": (
        {"op": "update", "ref": {**id_("articles", "3"), "relationship": "author"}, "data": None},
        "articles/3/relationships/author",
    ),
    "add to a to-many relationship": (
        {"op": "add", "ref": {**id_("articles", "3"), "relationship": "editors"}, "data": PEOPLE},
        "articles/3/relationships/editors",
    ),
    "replace a to-many relationship": (
        {"op": "update", "ref": {**id_("articles", "3"), "relationship": "editors"}, "data": PEOPLE[:1]},
        "articles/3/relationships/editors",
    ),
    "remove from a to-many relationship": (
        {"op": "remove", "ref": {**id_("articles", "3"), "relationship": "editors"}, "data": PEOPLE},
        "articles/3/relationships/editors",
    ),
}
"""The operation with a `ref` (an `add` needs none), and where the same target lives."""

FORMS = [
    "{}",
    "{}/",
    "./{}",
    "././{}",
    "nowhere/../{}",
    "../api/{}",
    "../../../api/{}",
    "/api/{}",
    "/api/{}/",
    "/api/operations/../{}",
    "/../api/./{}",
    "/%61%70%69/{}",
    "//localhost/api/{}",
    "http://localhost/api/{}",
    "http://localhost/api/{}/",
    "https://localhost/api/{}",
    "HTTP://LocalHost:80/x/../api/{}",
]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_operation_does_what_it_does_by_ref(kind, form):
    operation, place = KINDS[kind]
    named, addressed = seeded(), seeded()
    without_ref = {name: value for name, value in operation.items() if name != "ref"}

    expected = post(named.client, operation)
    answer = post(addressed.client, {**without_ref, "href": form.format(place)})

    assert expected.status in (200, 204)
    assert (answer.status, answer.response.data) == (expected.status, expected.response.data)
    assert stored(addressed.layer) == stored(named.layer)


def test_each_segment_may_be_percent_encoded():
    made = seeded()
    href = "%61rticles/%33/%72elationships/%61uthor"

    assert post(made.client, by_href("update", href, data=None)).status == 204
    assert post(made.client, update("articles", "3")).results[0]["data"]["relationships"]["author"] == {"data": None}


# -------------------------------------------------------------------------------------------------------------- refused


@pytest.fixture(scope="module")
def refused():
    """The errors of operations that change nothing."""
    made = seeded()
    before = stored(made.layer)

    def errors(*operations, **options):
        answer = post(made.client, *operations, **options)
        assert stored(made.layer) == before
        return answer.errors

    return errors


DATA = {
    "add": {"data": {"type": "tags", "id": "new"}},
    "update": {"data": id_("people", "1")},
    "remove": {},
    "relationship": {"data": PEOPLE},
}


@pytest.mark.parametrize("members", DATA.values(), ids=DATA)
@pytest.mark.parametrize("op", ["add", "update", "remove"])
def test_nowhere_is_nowhere_for_each_kind(refused, op, members):
    """What the data should be like depends on the target, so nothing is said of it."""
    assert refused(by_href(op, "nowhere/1", **members)) == [(404, "unknown-href", "/0/href")]


@pytest.mark.parametrize("members", DATA.values(), ids=DATA)
@pytest.mark.parametrize("op", ["add", "update", "remove"])
def test_no_reference_is_malformed_for_each_kind(refused, op, members):
    assert refused(by_href(op, "people/1 ", **members)) == [(400, "invalid-href", "/0/href")]


@pytest.mark.parametrize(
    "href",
    [
        *("people/1?", "people/1?fields=name", "?", "http://localhost/api/people/1?a", "people/1%3F?"),
        *("people/1#", "people/1#name", "#", "#/people/1"),
        *(" people/1", "people/1 ", "people/ 1", "\tpeople/1", "people/1\n", "peo\r\nple/1", "people/1\x7f", "\x1b"),
        *("people/%", "people/1%", "people/%1", "people/%zz", "people/%u0031", "%", "labels/50%"),
        *("labels/%FF", "labels/%C3", "labels/%C0%AF", "labels/%ED%A0%80", "/%FFapi/labels/x"),
        *("labels/%00", "labels/x%00", "%00", "http://example.org/%00"),
        *("http://ann@localhost/api/people/1", "http://ann:pass@localhost/api/people/1", "//@localhost/api/people/1"),
        "http://localhost@example.org/api/people/1",
        *("http://[", "http://[::1/api/people/1", "http://::1]/api/people/1", "http://[localhost]/api/people/1"),
        *("http://localhost:x/api/people/1", "http://localhost:65536/api/people/1", "//localhost:-1/api/people/1"),
    ],
)
def test_what_is_no_reference_that_can_be_a_target(refused, href):
    assert refused(by_href("remove", href)) == [(400, "invalid-href", "/0/href")]


@pytest.mark.parametrize(
    "href",
    [
        # not below the prefix
        *(
            "/people/1",
            "../people/1",
            "/api",
            "/api/",
            "/apis/people/1",
            "/API/people/1",
            "/api;v=1/people/1",
            ".",
            "./",
        ),
        *(
            "/api%2Fpeople/1",
            "api/people/1",
            "..",
            "/",
            "",
            "people/1/../../..",
            "http://localhost",
            "http://localhost/",
        ),
        # below it, but no collection, resource or relationship
        *("operations", "/api/operations", "nothing", "nothing/1", "Labels/x", "labels%2Fx", "labels\\x", "tags/x"),
        *("people/1/friends", "people/1/relationships", "people/1/Relationships/friends", "people/1/links/friends"),
        *("people/1/relationships/friends/2", "people/relationships/friends", "people/%2E%2E/1", "labels/%2E/x"),
        *("people//1", "/people//1", "people/1//", "//people/1", "/api//people/1", "people/1/relationships//"),
        # elsewhere
        *("http://example.org/api/people/1", "//example.org/api/people/1", "http://localhost.example.org/api/people/1"),
        *("http://localhost:8080/api/people/1", "//localhost:1/api/people/1", "http://localhost./api/people/1"),
        *("http://127.0.0.1/api/people/1", "http://[::1]/api/people/1", "http://xn--localhost/api/people/1"),
        *("///api/people/1", "////localhost/api/people/1", "http:///api/people/1", "http:/api/people/1"),
        *("http:people/1", "https:people/1", "http://:80/api/people/1", "http:"),
        *("ftp://localhost/api/people/1", "ws://localhost/api/people/1", "urn:people:1", "mailto:people/1", "people:1"),
    ],
)
def test_what_leads_nowhere(refused, href):
    assert refused(by_href("remove", href)) == [(404, "unknown-href", "/0/href")]


@pytest.mark.parametrize(
    ("href", "code"),
    [
        ("people/9", "resource-not-found"),
        ("people/ann", "resource-not-found"),
        ("people/1;", "resource-not-found"),
        ("people/1;v=2", "resource-not-found"),
        ("people/1%20", "resource-not-found"),
        ("people/1%2Frelationships%2Ffriends", "resource-not-found"),
        ("people/..%2F1", "resource-not-found"),
        ("people/%2E", "resource-not-found"),
        ("people/" + "9" * 5000, "resource-not-found"),
        ("people/" + "%39" * 50_000, "resource-not-found"),
        ("notes/" + NOTE.replace("0", "%33"), "resource-not-found"),
        ("labels/" + "x" * 100_000, "resource-not-found"),
        ("labels/%78%2520", "resource-not-found"),
        ("labels/X", "resource-not-found"),
        ("labels/+", "resource-not-found"),
        ("x" * 100_000, "unknown-href"),
        ("/".join("x" * 50_000), "unknown-href"),
        ("../" * 50_000 + "people/9", "unknown-href"),
        ("../" * 50_000 + "api/people/9", "resource-not-found"),
        ("http://localhost:" + "0" * 4000 + "80/api/people/9", "resource-not-found"),
    ],
    ids=lambda value: value[:40],
)
def test_what_is_not_there(refused, href, code):
    """A reference may be long; what is told about it is not."""
    assert refused(by_href("remove", href)) == [(404, code, "/0/href")]


@pytest.mark.parametrize("op", ["add", "update", "remove"])
def test_a_relationship_that_the_type_does_not_have(refused, op):
    for name in ("enemies", "name", "id", "friends%2F1", "Friends", "%2E%2E"):
        assert refused(by_href(op, f"people/1/relationships/{name}", data=[])) == [
            (404, "unknown-relationship", "/0/href")
        ]


@pytest.mark.parametrize("op", ["add", "update", "remove"])
def test_the_resource_of_a_relationship_is_looked_up(refused, op):
    target = by_href(op, "people/9/relationships/friends", data=[])

    assert refused(target) == [(404, "resource-not-found", "/0/href")]


@pytest.mark.parametrize(
    ("operation", "error"),
    [
        (by_href("update", "labels", data=id_("tags", "x")), (400, "invalid-href", "/0/href")),
        (by_href("remove", "labels"), (400, "invalid-href", "/0/href")),
        (by_href("remove", "labels/x/.."), (400, "invalid-href", "/0/href")),
        (by_href("remove", "labels/x", data=None), (400, "invalid-operation", "/0/data")),
        (by_href("remove", "people/1/relationships/friends"), (400, "invalid-operation", "/0")),
        (by_href("add", "people/1/relationships/friends", data=PEOPLE[0]), (400, "invalid-operation", "/0/data")),
        (by_href("update", "articles/3/relationships/author", data=PEOPLE), (400, "invalid-operation", "/0/data")),
        (by_href("add", "articles/3/relationships/author", data=PEOPLE), (403, "operation-not-supported", "/0/op")),
        (by_href("remove", "articles/3/relationships/author", data=None), (403, "operation-not-supported", "/0/op")),
        (
            by_href("update", "articles/3/relationships/firstReader", data=None),
            (403, "operation-not-supported", "/0/href"),
        ),
        (
            by_href("update", "articles/3/relationships/author", data=id_("tags", "x")),
            (409, "type-mismatch", "/0/data/type"),
        ),
        ({"op": "remove", "href": "labels/x", "ref": id_("tags", "x")}, (400, "invalid-operation", "/0/href")),
    ],
)
def test_a_target_that_does_not_fit_the_operation(refused, operation, error):
    assert refused(operation) == [error]


@pytest.mark.parametrize(
    ("operation", "pointer"),
    [
        # add: another collection, and another resource of the collection
        (by_href("add", "people", data={"type": "tags", "id": "new"}), "/0/data/type"),
        (by_href("add", "people/1", data={"type": "tags", "id": "1"}), "/0/data/type"),
        (by_href("add", "labels/other", data={"type": "tags", "id": "new"}), "/0/data/id"),
        (by_href("add", "labels/NEW", data={"type": "tags", "id": "new"}), "/0/data/id"),
        (by_href("add", "labels/new", data={"type": "tags"}), "/0/data"),
        (by_href("add", "people/1", data=lid("people", "new")), "/0/data/lid"),
        # update: another type, another resource, and one that only a lid names
        (by_href("update", "labels/1", data=PEOPLE[0]), "/0/data/type"),
        (by_href("update", "people/2", data=PEOPLE[0]), "/0/data/id"),
        (by_href("update", "labels/X", data=id_("tags", "x")), "/0/data/id"),
        (by_href("update", "people/2", data=id_("people", "ann")), "/0/data/id"),
    ],
)
def test_data_that_disagrees_is_a_conflict(refused, operation, pointer):
    assert refused(operation) == [(409, "target-mismatch", pointer)]


def test_data_that_names_a_new_resource_disagrees_with_any_href(refused):
    new = {"type": "people", "lid": "new"}

    assert refused(
        {"op": "add", "data": {**new, "attributes": {"name": "New"}}}, by_href("update", "people/1", data=new)
    ) == [(409, "target-mismatch", "/1/data/lid")]


def test_all_that_are_malformed_are_told_together(refused):
    assert refused(
        by_href("remove", "people/%"), remove("people", "1"), by_href("remove", "people"), by_href("remove", "a?b")
    ) == [(400, "invalid-href", f"/{index}/href") for index in (0, 2, 3)]


def test_all_that_lead_nowhere_are_told_together(refused):
    assert refused(by_href("remove", "nowhere"), remove("people", "1"), by_href("remove", "/people/2")) == [
        (404, "unknown-href", f"/{index}/href") for index in (0, 2)
    ]


# ------------------------------------------------------------------------------------------------------------------ ids


@pytest.mark.parametrize(
    "id",
    [
        *(
            "a/b",
            "/",
            "a b",
            " ",
            "50%",
            "%2F",
            "é",
            "日本",
            "😀",
            "..",
            ".",
            "...",
            "?",
            "#",
            "a?b#c",
            "a;b",
            ";",
            "+",
        ),
        *(
            "a:b",
            "\\",
            "relationships",
            "x/relationships/y",
            "\t",
            "\n",
            "\x7f",
            "@",
            "//example.org",
            "~1",
            '"<>^`{|}',
        ),
    ],
)
def test_every_id_can_be_addressed(id):
    made = seeded()
    encoded = "".join(f"%{byte:02x}" for byte in id.encode())
    (added,) = post(made.client, by_href("add", f"labels/{encoded}", data={"type": "tags", "id": id})).results

    (updated,) = post(made.client, by_href("update", f"labels/{encoded.upper()}", data=id_("tags", id))).results

    assert added == updated
    assert added["data"]["id"] == id
    assert post(made.client, by_href("remove", f"labels/{encoded}")).status == 204
    assert post(made.client, update("tags", id)).status == 404


@pytest.mark.parametrize(
    "id", ["é", "日本", "a+b", "a;b", "a:b", "a,b", "a=b", "a&b", "!$'()*", "@", "~", '"<>^`{|}', "\\"]
)
def test_what_needs_no_encoding_is_taken_as_it_is(id):
    made = seeded()
    assert post(made.client, add("tags", id=id)).status == 200

    assert post(made.client, by_href("remove", f"labels/{id}")).status == 204
    assert post(made.client, update("tags", id)).status == 404


def test_ids_are_compared_as_they_are_parsed():
    made = seeded()

    assert post(made.client, by_href("update", "people/%3001", data=id_("people", "1"))).status == 200
    assert post(made.client, by_href("update", f"notes/{NOTE.upper()}", data=id_("notes", NOTE))).status == 200


# ------------------------------------------------------------------------------------------ the function, by properties

ENDPOINT = Endpoint("localhost", "/api", "/v1/operations")
CATALOG = seeded().atomic._resources


def resolved(href, endpoint=ENDPOINT):
    return resolve(href, endpoint, Catalog(CATALOG))


ids = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1).filter(
    lambda id: id not in (".", "..")
)


@given(id=ids, name=ids)
def test_what_is_quoted_leads_where_it_says(id, name):
    place = f"/api/labels/{quote(id, safe='')}"

    assert resolved(place) == resolved(f"https://localhost{place}/") == Ref("tags", id, None, None)
    assert resolved(f"{place}/relationships/{quote(name, safe='')}") == Ref("tags", id, None, name)


segments = st.lists(
    st.sampled_from([".", "..", "...", "api", "v1", "labels", "x", "relationships", "%2E%2E"]), max_size=8
)


@given(path=segments.map("/".join), slash=st.sampled_from(["", "/"]))
def test_dots_are_those_of_the_standard(path, slash):
    """`urljoin` knows RFC 3986, too."""
    joined = urljoin("http://localhost/api/v1/operations", f"{path}{slash}" or "/")

    assert resolved(f"{path}{slash}") == resolved(joined)


# ------------------------------------------------------------------------------------------------- places of endpoints

BOATS = schema("boats", name=fields.Str(), captain=fields.Str())


def fleet(**options):
    """An `Atomic` that serves boats in memory, in a collection of another name."""
    atomic = Atomic(MemoryLayer(), **options)
    atomic.resource(BOATS, collection="sailingBoats")
    return atomic


def remover(client, path="/api/operations", **options):
    """Tries whether `href` leads to the boat 1: 204, with the boat there again afterwards, or the error's code."""

    def attempt(href):
        assert post(client, add("boats"), path=path, **options).status == 200
        number[0] += 1
        answer = post(
            client, by_href("remove", href.replace("BOAT", f"sailingBoats/{number[0]}")), path=path, **options
        )
        if answer.status == 204:
            return 204
        ((status, code, pointer),) = answer.errors
        assert pointer == "/0/href"
        return status, code

    number = [0]
    return attempt


NOWHERE = (404, "unknown-href")


def test_the_collection_is_not_called_like_the_type():
    flask = Flask("application")
    flask.register_blueprint(fleet().blueprint, url_prefix="/api")
    attempt = remover(flask.test_client())

    assert attempt("BOAT") == 204
    assert attempt("boats/2") == attempt("/api/boats/2") == NOWHERE


@pytest.mark.parametrize("prefix", ["/api", "/api/", "/a b", "/é", "/a;b", "/a:b/c", "/<tenant>/x", "/<path:any>/api"])
def test_a_prefix(prefix):
    flask = Flask("application")
    atomic = fleet(decorators=[lambda view: lambda **_: view()])
    flask.register_blueprint(atomic.blueprint, url_prefix=prefix)
    rule = prefix.rstrip("/").replace("<tenant>", "acme & sons;").replace("<path:any>", "of/a/few")
    place = quote(rule)
    attempt = remover(flask.test_client(), f"{place}/operations")

    assert attempt("BOAT") == 204
    assert attempt(f"{place}/BOAT") == 204
    assert attempt(f"http://localhost{place}/BOAT") == 204
    assert attempt("/elsewhere/BOAT") == NOWHERE


@pytest.mark.parametrize(("prefix", "place"), [("/api/", "/api"), ("/", ""), (None, "")])
def test_a_prefix_without_a_request(prefix, place):
    flask = Flask("application")
    atomic = fleet()
    flask.register_blueprint(atomic.blueprint, url_prefix=prefix)

    with flask.app_context():
        atomic.perform({"atomic:operations": [add("boats"), add("boats")]})
        for href in ("sailingBoats/1", f"{place}/sailingBoats/2"):
            assert atomic.perform({"atomic:operations": [by_href("remove", href)]}) == [{}]


class TestSubdomains:
    def flask(self, subdomain):
        flask = Flask("application", subdomain_matching=True)
        flask.config["SERVER_NAME"] = "example.org"
        atomic = fleet(decorators=[lambda view: lambda **_: view()])
        flask.register_blueprint(atomic.blueprint, url_prefix="/api", subdomain=subdomain)
        return flask

    @pytest.mark.parametrize("subdomain", ["api", "<tenant>"])
    def test_an_absolute_reference_names_it(self, subdomain):
        attempt = remover(self.flask(subdomain).test_client(), headers={"Host": "api.example.org"})

        assert attempt("BOAT") == attempt("/api/BOAT") == attempt("//api.example.org/api/BOAT") == 204
        assert attempt("https://API.EXAMPLE.ORG/api/BOAT") == 204
        assert attempt("http://example.org/api/BOAT") == NOWHERE
        assert attempt("http://other.example.org/api/BOAT") == NOWHERE

    def test_a_host_of_its_own(self):
        """With `host_matching`, a blueprint says which host its rules are for."""

        class OnHost(Blueprint):
            def add_url_rule(self, *arguments, **options):
                super().add_url_rule(*arguments, host="api.example.org", **options)

        flask = Flask("application", host_matching=True, static_host="example.org")
        flask.register_blueprint(fleet(blueprint=OnHost("boats", __name__)).blueprint, url_prefix="/api")
        attempt = remover(flask.test_client(), headers={"Host": "api.example.org"})

        assert attempt("BOAT") == attempt("//api.example.org/api/BOAT") == 204
        assert attempt("//example.org/api/BOAT") == NOWHERE


def wsgi_client(wsgi):
    """A client for any WSGI application, which answers as the client of a Flask application does."""
    return Client(wsgi, Flask.response_class)


class TestMounts:
    @pytest.fixture
    def flask(self):
        flask = Flask("application")
        flask.register_blueprint(fleet().blueprint, url_prefix="/api")
        return flask

    @pytest.mark.parametrize("mount", ["/mounted", "/two/deep", "/with space", "/é"])
    def test_by_a_dispatcher(self, flask, mount):
        mounted = DispatcherMiddleware(Flask("other"), {mount.encode().decode("latin-1"): flask})
        place = quote(mount)
        attempt = remover(wsgi_client(mounted), f"{place}/api/operations")

        assert attempt("BOAT") == attempt(f"{place}/api/BOAT") == attempt(f"//localhost{place}/api/BOAT") == 204
        assert attempt("/api/BOAT") == attempt(f"{place}/BOAT") == NOWHERE

    def test_behind_a_proxy(self, flask):
        """What the client wrote counts, not what the proxy made of it."""
        proxied = ProxyFix(flask, x_for=1, x_proto=1, x_host=1, x_port=1, x_prefix=1)
        told = {
            "X-Forwarded-Host": "shop.example.org",
            "X-Forwarded-Proto": "https",
            "X-Forwarded-Port": "443",
            "X-Forwarded-Prefix": "/shop",
            "Host": "10.0.0.7:8000",
        }
        attempt = remover(wsgi_client(proxied), headers=told)

        assert attempt("BOAT") == attempt("/shop/api/BOAT") == 204
        assert attempt("https://shop.example.org/shop/api/BOAT") == 204
        assert attempt("https://shop.example.org:443/shop/api/BOAT") == 204
        assert attempt("https://shop.example.org/api/BOAT") == attempt("/api/BOAT") == NOWHERE
        assert attempt("http://10.0.0.7:8000/shop/api/BOAT") == attempt("https://shop.example.org:8443/shop/api/BOAT")
        assert attempt("http://10.0.0.7:8000/shop/api/BOAT") == NOWHERE

    def test_what_a_client_says_of_itself_is_not_believed(self, flask):
        told = {"X-Forwarded-Host": "shop.example.org", "X-Forwarded-Prefix": "/shop"}
        attempt = remover(flask.test_client(), headers=told)

        assert attempt("http://localhost/api/BOAT") == 204
        assert attempt("http://shop.example.org/api/BOAT") == attempt("/shop/api/BOAT") == NOWHERE


@pytest.mark.parametrize(
    ("host", "here", "elsewhere"),
    [
        ("example.org", ["example.org", "EXAMPLE.org", "example.org:80", "example.org:443"], ["example.org:81"]),
        ("Example.Org:80", ["example.org", "example.org:"], ["example.org:8080", "www.example.org"]),
        ("example.org:8443", ["example.org:8443", "example.org:08443"], ["example.org", "example.org:443"]),
        ("[::1]", ["[::1]", "[::1]:80"], ["[::2]", "[::1]:81", "localhost"]),
        ("[FE80::1]:5000", ["[fe80::1]:5000"], ["[fe80::1]", "[fe80::1]:5001"]),
        ("127.0.0.1:5000", ["127.0.0.1:5000"], ["localhost:5000", "127.0.0.1"]),
    ],
)
def test_hosts_and_ports(host, here, elsewhere):
    flask = Flask("application")
    flask.register_blueprint(fleet().blueprint, url_prefix="/api")
    attempt = remover(flask.test_client(), headers={"Host": host})

    for scheme in ("http:", "https:", ""):
        assert {netloc: attempt(f"{scheme}//{netloc}/api/BOAT") for netloc in here} == dict.fromkeys(here, 204)
        assert {netloc: attempt(f"{scheme}//{netloc}/api/BOAT") for netloc in elsewhere} == dict.fromkeys(
            elsewhere, NOWHERE
        )


@pytest.mark.parametrize("host", ["", "[::1", "localhost:port", "a@b", "not a host"])
def test_a_host_that_is_none_leaves_relative_references(host):
    """No absolute one leads there, not even to the name that would be assumed otherwise."""
    flask = Flask("application")
    flask.register_blueprint(fleet().blueprint, url_prefix="/api")
    attempt = remover(flask.test_client(), headers={"Host": host})

    assert attempt("BOAT") == attempt("/api/BOAT") == 204
    assert attempt("http://localhost/api/BOAT") == attempt("http:/api/BOAT") == attempt("///api/BOAT") == NOWHERE


@pytest.mark.parametrize("host", ["", "[::1", "localhost:port"])
def test_neither_does_it_where_flask_hands_it_on(host):
    """Some versions of Werkzeug do not look at it."""
    endpoint = Endpoint(host, "/api", "/operations")

    assert resolved("labels/x", endpoint) == Ref("tags", "x", None, None)
    assert resolved("//localhost/api/labels/x", endpoint) is None


def test_a_detail_never_repeats_a_reference():
    made = seeded()
    for href in ("x" * 5000, "labels/" + "x" * 5000, "people/%" + "x" * 5000, "labels/x?" + "x" * 5000):
        answer: Answer = post(made.client, by_href("remove", href))
        assert 400 <= answer.status < 500
        assert len(json.dumps(answer.response.json)) < 600
