"""`keycheck drill import-parameters`: what a customer's HSM needs to wrap new key material for the cloud.

Nothing of the key changes. In Google Cloud an import job is made where none of keycheck's can be used: it ends by
itself after three days, and its name stays in the key ring.
"""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import typer

from keycheck.errors import KeycheckError, ProbeError, UsageError
from keycheck.model.deployment import HERE, Identity
from keycheck.model.probe import Io
from keycheck.model.types import format_instant, vendor_text
from keycheck.model.verdict import ExitCode, Reason
from probes.keys.drill.wrapping import spelled
from probes.keys.subjects import Key

BUDGET: Final = 60.0
"""Seconds for all calls together."""
DER: Final = "wrapping.der"
PEM: Final = "wrapping.pem"
TICKET: Final = "token.bin"
"""An import token."""
MATERIAL: Final = "material.bin"
WRAPPED: Final = "wrapped.bin"
_OPENSSL: Final = (
    f"openssl pkeyutl -encrypt -pubin -inkey {PEM} -in {MATERIAL} -out {WRAPPED} "
    "-pkeyopt rsa_padding_mode:oaep -pkeyopt rsa_oaep_md:sha256 -pkeyopt rsa_mgf1_md:sha256"
)
# Source: pkcs11-tool(1); before OpenSC's fix of its issue 3293 it could not wrap under OAEP.
_HSM: Final = (
    f"pkcs11-tool --module MODULE --login --write-object {DER} --type pubkey --id 4b43 --usage-wrap",
    "pkcs11-tool --module MODULE --login --wrap --mechanism RSA-PKCS-OAEP --hash-algorithm SHA256 --mgf MGF1-SHA256 "
    f"--id 4b43 --application-id ID-OF-THE-KEY --output-file {WRAPPED}",
)

app = typer.Typer(name="import-parameters", rich_markup_mode=None, add_completion=False)


@dataclass(frozen=True, slots=True)
class Parameters:
    """What one wrapping takes."""

    key: str
    """ARN or resource name."""
    algorithm: str
    """As the cloud calls it."""
    until: datetime
    public: bytes = field(repr=False)
    """SubjectPublicKeyInfo in DER."""
    pem: bytes = field(repr=False)
    token: bytes | None = field(default=None, repr=False)
    """AWS: goes with this public key alone, and with this key in this Region."""
    job: str | None = None
    """Google Cloud: id of the import job."""


@app.command()
def import_parameters(
    ctx: typer.Context,
    deployment: Annotated[Path, typer.Argument(help="The deployment file.")],
    subject: Annotated[str, typer.Option("--subject", help="The key's id in the deployment.")],
    out: Annotated[Path, typer.Option("--out", help="Directory for the wrapping key and the token.")],
    region: Annotated[str | None, typer.Option("--region", help="Of a replica (AWS).")] = None,
    itself: Annotated[bool, typer.Option("--key-itself", help="For the key itself, not for its `canary_key`.")] = False,
) -> int:
    """Fetch the key under which your HSM wraps new material, and print the commands that do it."""
    from keycheck.files.deployment import load_deployment
    from keycheck.registry import load_registry

    loaded = load_deployment(deployment, load_registry()).deployment
    wanted = subject.removeprefix("keys/")
    entry = next((each for each in loaded.in_section("keys") if each.id == f"keys/{wanted}"), None)
    if entry is None:
        raise UsageError(f"{deployment} declares no key {subject!r}", advice="name one as `keycheck plan` shows it")
    environment = ctx.obj if isinstance(ctx.obj, dict) else {}
    try:
        given = fetch(
            Key.model_validate(entry.body.parsed()),
            _io(loaded.identities, deployment, environment),
            region=region,
            itself=itself,
        )
    except ProbeError as error:
        raise KeycheckError(str(error), advice="the key itself is as it was; mend that, and ask again") from error
    store(given, out)
    sys.stdout.write("\n".join(told(given, out, deployment.parent)) + "\n")
    return int(ExitCode.MET)


def fetch(subject: Key, io: Io, *, region: str | None = None, itself: bool = False) -> Parameters:
    """Ask the cloud, as the identity that drills. Raises ProbeError."""
    canary = subject.drill.canary_key if subject.drill is not None else None
    if canary is None and not itself:
        raise ProbeError(
            Reason.UNSUPPORTED,
            f"key {subject.id} names no `canary_key`: name one, or ask for the key itself (--key-itself)",
        )
    named = subject if itself or canary is None else subject.model_copy(update={"resource": canary})
    return _aws(named, region, io) if subject.provider == "aws" else _gcp(named, io)


