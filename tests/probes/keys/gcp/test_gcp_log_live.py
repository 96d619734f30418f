"""The log of a key in the lab's Google Cloud."""

from __future__ import annotations

from datetime import timedelta

import pytest
from gcp_company import LOG_ASPECTS, NEEDED, NOW, Company

from keycheck.lab.gcp.entries import ACTIVITY, Entry
from keycheck.model.facts import Unseen
from keycheck.model.observation import Blob, Disposition
from keycheck.model.verdict import Reason
from probes.keys import gcp
from probes.keys.aspects import Aspect
from probes.keys.facts import EventFacts, LoggingFacts

WINDOW = (NOW - timedelta(days=14), NOW)
APP = "serviceAccount:app@vendor.iam.gserviceaccount.com"


def read(
    company: Company, resource: str, asked: frozenset[Aspect] = LOG_ASPECTS
) -> tuple[LoggingFacts | Unseen, EventFacts | Unseen, tuple[Blob, ...]]:
    subject = company.subject(resource, roots=False)
    logging, events, endpoint, blobs = gcp.log(subject, "europe-west3", asked, WINDOW, company.io())
    assert endpoint == company.cloud.address
    return logging, events, blobs


def logged(company: Company, resource: str) -> LoggingFacts:
    found = read(company, resource, frozenset({Aspect.LOGGING}))[0]
    assert isinstance(found, LoggingFacts), found
    return found


def happened(company: Company, resource: str) -> EventFacts:
    found = read(company, resource, frozenset({Aspect.EVENTS}))[1]
    assert isinstance(found, EventFacts), found
    return found


def entry(key: str, hours: float = 1, **given: object) -> Entry:
    fields: dict[str, object] = {
        "at": NOW - timedelta(hours=hours),
        "method": "Decrypt",
        "resource": f"{key}/cryptoKeyVersions/1",
        "principal": APP,
    }
    return Entry(**{**fields, **given})  # type: ignore[arg-type]


def test_without_settings_nothing_is_logged_and_that_is_known(company: Company) -> None:
    facts = logged(company, company.seed())
    assert facts.complete, facts.why_not
    assert [level.data_read for level in facts.audit] == [False, False, False]


def test_settings_of_every_level_are_seen_with_their_exemptions(company: Company) -> None:
    name = company.seed()
    iam = company.cloud.iam
    iam.audit(company.organization, "DATA_READ", service="allServices", exempted=("user:root@acme.example",))
    iam.audit("projects/acme", "DATA_READ", "DATA_WRITE", exempted=(APP,))
    iam.audit(company.folder, "DATA_WRITE", "ADMIN_READ", exempted=("user:other@acme.example",))
    levels = {level.resource: level for level in logged(company, name).audit}
    assert levels["projects/acme"].data_read
    assert levels["projects/acme"].exempted == (APP,)
    assert not levels[company.folder].data_read
    assert levels[company.folder].exempted == ()
    assert levels[company.organization].data_read
    assert levels[company.organization].exempted == ("user:root@acme.example",)


def test_other_services_settings_do_not_count(company: Company) -> None:
    name = company.seed()
    company.cloud.iam.audit("projects/acme", "DATA_READ", service="storage.googleapis.com")
    assert not any(level.data_read for level in logged(company, name).audit)


def test_a_denied_level_makes_the_settings_incomplete(company: Company) -> None:
    name = company.seed()
    company.without("resourcemanager.organizations.getIamPolicy")
    facts = logged(company, name)
    assert not facts.complete
    assert company.organization in facts.why_not
    assert len(facts.audit) == 2


def test_when_no_level_can_be_read_there_are_no_facts(company: Company) -> None:
    name = company.seed()
    company.allow("logging.logEntries.list", "logging.privateLogEntries.list")
    logging, events, _ = read(company, name)
    assert isinstance(logging, Unseen)
    assert logging.reason is Reason.PERMISSION_DENIED
    assert isinstance(events, EventFacts)  # a denial of one is none of the other


def test_real_uses_are_seen_as_they_were(company: Company) -> None:
    name = company.seed()
    company.cloud.iam.audit("projects/acme", "DATA_READ")
    for hours in (1, 2, 3):
        company.cloud.logs.seed(entry(name, hours, caller_ip="198.51.100.7"))
    company.cloud.logs.seed(entry(name, 4, code=7, message="denied", principal="user:eve@other.example"))
    company.cloud.logs.seed(entry(name, 5, reason="CUSTOMER_INITIATED_ACCESS", method="Encrypt", resource=name))
    facts = happened(company, name)
    assert (facts.entries, facts.complete, facts.why_not) == (5, True, "")
    uses = {(use.operation, use.principal): use for use in facts.uses}
    app = uses["Decrypt", APP]
    assert (app.count, app.source, app.error, app.account) == (3, "198.51.100.7", None, "vendor")
    assert (app.first, app.last) == (NOW - timedelta(hours=3), NOW - timedelta(hours=1))
    assert uses["Decrypt", "user:eve@other.example"].error == "PERMISSION_DENIED"
    assert uses["Encrypt", APP].justification == "CUSTOMER_INITIATED_ACCESS"


