"""The operations of KMS by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from keycheck.lab.aws.kms import (
    ops_crypto,
    ops_grants,
    ops_import,
    ops_keys,
    ops_policies,
    ops_regions,
    ops_rotation,
    ops_stores,
)
from keycheck.lab.aws.kms.call import Call, Result

Operation = Callable[[Call], Result]

OPERATIONS: Final[Mapping[str, Operation]] = {
    "CancelKeyDeletion": ops_keys.cancel_key_deletion,
    "ConnectCustomKeyStore": ops_stores.connect_custom_key_store,
    "CreateAlias": ops_keys.create_alias,
    "CreateCustomKeyStore": ops_stores.create_custom_key_store,
    "CreateGrant": ops_grants.create_grant,
    "CreateKey": ops_keys.create_key,
    "Decapsulate": ops_crypto.decapsulate,
    "Decrypt": ops_crypto.decrypt,
    "DeleteAlias": ops_keys.delete_alias,
    "DeleteCustomKeyStore": ops_stores.delete_custom_key_store,
    "DeleteImportedKeyMaterial": ops_import.delete_imported_key_material,
    "DeriveSharedSecret": ops_crypto.derive_shared_secret,
    "DescribeCustomKeyStores": ops_stores.describe_custom_key_stores,
    "DescribeKey": ops_keys.describe_key,
    "DisableKey": ops_keys.disable_key,
    "DisableKeyRotation": ops_rotation.disable_key_rotation,
    "DisconnectCustomKeyStore": ops_stores.disconnect_custom_key_store,
    "EnableKey": ops_keys.enable_key,
    "EnableKeyRotation": ops_rotation.enable_key_rotation,
    "Encapsulate": ops_crypto.encapsulate,
    "Encrypt": ops_crypto.encrypt,
    "GenerateDataKey": ops_crypto.generate_data_key,
    "GenerateDataKeyPair": ops_crypto.generate_data_key_pair,
    "GenerateDataKeyPairWithoutPlaintext": ops_crypto.generate_data_key_pair,
    "GenerateDataKeyWithoutPlaintext": ops_crypto.generate_data_key,
    "GenerateMac": ops_crypto.generate_mac,
    "GenerateRandom": ops_crypto.generate_random,
    "GetKeyLastUsage": ops_keys.get_key_last_usage,
    "GetKeyPolicy": ops_policies.get_key_policy,
    "GetKeyRotationStatus": ops_rotation.get_key_rotation_status,
    "GetParametersForImport": ops_import.get_parameters_for_import,
    "GetPublicKey": ops_crypto.get_public_key,
    "ImportKeyMaterial": ops_import.import_key_material,
    "ListAliases": ops_keys.list_aliases,
    "ListGrants": ops_grants.list_grants,
    "ListKeyPolicies": ops_policies.list_key_policies,
    "ListKeyRotations": ops_rotation.list_key_rotations,
    "ListKeys": ops_keys.list_keys,
    "ListResourceTags": ops_policies.list_resource_tags,
    "ListRetirableGrants": ops_grants.list_retirable_grants,
    "PutKeyPolicy": ops_policies.put_key_policy,
    "ReEncrypt": ops_crypto.re_encrypt,
    "ReplicateKey": ops_regions.replicate_key,
    "RetireGrant": ops_grants.retire_grant,
    "RevokeGrant": ops_grants.revoke_grant,
    "RotateKeyOnDemand": ops_rotation.rotate_key_on_demand,
    "ScheduleKeyDeletion": ops_keys.schedule_key_deletion,
    "Sign": ops_crypto.sign,
    "TagResource": ops_policies.tag_resource,
    "UntagResource": ops_policies.untag_resource,
    "UpdateAlias": ops_keys.update_alias,
    "UpdateCustomKeyStore": ops_stores.update_custom_key_store,
    "UpdateKeyDescription": ops_keys.update_key_description,
    "UpdatePrimaryRegion": ops_regions.update_primary_region,
    "Verify": ops_crypto.verify,
    "VerifyMac": ops_crypto.verify_mac,
}
CHANGING: Final = frozenset(
    name
    for name in OPERATIONS
    if name.startswith(
        (
            "Cancel",
            "Connect",
            "Create",
            "Delete",
            "Disable",
            "Disconnect",
            "Enable",
            "Import",
            "Put",
            "Replicate",
            "Retire",
            "Revoke",
            "Rotate",
            "Schedule",
            "Tag",
            "Untag",
            "Update",
        )
    )
)
"""Those that CloudTrail does not call read-only."""
