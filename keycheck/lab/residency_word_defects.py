"""Every defect of what is stated and captured: rosters, operators, prompts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final, TypeAlias

from keycheck.lab.defect import Promise, fails, unknown
from keycheck.lab.residency_operators import Held, OperatorDefect, OperatorSite
from keycheck.lab.residency_places import ASHBURN
from keycheck.lab.residency_prompts import PromptDefect, PromptHarm, PromptSite
from keycheck.lab.residency_rosters import Announced, Known, Member, RosterDefect, RosterSite

WordDefect: TypeAlias = RosterDefect | OperatorDefect | PromptDefect

_ROSTER: Final = "residency.subprocessors"
_OPERATOR: Final = "residency.operator"
_PROMPTS: Final = "prompts.identifiers"
_NEW: Final = Member("Frische Analyse GmbH", "Munich, Germany", "Usage statistics")
_PERSONS: Final = (
    "Write to Ada Example <ada.example@customer.example> that her export is done.",
    "Ada Example",
    "What did grace.hopper@customer.example complain about last week?",
)


def _roster(
    id: str, title: str, promises: frozenset[Promise], change: Callable[[RosterSite], RosterSite], at: str
) -> RosterDefect:
    return RosterDefect(id, title, "SUBPROCESSORS", promises, change, at, False)


def _operator(
    id: str,
    title: str,
    promises: frozenset[Promise],
    change: Callable[[OperatorSite], OperatorSite],
    at: str = "crm-operator",
) -> OperatorDefect:
    return OperatorDefect(id, title, "OPERATORS", promises, change, at, False)


def _prompts(
    id: str, title: str, promises: frozenset[Promise], change: Callable[[PromptSite], PromptSite], at: str
) -> PromptDefect:
    return PromptDefect(id, title, "INFERRED", promises, change, at, False)


def _harmed(harm: PromptHarm) -> Callable[[PromptSite], PromptSite]:
    return lambda site: replace(site, harm=harm)


def _answers_abroad(site: RosterSite) -> RosterSite:
    known = tuple(replace(one, hosts=(ASHBURN.address(250),) if one.hosts else ()) for one in site.parties)
    return replace(site, parties=known)


WORD_DEFECTS: Final[tuple[WordDefect, ...]] = (
    _roster("roster-entry-abroad", "a subprocessor in India, on both rosters", fails(_ROSTER),
            lambda site: site.with_member(Member("Night Desk Pvt. Ltd.", "Pune, India", "Support at night")),
            "mail-subprocessors"),
    _roster("roster-changed-unannounced", "a subprocessor was added without notice", fails(_ROSTER),
            lambda site: replace(site, now=(*site.now, _NEW)), "mail-subprocessors"),
    _roster("roster-moved-unannounced", "a subprocessor moved to another country without notice", fails(_ROSTER),
            lambda site: replace(site, announced=()), "search-subprocessors"),
    _roster("roster-announced-late", "a subprocessor was added a week after it was announced", fails(_ROSTER),
            lambda site: replace(site, announced=(Announced("Support Océan", 8),)), "crm-subprocessors"),
    _roster("roster-place-unclear", "a subprocessor is `worldwide`", unknown(_ROSTER),
            lambda site: site.with_member(Member("Cloud Cover Ltd", "worldwide", "Monitoring")), "mail-subprocessors"),
    _roster("roster-without-before", "there is no earlier roster to compare with", unknown(_ROSTER),
            lambda site: replace(site, has_before=False), "search-subprocessors"),
    _roster("subprocessor-answers-abroad", "the roster says Frankfurt, its service answers from us-east-1",
            fails(_ROSTER), _answers_abroad, "crm-subprocessors"),
    _roster("subprocessor-unlisted", "a party that the customer knows of is not on the roster", fails(_ROSTER),
            lambda site: replace(site, parties=(*site.parties, Known("Quiet Metrics GmbH"))), "mail-subprocessors"),
    _operator("foreign-parent", "the ultimate parent has its seat in the United States", fails(_OPERATOR),
              lambda site: replace(site, parent="Practice Holdings Inc.", parent_seat="US")),
    _operator("foreign-holding", "a holder from outside has 30 %", fails(_OPERATOR),
              lambda site: replace(site, holdings=(Held("Founders", "DE", 7000), Held("Big Capital LLC", "US", 3000)))),
    _operator("foreign-staff", "people administer from India", fails(_OPERATOR),
              lambda site: replace(site, staff=(*site.staff, "IN")), "hosting-operator"),
    _operator("staff-unstated", "nobody states where people administer", unknown(_OPERATOR),
              lambda site: replace(site, staff=()), "hosting-operator"),
    _operator("statement-expired", "the statement has expired", unknown(_OPERATOR),
              lambda site: replace(site, valid_days=-3), "hosting-operator"),
    _operator("statement-altered", "the document is not the one that was declared", unknown(_OPERATOR),
              lambda site: replace(site, altered=True)),
    _prompts("prompts-with-persons", "prompts hold names and e-mail addresses", fails(_PROMPTS),
             lambda site: replace(site, texts=(*site.texts, *_PERSONS)), "assistant-prompts"),
    _prompts("prompts-with-account-number", "one prompt of many holds an IBAN", fails(_PROMPTS),
             lambda site: replace(site, texts=(*site.texts, "Refund to BE68 5390 0754 7034, please.")),
             "support-prompts"),
    _prompts("prompts-missing", "the capture holds fewer requests than were counted", unknown(_PROMPTS),
             _harmed(PromptHarm.SHORT), "assistant-prompts"),
    _prompts("prompts-swapped", "the capture is not the one that was handed over", unknown(_PROMPTS),
             _harmed(PromptHarm.CHANGED), "support-prompts"),
    _prompts("prompts-damaged", "one request of the capture cannot be read", unknown(_PROMPTS),
             _harmed(PromptHarm.BROKEN), "assistant-prompts"),
)  # fmt: skip
"""In the order in which they are shown."""
