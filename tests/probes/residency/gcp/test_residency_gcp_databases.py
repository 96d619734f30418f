"""Cloud SQL, BigQuery, Spanner and Firestore: where they are, what they are copied to, and where backups lie."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import pytest
from residency_gcp import (
    KEY,
    OTHER_KEY,
    Google,
    account,
    disabled,
    edges,
    node,
    opened,
    page,
    regions,
    resource,
)

from keycheck.model.facts import Unseen
from keycheck.model.verdict import Kind
from probes.residency.rest_controls import Encrypted, UnderKey
from probes.residency.store_controls import Backups, Copies, Stores
from probes.residency.store_facts import ClosureFacts, EdgeKind, Encryption, NodeKind

Walk: TypeAlias = Callable[..., ClosureFacts]
SQL = "/sql/v1beta4/projects/acme"
BQ = "/bigquery/v2/projects/acme"
DB = "//sqladmin.googleapis.com/projects/acme/instances/db"
CRM = "//bigquery.googleapis.com/projects/acme/datasets/crm"


def judged(facts: ClosureFacts) -> dict[str, str]:
    """What each control says, by its first letters."""
    found = {}
    for control in (Stores, Copies, Backups, Encrypted):
        given = {} if control is Encrypted else {"jurisdiction": ["EU"]}
        found[control.__name__] = control.model_validate(given).judge(facts).kind.value
    return found


def keyed(facts: ClosureFacts, key: str = KEY) -> str:
    return UnderKey().judge(facts.model_copy(update={"agreed_keys": (key,)})).kind.value


GOOD = {"Stores": "pass", "Copies": "pass", "Backups": "pass", "Encrypted": "pass"}


def instance(called: str, region: str = "europe-west3", **more: object) -> dict[str, object]:
    return {
        "name": called,
        "project": "acme",
        "region": region,
        "gceZone": f"{region}-a",
        "instanceType": "CLOUD_SQL_INSTANCE",
        "createTime": "2026-01-02T03:04:05.678Z",
        "settings": {"backupConfiguration": {"enabled": True, "location": "europe-west3"}},
        "diskEncryptionConfiguration": {"kmsKeyName": KEY},
        **more,
    }


def run(number: int, location: str = "europe-west3", **more: object) -> dict[str, object]:
    key = {"diskEncryptionConfiguration": {"kmsKeyName": KEY}}
    return {
        "id": str(number),
        "status": "SUCCESSFUL",
        "location": location,
        "endTime": f"2026-11-{number:02}T03:00:00Z",
        **key,
        **more,
    }


@pytest.fixture
def sql(google: Google) -> Google:
    google.says[f"{SQL}/instances/db"] = instance("db")
    google.says[f"{SQL}/instances/db/backupRuns"] = {"items": [run(1), run(2)]}
    google.says[f"{SQL}/backups"] = {}
    google.says["/v1/projects/acme/locations/-/backupVaults/-/dataSources"] = {}
    return google


def test_a_clean_instance(sql: Google, walk: Walk) -> None:
    facts = walk(resource(DB))
    assert opened(facts) == []
    assert judged(facts) == GOOD
    assert keyed(facts) == "pass"
    assert keyed(facts, OTHER_KEY) == "fail"
    assert {each.kind for each in facts.nodes} == {NodeKind.DATABASE, NodeKind.BACKUP, NodeKind.KEY}


def test_replicas_and_theirs_in_other_projects(sql: Google, walk: Walk) -> None:
    settings = {"backupConfiguration": {"enabled": False}}
    sql.says[f"{SQL}/instances/db"] = instance(
        "db", replicaNames=["db-2"], replicationCluster={"failoverDrReplicaName": "partner:db-3"}
    )
    sql.says[f"{SQL}/instances/db-2"] = instance(
        "db-2", "europe-west4", instanceType="READ_REPLICA_INSTANCE", settings=settings, replicaNames=["db-4"]
    )
    sql.says[f"{SQL}/instances/db-4"] = instance("db-4", "us-east4", settings=settings)
    for name in ("db-2", "db-4"):
        sql.says[f"{SQL}/instances/{name}/backupRuns"] = {}
    facts = walk(resource(DB))
    assert edges(facts, EdgeKind.REPLICATES) == [("db", "db-2"), ("db", "db-3"), ("db-2", "db-4")]
    assert regions(facts, "db-4") == ("us-east4",)
    assert ("db-3", "everything", "permission-denied") in opened(facts)
    assert judged(facts)["Copies"] == "fail"
    assert judged(facts)["Stores"] == "inconclusive"


@pytest.mark.parametrize(
    ("runs", "configured", "status"),
    [
        ([run(1, "us")], {"enabled": True, "location": "europe-west3"}, "fail"),
        ([run(1, "eu")], {"enabled": True}, "pass"),
        ([], {"enabled": True, "location": "us-east1"}, "fail"),
        ([], {"enabled": True}, "inconclusive"),
        ([run(1, "us", status="FAILED")], {"enabled": True, "location": "europe-west3"}, "pass"),
        ([run(1, "us", status="DELETION_FAILED")], {"enabled": True, "location": "europe-west3"}, "fail"),
        ([{"id": "1", "status": "SUCCESSFUL"}], {"enabled": True, "location": "europe-west3"}, "inconclusive"),
        ([], {"enabled": False}, "pass"),
        ([run(1, "moon")], {"enabled": False}, "inconclusive"),
    ],
)
def test_where_backups_are_and_will_be(
    sql: Google, walk: Walk, runs: list[Any], configured: Mapping[str, object], status: str
) -> None:
    sql.says[f"{SQL}/instances/db"] = instance("db", settings={"backupConfiguration": configured})
    sql.says[f"{SQL}/instances/db/backupRuns"] = {"items": runs}
    assert judged(walk(resource(DB)))["Backups"] == status


def test_a_backup_under_another_key(sql: Google, walk: Walk) -> None:
    sql.says[f"{SQL}/instances/db/backupRuns"] = {
        "items": [run(1, diskEncryptionConfiguration={}), run(2, diskEncryptionConfiguration={"kmsKeyName": OTHER_KEY})]
    }
    facts = walk(resource(DB))
    methods = {node(facts, each).encryption.method for each in ("1", "2")}  # type: ignore[union-attr]
    assert methods == {"provider-key", "customer-key"}
    assert keyed(facts) == "fail"


def test_backups_outlive_their_instance(sql: Google, walk: Walk) -> None:
    kept = {
        "name": "projects/acme/backups/b1",
        "instance": "gone",
        "location": "us",
        "state": "SUCCESSFUL",
        "kmsKey": KEY,
        "instanceDeletionTime": "2026-01-01T00:00:00Z",
    }
    sql.says[f"{SQL}/instances"] = {"items": [instance("db")]}
    sql.says[f"{SQL}/backups"] = {"backups": [kept]}
    facts = walk(account(), "sql")
    assert regions(facts, "b1") == ("us",)
    assert judged(facts)["Backups"] == "fail"
    assert judged(walk(resource(DB)))["Backups"] == "pass"


def test_regions_that_cloud_sql_does_not_reach(sql: Google, walk: Walk) -> None:
    warned = [{"code": "REGION_UNREACHABLE", "region": "us-east4", "message": "later"}]
    sql.says[f"{SQL}/instances"] = {"items": [instance("db")], "warnings": warned}
    facts = walk(account(), "sql")
    assert {each[1:] for each in opened(facts)} == {("everything", "unreachable")}
    assert "us-east4" in str(facts.open)


@pytest.mark.parametrize("said", [disabled(), (403, {}), (500, {}), {"items": "no"}, {"items": [{"name": "x/y"}]}])
def test_a_disabled_service_is_not_an_empty_one(sql: Google, walk: Walk, said: object) -> None:
    sql.says[f"{SQL}/instances"] = said
    facts = walk(account(), "sql")
    assert judged(facts)["Stores"] == "inconclusive"
    assert judged(facts)["Encrypted"] == "inconclusive"


@pytest.mark.parametrize(
    ("more", "control"),
    [
        ({"gceZone": "us-east4-a"}, "Stores"),
        ({"instanceType": "ON_PREMISES_INSTANCE"}, "Stores"),
        ({"name": "another"}, "Stores"),
        ({"replicaNames": ["../x"]}, "Copies"),
        ({"createTime": "yesterday"}, "Stores"),
        ({"diskEncryptionConfiguration": {"kmsKeyName": "nonsense"}}, "Encrypted"),
    ],
)
def test_an_instance_that_contradicts_itself(sql: Google, walk: Walk, more: dict[str, object], control: str) -> None:
    sql.says[f"{SQL}/instances/db"] = instance("db", **more)
    assert judged(walk(resource(DB)))[control] == "inconclusive"


def dataset(name: str, location: str = "europe-west3", **more: object) -> dict[str, object]:
    reference = {"datasetReference": {"projectId": "acme", "datasetId": name}}
    default = {"defaultEncryptionConfiguration": {"kmsKeyName": KEY}}
    return {**reference, "location": location, "creationTime": "1767323045678", **default, **more}


def table(name: str, kind: str = "TABLE", key: str | None = KEY, **more: object) -> dict[str, object]:
    under = {} if key is None else {"encryptionConfiguration": {"kmsKeyName": key}}
    return {"tableReference": {"tableId": name}, "type": kind, "location": "europe-west3", **under, **more}


def rows(*found: tuple[str, str, str]) -> dict[str, object]:
    listed = [{"f": [{"v": cell} for cell in row]} for row in found]
    return {"jobComplete": True, "totalRows": str(len(found)), "rows": listed}


def tables(google: Google, of: str, *found: dict[str, Any]) -> None:
    google.says[f"{BQ}/datasets/{of}/tables"] = {
        "tables": [{"tableReference": each["tableReference"], "type": each["type"]} for each in found]
    }
    for each in found:
        google.says[f"{BQ}/datasets/{of}/tables/{each['tableReference']['tableId']}"] = each


@pytest.fixture
def bigquery(google: Google) -> Google:
    listed = {"datasetReference": {"datasetId": "crm"}, "location": "europe-west3"}
    google.says[f"{BQ}/datasets"] = {"datasets": [listed]}
    google.says[f"{BQ}/datasets/crm"] = dataset("crm")
    tables(google, "crm", table("people"), table("orders"), table("report", "VIEW", None))
    google.says[f"POST {BQ}/queries"] = rows(("crm", "europe-west3", "europe-west3"))
    google.says["/v1/projects/acme/locations/europe-west3/transferConfigs"] = {}
    return google


def test_a_clean_data_set(bigquery: Google, walk: Walk) -> None:
    asked: list[object] = []

    def query(_query: Mapping[str, str], body: object) -> object:
        asked.append(body)
        return rows(("crm", "europe-west3", "europe-west3"), ("other", "us", "US"))

    bigquery.says[f"POST {BQ}/queries"] = query
    for facts in (walk(resource(CRM)), walk(account(), "bigquery")):
        assert opened(facts) == []
        assert judged(facts) == GOOD
        assert keyed(facts) == "pass"
        assert not [each for each in facts.nodes if "report" in each.id]
    assert "`acme`.`region-europe-west3`.INFORMATION_SCHEMA.SCHEMATA_REPLICAS" in str(asked[0])


def test_a_replica_of_a_data_set_abroad(bigquery: Google, walk: Walk) -> None:
    bigquery.says[f"POST {BQ}/queries"] = rows(("crm", "eu", "europe-west3"), ("crm", "far", "US"))
    facts = walk(resource(CRM))
    assert edges(facts, EdgeKind.REPLICATES) == [("crm", "crm#replica-us")]
    assert judged(facts) == {"Stores": "pass", "Copies": "fail", "Backups": "pass", "Encrypted": "inconclusive"}


def test_a_data_set_that_is_copied(bigquery: Google, walk: Walk) -> None:
    listed = [{"datasetReference": {"datasetId": name}, "location": where} for name, where in
              (("crm", "europe-west3"), ("mirror", "US"))]  # fmt: skip
    bigquery.says[f"{BQ}/datasets"] = lambda query, _: page(query, *({"datasets": [each]} for each in listed))
    config = {
        "name": "projects/1/locations/us/transferConfigs/c",
        "dataSourceId": "cross_region_copy",
        "destinationDatasetId": "mirror",
        "disabled": True,
        "state": "SUCCEEDED",
        "params": {"source_dataset_id": "crm", "source_project_id": "acme"},
    }
    other = {"name": "projects/1/locations/us/transferConfigs/q", "dataSourceId": "scheduled_query"}
    bigquery.says["/v1/projects/acme/locations/us/transferConfigs"] = {"transferConfigs": [other, config]}
    bigquery.says[f"{BQ}/datasets/mirror"] = dataset("mirror", "US", defaultEncryptionConfiguration={})
    tables(bigquery, "mirror", table("people", key=None, location="US"))
    facts = walk(resource(CRM))
    assert opened(facts) == []
    assert edges(facts, EdgeKind.REPLICATES) == [("crm", "mirror"), ("mirror", "people")]
    assert judged(facts)["Copies"] == "fail"
    assert keyed(facts) == "fail"
    never = {"transferConfigs": [config | {"state": "PENDING"}]}
    bigquery.says["/v1/projects/acme/locations/us/transferConfigs"] = never
    assert judged(walk(resource(CRM)))["Copies"] == "inconclusive"


def test_tables_have_keys_of_their_own(bigquery: Google, walk: Walk) -> None:
    tables(bigquery, "crm", table("people"), table("old", key=None), table("older", key=OTHER_KEY))
    facts = walk(resource(CRM))
    assert judged(facts)["Encrypted"] == "pass"
    assert keyed(facts) == "fail"


def test_an_external_table_lies_in_a_bucket(bigquery: Google, walk: Walk) -> None:
    external = {"externalDataConfiguration": {"sourceUris": ["gs://lake/a/*", "gs://lake/b"]}}
    tables(bigquery, "crm", table("lake", "EXTERNAL", None, **external))
    bigquery.bucket("lake", "US-EAST4")
    facts = walk(resource(CRM))
    assert ("lake", "lake") in edges(facts, EdgeKind.REPLICATES)
    assert judged(facts)["Copies"] == "fail"
    sheet = {"externalDataConfiguration": {"sourceUris": ["https://docs.google.com/spreadsheets/d/x"]}}
    tables(bigquery, "crm", table("sheet", "EXTERNAL", None, **sheet))
    assert judged(walk(resource(CRM)))["Stores"] == "inconclusive"


@pytest.mark.parametrize(
    ("path", "said", "control"),
    [
        (f"POST {BQ}/queries", (403, {}), "Copies"),
        (f"POST {BQ}/queries", {"jobComplete": False}, "Copies"),
        (f"POST {BQ}/queries", {**rows(), "pageToken": "x"}, "Copies"),
        (f"POST {BQ}/queries", {**rows(), "totalRows": "7"}, "Copies"),
        (f"POST {BQ}/queries", rows(("crm", "x", "no such place")), "Copies"),
        (f"POST {BQ}/queries", {"jobComplete": True, "rows": [{"f": [{"v": "crm"}]}]}, "Copies"),
        ("/v1/projects/acme/locations/europe-west3/transferConfigs", disabled(), "Copies"),
        (f"{BQ}/datasets", (403, {}), "Stores"),
        (f"{BQ}/datasets/crm", (404, {}), "Stores"),
        (f"{BQ}/datasets/crm", dataset("other"), "Stores"),
        (f"{BQ}/datasets/crm", dataset("crm", linkedDatasetSource={"sourceDataset": {}}, type="LINKED"), "Stores"),
        (f"{BQ}/datasets/crm/tables", (403, {}), "Encrypted"),
        (f"{BQ}/datasets/crm/tables/people", (403, {}), "Encrypted"),
    ],
)
def test_data_sets_that_are_not_told(bigquery: Google, walk: Walk, path: str, said: object, control: str) -> None:
    bigquery.says[path] = said
    assert judged(walk(resource(CRM)))[control] == "inconclusive"


def test_a_table_that_is_not_where_its_data_set_is(bigquery: Google, walk: Walk) -> None:
    bigquery.says[f"{BQ}/datasets/crm/tables/people"] = table("people") | {"location": "europe-west4"}
    assert judged(walk(resource(CRM)))["Stores"] == "inconclusive"
    bigquery.says[f"{BQ}/datasets/crm/tables/people"] = table("people") | {"location": "US"}
    assert judged(walk(resource(CRM)))["Stores"] == "fail"


SPAN = "/v1/projects/acme/instances"
PEOPLE = "//spanner.googleapis.com/projects/acme/instances/main/databases/people"


@pytest.fixture
def spanner(google: Google) -> Google:
    config = "projects/acme/instanceConfigs/eur3"
    main = {"name": "projects/acme/instances/main", "config": config}
    google.says[SPAN] = {"instances": [main]}
    google.says[f"{SPAN}/main"] = main
    replicas = [("europe-west1", "READ_WRITE"), ("europe-west4", "READ_WRITE"), ("europe-north1", "WITNESS")]
    google.says[f"/v1/{config}"] = {
        "name": config,
        "replicas": [{"location": location, "type": kind} for location, kind in replicas],
    }
    named = "projects/acme/instances/main/databases/"
    held = {"encryptionConfig": {"kmsKeyName": KEY}, "state": "READY"}
    google.says[f"{SPAN}/main/databases"] = {"databases": [{"name": f"{named}people", **held}]}
    google.says[f"{SPAN}/main/backups"] = {}
    google.says[f"{SPAN}/main/instancePartitions"] = {}
    return google


def test_spanner_is_in_all_regions_of_its_configuration(spanner: Google, walk: Walk) -> None:
    for facts in (walk(resource(PEOPLE)), walk(account(), "spanner")):
        assert opened(facts) == []
        assert regions(facts, "people") == ("europe-west1", "europe-west4")
        assert edges(facts, EdgeKind.WITNESSES) == [("people", "people#witness-europe-north1")]
        assert judged(facts) == GOOD
        assert keyed(facts) == "pass"


def test_a_copy_of_a_backup_abroad(spanner: Google, walk: Walk) -> None:
    far = "projects/acme/instances/far/backups/copy"
    info = {"encryptionType": "CUSTOMER_MANAGED_ENCRYPTION", "kmsKeyVersion": f"{KEY}/cryptoKeyVersions/3"}
    own = {
        "name": "projects/acme/instances/main/backups/one",
        "database": "projects/acme/instances/main/databases/people",
        "createTime": "2026-11-01T00:00:00Z",
        "encryptionInfo": info,
        "referencingBackups": [far],
    }
    spanner.says[f"{SPAN}/main/backups"] = {"backups": [own]}
    config = "projects/acme/instanceConfigs/regional-us-east4"
    spanner.says[f"{SPAN}/far"] = {"name": "projects/acme/instances/far", "config": config}
    spanner.says[f"/v1/{config}"] = {"name": config, "replicas": [{"location": "us-east4", "type": "READ_WRITE"}]}
    spanner.says[f"/v1/{far}"] = {"name": far}
    facts = walk(resource(PEOPLE))
    assert edges(facts, EdgeKind.COPIES) == [("one", "copy")]
    assert judged(facts) == {**GOOD, "Backups": "fail"}
    assert keyed(facts) == "fail"
    spanner.says[f"/v1/{far}"] = (403, {})
    assert judged(walk(resource(PEOPLE)))["Backups"] == "inconclusive"


def test_rows_in_a_partition_abroad(spanner: Google, walk: Walk) -> None:
    config = "projects/acme/instanceConfigs/regional-us-east4"
    part = {"name": "projects/acme/instances/main/instancePartitions/far", "config": config}
    spanner.says[f"{SPAN}/main/instancePartitions"] = {"instancePartitions": [part]}
    spanner.says[f"/v1/{config}"] = {"name": config, "replicas": [{"location": "us-east4", "type": "READ_WRITE"}]}
    assert judged(walk(resource(PEOPLE)))["Copies"] == "fail"
    spanner.says[f"/v1/{config}"] = (403, {})
    assert judged(walk(resource(PEOPLE)))["Copies"] == "inconclusive"


@pytest.mark.parametrize(
    ("path", "said", "control"),
    [
        (f"{SPAN}/main/instancePartitions", (403, {}), "Stores"),
        ("/v1/projects/acme/instanceConfigs/eur3", (403, {}), "Stores"),
        ("/v1/projects/acme/instanceConfigs/eur3", {"name": "projects/acme/instanceConfigs/eur3"}, "Stores"),
        (f"{SPAN}/main", (404, {}), "Stores"),
        (f"{SPAN}/main/databases", {"databases": []}, "Stores"),
        (f"{SPAN}/main/backups", (403, {}), "Backups"),
        (f"{SPAN}/main/backups", {"backups": [{"name": "projects/evil/instances/main/backups/x"}]}, "Backups"),
    ],
)
def test_spanner_that_is_not_told(spanner: Google, walk: Walk, path: str, said: object, control: str) -> None:
    spanner.says[path] = said
    assert judged(walk(resource(PEOPLE)))[control] == "inconclusive"


def test_several_keys_are_not_one(spanner: Google, walk: Walk) -> None:
    held = {"kmsKeyNames": [KEY, OTHER_KEY]}
    name = "projects/acme/instances/main/databases/people"
    spanner.says[f"{SPAN}/main/databases"] = {"databases": [{"name": name, "encryptionConfig": held}]}
    facts = walk(resource(PEOPLE))
    assert keyed(facts) == "inconclusive"
    assert len(edges(facts, EdgeKind.KEY)) == 2


def test_firestore_and_its_backups(google: Google, walk: Walk) -> None:
    name = "projects/acme/databases/(default)"
    told = {"name": name, "locationId": "eur3", "cmekConfig": {"kmsKeyName": KEY}}
    google.says[f"/v1/{name}"] = told
    google.says["/v1/projects/acme/databases"] = {"databases": [told]}
    backup = {"name": "projects/acme/locations/us-east4/backups/b", "database": name, "state": "READY"}
    google.says["/v1/projects/acme/locations/-/backups"] = {}
    for subject, part in ((resource(f"//firestore.googleapis.com/{name}"), "whole"), (account(), "firestore")):
        facts = walk(subject, part)
        assert (opened(facts), judged(facts), keyed(facts)) == ([], GOOD, "pass")
    google.says["/v1/projects/acme/locations/-/backups"] = {"backups": [backup]}
    facts = walk(resource(f"//firestore.googleapis.com/{name}"))
    assert judged(facts)["Backups"] == "fail"
    assert isinstance(node(facts, "b").encryption, Encryption)
    google.says["/v1/projects/acme/locations/-/backups"] = {"unreachable": ["projects/acme/locations/us-east1"]}
    assert judged(walk(account(), "firestore"))["Backups"] == "inconclusive"
    assert not any("pageSize" in asked for asked in google.asked if "databases" in asked or "/-/backups" in asked)


def test_what_is_not_covered_says_so(google: Google, walk: Walk) -> None:
    facts = walk(resource("//redis.googleapis.com/projects/acme/locations/europe-west3/instances/cache"))
    assert isinstance(node(facts, "cache").place, Unseen)
    assert set(judged(facts).values()) == {Kind.INCONCLUSIVE.value}
