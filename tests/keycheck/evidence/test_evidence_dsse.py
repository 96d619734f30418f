"""Envelopes: the specification's vector, strictness, and who counts as a signer."""

from __future__ import annotations

import json
from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keycheck.canonical import dumps
from keycheck.errors import IntegrityError
from keycheck.evidence import dsse
from keycheck.evidence.keys import KeyKind, SigningKey
from keycheck.evidence.statement import Subject, statement

TYPE = "http://example.com/HelloWorld"
PAYLOAD = b"hello world"


def test_vector_of_the_specification() -> None:
    assert dsse.pae(TYPE, PAYLOAD) == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"


def test_lengths_count_bytes_not_characters() -> None:
    assert dsse.pae("é", "ü".encode()) == "DSSEv1 2 é 2 ü".encode()


@given(st.binary(max_size=50), st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20))
def test_round_trip(payload: bytes, payload_type: str) -> None:
    keys = [SigningKey.generate(kind) for kind in KeyKind]
    data = dsse.sign(payload, payload_type, keys)
    assert dsse.parse(data).to_bytes() == data
    verified = dsse.verify(data, [key.public for key in keys], payload_type=payload_type, threshold=2)
    assert verified == dsse.VerifiedEnvelope(payload, payload_type, tuple(sorted(key.key_id for key in keys)))


def test_every_changed_byte_is_refused(ed25519: SigningKey, p256: SigningKey) -> None:
    data = dsse.sign(PAYLOAD, TYPE, [ed25519, p256])
    trusted = [ed25519.public, p256.public]
    for spot in range(len(data)):
        for bit in range(8):
            changed = bytearray(data)
            changed[spot] ^= 1 << bit
            with pytest.raises(IntegrityError):
                dsse.verify(bytes(changed), trusted, payload_type=TYPE)


def test_only_trusted_and_distinct_keys_count(ed25519: SigningKey, p256: SigningKey) -> None:
    data = dsse.sign(PAYLOAD, TYPE, [ed25519, p256])
    with pytest.raises(IntegrityError, match="0 trusted"):
        dsse.verify(data, [], payload_type=TYPE, allow_unknown=True)
    with pytest.raises(IntegrityError, match="0 trusted"):
        dsse.verify(data, [SigningKey.generate().public], payload_type=TYPE, allow_unknown=True)
    with pytest.raises(IntegrityError, match="were not given"):
        dsse.verify(data, [ed25519.public], payload_type=TYPE)
    with pytest.raises(IntegrityError, match="1 trusted keys of 2"):
        dsse.verify(data, [ed25519.public] * 2, payload_type=TYPE, threshold=2, allow_unknown=True)
    listed = dsse.verify(data, [ed25519.public], payload_type=TYPE, allow_unknown=True)
    assert (listed.keys, listed.unknown) == ((ed25519.key_id,), (p256.key_id,))
    with pytest.raises(ValueError, match="threshold"):
        dsse.verify(data, [ed25519.public], payload_type=TYPE, threshold=0)
    with pytest.raises(ValueError, match="distinct"):
        dsse.sign(PAYLOAD, TYPE, [ed25519, ed25519])
    with pytest.raises(ValueError, match="distinct"):
        dsse.sign(PAYLOAD, TYPE, [])


def test_a_bad_signature_of_a_trusted_key_is_never_outvoted(ed25519: SigningKey, p256: SigningKey) -> None:
    message = dsse.pae(TYPE, PAYLOAD)
    signatures = (
        dsse.Signature(ed25519.key_id, ed25519.sign(message)),
        dsse.Signature(p256.key_id, p256.sign(b"other")),
    )
    with pytest.raises(IntegrityError, match="does not verify"):
        dsse.verify(
            dsse.Envelope(PAYLOAD, TYPE, signatures).to_bytes(),
            [ed25519.public, p256.public],
            payload_type=TYPE,
        )


def test_the_type_is_signed_and_expected(ed25519: SigningKey) -> None:
    data = dsse.sign(PAYLOAD, TYPE, [ed25519])
    with pytest.raises(IntegrityError, match="not 'other'"):
        dsse.verify(data, [ed25519.public], payload_type="other")
    retyped = data.replace(TYPE.encode(), b"other")
    with pytest.raises(IntegrityError, match="does not verify"):
        dsse.verify(retyped, [ed25519.public], payload_type="other")


def test_second_spellings_and_strangers_are_refused(ed25519: SigningKey, p256: SigningKey) -> None:
    data = dsse.sign(PAYLOAD, TYPE, [ed25519, p256])
    good = json.loads(data)
    first, second = good["signatures"]
    sig = next(s for s in good["signatures"] if s["keyid"] == ed25519.key_id)["sig"]
    spelt = sig[:-3] + chr(ord(sig[-3]) + 1) + "=="  # four bits of the last character are not data
    others = [
        good | {"extra": 1},
        {key: good[key] for key in ("payload", "payloadType")},
        good | {"signatures": []},
        good | {"signatures": {}},
        good | {"signatures": [second, first]},
        good | {"signatures": [first, first]},
        good | {"signatures": [first | {"note": ""}, second]},
        good | {"signatures": [first | {"keyid": first["keyid"].upper()}, second]},
        good | {"signatures": [first | {"keyid": 1}, second]},
        good | {"signatures": [{"keyid": f"{i:064x}", "sig": ""} for i in range(65)]},
        good | {"payload": good["payload"].rstrip("=")},
        good | {"payload": good["payload"] + "\n"},
        good | {"payload": 5},
        good | {"payload": "é"},
        good | {"payloadType": ""},
        good | {"payloadType": None},
        [good],
    ]
    for other in others:
        with pytest.raises(IntegrityError):
            dsse.parse(dumps(other))
    with pytest.raises(IntegrityError, match="second spelling of its base64"):
        dsse.parse(data.replace(sig.encode(), spelt.encode()))
    for spelling in (json.dumps(good).encode(), data + b"\n", data.replace(b"{", b"{ ", 1), b"", b"null"):
        with pytest.raises(IntegrityError):
            dsse.parse(spelling)


@given(st.binary(max_size=80))
def test_any_bytes_are_refused_cleanly(data: bytes) -> None:
    for candidate in (data, b'{"payload":"' + b64encode(data) + b'","payloadType":"t","signatures":[]}'):
        with pytest.raises(IntegrityError):
            dsse.parse(candidate)


def test_statement() -> None:
    data = statement([Subject("manifest.json", "00")], "https://example.com/p", {"a": 1})
    assert json.loads(data) == {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "manifest.json", "digest": {"sha256": "00"}}],
        "predicateType": "https://example.com/p",
        "predicate": {"a": 1},
    }
    for subjects in ([], [Subject("a", "00"), Subject("a", "01")]):
        with pytest.raises(ValueError, match="subjects"):
            statement(subjects, "t", {})
