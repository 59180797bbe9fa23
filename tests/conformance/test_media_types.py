"""JSON:API 1.1, "Content Negotiation"."""

from __future__ import annotations

import pytest
from werkzeug.http import parse_options_header

from flask_atomic import Atomic, MemoryLayer, Transient, hookimpl
from tests.application import (
    CONTENT_TYPE,
    Answer,
    add,
    application,
    declare,
    post,
    relate,
    remove,
    seeded,
    send,
    update,
    world,
)

MEDIA_TYPE = "application/vnd.api+json"
ATOMIC = "https://jsonapi.org/ext/atomic"
OTHER = "https://example.com/ext/other"
PROFILE = "https://example.com/profiles/unknown"


@pytest.fixture(scope="module")
def client():
    return seeded().client


def asking(client, accept, **options):
    return post(client, update("people", "1"), headers=[("Accept", value) for value in accept], **options)


def sending(client, content_type):
    return post(client, update("people", "1"), content_type=content_type)


def assert_unsupported(answer):
    assert answer.errors == [(415, "unsupported-media-type", None)]
    assert answer.error_objects[0]["source"] == {"header": "Content-Type"}


def assert_not_acceptable(answer):
    assert answer.errors == [(406, "not-acceptable", None)]
    assert answer.error_objects[0]["source"] == {"header": "Accept"}


@pytest.mark.statement("B1", "B2", "B4", "B5")
@pytest.mark.parametrize("operation", [update("people", "1"), update("people", "9"), {}])
@pytest.mark.parametrize("content_type", [CONTENT_TYPE, MEDIA_TYPE, "application/json", "text/plain"])
def test_every_answer_has_the_media_type_with_the_extension_and_nothing_else(client, operation, content_type):
    response = post(client, operation, content_type=content_type).response

    assert parse_options_header(response.headers["Content-Type"]) == (MEDIA_TYPE, {"ext": ATOMIC})
    assert f'ext="{ATOMIC}"' in response.headers["Content-Type"]


@pytest.mark.statement("B2")
@pytest.mark.parametrize("ext", [ATOMIC, f" {ATOMIC}  ", f"{ATOMIC} {ATOMIC}"])
@pytest.mark.parametrize("profile", ["", PROFILE, f"{PROFILE} {PROFILE}/2"])
def test_several_uris_are_separated_by_spaces(client, ext, profile):
    media_type = f'{MEDIA_TYPE}; ext="{ext}"; profile="{profile}"'

    assert sending(client, media_type).status == 200
    assert asking(client, [media_type]).status == 200


@pytest.mark.statement("B4", "B5")
@pytest.mark.parametrize(
    ("content_type", "lenient", "strict"),
    [
        (CONTENT_TYPE, 404, 404),
        (CONTENT_TYPE.upper().replace(ATOMIC.upper(), ATOMIC), 404, 404),
        (MEDIA_TYPE, 404, 415),
        (f'{MEDIA_TYPE}; ext=""', 404, 415),
        ("application/json", 404, 415),
        ("application/json; charset=utf-8", 404, 415),
        ("text/plain", 415, 415),
        ("text/plain; charset=utf-8", 415, 415),
        ("application/x-www-form-urlencoded", 415, 415),
        ("multipart/form-data; boundary=x", 415, 415),
        ("application/*", 415, 415),
        ("application/hal+json", 415, 415),
        (None, 415, 415),
        ("", 415, 415),
    ],
)
def test_a_request_names_the_media_type_and_in_strict_mode_the_extension(content_type, lenient, strict):
    for mode, expected in ((False, lenient), (True, strict)):
        answer = sending(world(ATOMIC_STRICT_MEDIA_TYPE=mode).client, content_type)

        if expected == 415:
            assert_unsupported(answer)
        else:
            assert answer.errors == [(404, "resource-not-found", "/0/data/id")]


@pytest.mark.statement("B10")
@pytest.mark.parametrize("parameters", ["charset=utf-8", f'ext="{ATOMIC}"; charset=utf-8', "q=1", 'Version="1.1"', "x"])
def test_a_parameter_that_the_media_type_does_not_have(client, parameters):
    assert_unsupported(sending(client, f"{MEDIA_TYPE}; {parameters}"))


@pytest.mark.statement("B11")
@pytest.mark.parametrize("ext", [OTHER, f"{ATOMIC} {OTHER}", f"{OTHER} {ATOMIC}", f"{ATOMIC},{OTHER}", f"{ATOMIC}/"])
def test_an_extension_that_is_not_supported(client, ext):
    assert_unsupported(sending(client, f'{MEDIA_TYPE}; ext="{ext}"'))


@pytest.mark.statement("B8")
@pytest.mark.parametrize(
    "accept",
    [
        [],
        [CONTENT_TYPE],
        [MEDIA_TYPE],
        ["application/json"],
        ["application/*"],
        ["*/*"],
        ["text/html, */*;q=0.1"],
        ["text/html", CONTENT_TYPE],
        [f"{MEDIA_TYPE}; q=0.5"],
    ],
)
def test_the_extension_is_applied_to_the_answer(client, accept):
    answer = asking(client, accept)

    assert answer.results[0]["data"]["id"] == "1"
    assert answer.response.headers["Content-Type"] == CONTENT_TYPE


