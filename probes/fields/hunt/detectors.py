"""Personal data in the clear, told by its form over whole Arrow columns.

Proves that a value has the form of an e-mail address, an account number, …; not that it is any person's. Two steps:
one regular expression over the whole batch (Rust, by polars), then exact checks of the few candidates in Python. Never
run it on the text of ciphertext: hexadecimal digits give card numbers by chance.

A number whose checksum passes by chance one time in ten says nothing alone: such kinds are `certain` only where more of
the batch's candidates pass than chance explains (Chernoff's bound below 1e-9), and otherwise only look like it.
"""

from __future__ import annotations

import ipaddress
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Final, TypeAlias

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from probes.fields.facts import PLACES
from probes.fields.hunt import checksums

Check: TypeAlias = Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class Found:
    """Values of one kind in one array."""

    kind: str
    certain: bool
    """The form is proved by a grammar or a checksum that chance does not explain."""
    count: int
    """Rows that hold at least one."""
    rows: tuple[int, ...]
    """The first of them."""


class Trigger(StrEnum):
    """What a value must hold at least for a group of kinds, as Rust's engine sees it."""

    AT = r"@|%40"
    DIGITS = r"[0-9](?:[ .()/-]{0,3}[0-9]){8}"
    LETTERED = r"[A-Z]{2} ?[0-9]{2}|[A-Z]{6}|[a-z]{2}[0-9]{2}(?: ?[0-9a-z]{4}){2}|[0-9]{3}\.?[0-9]{3}-?[A-Z]"
    DATE = r"^(?:(?:19|20[01])[0-9]{2,6}[-/.]?[0-9]|[0-9]{1,2}[-/.][0-9]{1,2}[-/.](?:19|20[01])[0-9])"
    QUAD = r"[0-9]\.[0-9]{1,3}\.[0-9]"
    COLONS = r"::|:[0-9A-Fa-f]{1,4}:[0-9A-Fa-f]{1,4}:"
    WORDS = r"^\s*\p{Lu}[\p{L}'’.-]+(?: \p{L}[\p{L}'’.-]*){0,3} \p{Lu}[\p{L}'’.-]+\s*$"


@dataclass(frozen=True, slots=True)
class Detector:
    """One kind of personal data."""

    kind: str
    trigger: Trigger
    pattern: str
    """Where in a value it may lie, in the syntax that Rust's engine and Python's share. Its repetitions are bounded: a
    value of a stranger must not take time that grows with the square of its length."""
    check: Check
    """Asked of each match, and of what stands before each gap in it: `BE68 5390 0754 7034 is mine`."""
    edges: str = r"0-9A-Za-z"
    """Characters that may not stand right before or after it."""
    rough: str = ""
    """For Rust's engine, where the pattern is too large for it; every match of the pattern matches it."""
    plainly: str = ""
    """For Rust's engine, where nothing is learned of how many candidates fail (`sure`, or `chance` 1): the spelling of
    values of at most 250 bytes of which a candidate passes its check beyond doubt. The others are asked one by one in
    Python, which takes a hundred times as long."""
    sure: bool = False
    """One value that passes is enough."""
    chance: float = 1.0
    """Share of candidates whose check digits are random that pass, for kinds that are not `sure`; 1 where form is all
    there is. Prefix and date are taken as given: order numbers may begin alike."""


def _always(_: str) -> bool:
    return True


def _email(text: str) -> bool:
    return checksums.email(text.replace("%40", "@").rstrip(".-_"))


def _global_v4(text: str) -> bool:
    return ipaddress.IPv4Address(text).is_global


def _global_v6(text: str) -> bool:
    try:
        return ipaddress.IPv6Address(text).is_global
    except ValueError:
        return False


def _international(text: str) -> bool:
    return checksums.phone_digits(text) is not None


_QUAD: Final = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_BORN: Final = (
    r"^(?:19[0-9]{2}|20[01][0-9])[-/.]?[0-9]{2}[-/.]?[0-9]{2}(?:[T ]00:00:00[.0]*Z?)?$"
    r"|^[0-9]{1,2}[-/.][0-9]{1,2}[-/.][0-9]{4}$"
)
_NATIONAL: Final = r"0[1-9](?:[ ./-]?[0-9]){7,9}|00 ?[1-9](?:[ .()/-]?[0-9]){7,13}|\([2-9][0-9]{2}\) ?[0-9]{3}-[0-9]{4}"

_WHOLE: Final = r"(?s)^.+$"

