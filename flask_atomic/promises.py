"""What plugins promise by their hooks, looked at in every call: who breaks a promise is named, with the hook.

A look costs next to nothing, and finds what would otherwise go wrong somewhere else, or be answered to a client. What
takes more to find out is for the tests of a layer.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from inspect import Parameter, signature
from operator import itemgetter
from typing import Any
from uuid import UUID

import pluggy

from .errors import OperationFailed, PluginDefect, RequestFailed, UnknownOutcome
from .hookspecs import InDoubt
from .idempotency import Remembered

__all__ = ["CheckedHook"]


class CheckedHook:
    """A hook of a request: called like `caller`, with what is raised and returned looked at.

    :raises PluginDefect: for every exception but the two that a plugin may raise to refuse, and for a value that the
        hook must not return. Of those who take part in the hook, wrappers among them, all are named.
    """

    def __init__(self, caller: pluggy.HookCaller) -> None:
        self.name = caller.name
        self.plugins = tuple(dict.fromkeys(implementation.plugin_name for implementation in caller.get_hookimpls()))
        self.wrappers = frozenset(
            each.plugin_name for each in caller.get_hookimpls() if each.wrapper or each.hookwrapper
        )
        """The plugins that stand around the hook."""
        self._call = _only_function(caller) or caller
        self._find_fault = _FAULTS.get(caller.name)

    def __call__(self, **arguments: Any) -> Any:
        """Call the hook; the arguments are those of its specification."""
        try:
            returned = self._call(**arguments)
        except UnknownOutcome as error:
            if self.name == "atomic_commit":
                raise
            raise self.broken("raised UnknownOutcome, which is for commits") from error
        except (OperationFailed, RequestFailed, PluginDefect):  # the last is of a hook that was called within
            raise
        except Exception as error:
            raise self.broken(f"raised {type(error).__name__}") from error
        if self._find_fault is not None:
            fault = self._find_fault(returned, arguments)
            if fault is not None:
                raise self.broken(f"returned {fault}")
        return returned

    def broken(self, how: str) -> PluginDefect:
        """What to raise for a promise that was broken; `how` continues the name of the hook and its plugins."""
        return PluginDefect(self.name, self.plugins, how)


def _only_function(caller: pluggy.HookCaller) -> Callable[..., Any] | None:
    """The function of a hook that has a single one and no wrappers: then there is nothing that pluggy would add."""
    implementations = caller.get_hookimpls()
    if len(implementations) != 1 or caller.spec is None:
        return None
    (only,) = implementations
    if only.wrapper or only.hookwrapper:
        return None
    function = only.function
    if not _takes_names(function, caller.spec.argnames):
        function = _taking(function, only.argnames)
    return function if caller.spec.opts["firstresult"] else lambda **arguments: _all_of(function(**arguments))


def _takes_names(function: Callable[..., Any], names: Iterable[str]) -> bool:
    """Whether the function itself, whatever it stands for, takes just these arguments by their names."""
    parameters = signature(function, follow_wrapped=False).parameters
    return parameters.keys() == set(names) and all(
        each.kind is Parameter.POSITIONAL_OR_KEYWORD for each in parameters.values()
    )


def _taking(function: Callable[..., Any], names: Sequence[str]) -> Callable[..., Any]:
    """The function as one that takes arguments by name, those too that it does not want, and is called as by pluggy."""
    if len(names) < 2:
        return lambda **arguments: function(*[arguments[name] for name in names])
    wanted = itemgetter(*names)
    return lambda **arguments: function(*wanted(arguments))


def _all_of(returned: Any) -> list[Any]:
    """What pluggy makes of the only answer."""
    return [] if returned is None else [returned]


Arguments = Mapping[str, Any]

_USUAL_IDS = (int, str, UUID)


def _in_unit(returned: Any, arguments: Arguments) -> str | None:
    return "None, which is no unit" if returned is None else None


def _in_id(returned: Any, arguments: Arguments) -> str | None:
    if type(returned) in _USUAL_IDS:
        return None
    return None if _is_hashable(returned) else f"{_kind(returned)}, which cannot be hashed, as an id"


def _in_entities(returned: Any, arguments: Arguments) -> str | None:
    if not isinstance(returned, (dict, Mapping)):
        return f"{_kind(returned)}, not a mapping"
    if not returned.keys() <= set(arguments["ids"]):
        strange = next(id_ for id_ in returned if id_ not in arguments["ids"])
        return f"an id that it was not asked for: {strange!r}"
    if [entity for entity in returned.values() if entity is None]:
        return "None as an entity; what does not exist is left out"
    return None


def _in_linkage(returned: Any, arguments: Arguments) -> str | None:
    count, relationship = len(arguments["entities"]), arguments["relationship"]
    if not isinstance(returned, (list, Sequence)):
        return f"{_kind(returned)}, not a sequence"
    if len(returned) != count:
        return f"a sequence of {len(returned)} for {count} entities"
    misfits = _misfits_of_many(returned) if relationship.many else _misfits_of_one(returned)
    if misfits:
        due = "a sequence of ids without None" if relationship.many else "an id or None"
        return f"{_kind(misfits[0])} as the linkage of '{relationship.name}', not {due}"
    return None


def _in_versions(returned: Any, arguments: Arguments) -> str | None:
    count = len(arguments["entities"])
    if not isinstance(returned, (list, Sequence)):
        return f"{_kind(returned)}, not a sequence"
    if len(returned) != count:
        return f"a sequence of {len(returned)} for {count} entities"
    misfits = [version for version in returned if version is not None and not (isinstance(version, str) and version)]
    return f"{misfits[0]!r} as a version, not a text or None" if misfits else None


def _in_match(returned: Any, arguments: Arguments) -> str | None:
    return None if isinstance(returned, bool) else f"{_kind(returned)}, not True or False"


def _misfits_of_many(linkage: Sequence[Any]) -> Sequence[Any]:
    return [
        related
        for related in linkage
        if not (type(related) in (list, tuple) or _is_collection(related)) or None in related
    ]


def _misfits_of_one(linkage: Sequence[Any]) -> Sequence[Any]:
    return [] if _is_hashable(tuple(linkage)) else [related for related in linkage if not _is_hashable(related)]


def _in_entity(returned: Any, arguments: Arguments) -> str | None:
    return "None, not an entity" if returned is None else None


def _in_entities_of_run(returned: Any, arguments: Arguments) -> str | None:
    count = len(arguments["attributes"])
    if returned is None:
        return None
    if not isinstance(returned, (list, Sequence)):
        return f"{_kind(returned)}, not a sequence"
    if len(returned) != count:
        return f"a sequence of {len(returned)} for {count} operations"
    return "None as an entity" if [entity for entity in returned if entity is None] else None


def _in_answers(returned: Any, arguments: Arguments) -> str | None:
    """All plugins that have the hook are asked; only a wrapper can make anything but a list of it."""
    return None if isinstance(returned, list) else f"{_kind(returned)} from a wrapper, not what its yield gave it"


def _in_meta(returned: Any, arguments: Arguments) -> str | None:
    fault = _in_answers(returned, arguments)
    if fault is not None:
        return fault
    return next((f"{_kind(each)}, not a mapping" for each in returned if not isinstance(each, Mapping)), None)


def _in_remembered(returned: Any, arguments: Arguments) -> str | None:
    return None if returned is None or isinstance(returned, Remembered) else f"{_kind(returned)}, not a Remembered"


def _in_doubts(returned: Any, arguments: Arguments) -> str | None:
    if not isinstance(returned, (list, Sequence)):
        return f"{_kind(returned)}, not a sequence"
    return next((f"{_kind(each)}, not an InDoubt" for each in returned if not isinstance(each, InDoubt)), None)


_FAULTS: Mapping[str, Callable[[Any, Arguments], str | None]] = {
    "atomic_begin": _in_unit,
    "atomic_parse_id": _in_id,
    "atomic_get": _in_entities,
    "atomic_identify": _in_id,
    "atomic_linkage": _in_linkage,
    "atomic_version": _in_versions,
    "atomic_match_version": _in_match,
    "atomic_add": _in_entity,
    "atomic_update": _in_entity,
    "atomic_add_all": _in_entities_of_run,
    "atomic_update_all": _in_entities_of_run,
    "atomic_remove_all": _in_match,
    "atomic_flush": _in_answers,
    "atomic_recall": _in_remembered,
    "atomic_in_doubt": _in_doubts,
    "atomic_recover": _in_doubts,
    "atomic_result_meta": _in_meta,
}
"""For a hook, what finds out what is wrong with the value that was returned; None if nothing is."""


def _is_hashable(value: Any) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True


def _is_collection(value: Any) -> bool:
    return isinstance(value, Collection) and not isinstance(value, (str, bytes))


def _kind(value: Any) -> str:
    return "None" if value is None else f"a value of type {type(value).__name__}"
