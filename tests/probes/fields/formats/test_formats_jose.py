"""JSON Web Encryption: Wycheproof's, and messages made by hand."""

from __future__ import annotations

import base64
import json
import os
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probes.fields.formats import jose
from probes.fields.formats.seam import Parsed, Refused

DATA = Path(os.environ.get("KEYCHECK_DATA") or Path(__file__).resolve().parents[4].parent / "shared" / "data")
WYCHEPROOF = DATA / "vectors" / "wycheproof-jwe.json"
# What only keys and ciphertext can tell: nothing of it shows in the structure.
HIDDEN = (
    "Modified",
    "modified",
    "Padding",
    "padding",
    "Key",
    "CurvePoint",
    "Message",
    "firstByte",
    "Algorithm",
    "Valid",
)


def b64(data: bytes | str) -> str:
    raw = data.encode() if isinstance(data, str) else data
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def compact(header: dict[str, object], key: int = 40, iv: int = 12, text: int = 20, tag: int = 16) -> bytes:
    return ".".join([b64(json.dumps(header)), *(b64(b"\xab" * size) for size in (key, iv, text, tag))]).encode()


GCM: dict[str, object] = {"alg": "A256KW", "enc": "A256GCM", "kid": "customer-1"}


def parsed(data: bytes) -> Parsed:
    found = jose.parse(data)
    assert isinstance(found, Parsed), found
    return found


@pytest.mark.skipif(not WYCHEPROOF.exists(), reason="no shared data: set KEYCHECK_DATA")
def test_wycheproof() -> None:
    """Every valid message is walked; of the invalid ones all whose structure is wrong are refused."""
    taken: Counter[str] = Counter()
    for group in json.loads(WYCHEPROOF.read_text())["testGroups"]:
        for test in group["tests"]:
            text = test["jwe"] if isinstance(test["jwe"], str) else json.dumps(test["jwe"])
            found = jose.parse(text.encode())
            taken[f"{test['result']} {isinstance(found, Parsed)}"] += 1
            if test["result"] == "valid":
                assert isinstance(found, Parsed), test["comment"]
                strong = found.cipher.bits == 256
                assert all(key.length in (None, key.expected) for key in found.wrapped) or not strong
            elif isinstance(found, Parsed):
                assert any(word in test["comment"] for word in HIDDEN), test["comment"]
                assert not any(word in test["comment"] for word in ("Missing", "Truncated", "TooLong"))
    assert taken["valid True"] == sum(count for name, count in taken.items() if name.startswith("valid"))
    assert taken["invalid False"] >= 30


def test_the_length_of_the_content_key_shows_under_key_wrap() -> None:
    found = parsed(compact(GCM))
    key = found.wrapped[0]
    assert (key.provider, key.key, key.length, key.expected) == ("aes-kw", "customer-1", 32, 32)
    assert (found.cipher.name, found.plain_length, found.unit) == ("AES-256-GCM", 20, b"\xab" * 12)
    # A header of AES-256 over a key of 16 bytes: told, not hidden.
    assert parsed(compact(GCM, key=24)).wrapped[0].length == 16
    cbc = parsed(compact({**GCM, "enc": "A256CBC-HS512"}, key=72, iv=16, text=32, tag=32))
    assert (cbc.wrapped[0].length, cbc.wrapped[0].expected, cbc.plain_length) == (64, 64, None)


def test_key_management_that_weakens_is_told() -> None:
    assert parsed(compact({"alg": "dir", "enc": "A256GCM", "kid": "k"}, key=0)).remarks == ("no-envelope",)
    assert parsed(compact({"alg": "dir", "enc": "A256GCM", "kid": "k"}, key=0)).static_key == "k"
    assert parsed(compact({"alg": "RSA-OAEP", "enc": "A256GCM"}, key=256)).remarks == ("sha1",)
    assert parsed(compact({"alg": "RSA-OAEP-256", "enc": "A256GCM"}, key=256)).remarks == ()
    assert parsed(compact({"alg": "PBES2-HS256+A128KW", "enc": "A256GCM"})).remarks == ("password-based",)
    zipped = parsed(compact({**GCM, "zip": "DEF"}))
    assert (zipped.remarks, zipped.plain_length) == (("compressed",), None)
    epk = {"kty": "EC", "crv": "P-256", "x": b64(b"x" * 32), "y": b64(b"y" * 32)}
    agreed = parsed(compact({"alg": "ECDH-ES", "enc": "A256GCM", "epk": epk}, key=0))
    assert [(key.provider, key.length) for key in agreed.wrapped] == [("ecdh-es", None)]


