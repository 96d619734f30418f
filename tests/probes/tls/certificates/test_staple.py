from __future__ import annotations

from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given
from hypothesis import strategies as st

from probes.tls.chain_facts import Freshness, RevocationStatus, StapleSignature, StapleState
from probes.tls.staple import read_handshake_scts

DER = serialization.Encoding.DER


def response(
    pki,
    *,
    leaf=None,
    issuer=None,
    responder=None,
    status=ocsp.OCSPCertStatus.GOOD,
    this_update=timedelta(hours=-1),
    next_update=timedelta(days=3),
    certificates=(),
    by_name=False,
) -> bytes:
    issuer = issuer or pki.middle
    responder = responder or issuer
    revoked = status is ocsp.OCSPCertStatus.REVOKED
    encoding = ocsp.OCSPResponderEncoding.NAME if by_name else ocsp.OCSPResponderEncoding.HASH
    builder = (
        ocsp.OCSPResponseBuilder()
        .add_response(
            cert=(leaf or pki.leaf).certificate,
            issuer=issuer.certificate,
            algorithm=hashes.SHA1(),
            cert_status=status,
            this_update=pki.NOW + this_update,
            next_update=None if next_update is None else pki.NOW + next_update,
            revocation_time=pki.NOW - pki.DAY if revoked else None,
            revocation_reason=x509.ReasonFlags.key_compromise if revoked else None,
        )
        .responder_id(encoding, responder.certificate)
    )
    if certificates:
        builder = builder.certificates([made.certificate for made in certificates])
    return builder.sign(responder.key, hashes.SHA256()).public_bytes(DER)


def staple(pki, raw, **more):
    return pki.facts(pki.leaf, pki.middle, staple=raw, **more).staple


@pytest.mark.parametrize("by_name", [True, False])
def test_a_good_staple(pki, by_name):
    facts = staple(pki, response(pki, by_name=by_name))
    assert facts.state is StapleState.PARSED
    assert facts.response.status is RevocationStatus.GOOD
    assert facts.response.signature is StapleSignature.ISSUER
    assert facts.response.freshness is Freshness.FRESH
    assert facts.response.about_leaf


def test_revoked(pki):
    facts = staple(pki, response(pki, status=ocsp.OCSPCertStatus.REVOKED)).response
    assert facts.status is RevocationStatus.REVOKED
    assert facts.revoked_at == pki.NOW - pki.DAY
    assert facts.reason == "keyCompromise"


@pytest.mark.parametrize(
    ("this_update", "next_update", "freshness"),
    [
        (timedelta(days=-8), timedelta(seconds=-1), Freshness.STALE),
        (timedelta(minutes=4), timedelta(days=3), Freshness.FRESH),
        (timedelta(minutes=6), timedelta(days=3), Freshness.NOT_YET_VALID),
        (timedelta(days=-8), None, Freshness.OPEN_ENDED),
        (timedelta(days=-8), timedelta(0), Freshness.FRESH),
    ],
)
def test_freshness(pki, this_update, next_update, freshness):
    raw = response(pki, this_update=this_update, next_update=next_update)
    assert staple(pki, raw).response.freshness is freshness


def test_about_another_certificate(pki):
    other = pki.make(pki.HOST, issuer=pki.middle)
    assert not staple(pki, response(pki, leaf=other)).response.about_leaf


def test_about_the_same_serial_of_another_issuer(pki):
    assert not staple(pki, response(pki, issuer=pki.root)).response.about_leaf


def test_a_delegated_responder(pki):
    signing = (ExtendedKeyUsageOID.OCSP_SIGNING,)
    delegate = pki.make("Responder", issuer=pki.middle, key=pki.rsa(2048), purposes=signing, san=("r.example",))
    raw = response(pki, responder=delegate, certificates=[delegate])
    assert staple(pki, raw).response.signature is StapleSignature.DELEGATE


@pytest.mark.parametrize(
    "flaw",
    [
        {"purposes": (ExtendedKeyUsageOID.SERVER_AUTH,)},
        {"days": (-20, -1)},
        {"signer": "thief"},
    ],
)
def test_a_responder_that_the_issuer_did_not_authorize(pki, flaw):
    thief = pki.rsa(2048)
    more = {"purposes": (ExtendedKeyUsageOID.OCSP_SIGNING,), **flaw}
    if more.get("signer") == "thief":
        more["signer"] = thief
    delegate = pki.make("Responder", issuer=pki.middle, key=thief, san=("r.example",), **more)
    raw = response(pki, responder=delegate, certificates=[delegate])
    assert staple(pki, raw).response.signature is StapleSignature.UNAUTHORIZED


