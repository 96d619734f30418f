"""The vendor's doors in the lab's clouds, and how a principal that nobody declared is let in."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING, assert_never

from keycheck.lab.aws.seams import Document
from keycheck.lab.crm.doors import Door, Doors
from keycheck.lab.crm.vendor import CONSTANT_CONTEXT, SUPPORT_CONTEXT
from keycheck.lab.errors import LabError
from keycheck.lab.key_sites import (
    CONTROL,
    CONTROLS,
    G_SUPPORT,
    SUPPORT,
    USES,
    AwsSite,
    Bound,
    GcpSite,
    Grant,
    KeySite,
    allow,
)

if TYPE_CHECKING:
    from keycheck.lab.clouds import Clouds, LabKey


class Way(StrEnum):
    """How the undeclared principal is let in."""

    POLICY = "policy"
    """A statement of the key policy, or a binding on the key."""
    LEFT_OVER = "left-over"
    """A grant, which a changed key policy leaves; in Google Cloud a binding on the project, which the key inherits."""


def admitted(site: KeySite, way: Way) -> KeySite:
    """The same key, which now also lets in the vendor's undeclared principal."""
    return _in_aws(site, way) if isinstance(site, AwsSite) else _in_gcp(site, way)


def _in_aws(site: AwsSite, way: Way) -> AwsSite:
    match way:
        case Way.POLICY:
            return replace(site, statements=(*site.statements, allow("Support", SUPPORT, USES)))
        case Way.LEFT_OVER:
            grant = Grant("support", SUPPORT, ("Decrypt", "GenerateDataKey"), SUPPORT_CONTEXT, 300)
            return replace(site, grants=(*site.grants, grant))
        case _:
            assert_never(way)


def _in_gcp(site: GcpSite, way: Way) -> GcpSite:
    bound = Bound("roles/cloudkms.cryptoKeyEncrypterDecrypter", (G_SUPPORT,))
    match way:
        case Way.POLICY:
            return replace(site, on_key=(*site.on_key, bound))
        case Way.LEFT_OVER:
            return replace(site, on_project=(*site.on_project, bound))
        case _:
            assert_never(way)


def constant_for_control(site: AwsSite) -> AwsSite:
    """The same key, whose control principal may also use the context that `Binding.CONSTANT` gives every record: what a
    drill there needs to get as far as seeing that others share it."""
    limits: Document = {f"kms:EncryptionContext:{name}": value for name, value in CONSTANT_CONTEXT.items()}
    return replace(
        site, statements=(*site.statements, allow("ControlConstant", CONTROL, CONTROLS, StringEquals=limits))
    )


def lab_doors(clouds: Clouds, key: str, control: str) -> Doors:
    """The vendor's doors to two keys of the lab, by their ids. Whether the undeclared principal is let in is the site's
    affair. Raise LabError for a key that the lab does not have."""
    beside = _door(clouds, control)
    doors = Doors(_door(clouds, key), beside, _door(clouds, key, undeclared=True))
    if (canary := _key(clouds, key).canary) is None:
        return doors
    return replace(doors, canaries=Doors(clouds.gcp.door(canary), beside, clouds.gcp.door(canary, G_SUPPORT)))


def _door(clouds: Clouds, id: str, *, undeclared: bool = False) -> Door:
    if id in clouds.aws.arns:
        return clouds.aws.door(id, SUPPORT) if undeclared else clouds.aws.door(id)
    resource = _key(clouds, id).resource
    return clouds.gcp.door(resource, G_SUPPORT) if undeclared else clouds.gcp.door(resource)


def _key(clouds: Clouds, id: str) -> LabKey:
    for key in clouds.keys:
        if key.id == id:
            return key
    raise LabError(f"the lab has no key {id!r}", advice=f"use one of {', '.join(key.id for key in clouds.keys)}")
