"""MongoDB's key vault: whose key wraps the data keys that values only name."""

from __future__ import annotations

import base64
import json
import os
import random
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
import yaml
from fields_whole import ORIGIN, Ran, scan
from scan_stage import ARN, OTHER_ARN, jwe, kms_blob

from keycheck.errors import ProbeError
from keycheck.model.verdict import Kind, Reason
from probes.fields.formats.mongo import vault_key
from probes.fields.key_vault import MAX_BYTES, read_key_vault

DATA = Path(os.environ.get("KEYCHECK_DATA") or Path(__file__).resolve().parents[3].parent / "shared" / "data")
VECTORS = DATA / "vectors"
CORPUS = pytest.mark.skipif(
    not (VECTORS / "mongo_corpus-encrypted.json").exists(), reason="no shared data: set KEYCHECK_DATA"
)
PROVIDERS = ("aws", "azure", "gcp", "kmip", "local")
RNG = random.Random(4)
FIRST, SECOND, STRANGER = (RNG.randbytes(16) for _ in range(3))
Document = dict[str, object]


def binary(content: bytes, subtype: str) -> Document:
    return {"$binary": {"base64": base64.b64encode(content).decode(), "subType": subtype}}


def aws(id: bytes, key: str = ARN) -> Document:
    master = {"provider": "aws", "region": "eu-central-1", "key": key}
    return {"_id": binary(id, "04"), "keyMaterial": binary(kms_blob(RNG, 96), "00"), "masterKey": master}


def local(id: bytes) -> Document:
    sealed = binary(RNG.randbytes(160), "00")
    return {"_id": binary(id, "04"), "keyMaterial": sealed, "masterKey": {"provider": "local"}}


def value(id: bytes) -> str:
    """A random value of the client side's encryption, of a text."""
    return base64.b64encode(b"\x02" + id + b"\x02" + RNG.randbytes(16 + 32 + 32)).decode()


def run(folder: Path, vault: Sequence[Document] | None, values: Sequence[str]) -> Ran:
    """A whole run over these values, with this vault."""
    rows = "".join(json.dumps({"id": str(number), "email": each}) + "\n" for number, each in enumerate(values))
    (folder / "contacts.ndjson").write_text(rows)
    entry: dict[str, object] = {
        "id": "crm",
        "source": {"kind": "files", "files": ["contacts.ndjson"]},
        "origin": dict(ORIGIN),
        "fields": [
            {"column": "email", "class": "email", "format": "mongo", "key": "contacts"},
            {"column": "id", "class": "none"},
        ],
    }
    if vault is not None:
        (folder / "vault.json").write_text("\n".join(map(json.dumps, vault)))
        entry["key_vault"] = "vault.json"
    key = {"id": "contacts", "provider": "aws", "resource": ARN, "model": "direct-kms", "on_key_loss": "withheld"}
    (folder / "map.yaml").write_text(yaml.safe_dump({"deployment": "mongo", "keys": [key], "datasets": [entry]}))
    return scan(folder / "map.yaml")


def told(ran: Ran, control: str) -> Kind:
    (kind,) = ran.verdicts("datasets/crm")[f"fields.{control}"]
    return kind


def test_data_keys_under_the_customers_key(tmp_path: Path) -> None:
    ran = run(tmp_path, [aws(FIRST), aws(SECOND)], [value(FIRST)] * 3 + [value(SECOND)] * 2)
    email = ran.columns()["email"]
    assert sorted((each.provider, each.key, each.count) for each in email.wrapped) == [("aws-kms", ARN, 5)]
    assert (email.unwrapped, email.wraps) == (0, (1, 1))
    assert told(ran, "escrow") is Kind.PASS
    assert told(ran, "key") is Kind.INCONCLUSIVE  # a claim until a sample is opened


@pytest.mark.parametrize("second", [aws(SECOND, OTHER_ARN), local(SECOND)], ids=["other-key", "local"])
def test_one_data_key_under_another_key_is_a_breach(tmp_path: Path, second: Document) -> None:
    ran = run(tmp_path, [aws(FIRST), second], [value(FIRST)] * 9 + [value(SECOND)])
    assert {each.count for each in ran.columns()["email"].wrapped} == {9, 1}
    assert told(ran, "key") is Kind.FAIL
    assert told(ran, "escrow") is Kind.FAIL


def test_a_data_key_that_is_not_in_the_vault_is_a_doubt(tmp_path: Path) -> None:
    ran = run(tmp_path, [aws(FIRST)], [value(FIRST)] * 4 + [value(STRANGER)])
    email = ran.columns()["email"]
    assert (sum(each.count for each in email.wrapped), email.unwrapped, email.wraps) == (4, 1, (0, 1))
    assert told(ran, "key") is told(ran, "escrow") is Kind.INCONCLUSIVE


