"""The sentinel: our own harmless principal, asked again and again whether it can still read the canary."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from keycheck.errors import ProbeError
from keycheck.model.probe import Io
from keycheck.model.types import vendor_text
from probes.clouds.aws.arns import KmsArn, kms_arn
from probes.clouds.aws.errors import AwsError
from probes.keys.drill import Sample, Sight
from probes.keys.drill.aws_calls import Hand, hand, said
from probes.keys.drill.canary import Canary
from probes.keys.subjects import Key

SECONDS: Final = 5.0
"""That one look may take."""


class Withholding(StrEnum):
    """What the drill's change looks like to a principal that it hits."""

    EXPLICIT_DENY = "explicit-deny"
    """AccessDeniedException with an explicit deny in a resource-based policy. AWS says that only to principals of the
    key's own account: elsewhere every refusal reads the same."""
    DISABLED = "disabled"
    """DisabledException."""
    PENDING_IMPORT = "pending-import"
    """KMSInvalidStateException about a key that is pending import."""


_DENY: Final = "with an explicit deny in a resource-based policy"
_IMPORT: Final = "is pending import"


@dataclass(frozen=True, slots=True)
class Sentinel:
    """Reads the canary in one Region as the control identity, always naming the key.

    A sample is `denied` only when AWS refuses in just the way that the drill's change makes it refuse. What it proves
    is propagation to one principal in one Region. Any other failure is `unavailable`, never evidence of a revocation.
    """

    io: Io
    identity: str | None
    arn: KmsArn
    canary: Canary
    withholding: Withholding = Withholding.EXPLICIT_DENY
    _octets: bytes = field(init=False, repr=False, default=b"")

    def __post_init__(self) -> None:
        object.__setattr__(self, "_octets", self.canary.octets())

    def ask(self) -> Sample:
        """One look. Raises nothing: what goes wrong is `unavailable`, in words."""
        began, start = self.io.clock(), self.io.monotonic()
        try:
            sight, words = self._look(hand(self.io, self.identity, self.arn, SECONDS))
        except ProbeError as error:
            sight, words = Sight.UNAVAILABLE, vendor_text(f"{error.reason}: {error}")
        took = round((self.io.monotonic() - start) * 1_000_000)
        return Sample(self.arn.region, sight, words, began, max(0, took))

    def _look(self, who: Hand) -> tuple[Sight, str]:
        try:
            answer = who.ask(
                "kms:Decrypt",
                self.arn.region,
                once=True,
                KeyId=str(self.arn),
                CiphertextBlob=self._octets,
                EncryptionContext=dict(self.canary.context),
            )
        except AwsError as error:
            if self._is_ours(error):
                return Sight.DENIED, f"{error.code}: {self.withholding}"
            raise
        if not self.canary.is_in(answer.get("Plaintext")) or answer.get("KeyId") != str(self.arn):
            return Sight.UNAVAILABLE, "kms:Decrypt: answered, but not what was sealed, or under another key"
        return Sight.READABLE, "decrypted"

    def _is_ours(self, error: AwsError) -> bool:
        match self.withholding:
            case Withholding.EXPLICIT_DENY:
                return error.code == "AccessDeniedException" and said(error).rstrip(". ").endswith(_DENY)
            case Withholding.DISABLED:
                return error.code == "DisabledException"
            case Withholding.PENDING_IMPORT:
                return error.code == "KMSInvalidStateException" and _IMPORT in said(error)


def sentinels(
    io: Io, subject: Key, canary: Canary, keys: Iterable[str], withholding: Withholding = Withholding.EXPLICIT_DENY
) -> tuple[Sentinel, ...]:
    """One a Region, for the ARNs of the key and its replicas. Raises ProbeError, ValueError on what is no ARN."""
    return tuple(Sentinel(io, subject.identities.control, kms_arn(key), canary, withholding) for key in keys)
