"""Exports in S3, against moto's server on this machine."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from field_reading import as_ndjson, dataset, left_out, table
from field_s3 import client, served

from keycheck.errors import ProbeError
from keycheck.model.deployment import AwsIdentity, GcpIdentity, Identity
from keycheck.model.verdict import Reason
from probes.fields.read.export import open_export
from probes.fields.read.seam import Export

ROWS = [{"id": str(number), "email": f"v{number}"} for number in range(50)]
SECRET = "s3cr3t-of-the-identity"


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with served("vendor") as url:
        yield url


@pytest.fixture
def identity(tmp_path: Path) -> AwsIdentity:
    (tmp_path / "aws.ini").write_text(f"[default]\naws_access_key_id = AKIATEST\naws_secret_access_key = {SECRET}\n")
    return AwsIdentity(id="auditor", provider="aws", config_file="aws.ini", region="eu-central-1")


@pytest.fixture(scope="module")
def bucket(server: str) -> str:
    s3 = client(server)
    out = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(ROWS), out)
    s3.put_object(Bucket="vendor", Key="out/tenant=a/a.parquet", Body=out.getvalue().to_pybytes())
    s3.put_object(Bucket="vendor", Key="out/tenant=b/b.ndjson.gz", Body=gzip.compress(as_ndjson(ROWS)))
    s3.put_object(Bucket="vendor", Key="big.ndjson", Body=as_ndjson([{"v": "x" * 1_000}] * 40_000))
    return server


def opened(base: Path, server: str, identity: Identity, *files: str) -> Export:
    source = {"identity": identity.id, "endpoint": server}
    return open_export(dataset(*files, **source), base, (identity,), {})


def test_s3_folders_globs_and_ranges(tmp_path: Path, bucket: str, identity: AwsIdentity) -> None:
    import pickle

    for location in ("s3://vendor/out", "s3://vendor/out/", "s3://vendor/**/tenant=*/*", "s3://vendor/out/*/?.*"):
        export = opened(tmp_path, bucket, identity, location)
        frozen = pickle.dumps(export)
        assert SECRET.encode() not in frozen
        assert SECRET not in repr(export)
        export = pickle.loads(frozen)
        listing = export.listing()
        assert [file.path for file in listing.files] == [
            "s3://vendor/out/tenant=a/a.parquet",
            "s3://vendor/out/tenant=b/b.ndjson.gz",
        ]
        assert table(export) == [row | {"tenant": tenant} for tenant in "ab" for row in ROWS]
        assert left_out(export) == {}
    export = opened(tmp_path, bucket, identity, "s3://vendor/big.ndjson")
    assert len(export.listing().shards) == 2
    assert len(table(export)) == 40_000
    assert len(export.digest(export.listing().files[0])) == 64


def test_s3_that_is_not_there(tmp_path: Path, bucket: str, identity: AwsIdentity) -> None:
    assert left_out(opened(tmp_path, bucket, identity, "s3://vendor/nothing.csv")) == {"no such file": 0}
    assert left_out(opened(tmp_path, bucket, identity, "s3://nobodys-bucket/*")) == {"no such file": 0}


def test_s3_object_that_changed(tmp_path: Path, bucket: str, identity: AwsIdentity) -> None:
    export = opened(tmp_path, bucket, identity, "s3://vendor/big.ndjson")
    listing = export.listing()
    client(bucket).put_object(Bucket="vendor", Key="big.ndjson", Body=b"{}\n")
    with pytest.raises(ProbeError) as raised:
        list(export.read(listing.shards[0]).batches)
    assert raised.value.reason is Reason.CONFLICTING


@pytest.mark.parametrize("endpoint", ["http://192.0.2.7:9000", "http://localhost.example:9000"])
def test_nothing_is_sent_in_the_clear_to_other_machines(tmp_path: Path, identity: AwsIdentity, endpoint: str) -> None:
    for scheme, who in (("s3", identity), ("gs", GcpIdentity(id="g", provider="gcp"))):
        export = opened(tmp_path, endpoint, who, f"{scheme}://vendor/a.csv")
        with pytest.raises(ProbeError, match="this machine only"):
            export.listing()


def test_identities_of_another_cloud_and_of_nobody(tmp_path: Path, server: str, identity: AwsIdentity) -> None:
    with pytest.raises(ProbeError, match="another cloud"):
        opened(tmp_path, server, identity, "gs://vendor/a.csv").listing()
    with pytest.raises(ProbeError, match="another cloud"):
        opened(tmp_path, server, GcpIdentity(id="g", provider="gcp"), "s3://vendor/a.csv").listing()
    export = open_export(dataset("s3://vendor/a.csv", identity="who"), tmp_path, (), {})
    with pytest.raises(ProbeError, match="no identity who"):
        export.listing()
