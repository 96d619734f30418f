"""How the values of an export are written: honestly, by the vendor's own envelope code, and in every way that breaks a
promise."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeAlias, assert_never

from aws_encryption_sdk import CommitmentPolicy, EncryptionSDKClient  # type: ignore[import-untyped]
from aws_encryption_sdk.identifiers import Algorithm  # type: ignore[import-untyped]
from aws_encryption_sdk.key_providers.kms import KMSMasterKey  # type: ignore[import-untyped]
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from keycheck.lab import forge
from keycheck.lab.crm.aws_envelope import AwsEnvelope
from keycheck.lab.crm.contacts import record_context
from keycheck.lab.crm.envelope import Context, Envelope
from keycheck.lab.crm.gcp_envelope import GcpEnvelope, associated_data
from keycheck.lab.data_keks import Kek, Keks, Rotated, quiet_aws, quiet_gcp
from keycheck.lab.data_rows import Row
from keycheck.lab.data_sites import Column, DataSite, Way
from keycheck.lab.data_sites import Envelope as Kind
from keycheck.model.types import Entropy

if TYPE_CHECKING:
    from mypy_boto3_kms import KMSClient

Value: TypeAlias = bytes | str | None
"""Sealed bytes, text as it stands, or null."""
Seal: TypeAlias = Callable[[Row, str], "bytes | str"]
_FOREVER: Final = float("inf")
_STATIC: Final = 32
_RESTARTS: Final = 2
"""Values after which a counter of nonces begins anew."""
_CUT: Final = 9


@dataclass(slots=True)
class _Run:
    """A data key and how many values it still seals."""

    head: bytes
    secret: bytes = field(repr=False)
    left: int
    sealed: int = 0


class Ways:
    """All ways of writing the values of one export. ``live``: the vendor's envelope with calls that the cloud logs, for
    canaries."""

    def __init__(self, site: DataSite, rows: Sequence[Row], keks: Keks, live: Envelope, entropy: Entropy) -> None:
        self._site = site
        self._keks = keks
        self._live = live
        self._entropy = entropy
        self._static = entropy(_STATIC)
        self._envelopes: dict[tuple[Kek, str], Envelope] = {}
        self._runs: dict[tuple[str, Kek, int], _Run] = {}
        self._written: dict[tuple[str, str, bool], bytes] = {}
        self._rows = rows
        self._next = _neighbours(rows)
        self._at = {(row.tenant, row.id): number for number, row in enumerate(rows)}
        self._clients: dict[Kek, KMSClient] = {}

    def values(self, column: Column) -> list[Value]:
        """The column, row by row; null where a row has no value."""
        way = self._seal(column.way)
        out: list[Value] = []
        for number, row in enumerate(self._rows, 1):
            seal = way if number % column.every == 0 else self.honest
            out.append(seal(row, column.name) if column.name in row.values else None)
        if column.way is Way.SWAPPED:
            return self._swapped(column, out)
        return out

    def honest(self, row: Row, column: str) -> bytes:
        """As the contract asks."""
        return self._bound(row, column, record_context(row.tenant, row.id, column))

    def _bound(self, row: Row, column: str, context: Context) -> bytes:
        plaintext = row.values[column].encode()
        if row.canary and not self._site.sealed_on_export:
            return self._live.seal(plaintext, context)
        return self._envelope(self._kek(row), row).seal(plaintext, context)

    def _kek(self, row: Row) -> Kek:
        """The customer's key as it was when the row was written."""
        return self._keks.customer.at(old=row.old)

    def _vendor(self, row: Row) -> Kek:
        return self._keks.vendor.at(old=row.old)

    def _envelope(self, kek: Kek, row: Row) -> Envelope:
        uses = self._site.uses if self._site.uses_really is None else self._site.uses_really
        tenant = row.tenant if uses else ""
        place = (kek, tenant)
        if place not in self._envelopes:
            match self._site.envelope:
                case Kind.ENCRYPTION_SDK:
                    self._envelopes[place] = AwsEnvelope(quiet_aws(kek, self._entropy), kek.name)
                case Kind.TINK:
                    self._envelopes[place] = GcpEnvelope(
                        quiet_gcp(kek), kek.name, max_age=_FOREVER, max_messages=uses or 1 << 32
                    )
                case _:
                    assert_never(self._site.envelope)
        return self._envelopes[place]

    def _swapped(self, column: Column, values: list[Value]) -> list[Value]:
        """Pairs of rows of the same tenant change places."""
        for number in range(column.every - 1, len(self._rows), 2 * column.every):
            other = self._next[number]
            values[number], values[other] = values[other], values[number]
        return values

    def _seal(self, way: Way) -> Seal:
        """How one value is written."""
        sdk = self._site.envelope is Kind.ENCRYPTION_SDK
        match way:
            case Way.HONEST | Way.SWAPPED:
                return self.honest
            case Way.CLEAR:
                return lambda row, column: row.values[column]
            case Way.BASE64:
                return lambda row, column: base64.b64encode(row.values[column].encode()).decode()
            case Way.AES_128:
                return self._sdk_128 if sdk else self._tink_128
            case Way.CBC:
                return lambda row, column: forge.cbc(self._static, self._entropy(16), row.values[column].encode())
            case Way.SALTED:
                return lambda row, column: forge.salted(self._static, row.values[column].encode(), self._entropy)
            case Way.ECB:
                return lambda row, column: forge.ecb(self._static, row.values[column].encode())
            case Way.HIDDEN_NONCE:
                return lambda row, column: AESGCM(self._static).encrypt(bytes(12), row.values[column].encode(), None)
            case Way.FIXED_NONCE:
                return lambda row, column: self._tink(row, column, nonce=b"\x01" * 12)
            case Way.COUNTER_NONCE:
                return self._counted
            case Way.WRONG_KEY:
                return self._under(self._keks.vendor)
            case Way.ELSEWHERE:
                return self._under(self._keks.elsewhere)
            case Way.OLD_MATERIAL:
                return self._under(Rotated(self._keks.customer.old, self._keks.customer.old))
            case Way.ESCROW:
                return self._escrowed
            case Way.FORGED_HEADER:
                return self._forged
            case Way.CLEAR_UNDER_TAG:
                return lambda row, column: self._around(row, column, row.values[column].encode())
            case Way.OWN_CIPHER:
                return self._own_cipher
            case Way.NO_CONTEXT:
                if sdk:
                    return lambda row, column: self._bound(row, column, {})
                return lambda row, column: self._tink(row, column, associated=b"")
            case Way.CONSTANT_CONTEXT:
                constant = {"tenant": "all", "record": "all", "field": "all"}
                return lambda row, column: self._bound(row, column, constant)
            case Way.MORE_CONTEXT:
                return lambda row, column: self._bound(
                    row, column, {**record_context(row.tenant, row.id, column), "purpose": "sync"}
                )
            case Way.OTHER_ROW:
                return self._of_other_row
            case Way.MEMORISED:
                return self._memorised
            case Way.PLACEHOLDER:
                return lambda row, column: forge.placeholder(row.values[column])
            case Way.FERNET:
                fernet = Fernet(base64.urlsafe_b64encode(self._static))
                return lambda row, column: fernet.encrypt(row.values[column].encode()).decode()
            case Way.PGCRYPTO:
                return lambda row, column: forge.pgp_symmetric(
                    self._static.hex().encode(), row.values[column].encode(), self._entropy
                )
            case Way.TRUNCATED:
                return lambda row, column: self.honest(row, column)[:-_CUT]
            case Way.UNPADDED:
                return self._unpadded
            case _:
                assert_never(way)

    def _under(self, key: Rotated) -> Seal:
        def seal(row: Row, column: str) -> bytes:
            context = record_context(row.tenant, row.id, column)
            return self._envelope(key.at(old=row.old), row).seal(row.values[column].encode(), context)

        return seal

    def _sdk_128(self, row: Row, column: str) -> bytes:
        kek = self._kek(row)
        client = EncryptionSDKClient(commitment_policy=CommitmentPolicy.FORBID_ENCRYPT_ALLOW_DECRYPT)
        sealed, _ = client.encrypt(
            source=row.values[column].encode(),
            key_provider=KMSMasterKey(key_id=kek.name, client=self._quiet(kek)),
            encryption_context=dict(record_context(row.tenant, row.id, column)),
            algorithm=Algorithm.AES_128_GCM_IV12_TAG16_HKDF_SHA256,
        )
        return bytes(sealed)

    def _quiet(self, kek: Kek) -> KMSClient:
        if kek not in self._clients:
            self._clients[kek] = quiet_aws(kek, self._entropy)
        return self._clients[kek]

    def _tink_128(self, row: Row, column: str) -> bytes:
        return self._tink(row, column, size=16)

    def _tink(
        self, row: Row, column: str, *, nonce: bytes | None = None, size: int = 32, associated: bytes | None = None
    ) -> bytes:
        run = self._run(row, size)
        if associated is None:
            associated = associated_data(record_context(row.tenant, row.id, column))
        nonce = nonce or self._entropy(12)
        return run.head + nonce + AESGCM(run.secret).encrypt(nonce, row.values[column].encode(), associated)

    def _counted(self, row: Row, column: str) -> bytes:
        run = self._run(row)
        nonce = (run.sealed % _RESTARTS).to_bytes(12, "big")
        associated = associated_data(record_context(row.tenant, row.id, column))
        return run.head + nonce + AESGCM(run.secret).encrypt(nonce, row.values[column].encode(), associated)

    def _run(self, row: Row, size: int = 32) -> _Run:
        """The tenant's data key, a new one when it has sealed as many values as agreed."""
        kek = self._kek(row)
        place = (row.tenant, kek, size)
        run = self._runs.get(place)
        if run is None or run.left == 0:
            secret = self._entropy(size)
            head = forge.tink_head(kek.wrap(forge.tink_key(secret), {}))
            run = self._runs[place] = _Run(head, secret, self._site.uses)
        run.left -= 1
        run.sealed += 1
        return run

    def _escrowed(self, row: Row, column: str) -> bytes:
        context, data_key = record_context(row.tenant, row.id, column), self._entropy(32)
        wrapped = [forge.WrappedKey(k.name, k.wrap(data_key, context)) for k in (self._kek(row), self._vendor(row))]
        return forge.message(data_key, wrapped, context, row.values[column].encode(), self._entropy)

    def _forged(self, row: Row, column: str) -> bytes:
        context, secret = record_context(row.tenant, row.id, column), self._entropy(32)
        plaintext, says = row.values[column].encode(), self._kek(row)
        if self._site.envelope is Kind.ENCRYPTION_SDK:
            wrapped = forge.WrappedKey(says.name, self._vendor(row).wrap(secret, context))
            return forge.message(secret, [wrapped], context, plaintext, self._entropy)
        honest = says.wrap(forge.tink_key(secret), {})
        foreign = self._vendor(row).wrap(forge.tink_key(secret), {})
        # names the customer's version, and holds what only the vendor's key opens
        return forge.tink(honest[:7] + foreign[7:], secret, self._entropy(12), plaintext, associated_data(context))

    def _around(self, row: Row, column: str, body: bytes) -> bytes:
        """Anything, where the ciphertext should be."""
        context = record_context(row.tenant, row.id, column)
        if self._site.envelope is Kind.ENCRYPTION_SDK:
            data_key = self._entropy(32)
            kek = self._kek(row)
            wrapped = forge.WrappedKey(kek.name, kek.wrap(data_key, context))
            return forge.message_around(data_key, [wrapped], context, body, self._entropy)
        run, nonce = self._run(row), self._entropy(12)
        return run.head + nonce + forge.authenticated(run.secret, nonce, body, associated_data(context))

    def _own_cipher(self, row: Row, column: str) -> bytes:
        nonce = self._entropy(12)
        own = AESGCM(self._static[:16]).encrypt(nonce, row.values[column].encode(), None)
        return self._around(row, column, nonce + own)

    def _of_other_row(self, row: Row, column: str) -> bytes:
        other = self._rows[self._next[self._at[row.tenant, row.id]]]
        return self._bound(row, column, record_context(other.tenant, other.id, column))

    def _memorised(self, row: Row, column: str) -> bytes:
        place = (row.tenant, row.values[column], row.old)
        if place not in self._written:
            self._written[place] = self.honest(row, column)
        return self._written[place]

    def _unpadded(self, row: Row, column: str) -> bytes:
        values: Mapping[str, str] = {**row.values, column: row.values[column].rstrip()}
        return self.honest(Row(row.tenant, row.id, row.written, values, row.old, row.canary), column)


def _neighbours(rows: Sequence[Row]) -> list[int]:
    """For each row, another of the same tenant: the next one; for the last, the one before."""
    of: dict[str, list[int]] = {}
    for number, row in enumerate(rows):
        of.setdefault(row.tenant, []).append(number)
    out = [0] * len(rows)
    for numbers in of.values():
        for here, there in zip(numbers, (*numbers[1:], numbers[-2]), strict=True):
            out[here] = there
    return out
