"""What KMS keeps: keys and their materials, grants, aliases, custom key stores."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Generic, TypeVar

from keycheck.lab.aws.kms.material import Secret
from keycheck.lab.aws.kms.specs import Spec
from keycheck.lab.aws.seams import Document, GrantView

T = TypeVar("T")


class State(StrEnum):
    """Key states."""

    ENABLED = "Enabled"
    DISABLED = "Disabled"
    PENDING_DELETION = "PendingDeletion"
    PENDING_REPLICA_DELETION = "PendingReplicaDeletion"
    PENDING_IMPORT = "PendingImport"
    UNAVAILABLE = "Unavailable"


class MaterialState(StrEnum):
    """KeyMaterialState."""

    CURRENT = "CURRENT"
    NON_CURRENT = "NON_CURRENT"
    PENDING_ROTATION = "PENDING_ROTATION"
    PENDING_MULTI_REGION = "PENDING_MULTI_REGION_IMPORT_AND_ROTATION"

    @property
    def permanent(self) -> bool:
        """Whether the material belongs to the key for good, so that the key needs it."""
        return self in (MaterialState.CURRENT, MaterialState.NON_CURRENT)


class Origin(StrEnum):
    """Where material comes from."""

    AWS_KMS = "AWS_KMS"
    EXTERNAL = "EXTERNAL"
    AWS_CLOUDHSM = "AWS_CLOUDHSM"
    EXTERNAL_KEY_STORE = "EXTERNAL_KEY_STORE"


class Lagged(Generic[T]):
    """A value whose readers may see the one before for a while."""

    __slots__ = ("_past", "value")

    def __init__(self, value: T) -> None:
        self.value = value
        self._past: list[tuple[datetime, T]] = []

    def put(self, value: T, now: datetime, lag: timedelta) -> None:
        """Change it; readers go on seeing what they see now for `lag`."""
        self._past = [item for item in self._past if item[0] > now]
        if lag:
            self._past.append((now + lag, self.value))
        self.value = value

    def seen(self, now: datetime) -> T:
        """What readers see."""
        for until, value in self._past:
            if until > now:
                return value
        return self.value


@dataclass(slots=True)
class Material:
    """One key material, and where it stands. It is kept when a customer deletes it: only its use ends."""

    id: str
    secret: Secret = field(repr=False)
    state: MaterialState
    created: datetime
    rotated: datetime | None = None
    rotation: str | None = None
    """`AUTOMATIC` or `ON_DEMAND`."""

    @property
    def backing(self) -> bytes:
        """Its name inside ciphertexts; deliberately not the KeyMaterialId, as AWS says of no relation."""
        return hashlib.sha256(b"lab-kms-backing\x00" + bytes.fromhex(self.id)).digest()


@dataclass(slots=True)
class Ring:
    """What the replicas of a multi-Region key share; every other key has one to itself."""

    key_id: str
    spec: Spec
    usage: str
    origin: Origin
    multi_region: bool
    primary: str
    """Region."""
    materials: list[Material] = field(default_factory=list)
    rotation_days: int | None = None
    """Period of automatic rotation, where it is on."""
    next_rotation: datetime | None = None
    last_period: int = 365
    on_demand: int = 0

    @property
    def current(self) -> Material | None:
        """The material that encrypts."""
        return next((item for item in reversed(self.materials) if item.state is MaterialState.CURRENT), None)

    @property
    def pending(self) -> Material | None:
        """The material that the next rotation makes current."""
        return next((item for item in self.materials if not item.state.permanent), None)

    def material(self, material_id: str) -> Material | None:
        """By id."""
        return next((item for item in self.materials if item.id == material_id), None)


@dataclass(frozen=True, slots=True)
class Imported:
    """Material of an EXTERNAL key that is present in one Region."""

    expires: datetime | None
    description: str | None = None


@dataclass(slots=True)
class Grant:
    """Kept after it ended, for who still sees it."""

    id: str
    view: GrantView
    created: datetime
    issuer: str
    """Account."""
    name: str | None
    retiring: str | None
    grantee_service: str | None
    retiring_service: str | None
    source_arn: str | None
    operations: tuple[str, ...]
    seen_from: datetime
    ended: datetime | None = None
    seen_until: datetime | None = None

    def works(self, now: datetime) -> bool:
        """Whether the evaluation sees it."""
        return self.seen_from <= now and (self.seen_until is None or now < self.seen_until)


@dataclass(frozen=True, slots=True)
class Usage:
    """The last successful cryptographic operation."""

    operation: str
    at: datetime
    event_id: str
    request_id: str


@dataclass(frozen=True, slots=True)
class Deletion:
    """Scheduled; `at` is None while replicas are left."""

    days: int
    at: datetime | None


@dataclass(slots=True)
class Key:
    """A KMS key in one account and Region."""

    account: str
    region: str
    arn: str
    ring: Ring
    created: datetime
    description: str
    policies: Lagged[Mapping[str, str]]
    """Text by policy name."""
    enabled: bool = True
    manager: str = "CUSTOMER"
    deletion: Deletion | None = None
    imports: dict[str, Imported] = field(default_factory=dict)
    """By material id."""
    grants: dict[str, Grant] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    store: Store | None = None
    xks_key: str | None = None
    usage: Usage | None = None
    seen: list[tuple[datetime, State]] = field(default_factory=list)
    documents: dict[str, Document] = field(default_factory=dict)
    """Parsed policies by their text."""

    @property
    def id(self) -> str:
        """UUID, or `mrk-` and 32 hex digits."""
        return self.ring.key_id

    def has(self, material: Material, now: datetime) -> bool:
        """Whether the material can be used here."""
        if self.ring.origin is not Origin.EXTERNAL:
            return True
        present = self.imports.get(material.id)
        return present is not None and (present.expires is None or now < present.expires)

    def state(self, now: datetime) -> State:
        """As DescribeKey shows it."""
        if self.deletion is not None:
            return State.PENDING_REPLICA_DELETION if self.deletion.at is None else State.PENDING_DELETION
        if self.ring.origin is Origin.EXTERNAL:
            needed = [item for item in self.ring.materials if item.state.permanent]
            if not needed or not all(self.has(item, now) for item in needed):
                return State.PENDING_IMPORT
        if self.store is not None and self.store.state != "CONNECTED":
            return State.UNAVAILABLE
        return State.ENABLED if self.enabled else State.DISABLED

    def state_in_use(self, now: datetime) -> State:
        """As cryptographic operations still see it."""
        for until, state in self.seen:
            if until > now:
                return state
        return self.state(now)

    def linger(self, state: State, now: datetime, lag: timedelta) -> None:
        """Let key use see `state`, which is about to change, for `lag`."""
        self.seen = [item for item in self.seen if item[0] > now]
        if lag:
            self.seen.append((now + lag, state))


@dataclass(slots=True)
class Alias:
    """A name for a key."""

    name: str
    arn: str
    target: str
    """Key id."""
    created: datetime
    updated: datetime


@dataclass(slots=True)
class Store:
    """A custom key store."""

    id: str
    name: str
    kind: str
    """`AWS_CLOUDHSM` or `EXTERNAL_KEY_STORE`."""
    account: str
    region: str
    created: datetime
    state: str = "DISCONNECTED"
    error: str | None = None
    refuses: str | None = None
    """ConnectionErrorCode that the next ConnectCustomKeyStore ends with."""
    cluster: str | None = None
    trust_anchor: str | None = None
    connectivity: str | None = None
    access_key: str | None = field(default=None, repr=False)
    endpoint: str | None = None
    path: str | None = None
    vpc_service: str | None = None
    vpc_owner: str | None = None
