"""A way to a database server that can be cut at a COMMIT."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from select import select
from socketserver import BaseRequestHandler, ThreadingTCPServer
from threading import Thread
from typing import Self

from sqlalchemy import URL, make_url


class Proxy:
    """Passes on what goes between its clients and a server, inside of its context.

    :param url: that of the database.
    """

    def __init__(self, url: str) -> None:
        self._server = make_url(url)
        self._executes: bool | None = None
        self._refuses = False
        proxy = self

        class Handler(BaseRequestHandler):
            def handle(self) -> None:
                with suppress(OSError):  # reset by one side: the other is closed as well
                    proxy._pass_on(self.request)

        class Server(ThreadingTCPServer):
            daemon_threads = True
            request_queue_size = 50

        self._listening = Server(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> URL:
        """That of the same database by this way, where nothing is encrypted."""
        query = {name: value for name, value in self._server.query.items() if name not in ("host", "unix_socket")}
        if self._server.get_backend_name() == "postgresql":
            query["sslmode"] = "disable"
        host, port = self._listening.server_address[:2]
        return self._server.set(host=str(host), port=port, query=query)

    def cut_at_commit(self, *, executed: bool) -> None:
        """Cut the next connection on which a COMMIT is sent.

        :param executed: whether it still gets to the server, so that only its reply is lost.
        """
        self._executes = executed

    def refuse(self) -> None:
        """Take no more connections; those that there are go on."""
        self._refuses = True

    def _pass_on(self, client: socket.socket) -> None:
        if self._refuses:
            return
        with self._connected() as server:
            goes_on = True
            while goes_on:
                for source in select([client, server], [], [])[0]:
                    data = source.recv(1 << 16)
                    if not data:
                        return
                    if source is client and b"COMMIT" in data:
                        goes_on &= self.pass_commit(client, server, data)
                    else:
                        goes_on &= self.pass_other(server if source is client else client, data)

    def pass_commit(self, client: socket.socket, server: socket.socket, command: bytes) -> bool:
        """Pass on a COMMIT, and return whether the connection is to go on."""
        executes, self._executes = self._executes, None
        if executes is not False:
            server.sendall(command)
        if executes:
            server.recv(1 << 16)
        return executes is None

    def pass_other(self, target: socket.socket, data: bytes) -> bool:
        """Pass on whatever else either of them sends, and return whether the connection is to go on."""
        target.sendall(data)
        return True

    def _connected(self) -> socket.socket:
        path = self._server.query.get("unix_socket") or self._server.query.get("host")
        if not path:
            port = self._server.port or {"postgresql": 5432, "mysql": 3306}[self._server.get_backend_name()]
            return socket.create_connection((self._server.host or "127.0.0.1", port))
        assert isinstance(path, str)
        if os.path.isdir(path):
            path = f"{path}/.s.PGSQL.{self._server.port or 5432}"
        connected = socket.socket(socket.AF_UNIX)
        connected.connect(path)
        return connected

    def __enter__(self) -> Self:
        self._thread = Thread(target=self._listening.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._listening.shutdown()
        self._thread.join()
        self._listening.server_close()
