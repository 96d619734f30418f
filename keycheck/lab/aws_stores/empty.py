"""Services of which the estate has nothing: each says so.

Source: botocore's models of the services.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from keycheck.lab.aws_stores.asked import Handler
from keycheck.lab.aws_stores.serialised import Output


def _nothing(**members: object) -> Handler:
    told: Output = dict(members)
    return lambda ask: told


HANDLERS: Final[Mapping[str, Mapping[str, Handler]]] = {
    "ecr": {"DescribeRepositories": _nothing(repositories=[])},
    "elasticache": {"DescribeCacheClusters": _nothing(CacheClusters=[])},
    "fsx": {"DescribeFileSystems": _nothing(FileSystems=[])},
    "glacier": {"ListVaults": _nothing(VaultList=[])},
    "kinesis": {"ListStreams": _nothing(StreamNames=[], HasMoreStreams=False)},
    "logs": {"DescribeLogGroups": _nothing(logGroups=[])},
    "opensearch": {"ListDomainNames": _nothing(DomainNames=[])},
    "redshift": {"DescribeClusters": _nothing(Clusters=[])},
    "sqs": {"ListQueues": _nothing(QueueUrls=[])},
}
"""By the SDK's name of the service, and operation."""
