"""The controls over endpoints: what passes, what is a breach, and that nothing missing ever passes."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from made_residency import (
    ASHBURN,
    SILENT,
    address,
    answer,
    names,
    ranged,
    sightings,
    signed,
    standpoint,
    times,
)

from keycheck.model.verdict import Kind, Reason, Verdict
from probes.places.whereabouts import Fresh, Origin, Whereabouts
from probes.residency.endpoint_controls import Endpoints, Realm
from probes.residency.endpoint_facts import (
    DnsSilence,
    EdgeSeen,
    FreshTimes,
    NamedRegion,
    NetworkOwner,
    NoEdge,
    Reach,
)
from probes.residency.origin_control import Origin as OriginControl
from probes.residency.steering_controls import Anycast, Steering

EU = {"jurisdiction": ["EU"]}


def endpoints(*facts: Any, **more: Any) -> Verdict:
    return Endpoints.model_validate(EU | more).judge(sightings(*facts))


def test_an_address_that_ranges_put_inside_passes_and_says_on_what_it_leans() -> None:
    verdict = endpoints(names(), address())
    assert verdict.kind is Kind.PASS
    assert "eu-central-1" in verdict.message
    assert "2026-11-12" in verdict.message


@pytest.mark.parametrize(
    ("provider", "region", "border"),
    [
        ("aws", "us-east-1", None),
        ("aws", "eu-west-2", None),
        ("aws", "eu-central-2", None),
        ("aws", "eu-central-1", "eu-central-1-ist-1"),
        ("gcp", "europe-west6", None),
        ("oci", "eu-jovanovac-1", None),
    ],
)
def test_regions_outside_are_a_breach_whatever_their_name(provider: str, region: str, border: str | None) -> None:
    said = ranged(region, provider=provider, border=border)
    assert endpoints(names(answer(("192.0.2.7", said))), address(ranges=said)).kind is Kind.FAIL


def test_a_border_group_at_home_passes_and_one_that_is_not_known_does_not() -> None:
    poland = ranged("eu-central-1", border="eu-central-1-waw-1")
    assert endpoints(names(answer(("192.0.2.7", poland))), address(ranges=poland)).kind is Kind.PASS
    unknown = ranged("eu-central-1", border="eu-central-1-zzz-1")
    assert endpoints(names(answer(("192.0.2.7", unknown))), address(ranges=unknown)).reasons == (Reason.NOT_COVERED,)


def test_one_of_four_addresses_abroad_and_an_ipv6_address_abroad_are_breaches() -> None:
    home = [(f"192.0.2.{n}", ranged()) for n in range(1, 4)]
    away = ("192.0.2.4", ranged("us-east-1"))
    seen = [address(ip) for ip, _ in home]
    assert endpoints(names(answer(*home, away)), *seen, address(away[0], ranges=away[1])).kind is Kind.FAIL
    six = ("2001:db8::1", ranged("us-east-1"))
    facts = names(answer(*home), answer(six, record="AAAA"))
    assert endpoints(facts, *seen).kind is Kind.FAIL  # also where nobody could connect to it


def test_an_address_that_no_list_holds_passes_nothing() -> None:
    nothing = ranged(None)
    assert endpoints(names(answer(("192.0.2.7", nothing))), address(ranges=nothing)).reasons == (Reason.NOT_COVERED,)


def test_stale_ranges_decide_nothing_and_neither_do_those_from_the_future_or_without_a_date() -> None:
    for age in (timedelta(days=91), timedelta(days=-3)):
        old = ranged(age=age)
        assert endpoints(names(answer(("192.0.2.7", old))), address(ranges=old)).reasons == (Reason.STALE,)
    (source,) = ranged().sources
    undated = ranged().model_copy(update={"sources": (source.model_copy(update={"published": None}),)})
    assert endpoints(names(answer(("192.0.2.7", undated))), address(ranges=undated)).reasons == (Reason.STALE,)


def test_an_older_limit_of_the_contract_counts() -> None:
    old = ranged(age=timedelta(days=40))
    facts = (names(answer(("192.0.2.7", old))), address(ranges=old))
    assert endpoints(*facts).kind is Kind.PASS
    assert endpoints(*facts, ranges_max_age="P30D").reasons == (Reason.STALE,)


def test_missing_and_damaged_ranges_say_why() -> None:
    assert endpoints(names(answer(("192.0.2.7", SILENT))), address(ranges=SILENT)).reasons == (Reason.TIMEOUT,)


def test_anycast_and_ambiguous_prefixes_are_no_place() -> None:
    for said in (ranged(anycast=True), ranged(ambiguous=True)):
        assert endpoints(names(answer(("192.0.2.7", said))), address(ranges=said)).kind is Kind.INCONCLUSIVE


def test_a_name_that_nobody_resolves_or_that_one_server_hides_is_undecided() -> None:
    silence = DnsSilence(resolver="system", role="system", record="A", subnet=None, subnet_country=None, why=SILENT)
    assert endpoints(names(silence)).kind is Kind.INCONCLUSIVE
    hidden = silence.model_copy(update={"resolver": "198.51.100.53", "role": "recursive"})
    assert endpoints(names(answer(("192.0.2.7", ranged())), hidden), address()).reasons == (Reason.TIMEOUT,)
    told = answer(("192.0.2.7", ranged()), resolver="198.51.100.1", role="authoritative")
    assert endpoints(names(told, silence), address()).kind is Kind.PASS  # the zone's own servers know better
    assert endpoints().reasons == (Reason.NO_POSITIVE,)


def test_signatures_that_do_not_verify_leave_it_undecided() -> None:
    forged = answer(("192.0.2.7", ranged()), dnssec="bogus")
    assert endpoints(names(forged), address()).reasons == (Reason.CONFLICTING,)


def test_addresses_for_clients_abroad_alone_do_not_count() -> None:
    abroad = answer(("192.0.2.99", ranged("us-east-1")), subnet="198.51.100.0/24", subnet_country="US", subnet_scope=24)
    verdict = endpoints(
        names(answer(("192.0.2.7", ranged())), abroad), address(), address("192.0.2.99", ranges=ranged("us-east-1"))
    )
    assert verdict.kind is Kind.PASS
    everybody = answer(("192.0.2.99", ranged("us-east-1")), resolver="192.0.2.53", role="recursive")
    assert endpoints(names(answer(("192.0.2.7", ranged())), abroad, everybody), address()).kind is Kind.FAIL


def test_a_cloud_name_that_contradicts_ranges_raises_doubt_and_proves_nothing_alone() -> None:
    named = (NamedRegion(name="x.us-east-1.elb.amazonaws.com", provider="aws", region="us-east-1"),)
    assert endpoints(names(named_regions=named), address()).reasons == (Reason.CONFLICTING,)
    nothing = ranged(None)
    facts = names(answer(("192.0.2.7", nothing)), named_regions=named)
    assert endpoints(facts, address(ranges=nothing)).kind is Kind.INCONCLUSIVE


def test_a_cloud_name_at_home_lifts_nothing() -> None:
    named = (NamedRegion(name="x.eu-central-1.elb.amazonaws.com", provider="aws", region="eu-central-1"),)
    nothing, away = ranged(None), ranged("us-east-1")
    facts = names(answer(("192.0.2.7", nothing)), named_regions=named)
    assert endpoints(facts, address(ranges=nothing)).kind is Kind.INCONCLUSIVE
    facts = names(answer(("192.0.2.7", away)), named_regions=named)
    assert endpoints(facts, address(ranges=away)).kind is Kind.FAIL


def test_a_database_of_network_owners_only_ever_lowers() -> None:
    def owner(country: str) -> NetworkOwner:
        return NetworkOwner(
            database="made", built=None, digest="ef" * 32, country=country, organization="Somebody", system=64500
        )

    assert endpoints(names(), address(network=owner("DE"))).kind is Kind.PASS
    assert endpoints(names(), address(network=owner("US"))).reasons == (Reason.CONFLICTING,)
    nothing = ranged(None)
    facts = names(answer(("192.0.2.7", nothing)))
    assert endpoints(facts, address(ranges=nothing, network=owner("DE"))).kind is Kind.INCONCLUSIVE


def test_light_convicts_and_a_slow_answer_never_does() -> None:
    reach = Reach(radius_m=300_000, countries=("US",), borders="12" * 32)
    near = {"standpoint": standpoint("ashburn", ASHBURN, country="US"), "signed": signed(2_000), "reach": reach}
    assert endpoints(names(), address(**near)).kind is Kind.FAIL
    slow = {"signed": signed(300_000)}
    assert endpoints(names(), address(**slow)).kind is Kind.PASS


def test_a_fast_answer_from_next_door_excludes_the_declared_region_even_without_polygons() -> None:
    fast = address(standpoint=standpoint("ashburn", ASHBURN, country="US"), signed=signed(2_000))
    assert endpoints(names(), fast).reasons == (Reason.CONFLICTING,)


def test_nothing_is_bounded_behind_a_proxy_or_by_somebody_elses_key() -> None:
    reach = Reach(radius_m=300_000, countries=("US",), borders="12" * 32)
    behind = address(signed=signed(2_000), reach=reach, standpoint=standpoint("ashburn", ASHBURN, proxied=True))
    assert endpoints(names(), behind).kind is Kind.PASS
    stranger = address(signed=signed(2_000, trusted=False), reach=reach, standpoint=standpoint("ashburn", ASHBURN))
    assert endpoints(names(), stranger).kind is Kind.PASS


def edge(pop: str = "FRA56-P4", origin_us: int | None = None) -> EdgeSeen:
    return EdgeSeen(
        cdn="cloudfront", pop=pop, cache="miss", origin_us=origin_us, origin_header="server-timing", headers=()
    )


def test_an_edge_counts_by_where_it_answered_only_where_the_contract_lets_it() -> None:
    declared = Whereabouts(cdn="cloudfront", origin=Origin(provider="aws", region="eu-central-1"))
    said = ranged(None, anycast=True)
    facts = (
        names(answer(("192.0.2.7", said)), declared=declared),
        address(ranges=said, declared=declared, edge=edge()),
    )
    assert endpoints(*facts).kind is Kind.INCONCLUSIVE
    assert endpoints(*facts, edges="local").kind is Kind.PASS
    away = address(ranges=said, declared=declared, edge=edge("IAD12-P1"))
    assert endpoints(facts[0], away, edges="local").kind is Kind.FAIL
    hidden = address(ranges=said, declared=declared, edge=NoEdge())
    assert endpoints(facts[0], hidden, edges="local").kind is Kind.INCONCLUSIVE
    undeclared = address(ranges=said, edge=edge())
    assert endpoints(names(answer(("192.0.2.7", said))), undeclared, edges="local").kind is Kind.INCONCLUSIVE


def test_a_private_address_is_nowhere() -> None:
    nothing = ranged(None)
    private = address("10.0.0.7", special="private-use", ranges=nothing)
    verdict = endpoints(names(answer(("10.0.0.7", nothing))), private)
    assert verdict.reasons == (Reason.NOT_COVERED,)
    assert "private-use" in verdict.message


def steering(*facts: Any) -> Verdict:
    return Steering.model_validate(EU).judge(sightings(*facts))


def test_clients_at_home_are_sent_home_or_it_is_a_breach() -> None:
    def asked(country: str, region: str, scope: int | None = 24) -> Any:
        more = {"resolver": "192.0.2.53", "role": "authoritative", "subnet": "198.51.100.0/24"}
        return answer(("192.0.2.7", ranged(region)), subnet_country=country, subnet_scope=scope, **more)

    nobody = standpoint(country=None)
    assert steering(names(asked("DE", "eu-central-1"), standpoint=nobody)).kind is Kind.PASS
    assert steering(names(asked("DE", "us-east-1"), standpoint=nobody)).kind is Kind.FAIL
    assert steering(names(asked("US", "us-east-1"), standpoint=nobody)).kind is Kind.INCONCLUSIVE
    assert steering(names(asked("DE", "eu-central-1", None), standpoint=nobody)).kind is Kind.INCONCLUSIVE
    assert steering(names(standpoint=nobody), address()).kind is Kind.INCONCLUSIVE
    assert steering(names(), address()).kind is Kind.PASS  # the vantage itself stands at home


def anycast(*facts: Any, **more: Any) -> Verdict:
    return Anycast.model_validate(EU | more).judge(sightings(*facts))


def test_two_vantages_that_are_both_near_convict() -> None:
    one = address(signed=signed(2_000))
    other = address(signed=signed(2_000), standpoint=standpoint("ashburn", ASHBURN, country="US"))
    far = address(signed=signed(95_000), standpoint=standpoint("ashburn", ASHBURN, country="US"))
    assert anycast(names(), one, other).kind is Kind.FAIL
    assert anycast(names(), one, far).kind is Kind.PASS
    assert anycast(names(), one).kind is Kind.PASS  # how many vantages there must be is the contract's to say


def test_ranges_that_announce_it_everywhere_convict_unless_the_network_is_allowed() -> None:
    declared = Whereabouts(cdn="cloudfront", origin=Origin(provider="aws", region="eu-central-1"))
    facts = address(ranges=ranged(None, anycast=True), declared=declared)
    assert anycast(names(), facts).kind is Kind.FAIL
    assert anycast(names(), facts, allowed=["cloudfront"]).kind is Kind.PASS
    assert anycast(names(), facts, allowed=["fastly"]).kind is Kind.FAIL
    nothing = ranged(None)
    assert anycast(names(answer(("192.0.2.7", nothing))), address(ranges=nothing)).kind is Kind.INCONCLUSIVE


def origin(*facts: Any) -> Verdict:
    return OriginControl.model_validate(EU).judge(sightings(*facts))


def behind(region: str = "eu-south-2", origin_us: int | None = 2_000, **more: Any) -> tuple[Any, Any]:
    declared = Whereabouts(
        cdn="cloudfront",
        origin=Origin(provider="aws", region=region, address="192.0.2.200"),
        fresh=Fresh(path="/echo/{nonce}"),
    )
    fresh = FreshTimes(times=times(), echoed=True, edge=edge("MAD56-P4", origin_us))
    said = ranged(None, anycast=True)
    facts = {"declared": declared, "ranges": said, "edge": edge(), "fresh": fresh, "origin_ranges": ranged(region)}
    return names(declared=declared), address(**facts | more)


def test_an_origin_at_home_is_shown_by_a_short_time_and_its_ranges() -> None:
    assert origin(*behind()).kind is Kind.PASS


def test_near_a_border_a_short_time_leaves_both_sides() -> None:
    fresh = FreshTimes(times=times(), echoed=True, edge=edge("FRA56-P4", 4_000))
    verdict = origin(*behind("eu-central-1", fresh=fresh))
    assert verdict.reasons == (Reason.NOT_COVERED,)  # Zürich and London are near enough


def test_an_origin_abroad_is_convicted_by_its_ranges_or_its_declaration() -> None:
    assert origin(*behind(origin_ranges=ranged("us-east-1"))).kind is Kind.FAIL
    assert origin(*behind("us-east-1")).kind is Kind.FAIL


def test_a_long_time_no_time_and_no_echo_show_nothing() -> None:
    assert origin(*behind(origin_us=90_000)).kind is Kind.INCONCLUSIVE
    assert origin(*behind(origin_us=None)).kind is Kind.INCONCLUSIVE
    silent = FreshTimes(times=times(), echoed=False, edge=edge(origin_us=4_000))
    assert origin(*behind(fresh=silent)).kind is Kind.INCONCLUSIVE
    assert origin(*behind(fresh=SILENT)).reasons == (Reason.TIMEOUT,)


def test_a_time_too_short_for_the_declared_place_is_a_conflict() -> None:
    fresh = FreshTimes(times=times(), echoed=True, edge=edge("NRT12-P1", 2_000))
    assert origin(*behind(fresh=fresh)).reasons == (Reason.CONFLICTING,)


def test_without_a_network_there_is_no_origin_behind_it_if_every_answer_says_so() -> None:
    assert origin(names(), address()).kind is Kind.NOT_APPLICABLE
    assert origin(names(), address(edge=SILENT)).kind is Kind.NOT_APPLICABLE  # ranges give it one Region
    nothing = ranged(None)
    assert origin(names(), address(edge=SILENT, ranges=nothing)).kind is Kind.INCONCLUSIVE
    assert origin(names(), address(edge=edge())).kind is Kind.INCONCLUSIVE  # seen, and not declared


def test_a_realm_is_told_by_ranges_and_by_the_clouds_own_names() -> None:
    def realm(*facts: Any) -> Verdict:
        return Realm.model_validate(EU | {"realms": ["aws-eusc"]}).judge(sightings(*facts))

    said = ranged("eusc-de-east-1")
    inside = (names(answer(("192.0.2.7", said))), address(ranges=said))
    assert realm(*inside).kind is Kind.PASS
    assert realm(names(), address()).kind is Kind.FAIL
    assert realm(names(answer(("192.0.2.7", said)), realm="aws"), inside[1]).kind is Kind.FAIL
    nothing = ranged(None)
    assert realm(names(answer(("192.0.2.7", nothing))), address(ranges=nothing)).kind is Kind.INCONCLUSIVE
