"""Operations, sent with the standard library."""

# <client>
import json
from urllib.error import HTTPError
from urllib.request import Request, urlopen

MEDIA_TYPE = 'application/vnd.api+json;ext="https://jsonapi.org/ext/atomic"'


class OperationsRefused(Exception):
    """None of the operations was performed; the argument is the list of error objects."""


def perform(url, *operations):
    """Return the results, one for each operation."""
    body = json.dumps({"atomic:operations": operations}).encode()
    request = Request(url, body, {"Content-Type": MEDIA_TYPE, "Accept": MEDIA_TYPE})
    try:
        with urlopen(request, timeout=30) as response:
            return [{} for _ in operations] if response.status == 204 else json.load(response)["atomic:results"]
    except HTTPError as refusal:
        with refusal:
            raise OperationsRefused(json.load(refusal)["errors"]) from None


# </client>
