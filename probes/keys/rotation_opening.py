"""Has the cloud say what a wrapped data key was wrapped under: our own principal decrypts it.

The plaintext data key that comes with the answer is dropped at once: it is in no name, message or fact. Sources: AWS
KMS API Reference, Decrypt (KeyId, KeyMaterialId, IncorrectKeyException); Cloud KMS, DecryptResponse (used_primary).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from keycheck.errors import ProbeError
from keycheck.model.facts import Unseen
from keycheck.model.probe import Io
from keycheck.model.types import vendor_text
from keycheck.model.verdict import Reason
from probes.keys.rotation_facts import Role
from probes.keys.rotation_stored import Wrapped
from probes.keys.subjects import Key

SECONDS: Final = 5.0
"""That one decryption may take."""


@dataclass(frozen=True, slots=True)
class Opened:
    """What the cloud said of one wrapped data key."""

    role: Role
    material: str


class Opener(Protocol):
    """Asks one cloud about one key."""

    def open(self, keys: Sequence[Wrapped]) -> Opened:
        """What the data key of a record was wrapped under; of several, the one that the record says this key wrapped.
        Raises ProbeError."""


def opener(subject: Key, key: str, context: Mapping[str, str], io: Io) -> Opener:
    """For the key that is rotated. `context`: of wrapped data keys beside which none stands (AWS)."""
    return AwsOpener(subject, key, context, io) if subject.provider == "aws" else GcpOpener(subject, key, io)


def told(open_: Callable[[], Opened]) -> Opened | Unseen:
    """What was opened, or why not."""
    try:
        return open_()
    except ProbeError as error:
        return Unseen(reason=error.reason, detail=vendor_text(str(error)))


@dataclass(frozen=True, slots=True)
class AwsOpener:
    """Decrypts as the control identity, always naming the key, so that AWS itself says when it is another's."""

    subject: Key
    key: str
    context: Mapping[str, str]
    io: Io

    def open(self, keys: Sequence[Wrapped]) -> Opened:
        """KeyMaterialId of the answer. Raises ProbeError."""
        from probes.clouds.aws.arns import kms_arn
        from probes.clouds.aws.errors import AwsError
        from probes.keys.drill.aws_calls import hand

        arn = kms_arn(self.key)
        chosen = next((each for each in keys if each.named.rpartition("/")[2] == self.key.rpartition("/")[2]), keys[0])
        who = hand(self.io, self.subject.identities.control, arn, SECONDS)
        try:
            answer = who.ask(
                "kms:Decrypt",
                arn.region,
                once=True,
                KeyId=str(arn),
                CiphertextBlob=chosen.blob,
                EncryptionContext=dict(chosen.context or self.context),
            )
        except AwsError as error:
            if error.code == "IncorrectKeyException":
                return Opened(Role.OTHER_KEY, "")
            raise
        material = answer.get("KeyMaterialId")
        if answer.get("KeyId") != str(arn) or not isinstance(material, str):
            raise ProbeError(Reason.MALFORMED, "kms:Decrypt: the answer names another key, or no material")
        return Opened(Role.NAMED, vendor_text(material))


@dataclass(frozen=True, slots=True)
class GcpOpener:
    """Decrypts as the control identity. Google Cloud says only whether it was the primary version of that moment."""

    subject: Key
    key: str
    io: Io

    def open(self, keys: Sequence[Wrapped]) -> Opened:
        """Whether the primary version wrapped it. Raises ProbeError."""
        from google.cloud.kms_v1.types import DecryptRequest

        from probes.keys.drill.gcp_calls import USES, hand
        from probes.keys.drill.gcp_crc import crc32c

        blob = keys[0].blob
        who = hand(self.io, self.subject.identities.control, SECONDS)
        request = DecryptRequest(name=self.key, ciphertext=blob, ciphertext_crc32c=crc32c(blob))
        answer = who.once(
            USES,
            f"decrypt with {self.key}",
            lambda seconds: who.client.decrypt(request=request, retry=None, timeout=seconds),
        )
        if answer.plaintext_crc32c != crc32c(answer.plaintext):  # None where the answer has none
            raise ProbeError(Reason.MALFORMED, "Decrypt: the answer does not fit its checksum")
        return Opened(Role.PRIMARY if answer.used_primary else Role.NOT_PRIMARY, "")
