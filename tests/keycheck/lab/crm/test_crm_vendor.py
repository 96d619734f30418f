"""Every manner of the practice vendor behaves as its title says, over HTTP, against the lab's clouds."""

from __future__ import annotations

import base64
import configparser
import http.client
import io
import json
import random
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest
from aws_encryption_sdk.internal.formatting.deserialize import deserialize_header
from botocore.exceptions import ClientError
from google.api_core.exceptions import PermissionDenied
from pydantic import TypeAdapter

from keycheck.lab.aws.cloud import AwsCloud
from keycheck.lab.aws.kms.model import Origin
from keycheck.lab.clouds import Clouds
from keycheck.lab.crm.aws_envelope import aws_client
from keycheck.lab.crm.canaries import WITHHELD, Canaries, drill_entry, plant, witnesses
from keycheck.lab.crm.doors import AwsDoor, Doors, GcpDoor
from keycheck.lab.crm.estates import Way, admitted, constant_for_control, lab_doors
from keycheck.lab.crm.gcp_aead import gcp_client
from keycheck.lab.crm.manner import MANNERS, SHORT, Binding, Keeps, Manner, Trouble, manner
from keycheck.lab.crm.vendor import CONSTANT_CONTEXT, Vendor
from keycheck.lab.defects import Choice
from keycheck.lab.errors import LabError
from keycheck.lab.gcp.cloud import GcpCloud
from keycheck.lab.key_sites import (
    APP,
    CANARIES,
    CONTROL,
    G_APP,
    G_SUPPORT,
    HONEST,
    RESTORES,
    SUPPORT,
    USES,
    AwsSite,
    KeyDefect,
    allow,
    clean_keys,
)
from keycheck.model.deployment import Identity, Witness

CUSTOMER, REGION = "111122223333", "eu-central-1"
ADMIN = f"arn:aws:iam::{CUSTOMER}:user/key-admin"
G_KEY = "projects/acme-keys/locations/europe-west1/keyRings/crm/cryptoKeys/contacts"
USE_ROLE = "roles/cloudkms.cryptoKeyEncrypterDecrypter"
READABLE, WITHHELD_, UNAVAILABLE = "readable", "withheld", "unavailable"
SETTLED = SHORT + 0.2
"""Seconds after which the honest vendor's caches are empty."""


@dataclass(frozen=True)
class Cloud:
    """One cloud, as far as these tests need it."""

    doors: Doors
    revoke: Callable[[Vendor, Canaries], None]
    restore: Callable[[], None]
    rotate: Callable[[], None]
    uses: Callable[[], list[tuple[str, Mapping[str, str]]]]
    """Principal and context of every Decrypt that succeeded."""


def policy(*statements: object) -> dict[str, object]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


@pytest.fixture
def aws() -> Iterator[Cloud]:
    with AwsCloud(clock=lambda: datetime.now(UTC)) as cloud:
        mine = policy({"Effect": "Allow", "Action": "kms:*", "Resource": "*"})
        clients = {}
        for principal in (APP.replace("role/", "user/"), SUPPORT.replace("role/", "user/"), ADMIN):
            made = cloud.directory.add_user(principal, policies=(mine,))
            clients[principal] = aws_client(
                endpoint=cloud.url, region=REGION, access_key_id=made.access_key_id, secret=made.secret
            )
        app, support, admin = clients
        honest = (allow("Admin", ADMIN, ("kms:*",)), allow("App", app, USES), allow("Support", support, USES))
        materials = random.Random(1)
        keys = [
            cloud.kms.create(
                CUSTOMER, REGION, origin=Origin.EXTERNAL, material=materials.randbytes(32), policy=policy(*honest)
            )
            for _ in range(2)
        ]

        def revoke(vendor: Vendor, planted: Canaries) -> None:
            context = drill_entry(vendor, planted)["context"]
            assert isinstance(context, list)
            limits = {f"kms:EncryptionContext:{name}": value for name, value in context}
            deny = {
                "Effect": "Deny",
                "Principal": "*",
                "Action": ["kms:Decrypt", "kms:ReEncrypt*", "kms:Encrypt", "kms:GenerateDataKey*"],
                "Resource": "*",
                "Condition": {"StringEquals": limits},
            }
            clients[admin].put_key_policy(KeyId=keys[0].arn, Policy=json.dumps(policy(*honest, deny)))

        def restore() -> None:
            clients[admin].put_key_policy(KeyId=keys[0].arn, Policy=json.dumps(policy(*honest)))

        def rotate() -> None:
            cloud.kms.import_material(keys[0], materials.randbytes(32), new=True)
            clients[admin].rotate_key_on_demand(KeyId=keys[0].arn)

        def uses() -> list[tuple[str, Mapping[str, str]]]:
            events = cloud.ledger.events(CUSTOMER, REGION, datetime.now(UTC))
            return [
                (each.caller.principal, each.parameters.get("encryptionContext", {}))
                for each in events
                if each.name == "Decrypt" and each.error is None and keys[0].arn in each.resources
            ]

        doors = Doors(
            AwsDoor(clients[app], keys[0].arn),
            AwsDoor(clients[app], keys[1].arn),
            AwsDoor(clients[support], keys[0].arn),
        )
        yield Cloud(doors, revoke, restore, rotate, uses)
        for client in clients.values():
            client.close()


