"""What is checked: an empty database, the way to it, and the faults that it can have besides."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .faults import Striking

__all__ = ["Target"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """An empty database.

    :param url: where it is looked at from outside.
    :param way: where the application connects to, if that is somewhere else.
    :param application: more arguments of `create_app`.
    :param strikes: faults that not every database can have.
    :param leave: called when the application has ended, before what is stored is looked at.
    """

    url: str
    way: str = ""
    application: Mapping[str, Any] = field(default_factory=dict)
    strikes: Sequence[Striking] = ()
    leave: Callable[[], object] = lambda: None
