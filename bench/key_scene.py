"""The clouds that the benchmark of keys works on, the calls that reach them, and the keys that tools are asked about."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from unittest.mock import patch

import keycheck.lab.gcp.cloud as gcp_cloud
from keycheck.lab.aws_estate import CONFIG_FILE
from keycheck.lab.clouds import Clouds
from keycheck.lab.defects import find
from keycheck.lab.gcp.faults import Faults, short
from keycheck.lab.key_sites import AwsSite, KeyDefect, clean_keys
from keycheck.lab.world import Lab

KEYS: Final = frozenset({"keys"})
QUESTIONS: Final = {
    "healthy-imported": "imported and healthy: own material of 200 days, which AWS cannot rotate",
    "shared-by-ram": "a second policy (AWS_RAM) lets a stranger's account decrypt",
    "stale-material": "imported; the material in use is 500 days old",
    "missing-material": "imported; an older material was deleted: the key is unusable",
    "left-over-grant": "an older grant to the same principal was left",
    "replica-elsewhere": "multi-Region; a replica is in the United States",
    "disconnected-store": "in an external key store that is disconnected: unusable",
}
"""Defect of the lab -> what is true of the key that has it."""


@dataclass(frozen=True, slots=True)
class Calls:
    """What reached the lab's clouds, by operation."""

    aws: Counter[str]
    gcp: Counter[str]

    def forget(self) -> None:
        """Count from nought."""
        self.aws.clear()
        self.gcp.clear()

    @property
    def total(self) -> int:
        """All of them."""
        return self.aws.total() + self.gcp.total()


@contextmanager
def many_keys(home: Path, fleet: int) -> Iterator[tuple[Lab, Calls]]:
    """The lab's five keys and as many plain ones as asked, half in each cloud."""
    counted: Counter[str] = Counter()

    class Counting(Faults):
        def before(self, path: str) -> None:
            counted[short(path)] += 1
            super().before(path)

    with (
        patch.object(gcp_cloud, "Faults", Counting),  # the Google fake has no counter of its own
        Lab(home, sections=KEYS, fleet_of_keys=fleet) as lab,
    ):
        yield lab, Calls(clouds(lab).aws.cloud.faults.calls, counted)


def clouds(lab: Lab) -> Clouds:
    """The lab's clouds. Raises RuntimeError when it has none."""
    if lab.clouds is None:
        raise RuntimeError("the lab was started without its clouds")
    return lab.clouds


def hide_loopback(lab: Lab) -> None:
    """Let the deployment call AWS's address by its short name, `127.1`. keycheck knows 127.0.0.1 for an emulator, which
    has no quotas; with this it keeps to AWS's."""
    config = lab.home / CONFIG_FILE
    config.write_text(config.read_text().replace("//127.0.0.1:", "//127.1:"))


@contextmanager
def questions(home: Path) -> Iterator[Lab]:
    """A lab whose only keys are those of `QUESTIONS`, one defect each, all in the customer's AWS."""
    honest = {site.id: site for site in clean_keys() if isinstance(site, AwsSite)}
    sites = []
    for name in QUESTIONS:
        defect = find(name)
        if not isinstance(defect, KeyDefect):
            raise TypeError(f"{name} is no defect of a key")
        sites.append(defect.change(replace(honest[defect.at], id=name)))
    with Lab(home, sections=KEYS) as lab:
        clouds(lab).close()
        lab.clouds = Clouds(lab.home, sites, (), lambda: datetime.now(UTC))
        yield lab
