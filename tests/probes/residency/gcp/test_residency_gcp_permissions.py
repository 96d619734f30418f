"""The least privilege is of what is asked for, and of nothing that reads or changes data."""

from __future__ import annotations

import re

from residency_gcp import account, bucket, resource

from probes.residency.gcp.permissions import reading_papers, store_permissions
from probes.residency.subjects import Inference

READS = re.compile(r"[a-z]+\.[A-Za-z]+\.(get|list|getMetadata)|bigquery\.jobs\.create")


def test_permissions_read_and_no_more() -> None:
    everything = store_permissions(account())
    assert all(READS.fullmatch(each) for each in everything)
    assert "storage.objects.get" not in everything
    assert "bigquery.tables.getData" not in everything
    assert {"storage.buckets.list", "serviceusage.services.list", "spanner.instances.list"} <= {*everything}


def test_one_store_needs_less() -> None:
    assert store_permissions(bucket("crm")) == (
        "cloudkms.cryptoKeys.get",
        "orgpolicy.policy.get",
        "resourcemanager.projects.get",
        "storage.buckets.get",
        "storage.objects.list",
        "storagetransfer.jobs.list",
    )
    assert "storage.objects.list" not in store_permissions(bucket("crm", objects=0))
    database = resource("//cloudsql.googleapis.com/projects/acme/instances/db")
    assert {"cloudsql.instances.get", "backupdr.bvdataSources.list"} <= {*store_permissions(database)}


def test_a_paper_for_each_identity_and_project() -> None:
    model = "projects/acme/locations/europe-west3/endpoints/7"
    models = [
        Inference.model_validate({"id": "m", "provider": "gcp", "model": name, "identity": "auditor"})
        for name in (model, "gemini-2.5-pro")
    ]
    papers = list(reading_papers([bucket("crm", others=["partner"]), account("other")], models))
    assert [(paper.identity, paper.document["title"]) for paper in papers] == [
        ("auditor", "keycheck, stores and models of buckets"),
        ("auditor", "keycheck, stores and models of acme"),
        ("auditor", "keycheck, stores and models of other"),
        ("partner", "keycheck, stores and models of buckets"),
    ]
    assert papers[1].document["includedPermissions"] == ["aiplatform.endpoints.get"]
