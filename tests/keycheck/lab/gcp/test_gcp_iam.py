from __future__ import annotations

import base64
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from google.api_core import exceptions
from google.cloud import resourcemanager_v3 as rm
from google.iam.v1 import iam_policy_pb2, policy_pb2

if TYPE_CHECKING:
    from conftest import Estate

APP = "serviceAccount:app@acme.iam.gserviceaccount.com"
RING = "projects/acme/locations/europe-west3/keyRings/r"
KEY = f"{RING}/cryptoKeys/k"
USE = "roles/cloudkms.cryptoKeyEncrypterDecrypter"


def policy(estate: Estate, version: int = 3, resource: str = KEY) -> policy_pb2.Policy:
    options = {"requested_policy_version": version}
    return estate.kms().get_iam_policy(request={"resource": resource, "options": options})


def put(estate: Estate, wanted: policy_pb2.Policy, resource: str = KEY) -> policy_pb2.Policy:
    return estate.kms().set_iam_policy(request={"resource": resource, "policy": wanted})


def may(estate: Estate, who: str = APP) -> bool:
    try:
        return bool(estate.kms(who).encrypt(name=KEY, plaintext=b"x").ciphertext)
    except exceptions.PermissionDenied:
        return False


def test_refusals_are_in_the_words_of_google(estate: Estate) -> None:
    with pytest.raises(exceptions.PermissionDenied) as denied:
        estate.kms(APP).encrypt(name=KEY, plaintext=b"x")
    permission = "cloudkms.cryptoKeyVersions.useToEncrypt"
    assert denied.value.message == f"Permission '{permission}' denied on resource '{KEY}' (or it may not exist)."
    assert denied.value.reason == "IAM_PERMISSION_DENIED"
    assert dict(denied.value.metadata or {}) == {"permission": permission, "resource": KEY}


@pytest.mark.parametrize("level", ["key", "ring", "project", "folder", "organization"])
def test_grants_are_inherited_from_every_level(estate: Estate, level: str) -> None:
    resource = {
        "key": KEY,
        "ring": RING,
        "project": "projects/acme",
        "folder": estate.folder,
        "organization": estate.organization,
    }[level]
    assert not may(estate)
    estate.cloud.iam.bind(resource, USE, APP)
    assert may(estate)
    estate.cloud.iam.unbind(resource, USE, APP)
    assert not may(estate)


@pytest.mark.parametrize("member", ["allUsers", "allAuthenticatedUsers", "group:outer@example.com", APP])
def test_members_of_all_kinds(estate: Estate, member: str) -> None:
    estate.cloud.directory.group("outer@example.com", ["group:inner@example.com"])
    estate.cloud.directory.group("inner@example.com", [APP])
    estate.cloud.iam.bind(KEY, USE, member)
    assert may(estate)


@pytest.mark.parametrize(
    ("role", "granted"),
    [
        ("roles/owner", True),
        ("roles/editor", False),
        ("roles/viewer", False),
        ("roles/cloudkms.admin", False),
        ("roles/cloudkms.cryptoKeyEncrypter", True),
        ("roles/cloudkms.cryptoKeyDecrypter", False),
        ("roles/cloudkms.viewer", False),
        ("projects/acme/roles/custom", True),
        ("roles/unheard.of", False),
    ],
)
def test_roles_grant_what_they_hold(estate: Estate, role: str, granted: bool) -> None:
    estate.cloud.iam.role("projects/acme/roles/custom", ["cloudkms.cryptoKeyVersions.useToEncrypt"])
    estate.cloud.iam.bind("projects/acme", role, APP)
    assert may(estate) is granted


@pytest.mark.parametrize(
    ("expression", "granted"),
    [
        ('request.time < timestamp("2026-11-22T12:00:01Z")', True),
        ('request.time < timestamp("2026-11-22T12:00:00Z")', False),
        ('request.time >= timestamp("2026-11-22T12:00:00Z")', True),
        ('request.time >= timestamp("2026-01-01T00:00:00Z") && request.time < timestamp("2027-01-01T00:00:00Z")', True),
        (f'resource.name.startsWith("{RING}")', True),
        (f'resource.name.startsWith("{RING}") && request.time < timestamp("2020-01-01T00:00:00Z")', False),
        ('resource.name.startsWith("projects/other")', False),
        ('resource.type == "cloudkms.googleapis.com/CryptoKey"', True),
        ('resource.type != "cloudkms.googleapis.com/CryptoKey"', False),
        ('request.time < timestamp("no time")', False),
        ("true || false", False),
        ("api.getAttribute('x', 1) == 1", False),
        ("", False),
    ],
)
def test_conditions_hold_or_grant_nothing(estate: Estate, expression: str, granted: bool) -> None:
    estate.cloud.iam.bind(KEY, USE, APP, condition=expression)
    assert may(estate) is granted


def test_a_conditional_binding_ends_by_itself(estate: Estate) -> None:
    estate.cloud.iam.bind(KEY, USE, APP, condition='request.time < timestamp("2026-11-22T13:00:00Z")')
    assert may(estate)
    estate.pass_time(hours=1)
    assert not may(estate)


