"""What leaves: prompts, subprocessors, operators, inference. Real files in, verdicts out."""

from __future__ import annotations

import base64
import contextlib
import gzip
import hashlib
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keycheck.errors import ProbeError
from keycheck.model.deployment import SubjectEntry, Vantage
from keycheck.model.facts import Unseen
from keycheck.model.probe import Io
from keycheck.model.types import CanonicalJson
from keycheck.model.verdict import Assurance, Kind, Reason, Verdict
from probes.places.country_names import countries_in
from probes.residency.endpoint_facts import NotAsked
from probes.residency.flow_controls import Inference, OperatorControl, Subprocessors
from probes.residency.flow_facts import InferenceFacts, OperatorFacts, PromptFacts, RosterFacts, Runs
from probes.residency.observe_operator import OperatorProbe
from probes.residency.observe_prompts import PromptProbe
from probes.residency.observe_roster import RosterProbe
from probes.residency.prompt_control import Identifiers
from probes.residency.prompts.captures import CaptureError, requests
from probes.residency.rosters.tables import RosterError, read
from probes.residency.subjects import Inference as Declared
from probes.residency.subjects import Operator, Prompts, Roster

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
MAIL = "erika.mustermann@mail.example.org"


def io(base: Path, subjects: Sequence[SubjectEntry] = ()) -> Io:
    def nobody(host: str, seconds: float) -> Sequence[str]:
        raise ProbeError(Reason.UNREACHABLE, f"{host} has no address")

    return Io(
        vantage=Vantage(id="here"),
        budget=60.0,
        demands=(),
        samples=1,
        authorized=frozenset(),
        base=base,
        environment={},
        resolver=nobody,
        clock=lambda: NOW,
        entropy=bytes,
        subjects=tuple(subjects),
    )


# Prompts.


def prompts(tmp_path: Path, content: bytes, **more: Any) -> tuple[PromptFacts, Assurance | None]:
    (tmp_path / "log").write_bytes(content)
    subject = Prompts(id="log", files=("log",), **{"captured_by": "customer"} | more)
    seen = PromptProbe().observe(subject, io(tmp_path))
    assert isinstance(seen.facts, PromptFacts)
    return seen.facts, seen.assurance


def forbids(facts: PromptFacts, *kinds: str) -> Verdict:
    return Identifiers.model_validate({"forbidden": kinds or ("email", "iban")}).judge(facts)


def lines(*values: object) -> bytes:
    return b"".join(json.dumps(value).encode() + b"\n" for value in values)


def said(text: str) -> dict[str, object]:
    return {"model": "m-1", "messages": [{"role": "user", "content": text}]}


def test_a_clean_log_passes_and_a_mail_address_breaks_it_without_being_told(tmp_path: Path) -> None:
    clean, assurance = prompts(tmp_path, lines(said("Summarise the ticket."), said("And this one.")))
    assert (clean.requests, clean.models, assurance) == (2, ("m-1",), Assurance.OBSERVED)
    assert forbids(clean).kind is Kind.PASS
    dirty, _ = prompts(tmp_path, lines(said("Summarise."), said(f"Write to {MAIL} today.")))
    (found,) = [one for one in dirty.identifiers if one.kind == "email"]
    assert (found.requests, found.exact, found.places) == (1, True, ("log:request 2 /messages/0/content",))
    assert forbids(dirty).kind is Kind.FAIL
    assert "mustermann" not in dirty.model_dump_json() + forbids(dirty).message


@pytest.mark.parametrize(
    "hidden",
    [
        said(json.dumps({"tool": {"to": MAIL.replace("@", "\\u0040")}}).replace("\\\\", "\\")),
        said(base64.b64encode(f"{'x' * 300} {MAIL} ".encode()).decode()),
        {"model": "m", "input": {MAIL: 1}},
        {"model": "m", "a": {"b": [[{"c": f"<{MAIL}>"}]]}},
    ],
)
def test_identifiers_are_found_where_they_hide(tmp_path: Path, hidden: object) -> None:
    facts, _ = prompts(tmp_path, gzip.compress(lines(hidden)))
    assert forbids(facts).kind is Kind.FAIL


