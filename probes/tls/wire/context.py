"""OpenSSL contexts and connections for ``handshake``: everything that touches pyOpenSSL's callbacks is here.

``environment`` must have been applied before this module is imported. Secrets of a session stay in its ``Session``.
"""

from contextlib import suppress
from dataclasses import dataclass, replace

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from OpenSSL import SSL, crypto

from probes.tls.wire.codepoints import TLS10, TLS13
from probes.tls.wire.flight import SERVER_APPLICATION, SERVER_HANDSHAKE, ServerFlight, read_flight
from probes.tls.wire.hello import checked_host_name

_MAX_RECORDED = 1 << 18
_CHUNK = 1 << 14
_LABELS = frozenset({SERVER_HANDSHAKE, SERVER_APPLICATION})


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """What our side offers.

    ``ciphers`` is for TLS 1.2 and older; security level 0 keeps servers visible that only speak what OpenSSL would
    refuse by default. Groups are OpenSSL's defaults (X25519MLKEM768 first): its Python interface cannot choose them.
    """

    min_version: int = TLS10
    max_version: int = TLS13
    ciphers: str = "DEFAULT:@SECLEVEL=0"
    alpn: tuple[str, ...] = ("h2", "http/1.1")
    client_certificate: bytes | None = None  # PEM, leaf first
    client_key: bytes | None = None  # PEM, unencrypted


DEFAULT_CONFIGURATION = Configuration()


class ClientContext:
    """One OpenSSL context, built once and shared by any number of handshakes.

    Raises ValueError when OpenSSL accepts the configuration not: ciphers unknown, certificate and key that do not
    match or are not PEM.
    """

    def __init__(self, configuration: Configuration = DEFAULT_CONFIGURATION) -> None:
        self.configuration = configuration
        context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        # The chain is a fact to report; it is judged elsewhere, against the contract.
        context.set_verify(SSL.VERIFY_NONE)
        context.set_options(SSL.OP_LEGACY_SERVER_CONNECT | SSL.OP_IGNORE_UNEXPECTED_EOF)
        context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
        try:
            context.set_min_proto_version(configuration.min_version)
            context.set_max_proto_version(configuration.max_version)
            context.set_cipher_list(configuration.ciphers.encode("ascii"))
            if configuration.alpn:
                context.set_alpn_protos([name.encode("ascii") for name in configuration.alpn])
            _use_client_certificate(context, configuration)
        except SSL.Error as error:
            raise ValueError(f"OpenSSL refuses this configuration: {reasons(error)}") from error
        context.set_keylog_callback(_keep_secret)
        context.set_info_callback(_note_alert)
        self.openssl = context


def _use_client_certificate(context: SSL.Context, configuration: Configuration) -> None:
    if configuration.client_certificate is None or configuration.client_key is None:
        if configuration.client_certificate is not configuration.client_key:
            raise ValueError("a client certificate and its key go together")
        return
    leaf, *others = x509.load_pem_x509_certificates(configuration.client_certificate)
    key = load_pem_private_key(configuration.client_key, None)
    if not isinstance(
        key,
        rsa.RSAPrivateKey
        | ec.EllipticCurvePrivateKey
        | dsa.DSAPrivateKey
        | ed25519.Ed25519PrivateKey
        | ed448.Ed448PrivateKey,
    ):
        raise ValueError("the client key is of a kind that TLS does not use")
    context.use_certificate(leaf)
    for other in others:
        context.add_extra_chain_cert(other)
    context.use_privatekey(key)
    context.check_privatekey()


def _keep_secret(connection: SSL.Connection, line: bytes) -> None:
    owner = connection.get_app_data()
    if isinstance(owner, Session):
        label, _, rest = line.decode("ascii", "replace").partition(" ")
        if label in _LABELS:
            owner.secrets[label] = bytes.fromhex(rest.partition(" ")[2])


def _note_alert(connection: SSL.Connection, where: int, value: int) -> None:
    if where & SSL.SSL_CB_ALERT:
        owner = connection.get_app_data()
        if isinstance(owner, Session):
            noted = owner.alerts_read if where & SSL.SSL_CB_READ else owner.alerts_written
            noted.append((value >> 8 & 0xFF, value & 0xFF))


def reasons(error: SSL.Error) -> tuple[str, ...]:
    return tuple(str(entry[-1]) for entry in (error.args[0] if error.args else ()) if entry)


class Session:
    """One OpenSSL connection over memory BIOs, and the record of what it received."""

    def __init__(self, context: ClientContext, sni: str | None, resume: SSL.Session | None) -> None:
        self.secrets: dict[str, bytes] = {}
        self.alerts_read: list[tuple[int, int]] = []
        self.alerts_written: list[tuple[int, int]] = []
        self.received = bytearray()
        self.openssl = SSL.Connection(context.openssl, None)
        self.openssl.set_app_data(self)
        if sni is not None:
            self.openssl.set_tlsext_host_name(checked_host_name(sni))
        self.openssl.request_ocsp()
        if resume is not None:
            self.openssl.set_session(resume)
        self.openssl.set_connect_state()

    def take(self, data: bytes) -> None:
        self.received += data[: _MAX_RECORDED - len(self.received)]
        self.openssl.bio_write(data)

    def pending(self) -> bytes:
        """Whatever OpenSSL wants sent."""
        waiting = b""
        with suppress(SSL.Error):  # WantReadError: nothing left
            while len(waiting) % _CHUNK == 0:  # a read that is not full was the last
                waiting += self.openssl.bio_read(_CHUNK)
        return waiting

    def flight(self) -> ServerFlight:
        """What the server sent, so far; the chain from OpenSSL where the records could not be decrypted."""
        flight = read_flight(bytes(self.received), self.secrets)
        if flight.trouble and not flight.chain and not flight.resumed:
            chain = self.openssl.get_peer_cert_chain() or ()
            flight = replace(flight, chain=tuple(crypto.dump_certificate(crypto.FILETYPE_ASN1, x) for x in chain))
        return flight

    def forget(self) -> None:
        """Drop the secrets and the cycle through OpenSSL's application data."""
        self.secrets.clear()
        self.received.clear()
        self.openssl.set_app_data(None)
