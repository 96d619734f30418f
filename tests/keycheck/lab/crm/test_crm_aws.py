"""The application over the real AWS Encryption SDK and boto3, against the lab's AWS."""

from __future__ import annotations

import io
import math
import random
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from aws_encryption_sdk.identifiers import Algorithm
from aws_encryption_sdk.internal.formatting.deserialize import deserialize_header
from aws_encryption_sdk.structures import MessageHeader

from keycheck.lab.aws.cloud import AwsCloud
from keycheck.lab.aws.faults import Damage
from keycheck.lab.aws.kms.model import Key, Origin
from keycheck.lab.crm.aws_envelope import AwsEnvelope, Suite, aws_client
from keycheck.lab.crm.contacts import SENSITIVE, Contact, Store, record_context
from keycheck.lab.crm.crm import Crm
from keycheck.lab.crm.envelope import IntegrityFailure, KeyUnavailable, Withheld
from keycheck.lab.crm.service import KEY_UNAVAILABLE, Service
from keycheck.lab.crm.traffic import contact, work

if TYPE_CHECKING:
    from mypy_boto3_kms import KMSClient

CUSTOMER, VENDOR, REGION = "111122223333", "444455556666", "eu-central-1"
APP = f"arn:aws:iam::{VENDOR}:user/crm-app"
ADMIN = f"arn:aws:iam::{CUSTOMER}:user/key-admin"
USE = ["kms:Decrypt", "kms:GenerateDataKey"]
CONTEXT = record_context("acme", "c-000001", "name")
PLAINTEXT = b"Ada Adriaens"


def allow(principal: str, *actions: str) -> dict[str, object]:
    return {"Effect": "Allow", "Principal": {"AWS": principal}, "Action": list(actions), "Resource": "*"}


def policy(*statements: dict[str, object]) -> dict[str, object]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


HONEST = (allow(ADMIN, "kms:*"), allow(APP, *USE))


@dataclass(frozen=True, slots=True)
class World:
    """One cloud, one imported key of the customer, and clients of vendor and administrator."""

    cloud: AwsCloud
    key: Key
    vendor: KMSClient
    admin: KMSClient

    def envelope(self, **more: object) -> AwsEnvelope:
        return AwsEnvelope(self.vendor, self.key.arn, **more)

    def uses(self, name: str) -> list[tuple[str, str]]:
        """Principal and material of every successful use in the customer's log."""
        events = self.cloud.ledger.events(CUSTOMER, REGION, datetime.now(UTC))
        found = [event for event in events if event.name == name and event.error is None]
        return [(event.caller.principal, str(event.additional["keyMaterialId"])) for event in found]


@pytest.fixture
def world() -> Iterator[World]:
    cloud = AwsCloud(clock=lambda: datetime.now(UTC))
    key = cloud.kms.create(
        CUSTOMER, REGION, origin=Origin.EXTERNAL, material=random.Random(1).randbytes(32), policy=policy(*HONEST)
    )
    mine = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": USE, "Resource": key.arn}]}
    with cloud:
        clients = []
        for principal, policies in ((APP, (mine,)), (ADMIN, ())):
            made = cloud.directory.add_user(principal, policies=policies)
            clients.append(
                aws_client(
                    endpoint=cloud.url, region=REGION, access_key_id=made.access_key_id, secret=made.secret, timeout=2
                )
            )
        yield World(cloud, key, *clients)
        for client in clients:
            client.close()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    held = Store(tmp_path / "crm.sqlite")
    yield held
    held.close()


def header_of(sealed: bytes) -> MessageHeader:
    header, _raw = deserialize_header(io.BytesIO(sealed))
    return header


@pytest.mark.parametrize("max_age", [0.0, 60.0])
def test_contacts_go_in_and_come_out(world: World, store: Store, max_age: float) -> None:
    crm = Crm(world.envelope(max_age=max_age), store)
    assert work(crm, 4).read == 4
    store.close()
    held = b"".join(path.read_bytes() for path in store.path.parent.iterdir())
    for number in range(4):
        for name in SENSITIVE:
            value: str = getattr(contact(number), name)
            assert not value or value.encode() not in held


