"""Cloud Storage: where buckets are with all their members, under which keys, and where they are copied to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeAlias

import pytest
from residency_gcp import (
    KEY,
    OTHER_KEY,
    Google,
    account,
    bucket,
    disabled,
    edges,
    identity,
    node,
    opened,
    regions,
    stored,
    world,
)

from keycheck.errors import ProbeError
from keycheck.model.facts import Unseen
from keycheck.model.observation import Disposition
from keycheck.model.verdict import Kind, Reason
from probes.residency import gcp
from probes.residency.rest_controls import Encrypted, UnderKey
from probes.residency.store_controls import Copies, Stores
from probes.residency.store_facts import ClosureFacts, EdgeKind, Encryption

Walk: TypeAlias = Callable[..., ClosureFacts]
EU = {"jurisdiction": ["EU"]}
CMEK = {"encryption": {"defaultKmsKeyName": KEY}}
SINK = "//storage.googleapis.com/projects/_/buckets/"


def judged(control: type[Stores | Copies | Encrypted | UnderKey], facts: ClosureFacts) -> Kind:
    given = EU if issubclass(control, Stores | Copies) else {}
    return control.model_validate(given).judge(facts).kind


def transfer(source: str, sink: str, **more: object) -> dict[str, object]:
    spec = {"gcsDataSource": {"bucketName": source}, "gcsDataSink": {"bucketName": sink}}
    return {"name": "transferJobs/1", "status": "ENABLED", "transferSpec": spec, **more}


def test_a_clean_bucket_passes(google: Google, walk: Walk) -> None:
    google.bucket("crm", "EUROPE-WEST3", stored("a", KEY), stored("b", KEY), **CMEK)
    facts = walk(bucket("crm"))
    assert opened(facts) == []
    assert regions(facts, "crm") == ("europe-west3",)
    found = node(facts, "crm")
    assert isinstance(found.encryption, Encryption)
    assert (found.encryption.method, found.encryption.key, found.account) == ("customer-key", KEY, "4711")
    assert found.objects is not None
    assert (found.objects.looked, found.objects.complete, found.objects.versions) == (2, True, True)
    assert [judged(each, facts) for each in (Stores, Copies, Encrypted)] == [Kind.PASS] * 3
    assert "ya29" not in facts.model_dump_json()


@pytest.mark.parametrize(
    ("location", "more", "expected", "status"),
    [
        ("EUROPE-WEST2", {}, ("europe-west2",), Kind.FAIL),
        ("EU", {"locationType": "multi-region"}, ("eu",), Kind.PASS),
        ("US", {"locationType": "multi-region"}, ("us",), Kind.FAIL),
        ("EUR4", {"locationType": "dual-region"}, ("europe-north1", "europe-west4"), Kind.PASS),
        ("EUR5", {"locationType": "dual-region"}, ("europe-west1", "europe-west2"), Kind.FAIL),
        (
            "EU",
            {
                "locationType": "dual-region",
                "customPlacementConfig": {"dataLocations": ["EUROPE-WEST3", "EUROPE-WEST6"]},
            },
            ("europe-west3", "europe-west6"),
            Kind.FAIL,
        ),
        ("EU", {"locationType": "dual-region"}, (), Kind.INCONCLUSIVE),
        ("EUROPE-WEST3", {"locationType": "multi-region"}, (), Kind.INCONCLUSIVE),
        ("EU", {"locationType": "region"}, (), Kind.INCONCLUSIVE),
        ("MOON-WEST1", {}, ("moon-west1",), Kind.INCONCLUSIVE),
        ("U-FRANCE-EAST1", {}, ("u-france-east1",), Kind.PASS),
    ],
)
def test_a_location_is_all_its_members(
    google: Google, walk: Walk, location: str, more: dict[str, object], expected: tuple[str, ...], status: Kind
) -> None:
    google.bucket("crm", location, **more)
    facts = walk(bucket("crm"))
    assert regions(facts, "crm") == expected
    assert judged(Stores, facts) is status


def test_objects_tell_their_own_keys(google: Google, walk: Walk) -> None:
    supplied = {"customerEncryption": {"encryptionAlgorithm": "AES256", "keySha256": "x"}}
    google.bucket("crm", "EUROPE-WEST3", **CMEK, softDeletePolicy={"retentionDurationSeconds": "604800"})

    def listing(query: Mapping[str, str], _body: object) -> object:
        if "softDeleted" in query:
            return {"items": [stored("gone", OTHER_KEY, at="2024-01-01T00:00:00Z")]}
        assert query["versions"] == "true"
        if "pageToken" not in query:
            return {"items": [stored("new", KEY), stored("new", generation="0")], "nextPageToken": "2"}
        return {"items": [stored("theirs", **supplied)]}

    google.says["/storage/v1/b/crm/o"] = listing
    found = node(walk(bucket("crm")), "crm")
    assert found.objects is not None
    assert {each.encryption.method for each in found.objects.encrypted_under} == {
        "customer-key",
        "provider-key",
        "client-supplied-key",
    }
    assert {each.encryption.key for each in found.objects.encrypted_under} == {KEY, OTHER_KEY, None}
    assert found.objects.looked == 4
    assert found.objects.oldest is not None
    assert found.objects.oldest.year == 2024
    assert found.note == "deleted objects are kept for 7 days"
    assert "new" not in str(found.objects.encrypted_under)


def test_names_of_objects_are_sealed(google: Google, tmp_path: Path) -> None:
    google.bucket("crm", "EUROPE-WEST3", stored("mrs-smith.pdf"))
    facts, blobs = gcp.walk(bucket("crm"), "whole", world(tmp_path, identity(google, tmp_path)))
    said = {blob.name: blob for blob in blobs}
    assert said["objects"].disposition is Disposition.SEALED
    assert b"mrs-smith" in said["objects"].content
    assert b"mrs-smith" not in said["answers"].content
    assert "mrs-smith" not in facts.model_dump_json()


@pytest.mark.parametrize(
    "said",
    [
        {"items": [{"name": "a"}]},
        {"items": [stored("a", KEY, kmsKeyName="nonsense")]} | {"nextPageToken": ""},
        {"items": {}},
        {"items": [stored("a", bucket="another")]},
        {"items": [stored("a")], "nextPageToken": "again"},
        b'{"items": [',
        (500, {}),
        (403, {}),
    ],
)
def test_objects_that_cannot_be_looked_at_pass_nothing(google: Google, walk: Walk, said: object) -> None:
    google.bucket("crm", **CMEK)
    google.says["/storage/v1/b/crm/o"] = {"items": [stored("a") | {"kmsKeyName": "nonsense"}]} if said is None else said
    facts = walk(bucket("crm"))
    found = node(facts, "crm")
    assert found.objects is not None
    if isinstance(said, dict) and said["items"] and said["items"][0].get("kmsKeyName"):
        return
    assert not found.objects.complete
    assert found.objects.failed
    assert ("crm", "encryption") in {each[:2] for each in opened(facts)}
    assert judged(Encrypted, facts) is Kind.INCONCLUSIVE


def test_a_key_that_is_none(google: Google, walk: Walk) -> None:
    google.bucket("crm", "EUROPE-WEST3", stored("a") | {"kmsKeyName": "nonsense"})
    facts = walk(bucket("crm"))
    assert ("crm", "encryption", "malformed") in opened(facts)
    assert judged(Encrypted, facts) is Kind.INCONCLUSIVE


def test_transfer_jobs_lead_abroad_and_on(google: Google, walk: Walk) -> None:
    google.bucket("crm", logging={"logBucket": "logs"})
    google.bucket("logs", "US", locationType="multi-region")
    google.bucket("replica", "EUROPE-WEST6")
    google.bucket("archive", "US-EAST4")

    def jobs(query: Mapping[str, str], _body: object) -> object:
        if "QUERY_REPLICATION_CONFIGS" in query["filter"]:
            spec = {"gcsDataSource": {"bucketName": "crm"}, "gcsDataSink": {"bucketName": "replica"}}
            return {"transferJobs": [{"name": "transferJobs/r", "status": "ENABLED", "replicationSpec": spec}]}
        assert query["filter"] == '{"projectId":"acme"}'
        return {"transferJobs": [transfer("replica", "archive", latestOperationName="transferOperations/1")]}

    google.says["/v1/transferJobs"] = jobs
    facts = walk(bucket("crm"))
    assert edges(facts, EdgeKind.REPLICATES) == [("crm", "replica"), ("replica", "archive")]
    assert edges(facts, EdgeKind.LOGS) == [("crm", "logs")]
    assert {edge.detail: edge.basis.value for edge in facts.edges if edge.kind is EdgeKind.REPLICATES} == {
        "transfer job transferJobs/r, enabled": "configured",
        "transfer job transferJobs/1, enabled": "happened",
    }
    assert judged(Stores, facts) is Kind.PASS
    assert judged(Copies, facts) is Kind.FAIL


@pytest.mark.parametrize(
    ("path", "said", "matters", "reason"),
    [
        ("/v1/transferJobs", disabled(), "copies", "permission-denied"),
        ("/v1/transferJobs", (404, {}), "copies", "unreachable"),
        ("/v1/transferJobs", {"transferJobs": [{"name": "transferJobs/1"}]}, "copies", "malformed"),
        ("/v1/transferJobs", {"transferJobs": [transfer("crm", "../x")]}, "copies", "malformed"),
        ("/v1/transferJobs", {"transferJobs": [transfer("crm", "far")]}, "everything", "permission-denied"),
        ("/v3/projects/4711", {"name": "projects/1", "projectId": "acme"}, "copies", "malformed"),
        (f"/v1/{KEY}", (403, {}), "copies", "permission-denied"),
        (f"/v1/{KEY}", {"name": OTHER_KEY, "versionTemplate": {"protectionLevel": "HSM"}}, "copies", "malformed"),
        (
            f"/v1/{KEY}",
            {"name": KEY, "versionTemplate": {"protectionLevel": "HSM"}, "primary": {"protectionLevel": "SOFTWARE"}},
            "copies",
            "conflicting",
        ),
    ],
)
def test_what_is_not_told_is_an_open_end(
    google: Google, walk: Walk, path: str, said: object, matters: str, reason: str
) -> None:
    google.bucket("crm", **CMEK)
    google.says[path] = said
    facts = walk(bucket("crm"))
    assert (matters, reason) in {each[1:] for each in opened(facts)}
    assert judged(Copies, facts) is Kind.INCONCLUSIVE


def test_a_transfer_to_what_is_no_bucket(google: Google, walk: Walk) -> None:
    google.bucket("crm")
    job = transfer("crm", "x-y")
    job["transferSpec"] = {"gcsDataSource": {"bucketName": "crm"}, "posixDataSink": {"rootDirectory": "/tmp"}}
    google.says["/v1/transferJobs"] = {"transferJobs": [job]}
    assert opened(walk(bucket("crm"))) == [("crm", "copies", "not-covered")]


def test_a_key_that_google_does_not_hold(google: Google, walk: Walk) -> None:
    outside = {"externalKeyUri": "https://keys.example.com/v0/1"}
    google.key(KEY, "EXTERNAL", primary={"protectionLevel": "EXTERNAL", "externalProtectionLevelOptions": outside})
    google.bucket("crm", **CMEK)
    facts = walk(bucket("crm"))
    assert edges(facts, EdgeKind.HELD_BY) == [("byok", "byok#external")]
    assert node(facts, "byok#external").note == "https://keys.example.com/v0/1"
    assert judged(Copies, facts) is Kind.INCONCLUSIVE


def test_a_key_in_a_global_ring_is_abroad(google: Google, walk: Walk) -> None:
    key = "projects/acme/locations/global/keyRings/crm/cryptoKeys/k"
    google.key(key)
    google.bucket("crm", encryption={"defaultKmsKeyName": key})
    assert judged(Copies, walk(bucket("crm"))) is Kind.FAIL


@pytest.mark.parametrize("said", [(404, {}), (403, {}), {"name": "another", "location": "EU"}, {"name": "crm"}, b"[]"])
def test_a_bucket_that_is_not_told_of(google: Google, walk: Walk, said: object) -> None:
    google.says["/storage/v1/b/crm"] = said
    facts = walk(bucket("crm"))
    assert isinstance(node(facts, "crm").place, Unseen)
    assert judged(Stores, facts) is Kind.INCONCLUSIVE
    assert judged(Encrypted, facts) is Kind.INCONCLUSIVE


def test_all_buckets_of_a_project(google: Google, walk: Walk) -> None:
    one, two = google.bucket("one"), google.bucket("two", "US-EAST4")
    pages = {"": {"items": [one], "nextPageToken": "n"}, "n": {"items": [two]}}

    def listing(query: Mapping[str, str], _body: object) -> object:
        assert query["project"] == "acme"
        if "softDeleted" in query:
            return {}
        return pages[query.get("pageToken", "")]

    google.says["/storage/v1/b"] = listing
    facts = walk(account(), "storage")
    assert [root.rpartition("/")[2] for root in facts.roots] == ["one", "two"]
    assert facts.whole_account
    assert judged(Stores, facts) is Kind.FAIL
    assert not any("GET /storage/v1/b/one?" in asked for asked in google.asked)


def test_a_project_without_buckets_is_not_a_project_that_is_not_told(google: Google, walk: Walk) -> None:
    google.says["/storage/v1/b"] = {}
    assert judged(Stores, walk(account(), "storage")) is Kind.NOT_APPLICABLE
    google.says["/storage/v1/b"] = (403, {})
    assert judged(Stores, walk(account(), "storage")) is Kind.INCONCLUSIVE


def test_another_identity_reads_in_another_project(google: Google, tmp_path: Path) -> None:
    google.bucket("crm")
    google.bucket("theirs", "EUROPE-WEST4", projectNumber="99")
    google.says["/v1/transferJobs"] = {"transferJobs": [transfer("crm", "theirs")]}
    google.says["/v3/projects/99"] = {"name": "projects/99", "projectId": "partner"}
    denied: list[str] = []

    def theirs(_query: Mapping[str, str], _body: object) -> object:
        if not denied:
            denied.append("once")
            return (403, {})
        return google.bucket("theirs", "EUROPE-WEST4", projectNumber="99")

    google.says["/storage/v1/b/theirs"] = theirs
    both = identity(google, tmp_path), identity(google, tmp_path, "partner")
    facts, _ = gcp.walk(bucket("crm", others=["partner"]), "whole", world(tmp_path, *both))
    assert regions(facts, "theirs") == ("europe-west4",)
    assert node(facts, "theirs").account == "99"


def test_no_time_is_no_answer(google: Google, tmp_path: Path) -> None:
    google.bucket("crm")
    facts, _ = gcp.walk(bucket("crm"), "whole", world(tmp_path, identity(google, tmp_path), budget=1.5))
    assert judged(Stores, facts) is Kind.INCONCLUSIVE
    assert "timeout" in {each[2] for each in opened(facts)}


def test_guards_are_told_and_prove_nothing(google: Google, walk: Walk) -> None:
    google.bucket("crm", "US-EAST4")
    rules = [{"values": {"allowedValues": ["in:eu-locations"]}, "condition": {"expression": "tag"}}, {"allowAll": True}]
    google.says["/v2/projects/4711/policies/gcp.resourceLocations:getEffectivePolicy"] = {"spec": {"rules": rules}}
    facts = walk(bucket("crm"))
    assert not isinstance(facts.guards, Unseen)
    assert [(each.allows, each.exceptions) for each in facts.guards] == [(("in:eu-locations",), ("only where tag",))]
    assert judged(Stores, facts) is Kind.FAIL


def test_names_that_are_none(google: Google, tmp_path: Path) -> None:
    io = world(tmp_path, identity(google, tmp_path))
    for name, reason in (
        ("//storage.googleapis.com/buckets/x", Reason.MALFORMED),
        ("//storage.evil.example/projects/_/buckets/crm", Reason.UNSUPPORTED),
    ):
        subject = bucket("x").model_copy(update={"what": bucket("x").what.model_copy(update={"name": name})})
        with pytest.raises(ProbeError) as caught:
            gcp.walk(subject, "whole", io)
        assert caught.value.reason is reason
    assert google.asked == []


def test_deleted_buckets_that_are_kept(google: Google, walk: Walk) -> None:
    gone = {**google.bucket("one", "US-EAST4"), "softDeleteTime": "2026-11-20T00:00:00Z", "generation": "7"}
    live = google.bucket("one")

    def listing(query: Mapping[str, str], _body: object) -> object:
        return {"items": [gone if "softDeleted" in query else live]}

    google.says["/storage/v1/b"] = listing
    facts = walk(account(), "storage")
    assert regions(facts, "one#deleted-7") == ("us-east4",)
    assert judged(Stores, facts) is Kind.FAIL
    assert judged(Encrypted, facts) is Kind.INCONCLUSIVE


def test_what_was_passed_over_is_named(google: Google, walk: Walk) -> None:
    google.says["/storage/v1/b"] = {}
    facts = walk(account(), "storage")
    assert {"not asked: Pub/Sub", "not asked: databases of services that are not enabled"} <= set(facts.questions)
    assert all("/pageToken" not in each for each in facts.questions)


def test_a_key_whose_project_is_told_by_number(google: Google, walk: Walk) -> None:
    numbered = KEY.replace("projects/acme/", "projects/4711/")
    google.says[f"/v1/{numbered}"] = {"name": KEY, "versionTemplate": {"protectionLevel": "HSM"}}
    google.bucket("crm", "EUROPE-WEST3", stored("a", numbered), **CMEK)
    facts = walk(bucket("crm")).model_copy(update={"agreed_keys": (KEY,)})
    assert judged(UnderKey, facts) is Kind.PASS
    google.says[f"/v1/{numbered}"] = {"name": OTHER_KEY, "versionTemplate": {"protectionLevel": "HSM"}}
    assert judged(Copies, walk(bucket("crm"))) is Kind.INCONCLUSIVE


@pytest.mark.parametrize(
    ("more", "basis", "kind"),
    [
        ({"status": "ENABLED"}, "configured", Kind.FAIL),
        ({"status": "DISABLED"}, "off", Kind.INCONCLUSIVE),
        ({"status": "DELETED"}, "off", Kind.INCONCLUSIVE),
        ({"status": "DELETED", "latestOperationName": "transferOperations/1"}, "happened", Kind.FAIL),
    ],
)
def test_jobs_that_are_off(google: Google, walk: Walk, more: dict[str, object], basis: str, kind: Kind) -> None:
    google.bucket("crm")
    google.bucket("archive", "US-EAST4")
    google.says["/v1/transferJobs"] = lambda query, _: (
        {} if "dataBackend" in query["filter"] else {"transferJobs": [transfer("crm", "archive", **more)]}
    )
    facts = walk(bucket("crm"))
    assert [edge.basis.value for edge in facts.edges if edge.kind is EdgeKind.REPLICATES] == [basis]
    assert judged(Copies, facts) is kind
