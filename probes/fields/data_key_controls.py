"""Controls over the wrapped data keys: how long they are, whose key wraps them, and whether another does too. Pure."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field

from keycheck.model.control import Tighter
from keycheck.model.facts import Unseen
from keycheck.model.types import NotRecorded
from keycheck.model.verdict import Reason
from probes.fields.facts import ColumnFacts, Opened, WrappedCount
from probes.fields.field_control import (
    FieldControl,
    OneIn,
    all_told,
    bounded,
    counted,
    direct,
    remarked,
    sample,
    without_data_keys,
)
from probes.fields.key_names import difference, names
from probes.fields.recognition_controls import BITS, measured_right, right_lengths, shows_aes
from probes.fields.subjects import FieldRule
from probes.weighing import Judgement, shown

MEASURED_ORIGINS: Final = frozenset({"aws-kms"})
"""Providers whose wrapping was seen to lengthen a data key by a constant. Not those of Google, whose hardware and
external protection levels nobody has measured and the wrapped key does not tell apart."""


def wrapped_all(facts: ColumnFacts, found: Judgement) -> None:
    """Doubts where not every value's wrapped data key is told."""
    if direct(facts) and not facts.wrapped:
        found.lean("the key service itself encrypts each value")
        return
    if facts.unwrapped:
        static = f", only the name of a key ({shown(facts.static_keys)})" if facts.static_keys else ""
        found.doubt(f"{facts.unwrapped} values carry no wrapped data key of their own{static}: ask how it is kept")
    if facts.wrapped_more:
        found.doubt(f"{facts.wrapped_more} wrapped data keys are of more classes than can be told")
    told = sum(wrapped.count for wrapped in facts.wrapped) + facts.wrapped_more + facts.unwrapped
    all_told(facts, told, "the wrapped data key is known", found)
    if not facts.wrapped:
        found.doubt("no wrapped data key was seen", Reason.NO_POSITIVE)


