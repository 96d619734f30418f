"""What keeps a drill in Google Cloud from starting, by its log; and our marks, kept and found again."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from gcp_stage import CONTROL, VENDOR, Stage, staged

from keycheck.errors import ProbeError
from keycheck.model.authorization import Technique
from keycheck.model.verdict import Reason
from probes.clouds.gcp.names import key_name
from probes.keys.drill.gcp_binding import binding
from probes.keys.drill.gcp_calls import hand
from probes.keys.drill.gcp_log import GcpEntry, GcpRawLog
from probes.keys.drill.gcp_marks import Marks, mark, marks_of, measured
from probes.keys.drill.gcp_preflight import logged
from probes.keys.drill.gcp_revoke import GcpRevocation, log_of
from probes.keys.drill.offset import Offset
from probes.keys.subjects import Agreed, CanaryPaths, KeyDrill

AT = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
KEY = key_name("projects/acme/locations/europe-west3/keyRings/crm/cryptoKeys/crm-keycheck-canary")
AGREED = Agreed(vendor=(VENDOR,), users=(CONTROL,))
STRANGER = "serviceAccount:batch@acme.iam.gserviceaccount.com"


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    with staged(tmp_path, "gcp-binding") as found:
        yield found


def entry(operation: str, principal: str, at: datetime, code: int = 0) -> GcpEntry:
    return GcpEntry(f"{operation}{principal}{at}{code}", at, "data_access", operation, principal, code)


def log(*entries: GcpEntry, complete: bool = True) -> GcpRawLog:
    return GcpRawLog(KEY, True, AT - 9 * SECOND, AT + 99 * SECOND, (entries,), complete, "" if complete else "denied")


def why(found: GcpRawLog) -> set[Reason]:
    return {each.reason for each in logged(found, AGREED, AT, (CONTROL,))}


READ = entry("Decrypt", VENDOR, AT + SECOND)


def test_a_key_that_the_vendor_reads_with_and_nobody_else() -> None:
    assert why(log(READ, entry("Encrypt", CONTROL, AT))) == set()
    assert why(log(READ, entry("Decrypt", STRANGER, AT, code=7))) == set()


@pytest.mark.parametrize(
    "entries",
    [
        (),
        (entry("Encrypt", VENDOR, AT + SECOND),),
        (entry("Decrypt", VENDOR, AT + SECOND, code=7),),
        (entry("Decrypt", CONTROL, AT + SECOND),),
        (entry("Decrypt", VENDOR, AT - 60 * SECOND),),
        (entry("Decrypt", "", AT + SECOND),),
    ],
    ids=["silence", "only-written", "denied", "only-ours", "before-the-canary", "nobody-named"],
)
def test_a_change_that_would_meet_nothing_is_not_offered(entries: tuple[GcpEntry, ...]) -> None:
    assert why(log(*entries)) == {Reason.UNSUPPORTED}


def test_a_log_with_gaps_or_a_stranger_in_it() -> None:
    assert why(log(READ, complete=False)) == {Reason.NOT_COVERED}
    assert why(log(READ, entry("Decrypt", STRANGER, AT))) == {Reason.CONFLICTING}


def test_marks_are_kept_as_text_and_read_again() -> None:
    marks = Marks(((AT, AT + SECOND / 10), (AT + SECOND, AT + 2 * SECOND)), Offset(-SECOND, SECOND / 3))
    assert marks_of(marks.texts()) == Marks(marks.calls, Offset(-SECOND, timedelta(microseconds=333_333)))
    assert marks_of(()) == Marks()
    for bad in ("x", "date 1", "date a b", f"{AT.isoformat()} never", "2026-11-22T12:00:00Z", "date 9 " + 20 * "9"):
        with pytest.raises(ProbeError) as caught:
            marks_of((bad,))
        assert caught.value.reason is Reason.MALFORMED


def test_the_logs_clock_by_our_marks_alone() -> None:
    calls = ((AT, AT + SECOND / 10), (AT + 5 * SECOND, AT + 5.1 * SECOND))
    ours = [entry("Encrypt", CONTROL, asked + SECOND, code) for (asked, _), code in zip(calls, (0, 7), strict=True)]
    noise = (entry("Decrypt", CONTROL, AT + 3 * SECOND), entry("Encrypt", VENDOR, AT + 4 * SECOND))
    assert measured([log(*ours, *noise)], Marks(calls), CONTROL) == Offset(0.9 * SECOND, SECOND)
    assert measured([log(*ours[:1], *noise)], Marks(calls), CONTROL) is None


def test_a_mark_is_a_mark_also_while_the_key_is_away(stage: Stage) -> None:
    asked, answered = mark(key_name(stage.key), hand(stage.io(), "control"))
    assert asked <= answered
    stage.cloud.iam.unbind(stage.key, "roles/cloudkms.cryptoKeyEncrypterDecrypter", CONTROL)
    mark(key_name(stage.key), hand(stage.io(), "control"))
    stage.cloud.faults.throttle("Encrypt")
    with pytest.raises(ProbeError) as caught:
        mark(key_name(stage.key), hand(stage.io(), "control"))
    assert caught.value.reason is Reason.THROTTLED


@pytest.mark.parametrize("technique", [Technique.REVOKE_GRANT, Technique.DELETE_MATERIAL, Technique.ROTATE_KEY])
def test_what_google_cloud_has_not_is_not_offered(stage: Stage, technique: Technique) -> None:
    plan = KeyDrill(canary_key=stage.key, planted=AT, paths=CanaryPaths())
    with pytest.raises(ProbeError) as caught:
        GcpRevocation.prepared("d-1", stage.subject(drill=plan), plan, stage.deadline(), technique, stage.io())
    assert caught.value.reason is Reason.UNSUPPORTED
    assert stage.cloud.logs.entries() == ()


def test_late_logs_of_another_canarys_key_are_not_taken(stage: Stage) -> None:
    change = binding("d-1", stage.subject(), stage.key, stage.canary, stage.deadline())
    for now in (None, KeyDrill(canary_key=f"{stage.key}-2", planted=AT, paths=CanaryPaths())):
        with pytest.raises(ProbeError) as caught:
            log_of(stage.subject(drill=now), change, (), AT, {}, stage.io())
        assert caught.value.reason is Reason.CONFLICTING


def test_a_key_that_is_not_marked_as_a_canarys(stage: Stage) -> None:
    other = stage.key.replace("crm-keycheck-canary", "byok")
    plan = KeyDrill(canary_key=other, planted=AT, paths=CanaryPaths())
    stage.cloud.iam.bind(other, "roles/cloudkms.cryptoKeyEncrypterDecrypter", CONTROL)
    with pytest.raises(ProbeError) as caught:
        GcpRevocation.prepared("d-1", stage.subject(drill=plan), plan, stage.deadline(), Technique.DRILL, stage.io())
    assert caught.value.reason is Reason.UNSUPPORTED
