"""Events for others, once what they are about is committed."""

from flask_atomic import hookimpl


# <plugin>
class Events:
    """Publishes an event for each operation.

    :param publish: takes one event, and does not keep the client waiting: `queue.SimpleQueue().put`, for instance.
    """

    def __init__(self, publish):
        self.publish = publish

    @hookimpl
    def atomic_committed(self, records):
        for record in records:
            ref = record.operation.ref
            self.publish(
                {
                    "op": record.operation.op,
                    "type": record.resource.type,
                    "id": str(record.id),
                    "relationship": ref.relationship if ref else None,
                    "resource": record.result.get("data"),
                }
            )


# </plugin>
