"""Mistakes in the set-up: each is a `ConfigurationError` at start-up that names the culprit and says what to do."""

from __future__ import annotations

import sys
import types
from dataclasses import dataclass

import pytest
from flask import Flask
from marshmallow import fields as plain_fields
from marshmallow_jsonapi import Schema, fields

from flask_atomic import Atomic, ConfigurationError, MemoryLayer, hookimpl
from flask_atomic.hookspecs import HOOKS_VERSION, OLDEST_HOOKS_VERSION, DataLayer, hookspec
from flask_atomic.plugins import bind
from tests.application import add, application, id_, post, relate, schema, to_many, to_one, update

BOATS = schema("boats", name=fields.Str())


class Observer:
    """A plugin that is no data layer."""

    @hookimpl
    def atomic_committed(self, records):
        """Do nothing."""


def mistake(*plugins, resources=((BOATS, {}),), **config):
    """What is said when an application with these plugins, resource types and settings starts."""
    with pytest.raises(ConfigurationError) as caught:
        start(plugins, resources, config)
    return str(caught.value)


def start(plugins, resources, config):
    atomic = Atomic(*plugins)
    for declared, options in resources:
        atomic.resource(declared, **options)
    return application(atomic, **config)


def without(*hooks, layer=MemoryLayer, **more):
    """A data layer that has all hooks of `layer` but some, and `more`."""
    kept = {
        name: member
        for name, member in vars(layer).items()
        if not (name.startswith("__") and name != "__init__") and name.removeprefix("atomic_") not in hooks
    }
    return type("Partial", (), {**kept, **more})("partial")


class TestResourceTypes:
    def test_two_types_of_one_name(self):
        other = type("Other", (Schema,), {"id": fields.Str(), "Meta": type("Meta", (), {"type_": "boats"})})

        message = mistake(MemoryLayer(), resources=[(BOATS, {}), (other, {"collection": "others"})])

        assert message == (
            "Two resources have the type 'boats': the schemas BoatsSchema and Other. Every type of one Atomic has a "
            "name of its own."
        )

    def test_two_collections_of_one_name(self):
        message = mistake(MemoryLayer(), resources=[(BOATS, {}), (schema("ships"), {"collection": "boats"})])

        assert message.startswith("Two resources have the collection 'boats': the schemas BoatsSchema and ShipsSchema.")

    def test_a_type_that_no_layer_claims(self):
        class Choosy(MemoryLayer):
            @hookimpl
            def atomic_claim(self, resource):
                """Claim nothing."""

        message = mistake(Choosy("choosy"), Choosy("choosier"))

        assert message.startswith("No data layer claims 'boats'. Asked were: 'choosy', 'choosier'.")
        assert "model=..." in message

    def test_a_relationship_to_a_type_that_is_not_declared(self):
        message = mistake(MemoryLayer(), resources=[(schema("boats", captain=to_one("sailors")), {})])

        assert message == (
            "The relationship 'captain' of 'boats' holds 'sailors', which is not declared. Call atomic.resource(...) "
            "for it too, or mend the relationship's type_."
        )

    def test_a_schema_without_an_id(self):
        bare = type("Bare", (Schema,), {"Meta": type("Meta", (), {"type_": "boats"})})

        message = mistake(MemoryLayer(), resources=[(bare, {})])

        assert "Bare" in message
        assert "`id`" in message

    @pytest.mark.parametrize("declared", [BOATS(), MemoryLayer, "boats", None, plain_fields.Str])
    def test_what_is_no_schema(self, declared):
        assert "marshmallow_jsonapi.Schema" in mistake(MemoryLayer(), resources=[(declared, {})])

    @pytest.mark.parametrize(
        ("operations", "named"),
        [
            (["create"], "'create'"),
            (["add", "crew.update", "captain.add"], "'captain.add'"),
            (["boats.add", "add.crew"], "'add.crew', 'boats.add'"),
            ("add", "'a', 'd'"),
        ],
    )
    def test_an_unknown_operation(self, operations, named):
        declared = schema("boats", captain=to_one("boats"), crew=to_many("boats"))

        message = mistake(MemoryLayer(), resources=[(declared, {"operations": operations})])

        assert message == (
            f"operations= of 'boats' names {named}. It may name: add, captain.update, crew.add, crew.remove, "
            f"crew.update, remove, update."
        )

    def test_an_unknown_layer(self):
        message = mistake(
            MemoryLayer("one"), MemoryLayer("two"), Observer(), resources=[(BOATS, {"layer": "Observer"})]
        )

        assert message == "'boats' asks for the layer 'Observer', which is not there. The layers are: 'one', 'two'."

    def test_an_unknown_policy_for_client_ids(self):
        message = mistake(MemoryLayer(), resources=[(BOATS, {"client_ids": True})])

        assert message == "client_ids=True is not 'forbidden', 'allowed' or 'required'."

    def test_an_option_that_the_layer_cannot_use(self):
        assert mistake(MemoryLayer(), resources=[(BOATS, {"id_type": float})]) == (
            "The id_type of 'boats' is not int, str or uuid.UUID."
        )

    def test_one_that_is_declared_too_late(self):
        atomic = Atomic(MemoryLayer())
        application(atomic)

        with pytest.raises(ConfigurationError, match="before the blueprint is registered"):
            atomic.resource(BOATS)


