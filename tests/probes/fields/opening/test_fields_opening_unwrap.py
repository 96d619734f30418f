"""Data keys unwrapped by the real clients in the lab: under the pinned key only, every answer in its class."""

from __future__ import annotations

import os
from collections.abc import Iterator

import grpc
import pytest
from fields_opening_stage import Aws, Gcp
from hypothesis import given
from hypothesis import strategies as st

from keycheck.errors import ProbeError
from keycheck.lab.aws.faults import Damage
from keycheck.lab.gcp.store import State
from keycheck.model.facts import Unseen
from keycheck.model.verdict import Reason
from probes.fields.formats.seam import Wrapped
from probes.fields.opening.unwrap import (
    PATIENCE,
    Answer,
    Budget,
    Declined,
    Unanswered,
    Unwrapped,
    Unwrapper,
    chosen,
    unwrapper,
)

CONTEXT = {"record": "c-1"}


def reason(answer: Answer) -> Reason:
    assert isinstance(answer, Unanswered)
    return answer.why.reason


def wrapped(aws: Aws, key: str = "") -> tuple[bytes, bytes]:
    made = aws.client.generate_data_key(KeyId=key or aws.key.arn, KeySpec="AES_256", EncryptionContext=CONTEXT)
    return made["Plaintext"], made["CiphertextBlob"]


def test_aws_unwraps_under_the_pinned_key(aws: Aws) -> None:
    plain, blob = wrapped(aws)
    answer = aws.make(aws.key.arn).unwrap(blob, CONTEXT, b"")
    assert isinstance(answer, Unwrapped)
    assert (bytes(answer.key), answer.key_id, len(answer.material)) == (plain, aws.key.arn, 64)
    assert plain.hex() not in repr(answer)
    assert repr(plain)[2:-1] not in repr(answer)
    answer.forget()
    assert bytes(answer.key) == bytes(32)


def test_aws_refuses_another_context_another_key_and_a_changed_blob(aws: Aws) -> None:
    who = aws.make(aws.key.arn)
    _, blob = wrapped(aws)
    _, foreign = wrapped(aws, aws.another())
    assert who.unwrap(blob, {"record": "c-2"}, b"") == Declined("InvalidCiphertextException")
    assert who.unwrap(blob, {}, b"") == Declined("InvalidCiphertextException")
    assert who.unwrap(blob[:-1] + bytes((blob[-1] ^ 1,)), CONTEXT, b"") == Declined("InvalidCiphertextException")
    assert who.unwrap(foreign, CONTEXT, b"") == Declined("IncorrectKeyException", other_key=True)


def test_every_aws_call_names_the_pinned_key(aws: Aws) -> None:
    _, foreign = wrapped(aws, aws.another())
    aws.make(aws.key.arn).unwrap(foreign, CONTEXT, b"")
    stage = aws.stage
    events = stage.cloud.ledger.events("111122223333", aws.key.region, stage.now)
    asked = [event.parameters.get("keyId") for event in events if event.name == "Decrypt"]
    assert asked[-1] == aws.key.arn
    assert all(asked)


def test_what_aws_does_not_answer_is_no_refusal(aws: Aws) -> None:
    who = aws.make(aws.key.arn)
    _, blob = wrapped(aws)
    faults = aws.stage.cloud.faults
    cases = {
        "ThrottlingException": Reason.THROTTLED,
        "KMSInternalException": Reason.UNREACHABLE,
        "KMSInvalidStateException": Reason.NOT_COVERED,
        "DisabledException": Reason.NOT_COVERED,
        "NotFoundException": Reason.UNREACHABLE,
        "AccessDeniedException": Reason.PERMISSION_DENIED,
        "ExpiredTokenException": Reason.PERMISSION_DENIED,
        "SomethingNew": Reason.NOT_COVERED,
    }
    for code, expected in cases.items():
        faults.fail("Decrypt", code, "anna@beispiel.example", times=1)
        answer = who.unwrap(blob, CONTEXT, b"")
        assert reason(answer) is expected, code
        assert "anna" not in repr(answer)
    for damage in (Damage.GARBAGE, Damage.PAGE, Damage.TRUNCATED, Damage.RESET):
        faults.damage("Decrypt", damage, times=1)
        assert isinstance(who.unwrap(blob, CONTEXT, b""), Unanswered), damage
    assert isinstance(who.unwrap(blob, CONTEXT, b""), Unwrapped)


