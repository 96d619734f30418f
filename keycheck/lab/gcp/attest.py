"""HSM attestations of the lab, in the shape of real Cloud HSM ones, from a hardware maker and a cloud of its own.

Content: gzip(response header || padding || info header || key object || RSA PKCS #1 v1.5 SHA-256 signature of all
before it, 256 bytes). Numbers are big-endian. Response header: code, flags, total size, size of the buffer that
starts with the info header. Info header (16 bits each): version, flags, offset of the first key object, of the second
(0: none). Key object: handle, number of attributes, size; then attributes: id, length, value. `OBJ_ATTR_ID` holds
two SHA-256 digests as 128 characters of hexadecimal text, the second being that of the version's resource name.

Sources: https://cloud.google.com/kms/docs/attest-key; GoogleCloudPlatform/python-docs-samples, kms/attestations;
Marvell's parse_v2.py and the output of public parsers for `CAVIUM_V2_COMPRESSED`.
"""

from __future__ import annotations

import datetime as dt
import gzip
import hashlib
import struct
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from google.cloud import kms_v1

from keycheck.lab.gcp.store import Version
from keycheck.model.types import Clock

_DAY: Final = dt.timedelta(days=1)
_GET_ATTRIBUTES_AND_ATTEST: Final = 3
_PADDING: Final = bytes(16)
_SIGNATURE: Final = 256
_HANDLE: Final = 0x7E6

CLASS, TOKEN, PRIVATE, LABEL, TRUSTED = 0x0000, 0x0001, 0x0002, 0x0003, 0x0086
KEY_TYPE, ID, SENSITIVE, ENCRYPT, DECRYPT = 0x0100, 0x0102, 0x0103, 0x0104, 0x0105
WRAP, UNWRAP, SIGN, VERIFY, DERIVE = 0x0106, 0x0107, 0x0108, 0x010A, 0x010C
VALUE_LEN, EXTRACTABLE, LOCAL, NEVER_EXTRACTABLE, ALWAYS_SENSITIVE = 0x0161, 0x0162, 0x0163, 0x0164, 0x0165
KCV = 0x0173
_SECRET_KEY, _PRIVATE_KEY = 4, 3
_AES, _RSA = 0x1F, 0x00


class Flaw(StrEnum):
    """What can be wrong with an attestation."""

    NOT_CHAINED = "not-chained"
    """Certificates with the right names, signed by roots that nobody pinned."""
    ANOTHER_VERSION = "another-version"
    """A genuine statement about another key version."""
    EXPIRED_ROOT = "expired-root"
    """The maker's root is past its end; pin `roots(…, expired=True)`."""
    TAMPERED = "tampered"
    """One attribute changed after signing."""
    EXTRACTABLE = "extractable"
    """A genuine statement that the key can leave the module."""
    OTHER_PARTITION = "other-partition"
    """The cloud's partition certificate is over another key than the maker's."""


class _Ca:
    """A name with a key, and its certificate by somebody."""

    def __init__(
        self, name: str, now: dt.datetime, issuer: _Ca | None, *, key: rsa.RSAPrivateKey | None = None, last: int = 3650
    ) -> None:
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048) if key is None else key
        self.name = x509.Name(
            [
                x509.NameAttribute(NameOID.COUNTRY_NAME, "US"),
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, "keycheck lab"),
                x509.NameAttribute(NameOID.COMMON_NAME, name),
            ]
        )
        signer = self if issuer is None else issuer
        self.certificate = (
            x509.CertificateBuilder()
            .subject_name(self.name)
            .issuer_name(signer.name)
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - 3650 * _DAY)
            .not_valid_after(now + last * _DAY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(signer.key, hashes.SHA256())
        )

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(Encoding.PEM).decode()


class _Module:
    """One hardware module and one partition in it, certified by its maker and by the cloud that owns it."""

    def __init__(self, now: dt.datetime) -> None:
        self.now = now
        self.maker = _Ca("maker root", now, None)
        self.expired_maker = _Ca("maker root", now, None, key=self.maker.key, last=-5)
        self.cloud = _Ca("owner root", now, None)
        card, partition = "HSM:LAB-0001", "HSM:LAB-0001:PARTN:1"
        self.card = _Ca(card, now, self.maker)
        self.partition = _Ca(partition, now, self.card)
        self.cloud_card = _Ca(card, now, self.cloud, key=self.card.key)
        self.cloud_partition = _Ca(partition, now, self.cloud, key=self.partition.key)

    def chains(self) -> kms_v1.KeyOperationAttestation.CertificateChains:
        """Leaf first, roots left out (RFC 5246, section 7.4.2)."""
        return kms_v1.KeyOperationAttestation.CertificateChains(
            cavium_certs=[self.partition.pem, self.card.pem],
            google_card_certs=[self.cloud_card.pem],
            google_partition_certs=[self.cloud_partition.pem],
        )


