"""EventBridge Scheduler in REST JSON, which really fires: when a schedule is due, a session of its role makes the call.

Shapes and errors: the scheduler 2021-06-30 service model of botocore. Permissions: Service Authorization Reference,
"Actions defined by Amazon EventBridge Scheduler"; `iam:PassRole` with `iam:PassedToService`. Fires within `TICK` of the
second that was asked for, where AWS promises the minute.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import parse_qs, unquote, urlsplit

from keycheck.lab.aws.faults import Faults
from keycheck.lab.aws.identity import Directory, Refusal
from keycheck.lab.aws.kms.errors import KmsError
from keycheck.lab.aws.kms.service import KmsState
from keycheck.lab.aws.ledger import Ledger
from keycheck.lab.aws.policy import decide_identity
from keycheck.lab.aws.schedules import Plan, SchedulerError, plan_of
from keycheck.lab.aws.seams import Access, ApiEvent, Caller, Document, Json
from keycheck.lab.aws.wire import Request

SERVICE: Final = "scheduler.amazonaws.com"
INVOKE: Final = "InvokeTarget"
"""What firing is called among the faults: it can be made to fail, and is then tried again as the schedule says."""
TICK: Final = 0.02
"""Seconds between looks at the clock, while there is a schedule."""
_PASSING: Final = frozenset({"ThrottlingException", "KMSInternalException", "DependencyTimeoutException"})
_FIRST_RETRY: Final = timedelta(seconds=1)
_PAGE: Final = 100


@dataclass(slots=True)
class Schedule:
    """One schedule in a Region of an account."""

    plan: Plan
    account: str
    region: str
    token: str
    made: datetime
    changed: datetime
    next: datetime | None
    """When it fires next; None: not again."""
    tries: int = 0


@dataclass(frozen=True, slots=True)
class Fired:
    """One invocation, as it ended."""

    name: str
    region: str
    at: datetime
    operation: str
    error: str | None


@dataclass(slots=True)
class Scheduler:
    """All schedules. Fires between `start` and `close`; safe for threads."""

    clock: Callable[[], datetime]
    directory: Directory
    ledger: Ledger
    kms: KmsState
    faults: Faults
    partition: str = "aws"
    stalled: bool = False
    """Never fires, as if the service stood still."""
    groups: set[str] = field(default_factory=lambda: {"default"})
    fired: list[Fired] = field(default_factory=list)
    _schedules: dict[tuple[str, str, str, str], Schedule] = field(default_factory=dict, repr=False)
    _wake: threading.Condition = field(default_factory=threading.Condition)
    _closing: bool = False
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Fire in the background from now on."""
        self._closing = False
        self._thread = threading.Thread(target=self._run, daemon=True, name="lab-scheduler")
        self._thread.start()

    def close(self) -> None:
        """Fire no more."""
        with self._wake:
            self._closing = True
            self._wake.notify_all()
        if self._thread is not None:
            self._thread.join(5)
            self._thread = None

    def names(self) -> tuple[str, ...]:
        """Of the schedules that are there, in all Regions and accounts."""
        with self._wake:
            return tuple(sorted(key[3] for key in self._schedules))

    def answer(self, operation: str, request: Request, caller: Caller, region: str, request_id: str) -> Document:
        """The body of a good answer. Raises SchedulerError."""
        parts = urlsplit(request.path)
        query = {name: values[0] for name, values in parse_qs(parts.query, max_num_fields=20).items()}
        name = unquote(parts.path.removeprefix("/schedules").removeprefix("/"))
        body: Document = {}
        if operation in ("CreateSchedule", "UpdateSchedule"):
            body = _parsed(request.body)
        group = str(body.get("GroupName", "default")) if body else query.get("groupName", "default")
        call = _Call(operation, caller, region, request_id, name, group, self.clock())
        try:
            self.tick()
            self._may(call, f"scheduler:{operation}", self._arn(call))
            with self._wake:
                found = self._answered(call, body, query)
                self._wake.notify_all()
        except SchedulerError as error:
            self._log(call, body, error)
            raise
        self._log(call, body, None)
        return found

    def tick(self) -> None:
        """Fire whatever is due by now."""
        with self._wake:
            if self.stalled or self._closing:
                return
            now = self.clock()
            due = [each for each in self._schedules.items() if each[1].next is not None and each[1].next <= now]
            for key, schedule in due:
                self._fire(key, schedule, now)

    def _run(self) -> None:
        while True:
            with self._wake:
                if self._closing:
                    return
                self._wake.wait(TICK if any(each.next for each in self._schedules.values()) else None)
            self.tick()

    def _fire(self, key: tuple[str, str, str, str], schedule: Schedule, now: datetime) -> None:
        plan = schedule.plan
        error, again = self._invoked(schedule, now)
        self.fired.append(Fired(plan.name, schedule.region, now, plan.operation, error))
        schedule.tries += 1
        later = now + _FIRST_RETRY * 2 ** min(schedule.tries - 1, 12)
        if again and schedule.tries <= plan.retries and later <= plan.due + plan.oldest:
            schedule.next = later
            return
        schedule.next = None
        if plan.deletes:
            del self._schedules[key]

    def _invoked(self, schedule: Schedule, now: datetime) -> tuple[str | None, bool]:
        """The error that it ended with, and whether it passes."""
        plan = schedule.plan
        if (failure := self.faults.next(INVOKE).failure) is not None:
            return failure.code, True
        caller = self.directory.serve(SERVICE, plan.role, self.kms.holdings.entropy(16).hex(), now)
        if isinstance(caller, Refusal):
            return caller.code, False
        try:
            self.kms.answer(plan.operation, _wire(plan.input), caller, schedule.region, self.kms.holdings.new_uuid())
        except KmsError as error:
            return error.code, error.code in _PASSING
        return None, False

    def _answered(self, call: _Call, body: Document, query: Mapping[str, str]) -> Document:
        if call.operation == "ListSchedules":
            return self._listed(call, query)
        if call.group not in self.groups:
            raise SchedulerError("ResourceNotFoundException", f"Schedule group {call.group} does not exist.", 404)
        key = (call.caller.account, call.region, call.group, call.name)
        there = self._schedules.get(key)
        if call.operation == "CreateSchedule":
            return self._created(call, key, there, body)
        if there is None:
            raise SchedulerError("ResourceNotFoundException", f"Schedule {call.name} does not exist.", 404)
        match call.operation:
            case "GetSchedule":
                times = {"CreationDate": there.made.timestamp(), "LastModificationDate": there.changed.timestamp()}
                return {**there.plan.shown, **times, "Arn": self._arn(call)}
            case "DeleteSchedule":
                del self._schedules[key]
                return {}
            case _:  # UpdateSchedule
                plan = self._planned(call, body)
                there.plan, there.changed, there.tries = plan, call.now, 0
                there.next = plan.due if plan.enabled else None
                return {"ScheduleArn": self._arn(call)}

    def _created(self, call: _Call, key: tuple[str, str, str, str], there: Schedule | None, body: Document) -> Document:
        plan = self._planned(call, body)
        token = str(body.get("ClientToken", ""))
        if there is not None:
            if not token or there.token != token or there.plan != plan:
                raise SchedulerError("ConflictException", f"Schedule {call.name} already exists.", 409)
            return {"ScheduleArn": self._arn(call)}
        self._schedules[key] = Schedule(
            plan, call.caller.account, call.region, token, call.now, call.now, plan.due if plan.enabled else None
        )
        return {"ScheduleArn": self._arn(call)}

    def _planned(self, call: _Call, body: Document) -> Plan:
        plan = plan_of(call.name, body, call.caller.account, call.now)
        self._may(call, "iam:PassRole", plan.role, {"iam:PassedToService": (SERVICE,)})
        if isinstance(self.directory.serve(SERVICE, plan.role, "validation", call.now), Refusal):
            raise SchedulerError(
                "ValidationException",
                "The execution role you provide must allow AWS EventBridge Scheduler to assume the role.",
            )
        return plan

    def _listed(self, call: _Call, query: Mapping[str, str]) -> Document:
        prefix, group = query.get("NamePrefix", ""), query.get("ScheduleGroup")
        found = [
            schedule
            for (account, region, within, name), schedule in sorted(self._schedules.items())
            if (account, region) == (call.caller.account, call.region)
            and name.startswith(prefix)
            and group in (None, within)
        ]
        start = query.get("NextToken", "0")
        begin = int(start) if start.isdecimal() and len(start) < 9 else 0
        rows: list[Json] = [
            {
                "Name": each.plan.name,
                "GroupName": each.plan.group,
                "State": each.plan.shown["State"],
                "CreationDate": each.made.timestamp(),
            }
            for each in found[begin : begin + _PAGE]
        ]
        more = {"NextToken": str(begin + _PAGE)} if begin + _PAGE < len(found) else {}
        return {"Schedules": rows, **more}

    def _may(
        self, call: _Call, action: str, resource: str, conditions: Mapping[str, tuple[str, ...]] | None = None
    ) -> None:
        caller = call.caller
        access = Access(caller, action, resource, caller.account, call.region, call.now, conditions=conditions or {})
        decision = decide_identity(access, organization=self.kms.holdings.organization.get(caller.account, ()))
        self.ledger.note(access, decision)
        if not decision.allowed:
            raise SchedulerError("AccessDeniedException", decision.why, 403)

    def _arn(self, call: _Call) -> str:
        where = f"arn:{self.partition}:scheduler:{call.region}:{call.caller.account}:schedule"
        return f"{where}/{call.group}/{call.name or '*'}"

    def _log(self, call: _Call, body: Document, error: SchedulerError | None) -> None:
        target = body.get("Target")
        shown: dict[str, Json] = {"name": call.name, "groupName": call.group}
        if isinstance(target, Mapping):  # its input may be anything, and is withheld
            shown["target"] = {"arn": target.get("Arn"), "roleArn": target.get("RoleArn")}
        with suppress(KeyError):
            shown["scheduleExpression"] = body["ScheduleExpression"]
        self.ledger.record(
            ApiEvent(
                call.now,
                call.caller,
                call.region,
                SERVICE,
                call.operation,
                call.operation in ("GetSchedule", "ListSchedules"),
                call.caller.account,
                parameters=shown,
                error=None if error is None else error.code,
                message=None if error is None else error.message,
                request_id=call.request_id,
            )
        )


@dataclass(frozen=True, slots=True)
class _Call:
    operation: str
    caller: Caller
    region: str
    request_id: str
    name: str
    group: str
    now: datetime


def operation_of(request: Request) -> str:
    """`CreateSchedule`; empty for what the service does not have."""
    path = urlsplit(request.path).path
    if path == "/schedules":
        return "ListSchedules" if request.method == "GET" else ""
    if not path.startswith("/schedules/") or "/" in path.removeprefix("/schedules/"):
        return ""
    verbs = {"POST": "CreateSchedule", "GET": "GetSchedule", "DELETE": "DeleteSchedule", "PUT": "UpdateSchedule"}
    return verbs.get(request.method, "")


def _parsed(body: bytes) -> Document:
    try:
        found: object = json.loads(body or b"{}")
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise SchedulerError("ValidationException", "The request body is no JSON structure.")
    return found


def _wire(text: str) -> bytes:
    """A target's input as KMS reads requests: times are texts there (assumed, as Step Functions has it), numbers
    here."""
    given = json.loads(text)
    until = given.get("ValidTo")
    if isinstance(until, str):
        with suppress(ValueError):
            given["ValidTo"] = datetime.fromisoformat(until).timestamp()
    return json.dumps(given).encode()
