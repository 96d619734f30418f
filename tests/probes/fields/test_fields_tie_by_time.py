"""In Google Cloud only the moments of calls can tie canaries, and only where chance would hardly have made them."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from fractions import Fraction
from pathlib import Path

import pytest
from gcp_company import NOW, Company, founded
from hypothesis import given
from hypothesis import strategies as st

from keycheck.lab.gcp.entries import Entry
from keycheck.model.deployment import SubjectEntry
from keycheck.model.types import CanonicalJson
from probes.fields.canaries import CanaryFile, Record
from probes.fields.subjects import Dataset
from probes.fields.tie import tied
from probes.fields.tie_by_time import AROUND, NEAR, Window, Written, _chance, judged_by_time

FIRST = NOW - timedelta(hours=6)
APP = "serviceAccount:app@vendor.iam.gserviceaccount.com"
SECOND = timedelta(seconds=1)


def plantings(times: int, apart: int = 40, need: int = 2) -> list[Written]:
    return [(at, at + SECOND, need) for at in (FIRST + timedelta(seconds=apart * number) for number in range(times))]


def window(written: Sequence[Written]) -> Window:
    return written[0][0] - NEAR - AROUND, written[-1][1] + NEAR + AROUND


def at_planting(written: Sequence[Written]) -> list[datetime]:
    return [began + SECOND / 2 for began, _, need in written for _ in range(need)]


def state(written: Sequence[Written], calls: Sequence[datetime]) -> str:
    return judged_by_time(written, calls, window(written)).state


def test_a_quiet_key_that_is_called_when_we_plant_ties() -> None:
    written = plantings(3)
    answer = judged_by_time(written, at_planting(written), window(written))
    assert answer.state == "tied"
    assert "by the moments of the calls alone" in answer.why


@pytest.mark.parametrize(
    ("written", "calls"),
    [
        (plantings(3), []),
        (plantings(3), at_planting(plantings(3))[:-1]),
        (plantings(3), [at + timedelta(hours=1) for at in at_planting(plantings(3))]),
        (plantings(1), at_planting(plantings(1))),
        (plantings(8, apart=2), at_planting(plantings(8, apart=2))),
    ],
    ids=["none", "one-short", "while-exporting", "one-record", "all-at-once"],
)
def test_what_chance_or_anything_else_explains_does_not(written: list[Written], calls: list[datetime]) -> None:
    assert state(written, calls) == "untied"


def test_a_busy_key_ties_nothing_even_where_it_is_quiet_at_night() -> None:
    written = plantings(12)
    busy = [FIRST - timedelta(minutes=50) + 7 * SECOND * number for number in range(400)]
    assert state(written, sorted([*busy, *at_planting(written)])) == "untied"


def test_a_job_of_every_minute_ties_nothing() -> None:
    written = plantings(6, apart=60)
    assert (
        state(written, [FIRST + timedelta(minutes=number) for number in range(-180, 190) for _ in range(2)]) == "untied"
    )


def test_now_and_then_another_call_does_no_harm() -> None:
    written, rng = plantings(6), random.Random(7)
    others = [FIRST + timedelta(seconds=rng.uniform(-10_000, 10_000)) for _ in range(60)]
    assert state(written, sorted([*others, *at_planting(written)])) == "tied"


@given(st.lists(st.integers(0, 300), max_size=12), st.integers(1, 3), st.integers(5, 60))
def test_the_chance_is_what_counting_beginnings_gives(calls: list[int], need: int, length: int) -> None:
    at = sorted(calls)
    counted = sum(sum(begin <= each <= begin + length for each in at) >= need for begin in range(300 - length))
    found = _chance(at, [(0, 300)], length, need)
    floor = Fraction(length, 300)
    # an interval from a to b holds b - a steps of one, and b - a + 1 whole numbers
    assert max(floor, Fraction(counted - 2 * len(at) - 1, 300 - length)) <= found
    assert found <= max(floor, Fraction(counted + 2 * len(at) + 1, 300 - length))


@pytest.fixture
def company(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Company]:
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    with founded(tmp_path) as made:
        made.seed()
        made.cloud.iam.audit("projects/acme", "DATA_READ")
        yield made


def canaries(written: Sequence[Written]) -> CanaryFile:
    records = [
        Record.model_validate(
            {
                "id": f"canary-{number}",
                "sealed": True,
                "state": "planted",
                "row": [["id", f"id-{number}"]],
                "values": [
                    {"id": f"{name}-{number}", "class": name, "column": name, "value": f"{name} {number}"}
                    for name in ("email", "phone")
                ],
                "began": began,
                "planted": planted,
            }
        )
        for number, (began, planted, _) in enumerate(written)
    ]
    return CanaryFile(deployment="crm", dataset="contacts", plan="p", plan_sha256="0" * 64, records=tuple(records))


DATASET = Dataset.model_validate(
    {
        "id": "contacts",
        "source": {"kind": "files", "files": ["x.ndjson"]},
        "origin": {"made_by": "vendor", "method": "x"},
        "fields": [{"column": name, "class": name, "key": "byok"} for name in ("email", "phone")],
    }
)


def asked(company: Company, written: Sequence[Written], **agreed: object) -> tuple[str, str]:
    resource = f"{company.ring}/cryptoKeys/byok"
    subject = company.subject(resource, roots=False).model_dump(mode="json", by_alias=True)
    subject["agreed"] = {"vendor": [APP], **agreed}
    entry = SubjectEntry(id="keys/byok", vantages=("here",), body=CanonicalJson.of(subject))
    answer = tied(canaries(written), DATASET, replace(company.io(), subjects=(entry,)))
    return answer.state, answer.why


def happened(company: Company, moments: Sequence[datetime], **given: object) -> None:
    for moment in moments:
        fields = {
            "at": moment,
            "method": "Encrypt",
            "resource": f"{company.ring}/cryptoKeys/byok",
            "principal": APP,
            **given,
        }
        company.cloud.logs.seed(Entry(**fields))  # type: ignore[arg-type]


def test_the_customers_own_audit_log_ties_what_was_written_then(company: Company) -> None:
    written = plantings(4)
    happened(company, at_planting(written))
    happened(company, [FIRST + timedelta(minutes=20) * number for number in range(9)], method="Decrypt")
    found, why = asked(company, written)
    assert found == "tied", why
    assert "keys/byok by the moments" in why


@pytest.mark.parametrize(
    "given_", [{"principal": "serviceAccount:other@vendor.example"}, {"code": 7}, {"method": "Decrypt"}]
)
def test_calls_of_others_and_calls_that_failed_tie_nothing(company: Company, given_: dict[str, object]) -> None:
    written = plantings(4)
    happened(company, at_planting(written), **given_)
    assert asked(company, written)[0] == "untied"


def test_a_log_that_may_lack_entries_ties_nothing(company: Company) -> None:
    written = plantings(4)
    happened(company, at_planting(written))
    long_ago = [(began - timedelta(days=40), planted - timedelta(days=40), need) for began, planted, need in written]
    assert "longer ago" in asked(company, long_ago)[1]
    company.without("logging.privateLogEntries.list")
    assert "cannot be read" in asked(company, written)[1]
