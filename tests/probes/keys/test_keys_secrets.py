"""Nothing secret is written: secrets are planted in every input, and everything that a run writes is searched."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from datetime import UTC, datetime
from pathlib import Path

import grpc
import pytest
from secrets_hunt import credentials, leaked, materials, written_under

from keycheck.cli.root import main
from keycheck.lab.paperwork import write_papers
from keycheck.lab.world import Lab

pytestmark = pytest.mark.slow


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    with Lab(tmp_path / "lab", sections=frozenset({"keys"})) as up:
        yield up


def everything_written(lab: Lab, out: Path, *more: str) -> bytes:
    """What a run prints and writes, unpacked."""
    papers = write_papers(lab, datetime.now(UTC))
    said, complained = io.StringIO(), io.StringIO()
    command = ["run", str(papers.deployment), "--profile", str(papers.profile), "--key", str(papers.signer), *more]
    with redirect_stdout(said), redirect_stderr(complained):
        main([*command, "--out", str(out)])
        main(["plan", str(papers.deployment), "--profile", str(papers.profile)])
    assert len(list(out.glob("*.zip"))) == 1
    return said.getvalue().encode() + complained.getvalue().encode() + written_under(out)


def test_an_ordinary_run_writes_no_secret(lab: Lab, tmp_path: Path) -> None:
    written = everything_written(lab, tmp_path / "runs")
    assert b"keys.customer-managed" in written
    assert leaked(materials(lab) | credentials(lab), written) == []
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
    assert leaked(materials(lab) | credentials(lab) | planted, written) == []
