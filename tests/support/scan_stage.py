"""Values of the hot formats with random bytes where ciphertext is, and exports that lie in memory."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from probes.fields.facts import Export as ExportTold
from probes.fields.read.seam import Batch, ExportFile, Listing, Reading, Shard
from probes.fields.scan.seam import ColumnPlan, ScanPlan
from probes.fields.subjects import FieldRule, Limits, Origin

ARN = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
OTHER_ARN = "arn:aws:kms:us-east-1:444455556666:key/99999999-12ab-34cd-56ef-1234567890ab"
KEY = bytes(range(32))


def _der(content: bytes) -> bytes:
    size = len(content)
    if size < 0x80:
        return bytes([size]) + content
    return bytes([0x81, size]) + content if size < 0x100 else b"\x82" + size.to_bytes(2, "big") + content


def kms_blob(rng: random.Random, size: int = 32, material: bytes = b"\x11" * 32, generation: int = 2) -> bytes:
    """What AWS KMS makes of `size` bytes."""
    sealed = rng.randbytes(size + 27)
    oid = bytes.fromhex("06092a864886f70d010701301e060960864801650304012e3011040c")
    inner = oid + rng.randbytes(12) + bytes.fromhex("02011080") + _der(sealed)
    version = b"\x02\x01\x00\x30" + _der(inner)
    outer = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x06\xa0" + _der(b"\x30" + _der(version))
    der = b"\x30" + _der(outer)
    salt = b"\x01" + rng.randbytes(16) if generation == 2 else b""
    head = bytes([1, generation, 3 if generation == 2 else 1, 0, 0x78])
    return head + material + salt + len(der).to_bytes(4, "big") + der


def _text(part: bytes) -> bytes:
    return len(part).to_bytes(2, "big") + part


def esdk(
    rng: random.Random,
    plain: int,
    context: Mapping[str, str] | None = None,
    *,
    version: int = 2,
    keys: Sequence[str] = (ARN,),
    blob: bytes | None = None,
    message_id: bytes | None = None,
    frame: int = 4096,
    signed: bool = False,
) -> bytes:
    """A message of the AWS Encryption SDK; the signature is none, and looks like one."""
    pairs = b"".join(_text(name.encode()) + _text(value.encode()) for name, value in sorted((context or {}).items()))
    aad = _text(len(context).to_bytes(2, "big") + pairs if context else b"")
    edks = len(keys).to_bytes(2, "big") + b"".join(
        _text(b"aws-kms") + _text(key.encode()) + _text(blob or kms_blob(rng)) for key in keys
    )
    identity = message_id or rng.randbytes(32 if version == 2 else 16)
    suite = {(2, False): 0x0478, (2, True): 0x0578, (1, False): 0x0178, (1, True): 0x0378}[version, signed]
    head = (b"\x02" if version == 2 else b"\x01\x80") + suite.to_bytes(2, "big") + identity
    content = b"\x02" + (b"" if version == 2 else b"\0\0\0\0\x0c") + frame.to_bytes(4, "big")
    tail = rng.randbytes(32 + 16) if version == 2 else bytes(12) + rng.randbytes(16)
    body, left, number = b"", plain, 0
    while left > frame:
        number += 1
        body += number.to_bytes(4, "big") + number.to_bytes(12, "big") + rng.randbytes(frame + 16)
        left -= frame
    number += 1
    body += b"\xff" * 4 + number.to_bytes(4, "big") + number.to_bytes(12, "big") + left.to_bytes(4, "big")
    footer = _text(_signature(rng)) if signed else b""
    return head + aad + edks + content + tail + body + rng.randbytes(left + 16) + footer


def _signature(rng: random.Random) -> bytes:
    """Two numbers as ECDSA over P-384 writes them; a few are a byte shorter."""
    numbers = [rng.getrandbits(rng.choice((384, 384, 383, 370))) | 1 for _ in range(2)]
    parts = [number.to_bytes(number.bit_length() // 8 + 1, "big") for number in numbers]
    body = b"".join(b"\x02" + bytes([len(part)]) + part for part in parts)
    return b"\x30" + bytes([len(body)]) + body


def tink(rng: random.Random, plain: int, blob: bytes | None = None) -> bytes:
    """A KmsEnvelopeAead output under AWS KMS."""
    wrapped = blob or kms_blob(rng, 34)
    return len(wrapped).to_bytes(4, "big") + wrapped + rng.randbytes(12 + plain + 16)


def vault(rng: random.Random, plain: int, version: int = 1, nonce: bytes | None = None) -> bytes:
    """What Vault's transit engine writes."""
    return f"vault:v{version}:".encode() + base64.b64encode((nonce or rng.randbytes(12)) + rng.randbytes(plain + 16))


def _url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def jwe(rng: random.Random, plain: int, kid: str = "customer-1", enc: str = "A256GCM") -> bytes:
    """A JWE in its compact form."""
    header = json.dumps({"alg": "A256KW", "enc": enc, "kid": kid}, separators=(",", ":")).encode()
    parts = (header, rng.randbytes(40), rng.randbytes(12), rng.randbytes(plain), rng.randbytes(16))
    return ".".join(map(_url, parts)).encode()


def b64(value: bytes) -> bytes:
    """In base64."""
    return base64.b64encode(value)


@dataclass(frozen=True, slots=True)
class MemoryExport:
    """Shards that lie in memory: by name, columns of values."""

    shards: Mapping[str, Mapping[str, Sequence[bytes | None]]]
    text: frozenset[str] = frozenset()
    rows: int = 64
    """Of one batch."""
    columns: tuple[str, ...] = field(default=())

    def shard(self, name: str) -> Shard:
        """One of them."""
        file = ExportFile(f"{name}.parquet", 1, "1", "parquet")
        return Shard(name, file, 0, 1, tuple(sorted(self.shards[name])))

    def listing(self) -> Listing:
        """All of them."""
        shards = tuple(self.shard(name) for name in self.shards)
        columns = sorted({column for shard in shards for column in shard.columns})
        return Listing(tuple(shard.file for shard in shards), shards, tuple(columns))

    def read(self, shard: Shard) -> Reading:
        """The rows of one."""
        return Reading(self._batches(self.shards[shard.name]))

    def _batches(self, held: Mapping[str, Sequence[bytes | None]]) -> Iterator[Batch]:
        size = max((len(values) for values in held.values()), default=0)
        for first in range(0, size, self.rows):
            arrays = {
                name: pa.array(values[first : first + self.rows], pa.large_binary()) for name, values in held.items()
            }
            columns = {
                name: array.cast(pa.large_string()) if name in self.text else array for name, array in arrays.items()
            }
            yield Batch(pa.record_batch(columns), first)

    def digest(self, file: ExportFile) -> str:
        """Of nothing."""
        return "0" * 64

    def raw(self, file: ExportFile) -> Iterator[bytes]:
        """Nothing."""
        yield from ()


def plan(*columns: ColumnPlan, tenant: str | None = None, written: str | None = None) -> ScanPlan:
    """A scan of these columns."""
    return ScanPlan(columns, (), tenant, written, Limits(), KEY)


def rule(column: str, **more: object) -> ColumnPlan:
    """A sensitive column."""
    return ColumnPlan(column, "sensitive", FieldRule.model_validate({"column": column, "class": "email", **more}))


def told(rows: int) -> ExportTold:
    """What facts say of the whole export."""
    return ExportTold(
        manifest="0" * 64,
        files=1,
        rows=rows,
        origin=Origin(made_by="vendor", method="dump"),
        origin_digests="not-stated",
        limits=Limits(),
    )
