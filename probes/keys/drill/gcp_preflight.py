"""Why a drill in Google Cloud does not start. Everything here only looks; nothing is changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, cast

from keycheck.errors import ProbeError
from keycheck.model.drill import Change
from keycheck.model.probe import Io
from keycheck.model.types import vendor_text
from keycheck.model.verdict import Reason
from probes.clouds.gcp import clients
from probes.clouds.gcp.names import KeyName, maybe_moment
from probes.keys.drill import Refusal, Sight
from probes.keys.drill.aws_common import read, subject_of
from probes.keys.drill.gcp_binding import Binding, BindingParameters
from probes.keys.drill.gcp_calls import USES, Hand, hand
from probes.keys.drill.gcp_canary import CanaryKey, GcpCanary
from probes.keys.drill.gcp_disable import DisableVersion, DisableVersionParameters
from probes.keys.drill.gcp_grants import grants_of
from probes.keys.drill.gcp_labels import NEEDS as LABELS
from probes.keys.drill.gcp_log import USES as LOGGED
from probes.keys.drill.gcp_log import GcpRawLog
from probes.keys.drill.gcp_sentinel import Sentinel
from probes.keys.drill.offset import MAX_SKEW, Offset, by_date
from probes.keys.gcp.describe import crypto_key, version_fact, versions_of
from probes.keys.principals import gcp_named
from probes.keys.subjects import Agreed, Key, KeyModel, OnKeyLoss

if TYPE_CHECKING:
    from google.cloud.kms_v1.types import CryptoKey, GetCryptoKeyRequest

SETTLE: Final = timedelta(minutes=15)
"""After the deadline, for undoing and for looking again: changes of access may take seven minutes and longer."""

_POLICY: Final = ("cloudkms.cryptoKeys.getIamPolicy", "cloudkms.cryptoKeys.setIamPolicy")
_STATE: Final = ("cloudkms.cryptoKeyVersions.get", "cloudkms.cryptoKeyVersions.update")
_LIST: Final = ("cloudkms.cryptoKeys.get", "cloudkms.cryptoKeyVersions.list")
_READ: Final = ("cloudkms.cryptoKeyVersions.useToDecrypt",)
NEEDS: Final = MappingProxyType(
    {
        Binding.kind: {"drill": (*_LIST, *_POLICY), "restore": _POLICY, "control": _READ},
        DisableVersion.kind: {
            "drill": (*_LIST, *_STATE, *LABELS),
            "restore": (*_STATE, *LABELS),
            "control": _READ,
        },
    }
)
"""Permissions on the canary's CryptoKey, by mechanism and identity."""
ABOVE: Final = (
    "cloudkms.keyRings.getIamPolicy",
    "resourcemanager.projects.get",
    "resourcemanager.projects.getIamPolicy",
    "resourcemanager.folders.get",
    "resourcemanager.folders.getIamPolicy",
    "resourcemanager.organizations.getIamPolicy",
)
"""What the identity that drills reads above the key, for a binding: every grant that the key inherits."""
READS: Final = frozenset({"Decrypt", "RawDecrypt"})
"""Operations that open something."""
PLANTS: Final = ("cloudkms.cryptoKeyVersions.useToEncrypt",)
"""What the control identity needs once, to seal the canary."""


@dataclass(frozen=True, slots=True)
class Preflight:
    """What was found."""

    refusals: tuple[Refusal, ...]
    """Everything that speaks against the drill; empty when nothing does."""
    notes: tuple[str, ...]
    """What could not be checked, and is no reason not to start."""
    clock: Offset | None
    """How far Google's clock is from ours; None where its answers do not say."""


def preflight(subject: Key, change: Change, io: Io, settle: timedelta = SETTLE) -> Preflight:
    """Look at everything that the drill relies on.

    What a deny policy denies to whoever restores shows only when the undo is rehearsed. Raises ProbeError(malformed)
    when the change itself cannot be read.
    """
    parameters, canary = _parameters(change)
    until = change.deadline + settle
    notes: list[str] = []
    found: list[Refusal] = []
    if subject_of(change) != subject:
        found.append(Refusal(Reason.MALFORMED, "the change is about another key than the deployment declares"))
    found += _declared(subject)
    if change.deadline <= io.clock():
        found.append(Refusal(Reason.NOT_COVERED, "the deadline is over; plan the drill anew"))
    found += _caught(lambda: parameters.apart_from(subject))
    found += _key(subject, parameters, canary, until, io)
    if change.kind == Binding.kind:
        found += _caught(lambda: _grants(subject, parameters, io))
    found += _people(subject, parameters.name, change.kind, io)
    found += _lasting(subject, until, io, notes)
    clock = _clock(subject, parameters.name, io, notes)
    if clock is not None and clock.least > MAX_SKEW:
        found.append(
            Refusal(
                Reason.CLOCK_UNTRUSTED,
                f"our clock differs from Google's by {clock.least.total_seconds():.0f} s; set it right (NTP)",
            )
        )
    found += _readable(subject, parameters.name, canary, io)
    return Preflight(tuple(dict.fromkeys(found)), tuple(notes), clock)


