from __future__ import annotations

from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID

from keycheck.model.facts import Unseen
from keycheck.model.verdict import Kind, Reason
from probes.tls.anchors import system_anchors
from probes.tls.certificate_controls import Certificate, Chain, Curve, Revocation
from probes.tls.facts import TlsFacts

MUST_STAPLE = [(x509.TLSFeature([x509.TLSFeatureType.status_request]), False)]


def endpoint(*chains, name_sent="right", not_kept=0):
    """Endpoint facts with nothing but what these controls look at."""
    return TlsFacts.model_construct(
        name_sent=name_sent, chain=chains[0], other_chains=tuple(chains[1:]), chains_not_kept=not_kept
    )


def verdicts(*chains, **parameters):
    """The three verdicts as one string: p, f, i, n for certificate, chain, revocation."""
    facts = endpoint(*chains)
    rules = (Certificate(**parameters), Chain(), Revocation())
    letters = {Kind.PASS: "p", Kind.FAIL: "f", Kind.INCONCLUSIVE: "i", Kind.NOT_APPLICABLE: "n"}
    return "".join(letters[rule.judge(facts).kind] for rule in rules)


def test_an_honest_chain(pki):
    assert verdicts(pki.facts(pki.leaf, pki.middle)) == "ppi"


@pytest.mark.parametrize(
    ("flaw", "expected", "words"),
    [
        ({"days": (-90, -1)}, "fpi", "expired"),
        ({"days": (1, 90)}, "fpi", "not-yet-valid"),
        ({"san": ("other.example",)}, "fpi", "wrong-name"),
        ({"purposes": (ExtendedKeyUsageOID.CLIENT_AUTH,)}, "fpi", "not-for-server-auth"),
        ({"days": (-300, 99)}, "fpi", "valid for P399D"),
        ({"key": "rsa1024"}, "fpi", "RSA key of 1024 bits"),
        ({"key": "k1"}, "fpi", "secp256k1"),
        ({"key": "ed25519"}, "ppi", ""),
        ({"digest": hashes.SHA224()}, "fpi", "sha224"),
        ({"signer": "other"}, "pfi", "bad-signature"),
        ({"extra": MUST_STAPLE}, "ppf", "demands a stapled"),
    ],
)
def test_each_flaw_of_the_leaf_breaks_one_control(pki, flaw, expected, words):
    keys = {
        "rsa1024": lambda: pki.rsa(1024),
        "k1": lambda: ec.generate_private_key(ec.SECP256K1()),
        "ed25519": ed25519.Ed25519PrivateKey.generate,
        "other": lambda: ec.generate_private_key(ec.SECP256R1()),
    }
    flaw = {k: keys[v]() if isinstance(v, str) and v in keys else v for k, v in flaw.items()}
    chain = pki.facts(pki.make(pki.HOST, issuer=pki.middle, **flaw), pki.middle)
    assert verdicts(chain) == expected
    facts = endpoint(chain)
    messages = [rule.judge(facts).message for rule in (Certificate(), Chain(), Revocation())]
    assert any(words in message for message in messages)


def test_exactly_the_longest_validity_is_allowed(pki):
    leaf = pki.make(pki.HOST, issuer=pki.middle, days=(-1, 9))
    facts = endpoint(pki.facts(leaf, pki.middle))
    assert Certificate(max_validity="P10DT1S").judge(facts).kind is Kind.PASS
    assert Certificate(max_validity="P10D").judge(facts).kind is Kind.FAIL


def test_sha1(pki, sha1_leaf):
    at = sha1_leaf.certificate.not_valid_before_utc + timedelta(hours=1)
    root = pki.make("R", ca=True, days=(-3000, 9000))
    middle = pki.make(
        "", subject=pki.middle.certificate.subject, key=pki.middle.key, issuer=root, ca=True, days=(-3000, 9000)
    )
    chain = pki.facts(sha1_leaf, middle, anchors=pki.anchors(root), at=at)
    assert chain.trust.verified
    assert verdicts(chain) == "fpi"
    assert verdicts(chain, signature_hashes=["sha1", "sha256"]) == "ppi"