def test_the_customers_log_shows_the_vendors_uses_with_their_context(world: World, store: Store) -> None:
    work(Crm(world.envelope(), store), 2)
    fields = len(SENSITIVE)
    assert {principal for principal, _ in world.uses("Decrypt")} == {APP}
    assert len(world.uses("GenerateDataKey")) == len(world.uses("Decrypt")) == 2 * fields
    events = world.cloud.ledger.events(CUSTOMER, REGION, datetime.now(UTC))
    logged = [event.parameters["encryptionContext"] for event in events if event.name == "Decrypt"]
    expected = [record_context("acme", contact(number).id, name) for number in range(2) for name in SENSITIVE]
    assert logged == expected


@pytest.mark.parametrize("suite", list(Suite))
def test_messages_are_of_the_committed_suite_under_the_customers_key_alone(world: World, suite: Suite) -> None:
    envelope = world.envelope(suite=suite)
    sealed = envelope.seal(PLAINTEXT, CONTEXT)
    assert sealed[0] == 2
    assert int.from_bytes(sealed[1:3], "big") == {Suite.COMMITTED: 0x0478, Suite.COMMITTED_SIGNED: 0x0578}[suite]
    header = header_of(sealed)
    assert header.algorithm.is_committing()
    assert header.algorithm.data_key_len == 32
    assert [each.key_provider.key_info.decode() for each in header.encrypted_data_keys] == [world.key.arn]
    assert CONTEXT.items() <= header.encryption_context.items()
    assert envelope.open(sealed, CONTEXT) == PLAINTEXT


def test_messages_without_commitment_are_refused(world: World) -> None:
    import aws_encryption_sdk
    from aws_encryption_sdk.key_providers.kms import KMSMasterKey

    lax = aws_encryption_sdk.EncryptionSDKClient(
        commitment_policy=aws_encryption_sdk.CommitmentPolicy.FORBID_ENCRYPT_ALLOW_DECRYPT
    )
    sealed, _ = lax.encrypt(
        source=PLAINTEXT,
        key_provider=KMSMasterKey(key_id=world.key.arn, client=world.vendor),
        encryption_context=dict(CONTEXT),
        algorithm=Algorithm.AES_256_GCM_IV12_TAG16_HKDF_SHA256,
    )
    with pytest.raises(IntegrityFailure):
        world.envelope().open(sealed, CONTEXT)


@pytest.mark.parametrize("max_age", [0.0, 60.0])
def test_only_its_own_context_opens_a_value(world: World, max_age: float) -> None:
    envelope = world.envelope(max_age=max_age)
    sealed = envelope.seal(PLAINTEXT, CONTEXT)
    assert envelope.open(sealed, CONTEXT) == PLAINTEXT
    for other in ({**CONTEXT, "tenant": "globex"}, {**CONTEXT, "record": "2"}, {}, {**CONTEXT, "more": "x"}):
        with pytest.raises(IntegrityFailure):
            envelope.open(sealed, other)


def test_another_tenants_bytes_do_not_open(world: World, store: Store) -> None:
    crm = Crm(world.envelope(), store)
    crm.put(Contact("acme", "1", "Ada"))
    crm.put(Contact("globex", "1", "Grete"))
    mine, theirs = store.get("acme", "1"), store.get("globex", "1")
    store.put(type(mine)(mine.tenant, mine.id, mine.country, {**mine.values, "name": theirs.values["name"]}))
    with pytest.raises(IntegrityFailure):
        crm.get("acme", "1")


