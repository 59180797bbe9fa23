"""Requests of any kind to a library: strategies of bodies, headers and parameters, and what holds for every answer."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, quote, urlencode

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from jsonschema import ValidationError
from werkzeug.test import TestResponse

from tests.documents import TypeOfResource, documents, json_values, mutated, texts
from tests.json_schemas import REQUEST
from tests.library import ANN, BOB, TAGS, Library
from tests.pointers import resolve

OPERATIONS = "atomic:operations"
RESULTS = "atomic:results"
TYPES = ("books", "people", "tags", "cards")
JSONAPI = 'application/vnd.api+json;ext="https://jsonapi.org/ext/atomic"'


@st.composite
def mostly(draw: st.DrawFn, usual: SearchStrategy[Any], odd: SearchStrategy[Any], one_in: int) -> Any:
    """Values of `usual`, and of `odd` once in so many times."""
    return draw(odd if draw(_once_in(one_in)) else usual)


@cache
def _once_in(times: int) -> SearchStrategy[bool]:
    return st.sampled_from([False] * (times - 1) + [True])  # integers would be the first and the last too often


# ---------------------------------------------------------------------------------------------------------- documents

_ODD = st.sampled_from(
    [
        *("", " ", "x" * 5000, "NaN", "-Infinity", "1e400", "1e-400", "\U0001f642", "\u202e", "\ufeff", "0", "\u0661"),
        *("0001-01-01", "9999-12-31", "2024-02-30", "2024-01-01T00:00:00+14:00", "0001-01-01T00:00:00+23:59"),
        *("9999-12-31T23:59:59.999999-23:59", "2024-01-01T24:00:00", "6F1C1E2A-0000-4000-8000-00000000000A"),
        *(2**31, 2**63 - 1, 2**63, -(2**63) - 1, 2**200, 10**400, 1e308, 5e-324, -0.0, 1.5, True, False, None),
        *([], {}, [None], [[]], {"": None}, {"data": None}, {"type": "people", "id": ANN}),
    ]
)


def attribute(values: SearchStrategy[Any]) -> SearchStrategy[Any]:
    return mostly(values, _ODD | json_values, 100)


_size = st.fixed_dictionaries(
    {"height": mostly(st.integers(1, 100), st.just(0), 40)}, optional={"width": st.integers()}
)
_chapter = st.fixed_dictionaries(
    {"heading": texts},
    optional={"onPages": st.lists(st.integers(), max_size=2), "size": st.none() | _size},
)

BOOK = {
    "title": attribute(st.text("abc", min_size=1, max_size=4)),
    "isbn": attribute(st.none() | st.sampled_from(["One", "Two", "Three", "Four"])),
    "pages": attribute(st.none() | st.integers(1, 20)),
    "weight": attribute(st.none() | st.floats(allow_nan=False, allow_infinity=False) | st.integers()),
    "price": attribute(st.none() | st.decimals(0, 999, places=2).map(str) | st.integers(0, 99)),
    "publishedOn": attribute(st.none() | st.dates().map(str)),
    "printed-at": attribute(st.none() | st.datetimes().map(lambda moment: moment.isoformat())),
    "serial": attribute(st.none() | st.uuids().map(str)),
    "state": attribute(st.sampled_from([None, "new", "worn"])),
    "size": attribute(st.none() | _size),
    "chapters": attribute(st.none() | st.lists(_chapter, max_size=2)),
    "extra": attribute(st.none() | st.dictionaries(texts, json_values, max_size=2)),
    "secret": attribute(texts),
}


_new_uuids = st.sampled_from([f"6f1c1e2a-0000-4000-8000-0000000000{number}" for number in range(10, 14)])


def types(ids: Mapping[str, Sequence[str]]) -> list[TypeOfResource]:
    """The resource types of a library in which these ids are taken."""
    integers = st.sampled_from(["99", "0", "-1", "01", "x", "1" * 30])
    person_ids = mostly(
        mostly(st.sampled_from(ids["people"]), _new_uuids, 6),
        st.sampled_from([ANN.upper(), ANN.replace("-", ""), "x", "1"]),
        60,
    )
    tag_ids = mostly(st.sampled_from([*ids["tags"], *ids["tags"], "z"]), texts.filter(bool), 60)
    related = {"boss": "people", "card": "cards"}, {"staff": "people", "hasWritten": "books", "friends": "people"}
    name = {"name": attribute(st.sampled_from(["Ann", "Bob", "Cem", "Dee", "Eve", "Flo"]))}
    return [
        TypeOfResource(
            "books",
            mostly(st.sampled_from(ids["books"]), integers, 60),
            BOOK,
            {"author": "people", "sequel": "books"},
            {"prequels": "books", "tags": "tags"},
        ),
        TypeOfResource("people", person_ids, name, *related),
        TypeOfResource("tags", tag_ids, {"label": attribute(st.none() | texts)}, client_ids=True),
        TypeOfResource("cards", mostly(st.sampled_from(ids["cards"]), integers, 60), {}, {"owner": "people"}),
    ]


@st.composite
def _fitting(draw: st.DrawFn, drawn: SearchStrategy[dict[str, Any]]) -> dict[str, Any]:
    """The documents with the right URL for tags, ids for some people, and an author for most books that lack one."""
    document = draw(drawn)
    for operation in document[OPERATIONS]:
        if operation.get("href", "").partition("/")[0] == "tags":
            operation["href"] = operation["href"].replace("tags", quote(TAGS), 1)
        match operation:
            case {"op": op, "data": {"type": "books"} as data}:
                author = {"data": {"type": "people", "id": draw(st.sampled_from([ANN, BOB]))}}
                relationships = data.get("relationships", {})
                given = relationships.get("author", {"data": None} if op == "add" else author)
                if given["data"] is None and not draw(_once_in(20)):
                    data["relationships"] = {**relationships, "author": author}
            case {"op": "add", "data": {"type": "people"} as data} if "lid" not in data and draw(st.booleans()):
                data["id"] = draw(_new_uuids)
    return document


def bodies(ids: Mapping[str, Sequence[str]]) -> SearchStrategy[bytes]:
    """Bodies: most of them of the right shape or about so, some of any JSON, some broken, some of any bytes."""
    right = _fitting(documents(types(ids), max_operations=6))
    any_json = json_values | st.fixed_dictionaries({OPERATIONS: st.lists(json_values, max_size=3)})
    values = mostly(mostly(right, mutated(right, max_mutations=2), 4), any_json, 30)
    return mostly(values.map(json.dumps).map(str.encode), _broken(right) | st.binary(max_size=60), 20)


@st.composite
def _broken(draw: st.DrawFn, drawn: SearchStrategy[Any]) -> bytes:
    """Bodies that were valid until something was put into them, or cut out of them."""
    body = json.dumps(draw(drawn), ensure_ascii=draw(st.booleans())).encode()
    start = draw(st.integers(0, len(body)))
    end = draw(st.integers(start, min(len(body), start + 8)) | st.just(len(body)))
    piece = draw(
        st.binary(max_size=4)
        | st.sampled_from([b"NaN", b"1e400", b'"\\u0000"', b'"\\ud800"', b"[" * 200, b'{"op":1,"op":2}', b"9" * 5000])
    )
    return body[:start] + piece + body[end:]


# -------------------------------------------------------------------------------------------- headers and parameters

_FOREIGN = "https://example.org/ext"
_MEDIA_TYPES = [
    *(JSONAPI, "application/vnd.api+json", "application/json", "application/json; charset=utf-8", "*/*", ""),
    *(f'application/vnd.api+json;ext="{_FOREIGN}"', "application/vnd.api+json;charset=utf-8", "text/plain"),
    *(f'{JSONAPI};profile="{_FOREIGN} {_FOREIGN}/2"', JSONAPI.upper(), JSONAPI.replace(";", " ; "), "application/*"),
    *("application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/*;q=0.1", "*/*;q=0"),
    *(
        f"{JSONAPI};q=0",
        f"{JSONAPI};q=2",
        "application/json;q=0.5",
        f'{JSONAPI};ext="',
        'application/vnd.api+json;ext=""',
    ),
]
_header_texts = st.text(st.characters(max_codepoint=255, exclude_characters="\r\n\0"), max_size=30)
_media_types = st.sampled_from(_MEDIA_TYPES) | st.lists(st.sampled_from(_MEDIA_TYPES), max_size=3).map(", ".join)
_media_types_or_any = mostly(_media_types, _header_texts, 5)

_NAMES = ["If-Match", "If-None-Match", "Content-Encoding", "Content-Language", "Expect", "Origin", "Authorization"]
_NAMES += [
    "Cookie",
    "Range",
    "X-HTTP-Method-Override",
    "X-Forwarded-Host",
    "Accept-Charset",
    "Accept-Encoding",
    "Prefer",
]
_other_headers = st.lists(
    st.tuples(
        st.sampled_from(_NAMES) | st.from_regex(r"[A-Za-z][A-Za-z0-9-]{0,12}", fullmatch=True),
        st.sampled_from(["*", "gzip", "identity", "bytes=0-1", "DELETE", "100-continue", "null"]) | _header_texts,
    ).filter(lambda header: header[0].lower() not in ("content-type", "content-length", "transfer-encoding", "host")),
    max_size=3,
)
_environments = st.sampled_from(
    [
        *({"CONTENT_LENGTH": length} for length in ("", "0", "5", "-1", "x", "1.5", "99999999", "\u0661")),
        *({"HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input_terminated": terminated} for terminated in (True, False)),
        *({"HTTP_HOST": host} for host in ("", "example.org", "LOCALHOST:80", "[::1]:80", "a b", "[", "\xff")),
        *({"SCRIPT_NAME": name} for name in ("/mount", "/\xff", "mount")),
        {"wsgi.url_scheme": "https"},
        {"REMOTE_ADDR": ""},
    ]
)

_FIELDS = ["title", "author", "pages", "tags", "name", "boss", "label", "owner", "printed-at", "printed_at", "id", ""]
_fields = st.tuples(
    st.sampled_from(TYPES).map("fields[{}]".format),
    st.lists(st.sampled_from(_FIELDS), max_size=3).map(",".join),
)
_parameters = st.lists(
    mostly(
        _fields,
        st.tuples(
            st.sampled_from(["include", "sort", "filter", "page[size]", "fields", "fields[]", "fields[x]", "atomic:a"])
            | texts,
            texts,
        ),
        6,
    ),
    max_size=3,
)
_queries = mostly(
    _parameters.map(lambda pairs: urlencode(pairs)) | _parameters.map(lambda pairs: "&".join(map("=".join, pairs))),
    st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=20),
    8,
).map(lambda query: quote(query, safe="%&=[]+,;:?/@!$'()*~"))

_METHODS = ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"]


class Request(NamedTuple):
    """What is sent.

    :param client: the number of the application that it is sent to.
    :param headers: the names and values of all headers.
    :param environment: what is changed in the WSGI environment, below the headers.
    """

    body: bytes
    client: int = 0
    method: str = "POST"
    path: str = "/api/operations"
    query: str = ""
    headers: tuple[tuple[str, str], ...] = (("Content-Type", JSONAPI),)
    environment: tuple[tuple[str, Any], ...] = ()


_content_types = mostly(st.just(JSONAPI), _media_types_or_any, 25)
_accepts = mostly(st.just([]), st.lists(_media_types_or_any, max_size=2), 15)
_headers = st.builds(
    lambda content_type, accepts, others: (
        ("Content-Type", content_type),
        *(("Accept", value) for value in accepts),
        *others,
    ),
    _content_types,
    _accepts,
    mostly(st.just([]), _other_headers, 8),
)


def requests(libraries: Sequence[Library]) -> SearchStrategy[Request]:
    """Requests to libraries that are set up alike.

    Most have little that is odd, so that it is the operations that decide about the answer.
    """
    ids = {type_: sorted(set.intersection(*(set(library.ids[type_]) for library in libraries))) for type_ in TYPES}
    return st.builds(
        Request,
        bodies(ids),
        client=st.integers(0, len(libraries[0].clients) - 1),
        method=mostly(st.just("POST"), st.sampled_from(_METHODS), 60),
        path=mostly(st.just("/api/operations"), st.just("/api/operations/"), 10),
        query=mostly(st.just(""), _queries, 10),
        headers=_headers,
        environment=mostly(st.just({}), _environments, 30).map(lambda changed: tuple(changed.items())),
    )


# --------------------------------------------------------------------------------------------------------- the answer


def send(library: Library, request: Request) -> TestResponse:
    return library.clients[request.client].open(
        request.path,
        method=request.method,
        query_string=request.query,
        data=request.body,
        headers=list(request.headers),
        environ_overrides=dict(request.environment),
    )


def check(library: Library, request: Request, counts: Counter[str]) -> None:
    """Send a request, and see that the answer is right as far as that can be told without knowing what should be."""
    before = library.rows()
    response = send(library, request)  # which checks it against the schema of responses
    counts[f"{response.status_code // 100}xx"] += 1
    counts[str(response.status_code)] += 1
    assert response.status_code < 500, response.text
    assert response.vary.as_set() == {"accept"}
    if response.status_code >= 400:
        assert library.rows() == before, "rows changed although the request was refused"
        if request.method != "HEAD":
            _check_errors(request, response)
    elif request.method == "POST":
        _check_results(library, request, response)


def _check_errors(request: Request, response: TestResponse) -> None:
    assert response.mimetype == "application/vnd.api+json"
    sent = _parsed(request.body)
    for error in response.get_json()["errors"]:
        match error.get("source", {}):
            case {"pointer": pointer}:
                assert sent is not _NO_JSON
                resolve(sent, pointer)
            case {"parameter": parameter}:
                assert quote(parameter) in _parameters_of(request.query)
            case {"header": header}:
                assert header in ("Accept", "Content-Type")
            case source:
                assert source == {}
    malformed = [error for error in response.get_json()["errors"] if _is_about_the_shape(error)]
    if malformed and not request.environment:
        assert not REQUEST.is_valid(sent), "a valid document was refused for its shape"


def _is_about_the_shape(error: Mapping[str, Any]) -> bool:
    """Whether the request document is refused for what no document may be.

    An array or none as linkage is right for some relationships, and wrong for others: that is another matter.
    """
    is_linkage = error.get("source", {}).get("pointer", "").endswith("/data")
    return error["code"] in ("invalid-document", "invalid-operation") and not is_linkage


def _check_results(library: Library, request: Request, response: TestResponse) -> None:
    sent = _parsed(request.body)
    _check_that_it_was_valid(sent)
    operations = sent[OPERATIONS]
    if response.status_code == 204:
        assert response.data == b""
        results: list[dict[str, Any]] = [{} for _ in operations]
    else:
        assert response.status_code == 200
        results = response.get_json()[RESULTS]
    assert len(results) == len(operations)
    for operation, result in zip(operations, results, strict=True):
        _check_result(operation, result)
    if response.status_code == 200 and not request.query:
        _check_representation(library, request, results)


def _check_that_it_was_valid(sent: Any) -> None:
    """What is performed is a request document, but for members that mean nothing to this server."""
    flaws = [error for error in REQUEST.iter_errors(sent) if not _is_ignored(error)]
    assert flaws == [], "an invalid document was performed"


def _is_ignored(error: ValidationError) -> bool:
    """Members that the texts do not define are ignored; so are two that they do, since nothing depends on them."""
    unknown = error.validator in ("additionalProperties", "propertyNames")
    return unknown or not {"links", "jsonapi"}.isdisjoint(error.absolute_path)


def _check_result(operation: Mapping[str, Any], result: Mapping[str, Any]) -> None:
    on_relationship = "relationship" in operation.get("ref", {}) or "/relationships/" in operation.get("href", "")
    if operation["op"] == "remove" or on_relationship:
        assert result == {}
    else:
        resource = result["data"]
        assert resource["type"] == operation["data"]["type"]
        if resource["type"] == "books":
            assert "secret" not in resource.get("attributes", {})


def _check_representation(library: Library, request: Request, results: Sequence[Mapping[str, Any]]) -> None:
    """What the last operation shows is what is stored: an update without changes shows the same."""
    shown = results[-1].get("data")
    if shown is None:
        return
    identifier = {"type": shown["type"], "id": shown["id"]}
    body = json.dumps({OPERATIONS: [{"op": "update", "data": identifier}]}).encode()
    stored = send(library, Request(body, request.client)).get_json()[RESULTS]
    assert stored == [{"data": shown}], "the result shows something else than what is stored"


def _parameters_of(query: str) -> set[str]:
    """The quoted names of the parameters: what is no UTF-8 is told as it was sent."""
    names = (name for name, _ in parse_qsl(query, keep_blank_values=True, errors="surrogateescape"))
    return {quote(_ESCAPED_BYTE.sub(lambda byte: f"%{ord(byte[0]) - 0xDC00:02X}", name)) for name in names}


_ESCAPED_BYTE = re.compile("[\udc80-\udcff]")
_NO_JSON = object()
"""What stands for a body that cannot be parsed: no pointer leads anywhere in it."""


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body.decode(), parse_int=lambda digits: int(digits[:4000]))
    except (ValueError, RecursionError):
        return _NO_JSON
