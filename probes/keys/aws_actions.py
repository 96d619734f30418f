"""The actions of AWS KMS by what they are for, and what wildcards in policies match. Pure.

Source: Service Authorization Reference, "Actions, resources, and condition keys for AWS Key Management Service".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Final

from probes.keys.aws_facts import Statement
from probes.keys.powers import Power

_OF: Final[Mapping[Power, tuple[str, ...]]] = {
    Power.USE: (
        "Encrypt", "Decrypt", "ReEncryptFrom", "ReEncryptTo", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext",
        "GenerateDataKeyPair", "GenerateDataKeyPairWithoutPlaintext", "Sign", "Verify", "GenerateMac", "VerifyMac",
        "DeriveSharedSecret", "Encapsulate", "Decapsulate",
    ),
    Power.ADMINISTER: (
        "PutKeyPolicy", "EnableKey", "DisableKey", "EnableKeyRotation", "DisableKeyRotation", "RotateKeyOnDemand",
        "GetParametersForImport", "ImportKeyMaterial", "CreateAlias", "UpdateAlias", "DeleteAlias", "TagResource",
        "UntagResource", "UpdateKeyDescription", "ReplicateKey", "UpdatePrimaryRegion", "SynchronizeMultiRegionKey",
        "CancelKeyDeletion",
    ),
    Power.GRANT: ("CreateGrant", "RevokeGrant", "RetireGrant"),
    Power.DELETE: ("ScheduleKeyDeletion", "DeleteImportedKeyMaterial"),
    Power.READ: (
        "DescribeKey", "GetKeyPolicy", "GetKeyRotationStatus", "GetPublicKey", "GetKeyLastUsage", "ListAliases",
        "ListGrants", "ListKeyPolicies", "ListKeyRotations", "ListKeys", "ListResourceTags", "ListRetirableGrants",
    ),
}  # fmt: skip

POWER_OF: Final[Mapping[str, Power]] = {action: power for power, actions in _OF.items() for action in actions}
"""By the name of the action without `kms:`."""

ELSEWHERE: Final = frozenset(
    {
        "CreateKey", "GenerateRandom", "CreateCustomKeyStore", "ConnectCustomKeyStore", "DisconnectCustomKeyStore",
        "UpdateCustomKeyStore", "DeleteCustomKeyStore", "DescribeCustomKeyStores",
    }
)  # fmt: skip
"""Actions that a key policy cannot allow: they are not about a key."""

FOR_AWS_RESOURCES: Final = frozenset({"CreateGrant", "ListGrants", "RevokeGrant"})
"""Actions in whose requests `kms:GrantIsForAWSResource` can stand (KMS Developer Guide, "Controlling access to
grants"): RetireGrant is none of them."""
_ALL: Final = frozenset(POWER_OF)
_LOWER: Final = frozenset(action.lower() for action in _ALL)


def powers(actions: Iterable[str]) -> frozenset[Power]:
    """The classes of some known actions."""
    return frozenset(POWER_OF[action] for action in actions)


def matches(glob: str, text: str, *, any_case: bool = False) -> bool:
    """Whether IAM's wildcards `*` and `?` match all of a text. In linear steps: patterns may be hostile."""
    if any_case:
        glob, text = glob.lower(), text.lower()
    at = star = 0
    tried = -1
    for_star = 0
    while at < len(text):
        if star < len(glob) and glob[star] == "*":
            tried, for_star = star, at
            star += 1
        elif star < len(glob) and glob[star] in ("?", text[at]):
            star += 1
            at += 1
        elif tried >= 0:
            for_star += 1
            star, at = tried + 1, for_star
        else:
            return False
    return not glob[star:].strip("*")


@lru_cache(maxsize=4096)
def _matched(text: str) -> frozenset[str]:
    return frozenset(action for action in _ALL if matches(text, f"kms:{action}", any_case=True))


def matched(patterns: Iterable[str]) -> frozenset[str]:
    """The known actions on a key that these patterns match, in any case."""
    return frozenset[str]().union(*(_matched(text) for text in patterns))


def of(statement: Statement) -> frozenset[str]:
    """The known actions that a statement is about."""
    return _ALL - matched(statement.not_actions) if statement.not_actions else matched(statement.actions)


def unheard(statement: Statement) -> tuple[str, ...]:
    """Actions that a statement spells out and that keycheck does not know."""
    known = {*_LOWER, *(action.lower() for action in ELSEWHERE)}
    return tuple(
        text
        for text in statement.actions
        if text.lower().startswith("kms:")
        and not {"*", "?"} & set(text)
        and text.partition(":")[2].lower() not in known
    )
