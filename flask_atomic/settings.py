"""The facts about a deployment: the `ATOMIC_*` keys of the application's configuration, read once."""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import dataclass, fields
from typing import Any

from .errors import ConfigurationError

__all__ = ["Settings"]

_PREFIX = "ATOMIC_"
_UNLIMITED = ("max_members", "max_operations")


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """The settings; each is called `ATOMIC_` and its name in capitals, and the values here are the defaults.

    :param batch: `ATOMIC_BATCH`: whether writes may be flushed together where that makes no difference.
    :param max_errors: `ATOMIC_MAX_ERRORS`: how many errors one answer tells at the most.
    :param max_members: `ATOMIC_MAX_MEMBERS`: how many members one linkage may have, None for any number.
    :param max_operations: `ATOMIC_MAX_OPERATIONS`: how many operations one request may have, None for any number.
    :param no_content: `ATOMIC_NO_CONTENT`: whether an answer whose results are all empty is a 204 without a document.
    :param strict_media_type: `ATOMIC_STRICT_MEDIA_TYPE`: whether a request must name the extension in its
        `Content-Type`.
    """

    batch: bool = True
    max_errors: int = 100
    max_members: int | None = 10_000
    max_operations: int | None = 1000
    no_content: bool = True
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
        return cls(**values)


def _key(name: str) -> str:
    return _PREFIX + name.upper()


def _check(name: str, value: Any, default: Any) -> None:
    if isinstance(default, bool):
        if not isinstance(value, bool):
            raise ConfigurationError(f"{_key(name)} is {value!r}. It must be True or False.")
    elif (value is None and name in _UNLIMITED) or (type(value) is int and value > 0):
        return
    else:
        raise ConfigurationError(f"{_key(name)} is {value!r}. It must be a whole number above 0.")
