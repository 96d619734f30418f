"""Controls over values and data keys: a clean column, one change, the exact verdict."""

from __future__ import annotations

from typing import TypeAlias

import pytest
from made_columns import (
    ABROAD,
    CLEAN,
    DENIED,
    FAIL,
    KEY,
    NA,
    OPENED,
    PASS,
    PLACE,
    ROWS,
    TALLY,
    TESTS,
    UNITS,
    VENDORS,
    Case,
    but,
    case_id,
    judged_as,
    kinds,
    opened,
    rule,
    unsure,
)

from keycheck.model.facts import Unseen
from keycheck.model.verdict import Reason
from probes.fields.facts import CipherCount, ColumnFacts, Planted, Tally, WrappedCount
from probes.fields.key_names import difference, names

Cases: TypeAlias = list[Case]


def cipher(name: str, family: str, bits: int | None, authenticated: bool | None, count: int = ROWS) -> CipherCount:
    return CipherCount.model_validate(
        {"name": name, "family": family, "bits": bits, "authenticated": authenticated, "count": count}
    )


def declared(*ciphers: CipherCount, **changes: object) -> ColumnFacts:
    return but(CLEAN, ciphers=ciphers, **changes)


def keyed(provider: str = "aws-kms", key: str = KEY, **changes: object) -> ColumnFacts:
    parts: dict[str, object] = {"length": 32, "expected": 32, "fingerprint": "aa" * 32, "count": ROWS, **changes}
    return but(CLEAN, wrapped=(WrappedCount.model_validate({"provider": provider, "key": key, **parts}),))


def unopened(facts: ColumnFacts, reason: Reason = Reason.NO_POSITIVE) -> ColumnFacts:
    return but(facts, opened=Unseen(reason=reason, detail="no opening is declared"))


def alarm(name: str) -> ColumnFacts:
    return but(CLEAN, tests=tuple(but(test, alarm=test.name == name) for test in TESTS))


GRAMMAR: dict[str, object] = {"proof": "grammar"}


def sown(**changes: object) -> Planted:
    """Nine values that we planted, of which most open."""
    return Planted.model_validate({"found": 9, "tried": 9, "canaries": 7, **changes})


