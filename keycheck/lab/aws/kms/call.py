"""One call as an operation sees it: who asks, which keys it touches, whether it may."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Protocol, TypeAlias

from keycheck.lab.aws.faults import Endless
from keycheck.lab.aws.kms.errors import KmsError, bad_state, denied, dry_run, unseen_key
from keycheck.lab.aws.kms.model import Key, MaterialState, State
from keycheck.lab.aws.kms.params import Params
from keycheck.lab.aws.kms.state import Holdings
from keycheck.lab.aws.policy import check_document, decide, decide_identity
from keycheck.lab.aws.seams import Access, Caller, Decision, Document, GrantView

Result: TypeAlias = Mapping[str, object]
_CONDITIONS: Final = {
    "BypassPolicyLockoutSafetyCheck": "kms:BypassPolicyLockoutSafetyCheck",
    "EncryptionAlgorithm": "kms:EncryptionAlgorithm",
    "SigningAlgorithm": "kms:SigningAlgorithm",
    "MacAlgorithm": "kms:MacAlgorithm",
    "MessageType": "kms:MessageType",
    "KeyAgreementAlgorithm": "kms:KeyAgreementAlgorithm",
    "KeyPairSpec": "kms:DataKeyPairSpec",
    "WrappingAlgorithm": "kms:WrappingAlgorithm",
    "WrappingKeySpec": "kms:WrappingKeySpec",
    "ExpirationModel": "kms:ExpirationModel",
    "ValidTo": "kms:ValidTo",
    "PendingWindowInDays": "kms:ScheduleKeyDeletionPendingWindowInDays",
    "RotationPeriodInDays": "kms:RotationPeriodInDays",
    "PrimaryRegion": "kms:PrimaryRegion",
    "ReplicaRegion": "kms:ReplicaRegion",
    "GranteePrincipal": "kms:GranteePrincipal",
    "RetiringPrincipal": "kms:RetiringPrincipal",
}


class Notes(Protocol):
    """Where answered policy questions are noted."""

    def note(self, access: Access, decision: Decision) -> None:
        """Once per question."""


@dataclass(slots=True)
class Call:
    """A call under way. What it learns for the log gathers in the last fields."""

    holdings: Holdings
    notes: Notes
    exists: Callable[[str], bool]
    """Whether a principal is known."""
    operation: str
    params: Params
    caller: Caller
    region: str
    now: datetime
    touched: list[Key] = field(default_factory=list)
    used: list[Key] = field(default_factory=list)
    """Keys that a cryptographic operation went through with."""
    additional: dict[str, str] = field(default_factory=dict)
    """For `additionalEventData`."""
    logged: Result | None = None
    """For `responseElements`."""

    def key(self, name: str = "KeyId") -> Key:
        """The key that a parameter names. Raise NotFoundException, or AccessDeniedException across accounts."""
        return self.identify(self.params.text(name))

    def identify(self, identifier: str) -> Key:
        """The key that an identifier means."""
        found = self.holdings.identify(identifier, self.caller.account, self.region, self.now)
        if isinstance(found, str):
            raise unseen_key(self.caller.arn, f"kms:{self.operation}")
        if found not in self.touched:
            self.touched.append(found)
        return found

    def may(
        self,
        key: Key,
        action: str | None = None,
        context: Mapping[str, str] | None = None,
        conditions: Mapping[str, tuple[str, ...]] | None = None,
    ) -> None:
        """Raise AccessDeniedException unless policies and grants allow the action on the key."""
        name = f"kms:{action or self.operation}"
        access = Access(
            self.caller,
            name,
            key.arn,
            key.account,
            self.region,
            self.now,
            context or {},
            {**self._conditions(key), **(conditions or {})},
        )
        decision = decide(
            access,
            key_policies=self._policies(key),
            grants=self._grants(key),
            organization=self.holdings.organization.get(self.caller.account, ()),
        )
        self.notes.note(access, decision)
        if not decision.allowed:
            raise denied(decision.why)

    def may_here(
        self,
        action: str | None = None,
        resource: str = "*",
        conditions: Mapping[str, tuple[str, ...]] | None = None,
    ) -> None:
        """Raise AccessDeniedException unless identity policies allow an action that no key policy governs."""
        name = f"kms:{action or self.operation}"
        account = self.caller.account
        access = Access(self.caller, name, resource, account, self.region, self.now, conditions=conditions or {})
        decision = decide_identity(access, organization=self.holdings.organization.get(account, ()))
        self.notes.note(access, decision)
        if not decision.allowed:
            raise denied(decision.why)

    def usable(self, key: Key) -> None:
        """Raise DisabledException or KMSInvalidStateException unless cryptographic operations go."""
        state = key.state_in_use(self.now)
        if state is not State.ENABLED:
            raise _unusable(key, state)

    def steady(self, key: Key, *, disabled: bool = False) -> None:
        """Raise what management operations raise: a key that is going may not change; nor a disabled one, if asked."""
        state = key.state(self.now)
        gone = state in (State.PENDING_DELETION, State.PENDING_REPLICA_DELETION)
        if gone or (disabled and state is not State.ENABLED):
            raise _unusable(key, state)

    def end_dry_run(self) -> None:
        """Raise DryRunOperationException where that was all that was asked."""
        if self.params.flag("DryRun"):
            raise dry_run()

    def note_use(self, key: Key, material_id: str | None, name: str = "keyMaterialId") -> None:
        """A cryptographic operation went through."""
        self.used.append(key)
        if material_id is not None:
            self.additional[name] = material_id

    def page(self, items: Sequence[object], name: str, *, limit: int = 100) -> dict[str, object]:
        """One page of a list under `name`, with Truncated and NextMarker. Raise InvalidMarkerException."""
        size = self.params.number("Limit") or limit
        marker = self.params.maybe("Marker")
        endless = self.holdings.faults.endless(self.operation)
        if endless is not None:
            turn = _place(marker, name) + 1 if endless is Endless.FRESH and marker else 1
            return {name: list(items[:size]), "Truncated": True, "NextMarker": _marker(name, turn)}
        start = _place(marker, name) if marker is not None else 0
        out: dict[str, object] = {name: list(items[start : start + size]), "Truncated": start + size < len(items)}
        if start + size < len(items):
            out["NextMarker"] = _marker(name, start + size)
        return out

    def _policies(self, key: Key) -> list[Document]:
        documents = []
        for text in key.policies.seen(self.now).values():
            if text not in key.documents:
                key.documents[text] = check_document(text)
            documents.append(key.documents[text])
        return documents

    def _grants(self, key: Key) -> list[GrantView]:
        tokens = {}
        for token in self.params.names("GrantTokens"):
            found = self.holdings.grant_tokens.get(token)
            if found is None:
                raise KmsError("InvalidGrantTokenException", "The grant token is not valid.")
            tokens[found[1].id] = found[1]
        return [
            grant.view
            for grant in tuple(key.grants.values())
            if grant.works(self.now) or (grant.id in tokens and grant.ended is None)
        ]

    def _conditions(self, key: Key) -> dict[str, tuple[str, ...]]:
        ring = key.ring
        aliases = self.holdings.aliases[key.account, key.region].values()
        out = {
            "kms:KeySpec": (ring.spec.name,),
            "kms:KeyUsage": (ring.usage,),
            "kms:KeyOrigin": (str(ring.origin),),
            "kms:MultiRegion": ("true" if ring.multi_region else "false",),
            "kms:ResourceAliases": tuple(alias.name for alias in aliases if alias.target == key.id),
            **{f"aws:ResourceTag/{name}": (value,) for name, value in key.tags.items()},
        }
        named = self.params.text("KeyId").rpartition("alias/")
        if named[1]:
            out["kms:RequestAlias"] = (f"alias/{named[2]}",)
        for name, condition in _CONDITIONS.items():
            value = self.params.raw.get(name)
            if value is not None:
                shown = value.isoformat() if isinstance(value, datetime) else str(value)
                out[condition] = (shown.lower() if isinstance(value, bool) else shown,)
        return out


def _unusable(key: Key, state: State) -> KmsError:
    match state:
        case State.DISABLED:
            return KmsError("DisabledException", f"{key.arn} is disabled.")
        case State.PENDING_IMPORT:
            return bad_state(f"{key.arn} is pending import.")
        case State.PENDING_DELETION:
            return bad_state(f"{key.arn} is pending deletion.")
        case State.PENDING_REPLICA_DELETION:
            return bad_state(f"{key.arn} is pending replica deletion.")
        case State.UNAVAILABLE:
            return bad_state(f"{key.arn} is unavailable.")
        case State.ENABLED:
            raise ValueError("an enabled key is usable")


def material_id(key: Key) -> str | None:
    """Of the current material, for the keys that AWS names it for."""
    current = key.ring.current
    named = key.ring.spec.name == "SYMMETRIC_DEFAULT" and key.store is None
    return current.id if named and current is not None and current.state is MaterialState.CURRENT else None


def _marker(name: str, place: int) -> str:
    return base64.b64encode(f"{name}:{place}".encode()).decode()


def _place(marker: str, name: str) -> int:
    try:
        kind, _, place = base64.b64decode(marker, validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        kind, place = "", ""
    if kind != name or not place.isdecimal() or len(place) > 12:
        raise KmsError("InvalidMarkerException", "Could not deserialize marker")
    return int(place)
