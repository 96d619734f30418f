"""The probe of stores: asks the cloud's control plane, read-only, where data lies and to where it is copied."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from keycheck.model.authorization import Technique
from keycheck.model.facts import Census, Facts
from keycheck.model.observation import Blob
from keycheck.model.probe import Io, Observed, PartProbe, Touch
from keycheck.model.types import PartName
from probes.clouds.whose import credential_of
from probes.residency.store_facts import ClosureFacts
from probes.residency.subjects import Account, Store

_CALLS = {"resource": 60, "account": 400}
"""A part; an estimate, as listings have pages and copies lead on."""


class ClosureProbe(PartProbe[Store]):
    """A store, or all of an account by Region, and everything that is copied from it, as far as it can be followed.

    Proves what the cloud's control plane says to our credentials, then and there (`configured`): where each thing is,
    under which key it lies and where the cloud itself copies it. Nothing is proved about copies that programs make by
    themselves, nor about what lies behind an open end.
    """

    id = "stores.closure"
    version = 1
    section = "stores"
    facts: ClassVar[type[Facts]] = ClosureFacts
    limit = 600.0

    def touches(self, subject: Store, io: Io) -> Iterable[Touch]:
        """Read-only calls to the store's own cloud, with each of its identities."""
        for ref in (subject.identity, *subject.others):
            yield Touch(
                what=f"{_named(subject)}: read where it and its copies are, and how they are encrypted",
                credential=credential_of(ref, io),
                changes=False,
                technique=Technique.PASSIVE,
                connections=4,
                seconds=int(self.limit),
                calls=_CALLS[subject.what.kind] + 2 * subject.objects,
            )

    def survey(self, subject: Store, io: Io) -> Census:
        """The places to look into; open with the reason where the cloud does not tell all of them."""
        if subject.provider == "aws":
            from probes.residency import aws

            return aws.survey(subject, io)
        from probes.residency import gcp

        return gcp.survey(subject, io)

    def work(self, subject: Store, part: PartName, io: Io) -> Observed:
        """Everything that is reached from one part."""
        facts: ClosureFacts
        blobs: tuple[Blob, ...]
        if subject.provider == "aws":
            from probes.residency import aws

            facts, blobs = aws.walk(subject, part, io)
        else:
            from probes.residency import gcp

            facts, blobs = gcp.walk(subject, part, io)
        return Observed(part, facts, blobs=blobs)


def _named(subject: Store) -> str:
    return f"account {subject.what.account}" if isinstance(subject.what, Account) else subject.what.name
