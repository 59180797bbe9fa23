"""Row-level permission: what somebody added, nobody else changes."""

from flask import g

from flask_atomic import Refused, hookimpl


# <plugin>
class Ownership:
    """Resources of these types belong to who adds them, and are changed by nobody else."""

    def __init__(self, *types):
        self.types = types

    @hookimpl(wrapper=True)
    def atomic_add(self, resource, relationships):
        for relationship, related in relationships.items():
            self.permit_members(relationship, related)
        entity = yield
        if resource.type in self.types:
            entity.owner = g.user
        return entity

    @hookimpl(wrapper=True)
    def atomic_update(self, resource, entity, relationships):
        self.permit(resource, entity)
        for relationship in relationships:
            self.permit_replacement(relationship)
        return (yield)

    @hookimpl(wrapper=True)
    def atomic_remove(self, resource, entity):
        self.permit(resource, entity)
        return (yield)

    @hookimpl(wrapper=True)
    def atomic_set_relationship(self, resource, entity, relationship):
        self.permit(resource, entity)
        self.permit_replacement(relationship)
        return (yield)

    @hookimpl(wrapper=True)
    def atomic_add_to_relationship(self, resource, entity, relationship, related):
        self.permit(resource, entity)
        self.permit_members(relationship, related)
        return (yield)

    atomic_remove_from_relationship = atomic_add_to_relationship

    def permit(self, resource, entity):
        if resource.type in self.types and entity is not None and entity.owner != g.user:
            raise Refused(f"The '{resource.type}' is somebody else's.")

    def permit_members(self, relationship, related):
        for member in related if relationship.many else ():
            self.permit(member.resource, member.entity)

    def permit_replacement(self, relationship):
        if relationship.many and relationship.type in self.types:
            raise Refused("Members are added and removed, not replaced: those to go may be somebody else's.")


# </plugin>
