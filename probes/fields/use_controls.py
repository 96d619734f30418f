"""Controls over how data keys and nonces are used, and over rotation. Pure."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta
from typing import Annotated, Final, Literal

from pydantic import Field

from keycheck.model.control import Tighter
from keycheck.model.types import Duration, format_instant
from keycheck.model.verdict import Reason
from probes.fields.data_key_controls import wrapped_all
from probes.fields.facts import ColumnFacts, DataKeys, Opened
from probes.fields.field_control import FieldControl, alarms, all_told, copied, counted, without_data_keys
from probes.fields.key_names import names
from probes.fields.subjects import FieldRule
from probes.weighing import Judgement, shown

GCM_USES: Final = 1 << 32
"""Uses of one key with random nonces of 96 bits: NIST SP 800-38D section 8.3."""


class Nonce(FieldControl, id="fields.nonce", version=1):
    """No nonce is ever used twice under one data key."""

    proves = (
        "All nonces, with the data keys that they stand under, were compared exactly over the whole data set, this "
        "column with all others: no pair stands over two different ciphertexts. Each is as long as agreed and, where "
        "`counters` is not `allowed`, drawn at random as far as statistics can say."
    )
    does_not_prove = (
        "That values which the vendor has overwritten, or keeps elsewhere, do not repeat one of these. Nonces that a "
        "format hides are not compared: statistics may find a repeated one, and clear none."
    )
    example = "{control: fields.nonce@1, for: datasets}"
    sources = (
        "NIST SP 800-38D sections 8.2 and 8.3",
        "Böck et al.: Nonce-Disrespecting Adversaries, WOOT 2016",
        "NIST SP 800-38A appendix C (IVs of CBC)",
    )

    bits: Annotated[int, Field(ge=64, le=256), Tighter("higher")] = 96
    counters: Annotated[Literal["allowed", "refused"], Tighter("order", ("allowed", "refused"))] = "refused"
    """`refused`: nonces that count up leave it undecided, for a counter that starts again repeats them."""

    def weigh(self, facts: ColumnFacts, rule: FieldRule, found: Judgement) -> str:
        """Reuse, what could not be compared, and how nonces are made."""
        units = facts.units
        if units is None:
            found.doubt("nonces were not compared")
            return ""
        if units.reused.count:
            found.breach(f"one nonce under one data key over different ciphertexts: {counted(units.reused)}")
        if units.across.count:
            found.breach(f"a nonce and data key of this column again in another: {counted(units.across)}")
        all_told(facts, units.compared + units.hidden, "the nonce is known", found)
        if units.hidden:
            alarms(facts, found, "a hidden nonce repeats")
            found.doubt(f"{units.hidden} values hide their nonces, and statistics can only refute")
        if not units.compared:
            found.doubt("no nonce was seen", Reason.NO_POSITIVE)
        elif units.unit_bits < self.bits:
            found.breach(f"nonces have {units.unit_bits} random bits, {self.bits} are agreed")
        if units.counters and self.counters == "refused":
            found.doubt(
                "nonces count up: no reuse is in this export, but a counter that starts again repeats them; ask how it "
                "survives a restart and a restored backup"
            )
        elif units.counters:
            found.lean("they count up, as agreed")
        elif any(test.alarm for test in facts.tests if test.name == "unit-chi-square") and not copied(facts):
            found.doubt("nonces are neither random nor a counter", Reason.CONFLICTING)
        return f"{units.compared} nonces of {units.unit_bits} bits compared exactly, none used twice"


class DataKeyUse(FieldControl, id="fields.data-key-use", version=1):
    """No data key encrypts more values than agreed, none serves two tenants, and there is not just one."""

    proves = (
        "The data key of every value was told apart from the others; none stands over more values than the least of "
        "`at_most`, the data set's limit and 2^32, and none over rows of two tenants where the data set names the "
        "tenant's column."
    )
    does_not_prove = (
        "How often a data key is used outside this export. Two wrapped keys may hold the same data key: their bytes "
        "differ. Without a tenant's column nothing is said of tenants."
    )
    example = "{control: fields.data-key-use@1, for: datasets, with: {at_most: 1000000}}"
    sources = ("NIST SP 800-38D section 8.3", "GHSA-2j6r-9vv4-6gf5 (one data key under random nonces for a database)")

    at_most: Annotated[Annotated[int, Field(ge=1, le=GCM_USES)] | None, Tighter("lower")] = None
    """Values under one data key; the data set's own limit and 2^32 hold anyway."""
    single: Annotated[Literal["allowed", "refused"], Tighter("order", ("allowed", "refused"))] = "refused"
    """One data key for all values is a static key in disguise."""
    tenants: Annotated[Literal["where-declared", "required"], Tighter("order", ("where-declared", "required"))] = (
        "where-declared"
    )

    def exempt(self, facts: ColumnFacts, rule: FieldRule) -> str:
        """Without data keys."""
        return without_data_keys(facts)

    def weigh(self, facts: ColumnFacts, rule: FieldRule, found: Judgement) -> str:
        """Counts against limits."""
        keys = facts.data_keys
        if keys is None:
            found.doubt("data keys were not counted")
            return ""
        limit = min(self.at_most or GCM_USES, facts.export.limits.uses_per_data_key or GCM_USES, GCM_USES)
        all_told(facts, keys.visible, "the data key is known", found)
        if not keys.distinct:
            found.doubt("no data key was seen", Reason.NO_POSITIVE)
        if keys.most_uses > limit:
            found.breach(f"one data key stands over {keys.most_uses} values, {limit} are allowed")
        if keys.distinct == 1 and keys.visible > 1 and self.single == "refused":
            found.breach(f"one data key stands over all {keys.visible} values")
        if isinstance(facts.opened, Opened) and facts.opened.repeated.count:
            found.breach(
                f"data keys that are the same under different wrappings, a static key in disguise: "
                f"{counted(facts.opened.repeated)}"
            )
        self._tenants(facts, keys, found)
        return f"{keys.distinct} data keys, the most used over {keys.most_uses} values of at most {limit}"

    def _tenants(self, facts: ColumnFacts, keys: DataKeys, found: Judgement) -> None:
        if keys.tenants_sharing.count:
            found.breach(f"data keys that rows of several tenants share: {counted(keys.tenants_sharing)}")
        if facts.tenants_declared and not keys.tenants:
            found.doubt("which tenant's the rows are could not be read")
        elif facts.tenants_declared:
            found.lean(f"none shared among {keys.tenants} tenants")
        elif self.tenants == "required":
            found.doubt("the data set names no column of the tenant: add `tenant: COLUMN`")


