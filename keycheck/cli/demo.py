"""`keycheck demo`: the main job on the practice vendor, first honest, then cheating."""

from __future__ import annotations

import sys
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Annotated, Final

import typer

from keycheck.cli import common
from keycheck.model.verdict import ExitCode

if TYPE_CHECKING:
    from keycheck.evidence.keys import SigningKey
    from keycheck.lab.matrix import Shown
    from keycheck.registry import Registry
    from keycheck.session import Outcome

app = typer.Typer(rich_markup_mode=None, add_completion=False)

CHEATS: Final = (
    "one-bad-address",
    "one-bad-backend",
    "weak-suite@mail-smtp",
    "missing-intermediate@db",
    "no-hsts",
    "replica-elsewhere",
    "administrators-decrypt@hold",
    "stranger-uses@archive",
    "exempted-principal@notes-g",
    "endless-cache",
    "clear-in-log",
    "wrong-key-g",
    "copy-job-abroad",
    "old-objects-other-key",
    "global-profile",
    "roster-changed-unannounced",
)
"""Each sits on its own endpoint or breaks its own control, so that each promise can be told apart."""


PLACED: Final = frozenset(
    {
        "stores/exports",
        "stores/crm-db",
        "inference/assistant",
        "prompts/assistant-prompts",
        "subprocessors/mail-subprocessors",
        "operators/crm-operator",
    }
)
"""What the demo looks at of the vendor's places; `keycheck lab up --section residency` serves them all."""


@app.command()
def demo(
    out: Annotated[Path, typer.Option("--out", help="Directory for the bundles.")] = Path("keycheck-runs"),
) -> int:
    """Run the whole job against a practice vendor on loopback: first honest, then cheating in a few places.

    Needs no network, no root and no credentials. Exits 0 when both verdicts are what the lab promises.
    """
    from keycheck.evidence.keys import SigningKey
    from keycheck.lab.matrix import expected_of, false_alarms, shown
    from keycheck.registry import load_registry

    registry = load_registry()
    common.note(
        "1. An honest vendor under contract eu-sovereign-crm: a CRM on real sockets with real TLS, its customer's\n"
        "   keys in two clouds that speak AWS's and Google's protocols on loopback, and exports of its encrypted\n"
        "   fields, of which a sample is opened under those keys; the control planes of its stores, with their copies\n"
        "   and backups, an AI model and a roster of subprocessors. At the end drills take a key from canaries for\n"
        "   some seconds in each cloud, watch who can still read them, and put it back; and rotate a key of canaries,\n"
        "   to see who writes under the new material.\n"
    )
    out.mkdir(parents=True, exist_ok=True)
    signer = SigningKey.generate()
    _verifier(out).write_bytes(signer.public.to_pem())
    honest = _act((), registry, out, signer)
    clean = shown(honest.assessment)
    kept = not false_alarms(clean) and honest.assessment.exit_code is ExitCode.INCOMPLETE
    common.note(
        "\n   Every control passes or does not apply, but for drills on the keys that have no canary. The rest is"
        f"\n   planned and says so: not tested is never a pass, and so the exit code is {int(honest.exit_code)}.\n"
    )
    told = f"2. The same vendor cheats: {', '.join(CHEATS)}."
    common.note(fill(told, 110, subsequent_indent="   ", break_on_hyphens=False) + "\n")
    cheating = _act(CHEATS, registry, out, signer)
    promised = expected_of(CHEATS, clean)
    kept &= shown(cheating.assessment) == promised and cheating.assessment.exit_code is ExitCode.CLAUSE_FAILS
    common.note("\nWhat to do next:")
    for outcome in (honest, cheating):
        common.note(f"  keycheck verify {outcome.bundle.path} --key {_verifier(out)}")
    common.note(f"  keycheck judge {cheating.bundle.path} --key {_verifier(out)} -o json")
    common.note("  keycheck control explain keys.policy")
    common.note("  keycheck init        # your own vendor")
    if not kept:
        common.note("\nkeycheck: the lab's promise was NOT kept: see `keycheck lab matrix`")
        _differences(shown(cheating.assessment), promised)
        return int(ExitCode.TOOL_FAILED)
    common.note("\nBoth verdicts are what the lab promises.")
    return int(ExitCode.MET)


def _act(defects: tuple[str, ...], registry: Registry, out: Path, signer: SigningKey) -> Outcome:
    from tempfile import TemporaryDirectory

    from keycheck.cli.progress import Progress
    from keycheck.cli.show import assessment_text, caveats_of
    from keycheck.files.profile import load_profile
    from keycheck.lab.matrix import observe
    from keycheck.lab.residency_parts import RESIDENCY
    from keycheck.lab.world import SECTIONS, Lab
    from keycheck.model.drill import Wish

    sections = SECTIONS | {RESIDENCY}
    with (
        TemporaryDirectory(prefix="keycheck-lab-") as home,
        Lab(Path(home), defects, sections=sections, placed=PLACED) as lab,
    ):
        outcome, papers = observe(
            lab,
            registry,
            out,
            Progress(),
            signer,
            drills=Wish(confirmed=True),
            say=lambda line: common.note(f"   {line}"),
        )
        profile = load_profile(str(papers.profile), registry).profile
    sys.stdout.write(assessment_text(outcome.assessment, profile, sys.stdout, caveats_of(outcome.assessment, registry)))
    sys.stdout.flush()
    common.note(f"   bundle: {outcome.bundle.path}")
    return outcome


def _verifier(out: Path) -> Path:
    return out / "practice-signer.pub"


def _differences(seen: Shown, promised: Shown) -> None:
    for key in sorted(seen.keys() | promised.keys()):
        if seen.get(key) != promised.get(key):
            common.note(f"  {key[1]} {key[0]}: promised {promised.get(key)}, seen {seen.get(key)}")