def test_every_changed_byte_is_noticed(world: World) -> None:
    envelope = world.envelope(max_age=math.inf)
    sealed = envelope.seal(PLAINTEXT, CONTEXT)
    changed = [sealed[:at] + bytes([sealed[at] ^ 0x80]) + sealed[at + 1 :] for at in range(len(sealed))]
    cut = [sealed[:at] for at in range(0, len(sealed), 7)]
    noise = random.Random(4)
    for wrong in (*changed, *cut, sealed + b"\0", *(sealed[:3] + noise.randbytes(300) for _ in range(20))):
        with pytest.raises(IntegrityFailure):
            envelope.open(wrong, CONTEXT)


def test_another_key_of_the_same_vendor_does_not_open(world: World) -> None:
    other = world.cloud.kms.create(CUSTOMER, REGION, policy=policy(allow(APP, *USE), allow(ADMIN, "kms:*")))
    sealed = world.envelope().seal(PLAINTEXT, CONTEXT)
    with pytest.raises(IntegrityFailure):
        AwsEnvelope(world.vendor, other.arn).open(sealed, CONTEXT)


def test_a_disabled_key_withholds_reads_and_writes_until_it_is_enabled(world: World, store: Store) -> None:
    crm = Crm(world.envelope(), store)
    work(crm, 1)
    service = Service(crm, {"token": "acme"})
    world.admin.disable_key(KeyId=world.key.arn)
    answer = service.respond("GET", "/v1/contacts/c-000000", b"", "Bearer token")
    assert (answer.status, answer.body) == (503, KEY_UNAVAILABLE)
    with pytest.raises(KeyUnavailable) as refused:
        crm.put(contact(1))
    assert refused.value.why is Withheld.DISABLED
    world.admin.enable_key(KeyId=world.key.arn)
    assert crm.get("acme", "c-000000") == contact(0)


def test_a_deny_for_one_context_withholds_that_record_alone(world: World, store: Store) -> None:
    crm = Crm(world.envelope(), store)
    work(crm, 2)
    deny = {
        "Sid": "canary",
        "Effect": "Deny",
        "Principal": "*",
        "Action": USE,
        "Resource": "*",
        "Condition": {"StringEquals": {"kms:EncryptionContext:record": "c-000001"}},
    }
    world.cloud.kms.set_policy(world.key, policy(*HONEST, deny))
    with pytest.raises(KeyUnavailable) as refused:
        crm.get("acme", "c-000001")
    assert refused.value.why is Withheld.DENIED
    assert crm.get("acme", "c-000000") == contact(0)


def test_a_cached_data_key_reads_on_until_its_age(world: World) -> None:
    age = 0.6
    envelope = world.envelope(max_age=age)
    warm, cold = (envelope.seal(PLAINTEXT, {**CONTEXT, "record": name}) for name in ("warm", "cold"))
    begun = time.monotonic()
    assert envelope.open(warm, {**CONTEXT, "record": "warm"}) == PLAINTEXT
    world.admin.disable_key(KeyId=world.key.arn)
    assert envelope.open(warm, {**CONTEXT, "record": "warm"}) == PLAINTEXT
    with pytest.raises(KeyUnavailable):
        envelope.open(cold, {**CONTEXT, "record": "cold"})
    last = 0.0
    while time.monotonic() - begun < 5.0:
        try:
            envelope.open(warm, {**CONTEXT, "record": "warm"})
        except KeyUnavailable:
            break
        last = time.monotonic() - begun
        time.sleep(0.02)
    assert age / 2 < last < age + 0.3
    world.admin.enable_key(KeyId=world.key.arn)
    assert envelope.open(warm, {**CONTEXT, "record": "warm"}) == PLAINTEXT


def test_a_cache_shares_data_keys_by_context_and_only_so_often(world: World) -> None:
    envelope = world.envelope(max_age=60.0, max_messages=2)
    same = [header_of(envelope.seal(PLAINTEXT, CONTEXT)) for _ in range(5)]
    wrapped = [next(iter(header.encrypted_data_keys)).encrypted_data_key for header in same]
    assert wrapped == [wrapped[at] for at in (0, 0, 2, 2, 4)]
    assert len(set(wrapped)) == 3
    made = world.cloud.faults.calls["GenerateDataKey"]
    for name in SENSITIVE:
        envelope.seal(PLAINTEXT, record_context("acme", "other", name))
    assert world.cloud.faults.calls["GenerateDataKey"] - made == len(SENSITIVE)


