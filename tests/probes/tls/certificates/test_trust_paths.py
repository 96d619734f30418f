from __future__ import annotations

import ipaddress

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, mldsa, padding
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given
from hypothesis import strategies as st
from OpenSSL import crypto

from probes.tls.chain_facts import ChainNote, NameMatch, ProblemKind
from probes.tls.trust import assess_trust


def kinds(facts) -> dict[ProblemKind, int | None]:
    return {problem.kind: problem.position for problem in facts.trust.problems}


def test_an_honest_chain(pki):
    trust = pki.facts(pki.leaf, pki.middle).trust
    assert trust.verified
    assert trust.path == (0, 1)
    assert trust.anchor.subject == "CN=Root,O=Honest CA"
    assert trust.name is NameMatch.MATCHED
    assert trust.strict_profile.result == "accepted"
    assert trust.anchors.count == 1
    assert not trust.notes


@pytest.mark.parametrize(("days", "kind"), [(-11, "not-yet-valid"), (81, "expired")])
def test_the_clock_decides(pki, days, kind):
    facts = pki.facts(pki.leaf, pki.middle, at=pki.NOW + days * pki.DAY)
    assert kinds(facts)[ProblemKind(kind)] in (0, 1)
    assert facts.trust.anchor is not None
    assert facts.trust.at == pki.NOW + days * pki.DAY


def test_both_ends_of_validity_are_valid(pki):
    for moment in (pki.leaf.certificate.not_valid_before_utc, pki.leaf.certificate.not_valid_after_utc):
        assert pki.facts(pki.leaf, pki.middle, at=moment).trust.verified


def test_an_expired_intermediate(pki):
    middle = pki.make("Old", issuer=pki.root, ca=True, days=(-100, -1))
    leaf = pki.make(pki.HOST, issuer=middle)
    assert kinds(pki.facts(leaf, middle)) == {ProblemKind.EXPIRED: 1}


def test_an_expired_anchor(pki):
    root = pki.make("Old root", ca=True, days=(-100, -1))
    leaf = pki.make(pki.HOST, issuer=root)
    assert kinds(pki.facts(leaf, anchors=pki.anchors(root))) == {ProblemKind.EXPIRED: None}


def test_wrong_name(pki):
    assert kinds(pki.facts(pki.leaf, pki.middle, host="other.example")) == {ProblemKind.WRONG_NAME: 0}


def test_the_common_name_never_counts(pki):
    leaf = pki.make(pki.HOST, issuer=pki.middle, san=("other.example",))
    assert kinds(pki.facts(leaf, pki.middle)) == {ProblemKind.WRONG_NAME: 0}
    bare = pki.make(pki.HOST, issuer=pki.middle, without=("san",))
    assert kinds(pki.facts(bare, pki.middle)) == {ProblemKind.WRONG_NAME: 0}


@pytest.mark.parametrize("host", ["192.0.2.7", "2001:db8::7", "[2001:DB8::7]", "a.wild.example", "API.vendor.example."])
def test_addresses_wildcards_and_case(pki, host):
    assert pki.facts(pki.leaf, pki.middle, host=host).trust.verified


def test_no_host_asked(pki):
    trust = pki.facts(pki.leaf, pki.middle, host=None).trust
    assert trust.verified
    assert trust.name is NameMatch.NOT_ASKED


def test_self_signed_leaf(pki):
    leaf = pki.make(pki.HOST)
    assert kinds(pki.facts(leaf)) == {ProblemKind.SELF_SIGNED_LEAF: 0}


def test_a_pinned_leaf_is_its_own_anchor(pki):
    leaf = pki.make(pki.HOST)
    trust = pki.facts(leaf, anchors=pki.anchors(leaf)).trust
    assert trust.verified
    assert trust.path == (0,)


