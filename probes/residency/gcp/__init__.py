"""Google Cloud: a walk from one store, or all that a project holds, along every edge; read-only calls alone.

Proves what Google's control plane answers to our credentials, then and there. It proves nothing of copies that were
made by other means (a program that reads and writes elsewhere, a transfer job of another project), nor of what lies in
projects that nobody reads for us: what Google itself names there is an open end.
"""

from __future__ import annotations

from keycheck.model.facts import Census
from keycheck.model.observation import Blob
from keycheck.model.probe import Io
from keycheck.model.types import PartName
from probes.residency.gcp import walking
from probes.residency.store_facts import ClosureFacts
from probes.residency.subjects import Store


def survey(subject: Store, io: Io) -> Census:
    """The parts of the store: `whole` for a resource, every service that holds data for a project. Open where other
    services that hold data are enabled, and where Google does not tell which are."""
    return walking.survey(subject, io)


def walk(subject: Store, part: PartName, io: Io) -> tuple[ClosureFacts, tuple[Blob, ...]]:
    """Everything that is reached from one part. Raises ProbeError when nobody can be asked at all."""
    return walking.walk(subject, part, io)


__all__ = ["survey", "walk"]
