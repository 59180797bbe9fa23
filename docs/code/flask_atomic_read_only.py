"""A plugin in a distribution of its own: types that cannot be written for the time being."""

from flask_atomic import Refused, hookimpl


class ReadOnly:
    name = "read-only"
    hooks_version = 1

    def __init__(self, types):
        self.types = frozenset(types)

    @hookimpl
    def atomic_authorize(self, resource):
        if resource.type in self.types:
            raise Refused(f"'{resource.type}' are not changed at present.")


def from_config(config):
    types = config.get("READ_ONLY_TYPES")
    return ReadOnly(types) if types else None
