"""Every defect of the vendor's exports, and what a run on it must show."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final, TypeAlias

from keycheck.lab.data_sites import DataDefect, DataSite, Harm, Leak, Way
from keycheck.lab.defect import Promise, fails, unknown

CLAUSE: Final = "ENC-FIELDS"
ESDK: Final = "contacts-export"
TINK: Final = "contacts-g-export"

Change: TypeAlias = Callable[[DataSite], DataSite]


def _data(id: str, title: str, promises: frozenset[Promise], change: Change, at: str = ESDK) -> DataDefect:
    return DataDefect(id, title, CLAUSE if promises else "", promises, change, at, False)


def _way(column: str, way: Way, every: int = 1) -> Change:
    return lambda site: site.with_way(column, way, every)


def _leak(leak: Leak) -> Change:
    return lambda site: replace(site, leaks=site.leaks | {leak})


def _harm(harm: Harm) -> Change:
    return lambda site: replace(site, harm=harm)


DATA_DEFECTS: tuple[DataDefect, ...] = (
    _data("plaintext-column", "a sensitive column is in the clear", fails("fields.encrypted"),
          _way("email", Way.CLEAR)),
    _data("base64-column", "a sensitive column is only base64", fails("fields.encrypted"),
          _way("email", Way.BASE64)),
    _data("mixed-column", "every twelfth value is in the clear", fails("fields.encrypted"),
          _way("notes", Way.CLEAR, 12), TINK),
    _data("one-bad-row", "one value of all is in the clear", fails("fields.encrypted"),
          lambda site: site.with_way("iban", Way.CLEAR, site.rows), TINK),
    _data("aes-128-data-keys", "the Encryption SDK with a suite of 128 bits", fails("fields.algorithm"),
          _way("email", Way.AES_128)),
    _data("aes-128-data-keys-g", "Tink with data keys of 128 bits", fails("fields.algorithm"),
          _way("email", Way.AES_128), TINK),
    _data("cbc-without-tag", "AES-CBC without authentication, as openssl enc writes it", fails("fields.algorithm"),
          _way("iban", Way.SALTED)),
    _data("bare-cbc", "AES-CBC without authentication and without any header", unknown("fields.algorithm"),
          _way("iban", Way.CBC)),
    _data("ecb", "AES-ECB", fails("fields.encrypted"), _way("notes", Way.ECB)),
    _data("fixed-nonce", "one nonce for everything, stored", fails("fields.nonce"),
          _way("email", Way.FIXED_NONCE), TINK),
    _data("hidden-fixed-nonce", "one nonce for everything, nowhere stored", fails("fields.encrypted"),
          _way("email", Way.HIDDEN_NONCE)),
    _data("counter-restarted", "nonces count up, and begin anew under the same data key", fails("fields.nonce"),
          _way("email", Way.COUNTER_NONCE), TINK),
    _data("one-data-key", "one data key for all tenants", fails("fields.data-key-use"),
          lambda site: replace(site, uses_really=0), TINK),
    _data("wrong-key", "under a key of the vendor's own", fails("fields.key"), _way("email", Way.WRONG_KEY)),
    _data("wrong-key-g", "under a key of the vendor's own, which nothing in the values says", fails("fields.key"),
          _way("email", Way.WRONG_KEY), TINK),
    _data("escrow-key", "data keys are wrapped a second time, under a key of the vendor's", fails("fields.escrow"),
          _way("email", Way.ESCROW)),
    _data("forged-header", "headers name the customer's key over data keys under the vendor's", fails("fields.key"),
          _way("email", Way.FORGED_HEADER)),
    _data("forged-header-g", "wrapped keys name the customer's key version over the vendor's", fails("fields.key"),
          _way("email", Way.FORGED_HEADER), TINK),
    _data("clear-under-tag", "plaintext in place of ciphertext, under a right header and a valid tag",
          fails("fields.encrypted"), _way("notes", Way.CLEAR_UNDER_TAG)),
    _data("clear-under-tag-g", "plaintext in place of ciphertext, under a valid tag, in Google Cloud",
          fails("fields.encrypted"), _way("notes", Way.CLEAR_UNDER_TAG), TINK),
    _data("own-cipher-inside", "the vendor's own AES-128 in place of ciphertext, under a right header",
          fails("fields.encrypted"), _way("notes", Way.OWN_CIPHER)),
    _data("encrypted-on-export", "the store is in the clear: the vendor encrypts while it exports",
          unknown("fields.encrypted"),
          lambda site: replace(site, made_by_vendor=True, sealed_on_export=True)),
    _data("vendor-made", "the vendor made the export, of canaries too that were planted", frozenset(),
          lambda site: replace(site, made_by_vendor=True)),
    _data("key-in-another-region", "under a key of the customer's in a Region outside the jurisdiction",
          fails("fields.key"), _way("email", Way.ELSEWHERE)),
    _data("no-data-context", "values are bound to nothing", fails("fields.context"), _way("email", Way.NO_CONTEXT)),
    _data("no-data-context-g", "values are bound to nothing, in Google Cloud", fails("fields.context"),
          _way("email", Way.NO_CONTEXT), TINK),
    _data("constant-context", "every value is bound to the same", fails("fields.context"),
          _way("email", Way.CONSTANT_CONTEXT)),
    _data("context-of-another-row", "values are bound to another row than theirs", fails("fields.context"),
          _way("email", Way.OTHER_ROW)),
    _data("swapped-rows", "some values stand in each other's rows", fails("fields.context"),
          _way("iban", Way.SWAPPED, 5)),
    _data("old-key-material", "values written after the rotation are under the material of before",
          fails("fields.rotation"), _way("email", Way.OLD_MATERIAL)),
    _data("old-key-version", "values written after the rotation are under the version of before",
          fails("fields.rotation"), _way("email", Way.OLD_MATERIAL), TINK),
    _data("deterministic-column", "equal values are equal ciphertexts", fails("fields.deterministic"),
          _way("segment", Way.MEMORISED)),
    _data("clear-in-log", "e-mail addresses in the application's log", fails("fields.plaintext"),
          _leak(Leak.LOG)),
    _data("clear-in-search-dump", "names and IBANs in the dump of the search index", fails("fields.plaintext"),
          _leak(Leak.SEARCH_DUMP)),
    _data("clear-in-search-column", "e-mail addresses in a column that holds nothing sensitive",
          fails("fields.plaintext"), _leak(Leak.SEARCH_COLUMN)),
    _data("hash-beside", "unsalted SHA-256 of e-mail addresses in another column", fails("fields.plaintext"),
          _leak(Leak.HASH), TINK),
    _data("mongo-placeholder", "markings that only ask to be encrypted", fails("fields.encrypted"),
          _way("notes", Way.PLACEHOLDER)),
    _data("fernet", "Fernet tokens: AES-128-CBC", fails("fields.algorithm"), _way("email", Way.FERNET)),
    _data("pgcrypto-default", "pgcrypto's defaults: AES-128 under a password", fails("fields.algorithm"),
          _way("iban", Way.PGCRYPTO)),
    _data("length-tells", "an enumerated value shows by its length", fails("fields.length-leak"),
          _way("segment", Way.UNPADDED)),
    _data("truncated-values", "some ciphertexts were cut short", unknown("fields.encrypted"),
          _way("email", Way.TRUNCATED, 24)),
    _data("undeclared-column", "a column that the field map does not name", unknown("fields.coverage"),
          lambda site: replace(site, undeclared=True)),
    _data("other-files", "the files are not those that were handed over", unknown("fields.coverage"),
          _harm(Harm.CHANGED)),
    _data("rows-missing", "fewer rows than the vendor counted", unknown("fields.coverage"),
          _harm(Harm.SHORT), TINK),
    _data("damaged-file", "the last file breaks off", unknown("fields.coverage"), _harm(Harm.DAMAGED), TINK),
)  # fmt: skip
"""The table, in the order in which it is shown."""