def test_missing_intermediate_is_named(pki):
    facts = pki.facts(pki.leaf)
    assert kinds(facts) == {ProblemKind.MISSING_INTERMEDIATE: 0}
    assert "CN=Middle,O=Honest CA" in facts.trust.problems[0].detail


def test_missing_intermediate_among_unrelated_certificates(pki):
    stray = pki.make("Stray", ca=True)
    facts = pki.facts(pki.leaf, stray, pki.root)
    assert kinds(facts) == {ProblemKind.MISSING_INTERMEDIATE: 0}


def test_a_second_intermediate_of_a_known_organisation_is_missing(pki):
    upper = pki.make("Upper", organisation="Honest CA", issuer=pki.root, ca=True)
    lower = pki.make("Lower", organisation="Honest CA", issuer=upper, ca=True)
    leaf = pki.make(pki.HOST, issuer=lower)
    assert kinds(pki.facts(leaf, lower)) == {ProblemKind.MISSING_INTERMEDIATE: 1}
    assert pki.facts(leaf, lower, upper).trust.verified


def test_no_intermediate_is_missing_where_the_anchor_is_the_issuer(pki):
    assert pki.facts(pki.leaf, anchors=pki.anchors(pki.middle)).trust.verified


@pytest.mark.parametrize("send_root", [True, False])
def test_unknown_ca(pki, send_root):
    root = pki.make("Nobody", organisation="Unknown CA", ca=True)
    middle = pki.make("Nobody's middle", organisation="Unknown CA", issuer=root, ca=True)
    leaf = pki.make(pki.HOST, issuer=middle)
    facts = pki.facts(leaf, middle, *([root] if send_root else []))
    assert kinds(facts) == {ProblemKind.UNKNOWN_ISSUER: 2 if send_root else 1}


def test_bad_signature(pki):
    forged = pki.make(pki.HOST, issuer=pki.middle, signer=pki.rsa(2048))
    other = pki.make(pki.HOST, issuer=pki.middle, signer=next(k for k in pki.keys if k is not pki.middle.key))
    for leaf in (forged, other):
        assert kinds(pki.facts(leaf, pki.middle)) == {ProblemKind.BAD_SIGNATURE: 0}


def test_a_broken_signature_byte(pki):
    der = bytearray(pki.leaf.der)
    der[-1] ^= 1
    assert kinds(pki.facts(bytes(der), pki.middle)) == {ProblemKind.BAD_SIGNATURE: 0}


def test_a_forged_intermediate_does_not_reach_the_anchor(pki):
    thief = pki.make("Thief", ca=True, key=pki.rsa(2048))
    middle = pki.make("Middle 2", issuer=pki.root, signer=thief.key, ca=True)
    leaf = pki.make(pki.HOST, issuer=middle)
    facts = pki.facts(leaf, middle)
    assert kinds(facts) == {ProblemKind.BAD_SIGNATURE: 1}


def test_a_ca_of_the_same_name_with_another_key_is_no_bad_signature(pki):
    key = pki.rsa(2048)
    namesake = pki.make("Middle", organisation="Honest CA", ca=True, key=key)
    assert kinds(pki.facts(pki.leaf, namesake)) == {ProblemKind.MISSING_INTERMEDIATE: 0}
    assert pki.facts(pki.leaf, namesake, pki.middle).trust.verified


def test_a_leaf_is_no_ca(pki):
    leaf = pki.make("victim.example", issuer=pki.leaf)
    facts = pki.facts(leaf, pki.leaf, pki.middle, host="victim.example")
    assert kinds(facts)[ProblemKind.CA_FLAG_MISSING] == 1
    assert not facts.trust.verified


def test_a_ca_without_basic_constraints(pki):
    middle = pki.make("Bare", issuer=pki.root, ca=True, without=("bc",))
    assert kinds(pki.facts(pki.make(pki.HOST, issuer=middle), middle)) == {ProblemKind.CA_FLAG_MISSING: 1}


