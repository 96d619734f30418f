"""The control over the way to a key's deletion. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated, ClassVar, Final

from keycheck.model.control import Tighter
from keycheck.model.facts import Unseen
from keycheck.model.types import Duration
from keycheck.model.verdict import Reason, Verdict, inconclusive, passed
from probes.keys import aws_policy
from probes.keys.aspects import Aspect
from probes.keys.aws_facts import AwsKey, AwsPolicy, Condition
from probes.keys.gcp_facts import GcpKey
from probes.keys.key_control import EachCloudControl, day, days, settle, unread

LEAST: Final = timedelta(days=7)
MOST: Final = timedelta(days=30)
"""What ScheduleKeyDeletion allows as its PendingWindowInDays."""
_LEAVING: Final = frozenset({"DESTROY_SCHEDULED", "PENDING_EXTERNAL_DESTRUCTION", "EXTERNAL_DESTRUCTION_FAILED"})


class DeletionWindow(EachCloudControl, id="keys.deletion-window", version=1):
    """Nothing is on its way to deletion, and a deletion leaves at least the agreed time to stop it."""

    reads: ClassVar[frozenset[Aspect]] = frozenset({Aspect.POLICIES})
    proves = (
        "No deletion of the key, a version or a replica was scheduled at the time of looking. A deletion takes at "
        "least `at_least`: for AWS by the service up to seven days, beyond by a Deny in the key policy; for Google "
        "Cloud by the key's own setting, which cannot be changed."
    )
    does_not_prove = (
        "That nobody makes data unreadable faster: by deleting imported material or in an external key manager, at "
        "once, or by changing the key policy first. Who may is judged by keys.policy."
    )
    example = "{control: keys.deletion-window@1, for: keys, with: {at_least: P7D}}"
    sources = (
        "AWS KMS API Reference: ScheduleKeyDeletion (PendingWindowInDays)",
        "AWS KMS Developer Guide: kms:ScheduleKeyDeletionPendingWindowInDays",
        "Cloud KMS reference: CryptoKey (destroyScheduledDuration)",
    )

    at_least: Annotated[Duration, Tighter("higher")]

    def aws(self, key: AwsKey) -> Verdict:
        """A scheduled deletion fails whatever the window."""
        about = key.description
        breaches: list[str] = []
        doubts: list[Verdict] = []
        if about.state in ("PendingDeletion", "PendingReplicaDeletion") or about.deletion_date is not None:
            when = f"on {day(about.deletion_date)}" if about.deletion_date else "once its replicas are gone"
            breaches.append(f"is scheduled for deletion {when} ({about.state})")
        by = "by AWS KMS itself"
        if self.at_least > MOST:
            breaches.append(f"AWS KMS takes {MOST.days} days at most, not {days(self.at_least)}")
        elif self.at_least > LEAST:
            by = "by a Deny in the key policy"
            breach, doubt = self._by_policy(key)
            breaches += breach
            doubts += doubt
        return settle(
            breaches, doubts, passed(f"no deletion is scheduled; one takes at least {days(self.at_least)}, {by}")
        )

    def _by_policy(self, key: AwsKey) -> tuple[list[str], list[Verdict]]:
        if isinstance(key.policies, Unseen):
            return [], [unread("the key policies", key.policies)]
        if _held_off(key.policies, key.arn, self.at_least):
            return [], []
        if closed := [policy for policy in key.policies if isinstance(policy.statements, Unseen)]:
            return [], [unread(f"policy {p.name}", p.statements) for p in closed if isinstance(p.statements, Unseen)]
        return [
            f"a deletion may take only {LEAST.days} days, less than {days(self.at_least)}: no Deny in the key policy "
            "limits kms:ScheduleKeyDeletionPendingWindowInDays for everybody"
        ], []

    def gcp(self, key: GcpKey) -> Verdict:
        """By the key's own duration."""
        breaches: list[str] = []
        doubts: list[Verdict] = []
        window = key.destroy_scheduled_s
        if window is None:
            doubts.append(inconclusive(Reason.NOT_COVERED, "Google does not state how long a destruction waits"))
        elif timedelta(seconds=window) < self.at_least:
            breaches.append(
                f"a destroyed version is gone after {days(timedelta(seconds=window))}, less than {days(self.at_least)}"
            )
        if isinstance(key.versions, Unseen):
            doubts.append(unread("the key's versions", key.versions))
        else:
            for version in key.versions:
                if version.state in _LEAVING:
                    when = f", on {day(version.destroy_time)}" if version.destroy_time else ""
                    breaches.append(f"version {version.id} is to be destroyed{when} ({version.state})")
                elif version.state == "DESTROYED" and version.id == key.primary:
                    breaches.append(f"version {version.id}, the primary, is destroyed")
        return settle(
            breaches,
            doubts,
            passed(f"no destruction is scheduled; one waits {days(timedelta(seconds=window or 0))}, as Google states"),
        )


def _held_off(policies: Sequence[AwsPolicy], key_arn: str, at_least: timedelta) -> bool:
    """Whether a Deny for everybody refuses to schedule a deletion that is sooner, or any deletion."""
    return any(
        aws_policy.everybody_denied(statement, "ScheduleKeyDeletion", key_arn)
        and all(_refuses_below(condition, at_least) for condition in statement.conditions)
        for policy in policies
        if isinstance(policy.statements, tuple)
        for statement in policy.statements
    )


def _refuses_below(condition: Condition, at_least: timedelta) -> bool:
    """Whether a condition on a Deny is true of every window shorter than this."""
    operator = condition.operator.lower().removesuffix("ifexists")  # a Deny then also hits requests that name none
    if condition.key.lower() != "kms:schedulekeydeletionpendingwindowindays":
        return False
    limits = [int(value) for value in condition.values if value.isascii() and value.isdigit() and len(value) < 5]
    if not limits:
        return False
    # Several values are alternatives: the Deny holds below the largest.
    if operator == "numericlessthan":
        return timedelta(days=max(limits)) >= at_least
    return operator == "numericlessthanequals" and timedelta(days=max(limits) + 1) >= at_least
