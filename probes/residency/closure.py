"""The graph of a store's closure, as controls ask about it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from probes.residency.store_facts import Basis, ClosureFacts, Edge, EdgeKind, Node, NodeKind

BACKUP_KINDS = frozenset({NodeKind.SNAPSHOT, NodeKind.BACKUP, NodeKind.VAULT, NodeKind.IMAGE})
KEY_KINDS = frozenset({NodeKind.KEY, NodeKind.KEY_STORE})
COPYING = frozenset({EdgeKind.REPLICATES, EdgeKind.WITNESSES, EdgeKind.LOGS, EdgeKind.HELD_BY})
BACKING_UP = frozenset({EdgeKind.BACKS_UP, EdgeKind.COPIES})


@dataclass(frozen=True, slots=True)
class Reached:
    """A node, and the edge that led to it: the way there is part of the finding."""

    node: Node
    way: tuple[Edge, ...]

    @property
    def worded(self) -> str:
        """For people: `db replicates (configured) → db-2`."""
        start = self.way[0].source if self.way else self.node.id
        steps = (f"{edge.kind.value} ({edge.basis.value}) → {short(edge.target)}" for edge in self.way)
        return " ".join((short(start), *steps))


@dataclass(frozen=True, slots=True)
class Closure:
    """Which nodes are the stores themselves, which are copies, and which are backups."""

    stores: tuple[Reached, ...]
    copies: tuple[Reached, ...]
    backups: tuple[Reached, ...]
    dangling: tuple[Edge, ...]
    """Edges whose end is not among the nodes: nobody knows where they lead."""
    unreached: tuple[str, ...]
    """Declared stores that are not among the nodes, and nodes that no edge leads to: nobody knows what they are."""


class _State(NamedTuple):
    """A node, and on what kind of way it is reached: one that nothing takes any more is told from one in use."""

    id: str
    copied: bool
    backed_up: bool
    off: bool


def closure(facts: ClosureFacts) -> Closure:
    """Sort the nodes by how they are reached from the declared ones.

    A node that is reached on two ways counts on both. A replica of a backup is a backup, a backup of a replica too.
    """
    nodes = {node.id: node for node in facts.nodes}
    ways: dict[_State, tuple[Edge, ...]] = {}
    queue: list[_State] = []
    for root in facts.roots:
        if root in nodes:
            start = _State(root, False, nodes[root].kind in BACKUP_KINDS, False)
            ways[start] = ()
            queue.append(start)
    leaving: dict[str, list[Edge]] = {}
    for edge in facts.edges:
        leaving.setdefault(edge.source, []).append(edge)
    for state in queue:  # grows while it is walked
        for edge in leaving.get(state.id, ()):
            if edge.target not in nodes:
                continue
            kind = nodes[edge.target].kind
            end = _State(
                edge.target,
                state.copied or edge.kind in COPYING,
                state.backed_up or edge.kind in BACKING_UP or kind in BACKUP_KINDS,
                state.off or edge.basis is Basis.OFF,
            )
            if end not in ways:
                ways[end] = (*ways[state], edge)
                queue.append(end)
    stores: list[Reached] = []
    copies: list[Reached] = []
    backups: list[Reached] = []
    for state, way in sorted(ways.items()):
        reached = Reached(nodes[state.id], way)
        if reached.node.kind in KEY_KINDS:
            copies.append(reached)
        elif state.backed_up:
            backups.append(reached)
        else:
            (copies if state.copied else stores).append(reached)
    dangling = tuple(edge for edge in facts.edges if edge.target not in nodes or edge.source not in nodes)
    met = {state.id for state in ways}
    unreached = tuple(sorted({*facts.roots, *nodes} - met))
    return Closure(tuple(stores), tuple(_once(copies)), tuple(backups), dangling, unreached)


def _once(reached: list[Reached]) -> list[Reached]:
    """A key is met on many ways: one will do."""
    keys: dict[str, Reached] = {}
    others = [one for one in reached if one.node.kind not in KEY_KINDS]
    for one in reached:
        if one.node.kind in KEY_KINDS:
            keys.setdefault(one.node.id, one)
    return others + [keys[id_] for id_ in sorted(keys)]


def short(id_: str) -> str:
    """The end of a long name, for people."""
    return id_ if len(id_) <= 70 else f"…{id_[-69:]}"
