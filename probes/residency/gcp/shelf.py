"""What the readers of smaller services share: listings below `projects/P/locations/-`, and things with one place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from probes.clouds.aws.reading import Answer, MalformedError, text
from probes.residency.gcp.asking import Asking
from probes.residency.gcp.keys import Keys
from probes.residency.gcp.names import is_name
from probes.residency.graph import Matters

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Shelf:
    """One service of one walk."""

    asking: Asking
    keys: Keys
    service: str

    def id(self, path: str) -> str:
        """The full resource name of `projects/P/…`."""
        return f"//{self.service}.{self.asking.universe}/{path}"

    def listed(
        self, operation: str, path: str, member: str, item: Callable[[Answer], T], *matters: Matters, paged: bool = True
    ) -> tuple[T, ...]:
        """All that is listed; what is not is an open end. `paged`: the method has pages at all."""
        return self.asking.listed(
            self.service,
            operation,
            path,
            member,
            item,
            at=f"{operation} in {path}",
            matters=matters,
            size="pageSize" if paged else None,
        )


def named(item: Answer, project: str, *kinds: str) -> tuple[str, tuple[str, ...]]:
    """The name of something of a project, and the ids in it after the project's: `projects/P/locations/L/instances/I`
    for the kinds `locations` and `instances`. Raises MalformedError for the name of anything else."""
    name = text(item, "name")
    steps = name.split("/")
    if steps[0] != "projects" or steps[2::2] != list(kinds) or len(steps) != 2 + 2 * len(kinds):
        raise MalformedError("name is not of the kind that was asked for")
    if steps[1] != project and not (steps[1].isdecimal() or project.isdecimal()):
        raise MalformedError("name is of another project")
    if not all(is_name(each) for each in steps[3::2]):
        raise MalformedError("name holds what is no id")
    return name, tuple(steps[3::2])
