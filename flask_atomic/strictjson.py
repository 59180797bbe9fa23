"""JSON text to a Python value, refusing what JSON:API forbids and what no store can keep.

The standard decoder keeps the last of two members of one name, reads `NaN`, turns `1e400` into infinity and lets lone
surrogates pass. Here each of them is refused, with a pointer. The module knows nothing of operations.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from json import JSONDecodeError, JSONDecoder
from typing import Any

from .errors import Code, ErrorObject, RequestFailed, Token, pointer

__all__ = ["parse"]

_NO_TEXT = re.compile(r"\\u(?:0000|[dD][89a-fA-F])")  # only such an escape can yield NUL or a lone surrogate


class _Unusable(ValueError):
    """A value that parses but cannot be used."""


class _Flaw(str):
    """Stands, in the second parse, in the place of an unusable value; its text says what is wrong."""


def parse(body: bytes | str, max_depth: int, max_values: int | None = None) -> Any:
    """Return the value that `body` (UTF-8) holds.

    :param max_depth: how deep objects and arrays may stand in each other; the value itself is the first level.
    :param max_values: how many members all objects and elements all arrays may have together; None for any number.
    :raises RequestFailed: 400, with a pointer where a value is to blame; 413 for too many values.
    """
    try:
        text = (body.encode() if isinstance(body, str) else body).decode()
    except UnicodeError:
        raise _refusal("The body is not UTF-8.") from None
    try:
        value = _STRICT.decode(text)
    except JSONDecodeError as error:
        raise _refusal(f"The text is no JSON from line {error.lineno}, column {error.colno} on.") from None
    except RecursionError:
        raise _refusal("Objects and arrays stand too deep in each other.") from None
    except ValueError:
        raise _diagnosis(text) from None
    _refuse_unstorable_text(text, value)
    deepest, values = _measure(value, max_depth)
    if max_values is not None and values > max_values:
        detail = f"More than {max_values} values were sent, that is members of objects and elements of arrays."
        raise _refusal(detail, code=Code.TOO_LARGE)
    if deepest > max_depth:
        detail = f"Objects and arrays stand more than {max_depth} deep in each other."
        raise _refusal(detail, _first_too_deep(value, max_depth))
    return value


def _refusal(detail: str, tokens: Iterable[Token] | None = None, code: Code = Code.INVALID_JSON) -> RequestFailed:
    return RequestFailed(ErrorObject.of(code, detail, pointer=None if tokens is None else pointer(*tokens)))


# The first parse only notices that something is unusable, which keeps it fast; the second one finds out where.


def _unique_members(members: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(members)
    if len(found) != len(members):
        raise _Unusable
    return found


def _finite(literal: str) -> float:
    number = float(literal)
    if math.isinf(number):
        raise _Unusable
    return number


def _no_constant(literal: str) -> Any:
    raise _Unusable


_STRICT = JSONDecoder(object_pairs_hook=_unique_members, parse_float=_finite, parse_constant=_no_constant)


def _mark_duplicates(members: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in members:
        found[name] = _Flaw("The member occurs twice in one object.") if name in found else value
    return found


def _mark_infinite(literal: str) -> float | _Flaw:
    number = float(literal)
    return _Flaw("The number is too large.") if math.isinf(number) else number


def _mark_long(literal: str) -> int | _Flaw:
    try:
        return int(literal)
    except ValueError:  # over the limit of sys.set_int_max_str_digits
        return _Flaw("The number has too many digits.")


def _mark_constant(literal: str) -> _Flaw:
    return _Flaw(f"{literal} is not a JSON value.")


_MARKING = JSONDecoder(
    object_pairs_hook=_mark_duplicates,
    parse_float=_mark_infinite,
    parse_int=_mark_long,
    parse_constant=_mark_constant,
)


def _diagnosis(text: str) -> RequestFailed:
    try:
        value = _MARKING.decode(text)
    except (ValueError, RecursionError):  # broken further on as well
        return _refusal("The body cannot be parsed.")
    _refuse_unstorable_text(text, value)
    flaws = ((flaw, tokens) for flaw, tokens in _walk(value) if isinstance(flaw, _Flaw))
    flaw, tokens = next(flaws, ("The body cannot be parsed.", None))
    return _refusal(str(flaw), tokens)


def _measure(value: Any, max_depth: int) -> tuple[int, int]:
    """How deep objects and arrays stand in each other, and how many values they hold; no further than one too deep."""
    level: list[Any] = [[value]]
    values = 0
    for depth in range(max_depth + 1):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if type(outer) is dict else outer)
            if type(inner) is dict or type(inner) is list
        ]
        if not level:
            return depth, values
        values += sum(map(len, level))
    return max_depth + 1, values


def _first_too_deep(value: Any, max_depth: int) -> list[Token]:
    return next(tokens for inner, tokens in _walk(value) if len(tokens) == max_depth and isinstance(inner, dict | list))


def _refuse_unstorable_text(text: str, value: Any) -> None:
    """Comes before every refusal that has a pointer, so that no pointer leads through a name that cannot be encoded."""
    if not _NO_TEXT.search(text):
        return
    for inner, tokens in _walk(value):
        if isinstance(inner, str) and not _storable(inner):
            raise _refusal("The string holds NUL or half of a surrogate pair.", tokens, Code.INVALID_STRING)
        if isinstance(inner, dict) and not all(map(_storable, inner)):
            raise _refusal("A member's name holds NUL or half of a surrogate pair.", tokens, Code.INVALID_STRING)


def _storable(text: str) -> bool:
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def _walk(value: Any) -> Iterator[tuple[Any, list[Token]]]:
    """Every value in `value`, itself included, in the order of the text, with the tokens of its pointer.

    The list of tokens is the same one at each step: a copy for every value of a deep document would eat the memory.
    """
    tokens: list[Token] = []
    yield value, tokens
    levels = [_members(value)]
    while levels:
        for token, inner in levels[-1]:
            tokens[len(levels) - 1 :] = [token]
            yield inner, tokens
            if isinstance(inner, dict | list):
                levels.append(_members(inner))
                break
        else:
            levels.pop()


def _members(value: Any) -> Iterator[tuple[Token, Any]]:
    return iter(value.items()) if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else iter(())
