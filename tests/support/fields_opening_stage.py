"""The lab's clouds with one key each, messages that real SDKs seal under it, and an export in memory."""

from __future__ import annotations

import base64
import itertools
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import aws_encryption_sdk as sdk
import pyarrow as pa
import pytest
import tink
import tink.aead
from aws_encryption_sdk.identifiers import Algorithm, CommitmentPolicy
from aws_encryption_sdk.key_providers.kms import KMSMasterKey
from aws_stage import OWNER, REGION, AwsStage, plain_environment, staged_aws
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from gcp_stage import CONTROL, RING, USE, VENDOR, Stage, staged

from keycheck.lab.aws.kms.model import Key as LabKey
from keycheck.lab.crm.aws_envelope import aws_client
from keycheck.lab.crm.gcp_aead import KmsAead, gcp_client
from probes.fields.opening.associated import esdk_context
from probes.fields.opening.sample import Sample, open_sample
from probes.fields.opening.unwrap import Unwrapper, unwrapper
from probes.fields.read.seam import Batch, ExportFile, Listing, Reading, Shard
from probes.fields.scan.seam import Canary, ColumnPlan, Draw, Pick, ScanPlan
from probes.fields.subjects import FieldRule, Limits

SEED = bytes(range(32))
_NUMBERS = itertools.count()
FILE = ExportFile("contacts.parquet", 1, "1", "parquet")


@dataclass
class Memory:
    """An export of one shard."""

    columns: Mapping[str, Sequence[str | bytes | None]]
    batch: int = 3
    shard: Shard = field(default=Shard("contacts#0", FILE, 0, 1, ()))

    def listing(self) -> Listing:
        return Listing((FILE,), (self.shard,), tuple(self.columns))

    def read(self, shard: Shard) -> Reading:
        arrays = {
            name: pa.array(values, pa.large_string() if any(isinstance(v, str) for v in values) else pa.large_binary())
            for name, values in self.columns.items()
        }
        table = pa.RecordBatch.from_pydict(arrays)
        rows = range(0, table.num_rows, self.batch)
        return Reading(iter([Batch(table.slice(first, self.batch), first) for first in rows]))

    def digest(self, file: ExportFile) -> str:
        return "0" * 64

    def raw(self, file: ExportFile) -> Iterator[bytes]:
        return iter(())


def opened(
    export: Memory,
    column: str,
    rule: FieldRule,
    make: Callable[[str], Unwrapper],
    resource: str,
    *,
    calls: int = 1000,
    canaries: tuple[Canary, ...] = (),
) -> Sample:
    """All rows of a column, opened."""
    rows = len(export.columns[column])
    picks = tuple(Pick(column, export.shard.name, row, "") for row in range(rows))
    plan = ScanPlan((ColumnPlan(column, "sensitive", rule, resource),), (), None, None, Limits(), bytes(32), canaries)
    return open_sample(
        export,
        {column: Draw(picks, rows, 1)},
        plan,
        {export.shard.name: export.shard},
        seed=SEED,
        calls=calls,
        unwrapper=make,
        sleep=lambda _: None,
    )


def rule(column: str = "email", class_: str = "email", **more: object) -> FieldRule:
    return FieldRule.model_validate({"column": column, "class": class_, "key": "contacts", **more})


BOUND = ({"name": "record", "column": "id"}, {"name": "table", "value": "contacts"})


def contexts(rows: int) -> list[dict[str, str]]:
    return [{"record": f"c-{row}", "table": "contacts"} for row in range(rows)]


@dataclass
class Aws:
    """A key in the lab's AWS; `inspect` seals, `control` opens."""

    stage: AwsStage
    key: LabKey
    client: Any
    io: Any

    def make(self, resource: str) -> Unwrapper:
        return unwrapper(self.io, "control", resource)

    def seal(
        self,
        plaintext: bytes,
        context: Mapping[str, str],
        algorithm: Algorithm = Algorithm.AES_256_GCM_HKDF_SHA512_COMMIT_KEY,
        frame: int = 4096,
        key: str = "",
    ) -> bytes:
        policy = CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT
        if not algorithm.is_committing():
            policy = CommitmentPolicy.FORBID_ENCRYPT_ALLOW_DECRYPT
        provider = KMSMasterKey(key_id=key or self.key.arn, client=self.client)
        message, _ = sdk.EncryptionSDKClient(commitment_policy=policy).encrypt(
            source=plaintext,
            key_provider=provider,
            encryption_context=dict(context),
            algorithm=algorithm,
            frame_length=frame,
        )
        return bytes(message)

    def calls(self) -> int:
        """Decrypt calls that came in."""
        return self.stage.cloud.faults.calls["Decrypt"]

    def another(self) -> str:
        """A second key of the same account, that `inspect` and `control` may use as the first."""
        made = self.stage.cloud.kms.create(OWNER, REGION)
        self.stage.allow(made, {"control": ("kms:Decrypt",), "inspect": ("kms:Encrypt", "kms:GenerateDataKey")})
        return made.arn


