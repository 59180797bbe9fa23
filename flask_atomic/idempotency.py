"""The header `Idempotency-Key`, and what is remembered under a key (draft-ietf-httpapi-idempotency-key-header).

Pure functions and values; nothing here knows where anything is kept.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Generic, NamedTuple, TypeVar

from .errors import Code, ErrorObject, RequestFailed

__all__ = ["HEADER", "REPLAYED", "Idempotency", "Remembered", "digest", "fingerprint", "key_error", "read_key"]

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
"""The header of an answer that was given before."""

_LONGEST = 255
_STRING = re.compile(r'[ \t]*+"((?:[ !#-\[\]-~]|\\["\\])*+)"[ \t]*+')
"""A String of RFC 8941, section 3.3.3; the quantifiers are possessive, so that no text takes more than linear time."""

Answer = TypeVar("Answer")


class Remembered(NamedTuple):
    """The answer to a request that was committed, for those who send the request again.

    :param fingerprint: 64 hexadecimal digits, the same for the same request only.
    :param status: the HTTP status of the answer.
    :param body: its document, empty for none.
    :param expires: when it may be forgotten, in seconds since 1970.
    """

    fingerprint: str
    status: int
    body: bytes
    expires: int


@dataclass(frozen=True, slots=True)
class Idempotency(Generic[Answer]):
    """A request that is to be performed once, however often it is sent.

    :param key: what its answer is remembered under, from `digest`.
    :param fingerprint: what tells the request from others.
    :param seconds: how long the answer is remembered.
    :param dump: the status and the body of an answer.
    :param load: the answer to give again.
    """

    key: str
    fingerprint: str
    seconds: int
    dump: Callable[[Answer], tuple[int, bytes]]
    load: Callable[[Remembered], Answer]


def read_key(value: str) -> str:
    """Return the key in the header's value: a String of structured fields, hence in quotes (draft, section 2.1).

    :raises RequestFailed: 400 for anything else, and for a key of no or of too many characters.
    """
    quoted = _STRING.fullmatch(value)
    if quoted is None:
        raise key_error(
            Code.INVALID_IDEMPOTENCY_KEY, f'A key is one string of ASCII characters in double quotes: {HEADER}: "KEY".'
        )
    key = re.sub(r"\\(.)", r"\1", quoted[1])
    if not 0 < len(key) <= _LONGEST:
        raise key_error(Code.INVALID_IDEMPOTENCY_KEY, f"A key has between 1 and {_LONGEST} characters.")
    return key


def digest(key: str, scope: str | None) -> str:
    """What to remember an answer under: 64 hexadecimal digits.

    Any store can hold that and tells it from others, whatever the key and the scope are made of; and it gives no key
    away.

    :param scope: what the application separates keys by; None for keys of its own.
    """
    return sha256(json.dumps([scope, key]).encode()).hexdigest()


def fingerprint(url: str, body: bytes | str) -> str:
    """What tells a request from others: 64 hexadecimal digits.

    The body counts as it was sent, byte by byte. A client that repeats a request has those bytes. To take two texts for
    the same would be a judgement, and a wrong one answers a request that was never performed.
    """
    body = body.encode("utf-8", "surrogatepass") if isinstance(body, str) else body
    return sha256(json.dumps(url).encode() + body).hexdigest()


def key_error(code: Code, detail: str) -> RequestFailed:
    """A refusal that blames the header."""
    return RequestFailed(ErrorObject.of(code, detail, header=HEADER))
