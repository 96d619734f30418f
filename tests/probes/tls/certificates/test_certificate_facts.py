from __future__ import annotations

import hashlib
import ipaddress
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, padding
from hypothesis import given
from hypothesis import strategies as st

from keycheck import canonical
from probes.tls.certificates import Parsed, read, read_chain
from probes.tls.chain_facts import (
    MAX_CERTIFICATE_BYTES,
    MAX_CERTIFICATES,
    MAX_NAMES,
    CertificateFacts,
    ChainFacts,
    Malformed,
    MalformedCertificate,
    ServerAuth,
)


def facts_of(made) -> CertificateFacts:
    parsed = read(made.der)
    assert isinstance(parsed, Parsed), parsed
    return parsed.facts


def test_an_ordinary_leaf(pki):
    facts = facts_of(pki.leaf)
    spki = pki.leaf.certificate.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    assert facts.sha256 == hashlib.sha256(pki.leaf.der).hexdigest()
    assert facts.spki_sha256 == hashlib.sha256(spki).hexdigest()
    assert facts.subject == "CN=api.vendor.example"
    assert facts.issuer == "CN=Middle,O=Honest CA"
    assert facts.serial == str(pki.leaf.certificate.serial_number)
    assert facts.not_after - facts.not_before == timedelta(days=90)
    assert (facts.key.algorithm, facts.key.bits, facts.key.curve) == ("ec", 256, "secp256r1")
    assert (facts.signature.name, facts.signature.hash) == ("ecdsa-with-SHA256", "sha256")
    assert not facts.self_issued
    assert not facts.self_signed
    extensions = facts.extensions
    assert extensions.kind == "parsed"
    assert not extensions.is_ca
    assert extensions.server_auth is ServerAuth.STATED
    assert extensions.key_usage == {"digital_signature"}
    assert extensions.dns_names == (pki.HOST, "*.wild.example")
    assert extensions.ip_addresses == ("192.0.2.7", "2001:db8::7")
    assert extensions.authority_key_id == facts_of(pki.middle).extensions.subject_key_id


def test_a_ca_and_its_limits(pki):
    facts = facts_of(pki.middle)
    assert facts.extensions.is_ca
    assert facts.extensions.path_length == 0
    root = facts_of(pki.root)
    assert root.self_signed
    assert root.extensions.path_length is None


def test_self_issued_is_not_self_signed(pki):
    changed_key = pki.make("Root", organisation="Honest CA", issuer=pki.root, ca=True, key=pki.rsa(2048))
    facts = facts_of(changed_key)
    assert facts.self_issued
    assert not facts.self_signed


def test_key_kinds(pki):
    assert facts_of(pki.make("a.example", key=pki.rsa(1024))).key.bits == 1024
    ed = facts_of(pki.make("a.example", key=ed25519.Ed25519PrivateKey.generate()))
    assert ed.key.algorithm == "ed25519"
    assert ed.signature.hash == "intrinsic"
    pss = padding.PSS(padding.MGF1(pki.leaf.certificate.signature_hash_algorithm), 32)
    assert facts_of(pki.make("a.example", key=pki.rsa(2048), rsa_padding=pss)).signature.hash == "sha256"


def test_sha1_is_a_fact(sha1_leaf):
    assert facts_of(sha1_leaf).signature.hash == "sha1"


def test_must_staple_and_uris(pki):
    access = [
        x509.AccessDescription(
            x509.oid.AuthorityInformationAccessOID.OCSP,
            x509.UniformResourceIdentifier(f"http://ocsp{i}.example/"),
        )
        for i in range(12)
    ]
    leaf = pki.make(
        pki.HOST,
        issuer=pki.middle,
        extra=[
            (x509.TLSFeature([x509.TLSFeatureType.status_request]), False),
            (x509.AuthorityInformationAccess(access), False),
        ],
    )
    extensions = facts_of(leaf).extensions
    assert extensions.must_staple
    assert extensions.ocsp_uris[0] == "http://ocsp0.example/"
    assert len(extensions.ocsp_uris) + extensions.uris_not_listed == 12


def test_names_are_bounded_but_all_are_matched(pki):
    names = [f"n{i}.example" for i in range(300)]
    leaf = pki.make("n0.example", issuer=pki.middle, san=names)
    extensions = facts_of(leaf).extensions
    assert len(extensions.dns_names) == MAX_NAMES
    assert extensions.names_not_listed == 300 - MAX_NAMES
    assert pki.facts(leaf, pki.middle, host="n299.example").trust.verified


