"""One value in the clear among a million sealed ones is found, with its place, whatever a sample would have drawn."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from keycheck.lab import forge
from keycheck.lab.gcp.symmetric import sealed
from keycheck.model.verdict import Kind
from probes.fields.facts import ColumnFacts, Export
from probes.fields.read.export import open_export
from probes.fields.recognition_controls import Encrypted
from probes.fields.scan.column import scan_shard
from probes.fields.scan.gathering import Gathering
from probes.fields.scan.seam import ColumnPlan, ScanPlan
from probes.fields.subjects import Dataset

ROWS = 1_000_000 if os.environ.get("KEYCHECK_LONG") else 100_000
"""A million takes half a minute: `KEYCHECK_LONG=1 make test`."""
GROUP, USES = 50_000, 1_000
BAD = ROWS * 7 // 9
KEY = "projects/acme/locations/europe-west3/keyRings/crm/cryptoKeys/contacts-g"


def values(first: int) -> list[bytes]:
    """One row group, in Tink's envelopes, with the bad row where it belongs."""
    out: list[bytes] = []
    for start in range(first, first + GROUP, USES):
        secret = os.urandom(32)
        head = forge.tink_head(sealed(os.urandom(32), KEY, 1, forge.tink_key(secret), b"", os.urandom))
        seal, nonces = AESGCM(secret).encrypt, os.urandom(12 * USES)
        for number in range(USES):
            nonce = nonces[12 * number : 12 * number + 12]
            out.append(head + nonce + seal(nonce, b"contact.%d@customer.example" % (start + number), None))
    if first <= BAD < first + GROUP:
        out[BAD - first] = b"contact.%d@customer.example" % BAD
    return out


@pytest.mark.slow
def test_one_bad_row_in_a_million_is_found_and_placed(tmp_path: Path) -> None:
    schema = pa.schema({"id": pa.string(), "email": pa.binary()})
    with pq.ParquetWriter(tmp_path / "export.parquet", schema, compression="none") as writer:
        for first in range(0, ROWS, GROUP):
            ids = [f"c-{number:07d}" for number in range(first, first + GROUP)]
            writer.write_table(pa.table({"id": ids, "email": values(first)}, schema=schema))
    dataset = Dataset.model_validate(
        {
            "id": "million",
            "source": {"kind": "files", "files": ["export.parquet"]},
            "fields": [{"column": "id", "class": "none"}, {"column": "email", "class": "email", "format": "tink"}],
            "origin": {"made_by": "customer", "method": "made by a test"},
        }
    )
    source = open_export(dataset, tmp_path, (), {})
    listing = source.listing()
    plans = (ColumnPlan("email", "sensitive", dataset.rule("email")), ColumnPlan("id", "plain", dataset.rule("id")))
    plan = ScanPlan(plans, (), None, None, dataset.limits, os.urandom(32))
    (tmp_path / "spill").mkdir()
    gathering = Gathering(plan, ("email", "id"), tmp_path / "spill")
    for shard in listing.shards:
        gathering.add(shard, scan_shard(source, shard, plan))
    facts = _email(gathering, dataset)
    clear = [kind for kind in facts.kinds if kind.kind == "plaintext"]
    assert [kind.count for kind in clear] == [1]
    assert clear[0].places[0].endswith(f"row {BAD % GROUP}") or str(BAD) in clear[0].places[0]
    assert sum(kind.count for kind in facts.kinds) == facts.rows == ROWS
    verdict = Encrypted(proof="grammar").judge(facts)
    assert verdict.kind is Kind.FAIL
    assert f"1 of {ROWS} values are not encrypted" in verdict.message


def _email(gathering: Gathering, dataset: Dataset) -> ColumnFacts:
    export = Export(
        manifest="0" * 64,
        files=1,
        rows=gathering.rows,
        origin=dataset.origin.model_copy(update={"at": datetime.now(UTC)}),
        origin_digests="not-stated",
        limits=dataset.limits,
    )
    (facts,) = (each for each in gathering.facts(export, {}) if each.column == "email")
    return facts
