"""From values to the facts of a column."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
import pytest
from scan_stage import ARN, OTHER_ARN, MemoryExport, b64, esdk, kms_blob, plan, rule, tink, told, vault

from probes.fields.facts import ColumnFacts, Tally, Undeclared
from probes.fields.read.seam import Batch, Reading, Shard
from probes.fields.scan.column import scan_shard
from probes.fields.scan.gathering import Gathering
from probes.fields.scan.seam import Canary, ScanPlan


def facts(export: MemoryExport, given: ScanPlan, spill: Path, memory: int = 1 << 28) -> dict[str, ColumnFacts]:
    listing = export.listing()
    gathering = Gathering(given, listing.columns, spill, memory)
    for shard in listing.shards:
        gathering.add(shard, scan_shard(export, shard, given))
    return {one.column: one for one in gathering.facts(told(gathering.rows), {})}


def test_a_sound_column_says_what_it_is(tmp_path: Path) -> None:
    rng = random.Random(1)
    rows = 300
    ids = [str(number).encode() for number in range(rows)]
    mail = [b64(esdk(rng, 20 + number % 9, {"id": str(number), "field": "mail"})) for number in range(rows)]
    export = MemoryExport({"a": {"id": ids, "mail": mail}}, frozenset(("id", "mail")))
    context = ({"name": "id", "column": "id"}, {"name": "field", "value": "mail"}, {"name": "gone", "value": "x"})
    seen = facts(export, plan(rule("mail", format="aws-esdk", context=context)), tmp_path)["mail"]
    assert [(kind.kind, kind.variant, kind.encoding, kind.count) for kind in seen.kinds] == [
        ("aws-esdk", "v2", "base64", rows)
    ]
    assert (seen.rows, seen.nulls, seen.unwrapped, seen.wraps) == (rows, 0, 0, (1, 1))
    assert [(one.key, one.length, one.count) for one in seen.wrapped] == [(ARN, 32, rows)]
    assert [(one.name, one.count) for one in seen.ciphers] == [("AES-256-GCM", rows)]
    assert seen.committed == (rows, 0, 0)
    assert seen.contexts is not None
    assert seen.units is not None
    assert seen.data_keys is not None
    assert seen.lengths is not None
    assert [(one.equal, one.differs.count, one.absent.count) for one in seen.contexts.rules] == [
        (rows, 0, 0),
        (rows, 0, 0),
        (0, 0, rows),
    ]
    assert (seen.contexts.distinct, seen.contexts.many) == (rows, False)
    assert (seen.units.compared, seen.units.reused.count, seen.units.copies.count) == (rows, 0, 0)
    assert (seen.data_keys.distinct, seen.data_keys.most_uses) == (rows, 1)
    assert seen.lengths.distinct == 9
    assert not any(test.alarm for test in seen.tests)


def test_a_mixed_column_is_counted_as_what_it_is(tmp_path: Path) -> None:
    rng = random.Random(2)
    values: list[bytes | None] = [b64(esdk(rng, 30)) for _ in range(90)]
    values += [None, b"", b"anna.schmidt@example.org", b64(esdk(rng, 30))[:-40], vault(rng, 20)]
    seen = facts(MemoryExport({"a": {"mail": values}}), plan(rule("mail", format="aws-esdk")), tmp_path)["mail"]
    assert (seen.rows, seen.nulls, seen.empties) == (95, 1, 1)
    kinds = {kind.kind: (kind.count, kind.places) for kind in seen.kinds}
    assert {name: count for name, (count, _) in kinds.items()} == {
        "aws-esdk": 90,
        "empty": 1,
        "plaintext": 1,
        "malformed": 1,
        "vault-transit": 1,
    }
    assert kinds["plaintext"][1] == ("a.parquet[group 0]:row 92",)
    assert [(one.kind, one.count) for one in seen.detected] == [("email", 1)]


def test_a_repeated_nonce_is_a_reuse_and_an_equal_value_a_copy(tmp_path: Path) -> None:
    rng = random.Random(3)
    mail = [b64(esdk(rng, 30)) for _ in range(100)]
    blob, identity = kms_blob(rng), rng.randbytes(32)
    phone = [b64(esdk(rng, 30)) for _ in range(100)]
    mail[7] = b64(esdk(rng, 30, blob=blob, message_id=identity))
    mail[70] = b64(esdk(rng, 31, blob=blob, message_id=identity))
    phone[3] = b64(esdk(rng, 32, blob=blob, message_id=identity))
    mail[50] = mail[99] = mail[20]
    export = MemoryExport(
        {"a": {"mail": mail[:60], "phone": phone[:60]}, "b": {"mail": mail[60:], "phone": phone[60:]}}
    )
    seen = facts(export, plan(rule("mail"), rule("phone")), tmp_path)
    units = seen["mail"].units
    assert units is not None
    assert (units.reused.count, units.reused.places) == (2, ("a.parquet[group 0]:row 7", "b.parquet[group 0]:row 10"))
    assert (units.copies.count, len(units.copies.places)) == (3, 3)
    assert units.across.count == 2
    assert seen["phone"].units is not None
    assert seen["phone"].units.across.count == 1
    assert seen["phone"].units.reused.count == 0
    assert seen["mail"].data_keys is not None
    assert seen["mail"].data_keys.most_uses == 3


def test_one_data_key_for_all_tenants_is_seen(tmp_path: Path) -> None:
    rng = random.Random(4)
    blob = kms_blob(rng)
    mail = [tink(rng, 30, blob) for _ in range(50)]
    tenants = [f"t{number % 5}".encode() for number in range(50)]
    given = plan(rule("mail"), tenant="tenant")
    seen = facts(MemoryExport({"a": {"mail": mail, "tenant": tenants}}), given, tmp_path)["mail"].data_keys
    assert seen is not None
    assert (seen.distinct, seen.most_uses, seen.tenants_sharing.count, seen.tenants) == (1, 50, 1, 5)


def test_an_escrow_key_and_when_it_was_written_are_told(tmp_path: Path) -> None:
    rng = random.Random(5)
    mail = [esdk(rng, 30, keys=(ARN, OTHER_ARN) if number == 33 else (ARN,)) for number in range(40)]
    written = [str(1_700_000_000 + number).encode() for number in range(40)]
    given = plan(rule("mail"), written="at")
    seen = facts(MemoryExport({"a": {"mail": mail, "at": written}}), given, tmp_path)["mail"]
    assert seen.wraps == (1, 2)
    wrapped = {one.key: (one.count, one.first_written, one.last_written) for one in seen.wrapped}
    assert wrapped[OTHER_ARN][0] == 1
    assert wrapped[OTHER_ARN][1] == wrapped[OTHER_ARN][2] is not None
    first = wrapped[ARN][1]
    assert first is not None
    assert first.timestamp() == 1_700_000_000


@pytest.mark.parametrize("memory", [1 << 28, 1])
def test_memory_changes_nothing(tmp_path: Path, memory: int) -> None:
    rng = random.Random(6)
    values = [vault(rng, 20, nonce=b"\7" * 12 if number % 9 == 0 else None) for number in range(90)]
    export = MemoryExport({str(part): {"mail": values[part::3]} for part in range(3)})
    units = facts(export, plan(rule("mail")), tmp_path, memory)["mail"].units
    assert units is not None
    assert units.reused.count == 10
    assert len(units.reused.places) == 8


def test_duplicates_are_confirmed_by_their_bytes(tmp_path: Path) -> None:
    rng = random.Random(7)
    values = [b64(esdk(rng, 30)) for _ in range(50)]
    blob, identity = kms_blob(rng), rng.randbytes(32)
    values[9] = b64(esdk(rng, 30, blob=blob, message_id=identity))
    values[40] = b64(esdk(rng, 31, blob=blob, message_id=identity))
    values[11] = values[12]
    export = MemoryExport({"a": {"mail": values[:25]}, "b": {"mail": values[25:]}})
    given = plan(rule("mail"))
    gathering = Gathering(given, ("mail",), tmp_path)
    for shard in reversed(export.listing().shards):
        gathering.add(shard, scan_shard(export, shard, given))
    before = [one.units for one in gathering.facts(told(50), {})]
    gathering.confirm(export)
    assert [one.units for one in gathering.facts(told(50), {})] == before
    # Where the bytes turn out to be others than the hashes said, the counts follow the bytes.
    changed = [*values]
    changed[40] = b64(esdk(rng, 31))
    gathering.confirm(MemoryExport({"a": {"mail": changed[:25]}, "b": {"mail": changed[25:]}}))
    units = next(gathering.facts(told(50), {})).units
    assert units is not None
    assert (units.reused.count, units.copies.count) == (0, 2)


def test_a_canary_in_the_clear_is_told_without_its_value(tmp_path: Path) -> None:
    rng = random.Random(8)
    value = "kc-5f3a91c2d07be648@example.org"
    canary = Canary("c1", "email", "mail", value, (("id", "17"),))
    notes = [b"Nothing to report." if number != 9 else f"wrote to {value}.".encode() for number in range(30)]
    hidden = [b64(b"<" + value.encode() + b">") if number == 4 else rng.randbytes(40) for number in range(30)]
    columns = {
        "id": [str(number).encode() for number in range(30)],
        "mail": [b64(esdk(rng, 30)) for _ in range(30)],
        "note": notes,
        "blob": hidden,
    }
    given = replace(plan(rule("mail")), canaries=(canary,))
    seen = facts(MemoryExport({"a": columns}), given, tmp_path)
    assert {(hit.encoding, hit.count, hit.places) for hit in seen["note"].hunt.hits} == {
        ("local-part", 1, ("a.parquet[group 0]:row 9",)),
        ("raw", 1, ("a.parquet[group 0]:row 9",)),
    }
    assert seen["blob"].hunt.hits
    assert not seen["mail"].hunt.hits
    assert seen["mail"].hunt.present == seen["mail"].hunt.canaries == 1
    assert value not in seen["note"].model_dump_json()


def test_a_column_of_few_values_is_full_of_copies(tmp_path: Path) -> None:
    rng = random.Random(9)
    sealed = [rng.randbytes(32) for _ in range(3)]
    export = MemoryExport({str(part): {"grade": [sealed[number % 3] for number in range(40)]} for part in range(3)})
    seen = facts(export, plan(rule("grade")), tmp_path, 1)["grade"]
    assert seen.units is not None
    assert (seen.units.compared, seen.units.copies.count, seen.units.reused.count) == (0, 120, 0)
    assert len(seen.units.copies.places) == 8


@dataclass(frozen=True)
class ListExport:
    """One row group with a list column: the first elements beside the rows, the others behind."""

    batches: tuple[Batch, ...]

    def read(self, shard: Shard) -> Reading:
        return Reading(iter(self.batches))


def test_further_elements_of_a_list_belong_to_their_rows(tmp_path: Path) -> None:
    rng = random.Random(10)

    def sealed(row: int) -> bytes:
        return esdk(rng, 20, {"id": str(row)})

    ids = pa.array([str(row).encode() for row in range(5)], pa.large_binary())
    first = pa.array([sealed(row) for row in range(5)], pa.large_binary())
    further = pa.array([sealed(3), sealed(4), sealed(1)], pa.large_binary())
    export = ListExport(
        (
            Batch(pa.record_batch({"id": ids, "mails[]": first}), 0),
            Batch(pa.record_batch({"mails[]": further}), 0, numbers=pa.array([3, 4, 4], pa.int64())),
        )
    )
    shard = Shard("a", MemoryExport({"a": {}}).shard("a").file, 0, 1, ("id", "mails[]"))
    given = plan(rule("mails[]", context=({"name": "id", "column": "id"},)), tenant="id")
    gathering = Gathering(given, ("id", "mails[]"), tmp_path)
    gathering.add(shard, scan_shard(export, shard, given))  # type: ignore[arg-type]
    assert gathering.rows == 5
    seen = {one.column: one for one in gathering.facts(told(5), {})}
    assert (seen["id"].rows, seen["mails[]"].rows) == (5, 8)
    contexts = seen["mails[]"].contexts
    assert contexts is not None
    assert (contexts.rules[0].equal, contexts.rules[0].differs.count, contexts.rules[0].absent.count) == (7, 1, 0)


@pytest.mark.parametrize("rows", [12, 900], ids=["one-by-one", "by-templates"])
@pytest.mark.parametrize("signed", [False, True])
def test_entries_that_the_field_map_does_not_name_are_told(tmp_path: Path, rows: int, signed: bool) -> None:
    rng = random.Random(5)

    def entries(number: int) -> dict[str, str]:
        own = {"aws-crypto-public-key": str(rng.random())} if signed else {}
        return {"id": str(number // 2), **own, **({"nonce": str(number)} if number >= rows // 3 else {})}

    mail = [b64(esdk(rng, 24, entries(number), signed=signed)) for number in range(rows)]
    export = MemoryExport({"a": {"id": [b"1"] * rows, "mail": mail}}, frozenset(("id", "mail")))
    seen = facts(export, plan(rule("mail", format="aws-esdk", context=({"name": "id", "column": "id"},))), tmp_path)
    contexts = seen["mail"].contexts
    assert contexts is not None
    assert isinstance(contexts.undeclared, Undeclared)
    assert contexts.undeclared.values.count == rows - rows // 3
    assert contexts.undeclared.names == ("nonce",)
    assert contexts.undeclared.distinct == len({number // 2 for number in range(rows // 3, rows)})
    assert contexts.by_entries == (rows // 3 if signed else 0)
    assert contexts.distinct == rows - rows // 3 + len({number // 2 for number in range(rows // 3)})


def test_a_signers_key_tells_no_contexts_apart(tmp_path: Path) -> None:
    rng = random.Random(6)
    rows = 400
    keyed = [{"field": "mail", "aws-crypto-public-key": str(rng.random())} for _ in range(rows)]
    mail = [b64(esdk(rng, 24, each, signed=True)) for each in keyed]
    export = MemoryExport({"a": {"id": [b"1"] * rows, "mail": mail}}, frozenset(("id", "mail")))
    given = plan(rule("mail", format="aws-esdk", context=({"name": "field", "value": "mail"},)))
    contexts = facts(export, given, tmp_path)["mail"].contexts
    assert contexts is not None
    assert (contexts.distinct, contexts.by_entries) == (1, rows)
    assert contexts.undeclared == Undeclared(values=Tally(), distinct=0)
