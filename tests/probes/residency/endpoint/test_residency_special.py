"""Special addresses and standpoints."""

from __future__ import annotations

import pytest

from keycheck.errors import ProbeError
from keycheck.model.deployment import Vantage
from probes.residency.endpoint.special import never_connected, special_of
from probes.residency.endpoint.standpoint import standpoint_of


@pytest.mark.parametrize(
    ("address", "word"),
    [
        ("127.0.0.1", "loopback"),
        ("::1", "loopback"),
        ("10.1.2.3", "private-use"),
        ("172.31.255.255", "private-use"),
        ("172.32.0.0", None),
        ("192.168.0.1", "private-use"),
        ("fd12::1", "unique-local"),
        ("100.64.0.1", "shared-address-space"),
        ("169.254.169.254", "link-local"),
        ("fe80::1", "link-local"),
        ("192.0.2.1", "documentation"),
        ("2001:db8::1", "documentation"),
        ("255.255.255.255", "broadcast"),
        ("240.0.0.1", "reserved"),
        ("224.0.0.1", "multicast"),
        ("0.0.0.0", "this-network"),
        ("::ffff:10.0.0.1", "private-use"),
        ("::ffff:8.8.8.8", "ipv4-mapped"),
        ("64:ff9b::a00:1", "private-use"),
        ("2002:0a00:0001::1", "private-use"),
        ("2002:0808:0808::1", "6to4"),
        ("8.8.8.8", None),
        ("2600:1f00::1", None),
    ],
)
def test_the_registrys_word(address: str, word: str | None) -> None:
    assert special_of(address) == word


@pytest.mark.parametrize(
    "address",
    ["169.254.169.254", "169.254.0.1", "fe80::1", "fd00:ec2::254", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe",
     "2002:a9fe:a9fe::1", "168.63.129.16", "100.100.100.200", "192.0.0.192", "0.0.0.0", "::", "255.255.255.255",
     "224.0.0.1", "ff02::1", "240.0.0.1"],
)  # fmt: skip
def test_never_connected(address: str) -> None:
    assert never_connected(address)


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "10.0.0.1", "::1", "fd12::1", "8.8.8.8", "2600:1f00::1", "100.64.0.1"]
)
def test_connected(address: str) -> None:
    assert never_connected(address) is None


def test_coordinates_become_microdegrees_exactly() -> None:
    point = standpoint_of(Vantage(id="v", coordinates="-0.000001, 8.68")).point
    assert point is not None
    assert (point.latitude, point.longitude) == (-1, 8_680_000)
    assert standpoint_of(Vantage(id="v")).point is None


def test_coordinates_off_the_globe_are_refused() -> None:
    with pytest.raises(ProbeError):
        standpoint_of(Vantage(id="v", coordinates="95.0,8.68"))


def test_latitude_and_longitude_in_each_others_place_are_told() -> None:
    assert standpoint_of(Vantage(id="v", coordinates="50.11,8.68", country="DE")).point is not None
    with pytest.raises(ProbeError, match="write the latitude first"):
        standpoint_of(Vantage(id="v", coordinates="8.68,50.11", country="DE"))