def test_weakness_anywhere_in_the_chain_counts_and_the_anchor_does_not(pki):
    weak_root = pki.make("Weak root", ca=True, key=pki.rsa(1024))
    middle = pki.make("Strong", issuer=weak_root, ca=True)
    leaf = pki.make(pki.HOST, issuer=middle)
    assert verdicts(pki.facts(leaf, middle, weak_root, anchors=pki.anchors(weak_root))) == "ppi"
    weak = pki.make("Weak", issuer=pki.root, ca=True, key=pki.rsa(1024))
    chain = pki.facts(pki.make(pki.HOST, issuer=weak), weak)
    assert verdicts(chain) == "fpi"
    assert "certificate 2 as sent" in Certificate().judge(endpoint(chain)).message


def test_curves_can_be_narrowed(pki):
    chain = pki.facts(pki.leaf, pki.middle)
    assert verdicts(chain, curves=["secp384r1"]) == "fpi"
    assert Certificate.tighteners()["curves"].allows(frozenset({Curve.P256, Curve.P384}), frozenset({Curve.P384}))


@pytest.mark.parametrize("missing", ["intermediate", "ca", "self-signed", "none-sent"])
def test_chains_that_lead_nowhere(pki, missing):
    stranger = pki.make("Stranger", ca=True)
    chain, words = {
        "intermediate": ([pki.leaf], "missing-intermediate"),
        "ca": ([pki.make(pki.HOST, issuer=stranger), stranger], "unknown-issuer"),
        "self-signed": ([pki.make(pki.HOST)], "self-signed-leaf"),
        "none-sent": ([], "no certificate"),
    }[missing]
    facts = pki.facts(*chain)
    assert verdicts(facts) == ("ffi" if not chain else "pfi")
    assert words in Chain().judge(endpoint(facts)).message


def test_another_ca_than_the_contracted_one(pki):
    other = pki.make("Other", ca=True)
    assert verdicts(pki.facts(pki.leaf, pki.middle, anchors=pki.anchors(other))) == "pfi"


def test_an_expired_intermediate_is_the_chains_fault(pki):
    middle = pki.make("Old", issuer=pki.root, ca=True, days=(-100, -1))
    assert verdicts(pki.facts(pki.make(pki.HOST, issuer=middle), middle)) == "pfi"


def test_what_cannot_be_read_is_never_a_pass_nor_a_breach(pki):
    garbage = pki.facts(b"\x30\x00", pki.middle)
    assert verdicts(garbage) == "iii"
    assert Chain().judge(endpoint(garbage)).reasons == (Reason.MALFORMED,)
    assert verdicts(pki.facts(pki.leaf, b"\x30\x00")) == "iii"
    stray = pki.make("Stray", ca=True)
    buried = pki.facts(pki.leaf, *[stray] * 20, pki.middle)
    assert verdicts(buried) == "iii"
    critical = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3"), b"\x05\x00")
    odd = pki.facts(pki.make(pki.HOST, issuer=pki.middle, extra=[(critical, True)]), pki.middle)
    assert Chain().judge(endpoint(odd)).reasons == (Reason.UNSUPPORTED,)


def test_no_trust_store_is_our_lack(pki, tmp_path):
    empty = system_anchors({"SSL_CERT_FILE": str(tmp_path / "no"), "SSL_CERT_DIR": str(tmp_path)})
    verdict = Chain().judge(endpoint(pki.facts(pki.leaf, pki.middle, anchors=empty)))
    assert verdict.reasons == (Reason.TOOL_MISSING,)


@pytest.mark.parametrize("good", [True, False])
def test_interception_takes_passes_and_fails_alike(pki, good):
    proxy = pki.make("Inspection", ca=True)
    leaf = pki.make(pki.HOST, issuer=proxy, days=(-10, 80) if good else (-90, -1))
    store = system_like(pki, proxy) if good else pki.anchors()
    chain = pki.facts(leaf, anchors=store, interception_cas_der=[proxy.der])
    assert verdicts(chain) == "iii"
    assert Certificate().judge(endpoint(chain)).reasons == (Reason.INTERCEPTED,)


def system_like(pki, made):
    """Anchors that are no contracted CA, as of a system store that trusts the inspection CA."""
    from probes.tls.anchors import contracted_anchors
    from probes.tls.chain_facts import AnchorKind

    return contracted_anchors(made.pem, "store.pem", AnchorKind.SYSTEM)


