"""All facts about the certificates of one handshake, in one call. Pure and offline."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from keycheck.model.types import vendor_text
from probes.tls.anchors import Anchors
from probes.tls.certificates import Parsed, read_chain
from probes.tls.chain_facts import ChainFacts, MalformedCertificate, TrustFacts
from probes.tls.interception import interceptor_of
from probes.tls.staple import read_embedded_scts, read_handshake_scts, read_staple
from probes.tls.trust import trust_of


def chain_facts(
    chain_der: Sequence[bytes],
    anchors: Anchors,
    host: str | None,
    at: datetime,
    *,
    staple: bytes | None,
    sct_list: bytes | None,
    staple_asked: bool = True,
    scts_asked: bool = False,
    interception_cas_der: Sequence[bytes] = (),
) -> ChainFacts:
    """The chain as sent (leaf first), its trust at `at`, the staple, the timestamps, and who intercepted it.

    `staple_asked` and `scts_asked` say what our hello requested: only then does absence mean anything.
    OpenSSL's client asks for timestamps only when it is told to, hence the defaults.

    Never raises on what the server sent; raises ValueError for a `host` that is no host name or address
    (see `names.reference_name`).
    """
    read = read_chain(chain_der)
    trust = trust_of(read, len(chain_der), anchors, host, at)
    leaf = read[0] if read and isinstance(read[0], Parsed) else None
    interceptor = interceptor_of(read, interception_cas_der, trust)
    return ChainFacts(
        sent=tuple(entry.facts if isinstance(entry, Parsed) else entry for entry in read),
        not_read=len(chain_der) - len(read),
        trust=trust,
        staple=read_staple(staple, leaf, _issuer(read, trust, anchors), at, asked=staple_asked),
        embedded_scts=read_embedded_scts(leaf),
        handshake_scts=read_handshake_scts(sct_list, asked=scts_asked),
        intercepted_by=None if interceptor is None else vendor_text(interceptor),
    )


def _issuer(read: Sequence[Parsed | MalformedCertificate], trust: TrustFacts, anchors: Anchors) -> Parsed | None:
    """The certificate whose key verifiably signed the leaf, as far as one is known."""
    if len(trust.path) > 1:
        parent = read[trust.path[1]]
        return parent if isinstance(parent, Parsed) else None
    leaf = read[0] if read else None
    if not isinstance(leaf, Parsed) or leaf.facts.self_signed:
        return leaf if isinstance(leaf, Parsed) else None
    if trust.anchor is None or trust.anchor.sha256 == leaf.facts.sha256:
        return None  # nobody was found, or the leaf itself is the anchor and its issuer was never needed
    return anchors.by_digest.get(trust.anchor.sha256)