def test_after_rotation_old_values_open_and_new_ones_use_the_new_material(world: World) -> None:
    envelope = world.envelope()
    old = envelope.seal(PLAINTEXT, CONTEXT)
    world.cloud.kms.import_material(world.key, random.Random(2).randbytes(32), new=True)
    world.admin.rotate_key_on_demand(KeyId=world.key.arn)
    new = envelope.seal(PLAINTEXT, CONTEXT)
    assert envelope.open(old, CONTEXT) == envelope.open(new, CONTEXT) == PLAINTEXT
    made, read = ([material for _, material in world.uses(name)] for name in ("GenerateDataKey", "Decrypt"))
    assert len(set(made)) == 2
    assert made == read
    assert made[1] == world.admin.describe_key(KeyId=world.key.arn)["KeyMetadata"]["CurrentKeyMaterialId"]


def test_refusals_keep_their_meaning(world: World) -> None:
    envelope = world.envelope()
    sealed = envelope.seal(PLAINTEXT, CONTEXT)
    faults = world.cloud.faults

    def why() -> set[Withheld]:
        reasons = set()
        for ask in (lambda: envelope.open(sealed, CONTEXT), lambda: envelope.seal(PLAINTEXT, CONTEXT)):
            with pytest.raises(KeyUnavailable) as refused:
                ask()
            reasons.add(refused.value.why)
        return reasons

    world.cloud.kms.set_policy(world.key, policy(allow(ADMIN, "kms:*")))
    assert why() == {Withheld.DENIED}
    world.cloud.kms.set_policy(world.key, policy(*HONEST))
    for code, status, expected in (
        ("NotFoundException", 400, Withheld.MISSING),
        ("KMSInvalidStateException", 400, Withheld.DISABLED),
        ("ExpiredTokenException", 400, Withheld.DENIED),
        ("KMSInternalException", 500, Withheld.UNREACHABLE),
        ("SomethingNew", 400, Withheld.OTHER),
    ):
        faults.fail(None, code, status=status)
        assert why() == {expected}
        faults.clear()
    for damage in (Damage.GARBAGE, Damage.RESET, Damage.TRUNCATED):
        faults.damage(None, damage)
        assert why() == {Withheld.UNREACHABLE}
        faults.clear()
    assert envelope.open(sealed, CONTEXT) == PLAINTEXT
    world.cloud.close()
    assert why() == {Withheld.UNREACHABLE}


def test_a_throttled_call_is_tried_again(world: World) -> None:
    envelope = world.envelope()
    sealed = envelope.seal(PLAINTEXT, CONTEXT)
    world.cloud.faults.throttle("Decrypt", times=1)
    assert envelope.open(sealed, CONTEXT) == PLAINTEXT


def test_threads_that_find_a_data_key_too_old_at_once_all_read_on(world: World) -> None:
    envelope = world.envelope(max_age=1e-9)
    sealed = envelope.seal(PLAINTEXT, CONTEXT)

    def read(_number: int) -> bytes:
        return envelope.open(envelope.seal(PLAINTEXT, CONTEXT), CONTEXT) + envelope.open(sealed, CONTEXT)

    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)  # or the threads hardly ever meet
    try:
        with ThreadPoolExecutor(8) as threads:
            assert set(threads.map(read, range(300))) == {PLAINTEXT * 2}
    finally:
        sys.setswitchinterval(usual)


def test_refusals_print_nothing(world: World, capfd: pytest.CaptureFixture[str]) -> None:
    envelope = world.envelope()
    sealed = envelope.seal(PLAINTEXT, CONTEXT)
    world.admin.disable_key(KeyId=world.key.arn)
    with pytest.raises(KeyUnavailable):
        envelope.open(sealed, CONTEXT)
    assert capfd.readouterr() == ("", "")
