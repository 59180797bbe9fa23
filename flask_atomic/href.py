"""What a `href` addresses: a URI reference to a collection, a resource or a relationship. Pure functions.

The extension lets an operation name its target by `href` ("Operation Objects"). Where which resource lives is decided
in this project: `COLLECTION`, `COLLECTION/ID` and `COLLECTION/ID/relationships/NAME` beside the endpoint.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit

from .operations import Ref
from .resources import Catalog

__all__ = ["Elsewhere", "Endpoint", "resolve"]

_NOT_IN_A_URI = re.compile(r"[\x00-\x20\x7f]|%(?![0-9A-Fa-f]{2})")
"""Spaces, control characters and lone percent signs. What other characters mean is beyond doubt, encoded or not."""

_AUTHORITY = re.compile(r"(?:[^/?#:]*+:)?+//([^/?#]*+)")


class Endpoint(NamedTuple):
    """Where the operations are sent to.

    :param host: `HOST` or `HOST:PORT` as the client wrote it, None where there is no request.
    :param prefix: the decoded path before the endpoint's own, without a slash at its end: `/api` of `/api/operations`.
    :param path: the decoded path of the endpoint below `prefix`, with a slash in front: `/operations`.
    """

    host: str | None
    prefix: str
    path: str


Elsewhere = Callable[[Sequence[str]], Ref | None]
"""Says where a path of these decoded segments leads in the application itself; None for nowhere."""


def resolve(href: str, endpoint: Endpoint, catalog: Catalog, elsewhere: Elsewhere | None = None) -> Ref | None:
    """Return what `href` leads to, None for nowhere.

    :param elsewhere: is asked about a path that leads nowhere beside the endpoint.
    :raises ValueError: if the reference cannot be a target at all; the message is for the client.
    """
    if "?" in href or "#" in href:
        raise ValueError("A target has neither a query nor a fragment.")
    segments = _segments(href, endpoint)
    if not segments or not all(segments):
        return None
    return _beside(segments, endpoint, catalog) or (elsewhere(segments) if elsewhere else None)


def _beside(segments: Sequence[str], endpoint: Endpoint, catalog: Catalog) -> Ref | None:
    """What a path of these segments leads to beside the endpoint."""
    prefix = _split(endpoint.prefix)
    below = segments[len(prefix) :] if segments[: len(prefix)] == prefix else []
    resource = catalog.of_collection(below[0]) if below else None
    if resource is None:
        return None
    match below[1:]:
        case []:
            return Ref(resource.type, None, None, None, {})
        case [id_]:
            return Ref(resource.type, id_, None, None, {})
        case [id_, "relationships", name]:
            return Ref(resource.type, id_, None, name, {})
    return None


def _segments(href: str, endpoint: Endpoint) -> list[str] | None:
    """The decoded segments of the path that `href` has on this host, None where it leads to another one."""
    try:
        if _NOT_IN_A_URI.search(href):
            raise ValueError
        authority = _AUTHORITY.match(href)
        if authority and not authority[1].isascii():
            return None  # no host is called so; urlsplit would normalise the name, in quadratic time
        reference = urlsplit(href)
        here = _is_relative(href, reference) or _leads_to_host(reference, endpoint.host)
        segments = _path_segments(reference.path, endpoint)
    except ValueError:
        raise ValueError("The href is not a URI reference in UTF-8.") from None
    if "@" in reference.netloc:
        raise ValueError("The href names a user, which can disguise where it leads.")
    if any("\0" in segment for segment in segments):
        raise ValueError("The href holds NUL.")
    return segments if here else None


def _path_segments(path: str, endpoint: Endpoint) -> list[str]:
    """The decoded segments of the path that `path` stands for beside the endpoint (RFC 3986, 5.2.4: without dots).

    Dots that are percent-encoded are part of a name, so that there is a reference to every id.
    """
    if not path:
        return []  # the endpoint itself, or the root of the host: no collection lives there
    segments = [] if path.startswith("/") else _split(endpoint.prefix + endpoint.path)[:-1]
    for segment in path.removeprefix("/").removesuffix("/").split("/"):
        if segment == "..":
            del segments[-1:]
        elif segment != ".":
            segments.append(unquote(segment, errors="strict"))
    return segments


def _split(path: str) -> list[str]:
    return [segment for segment in path.split("/") if segment]


def _is_relative(href: str, reference: SplitResult) -> bool:
    return not reference.scheme and not href.startswith("//")


def _leads_to_host(reference: SplitResult, host: str | None) -> bool:
    """Whether the reference names this host. The scheme makes no difference: a proxy may have ended the encryption."""
    named = _host_and_port(reference.netloc)
    if not host or reference.scheme not in ("", "http", "https"):
        return False
    try:
        return named == _host_and_port(host)
    except ValueError:
        return False  # the client's own Host header is none


def _host_and_port(netloc: str) -> tuple[str | None, int | None]:
    """Host and port for comparison: case and the default ports make no difference."""
    parts = urlsplit(f"//{netloc}")
    return parts.hostname, None if parts.port in (80, 443) else parts.port
