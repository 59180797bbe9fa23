"""What the figures were measured on."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from contextlib import suppress
from datetime import date
from importlib.metadata import version
from pathlib import Path

from sqlalchemy import NullPool, create_engine

from .client import Json
from .databases import title
from .table import Table

__all__ = ["measure", "tables"]

_DISTRIBUTIONS = (
    "Flask",
    "SQLAlchemy",
    "Flask-SQLAlchemy",
    "marshmallow",
    "marshmallow-jsonapi",
    "pluggy",
    "orjson",
    "gunicorn",
)


def measure(databases: Sequence[str]) -> Json:
    """Return what is measured on, by what it is called."""
    return {
        "measured": date.today().isoformat(),
        "processor": f"{os.cpu_count()} of {_processor()}",
        "Python": platform.python_version(),
        **{name: version(name) for name in _DISTRIBUTIONS},
        **{title(database): _version(database) for database in databases},
    }


def _processor() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.machine()


def _version(database: str) -> str:
    with create_engine(database, poolclass=NullPool).connect() as connection:
        assert connection.dialect.server_version_info is not None
        return ".".join(str(part) for part in connection.dialect.server_version_info if isinstance(part, int))


def tables(figures: Json) -> list[Table]:
    """Return one table."""
    head, *rows = ([name, str(value)] for name, value in figures.items())
    return [Table("machine", "The machine", head, rows)]
