"""EC2, as far as it holds data: volumes, snapshots, images, and the Regions.

Sources: the ec2 2016-11-15 service model of botocore; Amazon EBS User Guide, "Copy an Amazon EBS snapshot" (what a copy
says of its source), "Share a snapshot".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, TypeVar

from keycheck.lab.aws_stores.asked import Ask, Handler, sparse, split_at
from keycheck.lab.aws_stores.plan import Image, Snapshot, Volume
from keycheck.lab.aws_stores.refusals import RefusedError
from keycheck.lab.aws_stores.serialised import Output

T = TypeVar("T")
_NO_VOLUME: Final = "vol-ffffffff"
"""What a copied snapshot says that it is of: "an arbitrary volume ID that should not be used for any purpose"."""


def _page(ask: Ask, items: Sequence[T], most: int = 1000) -> tuple[Sequence[T], Output]:
    return ask.page(
        items, size="MaxResults", given="NextToken", told="NextToken", most=most, wrong="InvalidParameterValue"
    )


def _kept(ask: Ask, known: Mapping[str, tuple[str, ...]]) -> bool:
    """Whether every filter fits; the lab refuses those that it does not know, rather than to take all for fitting."""
    for name, wanted in ask.filters().items():
        if name not in known:
            raise RefusedError("InvalidParameterValue", f"The filter '{name}' is not served by the lab", 400)
        if not set(wanted) & set(known[name]):
            return False
    return True


def _named(ask: Ask, member: str, ids: Sequence[str], code: str, noun: str) -> tuple[str, ...]:
    wanted = ask.texts(member)
    missing = [id for id in wanted if id not in ids]
    if missing:
        raise RefusedError(code, f"The {noun} '{missing[0]}' does not exist.", 400)
    return wanted or tuple(ids)


def _regions(ask: Ask) -> Output:
    everything = ask.parameters.get("AllRegions") is True
    told = [
        *((region, "opt-in-not-required") for region in ask.plan.regions),
        *((region, "not-opted-in") for region in ask.plan.disabled if everything),
    ]
    wanted = ask.texts("RegionNames")
    return {
        "Regions": [
            {"RegionName": region, "Endpoint": f"ec2.{region}.amazonaws.com", "OptInStatus": status}
            for region, status in told
            if (not wanted or region in wanted) and _kept(ask, {"region-name": (region,), "opt-in-status": (status,)})
        ]
    }


def _volumes(ask: Ask) -> Output:
    here = [each for each in ask.plan.volumes if each.zone[:-1] == ask.region]
    wanted = _named(ask, "VolumeIds", [each.id for each in here], "InvalidVolume.NotFound", "volume")
    found = [
        each
        for each in here
        if each.id in wanted
        and _kept(
            ask,
            {
                "volume-id": (each.id,),
                "encrypted": (str(each.key is not None).lower(),),
                "snapshot-id": (each.from_snapshot,),
                "status": ("in-use",),
            },
        )
    ]
    page, more = _page(ask, found)
    return {"Volumes": [_volume(ask, each) for each in page], **more}


def _volume(ask: Ask, volume: Volume) -> Output:
    key = ask.key(volume.key)
    return sparse(
        VolumeId=volume.id,
        AvailabilityZone=volume.zone,
        State="in-use",
        VolumeType="gp3",
        Size=100,
        SnapshotId=volume.from_snapshot,
        CreateTime=ask.ago(volume.days),
        Encrypted=key is not None,
        KmsKeyId=key,
        Attachments=[],
    )


def _snapshots(ask: Ask) -> Output:
    here = [each for each in ask.plan.snapshots if each.region == ask.region]
    wanted = _named(ask, "SnapshotIds", [each.id for each in here], "InvalidSnapshot.NotFound", "snapshot")
    owners = ask.texts("OwnerIds")
    own = not owners or "self" in owners or ask.plan.account in owners
    found = [
        each
        for each in here
        if own
        and each.id in wanted
        and _kept(
            ask,
            {
                "snapshot-id": (each.id,),
                "volume-id": (each.volume,),
                "owner-id": (ask.plan.account,),
                "encrypted": (str(each.key is not None).lower(),),
                "status": ("completed",),
            },
        )
    ]
    page, more = _page(ask, found)
    return {"Snapshots": [_snapshot(ask, each) for each in page], **more}


def _snapshot(ask: Ask, snapshot: Snapshot) -> Output:
    key, copied = ask.key(snapshot.key), snapshot.copied_from
    description = f"Created by CreateSnapshot of {snapshot.volume}"
    if copied is not None:
        source, region = split_at(copied, ask.region)
        description = f"[Copied {source} from {region}] nightly"
    return sparse(
        SnapshotId=snapshot.id,
        VolumeId=snapshot.volume if copied is None else _NO_VOLUME,
        State="completed",
        Progress="100%",
        StartTime=ask.ago(snapshot.days),
        OwnerId=ask.plan.account,
        Description=description,
        VolumeSize=100,
        StorageTier="standard",
        Encrypted=key is not None,
        KmsKeyId=key,
        TransferType=None if copied is None else "standard",
    )


def _snapshot_attribute(ask: Ask) -> Output:
    id = ask.text("SnapshotId")
    for each in ask.plan.snapshots:
        if each.id == id and each.region == ask.region:
            shared = [{"Group": "all"} if who == "all" else {"UserId": who} for who in each.shared_with]
            return {"SnapshotId": id, "CreateVolumePermissions": shared}
    raise RefusedError("InvalidSnapshot.NotFound", f"The snapshot '{id}' does not exist.", 400)


def _images(ask: Ask) -> Output:
    here = [each for each in ask.plan.images if each.region == ask.region]
    wanted = _named(ask, "ImageIds", [each.id for each in here], "InvalidAMIID.NotFound", "image id")
    owners = ask.texts("Owners")
    own = not owners or "self" in owners or ask.plan.account in owners
    found = [
        each
        for each in here
        if own
        and each.id in wanted
        and _kept(ask, {"image-id": (each.id,), "owner-id": (ask.plan.account,), "state": ("available",)})
    ]
    page, more = _page(ask, found)
    return {"Images": [_image(ask, each) for each in page], **more}


def _image(ask: Ask, image: Image) -> Output:
    encrypted = {each.id: each.key is not None for each in ask.plan.snapshots}
    return {
        "ImageId": image.id,
        "Name": f"crm-{image.id}",
        "OwnerId": ask.plan.account,
        "State": "available",
        "ImageType": "machine",
        "Public": False,
        "CreationDate": f"{ask.ago(image.days):%Y-%m-%dT%H:%M:%S}.000Z",
        "RootDeviceType": "ebs",
        "BlockDeviceMappings": [
            {
                "DeviceName": f"/dev/sd{'abcdef'[number]}",
                "Ebs": {"SnapshotId": id, "Encrypted": encrypted.get(id, False), "VolumeSize": 100},
            }
            for number, id in enumerate(image.snapshots)
        ],
    }


def _launch_permission(ask: Ask) -> Output:
    return {"ImageId": ask.text("ImageId"), "LaunchPermissions": []}


HANDLERS: Final[Mapping[str, Handler]] = {
    "DescribeRegions": _regions,
    "DescribeVolumes": _volumes,
    "DescribeSnapshots": _snapshots,
    "DescribeSnapshotAttribute": _snapshot_attribute,
    "DescribeImages": _images,
    "DescribeImageAttribute": _launch_permission,
}
