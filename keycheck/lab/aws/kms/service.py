"""KMS as a whole: operations by name, the log of every call, and the lab's direct access."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from keycheck.lab.aws.faults import Faults
from keycheck.lab.aws.identity import Directory
from keycheck.lab.aws.kms.call import Call, Result
from keycheck.lab.aws.kms.errors import KmsError
from keycheck.lab.aws.kms.log import record
from keycheck.lab.aws.kms.managed import make_managed
from keycheck.lab.aws.kms.material import imported
from keycheck.lab.aws.kms.model import Alias, Imported, Key, Material, Origin, Store
from keycheck.lab.aws.kms.operations import OPERATIONS
from keycheck.lab.aws.kms.ops_import import take
from keycheck.lab.aws.kms.params import Params, Schema
from keycheck.lab.aws.kms.specs import SPECS
from keycheck.lab.aws.kms.state import Holdings
from keycheck.lab.aws.ledger import Ledger
from keycheck.lab.aws.seams import Caller, Document


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
            record(self._ledger, self.schema, call, request_id, error)
            raise
        record(self._ledger, self.schema, call, request_id, None)
        return result


def _plain(value: object) -> object:
    """How the JSON protocol writes octets and times."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, datetime):
        return value.timestamp()
    raise TypeError(f"{type(value).__name__} does not belong in an answer")
