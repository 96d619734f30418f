"""What may be done, from where and when; and which acceptances count."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta

import pytest

from keycheck.errors import DeploymentError, ProfileError
from keycheck.files.authorization import Allowed, Denied, covers, load_authorization, parse_authorization
from keycheck.files.waiver import Rejected, accept_waiver, load_waiver, parse_waiver
from keycheck.model.authorization import AcceptedWaiver, Technique
from keycheck.model.profile import Approver, Clause, Demand, Profile, Source
from keycheck.model.verdict import Tier

AUTHORIZATION = """\
authorization: poc-2026
deployment: acme-crm
subjects: [endpoints/api-*, keys]
techniques: [active-tls]
sources: [198.51.100.0/28, 2001:db8::1]
windows:
  - {start: 2026-12-01T08:00, end: 2026-12-01T18:00, zone: Europe/Berlin}
stop_contacts: [{name: Ada, reach: "+49 1"}]
"""
INSIDE = datetime(2026, 12, 1, 7, 0, tzinfo=UTC)


def allowed(subject="endpoints/api-eu", technique=Technique.ACTIVE_TLS, source="198.51.100.7", now=INSIDE):
    return covers(parse_authorization(AUTHORIZATION.encode(), "a.yaml"), subject, technique, source, now)


def test_everything_has_to_fit():
    assert allowed() == Allowed(datetime(2026, 12, 1, 17, 0, tzinfo=UTC))
    assert isinstance(allowed(source="2001:db8::1"), Allowed)
    assert isinstance(allowed(source="::ffff:198.51.100.7"), Allowed)
    assert isinstance(allowed(subject="keys/tenant"), Allowed)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"subject": "endpoints/web"}, "subjects"),
        ({"technique": Technique.DRILL}, "techniques"),
        ({"source": "198.51.100.16"}, "from 198.51.100.16"),
        ({"source": ""}, "egress"),
        ({"source": "my house"}, "from my house"),
        ({"now": INSIDE - timedelta(microseconds=1)}, "opens 2026-12-01T07:00:00Z"),
        ({"now": datetime(2026, 12, 1, 17, 0, tzinfo=UTC)}, "last one is over"),
    ],
)
def test_whatever_does_not_fit_is_denied_with_words(change, words):
    denied = allowed(**change)
    assert isinstance(denied, Denied)
    assert words in denied.why


def test_an_hour_that_comes_twice_is_read_the_way_that_allows_less():
    text = AUTHORIZATION.replace("2026-12-01T08:00", "2026-10-25T02:30").replace("2026-12-01T18:00", "2026-10-25T04:00")
    authorization = parse_authorization(text.encode(), "a.yaml")
    ask = (authorization, "keys/k", Technique.ACTIVE_TLS, "198.51.100.7")
    assert isinstance(covers(*ask, datetime(2026, 10, 25, 0, 45, tzinfo=UTC)), Denied)
    assert isinstance(covers(*ask, datetime(2026, 10, 25, 1, 45, tzinfo=UTC)), Allowed)


@pytest.mark.parametrize(
    ("old", "new", "place", "words"),
    [
        ("Europe/Berlin", "Europe/Berln", "7:60", "did you mean `Europe/Berlin`?"),
        ("Europe/Berlin", "Europe", "7:60", "no IANA time zone"),
        ("Europe/Berlin", "localtime", "7:60", "no IANA time zone"),
        ("2026-12-01T18:00", "2026-12-01T07:00", "7:36", "ends before it starts"),
        ("2026-12-01T18:00", "2026-02-31T07:00", "7:36", "no such time"),
        ("198.51.100.0/28", "198.51.100.7/28", "5:11", "no address or network"),
        ("active-tls", "aktive-tls", "4:14", "did you mean `active-tls`?"),
        ("stop_contacts", "stop_contact", "9:1", "did you mean"),
        ("deployment: acme-crm", "deployment: other", "2:13", "is for `other`, not for `acme-crm`"),
    ],
)
def test_a_wrong_authorization_names_the_place(tmp_path, old, new, place, words):
    path = tmp_path / "a.yaml"
    path.write_text(AUTHORIZATION.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(DeploymentError) as caught:
        load_authorization(path, "acme-crm")
    text = f"{caught.value}\n{caught.value.advice}"
    assert words in text
    if old != "stop_contacts":
        assert f"a.yaml:{place}: " in text


WAIVER = """\
waiver: w-1
profile: own
clause: ONE
control: demo.only
subjects: [things/api]
reason: The old load balancer goes in March.
requested_by: Bob
approved_by: Ada Lovelace
granted: 2026-11-01
expires: 2026-12-31
"""
KEY = base64.b64encode(b"A" * 44).decode()
ADA = Approver(name="Ada Lovelace", public_key=KEY)
PROFILE = Profile(
    profile="own",
    version=1,
    title="t",
    sources=(Source(profile="own", version=1, sha256="0" * 64),),
    approvers=(ADA, Approver(name="Cy", public_key=base64.b64encode(b"B" * 44).decode())),
    clauses=(
        Clause(
            id="ONE",
            text="t",
            tier=Tier.MUST_HAVE,
            requires=(Demand.model_validate({"control": "demo.only@1", "for": "things"}),),
        ),
    ),
)


def accept(text: str = WAIVER, signed_by: tuple[str, ...] = (ADA.key,)) -> AcceptedWaiver | Rejected:
    waiver, _ = parse_waiver(text.encode(), "w.yaml")
    return accept_waiver(waiver, signed_by, PROFILE)


def test_a_waiver_counts_to_the_end_of_its_last_day():
    accepted = accept(signed_by=("f" * 64, ADA.key))
    assert isinstance(accepted, AcceptedWaiver)
    assert accepted.signed_by == (ADA.key,)
    assert accepted.counts_at(datetime(2026, 12, 31, 23, 59, 59, 999999, tzinfo=UTC))
    assert not accepted.counts_at(datetime(2027, 1, 1, tzinfo=UTC))
    assert not accepted.counts_at(datetime(2026, 10, 31, 23, tzinfo=UTC))


@pytest.mark.parametrize("date", ["31.12.2026", "2026-02-30", "never", "2026-12-31T10:00", "9999-12-31"])
def test_a_malformed_date_counts_as_expired_and_is_told(date, tmp_path):
    path = tmp_path / "w.yaml"
    path.write_text(WAIVER.replace("2026-12-31", date), encoding="utf-8")
    loaded = load_waiver(path)
    assert "w.yaml:10:10: `expires` is not a date" in loaded.notes[0]
    accepted = accept_waiver(loaded.waiver, (ADA.key,), PROFILE)
    assert isinstance(accepted, AcceptedWaiver)
    assert not accepted.counts_at(datetime(2026, 11, 2, tzinfo=UTC))


@pytest.mark.parametrize(
    ("old", "new", "signed_by", "why"),
    [
        ("profile: own", "profile: other", (ADA.key,), "not for own"),
        ("clause: ONE", "clause: TWO", (ADA.key,), "no clause TWO"),
        ("control: demo.only", "control: demo.bare", (ADA.key,), "does not demand"),
        ("approved_by: Ada Lovelace", "approved_by: Eve", (ADA.key,), "no approver"),
        ("approved_by: Ada Lovelace", "approved_by: Cy", (ADA.key,), "not signed with Cy's key"),
        ("", "", (), "not signed"),
        ("expires: 2026-12-31", "expires: 2027-01-30", (ADA.key,), "longer than 90 days"),
    ],
)
def test_what_does_not_count_says_why(old, new, signed_by, why):
    rejected = accept(WAIVER.replace(old, new, 1), signed_by)
    assert isinstance(rejected, Rejected)
    assert why in rejected.why
    assert rejected.advice


def test_exactly_ninety_days_are_allowed():
    assert isinstance(accept(WAIVER.replace("2026-12-31", "2027-01-29")), AcceptedWaiver)


@pytest.mark.parametrize("name", ["ada lovelace", " Ada  LOVELACE", "AdaLovelace", "Ａda Lovelace"])
def test_nobody_approves_what_they_asked_for(name):
    text = WAIVER.replace("requested_by: Bob", f'requested_by: "{name}"')
    with pytest.raises(ProfileError, match=r"w\.yaml:8:14: the approver is the one who asked"):
        parse_waiver(text.encode(), "w.yaml")


def test_a_pass_cannot_be_waived_and_a_malformed_file_is_an_error():
    with pytest.raises(ProfileError, match="needs no waiver"):
        parse_waiver((WAIVER + "verdicts: [pass]\n").encode(), "w.yaml")
    with pytest.raises(ProfileError, match=r"w\.yaml:3:9"):
        parse_waiver(WAIVER.replace("clause: ONE", "clause: one").encode(), "w.yaml")
