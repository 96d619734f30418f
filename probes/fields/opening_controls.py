"""Controls over what a sample must and must not do when it is opened. Pure."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field

from keycheck.model.control import Tighter
from keycheck.model.types import SortedSet
from keycheck.model.verdict import Reason
from probes.fields.facts import ColumnFacts, Negative
from probes.fields.field_control import FieldControl, OneIn, bounded, counted, sample
from probes.fields.recognition_controls import undecryptable
from probes.fields.subjects import FieldRule
from probes.weighing import Judgement, shown


class Tag(FieldControl, id="fields.tag", version=1):
    """The authentication tags of the sample verify under their unwrapped data keys: a holder of these sealed them."""

    proves = (
        "Under data keys that the key service unwrapped, the tags of values of the sample verify, without computing "
        "the plaintext. The step that is left where nobody may see a plaintext."
    )
    does_not_prove = (
        "Encryption. A valid tag authenticates any bytes for whoever holds the data key: clear text, or data under "
        "another key, gets one just as well (fields.encrypted shows more). Tags and commitments of a header cover the "
        "header, not the body."
    )
    example = "{control: fields.tag@1, for: datasets, with: {one_in: 100}}"
    sources = ("NIST SP 800-38D section 6.4 and 7.2", "AWS Encryption SDK message format: header authentication tag")

    one_in: Annotated[OneIn, Tighter("higher")] = 100

    def weigh(self, facts: ColumnFacts, rule: FieldRule, found: Judgement) -> str:
        """Tags of the sample."""
        opened = sample(facts, found)
        if opened is None:
            return ""
        if opened.bad_tags.count:
            found.breach(f"tags that do not verify under their own data key: {counted(opened.bad_tags)}")
        if opened.headers:
            found.lean(f"{opened.headers} header tags and commitments verified")
        return bounded(opened.tags, opened, self.one_in, "has a valid tag", found)


USUAL: Final[frozenset[Negative]] = frozenset({"ciphertext-flipped", "tag-flipped", "wrapped-flipped"})
"""What every authenticated envelope must refuse, whatever its format."""


class Tamper(FieldControl, id="fields.tamper", version=1):
    """Whatever is changed in a value of the sample, it does not open any more."""

    proves = (
        "Values of the sample open as they are, and none opens with a bit flipped in its ciphertext, tag or wrapped "
        "data key, nor with any other negative test that was tried; each of `tests` was."
    )
    does_not_prove = (
        "That the vendor's own code checks the tag before it uses what it decrypts. Values that were not drawn."
    )
    example = "{control: fields.tamper@1, for: datasets, with: {tests: [ciphertext-flipped, tag-flipped]}}"
    sources = ("NIST SP 800-38D section 7.2", "AWS KMS API Reference: Decrypt (InvalidCiphertextException)")

    tests: Annotated[SortedSet[Negative], Field(min_length=1), Tighter("superset")] = USUAL
    """Negative tests that must have been tried; the others count where a format allows them."""

    def weigh(self, facts: ColumnFacts, rule: FieldRule, found: Judgement) -> str:
        """Refusals, beside a positive twin: where nothing opens, a refusal proves nothing."""
        opened = sample(facts, found)
        if opened is None:
            return ""
        undecryptable(opened, found)
        if not opened.opened:
            found.doubt("nothing of the sample opens as it is: refusals prove nothing", Reason.NO_POSITIVE)
        tried: dict[str, int] = {}
        for test in opened.refusals:
            tried[test.name] = tried.get(test.name, 0) + test.tried - test.undecided
            if test.opened.count:
                found.breach(f"{test.name} opens all the same: {counted(test.opened)}")
            if test.undecided:
                found.doubt(f"{test.undecided} of {test.tried} attempts {test.name} were not decided")
        if missing := [name for name in self.tests if tried.get(name, 0) <= 0]:
            found.doubt(f"not tried: {shown(missing)}")
        told = ", ".join(f"{name} {count}" for name, count in sorted(tried.items()) if count > 0)
        return f"{opened.opened} values open as they are, and none of these: {told}"
