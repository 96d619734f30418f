"""A CryptoKey and its versions, as Cloud KMS describes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from keycheck.errors import ProbeError
from keycheck.model.facts import Unseen
from keycheck.model.observation import Blob
from keycheck.model.types import vendor_text
from keycheck.model.verdict import Reason
from probes.clouds.gcp import clients
from probes.clouds.gcp.errors import NOT_ASKED
from probes.clouds.gcp.names import KeyName, enum_name, maybe_moment, moment, same_key, version_number
from probes.clouds.gcp.pace import Api
from probes.clouds.gcp.pages import Bounds, Page, read_all
from probes.clouds.gcp.session import Session
from probes.keys.gcp_facts import Attestation, GcpVersion, Justifications, NoJustifications

if TYPE_CHECKING:
    from cryptography import x509
    from google.cloud.kms_v1.types import CryptoKey, CryptoKeyVersion, KeyOperationAttestation

VERSIONS: Final = Bounds(pages=40, items=2_000)
_PAGE: Final = 100
"""Versions a page: with attestations each has about ten thousand bytes."""
MAX_BLOB: Final = 262_144
MAX_LISTED: Final = 32 * 1024 * 1024
"""Bytes of all versions; a full list of attested ones has about twenty million."""
_MAX_CERTIFICATES: Final = 20
"""In one list of an attestation, before anything is copied; how many may be in a chain is decided later."""


@dataclass(frozen=True, slots=True)
class Verifying:
    """What attestations are verified against; `roots` Unseen: they could not be read."""

    roots: Sequence[x509.Certificate] | Unseen
    looked: datetime
    number: str | None
    """Of the project, where it is known."""


def crypto_key(name: KeyName, session: Session) -> CryptoKey:
    """GetCryptoKey. Raises ProbeError."""
    client = clients.kms(session.identity, session.io)
    found = session.ask(
        Api.KMS,
        f"get {name.full}",
        lambda seconds: client.get_crypto_key(name=name.full, retry=None, timeout=seconds),
    )
    if not same_key(found.name, name):
        raise ProbeError(Reason.MALFORMED, "the answer is about another key")
    return found


def versions_of(name: KeyName, session: Session) -> tuple[CryptoKeyVersion, ...]:
    """ListCryptoKeyVersions, every page, attestations included. Raises ProbeError, also when it is not all."""
    from google.cloud.kms_v1.types import CryptoKeyVersion, ListCryptoKeyVersionsRequest

    client = clients.kms(session.identity, session.io)
    size = 0

    def fetch(token: str) -> Page[CryptoKeyVersion]:
        nonlocal size
        request = ListCryptoKeyVersionsRequest(
            parent=name.full,
            page_size=_PAGE,
            page_token=token,
            view=CryptoKeyVersion.CryptoKeyVersionView.FULL,
        )
        answer = session.ask(
            Api.KMS,
            f"list the versions of {name.full}",
            lambda seconds: client.list_crypto_key_versions(request=request, retry=None, timeout=seconds),
        )
        # the pager fetches on by itself, without limits: only its first answer is used
        if len(answer.crypto_key_versions) > _PAGE:
            raise ProbeError(Reason.MALFORMED, f"a page of more than the {_PAGE} versions that were asked for")
        size += sum(CryptoKeyVersion.pb(each).ByteSize() for each in answer.crypto_key_versions)
        if size > MAX_LISTED:
            raise ProbeError(Reason.NOT_COVERED, f"they have more than the {MAX_LISTED} bytes that are read")
        return Page(tuple(answer.crypto_key_versions), answer.next_page_token, answer.total_size)

    listing = read_all(fetch, VERSIONS)
    if listing.rest is not None:
        raise ProbeError(listing.rest.reason, f"not all versions: {listing.rest.detail}")
    return listing.items


def version_fact(version: CryptoKeyVersion, name: KeyName, verifying: Verifying | None) -> GcpVersion:
    """One version as facts; `verifying` None: its attestation was not asked for. Raises ProbeError(malformed)."""
    from google.cloud.kms_v1.types import CryptoKeyVersion, ProtectionLevel

    raw = type(version).pb(version)
    if not raw.HasField("create_time"):
        raise ProbeError(Reason.MALFORMED, "a version without a time of creation")
    external = raw.external_protection_level_options
    return GcpVersion(
        id=version_number(raw.name, name),
        state=enum_name(CryptoKeyVersion.CryptoKeyVersionState, raw.state),
        algorithm=enum_name(CryptoKeyVersion.CryptoKeyVersionAlgorithm, raw.algorithm),
        protection=enum_name(ProtectionLevel, raw.protection_level),
        created=moment(raw.create_time),
        generated=maybe_moment(raw, "generate_time"),
        imported=maybe_moment(raw, "import_time"),
        import_job=vendor_text(raw.import_job) or None,
        import_failure=vendor_text(raw.import_failure_reason) or None,
        destroy_time=maybe_moment(raw, "destroy_time"),
        external_uri=vendor_text(external.external_key_uri or external.ekm_connection_key_path) or None,
        attestation=NOT_ASKED if verifying is None else _attestation(version, name, verifying),
    )


def attestation_blobs(version: CryptoKeyVersion, name: KeyName) -> tuple[Blob, ...]:
    """The attestation as answered and its certificates, so that anybody can verify them again."""
    raw = type(version).pb(version)
    if not raw.HasField("attestation"):
        return ()
    label = f"attestation-{version_number(raw.name, name)}"
    chains = raw.attestation.cert_chains
    if _too_many(chains):
        return ()
    pems = "\n".join((*chains.cavium_certs, *chains.google_card_certs, *chains.google_partition_certs))
    kept = [
        Blob(label, raw.attestation.content),
        Blob(f"{label}-certificates", pems.encode(), "application/x-pem-file"),
    ]
    return tuple(blob for blob in kept if 0 < len(blob.content) <= MAX_BLOB)


def _too_many(chains: KeyOperationAttestation.CertificateChains) -> bool:
    lists = (chains.cavium_certs, chains.google_card_certs, chains.google_partition_certs)
    return any(len(each) > _MAX_CERTIFICATES for each in lists)


def justifications_of(key: CryptoKey) -> Justifications | NoJustifications:
    """The key's policy of access reasons."""
    from google.cloud.kms_v1.types import AccessReason

    raw = type(key).pb(key)
    if not raw.HasField("key_access_justifications_policy"):
        return NoJustifications()
    allowed = raw.key_access_justifications_policy.allowed_access_reasons
    return Justifications(allowed=tuple(sorted({enum_name(AccessReason, each) for each in allowed})))


def _attestation(version: CryptoKeyVersion, name: KeyName, verifying: Verifying) -> Attestation | Unseen | None:
    from google.cloud.kms_v1.types import KeyOperationAttestation

    from probes.keys.gcp.attestation import Answered, verified

    raw = type(version).pb(version)
    if not raw.HasField("attestation"):
        return None
    if isinstance(verifying.roots, Unseen):
        return verifying.roots
    chains = raw.attestation.cert_chains
    answered = Answered(
        format=enum_name(KeyOperationAttestation.AttestationFormat, raw.attestation.format),
        content=raw.attestation.content,
        maker=tuple(chains.cavium_certs[:_MAX_CERTIFICATES]),
        cloud_card=tuple(chains.google_card_certs[:_MAX_CERTIFICATES]),
        cloud_partition=tuple(chains.google_partition_certs[:_MAX_CERTIFICATES]),
    )
    number = version_number(raw.name, name)
    projects = {name.project, raw.name.split("/")[1], verifying.number or name.project}
    names = [f"projects/{each}{name.below_project}/cryptoKeyVersions/{number}" for each in sorted(projects)]
    return verified(answered, names, verifying.roots, verifying.looked)
