"""The lab's Google Cloud: KMS, IAM, Resource Manager and Cloud Logging on one loopback port, for the real clients."""
