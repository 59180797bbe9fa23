"""The way from the application to its database, which is cut where that hurts."""

from __future__ import annotations

import socket
import time
from collections import Counter
from collections.abc import Mapping
from random import Random

from tests.proxy import Proxy

__all__ = ["CuttingProxy"]

_DELAY = 0.3

_AT_COMMIT = {
    "before the commit": 10,
    "within the command": 5,
    "during the commit": 10,
    "after the commit": 10,
    "after its answer": 5,
    "delayed": 10,
}
"""What becomes of how many of 1000 commits."""

_ELSEWHERE = {"anywhere": 0.5, "delayed": 1.5}
"""What becomes of how many of 1000 other parts of what is sent."""


class CuttingProxy(Proxy):
    """Cuts connections by chance.

    :param intensity: how much more often than usual.
    :param counts: how often that happened, for each way of it.
    """

    def __init__(self, url: str, dice: Random, intensity: float, counts: Counter[str]) -> None:
        super().__init__(url)
        self._dice = dice
        self._intensity = intensity
        self._counts = counts

    def pass_commit(self, client: socket.socket, server: socket.socket, command: bytes) -> bool:
        """Pass it on or not, and its answer or not."""
        fate = self._fate(_AT_COMMIT)
        if fate == "delayed":
            time.sleep(_DELAY)
        if fate == "within the command":
            server.sendall(command[:-1])
        elif fate != "before the commit":
            server.sendall(command)
        if fate.startswith("after"):
            answer = server.recv(1 << 16)
            if fate == "after its answer":
                client.sendall(answer)
        return fate in ("", "delayed")

    def pass_other(self, target: socket.socket, data: bytes) -> bool:
        """Pass all of it on, or a half."""
        fate = self._fate(_ELSEWHERE)
        if fate == "delayed":
            time.sleep(_DELAY)
        target.sendall(data[: len(data) // 2] if fate == "anywhere" else data)
        return fate != "anywhere"

    def _fate(self, fates: Mapping[str, float]) -> str:
        chances = [self._intensity * chance for chance in fates.values()]
        (fate,) = self._dice.choices([*fates, ""], [*chances, max(1000 - sum(chances), 0)])
        if fate:
            self._counts[f"network: {fate}"] += 1
        return fate
