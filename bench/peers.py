"""Other scanners as programs: how to call them, and what their output states.

None of them is imported. sslyze is AGPL and pins an old `cryptography`, so it lives in an environment of its own.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import venv
import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from answers import VERSIONS, Said
from measure import Finished, execute

from keycheck.lab.world import LabEndpoint

SSLYZE: Final = "sslyze>=6.3,<7"
NAMES: Final = ("sslyze", "sslscan", "testssl")
_CURVES: Final = {"prime256v1": "secp256r1"}


@dataclass(frozen=True, slots=True)
class Mode:
    """One way to call a tool: `argv(endpoint, report)` writes its report there. `answers`: it asks about what
    the contract asks about, so its statements are read."""

    label: str
    argv: Callable[[LabEndpoint, Path], Sequence[str]]
    answers: bool = True
    slow: bool = False
    """Half a minute and more: timed once, and not at all when in a hurry."""


@dataclass(frozen=True, slots=True)
class Peer:
    """An installed tool. The first mode is the one whose answers are compared."""

    name: str
    version: str
    modes: tuple[Mode, ...]
    read: Callable[[Path, Finished], Said]

    def run(self, mode: Mode, endpoint: LabEndpoint, scratch: Path, limit: float) -> tuple[Finished, Said]:
        """Call it once and read what it said."""
        report = scratch / "report"
        report.unlink(missing_ok=True)
        done = execute(mode.argv(endpoint, report), limit=limit, cwd=scratch)
        if done.exit_code is None:
            return done, Said(trouble=f"no end within {limit:.0f} s")
        if not report.exists():
            return done, Said(trouble="no report")
        return done, self.read(report, done)


@dataclass(frozen=True, slots=True)
class Missing:
    """A tool that is not there, and how to get it."""

    name: str
    advice: str


def find(name: str, cache: Path) -> Peer | Missing:
    """The tool, installed first where that needs no administrator."""
    match name:
        case "sslyze":
            return _sslyze(cache)
        case "sslscan":
            if (path := shutil.which("sslscan")) is None:
                return Missing(name, "not installed: apt-get install sslscan")
            return _sslscan(path)
        case "testssl":
            if (path := shutil.which("testssl.sh") or shutil.which("testssl")) is None:
                return Missing(name, "not installed: apt-get install testssl.sh")
            return _testssl(path)
        case _:
            raise ValueError(f"{name!r} is no peer; use some of {', '.join(NAMES)}")


def _version(argv: Sequence[str]) -> str:
    """The first word with a digit and a dot in it."""
    said = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False, stdin=subprocess.DEVNULL)
    words = said.stdout.replace("\x1b[", " ").split()
    return next((w for w in words if w[0].isdigit() and "." in w), "of unknown version")


def _sslyze(cache: Path) -> Peer | Missing:
    home = cache.resolve() / "sslyze"
    program = home / "bin" / "sslyze"
    if not program.exists():
        try:
            venv.create(home, with_pip=True)
            pip = [str(home / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
            subprocess.run([*pip, SSLYZE], check=True, capture_output=True, timeout=600)
        except (OSError, subprocess.SubprocessError) as error:
            return Missing("sslyze", f"could not be installed into {home}: {error}")

    def call(*questions: str) -> Callable[[LabEndpoint, Path], Sequence[str]]:
        return lambda e, report: [
            str(program),
            "--quiet",
            f"--json_out={report}",
            f"--certinfo_ca_file={e.ca}",
            *questions,
            f"{e.host}:{e.port}{{{e.addresses[0].rpartition(':')[0]}}}",
        ]

    versions = ("--sslv2", "--sslv3", "--tlsv1", "--tlsv1_1", "--tlsv1_2", "--tlsv1_3")
    same = call("--mozilla_config=disable", "--certinfo", "--elliptic_curves", *versions)
    modes = (Mode("certificate, versions, groups", same), Mode("its default", call(), answers=False))
    return Peer("sslyze", _version([str(program), "--help"]), modes, read_sslyze)


def sslyze_fleet(cache: Path, endpoints: Sequence[LabEndpoint], scratch: Path, limit: float) -> Finished:
    """sslyze's cheapest comparable questions (no old versions) on many endpoints in one call."""
    program = cache.resolve() / "sslyze" / "bin" / "sslyze"
    targets = scratch / "targets"
    lines = [f"{e.host}:{e.port}{{{e.addresses[0].rpartition(':')[0]}}}" for e in endpoints]
    targets.write_text("\n".join(lines) + "\n")
    argv = [str(program), "--quiet", f"--json_out={scratch / 'report'}", f"--targets_in={targets}"]
    argv += [f"--certinfo_ca_file={endpoints[0].ca}", "--mozilla_config=disable"]
    return execute([*argv, "--certinfo", "--tlsv1_3", "--elliptic_curves"], limit=limit, cwd=scratch, memory=True)


