"""The benchmark works: everything in it is run in a small form. How fast anything is, is not looked at."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine

from benchmarks import __main__ as command
from benchmarks import plot
from benchmarks.client import Answer, Json
from benchmarks.models import prepare
from benchmarks.options import SMALL
from benchmarks.servers import SERVERS
from benchmarks.shop import Shop, Wrong
from benchmarks.table import Table
from benchmarks.workloads import WORKLOADS

ROOT = Path(__file__).parents[1]
FEW = [workload.title for workload in WORKLOADS if workload.operations <= SMALL["most_operations"]]  # type: ignore[operator]


def run(*arguments: str | Path) -> str:
    command = [sys.executable, "-m", "benchmarks", *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Any]:
    """What the command prints, and the figures that it writes."""
    folder = tmp_path_factory.mktemp("benchmarks")
    printed = run("--small", "--work", folder / "work", "--json", folder / "figures.json")
    return printed, json.loads((folder / "figures.json").read_text())


def test_every_part_is_measured(measured: tuple[str, Any]) -> None:
    printed, figures = measured
    assert list(figures) == list(command._PARTS)
    for name, part in command._PARTS.items():
        for table in part.tables(figures[name]):
            assert table.markdown() in printed


def test_each_server_is_sent_each_request(measured: tuple[str, Any]) -> None:
    comparison = measured[1]["comparison"]
    assert {server: list(workloads) for server, workloads in comparison["SQLite"].items()} == {
        "ours": FEW,
        "floor": FEW,
    }
    assert all(seconds > 0 for server in comparison["SQLite"].values() for each in server.values() for seconds in each)


def test_requests_grow(measured: tuple[str, Any]) -> None:
    growth = measured[1]["growth"]
    assert {kind: list(servers) for kind, servers in growth.items()} == {
        "adds": ["ours", "floor"],
        "updates": ["ours"],
        "removes": ["ours"],
        "errors": ["ours"],
    }
    for servers in growth.values():
        for sizes in servers.values():
            assert list(sizes) == ["1", "10", "100"]


def test_statements_are_those_that_are_sent(measured: tuple[str, Any]) -> None:
    statements = measured[1]["statements"]["SQLite"]
    assert statements["floor"]["10 adds"] == 2  # the highest id, and the INSERT
    assert statements["floor"]["50 + 50 by lid, alternating"] == 200


def test_the_stages_make_up_the_request(measured: tuple[str, Any]) -> None:
    parts = ("parse", "read", "plan", "execute", "rest")
    for workload, figures in measured[1]["stages"].items():
        for stages in figures["runs"]:
            assert sum(stages[part] for part in (*parts, "json")) == pytest.approx(stages["whole"])
            assert all(stages[part] > 0 for part in (*parts, "write", "flush", "commit"))
            assert (stages["json"] > 0) == (workload != "100 removes")  # a 204 then
            assert stages["load"] < stages["plan"]


def test_the_page_shows_each_table_and_the_plot(measured: tuple[str, Any]) -> None:
    page = (ROOT / "docs" / "performance.rst").read_text(encoding="utf-8")
    for name, part in command._PARTS.items():
        for table in part.tables(measured[1][name]):
            assert f":file: benchmarks/{table.name}.csv\n" in page
    assert ".. figure:: benchmarks/growth.svg\n" in page


def test_the_plot_has_a_line_for_each_server(measured: tuple[str, Any], tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="The extra 'bench' is not installed.")
    plot.draw(measured[1]["growth"], tmp_path / "growth.svg")
    drawn = (tmp_path / "growth.svg").read_text()
    assert all(SERVERS[name].title in drawn for name in ("ours", "floor"))


def test_a_part_and_a_server_can_be_chosen(tmp_path: Path) -> None:
    printed = run("--small", "--parts", "comparison", "--servers", "floor", "--work", tmp_path)
    assert SERVERS["floor"].title in printed
    assert SERVERS["ours"].title not in printed


@pytest.mark.parametrize("option", ["--servers", "--parts"])
def test_what_does_not_exist_cannot_be_chosen(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.main([option, "nothing"])
    assert "there is no nothing" in capsys.readouterr().err


# ------------------------------------------------------------------------------------------------- what is checked


class Forgetful:
    """A server that answers as it should, and stores nothing."""

    def perform(self, operations: Sequence[Json]) -> Answer:
        results = [{"data": {"id": str(number)}} for number, _ in enumerate(operations)]
        return Answer(0.001, 200, {"atomic:results": results})


class Unfinished:
    """A server that answers the first operation."""

    def perform(self, operations: Sequence[Json]) -> Answer:
        return Answer(0.001, 200, {"atomic:results": [{"data": {"id": "1"}}]})


class Failing:
    """A server that fails."""

    def perform(self, operations: Sequence[Json]) -> Answer:
        return Answer(0.001, 500, {"errors": [{"status": "500", "source": {"pointer": "/atomic:operations/0"}}]})


def test_rows_that_are_missing_are_noticed(sqlite_url: str) -> None:
    engine = create_engine(sqlite_url)
    prepare(engine)
    shop = Shop(Forgetful(), sqlite_url)
    shop.check()
    shop.adds(3)
    with pytest.raises(Wrong, match=r"\(0, 0, 0, 0\), and not \(3, 0, 0, 0\)"):
        shop.check()


@pytest.mark.parametrize("server", [Unfinished(), Failing()], ids=lambda server: type(server).__name__)
@pytest.mark.parametrize("request_", [Shop.adds, Shop.alternating, Shop.updates, Shop.removes, Shop.errors])
def test_a_wrong_answer_is_noticed(server: Any, request_: Any, sqlite_url: str) -> None:
    with pytest.raises(Wrong):
        request_(Shop(server, sqlite_url), 10)


# --------------------------------------------------------------------------------------------------------- results


def test_a_table_is_written_as_markdown_and_as_csv(tmp_path: Path) -> None:
    table = Table("some", "Some figures", ["", "a", "b"], [["one", "1", "2"]])
    assert table.markdown() == "Some figures\n\n|  | a | b |\n| --- | ---: | ---: |\n| one | 1 | 2 |"
    table.write(tmp_path)
    with (tmp_path / "some.csv").open(newline="") as file:
        assert list(csv.reader(file)) == [["", "a", "b"], ["one", "1", "2"]]
