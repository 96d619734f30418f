"""Facts of residency within a major version are only added to: what was written yesterday is read today.

`schemas/` holds the schema of each kind of facts as it was last written. Whoever adds a field writes it anew, by
`PYTHONPATH=tests/support python tests/probes/residency/test_residency_schemas.py`, after the test has said that the
change only adds.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from facts_schemas import lost, write

from keycheck.model.facts import Facts
from probes.residency import facts

HOME = Path(__file__).with_name("schemas")
KINDS: tuple[type[Facts], ...] = tuple(getattr(facts, name) for name in facts.__all__)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.schema_id)
def test_facts_are_only_added_to(kind: type[Facts]) -> None:
    assert lost(HOME, kind) == []


if __name__ == "__main__":
    write(HOME, *KINDS)
