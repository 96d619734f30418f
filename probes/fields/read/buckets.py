"""Files in Amazon S3, in what speaks its protocol, and in Google Cloud Storage, through pyarrow's own file systems."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, NoReturn, cast
from urllib.parse import urlsplit

import pyarrow.fs as pafs

from keycheck.errors import ProbeError
from keycheck.model.deployment import HERE, AwsIdentity, GcpIdentity, Identity
from keycheck.model.once import Once
from keycheck.model.probe import Io
from keycheck.model.types import vendor_text
from keycheck.model.verdict import Reason
from probes.clouds.gcp.universes import check_endpoint, literal_loopback
from probes.fields.read.places import MAX_FILES, MAX_PATH, Entry, fixed_folder, is_glob, pattern
from probes.fields.read.streams import File
from probes.fields.subjects import Files

SECONDS: Final = 30.0
"""That one request may take."""
_DENIED: Final = ("ACCESS_DENIED", "Access Denied", "AccessDenied", "INVALID_ACCESS_KEY_ID", "SIGNATURE_DOES_NOT_MATCH")
_REDIRECTING: Final = ("CLOUD_STORAGE_EMULATOR_ENDPOINT", "CLOUD_STORAGE_TESTBENCH_ENDPOINT")
"""Google's C++ client obeys these before any endpoint that it is given, and sends the token there."""
_DENIED_STATUS: Final = ("HTTP status 403", "HTTP status 401", "PERMISSION_DENIED", "UNAUTHENTICATED")


@dataclass(frozen=True, slots=True)
class Bucket:
    """A file system of pyarrow's. Made where it is used: it holds a credential, and is not to be pickled."""

    scheme: str
    system: pafs.FileSystem

    def entries(self, location: str) -> Iterator[Entry]:
        """What a location means, sorted by path. Raises ProbeError."""
        inner = self._inner(location)
        wanted = None
        try:
            if is_glob(inner):
                wanted = pattern(inner)
                inner = fixed_folder(inner)
                if not inner:
                    raise ProbeError(Reason.UNSUPPORTED, f"{vendor_text(location, 200)}: name the bucket in full")
            else:
                found = self.system.get_file_info(inner)
                if found.type == pafs.FileType.File:
                    yield self._entry(found)
                    return
                if found.type == pafs.FileType.NotFound:
                    yield Entry(location, refusal="missing")
                    return
            below = self.system.get_file_info(pafs.FileSelector(inner, recursive=True, allow_not_found=True))
        except OSError as error:
            _refuse(location, error)
        files = (each for each in below if each.type == pafs.FileType.File)
        chosen = [each for each in files if wanted is None or wanted.fullmatch(each.path)]
        for each in sorted(chosen, key=lambda info: str(info.path))[:MAX_FILES]:
            yield self._entry(each)
        if len(chosen) > MAX_FILES:
            yield Entry(location, refusal="many")

    def entry(self, path: str) -> Entry:
        """One file now. Raises ProbeError."""
        try:
            found = self.system.get_file_info(self._inner(path))
        except OSError as error:
            _refuse(path, error)
        if found.type != pafs.FileType.File:
            raise ProbeError(Reason.CONFLICTING, f"{vendor_text(path, 200)}: it is gone since it was listed")
        return self._entry(found)

    def open(self, path: str) -> File:
        """For reading at any place. Raises ProbeError."""
        try:
            return cast(File, self.system.open_input_file(self._inner(path)))
        except OSError as error:
            _refuse(path, error)

    def opened(self, file: File, path: str) -> str:
        """A store of objects has no descriptor to ask; an object is replaced as a whole, which its entry shows."""
        return ""

    def _inner(self, location: str) -> str:
        return location.removeprefix(f"{self.scheme}://")

    def _entry(self, info: pafs.FileInfo) -> Entry:
        path = f"{self.scheme}://{info.path}"
        if not path.isprintable() or len(path) > MAX_PATH:
            return Entry(vendor_text(path, MAX_PATH), refusal="name")
        return Entry(path, info.size, f"{info.mtime_ns}-{info.size}")


def _refuse(path: str, error: OSError) -> NoReturn:
    """Their words hold addresses and what the server said: only their kind is told."""
    shown = vendor_text(path, 200)
    words = str(error)
    if isinstance(error, PermissionError) or any(mark in words for mark in (*_DENIED, *_DENIED_STATUS)):
        raise ProbeError(Reason.PERMISSION_DENIED, f"{shown}: denied to the identity; allow it to list and read")
    if isinstance(error, FileNotFoundError):
        raise ProbeError(Reason.CONFLICTING, f"{shown}: it is gone, or there is no such bucket")
    raise ProbeError(Reason.UNREACHABLE, f"{shown}: the store does not answer as it should ({type(error).__name__})")


def bucket_store(scheme: str, source: Files, base: Path, identities: tuple[Identity, ...], once: Once) -> Bucket:
    """The store of `s3` or `gs`, with the credential of the source's identity as it is now. Raises ProbeError."""
    identity = _named(source.identity, identities)
    io = _io(base, identities, once)
    system = _s3(source, identity, io) if scheme == "s3" else _gcs(source, identity, io)
    return Bucket(scheme, system)