def test_aws_denied_and_disabled_for_real(aws: Aws) -> None:
    who = aws.make(aws.key.arn)
    _, blob = wrapped(aws)
    aws.stage.allow(aws.key, {"inspect": ("kms:Encrypt",)})
    denied = who.unwrap(blob, CONTEXT, b"")
    assert reason(denied) is Reason.PERMISSION_DENIED
    assert "allow the identity" in repr(denied)
    aws.stage.allow(aws.key, {"inspect": ("kms:DisableKey",), "control": ("kms:Decrypt",)})
    aws.client.disable_key(KeyId=aws.key.arn)
    disabled = who.unwrap(blob, CONTEXT, b"")
    assert reason(disabled) is Reason.NOT_COVERED
    assert "disabled" in repr(disabled)


def test_which_claims_of_a_key_are_sent_in_aws(aws: Aws) -> None:
    who = aws.make(aws.key.arn)
    arn, name = aws.key.arn, aws.key.arn.rpartition("/")[2]
    assert all(who.admits(each) for each in ("", arn, name, arn.rpartition(":")[0] + ":alias/contacts"))
    other = arn[:-1] + ("0" if arn[-1] != "0" else "1")
    for claim in (other, arn.replace("111122223333", "999988887777"), arn.replace("eu-central-1", "us-east-1"), "x"):
        assert not who.admits(claim), claim


def test_a_multi_region_key_may_be_named_in_another_region(aws: Aws) -> None:
    made = aws.stage.key({}, multi_region=True)
    who = aws.make(made.arn)
    assert who.admits(made.arn.replace("eu-central-1", "eu-west-3"))
    assert not who.admits(made.arn.replace("111122223333", "999988887777"))


def test_what_is_no_key_of_a_service_has_no_unwrapper(aws: Aws) -> None:
    alias = aws.key.arn.rpartition(":")[0] + ":alias/contacts"
    for resource in ("", "nonsense", "arn:aws:kms:nowhere", alias, "projects/acme", "https://vault.example/transit"):
        with pytest.raises(ProbeError):
            unwrapper(aws.io, "control", resource)


class Asked:
    """Answers what it is told to, and counts."""

    provider = "aws-kms"

    def __init__(self, answers: Iterator[Answer]) -> None:
        self.answers = answers
        self.count = 0

    def admits(self, named: str) -> bool:
        return named in ("", "pinned")

    def unwrap(self, blob: bytes, context: object, associated: bytes) -> Answer:
        self.count += 1
        return next(self.answers)


def silent(reason_: Reason, *, later: bool) -> Answer:
    return Unanswered(Unseen(reason=reason_, detail="no"), later)


def ask(budget: Budget, who: Unwrapper) -> tuple[Answer, int]:
    return budget.ask("key", who, b"blob", {}, b"", lambda _: None)


def test_calls_are_capped_and_repeats_count() -> None:
    who = Asked(iter([silent(Reason.THROTTLED, later=True)] * 9))
    budget = Budget(4)
    assert ask(budget, who)[1] == 3
    assert ask(budget, who)[1] == 1
    capped, made = ask(budget, who)
    assert (reason(capped), made, who.count, budget.left) == (Reason.NOT_COVERED, 0, 4, 0)


def test_nothing_is_asked_once_somebody_wants_out() -> None:
    who = Asked(iter([Declined("x")] * 3 + [silent(Reason.THROTTLED, later=True)] * 9))
    budget = Budget(1000, 0, lambda: who.count >= 4)
    for _ in range(3):
        assert ask(budget, who) == (Declined("x"), 1)
    assert ask(budget, who)[1] == 1  # and not a second attempt
    assert reason(ask(budget, who)[0]) is Reason.INTERRUPTED
    assert who.count == 4


