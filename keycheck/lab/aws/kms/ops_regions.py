"""Multi-Region keys."""

from __future__ import annotations

from collections.abc import Mapping

from keycheck.lab.aws.kms.call import Call, Result
from keycheck.lab.aws.kms.describe import metadata
from keycheck.lab.aws.kms.errors import KmsError, invalid, unsupported
from keycheck.lab.aws.kms.model import Key, Lagged
from keycheck.lab.aws.kms.ops_policies import checked_policy, checked_tags
from keycheck.lab.aws.kms.state import default_policy


def replicate_key(call: Call) -> Result:
    """ReplicateKey: policy, tags, description and state of the replica are its own; the answer says `Creating`."""
    key = call.key()
    region = call.params.text("ReplicaRegion")
    tags = checked_tags(call.params)
    call.may(key, conditions={"kms:ReplicaRegion": (region,)})
    _primary(key)
    call.steady(key, disabled=True)
    holdings = call.holdings
    if holdings.partition(region) != holdings.partition(key.region):
        raise invalid(f"Region {region} is not in the partition of the primary key.")
    arn = holdings.arn(key.account, region, f"key/{key.id}")
    if region == key.region or key.id in holdings.keys[key.account, region]:
        raise KmsError("AlreadyExistsException", f"Key {arn} already exists.")
    policy = checked_policy(call, key.account) or default_policy(key.account, holdings.partition(region))
    policies: Mapping[str, str] = {"default": policy}
    replica = Key(
        key.account, region, arn, key.ring, call.now, call.params.text("Description"), Lagged(policies), tags=tags
    )
    holdings.adopt(replica)
    fresh = metadata(replica, holdings, call.now)
    fresh.pop("CurrentKeyMaterialId", None)
    fresh |= {"KeyState": "Creating", "Enabled": False}
    out: dict[str, object] = {"ReplicaKeyMetadata": fresh, "ReplicaPolicy": policy}
    if tags:
        out["ReplicaTags"] = [{"TagKey": name, "TagValue": value} for name, value in tags.items()]
    call.logged = out
    return out


def update_primary_region(call: Call) -> Result:
    """UpdatePrimaryRegion: to the Region of an existing replica."""
    key = call.key()
    region = call.params.text("PrimaryRegion")
    call.may(key, conditions={"kms:PrimaryRegion": (region,)})
    _primary(key)
    call.steady(key, disabled=True)
    other = next((item for item in call.holdings.replicas(key) if item.region == region), None)
    if other is None:
        arn = call.holdings.arn(key.account, region, f"key/{key.id}")
        raise KmsError("NotFoundException", f"Key '{arn}' does not exist")
    call.steady(other, disabled=True)
    key.ring.primary = region
    return {}


def _primary(key: Key) -> None:
    if not key.ring.multi_region or key.region != key.ring.primary:
        raise unsupported(f"{key.arn} is not a multi-region primary key.")