def _named(name: str | None, identities: tuple[Identity, ...]) -> Identity | None:
    if name is None:
        return None
    found = next((each for each in identities if each.id == name), None)
    if found is None:
        raise ProbeError(Reason.PERMISSION_DENIED, f"no identity {name} is declared: add it under `identities`")
    return found


def _endpoint(source: Files) -> tuple[str, str] | None:
    """Scheme and authority of another endpoint. Raises ProbeError for one in the clear that is not on this machine."""
    if source.endpoint is None:
        return None
    parts = urlsplit(source.endpoint)
    if parts.scheme != "https" and not literal_loopback(parts.hostname or ""):
        raise ProbeError(
            Reason.UNSUPPORTED, "the source's endpoint: http:// is for this machine only; write an https:// address"
        )
    return parts.scheme, parts.netloc


def _s3(source: Files, identity: Identity | None, io: Io) -> pafs.FileSystem:
    from botocore.exceptions import BotoCoreError, ClientError

    from probes.clouds.aws.sessions import session_for

    if isinstance(identity, GcpIdentity):
        raise ProbeError(Reason.PERMISSION_DENIED, f"identity {identity.id} is of another cloud: name one of AWS")
    endpoint = _endpoint(source)
    region = source.region or (identity.region if identity else None)
    try:
        session = io.once.get(("s3", identity), lambda: session_for(io, identity, region or "us-east-1"))
        credentials = session.get_credentials()
        frozen = credentials.get_frozen_credentials() if credentials else None
    except (BotoCoreError, ClientError) as error:
        raise ProbeError(
            Reason.PERMISSION_DENIED, f"no credentials for the bucket could be had ({type(error).__name__})"
        ) from None
    region = region or session.region_name
    if frozen is None:
        raise ProbeError(Reason.PERMISSION_DENIED, "no AWS credentials are there: name an identity for the source")
    if region is None:
        raise ProbeError(Reason.UNSUPPORTED, "the bucket's Region is not known: add `region` to the source")
    options = {"scheme": endpoint[0], "endpoint_override": endpoint[1]} if endpoint else {}

    def make() -> pafs.FileSystem:
        return pafs.S3FileSystem(
            access_key=frozen.access_key,
            secret_key=frozen.secret_key,
            session_token=frozen.token,
            region=region,
            request_timeout=SECONDS,
            connect_timeout=10.0,
            retry_strategy=pafs.AwsStandardS3RetryStrategy(max_attempts=3),
            check_directory_existence_before_creation=False,
            **options,
        )

    return io.once.get(("s3", "system", frozen.access_key, frozen.token), make)


def _gcs(source: Files, identity: Identity | None, io: Io) -> pafs.FileSystem:
    from google.auth.exceptions import GoogleAuthError

    from probes.clouds.gcp import clients

    if isinstance(identity, AwsIdentity):
        raise ProbeError(
            Reason.PERMISSION_DENIED, f"identity {identity.id} is of another cloud: name one of Google Cloud"
        )
    for name in _REDIRECTING:
        if name in os.environ:
            raise ProbeError(Reason.UNSUPPORTED, f"{name} would lead to another host than the bucket's: unset it")
    endpoint = _endpoint(source)
    limit = timedelta(seconds=SECONDS)
    if endpoint is not None and endpoint[0] == "http":
        # an emulator on this machine: no token is sent in the clear
        return pafs.GcsFileSystem(anonymous=True, scheme="http", endpoint_override=endpoint[1], retry_time_limit=limit)
    chosen = clients.identity_of(None if identity is None else identity.id, io)
    options: dict[str, object] = {}
    if endpoint is not None:
        check_endpoint(chosen, endpoint[1])
        options["endpoint_override"] = endpoint[1]
    elif chosen.storage_endpoint is not None:
        check_endpoint(chosen, chosen.storage_endpoint)
        options["endpoint_override"] = chosen.storage_endpoint
    try:
        clients.refresh(chosen, io)
        held = clients.credentials(chosen, io)
    except GoogleAuthError as error:
        raise ProbeError(
            Reason.PERMISSION_DENIED, f"no credentials for the bucket could be had ({type(error).__name__})"
        ) from None
    expiry = held.expiry.replace(tzinfo=UTC) if held.expiry else datetime.max.replace(tzinfo=UTC)
    return pafs.GcsFileSystem(
        access_token=held.token, credential_token_expiration=expiry, retry_time_limit=limit, **options
    )


def _io(base: Path, identities: tuple[Identity, ...], once: Once) -> Io:
    """What the session makers ask of the world: where files lie, and what is shared."""
    return Io(
        vantage=HERE,
        budget=SECONDS,
        demands=(),
        samples=0,
        authorized=frozenset(),
        base=base,
        environment={},
        resolver=_nowhere,
        clock=_now,
        entropy=os.urandom,
        identities=identities,
        once=once,
    )


def _now() -> datetime:
    return datetime.now(UTC)


def _nowhere(host: str, seconds: float) -> tuple[str, ...]:
    raise ProbeError(Reason.UNSUPPORTED, "names are looked up by the store's own client")
