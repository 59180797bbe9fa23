"""The commands `flask atomic ...`: which plugins serve the endpoints of an application, and what is wrong with them.

They load the application themselves, so that a mistake in its set-up is told as a reason and not as a traceback. They
perform no operation: `layers` and `check` show what was bound while the application was loaded, `check --connect` has
layers read, `purge` has them forget, and `recover` has them end what requests have left behind.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import click
from flask.cli import ScriptInfo, pass_script_info

from .errors import ConfigurationError, OperationFailed, PluginDefect
from .extension import registered
from .hookspecs import InDoubt
from .plugins import Binding, Hook, Layer, Plugins
from .probe import probe
from .repeats import forget

__all__ = ["atomic"]

_FAILURES = (ConfigurationError, OperationFailed, PluginDefect)


@click.group()
def atomic() -> None:
    """Look at the endpoints for atomic operations."""


@atomic.command()
@pass_script_info
def layers(info: ScriptInfo) -> None:
    """Show the data layer of each resource type, and the plugins that take part in each hook."""
    for heading, plugins in _endpoints(info):
        click.echo(f"{heading}\n")
        _show(["type", "collection", "layer", "class", "votes"], map(_served, plugins.bindings.values()))
        having = list(dict.fromkeys(name for hook in plugins.hooks for name in hook.plugins))
        _show(["hook", *having, "wrapped by"], (_taking_part(hook, having) for hook in plugins.hooks))


@atomic.command()
@click.option("--connect", is_flag=True, help="Read from the stores, too: they must be there, with all their tables.")
@pass_script_info
def check(info: ScriptInfo, connect: bool) -> None:
    """Load the application, and fail with the reason if it or a store is not set up as it should be."""
    for heading, plugins in _endpoints(info):
        click.echo(heading)
        for layer in plugins.layers:
            if layer.supports("check"):
                _check(info, heading, layer)
        for type_, binding in plugins.bindings.items():
            click.echo(f"{type_}: served by '{binding.layer.name}'")
        if connect:
            _connect(info, heading, plugins)


def _connect(info: ScriptInfo, heading: str, plugins: Plugins) -> None:
    """Have each layer read."""
    with _told(heading), info.load_app().app_context():
        probe(plugins)


@atomic.command()
@pass_script_info
def purge(info: ScriptInfo) -> None:
    """Forget the answers under idempotency keys that have expired."""
    for heading, plugins in _endpoints(info):
        with _told(heading), info.load_app().app_context():
            forgotten = forget(plugins.layers)
        for layer, count in forgotten.items():
            click.echo(f"{heading}: {count} forgotten by '{layer.name}'")


@atomic.command()
@click.option(
    "--older-than",
    type=click.FloatRange(min=0),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="Leave alone what was begun later than so many seconds ago.",
)
@click.option("--dry-run", is_flag=True, help="Only show what there is.")
@pass_script_info
def recover(info: ScriptInfo, older_than: float, dry_run: bool) -> None:
    """End the transactions that a process has left between two phases, and fail if any is left."""
    is_done = True
    for heading, plugins in _endpoints(info):
        for layer in plugins.layers:
            if layer.supports("in_doubt"):
                click.echo(f"{heading}: '{layer.name}'")
                with info.load_app().app_context():
                    is_done &= _recover(layer, older_than, dry_run=dry_run)
    if not is_done:
        raise SystemExit(1)


def _recover(layer: Layer, older_than: float, *, dry_run: bool) -> bool:
    """Show what is ended and what is left; return whether nothing is left that is old enough."""
    failure = None
    ended: Sequence[InDoubt] = ()
    left: Sequence[InDoubt] = ()
    try:
        ended = () if dry_run else layer.recover(older_than=older_than)
        left = layer.in_doubt()
    except _FAILURES as failed:
        failure = failed
    rows = [_in_doubt(each, "ended") for each in ended] + [_in_doubt(each, "left") for each in left]
    _show(["store", "transaction", "age", "decision", ""], rows)
    if failure is not None:
        click.echo(f"Error: {_reason(failure)}", err=True)
    return failure is None and all(each.age < older_than for each in left)


def _in_doubt(doubt: InDoubt, outcome: str) -> list[str]:
    return [doubt.store, doubt.id, f"{doubt.age:.0f} s", doubt.decision or "none", outcome]


def _check(info: ScriptInfo, heading: str, layer: Layer) -> None:
    with _told(f"{heading}: '{layer.name}'"), info.load_app().app_context():
        layer.check()


@contextmanager
def _told(subject: str) -> Iterator[None]:
    """Raise what a layer raises as a reason.

    :raises ClickException: if one fails, whatever for.
    """
    try:
        yield
    except _FAILURES as failure:
        raise click.ClickException(f"{subject}: {_reason(failure)}") from failure


def _reason(failure: Exception) -> str:
    """What was raised, and what that comes from: a mistake of set-up, or else the words of a driver."""
    cause = failure.__cause__
    while cause is not None and cause.__cause__ is not None and not isinstance(cause, ConfigurationError):
        cause = cause.__cause__
    return str(failure) if cause is None else f"{failure} {cause}"


def _endpoints(info: ScriptInfo) -> Iterator[tuple[str, Plugins]]:
    """Yield a heading and the plugins for each endpoint of the application.

    :raises ClickException: if a `ConfigurationError` keeps the application from being loaded, or there are none.
    """
    try:
        found = list(registered(info.load_app()))
    except ConfigurationError as error:
        raise click.ClickException(str(error)) from error
    if not found:
        raise click.ClickException(
            "No Atomic is registered in this application. Call app.register_blueprint(atomic.blueprint)."
        )
    for name, url, service in found:
        yield f"{name} ({url})", service.plugins


def _served(binding: Binding) -> list[str]:
    resource, layer = binding.resource, binding.layer
    collection = "" if resource.collection == resource.type else resource.collection
    return [resource.type, collection, layer.name, type(layer.plugin).__name__, "yes" if layer.can_prepare else "no"]


def _taking_part(hook: Hook, having: Iterable[str]) -> list[str]:
    return [hook.name, *("yes" if name in hook.plugins else "" for name in having), ", ".join(hook.wrappers)]


def _show(head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table without its empty columns, and an empty line; nothing if all are empty."""
    lines = ["  ".join(cells).rstrip() for cells in zip(*_columns(head, rows), strict=True)]
    if lines:
        click.echo("\n".join([*lines, ""]))


def _columns(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[list[str]]:
    for title, *cells in zip(head, *rows, strict=True):
        if any(cells):
            width = max(map(len, (title, *cells)))
            yield [cell.ljust(width) for cell in (title, "-" * width, *cells)]
