"""What a `href` addresses: a URI reference to a collection, a resource or a relationship. Pure functions.

The extension lets an operation name its target by `href` ("Operation Objects"). Where which resource lives is decided
in this project: `COLLECTION`, `COLLECTION/ID` and `COLLECTION/ID/relationships/NAME` beside the endpoint.
"""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import quote, unquote, urljoin, urlsplit

from .operations import Ref
from .resources import Catalog

__all__ = ["Endpoint", "resolve"]


class Endpoint(NamedTuple):
    """Where the operations are sent to.

    :param host: `HOST` or `HOST:PORT` as the client wrote it, None where there is no request.
    :param prefix: the decoded path before the endpoint's own, without a slash at its end: `/api` of `/api/operations`.
    :param path: the decoded path of the endpoint below `prefix`, with a slash in front: `/operations`.
    """

    host: str | None
    prefix: str
    path: str


def resolve(href: str, endpoint: Endpoint, catalog: Catalog) -> Ref | None:
    """Return what `href` leads to, None for nowhere.

    :raises ValueError: if the reference cannot be a target at all; the message is for the client.
    """
    if "?" in href or "#" in href:
        raise ValueError("A target has neither a query nor a fragment.")
    segments = _segments_below(href, endpoint)
    if segments is None or not all(segments):
        return None
    resource = catalog.of_collection(segments[0])
    if resource is None:
        return None
    match segments[1:]:
        case []:
            return Ref(resource.type, None, None, None)
        case [id_]:
            return Ref(resource.type, id_, None, None)
        case [id_, "relationships", name]:
            return Ref(resource.type, id_, None, name)
    return None


def _segments_below(href: str, endpoint: Endpoint) -> list[str] | None:
    """The decoded segments of the path that `href` has below the endpoint's prefix, None where it is not below it."""
    base = f"//{endpoint.host or 'localhost'}{quote(endpoint.prefix + endpoint.path)}"
    try:
        target = urlsplit(urljoin(f"http:{base}", href))
        segments = [unquote(segment, errors="strict") for segment in target.path.split("/")]
        same_host = _host(target.netloc) == _host(urlsplit(base).netloc)
    except ValueError:
        raise ValueError("The href is not a URI reference in UTF-8.") from None
    if any("\0" in segment for segment in segments):
        raise ValueError("The href holds NUL.")
    if target.scheme not in ("http", "https") or not same_host:
        return None
    if endpoint.host is None and urlsplit(href).netloc:
        return None
    if "//" in urlsplit(href).path:  # an empty segment, which joining has passed over
        return None
    if len(segments) > 1 and segments[-1] == "":
        segments.pop()
    prefix = endpoint.prefix.split("/")
    return segments[len(prefix) :] if segments[: len(prefix)] == prefix and len(segments) > len(prefix) else None


def _host(netloc: str) -> tuple[str | None, int | None]:
    """Host and port for comparison: case and the default ports make no difference."""
    parts = urlsplit(f"//{netloc}")
    return parts.hostname, None if parts.port in (80, 443) else parts.port
