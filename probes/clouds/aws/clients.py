"""Identities, sessions and clients: made once in a run, shared by all keys and threads.

Which cloud a client talks to follows the SDK's own conventions alone (Region and partition of the key,
`AWS_ENDPOINT_URL_KMS` and the like, `services` sections of the configuration file); no endpoint is ever passed.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar, cast
from urllib.parse import urlsplit

from keycheck.errors import ProbeError
from keycheck.model.deployment import AwsIdentity, Vantage
from keycheck.model.once import Once
from keycheck.model.probe import Io
from keycheck.model.types import vendor_text
from keycheck.model.verdict import Reason
from probes.clouds.aws.answers import Answers
from probes.clouds.aws.bounded import until
from probes.clouds.aws.errors import AwsError, answering
from probes.clouds.aws.operations import COMMON, Operations, Service
from probes.clouds.aws.pace import Deadline, Pace
from probes.clouds.aws.reading import Answer, MalformedError, parsing, structure, text
from probes.clouds.aws.sessions import config_for, making, session_for, verify_for
from probes.clouds.aws.shapes import checked

if TYPE_CHECKING:
    from boto3.session import Session
    from botocore.client import BaseClient

CONNECTIONS: Final = 32
"""Of a client: as many threads can use it side by side."""

CALL_SHARE: Final = 0.4
"""Of a unit's time for one call: three attempts that nobody answers."""

_SECRET: Final = 12
"""Characters from which on a text is no coincidence."""

T = TypeVar("T")


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

    def pace(self, client: BaseClient, operation: str, rate: float, region: str) -> Pace | None:
        """Turns for one call in one Region, `rate` a second. None for an emulator on this machine: AWS's quotas are
        not its."""
        if _is_loopback(client.meta.endpoint_url):
            return None
        return self.once.get(("aws", "pace", *self.key, operation, region), lambda: Pace(rate, self.monotonic))

    def belongs(self, region: str) -> None:
        """Raises ProbeError(malformed) for a Region of another partition than the identity was taken for: an answer
        that names one must not lead to another cloud."""
        with answering("endpoint", self.who, region):
            found = self.session.get_partition_for_region(region)
        if found != (partition := self.key[2]):
            raise ProbeError(
                Reason.MALFORMED, f"{region} is a Region of {found} and not of {partition}; check the ARN's spelling"
            )

    def _make(self, service: Service, region: str) -> BaseClient:
        self.belongs(region)
        make = cast("Callable[..., BaseClient]", self.session.client)
        config = config_for(self.vantage, max(1.0, min(10.0, self.budget / 8)), CONNECTIONS)
        with making(self.once):
            client = make(service, region_name=region, config=config, verify=verify_for(self.vantage, self.base))
        checked(client)
        return client


@dataclass(frozen=True, slots=True)
class Api:
    """The calls of one unit of work."""

    access: Access
    deadline: Deadline
    operations: Operations
    """What may be called."""
    answers: Answers = field(default_factory=Answers)

    def ask(self, operation: str, region: str, /, **parameters: object) -> Answer:
        """The answer to one call, or ProbeError (AwsError when AWS itself says no)."""
        spec = COMMON.get(operation) or self.operations[operation]
        self.deadline.check(operation)
        with answering(operation, self.access.who, region):
            client = self.access.client(spec.service, region)
        if pace := self.access.pace(client, operation, spec.rate, region):
            pace.turn(operation, self.deadline)
        endpoint = client.meta.endpoint_url
        try:
            with answering(operation, self.access.who, region), until(self._end()):
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

    def _end(self) -> float:
        """When a call must be over, with all its attempts: one that hangs leaves time for the others."""
        return min(self.deadline.at, self.access.monotonic() + self.access.budget * CALL_SHARE)

    def endpoint(self, service: Service, region: str) -> str:
        """Who answers for a service in a Region: what the SDK's conventions lead to. Raises ProbeError."""
        with answering("endpoint", self.access.who, region):
            return vendor_text(self.access.client(service, region).meta.endpoint_url)

    def caller(self, region: str) -> tuple[str, str]:
        """ARN and account that we ask as (sts:GetCallerIdentity, which needs no permission), asked once a Region."""

        def look(door: Api) -> tuple[str, str]:
            operation = "sts:GetCallerIdentity"
            answer = door.ask(operation, region)
            with parsing(operation):
                arn, account = text(answer, "Arn"), text(answer, "Account")
                if arn.split(":")[4:5] != [account]:
                    raise MalformedError("the answer contradicts itself about the account")
                return arn, account

        return self.shared("caller", region, look)

    def shared(self, what: str, region: str, look: Callable[[Api], T]) -> T:
        """What `look` finds, asked once for all units of work. So is its failure: a service that is silent must not
        take the time of every key. Raises ProbeError."""
        inner = Api(self.access, self.deadline, self.operations)

        def make() -> tuple[T | ProbeError, Answers]:
            try:
                return look(inner), inner.answers
            except ProbeError as error:
                if not inner.answers.any() or self.deadline.left() <= 0:
                    raise  # for lack of time here, which says nothing about there
                return error, inner.answers

        try:
            found, answers = self.access.once.get(("aws", what, *self.access.key, region), make)
        except ProbeError:
            self.answers.extend(inner.answers)
            raise
        self.answers.extend(answers)
        match found:
            case AwsError():
                raise AwsError(found.reason, str(found), found.code, found.bucket_region)
            case ProbeError():
                raise ProbeError(found.reason, str(found))
        return found


def api(io: Io, ref: str | None, partition: str, region: str, operations: Operations = COMMON) -> Api:
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
    access.belongs(region)
    return Api(access, Deadline.of(io.budget, io.monotonic), operations)


def unspoken(what: str, door: Api, recorded: Iterable[str | bytes]) -> None:
    """Raises ProbeError(malformed) when what is about to be recorded holds a credential that was used to ask for it:
    an endpoint, or somebody who can write tags, can say back what it was told."""
    with answering(what, door.access.who, "here"):
        credentials = door.access.session.get_credentials()
        frozen = None if credentials is None else credentials.get_frozen_credentials()
    spoken = [part for part in (frozen.secret_key, frozen.token) if part and len(part) >= _SECRET] if frozen else []
    for text_or_bytes in recorded:
        content = text_or_bytes.encode("utf-8") if isinstance(text_or_bytes, str) else text_or_bytes
        if any(part.encode() in content for part in spoken):
            raise ProbeError(
                Reason.MALFORMED,
                f"{what}: an answer holds a credential that keycheck itself uses, so nothing of it is kept; check whom "
                "the endpoint belongs to, and renew the credential",
            )


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
