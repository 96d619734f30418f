"""Signing keys and public keys: Ed25519 (RFC 8032) and ECDSA on P-256 with SHA-256 (FIPS 186-5).

A key id is the lower-case hex SHA-256 of the DER SubjectPublicKeyInfo, for both kinds. One rule, because the
DER names its own algorithm (so ids of different kinds cannot be confused), because anyone can compute it with
``openssl pkey -pubin -outform DER | sha256sum``, and because other rules differ by kind (C2SP signed
notes hash Ed25519 and ECDSA keys differently), which invites two ids for one key. The DER is always
re-encoded from the parsed key, so that a compressed point or explicit curve parameters do not make a second id.

ECDSA signatures have a second spelling, (r, n - s), and DER has more: both are closed here, when signing and
when verifying. Keys are made by OpenSSL's random generator.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from typing import assert_never

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from keycheck.errors import IntegrityError, KeycheckError
from keycheck.evidence import files

MAX_KEY_FILE = 64 * 1024
_P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551

Passphrase = Callable[[], bytes]
"""Asked for a passphrase only when one is needed."""


class KeyKind(StrEnum):
    """The kinds of key that keycheck signs with."""

    ED25519 = "ed25519"
    P256 = "p256"


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key that signatures are checked with. Equal keys are equal objects, whatever file they came from."""

    kind: KeyKind
    der: bytes
    """SubjectPublicKeyInfo, in the one form that keycheck writes."""

    @classmethod
    def from_pem(cls, pem: bytes) -> PublicKey:
        """Parse a PEM SubjectPublicKeyInfo. Raises KeycheckError."""
        try:
            key = serialization.load_pem_public_key(pem)
        except (ValueError, UnsupportedAlgorithm) as error:
            raise KeycheckError(
                "not a PEM public key",
                advice="Pass the .pub file that `keycheck key new` wrote beside the signer's key.",
            ) from error
        return cls._of(key)

    @classmethod
    def load(cls, path: Path) -> PublicKey:
        """Read a ``.pub`` file. Raises KeycheckError."""
        try:
            pem = files.read_bounded(path, MAX_KEY_FILE)
        except OSError as error:
            raise _unreadable("public key", path, error) from error
        try:
            return cls.from_pem(pem)
        except KeycheckError as error:
            raise KeycheckError(f"{path}: {error}", advice=error.advice) from error

    @classmethod
    def _of(cls, key: object) -> PublicKey:
        if isinstance(key, Ed25519PublicKey):
            kind = KeyKind.ED25519
        elif isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
            kind = KeyKind.P256
        else:
            raise _unsupported()
        return cls(
            kind,
            key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo),
        )

    @property
    def key_id(self) -> str:
        """Lower-case hex SHA-256 of the DER SubjectPublicKeyInfo."""
        return sha256(self.der).hexdigest()

    def to_pem(self) -> bytes:
        """The content of a ``.pub`` file."""
        return serialization.load_der_public_key(self.der).public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    def verify(self, signature: bytes, message: bytes) -> None:
        """Return if ``signature`` is this key's, in its only spelling. Raises IntegrityError otherwise."""
        key = serialization.load_der_public_key(self.der)
        try:
            if isinstance(key, Ed25519PublicKey):
                key.verify(signature, message)
            elif isinstance(key, ec.EllipticCurvePublicKey):
                _require_one_spelling(signature)
                key.verify(signature, message, ec.ECDSA(hashes.SHA256()))
            else:
                raise _unsupported()
        except InvalidSignature as error:
            raise _bad_signature("it was not made by this key over these bytes") from error


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key. Its text form shows nothing, and it cannot be pickled."""

    kind: KeyKind
    _private: Ed25519PrivateKey | ec.EllipticCurvePrivateKey = field(repr=False)

    @classmethod
    def generate(cls, kind: KeyKind = KeyKind.ED25519) -> SigningKey:
        """Make a new key."""
        match kind:
            case KeyKind.ED25519:
                return cls(kind, Ed25519PrivateKey.generate())
            case KeyKind.P256:
                return cls(kind, ec.generate_private_key(ec.SECP256R1()))
            case _:
                assert_never(kind)

    @classmethod
    def load(cls, path: Path, passphrase: Passphrase | None = None) -> SigningKey:
        """Read a PKCS#8 PEM file that nobody else may read; ``passphrase`` is called only if it is encrypted.

        Raises KeycheckError.
        """
        try:
            pem = files.read_bounded(path, MAX_KEY_FILE, private=True)
        except PermissionError as error:
            raise KeycheckError(
                f"the signing key {path} may be read by other users, or not by you",
                advice=f"Run `chmod 600 {path}` as its owner; if others could read it, make a new key.",
            ) from error
        except OSError as error:
            raise _unreadable("signing key", path, error) from error
        secret = passphrase() if passphrase and b"BEGIN ENCRYPTED PRIVATE KEY" in pem else None
        try:
            key = serialization.load_pem_private_key(pem, secret)
        except TypeError as error:
            raise KeycheckError(
                f"the signing key {path} is protected by a passphrase and none was given",
                advice="Name where it is: `env:NAME` for a variable or `file:PATH` for a file.",
            ) from error
        except (ValueError, UnsupportedAlgorithm) as error:
            raise KeycheckError(
                f"the signing key {path} does not open: wrong passphrase, or not a PKCS#8 PEM file",
                advice="Check the passphrase, or make a new key with `keycheck key new`.",
            ) from error
        if isinstance(key, Ed25519PrivateKey):
            return cls(KeyKind.ED25519, key)
        if isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1):
            return cls(KeyKind.P256, key)
        raise _unsupported()

    def save(self, path: Path, passphrase: Passphrase | None = None) -> Path:
        """Write ``path`` (PKCS#8 PEM, mode 0600) and ``path.pub`` beside it, whose path is returned.

        Neither file ever replaces another. Raises KeycheckError.
        """
        secret = passphrase() if passphrase else b""
        if passphrase and not secret:
            raise KeycheckError("the passphrase is empty", advice="Give a long one, or none at all.")
        pem = self._private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(secret) if secret else serialization.NoEncryption(),
        )
        public = public_path(path)
        try:
            if os.path.lexists(public):
                raise FileExistsError(0, "exists already", str(public))
            files.create(path, pem, mode=0o600)
            files.create(public, self.public.to_pem(), mode=0o644)
        except FileExistsError as error:
            raise KeycheckError(
                f"{error.filename2 or error.filename} exists already, and a key is never overwritten",
                advice="Choose another name, or move the old key away after making sure nobody needs it.",
            ) from error
        except OSError as error:
            raise KeycheckError(
                f"cannot write the signing key {path}: {error.strerror}",
                advice="Choose a directory that exists and that you may write to.",
            ) from error
        return public

    @property
    def public(self) -> PublicKey:
        """The other half."""
        return PublicKey._of(self._private.public_key())

    @property
    def key_id(self) -> str:
        """The id of the public half."""
        return self.public.key_id

    def sign(self, message: bytes) -> bytes:
        """A signature over ``message``: 64 bytes for Ed25519, DER with the lower s for P-256."""
        if isinstance(self._private, Ed25519PrivateKey):
            return self._private.sign(message)
        r, s = decode_dss_signature(self._private.sign(message, ec.ECDSA(hashes.SHA256())))
        return encode_dss_signature(r, min(s, _P256_ORDER - s))


def public_path(path: Path) -> Path:
    """Where the public half of the key at ``path`` is kept."""
    return path.with_name(path.name + ".pub")


def passphrase_from(reference: str, environ: Mapping[str, str]) -> Passphrase:
    """What ``env:NAME`` or ``file:PATH`` stands for, read when called. Raises KeycheckError, then and now."""
    scheme, _, rest = reference.partition(":")
    if scheme not in {"env", "file"} or not rest:
        raise KeycheckError(
            "a passphrase is given by reference, never itself",
            advice="Write `env:NAME` for an environment variable or `file:PATH` for a file with mode 0600.",
        )

    def from_environment() -> bytes:
        if not (value := environ.get(rest)):
            raise KeycheckError(
                f"the environment variable {rest} for the passphrase is empty or missing",
                advice=f"Set {rest}, or name another place.",
            )
        return value.encode("utf-8", "surrogateescape")

    def from_file() -> bytes:
        try:
            data = files.read_bounded(Path(rest), 4096, private=True)
        except OSError as error:
            raise KeycheckError(
                f"cannot use the passphrase file {rest}: {error.strerror or error}",
                advice=f"It must exist, be short and be readable by you alone: `chmod 600 {rest}`.",
            ) from error
        return data.removesuffix(b"\n").removesuffix(b"\r")

    return from_environment if scheme == "env" else from_file


def _require_one_spelling(signature: bytes) -> None:
    try:
        r, s = decode_dss_signature(signature)
        encoded = encode_dss_signature(r, s)
    except ValueError as error:
        raise _bad_signature("it is not a DER pair of integers") from error
    if encoded != signature or not 0 < r < _P256_ORDER or not 0 < s <= _P256_ORDER // 2:
        raise _bad_signature("it is a second spelling of an ECDSA signature (high s, or not strict DER)")


def _bad_signature(why: str) -> IntegrityError:
    return IntegrityError(
        f"a signature does not verify: {why}",
        advice="Compare the key's fingerprint with the signer's over another channel; fetch the file again.",
    )


def _unsupported() -> KeycheckError:
    return KeycheckError(
        "a key of another kind: only Ed25519 and P-256 keys are used",
        advice="Make one with `keycheck key new`.",
    )


def _unreadable(what: str, path: Path, error: OSError) -> KeycheckError:
    return KeycheckError(
        f"cannot read the {what} {path}: {error.strerror or error}",
        advice="Check the path; `keycheck key new` makes a key and its .pub file.",
    )
