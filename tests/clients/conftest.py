"""The demo as a server that clients of any kind can be pointed at."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.demo import ROOT

START_SECONDS = 60


class RunningDemo(NamedTuple):
    """The demo on a database of its own.

    :param url: where it is served, without a slash at the end.
    :param database: the file of its SQLite database.
    """

    url: str
    database: Path


@pytest.fixture(scope="module")
def running_demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDemo]:
    """The demo with its answers checked, run by the flask command as the README does it; nothing may fail in it."""
    folder = tmp_path_factory.mktemp("demo")
    port = _free_port()
    environment = {**os.environ, "EXAMPLE_DATABASE_URL": f"sqlite:///{folder / 'database.sqlite'}"}
    command = [sys.executable, "-m", "flask", "--app", "tests.clients.checked_demo", "run", "--port", str(port)]
    with open(folder / "log", "w+b") as log, _running(command, environment, log.fileno()) as process:
        try:
            _wait_for(port, process)
        except TimeoutError:
            log.seek(0)
            pytest.fail(f"The demo does not listen:\n{log.read().decode(errors='replace')}")
        yield RunningDemo(f"http://127.0.0.1:{port}", folder / "database.sqlite")
        log.seek(0)
        assert b"Traceback" not in log.read()


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody stands between a client and the demo."""
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1")


@contextmanager
def _running(command: list[str], environment: dict[str, str], log: int) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT) as process:
        try:
            yield process
        finally:
            process.terminate()


def _free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
        return port


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise TimeoutError
