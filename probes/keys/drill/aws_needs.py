"""What each identity needs in AWS for a drill, and no more: the one source for permissions and their proof."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

_CONTROL: Final = ("kms:Encrypt", "kms:Decrypt")
_INSPECT: Final = ("kms:DescribeKey", "kms:ListKeyRotations", "kms:ListKeyPolicies", "kms:GetKeyPolicy")
_LOG: Final = ("cloudtrail:LookupEvents",)

NEEDS: Final[Mapping[str, Mapping[str, tuple[str, ...]]]] = MappingProxyType(
    {
        "aws-deny": {
            "drill": ("kms:GetKeyPolicy", "kms:PutKeyPolicy"),
            "restore": ("kms:GetKeyPolicy", "kms:PutKeyPolicy"),
            "control": _CONTROL,
            "inspect": _INSPECT,
            "log": _LOG,
        },
        "aws-disable": {
            "drill": ("kms:DescribeKey", "kms:DisableKey"),
            "restore": ("kms:DescribeKey", "kms:EnableKey"),
            "control": _CONTROL,
            "inspect": _INSPECT,
            "log": _LOG,
        },
        "aws-revoke-grant": {
            "drill": ("kms:ListGrants", "kms:RevokeGrant"),
            "restore": ("kms:ListGrants", "kms:CreateGrant"),
            "control": _CONTROL,
            "inspect": _INSPECT,
            "log": _LOG,
        },
        "aws-delete-material": {
            "drill": ("kms:DescribeKey", "kms:ListKeyRotations", "kms:DeleteImportedKeyMaterial"),
            "restore": (
                "kms:DescribeKey",
                "kms:ListKeyRotations",
                "kms:GetParametersForImport",
                "kms:ImportKeyMaterial",
            ),
            "control": _CONTROL,
            "inspect": _INSPECT,
            "log": _LOG,
        },
    }
)
"""Actions by mechanism and role. GetParametersForImport is needed only where escrow is a local file. `control` needs
its two only under the canary's context (a condition `kms:EncryptionContext:NAME`), and Encrypt also for marks in the
log. Whoever may put key policies should
be denied `kms:BypassPolicyLockoutSafetyCheck`: keycheck never sets it."""
