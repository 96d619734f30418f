"""From a file to the facts of its sample: scanned, drawn, read again, opened, and sought elsewhere."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from fields_opening_stage import BOUND, Aws, b64, contexts

from keycheck.model.deployment import SubjectEntry
from keycheck.model.types import CanonicalJson
from probes.fields.facts import Opened
from probes.fields.finish import finished
from probes.fields.planning import scan_plan
from probes.fields.read.export import open_export
from probes.fields.scan.column import scan_shard
from probes.fields.scan.gathering import Gathering
from probes.fields.subjects import Dataset

ROWS = 40


def test_a_sample_of_a_file_in_row_groups(aws: Aws, tmp_path: Path) -> None:
    mails = [f"anna.{row}@beispiel.example" for row in range(ROWS)]
    sealed = [aws.seal(mail.encode(), context) for mail, context in zip(mails, contexts(ROWS), strict=True)]
    notes = ["nothing"] * ROWS
    notes[11] = f"wrote to {mails[11]}"
    columns = {"id": [f"c-{row}" for row in range(ROWS)], "email": b64(sealed), "note": notes}
    pq.write_table(pa.table(columns), tmp_path / "contacts.parquet", row_group_size=9)
    dataset = Dataset.model_validate(
        {
            "id": "contacts",
            "source": {"kind": "files", "files": ["contacts.parquet"]},
            "fields": [
                {"column": "email", "class": "email", "key": "contacts", "format": "aws-esdk", "context": list(BOUND)},
                {"column": "id", "class": "none"},
            ],
            "origin": {"made_by": "customer", "method": "a test"},
            "opening": {"identity": "control", "samples": ROWS},
        }
    )
    key = SubjectEntry(id="keys/contacts", vantages=(), body=CanonicalJson.of({"resource": aws.key.arn}))
    io = replace(aws.io, base=tmp_path, subjects=(key,))
    export = open_export(dataset, tmp_path, io.identities, {})
    listing = export.listing()
    plan = scan_plan(dataset, listing.columns, (), io)
    gathering = Gathering(plan, listing.columns, tmp_path)
    for shard in listing.shards:
        gathering.add(shard, scan_shard(export, shard, plan))
    found = finished(dataset, export, listing, plan, gathering, "ab" * 32, io)
    facts = found.opened["email"]
    assert isinstance(facts, Opened)
    assert (facts.population, facts.drawn, facts.fitting, facts.unanswered) == (ROWS, ROWS, ROWS, 0)
    assert [hit.of for hit in found.hunts["note"].hits] == ["email"]
    assert "anna" not in facts.model_dump_json() + repr(found)
