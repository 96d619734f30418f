"""The canary of a drill in Google Cloud: a CryptoKey that seals nothing but canaries, and a ciphertext of our own.

IAM conditions see the resource and the time of a request and nothing of what is encrypted, so a change cannot be
limited to a record: it is limited to a key. What is proved on it holds for the vendor's handling of that key.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from datetime import datetime
from typing import Annotated, Final, Self, TypeAlias

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from keycheck.errors import ProbeError
from keycheck.model.types import Digest, Entropy, Instant, Model
from keycheck.model.verdict import Reason
from probes.clouds.gcp.names import KeyName, key_name, version_number
from probes.keys.drill.gcp_calls import USES, Hand
from probes.keys.drill.gcp_crc import crc32c
from probes.keys.subjects import Key

MARKER: Final = "keycheck"
"""What the id of a CryptoKey holds that was made for drills, as in `crm-keycheck-canary`."""
_RANDOM: Final = 16


def _a_key(value: str) -> str:
    try:
        key_name(value)
    except ProbeError as error:
        raise ValueError(str(error)) from error
    return value


KeyResource: TypeAlias = Annotated[str, Field(max_length=400), AfterValidator(_a_key)]
Text: TypeAlias = Annotated[str, StringConstraints(max_length=256, pattern=r"^[ -~]*$")]


class CanaryKey(Model):
    """Which CryptoKey a change is limited to."""

    key: KeyResource
    declared: bool = False
    """The customer says that it seals nothing but canaries, though its id does not say so."""

    @model_validator(mode="after")
    def _marked(self) -> Self:
        if not self.declared and MARKER not in key_name(self.key).key:
            raise ValueError(
                f"the id of a canary's CryptoKey holds `{MARKER}`, or the customer declares the key to be one"
            )
        return self

    @property
    def name(self) -> KeyName:
        """Its parts."""
        return key_name(self.key)

    def apart_from(self, subject: Key) -> None:
        """Raises ProbeError(unsupported) for a key that the deployment declares, unless its id is marked: data of
        others may be under it. A project has an id and a number, so the rest of the name counts."""
        name = self.name
        taken = (subject.resource, *subject.availability_keys)
        if MARKER not in name.key and any(other.endswith(name.below_project) for other in taken):
            raise ProbeError(
                Reason.UNSUPPORTED,
                f"{name.key} is a key of the deployment itself; a drill in Google Cloud takes away a canary's "
                f"CryptoKey and never that one: have the vendor use one for canaries whose id holds `{MARKER}`",
            )


class GcpCanary(Model):
    """A ciphertext of ours under the canary's CryptoKey. Holds no key material and no plaintext."""

    ciphertext: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9+/]{1,8192}={0,2}$")]
    """Base64."""
    sha256: Digest
    """Of what is in it: our own words and random octets."""
    authenticated: Text = ""
    """Additional authenticated data of it."""
    version: Annotated[str, StringConstraints(pattern=r"^[0-9]{1,12}$")]
    """Number of the version that sealed it: the one whose state the ciphertext feels."""
    planted: Instant

    def octets(self) -> bytes:
        """The ciphertext. Raises ProbeError(malformed)."""
        try:
            return base64.b64decode(self.ciphertext, validate=True)
        except binascii.Error as error:
            raise ProbeError(Reason.MALFORMED, "the canary's ciphertext is no base64; plant it again") from error

    def is_in(self, plaintext: bytes) -> bool:
        """Whether a decryption gave what we put in."""
        return hmac.compare_digest(hashlib.sha256(plaintext).hexdigest(), self.sha256)


def plant(
    hand: Hand, resource: str, *, planted: datetime, entropy: Entropy, authenticated: str = "keycheck canary"
) -> GcpCanary:
    """A canary that the control identity seals with Encrypt; needs `useToEncrypt`. Changes nothing in the cloud.

    Raises ProbeError, also when the checksums of either direction are missing or wrong.
    """
    from google.cloud.kms_v1.types import EncryptRequest

    name = key_name(resource)
    secret = b"keycheck canary, nobody's data: " + entropy(_RANDOM).hex().encode("ascii")
    bound = authenticated.encode("ascii")
    request = EncryptRequest(
        name=name.full,
        plaintext=secret,
        plaintext_crc32c=crc32c(secret),
        additional_authenticated_data=bound,
        additional_authenticated_data_crc32c=crc32c(bound),
    )
    doing = f"encrypt with {name.full}"
    answer = hand.once(USES, doing, lambda seconds: hand.client.encrypt(request=request, retry=None, timeout=seconds))
    sealed = answer.ciphertext
    if not sealed or answer.ciphertext_crc32c != crc32c(sealed):
        raise ProbeError(Reason.MALFORMED, f"{doing}: the ciphertext does not fit its checksum")
    if not answer.verified_plaintext_crc32c or not answer.verified_additional_authenticated_data_crc32c:
        raise ProbeError(Reason.MALFORMED, f"{doing}: the checksums that were sent have not been verified")
    return GcpCanary(
        ciphertext=base64.b64encode(sealed).decode("ascii"),
        sha256=hashlib.sha256(secret).hexdigest(),
        authenticated=authenticated,
        version=version_number(answer.name, name),
        planted=planted,
    )
