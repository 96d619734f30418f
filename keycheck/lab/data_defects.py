"""Every defect of the vendor's exports, and what a run on it must show."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final, TypeAlias

from keycheck.lab.data_sites import DataDefect, DataSite, Harm, Leak, Way
from keycheck.lab.defect import Promise, fails, unknown

CLAUSE: Final = "ENC-FIELD"
ESDK: Final = "contacts-export"
TINK: Final = "contacts-g-export"

Change: TypeAlias = Callable[[DataSite], DataSite]


def _controls(*names: str) -> tuple[str, ...]:
    return tuple(f"fields.{name}" for name in names)


def _fails(*names: str) -> frozenset[Promise]:
    return fails(*_controls(*names))


def _unknown(*names: str) -> frozenset[Promise]:
    return unknown(*_controls(*names))


def _data(id: str, title: str, promises: frozenset[Promise], change: Change, at: str = ESDK) -> DataDefect:
    return DataDefect(id, title, CLAUSE if promises else "", promises, change, at, False)


def _way(column: str, way: Way, every: int = 1) -> Change:
    return lambda site: site.with_way(column, way, every)


def _leak(leak: Leak) -> Change:
    return lambda site: replace(site, leaks=site.leaks | {leak})


def _harm(harm: Harm) -> Change:
    return lambda site: replace(site, harm=harm)


_SHUT: Final = _unknown("encrypted", "algorithm", "tag", "tamper")
"""Nothing of the column opens, so that what only a sample can show stays open."""
_SHUT_G: Final = _SHUT | _unknown("context", "data-key-length", "escrow")
"""Where values show neither context nor key nor cipher, more of it."""
_FOREIGN: Final = _unknown("rotation")
"""Data keys under a key of whose rotation nothing was agreed."""
_UNREAD_G: Final = _unknown(
    "algorithm", "context", "data-key-length", "data-key-use", "deterministic", "escrow", "key", "nonce", "rotation",
    "tag", "tamper",
)  # fmt: skip
"""Some values are of no format, so that what formats tell stays open."""
_UNREAD: Final = _UNREAD_G | _unknown("commitment")
"""The same in `contacts-export`, of which commitment is demanded as well."""
_STATIC: Final = _unknown("commitment", "context", "data-key-use", "encrypted", "escrow", "rotation", "tag", "tamper")
"""Values of a format without data keys of their own, which nobody can ask the customer's key to open."""
_EVERYTHING_G: Final = _UNREAD_G | _unknown("encrypted", "length-leak", "plaintext")
_EVERYTHING: Final = _EVERYTHING_G | _unknown("commitment", "coverage")

