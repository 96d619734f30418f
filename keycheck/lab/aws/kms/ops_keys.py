"""Operations on keys themselves: creation, states, deletion, description."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from keycheck.lab.aws.kms.call import Call, Result
from keycheck.lab.aws.kms.describe import metadata
from keycheck.lab.aws.kms.errors import KmsError, bad_state, invalid, unsupported
from keycheck.lab.aws.kms.managed import make_managed
from keycheck.lab.aws.kms.model import Alias, Deletion, Origin, State, Store
from keycheck.lab.aws.kms.ops_policies import checked_policy, checked_tags
from keycheck.lab.aws.kms.specs import SPECS, Kind
from keycheck.lab.aws.kms.state import TRACKING_SINCE

MANAGED: Final = "alias/aws/"


def create_key(call: Call) -> Result:
    """CreateKey."""
    params = call.params
    name = params.maybe("KeySpec") or params.text("CustomerMasterKeySpec", "SYMMETRIC_DEFAULT")
    usage = params.maybe("KeyUsage")
    origin = Origin(params.text("Origin", "AWS_KMS"))
    tags = checked_tags(params)
    call.may_here(conditions=_conditions(call, name, usage, origin, tags))
    if name not in SPECS:
        raise unsupported()
    spec = SPECS[name]
    if usage is None:
        if spec.kind is not Kind.SYMMETRIC:
            raise invalid("You must specify a KeyUsage value for all KMS keys except for symmetric encryption keys.")
        usage = "ENCRYPT_DECRYPT"
    if usage not in spec.usages:
        raise invalid(f"KeyUsage {usage} is not compatible with KeySpec {name}")
    multi_region = params.flag("MultiRegion")
    store = _store(call, origin)
    if store is not None and (spec.kind is not Kind.SYMMETRIC or multi_region):
        raise unsupported()
    if origin is Origin.EXTERNAL and spec.kind in (Kind.ML_DSA, Kind.ML_KEM):
        raise unsupported()
    key = call.holdings.make_key(
        call.caller.account,
        call.region,
        call.now,
        spec=name,
        usage=usage,
        origin=origin,
        multi_region=multi_region,
        policy=checked_policy(call, call.caller.account),
        description=params.text("Description"),
        tags=tags,
        store=store,
        xks_key=params.maybe("XksKeyId"),
    )
    call.touched.append(key)
    call.logged = {"KeyMetadata": metadata(key, call.holdings, call.now)}
    return call.logged


def describe_key(call: Call) -> Result:
    """DescribeKey; a predefined AWS alias without a key gets its AWS managed key here."""
    name = call.params.text("KeyId")
    service = name.partition(MANAGED)[2]
    home = (call.caller.account, call.region)
    if service and f"{MANAGED}{service}" not in call.holdings.aliases[home] and name.startswith(("alias/", "arn:")):
        call.may_here(resource="*")
        make_managed(call.holdings, *home, service, call.now)
    key = call.key()
    call.may(key)
    return {"KeyMetadata": metadata(key, call.holdings, call.now)}


def list_keys(call: Call) -> Result:
    """ListKeys."""
    call.may_here()
    keys = call.holdings.keys_of(call.caller.account, call.region, call.now)
    if call.params.names("ResourceOwners") == ("OTHER_ACCOUNTS_VIA_RAM",):
        keys = []
    return call.page([{"KeyId": key.id, "KeyArn": key.arn} for key in keys], "Keys")


def enable_key(call: Call) -> Result:
    """EnableKey."""
    return _switch(call, enabled=True)


def disable_key(call: Call) -> Result:
    """DisableKey."""
    return _switch(call, enabled=False)


def update_key_description(call: Call) -> Result:
    """UpdateKeyDescription."""
    key = call.key()
    call.may(key)
    call.steady(key)
    key.description = call.params.text("Description")
    return {}


def schedule_key_deletion(call: Call) -> Result:
    """ScheduleKeyDeletion: 7 to 30 days; the primary of a multi-Region set waits for its replicas."""
    key = call.key()
    given = call.params.number("PendingWindowInDays")
    days = 30 if given is None else given
    call.may(key, conditions={"kms:ScheduleKeyDeletionPendingWindowInDays": (str(days),)})
    if not 7 <= days <= 30:
        raise invalid("PendingWindowInDays must be between 7 and 30")
    call.steady(key)
    holdings = call.holdings
    waits = key.region == key.ring.primary and bool(holdings.replicas(key))
    with holdings.lock:
        key.linger(key.state_in_use(call.now), call.now, holdings.faults.lags.state)
        key.deletion = Deletion(days, None if waits else call.now + timedelta(days=days))
    out: dict[str, object] = {"KeyId": key.arn, "KeyState": str(key.state(call.now)), "PendingWindowInDays": days}
    if key.deletion.at is not None:
        out["DeletionDate"] = key.deletion.at
    call.logged = out
    return out


def cancel_key_deletion(call: Call) -> Result:
    """CancelKeyDeletion: the key is Disabled afterwards."""
    key = call.key()
    call.may(key)
    if key.deletion is None:
        raise bad_state(f"{key.arn} is not pending deletion.")
    with call.holdings.lock:
        key.linger(key.state_in_use(call.now), call.now, call.holdings.faults.lags.state)
        key.deletion, key.enabled = None, False
    call.logged = {"KeyId": key.arn}
    return call.logged


def get_key_last_usage(call: Call) -> Result:
    """GetKeyLastUsage."""
    key = call.key()
    call.may(key)
    usage: dict[str, object] = {}
    if key.usage is not None:
        usage = {
            "Operation": key.usage.operation,
            "Timestamp": key.usage.at,
            "CloudTrailEventId": key.usage.event_id,
            "KmsRequestId": key.usage.request_id,
        }
    return {
        "KeyId": key.arn,
        "KeyLastUsage": usage,
        "KeyCreationDate": key.created,
        "TrackingStartDate": max(TRACKING_SINCE, key.created),
    }


def create_alias(call: Call) -> Result:
    """CreateAlias."""
    name = call.params.text("AliasName")
    _check_alias(name)
    key = call.key("TargetKeyId")
    arn = call.holdings.arn(call.caller.account, call.region, name)
    call.may_here(resource=arn)
    call.may(key)
    call.steady(key)
    aliases = call.holdings.aliases[call.caller.account, call.region]
    if name in aliases:
        raise KmsError("AlreadyExistsException", f"An alias with the name {arn} already exists")
    aliases[name] = Alias(name, arn, key.id, call.now, call.now)
    return {}


def update_alias(call: Call) -> Result:
    """UpdateAlias: to a key of the same type and usage."""
    alias = _alias(call)
    key = call.key("TargetKeyId")
    call.may_here(resource=alias.arn)
    before = call.holdings.keys[call.caller.account, call.region].get(alias.target)
    if before is not None:
        call.may(before)
    call.may(key)
    call.steady(key)
    if before is not None and before.ring.usage != key.ring.usage:
        raise invalid(f"Alias {alias.arn} cannot be changed to a key with another key usage.")
    alias.target, alias.updated = key.id, call.now
    return {}


def delete_alias(call: Call) -> Result:
    """DeleteAlias."""
    alias = _alias(call)
    call.may_here(resource=alias.arn)
    home = (call.caller.account, call.region)
    key = call.holdings.keys[home].get(alias.target)
    if key is not None:
        call.touched.append(key)
        call.may(key)
    del call.holdings.aliases[home][alias.name]
    return {}


def list_aliases(call: Call) -> Result:
    """ListAliases."""
    call.may_here()
    wanted = call.key().id if call.params.has("KeyId") else None
    aliases = call.holdings.aliases[call.caller.account, call.region]
    lines = [
        {
            "AliasName": alias.name,
            "AliasArn": alias.arn,
            "TargetKeyId": alias.target,
            "CreationDate": alias.created,
            "LastUpdatedDate": alias.updated,
        }
        for _, alias in sorted(aliases.items())
        if wanted in (None, alias.target)
    ]
    return call.page(lines, "Aliases", limit=50)


def _switch(call: Call, *, enabled: bool) -> Result:
    key = call.key()
    call.may(key)
    call.steady(key)
    state = key.state(call.now)
    if state not in (State.ENABLED, State.DISABLED):
        word = "pending import" if state is State.PENDING_IMPORT else "unavailable"
        raise bad_state(f"{key.arn} is {word}.")
    with call.holdings.lock:
        key.linger(key.state_in_use(call.now), call.now, call.holdings.faults.lags.state)
        key.enabled = enabled
    return {}


def _alias(call: Call) -> Alias:
    name = call.params.text("AliasName")
    _check_alias(name)
    home = (call.caller.account, call.region)
    alias = call.holdings.aliases[home].get(name)
    if alias is None:
        arn = call.holdings.arn(*home, name)
        raise KmsError("NotFoundException", f"Alias {arn} is not found.")
    return alias


def _check_alias(name: str) -> None:
    if not name.startswith("alias/"):
        raise invalid(
            'Alias must start with the prefix "alias/". Please see '
            "https://docs.aws.amazon.com/kms/latest/developerguide/kms-alias.html"
        )
    if name.startswith(MANAGED):
        raise KmsError("NotAuthorizedException")


def _store(call: Call, origin: Origin) -> Store | None:
    named = call.params.maybe("CustomKeyStoreId")
    if origin in (Origin.AWS_KMS, Origin.EXTERNAL):
        if named is not None:
            raise invalid("The CustomKeyStoreId parameter goes with an origin in a custom key store only.")
        return None
    if named is None:
        raise invalid(f"The CustomKeyStoreId parameter is required when the key origin is {origin}.")
    store = call.holdings.stores[call.caller.account, call.region].get(named)
    if store is None:
        raise KmsError("CustomKeyStoreNotFoundException")
    if store.kind != origin:
        raise unsupported()
    if store.state != "CONNECTED":
        raise KmsError("CustomKeyStoreInvalidStateException")
    if origin is Origin.EXTERNAL_KEY_STORE:
        external = call.params.maybe("XksKeyId")
        if external is None:
            raise invalid("The XksKeyId parameter is required when the key origin is EXTERNAL_KEY_STORE.")
        keys = call.holdings.keys_of(call.caller.account, call.region, call.now)
        if any(key.store is store and key.xks_key == external for key in keys):
            raise KmsError("XksKeyAlreadyInUseException")
    return store


def _conditions(
    call: Call, spec: str, usage: str | None, origin: Origin, tags: dict[str, str]
) -> dict[str, tuple[str, ...]]:
    out = {
        "kms:KeySpec": (spec,),
        "kms:KeyUsage": (usage or "ENCRYPT_DECRYPT",),
        "kms:KeyOrigin": (str(origin),),
        "kms:MultiRegion": (str(call.params.flag("MultiRegion")).lower(),),
        "kms:BypassPolicyLockoutSafetyCheck": (str(call.params.flag("BypassPolicyLockoutSafetyCheck")).lower(),),
        **{f"aws:RequestTag/{name}": (value,) for name, value in tags.items()},
    }
    return out | ({"aws:TagKeys": tuple(tags)} if tags else {})
