"""`keycheck tls`: what the area adds to the command line."""

from __future__ import annotations

import ipaddress
import json
import os
import socket
import sys
import time
from enum import StrEnum
from typing import Annotated

import typer

from keycheck.errors import UsageError
from keycheck.model.types import vendor_text
from keycheck.model.verdict import ExitCode
from probes.tls.inventory import Inventory, take_inventory
from probes.tls.subjects import Place, read_url
from probes.tls.wire.codepoints import ANY_SUITE, GROUPS, SSL2, SSL2_KINDS, VERSIONS
from probes.tls.wire.prelude import imap, postgresql, smtp
from probes.tls.wire.transport import Address, Prelude

app = typer.Typer(name="tls", help="Look at a TLS server directly.", rich_markup_mode=None, add_completion=False)


class Output(StrEnum):
    """How to print."""

    TEXT = "text"
    JSON = "json"


@app.callback()
def tls() -> None:
    """Look at a TLS server directly."""


@app.command()
def inventory(
    server: Annotated[str, typer.Argument(help="HOST:PORT, or a URL such as smtp://mail.example:25")],
    address: Annotated[str | None, typer.Option(help="connect to this address instead of asking DNS")] = None,
    authorized: Annotated[
        bool, typer.Option("--authorized", help="you may send this server hand-built hellos; needed off loopback")
    ] = False,
    wait: Annotated[int, typer.Option(min=1, max=30, help="seconds to wait for an answer")] = 3,
    output: Annotated[Output, typer.Option("-o", "--output", help="text or json")] = Output.TEXT,
) -> int:
    """List every protocol version, cipher suite and group of a server, in its own order.

    Sends up to some hundreds of hellos, at most eight at a time. Exit 0: complete; 3: something got no answer.
    """
    place = _place(server)
    ip = _address(place, address)
    if not (authorized or ipaddress.ip_address(ip).is_loopback):
        raise UsageError(
            f"{ip} is not on this machine",
            advice="an inventory sends hundreds of hand-built hellos: add --authorized if you may",
        )
    found = take_inventory(
        Address(ip, place.port),
        None if place.is_address else place.host,
        clock=lambda: time.monotonic_ns() // 1000,
        entropy=os.urandom,
        wait_us=wait * 1_000_000,
        prelude=lambda: _prelude(place),
    )
    sys.stdout.write(as_json(found) if output is Output.JSON else as_text(found))
    return ExitCode.MET if found.complete else ExitCode.INCOMPLETE


def _place(server: str) -> Place:
    try:
        return read_url(server if "://" in server else f"tls://{server}")
    except ValueError as error:
        raise UsageError(str(error), advice="write HOST:PORT, or a URL such as https://api.example") from error


def _address(place: Place, address: str | None) -> str:
    host = address or place.host
    try:
        found = socket.getaddrinfo(host, place.port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise UsageError(f"{host} has no address: {error.strerror}", advice="give one with --address") from error
    return str(found[0][4][0])


def _prelude(place: Place) -> Prelude | None:
    match place.scheme:
        case "https" | "tls":
            return None
        case "smtp":
            return smtp("keycheck.invalid")
        case "imap":
            return imap()
        case "postgresql":
            return postgresql()


def as_json(found: Inventory) -> str:
    """One JSON object, names beside nothing else: code points that have no name stand as hexadecimal."""
    versions = [
        {
            "version": VERSIONS.name(each.version),
            "suites": [_suite(each.version, suite) for suite in each.suites],
            "order": each.order,
            "groups": [GROUPS.name(group) for group in each.groups],
            "complete": each.complete,
            "trouble": vendor_text(each.trouble),
        }
        for each in found.offered
    ]
    report = {
        "schema": "keycheck.dev/tls-inventory/v1",
        "complete": found.complete,
        "connections": found.connections,
        "resumption": found.resumption,
        "versions": versions,
    }
    return json.dumps(report, indent=2) + "\n"


def as_text(found: Inventory) -> str:
    """A table for people."""
    lines: list[str] = []
    for each in found.offered:
        order = {"server": "server's order", "client": "client's order", "unknown": "order unknown"}[each.order]
        lines.append(f"{VERSIONS.name(each.version)}  ({len(each.suites)} suites, {order})")
        lines += [f"  {_suite(each.version, suite)}" for suite in each.suites]
        if each.groups:
            lines.append("  groups: " + ", ".join(GROUPS.name(group) for group in each.groups))
        if not each.complete:
            lines.append(f"  INCOMPLETE: {vendor_text(each.trouble)}")
    lines.append(f"session resumption: {found.resumption}")
    if not any(each.suites for each in found.offered):
        lines.append("nothing was accepted: this proves nothing about the server")
    ends = "everything else was refused" if found.complete else "incomplete: silence is not a refusal"
    lines.append(f"{found.connections} connections; {ends}")
    return "\n".join(lines) + "\n"


def _suite(version: int, code: int) -> str:
    return SSL2_KINDS.name(code) if version == SSL2 else ANY_SUITE.name(code)
