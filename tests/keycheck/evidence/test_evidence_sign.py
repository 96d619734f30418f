"""Detached signatures of waivers and authorizations."""

from __future__ import annotations

from pathlib import Path

import pytest

from keycheck.errors import IntegrityError, KeycheckError
from keycheck.evidence.keys import SigningKey
from keycheck.evidence.sign import WAIVER_TYPE, sign_file, signature_path, verify_file


@pytest.fixture
def waiver(tmp_path: Path) -> Path:
    path = tmp_path / "waiver.yaml"
    path.write_bytes(b"waiver: W-1\n")
    return path


def test_signers_add_themselves(waiver: Path, ed25519: SigningKey, p256: SigningKey) -> None:
    data = waiver.read_bytes()
    assert sign_file(waiver, ed25519, WAIVER_TYPE) == signature_path(waiver)
    alone = signature_path(waiver).read_bytes()
    sign_file(waiver, ed25519, WAIVER_TYPE)
    assert signature_path(waiver).read_bytes() == alone
    sign_file(waiver, p256, WAIVER_TYPE)
    both = verify_file(waiver, data, [p256.public, ed25519.public], payload_type=WAIVER_TYPE, threshold=2)
    assert both.keys == tuple(sorted((ed25519.key_id, p256.key_id)))
    one = verify_file(waiver, data, [p256.public], payload_type=WAIVER_TYPE)
    assert (one.payload, one.keys, one.unknown) == (data, (p256.key_id,), (ed25519.key_id,))
    assert sorted(path.name for path in waiver.parent.iterdir()) == ["waiver.yaml", "waiver.yaml.dsse.json"]


def test_a_change_after_signing_is_seen(waiver: Path, ed25519: SigningKey, p256: SigningKey) -> None:
    sign_file(waiver, ed25519, WAIVER_TYPE)
    with pytest.raises(IntegrityError, match="not what was signed"):
        verify_file(waiver, b"waiver: W-2\n", [ed25519.public], payload_type=WAIVER_TYPE)
    waiver.write_bytes(b"waiver: W-2\n")
    with pytest.raises(KeycheckError, match="signs other bytes"):
        sign_file(waiver, p256, WAIVER_TYPE)


def test_what_does_not_count(waiver: Path, ed25519: SigningKey, p256: SigningKey) -> None:
    data = waiver.read_bytes()
    with pytest.raises(IntegrityError, match="is not signed"):
        verify_file(waiver, data, [ed25519.public], payload_type=WAIVER_TYPE)
    sign_file(waiver, ed25519, WAIVER_TYPE)
    with pytest.raises(IntegrityError, match="0 trusted"):
        verify_file(waiver, data, [p256.public], payload_type=WAIVER_TYPE)
    with pytest.raises(IntegrityError, match=r"not .application/other"):
        verify_file(waiver, data, [ed25519.public], payload_type="application/other")
    with pytest.raises(KeycheckError, match="cannot read"):
        sign_file(waiver.parent / "none", ed25519, WAIVER_TYPE)
    with pytest.raises(KeycheckError, match="cannot read"):
        sign_file(waiver.parent, ed25519, WAIVER_TYPE)
    signature_path(waiver).write_bytes(b"{}")
    with pytest.raises(IntegrityError):
        sign_file(waiver, ed25519, WAIVER_TYPE)
