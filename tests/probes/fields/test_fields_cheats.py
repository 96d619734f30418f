"""Cheats against the controls over fields: exports whose promise is broken and that must not pass; and honest exports
that must not fail. Everything through the whole probe, with data keys of the lab's own AWS KMS."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import random
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event
from uuid import UUID

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from aws_stage import REGION, AwsStage, plain_environment, staged_aws
from fields_opening_stage import message_of
from scan_stage import MemoryExport, esdk, plan, rule

import probes.fields.finish
from keycheck.engines import engine
from keycheck.lab.aws.kms.model import Key as LabKey
from keycheck.model.control import Control
from keycheck.model.deployment import SubjectEntry
from keycheck.model.facts import Facts
from keycheck.model.types import CanonicalJson
from keycheck.model.verdict import Kind
from keycheck.plan import Task
from keycheck.run import Engine
from probes.fields.binding_controls import Context
from probes.fields.controls import CONTROLS
from probes.fields.data_key_controls import DataKeyLength
from probes.fields.facts import ColumnFacts, Contexts, Opened, Planted
from probes.fields.field_control import FieldControl
from probes.fields.leak_controls import Plaintext
from probes.fields.observe import ColumnProbe
from probes.fields.recognition_controls import Encrypted
from probes.fields.scan.column import scan_shard
from probes.fields.scan.gathering import Gathering
from probes.fields.subjects import Dataset
from probes.fields.use_controls import DataKeyUse

ID: Mapping[str, object] = {"column": "id", "class": "none"}
EMAIL: Mapping[str, object] = {
    "column": "email",
    "class": "email",
    "format": "aws-esdk",
    "key": "contacts",
    "context": [{"name": "record", "column": "id"}],
}
DataKey = tuple[bytes, bytes]
"""In the clear, and wrapped."""
Found = Mapping[str, ColumnFacts]


@dataclass
class Vendor:
    """Seals under the customer's key, or pretends to."""

    stage: AwsStage
    key: LabKey
    folder: Path

    def call(self, operation: str, record: str, **more: object) -> Mapping[str, object]:
        found: Mapping[str, object] = self.stage.cloud.kms.call(
            self.stage.vendor(), REGION, operation, KeyId=self.key.arn, EncryptionContext={"record": record}, **more
        )
        return found

    def data_key(self, record: str) -> DataKey:
        made = self.call("GenerateDataKey", record, KeySpec="AES_256")
        return bytes(made["Plaintext"]), bytes(made["CiphertextBlob"])  # type: ignore[call-overload]

    def wrapped(self, record: str, key: bytes) -> DataKey:
        """A data key of the vendor's own choice."""
        return key, bytes(self.call("Encrypt", record, Plaintext=key)["CiphertextBlob"])  # type: ignore[call-overload]

    def seal(self, plain: str | bytes, record: str, key: DataKey | None = None, *, wrong: bool = False) -> str:
        """`wrong`: sealed with a key that nobody wrapped, behind the header of the right one."""
        clear, blob = key or self.data_key(record)
        content = plain.encode() if isinstance(plain, str) else plain
        message = message_of(os.urandom(32) if wrong else clear, blob, self.key.arn, content, {"record": record}, {})
        return base64.b64encode(message).decode()

    def export(self, rows: Sequence[Mapping[str, object]], name: str = "a.ndjson") -> None:
        (self.folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows))

    def look(self, fields: Sequence[Mapping[str, object]], *files: str, samples: int = 300, **more: object) -> Found:
        """What the whole probe finds, by column."""
        subject = Dataset.model_validate(
            {
                "id": "export",
                "source": {"kind": "files", "files": files or ("a.ndjson",)},
                "origin": {"made_by": "customer", "method": "made at test time"},
                "fields": fields,
                "opening": {"identity": "control", "samples": samples, "calls": 5000},
                **more,
            }
        )
        key = {"id": "contacts", "provider": "aws", "resource": self.key.arn, "model": "direct-kms"}
        key["on_key_loss"] = "withheld"
        subjects = (SubjectEntry(id="keys/contacts", vantages=("here",), body=CanonicalJson.of(key)),)
        io = replace(self.stage.io(), base=self.folder, entropy=os.urandom, subjects=subjects)
        body = CanonicalJson.of(subject.model_dump(mode="json", by_alias=True))
        task = Task(
            ColumnProbe(), subject, SubjectEntry(id="datasets/export", vantages=("here",), body=body), "here", (), 1
        )
        with engine("threads") as there:
            runs = Engine(there.factory, workers=4, clock=io.clock, stop=Event(), processes=there.processes)
            facts: list[Facts | object] = [each.observed.facts for each in runs.run([task], lambda _: io)]
        return {each.column: each for each in facts if isinstance(each, ColumnFacts)}


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AwsStage]:
    home = tmp_path_factory.mktemp("aws")
    with pytest.MonkeyPatch.context() as patch:
        for name in os.environ:
            if name.startswith("AWS_") or name.lower() in ("http_proxy", "https_proxy", "all_proxy"):
                patch.delenv(name)
        for name, value in plain_environment(home).items():
            patch.setenv(name, value)
        with staged_aws(home) as stage:
            yield stage


