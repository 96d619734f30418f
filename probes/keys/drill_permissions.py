"""What drills need, of every identity and of the keys themselves: `keycheck permissions --drills`. Pure.

Derived from the tables that the drills' own checks ask from, so that what is printed is what is used.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from keycheck.errors import UsageError
from keycheck.model.authorization import Technique
from keycheck.model.deployment import Identity
from probes.keys.drill.aws_papers import aws_papers
from probes.keys.drill.gcp_papers import gcp_papers
from probes.keys.drill.parts import KINDS, parts_of
from probes.keys.permissions import Paper
from probes.keys.subjects import Key


def drill_papers(keys: Iterable[Key], technique: Technique, identities: Sequence[Identity]) -> Iterator[Paper]:
    """What drills of this technique need on these keys. Raises UsageError where none of them has any."""
    parts = [part for key in keys for part in parts_of(key, technique)]
    if not parts:
        known = ", ".join(sorted({technique.value for technique, _ in KINDS}))
        raise UsageError(
            f"no key of the plan can be drilled by {technique}",
            advice=f"declare `drill:` (and its `canary_key`, to rotate one) for a key; --technique is one of {known}",
        )
    yield from aws_papers([part for part in parts if part.key.provider == "aws"], identities)
    yield from gcp_papers([part for part in parts if part.key.provider == "gcp"])
