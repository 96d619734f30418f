"""What another process needs to put a drill's change back: where to look from, and as whom. No secrets.

Everything that restoring needs of the deployment is copied here, so that neither a later edit of the deployment file
nor a broken plugin of another area can keep a change from being undone. Secrets stay where the deployment
refers to them (`env:NAME`, `file:PATH` beside the deployment file, the SDKs' own chains).
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field, StringConstraints, ValidationError

from keycheck.canonical import CanonicalError, dumps, loads
from keycheck.errors import IntegrityError
from keycheck.evidence.files import create, read_bounded
from keycheck.model.authorization import Technique
from keycheck.model.deployment import Deployment, Identity, Vantage
from keycheck.model.probe import Io, Resolver
from keycheck.model.types import Clock, Entropy, Model, Name, SortedSet, SubjectId, VendorText
from keycheck.resolve import system_resolver

KIT: Final = "kit.json"
MAX_KIT: Final = 1024 * 1024


class Kit(Model):
    """What an Io is made of again."""

    format: Literal["keycheck.drill.kit/1"] = "keycheck.drill.kit/1"
    deployment: Name
    file: Annotated[str, StringConstraints(min_length=1, max_length=4096)]
    """The deployment file, absolute; what it refers to is found beside it."""
    subject: SubjectId
    claims: SortedSet[VendorText] = frozenset()
    """Names in the world (a key's ARN or resource name) that no two drills may touch at once, whatever deployment
    calls them what."""
    vantage: Vantage
    identities: tuple[Identity, ...] = ()
    authorized: SortedSet[Technique] = frozenset()
    """What was allowed when the drill began; putting back asks for no new permission."""
    budget_s: Annotated[int, Field(ge=1, le=3600)] = 60
    """For one call of the mechanism."""


def kit_for(deployment: Deployment, file: Path, subject: str, io: Io, claims: frozenset[str] = frozenset()) -> Kit:
    """The kit of a drill that uses this Io. Raises ValueError for claims that are no bounded printable text."""
    return Kit(
        deployment=deployment.deployment,
        file=str(file.resolve()),
        subject=subject,
        claims=claims,
        vantage=io.vantage,
        identities=io.identities,
        authorized=io.authorized,
        budget_s=max(1, min(3600, int(io.budget))),
    )


def load(
    kit: Kit,
    environment: Mapping[str, str],
    *,
    clock: Clock | None = None,
    entropy: Entropy = secrets.token_bytes,
    resolver: Resolver = system_resolver,
) -> Io:
    """What the mechanism may use of the world, in a process of its own.

    `environment`: what was neutralised at start, as for a run.
    """
    return Io(
        vantage=kit.vantage,
        budget=float(kit.budget_s),
        demands=(),
        samples=1,
        authorized=kit.authorized,
        base=Path(kit.file).parent,
        environment=environment,
        resolver=resolver,
        clock=clock or utc_now,
        entropy=entropy,
        identities=kit.identities,
    )


def utc_now() -> datetime:
    """The wall clock."""
    return datetime.now(UTC)


def write_kit(directory: Path, kit: Kit) -> None:
    """Put the kit into a drill's directory, on disk. Raises OSError."""
    create(directory / KIT, dumps(kit.model_dump(mode="json", by_alias=True)), mode=0o600)


def read_kit(directory: Path) -> Kit:
    """The kit of a drill. Raises IntegrityError, OSError."""
    data = read_bounded(directory / KIT, MAX_KIT)
    try:
        return Kit.model_validate(loads(data, max_bytes=MAX_KIT))
    except (CanonicalError, ValidationError) as error:
        raise IntegrityError(
            f"{KIT} of drill {directory.name} is not what keycheck wrote",
            advice="put the subject back by hand as the drill's journal says, then dismiss the drill",
        ) from error
