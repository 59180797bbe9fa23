"""What the contract tells authors: which promise is broken, and what they have to declare."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from marshmallow_jsonapi import Schema, fields

from flask_atomic import Atomic, MemoryLayer, hookimpl
from flask_atomic.testing import SAMPLES, ArticleSchema, LayerContract, PersonSchema
from flask_atomic.testing.contract.promise import BrokenPromise
from flask_atomic.testing.contract.tested import CAPABILITIES, OPTIONAL_HOOKS, TestedLayer
from tests.contract.faults_of_reading import RaisesForMissing
from tests.contract.layers import DeferredLayer, Log, application_of

pytest_plugins = ["pytester"]

Fails = pytest.fail.Exception


class NoteSchema(Schema):
    id = fields.Str()
    text = fields.Str()

    class Meta:
        type_ = "notes"


def application(*atomics: Atomic) -> Flask:
    made = Flask("application")
    for number, atomic in enumerate(atomics):
        made.register_blueprint(atomic.blueprint, url_prefix=f"/{number}", name=f"atomic{number}")
    return made


def notes(layer: object, **options: Any) -> Flask:
    atomic = Atomic(layer)
    atomic.resource(NoteSchema, **options)
    return application(atomic)


def under_test(made: Flask, *lacks: str, **options: Any) -> TestedLayer:
    return TestedLayer(made, lacks, **{"samples": SAMPLES, "ids": {}, "patience": 1, **options})


def run(test: Callable[..., None], layer: TestedLayer, *arguments: Any) -> None:
    """Run a test of the contract."""
    test(LayerContract(), layer, *arguments)


# --------------------------------------------------------------------------------------------------- what pytest shows

WRONG = """
    import pytest

    from flask_atomic import MemoryLayer, hookimpl
    from flask_atomic.testing import LayerContract
    from tests.contract.layers import application_of


    class WrongLayer(MemoryLayer):
        @hookimpl
        def atomic_update(self, unit, resource, entity, attributes, relationships):
            return super().atomic_update(unit, resource, entity, {}, relationships)

        @hookimpl
        def atomic_remove(self, entity):
            entity.nothing.at_all


    class TestWrongLayer(LayerContract):
        lacks = {"flush"}

        @pytest.fixture
        def application(self):
            return application_of(WrongLayer("wrong"))
"""


@pytest.mark.parametrize("options", [[], ["--assert=plain"]])
def test_a_failure_tells_the_promise(pytester: pytest.Pytester, options: list[str]) -> None:
    pytester.makepyfile(WRONG)
    result = pytester.runpytest(*options, "-k", "test_update_of_attributes or test_remove_what_was_just_added")
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(
        [
            "E *BrokenPromise: The layer 'wrong' broke a promise of atomic_update: “Change the attributes and "
            "relationships that are given”.",
            "E * What was updated, attributes: expected {'name': 'Grace Hopper', 'age': 85}, "
            "seen {'name': 'Ada Lovelace', 'age': 36}.",
        ],
        consecutive=True,
    )
    result.stdout.fnmatch_lines(["> * entity.nothing.at_all"])
    result.stdout.fnmatch_lines(
        [
            "E *BrokenPromise: The layer 'wrong' broke a promise of atomic_remove: “Remove the resource”.",
            "E * atomic_remove of the plugin 'wrong' raised AttributeError.",
            "E * AttributeError: 'NoneType' object has no attribute 'at_all'",
        ],
        consecutive=True,
    )


def test_the_failure_of_another_hook_is_told() -> None:
    with pytest.raises(
        BrokenPromise, match=r"of atomic_get, in the test of atomic_remove: “Remove the resource”.\natomic_get "
    ):
        run(LayerContract.test_remove, under_test(application_of(RaisesForMissing())))


class CountsCommitted(MemoryLayer):
    """Gives two units that are open at once the same ids, and refuses neither."""

    def _new_id(self, unit: Any, resource: Any) -> int:
        return len(self._entities) + 1

    @hookimpl
    def atomic_prepare(self, unit: Any) -> None:
        """Let everything pass."""


def test_an_id_of_two_resources_is_told() -> None:
    told = "Two units gave the id 1 to two resources, and both were committed"
    with pytest.raises(BrokenPromise, match=told):
        run(LayerContract.test_units_are_kept_apart, under_test(application_of(CountsCommitted())))


def test_an_author_is_asked_for_the_application(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        from flask_atomic.testing import LayerContract


        class TestMine(LayerContract):
            pass
        """
    )
    result = pytester.runpytest("-k", "test_add_makes_ids")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["Define the fixture `application` in TestMine: *"])


# ----------------------------------------------------------------------------------------------------- what is lacking

HAS = LayerContract.test_the_layer_has_what_it_does_not_lack
REFUSES = LayerContract.test_what_the_layer_lacks_is_refused


@pytest.mark.parametrize("need", [*OPTIONAL_HOOKS, *CAPABILITIES])
def test_what_is_there_cannot_be_lacking(need: str) -> None:
    made = application_of(DeferredLayer())
    run(HAS, under_test(made), need)
    with pytest.raises(AssertionError, match=f"'{need}' is in `lacks`, but the layer 'memory' has"):
        run(HAS, under_test(made, need), need)