def test_a_har_is_read_by_what_was_sent(tmp_path: Path) -> None:
    def entry(url: str, text: str | None) -> dict[str, object]:
        posted = {} if text is None else {"postData": {"mimeType": "application/json", "text": text}}
        return {"request": {"url": url, "method": "POST", "bodySize": -1, **posted}, "response": {"text": MAIL}}

    def har(*entries: object) -> bytes:
        return json.dumps({"log": {"version": "1.2", "entries": entries}}).encode()

    url = "https://llm.example/v1/chat"
    clean, _ = prompts(tmp_path, har(entry(url, json.dumps(said("Hello.")))))
    assert (clean.hosts, clean.models) == (("llm.example",), ("m-1",))
    assert forbids(clean).kind is Kind.PASS  # what was answered is not what was sent
    assert forbids(prompts(tmp_path, har(entry(f"{url}?to={MAIL.replace('@', '%40')}", "{}")))[0]).kind is Kind.FAIL
    cut = {"request": {"url": url, "bodySize": 900}}
    facts, _ = prompts(tmp_path, har(entry(url, "{}"), cut))
    assert facts.coverage() == (1, 2)
    assert forbids(facts).reasons == (Reason.MALFORMED,)


def test_what_could_not_be_read_or_does_not_add_up_never_passes(tmp_path: Path) -> None:
    assert forbids(prompts(tmp_path, lines(said("Hi.")) + b"{broken\n")[0]).reasons == (Reason.MALFORMED,)
    picture = {"model": "m", "image": "data:image/png;base64," + base64.b64encode(bytes(range(256))).decode()}
    assert forbids(prompts(tmp_path, lines(said("Hi."), picture))[0]).reasons == (Reason.NOT_COVERED,)
    assert forbids(prompts(tmp_path, lines(said("Hi.")), requests=2)[0]).reasons == (Reason.NOT_COVERED,)
    assert forbids(prompts(tmp_path, lines(said("Hi.")), digests=("00" * 32,))[0]).reasons == (Reason.CONFLICTING,)
    content = lines(said("Hi."))
    digests = (hashlib.sha256(content).hexdigest(),)
    assert forbids(prompts(tmp_path, content, digests=digests, requests=1)[0]).kind is Kind.PASS
    assert forbids(prompts(tmp_path, b"")[0]).reasons == (Reason.NO_POSITIVE,)
    assert forbids(prompts(tmp_path, content)[0], "shoe-size").reasons == (Reason.UNSUPPORTED,)
    assert prompts(tmp_path, content, captured_by="vendor")[1] is Assurance.DOCUMENTED


def test_bombs_and_cut_archives_are_refused(tmp_path: Path) -> None:
    for content in (gzip.compress(b"0" * (1 << 29)), gzip.compress(lines(said("Hi.")))[:-9]):
        with pytest.raises(ProbeError) as caught:
            prompts(tmp_path, content)
        assert caught.value.reason is Reason.MALFORMED
    deep = b"[" * 100_000 + b"]" * 100_000
    assert forbids(prompts(tmp_path, deep)[0]).kind is Kind.INCONCLUSIVE


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(content=st.binary(max_size=300) | JSON.map(lambda value: json.dumps(value).encode()))
def test_no_capture_crashes_the_reader(content: bytes) -> None:
    try:
        for one in requests(content, "auto"):
            assert all(text.encode("utf-8") is not None for _, text in one.texts)
    except CaptureError:
        pass


@given(value=JSON)
def test_every_string_of_a_request_is_looked_at(value: Any) -> None:
    def strings(inner: Any) -> set[str]:
        match inner:
            case str():
                return {inner}
            case list():
                return {one for each in inner for one in strings(each)}
            case dict():
                return {*inner, *(one for each in inner.values() for one in strings(each))}
        return set()

    (sent,) = requests(lines({"x": value}), "ndjson")
    told = {text for _, text in sent.texts}
    assert {one.encode("utf-8", "replace").decode() for one in strings(value)} <= told


