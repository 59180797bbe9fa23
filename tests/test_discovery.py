"""Plugins of other distributions: which are loaded, in which order, and what is said of those that cannot be."""

from __future__ import annotations

import importlib
import sys
import tomllib
from collections.abc import Callable, Iterator
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from marshmallow_jsonapi import fields
from sqlalchemy.orm import Mapped, mapped_column

from flask_atomic import Atomic, ConfigurationError, MemoryLayer
from flask_atomic.discovery import discover
from tests.application import add, application, post, schema
from tests.distributions import install

LAYERS = """
from flask_atomic import MemoryLayer


def one(config):
    return MemoryLayer("one")


def two(config):
    return MemoryLayer("two")


def configured(config):
    return MemoryLayer(config["BOATS"]) if "BOATS" in config else None


def broken(config):
    return MemoryLayer(config["BOATS"])


class Layer(MemoryLayer):
    def __init__(self, config):
        super().__init__("of a class")


text = "no callable"
"""

BOATS = schema("boats", name=fields.Str())
CODE = Path(__file__).parents[1] / "docs" / "code"

STRANGERS = sorted(entry_points(group="flask_atomic").names)
"""What is installed where the tests run."""

Plant = Callable[..., None]


@pytest.fixture
def plant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Plant]:
    """Installs a distribution for the length of a test, with entry points for attributes of `LAYERS`."""
    monkeypatch.syspath_prepend(tmp_path)
    present = set(sys.modules)

    def plant(distribution: str, source: str = LAYERS, **attributes: str) -> None:
        module = distribution.replace("-", "_")
        found = {name: f"{module}:{attribute}" for name, attribute in attributes.items()}
        install(tmp_path, distribution, source, {"flask_atomic": found})

    yield plant
    for module in set(sys.modules) - present:
        if getattr(sys.modules[module], "__file__", None) == str(tmp_path / f"{module}.py"):
            del sys.modules[module]


def names(wanted, blocked=(), config=None) -> list[str]:
    return [plugin.name for plugin in discover(wanted, [*STRANGERS, *blocked], config or {})]


def reason(wanted, config=None) -> str:
    with pytest.raises(ConfigurationError) as caught:
        names(wanted, config=config)
    return str(caught.value)


class TestWhatIsLoaded:
    def test_nothing_unless_it_is_asked_for(self, plant):
        plant("broken-boats", "raise RuntimeError('must not be imported')", a="one")

        assert names(False) == []
        assert application(Atomic(MemoryLayer()))

    def test_all_in_the_order_of_their_names(self, plant):
        plant("some-boats", z="one", b="two")
        plant("more-boats", c="Layer")

        assert names(True) == ["two", "of a class", "one"]

    def test_those_that_are_named_in_this_order(self, plant):
        plant("some-boats", a="two", b="one", c="broken")

        assert names(["b", "a"]) == ["one", "two"]
        assert names([]) == []

    @pytest.mark.parametrize("wanted", [True, ["a", "b"]])
    def test_not_those_that_are_blocked(self, plant, wanted):
        plant("some-boats", a="one", b="two")

        assert names(wanted, blocked=["a", "unknown"]) == ["two"]

    def test_what_is_blocked_is_not_imported(self, plant):
        plant("broken-boats", "raise RuntimeError('must not be imported')", a="one")

        assert names(["a"], blocked=["a"]) == []

    @pytest.mark.parametrize(("config", "found"), [({}, []), ({"BOATS": "fleet"}, ["fleet"])])
    def test_what_the_configuration_says(self, plant, config, found):
        """Without it, an entry point may give no plugin."""
        plant("some-boats", a="configured")

        assert names(["a"], config=config) == found


class TestMistakes:
    def test_a_name_that_is_wanted_twice(self, plant):
        plant("some-boats", b="one", a="two")

        assert reason(["a", "b", "a"]) == "ATOMIC_DISCOVER names 'a' more than once. A plugin is loaded once."

    def test_a_name_that_nobody_provides(self, plant):
        plant("some-boats", b="one", a="two")

        present = ", ".join(f"'{name}'" for name in sorted(["a", "b", *STRANGERS]))
        assert reason(["a", "c"]) == (
            f"ATOMIC_DISCOVER names 'c', which no installed distribution provides. Provided are: {present}."
        )

    def test_a_name_that_two_provide(self, plant):
        plant("some-boats", a="one")
        plant("more-boats", a="two")

        message = reason(True)

        assert message.startswith("The plugin 'a' is provided by several distributions: '")
        assert "'some-boats'" in message
        assert "'more-boats'" in message
        assert message.endswith("put the name into ATOMIC_BLOCK.")

    @pytest.mark.parametrize(
        ("attribute", "said"),
        [
            ("broken", "KeyError: 'BOATS'"),
            ("missing", "AttributeError: module 'some_boats' has no attribute 'missing'"),
            ("text", "TypeError: 'str' object is not callable"),
        ],
    )
    def test_one_that_cannot_be_loaded(self, plant, attribute, said):
        plant("some-boats", a=attribute)

        assert reason(["a"]) == f"The plugin 'a' of 'some-boats' could not be loaded. {said}"

    def test_one_that_cannot_be_imported(self, plant):
        plant("some-boats", "import boats_that_are_not_there", a="one")

        assert reason(["a"]) == (
            "The plugin 'a' of 'some-boats' could not be loaded. "
            "ModuleNotFoundError: No module named 'boats_that_are_not_there'"
        )

    def test_what_is_no_plugin_is_told_when_it_is_bound(self, plant):
        plant("some-boats", "class Layer: ...\ndef give(config): return Layer", a="give")

        with pytest.raises(ConfigurationError, match="The plugin Layer is a class"):
            application(Atomic(MemoryLayer()), ATOMIC_DISCOVER=["a"])


