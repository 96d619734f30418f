"""Small formats that tell little of how they encrypt: OpenSSL `enc`, Jasypt, Ansible Vault, Kubernetes at rest."""

from __future__ import annotations

import re
from typing import Final

from probes.fields.formats import ciphers
from probes.fields.formats.seam import Cipher, Commitment, Format, Parsed, Refused, Told, Wrapped
from probes.fields.formats.spelling import BASE64_BITS, HEX_BITS, evidence, lower_hex
from probes.fields.formats.strict import b64
from probes.fields.readable import READABLE, telltale

OPENSSL: Final = "openssl-salted"
JASYPT: Final = "jasypt"
ANSIBLE: Final = "ansible-vault"
KUBERNETES: Final = "kubernetes"
UNGUARDED: Final = Cipher("unstated", "unknown", None, False)
XSALSA20: Final = Cipher("XSalsa20-Poly1305", "other", 256, True)


def parse_openssl(value: bytes) -> Told:
    """`Salted__` | salt 8 | ciphertext. Key and IV come from a password and the salt; nothing is authenticated."""
    if not value.startswith(b"Salted__"):
        return None
    if len(value) <= 16:
        return Refused(OPENSSL, "no ciphertext behind its salt", 64)
    if telltale(value[8:]):
        return Refused(OPENSSL, READABLE, 64)
    return Parsed(
        OPENSSL,
        "blocks" if len(value) % 16 == 0 else "stream",
        64,
        UNGUARDED,
        unit=value[8:16],
        unit_bits=64,
        payload=(16, len(value)),
        remarks=("password-based", "no-envelope"),
    )


_JASYPT: Final = re.compile(rb"ENC\(([A-Za-z0-9+/]+={0,2})\)\Z")


def parse_jasypt(value: bytes) -> Told:
    """`ENC(` base64 `)`: a salt of 8 or 16 bytes, since version 3 an IV, and blocks of 8 or 16 bytes."""
    if not value.startswith(b"ENC("):
        return None
    found = _JASYPT.match(value)
    blob = b64(found[1]) if found is not None else None
    if found is None or blob is None:
        return Refused(JASYPT, "not base64 in its one spelling up to its bracket", 32)
    bits = evidence(40 + BASE64_BITS * len(found[1]))
    if len(blob) < 16 or len(blob) % 8:
        return Refused(JASYPT, "not a salt and whole blocks", bits)
    if telltale(blob):
        return Refused(JASYPT, READABLE, bits)
    return Parsed(
        JASYPT, "value", bits, UNGUARDED, unit=blob[:8], unit_bits=64, body=blob[8:],
        remarks=("password-based", "no-envelope"),
    )  # fmt: skip


_ANSIBLE: Final = re.compile(
    rb"\$ANSIBLE_VAULT;(?:1\.1;AES256|1\.2;AES256;([\w.@-]{1,64}))\r?\n((?:[0-9a-f]{80}\r?\n)*[0-9a-f]{1,80}\r?\n?)\Z"
)


def parse_ansible(value: bytes) -> Told:
    """`$ANSIBLE_VAULT;1.1;AES256`, then hex in lines of 80 of three lines of hex: salt 32, HMAC 32, ciphertext."""
    prefix = b"$ANSIBLE_VAULT;"
    if not value.startswith(prefix):
        return None
    found = _ANSIBLE.match(value)
    inner = lower_hex(b"".join(found[2].split())) if found is not None else None
    if found is None or inner is None:
        return Refused(ANSIBLE, "no header of version 1.1 or 1.2 and lines of hex", 8 * len(prefix))
    bits = evidence(8 * 25 + HEX_BITS * len(found[2]))
    parts = [lower_hex(line) for line in inner.split(b"\n")]
    if len(parts) != 3 or None in parts:
        return Refused(ANSIBLE, "not salt, HMAC and ciphertext", bits)
    salt, mac, body = (part or b"" for part in parts)
    if len(salt) != 32 or len(mac) != 32 or not body or len(body) % 16:
        return Refused(ANSIBLE, "salt, HMAC or ciphertext of a wrong length", bits)
    if telltale(salt + mac + body):
        return Refused(ANSIBLE, READABLE, bits)
    return Parsed(
        ANSIBLE, "vault", bits, ciphers.AES_256_CTR_HMAC, static_key=(found[1] or b"").decode("ascii"), unit=salt,
        unit_bits=256, body=body, remarks=("password-based", "no-envelope"),
    )  # fmt: skip


_KUBERNETES: Final = re.compile(rb"k8s:enc:(aescbc|aesgcm|secretbox|kms):(v[12]):([A-Za-z0-9._-]{1,253}):")
_NONCES: Final = {
    b"aescbc": (16, 16, 0, ciphers.AES_CBC),
    b"aesgcm": (12, 0, 16, ciphers.AES_GCM),
    b"secretbox": (24, 0, 16, XSALSA20),
}
"""Bytes of the IV, at least so much more, of the tag behind; and the cipher."""