def store(given: Parameters, out: Path) -> None:
    """Write the files; never over others. Raises UsageError."""
    from keycheck.evidence.files import create

    files = {DER: given.public, PEM: given.pem, **({} if given.token is None else {TICKET: given.token})}
    try:
        out.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name, content in files.items():
            create(out / name, content, mode=0o600)
    except OSError as error:
        raise UsageError(
            f"cannot write into {out}: {error.strerror or type(error).__name__}",
            advice="name a directory that is empty: a wrapping key and a token of two answers do not fit together",
        ) from error


def told(given: Parameters, out: Path, beside: Path) -> Iterator[str]:
    """What a person does with them. `beside`: the deployment's directory, from which its paths count."""
    there = os.path.relpath(out.resolve(), beside.resolve())
    yield f"key:        {given.key}"
    yield f"algorithm:  {given.algorithm} (RSAES-OAEP, SHA-256, MGF1-SHA-256); the material is 32 octets"
    yield f"good until: {format_instant(given.until)}"
    yield f"written:    {', '.join(str(out / name) for name in (DER, PEM, *((TICKET,) if given.token else ())))}"
    if given.job is not None:
        yield f"import job: {given.job}"
    yield ""
    yield f"In {out}, from an HSM with PKCS #11, by an OpenSC newer than 0.26.0 (the key must be extractable):"
    yield from (f"  {line}" for line in _HSM)
    yield f"Or on a machine that may hold the material, as {MATERIAL}:"
    yield f"  {_OPENSSL}"
    yield ""
    yield "Then in the deployment, under the key's `drill:` (paths beside that file):"
    with_it = f"token: {there}/{TICKET}" if given.job is None else f"import_job: {given.job}"
    yield f"  incoming: {{wrapped: {there}/{WRAPPED}, {with_it}}}"
    bring = f"--token {out / TICKET}" if given.job is None else f"--import-job {given.job}"
    yield f"or with `keycheck drill rotate … --wrapped {out / WRAPPED} {bring}`"


def _aws(subject: Key, region: str | None, io: Io) -> Parameters:
    from probes.clouds.aws.arns import kms_arn
    from probes.keys.aws.describe import located
    from probes.keys.drill import aws_wrapping
    from probes.keys.drill.aws_calls import hand

    found = located(subject, io)
    if found.description.origin != "EXTERNAL":
        raise ProbeError(
            Reason.UNSUPPORTED, f"the key's material is made by AWS ({found.description.origin}): none can be imported"
        )
    spread = found.description.multi_region
    wanted = region or (found.arn if spread is None else kms_arn(spread.primary)).region
    arn = next((each for each in found.related if each.region == wanted), None)
    if arn is None:
        there = ", ".join(each.region for each in found.related)
        raise ProbeError(Reason.UNSUPPORTED, f"the key is not in {vendor_text(wanted, 40)}, but in {there}")
    given = aws_wrapping.import_parameters(hand(io, subject.identities.drill, arn), arn)
    return Parameters(str(arn), aws_wrapping.ALGORITHM, given.valid_to, *spelled(given.public), given.token)


def _gcp(subject: Key, io: Io) -> Parameters:
    from probes.clouds.gcp.names import key_name
    from probes.keys.drill.gcp_calls import hand, waiting_sleep
    from probes.keys.drill.gcp_import_job import ready
    from probes.keys.drill.gcp_rotate_state import key_now

    name, who = key_name(subject.resource), hand(io, subject.identities.drill)
    now = key_now(who, name)
    if not now.imported:
        raise ProbeError(Reason.UNSUPPORTED, "the key's material is made by Google: none was imported into it")
    job = ready(who, name, now.protection, waiting_sleep)
    return Parameters(name.full, job.method, job.expires, *spelled(job.pem), job=job.id)


def _io(identities: tuple[Identity, ...], deployment: Path, environment: Mapping[str, str]) -> Io:
    from keycheck.resolve import system_resolver

    return Io(
        vantage=HERE,
        budget=BUDGET,
        demands=(),
        samples=1,
        authorized=frozenset(),
        base=deployment.resolve().parent,
        environment=environment,
        resolver=system_resolver,
        clock=lambda: datetime.now(UTC),
        entropy=secrets.token_bytes,
        identities=identities,
    )
