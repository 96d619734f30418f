"""A drill says on the key what it does, where nothing reads what it says, and takes it off again."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from aws_stage import APP, OWNER, AwsStage, plain_environment, staged_aws
from gcp_stage import Stage, staged
from made_keys import aws_key, grant, only, statement, when

from keycheck.errors import ProbeError
from keycheck.lab.aws.kms.model import Key as LabKey
from keycheck.lab.aws.seams import Caller
from keycheck.model.drill import Change, Where
from keycheck.model.facts import Unseen
from keycheck.model.verdict import Reason
from probes.clouds.aws.arns import kms_arn
from probes.clouds.gcp.names import key_name
from probes.keys.drill.aws_calls import hand
from probes.keys.drill.aws_grant import RevokeGrant, revoke_grant
from probes.keys.drill.aws_needs import NEEDS as ACTIONS
from probes.keys.drill.aws_tags import NEEDS, Breadcrumbs, breadcrumb, clear_tags, readers, set_tags
from probes.keys.drill.gcp_calls import hand as gcp_hand
from probes.keys.drill.gcp_disable import disable
from probes.keys.drill.gcp_labels import NEEDS as LABELS
from probes.keys.drill.gcp_labels import Labels, clear_labels, set_labels

ID, OTHER = "kc-20261122-120000-aaaa", "kc-20261122-120000-bbbb"
ROOT = f"arn:aws:iam::{OWNER}:root"


@pytest.fixture
def aws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[AwsStage]:
    for name in list(os.environ):
        monkeypatch.delenv(name)
    for name, value in plain_environment(tmp_path).items():
        monkeypatch.setenv(name, value)
    with staged_aws(tmp_path) as stage:
        yield stage


@pytest.fixture
def gcp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    with staged(tmp_path, "gcp-disable") as stage:
        for role in ("drill", "restore"):
            stage.cloud.iam.role(stage.role(role), LABELS)
        yield stage


def needs() -> dict[str, tuple[str, ...]]:
    table = ACTIONS["aws-revoke-grant"]
    return {
        "drill": (*table["drill"], *NEEDS["drill"]),
        "restore": (*table["restore"], *NEEDS["restore"], "kms:Decrypt"),
        "control": table["control"],
    }


def granted(aws: AwsStage, key: LabKey) -> str:
    kept = [each for each in aws.policy(key)["Statement"] if each["Sid"] != "Root"]
    aws.put(key, [*kept, {
        "Sid": "Root", "Effect": "Allow", "Principal": {"AWS": ROOT}, "Action": "kms:*", "Resource": "*",
    }])  # fmt: skip
    asked: dict[str, Any] = {"KeyId": key.arn, "GranteePrincipal": APP, "Operations": ["Decrypt"]}
    owner = Caller(OWNER, ROOT, ROOT, "AKIAROOTROOTROOTROOT")
    return str(aws.cloud.kms.call(owner, key.region, "CreateGrant", **asked)["GrantId"])


def revoking(aws: AwsStage, key: LabKey, drill: str = ID) -> Change:
    until = aws.now + timedelta(minutes=10)
    return revoke_grant(drill, aws.subject(key), key.arn, granted(aws, key), aws.canary(key), until, tagged=True)


class TestAws:
    def test_a_revoked_grant_is_told_of_on_the_key_until_it_is_back(self, aws: AwsStage) -> None:
        key = aws.key(needs())
        key.tags["owner"] = "acme"
        change, mechanism = revoking(aws, key), RevokeGrant()
        before = mechanism.look(change, aws.io())
        mechanism.rehearse(change, before, aws.io())
        assert key.tags == {"owner": "acme"}
        mechanism.act(change, before, aws.io())
        found = breadcrumb(key.tags.items())
        assert found is not None
        assert (found.drill, found.deadline, found.undo) == (ID, change.deadline, "aws-revoke-grant")
        mechanism.undo(change, before, aws.io())
        assert key.tags == {"owner": "acme"}
        assert mechanism.standing(change, before, aws.io()).where is Where.RESTORED
        assert any("untag-resource" in command for command in change.by_hand)

    @pytest.mark.parametrize(("role", "action"), [("drill", "kms:TagResource"), ("restore", "kms:UntagResource")])
    def test_whoever_may_not_set_or_clear_is_found_when_rehearsed(self, aws: AwsStage, role: str, action: str) -> None:
        table = needs()
        key = aws.key({**table, role: tuple(each for each in table[role] if each != action)})
        change, mechanism = revoking(aws, key), RevokeGrant()
        before = mechanism.look(change, aws.io())
        with pytest.raises(ProbeError, match=action) as caught:
            mechanism.rehearse(change, before, aws.io())
        assert caught.value.reason is Reason.PERMISSION_DENIED

    def test_tags_that_cannot_be_taken_off_are_told_and_no_restore_that_failed(self, aws: AwsStage) -> None:
        key = aws.key(needs())
        change, mechanism = revoking(aws, key), RevokeGrant()
        before = mechanism.look(change, aws.io())
        mechanism.act(change, before, aws.io())
        aws.cloud.faults.fail("UntagResource", "AccessDeniedException", "no")
        mechanism.undo(change, before, aws.io())
        standing = mechanism.standing(change, before, aws.io())
        assert (standing.where, "still on the key" in standing.words) == (Where.RESTORED, True)

    def test_another_drills_tags_are_neither_overwritten_nor_taken_off(self, aws: AwsStage) -> None:
        key = aws.key(needs())
        arn, io = kms_arn(key.arn), aws.io()
        set_tags(hand(io, "drill", arn), arn, revoking(aws, key))
        before = dict(key.tags)
        with pytest.raises(ProbeError, match=ID) as caught:
            set_tags(hand(io, "drill", arn), arn, revoking(aws, key, OTHER))
        assert caught.value.reason is Reason.CONFLICTING
        assert not clear_tags(hand(io, "restore", arn), arn, OTHER)
        assert key.tags == before
        assert clear_tags(hand(io, "restore", arn), arn, ID)
        assert not clear_tags(hand(io, "restore", arn), arn, ID)
        assert key.tags == {}

    def test_where_none_are_wanted_nothing_is_asked(self, aws: AwsStage) -> None:
        key = aws.key({"control": ("kms:Encrypt", "kms:Decrypt")})
        change = revoking(aws, key)
        arn, io = kms_arn(key.arn), aws.io()
        crumbs = Breadcrumbs(change, aws.subject(key), wanted=False)
        crumbs.rehearse(arn, io)
        crumbs.set(arn, io)
        crumbs.dismiss(arn, io)
        assert crumbs.left(arn, io) == ""
        assert key.tags == {}


@pytest.mark.parametrize(
    "condition",
    [
        when("StringEquals", "aws:ResourceTag/keycheck-drill", "x"),
        when("StringEquals", "AWS:RESOURCETAG/owner", "acme"),
        when("Null", "aws:RequestTag/cost", "true"),
        when("ForAllValues:StringEquals", "aws:TagKeys", "cost"),
        when("StringEquals", "aws:PrincipalTag/team", "${aws:ResourceTag/team}"),
    ],
)
@pytest.mark.parametrize("effect", ["Allow", "Deny"])
def test_a_policy_that_reads_tags_forbids_them(condition: Any, effect: str) -> None:
    reading = aws_key(policies=only(statement(APP, ("kms:Decrypt",), condition, effect=effect)))
    (words,) = readers(reading)
    assert "statement" in words


def test_other_policies_and_grants_do_not() -> None:
    ordinary = when("StringEquals", "aws:PrincipalTag/team", "crm")
    assert readers(aws_key(policies=only(statement(APP, ("kms:Decrypt",), ordinary)), grants=(grant(),))) == ()


def test_what_is_not_known_forbids_them_too() -> None:
    unseen = Unseen(reason=Reason.PERMISSION_DENIED, detail="denied")
    assert "permission-denied" in readers(aws_key(policies=unseen))[0]
    assert readers(aws_key(grants=(grant(other_constraints=("TagsEqual",)),)))


@pytest.mark.parametrize(
    "tags", [(("keycheck-drill", "x" * 300),), (("keycheck-undo", "\x1b[31m"), ("keycheck-restore-by", "soon"))]
)
def test_hostile_tags_are_told_in_bounds(tags: tuple[tuple[str, str], ...]) -> None:
    found = breadcrumb(tags)
    assert found is not None
    assert found.deadline is None
    assert len(found.drill) <= 64
    assert "\x1b" not in found.undo


class TestGcp:
    def test_labels_tell_of_the_drill_until_they_are_taken_off_and_keep_the_others(self, gcp: Stage) -> None:
        labelled(gcp, owner="acme")
        change = disable(ID, gcp.subject(), gcp.key, ["1"], gcp.canary, gcp.deadline())
        labels = Labels(change, gcp.subject(), key_name(gcp.key), wanted=True)
        labels.rehearse(gcp.io())
        assert shown(gcp) == {"owner": "acme"}
        labels.set(gcp.io())
        assert shown(gcp) == {
            "owner": "acme",
            "keycheck-drill": ID,
            "keycheck-restore-by": "20261122t120500z",
            "keycheck-undo": "gcp-disable",
        }
        assert "still on the key" in labels.left(gcp.io())
        labels.dismiss(gcp.io())
        assert (shown(gcp), labels.left(gcp.io())) == ({"owner": "acme"}, "")

    def test_another_drills_labels_are_neither_overwritten_nor_taken_off(self, gcp: Stage) -> None:
        name = key_name(gcp.key)
        for drill in (ID, OTHER):
            change = disable(drill, gcp.subject(), gcp.key, ["1"], gcp.canary, gcp.deadline())
            if drill == ID:
                set_labels(gcp_hand(gcp.io(), "drill"), name, change)
                continue
            with pytest.raises(ProbeError, match=ID):
                set_labels(gcp_hand(gcp.io(), "drill"), name, change)
        assert not clear_labels(gcp_hand(gcp.io(), "restore"), name, OTHER)
        assert shown(gcp)["keycheck-drill"] == ID


def labelled(gcp: Stage, **labels: str) -> None:
    held = gcp.cloud.kms.store.keys[gcp.key]
    held.settings = replace(held.settings, labels=labels)


def shown(gcp: Stage) -> dict[str, str]:
    return dict(gcp.cloud.kms.store.keys[gcp.key].settings.labels)
