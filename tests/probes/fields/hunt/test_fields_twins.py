"""A value that lies once more in its own row is found in whatever dress, and chance accuses nobody."""

from __future__ import annotations

import base64
import bz2
import gzip
import hashlib
import json
import random
import zlib
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from uuid import NAMESPACE_URL, UUID, uuid5

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.fields.facts import Hunt
from probes.fields.hunt.dress import CONTENTS, dates, is_date, keys_of, shown, undressed, words
from probes.fields.hunt.seam import Truth
from probes.fields.hunt.truths import hunt
from probes.fields.hunt.twins import Twin, Twins, at_least
from probes.fields.hunt.under import under
from probes.fields.read.export import open_export
from probes.fields.scan.seam import Canary, ColumnPlan, ScanPlan
from probes.fields.subjects import Dataset, FieldRule, Files, Limits, Origin

NAME = "José Vandenbroucke"
SHARD = "s"
Write = Callable[[str], str]


def b64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def md5(content: bytes) -> bytes:
    return hashlib.md5(content, usedforsecurity=False).digest()


DRESSES: list[Write] = [
    lambda name: ", ".join(reversed(name.split())),
    lambda name: name.upper().replace(" ", "_"),
    lambda name: name.lower().replace("é", "e"),
    lambda name: f"called {name.lower()} back",
    "\u200b".join,
    lambda name: name.lower()[::-1],
    lambda name: b64(name.encode("utf-16-le")),
    lambda name: name.encode("utf-16-be").hex(),
    lambda name: b64(b64(name.encode()).encode()),
    lambda name: b64(zlib.compress(name.encode())),
    lambda name: gzip.compress(name.encode()).hex(),
    lambda name: b64(bz2.compress(b64(name.encode()).encode())),
    lambda name: base64.b32encode(name.encode()).decode(),
    lambda name: base64.b85encode(name.encode()).decode(),
    lambda name: " ".join(str(byte) for byte in name.encode()),
    lambda name: "".join(f"%{byte:02x}" for byte in name.encode()),
    lambda name: hashlib.sha256(name.encode()).hexdigest()[:20],
    lambda name: b64(hashlib.sha3_256(name.strip().lower().encode()).digest()[:9]),
    lambda name: hashlib.sha384(name.encode()).hexdigest().upper(),
    lambda name: base64.b85encode(hashlib.blake2b(name.encode()).digest()).decode(),
    lambda name: str(UUID(bytes=md5(name.encode()))),
    lambda name: str(UUID(bytes=md5(name.encode()), version=4)),
    lambda name: f"{{{uuid5(NAMESPACE_URL, name)}}}".upper(),
]


def looked(truths: Sequence[Truth], cells: dict[int, str], light: bool = False) -> list[Twin]:
    twins = Twins(truths, lambda _: light)
    found = [
        twin
        for row in twins.rows(SHARD)
        if row in cells
        for twin in twins.look(SHARD, row, "beside", cells[row].encode(), f"row {row}")
    ]
    return [*found, *twins.told()]


def named(value: str, row: int = 0, of: str = "name") -> Truth:
    return Truth("sealed", of, value.encode(), SHARD, row)


@pytest.mark.parametrize("dress", DRESSES)
def test_a_name_in_its_own_row_is_found_in_any_dress(dress: Write) -> None:
    (twin,) = looked([named(NAME)], {0: dress(NAME)})
    assert (twin.column, twin.count, twin.places) == ("beside", 1, ("row 0",))
    assert NAME not in repr(twin)
    assert not looked([named(NAME)], {0: dress("Lieselotte Oosterlinck")})
    assert not looked([named(NAME), named("Lieselotte Oosterlinck", 1)], {1: dress(NAME)})


@given(st.binary(max_size=400))
def test_any_cell_can_be_undressed_in_bounds(cell: bytes) -> None:
    assert len(list(undressed(cell))) <= CONTENTS + 8
    for _, keys, _ in shown(cell):
        assert all(isinstance(how, str) for how in keys.values())


WORD = st.text(min_size=1, max_size=60).filter(words)
WIDE = st.text(st.characters(min_codepoint=65, max_codepoint=90), min_size=4)


@given(st.one_of(WORD.map(str.encode), WIDE.map(lambda text: text.encode("utf-16-le"))))
def test_a_value_is_known_in_a_cell_that_is_the_same(value: bytes) -> None:
    told = {key for _, found, _ in shown(base64.b64encode(value)) for key in found}
    assert told & set(keys_of(value))


SPELT: list[Callable[[date], str]] = [
    date.isoformat,
    lambda day: f"{day:%d/%m/%Y}",
    lambda day: f"{day.month}/{day.day}/{day.year}",
    lambda day: f"{day:%d.%m.%y}",
    lambda day: f"{day:%Y%m%d}",
    lambda day: f"{day.day} {day:%B} {day.year}",
    lambda day: f"{day:%b} {day.day}, {day.year}",
    lambda day: f"{day:%Y-%m-%d}T00:00:00Z",
    lambda day: str(int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1000),
    lambda day: b64(f"born {day:%d-%m-%Y}".encode()),
    lambda day: hashlib.sha256(day.isoformat().encode()).hexdigest(),
    lambda day: hashlib.sha1(f"{day:%d/%m/%Y}".encode(), usedforsecurity=False).hexdigest(),
]
BORN = [date(1950 + at, 1 + at % 12, 1 + 2 * at % 28) for at in range(20)]


@pytest.mark.parametrize("spelling", SPELT)
def test_dates_in_their_own_rows_are_told_and_shuffled_ones_are_not(spelling: Callable[[date], str]) -> None:
    truths = [named(str(day), at, "date-of-birth") for at, day in enumerate(BORN)]
    own = {at: spelling(day) for at, day in enumerate(BORN)}
    assert sum(twin.count for twin in looked(truths, own, light=True)) == len(BORN)
    assert not looked(truths, {at: own[(at + 1) % len(BORN)] for at in own}, light=True)


