"""The application's doors and its store, over an envelope that needs no cloud."""

from __future__ import annotations

import csv
import http.client
import io
import json
import os
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from keycheck.lab.crm.contacts import SENSITIVE, Contact, InvalidContactError, NoSuchContact, Store
from keycheck.lab.crm.crc32c import crc32c
from keycheck.lab.crm.crm import Crm
from keycheck.lab.crm.envelope import Context, IntegrityFailure, KeyUnavailable, Withheld
from keycheck.lab.crm.service import KEY_UNAVAILABLE, LONGEST_BODY, Service, serve
from keycheck.lab.crm.traffic import contact, iban, work
from keycheck.lab.errors import LabError

TOKENS = {"t0ken-acme": "acme", "t0ken-globex": "globex"}
ACME, GLOBEX = "Bearer t0ken-acme", "Bearer t0ken-globex"
ADA = {
    "name": "Ada Adriaens",
    "email": "ada@customer.example",
    "phone": "+32 2 555 01 01",
    "iban": iban(7),
    "notes": "x",
}


class LocalKey:
    """Envelope encryption without a cloud, and with a switch."""

    def __init__(self) -> None:
        self._key = AESGCM(AESGCM.generate_key(256))
        self.withheld = False
        self.opened = 0
        self.serves = 10**9

    def seal(self, plaintext: bytes, context: Context) -> bytes:
        self._ask()
        nonce = os.urandom(12)
        return nonce + self._key.encrypt(nonce, plaintext, json.dumps(dict(context), sort_keys=True).encode())

    def open(self, sealed: bytes, context: Context) -> bytes:
        self._ask()
        try:
            return self._key.decrypt(sealed[:12], sealed[12:], json.dumps(dict(context), sort_keys=True).encode())
        except (InvalidTag, ValueError) as error:
            raise IntegrityFailure("not this key") from error

    def _ask(self) -> None:
        self.serves -= 1
        if self.withheld or self.serves < 0:
            raise KeyUnavailable(Withheld.DISABLED)


@pytest.fixture
def key() -> LocalKey:
    return LocalKey()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    held = Store(tmp_path / "crm.sqlite")
    yield held
    held.close()


@pytest.fixture
def crm(key: LocalKey, store: Store) -> Crm:
    return Crm(key, store)


@pytest.fixture
def service(crm: Crm) -> Service:
    return Service(crm, TOKENS)


def ask(service: Service, method: str, path: str, body: object = None, authorization: str = ACME) -> tuple[int, object]:
    sent = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = service.respond(method, path, sent, authorization)
    return answer.status, json.loads(answer.body) if answer.body else None


def test_a_contact_goes_in_and_comes_out(service: Service) -> None:
    assert ask(service, "POST", "/v1/contacts/1", ADA) == (201, {"id": "1"})
    assert ask(service, "GET", "/v1/contacts/1") == (200, {"id": "1", "country": "BE", **ADA})
    assert ask(service, "GET", "/v1/contacts?limit=10&after=0") == (200, {"ids": ["1"]})
    assert ask(service, "DELETE", "/v1/contacts/1") == (204, None)
    assert ask(service, "GET", "/v1/contacts/1") == (404, {"error": "no such contact"})
    assert ask(service, "DELETE", "/v1/contacts/1") == (404, {"error": "no such contact"})
    assert ask(service, "GET", "/healthz", authorization="") == (200, {"status": "ok"})


def test_a_withheld_key_has_its_declared_answer_and_nothing_more(service: Service, key: LocalKey, store: Store) -> None:
    ask(service, "POST", "/v1/contacts/1", ADA)
    key.withheld = True
    for method, body in (("GET", b""), ("POST", json.dumps(ADA).encode())):
        answer = service.respond(method, "/v1/contacts/1", body, ACME)
        assert (answer.status, answer.body) == (503, KEY_UNAVAILABLE)
    assert json.loads(KEY_UNAVAILABLE) == {"error": "key unavailable"}
    assert ask(service, "POST", "/v1/contacts/2", ADA)[0] == 503
    assert [row.id for row in store.list("acme")] == ["1"]
    assert ask(service, "GET", "/v1/contacts")[0] == 200
    key.withheld = False
    assert ask(service, "GET", "/v1/contacts/1")[0] == 200


@pytest.mark.parametrize("opened", range(len(SENSITIVE)))
def test_a_key_withheld_in_mid_record_gives_no_partial_plaintext(service: Service, key: LocalKey, opened: int) -> None:
    ask(service, "POST", "/v1/contacts/1", ADA)
    key.serves = opened
    answer = service.respond("GET", "/v1/contacts/1", b"", ACME)
    assert (answer.status, answer.body) == (503, KEY_UNAVAILABLE)


def test_a_key_withheld_in_mid_write_stores_nothing(crm: Crm, key: LocalKey, store: Store) -> None:
    key.serves = len(SENSITIVE) - 1
    with pytest.raises(KeyUnavailable):
        crm.put(contact(1))
    assert store.list("acme") == ()


