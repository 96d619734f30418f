"""What each identity needs in AWS for a drill, and no more: the one source for permissions and their proof."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from probes.keys.aspects import AWS_ACTIONS, Aspect
from probes.keys.drill.aws_tags import NEEDS as TAGS

_CONTROL: Final = ("kms:Encrypt", "kms:Decrypt")
LOOKS: Final = (Aspect.DESCRIPTION, Aspect.CALLER, Aspect.MATERIALS, Aspect.POLICIES)
"""What the identity that inspects asks before a drill that revokes."""
_INSPECT: Final = tuple(action for aspect in LOOKS for action in AWS_ACTIONS[aspect])
_LOG: Final = AWS_ACTIONS[Aspect.EVENTS]
_DEAD_MAN: Final = (
    "scheduler:CreateSchedule",
    "scheduler:GetSchedule",
    "scheduler:DeleteSchedule",
    "iam:PassRole",
)

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
            "drill": ("kms:DescribeKey", "kms:DisableKey", *TAGS["drill"]),
            "restore": ("kms:DescribeKey", "kms:EnableKey", *TAGS["restore"], *_DEAD_MAN),
            "control": _CONTROL,
            "inspect": _INSPECT,
            "log": _LOG,
        },
        "aws-revoke-grant": {
            "drill": ("kms:ListGrants", "kms:RevokeGrant", *TAGS["drill"]),
            "restore": ("kms:ListGrants", "kms:CreateGrant", *TAGS["restore"]),
            "control": _CONTROL,
            "inspect": _INSPECT,
            "log": _LOG,
        },
        "aws-delete-material": {
            "drill": ("kms:DescribeKey", "kms:ListKeyRotations", "kms:DeleteImportedKeyMaterial", *TAGS["drill"]),
            "restore": (
                "kms:DescribeKey",
                "kms:ListKeyRotations",
                "kms:GetParametersForImport",
                "kms:ImportKeyMaterial",
                *TAGS["restore"],
                *_DEAD_MAN,
            ),
            "control": _CONTROL,
            "inspect": _INSPECT,
            "log": _LOG,
        },
    }
)
"""Actions by mechanism and role. GetParametersForImport is needed only where escrow is a local file, and
what concerns tags only where no policy of the key reads any. What concerns
schedules, and `iam:PassRole`, stand in the identity's own policy: on `schedule/GROUP/keycheck-*` and on the dead-man's
role. `control` needs its two only under the canary's context (a condition `kms:EncryptionContext:NAME`), and Encrypt
also for marks in the log. Whoever may put key policies should be denied `kms:BypassPolicyLockoutSafetyCheck`: keycheck
never sets it."""

DEAD_MAN_NEEDS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {"aws-disable": ("kms:EnableKey",), "aws-delete-material": ("kms:ImportKeyMaterial",)}
)
"""What the role of the dead-man needs on the key, by mechanism, and no more. It trusts `scheduler.amazonaws.com`, and
is of the account of the identity that restores."""
