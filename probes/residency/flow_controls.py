"""The controls over what leaves: AI inference, subprocessors, and whose law reaches an operator. Pure."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, ClassVar, Final

from pydantic import Field

from keycheck.model.control import Tighter
from keycheck.model.facts import Facts, Unseen
from keycheck.model.types import Duration
from keycheck.model.verdict import Reason, Verdict
from probes.places.extents import Activity, Standing
from probes.places.jurisdictions import worded
from probes.residency.flow_facts import (
    Change,
    Document,
    InferenceFacts,
    InvocationLogging,
    OperatorFacts,
    PrincipalsRead,
    Published,
    RosterFacts,
    Runs,
)
from probes.residency.residency_control import ResidencyControl
from probes.residency.subjects import Operator
from probes.weighing import Judgement, shown

_EVERYWHERE: Final = "global"
_CLOUDS: Final = {"aws": "aws", "gcp": "gcp", "azure": "azure"}


class Inference(ResidencyControl, id="residency.inference", version=1):
    """The model runs in the jurisdiction only."""

    proves = (
        "The provider's control plane names the Regions that requests may be sent on to, all of them are in the "
        "jurisdiction, and neither the model's name nor the offer's scope is global."
    )
    does_not_prove = (
        "That the provider runs it there and nowhere else, keeps no prompts, or that people elsewhere do not read "
        "them. "
        "Where a provider has no control plane that says so, the contract's word stays a word."
    )
    example = "{control: residency.inference@1, for: inference, with: {jurisdiction: [EU]}}"
    sources = (
        "Amazon Bedrock: geographic and global cross-Region inference; GetInferenceProfile",
        "Azure OpenAI deployment types; Vertex AI locations",
    )
    needs: ClassVar[tuple[type[Facts], ...]] = (InferenceFacts,)
    section: ClassVar[str] = "inference"
    activity: ClassVar[Activity] = Activity.INFER

    def judge(self, facts: InferenceFacts) -> Verdict:
        """What the name says, what the offer says, and what the control plane says."""
        found = Judgement()
        declared = facts.declared
        if declared.scope == "global" or _EVERYWHERE in facts.named:
            found.breach(f"{declared.model} is global: it runs anywhere in the world")
        provider = _CLOUDS.get(declared.provider, declared.provider)
        self._region(provider, [region for region in facts.named if region != _EVERYWHERE], "its name says", found)
        if declared.region is not None:
            self._region(provider, [declared.region], "it is asked", found)
        match facts.runs:
            case Runs() as runs:
                if _EVERYWHERE in runs.regions:
                    found.breach(f"{declared.model} runs in {_EVERYWHERE}: anywhere in the world")
                if not runs.regions:
                    found.doubt("the control plane names no Region", Reason.NO_POSITIVE)
                if len(runs.regions) == 1 and not runs.profile and not declared.region and not facts.named:
                    found.doubt(
                        f"{declared.model} runs where it is asked, and nobody declares where that is: `region`, or the "
                        f"`endpoint`"
                    )
                self._region(provider, [one for one in runs.regions if one != _EVERYWHERE], "it may run", found)
            case Unseen() as unseen:
                found.doubt(f"where it runs could not be asked: {unseen.detail}", unseen.reason)
            case _:
                found.doubt(
                    f"{declared.provider} has no control plane that keycheck can ask where {declared.model} runs: "
                    f"what is "
                    "left is the contract's word, and what `residency.endpoints` says of where it is asked"
                )
        self._logging(facts, found)
        ran = facts.runs.regions if isinstance(facts.runs, Runs) else ()
        return found.verdict(f"runs in {shown(ran)}")

    def _region(self, provider: str, regions: list[str], what: str, found: Judgement) -> None:
        if not regions:
            return
        outside = self.outside(provider, regions)
        if outside is None:
            found.doubt(f"{what} in {shown(regions)}, and keycheck does not know where that is")
        elif outside:
            found.breach(f"{what} in {outside}")

    @staticmethod
    def _logging(facts: InferenceFacts, found: Judgement) -> None:
        match facts.logging:
            case InvocationLogging(targets=targets) if targets:
                found.lean(f"invocations are written to {shown(targets)}: declare these as `stores`")
            case Unseen() as unseen:
                found.doubt(f"whether invocations are written down could not be asked: {unseen.detail}", unseen.reason)
            case _:
                pass


class Subprocessors(ResidencyControl, id="residency.subprocessors", version=1):
    """Every subprocessor is in the jurisdiction, nobody else may use the keys, changes were announced."""

    proves = (
        "The roster that was handed over or fetched names a place for every party, each in the jurisdiction; ranges "
        "show "
        "no service of theirs elsewhere; the principals that the keys are declared to admit belong to parties of it; "
        "and of each "
        "difference to the roster before, notice was received as long before as agreed."
    )
    does_not_prove = (
        "That the roster is complete or true: it is the vendor's own paper. A party that uses no key and answers at no "
        "name that is declared is seen by nobody."
    )
    example = "{control: residency.subprocessors@1, for: subprocessors, with: {jurisdiction: [EU], notice: P30D}}"
    sources = ("Regulation (EU) 2016/679, article 28(2)", "Regulation (EU) 2022/2554, article 30(2)(a)")
    needs: ClassVar[tuple[type[Facts], ...]] = (RosterFacts,)
    section: ClassVar[str] = "subprocessors"
    activity: ClassVar[Activity] = Activity.PROCESS

    notice: Annotated[Duration, Tighter("higher")] = timedelta(days=30)
    """How long before a change it must have been announced."""

    def judge(self, facts: RosterFacts) -> Verdict:
        """Entries, what the outside shows, keys, and changes."""
        found = Judgement()
        if not facts.entries:
            found.doubt("the roster lists nobody", Reason.NO_POSITIVE)
        if facts.missing:
            found.breach(f"the roster does not list {shown(facts.missing)}")
        for unread in facts.unread:
            found.doubt(f"not understood: {unread.detail}", unread.reason)
        permitted = self.jurisdiction.extent().at(self.activity)
        for entry in facts.entries:
            standing = permitted.contains(entry.countries)
            if standing.standing is Standing.UNKNOWN:
                words = f"not understood: {entry.words}" if entry.words else "head a column `location` or `country`"
                found.doubt(f"{entry.name}: the roster names no country ({words})")
            elif standing.standing is Standing.CONDITIONAL:
                found.doubt(
                    f"{entry.name}: in {worded(entry.countries)}, which only {shown(standing.demanded)} permits"
                )
            elif standing.standing is not Standing.INSIDE:
                found.breach(f"{entry.name} is in {worded(standing.outside)} ({entry.words})")
        self._shown(facts, found)
        self._published(facts, found)
        self._principals(facts, found)
        self._changes(facts, found)
        return found.verdict(f"{len(facts.entries)} parties, each in {self.jurisdiction.worded()} by the roster")

    def _shown(self, facts: RosterFacts, found: Judgement) -> None:
        permitted = self.jurisdiction.extent().at(self.activity)
        for party in facts.shown:
            if party.doubt is not None:
                found.doubt(f"{party.party} at {party.host}: {party.doubt.detail}", party.doubt.reason)
            elif not party.countries:
                found.doubt(f"{party.party}: nothing says where {party.host} is")
            elif permitted.contains(party.countries).standing is not Standing.INSIDE:
                found.breach(f"{party.party} answers at {party.host} in {worded(party.countries)}")

    @staticmethod
    def _published(facts: RosterFacts, found: Judgement) -> None:
        match facts.published:
            case Published(same=False) as page:
                found.doubt(f"{page.url} lists others: {shown(page.differs, '; ')}", Reason.CONFLICTING)
            case Unseen() as unseen:
                found.doubt(f"the vendor's page: {unseen.detail}", unseen.reason)
            case _:
                pass

    @staticmethod
    def _principals(facts: RosterFacts, found: Judgement) -> None:
        if facts.principals:
            found.breach(f"{shown(facts.principals)} may use the keys and belong to nobody on the roster")
        match facts.principals_seen:
            case Unseen() as unseen:
                found.doubt(f"who may use the keys could not be read: {unseen.detail}", unseen.reason)
            case PrincipalsRead():
                pass
            case _:
                found.lean("no key is declared, so nothing was held against key policies")

    def _changes(self, facts: RosterFacts, found: Judgement) -> None:
        if facts.previous is None:
            found.doubt("there is no roster from before to compare it with: declare `previous`")
            return
        if facts.fetched is None:
            found.doubt("nobody says when the roster was fetched: declare `fetched`")
            return
        if facts.previous_fetched is not None and facts.previous_fetched > facts.fetched:
            found.doubt("the roster from before was fetched later than the current one", Reason.CONFLICTING)
            return
        for change in facts.changes:
            if change.kind == "removed":
                continue
            if change.noticed is None:
                found.breach(f"{_change(change)}, without notice")
            elif facts.fetched - change.noticed < self.notice:
                found.breach(f"{_change(change)}, announced only on {change.noticed:%Y-%m-%d}")
            elif facts.previous_fetched is not None and facts.previous_fetched - change.noticed < self.notice:
                found.lean(f"{_change(change)}: in time, if it took effect on {change.noticed + self.notice:%Y-%m-%d}")


def _change(change: Change) -> str:
    match change.kind:
        case "added":
            return f"{change.party} was added ({change.after})"
        case "removed":
            return f"{change.party} was removed"
        case "moved":
            return f"{change.party} moved from {change.before} to {change.after}"
        case "purpose":
            return f"{change.party} now serves {change.after}, before {change.before}"


_PER_CENT: Final = 100
_WHOLE: Final = 10_000


class OperatorControl(ResidencyControl, id="residency.operator", version=1):
    """The operator, its parents and its staff are in the jurisdiction, as stated."""

    proves = (
        "That it is stated, and under which documents: seat, ultimate parent, holdings, staff, support and "
        "governing law "
        "are in the jurisdiction, and holdings from outside are below the limits."
    )
    does_not_prove = (
        "That the statement is true, or that no order under another law reaches the operator: nothing here is "
        "measured. "
        "Whoever signed it answers for it."
    )
    example = (
        "{control: residency.operator@1, for: operators, with: {jurisdiction: [EU]}, evidence: {assurance: stated}}"
    )
    sources = (
        "SecNumCloud 3.2, 19.6: holdings from outside at most 24 % each and 39 % together",
        "EU Cloud Sovereignty Framework 1.2.1, SOV-2, SOV-4",
    )
    needs: ClassVar[tuple[type[Facts], ...]] = (OperatorFacts,)
    section: ClassVar[str] = "operators"
    activity: ClassVar[Activity] = Activity.ADMINISTER

    single_holding: Annotated[int, Field(ge=0, le=10_000), Tighter("lower")] = 2400
    """Largest share of one holder from outside, in hundredths of a per cent."""
    all_holdings: Annotated[int, Field(ge=0, le=10_000), Tighter("lower")] = 3900
    """Shares of all holders from outside together, in hundredths of a per cent."""

    def judge(self, facts: OperatorFacts) -> Verdict:
        """Each attribute; what is not stated is not known."""
        found = Judgement()
        declared = facts.declared
        self._country("its seat", declared.seat, found)
        self._country("its ultimate parent's seat", _parent_seat(declared), found)
        self._country("the governing law", declared.law, found)
        for what, countries in (("staff who administer", declared.staff), ("staff who support", declared.support)):
            if not countries:
                found.doubt(f"nobody states where {what} are")
            for country in countries:
                self._country(what, country, found)
        self._holdings(declared, found)
        self._documents(facts, found)
        return found.verdict(f"{declared.name}: seats, people and law stated in {self.jurisdiction.worded()}")

    def _country(self, what: str, country: str | None, found: Judgement) -> None:
        if country is None:
            found.doubt(f"{what} is not stated")
            return
        match self.jurisdiction.contains({country}, self.activity).standing:
            case Standing.INSIDE:
                pass
            case Standing.CONDITIONAL:
                found.doubt(f"{what}: {country}, which is permitted under a condition that nobody shows")
            case _:
                found.breach(f"{what}: {country}")

    def _holdings(self, declared: Operator, found: Judgement) -> None:
        if not declared.holdings:
            found.doubt("nobody states who holds shares of it")
        outside = [
            one
            for one in declared.holdings
            if self.jurisdiction.contains({one.seat}, self.activity).standing is not Standing.INSIDE
        ]
        together: dict[tuple[str, str], int] = {}
        for one in outside:
            holder = (" ".join(one.name.casefold().split()), one.seat)
            together[holder] = together.get(holder, 0) + one.share
        for one in outside:
            share = together[" ".join(one.name.casefold().split()), one.seat]
            if share > self.single_holding:
                found.breach(f"{one.name} ({one.seat}) holds {share / _PER_CENT:g} %")
        if (total := sum(one.share for one in outside)) > self.all_holdings:
            found.breach(f"holders from outside have {total / _PER_CENT:g} % together")
        elif outside:
            found.lean(
                f"holders from outside have {total / _PER_CENT:g} % together, as stated; at most "
                f"{self.all_holdings / _PER_CENT:g} % is agreed, {self.single_holding / _PER_CENT:g} % for one"
            )
        unstated = _WHOLE - sum(one.share for one in declared.holdings)
        if declared.holdings and (unstated > self.single_holding or total + unstated > self.all_holdings):
            found.doubt(f"nobody states who holds the other {unstated / _PER_CENT:g} %")

    @staticmethod
    def _documents(facts: OperatorFacts, found: Judgement) -> None:
        if not facts.documents:
            found.lean("no document stands behind the statement")
        for document in facts.documents:
            if (why := _worthless(document, facts)) is not None:
                found.doubt(f"{document.file} {why[0]}", why[1])


def _worthless(document: Document, facts: OperatorFacts) -> tuple[str, Reason] | None:
    if document.sha256 is None:
        return "could not be read", Reason.UNREACHABLE
    if document.matches is False:
        return "is not the document that was declared", Reason.CONFLICTING
    if document.expires is not None and document.expires <= facts.read:
        return f"expired on {document.expires:%Y-%m-%d}", Reason.STALE
    return None


def _parent_seat(declared: Operator) -> str | None:
    if declared.parent_seat is not None:
        return declared.parent_seat
    return declared.seat if (declared.parent or "").strip().lower() == "none" else None
