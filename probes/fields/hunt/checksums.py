"""Forms of personal data that carry a checksum or a fixed grammar, one value at a time.

Every function takes text and says whether all of it has the form; spaces, dots, dashes and slashes that people write
between the characters are left out first. A number that passes may still be no person's: an order number of 16 digits
passes Luhn's check one time in ten.

Sources: ISO 13616 and SWIFT's IBAN registry; ISO/IEC 7812-1 (Luhn) and the schemes' published issuer ranges; ITU-T
E.164 and its list of assigned country codes; the issuing authorities' published check rules of each national number.
"""

from __future__ import annotations

import re
from typing import Final

_GAPS: Final = str.maketrans("", "", " .-/\u00a0")
_DIGITS: Final = re.compile(r"[0-9]+")

_IBAN: Final = {
    "AD": "n8c12", "AE": "n19", "AL": "n8c16", "AT": "n16", "AZ": "a4c20", "BA": "n16", "BE": "n12", "BG": "a4n6c8",
    "BH": "a4c14", "BI": "n23", "BR": "n23a1c1", "BY": "c4n4c16", "CH": "n5c12", "CR": "n18", "CY": "n8c16",
    "CZ": "n20", "DE": "n18", "DJ": "n23", "DK": "n14", "DO": "c4n20", "EE": "n16", "EG": "n25", "ES": "n20",
    "FI": "n14", "FK": "a2n12", "FO": "n14", "FR": "n10c11n2", "GB": "a4n14", "GE": "a2n16", "GI": "a4c15",
    "GL": "n14", "GR": "n7c16", "GT": "c4c20", "HN": "a4n20", "HR": "n17", "HU": "n24", "IE": "a4n14", "IL": "n19",
    "IQ": "a4n15", "IS": "n22", "IT": "a1n10c12", "JO": "a4n4c18", "KW": "a4c22", "KZ": "n3c13", "LB": "n4c20",
    "LC": "a4c24", "LI": "n5c12", "LT": "n16", "LU": "n3c13", "LV": "a4c13", "LY": "n21", "MC": "n10c11n2",
    "MD": "c2c18", "ME": "n18", "MK": "n3c10n2", "MN": "n16", "MR": "n23", "MT": "a4n5c18", "MU": "a4n19a3",
    "NI": "a4n20", "NL": "a4n10", "NO": "n11", "OM": "n3c16", "PK": "a4c16", "PL": "n24", "PS": "a4c21", "PT": "n21",
    "QA": "a4c21", "RO": "a4c16", "RS": "n18", "RU": "n14c15", "SA": "n2c18", "SC": "a4n20a3", "SD": "n14",
    "SE": "n20", "SI": "n15", "SK": "n20", "SM": "a1n10c12", "SO": "n19", "ST": "n21", "SV": "a4n20", "TL": "n19",
    "TN": "n20", "TR": "n6c16", "UA": "n6c19", "VA": "n18", "VG": "a4n16", "XK": "n16", "YE": "a4n4c18",
}  # fmt: skip
"""What follows country and check digits: so many digits (n), letters (a), either (c)."""
_LETTERS: Final = {"n": "[0-9]", "a": "[A-Z]", "c": "[A-Z0-9]"}


def _bban(structure: str) -> re.Pattern[str]:
    pieces = re.findall(r"([nac])([0-9]+)", structure)
    return re.compile("".join(f"{_LETTERS[kind]}{{{size}}}" for kind, size in pieces))


_BBANS: Final = {country: _bban(structure) for country, structure in _IBAN.items()}
COUNTRIES: Final = frozenset(_IBAN)
"""Countries whose banks have IBANs."""


def compact(text: str) -> str:
    """Without what people write between the characters."""
    return text.translate(_GAPS)


def _digits(text: str, size: int) -> str | None:
    plain = compact(text)
    return plain if len(plain) == size and _DIGITS.fullmatch(plain) else None


def iban(text: str) -> bool:
    """An IBAN: country, length and structure, and the remainder 1 modulo 97."""
    plain = compact(text).upper()
    bban = _BBANS.get(plain[:2])
    if bban is None or not plain[2:4].isdigit() or not plain.isascii() or bban.fullmatch(plain, 4) is None:
        return False
    return int("".join(str(int(char, 36)) for char in plain[4:] + plain[:4])) % 97 == 1


def iban_check_digits(country: str, bban: str) -> str:
    """The two check digits of an account number in this country."""
    return f"{98 - int(''.join(str(int(char, 36)) for char in bban + country + '00')) % 97:02d}"


_ISSUERS: Final = re.compile(
    r"4(?:[0-9]{12}|[0-9]{15}|[0-9]{18})|(?:5[1-5]|222[1-9]|22[3-9][0-9]|2[3-6][0-9]{2}|27[01][0-9]|2720)[0-9]+"
    r"|3[47][0-9]{13}|(?:30[0-5]|36|38|39)[0-9]+|(?:6011|64[4-9]|65)[0-9]+|35(?:2[89]|[3-8][0-9])[0-9]+|62[0-9]+"
    r"|(?:5018|5020|5038|5893|6304|6759|676[1-3])[0-9]+"
)
_PAN_LENGTHS: Final = ((r"(?:5[1-5]|2)", 16, 16), (r"3[0689]", 14, 19), (r"(?:6|35)", 12, 19))