def parse_kubernetes(value: bytes) -> Told:
    """`k8s:enc:PROVIDER:VERSION:KEY:`, then bytes by provider. The key's name is of the cluster's configuration."""
    if not value.startswith(b"k8s:enc:"):
        return None
    found = _KUBERNETES.match(value)
    if found is None:
        return Refused(KUBERNETES, "no provider, version and name of a key", 64)
    provider, version, name = found[1], found[2], found[3].decode("ascii")
    bits = evidence(8 * found.end())
    start = found.end()
    wrapped: tuple[Wrapped, ...] = ()
    if provider == b"kms":
        inside = _kms_v1(value, start, name) if version == b"v1" else _kms_v2(value, start, name)
        if inside is None:
            return Refused(KUBERNETES, "its wrapped data key and its ciphertext do not fill it", bits)
        wrapped, start, end, head, tail, cipher = inside
    else:
        head, least, tail, cipher = _NONCES[provider]
        end = len(value)
        if version != b"v1" or end - start < head + least + tail or (least and (end - start) % 16):
            return Refused(KUBERNETES, "too short, or not whole blocks", bits)
    if telltale(value[start:end]):
        return Refused(KUBERNETES, READABLE, bits)
    return Parsed(
        KUBERNETES,
        f"{provider.decode('ascii')}-{version.decode('ascii')}",
        bits,
        cipher,
        wrapped=wrapped,
        static_key="" if wrapped else name,
        unit=value[start : start + head],
        unit_bits=8 * head,
        commitment=Commitment.NO if cipher.authenticated else Commitment.UNKNOWN,
        payload=(start + head, end - tail),
        plain_length=end - tail - start - head if tail else None,
        remarks=() if wrapped else ("no-envelope",),
    )


_Inside = tuple[tuple[Wrapped, ...], int, int, int, int, Cipher]


def _kms_v1(value: bytes, start: int, name: str) -> _Inside | None:
    """Length u16 | wrapped data key | IV 16 | CBC blocks, or nonce 12 | ciphertext | tag 16 since 1.25."""
    size = int.from_bytes(value[start : start + 2], "big")
    body = start + 2 + size
    if not size or len(value) < body + 32:
        return None
    wrapped = (Wrapped("kubernetes-kms", name, value[start + 2 : body]),)
    return wrapped, body, len(value), 12, 0, Cipher("AES", "AES", 256, None)


def _kms_v2(value: bytes, start: int, name: str) -> _Inside | None:
    """Protobuf, in order: 1 ciphertext, 2 key id, 3 wrapped data key or seed, 5 its type (0 key, 1 seed). Annotations
    (4) are refused: they are free text."""
    fields: dict[int, tuple[int, int]] = {}
    at, kind = start, 0
    while at < len(value):
        tag = value[at]
        if tag == 0x28 and value[at + 1 : at + 2] in (b"\x00", b"\x01") and at + 2 == len(value):
            kind, at = value[at + 1], at + 2
            break
        size, body = _varint(value, at + 1)
        if tag not in (0x0A, 0x12, 0x1A) or tag >> 3 in fields or (fields and tag >> 3 < max(fields)):
            return None
        if body + size > len(value):
            return None
        fields[tag >> 3] = (body, body + size)
        at = body + size
    if set(fields) != {1, 2, 3}:
        return None
    head = 32 + 12 if kind else 12
    (begin, end), (named, to), (key, key_end) = fields[1], fields[2], fields[3]
    identifier = value[named:to]
    if end - begin < head + 16 or not 0 < len(identifier) <= 1024 or not identifier.isascii():
        return None
    blob = Wrapped("kubernetes-kms", f"{name}/{identifier.decode('ascii')}", value[key:key_end])
    return (blob,), begin, end, head, 16, ciphers.AES_256_GCM


def _varint(value: bytes, at: int) -> tuple[int, int]:
    """A number of at most 5 bytes and where it ends; beyond the value where it is none."""
    number = 0
    for shift, byte in enumerate(value[at : at + 5]):
        number |= (byte & 0x7F) << 7 * shift
        if byte < 0x80:
            return number, at + shift + 1
    return 0, len(value) + 1


FORMATS: Final = (
    Format(
        OPENSSL, "OpenSSL enc (Salted__)", parse_openssl, False, ("https://docs.openssl.org/master/man1/openssl-enc/",)
    ),
    Format(
        JASYPT, "Jasypt ENC(…)", parse_jasypt, False, ("http://www.jasypt.org/encrypting-configuration.html",), True
    ),
    Format(
        ANSIBLE,
        "Ansible Vault",
        parse_ansible,
        False,
        ("https://docs.ansible.com/ansible/latest/vault_guide/vault_using_encrypted_content.html",),
        True,
    ),
    Format(
        KUBERNETES,
        "Kubernetes encryption at rest",
        parse_kubernetes,
        True,
        ("https://github.com/kubernetes/apiserver pkg/storage/value/encrypt/envelope",),
        True,
    ),
)
