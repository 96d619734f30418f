"""What an HSM needs to wrap new material: fetched from the lab's clouds, used as printed."""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from aws_rotate_stage import REGION, SECOND, Stage
from aws_rotate_stage import staged as aws_staged
from gcp_rotate_stage import ACCOUNTS, RING
from gcp_rotate_stage import Stage as GcpStage
from gcp_rotate_stage import staged as gcp_staged
from typer.testing import CliRunner

from keycheck.errors import ProbeError, UsageError
from keycheck.lab.aws.kms.model import Origin
from keycheck.model.authorization import Technique
from keycheck.model.verdict import Reason
from probes.keys.drill.aws_rotate import Rotate
from probes.keys.drill.gcp_rotate import RotateVersion
from probes.keys.drill.import_parameters import Parameters, app, fetch, store, told
from probes.keys.drill.rotating import prepared
from probes.keys.subjects import Incoming, Key

IMPORTED = f"{RING}/cryptoKeys/imported-keycheck"


@pytest.fixture(scope="session")
def import_loader() -> object:
    from botocore.loaders import create_loader

    return create_loader()


@pytest.fixture
def stage(tmp_path: Path, import_loader: object, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    for name in list(os.environ):
        if name.startswith("AWS_") or name.lower() in ("http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    with aws_staged(tmp_path, import_loader) as found:
        yield found


@pytest.fixture
def google(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[GcpStage]:
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    with gcp_staged(tmp_path) as found:
        found.seed(IMPORTED, imported=True)
        for role in ("drill", "restore", "control"):
            found.cloud.iam.bind(IMPORTED, found.role(role), f"serviceAccount:{ACCOUNTS[role]}")
        yield found


def wrapped_as_printed(given: Parameters, out: Path, material: bytes) -> None:
    """By the very command that a person is shown."""
    store(given, out)
    (out / "material.bin").write_bytes(material)
    (command,) = [line for line in told(given, out, out.parent) if line.strip().startswith("openssl")]
    subprocess.run(command.split(), cwd=out, check=True, capture_output=True)


def test_aws(stage: Stage) -> None:
    key, fresh, out = stage.key(), os.urandom(32), stage.home / "in"
    order = stage.order(key)
    given = fetch(order.subject, stage.io())
    assert (given.key, given.algorithm, given.job) == (key.arn, "RSAES_OAEP_SHA_256", None)
    assert given.token is not None
    assert given.token.hex() not in repr(given)
    wrapped_as_printed(given, out, fresh)
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in out.iterdir() if path.name == "token.bin")
    shown = "\n".join(told(given, out, out.parent))
    assert "incoming: {wrapped: in/wrapped.bin, token: in/token.bin}" in shown
    assert "2026-11-23T12" in shown  # a day
    rotating = prepared(stage.order(key, incoming=Incoming(wrapped="in/wrapped.bin", token="in/token.bin")), stage.io())
    mechanism = Rotate(stage.sleep)
    before = mechanism.look(rotating.change, stage.io())
    mechanism.act(rotating.change, before, stage.io())
    assert stage.octets(key) == fresh


def test_google(google: GcpStage) -> None:
    fresh, out = os.urandom(32), google.home / "in"
    order = google.order(canary_key=IMPORTED)
    given = fetch(order.subject, google.io())
    assert (given.key, given.algorithm, given.token) == (IMPORTED, "RSA_OAEP_3072_SHA256", None)
    assert fetch(order.subject, google.io()).job == given.job
    wrapped_as_printed(given, out, fresh)
    assert f"import_job: {given.job}" in "\n".join(told(given, out, out.parent))
    order = google.order(canary_key=IMPORTED, incoming=Incoming(wrapped="in/wrapped.bin", import_job=given.job))
    rotating = prepared(order, google.io())
    mechanism = RotateVersion(google.sleep)
    before = mechanism.look(rotating.change, google.io())
    mechanism.act(rotating.change, before, google.io())
    assert google.octets(IMPORTED, google.primary(IMPORTED)) == fresh


def test_of_the_key_itself_and_of_a_replica(stage: Stage) -> None:
    key = stage.key(spread=True)
    subject = stage.order(key, Technique.ROTATE_KEY).subject
    with pytest.raises(ProbeError, match="canary_key"):
        fetch(subject, stage.io())
    assert fetch(subject, stage.io(), itself=True).key == key.arn
    assert fetch(subject, stage.io(), itself=True, region=SECOND).key == stage.replica(key).arn
    with pytest.raises(ProbeError, match=f"not in eu-north-1, but in {REGION}"):
        fetch(subject, stage.io(), itself=True, region="eu-north-1")


def test_keys_whose_material_the_cloud_makes(stage: Stage) -> None:
    with pytest.raises(ProbeError) as caught:
        fetch(stage.order(stage.key(origin=Origin.AWS_KMS)).subject, stage.io())
    assert caught.value.reason is Reason.UNSUPPORTED


def test_keys_whose_material_google_makes(google: GcpStage) -> None:
    with pytest.raises(ProbeError, match="made by Google"):
        fetch(google.order().subject, google.io())
    assert not google.cloud.kms.store.jobs


def test_files_of_two_answers_are_never_mixed(stage: Stage) -> None:
    subject, out = stage.order(stage.key()).subject, stage.home / "in"
    store(fetch(subject, stage.io()), out)
    with pytest.raises(UsageError) as caught:
        store(fetch(subject, stage.io()), out)
    assert "empty" in caught.value.advice


def test_the_verb(stage: Stage) -> None:
    key = stage.key()
    subject: Key = stage.order(key).subject
    assert subject.drill is not None
    lines = [
        "deployment: lab",
        "identities:",
        *(f"  - {{id: {role}, provider: aws, profile: {role}}}" for role in ("inspect", "drill")),
        "keys:",
        f"  - id: contacts\n    provider: aws\n    resource: {subject.resource}\n    model: direct-kms",
        "    identities: {inspect: inspect, drill: drill}",
        "    drill:",
        f"      canary_key: {key.arn}\n      canary_declared: true\n      paths: {{}}",
        "      planted: 2026-11-22T12:00:00Z",
        "      context: [[tenant, keycheck-acme]]",
    ]
    file = stage.home / "deployment.yaml"
    file.write_text("\n".join(lines) + "\n")
    out = stage.home / "in"
    ran = CliRunner().invoke(app, [str(file), "--subject", "contacts", "--out", str(out)], catch_exceptions=False)
    assert ran.exit_code == 0, ran.output
    assert "openssl pkeyutl" in ran.output
    assert key.arn in ran.output
    assert {path.name for path in out.iterdir()} == {"wrapping.der", "wrapping.pem", "token.bin"}
    assert (out / "token.bin").read_bytes().hex() not in ran.output
    with pytest.raises(UsageError):
        CliRunner().invoke(app, [str(file), "--subject", "other", "--out", str(out)], catch_exceptions=False)