class TestPlugins:
    def test_no_data_layer(self):
        message = mistake(Observer())

        assert message.startswith("There is no data layer. Give Atomic(...) one")

    @pytest.mark.parametrize("hook", ["begin", "commit", "rollback", "parse_id", "get", "identify"])
    def test_a_layer_that_lacks_a_hook(self, hook):
        message = mistake(without(hook))

        assert message == f"The data layer 'partial', which serves 'boats', lacks atomic_{hook}."

    def test_every_hook_that_it_lacks_is_named(self):
        assert mistake(without("begin", "get")).endswith("lacks atomic_begin, atomic_get.")

    def test_linkage_is_owed_where_it_is_shown(self):
        hidden = schema("boats", captain=fields.Relationship(type_="boats"))
        shown = schema("boats", captain=to_one("boats"))
        atomic = Atomic(without("linkage"))
        atomic.resource(hidden)

        assert application(atomic)
        assert mistake(without("linkage"), resources=[(shown, {})]).endswith("lacks atomic_linkage.")

    def test_a_wrapper_does_not_stand_for_the_hook(self):
        class Wrapper:
            @hookimpl(wrapper=True)
            def atomic_get(self):
                return (yield)

        assert mistake(without("get"), Wrapper()).endswith("lacks atomic_get.")

    def test_a_layer_without_the_hook_to_be_asked(self):
        message = mistake(without("claim"), MemoryLayer())

        assert message.startswith("The plugin 'partial' has atomic_")
        assert "but no atomic_claim" in message

    def test_a_plugin_that_means_to_wrap_a_hook_of_a_layer(self):
        class Audit:
            @hookimpl
            def atomic_add(self, attributes):
                """Would never be called."""

        message = mistake(MemoryLayer(), Audit())

        assert message.startswith("The plugin 'Audit' has atomic_add, but no atomic_claim.")
        assert "wrapper=True" in message

    def test_an_unknown_hook(self):
        class Misspelt(Observer):
            @hookimpl
            def atomic_commited(self, records):
                """Would never be called."""

        message = mistake(MemoryLayer(), Misspelt())

        assert message.startswith("The plugin 'Misspelt' has a hook that does not exist: ")
        assert "atomic_commited" in message

    def test_an_unknown_argument(self):
        class Curious:
            @hookimpl
            def atomic_committed(self, session):
                """Cannot be called."""

        message = mistake(MemoryLayer(), Curious())

        assert message.startswith("The plugin 'Curious' does not fit the hooks: ")
        assert "session" in message

    def test_an_async_hook(self):
        class Eager(MemoryLayer):
            @hookimpl
            async def atomic_commit(self, unit):
                """Would never be awaited."""

        message = mistake(Eager("eager"))

        assert message == (
            "'atomic_commit' of the plugin 'eager' is an async function. Hooks are called synchronously: write it with "
            "a plain def."
        )

    def test_an_async_hook_under_another_name(self):
        class Eager:
            @hookimpl(specname="atomic_committed")
            async def notify(self, records):
                """Would never be awaited."""

        assert mistake(MemoryLayer(), Eager()).startswith("'atomic_committed' of the plugin 'Eager' is an async")

    def test_an_async_wrapper(self):
        class Eager:
            @hookimpl(wrapper=True)
            async def atomic_commit(self, unit):
                yield

        assert mistake(MemoryLayer(), Eager()).startswith("The plugin 'Eager' does not fit the hooks: ")

    def test_a_hook_that_is_not_marked(self):
        class Forgetful:
            def atomic_committed(self, records):
                """Would never be called."""

        assert mistake(MemoryLayer(), Forgetful()) == (
            "'atomic_committed' of the plugin 'Forgetful' is not marked as a hook. Put @hookimpl above it, or give it "
            "a name that does not begin with 'atomic_'."
        )

    def test_two_plugins_of_one_name(self):
        message = mistake(MemoryLayer(), MemoryLayer())

        assert message == "Two plugins are called 'memory', or one was given twice. Give each a `name` of its own."

    def test_one_plugin_given_twice(self):
        observer = Observer()

        assert mistake(MemoryLayer(), observer, observer).startswith("Two plugins are called 'Observer', or one was")

    def test_a_class_instead_of_an_instance(self):
        assert mistake(MemoryLayer) == "The plugin MemoryLayer is a class. Give Atomic(...) an instance of it."

    def test_a_plugin_that_is_compared_by_value(self):
        @dataclass
        class Valued:
            limit: int

        assert mistake(MemoryLayer(), Valued(1)) == (
            "The plugin 'Valued' cannot be hashed, since its class compares by value. Compare by identity: "
            "@dataclass(eq=False)."
        )

    @pytest.mark.parametrize(
        "hook", ["atomic_claim", "atomic_independent", "atomic_exclusive", "atomic_versioned", "atomic_remembers"]
    )
    def test_a_hook_that_raises_at_start_up(self, hook):
        @hookimpl
        def raising(self, resource):
            raise KeyError("table")

        kept = {"atomic_flush": hookimpl(lambda self: None), hook: raising}  # who flushes is asked about independence
        plugin = type("Careless", (MemoryLayer,), kept)("careless")

        with pytest.raises(ConfigurationError) as caught:
            start([plugin], [(schema("boats", captain=to_one("boats")), {})], {})

        assert str(caught.value) == f"{hook} of the plugin 'careless' raised KeyError for 'boats'."
        assert isinstance(caught.value.__cause__, KeyError)

    def test_a_wrapper_that_raises_at_start_up(self):
        class Wrapper:
            @hookimpl(wrapper=True)
            def atomic_claim(self):
                yield
                raise KeyError("tenant")

        message = mistake(MemoryLayer(), Wrapper())

        assert message == "atomic_claim of the plugin 'memory' or 'Wrapper' raised KeyError for 'boats'."

    def test_what_a_hook_says_of_the_configuration(self):
        class Strict(MemoryLayer):
            @hookimpl
            def atomic_versioned(self):
                raise ConfigurationError("Boats need a model.")

        assert mistake(Strict()) == "Boats need a model."

    @pytest.mark.parametrize("answer", [True, False, MemoryLayer()])
    def test_a_claim_that_is_not_the_layer(self, answer):
        class Affirmative(MemoryLayer):
            @hookimpl
            def atomic_claim(self):
                return answer

        assert mistake(Affirmative("yes")) == (
            f"atomic_claim of the plugin 'yes' returned an object of the type {type(answer).__name__}, neither the "
            f"layer itself nor None, for 'boats'."
        )

    def test_the_name_of_a_module_is_its_own(self):
        """Two modules are two plugins."""
        modules = [types.ModuleType("one"), types.ModuleType("two")]
        modules[1].atomic_committed = lambda records: None

        assert mistake(MemoryLayer(), *modules).startswith("'atomic_committed' of the plugin 'two' is not marked")


