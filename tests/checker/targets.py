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

    :param urls: where it is looked at from outside: at each of the servers that have it.
    :param beside: a second database, in which the application keeps some of its models; empty for none.
    :param ways: where an application each connects to, if that is somewhere else.
    :param application: more arguments of `create_app`.
    :param strikes: faults that not every database can have.
    :param refusals: the codes of errors that any batch may be refused with.
    :param leave: called when the applications have ended: what else is to be gone before what is stored is looked at.
    :param settle: called when nobody is connected any more, and returns when all servers have the same.
    """

    urls: Sequence[str]
    beside: str = ""
    ways: Sequence[str] = ()
    application: Mapping[str, Any] = field(default_factory=dict)
    strikes: Sequence[Striking] = ()
    refusals: frozenset[str] = frozenset()
    leave: Callable[[], object] = lambda: None
    settle: Callable[[], object] = lambda: None