def test_policies_are_written_with_etags(estate: Estate) -> None:
    stale = policy(estate)
    assert stale.etag == base64.b64decode("ACAB")
    fresh = policy(estate)
    fresh.bindings.add(role=USE, members=[APP])
    put(estate, fresh)
    assert may(estate)
    with pytest.raises(exceptions.Aborted, match="concurrent policy changes"):
        put(estate, stale)
    assert may(estate)
    put(estate, policy_pb2.Policy())
    assert not may(estate), "without an etag the policy is overwritten"


def test_conditions_show_only_in_version_3(estate: Estate) -> None:
    estate.cloud.iam.bind(KEY, USE, APP, condition='request.time < timestamp("2026-11-22T13:00:00Z")')
    full, default = policy(estate, 3), policy(estate, 0)
    assert (full.version, full.bindings[0].role) == (3, USE)
    assert full.bindings[0].condition.expression.startswith("request.time")
    assert default.version == 1
    assert default.bindings[0].role.startswith(USE + "_withcond_")
    assert not default.bindings[0].HasField("condition")
    assert default.etag == full.etag
    with pytest.raises(exceptions.InvalidArgument):
        put(estate, default)
    full.version = 1
    with pytest.raises(exceptions.InvalidArgument, match="must be 3"):
        put(estate, full)
    with pytest.raises(exceptions.InvalidArgument):
        policy(estate, 2)


def test_a_new_policy_is_shown_at_once_and_obeyed_later(estate: Estate) -> None:
    estate.cloud.iam.bind(KEY, USE, APP)
    estate.cloud.faults.iam_lag = timedelta(minutes=7)
    current = policy(estate)
    del current.bindings[:]
    put(estate, current)
    assert not policy(estate).bindings
    assert may(estate)
    estate.pass_time(minutes=7)
    assert not may(estate)


def test_setting_bindings_keeps_audit_configurations(estate: Estate) -> None:
    estate.cloud.iam.audit(KEY, "DATA_READ", exempted=[APP])
    current = policy(estate)
    assert current.audit_configs[0].audit_log_configs[0].exempted_members == [APP]
    del current.audit_configs[:]
    put(estate, current)
    assert policy(estate).audit_configs


def test_asking_for_permissions_needs_none(estate: Estate) -> None:
    estate.cloud.iam.bind(KEY, USE, APP)
    wanted = ["cloudkms.cryptoKeyVersions.useToDecrypt", "cloudkms.cryptoKeys.setIamPolicy"]
    estate.cloud.iam.forget()
    held = estate.kms(APP).test_iam_permissions(request={"resource": KEY, "permissions": wanted}).permissions
    assert list(held) == wanted[:1]
    assert estate.cloud.iam.asked() == frozenset()


def test_what_was_needed_and_used_is_written_down(estate: Estate) -> None:
    estate.cloud.iam.bind(KEY, USE, APP)
    estate.cloud.iam.forget()
    assert may(estate)
    with pytest.raises(exceptions.PermissionDenied):
        estate.kms(APP).get_crypto_key(name=KEY)
    assert estate.cloud.iam.asked() == {(APP, "cloudkms.cryptoKeyVersions.useToEncrypt")}


def test_what_may_not_be_seen_may_as_well_not_exist(estate: Estate) -> None:
    for name in (KEY, f"{RING}/cryptoKeys/none"):
        with pytest.raises(exceptions.PermissionDenied, match="or it may not exist"):
            estate.kms(APP).get_crypto_key(name=name)
    with pytest.raises(exceptions.NotFound):
        policy(estate, resource=f"{RING}/cryptoKeys/none")


def test_the_hierarchy_is_read_upwards(estate: Estate) -> None:
    estate.cloud.iam.bind(estate.organization, "roles/browser", APP)
    estate.cloud.iam.bind(estate.organization, "roles/iam.securityReviewer", APP)

    def client(kind: type) -> object:
        return kind(transport=kind.get_transport_class("grpc")(channel=estate.channel(APP)))

    project = client(rm.ProjectsClient).get_project(name="projects/acme")
    assert (project.project_id, project.parent) == ("acme", estate.folder)
    assert client(rm.ProjectsClient).get_project(name=project.name).project_id == "acme"
    folder = client(rm.FoldersClient).get_folder(name=estate.folder)
    assert folder.parent == estate.organization
    organization = client(rm.OrganizationsClient).get_organization(name=estate.organization)
    assert organization.display_name == "example.com"
    for kind, name in (
        (rm.ProjectsClient, "projects/acme"),
        (rm.FoldersClient, estate.folder),
        (rm.OrganizationsClient, estate.organization),
    ):
        assert client(kind).get_iam_policy(resource=name).etag
    request = iam_policy_pb2.TestIamPermissionsRequest(
        resource="projects/acme", permissions=["resourcemanager.projects.get"]
    )
    assert client(rm.ProjectsClient).test_iam_permissions(request=request).permissions
    with pytest.raises(exceptions.PermissionDenied):
        client(rm.ProjectsClient).get_project(name="projects/nobody-knows")