class LabHsm:
    """Attests the lab's HSM key versions. Keys are made when first needed."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._own: _Module | None = None
        self._stranger: _Module | None = None

    def attest(self, version: Version, flaw: Flaw | None = None) -> kms_v1.KeyOperationAttestation:
        """What the module says about a version; with a flaw, what a probe must not believe."""
        module = self._module()
        if flaw is Flaw.NOT_CHAINED:
            if self._stranger is None:
                self._stranger = _Module(self._clock())
            module = self._stranger
        about = version.name + "0" if flaw is Flaw.ANOTHER_VERSION else version.name
        data = _statement(_attributes(about, version, extractable=flaw is Flaw.EXTRACTABLE))
        signature = module.partition.key.sign(data, padding.PKCS1v15(), hashes.SHA256())
        if flaw is Flaw.TAMPERED:
            data = data[:-1] + bytes([data[-1] ^ 1])
        chains = module.chains()
        if flaw is Flaw.OTHER_PARTITION:
            other = _Ca("HSM:LAB-0001:PARTN:1", module.now, module.cloud)
            chains.google_partition_certs = [other.pem]
        return kms_v1.KeyOperationAttestation(
            format=kms_v1.KeyOperationAttestation.AttestationFormat.CAVIUM_V2_COMPRESSED,
            content=gzip.compress(data + signature, mtime=0),
            cert_chains=chains,
        )

    def roots(self, home: Path, *, expired: bool = False) -> tuple[Path, Path]:
        """Write the maker's and the cloud's root as PEM files; `expired`: the maker's as it was, past its end."""
        module = self._module()
        maker = home / ("maker-root-expired.pem" if expired else "maker-root.pem")
        cloud = home / "cloud-root.pem"
        maker.write_text((module.expired_maker if expired else module.maker).pem, encoding="ascii")
        cloud.write_text(module.cloud.pem, encoding="ascii")
        return maker, cloud

    def _module(self) -> _Module:
        if self._own is None:
            self._own = _Module(self._clock())
        return self._own


def _attributes(about: str, version: Version, *, extractable: bool) -> Mapping[int, bytes]:
    material = version.material
    symmetric = isinstance(material, bytes)
    imported = bool(version.import_job)
    yes, no = b"\x01", b"\x00"
    text = (
        hashlib.sha256(b"lab module object:" + about.encode()).hexdigest() + hashlib.sha256(about.encode()).hexdigest()
    )
    return {
        CLASS: bytes([_SECRET_KEY if symmetric else _PRIVATE_KEY]),
        TOKEN: yes,
        PRIVATE: yes,
        LABEL: b"app_key\x00",
        TRUSTED: no,
        KEY_TYPE: bytes([_AES if symmetric else _RSA]),
        ID: text.encode("ascii"),
        SENSITIVE: yes,
        ENCRYPT: yes if symmetric else no,
        DECRYPT: yes,
        WRAP: no,
        UNWRAP: no,
        SIGN: no if symmetric else yes,
        VERIFY: no,
        DERIVE: no,
        VALUE_LEN: (len(material) if isinstance(material, bytes) else 0).to_bytes(4, "big"),
        EXTRACTABLE: yes if extractable else no,
        LOCAL: no if imported else yes,
        NEVER_EXTRACTABLE: no if extractable or imported else yes,
        ALWAYS_SENSITIVE: no if imported else yes,
        KCV: _check_value(material) if isinstance(material, bytes) else bytes(3),
    }


def _check_value(key: bytes) -> bytes:
    """First three bytes of a zero block, encrypted."""
    if len(key) not in (16, 24, 32):
        return bytes(3)
    encryptor = Cipher(algorithms.AES(key), modes.ECB()).encryptor()
    return (encryptor.update(bytes(16)) + encryptor.finalize())[:3]


def _statement(attributes: Mapping[int, bytes]) -> bytes:
    listed = b"".join(struct.pack(">II", number, len(value)) + value for number, value in attributes.items())
    key = struct.pack(">III", _HANDLE, len(attributes), len(listed)) + listed
    info = struct.calcsize(">HHHH")
    buffer = struct.pack(">HHHH", 1, _GET_ATTRIBUTES_AND_ATTEST, info, 0) + key
    total = struct.calcsize(">IIII") + len(_PADDING) + len(buffer) + _SIGNATURE
    return struct.pack(">IIII", 0, _GET_ATTRIBUTES_AND_ATTEST, total, len(buffer)) + _PADDING + buffer