@pytest.mark.parametrize("hook", [hook for hook in OPTIONAL_HOOKS if hook != "add"])
def test_what_is_lacking_is_said(hook: str) -> None:
    made = notes(Log())
    run(HAS, under_test(made, hook), hook)
    told = f"The layer 'Log' has no atomic_{hook}. If that is meant, put '{hook}' into `lacks`."
    with pytest.raises(AssertionError, match=re.escape(told)):
        run(HAS, under_test(made), hook)


class Forgetful(MemoryLayer):
    @hookimpl
    def atomic_remembers(self) -> bool:
        return False


@pytest.mark.parametrize(("need", "declaration"), CAPABILITIES.items())
def test_an_author_is_told_what_to_declare(need: str, declaration: str) -> None:
    wanted = f"declare {declaration}. If the layer cannot serve such a type, put '{need}' into `lacks`."
    with pytest.raises(AssertionError, match=re.escape(wanted)):
        run(HAS, under_test(notes(Forgetful())), need)


def test_a_test_that_cannot_be_run_is_no_success() -> None:
    with pytest.raises(Fails, match="declare a to-many relationship"):
        run(LayerContract.test_add_members, under_test(notes(MemoryLayer())))
    with pytest.raises(Fails, match="has no atomic_remove"):
        run(LayerContract.test_remove, under_test(notes(Log())))
    with pytest.raises(pytest.skip.Exception, match="'remove' is in `lacks`"):
        run(LayerContract.test_remove, under_test(notes(Log()), "remove"))


def test_lacks_names_what_there_is() -> None:
    with pytest.raises(Fails, match=r"`lacks` names atomic_flush\. It may name: prepare, linkage"):
        under_test(application_of(MemoryLayer()), "atomic_flush")


def test_lacks_is_no_text() -> None:
    made = application_of(MemoryLayer())
    with pytest.raises(Fails, match=r"`lacks` is the text 'flush'\. It must be a set of names: {'flush'}\."):
        TestedLayer(made, "flush", SAMPLES, {}, 1)


def test_what_is_lacking_is_refused() -> None:
    run(REFUSES, under_test(notes(Log()), "update", "remove"))
    with pytest.raises(AssertionError, match=r"is refused as .*'resource-not-found'"):
        run(REFUSES, under_test(notes(MemoryLayer()), "update"))
    with pytest.raises(AssertionError, match="is performed, although the hook is in `lacks`"):
        run(REFUSES, under_test(notes(MemoryLayer()), "add"))


# ------------------------------------------------------------------------------------------- what an author declares


def test_there_is_one_layer_to_test() -> None:
    atomic = Atomic(MemoryLayer(), MemoryLayer("other"))
    with pytest.raises(Fails, match="The application has 1 Atomic with 2 data layers"):
        under_test(application(atomic))
    with pytest.raises(Fails, match="The application has 2 Atomic with 2 data layers"):
        under_test(application(Atomic(MemoryLayer()), Atomic(MemoryLayer())))
    with pytest.raises(Fails, match="The application has 0 Atomic with 0 data layers"):
        under_test(Flask("none"))


@pytest.mark.parametrize("samples", [[], [{"text": "One"}], [{"text": "One"}, {"text": "One"}]])
def test_samples_are_asked_for(samples: list[dict[str, str]]) -> None:
    told = "Give `samples` of 'notes': at least two objects" if samples else "There is no type with attributes"
    with pytest.raises(Fails, match=told):
        run(LayerContract.test_add, under_test(notes(MemoryLayer()), samples={"notes": samples}))


def test_samples_must_fit_the_schema() -> None:
    samples = {"notes": [{"text": "One"}, {"text": 2}]}
    with pytest.raises(Fails, match=r"The schema of 'notes' does not accept {'text': 2} of `samples`. .*attributes"):
        run(LayerContract.test_add_makes_ids, under_test(notes(MemoryLayer()), samples=samples))


class Plates(MemoryLayer):
    """Has ids of its own kind."""

    @hookimpl
    def atomic_parse_id(self, text: str) -> str | None:
        return text if text.startswith("KA-") else None


def test_texts_of_ids_are_asked_for() -> None:
    made = notes(Plates(), client_ids="allowed")
    samples = {"notes": [{"text": "One"}, {"text": "Two"}]}
    with pytest.raises(Fails, match=r"No id for a 'notes' is known\. Give texts that can be ids in `ids`"):
        run(LayerContract.test_add_takes_the_id_of_a_client, under_test(made, samples=samples))
    given = under_test(made, samples=samples, ids={"notes": ["KA-1", "KA-2"]})
    run(LayerContract.test_add_takes_the_id_of_a_client, given)


def test_types_that_are_read_only_are_passed_over() -> None:
    atomic = Atomic(MemoryLayer())
    atomic.resource(NoteSchema, operations=())
    atomic.resource(PersonSchema)
    run(LayerContract.test_add, under_test(application(atomic)))


class ReviewSchema(Schema):
    id = fields.Str()
    mark = fields.Int()
    article = fields.Relationship(type_="articles", required=True)

    class Meta:
        type_ = "reviews"


@pytest.mark.parametrize("name", ["test_add_makes_ids", "test_update_of_attributes", "test_threads"])
def test_what_is_required_is_given(name: str) -> None:
    atomic = Atomic(MemoryLayer())
    atomic.resource(ReviewSchema, client_ids="required", id_type=UUID)
    atomic.resource(ArticleSchema)
    atomic.resource(PersonSchema)
    samples = {**SAMPLES, "reviews": [{"mark": 1}, {"mark": 2}]}
    run(getattr(LayerContract, name), under_test(application(atomic), samples=samples))
