"""Attestations against certificates made here: each thing that can be wrong, seen as what it is."""

from __future__ import annotations

import gzip
import hashlib
import struct
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from keycheck.lab.sha1 import resigned_with_sha1
from probes.keys.gcp.attestation import MAX_CONTENT, Answered, verified
from probes.keys.gcp.attestation_tlv import EXTRACTABLE, ID, StatementError, stated
from probes.keys.gcp.chain import chained
from probes.keys.gcp_facts import Attestation, ChainStatus

NOW = datetime(2026, 11, 22, tzinfo=UTC)
NAME = "projects/acme/locations/europe-west3/keyRings/crm/cryptoKeys/byok/cryptoKeyVersions/1"
YEAR = timedelta(days=365)


@cache
def key(name: str) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def certificate(
    subject: str,
    issuer: str,
    *,
    of: str | None = None,
    by: str | None = None,
    until: datetime = NOW + YEAR,
    since: datetime = NOW - 5 * YEAR,
    ca: bool | None = None,
    digest: hashes.SHA256 | None = None,
) -> x509.Certificate:
    def name(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    builder = (
        x509.CertificateBuilder()
        .subject_name(name(subject))
        .issuer_name(name(issuer))
        .public_key(key(of or subject).public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(since)
        .not_valid_after(until)
    )
    if ca is not None:
        builder = builder.add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    return builder.sign(key(by or issuer), digest or hashes.SHA256())


def pem(*certificates: x509.Certificate) -> tuple[str, ...]:
    return tuple(each.public_bytes(Encoding.PEM).decode() for each in certificates)


@dataclass(frozen=True)
class Pki:
    maker: x509.Certificate
    cloud: x509.Certificate
    card: x509.Certificate
    partition: x509.Certificate
    cloud_card: x509.Certificate
    cloud_partition: x509.Certificate

    @property
    def roots(self) -> tuple[x509.Certificate, ...]:
        return (self.cloud, self.maker)


@cache
def pki() -> Pki:
    """As the real ones: the maker's without extensions, the cloud's leaves straight under its root."""
    return Pki(
        maker=certificate("maker", "maker"),
        cloud=certificate("cloud", "cloud", ca=True),
        card=certificate("card", "maker"),
        partition=certificate("partition", "card"),
        cloud_card=certificate("card", "cloud", ca=False),
        cloud_partition=certificate("partition", "cloud", ca=False),
    )


def tlv(attributes: Mapping[int, bytes]) -> bytes:
    body = b"".join(struct.pack(">II", kind, len(value)) + value for kind, value in attributes.items())
    return struct.pack(">III", 7, len(attributes), len(body)) + body


def attributes(name: str = NAME, extractable: bytes = b"\0") -> dict[int, bytes]:
    names = hashlib.sha256(b"other").hexdigest() + hashlib.sha256(name.encode()).hexdigest()
    return {0x0: b"\x04", 0x100: b"\x1f", ID: names.encode(), EXTRACTABLE: extractable, 0x173: b"\1\2\3"}


def version_2(*objects: bytes) -> bytes:
    second = 8 + len(objects[0]) if len(objects) > 1 else 0
    buffer = struct.pack(">HHHH", 2, 0, 8, second) + b"".join(objects)
    return struct.pack(">IIII", 0, 0, 16 + len(buffer) + 256, len(buffer)) + buffer


def signed(data: bytes, by: str = "partition") -> bytes:
    return data + key(by).sign(data, padding.PKCS1v15(), hashes.SHA256())


def answered(content: bytes | None = None) -> Answered:
    own = pki()
    return Answered(
        format="CAVIUM_V2_COMPRESSED",
        content=gzip.compress(signed(version_2(tlv(attributes())))) if content is None else content,
        maker=pem(own.card, own.partition),
        cloud_card=pem(own.cloud_card),
        cloud_partition=pem(own.cloud_partition),
    )


def judge(what: Answered, looked: datetime = NOW, roots: tuple[x509.Certificate, ...] | None = None) -> Attestation:
    return verified(what, [NAME], pki().roots if roots is None else roots, looked)


def test_a_genuine_attestation_is_verified_to_both_roots() -> None:
    seen = judge(answered())
    assert (seen.maker.status, seen.cloud.status) == (ChainStatus.VERIFIED, ChainStatus.VERIFIED)
    assert (seen.maker.root, seen.cloud.root) == ("CN=maker", "CN=cloud")
    assert (seen.statement, seen.names, seen.extractable) == ("signed", "this-version", "no")
    assert seen.maker.root_sha256 == pki().maker.fingerprint(hashes.SHA256()).hex()


def test_order_and_copies_of_the_root_do_not_matter() -> None:
    own = pki()
    shuffled = replace(answered(), maker=("\n".join(pem(own.partition, own.maker, own.card)),))
    shuffled = replace(shuffled, cloud_card=pem(own.cloud, own.cloud_card))
    assert judge(shuffled).model_dump(exclude={"detail"}) == judge(answered()).model_dump(exclude={"detail"})


def test_a_root_pinned_by_key_is_the_root_whatever_certificate_of_it_is_supplied() -> None:
    own = pki()
    renewed = certificate("maker", "maker", until=NOW + 20 * YEAR)
    seen = judge(replace(answered(), maker=pem(renewed, own.card, own.partition)))
    assert seen.maker.status is ChainStatus.VERIFIED
    assert seen.maker.root_until == own.maker.not_valid_after_utc


def test_an_expired_root_is_its_own_status() -> None:
    own = pki()
    old = certificate("maker", "maker", until=NOW - timedelta(days=7))
    seen = judge(answered(), roots=(old, own.cloud))
    assert (seen.maker.status, seen.cloud.status) == (ChainStatus.EXPIRED_ROOT, ChainStatus.VERIFIED)
    assert seen.statement == "signed"


def test_an_expired_root_stays_expired_when_a_new_certificate_of_it_is_supplied() -> None:
    own = pki()
    old = certificate("maker", "maker", until=NOW - timedelta(days=7))
    renewed = certificate("maker", "maker", until=NOW + 20 * YEAR)
    seen = judge(replace(answered(), maker=pem(renewed, own.card, own.partition)), roots=(old, own.cloud))
    assert seen.maker.status is ChainStatus.EXPIRED_ROOT


def test_certificates_below_the_root_must_be_valid_when_looked() -> None:
    assert judge(answered(), looked=NOW + 2 * YEAR).maker.status is ChainStatus.EXPIRED_CERTIFICATE
    assert judge(answered(), looked=NOW - 6 * YEAR).cloud.status is ChainStatus.EXPIRED_CERTIFICATE


def test_without_pinned_roots_nothing_is_chained_and_the_signature_is_still_told() -> None:
    seen = judge(answered(), roots=())
    assert (seen.maker.status, seen.cloud.status) == (ChainStatus.NO_ROOT, ChainStatus.NO_ROOT)
    assert seen.statement == "signed"


def test_other_roots_chain_nothing() -> None:
    strangers = (certificate("maker", "maker", of="stranger", by="stranger"), certificate("x", "x"))
    seen = judge(answered(), roots=strangers)
    assert {seen.maker.status, seen.cloud.status} == {ChainStatus.NOT_CHAINED}


def test_two_chains_to_one_root_are_one_word_said_twice() -> None:
    fake_card = certificate("card", "cloud")
    fake = replace(answered(), maker=pem(fake_card, pki().partition))
    seen = judge(fake)
    assert seen.maker.status is ChainStatus.NOT_CHAINED
    assert "same root" in seen.maker.detail


def test_the_two_chains_must_certify_the_same_card_and_partition() -> None:
    other = certificate("partition", "cloud", of="other partition", ca=False)
    seen = judge(replace(answered(), cloud_partition=pem(other)))
    assert seen.cloud.status is ChainStatus.NOT_CHAINED
    assert "another partition" in seen.cloud.detail
    assert seen.statement == "not-signed"
    assert seen.names == "nothing"
    other = certificate("card", "cloud", of="other card", ca=False)
    assert "another card" in judge(replace(answered(), cloud_card=pem(other))).cloud.detail


def test_a_certificate_without_a_place_in_the_chain_is_not_passed_over() -> None:
    own = pki()
    stray = certificate("stray", "stray")
    assert judge(replace(answered(), maker=pem(own.card, own.partition, stray))).maker.status is ChainStatus.NOT_CHAINED


def test_a_partition_may_not_issue_and_an_authority_must_say_that_it_may() -> None:
    own = pki()
    sub = certificate("sub", "partition")
    assert judge(replace(answered(), maker=pem(own.card, own.partition, sub))).maker.status is ChainStatus.NOT_CHAINED
    leaf = certificate("sub", "partition of the cloud", by="partition")
    above = certificate("partition of the cloud", "cloud", of="partition", ca=False)
    assert judge(replace(answered(), cloud_partition=pem(above, leaf))).cloud.status is ChainStatus.NOT_CHAINED


def test_an_authority_between_root_and_card_is_accepted() -> None:
    between = certificate("between", "maker", ca=True)
    card = certificate("card", "between")
    assert judge(replace(answered(), maker=pem(between, card, pki().partition))).maker.status is ChainStatus.VERIFIED


def issued_by(
    signer: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey,
    issuer: x509.Name,
    subject: x509.Name,
    public: rsa.RSAPublicKey | ec.EllipticCurvePublicKey,
    digest: hashes.SHA256 | None = None,
) -> x509.Certificate:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(9)
        .not_valid_before(NOW - YEAR)
        .not_valid_after(NOW + YEAR)
        .sign(signer, digest or hashes.SHA384())
    )


def test_short_keys_are_refused() -> None:
    own = pki()
    short = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "short")])
    root = issued_by(short, name, name, short.public_key())
    card = issued_by(short, name, own.card.subject, key("card").public_key())
    seen = judge(replace(answered(), maker=pem(card, own.partition)), roots=(root, own.cloud))
    assert seen.maker.status is ChainStatus.NOT_CHAINED
    assert "too weak" in seen.maker.detail


