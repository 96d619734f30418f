"""The probe of encrypted fields, from files to facts, on real workers."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from field_exports import columns, dataset, made, observed, pids

from keycheck.model.facts import Census, Unseen
from keycheck.model.verdict import Assurance, Reason
from keycheck.units import Advance
from probes.fields.facts import ColumnFacts, ExportFacts
from probes.fields.planning import part_of


def of(facts: object) -> ColumnFacts:
    assert isinstance(facts, ColumnFacts), facts
    return facts


@pytest.mark.slow
def test_a_worker_that_is_killed_in_mid_run_changes_nothing_in_the_result(tmp_path: Path) -> None:
    made(tmp_path / "a.parquet", 60_000, 4_000)
    subject = dataset("a.parquet")
    killed: list[int] = []

    def kill(advance: Advance) -> None:
        if not killed:
            killed.append(next(pids()))
            os.kill(killed[0], signal.SIGKILL)

    undisturbed = columns(observed(subject, tmp_path))
    disturbed = columns(observed(subject, tmp_path, told=kill))
    assert killed
    assert disturbed == undisturbed
    assert of(disturbed["token"]).rows == 60_000


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["threads", "dask:2"])
def test_threads_processes_and_a_cluster_come_to_the_same_facts(tmp_path: Path, workers: str) -> None:
    made(tmp_path / "a.parquet", 20_000, 4_000)
    subject = dataset("a.parquet")
    assert columns(observed(subject, tmp_path, workers)) == columns(observed(subject, tmp_path))


def test_the_exports_digest_is_recorded_before_any_column(tmp_path: Path) -> None:
    made(tmp_path / "a.parquet", 100, 50)
    recorded = observed(dataset("a.parquet"), tmp_path, "threads")
    kinds = [type(each.observed.facts) for each in recorded]
    assert kinds == [Census, ExportFacts, ColumnFacts, ColumnFacts, ColumnFacts]
    export = recorded[1].observed.facts
    assert isinstance(export, ExportFacts)
    assert of(recorded[2].observed.facts).export.manifest == export.manifest
    assert export.rows == 100


def test_what_the_vendor_made_is_a_document_and_what_we_read_is_observed(tmp_path: Path) -> None:
    made(tmp_path / "a.parquet", 20, 50)
    for made_by, assurance in (("vendor", Assurance.DOCUMENTED), ("customer", Assurance.OBSERVED)):
        subject = dataset("a.parquet", origin={"made_by": made_by, "method": "x"})
        assert {each.observed.assurance for each in observed(subject, tmp_path, "threads")[2:]} == {assurance}


def test_a_mapped_column_that_the_export_lacks_and_one_that_nobody_mapped_are_both_told(tmp_path: Path) -> None:
    pq.write_table(pa.table({"id": ["1"], "extra": ["x"]}), tmp_path / "a.parquet")
    found = columns(observed(dataset("a.parquet"), tmp_path, "threads"))
    assert of(found["extra"]).role == "unmapped"
    token = of(found["token"])
    assert (token.rows, token.nulls) == (1, 1)


def test_a_file_that_is_no_parquet_file_is_counted_and_never_in_silence(tmp_path: Path) -> None:
    made(tmp_path / "a.parquet", 20, 50)
    (tmp_path / "b.parquet").write_bytes(b"PAR1 and nothing that makes sense")
    found = of(columns(observed(dataset("*.parquet"), tmp_path, "threads"))["token"])
    assert found.rows >= 20
    assert any("b.parquet" in " ".join(lost.places) for lost in found.export.left_out)


def test_a_file_that_is_not_there_leaves_columns_without_rows_and_says_so(tmp_path: Path) -> None:
    found = of(columns(observed(dataset("nothing.parquet"), tmp_path, "threads"))["token"])
    assert found.rows == 0
    assert [lost.places for lost in found.export.left_out] == [("nothing.parquet",)]


def test_file_that_changes_after_the_listing_is_a_conflict(tmp_path: Path) -> None:
    made(tmp_path / "a.parquet", 200, 10)
    told: list[Advance] = []

    def swap(advance: Advance) -> None:
        if not told:
            made(tmp_path / "a.parquet", 200, 10)
        told.append(advance)

    found = of(columns(observed(dataset("a.parquet"), tmp_path, "processes:1", swap))["token"])
    assert any(Reason.CONFLICTING.value in lost.why for lost in found.export.left_out)


@pytest.mark.parametrize("name", ["a" * 300, "bell\x07", "rlo \u202e", "tab\t", "half \udc80"])
def test_no_two_columns_share_a_part_whatever_their_names(name: str) -> None:
    assert part_of(name).isprintable()
    assert len(part_of(name)) <= 200
    assert part_of(name) != part_of(name + "x")


def test_where_no_export_can_be_had_the_words_to_send_are_in_the_evidence(tmp_path: Path) -> None:
    absent = dataset("x", source={"kind": "none", "asked": "ticket 4711, refused on 2026-11-01"})
    (told,) = observed(absent, tmp_path, "threads")
    assert isinstance(told.observed.facts, Unseen)
    assert told.observed.facts.reason is Reason.UNSUPPORTED
    assert "without decryption or masking" in told.observed.facts.detail


def test_files_beside_a_table_are_refused_and_not_left_unread() -> None:
    with pytest.raises(ValueError, match="data set of their own"):
        dataset("x", source={"kind": "table", "url": "env:URL", "table": "contacts"}, beside=["log"])


def test_a_file_that_is_named_twice_has_its_rows_once(tmp_path: Path) -> None:
    made(tmp_path / "a.parquet", 40, 50)
    (tmp_path / "b.parquet").symlink_to("a.parquet")
    twice = dataset("a.parquet", source={"kind": "files", "files": ["a.parquet", "./a.parquet", "b.parquet"]})
    found = of(columns(observed(twice, tmp_path, "threads"))["token"])
    assert (found.rows, found.export.files) == (40, 1)


def test_rows_that_are_told_by_columns_which_no_file_has_leave_the_census_open(tmp_path: Path) -> None:
    made(tmp_path / "a.parquet", 20, 50)
    slipped = dataset("a.parquet", row=["idd"], tenant="tenannt", written="id")
    (census,) = (each.observed.facts for each in observed(slipped, tmp_path, "threads") if each.observed.part is None)
    assert isinstance(census, Census)
    assert [gap.detail for gap in census.open] == [
        "`row` names 'idd', which is no column of the export",
        "`tenant` names 'tenannt', which is no column of the export",
    ]
