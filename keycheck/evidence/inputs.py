"""What a run commits itself to before it starts: its inputs, each under a salt of its own.

An input (a deployment, an authorization) may have to be withheld one day, and a plain hash of it could be
guessed. So its leaf is over ``salt || bytes``, and run-start.json names it by the commitment
``SHA-256("keycheck input/1" 0x00 salt bytes)``. The salt lies beside it as ``inputs/NAME.salt``: 64 hex digits
and a newline. Whoever holds both can check; whoever holds neither learns nothing but name and length.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256

from keycheck.canonical import Json, Jsonable
from keycheck.errors import IntegrityError
from keycheck.evidence.layout import SALT_BYTES
from keycheck.evidence.merkle import Hasher

DOMAIN = b"keycheck input/1\x00"

_SIDECAR = re.compile(rb"[0-9a-f]{64}\n")


@dataclass(frozen=True, slots=True)
class SaltedInput:
    """An input and the random bytes that hide it. Raises ValueError for a salt of another length."""

    data: bytes = field(repr=False)
    salt: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.salt) != SALT_BYTES:
            raise ValueError(f"a salt has {SALT_BYTES} bytes")

    @property
    def content(self) -> bytes:
        """The content of its leaf."""
        return self.salt + self.data

    @property
    def sidecar(self) -> bytes:
        """The file ``inputs/NAME.salt``."""
        return self.salt.hex().encode("ascii") + b"\n"

    @property
    def commitment(self) -> str:
        """How run-start.json names it, in hex."""
        return sha256(DOMAIN + self.content).hexdigest()


def salted(data: bytes, random: Callable[[int], bytes]) -> SaltedInput:
    """An input under a fresh salt; ``random`` gives as many unpredictable bytes."""
    return SaltedInput(data, random(SALT_BYTES))


def salt_of(name: str, sidecar: bytes) -> bytes:
    """The salt in the file ``name``. Raises IntegrityError when that is not in its one form."""
    if not _SIDECAR.fullmatch(sidecar):
        raise IntegrityError(
            f"{name} is not a salt: 64 lower-case hex digits and a newline",
            advice="Fetch the bundle again from its signer; without the salt the input cannot be checked.",
        )
    return bytes.fromhex(sidecar[:-1].decode("ascii"))


def committing(salt: bytes) -> Hasher:
    """A hash object that becomes an input's commitment once its bytes were fed to ``update``."""
    return sha256(DOMAIN + salt)


def committed(name: str, commitment: str) -> dict[str, str]:
    """One member of ``inputs`` in run-start.json; ``name`` is below inputs/."""
    return {"name": name, "commitment": commitment}


def commitments(inputs: Mapping[str, SaltedInput]) -> list[dict[str, str]]:
    """The ``inputs`` of run-start.json, by name."""
    return [committed(name, inputs[name].commitment) for name in sorted(inputs)]


def holds(run_start: Json, expected: Jsonable) -> bool:
    """Whether a run-start record commits itself to exactly these inputs."""
    return isinstance(run_start, dict) and run_start.get("inputs") == expected
