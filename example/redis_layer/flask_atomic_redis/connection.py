"""A connection to the server that one unit of work has for itself: many commands in one round trip.

Failures that may pass become `Transient` here, and a commit that may have been made `UnknownOutcome`. No text of the
driver is passed on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from flask_atomic import OperationFailed, Transient, UnknownOutcome
from redis import Redis
from redis.exceptions import (
    AuthenticationError,
    ConnectionError,
    ExecAbortError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TimeoutError,
)

__all__ = ["Command", "Connection"]

Command = Sequence[str | int]
"""The name of a command and its arguments."""

_UNREACHABLE = "The store cannot be used now."
_LOST = "The connection to the store was lost during the commit."
_CHANGED = "Another request has changed the same resources."


class Connection:
    """A connection out of the pool of a client, to be given back by `release`.

    :raises Transient: if there is none to be had.
    """

    def __init__(self, client: Redis) -> None:
        self._client: Any = client  # half of what is used of the driver has no types
        with _told(Transient(_UNREACHABLE)):
            self._connection: Any = self._client.connection_pool.get_connection()
        self._is_lost = False
        self._watches = False

    # <ask>
    def ask(self, *commands: Command) -> list[Any]:
        """Send commands in one round trip, and return their replies.

        :raises Transient: if the server cannot be reached.
        """
        self._watches = self._watches or commands[0][0] == "WATCH"
        with _told(Transient(_UNREACHABLE)):
            return self._ask(*commands)

    def commit(self, commands: Sequence[Command]) -> None:
        """Have the server perform all commands or none: none if a key that is watched has changed.

        They wait at the server until it is sure that they all got there: of the connection that is lost meanwhile, it
        is known that nothing was done.

        :raises Transient: if a key has changed, or the server cannot be reached.
        :raises UnknownOutcome: if the connection is lost when nobody can tell whether the server has performed them.
        """
        self.ask(("MULTI",), *commands)
        with _told(UnknownOutcome(_LOST)):
            (replies,) = self._ask(("EXEC",))
        self._watches = False
        if replies is None:
            raise Transient(_CHANGED)
        for reply in replies:
            if isinstance(reply, Exception):
                raise reply

    # </ask>

    def release(self) -> None:
        """Give the connection back to the pool; what waits at the server is dropped."""
        try:
            if self._watches and not self._is_lost:
                with suppress(RedisError):
                    self._ask(("UNWATCH",))
        finally:
            self._client.connection_pool.release(self._connection)

    def _ask(self, *commands: Command) -> list[Any]:
        if self._is_lost:  # the driver would connect again, and the new connection watch nothing
            raise ConnectionError
        try:
            self._connection.send_packed_command(self._connection.pack_commands(commands), check_health=False)
            replies = [self._reply(command) for command in commands]
        except BaseException:
            self._lose()
            raise
        for reply in replies:
            if isinstance(reply, ResponseError):
                self._lose()
                raise reply
        return replies

    def _reply(self, command: Command) -> Any:
        try:
            return self._client.parse_response(self._connection, command[0])
        except ResponseError as error:  # the replies to the other commands are still to be read
            return error

    def _lose(self) -> None:
        self._is_lost = True
        self._connection.disconnect()


@contextmanager
def _told(lost: OperationFailed) -> Iterator[None]:
    """Translate the failures that may pass.

    :param lost: what to raise if the connection is lost.
    """
    try:
        yield
    except AuthenticationError:
        raise  # it is the set-up that is wrong
    except (ConnectionError, TimeoutError) as error:
        raise lost from error
    except (ExecAbortError, OutOfMemoryError, ReadOnlyError) as error:
        raise Transient(_UNREACHABLE) from error
