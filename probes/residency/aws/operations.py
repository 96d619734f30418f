"""The calls that are made, all of them read-only, and how often each goes out in a second."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from probes.clouds.aws.operations import Operation, Operations, Service


def _table(service: Service, rate: float, methods: str, prefix: str = "") -> dict[str, Operation]:
    """Operations by IAM's names, from the SDK's names."""
    made = {}
    for method in methods.split():
        name = "".join("DB" if word == "db" else word.capitalize() for word in method.split("_"))
        made[f"{prefix or service}:{name}"] = Operation(service, method, rate)
    return made


OPERATIONS: Final[Operations] = MappingProxyType(
    {
        # Of services that are looked into no further, what there is.
        **_table("ecr", 5, "describe_repositories"),
        **_table("elasticache", 2, "describe_cache_clusters"),
        **_table("fsx", 2, "describe_file_systems"),
        **_table("glacier", 2, "list_vaults"),
        **_table("kinesis", 2, "list_streams"),
        **_table("logs", 2, "describe_log_groups"),
        **_table("opensearch", 2, "list_domain_names", "es"),
        **_table("redshift", 2, "describe_clusters"),
        **_table("sqs", 2, "list_queues"),
        **_table("account", 1, "list_regions"),
        **_table(
            "backup",
            5,
            "list_backup_plans get_backup_plan list_backup_selections get_backup_selection list_backup_vaults "
            "describe_backup_vault list_recovery_points_by_resource list_recovery_points_by_backup_vault "
            "list_copy_jobs list_backup_jobs",
        ),
        **_table("bedrock", 5, "get_inference_profile get_model_invocation_logging_configuration get_foundation_model"),
        **_table("dynamodb", 10, "list_tables describe_table describe_global_table describe_continuous_backups "
                 "list_backups describe_backup list_exports describe_export"),
        **_table("ec2", 20, "describe_regions describe_volumes describe_snapshots describe_images "
                 "describe_snapshot_attribute describe_image_attribute"),
        **_table("efs", 5, "describe_file_systems describe_replication_configurations", "elasticfilesystem"),
        **_table("kms", 100, "describe_key describe_custom_key_stores"),
        **_table("organizations", 1, "list_policies_for_target list_parents describe_policy describe_organization"),
        **_table(
            "rds",
            5,
            "describe_db_instances describe_db_clusters describe_global_clusters "
            "describe_db_instance_automated_backups describe_db_cluster_automated_backups describe_db_snapshots "
            "describe_db_cluster_snapshots describe_db_snapshot_attributes describe_db_cluster_snapshot_attributes "
            "describe_export_tasks",
        ),
        **_table(
            "s3",
            50,
            "list_buckets head_bucket get_bucket_location get_bucket_replication get_bucket_encryption "
            "get_bucket_logging list_bucket_inventory_configurations list_objects_v2 list_object_versions head_object "
            "list_directory_buckets",
        ),
    }
)  # fmt: skip
"""Paces are far below the quotas that are documented (KMS developer guide, "Request quotas"; AWS Organizations,
"Throttling limits"; EC2 API, "Request throttling"; S3 allows thousands a second): what is looked into is somebody's
production."""