class DataKeyLength(FieldControl, id="fields.data-key-length", version=1):
    """Data keys have 256 bits, by a measured length and a matching declaration."""

    proves = (
        "Every value declares a 256-bit cipher, and the length of its data key agrees: as measured on the unwrapped "
        "sample, or as inferred from the length of the wrapped key where keycheck has measured how much that provider "
        "adds (AWS KMS). A length that is too short refutes the declaration by itself."
    )
    does_not_prove = (
        "By the inferred length alone, nothing: a Fernet key, half of a CBC+HMAC key and a 128-bit key written in hex "
        "are 32 bytes, too. That the bytes are random, or that all of them are used. External key stores, and Google's "
        "hardware and external protection levels, lengthen keys by amounts that nobody has measured: there the sample "
        "decides, and without one this is undecided."
    )
    example = "{control: fields.data-key-length@1, for: datasets}"
    sources = (
        "AWS KMS cryptographic details: Encrypt and GenerateDataKey (blobs observed, not documented)",
        "RFC 3394; RFC 5649 (padding hides 25 to 32 bytes)",
        "Tink wire format: KmsEnvelopeAead",
    )

    one_in: Annotated[OneIn, Tighter("higher")] = 100
    """Of the measured lengths."""

    def exempt(self, facts: ColumnFacts, rule: FieldRule) -> str:
        """Without data keys."""
        return without_data_keys(facts)

    def weigh(self, facts: ColumnFacts, rule: FieldRule, found: Judgement) -> str:
        """Refutations by length first; then the declaration and a measurement must agree."""
        wrapped_all(facts, found)
        rest = [wrapped for wrapped in facts.wrapped if not self._refuted(wrapped, found)]
        opened = facts.opened
        if isinstance(opened, Opened) and opened.weak.count:
            found.breach(f"unwrapped data keys that are text, and so of fewer than 256 bits: {counted(opened.weak)}")
        measured = isinstance(opened, Opened) and measured_right(facts, opened, found)
        self._declared(facts, measured and isinstance(opened, Opened) and shows_aes(opened, found), found)
        if measured and isinstance(opened, Opened):
            if all(map(_inferred, rest)) and all(cipher.bits is not None for cipher in facts.ciphers):
                found.lean(f"{opened.unwrapped} were unwrapped and measured")
            else:
                exact = shown(map(str, right_lengths(facts)))
                return bounded(opened.unwrapped, opened, self.one_in, f"has a data key of {exact} bytes", found)
        else:
            self._unmeasured(rest, opened, found)
        return "every data key has 256 bits by the length of its wrapped key, and every value declares a 256-bit cipher"

    @staticmethod
    def _refuted(wrapped: WrappedCount, found: Judgement) -> bool:
        if wrapped.length is None or wrapped.expected is None or wrapped.length >= wrapped.expected:
            return False
        found.breach(
            f"{wrapped.count} data keys wrapped by {wrapped.provider} have {wrapped.length} bytes, where 256 bits "
            f"take {wrapped.expected}"
        )
        return True

    @staticmethod
    def _declared(facts: ColumnFacts, shows: bool, found: Judgement) -> None:
        for cipher in facts.ciphers:
            if cipher.bits is not None and cipher.bits != BITS:
                message = f"{cipher.count} values declare {cipher.name}, of {cipher.bits} bits"
                found.breach(message) if cipher.bits < BITS else found.doubt(message, Reason.CONFLICTING)
            elif cipher.bits is None and not shows:
                found.doubt(f"{cipher.count} values do not state the size of their key: a length alone proves nothing")
        all_told(facts, sum(cipher.count for cipher in facts.ciphers), "the cipher is known", found)

    @staticmethod
    def _unmeasured(classes: list[WrappedCount], opened: Opened | Unseen, found: Judgement) -> None:
        why = f" ({opened.detail or opened.reason})" if isinstance(opened, Unseen) else ""
        for wrapped in classes:
            if _inferred(wrapped):
                continue
            if wrapped.provider not in MEASURED_ORIGINS or wrapped.length is None or wrapped.expected is None:
                found.doubt(
                    f"how long a data key is that {wrapped.provider} wraps cannot be told from outside, and no sample "
                    f"measured it{why}",
                    Reason.UNSUPPORTED,
                )
            else:
                found.doubt(
                    f"{wrapped.count} data keys seem to have {wrapped.length} bytes instead of {wrapped.expected}: an "
                    "external key store lengthens them, which nobody has measured",
                    Reason.UNSUPPORTED,
                )


def _inferred(wrapped: WrappedCount) -> bool:
    """Whether the length of the wrapped key tells that of the data key, and it is the right one."""
    return wrapped.provider in MEASURED_ORIGINS and wrapped.length is not None and wrapped.length == wrapped.expected


class WrappingKey(FieldControl, id="fields.key", version=1):
    """Every data key is wrapped by the customer's key: so say the values, and so says the key service of a sample."""

    proves = (
        "No value names another key, Region or account than that of the declared key, and the data key of every value "
        "of the sample was unwrapped by the key service under that very key, with none refused: so `one_in` is ruled "
        "out at 95 %."
    )
    does_not_prove = (
        "Names and fingerprints in the values are claims: about the values that were not drawn there is the bound "
        "and no more. One unwrapped data key verifies itself, not its class. That the vendor holds no copy of a data "
        "key, and no other way to the data."
    )
    example = "{control: fields.key@1, for: datasets, with: {one_in: 100}}"
    sources = (
        "AWS KMS API Reference: Decrypt (KeyId: whoever leaves it out lets the blob choose the key)",
        "AWS Encryption SDK: GHSA-wqgp-vphw-hphf",
        "Cloud KMS reference: cryptoKeys.decrypt",
    )

    one_in: Annotated[OneIn, Tighter("higher")] = 100

    def weigh(self, facts: ColumnFacts, rule: FieldRule, found: Judgement) -> str:
        """Claims can only refute; the sample decides."""
        wrapped_all(facts, found)
        if not facts.key_resource:
            found.doubt("the field map names no key for it: add `key: ID`, as in the deployment's section `keys`")
        if passwords := remarked(facts, "password-based"):
            found.breach(f"{passwords} values are under a key that is made from a password")
        foreign(facts, found)
        opened = sample(facts, found)
        if opened is None:
            return ""
        if opened.refused.count:
            found.breach(
                f"of {opened.drawn} drawn values, the key service refuses under {facts.key_resource} the data keys of: "
                f"{counted(opened.refused)}"
            )
        if not isinstance(opened.planted, NotRecorded) and opened.planted.refused.count:
            found.breach(
                f"the key service refuses under {facts.key_resource} the data keys of values that we planted: "
                f"{counted(opened.planted.refused)}"
            )
        for used in opened.key_ids if facts.key_resource else ():
            if names("", used, facts.key_resource) is not True:
                found.breach(f"the key service used {used}{difference(used, facts.key_resource)}")
        if opened.unwrapped and not opened.key_ids:
            found.doubt("which key the key service used was not recorded")
        classes = len({wrapped.fingerprint for wrapped in facts.wrapped if wrapped.fingerprint})
        if classes:
            found.lean(f"{classes} classes of key material")
        return bounded(
            opened.unwrapped, opened, self.one_in, f"has a data key that unwraps under {facts.key_resource}", found
        )


