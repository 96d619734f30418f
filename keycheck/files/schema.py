"""JSON Schemas of keycheck's files, so that editors complete and check them while they are written.

They describe the file as written, before inheritance and parameters. A schema cannot see everything that the
loader sees (references, inheritance, dates), and refuses nothing that the loader takes: YAML editors type
numbers, so a number may stand where the loader reads digits.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Mapping
from enum import StrEnum
from functools import cache
from itertools import pairwise
from typing import Final, TypeAlias, assert_never

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue, models_json_schema
from pydantic_core import core_schema

from keycheck.files.catalogue import Catalogue
from keycheck.files.deployment import DeploymentHead
from keycheck.files.shape import REFERENCE, ProfileFile
from keycheck.model.assessment import Assessment
from keycheck.model.authorization import Authorization, Waiver
from keycheck.model.control import Control

Schema: TypeAlias = dict[str, object]
_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_DEFINITIONS: Final = "$defs"
_WORDS: Final = frozenset({"title", "description", "default"})
_PARAMETER: Final = "ParameterReference"


class FileKind(StrEnum):
    """The files that have a schema."""

    PROFILE = "profile"
    DEPLOYMENT = "deployment"
    WAIVER = "waiver"
    AUTHORIZATION = "authorization"
    ASSESSMENT = "assessment"


def file_schema(kind: FileKind, catalogue: Catalogue) -> Schema:
    """The JSON Schema (2020-12) of a kind of file, with the controls and sections that are installed."""
    match kind:
        case FileKind.PROFILE:
            schema = _profile(catalogue)
        case FileKind.DEPLOYMENT:
            schema = _deployment(catalogue)
        case FileKind.WAIVER:
            schema = _changed(_written((Waiver,)), _loosened)
        case FileKind.AUTHORIZATION:
            schema = _changed(_written((Authorization,)), _loosened)
        case FileKind.ASSESSMENT:
            schema = _written((Assessment,), written_by_us=True)
        case _:
            assert_never(kind)
    return {"$schema": _DIALECT, "$id": f"https://keycheck.dev/schema/{kind}/1.json", **schema}


class _Documented(GenerateJsonSchema):
    """Adds the sentence under each field, as it stands in the source, as its description."""

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        made = super().model_schema(schema)
        properties = made.get("properties", {})
        model: type[BaseModel] = schema["cls"]
        for name, words in _field_docs(model).items():
            field = model.model_fields.get(name)
            shown = properties.get((field.alias if field else None) or name)
            if isinstance(shown, dict):
                shown.setdefault("description", words)
        return made


@cache
def _field_docs(model: type[BaseModel]) -> Mapping[str, str]:
    """Field name -> the string literal that follows its declaration, of the model and its bases."""
    found: dict[str, str] = {}
    for cls in reversed(model.__mro__):
        if not issubclass(cls, BaseModel) or cls is BaseModel:
            continue
        try:
            tree = ast.parse(textwrap.dedent(inspect.getsource(cls)))
        except (OSError, TypeError, SyntaxError):  # no source: a schema without these words
            continue
        body = tree.body[0].body if isinstance(tree.body[0], ast.ClassDef) else []
        for line, after in pairwise(body):
            if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name):
                match after:
                    case ast.Expr(value=ast.Constant(value=str(words))):
                        found[line.target.id] = " ".join(words.split())
    return found


def _written(models: tuple[type[BaseModel], ...], *, written_by_us: bool = False) -> Schema:
    """The first model's schema with the definitions of all. A definition is named after its class; control
    parameters are found by `_definition_of`."""
    mode = "serialization" if written_by_us else "validation"
    keys, definitions = models_json_schema(
        [(model, mode) for model in models],  # type: ignore[misc]
        by_alias=True,
        schema_generator=_Documented,
    )
    root = keys[models[0], mode]  # type: ignore[index]
    named = dict(definitions.get(_DEFINITIONS, {}))
    if reference := root.get("$ref"):
        root = named.pop(str(reference).rpartition("/")[2])
    return {**root, _DEFINITIONS: named}


def _changed(schema: Schema, change: Callable[[Schema], Schema]) -> Schema:
    """The schema with `change` applied to it and to every schema inside, innermost first."""
    inner: Schema = {}
    for key, value in schema.items():
        if key in ("properties", _DEFINITIONS, "patternProperties") and isinstance(value, dict):
            inner[key] = {name: _changed(one, change) for name, one in value.items()}
        elif key in ("anyOf", "oneOf", "allOf", "prefixItems") and isinstance(value, list):
            inner[key] = [_changed(one, change) for one in value]
        elif key in ("items", "additionalProperties", "if", "then", "not") and isinstance(value, dict):
            inner[key] = _changed(value, change)
        else:
            inner[key] = value
    return change(inner)


def _loosened(schema: Schema) -> Schema:
    """What an editor may have typed: digits beside numbers, numbers beside free text; no null, which YAML
    cannot say to the loader."""
    match schema.get("type"):
        case "integer":
            words, bare = _apart(schema)
            return {**words, "anyOf": [bare, {"type": "string", "pattern": "^-?[0-9]+$"}]}
        case "boolean":
            return {**schema, "type": ["boolean", "string"]}
        case "string" if not {"pattern", "enum", "const", "format"} & set(schema):
            return {**schema, "type": ["string", "number", "boolean"]}
        case "string" if "format" in schema:
            return {key: value for key, value in schema.items() if key != "format"}
        case "array":
            return {key: value for key, value in schema.items() if key != "uniqueItems"}
    options = schema.get("anyOf")
    if isinstance(options, list) and {"type": "null"} in options:
        rest = [option for option in options if option != {"type": "null"}]
        others = {key: value for key, value in schema.items() if key not in ("anyOf", "default")}
        return {**rest[0], **others} if len(rest) == 1 else {**others, "anyOf": rest}
    return schema


def _apart(schema: Schema) -> tuple[Schema, Schema]:
    """What a schema says to people, and what it says to machines."""
    words = {key: value for key, value in schema.items() if key in _WORDS}
    return words, {key: value for key, value in schema.items() if key not in _WORDS}


def _profile(catalogue: Catalogue) -> Schema:
    controls = _controls(catalogue)
    schema = _changed(_written((ProfileFile, *controls.values())), _loosened)
    definitions = _definitions(schema)
    definitions[_PARAMETER] = {
        "type": "string",
        "pattern": REFERENCE,
        "description": "The value of a parameter of this profile or of one that it extends.",
    }
    names = {ref: _definition_of(control, definitions) for ref, control in controls.items()}
    for name in set(names.values()):
        definitions[name] = _parameters(definitions[name])
    _requirement(definitions, controls, names)
    _values(definitions)
    # Without a parent nothing is taken over, so each clause must be whole.
    whole = {"items": {"required": ["id", "text", "tier", "requires"]}, "minItems": 1}
    schema["if"] = {"not": {"required": ["extends"]}}
    schema["then"] = {"required": ["clauses"], "properties": {"clauses": whole}}
    return schema


def _controls(catalogue: Catalogue) -> Mapping[str, type[Control]]:
    found = ((ref, catalogue.control(ref)) for ref in catalogue.control_refs())
    return {ref: control for ref, control in found if isinstance(control, type)}


def _definitions(schema: Schema) -> dict[str, Schema]:
    definitions = schema[_DEFINITIONS]
    if not isinstance(definitions, dict):
        raise TypeError("a schema has no definitions")
    return definitions


def _properties(schema: Schema) -> dict[str, Schema]:
    properties = schema.setdefault("properties", {})
    if not isinstance(properties, dict):
        raise TypeError("a schema's properties are no mapping")
    return properties


def _definition_of(model: type[BaseModel], definitions: Mapping[str, Schema]) -> str:
    """The name that pydantic gave to a class: the class's own, or its full path where two share one."""
    full = f"{model.__module__}.{model.__qualname__}".replace(".", "__")
    return full if full in definitions else model.__name__


