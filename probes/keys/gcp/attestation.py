"""An attestation of Cloud HSM, verified offline. Pure.

Proves, when both chains end at different pinned roots and the statement is signed: a hardware module whose key the
maker certified as one of its cards, and Google as one of its own, stated these attributes when the version was made or
imported. Proves nothing about where the version is used since, and nothing fresh: none of our bytes are in it.

Source: https://cloud.google.com/kms/docs/attest-key. Where the roots are published: the maker's (Marvell) at
https://www.marvell.com/content/dam/marvell/en/public-collateral/security-solutions/liquid_security_certificate.zip, it
ended on 2025-11-16; Google's at https://www.gstatic.com/cloudhsm/roots/global_1498867200.pem, until 2030-01-01.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from keycheck.model.types import vendor_text
from probes.keys.gcp.attestation_tlv import SIGNATURE, Stated, StatementError, stated
from probes.keys.gcp.chain import Built, chained, key_of, replaced, worst
from probes.keys.gcp_facts import Attestation, Chain, ChainStatus

MAX_CONTENT: Final = 262_144
"""Compressed bytes; real ones have about two thousand."""
MAX_STATEMENT: Final = 1_048_576
_FORMATS: Final[dict[str, Literal[1, 2]]] = {"CAVIUM_V1_COMPRESSED": 1, "CAVIUM_V2_COMPRESSED": 2}
_GZIP: Final = 31
"""zlib's number for gzip with a full window."""

_Statement = Literal["signed", "not-signed", "malformed", "unknown-format"]


@dataclass(frozen=True, slots=True)
class Answered:
    """An attestation as the API answered it."""

    format: str
    content: bytes
    maker: tuple[str, ...]
    """`cavium_certs`, PEM."""
    cloud_card: tuple[str, ...]
    cloud_partition: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Read:
    statement: _Statement
    detail: str
    attributes: Stated | None = None


def verified(
    answered: Answered, names: Sequence[str], roots: Sequence[x509.Certificate], looked: datetime
) -> Attestation:
    """Judge nothing, verify everything. `names`: the version's resource name, its project by id and by number."""
    maker = chained(answered.maker, roots, 2, looked)
    card = chained(answered.cloud_card, roots, 1, looked)
    partition = chained(answered.cloud_partition, roots, 1, looked)
    read = _read(answered, maker, partition)
    return Attestation(
        format=vendor_text(answered.format),
        sha256=hashlib.sha256(answered.content).hexdigest(),
        maker=_independent(maker, card),
        cloud=_cloud(maker, card, partition),
        statement=read.statement,
        names="nothing" if read.attributes is None else read.attributes.names(names),
        extractable="not-stated" if read.attributes is None else read.attributes.extractable(),
        detail=vendor_text(read.detail),
    )


def _independent(maker: Built, cloud: Built) -> Chain:
    """Two chains to one root are one party's word twice."""
    if maker.root is not None and cloud.root is not None and key_of(maker.root) == key_of(cloud.root):
        return replaced(maker.chain, ChainStatus.NOT_CHAINED, "it ends at the same root as the cloud's own chain")
    return maker.chain


def _cloud(maker: Built, card: Built, partition: Built) -> Chain:
    chain = worst(card, partition)
    if not maker.modules or not card.modules or not partition.modules:
        return chain
    for ours, theirs, what in ((card, maker.modules[0], "card"), (partition, maker.modules[1], "partition")):
        if key_of(ours.modules[0]) != key_of(theirs):
            return replaced(chain, ChainStatus.NOT_CHAINED, f"it certifies another {what} than the maker's chain")
    return chain


def _read(answered: Answered, maker: Built, partition: Built) -> _Read:
    version = _FORMATS.get(answered.format)
    if version is None:
        return _Read("unknown-format", "keycheck does not know the format")
    plain = _unzipped(answered.content)
    if plain is None or len(plain) <= SIGNATURE:
        return _Read("malformed", "the content is no gzip of a signed statement, or too large")
    data, signature = plain[:-SIGNATURE], plain[-SIGNATURE:]
    if not maker.modules or not partition.modules:
        return _Read("not-signed", "there are not two chains that certify the key that should have signed it")
    signer = maker.modules[1]
    if key_of(signer) != key_of(partition.modules[0]):
        return _Read("not-signed", "the two chains certify different partitions")
    if not _signed(signer, signature, data):
        return _Read("not-signed", "the signature is not by the certified partition")
    try:
        return _Read("signed", "", stated(data, version))
    except StatementError as error:
        return _Read("malformed", f"signed, but its attributes cannot be read: {error}")


def _unzipped(content: bytes) -> bytes | None:
    """One gzip member and nothing after it, bounded; None for anything else."""
    if len(content) > MAX_CONTENT:
        return None
    machine = zlib.decompressobj(_GZIP)
    try:
        plain = machine.decompress(content, MAX_STATEMENT)
    except zlib.error:
        return None
    return plain if machine.eof and not machine.unused_data else None


def _signed(signer: x509.Certificate, signature: bytes, data: bytes) -> bool:
    key = signer.public_key()
    if not isinstance(key, rsa.RSAPublicKey) or key.key_size != SIGNATURE * 8:
        return False
    try:
        key.verify(signature, data, padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature:
        return False
    return True
