"""Nothing that was opened, planted or drawn leaves the process: everything that a whole run writes, prints and sends to
workers is searched for it."""

from __future__ import annotations

import base64
import io
import json
import pickle
import tempfile
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import pytest
from fields_lab import ESDK, TINK, Posted, Whole, canaries, plaintexts, whole
from secrets_hunt import credentials, leaked, written_under

from keycheck.lab.matrix import world
from keycheck.lab.world import Lab
from keycheck.model.verdict import Kind
from keycheck.units import Advance, Unit
from probes.fields import observe
from probes.fields.formats.catalogue import FORMATS
from probes.fields.formats.seam import Parsed
from probes.fields.observe import Finish, Scan
from probes.fields.opening.unwrap import Unwrapped, unwrapper
from probes.fields.read.export import open_export
from probes.fields.subjects import Dataset

pytestmark = pytest.mark.slow
DEFECTS = ("clear-in-log", "clear-under-tag-g")


@dataclass(frozen=True, slots=True)
class Searched:
    """A run, and everything that came of it."""

    lab: Lab
    ran: Whole
    written: bytes
    """The bundle with all its members, what was printed, and what was spilled on the way."""
    posted: Posted
    left: tuple[Path, ...]
    """Temporary files that were not removed."""


def searched(home: Path, defects: tuple[str, ...], lose_files: bool = False) -> Iterator[Searched]:
    spilled: set[bytes] = set()
    temporary = home / "temporary"
    temporary.mkdir()
    with pytest.MonkeyPatch.context() as patch, Lab(home / "lab", defects, sections=frozenset({"datasets"})) as lab:
        patch.setattr(tempfile, "tempdir", str(temporary))
        patch.setattr(observe, "MEMORY", 1)  # everything is spilled
        patch.setenv("KEYCHECK_DEBUG", "1")
        posted, said, complained = Posted(), io.StringIO(), io.StringIO()

        def each(advance: Advance) -> None:
            spilled.add(written_under(temporary))
            if lose_files and advance.done == advance.units:
                for path in (lab.home / "exports").rglob("contacts-0.*"):
                    path.unlink()

        with redirect_stdout(said), redirect_stderr(complained):
            ran = whole(lab, home / "runs", posted=posted, each=each)
        told = (said.getvalue() + complained.getvalue() + repr(ran.outcome) + repr(posted.here)).encode()
        written = b"\n".join((written_under(home / "runs"), told, *spilled))
        assert any(spilled)
        yield Searched(lab, ran, written, posted, tuple(temporary.iterdir()))


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Searched]:
    yield from searched(tmp_path_factory.mktemp("clean"), ())


@pytest.fixture(scope="module")
def defective(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Searched]:
    yield from searched(tmp_path_factory.mktemp("defective"), DEFECTS)


@pytest.fixture(params=["clean", "defective"])
def one(request: pytest.FixtureRequest) -> Searched:
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Searched)
    return found


@pytest.fixture(scope="module")
def data_keys(clean: Searched) -> set[bytes]:
    """Of the first rows of each column, unwrapped under the customer's key as the run itself does."""
    lab, ran = clean.lab, clean.ran
    found: set[bytes] = set()
    formats = {each.id: each for each in FORMATS}
    there = world(Posted().factory)
    for task in ran.prepared.tasks:
        subject = getattr(task, "subject", None)
        if not isinstance(subject, Dataset) or subject.opening is None:
            continue
        io_ = ran.prepared.io(task, there)  # type: ignore[arg-type]
        export = open_export(subject, lab.home, io_.identities, {})
        resource = next(e.body.parsed()["resource"] for e in io_.subjects if e.id == f"keys/{subject.fields[-1].key}")
        who = unwrapper(io_, subject.opening.identity, str(resource))
        batch = next(iter(export.read(export.listing().shards[0]).batches))
        for rule in subject.fields:
            if rule.key is None or rule.format is None:
                continue
            for value in batch.rows.column(rule.column).drop_null().to_pylist()[:2]:
                raw = value if isinstance(value, bytes) else base64.b64decode(value)
                parsed = formats[rule.format].parse(raw)
                assert isinstance(parsed, Parsed)
                answer = who.unwrap(parsed.wrapped[0].blob, dict(parsed.context or ()), b"")
                assert isinstance(answer, Unwrapped), answer
                found.add(bytes(answer.key)[-32:])
    assert len(found) >= 6
    return found


def test_the_runs_are_what_they_should_be(clean: Searched, defective: Searched) -> None:
    """Opened, hunted, and with something found: a run that sees nothing can leak nothing."""
    assert clean.ran.passed(ESDK) >= {"fields.encrypted", "fields.plaintext"}
    assert clean.ran.passed(TINK) >= {"fields.encrypted", "fields.plaintext"}
    assert Kind.FAIL in defective.ran.verdicts(ESDK)["fields.plaintext"]
    assert Kind.FAIL in defective.ran.verdicts(TINK)["fields.plaintext"]
    assert leaked(plaintexts(), written_under(defective.lab.home / "exports"))
    assert leaked(canaries(clean.lab), b"".join(clean.posted.sent))


def test_no_plaintext_is_written(one: Searched) -> None:
    values = plaintexts(every=50)
    assert len(values) > 50
    assert leaked(values, one.written) == []


def test_no_canary_is_written(one: Searched) -> None:
    values = canaries(one.lab)
    assert len(values) == 20
    assert leaked(values, one.written) == []


def test_no_data_key_and_no_credential_is_written(clean: Searched, data_keys: set[bytes]) -> None:
    assert leaked(data_keys | credentials(clean.lab), clean.written) == []


def test_the_runs_hashing_key_is_written_nowhere(one: Searched) -> None:
    keys = {unit.io.given.plan.key for unit in sent(one.posted) if isinstance(unit.io.given, Scan)}
    assert len(keys) == 2
    assert leaked(keys, one.written) == []


def sent(posted: Posted) -> list[Unit]:
    """What workers were given; what they gave back is no unit."""
    letters = [pickle.loads(each) for each in posted.sent]
    given = [letter[0][0] for letter in letters if isinstance(letter, tuple) and isinstance(letter[0], tuple)]
    return [each for each in given if isinstance(each, Unit)]


def test_workers_are_sent_nothing_that_was_opened_and_send_nothing_readable_back(
    clean: Searched, data_keys: set[bytes]
) -> None:
    """Canaries are sent, for they are sought."""
    everything = b"\n".join(clean.posted.sent)
    assert leaked(plaintexts(every=50) | data_keys, everything) == []
    here = [unit for unit in clean.posted.here if isinstance(unit, Unit)]
    assert {type(unit.io.given) for unit in here} == {Finish}
    assert not any(isinstance(unit.io.given, Finish) for unit in sent(clean.posted))


def test_nothing_temporary_is_left(one: Searched) -> None:
    assert one.left == ()


def test_what_breaks_in_mid_run_says_no_value(tmp_path: Path) -> None:
    """Files that vanish between the scan and the sample, and a key service that quotes what it was sent."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KEYCHECK_DEBUG", "1")
        for broken in searched(tmp_path, ("clear-in-log",), lose_files=True):
            assert not broken.ran.passed(ESDK) & {"fields.encrypted", "fields.tag"}
            values = plaintexts(every=50) | canaries(broken.lab) | credentials(broken.lab)
            assert leaked(values, broken.written) == []
            assert broken.left == ()
            assert json.loads(broken.ran.outcome.assessment_json)
