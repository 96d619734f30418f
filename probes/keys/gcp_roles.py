"""Which predefined roles of Google Cloud give which powers over a Cloud KMS key. Pure.

Source: IAM roles and permissions index, "Cloud Key Management Service roles and permissions" (which lists, for each
permission, every predefined role that holds it) and "Resource Manager roles", as of 2026. A predefined role of another
service that is not listed there holds no permission on keys; custom roles are unknown. Roles that let somebody pass for
another principal (service account tokens, keys, deployments) are not powers over a key and are not looked for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from probes.keys.gcp_facts import GcpHierarchy
from probes.keys.instants import aware
from probes.keys.key_control import SKEW
from probes.keys.powers import Power

_USE: Final = frozenset({Power.USE})
_USE_AND_READ: Final = frozenset({Power.USE, Power.READ})
_ADMINISTER: Final = frozenset({Power.ADMINISTER, Power.GRANT, Power.DELETE, Power.READ})
_EDIT: Final = frozenset({Power.ADMINISTER, Power.DELETE, Power.READ})
_REGRANT: Final = frozenset({Power.ADMINISTER, Power.GRANT, Power.READ})
_READ: Final = frozenset({Power.READ})
_NONE: Final[frozenset[Power]] = frozenset()

ROLES: Final[Mapping[str, frozenset[Power]]] = {
    "roles/owner": frozenset(Power),
    "roles/editor": _EDIT,
    "roles/viewer": _READ,
    "roles/cloudkms.admin": _ADMINISTER,
    "roles/cloudkms.cryptoKeyEncrypterDecrypter": _USE,
    "roles/cloudkms.cryptoKeyEncrypter": _USE,
    "roles/cloudkms.cryptoKeyDecrypter": _USE,
    "roles/cloudkms.cryptoKeyEncrypterDecrypterViaDelegation": _USE,
    "roles/cloudkms.cryptoKeyEncrypterViaDelegation": _USE,
    "roles/cloudkms.cryptoKeyDecrypterViaDelegation": _USE,
    "roles/cloudkms.cryptoOperator": _USE_AND_READ,
    "roles/cloudkms.decapsulator": _USE_AND_READ,
    "roles/cloudkms.signer": _USE,
    "roles/cloudkms.signerVerifier": _USE_AND_READ,
    "roles/cloudkms.verifier": _USE_AND_READ,
    "roles/cloudkms.publicKeyViewer": _READ,
    "roles/cloudkms.viewer": _READ,
    "roles/cloudkms.encryptionDashboardViewer": _READ,
    "roles/cloudkms.protectedResourcesViewer": _READ,
    "roles/cloudkms.importer": frozenset({Power.ADMINISTER}),
    "roles/cloudkms.ekmConnectionsAdmin": frozenset({Power.ADMINISTER, Power.READ}),
    "roles/cloudkms.expertPqcSigner": _NONE,
    "roles/cloudkms.expertRawAesCbc": _NONE,
    "roles/cloudkms.expertRawAesCtr": _NONE,
    "roles/cloudkms.expertRawPKCS1": _NONE,
    "roles/cloudkms.autokeyAdmin": _NONE,
    "roles/cloudkms.autokeyUser": _NONE,
    "roles/cloudkms.orgServiceAgent": _READ,
    "roles/cloudkms.serviceAgent": _REGRANT,
    "roles/cloudkmskacls.serviceAgent": _USE_AND_READ,
    "roles/container.cloudKmsKeyUser": _USE_AND_READ,
    "roles/dlp.serviceAgent": _USE,
    "roles/assuredworkloads.serviceAgent": frozenset({Power.ADMINISTER}),
    "roles/securedlandingzone.bqdwProjectRemediator": _REGRANT,
    "roles/auditmanager.serviceAgent": _READ,
    "roles/cloudsecuritycompliance.serviceAgent": _READ,
    "roles/iam.dataScientist": _USE,
    "roles/iam.devOps": _USE,
    "roles/iam.databasesAdmin": _READ,
    "roles/iam.mlEngineer": _READ,
    "roles/iam.siteReliabilityEngineer": _READ,
    "roles/iam.supportUser": _READ,
    "roles/iam.securityAuditor": _READ,
    "roles/iam.securityReviewer": _READ,
    "roles/iam.securityAdmin": _REGRANT,
    # Who may change the policy of a project, folder or organization may give itself any of the above.
    "roles/resourcemanager.projectIamAdmin": _REGRANT,
    "roles/resourcemanager.folderIamAdmin": _REGRANT,
    "roles/resourcemanager.folderAdmin": _REGRANT,
    "roles/resourcemanager.organizationAdmin": _REGRANT,
    "roles/privilegedaccessmanager.serviceAgent": _REGRANT,
    "roles/privilegedaccessmanager.projectServiceAgent": _REGRANT,
    "roles/privilegedaccessmanager.folderServiceAgent": _REGRANT,
    "roles/privilegedaccessmanager.organizationServiceAgent": _REGRANT,
    "roles/appengineflex.serviceAgent": _REGRANT,
    "roles/firebase.managementServiceAgent": _REGRANT,
    "roles/gkehub.crossProjectServiceAgent": _REGRANT,
    "roles/krmapihosting.anthosApiEndpointServiceAgent": _REGRANT,
}
"""`useTo…ViaDelegation` inside `roles/cloudkms.admin` and `roles/owner` needs a service that acts for the principal:
not counted as use there, as Google says of the role that it has no cryptographic operations; counted in the roles that
exist to give it."""

PUBLIC: Final = frozenset({"allUsers", "allAuthenticatedUsers"})

_PREDEFINED: Final = re.compile(r"^roles/[A-Za-z0-9.]+$")
_TIME_ONLY: Final = re.compile(
    r"^\s*\(*\s*request\.time\s*[<>]=?\s*timestamp\(\s*[\"'][0-9TZ:.+-]+[\"']\s*\)\s*\)*"
    r"(\s*&&\s*\(*\s*request\.time\s*[<>]=?\s*timestamp\(\s*[\"'][0-9TZ:.+-]+[\"']\s*\)\s*\)*){0,8}\s*$"
)

_END: Final = re.compile(r"request\.time\s*<=?\s*timestamp\(\s*[\"']([0-9TZ:.+-]+)[\"']")


def powers(role: str) -> frozenset[Power] | None:
    """What a role gives over a key; None: a custom role, or a KMS role that this table does not hold."""
    if role in ROLES:
        return ROLES[role]
    if not _PREDEFINED.match(role) or role.startswith("roles/cloudkms"):
        return None
    return _NONE


def only_in_time(condition: str | None) -> bool:
    """Whether a binding's condition limits it in time at most: what ends later is granted now."""
    return condition is None or _TIME_ONLY.match(condition) is not None


def over(condition: str | None, looked: datetime) -> bool:
    """Whether a condition that only limits in time had ended when it was looked at, and so can never hold again."""
    if condition is None or not only_in_time(condition):
        return False
    return any(end < looked - SKEW for text in _END.findall(condition) if (end := aware(text)) is not None)


@dataclass(frozen=True, slots=True)
class Held:
    """A role that a member holds at one level."""

    member: str
    role: str
    powers: frozenset[Power] | None
    """None: unknown."""
    sure: bool
    """No condition beyond time."""
    where: str


def held(hierarchy: GcpHierarchy, looked: datetime) -> tuple[Held, ...]:
    """Everything that is granted on the key or inherited from above it, without what was over when it was `looked` at.
    Levels that could not be read give nothing: the caller must look for them."""
    return tuple(
        Held(member, binding.role, powers(binding.role), only_in_time(binding.condition), level.resource)
        for level in hierarchy.levels
        if isinstance(level.bindings, tuple)
        for binding in level.bindings
        if not over(binding.condition, looked)
        for member in binding.members
    )
