"""How KMS shows its keys, materials and grants."""

from __future__ import annotations

from datetime import datetime

from keycheck.lab.aws.kms.call import material_id
from keycheck.lab.aws.kms.model import Grant, Imported, Key, Material, Origin, State
from keycheck.lab.aws.kms.specs import ALGORITHM_FIELDS
from keycheck.lab.aws.kms.state import Holdings


def metadata(key: Key, holdings: Holdings, now: datetime) -> dict[str, object]:
    """KeyMetadata."""
    ring = key.ring
    state = key.state(now)
    out: dict[str, object] = {
        "AWSAccountId": key.account,
        "KeyId": key.id,
        "Arn": key.arn,
        "CreationDate": key.created,
        "Enabled": state is State.ENABLED,
        "Description": key.description,
        "KeyUsage": ring.usage,
        "KeyState": str(state),
        "Origin": str(ring.origin),
        "KeyManager": key.manager,
        "CustomerMasterKeySpec": ring.spec.name,
        "KeySpec": ring.spec.name,
        "MultiRegion": ring.multi_region,
        ALGORITHM_FIELDS[ring.usage]: list(ring.spec.algorithms(ring.usage)),
    }
    if (current := material_id(key)) is not None:
        out["CurrentKeyMaterialId"] = current
    if key.deletion is not None and key.deletion.at is not None:
        out["DeletionDate"] = key.deletion.at
    elif key.deletion is not None:
        out["PendingDeletionWindowInDays"] = key.deletion.days
    if ring.origin is Origin.EXTERNAL and ring.current is not None and key.has(ring.current, now):
        out |= expiration(key.imports[ring.current.id])
    if key.store is not None:
        out["CustomKeyStoreId"] = key.store.id
        if key.store.cluster is not None:
            out["CloudHsmClusterId"] = key.store.cluster
        if key.xks_key is not None:
            out["XksKeyConfiguration"] = {"Id": key.xks_key}
    if ring.multi_region:
        family = {item.region: item for item in (key, *holdings.replicas(key))}
        primary = family.pop(ring.primary, None)
        out["MultiRegionConfiguration"] = {
            "MultiRegionKeyType": "PRIMARY" if key.region == ring.primary else "REPLICA",
            "PrimaryKey": {
                "Arn": primary.arn if primary else holdings.arn(key.account, ring.primary, f"key/{key.id}"),
                "Region": ring.primary,
            },
            "ReplicaKeys": [{"Arn": item.arn, "Region": item.region} for _, item in sorted(family.items())],
        }
    return out


def expiration(present: Imported) -> dict[str, object]:
    """ExpirationModel and ValidTo."""
    if present.expires is None:
        return {"ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE"}
    return {"ExpirationModel": "KEY_MATERIAL_EXPIRES", "ValidTo": present.expires}


def rotation(key: Key, material: Material, now: datetime) -> dict[str, object]:
    """A line of ListKeyRotations."""
    out: dict[str, object] = {
        "KeyId": key.arn,
        "KeyMaterialId": material.id,
        "KeyMaterialState": str(material.state),
    }
    if material.rotated is not None:
        out["RotationDate"] = material.rotated
        out["RotationType"] = material.rotation
    if key.ring.origin is Origin.EXTERNAL:
        here = key.has(material, now)
        out["ImportState"] = "IMPORTED" if here else "PENDING_IMPORT"
        present = key.imports.get(material.id)
        if present is not None and here:
            out |= expiration(present)
        if present is not None and present.description is not None:
            out["KeyMaterialDescription"] = present.description
    return out


def grant(key: Key, given: Grant) -> dict[str, object]:
    """A line of ListGrants."""
    constraints: dict[str, object] = {}
    if given.view.context_equals is not None:
        constraints["EncryptionContextEquals"] = dict(given.view.context_equals)
    if given.view.context_subset is not None:
        constraints["EncryptionContextSubset"] = dict(given.view.context_subset)
    if given.source_arn is not None:
        constraints["SourceArn"] = given.source_arn
    out: dict[str, object] = {
        "KeyId": key.arn,
        "GrantId": given.id,
        "Name": given.name or "",
        "CreationDate": given.created,
        "IssuingAccount": f"arn:{key.arn.split(':')[1]}:iam::{given.issuer}:root",
        "Operations": list(given.operations),
    }
    if given.grantee_service is not None:
        out["GranteeServicePrincipal"] = given.grantee_service
    else:
        out["GranteePrincipal"] = given.view.grantee
    if given.retiring is not None:
        out["RetiringPrincipal"] = given.retiring
    if given.retiring_service is not None:
        out["RetiringServicePrincipal"] = given.retiring_service
    if constraints:
        out["Constraints"] = constraints
    return out
