"""Judging stored evidence again: the same bytes for the same inputs, also under an amended profile."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from keycheck.assess import Inputs, assess
from keycheck.errors import IntegrityError
from keycheck.evidence.keys import PublicKey
from keycheck.evidence.layout import ASSESSMENT, RUN_START
from keycheck.evidence.reader import BundleReader
from keycheck.evidence.verify import Verified, verify_reader
from keycheck.model.assessment import Assessment
from keycheck.model.deployment import Deployment
from keycheck.model.observation import Observation
from keycheck.model.profile import Profile
from keycheck.model.types import Instant
from keycheck.model.verdict import Tier
from keycheck.papers import Paper, accepted, idle, lapsed, read_paper
from keycheck.registry import Registry

_WAIVER = re.compile(r"^waivers/(\d{3,})\.yaml$")


@dataclass(frozen=True, slots=True)
class Amendments:
    """What replaces the bundle's own inputs; None keeps them."""

    profile: Profile | None = None
    waivers: tuple[Path, ...] | None = None
    as_of: datetime | None = None
    fail_on: Tier | None = None


@dataclass(frozen=True, slots=True)
class Rejudged:
    """The new assessment, what was verified first, and what does not count."""

    assessment: Assessment
    profile: Profile
    """The profile that it was judged under."""
    verified: Verified
    remarks: tuple[str, ...]


class _Start(BaseModel):
    """What judging needs of the run-start record; the rest of it is for people."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    started: Instant
    fail_on: Tier


def rejudge(path: Path, amendments: Amendments, trusted: Sequence[PublicKey], registry: Registry) -> Rejudged:
    """Verify the bundle, then judge its observations. Raises IntegrityError when it does not verify."""
    with BundleReader.open(path) as reader:
        verified = verify_reader(reader, trusted)
        inputs = reader.inputs()
        try:
            start = _Start.model_validate_json(reader.read(RUN_START))
            committed = Profile.model_validate_json(_input(inputs, "profile.json"))
            stored = Assessment.model_validate_json(reader.read(ASSESSMENT))
            deployment = Deployment.model_validate_json(_input(inputs, "deployment.json"))
            observations = [Observation.model_validate_json(line) for line in reader.observations()]
        except (ValidationError, ValueError) as error:
            raise IntegrityError(
                f"{path} verifies, but holds something that this version of keycheck cannot read: "
                f"{type(error).__name__}",
                advice="judge it with the version that made it (see run-start.json, `tool`)",
            ) from error
    profile = amendments.profile or committed
    papers = (
        [read_paper(waiver) for waiver in amendments.waivers]
        if amendments.waivers is not None
        else list(_stored_waivers(inputs))
    )
    waivers, remarks = accepted(papers, profile)
    ended = max((observation.ended for observation in observations), default=start.started)
    judged = assess(
        Inputs(
            profile=profile,
            deployment=deployment,
            observations=observations,
            waivers=waivers,
            as_of=amendments.as_of or ended,
            fail_on=amendments.fail_on or start.fail_on,
        ),
        registry,
    )
    late = (*lapsed(waivers, max(judged.as_of, ended)), *idle(waivers, judged))
    differing = _differing(stored, judged) if amendments == Amendments() else ()
    return Rejudged(judged, profile, verified, (*remarks, *late, *_otherwise(committed, profile), *differing))


def _otherwise(committed: Profile, judged: Profile) -> tuple[str, ...]:
    """A sentence when the profile judged under is not the one that the run committed itself to."""
    if committed == judged:
        return ()
    return (
        f"judged under {judged.profile}@{judged.version} (sha256 {judged.sources[0].sha256}), not under "
        f"{committed.profile}@{committed.version} (sha256 {committed.sources[0].sha256}) that the run committed to",
    )


def _differing(stored: Assessment, judged: Assessment) -> tuple[str, ...]:
    """A sentence when the bundle's own assessment is not what its evidence leads to. Prose does not count."""
    if stored.as_of != judged.as_of or _identity(stored) == _identity(judged):
        return ()
    return (
        f"the bundle's own assessment says {stored.verdict} with exit code {int(stored.exit_code)}; its evidence, "
        f"judged by this version, leads to {judged.verdict} with exit code {int(judged.exit_code)}",
    )


def _identity(assessment: Assessment) -> Assessment:
    findings = tuple(finding.model_copy(update={"message": ""}) for finding in assessment.findings)
    return assessment.model_copy(update={"findings": findings})


def _input(inputs: Mapping[str, bytes], name: str) -> bytes:
    if name not in inputs:
        raise ValueError(f"the bundle has no inputs/{name}")
    return inputs[name]


def _stored_waivers(inputs: Mapping[str, bytes]) -> Sequence[Paper]:
    return [
        Paper(f"inputs/{name}", data, inputs.get(f"waivers/{match[1]}.dsse.json", b""))
        for name, data in sorted(inputs.items())
        if (match := _WAIVER.match(name))
    ]
