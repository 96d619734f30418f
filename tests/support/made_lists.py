"""A small list of every provider, in the provider's own format."""

from __future__ import annotations

import json
from collections.abc import Mapping


def _aws(prefix: str, region: str, service: str, border: str = "", key: str = "ip_prefix") -> dict[str, str]:
    return {key: prefix, "region": region, "service": service, "network_border_group": border or region}


AWS: Mapping[str, object] = {
    "syncToken": "1787411825",
    "createDate": "2026-08-22-15-17-05",
    "prefixes": [
        _aws("3.120.0.0/14", "eu-central-1", "AMAZON"),
        _aws("3.120.0.0/14", "eu-central-1", "EC2"),
        _aws("3.121.64.0/20", "eu-central-1", "AMAZON", "eu-central-1-ist-1"),
        _aws("52.94.0.0/16", "GLOBAL", "AMAZON"),
        _aws("52.94.5.0/24", "eu-west-1", "DYNAMODB"),
        _aws("13.32.0.0/15", "GLOBAL", "CLOUDFRONT"),
        _aws("99.83.109.0/24", "eu-south-1", "GLOBALACCELERATOR"),
    ],
    "ipv6_prefixes": [_aws("2a05:d014::/35", "eu-central-1", "EC2", key="ipv6_prefix")],
}
GCP: Mapping[str, object] = {
    "syncToken": "1778033048194",
    "creationTime": "2026-05-05T19:04:08.194918",
    "prefixes": [
        {"ipv4Prefix": "34.89.128.0/17", "service": "Google Cloud", "scope": "europe-west3"},
        {"ipv6Prefix": "2600:1900:4080::/44", "service": "Google Cloud", "scope": "europe-west3"},
        {"ipv4Prefix": "34.96.64.0/18", "service": "Google Cloud", "scope": "global"},
    ],
}
GOOG: Mapping[str, object] = {
    "syncToken": "1",
    "creationTime": "2026-04-01T00:00:00",
    "prefixes": [{"ipv4Prefix": "34.64.0.0/10"}, {"ipv4Prefix": "8.8.8.0/24"}, {"ipv4Prefix": "34.89.128.0/17"}],
}


def _tag(name: str, region: str, *prefixes: str) -> dict[str, object]:
    return {"name": name, "id": name, "properties": {"region": region, "addressPrefixes": list(prefixes)}}


AZURE: Mapping[str, object] = {
    "changeNumber": 398,
    "cloud": "Public",
    "values": [
        _tag("AzureCloud.germanywc", "germanywc", "20.52.0.0/16", "2603:1020:c00::/40"),
        _tag("AzureCloud.westeurope", "westeurope", "13.69.0.0/17"),
        _tag("Storage.GermanyWC", "germanywc", "20.52.1.0/24"),
        _tag("Storage", "", "20.52.1.0/24", "13.69.40.0/24", "104.47.1.0/24"),
        _tag("ActionGroup.NorthEurope", "northeurope", "104.47.217.151/32"),
        _tag("ActionGroup", "", "104.47.217.151/32"),
        _tag("AzureFrontDoor.Frontend", "", "20.52.2.0/24", "13.107.213.0/24"),
        _tag("AzureCloud", "", "20.52.0.0/16", "13.69.0.0/17", "104.47.0.0/16"),
    ],
}
OCI: Mapping[str, object] = {
    "last_updated_timestamp": "2025-07-21T07:13:25.457838",
    "regions": [
        {"region": "eu-frankfurt-1", "cidrs": [{"cidr": "130.61.0.0/16", "tags": ["OCI"]}]},
        {"region": "us-ashburn-1", "cidrs": [{"cidr": "134.70.24.0/21", "tags": ["OSN", "OBJECT_STORAGE"]}]},
    ],
}
FASTLY: Mapping[str, object] = {"addresses": ["151.101.0.0/16"], "ipv6_addresses": ["2a04:4e40::/32"]}
CLOUDFLARE = b"104.16.0.0/13\n162.158.0.0/15\n"
CLOUDFLARE6 = b"2606:4700::/32"
OWN = b"prefix,provider,region,service\n8.1.0.0/16,acme,acme-north,api\n8.1.2.0/24,acme,,\n2a01:4f8::/32,acme,south,\n"


def written(value: Mapping[str, object]) -> bytes:
    """As JSON."""
    return json.dumps(value, indent=1).encode()


LISTS: Mapping[str, tuple[bytes, ...]] = {
    "aws": (written(AWS),),
    "gcp": (written(GCP), written(GOOG)),
    "azure": (written(AZURE),),
    "oci": (written(OCI),),
    "cloudflare": (CLOUDFLARE, CLOUDFLARE6),
    "fastly": (written(FASTLY),),
    "own:acme": (OWN,),
}
