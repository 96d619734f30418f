from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import grpc
import pytest
from google.api_core import exceptions
from google.cloud import kms_v1
from google.cloud.kms_v1.services.key_management_service.transports import KeyManagementServiceGrpcTransport
from google.protobuf import field_mask_pb2

from keycheck.lab.gcp.calls import REASON_HEADER
from keycheck.lab.gcp.crc import crc32c

if TYPE_CHECKING:
    from conftest import Estate

RING = "projects/acme/locations/europe-west3/keyRings/r"
KEY = f"{RING}/cryptoKeys/k"
STATES = kms_v1.CryptoKeyVersion.CryptoKeyVersionState
V1 = f"{KEY}/cryptoKeyVersions/1"


def switch(client: kms_v1.KeyManagementServiceClient, name: str, state: str) -> kms_v1.CryptoKeyVersion:
    return client.update_crypto_key_version(
        crypto_key_version={"name": name, "state": state}, update_mask=field_mask_pb2.FieldMask(paths=["state"])
    )


def test_crc32c_is_castagnoli() -> None:
    assert crc32c(b"123456789") == 0xE3069283


def test_encrypts_and_decrypts_with_checksums_both_ways(estate: Estate) -> None:
    client = estate.kms()
    request = {"name": KEY, "plaintext": b"data key", "additional_authenticated_data": b"tenant"}
    plain = client.encrypt(request=request)
    assert not plain.verified_plaintext_crc32c
    answer = client.encrypt(
        request={
            **request,
            "plaintext_crc32c": crc32c(b"data key"),
            "additional_authenticated_data_crc32c": crc32c(b"tenant"),
        }
    )
    assert answer.name == V1
    assert answer.verified_plaintext_crc32c
    assert answer.verified_additional_authenticated_data_crc32c
    assert answer.ciphertext_crc32c == crc32c(answer.ciphertext)
    back = client.decrypt(
        request={"name": KEY, "ciphertext": answer.ciphertext, "additional_authenticated_data": b"tenant"}
    )
    assert (back.plaintext, back.plaintext_crc32c, back.used_primary) == (b"data key", crc32c(b"data key"), True)
    with pytest.raises(exceptions.InvalidArgument, match="plaintext_crc32c did not match"):
        client.encrypt(request={**request, "plaintext_crc32c": 1})
    with pytest.raises(exceptions.InvalidArgument, match="ciphertext is invalid"):
        client.decrypt(request={"name": KEY, "ciphertext": answer.ciphertext})
    other = estate.cloud.kms.seed_key(f"{RING}/cryptoKeys/other")
    with pytest.raises(exceptions.InvalidArgument, match="Decryption failed"):
        client.decrypt(
            request={"name": other, "ciphertext": answer.ciphertext, "additional_authenticated_data": b"tenant"}
        )
    with pytest.raises(exceptions.InvalidArgument, match="verify that 'name'"):
        client.decrypt(request={"name": KEY, "ciphertext": b"no ciphertext at all"})


def test_rings_and_keys_are_made_listed_in_pages_and_exist_once(estate: Estate) -> None:
    client = estate.kms()
    parent = "projects/acme/locations/global"
    ring = client.create_key_ring(parent=parent, key_ring_id="g", key_ring={})
    made = [
        client.create_crypto_key(
            parent=ring.name, crypto_key_id=f"k{n}", crypto_key={"purpose": "ENCRYPT_DECRYPT"}
        ).name
        for n in range(5)
    ]
    with pytest.raises(exceptions.AlreadyExists):
        client.create_key_ring(parent=parent, key_ring_id="g", key_ring={})
    pager = client.list_crypto_keys(request={"parent": ring.name, "page_size": 2})
    assert [len(page.crypto_keys) for page in pager.pages] == [2, 2, 1]
    assert [key.name for key in client.list_crypto_keys(request={"parent": ring.name, "page_size": 2})] == made
    with pytest.raises(exceptions.NotFound, match=r"CryptoKey .* not found"):
        client.get_crypto_key(name=f"{ring.name}/cryptoKeys/none")
    with pytest.raises(exceptions.InvalidArgument):
        client.create_key_ring(parent="projects/acme/locations/atlantis", key_ring_id="g", key_ring={})


