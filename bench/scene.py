"""The servers that everybody is measured on, and the papers that keycheck needs to look at them."""

from __future__ import annotations

import resource
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import yaml
from answers import HYBRID, OLD, Truth

import profiles
from keycheck.lab.paperwork import Papers, write_papers
from keycheck.lab.world import Lab, LabEndpoint

_OLD_AND_NEW: Final = frozenset({"TLSv1.2", "TLSv1.3"})
_WITH_FINITE_FIELD: Final = frozenset({HYBRID, "ffdhe2048", "ffdhe3072"})
_DESCRIPTORS: Final = 8192


@dataclass(frozen=True, slots=True)
class Server:
    """One plain endpoint with the lab's defects on it."""

    name: str
    defects: tuple[str, ...]
    truth: Truth


SERVERS: Final = (
    Server("clean", (), Truth()),
    Server("TLS 1.2 too", ("tls-1.2-accepted",), Truth(on=_OLD_AND_NEW)),
    Server("X25519MLKEM768 only", ("hybrid-only",), Truth()),
    Server("ffdhe2048, ffdhe3072 too", ("finite-field-group",), Truth(groups=_WITH_FINITE_FIELD)),
    Server("resets above 20 conn/s", ("resets-above-20",), Truth()),
    Server("the same, TLS 1.2 too", ("tls-1.2-accepted", "resets-above-20"), Truth(on=_OLD_AND_NEW)),
    Server("silent to old hellos", ("drops-old-hellos",), Truth(silent=OLD)),
    Server("nothing listens", ("down",), Truth(up=False)),
)  # fmt: skip
"""The clean one first."""


def fleet_id(number: int) -> str:
    """The lab's id of a plain endpoint, from 1."""
    return f"fleet-{number:04d}"


def defects() -> list[str]:
    """Every defect of the scene on its endpoint."""
    return [f"{defect}@{fleet_id(n)}" for n, server in enumerate(SERVERS, 1) for defect in server.defects]


def papers_for(lab: Lab, endpoints: Sequence[str], label: str, now: datetime) -> Papers:
    """Deployment, contract and authorization for some endpoints only, under the right name, in the lab's home.

    The contract is `base-saas` without the promises that no control can test yet, so that a clean server ends in
    a pass. `now` must be the same for all papers of one lab: what was signed once is not signed again.
    """
    whole = write_papers(lab, now, base="base-saas", names=("right",))
    deployment = _read(whole.deployment)
    listed = deployment["endpoints"]
    deployment["endpoints"] = [each for each in _items(listed) if each["id"] in endpoints]
    contract = {key: value for key, value in _read(whole.profile).items() if key != "extends"}
    base = _read(Path(profiles.__file__).parent / "base-saas.yaml")
    contract["parameters"] = {k: v for k, v in base["parameters"].items() if k.startswith("tls_")}
    contract["clauses"] = [each for each in _items(base["clauses"]) if _testable(each)]
    papers = Papers(
        lab.home / f"{label}-deployment.yaml",
        lab.home / f"{label}-contract.yaml",
        whole.authorization,
        whole.approver,
        whole.signer,
    )
    for path, content in ((papers.deployment, deployment), (papers.profile, contract)):
        path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return papers


def _read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return content


def _items(listed: object) -> list[Mapping[str, object]]:
    if not isinstance(listed, list):
        raise TypeError("the lab's papers have changed their shape")
    return listed


def _testable(clause: Mapping[str, object]) -> bool:
    return all("control" in requirement for requirement in _items(clause["requires"]))


def endpoints(lab: Lab) -> tuple[LabEndpoint, ...]:
    """The scene's endpoints in the order of SERVERS."""
    return tuple(lab.endpoint(fleet_id(number)) for number in range(1, len(SERVERS) + 1))


def raise_descriptor_limit() -> None:
    """A thousand listening sockets are handed to the lab's processes by this one."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, _DESCRIPTORS)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
