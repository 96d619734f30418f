"""Whether a decrypted value has the form of the class that the field map gives its column.

A form is weak evidence for text and good evidence where there is a checksum; equality with a planted canary is best.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from probes.fields.hunt import checksums

Fits: TypeAlias = Callable[[bytes], bool | None]

_LONGEST: Final = 1 << 16
_BLOB: Final = re.compile(r"[A-Za-z0-9+/=_.:-]{48,}")
_NATIONAL: Final = (
    checksums.be_nrn,
    checksums.nl_bsn,
    checksums.fr_insee,
    checksums.de_steuer_id,
    checksums.es_dni,
    checksums.it_codice_fiscale,
    checksums.pl_pesel,
    checksums.uk_nino,
    checksums.us_ssn,
)


def _national_id(text: str) -> bool:
    return any(check(text) for check in _NATIONAL)


def _prose(text: str) -> bool:
    """What a person may have written: printable, with a letter, and not one long token as encoded ciphertext is."""
    plain = text.strip()
    return (
        any(char.isalpha() for char in plain)
        and all(char.isprintable() or char in "\n\r\t" for char in plain)
        and "\ufffd" not in plain
        and _BLOB.fullmatch(plain) is None
    )


_FORMS: Final[Mapping[str, Callable[[str], bool]]] = {
    "email": checksums.email,
    "iban": checksums.iban,
    "pan": checksums.pan,
    "phone": checksums.phone,
    "national-id": _national_id,
    "date-of-birth": checksums.born,
    "name": _prose,
    "address": _prose,
    "free-text": _prose,
}


def detectors_for(of: str) -> Fits:
    """A test of decrypted bytes for the class `of`: True or False where the class has a form (`email`, `iban`, `pan`,
    `phone`, `national-id`, `date-of-birth`; readable text for `name`, `address`, `free-text`), None for every other
    class. A value in JSON's quotes is tested without them."""
    form = _FORMS.get(of)
    return (lambda _: None) if form is None else (lambda value: _fits(form, value))


def _fits(form: Callable[[str], bool], value: bytes) -> bool:
    if len(value) > _LONGEST:
        return False
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError:
        return False
    if len(text) > 1 and text[0] == text[-1] == '"':
        text = text[1:-1]
    return form(text)