def test_a_damaged_record_and_a_lost_store_are_other_answers(service: Service, store: Store) -> None:
    ask(service, "POST", "/v1/contacts/1", ADA)
    ask(service, "POST", "/v1/contacts/2", {**ADA, "name": "Bram"})
    with sqlite3.connect(store.path) as file:
        file.execute("UPDATE contacts SET email = (SELECT email FROM contacts WHERE id = '2') WHERE id = '1'")
    file.close()
    assert ask(service, "GET", "/v1/contacts/1") == (502, {"error": "record damaged"})
    assert ask(service, "GET", "/v1/contacts/2")[0] == 200
    store.close()
    assert ask(service, "GET", "/v1/contacts/2") == (500, {"error": "store unavailable"})


def test_text_where_sealed_bytes_should_be_is_damage(service: Service, store: Store) -> None:
    ask(service, "POST", "/v1/contacts/1", ADA)
    with sqlite3.connect(store.path) as file:
        file.execute("UPDATE contacts SET name = 'Ada Adriaens'")
    file.close()
    assert ask(service, "GET", "/v1/contacts/1")[0] == 502


def test_tenants_do_not_see_each_other(service: Service) -> None:
    ask(service, "POST", "/v1/contacts/1", ADA)
    assert ask(service, "GET", "/v1/contacts/1", authorization=GLOBEX)[0] == 404
    assert ask(service, "GET", "/v1/contacts", authorization=GLOBEX) == (200, {"ids": []})
    assert ask(service, "DELETE", "/v1/contacts/1", authorization=GLOBEX)[0] == 404
    assert ask(service, "GET", "/v1/contacts/1")[0] == 200


@pytest.mark.parametrize(
    "given", ["", "Bearer", "Bearer ", "Bearer wrong", "Basic t0ken-acme", "Bearer t0ken-acme ", "Bearer \xe9"]
)
def test_without_its_token_nothing_is_told(service: Service, given: str) -> None:
    assert ask(service, "GET", "/v1/contacts/1", authorization=given) == (401, {"error": "unauthorized"})


def test_a_service_needs_a_token(crm: Crm) -> None:
    for tokens in ({}, {"": "acme"}):
        with pytest.raises(LabError):
            Service(crm, tokens)


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/v1/contacts/1", b"", 400),
        ("POST", "/v1/contacts/1", b"{", 400),
        ("POST", "/v1/contacts/1", b"[" * 60_000, 400),
        ("POST", "/v1/contacts/1", b"\xff\xfe", 400),
        ("POST", "/v1/contacts/1", {"name": 1}, 400),
        ("POST", "/v1/contacts/1", {"name": "x", "tenant": "globex"}, 400),
        ("POST", "/v1/contacts/1", {"email": "x"}, 400),
        ("POST", "/v1/contacts/1", {"name": ""}, 400),
        ("POST", "/v1/contacts/1", b'{"name":"\\ud800"}', 400),
        ("POST", "/v1/contacts/1", {"name": "x" * 4_097}, 400),
        ("POST", "/v1/contacts/1", b"x" * (LONGEST_BODY + 1), 413),
        ("POST", "/v1/contacts/..%2f", ADA, 400),
        ("GET", "/v1/contacts/a/b", None, 400),
        ("GET", "/v1/contacts/", None, 400),
        ("GET", "/v1/contacts?limit=0", None, 400),
        ("GET", "/v1/contacts?limit=99999999999", None, 400),
        ("GET", "/v1/contacts?limit=1&limit=2", None, 400),
        ("GET", "/v1/contacts?other=1", None, 400),
        ("GET", "/v1/export?format=xml", None, 400),
        ("GET", "/v1/" + "x" * 3_000, None, 414),
        ("GET", "/v2", None, 404),
        ("PATCH", "/v1/contacts/1", None, 405),
        ("DELETE", "/v1/contacts", None, 405),
        ("POST", "/healthz", None, 405),
    ],
)
def test_bad_requests_have_answers(service: Service, method: str, path: str, body: object, status: int) -> None:
    got, told = ask(service, method, path, body)
    assert got == status
    assert isinstance(told, dict)
    assert set(told) == {"error"}


def test_exports_hold_rows_as_stored(service: Service, crm: Crm, store: Store) -> None:
    work(crm, 7)
    work(crm, 2, tenant="globex")
    lines = service.respond("GET", "/v1/export?format=ndjson", b"", ACME).body.decode().splitlines()
    rows = [json.loads(line) for line in lines]
    read = list(csv.DictReader(io.StringIO(service.respond("GET", "/v1/export?format=csv", b"", ACME).body.decode())))
    assert rows == read
    assert [row["id"] for row in rows] == [f"c-{number:06d}" for number in range(7)]
    assert {row["tenant"] for row in rows} == {"acme"}
    plain = contact(3)
    for name in SENSITIVE:
        if value := getattr(plain, name):
            assert all(value not in line for line in lines)


def test_nothing_sensitive_stands_in_the_file(crm: Crm, store: Store) -> None:
    work(crm, 20)
    store.close()
    held = b"".join(path.read_bytes() for path in store.path.parent.iterdir())
    assert b"c-000019" in held
    for number in range(20):
        for name in SENSITIVE:
            value: str = getattr(contact(number), name)
            assert not value or value.encode() not in held