def test_a_ca_without_cert_sign(pki):
    middle = pki.make("No sign", issuer=pki.root, ca=True, key_usage=pki.usage("crl_sign"))
    assert kinds(pki.facts(pki.make(pki.HOST, issuer=middle), middle)) == {ProblemKind.CA_FLAG_MISSING: 1}


def test_path_length(pki):
    low = pki.make("Low", issuer=pki.middle, ca=True)
    leaf = pki.make(pki.HOST, issuer=low)
    assert kinds(pki.facts(leaf, low, pki.middle)) == {ProblemKind.PATH_TOO_LONG: 2}


def test_not_for_server_auth(pki):
    leaf = pki.make(pki.HOST, issuer=pki.middle, purposes=(ExtendedKeyUsageOID.CLIENT_AUTH,))
    assert kinds(pki.facts(leaf, pki.middle)) == {ProblemKind.NOT_FOR_SERVER_AUTH: 0}
    middle = pki.make("Mail CA", issuer=pki.root, ca=True, purposes=(ExtendedKeyUsageOID.EMAIL_PROTECTION,))
    leaf = pki.make(pki.HOST, issuer=middle)
    assert kinds(pki.facts(leaf, middle)) == {ProblemKind.NOT_FOR_SERVER_AUTH: 1}


@pytest.mark.parametrize(
    ("permitted", "excluded", "good"),
    [
        (["vendor.example"], None, True),
        ([".vendor.example"], None, True),
        (["other.example"], None, False),
        (None, ["vendor.example"], False),
        (None, ["xvendor.example", "deep.api.vendor.example"], True),
    ],
)
def test_name_constraints(pki, permitted, excluded, good):
    trees = [None if t is None else [x509.DNSName(n) for n in t] for t in (permitted, excluded)]
    middle = pki.make("Bound", issuer=pki.root, ca=True, extra=[(x509.NameConstraints(*trees), True)])
    facts = pki.facts(pki.make(pki.HOST, issuer=middle), middle)
    assert kinds(facts) == ({} if good else {ProblemKind.NAME_CONSTRAINTS: 1})


@pytest.mark.parametrize(("network", "good"), [("192.0.2.0/24", True), ("198.51.100.0/24", False)])
def test_address_constraints(pki, network, good):
    trees = x509.NameConstraints([x509.IPAddress(ipaddress.ip_network(network))], None)
    middle = pki.make("Bound", issuer=pki.root, ca=True, extra=[(trees, True)])
    facts = pki.facts(pki.make("x", issuer=middle, san=("192.0.2.7",)), middle, host="192.0.2.7")
    assert kinds(facts) == ({} if good else {ProblemKind.NAME_CONSTRAINTS: 1})


@pytest.mark.parametrize(("organisation", "good"), [("Vendor", True), ("vendor ", True), ("Other", False)])
def test_directory_constraints(pki, organisation, good):
    organisation_name = x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, "Vendor")
    trees = x509.NameConstraints([x509.DirectoryName(x509.Name([organisation_name]))], None)
    middle = pki.make("Bound", issuer=pki.root, ca=True, extra=[(trees, True)])
    leaf = pki.make(pki.HOST, organisation=organisation, issuer=middle)
    assert kinds(pki.facts(leaf, middle)) == ({} if good else {ProblemKind.NAME_CONSTRAINTS: 1})


@pytest.mark.parametrize("kind", ["rsa", "pss", "ed25519", "ed448", "ml-dsa", "p521"])
def test_signature_schemes(pki, kind):
    key = {
        "rsa": lambda: pki.rsa(2048),
        "pss": lambda: pki.rsa(2048),
        "ed25519": ed25519.Ed25519PrivateKey.generate,
        "ed448": ed448.Ed448PrivateKey.generate,
        "ml-dsa": mldsa.MLDSA65PrivateKey.generate,
        "p521": lambda: ec.generate_private_key(ec.SECP521R1()),
    }[kind]()
    pss = padding.PSS(padding.MGF1(hashes.SHA384()), 48) if kind == "pss" else None
    root = pki.make("Scheme root", ca=True, key=key)
    leaf = pki.make(pki.HOST, issuer=root, digest=hashes.SHA384(), rsa_padding=pss)
    anchors = pki.anchors(root)
    assert pki.facts(leaf, anchors=anchors).trust.verified
    broken = bytearray(leaf.der)
    broken[-1] ^= 1
    assert kinds(pki.facts(bytes(broken), anchors=anchors)) == {ProblemKind.BAD_SIGNATURE: 0}


