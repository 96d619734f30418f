"""AWS KMS with one's own credentials, on keys of this run alone: each carries the tag `keycheck-live` from birth."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final
from urllib.parse import urlsplit

import boto3
from botocore import xform_name
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from live_journal import Journal, Stop
from live_normal import Plain, Symbols, answered, words
from live_session import CaseError, Limits, NotOursError, Seen, Session
from recording import Recording

TAG: Final = "keycheck-live"
WAITING_DAYS: Final = 7
"""The shortest that KMS takes."""
GOING: Final = ("PendingDeletion", "PendingReplicaDeletion")
_READS: Final = words(
    "DescribeKey ListKeyPolicies GetKeyPolicy ListGrants ListKeyRotations ListResourceTags GetKeyRotationStatus "
    "GetKeyLastUsage LookupEvents ListKeys"
)
_CREATES: Final = frozenset({"CreateKey", "ReplicateKey"})
_KEYS_OF: Final = ("KeyId", "SourceKeyId", "DestinationKeyId")
_MOST_KEYS: Final = 10_000
_REAL: Final = re.compile(r"(?:[a-z0-9-]+\.)+(?:amazonaws\.com(?:\.cn)?|amazonaws\.eu|api\.aws)")
_WORDS: Final = words(
    "KeyState KeyManager KeyUsage Origin CustomerMasterKeySpec KeySpec EncryptionAlgorithm EncryptionAlgorithms "
    "ExpirationModel MultiRegionKeyType RotationType KeyMaterialState ImportState Operations PolicyNames PolicyName "
    "Operation SourceEncryptionAlgorithm DestinationEncryptionAlgorithm Description Name TagKey Region "
    "KeyMaterialDescription tenant TENANT purpose"
)
_NAMES: Final = words("KeyId Arn KeyArn SourceKeyId AWSAccountId GranteePrincipal IssuingAccount RetiringPrincipal")
_NUMBERED: Final = {
    "KeyMaterialId": "material",
    "CurrentKeyMaterialId": "material",
    "SourceKeyMaterialId": "material",
    "DestinationKeyMaterialId": "material",
    "GrantId": "grant",
}
_FIXED: Final = {"GrantToken": "<token>", "NextMarker": "<marker>", "NextToken": "<marker>", "TagValue": "<run>"}


class AwsSession(Session):
    """One account, one or two regions."""

    def __init__(
        self,
        boto: boto3.Session,
        region: str,
        replica_region: str,
        run: str,
        journal: Journal,
        recording: Recording,
        symbols: Symbols,
        stop: Stop,
        limits: Limits,
    ) -> None:
        super().__init__(recording, symbols, stop, limits)
        self.region = region
        self.replica_region = replica_region
        self.run = run
        self.caller = ""
        self.account = ""
        self._boto = boto
        self._journal = journal
        self._clients: dict[tuple[str, str], object] = {}
        self._ours: dict[str, set[str]] = {}
        """Key id -> regions in which this run made it."""
        self._unsure = False
        """Whether something may have been created whose name never arrived."""
        symbols.public(region, "<region>")
        symbols.public(replica_region, "<region-2>")
        symbols.fixed(run, "<run>")

    def client(self, service: str, region: str) -> object:
        """Time-outs and tries bounded; which endpoint, profile and environment say."""
        if (service, region) not in self._clients:
            settings = Config(
                connect_timeout=10,
                read_timeout=30,
                retries={"mode": "standard", "total_max_attempts": 4},
                user_agent_extra="keycheck-live",
            )
            self._clients[service, region] = self._boto.client(service, region_name=region, config=settings)  # type: ignore[call-overload]  # services by name
        return self._clients[service, region]

    def cloud(self) -> str:
        """`aws` only where the calls go to AWS over TLS; anything else is a fake, whatever it answers."""
        urls = [
            urlsplit(self.client(service, self.region).meta.endpoint_url)  # type: ignore[attr-defined]
            for service in ("kms", "sts", "cloudtrail")
        ]
        real = all(url.scheme == "https" and _REAL.fullmatch(url.hostname or "") for url in urls)
        return "aws" if real else "fake"

    def who(self) -> str:
        """The account of the credentials. Raise CaseError where that cannot be told."""
        seen = self._sent("sts", "GetCallerIdentity", {}, self.region)
        account, arn = seen.answer.get("Account"), seen.answer.get("Arn")
        if not isinstance(account, str) or not isinstance(arn, str):
            raise CaseError(
                f"sts GetCallerIdentity was refused with {seen.code}: check the profile and its credentials"
            )
        self.account, self.caller = account, arn
        for part in ("user/", "assumed-role/"):
            if part in arn:
                self.symbols.fixed(arn[arn.index(part) :], f"{part}<principal>")
        self.symbols.fixed(arn, "<caller>")
        self.symbols.fixed(account, "<account>")
        user = seen.answer.get("UserId")
        if isinstance(user, str):
            self.symbols.fixed(user, "<user-id>")
        return account

    def perform(self, operation: str, request: Mapping[str, object]) -> Seen:
        if "BypassPolicyLockoutSafetyCheck" in request:
            raise NotOursError("BypassPolicyLockoutSafetyCheck is never sent")
        sent = dict(request)
        region = sent.pop("InRegion", self.region)
        if not isinstance(region, str):
            raise NotOursError("InRegion is the name of a region")
        if operation not in _READS and operation != "CreateKey":
            named = [sent[name] for name in _KEYS_OF if name in sent]
            if not named or not all(isinstance(each, str) and _id(each) in self._ours for each in named):
                raise NotOursError(f"{operation} was asked for a key that this run did not create")
        service = "cloudtrail" if operation == "LookupEvents" else "kms"
        if operation not in _CREATES:
            return self._sent(service, operation, sent, region)
        where = str(sent["ReplicaRegion"]) if operation == "ReplicateKey" else region
        sent["Tags"] = [{"TagKey": TAG, "TagValue": self.run}]
        with self.stop.held():
            self._journal.write("create", run=self.run, operation=operation, region=where)
            seen = self._sent("kms", operation, sent, region)
            self._unsure |= seen.retried or seen.status == "client"
            if seen.ok:
                self._born(seen.answer, where)
            else:
                self._journal.write("refused", run=self.run, code=seen.code)
        return seen

    def _born(self, answer: Mapping[str, object], region: str) -> None:
        about = answer.get("KeyMetadata", answer.get("ReplicaKeyMetadata"))
        key = about.get("KeyId") if isinstance(about, Mapping) else None
        if not isinstance(key, str):
            self._unsure = True
            return
        self._ours.setdefault(key, set()).add(region)
        self._journal.write("created", run=self.run, key=key, region=region)

    def _sent(self, service: str, operation: str, request: Mapping[str, object], region: str) -> Seen:
        method = xform_name(operation)
        try:
            answer = getattr(self.client(service, region), method)(**request)
        except ClientError as error:
            told = error.response["Error"]
            about = error.response["ResponseMetadata"]
            status = str(about.get("HTTPStatusCode", ""))
            again = bool(about.get("RetryAttempts"))
            return Seen(code=told.get("Code", ""), message=told.get("Message", ""), status=status, retried=again)
        except BotoCoreError as error:
            return Seen(code=type(error).__name__, message="", status="client")
        again = bool(answer.pop("ResponseMetadata", {}).get("RetryAttempts"))
        metadata = answer.get("KeyMetadata", answer.get("ReplicaKeyMetadata", {}))
        if "KeyId" in metadata:
            self.symbols.numbered("key", metadata["KeyId"])
        if operation == "LookupEvents":
            return Seen(answer, {"Events": "<list>"})
        return Seen(answer, answered(answer, self.symbols, self._rule), retried=again)

    def _rule(self, name: str, text: str) -> str:
        if name in _WORDS or name in _NAMES:
            return self.symbols.substituted(text)
        if name in _NUMBERED:
            return self.symbols.numbered(_NUMBERED[name], text)
        if name in _FIXED:
            self.symbols.secret(text)
            return _FIXED[name]
        return "<text>"

    def create_key(self, step: str = "create", **request: object) -> str:
        """A key with the default policy; gives its ARN. Raise CaseError where it was refused."""
        answer = self.must(step, "CreateKey", Description="keycheck live recording; may be deleted", **request)
        about = answer["KeyMetadata"]
        if not isinstance(about, Mapping):
            raise CaseError("CreateKey gave no metadata")
        return str(about["Arn"])

    def put_policy(self, step: str, key: str, *statements: Mapping[str, object]) -> Seen:
        """Replace the key's policy, under the service's own lock-out check."""
        document = {"Version": "2012-10-17", "Statement": list(statements)}
        return self.call(step, "PutKeyPolicy", KeyId=key, PolicyName="default", Policy=json.dumps(document))

    def root(self) -> str:
        """The account in a policy; in the partition of the caller."""
        return f"arn:{self.caller.split(':')[1]}:iam::{self.account}:root"

    def clean(self) -> Sequence[str]:
        left: list[str] = []
        for key, regions in self._ours.items():
            for region in sorted(regions, key=lambda name: name == self.region):  # replicas before their primary
                left.extend(self._remove(key, region))
        if self._unsure:
            left.extend(self.clean_tagged(self.run)[1])
        return left

    def clean_tagged(self, run: str | None) -> tuple[int, Sequence[str]]:
        """Remove every key with the tag (of one run), in both regions: how many, and what is left."""
        done, left = 0, []
        for region in dict.fromkeys((self.replica_region, self.region)):
            try:
                looked = [(key, self._tagged(key, region, run)) for key in self._all_keys(region)]
            except CaseError as error:
                left.append(str(error))
                continue
            keys = [key for key, tagged in looked if tagged]
            unread = sum(tagged is None for _, tagged in looked)
            if unread:
                left.append(f"perhaps: the tags of {unread} keys in {region} could not be read")
            for key in keys:
                problems = self._remove(key, region)
                left.extend(problems)
                done += not problems
        return done, left

    def _remove(self, key: str, region: str) -> Sequence[str]:
        seen = self._sent("kms", "ScheduleKeyDeletion", {"KeyId": key, "PendingWindowInDays": WAITING_DAYS}, region)
        about = self._sent("kms", "DescribeKey", {"KeyId": key}, region).answer.get("KeyMetadata")
        state = about.get("KeyState") if isinstance(about, Mapping) else None
        if state in GOING:
            self._journal.write("removed", run=self.run, key=key, region=region)
            return []
        return [
            f"{key} in {region} ({seen.code or state}): aws kms schedule-key-deletion --region {region} --key-id {key} "
            f"--pending-window-in-days {WAITING_DAYS}"
        ]

    def _all_keys(self, region: str) -> Iterator[str]:
        request: dict[str, object] = {"Limit": 1000}
        for _ in range(_MOST_KEYS // 1000):
            seen = self._sent("kms", "ListKeys", request, region)
            if not seen.ok:
                raise CaseError(f"the keys in {region} could not be listed ({seen.code}): look for the tag {TAG} there")
            for each in mappings(seen.answer.get("Keys")):
                yield str(each["KeyId"])
            if not seen.answer.get("Truncated"):
                return
            request["Marker"] = seen.answer["NextMarker"]
        raise CaseError(f"more than {_MOST_KEYS} keys in {region}: this is no scratch account; remove them by hand")

    def _tagged(self, key: str, region: str, run: str | None) -> bool | None:
        """None where that could not be read."""
        seen = self._sent("kms", "ListResourceTags", {"KeyId": key}, region)
        if not seen.ok:
            return None
        return any(
            tag.get("TagKey") == TAG and run in (None, tag.get("TagValue")) for tag in mappings(seen.answer.get("Tags"))
        )

    def shape(self, event: str) -> Plain:
        """A CloudTrail event: its fields, and the values of those that hold the service's own words."""
        try:
            document = json.loads(event)
        except ValueError:
            return "<text>"
        return answered(document, self.symbols, self._event_rule)

    def _event_rule(self, name: str, text: str) -> str:
        if name in _EVENT_WORDS:
            return self.symbols.substituted(text)
        if name == "keyMaterialId":
            return self.symbols.numbered("material", text)
        if name in ("keyId", "ARN", "accountId", "recipientAccountId"):
            return self.symbols.substituted(text)
        return "<text>"


_EVENT_WORDS: Final = words(
    "eventVersion eventSource eventName awsRegion eventType eventCategory errorCode errorMessage tlsVersion "
    "cipherSuite keyExchange encryptionAlgorithm type tenant"
)


def mappings(value: object) -> Sequence[Mapping[str, object]]:
    """The members of a list that are mappings; none of anything else."""
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, list) else []


def _id(name: str) -> str:
    return name.rsplit("key/", 1)[-1]
