"""How the part of a transaction in one database is called there, so that whoever finds it knows whose it is."""

from __future__ import annotations

import re
import secrets
import time
from typing import NamedTuple

__all__ = ["Xid"]

_FORM = re.compile(r"atomic\.([0-9a-f]{12})\.([0-9a-f]{1,12})\.([0-9a-f]{20})\.([0-9]{1,4})")


class Xid(NamedTuple):
    """The name of a branch. Its text has at most 58 characters of ASCII: XA allows for 64, PostgreSQL for 199.

    :param owner: what the database that decides calls itself by: other applications may use the same servers.
    :param started: when the unit of work was begun, in seconds since 1970.
    :param id: that of the transaction, which all of its branches share.
    :param number: tells them apart: several may be on one server.
    """

    owner: str
    started: int
    id: str
    number: int = 0

    @classmethod
    def new(cls, owner: str) -> Xid:
        """The name of the first branch of a new transaction."""
        return cls(owner, int(time.time()), secrets.token_hex(10))

    @classmethod
    def parse(cls, text: str) -> Xid | None:
        """The branch that is called like that, None if the name is not one of ours."""
        form = _FORM.fullmatch(text)
        return form and cls(form[1], int(form[2], 16), form[3], int(form[4]))

    def __str__(self) -> str:
        return f"atomic.{self.owner}.{self.started:x}.{self.id}.{self.number}"
