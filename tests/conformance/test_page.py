"""Every statement has a test or a reason, every mark names a statement, and the page tells both."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.conformance.marks import MARK, TESTS, Shown, shown, shown_in
from tests.conformance.page import MARKER, PAGE, renewed
from tests.conformance.statements import SECTIONS, by_number


def test_the_statements_are_numbered_through():
    listed = [
        statement.number for sections in SECTIONS.values() for section in sections for statement in section.statements
    ]

    assert listed == [*(f"A{number}" for number in range(1, 61)), *(f"B{number}" for number in range(1, 112))]


def test_a_statement_has_a_test_or_a_reason_and_not_both():
    tested = {found.number for found in shown()}
    reasoned = {statement.number for statement in by_number().values() if statement.untested}

    assert tested.isdisjoint(reasoned)
    assert sorted(by_number().keys() - tested - reasoned) == []


def test_a_mark_names_a_statement_and_a_test_each_once():
    assert {found.number for found in shown()} <= by_number().keys()
    assert [found for found, times in Counter(shown()).items() if times > 1] == []


def test_every_mark_is_one_that_the_page_can_see():
    """On a test or on a class of tests: marks of single parameters and of whole modules are not read."""
    for path in TESTS.rglob("test_*.py"):
        lines = [line.strip() for line in path.read_text("utf-8").splitlines()]
        assert sum(f"{MARK}(" in line for line in lines) == sum(line.startswith(f"@{MARK}(") for line in lines), path


def test_the_page_is_up_to_date():
    """If not: python -m tests.conformance.page."""
    page = PAGE.read_text("utf-8")

    assert page == renewed(page)


SOURCE = """
@pytest.mark.statement("A1")
class TestThings:
    @pytest.mark.parametrize("x", [1])
    @pytest.mark.statement("A2", "A3")
    def test_one(self, x): ...

    @pytest.mark.statement("A4")
    def answer(self): ...

@pytest.mark.statement("A5")
def test_two(): ...

def test_three(): ...
"""


def test_marks_are_read():
    assert shown_in(SOURCE, "test_file.py") == [
        Shown("A1", "test_file.py", "test_one"),
        Shown("A2", "test_file.py", "test_one"),
        Shown("A3", "test_file.py", "test_one"),
        Shown("A5", "test_file.py", "test_two"),
    ]


def test_the_prose_stays_as_it_was_written():
    assert renewed(f"By hand.\n{MARKER}old").startswith(f"By hand.\n{MARKER}\n")
    with pytest.raises(ValueError, match="substring not found"):
        renewed("By hand.")