@pytest.mark.parametrize(
    "broken",
    [
        compact(GCM, tag=15),
        compact(GCM, tag=17),
        compact(GCM, iv=16),
        compact(GCM, key=0),
        compact(GCM, key=39),
        compact({**GCM, "enc": "A256CBC-HS512"}, key=72, iv=16, text=31, tag=32),
        compact({"alg": "dir", "enc": "A256GCM"}),
        compact({"alg": "none", "enc": "A256GCM"}),
        compact({**GCM, "enc": "A512GCM"}),
        compact({**GCM, "crit": ["x"]}),
        compact({**GCM, "zip": "BR"}),
        compact(GCM) + b".",
        compact(GCM) + b"=",
        compact(GCM).replace(b".", b"", 1),
    ],
)
def test_what_its_structure_betrays_is_refused(broken: bytes) -> None:
    assert not isinstance(jose.parse(broken), Parsed)


def test_only_one_spelling_is_taken() -> None:
    data = compact(GCM, tag=16)
    alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    last = alphabet.index(data[-1:])
    for other in range(last + 1, (last | 15) + 1):  # 16 bytes leave four bits over
        assert isinstance(jose.parse(data[:-1] + alphabet[other : other + 1]), Refused)
    assert isinstance(jose.parse(data.replace(b".", b".\n", 1)), Refused)


def test_json_forms_and_a_second_recipient() -> None:
    shared: dict[str, object] = {
        "protected": b64('{"enc":"A256GCM"}'),
        "iv": b64(bytes(12)),
        "ciphertext": b64(bytes(20)),
        "tag": b64(bytes(16)),
        "aad": b64('{"row":"17"}'),
    }
    one = {"header": {"alg": "A256KW", "kid": "customer-1"}, "encrypted_key": b64(bytes(40))}
    two = {"header": {"alg": "A256KW", "kid": "escrow"}, "encrypted_key": b64(bytes(40))}
    flat = json.dumps({**shared, **one}).encode()
    general = json.dumps({**shared, "recipients": [one, two]}).encode()
    assert parsed(flat).variant == "flattened"
    assert parsed(flat).context == (("row", "17"),)
    assert (parsed(flat).payload, parsed(flat).body) == ((0, 0), bytes(20))
    assert [key.key for key in parsed(general).wrapped] == ["customer-1", "escrow"]
    twice = {**one, "header": {"alg": "A256KW", "enc": "A256GCM"}}
    other = {"header": {"alg": "dir"}}
    for wrong in ({**shared, **twice}, {**shared, **one, "recipients": [two]}, {**shared, "recipients": [one, other]}):
        assert isinstance(jose.parse(json.dumps(wrong).encode()), Refused)
    assert not isinstance(jose.parse(flat.replace(b'"iv"', b'"tag"', 1)), Parsed)
    assert not isinstance(jose.parse(flat[:-1]), Parsed)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_whatever_the_bytes_nothing_is_raised(data: st.DataObject) -> None:
    text = bytearray(
        data.draw(st.sampled_from([compact(GCM), compact({"alg": "ECDH-ES", "enc": "A256GCM", "epk": 1}, key=0)]))
    )
    for _ in range(data.draw(st.integers(0, 4))):
        text[data.draw(st.integers(0, len(text) - 1))] = data.draw(st.integers(0, 255))
    found = jose.parse(bytes(text))
    assert found is None or isinstance(found, (Parsed, Refused))
    odd = data.draw(
        st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=9), st.lists, max_leaves=5)
    )
    name = data.draw(st.sampled_from(["alg", "enc", "kid", "epk", "zip", "iv", "tag"]))
    found = jose.parse(compact({**GCM, name: odd}))
    assert found is None or isinstance(found, (Parsed, Refused))
    member = data.draw(st.sampled_from(["header", "recipients", "encrypted_key", "unprotected", "iv", "tag", "aad"]))
    found = jose.parse(json.dumps({"protected": b64(json.dumps(GCM)), "ciphertext": "", member: odd}).encode())
    assert found is None or isinstance(found, (Parsed, Refused))
