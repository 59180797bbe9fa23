"""The servers that are compared, and how each is run: in a process of its own, with what it needs installed."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import venv
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import make_url

from .workloads import LIDS, PARTIAL_UPDATES

__all__ = ["SERVERS", "Running", "Server", "install", "running"]

_ROOT = Path(__file__).resolve().parents[1]
_PEERS = Path(__file__).resolve().parent / "peers"
_START_SECONDS = 60


@dataclass(frozen=True, kw_only=True)
class Server:
    """A server of customers and computers.

    :param name: what the command calls it.
    :param title: what tables call it.
    :param application: where the WSGI or ASGI application is, in the folder of the peer or in this package.
    :param path: the path of the endpoint.
    :param peer: the folder in `peers` of what is not ours; it has an environment of its own, and SQLite alone.
    :param asgi: whether it needs uvicorn.
    :param results: the member of the answer that has the results.
    :param lacks: what it does not know of what some workloads need.
    """

    name: str
    title: str
    application: str
    path: str
    peer: str | None = None
    asgi: bool = False
    results: str = "atomic:results"
    lacks: frozenset[str] = frozenset()


_HAND_WRITTEN = "benchmarks.floor:create_app()"

SERVERS = {
    server.name: server
    for server in (
        Server(name="ours", title="flask_atomic", application="benchmarks.server:create_app()", path="/operations"),
        Server(name="floor", title="floor", application=_HAND_WRITTEN, path="/floor"),
        Server(name="orm", title="ORM by hand", application=_HAND_WRITTEN, path="/orm"),
        Server(name="orm-each", title="ORM by hand, a flush each", application=_HAND_WRITTEN, path="/orm-each"),
        Server(
            name="drf",
            title="drf-json-api-atomic-operations",
            application="app:application",
            path="/operations",
            peer="drf",
        ),
        Server(
            name="ninja",
            title="django-ninja-jsonapi",
            application="app:application",
            path="/operations",
            peer="ninja",
            results="results",
            lacks=frozenset({LIDS}),
        ),
        Server(
            name="fastapi",
            title="fastapi-jsonapi",
            application="app:application",
            path="/operations",
            peer="fastapi",
            asgi=True,
            lacks=frozenset({PARTIAL_UPDATES}),
        ),
    )
}


class Running(NamedTuple):
    """A server that runs."""

    server: Server
    port: int
    process: int

    def worker(self) -> int | None:
        """The id of the process that serves: gunicorn's last child or the process itself; None where it is not told."""
        try:
            children = Path(f"/proc/{self.process}/task/{self.process}/children").read_text().split()
        except OSError:
            return None
        return int(children[-1]) if children else self.process


def install(server: Server, work: Path) -> Path:
    """Return the Python of the server's environment, which is made if it is missing or was made for something else."""
    if server.peer is None:
        return Path(sys.executable)
    home = work / "environments" / server.peer
    requirements = _PEERS / server.peer / "requirements.txt"
    installed = home / "installed.txt"
    if not installed.exists() or installed.read_text() != requirements.read_text():
        venv.create(home, with_pip=True, clear=True)
        python = str(home / "bin" / "python")
        options = ["--quiet", "--disable-pip-version-check", "-r", str(requirements)]
        subprocess.run([python, "-m", "pip", "install", *options], check=True)
        installed.write_text(requirements.read_text())
    return home / "bin" / "python"


@contextmanager
def running(server: Server, url: str, work: Path, *, workers: int = 1, threads: int = 1) -> Iterator[Running]:
    """Run the server on the database at `url` meanwhile.

    A server with a single worker has a processor to itself, if the machine has several and the system can do that.
    """
    port = _free_port()
    log = work / f"{server.name}.log"
    environment = {**os.environ, "BENCH_URL": url, "BENCH_DB": make_url(url).database or ""}
    command = [str(install(server, work)), "-m", *_arguments(server, port, workers, threads)]
    folder = _ROOT if server.peer is None else _PEERS / server.peer
    with (
        log.open("w") as output,
        subprocess.Popen(command, cwd=folder, env=environment, stdout=output, stderr=output) as process,
    ):
        try:
            with _apart(process.pid) if workers == 1 else nullcontext():
                _wait(process, port)
                yield Running(server, port, process.pid)
        except Exception as error:
            error.add_note(f"The log of {server.name} ends with:\n{log.read_text()[-2000:]}")
            raise
        finally:
            process.terminate()


def _arguments(server: Server, port: int, workers: int, threads: int) -> list[str]:
    if server.asgi:
        return ["uvicorn", "--port", str(port), "--log-level=warning", "--no-access-log", server.application]
    options = [f"--bind=127.0.0.1:{port}", f"--workers={workers}", f"--threads={threads}"]
    return ["gunicorn", "--worker-class=gthread", "--keep-alive=60", "--log-level=error", *options, server.application]


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def _apart(process: int) -> Iterator[None]:
    """Give the server the first processor, before it has children, and this process the others."""
    if sys.platform != "linux" or len(os.sched_getaffinity(0)) == 1:
        yield
        return
    processors = os.sched_getaffinity(0)
    first = min(processors)
    os.sched_setaffinity(process, {first})
    os.sched_setaffinity(0, processors - {first})
    try:
        yield
    finally:
        os.sched_setaffinity(0, processors)


def _wait(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"{process.args!r} does not listen.")
        time.sleep(0.05)