# Rosters.

CSV = "Name,Country,Purpose\nHosting GmbH,Germany,Hosting\nMail SAS,France (Paris),E-mail\n"


def roster(tmp_path: Path, current: str = CSV, previous: str | None = CSV, **more: Any) -> RosterFacts:
    (tmp_path / "now").write_text(current, encoding="utf-8")
    if previous is not None:
        (tmp_path / "before").write_text(previous, encoding="utf-8")
    given_ = {
        "id": "roster",
        "current": "now",
        "fetched": NOW,
        "previous": None if previous is None else "before",
        "previous_fetched": NOW - timedelta(days=90),
    }
    facts = RosterProbe().observe(Roster.model_validate(given_ | more), io(tmp_path)).facts
    assert isinstance(facts, RosterFacts)
    return facts


def held(facts: RosterFacts) -> Verdict:
    return Subprocessors.model_validate({"jurisdiction": ["EU"]}).judge(facts)


HTML = """<html><body><table><tr><th>Entity name</th><th>Location of processing</th><th>Purpose</th></tr>
<tr><td>Hosting&nbsp;GmbH</td><td>Germany<br>Ireland</td><td>Hosting</td></tr><tr><td><b>Mail SAS</b></td>
<td>France</td><td>E-mail</td></tr></table><script>document.write("<table><tr><td>x</td></tr></table>")</script>"""
JSON_ROSTER = json.dumps({"subprocessors": [{"name": "Hosting GmbH", "locations": ["DE", "IE"], "service": "Hosting"}]})


@pytest.mark.parametrize(("text", "form"), [(CSV, "csv"), (HTML, "html"), (JSON_ROSTER, "json")])
def test_rosters_are_read_in_all_their_forms(tmp_path: Path, text: str, form: str) -> None:
    facts = roster(tmp_path, text, text)
    assert facts.format == form
    assert "DE" in next(one for one in facts.entries if one.name == "Hosting GmbH").countries
    assert held(facts).kind is Kind.PASS


def test_a_party_abroad_in_a_place_nobody_understands_or_everywhere(tmp_path: Path) -> None:
    row = "Cloud Inc,{},Hosting\n"
    assert held(roster(tmp_path, text := CSV + row.format("USA"), text)).kind is Kind.FAIL
    for words in ("Middle-earth", "worldwide", '"Germany, and others"', "EMEA"):
        text = CSV + row.format(words)
        assert held(roster(tmp_path, text, text)).reasons == (Reason.NOT_COVERED,)
    assert held(roster(tmp_path, text := CSV + row.format("EU"), text)).kind is Kind.PASS


def test_a_change_without_notice_or_with_a_late_one_is_a_breach(tmp_path: Path) -> None:
    added = CSV + "Chat BV,Netherlands,Support chat\n"
    notice = {"party": "Chat B.V.", "received": NOW - timedelta(days=60)}
    late = notice | {"received": NOW - timedelta(days=10)}
    assert "without notice" in held(roster(tmp_path, added)).message
    assert held(roster(tmp_path, added)).kind is Kind.FAIL
    assert held(roster(tmp_path, added, notices=[late])).kind is Kind.FAIL
    assert held(roster(tmp_path, added, notices=[notice])).kind is Kind.PASS
    assert held(roster(tmp_path, CSV.replace("Germany", "Ireland"))).kind is Kind.FAIL  # moved
    assert held(roster(tmp_path, CSV.replace("Hosting\n", "Analytics\n"))).kind is Kind.FAIL
    assert held(roster(tmp_path, CSV.rsplit("Mail", 1)[0])).kind is Kind.PASS  # removed
    assert held(roster(tmp_path, previous=None)).reasons == (Reason.NOT_COVERED,)
    assert held(roster(tmp_path, fetched=None)).reasons == (Reason.NOT_COVERED,)


