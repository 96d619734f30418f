"""Grants."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from keycheck.lab.aws.kms.call import Call, Result
from keycheck.lab.aws.kms.describe import grant as shown
from keycheck.lab.aws.kms.errors import KmsError, invalid, not_found
from keycheck.lab.aws.kms.model import Grant, Key
from keycheck.lab.aws.kms.specs import Kind
from keycheck.lab.aws.seams import GrantView

GRANTS: Final = 50_000
"""Per key."""


def create_grant(call: Call) -> Result:
    """CreateGrant; the same parameters under the same name give the same grant, with a token of its own."""
    params = call.params
    key = call.key()
    operations = tuple(dict.fromkeys(params.names("Operations")))
    grantee, service = params.maybe("GranteePrincipal"), params.maybe("GranteeServicePrincipal")
    constraints = params.part("Constraints")
    equals = constraints.pairs("EncryptionContextEquals") if constraints.has("EncryptionContextEquals") else None
    subset = constraints.pairs("EncryptionContextSubset") if constraints.has("EncryptionContextSubset") else None
    call.may(key, conditions=_conditions(call, operations, equals, subset))
    if (grantee is None) == (service is None):
        raise invalid("Specify either GranteePrincipal or GranteeServicePrincipal.")
    if not operations:
        raise invalid("Operations must not be empty.")
    if service is not None and not constraints.has("SourceArn"):
        raise invalid("GranteeServicePrincipal requires the SourceArn grant constraint.")
    for name in (grantee, params.maybe("RetiringPrincipal")):
        if name is not None and not _plausible(call, name):
            raise KmsError("InvalidArnException", f"ARN does not refer to a valid principal: {name}")
    if (equals is not None or subset is not None) and key.ring.spec.kind is not Kind.SYMMETRIC:
        raise invalid("Encryption context constraints are valid for symmetric encryption keys only.")
    call.usable(key)
    call.end_dry_run()
    view = GrantView(grantee or service or "", frozenset(operations), equals, subset)
    with call.holdings.lock:
        made = _same(key, call, view) or _new(key, call, view, operations)
        token = call.holdings.entropy(96).hex()
        call.holdings.grant_tokens[token] = (key, made)
    call.logged = {"GrantId": made.id, "KeyId": key.arn}
    return {"GrantToken": token, "GrantId": made.id}


def list_grants(call: Call) -> Result:
    """ListGrants, by key; grants of one key may be filtered by id or grantee."""
    key = call.key()
    call.may(key)
    params = call.params
    wanted = params.maybe("GrantId")
    if wanted is not None and not _grant_id(wanted):
        raise KmsError("InvalidGrantIdException", f"Grant ID {wanted} is not valid.")
    grantee, service = params.maybe("GranteePrincipal"), params.maybe("GranteeServicePrincipal")
    lines = [
        shown(key, grant)
        for grant in tuple(key.grants.values())
        if grant.ended is None
        and wanted in (None, grant.id)
        and grantee in (None, grant.view.grantee)
        and service in (None, grant.grantee_service)
    ]
    return call.page(lines, "Grants", limit=50)


def list_retirable_grants(call: Call) -> Result:
    """ListRetirableGrants: across keys and accounts in the Region, by retiring principal."""
    call.may_here()
    principal, service = call.params.maybe("RetiringPrincipal"), call.params.maybe("RetiringServicePrincipal")
    if (principal is None) == (service is None):
        raise invalid("Specify either RetiringPrincipal or RetiringServicePrincipal.")
    lines = [
        shown(key, grant)
        for (_, region), keys in sorted(call.holdings.keys.items())
        if region == call.region
        for _, key in sorted(keys.items())
        for grant in tuple(key.grants.values())
        if grant.ended is None and (grant.retiring, grant.retiring_service) == (principal, service)
    ]
    return call.page(lines, "Grants", limit=50)


def revoke_grant(call: Call) -> Result:
    """RevokeGrant."""
    key = call.key()
    call.may(key)
    grant = _grant(key, call.params.text("GrantId"))
    call.steady(key)
    call.end_dry_run()
    _end(call, grant)
    return {}


def retire_grant(call: Call) -> Result:
    """RetireGrant, by token or by key and id: for the retiring principal, a grantee who may, or the key's policies."""
    params = call.params
    token = params.maybe("GrantToken")
    if token is not None:
        found = call.holdings.grant_tokens.get(token)
        if found is None or found[1].ended is not None:
            raise KmsError("InvalidGrantTokenException", "The grant token is not valid.")
        key, grant = found
        call.touched.append(key)
    else:
        if not (params.has("KeyId") and params.has("GrantId")):
            raise invalid("Specify either GrantToken, or KeyId and GrantId.")
        key = call.key()
        grant = _grant(key, params.text("GrantId"))
    me = {call.caller.principal, call.caller.arn}
    if grant.retiring not in me and not (grant.view.grantee in me and "RetireGrant" in grant.operations):
        call.may(key)
    call.end_dry_run()
    _end(call, grant)
    return {}


