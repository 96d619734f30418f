"""One key: everything that the demanded controls read, from the customer's side of Cloud KMS."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from keycheck.errors import ProbeError
from keycheck.model.facts import Unseen
from keycheck.model.observation import Blob, Disposition
from keycheck.model.probe import Io
from keycheck.model.types import vendor_text
from keycheck.model.verdict import Reason
from probes.clouds.gcp import clients
from probes.clouds.gcp.errors import NOT_ASKED, unseen
from probes.clouds.gcp.names import KeyName, enum_name, key_name, maybe_moment, moment, seconds, version_number
from probes.clouds.gcp.pace import Api
from probes.clouds.gcp.session import Session
from probes.keys.aspects import Aspect
from probes.keys.gcp.describe import (
    Verifying,
    attestation_blobs,
    crypto_key,
    justifications_of,
    version_fact,
    versions_of,
)
from probes.keys.gcp.hierarchy import Ancestry, Level, ancestry, policy_of, shared_level
from probes.keys.gcp.roots import read_roots
from probes.keys.gcp_facts import GcpHierarchy, GcpKey, GcpVersion, PolicyLevel
from probes.keys.subjects import Key

if TYPE_CHECKING:
    from google.cloud.kms_v1.types import CryptoKey, CryptoKeyVersion
    from google.iam.v1.iam_policy_pb2 import GetIamPolicyRequest  # type: ignore[import-untyped]
    from google.iam.v1.policy_pb2 import Policy  # type: ignore[import-untyped]

MAX_BLOBS: Final = 8 * 1024 * 1024
"""Bytes of one key's attestations that go into the evidence whole; real ones have about ten thousand a version."""

MAX_FACTS: Final = 384 * 1024
"""Bytes of the versions, and of the policies, as they are written; a line of evidence holds a million in all."""


def read_key(subject: Key, asked: frozenset[Aspect], io: Io) -> tuple[GcpKey, tuple[Blob, ...]]:
    """The key and the bytes of its attestations. Raises ProbeError when the key itself cannot be read; what else
    cannot be read is Unseen in its place."""
    name = key_name(subject.resource)
    identity = clients.identity_of(subject.identities.inspect, io)
    session = Session(identity, io)
    found = crypto_key(name, session)
    raw = type(found).pb(found)
    if not raw.HasField("create_time"):
        raise ProbeError(Reason.MALFORMED, "a key without a time of creation")
    # the key's own first: what is above it is another service's word, which may be slow
    listed = _listed(name, session)
    own = _own_levels(name, session) if Aspect.POLICIES in asked else ()
    above = ancestry(name.project, session) if Aspect.POLICIES in asked else None
    versions, blobs = _versions(subject, name, asked, above, listed, io)
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
        hierarchy=NOT_ASKED if above is None else _hierarchy(own, above),
        justifications=justifications_of(found) if Aspect.JUSTIFICATIONS in asked else NOT_ASKED,
    )
    key = fitting(key)
    # a cloud that repeats our token would have us publish it
    known = clients.spoken(io)
    if known.within(key.model_dump_json().encode()) or any(known.within(blob.content) for blob in blobs):
        raise ProbeError(Reason.MALFORMED, "the answers repeat the credential that they were asked with")
    return key, blobs


def fitting(key: GcpKey) -> GcpKey:
    """The key without what would not fit into a line of evidence, which says so in its place: the rest is kept."""
    large = Unseen(
        reason=Reason.NOT_COVERED, detail=f"it takes more than the {MAX_FACTS} bytes that are written of one key"
    )
    written = {} if isinstance(key.versions, Unseen) else {"versions": sum(_size(each) for each in key.versions)}
    if not isinstance(key.hierarchy, Unseen):
        written["hierarchy"] = _size(key.hierarchy)
    return key.model_copy(update={field: large for field, size in written.items() if size > MAX_FACTS})


def _size(facts: GcpVersion | GcpHierarchy) -> int:
    return len(facts.model_dump_json().encode())


def _listed(name: KeyName, session: Session) -> tuple[CryptoKeyVersion, ...] | Unseen:
    try:
        return versions_of(name, session)
    except ProbeError as error:
        return unseen(error)


def _versions(
    subject: Key,
    name: KeyName,
    asked: frozenset[Aspect],
    above: Ancestry | None,
    listed: tuple[CryptoKeyVersion, ...] | Unseen,
    io: Io,
) -> tuple[tuple[GcpVersion, ...] | Unseen, tuple[Blob, ...]]:
    if isinstance(listed, Unseen):
        return listed, ()
    verifying = None
    if Aspect.ATTESTATION in asked:
        files = subject.attestation_roots
        roots = io.once.get(("gcp", "roots", io.base, files), lambda: read_roots(files, io.base))
        verifying = Verifying(roots, io.clock(), None if above is None else above.number)
    try:
        facts = tuple(version_fact(each, name, verifying) for each in listed)
        if len({each.id for each in facts}) != len(facts):
            raise ProbeError(Reason.MALFORMED, "a version was listed twice")
    except ProbeError as error:
        return unseen(error), ()
    blobs = () if verifying is None else _kept(blob for each in listed for blob in attestation_blobs(each, name))
    return tuple(sorted(facts, key=lambda each: int(each.id))), blobs


def _kept(blobs: Iterable[Blob]) -> tuple[Blob, ...]:
    """Whole up to a budget, in the order of the listing; of the others the digest alone goes into the evidence."""
    kept: list[Blob] = []
    room = MAX_BLOBS
    for blob in blobs:
        room -= len(blob.content)
        kept.append(blob if room >= 0 else replace(blob, disposition=Disposition.DIGEST_ONLY))
    return tuple(kept)


def _own_levels(name: KeyName, session: Session) -> tuple[Level, Level]:
    """The policies of the key and of its key ring."""
    client = clients.kms(session.identity, session.io)

    def ask(request: GetIamPolicyRequest, timeout: float) -> Policy:
        return client.get_iam_policy(request=request, retry=None, timeout=timeout)

    try:
        own = Level("cryptoKey", policy_of(name.full, Api.KMS, ask, session))
    except ProbeError as error:
        own = Level("cryptoKey", unseen(error))
    return own, Level("keyRing", shared_level(name.ring_name, Api.KMS, ask, session).policy)


def _hierarchy(own: tuple[Level, ...], above: Ancestry) -> GcpHierarchy:
    levels = (*own, *above.levels)
    why_not = [f"{each.resource}: {each.policy.detail}" for each in own if isinstance(each.policy, Unseen)]
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
