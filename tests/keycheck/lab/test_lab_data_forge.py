"""What is forged by hand is what it says: the real libraries read the honest ones, and believe the dishonest ones."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from keycheck.lab import forge
from keycheck.lab.crm.aws_envelope import AwsEnvelope
from keycheck.lab.crm.envelope import IntegrityFailure
from keycheck.lab.data_keks import Kek, quiet_aws

ARN = "arn:aws:kms:eu-central-1:111122223333:key/11111111-2222-4333-a444-555555555555"
CONTEXT = {"tenant": "acme", "record": "c-1", "field": "email"}


class Opener:
    """A key service that remembers what it wrapped, for the SDK to ask."""

    def __init__(self) -> None:
        self.wrapped: dict[bytes, bytes] = {}
        self.kek = Kek(ARN, self.wrap)
        self.client = quiet_aws(self.kek, os.urandom)
        self.client.meta.events.register("before-call.kms.Decrypt", self.decrypt)
        self.envelope = AwsEnvelope(self.client, ARN)

    def wrap(self, data_key: bytes, _: object) -> bytes:
        blob = os.urandom(184)
        self.wrapped[blob] = data_key
        return blob

    def decrypt(self, params, **_):
        import base64
        import json

        from botocore.awsrequest import AWSResponse
        from botocore.compat import HTTPHeaders

        key = self.wrapped[base64.b64decode(json.loads(params["body"])["CiphertextBlob"])]
        answer = {"KeyId": ARN, "Plaintext": key, "ResponseMetadata": {"HTTPStatusCode": 200, "HTTPHeaders": {}}}
        return AWSResponse("", 200, HTTPHeaders(), b""), answer


@pytest.fixture(scope="module")
def service() -> Opener:
    return Opener()


def wrapped(service: Opener, data_key: bytes) -> list[forge.WrappedKey]:
    return [forge.WrappedKey(ARN, service.wrap(data_key, CONTEXT))]


@given(
    plaintext=st.binary(max_size=4096), context=st.dictionaries(st.text(max_size=9), st.text(max_size=9), max_size=4)
)
def test_the_sdk_opens_a_message_made_by_hand(service: Opener, plaintext: bytes, context: dict[str, str]) -> None:
    named = {name: value for name, value in context.items() if not name.startswith("aws-crypto-")}
    data_key = os.urandom(32)
    made = forge.message(data_key, wrapped(service, data_key), named, plaintext, os.urandom)
    assert service.envelope.open(made, named) == plaintext


def test_a_message_made_by_hand_is_as_long_as_the_sdks_own(service: Opener) -> None:
    data_key = os.urandom(32)
    by_hand = forge.message(data_key, wrapped(service, data_key), CONTEXT, b"x" * 40, os.urandom)
    by_sdk = service.envelope.seal(b"x" * 40, CONTEXT)
    assert len(by_hand) == len(by_sdk)
    assert by_hand[:3] == by_sdk[:3]


def test_the_sdk_believes_plaintext_in_place_of_ciphertext(service: Opener) -> None:
    """Its tag verifies, so that the SDK gives noise for it, and no error."""
    data_key, clear = os.urandom(32), b"ada@customer.example"
    made = forge.message_around(data_key, wrapped(service, data_key), CONTEXT, clear, os.urandom)
    assert clear in made
    noise = service.envelope.open(made, CONTEXT)
    assert len(noise) == len(clear)
    assert noise != clear


def test_one_changed_byte_of_either_is_refused(service: Opener) -> None:
    data_key = os.urandom(32)
    for make in (forge.message, forge.message_around):
        made = bytearray(make(data_key, wrapped(service, data_key), CONTEXT, b"ada@customer.example", os.urandom))
        made[-20] ^= 1
        with pytest.raises(IntegrityFailure):
            service.envelope.open(bytes(made), CONTEXT)


@given(body=st.binary(min_size=1, max_size=200), bound=st.binary(max_size=50))
def test_any_bytes_get_a_tag_that_verifies(body: bytes, bound: bytes) -> None:
    key, nonce = os.urandom(32), os.urandom(12)
    sealed = forge.authenticated(key, nonce, body, bound)
    assert sealed[:-16] == body
    assert len(AESGCM(key).decrypt(nonce, sealed, bound)) == len(body)
    with pytest.raises(InvalidTag):
        AESGCM(key).decrypt(nonce, sealed, bound + b"x")


def test_equal_blocks_show_in_ecb_and_not_in_cbc() -> None:
    key, clear = os.urandom(32), b"sixteen bytes ok" * 3
    blocks = forge.ecb(key, clear)
    assert len({blocks[at : at + 16] for at in range(0, 48, 16)}) == 1
    chained = forge.cbc(key, os.urandom(16), clear)
    opening = Cipher(algorithms.AES(key), modes.CBC(chained[:16])).decryptor()
    assert (opening.update(chained[16:]) + opening.finalize())[:48] == clear
    assert len({chained[at : at + 16] for at in range(0, 64, 16)}) == 4


def test_gpg_opens_the_openpgp_message(tmp_path: Path) -> None:
    if shutil.which("gpg") is None:
        pytest.skip("no gpg on the path")
    made = forge.pgp_symmetric(b"secret", b"ada@customer.example", os.urandom)
    assert made[:4].hex() == "c30d0407"
    (tmp_path / "message").write_bytes(made)
    (tmp_path / "home").mkdir(mode=0o700)
    command = ["gpg", "--homedir", str(tmp_path / "home"), "--batch", "--no-autostart", "--pinentry-mode", "loopback"]
    opened = subprocess.run(
        [*command, "--passphrase", "secret", "-d", str(tmp_path / "message")], capture_output=True, check=True
    )
    assert opened.stdout == b"ada@customer.example"


def test_openssl_opens_what_is_salted() -> None:
    made = forge.salted(b"secret", b"ada@customer.example", os.urandom)
    assert made[:8] == b"Salted__"
    if shutil.which("openssl") is None:
        pytest.skip("no openssl on the path")
    command = ["openssl", "enc", "-d", "-aes-256-cbc", "-pbkdf2", "-iter", "1", "-pass", "pass:secret"]
    assert subprocess.run(command, input=made, capture_output=True, check=True).stdout == b"ada@customer.example"


def test_a_placeholder_is_a_document_that_holds_the_value() -> None:
    made = forge.placeholder("ada@customer.example")
    assert made[0] == 0
    assert int.from_bytes(made[1:5], "little") == len(made) - 1
    assert b"\x02v\x00" in made
    assert b"ada@customer.example\x00" in made