class TestSettings:
    @pytest.mark.parametrize(
        ("config", "message"),
        [
            (
                {"ATOMIC_BATCHES": True},
                "There is no setting ATOMIC_BATCHES. The settings are: ATOMIC_BATCH, ATOMIC_BLOCK, ATOMIC_DISCOVER, "
                "ATOMIC_IDEMPOTENCY, ATOMIC_IDEMPOTENCY_SECONDS, ATOMIC_MAX_ANSWER, ATOMIC_MAX_DEPTH, "
                "ATOMIC_MAX_ERRORS, ATOMIC_MAX_MEMBERS, ATOMIC_MAX_OPERATIONS, ATOMIC_MAX_VALUES, ATOMIC_NO_CONTENT, "
                "ATOMIC_RETRIES, ATOMIC_RETRY_SECONDS, ATOMIC_STRICT_MEDIA_TYPE.",
            ),
            ({"ATOMIC_BATCH": 1}, "ATOMIC_BATCH is 1. It must be True or False."),
            ({"ATOMIC_BATCH": "yes"}, "ATOMIC_BATCH is 'yes'. It must be True or False."),
            ({"ATOMIC_BATCH": ["yes"]}, "ATOMIC_BATCH is ['yes']. It must be True or False."),
            ({"ATOMIC_BLOCK": "redis"}, "ATOMIC_BLOCK is 'redis'. It must be a list of names."),
            ({"ATOMIC_BLOCK": [1]}, "ATOMIC_BLOCK is [1]. It must be a list of names."),
            ({"ATOMIC_BLOCK": False}, "ATOMIC_BLOCK is False. It must be a list of names."),
            ({"ATOMIC_DISCOVER": "redis"}, "ATOMIC_DISCOVER is 'redis'. It must be True, False or a list of names."),
            ({"ATOMIC_DISCOVER": [None]}, "ATOMIC_DISCOVER is [None]. It must be True, False or a list of names."),
            ({"ATOMIC_DISCOVER": 1}, "ATOMIC_DISCOVER is 1. It must be True, False or a list of names."),
            ({"ATOMIC_NO_CONTENT": None}, "ATOMIC_NO_CONTENT is None. It must be True or False."),
            ({"ATOMIC_STRICT_MEDIA_TYPE": 0}, "ATOMIC_STRICT_MEDIA_TYPE is 0. It must be True or False."),
            ({"ATOMIC_MAX_DEPTH": None}, "ATOMIC_MAX_DEPTH is None. It must be a whole number above 0."),
            ({"ATOMIC_MAX_ERRORS": 0}, "ATOMIC_MAX_ERRORS is 0. It must be a whole number above 0."),
            ({"ATOMIC_MAX_ERRORS": None}, "ATOMIC_MAX_ERRORS is None. It must be a whole number above 0."),
            ({"ATOMIC_MAX_ERRORS": True}, "ATOMIC_MAX_ERRORS is True. It must be a whole number above 0."),
            ({"ATOMIC_MAX_OPERATIONS": "9"}, "ATOMIC_MAX_OPERATIONS is '9'. It must be a whole number above 0."),
            ({"ATOMIC_MAX_OPERATIONS": -1}, "ATOMIC_MAX_OPERATIONS is -1. It must be a whole number above 0."),
            ({"ATOMIC_MAX_OPERATIONS": 1.5}, "ATOMIC_MAX_OPERATIONS is 1.5. It must be a whole number above 0."),
        ],
    )
    def test_a_wrong_one(self, config, message):
        assert mistake(MemoryLayer(), **config) == message

    def test_a_depth_that_the_stack_has_no_room_for(self):
        deepest = sys.getrecursionlimit() // 10
        application(Atomic(MemoryLayer()), ATOMIC_MAX_DEPTH=deepest)

        assert mistake(MemoryLayer(), ATOMIC_MAX_DEPTH=deepest + 1) == (
            f"ATOMIC_MAX_DEPTH is {deepest + 1}. It must not be above {deepest}, a tenth of sys.getrecursionlimit()."
        )

    def test_the_defaults_are_entered(self):
        config = application(Atomic(MemoryLayer()), ATOMIC_MAX_ERRORS=5).config

        assert config.get_namespace("ATOMIC_") == {
            "batch": True,
            "block": (),
            "discover": False,
            "idempotency": "off",
            "idempotency_seconds": 86_400,
            "max_answer": 10_000_000,
            "max_depth": 100,
            "max_errors": 5,
            "max_members": 10_000,
            "max_operations": 1000,
            "max_values": 50_000,
            "no_content": True,
            "retries": 3,
            "retry_seconds": 5.0,
            "strict_media_type": False,
        }