@pytest.fixture(scope="module")
def aws_cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[AwsStage, Any]]:
    """A cloud and a client of who seals, for all tests of a file: to make a client takes longer than most tests."""
    home = tmp_path_factory.mktemp("aws")
    with pytest.MonkeyPatch.context() as patch:
        for name in os.environ:
            if name.startswith("AWS_") or name.lower() in ("http_proxy", "https_proxy", "all_proxy"):
                patch.delenv(name)
        for name, value in plain_environment(home).items():
            patch.setenv(name, value)
        with staged_aws(home) as stage:
            given = stage.credentials["inspect"]
            client = aws_client(
                endpoint=stage.cloud.url, region=REGION, access_key_id=given.access_key_id, secret=given.secret
            )
            yield stage, client


@pytest.fixture
def aws(aws_cloud: tuple[AwsStage, Any]) -> Iterator[Aws]:
    """A key of the test's own."""
    stage, client = aws_cloud
    stage.cloud.faults.calls.clear()
    key = stage.key({"control": ("kms:Decrypt",), "inspect": ("kms:Encrypt", "kms:GenerateDataKey")})
    yield Aws(stage, key, client, stage.io())
    stage.cloud.faults.clear()


@dataclass
class Gcp:
    """A key in the lab's Google Cloud; the vendor seals, `control` opens."""

    stage: Stage
    io: Any
    client: Any
    key: str

    def make(self, resource: str) -> Unwrapper:
        return unwrapper(self.io, "control", resource)

    def envelope(self, template: Any = None, key: str = "") -> Any:
        tink.aead.register()
        remote = KmsAead(self.client, key or self.key)
        return tink.aead.KmsEnvelopeAead(template or tink.aead.aead_key_templates.AES256_GCM, remote)


@pytest.fixture(scope="module")
def gcp_cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Stage, Any]]:
    """A cloud and the vendor's client, for all tests of a file."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NO_GCE_CHECK", "true")
        with staged(tmp_path_factory.mktemp("gcp"), "gcp-binding") as stage:
            client = gcp_client(endpoint=stage.cloud.address, token=lambda: stage.cloud.token(VENDOR))
            yield stage, client
            client.transport.close()


@pytest.fixture
def gcp(gcp_cloud: tuple[Stage, Any]) -> Iterator[Gcp]:
    """A key of the test's own."""
    stage, client = gcp_cloud
    key = stage.cloud.kms.seed_key(f"{RING}/cryptoKeys/k{next(_NUMBERS)}")
    stage.cloud.iam.bind(key, USE, VENDOR, CONTROL)
    yield Gcp(stage, stage.io(), client, key)
    stage.cloud.faults.clear()


def b64(values: Sequence[bytes]) -> list[str]:
    return [base64.b64encode(each).decode() for each in values]


def message_of(
    key: bytes, blob: bytes, arn: str, plain: bytes, stored: Mapping[str, str], required: Mapping[str, str]
) -> bytes:
    """A message of the AWS Encryption SDK (suite 0478, one frame), written out by hand."""
    message_id = os.urandom(32)

    def derived(label: bytes) -> bytes:
        return HKDF(SHA512(), 32, message_id, label).derive(key)

    def field(content: bytes) -> bytes:
        return len(content).to_bytes(2, "big") + content

    head = b"\x02\x04\x78" + message_id + field(esdk_context(stored)) + b"\x00\x01" + field(b"aws-kms")
    head += field(arn.encode()) + field(blob) + b"\x02" + (4096).to_bytes(4, "big") + derived(b"COMMITKEY")
    cipher = AESGCM(derived(b"\x04\x78DERIVEKEY"))
    tag = cipher.encrypt(bytes(12), b"", head + esdk_context(required))
    associated = message_id + b"AWSKMSEncryptionClient Final Frame" + (1).to_bytes(4, "big")
    nonce = (1).to_bytes(12, "big")
    sealed = cipher.encrypt(nonce, plain, associated + len(plain).to_bytes(8, "big"))
    return head + tag + b"\xff" * 4 + (1).to_bytes(4, "big") + nonce + len(plain).to_bytes(4, "big") + sealed
