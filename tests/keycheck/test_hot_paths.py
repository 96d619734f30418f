"""What is done faster than the plain way gives the plain way's result, byte for byte."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from concurrent.futures import Future, wait
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keycheck import turns
from keycheck.assess import CHUNK, assessment_bytes, finding_id
from keycheck.canonical import MAX_DEPTH, CanonicalBytes, dumps, loads, spliced
from keycheck.evidence.bundle import BundleWriter
from keycheck.evidence.layout import MAX_JSON, MAX_LINE
from keycheck.executors import DaemonThreads
from keycheck.judge import roll_up
from keycheck.model.assessment import Assessment, ClauseVerdict, Finding, PartVerdict, Population
from keycheck.model.facts import FACTS_DEPTH, Facts, Outcome, Seen, Unseen, seen
from keycheck.model.observation import BlobRef, Observation
from keycheck.model.types import CanonicalJson, vendor_text
from keycheck.model.verdict import Assurance, ExitCode, Kind, Reason, Tier, Verdict

NOW = datetime(2026, 11, 22, 10, 30, 0, 1, tzinfo=UTC)
plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abcdef_0", max_size=6), inner, max_size=4),
    max_leaves=12,
)


def observation(writer: BundleWriter, outcome: Outcome, blobs: tuple[BlobRef, ...] = ()) -> Observation:
    return Observation(
        seq=writer.next_seq,
        run=writer.run,
        salt=os.urandom(16).hex(),
        subject="things/one",
        part='a part named "facts":null',
        vantage="here",
        probe="thing.look/1",
        schema_id="thing.look/1",
        started=NOW,
        duration_us=7,
        outcome=outcome,
        blobs=blobs,
    )


def a_writer(path: Path) -> BundleWriter:
    return BundleWriter(path, run_start=b'{"inputs":[]}', inputs={}, random=os.urandom)


@given(facts=st.dictionaries(st.text("abcdef_0", max_size=6), plain, max_size=4))
def test_a_spliced_line_is_the_line(tmp_path_factory: pytest.TempPathFactory, facts: dict[str, object]) -> None:
    text = CanonicalJson.of(facts, max_depth=MAX_DEPTH - FACTS_DEPTH)
    with a_writer(tmp_path_factory.mktemp("w") / "b.zip") as writer:
        outcomes = (
            Seen(assurance=Assurance.OBSERVED, facts=text),
            Unseen(reason=Reason.TIMEOUT, detail='"facts":null'),
        )
        blob = writer.add_blob(b"x", name="x", media_type="text/plain").ref
        written = [observation(writer, outcomes[0], (blob,))]
        writer.append_observation(written[0])
        written.append(observation(writer, outcomes[1]))
        writer.append_observation(written[1])
        writer._lines.flush()
        lines = (writer.partial / "observations.jsonl").read_bytes().splitlines()
        assert lines == [dumps(one.model_dump(mode="json", by_alias=True)) for one in written]
        assert [loads(line, max_bytes=MAX_LINE) for line in lines]
        writer.abort()


def test_an_observation_out_of_line_is_refused(tmp_path: Path) -> None:
    with a_writer(tmp_path / "b.zip") as writer:
        outcome = Unseen(reason=Reason.TIMEOUT, detail="")
        first = observation(writer, outcome)
        for wrong in ({"seq": 2}, {"run": "0" * 64}):
            with pytest.raises(ValueError, match="observation 1"):
                writer.append_observation(first.model_copy(update=wrong))
        long = Seen(assurance=Assurance.OBSERVED, facts=CanonicalJson.of({"a": "b" * MAX_LINE}))
        with pytest.raises(ValueError, match="at most"):
            writer.append_observation(observation(writer, long))
        assert writer.append_observation(first) == 1
        with pytest.raises(ValueError, match="observation 2"):
            writer.append_observation(first)


def test_facts_too_deep_for_their_line_are_refused_at_once() -> None:
    class Deep(Facts, schema="thing.deep/1"):
        it: object

    def nested(depth: int) -> Deep:
        value: object = 1
        for _ in range(depth - 1):
            value = [value]
        return Deep(it=value)

    assert seen(nested(MAX_DEPTH - FACTS_DEPTH))
    with pytest.raises(ValueError, match="nested"):
        seen(nested(MAX_DEPTH - FACTS_DEPTH + 1))


def an_assessment(findings: int) -> Assessment:
    return Assessment(
        profile='p"findings":null@1',
        deployment='"findings":null',
        verdict=Kind.FAIL,
        exit_code=ExitCode.CLAUSE_FAILS,
        as_of=NOW,
        population=Population(expected=1, observed=1),
        clauses=(ClauseVerdict(id="A", tier=Tier.MUST_HAVE, verdict=Kind.FAIL, waived=False, deadline=None),),
        findings=tuple(
            Finding(
                id=finding_id("p", "A", "door.locked", f"doors/{number}"),
                clause="A",
                control="door.locked@1",
                subject=f"doors/{number}",
                verdict=Kind.FAIL,
                reasons=(),
                parts=(PartVerdict(part="x é", verdict=Kind.INCONCLUSIVE, reasons=(Reason.STALE,)),),
                message=f'"findings":null é {number}',
                observations=(1, 2),
                deadline=NOW + timedelta(days=1),
            )
            for number in range(findings)
        ),
    )


@pytest.mark.parametrize("findings", [0, 1, CHUNK, CHUNK + 1, 3 * CHUNK])
def test_an_assessment_written_in_pieces_is_the_assessment(findings: int) -> None:
    assessment = an_assessment(findings)
    text = assessment_bytes(assessment)
    assert text == dumps(assessment.model_dump(mode="json", by_alias=True))
    assert loads(text, max_bytes=MAX_JSON)
    assert Assessment.model_validate_json(text) == assessment


@given(st.text(), st.text(), st.text(), st.text())
def test_a_finding_id_is_the_digest_of_four_strings(profile: str, clause: str, control: str, subject: str) -> None:
    try:
        text = dumps([profile, clause, control, subject])
    except ValueError:
        with pytest.raises(ValueError, match="surrogate"):
            finding_id(profile, clause, control, subject)
    else:
        assert finding_id(profile, clause, control, subject) == f"kc-{hashlib.sha256(text).hexdigest()[:20]}"


def test_nothing_is_spliced_where_there_is_no_place() -> None:
    assert spliced(dumps({"a": '"b":null', "b": None}), "b", [b"[1,", b"2]"]) == b'{"a":"\\"b\\":null","b":[1,2]}'
    with pytest.raises(ValueError, match="no"):
        spliced(dumps({"b": 1}), "b", [b"2"])


def test_bytes_from_outside_are_read_before_they_are_signed(tmp_path: Path) -> None:
    assert isinstance(dumps({}), CanonicalBytes)
    with a_writer(tmp_path / "b.zip") as writer, pytest.raises(ValueError, match="canonical"):
        writer.finish(b'{ "a": 1 }', [object()])  # type: ignore[list-item]


@given(st.sampled_from(Kind), st.sampled_from(Reason), st.text(max_size=5))
def test_one_verdict_alone_rolls_up_to_itself(kind: Kind, reason: Reason, words: str) -> None:
    verdict = Verdict(reason.kind, (reason,), words) if reason.kind is kind else None
    if verdict is None and kind in (Kind.PASS, Kind.FAIL, Kind.NOT_APPLICABLE):
        verdict = Verdict(kind, (), words)
    if verdict is not None:
        assert roll_up([verdict, verdict]) == verdict


@given(st.text(), st.integers(0, 20))
def test_printable_text_that_is_short_enough_stays_as_it_is(text: str, limit: int) -> None:
    shown = vendor_text(text, limit)
    assert shown.isprintable()
    assert (shown == text) == (text.isprintable() and len(text) <= limit) or "\\" in shown or "…" in shown


def test_a_thread_that_is_done_is_used_again() -> None:
    pool = DaemonThreads()
    names: set[str] = set()

    def work() -> None:
        names.add(str(threading.get_ident()))

    done = threading.Event()

    def again(left: int) -> None:
        future: Future[None] = pool.submit(work)
        future.add_done_callback(lambda _: again(left - 1) if left else done.set())

    before = threading.active_count()
    again(200)
    assert done.wait(5)
    assert len(names) <= 3
    assert threading.active_count() - before <= 3
    pool.shutdown()


def test_turns_are_taken_one_at_a_time_and_given_up_while_waiting() -> None:
    inside: list[int] = []
    most: list[int] = []

    def work() -> None:
        with turns.turn(), turns.turn():
            for _ in range(3):
                inside.append(1)
                most.append(len(inside))
                time.sleep(0.001)
                inside.pop()
                with turns.waiting():
                    time.sleep(0.002)

    pool = DaemonThreads()
    wait([pool.submit(work) for _ in range(4)], timeout=5)
    pool.shutdown()
    assert len(most) == 12
    assert max(most) == 1


def test_who_hangs_in_a_turn_stops_nobody() -> None:
    release, started = threading.Event(), threading.Event()

    def hang() -> None:
        with turns.turn():
            started.set()
            release.wait(10)

    thread = threading.Thread(target=hang, daemon=True)
    thread.start()
    assert started.wait(5)
    begun = time.monotonic()
    with turns.turn():
        pass
    assert time.monotonic() - begun < 3
    release.set()
    thread.join(5)
    with turns.turn():
        pass
