"""The lab's Google Cloud with a clock that tests move, and real clients for it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import grpc
import pytest
from google.cloud.kms_v1 import KeyManagementServiceClient
from google.cloud.kms_v1.services.key_management_service.transports import KeyManagementServiceGrpcTransport
from google.cloud.logging_v2.services.logging_service_v2 import LoggingServiceV2Client
from google.cloud.logging_v2.services.logging_service_v2.transports import LoggingServiceV2GrpcTransport

from keycheck.lab.gcp.cloud import GcpCloud

OWNER = "user:owner@example.com"
APP = "serviceAccount:app@acme.iam.gserviceaccount.com"
RING = "projects/acme/locations/europe-west3/keyRings/r"
KEY = f"{RING}/cryptoKeys/k"


@dataclass
class Estate:
    """organization > folder > project acme with one key, of which OWNER is the owner and APP nobody."""

    cloud: GcpCloud
    organization: str
    folder: str
    time: list[datetime]
    opened: list[grpc.Channel] = field(default_factory=list)

    def pass_time(self, **by: float) -> datetime:
        self.time[0] += timedelta(**by)
        return self.time[0]

    def channel(self, who: str = OWNER, metadata: Sequence[tuple[str, str]] = ()) -> grpc.Channel:
        channel = self.cloud.channel(who, metadata)
        self.opened.append(channel)
        return channel

    def kms(self, who: str = OWNER, metadata: Sequence[tuple[str, str]] = ()) -> KeyManagementServiceClient:
        transport = KeyManagementServiceGrpcTransport(channel=self.channel(who, metadata))
        return KeyManagementServiceClient(transport=transport)

    def logs(self, who: str = OWNER) -> LoggingServiceV2Client:
        return LoggingServiceV2Client(transport=LoggingServiceV2GrpcTransport(channel=self.channel(who)))


@pytest.fixture
def estate() -> Iterator[Estate]:
    time = [datetime(2026, 11, 22, 12, tzinfo=UTC)]
    with GcpCloud(clock=lambda: time[0]) as cloud:
        organization = cloud.directory.organization()
        folder = cloud.directory.folder(organization)
        cloud.directory.project("acme", folder)
        cloud.iam.bind("projects/acme", "roles/owner", OWNER)
        cloud.kms.seed_key(KEY)
        estate = Estate(cloud, organization, folder, time)
        yield estate
        for channel in estate.opened:
            channel.close()
