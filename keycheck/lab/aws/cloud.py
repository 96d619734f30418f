"""The lab's AWS: every service and Region on one loopback port, for clients that follow AWS_ENDPOINT_URL."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import format_datetime
from types import TracebackType
from typing import Final, Self
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

from keycheck.lab.aws import cloudtrail, sts, trail_bucket
from keycheck.lab.aws.faults import Damage, Faults, Trouble
from keycheck.lab.aws.identity import Directory, Refusal
from keycheck.lab.aws.kms.errors import KmsError
from keycheck.lab.aws.kms.service import KmsState
from keycheck.lab.aws.ledger import Ledger
from keycheck.lab.aws.scheduler import Scheduler, operation_of
from keycheck.lab.aws.schedules import SchedulerError
from keycheck.lab.aws.seams import Caller
from keycheck.lab.aws.wire import Answer, Request, Reset, Scope, Server, scope_of

OVERSIZE: Final = 32 * 1_048_576
_KMS: Final = "TrentService."
_CLOUDTRAIL: Final = "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101."
_XML: Final = "text/xml"
_JSON: Final = "application/json"


class AwsCloud:
    """Runs between `start` and `close`, or as a context manager.

    Requests are routed by the service in the credential scope (`kms`, `sts`, `cloudtrail`, `scheduler`, `s3`), answered
    for the Region there, and belong to whom `directory` knows the access key of. `clock` is the cloud's own time.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], datetime],
        entropy: Callable[[int], bytes] = os.urandom,
        partition: str = "aws",
        directory: Directory | None = None,
        ledger: Ledger | None = None,
        faults: Faults | None = None,
    ) -> None:
        self.faults = faults or Faults()
        self.directory = directory or Directory(entropy=entropy)
        self.ledger = ledger or Ledger()
        self.trails = cloudtrail.Trails()
        self.kms = KmsState(
            clock=clock,
            entropy=entropy,
            faults=self.faults,
            directory=self.directory,
            ledger=self.ledger,
            partition=partition,
        )
        self.scheduler = Scheduler(clock, self.directory, self.ledger, self.kms, self.faults, partition)
        self.buckets = trail_bucket.TrailBuckets(self.ledger, self.trails, clock)
        self._clock = clock
        self._server = Server(self._answer)

    @property
    def url(self) -> str:
        """Endpoint for every service: `http://127.0.0.1:…`."""
        return f"http://127.0.0.1:{self._server.port}"

    def start(self) -> Self:
        """Serve in the background."""
        self._server.start()
        self.scheduler.start()
        return self

    def close(self) -> None:
        """Stop serving."""
        self.scheduler.close()
        self._server.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _answer(self, request: Request) -> Answer | Reset:
        request_id = self.kms.holdings.new_uuid()
        scope = scope_of(request.headers)
        scheduled = scope is not None and scope.service == "scheduler"
        stored = scope is not None and scope.service == "s3"
        if stored:
            operation = trail_bucket.operation_of(request)
        else:
            operation = operation_of(request) if scheduled else _operation(request)
        trouble = self.faults.next(operation)
        if trouble.delay:
            self.faults.sleep(trouble.delay)
        if trouble.damage is Damage.RESET:
            return Reset()
        answer = self._served(request, scope, operation, trouble, request_id)
        if stored and answer.status >= 400:
            answer = _in_xml(answer)
        date = format_datetime((self._clock() + self.faults.skew).astimezone(UTC), usegmt=True)
        return _spoilt(replace(answer, headers={**answer.headers, "Date": date}), trouble.damage)

    def _served(
        self, request: Request, scope: Scope | None, operation: str, trouble: Trouble, request_id: str
    ) -> Answer:
        query = scope is not None and scope.service == "sts"
        if trouble.failure is not None:
            failure = trouble.failure
            return _refused(Refusal(failure.code, failure.message, failure.status), request_id, query=query)
        if scope is None:
            return _refused(
                Refusal("MissingAuthenticationTokenException", "Missing Authentication Token"), request_id, query=False
            )
        if self.faults.skew:
            return _refused(self._skewed(request, query=query), request_id, query=query)
        token = request.headers.get("x-amz-security-token")
        caller = self.directory.caller_of(
            scope.access_key_id, token, self._clock(), protocol="query" if query else "json"
        )
        if isinstance(caller, Refusal):
            return _refused(caller, request_id, query=query)
        return self._routed(request, scope, operation, caller, request_id)

    def _routed(self, request: Request, scope: Scope, operation: str, caller: Caller, request_id: str) -> Answer:
        identified = {"x-amzn-RequestId": request_id}
        target = request.headers.get("x-amz-target", "")
        match scope.service:
            case "kms" if target.startswith(_KMS):
                try:
                    body = self.kms.answer(operation, request.body, caller, scope.region, request_id)
                except KmsError as error:
                    return _refused(Refusal(error.code, error.message or "", error.status), request_id, query=False)
                return Answer(200, body, headers=identified)
            case "cloudtrail" if target.startswith(_CLOUDTRAIL):
                try:
                    given: object = json.loads(request.body or b"{}")
                except (ValueError, RecursionError):
                    given = None
                if not isinstance(given, dict):
                    return _refused(Refusal("SerializationException", ""), request_id, query=False)
                status, answer = cloudtrail.handle(
                    operation, given, caller, scope.region, self.ledger, self.trails, self._clock()
                )
                return Answer(status, json.dumps(answer).encode(), headers=identified)
            case "sts":
                parameters = _form(request)
                status, xml = sts.handle(operation, parameters, caller, self.directory, self._clock())
                return Answer(status, xml, _XML, identified)
            case "s3":
                return self.buckets.answer(request, caller, scope.region)
            case "scheduler" if operation:
                try:
                    told = self.scheduler.answer(operation, request, caller, scope.region, request_id)
                except SchedulerError as wrong:
                    body = json.dumps({"Message": wrong.message}).encode()
                    return Answer(wrong.status, body, _JSON, {**identified, "x-amzn-ErrorType": wrong.code})
                return Answer(200, json.dumps(told).encode(), _JSON, identified)
            case _:
                return _refused(Refusal("UnknownOperationException", ""), request_id, query=False)

    def _skewed(self, request: Request, *, query: bool) -> Refusal:
        here = (self._clock() + self.faults.skew).strftime("%Y%m%dT%H%M%SZ")
        signed = request.headers.get("x-amz-date", "")
        code, status = ("SignatureDoesNotMatch", 403) if query else ("InvalidSignatureException", 400)
        return Refusal(code, f"Signature expired: {signed} is now earlier than {here} ({here} - 5 min.)", status)