DETECTORS: Final = (
    Detector(
        "email",
        Trigger.AT,
        r"[^\s@\"'<>(),:;\[\]\\=&?|/]{1,64}(?:@|%40)[\w.-]{1,250}\.[\w-]{2,60}",
        _email,
        edges="",
        rough=r"[^\s@](?:@|%40)[^\s@]+\.[^\s@]",
        plainly=(
            r"(?i)^[0-9a-z._+-]{1,64}@(?:[0-9a-z](?:[0-9a-z-]{0,61}[0-9a-z])?\.)+"
            # Without `js`, `ts` and other endings of files.
            r"(?:com|edu|example|gov|info|int|mil|net|org|[a-ik-su-z][a-z]|[jt][a-rt-z])$"
        ),
        sure=True,
    ),
    Detector("iban", Trigger.LETTERED, r"[A-Za-z]{2}[0-9]{2}(?:[ .-]?[A-Za-z0-9]){11,30}", checksums.iban, sure=True),
    Detector(
        "it-codice-fiscale",
        Trigger.LETTERED,
        r"[A-Z]{6}[0-9A-Z]{2}[A-Z][0-9A-Z]{2}[A-Z][0-9A-Z]{3}[A-Z]",
        checksums.it_codice_fiscale,
        sure=True,
    ),
    Detector("uk-nino", Trigger.LETTERED, r"[A-Z]{2} ?[0-9]{2} ?[0-9]{2} ?[0-9]{2} ?[A-D]", checksums.uk_nino),
    Detector("swift-bic", Trigger.LETTERED, r"^[A-Z]{6}[A-Z0-9]{2}(?:[A-Z0-9]{3})?$", checksums.bic),
    Detector("pan", Trigger.DIGITS, r"[2-6](?:[ -]?[0-9]){11,18}", checksums.pan, chance=0.11),
    Detector(
        "phone",
        Trigger.DIGITS,
        r"\+[ (]?[1-9](?:[ .()/-]{0,3}[0-9]){7,14}",
        _international,
        edges="0-9A-Za-z+",
        plainly=rf"^\+(?:{'|'.join(sorted(checksums.COUNTRY_CODES))})(?: ?[0-9]){{7,12}}$",
        sure=True,
    ),
    Detector("phone-national", Trigger.DIGITS, _NATIONAL, _always, edges="0-9A-Za-z+"),
    Detector(
        "be-nrn",
        Trigger.DIGITS,
        r"[0-9]{11}|[0-9]{2}\.?[0-9]{2}\.?[0-9]{2}[ -]?[0-9]{3}[ .-]?[0-9]{2}",
        checksums.be_nrn,
        chance=0.025,
    ),
    Detector("nl-bsn", Trigger.DIGITS, r"[0-9]{9}|[0-9]{4}\.[0-9]{2}\.[0-9]{3}", checksums.nl_bsn, chance=0.1),
    Detector(
        "fr-insee",
        Trigger.DIGITS,
        r"[1-478] ?[0-9]{2} ?[0-9]{2} ?[0-9][0-9AB] ?[0-9]{3} ?[0-9]{3} ?[0-9]{2}",
        checksums.fr_insee,
        chance=0.012,
    ),
    Detector("de-steuer-id", Trigger.DIGITS, r"[1-9][0-9](?: ?[0-9]){9}", checksums.de_steuer_id, chance=0.11),
    Detector(
        "es-dni",
        Trigger.LETTERED,
        r"[0-9XYZ]-?[0-9]{7}-?[A-Z]|[0-9]{1,2}\.[0-9]{3}\.[0-9]{3}-?[A-Z]",
        checksums.es_dni,
        chance=0.05,
    ),
    Detector("pl-pesel", Trigger.DIGITS, r"[0-9]{11}", checksums.pl_pesel, chance=0.11),
    Detector("us-ssn", Trigger.DIGITS, r"[0-9]{3}-[0-9]{2}-[0-9]{4}", checksums.us_ssn),
    Detector("date-of-birth", Trigger.DATE, _BORN, checksums.born, edges=""),
    Detector("ipv4", Trigger.QUAD, rf"{_QUAD}(?:\.{_QUAD}){{3}}", _global_v4, edges="0-9A-Za-z."),
    Detector(
        "ipv6",
        Trigger.COLONS,
        r"(?:[0-9A-Fa-f]{1,4}:){3}[0-9A-Fa-f:]{1,30}|[0-9A-Fa-f:]{0,30}::[0-9A-Fa-f:]{0,30}",
        _global_v6,
        edges="0-9A-Za-z:.",
        sure=True,
    ),
    Detector("name", Trigger.WORDS, _WHOLE, _always, edges=""),
)
"""Every kind. Dates are told only where they are a field's whole value."""
_ANY: Final = "|".join(f"(?:{trigger.value})" for trigger in Trigger)
_GAP: Final = re.compile(r"[ -]")
_MOST_GAPS: Final = 10
_SHORT: Final = 250
_BLIND: Final = math.log(1e-9)


