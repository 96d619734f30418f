"""Whose a key is, where its material comes from, what it is and where: each verdict on hand-made facts."""

from __future__ import annotations

from datetime import timedelta

import pytest
from made_keys import (
    DENIED,
    KEY_ARN,
    LOST,
    VENDOR,
    ago,
    attestation,
    aws_key,
    chain,
    description,
    facts,
    gcp_key,
    material,
    only,
    policies,
    statement,
    version,
    when,
)

from keycheck.model.control import Control
from keycheck.model.verdict import Kind, Reason
from probes.keys.aws_facts import AwsStore, MultiRegion, NoStore
from probes.keys.deletion_control import DeletionWindow
from probes.keys.gcp_facts import ChainStatus, Justifications, NoJustifications
from probes.keys.hsm_controls import KeyAttestation, KeyJustifications
from probes.keys.location_control import Location
from probes.keys.material_controls import MaterialAge, MaterialExpiry
from probes.keys.origin_controls import Algorithm, CustomerManaged, Origin, Protection

IMPORTED = Origin.model_validate({"only": ["imported"]})
EU = Location.model_validate({"jurisdiction": ["EU"]})
YEAR = MaterialAge.model_validate({"max_age": "P365D"})
MONTH = MaterialExpiry.model_validate({"horizon": "P30D"})


def store(connection: str = "CONNECTED") -> AwsStore:
    return AwsStore(
        id="cks-1",
        name="vault",
        type="EXTERNAL_KEY_STORE",
        connection=connection,
        error=None,
        xks_connectivity=None,
        xks_endpoint=None,
    )


def external(**changes: object) -> object:
    changes = {"materials": (), "store": store(), **changes}
    return aws_key(description(origin="EXTERNAL_KEY_STORE", expiration_model=None), **changes)


def verdict(control: Control, key: object, **declared: object) -> tuple[str, str, str]:
    judged = control.judge(facts(key, **declared))  # type: ignore[arg-type]
    return judged.kind.value, ",".join(judged.reasons), judged.message


def test_the_healthy_imported_key_that_other_tools_fail_passes() -> None:
    for control in (CustomerManaged(), IMPORTED, Algorithm(), Protection(only=frozenset({"hsm"})), EU, YEAR, MONTH):
        for key in (aws_key(), gcp_key()):
            judged = control.judge(facts(key))
            assert judged.kind in (Kind.PASS, Kind.NOT_APPLICABLE), (control.id, judged)


@pytest.mark.parametrize(
    ("about", "kind", "word"),
    [
        ({"manager": "AWS"}, "fail", "managed by AWS"),
        ({"manager": "SOMEBODY"}, "inconclusive", "SOMEBODY"),
        ({"state": "Disabled"}, "fail", "Disabled"),
        ({"state": "Unavailable"}, "fail", "Unavailable"),
        ({"state": "PendingImport"}, "fail", "PendingImport"),
        ({"state": "Updating"}, "inconclusive", "Updating"),
    ],
)
def test_customer_managed_by_state_and_manager(about: dict[str, object], kind: str, word: str) -> None:
    seen = verdict(CustomerManaged(), aws_key(description(**about)))
    assert seen[0] == kind
    assert word in seen[2]


def test_customer_managed_needs_the_declared_owner() -> None:
    assert verdict(CustomerManaged(), aws_key(account=VENDOR))[0] == "fail"
    kind, reason, message = verdict(CustomerManaged(), aws_key(), owner=None)
    assert (kind, reason) == ("inconclusive", "not-covered")
    assert "agreed.owner" in message
    assert verdict(CustomerManaged(), aws_key(description(state="Disabled")), owner=None)[0] == "fail"
    assert verdict(CustomerManaged(), gcp_key(project="vendor-prod"))[0] == "fail"
    assert verdict(CustomerManaged(), gcp_key(project="123456789012"))[0] == "inconclusive"
    assert verdict(CustomerManaged(), gcp_key(), owner="123456789012")[0] == "inconclusive"
    assert verdict(CustomerManaged(), gcp_key(project_number="123456789012"), owner="123456789012")[0] == "pass"
    assert verdict(CustomerManaged(), gcp_key(project_number="999999999999"), owner="123456789012")[0] == "fail"


