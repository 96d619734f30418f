"""All that the lab's KMS holds, by account and Region, and how identifiers find it."""

from __future__ import annotations

import json
import re
import threading
import uuid
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Final

from cryptography.hazmat.primitives.asymmetric import rsa

from keycheck.lab.aws.faults import Faults
from keycheck.lab.aws.kms.errors import KmsError, not_found
from keycheck.lab.aws.kms.material import Entropy, Secret, fingerprint, generate
from keycheck.lab.aws.kms.model import (
    Alias,
    Deletion,
    Grant,
    Key,
    Lagged,
    Material,
    MaterialState,
    Origin,
    Ring,
    State,
    Store,
)
from keycheck.lab.aws.kms.specs import SPECS
from keycheck.lab.aws.seams import Document

Home = tuple[str, str]
"""Account and Region."""
KEY_ID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|mrk-[0-9a-f]{32}")
TRACKING_SINCE: Final = datetime(2026, 4, 1, tzinfo=UTC)
"""From when GetKeyLastUsage knows; assumed."""
_PARTITIONS: Final = (("cn-", "aws-cn"), ("us-gov-", "aws-us-gov"), ("eusc-", "aws-eusc"), ("us-iso-", "aws-iso"))


def partition_of(region: str, default: str = "aws") -> str:
    """The partition a Region lies in."""
    return next((partition for prefix, partition in _PARTITIONS if region.startswith(prefix)), default)


def default_policy(account: str, partition: str) -> str:
    """The key policy that CreateKey attaches without one: the account decides by identity policies."""
    document = {
        "Version": "2012-10-17",
        "Id": "key-default-1",
        "Statement": [
            {
                "Sid": "Enable IAM User Permissions",
                "Effect": "Allow",
                "Principal": {"AWS": f"arn:{partition}:iam::{account}:root"},
                "Action": "kms:*",
                "Resource": "*",
            }
        ],
    }
    return json.dumps(document, indent=2, separators=(",", " : "))


@dataclass(frozen=True, slots=True)
class ImportToken:
    """What GetParametersForImport promised."""

    key_arn: str
    algorithm: str
    expires: datetime
    wrapping: rsa.RSAPrivateKey = field(repr=False)


