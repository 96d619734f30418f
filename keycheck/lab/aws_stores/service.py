"""The server: one loopback port for all services that hold data, answered from a frozen plan."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import format_datetime
from types import TracebackType
from typing import Final, Self

from keycheck.lab.aws.faults import Damage, Faults
from keycheck.lab.aws.identity import Directory, Refusal
from keycheck.lab.aws.policy import decide_identity
from keycheck.lab.aws.seams import Access, Caller
from keycheck.lab.aws.wire import Answer, Request, Reset, Server, scope_of
from keycheck.lab.aws_stores import accounts, backup, bedrock, dynamodb, ec2, efs, empty, rds, s3
from keycheck.lab.aws_stores.asked import Ask, Handler
from keycheck.lab.aws_stores.catalogue import SERVED, Called, Catalogue
from keycheck.lab.aws_stores.parameters import parameters
from keycheck.lab.aws_stores.plan import AwsPlan, KeyRef
from keycheck.lab.aws_stores.refusals import RefusedError, answered, denied, stranger
from keycheck.lab.aws_stores.serialised import serialised

HANDLERS: Final[Mapping[str, Mapping[str, Handler]]] = {
    "account": accounts.ACCOUNT,
    "organizations": accounts.ORGANIZATIONS,
    "backup": backup.HANDLERS,
    "bedrock": bedrock.HANDLERS,
    "dynamodb": dynamodb.HANDLERS,
    "ec2": ec2.HANDLERS,
    "efs": efs.HANDLERS,
    "rds": rds.HANDLERS,
    "s3": s3.HANDLERS,
    **empty.HANDLERS,
}
"""By the SDK's name of the service, and operation."""
_ACTIONS: Final = {"efs": "elasticfilesystem", "opensearch": "es"}
_GLOBAL: Final = frozenset({"account", "organizations"})
"""Services that answer in one Region for all."""
_VIRTUAL: Final = re.compile(r"([a-z0-9][a-z0-9.-]{1,61})\.(s3[.-][a-z0-9.-]+|localhost)(:\d+)?")


class StoresCloud:
    """Runs between `start` and `close`.

    Who calls is told by `directory`, what is there by `plan`, and `arn_of` knows the ARN of a key that the plan names,
    in a Region. `page_size` makes pages small, so that lists have several."""

    def __init__(
        self,
        plan: AwsPlan,
        *,
        directory: Directory,
        clock: Callable[[], datetime],
        arn_of: Callable[[KeyRef, str], str],
        faults: Faults | None = None,
        page_size: int | None = None,
        entropy: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self.plan = plan
        self.faults = faults or Faults()
        self._directory = directory
        self._clock = clock
        self._arn_of = arn_of
        self._page_size = page_size
        self._entropy = entropy
        self._catalogue = Catalogue()
        self._server = Server(self._answer)

    @property
    def url(self) -> str:
        """`http://127.0.0.1:…`"""
        return f"http://127.0.0.1:{self._server.port}"

    def start(self) -> Self:
        """Serve in the background."""
        self._server.start()
        return self

    def close(self) -> None:
        """Stop serving."""
        self._server.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _answer(self, request: Request) -> Answer | Reset:
        request_id = self._entropy(16).hex()
        scope = scope_of(request.headers)
        service = None if scope is None else SERVED.get(scope.service)
        if scope is None or service is None:
            return Answer(403, b"", headers={"x-amzn-RequestId": request_id})
        model = self._catalogue.model(service)
        head = request.method == "HEAD"
        try:
            called = self._catalogue.called(scope.service, _path_style(request) if service == "s3" else request)
            operation = "" if called is None else called.operation.name
            trouble = self.faults.next(operation)
            if trouble.delay:
                self.faults.sleep(trouble.delay)
            if trouble.damage is Damage.RESET:
                return Reset()
            if trouble.failure is not None:
                raise RefusedError(trouble.failure.code, trouble.failure.message, trouble.failure.status)
            if called is None:
                raise RefusedError("UnknownOperationException", "", 404)
            caller = self._directory.caller_of(
                scope.access_key_id, request.headers.get("x-amz-security-token"), self._clock()
            )
            if isinstance(caller, Refusal) or (service not in _GLOBAL and scope.region not in self.plan.regions):
                raise stranger(model.protocol)
            answer = self._called(called, request, caller, scope.region, request_id)
        except RefusedError as refused:
            answer = answered(refused, model, request_id, head=head)
        date = format_datetime(self._clock().astimezone(UTC), usegmt=True)
        return replace(answer, headers={**answer.headers, "Date": date})

    def _called(self, called: Called, request: Request, caller: Caller, region: str, request_id: str) -> Answer:
        service, name = called.service, called.operation.name
        handler = HANDLERS[service].get(name)
        if handler is None:
            raise RefusedError("UnknownOperationException", f"The lab does not serve {service}:{name}.", 501)

        def permitted(action: str, resource: str) -> bool:
            access = Access(caller, action, resource, self.plan.account, region, self._clock())
            return decide_identity(access).allowed

        ask = Ask(
            name,
            parameters(called, request),
            caller,
            region,
            self.plan,
            self._clock(),
            self._arn_of,
            self._page_size,
            permitted,
        )
        if service != "s3":  # whose permissions are other words, about other resources
            action = f"{_ACTIONS.get(service, service)}:{name}"
            if not permitted(action, "*"):
                raise denied(called.operation.service_model.protocol, caller.arn, action, "*")
        return serialised(called.operation, handler(ask), request_id)


def _path_style(request: Request) -> Request:
    """A request whose bucket is in the host's name, as if it were in the path."""
    found = _VIRTUAL.fullmatch(request.headers.get("host", "").lower())
    if found is None:
        return request
    return replace(request, path=f"/{found[1]}{request.path}")