def test_customer_managed_needs_an_enabled_version() -> None:
    assert verdict(CustomerManaged(), gcp_key(version("2", state="DISABLED")))[0] == "fail"
    assert verdict(CustomerManaged(), gcp_key(version("2", state="PENDING_GENERATION")))[1] == "propagation-pending"
    assert verdict(CustomerManaged(), gcp_key(version("1")))[1] == "not-covered"
    assert verdict(CustomerManaged(), gcp_key(primary=None))[0] == "fail"
    raw = {"purpose": "RAW_ENCRYPT_DECRYPT", "primary": None}
    assert verdict(CustomerManaged(), gcp_key(**raw))[0] == "pass"
    assert verdict(CustomerManaged(), gcp_key(version("1", state="DISABLED"), **raw))[0] == "fail"
    assert verdict(CustomerManaged(), gcp_key(versions=DENIED))[1] == "permission-denied"
    assert verdict(CustomerManaged(), gcp_key(versions=DENIED, project="vendor-prod"))[0] == "fail"
    assert verdict(CustomerManaged(), gcp_key(versions=LOST))[0] == "error"


def test_origin() -> None:
    assert verdict(IMPORTED, aws_key(description(origin="AWS_KMS")))[0] == "fail"
    assert verdict(IMPORTED, aws_key(description(origin="MARS")))[1] == "unsupported"
    held = Origin.model_validate({"only": ["external", "custom-hsm"]})
    assert verdict(held, external())[0] == "pass"
    assert verdict(held, external(store=store("DISCONNECTED")))[0] == "fail"
    assert verdict(held, external(store=store("FAILED")))[0] == "fail"
    assert verdict(held, external(store=store("CONNECTING")))[1] == "propagation-pending"
    assert verdict(held, external(store=DENIED))[1] == "permission-denied"
    assert verdict(held, external(store=NoStore()))[1] == "conflicting"
    assert verdict(IMPORTED, external(store=DENIED))[0] == "fail"
    generated = version("2", import_job=None, imported=None, generated=ago(3))
    assert verdict(IMPORTED, gcp_key(version("1"), generated))[0] == "fail"
    assert (
        verdict(IMPORTED, gcp_key(version("1", state="DESTROYED", import_job=None, imported=None), version()))[0]
        == "pass"
    )
    assert verdict(held, gcp_key(version(protection="EXTERNAL_VPC")))[0] == "pass"
    assert verdict(IMPORTED, gcp_key(version(state="DESTROYED")))[1] == "no-positive"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("GOOGLE_SYMMETRIC_ENCRYPTION", "pass"),
        ("AES_256_GCM", "pass"),
        ("AES_256_CBC", "fail"),
        ("AES_128_GCM", "fail"),
        ("RSA_DECRYPT_OAEP_4096_SHA256", "fail"),
        ("HMAC_SHA256", "fail"),
        ("EXTERNAL_SYMMETRIC_ENCRYPTION", "inconclusive"),
        ("AES_512_FUTURE", "inconclusive"),
    ],
)
def test_algorithm_of_versions(name: str, kind: str) -> None:
    assert verdict(Algorithm(), gcp_key(version("1", state="DISABLED", algorithm=name), version("2")))[0] == kind
    assert verdict(Algorithm(), gcp_key(version("1", state="DESTROYED", algorithm=name), version("2")))[0] == "pass"


def test_algorithm_of_aws_keys() -> None:
    assert verdict(Algorithm(), aws_key(description(spec="RSA_4096")))[0] == "fail"
    assert verdict(Algorithm(), aws_key(description(spec="HMAC_256", usage="GENERATE_VERIFY_MAC")))[0] == "fail"
    assert "SM4" in verdict(Algorithm(), aws_key(partition="aws-cn"))[2]
    assert "external key manager" in verdict(Algorithm(), external())[2]


