"""The control that ties a sample to a revoke drill: it opened, and while the key was away nothing did. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Final

from keycheck.model.control import Control, Group, Sightings
from keycheck.model.facts import Facts, Unseen
from keycheck.model.types import Name, SortedSet, SubjectId
from keycheck.model.verdict import Reason, Verdict, not_applicable
from probes.fields.facts import ColumnFacts, Opened
from probes.fields.field_control import CAVEAT, alike, unmapped, whole
from probes.keys.drill_facts import RevocationFacts
from probes.keys.timeline import VENDOR_PATHS, Path, PathTimeline
from probes.weighing import Judgement, shown

_SECOND: Final = 1_000_000


class Revoked(Control, id="fields.revoked", version=1):
    """What the sample was opened with does not open while the key is taken away: so says the record of a drill."""

    proves = (
        "Values of every sensitive column open under the declared key, and the same evidence holds the record of a "
        "revoke drill on that very key: while it was away, our own principal, which could open the canary before, was "
        "refused in every Region, and so was the vendor, on each path that was looked at, to the end."
    )
    does_not_prove = (
        "Anything where no drill's record is in the same evidence. That these rows were refused: a drill takes the key "
        "from its canary, and the message says how far it reached. How fast access ended, and what the contract "
        "allows: keys.revocation judges that. Anything about keys in Google Cloud, where a drill takes away the "
        "canary's own key. That the vendor holds no copy of a data key, or of the data."
    )
    example = "{control: fields.revoked@1, for: datasets}"
    sources = ("keys.revocation@1, whose facts it reads (docs/drills.md)",)

    needs: ClassVar[tuple[type[Facts], ...]] = (ColumnFacts,)
    beside: ClassVar[tuple[type[Facts], ...]] = (RevocationFacts,)
    group_by: ClassVar[Group] = Group.SUBJECT
    section: ClassVar[str] = "datasets"
    caveat: ClassVar[str] = CAVEAT

    classes: SortedSet[Name] = frozenset()
    """Judges only columns of these classes of the field map; empty: every class but `none`."""

    def neighbours(self, seen: Sightings) -> Iterable[SubjectId]:
        """The keys that the field map names."""
        return {f"keys/{facts.rule.key}" for facts in self._concerned(seen) if facts.rule and facts.rule.key}

    def judge(self, seen: Sightings) -> Verdict:
        """The sample is the positive twin of the drill's refusals."""
        columns = self._concerned(seen)
        if not columns:
            return not_applicable("no column of the field map is sensitive and of a class that this concerns")
        found = Judgement()
        by_key: dict[str, int] = {}
        for facts in columns:
            self._opened(facts, by_key, found)
        for name in sorted({facts.rule.class_ for facts in seen.of(ColumnFacts) if facts.rule} - self.classes):
            if meant := alike(name, self.classes):
                found.doubt(f"the field map says {name}, the requirement {meant}: if they are one, spell them alike")
        for key, values in sorted(by_key.items()):
            records = [each.facts for each in seen.beside if each.subject == key]
            if words := _told(key, values, records, found):
                found.lean(words)
        return found.verdict(f"{len(columns)} sensitive columns")

    def _concerned(self, seen: Sightings) -> tuple[ColumnFacts, ...]:
        return tuple(
            facts
            for facts in seen.of(ColumnFacts)
            if facts.role != "plain" and (not self.classes or facts.rule is None or facts.rule.class_ in self.classes)
        )

    @staticmethod
    def _opened(facts: ColumnFacts, by_key: dict[str, int], found: Judgement) -> None:
        """Notes under which key how many values opened; a doubt where none did."""
        opened = facts.opened
        whole(facts, found)
        if facts.rule is None:
            found.doubts.append(unmapped(facts))
        elif facts.rule.key is None or not facts.key_resource:
            found.doubt(f"the field map names no key for {facts.column!r}")
        elif isinstance(opened, Unseen):
            found.doubt(f"{facts.column!r} was not opened: {opened.detail or opened.reason}", opened.reason)
        elif not _opens(opened):
            words = f"nothing of {facts.column!r} opens while the key is there: what is refused later proves nothing"
            found.doubt(words, Reason.NO_POSITIVE)
        else:
            key = f"keys/{facts.rule.key}"
            by_key[key] = by_key.get(key, 0) + opened.opened


def _opens(opened: Opened) -> bool:
    return bool(opened.unwrapped and opened.opened)


def _told(key: str, values: int, records: list[Facts | Unseen], found: Judgement) -> str:
    """What the records say of one key; doubts where none says enough, and of every one that says otherwise."""
    drills = [record for record in records if isinstance(record, RevocationFacts)]
    if not drills:
        for unseen in (record for record in records if isinstance(record, Unseen)):
            found.doubt(f"no drill on {key}: {unseen.detail or unseen.reason}", unseen.reason)
        if not records:
            found.doubt(
                f"the evidence holds no record of a revoke drill on {key}: nothing is claimed of what opens without "
                "it (`keycheck run --drills`, under a contract that asks for keys.revocation)",
                Reason.NOT_RECORDED,
            )
        return ""
    return shown((_away(key, values, drill, found) for drill in drills), "; ")


def _away(key: str, values: int, drill: RevocationFacts, found: Judgement) -> str:
    """What one drill's record says."""
    named = f"drill {drill.occasion} on {key}"
    if isinstance(drill.acted, Unseen):
        found.doubt(f"{named}: whether the key was taken away is not known: {drill.acted.detail}", drill.acted.reason)
    if drill.provider == "gcp":
        found.doubt(
            f"{named} took away a key that only its canary uses, as drills in Google Cloud do: of the key that wraps "
            "these values it says nothing",
            Reason.UNSUPPORTED,
        )
    for stop in drill.stops:
        found.doubt(f"{named} was stopped early: {stop.what}")
    own = [line for line in drill.of(Path.SENTINEL) if _refused(line)]
    if len(own) < drill.scope.regions:
        found.doubt(
            f"{named}: our own principal was seen to open the canary, and then to be refused for good, in {len(own)} "
            f"of {drill.scope.regions} Regions",
            Reason.NO_POSITIVE,
        )
    vendor = drill.of(*VENDOR_PATHS)
    if not vendor:
        found.doubt(f"{named}: no path of the vendor was looked at")
    for line in vendor:
        if not _refused(line):
            found.doubt(
                f"{named}: {line.path} was not seen to open the canary before and to be refused for good after; "
                "keys.revocation judges by the contract's bound"
            )
    far = (
        f"only with the context {', '.join(drill.scope.context_names)}"
        if drill.scope.context_names
        else "the whole key"
    )
    last = max((line.latency_us for line in vendor), default=0)
    return (
        f"{values} values opened under {key}; {named} of {drill.began:%Y-%m-%d} took it away ({drill.mechanism}, "
        f"{far}): our own principal was refused, and {shown(line.path for line in vendor)} opened the canary no later "
        f"than {last // _SECOND} s after"
    )


def _refused(line: PathTimeline) -> bool:
    """Read before, then refused for good."""
    return bool(line.before.readable) and line.refused is not None and line.confirmed
