"""What `keycheck permissions --drills` prints is enough for a whole drill, nothing in it is unused, and with one action
less nothing is taken away."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from drill_privilege import (
    AWS_PEOPLE,
    GCP_PEOPLE,
    Paper,
    asked_aws,
    asked_gcp,
    bestow_aws,
    bestow_by_key_policy,
    bestow_gcp,
    granted_aws,
    granted_gcp,
    printed,
    without,
)

from keycheck.cli.root import main
from keycheck.lab.aws import conditions
from keycheck.lab.key_sites import G_INSPECTOR
from keycheck.lab.matrix import observe
from keycheck.lab.paperwork import write_papers
from keycheck.lab.world import DRILLS, Lab
from keycheck.model.drill import Wish
from keycheck.model.verdict import Kind
from keycheck.registry import load_registry
from probes.keys.aspects import GCP_PERMISSIONS, Aspect

pytestmark = pytest.mark.slow
LOCKOUT = "kms:bypasspolicylockoutsafetycheck"


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    """A new one for each drill that is done: cold canaries are read once."""
    with pytest.MonkeyPatch.context() as patch:
        # A request that does not set the flag has no such key, and a Deny that asks for it does not match.
        patch.setattr(conditions, "MODELLED", conditions.MODELLED | {LOCKOUT})
        with Lab(tmp_path / "lab", sections=frozenset({"keys", DRILLS})) as up:
            yield up


@pytest.fixture
def papers(lab: Lab) -> list[Paper]:
    return printed(lab, "--provider", "aws")


def revoked(lab: Lab, out: Path, id: str = "contacts") -> tuple[Kind, str]:
    """Verdict of a whole revoke drill, and what it said."""
    said: list[str] = []
    only = (f"keys/{id}:keys.revocation",)
    outcome, _ = observe(lab, load_registry(), out, drills=Wish(), only=only, say=said.append)
    (finding,) = [
        f for f in outcome.assessment.findings if f.control.startswith("keys.revocation@") and f.subject == f"keys/{id}"
    ]
    assert not outcome.unrestored
    return finding.verdict, "\n".join([*said, str(finding)])


def policy(lab: Lab) -> Any:
    assert lab.clouds is not None
    held = lab.clouds.aws.cloud.kms.find(lab.clouds.aws.arns["contacts"])
    return json.loads(held.policies.value["default"])


def canary(lab: Lab) -> str:
    assert lab.clouds is not None
    (found,) = (key.canary for key in lab.clouds.keys if key.id == "contacts-g")
    assert found is not None
    return found


def granted_on(lab: Lab) -> set[tuple[str, str, str | None]]:
    """(role, member, condition) on the canary's CryptoKey."""
    assert lab.clouds is not None
    return {
        (grant.role, member, None if grant.condition is None else grant.condition.expression)
        for grant in lab.clouds.gcp.cloud.iam.policy(canary(lab)).grants
        for member in grant.members
    }


def test_the_printed_policies_are_enough_for_a_drill_and_all_of_them_is_used(
    lab: Lab, papers: list[Paper], tmp_path: Path
) -> None:
    bestow_aws(lab, "contacts", papers)
    before = policy(lab)
    verdict, said = revoked(lab, tmp_path)
    assert verdict is Kind.PASS, said
    assert policy(lab) == before
    assert asked_aws(lab) == granted_aws(papers)


def test_the_printed_statements_of_the_key_policy_are_enough_without_iam(
    lab: Lab, papers: list[Paper], tmp_path: Path
) -> None:
    bestow_by_key_policy(lab, "contacts", papers)
    before = policy(lab)
    verdict, said = revoked(lab, tmp_path)
    assert verdict is Kind.PASS, said
    assert policy(lab) == before


def test_with_any_one_action_less_it_does_not_start(lab: Lab, papers: list[Paper], tmp_path: Path) -> None:
    people = {arn: identity for identity, arn in AWS_PEOPLE.items()}
    for number, (arn, action) in enumerate(sorted(granted_aws(papers))):
        bestow_aws(lab, "contacts", without(papers, people[arn], action))
        before = policy(lab)
        verdict, said = revoked(lab, tmp_path / str(number))
        assert verdict is Kind.INCONCLUSIVE, (arn, action, said)
        assert "nothing was changed" in said, (arn, action, said)
        assert policy(lab) == before, (arn, action)


def test_the_printed_roles_are_enough_for_a_drill_in_google_cloud_and_all_of_them_is_used(
    lab: Lab, tmp_path: Path
) -> None:
    papers = printed(lab, "--provider", "gcp")
    bestow_gcp(lab, canary(lab), papers)
    before = granted_on(lab)
    verdict, said = revoked(lab, tmp_path, "contacts-g")
    assert verdict is Kind.PASS, said
    assert granted_on(lab) == before
    assert asked_gcp(lab) == granted_gcp(papers)


def test_with_any_one_permission_less_it_does_not_start_in_google_cloud(lab: Lab, tmp_path: Path) -> None:
    papers = printed(lab, "--provider", "gcp")
    people = {member: identity for identity, member in GCP_PEOPLE.items()}
    single = [paper for paper in papers if "role" not in paper["document"]]  # a predefined role is held or not
    # What tells of muted principals is asked when the drill is over: one stands for all, as each takes a drill.
    late = {(G_INSPECTOR, p) for p in GCP_PERMISSIONS[Aspect.LOGGING] if p != "resourcemanager.projects.getIamPolicy"}
    for number, (member, permission) in enumerate(sorted(granted_gcp(single) - late)):
        bestow_gcp(lab, canary(lab), without(papers, people[member], permission))
        before = granted_on(lab)
        verdict, said = revoked(lab, tmp_path / str(number), "contacts-g")
        assert verdict is Kind.INCONCLUSIVE, (member, permission, said)
        assert "nothing was changed" in said or "denied to identity" in said, (member, permission, said)
        assert granted_on(lab) == before, (member, permission)


def test_it_is_printed_for_people_too_and_techniques_belong_to_drills(
    lab: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    papers = write_papers(lab, datetime.now(UTC))
    command = ["permissions", str(papers.deployment), "--profile", str(papers.profile)]
    assert main([*command, "--technique", "disable-key"]) == 2
    assert main([*command, "--drills", "--technique", "disable-key"]) == 0
    told = capsys.readouterr().out
    assert "# aws, identity restore: attach to the identity" in told
    assert "# aws, the key policy of arn:aws:kms:" in told
    assert "# aws, the dead-man's role: attach to" in told
    assert "and nowhere above" in told
    assert main([*command, "--drills", "--technique", "active-tls"]) == 2
