"""Reads once through a witness that the deployment declares, and says what was seen.

Proves that at one moment the vendor's service gave out the canary, or refused with the words that it declared
beforehand. Everything else is `unavailable` and proves nothing about the key. Nothing that a reply or a program said
stands in the words: it may echo what was sent.
"""

from __future__ import annotations

import os
import signal
import ssl
import subprocess
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Final, Protocol, assert_never

from keycheck.errors import ProbeError
from keycheck.model.deployment import CommandWitness, HttpWitness, Witness
from keycheck.model.probe import Io, Resolver
from keycheck.model.verdict import Reason
from probes.clouds.bounded_http import NoReply, Reply, Request, ask, parse_target
from probes.keys.timeline import Path, Sample, Saw

MAX_SECRET: Final = 8192
_FRAMING: Final = frozenset({"host", "content-length", "transfer-encoding", "connection", "accept-encoding", "te"})
_NOT_LET_IN: Final = frozenset({401, 407, 429})


@dataclass(frozen=True, slots=True)
class Reading:
    """What one read saw, in words for people."""

    saw: Saw
    words: str = ""


class Reader(Protocol):
    """A witness, ready to be asked."""

    def read(self, seconds: float) -> Reading:
        """One read, over within `seconds`. Raises nothing that the other side can cause."""


def open_witness(
    witness: Witness, io: Io, environment: Mapping[str, str], canary: str = "", *, writes: bool = False
) -> Reader:
    """Make a witness ready. `environment` holds the secrets of `env:` references and is what a command inherits.

    With `canary` a reply of an HTTP witness counts as readable only where it holds that value too. `writes`: it may be
    one that makes the vendor write. Raises ProbeError for what has to be mended before anything is changed: a URL, a
    header's reference, a trust store.
    """
    match witness:
        case HttpWitness() if witness.method == "PUT" and not writes:
            raise ProbeError(Reason.UNSUPPORTED, f"witness {witness.id} writes (PUT): name one here that only reads")
        case HttpWitness():
            return open_http(witness, io, environment, canary)
        case CommandWitness():
            return CommandReader(witness.argv, io.base, dict(environment))
        case _:
            assert_never(witness)


def sample(
    reader: Reader, path: Path, by: str, *, began: float, seconds: float, monotonic: Callable[[], float]
) -> Sample:
    """One read as a sample of a timeline; `began` is when the act began, on the same clock."""
    start = monotonic()
    reading = reader.read(seconds)
    end = monotonic()
    return Sample(path, round((start - began) * 1e6), round((end - start) * 1e6), reading.saw, reading.words, by)


@dataclass(frozen=True, slots=True)
class HttpReader:
    """An HTTP read of the canary's record."""

    request: Request
    readable: bytes = field(repr=False)
    withheld: bytes = field(repr=False)
    canary: bytes = field(repr=False)
    context: ssl.SSLContext | None = field(repr=False)
    resolver: Resolver = field(repr=False)
    monotonic: Callable[[], float] = field(repr=False)

    def read(self, seconds: float) -> Reading:
        """One request; redirects are not followed."""
        return self.fetch(seconds)[0]

    def fetch(self, seconds: float) -> tuple[Reading, bytes]:
        """The same, with the body of the reply, which is a stranger's."""
        reply = ask(self.request, seconds, context=self.context, resolver=self.resolver, monotonic=self.monotonic)
        if isinstance(reply, NoReply):
            return Reading(Saw.UNAVAILABLE, reply.words), b""
        return self._judged(reply), reply.body

    def _judged(self, reply: Reply) -> Reading:
        said = f"HTTP {reply.status}"
        readable, withheld = self.readable in reply.body, self.withheld in reply.body
        if reply.status in _NOT_LET_IN:
            return Reading(Saw.UNAVAILABLE, f"{said}: the witness itself was not let in")
        if 300 <= reply.status < 400:
            return Reading(Saw.UNAVAILABLE, f"{said}: a redirect, which is not followed")
        if withheld and (readable or (self.canary and self.canary in reply.body)):
            return Reading(Saw.UNAVAILABLE, f"{said} with what readable and what withheld looks like at once")
        if withheld:
            return Reading(Saw.WITHHELD, f"{said} with the declared words")
        if not readable:
            return Reading(Saw.UNAVAILABLE, f"{said} without any of the declared words")
        if not 200 <= reply.status < 300:
            return Reading(Saw.UNAVAILABLE, f"{said} with what readable looks like, but no success")
        if self.canary not in reply.body:
            return Reading(Saw.UNAVAILABLE, f"{said} with what readable looks like, but without the canary's value")
        return Reading(Saw.READABLE, said)


