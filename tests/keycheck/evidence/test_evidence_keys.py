"""Keys on disk, their ids, and signatures with one spelling."""

from __future__ import annotations

import pickle
import subprocess
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from keycheck.errors import IntegrityError, KeycheckError
from keycheck.evidence.keys import KeyKind, PublicKey, SigningKey, passphrase_from

ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
BOTH = pytest.mark.parametrize("kind", list(KeyKind))


@BOTH
@pytest.mark.parametrize("secret", [None, b"correct horse"])
def test_saved_keys_come_back(kind: KeyKind, secret: bytes | None, tmp_path: Path) -> None:
    key = SigningKey.generate(kind)
    passphrase = None if secret is None else (lambda: secret)
    public = key.save(tmp_path / "signer", passphrase)
    assert (tmp_path / "signer").stat().st_mode & 0o777 == 0o600
    assert public == tmp_path / "signer.pub"
    assert (b"ENCRYPTED" in (tmp_path / "signer").read_bytes()) is (secret is not None)
    loaded = SigningKey.load(tmp_path / "signer", passphrase)
    assert loaded.kind is kind
    assert loaded.public == key.public == PublicKey.load(public)
    key.public.verify(loaded.sign(b"message"), b"message")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["signer", "signer.pub"]


@BOTH
def test_key_id_is_what_openssl_says(kind: KeyKind) -> None:
    key = SigningKey.generate(kind).public
    try:
        der = subprocess.run(
            ["openssl", "pkey", "-pubin", "-outform", "DER"],
            input=key.to_pem(),
            capture_output=True,
            check=True,
        ).stdout
    except (FileNotFoundError, subprocess.CalledProcessError):
        pytest.skip("no openssl program that knows this kind")
    assert key.key_id == sha256(der).hexdigest()


def test_a_compressed_point_makes_no_second_id() -> None:
    private = ec.generate_private_key(ec.SECP256R1())
    point = private.public_key().public_bytes(serialization.Encoding.X962, serialization.PublicFormat.CompressedPoint)
    body = bytes.fromhex("3039301306072a8648ce3d020106082a8648ce3d030107032200") + point
    from base64 import encodebytes

    pem = b"-----BEGIN PUBLIC KEY-----\n" + encodebytes(body) + b"-----END PUBLIC KEY-----\n"
    plain = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    assert PublicKey.from_pem(pem) == PublicKey.from_pem(plain)


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    key = SigningKey.generate()
    key.save(tmp_path / "a")
    before = (tmp_path / "a").read_bytes()
    with pytest.raises(KeycheckError, match="never overwritten"):
        SigningKey.generate().save(tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == before
    (tmp_path / "b.pub").write_text("taken")
    with pytest.raises(KeycheckError, match=r"b\.pub exists"):
        key.save(tmp_path / "b")
    assert not (tmp_path / "b").exists()
    (tmp_path / "c").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(KeycheckError, match="never overwritten"):
        key.save(tmp_path / "c")
    assert not (tmp_path / "elsewhere").exists()
    with pytest.raises(KeycheckError, match="cannot write"):
        key.save(tmp_path / "missing" / "d")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_key_that_others_can_read_is_not_used(mode: int, tmp_path: Path) -> None:
    SigningKey.generate().save(tmp_path / "a")
    (tmp_path / "a").chmod(mode)
    with pytest.raises(KeycheckError, match="other users") as caught:
        SigningKey.load(tmp_path / "a")
    assert "chmod 600" in caught.value.advice


def test_what_cannot_be_loaded_says_why(tmp_path: Path) -> None:
    SigningKey.generate().save(tmp_path / "a", lambda: b"secret")
    with pytest.raises(KeycheckError, match="none was given"):
        SigningKey.load(tmp_path / "a")
    with pytest.raises(KeycheckError, match="wrong passphrase") as caught:
        SigningKey.load(tmp_path / "a", lambda: b"other")
    assert "other" not in str(caught.value)
    with pytest.raises(KeycheckError, match="cannot read"):
        SigningKey.load(tmp_path / "none")
    with pytest.raises(KeycheckError, match="cannot read"):
        SigningKey.load(tmp_path)
    with pytest.raises(KeycheckError, match="empty"):
        SigningKey.generate().save(tmp_path / "b", lambda: b"")
    with pytest.raises(KeycheckError, match="not a PEM"):
        PublicKey.load(tmp_path / "a")
    pem = rsa.generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (tmp_path / "rsa").touch(0o600)
    (tmp_path / "rsa").write_bytes(pem)
    with pytest.raises(KeycheckError, match="another kind"):
        SigningKey.load(tmp_path / "rsa")


def test_a_plain_key_never_asks_for_a_passphrase(tmp_path: Path) -> None:
    SigningKey.generate().save(tmp_path / "a")

    def ask() -> bytes:
        raise AssertionError("asked")

    SigningKey.load(tmp_path / "a", ask)


def test_a_private_key_does_not_leak() -> None:
    key = SigningKey.generate()
    assert "rivate" not in repr(key)
    with pytest.raises(TypeError):
        pickle.dumps(key)


def test_passphrase_references(tmp_path: Path) -> None:
    file = tmp_path / "p"
    file.touch(0o600)
    file.write_text("from a file\n")
    assert passphrase_from("env:P", {"P": "from env"})() == b"from env"
    assert passphrase_from(f"file:{file}", {})() == b"from a file"
    file.chmod(0o644)
    for reference in ("env:NONE", f"file:{file}", f"file:{tmp_path}/none"):
        with pytest.raises(KeycheckError):
            passphrase_from(reference, {})()
    for reference in ("hunter2", "env:", "https://x"):
        with pytest.raises(KeycheckError) as caught:
            passphrase_from(reference, {})
        assert reference not in str(caught.value)


@BOTH
def test_every_changed_bit_of_a_signature_is_refused(kind: KeyKind) -> None:
    key = SigningKey.generate(kind)
    signature = key.sign(b"message")
    key.public.verify(signature, b"message")
    for spot in range(len(signature) * 8):
        changed = bytearray(signature)
        changed[spot // 8] ^= 1 << spot % 8
        with pytest.raises(IntegrityError):
            key.public.verify(bytes(changed), b"message")
    for other in (b"", signature[:-1], signature + b"\x00"):
        with pytest.raises(IntegrityError):
            key.public.verify(other, b"message")
    with pytest.raises(IntegrityError):
        key.public.verify(signature, b"massage")
    with pytest.raises(IntegrityError):
        SigningKey.generate(kind).public.verify(signature, b"message")


def test_p256_signs_low_and_refuses_high() -> None:
    key = SigningKey.generate(KeyKind.P256)
    for number in range(40):  # half of all raw signatures have the higher s
        message = b"%d" % number
        r, s = decode_dss_signature(key.sign(message))
        assert s <= ORDER // 2
        with pytest.raises(IntegrityError, match="second spelling"):
            key.public.verify(encode_dss_signature(r, ORDER - s), message)


def test_p256_refuses_loose_der() -> None:
    key = SigningKey.generate(KeyKind.P256)
    signature = key.sign(b"m")
    r, s = decode_dss_signature(signature)
    padded = b"\x02" + bytes([33 + 1]) + b"\x00\x00" + r.to_bytes(32, "big")
    rest = encode_dss_signature(1, s)[5:]
    loose = b"\x30" + bytes([len(padded) + len(rest)]) + padded + rest
    long_form = b"\x30\x81" + signature[1:]
    for spelling in (loose, long_form, signature + b"\x05\x00"):
        with pytest.raises(IntegrityError):
            key.public.verify(spelling, b"m")
