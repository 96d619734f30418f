"""Validating a located tree with a pydantic model: every error gets its place, plain words and a mend.

Values are shown only where they cannot be a secret: names, choices and numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Final, TypeVar, get_args, get_origin

from pydantic import BaseModel, StringConstraints, ValidationError
from pydantic_core import ErrorDetails

from keycheck.files.located import Items, Map, Node, plain
from keycheck.files.problems import Place, Problems, suggestion
from keycheck.model import deployment, profile, types

M = TypeVar("M", bound=BaseModel)
_MOST: Final = 200
"""Errors of one model that are looked at; more are never shown."""


def validate(node: Node, model: type[M], problems: Problems, context: Mapping[str, object] | None = None) -> M | None:
    """The node as `model`; None when there were errors, which are in `problems` then."""
    try:
        return model.model_validate(plain(node), context=context, by_alias=True, by_name=False)
    except ValidationError as cause:
        for error in cause.errors(include_url=False)[:_MOST]:
            _report(error, node, model, problems)
        return None


def _report(error: ErrorDetails, root: Node, model: type[BaseModel], problems: Problems) -> None:
    node, place, label, value = _find(root, error["loc"])
    models = tuple(_models_at(model, error["loc"][:-1]))
    if error["type"] == "missing":
        name = str(error["loc"][-1])
        problems.add(node.place, f"`{name}` is missing", f"add `{name}:` to this mapping")
        return
    if error["type"] == "extra_forbidden":
        parent, *_ = _find(root, error["loc"][:-1])
        entry = parent.entry(str(error["loc"][-1])) if isinstance(parent, Map) else None
        place = entry.key.place if entry else place
    what, mend = _words(error, label, value, models)
    if error["type"] in _MAPPING_WANTED:
        mend = _mapping_of(model, error["loc"]) or mend
    if error["loc"] and isinstance(error["loc"][-1], int) and label:
        what = f"an entry of {what}"
    problems.add(place, what, mend)


def _mapping_of(model: type[BaseModel], location: tuple[int | str, ...]) -> str | None:
    """The keys that a mapping there has, for who wrote a plain value."""
    keys = list(dict.fromkeys(name for one in _models_at(model, location) for name in one.model_fields))
    return f"write `{{key: value, …}}`, with keys of: {', '.join(keys[:12])}" if keys else None


def _find(root: Node, location: tuple[int | str, ...]) -> tuple[Node, Place, str, object]:
    """Walk down to an error: the deepest node reached, the place to show, a label, and the value there.

    A location also holds the tags of unions and the names of validators, which stand in no file.
    """
    node, place, key, label = root, root.place, root.place, ""
    value: object | None = None
    for step in location:
        match node, step:
            case Map(), str() if entry := node.entry(step):
                node, place, key, label = entry.value, entry.value.place, entry.key.place, step
            case _, "[key]":
                place, value = key, label
            case Items(items=items), int() if step < len(items):
                node, place = items[step], items[step].place
            case _:
                continue
    return node, place, label, plain(node) if value is None else value


def _models_at(model: type[BaseModel], location: Iterable[int | str]) -> Iterator[type[BaseModel]]:
    """The models that may stand at a location, for suggestions."""
    models = [model]
    for step in location:
        fields = [
            field.annotation
            for one in models
            for name, field in one.model_fields.items()
            if step in (field.alias or name, name)
        ]
        if fields:
            models = [found for annotation in fields for found in _models_in(annotation)]
    yield from models


def _models_in(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif get_origin(annotation) is Annotated:
        yield from _models_in(get_args(annotation)[0])
    else:
        for inner in get_args(annotation):
            yield from _models_in(inner)


def _pattern(alias: object) -> str:
    """The regular expression of a constrained text type."""
    for part in get_args(alias):
        if isinstance(part, StringConstraints) and isinstance(part.pattern, str):
            return part.pattern
    raise TypeError("the type has no pattern")


_SECRET: Final = _pattern(deployment.SecretRef)
_FORMS: Final[Mapping[str, tuple[str, str]]] = {
    _pattern(types.Name): (
        "is not a name",
        "use lower-case letters, digits, dot, dash and underscore, e.g. `api-eu`",
    ),
    _pattern(types.ClauseId): ("is not a clause id", "use capitals, digits and dashes, e.g. `ENC-TRANSIT`"),
    _pattern(types.Digest): ("is not a SHA-256", "write 64 lower-case hexadecimal digits"),
    _pattern(profile.ControlRef): (
        "is not a control with its version",
        "write it as `area.rule@version`, e.g. `tls.protocols@1`",
    ),
    _pattern(profile.SubjectPattern): (
        "is not a choice of subjects",
        "write a section such as `endpoints`, or a section and ids such as `endpoints/api-*`",
    ),
    _pattern(profile.Tag): ("is not a tag", "write a tag such as `gdpr:32`"),
    _pattern(profile.Approver.model_fields["public_key"].rebuild_annotation()): (
        "is not a public key",
        "copy the base64 text from `keycheck key show`",
    ),
    deployment.COORDINATES: (
        "is no latitude and longitude",
        'write degrees, latitude first, in quotes: `"50.11,8.68"`',
    ),
    r"^[A-Z]{2}$": ("is no country code", "write two capitals of ISO 3166, e.g. `DE`; the United Kingdom is `GB`"),
    _SECRET: (
        "must say where the secret is, not what it is",
        "write `env:NAME` or `file:PATH`; if a secret was written here, replace it at its issuer",
    ),
}

_MAPPING_WANTED: Final = {"model_type", "model_attributes_type", "dict_type", "mapping_type"}
_LIST_WANTED: Final = {"tuple_type", "list_type", "set_type", "frozen_set_type"}
_INTEGER_WANTED: Final = {"int_parsing", "int_type", "int_from_float", "int_parsing_size"}


def _words(error: ErrorDetails, label: str, value: object, models: tuple[type[BaseModel], ...]) -> tuple[str, str]:
    """What is wrong and what to write instead, in plain words."""
    kind = error["type"]
    context: Mapping[str, object] = error.get("ctx", {})
    named = f"`{label}`" if label else "this"
    shown = f" `{types.vendor_text(value, 60)}`" if isinstance(value, str) and value else ""
    if isinstance(value, str) and not value and kind != "extra_forbidden":
        return f"{named} is empty", "write a value, or delete the key"
    if kind == "extra_forbidden":
        name = str(error["loc"][-1])
        known = {field.alias or key for one in models for key, field in one.model_fields.items()}
        return f"unknown key `{types.vendor_text(name, 60)}`", suggestion(name, known, "key")
    if kind in _MAPPING_WANTED:
        return f"{named} must be a mapping", "write `key: value` lines"
    if kind in _LIST_WANTED:
        return f"{named} must be a list", "write `[one, two]`, or one `- item` a line"
    if kind in ("string_type", "string_sub_type"):
        return f"{named} must be text", "write a single value, not a list or a mapping"
    if kind in _INTEGER_WANTED:
        return f"{named} must be a whole number, not{shown or ' this'}", "write digits only, e.g. `3`"
    if kind == "bool_parsing":
        return f"{named} must be true or false, not{shown or ' this'}", "write `true` or `false`"
    if kind in ("enum", "literal_error"):
        choices = [choice.strip("' ") for choice in str(context["expected"]).replace(" or ", ", ").split(", ")]
        return f"{named} does not know{shown or ' this value'}", suggestion(str(value), choices, "value")
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        key = str(context["discriminator"]).strip("'")
        tags = str(context.get("expected_tags", "")).replace("'", "").split(", ")
        known_tags = [tag for tag in tags if tag]
        return f"`{key}` is missing or unknown", (
            f"write `{key}:` with one of: {', '.join(known_tags)}" if known_tags else f"add `{key}:`"
        )
    if kind == "string_pattern_mismatch":
        pattern = str(context["pattern"])
        if pattern in _FORMS:
            what, mend = _FORMS[pattern]
            return f"{named}{'' if pattern == _SECRET else shown} {what}", mend
        return f"{named} has not the right form", f"it must match {pattern}"
    if kind == "value_error":
        return _own_words(named, str(context["error"]))
    return f"{named}: {_lowered(str(error['msg']))}", "write a value that fits"


def _own_words(named: str, message: str) -> tuple[str, str]:
    """A validator's sentence: what follows its first semicolon is the mend."""
    what, _, mend = message.partition("; ")
    return what if named == "this" else f"{named}: {what}", mend or "write a value that fits"


def _lowered(message: str) -> str:
    message = message.removeprefix("Input ").removeprefix("Value ")
    return message[:1].lower() + message[1:]
