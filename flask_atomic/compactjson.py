"""JSON values to bytes, for answers: by `orjson` where that is installed, otherwise by the standard library.

Both write the same values, though not always the same bytes for them. The module knows nothing of operations.
"""

from __future__ import annotations

import json
from typing import Any

try:
    import orjson
except ImportError:
    orjson = None  # type: ignore[assignment]

__all__ = ["dumps"]


def dumps(value: Any) -> bytes:
    """Return `value` as JSON in UTF-8, without spaces.

    :raises TypeError: if it holds what JSON has nothing for.
    :raises ValueError: likewise, for infinity and NaN (which `orjson` writes as null).
    """
    if orjson is not None:
        try:
            return orjson.dumps(value, option=orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_DATACLASS)
        except TypeError:  # it knows no integers of more than 64 bits, for instance
            pass
    return json.dumps(value, allow_nan=False, separators=(",", ":")).encode()
