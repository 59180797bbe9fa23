"""Imports go one way: a module imports only those that stand above it, and only some may import certain libraries."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "flask_atomic"

ORDER = [
    "errors",
    "strictjson",
    "compactjson",
    "garbage",
    "operations",
    "document",
    "context",
    "loggers",
    "problems",
    "schemas",
    "fieldtables",
    "nestedtables",
    "codec",
    "resources",
    "href",
    "idempotency",
    "hookspecs",
    "promises",
    "plugins",
    "discovery",
    "steps",
    "planning",
    "transaction",
    "repeats",
    "probe",
    "results",
    "runs",
    "known",
    "waiting",
    "pace",
    "retries",
    "execution",
    "negotiation",
    "settings",
    "service",
    "links",
    "layers",
    "extension",
    "cli",
    "__init__",
    "telemetry",
    "testing",
]
"""The modules and packages directly in flask_atomic, each below all that it may import."""

OF_LAYERS = {"errors", "hookspecs"}
"""What of ours a data layer may import: no more than a plugin of somebody else needs."""

LIBRARIES = {
    "flask": {"links", "extension", "cli", "testing"},
    "opentelemetry": {"telemetry"},
    "marshmallow_jsonapi": {"problems", "schemas", "fieldtables", "codec", "testing"},
}
"""The libraries that only these modules may import."""


def wrong_imports(package: Path) -> list[str]:
    """Each import in the package that breaks a rule, and each module that the rules do not place."""
    return [wrong for path in sorted(package.rglob("*.py")) for wrong in _wrong_in(path, package)]


def _wrong_in(path: Path, package: Path) -> Iterator[str]:
    module = path.relative_to(package).with_suffix("").parts
    if module[0] not in ORDER:
        yield f"{'.'.join(module)} is not in the order"
        return
    for line, imported in _imports(path, package):
        if not _allowed(module, imported, package.name):
            yield f"{'.'.join(module)}:{line} imports {'.'.join(imported)}"


def _allowed(module: tuple[str, ...], imported: tuple[str, ...], package: str) -> bool:
    if imported[0] != package:
        return module[0] in LIBRARIES.get(imported[0], ORDER)
    ours = imported[1:] or ("__init__",)
    unit = 2 if module[0] == "layers" else 1  # each data layer stands for itself
    if ours[:unit] == module[:unit]:
        return True
    if module[0] == "layers":
        return ours[0] in OF_LAYERS
    return ours[0] in ORDER and ORDER.index(ours[0]) < ORDER.index(module[0])


def _imports(path: Path, package: Path) -> Iterator[tuple[int, tuple[str, ...]]]:
    """The line and the full dotted name of everything that a file imports, wherever in it the statement stands."""
    folder = (package.name, *path.relative_to(package).parent.parts)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, tuple(alias.name.split("."))
        elif isinstance(node, ast.ImportFrom):
            base = folder[: len(folder) - node.level + 1] if node.level else ()
            base += tuple(node.module.split(".")) if node.module else ()
            for alias in node.names:
                yield node.lineno, _module_of((*base, alias.name), package)


def _module_of(name: tuple[str, ...], package: Path) -> tuple[str, ...]:
    """The module that `from a.b import c` needs: a.b.c if that is a module of ours, else a.b."""
    path = package.parent.joinpath(*name)
    return name if path.is_dir() or path.with_suffix(".py").is_file() else name[:-1]


def test_the_package_imports_one_way() -> None:
    assert wrong_imports(PACKAGE) == []


def test_the_table_for_contributors_has_the_same_order() -> None:
    text = (PACKAGE.parent / "CONTRIBUTING.md").read_text(encoding="utf-8")
    table = text.partition("## Modules")[2].partition("##")[0]
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == [name for name in ORDER if name != "__init__"]


FINE = {
    "__init__.py": "from .extension import Atomic",
    "errors.py": "import enum",
    "document.py": "from flask_atomic.errors import pointer\nfrom . import errors",
    "codec.py": "from marshmallow_jsonapi import Schema",
    "hookspecs.py": "from .document import Operation",
    "planning.py": "import flask_sqlalchemy",
    "extension.py": "import flask\nfrom .layers.memory import MemoryLayer\nfrom . import planning, document",
    "layers/__init__.py": "",
    "layers/memory.py": "from ..hookspecs import hookimpl\nfrom ..errors import Conflict",
    "layers/sqlalchemy/__init__.py": "from .unit import Unit",
    "layers/sqlalchemy/unit.py": "from ...hookspecs import hookimpl\nfrom flask_atomic.layers.sqlalchemy import unit",
    "testing.py": "from . import Atomic\nfrom .extension import Atomic",
}


def planted(root: Path, files: dict[str, str]) -> Path:
    package = root / "flask_atomic"
    for name, source in files.items():
        path = package / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source, encoding="utf-8")
    return package


def test_imports_that_go_the_right_way_are_fine(tmp_path: Path) -> None:
    assert wrong_imports(planted(tmp_path, FINE)) == []


@pytest.mark.parametrize(
    ("file", "source", "wrong"),
    [
        ("errors.py", "from .document import Operation", "errors:1 imports flask_atomic.document"),
        ("errors.py", "from . import document as d", "errors:1 imports flask_atomic.document"),
        ("errors.py", "import flask_atomic.document", "errors:1 imports flask_atomic.document"),
        ("errors.py", "import enum, flask_atomic.codec as c", "errors:1 imports flask_atomic.codec"),
        ("document.py", "\nfrom flask_atomic import errors, codec", "document:2 imports flask_atomic.codec"),
        ("document.py", "from flask_atomic import Atomic", "document:1 imports flask_atomic"),
        ("document.py", "from . import *", "document:1 imports flask_atomic"),
        ("document.py", "if TYPE_CHECKING:\n    from .codec import Codec", "document:2 imports flask_atomic.codec"),
        ("document.py", "def f():\n    import flask_atomic.codec", "document:2 imports flask_atomic.codec"),
        ("document.py", "from .layers.memory import Unit", "document:1 imports flask_atomic.layers.memory"),
        ("planning.py", "from flask.globals import g", "planning:1 imports flask.globals"),
        ("planning.py", "import marshmallow_jsonapi", "planning:1 imports marshmallow_jsonapi"),
        ("layers/memory.py", "import flask", "layers.memory:1 imports flask"),
        ("layers/memory.py", "from ..document import Operation", "layers.memory:1 imports flask_atomic.document"),
        ("layers/memory.py", "from .sqlalchemy import Unit", "layers.memory:1 imports flask_atomic.layers.sqlalchemy"),
        (
            "layers/sqlalchemy/unit.py",
            "from ...codec import Codec",
            "layers.sqlalchemy.unit:1 imports flask_atomic.codec",
        ),
        ("extension.py", "from .testing import LayerContract", "extension:1 imports flask_atomic.testing"),
        ("helpers.py", "", "helpers is not in the order"),
        ("other/unit.py", "", "other.unit is not in the order"),
    ],
)
def test_a_planted_import_is_found(tmp_path: Path, file: str, source: str, wrong: str) -> None:
    assert wrong_imports(planted(tmp_path, FINE | {file: source})) == [wrong]