@pytest.fixture
def gcp() -> Iterator[Cloud]:
    cloud = GcpCloud(clock=lambda: datetime.now(UTC))
    cloud.directory.project("acme-keys", cloud.directory.organization())
    cloud.kms.seed_key(G_KEY)
    cloud.kms.seed_key(f"{G_KEY}-control")
    for key in (G_KEY, f"{G_KEY}-control"):
        cloud.iam.bind(key, USE_ROLE, G_APP)
    cloud.iam.bind(G_KEY, USE_ROLE, G_SUPPORT)
    cloud.iam.bind(G_KEY, "roles/cloudkms.admin", "user:key-admin@acme.example")
    with cloud:
        app, support = (
            gcp_client(endpoint=cloud.address, token=cloud.token(principal)) for principal in (G_APP, G_SUPPORT)
        )
        admin = gcp_client(endpoint=cloud.address, token=cloud.token("user:key-admin@acme.example"))

        def rotate() -> None:
            made = admin.create_crypto_key_version(parent=G_KEY, crypto_key_version={})
            version = made.name.rpartition("/")[2]
            admin.update_crypto_key_primary_version(name=G_KEY, crypto_key_version_id=version)

        yield Cloud(
            Doors(GcpDoor(app, G_KEY), GcpDoor(app, f"{G_KEY}-control"), GcpDoor(support, G_KEY)),
            lambda _vendor, _planted: cloud.iam.unbind(G_KEY, USE_ROLE, G_APP),
            lambda: cloud.iam.bind(G_KEY, USE_ROLE, G_APP),
            rotate,
            list,
        )


@pytest.fixture(params=["aws", "gcp"])
def cloud(request: pytest.FixtureRequest) -> Cloud:
    found: Cloud = request.getfixturevalue(request.param)
    return found


def fetch(
    vendor: Vendor, path: str, method: str = "GET", body: str | None = None, *, token: Path | None = None
) -> tuple[int, str]:
    place = urlsplit(vendor.url)
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=10)
    connection.request(method, path, body, {"Authorization": (token or vendor.authorization).read_text()})
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, text


class Watch:
    """Reads as the deployment's witnesses do."""

    def __init__(self, vendor: Vendor, planted: Canaries) -> None:
        self._vendor = vendor
        self._witnesses: dict[str, Any] = {str(each["id"]): each for each in witnesses(vendor, planted)}

    def __call__(self, name: str) -> str:
        witness = self._witnesses[f"vendor-{name}"]
        ((_, reference),) = witness["headers"]
        token = self._vendor.home / reference.removeprefix("file:")
        _, text = fetch(self._vendor, str(witness["url"]).removeprefix(self._vendor.url), token=token)
        if str(witness["readable"]) in text:
            return READABLE
        return WITHHELD_ if str(witness["withheld"]) in text else UNAVAILABLE

    def all(self, *names: str) -> dict[str, str]:
        return {name: self(name) for name in names}


PATHS = ("warm", "cold-01", "search", "export", "control")


def after_revocation(vendor: Vendor, planted: Canaries, cloud: Cloud, wait: float = SETTLED) -> dict[str, str]:
    """What every path says once the honest vendor's caches are empty; before, all but the cold one read."""
    watch = Watch(vendor, planted)
    before = watch.all("warm", "search", "export", "control", "neighbour")
    assert set(before.values()) == {READABLE}
    cloud.revoke(vendor, planted)
    time.sleep(wait)
    return watch.all(*PATHS)


