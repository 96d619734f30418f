"""Whole runs over exports through the real command line: what was said, what was written, what was judged."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from keycheck.cli.root import main
from keycheck.evidence.keys import SigningKey
from keycheck.evidence.reader import BundleReader
from keycheck.model.facts import Census, Seen, Unseen
from keycheck.model.observation import Observation
from keycheck.model.verdict import Kind, Reason
from probes.fields.facts import ColumnFacts

ORIGIN: Mapping[str, object] = {"made_by": "customer", "method": "made at test time"}


@dataclass(frozen=True, slots=True)
class Ran:
    """One run of the command line."""

    code: int
    out: str
    err: str
    bundle: Path | None = None
    assessment: Mapping[str, object] = field(default_factory=dict)

    def verdicts(self, subject: str = "") -> Mapping[str, frozenset[Kind]]:
        """What was found, by control."""
        told: dict[str, set[Kind]] = {}
        findings = self.assessment["findings"]
        assert isinstance(findings, list)
        for each in findings:
            if each.get("subject") and (not subject or each["subject"] == subject):
                told.setdefault(each["control"].partition("@")[0], set()).add(Kind(each["verdict"]))
        return {control: frozenset(kinds) for control, kinds in told.items()}

    def passed(self) -> frozenset[str]:
        """Controls of which anything passed."""
        return frozenset(control for control, kinds in self.verdicts().items() if Kind.PASS in kinds)

    def observations(self) -> tuple[Observation, ...]:
        """Everything in the bundle, in the order in which it was learned."""
        assert self.bundle is not None
        with BundleReader.open(self.bundle) as reader:
            return tuple(Observation.model_validate_json(line) for line in reader.observations())

    def columns(self) -> Mapping[str, ColumnFacts]:
        """What was learned of columns, by part."""
        return {
            each.part or "": ColumnFacts.model_validate(each.outcome.facts.parsed())
            for each in self.observations()
            if isinstance(each.outcome, Seen) and each.schema_id == "fields.column/1"
        }

    def unseen(self) -> frozenset[Reason]:
        """Why parts or whole subjects were not seen."""
        return frozenset(each.outcome.reason for each in self.observations() if isinstance(each.outcome, Unseen))

    def open(self) -> frozenset[Reason]:
        """Why there may be more columns than the census names."""
        found = [each.outcome for each in self.observations() if each.schema_id == "keycheck.census/1"]
        return frozenset(
            gap.reason
            for each in found
            if isinstance(each, Seen)
            for gap in Census.model_validate(each.facts.parsed()).open
        )

    def left_out(self) -> Mapping[str, int]:
        """Rows of the export that were left out, by reason."""
        column = next(iter(self.columns().values()))
        return {each.why: each.rows for each in column.export.left_out}


def key(folder: Path) -> Path:
    """A signing key; its public half lies beside it."""
    path = folder / "signer.pem"
    if not path.exists():
        SigningKey.generate().save(path)
    return path


def command(*arguments: str) -> Ran:
    """`keycheck ARGUMENTS`, in this process."""
    out, err = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = main(list(arguments))
        out.flush()
    said = out.buffer
    assert isinstance(said, io.BytesIO)
    return Ran(code, said.getvalue().decode(), err.getvalue())


def scan(map_: Path, *more: str, engine: str = "threads") -> Ran:
    """`keycheck fields scan`: the bundle goes beside the map."""
    runs = map_.parent / "runs"
    before = set(runs.glob("*.zip"))
    arguments = ["fields", "scan", "--map", str(map_), *more, "--engine", engine, "--out", str(runs)]
    ran = command(*arguments, "--output", "json", "--key", str(key(map_.parent)))
    (bundle,) = set(runs.glob("*.zip")) - before or (None,)
    return Ran(ran.code, ran.out, ran.err, bundle, json.loads(ran.out) if ran.out.startswith("{") else {})


def write_map(
    folder: Path, files: Sequence[str], fields: Sequence[Mapping[str, object]], id: str = "export", **more: object
) -> Path:
    """A deployment of one data set."""
    source = {"kind": "files", "files": list(files)}
    entry = {"id": id, "source": source, "origin": dict(ORIGIN), "fields": [dict(each) for each in fields], **more}
    path = folder / f"{id}.yaml"
    path.write_text(yaml.safe_dump({"deployment": "whole", "datasets": [entry]}, sort_keys=False, allow_unicode=True))
    return path
