"""The lab's AWS: KMS, STS, IAM and CloudTrail on one loopback port, for the real SDK."""
