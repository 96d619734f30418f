"""Values that look like anybody's data and are like nobody's else: as much chance in them as their form has room for.

A name, an e-mail address, an address and free text carry 64 bits and more; a German account number 59, a telephone
number 30, a card number 29, a Belgian register number 24, a date of birth 14. No value says what it is for: whoever
looks for canaries by a marker finds none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from keycheck.model.types import Entropy
from probes.fields.hunt import checksums

_CONSONANTS: Final = ("b", "d", "f", "g", "h", "j", "k", "l", "m", "n", "p", "r", "s", "t", "v", "z")
_VOWELS: Final = ("a", "e", "i", "o", "u", "ia", "ei", "au")
"""A syllable has 16 times 8 forms: 7 bits."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What a plan says of a value's form."""

    domain: str = "mail.example"
    """Of e-mail addresses."""
    prefix: str = ""
    """What telephone numbers and card numbers begin with."""


def make(of: str, shape: Shape, entropy: Entropy) -> str:
    """A value of the class. Classes without a form of their own get a word of 70 bits."""
    return _MAKERS.get(of, _word)(shape, _Chance(entropy))


def record_id(entropy: Entropy) -> str:
    """A random UUID (RFC 9562, version 4), as ids usually are."""
    data = bytearray(entropy(16))
    data[6] = data[6] & 0x0F | 0x40
    data[8] = data[8] & 0x3F | 0x80
    text = data.hex()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


@dataclass(frozen=True, slots=True)
class _Chance:
    entropy: Entropy

    def below(self, most: int) -> int:
        """An even choice of 0 to most - 1; eight bytes more than needed leave no bias worth the name."""
        return int.from_bytes(self.entropy(16), "big") % most

    def digits(self, count: int) -> str:
        return f"{self.below(10**count):0{count}d}"

    def word(self, syllables: int) -> str:
        return "".join(
            _CONSONANTS[self.below(len(_CONSONANTS))] + _VOWELS[self.below(len(_VOWELS))] for _ in range(syllables)
        )


def _name(shape: Shape, chance: _Chance) -> str:
    return " ".join(chance.word(size).capitalize() for size in (3, 4, 3))


def _email(shape: Shape, chance: _Chance) -> str:
    return f"{chance.word(4)}.{chance.word(5)}{chance.digits(2)}@{shape.domain}"


def _iban(shape: Shape, chance: _Chance) -> str:
    account = chance.digits(18)
    return f"DE{checksums.iban_check_digits('DE', account)}{account}"


def _phone(shape: Shape, chance: _Chance) -> str:
    prefix = shape.prefix or "+4915"
    return prefix + chance.digits(max(4, 14 - len(prefix)))


def _pan(shape: Shape, chance: _Chance) -> str:
    prefix = shape.prefix or "424242"
    body = prefix + chance.digits(max(0, 15 - len(prefix)))
    return next(body + digit for digit in "0123456789" if checksums.luhn(body + digit))


def _national_id(shape: Shape, chance: _Chance) -> str:
    number = f"{_birthday(chance):%y%m%d}{1 + chance.below(997):03d}"
    return f"{number}{97 - int(number) % 97:02d}"


def _birthday(chance: _Chance) -> date:
    return date(1940, 1, 1) + timedelta(days=chance.below(21_900))


def _born(shape: Shape, chance: _Chance) -> str:
    return _birthday(chance).isoformat()


def _address(shape: Shape, chance: _Chance) -> str:
    number, code = 1 + chance.below(180), 1000 + chance.below(9000)
    return f"{chance.word(5).capitalize()}weg {number}, {code} {chance.word(4).capitalize()}"


def _text(shape: Shape, chance: _Chance) -> str:
    return f"Called {chance.word(3).capitalize()} {chance.word(4).capitalize()} about {chance.word(4)}, will write back"


def _secret(shape: Shape, chance: _Chance) -> str:
    return chance.entropy(16).hex()


def _word(shape: Shape, chance: _Chance) -> str:
    return chance.word(10)


_MAKERS: Final[Mapping[str, Callable[[Shape, _Chance], str]]] = {
    "name": _name,
    "email": _email,
    "iban": _iban,
    "phone": _phone,
    "pan": _pan,
    "national-id": _national_id,
    "date-of-birth": _born,
    "address": _address,
    "free-text": _text,
    "secret": _secret,
}
