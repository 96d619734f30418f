"""The least privilege that looking at data sets needs: to read their buckets, to open the sample, to read the log that
ties canaries. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from keycheck.canonical import Jsonable
from keycheck.model.deployment import SubjectEntry
from probes.fields.planning import key_resource
from probes.fields.subjects import Dataset, Files
from probes.keys.permissions import Paper
from probes.keys.subjects import Key

_GLOB: Final = re.compile(r"[*?\[]")
_LOGS: Final = ("logging.logEntries.list", "logging.privateLogEntries.list")


def dataset_papers(datasets: Iterable[Dataset], subjects: tuple[SubjectEntry, ...]) -> Iterator[Paper]:
    """One paper an identity and what it is for. `subjects`: everything that the deployment names."""
    sets = list(datasets)
    yield from _openers(sets, subjects)
    yield from _readers(sets)
    yield from _ties(sets, subjects)


def _keys_of(dataset: Dataset, subjects: tuple[SubjectEntry, ...]) -> Iterator[str]:
    """Resource names of the keys under which the sample is opened."""
    return filter(None, (key_resource(rule, subjects) for rule in dataset.fields))


def _openers(sets: Iterable[Dataset], subjects: tuple[SubjectEntry, ...]) -> Iterator[Paper]:
    keys: dict[str, set[str]] = {}
    for dataset in sets:
        if dataset.opening is not None:
            keys.setdefault(dataset.opening.identity, set()).update(_keys_of(dataset, subjects))
    for identity, resources in sorted(keys.items()):
        amazon = sorted(name for name in resources if name.startswith("arn:"))
        if amazon:
            yield Paper(
                "aws",
                identity,
                "attach to the identity that opens samples, and allow it the same in the key policy; nothing else",
                _policy([("Open", ["kms:Decrypt"], amazon)]),
            )
        for name in sorted(name for name in resources if name.startswith("projects/")):
            yield Paper(
                "gcp",
                identity,
                f"bind as a custom role on {name}, to the identity that opens samples; nothing else",
                _role("opens samples", ["cloudkms.cryptoKeyVersions.useToDecrypt"]),
                name,
            )


def _readers(sets: Iterable[Dataset]) -> Iterator[Paper]:
    places: dict[tuple[str, str], set[tuple[str, str]]] = {}
    for dataset in sets:
        if isinstance(dataset.source, Files):
            for location in (*dataset.source.files, *dataset.beside):
                scheme, _, rest = location.partition("://")
                if scheme in ("s3", "gs") and rest:
                    bucket, _, path = rest.partition("/")
                    fixed = _GLOB.split(path, maxsplit=1)[0]
                    places.setdefault((scheme, dataset.source.identity or ""), set()).add((bucket, fixed))
    for (scheme, identity), found in sorted(places.items()):
        buckets = sorted({bucket for bucket, _ in found})
        if scheme == "s3":
            objects = sorted({f"arn:aws:s3:::{bucket}/{path}*" for bucket, path in found})
            yield Paper(
                "aws",
                identity,
                "attach to the identity that reads the export; where the bucket encrypts with a key of its own "
                "(SSE-KMS), it needs kms:Decrypt on that key, too",
                _policy(
                    [
                        ("List", ["s3:ListBucket"], [f"arn:aws:s3:::{bucket}" for bucket in buckets]),
                        ("Read", ["s3:GetObject"], objects),
                    ]
                ),
            )
        else:
            for bucket in buckets:
                whole = ["storage.buckets.get"] if (bucket, "") in found else []
                yield Paper(
                    "gcp",
                    identity,
                    f"bind as a custom role on the bucket {bucket}, to the identity that reads the export",
                    _role("reads exports", [*whole, "storage.objects.get", "storage.objects.list"]),
                    bucket,
                )


def _ties(sets: Iterable[Dataset], subjects: tuple[SubjectEntry, ...]) -> Iterator[Paper]:
    """Whose log ties canaries, read as the key's own `identities.log`."""
    named = {
        f"keys/{rule.key}" for dataset in sets if dataset.canaries is not None for rule in dataset.fields if rule.key
    }
    keys = [Key.model_validate(entry.body.parsed()) for entry in subjects if entry.id in named]
    for identity in sorted({key.identities.log or "" for key in keys if key.provider == "aws"}):
        yield Paper(
            "aws",
            identity,
            "attach to the identity that reads the key's log, which ties canaries to the live store",
            _policy([("Log", ["cloudtrail:LookupEvents"], ["*"])]),
        )
    for identity, project in sorted(
        {(key.identities.log or "", key.resource.split("/")[1]) for key in keys if key.provider == "gcp"}
    ):
        yield Paper(
            "gcp",
            identity,
            f"bind as a custom role on projects/{project}, to the identity that reads the key's log",
            _role("ties canaries", list(_LOGS)),
            f"projects/{project}",
        )


def _policy(statements: Iterable[tuple[str, list[str], list[str]]]) -> Mapping[str, Jsonable]:
    allowed: list[Jsonable] = [
        {"Sid": sid, "Effect": "Allow", "Action": [*actions], "Resource": [*resources]}
        for sid, actions, resources in statements
    ]
    return {"Version": "2012-10-17", "Statement": allowed}


def _role(title: str, permissions: list[str]) -> Mapping[str, Jsonable]:
    return {"title": f"keycheck, {title}", "stage": "GA", "includedPermissions": sorted(permissions)}
