"""The facts about a deployment: the `ATOMIC_*` keys of the application's configuration, read once."""

from __future__ import annotations

import sys
from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal

from .errors import ConfigurationError

__all__ = ["Settings"]

_PREFIX = "ATOMIC_"
_UNLIMITED = ("max_answer", "max_members", "max_operations", "max_values")
_NAMES = ("block", "discover")
_CHOICES = {"idempotency": ("off", "optional", "required")}


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """The settings; each is called `ATOMIC_` and its name in capitals, and the values here are the defaults.

    :param batch: `ATOMIC_BATCH`: whether writes may be flushed together where that makes no difference.
    :param block: `ATOMIC_BLOCK`: the names of plugins of other distributions that are not loaded in any case.
    :param discover: `ATOMIC_DISCOVER`: whether plugins of other distributions are loaded, or the names of those that
        are, in this order.
    :param idempotency: `ATOMIC_IDEMPOTENCY`: whether the header `Idempotency-Key` is "off", "optional" or "required".
    :param idempotency_seconds: `ATOMIC_IDEMPOTENCY_SECONDS`: how long an answer is remembered under its key.
    :param max_answer: `ATOMIC_MAX_ANSWER`: about how many bytes all results of a request may have together, None for
        any number.
    :param max_depth: `ATOMIC_MAX_DEPTH`: how deep objects and arrays of a request may stand in each other.
    :param max_errors: `ATOMIC_MAX_ERRORS`: how many errors one answer tells at the most.
    :param max_members: `ATOMIC_MAX_MEMBERS`: how many members one linkage may have, None for any number.
    :param max_operations: `ATOMIC_MAX_OPERATIONS`: how many operations one request may have, None for any number.
    :param max_values: `ATOMIC_MAX_VALUES`: how many members all objects of a request and elements all its arrays may
        have together, None for any number.
    :param no_content: `ATOMIC_NO_CONTENT`: whether an answer whose results are all empty is a 204 without a document.
    :param retries: `ATOMIC_RETRIES`: how many times a request is performed again whose failure passes, 0 for never.
    :param retry_seconds: `ATOMIC_RETRY_SECONDS`: how long after it was first begun that may be.
    :param strict_media_type: `ATOMIC_STRICT_MEDIA_TYPE`: whether a request must name the extension in its
        `Content-Type`.
    """

    batch: bool = True
    block: Sequence[str] = ()
    discover: bool | Sequence[str] = False
    idempotency: Literal["off", "optional", "required"] = "off"
    idempotency_seconds: int = 86_400
    max_answer: int | None = 10_000_000
    max_depth: int = 100
    max_errors: int = 100
    max_members: int | None = 10_000
    max_operations: int | None = 1000
    max_values: int | None = 50_000
    no_content: bool = True
    retries: int = 3
    retry_seconds: float = 5.0
    strict_media_type: bool = False

    @classmethod
    def read(cls, config: MutableMapping[str, Any]) -> Settings:
        """Return the settings of `config`, and enter the default of each that it lacks.

        :raises ConfigurationError: for a value of the wrong type, and for an `ATOMIC_*` key that does not exist.
        """
        defaults = {field.name: field.default for field in fields(cls)}
        unknown = [
            key for key in config if key.startswith(_PREFIX) and key.removeprefix(_PREFIX).lower() not in defaults
        ]
        if unknown:
            known = ", ".join(_key(name) for name in defaults)
            raise ConfigurationError(f"There is no setting {', '.join(unknown)}. The settings are: {known}.")
        values = {name: config.setdefault(_key(name), default) for name, default in defaults.items()}
        for name, value in values.items():
            _check(name, value, defaults[name])
        _check_depth(values["max_depth"])
        return cls(**{name: _frozen(value) for name, value in values.items()})


def _key(name: str) -> str:
    return _PREFIX + name.upper()


def _check(name: str, value: Any, default: Any) -> None:
    if (value is None and name in _UNLIMITED) or (name in _NAMES and _are_names(value)):
        return
    if isinstance(default, bool):
        right = isinstance(value, bool)
        expected = "True, False or a list of names" if name in _NAMES else "True or False"
    elif isinstance(default, float):
        right = type(value) in (int, float) and 0 < value < float("inf")
        expected = "a number above 0"
    elif name == "retries":
        right, expected = type(value) is int and value >= 0, "a whole number, 0 or above"
    elif isinstance(default, int):
        right, expected = type(value) is int and value > 0, "a whole number above 0"
    elif name in _CHOICES:
        right, expected = value in _CHOICES[name], f"one of {', '.join(map(repr, _CHOICES[name]))}"
    else:
        right, expected = False, "a list of names"
    if not right:
        raise ConfigurationError(f"{_key(name)} is {value!r}. It must be {expected}.")


def _are_names(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(name, str) for name in value)


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _check_depth(depth: int) -> None:
    deepest = sys.getrecursionlimit() // 10  # a schema that is nested in itself takes nine calls for each level
    if depth > deepest:
        raise ConfigurationError(
            f"{_key('max_depth')} is {depth}. It must not be above {deepest}, a tenth of sys.getrecursionlimit()."
        )