def test_another_company_of_a_group_is_another_party_and_an_old_notice_is_of_something_else(tmp_path: Path) -> None:
    other = CSV.replace("Hosting GmbH", "Hosting Inc.")
    assert "was added" in held(roster(tmp_path, other)).message
    added = CSV + "Chat BV,Netherlands,Support chat\n"
    years_ago = {"party": "Chat B.V.", "received": NOW - timedelta(days=900)}
    assert held(roster(tmp_path, added, notices=[years_ago])).kind is Kind.FAIL


def key(*principals: str) -> SubjectEntry:
    body = {
        "id": "contacts",
        "provider": "aws",
        "resource": "arn:aws:kms:eu-central-1:111111111111:key/mrk-1234",
        "model": "direct-kms",
        "agreed": {"vendor": principals},
    }
    return SubjectEntry(id="keys/contacts", vantages=("here",), body=CanonicalJson.of(body))


def test_who_may_use_the_keys_is_on_the_roster(tmp_path: Path) -> None:
    role = "arn:aws:iam::222222222222:role/app"
    (tmp_path / "now").write_text(CSV)
    given_ = {"id": "roster", "current": "now", "previous": "now", "fetched": NOW}
    party = {"name": "Hosting GmbH", "principals": [role]}

    def judged(parties: list[object], *principals: str) -> Verdict:
        subject = Roster.model_validate(given_ | {"parties": parties})
        facts = RosterProbe().observe(subject, io(tmp_path, (key(*principals),))).facts
        assert isinstance(facts, RosterFacts)
        return held(facts)

    assert judged([party], role).kind is Kind.PASS
    assert judged([party], role, "arn:aws:iam::333333333333:role/stranger").kind is Kind.FAIL
    assert judged([{"name": "Nobody SA"}]).kind is Kind.FAIL  # a party of the contract that it does not list
    lookup = {"name": "Hosting GmbH", "hosts": ["hosting.example"]}
    assert judged([lookup]).reasons == (Reason.UNREACHABLE,)


def test_rosters_that_are_none_say_so(tmp_path: Path) -> None:
    for text in ("", "{", "[]", '{"a": [1], "b": [2]}', "<html></html>", 'a,b\n"x', "just a line"):
        with pytest.raises(ProbeError) as caught:
            roster(tmp_path, text)
        assert caught.value.reason is Reason.MALFORMED
    ragged = CSV + "Short\n"
    assert held(roster(tmp_path, ragged, ragged)).reasons == (Reason.MALFORMED,)


@given(content=st.binary(max_size=400) | st.text(alphabet='<>/tabledrh \n,"{}[]:x', max_size=400).map(str.encode))
def test_no_roster_crashes_the_reader(content: bytes) -> None:
    with contextlib.suppress(RosterError):
        assert read(content).rows


@pytest.mark.parametrize(
    ("words", "codes"),
    [
        ("Germany (Frankfurt)", {"DE"}),
        ("Ireland, United States", {"IE", "US"}),
        ("DE, IE", {"DE", "IE"}),
        ("US", {"US"}),
        ("Niger", {"NE"}),
        ("Guinea-Bissau", {"GW"}),
        ("New Jersey, USA", {"US"}),
        ("We are in no place", set()),
        ("worldwide", set()),
        ("Deutschland und Österreich", {"AT", "DE"}),
    ],
)
def test_countries_are_read_in_words(words: str, codes: set[str]) -> None:
    assert countries_in(words) == codes


# Operators.


def operator(tmp_path: Path, **more: Any) -> tuple[OperatorFacts, Assurance | None]:
    given_: dict[str, Any] = {
        "id": "vendor",
        "name": "CRM GmbH",
        "seat": "DE",
        "parent": "none",
        "law": "DE",
        "staff": ["DE", "IE"],
        "support": ["DE"],
        "holdings": [{"name": "Founders", "seat": "DE", "share": 10_000}],
    }
    seen = OperatorProbe().observe(Operator.model_validate(given_ | more), io(tmp_path))
    assert isinstance(seen.facts, OperatorFacts)
    return seen.facts, seen.assurance


