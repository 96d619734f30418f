"""Nothing secret is written: secrets are planted in every input, and everything that a run writes is searched."""

from __future__ import annotations

import base64
import io
import json
import zipfile
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from datetime import UTC, datetime
from pathlib import Path

import grpc
import pytest

from keycheck.cli.root import main
from keycheck.lab.aws_estate import CONFIG_FILE, EXTERNAL_ID_FILE
from keycheck.lab.paperwork import write_papers
from keycheck.lab.world import Lab

pytestmark = pytest.mark.slow


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    with Lab(tmp_path / "lab", sections=frozenset({"keys"})) as up:
        yield up


def secrets_of(lab: Lab) -> set[bytes]:
    """Everything in this world that must stay where it is, in the spellings in which it could leak."""
    assert lab.clouds is not None
    aws, gcp = lab.clouds.aws.cloud, lab.clouds.gcp.cloud
    raw = {
        material.secret
        for shelf in aws.kms.holdings.keys.values()
        for key in shelf.values()
        for material in key.ring.materials
        if isinstance(material.secret, bytes)
    }
    raw |= {
        version.material
        for key in gcp.kms.store.keys.values()
        for version in key.versions.values()
        if isinstance(version.material, bytes)
    }
    assert len(raw) >= 6
    texts = {
        line.partition("=")[2].strip()
        for line in (lab.home / CONFIG_FILE).read_text().splitlines()
        if line.startswith("aws_secret_access_key")
    }
    texts.add((lab.home / EXTERNAL_ID_FILE).read_text())
    account = json.loads(next(lab.home.glob("*acme-audit*.json")).read_text())
    texts |= {account["private_key"][100:160], account["private_key"].splitlines()[3]}
    assert len(texts) >= 5
    found = {text.encode() for text in texts}
    for secret in raw:
        found |= {secret, secret.hex().encode(), base64.b64encode(secret), base64.urlsafe_b64encode(secret)}
    return found


def everything_written(lab: Lab, out: Path, *more: str) -> bytes:
    """What a run prints and writes, unpacked."""
    papers = write_papers(lab, datetime.now(UTC))
    said, complained = io.StringIO(), io.StringIO()
    command = ["run", str(papers.deployment), "--profile", str(papers.profile), "--key", str(papers.signer), *more]
    with redirect_stdout(said), redirect_stderr(complained):
        main([*command, "--out", str(out)])
        main(["plan", str(papers.deployment), "--profile", str(papers.profile)])
    written = said.getvalue().encode() + complained.getvalue().encode()
    bundles = list(out.glob("*.zip"))
    assert len(bundles) == 1
    with zipfile.ZipFile(bundles[0]) as plain:
        for name in plain.namelist():
            written += plain.read(name)
    return written


def leaked(secrets: set[bytes], written: bytes) -> list[bytes]:
    return sorted(secret[:8] for secret in secrets if secret in written)


def test_an_ordinary_run_writes_no_secret(lab: Lab, tmp_path: Path) -> None:
    written = everything_written(lab, tmp_path / "runs")
    assert b"keys.customer-managed" in written
    assert leaked(secrets_of(lab), written) == []
    assert b"ya29." not in written
    assert b"X-Amz-Security-Token" not in written


@pytest.mark.parametrize("debug", ["", "1"])
def test_a_cloud_that_says_our_secrets_back_gets_them_into_nothing(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, debug: str
) -> None:
    """A hostile endpoint sees our headers, and may answer with them in its error messages."""
    assert lab.clouds is not None
    monkeypatch.setenv("KEYCHECK_DEBUG", debug)
    aws, gcp = lab.clouds.aws.cloud, lab.clouds.gcp.cloud
    token, signature, session = "ya29." + "c0ffee" * 12, "5ca1ab1e" * 8, "IQoJb3JpZ2luX2Vj" + "Zm9v" * 60
    credential = "ASIAQWERTYUIOPASDFGH/20261122/eu-central-1/kms/aws4_request"
    header = f"AWS4-HMAC-SHA256 Credential={credential}, Signature={signature}"
    aws.faults.fail("ListGrants", "AccessDeniedException", f"denied to {header}")
    aws.faults.fail("GetKeyPolicy", "InvalidSignatureException", f"x-amz-security-token: {session} is wrong")
    aws.faults.fail("LookupEvents", "InternalFailure", f"{header}\nx-amz-security-token:{session}", status=500)
    gcp.faults.fail("GetIamPolicy", grpc.StatusCode.PERMISSION_DENIED, f"authorization: Bearer {token} may not")
    written = everything_written(lab, tmp_path / "runs")
    assert b"permission-denied" in written
    planted = {token.encode(), signature.encode(), session.encode()}
    assert leaked(secrets_of(lab) | planted, written) == []