def test_protection() -> None:
    hsm = Protection.model_validate({"only": ["hsm"]})
    assert "no attestation" in verdict(hsm, aws_key())[2]
    assert verdict(hsm, external())[0] == "fail"
    assert verdict(hsm, aws_key(partition="aws-cn"))[1] == "not-covered"
    assert verdict(hsm, gcp_key(version(protection="SOFTWARE")))[0] == "fail"
    assert verdict(hsm, gcp_key(version(protection="HSM_SINGLE_TENANT")))[0] == "pass"
    assert verdict(hsm, gcp_key(version(protection="")))[1] == "unsupported"


def test_location() -> None:
    assert verdict(EU, aws_key(region="us-east-1"))[0] == "fail"
    assert verdict(EU, aws_key(region="mars-1"))[1] == "not-covered"
    replica = MultiRegion(kind="PRIMARY", primary=KEY_ARN, replicas=(KEY_ARN.replace("eu-central-1", "us-east-1"),))
    kind, _, message = verdict(EU, aws_key(description(multi_region=replica)))
    assert kind == "fail"
    assert "us-east-1" in message
    assert "everywhere" in verdict(EU, gcp_key(location="global"))[2]
    assert verdict(EU, gcp_key(location="europe"))[0] == "pass"
    assert "CH" in verdict(EU, gcp_key(location="eur6"))[2]
    assert verdict(EU, gcp_key(location="us"))[0] == "fail"


def test_location_of_an_external_key_manager_is_what_is_declared() -> None:
    for key in (external(), gcp_key(version(protection="EXTERNAL"))):
        assert verdict(EU, key)[1] == "not-covered"
        assert verdict(EU, key, held_in="DE")[0] == "pass"
        assert verdict(EU, key, held_in="US")[0] == "fail"


def test_material_age_is_the_materials_own() -> None:
    stale = (material("NON_CURRENT"), material("CURRENT", rotated=ago(400)))
    assert verdict(YEAR, aws_key(materials=stale))[0] == "fail"
    assert verdict(YEAR, aws_key(materials=(material("CURRENT", rotated=ago(-1)),)))[1] == "clock-untrusted"
    assert verdict(YEAR, aws_key(materials=DENIED))[1] == "permission-denied"
    first = (material("CURRENT", rotated=None),)
    assert verdict(YEAR, aws_key(materials=first))[1] == "not-covered"
    assert verdict(YEAR, aws_key(description(created=ago(200)), materials=first))[0] == "pass"
    assert verdict(YEAR, aws_key(description(origin="AWS_KMS"), materials=first))[0] == "fail"
    assert verdict(YEAR, aws_key(description(created=ago(2)), materials=()))[1] == "not-covered"
    gone = (material("CURRENT", rotated=ago(1), import_state="PENDING_IMPORT"),)
    assert verdict(YEAR, aws_key(materials=gone))[1] == "no-positive"
    rsa = description(spec="RSA_4096", created=ago(9))
    assert verdict(YEAR, aws_key(rsa, materials=DENIED))[0] == "pass"


RELATED = MultiRegion(kind="PRIMARY", primary=KEY_ARN, replicas=())


@pytest.mark.parametrize(("origin", "model"), [("AWS_KMS", None), ("EXTERNAL", "KEY_MATERIAL_DOES_NOT_EXPIRE")])
def test_material_of_a_multi_region_key_may_be_older_than_the_key(origin: str, model: str | None) -> None:
    def aged(days: int, rotated: object = None) -> tuple[str, str, str]:
        about = description(origin=origin, created=ago(days), multi_region=RELATED, expiration_model=model)
        return verdict(YEAR, aws_key(about, materials=(material(rotated=rotated),)))

    assert aged(3)[:2] == ("inconclusive", "not-covered")
    assert aged(400, ago(3))[0] == "pass"
    assert aged(3, ago(400))[0] == "fail"
    assert aged(400)[0] == ("fail" if origin == "AWS_KMS" else "inconclusive")