def test_old_hashes_are_refused() -> None:
    own = pki()
    signer = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "old")])
    root = issued_by(signer, name, name, signer.public_key())
    card = issued_by(signer, name, own.card.subject, key("card").public_key(), hashes.SHA256())
    old = resigned_with_sha1(card, signer)
    for each, status in ((card, ChainStatus.VERIFIED), (old, ChainStatus.NOT_CHAINED)):
        seen = judge(replace(answered(), maker=pem(each, own.partition)), roots=(root, own.cloud))
        assert seen.maker.status is status


@pytest.mark.parametrize(
    ("maker", "status"),
    [
        ((), ChainStatus.MISSING),
        (("",), ChainStatus.MALFORMED),
        (("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----",), ChainStatus.MALFORMED),
        (("\ud800",), ChainStatus.MALFORMED),
        (("x" * 100_000,), ChainStatus.MALFORMED),
    ],
)
def test_missing_and_unreadable_certificates_are_told_apart(maker: tuple[str, ...], status: ChainStatus) -> None:
    seen = judge(replace(answered(), maker=maker))
    assert seen.maker.status is status
    assert seen.statement == "not-signed"


def test_ten_thousand_certificates_are_bounded_work() -> None:
    many = pem(*(certificate(f"c{number}", "maker", of="card") for number in range(20))) * 500
    assert judge(replace(answered(), maker=many)).maker.status is ChainStatus.MALFORMED


