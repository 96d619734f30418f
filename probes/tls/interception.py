"""Whether a chain was made on our own side: by a declared interception CA or a known inspection product.

Names prove nothing: a vendor could call its own CA like such a product. That is why this only ever turns a
verdict, pass and fail alike, into `inconclusive(intercepted)`; it can hide no breach behind a pass, and
what is inconclusive on a must-have clause still stops the contract from being met.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from keycheck.model.types import vendor_text
from probes.tls.certificates import CanonicalName, Parsed, read, read_chain
from probes.tls.chain_facts import AnchorKind, MalformedCertificate, TrustFacts
from probes.tls.path import Node, lineage
from probes.tls.signatures import Signed, signed_by

_ORGANISATION: Final = "2.5.4.10"
_COMMON_NAME: Final = "2.5.4.3"

_PRODUCTS: Final = {
    _ORGANISATION: {
        "zscaler inc.": "Zscaler",
        "zscaler, inc.": "Zscaler",
        "netskope inc": "Netskope",
        "netskope, inc.": "Netskope",
        "fortinet": "Fortinet FortiGate",
        "fortinet ltd.": "Fortinet FortiGate",
        "watchguard_technologies": "WatchGuard Firebox",
        "mitmproxy": "mitmproxy",
        "portswigger": "Burp Suite",
        "eset, spol. s r. o.": "ESET",
        "ao kaspersky lab": "Kaspersky",
    },
    _COMMON_NAME: {
        "cisco umbrella root ca": "Cisco Umbrella",
        "cisco umbrella primary subca": "Cisco Umbrella",
        "portswigger ca": "Burp Suite",
        "mitmproxy": "mitmproxy",
        "do_not_trust_fiddlerroot": "Fiddler",
        "eset ssl filter ca": "ESET",
        "avast web/mail shield root": "Avast",
        "avg web/mail shield root": "AVG",
        "kaspersky anti-virus personal root certificate": "Kaspersky",
        "sophos ssl ca": "Sophos",
        "fireware https proxy ca": "WatchGuard Firebox",
        "sonicwall firewall dpi-ssl": "SonicWall",
        "zscaler root ca": "Zscaler",
        "zscaler intermediate root ca": "Zscaler",
    },
}
"""Whole organisation and common names of issuers, as these products are shipped. A closed list: phrases
inside longer names never match."""


def known_interceptor(
    chain_der: Sequence[bytes],
    interception_cas_der: Sequence[bytes],
    trust: TrustFacts | None = None,
) -> str | None:
    """Who on our own side issued the chain (leaf first), or None.

    A declared interception CA counts when its key verifies a certificate that the leaf descends from (the
    leaf included), or when issuer name and key id are its own. Otherwise, where the chain leads to an anchor of
    the system's store, the issuers' names are compared with those of known products: without that, a vendor could
    borrow a product's name and turn every failure into `intercepted`. A chain that `trust` saw reach the contracted
    CA is never intercepted.
    """
    return interceptor_of(read_chain(chain_der), interception_cas_der, trust)


def interceptor_of(
    chain: Sequence[Parsed | MalformedCertificate],
    interception_cas_der: Sequence[bytes],
    trust: TrustFacts | None,
) -> str | None:
    """As `known_interceptor`, for certificates already read."""
    if trust is not None and trust.anchors.kind is AnchorKind.CONTRACTED and trust.anchor is not None:
        return None
    if not chain or not isinstance(chain[0], Parsed):
        return None
    nodes = [Node(i, certificate) for i, certificate in enumerate(chain) if isinstance(certificate, Parsed)]
    ancestors = lineage(nodes)
    for der in interception_cas_der:
        ca = read(der)
        if isinstance(ca, Parsed) and any(_issued(ca, node) for node in ancestors):
            return ca.facts.subject
    if trust is None or trust.anchors.kind is AnchorKind.CONTRACTED or trust.anchor is None:
        return None  # a name is easily borrowed; only what our own trust store vouches for can be on our own side
    names = (product for node in ancestors if (product := _product(node.issuer)) is not None)
    found = next(names, None)
    return None if found is None else vendor_text(found)


def _issued(ca: Parsed, node: Parsed) -> bool:
    if node.facts.sha256 == ca.facts.sha256:
        return True
    if node.issuer != ca.subject:
        return False
    return signed_by(node, ca) is Signed.YES or _states_key_of(node, ca)


def _states_key_of(node: Parsed, ca: Parsed) -> bool:
    ours, theirs = ca.facts.extensions, node.facts.extensions
    if ours.kind == "malformed" or theirs.kind == "malformed" or ours.subject_key_id is None:
        return False
    return theirs.authority_key_id == ours.subject_key_id


def _product(issuer: CanonicalName) -> str | None:
    for rdn in issuer:
        for oid, value in rdn:
            if isinstance(value, str) and (product := _PRODUCTS.get(oid, {}).get(value)) is not None:
                return product
    return None
