"""Answers of any shape: a reason each, never a crash, and never a pass where something that matters was torn out."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from residency_gcp import KEY, Google, bucket, identity, resource, stored, world

from keycheck.errors import ProbeError
from keycheck.model.facts import Facts
from probes.residency import gcp
from probes.residency.observe_stores import ClosureProbe
from probes.residency.store_controls import Stores
from probes.residency.store_facts import ClosureFacts

SQL = "/sql/v1beta4/projects/acme"
C = "/compute/v1/projects/acme"
LINK = "https://www.googleapis.com/compute/v1/projects/acme"
WRONG: tuple[object, ...] = (None, [], {}, "", "\x1b[2J", 7, -1, True, [None], {"a": {}}, "../..", "x" * 3000)


def populated(google: Google) -> dict[str, str]:
    """One of each, and by which name it is asked for."""
    google.bucket("crm", "EU", stored("a", KEY), locationType="multi-region", logging={"logBucket": "logs"})
    google.bucket("logs")
    google.says[f"{SQL}/instances/db"] = {
        "name": "db",
        "region": "europe-west3",
        "gceZone": "europe-west3-a",
        "settings": {"backupConfiguration": {"enabled": True, "location": "eu"}},
        "diskEncryptionConfiguration": {"kmsKeyName": KEY},
    }
    run = {"id": "1", "status": "SUCCESSFUL", "location": "eu", "endTime": "2026-11-01T00:00:00Z"}
    google.says[f"{SQL}/instances/db/backupRuns"] = {"items": [run]}
    google.says[f"{SQL}/backups"] = {"backups": [{"name": "projects/acme/backups/b", "instance": "db"}]}
    google.says[f"{C}/zones/europe-west3-a/disks/data"] = {
        "zone": f"{LINK}/zones/europe-west3-a",
        "selfLink": f"{LINK}/zones/europe-west3-a/disks/data",
        "diskEncryptionKey": {"kmsKeyName": KEY},
        "resourcePolicies": [f"{LINK}/regions/europe-west3/resourcePolicies/daily"],
    }
    snapshot = {"selfLink": f"{LINK}/global/snapshots/s", "sourceDisk": f"{LINK}/zones/europe-west3-a/disks/data"}
    google.says[f"{C}/global/snapshots"] = {"items": [{**snapshot, "storageLocations": ["eu"]}]}
    for path in ("global/images", "global/machineImages", "aggregated/instantSnapshots"):
        google.says[f"{C}/{path}"] = {}
    return {
        "/storage/": "//storage.googleapis.com/projects/_/buckets/crm",
        "/sql/": "//sqladmin.googleapis.com/projects/acme/instances/db",
        "/compute/": "//compute.googleapis.com/projects/acme/zones/europe-west3-a/disks/data",
    }


def torn(answer: object) -> Iterator[object]:
    """The answer with each of its members, at any depth, left out or of another type, in turn."""
    yield from WRONG[:4]
    if not isinstance(answer, dict):
        return
    for number, path in enumerate(_paths(answer)):
        made = copy.deepcopy(answer)
        inner: Any = made
        for step in path[:-1]:
            inner = inner[step]
        if number % 2:
            del inner[path[-1]]
        else:
            inner[path[-1]] = WRONG[number // 2 % len(WRONG)]
        yield made


def _paths(value: object, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, item in items:
        yield (*above, name)
        yield from _paths(item, (*above, name))


@pytest.mark.parametrize("service", ["/storage/", "/sql/", "/compute/"])
def test_torn_answers(google: Google, tmp_path: Path, service: str) -> None:
    names = populated(google)
    who = identity(google, tmp_path)
    name = names[service]
    paths = [path for path in google.says if path.startswith((service, f"/v1/{KEY}"))]
    assert len(paths) > 3
    seen = 0
    for path in paths:
        whole = google.says[path]
        for answer in torn(whole):
            google.says[path] = answer if answer is not None else (403, {})
            try:
                facts, _ = gcp.walk(resource(name), "whole", world(tmp_path, who))
            except ProbeError:
                continue
            seen += 1
            assert facts.roots
            Stores.model_validate({"jurisdiction": ["EU"]}).judge(facts)
        google.says[path] = whole
    assert seen > 15


def test_the_probe_of_stores(google: Google, tmp_path: Path) -> None:
    populated(google)
    io = world(tmp_path, identity(google, tmp_path))
    probe = ClosureProbe()
    assert probe.survey(bucket("crm"), io).parts == ("whole",)
    (touch,) = probe.touches(bucket("crm"), io)
    assert not touch.changes
    observed = probe.work(bucket("crm"), "whole", io)
    assert isinstance(observed.facts, ClosureFacts)
    assert isinstance(observed.facts, Facts)
    assert ClosureFacts.model_validate_json(observed.facts.model_dump_json()) == observed.facts


def test_an_endpoint_that_repeats_the_token_is_not_published(google: Google, tmp_path: Path) -> None:
    google.bucket("crm", labels={"a": "ya29.lab-" + "a" * 48})
    with pytest.raises(ProbeError, match="repeat the credential"):
        gcp.walk(bucket("crm"), "whole", world(tmp_path, identity(google, tmp_path)))


def test_more_than_evidence_holds_is_said(google: Google, tmp_path: Path) -> None:
    items = [google.bucket(f"bucket-{number:04}") for number in range(2200)]

    def listing(query: dict[str, str], _body: object) -> object:
        if "softDeleted" in query:
            return {}
        start = int(query.get("pageToken", "0"))
        more = {"nextPageToken": str(start + 200)} if start + 200 < len(items) else {}
        return {"items": items[start : start + 200], **more}

    google.says["/storage/v1/b"] = listing
    what = {"kind": "account", "account": "acme"}
    subject = bucket("x").model_validate(
        {"id": "s", "provider": "gcp", "what": what, "identity": "auditor", "objects": 0}
    )
    facts, _ = gcp.walk(subject, "storage", world(tmp_path, identity(google, tmp_path), budget=60.0))
    assert len(facts.nodes) <= 2000
    assert len(facts.model_dump_json()) < 1024 * 1024
    assert Stores.model_validate({"jurisdiction": ["EU"]}).judge(facts).kind.value == "inconclusive"
