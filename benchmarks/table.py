"""Tables: in Markdown for the terminal, as CSV for the documentation."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Table"]


@dataclass(frozen=True)
class Table:
    """A table.

    :param name: that of its file.
    :param title: what it shows, and in which unit.
    """

    name: str
    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]

    def markdown(self) -> str:
        """The table in Markdown, numbers to the right."""
        rule = ["---", *("---:" for _ in self.head[1:])]
        lines = [f"| {' | '.join(row)} |" for row in (self.head, rule, *self.rows)]
        return "\n".join([f"{self.title}\n", *lines])

    def write(self, folder: Path) -> None:
        """Write the table to a file of its name; the folder is made if need be."""
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / f"{self.name}.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerows([self.head, *self.rows])
