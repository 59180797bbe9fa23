"""RFC 6901, the reading side: what a JSON pointer names in a document. Written apart from the code that writes them."""

from __future__ import annotations

import re
from typing import Any

_TOKEN = re.compile(r"(?:[^~/]|~[01])*")
_INDEX = re.compile(r"0|[1-9][0-9]*")


def resolve(document: Any, pointer: str) -> Any:
    """Return the value that `pointer` names in `document`.

    :raises LookupError: if it names none, or is no pointer.
    """
    if pointer == "":
        return document
    root, *tokens = pointer.split("/")
    if root:
        raise LookupError(f"{pointer!r} does not begin with a slash")
    value = document
    for token in tokens:
        value = _step(value, token)
    return value


def _step(value: Any, token: str) -> Any:
    if not _TOKEN.fullmatch(token):
        raise LookupError(f"{token!r} is no reference token")
    if isinstance(value, dict):
        return value[token.replace("~1", "/").replace("~0", "~")]
    if isinstance(value, list) and _INDEX.fullmatch(token):
        return value[int(token)]
    raise LookupError(f"nothing named {token!r} in {value!r}")
