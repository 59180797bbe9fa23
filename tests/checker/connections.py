"""Requests over HTTP, sent as clients send them and as they should not."""

from __future__ import annotations

import json
import socket
import struct
import time
from collections.abc import Mapping
from contextlib import closing
from enum import Enum
from http.client import HTTPConnection, HTTPException, HTTPResponse, IncompleteRead
from typing import Any, NamedTuple

from flask_atomic.negotiation import CONTENT_TYPE

from .histories import Loss

__all__ = ["Heard", "Manner", "send"]

TIMEOUT = 30
"""How many seconds a client waits for an answer."""

HOST = "checked.example"
"""What the application is called wherever it is served: a key is for a URL."""

PAUSE = 0.2
"""How many seconds a slow client pauses for."""


class Manner(Enum):
    """How a request is sent."""

    PLAIN = "plain"
    HALF = "half a body, and gone"
    GONE = "gone before the answer"
    SLOW = "sends and reads slowly"
    TWIN = "twice at once"


class Heard(NamedTuple):
    """An answer as it came."""

    status: int
    document: Any
    is_replay: bool


def send(port: int, operations: list[dict[str, Any]], key: str | None, manner: Manner) -> list[Heard | Loss]:
    """What came of a request: of both, if it is sent twice at once."""
    body = json.dumps({"atomic:operations": operations}).encode()
    headers = {"Host": HOST, "Content-Type": CONTENT_TYPE, "Content-Length": str(len(body))}
    if key is not None:
        headers["Idempotency-Key"] = f'"{key}"'
    connections = [HTTPConnection("127.0.0.1", port, timeout=TIMEOUT) for _ in range(1 + (manner is Manner.TWIN))]
    sent = [_post(connection, headers, body, manner) for connection in connections]
    return [loss or _hear(each, manner) for each, loss in zip(connections, sent, strict=True)]


def _post(connection: HTTPConnection, headers: Mapping[str, str], body: bytes, manner: Manner) -> Loss | None:
    middle = len(body) // 2
    sent_all = False
    try:
        connection.putrequest("POST", "/operations", skip_host=True)
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders(body[:middle])
        if manner is Manner.HALF:
            _reset(connection)
            return Loss.INCOMPLETE
        if manner is Manner.SLOW:
            time.sleep(PAUSE)
        sent_all = True  # from here on, nobody knows how much of it arrives
        connection.send(body[middle:])
        if manner is Manner.GONE:
            _reset(connection)
            return Loss.UNHEARD
    except OSError:
        connection.close()
        return Loss.UNHEARD if sent_all else Loss.INCOMPLETE
    return None


def _hear(connection: HTTPConnection, manner: Manner) -> Heard | Loss:
    with closing(connection):
        try:
            with connection.getresponse() as response:
                content = _read_slowly(response) if manner is Manner.SLOW else response.read()
            document = json.loads(content) if content else None
        except (OSError, HTTPException, ValueError):
            return Loss.UNHEARD
        return Heard(response.status, document, response.headers.get("Idempotency-Replayed") == "true")


def _read_slowly(response: HTTPResponse) -> bytes:
    length = response.length or 0
    content = response.read(100)
    time.sleep(PAUSE)
    content += response.read()
    if len(content) < length:  # `read` says so only if it is asked for everything
        raise IncompleteRead(content, length - len(content))
    return content


def _reset(connection: HTTPConnection) -> None:
    """End the connection so that the other side hears of it at once."""
    connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