def test_two_dates_accuse_nobody_and_three_of_many_do() -> None:
    truths = [named(str(day), at) for at, day in enumerate(BORN)]
    others = dict.fromkeys(range(len(BORN)), "1999-09-09")
    assert not looked(truths, others | {at: str(BORN[at]) for at in range(2)})
    assert len(looked(truths, others | {at: str(BORN[at]) for at in range(3)})) == 3


@pytest.mark.parametrize("seed", range(6))
def test_few_values_that_have_nothing_to_do_with_each_other_are_chance(seed: int) -> None:
    rng = random.Random(seed)
    truths = [named(rng.choice("ABCD"), at) for at in range(300)]
    assert not looked(truths, {at: rng.choice("ABCD") for at in range(300)}, light=True)


def test_few_values_that_lie_beside_are_told() -> None:
    rng = random.Random(1)
    values = [rng.choice(["red", "green", "blue", "black"]) for _ in range(300)]
    found = looked([named(each, at) for at, each in enumerate(values)], dict(enumerate(values)), light=True)
    assert sum(twin.count for twin in found) == 300
    assert all(len(twin.places) <= 8 for twin in found)


def test_chance_is_exact() -> None:
    assert at_least(0, 5, 0.5) == at_least(3, 3, 1.0) == 1.0
    assert at_least(3, 3, 0.5) == pytest.approx(0.125)
    assert at_least(1, 3, 0.5) == pytest.approx(0.875)
    assert at_least(10_000, 10_000, 1e-6) == 0.0


@pytest.mark.parametrize("text", ["1980-03-04", "4.3.1980", "19800304", "4 mars 1980", "1980-03-04 00:00:00Z"])
def test_a_date_is_a_date(text: str) -> None:
    assert is_date(text)
    assert date(1980, 3, 4).toordinal() in dates(text)


@pytest.mark.parametrize(
    "text", ["Kerkstraat 12", "04 05 06 78", "2001-02-03-04", "12345", "", "1980-13-40", "1980-03-04T10:00:00Z"]
)
def test_what_is_no_date(text: str) -> None:
    assert not is_date(text)


@given(st.text(max_size=60))
def test_any_text_can_be_read_for_dates(text: str) -> None:
    assert all(1850 <= date.fromordinal(day).year <= 2101 for day in dates(text))


def test_what_a_whole_column_is_encoded_in_is_taken_off() -> None:
    texts = [f"somebody{at}@mail.example" for at in range(30)]
    for taken, dress in (
        ("base64", lambda text: b64(text.encode("utf-16-le"))),
        ("hex/base64", lambda text: b64(text.encode()).encode().hex()),
        ("base64/packed", lambda text: b64(zlib.compress(text.encode()))),
    ):
        found = under(pa.array([*map(dress, texts), None, "otherwise"], pa.large_string()))
        assert found is not None
        assert found[0] == taken
        assert found[1].null_count == 2
    assert under(pa.array(texts)) is None
    assert under(pa.nulls(3)) is None


KEY = bytes(range(32))
CANARY = Canary("canary-001.email", "email", "email", "lotte.maes4711@mail.example")
BASE = ColumnPlan("email", "sensitive", FieldRule.model_validate({"column": "email", "class": "email"}))


def hunted(base: Path, table: pa.Table, *truths: Truth, canaries: tuple[Canary, ...] = ()) -> dict[str, Hunt]:
    pq.write_table(table, base / "a.parquet")
    source = Files(files=("a.parquet",))
    dataset = Dataset(id="d", source=source, origin=Origin(made_by="vendor", method="a test"))
    export = open_export(dataset, base, (), {})
    listing = export.listing()
    placed = [Truth(each.column, each.of, each.value, listing.shards[0].name, each.row) for each in truths]
    plan = ScanPlan((BASE,), (), None, None, Limits(), KEY, canaries)
    return dict(hunt(export, plan, tuple(placed), listing))


def test_dates_are_sought_and_only_what_says_nothing_is_short(tmp_path: Path) -> None:
    columns = {"id": [f"c-{at}" for at in range(20)], "dob": ["sealed"] * 20, "when": pa.array(BORN, pa.date32())}
    dob = [Truth("dob", "date-of-birth", str(day).encode(), "", at) for at, day in enumerate(BORN)]
    found = hunted(tmp_path, pa.table(columns), *dob, Truth("x", "other", b"..", "", 3))
    assert (found["when"].truths, found["when"].short) == (20, 1)
    assert sum(hit.home for hit in found["when"].hits) == 20
    assert not found["id"].hits
    told = json.dumps({name: part.model_dump(mode="json") for name, part in found.items()})
    assert str(BORN[0]) not in told


def test_a_canary_in_the_metadata_or_under_an_encoding(tmp_path: Path) -> None:
    def told(table: pa.Table) -> Iterator[tuple[str, str]]:
        for name, part in hunted(tmp_path, table, canaries=(CANARY,)).items():
            yield from ((name, hit.sought) for hit in part.hits)

    table = pa.table({"id": ["c-1", "c-2"], "zip": ["9000", "9050"]})
    assert not list(told(table))
    assert set(told(table.replace_schema_metadata({"note": CANARY.value}))) == {("id", "canary")}
    assert not list(told(table.append_column("note", pa.array([CANARY.value, "none"]))))  # the scan tells of it
    twice = [b64(each.encode("utf-16-le")) for each in (CANARY.value, "nobody at all")]
    assert set(told(table.append_column("note", pa.array(twice)))) == {("note", "canary")}
