"""An audit trail: who did what to which resource."""

from flask import g

from flask_atomic import hookimpl


# <plugin>
class AuditTrail:
    """Adds a row for each operation, in the transaction of the operation.

    :param entry: the mapped class of the rows.
    """

    def __init__(self, entry):
        self.entry = entry

    @hookimpl(wrapper=True)
    def atomic_get(self, unit, resource):
        g.setdefault("units", {})[resource.type] = unit
        return (yield)

    atomic_add = atomic_get  # every operation reads its target, or adds it

    @hookimpl
    def atomic_result_meta(self, operation, resource, id):
        session = getattr(g.units[resource.type], "session", None)
        if session is not None:
            session.add(
                self.entry(
                    user=g.user,
                    op=operation.op,
                    type=resource.type,
                    resource_id=str(id),
                    relationship=operation.ref.relationship if operation.ref else None,
                )
            )


# </plugin>
