"""Breadcrumbs of a drill in Google Cloud: labels on the canary's CryptoKey that tell which drill changed it, until
when, and how it is undone.

Nothing reads labels of a CryptoKey when access is decided: IAM conditions know the resource's name, type and service,
and Resource Manager tags, which are another thing (IAM, "Attribute reference for IAM Conditions"; "Labels overview").
UpdateCryptoKey has no etag: a label that somebody else writes between our reading and our writing is overwritten.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from keycheck.errors import ProbeError
from keycheck.model.drill import Change
from keycheck.model.probe import Io
from keycheck.model.types import vendor_text
from keycheck.model.verdict import Reason
from probes.clouds.gcp.names import KeyName
from probes.keys.drill.aws_tags import DRILL, NAMES, RESTORE_BY, UNDO, Breadcrumb
from probes.keys.drill.gcp_calls import WRITES, Hand, hand
from probes.keys.gcp.describe import crypto_key
from probes.keys.subjects import Key

if TYPE_CHECKING:
    from google.cloud.kms_v1.types import CryptoKey

NEEDS: Final = ("cloudkms.cryptoKeys.get", "cloudkms.cryptoKeys.update")
"""Of whoever sets and clears them. `update` reaches further than labels: it may also change rotation."""
_TIME: Final = "%Y%m%dt%H%M%Sz"
_UNFIT: Final = re.compile(r"[^a-z0-9_-]")
_MOST: Final = 63


def value_of(text: str) -> str:
    """A text as a label can hold it: small letters, digits, `_` and `-`, at most 63."""
    return _UNFIT.sub("_", text.lower())[:_MOST]


def breadcrumb(labels: Mapping[str, str]) -> Breadcrumb | None:
    """The drill that the labels tell of; None where they tell of none."""
    if not any(name in labels for name in NAMES):
        return None
    try:
        deadline = datetime.strptime(labels.get(RESTORE_BY, ""), _TIME).replace(tzinfo=UTC)
    except ValueError:
        deadline = None
    return Breadcrumb(vendor_text(labels.get(DRILL, ""), _MOST), deadline, vendor_text(labels.get(UNDO, ""), _MOST))


def set_labels(who: Hand, key: KeyName, change: Change) -> None:
    """Say on the key what is about to be changed. Raises ProbeError, conflicting where it tells of another drill."""
    found = crypto_key(key, who.session)
    crumb = breadcrumb(found.labels)
    if crumb is not None and crumb.drill != value_of(change.drill):
        raise ProbeError(
            Reason.CONFLICTING,
            vendor_text(f"the labels of {key.key} tell of drill {crumb.drill}; `keycheck drill recover --scan`"),
        )
    at = change.deadline.astimezone(UTC).strftime(_TIME)
    said = dict(zip(NAMES, (value_of(change.drill), at, value_of(change.kind)), strict=True))
    _write(who, found, {**found.labels, **said})


def clear_labels(who: Hand, key: KeyName, drill: str) -> bool:
    """Take this drill's labels off, and no other's; whether any were there. Raises ProbeError."""
    found = crypto_key(key, who.session)
    crumb = breadcrumb(found.labels)
    if crumb is None or crumb.drill != value_of(drill):
        return False
    _write(who, found, {name: value for name, value in found.labels.items() if name not in NAMES})
    return True


def unlabel_command(key: KeyName) -> str:
    """What a person types when the key is back."""
    at = f"--location {key.location} --keyring {key.ring} --project {key.project}"
    return f"gcloud kms keys update {key.key} {at} --remove-labels {','.join(NAMES)}"


@dataclass(frozen=True, slots=True)
class Labels:
    """The labels of one drill, in the hands of its two identities. Where none are wanted everything does nothing."""

    change: Change
    subject: Key
    key: KeyName
    wanted: bool

    def rehearse(self, io: Io) -> None:
        """Set by who drills and taken off by who restores, so that both are known to be let. Raises ProbeError."""
        if self.wanted:
            self.set(io)
            clear_labels(hand(io, self.subject.identities.restore), self.key, self.change.drill)

    def set(self, io: Io) -> None:
        """Right before the act. Raises ProbeError."""
        if self.wanted:
            set_labels(hand(io, self.subject.identities.drill), self.key, self.change)

    def dismiss(self, io: Io) -> None:
        """When the key is back: a failure is no restore that failed, and `left` tells it."""
        if self.wanted:
            with suppress(ProbeError):
                clear_labels(hand(io, self.subject.identities.restore), self.key, self.change.drill)

    def left(self, io: Io) -> str:
        """What still stands there, in words for people; empty when nothing does."""
        if not self.wanted:
            return ""
        try:
            found = breadcrumb(crypto_key(self.key, hand(io, self.subject.identities.restore).session).labels)
        except ProbeError as error:
            return f"not known whether the drill's labels are off: {error}"
        ours = found is not None and found.drill == value_of(self.change.drill)
        return f"the labels {', '.join(NAMES)} are still on the key: take them off" if ours else ""


def _write(who: Hand, found: CryptoKey, labels: Mapping[str, str]) -> None:
    from google.cloud.kms_v1.types import CryptoKey
    from google.protobuf.field_mask_pb2 import FieldMask

    wanted = CryptoKey(name=found.name, labels=dict(labels))
    who.once(
        WRITES,
        f"set labels of {found.name}",
        lambda seconds: who.client.update_crypto_key(
            crypto_key=wanted, update_mask=FieldMask(paths=["labels"]), retry=None, timeout=seconds
        ),
    )
