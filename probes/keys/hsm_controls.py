"""Controls over what the cloud's maker can be held to: attestations of hardware modules, reasons for access. Pure."""

from __future__ import annotations

from typing import Annotated, ClassVar, Final, Literal, TypeAlias, assert_never

from pydantic import Field

from keycheck.model.control import Tighter
from keycheck.model.facts import Unseen
from keycheck.model.types import SortedSet
from keycheck.model.verdict import Reason, Verdict, failed, inconclusive, not_applicable, passed
from probes.keys.aspects import Aspect
from probes.keys.facts import KeyFacts
from probes.keys.gcp_facts import (
    Attestation,
    Chain,
    ChainStatus,
    GcpKey,
    GcpVersion,
    Justifications,
    NoJustifications,
)
from probes.keys.key_control import KeyControl, settle, shown, solid, unread
from probes.keys.origin_controls import HSM_LEVELS

Applies: TypeAlias = Annotated[Literal["always", "offered"], Tighter("order", ("offered", "always"))]
"""`offered`: does not concern keys for which the cloud offers no such thing."""


def _not_offered(applies: str, why: str) -> Verdict:
    return not_applicable(why) if applies == "offered" else inconclusive(Reason.UNSUPPORTED, why)


class KeyAttestation(KeyControl, id="keys.attestation", version=1):
    """A hardware module signed that the key version was made or imported in it and cannot leave it."""

    reads: ClassVar[frozenset[Aspect]] = frozenset({Aspect.ATTESTATION})
    proves = (
        "For every version that is protected by a module: the attested statement is signed by a key that both chains "
        "certify, the module maker's and the cloud's, each up to a root that the deployment pins; the statement names "
        "this version and says that it cannot be extracted."
    )
    does_not_prove = (
        "That the version is used inside the module: the statement was made when the version was made or imported, "
        "without a challenge of ours. Whoever holds the old key of an expired root could have signed anything since."
    )
    example = "{control: keys.attestation@1, for: keys, with: {applies: offered}}"
    sources = (
        "Cloud KMS: Verifying attestations",
        "AWS KMS Developer Guide: AWS KMS concepts (no attestation of KMS keys is offered)",
    )

    applies: Applies = "always"

    def judge(self, facts: KeyFacts) -> Verdict:
        """Only Google Cloud attests, and only what modules hold."""
        match facts.key:
            case GcpKey() as key:
                return self._gcp(key)
            case _:
                return _not_offered(self.applies, "AWS states that keys are kept in modules, and offers no attestation")

    def _gcp(self, key: GcpKey) -> Verdict:
        if isinstance(key.versions, Unseen):
            return unread("the key's versions", key.versions)
        versions = solid(key.versions)
        held = [version for version in versions if version.protection in HSM_LEVELS]
        bare = [version for version in versions if version.protection not in HSM_LEVELS]
        if not held:
            levels = shown({version.protection for version in versions}) or "no version holds material"
            return _not_offered(self.applies, f"no version is protected by a module of Google's ({levels})")
        breaches: list[str] = []
        doubts: list[Verdict] = []
        for version in held:
            _attested(version, key, breaches, doubts)
        if bare and self.applies == "always":
            doubts.append(
                inconclusive(
                    Reason.UNSUPPORTED,
                    f"no attestation is offered for {shown(f'version {v.id} ({v.protection})' for v in bare)}",
                )
            )
        return settle(
            breaches,
            doubts,
            passed(
                f"{len(held)} attested, both chains up to pinned roots: made or imported in a module, which proves "
                "nothing about later use"
            ),
        )


def _attested(version: GcpVersion, key: GcpKey, breaches: list[str], doubts: list[Verdict]) -> None:
    name = f"version {version.id}"
    match version.attestation:
        case None:
            doubts.append(inconclusive(Reason.NOT_COVERED, f"Google gives no attestation for {name}"))
            return
        case Unseen() as unseen:
            doubts.append(unread(f"the attestation of {name}", unseen))
            return
        case Attestation() as attestation:
            pass
        case _:
            assert_never(version.attestation)
    for what, chain in (("the module maker's chain", attestation.maker), ("Google's chain", attestation.cloud)):
        _chained(f"{what} of {name}", chain, breaches, doubts)
    match attestation.statement:
        case "signed":
            pass
        case "not-signed":
            breaches.append(f"the statement about {name} is not signed by the attested module")
        case "malformed":
            doubts.append(inconclusive(Reason.MALFORMED, f"the statement about {name} cannot be read"))
        case "unknown-format":
            doubts.append(
                inconclusive(Reason.UNSUPPORTED, f"the statement about {name} has the format {attestation.format}")
            )
        case _:
            assert_never(attestation.statement)
    match attestation.names:
        case "this-version":
            pass
        case "another" if key.project_number is None or key.project.isdecimal():
            # Google may write the project by its id or by its number, and the name is attested as a digest only.
            missing = "number" if key.project_number is None else "id"
            doubts.append(
                inconclusive(
                    Reason.NOT_COVERED,
                    f"the statement about {name} names another key version, or this one by its project's {missing}, "
                    "which is not known: let the inspecting identity read the project (resourcemanager.projects.get)",
                )
            )
        case "another":
            breaches.append(f"the statement about {name} names another key version")
        case "nothing":
            doubts.append(inconclusive(Reason.NO_POSITIVE, f"the statement about {name} names no key version"))
        case _:
            assert_never(attestation.names)
    match attestation.extractable:
        case "no":
            pass
        case "yes":
            breaches.append(f"{name} can be extracted from the module")
        case "not-stated":
            doubts.append(
                inconclusive(Reason.NO_POSITIVE, f"the statement about {name} does not say that it cannot be extracted")
            )
        case _:
            assert_never(attestation.extractable)