def detect(array: pa.Array, keep: int = PLACES) -> tuple[Found, ...]:
    """What of personal data stands in a string or binary array, sorted by kind, with the first `keep` rows of each.

    Bytes that are not UTF-8 are read with replacement characters, so that what stands between them is seen. Raises
    TypeError for other arrays."""
    texts = _texts(array)
    hits = _holding(texts, _ANY)
    if not len(hits):
        return ()
    chosen = texts.gather(hits)
    found: list[Found] = []
    every = [pl.col("text").str.contains(trigger.value).alias(trigger.name) for trigger in Trigger]
    told = chosen.to_frame("text").select(every)
    for trigger in Trigger:
        at = _true(told[trigger.name])
        if len(at):
            found += _examined(trigger, chosen.gather(at), hits[at], keep)
    return tuple(sorted(found, key=lambda each: each.kind))


def _holding(texts: pl.Series, pattern: str) -> NDArray[np.int64]:
    """Numbers of the rows that match."""
    return _true(texts.str.contains(pattern))


def _true(told: pl.Series) -> NDArray[np.int64]:
    return np.flatnonzero((told.fill_null(False) if told.null_count() else told).to_numpy())


def _texts(array: pa.Array) -> pl.Series:
    """The array as polars text. Arrow strings of a stranger may hold bytes that are not UTF-8, so all go through
    bytes."""
    if pa.types.is_null(array.type):
        return pl.Series([], dtype=pl.String)
    if not (_is_text(array.type) or _is_bytes(array.type)):
        raise TypeError(f"detectors look at text and bytes, not at {array.type}")
    raw = array.cast(pa.large_binary())
    try:
        checked = raw.cast(pa.large_string())
    except pa.ArrowInvalid:
        read = [None if value is None else value.decode("utf-8", "replace") for value in raw.to_pylist()]
        return pl.Series(read, dtype=pl.String)
    return pl.Series(pl.from_arrow(checked), dtype=pl.String)


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _is_bytes(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _examined(trigger: Trigger, texts: pl.Series, rows: NDArray[np.int64], keep: int) -> Iterator[Found]:
    for detector in DETECTORS:
        if detector.trigger is not trigger:
            continue
        plain, left = _plainly(detector, texts)
        at = left[_holding(texts.gather(left) if len(plain) else texts, _loosely(detector))] if len(left) else left
        within, whole = _exact(detector)
        tried = passed = len(plain)
        found: list[int] = rows[plain].tolist()
        for text, row in zip(texts.gather(at).to_list(), rows[at].tolist(), strict=True):
            # Counted by candidate, not by row: a line of many numbers has as many chances.
            candidates = [part for match in within.findall(text) for part in _parts(match) if whole.fullmatch(part)]
            good = sum(map(detector.check, candidates))
            tried, passed = tried + len(candidates), passed + good
            if good:
                found.append(row)
        if found:
            certain = detector.sure or not _chance_explains(passed, tried, detector.chance)
            yield Found(detector.kind, certain, len(found), tuple(sorted(found)[:keep] if len(plain) else found[:keep]))


def _plainly(detector: Detector, texts: pl.Series) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Numbers of the values that need no asking, and of the others."""
    every = np.arange(len(texts))
    if detector.pattern == _WHOLE:
        # Whatever has the trigger, and none of it is asked.
        return every, every[:0]
    if not detector.plainly:
        return every[:0], every
    plain = np.asarray((texts.str.contains(detector.plainly) & (texts.str.len_bytes() <= _SHORT)).to_numpy(), np.bool_)
    return every[plain], every[~plain]


def _loosely(detector: Detector) -> str:
    """For Rust's engine, which cannot look around: what every value holds that holds a candidate."""
    if detector.rough or not detector.edges:
        return detector.rough or detector.pattern
    return rf"(?:^|[^{detector.edges}])(?:{detector.pattern})(?:$|[^{detector.edges}])"


@cache
def _exact(detector: Detector) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """What finds every match, also those that begin within another, and what tells whether a text is one."""
    edges, whole = detector.edges, re.compile(detector.pattern)
    within = rf"(?<![{edges}])(?=((?:{detector.pattern})(?![{edges}])))"
    return (re.compile(within) if edges else whole), whole


def _parts(text: str) -> list[str]:
    """The whole, and every beginning of it that ends before a gap, where there are as few as people make."""
    gaps = [gap.start() for gap in _GAP.finditer(text)] if " " in text or "-" in text else []
    return [text, *(text[:gap] for gap in gaps)] if len(gaps) <= _MOST_GAPS else [text]


def _chance_explains(passed: int, tried: int, chance: float) -> bool:
    """Whether random candidates would pass so often: Chernoff's bound on the binomial tail, against 1e-9."""
    share = passed / tried
    if share <= chance:
        return True
    divergence = share * math.log(share / chance)
    if share < 1:
        divergence += (1 - share) * math.log((1 - share) / (1 - chance))
    return -tried * divergence > _BLIND
