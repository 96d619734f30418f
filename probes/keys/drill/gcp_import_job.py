"""Import jobs of Cloud KMS: the public keys under which a customer's material travels. A job cannot be deleted; it ends
by itself after three days, and its name stays taken."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from keycheck.errors import ProbeError
from keycheck.model.types import vendor_text
from keycheck.model.verdict import Reason
from probes.clouds.gcp.names import KeyName, enum_name, maybe_moment
from probes.clouds.gcp.pace import Api
from probes.clouds.gcp.pages import Bounds, Page, read_all
from probes.keys.drill.gcp_calls import WRITES, Hand, Sleep

if TYPE_CHECKING:
    from google.cloud.kms_v1.types import ImportJob

METHOD: Final = "RSA_OAEP_3072_SHA256"
"""For 32 octets nothing more is needed."""
OURS: Final = "keycheck-"
LEFT: Final = timedelta(hours=1)
"""That a job must last for to be worth using."""
_JOBS: Final = Bounds(pages=10, items=1_000)
_PAGE: Final = 100
_MAX_PEM: Final = 4096
_PAUSES: Final = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 8.0)
"""Seconds between looks whether a job's key was made; in an HSM that takes some."""


@dataclass(frozen=True, slots=True)
class Job:
    """An import job that can be used now."""

    name: str
    id: str
    method: str
    expires: datetime
    pem: bytes = field(repr=False)
    """SubjectPublicKeyInfo."""


def named(who: Hand, key: KeyName, id: str) -> Job:
    """The job that a deployment names. Raises ProbeError unless it can be used for a while."""
    return _usable(who, _get(who, f"{key.ring_name}/importJobs/{id}"))


def ready(who: Hand, key: KeyName, protection: str, sleep: Sleep) -> Job:
    """A job of keycheck's for this protection level: one that is there, or a new one. Raises ProbeError."""
    from google.cloud.kms_v1.types import ImportJob

    for each in _listed(who, key):
        told = (_id(each), enum_name(ImportJob.ImportMethod, each.import_method), _level(each), _state(each))
        if told[0].startswith(OURS) and told[1:] == (METHOD, protection, "ACTIVE") and not _ends(who, each):
            return _usable(who, each)
    made = _create(who, key, protection)
    for wait in _PAUSES:
        sleep(wait)
        found = _get(who, made)
        if _state(found) != "PENDING_GENERATION":
            return _usable(who, found)
    raise ProbeError(Reason.PROPAGATION_PENDING, "the import job's key is still being made; try again in a minute")


def _create(who: Hand, key: KeyName, protection: str) -> str:
    from google.cloud.kms_v1.types import CreateImportJobRequest, ImportJob

    id = f"{OURS}{who.io.clock():%Y%m%d-%H%M%S}-{who.io.entropy(2).hex()}"
    request = CreateImportJobRequest(
        parent=key.ring_name,
        import_job_id=id,
        import_job=ImportJob(import_method=METHOD, protection_level=protection),
    )
    who.once(
        WRITES,
        f"create an import job in {key.ring_name}",
        lambda seconds: who.client.create_import_job(request=request, retry=None, timeout=seconds),
    )
    return f"{key.ring_name}/importJobs/{id}"


def _get(who: Hand, name: str) -> ImportJob:
    found = who.session.ask(
        Api.KMS, f"get {name}", lambda seconds: who.client.get_import_job(name=name, retry=None, timeout=seconds)
    )
    if found.name.split("/")[2:] != name.split("/")[2:]:  # a project has an id and a number
        raise ProbeError(Reason.MALFORMED, "the answer is about another import job")
    return found


def _listed(who: Hand, key: KeyName) -> tuple[ImportJob, ...]:
    """What can be read of the jobs: one that is not seen is made anew."""
    from google.cloud.kms_v1.types import ListImportJobsRequest

    def fetch(token: str) -> Page[ImportJob]:
        request = ListImportJobsRequest(parent=key.ring_name, page_size=_PAGE, page_token=token)
        answer = who.session.ask(
            Api.KMS,
            f"list the import jobs of {key.ring_name}",
            lambda seconds: who.client.list_import_jobs(request=request, retry=None, timeout=seconds),
        )
        return Page(tuple(answer.import_jobs), answer.next_page_token, answer.total_size)

    return read_all(fetch, _JOBS).items


def _usable(who: Hand, job: ImportJob) -> Job:
    from google.cloud.kms_v1.types import ImportJob

    id, method, pem = _id(job), enum_name(ImportJob.ImportMethod, job.import_method), job.public_key.pem
    if (state := _state(job)) != "ACTIVE" or _ends(who, job):
        ends = "ends too soon" if state == "ACTIVE" else f"is {state}"
        raise ProbeError(
            Reason.UNSUPPORTED,
            vendor_text(
                f"import job {id} {ends}: make another one with `keycheck drill import-parameters`, and wrap anew"
            ),
        )
    expires = maybe_moment(ImportJob.pb(job), "expire_time")
    if expires is None or not pem or len(pem) > _MAX_PEM:
        raise ProbeError(Reason.MALFORMED, f"import job {vendor_text(id, 70)}: answered no public key or no end")
    return Job(job.name, id, method, expires, pem.encode("utf-8"))


def _ends(who: Hand, job: ImportJob) -> bool:
    from google.cloud.kms_v1.types import ImportJob

    expires = maybe_moment(ImportJob.pb(job), "expire_time")
    return expires is None or expires <= who.io.clock() + LEFT


def _id(job: ImportJob) -> str:
    return job.name.rpartition("/importJobs/")[2]


def _state(job: ImportJob) -> str:
    from google.cloud.kms_v1.types import ImportJob

    return enum_name(ImportJob.ImportJobState, job.state)


def _level(job: ImportJob) -> str:
    from google.cloud.kms_v1.types import ProtectionLevel

    return enum_name(ProtectionLevel, job.protection_level)
