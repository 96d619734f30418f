"""The lab's Cloud Storage: what sinks export, who may read it; and what the project's own sink says of itself."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import pytest
from google.api_core.exceptions import PermissionDenied
from google.cloud.logging_v2.services.config_service_v2 import ConfigServiceV2Client
from google.cloud.logging_v2.services.config_service_v2.transports import ConfigServiceV2GrpcTransport

from keycheck.lab.gcp.cloud import GcpCloud
from keycheck.lab.gcp.entries import ACTIVITY, Entry
from keycheck.lab.gcp.log_bucket import LogBucket

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
READER = "serviceAccount:reader@acme.iam.gserviceaccount.com"
KEY = "projects/acme/locations/europe-west3/keyRings/crm/cryptoKeys/byok"


@dataclass
class Place:
    cloud: GcpCloud
    bucket: LogBucket

    def get(self, path: str, who: str = READER, **headers: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(self.cloud.storage_address, timeout=10)
        token = {"Authorization": f"Bearer {self.cloud.token(who)}"} if who else {}
        connection.request("GET", f"/storage/v1/b/{path}", headers={**token, **headers})
        reply = connection.getresponse()
        try:
            return reply.status, reply.read()
        finally:
            connection.close()

    def listed(self, **query: str) -> dict[str, object]:
        asked = "&".join(f"{name}={quote(value)}" for name, value in query.items())
        status, body = self.get(f"logs/o?{asked}")
        assert status == 200
        found: dict[str, object] = json.loads(body)
        return found

    def names(self, **query: str) -> list[str]:
        items = self.listed(**query)["items"]
        assert isinstance(items, list)
        return [item["name"] for item in items]


@pytest.fixture
def place() -> Iterator[Place]:
    with GcpCloud(clock=lambda: NOW) as cloud:
        organization = cloud.directory.organization("acme.example")
        cloud.directory.project("acme", organization)
        role = f"{organization}/roles/reader"
        cloud.iam.role(role, ("storage.objects.list", "storage.objects.get", "logging.sinks.list"))
        cloud.iam.bind("projects/acme", role, READER)
        for hours, log in ((5, ACTIVITY), (4, "data_access"), (3.9, "data_access"), (1, "data_access")):
            cloud.logs.seed(Entry(NOW - timedelta(hours=hours), "Decrypt", f"{KEY}/cryptoKeyVersions/1", READER, log))
        yield Place(cloud, cloud.buckets.sink("logs", "projects/acme"))


def test_an_hour_of_a_log_is_a_file_of_entries(place: Place) -> None:
    day = "cloudaudit.googleapis.com/data_access/2026/11/22/"
    assert place.names(prefix=day) == [f"{day}08:00:00_08:59:59_S0.json", f"{day}11:00:00_11:59:59_S0.json"]
    first = place.listed(maxResults="2")
    assert len(place.names(maxResults="2", pageToken=str(first["nextPageToken"]))) == 1
    path = f"logs/o/{quote(day + '08:00:00_08:59:59_S0.json', safe='')}?alt=media"
    status, content = place.get(path)
    entries = [json.loads(line) for line in content.splitlines()]
    assert (status, len(entries)) == (200, 2)
    assert entries[0]["logName"] == "projects/acme/logs/cloudaudit.googleapis.com%2Fdata_access"
    assert entries[0]["protoPayload"]["@type"].endswith("google.cloud.audit.AuditLog")
    assert entries[0]["protoPayload"]["authenticationInfo"] == {"principalEmail": "reader@acme.iam.gserviceaccount.com"}
    assert place.get(path, Range="bytes=5-9") == (206, content[5:10])


def test_what_is_late_is_not_there_yet(place: Place) -> None:
    place.bucket.lag = timedelta(hours=2)
    assert len(place.names()) == 2
    place.bucket.trouble.missing = lambda name: "data_access" in name
    assert len(place.names()) == 1


def test_who_may_not_read_is_refused(place: Place) -> None:
    stranger = "serviceAccount:eve@other.iam.gserviceaccount.com"
    assert place.get("logs/o", stranger)[0] == 403
    assert place.get("others/o")[0] == 403
    assert place.get("logs/o", "")[0] == 401
    assert place.get("logs/o/nothing?alt=media")[0] == 404
    assert (READER, "storage.objects.get") in place.cloud.iam.asked()
    assert (stranger, "storage.objects.list") not in place.cloud.iam.asked()


def test_the_sinks_of_a_project(place: Place) -> None:
    place.cloud.logs.sinks.set("projects/acme", exclusions=(("cheap", 'severity="INFO"', False),))
    channel = place.cloud.channel(READER)
    client = ConfigServiceV2Client(transport=ConfigServiceV2GrpcTransport(channel=channel))
    required, default = client.list_sinks(parent="projects/acme", retry=None, timeout=10)
    assert (required.name, default.name) == ("_Required", "_Default")
    assert [each.name for each in default.exclusions] == ["cheap"]
    channel.close()
    channel = place.cloud.channel("user:eve@other.example")
    client = ConfigServiceV2Client(transport=ConfigServiceV2GrpcTransport(channel=channel))
    with pytest.raises(PermissionDenied):
        client.list_sinks(parent="projects/acme", retry=None, timeout=10)
    channel.close()