def luhn(digits: str) -> bool:
    """Luhn's check over decimal digits."""
    total = 0
    for index, char in enumerate(reversed(digits)):
        value = ord(char) - 48
        total += value if index % 2 == 0 else (value * 2 - 9 if value > 4 else value * 2)
    return total % 10 == 0


def pan(text: str) -> bool:
    """A payment card's number: an issuer's prefix, a length of that scheme, and Luhn's check."""
    plain = compact(text)
    if not 12 <= len(plain) <= 19 or _ISSUERS.fullmatch(plain) is None or len(set(plain)) == 1:
        return False
    for prefix, least, most in _PAN_LENGTHS:
        if re.match(prefix, plain) and not least <= len(plain) <= most:
            return False
    return luhn(plain)


COUNTRY_CODES: Final = frozenset(
    map(str, (
        1, 7, 20, 27, 30, 31, 32, 33, 34, 36, 39, 40, 41, 43, 44, 45, 46, 47, 48, 49, 51, 52, 53, 54, 55, 56,
        57, 58, 60, 61, 62, 63, 64, 65, 66, 81, 82, 84, 86, 90, 91, 92, 93, 94, 95, 98, 211, 212, 213, 216, 218,
        220, 221, 222, 223, 224, 225, 226, 227, 228, 229, 230, 231, 232, 233, 234, 235, 236, 237, 238, 239, 240,
        241, 242, 243, 244, 245, 246, 247, 248, 249, 250, 251, 252, 253, 254, 255, 256, 257, 258, 260, 261, 262,
        263, 264, 265, 266, 267, 268, 269, 290, 291, 297, 298, 299, 350, 351, 352, 353, 354, 355, 356, 357, 358,
        359, 370, 371, 372, 373, 374, 375, 376, 377, 378, 380, 381, 382, 383, 385, 386, 387, 389, 420, 421, 423,
        500, 501, 502, 503, 504, 505, 506, 507, 508, 509, 590, 591, 592, 593, 594, 595, 596, 597, 598, 599, 670,
        672, 673, 674, 675, 676, 677, 678, 679, 680, 681, 682, 683, 685, 686, 687, 688, 689, 690, 691, 692, 800,
        808, 850, 852, 853, 855, 856, 870, 878, 880, 881, 882, 883, 886, 888, 960, 961, 962, 963, 964, 965, 966,
        967, 968, 970, 971, 972, 973, 974, 975, 976, 977, 979, 992, 993, 994, 995, 996, 998,
    ))
)  # fmt: skip
"""Assigned country codes of the telephone network."""
_PHONE_GAPS: Final = str.maketrans("", "", " .-/()\u00a0")


def country_code(digits: str) -> str | None:
    """The assigned country code that an international number begins with."""
    return next((digits[:size] for size in (1, 2, 3) if digits[:size] in COUNTRY_CODES), None)


def phone_digits(text: str) -> str | None:
    """The digits of an international telephone number (`+` or `00` first) without prefix; None where it is none."""
    plain = text.strip().translate(_PHONE_GAPS)
    for prefix in ("+", "00"):
        digits = plain.removeprefix(prefix)
        if digits != plain and _DIGITS.fullmatch(digits) and 8 <= len(digits) <= 15 and country_code(digits):
            return digits
    return None


def phone(text: str) -> bool:
    """A telephone number: international, or 7 to 15 digits in a national spelling."""
    if phone_digits(text) is not None:
        return True
    plain = text.strip().translate(_PHONE_GAPS)
    return 7 <= len(plain) <= 15 and _DIGITS.fullmatch(plain) is not None


def _day(month: int, day: int) -> bool:
    return 1 <= month <= 12 and 1 <= day <= 31


def be_nrn(text: str) -> bool:
    """Belgium, register number: a date of birth, 97 less the remainder modulo 97."""
    plain = _digits(text, 11)
    if plain is None or int(plain[2:4]) % 20 > 12 or int(plain[4:6]) > 31:
        return False
    number, check = int(plain[:9]), int(plain[9:])
    return check in (97 - number % 97, 97 - (2_000_000_000 + number) % 97)


def nl_bsn(text: str) -> bool:
    """The Netherlands, citizen service number: the eleven test."""
    plain = _digits(text, 9)
    if plain is None or int(plain) == 0:
        return False
    return (sum(int(char) * (9 - index) for index, char in enumerate(plain[:8])) - int(plain[8])) % 11 == 0


_INSEE: Final = re.compile(r"[1-478][0-9]{2}(?:0[1-9]|1[0-2]|[2-4][0-9])(?:2[AB]|[0-9]{2})[0-9]{8}")


def fr_insee(text: str) -> bool:
    """France, registration number: sex, year, month, place, and 97 less the remainder modulo 97."""
    plain = compact(text).upper()
    if _INSEE.fullmatch(plain) is None:
        return False
    number = int(plain[:13].replace("2A", "19").replace("2B", "18"))
    return 97 - number % 97 == int(plain[13:])