@pytest.fixture
def vendor(cloud: AwsStage, tmp_path: Path) -> Vendor:
    key = cloud.key({"control": ("kms:Decrypt",), "inspect": ("kms:Encrypt", "kms:GenerateDataKey")})
    return Vendor(cloud, key, tmp_path)


def email(number: int) -> str:
    return f"anna.peeters{number}@example.org"


def kind(control: type[Control], facts: ColumnFacts, **parameters: object) -> Kind:
    judged: Kind = control.model_validate(parameters).judge(facts).kind
    return judged


def kinds(facts: ColumnFacts) -> Mapping[str, Kind]:
    """Every control over columns, as ENC-FIELD asks for them."""
    agreed = {"fields.rotation": {"applies": "declared"}, "fields.length-leak": {"applies": "declared"}}
    return {
        each.id: kind(each, facts, **agreed.get(each.id, {})) for each in CONTROLS if issubclass(each, FieldControl)
    }


def rows(vendor: Vendor, count: int, seal: Callable[[int, str], str]) -> list[Mapping[str, object]]:
    return [{"id": f"c-{number}", "email": seal(number, f"c-{number}")} for number in range(count)]


def test_what_is_sealed_honestly_passes(vendor: Vendor) -> None:
    """So that the others do not pass for other reasons than they name."""
    vendor.export(rows(vendor, 20, lambda number, record: vendor.seal(email(number), record)))
    found = kinds(vendor.look([ID, EMAIL])["email"])
    assert {name for name, each in found.items() if each not in (Kind.PASS, Kind.NOT_APPLICABLE)} == set()


def test_only_the_first_value_under_each_data_key_is_sealed_with_it(vendor: Vendor) -> None:
    keys = [vendor.data_key(f"c-{number}") for number in range(2)]
    vendor.export(
        rows(vendor, 200, lambda number, record: vendor.seal(email(number), record, keys[number % 2], wrong=number > 1))
    )
    assert kind(Encrypted, vendor.look([ID, EMAIL])["email"]) is not Kind.PASS


def test_one_bad_data_key_over_nearly_all_values_is_drawn(vendor: Vendor) -> None:
    """300 good data keys over one value each, one that the key does not unwrap over 600: two in three values."""
    bad = (os.urandom(32), vendor.data_key("elsewhere")[1])
    vendor.export(
        rows(vendor, 900, lambda number, record: vendor.seal(email(number), record, bad if number >= 300 else None))
    )
    drawn = [vendor.look([ID, EMAIL], samples=30)["email"].opened for _ in range(4)]
    assert all(each.refused.count for each in drawn)  # type: ignore[union-attr]


def test_many_small_files_do_not_eat_up_the_sample() -> None:
    rng = random.Random(4)
    shards: dict[str, dict[str, list[bytes | None]]] = {f"s{at:02}": {"mail": [esdk(rng, 20)]} for at in range(60)}
    shards["whole"] = {"mail": [esdk(rng, 20) for _ in range(600)]}
    export = MemoryExport(shards)
    planned = plan(rule("mail"))
    with TemporaryDirectory() as spill:
        gathering = Gathering(planned, export.listing().columns, Path(spill), 1 << 20)
        for shard in export.listing().shards:
            gathering.add(replace(shard, file=replace(shard.file, path=shard.name)), scan_shard(export, shard, planned))
        draw = gathering.draw("mail", b"seed", 61)
    assert draw.population == 660
    assert sum(pick.shard == "whole" for pick in draw.picks) > 40


