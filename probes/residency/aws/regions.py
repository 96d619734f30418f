"""Which Regions an account has: those that it can hold data in now.

A Region that was enabled once and is disabled now may still hold data, and can be asked by nobody: no answer of AWS
tells that from one that was never enabled.
"""

from __future__ import annotations

from typing import Final

from keycheck.errors import ProbeError
from probes.clouds.aws.reading import Answer, MalformedError, children, parsing, text
from probes.residency.aws.asking import Asking
from probes.residency.aws.names import is_region

_OFF: Final = "DISABLED"
_STATES: Final = ("ENABLED", "ENABLING", "DISABLING", _OFF, "ENABLED_BY_DEFAULT")
_NOT_IN: Final = "not-opted-in"


def enabled(asking: Asking) -> tuple[str, ...]:
    """Every Region that is not disabled, opt-in ones too. Raises ProbeError where neither of the two calls tells."""
    try:
        return _listed(asking)
    except ProbeError:
        return _described(asking)


def elsewhere(asking: Asking, region: str, at: str) -> tuple[str, ...]:
    """The other Regions that copies of `at` may be in; where they are not told, none, and an open end."""
    if not asking.regions:
        with asking.graph.opening(at, "copies", "backups"):
            asking.regions = enabled(asking)
    return tuple(each for each in asking.regions if each != region)


def _listed(asking: Asking) -> tuple[str, ...]:
    operation = "account:ListRegions"
    found: set[str] = set()
    token: str | None = None
    for _ in range(20):
        more = {} if token is None else {"NextToken": token}
        answer = asking.ask(operation, asking.home, MaxResults=50, **more)
        with parsing(operation):
            for item in children(answer, "Regions", required=True):
                if (state := text(item, "RegionOptStatus")) not in _STATES:
                    raise MalformedError("a RegionOptStatus that is not known")
                if state != _OFF:
                    found.add(_region(item))
            next_token = answer.get("NextToken")
            if next_token is not None and (not isinstance(next_token, str) or next_token == token):
                raise MalformedError("pages that run in a circle")
            token = next_token
        if not token:
            return _some(operation, found)
    with parsing(operation):
        raise MalformedError("pages without end")


def _described(asking: Asking) -> tuple[str, ...]:
    operation = "ec2:DescribeRegions"
    answer = asking.ask(operation, asking.home, AllRegions=True)
    with parsing(operation):
        found = {
            _region(item) for item in children(answer, "Regions", required=True) if text(item, "OptInStatus") != _NOT_IN
        }
    return _some(operation, found)


def _region(item: Answer) -> str:
    name = text(item, "RegionName")
    if not is_region(name):
        raise MalformedError("a RegionName that is none")
    return name


def _some(operation: str, found: set[str]) -> tuple[str, ...]:
    with parsing(operation):
        if not found:
            raise MalformedError("an account without Regions")
    return tuple(sorted(found))
