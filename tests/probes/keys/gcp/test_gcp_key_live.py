"""Keys of the lab's Google Cloud, read through the real client."""

from __future__ import annotations

import hashlib
from datetime import timedelta

import pytest
from gcp_company import INSPECTOR, KEY_ASPECTS, NEEDED, NOW, Company

from keycheck.errors import ProbeError
from keycheck.lab.gcp.attest import Flaw
from keycheck.model.facts import Unseen
from keycheck.model.verdict import Reason
from probes.keys import gcp
from probes.keys.aspects import ALWAYS, Aspect
from probes.keys.gcp_facts import (
    Attestation,
    ChainStatus,
    GcpHierarchy,
    GcpKey,
    GcpVersion,
    Justifications,
    NoJustifications,
)


def look(company: Company, resource: str, asked: frozenset[Aspect] = KEY_ASPECTS, roots: bool = True) -> GcpKey:
    return gcp.key(company.subject(resource, roots=roots), "europe-west3", asked, company.io())[0]


def versions(key: GcpKey) -> tuple[GcpVersion, ...]:
    assert not isinstance(key.versions, Unseen), key.versions
    return key.versions


def hierarchy(key: GcpKey) -> GcpHierarchy:
    assert not isinstance(key.hierarchy, Unseen), key.hierarchy
    return key.hierarchy


def test_an_hsm_key_is_described_with_everything_above_it(company: Company) -> None:
    name = company.seed(
        rotation_period=timedelta(days=90),
        destroy_scheduled=timedelta(days=30),
        allowed_reasons=["CUSTOMER_INITIATED_ACCESS"],
        created=NOW - timedelta(days=40),
    )
    iam = company.cloud.iam
    iam.bind(name, "roles/cloudkms.cryptoKeyEncrypterDecrypter", "serviceAccount:app@vendor.iam.gserviceaccount.com")
    until = 'request.time < timestamp("2027-01-01T00:00:00Z")'
    iam.bind(company.ring, "roles/cloudkms.viewer", "group:audit@acme.example", condition=until)
    key = look(company, name)
    assert (key.name, key.project, key.location, key.purpose) == (name, "acme", "europe-west3", "ENCRYPT_DECRYPT")
    assert key.project_number is not None
    assert key.project_number.isdecimal()
    assert key.caller == INSPECTOR
    assert (key.primary, key.rotation_period_s, key.destroy_scheduled_s) == ("1", 90 * 86400, 30 * 86400)
    assert key.justifications == Justifications(allowed=("CUSTOMER_INITIATED_ACCESS",))
    (version,) = versions(key)
    assert (version.state, version.algorithm, version.protection) == ("ENABLED", "GOOGLE_SYMMETRIC_ENCRYPTION", "HSM")
    assert version.created == NOW - timedelta(days=40)
    above = hierarchy(key)
    assert above.complete, above.why_not
    names = [level.resource for level in above.levels]
    assert names == ["cryptoKey", "keyRing", "projects/acme", company.folder, company.organization]
    own, ring, *_ = (level.bindings for level in above.levels)
    assert not isinstance(own, Unseen)
    assert not isinstance(ring, Unseen)
    assert own[0].members == ("serviceAccount:app@vendor.iam.gserviceaccount.com",)
    assert ring[0].condition == until


def test_attestations_are_verified_and_kept_as_answered(company: Company) -> None:
    name = company.seed(versions=2)
    key, blobs = gcp.key(company.subject(name), "europe-west3", KEY_ASPECTS, company.io())
    for version in versions(key):
        seen = version.attestation
        assert isinstance(seen, Attestation), seen
        assert (seen.maker.status, seen.cloud.status) == (ChainStatus.VERIFIED, ChainStatus.VERIFIED)
        assert (seen.statement, seen.names, seen.extractable) == ("signed", "this-version", "no")
        raw = next(blob for blob in blobs if blob.name == f"attestation-{version.id}")
        assert hashlib.sha256(raw.content).hexdigest() == seen.sha256
    assert len(blobs) == 4