def _chained(what: str, chain: Chain, breaches: list[str], doubts: list[Verdict]) -> None:
    match chain.status:
        case ChainStatus.VERIFIED:
            pass
        case ChainStatus.NOT_CHAINED:
            breaches.append(f"{what} does not lead to a pinned root")
        case ChainStatus.EXPIRED_ROOT:
            ended = f" on {chain.root_until:%Y-%m-%d}" if chain.root_until else ""
            why = f"{what} hangs on a root that expired{ended} ({chain.root})"
            doubts.append(inconclusive(Reason.NO_POSITIVE, why))
        case ChainStatus.EXPIRED_CERTIFICATE:
            doubts.append(inconclusive(Reason.NO_POSITIVE, f"{what} holds an expired certificate"))
        case ChainStatus.NO_ROOT:
            doubts.append(
                inconclusive(
                    Reason.NOT_COVERED, f"no root is pinned for {what}: name its PEM file under attestation_roots"
                )
            )
        case ChainStatus.MISSING:
            doubts.append(inconclusive(Reason.NOT_COVERED, f"Google gave no certificates for {what}"))
        case ChainStatus.MALFORMED:
            doubts.append(inconclusive(Reason.MALFORMED, f"{what} cannot be read"))
        case _:
            assert_never(chain.status)


AccessReason: TypeAlias = Literal[
    "REASON_UNSPECIFIED",
    "CUSTOMER_INITIATED_SUPPORT",
    "GOOGLE_INITIATED_SERVICE",
    "THIRD_PARTY_DATA_REQUEST",
    "GOOGLE_INITIATED_REVIEW",
    "CUSTOMER_INITIATED_ACCESS",
    "GOOGLE_INITIATED_SYSTEM_OPERATION",
    "REASON_NOT_EXPECTED",
    "MODIFIED_CUSTOMER_INITIATED_ACCESS",
    "MODIFIED_GOOGLE_INITIATED_SYSTEM_OPERATION",
    "GOOGLE_RESPONSE_TO_PRODUCTION_ALERT",
    "CUSTOMER_AUTHORIZED_WORKFLOW_SERVICING",
]
"""Reasons for access, as Cloud KMS names them."""

NOT_THE_CUSTOMERS: Final[frozenset[AccessReason]] = frozenset(
    {
        "REASON_UNSPECIFIED",
        "GOOGLE_INITIATED_SERVICE",
        "THIRD_PARTY_DATA_REQUEST",
        "GOOGLE_INITIATED_REVIEW",
        "GOOGLE_INITIATED_SYSTEM_OPERATION",
        "MODIFIED_GOOGLE_INITIATED_SYSTEM_OPERATION",
        "REASON_NOT_EXPECTED",
        "GOOGLE_RESPONSE_TO_PRODUCTION_ALERT",
    }
)
"""Reasons that are not the customer's own."""
_KNOWN: Final = NOT_THE_CUSTOMERS | {
    "CUSTOMER_INITIATED_SUPPORT",
    "CUSTOMER_INITIATED_ACCESS",
    "MODIFIED_CUSTOMER_INITIATED_ACCESS",
    "CUSTOMER_AUTHORIZED_WORKFLOW_SERVICING",
}


class KeyJustifications(KeyControl, id="keys.justifications", version=1):
    """Google may not use the key for reasons of its own, or of third parties."""

    reads: ClassVar[frozenset[Aspect]] = frozenset({Aspect.JUSTIFICATIONS})
    proves = (
        "The key carries a Key Access Justifications policy, and none of the reasons in `refused` is among those that "
        "it allows."
    )
    does_not_prove = (
        "That Google states its reasons truly: Cloud KMS enforces what Google itself declares. An external key manager "
        "may refuse more."
    )
    example = "{control: keys.justifications@1, for: keys, with: {applies: offered}}"
    sources = (
        "Key Access Justifications: Justification codes",
        "Cloud KMS reference: KeyAccessJustificationsPolicy, AccessReason",
    )

    applies: Applies = "always"
    refused: Annotated[SortedSet[AccessReason], Tighter("superset"), Field(min_length=1)] = NOT_THE_CUSTOMERS

    def judge(self, facts: KeyFacts) -> Verdict:
        """Only Google Cloud knows such policies."""
        if not isinstance(facts.key, GcpKey):
            return _not_offered(self.applies, "AWS KMS knows no justifications for access")
        match facts.key.justifications:
            case Unseen() as unseen:
                return unread("the justifications policy", unseen)
            case NoJustifications():
                return failed("carries no justifications policy: every reason of Google's is accepted")
            case Justifications(allowed=allowed):
                pass
            case _:
                assert_never(facts.key.justifications)
        breaches = [f"allows access for {shown(self.refused & set(allowed))}"] if self.refused & set(allowed) else []
        unknown = [reason for reason in allowed if reason not in _KNOWN]
        doubts = [inconclusive(Reason.UNSUPPORTED, f"allows the unknown reasons {shown(unknown)}")] if unknown else []
        words = f"allows only {shown(allowed)}" if allowed else "refuses every access"
        return settle(breaches, doubts, passed(words))
