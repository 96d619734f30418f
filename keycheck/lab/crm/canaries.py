"""Canaries in the practice vendor, and the witnesses that a deployment declares to watch them."""

from __future__ import annotations

import http.client
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlsplit

from keycheck.lab.crm.envelope import Context
from keycheck.lab.crm.manner import Binding
from keycheck.lab.crm.service import KEY_UNAVAILABLE
from keycheck.lab.crm.traffic import contact
from keycheck.lab.crm.vendor import AUTHORIZATION_FILE, CONSTANT_CONTEXT, TENANT, Vendor
from keycheck.lab.errors import LabError
from keycheck.lab.key_sites import CANARIES
from keycheck.model.types import Entropy

WITHHELD: Final = KEY_UNAVAILABLE.decode().strip()
"""The declared wording of a withheld answer."""
PREFIX: Final = "vendor"
"""How the witnesses' ids begin."""
_PATIENCE: Final = 10.0


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Canary:
    """One planted contact."""

    id: str
    value: str
    """Unique text, in no other record and no address: what a readable answer holds."""
    email: str
    """Unique as well; what a search asks for."""
    context: Mapping[str, str] = field(default_factory=dict)
    """What every sealed field of it is bound to, the field's name left out. Empty where the vendor binds nothing."""


@dataclass(frozen=True, slots=True)
class Canaries:
    """What was planted, in a workspace of canaries alone."""

    tenant: str
    """The workspace; in the honest vendor's encryption contexts it means the canaries and nothing else."""
    authorization: Path
    """File that holds the value of the workspace's Authorization header."""
    planted: datetime
    """Just before the first was written, by the whole second, as cloud logs count."""
    warm: Canary
    """Read before the drill, so that its data keys may be cached."""
    cold: tuple[Canary, ...]
    """Written and never read since: no process can have their data keys for reading. Each serves one read, after which
    it is warm if it was readable."""
    neighbour: Canary
    """An ordinary contact of another workspace under the same key, which a drill must not touch."""

    @property
    def all(self) -> tuple[Canary, ...]:
        """Those that a drill withholds."""
        return (self.warm, *self.cold)


def plant(
    vendor: Vendor, *, cold: int = 8, entropy: Entropy = os.urandom, clock: Callable[[], datetime] = _utc_now
) -> Canaries:
    """Open a workspace and write canaries through the front door, the warm one read once on every pod. ``clock``: the
    cloud's. Raise LabError when refused."""
    planted = clock().replace(microsecond=0)
    tenant = f"{CANARIES}{entropy(4).hex()}"
    front = _Front(vendor, tenant, vendor.workspace(tenant))
    warm, *rest = (front.write(f"{tenant}-{number:02d}", entropy) for number in range(cold + 1))
    for _ in vendor.manner.cache_ages:  # in turn, so that each pod has it
        front.ask("GET", warm.id)
    known = contact(0, TENANT)
    neighbour = Canary(known.id, known.iban, known.email, _context(vendor, TENANT, known.id))
    return Canaries(tenant, front.authorization, planted, warm, tuple(rest), neighbour)


