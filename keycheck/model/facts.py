"""Facts and the outcome of looking: `Seen(facts)` or `Unseen(reason)`. Never a verdict."""

from __future__ import annotations

from typing import Annotated, ClassVar, Final, Literal, TypeAlias

from pydantic import Field

from keycheck.canonical import MAX_DEPTH
from keycheck.model.types import CanonicalJson, Model, PartName, VendorText
from keycheck.model.verdict import Assurance, Reason

FACTS_DEPTH: Final = 2
"""Containers around the facts in the line of their observation."""


class Facts(Model):
    """What one probe saw of one part, parsed. Subclass with `schema`, `"area.kind/major"`:

        class TlsFacts(Facts, schema="tls.endpoint/1"): ...

    Within a major version fields are only added, typed `X | NotRecorded` with that default.
    """

    schema_id: ClassVar[str] = ""
    assurance: ClassVar[Assurance] = Assurance.OBSERVED
    """How facts of this kind are known unless the sighting says otherwise."""

    def __init_subclass__(cls, *, schema: str = "", **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)  # type: ignore[arg-type]
        if schema:
            cls.schema_id = schema

    def coverage(self) -> tuple[int, int]:
        """(examined, existing) in the unit of the facts; a requirement may demand a ratio."""
        return (1, 1)

    def samples(self) -> int:
        """Number of tries behind these facts. Tries are independent only where the facts say so."""
        return 1


class Seen(Model):
    """Something was seen: facts as canonical JSON, typed by the judge when a control needs them."""

    kind: Literal["seen"] = "seen"
    assurance: Assurance
    facts: CanonicalJson


class Unseen(Model):
    """Nothing can be said about the part, and why."""

    kind: Literal["unseen"] = "unseen"
    reason: Reason
    detail: VendorText


Outcome: TypeAlias = Annotated[Seen | Unseen, Field(discriminator="kind")]


class Census(Facts, schema="keycheck.census/1"):
    """Which parts a subject turned out to have, and why the list may be short.

    `open` holds the reasons for which parts may be missing (denied, truncated, resolvers disagree);
    an open or empty census is never a pass.
    """

    parts: tuple[PartName, ...]
    open: tuple[Unseen, ...] = ()


def seen(facts: Facts, assurance: Assurance | None = None) -> Seen:
    """Wrap typed facts for the evidence."""
    return Seen(
        assurance=assurance or type(facts).assurance,
        facts=CanonicalJson.of(facts.model_dump(mode="json", by_alias=True), max_depth=MAX_DEPTH - FACTS_DEPTH),
    )
