"""Where the application itself serves resources: their URLs for `links.self`, and what a `href` to one addresses.

The extension's endpoint has no such URLs of its own. An application that answers GET requests for resources names the
Flask endpoint that does so by `Atomic.resource(endpoint=...)`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from flask import current_app, request, url_for
from werkzeug.exceptions import HTTPException
from werkzeug.routing import MapAdapter

from .errors import ConfigurationError
from .href import Elsewhere
from .operations import Ref
from .resources import Catalog, Record, Resource

__all__ = ["finder", "with_self"]


def with_self(records: Iterable[Record]) -> list[Record]:
    """Return the records with `links.self` in each resource whose URL is known (JSON:API 1.1, "Resource Links").

    :raises ConfigurationError: if a URL cannot be made of a resource's `endpoint`.
    """
    urls: dict[Resource, _Urls] = {}
    linked = []
    for record in records:
        if record.resource.endpoint is not None and "data" in record.result:
            if record.resource not in urls:
                urls[record.resource] = _Urls(record.resource, record.resource.endpoint)
            record = _with_link(record, urls[record.resource].of(record.id))
        linked.append(record)
    return linked


def _with_link(record: Record, url: str) -> Record:
    resource = record.result["data"]
    data = {**resource, "links": {**resource.get("links", {}), "self": url}}
    return record._replace(result={**record.result, "data": data})


def finder(catalog: Catalog) -> Elsewhere | None:
    """Return what finds the resource or relationship that a path leads to; None if the application names no URLs."""
    resources = catalog.by_endpoint
    adapter = current_app.create_url_adapter(request) if resources else None
    if adapter is None:
        return None
    root = [segment for segment in request.root_path.split("/") if segment]

    def find(segments: Sequence[str]) -> Ref | None:
        if list(segments[: len(root)]) != root or any("/" in segment for segment in segments):
            return None
        below = segments[len(root) :]
        if below[-2:-1] == ["relationships"]:
            owner = _resource_at(adapter, below[:-2], resources)
            return None if owner is None else owner._replace(relationship=below[-1])
        return _resource_at(adapter, below, resources)

    return find


def _resource_at(adapter: MapAdapter, segments: Sequence[str], resources: Mapping[str, Resource]) -> Ref | None:
    for end in ("", "/"):
        try:
            endpoint, values = adapter.match(f"/{'/'.join(segments)}{end}", "GET")
        except HTTPException:  # nowhere, or a redirection
            continue
        if endpoint in resources:
            urls = _Urls(resources[endpoint], endpoint)
            return Ref(urls.resource.type, str(values[urls.id_variable]), None, None, {})
    return None


class _Urls:
    """The URLs of the resources of one type: what varies in them is the id, and what the request's own URL has too."""

    def __init__(self, resource: Resource, endpoint: str) -> None:
        self.resource = resource
        self.endpoint = endpoint
        rules = (rule for rule in current_app.url_map.iter_rules() if rule.endpoint == endpoint)
        variables = next((rule.arguments for rule in rules if "GET" in (rule.methods or ())), set())
        given: dict[str, Any] = request.view_args or {}
        self._shared = {name: value for name, value in given.items() if name in variables}
        names = variables - self._shared.keys()
        if len(names) != 1:
            raise ConfigurationError(
                f"endpoint={endpoint!r} of '{resource.type}' must answer GET requests at a URL with one variable, the "
                f"id."
            )
        self.id_variable = names.pop()

    def of(self, id_: Any) -> str:
        return url_for(self.endpoint, **self._shared, **{self.id_variable: id_})
