"""The probe of the customer's own log about a key: what is logged, and who used the key."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import ClassVar, Protocol, runtime_checkable

from keycheck.model.authorization import Technique
from keycheck.model.facts import Census, Facts
from keycheck.model.probe import Io, Observed, PartProbe, Touch
from keycheck.model.types import PartName, vendor_text
from probes.clouds.whose import credential_of
from probes.keys import aws, gcp
from probes.keys.aspects import Aspect, asked_for
from probes.keys.facts import KeyLogFacts
from probes.keys.subjects import Key

LOG = frozenset({Aspect.LOGGING, Aspect.EVENTS})
MAX_WINDOW = timedelta(days=90)
"""How far back CloudTrail's event history goes."""


@runtime_checkable
class Covers(Protocol):
    """A control that says how far back it needs the log."""

    over: timedelta


class LogProbe(PartProbe[Key]):
    """The log of a key in each place that it is in.

    Proves what the customer's own log says. Nothing is proved about what is not logged: uses by exempted
    principals, denials across accounts (logged with the caller only), entries that are still on their way.
    """

    id = "keys.log"
    version = 1
    section = "keys"
    facts: ClassVar[type[Facts]] = KeyLogFacts

    def touches(self, subject: Key, io: Io) -> Iterable[Touch]:
        """Read-only calls to the log."""
        asked = asked_for(io.demands) & LOG
        cloud = aws if subject.provider == "aws" else gcp
        yield Touch(
            what=f"log of {subject.resource}: read {', '.join(sorted(asked))}",
            credential=credential_of(subject.identities.log, io),
            changes=False,
            technique=Technique.PASSIVE,
            connections=1,
            seconds=int(self.limit),
            calls=cloud.log_calls(asked),
        )

    def survey(self, subject: Key, io: Io) -> Census:
        """The places that the key is in, as its own cloud says to the identity that inspects."""
        return aws.survey(subject, io) if subject.provider == "aws" else gcp.survey(subject, io)

    def work(self, subject: Key, part: PartName, io: Io) -> Observed:
        """The log of one place."""
        asked = asked_for(io.demands) & LOG
        looked = io.clock()
        read = aws.log if subject.provider == "aws" else gcp.log
        logging, events, endpoint, blobs = read(subject, part, asked, window(io, looked), io)
        facts = KeyLogFacts(
            agreed=subject.agreed,
            provider=subject.provider,
            place=vendor_text(part),
            endpoint=endpoint,
            looked=looked,
            asked=tuple(sorted(asked)),
            logging=logging,
            events=events,
        )
        return Observed(part, facts, blobs=blobs)


def window(io: Io, until: datetime) -> tuple[datetime, datetime]:
    """The longest that a demanded control needs, at most what the log keeps."""
    spans = [demand.over for demand in io.demands if isinstance(demand, Covers)]
    return until - min(max(spans, default=MAX_WINDOW), MAX_WINDOW), until
