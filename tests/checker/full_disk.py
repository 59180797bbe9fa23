"""SQLite on a small disk that somebody else fills, and clears again."""

from __future__ import annotations

import errno
import os
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from tests.servers import ServerMissing

from .faults import Striking
from .targets import Target

__all__ = ["full_disk"]

SIZE = "24m"
BLOCK = 1 << 16
DATABASE = "database.sqlite"


@contextmanager
def full_disk(dice: Random) -> Iterator[Target]:
    """A file in a file system of its own.

    :raises ServerMissing: if that must not be made: it takes the rights of root.
    """
    with TemporaryDirectory(prefix="checker-disk-") as folder:
        mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", folder]
        try:
            subprocess.run(mount, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            raise ServerMissing("A small file system cannot be mounted here; root may.") from None
        try:
            filled = Striking("disk filled", 3, lambda: _fill(Path(folder), dice))
            yield Target(urls=[f"sqlite:///{folder}/{DATABASE}"], strikes=[filled])
        finally:
            subprocess.run(["umount", "--lazy", folder], check=True)


def _fill(folder: Path, dice: Random) -> bool:
    """Leave next to nothing for a while: sometimes there is still room for a part of what is written."""
    ballast = folder / "ballast"
    _empty_log(folder / DATABASE)
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(BLOCK))
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
        os.truncate(ballast, max(ballast.stat().st_size - dice.randrange(BLOCK), 0))
        time.sleep(dice.uniform(0.2, 2))
    ballast.unlink()
    return True


def _empty_log(database: Path) -> None:
    """Otherwise the write-ahead log would have room for a while, where it is written from its beginning again."""
    with closing(sqlite3.connect(database)) as connection, suppress(sqlite3.OperationalError):  # somebody is busy
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
