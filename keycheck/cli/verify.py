"""`keycheck verify`."""

from __future__ import annotations

from typing import Annotated

import typer

from keycheck.cli import common
from keycheck.cli.judge import Bundle, Trusted
from keycheck.model.verdict import ExitCode

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command()
def verify(
    bundle: Bundle,
    key: Trusted = None,
    output: Annotated[
        list[str] | None, typer.Option("--output", "-o", metavar="FORMAT[=PATH]", help="table or json; repeatable.")
    ] = None,
) -> int:
    """Check that a bundle is complete, unchanged and signed by a key that you trust; say what was not checked.

    Exits 5 on any change of any byte.
    """
    from keycheck.canonical import Jsonable, dumps
    from keycheck.evidence.layout import ASSESSMENT
    from keycheck.evidence.reader import BundleReader
    from keycheck.evidence.trusted import existing, trusted_keys
    from keycheck.evidence.verify import verify_reader

    wanted = common.outputs(output or [])
    with BundleReader.open(existing(bundle)) as reader:
        result = verify_reader(reader, trusted_keys(key or []))
        says = said(reader.read(ASSESSMENT))
    counts = {tag.value.removeprefix("bundle/"): n for tag, n in sorted(result.counts.items())}
    for each in wanted:
        if each.format == "json":
            record: dict[str, Jsonable] = {
                "schema": "keycheck.dev/verified/1",
                "signers": list(result.signers),
                "manifest_sha256": result.manifest_sha256,
                "root": result.root,
                "tree_size": result.tree_size,
                "run": result.run,
                "counts": counts,
                "withheld": result.withheld,
                "not_verified": [limit.value for limit in result.not_verified],
            }
            common.deliver(each, dumps(record) + b"\n")
        else:
            lines = [
                f"verified      {bundle}",
                f"says          {says}",
                *(f"signed by     {signer}" for signer in result.signers),
                f"manifest      sha256 {result.manifest_sha256}",
                f"merkle root   {result.root} over {result.tree_size} leaves",
                f"run           {result.run}",
                f"holds         {', '.join(f'{n} {tag}' for tag, n in counts.items())}",
                "not verified:",
                *(f"  - {limit.words}" for limit in result.not_verified),
            ]
            common.deliver(each, ("\n".join(lines) + "\n").encode())
    return int(ExitCode.MET)


def said(assessment: bytes) -> str:
    """The signed verdict in a line; it is the signer's word until `keycheck judge` derives it again."""
    from pydantic import ValidationError

    from keycheck.model.assessment import Assessment
    from keycheck.model.types import format_instant

    try:
        told = Assessment.model_validate_json(assessment)
    except ValidationError:
        return "an assessment that this version cannot read"
    return (
        f"{told.verdict.upper()} (exit {int(told.exit_code)}): {told.deployment} under {told.profile}, "
        f"as of {format_instant(told.as_of)}"
    )
