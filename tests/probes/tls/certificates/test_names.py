from __future__ import annotations

import ipaddress

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from probes.tls.names import matching_name, reference_name

LABEL = st.from_regex(r"[a-z]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True)


def matches(host: str, pattern: str) -> bool:
    return matching_name(reference_name(host), [x509.DNSName(pattern)]) is not None


@pytest.mark.parametrize(
    ("host", "pattern", "expected"),
    [
        ("a.vendor.example", "*.vendor.example", True),
        ("A.Vendor.Example.", "*.VENDOR.example", True),
        ("vendor.example", "*.vendor.example", False),
        ("a.b.vendor.example", "*.vendor.example", False),
        ("a.vendor.example", "a*.vendor.example", False),
        ("a.vendor.example", "*a.vendor.example", False),
        ("a.vendor.example", "*.*.example", False),
        ("a.example", "*.example", False),
        ("a.vendor.example", "*", False),
        ("a.vendor.example", "a.*.example", False),
        ("a.vendor.example", "", False),
        ("a.vendor.example", "a.vendor.example\x00.evil.example", False),
        ("bücher.example", "xn--bcher-kva.example", True),
        ("xn--bcher-kva.example", "xn--bcher-kva.example", True),
        ("localhost", "localhost", True),
    ],
)
def test_matching(host, pattern, expected):
    assert matches(host, pattern) is expected


@given(labels=st.lists(LABEL, min_size=3, max_size=5))
def test_a_wildcard_stands_for_exactly_one_label(labels):
    host, parent = ".".join(labels), ".".join(labels[1:])
    assert matches(host, host)
    assert matches(host, f"*.{parent}")
    assert not matches(parent, f"*.{parent}")
    assert not matches(f"more.{host}", f"*.{parent}")


def test_addresses_need_address_entries():
    address = reference_name("192.0.2.7")
    assert address == ipaddress.ip_address("192.0.2.7")
    assert matching_name(address, [x509.DNSName("192.0.2.7"), x509.DNSName("*.0.2.7")]) is None
    assert matching_name(address, [x509.IPAddress(ipaddress.ip_address("192.0.2.7"))]) == "192.0.2.7"
    assert matching_name("a.example", [x509.IPAddress(ipaddress.ip_address("192.0.2.7"))]) is None


@pytest.mark.parametrize("host", ["", ".", "a..b", "a b", "a" * 64, "a/b", "straße.example", "[::1", "a:443"])
def test_no_host_name(host):
    with pytest.raises(ValueError, match=r"host name|label|IDNA|idna"):
        reference_name(host)


@given(host=st.text(max_size=40))
def test_any_text_is_a_name_or_a_value_error(host):
    try:
        reference_name(host)
    except ValueError:
        return
    assert host
