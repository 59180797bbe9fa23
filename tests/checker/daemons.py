"""Programs of the checker's own, which may be killed and started again."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from tests.servers import START_SECONDS, ServerMissing

__all__ = ["Address", "Daemon", "children"]

Address = str | tuple[str, int]
"""The path of a Unix socket, or a host and a port."""


class Daemon:
    """A program that listens, from the beginning of its context to the end.

    :param command: what runs it in the foreground.
    :param address: where it listens.
    :param log: gets what it says.
    :param user: as whom it runs; None for as whom we do.
    """

    def __init__(self, command: Sequence[str], address: Address, log: Path, user: str | None = None) -> None:
        self._command = command
        self._address = address
        self._log = log
        self._user = user

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.kill()

    def start(self) -> None:
        """Run it, and return when it listens.

        :raises ServerMissing: if it does not.
        """
        deadline = time.monotonic() + START_SECONDS
        self._run()
        while not _listens(self._address):
            if time.monotonic() > deadline:
                raise ServerMissing(f"{self._command} was started, but does not listen.")
            time.sleep(0.02)
            if self._process.poll() is not None:  # what one before has left may be in its way for a moment
                self._run()

    def kill(self) -> None:
        """`kill -9` of it, if it still runs, and of all processes that it has started."""
        if self._process.poll() is not None:
            return
        self._process.send_signal(signal.SIGSTOP)  # it starts no more of them
        for process in [*children(self._process.pid), self._process.pid]:
            os.kill(process, signal.SIGKILL)
        self._process.wait()

    def stop(self, kindly: signal.Signals, seconds: float) -> None:
        """Have it end by itself; kill it if it takes longer than that."""
        self._process.send_signal(kindly)
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()

    def _run(self) -> None:
        as_user = {} if self._user is None else {"user": self._user, "group": self._user, "extra_groups": ()}
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log, cwd="/", **as_user)  # type: ignore[call-overload]


def children(process: int) -> list[int]:
    """The processes that a process has started."""
    found = subprocess.run(["pgrep", "-P", str(process)], capture_output=True, text=True)
    return [int(line) for line in found.stdout.split()]


def _listens(address: Address) -> bool:
    with socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET) as probe:
        return probe.connect_ex(address) == 0
