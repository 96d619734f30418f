"""Controls over what a key is: whose, where its material comes from, its algorithm and protection. Pure."""

from __future__ import annotations

from typing import Annotated, ClassVar, Final, Literal, TypeAlias, assert_never

from pydantic import Field

from keycheck.model.control import Tighter
from keycheck.model.facts import Unseen
from keycheck.model.types import SortedSet
from keycheck.model.verdict import Kind, Reason, Verdict, failed, inconclusive, passed
from probes.keys.aspects import Aspect
from probes.keys.aws_facts import AwsKey, AwsStore, NoStore
from probes.keys.facts import KeyFacts
from probes.keys.gcp_facts import GcpKey, GcpVersion
from probes.keys.key_control import EachCloudControl, KeyControl, in_use, settle, shown, solid, undeclared, unread

_MOVING: Final = frozenset({"Creating", "Updating"})
_CUSTOM: Final = {"AWS_CLOUDHSM": "custom-hsm", "EXTERNAL_KEY_STORE": "external"}
EXTERNAL_LEVELS: Final = frozenset({"EXTERNAL", "EXTERNAL_VPC"})
HSM_LEVELS: Final = frozenset({"HSM", "HSM_SINGLE_TENANT"})


class CustomerManaged(KeyControl, id="keys.customer-managed", version=1):
    """The key is the customer's own: in the customer's account or project, managed by it, and in force."""

    proves = (
        "The cloud describes the key as managed by its customer, inside the account or project that the deployment "
        "declares as the customer's, and enabled at the time of looking."
    )
    does_not_prove = (
        "Who controls that account or project, whether the vendor uses this key at all, or whether it holds another "
        "key or a copy of the data that is not under it."
    )
    example = "{control: keys.customer-managed@1, for: keys, evidence: {assurance: configured}}"
    sources = (
        "AWS KMS API Reference: KeyMetadata (KeyManager, KeyState)",
        "AWS KMS Developer Guide: Key states of AWS KMS keys",
        "Cloud KMS reference: CryptoKey, CryptoKeyVersion.State",
    )

    def judge(self, facts: KeyFacts) -> Verdict:
        """Ownership and state: either can fail alone."""
        owner = facts.agreed.owner
        match facts.key:
            case AwsKey() as key:
                breaches, doubts = _aws_manager(key)
                place, noun, also = key.account, "account", None
            case GcpKey() as key:
                breaches, doubts = _gcp_state(key)
                place, noun, also = key.project, "project", key.project_number
            case _:
                assert_never(facts.key)
        if owner is None:
            doubts.append(undeclared(f"is in {noun} {place}, and whose that is was not declared", "owner"))
        elif owner not in (place, also):
            if noun == "project" and also is None and place.isdigit() != owner.isdigit():
                # One is the project's number and the other its id: which belong together was not said.
                doubts.append(
                    inconclusive(
                        Reason.NOT_COVERED, f"is in project {place}, declared as {owner}: declare what Google answers"
                    )
                )
            else:
                breaches.append(f"is in {noun} {place}, not in the customer's {owner}")
        return settle(
            breaches, doubts, passed(f"is the customer's, in {noun} {place}, and enabled, as the cloud states")
        )


def _aws_manager(key: AwsKey) -> tuple[list[str], list[Verdict]]:
    breaches: list[str] = []
    doubts: list[Verdict] = []
    about = key.description
    if about.manager == "AWS":
        breaches.append("is managed by AWS, not by the customer (KeyManager AWS)")
    elif about.manager != "CUSTOMER":
        doubts.append(inconclusive(Reason.UNSUPPORTED, f"has the unknown KeyManager {about.manager!r}"))
    if about.state in _MOVING:
        doubts.append(inconclusive(Reason.PROPAGATION_PENDING, f"is in state {about.state}: look again in a minute"))
    elif about.state != "Enabled":
        breaches.append(f"is not in force: its state is {about.state}")
    return breaches, doubts


