"""A small name server on loopback: A, AAAA, aliases, client subnets (RFC 7871), and everything that hostile ones do.

Answers by the records that it was given and by who asks: the subnet that a question states counts before the address
that it comes from. Only `crm.example` and the clouds' names in the plan exist. Nothing is signed.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
from collections.abc import Iterator, Sequence
from typing import cast

import dns.edns
import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

from keycheck.lab.config import Dns, DnsManner, DnsRecord
from keycheck.lab.kept import kept

_TTL = 60
_LONGEST_CHAIN = 16
_LONGEST = 1232
"""Bytes over UDP, as DNS flag day 2020 has it."""
_PATIENCE = 5.0
_SOA = "ns.crm.example. hostmaster.crm.example. 1 3600 600 86400 60"


async def answer_questions(service: Dns, sock: socket.socket) -> asyncio.Server | asyncio.DatagramTransport:
    """Start answering on a datagram or a listening socket."""
    sock.setblocking(False)
    server = _Server(service)
    if sock.type == socket.SOCK_DGRAM:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(lambda: _Datagrams(server), sock=sock)
        return transport
    return await asyncio.start_server(kept(server.stream), sock=sock)


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, server: _Server) -> None:
        self._server = server
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)  # by the loop's word, not by its class

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        answer = self._server.answer(data, addr[0], datagram=True)
        if answer and self._transport is not None:
            self._transport.sendto(answer, addr)


class _Server:
    def __init__(self, service: Dns) -> None:
        self._service = service
        self._manners = {host.name: host.manner for host in service.hosts}

    async def stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Questions over TCP, one after another (RFC 7766)."""
        client = str(writer.get_extra_info("peername")[0])
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, TimeoutError):
            async with asyncio.timeout(_PATIENCE):
                while True:
                    size = int.from_bytes(await reader.readexactly(2), "big")
                    answer = self.answer(await reader.readexactly(size), client, datagram=False)
                    if answer is None:
                        break
                    if answer:
                        writer.write(len(answer).to_bytes(2, "big") + answer)
                        await writer.drain()
        writer.close()

    def answer(self, data: bytes, client: str, *, datagram: bool) -> bytes | None:
        """The answer; b"" for silence, None to end the connection."""
        try:
            query = dns.message.from_wire(data)
        except (dns.exception.DNSException, ValueError):
            return b""
        if len(query.question) != 1:
            return b""
        asked = query.question[0]
        name = asked.name.to_text(omit_final_dot=True).lower()
        manner = self._manner(name)
        if manner is DnsManner.SILENT:
            return b""
        if manner is DnsManner.TRUNCATED and not datagram:
            return None
        reply = dns.message.make_response(query, recursion_available=self._service.recursive)
        if not self._service.recursive:
            reply.flags |= dns.flags.AA
        subnet = _subnet(query)
        scope = self._fill(reply, name, asked.rdtype, manner, client, subnet)
        if subnet is not None:
            told = dns.edns.ECSOption(subnet.address, subnet.srclen, scope)
            reply.use_edns(0, 0, _LONGEST, options=[told])
        if manner is DnsManner.TRUNCATED:
            reply.answer.clear()
            reply.flags |= dns.flags.TC
        if manner is DnsManner.WRONG_ID:
            reply.id ^= 0x5555
        wire = reply.to_wire(max_size=65_535)
        if datagram and len(wire) > _LONGEST:
            reply.answer.clear()
            reply.flags |= dns.flags.TC
            wire = reply.to_wire()
        return wire

    def _manner(self, name: str) -> DnsManner:
        for host, manner in self._manners.items():
            if name == host or name.endswith("." + host):
                return manner
        return DnsManner.HONEST

    def _fill(
        self,
        reply: dns.message.Message,
        name: str,
        kind: dns.rdatatype.RdataType,
        manner: DnsManner,
        client: str,
        subnet: dns.edns.ECSOption | None,
    ) -> int:
        """Put the chain of aliases and the records at its end into the answer; the prefix length that it is for."""
        address = client if subnet is None else subnet.address
        wanted = dns.rdatatype.to_text(kind)
        scope = 0
        known = True
        seen: set[str] = set()
        while len(seen) < _LONGEST_CHAIN and name not in seen:
            seen.add(name)
            if alias := _hostile(name, manner):
                reply.answer.append(_rrset(name, "CNAME", [alias]))
                name = alias
                continue
            found = tuple(self._told(name, (wanted, "CNAME"), address))
            known = bool(found) or any(record.name == name for record in self._service.records)
            scope = max(scope, self._scope(name, address))
            aliases = [record.value for record in found if record.kind == "CNAME"]
            values = [record.value for record in found if record.kind == wanted]
            if values or not aliases:
                if values:
                    reply.answer.append(_rrset(name, wanted, values))
                break
            reply.answer.append(_rrset(name, "CNAME", aliases[:1]))
            name = aliases[0]
        if not known:
            reply.set_rcode(dns.rcode.NXDOMAIN)
        if manner is DnsManner.HONEST and not any(rrset.rdtype == kind for rrset in reply.answer):
            reply.authority.append(_rrset(name.split(".", 1)[-1], "SOA", [_SOA]))  # RFC 2308
        return scope

    def _scope(self, name: str, address: str) -> int:
        """For how long a prefix what is told of a name holds: also where there is nothing of the kind asked for."""
        own = [record for record in self._service.records if record.name == name and record.clients]
        return max((_length(record) for record in own if _holds(record.clients, address)), default=0)

    def _told(self, name: str, kinds: Sequence[str], address: str) -> Iterator[DnsRecord]:
        """Records of the name that this client is told: its own, where there are such, or else everybody's."""
        records = [record for record in self._service.records if record.name == name and record.kind in kinds]
        own = [record for record in records if record.clients and _holds(record.clients, address)]
        yield from own or [record for record in records if not record.clients]


def _hostile(name: str, manner: DnsManner) -> str | None:
    """The alias that leads nowhere."""
    match manner:
        case DnsManner.LOOP:
            return name.removeprefix("again.") if name.startswith("again.") else f"again.{name}"
        case DnsManner.ENDLESS:
            first, _, rest = name.partition(".")
            number = int(first[1:]) if first[:1] == "n" and first[1:].isdecimal() else 0
            return f"n{number + 1}.{rest if number else name}"
        case DnsManner.HONEST | DnsManner.SILENT | DnsManner.TRUNCATED | DnsManner.WRONG_ID:
            return None


def _subnet(query: dns.message.Message) -> dns.edns.ECSOption | None:
    return next((option for option in query.options if isinstance(option, dns.edns.ECSOption)), None)


def _holds(network: str, address: str) -> bool:
    return ipaddress.ip_address(address) in ipaddress.ip_network(network)


def _length(record: DnsRecord) -> int:
    return ipaddress.ip_network(record.clients).prefixlen


def _rrset(name: str, kind: str, values: Sequence[str]) -> dns.rrset.RRset:
    texts = [f"{value}." if kind == "CNAME" else value for value in values]
    return dns.rrset.from_text_list(f"{name}.", _TTL, "IN", kind, texts)