def of_rehearsal(error: ProbeError) -> Refusal:
    """A rehearsal that failed, as a reason not to start: nothing was taken away yet."""
    return Refusal(error.reason, vendor_text(f"the undo does not work when rehearsed: {error}"))


def logged(log: GcpRawLog, agreed: Agreed, planted: datetime, ours: Sequence[str]) -> Iterator[Refusal]:
    """What the log of the canary's key says against a drill. A change of a key that the vendor does not use would meet
    nothing, and condemn a vendor who is honest."""
    if not log.complete:
        yield Refusal(Reason.NOT_COVERED, vendor_text(f"the log of the canary's key is not complete: {log.why_not}"))
    done = [each for each in log.entries() if each.operation in LOGGED and each.code == 0 and each.principal]
    declared = (*agreed.vendor, *agreed.users, *ours)
    if strangers := sorted({each.principal for each in done if not gcp_named(each.principal, declared)}):
        yield Refusal(
            Reason.CONFLICTING,
            vendor_text(f"the canary's key is also used by {', '.join(strangers[:5])}, who is not agreed upon"),
        )
    theirs = [each for each in done if gcp_named(each.principal, agreed.vendor)]
    if not any(each.operation in READS and each.at >= planted - MAX_SKEW for each in theirs):
        yield Refusal(
            Reason.UNSUPPORTED,
            "no logged decryption of the vendor's is under the canary's key, so taking it away would meet nothing; "
            "read the canary through the vendor and wait for the log, or ask the vendor which key the canary is under",
        )


def _parameters(change: Change) -> tuple[CanaryKey, GcpCanary]:
    if change.kind == Binding.kind:
        bound = read(BindingParameters, change.parameters)
        return bound, bound.canary
    if change.kind == DisableVersion.kind:
        disabled = read(DisableVersionParameters, change.parameters)
        return disabled, disabled.canary
    raise ProbeError(Reason.MALFORMED, f"{change.kind} is no drill in Google Cloud")


def _caught(look: Callable[[], object]) -> Iterator[Refusal]:
    try:
        look()
    except ProbeError as error:
        yield Refusal(error.reason, vendor_text(str(error)))


def _declared(subject: Key) -> Iterator[Refusal]:
    if subject.model is not KeyModel.DIRECT_KMS:
        yield Refusal(
            Reason.UNSUPPORTED,
            f"the deployment declares `model: {subject.model}`, for which this drill proves nothing; ask the vendor "
            f"for the revocation procedure of that model",
        )
    match subject.on_key_loss:
        case OnKeyLoss.WITHHELD:
            pass
        case OnKeyLoss.DELETE:
            yield Refusal(Reason.UNSUPPORTED, "the vendor deletes data when the key is gone: no drill on this key")
        case OnKeyLoss.UNKNOWN:
            yield Refusal(
                Reason.UNSUPPORTED,
                "`on_key_loss` is not declared; ask the vendor in writing what happens to data when the key is gone",
            )


def _grants(subject: Key, parameters: CanaryKey, io: Io) -> None:
    who = hand(io, subject.identities.drill)
    grants_of(subject, parameters.name, who.policy(parameters.key), who)


def _key(subject: Key, parameters: CanaryKey, canary: GcpCanary, until: datetime, io: Io) -> Iterator[Refusal]:
    name = parameters.name
    try:
        session = hand(io, subject.identities.drill).session
        found = crypto_key(name, session)
        versions = tuple(version_fact(each, name, None) for each in versions_of(name, session))
    except ProbeError as error:
        yield Refusal(error.reason, vendor_text(f"the canary's key cannot be read: {error}"))
        return
    yield from _purpose(found, until)
    for version in versions:
        if version.state == "DESTROY_SCHEDULED":
            yield Refusal(
                Reason.CONFLICTING,
                f"version {version.id} of the canary's key is scheduled for destruction; restore it first",
            )
        elif version.state.startswith("PENDING_"):
            yield Refusal(Reason.CONFLICTING, vendor_text(f"version {version.id} is {version.state}; wait for its end"))
    states = {version.id: version.state for version in versions}
    if (state := states.get(canary.version, "not there")) != "ENABLED":
        yield Refusal(
            Reason.UNSUPPORTED,
            vendor_text(
                f"version {canary.version}, which sealed the canary, is {state} and not ENABLED; plant it anew"
            ),
        )


