"""The plugins of one `Atomic` in one application: registered, checked, and bound to the resource types they serve.

All of it happens while the application starts and stays as it is; what is wrong is a `ConfigurationError` that names
the culprit. The module calls no hook of a request.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pluggy

from .errors import ConfigurationError, Transient
from .hookspecs import HOOKS_VERSION, OLDEST_HOOKS_VERSION, PROJECT, DataLayer, Observer
from .promises import CheckedHook
from .resources import Catalog, Relationship, Resource

__all__ = ["Binding", "Hook", "Layer", "Plugins", "bind"]

_VERSIONS = range(OLDEST_HOOKS_VERSION, HOOKS_VERSION + 1)
_OWED = ("begin", "commit", "rollback", "parse_id", "get", "identify")
_OPS = ("add", "update", "remove")
_OWED_FOR_VERSIONS = ("version", "match_version")


class _StartupHook:
    """A hook that is called at start-up, most of them about a resource type: called like `caller`.

    :param may_raise: what is raised as it is, besides `ConfigurationError`.
    :raises ConfigurationError: for every other exception. Of those who take part in the hook, wrappers among them, all
        are named.
    """

    def __init__(self, caller: pluggy.HookCaller, *may_raise: type[Exception]) -> None:
        self._call = caller
        self._may_raise: tuple[type[Exception], ...] = (ConfigurationError, *may_raise)

    def __call__(self, *, resource: Resource | None = None, **arguments: Any) -> Any:
        about = {} if resource is None else {"resource": resource}
        try:
            return self._call(**about, **arguments)
        except self._may_raise:
            raise
        except Exception as error:
            raise self.broken(resource, f"raised {type(error).__name__}") from error

    def broken(self, resource: Resource | None, how: str) -> ConfigurationError:
        """What to raise for a promise that was broken; `how` continues the name of the hook and its plugins."""
        plugins = dict.fromkeys(repr(implementation.plugin_name) for implementation in self._call.get_hookimpls())
        about = "" if resource is None else f" for '{resource.type}'"
        return ConfigurationError(f"{self._call.name} of the plugin {' or '.join(plugins)} {how}{about}.")


class Layer:
    """One data layer: a caller for each of its hooks, which reaches the layer itself and everybody's wrappers.

    The attribute `add` calls `atomic_add`, and so on, with keyword arguments. Layers of one application are compared
    by identity.
    """

    def __init__(self, name: str, plugin: object, callers: Mapping[str, pluggy.HookCaller]) -> None:
        self.name = name
        self.plugin = plugin
        self._own = frozenset(hook for hook, caller in callers.items() if _implements(plugin, caller))
        self.claim = _StartupHook(callers["claim"])
        self.independent = _StartupHook(callers["independent"])
        self.exclusive = _StartupHook(callers["exclusive"])
        self.versioned = _StartupHook(callers["versioned"])
        self.remembers = _StartupHook(callers["remembers"])
        self.check = _StartupHook(callers["check"], Transient)
        self.begin = CheckedHook(callers["begin"])
        self.prepare = CheckedHook(callers["prepare"])
        self.commit = CheckedHook(callers["commit"])
        self.rollback = CheckedHook(callers["rollback"])
        self.parse_id = CheckedHook(callers["parse_id"])
        self.get = CheckedHook(callers["get"])
        self.identify = CheckedHook(callers["identify"])
        self.linkage = CheckedHook(callers["linkage"])
        self.version = CheckedHook(callers["version"])
        self.match_version = CheckedHook(callers["match_version"])
        self.add = CheckedHook(callers["add"])
        self.update = CheckedHook(callers["update"])
        self.remove = CheckedHook(callers["remove"])
        self.add_all = CheckedHook(callers["add_all"])
        self.update_all = CheckedHook(callers["update_all"])
        self.remove_all = CheckedHook(callers["remove_all"])
        self.add_to_relationship = CheckedHook(callers["add_to_relationship"])
        self.set_relationship = CheckedHook(callers["set_relationship"])
        self.remove_from_relationship = CheckedHook(callers["remove_from_relationship"])
        self.flush = CheckedHook(callers["flush"])
        self.recall = CheckedHook(callers["recall"])
        self.remember = CheckedHook(callers["remember"])
        self.forget = CheckedHook(callers["forget"])
        self.in_doubt = CheckedHook(callers["in_doubt"])
        self.recover = CheckedHook(callers["recover"])
        self.runs = frozenset(op for op in _OPS if self._performs_runs_of(op))
        self.can_prepare = self.supports("prepare")
        self.defers_writes = self.supports("flush")

    def supports(self, hook: str) -> bool:
        """Whether the layer itself has the hook `atomic_HOOK`; wrappers of others do not count."""
        return hook in self._own

    def _performs_runs_of(self, op: str) -> bool:
        """Whether several operations may be one call: not if somebody wants to see each, or what is read for it.

        That is whoever stands around the hook of a single operation and not around that of several; and who inherits
        from a layer and has the one anew and not the other.
        """
        single = {"add": ("add",), "update": ("update", "get", "identify", "linkage"), "remove": ("remove", "get")}[op]
        joint, depth = getattr(self, f"{op}_all"), _depth(self.plugin, f"{op}_all")
        return self.supports(f"{op}_all") and all(
            getattr(self, hook).wrappers <= joint.wrappers and _depth(self.plugin, hook) >= depth for hook in single
        )

    def __repr__(self) -> str:
        return f"<Layer {self.name}>"


def _depth(plugin: object, hook: str) -> int:
    """How far up its implementation of a hook is found: in the plugin itself, its class, or the bases of that."""
    places = (plugin, *type(plugin).__mro__)
    found = (depth for depth, each in enumerate(places) if f"atomic_{hook}" in getattr(each, "__dict__", ()))
    return next(found, len(places))


@dataclass(frozen=True, eq=False, slots=True)
class Binding:
    """A resource type together with the layer that serves it, and what batching must know of it.

    :param supported: what may be done with whole resources: `add`, `update`, `remove`.
    :param may_wait: whether a write may be flushed, and its result shown, together with later ones.
    :param runs: which operations in a row may be performed by one call of a hook.
    :param shown: the relationships whose linkage the resource shows.
    :param shown_to_one: the types that those of them hold that are to-one.
    :param shown_to_many: the types that the others hold.
    :param refers_to_itself: whether resources of the type can be related to others of it.
    :param exclusive: the relationships that can take a related resource from another resource of this type.
    :param versioned: whether resources of the type have versions.
    :param remembers: whether the layer can remember the answer to a request that writes the type.
    """

    resource: Resource
    layer: Layer
    supported: frozenset[str]
    may_wait: bool
    runs: frozenset[str]
    shown: tuple[Relationship, ...]
    shown_to_one: frozenset[str]
    shown_to_many: frozenset[str]
    refers_to_itself: bool
    exclusive: frozenset[Relationship]
    versioned: bool
    remembers: bool


@dataclass(frozen=True, slots=True)
class Hook:
    """Who takes part in a hook, by the names of the plugins.

    :param plugins: those that have it themselves, in the order of their registration.
    :param wrappers: those that stand around it, the outermost first.
    """

    name: str
    plugins: tuple[str, ...]
    wrappers: tuple[str, ...]


class Plugins:
    """What `bind` made: the layers in the order of their registration, and a `Binding` for each resource type.

    :param authorize: the hook `atomic_authorize`, None if nobody has it.
    :param result_meta: the hook `atomic_result_meta`, likewise.
    :param committed: for each plugin that has the hook `atomic_committed`, a caller that reaches it alone.
    :param hooks: every hook, and who takes part in it.
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        bindings: Mapping[str, Binding],
        authorize: CheckedHook | None,
        result_meta: CheckedHook | None,
        committed: Mapping[str, pluggy.HookCaller],
        hooks: Iterable[Hook],
    ) -> None:
        self.layers = tuple(layers)
        self.bindings = dict(bindings)
        self.authorize = authorize
        self.result_meta = result_meta
        self.committed = dict(committed)
        self.hooks = tuple(hooks)