@pytest.mark.parametrize(
    "key",
    [
        {},
        {"purpose": "ENCRYPT_DECRYPT", "version_template": {"algorithm": "AES_256_GCM"}},
        {"purpose": "ASYMMETRIC_SIGN"},
        {"purpose": "ENCRYPT_DECRYPT", "destroy_scheduled_duration": {"seconds": 60}},
        {"purpose": "ENCRYPT_DECRYPT", "rotation_period": {"seconds": 86400}},
        {"purpose": "ENCRYPT_DECRYPT", "import_only": True},
        {"purpose": "ENCRYPT_DECRYPT", "version_template": {"protection_level": "EXTERNAL_VPC"}},
    ],
)
def test_keys_that_cannot_be_are_refused(estate: Estate, key: dict[str, object]) -> None:
    with pytest.raises(exceptions.InvalidArgument):
        estate.kms().create_crypto_key(parent=RING, crypto_key_id="bad", crypto_key=key)


def test_a_disabled_version_refuses_in_the_words_of_google(estate: Estate) -> None:
    client = estate.kms()
    ciphertext = client.encrypt(name=KEY, plaintext=b"x").ciphertext
    assert switch(client, V1, "DISABLED").state == STATES.DISABLED
    with pytest.raises(exceptions.FailedPrecondition) as refused:
        client.decrypt(name=KEY, ciphertext=ciphertext)
    assert refused.value.message == f"{V1} is not enabled, current state is: DISABLED."
    assert [each.type for each in refused.value.details[0].violations] == ["KEY_DISABLED"]
    switch(client, V1, "ENABLED")
    assert client.decrypt(name=KEY, ciphertext=ciphertext).plaintext == b"x"


def test_disabling_takes_its_time_and_enabling_does_not(estate: Estate) -> None:
    client = estate.kms()
    ciphertext = client.encrypt(name=KEY, plaintext=b"x").ciphertext
    estate.cloud.faults.disable_lag = timedelta(minutes=3)
    assert switch(client, V1, "DISABLED").state == STATES.DISABLED
    assert client.decrypt(name=KEY, ciphertext=ciphertext).plaintext == b"x"
    estate.pass_time(minutes=3)
    with pytest.raises(exceptions.FailedPrecondition):
        client.decrypt(name=KEY, ciphertext=ciphertext)
    switch(client, V1, "ENABLED")
    assert client.decrypt(name=KEY, ciphertext=ciphertext).plaintext == b"x"


def test_destroying_is_scheduled_and_restoring_takes_two_steps(estate: Estate) -> None:
    client = estate.kms()
    ciphertext = client.encrypt(name=KEY, plaintext=b"x").ciphertext
    gone = client.destroy_crypto_key_version(name=V1)
    assert gone.state == STATES.DESTROY_SCHEDULED
    assert gone.destroy_time - estate.time[0] == timedelta(days=30)
    assert client.restore_crypto_key_version(name=V1).state == STATES.DISABLED
    with pytest.raises(exceptions.FailedPrecondition, match="DISABLED"):
        client.decrypt(name=KEY, ciphertext=ciphertext)
    switch(client, V1, "ENABLED")
    client.destroy_crypto_key_version(name=V1)
    estate.pass_time(days=31)
    assert client.get_crypto_key_version(name=V1).state == STATES.DESTROYED
    with pytest.raises(exceptions.FailedPrecondition):
        client.restore_crypto_key_version(name=V1)
    with pytest.raises(exceptions.FailedPrecondition, match="DESTROYED"):
        client.decrypt(name=KEY, ciphertext=ciphertext)


def test_rotation_by_the_clock_and_by_hand(estate: Estate) -> None:
    client = estate.kms()
    name = estate.cloud.kms.seed_key(f"{RING}/cryptoKeys/rot", rotation_period=timedelta(days=90))
    old = client.encrypt(name=name, plaintext=b"x").ciphertext
    estate.pass_time(days=181)
    key = client.get_crypto_key(name=name)
    assert key.primary.name.endswith("/3")
    assert key.primary.create_time == estate.time[0] - timedelta(days=1)
    assert key.next_rotation_time == estate.time[0] + timedelta(days=89)
    assert client.decrypt(name=name, ciphertext=old).used_primary is False
    fresh = client.create_crypto_key_version(parent=name, crypto_key_version={})
    assert client.get_crypto_key(name=name).primary.name != fresh.name
    moved = client.update_crypto_key_primary_version(name=name, crypto_key_version_id="4")
    assert (moved.primary.name, moved.next_rotation_time) == (fresh.name, key.next_rotation_time)


