"""Objects of S3, through the SDK: listed and read in bounded pieces, as an identity of the deployment.

Needs `s3:ListBucket` and `s3:GetObject` (and `kms:Decrypt` where the bucket's files are sealed with a key). Nothing is
ever written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

from keycheck.errors import ProbeError
from keycheck.model.probe import Io
from keycheck.model.types import vendor_text
from keycheck.model.verdict import Reason
from probes.clouds.aws.bounded import until
from probes.clouds.aws.clients import Access, api
from probes.clouds.aws.errors import answering
from probes.clouds.aws.reading import Answer, structure
from probes.clouds.aws.sessions import config_for, making, verify_for
from probes.keys.drill.log_sources import Allowance, Stored

if TYPE_CHECKING:
    from botocore.awsrequest import AWSResponse
    from botocore.client import BaseClient

CALL_S: Final = 20.0
PIECE: Final = 512 * 1024
"""Bytes that are asked for at once: half of what the SDK's clients here read of any answer."""
_MAX_TOKEN: Final = 8192
_BODY: Final[ContextVar[list[bytes] | None]] = ContextVar("body", default=None)


@dataclass(frozen=True, slots=True)
class S3Store:
    """One bucket, as one identity sees it."""

    bucket: str
    region: str
    access: Access
    monotonic: Callable[[], float]

    @classmethod
    def of(cls, bucket: str, ref: str | None, partition: str, region: str, io: Io) -> S3Store:
        """Nothing is asked yet. Raises ProbeError."""
        return cls(bucket, region, api(io, ref, partition, region).access, io.monotonic)

    @property
    def where(self) -> str:
        """The bucket's URI."""
        return vendor_text(f"s3://{self.bucket}", 240)

    def list(self, prefix: str, after: str, allowance: Allowance) -> Iterator[Stored]:
        """ListObjectsV2, page by page."""
        token, seen = "", {""}
        while True:
            asked: dict[str, Any] = {"Bucket": self.bucket, "Prefix": prefix}
            asked |= {"ContinuationToken": token} if token else {"StartAfter": after} if after else {}
            answer = self._ask("s3:ListBucket", "list_objects_v2", asked, allowance)
            listed, more = answer.get("Contents", []), answer.get("IsTruncated")
            if not isinstance(listed, list) or not isinstance(more, bool):  # the SDK reads any XML as an answer
                raise ProbeError(Reason.MALFORMED, "the listing of objects is none")
            for item in listed:
                yield _stored(item, prefix)
            if not more:
                return
            following = answer.get("NextContinuationToken")
            if not isinstance(following, str) or following in seen or len(following) > _MAX_TOKEN:
                raise ProbeError(Reason.MALFORMED, "the pages of the listing never end")
            seen.add(following)
            token = following

    def read(self, stored: Stored, allowance: Allowance) -> bytes:
        """GetObject, in pieces; over when as much came as was listed."""
        content = bytearray()
        while len(content) < stored.size:
            last = min(stored.size, len(content) + PIECE) - 1
            asked = {"Bucket": self.bucket, "Key": stored.name, "Range": f"bytes={len(content)}-{last}"}
            taken: list[bytes] = []
            token = _BODY.set(taken)
            try:
                self._ask("s3:GetObject", "get_object", asked, allowance)
            finally:
                _BODY.reset(token)
            if not taken or not taken[-1]:
                break
            content += taken[-1]
        if len(content) != stored.size:
            raise ProbeError(Reason.MALFORMED, "it is not as long as was listed")
        return bytes(content)

    def _ask(self, operation: str, method: str, asked: dict[str, Any], allowance: Allowance) -> Answer:
        end = self.monotonic() + min(CALL_S, allowance.left())
        with answering(operation, self.access.who, self.region):
            client = self._client()
            with until(end):
                call = cast("Callable[..., object]", getattr(client, method))
                return structure("the answer", call(**asked))

    def _client(self) -> BaseClient:
        access = self.access

        def make() -> BaseClient:
            from botocore.config import Config

            access.belongs(self.region)
            build = cast("Callable[..., BaseClient]", access.session.client)
            # whole files are checked by what they hold, and pieces have no checksum
            config = config_for(access.vantage, 10.0).merge(Config(response_checksum_validation="when_required"))
            with making(access.once):
                client = build(
                    "s3", region_name=self.region, config=config, verify=verify_for(access.vantage, access.base)
                )
            # The SDK gives an object's bytes as a stream, which our bound has read to its end by then.
            client.meta.events.register("needs-retry.s3.GetObject", _keep, unique_id="keycheck-body")
            return client

        return access.once.get(("aws", "drill", "s3", *access.key, self.region), make)


def _keep(response: tuple[AWSResponse, object] | None, **_: object) -> None:
    taken = _BODY.get()
    if taken is not None and response is not None and response[0].status_code in (200, 206):
        taken.append(response[0].content)


def _stored(item: object, prefix: str) -> Stored:
    if not isinstance(item, dict):
        raise ProbeError(Reason.MALFORMED, "the listing of objects is none")
    name, size = item.get("Key"), item.get("Size")
    if not isinstance(name, str) or not name.startswith(prefix) or len(name) > 1024:
        raise ProbeError(Reason.MALFORMED, "the listing names objects that were not asked for")
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise ProbeError(Reason.MALFORMED, "the listing has no sizes")
    return Stored(name, size)