@pytest.mark.parametrize("id", ["honest", "no-cache", "honest-pool"])
def test_the_honest_vendor_withholds_every_path_and_recovers(cloud: Cloud, tmp_path: Path, id: str) -> None:
    with Vendor(tmp_path, manner(id), cloud.doors) as vendor:
        planted = plant(vendor, cold=2)
        found = after_revocation(vendor, planted, cloud)
        assert found == {**dict.fromkeys(PATHS, WITHHELD_), "control": READABLE}
        cloud.restore()
        watch = Watch(vendor, planted)
        assert set(watch.all(*PATHS, "cold-02", "neighbour").values()) == {READABLE}


def test_a_scoped_deny_leaves_the_neighbour(aws: Cloud, tmp_path: Path) -> None:
    with Vendor(tmp_path, manner("no-cache"), aws.doors) as vendor:
        planted = plant(vendor, cold=1)
        aws.revoke(vendor, planted)
        assert Watch(vendor, planted).all("warm", "neighbour") == {"warm": WITHHELD_, "neighbour": READABLE}


@pytest.mark.parametrize(
    ("id", "readable"),
    [
        ("endless-cache", {"warm", "search", "export"}),
        ("long-cache", {"warm", "search", "export"}),
        ("plaintext-copy", {"warm", "cold-01", "search", "export"}),
        ("own-key-fallback", {"warm", "cold-01", "search", "export"}),
        ("undeclared-principal", {"warm", "cold-01", "search", "export"}),
        ("hard-coded-canary", {"warm", "cold-01", "search", "export"}),
        ("warm-fails-open", {"warm", "search", "export"}),
        ("search-serves", {"search"}),
        ("export-serves", {"export"}),
    ],
)
def test_what_goes_on_serving(cloud: Cloud, tmp_path: Path, id: str, readable: set[str]) -> None:
    plan = manner(id)
    if max(plan.cache_ages) > SHORT:
        plan = replace(plan, cache_ages=(max(60.0, *plan.cache_ages),))  # also on a slow machine
    with Vendor(tmp_path, plan, cloud.doors) as vendor:
        found = after_revocation(vendor, plant(vendor, cold=1), cloud)
    assert {name for name, seen in found.items() if seen == READABLE} == readable | {"control"}
    assert {seen for name, seen in found.items() if name not in {*readable, "control"}} <= {WITHHELD_}


def test_a_long_cache_ends(aws: Cloud, tmp_path: Path) -> None:
    plan = Manner("short-enough", "for this test", cache_ages=(1.0,))
    with Vendor(tmp_path, plan, aws.doors) as vendor:
        planted = plant(vendor, cold=0)
        watch = Watch(vendor, planted)
        begun = time.monotonic()
        aws.revoke(vendor, planted)
        last = 0.0
        while time.monotonic() - begun < 1.6:
            if watch("warm") == READABLE:
                last = time.monotonic() - begun
            time.sleep(0.02)
        assert 0.2 < last < 1.5
        assert watch("warm") == WITHHELD_


@pytest.mark.parametrize("at_random", [False, True])
def test_one_pod_of_a_pool_reads_on(cloud: Cloud, tmp_path: Path, at_random: bool) -> None:
    plan = Manner("pool", "for this test", cache_ages=(SHORT, SHORT, SHORT, 60.0), at_random=at_random)
    with Vendor(tmp_path, plan, cloud.doors, choice=random.Random(7)) as vendor:
        planted = plant(vendor, cold=1)
        watch = Watch(vendor, planted)
        for _ in range(40):
            assert watch("warm") == READABLE
        cloud.revoke(vendor, planted)
        time.sleep(SETTLED)
        seen = [watch("warm") for _ in range(40)]
        assert set(seen) == {READABLE, WITHHELD_}
        assert at_random or seen.count(READABLE) == 10
        assert watch("cold-01") == WITHHELD_


