"""The probe of a key's configuration: asks the customer's cloud, with the customer's credentials, read-only."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from keycheck.model.authorization import Technique
from keycheck.model.facts import Census, Facts
from keycheck.model.observation import Blob
from keycheck.model.probe import Io, Observed, PartProbe, Touch
from keycheck.model.types import PartName, vendor_text
from probes.clouds.whose import credential_of
from probes.keys import aws, gcp
from probes.keys.aspects import Aspect, asked_for
from probes.keys.aws_facts import AwsKey
from probes.keys.facts import KeyFacts
from probes.keys.gcp_facts import GcpKey
from probes.keys.subjects import Key

LOG_ONLY = frozenset({Aspect.LOGGING, Aspect.EVENTS})


class KeyProbe(PartProbe[Key]):
    """A key, and every replica of it in another Region, each with policies and a state of its own.

    Proves what the cloud says about the key to our credentials, then and there (`configured`). Nothing is
    proved about what the cloud does not say, about copies of the material elsewhere, or about whether the
    vendor uses this key at all.
    """

    id = "keys.key"
    version = 1
    section = "keys"
    facts: ClassVar[type[Facts]] = KeyFacts

    def touches(self, subject: Key, io: Io) -> Iterable[Touch]:
        """Read-only calls to the key's own cloud."""
        asked = asked_for(io.demands) - LOG_ONLY
        cloud = aws if subject.provider == "aws" else gcp
        yield Touch(
            what=f"{subject.resource}: read {', '.join(sorted(asked))}",
            credential=credential_of(subject.identities.inspect, io),
            changes=False,
            technique=Technique.PASSIVE,
            connections=1,
            seconds=int(self.limit),
            calls=cloud.key_calls(asked),
        )

    def survey(self, subject: Key, io: Io) -> Census:
        """The places that the key is in; open with the reason when the key cannot be described."""
        return aws.survey(subject, io) if subject.provider == "aws" else gcp.survey(subject, io)

    def work(self, subject: Key, part: PartName, io: Io) -> Observed:
        """One key in one place."""
        asked = asked_for(io.demands) - LOG_ONLY
        looked = io.clock()
        seen: AwsKey | GcpKey
        blobs: tuple[Blob, ...]
        if subject.provider == "aws":
            seen, blobs = aws.key(subject, part, asked, io)
        else:
            seen, blobs = gcp.key(subject, part, asked, io)
        facts = KeyFacts(
            agreed=subject.agreed,
            model=subject.model,
            named=vendor_text(subject.resource),
            looked=looked,
            asked=tuple(sorted(asked)),
            key=seen,
        )
        return Observed(part, facts, blobs=blobs)
