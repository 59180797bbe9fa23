"""The code of the page on several databases runs, and the command prints what the page shows."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from flask.cli import ScriptInfo

from flask_atomic import cli
from flask_atomic.layers.sqlalchemy.xids import Xid
from tests.application import add, post
from tests.two_phase.stores import Stores

CODE = Path(__file__).parents[2] / "docs" / "code"
SHOWN = dict(re.findall(r"^### (.+)\n([^#]*)", (CODE / "several_databases.console").read_text("utf-8"), re.MULTILINE))


def cells(text: str) -> list[list[str]]:
    """The table of the command without what differs in each run: databases, ids, ages, and how wide columns are."""
    lines = [line.split() for line in text.splitlines() if line and not line.startswith("$")]
    return [[re.sub(r"^-+$|^postgresql:.*|^atomic\.\S+|^\d+$", "", cell) for cell in line] for line in lines]


def test_what_is_shown_is_printed(databases: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(CODE)
    page = importlib.import_module("several_databases")
    app = page.create_app(*databases.urls(("sqlite", "postgresql")))
    with app.app_context():
        page.db.create_all()
        operations = [add("orders", attributes={"address": "here"}), add("invoices", attributes={"amount": 3})]
        assert post(app.test_client(), *operations, path="/operations").status == 200
        engines = page.db.engines
        with engines[None].begin() as connection:
            rows = dict(connection.exec_driver_sql("SELECT id, decision FROM atomic_decisions").all())
        (decided,) = rows.keys() - {"owner"}
        for started, id_ in ((1, decided), (2, "0" * 20)):
            with engines["books"].connect() as connection:
                transaction = connection.begin_twophase(str(Xid(rows["owner"], started, id_, 1)))
                connection.exec_driver_sql("INSERT INTO invoice (amount) VALUES (4)")
                transaction.prepare()
                connection.invalidate()

    for section, exit_code in (("dry run", 1), ("recover", 0)):
        command = SHOWN[section].splitlines()[0].split("atomic ")[1].split()
        done = CliRunner().invoke(cli.atomic, command, obj=ScriptInfo(create_app=lambda: app))

        assert done.exit_code == exit_code
        assert sorted(cells(done.stdout)) == sorted(cells(SHOWN[section]))
    with app.app_context():
        for engine in page.db.engines.values():
            engine.dispose()
