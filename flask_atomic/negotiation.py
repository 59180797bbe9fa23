"""The media types of a request and its answer, and the query parameters (JSON:API 1.1, "Content Negotiation").

Pure functions of the texts that a client sent; nothing here knows Flask or what a request is about.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import NamedTuple

from .errors import MOST_ERRORS, Code, ErrorObject, RequestFailed

__all__ = ["CONTENT_TYPE", "EXTENSION", "MEDIA_TYPE", "check_accept", "check_content_type", "sparse_fields"]

MEDIA_TYPE = "application/vnd.api+json"
EXTENSION = "https://jsonapi.org/ext/atomic"
CONTENT_TYPE = f'{MEDIA_TYPE};ext="{EXTENSION}"'
"""The media type of every answer."""

_JSON = "application/json"
_LONGEST = 16_384
"""How many characters of a header are read; servers accept about half of it on one line."""


_remembered = lru_cache(maxsize=32)
"""For what is found out about a header: a client sends the same with all its requests. So few, since it may be long."""


class _MediaType(NamedTuple):
    """A media type or, with a weight, a range of them; the names are in lower case.

    :param parameters: the names and values; the weight of a range is none of them.
    """

    name: str
    parameters: tuple[tuple[str, str], ...]
    weight: float = 1

    @property
    def extensions(self) -> frozenset[str]:
        """The URIs in the parameter `ext`."""
        return frozenset(uri for name, value in self.parameters if name == "ext" for uri in value.split())

    @property
    def flaw(self) -> str | None:
        """What keeps the media type of JSON:API from being understood here, None if nothing does."""
        for name, _ in self.parameters:
            if name not in ("ext", "profile"):
                return f"The media type {MEDIA_TYPE} has no parameter '{name}'."
        unsupported = sorted(self.extensions - {EXTENSION})
        return f"The extension '{unsupported[0]}' is not supported." if unsupported else None

    @property
    def specificity(self) -> int:
        """How closely the range describes the answer, 0 if it does not describe it."""
        if self.name == MEDIA_TYPE and not self.flaw:
            return 5 if self.extensions else 4
        if self.name == _JSON and self.weight:  # to refuse it says nothing of the answer
            return 3
        return {"application/*": 2, "*/*": 1}.get(self.name, 0)


def check_content_type(value: str | None, *, strict: bool) -> None:
    """Accept the media type of JSON:API, with or without the extension, and `application/json`.

    :param value: the header `Content-Type`.
    :param strict: whether to accept nothing but the media type of JSON:API with the extension.
    :raises RequestFailed: 415, also for parameters that the media type must not have (JSON:API 1.1, "Server
        Responsibilities").
    """
    flaw = _content_type_flaw(value or "", strict)
    if flaw is not None:
        raise RequestFailed(ErrorObject.of(Code.UNSUPPORTED_MEDIA_TYPE, flaw, header="Content-Type"))


def check_accept(value: str | None) -> None:
    """See that the answer, `CONTENT_TYPE`, is acceptable. It also serves those who ask for `application/json`.

    :param value: all headers `Accept`, joined by commas; None if there is none.
    :raises RequestFailed: 406 if nothing that is listed allows the answer, or if the media type of JSON:API is listed,
        but only in ways that cannot be served (JSON:API 1.1, "Server Responsibilities").
    """
    flaw = _accept_flaw(value) if value else None
    if flaw is not None:
        raise RequestFailed(ErrorObject.of(Code.NOT_ACCEPTABLE, flaw, header="Accept"))


def sparse_fields(
    parameters: Iterable[tuple[str, str]], fields_of: Callable[[str], frozenset[str] | None]
) -> dict[str, frozenset[str]]:
    """Return the names of the fields to show, by type (JSON:API 1.1, "Sparse Fieldsets").

    :param parameters: the names and values of all query parameters, decoded.
    :param fields_of: tells the fields of a type, None if there is no such type.
    :raises RequestFailed: 400, with an error for each parameter that is anything but `fields[TYPE]`, given once.
    """
    chosen: dict[str, frozenset[str]] = {}
    errors: dict[str, ErrorObject] = {}
    for parameter, value in parameters:
        if len(errors) == MOST_ERRORS:
            break
        named = _FIELDS.fullmatch(parameter)
        if named is None:
            errors[parameter] = _bad_parameter(parameter, "The only parameters here are fields[TYPE].")
            continue
        type_, names = named[1], frozenset(value.split(",") if value else ())
        if type_ in chosen:
            errors[parameter] = _bad_parameter(parameter, "The parameter is given twice.")
        elif flaw := _fields_flaw(type_, names, fields_of(type_)):
            errors[parameter] = _bad_parameter(parameter, flaw)
        chosen[type_] = names
    if errors:
        raise RequestFailed(*errors.values())
    return chosen


_FIELDS = re.compile(r"fields\[([^][]+)\]")


def _fields_flaw(type_: str, names: frozenset[str], known: frozenset[str] | None) -> str | None:
    if known is None:
        return f"There is no resource type '{type_}'."
    unknown = sorted(names - known)
    return f"The resource type '{type_}' has no field '{unknown[0]}'." if unknown else None


def _bad_parameter(parameter: str, detail: str) -> ErrorObject:
    return ErrorObject.of(Code.INVALID_PARAMETER, detail, parameter=parameter)


@_remembered
def _content_type_flaw(value: str, strict: bool) -> str | None:
    """Why a request of that media type is refused, None if it is not."""
    name = _name(value)
    if name == _JSON and not strict:
        return None
    if name != MEDIA_TYPE:
        return f"A request has the media type {CONTENT_TYPE}."
    media_type = _parse(value)
    if media_type is None:
        return "The parameters of the media type cannot be read."
    if strict and not media_type.flaw and not media_type.extensions:
        return f"The media type does not say that the extension is applied: {CONTENT_TYPE}."
    return media_type.flaw


@_remembered
def _accept_flaw(value: str) -> str | None:
    """Why the answer is not acceptable, None if it is."""
    if not value.strip(" \t,"):
        return None
    if len(value) > _LONGEST:
        return f"The header has more than {_LONGEST} characters."
    ranges = [accepted for text in _ELEMENT.findall(value) if (accepted := _parse_range(text))]
    flaws = [accepted.flaw for accepted in ranges if accepted.name == MEDIA_TYPE]
    if flaws and flaws[0] and all(flaws):
        return flaws[0]
    closest = max((accepted.specificity for accepted in ranges), default=0)
    if not closest or not any(accepted.weight for accepted in ranges if accepted.specificity == closest):
        return f"The answer has the media type {CONTENT_TYPE}."
    return None


# Werkzeug's parsers pass over parameters that they cannot read, and keep the last of two with one name: a foreign one
# could slip through. They compare `ext` as a text, not as a list. Values without quotes may hold more than the grammar
# has: a URI without them leaves no doubt. The quantifiers are possessive, so that no text takes more than linear time.

_TOKEN = r"[\w!#$%&'*+.^`|~-]++"
_ONE_PARAMETER = rf"""({_TOKEN})=(?:"((?:[^"\\]|\\.)*+)"|([^\s;,"]++))"""
_PARAMETER = re.compile(_ONE_PARAMETER, re.ASCII)
_PARAMETERS = re.compile(rf"(?:[ \t]*+;[ \t]*+(?:{_ONE_PARAMETER})?+)*+[ \t]*+", re.ASCII)
_ELEMENT = re.compile(r"""(?:[^,"]|"(?:[^"\\]|\\.)*+"?)++""")
_WEIGHT = re.compile(r"0(\.\d*)?|1(\.0*)?", re.ASCII)


def _name(text: str) -> str:
    return text.partition(";")[0].strip(" \t").lower()


def _parse(text: str) -> _MediaType | None:
    """The media type that `text` is, None if its parameters cannot be read."""
    _, semicolon, rest = text.partition(";")
    if len(text) > _LONGEST or not _PARAMETERS.fullmatch(semicolon + rest):
        return None
    found = _PARAMETER.findall(rest)
    return _MediaType(
        _name(text), tuple((name.lower(), re.sub(r"\\(.)", r"\1", quoted) or plain) for name, quoted, plain in found)
    )


def _parse_range(text: str) -> _MediaType | None:
    """The media range that `text` is, None if its parameters or its weight cannot be read: then it allows nothing."""
    media_type = _parse(text)
    if media_type is None:
        return None
    weight = next((value for name, value in media_type.parameters if name == "q"), "1")
    if not _WEIGHT.fullmatch(weight):
        return None
    parameters = tuple(parameter for parameter in media_type.parameters if parameter[0] != "q")
    return _MediaType(media_type.name, parameters, float(weight))
