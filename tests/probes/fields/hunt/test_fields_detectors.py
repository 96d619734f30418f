"""Personal data is told by form and checksum, what only looks like it stays uncertain, chance is no proof."""

from __future__ import annotations

import random
import time

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probes.fields.hunt import checksums
from probes.fields.hunt.detectors import DETECTORS, detect
from probes.fields.hunt.forms import detectors_for

SURE = {
    "email": ["ada.lovelace+crm@mail.example.org", "Mail to <ada@xn--bcher-kva.example>, please", "renée@exämple.org"],
    "iban": [
        "BE68 5390 0754 7034",
        "DE89370400440532013000",
        "nl91abna0417164300",
        "FR14 2004 1010 0505 0001 3M02 606",
    ],
    "phone": ["+32 475 12 34 56", "call +1 (212) 555-0147 now", "+4915112345678"],
    "it-codice-fiscale": ["RSSMRA85T10A562S"],
    "ipv6": ["from 2606:4700::6810:85e5", "2a00:1450:400e:80c:0:0:0:200e"],
}
BY_CHECKSUM = {
    "pan": ["4111 1111 1111 1111", "5555555555554444", "378282246310005", "6011111111111117"],
    "be-nrn": ["85.07.30-033.28", "85073003328"],
    "nl-bsn": ["111222333", "123456782"],
    "fr-insee": ["2 55 08 14 168 025 38", "180126955222380"],
    "de-steuer-id": ["86095742719", "47036892816"],
    "es-dni": ["12345678Z", "X1234567L"],
    "pl-pesel": ["44051401359", "02070803628"],
}
BY_FORM = {
    "uk-nino": ["AB 12 34 56 C", "QQ123456C".replace("Q", "J")],
    "us-ssn": ["078-05-1120"],
    "swift-bic": ["DEUTDEFF", "KREDBEBB"],
    "date-of-birth": ["1984-02-29", "29/02/1984"],
    "name": ["Ada Lovelace", "Jean-Luc de Vries"],
    "ipv4": ["93.184.216.34"],
    "phone-national": ["0475 12 34 56"],
}


def found(*values: str | None) -> dict[str, bool]:
    return {each.kind: each.certain for each in detect(pa.array(values, pa.large_string()))}


@pytest.mark.parametrize(("kind", "value"), [(kind, value) for kind, values in SURE.items() for value in values])
def test_one_value_of_an_unmistakable_form_is_certain(kind: str, value: str) -> None:
    assert found(value)[kind] is True


@pytest.mark.parametrize(("kind", "values"), BY_CHECKSUM.items())
def test_a_weak_checksum_is_certain_only_where_many_values_pass(kind: str, values: list[str]) -> None:
    for value in values:
        assert found(value)[kind] is False
    many = [values[index % len(values)] for index in range(60)]
    assert found(*many)[kind] is True


@pytest.mark.parametrize(("kind", "value"), [(kind, value) for kind, values in BY_FORM.items() for value in values])
def test_form_alone_is_never_certain(kind: str, value: str) -> None:
    assert found(*[value] * 100)[kind] is False


@pytest.mark.parametrize(
    "value",
    ["contact-000123", "BE", "icon@2x.png", "2026-11-22T20:11:02Z", "aa:bb:cc:dd:ee:ff", "10.0.0.1", "v1.2.3", "+02:00",
     "DE89370400440532013001", "4111 1111 1111 1112", "fe80::1", "127.0.0.1", "ordered 3 of 5", ""],
)  # fmt: skip
def test_what_only_resembles_is_not_told(value: str) -> None:
    assert found(value) == {}


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("iban", "Please pay to BE68 5390 0754 7034 as soon as you can"),
        ("iban", "ref AB12 BE68539007547034 due"),
        ("pan", "card 4111 1111 1111 1111 123, 12/28"),
        ("phone", "tel +32 475 12 34 56 - 2nd floor"),
        ("email", "mailto:ada@mail.example?subject=x"),
        ("email", "user=ada%40mail.example&next=1"),
    ],
)
def test_what_stands_among_other_words_is_seen(kind: str, text: str) -> None:
    assert kind in found(text)


@pytest.mark.parametrize("piece", ["a", "1", "a:", "1.", "A1", "+1", "@", "a@", "A a", "::", "1 ", "4-"])
def test_no_value_takes_time_that_grows_with_its_square(piece: str) -> None:
    tail = " x@y.example 4111111111111112 ::1 BE68 5390 0754 7035 +1 555"
    start = time.perf_counter()
    detect(pa.array([piece * 100_000 + tail], pa.large_string()))
    assert time.perf_counter() - start < 5.0