ENCRYPTED: Cases = [
    ("a mixed column", {}, but(CLEAN, kinds=kinds(esdk=ROWS - 1, plaintext=1)), FAIL, PLACE),
    ("base64 only", {}, but(CLEAN, kinds=kinds(plaintext=ROWS)), FAIL, "not encrypted"),
    ("opaque", {}, but(CLEAN, kinds=kinds(esdk=ROWS - 1, opaque=1)), unsure(Reason.UNSUPPORTED), PLACE),
    ("truncated", {}, but(CLEAN, kinds=kinds(esdk=ROWS - 1, malformed=1)), unsure(Reason.MALFORMED), PLACE),
    ("placeholders", {}, but(CLEAN, remarks=(("placeholder", 7),)), FAIL, "placeholders"),
    ("two formats", {}, but(CLEAN, kinds=kinds(esdk=ROWS - 1, jwe=1)), unsure(Reason.CONFLICTING), "jwe"),
    ("another format", {}, but(CLEAN, rule=rule(format="tink")), unsure(Reason.CONFLICTING), "tink"),
    ("little evidence", {}, but(CLEAN, evidence_bits=63), unsure(), "63 bits"),
    ("no envelope", {}, but(CLEAN, unwrapped=9), unsure(), "no envelopes"),
    ("kms itself", {}, but(CLEAN, rule=rule(format=None), kinds=kinds(**{"aws-kms": ROWS}), unwrapped=ROWS), PASS, ""),
    ("a fixed hidden nonce", {}, alarm("top-bit"), FAIL, "top-bit"),
    ("ecb below", {}, alarm("repeated-blocks"), FAIL, "repeated-blocks"),
    ("odd nonces", {}, alarm("unit-chi-square"), PASS, ""),
    (
        "an alarm that copies explain",
        {},
        but(alarm("top-bit"), units=UNITS.model_copy(update={"copies": Tally(count=ROWS // 10)})),
        unsure(Reason.CONFLICTING),
        "copies",
    ),
    ("no statistics", {}, but(CLEAN, tests=()), unsure(), "statistics"),
    ("missing values", {}, but(CLEAN, nulls=2, kinds=kinds(esdk=ROWS - 2)), unsure(), "optional"),
    (
        "missing as agreed",
        {},
        but(CLEAN, nulls=2, kinds=kinds(esdk=ROWS - 2), rule=rule(optional=True)),
        PASS,
        "rows hold no value",
    ),
    ("not opened", {}, unopened(CLEAN), unsure(Reason.NO_POSITIVE), "no sample: no opening"),
    ("not opened, as agreed", GRAMMAR, unopened(CLEAN), PASS, "nothing was opened"),
    ("data of another key", {}, opened(bad=TALLY, fitting=297, opened=297), FAIL, PLACE),
    ("all unfitting", {}, opened(fitting=0, canaries=0, unfitting=Tally(count=300)), FAIL, "something else"),
    (
        "few unfitting",
        {},
        opened(fitting=299, unfitting=Tally(count=1)),
        unsure(Reason.CONFLICTING, Reason.NOT_COVERED),
        "something else",
    ),
    ("a small sample", {}, opened(fitting=298, unwrapped=298, opened=298, drawn=298), unsure(), "299 are needed"),
    ("a small sample, as agreed", {"one_in": 10}, opened(fitting=29, unwrapped=29, opened=29, drawn=29), PASS, ""),
    ("impossible counts", {}, opened(population=40), unsure(Reason.CONFLICTING), "contradict"),
    ("all data keys", {}, opened(population=40, drawn=40, unwrapped=40, opened=40, fitting=40), PASS, "all 40"),
    (
        "words nobody can judge",
        {},
        opened(fitting=0, canaries=0, unjudged=300),
        unsure(Reason.NO_POSITIVE, Reason.UNSUPPORTED),
        "canary plant",
    ),
    (
        "mixed formats beside a breach",
        {},
        but(CLEAN, kinds=kinds(esdk=ROWS - 2, fernet=1, plaintext=1)),
        FAIL,
        "besides, the column mixes formats: esdk, fernet",
    ),
    ("of another class", {"classes": ["iban"]}, CLEAN, NA, "does not concern"),
    ("a class misspelt", {"classes": ["e-mail"]}, CLEAN, unsure(), "the requirement e-mail"),
    ("planted refused", {}, opened(planted=sown(refused=TALLY)), unsure(), "that we planted do not open"),
    ("planted broken", {}, opened(planted=sown(bad=TALLY)), FAIL, "do not decrypt"),
    (
        "planted otherwise",
        {},
        opened(planted=sown(others=TALLY)),
        unsure(Reason.CONFLICTING),
        "something else than what",
    ),
    ("planted undecided", {}, opened(planted=sown(undecided=2)), unsure(), "2 of 9"),
    ("words beside planted ones", {}, opened(fitting=0, canaries=0, unjudged=300, planted=sown()), PASS, "300"),
    ("words beside canaries", {}, opened(fitting=5, canaries=5, unjudged=295), PASS, "295"),
    (
        "cannot be opened here",
        {},
        opened(opened=0, fitting=0, canaries=0, why_unanswered=(DENIED,)),
        unsure(Reason.NO_POSITIVE, Reason.PERMISSION_DENIED),
        "not allowed",
    ),
    (
        "unanswered",
        {},
        opened(unanswered=2, unwrapped=299, fitting=299, opened=299, drawn=301, why_unanswered=(DENIED,)),
        unsure(Reason.PERMISSION_DENIED),
        "not allowed",
    ),
    ("drawn, never tried", {}, opened(drawn=310), unsure(), "never tried"),
]
CHACHA = cipher("ChaCha20-Poly1305", "ChaCha20", 256, True)
AES_GCM = cipher("AES-GCM", "AES", None, True)
UNSTATED = cipher("unstated", "unknown", None, None)
DECLARED: dict[str, object] = {"proof": "declared"}
ALGORITHM: Cases = [
    ("aes-128", {}, declared(cipher("AES-128-GCM", "AES", 128, True)), FAIL, "128 bits"),
    (
        "some aes-128",
        DECLARED,
        declared(cipher("AES-256-GCM", "AES", 256, True, ROWS - 1), cipher("AES-128-GCM", "AES", 128, True, 1)),
        FAIL,
        "1 ",
    ),
    ("cbc without mac", {}, declared(cipher("AES-256-CBC", "AES", 256, False)), FAIL, "not authenticated"),
    ("chacha", {}, declared(CHACHA), FAIL, "not AES"),
    ("chacha, as agreed", {**DECLARED, "families": ["AES", "ChaCha20"]}, declared(CHACHA), PASS, ""),
    ("other", {}, declared(cipher("3DES", "other", 168, False)), FAIL, "not AES"),
    ("no size", DECLARED, declared(AES_GCM), unsure(Reason.UNSUPPORTED), "opened sample"),
    ("no size, opened", {}, declared(AES_GCM), PASS, "300 of 300 values"),
    ("unstated, opened", {}, declared(UNSTATED), PASS, "300 of 300 values"),
    (
        "unstated, opened to little",
        {},
        but(opened(opened=20, bad=Tally(), ciphers=(("AES-256-GCM", 20),)), ciphers=(UNSTATED,)),
        unsure(),
        "299 are needed",
    ),
    (
        "unstated, not opened",
        {},
        unopened(declared(UNSTATED)),
        unsure(Reason.NO_POSITIVE, Reason.UNSUPPORTED),
        "unstated",
    ),
    (
        "unstated, opened as XChaCha",
        {},
        but(opened(ciphers=(("XChaCha20-Poly1305", 300),)), ciphers=(UNSTATED,)),
        FAIL,
        "XChaCha20",
    ),
    ("declared 256, opened as 128", {}, opened(ciphers=(("AES-128-GCM", 300),)), FAIL, "AES-128-GCM"),
    ("data of another key", {}, opened(bad=TALLY, opened=297), FAIL, PLACE),
    ("short keys", {}, opened(lengths=((32, 299), (16, 1))), FAIL, "16 bytes"),
    ("no opening", {}, unopened(CLEAN), unsure(Reason.NO_POSITIVE), "no sample: no opening"),
    ("no opening, as agreed", DECLARED, unopened(CLEAN), PASS, "declared"),
    ("nothing told", DECLARED, declared(), unsure(), "0 values only"),
    ("pages", {}, but(CLEAN, remarks=(("pages-unauthenticated", 4),)), FAIL, "pages"),
]
LENGTH: Cases = [
    ("aes-128 data keys", {}, keyed(length=16), FAIL, "16 bytes"),
    ("too short a wrapped key without opening", {}, unopened(keyed(length=16)), FAIL, "16 bytes"),
    ("by the wrapped length and the declaration", {}, unopened(CLEAN), PASS, "by the length of its wrapped key"),
    ("a length without a declaration", {}, unopened(declared(AES_GCM)), unsure(), "proves nothing"),
    ("a length without a declaration, opened", {}, declared(AES_GCM), PASS, "300 of 300 values"),
    ("another declaration", {}, declared(cipher("AES-128-GCM", "AES", 128, True)), FAIL, "128 bits"),
    ("google without opening", {}, unopened(keyed("gcp-kms")), unsure(Reason.UNSUPPORTED), "gcp-kms"),
    ("google, opened", {}, keyed("gcp-kms"), PASS, "32 bytes"),
    ("rsa without opening", {}, unopened(keyed("rsa-oaep", length=None)), unsure(Reason.UNSUPPORTED), "rsa-oaep"),
    ("an external key store", {}, unopened(keyed(length=61)), unsure(Reason.UNSUPPORTED), "external key store"),
    (
        "tink",
        {},
        but(keyed(length=34, expected=34), opened=but(OPENED, lengths=((34, 300),))),
        PASS,
        "300 were unwrapped",
    ),
    ("measured to be short", {}, opened(lengths=((32, 299), (16, 1))), FAIL, "16 bytes"),
    ("a longer one", {}, opened(lengths=((32, 299), (48, 1))), unsure(Reason.CONFLICTING), "48 bytes"),
    ("few measured beside the wrapped length", {}, opened(unwrapped=9, drawn=9, lengths=((32, 9),)), PASS, "9 were"),
    (
        "too few measured",
        {},
        but(keyed("gcp-kms"), opened=but(OPENED, unwrapped=100, drawn=100, lengths=((32, 100),))),
        unsure(),
        "299 are needed",
    ),
    ("some without", {}, but(CLEAN, unwrapped=3), unsure(), "no wrapped data key"),
    ("kms itself", {}, but(CLEAN, kinds=kinds(**{"aws-kms": ROWS}), wrapped=(), unwrapped=ROWS), NA, "key service"),
]
KEYS: Cases = [
    ("a foreign region", {}, keyed(key=ABROAD), FAIL, "region us-east-1 instead of eu-central-1"),
    ("the vendor's key", {}, keyed(key=VENDORS), FAIL, "account 999988887777 instead of 111122223333"),
    ("a raw key", {}, keyed("raw-aes", "vendor/key-1"), FAIL, "vendor/key-1"),
    ("an alias", {}, keyed(key="arn:aws:kms:eu-central-1:111122223333:alias/crm"), PASS, "300 of 300 values"),
    ("a claim alone", {}, unopened(CLEAN), unsure(Reason.NO_POSITIVE), "no sample: no opening"),
    ("planted refused", {}, opened(planted=sown(refused=TALLY)), FAIL, "that we planted"),
    ("a forged header", {}, opened(refused=TALLY, unwrapped=297), FAIL, PLACE),
    ("all refused", {}, opened(refused=Tally(count=300), unwrapped=0), FAIL, "300"),
    ("the service used another", {}, opened(key_ids=(KEY, VENDORS)), FAIL, VENDORS),
    ("which was used is not told", {}, opened(key_ids=()), unsure(), "not recorded"),
    ("one in a thousand", {"one_in": 1000}, CLEAN, unsure(), "2995 are needed"),
    ("no key declared", {}, but(CLEAN, key_resource=""), unsure(), "key: ID"),
    ("classes beyond the thousand", {}, but(CLEAN, wrapped_more=1), unsure(), "more classes"),
    ("a password", {}, but(CLEAN, remarks=(("password-based", 3),)), FAIL, "password"),
    ("static keys", {}, but(CLEAN, unwrapped=3, static_keys=("v1",)), unsure(), "v1"),
    ("kms itself", {}, but(CLEAN, kinds=kinds(**{"aws-kms": ROWS}), wrapped=(), unwrapped=ROWS), PASS, "key service"),
    ("fewer told than recognised", {}, keyed(count=ROWS - 1), unsure(), str(ROWS - 1)),
]
ESCROW: Cases = [
    ("a second wrapping", {}, but(CLEAN, wraps=(1, 2)), FAIL, "2 times"),
    ("a second wrapping, as agreed", {"at_most": 2}, but(CLEAN, wraps=(1, 2)), PASS, "2 times"),
    (
        "the vendor's key beside",
        {"at_most": 2},
        but(CLEAN, wraps=(2, 2), wrapped=(*CLEAN.wrapped, *keyed(key=VENDORS).wrapped)),
        FAIL,
        VENDORS,
    ),
    ("not counted", {}, but(CLEAN, wraps=(0, 0)), unsure(Reason.NO_POSITIVE), "not seen"),
    ("no name, opened", {}, keyed(key=""), PASS, "unwrapped"),
    ("no name, not opened", {}, unopened(keyed(key="")), unsure(Reason.NO_POSITIVE), "no sample: no opening"),
    (
        "no name, refused",
        {},
        but(keyed(key=""), opened=but(OPENED, refused=TALLY, unwrapped=297)),
        unsure(Reason.NO_POSITIVE),
        "neither",
    ),
    ("no key declared", {}, but(CLEAN, key_resource=""), unsure(Reason.NOT_COVERED), "key: ID"),
]
CASES = [
    (name, case)
    for name, cases in (
        ("encrypted", ENCRYPTED),
        ("algorithm", ALGORITHM),
        ("data-key-length", LENGTH),
        ("key", KEYS),
        ("escrow", ESCROW),
    )
    for case in cases
]


@pytest.mark.parametrize(("name", "case"), CASES, ids=case_id)
def test_one_change_has_its_verdict(name: str, case: Case) -> None:
    judged_as(name, case)


GOOGLES = "projects/p/locations/europe-west3/keyRings/r/cryptoKeys/k"


@pytest.mark.parametrize(
    ("provider", "stated", "resource", "same"),
    [
        ("aws-kms", KEY, KEY, True),
        ("aws-kms", f"aws-kms://{KEY}", KEY, True),
        ("aws-kms", KEY.rpartition("/")[2], KEY, True),
        ("aws-kms", "mrk-" + "0" * 32, KEY, False),
        ("aws-kms", ABROAD, KEY, False),
        ("aws-kms", "", KEY, None),
        ("aws-kms", KEY, "", None),
        ("aws-kms", "arn:aws:kms:eu-central-1:111122223333:alias/a", KEY, None),
        ("aws-kms", "arn:aws:kms:us-east-1:111122223333:alias/a", KEY, False),
        ("aws-kms-hierarchy", "branch-1", KEY, None),
        ("raw-rsa", KEY, KEY, False),
        ("gcp-kms", f"{GOOGLES}/cryptoKeyVersions/3", GOOGLES, True),
        ("gcp-kms", f"gcp-kms://{GOOGLES}", GOOGLES, True),
        ("gcp-kms", f"{GOOGLES}2", GOOGLES, False),
        ("unknown", "kid-7", KEY, None),
    ],
)
def test_a_stated_key_is_the_declared_one_another_or_does_not_tell(
    provider: str, stated: str, resource: str, same: bool | None
) -> None:
    assert names(provider, stated, resource) is same


def test_places_are_told_apart_first() -> None:
    assert difference(GOOGLES.replace("europe-west3", "us-east1"), GOOGLES) == (
        " (location us-east1 instead of europe-west3)"
    )
    assert difference("kid-7", KEY) == ""
