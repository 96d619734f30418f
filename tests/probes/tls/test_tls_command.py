"""`keycheck tls inventory`: what it prints, and when it refuses to start."""

from __future__ import annotations

import json

import pytest

from keycheck.errors import UsageError
from probes.tls.command import Output, as_json, as_text, inventory
from probes.tls.inventory import Inventory, Offered

NEW = Offered(0x0304, (0x1302, 0x1301), "server", (0x11EC, 0x001D), True, "")
SILENT = Offered(0x0301, (), "unknown", (), False, "timeout \x1b[31m")


def test_text_and_json_say_the_same() -> None:
    found = Inventory((NEW,), 21)
    text, report = as_text(found), json.loads(as_json(found))
    assert "TLS_AES_256_GCM_SHA384\n  TLS_AES_128_GCM_SHA256" in text
    assert "server's order" in text
    assert "everything else was refused" in text
    assert report["complete"] is True
    assert report["versions"][0]["groups"] == ["X25519MLKEM768", "x25519"]


def test_silence_is_not_a_refusal() -> None:
    found = Inventory((NEW, SILENT), 30)
    assert not found.complete
    assert "INCOMPLETE: timeout \\x1b[31m" in as_text(found)
    assert "silence is not a refusal" in as_text(found)
    assert not Inventory((), 30).complete
    assert "this proves nothing" in as_text(Inventory((), 30))


@pytest.mark.parametrize("server", ["192.0.2.1:443", "https://192.0.2.1"])
def test_a_foreign_server_needs_permission(server: str) -> None:
    with pytest.raises(UsageError, match="not on this machine"):
        inventory(server, None, False, 3, Output.TEXT)


@pytest.mark.parametrize("server", ["192.0.2.1", "ftp://192.0.2.1:21", "", "a b:1"])
def test_what_is_no_server_is_a_usage_error(server: str) -> None:
    with pytest.raises(UsageError):
        inventory(server, None, False, 3, Output.TEXT)