def bind(
    plugins: Iterable[object],
    catalog: Catalog,
    *,
    data_layer: type = DataLayer,
    versions: range = _VERSIONS,
) -> Plugins:
    """Register `plugins` in their order and bind every resource type of the catalogue to a layer.

    :param data_layer: the specifications of the hooks of data layers.
    :param versions: those of the specifications that a plugin may have been written for; the last is theirs.
    :raises ConfigurationError: for whatever is wrong with a plugin, and for a type that no layer claims.
    """
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(data_layer)
    manager.add_hookspecs(Observer)
    registered = {_register(manager, plugin, versions): plugin for plugin in plugins}
    _check_hooks(manager, registered)
    routed = _hooks_of(data_layer)
    layers = [
        _layer(manager, name, plugin, routed) for name, plugin in registered.items() if _is_layer(manager, plugin)
    ]
    if not layers:
        raise ConfigurationError(
            "There is no data layer. Give Atomic(...) one, for instance Atomic(SQLAlchemyLayer(db)) or "
            "Atomic(MemoryLayer()); without one it needs Flask-SQLAlchemy, set up before the blueprint is registered."
        )
    claimed = {resource: _claimant(resource, layers) for resource in catalog}
    bindings = {resource.type: _binding(resource, layer) for resource, layer in claimed.items()}
    observers = {
        name: plugin for name, plugin in registered.items() if _implements(plugin, manager.hook.atomic_committed)
    }
    return Plugins(
        layers,
        bindings,
        _if_used(manager.hook.atomic_authorize),
        _if_used(manager.hook.atomic_result_meta),
        {name: _only(manager, "atomic_committed", plugin) for name, plugin in observers.items()},
        [_hook(getattr(manager.hook, hook), registered) for hook in (*routed, *_hooks_of(Observer))],
    )


