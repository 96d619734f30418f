"""Revoke by revoking one grant. Not lossless: the grant that is made again has another id, token and date."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, ClassVar, Final

from pydantic import Field, StringConstraints

from keycheck.errors import ProbeError
from keycheck.model.drill import Change, Mechanism, Standing, Where
from keycheck.model.probe import Io
from keycheck.model.types import CanonicalJson, Count, Model, VendorText, vendor_text
from keycheck.model.verdict import Reason
from probes.clouds.aws.arns import KmsArn, kms_arn
from probes.clouds.aws.errors import AwsError
from probes.clouds.aws.pages import Page, collect
from probes.clouds.aws.reading import (
    Answer,
    MalformedError,
    child_or_none,
    children,
    flag,
    pairs,
    parsing,
    text,
    text_or_none,
    texts,
)
from probes.keys.drill.aws_calls import Hand, hand
from probes.keys.drill.aws_common import KeyArns, read, subject_of
from probes.keys.drill.aws_common import written as kept
from probes.keys.drill.aws_deny import sid_of
from probes.keys.drill.aws_tags import Breadcrumbs, untag_command
from probes.keys.drill.canary import Canary
from probes.keys.drill.dead_man import dismissed
from probes.keys.subjects import Key

_CONSTRAINTS: Final = ("EncryptionContextEquals", "EncryptionContextSubset")
_TRIES: Final = 3


class GrantParameters(Model):
    """Which grant, on which key."""

    keys: Annotated[KeyArns, Field(max_length=1)]
    """One: every replica has grants of its own, and a drill revokes one."""
    grant: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9]{1,128}$")]
    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9:/_-]{1,256}$")]
    """Of the grant that is made again where the first has none: with a name, making it twice makes one."""
    canary: Canary
    tagged: bool = False
    """Whether tags on the key tell of the drill."""

    @property
    def arn(self) -> KmsArn:
        """The key."""
        return kms_arn(self.keys[0])


class Terms(Model):
    """What a grant grants: everything but id, token, date and issuer."""

    grantee: VendorText
    retiring: VendorText | None
    operations: tuple[VendorText, ...]
    equals: tuple[tuple[VendorText, VendorText], ...] | None
    subset: tuple[tuple[VendorText, VendorText], ...] | None

    def request(self) -> dict[str, Any]:
        """As CreateGrant takes it."""
        asked: dict[str, Any] = {"GranteePrincipal": self.grantee, "Operations": list(self.operations)}
        if self.retiring is not None:
            asked["RetiringPrincipal"] = self.retiring
        limits = zip(_CONSTRAINTS, (self.equals, self.subset), strict=True)
        constraints = {name: dict(limit) for name, limit in limits if limit is not None}
        return asked | ({"Constraints": constraints} if constraints else {})


class GrantBefore(Model):
    """The grant as it was."""

    terms: Terms
    name: VendorText | None
    alike: Count
    """Grants of the same terms, this one among them: the others keep access open."""


def revoke_grant(
    drill: str, subject: Key, key: str, grant: str, canary: Canary, deadline: datetime, *, tagged: bool = False
) -> Change:
    """The change that a drill makes. Ends only when somebody makes the grant again."""
    parameters = GrantParameters(keys=(key,), grant=grant, name=sid_of(drill), canary=canary, tagged=tagged)
    arn = parameters.arn
    return Change(
        kind=RevokeGrant.kind,
        drill=drill,
        subject=f"keys/{subject.id}",
        body=kept(subject),
        parameters=kept(parameters),
        deadline=deadline,
        by_hand=(
            f"aws kms list-grants --region {arn.region} --key-id {arn}",
            vendor_text(
                f"aws kms create-grant --region {arn.region} --key-id {arn} --name {parameters.name} "
                f"--grantee-principal … --operations … --constraints …   # as in the drill's record of before"
            ),
            *((untag_command((arn,)),) if tagged else ()),
        ),
    )


class RevokeGrant(Mechanism):
    """RevokeGrant and CreateGrant. The canary does not feel it: the control identity does not live on this grant, so
    a standing proves that a grant of the same terms is there again, and no more. Source: KMS developer guide, "Grants
    in AWS KMS": usually effective in less than five minutes."""

    kind: ClassVar[str] = "aws-revoke-grant"
    lossless: ClassVar[bool] = False
    expires: ClassVar[bool] = False

    def look(self, change: Change, io: Io) -> CanonicalJson:
        """The grant's terms. Raises ProbeError(unsupported) where it could not be made again."""
        subject, parameters = subject_of(change), read(GrantParameters, change.parameters)
        listed = _grants(hand(io, subject.identities.drill, parameters.arn), parameters.arn)
        with parsing("kms:ListGrants"):
            found = next((item for item in listed if text(item, "GrantId") == parameters.grant), None)
            if found is None:
                raise ProbeError(Reason.UNREACHABLE, "the key has no such grant; list its grants")
            terms = _terms(found)
            if terms is None:
                raise ProbeError(
                    Reason.UNSUPPORTED, "the grant is to a service, or limited in a way that keycheck cannot make again"
                )
            alike = sum(_terms(item) == terms for item in listed)
            return kept(GrantBefore(terms=terms, name=text_or_none(found, "Name"), alike=alike))

    def rehearse(self, change: Change, before: CanonicalJson, io: Io) -> None:
        """CreateGrant as the identity that restores, and RevokeGrant as the one that acts, both as dry runs. Who
        restores must see the grants, too: what he cannot see he cannot put back."""
        subject, parameters = subject_of(change), read(GrantParameters, change.parameters)
        known, arn = read(GrantBefore, before), parameters.arn
        restorer, driller = hand(io, subject.identities.restore, arn), hand(io, subject.identities.drill, arn)
        if _alike(restorer, arn, known.terms) != known.alike:
            raise ProbeError(Reason.CONFLICTING, "the key's grants changed since they were looked at; start anew")
        _dry(restorer, "kms:CreateGrant", arn, Name=parameters.name, **known.terms.request())
        _dry(driller, "kms:RevokeGrant", arn, GrantId=parameters.grant)
        if known.alike > 1:
            raise ProbeError(
                Reason.UNSUPPORTED,
                f"{known.alike - 1} other grants have the same terms, so revoking one changes nothing; retire them",
            )
        Breadcrumbs(change, subject, parameters.tagged).rehearse(arn, io)

    def act(self, change: Change, before: CanonicalJson, io: Io) -> None:
        """RevokeGrant."""
        subject, parameters = subject_of(change), read(GrantParameters, change.parameters)
        if io.clock() >= change.deadline:
            raise ProbeError(Reason.NOT_COVERED, "the drill's deadline is over; plan it anew")
        read(GrantBefore, before)
        arn = parameters.arn
        Breadcrumbs(change, subject, parameters.tagged).set(arn, io)
        hand(io, subject.identities.drill, arn).ask(
            "kms:RevokeGrant", arn.region, once=True, KeyId=str(arn), GrantId=parameters.grant
        )

    def undo(self, change: Change, before: CanonicalJson, io: Io) -> None:
        """Make the grant again unless one of the same terms is there."""
        subject, parameters = subject_of(change), read(GrantParameters, change.parameters)
        arn = parameters.arn
        _make_again(hand(io, subject.identities.restore, arn), parameters, read(GrantBefore, before))
        Breadcrumbs(change, subject, parameters.tagged).dismiss(arn, io)

    def tidy(self, change: Change, before: CanonicalJson, io: Io) -> str:
        """The tags go; a grant that is gone before we revoked it was revoked by somebody else."""
        subject, parameters = subject_of(change), read(GrantParameters, change.parameters)
        crumbs = Breadcrumbs(change, subject, parameters.tagged)
        crumbs.dismiss(parameters.arn, io)
        return crumbs.left(parameters.arn, io)

    def standing(self, change: Change, before: CanonicalJson, io: Io) -> Standing:
        """Whether a grant of the same terms is there."""
        subject, parameters = subject_of(change), read(GrantParameters, change.parameters)
        known, arn = read(GrantBefore, before), parameters.arn
        try:
            listed = _grants(hand(io, subject.identities.restore, arn), arn)
            with parsing("kms:ListGrants"):
                alike = [text(item, "GrantId") for item in listed if _terms(item) == known.terms]
        except ProbeError as error:
            return Standing(Where.CHANGED, vendor_text(f"the key's grants are not known: {error}"))
        if not alike:
            return Standing(Where.CHANGED, "no grant of these terms is there")
        words = "the grant is there as it was"
        if parameters.grant not in alike:
            words = "a grant of the same terms is there, with another id, token and date"
        crumbs = Breadcrumbs(change, subject, parameters.tagged)
        return dismissed(Standing(Where.RESTORED, words), lambda: crumbs.left(arn, io))