def test_an_unknown_responder(pki):
    stranger = pki.make("Stranger", key=pki.rsa(2048))
    raw = response(pki, responder=stranger)
    assert staple(pki, raw).response.signature is StapleSignature.UNAUTHORIZED


def test_a_forged_signature(pki):
    raw = bytearray(response(pki))
    raw[-1] ^= 1
    assert staple(pki, bytes(raw)).response.signature is StapleSignature.INVALID
    namesake = pki.make("Middle", organisation="Honest CA", ca=True, key=pki.rsa(2048))
    raw = response(pki, responder=namesake, by_name=True)
    assert staple(pki, raw).response.signature is StapleSignature.INVALID


def test_issuer_unknown_without_the_intermediate(pki):
    facts = pki.facts(pki.leaf, staple=response(pki)).staple.response
    assert facts.signature is StapleSignature.ISSUER_UNKNOWN
    assert facts.about_leaf


def test_the_issuer_may_be_the_anchor(pki):
    facts = pki.facts(pki.leaf, anchors=pki.anchors(pki.middle), staple=response(pki)).staple.response
    assert facts.signature is StapleSignature.ISSUER


def test_absent_not_asked_unsuccessful_and_malformed(pki):
    assert staple(pki, None).state is StapleState.ABSENT
    assert staple(pki, None, staple_asked=False).state is StapleState.NOT_ASKED
    later = ocsp.OCSPResponseBuilder.build_unsuccessful(ocsp.OCSPResponseStatus.TRY_LATER).public_bytes(DER)
    facts = staple(pki, later)
    assert facts.state is StapleState.UNSUCCESSFUL
    assert facts.detail == "try-later"
    assert staple(pki, b"").state is StapleState.MALFORMED
    assert staple(pki, response(pki) * 1000).state is StapleState.MALFORMED


@pytest.fixture(scope="module")
def revoked(pki):
    return response(pki, status=ocsp.OCSPCertStatus.REVOKED)


@given(data=st.data())
def test_mutated_staples_never_raise_and_never_turn_good(pki, revoked, data):
    raw = bytearray(revoked)
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    facts = staple(pki, bytes(raw)).response
    if facts is not None and facts.status is RevocationStatus.GOOD:
        assert facts.signature is not StapleSignature.ISSUER or not facts.about_leaf


def vector(body: bytes) -> bytes:
    return len(body).to_bytes(2, "big") + body


def sct(log=b"L" * 32, at=1_700_000_000_123, version=0, extensions=b"", signature=b"sig") -> bytes:
    return bytes([version]) + log + at.to_bytes(8, "big") + vector(extensions) + b"\x04\x03" + vector(signature)


@given(
    st.lists(st.tuples(st.binary(min_size=32, max_size=32), st.integers(0, 2**47), st.binary(max_size=9)), max_size=20)
)
def test_scts_round_trip(entries):
    raw = vector(b"".join(vector(sct(log, at, extensions=extra)) for log, at, extra in entries))
    facts = read_handshake_scts(raw)
    assert facts.state == "parsed"
    assert [s.log_id for s in facts.scts] == [log.hex() for log, _, _ in entries][:16]
    assert len(facts.scts) + facts.not_listed == len(entries)


def test_sct_times_and_versions():
    facts = read_handshake_scts(vector(vector(sct()) + vector(sct(version=1))))
    assert facts.scts[0].at.isoformat() == "2023-11-14T22:13:20.123000+00:00"
    assert facts.scts[0].signature == "4.3"
    assert facts.not_listed == 1


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\x00",
        vector(vector(b"")),
        vector(vector(sct()[:-1])),
        vector(vector(sct())) + b"x",
        vector(vector(sct(at=2**64 - 1))),
        vector(vector(sct() + b"x")),
    ],
)
def test_malformed_scts(raw):
    assert read_handshake_scts(raw).state == "malformed"


@given(st.binary(max_size=200))
def test_sct_garbage_never_raises(raw):
    read_handshake_scts(raw)


def test_scts_in_the_certificate(pki):
    value = vector(vector(sct()))
    extension = x509.UnrecognizedExtension(
        x509.ObjectIdentifier("1.3.6.1.4.1.11129.2.4.2"), b"\x04" + bytes([len(value)]) + value
    )
    facts = pki.facts(pki.make(pki.HOST, issuer=pki.middle, extra=[(extension, False)]), pki.middle)
    assert [s.log_id for s in facts.embedded_scts.scts] == [(b"L" * 32).hex()]
    assert pki.facts(pki.leaf, pki.middle).embedded_scts.state == "absent"
    assert read_handshake_scts(None).state == "absent"
    assert read_handshake_scts(None, asked=False).state == "not-asked"
