"""How far a clock is off, at least and at most."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from probes.keys.drill.offset import Offset, by_date, by_log, together

AT = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def test_a_date_has_whole_seconds() -> None:
    assert by_date(None, AT, AT) is None
    assert by_date("nonsense", AT, AT) is None
    same = by_date("Sun, 22 Nov 2026 12:00:00 GMT", AT, AT + SECOND)
    assert same == Offset(-SECOND, SECOND)
    assert same.least == timedelta(0)
    assert same.most == SECOND
    ahead = by_date("Sun, 22 Nov 2026 12:00:09 GMT", AT, AT)
    assert ahead is not None
    assert (ahead.least, ahead.most) == (9 * SECOND, 10 * SECOND)
    behind = by_date("Sun, 22 Nov 2026 11:59:50 GMT", AT, AT)
    assert behind is not None
    assert (behind.least, behind.most) == (9 * SECOND, 10 * SECOND)


def test_several_answers_leave_less_open_and_contradictions_more() -> None:
    one, other = Offset(-SECOND, SECOND / 2), Offset(-SECOND / 4, SECOND)
    assert together([one, other]) == Offset(-SECOND / 4, SECOND / 2)
    assert together([one, Offset(3 * SECOND, 4 * SECOND)]) == Offset(-SECOND, 4 * SECOND)
    assert together([]) is None


def test_the_logs_own_clock_by_our_own_calls() -> None:
    calls = [(AT + n * SECOND, AT + n * SECOND + SECOND / 100) for n in (0, 3, 7)]
    exact = [asked + 2 * SECOND for asked, _ in calls]
    assert by_log(calls, [AT - 60 * SECOND, *reversed(exact)]) == Offset(2 * SECOND - SECOND / 100, 2 * SECOND)
    assert by_log(calls, exact[:2]) is None
    assert by_log(calls, [AT - 60 * SECOND, *exact[:2]]) is None
    assert by_log([], exact) is None
