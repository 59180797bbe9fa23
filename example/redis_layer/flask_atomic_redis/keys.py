"""What is kept at which key.

    PREFIX:TYPE:ID              a hash: the id, the attributes and the to-one relationships of a resource
    PREFIX:TYPE.ATTRIBUTE:ID    a set: the ids of the members of a to-many relationship
    PREFIX:TYPE@referrers:ID    a set: which relationships of which resources hold the resource
    PREFIX:TYPE                 the integer that was the id of a new resource last

The name of a type has neither a colon nor a dot nor an @, so no two keys are the same. The values of fields and the
members of sets are texts of the module `values`.
"""

from __future__ import annotations

from typing import Any

__all__ = ["Keys"]


class Keys:
    """The keys that begin with a prefix."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix

    def resource(self, type_: str, id_: Any) -> str:
        """The hash of a resource."""
        return f"{self._prefix}:{type_}:{id_}"

    def members(self, type_: str, attribute: str, id_: Any) -> str:
        """The set of members of a to-many relationship."""
        return f"{self._prefix}:{type_}.{attribute}:{id_}"

    def referrers(self, type_: str, id_: Any) -> str:
        """The set of those who are related to a resource."""
        return f"{self._prefix}:{type_}@referrers:{id_}"

    def last_number(self, type_: str) -> str:
        """The integer id that was given last."""
        return f"{self._prefix}:{type_}"
