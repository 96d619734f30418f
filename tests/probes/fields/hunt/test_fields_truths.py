"""What a sample was opened to is found wherever it lies in the clear, and what says nothing is not sought."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path

import pytest

from keycheck.errors import ProbeError
from probes.fields.facts import PLACES, Hunt
from probes.fields.hunt.hits import Hits, digests, merged
from probes.fields.hunt.needles import Wanted, needles
from probes.fields.hunt.seam import Truth
from probes.fields.hunt.truths import COMMON, hunt
from probes.fields.read.export import open_export
from probes.fields.read.seam import Export
from probes.fields.scan.seam import Canary, ColumnPlan, ScanPlan
from probes.fields.subjects import Dataset, FieldRule, Files, Limits, Origin

KEY = bytes(range(32))
MAIL = "an.peeters31@mail.example"


def plan(*columns: ColumnPlan, canaries: tuple[Canary, ...] = ()) -> ScanPlan:
    return ScanPlan(columns, ("id",), None, None, Limits(), KEY, canaries)


def exported(base: Path, rows: list[dict[str, object]], log: bytes = b"nothing here\n") -> Export:
    (base / "rows.ndjson").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    (base / "app.log").write_bytes(log)
    dataset = Dataset(
        id="contacts",
        source=Files(files=("rows.ndjson",), format="ndjson"),
        beside=("app.log",),
        origin=Origin(made_by="vendor", method="a test"),
    )
    return open_export(dataset, base, (), {})


def sealed(number: int) -> str:
    return base64.b64encode(hashlib.sha512(str(number).encode()).digest()).decode()


def rows(count: int = 50) -> list[dict[str, object]]:
    return [
        {"id": f"r{number}", "email": sealed(number), "note": "called", "tags": [number]} for number in range(count)
    ]


def truth(value: str, column: str = "email", of: str = "email") -> Truth:
    return Truth(column, of, value.encode())


def sought(export: Export, *truths: Truth, with_plan: ScanPlan | None = None) -> dict[str, Hunt]:
    return dict(hunt(export, with_plan or plan(), truths, export.listing()))


def test_a_truth_is_found_in_other_columns_its_own_and_files_beside(tmp_path: Path) -> None:
    made = rows()
    made[7]["note"] = f"wrote to {MAIL.upper()} twice"
    made[9]["email"] = MAIL
    made[11]["shadow"] = hashlib.sha256(MAIL.encode()).hexdigest()
    log = b"x" * 3_000_000 + b" GET /people?mail=an.peeters31%40mail.example 200\n"
    found = sought(exported(tmp_path, made, log), truth(MAIL))
    by_place = {name: [(hit.encoding, hit.count) for hit in part.hits] for name, part in found.items() if part.hits}
    assert by_place == {
        "note": [("upper", 1)],
        "email": [("raw", 1)],
        "shadow": [("sha256-hex", 1)],
        "file:app.log": by_place["file:app.log"],
    }
    assert ("url", 1) in by_place["file:app.log"]
    assert found["note"].hits[0].of == "email"
    assert found["note"].hits[0].places[0].endswith(":row 7")
    assert found["file:app.log"].bytes == len(log)
    assert found["id"].truths == 1
    assert found["id"].hits == ()


def test_no_value_in_what_is_told(tmp_path: Path) -> None:
    made = rows()
    made[0]["note"] = MAIL
    found = sought(exported(tmp_path, made, MAIL.encode()), truth(MAIL))
    told = repr(found) + json.dumps({name: part.model_dump(mode="json") for name, part in found.items()})
    for spelling in (MAIL, MAIL.encode().hex(), hashlib.sha256(MAIL.encode()).hexdigest()):
        assert spelling not in told
    one, other = (part.hits[0].digest for name, part in found.items() if name in ("note", "file:app.log"))
    assert one == other
    assert MAIL not in repr(truth(MAIL))


def test_values_that_say_nothing_are_not_sought_and_counted(tmp_path: Path) -> None:
    made = rows()
    for each in made:
        each |= {"country": "Belgium-North", "born": "1984-05-06", "greeting": "Dear customer,", "town": "Gent"}
    few = ColumnPlan("country", "sensitive", FieldRule(column="country", **{"class": "country"}, values=40))
    truths = [
        truth("Belgium-North", "country", "country"),
        truth("1984-05-06", "born", "date-of-birth"),
        *[truth("Dear customer,", "greeting", "free-text")] * COMMON,
        truth("Gent", "town", "address"),
        truth(MAIL),
        truth(MAIL),
    ]
    found = sought(exported(tmp_path, made), *truths, with_plan=plan(few))
    assert all(part.hits == () and part.truths == 1 and part.short == 4 for part in found.values())


def test_a_truth_in_every_row_is_counted_and_its_first_places_told(tmp_path: Path) -> None:
    made = [row | {"copy": MAIL} for row in rows(40)]
    (hit,) = sought(exported(tmp_path, made), truth(MAIL))["copy"].hits
    assert hit.count == 40
    assert len(hit.places) == PLACES


def test_nothing_opened_seeks_nothing_and_says_so(tmp_path: Path) -> None:
    found = sought(exported(tmp_path, rows()))
    assert {part.truths for part in found.values()} == {0}
    assert found["email"].bytes > 0


def test_a_file_that_changed_ends_the_hunt(tmp_path: Path) -> None:
    export = exported(tmp_path, rows())
    listing = export.listing()
    (tmp_path / "rows.ndjson").write_text('{"id": "other"}\n', encoding="utf-8")
    with pytest.raises(ProbeError):
        hunt(export, plan(), (truth(MAIL),), listing)


def test_hits_are_bounded_and_merge() -> None:
    sought_ = needles([Wanted("truth", "email", f"someone{n}@mail.example".encode()) for n in range(1_100)])
    keyed = digests(sought_, KEY)
    assert keyed != digests(sought_, bytes(32))
    hits = Hits()
    raw = [index for index, needle in enumerate(sought_) if needle.encoding == "raw"]
    for index in raw:
        hits.add(sought_[index], keyed[index], "f:row 1")
    assert len(hits.told()) == 1_000
    assert hits.more == 100

    def part(places: tuple[str, ...], size: int) -> Hunt:
        some = Hits()
        for where in places:
            some.add(sought_[0], keyed[0], where)
        return Hunt(canaries=0, truths=3, bytes=size, hits=some.told())

    both = merged(part(("f:row 1",), 10), part(("g:row 2", "g:row 3"), 5))
    assert (both.bytes, both.hits[0].count, both.hits[0].places) == (15, 3, ("f:row 1", "g:row 2", "g:row 3"))
    assert merged(part((), 1), part(("g:row 2",), 1)).hits[0].count == 1