@pytest.mark.parametrize("flaw", list(Flaw))
def test_each_flaw_of_an_attestation_shows(company: Company, flaw: Flaw) -> None:
    name = company.seed()
    version = f"{name}/cryptoKeyVersions/1"
    kms = company.cloud.kms
    kms.attach(version, company.cloud.hsm.attest(kms.version(version), flaw))
    subject = company.subject(name)
    if flaw is Flaw.EXPIRED_ROOT:
        files = tuple(path.name for path in company.cloud.hsm.roots(company.home, expired=True))
        subject = subject.model_copy(update={"attestation_roots": files})
    key, _ = gcp.key(subject, "europe-west3", KEY_ASPECTS, company.io())
    seen = versions(key)[0].attestation
    assert isinstance(seen, Attestation)
    told = (seen.maker.status, seen.cloud.status, seen.statement, seen.names, seen.extractable)
    good = ChainStatus.VERIFIED
    match flaw:
        case Flaw.NOT_CHAINED:
            assert told[:2] == (ChainStatus.NOT_CHAINED, ChainStatus.NOT_CHAINED)
        case Flaw.ANOTHER_VERSION:
            assert told == (good, good, "signed", "another", "no")
        case Flaw.EXPIRED_ROOT:
            assert told == (ChainStatus.EXPIRED_ROOT, good, "signed", "this-version", "no")
        case Flaw.TAMPERED:
            assert told == (good, good, "not-signed", "nothing", "not-stated")
        case Flaw.EXTRACTABLE:
            assert told == (good, good, "signed", "this-version", "yes")
        case Flaw.OTHER_PARTITION:
            assert told[1:3] == (ChainStatus.NOT_CHAINED, "not-signed")


def test_roots_that_cannot_be_read_leave_no_attestation_unsaid(company: Company) -> None:
    name = company.seed()
    subject = company.subject(name).model_copy(update={"attestation_roots": ("maker-root.pem", "gone.pem")})
    seen = versions(gcp.key(subject, "europe-west3", KEY_ASPECTS, company.io())[0])[0].attestation
    assert isinstance(seen, Unseen)
    assert "gone.pem" in seen.detail
    none = versions(look(company, name, roots=False))[0].attestation
    assert isinstance(none, Attestation)
    assert none.maker.status is ChainStatus.NO_ROOT


def test_software_and_external_keys_say_what_they_are(company: Company) -> None:
    soft = look(company, company.seed("soft", "SOFTWARE"))
    assert versions(soft)[0].attestation is None
    assert soft.justifications == NoJustifications()
    name = company.seed("hyok", "EXTERNAL", versions=0)
    company.cloud.kms.seed_version(name, external_uri="https://ekm.acme.example/keys/1")
    outside = look(company, name)
    assert (versions(outside)[0].protection, versions(outside)[0].external_uri) == (
        "EXTERNAL",
        "https://ekm.acme.example/keys/1",
    )


def test_an_imported_version_names_its_job_and_time(company: Company) -> None:
    name = company.seed(versions=0, import_only=True)
    job = f"{company.ring}/importJobs/j1"
    company.cloud.kms.seed_version(name, import_job=job, created=NOW - timedelta(days=3))
    key = look(company, name)
    assert key.import_only
    assert (versions(key)[0].import_job, versions(key)[0].imported) == (job, NOW - timedelta(days=3))


def test_what_is_not_asked_is_not_recorded_and_not_called(company: Company) -> None:
    name = company.seed()
    company.allow("cloudkms.cryptoKeys.get", "cloudkms.cryptoKeyVersions.list")
    key = look(company, name, ALWAYS)
    version = versions(key)[0]
    for value in (key.hierarchy, key.justifications, version.attestation):
        assert isinstance(value, Unseen)
        assert value.reason is Reason.NOT_RECORDED


def test_every_page_of_versions_is_read(company: Company) -> None:
    name = company.seed(protection="SOFTWARE", versions=250)
    ids = [int(version.id) for version in versions(look(company, name))]
    assert ids == list(range(1, 251))


