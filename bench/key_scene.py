"""The clouds that the benchmark of keys works on, the calls that reach them, and the keys that all are asked about."""

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
from keycheck.lab.key_sites import AwsSite, KeyDefect, KeySite, clean_keys
from keycheck.lab.world import Lab

KEYS: Final = frozenset({"keys"})


@dataclass(frozen=True, slots=True)
class Question:
    """A key that every tool is asked about. `id` is a defect of the lab, or one of its honest keys."""

    id: str
    truth: str
    twin: str = ""
    """The honest key that differs in the defect alone; empty: this one is honest itself."""
    region: str = ""
    """Where it is, if not where its twin is: two stores of a Region cannot share a proxy."""


QUESTIONS: Final = (
    Question("healthy-imported", "honest: imported 200 days ago; AWS cannot rotate it by itself"),
    Question("archive", "honest: imported, with a replica in another EU Region"),
    Question("hold", "honest: in a connected external key store"),
    Question("shared-by-ram", "a second policy (AWS_RAM) lets a stranger decrypt", "healthy-imported"),
    Question("stale-material", "the imported material in use is 500 days old", "healthy-imported"),
    Question("missing-material", "an older imported material was deleted: unusable", "healthy-imported"),
    Question("left-over-grant", "an older grant to the same principal was left", "healthy-imported"),
    Question("replica-elsewhere", "a second replica is in the United States", "archive"),
    Question("disconnected-store", "the external key store is disconnected: unusable", "hold", "eu-west-3"),
)


@dataclass(frozen=True, slots=True)
class Calls:
    """What reached the lab's clouds, by operation."""

    aws: Counter[str]
    gcp: Counter[str]

    def forget(self) -> None:
        """Count from nought."""
        self.aws.clear()
        self.gcp.clear()


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
    """Write the address of AWS as `127.1` into the deployment's configuration: keycheck takes 127.0.0.1 for an
    emulator, which has no quotas, and with this it keeps to AWS's."""
    config = lab.home / CONFIG_FILE
    config.write_text(config.read_text().replace("//127.0.0.1:", "//127.1:"))


@contextmanager
def questions(home: Path) -> Iterator[Lab]:
    """A lab whose only keys are those of `QUESTIONS`, all in the customer's AWS."""
    honest = {site.id: site for site in clean_keys() if isinstance(site, AwsSite)}
    with Lab(home, sections=KEYS) as lab:
        clouds(lab).close()
        sites = [_site(question, honest) for question in QUESTIONS]
        lab.clouds = Clouds(lab.home, sites, (), lambda: datetime.now(UTC))
        yield lab


def _site(question: Question, honest: dict[str, AwsSite]) -> KeySite:
    if question.id in honest:
        return honest[question.id]
    defect = find(question.id)
    if not isinstance(defect, KeyDefect):
        raise TypeError(f"{question.id} is no defect of a key")
    site = honest[defect.at]
    return defect.change(replace(site, id=question.id, region=question.region or site.region))
