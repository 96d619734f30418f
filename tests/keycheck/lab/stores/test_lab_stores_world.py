"""Stores in the lab's world: what is declared is the honest plan's, and their keys are the lab's own."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import boto3
import pytest
import yaml

from keycheck.lab.paperwork import write_papers
from keycheck.lab.residency_clouds import AWS_IDENTITY, CONFIG_FILE
from keycheck.lab.store_sites import AWS_KEYS, EXPORTS, GCP_KEYS, HOME, INFERENCE, STORES
from keycheck.lab.world import Lab


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory):
    with Lab(tmp_path_factory.mktemp("lab"), ["key-replica-abroad"]) as running:
        yield running


def test_what_is_declared_does_not_change_with_a_defect(lab: Lab) -> None:
    written = yaml.safe_load(write_papers(lab, datetime.now(UTC)).deployment.read_text(encoding="utf-8"))
    (store,) = written["stores"]
    assert store["what"] == {"kind": "resource", "name": f"arn:aws:s3:::{EXPORTS}"}
    assert store["agreed"]["keys"] == list(AWS_KEYS)
    assert {key["id"] for key in written["keys"]} == set(AWS_KEYS)
    (identity,) = (each for each in written["identities"] if each["id"] == AWS_IDENTITY)
    assert (lab.home / identity["config_file"]).is_file()


def test_stores_lie_under_keys_that_the_labs_kms_describes(lab: Lab) -> None:
    config = (lab.home / CONFIG_FILE).read_text(encoding="ascii")
    settings = dict(line.split(" = ", 1) for line in config.splitlines() if " = " in line)
    urls = dict(zip(("s3", "kms"), (_url(config, name) for name in ("s3", "kms")), strict=True))
    session = boto3.Session(settings["aws_access_key_id"], settings["aws_secret_access_key"], region_name=HOME)
    sts = session.client("sts", endpoint_url=urls["kms"])
    external = (lab.home / "inspector-external-id").read_text(encoding="ascii")
    role = sts.assume_role(
        RoleArn="arn:aws:iam::111122223333:role/keycheck-inspect", RoleSessionName="test", ExternalId=external
    )["Credentials"]
    inspector = boto3.Session(role["AccessKeyId"], role["SecretAccessKey"], role["SessionToken"], region_name=HOME)
    told = inspector.client("s3", endpoint_url=urls["s3"]).get_bucket_encryption(Bucket=f"{EXPORTS}")
    (rule,) = told["ServerSideEncryptionConfiguration"]["Rules"]
    arn = rule["ApplyServerSideEncryptionByDefault"]["KMSMasterKeyID"]
    assert inspector.client("kms", endpoint_url=urls["kms"]).describe_key(KeyId=arn)["KeyMetadata"]["Arn"] == arn
    archive = lab.clouds.aws.arns["archive"]
    key = inspector.client("kms", "eu-west-1", endpoint_url=urls["kms"]).describe_key(KeyId=archive)["KeyMetadata"]
    replicas = {each["Region"] for each in key["MultiRegionConfiguration"]["ReplicaKeys"]}
    assert replicas == {"eu-west-3", "us-east-1"}  # the second by the defect


def _url(config: str, service: str) -> str:
    lines = config.splitlines()
    return lines[lines.index(f"{service} =") + 1].partition("= ")[2].strip()


def test_every_store_agrees_keys_of_its_cloud() -> None:
    for site in STORES:
        assert set(site.keys) <= set(AWS_KEYS if site.provider == "aws" else GCP_KEYS)
    assert {site.id for site in INFERENCE}.isdisjoint(site.id for site in STORES)


def test_lab_writes_private_files(lab: Lab) -> None:
    assert (Path(lab.home) / CONFIG_FILE).stat().st_mode & 0o077 == 0