def test_encryption_may_use_the_old_primary_for_a_while(estate: Estate) -> None:
    client = estate.kms()
    fresh = client.create_crypto_key_version(parent=KEY, crypto_key_version={})
    estate.cloud.faults.primary_lag = timedelta(minutes=1)
    assert client.update_crypto_key_primary_version(name=KEY, crypto_key_version_id="2").primary.name == fresh.name
    assert client.encrypt(name=KEY, plaintext=b"x").name == V1
    estate.pass_time(minutes=1)
    assert client.encrypt(name=KEY, plaintext=b"x").name == fresh.name


def test_hostile_bytes_are_refused_and_the_server_stays_up(estate: Estate) -> None:
    channel = estate.channel()
    service = "/google.cloud.kms.v1.KeyManagementService/"
    for method in (
        "Encrypt",
        "Decrypt",
        "CreateCryptoKey",
        "UpdateCryptoKey",
        "ListCryptoKeys",
        "ImportCryptoKeyVersion",
    ):
        for data in (b"\xff" * 20, b"", b"\x0a\x03abc", b"\x0a\x02\xff\xff"):
            with pytest.raises(grpc.RpcError) as refused:
                channel.unary_unary(service + method)(data)
            assert refused.value.code() in (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.PERMISSION_DENIED)
    assert estate.kms().get_crypto_key(name=KEY).name == KEY


def test_justifications_gate_every_use_and_an_empty_policy_refuses_all(estate: Estate) -> None:
    reasons = ["CUSTOMER_INITIATED_ACCESS"]
    name = estate.cloud.kms.seed_key(f"{RING}/cryptoKeys/kaj", allowed_reasons=reasons)
    ciphertext = estate.kms().encrypt(name=name, plaintext=b"x").ciphertext
    with pytest.raises(exceptions.PermissionDenied, match="THIRD_PARTY_DATA_REQUEST is not allowed"):
        estate.kms(metadata=[(REASON_HEADER, "THIRD_PARTY_DATA_REQUEST")]).decrypt(name=name, ciphertext=ciphertext)
    closed = estate.cloud.kms.seed_key(f"{RING}/cryptoKeys/shut", allowed_reasons=[])
    with pytest.raises(exceptions.PermissionDenied):
        estate.kms().encrypt(name=closed, plaintext=b"x")
    assert "key_access_justifications_policy" in estate.kms().get_crypto_key(name=closed)
    assert "key_access_justifications_policy" not in estate.kms().get_crypto_key(name=KEY)


def test_external_keys_name_where_they_are_and_stop_with_it(estate: Estate) -> None:
    place = "projects/acme/locations/europe-west3"
    connection = estate.cloud.kms.seed_connection(f"{place}/ekmConnections/thales", "ekm.example.com")
    ekm = kms_v1.EkmServiceClient(
        transport=kms_v1.EkmServiceClient.get_transport_class("grpc")(channel=estate.channel())
    )
    assert [each.name for each in ekm.list_ekm_connections(parent=place)] == [connection]
    client = estate.kms()
    key = client.create_crypto_key(
        request={
            "parent": RING,
            "crypto_key_id": "ext",
            "crypto_key": {
                "purpose": "ENCRYPT_DECRYPT",
                "version_template": {"protection_level": "EXTERNAL_VPC"},
                "crypto_key_backend": connection,
            },
            "skip_initial_version_creation": True,
        }
    )
    version = client.create_crypto_key_version(
        parent=key.name,
        crypto_key_version={"external_protection_level_options": {"ekm_connection_key_path": "v0/key"}},
    )
    assert version.protection_level == kms_v1.ProtectionLevel.EXTERNAL_VPC
    client.update_crypto_key_primary_version(name=key.name, crypto_key_version_id="1")
    ciphertext = client.encrypt(name=key.name, plaintext=b"x").ciphertext
    estate.cloud.kms.reachable(version.name, False)
    with pytest.raises(exceptions.FailedPrecondition, match="cannot be reached"):
        client.decrypt(name=key.name, ciphertext=ciphertext)


