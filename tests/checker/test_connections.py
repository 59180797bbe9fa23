"""What a client takes for an answer."""

from __future__ import annotations

from collections.abc import Iterator
from socketserver import BaseRequestHandler, ThreadingTCPServer
from threading import Thread

import pytest

from tests.checker.connections import Heard, Manner, send
from tests.checker.histories import Loss

BODY = b'{"atomic:results": []}' + b" " * 200
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(BODY)


class Server(ThreadingTCPServer):
    """Ends each connection after so many bytes of an answer."""

    daemon_threads = True
    sends = 0


class Handler(BaseRequestHandler):
    def handle(self) -> None:
        request = b""
        while not request.endswith(b"]}"):
            request += self.request.recv(1 << 16)
        self.request.sendall((HEAD + BODY)[: self.server.sends])  # type: ignore[attr-defined]


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("manner", [Manner.PLAIN, Manner.SLOW])
@pytest.mark.parametrize("part", [0, 10, len(HEAD), len(HEAD) + 50, len(HEAD) + 150])
def test_a_part_of_an_answer_is_none(server: Server, manner: Manner, part: int) -> None:
    server.sends = part
    assert send(server.server_address[1], [], None, manner) == [Loss.UNHEARD]


@pytest.mark.parametrize("manner", [Manner.PLAIN, Manner.SLOW])
def test_an_answer_to_its_end(server: Server, manner: Manner) -> None:
    server.sends = len(HEAD + BODY)
    assert send(server.server_address[1], [], None, manner) == [Heard(200, {"atomic:results": []}, False)]
