"""The lab's stores in Google Cloud over the wire, with IAM, pages and refusals as Google's JSON APIs have them."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from keycheck.lab.gcp.cloud import GcpCloud
from keycheck.lab.gcp_stores.plan import GcpPlan, GcsObject, TransferJob
from keycheck.lab.gcp_stores.roles import READERS
from keycheck.lab.gcp_stores.service import GcpStores
from keycheck.lab.store_estate import clean_clouds
from keycheck.lab.store_sites import EXPORTS_G, GEMINI, PROJECT

NOW = datetime(2026, 6, 1, 12, 0, 0, tzinfo=UTC)
READER = "serviceAccount:reader@acme-audit.iam.gserviceaccount.com"
STRANGER = "user:stranger@example.com"
KEY = "projects/acme-contacts/locations/europe-west3/keyRings/crm/cryptoKeys/contacts-g"


def key_of(ref: str) -> str:
    return f"projects/acme-contacts/locations/europe-west3/keyRings/crm/cryptoKeys/{ref}"


@pytest.fixture(scope="module")
def cloud() -> Iterator[GcpCloud]:
    with GcpCloud(clock=lambda: NOW) as running:
        organization = running.directory.organization("acme.example")
        running.directory.project(PROJECT, organization)
        for role, permissions in READERS.items():
            running.iam.role(role, permissions)
            running.iam.bind(organization, role, READER)
        yield running


def _service(path: str) -> str:
    """Whose path it is."""
    for begin, service in (
        ("/storage/", "storage"),
        ("/bigquery/", "bigquery"),
        ("/compute/", "compute"),
        ("/v2/", "orgpolicy"),
        ("/v3/", "cloudresourcemanager"),
        ("/v1/transferJobs", "storagetransfer"),
    ):
        if path.startswith(begin):
            return service
    return "aiplatform" if "/models/" in path else "sqladmin"


Get = Callable[..., tuple[int, dict[str, object]]]


@pytest.fixture
def serve(cloud: GcpCloud) -> Iterator[Callable[..., Get]]:
    served: list[GcpStores] = []

    def make(plan: GcpPlan | None = None, *, page_size: int | None = None) -> Get:
        stores = GcpStores(
            plan or clean_clouds().gcp, cloud=cloud, clock=lambda: NOW, key_of=key_of, page_size=page_size
        ).start()
        served.append(stores)

        def get(
            path: str,
            principal: str | None = READER,
            method: str = "GET",
            service: str = "",
            body: dict[str, object] | None = None,
        ) -> tuple[int, dict[str, object]]:
            headers = {} if principal is None else {"Authorization": f"Bearer {cloud.token(principal)}"}
            host = stores.address(service or _service(path))
            sent, method = (None, method) if body is None else (json.dumps(body).encode(), "POST")
            request = urllib.request.Request(f"http://{host}{path}", sent, headers, method=method)
            try:
                with urllib.request.urlopen(request, timeout=5) as answer:
                    return answer.status, json.load(answer)
            except urllib.error.HTTPError as refused:
                return refused.code, json.load(refused)

        return get

    yield make
    for stores in served:
        stores.close()


@pytest.fixture
def get(serve: Callable[..., Get]) -> Get:
    return serve()


def test_a_dual_region_of_googles_own_tells_its_name(get: Get) -> None:
    status, bucket = get(f"/storage/v1/b/{EXPORTS_G}")
    assert (status, bucket["location"], bucket["locationType"]) == (200, "EUR4", "dual-region")
    assert "customPlacementConfig" not in bucket
    assert bucket["encryption"] == {"defaultKmsKeyName": key_of("exports-g")}


def test_a_dual_region_of_the_customers_tells_its_members(serve: Callable[..., Get]) -> None:
    plan = clean_clouds().gcp
    placed = replace(plan.buckets[0], location="EU", members=("EUROPE-WEST3", "EUROPE-WEST2"))
    get = serve(replace(plan, buckets=(placed,)))
    for path in ("", "/storageLayout"):
        told = get(f"/storage/v1/b/{EXPORTS_G}{path}")[1]
        assert told["customPlacementConfig"] == {"dataLocations": ["EUROPE-WEST3", "EUROPE-WEST2"]}


def test_objects_name_the_version_that_they_are_under(get: Get) -> None:
    items = get(f"/storage/v1/b/{EXPORTS_G}/o")[1]["items"]
    assert len(items) == 10
    assert {item["kmsKeyName"] for item in items} == {f"{key_of('exports-g')}/cryptoKeyVersions/1"}
    name = items[0]["name"].replace("/", "%2F")
    assert get(f"/storage/v1/b/{EXPORTS_G}/o/{name}")[1] == items[0]


def test_data_sets_and_their_tables(get: Get) -> None:
    base = f"/bigquery/v2/projects/{PROJECT}/datasets"
    (listed,) = get(base)[1]["datasets"]
    assert listed["datasetReference"] == {"projectId": PROJECT, "datasetId": "crm"}
    dataset = get(f"{base}/crm")[1]
    assert dataset["location"] == "europe-west3"
    assert dataset["defaultEncryptionConfiguration"] == {"kmsKeyName": KEY}
    assert [table["tableReference"]["tableId"] for table in get(f"{base}/crm/tables")[1]["tables"]] == [
        "contacts",
        "events",
    ]
    assert get(f"{base}/crm/tables/contacts")[1]["encryptionConfiguration"] == {"kmsKeyName": KEY}
    assert get(f"{base}/none")[0] == 404


@pytest.mark.parametrize("base", ["/sql/v1beta4", "/v1"])
def test_databases_their_replicas_and_where_backups_lie(get: Get, base: str) -> None:
    items = {item["name"]: item for item in get(f"{base}/projects/{PROJECT}/instances")[1]["items"]}
    assert items["crm"]["replicaNames"] == ["crm-replica"]
    assert items["crm-replica"]["masterInstanceName"] == f"{PROJECT}:crm"
    assert items["crm"]["diskEncryptionConfiguration"]["kmsKeyName"] == KEY
    runs = get(f"{base}/projects/{PROJECT}/instances/crm/backupRuns")[1]["items"]
    assert {run["location"] for run in runs} == {"europe-west3"}


def test_backups_that_nobody_placed_lie_in_the_multi_region(serve: Callable[..., Get]) -> None:
    plan = clean_clouds().gcp
    get = serve(replace(plan, databases=tuple(replace(each, backups_in=None) for each in plan.databases)))
    crm = get(f"/sql/v1beta4/projects/{PROJECT}/instances/crm")[1]
    assert "location" not in crm["settings"]["backupConfiguration"]
    runs = get(f"/sql/v1beta4/projects/{PROJECT}/instances/crm/backupRuns")[1]["items"]
    assert {run["location"] for run in runs} == {"eu"}


def test_disks_everywhere_with_places_that_have_none(get: Get) -> None:
    base = f"/compute/v1/projects/{PROJECT}"
    scopes = get(f"{base}/aggregated/disks")[1]["items"]
    (disk,) = scopes["zones/europe-west3-a"]["disks"]
    assert disk["diskEncryptionKey"] == {"kmsKeyName": f"{KEY}/cryptoKeyVersions/1"}
    assert scopes["zones/us-central1-a"]["warning"]["code"] == "NO_RESULTS_ON_PAGE"
    assert get(f"{base}/zones/europe-west3-a/disks/crm-data")[1] == disk
    (snapshot,) = get(f"{base}/global/snapshots")[1]["items"]
    assert (snapshot["storageLocations"], snapshot["sourceDisk"]) == (["europe-west3"], disk["selfLink"])
    assert get(f"{base}/global/images")[1]["items"][0]["storageLocations"] == ["europe-west3"]
    assert get(f"{base}/global/images/none")[0] == 404


def test_policies_models_projects_and_transfers(serve: Callable[..., Get]) -> None:
    plan = replace(clean_clouds().gcp, transfers=(TransferJob("1", PROJECT, EXPORTS_G, "elsewhere"),))
    get = serve(plan)
    policy = get(f"/v2/projects/{PROJECT}/policies/gcp.resourceLocations:getEffectivePolicy")[1]
    assert policy["spec"]["rules"] == [{"values": {"allowedValues": ["in:eu-locations"]}}]
    assert get(f"/v1/projects/{PROJECT}/locations/europe-west3/publishers/google/models/{GEMINI}")[0] == 200
    assert get(f"/v1/projects/{PROJECT}/locations/europe-north1/publishers/google/models/{GEMINI}")[0] == 404
    assert get(f"/v3/projects/{PROJECT}")[1]["projectId"] == PROJECT
    (job,) = get("/v1/transferJobs?filter=%7B%22projectId%22%3A%22acme-contacts%22%7D")[1]["transferJobs"]
    assert job["transferSpec"]["gcsDataSink"] == {"bucketName": "elsewhere"}
    assert get("/v1/transferJobs")[0] == 400


def test_lists_have_pages_and_an_end(serve: Callable[..., Get]) -> None:
    get, path, names = serve(page_size=3), f"/storage/v1/b/{EXPORTS_G}/o", []
    page = get(path)[1]
    for _ in range(5):
        names += [item["name"] for item in page["items"]]
        if "nextPageToken" not in page:
            break
        page = get(f"{path}?pageToken={page['nextPageToken']}")[1]
    assert len(names) == len(set(names)) == 10
    assert get(f"{path}?pageToken=made-up")[0] == 400


PATHS = [
    f"/storage/v1/b?project={PROJECT}",
    f"/storage/v1/b/{EXPORTS_G}",
    f"/storage/v1/b/{EXPORTS_G}/o",
    f"/bigquery/v2/projects/{PROJECT}/datasets",
    f"/bigquery/v2/projects/{PROJECT}/datasets/crm/tables",
    f"/sql/v1beta4/projects/{PROJECT}/instances",
    f"/sql/v1beta4/projects/{PROJECT}/instances/crm/backupRuns",
    f"/compute/v1/projects/{PROJECT}/aggregated/disks",
    f"/compute/v1/projects/{PROJECT}/global/snapshots",
    f"/v2/projects/{PROJECT}/policies/gcp.resourceLocations",
    f"/v3/projects/{PROJECT}",
]


@pytest.mark.parametrize("path", PATHS)
def test_who_was_given_nothing_is_refused_as_google_does(get: Get, path: str) -> None:
    assert get(path)[0] == 200
    status, told = get(path, STRANGER)
    assert (status, told["error"]["status"]) == (403, "PERMISSION_DENIED")
    assert told["error"]["errors"][0]["reason"] == "forbidden"
    assert get(path, None)[0] == 401


def test_nothing_can_be_changed_and_nothing_is_made_up(get: Get) -> None:
    assert get(f"/storage/v1/b/{EXPORTS_G}", method="DELETE")[0] == 405
    assert get("/storage/v1/b/nobodys")[0] == 404
    assert get(f"/compute/v1/projects/{PROJECT}/global/networks")[0] == 501


def test_a_service_that_is_not_enabled_says_so_and_one_that_is_holds_nothing(serve: Callable[..., Get]) -> None:
    get = serve(replace(clean_clouds().gcp, disabled=("spanner",)))
    status, told = get(f"/v1/projects/{PROJECT}/instances", service="spanner")
    assert status == 403
    assert told["error"]["details"][0]["reason"] == "SERVICE_DISABLED"
    assert get(f"/v1/projects/{PROJECT}/databases", service="firestore") == (200, {})
    assert get(f"/v1/projects/{PROJECT}/locations/-/backupVaults", service="backupdr") == (200, {})


def test_replicas_of_data_sets_are_asked_for_by_a_query(serve: Callable[..., Get]) -> None:
    plan = clean_clouds().gcp
    get = serve(replace(plan, datasets=tuple(replace(each, replicas=("us-east1",)) for each in plan.datasets)))
    path = f"/bigquery/v2/projects/{PROJECT}/queries"
    view = f"`{PROJECT}`.`region-europe-west3`.INFORMATION_SCHEMA.SCHEMATA_REPLICAS"
    status, told = get(
        path, body={"query": f"SELECT schema_name, location FROM {view} ORDER BY 1", "useLegacySql": False}
    )
    assert (status, told["jobComplete"], told["totalRows"]) == (200, True, "2")
    assert [[cell["v"] for cell in row["f"]] for row in told["rows"]] == [["crm", "europe-west3"], ["crm", "us-east1"]]
    assert get(path, body={"query": "SELECT * FROM `acme-contacts.crm.contacts`"})[0] == 400
    assert get(path, STRANGER, body={"query": f"SELECT location FROM {view}"})[0] == 403


def test_what_was_deleted_is_told_of_apart(serve: Callable[..., Get]) -> None:
    plan = clean_clouds().gcp
    gone = GcsObject("gone.csv", "contacts-g", deleted=True)
    bucket = replace(plan.buckets[0], objects=(gone, *plan.buckets[0].objects))
    get = serve(replace(plan, buckets=(bucket,)))
    assert "gone.csv" not in {each["name"] for each in get(f"/storage/v1/b/{EXPORTS_G}/o?versions=true")[1]["items"]}
    assert [each["name"] for each in get(f"/storage/v1/b/{EXPORTS_G}/o?softDeleted=true")[1]["items"]] == ["gone.csv"]


def test_keys_are_those_of_the_labs_own_cloud_kms(get: Get, cloud: GcpCloud) -> None:
    cloud.kms.seed_key(KEY)
    cloud.iam.bind(f"projects/{PROJECT}", "roles/cloudkms.viewer", READER)
    status, key = get(f"/v1/{KEY}", service="cloudkms")
    assert (status, key["name"], key["purpose"]) == (200, KEY, "ENCRYPT_DECRYPT")
    (version,) = get(f"/v1/{KEY}/cryptoKeyVersions", service="cloudkms")[1]["cryptoKeyVersions"]
    assert version["name"] == f"{KEY}/cryptoKeyVersions/1"
    assert get(f"/v1/{KEY}", STRANGER, service="cloudkms")[0] == 403
    assert get(f"/v1/{KEY}s", service="cloudkms")[0] == 404
