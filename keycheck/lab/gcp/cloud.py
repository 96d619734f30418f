"""The lab's Google Cloud, started and stopped as one: gRPC, REST and a token endpoint, all on loopback."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

import grpc

from keycheck.lab.gcp.attest import LabHsm
from keycheck.lab.gcp.dial import Metadata, channel
from keycheck.lab.gcp.directory import Directory
from keycheck.lab.gcp.faults import Faults
from keycheck.lab.gcp.front import Front
from keycheck.lab.gcp.iam import KMS_SERVICE, Iam
from keycheck.lab.gcp.kms import Kms
from keycheck.lab.gcp.log_bucket import LogBuckets
from keycheck.lab.gcp.logs import Logs
from keycheck.lab.gcp.manager import Manager
from keycheck.lab.gcp.rest import Rest
from keycheck.lab.gcp.scheduler import CloudScheduler
from keycheck.lab.gcp.tokens import LIFETIME, Tokens
from keycheck.model.types import Clock


def _utc_now() -> datetime:
    return datetime.now(UTC)


class GcpCloud:
    """Serves Cloud KMS, IAM policies, Resource Manager and Cloud Logging to the real clients, and Cloud Scheduler by
    REST, without TLS.

    `clock` drives everything that a customer sees (dates, rotation, destruction, conditions, lags); `wall` drives the
    lifetimes of tokens, which google-auth counts on this machine's clock.
    """

    def __init__(self, *, clock: Clock, entropy: Callable[[int], bytes] = os.urandom, wall: Clock = _utc_now) -> None:
        self.faults = Faults()
        self.directory = Directory(clock)
        self.iam = Iam(self.directory, clock, self.faults)
        self.hsm = LabHsm(clock)
        self.kms = Kms(clock, entropy, self.iam, self.faults, self.hsm.attest)
        self.logs = Logs(self.directory, self.iam, clock)
        self._tokens = Tokens(wall, entropy)
        self.buckets = LogBuckets(self.logs, self._tokens, self.iam, clock)
        manager = Manager(self.directory, self.iam)
        handlers = {**self.kms.handlers(), **manager.handlers(), **self.logs.handlers()}
        self._front = Front(handlers, self._tokens, self.iam, self.faults, clock, self.logs.finish)
        self.scheduler = CloudScheduler(clock, self.faults, self.token, self._dial)
        self._rest = Rest(self._front, self.scheduler)
        self._address = ""

    @property
    def address(self) -> str:
        """`127.0.0.1:port`; empty while it is not running."""
        return self._address

    @property
    def rest_address(self) -> str:
        """The same of the REST port: Cloud Scheduler, and what of Cloud KMS its jobs call."""
        return self._rest.address

    @property
    def storage_address(self) -> str:
        """Cloud Storage of the sinks that export logs: `127.0.0.1:port`; empty while it is not running."""
        return self.buckets.address

    @property
    def token_uri(self) -> str:
        """The OAuth token endpoint that the key files name."""
        return self._tokens.uri

    def start(self) -> None:
        self._tokens.start()
        self.buckets.start()
        self._address = self._front.start()
        self._rest.start()
        self.scheduler.start()

    def close(self) -> None:
        self.scheduler.close()
        self._rest.close()
        self._front.close()
        self.buckets.close()
        self._tokens.close()
        self._address = ""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def service_account(self, email: str, home: Path) -> Path:
        """Write a key file for a service account into `home`; needs a running cloud, whose token endpoint it names."""
        project = email.partition("@")[2].removesuffix(".iam.gserviceaccount.com")
        return self._tokens.service_account(email, project, home)

    def token(self, principal: str, lifetime: timedelta = LIFETIME) -> str:
        """An access token for a principal as IAM writes it (`user:…`, `serviceAccount:…`)."""
        return self._tokens.mint(principal, lifetime)

    def principal(self, authorization: str | None) -> str:
        """Whose token an `Authorization` header carries. Raises ApiError(UNAUTHENTICATED)."""
        return self._tokens.principal(authorization)

    def ask(self, path: str, headers: Mapping[str, str], request: object) -> object:
        """A call of the gRPC method `path` that came by REST: the same tokens, permissions, faults and log. Raises
        ApiError, and KeyError for a method that is not served."""
        handler = self._front.handler(path)
        return self._front.rest(path, headers, lambda call: handler(call, request))

    def channel(self, principal: str, metadata: Sequence[Metadata] = ()) -> grpc.Channel:
        """A channel on which every call is the principal's; `metadata` as in `calls.REASON_HEADER`."""
        token = self.token(principal)
        return channel(self.address, lambda: token, metadata)

    def _dial(self, host: str) -> tuple[str, int] | None:
        """Where a host of Google's is in the lab, by REST."""
        if host != KMS_SERVICE or not self.rest_address:
            return None
        name, _, port = self.rest_address.partition(":")
        return name, int(port)

    def expire_tokens(self, principal: str | None = None) -> None:
        """Let every token (of a principal) be past its end."""
        self._tokens.expire(principal)
