"""Names of what holds data in Google Cloud, taken apart strictly: what they name decides whom we ask, and for what."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from keycheck.model.facts import Unseen
from keycheck.model.types import vendor_text
from keycheck.model.verdict import Reason
from probes.places.gcp_regions import MULTI_REGIONS
from probes.residency.graph import unknown
from probes.residency.store_facts import NodePlace

_FULL: Final = re.compile(
    r"//(?P<service>[a-z][a-z0-9]{1,40})\.(?P<universe>[a-z0-9.-]{4,100})/(?P<path>[A-Za-z0-9][A-Za-z0-9._:()/-]{1,600})",
    re.ASCII,
)
_PROJECT: Final = re.compile(r"[a-z0-9][a-z0-9.:-]{2,99}", re.ASCII)
_LOCATION: Final = re.compile(r"[a-z][a-z0-9-]{1,39}", re.ASCII)
_ZONE: Final = re.compile(r"(?P<region>[a-z][a-z0-9-]{1,36}[0-9])-[a-z]", re.ASCII)
_SEGMENT: Final = re.compile(r"[A-Za-z0-9_(][A-Za-z0-9._()-]{0,1023}", re.ASCII)
_DATASET: Final = re.compile(r"[A-Za-z0-9_]{1,1024}", re.ASCII)
_ENDPOINT: Final = re.compile(
    r"projects/[a-z0-9][a-z0-9.:-]{2,99}/locations/(?P<location>[a-z0-9-]{2,40})/endpoints/[A-Za-z0-9_-]{1,100}",
    re.ASCII,
)
_BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]", re.ASCII)


@dataclass(frozen=True, slots=True)
class Full:
    """A full resource name: `//sqladmin.googleapis.com/projects/P/instances/I`."""

    service: str
    universe: str
    path: str

    def __str__(self) -> str:
        return f"//{self.service}.{self.universe}/{self.path}"

    @property
    def steps(self) -> tuple[str, ...]:
        """`projects`, `P`, `instances`, `I`."""
        return tuple(self.path.split("/"))


def full_name(text: str) -> Full:
    """The parts of a full resource name. Raises ValueError for what is none."""
    match = _FULL.fullmatch(text)
    if match is None:
        raise ValueError("not a full resource name of Google Cloud, such as //storage.googleapis.com/projects/_/…")
    steps = match["path"].split("/")
    paired = len(steps) % 2 == 0 or steps[2:3] == ["global"]
    if not paired or not all(_SEGMENT.fullmatch(each) for each in steps[2:]):
        raise ValueError("a full resource name has pairs of a kind and a name")
    if steps[0] != "projects" or (steps[1] != "_" and not is_project(steps[1])):
        raise ValueError("a full resource name begins with projects/ and the project's id")
    return Full(match["service"], match["universe"], match["path"])


def is_project(text: str) -> bool:
    """Whether `text` has the form of a project's id or number; it becomes part of paths."""
    return _PROJECT.fullmatch(text) is not None and ".." not in text


def is_bucket(text: str) -> bool:
    """Whether `text` has the form of a bucket's name."""
    return _BUCKET.fullmatch(text) is not None and ".." not in text


def is_dataset(text: str) -> bool:
    """Whether `text` has the form of the id of a data set of BigQuery."""
    return _DATASET.fullmatch(text) is not None


def is_name(text: str) -> bool:
    """Whether `text` has the form of a resource's own id; it becomes part of paths."""
    return _SEGMENT.fullmatch(text) is not None and ".." not in text


def located(location: str) -> NodePlace | Unseen:
    """Where a location of Google Cloud is: a region, a zone of one, or the name of several regions together."""
    name = location.lower()
    if _LOCATION.fullmatch(name) is None:
        return unknown(f"{vendor_text(location, 60)} is no location of Google Cloud", Reason.MALFORMED)
    if (zone := _ZONE.fullmatch(name)) is not None:
        return NodePlace(regions=(zone["region"],), type="zone")
    kind = "global" if name == "global" else "multi-region" if name in MULTI_REGIONS else "region"
    return NodePlace(regions=(name,), type=kind)


def everywhere(locations: tuple[str, ...]) -> NodePlace | Unseen:
    """In all of several locations; not known where one of them is not understood, or none is told."""
    places = [located(each) for each in locations]
    regions: set[str] = set()
    for place in places:
        if isinstance(place, Unseen):
            return place
        regions.update(place.regions)
    if not places:
        return unknown("Google tells no location of it")
    first = places[0]
    if len(places) == 1 or not isinstance(first, NodePlace):
        return first
    return NodePlace(regions=tuple(sorted(regions)), type="multi-region")


def last(link: str) -> str:
    """The last step of a URL or name."""
    return link.rpartition("/")[2]


def path_of(link: str) -> str | None:
    """`projects/…` out of a URL of Compute Engine or a resource name; None for anything else."""
    _, found, rest = link.partition("projects/")
    path = f"{found}{rest}"
    if (
        not found
        or len(path) > 600
        or not all(_SEGMENT.fullmatch(each) or is_project(each) for each in path.split("/"))
    ):
        return None
    return path


def endpoint_location(model: str) -> str | None:
    """The location of an endpoint of Vertex AI that a project made; None for models that are named otherwise."""
    match = _ENDPOINT.fullmatch(model)
    return None if match is None else match["location"]
