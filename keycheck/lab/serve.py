"""A serving process of the lab: ``python -m keycheck.lab.serve``, started by the lab and ending with it.

Reads one line of configuration, inherits its listening sockets, prints ``ready`` with their addresses, and
lives until its standard input ends, its parent changes, or SIGTERM comes. It is a process of its own
because the groups that OpenSSL offers can only be set for a whole process, through OPENSSL_CONF.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import resource
import signal
import socket
import sys
from functools import partial

from keycheck.lab import apps
from keycheck.lab.config import Config, Dns, PlainHttp, Relay, Serve, Web, load
from keycheck.lab.reactor import Reactor
from keycheck.lab.relay import relay
from keycheck.lab.residency_web import web
from keycheck.lab.serving import doorman, rotation

_PARENT_CHECK = 0.5
_DESCRIPTORS = 16_384


def main() -> int:
    """Serve until told to stop."""
    parent = os.getppid()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which then ends us
    _raise_descriptor_limit()
    config = load(sys.stdin.buffer.readline())
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(config, parent))
    return 0


async def _serve(config: Config, parent: int) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    reactor = Reactor(loop)
    sockets: list[socket.socket] = []
    relays: list[asyncio.Server | asyncio.DatagramTransport] = []
    for listener in config.listeners:
        sock = socket.socket(fileno=listener.fd)
        sockets.append(sock)
        match listener.service:
            case Serve() as serve:
                reactor.listen(sock, rotation(serve), doorman(serve.reset_above))
            case PlainHttp(authority=authority):
                reactor.listen(sock, partial(apps.plain_http, authority))
            case Relay() as service:
                relays.append(await relay(service, sock))
            case Web() as service:
                relays.append(await web(service, sock))
            case Dns() as service:
                from keycheck.lab.residency_dns import answer_questions  # loads dnspython, which only this needs

                relays.append(await answer_questions(service, sock))
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    loop.add_reader(sys.stdin.buffer, stop.set)  # nothing more is sent: readable means ended
    bound = [f"{host}:{port}" for host, port in (sock.getsockname() for sock in sockets)]
    sys.stdout.write("ready " + json.dumps(bound) + "\n")
    sys.stdout.flush()
    while not stop.is_set() and os.getppid() == parent:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), _PARENT_CHECK)
    reactor.close()


def _raise_descriptor_limit() -> None:
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, _DESCRIPTORS)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


if __name__ == "__main__":
    sys.exit(main())