class Holdings:
    """Keys, aliases, grants tokens, custom key stores; changed under `lock`."""

    def __init__(self, *, entropy: Entropy, faults: Faults, partition: str = "aws") -> None:
        self.entropy = entropy
        self.faults = faults
        self.lock = threading.RLock()
        self.keys: defaultdict[Home, dict[str, Key]] = defaultdict(dict)
        self.aliases: defaultdict[Home, dict[str, Alias]] = defaultdict(dict)
        self.stores: defaultdict[Home, dict[str, Store]] = defaultdict(dict)
        self.grant_tokens: dict[str, tuple[Key, Grant]] = {}
        self.import_tokens: dict[bytes, ImportToken] = {}
        self.organization: dict[str, tuple[Document, ...]] = {}
        """Service control policies by account."""
        self._partition = partition
        self._backings: dict[tuple[str, bytes], tuple[Key, Material]] = {}
        self._wrapping: defaultdict[str, list[rsa.RSAPrivateKey]] = defaultdict(list)
        self._turns = count()

    def partition(self, region: str) -> str:
        """Of the Region."""
        return partition_of(region, self._partition)

    def arn(self, account: str, region: str, what: str) -> str:
        """Of a KMS resource, `what` being `key/…` or `alias/…`."""
        return f"arn:{self.partition(region)}:kms:{region}:{account}:{what}"

    def new_uuid(self) -> str:
        """A version 4 UUID from the lab's entropy."""
        return str(uuid.UUID(bytes=self.entropy(16), version=4))

    def wrapping_key(self, spec: str) -> rsa.RSAPrivateKey:
        """A key that import material is wrapped with: two per spec, in turn, since making one takes up to a second."""
        with self.lock:
            pool = self._wrapping[spec]
            if len(pool) < 2:
                pool.append(rsa.generate_private_key(65537, int(spec.removeprefix("RSA_"))))
                return pool[-1]
            return pool[next(self._turns) % 2]

    def make_key(
        self,
        account: str,
        region: str,
        now: datetime,
        *,
        spec: str = "SYMMETRIC_DEFAULT",
        usage: str = "ENCRYPT_DECRYPT",
        origin: Origin = Origin.AWS_KMS,
        multi_region: bool = False,
        policy: str | None = None,
        description: str = "",
        manager: str = "CUSTOMER",
        tags: Mapping[str, str] | None = None,
        store: Store | None = None,
        xks_key: str | None = None,
        secret: Secret | None = None,
    ) -> Key:
        """A new key, with material unless its origin is EXTERNAL."""
        key_id = f"mrk-{self.entropy(16).hex()}" if multi_region else self.new_uuid()
        ring = Ring(key_id, SPECS[spec], usage, origin, multi_region, region)
        text = policy or default_policy(account, self.partition(region))
        arn = self.arn(account, region, f"key/{key_id}")
        policies: Mapping[str, str] = {"default": text}
        key = Key(account, region, arn, ring, now, description, Lagged(policies), manager=manager)
        key.tags = dict(tags or {})
        key.store, key.xks_key = store, xks_key
        if origin is not Origin.EXTERNAL:
            self.add_material(key, secret or generate(ring.spec, self.entropy), now)
        self.adopt(key)
        return key

    def adopt(self, key: Key) -> None:
        """Keep the key, and find its ciphertexts."""
        with self.lock:
            self.keys[key.account, key.region][key.id] = key
            for material in key.ring.materials:
                self._backings[key.region, material.backing] = (key, material)

    def add_material(
        self, key: Key, secret: Secret, now: datetime, state: MaterialState = MaterialState.CURRENT
    ) -> Material:
        """Give a key and its replicas one material more."""
        material = Material(fingerprint(key.id, secret), secret, state, now)
        with self.lock:
            key.ring.materials.append(material)
            for replica in (key, *self.replicas(key)):
                self._backings[replica.region, material.backing] = (replica, material)
        return material

    def forget_material(self, key: Key, material: Material) -> None:
        """Take a material that was never current away again."""
        with self.lock:
            key.ring.materials.remove(material)
            for replica in (key, *self.replicas(key)):
                self._backings.pop((replica.region, material.backing), None)
                replica.imports.pop(material.id, None)

    def rotate(self, key: Key, now: datetime, kind: str, fresh: Material | None = None) -> None:
        """Make `fresh`, or new material, current."""
        with self.lock:
            material = fresh or self.add_material(key, generate(key.ring.spec, self.entropy), now)
            for other in key.ring.materials:
                if other.state is MaterialState.CURRENT:
                    other.state = MaterialState.NON_CURRENT
            material.state = MaterialState.CURRENT
            material.rotated, material.rotation = now, kind
            if key.ring.rotation_days is not None:
                key.ring.next_rotation = now + timedelta(days=key.ring.rotation_days)

    def replicas(self, key: Key) -> list[Key]:
        """The other keys of a multi-Region set."""
        if not key.ring.multi_region:
            return []
        found = (keys.get(key.id) for (account, _), keys in tuple(self.keys.items()) if account == key.account)
        return [other for other in found if other is not None and other is not key]

    def backing(self, region: str, name: bytes, now: datetime) -> tuple[Key, Material] | None:
        """Which key and material a ciphertext names."""
        found = self._backings.get((region, name))
        return found if found is not None and self.settle(found[0], now) else None

    def find(self, arn: str) -> Key:
        """A key by ARN, for the lab itself; raise KeyError."""
        _, _, _, region, account, resource = arn.split(":", 5)
        return self.keys[account, region][resource.removeprefix("key/")]

    def settle(self, key: Key, now: datetime) -> bool:
        """Let what time brings happen: automatic rotation, the end of the waiting period. Whether the key is left."""
        if key.deletion is not None and key.deletion.at is not None and key.deletion.at <= now:
            self._delete(key, now)
            return False
        ring = key.ring
        while ring.next_rotation is not None and ring.next_rotation <= now and ring.rotation_days is not None:
            due = ring.next_rotation
            if key.state(now) is not State.ENABLED:
                break  # a disabled key is rotated once it is enabled again
            self.rotate(key, due, "AUTOMATIC")
        return True

    def _delete(self, key: Key, now: datetime) -> None:
        with self.lock:
            home = (key.account, key.region)
            self.keys[home].pop(key.id, None)
            for name, alias in tuple(self.aliases[home].items()):
                if alias.target == key.id:
                    del self.aliases[home][name]
            for material in key.ring.materials:
                self._backings.pop((key.region, material.backing), None)
            left = self.replicas(key)
            if len(left) == 1 and left[0].deletion is not None and left[0].deletion.at is None:
                days = left[0].deletion.days
                left[0].deletion = Deletion(days, now + timedelta(days=days))

    def keys_of(self, account: str, region: str, now: datetime) -> list[Key]:
        """The account's keys in the Region, by id."""
        found = (key for _, key in sorted(self.keys[account, region].items()))
        return [key for key in found if self.settle(key, now)]

    def identify(self, identifier: str, account: str, region: str, now: datetime) -> Key | str:
        """The key that an id, ARN, alias or alias ARN of a caller means, or the ARN of another account's that is not.

        Raise NotFoundException or InvalidArnException.
        """
        resource, owner = identifier, account
        if identifier.startswith("arn:"):
            parts = identifier.split(":", 5)
            if len(parts) != 6 or parts[2] != "kms" or not parts[5].startswith(("key/", "alias/")):
                raise KmsError("InvalidArnException", f"Invalid arn {identifier}")
            if parts[3] != region or parts[1] != self.partition(region):
                raise not_found(f"Invalid arn {parts[3]}")
            owner, resource = parts[4], parts[5].removeprefix("key/")
        if resource.startswith("alias/"):
            alias = self.aliases[owner, region].get(resource) if (owner, region) in self.aliases else None
            if alias is None:
                arn = self.arn(owner, region, resource)
                if owner != account:
                    return arn
                raise not_found(f"Alias {arn} is not found.")
            resource = alias.target
        elif KEY_ID.fullmatch(resource) is None:
            raise not_found(f"Invalid keyId '{resource}'")
        key = self.keys[owner, region].get(resource) if (owner, region) in self.keys else None
        if key is not None and self.settle(key, now):
            return key
        arn = self.arn(owner, region, f"key/{resource}")
        if owner != account:
            return arn
        raise not_found(f"Key '{arn}' does not exist")
