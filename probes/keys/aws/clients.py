"""Identities, sessions and clients: made once in a run, shared by all keys and threads.

Which cloud a client talks to follows the SDK's own conventions alone (Region and partition of the key,
`AWS_ENDPOINT_URL_KMS` and the like, `services` sections of the configuration file); no endpoint is ever passed.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast
from urllib.parse import urlsplit

from keycheck.errors import ProbeError
from keycheck.model.deployment import AwsIdentity, Vantage
from keycheck.model.once import Once
from keycheck.model.probe import Io
from keycheck.model.types import vendor_text
from keycheck.model.verdict import Reason
from probes.keys.aws.answers import Answers
from probes.keys.aws.bounded import bound
from probes.keys.aws.errors import AwsError, answering
from probes.keys.aws.operations import OPERATIONS, Service
from probes.keys.aws.pace import Deadline, Pace
from probes.keys.aws.reading import Answer, parsing, structure, text
from probes.keys.aws.sessions import config_for, making, session_for, verify_for
from probes.keys.aws.shapes import checked

if TYPE_CHECKING:
    from boto3.session import Session
    from botocore.client import BaseClient

CONNECTIONS: Final = 32
"""Of a client: as many threads can use it side by side."""


@dataclass(frozen=True, slots=True)
class Access:
    """One identity, as one vantage uses it in one partition. Shared by threads."""

    who: str
    """For people: which credentials these are."""
    key: tuple[str, str, str]
    session: Session
    once: Once = field(repr=False)
    vantage: Vantage
    base: Path
    budget: float
    monotonic: Callable[[], float]

    def client(self, service: Service, region: str) -> BaseClient:
        """The client, made at first use: making one is not thread-safe, using it is."""
        return self.once.get(("aws", "client", *self.key, service, region), lambda: self._make(service, region))

    def pace(self, client: BaseClient, operation: str, region: str) -> Pace | None:
        """Turns for one call in one Region. None for an emulator on this machine: AWS's quotas are not its."""
        if _is_loopback(client.meta.endpoint_url):
            return None
        rate = OPERATIONS[operation].rate
        return self.once.get(("aws", "pace", *self.key, operation, region), lambda: Pace(rate, self.monotonic))

    def _make(self, service: Service, region: str) -> BaseClient:
        make = cast("Callable[..., BaseClient]", self.session.client)
        config = config_for(self.vantage, max(1.0, min(10.0, self.budget / 8)), CONNECTIONS)
        with making(self.once):
            client = make(service, region_name=region, config=config, verify=verify_for(self.vantage, self.base))
        bound(client)
        checked(client)
        return client


@dataclass(frozen=True, slots=True)
class Api:
    """The calls of one unit of work."""

    access: Access
    deadline: Deadline
    answers: Answers = field(default_factory=Answers)

    def ask(self, operation: str, region: str, /, **parameters: object) -> Answer:
        """The answer to one call, or ProbeError (AwsError when AWS itself says no)."""
        spec = OPERATIONS[operation]
        self.deadline.check(operation)
        with answering(operation, self.access.who, region):
            client = self.access.client(spec.service, region)
        if pace := self.access.pace(client, operation, region):
            pace.turn(operation, self.deadline)
        endpoint = client.meta.endpoint_url
        try:
            with answering(operation, self.access.who, region):
                call = cast("Callable[..., object]", getattr(client, spec.method))
                answer = structure("the answer", call(**parameters))
        except AwsError as error:
            self.answers.add(operation, endpoint, parameters, error.code)
            raise
        except ProbeError as error:
            self.answers.add(operation, endpoint, parameters, error.reason.value)
            raise
        self.answers.add(operation, endpoint, parameters, answer)
        return answer

    def endpoint(self, service: Service, region: str) -> str:
        """Who answers for a service in a Region: what the SDK's conventions lead to. Raises ProbeError."""
        with answering("endpoint", self.access.who, region):
            return vendor_text(self.access.client(service, region).meta.endpoint_url)

    def caller(self, region: str) -> tuple[str, str]:
        """ARN and account that we ask as (sts:GetCallerIdentity, which needs no permission), asked once a Region."""

        inner = Api(self.access, self.deadline)

        def look() -> tuple[str, str, Answers]:
            answer = inner.ask("sts:GetCallerIdentity", region)
            with parsing("sts:GetCallerIdentity"):
                return text(answer, "Arn"), text(answer, "Account"), inner.answers

        try:
            arn, account, answers = self.access.once.get(("aws", "caller", *self.access.key, region), look)
        except ProbeError:
            self.answers.extend(inner.answers)
            raise
        self.answers.extend(answers)
        return arn, account


def api(io: Io, ref: str | None, partition: str, region: str) -> Api:
    """The door to AWS as the identity `ref` of the deployment, or as the SDK's own credential chain finds one.

    `region` is where a role is assumed unless the identity names another. Raises ProbeError.
    """
    key = (io.vantage.id, ref or "", partition)
    identity = _identity(io, ref)
    who = _describe(ref, identity)

    def make() -> Access:
        with answering("credentials", who, region):
            session = session_for(io, identity, region)
        return Access(who, key, session, io.once, io.vantage, io.base, io.budget, io.monotonic)

    access = io.once.get(("aws", "access", *key), make)
    with answering("endpoint", who, region):
        belongs = access.session.get_partition_for_region(region)
    if belongs != partition:
        raise ProbeError(
            Reason.MALFORMED, f"{region} is a Region of {belongs} and not of {partition}; check the ARN's spelling"
        )
    return Api(access, Deadline.of(io.budget, io.monotonic))


def _identity(io: Io, ref: str | None) -> AwsIdentity | None:
    if ref is None:
        return None
    found = next((identity for identity in io.identities if identity.id == ref), None)
    if not isinstance(found, AwsIdentity):
        raise ProbeError(
            Reason.PERMISSION_DENIED, f"identity {ref} is no AWS identity of the deployment; declare it `provider: aws`"
        )
    return found


def _describe(ref: str | None, identity: AwsIdentity | None) -> str:
    if identity is None:
        return "the SDK's own credential chain"
    details = [f"profile {identity.profile}"] if identity.profile else []
    details += [f"role {identity.role_arn}"] if identity.role_arn else []
    return vendor_text(f"identity {ref}" + (f" ({', '.join(details)})" if details else ""), 140)


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
