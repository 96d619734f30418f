"""The lab's certification authorities and everything they issue, made anew for every lab, never kept.

Certificates with a defect are made here on purpose. `cryptography` refuses to build a certificate with a
SHA-1 signature, so that one is built by hand from a good one (see `sha1.py`).
"""

from __future__ import annotations

import datetime as dt
import hashlib
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from keycheck.lab.sct import with_sct
from keycheck.lab.sha1 import resigned_with_sha1

_DAY = dt.timedelta(days=1)
Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


class KeyKind(StrEnum):
    """Leaf keys that the lab can make."""

    EC_P256 = "ec-p256"
    RSA_2048 = "rsa-2048"
    RSA_1024 = "rsa-1024"


class Issuer(StrEnum):
    """Who signs a leaf: the lab's intermediate, the leaf itself, a root nobody trusts, or the root of an
    inspecting proxy on the customer's own side."""

    INTERMEDIATE = "intermediate"
    SELF = "self"
    STRANGER = "stranger"
    INSPECTION = "inspection"


@dataclass(frozen=True, slots=True)
class LeafSpec:
    """A server certificate to be made. Validity is counted in days from the lab's now."""

    names: tuple[str, ...]
    first_day: int = -1
    last_day: int = 89
    key: KeyKind = KeyKind.EC_P256
    issuer: Issuer = Issuer.INTERMEDIATE
    must_staple: bool = False
    sha1: bool = False
    send_intermediate: bool = True
    logged: bool = True


@dataclass(frozen=True, slots=True)
class Issued:
    """Where a certificate and its key lie. ``chain`` is PEM, leaf first; ``staple`` a DER OCSP response, or
    None where no CA vouches for the certificate."""

    chain: Path
    key: Path
    staple: Path | None


@dataclass(frozen=True, slots=True)
class _Authority:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