def test_a_service_that_never_answers_is_left_alone() -> None:
    who = Asked(iter([silent(Reason.PERMISSION_DENIED, later=False)] * 99))
    budget = Budget(1000)
    for _ in range(20):
        assert reason(ask(budget, who)[0]) is Reason.PERMISSION_DENIED
    assert who.count == PATIENCE
    patient = Asked(iter([silent(Reason.TIMEOUT, later=False)] * (PATIENCE - 1) + [Declined("x")] * 9))
    for _ in range(PATIENCE + 2):
        budget.ask("another", patient, b"", {}, b"", lambda _: None)
    assert patient.count == PATIENCE + 2


@given(st.lists(st.tuples(st.sampled_from(["aws-kms", "gcp-kms", "raw-aes"]), st.sampled_from(["", "pinned", "evil"]))))
def test_only_a_key_of_the_service_that_names_the_pinned_one_or_none_is_sent(given_: list[tuple[str, str]]) -> None:
    keys = tuple(Wrapped(provider, key, os.urandom(8)) for provider, key in given_)
    found = chosen(keys, Asked(iter(())))
    fit = [each for each in keys if each.provider == "aws-kms" and each.key != "evil"]
    if len(keys) > 20 or not fit:
        assert isinstance(found, Unseen)
    else:
        assert found == next((each for each in fit if each.key), fit[0])


def test_gcp_unwraps_under_the_pinned_key(gcp: Gcp) -> None:
    sealed = gcp.client.encrypt(
        request={"name": gcp.key, "plaintext": b"k" * 32, "additional_authenticated_data": b"a"}
    )
    who = gcp.make(gcp.key)
    answer = who.unwrap(sealed.ciphertext, {}, b"a")
    assert isinstance(answer, Unwrapped)
    assert (bytes(answer.key), answer.key_id, answer.material) == (b"k" * 32, gcp.key, "")
    assert who.unwrap(sealed.ciphertext, {}, b"b") == Declined("INVALID_ARGUMENT")
    assert who.unwrap(sealed.ciphertext[:-1] + b"x", {}, b"a") == Declined("INVALID_ARGUMENT")
    assert who.unwrap(b"nonsense", {}, b"a") == Declined("INVALID_ARGUMENT")


def test_which_claims_of_a_key_are_sent_in_gcp(gcp: Gcp) -> None:
    who = gcp.make(gcp.key)
    assert all(who.admits(each) for each in ("", gcp.key, f"{gcp.key}/cryptoKeyVersions/3"))
    assert not who.admits(gcp.key + "-2")
    assert not who.admits("projects/p/locations/global/keyRings/r/cryptoKeys/k")


def test_what_gcp_does_not_answer_is_no_refusal(gcp: Gcp) -> None:
    sealed = gcp.client.encrypt(request={"name": gcp.key, "plaintext": b"k" * 32}).ciphertext
    who = gcp.make(gcp.key)
    faults = gcp.stage.cloud.faults
    codes = grpc.StatusCode
    cases = (
        (codes.PERMISSION_DENIED, "Permission denied", Reason.PERMISSION_DENIED),
        (codes.RESOURCE_EXHAUSTED, "Quota exceeded", Reason.THROTTLED),
        (codes.UNAVAILABLE, "unavailable", Reason.UNREACHABLE),
        (codes.INTERNAL, "internal", Reason.UNREACHABLE),
        (codes.FAILED_PRECONDITION, "anything", Reason.NOT_COVERED),
        (codes.INVALID_ARGUMENT, "ciphertext_crc32c does not match", Reason.MALFORMED),
        (codes.NOT_FOUND, "no such key", Reason.UNREACHABLE),
    )
    for code, words, expected in cases:
        faults.fail("Decrypt", code, words, times=1)
        assert reason(who.unwrap(sealed, {}, b"")) is expected, code
    faults.garbage.add("Decrypt")
    assert isinstance(who.unwrap(sealed, {}, b""), Unanswered)
    faults.garbage.clear()
    gcp.stage.cloud.kms.version(f"{gcp.key}/cryptoKeyVersions/1").state = State.DISABLED
    assert reason(who.unwrap(sealed, {}, b"")) is Reason.NOT_COVERED
