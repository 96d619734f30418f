"""What is printed for drills beyond the canary, tried on each mechanism alone: enough, all of it used, and with one
action less nothing is taken away."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from aws_stage import APP, MATERIAL, OWNER, PEOPLE, REGION, USES, AwsStage, allow, plain_environment, staged_aws, user
from dead_men import aws_dead_man

from keycheck.errors import ProbeError, UsageError
from keycheck.lab.aws import conditions
from keycheck.lab.aws.kms.model import Key as LabKey
from keycheck.model.authorization import Technique
from keycheck.model.drill import Change, Mechanism, Where
from keycheck.model.types import CanonicalJson
from probes.clouds.aws.arns import kms_arn
from probes.keys.drill.aws_calls import hand
from probes.keys.drill.aws_deny import Deny, deny
from probes.keys.drill.aws_disable import Disable, disable
from probes.keys.drill.aws_grant import RevokeGrant, revoke_grant
from probes.keys.drill.aws_material import DeleteMaterial, Escrow, delete_material
from probes.keys.drill.aws_needs import LOOKS
from probes.keys.drill.aws_revoke import ASPECTS
from probes.keys.drill_permissions import drill_papers
from probes.keys.permissions import Paper
from probes.keys.subjects import CanaryPaths, DeadMan, Key, KeyDrill

ID = "kc-20261122-120000-aaaa"
LOCKOUT = "kms:bypasspolicylockoutsafetycheck"
WIDE = (Technique.DRILL, Technique.REVOKE_GRANT, Technique.DISABLE_KEY, Technique.DELETE_MATERIAL)
HANDS = ("drill", "restore", "control")
LATE = (("control", "kms:Decrypt"), ("restore", "scheduler:DeleteSchedule"))
"""Not missed by a rehearsal: the first by the drill's own baseline, which a mechanism alone has not; the second leaves
a schedule that puts back what is back already, and is told."""


@pytest.fixture
def aws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[AwsStage]:
    monkeypatch.setattr(conditions, "MODELLED", conditions.MODELLED | {LOCKOUT})
    for name in list(os.environ):
        monkeypatch.delenv(name)
    for name, value in plain_environment(tmp_path).items():
        monkeypatch.setenv(name, value)
    with staged_aws(tmp_path) as stage:
        yield stage


class Case:
    """A key with a vendor, and what is printed for one technique."""

    def __init__(self, aws: AwsStage, technique: Technique) -> None:
        self.aws, self.technique = aws, technique
        self.man: DeadMan = aws_dead_man(aws.cloud, OWNER)
        self.key: LabKey = aws.key({})
        (aws.home / "escrow.bin").write_bytes(MATERIAL)
        drill = KeyDrill(
            context=(("tenant", "acme"), ("record", "c-canary-7f3a")),
            planted=aws.now,
            paths=CanaryPaths(),
            dead_man=self.man,
        )
        self.subject: Key = aws.subject(self.key, drill=drill)
        root = allow("Root", f"arn:aws:iam::{OWNER}:root", ["kms:CreateGrant"])
        aws.put(self.key, [root, allow("Owner", f"arn:aws:iam::{OWNER}:role/owner", ["kms:PutKeyPolicy"])])
        self.grant = self._grant()
        self.papers = tuple(drill_papers([self.subject], technique, aws.identities))

    def _grant(self) -> str:
        root = self.aws.vendor().__class__(
            OWNER, f"arn:aws:iam::{OWNER}:root", f"arn:aws:iam::{OWNER}:root", "AKIAROOTROOTROOTROOT"
        )
        asked: dict[str, Any] = {"KeyId": self.key.arn, "GranteePrincipal": APP, "Operations": ["Decrypt"]}
        return str(self.aws.cloud.kms.call(root, REGION, "CreateGrant", **asked)["GrantId"])

    def bestow(self, papers: Iterable[Paper]) -> None:
        """Printed documents, and nothing else; where an ARN is to be put in, it is."""
        documents = [(paper, _named(dict(paper.document))) for paper in papers]
        (policy,) = [document for paper, document in documents if paper.resource == self.key.arn]
        owner = allow("Owner", f"arn:aws:iam::{OWNER}:role/owner", ["kms:PutKeyPolicy"])
        self.aws.put(self.key, [owner, allow("App", APP, USES), *policy["Statement"]])
        for role in PEOPLE:
            own = [_without_kms(document) for paper, document in documents if paper.identity == role]
            self.aws.cloud.directory.set_policies(user(role), [document for document in own if document["Statement"]])
        men = [_without_kms(document) for paper, document in documents if paper.resource == self.man.actor]
        self.aws.cloud.directory.set_policies(self.man.actor, [document for document in men if document["Statement"]])
        self.aws.cloud.ledger.forget_asked()

    def drill(self) -> tuple[Change, Mechanism]:
        aws, subject, key, man = self.aws, self.subject, self.key, self.man
        canary, until = aws.canary(key), aws.now + subject.drill.hold * 6 if subject.drill else aws.now
        match self.technique:
            case Technique.REVOKE_GRANT:
                return revoke_grant(ID, subject, key.arn, self.grant, canary, until, tagged=True), RevokeGrant()
            case Technique.DISABLE_KEY:
                return disable(ID, subject, [key.arn], canary, until, dead_man=man, tagged=True), Disable(aws.sleep)
            case Technique.DELETE_MATERIAL:
                (material,) = key.ring.materials
                escrow = [Escrow(key=key.arn, local="escrow.bin")]
                change = delete_material(
                    ID, subject, [key.arn], material.id, escrow, canary, until, dead_man=man, tagged=True
                )
                return change, DeleteMaterial(aws.sleep)
            case _:
                return deny(ID, subject, [key.arn], canary, until), Deny(aws.sleep)

    def rehearsed(self) -> tuple[Change, Mechanism, CanonicalJson]:
        change, mechanism = self.drill()
        before = mechanism.look(change, self.aws.io())
        mechanism.rehearse(change, before, self.aws.io())
        return change, mechanism, before

    def granted(self) -> set[tuple[str, str]]:
        who = {role: user(role) for role in HANDS}
        return {
            (who[paper.identity], action)
            for paper in self.papers
            if paper.identity in who
            for statement in _named(dict(paper.document))["Statement"]
            if statement["Effect"] == "Allow"
            for action in statement["Action"]
        }

    def vendors_grant(self) -> str:
        """Of those that are there: one that was made again has another id."""
        return next(grant.id for grant in self.key.grants.values() if grant.ended is None)

    def asked(self) -> set[tuple[str, str]]:
        hands = {user(role) for role in HANDS}
        ledger = self.aws.cloud.ledger.asked()
        return {pair for pair in ledger if pair[0] in hands and not pair[1].startswith("sts:")}


def _named(document: dict[str, Any]) -> dict[str, Any]:
    """With the ARNs put in that the deployment does not tell."""
    text = json.dumps(document)
    for role in PEOPLE:
        text = text.replace(f"ARN of identity {role}", user(role))
    found: dict[str, Any] = json.loads(text)
    return found


def _without_kms(document: dict[str, Any]) -> dict[str, Any]:
    """What no key policy can say: the rest is left to the key policy, so that its statements are what decides."""
    kept = [s for s in document["Statement"] if s["Effect"] == "Allow" and not s["Action"][0].startswith("kms:")]
    return {**document, "Statement": kept}


def less(papers: Iterable[Paper], role: str, action: str) -> list[Paper]:
    """The papers without one action of one role, in its own policy and in the key policy."""
    changed = []
    for paper in papers:
        document = _named(dict(paper.document))
        for statement in document["Statement"]:
            theirs = paper.identity == role or statement.get("Principal") == {"AWS": user(role)}
            if theirs and statement["Effect"] == "Allow":
                statement["Action"] = [each for each in statement["Action"] if each != action]
        document["Statement"] = [statement for statement in document["Statement"] if statement["Action"]]
        changed.append(Paper(paper.provider, paper.identity, paper.attach, document, paper.resource))
    return changed


@pytest.mark.parametrize("technique", WIDE)
def test_what_is_printed_is_enough_and_all_of_it_is_used(aws: AwsStage, technique: Technique) -> None:
    case = Case(aws, technique)
    case.bestow(case.papers)
    policy = aws.policy(case.key)
    change, mechanism, before = case.rehearsed()
    mechanism.act(change, before, aws.io())
    mechanism.undo(change, before, aws.io())
    standing = mechanism.standing(change, before, aws.io())
    assert standing.where is Where.RESTORED, standing.words
    assert aws.policy(case.key) == policy
    hand(aws.io(), "control", kms_arn(case.key.arn)).ask(
        "kms:Decrypt",
        REGION,
        CiphertextBlob=aws.canary(case.key).octets(),
        EncryptionContext={"tenant": "acme", "record": "c-canary-7f3a"},
    )
    assert case.asked() == case.granted()


@pytest.mark.slow
@pytest.mark.parametrize("technique", WIDE)
def test_with_any_one_action_less_nothing_is_taken_away(aws: AwsStage, technique: Technique) -> None:
    case = Case(aws, technique)
    people = {user(role): role for role in HANDS}
    for arn, action in sorted(case.granted()):
        lacking = (people[arn], action)
        case.bestow(less(case.papers, *lacking))
        policy = aws.policy(case.key)
        with suppress(ProbeError):
            change, mechanism, before = case.rehearsed()
            acted = False
            with suppress(ProbeError):
                mechanism.act(change, before, aws.io())
                acted = True
            assert lacking in LATE or not acted, lacking
            mechanism.undo(change, before, aws.io())
        assert aws.vendor_reads(case.key), lacking
        assert aws.policy(case.key) == policy, lacking
        case.grant = case.vendors_grant()


def test_nobody_but_the_control_identity_may_use_the_key_and_he_for_the_canary_alone(aws: AwsStage) -> None:
    case = Case(aws, Technique.DRILL)
    case.bestow(case.papers)
    arn = kms_arn(case.key.arn)
    for role in ("drill", "restore", "inspect", "log"):
        with pytest.raises(ProbeError):
            hand(aws.io(), role, arn).ask("kms:Encrypt", REGION, KeyId=case.key.arn, Plaintext=b"x")
    for context in ({"tenant": "acme"}, {"tenant": "acme", "record": "c-000001"}, {"tenant": "acme-x"}):
        with pytest.raises(ProbeError):
            hand(aws.io(), "control", arn).ask(
                "kms:Encrypt", REGION, KeyId=case.key.arn, Plaintext=b"x", EncryptionContext=context
            )
    mark = {"tenant": f"acme-{ID}"}
    sealed = hand(aws.io(), "control", arn).ask(
        "kms:Encrypt", REGION, KeyId=case.key.arn, Plaintext=b"x", EncryptionContext=mark
    )
    with pytest.raises(ProbeError):
        hand(aws.io(), "control", arn).ask(
            "kms:Decrypt", REGION, CiphertextBlob=sealed["CiphertextBlob"], EncryptionContext=mark
        )


def test_the_lock_out_check_cannot_be_bypassed(aws: AwsStage) -> None:
    from probes.clouds.aws.clients import api

    case = Case(aws, Technique.DRILL)
    case.bestow(case.papers)
    arn = kms_arn(case.key.arn)
    client = api(aws.io(), "drill", arn.partition, REGION).access.client("kms", REGION)
    text = case.key.policies.value["default"]
    asked = {"KeyId": case.key.arn, "PolicyName": "default", "Policy": text}
    client.put_key_policy(**asked)  # type: ignore[attr-defined]
    with pytest.raises(client.exceptions.ClientError, match="AccessDenied"):
        client.put_key_policy(**asked, BypassPolicyLockoutSafetyCheck=True)  # type: ignore[attr-defined]


def test_a_technique_that_no_key_offers_is_a_usage_error(aws: AwsStage) -> None:
    with pytest.raises(UsageError, match="rotate-canary"):
        list(drill_papers([aws.subject(aws.key({}))], Technique.ROTATE_CANARY, ()))


def test_a_value_with_wildcards_is_taken_literally(aws: AwsStage) -> None:
    drill = KeyDrill(context=(("tenant", "a*c?e$"),), planted=aws.now, paths=CanaryPaths())
    papers = list(drill_papers([aws.subject(aws.key({}), drill=drill)], Technique.DRILL, ()))
    (paper,) = [each for each in papers if each.identity == "control"]
    assert '"a${*}c${?}e${$}-kc-*"' in str(paper.document).replace("'", '"')


def test_what_is_printed_for_inspecting_is_what_a_drill_inspects() -> None:
    assert frozenset(LOOKS) == ASPECTS
