"""The complement of a contract as hellos: nothing forbidden is left out, and every hello can be sent."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keycheck.model.control import Control
from probes.tls.answer_facts import CLOSING, SSL2, TLS13, Purpose, format_codes, read_codes
from probes.tls.negotiation_controls import Groups, PostQuantum, Protocols, Suites
from probes.tls.questions import KNOWN, Contract, contract, first_questions
from probes.tls.session_controls import Compression, Hsts
from probes.tls.wire.codepoints import ANY_SUITE, GROUPS, GROUPS13, SUITES, SUITES13, VERSIONS
from probes.tls.wire.hello import Hello, encode

ONLY_13 = Protocols(only=frozenset({"TLSv1.3"}))
BOTH = Protocols(only=frozenset({"TLSv1.2", "TLSv1.3"}))
SUITE_LIST = Suites(only=frozenset({"TLS_AES_256_GCM_SHA384", "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"}))
GROUP_LIST = Groups(only=frozenset({"X25519MLKEM768", "x25519"}))
TLS_CONNECTIONS = 16


def contracts() -> st.SearchStrategy[Contract]:
    def some(codes: object) -> st.SearchStrategy[frozenset[int] | None]:
        return st.none() | st.frozensets(st.sampled_from(sorted(codes)), min_size=1, max_size=12)  # type: ignore[call-overload]

    return st.builds(
        Contract,
        versions=some(set(VERSIONS) - {SSL2, 0x0300}),
        suites=some(ANY_SUITE),
        groups=some(GROUPS),
        sessions=st.booleans(),
        raw=st.just(True),
    )


@given(contracts())
@settings(max_examples=80, deadline=None)
def test_every_hello_can_be_sent(terms: Contract) -> None:
    for ask in first_questions(terms):
        hello = ask.hello
        name = "a.example" if isinstance(hello, Hello) and hello.extensions else None
        assert encode(replace(hello, random=bytes(32), sni=name) if isinstance(hello, Hello) else hello)
        assert len(ask.suites) < 128


@given(contracts())
@settings(max_examples=80, deadline=None)
def test_questions_offer_nothing_allowed_in_what_they_test(terms: Contract) -> None:
    for ask in first_questions(terms):
        match ask.tests:
            case Purpose.SUITES if ask.cap != SSL2:
                assert terms.suites is not None
                assert not terms.suites & set(ask.suites)
            case Purpose.VERSIONS if terms.versions is not None:
                assert ask.cap not in terms.versions
            case Purpose.GROUPS if not ask.id.endswith("-first"):
                assert terms.groups is not None
                assert not terms.groups & set(ask.groups)
            case Purpose.TWIN if ask.id.endswith("-base"):
                assert terms.suites is None or terms.suites >= set(ask.suites)
                assert terms.groups is None or terms.groups >= set(ask.groups)
            case _:
                pass


@given(contracts())
@settings(max_examples=80, deadline=None)
def test_ids_are_unique_and_every_question_names_a_twin_that_can_be_asked(terms: Contract) -> None:
    asks = first_questions(terms)
    ids = {ask.id for ask in asks}
    assert len(ids) == len(asks)
    if not any(ask.tests is Purpose.TWIN for ask in asks):
        return  # the contract allows nothing that could be offered: all refusals stay unproved
    for ask in asks:
        if ask.tests is not Purpose.TWIN:
            assert set(ask.twins) & ids, ask.id


def test_the_complement_is_complete() -> None:
    asks = first_questions(contract((ONLY_13, SUITE_LIST, GROUP_LIST)))
    allowed = {0x1302, 0xC030}
    for version, age in ((TLS13, SUITES13), (0x0303, SUITES)):
        offered = {s for a in asks if a.cap == version and a.tests is not Purpose.TWIN for s in a.suites}
        assert offered >= set(age) - allowed
    groups = {g for a in asks if a.tests is Purpose.GROUPS and a.cap == TLS13 for g in a.groups}
    assert groups == GROUPS13 - {0x11EC, 0x1D}
    caps = {a.cap for a in asks if a.tests is Purpose.VERSIONS}
    assert caps == {0x0002, 0x0300, 0x0301, 0x0302, 0x0303}
    for version in caps:
        offered = {s for a in asks if a.cap == version for s in a.suites}
        assert offered == KNOWN.suites(version)


def test_legacy_hellos_are_sent_as_the_research_says() -> None:
    asks = first_questions(contract((ONLY_13,)))
    old = [a.hello for a in asks if a.tests is Purpose.VERSIONS and isinstance(a.hello, Hello) and a.cap > 0x0300]
    assert {hello.record_version for hello in old} == {0x0301, 0x0303}
    assert all(hello.renegotiation_scsv and hello.extended_master_secret for hello in old)
    assert all(hello.supported_versions is None for hello in old)


@given(contracts())
@settings(max_examples=80, deadline=None)
def test_no_record_version_is_above_the_hellos(terms: Contract) -> None:
    for ask in first_questions(terms):
        if isinstance(ask.hello, Hello):
            assert ask.hello.record_version <= ask.hello.legacy_version, ask.id


@pytest.mark.parametrize("versions", [ONLY_13, BOTH])
def test_every_version_is_first_asked_as_clients_ask(versions: Control) -> None:
    for ask in first_questions(contract((versions, SUITE_LIST))):
        if isinstance(ask.hello, Hello) and ask.tests is not Purpose.TWIN and ask.cap > 0x0300:
            other = ask.cap == 0x0303 and int(ask.id.rpartition("-")[2]) % 2 == 0
            assert ask.hello.record_version == (0x0303 if other else 0x0301), ask.id


@given(contracts())
@settings(max_examples=80, deadline=None)
def test_the_last_question_is_an_allowed_one_again(terms: Contract) -> None:
    asks = {ask.id: ask for ask in first_questions(terms)}
    *others, last = list(asks.values()) or [None]
    bases = [ask for ask in others if ask is not None and ask.id.endswith("-base")]
    if last is None or not bases:
        return
    assert last.id.startswith(CLOSING)
    assert last.tests is Purpose.TWIN
    opening = asks[last.id.removeprefix(CLOSING)]
    if len(bases) == 1:
        assert last.hello == opening.hello
    for base in bases:
        assert set(base.groups) <= set(last.groups)
        assert len(set(base.suites) & set(last.suites)) >= min(6, len(base.suites))


@pytest.mark.parametrize("versions", [ONLY_13, BOTH])
def test_connections_stay_within_the_budget(versions: Control) -> None:
    demands = (versions, SUITE_LIST, GROUP_LIST, PostQuantum(mode="preferred"))
    asks = [a for a in first_questions(contract(demands)) if a.cap not in (SSL2, 0x0300)]
    assert len(asks) + 1 <= TLS_CONNECTIONS  # one real handshake


def test_twins_differ_in_the_tested_value_only() -> None:
    asks = {a.id: a for a in first_questions(contract((ONLY_13, SUITE_LIST, GROUP_LIST)))}
    base = asks["tls1.3-base"].hello
    assert isinstance(base, Hello)
    suites, groups = asks["tls1.3-suites-1"].hello, asks["tls1.3-groups-1"].hello
    assert isinstance(suites, Hello)
    assert isinstance(groups, Hello)
    assert replace(suites, suites=base.suites) == base
    assert replace(groups, groups=base.groups) == base
    for record in (0x0301, 0x0303):
        twin = asks[f"twin-legacy-{record:04x}"].hello
        old = next(
            a.hello for a in asks.values() if f"twin-legacy-{record:04x}" in a.twins and a.id.startswith("tls1.2")
        )
        assert isinstance(twin, Hello)
        assert isinstance(old, Hello)
        as_old = replace(
            twin,
            supported_versions=old.supported_versions,
            key_share=old.key_share,
            suites=old.suites,
            groups=old.groups,
        )
        assert as_old == old


def test_demands_are_intersected() -> None:
    other = Groups(only=frozenset({"x25519", "secp256r1"}))
    terms = contract((GROUP_LIST, other, PostQuantum(mode="forbidden")))
    assert terms.groups == {0x1D}
    assert contract((PostQuantum(mode="required"),)).versions == {TLS13}


def test_without_a_demand_nothing_raw_is_asked() -> None:
    assert first_questions(contract(())) == ()
    assert first_questions(contract((Hsts(),))) == ()
    assert first_questions(contract((Compression(),)))


@given(st.sets(st.integers(0, 0xFFFF), max_size=200))
def test_code_sets_have_one_spelling(codes: set[int]) -> None:
    ordered = tuple(sorted(codes))
    assert read_codes(format_codes(ordered)) == ordered


@pytest.mark.parametrize("text", ["0017 0018", "0018 0017", "17", "0017-", "0017-0017", "0000-ffff", "0017  001d", "x"])
def test_other_spellings_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="code points"):
        read_codes(text)