@pytest.mark.parametrize("id", ["never-recovers", "recovers-late"])
def test_a_breaker_stays_open_for_its_record_alone(aws: Cloud, tmp_path: Path, id: str) -> None:
    plan = manner(id)
    with Vendor(tmp_path, replace(plan, broken_for=max(60.0, plan.broken_for)), aws.doors) as vendor:
        planted = plant(vendor, cold=2)
        found = after_revocation(vendor, planted, aws)
        assert (found["warm"], found["control"]) == (WITHHELD_, READABLE)
        aws.restore()
        watch = Watch(vendor, planted)
        assert watch.all("warm", "cold-02", "neighbour", "control") == {
            "warm": WITHHELD_,
            "cold-02": READABLE,
            "neighbour": READABLE,
            "control": READABLE,
        }


def test_a_breaker_closes_after_its_time(gcp: Cloud, tmp_path: Path) -> None:
    plan = Manner("breaker", "for this test", cache_ages=(0.0,), broken_for=30.0)
    now = [0.0]
    with Vendor(tmp_path, plan, gcp.doors, clock=lambda: now[0]) as vendor:
        planted = plant(vendor, cold=0)
        watch = Watch(vendor, planted)
        gcp.revoke(vendor, planted)
        assert watch("warm") == WITHHELD_
        gcp.restore()
        now[0] = 29.0
        assert watch("warm") == WITHHELD_
        now[0] = 31.0
        assert watch("warm") == READABLE


@pytest.mark.parametrize("id", ["outage", "maintenance", "maintenance-ok"])
def test_trouble_at_the_loss_is_everywhere_and_is_no_revocation(cloud: Cloud, tmp_path: Path, id: str) -> None:
    with Vendor(tmp_path, manner(id), cloud.doors) as vendor:
        found = after_revocation(vendor, plant(vendor, cold=1), cloud)
    assert set(found.values()) == {UNAVAILABLE}


def test_undeclared_words_are_no_revocation(cloud: Cloud, tmp_path: Path) -> None:
    with Vendor(tmp_path, manner("other-words"), cloud.doors) as vendor:
        found = after_revocation(vendor, plant(vendor, cold=1), cloud)
    assert found == {**dict.fromkeys(PATHS, UNAVAILABLE), "control": READABLE}


@pytest.mark.parametrize("trouble", [each for each in Trouble if each is not Trouble.NONE])
def test_trouble_is_switched_from_outside(aws: Cloud, tmp_path: Path, trouble: Trouble) -> None:
    with Vendor(tmp_path, manner("honest"), aws.doors) as vendor:
        watch = Watch(vendor, plant(vendor, cold=1))
        vendor.switch(trouble)
        assert set(watch.all(*PATHS).values()) == {UNAVAILABLE}
        vendor.switch(Trouble.NONE)
        assert set(watch.all(*PATHS).values()) == {READABLE}


def test_the_log_shows_each_canarys_context_and_the_declared_principal(aws: Cloud, tmp_path: Path) -> None:
    with Vendor(tmp_path, manner("no-cache"), aws.doors) as vendor:
        planted = plant(vendor, cold=2)
        assert {principal for principal, _ in aws.uses()} == {APP.replace("role/", "user/")}
        shown = [{**context} for _, context in aws.uses()]
        fields = {context.pop("field") for context in shown}
        assert len(fields) == 5
        assert all(context == planted.warm.context for context in shown)  # the cold ones were never read
        assert {"tenant": planted.tenant, "record": planted.warm.id} == planted.warm.context


def test_without_a_context_a_deny_on_it_hits_nobody(aws: Cloud, tmp_path: Path) -> None:
    with Vendor(tmp_path, manner("no-context"), aws.doors) as vendor:
        planted = plant(vendor, cold=1)
        assert planted.warm.context == {}
        assert set(after_revocation(vendor, planted, aws).values()) == {READABLE}
        assert [context for _, context in aws.uses() if context] == []


def test_a_shared_context_hits_the_neighbour(aws: Cloud, tmp_path: Path) -> None:
    with Vendor(tmp_path, manner("shared-context"), aws.doors) as vendor:
        planted = plant(vendor, cold=1)
        assert planted.warm.context == planted.neighbour.context == {"purpose": "contacts"}
        found = after_revocation(vendor, planted, aws)
        assert (found["warm"], found["control"]) == (WITHHELD_, READABLE)
        assert Watch(vendor, planted)("neighbour") == WITHHELD_


