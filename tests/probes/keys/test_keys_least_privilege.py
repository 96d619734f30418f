"""What `keycheck permissions` prints is enough for the plan, and nothing in it is unused: held on both fakes."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from contextlib import redirect_stdout
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from keycheck.cli.root import main
from keycheck.lab.gcp_estate import INSPECTOR_ROLES
from keycheck.lab.key_sites import CUSTOMER, G_INSPECTOR, INSPECTOR, LOG_READER
from keycheck.lab.matrix import observe
from keycheck.lab.paperwork import write_papers
from keycheck.lab.world import Lab
from keycheck.registry import load_registry

pytestmark = pytest.mark.slow

BY_IAM = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"AWS": f"arn:aws:iam::{CUSTOMER}:root"},
            "Action": "kms:*",
            "Resource": "*",
        }
    ],
}
"""A key policy that leaves everything to the account's IAM, so that identity policies alone decide."""


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    with Lab(tmp_path, sections=frozenset({"keys"})) as up:
        yield up


def printed(lab: Lab) -> list[dict[str, Any]]:
    papers = write_papers(lab, datetime.now(UTC))
    out = io.StringIO()
    with redirect_stdout(out):
        code = main(["permissions", str(papers.deployment), "--profile", str(papers.profile), "-o", "json"])
    assert code == 0
    return json.loads(out.getvalue())["papers"]


def bestow(lab: Lab, papers: list[dict[str, Any]]) -> None:
    """Give each identity the printed documents and nothing else."""
    assert lab.clouds is not None
    aws, gcp = lab.clouds.aws.cloud, lab.clouds.gcp.cloud
    for shelf in aws.kms.holdings.keys.values():
        for key in shelf.values():
            key.policies.put({"default": json.dumps(BY_IAM)}, datetime.now(UTC), timedelta(0))
    of = {"inspector": INSPECTOR, "log-reader": LOG_READER}
    for identity, arn in of.items():
        aws.directory.set_policies(
            arn, [p["document"] for p in papers if p["provider"] == "aws" and p["identity"] == identity]
        )
    (organization,) = (node.name for node in gcp.directory.nodes("organizations/"))
    for role in INSPECTOR_ROLES:
        gcp.iam.unbind(organization, role, G_INSPECTOR)
    for number, paper in enumerate(p for p in papers if p["provider"] == "gcp"):
        role = f"{organization}/roles/printed{number}"
        gcp.iam.role(role, paper["document"]["includedPermissions"])
        words = paper["attach"].replace(",", " ").replace(";", " ").split()
        places = [word for word in words if word.startswith("projects/")] or [organization]
        for place in places:
            gcp.iam.bind(place, role, G_INSPECTOR)
    aws.ledger.forget_asked()
    gcp.iam.forget()


def recorded(bundle: Path) -> str:
    with zipfile.ZipFile(bundle) as plain:
        return plain.read("observations.jsonl").decode()


def test_the_printed_policy_is_enough_and_all_of_it_is_used(lab: Lab, tmp_path: Path) -> None:
    assert lab.clouds is not None
    papers = printed(lab)
    bestow(lab, papers)
    outcome, _ = observe(lab, load_registry(), tmp_path / "runs")
    assert "permission-denied" not in recorded(outcome.bundle.path)
    granted = {
        (identity, action)
        for p in papers
        if p["provider"] == "aws"
        for identity in [{"inspector": INSPECTOR, "log-reader": LOG_READER}[p["identity"]]]
        for statement in p["document"]["Statement"]
        for action in statement["Action"]
    }
    asked = {pair for pair in lab.clouds.aws.cloud.ledger.asked() if not pair[1].startswith("sts:")}
    assert asked == granted
    allowed = {
        (G_INSPECTOR, permission)
        for p in papers
        if p["provider"] == "gcp"
        for permission in p["document"]["includedPermissions"]
    }
    assert lab.clouds.gcp.cloud.iam.asked() == allowed


@pytest.mark.parametrize(
    "left_out", ["kms:GetKeyPolicy", "cloudtrail:LookupEvents", "cloudkms.cryptoKeys.getIamPolicy"]
)
def test_with_one_permission_less_something_is_denied(lab: Lab, tmp_path: Path, left_out: str) -> None:
    papers = printed(lab)
    for paper in papers:
        document = paper["document"]
        for statement in document.get("Statement", []):
            statement["Action"] = [action for action in statement["Action"] if action != left_out]
        if "includedPermissions" in document:
            document["includedPermissions"] = [p for p in document["includedPermissions"] if p != left_out]
    bestow(lab, papers)
    outcome, _ = observe(lab, load_registry(), tmp_path / "runs")
    assert "permission-denied" in recorded(outcome.bundle.path)
