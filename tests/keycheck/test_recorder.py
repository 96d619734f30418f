"""Whatever a probe hands over, the run goes on and its bundle verifies; what cannot be evidence is `unseen`."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from practice_plugin import Door, DoorFacts, DoorProbe

from keycheck.evidence.bundle import BundleWriter, Verifier
from keycheck.evidence.keys import SigningKey
from keycheck.evidence.reader import BundleReader
from keycheck.evidence.verify import verify_reader
from keycheck.model.deployment import SubjectEntry
from keycheck.model.facts import Census, Facts, Unseen
from keycheck.model.observation import Blob, Disposition, Observation
from keycheck.model.probe import Observed
from keycheck.model.types import CanonicalJson
from keycheck.model.verdict import Reason
from keycheck.plan import Task
from keycheck.recorder import Recorder
from keycheck.run import Recorded

NOW = datetime(2026, 11, 22, tzinfo=UTC)
DOOR = Door(id="front", locks=("a",))
ENTRY = SubjectEntry(id="doors/front", vantages=("here",), body=CanonicalJson.of(DOOR.model_dump(mode="json")))
LOCKED = DoorFacts(locked=True)
KEY = SigningKey.generate()


class Chatty(Facts, schema="door.lock/1"):
    """Facts without a bound."""

    words: tuple[str, ...]


def recorded(*observed: Observed, path: Path) -> tuple[list[Observation], dict[str, bytes]]:
    """Write a bundle of these sightings, verify it, and return its observations and blobs."""
    task = Task(DoorProbe(), DOOR, ENTRY, "here", (), 1)
    with BundleWriter(path, run_start=b'{"inputs":[]}', inputs={}, random=os.urandom) as writer:
        recorder = Recorder(writer, os.urandom)
        for one in observed:
            recorder.record(Recorded(task, one, NOW, 1))
        writer.finish(b"{}", [KEY], verifier=Verifier(b"", b""))
    with BundleReader.open(path) as reader:
        verify_reader(reader, [KEY.public])
        observations = [Observation.model_validate_json(line) for line in reader.observations()]
        refs = [ref for one in observations for ref in one.blobs if ref.disposition is Disposition.PUBLIC]
        blobs = {ref.name: reader.blob(ref.commitment) for ref in refs}
    assert observations == recorder.observations
    return observations, blobs


def test_sightings_are_stamped_and_blobs_kept_as_they_may_be(tmp_path: Path) -> None:
    seen, blobs = recorded(
        Observed(None, Census(parts=("a",))),
        Observed(
            "a",
            LOCKED,
            blobs=(
                Blob("photo", b"shown"),
                Blob("log", b"withheld", disposition=Disposition.DIGEST_ONLY),
                Blob("har", b"secret", disposition=Disposition.SEALED),
            ),
        ),
        path=tmp_path / "b.zip",
    )
    assert [one.schema_id for one in seen] == ["keycheck.census/1", "door.lock/1"]
    assert [one.seq for one in seen] == [1, 2]
    assert len({one.salt for one in seen}) == 2
    assert [ref.disposition for ref in seen[1].blobs] == ["public", "digest-only", "digest-only"]
    assert blobs == {"photo": b"shown"}
    data = (tmp_path / "b.zip").read_bytes()
    assert b"secret" not in data
    assert b"withheld" not in data


@pytest.mark.parametrize(
    "bad",
    [
        lambda: Observed("a", LOCKED, blobs=(Blob("fine", b"x"), Blob("No Good", b"x"))),
        lambda: Observed("a", LOCKED, blobs=(Blob("fine", b"x"), Blob("x", b"x", media_type="none"))),
        lambda: Observed("a", LOCKED, blobs=(Blob("fine", b"x"), Blob("x", "text"))),  # type: ignore[arg-type]
        lambda: Observed("a", Chatty(words=("x" * 1000,) * 1100), blobs=(Blob("fine", b"x"),)),
        lambda: Observed("a", Chatty(words=("\ud800",)), blobs=(Blob("fine", b"x"),)),
    ],
)
def test_what_no_bundle_can_hold_is_unseen_and_stops_nothing(bad: Callable[[], Observed], tmp_path: Path) -> None:
    seen, blobs = recorded(bad(), Observed("b", LOCKED), path=tmp_path / "b.zip")
    lost = seen[0].outcome
    assert isinstance(lost, Unseen)
    assert (lost.reason, seen[0].part) == (Reason.PROBE_CRASHED, "a")
    assert lost.detail.startswith("what the probe saw cannot be written as evidence: ")
    assert seen[1].part == "b"
    assert blobs == {}


def test_a_part_without_a_lawful_name_is_unseen_of_the_subject(tmp_path: Path) -> None:
    seen, _ = recorded(Observed("a\nb", LOCKED), Observed("b", LOCKED), path=tmp_path / "b.zip")
    assert isinstance(seen[0].outcome, Unseen)
    assert seen[0].part is None


def test_more_bytes_than_a_bundle_may_keep_stay_as_digests_and_end_nothing(tmp_path: Path) -> None:
    task = Task(DoorProbe(), DOOR, ENTRY, "here", (), 1)
    with BundleWriter(tmp_path / "full.zip", run_start=b'{"inputs":[]}', inputs={}, random=os.urandom) as writer:
        recorder = Recorder(writer, os.urandom, blob_bytes=150)
        for part in "abc":
            blob = Blob("answer", b"x" * 100)
            recorder.record(Recorded(task, Observed(part, LOCKED, blobs=(blob,)), NOW, 1))
        writer.finish(b"{}", [KEY], verifier=Verifier(b"", b""))
    kept = [one.blobs[0].disposition for one in recorder.observations]
    assert kept == [Disposition.PUBLIC, Disposition.DIGEST_ONLY, Disposition.DIGEST_ONLY]
    with BundleReader.open(tmp_path / "full.zip") as reader:
        verify_reader(reader, [KEY.public])
