"""One schedule of EventBridge Scheduler: what CreateSchedule takes, and what it is refused for. Pure.

Shapes: the scheduler 2021-06-30 service model of botocore. Rules: EventBridge Scheduler user guide, "Schedule types",
"Using universal targets" (no read-only actions) and "Quotas". Assumed, as no page says it: a time that is over is
refused. The lab takes one-time schedules without a flexible window, with universal targets of KMS alone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from keycheck.lab.aws.seams import Document, Json

LONGEST_INPUT: Final = 256 * 1024
_NAME: Final = re.compile(r"[0-9a-zA-Z-_.]{1,64}")
_AT: Final = re.compile(r"at\((\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\)")
_ROLE: Final = re.compile(r"arn:aws[a-z-]*:iam::(\d{12}):role/[\w+=,.@/-]+")
_TARGET: Final = re.compile(r"arn:aws[a-z-]*:scheduler:::aws-sdk:([a-z0-9]+):([a-z][A-Za-z0-9]+)")
_READ_ONLY: Final = (
    "get", "describe", "list", "poll", "receive", "search", "scan", "query", "select", "read", "lookup", "discover",
    "validate", "batchGet", "batchDescribe", "batchRead", "transactGet", "adminGet", "adminList", "testMigration",
    "retrieve", "testConnection", "translateDocument", "isAuthorized", "invokeModel",
)  # fmt: skip


class SchedulerError(Exception):
    """An error of the service."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status


@dataclass(frozen=True, slots=True)
class Plan:
    """What was asked for."""

    name: str
    group: str
    due: datetime
    role: str
    operation: str
    """Of KMS: `EnableKey`."""
    input: str = field(repr=False)
    retries: int
    oldest: timedelta
    """Age up to which an invocation that failed is tried again."""
    enabled: bool
    deletes: bool
    """Whether it is gone when it has fired."""
    shown: Document = field(repr=False)
    """As GetSchedule answers it."""


def plan_of(name: str, body: Mapping[str, Json], account: str, now: datetime) -> Plan:
    """Raises SchedulerError."""
    group = _text(body, "GroupName", "default")
    expression = _text(body, "ScheduleExpression")
    zone = _text(body, "ScheduleExpressionTimezone", "UTC")
    for value in (name, group):
        if _NAME.fullmatch(value) is None:
            raise _invalid("Name and GroupName must satisfy the pattern [0-9a-zA-Z-_.]+ and have 1 to 64 characters.")
    due = _due(expression, zone)
    if due < now - timedelta(minutes=1):
        raise _invalid("The schedule expression is in the past.")
    window = _part(body, "FlexibleTimeWindow")
    if window != {"Mode": "OFF"}:
        raise _invalid("The lab takes FlexibleTimeWindow {Mode: OFF} alone.")
    state = _choice(body, "State", ("ENABLED", "DISABLED"))
    after = _choice(body, "ActionAfterCompletion", ("NONE", "DELETE"))
    target = _part(body, "Target")
    role = _text(target, "RoleArn")
    owner = _ROLE.fullmatch(role)
    if owner is None or owner[1] != account:
        raise _invalid("RoleArn must be the ARN of a role in the schedule's own account.")
    given = _text(target, "Input", "")
    retry = _part(target, "RetryPolicy", {})
    retries, oldest = (
        _number(retry, "MaximumRetryAttempts", 185, 0),
        _number(retry, "MaximumEventAgeInSeconds", 86400, 60),
    )
    shown: dict[str, Json] = {
        "Name": name,
        "GroupName": group,
        "ScheduleExpression": expression,
        "ScheduleExpressionTimezone": zone,
        "State": state,
        "FlexibleTimeWindow": {"Mode": "OFF"},
        "ActionAfterCompletion": after,
        "Target": {
            "Arn": _text(target, "Arn"),
            "RoleArn": role,
            "RetryPolicy": {"MaximumEventAgeInSeconds": oldest, "MaximumRetryAttempts": retries},
            **({"Input": given} if given else {}),
        },
    }
    if description := _text(body, "Description", ""):
        shown["Description"] = description[:512]
    return Plan(
        name=name,
        group=group,
        due=due,
        role=role,
        operation=_operation(_text(target, "Arn")),
        input=_checked(given),
        retries=retries,
        oldest=timedelta(seconds=oldest),
        enabled=state == "ENABLED",
        deletes=after == "DELETE",
        shown=shown,
    )


def _due(expression: str, zone: str) -> datetime:
    found = _AT.fullmatch(expression)
    if found is None:
        raise _invalid(f"Invalid Schedule Expression {expression[:100]}: the lab takes at(yyyy-mm-ddThh:mm:ss) alone.")
    try:
        return datetime.fromisoformat(found[1]).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
    except (ValueError, OverflowError, ZoneInfoNotFoundError):
        raise _invalid("Invalid Schedule Expression or ScheduleExpressionTimezone.") from None


def _operation(arn: str) -> str:
    found = _TARGET.fullmatch(arn)
    if found is None or found[1] != "kms":
        raise _invalid(f"Invalid Target Arn {arn[:100]}: the lab takes arn:aws:scheduler:::aws-sdk:kms:… alone.")
    if found[2].startswith(_READ_ONLY):
        raise _invalid(f"{found[2]} is a read-only action, which universal targets do not support.")
    return found[2][0].upper() + found[2][1:]


def _checked(text: str) -> str:
    if len(text.encode("utf-8", "surrogatepass")) > LONGEST_INPUT:
        raise _invalid("Input is longer than 256 KB.")
    try:
        well = isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        well = False
    if not well:
        raise _invalid("Input of a universal target must be well-formed JSON.")
    return text


def _text(body: Mapping[str, Json], name: str, default: str | None = None) -> str:
    value = body.get(name, default)
    if not isinstance(value, str) or (default is None and not value):
        raise _invalid(f"{name} must be a string.")
    return value


def _part(body: Mapping[str, Json], name: str, default: Mapping[str, Json] | None = None) -> Mapping[str, Json]:
    value = body.get(name, default)
    if not isinstance(value, Mapping):
        raise _invalid(f"{name} must be a structure.")
    return value


def _number(body: Mapping[str, Json], name: str, most: int, least: int) -> int:
    value = body.get(name, most)
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise _invalid(f"{name} must be a number from {least} to {most}.")
    return value


def _choice(body: Mapping[str, Json], name: str, words: tuple[str, ...]) -> str:
    value = _text(body, name, words[0])
    if value not in words:
        raise _invalid(f"{name} must be one of {', '.join(words)}.")
    return value


def _invalid(message: str) -> SchedulerError:
    return SchedulerError("ValidationException", message)
