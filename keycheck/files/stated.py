"""A profile as its files state it: heirs merged into parents, parameters not yet put in.

Whatever can be compared without the controls is held to "only tighter" here: tiers, deadlines, versions,
subjects and demands on evidence. `keycheck.files.tighten` compares the controls' parameters.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from keycheck.files.chain import Link
from keycheck.files.located import Items, Map, Node
from keycheck.files.parameters import Parameter, inherit_parameter, read_parameter
from keycheck.files.problems import Place, Problems, suggestion
from keycheck.files.shape import ClauseFile, RequirementFile
from keycheck.model.profile import Approver, Contract, EvidenceDemands, Remedy
from keycheck.model.types import format_duration
from keycheck.model.verdict import Tier


@dataclass(frozen=True, slots=True)
class StatedDemand:
    """A demanded control; `with_` still holds `$name`s."""

    control: str
    for_: str
    with_: Map
    evidence: EvidenceDemands
    place: Place
    control_place: Place
    for_place: Place

    @property
    def control_id(self) -> str:
        """The control without its version."""
        return self.control.partition("@")[0]


@dataclass(frozen=True, slots=True)
class StatedPlan:
    """A promise without a control."""

    planned: str
    place: Place


@dataclass(frozen=True, slots=True)
class StatedClause:
    """A clause with everything it inherited."""

    id: str
    text: str
    ref: str
    tags: tuple[str, ...]
    tier: Tier
    remedy: Remedy
    requires: tuple[StatedDemand | StatedPlan, ...]
    place: Place

    def demand(self, control_id: str) -> StatedDemand | None:
        """The demand of a control, of any version."""
        found = (one for one in self.demands() if one.control_id == control_id)
        return next(found, None)

    def demands(self) -> Iterator[StatedDemand]:
        """The requirements that have a control."""
        return (one for one in self.requires if isinstance(one, StatedDemand))


@dataclass(frozen=True, slots=True)
class StatedProfile:
    """What one file and its parents state together."""

    name: str
    contract: Contract | None
    approvers: tuple[Approver, ...]
    parameters: Mapping[str, Parameter]
    clauses: Mapping[str, StatedClause]


def state(link: Link, parent: StatedProfile | None, problems: Problems) -> StatedProfile:
    """The profile of `link`, merged into its parent; loosenings are problems."""
    file, root = link.file, link.root
    return StatedProfile(
        file.profile,
        file.contract or (parent.contract if parent else None),
        _approvers(link, parent, problems),
        _parameters(link, parent, problems),
        _clauses(file.clauses, _items(root.get("clauses")), parent, problems),
    )


def _items(node: Node | None) -> tuple[Map, ...]:
    items = node.items if isinstance(node, Items) else ()
    return tuple(item for item in items if isinstance(item, Map))


def _place(node: Map, *keys: str) -> Place:
    """The place of a value below a mapping, or of the deepest mapping on the way to it."""
    place: Node = node
    for key in keys:
        inner = place.get(key) if isinstance(place, Map) else None
        if inner is None:
            break
        place = inner
    return place.place


def _approvers(link: Link, parent: StatedProfile | None, problems: Problems) -> tuple[Approver, ...]:
    own = link.file.approvers
    if parent is None or not parent.approvers:
        return own
    for approver, node in zip(own, _items(link.root.get("approvers")), strict=True):
        if approver not in parent.approvers:
            problems.add(
                node.place,
                f"`{approver.name}` with this key is no approver of `{parent.name}`",
                f"name only approvers of the parent: {', '.join(a.name for a in parent.approvers)}",
            )
    return own or parent.approvers


def _parameters(link: Link, parent: StatedProfile | None, problems: Problems) -> Mapping[str, Parameter]:
    merged = dict(parent.parameters) if parent else {}
    node = link.root.get("parameters")
    for name, stated in link.file.parameters.items():
        entry = node.get(name) if isinstance(node, Map) else None
        if not isinstance(entry, Map):
            continue
        own = read_parameter(stated, entry, name, problems)
        if name in merged:
            merged[name] = inherit_parameter(merged[name], own, stated, name, problems)
        else:
            if own.value is None and not stated.required:
                problems.add(entry.place, f"`{name}` has no value", "write `value:`, or `required: true`")
            merged[name] = own
    return merged


def _clauses(
    files: tuple[ClauseFile, ...],
    nodes: tuple[Map, ...],
    parent: StatedProfile | None,
    problems: Problems,
) -> Mapping[str, StatedClause]:
    merged = dict(parent.clauses) if parent else {}
    seen: dict[str, Place] = {}
    for file, node in zip(files, nodes, strict=True):
        if file.id in seen:
            problems.add(
                _place(node, "id"),
                f"the clause `{file.id}` stands twice",
                f"merge it with the one on line {seen[file.id].line}",
            )
            continue
        seen[file.id] = node.place
        inherited = parent.clauses.get(file.id) if parent else None
        clause = (
            _merged_clause(inherited, parent.name, file, node, problems)
            if parent and inherited
            else _new_clause(file, node, problems)
        )
        if clause:
            merged[file.id] = clause
    return merged


def _new_clause(file: ClauseFile, node: Map, problems: Problems) -> StatedClause | None:
    missing = [key for key in ("text", "tier", "requires") if not getattr(file, key)]
    for key in missing:
        problems.add(node.place, f"`{key}` is missing in clause `{file.id}`", f"add `{key}:` to the clause")
    requires = _requirements(file, node, None, "", problems)
    if missing or file.text is None or file.tier is None or not requires:
        return None
    return StatedClause(
        file.id, file.text, file.ref or "", _united(file.tags), file.tier, file.remedy, requires, node.place
    )


def _united(*tags: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(tag for group in tags for tag in group))


def _merged_clause(
    parent: StatedClause, parent_name: str, file: ClauseFile, node: Map, problems: Problems
) -> StatedClause:
    tier = file.tier or parent.tier
    if tier.weight < parent.tier.weight:
        problems.add(
            _place(node, "tier"),
            f"`tier` loosens clause `{file.id}`: `{parent_name}` demands {parent.tier}",
            f"write {parent.tier}, or delete the line",
        )
    return StatedClause(
        file.id,
        file.text or parent.text,
        parent.ref if file.ref is None else file.ref,
        _united(parent.tags, file.tags),
        tier,
        _remedy(parent, parent_name, file, node, problems),
        _requirements(file, node, parent, parent_name, problems),
        node.place,
    )


def _remedy(parent: StatedClause, parent_name: str, file: ClauseFile, node: Map, problems: Problems) -> Remedy:
    own, before = file.remedy.cure_within, parent.remedy.cure_within
    if own is not None and before is not None and own > before:
        problems.add(
            _place(node, "remedy", "cure_within"),
            f"`cure_within` loosens clause `{file.id}`: `{parent_name}` demands {format_duration(before)}",
            f"write {format_duration(before)} or less, or delete it",
        )
    return Remedy(
        cure_within=before if own is None else own,
        consequence=file.remedy.consequence or parent.remedy.consequence,
    )


def _requirements(
    file: ClauseFile, node: Map, parent: StatedClause | None, parent_name: str, problems: Problems
) -> tuple[StatedDemand | StatedPlan, ...]:
    merged: list[StatedDemand | StatedPlan] = list(parent.requires) if parent else []
    seen: set[str] = set()
    for own, its_node in zip(file.requires, _items(node.get("requires")), strict=True):
        if own.control is None or own.planned is not None:
            _plan(own, its_node, merged, problems)
            continue
        control_id = own.control.partition("@")[0]
        if control_id in seen:
            problems.add(
                _place(its_node, "control"),
                f"`{control_id}` stands twice in clause `{file.id}`",
                "demand each control once; write a second clause for other subjects",
            )
            continue
        seen.add(control_id)
        inherited = parent.demand(control_id) if parent else None
        demand = (
            _merged_demand(inherited, parent_name, own, its_node, problems)
            if inherited
            else _new_demand(own, its_node, problems)
        )
        _put(demand, inherited, own, its_node, merged, problems)
    return tuple(merged)


def _plan(own: RequirementFile, node: Map, merged: list[StatedDemand | StatedPlan], problems: Problems) -> None:
    if own.planned is None:
        problems.add(node.place, "the requirement has no control", 'write `control: id@version`, or `planned: "…"`')
        return
    extra = [entry for entry in node.entries if entry.key.text != "planned"]
    if extra:
        problems.add(
            extra[0].key.place,
            f"`{extra[0].key.text}` stands beside `planned`",
            "a planned requirement has no other key; once the control exists, write `control` instead",
        )
    if not any(isinstance(one, StatedPlan) and one.planned == own.planned for one in merged):
        merged.append(StatedPlan(own.planned, node.place))


def _put(
    demand: StatedDemand | None,
    inherited: StatedDemand | None,
    own: RequirementFile,
    node: Map,
    merged: list[StatedDemand | StatedPlan],
    problems: Problems,
) -> None:
    """Put a demand where its parent, or the plan that it replaces, stood; else at the end."""
    plans = {one.planned: one for one in merged if isinstance(one, StatedPlan)}
    replaced = plans.get(own.replaces) if own.replaces is not None else None
    if own.replaces is not None and replaced is None:
        problems.add(
            _place(node, "replaces"),
            "no `planned` requirement of the parent has these words",
            suggestion(own.replaces, plans, "planned requirement"),
        )
    if demand is None:
        return
    if inherited is not None:
        merged[merged.index(inherited)] = demand
        if replaced is not None:
            merged.remove(replaced)
    elif replaced is not None:
        merged[merged.index(replaced)] = demand
    else:
        merged.append(demand)


def _with(node: Map, problems: Problems) -> Map:
    value = node.get("with")
    if isinstance(value, Map):
        return value
    if value is not None:
        problems.add(value.place, "`with` must be a mapping", "write `with: {parameter: value}`, or delete it")
    return Map((), node.place)


def _new_demand(own: RequirementFile, node: Map, problems: Problems) -> StatedDemand | None:
    parameters = _with(node, problems)
    _check_coverage(own, node, problems)
    if own.control is None or own.for_ is None:
        problems.add(node.place, f"`for` is missing beside `{own.control}`", "name the subjects, e.g. `for: endpoints`")
        return None
    return StatedDemand(
        own.control,
        own.for_,
        parameters,
        own.evidence,
        node.place,
        _place(node, "control"),
        _place(node, "for"),
    )


def _check_coverage(own: RequirementFile, node: Map, problems: Problems) -> None:
    examined, existing = own.evidence.coverage
    if examined > existing:
        problems.add(
            _place(node, "evidence", "coverage"),
            "`coverage` demands more than there is",
            "write a ratio such as `[1, 1]` for all, `[1, 2]` for half",
        )


def _merged_demand(
    parent: StatedDemand, parent_name: str, own: RequirementFile, node: Map, problems: Problems
) -> StatedDemand:
    control = own.control or parent.control
    if _version(control) < _version(parent.control):
        problems.add(
            _place(node, "control"),
            f"`{control}` is older than `{parent_name}` demands: {parent.control}",
            f"write {parent.control}",
        )
    for_ = own.for_ or parent.for_
    if for_ not in (parent.for_, parent.for_.partition("/")[0]):
        problems.add(
            _place(node, "for"),
            f"`for` leaves out subjects that `{parent_name}` demands: {parent.for_}",
            f"write {parent.for_}, or delete it",
        )
    stated = _with(node, problems)
    kept = tuple(entry for entry in parent.with_.entries if stated.entry(entry.key.text) is None)
    _check_coverage(own, node, problems)
    return replace(
        parent,
        control=control,
        for_=for_,
        with_=Map((*kept, *stated.entries), node.place),
        evidence=_evidence(parent, parent_name, own, node, problems),
        place=node.place,
        control_place=_place(node, "control"),
        for_place=parent.for_place if own.for_ is None else _place(node, "for"),
    )


def _version(control: str) -> int:
    return int(control.partition("@")[2])


def _evidence(
    parent: StatedDemand, parent_name: str, own: RequirementFile, node: Map, problems: Problems
) -> EvidenceDemands:
    before, after = parent.evidence, own.evidence
    stated = after.model_fields_set
    old_share, new_share = before.coverage, after.coverage
    loosened = {
        "assurance": after.assurance.rung < before.assurance.rung,
        "max_age": before.max_age is not None and (after.max_age is None or after.max_age > before.max_age),
        "vantages": after.vantages < before.vantages,
        "coverage": new_share[0] * old_share[1] < old_share[0] * new_share[1],
        "samples": after.samples < before.samples,
    }
    demanded = before.model_dump(mode="json")
    for name in sorted(stated):
        if loosened[name]:
            problems.add(
                _place(node, "evidence", name),
                f"`{name}` loosens `{parent.control_id}`: `{parent_name}` demands {demanded[name]}",
                f"write {demanded[name]} or stricter, or delete it",
            )
    return before.model_copy(update={name: getattr(after, name) for name in stated})
