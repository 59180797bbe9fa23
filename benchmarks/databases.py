"""Databases of the benchmark's own: a file, or a database that is made on a server and dropped again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

from sqlalchemy import URL, NullPool, create_engine, make_url

__all__ = ["SQLITE", "fresh", "title"]

SQLITE = "sqlite://"
"""Stands for a new SQLite file."""

_TITLES = {"sqlite": "SQLite", "postgresql": "PostgreSQL", "mysql": "MariaDB", "mariadb": "MariaDB"}


def title(server: str) -> str:
    """What the kind of database is called."""
    backend = make_url(server).get_backend_name()
    return _TITLES.get(backend, backend)


@contextmanager
def fresh(server: str, work: Path) -> Iterator[str]:
    """The URL of an empty database, which is gone afterwards.

    :param server: the URL of any database on a server whose user may create others, or `SQLITE`.
    :param work: where files go.
    """
    url = make_url(server)
    if url.get_backend_name() == "sqlite":
        with TemporaryDirectory(dir=work) as folder:
            yield f"sqlite:///{Path(folder, 'database.sqlite')}"
    else:
        name = f"flask_atomic_benchmark_{uuid4().hex[:8]}"
        _execute(url, f"CREATE DATABASE {name}")
        try:
            yield url.set(database=name).render_as_string(hide_password=False)
        finally:
            force = " WITH (FORCE)" if url.get_backend_name() == "postgresql" else ""
            _execute(url, f"DROP DATABASE {name}{force}")


def _execute(url: URL, statement: str) -> None:
    engine = create_engine(url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with engine.connect() as connection:
        connection.exec_driver_sql(statement)
