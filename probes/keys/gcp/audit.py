"""What is logged: Data Access settings of Cloud KMS, from the project up to the organization."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from keycheck.model.facts import Unseen
from probes.keys.facts import GcpAuditLevel, LoggingFacts
from probes.keys.gcp.hierarchy import Ancestry, AuditSetting

ALL: Final = "allServices"
SERVICE: Final = "cloudkms.googleapis.com"
DATA_READ: Final = "DATA_READ"
"""Encrypt, Decrypt and the like; off unless somebody switched it on."""


def logging_facts(above: Ancestry, universe: str) -> LoggingFacts | Unseen:
    """Of the levels that could be read. Settings add up: a level above cannot be switched off below. Unseen when not
    one level could be read."""
    services = {ALL, SERVICE, f"cloudkms.{universe}"}
    levels = tuple(
        _level(level.resource, level.policy.audit, services)
        for level in above.levels
        if not isinstance(level.policy, Unseen)
    )
    if not levels:
        return next(level.policy for level in above.levels if isinstance(level.policy, Unseen))
    return LoggingFacts(audit=levels, complete=not above.why_not, why_not=above.why_not)


def _level(resource: str, settings: Iterable[AuditSetting], services: set[str]) -> GcpAuditLevel:
    reads = [each for each in settings if each.service in services and each.kind == DATA_READ]
    return GcpAuditLevel(
        resource=resource,
        data_read=bool(reads),
        exempted=tuple(sorted({member for each in reads for member in each.exempted})),
    )
