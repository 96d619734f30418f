"""Objects of Cloud Storage, through its JSON API: listed and read in bounded pieces, as an identity of the deployment.

Source: https://cloud.google.com/storage/docs/json_api/v1/objects. Needs `storage.objects.list` and
`storage.objects.get` on the bucket. Nothing is ever written.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlencode

from keycheck.errors import ProbeError
from keycheck.model.deployment import GcpIdentity
from keycheck.model.probe import Io
from keycheck.model.types import vendor_text
from keycheck.model.verdict import Reason
from probes.clouds.bounded_http import NoReply, Reply, Request, ask, parse_target
from probes.clouds.gcp import clients
from probes.clouds.gcp.errors import translated
from probes.clouds.gcp.rest import Rest
from probes.clouds.gcp.tokens import TOKEN_S
from probes.keys.drill.gcp_calls import waiting_sleep
from probes.keys.drill.log_sources import Allowance, Stored, parsed

if TYPE_CHECKING:
    from collections.abc import Mapping

CALL_S: Final = 15.0
PIECE: Final = 512 * 1024
"""Bytes that are asked for at once."""
_PAGE: Final = 500
_MAX_TOKEN: Final = 8192
_KIND: Final = "storage#objects"
_FIELDS: Final = "kind,items(name,size),nextPageToken"
_ADVICE: Final = {
    401: (Reason.PERMISSION_DENIED, "the token is not accepted; renew the credential"),
    403: (Reason.PERMISSION_DENIED, "denied; grant storage.objects.list and storage.objects.get on the bucket"),
    404: (Reason.UNREACHABLE, "there is no such bucket or object; check its name"),
    429: (Reason.THROTTLED, "throttled; try again later"),
}


@dataclass(frozen=True, slots=True)
class GcsStore:
    """One bucket, as one identity sees it."""

    bucket: str
    identity: GcpIdentity
    io: Io
    base: str
    """`https://storage.googleapis.com`."""

    @classmethod
    def of(cls, bucket: str, ref: str | None, io: Io) -> GcsStore:
        """Nothing is asked yet. Raises ProbeError."""
        named = clients.identity_of(ref, io).storage_endpoint
        door = Rest.of("storage", named, ref, io, waiting_sleep)  # decides whom the token may be shown to
        return cls(bucket, door.identity, io, door.base)

    @property
    def where(self) -> str:
        """The bucket's URL."""
        return vendor_text(f"gs://{self.bucket}", 240)

    def list(self, prefix: str, after: str, allowance: Allowance) -> Iterator[Stored]:
        """`objects.list`, page by page."""
        token, seen = "", {""}
        while True:
            asked = {"prefix": prefix, "maxResults": str(_PAGE), "fields": _FIELDS}
            asked |= {"startOffset": after} if after else {}
            asked |= {"pageToken": token} if token else {}
            reply = self._ask(f"o?{urlencode(asked)}", (), allowance)
            answer = parsed(reply.body)
            items = answer.get("items", []) if isinstance(answer, dict) and answer.get("kind") == _KIND else None
            if not isinstance(answer, dict) or not isinstance(items, list) or len(items) > _PAGE:
                raise ProbeError(Reason.MALFORMED, "the listing of objects is none")
            for item in items:
                yield _stored(item, prefix)
            token = answer.get("nextPageToken", "")
            if token == "":
                return
            if not isinstance(token, str) or token in seen or len(token) > _MAX_TOKEN:
                raise ProbeError(Reason.MALFORMED, "the pages of the listing never end")
            seen.add(token)

    def read(self, stored: Stored, allowance: Allowance) -> bytes:
        """`objects.get` with `alt=media`, in pieces; over when as much came as was listed."""
        content = bytearray()
        path = f"o/{quote(stored.name, safe='')}?alt=media"
        while len(content) < stored.size:
            last = min(stored.size, len(content) + PIECE) - 1
            reply = self._ask(path, (("Range", f"bytes={len(content)}-{last}"),), allowance)
            if not reply.body:
                break
            content += reply.body
        if len(content) != stored.size:
            raise ProbeError(Reason.MALFORMED, "it is not as long as was listed")
        return bytes(content)

    def _ask(self, path: str, headers: tuple[tuple[str, str], ...], allowance: Allowance) -> Reply:
        seconds = min(CALL_S, allowance.left())
        target = parse_target(
            f"{self.base}/storage/v1/b/{quote(self.bucket, safe='')}/{path}",
            self.io.vantage.proxy if self.base.startswith("https:") else None,
        )
        request = Request(target, "GET", (*self._bearer(seconds).items(), *headers))
        reply = ask(
            request,
            seconds,
            context=_context(self.io) if target.encrypted else None,
            resolver=self.io.resolver,
            monotonic=self.io.monotonic,
        )
        if isinstance(reply, NoReply):
            raise ProbeError(Reason.UNREACHABLE, f"Cloud Storage: {reply.words}")
        if reply.status not in (200, 206):
            reason, advice = _ADVICE.get(reply.status, (Reason.UNREACHABLE, "the service failed; try again later"))
            raise ProbeError(reason, f"Cloud Storage as identity {self.identity.id}: HTTP {reply.status}: {advice}")
        return reply

    def _bearer(self, seconds: float) -> Mapping[str, str]:
        from google.auth.exceptions import GoogleAuthError

        try:
            return clients._tokens(self.identity, self.io).headers(min(TOKEN_S, seconds))
        except GoogleAuthError as error:
            raise translated(error, "Cloud Storage", self.identity.id) or error from None


def _context(io: Io) -> ssl.SSLContext:
    bundle = io.vantage.ca_bundle
    try:
        return ssl.create_default_context(cafile=None if bundle is None else str(io.base / bundle))
    except (OSError, ssl.SSLError) as error:
        raise ProbeError(
            Reason.UNREACHABLE, f"the vantage's ca_bundle cannot be used ({type(error).__name__})"
        ) from None


def _stored(item: object, prefix: str) -> Stored:
    if not isinstance(item, dict):
        raise ProbeError(Reason.MALFORMED, "the listing of objects is none")
    name, size = item.get("name"), item.get("size")
    if not isinstance(name, str) or not name.startswith(prefix) or len(name) > 1024:
        raise ProbeError(Reason.MALFORMED, "the listing names objects that were not asked for")
    if not isinstance(size, str) or not size.isascii() or not size.isdecimal() or len(size) > 15:
        raise ProbeError(Reason.MALFORMED, "the listing has no sizes")
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        raise ProbeError(Reason.MALFORMED, "the listing has names that are no text") from None
    return Stored(name, int(size))
