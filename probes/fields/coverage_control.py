"""The control over whether everything was looked at that the contract is about. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

from keycheck.model.control import Control, Group, Sightings, Tighter
from keycheck.model.facts import Facts
from keycheck.model.types import Name, SortedSet
from keycheck.model.verdict import Reason, Verdict
from probes.fields.facts import ColumnFacts, Export
from probes.fields.field_control import CAVEAT, alike, values, whole
from probes.weighing import Judgement, shown


class Coverage(Control, id="fields.coverage", version=1):
    """The export is the one that was handed over, whole; every column is in the field map; our canaries are in it."""

    needs: ClassVar[tuple[type[Facts], ...]] = (ColumnFacts,)
    group_by: ClassVar[Group] = Group.SUBJECT
    section: ClassVar[str] = "datasets"
    caveat: ClassVar[str] = CAVEAT
    proves = (
        "The files have the digests of the hand-over and the rows that the vendor counted, all were read, every column "
        "has a line in the field map, each of `classes` has a column with values, and rows of ours are among them."
    )
    does_not_prove = (
        "That the vendor stores nothing beside what it exported; that an export which the vendor made shows what its "
        "store holds. That is what `assurance` tells: `documented`, unless our own access read the store, or canaries "
        "whose data keys were made in our own key's log when we planted them tie the export to it."
    )
    example = "{control: fields.coverage@1, for: datasets, with: {classes: [email, iban], canaries: tied}}"
    sources = ("ISO/IEC 27037 (handling of digital evidence: identification, acquisition, integrity)",)

    classes: Annotated[SortedSet[Name], Tighter("superset")] = frozenset()
    """Classes that some column of the field map must have."""
    canaries: Annotated[Literal["optional", "present", "tied"], Tighter("order", ("optional", "present", "tied"))] = (
        "present"
    )
    """`present`: a planted row is in the export; `tied`: its data key stands in our own log since the planting."""

    def judge(self, facts: Sightings) -> Verdict:
        """All columns of the data set together."""
        columns = facts.of(ColumnFacts)
        found = Judgement()
        if not columns:
            found.doubt("no column was seen", Reason.NO_POSITIVE)
            return found.verdict("")
        exports = {column.export.manifest: column.export for column in columns}
        if len(exports) > 1:
            found.doubt(f"the columns are of {len(exports)} different exports", Reason.CONFLICTING)
        for export in exports.values():
            _origin(export, found)
            self._canaries(export, columns, found)
        for column in columns:
            whole(column, found)
        if strays := [column.column for column in columns if column.role == "unmapped"]:
            found.doubt(f"the field map has no line for {shown(map(repr, strays))}: add one each, or `class: none`")
        for column in columns:
            if (
                column.role == "sensitive"
                and column.rule is not None
                and not column.rule.optional
                and not values(column)
            ):
                found.doubt(f"{column.column} holds no value in any row, or no file has it", Reason.NO_POSITIVE)
        self._classes(columns, found)
        first = columns[0].export
        names = {column.column for column in columns}
        return found.verdict(
            f"{len(names)} columns of {first.rows} rows in {first.files} files, made by the {first.origin.made_by}, "
            f"manifest {first.manifest[:12]}"
        )

    def _canaries(self, export: Export, columns: Sequence[ColumnFacts], found: Judgement) -> None:
        if self.canaries == "optional":
            return
        if not any(column.hunt.present for column in columns):
            found.doubt("no canary of ours is in the export: `keycheck canary plant`, and ask for a newer export")
        elif self.canaries == "tied" and export.canaries != "tied":
            why = f" ({export.tie})" if isinstance(export.tie, str) and export.tie else ""
            found.doubt(
                "canaries are in the export, but nothing ties them to the live store: their data keys do not stand in "
                f"our own key's log of when they were planted{why}"
            )
        elif export.canaries == "tied" and isinstance(export.tie, str) and export.tie:
            found.lean(f"canaries tie it to the live store, {export.tie}")

    def _classes(self, columns: Sequence[ColumnFacts], found: Judgement) -> None:
        held = {column.rule.class_ for column in columns if column.rule is not None and values(column)}
        if missing := self.classes - held:
            near = sorted(f"{name}: is it {meant}?" for name in missing if (meant := alike(name, held)))
            hint = f" ({'; '.join(near)})" if near else ""
            found.doubt(f"no column with values is of the class {shown(missing)}{hint}")


def _origin(export: Export, found: Judgement) -> None:
    """Against what was written down at the hand-over. What the customer read for itself needs no hand-over.

    What does not agree accuses nobody: somebody else may have changed or lost it on the way. It is no evidence then.
    """
    origin = export.origin
    handed = origin.made_by == "vendor"
    if export.origin_digests == "differ":
        found.doubt(
            "the files are not those that were handed over: their digests differ from `origin.digests`",
            Reason.CONFLICTING,
        )
    elif export.origin_digests == "not-stated" and handed:
        found.doubt("the digests of the hand-over were not written down: declare `origin.digests`")
    if origin.rows is None:
        if handed:
            found.doubt("how many rows there are was not stated: ask for the count, and declare `origin.rows`")
    elif export.rows != origin.rows:
        found.doubt(f"{export.rows} rows were read, {origin.rows} were counted at the hand-over", Reason.CONFLICTING)
    if not export.rows:
        found.doubt("the export has no row", Reason.NO_POSITIVE)
