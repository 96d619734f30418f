"""Canonical JSON: against an independent serialiser, the official vectors, and everything that must be refused."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keycheck import canonical
from keycheck.canonical import Json, dumps, loads

KEYS = st.text(st.characters(max_codepoint=127), max_size=8)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-canonical.MAX_INTEGER, canonical.MAX_INTEGER)
    | st.text(st.characters(exclude_categories=["Cs"]))
)
VALUES: st.SearchStrategy[Json] = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=20,
)


def reference(value: Json) -> str:
    """RFC 8785 section 3.2, written out."""
    match value:
        case None | True | False:
            return {None: "null", True: "true", False: "false"}[value]
        case int():
            return str(value)
        case str():
            short = {8: "\\b", 9: "\\t", 10: "\\n", 12: "\\f", 13: "\\r", 34: '\\"', 92: "\\\\"}
            return '"' + "".join(
                short.get(ord(c), f"\\u{ord(c):04x}" if ord(c) < 32 else c) for c in value
            ) + '"'  # fmt: skip
        case list():
            return "[" + ",".join(map(reference, value)) + "]"
        case dict():
            keys = sorted(value, key=lambda key: key.encode("utf-16-be"))
            return "{" + ",".join(f"{reference(key)}:{reference(value[key])}" for key in keys) + "}"


@given(VALUES)
def test_equals_an_independent_rfc_8785(value: Json) -> None:
    data = dumps(value)
    assert data == reference(value).encode("utf-8")
    assert loads(data, max_bytes=len(data)) == value


@given(VALUES, st.sampled_from([{"indent": 1}, {"separators": (", ", ": ")}, {"ensure_ascii": True}]))
def test_other_spellings_are_refused(value: Json, style: dict[str, object]) -> None:
    other = json.dumps(value, sort_keys=True, **{"separators": (",", ":"), "ensure_ascii": False} | style)  # type: ignore[arg-type]
    if other.encode("utf-8", "surrogatepass") != dumps(value):
        with pytest.raises(canonical.CanonicalError):
            loads(other.encode("utf-8"), max_bytes=10_000)


@given(st.binary(max_size=60) | st.text('{}[]":,01-.e\\u tfn', max_size=20).map(str.encode))
def test_any_bytes_are_canonical_or_refused(data: bytes) -> None:
    try:
        value = loads(data, max_bytes=50)
    except canonical.CanonicalError:
        return
    assert dumps(value) == data


def test_official_vectors_inside_the_domain() -> None:
    # github.com/cyberphone/json-canonicalization testdata: arrays, structures (56.0 as 56), unicode; the string
    # of values and of RFC 8785 section 3.2.2.
    assert dumps([56, {"d": True, "10": None, "1": []}]) == b'[56,{"1":[],"10":null,"d":true}]'
    structures: Json = {
        "1": {"f": {"f": "hi", "F": 5}, "\n": 56}, "10": {}, "": "empty", "a": {},
        "111": [{"e": "yes", "E": "no"}], "A": {},
    }  # fmt: skip
    assert dumps(structures) == (
        rb'{"":"empty","1":{"\n":56,"f":{"F":5,"f":"hi"}},"10":{},"111":[{"E":"no","e":"yes"}],"A":{},"a":{}}'
    )
    assert dumps({"Unnormalized Unicode": "A\u030a"}) == '{"Unnormalized Unicode":"A\u030a"}'.encode()
    string = json.loads(r'"\u20ac$\u000F\u000aA\u0027\u0042\u0022\u005c\\\"\/"')
    assert dumps({"string": string}).hex() == (
        "7b22737472696e67223a22e282ac245c75303030665c6e4127425c225c5c5c5c5c222f227d"
    )


def nested(depth: int) -> Json:
    value: Json = []
    for _ in range(depth - 1):
        value = [value]
    return value


CYCLE: list[object] = []
CYCLE.append(CYCLE)


@pytest.mark.parametrize(
    ("value", "error"),
    [
        (1.0, canonical.FloatError),
        ([float("nan")], canonical.FloatError),
        (2**53, canonical.IntegerRangeError),
        (-(2**53), canonical.IntegerRangeError),
        ({1: 2}, canonical.KeyDomainError),
        ({"é": 2}, canonical.KeyDomainError),
        ("\ud800", canonical.LoneSurrogateError),
        (b"", canonical.UnsupportedTypeError),
        ({1, 2}, canonical.UnsupportedTypeError),
        (canonical, canonical.UnsupportedTypeError),
        (nested(33), canonical.DepthError),
        (CYCLE, canonical.DepthError),
    ],
)
def test_values_outside_the_domain(value: object, error: type[Exception]) -> None:
    with pytest.raises(error):
        dumps(value)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", canonical.NotJsonError),
        (b"{", canonical.NotJsonError),
        (b"\xff", canonical.NotJsonError),
        (b"\xef\xbb\xbf{}", canonical.NotJsonError),
        (b" {}", canonical.NotJsonError),
        (b"{}\n", canonical.NotJsonError),
        (b"{}{}", canonical.NotJsonError),
        (b'"\xed\xa0\x80"', canonical.NotJsonError),
        (b"[1.5]", canonical.FloatError),
        (b"[1e3]", canonical.FloatError),
        (b"[NaN]", canonical.FloatError),
        (b"[-Infinity]", canonical.FloatError),
        (b"[9007199254740992]", canonical.IntegerRangeError),
        (b"[" + b"9" * 1_000_000 + b"]", canonical.IntegerRangeError),
        (b'{"a":1,"a":1}', canonical.DuplicateKeyError),
        (b'{"a":1,"a":2}', canonical.DuplicateKeyError),
        (b'{"b":1,"a":2}', canonical.NotCanonicalError),
        (b'{"a": 1}', canonical.NotCanonicalError),
        (b"[-0]", canonical.NotCanonicalError),
        (b'"\\u0041"', canonical.NotCanonicalError),
        (b'"\\u000F"', canonical.NotCanonicalError),
        (b'"\\/"', canonical.NotCanonicalError),
        (b'"\\ud800"', canonical.NotCanonicalError),
        ('{"é":1}'.encode(), canonical.KeyDomainError),
        (b"[" * 33 + b"]" * 33, canonical.DepthError),
        (b"[" * 500_000 + b"]" * 500_000, canonical.DepthError),
        (b"1" * 3_000_001, canonical.SizeError),
    ],
)
def test_bytes_that_are_refused(data: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        loads(data, max_bytes=3_000_000)


def test_depth_is_counted_alike_both_ways() -> None:
    assert loads(dumps(nested(32)), max_bytes=100) == nested(32)
    # Many brackets side by side are not depth.
    wide = dumps([[] for _ in range(100)])
    assert len(wide) > 32
    assert dumps(loads(wide, max_bytes=1000)) == wide
