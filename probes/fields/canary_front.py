"""The vendor's front door as a test account sees it: a plan's requests, bounded, and what came of them.

Nothing that a reply says stands in a message: it may echo what was sent.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from keycheck.errors import UsageError
from keycheck.model.deployment import Vantage
from keycheck.model.probe import Resolver
from probes.clouds.bounded_http import NoReply, Request, ask, parse_target
from probes.fields.canary_plan import Call, CanaryPlan

MAX_SECRET: Final = 8192
LONGEST_LEARNED: Final = 500
_FRAMING: Final = frozenset(
    {"host", "content-length", "content-type", "transfer-encoding", "connection", "accept-encoding", "te"}
)


@dataclass(frozen=True, slots=True)
class Done:
    """A reply."""

    status: int
    body: bytes = field(repr=False)
    micros: int
    """From before the connection was opened until the reply was whole."""


@dataclass(frozen=True, slots=True)
class Outside:
    """What of the world is used."""

    resolver: Resolver
    monotonic: Callable[[], float]
    environment: Mapping[str, str] = field(repr=False)
    base: Path
    """Of relative paths: the plan's own directory."""
    vantage: Vantage
    vantage_base: Path
    """Of the vantage's own paths: the deployment's directory."""


class Front:
    """Sends a plan's requests. Raises UsageError for a header's reference or a trust store that cannot be read."""

    def __init__(self, plan: CanaryPlan, outside: Outside) -> None:
        self._plan = plan
        self._outside = outside
        self._headers = tuple(
            (name, _secret(name, reference, outside.base, outside.environment)) for name, reference in plan.headers
        )
        if framing := [name for name, _ in plan.headers if name.lower() in _FRAMING]:
            raise UsageError(
                f"the header {framing[0]} is keycheck's own", advice="leave it out; `content_type` is the request's"
            )
        self._context = _context(outside.vantage, outside.vantage_base)

    def send(self, call: Call, known: dict[str, str]) -> Done | NoReply:
        """One request. Redirects are not followed."""
        url, body = call.filled(known)
        proxy = self._outside.vantage.proxy if url.startswith("https:") else None
        try:
            target = parse_target(url, proxy)
        except ValueError as error:
            return NoReply(str(error))
        headers = [("Accept-Encoding", "identity"), ("Cache-Control", "no-cache"), ("Connection", "close")]
        if call.method != "GET":
            headers.append(("Content-Length", str(len(body))))
        if call.body is not None:
            headers.append(("Content-Type", call.content_type))
        before = self._outside.monotonic()
        reply = ask(
            Request(target, call.method, (*headers, *self._headers), body),
            float(self._plan.seconds),
            context=self._context if target.encrypted else None,
            resolver=self._outside.resolver,
            monotonic=self._outside.monotonic,
        )
        if isinstance(reply, NoReply):
            return reply
        return Done(reply.status, reply.body, max(0, round((self._outside.monotonic() - before) * 1e6)))


def learned(plan: CanaryPlan, body: bytes) -> dict[str, str] | None:
    """What the reply to `create` tells; None where it does not tell all of it."""
    if not plan.learn:
        return {}
    try:
        root: object = json.loads(body)
    except (ValueError, RecursionError):
        return None
    found: dict[str, str] = {}
    for name, path in plan.learn:
        text = _at(root, path.split("."))
        if text is None:
            return None
        found[name] = text
    return found


def holds(body: bytes, value: str) -> bool:
    """Whether a reply shows a value, as it is or as JSON writes it."""
    return any(
        text.encode() in body for text in (value, json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1])
    )


def _at(node: object, steps: list[str]) -> str | None:
    for step in steps:
        if isinstance(node, dict):
            node = node.get(step)
        elif isinstance(node, list) and step.isdigit() and int(step) < len(node):
            node = node[int(step)]
        else:
            return None
    if isinstance(node, bool) or not isinstance(node, int | str):
        return None
    text = str(node)
    return text if 1 <= len(text) <= LONGEST_LEARNED and text.isprintable() else None


def _context(vantage: Vantage, base: Path) -> ssl.SSLContext:
    bundle = None if vantage.ca_bundle is None else str(base / vantage.ca_bundle)
    try:
        return ssl.create_default_context(cafile=bundle)
    except (OSError, ssl.SSLError) as error:
        raise UsageError(
            f"the ca_bundle of vantage {vantage.id} cannot be used ({type(error).__name__})", advice="name a PEM file"
        ) from None


def _secret(header: str, reference: str, base: Path, environment: Mapping[str, str]) -> str:
    kind, _, name = reference.partition(":")
    try:
        value = environment.get(name, "") if kind == "env" else _first_line(base / name)
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"header {header}: {reference} cannot be read ({type(error).__name__})", advice="check the reference"
        ) from None
    value = value.strip()
    if not 1 <= len(value) <= MAX_SECRET or not (value.isascii() and value.isprintable()):
        raise UsageError(
            f"header {header}: {reference} holds no line of 1 to {MAX_SECRET} printable ASCII characters",
            advice="put the header's whole value there, such as `Bearer …`",
        )
    return value


def _first_line(path: Path) -> str:
    with path.open("rb") as file:
        return file.read(MAX_SECRET + 2).decode("utf-8")
