"""Tenant isolation: what belongs to another tenant does not exist."""

from flask import g

from flask_atomic import ConfigurationError, hookimpl


# <plugin>
class Tenants:
    """Resources belong to the tenant that adds them, but for those of types with the option `shared`."""

    @hookimpl(wrapper=True)
    def atomic_claim(self, resource):
        if is_shared(resource) and resource.relationships:
            raise ConfigurationError(f"'{resource.type}' is shared: a relationship would show who is related.")
        if not is_shared(resource) and resource.client_ids != "forbidden":
            raise ConfigurationError(f"'{resource.type}' takes ids from clients, who would learn which are taken.")
        return (yield)

    @hookimpl(wrapper=True)
    def atomic_get(self, resource):
        found = yield
        if is_shared(resource):
            return found
        return {id: entity for id, entity in found.items() if entity.tenant == g.tenant}

    @hookimpl(wrapper=True)
    def atomic_add(self, resource):
        entity = yield
        if not is_shared(resource):
            entity.tenant = g.tenant
        return entity


def is_shared(resource):
    return resource.options.get("shared", False)


# </plugin>