def test_constraints_on_other_kinds_are_unsupported_only_where_they_bite(pki):
    trees = x509.NameConstraints([x509.RFC822Name("vendor.example")], None)
    middle = pki.make("Mail bound", issuer=pki.root, ca=True, extra=[(trees, True)])
    assert pki.facts(pki.make(pki.HOST, issuer=middle), middle).trust.verified
    mail = x509.SubjectAlternativeName([x509.DNSName(pki.HOST), x509.RFC822Name("a@vendor.example")])
    leaf = pki.make(pki.HOST, issuer=middle, without=("san",), extra=[(mail, False)])
    assert kinds(pki.facts(leaf, middle)) == {ProblemKind.UNSUPPORTED: 1}


def test_constraints_without_end_are_not_walked(pki):
    trees = x509.NameConstraints(None, [x509.DNSName(f"c{i}.example") for i in range(2000)])
    middle = pki.make("Endless", issuer=pki.root, ca=True, extra=[(trees, True)])
    leaf = pki.make(pki.HOST, issuer=middle, san=[pki.HOST, *(f"n{i}.example" for i in range(2000))])
    assert kinds(pki.facts(leaf, middle)) == {ProblemKind.UNSUPPORTED: 1}


def test_an_unknown_critical_extension(pki):
    unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
    leaf = pki.make(pki.HOST, issuer=pki.middle, extra=[(unknown, True)])
    assert kinds(pki.facts(leaf, pki.middle)) == {ProblemKind.UNSUPPORTED: 0}


def test_order_and_extras_are_notes(pki):
    low = pki.make("Low", issuer=pki.make("Up", issuer=pki.root, ca=True), ca=True)
    up = pki.make("Up", issuer=pki.root, ca=True)
    low = pki.make("Low", issuer=up, ca=True)
    leaf = pki.make(pki.HOST, issuer=low)
    trust = pki.facts(leaf, up, low, pki.root, pki.middle, pki.middle).trust
    assert trust.verified
    assert trust.path == (0, 2, 1)
    assert trust.notes == frozenset(ChainNote)


def test_a_cross_signed_ca_with_a_bad_twin_still_gets_there(pki):
    expired = pki.make("Cross", issuer=pki.root, ca=True, days=(-100, -1), key=pki.keys[0])
    current = pki.make("Cross", issuer=pki.root, ca=True, key=pki.keys[0])
    leaf = pki.make(pki.HOST, issuer=current)
    trust = pki.facts(leaf, expired, current).trust
    assert trust.verified
    assert trust.path == (0, 2)


def test_private_ca_that_the_web_profile_rejects(pki):
    root = pki.make("Plain root", ca=True, without=("ku", "ski", "aki"))
    leaf = pki.make(pki.HOST, issuer=root, without=("bc", "ku", "ski", "aki"))
    trust = pki.facts(leaf, anchors=pki.anchors(root)).trust
    assert trust.verified
    assert trust.strict_profile.result == "rejected"
    assert trust.strict_profile.detail


def test_names_differing_in_case_and_string_type_are_one_name(pki):
    spelled = x509.Name(
        [
            x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, "HONEST  ca", x509.name._ASN1Type.PrintableString),
            x509.NameAttribute(x509.NameOID.COMMON_NAME, "middle"),
        ]
    )
    respelled = pki.make("", subject=spelled, ca=True, issuer=pki.root, key=pki.middle.key)
    assert pki.facts(pki.leaf, respelled).trust.verified


