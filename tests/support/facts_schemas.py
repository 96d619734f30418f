"""Whether a schema of facts refuses what an older one accepted: within a major version facts are only added to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TypeAlias, cast

from keycheck.model.facts import Facts

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | bool | None"
Schema: TypeAlias = dict[str, Json]
_LEAST = ("minimum", "minLength", "minItems")
_MOST = ("maximum", "maxLength", "maxItems")
_SAME = ("type", "pattern", "format", "const")


def path_of(home: Path, kind: type[Facts]) -> Path:
    """Where the schema is kept as it was last written."""
    return home / f"{kind.schema_id.replace('/', '-')}.json"


def write(home: Path, *kinds: type[Facts]) -> None:
    """Keep the schemas as they are now."""
    for kind in kinds:
        text = json.dumps(schema_of(kind), indent=1, sort_keys=True) + "\n"
        path_of(home, kind).write_text(text, encoding="utf-8")


def lost(home: Path, kind: type[Facts]) -> list[str]:
    """What the kept schema accepted and the one of today refuses."""
    old: Schema = json.loads(path_of(home, kind).read_text(encoding="utf-8"))
    new = schema_of(kind)
    return losses(old, new, old, new)


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