def _make_again(who: Hand, parameters: GrantParameters, known: GrantBefore) -> None:
    arn = parameters.arn
    held: ProbeError | None = None
    for _ in range(_TRIES):
        try:
            if _alike(who, arn, known.terms) >= 1:
                return
            who.ask(
                "kms:CreateGrant",
                arn.region,
                KeyId=str(arn),
                Name=known.name or parameters.name,
                **known.terms.request(),
            )
        except ProbeError as error:
            if error.reason not in (Reason.THROTTLED, Reason.TIMEOUT, Reason.UNREACHABLE):
                raise
            held = error
    if _alike(who, arn, known.terms) < 1:
        raise held or ProbeError(Reason.PROPAGATION_PENDING, "CreateGrant was taken, and does not show yet")


def _dry(who: Hand, operation: str, arn: KmsArn, **parameters: Any) -> None:
    try:
        who.ask(operation, arn.region, KeyId=str(arn), DryRun=True, **parameters)
    except AwsError as error:
        if error.code == "DryRunOperationException":
            return
        raise
    raise ProbeError(Reason.CONFLICTING, f"{operation}: a dry run was answered as if it had been done; look at the key")


def _grants(who: Hand, arn: KmsArn) -> tuple[Answer, ...]:
    """All grants. Raises ProbeError, also where not all came."""
    operation = "kms:ListGrants"

    def fetch(token: str | None) -> Page[Answer]:
        asked: dict[str, Any] = {"KeyId": str(arn), "Limit": 100}
        answer = who.ask(operation, arn.region, **(asked if token is None else asked | {"Marker": token}))
        with parsing(operation):
            more = flag(answer, "Truncated", default=False)
            return Page(children(answer, "Grants", required=True), text(answer, "NextMarker") if more else None)

    listing = collect(operation, fetch)
    if listing.short is not None:
        raise ProbeError(listing.short.reason, f"{operation}: not all grants could be read: {listing.short.detail}")
    return listing.items


def _alike(who: Hand, arn: KmsArn, terms: Terms) -> int:
    listed = _grants(who, arn)
    with parsing("kms:ListGrants"):
        return sum(_terms(item) == terms for item in listed)


def _terms(grant: Answer) -> Terms | None:
    """None: made for a service, or with constraints that are not known. Raises MalformedError."""
    constraints: Mapping[str, object] = child_or_none(grant, "Constraints") or {}
    strange = {"GranteeServicePrincipal", "RetiringServicePrincipal"} & set(grant) or set(constraints) - {*_CONSTRAINTS}
    grantee = text_or_none(grant, "GranteePrincipal")
    if strange or grantee is None or not grantee.startswith("arn:"):
        return None
    operations = texts(grant, "Operations")
    if not operations:
        raise MalformedError("a grant without operations")
    equals, subset = (pairs(constraints, name) if name in constraints else None for name in _CONSTRAINTS)
    return Terms(
        grantee=grantee,
        retiring=text_or_none(grant, "RetiringPrincipal"),
        operations=tuple(sorted(operations)),
        equals=equals,
        subset=subset,
    )
