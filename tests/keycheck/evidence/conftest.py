"""Bundles to verify and to break, and a second way to put one together: by hand, for signers who lie."""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import pytest

from keycheck.canonical import Json, dumps
from keycheck.evidence import dsse
from keycheck.evidence.bundle import BundleWriter, Verifier
from keycheck.evidence.container import ContainerReader, ContainerWriter
from keycheck.evidence.inputs import SaltedInput, commitments, salted
from keycheck.evidence.keys import KeyKind, SigningKey

ASSESSMENT = b'{"verdict":"fail"}'
TINY = Verifier(b"# how\n", b"print('how')\n")
INPUTS = {"profile.json": b'{"p":1}', "deployment.json": b'{"d":1}', "waivers/001.json": b'{"w":1}'}


def run_start(inputs: Mapping[str, SaltedInput]) -> bytes:
    """A run-start record that commits itself to these."""
    return dumps({"expected": ["endpoints/api"], "inputs": commitments(inputs), "profile": "00"})


def naive_root(leaves: Sequence[bytes]) -> bytes:
    """RFC 9162 section 2.1.1, word for word."""
    if not leaves:
        return sha256().digest()
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return sha256(b"\x01" + naive_root(leaves[:split]) + naive_root(leaves[split:])).digest()


class Counter:
    """Random bytes that are the same in every run."""

    def __init__(self) -> None:
        self._calls = 0

    def __call__(self, length: int) -> bytes:
        self._calls += 1
        return sha256(b"salt %d" % self._calls).digest()[:length]


def write_bundle(path: Path, keys: Sequence[SigningKey], verifier: Verifier | None = TINY) -> bytes:
    """A small bundle made by the writer: three observations, two blobs, one of them withheld besides."""
    random = Counter()
    inputs = {name: salted(data, random) for name, data in INPUTS.items()}
    with BundleWriter(path, run_start=run_start(inputs), inputs=inputs, random=random) as writer:
        for number in (1, 2, 3):
            observation: dict[str, Json] = {"run": writer.run, "seq": number, "salt": f"{number:032x}"}
            if number < 3:
                blob = writer.add_blob(b"bytes %d" % number, name="hello", media_type="text/plain")
                observation["blobs"] = [blob.ref.model_dump(mode="json")]
            writer.append(dumps(observation))
        writer.finish(ASSESSMENT, keys, verifier=verifier)
    return path.read_bytes()


@dataclass
class Forgery:
    """A bundle put together by hand, so that a trusted signer can sign nonsense."""

    files: dict[str, bytes]
    key: SigningKey
    manifest: Callable[[dict[str, Json]], Json] = field(default=lambda manifest: manifest)
    order: Callable[[list[str]], list[str]] = field(default=lambda names: names)
    extra: Sequence[tuple[str, bytes]] = ()

    def salt_of(self, name: str) -> bytes:
        """However malformed the sidecar is, a leaf that a lax verifier might compute from it."""
        try:
            return bytes.fromhex(self.files.get(f"{name}.salt", b"").decode())
        except ValueError:
            return b""

    def build(self) -> bytes:
        tags = {"inputs": "input", "blobs": "blob", "run-start.json": "run-start"} | {
            "observations.jsonl": "observation", "assessment.json": "assessment",
            "VERIFY.md": "verifier", "verify.py": "verifier",
        }  # fmt: skip
        leaves: list[bytes] = []
        records: list[Json] = []
        counts = {f"bundle/{tag}": 0 for tag in tags.values()}
        for name, content in self.files.items():
            if name.endswith(".salt"):
                continue
            tag = "bundle/" + tags.get(name.split("/")[0], "input")
            salt = self.salt_of(name) if tag == "bundle/input" else b""
            parts = content.split(b"\n")[:-1] if name == "observations.jsonl" else [salt + content]
            hashed = [sha256(b"\x00" + tag.encode() + b"\x00" + part).digest() for part in parts]
            leaves += hashed
            counts[tag] += len(parts)
            last: dict[str, Json] = {"lines": len(parts)} if name == "observations.jsonl" else {"leaf": hashed[0].hex()}
            records.append({"path": name, "tag": tag, "bytes": len(content)} | last)
        run, root = sha256(self.files["run-start.json"]).hexdigest(), naive_root(leaves).hex()
        honest: dict[str, Json] = {
            "schema": "keycheck.dev/manifest/1", "run": run, "counts": dict(counts),
            "tree_size": len(leaves), "root": root, "files": records,
        }  # fmt: skip
        manifest = dumps(self.manifest(honest))
        statement = dumps(
            {
                "_type": "https://in-toto.io/Statement/v1",
                "subject": [{"name": "manifest.json", "digest": {"sha256": sha256(manifest).hexdigest()}}],
                "predicateType": "https://keycheck.dev/attestation/bundle/v1",
                "predicate": {"run": run, "tree_size": len(leaves), "root": root},
            }
        )
        everything = dict(self.files) | {
            "manifest.json": manifest,
            "statement.dsse.json": dsse.sign(statement, "application/vnd.in-toto+json", [self.key]),
        }
        names = [name for name in everything if name not in ("VERIFY.md", "verify.py")]
        names += [name for name in ("VERIFY.md", "verify.py") if name in everything]
        return pack([(name, everything[name]) for name in self.order(names)] + list(self.extra))


def pack(files: Sequence[tuple[str, bytes]]) -> bytes:
    """Any files in the container's form."""
    buffer = io.BytesIO()
    writer = ContainerWriter(buffer)
    for name, content in files:
        writer.add(name, len(content), zlib.crc32(content), iter((content,)))
    writer.finish()
    return buffer.getvalue()


def unpack(data: bytes) -> dict[str, bytes]:
    """Names and contents, in order."""
    reader = ContainerReader(io.BytesIO(data))
    return {entry.name: b"".join(reader.chunks(entry)) for entry in reader.entries}


def covered(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Without manifest and statement: what a Forgery starts from."""
    return {name: files[name] for name in files if name not in ("manifest.json", "statement.dsse.json")}


@pytest.fixture(scope="session")
def ed25519() -> SigningKey:
    return SigningKey.generate(KeyKind.ED25519)


@pytest.fixture(scope="session")
def p256() -> SigningKey:
    return SigningKey.generate(KeyKind.P256)


@pytest.fixture(scope="session")
def bundle(ed25519: SigningKey, p256: SigningKey, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A small good bundle, signed by both."""
    return write_bundle(tmp_path_factory.mktemp("bundle") / "b.zip", [ed25519, p256])


@pytest.fixture(scope="session")
def tools() -> dict[str, Callable[..., bytes]]:
    """The helpers above, for test modules, which cannot import this file by name."""
    return {"write_bundle": write_bundle, "pack": pack}


@pytest.fixture
def forge(bundle: bytes, ed25519: SigningKey) -> Callable[..., bytes]:
    """``forge(change, **options)``: change the files of the good bundle and sign what comes out."""

    def build(
        change: Callable[[dict[str, bytes]], dict[str, bytes]] = lambda files: files,
        **options: object,
    ) -> bytes:
        return Forgery(change(covered(unpack(bundle))), ed25519, **options).build()  # type: ignore[arg-type]

    return build
