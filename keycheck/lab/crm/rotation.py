"""What a deployment declares for a rotation drill on the practice vendor: records that it writes anew, and shows as
stored, and records of before."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from keycheck.lab.crm.canaries import PREFIX, WITHHELD, Canaries
from keycheck.lab.crm.vendor import Vendor
from keycheck.model.types import Entropy

WRITTEN: Final = 2
"""Records that the drill has the vendor write again and again."""
BODY_FILE: Final = "rotation-canary"
"""Holds what is written: a canary's value, which stands in no deployment file."""


def rotation_witnesses(
    vendor: Vendor,
    planted: Canaries,
    *,
    prefix: str = PREFIX,
    beside: Path | None = None,
    shows: bool = True,
    entropy: Entropy = os.urandom,
) -> tuple[Mapping[str, object], ...]:
    """Entries of the section ``witnesses``, more than those of `canaries.witnesses`: `vendor-write-01` … and, where the
    vendor ``shows`` them, `vendor-stored-01` …. Writes the body's file. ``beside`` and ``prefix`` as there."""
    home = vendor.home.relative_to(beside or vendor.home)
    _body(vendor.home / BODY_FILE, entropy)

    def http(id: str, url: str, **more: object) -> Mapping[str, object]:
        return {
            "id": id,
            "kind": "http",
            "unsafe_plaintext_to_loopback": True,
            "headers": [["Authorization", f"file:{home / planted.authorization.name}"]],
            "withheld": WITHHELD,
            "url": f"{vendor.url}{url}",
            **more,
        }

    found: list[Mapping[str, object]] = []
    for number, record in _records(planted):
        write = {"method": "PUT", "body": f"file:{home / BODY_FILE}", "readable": f'{{"id":"{record}"}}'}
        found.append(http(f"{prefix}-write-{number:02d}", f"/v1/contacts/{record}", **write))
        if shows:
            stored = {"method": "GET", "readable": f'"id": "{record}"'}
            found.append(http(f"{prefix}-stored-{number:02d}", f"/v1/export?format=ndjson&id={record}", **stored))
    return tuple(found)


def rotation_entry(
    planted: Canaries, *, layout: str, prefix: str = PREFIX, shows: bool = True, of: str = "canary-key"
) -> Mapping[str, object]:
    """One value of ``drill.rotation`` in the key's entry. ``layout``: `encryption-sdk` in AWS, `tink` in Google."""
    writes: list[Mapping[str, object]] = []
    for number, _ in _records(planted):
        stored = {"witness": f"{prefix}-stored-{number:02d}", "pointer": "/notes", "layout": layout}
        writes.append({"witness": f"{prefix}-write-{number:02d}", **({"stored": stored} if shows else {})})
    return {"of": of, "write": writes, "old": [f"{prefix}-warm"], "control": [f"{prefix}-control"]}


def _records(planted: Canaries) -> tuple[tuple[int, str], ...]:
    return tuple((number, f"{planted.tenant}-new-{number:02d}") for number in range(1, WRITTEN + 1))


def _body(file: Path, entropy: Entropy) -> None:
    value = {"name": "Canary", "email": f"{entropy(8).hex()}@canary.example", "notes": f"canary-{entropy(12).hex()}"}
    file.touch(mode=0o600)
    file.write_text(json.dumps(value), encoding="ascii")