def foreign(facts: ColumnFacts, found: Judgement) -> None:
    """A breach for every wrapped data key that names another key."""
    for wrapped in facts.wrapped if facts.key_resource else ():
        if names(wrapped.provider, wrapped.key, facts.key_resource) is False:
            stated = wrapped.key or "a key without a name"
            found.breach(
                f"{wrapped.count} data keys are wrapped by {stated} of {wrapped.provider}"
                f"{difference(wrapped.key, facts.key_resource)}, not by {facts.key_resource}"
            )


class Escrow(FieldControl, id="fields.escrow", version=1):
    """No data key is wrapped a second time, and none by a key that is not the customer's."""

    proves = (
        "Each value carries its data key wrapped `at_most` so many times, and no wrapping names another key than the "
        "declared one. Where the values name none, the sample was unwrapped under the declared key."
    )
    does_not_prove = (
        "That no copy of a data key, wrapped or not, lies elsewhere. The key policy may still let others decrypt "
        "(keys.policy, keys.grants)."
    )
    example = "{control: fields.escrow@1, for: datasets}"
    sources = ("AWS Encryption SDK: multi-keyrings", "RFC 7516 section 7.2 (recipients)", "RFC 9052 section 5.1")

    at_most: Annotated[int, Field(ge=1, le=10), Tighter("lower")] = 1
    """Wrappings of one data key, all by the declared key."""

    def weigh(self, facts: ColumnFacts, rule: FieldRule, found: Judgement) -> str:
        """How many wrappings, then by whom."""
        wrapped_all(facts, found)
        fewest, most = facts.wraps
        if most > self.at_most:
            found.breach(f"values carry their data key wrapped {most} times, {self.at_most} agreed")
        elif not most and not direct(facts):
            found.doubt("how many times data keys are wrapped was not seen", Reason.NO_POSITIVE)
        elif most and not fewest and not facts.unwrapped:
            found.doubt("values without a wrapped data key were seen and not counted", Reason.CONFLICTING)
        if not facts.key_resource:
            found.doubt("the field map names no key for it: add `key: ID`, as in the deployment's section `keys`")
        foreign(facts, found)
        unnamed = any(names(wrapped.provider, wrapped.key, facts.key_resource) is None for wrapped in facts.wrapped)
        if unnamed or direct(facts):
            opened = sample(facts, found)
            if opened is not None and (opened.refused.count or not opened.unwrapped):
                found.doubt("neither the values nor the sample show whose key wraps them", Reason.NO_POSITIVE)
            elif opened is not None:
                found.lean(f"the values do not name it; {opened.unwrapped} were unwrapped")
        return f"wrapped {most} time{'s' if most != 1 else ''}, by {facts.key_resource}"
