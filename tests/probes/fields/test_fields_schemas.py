"""Facts of fields within a major version are only added to: what was written yesterday is read today.

`schemas/` holds the schema of each kind of facts as it was last written. Whoever adds a field writes it anew, by
`python tests/probes/fields/test_fields_schemas.py`, after the test has said that the change only adds.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TypeAlias, cast

import pytest

from keycheck.model.facts import Facts
from probes.fields.facts import ColumnFacts, ExportFacts

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | bool | None"
Schema: TypeAlias = dict[str, Json]
HOME = Path(__file__).with_name("schemas")
KINDS: tuple[type[Facts], ...] = (ColumnFacts, ExportFacts)
_LEAST = ("minimum", "minLength", "minItems")
_MOST = ("maximum", "maxLength", "maxItems")
_SAME = ("type", "pattern", "format", "const")


def path_of(kind: type[Facts]) -> Path:
    return HOME / f"{kind.schema_id.replace('/', '-')}.json"


def schema_of(kind: type[Facts]) -> Schema:
    return kind.model_json_schema(by_alias=True)


def losses(old: Schema, new: Schema, was: Schema, now: Schema, at: str = "$") -> list[str]:
    """What `new` refuses of what `old` accepts. `was` and `now`: the whole documents, for their definitions."""
    old, new = resolved(old, was), resolved(new, now)
    if "anyOf" in old or "oneOf" in old:
        return [f"{at}: {one}" for one in options(old) if all(losses(one, more, was, now, at) for more in options(new))]
    if "anyOf" in new or "oneOf" in new:
        tried = [losses(old, more, was, now, at) for more in options(new)]
        return min(tried, key=len)
    found = [
        f"{at}.{key}: {old.get(key)} became {new[key]}" for key in _SAME if key in new and new[key] != old.get(key)
    ]
    found += [f"{at}.{key} rose" for key in _LEAST if number(new, key, 0) > number(old, key, 0)]
    found += [f"{at}.{key} fell" for key in _MOST if number(new, key, 1e99) < number(old, key, 1e99)]
    if "enum" in new and not set(words(old, "enum")) <= set(words(new, "enum")):
        found.append(f"{at}.enum lost a word")
    found += [f"{at}.{name} is demanded" for name in words(new, "required") if name not in words(old, "required")]
    mine, theirs = parts(old, "properties"), parts(new, "properties")
    for name, part in mine.items():
        if name not in theirs:
            found.append(f"{at}.{name} is gone")
        else:
            found += losses(part, theirs[name], was, now, f"{at}.{name}")
    for name in ("items", "additionalProperties"):
        if isinstance(old.get(name), dict) and isinstance(new.get(name), dict):
            found += losses(cast(Schema, old[name]), cast(Schema, new[name]), was, now, f"{at}.{name}")
    return found


def resolved(schema: Schema, whole: Schema) -> Schema:
    if (ref := schema.get("$ref")) is None:
        return schema
    return resolved(parts(whole, "$defs")[str(ref).rpartition("/")[2]], whole)


def options(schema: Schema) -> list[Schema]:
    found = schema.get("anyOf") or schema.get("oneOf")
    return cast(list[Schema], found) if found else [schema]


def parts(schema: Schema, key: str) -> dict[str, Schema]:
    return cast(dict[str, Schema], schema.get(key, {}))


def words(schema: Schema, key: str) -> list[str]:
    return cast(list[str], schema.get(key, []))


def number(schema: Schema, key: str, default: float) -> float:
    return cast(float, schema.get(key, default))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.schema_id)
def test_facts_are_only_added_to(kind: type[Facts]) -> None:
    old: Schema = json.loads(path_of(kind).read_text(encoding="utf-8"))
    new = schema_of(kind)
    assert losses(old, new, old, new) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda schema: schema["properties"].pop("rows"), "$.rows is gone"),
        (lambda schema: schema["required"].append("tests"), "$.tests is demanded"),
        (lambda schema: schema["$defs"]["Kind"]["properties"]["count"].update(type="string"), "count.type"),
        (lambda schema: schema["$defs"]["Test"]["properties"]["name"]["enum"].pop(), "enum lost a word"),
        (lambda schema: schema["properties"]["kinds"].update(maxItems=3), "kinds.maxItems fell"),
    ],
)
def test_a_loss_is_seen(change: object, said: str) -> None:
    old, new = schema_of(ColumnFacts), schema_of(ColumnFacts)
    change(new)  # type: ignore[operator]
    assert any(said in loss for loss in losses(old, new, old, new))


def test_an_addition_is_none() -> None:
    old, new = schema_of(ColumnFacts), schema_of(ColumnFacts)
    parts(new, "properties")["fresh"] = {"type": "integer", "default": 0}
    assert losses(old, new, old, new) == []


if __name__ == "__main__":
    for each in KINDS:
        path_of(each).write_text(json.dumps(schema_of(each), indent=1, sort_keys=True) + "\n", encoding="utf-8")
