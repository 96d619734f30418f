"""What each identity needs for a rotation drill, and no more: the one source for permissions and their proof."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

_LOOK: Final = ("kms:DescribeKey", "kms:ListKeyRotations", "kms:GetKeyRotationStatus")
_BRING: Final = ("kms:GetParametersForImport", "kms:ImportKeyMaterial")
_TURN: Final = (
    "cloudkms.cryptoKeys.get",
    "cloudkms.cryptoKeys.update",
    "cloudkms.cryptoKeyVersions.get",
    "cloudkms.cryptoKeyVersions.list",
)

ROTATE_NEEDS: Final[Mapping[str, Mapping[str, tuple[str, ...]]]] = MappingProxyType(
    {
        "aws-rotate": {
            "drill": (*_LOOK, *_BRING, "kms:RotateKeyOnDemand", "kms:DeleteImportedKeyMaterial"),
            "restore": _BRING,
            "control": ("kms:Encrypt", "kms:Decrypt"),
            "inspect": ("kms:DescribeKey",),
            "log": ("cloudtrail:LookupEvents",),
        },
        "gcp-rotate": {
            "drill": (*_TURN, "cloudkms.cryptoKeyVersions.create"),
            "restore": _TURN,
            "control": ("cloudkms.cryptoKeyVersions.useToEncrypt", "cloudkms.cryptoKeyVersions.useToDecrypt"),
            "log": ("logging.logEntries.list", "logging.privateLogEntries.list"),
        },
    }
)
"""Actions on the key that is rotated, by mechanism and role. In AWS a key whose material AWS makes needs neither
GetParametersForImport nor ImportKeyMaterial nor DeleteImportedKeyMaterial, and `restore` nothing; `control` needs its
two only under the canary's context. The two of `log` in Google Cloud are on the project; to tell whom the log keeps
silent about, it also reads what `gcp_preflight.ABOVE` names."""

IMPORT_NEEDS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "aws": ("kms:DescribeKey", "kms:GetParametersForImport"),
        "gcp": (
            "cloudkms.cryptoKeys.get",
            "cloudkms.importJobs.create",
            "cloudkms.importJobs.get",
            "cloudkms.importJobs.list",
        ),
    }
)
"""What the identity for `drill` needs for `keycheck drill import-parameters`; Google's jobs are on the key ring."""
GCP_IMPORTS: Final = (*IMPORT_NEEDS["gcp"][1:], "cloudkms.importJobs.useToImport")
"""What `drill` needs on the key ring besides, to rotate a key whose material the customer brings."""
