"""Fact types of the certificate chain: what was sent, whom it leads to, and what was stapled.

Pure models, no parsing and no cryptography: controls load them years later without the probe. They are
embedded in the endpoint's facts and hold no verdicts.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal, TypeAlias

from pydantic import Field, StringConstraints

from keycheck.model.types import Count, Digest, Instant, Model, SortedSet, VendorText

MAX_CERTIFICATES = 16
"""Certificates of one chain that are read; the rest are counted."""
MAX_CERTIFICATE_BYTES = 65_536
MAX_NAMES = 64
"""Subject alternative names that are listed; the rest are counted. Matching looks at all of them."""
MAX_URIS = 8
MAX_SCTS = 16

Oid: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[0-9]+(\.[0-9]+)*$", max_length=200)]
Hex: TypeAlias = Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{2})*$", max_length=256)]
Serial: TypeAlias = Annotated[str, StringConstraints(pattern=r"^-?[0-9]{1,400}$")]


class Malformed(Model):
    """Bytes that could not be parsed. The parser is strict: some clients may be more lenient."""

    kind: Literal["malformed"] = "malformed"
    detail: VendorText


class KeyFacts(Model):
    """A public key by algorithm and strength."""

    algorithm: VendorText
    """`rsa`, `ec`, `dsa`, `ed25519`, `ed448`, `ml-dsa-44` and so on, or `unsupported`."""
    bits: Count
    """Modulus or field size; 0 where the algorithm fixes the strength or the key cannot be read."""
    curve: VendorText
    """Named curve of an `ec` key as in `secp256r1`; empty otherwise."""
    oid: Oid


class SignatureFacts(Model):
    """The algorithm that a certificate is signed with."""

    oid: Oid
    name: VendorText
    """`sha256WithRSAEncryption` and so on, or `unknown`."""
    hash: VendorText
    """`sha256` and so on; `intrinsic` where the scheme fixes it (EdDSA, ML-DSA); `unknown`."""


class ServerAuth(StrEnum):
    """What the extended key usage says about TLS servers (RFC 5280 section 4.2.1.12)."""

    STATED = "stated"
    ANY = "any"
    NOT_STATED = "not-stated"
    ABSENT = "absent"


class ExtensionFacts(Model):
    """What the extensions say. Lists are bounded; what was left out is counted."""

    kind: Literal["parsed"] = "parsed"
    basic_constraints: bool
    is_ca: bool
    path_length: Count | None
    """Limit on the CAs below; None: no limit stated."""
    key_usage: SortedSet[VendorText] | None
    """Names of the bits that are set; None: the extension is absent."""
    server_auth: ServerAuth
    extended_key_usage: tuple[Oid, ...]
    dns_names: tuple[VendorText, ...]
    ip_addresses: tuple[VendorText, ...]
    names_not_listed: Count
    """Alternative names of other kinds, and those beyond the bound."""
    must_staple: bool
    """TLS feature `status_request` (RFC 7633)."""
    ocsp_uris: tuple[VendorText, ...]
    crl_uris: tuple[VendorText, ...]
    issuer_uris: tuple[VendorText, ...]
    uris_not_listed: Count
    subject_key_id: Hex | None
    authority_key_id: Hex | None


class CertificateFacts(Model):
    """One certificate as sent."""

    kind: Literal["parsed"] = "parsed"
    sha256: Digest
    bytes: Count
    spki_sha256: Digest
    subject: VendorText
    issuer: VendorText
    serial: Serial
    not_before: Instant
    not_after: Instant
    key: KeyFacts
    signature: SignatureFacts
    self_issued: bool
    """Subject and issuer are the same name."""
    self_signed: bool
    """Its own key verifies its signature."""
    extensions: Annotated[ExtensionFacts | Malformed, Field(discriminator="kind")]


class MalformedCertificate(Model):
    """A certificate message entry that is no readable certificate."""

    kind: Literal["malformed"] = "malformed"
    sha256: Digest
    bytes: Count
    detail: VendorText


SentCertificate: TypeAlias = Annotated[CertificateFacts | MalformedCertificate, Field(discriminator="kind")]


class AnchorKind(StrEnum):
    """Where the trust anchors come from."""

    SYSTEM = "system"
    VANTAGE = "vantage"
    """The vantage's own bundle instead of the system's."""
    CONTRACTED = "contracted"
    """The CA that the endpoint is declared to chain to."""


class AnchorSource(Model):
    """Which trust anchors were used, so that the other side can use the same."""

    kind: AnchorKind
    path: VendorText
    sha256: Digest
    """SHA-256 over the concatenated, sorted, lower-case hex SHA-256 digests of the anchors' DER."""
    count: Count
    unreadable: Count
    """PEM blocks that are no readable certificate."""


class AnchorFacts(Model):
    """The trust anchor that a path ends at."""

    sha256: Digest
    spki_sha256: Digest
    subject: VendorText
    key: KeyFacts


class ProblemKind(StrEnum):
    """What is wrong with a chain. Weak keys and signatures are not here: a control's parameters decide."""

    NO_CERTIFICATE = "no-certificate"
    EXPIRED = "expired"
    NOT_YET_VALID = "not-yet-valid"
    WRONG_NAME = "wrong-name"
    NOT_FOR_SERVER_AUTH = "not-for-server-auth"
    SELF_SIGNED_LEAF = "self-signed-leaf"
    MISSING_INTERMEDIATE = "missing-intermediate"
    UNKNOWN_ISSUER = "unknown-issuer"
    BAD_SIGNATURE = "bad-signature"
    CA_FLAG_MISSING = "ca-flag-missing"
    PATH_TOO_LONG = "path-too-long"
    NAME_CONSTRAINTS = "name-constraints"
    MALFORMED = "malformed"
    UNSUPPORTED = "unsupported"
    """A signature algorithm, critical extension or name constraint that keycheck cannot check."""
    TOO_LARGE = "too-large"
    TOO_MANY = "too-many"


