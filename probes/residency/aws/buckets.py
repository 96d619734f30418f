"""S3: where a bucket is, how it is encrypted, and every bucket that something of it goes to, in other accounts too."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from keycheck.errors import ProbeError
from keycheck.model.facts import Unseen
from keycheck.model.types import vendor_text
from keycheck.model.verdict import Reason
from probes.clouds.aws.errors import AwsError
from probes.clouds.aws.reading import (
    Answer,
    MalformedError,
    child,
    child_or_none,
    children,
    flag,
    instant_or_none,
    parsing,
    text,
    text_or_none,
)
from probes.residency.aws.asking import Asking, Door
from probes.residency.aws.graph import PENDING, in_region, seen_not, unknown
from probes.residency.aws.keys import Keys
from probes.residency.aws.names import bucket_of, is_bucket, is_region
from probes.residency.aws.objects import sampled
from probes.residency.store_facts import MAX_NODES, Basis, EdgeKind, Encryption, NodeKind

ALGORITHMS: Final = ("aws:kms", "aws:kms:dsse")
_CONSTRAINTS: Final = {"": "us-east-1", "EU": "eu-west-1"}
"""What GetBucketLocation says of buckets of before there were names of Regions (S3 API reference)."""
_EXPRESS: Final = frozenset(
    {"us-east-1", "us-east-2", "us-west-2", "ap-northeast-1", "ap-south-1", "eu-north-1", "eu-west-1"}
)
"""Regions with directory buckets (S3 user guide, "S3 Express One Zone Regions"); there may be more by now."""
_NO_RULES: Final = "ReplicationConfigurationNotFoundError"
_NO_DEFAULT: Final = "ServerSideEncryptionConfigurationNotFoundError"
_GONE: Final = ("NoSuchBucket", "404")


@dataclass(frozen=True, slots=True)
class Listed:
    """A bucket as ListBuckets tells it."""

    name: str
    region: str | None


@dataclass(slots=True)
class Buckets:
    """The buckets of one walk, each looked at once."""

    asking: Asking
    keys: Keys
    _met: set[str] = field(default_factory=set)
    waiting: list[tuple[str, str | None]] = field(default_factory=list)
    """Buckets that were met on the way, with their account where it is told."""

    def id(self, name: str) -> str:
        """The ARN of a bucket, which names neither Region nor account."""
        return f"arn:{self.asking.partition}:s3:::{name}"

    def look(self, name: str, account: str | None = None) -> None:
        """One bucket, and those that it leads to, until there are no more."""
        self.waiting.append((name, account))
        while self.waiting:
            found, owner = self.waiting.pop()
            if found in self._met:
                continue
            if len(self._met) >= MAX_NODES:
                self.asking.opens(self.id(name), unknown(f"more than {MAX_NODES} buckets"), "everything")
                self.waiting.clear()
                return
            self._met.add(found)
            self._look(found, owner)

    def _look(self, name: str, told: str | None) -> None:
        graph, id = self.asking.graph, self.id(name)
        door = self.asking.of(told) or self.asking.door
        try:
            region = self.region(name, door)
        except ProbeError as error:
            # Wherever it is: it was named as somewhere that data lies.
            graph.ends(id, "stores", error)
            graph.put(id, NodeKind.BUCKET, told, seen_not(error), seen_not(error))
            self._follow(id, name, None, door)
            return
        door, owner = self._owner(name, region, told, door)
        account = told or owner
        encryption = self._encryption(id, name, region, account, door)
        looked = self.asking.subject.objects
        objects = None
        if owner is not None or told is None:
            objects = sampled(self.asking, self.keys, door, name, id, region, account, looked)
        else:
            graph.ends(id, "encryption", unknown(f"objects were not looked at: no identity is in account {told}"))
        note = None if owner == self.asking.door.account else "in an account that is not told"
        if account is not None and account != self.asking.door.account:
            note = f"in account {account}"
        graph.put(id, NodeKind.BUCKET, account, in_region(region), encryption, objects=objects, note=note)
        self.keys.tie(id, encryption, "default")
        for under in () if objects is None else objects.encrypted_under:
            self.keys.tie(id, under.encryption, "objects")
        self._follow(id, name, region, door)

    def region(self, name: str, door: Door) -> str:
        """Where a bucket is: S3 tells it beside every answer to HeadBucket, to whomever asks, and to its readers by
        GetBucketLocation. Raises ProbeError, conflicting where the two differ."""
        told = self._told(name, door)
        first = told or self.asking.home
        operation = "s3:GetBucketLocation"
        try:
            answer = self.asking.ask(operation, first, door, Bucket=name)
        except AwsError as error:
            if told is not None and error.code not in _GONE:
                return told
            raise
        except ProbeError:
            if told is not None:
                return told
            raise
        with parsing(operation):
            constraint = text_or_none(answer, "LocationConstraint") or ""
            located = _CONSTRAINTS.get(constraint, constraint)
            if not is_region(located):
                raise MalformedError("a LocationConstraint that names no Region")
        if told is not None and told != located:
            raise ProbeError(
                Reason.CONFLICTING, f"HeadBucket says {told} and GetBucketLocation says {located}; ask AWS's support"
            )
        return located

    def _told(self, name: str, door: Door) -> str | None:
        operation = "s3:HeadBucket"
        try:
            answer = self.asking.ask(operation, self.asking.home, door, Bucket=name)
            with parsing(operation):
                told = text_or_none(answer, "BucketRegion")
        except AwsError as error:
            if error.code in _GONE:
                raise ProbeError(Reason.UNREACHABLE, f"{operation}: there is no such bucket; check its name") from error
            told = error.bucket_region
        if told is not None and not is_region(told):
            raise ProbeError(Reason.MALFORMED, f"{operation}: x-amz-bucket-region names no Region")
        return told

    def _owner(self, name: str, region: str, told: str | None, door: Door) -> tuple[Door, str | None]:
        """Who may ask about it, and its account where one of our identities is in it: S3 refuses whoever expects
        another owner."""
        doors = (self.asking.door, *self.asking.others) if told is None else (door,)
        for each in doors:
            if told is not None and each.account != told:
                break
            try:
                self.asking.ask("s3:HeadBucket", region, each, Bucket=name, ExpectedBucketOwner=each.account)
            except ProbeError:
                continue
            return each, each.account
        return door, None

    def _encryption(self, id: str, name: str, region: str, account: str | None, door: Door) -> Encryption | Unseen:
        operation = "s3:GetBucketEncryption"
        try:
            answer = self.asking.ask(operation, region, door, Bucket=name)
            with parsing(operation):
                rules = children(child(answer, "ServerSideEncryptionConfiguration"), "Rules", required=True)
                if len(rules) != 1:
                    raise MalformedError("not exactly one rule")
                default = child(rules[0], "ApplyServerSideEncryptionByDefault")
                algorithm, key = text(default, "SSEAlgorithm"), text_or_none(default, "KMSMasterKeyID")
        except AwsError as error:
            if error.code == _NO_DEFAULT:
                # Since 5 January 2023 S3 applies SSE-S3 to what is written without a word (S3 user guide).
                return Encryption(method="provider-key", algorithm="AES256", key=None, key_manager="aws")
            self.asking.opens(id, error, "encryption")
            return seen_not(error)
        except ProbeError as error:
            self.asking.opens(id, error, "encryption")
            return seen_not(error)
        if algorithm in ALGORITHMS:
            return self.keys.under(key, region, account, algorithm)
        if algorithm != "AES256":
            self.asking.opens(id, unknown(f"an algorithm that is not known: {algorithm}"), "encryption")
            return unknown(f"an algorithm that is not known: {algorithm}")
        return Encryption(method="provider-key", algorithm=algorithm, key=None, key_manager="aws")

    def _follow(self, id: str, name: str, region: str | None, door: Door) -> None:
        if region is None:
            self.asking.opens(id, unknown("where it copies to was not asked, as its Region is not known"), "copies")
            return
        with self.asking.graph.opening(id, "copies"):
            self._replication(id, name, region, door)
        with self.asking.graph.opening(id, "copies"):
            self._logging(id, name, region, door)
        self._inventories(id, name, region, door)

    def _replication(self, id: str, name: str, region: str, door: Door) -> None:
        """A rule that is disabled is an edge too: what it copied before may still be there."""
        operation = "s3:GetBucketReplication"
        try:
            answer = self.asking.ask(operation, region, door, Bucket=name)
        except AwsError as error:
            if error.code != _NO_RULES:
                raise
            if name in self.asking.replicated:
                why = unknown("its objects say that they were replicated, by a rule that is gone: where to is not told")
                self.asking.opens(id, why, "copies")
            return
        with parsing(operation):
            rules = children(child(answer, "ReplicationConfiguration"), "Rules", required=True)
            if not rules:
                raise MalformedError("a replication without rules")
            for number, rule in enumerate(rules, 1):
                destination = child(rule, "Destination")
                encrypted = child_or_none(destination, "EncryptionConfiguration")
                self._replica(
                    id,
                    text(destination, "Bucket"),
                    text_or_none(destination, "Account"),
                    None if encrypted is None else text_or_none(encrypted, "ReplicaKmsKeyID"),
                    f"rule {text_or_none(rule, 'ID') or number}, {text(rule, 'Status').lower()}",
                )

    def _replica(self, id: str, target: str, account: str | None, key: str | None, detail: str) -> None:
        try:
            name = bucket_of(target)
        except ValueError:
            self.asking.opens(id, unknown(f"{detail}: a destination that is no bucket: {target}"), "copies")
            return
        basis = Basis.OFF if detail.endswith(", disabled") else Basis.CONFIGURED
        self._to(id, name, account, EdgeKind.REPLICATES, detail, basis)
        if key is not None and (place := self.asking.graph.node(self.id(name))) is not None:
            regions = getattr(place.place, "regions", ())
            written = self.keys.under(key, regions[0] if regions else self.asking.home, account, "aws:kms")
            self.keys.tie(place.id, written, f"replicas, {detail}")

    def _to(
        self, id: str, name: str, account: str | None, kind: EdgeKind, detail: str, basis: Basis = Basis.CONFIGURED
    ) -> None:
        """An edge to a bucket, which is looked at in its turn; until then it is there without a place."""
        target = self.id(name)
        if name in self._met or self.asking.graph.put(target, NodeKind.BUCKET, account, PENDING, PENDING):
            self.asking.graph.edge(id, target, kind, basis, detail)
        self.waiting.append((name, account))

    def _logging(self, id: str, name: str, region: str, door: Door) -> None:
        operation = "s3:GetBucketLogging"
        answer = self.asking.ask(operation, region, door, Bucket=name)
        with parsing(operation):
            enabled = child_or_none(answer, "LoggingEnabled")
            if enabled is None:
                return
            target = text(enabled, "TargetBucket")
            if not is_bucket(target):
                raise MalformedError("a TargetBucket that is no bucket")
        self._to(id, target, None, EdgeKind.LOGS, "server access log")

    def _inventories(self, id: str, name: str, region: str, door: Door) -> None:
        def inventory(item: Answer) -> tuple[str, str | None, str]:
            target = child(child(item, "Destination"), "S3BucketDestination")
            state = "enabled" if flag(item, "IsEnabled") else "disabled"
            try:
                bucket = bucket_of(text(target, "Bucket"))
            except ValueError as error:
                raise MalformedError("a destination that is no bucket") from error
            return bucket, text_or_none(target, "AccountId"), f"inventory {text(item, 'Id')}, {state}"

        found = self.asking.listed(
            "s3:ListBucketInventoryConfigurations",
            region,
            "InventoryConfigurationList",
            inventory,
            at=id,
            matters=("copies",),
            door=door,
            token=("ContinuationToken", "NextContinuationToken"),
            required=False,
            parameters={"Bucket": name},
        )
        for bucket, account, detail in found:
            self._to(id, bucket, account, EdgeKind.LOGS, detail)


def all_buckets(asking: Asking) -> tuple[Listed, ...]:
    """Every bucket of the account, with its Region where it is told; what is not listed is an open end."""

    def bucket(item: Answer) -> Listed:
        name, region = text(item, "Name"), text_or_none(item, "BucketRegion")
        instant_or_none(item, "CreationDate")
        if not is_bucket(name) or (region is not None and not is_region(region)):
            raise MalformedError("a bucket whose name or Region is none")
        return Listed(name, region)

    return asking.listed(
        "s3:ListBuckets",
        asking.home,
        "Buckets",
        bucket,
        at=f"s3:ListBuckets as {asking.door.who}",
        matters=("everything",),
        token=("ContinuationToken", "ContinuationToken"),
        parameters={"MaxBuckets": 1000},
    )


def directory_buckets(asking: Asking, region: str) -> None:
    """Directory buckets hold data too, and are not looked into: each is an open end.

    Most Regions have none, and no endpoint that could be asked: outside of those that AWS names, an endpoint that is
    not there means that there are none.
    """
    operation = "s3:ListDirectoryBuckets"
    try:
        answer = asking.ask(operation, region, MaxDirectoryBuckets=1000)
        with parsing(operation):
            names = [text(item, "Name") for item in children(answer, "Buckets", required=True)]
            more = text_or_none(answer, "ContinuationToken") is not None
    except ProbeError as error:
        if error.reason is not Reason.UNREACHABLE or region in _EXPRESS:
            asking.opens(f"{operation} in {region}", error, "stores")
        return
    why = unknown("directory buckets are not covered")
    for name in [*names, *(["and more of them"] if more else [])]:
        asking.opens(vendor_text(f"directory bucket {name} in {region}"), why, "everything")