def de_steuer_id(text: str) -> bool:
    """Germany, tax identification number: one digit twice or three times, and ISO 7064 MOD 11,10."""
    plain = _digits(text, 11)
    if plain is None or plain[0] == "0":
        return False
    counts = sorted(plain[:10].count(char) for char in set(plain[:10]))
    if counts[-1] not in (2, 3) or any(count > 1 for count in counts[:-1]):
        return False
    product = 10
    for char in plain[:10]:
        product = 2 * ((int(char) + product) % 10 or 10) % 11
    return (11 - product) % 10 == int(plain[10])


_DNI: Final = re.compile(r"[0-9XYZ][0-9]{7}[A-Z]")


def es_dni(text: str) -> bool:
    """Spain, DNI or NIE: the letter of the remainder modulo 23."""
    plain = compact(text).upper()
    if _DNI.fullmatch(plain) is None:
        return False
    number = int(plain[:8].translate(str.maketrans("XYZ", "012")))
    return "TRWAGMYFPDXBNJZSQVHLCKE"[number % 23] == plain[8]


_CODICE: Final = re.compile(r"[A-Z]{6}[0-9LMNPQRSTUV]{2}[A-EHLMPRST][0-9LMNPQRSTUV]{2}[A-Z][0-9LMNPQRSTUV]{3}[A-Z]")
_ODD: Final = dict(
    zip(
        "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ",
        (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16,
         10, 22, 25, 24, 23),
        strict=True,
    )
)  # fmt: skip


def it_codice_fiscale(text: str) -> bool:
    """Italy, fiscal code: its grammar and check letter."""
    plain = compact(text).upper()
    if _CODICE.fullmatch(plain) is None:
        return False
    even = sum(int(char) if char.isdigit() else ord(char) - 65 for char in plain[1:15:2])
    return chr(65 + (even + sum(_ODD[char] for char in plain[0:15:2])) % 26) == plain[15]


def pl_pesel(text: str) -> bool:
    """Poland, PESEL: a date of birth and the weights 1, 3, 7, 9."""
    plain = _digits(text, 11)
    if plain is None or not _day(int(plain[2:4]) % 20, int(plain[4:6])):
        return False
    total = sum(int(char) * (1, 3, 7, 9)[index % 4] for index, char in enumerate(plain[:10]))
    return (10 - total % 10) % 10 == int(plain[10])


_NINO: Final = re.compile(r"(?!BG|GB|KN|NK|NT|TN|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z][0-9]{6}[A-D]")


def uk_nino(text: str) -> bool:
    """United Kingdom, national insurance number: its form; there is no checksum."""
    return _NINO.fullmatch(compact(text).upper()) is not None


_SSN: Final = re.compile(r"(?!000|666|9)[0-9]{3}[- ](?!00)[0-9]{2}[- ](?!0000)[0-9]{4}")


def us_ssn(text: str) -> bool:
    """United States, social security number: the groups that are never issued; there is no checksum."""
    return _SSN.fullmatch(text.strip()) is not None


_BIC: Final = re.compile(r"[A-Z]{4}([A-Z]{2})[A-Z0-9]{2}(?:[A-Z0-9]{3})?")


def bic(text: str) -> bool:
    """A bank's identifier (ISO 9362) of a country that has IBANs, or of the United States."""
    found = _BIC.fullmatch(text.strip())
    return found is not None and (found[1] in COUNTRIES or found[1] == "US")


_BORN: Final = re.compile(
    r"(?:19[0-9]{2}|20[01][0-9])(?P<a>[-/.]?)(?:0[1-9]|1[0-2])(?P=a)(?:0[1-9]|[12][0-9]|3[01])"
    r"(?:[T ]00:00:00(?:\.0+)?Z?)?"
    r"|(?:0?[1-9]|[12][0-9]|3[01])(?P<b>[-/.])(?:0?[1-9]|1[0-2])(?P=b)(?:19[0-9]{2}|20[01][0-9])"
    r"|(?:0?[1-9]|1[0-2])/(?:0?[1-9]|[12][0-9]|3[01])/(?:19[0-9]{2}|20[01][0-9])"
)


def born(text: str) -> bool:
    """A day of the years 1900 to 2019: the form of a date of birth, and of many another date."""
    return _BORN.fullmatch(text.strip()) is not None


_EMAIL: Final = re.compile(
    r"[^\s@\"<>(),:;\[\]\\]{1,64}@(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.)+(?:[A-Za-z]{2,24}|xn--[A-Za-z0-9-]{2,59})"
)
NO_TLD: Final = frozenset(
    ("png", "jpg", "jpeg", "gif", "svg", "webp", "css", "js", "ts", "mjs", "map", "html", "htm", "json", "pdf", "ico")
)
"""Endings of file names such as `icon@2x.png`."""


def email(text: str) -> bool:
    """An e-mail address as people have them (RFC 5321 without quoted local parts and address literals)."""
    plain = text.strip()
    return len(plain) <= 320 and _EMAIL.fullmatch(plain) is not None and plain.rpartition(".")[2].lower() not in NO_TLD
