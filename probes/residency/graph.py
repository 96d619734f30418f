"""The graph as it is found, within bounds: what exceeds them is an open end, never left out in silence."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Final, Literal, TypeAlias

from keycheck.errors import ProbeError
from keycheck.model.facts import Unseen
from keycheck.model.types import vendor_text
from keycheck.model.verdict import Reason
from probes.residency.store_facts import (
    MAX_EDGES,
    MAX_NODES,
    Basis,
    Edge,
    EdgeKind,
    Encryption,
    Node,
    NodeKind,
    NodePlace,
    ObjectsSampled,
    OpenEnd,
    Unneeded,
)

Matters: TypeAlias = Literal["stores", "copies", "backups", "encryption", "everything"]

MAX_BYTES: Final = 880 * 1024
"""Of nodes, edges and open ends together: all of it stands in one line of evidence, which holds 1 MiB."""
MAX_OPEN: Final = 500
PENDING: Final = Unseen(reason=Reason.NOT_COVERED, detail="named, and not looked at")
"""Of what was met on the way, until it is looked at."""
GONE: Final = "does not exist any more"
"""Note on what something is a copy of, and what its own Region does not know."""
NOT_OURS: Final = "does not exist any more, or is another account's"
"""The same, where the cloud says the one as it says the other."""


class Graph:
    """Nodes by id, edges, open ends. One thread's own."""

    def __init__(self) -> None:
        self._nodes: dict[str, Node] = {}
        self._edges: dict[tuple[str, str, EdgeKind, Basis, str], Edge] = {}
        self._open: dict[tuple[str, str, Reason], OpenEnd] = {}
        self._size = 0
        self._left_out: dict[str, int] = {}

    @property
    def nodes(self) -> tuple[Node, ...]:
        """Sorted by id."""
        return tuple(self._nodes[id] for id in sorted(self._nodes))

    @property
    def edges(self) -> tuple[Edge, ...]:
        """Sorted, and only between nodes that are there."""
        return tuple(self._edges[key] for key in sorted(self._edges))

    @property
    def open(self) -> tuple[OpenEnd, ...]:
        """With one more for everything that there was no room for."""
        left = tuple(
            OpenEnd(
                at=what,
                matters="everything",
                why=Unseen(
                    reason=Reason.NOT_COVERED,
                    detail=f"{number} more {what} than one line of evidence holds; declare what they belong to one by "
                    "one, as resources",
                ),
            )
            for what, number in sorted(self._left_out.items())
        )
        return tuple(self._open[key] for key in sorted(self._open)) + left

    def node(self, id: str) -> Node | None:
        """The node of that id."""
        return self._nodes.get(id)

    def put(
        self,
        id: str,
        kind: NodeKind,
        account: str | None,
        place: NodePlace | Unseen,
        encryption: Encryption | Unneeded | Unseen,
        *,
        objects: ObjectsSampled | None = None,
        created: datetime | None = None,
        note: str | None = None,
    ) -> bool:
        """Record a node; what is known better replaces what was not. False where there was no room."""
        made = Node(
            id=vendor_text(id),
            kind=kind,
            account=account,
            place=place,
            encryption=encryption,
            objects=objects,
            created=created,
            note=None if note is None else vendor_text(note),
        )
        before = self._nodes.get(id)
        if before is not None and not _better(made, before):
            return True
        size = len(made.model_dump_json())
        if before is None and not self._room("nodes", len(self._nodes) < MAX_NODES, size):
            return False
        self._size += size if before is None else 0
        self._nodes[id] = made
        return True

    def edge(
        self, source: str, target: str, kind: EdgeKind, basis: Basis, detail: str = "", at: datetime | None = None
    ) -> None:
        """Record an edge between two nodes that were put; of the same edge twice, the latest time stays."""
        if source not in self._nodes or target not in self._nodes:
            # There was no room for one of them.
            self._left_out["edges"] = self._left_out.get("edges", 0) + 1
            return
        key = (source, target, kind, basis, detail)
        made = Edge(
            source=vendor_text(source),
            target=vendor_text(target),
            kind=kind,
            basis=basis,
            at=at,
            detail=vendor_text(detail),
        )
        before = self._edges.get(key)
        if before is not None:
            if at is not None and (before.at is None or before.at < at):
                self._edges[key] = made
            return
        size = len(made.model_dump_json())
        if self._room("edges", len(self._edges) < MAX_EDGES, size):
            self._size += size
            self._edges[key] = made

    def ends(self, at: str, matters: Matters, why: Unseen | ProbeError) -> None:
        """Something is not known from there on."""
        unseen = seen_not(why) if isinstance(why, ProbeError) else why
        key = (vendor_text(at), matters, unseen.reason)
        if key in self._open:
            return
        made = OpenEnd(at=vendor_text(at), matters=matters, why=unseen)
        size = len(made.model_dump_json())
        if self._room("open ends", len(self._open) < MAX_OPEN, size):
            self._size += size
            self._open[key] = made

    def close(self) -> None:
        """At the end of a walk: what was never looked at is an open end."""
        for node in self.nodes:
            if node.place == PENDING:
                self.ends(node.id, "stores", PENDING)
            if node.encryption == PENDING:
                self.ends(node.id, "encryption", PENDING)

    @contextmanager
    def opening(self, at: str, *matters: Matters) -> Iterator[None]:
        """Within, what cannot be asked or understood is an open end at `at`, for each of the questions."""
        try:
            yield
        except ProbeError as error:
            for each in matters:
                self.ends(at, each, error)

    def _room(self, what: str, enough: bool, size: int) -> bool:
        if enough and self._size + size <= MAX_BYTES:
            return True
        self._left_out[what] = self._left_out.get(what, 0) + 1
        return False


def _better(made: Node, before: Node) -> bool:
    """Whether the later tells more: its own description, or why there is none, counts for more than its name."""

    def told(node: Node) -> tuple[int, int, int]:
        return (
            int(isinstance(node.place, NodePlace)),
            int(not isinstance(node.encryption, Unseen)),
            int(node.objects is not None),
        )

    return told(made) > told(before) or (told(made) == told(before) and before.encryption == PENDING)


def seen_not(error: ProbeError) -> Unseen:
    """A failure as it is recorded."""
    return Unseen(reason=error.reason, detail=vendor_text(str(error)))


def unknown(why: str, reason: Reason = Reason.NOT_COVERED) -> Unseen:
    """Why something is not known."""
    return Unseen(reason=reason, detail=vendor_text(why))
