"""Endpoints as a deployment writes them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from probes.tls.hsts import Invalid, Policy, read_hsts
from probes.tls.subjects import Endpoint, read_address, read_url


@pytest.mark.parametrize(
    ("url", "scheme", "host", "port", "path", "header"),
    [
        ("https://API.example", "https", "api.example", 443, "/", "api.example"),
        ("https://api.example:8443/v1/health?x=1", "https", "api.example", 8443, "/v1/health?x=1", "api.example:8443"),
        ("https://[2001:db8::7]:8443", "https", "2001:db8::7", 8443, "/", "[2001:db8::7]:8443"),
        ("tls://10.0.0.1:5061", "tls", "10.0.0.1", 5061, "/", "10.0.0.1:5061"),
        ("smtp://mx.example", "smtp", "mx.example", 25, "/", "mx.example"),
        ("imap://mail.example.", "imap", "mail.example", 143, "/", "mail.example"),
        ("postgresql://db.example:6432", "postgresql", "db.example", 6432, "/", "db.example:6432"),
    ],
)
def test_urls(url: str, scheme: str, host: str, port: int, path: str, header: str) -> None:
    place = read_url(url)
    assert (place.scheme, place.host, place.port, place.path, place.host_header) == (scheme, host, port, path, header)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("api.example", "begin with|names no host"),
        ("http://api.example", "begin with"),
        ("tls://api.example", "needs a port"),
        ("https://user:pw@api.example", "credentials"),
        ("https://bücher.example", "xn--"),
        ("https://api.example:99999", "no URL"),
        ("https://api.example:0", "no port"),
        ("https://api.example/#top", "#"),
        ("smtp://mx.example/path", "only https"),
        ("https://", "no host"),
        ("https://api.example/a b\n", "percent-encode"),
    ],
)
def test_wrong_urls_say_what_to_write(url: str, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        Endpoint(id="api", url=url)


@given(st.text(max_size=60))
def test_any_text_is_a_url_or_a_value_error(text: str) -> None:
    try:
        read_url(f"https://{text}")
    except ValueError:
        return


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("192.0.2.7", ("192.0.2.7", 443)),
        ("192.0.2.7:8443", ("192.0.2.7", 8443)),
        ("[2001:db8::7]:8443", ("2001:db8::7", 8443)),
        ("2001:DB8:0::7", ("2001:db8::7", 443)),
    ],
)
def test_addresses(text: str, expected: tuple[str, int]) -> None:
    assert read_address(text, 443) == expected


@pytest.mark.parametrize("text", ["api.example", "192.0.2.7:0", "192.0.2.7:x", "[::1", "fe80::1%eth0", "1.2.3.4:"])
def test_wrong_addresses(text: str) -> None:
    with pytest.raises(ValidationError):
        Endpoint(id="api", url="https://api.example", addresses=(text,))


@pytest.mark.parametrize(
    "changed",
    [
        {"client_certificate": "c.pem"},
        {"client_certificate": "c.pem", "client_key": "file:c.key"},
        {"redirect_url": "https://api.example/"},
        {"names": ()},
        {"names": ("right", "right")},
        {"names": ("none", "wrong")},
        {"answer_within": "PT0S"},
        {"unknown": 1},
    ],
)
def test_what_does_not_fit_together_is_refused(changed: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Endpoint.model_validate({"id": "api", "url": "https://api.example", **changed})


@pytest.mark.parametrize(
    ("value", "policy"),
    [
        ("max-age=31536000", Policy(31536000, False)),
        ('max-age="31536000" ; includeSubDomains; preload', Policy(31536000, True)),
        (" MAX-AGE = 10 ;; IncludeSubdomains", Policy(10, True)),
        ('max-age=1; note="a;b"', Policy(1, False)),
    ],
)
def test_hsts(value: str, policy: Policy) -> None:
    assert read_hsts(value) == policy


@pytest.mark.parametrize(
    "value",
    ["", "includeSubDomains", "max-age", "max-age=-1", "max-age=1; max-age=2", "max-age=ten", "max-age=1, 2", "=1"],
)
def test_void_hsts(value: str) -> None:
    assert isinstance(read_hsts(value), Invalid)


@given(st.text(max_size=300))
def test_any_hsts_header_is_read(value: str) -> None:
    assert isinstance(read_hsts(value), Policy | Invalid)
