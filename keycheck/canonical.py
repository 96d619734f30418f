"""Canonical JSON: RFC 8785 (JCS) on a restricted domain, where it is simple enough to be certain.

The domain: objects with ASCII keys, arrays, strings without lone surrogates, integers within +-(2**53 - 1),
``true``, ``false`` and ``null``. No floats, no larger integers (write them as strings), no other types. On
that domain Python's own encoder with sorted keys and no white space is byte-identical to RFC 8785: the two
places where they part are number formatting (section 3.2.2.3) and key order outside the BMP (section 3.2.3,
UTF-16 code units), and neither can occur.

A reader accepts exactly one spelling of every value: bytes that differ from the canonical form of what they
say are refused, so that duplicate keys, white space, needless escapes, ``-0`` and ``1.0`` never get in.

>>> dumps({"b": [1, True], "a": "é"})
b'{"a":"\\xc3\\xa9","b":[1,true]}'
>>> loads(b'{"a":1}', max_bytes=100)
{'a': 1}
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import NoReturn, TypeAlias, cast

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | bool | None"
"""What :func:`loads` returns."""

Jsonable: TypeAlias = "Mapping[str, Jsonable] | Sequence[Jsonable] | str | int | bool | None"
"""What :func:`dumps` takes, covariant for callers' sake; at run time only dict, list and tuple will do."""

MAX_INTEGER = 2**53 - 1
MAX_DEPTH = 32
"""Containers inside containers, the outermost counted as one."""


class CanonicalError(ValueError):
    """The value or the bytes lie outside the domain. Each cause has its own child."""


class FloatError(CanonicalError):
    """A number with a fraction or an exponent, NaN or an infinity."""


class IntegerRangeError(CanonicalError):
    """An integer beyond +-(2**53 - 1), which other JSON readers round."""


class KeyDomainError(CanonicalError):
    """An object key that is not an ASCII string."""


class LoneSurrogateError(CanonicalError):
    """A string that has no UTF-8 form."""


class UnsupportedTypeError(CanonicalError):
    """A Python type that is not one of the domain's (bytes, set, date, a subclass, ...)."""


class DepthError(CanonicalError):
    """Nested deeper than allowed."""


class SizeError(CanonicalError):
    """More bytes than allowed."""


class DuplicateKeyError(CanonicalError):
    """An object with the same key twice."""


class NotJsonError(CanonicalError):
    """Not JSON at all, not UTF-8, or followed by something else."""


class NotCanonicalError(CanonicalError):
    """JSON, but spelt otherwise than its canonical form."""


class CanonicalBytes(bytes):
    """Canonical by the way they were made: by :func:`dumps`, or by :func:`spliced` from its results. Whoever gets them
    in the same process need not read them again to know it; bytes from outside are always read."""

    __slots__ = ()


def dumps(value: Jsonable, *, max_depth: int = MAX_DEPTH) -> CanonicalBytes:
    """The canonical form of ``value``. Raises a child of :class:`CanonicalError` outside the domain."""
    _check(value, max_depth)
    return CanonicalBytes(_ENCODER.encode(value).encode("utf-8"))


def spliced(outer: CanonicalBytes, key: str, members: Iterable[bytes]) -> CanonicalBytes:
    """``outer`` with the value that ``members`` are the pieces of in place of the first ``null`` at ``key``.

    So a large member is written once and not again with everything around it. Inside a string every quotation
    mark is escaped, so that what is replaced is really a member. What stands there lies deeper than it was made for:
    make it with as much less ``max_depth``. Raises ValueError when there is no such place.
    """
    place = f'"{key}":null'.encode("ascii")
    before, found, after = outer.partition(place)
    if not found:
        raise ValueError(f"there is no {place.decode('ascii')} to replace")
    return CanonicalBytes(b"".join((before, place.removesuffix(b"null"), *members, after)))


def loads(data: bytes, *, max_bytes: int, max_depth: int = MAX_DEPTH) -> Json:
    """The value whose canonical form is exactly ``data``. Raises a child of :class:`CanonicalError`."""
    if len(data) > max_bytes:
        raise SizeError(f"{len(data)} bytes, more than the {max_bytes} allowed")
    try:
        text = data.decode("utf-8")
        value, end = _DECODER.raw_decode(text)
    except UnicodeDecodeError as error:
        raise NotJsonError(f"not UTF-8 at byte {error.start}") from error
    except json.JSONDecodeError as error:
        raise NotJsonError(f"not JSON: {error.msg} at character {error.pos}") from error
    except RecursionError as error:
        raise DepthError(f"nested deeper than {max_depth}") from error
    if end != len(text):
        raise NotJsonError(f"something follows the value at character {end}")
    # Only a text with enough brackets can be too deep, and only one beyond ASCII can hold a forbidden key, as
    # an escaped one is not canonical: two cheap looks spare nearly every text the slow walk.
    if data.count(b"{") + data.count(b"[") > max_depth or len(text) != len(data):
        _check(value, max_depth)
    if _ENCODER.encode(value) != text:
        _explain(text)
    return cast(Json, value)


def _check(value: object, room: int) -> None:
    _check_members((value,), room)


def _check_members(members: Iterable[object], room: int) -> None:
    """Scalars are looked at where they stand, without a call each: nearly everything is a short string."""
    for member in members:
        kind = type(member)
        if kind is str:
            if not member.isascii():  # type: ignore[attr-defined]
                _check_text(cast(str, member))
        elif kind is int:
            if not -MAX_INTEGER <= member <= MAX_INTEGER:  # type: ignore[operator]
                raise IntegerRangeError("an integer beyond 2**53 - 1: write it as a string")
        elif kind is bool or member is None:
            pass
        elif kind is dict or kind is list or kind is tuple:
            if room <= 0:
                raise DepthError("nested too deeply")
            if kind is dict:
                for key in member:  # type: ignore[attr-defined]
                    if type(key) is not str or not key.isascii():
                        raise KeyDomainError("an object key that is not an ASCII string")
                _check_members(member.values(), room - 1)  # type: ignore[attr-defined]
            else:
                _check_members(cast("Sequence[object]", member), room - 1)
        elif kind is float:
            raise FloatError("a float: write durations in microseconds, ratios as two integers")
        else:
            raise UnsupportedTypeError(f"a value of type {kind.__name__}, which JSON evidence does not have")


def _check_text(text: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise LoneSurrogateError(f"a lone surrogate at character {error.start}") from error


def _explain(text: str) -> NoReturn:
    """Say why JSON text is not canonical. Only ever called for text that is not."""
    json.loads(text, object_pairs_hook=_refuse_duplicates, parse_int=_integer)
    raise NotCanonicalError("not in canonical form (RFC 8785): white space, key order, escapes or -0")


def _refuse_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise DuplicateKeyError("an object has the same key twice")
    return members


def _integer(digits: str) -> int:
    # The length first: turning a megabyte of digits into an integer takes quadratic time.
    if len(digits) < 16:
        return int(digits)
    if len(digits) > 17 or not -MAX_INTEGER <= (number := int(digits)) <= MAX_INTEGER:
        raise IntegerRangeError("an integer beyond 2**53 - 1")
    return number


def _float(digits: str) -> NoReturn:
    raise FloatError(f"a float: {digits[:20]}")


_ENCODER = json.JSONEncoder(
    ensure_ascii=False, check_circular=False, allow_nan=False, sort_keys=True, separators=(",", ":")
)
_DECODER = json.JSONDecoder(parse_int=_integer, parse_float=_float, parse_constant=_float)