@dataclass(frozen=True, slots=True)
class CommandReader:
    """A program: exit 0 readable, 1 withheld, anything else unavailable. Its output goes nowhere."""

    argv: tuple[str, ...] = field(repr=False)
    base: FilePath
    environment: Mapping[str, str] = field(repr=False)

    def read(self, seconds: float) -> Reading:
        """One run, in a process group of its own that is killed when the time is over.

        A child that leaves the group (`setsid`) is out of reach.
        """
        try:
            child = subprocess.Popen(  # noqa: S603 - the customer's own program, as the deployment names it
                self.argv,
                cwd=self.base,
                env=dict(self.environment),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            return Reading(Saw.UNAVAILABLE, f"the command cannot be started ({type(error).__name__})")
        try:
            code = child.wait(seconds)
        except subprocess.TimeoutExpired:
            return Reading(Saw.UNAVAILABLE, f"the command did not end within {seconds:g} s")
        finally:
            if child.returncode is None:
                with suppress(ProcessLookupError):
                    os.killpg(child.pid, signal.SIGKILL)
                child.wait()
        if code == 0:
            return Reading(Saw.READABLE, "exit 0")
        if code == 1:
            return Reading(Saw.WITHHELD, "exit 1")
        return Reading(Saw.UNAVAILABLE, f"exit {code}" if code > 0 else f"ended by signal {-code}")


def open_http(witness: HttpWitness, io: Io, environment: Mapping[str, str], canary: str = "") -> HttpReader:
    """Make an HTTP witness ready, whatever its method. Raises ProbeError."""
    where = f"witness {witness.id}"
    try:
        target = parse_target(witness.url, io.vantage.proxy if witness.url.startswith("https:") else None)
    except ValueError as error:
        raise ProbeError(Reason.UNSUPPORTED, f"{where}: {error}") from None
    headers = [("Accept-Encoding", "identity"), ("Cache-Control", "no-cache"), ("Connection", "close")]
    body = b""
    if witness.body is not None:
        body = _secret(f"{where}: body", witness.body, io.base, environment).encode("ascii")
    if witness.method != "GET":
        headers.append(("Content-Length", str(len(body))))
    for name, reference in witness.headers:
        if name.lower() in _FRAMING:
            raise ProbeError(Reason.UNSUPPORTED, f"{where}: the header {name} is keycheck's own")
        headers.append((name, _secret(f"{where}: header {name}", reference, io.base, environment)))
    if canary and any(canary in text for text in (witness.url, *(value for _, value in headers))):
        raise ProbeError(
            Reason.UNSUPPORTED, f"{where}: the request itself holds the canary's value, so an echo would look like data"
        )
    for one, other in ((witness.readable, witness.withheld), (witness.withheld, witness.readable)):
        if one in other:
            raise ProbeError(
                Reason.UNSUPPORTED, f"{where}: one of readable and withheld is part of the other; choose distinct texts"
            )
    return HttpReader(
        Request(target, witness.method, tuple(headers), body),
        witness.readable.encode("utf-8"),
        witness.withheld.encode("utf-8"),
        canary.encode("utf-8"),
        _context(where, io) if target.encrypted else None,
        io.resolver,
        io.monotonic,
    )


def _context(where: str, io: Io) -> ssl.SSLContext:
    """The vantage's trust store, or the system's."""
    bundle = io.vantage.ca_bundle
    try:
        return ssl.create_default_context(cafile=None if bundle is None else str(io.base / bundle))
    except (OSError, ssl.SSLError) as error:
        raise ProbeError(
            Reason.PERMISSION_DENIED, f"{where}: the vantage's ca_bundle cannot be used ({type(error).__name__})"
        ) from None


def _secret(where: str, reference: str, base: FilePath, environment: Mapping[str, str]) -> str:
    """What `env:NAME` or `file:PATH` points at. Raises ProbeError, which never holds it."""
    kind, _, name = reference.partition(":")
    try:
        value = environment.get(name, "") if kind == "env" else _first_bytes(base / name)
    except (OSError, UnicodeDecodeError) as error:
        raise ProbeError(
            Reason.PERMISSION_DENIED, f"{where}: {reference} cannot be read ({type(error).__name__})"
        ) from None
    value = value.strip()
    if not 1 <= len(value) <= MAX_SECRET or not (value.isascii() and value.isprintable()):
        raise ProbeError(
            Reason.PERMISSION_DENIED,
            f"{where}: {reference} holds no line of 1 to {MAX_SECRET} printable ASCII characters",
        )
    return value


def _first_bytes(path: FilePath) -> str:
    with path.open("rb") as file:
        return file.read(MAX_SECRET + 2).decode("utf-8")
