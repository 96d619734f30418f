"""The names probe against real name servers on loopback: honest, lying, looping, truncating and silent ones."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable

import dns.edns
import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest
from residency_stage import Answers, an_io, has_ipv6, name_server, reply

from keycheck.model.deployment import Vantage
from keycheck.model.facts import seen
from keycheck.model.probe import Io
from keycheck.model.verdict import Reason
from probes.residency.endpoint_facts import DnsAnswer, DnsSilence, NamesFacts
from probes.residency.observe_address import AddressProbe
from probes.residency.observe_names import NamesProbe
from probes.tls.subjects import Endpoint

HOST = "api.vendor.test"


def endpoint(*servers: str, role: str = "recursive", **whereabouts: object) -> Endpoint:
    declared = {"nameservers": [{"address": server, "role": role} for server in servers], **whereabouts}
    return Endpoint.model_validate({"id": "api", "url": f"https://{HOST}", "whereabouts": declared})


def known(*addresses: str) -> Callable[[str, float], tuple[str, ...]]:
    return lambda host, seconds: addresses


def look(subject: Endpoint, io: Io | None = None) -> NamesFacts:
    facts = NamesProbe().observe(subject, io or an_io(resolver=known("192.0.2.1"))).facts
    assert isinstance(facts, NamesFacts)
    assert NamesFacts.model_validate_json(seen(facts).facts) == facts
    return facts


def asked(answers: Answers, io: Io | None = None, role: str = "recursive", **whereabouts: object) -> NamesFacts:
    with name_server(answers) as server:
        return look(endpoint(server.address, role=role, **whereabouts), io)


def of(facts: NamesFacts, record: str = "A", subnet: str | None = None) -> DnsAnswer | DnsSilence:
    [one] = [
        each for each in facts.answers if each.role != "system" and each.record == record and each.subnet == subnet
    ]
    return one


def told(facts: NamesFacts, record: str = "A", subnet: str | None = None) -> DnsAnswer:
    one = of(facts, record, subnet)
    assert isinstance(one, DnsAnswer), one
    return one


def silent(facts: NamesFacts, record: str = "A", subnet: str | None = None) -> DnsSilence:
    one = of(facts, record, subnet)
    assert isinstance(one, DnsSilence), one
    return one


def both(query: dns.message.Message, over_tcp: bool) -> dns.message.Message:
    """An alias into a region, with an address of each kind."""
    kind = query.question[0].rdtype.name
    name = query.question[0].name.to_text()
    end = "lb-1.eu-central-1.elb.amazonaws.com."
    value = "192.0.2.7" if kind == "A" else "2001:db8::7"
    return reply(query, f"{name} 300 IN CNAME {end}", f"{end} 60 IN {kind} {value}")


def test_both_kinds_of_addresses_with_the_whole_chain() -> None:
    facts = asked(both)
    a, aaaa = told(facts, "A"), told(facts, "AAAA")
    assert a.chain == (HOST, "lb-1.eu-central-1.elb.amazonaws.com")
    assert [each.address for each in a.addresses] == ["192.0.2.7"]
    assert [each.address for each in aaaa.addresses] == ["2001:db8::7"]
    assert a.addresses[0].special == "documentation"
    assert (a.ttl, a.dnssec, a.role) == (60, "unknown", "recursive")
    assert [(each.provider, each.region) for each in facts.named_regions] == [("aws", "eu-central-1")]


def test_the_systems_resolver_is_one_of_them() -> None:
    facts = look(endpoint(), an_io(resolver=known("192.0.2.1", "2001:db8::1", "192.0.2.2")))
    by = {each.record: each for each in facts.answers}
    assert {each.role for each in facts.answers} == {"system"}
    assert isinstance(by["A"], DnsAnswer)
    assert isinstance(by["AAAA"], DnsAnswer)
    assert [each.address for each in by["A"].addresses] == ["192.0.2.1", "192.0.2.2"]
    assert [each.address for each in by["AAAA"].addresses] == ["2001:db8::1"]


def test_a_system_resolver_without_an_answer_is_a_silence() -> None:
    facts = look(endpoint(), an_io())
    assert {type(each) for each in facts.answers} == {DnsSilence}
    assert len(facts.answers) == 2


def test_no_dns_is_in_an_endpoint_that_lists_its_addresses() -> None:
    def never(host: str, seconds: float) -> tuple[str, ...]:
        raise AssertionError(host)

    subject = Endpoint.model_validate({"id": "api", "url": f"https://{HOST}", "addresses": ["192.0.2.1"]})
    facts = look(subject, an_io(resolver=never))
    assert facts.literal
    assert facts.answers == ()
    assert list(NamesProbe().touches(subject, an_io())) == []


def test_a_name_without_ipv6_has_an_answer_without_addresses() -> None:
    def answers(query: dns.message.Message, over_tcp: bool) -> dns.message.Message:
        if query.question[0].rdtype.name == "A":
            return reply(query, f"{HOST}. 60 IN A 192.0.2.7")
        message = reply(query)
        message.authority.append(dns.rrset.from_text("vendor.test.", 60, "IN", "SOA", "ns. root. 1 1 1 1 1"))
        return message

    assert told(asked(answers), "AAAA").addresses == ()


def refusing(code: dns.rcode.Rcode) -> Answers:
    def answers(query: dns.message.Message, over_tcp: bool) -> dns.message.Message:
        message = reply(query)
        message.set_rcode(code)
        return message

    return answers


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (dns.rcode.NXDOMAIN, Reason.UNREACHABLE),
        (dns.rcode.SERVFAIL, Reason.UNREACHABLE),
        (dns.rcode.REFUSED, Reason.PERMISSION_DENIED),
        (dns.rcode.FORMERR, Reason.UNSUPPORTED),
    ],
)
def test_a_refusal_is_a_silence_that_names_it(code: dns.rcode.Rcode, reason: Reason) -> None:
    why = silent(asked(refusing(code))).why
    assert why.reason is reason
    assert dns.rcode.to_text(code) in why.detail


def test_the_server_may_say_why_it_fails() -> None:
    def answers(query: dns.message.Message, over_tcp: bool) -> dns.message.Message:
        message = reply(query)
        message.set_rcode(dns.rcode.SERVFAIL)
        message.use_edns(0, options=[dns.edns.EDEOption(dns.edns.EDECode.DNSSEC_BOGUS, "signature expired\x07")])
        return message

    assert "extended error 6 signature expired" in silent(asked(answers)).why.detail


def test_a_silent_server_is_waited_for_once_for_all_questions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("probes.residency.endpoint.resolving.WAIT_SECONDS", 0.3)
    io = an_io(resolver=known("192.0.2.1"))
    start = io.monotonic()
    facts = asked(lambda query, over_tcp: None, io, subnets=[{"network": "198.51.100.0/24", "country": "DE"}])
    assert io.monotonic() - start < 1.0
    assert [each.why.reason for each in facts.answers if isinstance(each, DnsSilence)] == [Reason.TIMEOUT] * 4


def test_nobody_listens_there() -> None:
    with name_server(both) as server:
        gone = server.address
    assert silent(look(endpoint(gone))).why.reason is Reason.UNREACHABLE


def wrong_id(query: dns.message.Message) -> bytes:
    data = bytearray(both(query, False).to_wire())
    data[0] ^= 0xFF
    return bytes(data)


def wrong_question(query: dns.message.Message) -> bytes:
    other = dns.message.make_query("elsewhere.test.", query.question[0].rdtype, id=query.id)
    return reply(other, "elsewhere.test. 60 IN A 203.0.113.9").to_wire()


@pytest.mark.parametrize("lie", [wrong_id, wrong_question, lambda query: b"\x00\x01", lambda query: query.to_wire()])
def test_what_is_no_answer_to_the_question_is_waited_past(lie: Callable[[dns.message.Message], bytes]) -> None:
    facts = asked(lambda query, over_tcp: [lie(query), both(query, over_tcp).to_wire()])
    assert [each.address for each in told(facts).addresses] == ["192.0.2.7"]


def test_a_server_that_only_lies_is_named_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("probes.residency.endpoint.resolving.WAIT_SECONDS", 0.3)
    why = silent(asked(lambda query, over_tcp: [wrong_id(query)] * 40)).why
    assert why.reason is Reason.MALFORMED
    assert "another id" in why.detail


def test_garbage_is_malformed() -> None:
    def answers(query: dns.message.Message, over_tcp: bool) -> bytes:
        return both(query, over_tcp).to_wire()[:-3]

    assert silent(asked(answers)).why.reason is Reason.MALFORMED


def looping(query: dns.message.Message, over_tcp: bool) -> dns.message.Message:
    return reply(query, f"{HOST}. 60 IN CNAME b.test.", f"b.test. 60 IN CNAME {HOST}.")


def looping_over_questions(query: dns.message.Message, over_tcp: bool) -> dns.message.Message:
    name = query.question[0].name.to_text()
    return reply(query, f"{name} 60 IN CNAME {HOST if name.startswith('b.') else 'b.test'}.")


def endless(query: dns.message.Message, over_tcp: bool) -> dns.message.Message:
    name = query.question[0].name.to_text()
    return reply(query, f"{name} 60 IN CNAME x{name}")


def long(query: dns.message.Message, over_tcp: bool) -> dns.message.Message:
    records = [f"{HOST}. 60 IN CNAME n0.test."]
    return reply(query, *records, *(f"n{n}.test. 60 IN CNAME n{n + 1}.test." for n in range(20)))


@pytest.mark.parametrize("answers", [looping, looping_over_questions, endless, long])
def test_aliases_without_end_are_a_reason(answers: Answers) -> None:
    why = silent(asked(answers)).why
    assert why.reason is Reason.MALFORMED
    assert "aliases" in why.detail


def test_an_alias_whose_end_is_not_told_is_followed_at_the_same_server() -> None:
    def answers(query: dns.message.Message, over_tcp: bool) -> dns.message.Message:
        name = query.question[0].name.to_text()
        if name.startswith("api."):
            return reply(query, f"{name} 300 IN CNAME edge.test.")
        return both_at(query, name)

    def both_at(query: dns.message.Message, name: str) -> dns.message.Message:
        kind = query.question[0].rdtype.name
        return reply(query, f"{name} 20 IN {kind} {'192.0.2.9' if kind == 'A' else '2001:db8::9'}")

    one = told(asked(answers))
    assert (one.chain, one.ttl) == ((HOST, "edge.test"), 20)
    assert [each.address for each in one.addresses] == ["192.0.2.9"]


@pytest.mark.parametrize(
    "stray",
    [
        "elsewhere.test. 60 IN A 203.0.113.9",
        "elsewhere.test. 60 IN CNAME other.test.",
        f"{HOST}. 60 IN CNAME other.test.",
    ],
)
def test_records_of_other_names_spoil_an_answer(stray: str) -> None:
    def answers(query: dns.message.Message, over_tcp: bool) -> dns.message.Message:
        return reply(query, f"{HOST}. 60 IN A 192.0.2.7", stray)

    assert silent(asked(answers)).why.reason is Reason.MALFORMED


def test_too_many_records_are_not_even_read() -> None:
    def answers(query: dns.message.Message, over_tcp: bool) -> bytes:
        message = reply(query)
        if not over_tcp:
            message.flags |= dns.flags.TC
            return message.to_wire()
        name = f"{HOST}."
        values = [str(ipaddress.ip_address(0xC0000200 + n)) for n in range(600)]
        message.answer.append(dns.rrset.from_text(name, 60, "IN", "A", *values))
        return message.to_wire(max_size=65535)

    assert "512 records" in silent(asked(answers)).why.detail


def truncating(query: dns.message.Message, over_tcp: bool) -> bytes:
    message = both(query, over_tcp)
    if not over_tcp:
        message.flags |= dns.flags.TC
        message.answer.clear()
    return message.to_wire()


def test_a_truncated_answer_is_asked_for_again_over_tcp() -> None:
    with name_server(truncating) as server:
        facts = look(endpoint(server.address))
        assert server.over_tcp == 2
    assert [each.address for each in told(facts).addresses] == ["192.0.2.7"]


def test_one_that_truncates_over_tcp_too_says_nothing() -> None:
    def answers(query: dns.message.Message, over_tcp: bool) -> dns.message.Message:
        message = reply(query)
        message.flags |= dns.flags.TC
        return message

    assert silent(asked(answers)).why.reason is Reason.MALFORMED


def test_one_that_truncates_and_closes_over_tcp_says_nothing() -> None:
    def answers(query: dns.message.Message, over_tcp: bool) -> bytes | None:
        return None if over_tcp else truncating(query, over_tcp)

    why = silent(asked(answers)).why
    assert why.reason is Reason.UNREACHABLE
    assert "over TCP" in why.detail


SUBNET = "198.51.100.0/24"


def steering(query: dns.message.Message, over_tcp: bool) -> dns.message.Message:
    sent = [option for option in query.options if isinstance(option, dns.edns.ECSOption)]
    message = reply(query, f"{HOST}. 60 IN A {'203.0.113.1' if sent else '192.0.2.7'}")
    if sent:
        message.use_edns(0, options=[dns.edns.ECSOption(sent[0].address, sent[0].srclen, 20)])
    return message


def only_a(answers: Answers) -> Answers:
    def wrapped(query: dns.message.Message, over_tcp: bool) -> object:
        return answers(query, over_tcp) if query.question[0].rdtype.name == "A" else reply(query)

    return wrapped  # type: ignore[return-value]


def test_client_subnets_are_sent_and_the_scope_is_kept() -> None:
    facts = asked(only_a(steering), subnets=[{"network": SUBNET, "country": "DE"}])
    one = told(facts, "A", SUBNET)
    assert (one.subnet_country, one.subnet_scope) == ("DE", 20)
    assert [each.address for each in one.addresses] == ["203.0.113.1"]
    assert [each.address for each in told(facts).addresses] == ["192.0.2.7"]


def test_a_resolver_that_ignores_the_subnet_is_recorded_so() -> None:
    facts = asked(both, subnets=[{"network": SUBNET, "country": "DE"}])
    assert told(facts, "A", SUBNET).subnet_scope is None


def test_an_answer_for_another_subnet_is_dropped() -> None:
    def answers(query: dns.message.Message, over_tcp: bool) -> dns.message.Message:
        message = both(query, over_tcp)
        message.use_edns(0, options=[dns.edns.ECSOption("203.0.113.0", 24, 24)])
        return message

    assert silent(asked(answers, subnets=[{"network": SUBNET, "country": "DE"}]), "A", SUBNET).why.detail == (
        "an answer for another client subnet"
    )


def test_the_word_of_a_resolver_about_dnssec_is_its_word() -> None:
    def answers(query: dns.message.Message, over_tcp: bool) -> dns.message.Message:
        message = both(query, over_tcp)
        message.flags |= dns.flags.AD
        return message

    one = told(asked(answers))
    assert (one.dnssec, one.claimed_authentic) == ("unknown", True)


def test_a_declared_authoritative_server_must_answer_as_one() -> None:
    def cached(query: dns.message.Message, over_tcp: bool) -> dns.message.Message:
        return reply(query, f"{HOST}. 60 IN A 192.0.2.7", authoritative=False)

    assert silent(asked(cached, role="authoritative")).why.reason is Reason.CONFLICTING
    with name_server(both) as server:
        facts = look(endpoint(server.address, role="authoritative"))
        assert not server.asked[0].flags & dns.flags.RD
    assert told(facts).role == "authoritative"


def test_where_a_zones_server_leads_out_of_its_zone_the_system_finishes() -> None:
    def answers(query: dns.message.Message, over_tcp: bool) -> dns.message.Message:
        name = query.question[0].name.to_text()
        if name.startswith("api."):
            return reply(query, f"{name} 60 IN CNAME lb.eu-west-1.elb.amazonaws.com.")
        message = reply(query, authoritative=False)
        message.set_rcode(dns.rcode.REFUSED)
        return message

    def system(host: str, seconds: float) -> tuple[str, ...]:
        return ("192.0.2.44",) if host.startswith("lb.") else ("192.0.2.1",)

    one = told(asked(answers, an_io(resolver=system), role="authoritative"))
    assert (one.finished_by, one.chain[-1]) == ("system", "lb.eu-west-1.elb.amazonaws.com")
    assert [each.address for each in one.addresses] == ["192.0.2.44"]


def test_a_referral_is_no_answer() -> None:
    def answers(query: dns.message.Message, over_tcp: bool) -> dns.message.Message:
        message = reply(query)
        message.authority.append(dns.rrset.from_text("test.", 60, "IN", "NS", "ns.test."))
        return message

    assert silent(asked(answers, role="authoritative")).why.reason is Reason.NOT_COVERED


def test_questions_leave_from_the_vantages_source() -> None:
    with name_server(both) as server:
        io = an_io(resolver=known("192.0.2.1"), vantage=Vantage(id="there", source="127.0.0.9"))
        assert told(look(endpoint(server.address), io)).addresses
        io = an_io(resolver=known("192.0.2.1"), vantage=Vantage(id="there", source="192.0.2.200"))
        assert "from here" in silent(look(endpoint(server.address), io)).why.detail


def test_questions_beyond_the_bound_are_counted() -> None:
    servers = [f"127.0.0.1#{port}" for port in range(1, 17)]
    subnets = [{"network": f"198.51.100.{n}/32", "country": "DE"} for n in range(32)]
    io = an_io(resolver=known("192.0.2.1"), vantage=Vantage(id="there", source="192.0.2.200"))
    facts = look(endpoint(*servers, subnets=subnets), io)
    last = facts.answers[-1]
    assert isinstance(last, DnsSilence)
    assert last.why.detail.startswith("558 more questions")
    assert AddressProbe().survey(endpoint(*servers, subnets=subnets), io).open


@pytest.mark.parametrize("address", ["999.1.1.1", "1.2.3.4#99999", "::::"])
def test_what_is_no_server_is_a_silence(address: str) -> None:
    assert silent(look(endpoint(address))).why.reason is Reason.UNSUPPORTED


def test_the_census_is_the_union_of_what_everybody_tells() -> None:
    with name_server(both) as server:
        subject = endpoint(server.address)
        io = an_io(resolver=known("192.0.2.1", "192.0.2.7"))
        census = AddressProbe().survey(subject, io)
        assert census.parts == ("192.0.2.1:443", "192.0.2.7:443", "[2001:db8::7]:443")
        assert census.open == ()
        NamesProbe().observe(subject, io)
        assert len(server.asked) == 2  # asked once for both


def test_a_silent_server_leaves_the_census_open() -> None:
    with name_server(refusing(dns.rcode.SERVFAIL)) as server:
        census = AddressProbe().survey(endpoint(server.address), an_io(resolver=known("192.0.2.1")))
    assert census.parts == ("192.0.2.1:443",)
    assert {one.reason for one in census.open} == {Reason.UNREACHABLE}


def test_a_silent_system_is_no_matter_where_the_zone_itself_answers() -> None:
    with name_server(both) as server:
        census = AddressProbe().survey(endpoint(server.address, role="authoritative"), an_io())
        assert (census.parts, census.open) == (("192.0.2.7:443", "[2001:db8::7]:443"), ())
        other = AddressProbe().survey(endpoint(server.address), an_io())
    assert other.open


def test_the_plan_says_who_is_asked() -> None:
    subject = endpoint("192.0.2.53", subnets=[{"network": SUBNET, "country": "DE"}])
    [touch] = NamesProbe().touches(subject, an_io())
    assert (touch.connections, touch.changes) == (6, False)
    assert "192.0.2.53" in touch.what


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6 on loopback")
def test_a_name_server_may_have_an_ipv6_address() -> None:
    with name_server(both, "::1") as server:
        assert told(look(endpoint(server.address))).addresses


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        ((), Reason.UNREACHABLE),
        (("not an address",), Reason.MALFORMED),
        (tuple(f"192.0.2.{n}" for n in range(65)), Reason.NOT_COVERED),
    ],
)
def test_what_the_systems_resolver_may_come_up_with(found: tuple[str, ...], reason: Reason) -> None:
    facts = look(endpoint(), an_io(resolver=known(*found)))
    assert [each.why.reason for each in facts.answers if isinstance(each, DnsSilence)] == [reason, reason]
    census = AddressProbe().survey(endpoint(), an_io(resolver=known(*found)))
    assert census.open
    assert census.parts == ()


def test_a_subnet_that_is_none_is_a_silence() -> None:
    facts = asked(both, subnets=[{"network": "300.1.1.1/24", "country": "DE"}])
    assert silent(facts, "A", "300.1.1.1/24").why.reason is Reason.UNSUPPORTED


def test_the_addresses_of_a_chain_that_nobody_finishes_stay_unknown() -> None:
    def answers(query: dns.message.Message, over_tcp: bool) -> dns.message.Message:
        name = query.question[0].name.to_text()
        if name.startswith("api."):
            return reply(query, f"{name} 60 IN CNAME lb.eu-west-1.elb.amazonaws.com.")
        return reply(query, authoritative=False)

    def system(host: str, seconds: float) -> tuple[str, ...]:
        return ("192.0.2.1",) if host == HOST else ()

    facts = asked(answers, an_io(resolver=system), role="authoritative")
    assert silent(facts).why.reason is Reason.NOT_COVERED
    assert [each.region for each in facts.named_regions] == ["eu-west-1"]


def test_no_time_is_left_for_a_second_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("probes.residency.endpoint.resolving.WAIT_SECONDS", 0.3)
    subnets = [{"network": f"198.51.100.{n}/32", "country": "DE"} for n in range(32)]
    facts = asked(lambda query, over_tcp: None, an_io(budget=0.3), subnets=subnets)
    why = {each.why.detail for each in facts.answers if isinstance(each, DnsSilence) and each.role != "system"}
    assert any(detail.startswith("no answer") for detail in why)
    assert "no time was left to ask" in why