def test_the_hard_coded_canary_never_asks_the_key_service(aws: Cloud, tmp_path: Path) -> None:
    with Vendor(tmp_path, manner("hard-coded-canary"), aws.doors) as vendor:
        planted = plant(vendor, cold=1)
        watch = Watch(vendor, planted)
        assert set(watch.all(*PATHS).values()) == {READABLE}
        assert [context for _, context in aws.uses() if context.get("record", "").startswith(CANARIES)] == []


def test_the_undeclared_principal_shows_in_the_log(aws: Cloud, tmp_path: Path) -> None:
    with Vendor(tmp_path, manner("undeclared-principal"), aws.doors) as vendor:
        planted = plant(vendor, cold=1)
        assert {principal for principal, _ in aws.uses()} == {APP.replace("role/", "user/")}
        assert after_revocation(vendor, planted, aws)["cold-01"] == READABLE
        assert (SUPPORT.replace("role/", "user/"), {"purpose": "support"}) in aws.uses()


def test_only_the_fallback_goes_on_writing(cloud: Cloud, tmp_path: Path) -> None:
    body = json.dumps({"name": "New"})
    for id, expected in (("honest", 503), ("own-key-fallback", 201)):
        home = tmp_path / id
        home.mkdir()
        with Vendor(home, manner(id), cloud.doors) as vendor:
            planted = plant(vendor, cold=0)
            cloud.revoke(vendor, planted)
            time.sleep(SETTLED)
            status, text = fetch(vendor, f"/v1/contacts/{planted.warm.id}", "PUT", body, token=planted.authorization)
            assert (status, WITHHELD in text) == (expected, expected == 503)
            cloud.restore()


def wrapped(vendor: Vendor, planted: Canaries, id: str) -> bytes:
    """The wrapped data key of the field `notes`, as the export of stored rows shows it."""
    _, text = fetch(vendor, "/v1/export", token=planted.authorization)
    (row,) = [line for line in map(json.loads, text.splitlines()) if line["id"] == id]
    sealed = base64.b64decode(row["notes"])
    if sealed[0] == 2:
        header, _ = deserialize_header(io.BytesIO(sealed))
        return bytes(next(iter(header.encrypted_data_keys)).encrypted_data_key)
    return sealed[4 : 4 + int.from_bytes(sealed[:4], "big")]


@pytest.mark.parametrize(("id", "reused"), [("honest", False), ("old-material", True)])
def test_after_rotation_only_one_vendor_writes_under_the_old_data_key(
    cloud: Cloud, tmp_path: Path, id: str, reused: bool
) -> None:
    with Vendor(tmp_path, manner(id), cloud.doors) as vendor:
        before = plant(vendor, cold=0)
        cloud.rotate()
        time.sleep(SETTLED)
        after = plant(vendor, cold=0)
        assert Watch(vendor, before)("warm") == Watch(vendor, after)("warm") == READABLE
        assert (wrapped(vendor, before, before.warm.id) == wrapped(vendor, after, after.warm.id)) is reused


def test_canaries_are_unique_and_sealed_and_cold_ones_are_not_shared(cloud: Cloud, tmp_path: Path) -> None:
    with Vendor(tmp_path, manner("honest"), cloud.doors) as vendor:
        both = [plant(vendor, cold=3) for _ in range(2)]
        planted = [each for one in both for each in one.all]
        assert len({each.value for each in planted}) == len({each.id for each in planted}) == 8
        assert len({wrapped(vendor, one, each.id) for one in both for each in one.all}) == 8
    held = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert not any(each.value.encode() in held for each in planted)


def test_the_plaintext_copy_is_in_the_clear(aws: Cloud, tmp_path: Path) -> None:
    with Vendor(tmp_path, manner("plaintext-copy"), aws.doors) as vendor:
        planted = plant(vendor, cold=0)
    assert planted.warm.value.encode() in (tmp_path / "availability.sqlite").read_bytes()


def test_witnesses_are_entries_of_a_deployment_and_hold_no_token(aws: Cloud, tmp_path: Path) -> None:
    with Vendor(tmp_path, manner("honest"), aws.doors) as vendor:
        entries = witnesses(vendor, plant(vendor, cold=3))
        token = vendor.authorization.read_text().removeprefix("Bearer ")
        assert vendor.authorization.stat().st_mode & 0o077 == 0
        assert fetch(vendor, "/v1/status-record")[0] == 200
        vendor.authorization.write_text("Bearer wrong")
        assert fetch(vendor, "/v1/status-record")[0] == 401
        assert token not in json.dumps(entries) + repr(vendor)
        for entry in entries:
            assert str(entry["url"]).startswith(vendor.url)
            TypeAdapter(Witness).validate_python(entry)
    assert [entry["id"] for entry in entries] == [
        *(f"vendor-{name}" for name in ("warm", "cold-01", "cold-02", "cold-03")),
        *(f"vendor-{name}" for name in ("search", "export", "neighbour", "control")),
    ]


