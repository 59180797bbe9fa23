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
    def atomic_begin(self):
        unit = yield
        if hasattr(unit, "session"):
            g.audited_session = unit.session
        return unit

    @hookimpl
    def atomic_result_meta(self, operation, resource, id):
        if "audited_session" in g and "model" in resource.options:
            g.audited_session.add(
                self.entry(
                    user=g.user,
                    op=operation.op,
                    type=resource.type,
                    resource_id=str(id),
                    relationship=operation.ref.relationship if operation.ref else None,
                )
            )


# </plugin>
