"""What is logged, and what the log says."""

from __future__ import annotations

import importlib
import pkgutil
from datetime import timedelta

import pytest
from made_keys import (
    ADMIN,
    AGREED,
    DENIED,
    DRILL,
    G_AGREED,
    LOOKED,
    VENDOR,
    ago,
    audit,
    events,
    log,
    logging,
    trail,
    use,
)

from probes.keys.facts import KeyLogFacts
from probes.keys.log_controls import Logging, Use
from probes.keys.operations import kind_of
from probes.keys.subjects import Agreed

MONTH = Use.model_validate({"over": "P30D"})
LENIENT = Use.model_validate({"over": "P30D", "tls": "where-logged"})


def verdict(control: Logging | Use, seen: KeyLogFacts) -> tuple[str, str, str]:
    judged = control.judge(seen)
    return judged.kind.value, ",".join(judged.reasons), judged.message


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({}, "pass"),
        ({"management": "read"}, "pass"),
        ({"logging": False}, "fail"),
        ({"management": "write"}, "fail"),
        ({"management": "none"}, "fail"),
        ({"excludes_kms": True}, "fail"),
        ({"validation": False}, "fail"),
        ({"delivery_error": "NoSuchBucket"}, "fail"),
        ({"management": "unknown"}, "inconclusive"),
        ({"management": "unknown", "logging": False}, "fail"),
    ],
)
def test_trails(change: dict[str, object], kind: str) -> None:
    assert verdict(Logging(), log(logging(trail(**change))))[0] == kind
    assert verdict(Logging(), log(logging(trail(), trail(**change))))[0] == "pass"


def test_trails_that_are_not_there_or_not_read() -> None:
    assert verdict(Logging(), log(logging()))[0] == "fail"
    assert verdict(Logging(), log(logging(complete=False)))[1] == "not-covered"
    assert verdict(Logging(), log(logging(trail(logging=False), complete=False)))[1] == "not-covered"
    assert verdict(Logging(), log(DENIED))[1] == "permission-denied"


def test_data_access_logs() -> None:
    def judged(*levels: object, complete: bool = True) -> tuple[str, str, str]:
        return verdict(Logging(), log(logging(*levels, complete=complete), provider="gcp"))  # type: ignore[arg-type]

    assert judged(audit())[0] == "pass"
    assert judged(audit(data_read=False), audit("organizations/1"))[0] == "pass"
    assert judged(audit(data_read=False))[0] == "fail"
    assert judged()[0] == "fail"
    kind, _, message = judged(audit(), audit("folders/7", exempted=("user:a@acme.example",)))
    assert kind == "fail"
    assert "user:a@acme.example" in message
    assert judged(audit(), complete=False)[1] == "not-covered"
    assert judged(audit(data_read=False), complete=False)[1] == "not-covered"
    assert judged(audit(exempted=("user:a@acme.example",)), complete=False)[0] == "fail"


@pytest.mark.parametrize(
    ("change", "kind", "word"),
    [
        ({}, "pass", "over TLS 1.3"),
        ({"principal": DRILL}, "pass", "7 uses"),
        ({"principal": f"arn:aws:iam::{VENDOR}:role/service/crm-app"}, "pass", ""),
        ({"principal": f"arn:aws:sts::{VENDOR}:assumed-role/support/eve"}, "fail", "support/eve did Decrypt 7 times"),
        ({"tls_version": "TLSv1.2"}, "fail", "over TLSv1.2"),
        ({"tls_version": None}, "inconclusive", "TLS version"),
        ({"source": "198.51.100.7"}, "fail", "198.51.100.7"),
        ({"source": "2001:db8::7"}, "pass", ""),
        ({"source": "::ffff:203.0.113.9"}, "pass", ""),
        ({"source": "AWS Internal"}, "inconclusive", "AWS Internal"),
        ({"source": None}, "inconclusive", "where"),
        ({"operation": "GenerateDataKeyWithoutPlaintext"}, "pass", ""),
        ({"operation": "ReEncrypt"}, "pass", ""),
        ({"operation": "DescribeKey", "principal": "arn:aws:iam::999988887777:user/x"}, "inconclusive", "no use"),
        ({"operation": "FutureCrypt"}, "inconclusive", "FutureCrypt"),
    ],
)
def test_uses(change: dict[str, object], kind: str, word: str) -> None:
    seen = verdict(MONTH, log(seen=events(use(**change))))
    assert seen[0] == kind
    assert word in seen[2]


def test_a_caller_whom_the_log_shows_by_its_account_only() -> None:
    by_account = Use.model_validate({"over": "P30D", "callers": "account"})
    seen = log(seen=events(use(principal=VENDOR)))
    assert verdict(MONTH, seen)[:2] == ("inconclusive", "not-covered")
    kind, _, message = verdict(by_account, seen)
    assert kind == "pass"
    assert "by their account only" in message
    for rule in (MONTH, by_account):
        assert verdict(rule, log(seen=events(use(principal="999988887777"))))[0] == "fail"
    rooted = AGREED.model_copy(update={"vendor": (f"arn:aws:iam::{VENDOR}:root",)})
    assert verdict(MONTH, log(seen=events(use(principal=VENDOR)), agreed=rooted))[0] == "pass"


