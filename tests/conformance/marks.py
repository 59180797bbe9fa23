"""Which test shows which statement, as the marks in the files of tests say. Nothing is imported or run for it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

__all__ = ["MARK", "TESTS", "Shown", "shown", "shown_in"]

TESTS = Path(__file__).parents[1]
MARK = "pytest.mark.statement"


class Shown(NamedTuple):
    """A test, and a statement that it shows.

    :param file: its file, below `tests`.
    """

    number: str
    file: str
    test: str


def shown() -> list[Shown]:
    """Everything that the tests show, in the order of the files and of what stands in them."""
    paths = sorted(TESTS.rglob("test_*.py"))
    return [found for path in paths for found in shown_in(path.read_text("utf-8"), path.relative_to(TESTS).as_posix())]


def shown_in(source: str, file: str) -> list[Shown]:
    """What the tests of one file show. A mark on a class is one on each of its tests."""
    return [Shown(number, file, test) for test, numbers in _tests(ast.parse(source), []) for number in numbers]


def _tests(node: ast.Module | ast.ClassDef, inherited: list[str]) -> Iterator[tuple[str, list[str]]]:
    for child in node.body:
        if isinstance(child, ast.ClassDef) and child.name.startswith("Test"):
            yield from _tests(child, [*inherited, *_numbers(child)])
        elif isinstance(child, ast.FunctionDef) and child.name.startswith("test_"):
            yield child.name, [*inherited, *_numbers(child)]


def _numbers(node: ast.ClassDef | ast.FunctionDef) -> Iterator[str]:
    for decorator in node.decorator_list:
        if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == MARK:
            yield from map(ast.literal_eval, decorator.args)