def test_entries_of_other_keys_and_times_are_not_counted(company: Company) -> None:
    name = company.seed()
    for resource in (f"{name}2/cryptoKeyVersions/1", f"{name}-old", company.ring):
        company.cloud.logs.seed(entry(name, resource=resource))
    company.cloud.logs.seed(entry(name, hours=24 * 15))
    company.cloud.logs.seed(entry(name, service="storage.googleapis.com"))
    assert happened(company, name).entries == 0


class Forged(Entry):
    """What anybody with logging.logEntries.create can write to a log of their own."""

    __slots__ = ()

    @property
    def log_name(self) -> str:
        return f"{self.container}/logs/{self.log}"


def test_only_the_logs_that_google_writes_count(company: Company) -> None:
    name = company.seed()
    for log in ("app", "x%2Flogs%2Fcloudaudit.googleapis.com%2Fdata_access", "cloudaudit.googleapis.com%2Fothers"):
        genuine = entry(name)
        company.cloud.logs.seed(Forged(genuine.at, genuine.method, genuine.resource, genuine.principal, log))
    facts = happened(company, name)
    assert (facts.entries, facts.complete) == (0, True)


def test_an_entry_on_the_key_itself_counts_in_the_activity_log_too(company: Company) -> None:
    name = company.seed()
    company.cloud.logs.seed(entry(name, method="UpdateCryptoKey", resource=name, log=ACTIVITY))
    assert [use.operation for use in happened(company, name).uses] == ["UpdateCryptoKey"]


def test_a_viewer_who_would_see_data_access_entries_left_out_is_told_so(company: Company) -> None:
    name = company.seed()
    company.cloud.logs.seed(entry(name))
    company.without("logging.privateLogEntries.list")
    events = read(company, name)[1]
    assert isinstance(events, Unseen)
    assert events.reason is Reason.PERMISSION_DENIED
    assert "privateLogViewer" in events.detail


def test_where_permissions_cannot_be_tested_the_log_is_not_called_complete(company: Company) -> None:
    import grpc

    name = company.seed()
    company.cloud.faults.fail("TestIamPermissions", grpc.StatusCode.UNIMPLEMENTED)
    assert not happened(company, name).complete


def test_many_entries_are_paged_and_grouped(company: Company) -> None:
    name = company.seed()
    for number in range(2_500):
        company.cloud.logs.seed(entry(name, hours=number / 10, caller_ip=f"198.51.100.{number % 7}"))
    facts, blobs = (read(company, name, frozenset({Aspect.EVENTS}))[index] for index in (1, 2))
    assert isinstance(facts, EventFacts)
    assert facts.entries == 2_500
    assert len(facts.uses) == 7
    assert isinstance(blobs, tuple)
    (raw,) = blobs
    assert isinstance(raw, Blob)
    assert raw.disposition is Disposition.DIGEST_ONLY


def test_more_kinds_of_use_than_are_told_apart_are_said(company: Company) -> None:
    name = company.seed()
    for number in range(600):
        company.cloud.logs.seed(entry(name, principal=f"user:u{number}@acme.example"))
    facts = happened(company, name)
    assert (len(facts.uses), facts.entries, facts.complete) == (500, 600, False)
    assert "100 entries" in facts.why_not


def test_a_log_that_never_ends_is_bounded_and_incomplete(company: Company) -> None:
    name = company.seed()
    company.cloud.logs.seed(entry(name))
    company.cloud.faults.endless.add("ListLogEntries")
    facts = happened(company, name)
    assert not facts.complete
    assert facts.entries == 1  # the same entry again is the same entry


def test_a_long_window_claims_no_more_than_the_log_keeps(company: Company) -> None:
    name = company.seed()
    events = gcp.log(
        company.subject(name, roots=False),
        "europe-west3",
        frozenset({Aspect.EVENTS}),
        (NOW - timedelta(days=90), NOW),
        company.io(),
    )[1]
    assert isinstance(events, EventFacts)
    assert events.since == NOW - timedelta(days=30)


@pytest.mark.parametrize("missing", sorted(each for each in NEEDED if each.startswith("logging.")))
def test_a_denied_log_is_no_quiet_log(company: Company, missing: str) -> None:
    name = company.seed()
    company.without(missing)
    events = read(company, name)[1]
    assert isinstance(events, Unseen)
    assert events.reason is Reason.PERMISSION_DENIED
    assert missing in events.detail
