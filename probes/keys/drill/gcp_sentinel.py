"""The sentinel: our own harmless principal, asked again and again whether it can still read the canary."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from keycheck.errors import ProbeError
from keycheck.model.drill import Standing, Where
from keycheck.model.probe import Io
from keycheck.model.types import vendor_text
from keycheck.model.verdict import Reason
from probes.clouds.gcp.names import KeyName
from probes.keys.drill import Sample, Sight
from probes.keys.drill.gcp_calls import USES, GcpError, Hand, hand
from probes.keys.drill.gcp_canary import GcpCanary
from probes.keys.drill.gcp_crc import crc32c
from probes.keys.subjects import Key

SECONDS: Final = 5.0
"""That one look may take."""
_USE: Final = "cloudkms.cryptoKeyVersions.useToDecrypt"
_DENIED: Final = re.compile(rf"^Permission '{re.escape(_USE)}' denied on resource ")
_DISABLED: Final = re.compile(r" is not enabled, current state is: DISABLED\b")


class Withholding(StrEnum):
    """What the drill's change looks like to a principal that it hits."""

    NOT_GRANTED = "not-granted"
    """PERMISSION_DENIED by IAM, for want of `cloudkms.cryptoKeyVersions.useToDecrypt`. A disabled API, a service
    perimeter or an access reason that is not allowed are PERMISSION_DENIED too, and are not the drill's doing."""
    DISABLED = "disabled"
    """FAILED_PRECONDITION with a violation `KEY_DISABLED`."""


@dataclass(frozen=True, slots=True)
class Sentinel:
    """Decrypts the canary as the control identity.

    What a `denied` proves is propagation to one principal, seen from here. Any other failure is `unavailable`, never
    evidence of a revocation. Source: Cloud KMS, "Verifying end-to-end data integrity" (the checksums).
    """

    io: Io
    identity: str | None
    key: KeyName
    canary: GcpCanary
    withholding: Withholding = Withholding.NOT_GRANTED
    _octets: bytes = field(init=False, repr=False, default=b"")

    def __post_init__(self) -> None:
        object.__setattr__(self, "_octets", self.canary.octets())

    def ask(self) -> Sample:
        """One look. Raises nothing: what goes wrong is `unavailable`, in words."""
        began, start = self.io.clock(), self.io.monotonic()
        try:
            sight, words = self._look(hand(self.io, self.identity, SECONDS))
        except ProbeError as error:
            sight, words = Sight.UNAVAILABLE, vendor_text(f"{error.reason}: {error}")
        took = round((self.io.monotonic() - start) * 1_000_000)
        return Sample(self.key.location, sight, words, began, max(0, took))

    def _look(self, who: Hand) -> tuple[Sight, str]:
        try:
            plaintext = self._decrypted(who)
        except GcpError as error:
            if self._is_ours(error):
                return Sight.DENIED, f"{error.status}: {self.withholding}"
            raise
        if not self.canary.is_in(plaintext):
            return Sight.UNAVAILABLE, "Decrypt: answered, but not what was sealed"
        return Sight.READABLE, "decrypted"

    def _decrypted(self, who: Hand) -> bytes:
        from google.cloud.kms_v1.types import DecryptRequest

        bound = self.canary.authenticated.encode("ascii")
        request = DecryptRequest(
            name=self.key.full,
            ciphertext=self._octets,
            ciphertext_crc32c=crc32c(self._octets),
            additional_authenticated_data=bound,
            additional_authenticated_data_crc32c=crc32c(bound),
        )
        answer = who.once(
            USES,
            f"decrypt with {self.key.full}",
            lambda seconds: who.client.decrypt(request=request, retry=None, timeout=seconds),
        )
        plaintext: bytes = answer.plaintext
        if answer.plaintext_crc32c != crc32c(plaintext):  # None where the answer has none
            raise ProbeError(Reason.MALFORMED, "Decrypt: the plaintext does not fit its checksum")
        return plaintext

    def _is_ours(self, error: GcpError) -> bool:
        match self.withholding:
            case Withholding.NOT_GRANTED:
                if error.status != "PERMISSION_DENIED":
                    return False
                reason, permission = error.info
                if reason:
                    return reason == "IAM_PERMISSION_DENIED" and permission in ("", _USE)
                return _DENIED.match(error.said) is not None
            case Withholding.DISABLED:
                if error.status != "FAILED_PRECONDITION":
                    return False
                return "KEY_DISABLED" in error.types or (not error.types and _DISABLED.search(error.said) is not None)


def felt(io: Io, subject: Key, key: KeyName, canary: GcpCanary, withholding: Withholding) -> Standing:
    """Whether the canary decrypts for the control identity. Raises ProbeError(malformed) for a canary that is none."""
    sample = Sentinel(io, subject.identities.control, key, canary, withholding).ask()
    match sample.sight:
        case Sight.READABLE:
            return Standing(Where.RESTORED, "the canary decrypts")
        case Sight.DENIED:
            return Standing(Where.CHANGED, f"the canary is still withheld ({sample.words})")
        case Sight.UNAVAILABLE:
            return Standing(Where.CHANGED, vendor_text(f"not known whether the canary decrypts: {sample.words}"))
