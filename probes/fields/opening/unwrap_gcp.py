"""Decrypt on one pinned CryptoKey of Cloud KMS, checksums both ways.

Sources: Cloud KMS REST reference, Decrypt; "Verify end-to-end data integrity".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from keycheck.errors import ProbeError
from keycheck.model.probe import Io
from keycheck.model.verdict import Reason
from probes.clouds.gcp.names import KeyName, key_name, same_key
from probes.fields.opening.unwrap import LONGEST_KEY, Answer, Declined, Unwrapped, unanswered
from probes.keys.drill.gcp_calls import USES, GcpError, Hand, hand
from probes.keys.drill.gcp_crc import crc32c

_REFUSED: Final = "Decryption failed"
"""How the service begins to say that a ciphertext is not of this key, or not with this associated data."""


@dataclass(frozen=True, slots=True)
class GcpUnwrapper:
    """Decrypts as an identity of the deployment that needs `cloudkms.cryptoKeyVersions.useToDecrypt` on this key and
    nothing else. The service decrypts with the CryptoKey that the request names, and says no name itself."""

    name: KeyName
    who: Hand
    provider: str = "gcp-kms"

    @classmethod
    def of(cls, io: Io, identity: str, resource: str) -> GcpUnwrapper:
        """Raises ProbeError."""
        return cls(key_name(resource), hand(io, identity))

    def admits(self, named: str) -> bool:
        """The pinned CryptoKey, one of its versions, the same name with the project written otherwise, or nothing."""
        return not named or same_key(named.partition("/cryptoKeyVersions/")[0], self.name)

    def unwrap(self, blob: bytes, context: Mapping[str, str], associated: bytes) -> Answer:
        """One call."""
        from google.cloud.kms_v1.types import DecryptRequest

        request = DecryptRequest(
            name=self.name.full,
            ciphertext=blob,
            ciphertext_crc32c=crc32c(blob),
            additional_authenticated_data=associated,
            additional_authenticated_data_crc32c=crc32c(associated),
        )
        try:
            answer = self.who.once(
                USES,
                "Decrypt",
                lambda seconds: self.who.client.decrypt(request=request, retry=None, timeout=seconds),
            )
        except GcpError as error:
            return _said(error)
        except ProbeError as error:
            return unanswered(error.reason, f"Decrypt: no answer ({error.reason})")
        key: bytes = answer.plaintext
        if answer.plaintext_crc32c != crc32c(key):  # None where the answer has none
            return unanswered(Reason.MALFORMED, "Decrypt: the plaintext does not fit its checksum")
        if not 0 < len(key) <= LONGEST_KEY:
            return unanswered(Reason.MALFORMED, "Decrypt: the answer holds no data key")
        return Unwrapped(bytearray(key), self.name.full)


def _said(error: GcpError) -> Answer:
    if error.status == "INVALID_ARGUMENT" and error.said.startswith(_REFUSED):
        return Declined(error.status)
    if error.status == "FAILED_PRECONDITION":
        return unanswered(
            Reason.NOT_COVERED,
            "Decrypt: FAILED_PRECONDITION: the key's version is not enabled; enable it, or look at it",
        )
    if error.reason is Reason.PERMISSION_DENIED:
        words = "grant the identity of `opening` cloudkms.cryptoKeyVersions.useToDecrypt on the key"
        return unanswered(error.reason, f"Decrypt: {error.status}: {words}")
    return unanswered(error.reason, f"Decrypt: {error.status}")
