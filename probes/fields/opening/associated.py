"""The associated data of a value that does not show it, as its line of the field map says."""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import StrEnum

from probes.fields.subjects import FieldRule


def entries(rule: FieldRule, row: Mapping[str, str | None]) -> dict[str, str] | None:
    """The entries that the context of this row must hold; None where the row lacks a column of them."""
    made: dict[str, str] = {}
    for entry in rule.context:
        said = row.get(entry.column) if entry.column is not None else entry.value
        if said is None:
            return None
        made[entry.name] = said
    return made


class Made(StrEnum):
    """How associated data is made; the words of `FieldRule.associated`."""

    NONE = "none"
    JSON = "context-json"
    ESDK = "context-esdk"
    PATH = "column-path"


def associated_data(rule: FieldRule, context: Mapping[str, str], how: str) -> bytes:
    """The associated data of a row with these entries. `context-json` is an object in RFC 8785; `context-esdk` is the
    AWS Encryption SDK's serialisation: a count, then names and values in the order of the names, each behind its
    length."""
    match Made(how):
        case Made.NONE:
            return b""
        case Made.JSON:
            pairs = sorted(context.items(), key=lambda entry: entry[0].encode("utf-16-be"))
            return json.dumps(dict(pairs), ensure_ascii=False, separators=(",", ":")).encode()
        case Made.ESDK:
            return esdk_context(context)
        case Made.PATH:
            return rule.column.encode()


def esdk_context(context: Mapping[str, str]) -> bytes:
    """Pairs as the AWS Encryption SDK writes them; nothing for no pairs."""
    pairs = sorted((name.encode(), value.encode()) for name, value in context.items())
    packed = b"".join(len(part).to_bytes(2, "big") + part for pair in pairs for part in pair)
    return len(pairs).to_bytes(2, "big") + packed if pairs else b""
