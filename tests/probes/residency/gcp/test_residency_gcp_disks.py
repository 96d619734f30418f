"""Disks, file systems and vaults: where they are, what they are replicated to, and where backups lie."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from residency_gcp import (
    KEY,
    OTHER_KEY,
    Google,
    account,
    disabled,
    edges,
    identity,
    node,
    opened,
    page,
    regions,
    resource,
    world,
)

from probes.residency import gcp
from probes.residency.rest_controls import Encrypted, UnderKey
from probes.residency.store_controls import Backups, Copies, Stores
from probes.residency.store_facts import ClosureFacts, EdgeKind, NodeKind

Walk: TypeAlias = Callable[..., ClosureFacts]
C = "/compute/v1/projects/acme"
LINK = "https://www.googleapis.com/compute/v1/projects/acme"
ZONE = f"{LINK}/zones/europe-west3-a"
DISK = "//compute.googleapis.com/projects/acme/zones/europe-west3-a/disks/data"
SOURCES = "/v1/projects/acme/locations/-/backupVaults/-/dataSources"
GOOD = {"Stores": "pass", "Copies": "pass", "Backups": "pass", "Encrypted": "pass"}


def judged(facts: ClosureFacts) -> dict[str, str]:
    """What each control says."""
    found = {}
    for control in (Stores, Copies, Backups, Encrypted):
        given = {} if control is Encrypted else {"jurisdiction": ["EU"]}
        found[control.__name__] = control.model_validate(given).judge(facts).kind.value
    return found


def keyed(facts: ClosureFacts) -> str:
    return UnderKey().judge(facts.model_copy(update={"agreed_keys": (KEY,)})).kind.value


def disk(called: str = "data", zone: str = "europe-west3-a", **more: object) -> dict[str, object]:
    return {
        "name": called,
        "zone": f"{LINK}/zones/{zone}",
        "selfLink": f"{LINK}/zones/{zone}/disks/{called}",
        "creationTimestamp": "2026-01-02T03:04:05.678-08:00",
        "diskEncryptionKey": {"kmsKeyName": f"{KEY}/cryptoKeyVersions/1"},
        **more,
    }


def made(kind: str, called: str, *locations: str, **more: object) -> dict[str, object]:
    key = {"snapshots": "snapshotEncryptionKey", "images": "imageEncryptionKey"}.get(kind, "machineImageEncryptionKey")
    return {
        "name": called,
        "selfLink": f"{LINK}/global/{kind}/{called}",
        "storageLocations": list(locations),
        "sourceDisk": f"{ZONE}/disks/data",
        key: {"kmsKeyName": f"{KEY}/cryptoKeyVersions/1"},
        **more,
    }


def disks(google: Google, *found: Mapping[str, Any]) -> None:
    by_zone: dict[str, Any] = {"zones/us-east1-a": {"warning": {"code": "NO_RESULTS_ON_PAGE", "message": "none"}}}
    for each in found:
        path = str(each["selfLink"]).partition("/compute/v1")[2]
        google.says[f"/compute/v1{path}"] = each
        by_zone.setdefault("zones/" + path.split("/")[4], {"disks": []})["disks"].append(each)
    google.says[f"{C}/aggregated/disks"] = {"items": by_zone}


@pytest.fixture
def compute(google: Google) -> Google:
    disks(google, disk())
    google.says[f"{C}/global/snapshots"] = {"items": [made("snapshots", "s", "europe-west3")]}
    google.says[f"{C}/global/images"] = {}
    google.says[f"{C}/global/machineImages"] = {}
    google.says[f"{C}/aggregated/instantSnapshots"] = {}
    google.says[SOURCES] = {}
    return google


def test_a_clean_disk(compute: Google, walk: Walk) -> None:
    for facts in (walk(resource(DISK)), walk(account(), "compute")):
        assert opened(facts) == []
        assert (judged(facts), keyed(facts)) == (GOOD, "pass")
        assert regions(facts, "data") == ("europe-west3",)
        assert edges(facts, EdgeKind.BACKS_UP) == [("data", "s")]


def test_a_disk_that_is_replicated_abroad(compute: Google, walk: Walk) -> None:
    far = "https://compute.googleapis.com/compute/v1/projects/acme/zones/us-east4-a/disks/far"
    disks(compute, disk(asyncSecondaryDisks={far: {"asyncReplicationDisk": {"disk": far}}}), disk("far", "us-east4-a"))
    facts = walk(resource(DISK))
    assert edges(facts, EdgeKind.REPLICATES) == [("data", "far")]
    assert judged(facts) == {**GOOD, "Copies": "fail"}
    disks(compute, disk(asyncSecondaryDisks={far: {"asyncReplicationDisk": {"disk": far}}}))
    del compute.says["/compute/v1/projects/acme/zones/us-east4-a/disks/far"]
    assert judged(walk(resource(DISK)))["Copies"] == "inconclusive"


@pytest.mark.parametrize(
    ("locations", "status"),
    [(["eu"], "pass"), (["us"], "fail"), (["europe-west3", "asia"], "fail"), ([], "inconclusive")],
)
def test_where_schedules_keep_snapshots(compute: Google, walk: Walk, locations: list[str], status: str) -> None:
    policy = f"{LINK}/regions/europe-west3/resourcePolicies/daily"
    disks(compute, disk(resourcePolicies=[policy]))
    compute.says[f"{C}/regions/europe-west3/resourcePolicies/daily"] = {
        "selfLink": policy,
        "snapshotSchedulePolicy": {"snapshotProperties": {"storageLocations": locations}},
    }
    assert judged(walk(resource(DISK)))["Backups"] == status
    compute.says[f"{C}/regions/europe-west3/resourcePolicies/daily"] = {"selfLink": policy, "groupPlacementPolicy": {}}
    assert judged(walk(resource(DISK)))["Backups"] == "pass"
    compute.says[f"{C}/regions/europe-west3/resourcePolicies/daily"] = (403, {})
    assert judged(walk(resource(DISK)))["Backups"] == "inconclusive"


def test_an_image_of_a_snapshot_of_the_disk(compute: Google, walk: Walk) -> None:
    first = made("images", "one", "eu", sourceDisk=None, sourceSnapshot=f"{LINK}/global/snapshots/s")
    second = made(
        "images", "two", "us", sourceDisk=None, sourceImage=f"{LINK}/global/images/one", imageEncryptionKey={}
    )
    alien = made("images", "alien", "us", sourceDisk=f"{ZONE}/disks/other")
    compute.says[f"{C}/global/images"] = lambda query, _: page(query, {"items": [alien, second]}, {"items": [first]})
    machine = made("machineImages", "vm", "us", sourceDisk=None, savedDisks=[{"sourceDisk": f"{ZONE}/disks/data"}])
    compute.says[f"{C}/global/machineImages"] = {"items": [machine]}
    instant = {
        "selfLink": f"{ZONE}/instantSnapshots/now",
        "zone": ZONE,
        "sourceDisk": f"{ZONE}/disks/data",
    }
    compute.says[f"{C}/aggregated/instantSnapshots"] = {"items": {"zones/x": {"instantSnapshots": [instant]}}}
    facts = walk(resource(DISK))
    assert {each.id.rpartition("/")[2] for each in facts.nodes if each.kind is not NodeKind.KEY} == {
        "data",
        "s",
        "one",
        "two",
        "vm",
        "now",
    }
    assert opened(facts) == []
    assert (judged(facts), keyed(facts)) == ({**GOOD, "Backups": "fail"}, "fail")
    assert node(facts, "now").encryption == node(facts, "data").encryption


def test_disks_under_keys_of_all_kinds(compute: Google, walk: Walk) -> None:
    supplied = {"diskEncryptionKey": {"sha256": "x"}}
    other = {"diskEncryptionKey": {"kmsKeyName": OTHER_KEY}}
    plain = {"diskEncryptionKey": None}
    many = [disk(f"d{number}", **plain) for number in range(30)]
    disks(compute, disk(), disk("a", **supplied), disk("b", **other), *many)
    facts = walk(account(), "compute")
    methods = [getattr(each.encryption, "method", "") for each in facts.nodes if each.kind is NodeKind.DISK]
    assert sorted(set(methods)) == ["client-supplied-key", "customer-key", "provider-key"]
    assert methods.count("provider-key") == 5
    assert any(each.note == "and 25 alike" for each in facts.nodes)
    assert (judged(facts)["Encrypted"], keyed(facts)) == ("pass", "fail")


@pytest.mark.parametrize(
    "more",
    [
        {"replicaZones": [f"{LINK}/zones/us-east4-a"]},
        {"zone": "europe west"},
        {"zone": f"{LINK}/zones/europe-west4-a"},
        {"zone": None},
        {"selfLink": f"{LINK}/zones/europe-west3-a/disks/other"},
    ],
)
def test_disks_that_contradict_themselves(compute: Google, walk: Walk, more: dict[str, Any]) -> None:
    compute.says[f"{C}/zones/europe-west3-a/disks/data"] = disk() | more
    assert judged(walk(resource(DISK)))["Stores"] == "inconclusive"


def test_a_regional_disk(compute: Google, walk: Walk) -> None:
    both = [f"{LINK}/zones/europe-west3-a", f"{LINK}/zones/europe-west3-b"]
    region = f"{LINK}/regions/europe-west3"
    own = {"zone": None, "region": region, "selfLink": f"{region}/disks/data", "replicaZones": both}
    compute.says[f"{C}/regions/europe-west3/disks/data"] = disk() | own
    facts = walk(resource("//compute.googleapis.com/projects/acme/regions/europe-west3/disks/data"))
    assert judged(facts)["Stores"] == "pass"


@pytest.mark.parametrize(
    ("path", "said", "control"),
    [
        ("aggregated/disks", disabled(), "Stores"),
        ("aggregated/disks", {"items": {}, "unreachables": ["zones/us-east4-a"]}, "Stores"),
        ("aggregated/disks", {"items": {"zones/x": {"warning": {"code": "UNREACHABLE"}}}}, "Stores"),
        ("aggregated/disks", {"items": []}, "Stores"),
        ("global/snapshots", (403, {}), "Backups"),
        ("global/images", {"items": [made("images", "x")]}, "Backups"),
        ("global/images", {"items": [{**made("images", "x"), "selfLink": "x"}]}, "Backups"),
        ("global/machineImages", {"nextPageToken": "0"}, "Backups"),
    ],
)
def test_what_is_not_listed_is_open(compute: Google, walk: Walk, path: str, said: object, control: str) -> None:
    compute.says[f"{C}/{path}"] = said
    assert judged(walk(account(), "compute"))[control] == "inconclusive"


def test_one_snapshot(compute: Google, walk: Walk) -> None:
    compute.says[f"{C}/global/snapshots/s"] = made("snapshots", "s", "us-east4")
    facts = walk(resource("//compute.googleapis.com/projects/acme/global/snapshots/s"))
    assert judged(facts)["Backups"] == "fail"
    del compute.says[f"{C}/global/snapshots/s"]
    facts = walk(resource("//compute.googleapis.com/projects/acme/global/snapshots/s"))
    assert set(judged(facts).values()) == {"inconclusive"}


FILE = "projects/acme/locations/europe-west3-a/instances/share"


@pytest.fixture
def files(google: Google) -> Google:
    told = {"name": FILE, "kmsKeyName": KEY, "state": "READY"}
    google.says[f"/v1/{FILE}"] = told
    google.says["/v1/projects/acme/locations/-/instances"] = {"instances": [told]}
    google.says["/v1/projects/acme/locations/-/backups"] = {}
    google.says[SOURCES] = {}
    return google


def test_file_systems(files: Google, walk: Walk) -> None:
    for facts in (walk(resource(f"//file.googleapis.com/{FILE}")), walk(account(), "filestore")):
        assert (opened(facts), judged(facts), keyed(facts)) == ([], GOOD, "pass")
    far = "projects/acme/locations/us-east4/instances/far"
    peers = {"role": "ACTIVE", "replicas": [{"peerInstance": far, "state": "READY"}]}
    files.says[f"/v1/{FILE}"] = {"name": FILE, "replication": peers}
    files.says[f"/v1/{far}"] = {"name": far, "replication": {"role": "STANDBY", "replicas": [{"peerInstance": FILE}]}}
    backup = {"name": "projects/acme/locations/us-east4/backups/b", "sourceInstance": FILE}
    files.says["/v1/projects/acme/locations/-/backups"] = {"backups": [backup]}
    facts = walk(resource(f"//file.googleapis.com/{FILE}"))
    assert edges(facts, EdgeKind.REPLICATES) == [("share", "far")]
    assert edges(facts, EdgeKind.BACKS_UP) == [("share", "b")]
    assert judged(facts) == {**GOOD, "Copies": "fail", "Backups": "fail"}
    files.says[f"/v1/{far}"] = (404, {})
    assert judged(walk(resource(f"//file.googleapis.com/{FILE}")))["Copies"] == "inconclusive"
    files.says["/v1/projects/acme/locations/-/instances"] = {"unreachable": ["projects/acme/locations/us-east4"]}
    assert judged(walk(account(), "filestore"))["Stores"] == "inconclusive"


def test_a_vault_abroad_that_holds_a_machine_of_the_disk(compute: Google, walk: Walk) -> None:
    disks(compute, disk(users=[f"{ZONE}/instances/vm"]))
    vault = "projects/acme/locations/us-east4/backupVaults/far"
    machine = "//compute.googleapis.com/projects/4711/zones/europe-west3-a/instances/vm"
    other = "//compute.googleapis.com/projects/acme/zones/europe-west3-a/instances/other"

    def source(name: str, of: str) -> dict[str, object]:
        resource = {"gcpResourcename": of, "type": "compute.googleapis.com/Instance"}
        return {"name": f"{vault}/dataSources/{name}", "backupCount": "2", "dataSourceGcpResource": resource}

    compute.says[f"/v1/{vault}"] = {"name": vault}
    compute.says[SOURCES] = {"dataSources": [source("a", other)]}
    assert judged(walk(resource(DISK)))["Backups"] == "pass"
    compute.says[SOURCES] = {"dataSources": [source("a", other), source("b", machine)]}
    facts = walk(resource(DISK))
    assert ("data", "far") in edges(facts, EdgeKind.BACKS_UP)
    assert judged(facts)["Backups"] == "fail"
    compute.says[SOURCES] = disabled()
    assert judged(walk(resource(DISK)))["Backups"] == "inconclusive"


def test_vaults_and_plans(google: Google, walk: Walk) -> None:
    vault = "projects/acme/locations/europe-west3/backupVaults/v"
    google.says["/v1/projects/acme/locations/-/backupVaults"] = {"backupVaults": [{"name": vault, "backupCount": "3"}]}
    google.says["/v1/projects/acme/locations/-/backupPlans"] = {}
    google.says[f"/v1/{vault}"] = {"name": vault}
    facts = walk(account(), "backup-dr")
    assert judged(facts)["Backups"] == "pass"
    assert node(facts, "v").note == "holds 3 backups"
    far = "projects/acme/locations/us-east4/backupVaults/far"
    plan = {"name": "projects/acme/locations/europe-west3/backupPlans/p", "backupVault": far}
    google.says["/v1/projects/acme/locations/-/backupPlans"] = {"backupPlans": [plan]}
    google.says[f"/v1/{far}"] = {"name": far}
    assert judged(walk(account(), "backup-dr"))["Backups"] == "fail"
    google.says[f"/v1/{far}"] = disabled()
    assert judged(walk(account(), "backup-dr"))["Backups"] == "inconclusive"
    assert judged(walk(resource(f"//backupdr.googleapis.com/{vault}")))["Backups"] == "pass"


@pytest.mark.parametrize(
    ("said", "open_"),
    [
        ({"services": [{"name": "projects/1/services/storage.googleapis.com", "state": "ENABLED"}]}, []),
        ({"services": [{"name": "projects/1/services/redis.googleapis.com", "state": "ENABLED"}]}, ["open-census"]),
        ({}, ["conflicting"]),
        ((403, {}), ["permission-denied"]),
        (disabled(), ["permission-denied"]),
        ({"services": [{"name": "x", "state": "DISABLED"}]}, ["malformed"]),
    ],
)
def test_the_census_of_a_project(google: Google, tmp_path: Path, said: object, open_: list[str]) -> None:
    google.says["/v1/projects/acme/services"] = said
    census = gcp.survey(account(), world(tmp_path, identity(google, tmp_path)))
    assert census.parts == ("backup-dr", "bigquery", "compute", "filestore", "firestore", "spanner", "sql", "storage")
    assert [each.reason.value for each in census.open] == open_
    assert gcp.survey(resource(DISK), world(tmp_path)).parts == ("whole",)