def _gcp_state(key: GcpKey) -> tuple[list[str], list[Verdict]]:
    if isinstance(key.versions, Unseen):
        return [], [unread("the key's versions", key.versions)]
    current = in_use(key, key.versions)
    if isinstance(current, Verdict):
        return ([current.message], []) if current.kind is Kind.FAIL else ([], [current])
    if not current:
        states = shown(f"{version.id} {version.state}" for version in key.versions) or "there is none"
        return [f"no version is enabled ({states})"], []
    breaches, doubts = [], []
    for version in current:
        if version.state == "PENDING_GENERATION":
            doubts.append(inconclusive(Reason.PROPAGATION_PENDING, f"version {version.id} is being generated"))
        elif version.state != "ENABLED":
            breaches.append(f"is not in force: version {version.id}, the primary, is {version.state}")
    return breaches, doubts


OriginKind: TypeAlias = Literal["generated", "imported", "custom-hsm", "external"]


class Origin(EachCloudControl, id="keys.origin", version=1):
    """The key's material comes from where the contract says, and a key store of the customer's is connected."""

    reads: ClassVar[frozenset[Aspect]] = frozenset({Aspect.STORE})
    proves = (
        "The cloud states for the key (AWS), or for each version that holds material (Google Cloud), an origin in "
        "`only`: generated by the cloud, imported, made in the customer's CloudHSM cluster, or kept by an external "
        "key manager. A custom or external key store of AWS was connected."
    )
    does_not_prove = (
        "That imported material was made well, that it exists nowhere else, or who else holds a copy. Connected is "
        "not the same as answering."
    )
    example = "{control: keys.origin@1, for: keys, with: {only: [imported, external]}}"
    sources = (
        "AWS KMS API Reference: KeyMetadata (Origin), CustomKeyStoresListEntry (ConnectionState)",
        "Cloud KMS reference: CryptoKeyVersion (importJob, importTime, protectionLevel)",
    )

    only: Annotated[SortedSet[OriginKind], Tighter("subset"), Field(min_length=1)]

    def aws(self, key: AwsKey) -> Verdict:
        """By the key's origin."""
        stated = key.description.origin
        kind = {"AWS_KMS": "generated", "EXTERNAL": "imported", **_CUSTOM}.get(stated)
        if kind is None:
            return inconclusive(Reason.UNSUPPORTED, f"has the unknown origin {stated!r}")
        breaches = [] if kind in self.only else [f"its material is {kind} ({stated}), not {shown(self.only)}"]
        doubts: list[Verdict] = []
        if stated in _CUSTOM:
            fault = _store_fault(key)
            if isinstance(fault, str):
                breaches.append(fault)
            elif fault is not None:
                doubts.append(fault)
        also = ", in a key store that is connected" if stated in _CUSTOM else ""
        return settle(breaches, doubts, passed(f"its material is {kind}, as AWS states ({stated}){also}"))

    def gcp(self, key: GcpKey) -> Verdict:
        """By each version."""
        if isinstance(key.versions, Unseen):
            return unread("the key's versions", key.versions)
        versions = solid(key.versions)
        if not versions:
            return inconclusive(Reason.NO_POSITIVE, "no version holds material")
        breaches = [
            f"version {version.id} is {_gcp_origin(version)}, not {shown(self.only)}"
            for version in versions
            if _gcp_origin(version) not in self.only
        ]
        kinds = shown({_gcp_origin(version) for version in versions})
        return settle(breaches, (), passed(f"{_counted(versions)}: {kinds}, as Google states"))


def _counted(versions: tuple[GcpVersion, ...]) -> str:
    return "its one version" if len(versions) == 1 else f"all {len(versions)} versions"


def _gcp_origin(version: GcpVersion) -> OriginKind:
    if version.protection in EXTERNAL_LEVELS:
        return "external"
    return "imported" if version.import_job or version.imported else "generated"