def test_only_the_window_is_judged() -> None:
    old = use(tls_version="TLSv1.2", first=ago(40), last=ago(31))
    assert verdict(MONTH, log(seen=events(use(), old, since=ago(90))))[0] == "pass"
    assert verdict(MONTH, log(seen=events(use(), old.model_copy(update={"last": ago(29)}), since=ago(90))))[0] == "fail"
    assert verdict(MONTH, log(seen=events(old, since=ago(90))))[1] == "no-positive"
    quarter = Use(over=timedelta(days=90))
    assert verdict(quarter, log(seen=events(use())))[1] == "not-covered"
    assert verdict(quarter, log(seen=events(use(tls_version="TLSv1.2"))))[0] == "fail"


def test_failed_attempts_are_shown_and_not_judged() -> None:
    refused = use(error="AccessDenied", principal="arn:aws:iam::999988887777:role/x", source="198.51.100.1", count=3)
    kind, _, message = verdict(MONTH, log(seen=events(use(), refused)))
    assert kind == "pass"
    assert "3 attempts failed" in message
    assert "AccessDenied" in message
    assert verdict(MONTH, log(seen=events(refused)))[1] == "no-positive"


def test_changes_by_others_than_administrators_are_shown_and_not_judged() -> None:
    changed = use(operation="PutKeyPolicy", count=2)
    kind, _, message = verdict(MONTH, log(seen=events(use(), changed)))
    assert kind == "pass"
    assert "2 changes to the key by others than its administrators" in message
    assert "crm-app/pod-1 (PutKeyPolicy)" in message
    mine = changed.model_copy(update={"principal": ADMIN})
    quiet = (mine, use(operation="GetKeyPolicy"), use(operation="RotateKey", principal="kms.amazonaws.com"))
    assert "changes" not in verdict(MONTH, log(seen=events(use(), *quiet)))[2]
    google = {"principal": "serviceAccount:crm-app@vendor-prod.iam.gserviceaccount.com", "tls_version": None}
    seen = events(use(**google), use(**google, operation="google.iam.v1.IAMPolicy.SetIamPolicy"))
    assert "(SetIamPolicy)" in verdict(LENIENT, log(seen=seen, provider="gcp"))[2]


def test_what_the_clients_can_do_with_keys_is_known() -> None:
    """Of every method of the installed client, whether it uses, changes or looks; but one, which takes a key out."""
    import google.cloud.kms_v1.services as services

    methods: set[str] = set()
    for module in pkgutil.iter_modules(services.__path__):
        base = importlib.import_module(f"{services.__name__}.{module.name}.transports.base")
        for name, transport in vars(base).items():
            if name.endswith("Transport"):
                methods |= {each for each, value in vars(transport).items() if isinstance(value, property)}
    methods -= {"kind", "host", "operations_client"}
    named = {"".join(word.title() for word in method.split("_")) for method in methods}
    assert "Decrypt" in named
    unknown = {name for name in named if kind_of("gcp", name) == "unknown"}
    assert unknown <= {"ExportTrustedKeyWrappedCryptoKeyVersion"}


def test_only_whole_names_of_operations_are_known() -> None:
    for operation in ("CreateSignature", "VerifyAnything", "GetSecretBytes", "ImportantDecrypt"):
        seen = events(use(tls_version=None, principal="user:eve@x.example", operation=operation))
        kind, reasons, _ = verdict(LENIENT, log(seen=seen, provider="gcp"))
        assert kind == "inconclusive"
        assert "unsupported" in reasons


def test_a_log_that_is_not_whole_or_not_declared() -> None:
    assert verdict(MONTH, log(seen=events(use(), complete=False)))[1] == "not-covered"
    assert verdict(MONTH, log(seen=events(use(tls_version="TLSv1.1"), complete=False)))[0] == "fail"
    assert verdict(MONTH, log(seen=DENIED))[1] == "permission-denied"
    assert verdict(MONTH, log(agreed=AGREED.model_copy(update={"sources": ()})))[1] == "not-covered"
    assert verdict(MONTH, log(agreed=Agreed(sources=AGREED.sources)))[1] == "not-covered"


def test_google_logs_no_tls_version() -> None:
    member = {"principal": "crm-app@vendor-prod.iam.gserviceaccount.com", "account": None, "tls_version": None}
    seen = events(use(**member, operation="google.cloud.kms.v1.KeyManagementService.Decrypt"))
    assert verdict(MONTH, log(seen=seen, provider="gcp"))[1] == "not-covered"
    kind, _, message = verdict(LENIENT, log(seen=seen, provider="gcp"))
    assert kind == "pass"
    assert "does not state the TLS version" in message
    assert "exclusions of its sinks are not read" in message
    stranger = events(use(**{**member, "principal": "eve@vendor.example"}))
    assert verdict(LENIENT, log(seen=stranger, provider="gcp"))[0] == "fail"
    grouped = G_AGREED.model_copy(update={"users": ("group:crm@vendor.example",)})
    assert verdict(LENIENT, log(seen=stranger, provider="gcp", agreed=grouped))[1] == "not-covered"
    private = events(use(**member, source="private"))
    assert verdict(LENIENT, log(seen=private, provider="gcp"))[1] == "not-covered"


def test_looked_is_the_only_clock() -> None:
    assert verdict(MONTH, log().model_copy(update={"looked": LOOKED + timedelta(days=60)}))[1] == "no-positive"