def test_a_signature_of_another_key_is_none() -> None:
    seen = judge(answered(gzip.compress(signed(version_2(tlv(attributes())), by="card"))))
    assert (seen.statement, seen.names, seen.extractable) == ("not-signed", "nothing", "not-stated")


def test_one_changed_bit_is_not_signed() -> None:
    plain = bytearray(gzip.decompress(answered().content))
    plain[60] ^= 1
    assert judge(answered(gzip.compress(bytes(plain)))).statement == "not-signed"


def test_a_genuine_statement_about_another_version_says_so() -> None:
    other = gzip.compress(signed(version_2(tlv(attributes(name=NAME + "0")))))
    seen = judge(answered(other))
    assert (seen.statement, seen.names) == ("signed", "another")


def test_the_project_may_be_written_by_number() -> None:
    number = NAME.replace("acme", "123456789012")
    content = gzip.compress(signed(version_2(tlv(attributes(name=number)))))
    assert judge(answered(content)).names == "another"
    assert verified(answered(content), [NAME, number], pki().roots, NOW).names == "this-version"


@pytest.mark.parametrize(
    ("value", "says"),
    [(b"\0", "no"), (b"\0\0\0\0", "no"), (b"\1", "yes"), (b"\0\0\0\1", "yes"), (b"\x80", "yes"), (b"", "not-stated")],
)
def test_only_a_plain_zero_says_that_the_key_cannot_leave(value: bytes, says: str) -> None:
    content = gzip.compress(signed(version_2(tlv(attributes(extractable=value)))))
    assert judge(answered(content)).extractable == says


