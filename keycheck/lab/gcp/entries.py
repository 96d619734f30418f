"""Audit log entries of the lab, and what Cloud Logging shows of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from google.cloud.audit import audit_log_pb2  # type: ignore[import-untyped]
from google.cloud.logging_v2.types import LogEntry
from google.protobuf import any_pb2
from google.rpc import status_pb2  # type: ignore[import-untyped]

from keycheck.lab.gcp.calls import Checked

ACTIVITY: Final = "activity"
DATA_ACCESS: Final = "data_access"
_SEVERITY: Final = {True: 500, False: 200}
_LABELS: Final = ("project_id", "location", "key_ring_id", "crypto_key_id", "crypto_key_version_id")


@dataclass(frozen=True, slots=True)
class Entry:
    """One audited call. Seed any you like."""

    at: datetime
    method: str
    """`Decrypt`."""
    resource: str
    """`projects/…/cryptoKeyVersions/1`."""
    principal: str
    """As IAM writes it."""
    log: str = DATA_ACCESS
    visible: datetime | None = None
    """From when it can be read; None: at once."""
    service: str = "cloudkms.googleapis.com"
    caller_ip: str = "203.0.113.10"
    user_agent: str = ""
    checked: tuple[Checked, ...] = ()
    code: int = 0
    message: str = ""
    reason: str = ""
    """Justification of the access."""

    @property
    def container(self) -> str:
        """`projects/p`."""
        return "/".join(self.resource.split("/")[:2])

    @property
    def log_name(self) -> str:
        return f"{self.container}/logs/cloudaudit.googleapis.com%2F{self.log}"

    def fields(self) -> Mapping[str, str]:
        """What filters can compare."""
        kind, labels = _monitored(self)
        return {
            "logName": self.log_name,
            "log_name": self.log_name,
            "severity": "ERROR" if self.code else "INFO",
            "resource.type": kind,
            **{f"resource.labels.{name}": value for name, value in labels.items()},
            "protoPayload.serviceName": self.service,
            "protoPayload.methodName": self.method,
            "protoPayload.resourceName": self.resource,
            "protoPayload.authenticationInfo.principalEmail": email(self.principal),
            "protoPayload.requestMetadata.callerIp": self.caller_ip,
            "protoPayload.status.code": str(self.code) if self.code else "",
        }

    def shown(self, number: int) -> LogEntry:
        """As `entries.list` answers it."""
        audit = audit_log_pb2.AuditLog(service_name=self.service, method_name=self.method, resource_name=self.resource)
        if self.principal.startswith(("principal:", "principalSet:")):
            audit.authentication_info.principal_subject = self.principal
        else:
            audit.authentication_info.principal_email = email(self.principal)
        audit.request_metadata.caller_ip = self.caller_ip
        audit.request_metadata.caller_supplied_user_agent = self.user_agent
        audit.request_metadata.request_attributes.time.FromDatetime(self.at)
        if self.reason:
            audit.request_metadata.request_attributes.reason = self.reason
            audit.metadata.update({"justification": self.reason})
        for each in self.checked:
            audit.authorization_info.add(resource=each.resource, permission=each.permission, granted=each.granted)
        if self.code:
            audit.status.CopyFrom(status_pb2.Status(code=self.code, message=self.message))
        payload = any_pb2.Any()
        payload.Pack(audit)
        kind, labels = _monitored(self)
        return LogEntry(
            log_name=self.log_name,
            resource={"type": kind, "labels": labels},
            timestamp=self.at,
            receive_timestamp=self.visible or self.at,
            insert_id=f"lab{number:09d}",
            severity=_SEVERITY[bool(self.code)],
            proto_payload=payload,
        )


def email(principal: str) -> str:
    """`serviceAccount:app@acme…` -> `app@acme…`."""
    kind, colon, rest = principal.partition(":")
    return rest if colon and kind in ("user", "serviceAccount", "group") else principal


def _monitored(entry: Entry) -> tuple[str, dict[str, str]]:
    parts = entry.resource.split("/")
    if entry.service != "cloudkms.googleapis.com" or len(parts) < 4:
        return parts[0].removesuffix("s"), {"project_id": parts[1] if len(parts) > 1 else ""}
    if len(parts) >= 8 and parts[6] == "importJobs":
        return "cloudkms_import_job", dict(zip(_LABELS[:3], parts[1:6:2], strict=False)) | {"import_job_id": parts[7]}
    kind = {4: "audited_resource", 6: "cloudkms_keyring", 8: "cloudkms_cryptokey"}.get(
        len(parts), "cloudkms_cryptokeyversion"
    )
    return kind, dict(zip(_LABELS, parts[1::2], strict=False))
