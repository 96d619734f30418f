"""Trust anchors: the system's store, a vantage's bundle, or the CA that the contract names."""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import re
import ssl
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509.verification import Store

from keycheck.errors import DeploymentError
from keycheck.model.types import vendor_text
from probes.tls.certificates import CanonicalName, Parsed, read
from probes.tls.chain_facts import AnchorKind, AnchorSource, MalformedCertificate

MAX_BUNDLE_BYTES: Final = 16 * 2**20
MAX_ANCHORS: Final = 5000

_PEM: Final = re.compile(rb"-----BEGIN CERTIFICATE-----(.*?)-----END CERTIFICATE-----", re.DOTALL)
_HASHED: Final = re.compile(r"^[0-9a-f]{8}\.\d+$")
"""Names that OpenSSL looks up in a certificate directory; it ignores all others."""
_USUAL_FILES: Final = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
"""Where Debian, Red Hat, SUSE and macOS or Alpine keep the store when Python's own default is empty."""


@dataclass(frozen=True, slots=True)
class Anchors:
    """A set of trust anchors, parsed once and shared by all observations of a run. Not picklable."""

    source: AnchorSource
    members: tuple[Parsed, ...]
    by_subject: Mapping[CanonicalName, tuple[Parsed, ...]]
    by_digest: Mapping[str, Parsed]
    organisations: frozenset[str | bytes]
    store: Store | None
    """For the library's verifier; None when there is no anchor."""


def contracted_anchors(pem: bytes, path: str, kind: AnchorKind = AnchorKind.CONTRACTED) -> Anchors:
    """The CA certificates of a PEM bundle that the deployment names.

    Raises DeploymentError when it holds no certificate, one that cannot be read, or too much: a bundle that
    a person chose must mean exactly what it says.
    """
    anchors = _anchors(kind, path, [pem])
    if not anchors.members or anchors.source.unreadable:
        raise DeploymentError(
            f"{path}: {len(anchors.members)} readable and {anchors.source.unreadable} unreadable certificates",
            advice="give a PEM file with the CA certificates, each between BEGIN and END CERTIFICATE lines",
        )
    return anchors


def system_anchors(environ: Mapping[str, str]) -> Anchors:
    """The trust store that OpenSSL would use here: SSL_CERT_FILE and SSL_CERT_DIR from `environ`, else the
    defaults of Python's OpenSSL, else the usual places of the system.

    Read once, before workers start, and share it. An unreadable or missing store gives no anchors, which is
    recorded; it is never taken for a fault of a chain.
    """
    defaults = ssl.get_default_verify_paths()
    file = environ.get(defaults.openssl_cafile_env) or defaults.openssl_cafile
    directories = environ.get(defaults.openssl_capath_env) or defaults.openssl_capath
    explicit = defaults.openssl_cafile_env in environ or defaults.openssl_capath_env in environ
    paths = [Path(file), *(p for d in directories.split(os.pathsep) if d for p in _hashed_files(Path(d)))]
    anchors = _anchors(AnchorKind.SYSTEM, f"{file}{os.pathsep}{directories}", _contents(paths))
    if anchors.members or explicit:
        return anchors
    for usual in _USUAL_FILES:
        found = _anchors(AnchorKind.SYSTEM, usual, _contents([Path(usual)]))
        if found.members:
            return found
    return anchors


def _hashed_files(directory: Path) -> list[Path]:
    try:
        return sorted(p for p in directory.iterdir() if _HASHED.match(p.name))[:MAX_ANCHORS]
    except OSError:
        return []


def _contents(paths: Iterable[Path]) -> Iterator[bytes]:
    for path in paths:
        try:
            with path.open("rb") as file:
                yield file.read(MAX_BUNDLE_BYTES + 1)
        except OSError:
            continue


def _anchors(kind: AnchorKind, path: str, bundles: Iterable[bytes]) -> Anchors:
    unreadable = 0
    members: dict[str, Parsed] = {}
    seen: set[bytes] = set()
    for der in _blocks(bundles):
        if der in seen:
            continue
        seen.add(der)
        certificate = _read_anchor(der)
        if certificate is None or len(members) >= MAX_ANCHORS:
            unreadable += 1
        else:
            members[certificate.facts.sha256] = certificate
    return _index(kind, path, members, unreadable)


def _blocks(bundles: Iterable[bytes]) -> Iterator[bytes]:
    for bundle in bundles:
        if len(bundle) > MAX_BUNDLE_BYTES:
            yield b""  # counted as unreadable
            continue
        for match in _PEM.finditer(bundle):
            try:
                yield base64.b64decode(b"".join(match[1].split()), validate=True)
            except binascii.Error:
                yield match[1]


def _read_anchor(der: bytes) -> Parsed | None:
    # Old roots have serial numbers that the library warns about; the store is not the vendor's to mend.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CryptographyDeprecationWarning)
        certificate = read(der)
    return None if isinstance(certificate, MalformedCertificate) else certificate


def _index(kind: AnchorKind, path: str, members: Mapping[str, Parsed], unreadable: int) -> Anchors:
    by_subject: dict[CanonicalName, tuple[Parsed, ...]] = {}
    for member in members.values():
        by_subject[member.subject] = (*by_subject.get(member.subject, ()), member)
    digests = sorted(members)
    return Anchors(
        source=AnchorSource(
            kind=kind,
            path=vendor_text(path),
            sha256=hashlib.sha256("".join(digests).encode("ascii")).hexdigest(),
            count=len(members),
            unreadable=unreadable,
        ),
        members=tuple(members.values()),
        by_subject=MappingProxyType(by_subject),
        by_digest=MappingProxyType(dict(members)),
        organisations=frozenset(o for name in by_subject for o in organisations(name)),
        store=Store([m.certificate for m in members.values()]) if members else None,
    )


def organisations(name: CanonicalName) -> Iterator[str | bytes]:
    """The organisation names (O) of a canonical name."""
    return (value for rdn in name for oid, value in rdn if oid == "2.5.4.10")
