"""OpenSSL enc, Jasypt, Ansible Vault and Kubernetes at rest."""

from __future__ import annotations

import base64
import os
import textwrap
from binascii import hexlify

import pytest

from probes.fields.formats import salted
from probes.fields.formats.seam import Parsed, Refused


def test_openssl_tells_only_its_salt() -> None:
    found = salted.parse_openssl(b"Salted__" + bytes(range(8)) + os.urandom(32))
    assert isinstance(found, Parsed)
    assert (found.unit, found.cipher.bits, found.cipher.authenticated) == (bytes(range(8)), None, False)
    assert "password-based" in found.remarks
    assert isinstance(salted.parse_openssl(b"Salted__12345678"), Refused)
    assert isinstance(salted.parse_openssl(b"Salted__12345678Anna Schmidt, Hauptstrasse 12"), Refused)


def test_jasypt() -> None:
    assert isinstance(salted.parse_jasypt(b"ENC(" + base64.b64encode(os.urandom(24)) + b")"), Parsed)
    for inside in (
        b"Anna",
        base64.b64encode(os.urandom(23)),
        base64.b64encode(b"Anna Schmidt, Hauptstrasse 12..."),
        b"",
    ):
        assert isinstance(salted.parse_jasypt(b"ENC(" + inside + b")"), Refused)


def ansible(body: bytes, header: str = "$ANSIBLE_VAULT;1.1;AES256") -> bytes:
    inner = b"\n".join(hexlify(part) for part in (os.urandom(32), os.urandom(32), body))
    return (header + "\n" + "\n".join(textwrap.wrap(hexlify(inner).decode(), 80)) + "\n").encode()


def test_ansible_vault() -> None:
    found = salted.parse_ansible(ansible(os.urandom(48)))
    assert isinstance(found, Parsed)
    assert (found.cipher.name, len(found.body)) == ("AES-256-CTR-HMAC", 48)
    labelled = salted.parse_ansible(ansible(os.urandom(16), "$ANSIBLE_VAULT;1.2;AES256;prod"))
    assert isinstance(labelled, Parsed)
    assert labelled.static_key == "prod"
    assert isinstance(salted.parse_ansible(ansible(os.urandom(15))), Refused)
    assert isinstance(salted.parse_ansible(ansible(os.urandom(16))[:-3]), Refused)
    assert isinstance(salted.parse_ansible(ansible(os.urandom(16), "$ANSIBLE_VAULT;1.1;AES128")), Refused)


@pytest.mark.parametrize(
    ("prefix", "size", "name"),
    [
        (b"k8s:enc:aescbc:v1:key1:", 16 + 32, "AES-CBC"),
        (b"k8s:enc:aesgcm:v1:key1:", 12 + 9 + 16, "AES-GCM"),
        (b"k8s:enc:secretbox:v1:key1:", 24 + 9 + 16, "XSalsa20-Poly1305"),
    ],
)
def test_kubernetes_with_a_key_of_its_own(prefix: bytes, size: int, name: str) -> None:
    found = salted.parse_kubernetes(prefix + os.urandom(size))
    assert isinstance(found, Parsed)
    assert (found.cipher.name, found.static_key, found.wrapped) == (name, "key1", ())
    assert isinstance(salted.parse_kubernetes(prefix + os.urandom(11)), Refused)


def member(tag: int, content: bytes) -> bytes:
    size = len(content)
    length = bytes([size]) if size < 128 else bytes([size & 0x7F | 0x80, size >> 7])
    return bytes([tag]) + length + content


@pytest.mark.parametrize(("seed", "head"), [(b"", 12), (b"\x28\x01", 44)])
def test_kubernetes_under_a_key_service(seed: bytes, head: int) -> None:
    sealed = os.urandom(head + 9 + 16)
    inside = member(0x0A, sealed) + member(0x12, b"key-7") + member(0x1A, os.urandom(184))
    found = salted.parse_kubernetes(b"k8s:enc:kms:v2:plugin:" + inside + seed)
    assert isinstance(found, Parsed)
    assert (found.unit, found.plain_length) == (sealed[:head], 9)
    assert [(one.key, len(one.blob)) for one in found.wrapped] == [("plugin/key-7", 184)]
    for broken in (inside[:-1], inside + member(0x22, b"Anna"), inside + b"\x28\x07", inside[:40], b"Anna Schmidt"):
        assert isinstance(salted.parse_kubernetes(b"k8s:enc:kms:v2:plugin:" + broken), Refused)
    old = salted.parse_kubernetes(b"k8s:enc:kms:v1:plugin:" + b"\x00\x20" + os.urandom(32 + 48))
    assert isinstance(old, Parsed)
    assert len(old.wrapped[0].blob) == 32