def owned(facts: OperatorFacts) -> Verdict:
    return OperatorControl.model_validate({"jurisdiction": ["EU"]}).judge(facts)


def test_what_is_stated_inside_passes_and_what_is_not_stated_does_not(tmp_path: Path) -> None:
    assert owned(operator(tmp_path)[0]).kind is Kind.PASS
    for missing in ({"seat": None}, {"parent": None}, {"law": None}, {"staff": []}, {"support": []}, {"holdings": []}):
        assert owned(operator(tmp_path, **missing)[0]).reasons == (Reason.NOT_COVERED,)


@pytest.mark.parametrize(
    "abroad",
    [
        {"seat": "US"},
        {"parent": "Big Inc", "parent_seat": "US"},
        {"law": "GB"},
        {"support": ["DE", "IN"]},
        {"holdings": [{"name": "Fund", "seat": "US", "share": 2401}, {"name": "F", "seat": "DE", "share": 7599}]},
        {"holdings": [{"name": f"Fund {n}", "seat": "US", "share": 2000} for n in range(2)]},
    ],
)
def test_what_is_stated_outside_is_a_breach(tmp_path: Path, abroad: dict[str, Any]) -> None:
    assert owned(operator(tmp_path, **abroad)[0]).kind is Kind.FAIL


def test_documents_lift_a_statement_only_where_they_are_those_declared(tmp_path: Path) -> None:
    (tmp_path / "letter.pdf").write_bytes(b"signed")
    digest = hashlib.sha256(b"signed").hexdigest()
    good = {"file": "letter.pdf", "sha256": digest}
    facts, assurance = operator(tmp_path, evidence=[good])
    assert (owned(facts).kind, assurance) == (Kind.PASS, Assurance.DOCUMENTED)
    assert operator(tmp_path, evidence=[{"file": "letter.pdf"}])[1] is Assurance.STATED
    for bad, reason in (
        ({"file": "letter.pdf", "sha256": "00" * 32}, Reason.CONFLICTING),
        ({"file": "gone.pdf", "sha256": digest}, Reason.UNREACHABLE),
        (good | {"expires": NOW - timedelta(days=1)}, Reason.STALE),
    ):
        assert owned(operator(tmp_path, evidence=[bad])[0]).reasons == (reason,)


# Inference.


def inference(runs: Any, named: tuple[str, ...] = (), logging: Any = None, **more: Any) -> Verdict:
    declared = Declared.model_validate({"id": "llm", "provider": "aws", "model": "eu.some.model"} | more)
    told = InferenceFacts(declared=declared, runs=runs, named=named, logging=logging or NotAsked())
    return Inference.model_validate({"jurisdiction": ["EU"]}).judge(told)


def runs(*regions: str) -> Runs:
    return Runs(regions=regions, profile=None, models=(), status="ACTIVE")


def test_where_a_model_may_run_decides() -> None:
    assert inference(runs("eu-central-1", "eu-west-1")).kind is Kind.PASS
    assert inference(runs("eu-central-1", "us-east-1")).kind is Kind.FAIL
    assert inference(runs("eu-central-1", "eu-west-2")).kind is Kind.FAIL
    assert inference(runs("eu-central-1"), region="us-east-1").kind is Kind.FAIL
    assert inference(runs("eu-central-1"), named=("global",)).kind is Kind.FAIL
    assert inference(runs("global")).kind is Kind.FAIL
    assert inference(runs("eu-central-1"), scope="global").kind is Kind.FAIL
    assert inference(runs()).reasons == (Reason.NO_POSITIVE,)
    assert inference(runs("eu-north-99")).reasons == (Reason.NOT_COVERED,)
    assert inference(NotAsked(), provider="openai").reasons == (Reason.NOT_COVERED,)
    denied = Unseen(reason=Reason.PERMISSION_DENIED, detail="bedrock:GetInferenceProfile")
    assert inference(denied).reasons == (Reason.PERMISSION_DENIED,)
    told = inference(runs("eu-central-1", "eu-west-1"), logging=denied)
    assert told.reasons == (Reason.PERMISSION_DENIED,)
