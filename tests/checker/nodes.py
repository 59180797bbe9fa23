"""What happens to the nodes of a cluster while clients write: they go, and come back."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from random import Random
from threading import Lock

from tests.cluster.galera import Galera, galera
from tests.cluster.node import Node

from .faults import Striking
from .own_servers import NAME
from .targets import Target

__all__ = ["on_galera", "target_on"]


@contextmanager
def on_galera(dice: Random) -> Iterator[Target]:
    """A cluster of three nodes.

    :raises ServerMissing: if something of it is not installed.
    """
    with galera() as cluster:
        yield target_on(cluster, dice)


def target_on(cluster: Galera, dice: Random) -> Target:
    """A new database of the cluster. At each node, there is an application."""
    cluster.create(NAME)
    return Target(
        urls=cluster.urls(NAME),
        application={"clustered": True},
        strikes=_strikes(_Nodes(cluster, dice)),
        settle=cluster.wait_until_whole,
    )


def _strikes(nodes: _Nodes) -> Sequence[Striking]:
    return [
        Striking("nodes killed", 15, nodes.kill),
        Striking("nodes killed, data lost", 30, nodes.lose),
        Striking("nodes cut off", 15, nodes.cut_off),
        Striking("nodes paused", 15, nodes.pause),
        Striking("nodes without a majority", 30, nodes.part),
    ]


class _Nodes:
    """Each method has one thing happen, until all nodes take part again; False if another one is going on."""

    def __init__(self, cluster: Galera, dice: Random) -> None:
        self._cluster = cluster
        self._dice = dice
        self._troubled = Lock()

    def kill(self) -> bool:
        """`kill -9` of a node. When it is back, it asks for what it has missed."""
        return self._happens(self._kill)

    def lose(self) -> bool:
        """`kill -9` of a node that loses its data. When it is back, it asks for everything."""
        return self._happens(lambda node: self._kill(node, Node.lose_data))

    def cut_off(self) -> bool:
        """A node hears nothing of the others, which go on without it."""
        return self._happens(self._cut_off)

    def pause(self) -> bool:
        """A node hangs, for a moment or until the others go on without it."""
        return self._happens(self._pause)

    def part(self) -> bool:
        """No node hears of another, so that none may go on."""
        return self._happens(lambda _: self._cut_off(*self._cluster.nodes))

    def _happens(self, trouble: Callable[[Node], None]) -> bool:
        if not self._troubled.acquire(blocking=False):
            return False
        try:
            trouble(self._dice.choice(self._cluster.nodes))
            self._cluster.wait_until_whole()
        finally:
            self._troubled.release()
        return True

    def _kill(self, node: Node, meanwhile: Callable[[Node], None] = lambda _: None) -> None:
        node.kill()
        meanwhile(node)
        self._wait(1, 5)
        node.start()

    def _cut_off(self, *nodes: Node) -> None:
        for node in nodes:
            node.isolate()
        self._wait(1, 8)
        for node in nodes:
            node.rejoin()

    def _pause(self, node: Node) -> None:
        node.pause()
        self._wait(0.5, 8)
        node.resume()

    def _wait(self, least: float, most: float) -> None:
        time.sleep(self._dice.uniform(least, most))
