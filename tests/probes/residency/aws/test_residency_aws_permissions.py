"""Every call is read-only, exists in the SDK, and is in what is printed."""

from __future__ import annotations

import botocore.session
import pytest
from residency_aws import resource

from probes.residency.aws.operations import OPERATIONS
from probes.residency.permissions import reading_papers, store_actions


@pytest.mark.parametrize("service", sorted({spec.service for spec in OPERATIONS.values()}))
def test_operations_are_the_sdks_and_read_alone(service: str) -> None:
    from botocore import xform_name

    names = botocore.session.get_session().get_service_model(service).operation_names
    known = {xform_name(name): name for name in names}
    for name, spec in OPERATIONS.items():
        if spec.service == service:
            assert known[spec.method] == name.partition(":")[2]
            assert known[spec.method].startswith(("Get", "List", "Describe", "Head"))


def test_papers_read_alone_and_without_objects_no_contents() -> None:
    found = reading_papers([resource("arn:aws:s3:::a", others=("elsewhere",)), resource("arn:aws:s3:::b", objects=0)])
    assert {paper.identity for paper in found} == {"auditor", "elsewhere"}
    assert "s3:GetObject" not in store_actions(objects=False)
    for action in store_actions():
        assert action.partition(":")[2].startswith(("Get", "List", "Describe"))
