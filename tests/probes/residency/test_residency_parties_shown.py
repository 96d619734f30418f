"""Where parties of a roster answer: old ranges and addresses beyond the bound decide nothing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from keycheck.model.deployment import SubjectEntry, Vantage
from keycheck.model.probe import Io
from keycheck.model.types import CanonicalJson
from keycheck.model.verdict import Kind, Reason, Verdict
from probes.residency.flow_controls import Subprocessors
from probes.residency.flow_facts import RosterFacts
from probes.residency.observe_roster import RosterProbe
from probes.residency.subjects import Roster

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
CSV = "Name,Country\nHosting GmbH,Germany\n"


def _judged(base: Path, made: datetime, addresses: Sequence[str]) -> Verdict:
    rows = [{"prefix": "5.1.0.0/16", "provider": "aws", "region": "eu-central-1"}]
    (base / "own.json").write_text(json.dumps({"published": f"{made:%Y-%m-%dT%H:%M:%SZ}", "prefixes": rows}))
    (base / "roster.csv").write_text(CSV)
    what = {"kind": "ranges", "file": "own.json", "source": "own:test"}
    entry = SubjectEntry(id="references/r", vantages=(), body=CanonicalJson.of({"id": "r", "what": what}))
    io = Io(
        vantage=Vantage(id="here"),
        budget=60.0,
        demands=(),
        samples=1,
        authorized=frozenset(),
        base=base,
        environment={},
        resolver=lambda host, seconds: addresses,
        clock=lambda: NOW,
        entropy=bytes,
        subjects=(entry,),
    )
    party = {"name": "Hosting GmbH", "hosts": ["hosting.example"]}
    given = {"id": "r", "current": "roster.csv", "previous": "roster.csv", "fetched": NOW, "parties": [party]}
    facts = RosterProbe().observe(Roster.model_validate(given), io).facts
    assert isinstance(facts, RosterFacts)
    return Subprocessors.model_validate({"jurisdiction": ["EU"]}).judge(facts)


def test_fresh_ranges_show_where_a_party_answers_and_old_ones_do_not(tmp_path: Path) -> None:
    assert _judged(tmp_path, NOW - timedelta(days=10), ["5.1.0.1"]).kind is Kind.PASS
    assert _judged(tmp_path, NOW - timedelta(days=200), ["5.1.0.1"]).reasons == (Reason.STALE,)


def test_addresses_beyond_the_bound_leave_it_open(tmp_path: Path) -> None:
    many = [f"5.1.0.{n}" for n in range(1, 65)] + ["192.0.2.1"]
    assert _judged(tmp_path, NOW - timedelta(days=10), many).kind is Kind.INCONCLUSIVE
