"""Predefined roles, as far as the lab's services ask for their permissions.

Sources: https://cloud.google.com/kms/docs/reference/permissions-and-roles,
https://cloud.google.com/logging/docs/access-control, https://cloud.google.com/iam/docs/understanding-roles, and the
recorded role definitions in github.com/iann0036/iam-dataset (gcp/roles).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final


def _each(service: str, **permissions: str) -> frozenset[str]:
    return frozenset(f"{service}.{kind}.{verb}" for kind, verbs in permissions.items() for verb in verbs.split())


_KMS_READ: Final = _each(
    "cloudkms",
    keyRings="get list",
    cryptoKeys="get list",
    cryptoKeyVersions="get list",
    importJobs="get list",
    ekmConnections="get list",
    ekmConfigs="get",
    locations="get list",
    operations="get",
    retiredResources="get list",
)
_KMS_POLICIES: Final = _each(
    "cloudkms",
    keyRings="getIamPolicy setIamPolicy",
    cryptoKeys="getIamPolicy setIamPolicy",
    importJobs="getIamPolicy setIamPolicy",
    ekmConnections="getIamPolicy setIamPolicy",
    ekmConfigs="getIamPolicy setIamPolicy",
)
_KMS_CHANGE: Final = _each(
    "cloudkms",
    keyRings="create",
    cryptoKeys="create update delete",
    cryptoKeyVersions="create update destroy restore delete",
    importJobs="create useToImport",
    ekmConnections="create update verifyConnectivity use",
    ekmConfigs="update",
)
_KMS_EXPERT: Final = _each(
    "cloudkms", cryptoKeyVersions="manageRawAesCbcKeys manageRawAesCtrKeys manageRawPKCS1Keys managePqcSign"
)
_USE: Final = _each(
    "cloudkms",
    cryptoKeyVersions="useToEncrypt useToDecrypt useToSign useToVerify viewPublicKey useToDecapsulate",
    locations="generateRandomBytes",
)
_DELEGATE: Final = _each("cloudkms", cryptoKeyVersions="useToEncryptViaDelegation useToDecryptViaDelegation")
_PROJECT: Final = _each("resourcemanager", projects="get")
_LOGS: Final = _each("logging", logEntries="list", logs="list", logServiceIndexes="list", locations="get list")
_PRIVATE_LOGS: Final = _each("logging", privateLogEntries="list")
_TREE_READ: Final = _each("resourcemanager", projects="get", folders="get", organizations="get")
_TREE_LIST: Final = _each("resourcemanager", projects="get list", folders="get list")
_TREE_POLICIES: Final = _each(
    "resourcemanager",
    projects="getIamPolicy",
    folders="getIamPolicy",
    organizations="getIamPolicy",
)
_TREE_SET: Final = _each(
    "resourcemanager", projects="setIamPolicy", folders="setIamPolicy", organizations="setIamPolicy"
)
_GET_POLICIES: Final = frozenset(each for each in _KMS_POLICIES if each.endswith(".getIamPolicy"))
_VIEWER: Final = _KMS_READ | _GET_POLICIES | _PROJECT | _LOGS | _each("resourcemanager", projects="getIamPolicy")
_LOCATIONS: Final = _each("cloudkms", locations="get list")


def _use(verbs: str) -> frozenset[str]:
    return _each("cloudkms", cryptoKeyVersions=verbs) | _LOCATIONS | _PROJECT


PREDEFINED: Final[Mapping[str, frozenset[str]]] = {
    "roles/owner": _VIEWER
    | _KMS_POLICIES
    | _KMS_CHANGE
    | _KMS_EXPERT
    | _USE
    | _DELEGATE
    | _PRIVATE_LOGS
    | _TREE_LIST
    | _TREE_POLICIES
    | _TREE_SET,
    "roles/editor": _VIEWER
    | (_KMS_CHANGE - _each("cloudkms", cryptoKeys="delete", cryptoKeyVersions="destroy restore delete"))
    | _each("cloudkms", locations="generateRandomBytes"),
    "roles/viewer": _VIEWER,
    "roles/browser": _TREE_LIST | _TREE_READ | _each("resourcemanager", projects="getIamPolicy"),
    "roles/cloudkms.admin": _KMS_READ | _KMS_POLICIES | _KMS_CHANGE | _DELEGATE | _PROJECT,
    "roles/cloudkms.viewer": _KMS_READ | _PROJECT,
    "roles/cloudkms.cryptoKeyEncrypterDecrypter": _use("useToEncrypt useToDecrypt"),
    "roles/cloudkms.cryptoKeyEncrypter": _use("useToEncrypt"),
    "roles/cloudkms.cryptoKeyDecrypter": _use("useToDecrypt"),
    "roles/cloudkms.cryptoKeyEncrypterViaDelegation": _use("useToEncryptViaDelegation"),
    "roles/cloudkms.cryptoKeyDecrypterViaDelegation": _use("useToDecryptViaDelegation"),
    "roles/cloudkms.cryptoKeyEncrypterDecrypterViaDelegation": _use(
        "useToEncryptViaDelegation useToDecryptViaDelegation"
    ),
    "roles/cloudkms.cryptoOperator": _USE | _LOCATIONS | _PROJECT,
    "roles/cloudkms.publicKeyViewer": _use("viewPublicKey"),
    "roles/cloudkms.signer": _use("useToSign"),
    "roles/cloudkms.verifier": _use("useToVerify viewPublicKey"),
    "roles/cloudkms.signerVerifier": _use("useToSign useToVerify viewPublicKey"),
    "roles/cloudkms.importer": _each("cloudkms", importJobs="create get list useToImport") | _LOCATIONS | _PROJECT,
    "roles/cloudkms.expertRawAesCbc": _each("cloudkms", cryptoKeyVersions="manageRawAesCbcKeys") | _PROJECT,
    "roles/cloudkms.expertRawAesCtr": _each("cloudkms", cryptoKeyVersions="manageRawAesCtrKeys") | _PROJECT,
    "roles/cloudscheduler.admin": _each("cloudscheduler", jobs="create delete enable get list pause run update")
    | _PROJECT,
    "roles/iam.serviceAccountUser": _each("iam", serviceAccounts="actAs get list") | _PROJECT,
    "roles/logging.viewer": _LOGS | _PROJECT,
    "roles/logging.privateLogViewer": _LOGS | _PRIVATE_LOGS | _PROJECT,
    "roles/logging.admin": _LOGS | _PRIVATE_LOGS | _each("logging", logEntries="create", logs="delete") | _PROJECT,
    "roles/iam.securityReviewer": _GET_POLICIES
    | _TREE_POLICIES
    | _each("resourcemanager", projects="list", folders="list")
    | frozenset(each for each in _KMS_READ | _LOGS if each.endswith(".list")),
    "roles/iam.securityAdmin": _KMS_POLICIES | _TREE_POLICIES | _TREE_SET | _TREE_LIST,
    "roles/resourcemanager.organizationViewer": _each("resourcemanager", organizations="get"),
    "roles/resourcemanager.organizationAdmin": _TREE_LIST | _TREE_READ | _TREE_POLICIES | _TREE_SET,
    "roles/resourcemanager.folderViewer": _TREE_LIST,
    "roles/resourcemanager.folderAdmin": _TREE_LIST
    | _each("resourcemanager", folders="getIamPolicy setIamPolicy", projects="getIamPolicy"),
    "roles/resourcemanager.projectIamAdmin": _each("resourcemanager", projects="get getIamPolicy setIamPolicy"),
}
"""Role -> the permissions of it that the lab knows."""


def permissions_of(role: str) -> frozenset[str]:
    """Empty for a role that the lab does not know."""
    return PREDEFINED.get(role, frozenset())
