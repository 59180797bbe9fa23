"""Plugins that other distributions provide: entry points are found by their names, and give a plugin each.

The module decides what is loaded, and in which order. Whether a plugin is a right one is found out when it is bound.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from importlib.metadata import EntryPoint, EntryPoints, entry_points
from typing import Any

from .errors import ConfigurationError
from .hookspecs import PROJECT

__all__ = ["discover"]


def discover(wanted: bool | Sequence[str], blocked: Collection[str], config: Mapping[str, Any]) -> list[object]:
    """Return the plugins that the entry points of the group `flask_atomic` give.

    The object of an entry point is called with the configuration, and returns a plugin, or None for none.

    :param wanted: True for all, in the order of their names; the names of some, in this order; False for none.
    :param blocked: the names of those that are not loaded in any case.
    :param config: the configuration of the application.
    :raises ConfigurationError: for a name that is wanted twice, that is not there or there twice, and for whatever an
        entry point raises.
    """
    if wanted is False:
        return []
    found = entry_points(group=PROJECT)
    names = sorted(found.names) if wanted is True else wanted
    for name, count in Counter(names).items():
        if count > 1:
            raise ConfigurationError(f"ATOMIC_DISCOVER names '{name}' more than once. A plugin is loaded once.")
    plugins = [_plugin(_only(name, found), config) for name in names if name not in blocked]
    return [plugin for plugin in plugins if plugin is not None]


def _only(name: str, found: EntryPoints) -> EntryPoint:
    match tuple(found.select(name=name)):
        case (entry_point,):
            return entry_point
        case ():
            present = ", ".join(f"'{known}'" for known in sorted(found.names)) or "none"
            raise ConfigurationError(
                f"ATOMIC_DISCOVER names '{name}', which no installed distribution provides. Provided are: {present}."
            )
        case several:
            raise ConfigurationError(
                f"The plugin '{name}' is provided by several distributions: {', '.join(map(_distribution, several))}. "
                f"Uninstall all but one of them, or put the name into ATOMIC_BLOCK."
            )


def _plugin(entry_point: EntryPoint, config: Mapping[str, Any]) -> object | None:
    try:
        plugin: object | None = entry_point.load()(config)
    except Exception as error:
        raise ConfigurationError(
            f"The plugin '{entry_point.name}' of {_distribution(entry_point)} could not be loaded. "
            f"{type(error).__name__}: {error}"
        ) from error
    return plugin


def _distribution(entry_point: EntryPoint) -> str:
    return f"'{entry_point.dist.name}'" if entry_point.dist else entry_point.value
