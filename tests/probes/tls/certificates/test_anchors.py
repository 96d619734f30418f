from __future__ import annotations

import hashlib

import pytest

from keycheck.errors import DeploymentError
from probes.tls.anchors import contracted_anchors, system_anchors
from probes.tls.chain_facts import AnchorKind


def test_a_bundle_is_recorded_by_path_digest_and_count(pki):
    anchors = contracted_anchors(pki.root.pem + b"comment\n" + pki.middle.pem + pki.root.pem, "ca.pem")
    digests = sorted(hashlib.sha256(made.der).hexdigest() for made in (pki.root, pki.middle))
    assert anchors.source.kind is AnchorKind.CONTRACTED
    assert anchors.source.path == "ca.pem"
    assert anchors.source.count == 2
    assert anchors.source.sha256 == hashlib.sha256("".join(digests).encode()).hexdigest()
    other_order = contracted_anchors(pki.middle.pem + pki.root.pem, "ca.pem")
    assert other_order.source == anchors.source


@pytest.mark.parametrize("bad", [b"", b"nothing here", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"])
def test_a_contracted_bundle_must_be_readable(pki, bad):
    with pytest.raises(DeploymentError):
        contracted_anchors(bad, "ca.pem")
    if bad.startswith(b"-"):
        with pytest.raises(DeploymentError, match="1 readable and 1 unreadable"):
            contracted_anchors(pki.root.pem + bad, "ca.pem")


def test_the_system_store_follows_the_environment(pki, tmp_path):
    (tmp_path / "bundle.pem").write_bytes(pki.root.pem)
    hashed = tmp_path / "hashed"
    hashed.mkdir()
    (hashed / "0a1b2c3d.0").write_bytes(pki.middle.pem)
    (hashed / "ignored.pem").write_bytes(pki.leaf.pem)
    environ = {"SSL_CERT_FILE": str(tmp_path / "bundle.pem"), "SSL_CERT_DIR": str(hashed)}
    anchors = system_anchors(environ)
    assert anchors.source.kind is AnchorKind.SYSTEM
    assert {member.der for member in anchors.members} == {pki.root.der, pki.middle.der}
    assert str(hashed) in anchors.source.path


def test_an_empty_store_is_recorded_and_proves_nothing(pki, tmp_path):
    anchors = system_anchors({"SSL_CERT_FILE": str(tmp_path / "no"), "SSL_CERT_DIR": str(tmp_path / "none")})
    assert anchors.source.count == 0
    assert pki.facts(pki.leaf, pki.middle, anchors=anchors).trust.anchor is None


def test_the_system_store_is_read(pki):
    anchors = system_anchors({})
    if not anchors.source.count:
        pytest.skip("this system has no trust store in a usual place")
    assert pki.facts(pki.leaf, pki.middle, anchors=anchors).trust.anchor is None