def test_the_whole_export_and_a_search_of_nothing(aws: Cloud, tmp_path: Path) -> None:
    with Vendor(tmp_path, manner("honest"), aws.doors) as vendor:
        planted = plant(vendor, cold=1)
        mine = planted.authorization
        for token, ids in ((None, ["c-000000", "c-000001"]), (mine, [each.id for each in planted.all])):
            status, text = fetch(vendor, "/v1/export?format=contacts", token=token)
            assert (status, [json.loads(line)["id"] for line in text.splitlines()]) == (200, ids)
        assert fetch(vendor, f"/v1/search?q={planted.warm.email}") == (200, '{"hits":[]}\n')  # another's workspace
        assert planted.warm.value in fetch(vendor, f"/v1/search?q={planted.warm.email}", token=mine)[1]
        assert fetch(vendor, "/v1/search?q=nobody") == (200, '{"hits":[]}\n')
        assert fetch(vendor, "/v1/search")[0] == 400
        fetch(vendor, f"/v1/contacts/{planted.warm.id}", "DELETE", token=mine)
        assert fetch(vendor, f"/v1/search?q={planted.warm.email}", token=mine) == (200, '{"hits":[]}\n')


def test_a_plan_that_needs_another_door_says_so(aws: Cloud, tmp_path: Path) -> None:
    doors = Doors(aws.doors.main, aws.doors.control)
    with pytest.raises(LabError, match="second way"), Vendor(tmp_path, manner("undeclared-principal"), doors):
        pass


def test_the_table_has_every_behaviour_once() -> None:
    assert len({each.id for each in MANNERS}) == len(MANNERS)
    assert {each.keeps for each in MANNERS} == set(Keeps)
    assert {each.binding for each in MANNERS} == set(Binding)


def client_of(home: Path, role: str, arn: str):
    """A KMS client of one of the deployment's identities, as its configuration file says."""
    config = configparser.ConfigParser()
    config.read(home / "aws.config")
    operator = config["profile operator"]
    url = config["services lab"]["kms"].rpartition("= ")[2].strip()
    session = boto3.Session(operator["aws_access_key_id"], operator["aws_secret_access_key"], region_name=REGION)
    given = session.client("sts", endpoint_url=url).assume_role(
        RoleArn=role, RoleSessionName="drill", ExternalId=(home / "inspector-external-id").read_text()
    )["Credentials"]
    return aws_client(
        endpoint=url,
        region=arn.split(":")[3],
        access_key_id=given["AccessKeyId"],
        secret=given["SecretAccessKey"],
        session_token=given["SessionToken"],
    )


@pytest.mark.parametrize("way", list(Way))
def test_the_vendor_and_the_identities_of_a_drill_in_the_labs_own_clouds(tmp_path: Path, way: Way) -> None:
    at = {"contacts", "contacts-g"}
    defects = [
        Choice(KeyDefect("x", "x", "", frozenset(), lambda site: admitted(site, way), each, False), each) for each in at
    ]
    clouds = Clouds(tmp_path, clean_keys(), defects, lambda: datetime.now(UTC))
    try:
        identities = {str(each["id"]): each for each in clouds.identities}
        for each in identities.values():
            TypeAdapter(Identity).validate_python(each)
        for key in clouds.keys:
            bound = key.entry["identities"]
            assert isinstance(bound, dict)
            assert {"inspect", "log", "drill", "control", "restore"} == set(bound)
            assert set(bound.values()) <= set(identities)
        _aws_identities(tmp_path, clouds, {id: str(each.get("role_arn")) for id, each in identities.items()})
        _gcp_identities(clouds)
        for name, control in (("contacts", "archive"), ("contacts-g", "notes-g")):
            home = tmp_path / name
            home.mkdir()
            with Vendor(home, manner("undeclared-principal"), lab_doors(clouds, name, control)) as vendor:
                planted = plant(vendor, cold=1)
                if name == "contacts-g":
                    (key,) = [each for each in clouds.keys if each.id == name]
                    assert key.canary is not None
                    clouds.gcp.cloud.iam.unbind(key.canary, USE_ROLE, G_APP)
                assert set(Watch(vendor, planted).all(*PATHS).values()) == {READABLE}
    finally:
        clouds.close()


