"""What `keycheck permissions` says of data sets: to open, to read buckets, to tie canaries; and nothing more."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml
from fields_whole import command

ARN = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
GOOGLE = "projects/acme/locations/europe-west3/keyRings/crm/cryptoKeys/byok"


def key(id: str, provider: str, resource: str) -> Mapping[str, object]:
    return {
        "id": id,
        "provider": provider,
        "resource": resource,
        "model": "direct-kms",
        "on_key_loss": "withheld",
        "identities": {"log": f"{provider}-log"},
    }


def papers(folder: Path, **dataset: object) -> list[Mapping[str, object]]:
    stated = {
        "deployment": "crm",
        "identities": [
            {"id": name, "provider": name.partition("-")[0]}
            for name in ("aws-opener", "gcp-opener", "aws-reader", "gcp-reader", "aws-log", "gcp-log")
        ],
        "keys": [key("contacts", "aws", ARN), key("byok", "gcp", GOOGLE)],
        "datasets": [
            {
                "id": "export",
                "source": {"kind": "files", "files": ["x.ndjson"]},
                "origin": {"made_by": "customer", "method": "x"},
                "fields": [{"column": "email", "class": "email", "key": "contacts"}],
                **dataset,
            }
        ],
    }
    path = folder / "deployment.yaml"
    path.write_text(yaml.safe_dump(stated))
    ran = command("permissions", str(path), "--profile", "fields", "-o", "json")
    assert ran.code == 0, ran.err
    found: list[Mapping[str, object]] = json.loads(ran.out)["papers"]
    return found


def allowed(found: list[Mapping[str, object]]) -> dict[str, object]:
    """By identity, the actions with their resources."""
    told: dict[str, object] = {}
    for each in found:
        document = each["document"]
        assert isinstance(document, dict)
        statements = document.get("Statement")
        told[str(each["identity"])] = (
            {one["Action"][0]: one["Resource"] for one in statements} if statements else document["includedPermissions"]
        )
    return told


@pytest.mark.parametrize(
    ("key_", "identity", "needs"),
    [
        ("contacts", "aws-opener", {"kms:Decrypt": [ARN]}),
        ("byok", "gcp-opener", ["cloudkms.cryptoKeyVersions.useToDecrypt"]),
    ],
)
def test_who_opens_may_decrypt_under_the_declared_key_alone(
    tmp_path: Path, key_: str, identity: str, needs: object
) -> None:
    fields = [{"column": "email", "class": "email", "key": key_}, {"column": "id", "class": "none"}]
    found = papers(tmp_path, fields=fields, opening={"identity": identity})
    assert allowed(found) == {identity: needs}


def test_who_reads_an_export_may_list_and_read_what_is_named(tmp_path: Path) -> None:
    files = ["s3://out/crm/contacts-*.parquet", "s3://out/one.csv"]
    source = {"kind": "files", "files": files, "identity": "aws-reader"}
    found = papers(tmp_path, source=source, beside=["s3://logs/app/"])
    assert allowed(found) == {
        "aws-reader": {
            "s3:ListBucket": ["arn:aws:s3:::logs", "arn:aws:s3:::out"],
            "s3:GetObject": [
                "arn:aws:s3:::logs/app/*",
                "arn:aws:s3:::out/crm/contacts-*",
                "arn:aws:s3:::out/one.csv*",
            ],
        }
    }
    google = {"kind": "files", "files": ["gs://out/crm/*"], "identity": "gcp-reader"}
    assert allowed(papers(tmp_path, source=google)) == {"gcp-reader": ["storage.objects.get", "storage.objects.list"]}


def test_who_ties_canaries_may_read_the_log(tmp_path: Path) -> None:
    fields = [{"column": name, "class": "email", "key": key_} for name, key_ in (("a", "contacts"), ("b", "byok"))]
    found = allowed(papers(tmp_path, fields=fields, canaries="canaries.json"))
    assert found == {
        "aws-log": {"cloudtrail:LookupEvents": ["*"]},
        "gcp-log": ["logging.logEntries.list", "logging.privateLogEntries.list"],
    }


def test_a_local_export_without_an_opening_asks_no_cloud(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="asks no cloud"):
        papers(tmp_path)
