"""The page of the documentation that lists every statement with the tests that show it.

The prose at its top is written by hand; what stands below `MARKER` is made of the statements and of the marks:
`python -m tests.conformance.page` writes it anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from textwrap import TextWrapper
from typing import Any

from .marks import Shown, shown
from .statements import SECTIONS, Section, Statement

__all__ = ["PAGE", "renewed"]

PAGE = Path(__file__).parents[2] / "docs" / "conformance.rst"
MARKER = ".. What follows is written by: python -m tests.conformance.page\n"

_BINDS = {"server": "binds the server", "client": "binds the client", "both": "binds both"}
_WHOLE_WORDS: dict[str, Any] = {"width": 116, "break_long_words": False, "break_on_hyphens": False}
_TEXT = TextWrapper(initial_indent="    ", subsequent_indent="    ", **_WHOLE_WORDS)
_TESTS = TextWrapper(initial_indent="    * ", subsequent_indent="      ", **_WHOLE_WORDS)


def renewed(page: str) -> str:
    """The page with its list made anew.

    :raises ValueError: if the marker is missing.
    """
    prose = page[: page.index(MARKER) + len(MARKER)]
    return prose + "".join(_lines(shown()))


def _lines(marks: Iterable[Shown]) -> Iterator[str]:
    tests: dict[str, dict[str, list[str]]] = {}
    for number, file, test in marks:
        tests.setdefault(number, {}).setdefault(file, []).append(test)
    for title, sections in SECTIONS.items():
        yield from ("\n\n", title, "\n", "-" * len(title), "\n")
        for section in sections:
            yield from _section(section, tests)


def _section(section: Section, tests: dict[str, dict[str, list[str]]]) -> Iterator[str]:
    yield from ("\n\n", section.title, "\n", "^" * len(section.title), "\n")
    for statement in section.statements:
        yield from _entry(statement, tests.get(statement.number, {}))


def _entry(statement: Statement, tests: dict[str, list[str]]) -> Iterator[str]:
    yield f"\n**{statement.number}** {statement.keyword} ({_BINDS[statement.binds]})\n"
    yield _TEXT.fill(statement.text) + "\n\n"
    if statement.untested:
        yield _TEXT.fill(f"*{statement.untested.replace(': ', ':* ', 1)}") + "\n"
    for file, names in tests.items():
        yield _TESTS.fill(f"``{file}``: {', '.join(f'``{name}``' for name in names)}") + "\n"


if __name__ == "__main__":
    PAGE.write_text(renewed(PAGE.read_text("utf-8")), "utf-8")