def _if_used(caller: pluggy.HookCaller) -> CheckedHook | None:
    return CheckedHook(caller) if caller.get_hookimpls() else None


def _hooks_of(specifications: type) -> list[str]:
    return [name for name in vars(specifications) if name.startswith("atomic_")]


def _hook(caller: pluggy.HookCaller, plugins: Mapping[str, object]) -> Hook:
    return Hook(
        caller.name,
        tuple(name for name, plugin in plugins.items() if _implements(plugin, caller)),
        tuple(impl.plugin_name for impl in reversed(caller.get_hookimpls()) if _wraps(impl)),
    )


def _register(manager: pluggy.PluginManager, plugin: object, versions: range) -> str:
    if inspect.isclass(plugin):
        raise ConfigurationError(f"The plugin {plugin.__name__} is a class. Give Atomic(...) an instance of it.")
    given = getattr(plugin, "name", None)
    name = given if isinstance(given, str) else getattr(plugin, "__name__", type(plugin).__name__)
    _check_version(name, getattr(plugin, "hooks_version", versions[-1]), versions)
    if type(plugin).__hash__ is None:
        raise ConfigurationError(
            f"The plugin '{name}' cannot be hashed, since its class compares by value. Compare by identity: "
            f"@dataclass(eq=False)."
        )
    try:
        registered = manager.register(plugin, name)
    except pluggy.PluginValidationError as error:
        raise ConfigurationError(f"The plugin '{name}' does not fit the hooks: {error}") from error
    except ValueError as error:
        raise ConfigurationError(
            f"Two plugins are called '{name}', or one was given twice. Give each a `name` of its own."
        ) from error
    return registered or name


def _check_version(name: str, version: Any, supported: range) -> None:
    if type(version) is not int:
        raise ConfigurationError(
            f"The hooks_version of the plugin '{name}' is {version!r}. It must be a whole number: the version of the "
            f"hooks that the plugin was written for."
        )
    if version not in supported:
        newer, older = ("flask_atomic", "the plugin") if version > supported[-1] else ("the plugin", "flask_atomic")
        raise ConfigurationError(
            f"The plugin '{name}' was written for version {version} of the hooks. This flask_atomic has version "
            f"{supported[-1]}, and runs plugins from version {supported[0]} on. Install a newer version of {newer}, or "
            f"an older one of {older}."
        )


def _check_hooks(manager: pluggy.PluginManager, plugins: Mapping[str, object]) -> None:
    try:
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        raise ConfigurationError(
            f"The plugin '{manager.get_name(error.plugin)}' has a hook that does not exist: {error}. "
            f"The hooks are listed in flask_atomic.hookspecs."
        ) from error
    for name, plugin in plugins.items():
        known = {hook.name: hook for hook in manager.get_hookcallers(plugin) or ()}
        _check_marked(name, plugin, known)
        _check_routed(name, plugin, known)
        _check_synchronous(name, plugin, known)


def _check_marked(name: str, plugin: object, known: Mapping[str, pluggy.HookCaller]) -> None:
    for attribute in dir(plugin):
        if attribute.startswith("atomic_") and attribute not in known:
            raise ConfigurationError(
                f"'{attribute}' of the plugin '{name}' is not marked as a hook. Put @hookimpl above it, or give "
                f"it a name that does not begin with 'atomic_'."
            )


def _check_routed(name: str, plugin: object, known: Mapping[str, pluggy.HookCaller]) -> None:
    routed = [hook for hook, caller in known.items() if hook not in vars(Observer) and _implements(plugin, caller)]
    if routed and "atomic_claim" not in routed:
        raise ConfigurationError(
            f"The plugin '{name}' has {', '.join(routed)}, but no atomic_claim. A data layer is not asked for anything "
            f"without it; any other plugin can only wrap these hooks: @hookimpl(wrapper=True)."
        )


def _check_synchronous(name: str, plugin: object, known: Mapping[str, pluggy.HookCaller]) -> None:
    for hook, caller in known.items():
        if any(_is_async(impl.function) for impl in caller.get_hookimpls() if impl.plugin is plugin):
            raise ConfigurationError(
                f"'{hook}' of the plugin '{name}' is an async function. Hooks are called synchronously: write "
                f"it with a plain def."
            )


