"""Stored records as a vendor shows them: by real SDKs, and hostile; and witnesses that make a vendor write."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest
from aws_encryption_sdk.identifiers import Algorithm
from aws_encryption_sdk.internal.formatting.serialize import serialize_header
from aws_encryption_sdk.structures import EncryptedDataKey, MasterKeyInfo, MessageHeader
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from keycheck.errors import ProbeError
from keycheck.model.deployment import HttpWitness, Vantage
from keycheck.model.verdict import Reason
from probes.keys.rotation_stored import MAX_WRAPPED, value_at, wrapped_keys
from probes.keys.subjects import Layout
from probes.keys.timeline import Saw
from probes.keys.witness import open_http, open_witness

ARN = "arn:aws:kms:eu-central-1:111122223333:key/00000000-0000-4000-8000-00000000cafe"
CONTEXT = {"tenant": "keycheck-1", "field": "notes", "name": "Łukasz"}


def message(version: int, *providers: str, context: dict[str, str] | None = None) -> bytes:
    from aws_encryption_sdk.identifiers import ContentType, ObjectType, SerializationVersion

    algorithm = (
        Algorithm.AES_256_GCM_HKDF_SHA512_COMMIT_KEY if version == 2 else Algorithm.AES_256_GCM_IV12_TAG16_HKDF_SHA256
    )
    keys = {
        EncryptedDataKey(MasterKeyInfo(name, ARN.encode()), b"wrapped by %s %d" % (name.encode(), number))
        for number, name in enumerate(providers)
    }
    header = MessageHeader(
        version=SerializationVersion.V2 if version == 2 else SerializationVersion.V1,
        type=ObjectType.CUSTOMER_AE_DATA,
        algorithm=algorithm,
        message_id=b"m" * (32 if version == 2 else 16),
        encryption_context=CONTEXT if context is None else context,
        encrypted_data_keys=keys,
        content_type=ContentType.FRAMED_DATA,
        frame_length=4096,
        commitment_key=b"c" * 32 if version == 2 else None,
    )
    return bytes(serialize_header(header)) + b"tag, frames"


@pytest.mark.parametrize("version", [1, 2])
def test_the_wrapped_key_and_its_context_of_an_encryption_sdk_message(version: int) -> None:
    (found,) = wrapped_keys(message(version, "aws-kms"), Layout.ENCRYPTION_SDK)
    assert (found.blob, dict(found.context), found.named) == (b"wrapped by aws-kms 0", CONTEXT, ARN)
    assert "wrapped by" not in repr(found)
    both = wrapped_keys(message(version, "raw", "aws-kms", "aws-kms", context={}), Layout.ENCRYPTION_SDK)
    assert [dict(each.context) for each in both] == [{}, {}]


def test_the_other_layouts() -> None:
    assert wrapped_keys(b"blob", Layout.BLOB)[0].blob == b"blob"
    assert wrapped_keys(b"\0\0\0\4blobpayload", Layout.TINK)[0].blob == b"blob"


@pytest.mark.parametrize(
    ("value", "layout"),
    [
        (b"", Layout.BLOB),
        (b"x" * (MAX_WRAPPED + 1), Layout.BLOB),
        (b"\xff\xff\xff\xffblob", Layout.TINK),
        (b"\0\0\0\0", Layout.TINK),
        (b"\0\0", Layout.TINK),
        (b"\x03" + b"x" * 200, Layout.ENCRYPTION_SDK),
        (message(2, "raw"), Layout.ENCRYPTION_SDK),
        (message(2, "aws-kms")[:60], Layout.ENCRYPTION_SDK),
        (b"nonce and ciphertext of a key of the vendor's own", Layout.ENCRYPTION_SDK),
    ],
)
def test_what_is_no_such_value_is_malformed(value: bytes, layout: Layout) -> None:
    with pytest.raises(ProbeError) as caught:
        wrapped_keys(value, layout)
    assert caught.value.reason is Reason.MALFORMED


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=400), st.sampled_from(Layout))
def test_no_octets_do_anything_else(value: bytes, layout: Layout) -> None:
    for octets in (value, b"\x02" + value, b"\x01\x80" + value, message(2, "aws-kms")[: len(value)] + value[:40]):
        with suppress(ProbeError):
            assert all(1 <= len(each.blob) <= MAX_WRAPPED for each in wrapped_keys(octets, layout))


def test_pointers_follow_objects_and_lists_and_nothing_else() -> None:
    value = base64.b64encode(b"stored").decode()
    body = json.dumps({"a/b": [{"~n": value}], "n": 5, "bad": "not base64!", "": value}).encode()
    assert value_at(body, "/a~1b/0/~0n") == b"stored"
    assert value_at(body, "/") == b"stored"
    for pointer in ("/a~1b/1/~0n", "/a~1b/-1", "/n", "/bad", "/missing", "/a~1b/0"):
        with pytest.raises(ProbeError, match=r"the reply|base64"):
            value_at(body, pointer)
    for hostile in (b"", b"[" * 100_000, b"\xff", b'{"n": "' + b"A" * 600_000 + b'"}'):
        with pytest.raises(ProbeError) as caught:
            value_at(hostile, "/n")
        assert caught.value.reason is Reason.MALFORMED


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=100), st.text("/~01ab", min_size=1, max_size=8))
def test_no_reply_does_anything_else(body: bytes, pointer: str) -> None:
    with suppress(ProbeError):
        value_at(body, f"/{pointer}")


@pytest.fixture
def vendor() -> Iterator[tuple[str, list[tuple[str, bytes]]]]:
    heard: list[tuple[str, bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            heard.append((self.command, self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(201)
            self.send_header("Content-Length", "7")
            self.end_headers()
            self.wfile.write(b"written")

        do_POST = do_PUT

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/x", heard
    server.shutdown()
    server.server_close()


def witness(url: str, **fields: object) -> HttpWitness:
    made = {"id": "w", "kind": "http", "url": url, "unsafe_plaintext_to_loopback": True, "readable": "written"}
    return HttpWitness.model_validate({**made, "withheld": "KEY", **fields})


def an_io(base: Path) -> object:
    import time

    return SimpleNamespace(
        vantage=Vantage(id="here"), base=base, resolver=lambda *_: ("127.0.0.1",), monotonic=time.monotonic
    )


def test_a_body_is_sent_by_reference_and_stands_in_no_repr(
    vendor: tuple[str, list[tuple[str, bytes]]], tmp_path: Path
) -> None:
    url, heard = vendor
    (tmp_path / "body").write_text('{"notes":"canary-77"}\n')
    for method in ("PUT", "POST"):
        reader = open_http(witness(url, method=method, body="file:body"), an_io(tmp_path), {})  # type: ignore[arg-type]
        assert reader.read(2.0).saw is Saw.READABLE
        assert reader.fetch(2.0)[1] == b"written"
        assert heard[-1] == (method, b'{"notes":"canary-77"}')
        assert "canary-77" not in repr(reader)
    open_http(witness(url, method="POST"), an_io(tmp_path), {}).read(2.0)  # type: ignore[arg-type]
    assert heard[-1] == ("POST", b"")


def test_what_writes_is_refused_where_only_reads_are_meant(tmp_path: Path) -> None:
    with pytest.raises(ProbeError, match="only reads"):
        open_witness(witness("http://127.0.0.1:1/", method="PUT"), an_io(tmp_path), {})  # type: ignore[arg-type]
    with pytest.raises(ValidationError, match="a GET has no body"):
        witness("http://127.0.0.1:1/", body="env:X")
    with pytest.raises(ProbeError, match="cannot be read"):
        open_http(witness("http://127.0.0.1:1/", method="PUT", body="file:gone"), an_io(tmp_path), {})  # type: ignore[arg-type]
