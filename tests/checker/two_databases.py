"""Two databases that commit as one, and a recovery that runs beside the application."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from random import Random

from flask import Flask
from sqlalchemy import NullPool, create_engine, select

from flask_atomic import Transient
from tests.servers import mariadb_database, postgresql_database_on, preparing_postgresql
from tests.two_phase.stores import prepared

from .application import DECISIONS, endpoint, two_phase_layer
from .faults import Striking
from .targets import Target

__all__ = ["two_databases"]

OLDER_THAN = 2
"""How old what is prepared has to be, in seconds. Some requests take longer, and are given up while they are served."""

LONGEST_RECOVERY = 20
"""How many seconds it may take in the end; MariaDB takes a while to notice that a process is dead."""


@contextmanager
def two_databases(dice: Random) -> Iterator[Target]:
    """A database on PostgreSQL and one on MariaDB. The dice say which of them decides.

    :raises ServerMissing: if one of the servers is missing.
    """
    with (
        preparing_postgresql() as server,
        postgresql_database_on(server) as postgresql,
        mariadb_database() as mariadb,
    ):
        mariadb.empty()
        deciding, beside = dice.sample([postgresql.url, mariadb.url], 2)
        recovery = _Recovery(deciding, beside)
        try:
            yield Target(
                urls=[deciding],
                beside=beside,
                application={"beside": beside},
                strikes=[Striking("recovery ended something", 1, recovery.run)],
                # What is decided may not be found in the other database until the recovery has been there.
                refusals=frozenset({"resource-not-found"}),
                settle=recovery.finish,
            )
        finally:
            recovery.finish()  # what is prepared would keep the databases from being dropped


class _Recovery:
    """What `flask atomic recover` does, run again and again as a timer runs it."""

    def __init__(self, deciding: str, beside: str) -> None:
        self._urls = [deciding, beside]
        self._deciding, other = (create_engine(url, poolclass=NullPool) for url in self._urls)
        self._layer = two_phase_layer(self._deciding, other)
        Flask(__name__).register_blueprint(endpoint(self._layer).blueprint)

    def run(self, older_than: float = OLDER_THAN) -> bool:
        """Recover once; whether something was ended."""
        with suppress(Transient):  # its connections are ended, too
            return bool(self._layer.atomic_recover(older_than))
        return False

    def finish(self) -> None:
        """Recover until nothing is left.

        :raises TimeoutError: if something stays.
        """
        deadline = time.monotonic() + LONGEST_RECOVERY
        while left := self._prepared():
            if time.monotonic() > deadline:
                raise TimeoutError(f"There is still prepared: {left}.")
            self.run(older_than=0)

    def _prepared(self) -> list[str]:
        """What of this application is prepared, as the servers tell."""
        with self._deciding.connect() as connection:
            owner = connection.scalar(select(DECISIONS.c.decision).where(DECISIONS.c.id == "owner"))
        return [str(xid) for url in self._urls for xid in prepared(url) if xid.owner == owner]
