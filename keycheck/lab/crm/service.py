"""The application's JSON API, free of sockets, and a plain server for it on loopback.

    GET    /healthz                      no token
    GET    /v1/contacts?after=&limit=    ids; needs no key
    GET    /v1/contacts/{id}
    POST   /v1/contacts/{id}             create or replace; PUT is the same
    DELETE /v1/contacts/{id}
    GET    /v1/export?format=ndjson|csv  rows as stored; needs no key; with &id= one row

A token belongs to one tenant. What is answered when the key is withheld is declared: 503 and `KEY_UNAVAILABLE`. A
store that fails is 500, a sealed value that does not open is 502: neither is to be taken for a withheld key.
"""

from __future__ import annotations

import hmac
import io
import ipaddress
import json
import sqlite3
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final, NamedTuple, Protocol
from urllib.parse import parse_qs

from keycheck.lab.crm.contacts import SENSITIVE, Contact, InvalidContactError, NoSuchContact, named
from keycheck.lab.crm.envelope import IntegrityFailure, KeyUnavailable
from keycheck.lab.crm.keeping import Contacts
from keycheck.lab.errors import LabError

KEY_UNAVAILABLE: Final = b'{"error":"key unavailable"}\n'
"""The whole body of the answer when the key is withheld."""
LONGEST_BODY: Final = 65_536
_LONGEST_PATH: Final = 2_048
_PATIENCE: Final = 10.0  # seconds that a silent client is waited for
_MOST_LISTED: Final = 1_000
_CONTACTS: Final = "/v1/contacts"


class Answer(NamedTuple):
    """An HTTP answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Responds(Protocol):
    """Whatever answers requests."""

    def respond(self, method: str, path: str, body: bytes = b"", authorization: str = "") -> Answer:
        """The answer to one request. Raises nothing."""
        ...


class Service:
    """Answers requests. ``tokens``: bearer token to tenant. Safe between threads."""

    def __init__(self, crm: Contacts, tokens: Mapping[str, str]) -> None:
        if not tokens or not all(token.isascii() and token for token in tokens):
            raise LabError("the practice service needs a token", advice="give at least one ASCII token with its tenant")
        self._crm = crm
        self._tokens = {token.encode("ascii"): tenant for token, tenant in tokens.items()}

    def admit(self, token: str, tenant: str) -> None:
        """One more token (ASCII)."""
        self._tokens = {**self._tokens, token.encode("ascii"): tenant}

    def respond(self, method: str, path: str, body: bytes = b"", authorization: str = "") -> Answer:
        """The answer to one request: ``path`` with its query, ``authorization`` the header's value. Raises nothing."""
        if len(body) > LONGEST_BODY:
            return answer(413, {"error": "body too large"})
        if len(path) > _LONGEST_PATH:
            return answer(414, {"error": "path too long"})
        target, _, query = path.partition("?")
        if target == "/healthz":
            return answer(200, {"status": "ok"}) if method in ("GET", "HEAD") else not_allowed("GET, HEAD")
        tenant = self._tenant(authorization)
        if tenant is None:
            return answer(401, {"error": "unauthorized"}, {"WWW-Authenticate": "Bearer"})
        try:
            return self.routed(method, target, query, body, tenant)
        except KeyUnavailable:
            return Answer(503, headers_of({}), KEY_UNAVAILABLE)
        except IntegrityFailure:
            return answer(502, {"error": "record damaged"})
        except NoSuchContact:
            return answer(404, {"error": "no such contact"})
        except InvalidContactError as error:
            return answer(400, {"error": str(error)})
        except sqlite3.Error:
            return answer(500, {"error": "store unavailable"})

    def _tenant(self, authorization: str) -> str | None:
        scheme, _, given = authorization.partition(" ")
        found = None
        for token, tenant in self._tokens.items():  # all of them, so that time tells nothing
            if hmac.compare_digest(token, given.encode("utf-8", "replace")):
                found = tenant
        return found if scheme.lower() == "bearer" else None

    def routed(self, method: str, target: str, query: str, body: bytes, tenant: str) -> Answer:
        """The answer to the tenant's request. Raise what `respond` catches."""
        if target == _CONTACTS:
            return self._list(tenant, query) if method == "GET" else not_allowed("GET")
        if target == "/v1/export":
            return self._export(tenant, query) if method == "GET" else not_allowed("GET")
        if not target.startswith(f"{_CONTACTS}/"):
            return answer(404, {"error": "no such page"})
        record = named(target.removeprefix(f"{_CONTACTS}/"), "id")
        match method:
            case "GET":
                return answer(200, shown(self._crm.get(tenant, record)))
            case "POST" | "PUT":
                self._crm.put(_parsed(body, tenant, record))
                return answer(201, {"id": record})
            case "DELETE":
                self._crm.delete(tenant, record)
                return Answer(204, {}, b"")
            case _:
                return not_allowed("GET, POST, PUT, DELETE")

    def _list(self, tenant: str, query: str) -> Answer:
        given = query_of(query, "after", "limit")
        limit = given.get("limit", "100")
        if not (limit.isascii() and limit.isdigit() and 1 <= int(limit[:5]) <= _MOST_LISTED):
            raise InvalidContactError(f"limit must be 1 to {_MOST_LISTED}")
        return answer(200, {"ids": self._crm.list(tenant, after=given.get("after", ""), limit=int(limit))})

    def _export(self, tenant: str, query: str) -> Answer:
        out = io.StringIO(newline="")
        given = query_of(query, "format", "id")
        record = named(given["id"], "id") if "id" in given else None
        match given.get("format", "ndjson"):
            case "ndjson":
                self._crm.store.export_ndjson(tenant, out, record)
                kind = "application/x-ndjson"
            case "csv":
                self._crm.store.export_csv(tenant, out, record)
                kind = "text/csv; charset=utf-8"
            case _:
                raise InvalidContactError("format must be ndjson or csv")
        return Answer(200, headers_of({"Content-Type": kind}), out.getvalue().encode())


