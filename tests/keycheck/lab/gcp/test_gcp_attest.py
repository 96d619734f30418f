"""The lab's attestations against the published procedure: the chains of Google's sample, the layout of the maker's."""

from __future__ import annotations

import gzip
import hashlib
import struct
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from google.cloud import kms_v1

from keycheck.lab.gcp.attest import Flaw

if TYPE_CHECKING:
    from conftest import Estate

NAME = "projects/acme/locations/europe-west3/keyRings/r/cryptoKeys/hsm"
V1 = f"{NAME}/cryptoKeyVersions/1"


def issued(issuer: x509.Certificate, each: x509.Certificate) -> bool:
    try:
        each.verify_directly_issued_by(issuer)
    except (ValueError, InvalidSignature):
        return False
    return True


def signed(certificate: x509.Certificate, attestation: bytes) -> bool:
    key = certificate.public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    try:
        key.verify(attestation[-256:], attestation[:-256], padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature:
        return False
    return True


def attributes(attestation: bytes) -> dict[int, bytes]:
    _, _, total, buffered = struct.unpack_from(">IIII", attestation)
    assert total == len(attestation)
    data = attestation[total - (buffered + 256) :]
    _, _, first, second = struct.unpack_from(">HHHH", data)
    assert second == 0
    _, count, _ = struct.unpack_from(">III", data, first)
    at, found = first + 12, {}
    for _ in range(count):
        kind, length = struct.unpack_from(">II", data, at)
        found[kind] = data[at + 8 : at + 8 + length]
        at += 8 + length
    assert at == buffered
    return found


class Seen:
    """What the sample finds out."""

    def __init__(self, stated: kms_v1.KeyOperationAttestation, roots: tuple[Path, Path]) -> None:
        maker, cloud = (x509.load_pem_x509_certificate(path.read_bytes()) for path in roots)
        self.maker_root = maker
        chains = stated.cert_chains
        partition, card = (x509.load_pem_x509_certificate(pem.encode()) for pem in chains.cavium_certs)
        [cloud_card] = (x509.load_pem_x509_certificate(pem.encode()) for pem in chains.google_card_certs)
        [cloud_partition] = (x509.load_pem_x509_certificate(pem.encode()) for pem in chains.google_partition_certs)
        self.maker = issued(maker, card) and issued(card, partition)
        self.cloud = issued(cloud, cloud_card) and issued(cloud, cloud_partition)
        self.same_keys = (
            card.public_key() == cloud_card.public_key() and partition.public_key() == cloud_partition.public_key()
        )
        content = gzip.decompress(stated.content)
        self.signed = signed(partition, content) and signed(cloud_partition, content)
        self.attributes = attributes(content)


@pytest.fixture
def hsm(estate: Estate) -> str:
    return estate.cloud.kms.seed_key(NAME, protection="HSM")


def test_a_healthy_attestation_verifies_and_names_its_version(estate: Estate, hsm: str, tmp_path: Path) -> None:
    version = estate.kms().get_crypto_key_version(name=V1)
    assert version.attestation.format == kms_v1.KeyOperationAttestation.AttestationFormat.CAVIUM_V2_COMPRESSED
    seen = Seen(version.attestation, estate.cloud.hsm.roots(tmp_path))
    assert (seen.maker, seen.cloud, seen.same_keys, seen.signed) == (True, True, True, True)
    assert seen.attributes[0x0102][64:].decode() == hashlib.sha256(V1.encode()).hexdigest()
    assert (seen.attributes[0x0162], seen.attributes[0x0164]) == (b"\0", b"\1")
    listed = next(iter(estate.kms().list_crypto_key_versions(parent=hsm)))
    assert not listed.attestation.content
    full = estate.kms().list_crypto_key_versions(request={"parent": hsm, "view": "FULL"})
    assert next(iter(full)).attestation == version.attestation


@pytest.mark.parametrize("flaw", list(Flaw))
def test_every_flaw_shows_where_it_should_and_nowhere_else(
    estate: Estate, hsm: str, tmp_path: Path, flaw: Flaw
) -> None:
    stated = estate.cloud.hsm.attest(estate.cloud.kms.version(V1), flaw)
    estate.cloud.kms.attach(V1, stated)
    stated = estate.kms().get_crypto_key_version(name=V1).attestation
    seen = Seen(stated, estate.cloud.hsm.roots(tmp_path, expired=flaw is Flaw.EXPIRED_ROOT))
    chained = flaw is not Flaw.NOT_CHAINED
    assert (seen.maker, seen.cloud) == (chained, chained)
    assert seen.same_keys is (flaw is not Flaw.OTHER_PARTITION)
    assert seen.signed is (flaw not in (Flaw.TAMPERED, Flaw.OTHER_PARTITION))
    named = seen.attributes[0x0102][64:].decode() == hashlib.sha256(V1.encode()).hexdigest()
    assert named is (flaw is not Flaw.ANOTHER_VERSION)
    assert (seen.attributes[0x0162] == b"\1") is (flaw is Flaw.EXTRACTABLE)
    assert (seen.maker_root.not_valid_after_utc < estate.time[0]) is (flaw is Flaw.EXPIRED_ROOT)


def test_software_keys_have_none(estate: Estate) -> None:
    name = "projects/acme/locations/europe-west3/keyRings/r/cryptoKeys/k/cryptoKeyVersions/1"
    assert "attestation" not in estate.kms().get_crypto_key_version(name=name)