def _store_fault(key: AwsKey) -> str | Verdict | None:
    """What is wrong with the key store that the key lives in: a breach, a doubt, or nothing."""
    match key.store:
        case Unseen() as unseen:
            return unread("the custom key store", unseen)
        case NoStore():
            return inconclusive(Reason.CONFLICTING, f"has the origin {key.description.origin} and no custom key store")
        case AwsStore(connection="CONNECTED"):
            return None
        case AwsStore(connection="CONNECTING", name=name):
            return inconclusive(Reason.PROPAGATION_PENDING, f"key store {name} is connecting: look again in an hour")
        case AwsStore(connection="DISCONNECTED" | "DISCONNECTING" | "FAILED" as state, name=name, error=error):
            return f"key store {name} is {state}{f' ({error})' if error else ''}: the key is unusable"
        case AwsStore(connection=other, name=name):
            return inconclusive(Reason.UNSUPPORTED, f"key store {name} is in the unknown state {other!r}")
        case _:
            assert_never(key.store)


_AES_256: Final = frozenset({"GOOGLE_SYMMETRIC_ENCRYPTION", "AES_256_GCM"})
_NOT_AUTHENTICATED: Final = frozenset({"AES_256_CBC", "AES_256_CTR"})
_OTHER_KINDS: Final = ("AES_128_", "RSA_", "EC_", "HMAC_", "PQ_", "ML_KEM_", "KEM_")
_DECRYPTS: Final = frozenset({"ENABLED", "DISABLED"})
"""A disabled version decrypts again as soon as it is enabled."""


class Algorithm(KeyControl, id="keys.algorithm", version=1):
    """Data keys and records are wrapped by authenticated AES with 256 bits: AES-256-GCM."""

    proves = (
        "The cloud states a symmetric key whose algorithm is AES-256-GCM: for AWS SYMMETRIC_DEFAULT for encryption, "
        "for Google Cloud GOOGLE_SYMMETRIC_ENCRYPTION or AES_256_GCM in every version that can decrypt. "
        "Unauthenticated modes (CBC, CTR) are refused: whoever changes such a ciphertext is not noticed."
    )
    does_not_prove = (
        "How data is encrypted under the data keys that this key wraps, nor how an external key manager encrypts. AWS "
        "encrypts with AES-256 of its own before an external key store does."
    )
    example = "{control: keys.algorithm@1, for: keys}"
    sources = (
        "AWS KMS Developer Guide: SYMMETRIC_DEFAULT key spec (SM4 in China Regions), External key stores",
        "Cloud KMS: Key purposes and algorithms",
        "NIST SP 800-38D",
    )

    def judge(self, facts: KeyFacts) -> Verdict:
        """AWS by the key's spec and usage, Google Cloud by every version that can decrypt."""
        match facts.key:
            case AwsKey() as key:
                return _aws_algorithm(key)
            case GcpKey() as key:
                return _gcp_algorithm(key)
            case _:
                assert_never(facts.key)


def _aws_algorithm(key: AwsKey) -> Verdict:
    about = key.description
    if about.spec != "SYMMETRIC_DEFAULT" or about.usage != "ENCRYPT_DECRYPT":
        return failed(f"is a {about.spec} key for {about.usage}, not AES-256")
    if key.partition == "aws-cn":
        return failed("SYMMETRIC_DEFAULT is SM4 with 128 bits in the Regions of China")
    if about.origin == "EXTERNAL_KEY_STORE":
        return passed("AES-256-GCM by AWS (SYMMETRIC_DEFAULT), and then whatever the external key manager adds")
    return passed("AES-256-GCM, as AWS states (SYMMETRIC_DEFAULT)")