def _purpose(key: CryptoKey, until: datetime) -> Iterator[Refusal]:
    from google.cloud.kms_v1.types import CryptoKey as Message

    if key.purpose != Message.CryptoKeyPurpose.ENCRYPT_DECRYPT:
        yield Refusal(Reason.UNSUPPORTED, "the canary's key is no symmetric key for encryption and decryption")
    due = maybe_moment(type(key).pb(key), "next_rotation_time")
    if due is not None and due <= until:
        yield Refusal(
            Reason.CONFLICTING, "the canary's key rotates before the drill is over; let it rotate first, or later"
        )


def _people(subject: Key, key: KeyName, kind: str, io: Io) -> Iterator[Refusal]:
    roles = subject.identities
    refs = {"drill": roles.drill, "restore": roles.restore, "control": roles.control}
    for role, needed in NEEDS[kind].items():
        try:
            lacking = set(needed) - hand(io, refs[role]).permitted(key.full, needed)
        except ProbeError as error:
            yield Refusal(error.reason, vendor_text(f"the identity for `{role}` does not work: {error}"))
            continue
        if lacking:
            yield Refusal(
                Reason.PERMISSION_DENIED,
                f"the identity for `{role}` lacks {', '.join(sorted(lacking))} on the canary's key; grant it there",
            )


def _lasting(subject: Key, until: datetime, io: Io, notes: list[str]) -> Iterator[Refusal]:
    """Whether who restores still can at the end. Service accounts and federations get new tokens by themselves."""
    from google.auth import external_account
    from google.oauth2 import credentials as user

    try:
        held = clients.credentials(clients.identity_of(subject.identities.restore, io), io)
    except ProbeError as error:
        yield Refusal(error.reason, vendor_text(f"the credentials for `restore`: {error}"))
        return
    if isinstance(held, user.Credentials):
        ends = held.expiry
        if held.refresh_token:
            notes.append(
                "the credential for `restore` is a person's: a sign-in policy may end it before the drill is over"
            )
        elif not isinstance(ends, datetime) or ends.replace(tzinfo=UTC) < until:
            yield Refusal(
                Reason.PERMISSION_DENIED,
                "the credential for `restore` is a token that does not outlive the drill; use a service account",
            )
    elif isinstance(held, external_account.Credentials):
        notes.append("the credential for `restore` lasts as long as the outside token that it is made from")


def _clock(subject: Key, key: KeyName, io: Io, notes: list[str]) -> Offset | None:
    try:
        asked = io.clock()
        written = _date(hand(io, subject.identities.drill), key)
        off = by_date(written, asked, io.clock())
    except ProbeError:
        return None  # told already
    if off is None:
        notes.append("the answers of Cloud KMS carry no Date: our clock is compared with the log's, afterwards")
    return off


def _date(who: Hand, key: KeyName) -> str | None:
    """Date among what came with an answer."""
    from google.api_core.exceptions import from_grpc_error
    from google.cloud.kms_v1.types import GetCryptoKeyRequest
    from grpc import Call, RpcError

    # the client hands out answers only, its stubs also what came with them
    stub = who.client.transport.get_crypto_key
    ask = cast("Callable[..., tuple[CryptoKey, Call]]", stub.with_call)  # type: ignore[attr-defined]
    request: GetCryptoKeyRequest = GetCryptoKeyRequest(name=key.full)
    routing = (("x-goog-request-params", f"name={key.full}"),)

    def call(seconds: float) -> str | None:
        try:
            _, answered = ask(request, timeout=seconds, metadata=routing)
        except RpcError as error:
            raise from_grpc_error(error) from None  # type: ignore[no-untyped-call]
        came = (*(answered.initial_metadata() or ()), *(answered.trailing_metadata() or ()))
        return next((str(value) for name, value in came if name.lower() == "date"), None)

    return who.once(USES, f"get {key.full}", call)


def _readable(subject: Key, key: KeyName, canary: GcpCanary, io: Io) -> Iterator[Refusal]:
    try:
        sample = Sentinel(io, subject.identities.control, key, canary).ask()
    except ProbeError as error:
        yield Refusal(error.reason, vendor_text(str(error)))
        return
    if sample.sight is not Sight.READABLE:
        yield Refusal(
            Reason.NO_POSITIVE,
            vendor_text(f"the control identity cannot read the canary before anything is changed: {sample.words}"),
        )
