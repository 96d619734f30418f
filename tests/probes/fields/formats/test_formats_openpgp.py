"""OpenPGP messages as GnuPG and pgcrypto write them."""

from __future__ import annotations

import os

import pytest

from probes.fields.formats.openpgp import FORMAT
from probes.fields.formats.seam import Parsed, Refused

# `hello` by GnuPG 2.2, symmetric with AES-256 and AES-128.
AES256 = bytes.fromhex(
    "8c0d04090302719cf3e842c8933affd23a019dea634718eaad23376d7035f7c88d833ab2f1355a13e9e53d2ba5273610a85dcced0f1740aca015"
    "bc6d500e2546894bc01afac47b351d66c6"
)
AES128 = bytes.fromhex(
    "8c0d0407030292bdb1db1fbdd7fbffd23a01c0c107d5d98e134325034082b19eeb1c755a87ee0e748e7cd80e0332f43771718336c39c05118ee9"
    "05a4ece82c27d649fcf22d1ec18065899c"
)
# `anna@example.org` by pgcrypto of PostgreSQL 15: its default, `sess-key=1` with AES-256, `disable-mdc=1`.
DEFAULT = bytes.fromhex(
    "c30d040703020943c9c4f744ca8964d241019d25751b371fecaabffe045ded291d19d1f1d730dfa33d53431d2bea5a09d42bd4f3fb4fc548"
    "28e89afc846ec173090550f598b84f6a60afefdebaa24f116c76"
)
SESSION = bytes.fromhex(
    "c32e04090302c196d1d88137dbd5793214e7aea0638cc649b24d601d7a5328f88bbb45d7f2505d6cfaa4f156c1053c77d241018c059fb834"
    "61fdf217ca5a8a9d7556a5b3e331a10022a0fd6e70a51342d1e1315cd0466a44fbe8a52051527747f1f73ed2ee43c341fa597b052265b56c"
    "42ffbd"
)
NO_MDC = bytes.fromhex(
    "c30d040703021df8bcb6407e9aa66fc92a7148dd5cd0964e507390726087318b26786a0dee8cabde79e379a1d9badbb161b937c3e2a6d04b"
    "4606de"
)
ARMORED = b"""-----BEGIN PGP MESSAGE-----

jA0ECQMCECTQB9fVLJz/0joB5EB5oqod0scmZXhGhgV9bNWWbgNUBlUTX8D5wnIS
Kvy5AAAx0BNYmQTN6/amTURD6sNG/ilspwnR
=MTaY
-----END PGP MESSAGE-----
"""


def pgcrypto(cipher: int, body: int = 60, data: int = 0xD2) -> bytes:
    """As pgp_sym_encrypt writes it: new packets, iterated and salted SHA-1."""
    inside = (b"\x01" if data == 0xD2 else b"") + os.urandom(body)
    return b"\xc3\x0d\x04" + bytes([cipher, 3, 2]) + os.urandom(8) + b"\x60" + bytes([data, len(inside)]) + inside


@pytest.mark.parametrize(
    ("value", "name", "bits"),
    [
        (AES256, "AES-256-CFB", 256),
        (AES128, "AES-128-CFB", 128),
        (DEFAULT, "AES-128-CFB", 128),
        (ARMORED, "AES-256-CFB", 256),
        (pgcrypto(7), "AES-128-CFB", 128),
        (pgcrypto(9), "AES-256-CFB", 256),
    ],
)
def test_a_password_shows_the_cipher(value: bytes, name: str, bits: int) -> None:
    found = FORMAT.parse(value)
    assert isinstance(found, Parsed)
    assert (found.variant, found.cipher.name, found.cipher.bits, found.wrapped) == ("seipd-v1", name, bits, ())
    assert {"password-based", "no-envelope", "sha1"} <= set(found.remarks)


def test_pgcrypto_with_a_session_key_of_its_own_and_without_its_guard() -> None:
    session, bare = FORMAT.parse(SESSION), FORMAT.parse(NO_MDC)
    assert isinstance(session, Parsed)
    assert isinstance(bare, Parsed)
    assert (session.cipher.bits, [one.length for one in session.wrapped]) == (None, [32])
    assert (bare.variant, bare.cipher.bits, bare.cipher.authenticated) == ("sed", 128, False)


def public(body: bytes) -> bytes:
    """A session key for RSA-2048, and guarded data."""
    key = b"\x03" + bytes.fromhex("07d17622ea89caa7") + b"\x01" + (2048).to_bytes(2, "big") + os.urandom(256)
    return b"\x85" + len(key).to_bytes(2, "big") + key + body


def test_a_public_key_hides_the_cipher() -> None:
    data = os.urandom(50)
    found = FORMAT.parse(public(b"\xd2\x33\x01" + data))
    assert isinstance(found, Parsed)
    assert (found.cipher.bits, found.unit) == (None, data[:16])
    assert [(one.provider, one.key) for one in found.wrapped] == [("openpgp", "07d17622ea89caa7")]


def test_the_second_version_of_the_data_names_its_cipher_and_mode() -> None:
    salt = os.urandom(32)
    found = FORMAT.parse(public(b"\xd2\x54\x02\x09\x02\x06" + salt + os.urandom(48)))
    assert isinstance(found, Parsed)
    assert (found.cipher.name, found.cipher.bits, found.unit) == ("AES-256-OCB", 256, salt)


def test_partial_lengths_are_walked() -> None:
    parts = b"\xd2\xe9" + b"\x01" + os.urandom(511) + b"\x14" + os.urandom(20)
    assert isinstance(FORMAT.parse(public(parts)), Parsed)
    assert not isinstance(FORMAT.parse(public(parts[:-1])), Parsed)


def test_data_without_a_guard_is_unauthenticated() -> None:
    found = FORMAT.parse(pgcrypto(7, data=0xC9))
    assert isinstance(found, Parsed)
    assert (found.variant, found.cipher.authenticated) == ("sed", False)


@pytest.mark.parametrize(
    "value",
    [AES256, AES128, pgcrypto(9), public(b"\xd2\x33\x01" + os.urandom(50))],
    ids=["aes-256", "aes-128", "pgcrypto", "public"],
)
def test_no_truncation_passes_and_nothing_may_follow(value: bytes) -> None:
    for end in range(len(value)):
        assert not isinstance(FORMAT.parse(value[:end]), Parsed)
    assert isinstance(FORMAT.parse(value + b"\x00"), Refused)


def test_free_text_in_the_armor_and_a_wrong_checksum_are_refused() -> None:
    assert isinstance(
        FORMAT.parse(ARMORED.replace(b"MESSAGE-----\n\njA0", b"MESSAGE-----\nComment: Anna\n\njA0")), Refused
    )
    assert isinstance(FORMAT.parse(ARMORED.replace(b"=MTaY", b"=MTaZ")), Refused)
    assert isinstance(
        FORMAT.parse(ARMORED.replace(b"MESSAGE-----\n\njA0", b"MESSAGE-----\nVersion: GnuPG v2\n\njA0")), Parsed
    )


def test_readable_data_is_refused() -> None:
    plain = b"Anna Schmidt, Hauptstrasse 12, 10115 Berlin, Germany"
    value = pgcrypto(9)[:15] + bytes([0xD2, len(plain) + 1, 1]) + plain
    assert isinstance(FORMAT.parse(value), Refused)
    assert FORMAT.parse(b"x" + AES256) is None