def _gcp_algorithm(key: GcpKey) -> Verdict:
    if isinstance(key.versions, Unseen):
        return unread("the key's versions", key.versions)
    versions = [version for version in key.versions if version.state in _DECRYPTS]
    if not versions:
        return inconclusive(Reason.NO_POSITIVE, "no version can decrypt: there is no algorithm to judge")
    breaches: list[str] = []
    doubts: list[Verdict] = []
    for version in versions:
        name = version.algorithm
        if name in _AES_256:
            continue
        if name in _NOT_AUTHENTICATED:
            breaches.append(f"version {version.id} is {name}, which is not authenticated")
        elif name.startswith(_OTHER_KINDS):
            breaches.append(f"version {version.id} is {name}, not AES-256")
        elif name == "EXTERNAL_SYMMETRIC_ENCRYPTION":
            doubts.append(
                inconclusive(
                    Reason.NOT_COVERED, f"an external key manager encrypts version {version.id}, and decides how"
                )
            )
        else:
            doubts.append(inconclusive(Reason.UNSUPPORTED, f"version {version.id} has the algorithm {name}"))
    names = shown({version.algorithm for version in versions})
    return settle(breaches, doubts, passed(f"AES-256-GCM, as Google states ({names})"))


ProtectionKind: TypeAlias = Literal["software", "hsm", "external"]


class Protection(EachCloudControl, id="keys.protection", version=1):
    """The key is kept in what the contract says: hardware security modules, an external key manager, software."""

    proves = (
        "The cloud states the protection. AWS documents that every key outside China is kept in validated hardware "
        "security modules; Google Cloud states a protection level for each version."
    )
    does_not_prove = (
        "The hardware itself: AWS offers no attestation, and keys.attestation judges Google's. What an external key "
        "manager is made of is not seen."
    )
    example = "{control: keys.protection@1, for: keys, with: {only: [hsm, external]}}"
    sources = (
        "AWS KMS Developer Guide: AWS KMS concepts (hardware security modules)",
        "Cloud KMS: Protection levels",
    )

    only: Annotated[SortedSet[ProtectionKind], Tighter("subset"), Field(min_length=1)]

    def aws(self, key: AwsKey) -> Verdict:
        """By the origin, which says where the key is kept."""
        origin = key.description.origin
        kind: ProtectionKind
        if origin == "EXTERNAL_KEY_STORE":
            kind, words = "external", "by an external key manager"
        elif origin == "AWS_CLOUDHSM":
            kind, words = "hsm", "in the customer's CloudHSM cluster"
        elif origin not in ("AWS_KMS", "EXTERNAL"):
            return inconclusive(Reason.UNSUPPORTED, f"has the unknown origin {origin!r}")
        elif key.partition == "aws-cn":
            return inconclusive(Reason.NOT_COVERED, "how AWS in China protects keys is not known to keycheck")
        else:
            kind, words = "hsm", "in hardware security modules of AWS"
        if kind not in self.only:
            return failed(f"is kept {words}, which is {kind}, not {shown(self.only)}")
        return passed(f"is kept {words}, as AWS states; it offers no attestation")

    def gcp(self, key: GcpKey) -> Verdict:
        """By each version."""
        if isinstance(key.versions, Unseen):
            return unread("the key's versions", key.versions)
        versions = solid(key.versions)
        if not versions:
            return inconclusive(Reason.NO_POSITIVE, "no version holds material")
        breaches: list[str] = []
        doubts: list[Verdict] = []
        for version in versions:
            kind = _gcp_protection(version.protection)
            if kind is None:
                doubts.append(
                    inconclusive(Reason.UNSUPPORTED, f"version {version.id} has the protection {version.protection!r}")
                )
            elif kind not in self.only:
                breaches.append(f"version {version.id} is {version.protection}, not {shown(self.only)}")
        levels = shown({version.protection for version in versions})
        return settle(breaches, doubts, passed(f"{_counted(versions)}: {levels}, as Google states"))


def _gcp_protection(level: str) -> ProtectionKind | None:
    if level in HSM_LEVELS:
        return "hsm"
    if level in EXTERNAL_LEVELS:
        return "external"
    return "software" if level == "SOFTWARE" else None
