"""Whether a wrapped data key says that it is wrapped by the customer's key. A claim; only the key service proves it."""

from __future__ import annotations

import re
from typing import Final

_PREFIXES: Final = ("aws-kms://", "gcp-kms://", "//cloudkms.googleapis.com/")
_ARN: Final = re.compile(
    r"^arn:(?P<partition>[^:]*):kms:(?P<region>[^:]*):(?P<account>[^:]*):(?P<kind>key|alias)/(?P<id>.+)$"
)
_GOOGLE: Final = re.compile(
    r"^projects/(?P<project>[^/]+)/locations/(?P<location>[^/]+)/keyRings/(?P<ring>[^/]+)/cryptoKeys/(?P<key>[^/]+)"
)
_BARE: Final = re.compile(r"^(mrk-[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$")
_OWN_WRAPPING: Final = frozenset({"raw-aes", "raw-rsa", "local"})
"""Providers that are no key service: whoever runs the service holds the wrapping key."""


def names(provider: str, stated: str, resource: str) -> bool | None:
    """Whether `stated` is the key `resource`; None where it does not tell: no name, an alias, a branch key, a word of
    the format's own."""
    if provider in _OWN_WRAPPING:
        return False
    if provider == "aws-kms-hierarchy" or not stated or not resource:
        return None
    bare = _stripped(stated)
    if bare == resource or bare.startswith(f"{resource}/cryptoKeyVersions/"):
        return True
    if _BARE.match(bare):
        return resource.endswith(f":key/{bare}")
    arn = _ARN.match(bare)
    if arn is not None:
        return None if arn["kind"] == "alias" and not _elsewhere(arn, resource) else False
    return False if _GOOGLE.match(bare) else None


def _stripped(stated: str) -> str:
    for prefix in _PREFIXES:
        stated = stated.removeprefix(prefix)
    return stated


def _elsewhere(alias: re.Match[str], resource: str) -> bool:
    """Whether an alias lies in another account or Region than the key: an alias names a key of its own place."""
    key = _ARN.match(resource)
    return key is None or (alias["region"], alias["account"]) != (key["region"], key["account"])


def difference(stated: str, resource: str) -> str:
    """In what another key differs: Region and account first, as a place is a promise of its own."""
    bare = _stripped(stated)
    for form, fields in ((_ARN, ("region", "account")), (_GOOGLE, ("location", "project"))):
        one, other = form.match(bare), form.match(resource)
        if one is not None and other is not None:
            apart = [
                f"{field} {one[field]} instead of {other[field]}" for field in fields if one[field] != other[field]
            ]
            return f" ({', '.join(apart)})" if apart else ""
    return ""
