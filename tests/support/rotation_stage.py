"""The lab's clouds, a vendor above a key of canaries alone, and a rotation drill on it, done in this process."""

from __future__ import annotations

import os
import secrets
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from keycheck.files.deployment import load_deployment
from keycheck.lab.clouds import Clouds
from keycheck.lab.crm.canaries import Canaries, drill_entry, plant, witnesses
from keycheck.lab.crm.doors import Door, Doors
from keycheck.lab.crm.estates import constant_for_control
from keycheck.lab.crm.manner import manner
from keycheck.lab.crm.rotation import rotation_entry, rotation_witnesses
from keycheck.lab.crm.vendor import Vendor
from keycheck.lab.key_sites import (
    AwsSite,
    KeySite,
    clean_keys,
)
from keycheck.model.authorization import Technique
from keycheck.model.control import Control
from keycheck.model.deployment import HERE
from keycheck.model.drill import Desk, Wish
from keycheck.model.probe import Io
from keycheck.registry import load_registry
from keycheck.resolve import system_resolver
from probes.keys.rotation import RotationProbe
from probes.keys.rotation_controls import Rotation
from probes.keys.rotation_facts import RotationFacts
from probes.keys.subjects import Key

CANARY_KEY = "keycheck-canary"
ALLOWED = frozenset({Technique.ROTATE_CANARY, Technique.CANARY_WRITE})
RULE = Rotation(within=timedelta(seconds=3), writes=3, quiet=timedelta(seconds=1), callers="account")


@dataclass(slots=True)
class Stage:
    """A vendor, and what is declared of it."""

    home: Path
    clouds: Clouds
    vendor: Vendor
    planted: Canaries
    entry: dict[str, Any]
    witnesses: list[Mapping[str, object]]
    wish: Wish = field(default_factory=Wish)
    authorized: frozenset[Technique] = ALLOWED
    said: list[str] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def rotated(self, *demands: Control) -> RotationFacts:
        """One whole drill. Raises ProbeError."""
        desk, subject, io = self.ready(*demands)
        (seen,) = RotationProbe().drill(subject, io, desk)
        assert isinstance(seen.facts, RotationFacts)
        assert not desk.unrestored
        return seen.facts

    def materials(self) -> int:
        """How many materials the rotated key has, or versions."""
        if self.entry["provider"] == "gcp":
            return len(self.clouds.gcp.cloud.kms.store.keys[self.entry["drill"]["canary_key"]].versions)
        arn = self.entry["drill"].get("canary_key") or self.entry["resource"]
        return len(self.clouds.aws.cloud.kms.find(arn).ring.materials)

    def ready(self, *demands: Control) -> tuple[Desk, Key, Io]:
        file = self.home / "deployment.yaml"
        stated = {
            "deployment": "practice",
            "identities": [dict(each) for each in self.clouds.identities],
            "witnesses": [dict(each) for each in self.witnesses],
            "keys": [self.entry],
        }
        file.write_text(yaml.safe_dump(stated, sort_keys=False), encoding="utf-8")
        deployment = load_deployment(file, load_registry()).deployment
        (subject,) = deployment.in_section("keys")
        io = Io(
            vantage=HERE,
            budget=60.0,
            demands=demands or (RULE,),
            samples=1,
            authorized=self.authorized,
            base=self.home,
            environment={},
            resolver=system_resolver,
            clock=lambda: datetime.now(UTC),
            entropy=secrets.token_bytes,
            identities=deployment.identities,
        )
        desk = Desk(deployment, file, self.home / "drills", self.stop, self.said.append, self.wish)
        return desk, Key.model_validate(subject.body.parsed()), io


def _sites(provider: str) -> tuple[KeySite, ...]:
    if provider == "gcp":
        return tuple(site for site in clean_keys() if site.id in ("contacts-g", "notes-g"))
    found_aws = (site for site in clean_keys() if isinstance(site, AwsSite) and site.id in ("contacts", "archive"))
    return tuple(constant_for_control(site) for site in found_aws)


@contextmanager
def staged(
    home: Path,
    behaviour: str,
    provider: str = "aws",
    *,
    shows: bool = True,
    production: bool = False,
) -> Iterator[Stage]:
    """A vendor of this manner, up, with canaries and their rotation declared: under a key of their own, or (in AWS,
    `production`) under the declared key itself, with its escrow."""
    with ExitStack() as held:
        clouds = Clouds(home, _sites(provider), (), lambda: datetime.now(UTC))
        held.callback(clouds.close)
        doors, key, resource = _doors(clouds, provider, production)
        with clouds.clock.days_ago(1):
            vendor = held.enter_context(Vendor(home, manner(behaviour), doors))
        planted = plant(vendor, cold=0, clock=clouds.clock)
        layout = "encryption-sdk" if provider == "aws" else "tink"
        drill = dict(drill_entry(vendor, planted, hold="PT10S", quiet="PT1S", settle="PT0S", canary_key=resource))
        of = "key" if production else "canary-key"
        drill["rotation"] = [dict(rotation_entry(planted, layout=layout, shows=shows, of=of))]
        if provider == "aws":
            drill |= {"canary_declared": True, "context": [["tenant", planted.tenant]]}
        if production:
            drill = {name: value for name, value in drill.items() if not name.startswith("canary_")}
            drill |= _escrow(home, clouds, resource)
        entry = {**next(each.entry for each in clouds.keys if each.id == key), "drill": drill}
        seen = [*witnesses(vendor, planted), *rotation_witnesses(vendor, planted, shows=shows)]
        yield Stage(home, clouds, vendor, planted, entry, seen)


def _doors(clouds: Clouds, provider: str, production: bool) -> tuple[Doors, str, str]:
    """The vendor's doors, the declared key's id, and the resource that is rotated."""
    if provider == "aws":
        main = "contacts" if production else CANARY_KEY
        return Doors(clouds.aws.door(main), clouds.aws.door("archive")), "contacts", clouds.aws.arns[main]
    keys = {key.id: key for key in clouds.keys}
    canary = keys["contacts-g"].canary
    assert canary is not None
    beside: Door = clouds.gcp.door(keys["notes-g"].resource)
    return Doors(clouds.gcp.door(canary), beside), "contacts-g", canary


def _escrow(home: Path, clouds: Clouds, arn: str) -> dict[str, object]:
    """Copies of every material as plain files, and a key of the customer's to which new material is sealed."""
    declared = []
    for number, each in enumerate(clouds.aws.cloud.kms.find(arn).ring.materials):
        assert isinstance(each.secret, bytes)
        (home / f"escrow-{number}.bin").write_bytes(each.secret)
        declared.append({"material": each.id, "local": f"escrow-{number}.bin"})
    owner = rsa.generate_private_key(65537, 3072).public_key()
    (home / "owner.pem").write_bytes(owner.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return {"escrow": declared, "incoming": {"keep": "owner.pem"}}


def without_ambient(monkeypatch: Any) -> None:
    """Nothing of this machine's clouds."""
    for name in list(os.environ):
        if name.startswith(("AWS_", "GOOGLE_", "CLOUDSDK_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def amended(stage: Stage, **drill: object) -> Stage:
    """The same with something else in `drill:`; None takes it out."""
    changed = {name: value for name, value in {**stage.entry["drill"], **drill}.items() if value is not None}
    return replace(stage, entry={**stage.entry, "drill": changed})
