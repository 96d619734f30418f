"""To whom a credential may be shown: the hosts of its own universe, and nobody else without the unsafe setting."""

from __future__ import annotations

import ipaddress
import re
from typing import Final
from urllib.parse import SplitResult, urlsplit

from keycheck.errors import ProbeError
from keycheck.model.deployment import GcpIdentity
from keycheck.model.verdict import Reason

UNIVERSES: Final = frozenset({"googleapis.com", "s3nsapis.fr", "apis-berlin-build0.goog"})
"""Google's own; S3NS in France (https://documentation.s3ns.fr/docs/get-started-tpc/use-client-libraries); Google Cloud
Dedicated in Germany."""
METADATA: Final = frozenset({"169.254.169.254", "fd00:ec2::254", "fd20:ce::254"})
"""Addresses where a cloud tells a machine about itself; not routed any further."""
METADATA_NAMES: Final = frozenset({"metadata.google.internal", "metadata.goog"})
_AWS_STS: Final = "https://sts.{region}.amazonaws.com"


def check_universe(identity: GcpIdentity) -> None:
    """Raises ProbeError(unsupported) for a universe that is none we know: its token services would be anybody's."""
    if identity.universe_domain not in UNIVERSES and not identity.unsafe_foreign_endpoints:
        raise ProbeError(
            Reason.UNSUPPORTED,
            f"identity {identity.id}: {identity.universe_domain} is no universe of Google Cloud that keycheck knows; "
            "name one, or allow any with unsafe_foreign_endpoints",
        )


def check_endpoint(identity: GcpIdentity, endpoint: str) -> None:
    """Raises ProbeError(unsupported) for an endpoint outside the universe, before any token is made for it."""
    host = endpoint.partition(":")[0].lower()
    universe = identity.universe_domain
    if identity.unsafe_foreign_endpoints or host == universe or host.endswith(f".{universe}"):
        return
    raise ProbeError(
        Reason.UNSUPPORTED,
        f"identity {identity.id}: {endpoint} is not below {universe}, and tokens are not sent to it; name an endpoint "
        "of the universe, or allow any with unsafe_foreign_endpoints",
    )


def issues_tokens(url: object, identity: GcpIdentity, service: str) -> bool:
    """Whether the URL is of the universe's own `service` (`oauth2`, `sts`, `iamcredentials`), or of an emulator on
    this machine where the identity allows that."""
    parts = split(url)
    if parts is None:
        return False
    host = parts.hostname or ""
    if parts.scheme == "http":
        return identity.unsafe_plaintext_to_loopback and literal_loopback(host)
    universe = re.escape(identity.universe_domain)
    own = re.fullmatch(rf"{service}(\.[a-z0-9-]{{1,63}}\.rep)?\.{universe}", host) is not None
    # key files of partners' accounts name Google's own service too
    return own or (service == "oauth2" and host in ("oauth2.googleapis.com", "accounts.google.com"))


def of_metadata(url: object) -> bool:
    """Whether the URL is of a cloud's service for its own machines."""
    parts = split(url)
    return parts is not None and parts.scheme == "http" and (parts.hostname or "") in METADATA | METADATA_NAMES


def of_aws_sts(url: object) -> bool:
    """Whether a request signed for the URL is one for AWS's own token service."""
    return isinstance(url, str) and (url == _AWS_STS or url.startswith((f"{_AWS_STS}?", f"{_AWS_STS}/")))


def literal_loopback(host: str) -> bool:
    """Whether the host is this machine, without looking it up."""
    if host == "localhost":  # by RFC 6761 never anything else
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def split(url: object, longest: int = 2000) -> SplitResult | None:
    """A plain http or https URL in pieces; None for everything else."""
    if not isinstance(url, str) or len(url) > longest or not url.isascii() or not url.isprintable():
        return None
    if any(each in url for each in ' \\"<>'):
        return None
    try:
        parts = urlsplit(url)
        named = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return None
    return parts if named and parts.username is None and parts.password is None else None