def witnesses(
    vendor: Vendor, planted: Canaries, *, prefix: str = PREFIX, beside: Path | None = None
) -> tuple[Mapping[str, object], ...]:
    """Entries of the deployment's section ``witnesses``. ``beside``: the directory of the deployment file, the
    vendor's home or one above it.

    `vendor-warm`, `vendor-cold-01` …, `vendor-search` and `vendor-export` watch canaries; `vendor-control` a record
    under a key that no drill revokes, and `vendor-neighbour` a record that a drill does not concern: under the same key
    in another context, or under another key than the canaries'. None but its own reads a cold canary, so that the
    others may be tried beforehand. ``prefix`` takes the place of `vendor`.
    """
    home = vendor.home.relative_to(beside or vendor.home)
    mine, theirs = str(home / planted.authorization.name), str(home / AUTHORIZATION_FILE)
    paths = [
        ("warm", mine, f"/v1/contacts/{planted.warm.id}", planted.warm.value),
        *(
            (f"cold-{number:02d}", mine, f"/v1/contacts/{each.id}", each.value)
            for number, each in enumerate(planted.cold, 1)
        ),
        ("search", mine, f"/v1/search?q={quote(planted.warm.email)}", planted.warm.value),
        ("export", mine, f"/v1/export?format=contacts&id={planted.warm.id}", planted.warm.value),
        ("neighbour", theirs, f"/v1/contacts/{planted.neighbour.id}", planted.neighbour.value),
        ("control", theirs, "/v1/status-record", vendor.status_value),
    ]
    return tuple(
        {
            "id": f"{prefix}-{name}",
            "kind": "http",
            "method": "GET",
            "url": f"{vendor.url}{path}",
            "unsafe_plaintext_to_loopback": True,
            "headers": [["Authorization", f"file:{token}"]],
            "readable": readable,
            "withheld": WITHHELD,
        }
        for name, token, path, readable in paths
    )


def drill_entry(
    vendor: Vendor,
    planted: Canaries,
    *,
    hold: str = "PT20S",
    quiet: str = "PT2S",
    settle: str = "PT1S",
    prefix: str = PREFIX,
    canary_key: str | None = None,
) -> Mapping[str, object]:
    """The value of ``drill`` in the key's entry: what limits the drill to the canaries (``canary_key``, a key of their
    own, or their context), and which witness reads which path. Of a vendor that binds nothing it is what the annex
    claims. Durations as ISO 8601 writes them."""
    constant = vendor.manner.binding is Binding.CONSTANT
    pairs = list(CONSTANT_CONTEXT.items()) if constant else [("tenant", planted.tenant)]
    rest = [] if constant else [("record", planted.warm.id), ("field", "notes")]
    cold = [f"{prefix}-cold-{number:02d}" for number in range(1, len(planted.cold) + 1)]
    limits: dict[str, object] = {"canary_key": canary_key}
    if canary_key is None:
        limits = {
            "context": [list(pair) for pair in pairs],
            "rest": [list(pair) for pair in rest],
            "varies": [] if constant else ["record", "field"],
        }
    return {
        **limits,
        "planted": planted.planted.isoformat().replace("+00:00", "Z"),
        "paths": {
            "cold": cold,
            "warm": [f"{prefix}-warm"],
            "search": [f"{prefix}-search"],
            "export": [f"{prefix}-export"],
            "control": [f"{prefix}-control"],
        },
        "hold": hold,
        "quiet": quiet,
        "settle": settle,
    }


@dataclass(frozen=True, slots=True)
class _Front:
    """The vendor's front door, for one workspace."""

    vendor: Vendor
    tenant: str
    authorization: Path

    def write(self, id: str, entropy: Entropy) -> Canary:
        value, email = f"canary-{entropy(12).hex()}", f"{entropy(8).hex()}@canary.example"
        body = {"name": "Canary", "email": email, "notes": value, "phone": "+32 2 555 00 00", "iban": "none"}
        self.ask("PUT", id, json.dumps(body))
        return Canary(id, value, email, _context(self.vendor, self.tenant, id))

    def ask(self, method: str, id: str, body: str | None = None) -> None:
        place = urlsplit(self.vendor.url)
        connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=_PATIENCE)
        try:
            headers = {"Authorization": self.authorization.read_text(encoding="ascii")}
            connection.request(method, f"/v1/contacts/{id}", body, headers)
            answer = connection.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise LabError("the practice vendor does not answer", advice="enter it before planting") from error
        finally:
            connection.close()
        if answer.status not in (200, 201):
            raise LabError(
                f"the practice vendor refused a canary with status {answer.status}",
                advice="plant while the key serves and the vendor has no trouble",
            )


def _context(vendor: Vendor, tenant: str, id: str) -> Context:
    return {name: value for name, value in vendor.context(tenant, id, "").items() if name != "field"}
