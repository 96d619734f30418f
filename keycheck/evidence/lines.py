"""What every observation line must satisfy to be evidence, whatever it observed.

The writer and the verifier hold lines to the same rules: canonical JSON object; ``run`` is the digest of the
run-start record; ``seq`` counts from 1 without a gap, so that none can be dropped or moved unseen; ``salt`` is
there, so that the line can be withheld one day without being guessed; references to blobs are well formed.
What the rest of a line means is for the judge.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from keycheck.canonical import CanonicalError, Json, loads
from keycheck.errors import IntegrityError
from keycheck.evidence.layout import MAX_BLOB, MAX_LINE
from keycheck.model.observation import BlobRef, Disposition

_COMMITMENT = re.compile(r"[0-9a-f]{64}", re.ASCII)
_SALT = re.compile(r"[0-9a-f]{32}", re.ASCII)
_MEMBERS = frozenset(BlobRef.model_fields)
MAX_TEXT = 255


class LineChecker:
    """Checks observation lines in their order and keeps account of the blobs they name."""

    __slots__ = ("_run", "count", "published", "withheld")

    def __init__(self, run: str) -> None:
        self._run = run
        self.count = 0
        self.published: dict[str, int] = {}
        """Size of the original by commitment, for each blob that must be in the bundle."""
        self.withheld = 0
        """References whose bytes are not in the bundle."""

    def check(self, line: bytes) -> None:
        """Take the next line, without its newline. Raises IntegrityError."""
        try:
            observation = loads(line, max_bytes=MAX_LINE)
        except CanonicalError as error:
            raise bad_observation(self.count + 1, f"is {error}") from error
        self.take(observation)

    def take(self, observation: Json) -> None:
        """As `check`, for what a line says when its form is known to be in order. Members that no rule here is
        about (the facts) may be left out."""
        number = self.count + 1
        if not isinstance(observation, dict):
            raise bad_observation(number, "is not an object")
        if observation.get("run") != self._run:
            raise bad_observation(number, "does not carry the digest of this bundle's run-start.json")
        seq = observation.get("seq")
        if type(seq) is not int or seq != number:
            raise bad_observation(number, "does not carry that number: one is missing, moved or repeated")
        salt = observation.get("salt")
        if type(salt) is not str or not _SALT.fullmatch(salt):
            raise bad_observation(number, "does not carry a salt of 32 lower-case hex digits")
        if "blobs" in observation:
            self._account(observation["blobs"], number)
        self.count = number

    def _account(self, refs: Json, number: int) -> None:
        if not isinstance(refs, list):
            raise bad_observation(number, "has blobs that are not a list")
        for ref in refs:
            if not isinstance(ref, dict) or ref.keys() != _MEMBERS:
                raise bad_observation(number, "has a blob reference without exactly the members of one")
            commitment, size = ref["commitment"], ref["bytes"]
            if type(commitment) is not str or not _COMMITMENT.fullmatch(commitment):
                raise bad_observation(number, "has a blob commitment that is not a lower-case hex SHA-256")
            if type(size) is not int or not 0 <= size <= MAX_BLOB:
                raise bad_observation(number, f"has a blob size that is not between 0 and {MAX_BLOB}")
            for text in (ref["media_type"], ref["name"]):
                if type(text) is not str or len(text) > MAX_TEXT:
                    raise bad_observation(number, "has a blob whose name or media type is no short text")
            match ref["disposition"]:
                case Disposition.PUBLIC.value:
                    if self.published.setdefault(commitment, size) != size:
                        raise bad_observation(number, "gives a blob another size than an earlier one did")
                case Disposition.DIGEST_ONLY.value:
                    self.withheld += 1
                case _:
                    raise bad_observation(
                        number, "has a blob with a disposition unknown to this version; use a newer keycheck"
                    )


def split_lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The lines of a stream, without their newlines, in bounded memory. Raises IntegrityError."""
    rest = b""
    number = 0
    for chunk in chunks:
        lines = (rest + chunk).split(b"\n")
        rest = lines.pop()
        number += len(lines)
        yield from lines
        if len(rest) > MAX_LINE:
            raise bad_observation(number + 1, f"is longer than {MAX_LINE} bytes")
    if rest:
        raise bad_observation(number + 1, "does not end with a newline")


def bad_observation(number: int, why: str) -> IntegrityError:
    """The error about observation ``number``."""
    return IntegrityError(
        f"observation {number} {why}",
        advice="Fetch the bundle again from its signer; if it fails again, the run must be repeated.",
    )
