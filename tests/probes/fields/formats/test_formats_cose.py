"""COSE messages made by hand, and the CBOR under them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probes.fields.formats import cbor, cose
from probes.fields.formats.seam import Parsed, Refused

A256GCM, A128GCM = b"\xa1\1\3", b"\xa1\1\1"
IV = b"\xa1\5\x4c" + b"\xab" * 12


def string(data: bytes) -> bytes:
    return (bytes([0x40 + len(data)]) if len(data) < 24 else b"\x58" + bytes([len(data)])) + data


def encrypt0(protected: bytes = A256GCM, unprotected: bytes = IV, text: int = 36) -> bytes:
    return b"\xd0\x83" + string(protected) + unprotected + string(b"\xcd" * text)


def encrypt(*recipients: bytes, protected: bytes = A256GCM) -> bytes:
    return (
        b"\xd8\x60\x84"
        + string(protected)
        + IV
        + string(b"\xcd" * 36)
        + bytes([0x80 + len(recipients)])
        + b"".join(recipients)
    )


def recipient(algorithm: bytes = b"\x24", name: bytes = b"customer", key: int = 40) -> bytes:
    return b"\x83" + string(b"\xa1\1" + algorithm) + b"\xa1\4" + string(name) + string(b"\xef" * key)


def parsed(data: bytes) -> Parsed:
    found = cose.parse(data)
    assert isinstance(found, Parsed), found
    return found


def test_encrypt0() -> None:
    found = parsed(encrypt0())
    assert (found.variant, found.cipher.name, found.plain_length, found.remarks) == (
        "encrypt0",
        "AES-256-GCM",
        20,
        ("no-envelope",),
    )
    assert found.unit == b"\xab" * 12
    assert encrypt0()[slice(*found.payload)] == b"\xcd" * 20
    assert parsed(encrypt0(A128GCM)).cipher.bits == 128
    assert parsed(encrypt0()[1:]).bits < found.bits


def test_wrapped_keys_and_escrow() -> None:
    found = parsed(encrypt(recipient(), recipient(name=b"\xff\xfe")))
    assert [(key.provider, key.key, key.length) for key in found.wrapped] == [
        ("aes-kw", "customer", 32),
        ("aes-kw", "fffe", 32),
    ]
    assert parsed(encrypt(recipient(key=24))).wrapped[0].length == 16
    assert parsed(encrypt(recipient(b"\x38\x27", key=128))).remarks == ("sha1",)
    direct = parsed(encrypt(recipient(b"\x25", key=0)))
    assert (direct.static_key, direct.remarks, direct.wrapped) == ("customer", ("no-envelope",), ())


@pytest.mark.parametrize(
    "broken",
    [
        encrypt0()[:-1],
        encrypt0() + b"\0",
        encrypt0(text=15),
        encrypt0(unprotected=b"\xa1\5\x4b" + bytes(11)),
        encrypt0(unprotected=b"\xa0"),
        encrypt0(unprotected=b"\xa2\1\3\5\x4c" + bytes(12)),
        encrypt0(protected=b"\xa2\1\3\2\x81\1"),
        b"\xd0\x83" + string(A256GCM) + IV + b"\xf6",
        encrypt(),
        encrypt(recipient(key=39)),
        encrypt(recipient(), recipient(b"\x25", key=0)),
        encrypt(recipient(b"\x18\x63")),
    ],
)
def test_what_its_structure_betrays_is_refused(broken: bytes) -> None:
    assert isinstance(cose.parse(broken), Refused)


def test_derived_keys_are_told_apart_by_their_salt() -> None:
    def derived(salt: bytes) -> bytes:
        return b"\x83" + string(b"\xa1\1\x29") + b"\xa2\4\x41k\x33" + string(salt) + b"\x40"

    one, two = (parsed(encrypt(derived(salt))).wrapped[0] for salt in (b"one", b"two"))
    assert (one.provider, one.key, one.length) == ("derived", "k", None)
    assert one.blob != two.blob


def test_indefinite_lengths_say_the_same() -> None:
    text = b"\xcd" * 36
    split = (
        b"\xd0\x9f"
        + string(A256GCM)
        + b"\xbf\5\x4c"
        + b"\xab" * 12
        + b"\xff\x5f"
        + string(text[:5])
        + string(text[5:])
        + b"\xff\xff"
    )
    found, plain = parsed(split), parsed(encrypt0())
    assert (found.payload, found.body) == ((0, 0), text[:20])
    assert (found.unit, found.plain_length, found.cipher) == (plain.unit, plain.plain_length, plain.cipher)


def test_other_cbor_is_not_taken() -> None:
    for other in (b"\x83\1\2\3", b"\xd2\x84\x43\xa1\1\x26\xa0\x41x\x41y", b"\xd0\x83\x40\xa0\x41x", b"", b"\xd0"):
        assert cose.parse(other) is None


def test_cbor_is_bounded() -> None:
    assert cbor.decode(b"\x83\x01\x20\x61a") == (1, -1, "a")
    for hostile in (
        b"\x81" * 100 + b"\0",
        b"\x9b" + b"\xff" * 8,
        b"\x5b" + b"\xff" * 8,
        b"\xd8\x60" * 50,
        b"\x9f" + b"\0" * 9999,
        b"\xbf\1",
    ):
        with pytest.raises(cbor.CborError):
            cbor.decode(hostile)
    for wrong in (b"\xa2\1\1\1\2", b"\x62\xff\xff", b"\xff", b"\x1f", b"\xf8\x10", b"\0\0", b"\x5f\x61a\xff", b"\x1c"):
        with pytest.raises(cbor.CborError):
            cbor.decode(wrong)


@settings(max_examples=400, deadline=None)
@given(
    st.sampled_from([b"", b"\xd0\x83", encrypt0()[:20], encrypt(recipient())[:60], b"\x83\x43\xa1\1\3"]),
    st.binary(max_size=120),
)
def test_whatever_the_bytes_nothing_is_raised(head: bytes, rest: bytes) -> None:
    found = cose.parse(head + rest)
    assert found is None or isinstance(found, (Parsed, Refused))


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_damaged_messages(data: st.DataObject) -> None:
    damaged = bytearray(encrypt(recipient(), recipient(b"\x38\x18", key=0)))
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    found = cose.parse(bytes(damaged))
    assert found is None or isinstance(found, (Parsed, Refused))
