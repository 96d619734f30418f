"""The dead-man of AWS: one-time schedules of EventBridge Scheduler, one in each Region, whose role undoes a drill.

Source: EventBridge Scheduler user guide, "Using universal targets" and "Schedule types"; API reference, CreateSchedule.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

from keycheck.errors import ProbeError
from keycheck.model.probe import Io
from keycheck.model.types import parse_instant, vendor_text
from keycheck.model.verdict import Reason
from probes.clouds.aws.arns import KmsArn
from probes.clouds.aws.errors import AwsError
from probes.clouds.aws.pages import Page, collect
from probes.clouds.aws.reading import MalformedError, child, children, parsing, structure, text, text_or_none
from probes.keys.aws.events import MAX_EVENT, parse_event, principal_of
from probes.keys.drill.aws_calls import Hand, Sleep, hand
from probes.keys.drill.aws_common import everywhere, whole_seconds
from probes.keys.drill.dead_man import GRACE, Waiting, Waits, insistent, name_of, unverified
from probes.keys.principals import aws_named
from probes.keys.subjects import DeadMan, Key

_ROLE: Final = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/.+")
_NO_SUCH: Final = "ResourceNotFoundException"
_REHEARSAL: Final = "-r"
"""What ends the name of a schedule that is only a rehearsal."""
_RETRIES: Final = {"MaximumRetryAttempts": 185, "MaximumEventAgeInSeconds": 86400}
_PAGES: Final = 5
_MAX_INPUT: Final = 256 * 1024


@dataclass(frozen=True, slots=True)
class Deed:
    """The call that puts one Region back. Its parameters may hold wrapped material, and stand in no repr."""

    arn: KmsArn
    operation: str
    """`EnableKey`."""
    parameters: Mapping[str, str] = field(repr=False)
    sealed: frozenset[str] = frozenset()
    """Parameters that are new ciphertext each time."""

    @property
    def target(self) -> str:
        """As a universal target is named."""
        return f"arn:{self.arn.partition}:scheduler:::aws-sdk:kms:{self.operation[0].lower()}{self.operation[1:]}"

    @property
    def input(self) -> str:
        """Raises ProbeError(unsupported) when it is too long for a schedule."""
        written = json.dumps(self.parameters, sort_keys=True)
        if len(written) > _MAX_INPUT:
            raise ProbeError(Reason.UNSUPPORTED, "what must be imported is too long for a schedule of AWS")
        return written


@dataclass(frozen=True, slots=True)
class AwsDeadMan:
    """The schedules of one drill, in the hands of the identity that restores.

    Proved by `arm`: a schedule with the very same role and call fired, at its time, and AWS logged that call on this
    key as done by a session of that role; and the one for the deadline reads back as it was asked for. Not proved:
    that the service works on the day, that nobody takes the role's rights or deletes the schedule meanwhile.
    """

    drill: str
    subject: Key
    man: DeadMan
    deadline: datetime
    waits: Waits
    sleep: Sleep

    def arm(self, deeds: Sequence[Deed], io: Io) -> None:
        """Rehearse it in every Region on the key as it is, then arm it for `GRACE` after the deadline. Raises
        ProbeError, having taken away again what it had made."""
        if _ROLE.fullmatch(self.man.actor) is None:
            raise ProbeError(
                Reason.UNSUPPORTED, "the `dead_man` of an AWS key is the ARN of a role: `actor: arn:…:role/…`"
            )
        at = _next_second(io.clock() + self.waits.lead)
        if at >= self.deadline:
            raise unverified("the drill's deadline leaves no time to rehearse it")
        try:
            for deed in deeds:
                self._create(deed, self._rehearsal(deed.arn), at, io)
            waiting = Waiting(self.waits, self.deadline, self.sleep, io)
            for deed in deeds:
                self._rehearsed(deed, at, waiting)
            for deed in deeds:
                self._create(deed, self.name(deed.arn), self._when(), io)
                if wrong := self._differs(deed, self._shown(self.name(deed.arn), deed.arn, io), exact=True):
                    raise unverified(f"{deed.arn.region}: the schedule reads back with another {wrong}")
        except ProbeError:
            with suppress(ProbeError):
                everywhere([deed.arn for deed in deeds], lambda arn: self.disarm(arn, io))
            raise

    def armed(self, deeds: Sequence[Deed], io: Io) -> None:
        """Raises ProbeError unless it stands as it was armed. What is new ciphertext each time is not compared."""
        for deed in deeds:
            shown = self._shown(self.name(deed.arn), deed.arn, io)
            if wrong := self._differs(deed, shown, exact=False):
                raise unverified(f"{deed.arn.region}: the schedule is not there any more with the same {wrong}")

    def disarm(self, arn: KmsArn, io: Io) -> None:
        """Delete what is there of it in one Region. Raises ProbeError."""
        for name in (self._rehearsal(arn), self.name(arn)):
            insistent(partial(self._delete, arn, name, io), self.sleep)

    def dismiss(self, arn: KmsArn, io: Io) -> None:
        """As `disarm`, when the key is back: a failure is no restore that failed, and `left` tells it."""
        with suppress(ProbeError):
            self.disarm(arn, io)

    def left(self, arn: KmsArn, io: Io) -> str:
        """What still stands in one Region, in words for people; empty when nothing does."""
        try:
            there = self._shown(self.name(arn), arn, io) is not None
        except ProbeError as error:
            return f"not known whether the dead-man {self.name(arn)} is gone: {error}"
        return f"the dead-man {self.name(arn)} still stands: delete it" if there else ""

    def name(self, arn: KmsArn) -> str:
        """Of the schedule in one Region."""
        return name_of(self.drill, arn.region)

    def _rehearsal(self, arn: KmsArn) -> str:
        return name_of(self.drill, arn.region + _REHEARSAL)

    def _when(self) -> datetime:
        return _next_second(self.deadline + GRACE)

    def _hand(self, arn: KmsArn, io: Io) -> Hand:
        return hand(io, self.subject.identities.restore, arn)

    def _asked(self, deed: Deed, name: str, at: datetime) -> dict[str, Any]:
        return {
            "Name": name,
            "GroupName": self.man.group,
            "Description": f"keycheck drill {self.drill}: puts the key back",
            "ScheduleExpression": f"at({whole_seconds(at).removesuffix('Z')})",
            "ScheduleExpressionTimezone": "UTC",
            "State": "ENABLED",
            "FlexibleTimeWindow": {"Mode": "OFF"},
            "ActionAfterCompletion": "DELETE",
            "Target": {
                "Arn": deed.target,
                "RoleArn": self.man.actor,
                "Input": deed.input,
                "RetryPolicy": dict(_RETRIES),
            },
        }

    def _create(self, deed: Deed, name: str, at: datetime, io: Io) -> None:
        try:
            self._hand(deed.arn, io).ask("scheduler:CreateSchedule", deed.arn.region, **self._asked(deed, name, at))
        except AwsError as error:
            if error.code == "ValidationException":
                raise unverified(f"EventBridge Scheduler refuses it: {error}") from error
            if error.code != "ConflictException":  # what is there already is compared when it is read back
                raise

    def _delete(self, arn: KmsArn, name: str, io: Io) -> None:
        try:
            self._hand(arn, io).ask("scheduler:DeleteSchedule", arn.region, Name=name, GroupName=self.man.group)
        except AwsError as error:
            if error.code != _NO_SUCH:
                raise

    def _shown(self, name: str, arn: KmsArn, io: Io) -> Mapping[str, object] | None:
        try:
            return self._hand(arn, io).ask("scheduler:GetSchedule", arn.region, Name=name, GroupName=self.man.group)
        except AwsError as error:
            if error.code == _NO_SUCH:
                return None
            raise

    def _differs(self, deed: Deed, shown: Mapping[str, object] | None, *, exact: bool) -> str:
        """The first field that is not as asked; empty when all are."""
        if shown is None:
            return "name"
        asked = self._asked(deed, self.name(deed.arn), self._when())
        for name, value in asked.items():
            if name != "Target" and shown.get(name) != value:
                return name
        wanted: dict[str, object] = asked["Target"]
        with parsing("scheduler:GetSchedule"):
            target = child(shown, "Target")
            given = target.get("Input")
            for part, value in wanted.items():
                if part != "Input" and target.get(part) != value:
                    return part
            if target.keys() - wanted.keys():
                return "Target"
            same = given == deed.input if exact else _alike(given, deed)
        return "" if same else "Input"

    def _rehearsed(self, deed: Deed, at: datetime, waiting: Waiting) -> None:
        arn, io, name = deed.arn, waiting.io, self._rehearsal(deed.arn)
        waiting.until(lambda: self._shown(name, arn, io) is None, f"{arn.region}: its rehearsal did not fire")
        waiting.until(
            lambda: self._logged(deed, at, io),
            f"{arn.region}: its rehearsal is over, and the log shows no {deed.operation} by {self.man.actor}",
        )

    def _logged(self, deed: Deed, at: datetime, io: Io) -> bool:
        """Whether the event history has the call. Raises ProbeError(unsupported) when it was refused."""
        operation, arn = "cloudtrail:LookupEvents", deed.arn
        reader = hand(io, self.subject.identities.log, arn)
        asked: dict[str, Any] = {
            "LookupAttributes": [{"AttributeKey": "EventName", "AttributeValue": deed.operation}],
            "StartTime": at,
            "EndTime": io.clock() + timedelta(minutes=5),
            "MaxResults": 50,
        }

        def fetch(token: str | None) -> Page[str]:
            answer = reader.ask(operation, arn.region, **(asked if token is None else asked | {"NextToken": token}))
            with parsing(operation):
                found = children(answer, "Events", required=True)
                bodies = tuple(str(item.get("CloudTrailEvent", "")) for item in found)
                return Page(bodies, text_or_none(answer, "NextToken") or None)

        errors: list[str] = []
        for written in collect(operation, fetch, max_pages=_PAGES, max_items=50 * _PAGES).items:
            error = _outcome(written, deed, self.man.actor, at)
            if error == "":
                return True
            errors += [error] if error else []
        if errors:
            raise unverified(f"{arn.region}: its rehearsal fired, and {deed.operation} ended with {errors[0]}")
        return False


def delete_command(man: DeadMan, drill: str, arns: Sequence[KmsArn]) -> str:
    """What a person types when the key is back: one line for all Regions."""
    first, more = arns[0], len(arns) - 1
    command = (
        f"aws scheduler delete-schedule --region {first.region} --group-name {man.group} "
        f"--name {name_of(drill, first.region)}"
    )
    return vendor_text(command + (f"   # likewise in {more} other Regions, whose names end theirs" if more else ""))


def _outcome(written: str, deed: Deed, actor: str, at: datetime) -> str | None:
    """How an entry of the log says that the call by the actor ended: empty for well; None when it is about another
    call."""
    if len(written) > MAX_EVENT:
        return None
    try:
        event = parse_event(written, deed.arn)
    except MalformedError:
        return _refused(written, deed, actor, at)
    if event is None or event.alike.operation != deed.operation or event.at < at:
        return None
    return (event.alike.error or "") if aws_named(event.alike.principal, (actor,)) else None


def _refused(written: str, deed: Deed, actor: str, at: datetime) -> str | None:
    """A denied call's entry does not name the key."""
    try:
        event = structure("the event", json.loads(written, parse_int=str, parse_float=str))
        ours = aws_named(principal_of(child(event, "userIdentity")), (actor,))
        fits = text(event, "eventName") == deed.operation and text(event, "awsRegion") == deed.arn.region
        if ours and fits and parse_instant(event.get("eventTime")) >= at and not event.get("resources"):
            return text_or_none(event, "errorCode")
    except (MalformedError, ValueError, RecursionError):
        return None
    return None


def _alike(given: object, deed: Deed) -> bool:
    try:
        found = structure("the input", json.loads(given)) if isinstance(given, str) else None
    except (MalformedError, ValueError, RecursionError):
        return False
    if found is None or found.keys() != deed.parameters.keys():
        return False
    return all(found[name] == value for name, value in deed.parameters.items() if name not in deed.sealed)


def _next_second(moment: datetime) -> datetime:
    whole = moment.replace(microsecond=0)
    return whole if whole == moment else whole + timedelta(seconds=1)