def test_no_certificate(pki):
    assert kinds(pki.facts()) == {ProblemKind.NO_CERTIFICATE: None}


def test_a_malformed_leaf_and_a_malformed_extra(pki):
    assert kinds(pki.facts(b"\x30\x00", pki.middle)) == {ProblemKind.MALFORMED: 0}
    assert pki.facts(pki.leaf, pki.middle, b"\x30\x00").trust.verified
    assert kinds(pki.facts(pki.leaf, b"\x30\x00")) == {
        ProblemKind.MISSING_INTERMEDIATE: 0,
        ProblemKind.MALFORMED: 1,
    }


def test_too_many_and_too_large(pki):
    stray = pki.make("Stray", ca=True)
    facts = pki.facts(pki.leaf, *([stray] * 30), pki.middle)
    assert ProblemKind.TOO_MANY in kinds(facts)
    assert facts.not_read == 16
    assert pki.facts(pki.leaf, pki.middle, *([stray] * 30)).trust.verified
    assert ProblemKind.TOO_LARGE in kinds(pki.facts(pki.leaf, b"0" * 70_000))


def test_a_maze_of_look_alikes_is_bounded(pki):
    cas = [pki.make("Maze", ca=True, key=key) for key in pki.keys]
    maze = [pki.make("Maze", issuer=ca, ca=True, key=key) for ca in cas for key in pki.keys]
    leaf = pki.make(pki.HOST, issuer=cas[0], without=("aki",))
    facts = pki.facts(leaf, *maze)
    assert facts.trust.anchor is None


def test_a_host_that_is_no_name_is_an_error(pki):
    with pytest.raises(ValueError, match="no host name"):
        assess_trust([pki.leaf.der], pki.anchors(), "not a name", pki.NOW)


@given(data=st.data())
def test_openssl_agrees(pki, data):
    """Random chains of two CAs and a leaf: OpenSSL and keycheck accept the same ones."""

    def days():
        return data.draw(st.sampled_from([(-10, 80)] * 4 + [(-10, -1), (1, 9)]))

    def ca(common, issuer):
        return pki.make(
            common,
            issuer=issuer,
            ca=data.draw(st.sampled_from([True, True, True, True, None])),
            path_length=data.draw(st.sampled_from([None, None, 0, 1])),
            days=days(),
            san=("ca.example",),
            key_usage=pki.usage(data.draw(st.sampled_from(["key_cert_sign"] * 4 + ["crl_sign"]))),
            purposes=data.draw(
                st.sampled_from([None, (ExtendedKeyUsageOID.SERVER_AUTH,), (ExtendedKeyUsageOID.CLIENT_AUTH,)])
            ),
            signer=data.draw(st.sampled_from([None, None, None, pki.keys[7]])),
        )

    upper = ca("Upper", pki.root)
    lower = ca("Lower", upper)
    leaf = pki.make(pki.HOST, issuer=lower, days=days())
    sent = data.draw(st.permutations([upper, lower]))[: data.draw(st.sampled_from([2, 2, 2, 1]))]
    store = crypto.X509Store()
    store.add_cert(crypto.X509.from_cryptography(pki.root.certificate))
    store.set_time(pki.NOW)
    others = [crypto.X509.from_cryptography(made.certificate) for made in sent]
    context = crypto.X509StoreContext(store, crypto.X509.from_cryptography(leaf.certificate), others)
    try:
        context.verify_certificate()
        accepted = True
    except crypto.X509StoreContextError:
        accepted = False
    ours = pki.facts(leaf, *sent).trust
    wrong_purpose = any(p.kind is ProblemKind.NOT_FOR_SERVER_AUTH for p in ours.problems)
    assert ours.verified == accepted or (wrong_purpose and accepted), ours.problems