class Rotation(FieldControl, id="fields.rotation", version=1):
    """Rows that were written after the declared rotation are under the new key material."""

    proves = (
        "The data keys of rows written before the rotation are under one key material, as fingerprints or versions in "
        "the wrapped keys tell, and every row written more than `grace` later is under another that no earlier row has."
    )
    does_not_prove = (
        "That old data was encrypted again, or that the old material is gone. When a row was written is what its own "
        "column says. Fingerprints group wrapped keys; that they are key material is observed, not documented."
    )
    example = "{control: fields.rotation@1, for: datasets, with: {grace: PT1H, applies: declared}}"
    sources = ("AWS KMS Developer Guide: Rotate AWS KMS keys", "Cloud KMS: Key rotation (primary version)")

    grace: Annotated[Duration, Tighter("lower")] = timedelta(hours=1)
    """Data keys that were cached may still be used for so long."""
    applies: Annotated[Literal["declared", "always"], Tighter("order", ("declared", "always"))] = "always"
    """`declared`: does not concern a data set that declares no rotation; otherwise that is undecided."""

    def exempt(self, facts: ColumnFacts, rule: FieldRule) -> str:
        """Without a rotation, where that was agreed."""
        if self.applies == "declared" and facts.export.limits.rotated is None:
            return "the data set declares no rotation (`limits.rotated`)"
        return ""

    def weigh(self, facts: ColumnFacts, rule: FieldRule, found: Judgement) -> str:
        """Materials by when their rows were written."""
        wrapped_all(facts, found)
        rotated = facts.export.limits.rotated
        if rotated is None:
            found.doubt("the data set declares no rotation: add `limits: {rotated: INSTANT}`")
            return ""
        spans = _spans(facts, found)
        old = {name: span for name, span in spans.items() if span[0] < rotated}
        new = {name: span for name, span in spans.items() if span[0] >= rotated}
        for name, (_, last) in old.items():
            if last > rotated + self.grace and new:  # all under one: encrypted again, or never rotated
                found.breach(
                    f"key material {name[:12]} was in use before the rotation of {format_instant(rotated)}, and for a "
                    f"row written at {format_instant(last)}"
                )
        if not old:
            found.doubt("no row was written before the rotation: nothing to compare with", Reason.NO_POSITIVE)
        if not new and any(last >= rotated for _, last in old.values()):
            found.doubt(
                "rows written before the rotation and after it are under the same key material: never rotated, and "
                "encrypted again since, look alike",
                Reason.NO_POSITIVE,
            )
        elif not new:
            found.doubt("no row was written after the rotation under other key material", Reason.NO_POSITIVE)
        if len(new) > 1:
            found.doubt(
                f"rows after the rotation are under {len(new)} key materials: which is the new one is not known"
            )
        return f"rows written after {format_instant(rotated)} are under {shown(name[:12] for name in new)} only"


def _spans(facts: ColumnFacts, found: Judgement) -> dict[str, tuple[datetime, datetime]]:
    """First and last writing under each key material of the customer's key."""
    times: dict[str, list[datetime]] = defaultdict(list)
    for wrapped in facts.wrapped:
        if names(wrapped.provider, wrapped.key, facts.key_resource) is False:
            found.doubt(f"{wrapped.count} data keys are wrapped by another key, of whose rotation nothing was agreed")
        elif not wrapped.fingerprint:
            found.doubt(f"{wrapped.provider}'s wrapped keys do not tell key materials apart", Reason.UNSUPPORTED)
        elif wrapped.first_written is None or wrapped.last_written is None:
            found.doubt("when rows were written is not known: name the column as `written:` of the data set")
        else:
            times[wrapped.fingerprint] += [wrapped.first_written, wrapped.last_written]
    return {name: (min(moments), max(moments)) for name, moments in times.items()}