DATA_DEFECTS: tuple[DataDefect, ...] = (
    _data("plaintext-column", "a sensitive column is in the clear", _fails("encrypted", "plaintext") | _UNREAD,
          _way("email", Way.CLEAR)),
    _data("base64-column", "a sensitive column is only base64", _fails("encrypted", "plaintext") | _UNREAD,
          _way("email", Way.BASE64)),
    _data("mixed-column", "every twelfth value is in the clear", _fails("encrypted", "plaintext") | _UNREAD_G,
          _way("notes", Way.CLEAR, 12), TINK),
    _data("one-bad-row", "one value of all is in the clear", _fails("encrypted", "plaintext") | _UNREAD_G,
          lambda site: site.with_way("iban", Way.CLEAR, site.rows), TINK),
    _data("aes-128-data-keys", "the Encryption SDK with a suite of 128 bits",
          # which does not commit either
          _fails("algorithm", "data-key-length", "commitment"), _way("email", Way.AES_128)),
    _data("aes-128-data-keys-g", "Tink with data keys of 128 bits", _fails("algorithm", "data-key-length"),
          _way("email", Way.AES_128), TINK),
    _data("cbc-without-tag", "AES-CBC without authentication, as openssl enc writes it",
          # under a password, with 64 random bits
          _fails("algorithm", "key", "nonce") | _STATIC | _unknown("data-key-length"), _way("iban", Way.SALTED)),
    _data("bare-cbc", "AES-CBC without authentication and without any header: it could be anything",
          _UNREAD | _unknown("encrypted"), _way("iban", Way.CBC)),
    _data("ecb", "AES-ECB: equal blocks show", _fails("encrypted") | _UNREAD, _way("notes", Way.ECB)),
    _data("fixed-nonce", "one nonce for everything, stored",
          # and so the ciphertext is not random
          _fails("nonce", "encrypted"), _way("email", Way.FIXED_NONCE), TINK),
    _data("hidden-fixed-nonce", "one nonce for everything, nowhere stored", _fails("encrypted") | _UNREAD,
          _way("email", Way.HIDDEN_NONCE)),
    _data("counter-restarted", "nonces count up, and begin anew under the same data key",
          _fails("nonce", "encrypted"), _way("email", Way.COUNTER_NONCE), TINK),
    _data("one-data-key", "one data key for all tenants", _fails("data-key-use"),
          lambda site: replace(site, uses_really=0), TINK),
    _data("wrong-key", "under a key of the vendor's own", _fails("key", "escrow") | _FOREIGN | _SHUT,
          _way("email", Way.WRONG_KEY)),
    _data("wrong-key-g", "under a key of the vendor's own, which nothing in the values says",
          _fails("key") | _SHUT_G, _way("email", Way.WRONG_KEY), TINK),
    _data("escrow-key", "data keys are wrapped a second time, under a key of the vendor's",
          _fails("escrow", "key") | _FOREIGN, _way("email", Way.ESCROW)),
    _data("forged-header", "headers name the customer's key over data keys under the vendor's",
          _fails("key") | _SHUT, _way("email", Way.FORGED_HEADER)),
    _data("forged-header-g", "wrapped keys name the customer's key version over the vendor's",
          _fails("key") | _SHUT_G, _way("email", Way.FORGED_HEADER), TINK),
    _data("clear-under-tag", "plaintext in place of ciphertext, under a right header and a valid tag",
          _fails("encrypted", "plaintext") | _UNREAD, _way("notes", Way.CLEAR_UNDER_TAG)),
    _data("clear-under-tag-g", "plaintext in place of ciphertext, under a valid tag, in Google Cloud",
          _fails("encrypted", "plaintext") | _UNREAD_G, _way("notes", Way.CLEAR_UNDER_TAG), TINK),
    _data("own-cipher-inside", "the vendor's own AES-128 in place of ciphertext, under a right header",
          # tags verify: they say nothing of it
          _fails("encrypted"), _way("notes", Way.OWN_CIPHER)),
    _data("encrypted-on-export", "the store is in the clear: the vendor encrypts while it exports, backdated",
          # nothing ties what it handed over to the store
          _EVERYTHING, lambda site: replace(site, made_by_vendor=True, sealed_on_export=True)),
    _data("vendor-made", "the vendor made the export, in which our canaries are as the key's log saw them planted",
          frozenset(), lambda site: replace(site, made_by_vendor=True)),
    _data("key-in-another-region", "under a key of the customer's in a Region outside the jurisdiction",
          _fails("key", "escrow") | _FOREIGN | _SHUT, _way("email", Way.ELSEWHERE)),
    _data("no-data-context", "values are bound to nothing",
          # and open in any row
          _fails("context", "tamper"), _way("email", Way.NO_CONTEXT)),
    _data("no-data-context-g", "values are bound to nothing, in Google Cloud", _fails("context", "tamper"),
          _way("email", Way.NO_CONTEXT), TINK),
    _data("constant-context", "every value is bound to the same", _fails("context"),
          _way("email", Way.CONSTANT_CONTEXT)),
    _data("undeclared-context", "contexts hold an entry that nobody agreed, in the clear", _unknown("context"),
          _way("email", Way.MORE_CONTEXT)),
    _data("context-of-another-row", "values are bound to another row than theirs", _fails("context"),
          _way("email", Way.OTHER_ROW)),
    _data("swapped-rows", "some values stand in each other's rows", _fails("context"),
          _way("iban", Way.SWAPPED, 5)),
    _data("old-key-material", "a third of what is written goes on under the material of before the rotation",
          _fails("rotation"), _way("email", Way.OLD_MATERIAL, 3)),
    _data("old-key-version", "a third of what is written goes on under the version of before the rotation",
          _fails("rotation"), _way("email", Way.OLD_MATERIAL, 3), TINK),
    _data("deterministic-column", "equal values are equal ciphertexts",
          # at most one of them is bound to its row
          _fails("deterministic", "context"), _way("segment", Way.MEMORISED)),
    _data("clear-in-log", "e-mail addresses in the application's log", _fails("plaintext"), _leak(Leak.LOG)),
    _data("clear-in-search-dump", "names and IBANs in the dump of the search index", _fails("plaintext"),
          _leak(Leak.SEARCH_DUMP)),
    _data("clear-in-search-column", "e-mail addresses in a column that holds nothing sensitive",
          _fails("plaintext"), _leak(Leak.SEARCH_COLUMN)),
    _data("hash-beside", "unsalted SHA-256 of e-mail addresses in another column", _fails("plaintext"),
          _leak(Leak.HASH), TINK),
    _data("mongo-placeholder", "markings that only ask to be encrypted",
          _fails("encrypted", "plaintext") | (_UNREAD - _unknown("deterministic")), _way("notes", Way.PLACEHOLDER)),
    _data("fernet", "Fernet tokens: AES-128-CBC", _fails("algorithm", "data-key-length") | _STATIC | _unknown("key"),
          _way("email", Way.FERNET)),
    _data("pgcrypto-default", "pgcrypto's defaults: AES-128 under a password",
          _fails("algorithm", "data-key-length", "key") | _STATIC, _way("iban", Way.PGCRYPTO)),
    _data("length-tells", "an enumerated value shows by its length", _fails("length-leak"),
          _way("segment", Way.UNPADDED)),
    _data("truncated-values", "some ciphertexts were cut short", _UNREAD | _unknown("encrypted", "plaintext"),
          _way("email", Way.TRUNCATED, 20)),
    _data("undeclared-column", "a column that the field map does not name", _EVERYTHING,
          lambda site: replace(site, undeclared=True)),
    _data("other-files", "the files are not those that were handed over", _unknown("coverage"), _harm(Harm.CHANGED)),
    _data("rows-missing", "fewer rows than were counted", _unknown("coverage"), _harm(Harm.SHORT), TINK),
    _data("damaged-file", "the last file breaks off", _unknown("coverage") | _EVERYTHING_G, _harm(Harm.DAMAGED), TINK),
)  # fmt: skip
"""The table, in the order in which it is shown."""