def test_the_permissions_are_enough_and_none_is_unused(company: Company) -> None:
    name = company.seed()
    company.cloud.iam.forget()
    key = look(company, name)
    assert hierarchy(key).complete
    _, events, _, _ = gcp.log(
        company.subject(name),
        "europe-west3",
        frozenset({Aspect.LOGGING, Aspect.EVENTS}),
        (NOW - timedelta(days=7), NOW),
        company.io(),
    )
    assert not isinstance(events, Unseen)
    used = {permission for _, permission in company.cloud.iam.asked()}
    # attestations come with the FULL listing of versions
    assert used == NEEDED - {"cloudkms.cryptoKeyVersions.get"}


@pytest.mark.parametrize(
    ("permission", "level"),
    [
        ("cloudkms.cryptoKeys.getIamPolicy", "cryptoKey"),
        ("cloudkms.keyRings.getIamPolicy", "keyRing"),
        ("resourcemanager.projects.getIamPolicy", "projects/acme"),
        ("resourcemanager.folders.getIamPolicy", "folders/"),
        ("resourcemanager.organizations.getIamPolicy", "organizations/"),
    ],
)
def test_a_denied_level_is_unseen_and_the_hierarchy_incomplete(company: Company, permission: str, level: str) -> None:
    name = company.seed()
    company.without(permission)
    above = hierarchy(look(company, name))
    assert not above.complete
    assert above.why_not
    denied = [each for each in above.levels if isinstance(each.bindings, Unseen)]
    assert [each.resource.startswith(level) for each in denied] == [True]
    assert isinstance(denied[0].bindings, Unseen)
    assert denied[0].bindings.reason is Reason.PERMISSION_DENIED
    assert len(above.levels) == 5


@pytest.mark.parametrize(
    ("permission", "levels"), [("resourcemanager.projects.get", 3), ("resourcemanager.folders.get", 4)]
)
def test_what_is_above_an_unreadable_container_is_not_taken_for_nothing(
    company: Company, permission: str, levels: int
) -> None:
    name = company.seed()
    company.without(permission)
    above = hierarchy(look(company, name))
    assert not above.complete
    assert "not known" in above.why_not
    assert len(above.levels) == levels


def test_a_denied_listing_leaves_versions_unseen(company: Company) -> None:
    name = company.seed()
    company.without("cloudkms.cryptoKeyVersions.list")
    key = look(company, name)
    assert isinstance(key.versions, Unseen)
    assert key.versions.reason is Reason.PERMISSION_DENIED


def test_a_key_that_may_not_be_read_is_no_key(company: Company) -> None:
    name = company.seed()
    company.without("cloudkms.cryptoKeys.get")
    with pytest.raises(ProbeError, match="inspector") as caught:
        look(company, name)
    assert caught.value.reason is Reason.PERMISSION_DENIED


def test_a_key_that_does_not_exist_is_unreachable(company: Company) -> None:
    company.seed()
    with pytest.raises(ProbeError) as caught:
        look(company, f"{company.ring}/cryptoKeys/nobody")
    assert caught.value.reason is Reason.UNREACHABLE


def test_a_project_without_a_parent_completes_the_hierarchy(company: Company) -> None:
    company.cloud.directory.project("lone")
    company.cloud.iam.bind("projects/lone", company.role, f"serviceAccount:{INSPECTOR}")
    name = company.cloud.kms.seed_key("projects/lone/locations/europe-west3/keyRings/r/cryptoKeys/k")
    above = hierarchy(look(company, name))
    assert above.complete
    assert [level.resource for level in above.levels] == ["cryptoKey", "keyRing", "projects/lone"]


def test_the_survey_asks_nobody(company: Company) -> None:
    name = company.seed()
    assert gcp.survey(company.subject(name), company.io()).parts == ("europe-west3",)
    assert company.cloud.iam.asked() == frozenset()


def test_calls_are_counted_for_the_plan() -> None:
    assert gcp.key_calls(ALWAYS) == 2
    assert gcp.key_calls(KEY_ASPECTS) == 8
    assert gcp.log_calls(frozenset()) == 0
    assert gcp.log_calls(frozenset({Aspect.LOGGING, Aspect.EVENTS})) == 6
