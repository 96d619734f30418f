"""kms:Decrypt under one pinned key. Source: AWS KMS API Reference, Decrypt (errors, KeyId, KeyMaterialId)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from keycheck.errors import ProbeError
from keycheck.model.probe import Io
from keycheck.model.types import vendor_text
from keycheck.model.verdict import Reason
from probes.clouds.aws.arns import KmsArn, kms_arn
from probes.clouds.aws.errors import AwsError
from probes.fields.opening.unwrap import LONGEST_KEY, Answer, Declined, Unwrapped, unanswered
from probes.keys.drill.aws_calls import Hand, hand

DECRYPT: Final = "kms:Decrypt"
_OTHER_KEY: Final = "IncorrectKeyException"
_REFUSED: Final = "InvalidCiphertextException"
"""The blob or the context is not what was wrapped."""
_STATES: Final = {
    "DisabledException": "the key is disabled; enable it, or open the sample when it is",
    "KMSInvalidStateException": "the key is in a state in which it does not decrypt; look at it",
    "KeyUnavailableException": "the key is not available at the moment; try again later",
    "InvalidKeyUsageException": "the key is not one that encrypts and decrypts symmetrically",
}
_MATERIAL: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class AwsUnwrapper:
    """Decrypts as an identity of the deployment that needs `kms:Decrypt` on this key and nothing else."""

    arn: KmsArn
    who: Hand
    provider: str = "aws-kms"

    @classmethod
    def of(cls, io: Io, identity: str, resource: str) -> AwsUnwrapper:
        """Raises ProbeError."""
        try:
            arn = kms_arn(resource)
        except ValueError as error:
            raise ProbeError(
                Reason.MALFORMED, "the declared key is not the ARN of a KMS key; write it whole"
            ) from error
        if arn.kind == "alias":
            raise ProbeError(Reason.UNSUPPORTED, "an alias can point elsewhere tomorrow; declare the key's own ARN")
        return cls(arn, hand(io, identity, arn))

    def admits(self, named: str) -> bool:
        """The pinned ARN, its key id alone, an alias of the same account and Region, the same multi-Region key's ARN in
        another Region, or nothing. What is sent always goes to the pinned key."""
        if not named or named == self.arn.name:
            return True
        try:
            other = kms_arn(named)
        except ValueError:
            return False
        if other.kind == "alias":
            return other.home == self.arn.home
        return other == self.arn or (self.arn.name.startswith("mrk-") and other.related == self.arn.related)

    def unwrap(self, blob: bytes, context: Mapping[str, str], associated: bytes) -> Answer:
        """One call. An answer that names another key is none."""
        try:
            answer = self.who.ask(
                DECRYPT,
                self.arn.region,
                once=True,
                KeyId=str(self.arn),
                CiphertextBlob=blob,
                EncryptionContext=dict(context),
            )
        except AwsError as error:
            return _said(error)
        except ProbeError as error:
            return unanswered(error.reason, f"{DECRYPT}: no answer ({error.reason})")
        key, used, material = answer.get("Plaintext"), answer.get("KeyId"), answer.get("KeyMaterialId")
        if not isinstance(key, bytes) or not 0 < len(key) <= LONGEST_KEY or used != str(self.arn):
            return unanswered(Reason.MALFORMED, f"{DECRYPT}: the answer names another key, or holds no data key")
        shown = material if isinstance(material, str) and _MATERIAL.fullmatch(material) else ""
        return Unwrapped(bytearray(key), str(self.arn), shown)


def _said(error: AwsError) -> Answer:
    if error.code in (_OTHER_KEY, _REFUSED):
        return Declined(error.code, other_key=error.code == _OTHER_KEY)
    code = vendor_text(error.code, 80)
    if error.code in _STATES:
        return unanswered(Reason.NOT_COVERED, f"{DECRYPT}: {code}: {_STATES[error.code]}")
    if error.reason is Reason.PERMISSION_DENIED:
        words = "allow the identity of `opening` kms:Decrypt on the key, in IAM and in the key policy"
        return unanswered(error.reason, f"{DECRYPT}: {code}: {words}")
    return unanswered(error.reason, f"{DECRYPT}: {code}")
