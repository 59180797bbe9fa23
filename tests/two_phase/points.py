"""The points at which something may die. Events of SQLAlchemy tell of them: the product has nothing to do with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Connection, Engine, event

__all__ = ["DECIDED", "POINTS", "at"]

Act = Callable[[], None]

POINTS = (
    "before the first prepare",
    "between two prepares",
    "all prepared",
    "recorded",
    "decided",
    "between two commits",
    "done",
)
"""In their order. "done" is for the caller to notice: when there is an answer."""

DECIDED = POINTS[4:]
"""Those at which the request is to become whole; at the others it is to vanish."""


def at(point: str, engines: Sequence[Engine], act: Act) -> None:
    """Act once, when a transaction gets to the point.

    :param engines: of the databases; the first decides.
    """
    decisive, *branches = engines
    acts = _once(act)
    if point in ("before the first prepare", "between two prepares"):
        _count(branches, "prepare_twophase", POINTS.index(point), acts)
    elif point in ("decided", "between two commits"):
        _count(branches, "commit_twophase", POINTS.index(point) - 4, acts)
    elif point == "all prepared":
        _on_record(decisive, acts)
    elif point == "recorded":
        _on_commit_of_data(decisive, acts)


def _once(act: Act) -> Act:
    left = [act]

    def acts() -> None:
        if left:
            left.pop()()

    return acts


def _count(engines: Sequence[Engine], name: str, passed: int, act: Act) -> None:
    """Act when so many events of the name have passed."""
    seen: list[Any] = []

    def note(*of: Any) -> None:
        seen.append(of)
        if len(seen) > passed:
            act()

    for engine in engines:
        event.listen(engine, name, note)


def _on_record(decisive: Engine, act: Act) -> None:
    event.listen(decisive, "before_cursor_execute", lambda *of: act() if _is_record(*of) else None)


def _on_commit_of_data(decisive: Engine, act: Act) -> None:
    with_data: list[Connection] = []

    def note(*of: Any) -> None:
        if of[2].startswith("INSERT INTO orders"):
            with_data.append(of[0])

    event.listen(decisive, "after_cursor_execute", note)
    event.listen(decisive, "commit", lambda connection: act() if connection in with_data else None)


def _is_record(*of: Any) -> bool:
    return bool(of[2].startswith("INSERT INTO atomic_decisions") and "SELECT" in of[2] and "commit" in str(of[3]))
