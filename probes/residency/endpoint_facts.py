"""Facts of an endpoint's names and addresses, as they were seen from one vantage. Never a verdict.

Times are integer microseconds, coordinates integer microdegrees. What could not be asked is `Unseen` with its reason,
never empty.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from keycheck.model.facts import Facts, Unseen
from keycheck.model.types import Count, Digest, Instant, Model, VendorText
from probes.places.whereabouts import Whereabouts

_Some = Field(max_length=64)
_Many = Field(max_length=512)


class NotAsked(Model):
    """Nothing in the deployment gives a way to ask."""

    kind: Literal["not-asked"] = "not-asked"


class Point(Model):
    """A place on the globe, in microdegrees."""

    latitude: Annotated[int, Field(ge=-90_000_000, le=90_000_000)]
    longitude: Annotated[int, Field(ge=-180_000_000, le=180_000_000)]


class Standpoint(Model):
    """Where the vantage stands, as the deployment declares it: the premise of every bound."""

    vantage: VendorText
    point: Point | None
    country: VendorText | None
    proxied: bool
    """Connections went through a proxy: delays then bound nothing behind it."""


class RangesSource(Model):
    """One import of published ranges that answers rest on."""

    name: VendorText
    published: Instant | None
    imported: Instant
    digest: Digest
    origin: VendorText
    prefixes: Count
    private_allowed: bool
    dated: Literal["list", "file-name", "stated", "fetched", "own", "undated"] = "undated"
    """How its age is known (`probes.residency.ranges.seam.Dated`): with `published` None only `fetched` and `own` are
    as old as their import, and `undated` is as bad as stale."""


class RangeSays(Model):
    """What one source says of an address, by its longest prefix."""

    source: VendorText
    provider: VendorText
    region: VendorText | None
    border_group: VendorText | None
    """Where it is another than the region: that is the place, and not the region."""
    services: Annotated[tuple[VendorText, ...], _Some]
    prefix: VendorText
    anycast: bool
    ambiguous: bool


class Ranged(Model):
    """What published ranges say of an address; with `says` empty no source holds it, which says nothing."""

    kind: Literal["ranged"] = "ranged"
    looked_up: Instant
    says: Annotated[tuple[RangeSays, ...], _Some]
    sources: Annotated[tuple[RangesSource, ...], _Some]


RangeAnswer: TypeAlias = Annotated[Ranged | Unseen, Field(discriminator="kind")]


class Reach(Model):
    """Which countries the vacuum disc of the least signed time touches, by country polygons: it is in one of them."""

    kind: Literal["reach"] = "reach"
    radius_m: Count
    countries: Annotated[tuple[VendorText, ...], Field(max_length=300)]
    borders: Digest
    """SHA-256 of the polygons' file."""


class NetworkOwner(Model):
    """What a database says of an address. Third parties guess: only ever a suspicion."""

    kind: Literal["network-owner"] = "network-owner"
    database: VendorText
    built: Instant | None
    digest: Digest
    country: VendorText | None
    organization: VendorText | None
    system: Count | None
    """Autonomous system number."""


class Times(Model):
    """Repeated measurements of one thing; only the least counts, since delay can be added and never taken away."""

    kind: Literal["times"] = "times"
    least_us: Count
    all_us: Annotated[tuple[Count, ...], Field(min_length=1, max_length=64)]
    resolution_ns: Count
    """Of the clock."""


TimesAnswer: TypeAlias = Annotated[Times | Unseen, Field(discriminator="kind")]


class SignedTimes(Model):
    """From sending ClientHello to the arrival of the CertificateVerify that was then verified, full handshakes only:
    bounds the distance of whoever holds the certificate's private key."""

    kind: Literal["signed-times"] = "signed-times"
    times: Times
    version: VendorText
    signature_scheme: VendorText
    certificate: Digest
    """SHA-256 of the leaf, DER; the same in every handshake that counts."""
    trusted: bool
    """The chain verified for the endpoint's name against the deployment's CA or the system's."""
    stamped: bool = False
    """The kernel stamped every arrival; else the clock was read when it was handed over, which is later and never
    wrong."""


class EdgeSeen(Model):
    """What an answer's head says of a content delivery network."""

    kind: Literal["edge"] = "edge"
    cdn: VendorText
    pop: VendorText | None
    """The point of presence's code as told: `FRA56-P4`."""
    cache: Literal["hit", "miss", "dynamic", "unknown"]
    origin_us: Count | None
    """The CDN's own statement of its time to the origin, rounded up to the resolution in which it is told."""
    origin_header: VendorText | None
    """The header that states it."""
    headers: Annotated[tuple[VendorText, ...], _Some]
    """Lines that this was read from."""


