"""What drills leave in the world is found without a journal; what is surely theirs goes, and nothing else."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from aws_stage import OWNER, PAIRS, SECOND, AwsStage, allow, plain_environment, staged_aws, user
from dead_men import aws_dead_man, own_policy
from gcp_stage import HOLD, USE, VENDOR, Stage, patient, staged

from keycheck.canonical import dumps
from keycheck.drill.home import Home
from keycheck.drill.journal import Journal as Written
from keycheck.drill.kit import Kit
from keycheck.drill.records import Closed, Closing, Intended, Planned, Writer
from keycheck.drill.recover import Means
from keycheck.drill.scan import Fate, Find, Journal, Scan, scan
from keycheck.errors import UsageError
from keycheck.lab.aws.kms.model import Key as LabKey
from keycheck.lab.gcp.policies import Condition, Grant
from keycheck.model.deployment import HERE, Deployment, Identity, SubjectEntry
from keycheck.model.drill import Change
from keycheck.model.probe import Io
from keycheck.model.scan import Consent
from keycheck.model.types import CanonicalJson
from keycheck.model.verdict import ExitCode, Reason
from keycheck.registry import Plugin, Registry
from probes.clouds.aws.arns import kms_arn
from probes.clouds.gcp.names import key_name
from probes.keys.drill.aws_calls import hand
from probes.keys.drill.aws_deny import Deny, deny, sid_of
from probes.keys.drill.aws_disable import Disable, disable
from probes.keys.drill.aws_grant import RevokeGrant, revoke_grant
from probes.keys.drill.aws_needs import NEEDS
from probes.keys.drill.aws_scan import AwsScanner
from probes.keys.drill.aws_tags import set_tags
from probes.keys.drill.gcp_binding import Binding, binding
from probes.keys.drill.gcp_calls import hand as gcp_hand
from probes.keys.drill.gcp_disable import disable as gcp_disable
from probes.keys.drill.gcp_labels import NEEDS as LABELS
from probes.keys.drill.gcp_labels import set_labels
from probes.keys.drill.gcp_preflight import NEEDS as GCP_NEEDS
from probes.keys.drill.gcp_scan import GcpScanner
from probes.keys.subjects import CanaryPaths, Key, KeyDrill

ID, OTHER = "kc-20261122-120000-aaaa", "kc-20261122-120000-bbbb"
ALL = {
    "inspect": ("kms:DescribeKey", "kms:ListKeyRotations", "kms:ListGrants", "kms:ListResourceTags"),
    "drill": tuple(
        {*(a for needs in NEEDS.values() for a in needs["drill"]), "kms:ListResourceTags", "kms:TagResource"}
    ),
    "restore": tuple(
        {*(a for needs in NEEDS.values() for a in needs["restore"]), "kms:ListResourceTags", "kms:UntagResource"}
    ),
    "control": ("kms:Encrypt", "kms:Decrypt"),
}


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
    with staged(tmp_path, "gcp-binding") as stage:
        yield stage


def registry(*scanners: type[object]) -> Registry:
    found: dict[Plugin, Callable[[], object]] = {Plugin("keycheck.subjects", "keys", "", "keycheck", "1"): lambda: Key}
    for each in scanners:
        found[Plugin("keycheck.scanners", each.__name__.lower(), "", "keycheck", "1")] = partial(_itself, each)
    return Registry(found)


def _itself(kind: type[object]) -> object:
    return kind


def deployment(subject: Key, *identities: Identity) -> Deployment:
    body = CanonicalJson.of(subject.model_dump(mode="json"))
    entry = SubjectEntry(id=f"keys/{subject.id}", vantages=(HERE.id,), body=body)
    return Deployment(deployment="practice", identities=identities, subjects=(entry,))


class Sweep:
    """One deployment of one key, swept again and again."""

    def __init__(self, home: Path, subject: Key, identities: tuple[Identity, ...], io: Io) -> None:
        self.home, self.io = Home(home / "drills"), io
        self.subject = subject
        self.deployment = deployment(subject, *identities)
        self.means = Means(
            registry(type("Aws", (AwsScanner,), {}), type("Gcp", (GcpScanner,), {})),
            {},
            clock=io.clock,
            load=lambda kit, _: replace(io, vantage=kit.vantage),
        )

    def __call__(self, *, apply: bool = False, drill: str | None = None) -> Scan:
        return scan(
            self.deployment, self.home.root / "deployment.yaml", self.home, self.means, apply=apply, drill=drill
        )

    def one(self, *, apply: bool = False, drill: str | None = None) -> Find:
        found = self(apply=apply, drill=drill)
        assert not found.blind
        (find,) = found.finds
        return find

    def journal(self, change: Change) -> Written:
        """A drill of this machine that has its lock and owes the undo."""
        kit = Kit(deployment="practice", file="/d.yaml", subject=change.subject, vantage=HERE)
        journal = self.home.open(change.drill, kit, self.io.clock, Writer.RUNNER)
        journal.append(Planned(change=change, before=CanonicalJson.of({}), settle_ms=0, patience_ms=0))
        journal.append(Intended())
        return journal


def sweep_aws(aws: AwsStage, key: LabKey) -> Sweep:
    return Sweep(aws.home, aws.subject(key), aws.identities, aws.io())


def denied(aws: AwsStage, key: LabKey, drill: str = ID) -> Change:
    """A drill that died right after its act."""
    subject, deny_ = aws.subject(key), Deny(aws.sleep)
    change = deny(drill, subject, [key.arn], aws.canary(key), aws.now + timedelta(minutes=10))
    before = deny_.look(change, aws.io())
    deny_.act(change, before, aws.io())
    return change


class TestAws:
    def test_nothing_is_left_on_a_key_that_no_drill_touched(self, aws: AwsStage) -> None:
        found = sweep_aws(aws, aws.key(ALL))()
        assert (found.finds, found.blind, found.exit_code) == ((), (), ExitCode.MET)

    def test_a_statement_is_shown_and_goes_only_when_its_deadline_is_over(self, aws: AwsStage) -> None:
        key = aws.key(ALL)
        before = aws.policy(key)
        denied(aws, key)
        sweep = sweep_aws(aws, key)
        found = sweep(apply=True)
        (find,) = found.finds
        assert (find.fate, find.leftover.mark, find.leftover.drill) == (Fate.LEFT, sid_of(ID), "")
        told = "\n".join(found.lines())
        assert f"aws kms put-key-policy --region {key.region} --key-id {key.arn}" in told
        assert "2026-11-22T12:10:00Z" in told
        assert sid_of(ID) in dumps(found.record()).decode()
        assert "acme" not in told, "values of the canary's context are nobody's business"
        assert "deadline is not over" in find.words
        assert not aws.vendor_reads(key)
        aws.now += timedelta(minutes=10)
        assert sweep.one().fate is Fate.LEFT  # shown only
        assert sid_of(ID) in aws.sids(key)
        assert sweep.one(apply=True).fate is Fate.CLEARED
        assert aws.policy(key) == before
        assert sweep(apply=True).exit_code is ExitCode.MET

    def test_a_drill_that_is_named_ends_before_its_deadline_and_no_other(self, aws: AwsStage) -> None:
        key = aws.key(ALL)
        denied(aws, key)
        sweep = sweep_aws(aws, key)
        assert sweep.one(apply=True, drill=OTHER).fate is Fate.LEFT
        find = sweep.one(apply=True, drill=ID)
        assert (find.fate, find.leftover.drill) == (Fate.CLEARED, ID)
        assert aws.vendor_reads(key)

    def test_a_drill_whose_journal_is_here_and_not_closed_is_left_to_it(self, aws: AwsStage) -> None:
        key = aws.key(ALL)
        change = denied(aws, key)
        sweep = sweep_aws(aws, key)
        journal = sweep.journal(change)
        aws.now += timedelta(hours=1)
        assert sweep.one(apply=True, drill=ID).journal is Journal.RUNNING
        journal.close()
        find = sweep.one(apply=True, drill=ID)
        assert (find.journal, find.fate) == (Journal.OPEN, Fate.LEFT)
        assert f"keycheck drill recover {ID}" in find.words
        journal = sweep.home.existing(ID, sweep.io.clock, Writer.PERSON)
        journal.append(Closed(outcome=Closing.DISMISSED, words="looked at"))
        journal.close()
        assert sweep.one(apply=True).fate is Fate.CLEARED

    @pytest.mark.parametrize("change", ["Action", "Sid", "Condition", "Principal"])
    def test_what_somebody_rewrote_is_told_and_never_touched(self, aws: AwsStage, change: str) -> None:
        key = aws.key(ALL)
        denied(aws, key)
        listed = aws.policy(key)["Statement"]
        ours = listed[-1]
        match change:
            case "Action":
                ours["Action"] = ["kms:*"]
            case "Sid":
                ours["Sid"] = "KeycheckDrillOfMyOwn"
            case "Condition":
                ours["Condition"]["StringNotEquals"] = {"aws:PrincipalArn": "arn:aws:iam::1:user/x"}
            case _:
                ours["Principal"] = {"AWS": f"arn:aws:iam::{key.account}:user/drill"}
        aws.put(key, listed)
        aws.now += timedelta(hours=1)
        find = sweep_aws(aws, key).one(apply=True, drill=ID)
        assert (find.fate, find.leftover.consent) == (Fate.LEFT, Consent.NEVER)
        assert aws.policy(key)["Statement"] == listed

    def test_a_replica_is_looked_at_too_and_a_region_that_is_denied_is_not_passed_over(self, aws: AwsStage) -> None:
        key = aws.key(ALL, multi_region=True)
        owner = aws.vendor().__class__(
            key.account,
            f"arn:aws:iam::{key.account}:root",
            f"arn:aws:iam::{key.account}:root",
            "AKIAROOTROOTROOTROOT",
        )
        aws.put(key, [*aws.policy(key)["Statement"], {
            "Sid": "Root", "Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{key.account}:root"},
            "Action": "kms:*", "Resource": "*",
        }])  # fmt: skip
        asked = {"KeyId": key.arn, "ReplicaRegion": SECOND, "Policy": key.policies.value["default"]}
        aws.cloud.kms.call(owner, key.region, "ReplicateKey", **asked)
        replica = aws.cloud.kms.find(key.arn.replace(key.region, SECOND))
        aws.cloud.kms.import_material(replica, b"M" * 32)
        denied(aws, replica)
        aws.now += timedelta(hours=1)
        sweep = sweep_aws(aws, key)
        assert sweep.one().leftover.where == replica.arn
        aws.put(replica, [each for each in aws.policy(replica)["Statement"] if each["Sid"] != "Restore"])
        found = sweep(apply=True)
        assert [(blind.reason, blind.where) for _, blind in found.blind] == [(Reason.PERMISSION_DENIED, replica.arn)]
        assert found.exit_code is ExitCode.NOT_RESTORED

    def test_a_disabled_key_is_enabled_only_when_the_drill_is_named(self, aws: AwsStage) -> None:
        key = aws.key(ALL)
        subject, io, arn = aws.subject(key), aws.io(), kms_arn(key.arn)
        change = disable(ID, subject, [key.arn], aws.canary(key), aws.now + timedelta(minutes=10))
        set_tags(hand(io, "drill", arn), arn, change)
        hand(io, "drill", arn).ask("kms:DisableKey", arn.region, KeyId=key.arn)
        aws.now += timedelta(hours=1)
        sweep = sweep_aws(aws, key)
        find = sweep.one(apply=True)
        assert (find.fate, find.over, find.leftover.mechanism) == (Fate.LEFT, True, "aws-disable")
        assert any(command.startswith("aws kms enable-key") for command in find.leftover.by_hand)
        assert not aws.vendor_reads(key)
        assert sweep.one(apply=True, drill=ID).fate is Fate.CLEARED
        assert aws.vendor_reads(key)
        assert key.tags == {}

    def test_a_dead_man_goes_only_when_the_key_is_back(self, aws: AwsStage) -> None:
        man = aws_dead_man(aws.cloud, OWNER, ("kms:EnableKey",))
        key = aws.key(ALL)
        aws.put(key, [*aws.policy(key)["Statement"], allow("Man", man.actor, ["kms:EnableKey"])])
        aws.cloud.directory.set_policies(user("restore"), [own_policy("aws-disable", "restore")])
        drill = KeyDrill(context=PAIRS, planted=aws.now, paths=CanaryPaths(), dead_man=man)
        subject, off = aws.subject(key, drill=drill), Disable(aws.sleep)
        change = disable(ID, subject, [key.arn], aws.canary(key), aws.now + timedelta(hours=1), dead_man=man)
        before = off.look(change, aws.io())
        off.rehearse(change, before, aws.io())
        off.act(change, before, aws.io())
        sweep = Sweep(aws.home, subject, aws.identities, aws.io())
        found = sweep(apply=True, drill=ID)
        (standing,) = [find for find in found.finds if find.leftover.mechanism == "dead-man"]
        assert (standing.fate, "its dead-man stays" in standing.words) == (Fate.LEFT, True)
        hand(aws.io(), "restore", kms_arn(key.arn)).ask("kms:EnableKey", key.region, KeyId=key.arn)
        assert sweep.one(apply=True, drill=ID).fate is Fate.CLEARED
        assert sweep(drill=ID).finds == ()

    def test_a_disabled_key_without_a_mark_is_told_and_left(self, aws: AwsStage) -> None:
        key = aws.key(ALL)
        arn = kms_arn(key.arn)
        hand(aws.io(), "drill", arn).ask("kms:DisableKey", arn.region, KeyId=key.arn)
        find = sweep_aws(aws, key).one(apply=True, drill=ID)
        assert (find.fate, "nothing on it says that a drill" in find.leftover.words) == (Fate.TOLD, True)
        assert not aws.vendor_reads(key)

    def test_a_grant_that_a_drill_made_again_stays(self, aws: AwsStage) -> None:
        key = aws.key({**ALL, "restore": (*ALL["restore"], "kms:Decrypt")})
        terms: dict[str, Any] = {
            "GranteePrincipal": "arn:aws:iam::444455556666:role/crm-app",
            "Operations": ["Decrypt"],
        }
        arn = kms_arn(key.arn)
        made = hand(aws.io(), "restore", arn).ask("kms:CreateGrant", arn.region, KeyId=key.arn, **terms)
        change = revoke_grant(ID, aws.subject(key), key.arn, str(made["GrantId"]), aws.canary(key), aws.now)
        change = change.model_copy(update={"deadline": aws.now + timedelta(minutes=10)})
        before = RevokeGrant().look(change, aws.io())
        RevokeGrant().act(change, before, aws.io())
        RevokeGrant().undo(change, before, aws.io())
        found = sweep_aws(aws, key)(apply=True, drill=ID)
        (find,) = found.finds
        assert (find.fate, find.leftover.drill, found.exit_code) == (Fate.TOLD, ID, ExitCode.MET)
        assert len(key.grants) == 2

    def test_a_breadcrumb_of_a_revoked_grant_stays_until_a_person_has_looked(self, aws: AwsStage) -> None:
        key = aws.key(ALL)
        arn, io = kms_arn(key.arn), aws.io()
        change = revoke_grant(ID, aws.subject(key), key.arn, "a" * 64, aws.canary(key), aws.now)
        set_tags(hand(io, "drill", arn), arn, change)
        found = sweep_aws(aws, key)(apply=True, drill=ID)
        (find,) = found.finds
        assert (find.fate, found.exit_code) == (Fate.LEFT, ExitCode.NOT_RESTORED)
        assert "list-grants" in find.leftover.by_hand[0]
        assert key.tags


def sweep_gcp(gcp: Stage) -> Sweep:
    drill = KeyDrill(canary_key=gcp.key, planted=gcp.clock(), paths=CanaryPaths())
    return Sweep(gcp.home, gcp.subject(drill=drill), gcp.identities, gcp.io())


def bound(gcp: Stage) -> Change:
    change = binding(ID, gcp.subject(), gcp.key, gcp.canary, gcp.deadline())
    before = Binding(patient).look(change, gcp.io())
    Binding(patient).act(change, before, gcp.io())
    return change


@pytest.fixture
def looking(gcp: Stage) -> Stage:
    """Whoever drills may look at versions and labels, whoever restores write both."""
    for role in ("drill", "restore"):
        needs = {*GCP_NEEDS["gcp-binding"]["drill"], *GCP_NEEDS["gcp-disable"]["drill"], *LABELS}
        gcp.cloud.iam.role(gcp.role(role), sorted(needs))
    return gcp


class TestGcp:
    def test_nothing_is_left_on_a_key_that_no_drill_touched(self, looking: Stage) -> None:
        found = sweep_gcp(looking)(apply=True)
        assert (found.finds, found.blind, found.exit_code) == ((), (), ExitCode.MET)

    def test_a_condition_goes_when_its_deadline_is_over_or_its_drill_is_named(self, looking: Stage) -> None:
        original = looking.granted()
        bound(looking)
        sweep = sweep_gcp(looking)
        find = sweep.one(apply=True)
        assert (find.fate, find.leftover.drill, find.over) == (Fate.LEFT, ID, False)
        assert sweep.one(apply=True, drill=OTHER).fate is Fate.LEFT
        assert not looking.vendor_reads()
        assert sweep.one(apply=True, drill=ID).fate is Fate.CLEARED
        assert looking.granted() == original
        bound(looking)
        looking.clock.forward(HOLD)
        assert sweep_gcp(looking).one(apply=True).fate is Fate.CLEARED
        assert looking.granted() == original

    @pytest.mark.parametrize(
        ("title", "expression"),
        [
            (f"keycheck-{ID}", 'request.time >= timestamp("2026-11-22T12:05:00Z") || true'),
            ("keycheck-Of mine", 'request.time >= timestamp("2026-11-22T12:05:00Z")'),
            (f"keycheck-{ID} (rehearsal)", 'request.time >= timestamp("2026-11-22T12:05:00Z")'),
        ],
    )
    def test_what_somebody_rewrote_is_told_and_never_touched(self, looking: Stage, title: str, expression: str) -> None:
        policy = looking.cloud.iam.policy(looking.key)
        theirs = Grant(USE, (VENDOR,), Condition(expression, title))
        looking.cloud.iam.put(looking.key, replace(policy, grants=(*policy.grants, theirs)))
        before = looking.granted()
        looking.clock.forward(HOLD)
        find = sweep_gcp(looking).one(apply=True, drill=ID)
        assert (find.fate, find.leftover.consent) == (Fate.LEFT, Consent.NEVER)
        assert looking.granted() == before

    def test_foreign_conditions_stay_when_ours_goes(self, looking: Stage) -> None:
        theirs = 'request.time < timestamp("2027-01-01T00:00:00Z")'
        bound(looking)
        looking.cloud.iam.bind(looking.key, "roles/cloudkms.viewer", "user:a@acme.example", condition=theirs)
        looking.clock.forward(HOLD)
        assert sweep_gcp(looking).one(apply=True).fate is Fate.CLEARED
        assert ("roles/cloudkms.viewer", "user:a@acme.example", theirs) in looking.granted()

    def test_a_disabled_version_is_enabled_only_when_the_drill_is_named(self, looking: Stage) -> None:
        change = gcp_disable(ID, looking.subject(), looking.key, ["1"], looking.canary, looking.deadline())
        set_labels(gcp_hand(looking.io(), "drill"), key_name(looking.key), change)
        gcp_hand(looking.io(), "drill").switch(key_name(looking.key), "1", enabled=False)
        looking.clock.forward(HOLD * 2)
        sweep = sweep_gcp(looking)
        find = sweep.one(apply=True)
        assert (find.fate, find.leftover.mechanism, find.over) == (Fate.LEFT, "gcp-disable", True)
        assert not looking.vendor_reads()
        assert sweep.one(apply=True, drill=ID).fate is Fate.CLEARED
        assert looking.vendor_reads()
        assert sweep().finds == ()

    def test_a_denied_look_is_told(self, gcp: Stage) -> None:
        gcp.cloud.iam.role(gcp.role("restore"), ["cloudkms.cryptoKeyVersions.get"])
        found = sweep_gcp(gcp)()
        assert {blind.reason for _, blind in found.blind} == {Reason.PERMISSION_DENIED}
        assert found.exit_code is ExitCode.NOT_RESTORED


def test_a_deployment_without_keys_is_a_usage_error(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with pytest.raises(UsageError):
        scan(Deployment(deployment="practice"), tmp_path / "d.yaml", home, Means(registry(AwsScanner), {}))
