"""A small certificate factory: every test gets real chains, made at test time."""

from __future__ import annotations

import ipaddress
import shutil
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from probes.tls.anchors import contracted_anchors
from probes.tls.chain import chain_facts

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
HOST = "api.vendor.example"
DAY = timedelta(days=1)


def name(common, organisation=None):
    parts = [x509.NameAttribute(NameOID.COMMON_NAME, common)]
    if organisation:
        parts.insert(0, x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation))
    return x509.Name(parts)


@dataclass(frozen=True)
class Made:
    certificate: x509.Certificate
    key: object

    @property
    def der(self):
        return self.certificate.public_bytes(serialization.Encoding.DER)

    @property
    def pem(self):
        return self.certificate.public_bytes(serialization.Encoding.PEM)


USAGES = ["digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement"]
USAGES += ["key_cert_sign", "crl_sign", "encipher_only", "decipher_only"]


def usage(*bits):
    return x509.KeyUsage(**{bit: bit in bits for bit in USAGES})


def general(text):
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


class Pki:
    """`root`, `middle` and `leaf` make up an honest chain; `make` makes anything else."""

    NOW, HOST, DAY = NOW, HOST, DAY
    name = staticmethod(name)
    usage = staticmethod(usage)

    def __init__(self):
        self.keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(8)]
        self.spare = iter(range(10**6))
        self.root = self.make("Root", organisation="Honest CA", ca=True, days=(-1000, 3000))
        self.middle = self.make("Middle", organisation="Honest CA", issuer=self.root, ca=True, path_length=0)
        self.leaf = self.make(HOST, issuer=self.middle, san=(HOST, "*.wild.example", "192.0.2.7", "2001:db8::7"))

    def new_key(self):
        return self.keys[next(self.spare) % len(self.keys)]

    def make(
        self,
        common,
        *,
        organisation=None,
        issuer=None,
        subject=None,
        key=None,
        signer=None,
        ca=None,
        path_length=None,
        san=(),
        days=(-10, 80),
        purposes=None,
        key_usage=None,
        extra=(),
        without=(),
        digest=None,
        rsa_padding=None,
    ):
        key = key or self.new_key()
        signer = signer or (issuer.key if issuer else key)
        subject = subject or name(common, organisation)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer.certificate.subject if issuer else subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW + days[0] * DAY)
            .not_valid_after(NOW + days[1] * DAY)
        )
        if ca is None and not san:
            san = (common,)
        authority = issuer.certificate.public_key() if issuer else key.public_key()
        extensions = {
            "bc": (x509.BasicConstraints(bool(ca), path_length if ca else None), True),
            "ku": (key_usage or usage(*(("key_cert_sign", "crl_sign") if ca else ("digital_signature",))), True),
            "ski": (x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False),
            "aki": (x509.AuthorityKeyIdentifier.from_issuer_public_key(authority), False),
        }
        if san:
            extensions["san"] = (x509.SubjectAlternativeName([general(n) for n in san]), False)
        if purposes is None and not ca:
            purposes = (ExtendedKeyUsageOID.SERVER_AUTH,)
        if purposes:
            extensions["eku"] = (x509.ExtendedKeyUsage(purposes), False)
        for label, (value, critical) in extensions.items():
            if label not in without:
                builder = builder.add_extension(value, critical)
        for value, critical in extra:
            builder = builder.add_extension(value, critical)
        pre_hashed = isinstance(signer, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey)
        digest = (digest or hashes.SHA256()) if pre_hashed else None
        return Made(builder.sign(signer, digest, rsa_padding=rsa_padding), key)

    def rsa(self, bits):
        return rsa.generate_private_key(65537, bits)

    def anchors(self, *made):
        return contracted_anchors(b"".join(m.pem for m in made or (self.root,)), "ca.pem")

    def facts(self, *chain, anchors=None, host=HOST, at=NOW, staple=None, **more):
        ders = [entry if isinstance(entry, bytes) else entry.der for entry in chain]
        return chain_facts(ders, anchors or self.anchors(), host, at, staple=staple, sct_list=None, **more)


@pytest.fixture(scope="session")
def pki():
    return Pki()


@pytest.fixture(scope="session")
def sha1_leaf(pki, tmp_path_factory):
    """A leaf signed with SHA-1, which `cryptography` refuses to make."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("the openssl program, which still signs with SHA-1, is not installed")
    place = tmp_path_factory.mktemp("sha1")
    pem = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (place / "ca.pem").write_bytes(pki.middle.pem)
    (place / "ca.key").write_bytes(pki.middle.key.private_bytes(*pem))
    (place / "leaf.key").write_bytes(pki.leaf.key.private_bytes(*pem))
    (place / "ext").write_text(f"subjectAltName=DNS:{HOST}\nextendedKeyUsage=serverAuth\n")

    def run(*arguments):
        subprocess.run([openssl, *arguments], cwd=place, check=True, capture_output=True, timeout=30)

    run("req", "-new", "-key", "leaf.key", "-subj", f"/CN={HOST}", "-out", "leaf.csr")
    run(
        *("x509", "-req", "-sha1", "-in", "leaf.csr", "-CA", "ca.pem", "-CAkey", "ca.key"),
        *("-set_serial", "77", "-days", "30", "-extfile", "ext", "-out", "leaf.pem"),
    )
    return Made(x509.load_pem_x509_certificate((place / "leaf.pem").read_bytes()), pki.leaf.key)
