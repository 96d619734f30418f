"""Real servers on loopback for the wire layer's tests."""

import contextlib
import datetime
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from OpenSSL import SSL

from probes.tls.wire.transport import Address


@dataclass(frozen=True)
class Identity:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.DER)

    @property
    def certificate_pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        return self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )


def _identity(name: str) -> Identity:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    start = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(start)
        .not_valid_after(start + datetime.timedelta(days=3650))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    return Identity(certificate, key)


@pytest.fixture(scope="session")
def identity() -> Identity:
    return _identity("good.test")


@pytest.fixture
def clock() -> Callable[[], int]:
    return lambda: time.monotonic_ns() // 1000


Serve = Callable[[Callable[[socket.socket], None]], Address]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start a server that handles each connection in a thread of its own; all stop with the test."""
    with contextlib.ExitStack() as stack:

        def start(handle: Callable[[socket.socket], None]) -> Address:
            listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=128))
            listener.settimeout(0.05)
            stop = threading.Event()

            def one(sock: socket.socket) -> None:
                with sock, contextlib.suppress(OSError):
                    sock.settimeout(5)
                    handle(sock)

            def accept() -> None:
                while not stop.is_set():
                    try:
                        sock, _ = listener.accept()
                    except OSError:
                        continue
                    threading.Thread(target=one, args=(sock,), daemon=True).start()

            thread = threading.Thread(target=accept, daemon=True)
            thread.start()
            stack.callback(thread.join)
            stack.callback(stop.set)
            return Address("127.0.0.1", listener.getsockname()[1])

        yield start


TlsServer = Callable[..., Address]


@pytest.fixture
def tls_server(serve: Serve, identity: Identity) -> TlsServer:
    """A TLS server whose context ``configure`` may change; it answers one request with ``reply``."""

    def start(
        configure: Callable[[SSL.Context], None] = lambda context: None,
        reply: bytes = b"HTTP/1.1 200 OK\r\nStrict-Transport-Security: max-age=9\r\nContent-Length: 0\r\n\r\n",
    ) -> Address:
        context = SSL.Context(SSL.TLS_SERVER_METHOD)
        context.use_certificate(identity.certificate)
        context.use_privatekey(identity.key)
        context.set_session_id(b"keycheck")
        context.set_cipher_list(b"ALL:@SECLEVEL=0")
        configure(context)

        def handle(sock: socket.socket) -> None:
            sock.settimeout(None)
            connection = SSL.Connection(context, sock)
            connection.set_accept_state()
            with contextlib.suppress(SSL.Error):
                connection.do_handshake()
                if connection.recv(4096):
                    connection.sendall(reply)
                connection.shutdown()

        return serve(handle)

    return start