def test_control_characters_are_escaped(pki):
    facts = facts_of(pki.make("evil\x1b[31m\nname", san=("a.example",)))
    assert "\x1b" not in facts.subject
    assert "\n" not in facts.subject


def test_two_signature_algorithms_in_one_certificate_are_malformed(pki):
    der = pki.leaf.der
    outer = der.rindex(bytes.fromhex("06082a8648ce3d040302"))
    changed = der[: outer + 9] + b"\x03" + der[outer + 10 :]
    assert isinstance(read(changed), MalformedCertificate)


def test_unreadable_extensions_leave_the_rest_readable(pki):
    der = pki.leaf.der
    at = der.index(bytes.fromhex("0603551d11"))  # subjectAltName becomes a second extendedKeyUsage
    parsed = read(der[: at + 4] + b"\x25" + der[at + 5 :])
    assert isinstance(parsed, Parsed)
    assert isinstance(parsed.facts.extensions, Malformed)


def test_an_unknown_tls_feature_is_a_fact(pki):
    feature = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.5.5.7.1.24"), b"\x30\x03\x02\x01\x06")
    facts = facts_of(pki.make(pki.HOST, issuer=pki.middle, extra=[(feature, False)]))
    assert isinstance(facts.extensions, Malformed)


def test_bounds():
    huge = read(b"0" * (MAX_CERTIFICATE_BYTES + 1))
    assert isinstance(huge, MalformedCertificate)
    assert len(read_chain([b"0"] * 100)) == MAX_CERTIFICATES


def test_nothing_at_all_is_malformed():
    assert isinstance(read(b""), MalformedCertificate)


def test_facts_survive_the_evidence(pki):
    facts = pki.facts(pki.leaf, pki.middle, b"garbage", staple=b"garbage")
    text = canonical.dumps(facts.model_dump(mode="json", by_alias=True))
    again = ChainFacts.model_validate_json(text)
    assert again == facts
    assert canonical.dumps(again.model_dump(mode="json", by_alias=True)) == text


@pytest.fixture(scope="module")
def rich(pki):
    """A certificate with every extension that is read."""
    uri = x509.UniformResourceIdentifier("http://ca.example/")
    access = x509.AuthorityInformationAccessOID
    network = x509.IPAddress(ipaddress.ip_network("192.0.2.0/24"))
    directory = x509.DirectoryName(pki.root.certificate.subject)
    sct = bytes(33) + (1 << 40).to_bytes(8, "big") + b"\0\0\4\3\0\1s"
    scts = len(sct).to_bytes(2, "big") + sct
    scts = len(scts).to_bytes(2, "big") + scts
    return pki.make(
        pki.HOST,
        issuer=pki.middle,
        san=(pki.HOST, "192.0.2.7"),
        extra=[
            (x509.NameConstraints([x509.DNSName("example"), network], [directory]), True),
            (x509.TLSFeature([x509.TLSFeatureType.status_request]), False),
            (x509.AuthorityInformationAccess([x509.AccessDescription(access.OCSP, uri)]), False),
            (x509.CRLDistributionPoints([x509.DistributionPoint([uri], None, None, None)]), False),
            (
                x509.UnrecognizedExtension(
                    x509.ObjectIdentifier("1.3.6.1.4.1.11129.2.4.2"), bytes([4, len(scts)]) + scts
                ),
                False,
            ),
        ],
    )


@given(data=st.data())
def test_mutated_certificates_never_raise(pki, rich, data):
    der = bytearray(data.draw(st.sampled_from([rich.der, pki.leaf.der, pki.middle.der, pki.root.der])))
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(der) - 1))
        match data.draw(st.sampled_from(["set", "drop", "insert"])):
            case "set":
                der[at] = data.draw(st.integers(0, 255))
            case "drop":
                del der[at]
            case _:
                der.insert(at, data.draw(st.integers(0, 255)))
    facts = pki.facts(bytes(der), pki.middle, staple=bytes(der))
    pki.facts(pki.leaf, bytes(der), pki.middle)
    assert ChainFacts.model_validate_json(facts.model_dump_json()) == facts
    if bytes(der) not in (rich.der, pki.leaf.der):
        assert not facts.trust.verified


@given(chain=st.lists(st.binary(max_size=300), max_size=20), staple=st.binary(max_size=100))
def test_garbage_never_raises(pki, chain, staple):
    assert not pki.facts(*chain, staple=staple).trust.verified
