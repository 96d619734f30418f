"""The control about the stapled revocation status: `tls.revocation`. Pure."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from keycheck.model.control import Control, Tighter
from keycheck.model.facts import Facts
from keycheck.model.verdict import Reason, Verdict, failed, inconclusive, passed
from probes.tls.chain_facts import (
    ChainFacts,
    ExtensionFacts,
    Freshness,
    OcspFacts,
    RevocationStatus,
    StapleSignature,
    StapleState,
)
from probes.tls.facts import TlsFacts
from probes.tls.over_chains import intercepted, over_chains


class Revocation(Control, id="tls.revocation", version=1):
    """Must-staple is honoured, and an OCSP response that is stapled is good; `required` demands one always."""

    needs: ClassVar[tuple[type[Facts], ...]] = (TlsFacts,)
    section: ClassVar[str] = "endpoints"
    proves: ClassVar[str] = (
        "The handshake carried an OCSP response about this leaf that says good, was current at the moment of "
        "observation, and is signed by the leaf's issuer or by a responder that the issuer certified for it. "
        "A certificate that demands a staple (must-staple) and comes without a good one fails."
    )
    does_not_prove: ClassVar[str] = (
        "Revocation status where no staple is sent: with `if-must-staple` a certificate that demands none and "
        "comes with none is not-applicable, never a pass, for then nothing is known about its status. CRLs and "
        "responders are not asked. CA certificates above the leaf are not covered. A status can change after "
        "the response was made. Some servers fetch their first response only after a first connection: that "
        "first answer breaks must-staple for the client that got it."
    )
    example: ClassVar[str] = "control: tls.revocation@1\nfor: endpoints\nwith: {staple: required}"
    sources: ClassVar[tuple[str, ...]] = ("RFC 6066 section 8", "RFC 6960", "RFC 7633")

    staple: Annotated[Literal["if-must-staple", "required"], Tighter("order", ("if-must-staple", "required"))] = (
        "if-must-staple"
    )
    """When a staple must be there. `required` suits only CAs that still run OCSP."""

    def judge(self, facts: TlsFacts) -> Verdict:
        """The worst over all chains of the address."""
        return over_chains(facts, lambda chain: judge_revocation(chain, self))


def judge_revocation(chain: ChainFacts, rule: Revocation) -> Verdict:
    """`tls.revocation` on one chain."""
    if (verdict := intercepted(chain)) is not None:
        return verdict
    staple = chain.staple
    match staple.state:
        case StapleState.PARSED if staple.response is not None:
            return _judge_response(staple.response)
        case StapleState.ABSENT:
            return _judge_absence(chain, rule)
        case StapleState.NOT_ASKED:
            return inconclusive(Reason.NOT_COVERED, "no staple was asked for")
        case StapleState.UNSUCCESSFUL:
            return failed(f"the staple is an OCSP error, {staple.detail}, and states no status")
        case _:
            return inconclusive(Reason.MALFORMED, f"the staple cannot be read: {staple.detail}")


def _judge_absence(chain: ChainFacts, rule: Revocation) -> Verdict:
    leaf = chain.leaf
    if rule.staple == "required":
        return failed("no OCSP response was stapled")
    if leaf is None or not isinstance(leaf.extensions, ExtensionFacts):
        return inconclusive(Reason.MALFORMED, "whether the leaf demands a staple cannot be read")
    if leaf.extensions.must_staple:
        return failed("the certificate demands a stapled OCSP response and none was sent")
    return inconclusive(
        Reason.NOT_COVERED, "the certificate demands no staple and none was sent: its revocation status is unknown"
    )


def _judge_response(response: OcspFacts) -> Verdict:
    if not response.about_leaf:
        return failed("the stapled response is about another certificate")
    match response.signature:
        case StapleSignature.INVALID | StapleSignature.UNAUTHORIZED:
            return failed(f"the stapled response is not validly signed: {response.signature}")
        case StapleSignature.ISSUER_UNKNOWN | StapleSignature.UNSUPPORTED:
            return inconclusive(Reason.UNSUPPORTED, f"the staple's signature cannot be checked: {response.signature}")
        case StapleSignature.ISSUER | StapleSignature.DELEGATE:
            pass
    match response.status:
        case RevocationStatus.REVOKED:
            when = "" if response.revoked_at is None else f" since {response.revoked_at:%Y-%m-%d %H:%M:%S} UTC"
            return failed(f"the certificate is revoked{when} {response.reason}".rstrip())
        case RevocationStatus.UNKNOWN:
            return failed("the responder does not know the certificate")
        case RevocationStatus.GOOD:
            return _judge_freshness(response)


def _judge_freshness(response: OcspFacts) -> Verdict:
    match response.freshness:
        case Freshness.STALE:
            return failed(f"the stapled response ran out at {response.next_update:%Y-%m-%d %H:%M:%S} UTC")
        case Freshness.NOT_YET_VALID:
            return failed(f"the stapled response is valid only from {response.this_update:%Y-%m-%d %H:%M:%S} UTC")
        case Freshness.OPEN_ENDED:
            return inconclusive(
                Reason.NOT_COVERED, "the stapled response states no nextUpdate: how old it may be is open"
            )
        case Freshness.FRESH:
            return passed("a current staple, signed for the issuer, says good")
