"""AWS: a walk from one store, or all that an account holds in a Region, along every edge; read-only calls alone.

Proves what AWS's control plane answers to our credentials, then and there. It proves nothing of copies that were made
by other means (a program that reads and writes elsewhere), of Regions that were enabled once and are disabled now, of
services that are not looked into (`walking.NOT_COVERED`), nor of what lies in accounts that nobody reads for us: the
last are open ends.
"""

from __future__ import annotations

from keycheck.model.facts import Census
from keycheck.model.observation import Blob
from keycheck.model.probe import Io
from keycheck.model.types import PartName
from probes.residency.aws import walking
from probes.residency.store_facts import ClosureFacts
from probes.residency.subjects import Store


def survey(subject: Store, io: Io) -> Census:
    """The parts of the store: `whole` for a resource, every enabled Region of an account. Open where AWS does not tell
    the Regions, and where the deployment names fewer of them."""
    return walking.survey(subject, io)


def walk(subject: Store, part: PartName, io: Io) -> tuple[ClosureFacts, tuple[Blob, ...]]:
    """Everything that is reached from one part. Raises ProbeError when nobody can be asked at all."""
    return walking.walk(subject, part, io)


__all__ = ["survey", "walk"]
