"""Lists from files and from their URLs: bounded, whole, and nothing else."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from keycheck import __version__
from keycheck.errors import KeycheckError
from keycheck.evidence.files import read_bounded
from keycheck.model.probe import Resolver
from keycheck.model.types import vendor_text
from keycheck.model.verdict import ExitCode
from probes.clouds.bounded_http import NoReply, Request, Target, ask, parse_target
from probes.residency.ranges.documents import MAX_BYTES
from probes.residency.ranges.seam import RangesError

_OK: Final = 200


class FetchError(KeycheckError):
    """A list that could not be fetched whole: another try may."""

    exit_code: Final = ExitCode.INCOMPLETE


@dataclass(frozen=True, slots=True)
class Web:
    """How lists are fetched: whom TLS trusts, how names resolve, and how long one list may take."""

    context: ssl.SSLContext
    resolver: Resolver
    monotonic: Callable[[], float]
    seconds: float = 60.0


def read_list(path: Path) -> bytes:
    """A list that the user has downloaded. Raises RangesError."""
    try:
        return read_bounded(path, MAX_BYTES)
    except OSError as error:
        raise RangesError(f"{path}: {error.strerror or error}", advice="name a file that you may read") from None


def target_of(url: str) -> Target:
    """Where a URL points. Raises RangesError for what is not https."""
    try:
        target = parse_target(url)
    except ValueError as error:
        raise RangesError(str(error), advice="write https://HOST/PATH") from None
    if not target.encrypted:
        raise RangesError("a list is fetched over https alone", advice="write https://HOST/PATH, or import a file")
    return target


def fetch_list(url: str, web: Web) -> bytes:
    """A list from its URL, over TLS alone; nothing is followed. Raises RangesError for a URL that will not do,
    FetchError where no whole list came."""
    headers = (("User-Agent", f"keycheck/{__version__}"), ("Accept", "*/*"), ("Connection", "close"))
    reply = ask(
        Request(target_of(url), "GET", headers, max_body=MAX_BYTES),
        web.seconds,
        context=web.context,
        resolver=web.resolver,
        monotonic=web.monotonic,
    )
    shown = shown_url(url)
    if isinstance(reply, NoReply):
        raise FetchError(f"{shown}: {reply.words}", advice="try again, name a mirror with --from, or import a file")
    if reply.status != _OK:
        raise FetchError(
            f"{shown} answered {reply.status}",
            advice="the provider may have moved the list: name its new URL with --from, or import a file",
        )
    return reply.body


def shown_url(url: str) -> str:
    """A URL without its query, which may hold a secret."""
    return vendor_text(url.partition("?")[0].partition("#")[0], 200)


def file_name(url: str) -> str:
    """The last part of a URL's path."""
    return urlsplit(url).path.rpartition("/")[2]
