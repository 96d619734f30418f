"""One key: everything that the demanded controls read, from the customer's side of Cloud KMS."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keycheck.errors import ProbeError
from keycheck.model.facts import Unseen
from keycheck.model.observation import Blob
from keycheck.model.probe import Io
from keycheck.model.types import vendor_text
from keycheck.model.verdict import Reason
from probes.keys.aspects import Aspect
from probes.keys.gcp import clients
from probes.keys.gcp.describe import (
    Verifying,
    attestation_blobs,
    crypto_key,
    justifications_of,
    version_fact,
    versions_of,
)
from probes.keys.gcp.errors import NOT_ASKED, unseen
from probes.keys.gcp.hierarchy import Ancestry, Level, ancestry, policy_of, shared_level
from probes.keys.gcp.names import KeyName, enum_name, key_name, maybe_moment, moment, seconds, version_number
from probes.keys.gcp.pace import Api
from probes.keys.gcp.roots import read_roots
from probes.keys.gcp.session import Session
from probes.keys.gcp_facts import GcpHierarchy, GcpKey, GcpVersion, PolicyLevel
from probes.keys.subjects import Key

if TYPE_CHECKING:
    from google.cloud.kms_v1.types import CryptoKey
    from google.iam.v1.iam_policy_pb2 import GetIamPolicyRequest  # type: ignore[import-untyped]
    from google.iam.v1.policy_pb2 import Policy  # type: ignore[import-untyped]


def read_key(subject: Key, asked: frozenset[Aspect], io: Io) -> tuple[GcpKey, tuple[Blob, ...]]:
    """The key and the bytes of its attestations. Raises ProbeError when the key itself cannot be read; what else
    cannot be read is Unseen in its place."""
    name = key_name(subject.resource)
    identity = clients.identity_of(subject.identities.inspect, io)
    session = Session(identity, io)
    found = crypto_key(name, session)
    above = ancestry(name.project, session) if Aspect.POLICIES in asked else None
    versions, blobs = _versions(subject, name, asked, above, session)
    raw = type(found).pb(found)
    if not raw.HasField("create_time"):
        raise ProbeError(Reason.MALFORMED, "a key without a time of creation")
    key = GcpKey(
        name=vendor_text(raw.name),
        project=vendor_text(name.project if above is None else above.project_id or name.project),
        project_number=None if above is None else above.number,
        location=name.location,
        universe=identity.universe_domain,
        endpoint=clients.host(identity, Api.KMS),
        caller=_caller(session) if Aspect.CALLER in asked else NOT_ASKED,
        purpose=_purpose(raw.purpose),
        created=moment(raw.create_time),
        primary=version_number(raw.primary.name, name) if raw.HasField("primary") else None,
        rotation_period_s=seconds(raw.rotation_period) if raw.HasField("rotation_period") else None,
        next_rotation=maybe_moment(raw, "next_rotation_time"),
        destroy_scheduled_s=_scheduled(found),
        import_only=raw.import_only,
        backend=vendor_text(raw.crypto_key_backend) or None,
        versions=versions,
        hierarchy=NOT_ASKED if above is None else _hierarchy(name, above, session),
        justifications=justifications_of(found) if Aspect.JUSTIFICATIONS in asked else NOT_ASKED,
    )
    return key, blobs


def _versions(
    subject: Key, name: KeyName, asked: frozenset[Aspect], above: Ancestry | None, session: Session
) -> tuple[tuple[GcpVersion, ...] | Unseen, tuple[Blob, ...]]:
    verifying = None
    if Aspect.ATTESTATION in asked:
        io = session.io
        files = subject.attestation_roots
        roots = io.once.get(("gcp", "roots", io.base, files), lambda: read_roots(files, io.base))
        verifying = Verifying(roots, io.clock(), None if above is None else above.number)
    try:
        listed = versions_of(name, session)
        facts = tuple(version_fact(each, name, verifying) for each in listed)
        if len({each.id for each in facts}) != len(facts):
            raise ProbeError(Reason.MALFORMED, "a version was listed twice")
    except ProbeError as error:
        return unseen(error), ()
    blobs = () if verifying is None else tuple(blob for each in listed for blob in attestation_blobs(each, name))
    return tuple(sorted(facts, key=lambda each: int(each.id))), blobs


def _hierarchy(name: KeyName, above: Ancestry, session: Session) -> GcpHierarchy:
    client = clients.kms(session.identity, session.io)

    def ask(request: GetIamPolicyRequest, timeout: float) -> Policy:
        return client.get_iam_policy(request=request, retry=None, timeout=timeout)

    try:
        own = Level("cryptoKey", policy_of(name.full, Api.KMS, ask, session))
    except ProbeError as error:
        own = Level("cryptoKey", unseen(error))
    ring = Level("keyRing", shared_level(name.ring_name, Api.KMS, ask, session).policy)
    levels = (own, ring, *above.levels)
    why_not = [f"{each.resource}: {each.policy.detail}" for each in (own, ring) if isinstance(each.policy, Unseen)]
    if above.why_not:
        why_not.append(above.why_not)
    return GcpHierarchy(
        levels=tuple(
            PolicyLevel(
                resource=vendor_text(each.resource),
                bindings=each.policy if isinstance(each.policy, Unseen) else each.policy.bindings,
            )
            for each in levels
        ),
        complete=not why_not,
        why_not=vendor_text("; ".join(why_not)),
    )


def _caller(session: Session) -> str | Unseen:
    email = clients.account(session.identity, session.io)
    if email is None:
        return Unseen(reason=Reason.NOT_RECORDED, detail="the credential names no account")
    return vendor_text(email)


def _purpose(value: int) -> str:
    from google.cloud.kms_v1.types import CryptoKey

    return enum_name(CryptoKey.CryptoKeyPurpose, value)


def _scheduled(key: CryptoKey) -> int | None:
    raw = type(key).pb(key)
    return seconds(raw.destroy_scheduled_duration) if raw.HasField("destroy_scheduled_duration") else None
