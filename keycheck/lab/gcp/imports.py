"""Import jobs: the customer's own key material, wrapped for a job's public key and really unwrapped here."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap_with_padding
from google.cloud import kms_v1

from keycheck.lab.gcp.calls import Call, Handler
from keycheck.lab.gcp.errors import already_exists, failed, invalid, unimplemented
from keycheck.lab.gcp.material import checked_algorithm, parsed
from keycheck.lab.gcp.names import above, checked, checked_id
from keycheck.lab.gcp.store import Job, Key, State, Store, Version, wrong_state
from keycheck.lab.gcp.versions import Maker
from keycheck.lab.gcp.wire import enum_name, protection_of, shown_job, shown_version

LIFETIME: Final = timedelta(days=3)
_SERVICE: Final = "/google.cloud.kms.v1.KeyManagementService/"
_EPHEMERAL: Final = 32
_MOST: Final = 16 * 1024


class Imports:
    """The handlers."""

    def __init__(self, store: Store, maker: Maker) -> None:
        self._store = store
        self._maker = maker

    def handlers(self) -> Mapping[str, Handler]:
        return {
            _SERVICE + "CreateImportJob": self.create_job,
            _SERVICE + "GetImportJob": self.get_job,
            _SERVICE + "ListImportJobs": self.list_jobs,
            _SERVICE + "ImportCryptoKeyVersion": self.import_version,
        }

    def create_job(self, call: Call, request: kms_v1.CreateImportJobRequest) -> kms_v1.ImportJob:
        ring = checked(request.parent, 3)
        name = f"{ring}/importJobs/{checked_id(request.import_job_id, 'import_job_id')}"
        call.resource = name
        call.require("cloudkms.importJobs.create", ring)
        self._store.ring(ring)
        method = enum_name(request.import_job, "import_method")
        protection = protection_of(request.import_job)
        if not method or protection is None:
            raise invalid("import_job.import_method and import_job.protection_level must be set.")
        if not method.startswith("RSA_"):
            raise unimplemented(f"import method {method}")
        if name in self._store.jobs:
            raise already_exists("ImportJob", name)
        private = rsa.generate_private_key(public_exponent=65537, key_size=int(method.split("_")[2]))
        job = Job(name, method, protection, call.now, call.now + LIFETIME, private)
        self._store.jobs[name] = job
        return shown_job(job)

    def get_job(self, call: Call, request: kms_v1.GetImportJobRequest) -> kms_v1.ImportJob:
        call.resource = request.name
        call.require("cloudkms.importJobs.get", request.name)
        return shown_job(self._store.job(request.name, call.now))

    def list_jobs(self, call: Call, request: kms_v1.ListImportJobsRequest) -> kms_v1.ListImportJobsResponse:
        call.resource = checked(request.parent, 3)
        call.require("cloudkms.importJobs.list", request.parent)
        if request.filter:
            raise unimplemented("filters on this list")
        found = sorted(name for name in self._store.jobs if above(name) == request.parent)
        page, after = call.page(len(found), request.page_size, request.page_token)
        shown = [shown_job(self._store.job(found[index], call.now)) for index in page]
        return kms_v1.ListImportJobsResponse(import_jobs=shown, next_page_token=after, total_size=len(found))

    def import_version(self, call: Call, request: kms_v1.ImportCryptoKeyVersionRequest) -> kms_v1.CryptoKeyVersion:
        """The version is ENABLED and not primary; IMPORT_FAILED when the wrapping does not come off."""
        call.resource = checked(request.parent, 4)
        call.require("cloudkms.cryptoKeyVersions.create", request.parent)
        call.require("cloudkms.importJobs.useToImport", request.import_job)
        key = self._store.key(request.parent, call.now)
        job = self._store.job(request.import_job, call.now)
        named = enum_name(request, "algorithm")
        if not named:
            raise invalid("algorithm must be set.")
        algorithm = checked_algorithm(named, key.settings.purpose)
        if above(key.name) != above(job.name):
            raise invalid("The import job must be in the key ring of the key.")
        if job.expired:
            raise failed(f"{job.name} is not active, current state is: EXPIRED.")
        if job.protection is not key.settings.protection:
            raise failed("The protection level of the import job does not match the key's.")
        wrapped = request.wrapped_key or request.rsa_aes_wrapped_key
        if not wrapped or len(wrapped) > _MOST:
            raise invalid("wrapped_key must be set, and not too large.")
        plain = _unwrapped(job, wrapped)
        if request.crypto_key_version:
            version = self._again(call, key, request.crypto_key_version, plain)
        else:
            version = Version(key.name, job.protection, algorithm, call.now)
            key.add(version)
        call.resource = version.name
        version.algorithm, version.import_job = algorithm, job.name
        material = None if plain is None else parsed(algorithm, plain)
        if plain is None or material is None:
            version.state = State.IMPORT_FAILED
            why = "The wrapped key could not be unwrapped." if plain is None else "The key is not of the algorithm."
            version.import_failure = why
            return shown_version(version)
        version.state, version.imported, version.import_failure = State.ENABLED, call.now, ""
        version.destroyed = version.usable_until = None
        version.material, version.imported_digest = material, hashlib.sha256(plain).digest()
        self._maker.attest(version)
        return shown_version(version)

    def _again(self, call: Call, key: Key, name: str, plain: bytes | None) -> Version:
        owner, version = self._store.version(checked(name, 5), call.now)
        if owner is not key or not version.import_job:
            raise invalid(f"{name} was not imported into this key.")
        if version.state not in (State.DESTROYED, State.IMPORT_FAILED):
            raise wrong_state(version, "cannot be re-imported")
        if version.imported_digest and (plain is None or hashlib.sha256(plain).digest() != version.imported_digest):
            raise invalid(f"The key material does not match what was first imported into {name}.")
        return version


def _unwrapped(job: Job, wrapped: bytes) -> bytes | None:
    """RSAES-OAEP alone, or of an ephemeral AES-256 key before AES-KWP (RFC 5649) of the key."""
    algorithm: hashes.HashAlgorithm = hashes.SHA1() if "SHA1" in job.method else hashes.SHA256()
    oaep = padding.OAEP(mgf=padding.MGF1(algorithm), algorithm=algorithm, label=None)
    size = job.private.key_size // 8
    try:
        if not job.method.endswith("_AES_256"):
            return job.private.decrypt(wrapped, oaep)
        ephemeral = job.private.decrypt(wrapped[:size], oaep)
        if len(ephemeral) != _EPHEMERAL:
            return None
        return aes_key_unwrap_with_padding(ephemeral, wrapped[size:])
    except (ValueError, InvalidUnwrap):
        return None