def shown(contact: Contact) -> dict[str, str]:
    """A contact as answers show it."""
    return {"id": contact.id, "country": contact.country, **{name: getattr(contact, name) for name in SENSITIVE}}


def _parsed(body: bytes, tenant: str, record: str) -> Contact:
    try:
        given: object = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InvalidContactError("the body must be JSON") from error
    if not isinstance(given, dict) or not given.keys() <= {*SENSITIVE, "country"} or "name" not in given:
        raise InvalidContactError(f"the body must be an object with name, and of: {', '.join((*SENSITIVE, 'country'))}")
    if not all(isinstance(value, str) for value in given.values()):
        raise InvalidContactError("every field must be text")
    return Contact(tenant=tenant, id=record, **given)


def query_of(query: str, *known: str) -> dict[str, str]:
    """A query with at most these names, each once. Raise InvalidContactError."""
    try:
        given = parse_qs(query, strict_parsing=True, max_num_fields=len(known)) if query else {}
    except ValueError as error:
        raise InvalidContactError("the query cannot be read") from error
    if not given.keys() <= set(known) or any(len(values) > 1 for values in given.values()):
        raise InvalidContactError(f"the query knows {', '.join(known)}, each once")
    return {name: values[0] for name, values in given.items()}


def answer(status: int, body: object, headers: Mapping[str, str] | None = None) -> Answer:
    """A JSON answer."""
    content = json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"
    return Answer(status, headers_of(headers or {}), content)


def headers_of(more: Mapping[str, str]) -> Mapping[str, str]:
    """Headers of a JSON answer, and more."""
    return {"Content-Type": "application/json", "Cache-Control": "no-store", **more}


def not_allowed(allowed: str) -> Answer:
    """The answer to a method that the path does not know."""
    return answer(405, {"error": "method not allowed"}, {"Allow": allowed})


@contextmanager
def serve(service: Responds, host: str = "127.0.0.1", port: int = 0) -> Iterator[str]:
    """Serve in the clear on a loopback address, one thread for each connection, and yield the URL. Raise LabError."""
    if not ipaddress.ip_address(host).is_loopback:
        raise LabError(f"{host} is not a loopback address", advice="serve the practice application on 127.0.0.1")
    with _Server((host, port), service) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield f"http://{host}:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], service: Responds) -> None:
        self.service = service
        super().__init__(address, _Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is no error; anything else is shown as usual."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]  # whatever socketserver gave


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "practice-crm"
    sys_version = ""
    timeout = _PATIENCE
    wbufsize = -1  # head and body leave together: apart, Nagle's algorithm waits 40 ms for an acknowledgement
    server: _Server

    def _serve(self) -> None:
        length = self.headers.get("Content-Length", "0")
        if "Transfer-Encoding" in self.headers or not (length.isascii() and length.isdigit()):
            self._send(answer(411, {"error": "length required"}), last=True)
        elif int(length[:9]) > LONGEST_BODY:
            self._send(answer(413, {"error": "body too large"}), last=True)
        else:
            body = self.rfile.read(int(length))
            given = self.headers.get("Authorization", "")
            self._send(self.server.service.respond(self.command, self.path, body, given), last=len(body) < int(length))

    def _send(self, answer: Answer, *, last: bool) -> None:
        self.close_connection = self.close_connection or last
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if answer.status != 204:
            self.send_header("Content-Length", str(len(answer.body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing is logged: paths and headers may hold what is secret."""

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = _serve  # noqa: N815  names that http.server calls
