"""A way to the server that is cut when a transaction is executed."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from select import select
from socketserver import BaseRequestHandler, ThreadingTCPServer
from threading import Thread

from redis import Redis


@contextmanager
def cut_at_exec(redis: Redis, *, executed: bool) -> Iterator[int]:
    """The port of a proxy: what goes through it is cut off at EXEC.

    :param executed: whether the command still gets to the server, so that only its reply is lost.
    """
    server = redis.connection_pool.connection_kwargs

    class Handler(BaseRequestHandler):
        def handle(self) -> None:
            client: socket.socket = self.request
            with socket.create_connection((server["host"], server["port"])) as upstream:
                is_last = False
                while not is_last:
                    for source in select([client, upstream], [], [])[0]:
                        data = source.recv(1 << 16)
                        is_last |= not data or (source is client and b"EXEC" in data)
                        if not is_last or executed:
                            (upstream if source is client else client).sendall(data)
                if executed:
                    upstream.recv(1 << 16)

    class Server(ThreadingTCPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as proxy:
        thread = Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield proxy.server_address[1]
        finally:
            proxy.shutdown()
            thread.join()
