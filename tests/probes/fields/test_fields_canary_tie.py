"""Canaries are tied only by the vendor's own data keys, bound to the very record, while it was planted."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aws_stage import NOON, AwsStage, plain_environment, staged_aws

from keycheck.lab.aws.kms.model import Key as LabKey
from keycheck.model.deployment import SubjectEntry
from keycheck.model.probe import Io
from keycheck.model.types import CanonicalJson
from probes.fields.canaries import CanaryFile, Record
from probes.fields.subjects import Dataset
from probes.fields.tie import SLACK, Made, judged, tied


def record(number: int, began: datetime = NOON, **changed: object) -> Record:
    return Record.model_validate(
        {
            "id": f"canary-{number}",
            "sealed": True,
            "state": "planted",
            "row": [["tenant", "acme"], ["id", f"id-{number}"]],
            "named": [["id", f"id-{number}"]],
            "values": [
                {"id": f"canary-{number}.{name}", "class": name, "column": name, "value": f"{name} value {number}"}
                for name in ("email", "phone")
            ],
            "began": began,
            "planted": began + timedelta(seconds=1),
            **changed,
        }
    )


def dataset(**changed: Any) -> Dataset:
    context = [{"name": "record", "column": "id"}, {"name": "tenant", "column": "tenant"}]
    return Dataset.model_validate(
        {
            "id": "contacts",
            "source": {"kind": "files", "files": ["x.ndjson"]},
            "origin": {"made_by": "vendor", "method": "x"},
            "fields": [
                {
                    "column": name,
                    "class": name,
                    "key": "contacts",
                    "context": [*context, {"name": "field", "value": name}],
                }
                for name in ("email", "phone")
            ],
            **changed,
        }
    )


def context(number: int, field: str, /, **changed: str) -> dict[str, str]:
    return {"tenant": "acme", "record": f"id-{number}", "field": field, "more": "x", **changed}


def made(number: int, at: datetime = NOON, /, **changed: str) -> list[Made]:
    return [Made(at, (context(number, field, **changed),)) for field in ("email", "phone")]


def test_every_record_and_column_must_be_in_the_log() -> None:
    rules = dataset().fields
    assert judged([record(1), record(2)], rules, [*made(1), *made(2)]).state == "tied"
    assert "phone of canary-2" in judged([record(1), record(2)], rules, [*made(1), made(2)[0]]).why
    assert judged([record(1)], rules, []).state == "untied"


@pytest.mark.parametrize(
    ("seconds", "state"),
    [
        (0, "tied"),
        (-SLACK.seconds, "tied"),
        (-SLACK.seconds - 1, "untied"),
        (1 + SLACK.seconds, "tied"),
        (7200, "untied"),
    ],
)
def test_a_key_made_when_the_export_was_ties_nothing(seconds: int, state: str) -> None:
    assert judged([record(1)], dataset().fields, made(1, NOON + timedelta(seconds=seconds))).state == state


@pytest.mark.parametrize("changed", [{"record": "id-9"}, {"tenant": "globex"}, {"field": "name"}])
def test_another_context_ties_nothing(changed: dict[str, str]) -> None:
    assert judged([record(1)], dataset().fields, made(1, NOON, **changed)).state == "untied"


def test_a_context_that_does_not_name_the_record_ties_nothing() -> None:
    shared = dataset(
        fields=[
            {
                "column": "email",
                "class": "email",
                "key": "contacts",
                "context": [{"name": "tenant", "column": "tenant"}],
            }
        ]
    )
    assert judged([record(1)], shared.fields, made(1)).state == "untied"
    bare = dataset(fields=[{"column": "email", "class": "email", "key": "contacts"}])
    assert judged([record(1)], bare.fields, made(1)).state == "untied"


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[AwsStage]:
    with staged_aws(tmp_path) as staged:
        for name in list(os.environ):
            if name.startswith("AWS_"):
                monkeypatch.delenv(name)
        for name, value in plain_environment(tmp_path).items():
            monkeypatch.setenv(name, value)
        yield staged


def io_with(stage: AwsStage, key: LabKey) -> Io:
    subject = stage.subject(key).model_dump(mode="json", by_alias=True)
    entry = SubjectEntry(id="keys/contacts", vantages=("here",), body=CanonicalJson.of(subject))
    return replace(stage.io(), subjects=(entry,))


def written(stage: AwsStage, key: LabKey, number: int) -> None:
    for field in ("email", "phone"):
        given = context(number, field)
        stage.cloud.kms.call(
            stage.vendor(), key.region, "GenerateDataKey", KeyId=key.arn, KeySpec="AES_256", EncryptionContext=given
        )


def file(*records: Record, **changed: str) -> CanaryFile:
    stated = {"deployment": "crm", "dataset": "contacts", "plan": "p", "plan_sha256": "0" * 64} | changed
    return CanaryFile.model_validate({**stated, "records": records})


def test_the_customers_own_log_ties_what_was_written_then(stage: AwsStage) -> None:
    key = stage.key({})
    stage.now = NOON
    written(stage, key, 1)
    stage.now = NOON + timedelta(hours=1)
    assert tied(file(record(1)), dataset(), io_with(stage, key)).state == "tied"
    written(stage, key, 2)  # while exporting
    assert tied(file(record(1), record(2)), dataset(), io_with(stage, key)).state == "untied"
    stranger = stage.subject(key).agreed.model_copy(update={"vendor": ("arn:aws:iam::999988887777:role/crm-app",)})
    io = io_with(stage, key)
    body = stage.subject(key, agreed=stranger).model_dump(mode="json", by_alias=True)
    other = replace(io, subjects=(SubjectEntry(id="keys/contacts", vantages=("here",), body=CanonicalJson.of(body)),))
    assert tied(file(record(1)), dataset(), other).state == "untied"


def test_what_cannot_be_asked_is_untied_and_said(stage: AwsStage) -> None:
    key = stage.key({})
    io = io_with(stage, key)
    assert "no canary" in tied(file(), dataset(), io).why
    assert "no canary" in tied(file(record(1, planted=None, state="begun")), dataset(), io).why
    assert "data set other" in tied(file(record(1), dataset="other"), dataset(), io).why
    assert "names no key" in tied(file(record(1)), dataset(fields=[{"column": "email", "class": "email"}]), io).why
    assert "declares no key" in tied(file(record(1)), dataset(), replace(io, subjects=())).why
    stage.now = NOON + timedelta(days=91)
    assert "longer ago" in tied(file(record(1)), dataset(), io_with(stage, key)).why
    stage.now = NOON
    unreachable = replace(io, identities=())
    assert "cannot be read" in tied(file(record(1)), dataset(), unreachable).why
