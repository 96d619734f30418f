"""The application over Tink and the real Cloud KMS client, against the lab's Google Cloud."""

from __future__ import annotations

import math
import random
import struct
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import grpc
import pytest
from google.cloud import kms

from keycheck.lab.crm.contacts import SENSITIVE, Store, record_context
from keycheck.lab.crm.crm import Crm
from keycheck.lab.crm.envelope import IntegrityFailure, KeyUnavailable, Withheld
from keycheck.lab.crm.gcp_aead import KmsAead, gcp_client
from keycheck.lab.crm.gcp_envelope import GcpEnvelope
from keycheck.lab.crm.service import KEY_UNAVAILABLE, Service
from keycheck.lab.crm.traffic import contact, work
from keycheck.lab.gcp.cloud import GcpCloud

KEY = "projects/acme-keys/locations/europe-west1/keyRings/crm/cryptoKeys/contacts"
VENDOR = "serviceAccount:crm-app@vendor-prod.iam.gserviceaccount.com"
ADMIN = "user:key-admin@acme.example"
CONTEXT = record_context("acme", "c-000001", "name")
PLAINTEXT = b"Ada Adriaens"


class Ticking:
    """Seconds that grow when told to."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def cloud() -> Iterator[GcpCloud]:
    held = GcpCloud(clock=lambda: datetime.now(UTC))
    held.directory.project("acme-keys", held.directory.organization())
    held.kms.seed_key(KEY)
    held.iam.bind(KEY, "roles/cloudkms.cryptoKeyEncrypterDecrypter", VENDOR)
    held.iam.bind(KEY, "roles/cloudkms.admin", ADMIN)
    with held:
        yield held


@pytest.fixture
def client(cloud: GcpCloud) -> kms.KeyManagementServiceClient:
    return gcp_client(endpoint=cloud.address, token=lambda: cloud.token(VENDOR))


@pytest.fixture
def admin(cloud: GcpCloud) -> kms.KeyManagementServiceClient:
    return gcp_client(endpoint=cloud.address, token=cloud.token(ADMIN))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    held = Store(tmp_path / "crm.sqlite")
    yield held
    held.close()


def switch(admin: kms.KeyManagementServiceClient, state: str, version: int = 1) -> None:
    name = f"{KEY}/cryptoKeyVersions/{version}"
    wanted = kms.CryptoKeyVersion(name=name, state=kms.CryptoKeyVersion.CryptoKeyVersionState[state])
    admin.update_crypto_key_version(crypto_key_version=wanted, update_mask={"paths": ["state"]})


def wrapped(sealed: bytes) -> bytes:
    (length,) = struct.unpack(">I", sealed[:4])
    return sealed[4 : 4 + length]


@pytest.mark.parametrize("max_age", [0.0, 60.0])
def test_contacts_go_in_and_come_out(client: kms.KeyManagementServiceClient, store: Store, max_age: float) -> None:
    crm = Crm(GcpEnvelope(client, KEY, max_age=max_age), store)
    assert work(crm, 5).read == 5
    store.close()
    held = b"".join(path.read_bytes() for path in store.path.parent.iterdir())
    for number in range(5):
        for name in SENSITIVE:
            value: str = getattr(contact(number), name)
            assert not value or value.encode() not in held


@pytest.mark.parametrize("max_age", [0.0, 60.0])
def test_only_its_own_context_opens_a_value(client: kms.KeyManagementServiceClient, max_age: float) -> None:
    envelope = GcpEnvelope(client, KEY, max_age=max_age)
    sealed = envelope.seal(PLAINTEXT, CONTEXT)
    assert envelope.open(sealed, dict(reversed(CONTEXT.items()))) == PLAINTEXT
    others = [{**CONTEXT, name: "other"} for name in CONTEXT] + [{}, {**CONTEXT, "more": ""}]
    for other in others:
        with pytest.raises(IntegrityFailure):
            envelope.open(sealed, other)


def test_every_changed_byte_is_noticed(client: kms.KeyManagementServiceClient) -> None:
    envelope = GcpEnvelope(client, KEY, max_age=math.inf)
    sealed = envelope.seal(PLAINTEXT, CONTEXT)
    changed = [sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :] for at in range(len(sealed))]
    cut = [sealed[:at] for at in range(0, len(sealed), 3)]
    noise = random.Random(4)
    for wrong in (*changed, *cut, sealed + b"\0", *(noise.randbytes(120) for _ in range(20))):
        with pytest.raises(IntegrityFailure):
            envelope.open(wrong, CONTEXT)


def test_a_disabled_key_withholds_reads_and_writes_until_it_is_enabled(
    client: kms.KeyManagementServiceClient, admin: kms.KeyManagementServiceClient, store: Store
) -> None:
    crm = Crm(GcpEnvelope(client, KEY), store)
    work(crm, 1)
    service = Service(crm, {"token": "acme"})
    switch(admin, "DISABLED")
    answer = service.respond("GET", "/v1/contacts/c-000000", b"", "Bearer token")
    assert (answer.status, answer.body) == (503, KEY_UNAVAILABLE)
    with pytest.raises(KeyUnavailable) as refused:
        crm.put(contact(1))
    assert refused.value.why is Withheld.DISABLED
    switch(admin, "ENABLED")
    assert crm.get("acme", "c-000000") == contact(0)


def test_a_cached_data_key_reads_on_until_its_age(
    client: kms.KeyManagementServiceClient, admin: kms.KeyManagementServiceClient
) -> None:
    clock = Ticking()
    envelope = GcpEnvelope(client, KEY, max_age=300.0, clock=clock)
    warm, cold = envelope.seal(PLAINTEXT, CONTEXT), GcpEnvelope(client, KEY).seal(PLAINTEXT, CONTEXT)
    assert envelope.open(warm, CONTEXT) == PLAINTEXT
    switch(admin, "DISABLED")
    clock.now += 299.0
    assert envelope.open(warm, CONTEXT) == PLAINTEXT
    assert envelope.seal(PLAINTEXT, CONTEXT)
    with pytest.raises(KeyUnavailable):
        envelope.open(cold, CONTEXT)
    clock.now += 2.0
    with pytest.raises(KeyUnavailable):
        envelope.open(warm, CONTEXT)
    with pytest.raises(KeyUnavailable):
        envelope.seal(PLAINTEXT, CONTEXT)
    switch(admin, "ENABLED")
    assert envelope.open(warm, CONTEXT) == PLAINTEXT


def test_use_does_not_make_a_cached_key_younger(
    client: kms.KeyManagementServiceClient, admin: kms.KeyManagementServiceClient
) -> None:
    clock = Ticking()
    envelope = GcpEnvelope(client, KEY, max_age=10.0, clock=clock)
    sealed = envelope.seal(PLAINTEXT, CONTEXT)
    envelope.open(sealed, CONTEXT)
    switch(admin, "DISABLED")
    for _ in range(10):
        clock.now += 1.0
        assert envelope.open(sealed, CONTEXT) == PLAINTEXT
    clock.now += 1.0
    with pytest.raises(KeyUnavailable):
        envelope.open(sealed, CONTEXT)


def test_data_keys_are_shared_only_with_a_cache_and_only_so_often(client: kms.KeyManagementServiceClient) -> None:
    alone = GcpEnvelope(client, KEY)
    assert len({wrapped(alone.seal(PLAINTEXT, CONTEXT)) for _ in range(4)}) == 4
    sharing = GcpEnvelope(client, KEY, max_age=60.0, max_messages=3)
    sealed = [sharing.seal(PLAINTEXT, CONTEXT) for _ in range(7)]
    assert [wrapped(each) for each in sealed] == [wrapped(sealed[at]) for at in (0, 0, 0, 3, 3, 3, 6)]
    assert len(set(sealed)) == 7
    assert all(alone.open(each, CONTEXT) == PLAINTEXT for each in sealed)  # Tink's own class reads them


def test_a_full_cache_forgets_the_oldest(
    client: kms.KeyManagementServiceClient, admin: kms.KeyManagementServiceClient
) -> None:
    envelope = GcpEnvelope(client, KEY, max_age=math.inf, max_messages=1, capacity=2)
    sealed = [envelope.seal(PLAINTEXT, CONTEXT) for _ in range(3)]
    for each in sealed:
        envelope.open(each, CONTEXT)
    switch(admin, "DISABLED")
    assert envelope.open(sealed[1], CONTEXT) == envelope.open(sealed[2], CONTEXT) == PLAINTEXT
    with pytest.raises(KeyUnavailable):
        envelope.open(sealed[0], CONTEXT)


def test_after_rotation_old_values_open_and_new_ones_use_the_new_version(
    client: kms.KeyManagementServiceClient, admin: kms.KeyManagementServiceClient
) -> None:
    envelope = GcpEnvelope(client, KEY)
    old = envelope.seal(PLAINTEXT, CONTEXT)
    made = admin.create_crypto_key_version(parent=KEY, crypto_key_version=kms.CryptoKeyVersion())
    admin.update_crypto_key_primary_version(name=KEY, crypto_key_version_id=made.name.rpartition("/")[2])
    new = envelope.seal(PLAINTEXT, CONTEXT)
    assert envelope.open(old, CONTEXT) == envelope.open(new, CONTEXT) == PLAINTEXT
    switch(admin, "DISABLED", 1)
    assert envelope.open(new, CONTEXT) == PLAINTEXT
    with pytest.raises(KeyUnavailable):
        envelope.open(old, CONTEXT)


def test_refusals_keep_their_meaning(client: kms.KeyManagementServiceClient, cloud: GcpCloud) -> None:
    envelope = GcpEnvelope(client, KEY, timeout=0.5)
    sealed = envelope.seal(PLAINTEXT, CONTEXT)
    cloud.iam.unbind(KEY, "roles/cloudkms.cryptoKeyEncrypterDecrypter", VENDOR)
    assert why(envelope, sealed) is Withheld.DENIED
    cloud.iam.bind(KEY, "roles/cloudkms.cryptoKeyEncrypterDecrypter", VENDOR)
    cloud.faults.throttle("Decrypt")
    assert why(envelope, sealed) is Withheld.THROTTLED
    cloud.faults.fail("Decrypt", grpc.StatusCode.UNAVAILABLE)
    assert why(envelope, sealed) is Withheld.UNREACHABLE
    cloud.faults.clear()
    cloud.faults.garbage.add("Decrypt")
    assert why(envelope, sealed) is Withheld.OTHER
    cloud.faults.clear()
    stranger = GcpEnvelope(gcp_client(endpoint=cloud.address, token="no-such-token"), KEY)
    assert why(stranger, sealed) is Withheld.DENIED
    assert envelope.open(sealed, CONTEXT) == PLAINTEXT
    cloud.close()
    assert why(envelope, sealed) is Withheld.UNREACHABLE


def test_a_short_outage_is_ridden_out(client: kms.KeyManagementServiceClient, cloud: GcpCloud) -> None:
    envelope = GcpEnvelope(client, KEY)
    sealed = envelope.seal(PLAINTEXT, CONTEXT)
    cloud.faults.fail("Decrypt", grpc.StatusCode.UNAVAILABLE, times=1)
    assert envelope.open(sealed, CONTEXT) == PLAINTEXT


def test_cloud_kms_as_an_aead_passes_the_associated_data(client: kms.KeyManagementServiceClient) -> None:
    remote = KmsAead(client, KEY)
    sealed = remote.encrypt(PLAINTEXT, b"bound")
    assert remote.decrypt(sealed, b"bound") == PLAINTEXT
    with pytest.raises(IntegrityFailure):
        remote.decrypt(sealed, b"")


def why(envelope: GcpEnvelope, sealed: bytes) -> Withheld:
    with pytest.raises(KeyUnavailable) as refused:
        envelope.open(sealed, CONTEXT)
    assert "token" not in str(refused.value)
    return refused.value.why


class Corrupted:
    """The real client behind a line that spoils one field of each answer."""

    def __init__(self, client: kms.KeyManagementServiceClient, field: str, value: object) -> None:
        self._client = client
        self._field = field
        self._value = value

    def encrypt(self, **given: object) -> kms.EncryptResponse:
        answer = self._client.encrypt(**given)
        setattr(answer, self._field, self._value)
        return answer

    def decrypt(self, **given: object) -> kms.DecryptResponse:
        answer = self._client.decrypt(**given)
        setattr(answer, self._field, self._value)
        return answer


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("ciphertext", b"changed"),
        ("ciphertext_crc32c", 1),
        ("ciphertext_crc32c", None),
        ("verified_plaintext_crc32c", False),
        ("verified_additional_authenticated_data_crc32c", False),
        ("name", KEY.replace("contacts", "vendors-own") + "/cryptoKeyVersions/1"),
    ],
)
def test_an_answer_changed_on_the_way_seals_nothing(
    client: kms.KeyManagementServiceClient, field: str, value: object
) -> None:
    with pytest.raises(IntegrityFailure):
        GcpEnvelope(Corrupted(client, field, value), KEY).seal(PLAINTEXT, CONTEXT)


@pytest.mark.parametrize(("field", "value"), [("plaintext", bytes(34)), ("plaintext_crc32c", None)])
def test_an_answer_changed_on_the_way_opens_nothing(
    client: kms.KeyManagementServiceClient, field: str, value: object
) -> None:
    sealed = GcpEnvelope(client, KEY).seal(PLAINTEXT, CONTEXT)
    with pytest.raises(IntegrityFailure):
        GcpEnvelope(Corrupted(client, field, value), KEY).open(sealed, CONTEXT)
