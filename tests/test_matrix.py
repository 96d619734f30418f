"""The conscience: the clean vendor passes everything that has a control, and every defect shows what it promises."""

from __future__ import annotations

import pytest

from keycheck.lab.defects import DEFECTS
from keycheck.lab.matrix import Shown, clean_world, false_alarms, row
from keycheck.registry import Registry, load_registry

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load_registry()


@pytest.fixture(scope="module")
def clean(registry: Registry) -> Shown:
    return clean_world(registry)


def test_the_honest_vendor_raises_no_alarm(clean: Shown) -> None:
    assert false_alarms(clean) == frozenset()
    assert {control for control, _ in clean} >= {
        "tls.protocols",
        "tls.suites",
        "tls.groups",
        "tls.post-quantum",
        "tls.certificate",
        "tls.chain",
        "tls.revocation",
        "tls.hsts",
        "tls.early-data",
        "tls.renegotiation",
        "tls.compression",
        "tls.client-auth",
    }
    # All of these, of each export, and commitment where the library can commit.
    assert {control for control, at in clean if at == "datasets/contacts-g-export"} == {
        "fields.algorithm",
        "fields.context",
        "fields.coverage",
        "fields.data-key-length",
        "fields.data-key-use",
        "fields.deterministic",
        "fields.encrypted",
        "fields.escrow",
        "fields.key",
        "fields.length-leak",
        "fields.nonce",
        "fields.plaintext",
        "fields.rotation",
        "fields.tag",
        "fields.tamper",
    }


@pytest.mark.parametrize("defect", [defect.id for defect in DEFECTS])
def test_a_defect_shows_what_it_promises_and_nothing_else(defect: str, clean: Shown, registry: Registry) -> None:
    seen = row(defect, clean, registry)
    assert seen.seen == seen.expected
    assert seen.elsewhere == frozenset()