def test_of_a_pair_the_private_half_says_whether_it_can_leave() -> None:
    pair = version_2(tlv(attributes(extractable=b"\0")), tlv(attributes(extractable=b"\1")))
    assert judge(answered(gzip.compress(signed(pair)))).extractable == "yes"


def test_version_1_is_read_for_one_key_and_for_a_pair() -> None:
    one = bytes(24) + tlv(attributes())
    pair = bytes(984) + tlv(attributes(extractable=b"\0")) + tlv(attributes(extractable=b"\1"))
    for data, says in ((one, "no"), (pair, "yes")):
        seen = judge(replace(answered(gzip.compress(signed(data))), format="CAVIUM_V1_COMPRESSED"))
        assert (seen.statement, seen.names, seen.extractable) == ("signed", "this-version", says)


def test_a_format_from_the_future_is_unknown() -> None:
    assert judge(replace(answered(), format="UNKNOWN_5")).statement == "unknown-format"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no gzip",
        gzip.compress(b"short"),
        gzip.compress(bytes(50_000_000)),
        gzip.compress(b"x" * 1000)[:-9],
        gzip.compress(b"x" * 1000) + b"more",
        bytes(MAX_CONTENT + 1),
    ],
    ids=["empty", "no gzip", "short", "bomb", "cut", "trailing", "large"],
)
def test_hostile_content_is_malformed(content: bytes) -> None:
    assert judge(answered(content)).statement == "malformed"


@pytest.mark.parametrize(
    "data",
    [
        version_2(tlv(attributes()))[:-1],
        struct.pack(">IIII", 0, 0, 2**32 - 1, 0) + bytes(100),
        struct.pack(">IIII", 0, 0, 0, 2**32 - 1) + bytes(100),
        version_2(struct.pack(">III", 1, 2**32 - 1, 0)),
        version_2(struct.pack(">IIIII", 1, 1, 8, ID, 2**32 - 1)),
        version_2(tlv({1: b"a"}).replace(b"\0\0\0\1\0\0\0\x09", b"\0\0\0\2\0\0\0\x09") + tlv({1: b"a"})[12:]),
        struct.pack(">IIII", 0, 0, 16 + 8 + 256, 8) + struct.pack(">HHHH", 0, 0, 65535, 0),
        b"",
    ],
    ids=["cut", "total", "buffer", "count", "length", "twice", "offset", "empty"],
)
def test_signed_nonsense_is_malformed(data: bytes) -> None:
    seen = judge(answered(gzip.compress(signed(data))))
    assert (seen.statement, seen.names, seen.extractable) == ("malformed", "nothing", "not-stated")


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=2_000), st.sampled_from([1, 2]))
def test_no_bytes_break_the_reader(data: bytes, version: int) -> None:
    with suppress(StatementError):
        stated(data, 1 if version == 1 else 2)


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 10_000), st.binary(min_size=1, max_size=8))
def test_no_change_breaks_the_reader(at: int, patch: bytes) -> None:
    data = version_2(tlv(attributes()), tlv(attributes()))
    at %= len(data)
    try:
        read = stated(data[:at] + patch + data[at + len(patch) :], 2)
    except StatementError:
        return
    assert read.names([NAME]) in ("this-version", "another", "nothing")


@settings(max_examples=50, deadline=None)
@given(st.lists(st.text(max_size=300), max_size=5))
def test_no_text_breaks_the_chain(pems: list[str]) -> None:
    assert chained(pems, pki().roots, 2, NOW).chain.status in (ChainStatus.MISSING, ChainStatus.MALFORMED)


def test_elliptic_roots_are_accepted_and_cannot_sign_statements() -> None:
    root = ec.generate_private_key(ec.SECP384R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "elliptic")])
    own = pki()
    roots = (issued_by(root, name, name, root.public_key()), own.cloud)
    card = issued_by(root, name, own.card.subject, key("card").public_key())
    assert judge(replace(answered(), maker=pem(card, own.partition)), roots=roots).maker.status is ChainStatus.VERIFIED
    partition = issued_by(root, name, own.partition.subject, root.public_key())
    assert judge(replace(answered(), cloud_partition=pem(partition)), roots=roots).statement == "not-signed"