def test_other_names_do_not_concern_the_certificate(pki):
    bad = pki.facts(pki.make(pki.HOST, days=(-90, -1)))
    for sent in ("none", "wrong"):
        for rule in (Certificate(), Chain(), Revocation()):
            assert rule.judge(endpoint(bad, name_sent=sent)).kind is Kind.NOT_APPLICABLE


def test_one_bad_chain_among_good_ones(pki):
    good = pki.facts(pki.leaf, pki.middle)
    bad = pki.facts(pki.make(pki.HOST, issuer=pki.middle, days=(-90, -1)), pki.middle)
    assert verdicts(good, bad) == "fpi"
    assert Certificate().judge(endpoint(good, not_kept=3)).reasons == (Reason.NOT_COVERED,)


def test_an_unseen_chain_keeps_its_reason():
    unseen = Unseen(reason=Reason.TIMEOUT, detail="no answer")
    for rule in (Certificate(), Chain(), Revocation()):
        assert rule.judge(endpoint(unseen)).reasons == (Reason.TIMEOUT,)


def staple(pki, leaf, status=ocsp.OCSPCertStatus.GOOD, next_update=timedelta(days=3), key=None):
    revoked = status is ocsp.OCSPCertStatus.REVOKED
    responder = pki.middle
    if key is not None:
        responder = pki.make("", subject=pki.middle.certificate.subject, key=key, ca=True)
    response = (
        ocsp.OCSPResponseBuilder()
        .add_response(
            cert=leaf.certificate,
            issuer=pki.middle.certificate,
            algorithm=hashes.SHA256(),
            cert_status=status,
            this_update=pki.NOW - pki.DAY,
            next_update=None if next_update is None else pki.NOW + next_update,
            revocation_time=pki.NOW if revoked else None,
            revocation_reason=None,
        )
        .responder_id(ocsp.OCSPResponderEncoding.NAME, responder.certificate)
        .sign(responder.key, hashes.SHA256())
    )
    return response.public_bytes(serialization.Encoding.DER)


@pytest.mark.parametrize(
    ("made", "kind", "words"),
    [
        ({}, Kind.PASS, "good"),
        ({"status": ocsp.OCSPCertStatus.REVOKED}, Kind.FAIL, "revoked"),
        ({"status": ocsp.OCSPCertStatus.UNKNOWN}, Kind.FAIL, "does not know"),
        ({"next_update": timedelta(hours=-1)}, Kind.FAIL, "ran out"),
        ({"next_update": None}, Kind.INCONCLUSIVE, "nextUpdate"),
        ({"key": ec.generate_private_key(ec.SECP256R1())}, Kind.FAIL, "not validly signed"),
    ],
)
@pytest.mark.parametrize("must", [True, False])
@pytest.mark.parametrize("rule", [Revocation(), Revocation(staple="required")])
def test_a_staple_that_is_sent_must_be_good(pki, made, kind, words, must, rule):
    leaf = pki.make(pki.HOST, issuer=pki.middle, extra=MUST_STAPLE if must else [])
    verdict = rule.judge(endpoint(pki.facts(leaf, pki.middle, staple=staple(pki, leaf, **made))))
    assert verdict.kind is kind
    assert words in verdict.message


def test_a_staple_about_another_certificate(pki):
    chain = pki.facts(pki.leaf, pki.middle, staple=staple(pki, pki.middle))
    assert Revocation().judge(endpoint(chain)).kind is Kind.FAIL


def test_absent_staples(pki):
    must = pki.make(pki.HOST, issuer=pki.middle, extra=MUST_STAPLE)
    chain = pki.facts(pki.leaf, pki.middle)
    assert Revocation().judge(endpoint(chain)).reasons == (Reason.NOT_COVERED,)
    assert Revocation(staple="required").judge(endpoint(chain)).kind is Kind.FAIL
    assert Revocation().judge(endpoint(pki.facts(must, pki.middle))).kind is Kind.FAIL
    unasked = pki.facts(must, pki.middle, staple_asked=False)
    assert Revocation().judge(endpoint(unasked)).reasons == (Reason.NOT_COVERED,)


@pytest.mark.parametrize("rule", [Certificate, Chain, Revocation])
def test_every_control_explains_itself(rule):
    assert rule.needs == (TlsFacts,)
    assert rule.section == "endpoints"
    assert rule.__doc__
    assert rule.proves
    assert rule.does_not_prove
    assert rule.reference() in rule.example
    assert rule.sources