class Pki:
    """Issues into ``home``; ``now`` is the lab's notion of the present, in UTC."""

    def __init__(self, home: Path, now: dt.datetime) -> None:
        self._home = home
        self._now = now.replace(microsecond=0)
        self._issued: dict[LeafSpec, Issued] = {}
        self._logs = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
        self._root = self._authority("Lab Root CA", None, path_length=1)
        self._intermediate = self._authority("Lab Issuing CA", self._root, path_length=0)
        self._clients = self._authority("Lab Client CA", None, path_length=0)
        self._stranger = self._authority("Unheard-of Root CA", None, path_length=0)
        self._inspection = self._authority("Corporate Inspection CA", None, path_length=0)
        self.ca = self._write("lab-root-ca.pem", _pem(self._root.certificate))
        self.intermediate = self._write("lab-issuing-ca.pem", _pem(self._intermediate.certificate))
        self.client_ca = self._write("lab-client-ca.pem", _pem(self._clients.certificate))

    def inspection_ca(self) -> Path:
        """The root of the inspecting proxy, as the customer's own network department would hand it out."""
        return self._write("corporate-inspection-ca.pem", _pem(self._inspection.certificate))

    def issue(self, spec: LeafSpec) -> Issued:
        """Make the certificate once; the same spec gives the same certificate again."""
        if (known := self._issued.get(spec)) is None:
            known = self._issued[spec] = self._make(spec)
        return known

    def client(self, name: str, *, trusted: bool = True) -> Issued:
        """A client certificate, by the CA that partners are told of or by one they do not know."""
        key = ec.generate_private_key(ec.SECP256R1())
        signer = self._clients if trusted else self._stranger
        builder = self._leaf_builder(name, key, signer.certificate, -1, 89).add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False
        )
        certificate = builder.sign(signer.key, hashes.SHA256())
        stem = f"client-{name}" if trusted else f"client-{name}-untrusted"
        return Issued(self._write(f"{stem}.pem", _pem(certificate)), self._write(f"{stem}.key", _key_pem(key)), None)

    def _make(self, spec: LeafSpec) -> Issued:
        key = _new_key(spec.key)
        authority = self._signer(spec.issuer)
        signer_key, signer = (key, None) if authority is None else (authority.key, authority.certificate)
        sends = spec.issuer is Issuer.INTERMEDIATE and spec.send_intermediate
        sent = [self._intermediate.certificate] if sends else []
        builder = self._leaf_builder(spec.names[0], key, signer, spec.first_day, spec.last_day)
        builder = builder.add_extension(
            x509.SubjectAlternativeName([x509.DNSName(name) for name in spec.names]), critical=False
        ).add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        if spec.must_staple:
            builder = builder.add_extension(x509.TLSFeature([x509.TLSFeatureType.status_request]), critical=False)
        if signer is not None and spec.logged:
            logged = self._now + min(spec.first_day, -1) * _DAY
            builder = with_sct(builder, signer_key, signer, self._logs, logged)
        leaf = builder.sign(signer_key, hashes.SHA256())
        if spec.sha1:
            leaf = resigned_with_sha1(leaf, self._intermediate.key)
        digest = hashlib.sha256(repr(spec).encode()).hexdigest()[:8]
        stem = f"{spec.names[0]}-{digest}"
        staple = None
        if spec.issuer is Issuer.INTERMEDIATE:
            staple = self._write(f"{stem}.ocsp", self._staple(leaf))
        return Issued(self._write(f"{stem}.pem", _pem(leaf, *sent)), self._write(f"{stem}.key", _key_pem(key)), staple)

    def _signer(self, issuer: Issuer) -> _Authority | None:
        match issuer:
            case Issuer.SELF:
                return None
            case Issuer.INTERMEDIATE:
                return self._intermediate
            case Issuer.STRANGER:
                return self._stranger
            case Issuer.INSPECTION:
                return self._inspection

    def _staple(self, leaf: x509.Certificate) -> bytes:
        response = (
            ocsp.OCSPResponseBuilder()
            .add_response(
                cert=leaf,
                issuer=self._intermediate.certificate,
                algorithm=hashes.SHA256(),
                cert_status=ocsp.OCSPCertStatus.GOOD,
                this_update=self._now - dt.timedelta(hours=1),
                next_update=self._now + 7 * _DAY,
                revocation_time=None,
                revocation_reason=None,
            )
            .responder_id(ocsp.OCSPResponderEncoding.HASH, self._intermediate.certificate)
            .sign(self._intermediate.key, hashes.SHA256())
        )
        return response.public_bytes(Encoding.DER)

    def _authority(self, name: str, parent: _Authority | None, *, path_length: int) -> _Authority:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = _name(name)
        issuer_key = key if parent is None else parent.key
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject if parent is None else parent.certificate.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(self._now - 400 * _DAY)
            .not_valid_after(self._now + 3650 * _DAY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
            .add_extension(_usage(ca=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        )
        builder = builder.add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False
        )
        return _Authority(builder.sign(issuer_key, hashes.SHA256()), key)

    def _leaf_builder(
        self, name: str, key: Key, signer: x509.Certificate | None, first_day: int, last_day: int
    ) -> x509.CertificateBuilder:
        public = key.public_key() if signer is None else signer.public_key()
        if not isinstance(public, ec.EllipticCurvePublicKey | rsa.RSAPublicKey):
            raise TypeError("the lab's authorities have EC or RSA keys")
        return (
            x509.CertificateBuilder()
            .subject_name(_name(name))
            .issuer_name(_name(name) if signer is None else signer.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(self._now + first_day * _DAY)
            .not_valid_after(self._now + last_day * _DAY)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(ca=False), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(public), critical=False)
        )

    def _write(self, name: str, data: bytes) -> Path:
        path = self._home / name
        path.touch(mode=0o600)
        path.chmod(0o600)
        path.write_bytes(data)
        return path


def _new_key(kind: KeyKind) -> Key:
    match kind:
        case KeyKind.EC_P256:
            return ec.generate_private_key(ec.SECP256R1())
        case KeyKind.RSA_2048:
            return rsa.generate_private_key(65537, 2048)
        case KeyKind.RSA_1024:
            return rsa.generate_private_key(65537, 1024)


def _name(common: str) -> x509.Name:
    organisation = x509.NameAttribute(NameOID.ORGANIZATION_NAME, "keycheck lab")
    return x509.Name([organisation, x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _usage(*, ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=ca,
        crl_sign=ca,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(*certificates: x509.Certificate) -> bytes:
    return b"".join(each.public_bytes(Encoding.PEM) for each in certificates)


def _key_pem(key: Key) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