class HooksToCome:
    """The hooks of data layers as a version to come may have them: with an argument more, and a hook more."""

    @hookspec(firstresult=True)
    def atomic_add(self, unit, resource, id, attributes, relationships, meta):
        """Add a resource with the operation's `meta`."""

    @hookspec
    def atomic_archive(self, unit, resource, entity):
        """Keep a resource out of sight."""


for hook in vars(DataLayer).keys() - vars(HooksToCome).keys():
    setattr(HooksToCome, hook, vars(DataLayer)[hook])


class TestVersions:
    @staticmethod
    def bound(*plugins, versions=range(1, 3)):
        """The only layer, and the type that it serves, where the last of these versions is the current one."""
        atomic = Atomic(MemoryLayer())
        atomic.resource(BOATS)
        (service,) = application(atomic).extensions["atomic"].values()
        (layer,) = bind(plugins, service.catalog, data_layer=HooksToCome, versions=versions).layers
        return layer, service.catalog["boats"]

    def test_a_layer_for_an_older_version_runs(self):
        """It is called without the argument that it does not know, and lacks the hook."""

        class Old(MemoryLayer):
            hooks_version = 1

        layer, resource = self.bound(Old())
        added = {"id": None, "attributes": {"name": "Argo"}, "relationships": {}, "meta": {"by": "Jason"}}

        unit = layer.begin()
        boat = layer.add(unit=unit, resource=resource, **added)
        id = layer.identify(unit=unit, resource=resource, entity=boat)
        layer.prepare(unit=unit)
        layer.commit(unit=unit)

        unit = layer.begin()
        assert layer.get(unit=unit, resource=resource, ids=[id])[id].name == "Argo"
        layer.rollback(unit=unit)
        assert layer.supports("add")
        assert not layer.supports("archive")

    def test_a_layer_for_the_current_version_is_given_all(self):
        class New(MemoryLayer):
            hooks_version = 2
            heard = None

            @hookimpl
            def atomic_add(self, unit, resource, id, attributes, relationships, meta):
                self.heard = meta
                return super().atomic_add(unit, resource, id, attributes, relationships)

            @hookimpl
            def atomic_archive(self, entity):
                """Archive nothing."""

        new = New()
        layer, resource = self.bound(new)
        unit = layer.begin()
        layer.add(unit=unit, resource=resource, id=None, attributes={}, relationships={}, meta={"by": "Jason"})
        layer.rollback(unit=unit)

        assert new.heard == {"by": "Jason"}
        assert layer.supports("archive")

    def test_without_a_version_it_is_the_current_one(self):
        assert self.bound(MemoryLayer(), versions=range(7, 8))

    def test_a_plugin_for_a_version_to_come(self):
        """The version is told, not the hook that does not exist yet."""

        class Future(MemoryLayer):
            hooks_version = HOOKS_VERSION + 1

            @hookimpl
            def atomic_add(self, meta):
                """Takes what is not given yet."""

        assert mistake(Future("future")) == (
            f"The plugin 'future' was written for version {HOOKS_VERSION + 1} of the hooks. This flask_atomic has "
            f"version {HOOKS_VERSION}, and runs plugins from version {OLDEST_HOOKS_VERSION} on. Install a newer "
            f"version of flask_atomic, or an older one of the plugin."
        )

    def test_a_plugin_for_a_version_that_is_too_old(self):
        observer = Observer()
        observer.hooks_version = 1

        with pytest.raises(ConfigurationError) as caught:
            self.bound(MemoryLayer(), observer, versions=range(2, 4))

        assert str(caught.value) == (
            "The plugin 'Observer' was written for version 1 of the hooks. This flask_atomic has version 3, and runs "
            "plugins from version 2 on. Install a newer version of the plugin, or an older one of flask_atomic."
        )

    @pytest.mark.parametrize("version", ["1", 1.0, True, None])
    def test_what_is_no_version(self, version):
        observer = Observer()
        observer.hooks_version = version

        assert mistake(MemoryLayer(), observer) == (
            f"The hooks_version of the plugin 'Observer' is {version!r}. It must be a whole number: the version of the "
            f"hooks that the plugin was written for."
        )


