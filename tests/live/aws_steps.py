"""What several cases of AWS KMS are made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Final

from aws_session import AwsSession
from live_session import CaseError, Seen

CONTEXT: Final = {"tenant": "acme", "purpose": "keycheck-live"}


CANARY: Final = {"tenant": "canary", "purpose": "keycheck-live"}


PLAINTEXT: Final = b"keycheck-live plaintext of 32 by"


FINGERPRINT: Final = slice(5, 37)


ok: Callable[[Seen], bool] = lambda seen: seen.ok  # noqa: E731  # reads as a condition of a poll


def refused(code: str) -> Callable[[Seen], bool]:
    """The condition of a poll: that error."""
    return lambda seen: seen.code == code


DENIED: Final = refused("AccessDeniedException")


def octets(answer: Mapping[str, object], name: str) -> bytes:
    """A field of octets. Raise CaseError without it."""
    value = answer.get(name)
    if not isinstance(value, bytes):
        raise CaseError(f"the answer has no {name}")
    return value


def encrypted(s: AwsSession, key: str, context: Mapping[str, str], step: str) -> bytes:
    """A ciphertext of `PLAINTEXT`."""
    answer = s.must(step, "Encrypt", KeyId=key, Plaintext=PLAINTEXT, EncryptionContext=context)
    return octets(answer, "CiphertextBlob")


def allow(s: AwsSession, *actions: str) -> Mapping[str, object]:
    """An Allow for the account, which its IAM policies then give on."""
    return {"Effect": "Allow", "Principal": {"AWS": s.root()}, "Action": list(actions), "Resource": "*"}


def deny(*actions: str, **condition: Mapping[str, str]) -> Mapping[str, object]:
    """A Deny for everybody, under conditions."""
    statement: dict[str, object] = {"Sid": "live", "Effect": "Deny", "Principal": {"AWS": "*"}, "Resource": "*"}
    return {**statement, "Action": list(actions), **({"Condition": condition} if condition else {})}


ADMINISTERS: Final = (
    "kms:Describe*", "kms:Get*", "kms:List*", "kms:PutKeyPolicy", "kms:CreateGrant", "kms:RevokeGrant",
    "kms:EnableKey", "kms:DisableKey", "kms:ScheduleKeyDeletion", "kms:CancelKeyDeletion", "kms:TagResource",
)  # fmt: skip


def utc(moment: float) -> str:
    """As policies write it."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
