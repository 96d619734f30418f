"""`keycheck judge`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from keycheck.cli import common
from keycheck.cli.run import AsOf, Gate, Outputs, Waivers
from keycheck.model.verdict import Tier

app = typer.Typer(rich_markup_mode=None, add_completion=False)

Bundle = Annotated[Path, typer.Argument(help="A bundle that `keycheck run` wrote.")]
Trusted = Annotated[
    list[Path] | None,
    typer.Option("--key", "-k", help="A signer's public key; repeatable. Default: your own keys."),
]


@app.command()
def judge(
    bundle: Bundle,
    profile: Annotated[str | None, typer.Option("--profile", "-p", help="Judge under this profile instead.")] = None,
    waivers: Waivers = None,
    as_of: AsOf = None,
    fail_on: Annotated[
        Gate | None, typer.Option("--fail-on", help="Lowest tier whose failures gate. Default: the run's.")
    ] = None,
    output: Outputs = None,
    key: Trusted = None,
) -> int:
    """Verify stored evidence and judge it again; the same inputs give the same bytes, years later."""
    from keycheck.assess import assessment_bytes
    from keycheck.cli.show import assessment_text, caveats_of
    from keycheck.evidence.trusted import existing, trusted_keys
    from keycheck.files.profile import load_profile
    from keycheck.registry import load_registry
    from keycheck.rejudge import Amendments, rejudge

    registry = load_registry()
    amended = load_profile(profile, registry).profile if profile else None
    wanted = common.outputs(output or [])
    moment = common.instant(as_of, "--as-of")
    amendments = Amendments(
        amended, tuple(waivers) if waivers else None, moment, Tier(fail_on.value) if fail_on else None
    )
    judged = rejudge(existing(bundle), amendments, trusted_keys(key or []), registry)
    for remark in judged.remarks:
        common.note(f"keycheck: {remark}")
    for each in wanted:
        text = (
            assessment_bytes(judged.assessment) + b"\n"
            if each.format == "json"
            else assessment_text(
                judged.assessment, judged.profile, sys.stdout, caveats_of(judged.assessment, registry)
            ).encode()
        )
        common.deliver(each, text)
    return int(judged.assessment.exit_code)
