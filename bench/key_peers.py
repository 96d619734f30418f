"""Scanners of AWS accounts as programs: how to install and call them, and what their output states of each key.

None of them is imported: each lives in an environment of its own.
"""

from __future__ import annotations

import json
import subprocess
import venv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

from key_access import PROFILE
from measure import Finished, execute

from keycheck.lab.key_sites import CUSTOMER, VENDOR

Flags: TypeAlias = Mapping[str, frozenset[str]]
"""ARN of a key -> the checks that flag it. A key that was looked at and not flagged has none."""

REGIONS: Final = ("eu-central-1", "eu-west-1", "eu-west-3", "eu-north-1")
"""Where the keys in question are; what a scan of an EU customer would cover."""
_INSTALL_S: Final = 1800.0


class UnreadableError(Exception):
    """A tool ended without a report that can be read."""


@dataclass(frozen=True, slots=True)
class Peer:
    """An installed tool."""

    name: str
    version: str
    argv: Callable[[Path], Sequence[str]]
    """How to call it, given an empty directory for its report."""
    read: Callable[[Path], Flags]
    asks: str

    def run(self, environment: Mapping[str, str], scratch: Path, limit: float) -> tuple[Finished, Flags | str]:
        """Call it once, and what it flags, or why that is not known."""
        number = len(list(scratch.glob(f"{self.name}-*")))
        report = scratch / f"{self.name}-{number}"
        report.mkdir(parents=True)
        done = execute(self.argv(report), limit=limit, cwd=report, environment=environment)
        if done.exit_code is None:
            return done, f"no end within {limit:.0f} s"
        try:
            return done, self.read(report)
        except (UnreadableError, OSError, ValueError, KeyError, TypeError) as error:
            last = (done.output.decode(errors="replace").strip().splitlines() or ["nothing on its output"])[-1]
            return done, f"exit code {done.exit_code} and no report that can be read ({error}); last said: {last[:200]}"


@dataclass(frozen=True, slots=True)
class Missing:
    """A tool that cannot run here, and why."""

    name: str
    why: str


def _prowler(program: Path, version: str) -> Peer:
    fixed = ("aws", "--profile", PROFILE, "--services", "kms", "--region", *REGIONS, "--no-banner")
    output = ("--output-formats", "json-ocsf", "--output-directory")
    return Peer(
        "prowler",
        version,
        lambda report: [str(program), *fixed, *output, str(report)],
        read_prowler,
        "its eleven checks of KMS",
    )


def read_prowler(report: Path) -> Flags:
    """Prowler's OCSF findings."""
    (path,) = _some(report, "*.ocsf.json")
    said: dict[str, frozenset[str]] = {}
    for finding in json.loads(path.read_bytes()):
        arn, check = finding["resources"][0]["uid"], finding["metadata"]["event_code"]
        failed = {check} if finding["status_code"] == "FAIL" else set()
        said[arn] = said.get(arn, frozenset()) | failed
    return said


def _scoutsuite(program: Path, version: str) -> Peer:
    fixed = ("aws", "--profile", PROFILE, "--services", "kms", "--regions", *REGIONS, "--no-browser", "--force")
    return Peer(
        "scoutsuite",
        version,
        lambda report: [str(program), *fixed, "--report-dir", str(report)],
        read_scoutsuite,
        "its one rule on KMS",
    )


def read_scoutsuite(report: Path) -> Flags:
    """ScoutSuite's results, a JavaScript file with one JSON object."""
    (path,) = _some(report / "scoutsuite-results", "scoutsuite_results_*.js")
    text = path.read_text(encoding="utf-8")
    kms = json.loads(text[text.index("{") :])["services"]["kms"]
    keys: list[dict[str, Any]] = [key for region in kms["regions"].values() for key in region["keys"].values()]
    return {
        key["arn"]: frozenset(
            rule for rule, found in kms["findings"].items() if any(key["id"] in item for item in found["items"])
        )
        for key in keys
    }


_POLICIES: Final[Sequence[Mapping[str, object]]] = (
    {"name": "every-key", "resource": "kms-key"},
    {
        "name": "key-rotation-status",
        "resource": "kms-key",
        "filters": [{"type": "key-rotation-status", "key": "KeyRotationEnabled", "value": False}],
    },
    {
        "name": "last-rotation",
        "resource": "kms-key",
        "filters": [{"type": "last-rotation", "key": "RotationDate", "value": 365, "value_type": "age", "op": "gte"}],
    },
    {
        "name": "cross-account",
        "resource": "kms-key",
        "filters": [{"type": "cross-account", "whitelist": [CUSTOMER, VENDOR]}],
    },
)
"""Cloud Custodian has no policies of its own: the examples of its documentation on KMS keys, with the vendor known."""


def _custodian(program: Path, version: str) -> Peer:
    def argv(report: Path) -> Sequence[str]:
        policies = report / "policies.json"
        policies.write_text(json.dumps({"policies": list(_POLICIES)}))
        where = [word for region in REGIONS for word in ("--region", region)]
        return [
            str(program),
            "run",
            "--profile",
            PROFILE,
            *where,
            "--cache-period",
            "0",
            "-s",
            str(report),
            str(policies),
        ]

    return Peer("c7n", version, argv, read_custodian, "the example policies of its documentation")


def read_custodian(report: Path) -> Flags:
    """Cloud Custodian's resources of each policy in each Region."""
    said: dict[str, frozenset[str]] = {}
    for path in sorted(_some(report, "*/*/resources.json")):
        name = path.parent.name
        for key in json.loads(path.read_bytes()):
            said[key["Arn"]] = said.get(key["Arn"], frozenset()) | ({name} - {"every-key"})
    return said


def _some(folder: Path, pattern: str) -> list[Path]:
    found = list(folder.glob(pattern))
    if not found:
        raise UnreadableError(f"no {pattern}")
    return found


@dataclass(frozen=True, slots=True)
class _Recipe:
    requirement: str
    distribution: str
    program: str
    make: Callable[[Path, str], Peer]


_RECIPES: Final[Mapping[str, _Recipe]] = {
    "prowler": _Recipe("prowler>=5.46,<6", "prowler", "prowler", _prowler),
    "scoutsuite": _Recipe("ScoutSuite>=5.14,<6", "ScoutSuite", "scout", _scoutsuite),
    "c7n": _Recipe("c7n>=0.9.53,<1", "c7n", "custodian", _custodian),
}
NAMES: Final = tuple(_RECIPES)
STEAMPIPE: Final = Missing(
    "steampipe", "no Python package: a Go program with a PostgreSQL of its own, not fetched here"
)


def find(name: str, cache: Path) -> Peer | Missing:
    """The tool, installed first into an environment of its own under `cache` where it is not there."""
    recipe = _RECIPES[name]
    home = cache.resolve() / name
    python, program = home / "bin" / "python", home / "bin" / recipe.program
    try:
        if not program.exists():
            venv.create(home, with_pip=True)
            pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", recipe.requirement]
            subprocess.run(pip, check=True, capture_output=True, timeout=_INSTALL_S)
        ask = f"import importlib.metadata as m; print(m.version({recipe.distribution!r}))"
        said = subprocess.run([str(python), "-c", ask], check=True, capture_output=True, text=True, timeout=60)
    except subprocess.CalledProcessError as error:
        last = (bytes(error.stderr or b"").decode(errors="replace").strip().splitlines() or ["no word"])[-1]
        return Missing(name, f"could not be installed into {home}: {last[:200]}")
    except (OSError, subprocess.SubprocessError) as error:
        return Missing(name, f"could not be installed into {home}: {error}")
    return recipe.make(program, said.stdout.strip())