def layers(app: Flask) -> list[str]:
    """The names of the layers, in the order in which they are asked."""
    (service,) = app.extensions["atomic"].values()
    return [layer.name for layer in service.plugins.layers]


class TestApplications:
    def test_those_that_are_given_come_first(self, plant):
        plant("some-boats", a="two", b="one")
        given = MemoryLayer("given")
        atomic = Atomic(given)
        atomic.resource(BOATS)
        atomic.resource(schema("ships"), layer="one")

        app = application(atomic, ATOMIC_DISCOVER=["b", "a"])

        assert layers(app) == ["given", "one", "two"]
        assert post(app.test_client(), add("boats"), add("ships")).status == 200
        assert len(given._entities) == 1

    def test_the_models_are_served_besides(self, plant, sqlite_url):
        """A layer that is discovered does not stand for the one that is there by default, and comes after it."""
        plant("some-boats", a="one")
        db = SQLAlchemy()

        class Boat(db.Model):
            id: Mapped[int] = mapped_column(primary_key=True)
            name: Mapped[str]

        atomic = Atomic()
        atomic.resource(BOATS, model=Boat)
        atomic.resource(schema("ships"))
        flask = Flask("boats")
        flask.config.update(SQLALCHEMY_DATABASE_URI=sqlite_url, ATOMIC_DISCOVER=["a"])
        db.init_app(flask)
        flask.register_blueprint(atomic.blueprint)

        assert layers(flask) == ["sqlalchemy", "one"]
        (service,) = flask.extensions["atomic"].values()
        served = {type_: binding.layer.name for type_, binding in service.plugins.bindings.items()}
        assert served == {"boats": "sqlalchemy", "ships": "one"}

    def test_a_layer_that_is_discovered_is_enough(self, plant):
        plant("some-boats", a="one")
        atomic = Atomic()
        atomic.resource(BOATS)

        app = application(atomic, ATOMIC_DISCOVER=["a"])

        assert post(app.test_client(), add("boats")).status == 200

    def test_an_observer_that_is_discovered_hears(self, plant):
        source = (
            "from flask_atomic import hookimpl\n"
            "class Heard:\n"
            "    def __init__(self, config): self.heard = config['HEARD']\n"
            "    @hookimpl\n"
            "    def atomic_committed(self, records): self.heard.append(len(records))\n"
        )
        plant("some-ears", source, ears="Heard")
        atomic = Atomic(MemoryLayer())
        atomic.resource(BOATS)
        heard: list[int] = []

        app = application(atomic, ATOMIC_DISCOVER=True, ATOMIC_BLOCK=STRANGERS, HEARD=heard)
        post(app.test_client(), add("boats"), add("boats"))

        assert heard == [2]

    def test_each_atomic_has_plugins_of_its_own(self, plant):
        plant("some-boats", a="one")
        app = Flask("boats")
        app.config["ATOMIC_DISCOVER"] = ["a"]
        for version in ("v1", "v2"):
            atomic = Atomic(name=version)
            atomic.resource(BOATS)
            app.register_blueprint(atomic.blueprint, url_prefix=f"/{version}")

        first, second = (service.plugins.layers[0].plugin for service in app.extensions["atomic"].values())

        assert first is not second


class TestDocumentation:
    @pytest.fixture
    def create_app(self, tmp_path, monkeypatch):
        """What makes the application of the page on discovery, where the plugin of that page is installed."""
        project = tomllib.loads((CODE / "read_only.toml").read_text("utf-8"))["project"]
        module = f"{project['name'].replace('-', '_')}.py"
        install(tmp_path, project["name"], (CODE / module).read_text("utf-8"), project["entry-points"])
        monkeypatch.syspath_prepend(CODE)
        monkeypatch.syspath_prepend(tmp_path)
        return importlib.import_module("discovering").create_app

    def test_the_plugin_is_loaded_and_refuses(self, create_app):
        answer = post(create_app().test_client(), add("notes"), path="/operations")

        assert [error["detail"] for error in answer.error_objects] == ["'notes' are not changed at present."]

    @pytest.mark.parametrize("config", [{"ATOMIC_DISCOVER": False}, {"READ_ONLY_TYPES": []}])
    def test_the_plugin_is_not_there(self, create_app, config):
        assert post(create_app(**config).test_client(), add("notes"), path="/operations").status == 200

    def test_it_can_be_blocked(self, create_app):
        client = create_app(ATOMIC_BLOCK=["read-only"]).test_client()

        assert post(client, add("notes"), path="/operations").status == 200
