"""Organizations, folders, projects and groups of the lab."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from keycheck.lab.errors import LabError
from keycheck.model.types import Clock

_FIRST_NUMBER: Final = 100_000_000_001
_MOST_LEVELS: Final = 12


@dataclass(frozen=True, slots=True)
class Node:
    """A container of resources."""

    name: str
    """`organizations/1…`, `folders/1…`; for projects `projects/<id>`."""
    number: str
    display: str
    parent: str | None
    created: datetime
    deleted: bool = False


class Directory:
    """The tree of containers, and who is in which group."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._nodes: dict[str, Node] = {}
        self._project_of_number: dict[str, str] = {}
        self._groups: dict[str, set[str]] = {}
        self._next = _FIRST_NUMBER

    def organization(self, display: str = "example.com") -> str:
        """Add one; gives its name, `organizations/…`."""
        number = self._number()
        return self._add(Node(f"organizations/{number}", number, display, None, self._clock()))

    def folder(self, parent: str, display: str = "folder") -> str:
        """Add one under an organization or folder; gives its name, `folders/…`."""
        number = self._number()
        return self._add(Node(f"folders/{number}", number, display, self._known(parent), self._clock()))

    def project(self, project_id: str, parent: str | None = None) -> str:
        """Add one; gives `projects/<id>`. A project without a parent belongs to no organization."""
        number = self._number()
        above = None if parent is None else self._known(parent)
        name = self._add(Node(f"projects/{project_id}", number, project_id, above, self._clock()))
        self._project_of_number[number] = name
        return name

    def group(self, email: str, members: Iterable[str]) -> None:
        """`members` as IAM writes them (`user:…`, `serviceAccount:…`, `group:…`)."""
        self._groups[f"group:{email}"] = set(members)

    def delete(self, name: str) -> None:
        """Mark a container for deletion."""
        node = self._nodes[self._known(name)]
        self._nodes[node.name] = replace(node, deleted=True)

    def node(self, name: str) -> Node | None:
        """Of a container's name; projects also by number."""
        if name.startswith("projects/"):
            name = self._project_of_number.get(name.removeprefix("projects/"), name)
        return self._nodes.get(name)

    def children(self, parent: str, kind: str) -> tuple[Node, ...]:
        """Direct children whose names begin with `kind` (`projects/`)."""
        return tuple(node for node in self._nodes.values() if node.parent == parent and node.name.startswith(kind))

    def nodes(self, kind: str) -> tuple[Node, ...]:
        return tuple(node for node in self._nodes.values() if node.name.startswith(kind))

    def lineage(self, resource: str) -> tuple[str, ...]:
        """The resource and everything above it that can carry a policy, nearest first."""
        parts = resource.split("/")
        levels: list[str] = []
        if parts[0] == "projects" and len(parts) > 2:
            # versions carry no policy, and locations none either
            if len(parts) == 4 and parts[2] == "serviceAccounts":
                levels.append(resource)
            if len(parts) >= 8:
                levels.append("/".join(parts[:8]))
            if len(parts) >= 6:
                levels.append("/".join(parts[:6]))
        node = self.node("/".join(parts[:2]))
        levels.append("/".join(parts[:2]) if node is None else node.name)
        while node is not None and node.parent is not None and len(levels) < _MOST_LEVELS:
            levels.append(node.parent)
            node = self._nodes.get(node.parent)
        return tuple(levels)

    def in_group(self, group: str, member: str) -> bool:
        """Directly or through groups in groups."""
        seen: set[str] = set()
        waiting = [group]
        while waiting:
            name = waiting.pop()
            if name in seen:
                continue
            seen.add(name)
            members = self._groups.get(name, set())
            if member in members:
                return True
            waiting.extend(each for each in members if each.startswith("group:"))
        return False

    def _known(self, name: str) -> str:
        node = self.node(name)
        if node is None:
            raise LabError(f"the lab's directory has no {name}", advice="add it to the directory first")
        return node.name

    def _add(self, node: Node) -> str:
        if node.name in self._nodes:
            raise LabError(f"{node.name} is already in the lab's directory", advice="use another name")
        self._nodes[node.name] = node
        return node.name

    def _number(self) -> str:
        self._next += 1
        return str(self._next)
