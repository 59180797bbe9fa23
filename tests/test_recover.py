"""`flask atomic recover` and the hooks behind it, with a layer that keeps its transactions in a list."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from click.testing import CliRunner, Result
from flask.cli import ScriptInfo
from marshmallow_jsonapi import fields

from flask_atomic import Atomic, ConfigurationError, MemoryLayer, Transient, cli, hookimpl
from flask_atomic.hookspecs import InDoubt
from tests.application import application, schema

OLD = InDoubt("ledger", "t1", 90.4, None)
DECIDED = InDoubt("ledger", "t2", 70.0, "commit")
YOUNG = InDoubt("archive", "t3", 5.0, None)


class Ledger(MemoryLayer):
    """Has transactions that are in doubt, and ends those that it is not stuck with."""

    def __init__(self, *left: InDoubt, stuck: Sequence[InDoubt] = (), failure: Exception | None = None) -> None:
        super().__init__("ledger")
        self.left = list(left)
        self.stuck = stuck
        self.failure = failure

    @hookimpl
    def atomic_check(self) -> None:
        if self.failure is not None:
            raise self.failure

    @hookimpl
    def atomic_in_doubt(self) -> Sequence[InDoubt]:
        return self.left

    @hookimpl
    def atomic_recover(self, older_than: float) -> Sequence[InDoubt]:
        if self.failure is not None:
            raise self.failure
        ended = [each for each in self.left if each.age >= older_than and each not in self.stuck]
        self.left = [each for each in self.left if each not in ended]
        return [each._replace(decision=each.decision or "abort") for each in ended]


def run(layer: object, *arguments: str) -> Result:
    atomic = Atomic(layer)
    atomic.resource(schema("boats", name=fields.Str()))
    return CliRunner().invoke(cli.atomic, arguments, obj=ScriptInfo(create_app=lambda: application(atomic)))


class TestRecover:
    def test_what_is_old_enough_is_ended_and_the_rest_is_left(self) -> None:
        done = run(Ledger(OLD, DECIDED, YOUNG), "recover")

        assert done.exit_code == 0
        assert done.stdout == (
            "atomic (/api/operations): 'ledger'\n"
            "store    transaction  age   decision\n"
            "-------  -----------  ----  --------  -----\n"
            "ledger   t1           90 s  abort     ended\n"
            "ledger   t2           70 s  commit    ended\n"
            "archive  t3           5 s   none      left\n"
            "\n"
        )

    def test_an_age_can_be_given(self) -> None:
        layer = Ledger(OLD, DECIDED, YOUNG)

        assert run(layer, "recover", "--older-than", "0").exit_code == 0
        assert layer.left == []

    def test_what_cannot_be_ended_is_told_by_the_exit_code(self) -> None:
        done = run(Ledger(OLD, DECIDED, stuck=[OLD]), "recover")

        assert done.exit_code == 1
        assert "ledger  t1           90 s  none      left" in done.stdout

    def test_a_dry_run_ends_nothing(self) -> None:
        layer = Ledger(OLD, YOUNG)

        assert run(layer, "recover", "--dry-run").exit_code == 1
        assert run(layer, "recover", "--dry-run", "--older-than", "100").exit_code == 0
        assert layer.left == [OLD, YOUNG]

    def test_nothing_is_left(self) -> None:
        done = run(Ledger(), "recover")

        assert (done.exit_code, done.stdout) == (0, "atomic (/api/operations): 'ledger'\n")

    def test_a_store_that_cannot_be_reached(self) -> None:
        class Unreachable(Ledger):
            @hookimpl
            def atomic_recover(self, older_than: float) -> Sequence[InDoubt]:
                raise Transient("The ledger is closed.") from OSError("It is Sunday.")

        done = run(Unreachable(OLD), "recover")

        assert (done.exit_code, done.stderr) == (1, "Error: The ledger is closed. It is Sunday.\n")

    def test_layers_without_the_hooks_are_passed_over(self) -> None:
        done = run(MemoryLayer(), "recover")

        assert (done.exit_code, done.output) == (0, "")

    def test_a_layer_that_lists_must_recover(self) -> None:
        class Lists(MemoryLayer):
            @hookimpl
            def atomic_in_doubt(self) -> Sequence[InDoubt]:
                return []

        assert "which serves 'boats', lacks atomic_recover." in run(Lists(), "check").stderr

    @pytest.mark.parametrize(("returned", "told"), [(None, "None, not a sequence"), ([1], "type int, not an InDoubt")])
    def test_what_is_returned_is_looked_at(self, returned: object, told: str) -> None:
        class Wrong(Ledger):
            @hookimpl
            def atomic_in_doubt(self) -> object:  # type: ignore[override]
                return returned

        done = run(Wrong(), "recover", "--dry-run")

        assert (done.exit_code, told in done.stderr) == (1, True)


class TestCheck:
    def test_what_is_wrong_with_a_store_is_found_at_start_up(self) -> None:
        done = run(Ledger(failure=ConfigurationError("Buy a ledger.")), "layers")

        assert (done.exit_code, done.stderr) == (1, "Error: Buy a ledger.\n")

    def test_an_application_may_start_before_its_store(self) -> None:
        layer = Ledger(failure=Transient("The ledger is closed."))

        assert run(layer, "layers").exit_code == 0
        done = run(layer, "check")
        assert (done.exit_code, done.stderr) == (
            1,
            "Error: atomic (/api/operations): 'ledger': The ledger is closed.\n",
        )

    def test_any_other_exception_is_a_broken_promise(self) -> None:
        done = run(Ledger(failure=OSError("secret")), "layers")

        assert done.stderr == "Error: atomic_check of the plugin 'ledger' raised OSError.\n"
