"""What AWS takes for imported material: a token of its own, and the material under its wrapping key."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final, Protocol

from keycheck.errors import ProbeError
from keycheck.model.deployment import FileRef
from keycheck.model.verdict import Reason
from probes.clouds.aws.arns import KmsArn
from probes.clouds.aws.reading import instant, parsing
from probes.keys.drill.aws_calls import Hand
from probes.keys.drill.wrapping import local, read_file, wrapped

ALGORITHM: Final = "RSAES_OAEP_SHA_256"
"""For 32 octets nothing more is needed."""
WRAPPING_KEY: Final = "RSA_4096"


@dataclass(frozen=True, slots=True)
class ImportParameters:
    """One answer to GetParametersForImport. Token and key belong together, for one key in one Region, for a day."""

    token: bytes = field(repr=False)
    public: bytes
    """DER SubjectPublicKeyInfo."""
    valid_to: datetime


class InEscrow(Protocol):
    """Where one material lies: `wrapped` with its `token`, or `local`; beside the deployment file."""

    @property
    def wrapped(self) -> FileRef | None:
        """Wrapped beforehand."""

    @property
    def token(self) -> FileRef | None:
        """Of the same answer as the key that wrapped it."""

    @property
    def local(self) -> FileRef | None:
        """Plain octets."""


def import_parameters(who: Hand, arn: KmsArn) -> ImportParameters:
    """GetParametersForImport. Raises ProbeError."""
    operation = "kms:GetParametersForImport"
    answer = who.ask(operation, arn.region, KeyId=str(arn), WrappingAlgorithm=ALGORITHM, WrappingKeySpec=WRAPPING_KEY)
    token, public = answer.get("ImportToken"), answer.get("PublicKey")
    if not isinstance(token, bytes) or not isinstance(public, bytes):
        raise ProbeError(Reason.MALFORMED, f"{operation}: answered no token or no key")
    with parsing(operation):
        return ImportParameters(token, public, instant(answer, "ParametersValidTo"))


def brought(who: Hand, arn: KmsArn, escrow: InEscrow, base: Path) -> tuple[bytes, bytes]:
    """Import token and wrapped material, from escrow. Raises ProbeError."""
    if escrow.wrapped is not None and escrow.token is not None:
        return read_file(base / escrow.token), read_file(base / escrow.wrapped)
    if escrow.local is None:
        raise ProbeError(Reason.MALFORMED, "the drill's own record names no escrow")
    given = import_parameters(who, arn)
    return given.token, wrapped(local(base / escrow.local), given.public)