def _operation(request: Request) -> str:
    target = request.headers.get("x-amz-target", "")
    return target.rpartition(".")[2] if target else _form(request).get("Action", "")


def _form(request: Request) -> Mapping[str, str]:
    try:
        return dict(parse_qsl(request.body.decode("ascii"), max_num_fields=200))
    except (UnicodeDecodeError, ValueError):
        return {}


def _refused(refusal: Refusal, request_id: str, *, query: bool) -> Answer:
    headers = {"x-amzn-RequestId": request_id}
    if query:
        xml = (
            '<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type>'
            f"<Code>{escape(refusal.code)}</Code><Message>{escape(refusal.message)}</Message></Error>"
            f"<RequestId>{request_id}</RequestId></ErrorResponse>"
        )
        return Answer(refusal.status, xml.encode(), _XML, headers)
    body = {"__type": refusal.code}
    if refusal.message:
        body["message"] = refusal.message
    return Answer(refusal.status, json.dumps(body).encode(), headers=headers)


def _in_xml(answer: Answer) -> Answer:
    """A refusal that stands in JSON, as S3 says it."""
    if not answer.content_type.startswith("application/x-amz-json"):
        return answer
    told = json.loads(answer.body)
    return trail_bucket.error(answer.status, told["__type"], told.get("message", ""))


def _spoilt(answer: Answer, damage: Damage | None) -> Answer:
    match damage:
        case Damage.TRUNCATED:
            return Answer(answer.status, answer.body, answer.content_type, answer.headers, len(answer.body) // 2)
        case Damage.OVERSIZED:
            body = answer.body + b" " * (OVERSIZE - len(answer.body))
            return Answer(answer.status, body, answer.content_type, answer.headers)
        case Damage.GARBAGE:
            return Answer(200, b"\x00\xff\xfe", answer.content_type, answer.headers)
        case Damage.PAGE:
            return Answer(200, b"<html><title>Welcome</title></html>", "text/html", answer.headers)
        case Damage.RESET | None:
            return answer
