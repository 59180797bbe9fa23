"""`Atomic`: resource types and plugins as the Flask endpoint that serves them. The one module that knows Flask."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from types import MappingProxyType
from typing import Any, cast

from flask import Blueprint, Flask, Request, Response, current_app, got_request_exception, has_request_context, request
from flask.blueprints import BlueprintSetupState
from flask.sansio.app import App
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import ClientDisconnected, HTTPException, MethodNotAllowed, RequestEntityTooLarge

from .codec import Codec
from .compactjson import dumps
from .context import current_request
from .discovery import discover
from .errors import Code, ConfigurationError, ErrorObject, PluginDefect, RequestFailed, Transient
from .href import Endpoint
from .idempotency import HEADER, REPLAYED, Idempotency, Remembered, digest, fingerprint, key_error, read_key
from .links import finder, with_self
from .loggers import LoggedServing, defects
from .negotiation import CONTENT_TYPE, EXTENSION, check_accept, check_content_type, sparse_fields
from .operations import RESULTS
from .plugins import Layer, bind
from .repeats import refuse_without_memory
from .resources import Catalog, ClientIds, Resource
from .schemas import SchemaClass
from .service import Service
from .settings import Settings

__all__ = ["Atomic", "registered"]

_EXTENSIONS_KEY = "atomic"
_ALLOWED = ("OPTIONS", "POST")
_REQUEST_ID = re.compile("[A-Za-z0-9._:/+=-]{1,128}")
_JSONAPI = {"version": "1.1", "ext": [EXTENSION]}

View = Callable[..., ResponseReturnValue]
_Headers = Mapping[str, str] | list[tuple[str, str]] | None


class Atomic:
    """An endpoint of the JSON:API Atomic Operations extension (https://jsonapi.org/ext/atomic).

    :param plugins: data layers and other plugins, in the order in which layers are asked whether they serve a type.
        Without a data layer among them, the models of the application's Flask-SQLAlchemy are served.
    :param path: the path of the endpoint below the blueprint's prefix.
    :param name: the name of the blueprint that is made.
    :param blueprint: a blueprint of the application to put the endpoint on, instead of one that is made.
    :param decorators: what to wrap the view in, the first innermost: a login check, for instance.
    :param idempotency_scope: tells, within a request, whose its `Idempotency-Key` is: the id of the user or the tenant,
        a string. Keys of one scope are never taken for those of another.
    """

    def __init__(
        self,
        *plugins: object,
        path: str = "/operations",
        name: str = "atomic",
        blueprint: Blueprint | None = None,
        decorators: Iterable[Callable[[View], View]] = (),
        idempotency_scope: Callable[[], str] | None = None,
    ) -> None:
        if not path.startswith("/") or path.endswith("/") or "<" in path:
            raise ConfigurationError(
                f"The path {path!r} must begin with a slash, not end with one, and have no variables; the blueprint's "
                f"prefix may have some."
            )
        self._plugins = plugins
        self._path = path
        self._decorators = tuple(decorators)
        self._idempotency_scope = idempotency_scope
        self._resources: list[Resource] = []
        self._registered = False
        self.blueprint = Blueprint(name, __name__) if blueprint is None else blueprint
        """What `Flask.register_blueprint` takes."""
        self.blueprint.record(self._set_up)
        self._endpoint = path.strip("/").replace("/", "_").replace(".", "_")
        self.blueprint.add_url_rule(
            path,
            endpoint=self._endpoint,
            view_func=self._view(self._decorators),
            methods=_ALLOWED,
            provide_automatic_options=False,
            strict_slashes=False,
        )
        self.blueprint.record(self._route_every_method)

    def resource(
        self,
        schema: SchemaClass,
        *,
        layer: str | None = None,
        client_ids: ClientIds = "forbidden",
        operations: Collection[str] | None = None,
        collection: str | None = None,
        endpoint: str | None = None,
        independent: bool | None = None,
        **options: Any,
    ) -> None:
        """Declare a resource type.

        :param schema: a marshmallow-jsonapi schema with an `id`.
        :param layer: the name of the data layer to serve it, where more than one would.
        :param client_ids: whether clients may, must not or must give new resources their ids.
        :param operations: what is permitted, everything by default: `add`, `update` and `remove` for resources, which
            includes their relationships in an `update`; `NAME.add`, `NAME.update` and `NAME.remove` to say it for one
            relationship apart. An empty collection makes the type read-only.
        :param collection: the last segment of the collection's URL for `href`, the type by default.
        :param endpoint: the Flask endpoint of the application that answers a GET of one resource, at a URL whose one
            variable is the id. Results then have `links.self`, and a `href` may be such a URL.
        :param independent: True if a resource depends on nothing but its own attributes and shown relationships,
            although it has computed fields or its model has events, so that writes may wait for each other.
        :param options: what the data layer needs to know: `model=` for SQLAlchemy.
        :raises ConfigurationError: if the schema cannot be served, or the blueprint is registered already.
        """
        if self._registered:
            raise ConfigurationError("Declare all resources before the blueprint is registered in an application.")
        if client_ids not in ("forbidden", "allowed", "required"):
            raise ConfigurationError(f"client_ids={client_ids!r} is not 'forbidden', 'allowed' or 'required'.")
        codec = Codec(schema)
        self._resources.append(
            Resource(
                codec=codec,
                collection=codec.type if collection is None else collection,
                client_ids=client_ids,
                operations=None if operations is None else frozenset(operations),
                layer=layer,
                endpoint=endpoint,
                independent=independent,
                options=MappingProxyType(options),
            )
        )

    def with_layers(self, *layers: object) -> Atomic:
        """Return an `Atomic` with the same resource types on other data layers: in memory for tests, for instance.

        Everything else is the same too: path, name, decorators, and the plugins that are no data layers. Its blueprint
        is a new one. Which layer a declaration asks for by `layer=` does not count: the first of `layers` that claims
        a type serves it.
        """
        others = [plugin for plugin in self._plugins if not _is_layer(plugin)]
        name = self.blueprint.name
        atomic = Atomic(
            *layers,
            *others,
            path=self._path,
            name=name,
            decorators=self._decorators,
            idempotency_scope=self._idempotency_scope,
        )
        atomic._resources.extend(replace(resource, layer=None) for resource in self._resources)
        return atomic

    def perform(
        self, document: Mapping[str, Any] | str | bytes, *, idempotency_key: str | None = None
    ) -> list[dict[str, Any]]:
        """Perform a document without HTTP, in an application context: for jobs, scripts and tests.

        :param document: the request document, as JSON or as the value that it holds.
        :param idempotency_key: what to remember the results under: they are returned again if the same document comes
            with the same key. Keys of clients are never taken for these, and `ATOMIC_IDEMPOTENCY` is of no account.
        :return: the result objects.
        :raises RequestFailed: if it is refused; nothing was changed then, unless the code is `partly-committed` or
            `outcome-unknown`.
        """
        body = document if isinstance(document, (str, bytes)) else json.dumps(dict(document))
        service = self._service()
        with LoggedServing(_request_id(_sent()) if has_request_context() else None) as served:
            results = service.perform(
                body,
                service.endpoint,
                lambda records: [dict(record.result) for record in records],
                idempotency=None if idempotency_key is None else _of_job(idempotency_key, body, service.settings),
            )
            served.status = 200
        return results

    # ---------------------------------------------------------------------------------------------------- set-up

    def _set_up(self, state: BlueprintSetupState) -> None:
        self._registered = True
        services = state.app.extensions.setdefault(_EXTENSIONS_KEY, {})
        if self not in services:
            settings = Settings.read(state.app.config)
            catalog = Catalog(self._resources)
            plugins = bind(self._all_plugins(state.app, settings), catalog)
            if settings.idempotency == "required":
                refuse_without_memory(plugins.bindings)
            _look_at_stores(state.app, plugins.layers)
            services[self] = Service(
                catalog,
                plugins,
                settings,
                Endpoint(None, state.url_prefix or "", self._path),
            )

    def _route_every_method(self, state: BlueprintSetupState) -> None:
        """Have the view answer the methods that are not allowed: no blueprint hears of a 405 of routing itself."""
        endpoint = f"{state.name_prefix}.{state.name}.{self._endpoint}".lstrip(".")
        for rule in state.app.url_map.iter_rules():
            if rule.endpoint == endpoint:
                rule.methods = None

    def _all_plugins(self, app: App, settings: Settings) -> tuple[object, ...]:
        discovered = discover(settings.discover, settings.block, app.config)
        if any(map(_is_layer, self._plugins)) or "sqlalchemy" not in app.extensions:
            return (*self._plugins, *discovered)
        from .layers.sqlalchemy import SQLAlchemyLayer

        return (*self._plugins, SQLAlchemyLayer(app.extensions["sqlalchemy"]), *discovered)

    def _service(self) -> Service:
        service: Service | None = current_app.extensions.get(_EXTENSIONS_KEY, {}).get(self)
        if service is None:
            raise ConfigurationError("Call app.register_blueprint(atomic.blueprint) in this application first.")
        return service

    # --------------------------------------------------------------------------------------------------- serving

    def _view(self, decorators: Iterable[Callable[[View], View]]) -> View:
        view: View = self._serve
        for decorator in decorators:
            view = decorator(view)

        def operations(**values: Any) -> Response:
            sent = _sent()
            response = _options() if sent.method == "OPTIONS" else _served(sent, view, values)
            if "Vary" in response.headers:
                response.vary.add("Accept")
            else:
                response.headers["Vary"] = "Accept"
            return response

        return operations

    def _serve(self, **values: Any) -> Response:
        service = self._service()
        settings = service.settings
        sent = _sent()
        if sent.method != "POST":
            raise MethodNotAllowed(_ALLOWED)
        check_content_type(sent.headers.get("Content-Type"), strict=settings.strict_media_type)
        check_accept(sent.headers.get("Accept"))
        fields = sparse_fields(sent.args.items(multi=True), service.fields_of) if sent.query_string else {}
        path = sent.root_path.rstrip("/") + sent.path.rstrip("/")
        endpoint = Endpoint(sent.host, path.removesuffix(self._path), self._path)
        key = None if settings.idempotency == "off" else _idempotency_key(sent, settings)
        body = _body(sent)
        return service.perform(
            body,
            endpoint,
            lambda records: _response(
                [record.result for record in with_self(records)], fields, no_content=settings.no_content
            ),
            finder(service.catalog),
            None if key is None else self._idempotency(key, body, settings),
        )

    def _idempotency(self, key: str, body: bytes, settings: Settings) -> Idempotency[Response]:
        scope = "" if self._idempotency_scope is None else self._idempotency_scope()
        if not isinstance(scope, str):
            raise TypeError(f"idempotency_scope returned a value of type {type(scope).__name__}, not a string.")
        return Idempotency(
            digest(key, scope),
            fingerprint(request.url.partition(":")[2], body),
            settings.idempotency_seconds,
            dump=lambda response: (response.status_code, response.get_data()),
            load=_replay,
        )


def registered(app: App) -> Iterator[tuple[str, str, Service]]:
    """Yield the name, the URL and the service of each `Atomic` of the application, wherever it is registered."""
    for atomic, service in app.extensions.get(_EXTENSIONS_KEY, {}).items():
        for name, blueprint in app.blueprints.items():
            if blueprint is atomic.blueprint:
                for rule in app.url_map.iter_rules(f"{name}.{atomic._endpoint}"):
                    yield name, rule.rule, service


def _look_at_stores(app: App, layers: Iterable[Layer]) -> None:
    """Have layers look at their stores; an application may start before them.

    :raises ConfigurationError: if a store is not what its layer needs.
    """
    for layer in layers:
        if layer.supports("check"):
            with cast(Flask, app).app_context(), suppress(Transient):
                layer.check()


def _is_layer(plugin: object) -> bool:
    return hasattr(plugin, "atomic_claim")


def _sent() -> Request:
    """The request that the application has, by itself: the proxy looks it up at each use."""
    sent: Request = request._get_current_object()  # type: ignore[attr-defined]
    return sent


def _body(sent: Request) -> bytes:
    try:
        body = sent.get_data(cache=False)
    except OSError as error:  # where the server says itself where a body ends, nobody else makes a 400 of that
        raise ClientDisconnected from error
    cut_off = body and len(body) == sent.max_content_length and sent.content_length is None
    if cut_off and sent.input_stream.read(1):  # of a body in chunks Werkzeug reads no more, and says nothing
        raise RequestEntityTooLarge
    return body


def _of_job(key: str, body: bytes | str, settings: Settings) -> Idempotency[list[dict[str, Any]]]:
    return Idempotency(
        digest(key, None),
        fingerprint("", body),
        settings.idempotency_seconds,
        dump=lambda results: (200, json.dumps(results).encode()),
        load=lambda remembered: list(json.loads(remembered.body)),
    )


def _idempotency_key(sent: Request, settings: Settings) -> str | None:
    """The key of the request, None if it has none and needs none."""
    given = sent.headers.get(HEADER)
    if given is None and settings.idempotency == "optional":
        return None
    if given is None:
        detail = f'Send the header {HEADER}: "KEY", with a new key for each request that is not a repeat.'
        raise key_error(Code.MISSING_IDEMPOTENCY_KEY, detail)
    return read_key(given)


def _replay(remembered: Remembered) -> Response:
    response = _plain(remembered.status, remembered.body)
    response.headers[REPLAYED] = "true"
    return response


def _plain(status: int, body: bytes) -> Response:
    """An answer with a document, or without one."""
    response = Response(body, status, content_type=CONTENT_TYPE)
    if not body:
        del response.headers["Content-Type"]  # of nothing
    return response


def _options() -> Response:
    response = current_app.make_default_options_response()
    response.headers["Allow"] = ", ".join(_ALLOWED)
    return response


def _request_id(sent: Request) -> str | None:
    """What the request is called by who sent it, a proxy as a rule; None for nothing that can be used."""
    given = sent.headers.get("X-Request-ID", "")
    return given if _REQUEST_ID.fullmatch(given) else None


def _served(sent: Request, view: View, values: Mapping[str, Any]) -> Response:
    with LoggedServing(_request_id(sent)) as served:
        response = _answer(view, values)
        served.status = response.status_code
    return response


def _answer(view: View, values: Mapping[str, Any]) -> Response:
    """What `view` answers, or an error document for whatever it raises: here every exception ends."""
    try:
        return current_app.make_response(view(**values))
    except RequestFailed as failure:
        return _error_response(failure.errors, failure.status, failure.headers)
    except HTTPException as error:
        return _of_defect(error) if error.code == 500 else _of_http_exception(error)
    except Exception as error:
        return _of_defect(error)


def _response(
    results: Sequence[Mapping[str, Any]], fields: Mapping[str, frozenset[str]], *, no_content: bool
) -> Response:
    if no_content and not any(results):
        return _plain(204, b"")
    shown = [_sparse(result, fields) for result in results] if fields else results
    return _document({"jsonapi": _JSONAPI, RESULTS: shown}, 200)


def _sparse(result: Mapping[str, Any], fields: Mapping[str, frozenset[str]]) -> Mapping[str, Any]:
    """The result with no other fields than those the client asked for (JSON:API 1.1, "Sparse Fieldsets")."""
    resource = result.get("data")
    if resource is None or resource["type"] not in fields:
        return result
    wanted = fields[resource["type"]]
    shown = {}
    for name, member in resource.items():
        if name in ("attributes", "relationships"):
            member = {field: value for field, value in member.items() if field in wanted}
            if not member:
                continue
        shown[name] = member
    return {**result, "data": shown}


def _document(document: Mapping[str, Any], status: int, headers: _Headers = None) -> Response:
    return Response(dumps(document), status, headers, content_type=CONTENT_TYPE)


def _error_response(errors: Sequence[ErrorObject], status: int, headers: _Headers = None) -> Response:
    limit = current_app.config["ATOMIC_MAX_ERRORS"]
    told = [error.to_json() for error in errors[:limit]]
    current_request.tell(status, errors)
    return _document({"jsonapi": _JSONAPI, "errors": told}, status, headers)


def _of_http_exception(error: HTTPException) -> Response:
    """An answer to what Flask or a decorator raised; a response that was raised is given as it is."""
    response = current_app.make_response(error.get_response())
    if error.response is not None or response.status_code < 400:
        return response
    code = _CODES.get(response.status_code)
    detail = str(error.description or error.name)
    told = (
        ErrorObject(response.status_code, re.sub("[^a-z]+", "-", error.name.lower()), error.name, detail)
        if code is None
        else ErrorObject.of(code, detail)
    )
    headers = [(name, value) for name, value in response.headers if name not in ("Content-Type", "Content-Length")]
    return _error_response([told], response.status_code, headers)


_CODES = {
    code.status: code
    for code in (
        Code.BAD_REQUEST,
        Code.METHOD_NOT_ALLOWED,
        Code.NOT_ACCEPTABLE,
        Code.CONFLICT,
        Code.TOO_LARGE,
        Code.UNSUPPORTED_MEDIA_TYPE,
    )
}


def _of_defect(error: Exception) -> Response:
    id_ = str(uuid.uuid4())
    what = error if isinstance(error, PluginDefect) else "the request could not be served."
    defects.exception("Error %s: %s", id_, what, extra={"error_id": id_})
    got_request_exception.send(current_app._get_current_object(), exception=error)  # type: ignore[attr-defined]
    detail = "The request could not be served. The log has more under the id."
    return _error_response([ErrorObject.of(Code.INTERNAL_ERROR, detail, id=id_)], 500)
