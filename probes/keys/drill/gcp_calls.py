"""Calls to Cloud KMS that may change something, and the looks that go with them. Answers are kept nowhere: they hold
plaintext.

DestroyCryptoKeyVersion, DeleteCryptoKey and DeleteCryptoKeyVersion are not among them, and never will be.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, TypeVar

from keycheck.errors import ProbeError
from keycheck.model.deployment import GcpIdentity
from keycheck.model.probe import Io
from keycheck.model.verdict import Reason
from probes.clouds.gcp import clients
from probes.clouds.gcp.errors import translated
from probes.clouds.gcp.names import KeyName, enum_name, same_key, version_number
from probes.clouds.gcp.pace import Api, Pace, Quota
from probes.clouds.gcp.session import Session
from probes.keys.gcp.hierarchy import read_policy

if TYPE_CHECKING:
    from google.cloud.kms_v1 import KeyManagementServiceClient
    from google.cloud.kms_v1.types import CryptoKeyVersion
    from google.iam.v1.policy_pb2 import Policy  # type: ignore[import-untyped]

T = TypeVar("T")
Sleep = Callable[[float], None]

CALL_S: Final = 10.0
"""Seconds that one call, tried once, may take."""
CONDITIONS: Final = 3
"""Version of policies that hold conditions. Below it they are answered renamed, and erased when written back."""
WRITES: Final = Quota(10, 0.8)
"""Of 60 write requests a minute (https://cloud.google.com/kms/quotas)."""
USES: Final = Quota(40, 20.0)
"""Far below the 60,000 cryptographic requests a minute of the same page, as the vendor draws on them too."""


class GcpError(ProbeError):
    """What Google Cloud itself said no to."""

    def __init__(
        self, failure: ProbeError, status: str, said: str, info: tuple[str, str], types: frozenset[str]
    ) -> None:
        super().__init__(failure.reason, str(failure))
        self.status = status
        """Of `google.rpc.Code`: `ABORTED`."""
        self.said = said
        """Its own words, whole, for comparing and never for showing."""
        self.info = info
        """Reason and permission of its ErrorInfo, or empty."""
        self.types = types
        """Types of the violations in its PreconditionFailure: `KEY_DISABLED`."""


@dataclass(frozen=True, slots=True)
class Hand:
    """The calls of one identity. All raise ProbeError."""

    session: Session
    until: float

    @property
    def identity(self) -> GcpIdentity:
        """Who asks."""
        return self.session.identity

    @property
    def io(self) -> Io:
        """What it may use of the world."""
        return self.session.io

    @property
    def client(self) -> KeyManagementServiceClient:
        """Of Cloud KMS."""
        return clients.kms(self.identity, self.io)

    def once(self, quota: Quota, doing: str, call: Callable[[float], T]) -> T:
        """What `call`, given its seconds, answers; never tried again. Raises GcpError where the cloud says no: a write
        that is repeated late could undo what somebody else wrote, and a sample asked twice has no time of its own."""
        from google.api_core.exceptions import GoogleAPICallError, RetryError
        from google.auth.exceptions import GoogleAuthError
        from google.protobuf.message import DecodeError
        from grpc import RpcError

        self._turn(quota, doing)
        try:
            clients.refresh(self.identity, self.io)
            return call(min(CALL_S, self._left(doing)))
        except (GoogleAPICallError, RetryError, GoogleAuthError, DecodeError, RpcError) as error:
            failure = translated(error, doing, self.identity.id)
            if failure is None:
                raise
            raise _with_status(error, failure) from None

    def policy(self, resource: str) -> Policy:
        """The policy of a key, conditions and etag included. Raises ProbeError, also for one that could not be written
        back as it is."""
        from google.iam.v1 import iam_policy_pb2, options_pb2  # type: ignore[import-untyped]

        request = iam_policy_pb2.GetIamPolicyRequest(
            resource=resource, options=options_pb2.GetPolicyOptions(requested_policy_version=CONDITIONS)
        )
        doing = f"IAM policy of {resource}"
        found = self.session.ask(
            Api.KMS, doing, lambda seconds: self.client.get_iam_policy(request=request, retry=None, timeout=seconds)
        )
        read_policy(found)  # for its bounds
        if not found.etag:
            raise ProbeError(Reason.UNSUPPORTED, f"{doing}: has no etag, so a change of it could not be guarded")
        if found.version not in (0, 1, CONDITIONS):
            raise ProbeError(Reason.UNSUPPORTED, f"{doing}: is of version {found.version}, unknown to keycheck")
        if any("_withcond_" in binding.role for binding in found.bindings):
            raise ProbeError(Reason.UNSUPPORTED, f"{doing}: was answered without its conditions")
        return found

    def put_policy(self, resource: str, policy: Policy) -> Policy:
        """Write a policy that was read, under its etag; gives what the cloud says is there now. One try: `ABORTED` when
        somebody else wrote meanwhile. Raises ProbeError."""
        from google.iam.v1 import iam_policy_pb2

        if not policy.etag or policy.version != CONDITIONS:
            raise ProbeError(Reason.UNSUPPORTED, "a policy is written with its etag and as version 3, or not at all")
        request = iam_policy_pb2.SetIamPolicyRequest(resource=resource, policy=policy)
        return self.once(
            WRITES,
            f"set the IAM policy of {resource}",
            lambda seconds: self.client.set_iam_policy(request=request, retry=None, timeout=seconds),
        )

    def permitted(self, resource: str, permissions: Sequence[str]) -> frozenset[str]:
        """Which of the permissions the identity has, by its allow policies. Raises ProbeError."""
        from google.iam.v1 import iam_policy_pb2

        request = iam_policy_pb2.TestIamPermissionsRequest(resource=resource, permissions=permissions)
        answer = self.session.ask(
            Api.KMS,
            f"permissions on {resource}",
            lambda seconds: self.client.test_iam_permissions(request=request, retry=None, timeout=seconds),
        )
        return frozenset(answer.permissions) & frozenset(permissions)

    def state(self, key: KeyName, number: str) -> str:
        """State of a version: `ENABLED`. Raises ProbeError."""
        name = f"{key.full}/cryptoKeyVersions/{number}"
        found = self.session.ask(
            Api.KMS,
            f"get {name}",
            lambda seconds: self.client.get_crypto_key_version(name=name, retry=None, timeout=seconds),
        )
        return _state(found, key, number)

    def switch(self, key: KeyName, number: str, *, enabled: bool) -> str:
        """UpdateCryptoKeyVersion to ENABLED or DISABLED, once; gives the state as answered. Raises ProbeError."""
        from google.cloud.kms_v1.types import CryptoKeyVersion
        from google.protobuf.field_mask_pb2 import FieldMask

        states = CryptoKeyVersion.CryptoKeyVersionState
        wanted = CryptoKeyVersion(
            name=f"{key.full}/cryptoKeyVersions/{number}", state=states.ENABLED if enabled else states.DISABLED
        )
        found = self.once(
            WRITES,
            f"{'enable' if enabled else 'disable'} {wanted.name}",
            lambda seconds: self.client.update_crypto_key_version(
                crypto_key_version=wanted, update_mask=FieldMask(paths=["state"]), retry=None, timeout=seconds
            ),
        )
        return _state(found, key, number)

    def _left(self, doing: str) -> float:
        left = self.until - self.io.monotonic()
        if left <= 0:
            raise ProbeError(Reason.TIMEOUT, f"{doing}: the time for it was over before it was asked")
        return left

    def _turn(self, quota: Quota, doing: str) -> None:
        if self.identity.unsafe_plaintext_to_loopback:
            return  # an emulator has no quota
        pace = self.io.once.get(("gcp", "drill", "pace", self.identity, quota), lambda: Pace(quota, self.io.monotonic))
        delay = pace.wait(self._left(doing))
        if delay is None:
            raise ProbeError(Reason.THROTTLED, f"{doing}: not asked: our own pace leaves no call in time")
        if delay > 0:
            waiting_sleep(delay)


def hand(io: Io, ref: str | None, seconds: float | None = None, sleep: Sleep | None = None) -> Hand:
    """The identity `ref` of the deployment, for `seconds` (the unit of work's own time). Raises ProbeError."""
    limited = io if seconds is None else replace(io, budget=seconds + 1.0)  # a session keeps a second for itself
    session = Session(clients.identity_of(ref, io), limited, sleep or waiting_sleep)
    return Hand(session, io.monotonic() + limited.budget - 1.0)


def waiting_sleep(seconds: float) -> None:
    """A wait that other threads' turns do not suffer from."""
    from keycheck.turns import waiting

    with waiting():
        time.sleep(seconds)


def _with_status(error: Exception, failure: ProbeError) -> ProbeError:
    from google.api_core.exceptions import GoogleAPICallError
    from google.rpc.error_details_pb2 import PreconditionFailure  # type: ignore[import-untyped]

    if not isinstance(error, GoogleAPICallError):
        return failure
    status = error.grpc_status_code
    metadata = error.metadata or {}
    types = {
        violation.type
        for detail in error.details[:20]
        if isinstance(detail, PreconditionFailure)
        for violation in detail.violations[:20]
    }
    return GcpError(
        failure,
        "" if status is None else status.name,
        str(error.message)[:2000],
        (str(error.reason or ""), str(metadata.get("permission", ""))),
        frozenset(types),
    )


def _state(version: CryptoKeyVersion, key: KeyName, number: str) -> str:
    from google.cloud.kms_v1.types import CryptoKeyVersion as Message

    head = version.name.partition("/cryptoKeyVersions/")[0]
    if not same_key(head, key) or version_number(version.name, key) != number:
        raise ProbeError(Reason.MALFORMED, "the answer is about another version")
    return enum_name(Message.CryptoKeyVersionState, version.state)
