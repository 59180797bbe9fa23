"""A Redis server for the tests: the one that the environment names, or one that is started for them."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from tempfile import TemporaryDirectory

import pytest
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError
from redis.retry import Retry

URL = os.environ.get("FLASK_ATOMIC_REDIS_URL", "redis://127.0.0.1:6379/15")
START_SECONDS = 30


class ServerMissing(Exception):
    """No server answers, and none can be started."""


def lent(server: AbstractContextManager[str]) -> Iterator[str]:
    """The life of a fixture with the URL of a server: skips where it is missing, unless servers are required."""
    try:
        with server as url:
            yield url
    except ServerMissing as missing:
        if os.environ.get("FLASK_ATOMIC_REQUIRE_SERVERS") == "1":
            raise
        pytest.skip(str(missing))


@contextmanager
def redis_server() -> Iterator[str]:
    """The URL of a server: whatever it holds already must not be touched.

    :raises ServerMissing: if there is none.
    """
    if answers(URL):
        yield URL
        return
    with own_server() as url:
        yield url


@contextmanager
def own_server() -> Iterator[str]:
    """The URL of a server that is started now and stopped in the end.

    :raises ServerMissing: if it cannot be started.
    """
    program = shutil.which("redis-server")
    if program is None:
        raise ServerMissing(f"No Redis answers at {URL}, or a test needs its own, and there is no redis-server.")
    port = free_port()
    with (
        TemporaryDirectory(prefix="redis-") as folder,
        subprocess.Popen(
            [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder],
            stdout=subprocess.DEVNULL,
        ) as process,
    ):
        try:
            url = f"redis://127.0.0.1:{port}/0"
            deadline = time.monotonic() + START_SECONDS
            while not answers(url):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise ServerMissing(f"{program} was started, but does not answer.")
                time.sleep(0.05)
            yield url
        finally:
            process.terminate()


def answers(url: str) -> bool:
    """Whether a server answers."""
    with suppress(ConnectionError), Redis.from_url(url, retry=Retry(NoBackoff(), 0)) as client:
        client.ping()
        return True
    return False


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
