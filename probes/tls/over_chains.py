"""How one verdict comes out of the distinct chains that one address showed. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from keycheck.model.facts import Unseen
from keycheck.model.verdict import Kind, Reason, Verdict, because, inconclusive, not_applicable
from probes.tls.chain_facts import ChainFacts
from probes.tls.facts import TlsFacts

_SEVERITY: Final = (Kind.FAIL, Kind.ERROR, Kind.INCONCLUSIVE, Kind.NOT_TESTED)


def over_chains(facts: TlsFacts, judge: Callable[[ChainFacts], Verdict]) -> Verdict:
    """Judge every distinct chain of an address; one bad chain among good ones is a breach.

    Chains shown without the endpoint's name, or under a wrong one, do not concern its certificate.
    """
    if facts.name_sent != "right":
        return not_applicable("the contracted name was not asked for")
    verdicts = [
        because(chain.reason, chain.detail) if isinstance(chain, Unseen) else judge(chain) for chain in facts.chains
    ]
    for kind in _SEVERITY:
        worst = [verdict for verdict in verdicts if verdict.kind is kind]
        if worst:
            reasons = tuple(reason for verdict in worst for reason in verdict.reasons)
            return Verdict(kind, reasons, "; ".join(dict.fromkeys(v.message for v in worst)))
    if facts.chains_not_kept:
        return inconclusive(Reason.NOT_COVERED, f"{facts.chains_not_kept} more different chains were met and not kept")
    return next((v for v in verdicts if v.kind is Kind.PASS), verdicts[0])


def intercepted(chain: ChainFacts) -> Verdict | None:
    """The verdict on a chain that was made on our own side; None: none is known to have been."""
    if chain.intercepted_by is None:
        return None
    return inconclusive(
        Reason.INTERCEPTED,
        f"the connection was intercepted on our own side by {chain.intercepted_by}: this says nothing about the vendor",
    )