def _testssl(path: str) -> Peer:
    def call(*questions: str) -> Callable[[LabEndpoint, Path], Sequence[str]]:
        quiet = ("--quiet", "--color", "0", "--warnings", "off", "--nodns", "none", "--openssl-timeout", "10")
        return lambda e, report: [
            *(path, *quiet, *questions, "--jsonfile", str(report), "--add-ca", str(e.ca)),
            *("--ip", e.addresses[0].rpartition(":")[0], f"{e.host}:{e.port}"),
        ]

    modes = (
        Mode("-p -f -S: versions, groups, certificate", call("-p", "-f", "-S")),
        Mode("all its checks", call(), answers=False, slow=True),
    )
    return Peer("testssl.sh", _version([path, "--version"]), modes, read_testssl)


def _sslscan(path: str) -> Peer:
    mode = Mode("all its checks", lambda e, report: [path, f"--xml={report}", f"--sni-name={e.host}", e.addresses[0]])
    return Peer("sslscan", _version([path, "--version"]), (mode,), read_sslscan)


def read_sslscan(report: Path, finished: Finished) -> Said:
    """sslscan's XML."""
    root = ET.fromstring(report.read_bytes())
    if root.find("error") is not None:
        return Said(reached=False)
    states = {_sslscan_version(each): each.get("enabled") == "1" for each in root.iter("protocol")}
    groups = frozenset((each.get("name") or "").split(" ")[0].lower() for each in root.iter("group"))
    return _stated(states, groups)


def _sslscan_version(protocol: ET.Element) -> str:
    number = protocol.get("version") or ""
    return f"SSLv{number}" if protocol.get("type") == "ssl" else f"TLSv{number.removesuffix('.0')}"


def read_testssl(report: Path, finished: Finished) -> Said:
    """testssl.sh's flat JSON. What it stated before it gave up counts as stated."""
    found = {each["id"]: each["finding"] for each in json.loads(report.read_bytes())}
    ids = dict(zip(("SSLv2", "SSLv3", "TLS1", "TLS1_1", "TLS1_2", "TLS1_3"), VERSIONS, strict=True))
    states = {ids[key]: not text.startswith("not offered") for key, text in found.items() if key in ids}
    if not states:
        return Said(reached=False)
    named = " ".join(text for key, text in found.items() if key.endswith(("_curves", "DH_groups", "_KEMs")))
    groups = frozenset(_CURVES.get(name.lower(), name.lower()) for name in named.split())
    return _stated(states, groups)


def read_sslyze(report: Path, finished: Finished) -> Said:
    """sslyze's JSON, of one target."""
    (target,) = json.loads(report.read_bytes())["server_scan_results"]
    if target["connectivity_status"] != "COMPLETED":
        return Said(reached=False)
    keys = ("ssl_2_0", "ssl_3_0", "tls_1_0", "tls_1_1", "tls_1_2", "tls_1_3")
    states, failed = {}, 0
    for key, version in zip(keys, VERSIONS, strict=True):
        attempt = target["scan_result"][f"{key}_cipher_suites"]
        if attempt["status"] == "COMPLETED":
            states[version] = bool(attempt["result"]["accepted_cipher_suites"])
        failed += attempt["status"] == "ERROR"
    if failed == len(keys):
        return Said(trouble="an error for every question")
    curves = target["scan_result"]["elliptic_curves"]
    groups = None
    if curves["status"] == "COMPLETED":
        groups = frozenset(each["name"].lower() for each in curves["result"]["supported_curves"] or ())
    return _stated(states, groups)


def _stated(states: Mapping[str, bool], groups: frozenset[str] | None) -> Said:
    """Every version off is a statement too: that there is no TLS server."""
    on = frozenset(version for version, enabled in states.items() if enabled)
    return Said(reached=bool(on) or states.keys() != set(VERSIONS), on=on, off=frozenset(states) - on, groups=groups)
