"""The profile: a contract as code, resolved (inheritance applied, parameters substituted, `with` validated).

Reading YAML with file, line and column is the work of `keycheck.files.profile`; these types are what the
judge, the plan and the bundle hold.
"""

from __future__ import annotations

import base64
import hashlib
from datetime import date
from fnmatch import fnmatchcase
from typing import Annotated, Literal, TypeAlias

from pydantic import AfterValidator, Field, StringConstraints

from keycheck.model.types import CanonicalJson, ClauseId, Count, Digest, Duration, Model, Name, Prose, SortedSet
from keycheck.model.verdict import Assurance, Tier

ControlRef: TypeAlias = Annotated[
    str, StringConstraints(pattern=r"^[a-z][a-z0-9-]*(\.[a-z][a-z0-9-]*)+@[1-9][0-9]{0,5}$")
]
"""`id@version`, as in `tls.protocols@1`."""
SubjectPattern: TypeAlias = Annotated[
    str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*(/[a-z0-9*?][a-z0-9._*?-]{0,62})?$")
]
"""A section (`endpoints`), or a section and a glob over ids (`endpoints/api-*`)."""


def covers(pattern: str, subject: str) -> bool:
    """Whether a subject pattern (`endpoints`, `endpoints/api-*`) covers `section/id`."""
    section, _, glob = pattern.partition("/")
    its_section, _, its_id = subject.partition("/")
    return section == its_section and fnmatchcase(its_id, glob or "*")


Tag: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9.:_/() -]{0,62}$")]
Positive: TypeAlias = Annotated[int, Field(ge=1, le=100_000)]


class EvidenceDemands(Model):
    """What a pass needs besides every member passing. Demands only ever take passes away."""

    assurance: Assurance = Assurance.STATED
    max_age: Duration | None = None
    """A pass is `inconclusive(stale)` from observation + max_age on; a fail does not age."""
    vantages: Positive = 1
    """Distinct vantages from which each part was seen."""
    coverage: tuple[Count, Positive] = (1, 1)
    """Least share of what exists that was examined, as a ratio of integers."""
    samples: Positive = 1
    """Least number of tries; n tries that all agree bound a dissenting share by 1-α^(1/n)."""


class Demand(Model):
    """One control demanded for a set of subjects."""

    control: ControlRef
    for_: SubjectPattern = Field(alias="for")
    with_: CanonicalJson = Field(alias="with", default=CanonicalJson("{}"))
    """The control's parameters, validated by its own model."""
    evidence: EvidenceDemands = EvidenceDemands()

    @property
    def control_id(self) -> str:
        """The control without its version."""
        return self.control.partition("@")[0]


class Planned(Model):
    """A promise whose control does not exist yet: comes out as `not-tested(planned)`, never hidden."""

    planned: Prose


Requirement: TypeAlias = Demand | Planned


class Remedy(Model):
    """What the contract says follows from a failure."""

    cure_within: Duration | None = None
    consequence: Prose | None = None


class Clause(Model):
    """One promise of the contract."""

    id: ClauseId
    text: Prose
    ref: Annotated[str, StringConstraints(max_length=200)] = ""
    tags: tuple[Tag, ...] = ()
    tier: Tier
    remedy: Remedy = Remedy()
    requires: Annotated[tuple[Requirement, ...], Field(min_length=1)]


def _calendar_date(value: str) -> str:
    try:
        date.fromisoformat(value)
    except ValueError:
        raise ValueError("there is no such date; write e.g. 2026-07-01") from None
    return value


class Contract(Model):
    """Which paper the profile stands for."""

    ref: Prose
    text_sha256: Digest | None = None
    effective: (
        Annotated[str, StringConstraints(pattern=r"^\d{4}-\d\d-\d\d$"), AfterValidator(_calendar_date)] | None
    ) = None


def _base64(value: str) -> str:
    """Exactly one spelling: what decodes must encode to the same text."""
    try:
        same = base64.b64encode(base64.b64decode(value, validate=True)).decode("ascii") == value
    except ValueError:
        same = False
    if not same:
        raise ValueError("is not base64; copy it from `keycheck key show`")
    return value


Paper: TypeAlias = Literal["authorization", "waiver"]


class Approver(Model):
    """Whose signature counts on waivers and authorizations: a name and a public key."""

    name: Prose
    public_key: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9+/]{40,400}={0,2}$"), AfterValidator(_base64)]
    """DER SubjectPublicKeyInfo in base64, as `keycheck key show` prints it."""
    may: Annotated[SortedSet[Paper], Field(min_length=1)] = frozenset({"authorization", "waiver"})
    """What the signature counts on. A vendor that co-signs authorizations gets `[authorization]` and nothing else."""

    @property
    def key(self) -> str:
        """The key id: hex SHA-256 of the DER."""
        return hashlib.sha256(base64.b64decode(self.public_key)).hexdigest()


class Source(Model):
    """One file that the profile was resolved from, the profile itself first."""

    profile: Name
    version: Positive
    sha256: Digest


class Profile(Model):
    """A resolved profile. `sources` names every file by digest; clause order is that of the files."""

    profile: Name
    version: Positive
    title: Prose
    contract: Contract | None = None
    sources: Annotated[tuple[Source, ...], Field(min_length=1)]
    approvers: tuple[Approver, ...] = ()
    clauses: Annotated[tuple[Clause, ...], Field(min_length=1)]