def test_there_is_one_current_material_and_all_answers_name_it() -> None:
    for rule in (YEAR, MONTH):
        assert verdict(rule, aws_key(materials=(material("NON_CURRENT"),)))[:2] == ("inconclusive", "not-covered")
        assert verdict(rule, aws_key(materials=(material(), material(id="other"))))[1] == "not-covered"
        assert verdict(rule, aws_key(description(current_material="other")))[:2] == ("inconclusive", "conflicting")
        assert verdict(rule, aws_key(description(current_material=None)))[0] == "pass"


def test_material_age_where_the_cloud_keeps_no_date() -> None:
    lenient = YEAR.model_copy(update={"applies": "recorded"})
    for key in (external(), gcp_key(version(protection="EXTERNAL", imported=None, import_job=None))):
        assert verdict(YEAR, key)[1] == "unsupported"
        assert verdict(lenient, key)[0] == "not-applicable"


def test_material_age_of_versions() -> None:
    assert verdict(YEAR, gcp_key(version("2", imported=ago(366))))[0] == "fail"
    assert verdict(YEAR, gcp_key(version("1", imported=ago(900)), version("2", imported=ago(1))))[0] == "pass"
    raw = {"purpose": "RAW_ENCRYPT_DECRYPT", "primary": None}
    assert verdict(YEAR, gcp_key(version("1", imported=ago(900)), version("2"), **raw))[0] == "fail"
    assert verdict(YEAR, gcp_key(version("2", imported=None)))[1] == "no-positive"
    assert verdict(YEAR, gcp_key(primary=None))[1] == "no-positive"


def test_material_expiry() -> None:
    old = material("NON_CURRENT")
    assert verdict(MONTH, aws_key(description(origin="AWS_KMS"), materials=DENIED))[0] == "not-applicable"
    missing = material("NON_CURRENT", import_state="PENDING_IMPORT", expiration_model=None)
    assert "unusable" in verdict(MONTH, aws_key(materials=(missing, material())))[2]
    soon = material(expiration_model="KEY_MATERIAL_EXPIRES", valid_to=ago(-10))
    kind, _, message = verdict(MONTH, aws_key(materials=(old, soon)))
    assert kind == "fail"
    assert "2026-12-02" in message
    later = material(expiration_model="KEY_MATERIAL_EXPIRES", valid_to=ago(-100))
    assert "2027-03-02" in verdict(MONTH, aws_key(materials=(old, later)))[2]
    assert (
        verdict(MONTH, aws_key(materials=(material(state="NON_CURRENT", expiration_model=None), later)))[1]
        == "not-covered"
    )
    waiting = material("PENDING_ROTATION", import_state="PENDING_IMPORT")
    assert verdict(MONTH, aws_key(materials=(material(), waiting)))[0] == "pass"
    assert verdict(MONTH, aws_key(materials=(material(), material("NEW_STATE"))))[1] == "unsupported"
    assert verdict(MONTH, aws_key(materials=DENIED))[1] == "permission-denied"
    assert verdict(MONTH, aws_key(description(valid_to=ago(-3)), materials=DENIED))[0] == "fail"
    assert verdict(MONTH, aws_key(materials=()))[1] == "no-positive"
    assert verdict(MONTH, gcp_key())[0] == "not-applicable"
    assert verdict(MONTH, gcp_key(version(state="IMPORT_FAILED", import_failure="bad wrap")))[0] == "fail"


WINDOW = DeletionWindow.model_validate({"at_least": "P7D"})
LONG = DeletionWindow.model_validate({"at_least": "P14D"})
LIMIT = "kms:ScheduleKeyDeletionPendingWindowInDays"


