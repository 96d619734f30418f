"""Machine images: with whom they are shared, and what they were copied from."""

from __future__ import annotations

import pytest
from residency_aws import account, edges, opened

from probes.residency import aws
from probes.residency.store_facts import EdgeKind

OWN = "123456789012"
HOME, ABROAD = "eu-central-1", "us-east-1"
IMAGE, SOURCE = f"arn:aws:ec2:{HOME}:{OWN}:image/ami-1", f"arn:aws:ec2:{ABROAD}:{OWN}:image/ami-2"


def images(*items: str) -> str:
    inner = "".join(f"<item>{each}</item>" for each in items)
    return f"<DescribeImagesResponse><imagesSet>{inner}</imagesSet></DescribeImagesResponse>"


def permissions(*items: str) -> str:
    inner = "".join(f"<item>{each}</item>" for each in items)
    return (
        "<DescribeImageAttributeResponse><imageId>ami-1</imageId>"
        f"<launchPermission>{inner}</launchPermission></DescribeImageAttributeResponse>"
    )


@pytest.fixture
def stage(wire, sts):
    wire.xml("Action=DescribeImageAttribute", permissions())
    copied = f"<sourceImageId>ami-2</sourceImageId><sourceImageRegion>{ABROAD}</sourceImageRegion>"
    disk = "<blockDeviceMapping><item><ebs><snapshotId>snap-1</snapshotId></ebs></item></blockDeviceMapping>"
    told = images(f"<imageId>ami-1</imageId>{disk}{copied}")
    wire.regional[HOME, "Action=DescribeImages&"] = lambda said: (200, told.encode(), {})
    wire.regional[ABROAD, "Action=DescribeImages&"] = lambda said: (200, images().encode(), {})
    return wire


def test_an_image_from_anothers_in_another_region_is_no_store_there(stage, make_io) -> None:
    facts, _ = aws.walk(account(), HOME, make_io(stage.url, fresh=True))
    assert IMAGE in facts.roots
    assert SOURCE not in {each.id for each in facts.nodes}
    # Its snapshot may not be described, so that nothing is known of its data.
    assert {"encryption", "backups"} <= opened(facts, IMAGE)


def test_an_image_of_ours_in_another_region_is(stage, make_io) -> None:
    told = images("<imageId>ami-2</imageId>")
    stage.regional[ABROAD, "Action=DescribeImages&"] = lambda said: (200, told.encode(), {})
    facts, _ = aws.walk(account(), HOME, make_io(stage.url, fresh=True))
    assert edges(facts, EdgeKind.COPIES) == [(SOURCE, IMAGE)]


@pytest.mark.parametrize(
    "who",
    [
        "<userId>999988887777</userId>",
        "<group>all</group>",
        "<organizationArn>arn:aws:organizations::1:organization/o-1</organizationArn>",
    ],
)
def test_an_image_that_others_may_launch(stage, make_io, who: str) -> None:
    facts, _ = aws.walk(account(), HOME, make_io(stage.url, fresh=True))
    assert "copies" not in opened(facts, IMAGE)
    stage.xml("Action=DescribeImageAttribute", permissions(who))
    facts, _ = aws.walk(account(), HOME, make_io(stage.url, fresh=True))
    assert "copies" in opened(facts, IMAGE)
