"""What is asked of Cloud KMS: versions and their states, checks of integrity, bindings that end, imports, HSM, logs."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.keywrap import aes_key_wrap_with_padding
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from gcp_session import RING, GcpSession, mappings
from live_normal import Plain
from live_session import Case, CaseError, Seen, Within

PLAINTEXT: Final = b"keycheck-live plaintext of 32 by"
AAD: Final = b"tenant=acme"
DECRYPTER: Final = "roles/cloudkms.cryptoKeyDecrypter"
METHODS: Final = (
    "RSA_OAEP_3072_SHA1_AES_256",
    "RSA_OAEP_4096_SHA1_AES_256",
    "RSA_OAEP_3072_SHA256_AES_256",
    "RSA_OAEP_4096_SHA256_AES_256",
    "RSA_OAEP_3072_SHA256",
    "RSA_OAEP_4096_SHA256",
)


def ok(seen: Seen) -> bool:
    return seen.ok


def refused(code: str) -> Callable[[Seen], bool]:
    """The condition of a poll: that error."""
    return lambda seen: seen.code == code


def crc(data: bytes) -> dict[str, int]:
    """CRC-32C (RFC 3720, appendix B.4), as the API wraps it."""
    value = 0xFFFFFFFF
    for octet in data:
        value ^= octet
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
    return {"value": value ^ 0xFFFFFFFF}


def sealed(s: GcpSession, step: str, key: str) -> bytes:
    """A ciphertext of `PLAINTEXT` with `AAD`, checksums sent."""
    answer = s.must(
        step,
        "Encrypt",
        name=key,
        plaintext=PLAINTEXT,
        additional_authenticated_data=AAD,
        plaintext_crc32c=crc(PLAINTEXT),
        additional_authenticated_data_crc32c=crc(AAD),
    )
    value = answer.get("ciphertext")
    if not isinstance(value, bytes):
        raise CaseError(f"{step} gave no ciphertext")
    return value


def opening(key: str, ciphertext: bytes, **more: object) -> dict[str, object]:
    return {"name": key, "ciphertext": ciphertext, "additional_authenticated_data": AAD, **more}


def state(s: GcpSession, step: str, version: str, wanted: str) -> Seen:
    return s.call(
        step,
        "UpdateCryptoKeyVersion",
        crypto_key_version={"name": version, "state": wanted},
        update_mask={"paths": ["state"]},
    )


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


def wrapped(material: bytes, pem: str, method: str) -> bytes:
    """RSA-OAEP of the material, or of a fresh AES key before RFC 5649 of the material."""
    key = load_pem_public_key(pem.encode("ascii"))
    if not isinstance(key, rsa.RSAPublicKey):
        raise CaseError("the wrapping key is no RSA key")
    digest = hashes.SHA1() if "SHA1" in method else hashes.SHA256()
    oaep = padding.OAEP(padding.MGF1(digest), digest, None)
    if not method.endswith("_AES_256"):
        return key.encrypt(material, oaep)
    ephemeral = os.urandom(32)
    return key.encrypt(ephemeral, oaep) + aes_key_wrap_with_padding(ephemeral, material)


def import_job(s: GcpSession, method: str) -> tuple[str, str]:
    """An active job: name and public key."""
    about = {"import_method": method, "protection_level": "SOFTWARE"}
    made = s.must(
        f"{method}: job", "CreateImportJob", parent=s.ring(), import_job_id=s.fresh_id("job"), import_job=about
    )
    name = str(made["name"])
    active: Callable[[Seen], bool] = lambda seen: seen.answer.get("state") == "ACTIVE"  # noqa: E731  # a condition
    seen = s.poll(f"{method}: active", "GetImportJob", active, name=name)
    public = seen.answer.get("public_key")
    pem = public.get("pem") if isinstance(public, Mapping) else None
    if not isinstance(pem, str):
        raise CaseError(f"the import job for {method} has no public key")
    return name, pem


def imports(s: GcpSession) -> None:
    key = s.create_key(skip_initial_version_creation=True)
    s.call("no version: get", "GetCryptoKey", name=key)
    s.call("no version: encrypt", "Encrypt", name=key, plaintext=PLAINTEXT)
    done: Callable[[Seen], bool] = lambda seen: seen.answer.get("state") not in ("PENDING_IMPORT", None)  # noqa: E731  # a condition
    material = os.urandom(32)
    s.symbols.secret(material)
    job = pem = method = ""
    for method in METHODS:
        job, pem = import_job(s, method)
        made = put(s, method, key, job, wrapped(material, pem, method))
        if made.ok:
            s.poll(f"{method}: imported", "GetCryptoKeyVersion", done, name=made.answer["name"])
    for step, octets in (
        ("16 octets", wrapped(os.urandom(16), pem, method)),
        ("not wrapped for this job", wrapped(material, pem, "RSA_OAEP_4096_SHA1")),
        ("nothing wrapped", b"keycheck-live"),
    ):
        made = put(s, step, key, job, octets)
        if made.ok:
            s.poll(f"{step}: outcome", "GetCryptoKeyVersion", done, name=made.answer["name"])
    s.call("versions", "ListCryptoKeyVersions", parent=key)
    s.call("not primary", "Encrypt", name=key, plaintext=PLAINTEXT)
    s.must("make it primary", "UpdateCryptoKeyPrimaryVersion", name=key, crypto_key_version_id="1")
    s.poll("primary: encrypt", "Encrypt", ok, name=key, plaintext=PLAINTEXT)
    blob = sealed(s, "encrypt", key)
    s.call("decrypt", "Decrypt", **opening(key, blob))
    first = f"{key}/cryptoKeyVersions/1"
    put(s, "again while enabled", key, job, wrapped(material, pem, method), crypto_key_version=first)
    s.call("destroy", "DestroyCryptoKeyVersion", name=first)
    put(s, "again while scheduled", key, job, wrapped(material, pem, method), crypto_key_version=first)
    own = s.create_key("create a key of the service")
    made = put(s, "into a key of the service", own, job, wrapped(material, pem, method))
    if made.ok:
        s.poll("into a key of the service: outcome", "GetCryptoKeyVersion", done, name=made.answer["name"])


def put(s: GcpSession, step: str, key: str, job: str, octets: bytes, **more: object) -> Seen:
    return s.call(
        step,
        "ImportCryptoKeyVersion",
        parent=key,
        algorithm="GOOGLE_SYMMETRIC_ENCRYPTION",
        import_job=job,
        wrapped_key=octets,
        **more,
    )


def hsm_global(s: GcpSession) -> None:
    s.call("software in global", "CreateCryptoKey", **s.key_request("SOFTWARE", "global"))
    s.call("HSM in global", "CreateCryptoKey", **s.key_request("HSM", "global"))


def attestation(s: GcpSession) -> None:
    key = s.create_key(level="HSM")
    name = f"{key}/cryptoKeyVersions/1"
    enabled: Callable[[Seen], bool] = lambda seen: seen.answer.get("state") == "ENABLED"  # noqa: E731  # a condition
    seen = s.poll("version", "GetCryptoKeyVersion", enabled, name=name)
    about = seen.answer.get("attestation")
    if not isinstance(about, Mapping):
        raise CaseError("the version has no attestation")
    content, chains = about.get("content"), about.get("cert_chains")
    found = (
        {str(name): pems for name, pems in chains.items() if isinstance(pems, list)}
        if isinstance(chains, Mapping)
        else {}
    )
    counts: dict[str, Plain] = {name: len(pems) for name, pems in found.items()}
    s.note("attestation", has_content=isinstance(content, bytes), certificates=counts)
    if isinstance(content, bytes):
        texts = {f"{name}.pem": "".join(map(str, pems)).encode() for name, pems in found.items()}
        s.kept = {"attestation.dat": content, **texts}


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
    Case(
        "import",
        imports,
        (
            "every RSA method imports 32 octets; a version is ENABLED and not primary; how long jobs and imports take",
            "wrong size, wrong wrapping: an error at once or IMPORT_FAILED with which words",
            "importing again over an enabled or scheduled version; importing into a key of the service's own material",
        ),
        creates="2 keys, up to 8 versions; 6 import jobs, which end by themselves in 3 days",
    ),
    Case(
        "hsm-global",
        hsm_global,
        ("HSM keys are refused in `global`: which code and words",),
        needs="--global-ring",
        creates="a key ring in global that cannot be removed; 1 or 2 keys",
    ),
    Case(
        "attestation",
        attestation,
        ("format of an HSM attestation, and which certificate chains come with it (kept beside the recording)",),
        needs="--hsm",
        creates="1 key, 1 HSM version",
    ),
    Case(
        "logs",
        logs,
        ("fields of Admin Activity and Data Access entries; how long they take; absent where the latter are off",),
        needs="--wait-for-logs",
        creates="1 key, 1 version",
    ),
)
