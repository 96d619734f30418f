"""Who is who: principals of policies, grants and logs against the lists of the contract's annex. Pure.

A session (`sts … assumed-role/NAME/SESSION`) is its role: session ARNs carry no path, so a role is known by its
account and its name, which is unique in an account without regard to case. Sources: IAM User Guide "IAM identifiers",
"IAM and AWS STS quotas"; Google Cloud "Principal identifiers" and "AuthenticationInfo".
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from probes.keys.powers import Standing
from probes.keys.subjects import Agreed

_ARN: Final = re.compile(r"^arn:(?P<partition>aws[a-z-]*):(?P<service>iam|sts)::(?P<account>\d{12}):(?P<rest>.+)$")
_ACCOUNT: Final = re.compile(r"^\d{12}$")
_EMAIL_KINDS: Final = ("user:", "serviceAccount:")
_MANY: Final = ("group:", "domain:", "principalSet:")


def identity(principal: str) -> str:
    """One spelling for one AWS principal: a session becomes its role, a bare account id its root; without paths, and
    names of roles and users in small letters."""
    if _ACCOUNT.match(principal):
        return f"{principal}:root"
    found = _ARN.match(principal)
    if found is None:
        return principal
    kind, _, name = found["rest"].partition("/")
    account = found["account"]
    if kind == "root":
        return f"{account}:root"
    if kind == "assumed-role":
        return f"{account}:role/{name.partition('/')[0].lower()}"
    if kind in ("role", "user"):
        return f"{account}:{kind}/{name.rpartition('/')[2].lower()}"
    return f"{account}:{found['rest']}"


def account_of(principal: str) -> str | None:
    """The AWS account of a principal; None: it names none, as services do."""
    if _ACCOUNT.match(principal):
        return principal
    found = _ARN.match(principal)
    return found["account"] if found else None


def lists(agreed: Agreed) -> tuple[tuple[Standing, tuple[str, ...]], ...]:
    """The annex's lists of principals."""
    return (
        (Standing.VENDOR, agreed.vendor),
        (Standing.USER, agreed.users),
        (Standing.ADMINISTRATOR, agreed.administrators),
        (Standing.READER, agreed.readers),
    )


def nobody_declared(agreed: Agreed) -> bool:
    """The annex names no principal at all."""
    return not any(names for _, names in lists(agreed))


def aws_standings(principal: str, agreed: Agreed) -> frozenset[Standing]:
    """What the annex calls an AWS principal. A declared account root stands for everybody in that account."""
    return frozenset(standing for standing, names in lists(agreed) if aws_named(principal, names))


def aws_named(principal: str, names: Iterable[str]) -> bool:
    """Whether a list names an AWS principal, its role, or its whole account."""
    wanted = {identity(principal)}
    if account := account_of(principal):
        wanted.add(f"{account}:root")
    return any(identity(name) in wanted for name in names)


def gcp_standings(member: str, agreed: Agreed) -> frozenset[Standing]:
    """What the annex calls a member of a Google Cloud policy. Groups and domains stand only for themselves."""
    return frozenset(standing for standing, names in lists(agreed) if gcp_named(member, names))


def gcp_named(member: str, names: Iterable[str]) -> bool:
    """Whether a list names a member. Logs give bare e-mail addresses, policies with a prefix."""
    return _plain(member) in {_plain(name) for name in names}


def _plain(member: str) -> str:
    for kind in _EMAIL_KINDS:
        member = member.removeprefix(kind)
    return member.casefold() if "://" not in member else member


def names_many(names: Iterable[str]) -> tuple[str, ...]:
    """The entries of a list that stand for people whom it does not name: groups, domains, sets of identities."""
    return tuple(name for name in names if name.startswith(_MANY))