def _is_async(function: Callable[..., Any]) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)


def _implements(plugin: object, caller: pluggy.HookCaller) -> bool:
    return any(impl.plugin is plugin and not _wraps(impl) for impl in caller.get_hookimpls())


def _wraps(impl: pluggy.HookImpl) -> bool:
    return impl.wrapper or impl.hookwrapper


def _is_layer(manager: pluggy.PluginManager, plugin: object) -> bool:
    return _implements(plugin, manager.hook.atomic_claim)


def _only(manager: pluggy.PluginManager, hook: str, plugin: object) -> pluggy.HookCaller:
    """A caller of `hook` that reaches `plugin` and everybody's wrappers, but no other implementation."""
    others = [other for other in manager.get_plugins() if other is not plugin]
    caller = getattr(manager.hook, hook)
    return manager.subset_hook_caller(hook, [other for other in others if _implements(other, caller)])


def _layer(manager: pluggy.PluginManager, name: str, plugin: object, hooks: Iterable[str]) -> Layer:
    return Layer(name, plugin, {hook.removeprefix("atomic_"): _only(manager, hook, plugin) for hook in hooks})


def _binding(resource: Resource, layer: Layer) -> Binding:
    versioned = layer.versioned(resource=resource) is True
    _check_owed(layer, resource, versioned)
    shown = tuple(relationship for relationship in resource.relationships.values() if relationship.shown)
    may_wait = _may_wait(layer, resource)
    return Binding(
        resource=resource,
        layer=layer,
        supported=frozenset(op for op in _OPS if resource.permits(op) and layer.supports(op)),
        may_wait=may_wait,
        runs=layer.runs if may_wait else frozenset(),
        shown=shown,
        shown_to_one=frozenset(relationship.type for relationship in shown if not relationship.many),
        shown_to_many=frozenset(relationship.type for relationship in shown if relationship.many),
        refers_to_itself=any(relationship.type == resource.type for relationship in resource.relationships.values()),
        exclusive=frozenset(
            relationship
            for relationship in resource.relationships.values()
            if _exclusive(layer, resource, relationship)
        ),
        versioned=versioned,
        remembers=layer.supports("recall") and layer.remembers(resource=resource) is not False,
    )


def _exclusive(layer: Layer, resource: Resource, relationship: Relationship) -> bool:
    return layer.exclusive(resource=resource, relationship=relationship) is not False


def _may_wait(layer: Layer, resource: Resource) -> bool:
    if not layer.defers_writes:
        return False
    if resource.independent is not None:
        return resource.independent
    return not resource.codec.computed and layer.independent(resource=resource) is not False


def _claimant(resource: Resource, layers: Sequence[Layer]) -> Layer:
    candidates = [layer for layer in layers if resource.layer in (None, layer.name)]
    if not candidates:
        raise ConfigurationError(
            f"'{resource.type}' asks for the layer '{resource.layer}', which is not there. "
            f"The layers are: {_names(layers)}."
        )
    for layer in candidates:
        if _claims(layer, resource):
            return layer
    raise ConfigurationError(
        f"No data layer claims '{resource.type}'. Asked were: {_names(candidates)}. The SQLAlchemy layer claims a "
        f"type that is declared with model=...; other layers say in their documentation what they need."
    )


def _claims(layer: Layer, resource: Resource) -> bool:
    claimed = layer.claim(resource=resource)
    if claimed is not None and claimed is not layer.plugin:
        how = f"returned an object of the type {type(claimed).__name__}, neither the layer itself nor None,"
        raise layer.claim.broken(resource, how)
    return claimed is not None


def _names(layers: Iterable[Layer]) -> str:
    return ", ".join(f"'{layer.name}'" for layer in layers)


def _check_owed(layer: Layer, resource: Resource, versioned: bool) -> None:
    owed: list[Any] = [hook for hook in _OWED if not layer.supports(hook)]
    if any(relationship.shown for relationship in resource.relationships.values()) and not layer.supports("linkage"):
        owed.append("linkage")
    if versioned:
        owed += [hook for hook in _OWED_FOR_VERSIONS if not layer.supports(hook)]
    if layer.supports("recall") and not layer.supports("remember"):
        owed.append("remember")
    if layer.supports("in_doubt") and not layer.supports("recover"):
        owed.append("recover")
    if owed:
        raise ConfigurationError(
            f"The data layer '{layer.name}', which serves '{resource.type}', lacks "
            f"{', '.join(f'atomic_{hook}' for hook in owed)}."
        )
