"""Calls to AWS that may change something, and the looks that go with them. Nothing of them is kept anywhere: answers
hold plaintext, and requests hold tokens."""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, cast
from urllib.parse import urlsplit

from probes.clouds.aws.arns import KmsArn
from probes.clouds.aws.bounded import until
from probes.clouds.aws.clients import CONNECTIONS, Access, api
from probes.clouds.aws.errors import AwsError, answering
from probes.clouds.aws.operations import Operation
from probes.clouds.aws.pace import Deadline, Pace
from probes.clouds.aws.reading import Answer, structure
from probes.clouds.aws.sessions import config_for, making, verify_for
from probes.clouds.aws.shapes import checked

if TYPE_CHECKING:
    from botocore.client import BaseClient

    from keycheck.model.probe import Io

Sleep = Callable[[float], None]

SECONDS: Final = 4.0
"""Longest wait for the next bytes of an answer to a call that is tried once."""

CALLS: Final[Mapping[str, Operation]] = MappingProxyType(
    {
        "sts:GetCallerIdentity": Operation("sts", "get_caller_identity", 20),
        "kms:DescribeKey": Operation("kms", "describe_key", 20),
        "kms:GetKeyPolicy": Operation("kms", "get_key_policy", 20),
        "kms:ListGrants": Operation("kms", "list_grants", 20),
        "kms:ListKeyRotations": Operation("kms", "list_key_rotations", 20),
        "kms:GetKeyRotationStatus": Operation("kms", "get_key_rotation_status", 20),
        "kms:Encrypt": Operation("kms", "encrypt", 20),
        "kms:Decrypt": Operation("kms", "decrypt", 20),
        "kms:ListResourceTags": Operation("kms", "list_resource_tags", 20),
        "kms:TagResource": Operation("kms", "tag_resource", 4),
        "kms:UntagResource": Operation("kms", "untag_resource", 4),
        "kms:PutKeyPolicy": Operation("kms", "put_key_policy", 4),
        "kms:EnableKey": Operation("kms", "enable_key", 4),
        "kms:DisableKey": Operation("kms", "disable_key", 4),
        "kms:CreateGrant": Operation("kms", "create_grant", 4),
        "kms:RevokeGrant": Operation("kms", "revoke_grant", 4),
        "kms:GetParametersForImport": Operation("kms", "get_parameters_for_import", 0.25),
        "kms:ImportKeyMaterial": Operation("kms", "import_key_material", 4),
        "kms:DeleteImportedKeyMaterial": Operation("kms", "delete_imported_key_material", 4),
        "kms:RotateKeyOnDemand": Operation("kms", "rotate_key_on_demand", 1),
        "cloudtrail:LookupEvents": Operation("cloudtrail", "lookup_events", 2),
        "scheduler:CreateSchedule": Operation("scheduler", "create_schedule", 4),
        "scheduler:GetSchedule": Operation("scheduler", "get_schedule", 10),
        "scheduler:DeleteSchedule": Operation("scheduler", "delete_schedule", 4),
    }
)
"""Everything that a drill in AWS ever calls, well below the quotas ("Request quotas" of the KMS developer guide).
ScheduleKeyDeletion is not among them, and never will be."""


@dataclass(frozen=True, slots=True)
class Hand:
    """The calls of one identity."""

    access: Access
    deadline: Deadline

    def ask(self, operation: str, region: str, /, *, once: bool = False, **parameters: object) -> Answer:
        """The answer to one call, or ProbeError (AwsError when AWS itself says no, caused by what the SDK raised).

        `once`: without the SDK's own retries. A write that is repeated late could undo what somebody else wrote
        meanwhile, and a sample that was asked three times has no time of its own.
        """
        spec = CALLS[operation]
        self.deadline.check(operation)
        with answering(operation, self.access.who, region):
            client = self._single(spec, region) if once else self.access.client(spec.service, region)
        if pace := self._pace(client, operation, region):
            pace.turn(operation, self.deadline)
        with answering(operation, self.access.who, region), until(self.deadline.at):
            call = cast("Callable[..., object]", getattr(client, spec.method))
            return structure("the answer", call(**parameters))

    def _pace(self, client: BaseClient, operation: str, region: str) -> Pace | None:
        if _is_here(client.meta.endpoint_url):
            return None  # an emulator on this machine: AWS's quotas are not its
        access = self.access
        rate = CALLS[operation].rate
        key = ("aws", "drill", "pace", *access.key, operation, region)
        return access.once.get(key, lambda: Pace(rate, access.monotonic))

    def _single(self, spec: Operation, region: str) -> BaseClient:
        access = self.access

        def make() -> BaseClient:
            from botocore.config import Config

            build = cast("Callable[..., BaseClient]", access.session.client)
            once = Config(retries={"mode": "standard", "total_max_attempts": 1})
            config = config_for(access.vantage, SECONDS, CONNECTIONS).merge(once)
            with making(access.once):
                client = build(
                    spec.service, region_name=region, config=config, verify=verify_for(access.vantage, access.base)
                )
            checked(client)
            return client

        return access.once.get(("aws", "drill", "single", *access.key, spec.service, region), make)


def _is_here(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def hand(io: Io, ref: str | None, arn: KmsArn, seconds: float | None = None) -> Hand:
    """The identity `ref` of the deployment, for `seconds` (the unit of work's own time). Raises ProbeError."""
    access = api(io, ref, arn.partition, arn.region).access
    return Hand(access, Deadline.of(io.budget if seconds is None else seconds, io.monotonic))


def said(error: AwsError) -> str:
    """AWS's own words about an error, whole, for comparing and never for showing."""
    from botocore.exceptions import ClientError

    cause = error.__cause__
    return str(cause.response.get("Error", {}).get("Message", "")) if isinstance(cause, ClientError) else ""


def pause() -> Sleep:
    """Waits that other threads' turns do not suffer from."""
    from keycheck.turns import waiting

    def wait(seconds: float) -> None:
        with waiting():
            time.sleep(seconds)

    return wait
