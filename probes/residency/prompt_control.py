"""The control over what prompts hold. Pure."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from keycheck.model.control import Control, Tighter
from keycheck.model.facts import Facts
from keycheck.model.types import Name, SortedSet
from keycheck.model.verdict import Reason, Verdict
from probes.residency.flow_facts import PromptFacts
from probes.weighing import Judgement, shown


class Identifiers(Control, id="prompts.identifiers", version=1):
    """No direct identifier of a person that the contract forbids was sent to the model."""

    proves = (
        "In the captured prompts, every one of which was read, no detector found an identifier of the forbidden kinds; "
        "where one has a checksum, it was checked."
    )
    does_not_prove = (
        "That nothing else was sent: the capture is as whole as whoever made it was honest. Names in free text, "
        "indirect "
        "identifiers and pictures are not recognised, nor what is split over several texts, "
        "enciphered, or in a HAR's headers and cookies; persons may be told from what else is said of them."
    )
    caveat = "a detector knows the forms of identifiers, not the persons: see docs/residency.md for what each finds"
    example = "{control: prompts.identifiers@1, for: prompts, with: {forbidden: [email, iban, phone, pan]}}"
    sources = ("Regulation (EU) 2016/679, articles 4(1), 5(1)(c)",)
    needs: ClassVar[tuple[type[Facts], ...]] = (PromptFacts,)
    section: ClassVar[str] = "prompts"

    forbidden: Annotated[SortedSet[Name], Field(min_length=1), Tighter("superset")]
    """Kinds as `keycheck residency detectors` lists them."""

    def judge(self, facts: PromptFacts) -> Verdict:
        """What was found, and what was not read."""
        found = Judgement()
        if unknown := self.forbidden - {*facts.detectors}:
            found.doubt(f"no detector looks for {shown(unknown)}", Reason.UNSUPPORTED)
        for one in facts.identifiers:
            if one.kind not in self.forbidden:
                continue
            what = f"{one.requests} requests hold {one.kind} ({one.found} found; {shown(one.places)})"
            if one.exact:
                found.breach(what)
            else:
                found.doubt(f"{what}, or what looks like it", Reason.CONFLICTING)
        for unseen in facts.left_out:
            found.doubt(unseen.detail, unseen.reason)
        if facts.unread:
            found.doubt(f"{facts.unread} contents could not be looked into: pictures, sound, encodings")
        if not facts.requests or not facts.texts:
            found.doubt("the capture holds no prompt", Reason.NO_POSITIVE)
        if facts.expected is not None and facts.requests != facts.expected:
            found.doubt(f"{facts.requests} requests were captured, of {facts.expected} that were counted")
        if facts.handed_over is False:
            found.doubt("the files are not those that were handed over", Reason.CONFLICTING)
        if facts.captured_by == "vendor":
            found.lean("the capture is the vendor's own")
        return found.verdict(f"{facts.texts} texts of {facts.requests} requests hold no {shown(self.forbidden)}")
