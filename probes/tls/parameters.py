"""Parameter types of the TLS controls: names that stand in the code point registries. Pure."""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated, TypeAlias

from pydantic import AfterValidator

from probes.tls.wire.codepoints import ANY_SUITE, GROUPS, VERSIONS, Registry


def _known(registry: Registry, value: str) -> str:
    registry.code(value)
    return value


def _version(value: str) -> str:
    return _known(VERSIONS, value)


def _suite(value: str) -> str:
    return _known(ANY_SUITE, value)


def _group(value: str) -> str:
    return _known(GROUPS, value)


VersionName: TypeAlias = Annotated[str, AfterValidator(_version)]
"""`SSLv2`, `SSLv3`, `TLSv1.0` to `TLSv1.3`."""
SuiteName: TypeAlias = Annotated[str, AfterValidator(_suite)]
"""IANA's name, as in `TLS_AES_256_GCM_SHA384`, or a number as `0x1302`."""
GroupName: TypeAlias = Annotated[str, AfterValidator(_group)]
"""IANA's name, as in `X25519MLKEM768`, or a number as `0x11EC`."""


@lru_cache(maxsize=256)
def codes(registry: Registry, names: frozenset[str]) -> frozenset[int]:
    """The code points of validated names."""
    return frozenset(registry.code(name) for name in names)


def listed(registry: Registry, found: frozenset[int], limit: int = 6) -> str:
    """Code points by name for a message, in the order of their numbers; what is beyond `limit` is counted."""
    names = [registry.name(code) for code in sorted(found)]
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more
