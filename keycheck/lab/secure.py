"""TLS servers over memory: contexts from a TlsConfig, and one connection's handshake and bytes."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Protocol

from OpenSSL import SSL

from keycheck.lab.config import ClientAuth, TlsConfig, Version
from keycheck.lab.early import allow_early_data, read_early_data
from keycheck.lab.reactor import CHUNK, Want

_NUMBERS = {
    Version.TLS_1_0: SSL.TLS1_VERSION,
    Version.TLS_1_1: SSL.TLS1_1_VERSION,
    Version.TLS_1_2: SSL.TLS1_2_VERSION,
    Version.TLS_1_3: SSL.TLS1_3_VERSION,
}
_WITHOUT = {
    Version.TLS_1_0: SSL.OP_NO_TLSv1,
    Version.TLS_1_1: SSL.OP_NO_TLSv1_1,
    Version.TLS_1_2: SSL.OP_NO_TLSv1_2,
    Version.TLS_1_3: SSL.OP_NO_TLSv1_3,
}
_OLD_SUITES = "ECDHE+AESGCM:ECDHE+CHACHA20"
_OLDEST_SUITES = "ECDHE+AESGCM:ECDHE+AES"
_ALLOW_CLIENT_RENEGOTIATION = 1 << 8  # SSL_OP_ALLOW_CLIENT_RENEGOTIATION, which pyOpenSSL does not name


def make_context(config: TlsConfig) -> SSL.Context:
    """A server context. Raise SSL.Error or OSError when the files do not fit."""
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.set_session_id(b"keycheck-lab")
    served = sorted(config.versions, key=_NUMBERS.__getitem__)
    ancient = Version.TLS_1_0 in served or Version.TLS_1_1 in served
    suites = _OLDEST_SUITES if ancient else _OLD_SUITES
    # OpenSSL asks for security level 0 before it serves TLS 1.0 and 1.1, short keys or SHA-1 signatures.
    level = ":@SECLEVEL=0" if ancient or config.weak_certificate else ""
    context.set_cipher_list(f"{suites}{level}".encode())
    context.set_tls13_ciphersuites(":".join(config.suites).encode())
    context.set_min_proto_version(_NUMBERS[served[0]])
    context.set_max_proto_version(_NUMBERS[served[-1]])
    for version, option in _WITHOUT.items():
        if version not in served:
            context.set_options(option)
    context.set_options(SSL.OP_CIPHER_SERVER_PREFERENCE | SSL.OP_NO_COMPRESSION)
    context.set_options(_ALLOW_CLIENT_RENEGOTIATION if config.renegotiation else SSL.OP_NO_RENEGOTIATION)
    context.use_certificate_chain_file(config.chain)
    context.use_privatekey_file(config.key)
    if config.staple is not None:
        staple = Path(config.staple).read_bytes()
        context.set_ocsp_server_callback(lambda _connection, _data: staple)
    if config.early_data:
        allow_early_data(context, config.early_data)
    if config.client_ca is not None and config.client_auth is not ClientAuth.NONE:
        _demand_certificate(context, config.client_ca, config.client_auth)
    return context


def _demand_certificate(context: SSL.Context, authority: str, how: ClientAuth) -> None:
    context.load_verify_locations(authority)
    context.load_client_ca(authority.encode())
    # A resumed session would carry an old verdict about the client along.
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.set_options(SSL.OP_NO_TICKET)
    if how is ClientAuth.TLS:
        context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT)
    else:
        context.set_verify(SSL.VERIFY_PEER, _note_and_go_on)


def _note_and_go_on(connection: SSL.Connection, _certificate: object, _error: int, _depth: int, ok: int) -> bool:
    if not ok:
        connection.set_app_data("untrusted")
    return True


class Sink(Protocol):
    """Who takes the bytes that go out."""

    def send(self, data: bytes) -> None: ...


class Secure:
    """One client's TLS connection. Reading and the handshake are generators run by the client's session."""

    def __init__(self, peer: Sink, context: SSL.Context, *, early_data: int = 0) -> None:
        self._peer = peer
        self._tls = SSL.Connection(context, None)
        self._tls.set_accept_state()
        self._early_limit = early_data
        self._early = b""

    def handshake(self, first: bytes) -> Generator[Want, bytes, bool]:
        """Shake hands, beginning with bytes that were read already. False when it came to nothing."""
        if first:
            self._tls.bio_write(first)
        if self._early_limit and not (yield from self._read_early()):
            return False
        while True:
            try:
                self._tls.do_handshake()
            except SSL.WantReadError:
                if not (yield from self._more()):
                    return False
            except SSL.Error:
                self._flush()
                return False
            else:
                self._flush()
                return True

    def read(self) -> Generator[Want, bytes, bytes]:
        """Some clear bytes; b"" when the client has ended or broken the connection."""
        if self._early:
            early, self._early = self._early, b""
            return early
        while True:
            try:
                return self._tls.recv(CHUNK)
            except SSL.WantReadError:
                if not (yield from self._more()):
                    return b""
            except SSL.Error:
                self._flush()
                return b""

    def write(self, data: bytes) -> None:
        """Send clear bytes."""
        try:
            self._tls.sendall(data)
        except SSL.Error:
            return
        self._flush()

    def end(self) -> None:
        """Send close_notify."""
        try:
            self._tls.shutdown()
        except SSL.Error:
            return
        self._flush()

    @property
    def client(self) -> str:
        """``absent``, ``untrusted`` or ``trusted``: what is known about the client's certificate."""
        if self._tls.get_peer_certificate(as_cryptography=True) is None:
            return "absent"
        return "untrusted" if self._tls.get_app_data() == "untrusted" else "trusted"

    def _read_early(self) -> Generator[Want, bytes, bool]:
        while True:
            try:
                data = read_early_data(self._tls)
            except SSL.WantReadError:
                if not (yield from self._more()):
                    return False
            except SSL.Error:
                self._flush()
                return False
            else:
                if data is None or len(self._early) > self._early_limit:
                    return True
                self._early += data

    def _more(self) -> Generator[Want, bytes, bool]:
        self._flush()
        data = yield Want.READ
        if not data:
            return False
        self._tls.bio_write(data)
        return True

    def _flush(self) -> None:
        try:
            self._peer.send(self._tls.bio_read(CHUNK))
        except SSL.WantReadError:
            return
