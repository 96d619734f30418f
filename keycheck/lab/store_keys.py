"""ARNs and resource names of keys as the plans of stores name them; those that nobody agreed are made when they are
first needed."""

from __future__ import annotations

import json
import threading
from datetime import timedelta
from typing import Final

from keycheck.lab.aws.kms.managed import make_managed
from keycheck.lab.aws.seams import Caller, Document
from keycheck.lab.clouds import Clouds
from keycheck.lab.errors import LabError
from keycheck.lab.gcp_estate import RING
from keycheck.lab.key_sites import ADMIN, CUSTOMER, INSPECTOR, VENDOR
from keycheck.lab.store_sites import CUSTOMER_KEY, PROJECT, VENDOR_KEY

_REPORT: Final = "this is a defect of the lab: report it"
_ALL: Final[Document] = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "kms:*", "Resource": "*"}],
}


class KeyBook:
    """The keys of both clouds by the plans' names. Safe for threads."""

    def __init__(self, clouds: Clouds) -> None:
        self._clouds = clouds
        self._made: dict[tuple[str, str], str] = {}
        self._lock = threading.Lock()

    def arn(self, ref: str, region: str) -> str:
        """Of a key in AWS, used in this Region. Raises LabError for one that the plan cannot mean."""
        if ref.startswith("arn:"):
            return ref
        id, at, where = ref.partition("@")
        if id in self._clouds.aws.arns:
            arn = self._clouds.aws.arns[id]
            return ":".join((*arn.split(":")[:3], where, *arn.split(":")[4:])) if at else arn
        with self._lock:
            if (id, region) not in self._made:
                self._made[id, region] = self._make(id, where or region)
            return self._made[id, region]

    def resource(self, ref: str) -> str:
        """Resource name of a key in Google Cloud. Raises LabError."""
        id, at, location = ref.partition("@")
        if id == CUSTOMER_KEY and at:
            with self._lock:
                return self._made_in_google(location)
        for key in self._clouds.keys:
            if key.id == ref:
                return key.resource
        raise LabError(f"the lab has no key {ref!r} in Google Cloud", advice=_REPORT)

    def replicate(self, ref: str, region: str) -> None:
        """Give a multi-Region key one more replica."""
        arn = self.arn(ref, region)
        caller = Caller(CUSTOMER, ADMIN, ADMIN, "AKIALABBUILDER", (_ALL,))
        kms = self._clouds.aws.cloud.kms
        kms.call(caller, arn.split(":")[3], "ReplicateKey", KeyId=arn, ReplicaRegion=region, Policy=_policy(CUSTOMER))

    def _made_in_google(self, location: str) -> str:
        """A key of the customer's that nobody agreed, in a location."""
        name = f"projects/{PROJECT}/locations/{location}/keyRings/{RING}/cryptoKeys/{CUSTOMER_KEY}"
        if (CUSTOMER_KEY, name) not in self._made:
            self._clouds.gcp.cloud.kms.seed_key(name, created=self._clouds.clock() - timedelta(days=100))
            self._made[CUSTOMER_KEY, name] = name
        return name

    def _make(self, id: str, region: str) -> str:
        kms = self._clouds.aws.cloud.kms
        if id.startswith("aws/"):
            name = id.removeprefix("aws/")
            return make_managed(kms.holdings, CUSTOMER, region, name, self._clouds.clock()).arn
        owner = {CUSTOMER_KEY: CUSTOMER, VENDOR_KEY: VENDOR}.get(id)
        if owner is None:
            raise LabError(f"the lab has no key {id!r} in AWS", advice=_REPORT)
        made = kms.call(_root(owner), region, "CreateKey", Description=f"practice key {id}", Policy=_policy(owner))
        told = made["KeyMetadata"]
        if not isinstance(told, dict):
            raise LabError("CreateKey answered no key", advice=_REPORT)
        return str(told["Arn"])


def _root(account: str) -> Caller:
    arn = f"arn:aws:iam::{account}:root"
    return Caller(account, arn, arn, "AKIALABBUILDER", (_ALL,))


def _policy(owner: str) -> str:
    """The account may do all; the inspector of the customer's own may look."""
    statements = [
        {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{owner}:root"}, "Action": "kms:*", "Resource": "*"}
    ]
    if owner == CUSTOMER:
        statements.append(
            {"Effect": "Allow", "Principal": {"AWS": INSPECTOR}, "Action": "kms:DescribeKey", "Resource": "*"}
        )
    return json.dumps({"Version": "2012-10-17", "Statement": statements})
