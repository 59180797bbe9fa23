"""The JSON Schemas of requests and responses, and the check of every answer that a test client is given.

The schemas were written from the texts of JSON:API 1.1 and of its Atomic Operations extension, apart from the code.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from werkzeug.wrappers import Response

SCHEMAS = Path(__file__).parent / "schemas"
MEDIA_TYPE = "application/vnd.api+json"
EXTENSION = "https://jsonapi.org/ext/atomic"


def _validators(*names: str) -> Iterable[Draft202012Validator]:
    schemas = {name: json.loads((SCHEMAS / name).read_text("utf-8")) for name in ("base.json", *names)}
    for schema in schemas.values():
        Draft202012Validator.check_schema(schema)
    registry: Registry[Any] = Registry().with_resources(
        (schema["$id"], Resource.from_contents(schema)) for schema in schemas.values()
    )
    return [Draft202012Validator(schemas[name], registry=registry.crawl()) for name in names]


REQUEST, RESPONSE = _validators("request.json", "response.json")


def flaws(validator: Draft202012Validator, document: Any) -> list[str]:
    """What is wrong with a document, each with the place where it is."""
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(document)]


def check_response(response: Response, method: str) -> None:
    """See that a response in the media type of JSON:API is one of the extension; others are none of our business.

    :param method: that of the request.
    """
    if response.mimetype != MEDIA_TYPE:
        return
    assert response.mimetype_params == {"ext": EXTENSION}, response.headers["Content-Type"]
    assert "accept" in response.vary, "Vary does not name Accept"
    if method != "HEAD":
        check_document(response.get_data(), response.status_code)


@lru_cache(maxsize=4096)  # most answers of a test run are given several times
def check_document(body: bytes, status: int) -> None:
    """See that the body of a response with this status is a response document, and goes with the status."""
    document = json.loads(body.decode(), object_pairs_hook=_members, parse_constant=_no_constant)
    if not RESPONSE.is_valid(document):
        raise AssertionError(f"No response document of JSON:API: {flaws(RESPONSE, document)}")
    if "errors" in document:
        _check_status(status, {int(error["status"]) for error in document["errors"]})
    else:
        assert status == 200, f"{status} with results"
        for result in document["atomic:results"]:
            _check_namespace(result.get("data", {}))


def _members(members: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(members)
    assert len(found) == len(members), "a member occurs twice"
    return found


def _no_constant(literal: str) -> Any:
    raise AssertionError(f"{literal} is no JSON")


def _check_status(status: int, told: set[int]) -> None:
    """JSON:API 1.1, "Processing Errors": the status is that of the errors if they agree, else the most general one.

    It is that of all errors, of which only so many are told: with those of one status, it may be the general one.
    """
    general = 500 if max(told) >= 500 else 400
    assert status == general or {status} == told, f"{status} does not go with errors of {told}"


def _check_namespace(resource: dict[str, Any]) -> None:
    """JSON:API 1.1, "Fields": attributes and relationships share a namespace, which no schema can say."""
    shared = resource.get("attributes", {}).keys() & resource.get("relationships", {}).keys()
    assert not shared, f"attributes that are relationships as well: {shared}"
