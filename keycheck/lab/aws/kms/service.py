"""KMS as a whole: operations by name, the log of every call, and the lab's direct access."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from keycheck.lab.aws.faults import Faults
from keycheck.lab.aws.identity import Directory
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
from keycheck.lab.aws.kms.errors import KmsError
from keycheck.lab.aws.kms.managed import make_managed
from keycheck.lab.aws.kms.material import imported
from keycheck.lab.aws.kms.model import Alias, Imported, Key, Material, Origin, Store, Usage
from keycheck.lab.aws.kms.ops_import import take
from keycheck.lab.aws.kms.params import Params, Schema
from keycheck.lab.aws.kms.specs import SPECS
from keycheck.lab.aws.kms.state import Holdings
from keycheck.lab.aws.ledger import Ledger
from keycheck.lab.aws.seams import ApiEvent, Caller, Document, Json

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
_CHANGING: Final = frozenset(
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
SOURCE: Final = "kms.amazonaws.com"


class KmsState:
    """The lab's KMS. Clients reach it through `answer`; the lab itself may look and change things directly.

    `holdings.organization` holds service control policies by account. What the direct methods do is neither
    authorized nor logged, and takes effect without lag.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], datetime],
        entropy: Callable[[int], bytes],
        faults: Faults,
        directory: Directory,
        ledger: Ledger,
        partition: str = "aws",
    ) -> None:
        self.holdings = Holdings(entropy=entropy, faults=faults, partition=partition)
        self.schema = Schema()
        self._clock = clock
        self._directory = directory
        self._ledger = ledger

    def answer(self, operation: str, body: bytes, caller: Caller, region: str, request_id: str) -> bytes:
        """The JSON body of a good answer. Raise KmsError; UnknownOperationException for what KMS does not have."""
        result = self._run(operation, lambda: self.schema.read(operation, body), caller, region, request_id)
        return json.dumps(result, default=_plain).encode()

    def call(self, caller: Caller, region: str, operation: str, **parameters: object) -> Result:
        """An operation as `caller`, without the wire: same checks, same log. Raise KmsError."""
        request_id = self.holdings.new_uuid()
        return self._run(operation, lambda: self.schema.check(operation, parameters), caller, region, request_id)

    def find(self, arn: str) -> Key:
        """A key by ARN. Raise KeyError."""
        return self.holdings.find(arn)

    def create(
        self,
        account: str,
        region: str,
        *,
        spec: str = "SYMMETRIC_DEFAULT",
        usage: str = "ENCRYPT_DECRYPT",
        origin: Origin = Origin.AWS_KMS,
        multi_region: bool = False,
        policy: Document | None = None,
        description: str = "",
        tags: Mapping[str, str] | None = None,
        alias: str | None = None,
        material: bytes | None = None,
        store: Store | None = None,
        xks_key: str | None = None,
        created: datetime | None = None,
    ) -> Key:
        """A key, possibly made in the past; an EXTERNAL one gets `material` imported, where given."""
        at = created or self._clock()
        text = None if policy is None else json.dumps(policy)
        key = self.holdings.make_key(
            account,
            region,
            at,
            spec=spec,
            usage=usage,
            origin=origin,
            multi_region=multi_region,
            policy=text,
            description=description,
            tags=tags,
            store=store,
            xks_key=xks_key,
            secret=None if origin is Origin.EXTERNAL or material is None else imported(SPECS[spec], material),
        )
        if origin is Origin.EXTERNAL and material is not None:
            self.import_material(key, material, at=at)
        if alias is not None:
            self.name(key, alias)
        return key

    def managed(self, account: str, region: str, service: str) -> Key:
        """The AWS managed key of a service (`s3`)."""
        return make_managed(self.holdings, account, region, service, self._clock())

    def name(self, key: Key, alias: str) -> None:
        """Give the key an alias (`alias/…`)."""
        arn = self.holdings.arn(key.account, key.region, alias)
        now = self._clock()
        self.holdings.aliases[key.account, key.region][alias] = Alias(alias, arn, key.id, now, now)

    def import_material(
        self,
        key: Key,
        material: bytes,
        *,
        expires: datetime | None = None,
        new: bool = False,
        description: str | None = None,
        at: datetime | None = None,
    ) -> Material:
        """Import; `new` for material that waits for rotation. Raise KmsError as ImportKeyMaterial does."""
        kind = "NEW_KEY_MATERIAL" if new else None
        secret = imported(key.ring.spec, material)
        return take(self.holdings, key, secret, Imported(expires, description), kind, at or self._clock())

    def rotate(self, key: Key, *, at: datetime | None = None, automatic: bool = False) -> Material:
        """Rotate, possibly in the past: to pending imported material or to new. Raise ValueError without any."""
        pending = key.ring.pending
        if key.ring.origin is Origin.EXTERNAL and pending is None:
            raise ValueError("import new material first")
        self.holdings.rotate(key, at or self._clock(), "AUTOMATIC" if automatic else "ON_DEMAND", pending)
        current = key.ring.current
        if current is None:
            raise ValueError("the key has no material")
        return current

    def set_policy(self, key: Key, policy: Document | str | None, *, name: str = "default") -> None:
        """Set or (None) remove a key policy; `AWS_RAM` is the one that resource shares write."""
        texts = {kept: text for kept, text in key.policies.value.items() if kept != name}
        if policy is not None:
            texts[name] = policy if isinstance(policy, str) else json.dumps(policy)
        key.policies.put(texts, self._clock(), timedelta(0))

    def store(self, account: str, region: str, name: str, *, external: bool, connected: bool = True) -> Store:
        """A custom key store."""
        kind = "EXTERNAL_KEY_STORE" if external else "AWS_CLOUDHSM"
        store = Store(f"cks-{self.holdings.entropy(9).hex()[:17]}", name, kind, account, region, self._clock())
        store.state = "CONNECTED" if connected else "DISCONNECTED"
        if external:
            store.connectivity, store.endpoint = "PUBLIC_ENDPOINT", "https://xks.example.com"
            store.path, store.access_key = "/lab/kms/xks/v1", "LABLABLABLABLABLAB22"
        else:
            store.cluster, store.trust_anchor = "cluster-labcluster2", "-----BEGIN CERTIFICATE-----"
        self.holdings.stores[account, region][store.id] = store
        return store

    def _run(self, operation: str, read: Callable[[], Params], caller: Caller, region: str, request_id: str) -> Result:
        handler = OPERATIONS.get(operation)
        if handler is None:
            raise KmsError("UnknownOperationException")
        call = Call(
            self.holdings, self._ledger, self._directory.exists, operation, Params({}), caller, region, self._clock()
        )
        try:
            call.params = read()
            result = handler(call)
        except KmsError as error:
            self._record(call, request_id, error)
            raise
        self._record(call, request_id, None)
        return result

    def _record(self, call: Call, request_id: str, error: KmsError | None) -> None:
        """Log the call with its caller, and with the keys' owners unless it was denied."""
        refused = error is not None and error.code == "AccessDeniedException"
        parameters: Document = {}
        if not refused:
            parameters = _json(self.schema.loggable(call.operation, call.params))
            if call.operation in ("Decrypt", "Encrypt"):
                parameters = {"encryptionAlgorithm": "SYMMETRIC_DEFAULT", **parameters}
        keys = [] if refused else call.touched
        event = ApiEvent(
            call.now,
            call.caller,
            call.region,
            SOURCE,
            call.operation,
            call.operation not in _CHANGING,
            call.caller.account,
            resources=tuple(key.arn for key in keys),
            parameters=parameters,
            response=None if error or call.logged is None else _json(_lowered(call.logged)),
            additional=dict(call.additional) if error is None else {},
            error=_logged_code(error),
            message=None if error is None else error.message,
            request_id=request_id,
        )
        ids = {call.caller.account: self._ledger.record(event)}
        for account in {key.account for key in keys} - {call.caller.account}:
            theirs = tuple(key.arn for key in keys if key.account == account)
            ids[account] = self._ledger.record(replace(event, account=account, resources=theirs))
        for key in call.used if error is None else ():
            key.usage = Usage(call.operation, call.now, ids.get(key.account, ""), request_id)


def _logged_code(error: KmsError | None) -> str | None:
    """CloudTrail's name for the error: a denied call is `AccessDenied`, without parameters and resources."""
    if error is None:
        return None
    return "AccessDenied" if error.code == "AccessDeniedException" else error.code


def _plain(value: object) -> object:
    """How the JSON protocol writes octets and times."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, datetime):
        return value.timestamp()
    raise TypeError(f"{type(value).__name__} does not belong in an answer")


def _lowered(value: object) -> object:
    """An answer as CloudTrail writes it: names in lower camel case, times as text."""
    if isinstance(value, Mapping):
        return {
            (name[:3].lower() + name[3:] if name.startswith("AWS") else name[:1].lower() + name[1:]): _lowered(item)
            for name, item in value.items()
        }
    if isinstance(value, list):
        return [_lowered(item) for item in value]
    return value.strftime("%b %d, %Y, %I:%M:%S %p") if isinstance(value, datetime) else value


def _json(value: object) -> dict[str, Json]:
    parsed: dict[str, Json] = json.loads(json.dumps(value))
    return parsed
