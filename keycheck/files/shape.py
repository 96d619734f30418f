"""What stands in a profile file, before inheritance and parameters are resolved.

An heir leaves out whatever it takes over unchanged, so nearly everything is optional here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final, Literal, TypeAlias

from pydantic import Field, StringConstraints

from keycheck.model.profile import (
    Approver,
    Contract,
    ControlRef,
    EvidenceDemands,
    Positive,
    Remedy,
    SubjectPattern,
    Tag,
)
from keycheck.model.types import ClauseId, Model, Name, Prose
from keycheck.model.verdict import Tier

ParameterDirection: TypeAlias = Literal["subset", "superset", "lower", "higher"]

REFERENCE: Final = r"^\$[a-z0-9][a-z0-9._-]{0,62}$"
"""A whole scalar inside `with:` that a parameter's value replaces; `$$text` is the text `$text`."""


class ParameterFile(Model):
    """A value that clauses refer to as `$name`, so that an heir changes it in one place."""

    value: Annotated[object, Field(description="Text, a number, or a list of them.")] = None
    note: Prose | None = None
    """Where the contract says so, and how it is meant."""
    tighter: ParameterDirection | None = None
    """Which change by an heir is a tightening, while no control that uses the parameter says so."""
    required: bool = False
    """There is no value yet: whoever extends this profile must give one."""


class RequirementFile(Model):
    """One control demanded for a set of subjects, or what will be checked once a control exists."""

    control: ControlRef | None = None
    """The control and its version, as in `tls.protocols@1`."""
    for_: SubjectPattern | None = Field(alias="for", default=None)
    """A section of the deployment (`endpoints`), or a section and ids (`endpoints/api-*`)."""
    with_: Annotated[object, Field(description="The control's parameters.")] = Field(alias="with", default=None)
    evidence: EvidenceDemands = EvidenceDemands()
    replaces: Prose | None = None
    """The words of the parent's `planned` requirement that this control now checks."""
    planned: Prose | None = None
    """What will be checked once a control exists; comes out as not-tested."""


class ClauseFile(Model):
    """One promise of the contract. An heir names the id and what it changes or adds."""

    id: ClauseId
    text: Prose | None = None
    """The promise, quoted."""
    ref: Annotated[str, StringConstraints(max_length=200)] | None = None
    """Where the contract says so."""
    tags: tuple[Tag, ...] = ()
    """What else asks for it, as in `gdpr:32`."""
    tier: Tier | None = None
    remedy: Remedy = Remedy()
    requires: tuple[RequirementFile, ...] = ()


class ProfileFile(Model):
    """A contract as code: what the vendor promised, and how it is to be proved."""

    profile: Name
    version: Positive
    title: Prose
    contract: Contract | None = None
    extends: Annotated[str, StringConstraints(min_length=1, max_length=1000)] | None = None
    """A shipped profile's name, or a path relative to this file. An heir may only tighten."""
    parameters: Mapping[Name, ParameterFile] = {}
    approvers: tuple[Approver, ...] = ()
    """Whose signatures count on waivers and authorizations."""
    clauses: tuple[ClauseFile, ...] = ()
