"""Whether an heir's parameters only tighten what its parent demands.

Compared are the controls' own typed parameters after substitution, so that it does not matter whether an
heir restates `with:` or changes a parameter behind it. Which way is tighter, the control's field says.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from keycheck.files.catalogue import Catalogue
from keycheck.files.located import Map, plain
from keycheck.files.parameters import Parameter, is_tighter, references, substitute
from keycheck.files.problems import Problems
from keycheck.files.stated import StatedDemand, StatedProfile
from keycheck.files.validate import validate
from keycheck.model.control import Control, Tighter
from keycheck.model.types import vendor_text


def check_tightening(
    parent: StatedProfile,
    heir: StatedProfile,
    final: Mapping[str, Parameter],
    catalogue: Catalogue,
    problems: Problems,
) -> None:
    """Add a problem for every parameter of a control, and every parameter of the profile, that an heir
    loosens. `final` are the last heir's values: they stand in where a parent leaves a parameter open."""
    for clause in parent.clauses.values():
        for old in clause.demands():
            new = heir.clauses[clause.id].demand(old.control_id)
            if new is None:
                raise RuntimeError("an inherited requirement is gone")
            before = _typed(old, {**final, **_given(parent)}, catalogue, problems)
            after = _typed(new, {**final, **_given(heir)}, catalogue, problems)
            if before is not None and after is not None:
                _compare(before[0], after, clause.id, parent.name, new, problems)
    _check_parameters(parent, heir, problems)


def _given(profile: StatedProfile) -> Mapping[str, Parameter]:
    return {name: one for name, one in profile.parameters.items() if one.value is not None}


def _typed(
    demand: StatedDemand, values: Mapping[str, Parameter], catalogue: Catalogue, problems: Problems
) -> tuple[Control, Map] | None:
    kind = catalogue.control(demand.control)
    if not isinstance(kind, type):
        return None
    node = substitute(demand.with_, values, problems)
    typed = validate(node, kind, problems)
    return (typed, node) if typed is not None and isinstance(node, Map) else None


def _compare(
    old: Control,
    after: tuple[Control, Map],
    clause: str,
    parent_name: str,
    demand: StatedDemand,
    problems: Problems,
) -> None:
    new, node = after
    marks = old.tighteners()
    demanded = old.model_dump(mode="json", by_alias=True)
    for name, field in type(old).model_fields.items():
        alias = field.alias or name
        place = value.place if (value := node.get(alias)) else demand.place
        shown = shown_value(demanded[alias])
        words = f"of `{demand.control_id}` in clause `{clause}`: `{parent_name}` demands {shown}"
        if name not in type(new).model_fields:
            problems.add(demand.place, f"{demand.control} has no `{alias}` {words}", "keep the version of the parent")
        elif not _allowed(marks.get(name), getattr(old, name), getattr(new, name)):
            mark = marks.get(name)
            if mark is None:
                problems.add(place, f"an heir may not change `{alias}` {words}", f"write {shown}, or delete it")
            else:
                problems.add(place, f"`{alias}` loosens the demand {words}", f"write {shown} or tighter ({_how(mark)})")


def _allowed(mark: Tighter | None, old: object, new: object) -> bool:
    return old == new or (mark is not None and mark.allows(old, new))


def _how(mark: Tighter) -> str:
    match mark.direction:
        case "subset":
            return "only values from this list"
        case "superset":
            return "at least this list"
        case "lower":
            return "less"
        case "higher":
            return "more"
        case "order":
            return f"from loosest to strictest: {', '.join(mark.order)}"


def shown_value(value: object) -> str:
    """A demanded value as it would stand in YAML, bounded."""
    if isinstance(value, str):
        return vendor_text(value, 200)
    return vendor_text(json.dumps(value, ensure_ascii=False).replace('"', ""), 200)


def _check_parameters(parent: StatedProfile, heir: StatedProfile, problems: Problems) -> None:
    used = {
        name for clause in parent.clauses.values() for demand in clause.demands() for name in references(demand.with_)
    }
    for name, old in parent.parameters.items():
        before, after = old.value, heir.parameters[name].value
        if before is None or after is None or plain(before) == plain(after):
            continue
        shown = shown_value(plain(before))
        if old.tighter is not None:
            if not is_tighter(old.tighter, before, after):
                problems.add(
                    after.place,
                    f"`{name}` is looser than `{parent.name}` demands: {shown}",
                    f"write {shown} or tighter ({_how(Tighter(old.tighter))})",
                )
        elif name not in used:
            problems.add(
                after.place,
                f"an heir may not change `{name}`: no control uses it yet and `{parent.name}` "
                f"does not say which way is tighter; it demands {shown}",
                f"write {shown}, or declare `tighter:` in `{parent.name}`",
            )
