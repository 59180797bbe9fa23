"""The layer of the tutorial keeps the contract, by the test that the documentation shows."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

CODE = Path(__file__).parents[2] / "docs" / "code"

with pytest.MonkeyPatch.context() as patch:
    patch.syspath_prepend(CODE)
    TestTableLayer = importlib.import_module("test_table_layer").TestTableLayer


def test_the_failure_of_the_documentation_is_told(pytester: pytest.Pytester) -> None:
    for module in ("table_app", "table_layer"):
        source = (CODE / f"{module}.py").read_text("utf-8")
        wrong = source.replace("columns = {**attributes, **_foreign_keys", "columns = {**_foreign_keys")
        pytester.path.joinpath(f"{module}.py").write_text(wrong, "utf-8")
    pytester.path.joinpath("test_table_layer.py").write_text((CODE / "test_table_layer.py").read_text("utf-8"), "utf-8")
    pytester.syspathinsert()
    result = pytester.runpytest_subprocess("-k", "test_update_of_attributes")
    result.assert_outcomes(failed=1)
    shown = (CODE / "contract_failure.txt").read_text("utf-8").splitlines()
    result.stdout.fnmatch_lines([f"E *{line}" for line in shown], consecutive=True)
