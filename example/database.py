"""The database: how connections to SQLite are set up, and what there is at the first start."""

from __future__ import annotations

import sqlite3
import time
from uuid import UUID

from sqlalchemy import Connection, Engine, event, inspect, text
from sqlalchemy.orm import Session

from .models import Lyric, Model, MusicTrack, Performer, Playlist, RecordCompany, TextLanguage

__all__ = ["create_database", "set_up_sqlite"]


def set_up_sqlite(engine: Engine) -> None:
    """Make SQLite fit for several threads and processes at once; other databases are so by themselves."""
    if engine.dialect.name != "sqlite":
        return

    @event.listens_for(engine, "connect")
    def on_connect(connection: sqlite3.Connection, _: object) -> None:
        connection.isolation_level = None  # no BEGIN of the driver's, which comes after the first reads: see below
        connection.execute("PRAGMA busy_timeout = 30000")  # milliseconds
        connection.execute("PRAGMA foreign_keys = ON")
        write_ahead(connection)

    @event.listens_for(engine, "begin")
    def on_begin(connection: Connection) -> None:
        # Who may write says so at once: a transaction that has only read fails if another one has written meanwhile.
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def write_ahead(connection: sqlite3.Connection) -> None:
    """Use the write-ahead log, so that reading and writing do not wait for each other. The file remembers it."""
    for _ in range(100):  # processes that start at once get in each other's way, and here SQLite does not wait
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorname.startswith(("SQLITE_FULL", "SQLITE_IOERR")):
                raise
            time.sleep(0.05)


LOCKS = {
    "postgresql": "SELECT pg_advisory_lock(1)",
    "mysql": "SELECT GET_LOCK('example', 60)",
    "mariadb": "SELECT GET_LOCK('example', 60)",
}
"""How a connection waits until no other one has the lock; with SQLite, BEGIN IMMEDIATE is enough."""


def create_database(engine: Engine) -> None:
    """Make the tables and a handful of rows, unless they are there. Several processes may do it at once."""
    with Session(engine) as session, session.begin():
        connection = session.connection()
        connection.detach()  # closed at the end instead of pooled, which gives the lock back
        if lock := LOCKS.get(engine.dialect.name):
            connection.execute(text(lock))
        if not inspect(connection).has_table(MusicTrack.__tablename__):
            Model.metadata.create_all(connection)
            session.add_all(first_rows())


def first_rows() -> list[Model]:
    """Return the rows to play with. Where ids are integers, they are 1, 2 and so on in this order."""
    english = TextLanguage(id=UUID("e0000000-0000-4000-8000-000000000001"), iso_code="en")
    company = RecordCompany(name="Difference Records", country_of_residence="United Kingdom")
    ada = Performer(artist_name="Ada and the Engines")
    charles = Performer(artist_name="Charles Babbage Trio")
    track = MusicTrack(
        id=UUID("a0000000-0000-4000-8000-000000000001"),
        title="Note G",
        length_in_seconds=184.5,
        genre="Analytical",
        owned_by=company,
        lyric=Lyric(text="Weaves algebraical patterns", format="plain", language=english),
        performers=[ada, charles],
    )
    return [english, company, ada, charles, track, Playlist(name="Evening", tracks=[track])]
