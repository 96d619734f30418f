"""Parameters of a profile: `$name` inside `with:` stands for a value that an heir may change in one place."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from keycheck.files.located import Entry, Items, Map, Node, Text, plain, texts
from keycheck.files.problems import Place, Problems, suggestion
from keycheck.files.shape import REFERENCE, ParameterDirection, ParameterFile
from keycheck.model.types import parse_duration

_REFERENCE: Final = re.compile(REFERENCE)
_IN_PROSE: Final = re.compile(r"\$([a-z0-9][a-z0-9_-]{0,62})")


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter as one file and its parents leave it."""

    value: Node | None
    """None: required and not given yet."""
    tighter: ParameterDirection | None
    place: Place


def read_parameter(stated: ParameterFile, node: Map, name: str, problems: Problems) -> Parameter:
    """One parameter of one file, checked by itself."""
    value = node.get("value")
    if isinstance(value, Map) or (isinstance(value, Items) and not all(isinstance(i, Text) for i in value.items)):
        problems.add(value.place, f"`{name}` must be one value or a list", "write text, a number, or `[a, b]`")
        value = None
    elif value is not None:
        for text in texts(value):
            if text.text.startswith("$"):
                problems.add(text.place, f"`{name}` refers to another parameter", "write the value itself here")
        if stated.required:
            problems.add(node.place, f"`{name}` has a value and is `required`", "delete `required`, or the value")
    return Parameter(value, stated.tighter, node.place)


def inherit_parameter(
    parent: Parameter, own: Parameter, stated: ParameterFile, name: str, problems: Problems
) -> Parameter:
    """What an heir's entry makes of its parent's parameter. Its direction was fixed where it was declared."""
    if stated.tighter is not None and stated.tighter != parent.tighter:
        problems.add(
            own.place,
            f"the direction of `{name}` is fixed where it is declared ({parent.place}): {parent.tighter or 'none'}",
            "delete `tighter` here",
        )
    if stated.required and parent.value is not None:
        problems.add(own.place, f"`{name}` has a value already ({parent.place})", "delete `required`")
    return Parameter(own.value or parent.value, parent.tighter, own.place)


def references(node: Node) -> Iterator[str]:
    """The names that a `with:` refers to."""
    for text in texts(node):
        if _REFERENCE.match(text.text):
            yield text.text[1:]


def substitute(node: Node, values: Mapping[str, Parameter], problems: Problems) -> Node:
    """The node with every `$name` replaced by its value, which keeps its own place; unresolved names are
    problems. Only whole scalars are replaced; `$$text` is the text `$text`."""
    match node:
        case Text(text=text, place=place) if text.startswith("$$"):
            return Text(text[1:], place)
        case Text(text=text, place=place) if _REFERENCE.match(text):
            name = text[1:]
            parameter = values.get(name)
            if parameter is None:
                problems.add(place, f"there is no parameter `{name}`", suggestion(name, values, "parameter"))
            elif parameter.value is None:
                problems.add(
                    place,
                    f"the parameter `{name}` has no value",
                    f"write `parameters: {{{name}: {{value: …}}}}` in the profile that extends this one",
                )
            else:
                return parameter.value
            return node
        case Text():
            return node
        case Items(items=items, place=place):
            return Items(tuple(substitute(item, values, problems) for item in items), place)
        case Map(entries=entries, place=place):
            return Map(tuple(Entry(e.key, substitute(e.value, values, problems)) for e in entries), place)


def filled(words: str, values: Mapping[str, Parameter]) -> str:
    """Prose with the value of every `$name` that has one, for people to read."""

    def value(match: re.Match[str]) -> str:
        parameter = values.get(match[1])
        if parameter is None or parameter.value is None:
            return match[0]
        return ", ".join(text.text for text in texts(parameter.value))

    return _IN_PROSE.sub(value, words)


def is_tighter(direction: ParameterDirection, old: Node, new: Node) -> bool:
    """Whether a changed value is tighter in the parameter's own direction. Numbers and durations have an
    order, lists of text are sets; what cannot be compared is not tighter."""
    match direction:
        case "subset":
            return _set(new) <= _set(old)
        case "superset":
            return _set(new) >= _set(old)
        case "lower" | "higher":
            before, after = _amount(old), _amount(new)
            if before is None or after is None or before[0] != after[0]:
                return False
            return after[1] <= before[1] if direction == "lower" else after[1] >= before[1]


def _set(node: Node) -> frozenset[str]:
    return frozenset(text.text for text in texts(node))


def _amount(node: Node) -> tuple[str, float] | None:
    """A number or a duration in seconds, with its kind; only compared, never recorded."""
    value = plain(node)
    if not isinstance(value, str):
        return None
    if re.fullmatch(r"-?[0-9]{1,15}", value):
        return "number", int(value)
    try:
        return "duration", parse_duration(value).total_seconds()
    except ValueError:
        return None
