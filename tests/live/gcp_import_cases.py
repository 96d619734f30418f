"""What is asked of Cloud KMS about imported material and HSM keys. The material is random and never written down."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.keywrap import aes_key_wrap_with_padding
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from gcp_session import GcpSession
from gcp_steps import PLAINTEXT, ok, opening, sealed
from live_normal import Plain
from live_session import Case, CaseError, Seen

METHODS: Final = (
    "RSA_OAEP_3072_SHA1_AES_256",
    "RSA_OAEP_4096_SHA1_AES_256",
    "RSA_OAEP_3072_SHA256_AES_256",
    "RSA_OAEP_4096_SHA256_AES_256",
    "RSA_OAEP_3072_SHA256",
    "RSA_OAEP_4096_SHA256",
)


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


IMPORT_CASES: Final[Sequence[Case[GcpSession]]] = (
    Case(
        "import",
        imports,
        (
            "every RSA method imports 32 octets; a version is ENABLED and not primary; how long jobs and imports take",
            "wrong size, wrong wrapping: an error at once or IMPORT_FAILED with which words",
            "importing again over an enabled or scheduled version; importing into a key of the service's own material",
        ),
        creates="2 keys, up to 11 versions; 6 import jobs, which end by themselves in 3 days",
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
)