def test_raw_keys_macs_and_key_pairs_work(estate: Estate) -> None:
    client = estate.kms()
    seed = estate.cloud.kms.seed_key
    raw = (
        seed(f"{RING}/cryptoKeys/raw", purpose="RAW_ENCRYPT_DECRYPT", algorithm="AES_128_GCM") + "/cryptoKeyVersions/1"
    )
    sealed = client.raw_encrypt(request={"name": raw, "plaintext": b"x", "additional_authenticated_data": b"a"})
    opened = {
        "name": raw,
        "ciphertext": sealed.ciphertext,
        "initialization_vector": sealed.initialization_vector,
        "additional_authenticated_data": b"a",
    }
    assert client.raw_decrypt(request=opened).plaintext == b"x"
    with pytest.raises(exceptions.InvalidArgument):
        client.raw_decrypt(request={**opened, "additional_authenticated_data": b"b"})
    mac = seed(f"{RING}/cryptoKeys/mac", purpose="MAC", algorithm="HMAC_SHA256") + "/cryptoKeyVersions/1"
    tag = client.mac_sign(name=mac, data=b"x").mac
    assert client.mac_verify(name=mac, data=b"x", mac=tag).success
    assert not client.mac_verify(name=mac, data=b"y", mac=tag).success
    pair = seed(f"{RING}/cryptoKeys/ec", purpose="ASYMMETRIC_SIGN", algorithm="EC_SIGN_P256_SHA256")
    assert client.asymmetric_sign(name=pair + "/cryptoKeyVersions/1", digest={"sha256": b"d" * 32}).signature
    assert "BEGIN PUBLIC KEY" in client.get_public_key(name=pair + "/cryptoKeyVersions/1").pem
    with pytest.raises(exceptions.FailedPrecondition, match="purpose"):
        client.encrypt(name=pair, plaintext=b"x")
    assert (
        len(client.generate_random_bytes(location=RING.rsplit("/", 2)[0], length_bytes=16, protection_level="HSM").data)
        == 16
    )


def test_locations_tell_what_they_have(estate: Estate) -> None:
    listed = estate.kms().list_locations(request={"name": "projects/acme"}).locations
    ids = {each.location_id for each in listed}
    assert {"global", "europe", "eur4", "europe-west3"} <= ids
    metadata = kms_v1.LocationMetadata.pb(kms_v1.LocationMetadata())
    assert next(each for each in listed if each.location_id == "global").metadata.Unpack(metadata)
    assert not metadata.ekm_available


def test_what_is_not_faked_says_so(estate: Estate) -> None:
    with pytest.raises(exceptions.MethodNotImplemented):
        estate.kms().delete_crypto_key_version(name=V1)


def test_faults_come_and_go(estate: Estate) -> None:
    client, faults = estate.kms(), estate.cloud.faults
    faults.throttle("GetCryptoKey", times=1)
    with pytest.raises(exceptions.ResourceExhausted, match="Quota exceeded"):
        client.get_crypto_key(name=KEY, retry=None)
    assert client.get_crypto_key(name=KEY).name == KEY
    faults.fail("Decrypt", grpc.StatusCode.UNAVAILABLE)
    with pytest.raises(exceptions.ServiceUnavailable):
        client.decrypt(name=KEY, ciphertext=b"", retry=None)
    faults.garbage.add("GetKeyRing")
    with pytest.raises(exceptions.GoogleAPICallError):
        client.get_key_ring(name=RING, retry=None)
    faults.endless.add("ListCryptoKeys")
    pages = client.list_crypto_keys(parent=RING).pages
    assert len([next(iter(pages)) for _ in range(20)]) == 20
    faults.clear()
    assert [key.name for key in client.list_crypto_keys(parent=RING)] == [KEY]


def test_without_or_with_a_stale_token_nobody_is_served(estate: Estate) -> None:
    with grpc.insecure_channel(estate.cloud.address) as channel:
        bare = kms_v1.KeyManagementServiceClient(transport=KeyManagementServiceGrpcTransport(channel=channel))
        with pytest.raises(exceptions.Unauthenticated, match="missing required authentication"):
            bare.get_crypto_key(name=KEY)
    client = estate.kms()
    assert client.get_crypto_key(name=KEY)
    estate.cloud.expire_tokens()
    with pytest.raises(exceptions.Unauthenticated, match="invalid authentication"):
        client.get_crypto_key(name=KEY)


def test_no_material_stands_in_any_repr(estate: Estate) -> None:
    version = estate.cloud.kms.version(V1)
    assert isinstance(version.material, bytes)
    assert version.material.hex() not in repr(version) + repr(estate.cloud.kms.store.keys)
    assert repr(version.material) not in repr(version)