def test_only_the_first_element_of_each_list_is_sealed_with_its_data_key(vendor: Vendor) -> None:
    made = [
        {"id": f"c-{at}", "email": [vendor.seal(email(at), f"c-{at}", wrong=part > 0) for part in range(3)]}
        for at in range(12)
    ]
    vendor.export(made)
    assert kind(Encrypted, vendor.look([ID, {**EMAIL, "column": "email[]"}])["email[]"]) is not Kind.PASS


def test_honest_elements_of_lists_are_bound_to_their_row(vendor: Vendor) -> None:
    made = [{"id": f"c-{at}", "email": [vendor.seal(email(at), f"c-{at}") for _ in range(3)]} for at in range(6)]
    vendor.export(made)
    told = vendor.look([ID, {**EMAIL, "column": "email[]"}])["email[]"].contexts
    assert isinstance(told, Contexts)
    assert (told.rules[0].equal, told.rules[0].absent.count) == (18, 0)


def test_a_source_that_answers_otherwise_once_the_sample_is_drawn(
    vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a bucket or a database of the vendor's can: same version, other rows."""
    vendor.export(rows(vendor, 20, lambda number, record: vendor.seal(email(number), record)), "good.ndjson")
    vendor.export(rows(vendor, 20, lambda number, record: vendor.seal(email(number), record, wrong=True)))
    shown, real = vendor.folder / "a.ndjson", probes.fields.finish.finished
    before = shown.stat()

    def swapped(*given: object) -> object:
        shown.write_bytes((vendor.folder / "good.ndjson").read_bytes())
        os.utime(shown, ns=(before.st_atime_ns, before.st_mtime_ns))
        return real(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(probes.fields.finish, "finished", swapped)
    assert kind(Encrypted, vendor.look([ID, EMAIL])["email"]) is not Kind.PASS


def test_one_static_data_key_wrapped_anew_for_every_row(vendor: Vendor) -> None:
    static = os.urandom(32)
    vendor.export(
        rows(vendor, 20, lambda number, record: vendor.seal(email(number), record, vendor.wrapped(record, static)))
    )
    assert kind(DataKeyUse, vendor.look([ID, EMAIL])["email"]) is Kind.FAIL


@pytest.mark.parametrize("key", [lambda at: os.urandom(16).hex().encode(), lambda at: (b"secret-%04d" % at).ljust(32)])
def test_data_keys_that_are_text_have_no_256_bits(vendor: Vendor, key: Callable[[int], bytes]) -> None:
    vendor.export(
        rows(vendor, 20, lambda number, record: vendor.seal(email(number), record, vendor.wrapped(record, key(number))))
    )
    assert kind(DataKeyLength, vendor.look([ID, EMAIL])["email"]) is Kind.FAIL


def test_a_bound_beside_refused_data_keys(vendor: Vendor) -> None:
    def broken(number: int, record: str) -> str:
        clear, blob = vendor.data_key(record)
        return vendor.seal(email(number), record, (clear, blob[:-1] + bytes((blob[-1] ^ number % 2,))))

    vendor.export(rows(vendor, 60, broken))
    assert kind(Encrypted, vendor.look([ID, EMAIL], samples=50)["email"], one_in=6) is not Kind.PASS


def test_a_bound_beside_values_of_another_form(vendor: Vendor) -> None:
    """One in 25 opens to a note: the bound must not say that at most 1 in 30 is otherwise."""
    vendor.export(
        rows(vendor, 101, lambda number, record: vendor.seal(email(number) if number % 25 else "see the paper", record))
    )
    assert kind(Encrypted, vendor.look([ID, EMAIL], samples=100)["email"], one_in=30) is not Kind.PASS


def test_a_column_cannot_hide_behind_its_name(vendor: Vendor) -> None:
    made = rows(vendor, 5, lambda number, record: vendor.seal(email(number), record))
    vendor.export([{**row, "file:notes": "Jan Janssens"} for row in made])
    assert [each.role for name, each in vendor.look([ID, EMAIL]).items() if "notes" in name] == ["unmapped"]


def test_rows_without_a_tenant_show_nothing_of_tenants(vendor: Vendor) -> None:
    shared = [vendor.data_key(f"c-{at}") for at in range(10)]
    vendor.export(rows(vendor, 20, lambda number, record: vendor.seal(email(number), record, shared[number // 2])))
    found = vendor.look([ID, EMAIL, {"column": "tenant", "class": "none"}], tenant="tenant")
    assert kind(DataKeyUse, found["email"]) is not Kind.PASS


def test_dates_of_birth_that_lie_in_the_clear_in_their_own_rows(vendor: Vendor) -> None:
    born = [str(date(1950 + at, 1 + at % 12, 1 + at % 28)) for at in range(20)]
    vendor.export(
        [
            {"id": f"c-{at}", "email": vendor.seal(email(at), f"c-{at}"), "dob": vendor.seal(day, f"c-{at}"), "d": day}
            for at, day in enumerate(born)
        ]
    )
    dob = {**EMAIL, "column": "dob", "class": "date-of-birth"}
    assert kind(Plaintext, vendor.look([ID, EMAIL, dob, {"column": "d", "class": "none"}])["d"]) is not Kind.PASS


@pytest.mark.parametrize(
    "written",
    [
        lambda name: base64.b64encode(name.encode("utf-16-le")).decode(),
        lambda name: base64.b64encode(base64.b64encode(name.encode())).decode(),
        lambda name: base64.b64encode(zlib.compress(name.encode())).decode(),
        lambda name: str(UUID(bytes=hashlib.md5(name.encode(), usedforsecurity=False).digest())),
        lambda name: hashlib.sha256(name.encode()).hexdigest()[:40],
        lambda name: ", ".join(reversed(name.split())),
    ],
)
def test_names_beside_in_another_spelling(vendor: Vendor, written: Callable[[str], str]) -> None:
    names = [f"{first} {last}" for first in ("Lieselotte", "Gwendolyn") for last in ("Oosterlinck", "Papadopoulos")]
    vendor.export(
        [
            {"id": f"c-{at}", "email": vendor.seal(name, f"c-{at}"), "shadow": written(name)}
            for at, name in enumerate(names)
        ]
    )
    found = vendor.look([ID, {**EMAIL, "class": "name"}, {"column": "shadow", "class": "none"}])
    assert kind(Plaintext, found["shadow"]) is Kind.FAIL


def test_an_archive_beside_is_not_searched_by_looking_at_it(vendor: Vendor) -> None:
    vendor.export(rows(vendor, 5, lambda number, record: vendor.seal(email(number), record)))
    with zipfile.ZipFile(vendor.folder / "logs.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("app.log", "".join(f"mail sent to {email(number)}\n" for number in range(5)))
    found = vendor.look([ID, EMAIL], beside=["logs.zip"])
    assert kind(Plaintext, found["file:logs.zip"]) is not Kind.PASS


def test_a_few_copies_of_one_row_are_no_sign_that_nothing_is_encrypted(vendor: Vendor) -> None:
    rng = random.Random(9)
    values = [esdk(rng, 24) for _ in range(6000)]
    pq.write_table(pa.table({"email": [*values, *values[:1] * 56]}), vendor.folder / "a.parquet")
    found = vendor.look([{"column": "email", "class": "email", "format": "aws-esdk"}], "a.parquet")["email"]
    assert kind(Encrypted, found, proof="grammar") is not Kind.FAIL


UUIDS = [UUID(int=random.Random(at).getrandbits(128), version=4) for at in range(4)]
SECONDS = [datetime(2026, 1, 1, 0, 0, at, tzinfo=UTC) for at in range(4)]


@pytest.mark.parametrize(
    ("column", "records"),
    [
        (pa.array([each.bytes for each in UUIDS], pa.binary(16)), [str(each) for each in UUIDS]),
        (pa.array([str(each).upper() for each in UUIDS]), [str(each) for each in UUIDS]),
        (pa.array(SECONDS, pa.timestamp("us", "UTC")), [f"{each:%Y-%m-%dT%H:%M:%SZ}" for each in SECONDS]),
    ],
    ids=["uuid as bytes", "uuid in capitals", "instant"],
)
def test_another_spelling_of_the_same_row_is_no_breach(vendor: Vendor, column: pa.Array, records: list[str]) -> None:
    sealed = [vendor.seal(email(at), record) for at, record in enumerate(records)]
    pq.write_table(pa.table({"id": column, "email": sealed}), vendor.folder / "a.parquet")
    assert kind(Context, vendor.look([ID, EMAIL], "a.parquet")["email"]) is not Kind.FAIL


def test_numbers_that_happen_to_be_somebodys_subscriber_number(vendor: Vendor) -> None:
    rng = random.Random(5)
    sealed: list[str | None] = [None] * 40_000
    for at in range(60):
        sealed[at] = vendor.seal(f"+32 47{rng.randrange(10**5):07d}", f"c-{at}")
    table = {"id": [f"c-{at}" for at in range(40_000)], "email": pa.array(sealed, pa.string())}
    pq.write_table(pa.table({**table, "order": pa.array(range(470_000_000, 470_040_000))}), vendor.folder / "a.parquet")
    fields = [ID, {**EMAIL, "class": "phone", "optional": True}, {"column": "order", "class": "none"}]
    assert kind(Plaintext, vendor.look(fields, "a.parquet")["order"]) is not Kind.FAIL


def planted(vendor: Vendor, *numbers: int, value: str = "") -> str:
    """The file of canaries, one a row."""
    records = [
        {
            "id": f"canary-{at}",
            "sealed": True,
            "state": "planted",
            "row": [["id", f"c-{at}"]],
            "values": [{"id": f"canary-{at}.email", "class": "email", "column": "email", "value": value or email(at)}],
            "began": "2026-11-22T12:00:00Z",
        }
        for at in numbers
    ]
    file = {"deployment": "whole", "dataset": "export", "plan": "p", "plan_sha256": "0" * 64, "records": records}
    path = vendor.folder / "canaries.json"
    path.write_text(json.dumps(file))
    path.chmod(0o600)
    return path.name


def told(facts: ColumnFacts) -> Planted:
    assert isinstance(facts.opened, Opened)
    assert isinstance(facts.opened.planted, Planted)
    return facts.opened.planted


def test_canaries_are_opened_whatever_is_drawn(vendor: Vendor) -> None:
    vendor.export(rows(vendor, 60, lambda at, record: vendor.seal(email(at), record)))
    seen = vendor.look([ID, EMAIL], samples=5, canaries=planted(vendor, 7, 40, 99))["email"]
    assert (told(seen).found, told(seen).tried, told(seen).canaries) == (2, 2, 2)
    assert isinstance(seen.opened, Opened)
    assert (seen.opened.drawn, seen.opened.population) == (5, 60)
    assert "of 2 values that we planted, 2 open to the very canary" in Encrypted(one_in=2).judge(seen).message


def test_our_own_rows_alone_are_under_another_key(vendor: Vendor) -> None:
    """Or everything is, but for what a small sample draws: what we planted is opened anyway."""
    vendor.export(rows(vendor, 200, lambda at, record: vendor.seal(email(at), record, wrong=at == 150)))
    seen = vendor.look([ID, EMAIL], samples=11, canaries=planted(vendor, 150))["email"]
    assert told(seen).bad.count == 1
    assert kind(Encrypted, seen, one_in=4) is Kind.FAIL


def test_our_own_rows_hold_something_else(vendor: Vendor) -> None:
    vendor.export(rows(vendor, 30, lambda at, record: vendor.seal(email(at), record)))
    seen = vendor.look([ID, EMAIL], samples=3, canaries=planted(vendor, 5, value="nora.claes@example.org"))["email"]
    assert (told(seen).canaries, told(seen).others.count) == (0, 1)
    assert kind(Encrypted, seen, one_in=2) is not Kind.PASS


def test_canaries_that_were_not_drawn_judge_a_class_without_a_form(vendor: Vendor) -> None:
    secret = {**EMAIL, "class": "secret"}
    vendor.export(rows(vendor, 60, lambda at, record: vendor.seal(f"plan {at}", record)))
    canary = planted(vendor, 7, value="plan 7")
    seen = vendor.look([ID, secret], samples=20, canaries=canary)["email"]
    assert told(seen).canaries == 1
    assert kind(Encrypted, seen, one_in=4) is Kind.PASS
