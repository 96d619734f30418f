"""What a drill's own bundle says of it, for whoever fetches its late logs: facts from signed evidence, never from a
loose file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from keycheck.drill.home import Home
from keycheck.drill.journal import is_locked
from keycheck.drill.kept import bundle_of
from keycheck.errors import IntegrityError, UsageError
from keycheck.evidence.keys import PublicKey
from keycheck.evidence.reader import BundleReader
from keycheck.evidence.verify import verify_reader
from keycheck.model.facts import Seen
from keycheck.model.observation import Observation
from keycheck.model.types import CanonicalJson


@dataclass(frozen=True, slots=True)
class Earlier:
    """One drill, as its bundle holds it."""

    subject: str
    probe: str
    """Id of the probe."""
    facts: CanonicalJson
    bundle: Path


def earlier(home: Home, drill: str, bundle: Path | None, trusted: Sequence[PublicKey]) -> Earlier:
    """The facts of a drill, from the bundle that it was first recorded in, verified. `bundle`: where that was moved to.

    Raises UsageError, IntegrityError, OSError.
    """
    directory = home.directory(drill)
    if not directory.is_dir():
        raise UsageError(f"there is no drill {drill} in {home.root}", advice="see `keycheck drill status`")
    if is_locked(directory):
        raise UsageError(f"drill {drill} is still running", advice="wait until it has ended: its bundle comes last")
    evidence = bundle_of(directory)
    path = bundle or Path(evidence.path)
    if not path.is_file():
        raise UsageError(f"the bundle of drill {drill} is not at {path}", advice="say where it is with --bundle")
    with BundleReader.open(path) as reader:
        verified = verify_reader(reader, trusted)
        if verified.manifest_sha256 != evidence.manifest_sha256:
            raise IntegrityError(
                f"{path} verifies, but is not the bundle of drill {drill}", advice="say where that one is with --bundle"
            )
        for line in reader.observations():
            try:
                observation = Observation.model_validate_json(line)
            except ValidationError as error:
                raise IntegrityError(
                    f"{path} holds a line that this version cannot read", advice="use the version that made it"
                ) from error
            if isinstance(observation.outcome, Seen) and _occasion(observation.outcome.facts) == drill:
                probe = observation.probe.partition("/")[0]
                return Earlier(observation.subject, probe, observation.outcome.facts, path)
    raise UsageError(f"{path} holds nothing that drill {drill} saw", advice="it was not done: see `keycheck judge`")


def _occasion(facts: CanonicalJson) -> object:
    return facts.parsed().get("occasion")
