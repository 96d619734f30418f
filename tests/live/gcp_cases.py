"""All that is asked of Cloud KMS; here: versions and their states, integrity, bindings that end, logs."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from gcp_import_cases import IMPORT_CASES
from gcp_session import RING, GcpSession, mappings
from gcp_steps import PLAINTEXT, crc, ok, opening, refused, sealed, state
from live_session import Case, CaseError, Seen, Within

DECRYPTER: Final = "roles/cloudkms.cryptoKeyDecrypter"


def versions(s: GcpSession) -> None:
    key = s.create_key()
    s.call("get", "GetCryptoKey", name=key)
    first = sealed(s, "encrypt", key)
    s.call("decrypt", "Decrypt", **opening(key, first))
    s.call("same id again", "CreateCryptoKey", **s.key_request(crypto_key_id=key.rsplit("/", 1)[1]))
    s.must("second version", "CreateCryptoKeyVersion", parent=key, crypto_key_version={})
    s.call("versions", "ListCryptoKeyVersions", parent=key)
    s.call("not primary yet", "Encrypt", name=key, plaintext=PLAINTEXT)
    s.call("make it primary", "UpdateCryptoKeyPrimaryVersion", name=key, crypto_key_version_id="2")
    second: Callable[[Seen], bool] = lambda seen: str(seen.answer.get("name", "")).endswith("/2")  # noqa: E731  # a condition
    s.poll("primary", "Encrypt", second, name=key, plaintext=PLAINTEXT)
    s.call("old ciphertext", "Decrypt", **opening(key, first))
    old = f"{key}/cryptoKeyVersions/1"
    state(s, "disable the old one", old, "DISABLED")
    s.poll("disabled: decrypt", "Decrypt", refused("FAILED_PRECONDITION"), **opening(key, first))
    s.call("disabled: get", "GetCryptoKeyVersion", name=old)
    s.call("disabled: encrypt with the other", "Encrypt", name=key, plaintext=PLAINTEXT)
    s.call("disabled: make it primary", "UpdateCryptoKeyPrimaryVersion", name=key, crypto_key_version_id="1")
    state(s, "disable again", old, "DISABLED")
    state(s, "enable", old, "ENABLED")
    s.call("enabled: at once", "Decrypt", **opening(key, first))
    s.poll("enabled: decrypt", "Decrypt", ok, **opening(key, first))
    state(s, "disable the primary", f"{key}/cryptoKeyVersions/2", "DISABLED")
    no = refused("FAILED_PRECONDITION")
    s.poll("no enabled primary: encrypt", "Encrypt", no, name=key, plaintext=PLAINTEXT)
    s.call("no such version", "GetCryptoKeyVersion", name=f"{key}/cryptoKeyVersions/99")
    s.call("no such key", "GetCryptoKey", name=f"{s.ring()}/cryptoKeys/keycheck-live-absent")
    s.call("no such location", "GetKeyRing", name=f"projects/{s.project}/locations/nowhere/keyRings/{RING}")


def destruction(s: GcpSession) -> None:
    key = s.create_key()
    version = f"{key}/cryptoKeyVersions/1"
    blob = sealed(s, "encrypt", key)
    s.call("destroy", "DestroyCryptoKeyVersion", name=version)
    s.poll("scheduled: decrypt", "Decrypt", refused("FAILED_PRECONDITION"), **opening(key, blob))
    s.call("scheduled: get", "GetCryptoKeyVersion", name=version)
    state(s, "scheduled: enable", version, "ENABLED")
    s.call("scheduled: destroy again", "DestroyCryptoKeyVersion", name=version)
    s.call("restore", "RestoreCryptoKeyVersion", name=version)
    s.call("restored: get", "GetCryptoKeyVersion", name=version)
    s.call("restored: decrypt", "Decrypt", **opening(key, blob))
    s.call("restore again", "RestoreCryptoKeyVersion", name=version)
    state(s, "enable", version, "ENABLED")
    s.poll("enabled: decrypt", "Decrypt", ok, **opening(key, blob))


def integrity(s: GcpSession) -> None:
    key, other = s.create_key(), s.create_key("create another")
    blob = sealed(s, "encrypt", key)
    s.call("right", "Decrypt", **opening(key, blob, ciphertext_crc32c=crc(blob)))
    s.call("wrong context", "Decrypt", name=key, ciphertext=blob, additional_authenticated_data=b"tenant=other")
    s.call("no context", "Decrypt", name=key, ciphertext=blob)
    s.call("tampered", "Decrypt", **opening(key, blob[:-1] + bytes((blob[-1] ^ 1,))))
    s.call("no ciphertext", "Decrypt", **opening(key, b"keycheck-live"))
    s.call("another key", "Decrypt", **opening(other, blob))
    wrong = crc(b"keycheck-live")
    s.call("wrong checksum of the ciphertext", "Decrypt", **opening(key, blob, ciphertext_crc32c=wrong))
    s.call("wrong checksum of the context", "Decrypt", **opening(key, blob, additional_authenticated_data_crc32c=wrong))
    s.call("wrong checksum of the plaintext", "Encrypt", name=key, plaintext=PLAINTEXT, plaintext_crc32c=wrong)
    s.call("no checksums", "Encrypt", name=key, plaintext=PLAINTEXT)
    s.call("too long", "Encrypt", name=key, plaintext=bytes(65_537))
    s.note("blob", octets=len(blob), begins_as_observed=blob[:2] == b"\x0a\x24")


def bindings(s: GcpSession) -> None:
    subject = s.subject
    if subject is None or not subject.member:
        raise CaseError("--subject-credentials are not a service account's")
    key = s.create_key()
    blob = sealed(s, "encrypt", key)
    use = opening(key, blob, As="subject")
    s.call("before", "Decrypt", **use)
    read: dict[str, object] = {"resource": key, "options": {"requested_policy_version": 3}}
    empty = s.must("policy before", "GetIamPolicy", **read)
    deadline = float(int(time.time() + s.limits.window * 2 + s.limits.propagation))
    until = datetime.fromtimestamp(deadline, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    condition = {"title": "keycheck-live", "expression": f'request.time < timestamp("{until}")'}
    binding = {"role": DECRYPTER, "members": [subject.member], "condition": condition}
    limited: dict[str, object] = {"bindings": [binding], "etag": empty.get("etag", b"")}
    s.call("condition at version 1", "SetIamPolicy", resource=key, policy={**limited, "version": 1})
    s.must("condition at version 3", "SetIamPolicy", resource=key, policy={**limited, "version": 3})
    s.call("old etag", "SetIamPolicy", resource=key, policy={**limited, "version": 3})
    s.call("read at version 3", "GetIamPolicy", **read)
    s.call("read at version 1", "GetIamPolicy", resource=key, options={"requested_policy_version": 1})
    s.call("read without a version", "GetIamPolicy", resource=key)
    s.call("read at version 2", "GetIamPolicy", resource=key, options={"requested_policy_version": 2})
    s.poll("allowed", "Decrypt", ok, **use)
    asked = ["cloudkms.cryptoKeyVersions.useToDecrypt", "cloudkms.cryptoKeyVersions.useToEncrypt"]
    s.call("permissions", "TestIamPermissions", resource=key, permissions=asked, As="subject")
    s.wait_until(deadline - s.limits.early)
    s.poll("ended by itself", "Decrypt", refused("PERMISSION_DENIED"), **use)
    s.note("the end", waited_for_the_deadline=time.time() >= deadline - s.limits.early / 2)
    s.call("permissions afterwards", "TestIamPermissions", resource=key, permissions=asked, As="subject")
    plain = {"bindings": [{"role": DECRYPTER, "members": [subject.member]}], "version": 3}
    s.call("no etag", "SetIamPolicy", resource=key, policy=plain)
    s.poll("allowed for good", "Decrypt", ok, **use)
    s.call("take away", "SetIamPolicy", resource=key, policy={"version": 3})
    s.poll("taken away", "Decrypt", refused("PERMISSION_DENIED"), **use)


def logs(s: GcpSession) -> None:
    key = s.create_key()
    blob = sealed(s, "encrypt", key)
    s.call("decrypt", "Decrypt", **opening(key, blob))
    s.call("decrypt wrongly", "Decrypt", name=key, ciphertext=blob)
    about = f'protoPayload.serviceName="cloudkms.googleapis.com" AND protoPayload.resourceName:"{key}"'
    for step, method, failed in (
        ("a creation", "CreateCryptoKey", False),
        ("a decryption", "Decrypt", False),
        ("a failed decryption", "Decrypt", True),
    ):

        def right(seen: Seen, failed: bool = failed) -> Sequence[Mapping[str, object]]:
            return [entry for entry in mappings(seen.answer, "entries") if _failed(entry) == failed]

        there = Within(lambda seen, right=right: bool(right(seen)), s.limits.logs)  # type: ignore[misc]
        seen = s.log_entries(f"look for {step}", f'{about} AND protoPayload.methodName="{method}"', there)
        s.note(f"entry of {step}", entry=next((s.shape(entry) for entry in right(seen)), "absent"))


def _failed(entry: Mapping[str, object]) -> bool:
    payload = entry.get("proto_payload")
    status = payload.get("status") if isinstance(payload, Mapping) else None
    return isinstance(status, Mapping) and bool(status.get("code"))


CASES: Final[Sequence[Case[GcpSession]]] = (
    Case(
        "versions",
        versions,
        (
            "a new version is not primary; Encrypt may go on with the old primary, and for how long",
            "Decrypt with a disabled version: FAILED_PRECONDITION, its words and reason, and after how long",
            "enabling is strongly consistent: the first call after it succeeds",
            "words of NOT_FOUND and ALREADY_EXISTS; what a disabled version cannot do",
        ),
        creates="1 key, 2 versions",
    ),
    Case(
        "destruction",
        destruction,
        (
            "DestroyCryptoKeyVersion schedules; Decrypt then: FAILED_PRECONDITION; restoring gives DISABLED",
            "what is refused to a version that is scheduled, and with which words",
        ),
        creates="1 key, 1 version",
    ),
    Case(
        "integrity",
        integrity,
        (
            "wrong additional data, tampering, another key: INVALID_ARGUMENT; its words",
            "a wrong crc32c of ciphertext, plaintext or additional data: INVALID_ARGUMENT; the verified_* fields",
            "first octets and length of a ciphertext",
        ),
        creates="2 keys, 2 versions",
    ),
    Case(
        "bindings",
        bindings,
        (
            "a binding with request.time ends by itself, and how long after; how long a binding takes to work",
            "conditions below version 3: INVALID_ARGUMENT; an old etag: ABORTED; how policies read at versions 0, 1, 3",
        ),
        needs="--subject-credentials",
        creates="1 key, 1 version; bindings on it for the subject",
    ),
    *IMPORT_CASES,
    Case(
        "logs",
        logs,
        ("fields of Admin Activity and Data Access entries; how long they take; absent where the latter are off",),
        needs="--wait-for-logs",
        creates="1 key, 1 version",
    ),
)
