"""Breadcrumbs of a drill in AWS: tags that tell whoever finds the key changed which drill it was, until when, and how
it is undone.

For changes that leave no name of their own in the world (a disabled key, a revoked grant, deleted material). Tags can
grant access (attribute-based access control), so none is set where a policy that can be seen reads any: see `readers`.
What cannot be seen are IAM policies of accounts that the key policy leaves the decision to; one of them would have to
name keycheck's own tags to be touched by them. Sources: KMS developer guide, "Tags in AWS KMS" and "ABAC for AWS KMS";
API reference, TagResource, UntagResource, ListResourceTags.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from keycheck.errors import ProbeError
from keycheck.model.drill import Change
from keycheck.model.facts import Unseen
from keycheck.model.probe import Io
from keycheck.model.types import format_instant, parse_instant, vendor_text
from keycheck.model.verdict import Reason
from probes.clouds.aws.arns import KmsArn
from probes.clouds.aws.pages import Page, collect
from probes.clouds.aws.reading import Answer, children, exact, flag, parsing, text
from probes.keys.aws_facts import AwsKey, Statement
from probes.keys.drill.aws_calls import Hand, hand
from probes.keys.drill.aws_people import statements
from probes.keys.subjects import Key

DRILL: Final = "keycheck-drill"
RESTORE_BY: Final = "keycheck-restore-by"
UNDO: Final = "keycheck-undo"
NAMES: Final = (DRILL, RESTORE_BY, UNDO)
NEEDS: Final[Mapping[str, tuple[str, ...]]] = {
    "drill": ("kms:ListResourceTags", "kms:TagResource"),
    "restore": ("kms:ListResourceTags", "kms:UntagResource"),
}
"""Actions by role."""
_READ_TAGS: Final = ("aws:resourcetag/", "aws:requesttag/", "aws:tagkeys")


@dataclass(frozen=True, slots=True)
class Breadcrumb:
    """What a drill says of itself on the key."""

    drill: str
    deadline: datetime | None
    """None where it is not readable."""
    undo: str
    """Kind of the mechanism."""


def breadcrumb(tags: Iterable[tuple[str, str]]) -> Breadcrumb | None:
    """The drill that the tags tell of; None where they tell of none."""
    said = dict(tags)
    if not any(name in said for name in NAMES):
        return None
    try:
        deadline = parse_instant(said.get(RESTORE_BY, ""))
    except ValueError:
        deadline = None
    return Breadcrumb(vendor_text(said.get(DRILL, ""), 63), deadline, vendor_text(said.get(UNDO, ""), 63))


def readers(key: AwsKey) -> tuple[str, ...]:
    """Who reads tags of the key, or may for all that is known; empty where nothing in its policies and grants does."""
    return tuple(dict.fromkeys(map(vendor_text, _readers(key))))


def _readers(key: AwsKey) -> Iterator[str]:
    if isinstance(key.policies, Unseen):
        yield f"the key policies are not known ({key.policies.reason})"
    else:
        for policy in key.policies:
            if isinstance(policy.statements, Unseen):
                yield f"policy {policy.name} is not known ({policy.statements.reason})"
    for policy, statement in statements(key):
        if _reads(statement):
            yield f"policy {policy.name}, statement {statement.sid or 'without Sid'}"
    if not isinstance(key.grants, Unseen):  # what is not known of grants is no tag: their constraints are contexts
        yield from (
            f"grant {grant.id}, {', '.join(grant.other_constraints)}" for grant in key.grants if grant.other_constraints
        )


def _reads(statement: Statement) -> bool:
    names = [condition.key.lower() for condition in statement.conditions]
    texts = [value.lower() for condition in statement.conditions for value in condition.values]
    texts += [text.lower() for text in (*statement.resources, *statement.not_resources)]
    variables = tuple(f"${{{name}" for name in _READ_TAGS)
    return any(name.startswith(_READ_TAGS) for name in names) or any(
        each in text for text in texts for each in variables
    )


def set_tags(who: Hand, arn: KmsArn, change: Change) -> None:
    """Say on the key what is about to be changed. Raises ProbeError, conflicting where it tells of another drill."""
    found = breadcrumb(_tags(who, arn))
    if found is not None and found.drill != change.drill:
        raise ProbeError(
            Reason.CONFLICTING,
            vendor_text(f"{arn.region}: the key's tags tell of drill {found.drill}; `keycheck drill recover --scan`"),
        )
    said = zip(NAMES, (change.drill, format_instant(change.deadline), change.kind), strict=True)
    tags = [{"TagKey": name, "TagValue": value} for name, value in said]
    who.ask("kms:TagResource", arn.region, KeyId=str(arn), Tags=tags)


def clear_tags(who: Hand, arn: KmsArn, drill: str) -> bool:
    """Take this drill's tags off, and no other's; whether any were there. Raises ProbeError."""
    found = breadcrumb(_tags(who, arn))
    if found is None or found.drill != drill:
        return False
    who.ask("kms:UntagResource", arn.region, KeyId=str(arn), TagKeys=list(NAMES))
    return True


@dataclass(frozen=True, slots=True)
class Breadcrumbs:
    """The tags of one drill, in the hands of its two identities. Where none are wanted everything does nothing."""

    change: Change
    subject: Key
    wanted: bool
    """Whether nothing that can be seen reads tags of the key."""

    def rehearse(self, arn: KmsArn, io: Io) -> None:
        """Set by who drills and taken off by who restores, so that both are known to be let. Raises ProbeError."""
        if self.wanted:
            self.set(arn, io)
            clear_tags(hand(io, self.subject.identities.restore, arn), arn, self.change.drill)

    def set(self, arn: KmsArn, io: Io) -> None:
        """Right before the act. Raises ProbeError."""
        if self.wanted:
            set_tags(hand(io, self.subject.identities.drill, arn), arn, self.change)

    def dismiss(self, arn: KmsArn, io: Io) -> None:
        """When the key is back: a failure is no restore that failed, and `left` tells it."""
        if self.wanted:
            with suppress(ProbeError):
                clear_tags(hand(io, self.subject.identities.restore, arn), arn, self.change.drill)

    def left(self, arn: KmsArn, io: Io) -> str:
        """What still stands there, in words for people; empty when nothing does."""
        if not self.wanted:
            return ""
        try:
            found = breadcrumb(_tags(hand(io, self.subject.identities.restore, arn), arn))
        except ProbeError as error:
            return f"not known whether the drill's tags are off: {error}"
        ours = found is not None and found.drill == self.change.drill
        return f"the tags {', '.join(NAMES)} are still on the key: take them off" if ours else ""


def untag_command(arns: Sequence[KmsArn]) -> str:
    """What a person types when the key is back: one line for all Regions."""
    first, more = arns[0], len(arns) - 1
    command = f"aws kms untag-resource --region {first.region} --key-id {first} --tag-keys {' '.join(NAMES)}"
    return vendor_text(command + (f"   # likewise in {more} other Regions" if more else ""))


def _tags(who: Hand, arn: KmsArn) -> tuple[tuple[str, str], ...]:
    operation = "kms:ListResourceTags"

    def fetch(token: str | None) -> Page[Answer]:
        asked: dict[str, Any] = {"KeyId": str(arn), "Limit": 50}
        answer = who.ask(operation, arn.region, **(asked if token is None else asked | {"Marker": token}))
        with parsing(operation):
            more = flag(answer, "Truncated", default=False)
            return Page(children(answer, "Tags", required=True), text(answer, "NextMarker") if more else None)

    listing = collect(operation, fetch)
    if listing.short is not None:
        raise ProbeError(listing.short.reason, f"{operation}: not all tags could be read: {listing.short.detail}")
    with parsing(operation):
        return tuple((text(item, "TagKey"), exact("TagValue", item.get("TagValue"))) for item in listing.items)