class TestEndpoints:
    @pytest.mark.parametrize("path", ["", "/", "operations", "/operations/", "/<version>/operations"])
    def test_a_path_that_cannot_be_one(self, path):
        with pytest.raises(ConfigurationError, match=f"The path '{path}' must begin with a slash"):
            Atomic(MemoryLayer(), path=path)

    def test_an_application_that_the_blueprint_is_not_registered_in(self):
        atomic = Atomic(MemoryLayer())

        with Flask("other").app_context(), pytest.raises(ConfigurationError, match=r"app\.register_blueprint"):
            atomic.perform({"atomic:operations": [add("boats")]})


class TestClaims:
    def test_the_first_layer_that_claims_a_type_serves_it(self):
        """In the order of their registration, unless the type says which."""
        first, second = MemoryLayer("first"), MemoryLayer("second")
        atomic = Atomic(first, second)
        atomic.resource(BOATS)
        atomic.resource(schema("ships"), layer="second")
        client = application(atomic).test_client()

        assert post(client, add("boats"), add("ships"), add("ships")).status == 200
        assert (len(first._entities), len(second._entities)) == (1, 2)

    def test_wrappers_of_any_plugin_are_around_the_hooks_of_every_layer(self):
        class Audit:
            def __init__(self):
                self.heard = []

            @hookimpl(wrapper=True)
            def atomic_add(self, resource):
                self.heard.append(resource.type)
                return (yield)

        audit = Audit()
        atomic = Atomic(MemoryLayer("first"), audit, MemoryLayer("second"))
        atomic.resource(BOATS, layer="first")
        atomic.resource(schema("ships"), layer="second")

        post(application(atomic).test_client(), add("boats"), add("ships"))

        assert audit.heard == ["boats", "ships"]

    def test_a_layer_is_called_for_its_own_types_alone(self):
        calls = []

        def recording(name):
            class Recording(MemoryLayer):
                @hookimpl
                def atomic_get(self, unit, resource, ids):
                    calls.append((name, resource.type, ids))
                    return super().atomic_get(unit, resource, ids)

            return Recording(name)

        atomic = Atomic(recording("first"), recording("second"))
        atomic.resource(schema("boats", crew=to_many("sailors")), layer="first")
        atomic.resource(schema("sailors"), layer="second")
        client = application(atomic).test_client()
        post(client, add("boats"), add("sailors"))

        answer = post(client, relate("add", id_("boats", "1"), "crew", [id_("sailors", "1")]), update("sailors", "1"))

        assert answer.status == 200
        assert calls == [("first", "boats", [1]), ("second", "sailors", [1])]


class TestCollections:
    @pytest.mark.parametrize("collection", ["", "a/b"])
    def test_a_collection_is_one_segment_of_a_path(self, collection):
        atomic = Atomic(MemoryLayer())
        atomic.resource(schema("articles"), collection=collection)
        with pytest.raises(ConfigurationError, match=f"collection='{collection}' of 'articles' cannot be one segment"):
            application(atomic)
