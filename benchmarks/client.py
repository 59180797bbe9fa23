"""A client over one connection that is kept alive. The clock runs from the first byte sent to the last one received."""

from __future__ import annotations

import http.client
import json
import socket
import time
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

__all__ = ["MEDIA_TYPE", "Answer", "Client", "Json", "Performer", "document"]

Json = dict[str, Any]

MEDIA_TYPE = 'application/vnd.api+json;ext="https://jsonapi.org/ext/atomic"'
_TIMEOUT = 600


class Answer(NamedTuple):
    """An answer, and how long it took; a response without content is an empty document."""

    seconds: float
    status: int
    document: Json


class Performer(Protocol):
    """Whatever has a server perform operations."""

    def perform(self, operations: Sequence[Json]) -> Answer:
        """Send the operations in one request."""
        ...


def document(operations: Sequence[Json]) -> bytes:
    """Return the request document."""
    return json.dumps({"atomic:operations": operations}).encode()


class Client:
    """A client of the endpoint at `path`."""

    def __init__(self, port: int, path: str) -> None:
        self._address = ("127.0.0.1", port)
        headers = {"Host": f"127.0.0.1:{port}", "Content-Type": MEDIA_TYPE, "Accept": MEDIA_TYPE}
        self._head = "\r\n".join([f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())])
        self._socket: socket.socket | None = None

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; the next request opens another one."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def perform(self, operations: Sequence[Json]) -> Answer:
        """Send the operations in one request."""
        seconds, status, content = self.send(document(operations))
        return Answer(seconds, status, json.loads(content) if content else {})

    def send(self, body: bytes) -> tuple[float, int, bytes]:
        """Send a document; return the seconds, the status and the content."""
        message = f"{self._head}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
        begin = time.perf_counter()
        try:
            response, content = self._exchange(message)
        except ConnectionError:  # the server has closed a connection that was idle for long
            self.close()
            response, content = self._exchange(message)
        seconds = time.perf_counter() - begin
        if response.will_close:
            self.close()
        return seconds, response.status, content

    def _exchange(self, message: bytes) -> tuple[http.client.HTTPResponse, bytes]:
        if self._socket is None:
            self._socket = socket.create_connection(self._address, _TIMEOUT)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.sendall(message)
        response = http.client.HTTPResponse(self._socket, method="POST")
        response.begin()
        return response, response.read()