def _parameters(schema: Schema) -> Schema:
    """A control's parameters as they stand in a file: each may be `$name`, and an heir leaves some out."""

    def referable(inner: Schema) -> Schema:
        words, bare = _apart(inner)
        return {**words, "anyOf": [bare, {"$ref": f"#/$defs/{_PARAMETER}"}]}

    properties = {name: referable(one) for name, one in _properties(schema).items()}
    return {key: value for key, value in schema.items() if key != "required"} | {"properties": properties}


def _requirement(
    definitions: dict[str, Schema], controls: Mapping[str, type[Control]], names: Mapping[str, str]
) -> None:
    """A requirement is planned or has a control, and the control decides what `with` and `for` take."""
    requirement = definitions["RequirementFile"]
    properties = _properties(requirement)
    properties["with"] = {"type": "object", "description": "The control's parameters."}
    properties["control"] = {
        "enum": sorted(names),
        "description": "The control and its version, as in `tls.protocols@1`.",
    }
    requirement["oneOf"] = [
        {"required": ["control"], "properties": {"planned": False}},
        {"required": ["planned"], "maxProperties": 1},
    ]
    requirement["allOf"] = [
        {
            "if": {"properties": {"control": {"const": ref}}, "required": ["control"]},
            "then": {
                "properties": {
                    "with": {"$ref": f"#/$defs/{name}"},
                    "for": {"pattern": f"^{controls[ref].section}(/.*)?$"} if controls[ref].section else True,
                }
            },
        }
        for ref, name in sorted(names.items())
    ]


def _values(definitions: dict[str, Schema]) -> None:
    scalar: Schema = {"type": ["string", "number", "boolean"]}
    _properties(definitions["ParameterFile"])["value"] = {
        "anyOf": [scalar, {"type": "array", "items": scalar}],
        "description": "Text, a number, or a list of them.",
    }


def _deployment(catalogue: Catalogue) -> Schema:
    found = {section: catalogue.subject(section) for section in catalogue.sections()}
    subjects = {section: model for section, model in found.items() if isinstance(model, type)}
    schema = _changed(_written((DeploymentHead, *subjects.values())), _loosened)
    definitions, properties = _definitions(schema), _properties(schema)
    for section in sorted(found):
        model = subjects.get(section)
        items: Schema = {"$ref": f"#/$defs/{_definition_of(model, definitions)}"} if model else {"type": "object"}
        properties[section] = {
            "type": "array",
            "items": items,
            "description": inspect.getdoc(model) or "" if model else "The plugin of this section does not load.",
        }
    return schema
