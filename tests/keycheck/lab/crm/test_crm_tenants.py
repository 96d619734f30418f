"""A tenant that brings a key of its own: withheld with it, and nobody else."""

from __future__ import annotations

import http.client
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from keycheck.lab.clouds import Clouds
from keycheck.lab.crm.canaries import drill_entry, plant, witnesses
from keycheck.lab.crm.estates import lab_doors
from keycheck.lab.crm.manner import SHORT, manner
from keycheck.lab.crm.vendor import Vendor
from keycheck.lab.key_sites import G_APP, clean_keys

USE = "roles/cloudkms.cryptoKeyEncrypterDecrypter"
OTHERS = {"vendor-g-neighbour", "vendor-g-control"}


@pytest.fixture
def clouds(tmp_path: Path) -> Iterator[Clouds]:
    keys = tuple(key for key in clean_keys() if key.id in ("contacts-g", "notes-g"))
    made = Clouds(tmp_path, keys, (), lambda: datetime.now(UTC))
    yield made
    made.close()


def seen(home: Path, entry: dict[str, Any]) -> str:
    """What a witness sees, as a deployment beside `home` declares it."""
    place = urlsplit(str(entry["url"]))
    ((_, reference),) = entry["headers"]
    token = (home / str(reference).removeprefix("file:")).read_text(encoding="ascii")
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=5)
    connection.request("GET", f"{place.path}?{place.query}", headers={"Authorization": token})
    text = connection.getresponse().read().decode()
    connection.close()
    if str(entry["readable"]) in text:
        return "readable"
    return "withheld" if str(entry["withheld"]) in text else "unavailable"


def test_only_the_canaries_are_under_the_canarys_key(tmp_path: Path, clouds: Clouds) -> None:
    (key,) = (each for each in clouds.keys if each.id == "contacts-g")
    assert key.canary is not None
    assert key.canary.endswith("/cryptoKeys/crm-keycheck-canary")
    assert key.canary not in {each.resource for each in clouds.keys}
    home = tmp_path / "g"
    home.mkdir()
    with Vendor(home, manner("honest"), lab_doors(clouds, "contacts-g", "notes-g")) as vendor:
        planted = plant(vendor, cold=2)
        entries = {str(e["id"]): dict(e) for e in witnesses(vendor, planted, prefix="vendor-g", beside=tmp_path)}
        drill = drill_entry(vendor, planted, prefix="vendor-g", canary_key=key.canary)
        assert drill["canary_key"] == key.canary
        assert "context" not in drill
        clouds.gcp.cloud.iam.unbind(key.canary, USE, G_APP)
        time.sleep(SHORT + 0.2)
        away = {id: seen(tmp_path, entry) for id, entry in entries.items()}
        assert {id for id, what in away.items() if what == "readable"} == OTHERS
        assert {what for id, what in away.items() if id not in OTHERS} == {"withheld"}
        clouds.gcp.cloud.iam.bind(key.canary, USE, G_APP)
        clouds.gcp.cloud.iam.unbind(key.resource, USE, G_APP)
        time.sleep(SHORT + 0.2)
        back = {id: seen(tmp_path, entry) for id, entry in entries.items()}
        assert {id for id, what in back.items() if what != "readable"} == {"vendor-g-neighbour"}
