"""Operations, sent with httpx."""

# <client>
import httpx

MEDIA_TYPE = 'application/vnd.api+json;ext="https://jsonapi.org/ext/atomic"'


class OperationsRefused(Exception):
    """None of the operations was performed; the argument is the list of error objects."""


def perform(client: httpx.Client, *operations):
    """Return the results, one for each operation."""
    document = {"atomic:operations": operations}
    headers = {"Content-Type": MEDIA_TYPE, "Accept": MEDIA_TYPE}
    response = client.post("/api/operations", json=document, headers=headers)
    if response.status_code == 204:
        return [{} for _ in operations]
    if response.is_error:
        raise OperationsRefused(response.json()["errors"])
    return response.json()["atomic:results"]


# </client>
