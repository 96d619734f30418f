"""The canary of a drill in AWS: what the change is limited to, and a ciphertext of our own under the same context."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Final, Self, TypeAlias

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from keycheck.errors import ProbeError
from keycheck.model.types import Digest, Entropy, Instant, Model
from keycheck.model.verdict import Reason
from probes.clouds.aws.arns import KmsArn
from probes.keys.drill.aws_calls import Hand

RESERVED: Final = "aws-crypto-"
"""Names that the AWS Encryption SDK adds by itself, with other values in every message."""
_MOST: Final = 8
_RANDOM: Final = 16


def _literal(value: str) -> str:
    if not value.isprintable():
        raise ValueError("holds control characters")
    if "${" in value:
        raise ValueError("holds `${`, which key policies replace by something else; use a canary without it")
    return value


ContextName: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.:/@=+-]{1,128}$")]
"""A name in an encryption context. What else AWS may take cannot be relied on in a condition key."""
ContextValue: TypeAlias = Annotated[str, StringConstraints(min_length=1, max_length=256), AfterValidator(_literal)]
"""A value, as a policy compares it literally."""
Pair: TypeAlias = tuple[ContextName, ContextValue]
Pairs: TypeAlias = Annotated[tuple[Pair, ...], Field(min_length=1, max_length=_MOST)]


class Canary(Model):
    """A record of ours at the vendor, as its key calls show it. Holds no key material and no plaintext.

    What no log shows is not proved: that no other record's bytes were sealed with a data key that was made for the
    canary. A control record that must stay readable during the drill shows that.
    """

    pairs: Pairs
    """What the change is limited to. All of them must be in a request; together they mean the canary alone."""
    context: Pairs
    """The whole context of the sentinel's ciphertext: the pairs, and what else the vendor's contexts carry."""
    varies: Annotated[tuple[ContextName, ...], Field(max_length=_MOST)] = ()
    """Names whose values differ within the one record, such as its fields. Any other further name may tell records
    apart, so calls that carry one are not surely the canary's."""
    planted: Instant
    """When the record was made at the vendor. No call before may carry the pairs."""
    ciphertext: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9+/]{1,8192}={0,2}$")]
    """Base64. Ours, not the vendor's: the sentinel decrypts it."""
    sha256: Digest
    """Of what is in it: our own words and random octets."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for pairs in (self.pairs, self.context):
            if len({name.lower() for name, _ in pairs}) != len(pairs):
                raise ValueError("a name twice, or in two cases: condition keys do not tell them apart")
        if not set(self.pairs) <= set(self.context):
            raise ValueError("the sentinel's context lacks a pair that the change is limited to")
        if {name.lower() for name in self.varies} & {name.lower() for name, _ in self.pairs}:
            raise ValueError("a name that varies within the record cannot limit the change to it")
        if any(name.lower().startswith(RESERVED) for name, _ in self.context):
            raise ValueError(f"names that begin with {RESERVED} belong to the Encryption SDK")
        return self

    def octets(self) -> bytes:
        """The ciphertext. Raises ProbeError(malformed)."""
        try:
            return base64.b64decode(self.ciphertext, validate=True)
        except binascii.Error as error:
            raise ProbeError(Reason.MALFORMED, "the canary's ciphertext is no base64; plant it again") from error

    def is_in(self, plaintext: object) -> bool:
        """Whether a decryption gave what we put in."""
        if not isinstance(plaintext, bytes):
            return False
        return hmac.compare_digest(hashlib.sha256(plaintext).hexdigest(), self.sha256)


def plant(
    hand: Hand,
    arn: KmsArn,
    pairs: Iterable[tuple[str, str]],
    *,
    rest: Iterable[tuple[str, str]] = (),
    varies: Iterable[str] = (),
    planted: datetime,
    entropy: Entropy,
) -> Canary:
    """A canary whose ciphertext the control identity makes with Encrypt. Changes nothing in the cloud.

    `pairs` and `rest` are what the vendor's calls for the record carry. A replica decrypts the same ciphertext.
    Raises ProbeError, and ValueError on pairs that no canary can have.
    """
    secret = b"keycheck canary, nobody's data: " + entropy(_RANDOM).hex().encode("ascii")
    chosen = tuple(pairs)
    whole = (*chosen, *rest)
    empty = Canary(
        pairs=chosen,
        context=whole,
        varies=tuple(varies),
        planted=planted,
        ciphertext="A",
        sha256=hashlib.sha256(secret).hexdigest(),
    )
    answer = hand.ask(
        "kms:Encrypt", arn.region, KeyId=str(arn), Plaintext=secret, EncryptionContext=dict(empty.context)
    )
    sealed = answer.get("CiphertextBlob")
    if not isinstance(sealed, bytes) or not sealed:
        raise ProbeError(Reason.MALFORMED, "kms:Encrypt: answered no ciphertext")
    made = empty.model_dump() | {"ciphertext": base64.b64encode(sealed).decode("ascii")}
    return Canary.model_validate(made)
