"""age files, as an implementation wrote them."""

from __future__ import annotations

import base64
import os

from probes.fields.formats.age import FORMAT
from probes.fields.formats.seam import Commitment, Parsed, Refused

# `hello` for one X25519 recipient, with a grease stanza, by rage 0.11.
BINARY = base64.b64decode(
    "YWdlLWVuY3J5cHRpb24ub3JnL3YxCi0+IFgyNTUxOSB0T285aEMxSS9PQ0QrRE5sZ0xRMVRva3FEeUJ4dXgvcXF5S3JtWCtCVzNrCk84TmlNeFlk"
    "RXdDaDZFa0E1U3Z0RnN3K2YzNzNYalA3UXROT0Y3bkprOWsKLT4gQi1ncmVhc2UgWlRGQU5RQy4gOXMtd1JbClVYUm1YTjllbDM3V1lncmd2RDFV"
    "dGlvZ2ROVTB1NGloRFROVmk5M2ZDQ0d0WVVxREVWREdlK08xMDcxY3FjakMKcEw4REF1ZkppZmxTbGtQQWdRCi0tLSBnU3JzcFIrcFNPK2gydWww"
    "UW1Vd3Y5eHdiQURraFpRWUZkNWdxQ294Mkp3CkQMExnzAexspVK+ixnAM6fXGzvkJ5qlaQK+1w0GeKjGqjuyJRw="
)
ARMORED = (
    b"-----BEGIN AGE ENCRYPTED FILE-----\n"
    b"YWdlLWVuY3J5cHRpb24ub3JnL3YxCi0+IFgyNTUxOSBPUEd1OUxhMEFYQ2RyZ2ZT\n"
    b"MExiTzk1Qk9QcXp6MkVKeERYd3RqSCtKYW1vCjI4NzR5RmcvRUoxdGNVWHV5dmx0\n"
    b"MG0ra1d3YnZDU2srSDVaSzdEVGF6M2MKLT4gTnQtZ3JlYXNlIEJsJGtCSyNPIEYg\n"
    b"KEdZIFViCmpiL0h3ZDNhckVDNDVTWk1BNkI0aW1QRUFVWmhERy9VdE9xUm9FMkZO\n"
    b"bXNGM1ovNGtlUVVJVVpaZkY2eldPdGgKTnlTdDNYMlZ2TDhvL3RCVkZIQUMKLS0t\n"
    b"IHZjR0ErNXpwUDdBWGtHdjdJaVNyRkJTeXAvRWl1OUNyaDFZUzFES2hqVDQKDt9f\n"
    b"kUmSH73ldfnPxUOZlRqglMUK22ey8IQXD3Ogn9/y+qtY5Q==\n"
    b"-----END AGE ENCRYPTED FILE-----\n"
)


def unpadded(size: int) -> bytes:
    return base64.b64encode(os.urandom(size)).rstrip(b"=")


def test_a_file_is_chacha20_under_a_key_of_128_bits() -> None:
    for value in (BINARY, ARMORED):
        found = FORMAT.parse(value)
        assert isinstance(found, Parsed)
        assert (found.cipher.family, found.plain_length, found.commitment) == ("ChaCha20", 5, Commitment.YES)
        assert [(one.provider, one.length, one.expected) for one in found.wrapped] == [("age-X25519", 16, 32)]


def test_a_password_is_remarked() -> None:
    value = (
        b"age-encryption.org/v1\n-> scrypt " + unpadded(16) + b" 19\n" + unpadded(32) + b"\n--- " + unpadded(32) + b"\n"
    )
    found = FORMAT.parse(value + os.urandom(16 + 5 + 16))
    assert isinstance(found, Parsed)
    assert "password-based" in found.remarks


def test_no_truncation_of_the_header_passes_and_no_free_text_either() -> None:
    payload = len(BINARY) - (16 + 5 + 16)
    for end in range(payload + 16 + 16):
        assert not isinstance(FORMAT.parse(BINARY[:end]), Parsed)
    for end in range(len(ARMORED) - 1):
        assert not isinstance(FORMAT.parse(ARMORED[:end]), Parsed)
    for free in (b"-> MargaretHildaThatcher DowningStreetNumberTen ", b"-> X25519 Anna "):
        assert isinstance(FORMAT.parse(BINARY.replace(b"-> X25519 ", free)), Refused)
    named = FORMAT.parse(BINARY.replace(b"-> X25519 ", b"-> plugin Anna "))
    assert isinstance(named, Parsed)
    assert named.wrapped[0].key.startswith("Anna ")
    assert isinstance(FORMAT.parse(BINARY[:payload] + b"Anna Schmidt, Hauptstrasse 12, 10115 Berlin"), Refused)


def test_chunks_are_counted() -> None:
    head = BINARY[: len(BINARY) - (16 + 5 + 16)]
    found = FORMAT.parse(head + os.urandom(16 + 65536 + 16 + 1 + 16))
    assert isinstance(found, Parsed)
    assert found.plain_length == 65537
    assert isinstance(FORMAT.parse(head + os.urandom(16 + 65536 + 16 + 16)), Refused)
