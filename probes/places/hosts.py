"""Host names of the clouds that carry a region which the cloud wrote there. Pure.

A label counts only at the place where the cloud puts it, counted from the end: whatever a customer may choose stands to
the left of it. So `eu-central-1.vendor.example` names nothing, and in `eu-central-1.s3.us-east-1.amazonaws.com` the
bucket is called eu-central-1 and lies in us-east-1.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from probes.places.azure_regions import region_name
from probes.places.oci_regions import REGION_OF_KEY
from probes.places.regions import AZURE_REGIONS, OCI_REGIONS, Provider

_LABEL: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?|\*")
_MAX_NAME: Final = 253


def labels(name: str) -> tuple[str, ...]:
    """The labels of a host name in lower case, without a final dot; none at all for what is no host name in ASCII."""
    plain = name.removesuffix(".")
    if not plain or len(plain) > _MAX_NAME or not plain.isascii():
        return ()
    parts = tuple(plain.lower().split("."))
    return parts if all(_LABEL.fullmatch(part) for part in parts) else ()


@dataclass(frozen=True, slots=True)
class RegionNamed:
    """A region that a cloud's own host name carries."""

    provider: Provider
    region: str


_AWS_REGION: Final = r"(?:[a-z]{2}|eusc-[a-z]{2}|us-gov|us-iso[a-z]?|eu-isoe)-[a-z]+-[0-9]{1,2}"
_GCP_REGION: Final = r"[a-z]+(?:-[a-z]+)+[0-9]{1,2}"
_OCI_REGION: Final = r"[a-z]{2}(?:-[a-z]+)+-[0-9]"
_SERVICE: Final = r"[a-z][a-z0-9-]*"
_ANY: Final = r"(?:[a-z0-9_*-]+\.)*"

_AWS_DOMAIN: Final = r"amazonaws\.(?:com(?:\.cn)?|eu)"
_FRONTED: Final = r"(?:elb|rds|redshift|es|compute|eks|vpce|cache)"

_PATTERNS: Final[tuple[tuple[Provider, str], ...]] = (
    ("aws", rf"{_ANY}s3(?:-website)?-(?P<region>{_AWS_REGION})\.amazonaws\.com"),
    ("aws", rf"{_ANY}(?P<region>{_AWS_REGION})\.{_FRONTED}\.{_AWS_DOMAIN}"),
    ("aws", rf"{_ANY}{_SERVICE}\.(?P<region>{_AWS_REGION})\.(?:{_AWS_DOMAIN}|api\.aws|on\.aws)"),
    ("aws", rf"{_ANY}{_SERVICE}\.(?P<region>{_AWS_REGION})\.api\.amazonwebservices\.(?:eu|com\.cn)"),
    ("aws", rf"{_ANY}(?P<region>{_AWS_REGION})\.elasticbeanstalk\.com"),
    ("gcp", rf"(?P<region>{_GCP_REGION})-[a-z]+\.googleapis\.com"),
    ("gcp", rf"[a-z]+\.(?P<region>{_GCP_REGION})\.rep\.googleapis\.com"),
    ("gcp", rf"(?P<region>{_GCP_REGION})-[a-z0-9-]+\.cloudfunctions\.net"),
    ("gcp", rf"[a-z0-9-]+\.(?P<region>{_GCP_REGION})\.run\.app"),
    ("gcp", rf"(?P<region>{_GCP_REGION})-docker\.pkg\.dev"),
    ("azure", rf"{_ANY}(?P<region>[a-z0-9]+)\.cloudapp\.azure\.com"),
    ("azure", rf"{_ANY}(?P<region>[a-z0-9]+)\.azurecontainerapps\.io"),
    ("azure", r"(?P<region>[a-z0-9]+)\.api\.cognitive\.microsoft\.com"),
    ("azure", r"[a-z0-9-]+\.(?P<region>[a-z0-9]+)-[0-9]{2}\.azurewebsites\.net"),
    ("oci", rf"{_ANY}(?P<region>{_OCI_REGION})\.(?:oci\.)?oracle(?:gov)?cloud[0-9]*\.(?:com|eu|uk)"),
    ("oci", rf"{_ANY}(?P<region>{_OCI_REGION})\.oci\.customer-oci\.com"),
)
"""Where each cloud puts the region. A web app of Azure counts only with a number behind its region, for an app may be
called like a region; services of AWS that put the region in front are named, for else it could be a bucket's name."""
_COMPILED: Final = tuple((provider, re.compile(pattern)) for provider, pattern in _PATTERNS)


def region_named_by(host: str) -> RegionNamed | None:
    """The region that the cloud wrote into a host name of its own, or None.

    It tells which region the cloud's name stands for, not that what answers there is in it, nor where that region is.
    Names of Azure and Oracle count only where their tables hold the region, for elsewhere a customer's label could
    stand in its place.
    """
    name = ".".join(labels(host))
    for provider, pattern in _COMPILED:
        if (match := pattern.fullmatch(name)) is None:
            continue
        region = match["region"]
        match provider:
            case "azure":
                region = region_name(region)
                if region not in AZURE_REGIONS:
                    continue
            case "oci":
                if region not in OCI_REGIONS:
                    continue
            case "aws" | "gcp":
                pass
        return RegionNamed(provider, region)
    return None


def region_of_ocid(ocid: str) -> str | None:
    """The region in an Oracle Cloud identifier, by its name or its three letters; None where it names none."""
    parts = ocid.lower().split(".")
    if len(parts) < 5 or parts[0] != "ocid1":
        return None
    return REGION_OF_KEY.get(parts[3]) or (parts[3] if parts[3] in OCI_REGIONS else None)
