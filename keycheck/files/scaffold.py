"""First files for a new user: answers in, commented YAML out. Pure; what comes out loads without a change."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from keycheck.model.authorization import Technique
from keycheck.model.profile import Clause, Planned, Profile

_SCHEMA = (
    "# For an editor that completes: keycheck schema {0} > {0}.schema.json, and then\n"
    "# yaml-language-server: $schema={0}.schema.json\n"
)


@dataclass(frozen=True, slots=True)
class EndpointAnswer:
    """An address of the vendor's service."""

    id: str
    url: str


@dataclass(frozen=True, slots=True)
class DeploymentAnswers:
    """What `keycheck init` asks about the vendor's service and about us."""

    name: str
    title: str
    endpoints: tuple[EndpointAnswer, ...]
    place: str = ""
    """Where this machine stands, for people."""
    egress: str = ""
    """The address that the vendor sees; needed for whatever needs an authorization."""


@dataclass(frozen=True, slots=True)
class AuthorizationAnswers:
    """What `keycheck init` asks about what may be done."""

    name: str
    deployment: str
    sources: tuple[str, ...]
    start: datetime
    """Local time in `zone`."""
    end: datetime
    zone: str
    contact: str
    reach: str
    techniques: tuple[Technique, ...] = (Technique.ACTIVE_TLS,)
    subjects: tuple[str, ...] = ("endpoints",)


def deployment_text(answers: DeploymentAnswers) -> str:
    """A commented deployment.yaml."""
    endpoints = "".join(f"  - id: {_text(one.id)}\n    url: {_text(one.url)}\n" for one in answers.endpoints)
    vantage = f"  - id: here\n    place: {_text(answers.place or 'this machine')}\n"
    if answers.egress:
        vantage += f"    egress: {_text(answers.egress)}\n"
    else:
        vantage += "    # egress: 198.51.100.7     # the address that the vendor sees\n"
    return (
        _SCHEMA.format("deployment")
        + f"""\
# What the vendor runs, and how we may look at it. No secret belongs here: write env:NAME or file:PATH.
deployment: {_text(answers.name)}
title: {_text(answers.title)}

# Where probes run from. The authorization names the source addresses (`egress`) that it allows.
vantages:
{vantage}    # proxy: http://proxy.example:3128
    # ca_bundle: ca.pem             # trust store to use instead of the system's
    # interception_cas: [inspection-ca.pem]
    #   what our own TLS inspection signs says nothing about the vendor

# Every external interface of the service. Each address behind each name is looked at.
endpoints:
{endpoints}
# Cloud credentials by name; the secrets stay in the SDKs' own chains.
# identities:
#   - id: key-reader
#     provider: aws
#     role_arn: "arn:aws:iam::123456789012:role/keycheck"
#     external_id: env:EXTERNAL_ID
"""
    )


def authorization_text(answers: AuthorizationAnswers) -> str:
    """A commented authorization.yaml, to be signed with `keycheck sign`."""
    return (
        _SCHEMA.format("authorization")
        + f"""\
# What may be done beyond reading with our own credentials and ordinary TLS handshakes. It counts once an approver
# of the profile has signed it:  keycheck sign authorization.yaml --key KEY
authorization: {_text(answers.name)}
deployment: {_text(answers.deployment)}

# Sections of the deployment, or a section and ids: endpoints/api-*
subjects: {_list(answers.subjects)}

# passive        looking without asking anything of the vendor that is not ordinary
# active-tls     hand-built ClientHellos that offer what the contract forbids, and repetitions of them
# vulnerability  checks for known weaknesses
# canary-write   planting a marked record through the front door
# drill          changing something on purpose, and putting it back
techniques: {_list(answers.techniques)}

# Addresses that the vendor will see, or networks such as 198.51.100.0/28.
sources: {_list(answers.sources)}

# Local times in an IANA zone; `end` is the first moment at which nothing may be done any more.
windows:
  - start: {_text(_minute(answers.start))}
    end: {_text(_minute(answers.end))}
    zone: {_text(answers.zone)}

# Who is called when something must stop.
stop_contacts:
  - name: {_text(answers.contact)}
    reach: {_text(answers.reach)}
"""
    )


def child_profile_text(name: str, base: Profile, extends: str = "", title: str = "") -> str:
    """A commented profile that extends `base` and changes nothing yet. `extends` is what the new file says:
    a shipped profile's name (the default: that of `base`), or a path relative to the new file."""
    clauses = "\n".join(f"#   {_summary(clause)}" for clause in base.clauses)
    example = base.clauses[0]
    return (
        _SCHEMA.format("profile")
        + f"""\
# Extends {base.profile} (version {base.version}) and may only tighten it: higher tiers, shorter deadlines, stricter
# parameters and evidence, more clauses. What is not written here is taken over unchanged.
profile: {_text(name)}
version: 1
title: {_text(title or f"Our schedule, after: {base.title}")}
extends: {_text(extends or base.profile)}

# contract:
#   ref: "MSA-2026-001 Annex C"
#   text_sha256: "sha256sum of the signed paper"
#   effective: 2026-07-01

# Values that clauses of {base.profile} refer to (`keycheck profile show {extends or base.profile}` lists them).
# parameters:
#   some-name: {{value: PT10M, note: "where the contract says so"}}

# Whose signatures count on waivers and authorizations; `keycheck key show` prints the key.
# approvers:
#   - {{name: "Ada Lovelace", public_key: "base64 text"}}

# The clauses taken over:
{clauses}
#
# To restate or tighten one, name its id and what changes; to add one, write all of it.
# clauses:
#   - id: {example.id}
#     text: "The wording of your contract."
#     ref: "§7.2"
#     tier: must-have
#   - id: OUR-OWN
#     text: "A promise that only your contract has."
#     tier: strongly-preferred
#     requires:
#       - planned: "what will be checked once a control exists"
"""
    )


def _summary(clause: Clause) -> str:
    planned = sum(isinstance(one, Planned) for one in clause.requires)
    tested = len(clause.requires) - planned
    parts = [f"{tested} controls" if tested else "", f"{planned} planned" if planned else ""]
    return f"{clause.id:<24} {clause.tier:<20} {', '.join(part for part in parts if part)}"


def _text(value: str) -> str:
    """A double-quoted YAML scalar. JSON's strings are YAML's, but YAML folds more characters than the line feed
    (NEL, U+2028, U+2029), so whatever is not printable is escaped."""
    quoted = json.dumps(value, ensure_ascii=False)
    return "".join(char if char.isprintable() else f"\\U{ord(char):08X}" for char in quoted)


def _list(values: Iterable[str]) -> str:
    return f"[{', '.join(_text(value) for value in values)}]"


def _minute(moment: datetime) -> str:
    return moment.replace(tzinfo=None).isoformat(timespec="minutes")
