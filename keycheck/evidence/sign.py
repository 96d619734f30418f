"""Detached signatures: ``FILE.dsse.json`` beside ``FILE``, for waivers and authorizations.

The envelope carries the file's bytes, so that it stands alone, and several signers may add themselves one
after the other. Verifying compares the caller's bytes with the signed ones, so that what is used is what was
signed.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from keycheck.errors import IntegrityError, KeycheckError
from keycheck.evidence import dsse, files
from keycheck.evidence.keys import PublicKey, SigningKey

WAIVER_TYPE = "application/vnd.keycheck.waiver+yaml"
AUTHORIZATION_TYPE = "application/vnd.keycheck.authorization+yaml"
MAX_FILE = 16 * 1024 * 1024


def signature_path(path: Path) -> Path:
    """Where the signatures of ``path`` are kept."""
    return path.with_name(path.name + ".dsse.json")


def sign_file(path: Path, key: SigningKey, payload_type: str) -> Path:
    """Sign a file, or add a signature to those it has. Returns the path of the envelope.

    Signatures that are there already must be over the same bytes and type, but are not checked here: that
    takes their keys. Signing twice with one key changes nothing. Raises KeycheckError.
    """
    data = _read(path, MAX_FILE, "the file to sign")
    target = signature_path(path)
    fresh = dsse.Signature(key.key_id, key.sign(dsse.pae(payload_type, data)))
    signatures: tuple[dsse.Signature, ...] = ()
    if target.exists():
        envelope = dsse.parse(_read(target, dsse.MAX_ENVELOPE, "the signatures so far"))
        if envelope.payload != data or envelope.payload_type != payload_type:
            raise KeycheckError(
                f"{target} signs other bytes or another type than {path} now has",
                advice="The file changed after it was signed: remove the envelope and have all sign again.",
            )
        if any(signature.key_id == key.key_id for signature in envelope.signatures):
            return target
        signatures = envelope.signatures
    signed = dsse.Envelope(data, payload_type, (*signatures, fresh)).to_bytes()
    try:
        files.replace(target, signed, mode=0o644)
    except OSError as error:
        raise KeycheckError(
            f"cannot write {target}: {error.strerror or error}",
            advice="Sign a copy in a directory that you may write to.",
        ) from error
    return target


def verify_file(
    path: Path, data: bytes, trusted: Sequence[PublicKey], *, payload_type: str, threshold: int = 1
) -> dsse.VerifiedEnvelope:
    """Check the envelope beside ``path`` against ``data``, the bytes that the caller read and will use.

    At least ``threshold`` distinct trusted keys must have signed; others may have too, and are listed as
    unknown. Raises IntegrityError.
    """
    target = signature_path(path)
    try:
        envelope = files.read_bounded(target, dsse.MAX_ENVELOPE)
    except OSError as error:
        raise IntegrityError(
            f"{path} is not signed: cannot read {target}: {error.strerror or error}",
            advice=f"Have the approver run `keycheck sign {path}` and keep the envelope beside the file.",
        ) from error
    return verify_detached(envelope, data, trusted, payload_type=payload_type, threshold=threshold, name=str(path))


def verify_detached(
    envelope: bytes,
    data: bytes,
    trusted: Sequence[PublicKey],
    *,
    payload_type: str,
    threshold: int = 1,
    name: str = "the file",
) -> dsse.VerifiedEnvelope:
    """The same check on bytes alone, as for a waiver inside a bundle. Raises IntegrityError."""
    verified = dsse.verify(envelope, trusted, payload_type=payload_type, threshold=threshold, allow_unknown=True)
    if verified.payload != data:
        raise IntegrityError(
            f"{name} is not what was signed: its bytes differ from those in the envelope",
            advice="Undo the change, or have the changed file signed again.",
        )
    return verified


def _read(path: Path, limit: int, what: str) -> bytes:
    try:
        return files.read_bounded(path, limit)
    except OSError as error:
        raise KeycheckError(
            f"cannot read {what}, {path}: {error.strerror or error}",
            advice="Check the path, and that it is a regular file of modest size.",
        ) from error
