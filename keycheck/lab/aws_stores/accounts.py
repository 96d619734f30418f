"""Which Regions an account has enabled, and the policies of its organization.

Sources: the account 2021-02-01 and organizations 2016-11-28 service models of botocore; AWS Organizations User Guide,
"Deny access to AWS based on the requested AWS Region".
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

from keycheck.lab.aws_stores.asked import Ask, Handler
from keycheck.lab.aws_stores.refusals import RefusedError
from keycheck.lab.aws_stores.serialised import Output

ORGANIZATION: Final = "o-lab0000001"
MANAGEMENT: Final = "222233334444"
"""Account that the organization is managed from."""
GLOBAL_SERVICES: Final = ("iam:*", "organizations:*", "route53:*", "cloudfront:*", "support:*", "sts:*")
"""What a Region-deny policy leaves out, since it is served from us-east-1."""
_SCP: Final = "SERVICE_CONTROL_POLICY"


def _regions(ask: Ask) -> Output:
    wanted = ask.texts("RegionOptStatusContains")
    told = [
        *((region, "ENABLED_BY_DEFAULT") for region in ask.plan.regions),
        *((region, "DISABLED") for region in ask.plan.disabled),
    ]
    found = [
        {"RegionName": region, "RegionOptStatus": status} for region, status in told if not wanted or status in wanted
    ]
    page, more = ask.page(found, size="MaxResults", given="NextToken", told="NextToken", most=50)
    return {"Regions": list(page), **more}


def _region(ask: Ask) -> Output:
    name = ask.text("RegionName")
    if name not in (*ask.plan.regions, *ask.plan.disabled):
        raise RefusedError("ValidationException", f"Invalid Region name {name}", 400)
    return {
        "RegionName": name,
        "RegionOptStatus": "ENABLED_BY_DEFAULT" if name in ask.plan.regions else "DISABLED",
    }


def _summary(name: str) -> dict[str, object]:
    return {
        "Id": f"p-{name}",
        "Arn": f"arn:aws:organizations::{MANAGEMENT}:policy/{ORGANIZATION}/service_control_policy/p-{name}",
        "Name": name,
        "Description": "",
        "Type": _SCP,
        "AwsManaged": False,
    }


def _policies(ask: Ask) -> Output:
    names = [name for name, _ in ask.plan.guards] if ask.text("Filter") == _SCP else []
    page, more = ask.page(names, size="MaxResults", given="NextToken", told="NextToken", most=20)
    return {"Policies": [_summary(name) for name in page], **more}


def _policies_for(ask: Ask) -> Output:
    if ask.text("TargetId") not in (ask.plan.account, "r-lab1"):
        raise RefusedError("TargetNotFoundException", "You specified a target that doesn't exist.", 400)
    if ask.text("TargetId") != ask.plan.account:
        return {"Policies": []}
    return _policies(ask)


def _policy(ask: Ask) -> Output:
    for name, regions in ask.plan.guards:
        if ask.text("PolicyId") == f"p-{name}":
            statement = {
                "Sid": "DenyOtherRegions",
                "Effect": "Deny",
                "NotAction": list(GLOBAL_SERVICES),
                "Resource": "*",
                "Condition": {"StringNotEquals": {"aws:RequestedRegion": list(regions)}},
            }
            content = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
            return {"Policy": {"PolicySummary": _summary(name), "Content": content}}
    raise RefusedError("PolicyNotFoundException", "You specified a policy that doesn't exist.", 400)


def _organization(ask: Ask) -> Output:
    root = f"arn:aws:organizations::{MANAGEMENT}"
    return {
        "Organization": {
            "Id": ORGANIZATION,
            "Arn": f"{root}:organization/{ORGANIZATION}",
            "FeatureSet": "ALL",
            "MasterAccountArn": f"{root}:account/{ORGANIZATION}/{MANAGEMENT}",
            "MasterAccountId": MANAGEMENT,
            "MasterAccountEmail": "cloud@acme.example",
        }
    }


def _parents(ask: Ask) -> Output:
    if ask.text("ChildId") != ask.plan.account:
        raise RefusedError("ChildNotFoundException", "You specified a child that doesn't exist.", 400)
    return {"Parents": [{"Id": "r-lab1", "Type": "ROOT"}]}


ACCOUNT: Final[Mapping[str, Handler]] = {"ListRegions": _regions, "GetRegionOptStatus": _region}
ORGANIZATIONS: Final[Mapping[str, Handler]] = {
    "DescribeOrganization": _organization,
    "ListParents": _parents,
    "ListPolicies": _policies,
    "ListPoliciesForTarget": _policies_for,
    "DescribePolicy": _policy,
}
