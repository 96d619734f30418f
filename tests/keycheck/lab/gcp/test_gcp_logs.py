from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from google.api_core import exceptions
from google.cloud.audit import audit_log_pb2
from google.cloud.logging_v2.types import LogEntry

from keycheck.lab.gcp.calls import CALLER_HEADER, REASON_HEADER
from keycheck.lab.gcp.entries import Entry

if TYPE_CHECKING:
    from conftest import Estate

OWNER = "user:owner@example.com"
APP = "serviceAccount:app@acme.iam.gserviceaccount.com"
RING = "projects/acme/locations/europe-west3/keyRings/r"
KEY = f"{RING}/cryptoKeys/k"
ACTIVITY = 'logName="projects/acme/logs/cloudaudit.googleapis.com%2Factivity"'
DATA = 'logName="projects/acme/logs/cloudaudit.googleapis.com%2Fdata_access"'


def entries(estate: Estate, text: str = "", who: str = OWNER, size: int = 3, order: str = "") -> list[LogEntry]:
    request = {"resource_names": ["projects/acme"], "filter": text, "page_size": size, "order_by": order}
    return list(estate.logs(who).list_log_entries(request=request))


def audit(entry: LogEntry) -> audit_log_pb2.AuditLog:
    payload = audit_log_pb2.AuditLog()
    assert LogEntry.pb(entry).proto_payload.Unpack(payload)
    return payload


def use(estate: Estate, who: str = APP, times: int = 1) -> None:
    estate.cloud.iam.bind(KEY, "roles/cloudkms.cryptoKeyEncrypterDecrypter", APP, OWNER)
    client = estate.kms(who, metadata=[(CALLER_HEADER, "198.51.100.7"), (REASON_HEADER, "CUSTOMER_INITIATED_ACCESS")])
    for _ in range(times):
        ciphertext = client.encrypt(name=KEY, plaintext=b"x").ciphertext
        client.decrypt(name=KEY, ciphertext=ciphertext)


def test_administration_is_always_logged_and_use_is_not(estate: Estate) -> None:
    use(estate)
    estate.kms().create_crypto_key_version(parent=KEY, crypto_key_version={})
    seen = entries(estate)
    assert [audit(each).method_name for each in seen] == ["CreateCryptoKeyVersion"]
    assert seen[0].log_name == "projects/acme/logs/cloudaudit.googleapis.com%2Factivity"


def test_use_is_logged_where_the_audit_configuration_says_so(estate: Estate) -> None:
    estate.cloud.iam.audit("projects/acme", "DATA_READ")
    use(estate)
    seen = entries(estate, DATA)
    assert [audit(each).method_name for each in seen] == ["Encrypt", "Decrypt"]
    told = audit(seen[1])
    assert told.service_name == "cloudkms.googleapis.com"
    assert told.resource_name == f"{KEY}/cryptoKeyVersions/1"
    assert told.authentication_info.principal_email == "app@acme.iam.gserviceaccount.com"
    assert told.request_metadata.caller_ip == "198.51.100.7"
    assert "grpc-python" in told.request_metadata.caller_supplied_user_agent
    assert told.request_metadata.request_attributes.reason == "CUSTOMER_INITIATED_ACCESS"
    granted = told.authorization_info[0]
    assert (granted.permission, granted.resource, granted.granted) == (
        "cloudkms.cryptoKeyVersions.useToDecrypt",
        KEY,
        True,
    )
    assert seen[1].resource.type == "cloudkms_cryptokeyversion"
    assert seen[1].resource.labels["crypto_key_id"] == "k"


def test_configurations_are_inherited_and_exempted_members_are_mute(estate: Estate) -> None:
    estate.cloud.iam.audit(estate.folder, "DATA_READ", service="allServices")
    estate.cloud.iam.audit("projects/acme", "DATA_READ", exempted=[APP])
    use(estate, APP)
    assert not entries(estate, DATA)
    use(estate, OWNER)
    assert len(entries(estate, DATA)) == 2


def test_denied_attempts_show_with_their_status(estate: Estate) -> None:
    estate.cloud.iam.audit("projects/acme", "DATA_READ")
    with pytest.raises(exceptions.PermissionDenied):
        estate.kms(APP).encrypt(name=KEY, plaintext=b"x")
    told = audit(entries(estate, DATA)[0])
    assert told.status.code == 7
    assert not told.authorization_info[0].granted


def test_a_log_viewer_does_not_see_data_access(estate: Estate) -> None:
    estate.cloud.iam.audit("projects/acme", "DATA_READ")
    use(estate)
    estate.kms().create_crypto_key_version(parent=KEY, crypto_key_version={})
    reader = "user:reader@example.com"
    with pytest.raises(exceptions.PermissionDenied, match=r"logging\.logEntries\.list"):
        entries(estate, who=reader)
    estate.cloud.iam.bind("projects/acme", "roles/logging.viewer", reader)
    assert [audit(each).method_name for each in entries(estate, who=reader)] == ["CreateCryptoKeyVersion"]
    assert not entries(estate, DATA, who=reader)
    estate.cloud.iam.bind("projects/acme", "roles/logging.privateLogViewer", reader)
    assert len(entries(estate, DATA, who=reader)) == 2


def test_filters_compare_and_pages_follow(estate: Estate) -> None:
    start = estate.time[0]
    for hour in range(7):
        name = f"{KEY}/cryptoKeyVersions/{1 + hour % 2}"
        estate.cloud.logs.seed(Entry(start + timedelta(hours=hour), "Decrypt", name, APP))
    assert len(entries(estate, DATA, size=3)) == 7
    one = f'{DATA} AND protoPayload.resourceName="{KEY}/cryptoKeyVersions/1"'
    assert len(entries(estate, one)) == 4
    window = f'{one} AND timestamp >= "2026-11-22T14:00:00Z" AND timestamp < "2026-11-22T16:00:00+00:00"'
    assert [each.timestamp for each in entries(estate, window)] == [start + timedelta(hours=2)]
    newest = entries(estate, f'resource.type="cloudkms_cryptokeyversion"\n{DATA}', order="timestamp desc")
    assert newest[0].timestamp > newest[-1].timestamp
    assert len(entries(estate, 'protoPayload.methodName=("Encrypt" OR "Decrypt")')) == 7
    assert not entries(estate, ACTIVITY)
    for bad in ("protoPayload.methodName=~x", "timestamp > yesterday", 'a="b" OR c="d"', "NOT a=b", "(((("):
        with pytest.raises(exceptions.InvalidArgument):
            entries(estate, bad)


def test_entries_come_late(estate: Estate) -> None:
    estate.cloud.faults.log_lag = timedelta(minutes=2)
    estate.kms().create_crypto_key_version(parent=KEY, crypto_key_version={})
    assert not entries(estate)
    estate.pass_time(minutes=2)
    assert len(entries(estate)) == 1
