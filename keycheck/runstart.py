"""The run-start record: what a run commits itself to before it touches anything."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from keycheck import __version__
from keycheck.canonical import Jsonable, dumps
from keycheck.evidence.inputs import SaltedInput, commitments
from keycheck.model.types import Entropy, format_instant
from keycheck.model.verdict import Tier
from keycheck.plan import Impossible, Task
from keycheck.recorder import probe_reference
from keycheck.registry import Registry

SCHEMA = "keycheck.dev/run-start/1"


@dataclass(frozen=True, slots=True)
class Commitment:
    """What goes into the record besides tool and time."""

    inputs: Mapping[str, SaltedInput]
    """Files under `inputs/` of the bundle, by name."""
    expected: tuple[Task | Impossible, ...]
    only: tuple[str, ...]
    authorized_by: tuple[str, ...]
    """Key ids whose signatures on the authorization were verified; empty without one."""
    environment: Mapping[str, str]
    """Variables that were neutralised at start, with the digest of their values."""
    fail_on: Tier
    """The lowest tier whose failures gate the exit code."""


def run_start(commitment: Commitment, registry: Registry, started: datetime, entropy: Entropy) -> bytes:
    """The canonical bytes. The random `id` makes two runs of the same plan two runs."""
    record: dict[str, Jsonable] = {
        "schema": SCHEMA,
        "id": entropy(16).hex(),
        "started": format_instant(started),
        "tool": _tool(registry),
        "inputs": commitments(commitment.inputs),
        "expected": _expected(commitment.expected),
        "only": list(commitment.only),
        "fail_on": commitment.fail_on.value,
        "authorized_by": sorted(commitment.authorized_by),
        "environment": [{"name": name, "sha256": digest} for name, digest in sorted(commitment.environment.items())],
    }
    return dumps(record)


def _expected(tasks: Iterable[Task | Impossible]) -> list[dict[str, str]]:
    return [{"probe": probe_reference(task), "subject": task.entry.id, "vantage": task.vantage} for task in tasks]


def _tool(registry: Registry) -> dict[str, Jsonable]:
    from cryptography.hazmat.backends.openssl import backend

    return {
        "name": "keycheck",
        "version": __version__,
        "python": platform.python_version(),
        "openssl": backend.openssl_version_text(),
        "plugins": [
            {
                "group": plugin.group,
                "name": plugin.name,
                "value": plugin.value,
                "distribution": plugin.distribution,
                "version": plugin.version,
            }
            for plugin in registry.plugins()
        ],
    }
