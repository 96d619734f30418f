"""The verbs of `keycheck drill` that do a drill, or read the late logs of one."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from keycheck.cli import common
from keycheck.cli.run import Deployment, KeyFile, Outputs, Passphrase, Profile, interruptible, told
from keycheck.errors import UsageError
from keycheck.model.authorization import WIDE, Technique
from keycheck.model.drill import Wish

if TYPE_CHECKING:
    from keycheck.session import Request

Authorization = Annotated[
    Path | None,
    typer.Option("--authorization", "-a", help="Signed, with the technique; by two approvers beyond a canary."),
]
Subject = Annotated[str, typer.Option("--subject", help="The key's id in the deployment.")]
Out = Annotated[Path, typer.Option("--out", help="Directory for the bundle.")]
Typed = Annotated[
    str, typer.Option("--typed", help="The key's ARN or resource name, typed to show that you mean this key.")
]


def revoke(
    ctx: typer.Context,
    deployment: Deployment,
    profile: Profile,
    subject: Subject,
    authorization: Authorization = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Look at everything, change nothing.")] = False,
    revoke_grant: Annotated[
        bool, typer.Option("--revoke-grant", help="Revoke the vendor's grant; the new one has another id.")
    ] = False,
    disable_key: Annotated[
        bool, typer.Option("--disable-key", help="Disable the whole key: everything under it stops.")
    ] = False,
    delete_material: Annotated[
        bool, typer.Option("--delete-material", help="Delete the imported material; escrow is proved first.")
    ] = False,
    typed: Typed = "",
    out: Out = Path("keycheck-runs"),
    output: Outputs = None,
    key: KeyFile = None,
    passphrase: Passphrase = None,
) -> int:
    """Take one key away, time the last read on every path, put it back, and prove it.

    From the canary alone unless a flag says more. What is wider needs its own technique in an authorization that two
    approvers signed, and the key's own name typed. Everything that speaks against it is said before anything is
    changed. Ctrl-C at any time restores first. Exit 6: it could not be proved that everything is back; the commands
    for a person are printed. Exit 75: another drill is open on the key.
    """
    levels = (
        (revoke_grant, Technique.REVOKE_GRANT),
        (disable_key, Technique.DISABLE_KEY),
        (delete_material, Technique.DELETE_MATERIAL),
    )
    chosen = [technique for asked, technique in levels if asked]
    if len(chosen) > 1:
        raise UsageError(
            "more than one level",
            advice="choose one of --revoke-grant, --disable-key, --delete-material, or none for the canary",
        )
    technique = chosen[0] if chosen else Technique.DRILL
    if not dry_run:
        _typed(technique, typed)
    request = _request(deployment, profile, authorization, subject, "keys.revocation")
    return _drill(ctx, request, Wish(technique=technique, dry=dry_run, typed=typed), out, output, key, passphrase)


def rotate(
    ctx: typer.Context,
    deployment: Deployment,
    profile: Profile,
    subject: Subject,
    authorization: Authorization = None,
    production_key: Annotated[
        bool, typer.Option("--production-key", help="Rotate the key itself, not the canary's. Cannot be undone.")
    ] = False,
    irreversible: Annotated[
        bool, typer.Option("--irreversible", help="You know that a rotation cannot be undone.")
    ] = False,
    wrapped: Annotated[
        Path | None, typer.Option("--wrapped", help="New material, wrapped by your HSM; else it is made here.")
    ] = None,
    token: Annotated[Path | None, typer.Option("--token", help="The import token that goes with it (AWS).")] = None,
    import_job: Annotated[
        str, typer.Option("--import-job", help="The import job whose key wrapped it (Google Cloud).")
    ] = "",
    typed: Typed = "",
    out: Out = Path("keycheck-runs"),
    output: Outputs = None,
    key: KeyFile = None,
    passphrase: Passphrase = None,
) -> int:
    """Rotate the canary's key, and watch which material the vendor's new writes use. A rotation cannot be undone.

    Shows that new records use the new material, that old ones still read, and how long the switch took. New material
    comes wrapped from the customer's HSM (`drill: incoming:` of the key, with the parameters that `keycheck drill
    import-parameters` gives), or is made and wrapped here and never written.
    """
    technique = Technique.ROTATE_KEY if production_key else Technique.ROTATE_CANARY
    _typed(technique, typed)
    if not irreversible:
        raise UsageError(
            "a rotation cannot be undone, and every material must stay imported from then on",
            advice="read `keycheck control explain keys.rotation`, then say --irreversible",
        )
    if (wrapped is None) != (token is None and not import_job):
        raise UsageError(
            "wrapped material goes with what it was wrapped for",
            advice="give --wrapped FILE with --token FILE (AWS) or --import-job ID (Google Cloud)",
        )
    request = _request(deployment, profile, authorization, subject, "keys.rotation")
    wish = Wish(
        technique=technique,
        typed=typed,
        confirmed=True,
        wrapped="" if wrapped is None else str(wrapped.resolve()),
        token="" if token is None else str(token.resolve()),
        import_job=import_job,
    )
    return _drill(ctx, request, wish, out, output, key, passphrase)


def settle(
    ctx: typer.Context,
    drill: Annotated[str, typer.Argument(help="The drill, as `status` names it.")],
    deployment: Deployment,
    profile: Profile,
    bundle: Annotated[Path | None, typer.Option("--bundle", help="Where the drill's own bundle is, if moved.")] = None,
    out: Out = Path("keycheck-runs"),
    output: Outputs = None,
    key: KeyFile = None,
    passphrase: Passphrase = None,
) -> int:
    """Fetch what came late into the logs of a drill, judge it again, and append a signed addendum to its record.

    Nothing is changed in the world. What was seen stays what the drill's own bundle says, and as old as it was.
    """
    from keycheck.drill.home import default_home
    from keycheck.drill.settle import earlier

    signer = common.signing_key(key, passphrase)
    found = earlier(default_home(os.environ), drill, bundle, (signer.public,))
    request = _request(deployment, profile, None, found.subject, found.probe)
    return _drill(ctx, request, Wish(settle=drill, earlier=found.facts), out, output, key, passphrase)


def _typed(technique: Technique, typed: str) -> None:
    if technique in WIDE and not typed:
        raise UsageError(
            f"{technique} reaches beyond a canary", advice="type the key's ARN or resource name after --typed"
        )


def _request(deployment: Path, profile: str, authorization: Path | None, subject: str, control: str) -> Request:
    from keycheck.session import Request

    only = (f"keys/{subject.removeprefix('keys/')}:{control}",)
    return Request(deployment=deployment, profile=profile, only=only, authorization=authorization)


def _drill(
    ctx: typer.Context,
    request: Request,
    wish: Wish,
    out: Path,
    output: list[str] | None,
    key: Path | None,
    passphrase: str | None,
) -> int:
    from keycheck.cli.progress import Progress
    from keycheck.registry import load_registry
    from keycheck.session import prepare, run_contract

    wanted = common.outputs(output or [])
    signer = common.signing_key(key, passphrase)
    registry = load_registry()
    prepared = prepare(replace(request, drills=wish), registry)
    world = common.real_world(common.environment_of(ctx))
    with interruptible() as stop:
        outcome = run_contract(prepared, registry, world, out, signer, Progress(), stop, common.note)
    return told(outcome, prepared.profile.profile, registry, wanted, key)
