"""Writing bundles: whole or not at all, never over another, and exactly what the verifier expects."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import tracemalloc
import zipfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from keycheck.canonical import Json, dumps
from keycheck.errors import IntegrityError, KeycheckError
from keycheck.evidence import container, layout
from keycheck.evidence.bundle import BundleWriter, StoredBlob, Verifier
from keycheck.evidence.inputs import SaltedInput, commitments, salted
from keycheck.evidence.keys import SigningKey
from keycheck.evidence.layout import Tag
from keycheck.evidence.reader import BundleReader
from keycheck.evidence.verify import Limit, verify_bundle, verify_stream
from keycheck.model.observation import Disposition

DOCS = Verifier(b"m", b"p")


def start(path: Path, **inputs: bytes) -> BundleWriter:
    under_salt = {name: salted(data, os.urandom) for name, data in inputs.items()}
    return BundleWriter(path, run_start=run_start(under_salt), inputs=under_salt, random=os.urandom)


def run_start(inputs: dict[str, SaltedInput]) -> bytes:
    return dumps({"inputs": commitments(inputs)})


def line(writer: BundleWriter, *blobs: Json, **more: Json) -> bytes:
    return dumps({"run": writer.run, "seq": writer.next_seq, "salt": "0" * 32, "blobs": list(blobs)} | more)


def member(blob: StoredBlob) -> dict[str, Json]:
    ref: dict[str, Json] = blob.ref.model_dump(mode="json")
    return ref


def test_the_result_says_what_was_verified(
    bundle: bytes, ed25519: SigningKey, p256: SigningKey, tmp_path: Path
) -> None:
    verified = verify_stream(io.BytesIO(bundle), [ed25519.public, p256.public], threshold=2)
    assert verified.signers == tuple(sorted((ed25519.key_id, p256.key_id)))
    assert verified.counts == {
        Tag.RUN_START: 1,
        Tag.INPUT: 3,
        Tag.OBSERVATION: 3,
        Tag.BLOB: 2,
        Tag.ASSESSMENT: 1,
        Tag.VERIFIER: 2,
    }
    assert (verified.tree_size, verified.withheld) == (12, 0)
    with zipfile.ZipFile(io.BytesIO(bundle)) as plain:
        assert plain.testzip() is None
        assert verified.manifest_sha256 == sha256(plain.read("manifest.json")).hexdigest()
        assert verified.run == sha256(plain.read("run-start.json")).hexdigest()
    assert Limit.NO_TIMESTAMP in verified.not_verified
    assert Limit.WITHHELD not in verified.not_verified
    assert all(limit.words.endswith(".") for limit in Limit)


def test_the_same_run_gives_the_same_bytes(
    bundle: bytes, tools: dict[str, Callable[..., bytes]], ed25519: SigningKey, tmp_path: Path
) -> None:
    first = tools["write_bundle"](tmp_path / "a.zip", [ed25519])
    assert tools["write_bundle"](tmp_path / "b.zip", [ed25519]) == first


def test_reading_back(ed25519: SigningKey, tmp_path: Path) -> None:
    with start(tmp_path / "b.zip", **{"profile.json": b"{}"}) as writer:
        public = writer.add_blob(b"hello", name="h", media_type="text/plain")
        kept = writer.add_blob(b"har", name="h", media_type="a/b", disposition=Disposition.DIGEST_ONLY)
        first = line(writer, member(public), member(kept))
        assert writer.append(first) == 1
        writer.finish(b"{}", [ed25519])
    verified = verify_bundle(tmp_path / "b.zip", [ed25519.public])
    assert verified.withheld == 1
    assert Limit.WITHHELD in verified.not_verified
    assert kept.ref.commitment == sha256(b"keycheck blob/1\x00" + kept.salt + b"har").hexdigest()
    with BundleReader.open(tmp_path / "b.zip") as reader:
        assert reader.blob(public.ref.commitment) == b"hello"
        assert list(reader.observations()) == [first]
        assert reader.inputs() == {"profile.json": b"{}"}
        assert ed25519.key_id.encode() in reader.read("VERIFY.md")
        assert writer.run.encode() in reader.read("VERIFY.md")
        assert b"@" not in reader.read("VERIFY.md")
        with pytest.raises(IntegrityError, match="does not hold"):
            reader.blob(kept.ref.commitment)
    assert [path.name for path in tmp_path.iterdir()] == ["b.zip"]


def test_a_run_without_observations_is_still_a_bundle(ed25519: SigningKey, tmp_path: Path) -> None:
    with start(tmp_path / "b.zip") as writer:
        writer.finish(b"{}", [ed25519], verifier=DOCS)
    assert verify_bundle(tmp_path / "b.zip", [ed25519.public]).tree_size == 4


def test_nothing_is_overwritten(ed25519: SigningKey, tmp_path: Path) -> None:
    path = tmp_path / "b.zip"
    path.write_text("precious")
    with pytest.raises(KeycheckError, match="never overwritten"):
        start(path)
    path.unlink()
    with start(path):
        with pytest.raises(KeycheckError, match="partial") as caught:
            start(path)
        assert "unfinished run" in caught.value.advice
    path.with_name("b.zip.partial").rename(tmp_path / "away")
    with start(path) as writer:
        path.write_text("precious")
        with pytest.raises(KeycheckError, match="cannot write"):
            writer.finish(b"{}", [ed25519], verifier=DOCS)
    assert path.read_text() == "precious"
    with pytest.raises(KeycheckError, match="cannot write"):
        start(tmp_path / "missing" / "b.zip")


def test_a_killed_run_leaves_a_partial_and_no_bundle(tmp_path: Path) -> None:
    program = (
        "import os, sys; from pathlib import Path; from keycheck.evidence.bundle import BundleWriter\n"
        "from keycheck.canonical import dumps\n"
        "from keycheck.evidence.inputs import commitments, salted\n"
        "inputs = {'a': salted(b'x', os.urandom)}\n"
        f"w = BundleWriter(Path({str(tmp_path / 'b.zip')!r}), run_start=dumps({{'inputs': commitments(inputs)}}), "
        "inputs=inputs, random=os.urandom)\n"
        "for n in range(2000): w.append(dumps({'run': w.run, 'seq': n + 1, 'salt': '0' * 32}))\n"
        "print('ready', flush=True); sys.stdin.read()\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        child.send_signal(signal.SIGKILL)
    assert [path.name for path in tmp_path.iterdir()] == ["b.zip.partial"]
    partial = tmp_path / "b.zip.partial"
    assert (partial / "run-start.json").read_bytes().startswith(b'{"inputs":[{"commitment":')
    assert (partial / "inputs" / "a").read_bytes() == b"x"
    assert len((partial / "inputs" / "a.salt").read_bytes()) == 65
    assert (partial / "observations.jsonl").read_bytes().count(b"\n") > 1000


def test_an_exception_keeps_the_partial_and_abort_removes_it(tmp_path: Path) -> None:
    writer = start(tmp_path / "b.zip")

    def interrupted() -> None:
        with writer:
            writer.append(line(writer))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert (tmp_path / "b.zip.partial" / "observations.jsonl").read_bytes().count(b"\n") == 1
    writer.abort()
    assert not list(tmp_path.iterdir())


def test_the_writer_refuses_what_would_not_verify(ed25519: SigningKey, tmp_path: Path) -> None:
    with start(tmp_path / "b.zip") as writer:
        for bad in (
            b"{}",
            b"[]",
            b"{",
            line(writer, seq=2),
            line(writer, seq=True),
            line(writer, run="00"),
            line(writer, salt=None),
            line(writer).replace(b":", b": "),
            line(writer, {"commitment": "00"}),
            line(writer).replace(b'"blobs":[]', b'"blobs":{}'),
        ):
            with pytest.raises(ValueError, match="observation 1"):
                writer.append(bad)
        with pytest.raises(ValueError, match="without a signature"):
            writer.finish(b"{}", [])
        with pytest.raises(ValueError, match="canonical"):
            writer.finish(b"{ }", [ed25519])
        with pytest.raises(ValueError, match="sealed"):
            writer.add_blob(b"x", name="n", media_type="a/b", disposition=Disposition.SEALED)
        for name, media_type in (("N", "a/b"), ("", "a/b"), ("n", "a"), ("n", "a/b\n")):
            with pytest.raises(ValueError, match="BlobRef"):
                writer.add_blob(b"x", name=name, media_type=media_type)
        blob = writer.add_blob(b"x", name="n", media_type="a/b")
        with pytest.raises(ValueError, match="not both"):
            writer.finish(b"{}", [ed25519])
        with pytest.raises(ValueError, match="observation 1"):
            writer.append(line(writer, member(blob) | {"disposition": "sealed"}))
    for name in ("../x", "/x", "A", "a/b/c/d", ".hidden", "a\\b", "", "x" * 250, "x.salt", "x.salt/y"):
        with pytest.raises(ValueError, match="cannot be an input"):
            start(tmp_path / "c.zip", **{name: b""})
    with pytest.raises(ValueError, match="not JSON"):
        BundleWriter(tmp_path / "c.zip", run_start=b"", inputs={}, random=os.urandom)
    one, two = salted(b"1", os.urandom), salted(b"1", os.urandom)
    assert one != two
    others = (run_start({}), run_start({"a": two}), run_start({"b": one}), run_start({"a": one, "b": two}))
    for record in (b"{}", b"[]", *others):
        with pytest.raises(ValueError, match="commit itself"):
            BundleWriter(tmp_path / "c.zip", run_start=record, inputs={"a": one}, random=os.urandom)
    with pytest.raises(ValueError, match="32 bytes"):
        SaltedInput(b"", b"short")
    assert not (tmp_path / "c.zip.partial").exists()


def test_the_documented_commitment_and_leaf_of_an_input(bundle: bytes) -> None:
    with zipfile.ZipFile(io.BytesIO(bundle)) as plain:
        files = {name: plain.read(name) for name in plain.namelist()}
    assert list(files)[1:4] == ["inputs/deployment.json", "inputs/deployment.json.salt", "inputs/profile.json"]
    salt = bytes.fromhex(files["inputs/profile.json.salt"].decode().removesuffix("\n"))
    assert len(salt) == 32
    both = salt + files["inputs/profile.json"]
    assert json.loads(files["run-start.json"])["inputs"][1] == {
        "name": "profile.json",
        "commitment": sha256(b"keycheck input/1\x00" + both).hexdigest(),
    }
    manifest = json.loads(files["manifest.json"])
    assert manifest["files"][2] == {
        "path": "inputs/profile.json",
        "tag": "bundle/input",
        "bytes": len(files["inputs/profile.json"]),
        "leaf": sha256(b"\x00bundle/input\x00" + both).hexdigest(),
    }
    assert b".salt" not in files["manifest.json"]


def test_what_is_not_a_file_is_no_bundle(ed25519: SigningKey, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe", tmp_path / "none", Path(os.devnull)):
        with pytest.raises(IntegrityError, match="cannot read"):
            verify_bundle(path, [ed25519.public])


def test_more_entries_than_a_plain_zip_can_count(tools: dict[str, Callable[..., bytes]]) -> None:
    for count in (0xFFFE, 0xFFFF):
        data = tools["pack"]([(f"{number:06}", b"") for number in range(count)])
        with zipfile.ZipFile(io.BytesIO(data)) as plain:
            assert len(plain.namelist()) == count
        assert len(container.ContainerReader(io.BytesIO(data)).entries) == count
        assert (b"PK\x06\x06" in data) is (count == 0xFFFF)


def test_limits(monkeypatch: pytest.MonkeyPatch, bundle: bytes, ed25519: SigningKey) -> None:
    monkeypatch.setattr(layout, "MAX_JSON", 20)
    with pytest.raises(IntegrityError, match="more than the 20 allowed"):
        BundleReader(io.BytesIO(bundle))
    monkeypatch.setattr(container, "MAX_ENTRIES", 5)
    with pytest.raises(IntegrityError, match="more than 5 entries"):
        BundleReader(io.BytesIO(bundle))


def test_many_observations_in_flat_memory(ed25519: SigningKey, tmp_path: Path) -> None:
    with start(tmp_path / "b.zip") as writer:
        for _ in range(10_000):
            writer.append(line(writer, filler="x" * 700))
        writer.finish(b"{}", [ed25519], verifier=DOCS)
    tracemalloc.start()
    try:
        assert verify_bundle(tmp_path / "b.zip", [ed25519.public]).counts[Tag.OBSERVATION] == 10_000
        assert tracemalloc.get_traced_memory()[1] < 6_000_000  # of an 8 MB file, read 1 MiB at a time
    finally:
        tracemalloc.stop()