def test_without_a_vault_nothing_is_known(tmp_path: Path) -> None:
    ran = run(tmp_path, None, [value(FIRST)])
    assert ran.columns()["email"].wrapped == ()
    assert told(ran, "key") is told(ran, "escrow") is Kind.INCONCLUSIVE


def test_a_key_id_of_another_format_is_none_of_the_vault(tmp_path: Path) -> None:
    """Whoever seals under a key of their own may name it as they like."""
    named = [jwe(RNG, 20, kid=FIRST.hex()).decode().replace("\n", "") for _ in range(3)]
    email = run(tmp_path, [aws(FIRST)], [value(FIRST), *named]).columns()["email"]
    assert all(each.key != ARN for each in email.wrapped)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("not json", Reason.MALFORMED),
        ("[" * 100_000, Reason.MALFORMED),
        ('[{"_id": 1}]', Reason.MALFORMED),
        ("[" + json.dumps(aws(FIRST)), Reason.MALFORMED),
        ("[" + json.dumps(aws(FIRST)) + "] x", Reason.MALFORMED),
        (json.dumps(aws(FIRST)) + json.dumps(aws(FIRST, OTHER_ARN)), Reason.CONFLICTING),
        (" " * (MAX_BYTES + 1), Reason.MALFORMED),
        (None, Reason.PERMISSION_DENIED),
    ],
    ids=["no-json", "deep", "no-key", "open", "more", "twice", "long", "absent"],
)
def test_vaults_that_are_none(tmp_path: Path, text: str | None, reason: Reason) -> None:
    if text is not None:
        (tmp_path / "vault.json").write_text(text)
    with pytest.raises(ProbeError) as raised:
        read_key_vault(tmp_path / "vault.json")
    assert raised.value.reason is reason
    assert "vault.json" in str(raised.value)


def test_a_vault_that_cannot_be_read_is_no_pass(tmp_path: Path) -> None:
    ran = run(tmp_path, [{"_id": 1}], [value(FIRST)])
    assert ran.passed() == frozenset()
    assert ran.unseen() == {Reason.MALFORMED}


def test_a_pipe_is_no_vault(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "vault.json")
    with pytest.raises(ProbeError, match="cannot be read"):
        read_key_vault(tmp_path / "vault.json")


@pytest.mark.parametrize("form", ["lines", "pretty", "array", "pretty-array", "bom"])
def test_every_form_that_mongoexport_writes(tmp_path: Path, form: str) -> None:
    documents = [aws(FIRST), local(SECOND)]
    text = {
        "lines": "\n".join(map(json.dumps, documents)) + "\n",
        "pretty": "\n".join(json.dumps(each, indent=2) for each in documents),
        "array": json.dumps(documents),
        "pretty-array": json.dumps(documents, indent=1) + "\r\n",
        "bom": "\ufeff" + "\n".join(map(json.dumps, documents)),
    }[form]
    (tmp_path / "vault.json").write_text(text)
    found = read_key_vault(tmp_path / "vault.json")
    assert {id: (each.provider, each.key) for id, each in found.items()} == {
        FIRST.hex(): ("aws-kms", ARN),
        SECOND.hex(): ("local", ""),
    }


def corpus() -> Mapping[str, bytes]:
    return {name: (VECTORS / f"mongo_corpus-key-{name}.json").read_bytes() for name in PROVIDERS}


@CORPUS
@pytest.mark.parametrize("between", [b"\n", b",\n"])
def test_the_vault_of_the_corpus(tmp_path: Path, between: bytes) -> None:
    joined = between.join(corpus().values())
    (tmp_path / "vault.json").write_bytes(joined if between == b"\n" else b"[" + joined + b"]")
    found = read_key_vault(tmp_path / "vault.json")
    assert len(found) == len(PROVIDERS)
    for document in corpus().values():
        key = vault_key(document)
        assert key is not None
        assert found[key.id] == key.wrapped


@CORPUS
@pytest.mark.parametrize("provider", PROVIDERS)
def test_values_of_the_corpus_under_each_provider(tmp_path: Path, provider: str) -> None:
    key = vault_key(corpus()[provider])
    assert key is not None
    cases = json.loads((VECTORS / "mongo_corpus-encrypted.json").read_text()).values()
    held = [each["value"] for each in cases if isinstance(each, dict) and isinstance(each.get("value"), dict)]
    texts = [each["$binary"]["base64"] for each in held if "$binary" in each]
    mine = [text for text in texts if base64.b64decode(text)[1:17].hex() == key.id]
    assert mine
    ran = run(tmp_path, [json.loads(document) for document in corpus().values()], mine)
    email = ran.columns()["email"]
    assert sum(each.count for each in email.wrapped) + email.unwrapped == len(mine)
    assert {each.provider for each in email.wrapped} == {key.wrapped.provider}
    expected = Kind.FAIL if provider in ("aws", "gcp", "local") else Kind.INCONCLUSIVE
    assert told(ran, "key") is told(ran, "escrow") is expected