def test_deletion_window_of_aws() -> None:
    assert verdict(WINDOW, aws_key(policies=DENIED))[0] == "pass"
    leaving = description(state="PendingDeletion", deletion_date=ago(-5))
    assert "2026-11-27" in verdict(WINDOW, aws_key(leaving))[2]
    assert verdict(LONG, aws_key())[0] == "fail"
    assert verdict(LONG, aws_key(policies=DENIED))[1] == "permission-denied"
    assert verdict(LONG, aws_key(leaving, policies=DENIED))[0] == "fail"
    assert verdict(DeletionWindow(at_least=timedelta(days=31)), aws_key(policies=DENIED))[0] == "fail"


@pytest.mark.parametrize(
    ("denied", "kind"),
    [
        (statement("*", ("kms:ScheduleKeyDeletion",), when("NumericLessThan", LIMIT, "14"), effect="Deny"), "pass"),
        (statement("*", ("kms:Schedule*",), when("NumericLessThanEquals", LIMIT, "13"), effect="Deny"), "pass"),
        (statement("*", ("kms:*",), when("NumericLessThanIfExists", LIMIT, "14"), effect="Deny"), "pass"),
        (statement("*", ("kms:*",), when("NumericLessThanIfExists", LIMIT, "13"), effect="Deny"), "fail"),
        (statement("*", ("kms:ScheduleKeyDeletion",), effect="Deny"), "pass"),
        (statement("*", ("kms:ScheduleKeyDeletion",), when("NumericLessThan", LIMIT, "13"), effect="Deny"), "fail"),
        (statement(VENDOR, ("kms:*",), when("NumericLessThan", LIMIT, "14"), effect="Deny"), "fail"),
        (statement("*", ("kms:*",), when("Bool", "aws:SecureTransport", "false"), effect="Deny"), "fail"),
        (statement("*", (), not_actions=("kms:Decrypt",), effect="Deny"), "pass"),
        (statement("*", ("kms:*",), effect="Deny", resources=("arn:aws:kms:*:*:key/other",)), "fail"),
    ],
)
def test_a_longer_window_needs_a_deny_for_everybody(denied: object, kind: str) -> None:
    assert verdict(LONG, aws_key(policies=policies(denied)))[0] == kind  # type: ignore[arg-type]
    assert verdict(LONG, aws_key(policies=only(denied)))[0] == kind  # type: ignore[arg-type]


def test_deletion_window_of_google() -> None:
    assert verdict(LONG, gcp_key())[0] == "pass"
    assert verdict(LONG, gcp_key(destroy_scheduled_s=86400))[0] == "fail"
    assert verdict(LONG, gcp_key(destroy_scheduled_s=None))[1] == "not-covered"
    leaving = version("1", state="DESTROY_SCHEDULED", destroy_time=ago(-9))
    assert "2026-12-01" in verdict(LONG, gcp_key(leaving, version()))[2]
    assert verdict(LONG, gcp_key(version(state="DESTROYED")))[0] == "fail"
    assert verdict(LONG, gcp_key(version("1", state="DESTROYED"), version()))[0] == "pass"


@pytest.mark.parametrize(
    ("change", "kind", "reason"),
    [
        ({}, "pass", ""),
        ({"maker": chain(ChainStatus.NOT_CHAINED)}, "fail", ""),
        ({"cloud": chain(ChainStatus.NOT_CHAINED)}, "fail", ""),
        ({"statement": "not-signed"}, "fail", ""),
        ({"names": "another"}, "fail", ""),
        ({"extractable": "yes"}, "fail", ""),
        ({"maker": chain(ChainStatus.EXPIRED_ROOT)}, "inconclusive", "no-positive"),
        ({"cloud": chain(ChainStatus.EXPIRED_CERTIFICATE)}, "inconclusive", "no-positive"),
        ({"maker": chain(ChainStatus.NO_ROOT)}, "inconclusive", "not-covered"),
        ({"maker": chain(ChainStatus.MISSING)}, "inconclusive", "not-covered"),
        ({"maker": chain(ChainStatus.MALFORMED)}, "inconclusive", "malformed"),
        ({"statement": "malformed"}, "inconclusive", "malformed"),
        ({"statement": "unknown-format"}, "inconclusive", "unsupported"),
        ({"names": "nothing"}, "inconclusive", "no-positive"),
        ({"extractable": "not-stated"}, "inconclusive", "no-positive"),
        ({"maker": chain(ChainStatus.EXPIRED_ROOT), "names": "another"}, "fail", ""),
    ],
)
def test_attestation(change: dict[str, object], kind: str, reason: str) -> None:
    key = gcp_key(version("1"), version("2", attestation=attestation(**change)), project_number="123456789012")
    assert verdict(KeyAttestation(), key)[:2] == (kind, reason)


