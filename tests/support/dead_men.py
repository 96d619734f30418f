"""A dead-man that works, in either of the lab's clouds."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from keycheck.lab.aws.cloud import AwsCloud
from keycheck.lab.aws.scheduler import SERVICE
from keycheck.lab.aws.seams import Document
from keycheck.lab.gcp.cloud import GcpCloud
from probes.keys.drill.aws_needs import DEAD_MAN_NEEDS, NEEDS
from probes.keys.drill.dead_man import Waits
from probes.keys.drill.gcp_dead_man import ACTOR_NEEDS
from probes.keys.drill.gcp_dead_man import NEEDS as GCP_NEEDS
from probes.keys.subjects import DeadMan

SHORT: Final = Waits(patience=timedelta(seconds=30), lead=timedelta(seconds=2), pause=0.05)
"""For a lab whose clock is the real one, and which fires by the second."""


def may(*actions: str) -> Document:
    """An identity policy."""
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": list(actions), "Resource": "*"}]}


def own_policy(kind: str, role: str) -> Document:
    """What an identity of a drill needs in its own policy, as no key policy can give it."""
    return may(*(action for action in NEEDS[kind][role] if not action.startswith("kms:")))


def aws_dead_man(cloud: AwsCloud, account: str, actions: Sequence[str] = ()) -> DeadMan:
    """A role that EventBridge Scheduler may assume and that may undo every drill, where the key policy delegates to
    the account."""
    role = f"arn:aws:iam::{account}:role/key-dead-man"
    everything = [action for needs in DEAD_MAN_NEEDS.values() for action in needs]
    cloud.directory.add_role(role, trusts=(), services=(SERVICE,), policies=(may(*(actions or everything)),))
    return DeadMan(actor=role)


def gcp_dead_man(cloud: GcpCloud, key: str, keeper: str, project: str = "acme") -> DeadMan:
    """A service account that may enable the key's versions, as which `keeper` (`serviceAccount:…`) may plan jobs."""
    email = f"key-dead-man@{project}.iam.gserviceaccount.com"
    account = f"projects/{project}/serviceAccounts/{email}"
    cloud.iam.role(f"projects/{project}/roles/deadMan", ACTOR_NEEDS)
    cloud.iam.bind(key, f"projects/{project}/roles/deadMan", f"serviceAccount:{email}")
    cloud.iam.role(f"projects/{project}/roles/plansJobs", [each for each in GCP_NEEDS if each.startswith("cloudsch")])
    cloud.iam.bind(f"projects/{project}", f"projects/{project}/roles/plansJobs", keeper)
    cloud.iam.role(f"projects/{project}/roles/actsAs", [each for each in GCP_NEEDS if each.startswith("iam.")])
    cloud.iam.bind(account, f"projects/{project}/roles/actsAs", keeper)
    return DeadMan(actor=f"serviceAccount:{email}")
