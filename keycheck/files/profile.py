"""Loading a profile: files found, inheritance applied, parameters put in, `with` typed by the controls."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from keycheck.errors import ProfileError
from keycheck.files.catalogue import Catalogue
from keycheck.files.chain import Link, load_chain
from keycheck.files.located import Map, plain
from keycheck.files.parameters import Parameter, filled, substitute
from keycheck.files.problems import Place, Problems, suggestion
from keycheck.files.stated import StatedClause, StatedDemand, StatedPlan, StatedProfile, state
from keycheck.files.tighten import check_tightening
from keycheck.files.validate import validate
from keycheck.model.control import Control
from keycheck.model.profile import Clause, Demand, Planned, Profile, Source
from keycheck.model.types import CanonicalJson


@dataclass(frozen=True, slots=True)
class LoadedProfile:
    """A resolved profile with the files it came from."""

    profile: Profile
    texts: tuple[tuple[str, bytes], ...]
    """(`name.yaml`, its bytes) of every file, own first; the names are unique and safe in a bundle."""
    places: Mapping[tuple[str, str], Place]
    """(clause id, control id) -> where the requirement was stated last; (clause id, "") -> the clause;
    (clause id, planned words) -> a planned requirement."""

    def place(self, clause: str, control: str = "") -> Place | None:
        """Where a requirement is stated (`control` as id, `id@version` or planned words), else its clause."""
        key = (clause, control.partition("@")[0])
        return self.places.get(key) or self.places.get((clause, control)) or self.places.get((clause, ""))


def load_profile(name_or_path: str, catalogue: Catalogue, search: Sequence[Path] = ()) -> LoadedProfile:
    """The profile of that name (shipped, or in a directory of `search`) or path.

    Raises ProfileError, naming file, line and column of everything that is wrong. A requirement whose
    plugin is broken stays, its parameters untyped: it comes out as `error(plugin-broken)`.
    """
    chain = load_chain(name_or_path, search)
    problems = Problems(ProfileError)
    stages: list[StatedProfile] = []
    for link in reversed(chain):
        stages.append(state(link, stages[-1] if stages else None, problems))
        problems.check()
    last = stages[-1]
    for parent, heir in pairwise(stages):
        check_tightening(parent, heir, last.parameters, catalogue, problems)
    clauses = tuple(_clause(clause, last.parameters, catalogue, problems) for clause in last.clauses.values())
    if not clauses:
        problems.add(chain[0].root.place, "the profile has no clause", "add `clauses:`, or `extends:`")
    problems.check()
    return LoadedProfile(_profile(chain, last, clauses), _texts(chain), _places(last))


def _profile(chain: tuple[Link, ...], last: StatedProfile, clauses: tuple[Clause, ...]) -> Profile:
    own = chain[0].file
    return Profile(
        profile=own.profile,
        version=own.version,
        title=own.title,
        contract=last.contract,
        sources=tuple(
            Source(
                profile=link.file.profile,
                version=link.file.version,
                sha256=hashlib.sha256(link.data).hexdigest(),
            )
            for link in chain
        ),
        approvers=last.approvers,
        clauses=clauses,
    )


def _texts(chain: tuple[Link, ...]) -> tuple[tuple[str, bytes], ...]:
    return tuple((f"{link.file.profile}.yaml", link.data) for link in chain)


def _places(last: StatedProfile) -> Mapping[tuple[str, str], Place]:
    places: dict[tuple[str, str], Place] = {}
    for clause in last.clauses.values():
        places[clause.id, ""] = clause.place
        for one in clause.requires:
            if isinstance(one, StatedPlan):
                places[clause.id, filled(one.planned, last.parameters)] = one.place
            else:
                places[clause.id, one.control_id] = one.place
    return places


def _clause(stated: StatedClause, values: Mapping[str, Parameter], catalogue: Catalogue, problems: Problems) -> Clause:
    return Clause(
        id=stated.id,
        text=stated.text,
        ref=stated.ref,
        tags=stated.tags,
        tier=stated.tier,
        remedy=stated.remedy,
        requires=tuple(
            Planned(planned=filled(one.planned, values))
            if isinstance(one, StatedPlan)
            else _demand(one, values, catalogue, problems)
            for one in stated.requires
        ),
    )


def _demand(stated: StatedDemand, values: Mapping[str, Parameter], catalogue: Catalogue, problems: Problems) -> Demand:
    kind = catalogue.control(stated.control)
    if kind is None:
        problems.add(
            stated.control_place,
            f"unknown control `{stated.control}`",
            _control_suggestion(stated, catalogue),
        )
    elif isinstance(kind, type):
        _check_section(stated, kind, catalogue, problems)
    return Demand.model_validate(
        {
            "control": stated.control,
            "for": stated.for_,
            "with": _parameters(stated, kind if isinstance(kind, type) else None, values, problems),
            "evidence": stated.evidence,
        }
    )


def _control_suggestion(stated: StatedDemand, catalogue: Catalogue) -> str:
    versions = [ref for ref in catalogue.control_refs() if ref.partition("@")[0] == stated.control_id]
    if versions:
        return f"write {' or '.join(versions)}, or update keycheck"
    return suggestion(stated.control, catalogue.control_refs(), "control")


def _check_section(stated: StatedDemand, kind: type[Control], catalogue: Catalogue, problems: Problems) -> None:
    section = stated.for_.partition("/")[0]
    if kind.section and section != kind.section:
        problems.add(
            stated.for_place,
            f"`{stated.control_id}` judges {kind.section}, not {section}",
            f"write `for: {kind.section}`",
        )
    elif section not in catalogue.sections():
        problems.add(
            stated.for_place,
            f"unknown section `{section}`",
            suggestion(section, catalogue.sections(), "section"),
        )


def _parameters(
    stated: StatedDemand, kind: type[Control] | None, values: Mapping[str, Parameter], problems: Problems
) -> CanonicalJson:
    node = substitute(stated.with_, values, problems)
    typed = None
    if kind is not None and isinstance(node, Map):
        typed = validate(node, kind, problems)
        if typed is None:
            return CanonicalJson("{}")
    try:
        return CanonicalJson.of(plain(node) if typed is None else typed.model_dump(mode="json", by_alias=True))
    except ValueError as cause:
        problems.add(
            stated.place,
            f"the parameters of `{stated.control}` cannot be recorded ({cause})",
            "use text and whole numbers",
        )
        return CanonicalJson("{}")
