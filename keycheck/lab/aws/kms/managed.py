"""AWS managed keys."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

from keycheck.lab.aws.kms.model import Alias, Key
from keycheck.lab.aws.kms.state import Holdings


def make_managed(holdings: Holdings, account: str, region: str, service: str, now: datetime) -> Key:
    """The key `alias/aws/<service>`: usable by the account through the service alone, rotated every year by AWS."""
    home = f"{service}.{region}.amazonaws.com"
    through = {"StringEquals": {"kms:CallerAccount": account, "kms:ViaService": home}}
    use = ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:CreateGrant", "kms:DescribeKey"]
    root = f"arn:{holdings.partition(region)}:iam::{account}:root"
    look = ["kms:Describe*", "kms:Get*", "kms:List*", "kms:RevokeGrant"]
    policy = {
        "Version": "2012-10-17",
        "Id": f"auto-{service}-2",
        "Statement": [
            {
                "Sid": f"Allow access through {service}",
                "Effect": "Allow",
                "Principal": {"AWS": "*"},
                "Action": use,
                "Resource": "*",
                "Condition": through,
            },
            {
                "Sid": "Allow direct access to key metadata to the account",
                "Effect": "Allow",
                "Principal": {"AWS": root},
                "Action": look,
                "Resource": "*",
            },
        ],
    }
    key = holdings.make_key(
        account,
        region,
        now,
        policy=json.dumps(policy),
        description=f"Default key that protects my {service} data when no other key is defined",
        manager="AWS",
    )
    key.ring.rotation_days, key.ring.next_rotation = 365, now + timedelta(days=365)
    name = f"alias/aws/{service}"
    holdings.aliases[account, region][name] = Alias(name, holdings.arn(account, region, name), key.id, now, now)
    return key
