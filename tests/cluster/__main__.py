"""The command: a cluster for as long as it is asked for, and what can be done to its nodes."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Mapping

from .galera import Galera, galera
from .node import Node

COMMANDS: Mapping[str, Callable[[Node], None]] = {
    "kill": Node.kill,
    "stop": Node.stop,
    "start": Node.start,
    "lose": Node.lose_data,
    "isolate": Node.isolate,
    "rejoin": Node.rejoin,
    "pause": Node.pause,
    "resume": Node.resume,
}
"""What can be done to a node."""

DATABASE = "test"


def main() -> None:
    """Start a cluster and do what is typed until the input ends."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # then, too, nothing is left behind
    with galera() as cluster:
        cluster.create(DATABASE)
        print(f"{', '.join(COMMANDS)}, each with the number of a node; status; the end of the input ends it all")
        _tell(cluster)
        for line in sys.stdin:
            _perform(cluster, line.split())


def _perform(cluster: Galera, words: list[str]) -> None:
    match words:
        case ["status"]:
            _tell(cluster)
        case [command, number] if command in COMMANDS and number in map(str, range(1, len(cluster.nodes) + 1)):
            COMMANDS[command](cluster.nodes[int(number) - 1])
        case _:
            print("What is that?")


def _tell(cluster: Galera) -> None:
    for node, url in zip(cluster.nodes, cluster.urls(DATABASE), strict=True):
        print(f"{node.name}  {url}  {node.state or 'no answer'}", flush=True)


if __name__ == "__main__":
    main()