class NoEdge(Model):
    """An answer came, and nothing in its head is of a known content delivery network."""

    kind: Literal["no-edge"] = "no-edge"


class FreshTimes(Model):
    """Requests with fresh random text, on a warm connection: time until the answer that needed the origin."""

    kind: Literal["fresh-times"] = "fresh-times"
    times: Times
    echoed: bool
    """Every answer held the text that was sent."""
    edge: Annotated[EdgeSeen | NoEdge, Field(discriminator="kind")]


class AddressFacts(Facts, schema="residency.address/1"):
    """One address of an endpoint from one vantage."""

    host: VendorText
    address: VendorText
    port: Count
    special: VendorText | None
    """The special-purpose registry's word for it (RFC 6890): `loopback`, `private-use`; None: a global address."""
    declared: Whereabouts
    standpoint: Standpoint
    ranges: RangeAnswer
    network: Annotated[NetworkOwner | NotAsked | Unseen, Field(discriminator="kind")]
    connect: TimesAnswer
    """TCP alone: may measure a middlebox, and proves nothing about the server."""
    signed: Annotated[SignedTimes | Unseen, Field(discriminator="kind")]
    signed_variously: Annotated[tuple[SignedTimes, ...], _Some] = ()
    """Where handshakes showed several certificates, so that `signed` holds none: each with its own times."""
    reach: Annotated[Reach | NotAsked | Unseen, Field(discriminator="kind")] = NotAsked()
    """Where the holder of the private key can be at all, by delay; needs coordinates of the vantage and polygons."""
    request: TimesAnswer
    """On a warm connection, from sending a request until the whole head of its answer had come. Whoever answers could
    have begun before it was asked: for comparison, no bound."""
    edge: Annotated[EdgeSeen | NoEdge | Unseen, Field(discriminator="kind")]
    fresh: Annotated[FreshTimes | NotAsked | Unseen, Field(discriminator="kind")]
    certificate_names: Annotated[tuple[VendorText, ...], _Many] = ()
    """Subject alternative names, for what region they name."""
    certificate_issuer: VendorText | None = None
    origin_ranges: Annotated[Ranged | NotAsked | Unseen, Field(discriminator="kind")]
    """Of the declared origin's own address."""

    def samples(self) -> int:
        """Full handshakes."""
        return len(self.signed.times.all_us) if isinstance(self.signed, SignedTimes) else 0


class AddressAnswered(Model):
    """An address in an answer, and what ranges say of it."""

    address: VendorText
    special: VendorText | None
    ranges: RangeAnswer


class DnsAnswer(Model):
    """One resolver's answer for one type of record, in the name of one client subnet or none."""

    kind: Literal["answer"] = "answer"
    resolver: VendorText
    """`system`, or its address."""
    role: Literal["system", "recursive", "authoritative"]
    record: Literal["A", "AAAA"]
    subnet: VendorText | None
    subnet_country: VendorText | None
    subnet_scope: Count | None
    """Prefix length that the answer says it is for (RFC 7871); None: the resolver did not heed the subnet."""
    chain: Annotated[tuple[VendorText, ...], _Some]
    """Names from the endpoint's own to the last, through CNAMEs."""
    addresses: Annotated[tuple[AddressAnswered, ...], _Some]
    dnssec: Literal["secure", "insecure", "bogus", "unknown"]
    """What keycheck itself validated: `secure` from a trust anchor on. What a resolver claims is `unknown`."""
    ttl: Count | None
    claimed_authentic: bool = False
    """The resolver says that it validated (the AD flag): its word."""
    finished_by: VendorText | None = None
    """Who told what the last name stands for, where this server did not."""


class DnsSilence(Model):
    """No usable answer, and why."""

    kind: Literal["silence"] = "silence"
    resolver: VendorText
    role: Literal["system", "recursive", "authoritative"]
    record: Literal["A", "AAAA"]
    subnet: VendorText | None
    subnet_country: VendorText | None
    why: Unseen


class NamesFacts(Facts, schema="residency.names/1"):
    """What the domain name system says of an endpoint's name, from one vantage."""

    host: VendorText
    literal: bool
    """The endpoint names an address, or lists its addresses: no DNS is in it."""
    declared: Whereabouts
    standpoint: Standpoint
    answers: Annotated[tuple[Annotated[DnsAnswer | DnsSilence, Field(discriminator="kind")], ...], _Many]
    named_regions: Annotated[tuple[NamedRegion, ...], _Many] = ()
    """Regions that names in the chains carry, where the cloud itself chose these names."""
    realm: VendorText | None = None
    """The sovereign realm that the last name's suffix belongs to."""


class NamedRegion(Model):
    """A region in a host name of the cloud's own."""

    name: VendorText
    provider: VendorText
    region: VendorText


NamesFacts.model_rebuild()
