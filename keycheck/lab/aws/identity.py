"""Accounts and principals of the lab: users, roles and sessions, with the policies attached to them.

Secrets are random when the lab runs, never stored in the repository and never part of a repr. Errors follow the
"Common errors" pages of KMS (JSON) and STS (query).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

from keycheck.lab.aws.policy import decide
from keycheck.lab.aws.seams import Access, Caller, Document, Json
from keycheck.model.types import Entropy

SOURCE: Final = "203.0.113.10"
TLS_VERSION: Final = "TLSv1.3"
KEY_EXCHANGE: Final = "X25519MLKEM768"
_PRINCIPAL: Final = re.compile(
    r"arn:aws[a-z-]*:iam::(\d{12}):(root|(user|role)/([\w+=,.@/-]{1,512}/)?[\w+=,.@-]{1,64})"
)
_SESSION_NAME: Final = re.compile(r"[\w+=,.@-]{2,64}")
_SHORTEST, _LONGEST = 900, 43_200
"""Seconds of an AssumeRole session (API page of AssumeRole)."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """An AWS error answer."""

    code: str
    message: str
    status: int = 400


@dataclass(frozen=True, slots=True)
class Credentials:
    """What an SDK signs with."""

    access_key_id: str
    secret: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Session:
    """An assumed role."""

    credentials: Credentials
    arn: str
    """`arn:aws:sts::1…:assumed-role/role/name`"""
    role_id: str
    """`AROA…:name`"""
    expires: datetime


@dataclass(frozen=True, slots=True)
class _Key:
    caller: Caller
    credentials: Credentials
    expires: datetime | None = None


@dataclass(frozen=True, slots=True)
class _Role:
    caller: Caller
    trust: Document
    longest: int
    services: tuple[str, ...] = ()


def principal_id(caller: Caller) -> str:
    """The unique id that logs show: `AIDA…` for a user, `AROA…:session` for a session, the account for its root.

    Derived from the ARN, so that it needs no directory; unlike in AWS a principal that is made again keeps it.
    """
    if caller.arn.endswith(":root"):
        return caller.account
    digest = base64.b32encode(hashlib.sha256(caller.principal.encode()).digest()).decode()[:17]
    if ":assumed-role/" in caller.arn:
        return f"AROA{digest}:{caller.arn.rpartition('/')[2]}"
    return f"AIDA{digest}"


class Directory:
    """Who is who in all accounts; safe for threads."""

    def __init__(self, *, entropy: Entropy = os.urandom) -> None:
        self._entropy = entropy
        self._lock = threading.Lock()
        self._keys: dict[str, _Key] = {}
        self._roles: dict[str, _Role] = {}
        self._users: dict[str, Caller] = {}
        self._organizations: dict[str, str] = {}

    def __repr__(self) -> str:
        return f"Directory({len(self._users)} users, {len(self._roles)} roles)"

    def add_user(
        self,
        arn: str,
        *,
        policies: Sequence[Document] = (),
        source: str = SOURCE,
        tls_version: str = TLS_VERSION,
        key_exchange: str = KEY_EXCHANGE,
        access_key_id: str | None = None,
        secret: str | None = None,
    ) -> Credentials:
        """A user (or the root of an account: `arn:aws:iam::1…:root`) with a long-term access key. Adding it again
        gives it one more key and the new policies. Raises ValueError on what is no user ARN."""
        account = _account_in(arn, ("root", "user/"))
        key_id = access_key_id or self._new_key_id("AKIA")
        caller = Caller(account, arn, arn, key_id, tuple(policies), source, tls_version, key_exchange)
        given = Credentials(key_id, secret or self._new_secret())
        with self._lock:
            self._users[arn] = caller
            self._keys[key_id] = _Key(caller, given)
        return given

    def add_role(
        self,
        arn: str,
        *,
        trusts: Sequence[str],
        external_id: str | None = None,
        policies: Sequence[Document] = (),
        source: str = SOURCE,
        tls_version: str = TLS_VERSION,
        key_exchange: str = KEY_EXCHANGE,
        longest: int = 3600,
        services: Sequence[str] = (),
    ) -> None:
        """A role that the principals in `trusts` may assume (with `external_id` where there is one), for at most
        `longest` seconds, and the `services` (`scheduler.amazonaws.com`). Raises ValueError on what is no role ARN."""
        account = _account_in(arn, ("role/",))
        statement: dict[str, Json] = {
            "Effect": "Allow",
            "Principal": {"AWS": list(trusts)},
            "Action": "sts:AssumeRole",
        }
        if external_id is not None:
            statement["Condition"] = {"StringEquals": {"sts:ExternalId": external_id}}
        trust: Document = {"Version": "2012-10-17", "Statement": [statement]}
        caller = Caller(account, arn, arn, "", tuple(policies), source, tls_version, key_exchange)
        with self._lock:
            self._roles[arn] = _Role(caller, trust, longest, tuple(services))

    def remove(self, arn: str) -> None:
        """Delete a user or role; its keys and sessions end."""
        with self._lock:
            self._users.pop(arn, None)
            self._roles.pop(arn, None)
            self._keys = {key: kept for key, kept in self._keys.items() if kept.caller.principal != arn}

    def set_policies(self, arn: str, policies: Sequence[Document]) -> None:
        """Replace the identity policies of a user or role, for its sessions too. Raises KeyError if it is not there."""
        with self._lock:
            if arn in self._roles:
                role = self._roles[arn]
                self._roles[arn] = replace(role, caller=replace(role.caller, policies=tuple(policies)))
            else:
                self._users[arn] = replace(self._users[arn], policies=tuple(policies))

    def set_organization(self, account: str, organization: str) -> None:
        """Put `account` into an organization (`o-…`), which `aws:PrincipalOrgID` then shows."""
        with self._lock:
            self._organizations[account] = organization

    def organization_of(self, account: str) -> str | None:
        """The organization that an account is in, for `aws:PrincipalOrgID`."""
        return self._organizations.get(account)

    def caller_of(
        self,
        access_key_id: str,
        session_token: str | None,
        now: datetime,
        *,
        protocol: Literal["json", "query"] = "json",
    ) -> Caller | Refusal:
        """Whom the key belongs to, with the policies that are in force now; or the error that services of `protocol`
        answer. A session's key needs its token, and a long-term key must come without one."""
        with self._lock:
            found = self._keys.get(access_key_id)
            if found is None or not _same(found.credentials.session_token, session_token):
                return _unknown(protocol)
            if found.expires is not None and now >= found.expires:
                message = "The security token included in the request is expired"
                if protocol == "query":
                    return Refusal("ExpiredToken", message, 403)
                return Refusal("ExpiredTokenException", message)
            held = self._roles.get(found.caller.principal)
            known = held.caller if held is not None else self._users.get(found.caller.principal)
            return _unknown(protocol) if known is None else replace(found.caller, policies=known.policies)

    def secret_of(self, access_key_id: str) -> str | None:
        """The secret, for whoever verifies a signature."""
        found = self._keys.get(access_key_id)
        return found.credentials.secret if found is not None else None

    def exists(self, arn: str) -> bool:
        """Whether a key policy may name this principal: KMS refuses users and roles that are not there. Accounts, and
        principals of accounts of which the lab knows nobody, are taken as existing."""
        with self._lock:
            if arn in self._users or arn in self._roles:
                return True
            parts = arn.split(":")
            if len(parts) != 6 or parts[5] == "root":
                return len(parts) == 6 or (len(arn) == 12 and arn.isdigit())
            if parts[5].startswith("assumed-role/"):
                name = parts[5].split("/")[1]
                return any(role.split(":")[4] == parts[4] and role.endswith(f"/{name}") for role in self._roles)
            return all(known.split(":")[4] != parts[4] for known in (*self._users, *self._roles))

    def assume(
        self, caller: Caller, role_arn: str, session_name: str, external_id: str | None, now: datetime, seconds: int
    ) -> Session | Refusal:
        """A new session of the role, `seconds` long. The role must trust the caller, and a caller of another account
        (or one that is trusted only through its account) needs an identity policy that allows sts:AssumeRole."""
        if not _SESSION_NAME.fullmatch(session_name):
            return Refusal(
                "ValidationError",
                "1 validation error detected: Value at 'roleSessionName' failed to satisfy constraint: "
                "Member must satisfy regular expression pattern: [\\w+=,.@-]*",
            )
        if not _SHORTEST <= seconds <= _LONGEST:
            bound = (
                f"greater than or equal to {_SHORTEST}" if seconds < _SHORTEST else f"less than or equal to {_LONGEST}"
            )
            return Refusal(
                "ValidationError",
                f"1 validation error detected: Value '{seconds}' at 'durationSeconds' failed to satisfy constraint: "
                f"Member must have value {bound}",
            )
        denied = Refusal(
            "AccessDenied",
            f"User: {caller.arn} is not authorized to perform: sts:AssumeRole on resource: {role_arn}",
            403,
        )
        with self._lock:
            role = self._roles.get(role_arn)
        if role is None:
            return denied
        access = Access(
            caller=caller,
            action="sts:AssumeRole",
            resource=role_arn,
            account=role.caller.account,
            region="us-east-1",
            now=now,
            conditions={"sts:ExternalId": (external_id,) if external_id is not None else ()},
        )
        if not decide(access, key_policies=(role.trust,), grants=()).allowed:
            return denied
        if seconds > min(role.longest, 3600 if ":assumed-role/" in caller.arn else role.longest):
            message = "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."
            if ":assumed-role/" in caller.arn:
                message = (
                    "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining."
                )
            return Refusal("ValidationError", message)
        return self._open(role, session_name, now + timedelta(seconds=seconds))

    def serve(self, service: str, role_arn: str, session_name: str, now: datetime) -> Caller | Refusal:
        """A new session of the role for a service that it trusts, an hour long; gives whom its calls are from."""
        with self._lock:
            role = self._roles.get(role_arn)
        if role is None or service not in role.services:
            return Refusal("AccessDenied", f"{service} is not authorized to perform: sts:AssumeRole on {role_arn}", 403)
        session = self._open(role, session_name, now + timedelta(hours=1))
        given = session.credentials
        return self.caller_of(given.access_key_id, given.session_token, now)

    def _open(self, role: _Role, name: str, expires: datetime) -> Session:
        partition = role.caller.arn.split(":")[1]
        short = role.caller.arn.rpartition("/")[2]
        arn = f"arn:{partition}:sts::{role.caller.account}:assumed-role/{short}/{name}"
        given = Credentials(self._new_key_id("ASIA"), self._new_secret(), base64.b64encode(self._entropy(96)).decode())
        caller = replace(role.caller, arn=arn, access_key_id=given.access_key_id)
        expires = expires.astimezone(UTC).replace(microsecond=0)
        with self._lock:
            self._keys[given.access_key_id] = _Key(caller, given, expires)
        return Session(given, arn, principal_id(caller), expires)

    def _new_key_id(self, prefix: str) -> str:
        return prefix + base64.b32encode(self._entropy(10)).decode()[:16]

    def _new_secret(self) -> str:
        return base64.b64encode(self._entropy(30)).decode()


def _account_in(arn: str, kinds: tuple[str, ...]) -> str:
    found = _PRINCIPAL.fullmatch(arn)
    if found is None or not found.group(2).startswith(kinds):
        wanted = " or ".join(f"arn:aws:iam::<account>:{kind}…" for kind in kinds)
        raise ValueError(f"not an ARN of the wanted kind; write {wanted}")
    return found.group(1)


def _same(kept: str | None, given: str | None) -> bool:
    if kept is None or given is None:
        return kept is given
    return hmac.compare_digest(kept.encode(), given.encode("utf-8", "surrogatepass"))


def _unknown(protocol: Literal["json", "query"]) -> Refusal:
    message = "The security token included in the request is invalid."
    if protocol == "query":
        return Refusal("InvalidClientTokenId", message.removesuffix("."), 403)
    return Refusal("UnrecognizedClientException", message)
