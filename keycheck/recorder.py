"""Turns what the engine learned into observation lines: stamps sequence, run, salt, probe and vantage."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from keycheck.evidence.bundle import BundleWriter
from keycheck.model.facts import Census, Outcome, Unseen, seen
from keycheck.model.observation import Blob, BlobRef, Disposition, Observation
from keycheck.model.probe import Observed
from keycheck.model.types import Entropy
from keycheck.model.verdict import Reason
from keycheck.plan import Impossible, Task
from keycheck.run import Recorded

BLOB_BYTES: Final = 1 << 31
"""Original bytes kept in one bundle, half of what it can hold. Beyond it blobs are kept by digest only: what strangers
send must not be able to make a run end without a bundle."""


class Recorder:
    """Appends observations to a bundle and keeps them for the judge."""

    def __init__(self, writer: BundleWriter, entropy: Entropy, blob_bytes: int = BLOB_BYTES) -> None:
        self._writer = writer
        self._entropy = entropy
        self._room = blob_bytes
        self.observations: list[Observation] = []

    def record(self, recorded: Recorded) -> Observation:
        """One census or sighting. What a probe hands over and no bundle can hold becomes `unseen`: facts that are
        too long, a blob without a lawful name. The error's type is told, never its message. Raises KeycheckError
        when the bundle cannot be written."""
        observed = recorded.observed
        try:
            return self._append(recorded.task, observed, recorded.started, recorded.duration_us)
        except (TypeError, ValueError) as error:
            detail = f"what the probe saw cannot be written as evidence: {type(error).__name__}"
        lost = Unseen(reason=Reason.PROBE_CRASHED, detail=detail)
        try:
            return self._append(recorded.task, Observed(observed.part, lost), recorded.started, recorded.duration_us)
        except (TypeError, ValueError):  # the part has no lawful name either
            return self._append(recorded.task, Observed(None, lost), recorded.started, recorded.duration_us)

    def missing(self, task: Task | Impossible, reason: Reason, detail: str, moment: datetime) -> Observation:
        """A task that was not run at all, and why: its census is `unseen`."""
        return self._append(task, Observed(None, Unseen(reason=reason, detail=detail)), moment, 0)

    def _append(self, task: Task | Impossible, observed: Observed, started: datetime, duration_us: int) -> Observation:
        refs: list[BlobRef] = []
        try:
            refs.extend(self._store(blob) for blob in observed.blobs)
            observation = self._stamped(task, observed, started, duration_us, tuple(refs))
            self._writer.append_observation(observation)
        except (TypeError, ValueError):
            for ref in refs:
                self._writer.drop_blob(ref.commitment)
            raise
        self.observations.append(observation)
        return observation

    def _stamped(
        self,
        task: Task | Impossible,
        observed: Observed,
        started: datetime,
        duration_us: int,
        blobs: tuple[BlobRef, ...],
    ) -> Observation:
        return Observation(
            seq=self._writer.next_seq,
            run=self._writer.run,
            salt=self._entropy(16).hex(),
            subject=task.entry.id,
            part=observed.part,
            vantage=task.vantage,
            probe=probe_reference(task),
            schema_id=_schema(task, observed),
            started=started,
            duration_us=duration_us,
            outcome=_outcome(observed),
            blobs=blobs,
        )

    def _store(self, blob: Blob) -> BlobRef:
        # Until bundles can hold sealed bytes, what a probe wants sealed is withheld, never published.
        kept = Disposition.DIGEST_ONLY if blob.disposition is Disposition.SEALED else blob.disposition
        if kept is Disposition.PUBLIC and len(blob.content) > self._room:
            kept = Disposition.DIGEST_ONLY
        if kept is Disposition.PUBLIC:
            self._room -= len(blob.content)
        return self._writer.add_blob(blob.content, name=blob.name, media_type=blob.media_type, disposition=kept).ref


def probe_reference(task: Task | Impossible) -> str:
    """`id/version` of the probe; of a probe that is broken, the facts it would have yielded."""
    return task.facts.schema_id if isinstance(task, Impossible) else f"{task.probe.id}/{task.probe.version}"


def facts_schema(task: Task | Impossible) -> str:
    """The schema of the facts that the task is for."""
    return task.facts.schema_id if isinstance(task, Impossible) else task.probe.facts.schema_id


def _schema(task: Task | Impossible, observed: Observed) -> str:
    """Of the facts that were seen; what was not seen is missing from the probe's own kind."""
    if observed.part is None:
        return Census.schema_id
    return facts_schema(task) if isinstance(observed.facts, Unseen) else type(observed.facts).schema_id


def _outcome(observed: Observed) -> Outcome:
    facts = observed.facts
    return facts if isinstance(facts, Unseen) else seen(facts, observed.assurance)
