"""The documentation is complete: all code is tested and shown, and its tables and headings are those of the code."""

from __future__ import annotations

import ast
import inspect
import re
from dataclasses import fields
from pathlib import Path
from types import ModuleType

import pytest

import flask_atomic
from flask_atomic import hookspecs, testing
from flask_atomic.errors import Code
from flask_atomic.settings import Settings

DOCS = Path(__file__).parents[1] / "docs"
CODE = DOCS / "code"


def page(name: str) -> str:
    return (DOCS / f"{name}.rst").read_text(encoding="utf-8")


# -------------------------------------------------------------------------------------------------------------- code


def test_every_piece_of_code_is_shown_on_a_page() -> None:
    shown = re.findall(r"literalinclude:: code/(\S+)", "".join(path.read_text("utf-8") for path in DOCS.glob("*.rst")))
    assert {path.name for path in CODE.iterdir() if path.is_file()} == set(shown)


def test_every_marked_piece_of_code_is_shown_on_a_page() -> None:
    pages = "".join(path.read_text("utf-8") for path in DOCS.glob("*.rst"))
    for path in CODE.iterdir():
        for mark in re.findall(r"# <\w+>|^### .+", path.read_text("utf-8") if path.is_file() else "", re.MULTILINE):
            assert re.search(rf"code/{path.name}\n(?:   :.*\n)*   :start-after: {mark}\n", pages), (path.name, mark)


def test_no_page_has_python_of_its_own() -> None:
    assert [path.name for path in DOCS.glob("*.rst") if ":: python" in path.read_text("utf-8")] == []


# ------------------------------------------------------------------------------------------------ tables and headings


def rows(text: str) -> list[list[str]]:
    """The rows of all list tables, without their headings."""
    tables = re.findall(r"^\.\. list-table::\n(?:   .*\n)*\n((?:   .*\n|\n)+)", text, flags=re.MULTILINE)
    found = []
    for table in tables:
        items = re.split(r"^   \* - ", table, flags=re.MULTILINE)[2:]
        found += [[cell.strip() for cell in re.split(r"^     - ?", item, flags=re.MULTILINE)] for item in items]
    return found


def test_the_page_lists_every_code() -> None:
    listed = [row[:3] for row in rows(page("errors"))]
    assert listed == [[f"``{code.code}``", str(code.status), code.title] for code in Code]


def test_the_page_lists_every_setting_with_its_default() -> None:
    listed = [row[:2] for row in rows(page("settings"))]
    settings = [(f"ATOMIC_{field.name.upper()}", field.default) for field in fields(Settings)]
    assert listed == [[f"``{name}``", f"``{default}``"] for name, default in settings]


def test_the_design_names_every_module() -> None:
    named = re.findall(r"^   \* - (``.*)", page("design"), flags=re.MULTILINE)
    modules = [name for names in named for name in re.findall(r"``(\w+)``", names)]
    package = Path(flask_atomic.__file__).parent
    present = {path.stem for path in package.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert sorted(modules) == sorted(present - {"__init__"})


def hooks(specification: type) -> list[str]:
    found = []
    for name, function in vars(specification).items():
        if name.startswith("atomic_"):
            parameters = [parameter for parameter in inspect.signature(function).parameters if parameter != "self"]
            found.append(f"{name}({', '.join(parameters)})")
    return found


def returns(hook: str) -> bool:
    name = hook.partition("(")[0]
    function = getattr(hookspecs.DataLayer, name, None) or getattr(hookspecs.Observer, name)
    return bool(function.__annotations__["return"] != "None")


def headings(text: str) -> list[str]:
    return [heading for heading, _ in re.findall(r"^(\S.*)\n([=^-])\2+\n", text, flags=re.MULTILINE)]


def test_the_headings_of_the_page_are_the_hooks() -> None:
    names = headings(page("hooks"))
    of_layers, of_all = names.index("Hooks of a data layer"), names.index("Hooks of every plugin")
    assert names[of_layers + 1 : of_all] == hooks(hookspecs.DataLayer)
    assert names[of_all + 1 :] == hooks(hookspecs.Observer)


def sections_of_hooks() -> dict[str, str]:
    parts = re.split(r"^(atomic_\w+\(.*\))\n[\^]+\n", page("hooks"), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


@pytest.mark.parametrize("hook", hooks(hookspecs.DataLayer) + hooks(hookspecs.Observer))
def test_a_hook_is_documented_with_its_arguments_and_an_example(hook: str) -> None:
    section = sections_of_hooks()[hook]
    arguments = re.fullmatch(r"\w+\((.*)\)", hook)[1]  # type: ignore[index]
    terms = re.findall(r"^:([^:\n]+):", section, flags=re.MULTILINE)
    assert terms[0] == "Called"
    assert ("Returns" in terms) == returns(hook)
    assert [term for term in terms if term.islower()] == [name for name in arguments.split(", ") if name]
    assert "literalinclude" in section or "for the example" in section


def test_the_arguments_of_atomic_are_those_of_the_page() -> None:
    declared = {
        "Atomic": flask_atomic.Atomic,
        "resource": flask_atomic.Atomic.resource,
    }
    for name, function in declared.items():
        written = re.search(rf":: {name}(\(.*\))\n", page("api"))
        assert written is not None
        signature = inspect.signature(function)
        parameters = [
            each.replace(annotation=each.empty) for each in signature.parameters.values() if each.name != "self"
        ]
        expected = signature.replace(parameters=parameters, return_annotation=signature.empty)
        assert ast.dump(ast.parse(f"def f{written[1]}: ...")) == ast.dump(ast.parse(f"def f{expected}: ..."))


@pytest.mark.parametrize("module", [flask_atomic, hookspecs, testing], ids=lambda module: module.__name__)
def test_every_public_name_is_documented(module: ModuleType) -> None:
    section = re.split(r"^.. module:: (\S+)\n", page("api"), flags=re.MULTILINE)
    text = dict(zip(section[1::2], section[2::2], strict=True))[module.__name__]
    documented = set(re.findall(r"^\.\. (?:auto\w+|data):: (\w+)", text, flags=re.MULTILINE))
    assert set(module.__all__) <= documented
