"""The customer's keys in both clouds, built as planned, with what a deployment file says of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from keycheck.lab.aws_estate import AwsEstate
from keycheck.lab.defects import Choice
from keycheck.lab.drill_defects import DrillDefect
from keycheck.lab.gcp_estate import GcpEstate, canary_of, resource_of
from keycheck.lab.key_sites import (
    ADMIN,
    APP,
    CONTROL,
    CUSTOMER,
    DEAD_MAN,
    DRILL,
    G_ADMIN,
    G_APP,
    G_CONTROL,
    G_DRILL,
    G_INSPECTOR,
    G_OPENER,
    G_RESTORE,
    INSPECTOR,
    OFFICE,
    OPENER,
    RESTORE,
    Attested,
    AwsSite,
    GcpSite,
    KeyDefect,
    KeySite,
)
from keycheck.lab.lab_clock import LabClock
from keycheck.lab.rotation_defects import RotationDefect


@dataclass(frozen=True, slots=True)
class LabKey:
    """What a deployment file needs to know of one key. ``entry`` is its place in the section ``keys``; ``canary`` the
    resource name of a key that seals canaries alone."""

    id: str
    resource: str
    entry: Mapping[str, object]
    canary: str | None = None


class Clouds:
    """Both clouds, up once it is made. What is agreed is always the honest plan's, whatever was built."""

    def __init__(
        self, home: Path, keys: Sequence[KeySite], choices: Sequence[Choice], clock: Callable[[], datetime]
    ) -> None:
        built = tuple(_after(key, choices) for key in keys)
        aws_sites = tuple(site for site in built if isinstance(site, AwsSite))
        gcp_sites = tuple(site for site in built if isinstance(site, GcpSite))
        self.clock = turned = LabClock(clock)
        """Everything that both clouds do is dated by it."""
        self.aws = AwsEstate(home, aws_sites, turned)
        with ExitStack() as held:
            held.callback(self.aws.close)
            self.aws.finish(aws_sites)
            self.gcp = GcpEstate(home, gcp_sites, turned)
            held.pop_all()
        self.identities = (*self.aws.identities, *self.gcp.identities)
        self.keys = tuple(self._aws_key(site) if isinstance(site, AwsSite) else self._gcp_key(site) for site in built)

    def close(self) -> None:
        """End both."""
        self.aws.close()
        self.gcp.close()

    def _aws_key(self, site: AwsSite) -> LabKey:
        arn = self.aws.arns[site.id]
        agreed: dict[str, object] = {
            "owner": CUSTOMER,
            "vendor": [APP],
            "users": [CONTROL, OPENER],
            "administrators": [ADMIN, DRILL, RESTORE, DEAD_MAN],
            "readers": [INSPECTOR],
            "sources": [OFFICE],
        }
        if site.held_in is not None:
            agreed["held_in"] = site.held_in
        return LabKey(
            site.id,
            arn,
            {
                "id": site.id,
                "provider": "aws",
                "resource": arn,
                "model": site.model,
                "on_key_loss": "withheld",
                "identities": {
                    "inspect": "inspector",
                    "log": "log-reader",
                    **{role: role for role in ("drill", "control", "restore")},
                },
                "agreed": agreed,
                **({"availability_keys": [self.aws.arns[site.copied_under]]} if site.copied_under else {}),
            },
        )

    def _gcp_key(self, site: GcpSite) -> LabKey:
        roots = self.gcp.roots(expired=site.attested is Attested.EXPIRED_ROOT)
        canary = canary_of(site)
        return LabKey(
            site.id,
            resource_of(site),
            {
                "id": site.id,
                "provider": "gcp",
                "resource": resource_of(site),
                "model": site.model,
                "on_key_loss": "withheld",
                "identities": {
                    "inspect": "inspector-g",
                    "log": "inspector-g",
                    **{role: f"{role}-g" for role in ("drill", "control", "restore")},
                },
                "attestation_roots": list(roots),
                "agreed": {
                    "owner": site.project,
                    "vendor": [G_APP],
                    "users": [G_CONTROL, G_OPENER],
                    "administrators": [G_ADMIN, G_DRILL, G_RESTORE],
                    "readers": [G_INSPECTOR],
                    "sources": ["127.0.0.0/8"],
                },
            },
            None if canary is None else resource_of(canary),
        )


def _after(key: KeySite, choices: Sequence[Choice]) -> KeySite:
    for choice in choices:
        if choice.at != key.id:
            continue
        if isinstance(choice.defect, KeyDefect):
            key = choice.defect.change(key)
        elif isinstance(choice.defect, DrillDefect | RotationDefect):
            key = choice.defect.site(key)
    return key