def _end(call: Call, grant: Grant) -> None:
    grant.ended = call.now
    grant.seen_until = call.now + call.holdings.faults.lags.grants


def _grant(key: Key, grant_id: str) -> Grant:
    if not _grant_id(grant_id):
        raise KmsError("InvalidGrantIdException", f"Grant ID {grant_id} is not valid.")
    grant = key.grants.get(grant_id)
    if grant is None or grant.ended is not None:
        raise not_found(f"Grant ID {grant_id} not found")
    return grant


def _grant_id(text: str) -> bool:
    return len(text) == 64 and all(digit in "0123456789abcdef" for digit in text)


def _same(key: Key, call: Call, view: GrantView) -> Grant | None:
    name = call.params.maybe("Name")
    if name is None:
        return None
    retiring, source = call.params.maybe("RetiringPrincipal"), call.params.part("Constraints").maybe("SourceArn")
    return next(
        (
            grant
            for grant in key.grants.values()
            if grant.ended is None
            and grant.name == name
            and grant.view == view
            and grant.retiring == retiring
            and grant.source_arn == source
        ),
        None,
    )


def _new(key: Key, call: Call, view: GrantView, operations: tuple[str, ...]) -> Grant:
    if sum(grant.ended is None for grant in key.grants.values()) >= GRANTS:
        raise KmsError("LimitExceededException", "Too many grants on the key.")
    params = call.params
    grant = Grant(
        call.holdings.entropy(32).hex(),
        view,
        call.now,
        call.caller.account,
        params.maybe("Name"),
        params.maybe("RetiringPrincipal"),
        params.maybe("GranteeServicePrincipal"),
        params.maybe("RetiringServicePrincipal"),
        params.part("Constraints").maybe("SourceArn"),
        operations,
        call.now + call.holdings.faults.lags.grants,
    )
    key.grants[grant.id] = grant
    return grant


def _plausible(call: Call, name: str) -> bool:
    if len(name) == 12 and name.isdecimal():
        return True
    parts = name.split(":", 5)
    shaped = len(parts) == 6 and parts[0] == "arn" and parts[2] in ("iam", "sts") and parts[4].isdecimal()
    return shaped and (name.endswith(":root") or call.exists(name))


def _conditions(
    call: Call,
    operations: tuple[str, ...],
    equals: Mapping[str, str] | None,
    subset: Mapping[str, str] | None,
) -> dict[str, tuple[str, ...]]:
    out = {
        "kms:GrantOperations": operations,
        "kms:GrantIsForAWSResource": ("true" if call.caller.via is not None else "false",),
    }
    kinds = [
        kind
        for kind, given in (("EncryptionContextEquals", equals), ("EncryptionContextSubset", subset))
        if given is not None
    ]
    return out | ({"kms:GrantConstraintType": tuple(kinds)} if kinds else {})
