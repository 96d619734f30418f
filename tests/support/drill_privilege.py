"""The practice customer's identities with exactly what `keycheck permissions --drills` prints, in both clouds."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable
from contextlib import redirect_stdout
from datetime import UTC, datetime, timedelta
from typing import Any

from keycheck.cli.root import main
from keycheck.lab.key_sites import (
    CONTROL,
    CUSTOMER,
    DRILL,
    G_CONTROL,
    G_DRILL,
    G_INSPECTOR,
    G_RESTORE,
    INSPECTOR,
    LOG_READER,
    RESTORE,
)
from keycheck.lab.paperwork import write_papers
from keycheck.lab.world import Lab

AWS_PEOPLE = {
    "inspector": INSPECTOR,
    "log-reader": LOG_READER,
    "drill": DRILL,
    "control": CONTROL,
    "restore": RESTORE,
}
GCP_PEOPLE = {"inspector-g": G_INSPECTOR, "drill-g": G_DRILL, "control-g": G_CONTROL, "restore-g": G_RESTORE}
OURS = frozenset(AWS_PEOPLE.values())
BY_IAM = {
    "Sid": "ByIam",
    "Effect": "Allow",
    "Principal": {"AWS": f"arn:aws:iam::{CUSTOMER}:root"},
    "Action": "kms:*",
    "Resource": "*",
}
"""Leaves everything in the customer's account to IAM, so that identity policies alone decide."""
BY_POLICY = {
    "Sid": "Owner",
    "Effect": "Allow",
    "Principal": {"AWS": f"arn:aws:iam::{CUSTOMER}:role/key-admin"},
    "Action": ["kms:PutKeyPolicy", "kms:GetKeyPolicy", "kms:DescribeKey"],
    "Resource": "*",
}

Paper = dict[str, Any]


def printed(lab: Lab, *more: str) -> list[Paper]:
    papers = write_papers(lab, datetime.now(UTC))
    out = io.StringIO()
    command = ["permissions", str(papers.deployment), "--profile", str(papers.profile), "--drills", "-o", "json", *more]
    with redirect_stdout(out):
        code = main(command)
    assert code == 0
    found: list[Paper] = json.loads(out.getvalue())["papers"]
    return found


def without(papers: list[Paper], identity: str, action: str) -> list[Paper]:
    """The same papers, but that one identity lacks one action. Gives new ones."""
    changed: list[Paper] = json.loads(json.dumps(papers))
    for paper in changed:
        if paper["identity"] != identity:
            continue
        document = paper["document"]
        for statement in document.get("Statement", []):
            if statement["Effect"] == "Allow":
                statement["Action"] = [each for each in statement["Action"] if each != action]
        document["Statement"] = [s for s in document.get("Statement", []) if s["Action"]]
        if "includedPermissions" in document:
            document["includedPermissions"] = [p for p in document["includedPermissions"] if p != action]
    assert changed != papers
    return changed


def bestow_aws(lab: Lab, key: str, papers: Iterable[Paper]) -> None:
    """Each identity gets its own documents and nothing else; the key policy leaves the decision to them."""
    _put(lab, key, [BY_IAM])
    found = [paper for paper in papers if paper["provider"] == "aws" and not paper["resource"]]
    for identity, arn in AWS_PEOPLE.items():
        _aws(lab).directory.set_policies(arn, [p["document"] for p in found if p["identity"] == identity])
    _aws(lab).ledger.forget_asked()


def bestow_by_key_policy(lab: Lab, key: str, papers: Iterable[Paper]) -> None:
    """The key policy says what is printed for it, and IAM adds only what no key policy can say."""
    found = [paper for paper in papers if paper["provider"] == "aws"]
    (document,) = [p["document"] for p in found if p["resource"] == _arn(lab, key)]
    _put(lab, key, [BY_POLICY, *document["Statement"]])
    for identity, arn in AWS_PEOPLE.items():
        kept = [
            {**p["document"], "Statement": [s for s in p["document"]["Statement"] if s["Resource"] == "*"]}
            for p in found
            if p["identity"] == identity and not p["resource"]
        ]
        _aws(lab).directory.set_policies(arn, [document for document in kept if document["Statement"]])
    _aws(lab).ledger.forget_asked()


def granted_aws(papers: Iterable[Paper]) -> set[tuple[str, str]]:
    """(principal, action) of every document of an identity."""
    return {
        (AWS_PEOPLE[paper["identity"]], action)
        for paper in papers
        if paper["provider"] == "aws" and not paper["resource"]
        for statement in paper["document"]["Statement"]
        if statement["Effect"] == "Allow"
        for action in statement["Action"]
    }


def asked_aws(lab: Lab) -> set[tuple[str, str]]:
    return {pair for pair in _aws(lab).ledger.asked() if pair[0] in OURS and not pair[1].startswith("sts:")}


def _put(lab: Lab, key: str, statements: list[Paper]) -> None:
    held = _aws(lab).kms.find(_arn(lab, key))
    theirs = [
        statement
        for statement in json.loads(held.policies.value["default"])["Statement"]
        if not set(json.dumps(statement["Principal"]).split('"')) & {*OURS, f"arn:aws:iam::{CUSTOMER}:root"}
        and not statement["Sid"].startswith("Keycheck")
        and statement["Sid"] != BY_POLICY["Sid"]
    ]
    document = {"Version": "2012-10-17", "Statement": [*statements, *theirs]}
    held.policies.put({"default": json.dumps(document)}, datetime.now(UTC), timedelta(0))


def _arn(lab: Lab, key: str) -> str:
    assert lab.clouds is not None
    return lab.clouds.aws.arns[key]


def _aws(lab: Lab) -> Any:
    assert lab.clouds is not None
    return lab.clouds.aws.cloud


def bestow_gcp(lab: Lab, canary: str, papers: Iterable[Paper]) -> None:
    """Each identity gets what is printed, where it is printed, and nothing else."""
    assert lab.clouds is not None
    gcp = lab.clouds.gcp.cloud
    (organization,) = (node.name for node in gcp.directory.nodes("organizations/"))
    for place in (organization, *_places(canary)):
        for grant in gcp.iam.policy(place).grants:
            for member in set(GCP_PEOPLE.values()) & set(grant.members):
                gcp.iam.unbind(place, grant.role, member)
    for number, paper in enumerate(each for each in papers if each["provider"] == "gcp" and each["identity"]):
        role = paper["document"].get("role") or f"{organization}/roles/printed{number}"
        if "role" not in paper["document"]:
            gcp.iam.role(role, paper["document"]["includedPermissions"])
        gcp.iam.bind(paper["resource"] or organization, role, GCP_PEOPLE[paper["identity"]])
    gcp.iam.forget()


def granted_gcp(papers: Iterable[Paper]) -> set[tuple[str, str]]:
    return {
        (GCP_PEOPLE[paper["identity"]], permission)
        for paper in papers
        if paper["provider"] == "gcp" and paper["identity"]
        for permission in paper["document"].get("includedPermissions", paper["document"].get("permissionsUsed"))
    }


def asked_gcp(lab: Lab) -> set[tuple[str, str]]:
    assert lab.clouds is not None
    return {pair for pair in lab.clouds.gcp.cloud.iam.asked() if pair[0] in GCP_PEOPLE.values()}


def _places(key: str) -> list[str]:
    parts = key.split("/")
    return ["/".join(parts[:2]), "/".join(parts[:6]), key]
