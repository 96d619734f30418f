from __future__ import annotations

import pytest

from probes.tls.anchors import contracted_anchors
from probes.tls.chain_facts import AnchorKind
from probes.tls.interception import known_interceptor


@pytest.fixture(scope="module")
def proxy(pki):
    return pki.make("Egress inspection", organisation="Customer", ca=True)


def test_a_declared_ca_counts_by_signature(pki, proxy):
    leaf = pki.make(pki.HOST, issuer=proxy)
    assert known_interceptor([leaf.der], [proxy.der]) == "CN=Egress inspection,O=Customer"
    assert pki.facts(leaf, interception_cas_der=[proxy.der]).intercepted_by


def test_a_declared_root_above_a_sent_intermediate(pki, proxy):
    sub = pki.make("Sub", issuer=proxy, ca=True)
    leaf = pki.make(pki.HOST, issuer=sub)
    assert known_interceptor([leaf.der, sub.der], [proxy.der])
    assert not known_interceptor([leaf.der], [proxy.der])


def test_an_appended_stray_certificate_does_not_count(pki, proxy):
    stray = pki.make("stray.example", issuer=proxy)
    assert known_interceptor([pki.leaf.der, pki.middle.der, stray.der, proxy.der], [proxy.der]) is None


def test_issuer_name_and_key_id_count_where_the_signature_is_odd(pki, proxy):
    leaf = pki.make(pki.HOST, issuer=proxy, signer=pki.rsa(2048))
    assert known_interceptor([leaf.der], [proxy.der])
    unnamed = pki.make(pki.HOST, issuer=proxy, signer=pki.rsa(2048), without=("aki",))
    assert known_interceptor([unnamed.der], [proxy.der]) is None


@pytest.mark.parametrize(
    ("common", "organisation", "found"),
    [
        ("Zscaler Intermediate Root CA (zscloud.net)", "Zscaler Inc.", "Zscaler"),
        ("DO_NOT_TRUST_FiddlerRoot", "DO_NOT_TRUST", "Fiddler"),
        ("Not Zscaler Inc.", "Beats Zscaler Inc. Ltd", None),
        ("Fortinet fans", "Fans", None),
    ],
)
def test_products_by_exact_phrase(pki, common, organisation, found):
    ca = pki.make(common, organisation=organisation, ca=True)
    leaf = pki.make(pki.HOST, issuer=ca)
    store = contracted_anchors(ca.pem, "store.pem", AnchorKind.SYSTEM)
    assert pki.facts(leaf, anchors=store).intercepted_by == found


def test_a_borrowed_product_name_excuses_nothing(pki):
    borrowed = pki.make("Zscaler Root CA", organisation="Zscaler Inc.", ca=True)
    leaf = pki.make(pki.HOST, issuer=borrowed)
    elsewhere = contracted_anchors(pki.root.pem, "store.pem", AnchorKind.SYSTEM)
    for anchors in (elsewhere, pki.anchors(), pki.anchors(borrowed)):
        assert pki.facts(leaf, anchors=anchors).intercepted_by is None
    assert known_interceptor([leaf.der], []) is None


def test_a_subject_is_no_issuer(pki):
    leaf = pki.make("", subject=pki.name(pki.HOST, "Zscaler Inc."), issuer=pki.middle, san=(pki.HOST,))
    assert known_interceptor([leaf.der, pki.middle.der], []) is None


def test_never_what_reaches_the_contracted_ca(pki):
    ca = pki.make("Zscaler Root CA", organisation="Zscaler Inc.", ca=True)
    leaf = pki.make(pki.HOST, issuer=ca)
    assert pki.facts(leaf, anchors=pki.anchors(ca), interception_cas_der=[ca.der]).intercepted_by is None
    assert pki.facts(leaf, interception_cas_der=[ca.der]).intercepted_by is not None


def test_garbage(pki):
    assert known_interceptor([], [b"x"]) is None
    assert known_interceptor([b"x"], [b"x"]) is None