@pytest.mark.statement("B9", "B16")
@pytest.mark.parametrize("ext", ["", f'ext="{ATOMIC}";'])
def test_unknown_profiles_are_ignored(client, ext):
    media_type = f'{MEDIA_TYPE};{ext}profile="{PROFILE}"'

    for answer in (sending(client, media_type), asking(client, [media_type])):
        assert answer.status == 200
        assert "profile" not in answer.response.headers["Content-Type"]


@pytest.mark.statement("B12")
@pytest.mark.parametrize(
    "accept",
    [
        [f"{MEDIA_TYPE}; charset=utf-8, {MEDIA_TYPE}"],
        [f"{MEDIA_TYPE}; charset=utf-8", CONTENT_TYPE],
        [f'{CONTENT_TYPE}, {MEDIA_TYPE}; ext="{ATOMIC}"; charset=utf-8; q=1'],
    ],
)
def test_instances_with_other_parameters_are_passed_over(client, accept):
    assert asking(client, accept).status == 200


@pytest.mark.statement("B13")
@pytest.mark.parametrize("beside", [[], ["*/*"], ["application/json"]])
@pytest.mark.parametrize(
    "accept", [[f"{MEDIA_TYPE}; charset=utf-8"], [f"{MEDIA_TYPE}; version=1", f"{CONTENT_TYPE}; charset=utf-8"]]
)
def test_where_all_instances_have_other_parameters(client, accept, beside):
    assert_not_acceptable(asking(client, accept + beside))


@pytest.mark.statement("B14")
@pytest.mark.parametrize("beside", [[], ["*/*"], ["application/json"]])
@pytest.mark.parametrize("ext", [OTHER, f"{ATOMIC} {OTHER}"])
def test_where_all_instances_have_an_extension_that_is_not_supported(client, ext, beside):
    assert_not_acceptable(asking(client, [f'{MEDIA_TYPE}; ext="{ext}"', *beside]))
    assert asking(client, [f'{MEDIA_TYPE}; ext="{ext}"', MEDIA_TYPE]).status == 200


@pytest.mark.parametrize(
    "accept",
    [
        ["text/html"],
        ["text/html, image/*"],
        ["*/*;q=0"],
        [f"{MEDIA_TYPE};q=0", "*/*"],
        ["application/*;q=0, */*"],
    ],
)
def test_where_nothing_that_is_listed_could_match(client, accept):
    assert_not_acceptable(asking(client, accept))


class Trouble:
    """Raises what an operation's `meta` asks for."""

    @hookimpl
    def atomic_authorize(self, operation):
        if operation.meta.get("raise") == "transient":
            raise Transient("Later.")
        if operation.meta.get("raise") == "defect":
            raise ZeroDivisionError


@pytest.mark.statement("B17")
@pytest.mark.parametrize(
    ("status", "ask"),
    [
        (200, lambda client: post(client, update("people", "1"))),
        (204, lambda client: post(client, remove("tags", "y"))),
        (400, lambda client: send(client, "{")),
        (400, lambda client: post(client, update("people", "1"), query_string="sort=name")),
        (403, lambda client: post(client, relate("add", {"type": "articles", "id": "3"}, "author", None))),
        (404, lambda client: post(client, remove("people", "9"))),
        (405, lambda client: Answer(None, client.get("/api/operations"))),
        (406, lambda client: asking(client, ["text/html"])),
        (409, lambda client: post(client, add("tags", id="x"))),
        (413, lambda client: send(client, " " * 2000)),
        (415, lambda client: sending(client, "text/plain")),
        (422, lambda client: post(client, add("people"))),
        (500, lambda client: post(client, {**update("people", "1"), "meta": {"raise": "defect"}})),
        (503, lambda client: post(client, {**update("people", "1"), "meta": {"raise": "transient"}})),
        (200, lambda client: Answer(None, client.options("/api/operations"))),
    ],
)
@pytest.mark.parametrize("accept", [None, CONTENT_TYPE, MEDIA_TYPE])
def test_every_answer_varies_by_accept(status, ask, accept):
    client = seeded(Trouble(), MAX_CONTENT_LENGTH=1999).client
    client.environ_base.update({"HTTP_ACCEPT": accept} if accept else {})

    response = ask(client).response

    assert response.status_code == status
    assert response.vary.as_set() == {"accept"}


def test_it_varies_by_what_a_decorator_says_too():
    atomic = Atomic(MemoryLayer(), decorators=[lambda view: lambda: ("{}", 200, {"Vary": "Origin"})])
    declare(atomic)

    response = post(application(atomic).test_client(), add("tags")).response

    assert response.vary.as_set() == {"accept", "origin"}