def test_rows_and_counts_are_those_of_the_array() -> None:
    array = pa.array([None, "a@b.example", "none", *["c@d.example"] * 20, None], pa.large_string())
    (mail,) = detect(array)
    assert (mail.kind, mail.count, mail.rows) == ("email", 21, (1, 3, 4, 5, 6, 7, 8, 9))
    (sliced,) = detect(array.slice(2, 3))
    assert (sliced.count, sliced.rows) == (2, (1, 2))


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.binary(), pa.large_binary()])
def test_every_text_and_bytes_type_is_looked_at(kind: pa.DataType) -> None:
    assert [each.kind for each in detect(pa.array([b"ada@mail.example"], pa.large_binary()).cast(kind))] == ["email"]


def test_bytes_that_are_not_utf_8_are_read_around() -> None:
    (mail,) = detect(pa.array([b"\xff\xfe", "Jos\xe9 <jose@mail.example>".encode("latin-1")], pa.large_binary()))
    assert (mail.kind, mail.rows) == ("email", (1,))
    forged = pa.LargeStringArray.from_buffers(
        1, pa.array([0, 5], pa.int64()).buffers()[1], pa.py_buffer(b"\xff\xc0a@b")
    )
    assert detect(forged) == ()


def test_nothing_and_other_types() -> None:
    assert detect(pa.nulls(3)) == ()
    assert detect(pa.array([], pa.large_string())) == ()
    with pytest.raises(TypeError, match="int64"):
        detect(pa.array([1]))


def test_random_numbers_are_not_certain() -> None:
    rng = random.Random(7)
    for digits in (9, 11, 15, 16):
        for _ in range(5):
            kinds = found(*[str(rng.randrange(10 ** (digits - 1), 10**digits)) for _ in range(2_000)])
            assert not any(certain for kind, certain in kinds.items()), (digits, kinds)
    assert not any(found(*[str(10**8 + number) for number in range(8_192)]).values())


def test_lines_of_many_random_numbers_are_not_certain() -> None:
    rng = random.Random(5)
    for digits in (9, 11, 16):
        lines = [" ".join(str(rng.randrange(10**digits)).zfill(digits) for _ in range(8)) for _ in range(1_000)]
        assert not any(found(*lines).values()), digits


def test_the_stated_chances_are_not_too_small() -> None:
    rng = random.Random(11)
    forms = {"pan": 16, "be-nrn": 11, "nl-bsn": 9, "fr-insee": 15, "de-steuer-id": 11, "pl-pesel": 11}
    for detector in DETECTORS:
        if detector.kind in forms:
            size = forms[detector.kind]
            tried = [f"{rng.randrange(2 * 10 ** (size - 1), 7 * 10 ** (size - 1))}" for _ in range(4_000)]
            assert sum(map(detector.check, tried)) / len(tried) < detector.chance, detector.kind


@settings(deadline=None)
@given(st.text(max_size=200) | st.from_regex(r"[0-9 .+@:A-Z-]{0,80}"))
def test_any_text_is_taken(text: str) -> None:
    detect(pa.array([text], pa.large_string()))


@given(st.integers(0, 10**18 - 1))
def test_made_account_numbers_pass_and_changed_ones_do_not(number: int) -> None:
    account = f"{number:018d}"
    text = f"DE{checksums.iban_check_digits('DE', account)}{account}"
    assert checksums.iban(text)
    changed = text[:-1] + str((int(text[-1]) + 1) % 10)
    assert not checksums.iban(changed)


@pytest.mark.parametrize(
    ("of", "good", "bad"),
    [
        ("email", b"ada@mail.example", b"ada"),
        ("iban", b"BE68539007547034", b"BE69539007547034"),
        ("phone", b"0475/12.34.56", b"12"),
        ("pan", b"4111111111111111", b"4111111111111112"),
        ("national-id", b"85.07.30-033.28", b"85.07.30-033.29"),
        ("date-of-birth", b"1984-02-29", b"soon"),
        ("name", "Renée D'Hondt".encode(), bytes(range(128, 160))),
        ("free-text", b"Asked to be called back.\nTwice.", b"Z0FBQUFBQm1" * 8),
    ],
)
def test_a_decrypted_value_has_its_class_form(of: str, good: bytes, bad: bytes) -> None:
    assert detectors_for(of)(good) is True
    assert detectors_for(of)(b'"' + good + b'"') is True
    assert detectors_for(of)(bad) is False
    assert detectors_for(of)(b"\xff" + good) is False


def test_a_class_without_a_form_says_nothing() -> None:
    assert detectors_for("secret")(b"anything") is None
    assert detectors_for("loyalty-tier")(b"gold") is None


def test_a_plain_column_is_looked_through_quickly() -> None:
    array = pa.array([f"contact-{number:06d}" for number in range(200_000)], pa.large_string())
    start = time.perf_counter()
    assert detect(array) == ()
    assert time.perf_counter() - start < 1.0  # 0.03 s on a quiet machine
