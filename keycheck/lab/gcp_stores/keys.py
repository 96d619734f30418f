"""Cloud KMS by REST, as far as stores lead to it: keys, their versions, connections to external key managers. The lab's
own Cloud KMS answers, with its tokens, permissions and log.

Source: https://cloud.google.com/kms/docs/reference/rest/v1/projects.locations.keyRings.cryptoKeys.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import proto  # type: ignore[import-untyped]
from google.cloud import kms_v1
from google.protobuf import json_format

from keycheck.lab.gcp.cloud import GcpCloud
from keycheck.lab.gcp.errors import ApiError
from keycheck.lab.gcp_stores.asked import RefusedError

_KMS: Final = "/google.cloud.kms.v1.KeyManagementService/"
_EKM: Final = "/google.cloud.kms.v1.EkmService/"
_PARENT: Final = r"projects/[^/]+/locations/[^/]+"
_KEY: Final = rf"{_PARENT}/keyRings/[^/]+/cryptoKeys/[^/]+"
_GETS: Final = (
    (re.compile(_KEY), f"{_KMS}GetCryptoKey", kms_v1.GetCryptoKeyRequest),
    (re.compile(rf"{_KEY}/cryptoKeyVersions/\d+"), f"{_KMS}GetCryptoKeyVersion", kms_v1.GetCryptoKeyVersionRequest),
    (re.compile(rf"{_PARENT}/ekmConnections/[^/]+"), f"{_EKM}GetEkmConnection", kms_v1.GetEkmConnectionRequest),
)
_LISTS: Final = (
    (
        re.compile(rf"({_KEY})/cryptoKeyVersions"),
        f"{_KMS}ListCryptoKeyVersions",
        kms_v1.ListCryptoKeyVersionsRequest,
    ),
)
_STATUS: Final[Mapping[str, int]] = {"UNAUTHENTICATED": 401, "PERMISSION_DENIED": 403, "NOT_FOUND": 404}


def answer(
    cloud: GcpCloud, name: str, headers: Mapping[str, str], query: Mapping[str, str]
) -> Mapping[str, object] | None:
    """What a GET of this resource name answers; None where it is none of Cloud KMS. Raises RefusedError."""
    for pattern, method, asked in _GETS:
        if pattern.fullmatch(name) is not None:
            return _call(cloud, method, headers, asked(name=name))
    for pattern, method, asked in _LISTS:
        if (found := pattern.fullmatch(name)) is not None:
            size = query.get("pageSize", "")
            listing = asked(
                parent=found[1],
                page_token=query.get("pageToken", ""),
                page_size=int(size) if size.isdecimal() and len(size) < 6 else 0,
            )
            return _call(cloud, method, headers, listing)
    return None


def _call(cloud: GcpCloud, method: str, headers: Mapping[str, str], asked: proto.Message) -> Mapping[str, object]:
    try:
        found = cloud.ask(method, headers, asked)
    except ApiError as refused:
        raise RefusedError(_STATUS.get(refused.code.name, 400), refused.message) from None
    if not isinstance(found, proto.Message):
        raise RefusedError(501, f"The lab does not serve {method}.")
    told: dict[str, object] = json_format.MessageToDict(type(found).pb(found))
    return told
