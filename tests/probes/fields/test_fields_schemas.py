"""Facts of fields within a major version are only added to: what was written yesterday is read today.

`schemas/` holds the schema of each kind of facts as it was last written. Whoever adds a field writes it anew, by
`PYTHONPATH=tests/support python tests/probes/fields/test_fields_schemas.py`, after the test has said that the change
only adds.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from facts_schemas import losses, lost, parts, schema_of, write

from keycheck.model.facts import Facts
from probes.fields.facts import ColumnFacts, ExportFacts

HOME = Path(__file__).with_name("schemas")
KINDS: tuple[type[Facts], ...] = (ColumnFacts, ExportFacts)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.schema_id)
def test_facts_are_only_added_to(kind: type[Facts]) -> None:
    assert lost(HOME, kind) == []


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
    write(HOME, *KINDS)