class Problem(Model):
    """One thing that is wrong, and where."""

    kind: ProblemKind
    position: Count | None
    """Index in the chain as sent, 0 the leaf; None: the trust anchor, or no single certificate."""
    detail: VendorText


class ChainNote(StrEnum):
    """Harmless oddities of a chain as sent: clients cope, some badly."""

    WRONG_ORDER = "wrong-order"
    UNNEEDED_CERTIFICATE = "unneeded-certificate"
    DUPLICATE_CERTIFICATE = "duplicate-certificate"
    ANCHOR_SENT = "anchor-sent"


class NameMatch(StrEnum):
    """Whether the leaf names the host (RFC 9525; the common name never counts)."""

    MATCHED = "matched"
    NOT_MATCHED = "not-matched"
    NOT_ASKED = "not-asked"
    UNREADABLE = "unreadable"


class StrictProfile(Model):
    """A second opinion: the web PKI verifier of the `cryptography` library on the same chain.

    It follows the CA/Browser Forum profile, which a private CA need not; its rejection alone is no
    problem of the chain.
    """

    result: Literal["accepted", "rejected", "not-run"]
    detail: VendorText


class TrustFacts(Model):
    """Whom the chain leads to at one moment, for one host, with one set of anchors."""

    at: Instant
    """The moment of validation: all dates were compared with it."""
    host: VendorText | None
    """The name or address asked for; None: none was."""
    anchors: AnchorSource
    anchor: AnchorFacts | None
    """The trust anchor reached by verified signatures; None: none was reached."""
    path: tuple[Count, ...]
    """Positions in the chain as sent from the leaf towards the anchor; the anchor itself is not in it."""
    problems: tuple[Problem, ...]
    notes: SortedSet[ChainNote]
    name: NameMatch
    name_matched: VendorText
    """The alternative name that matched, or empty."""
    strict_profile: StrictProfile

    @property
    def verified(self) -> bool:
        """An anchor was reached and nothing at all is wrong on the way, names and dates included."""
        return self.anchor is not None and not self.problems


class StapleState(StrEnum):
    """Whether there was an OCSP response in the handshake."""

    NOT_ASKED = "not-asked"
    ABSENT = "absent"
    MALFORMED = "malformed"
    UNSUCCESSFUL = "unsuccessful"
    """An OCSP error such as `try-later`: it says nothing about the certificate."""
    PARSED = "parsed"


class RevocationStatus(StrEnum):
    """What an OCSP response says (RFC 6960 section 2.2)."""

    GOOD = "good"
    REVOKED = "revoked"
    UNKNOWN = "unknown"


class StapleSignature(StrEnum):
    """Who signed an OCSP response, as far as it was verified (RFC 6960 section 4.2.2.2)."""

    ISSUER = "issuer"
    DELEGATE = "delegate"
    INVALID = "invalid"
    UNAUTHORIZED = "unauthorized"
    """Neither the issuer nor a responder that the issuer certified for OCSP signing at that time."""
    ISSUER_UNKNOWN = "issuer-unknown"
    UNSUPPORTED = "unsupported"


class Freshness(StrEnum):
    """An OCSP response's own dates against the moment of observation."""

    FRESH = "fresh"
    STALE = "stale"
    NOT_YET_VALID = "not-yet-valid"
    OPEN_ENDED = "open-ended"
    """It states no `nextUpdate`: it never goes stale."""


class OcspFacts(Model):
    """A parsed, successful OCSP response."""

    status: RevocationStatus
    about_leaf: bool
    """Serial number and, where the issuer is known, issuer name and key hashes are the leaf's."""
    signature: StapleSignature
    signature_algorithm: SignatureFacts
    freshness: Freshness
    this_update: Instant
    next_update: Instant | None
    produced_at: Instant
    revoked_at: Instant | None
    reason: VendorText
    """Revocation reason, or empty."""


class StapleFacts(Model):
    """The OCSP response sent in the handshake (RFC 6066 section 8)."""

    state: StapleState
    sha256: Digest | None
    """Of the bytes sent; None: nothing was."""
    detail: VendorText = ""
    response: OcspFacts | None = None


class SctFacts(Model):
    """One signed certificate timestamp. Its signature is not verified: that needs the log's key."""

    source: Literal["certificate", "handshake"]
    version: Count
    log_id: Digest
    at: Instant
    signature: VendorText
    """TLS HashAlgorithm and SignatureAlgorithm code points, as in `4.3`."""


class SctListFacts(Model):
    """The signed certificate timestamps of one source (RFC 6962 section 3.3)."""

    state: Literal["not-asked", "absent", "malformed", "parsed"]
    detail: VendorText
    scts: tuple[SctFacts, ...]
    not_listed: Count


class ChainFacts(Model):
    """Everything about the certificates of one handshake."""

    sent: tuple[SentCertificate, ...]
    """As sent, in order, the leaf first."""
    not_read: Count
    """Certificates beyond the bound."""
    trust: TrustFacts
    staple: StapleFacts
    embedded_scts: SctListFacts
    handshake_scts: SctListFacts
    intercepted_by: VendorText | None
    """The interception CA or inspection product of our own side that issued the chain; None: none known."""

    @property
    def leaf(self) -> CertificateFacts | None:
        """The server's own certificate, if one was sent and can be read."""
        first = self.sent[0] if self.sent else None
        return first if isinstance(first, CertificateFacts) else None
