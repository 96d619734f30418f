"""Facts of residency as a test needs them: everything in order unless it says otherwise."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from keycheck.model.control import Sighting, Sightings
from keycheck.model.facts import Facts, Unseen
from keycheck.model.verdict import Assurance, Reason
from probes.places.whereabouts import Whereabouts
from probes.residency.endpoint_facts import (
    AddressAnswered,
    AddressFacts,
    DnsAnswer,
    NamesFacts,
    NoEdge,
    NotAsked,
    Point,
    Ranged,
    RangeSays,
    RangesSource,
    SignedTimes,
    Standpoint,
    Times,
)

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
FRANKFURT = Point(latitude=50_110_000, longitude=8_680_000)
ASHBURN = Point(latitude=39_040_000, longitude=-77_490_000)
HOST = "api.crm.example"
SILENT = Unseen(reason=Reason.TIMEOUT, detail="no answer within 3 s")


def ranged(
    region: str | None = "eu-central-1",
    *,
    provider: str = "aws",
    border: str | None = None,
    age: timedelta = timedelta(days=10),
    anycast: bool = False,
    ambiguous: bool = False,
) -> Ranged:
    """What one source says; `region` None: no source holds the address."""
    source = RangesSource(
        name=provider,
        published=NOW - age,
        imported=NOW - age,
        digest="ab" * 32,
        origin="a file",
        prefixes=1000,
        private_allowed=False,
    )
    says = RangeSays(
        source=provider,
        provider=provider,
        region=region,
        border_group=border,
        services=(),
        prefix="192.0.2.0/24",
        anycast=anycast,
        ambiguous=ambiguous,
    )
    silent = region is None and not anycast
    return Ranged(looked_up=NOW, says=() if silent else (says,), sources=(source,))


def standpoint(vantage: str = "here", point: Point | None = FRANKFURT, **more: Any) -> Standpoint:
    """Frankfurt, unless told otherwise."""
    return Standpoint(vantage=vantage, point=point, **{"country": "DE", "proxied": False} | more)


def times(least_us: int = 20_000) -> Times:
    """Five tries."""
    return Times(least_us=least_us, all_us=(least_us, *(least_us + 100 * n for n in range(1, 5))), resolution_ns=1)


def signed(least_us: int = 20_000, *, trusted: bool = True) -> SignedTimes:
    """Full handshakes."""
    return SignedTimes(
        times=times(least_us),
        version="TLSv1.3",
        signature_scheme="ecdsa_secp256r1_sha256",
        certificate="cd" * 32,
        trusted=trusted,
    )


def address(ip: str = "192.0.2.7", **more: Any) -> AddressFacts:
    """One address as a vantage in Frankfurt sees it."""
    given: dict[str, Any] = {
        "host": HOST,
        "address": ip,
        "port": 443,
        "special": None,
        "declared": Whereabouts(),
        "standpoint": standpoint(),
        "ranges": ranged(),
        "network": NotAsked(),
        "connect": times(),
        "signed": signed(),
        "request": times(),
        "edge": NoEdge(),
        "fresh": NotAsked(),
        "origin_ranges": NotAsked(),
    }
    return AddressFacts(**given | more)


def answer(*addresses: tuple[str, Ranged | Unseen], record: str = "A", **more: Any) -> DnsAnswer:
    """One resolver's answer."""
    given: dict[str, Any] = {
        "resolver": "system",
        "role": "system",
        "record": record,
        "subnet": None,
        "subnet_country": None,
        "subnet_scope": None,
        "chain": (HOST,),
        "addresses": tuple(AddressAnswered(address=ip, special=None, ranges=said) for ip, said in addresses),
        "dnssec": "unknown",
        "ttl": 60,
    }
    return DnsAnswer(**given | more)


def names(*answers: Any, **more: Any) -> NamesFacts:
    """What resolvers say; one address at home, without any given."""
    given: dict[str, Any] = {
        "host": HOST,
        "literal": False,
        "declared": Whereabouts(),
        "standpoint": standpoint(),
        "answers": answers or (answer(("192.0.2.7", ranged())), answer(record="AAAA")),
    }
    return NamesFacts(**given | more)


def sightings(*facts: Facts) -> Sightings:
    """All that was seen of one subject."""
    return Sightings(tuple(Sighting(None, "here", Assurance.OBSERVED, one) for one in facts))