def test_a_vendor_may_leave_a_field_in_the_clear_or_bind_nothing(key: LocalKey, store: Store) -> None:
    careless = Crm(key, store, context=lambda tenant, record, place: {}, sealed=SENSITIVE[1:])
    careless.put(contact(1))
    row = store.get("acme", "c-000001")
    assert row.values["name"] == contact(1).name
    assert isinstance(row.values["email"], bytes)
    assert careless.get("acme", "c-000001") == contact(1)
    with pytest.raises(IntegrityFailure):
        Crm(key, store).get("acme", "c-000001")


def test_two_processes_share_a_store(crm: Crm, key: LocalKey, store: Store) -> None:
    other = Store(store.path)
    work(crm, 3)
    assert Crm(key, other).get("acme", "c-000002") == contact(2)
    other.delete("acme", "c-000002")
    other.close()
    with pytest.raises(NoSuchContact):
        crm.get("acme", "c-000002")


def test_contacts_hide_themselves_and_refuse_what_cannot_be_stored() -> None:
    assert repr(contact(1)) == "Contact(tenant='acme', id='c-000001')"
    for wrong in ({"id": ""}, {"id": "../x"}, {"tenant": "a b"}, {"country": "be"}, {"name": ""}):
        with pytest.raises(InvalidContactError):
            Contact(**{"tenant": "acme", "id": "1", "name": "x", **wrong})


def test_practice_ibans_have_right_check_digits() -> None:
    for number in range(0, 100_000, 7_919):
        text = iban(number)
        moved = text[4:] + text[:4]
        assert int("".join(str(int(letter, 36)) for letter in moved)) % 97 == 1


def test_crc32c_as_the_rfc_computes_it() -> None:
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(bytes(32)) == 0x8A9136AA  # RFC 3720 B.4
    assert crc32c(b"\xff" * 32) == 0x62A8AB43
    assert crc32c(bytes(range(32))) == 0x46DD794E


def test_served_over_sockets(service: Service, key: LocalKey) -> None:
    with serve(service) as url:
        address = urlsplit(url).netloc
        connection = http.client.HTTPConnection(address, timeout=5)
        headers = {"Authorization": ACME}
        connection.request("POST", "/v1/contacts/1", json.dumps(ADA), headers)
        assert connection.getresponse().read() == b'{"id":"1"}\n'
        connection.request("GET", "/v1/contacts/1", headers=headers)
        answer = connection.getresponse()
        assert (answer.status, json.loads(answer.read())["name"]) == (200, ADA["name"])
        connection.request("GET", "/v1/contacts?limit=1", headers=headers)
        assert json.loads(connection.getresponse().read()) == {"ids": ["1"]}
        key.withheld = True
        connection.request("GET", "/v1/contacts/1", headers=headers)
        answer = connection.getresponse()
        assert (answer.status, answer.read()) == (503, KEY_UNAVAILABLE)
        connection.request("HEAD", "/healthz")
        answer = connection.getresponse()
        assert (answer.status, answer.read()) == (200, b"")
        connection.close()
    with pytest.raises(OSError):  # noqa: PT011  refused or reset: the server is gone
        socket.create_connection(("127.0.0.1", int(address.rpartition(":")[2])), timeout=1)


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"POST /v1/contacts/1 HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n", b"413"),
        (b"POST /v1/contacts/1 HTTP/1.1\r\nContent-Length: -1\r\n\r\n", b"411"),
        (b"POST /v1/contacts/1 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", b"411"),
        (b"GET http://[ HTTP/1.1\r\n\r\n", b"401"),
        (b"nonsense\r\n\r\n", b"400"),
    ],
)
def test_hostile_requests_are_answered_and_cut(service: Service, head: bytes, status: bytes) -> None:
    with serve(service) as url, socket.create_connection(("127.0.0.1", urlsplit(url).port or 0), timeout=5) as peer:
        peer.sendall(head)
        assert status in peer.recv(200)


def test_many_clients_at_once(service: Service, crm: Crm) -> None:
    work(crm, 1)
    statuses: list[int] = []

    def read(address: str) -> None:
        connection = http.client.HTTPConnection(address, timeout=10)
        for _ in range(10):
            connection.request("GET", "/v1/contacts/c-000000", headers={"Authorization": ACME})
            answer = connection.getresponse()
            answer.read()
            statuses.append(answer.status)
        connection.close()

    with serve(service) as url:
        threads = [threading.Thread(target=read, args=(urlsplit(url).netloc,)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert statuses == [200] * 80


def test_without_a_cloud_no_sdk_is_loaded() -> None:
    code = (
        "import sys, keycheck.lab.crm.service, keycheck.lab.crm.traffic\n"
        "sys.exit(bool({'boto3', 'botocore', 'google', 'grpc', 'tink', 'aws_encryption_sdk'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=30).returncode == 0


def test_only_loopback_is_served(service: Service) -> None:
    with pytest.raises(LabError), serve(service, "0.0.0.0"):
        pass
