from __future__ import annotations

import os
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.keywrap import aes_key_wrap_with_padding
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from google.api_core import exceptions
from google.cloud import kms_v1

if TYPE_CHECKING:
    from conftest import Estate

RING = "projects/acme/locations/europe-west3/keyRings/r"
STATES = kms_v1.CryptoKeyVersion.CryptoKeyVersionState


def wrapped(job: kms_v1.ImportJob, material: bytes) -> bytes:
    method = kms_v1.ImportJob.ImportMethod(job.import_method).name
    kind = hashes.SHA1() if "SHA1" in method else hashes.SHA256()
    public = load_pem_public_key(job.public_key.pem.encode())
    assert isinstance(public, rsa.RSAPublicKey)
    assert public.key_size == int(method.split("_")[2])
    oaep = padding.OAEP(padding.MGF1(kind), kind, None)
    if not method.endswith("_AES_256"):
        return public.encrypt(material, oaep)
    ephemeral = os.urandom(32)
    return public.encrypt(ephemeral, oaep) + aes_key_wrap_with_padding(ephemeral, material)


class Importer:
    """A bring-your-own-key ceremony."""

    def __init__(self, estate: Estate, method: str = "RSA_OAEP_3072_SHA256_AES_256", protection: str = "HSM") -> None:
        self.estate = estate
        self.client = estate.kms()
        self.key = self.client.create_crypto_key(
            request={
                "parent": RING,
                "crypto_key_id": "byok",
                "crypto_key": {
                    "purpose": "ENCRYPT_DECRYPT",
                    "version_template": {"protection_level": "HSM"},
                    "import_only": True,
                },
                "skip_initial_version_creation": True,
            }
        )
        self.job = self.client.create_import_job(
            parent=RING, import_job_id="j", import_job={"import_method": method, "protection_level": protection}
        )

    def bring(
        self, data: bytes, again: str = "", algorithm: str = "GOOGLE_SYMMETRIC_ENCRYPTION"
    ) -> kms_v1.CryptoKeyVersion:
        return self.client.import_crypto_key_version(
            request={
                "parent": self.key.name,
                "algorithm": "GOOGLE_SYMMETRIC_ENCRYPTION",
                "import_job": self.job.name,
                "wrapped_key": data,
                "crypto_key_version": again,
            }
        )


@pytest.mark.parametrize(
    "method",
    [
        "RSA_OAEP_3072_SHA256_AES_256",
        "RSA_OAEP_3072_SHA1_AES_256",
        "RSA_OAEP_3072_SHA256",
        "RSA_OAEP_4096_SHA256",
    ],
)
def test_imported_material_is_the_one_in_use(estate: Estate, method: str) -> None:
    byok = Importer(estate, method)
    material = os.urandom(32)
    version = byok.bring(wrapped(byok.job, material))
    assert (version.state, version.import_job) == (STATES.ENABLED, byok.job.name)
    assert version.import_time == estate.time[0]
    assert not byok.client.get_crypto_key(name=byok.key.name).primary.name
    with pytest.raises(exceptions.FailedPrecondition, match="primary"):
        byok.client.encrypt(name=byok.key.name, plaintext=b"x")
    byok.client.update_crypto_key_primary_version(name=byok.key.name, crypto_key_version_id="1")
    assert byok.client.encrypt(name=byok.key.name, plaintext=b"x").name == version.name
    assert estate.cloud.kms.version(version.name).material == material
    with pytest.raises(exceptions.FailedPrecondition, match="import-only"):
        byok.client.create_crypto_key_version(parent=byok.key.name, crypto_key_version={})


def test_only_the_same_bytes_come_back_into_a_destroyed_version(estate: Estate) -> None:
    byok = Importer(estate)
    material = os.urandom(32)
    name = byok.bring(wrapped(byok.job, material)).name
    byok.client.update_crypto_key_primary_version(name=byok.key.name, crypto_key_version_id="1")
    ciphertext = byok.client.encrypt(name=byok.key.name, plaintext=b"x").ciphertext
    with pytest.raises(exceptions.FailedPrecondition, match="re-imported"):
        byok.bring(wrapped(byok.job, material), again=name)
    byok.client.destroy_crypto_key_version(name=name)
    estate.pass_time(days=31)
    assert byok.client.get_crypto_key_version(name=name).reimport_eligible
    assert estate.cloud.kms.version(name).material is None
    byok.job = byok.client.create_import_job(
        parent=RING,
        import_job_id="j2",
        import_job={"import_method": "RSA_OAEP_3072_SHA256_AES_256", "protection_level": "HSM"},
    )
    with pytest.raises(exceptions.InvalidArgument, match="does not match"):
        byok.bring(wrapped(byok.job, os.urandom(32)), again=name)
    assert byok.bring(wrapped(byok.job, material), again=name).state == STATES.ENABLED
    assert byok.client.decrypt(name=byok.key.name, ciphertext=ciphertext).plaintext == b"x"


def test_bad_wraps_fail_and_are_not_used(estate: Estate) -> None:
    byok = Importer(estate)
    assert byok.bring(b"x" * 424).state == STATES.IMPORT_FAILED
    short = byok.bring(wrapped(byok.job, os.urandom(16)))
    assert (short.state, bool(short.import_failure_reason)) == (STATES.IMPORT_FAILED, True)
    with pytest.raises(exceptions.FailedPrecondition):
        byok.client.update_crypto_key_primary_version(name=byok.key.name, crypto_key_version_id="2")


def test_a_job_ends_after_three_days_and_serves_one_protection_level(estate: Estate) -> None:
    byok = Importer(estate)
    assert byok.job.expire_time - byok.job.create_time == timedelta(days=3)
    data = wrapped(byok.job, os.urandom(32))
    estate.pass_time(days=3)
    with pytest.raises(exceptions.FailedPrecondition, match="EXPIRED"):
        byok.bring(data)
    assert byok.client.get_import_job(name=byok.job.name).state == kms_v1.ImportJob.ImportJobState.EXPIRED


def test_a_job_of_another_protection_level_is_refused(estate: Estate) -> None:
    byok = Importer(estate, protection="SOFTWARE")
    with pytest.raises(exceptions.FailedPrecondition, match="protection level"):
        byok.bring(wrapped(byok.job, os.urandom(32)))