def _aws_identities(home: Path, clouds: Clouds, roles: Mapping[str, str]) -> None:
    arn = clouds.aws.arns["contacts"]
    drill, control, restore = (client_of(home, roles[each], arn) for each in ("drill", "control", "restore"))
    canary = {"tenant": "acme", "record": f"{CANARIES}1", "field": "notes"}
    assert roles["control"] == CONTROL
    control.encrypt(KeyId=arn, Plaintext=b"x", EncryptionContext={"tenant": f"{CANARIES}1"})
    sealed = control.encrypt(KeyId=arn, Plaintext=b"x", EncryptionContext=canary)["CiphertextBlob"]
    assert control.decrypt(KeyId=arn, CiphertextBlob=sealed, EncryptionContext=canary)["Plaintext"] == b"x"
    text = drill.get_key_policy(KeyId=arn)["Policy"]
    for putting in (drill, restore):
        putting.put_key_policy(KeyId=arn, Policy=text)
    drill.disable_key(KeyId=arn)
    restore.enable_key(KeyId=arn)
    assert restore.describe_key(KeyId=arn)["KeyMetadata"]["KeyState"] == "Enabled"
    assert "kms:DisableKey" not in RESTORES
    for refused in (
        lambda: control.encrypt(KeyId=arn, Plaintext=b"x", EncryptionContext={**canary, "record": "c-000000"}),
        lambda: control.encrypt(KeyId=arn, Plaintext=b"x"),
        lambda: control.encrypt(KeyId=arn, Plaintext=b"x", EncryptionContext={"tenant": "acme"}),
        lambda: control.put_key_policy(KeyId=arn, Policy=text),
        lambda: drill.decrypt(KeyId=arn, CiphertextBlob=sealed, EncryptionContext=canary),
        lambda: restore.decrypt(KeyId=arn, CiphertextBlob=sealed, EncryptionContext=canary),
        lambda: restore.disable_key(KeyId=arn),
        lambda: drill.schedule_key_deletion(KeyId=arn),
    ):
        with pytest.raises(ClientError) as error:
            refused()
        assert error.value.response["Error"]["Code"] == "AccessDeniedException"


def test_the_control_principal_is_let_into_the_constant_context_only_where_planned(tmp_path: Path) -> None:
    plain = AwsSite("plain", REGION, statements=HONEST, uses=())
    widened = constant_for_control(replace(plain, id="widened"))
    clouds = Clouds(tmp_path, (plain, widened), (), lambda: datetime.now(UTC))
    try:
        client = client_of(tmp_path, CONTROL, clouds.aws.arns["plain"])
        client.encrypt(KeyId=clouds.aws.arns["widened"], Plaintext=b"x", EncryptionContext=CONSTANT_CONTEXT)
        with pytest.raises(ClientError):
            client.encrypt(KeyId=clouds.aws.arns["plain"], Plaintext=b"x", EncryptionContext=CONSTANT_CONTEXT)
    finally:
        clouds.close()


def _gcp_identities(clouds: Clouds) -> None:
    (key,) = [each.resource for each in clouds.keys if each.id == "contacts-g"]
    cloud = clouds.gcp.cloud
    drill, control, restore = (
        gcp_client(
            endpoint=cloud.address, token=cloud.token(f"serviceAccount:key-{each}@acme-audit.iam.gserviceaccount.com")
        )
        for each in ("drill", "control", "restore")
    )
    sealed = control.encrypt(name=key, plaintext=b"x").ciphertext
    assert control.decrypt(name=key, ciphertext=sealed).plaintext == b"x"
    for each in (drill, restore):
        held = each.get_iam_policy({"resource": key, "options": {"requested_policy_version": 3}})
        each.set_iam_policy({"resource": key, "policy": held})
        with pytest.raises(PermissionDenied):
            each.decrypt(name=key, ciphertext=sealed)
    with pytest.raises(PermissionDenied):
        control.get_iam_policy({"resource": key})
