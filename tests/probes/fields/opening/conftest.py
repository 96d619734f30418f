"""The lab's clouds; each test has a key of its own."""

from fields_opening_stage import aws, aws_cloud, gcp, gcp_cloud

__all__ = ["aws", "aws_cloud", "gcp", "gcp_cloud"]