def test_a_statement_may_name_the_project_in_the_way_that_is_not_known() -> None:
    named = version("2", attestation=attestation(names="another"))
    for unknown in ({"project_number": None}, {"project": "123456789012", "project_number": "123456789012"}):
        kind, reason, message = verdict(KeyAttestation(), gcp_key(named, **unknown))
        assert (kind, reason) == ("inconclusive", "not-covered")
        assert "resourcemanager.projects.get" in message


def test_attestations_are_told_apart_by_their_words() -> None:
    changes: tuple[dict[str, object], ...] = (
        *({"maker": chain(status)} for status in ChainStatus if status is not ChainStatus.VERIFIED),
        {"statement": "not-signed"}, {"names": "another"}, {"extractable": "yes"},
    )  # fmt: skip
    number = "123456789012"
    words = {
        verdict(KeyAttestation(), gcp_key(version(attestation=attestation(**change)), project_number=number))[2]
        for change in changes
    }
    assert len(words) == len(changes)


def test_attestation_where_none_is_offered() -> None:
    offered = KeyAttestation(applies="offered")
    for key in (aws_key(), gcp_key(version(protection="SOFTWARE", attestation=None))):
        assert verdict(KeyAttestation(), key)[1] == "unsupported"
        assert verdict(offered, key)[0] == "not-applicable"
    mixed = gcp_key(version("1", protection="EXTERNAL", attestation=None), version("2"))
    assert verdict(KeyAttestation(), mixed)[1] == "unsupported"
    assert verdict(offered, mixed)[0] == "pass"
    assert verdict(offered, gcp_key(version(attestation=None)))[1] == "not-covered"
    assert verdict(offered, gcp_key(version(attestation=DENIED)))[1] == "permission-denied"


def test_justifications() -> None:
    rule = KeyJustifications()
    assert verdict(rule, gcp_key())[0] == "pass"
    assert verdict(rule, gcp_key(justifications=Justifications(allowed=())))[0] == "pass"
    allowed = Justifications(allowed=("CUSTOMER_INITIATED_ACCESS", "THIRD_PARTY_DATA_REQUEST"))
    assert "THIRD_PARTY_DATA_REQUEST" in verdict(rule, gcp_key(justifications=allowed))[2]
    assert verdict(rule, gcp_key(justifications=Justifications(allowed=("NEW_REASON",))))[1] == "unsupported"
    assert verdict(rule, gcp_key(justifications=NoJustifications()))[0] == "fail"
    assert verdict(rule, gcp_key(justifications=DENIED))[1] == "permission-denied"
    assert verdict(rule, aws_key())[1] == "unsupported"
    assert verdict(KeyJustifications(applies="offered"), aws_key())[0] == "not-applicable"


def test_the_known_reasons_are_the_clients() -> None:
    from typing import get_args

    from google.cloud.kms_v1 import AccessReason as Client

    from probes.keys.hsm_controls import AccessReason

    assert set(get_args(AccessReason)) == {reason.name for reason in Client}


def test_inconclusive_names_the_reason_only_once() -> None:
    judged = KeyAttestation().judge(facts(gcp_key(version("1", attestation=None), version("2", attestation=None))))
    assert judged.reasons == (Reason.NOT_COVERED,)
