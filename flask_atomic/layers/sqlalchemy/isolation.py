"""The isolation level of transactions: the one that the layer was given, else that of the engine, but never none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Connection, Engine
from sqlalchemy.orm import Mapper, Session, SessionTransaction

from ...errors import ConfigurationError

__all__ = ["check", "early_bind", "forget_level", "refuse_none", "set_level"]

_NONE = "AUTOCOMMIT"


def refuse_none(level: str) -> None:
    """See that it is a level at all.

    :raises ConfigurationError: if not.
    """
    if _normal(level) == _NONE:
        raise ConfigurationError("With AUTOCOMMIT nothing can be rolled back. Choose a real isolation level.")


def check(bind: Engine | Connection, level: str | None) -> None:
    """See that transactions can be rolled back, and that there is such a level.

    :param bind: where they take place.
    :param level: what the layer was given, None for that of the engine.
    :raises ConfigurationError: if not. Where a dialect asks the server which levels there are, any passes.
    """
    if level is None:
        of_engine = bind.get_execution_options().get("isolation_level") or bind.dialect._on_connect_isolation_level
        if of_engine is not None and _normal(of_engine) == _NONE:
            raise ConfigurationError(
                f"The engine of {bind.engine.url.render_as_string()} is set to AUTOCOMMIT: nothing could be rolled "
                f"back. Make it with another isolation_level=, or give SQLAlchemyLayer one."
            )
        return
    known = _levels(bind)
    if known and _normal(level) not in map(_normal, known):
        others = ", ".join(sorted(each for each in map(_normal, known) if each != _NONE))
        raise ConfigurationError(
            f"isolation_level={level!r} of SQLAlchemyLayer is none that {bind.dialect.name} has. It has: {others}."
        )


def early_bind(open_session: Callable[[], Session], mapper: Mapper[Any]) -> Engine | Connection | None:
    """Where the rows of a mapped class are kept, as far as that is known while the application starts."""
    try:
        with open_session() as session:
            return session.get_bind(mapper)
    except Exception:  # it is for the application to choose, and it may choose for each request
        return None


def set_level(session: Session, level: str) -> None:
    """Have every transaction of the session be of that level, whoever begins it."""
    get_bind = session.get_bind
    connected: dict[Engine | Connection, SessionTransaction | None] = {}

    def get_bind_at_level(*args: Any, **kwargs: Any) -> Engine | Connection:
        bind = get_bind(*args, **kwargs)
        if connected.get(bind) is not session.get_transaction() or bind not in connected:
            session.connection(bind_arguments={"bind": bind}, execution_options={"isolation_level": level})
            connected[bind] = session.get_transaction()
        return bind

    vars(session)["get_bind"] = get_bind_at_level


def forget_level(session: Session) -> None:
    """Undo `set_level`."""
    vars(session).pop("get_bind", None)


def _normal(level: str) -> str:
    return level.replace("_", " ").upper()


def _levels(bind: Engine | Connection) -> Sequence[str]:
    ask: Callable[[Any], Sequence[str]] = bind.dialect.get_isolation_level_values
    try:
        return ask(None)
    except Exception:  # some dialects ask the server
        return ()
