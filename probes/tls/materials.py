"""What a part's connections need from files and the vantage: contexts, trust anchors, proxy, certificates."""

from __future__ import annotations

import os
import ssl
from functools import lru_cache
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import OpenSSL
from cryptography.hazmat.backends.openssl import backend

from keycheck.errors import DeploymentError, ProbeError
from keycheck.model.probe import Io
from keycheck.model.verdict import Reason
from probes.tls.anchors import Anchors, contracted_anchors, system_anchors
from probes.tls.chain_facts import AnchorKind
from probes.tls.subjects import Endpoint, Scheme
from probes.tls.wire.codepoints import TLS12
from probes.tls.wire.context import ClientContext, Configuration
from probes.tls.wire.prelude import chain, http_connect, imap, postgresql, smtp
from probes.tls.wire.transport import Address, Prelude

MAX_FILE_BYTES: Final = 4 << 20
HTTP_ALPN: Final = ("http/1.1",)
EHLO_NAME: Final = "keycheck.invalid"
LIBRARY: Final = f"{backend.openssl_version_text()}, pyOpenSSL {OpenSSL.__version__}"


class Materials:
    """Read once for a part; parsed results are shared by content between parts.

    Raises ProbeError when a file of the deployment cannot be read or used.
    """

    def __init__(self, subject: Endpoint, io: Io) -> None:
        self._io = io
        alpn = HTTP_ALPN if subject.place.scheme == "https" else ()
        self.library = LIBRARY
        self.context = _context(Configuration(alpn=alpn))
        self._alpn = alpn
        self.client_context = self._client_context(subject)
        self.anchors = self._anchors(subject)
        self.interception_cas = tuple(
            der for path in io.vantage.interception_cas for der in _certificates(self._file(path), path)
        )
        self.proxy = self._proxy(io.vantage.proxy)

    @property
    def legacy_context(self) -> ClientContext:
        """Up to TLS 1.2, for what TLS 1.3 does not have."""
        return _context(Configuration(alpn=self._alpn, max_version=TLS12))

    def link(self, ip: str, port: int) -> Address:
        """What to connect to: our own proxy, where there is one."""
        return self.proxy or Address(ip, port)

    def tunnel(self, ip: str, port: int) -> Prelude | None:
        """What to say to the proxy first."""
        return None if self.proxy is None else http_connect(ip, port)

    def prelude(self, ip: str, port: int, scheme: Scheme) -> Prelude | None:
        """What to say before TLS, on a fresh connection."""
        tunnel, upgrade = self.tunnel(ip, port), _upgrade(scheme)
        if tunnel is not None and upgrade is not None:
            return chain(tunnel, upgrade)
        return tunnel or upgrade

    def _client_context(self, subject: Endpoint) -> ClientContext | None:
        if subject.client_certificate is None or subject.client_key is None:
            return None
        certificate = self._file(subject.client_certificate)
        key = self._secret(subject.client_key)
        configuration = Configuration(alpn=self._alpn, client_certificate=certificate, client_key=key)
        try:
            return ClientContext(configuration)
        except (ValueError, TypeError) as error:
            # The library's words could quote the key: they stay out.
            raise ProbeError(
                Reason.UNSUPPORTED, "client_certificate and client_key are no matching PEM pair without passphrase"
            ) from error

    def _anchors(self, subject: Endpoint) -> Anchors:
        path, kind = subject.ca, AnchorKind.CONTRACTED
        if path is None:
            path, kind = self._io.vantage.ca_bundle, AnchorKind.VANTAGE
        if path is None:
            return _system()
        try:
            return _bundle(self._file(path), path, kind)
        except DeploymentError as error:
            raise ProbeError(Reason.UNSUPPORTED, str(error)) from error

    def _proxy(self, url: str | None) -> Address | None:
        if url is None:
            return None
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or 80
        try:
            return Address(host, port)
        except ValueError:
            found = self._io.resolver(host, 5.0)
        if not found:
            raise ProbeError(Reason.UNREACHABLE, "our own proxy has no address")
        return Address(found[0], port)

    def _secret(self, reference: str) -> bytes:
        kind, _, rest = reference.partition(":")
        if kind == "env" and rest:
            value = os.environ.get(rest)
            if value is None:
                raise ProbeError(Reason.TOOL_MISSING, f"the environment has no {rest}; client_key names it")
            return value.encode("utf-8", "surrogateescape")
        return self._file(rest if kind == "file" and rest else reference)

    def _file(self, path: str) -> bytes:
        try:
            with (self._io.base / Path(path)).open("rb") as file:
                content = file.read(MAX_FILE_BYTES + 1)
        except OSError as error:
            raise ProbeError(Reason.TOOL_MISSING, f"{path} cannot be read: {error.strerror}") from error
        if len(content) > MAX_FILE_BYTES:
            raise ProbeError(Reason.UNSUPPORTED, f"{path} is larger than {MAX_FILE_BYTES} bytes")
        return content


def _upgrade(scheme: Scheme) -> Prelude | None:
    """STARTTLS, where the scheme has it."""
    match scheme:
        case "https" | "tls":
            return None
        case "smtp":
            return smtp(EHLO_NAME)
        case "imap":
            return imap()
        case "postgresql":
            return postgresql()


@lru_cache(maxsize=8)
def _context(configuration: Configuration) -> ClientContext:
    return ClientContext(configuration)


@lru_cache(maxsize=1)
def _system() -> Anchors:
    return system_anchors(os.environ)


@lru_cache(maxsize=16)
def _bundle(pem: bytes, path: str, kind: AnchorKind) -> Anchors:
    return contracted_anchors(pem, path, kind)


def _certificates(pem: bytes, path: str) -> tuple[bytes, ...]:
    end = "-----END CERTIFICATE-----"
    try:
        blocks = pem.decode("ascii").split(end)[:-1]
        return tuple(ssl.PEM_cert_to_DER_cert(_block(block) + end) for block in blocks)
    except ValueError as error:
        raise ProbeError(Reason.UNSUPPORTED, f"{path} is no PEM file of certificates") from error


def _block(text: str) -> str:
    return text[text.index("-----BEGIN CERTIFICATE-----") :]
