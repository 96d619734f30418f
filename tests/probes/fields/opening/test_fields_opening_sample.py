"""Samples opened under the lab's keys, by the real clients: what is sound, and what each defect comes to."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest
import tink.aead
from aws_encryption_sdk.identifiers import Algorithm
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from fields_opening_stage import BOUND, FILE, SEED, Aws, Gcp, Memory, b64, contexts, message_of, opened, rule

from keycheck.errors import ProbeError
from keycheck.model.facts import Unseen
from keycheck.model.verdict import Reason
from probes.fields.facts import Opened
from probes.fields.opening.sample import Sample, open_sample
from probes.fields.opening.tag import gcm_tag
from probes.fields.opening.unwrap import PATIENCE
from probes.fields.read.seam import Reading, Shard
from probes.fields.scan.seam import Canary, ColumnPlan, Draw, Pick, ScanPlan
from probes.fields.subjects import Limits

MAILS = [f"anna.{row}@beispiel.example" for row in range(6)]
IDS = [f"c-{row}" for row in range(6)]
templates = tink.aead.aead_key_templates


def facts_of(sample: Sample, column: str = "email") -> Opened:
    found = sample.opened[column]
    assert isinstance(found, Opened), found
    return found


def refusals(facts: Opened) -> dict[str, tuple[int, int, int]]:
    return {each.name: (each.tried, each.opened.count, each.undecided) for each in facts.refusals}


def messages(aws: Aws) -> list[bytes]:
    return [aws.seal(mail.encode(), context) for mail, context in zip(MAILS, contexts(6), strict=True)]


def table(values: list[bytes]) -> Memory:
    return Memory({"id": IDS[: len(values)], "email": b64(values)})


def as_json(row: int) -> bytes:
    return json.dumps(contexts(6)[row], separators=(",", ":")).encode()


def test_messages_of_the_encryption_sdk_open_and_nothing_changed_does(aws: Aws) -> None:
    found = opened(table(messages(aws)), "email", rule(context=BOUND), aws.make, aws.key.arn)
    facts = facts_of(found)
    assert (facts.drawn, facts.unwrapped, facts.opened, facts.fitting) == (6, 6, 6, 6)
    assert (facts.headers, facts.tags, facts.lengths) == (6, 6, ((32, 6),))
    assert facts.ciphers == (("AES-256-GCM", 6),)
    assert (facts.bad.count, facts.unfitting.count, facts.refused.count, facts.unanswered) == (0, 0, 0, 0)
    assert refusals(facts) == {
        "context-swapped": (5, 0, 0),
        "row-swapped": (6, 0, 0),
        "ciphertext-flipped": (6, 0, 0),
        "tag-flipped": (6, 0, 0),
        "nonce-flipped": (6, 0, 0),
        "header-flipped": (6, 0, 0),
        "wrapped-flipped": (5, 0, 0),
    }
    assert facts.calls == aws.calls() == 16
    assert facts.key_ids == (aws.key.arn,)
    ((fingerprint, material),) = (each.split("=") for each in facts.materials)
    assert len(fingerprint) == len(material) == 64
    assert facts.seed == SEED.hex()
    assert {truth.value.decode() for truth in found.truths} == set(MAILS)


def test_nothing_that_was_opened_is_shown(aws: Aws) -> None:
    found = opened(table(messages(aws)), "email", rule(context=BOUND), aws.make, aws.key.arn)
    shown = repr(found) + facts_of(found).model_dump_json() + "".join(map(repr, found.truths))
    assert "anna" not in shown
    assert "beispiel" not in shown


def test_signed_and_short_keyed_messages(aws: Aws) -> None:
    suites = (Algorithm.AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384, Algorithm.AES_128_GCM_IV12_TAG16_HKDF_SHA256)
    values = [aws.seal(b"anna@beispiel.example", contexts(6)[row], suite) for row, suite in enumerate(suites)]
    facts = facts_of(opened(table(values), "email", rule(context=BOUND), aws.make, aws.key.arn))
    assert (facts.fitting, facts.headers) == (2, 2)
    assert facts.lengths == ((16, 1), (32, 1))
    assert facts.ciphers == (("AES-128-GCM", 1), ("AES-256-GCM", 1))
    assert refusals(facts)["context-swapped"] == (2, 0, 0)


def test_envelopes_of_tink_open_and_belong_to_their_row(gcp: Gcp) -> None:
    envelope = gcp.envelope()
    values = [envelope.encrypt(mail.encode(), as_json(row)) for row, mail in enumerate(MAILS)]
    bound = rule(context=BOUND, associated="context-json")
    facts = facts_of(opened(table(values), "email", bound, gcp.make, gcp.key))
    assert (facts.fitting, facts.tags, facts.headers, facts.lengths) == (6, 6, 0, ((34, 6),))
    assert refusals(facts) == {
        "row-swapped": (6, 0, 0),
        "ciphertext-flipped": (6, 0, 0),
        "tag-flipped": (6, 0, 0),
        "nonce-flipped": (6, 0, 0),
        "wrapped-flipped": (5, 0, 0),
    }
    assert facts.key_ids == (gcp.key,)


def test_a_field_map_that_errs_accuses_nobody(gcp: Gcp) -> None:
    """Sealed with the context, declared without: it opens, and is bound."""
    values = [gcp.envelope().encrypt(mail.encode(), as_json(row)) for row, mail in enumerate(MAILS)]
    facts = facts_of(opened(table(values), "email", rule(context=BOUND), gcp.make, gcp.key))
    assert (facts.fitting, facts.bad.count, facts.bad_tags.count) == (6, 0, 0)
    assert refusals(facts)["row-swapped"] == (6, 0, 0)


def test_a_binding_that_is_declared_and_not_there_shows_when_rows_are_swapped(gcp: Gcp) -> None:
    values = [gcp.envelope().encrypt(mail.encode(), b"") for mail in MAILS]
    bound = rule(context=BOUND, associated="context-json")
    facts = facts_of(opened(table(values), "email", bound, gcp.make, gcp.key))
    assert facts.fitting == 6
    assert refusals(facts)["row-swapped"] == (6, 6, 0)


def test_a_binding_that_nobody_declared_is_no_wrong_key(gcp: Gcp) -> None:
    values = [gcp.envelope().encrypt(mail.encode(), b"something of the vendor's own") for mail in MAILS]
    facts = facts_of(opened(table(values), "email", rule(context=BOUND), gcp.make, gcp.key))
    assert (facts.unwrapped, facts.opened, facts.bad.count, facts.bad_tags.count, facts.tags) == (6, 0, 0, 0, 0)
    assert "declare it under" in facts.why_unanswered[0].detail


def test_a_value_that_was_cut_off_is_bad_beside_sound_ones(gcp: Gcp) -> None:
    sealed = [gcp.envelope().encrypt(mail.encode() + b"xyz", b"") for mail in MAILS]
    whole = facts_of(opened(table([*sealed[:5], sealed[5][:-2]]), "email", rule(), gcp.make, gcp.key))
    assert (whole.opened, whole.bad.count, whole.bad_tags.count) == (5, 1, 1)
    assert whole.bad.places == ("contacts.parquet[group 0]:row 5",)


def test_other_ciphers_than_aes_are_told_and_not_accepted(gcp: Gcp) -> None:
    values = [gcp.envelope(templates.XCHACHA20_POLY1305).encrypt(mail.encode(), b"") for mail in MAILS]
    values.append(gcp.envelope(templates.AES256_GCM_SIV).encrypt(b"anna@beispiel.example", b""))
    facts = facts_of(opened(Memory({"email": b64(values)}), "email", rule(), gcp.make, gcp.key))
    assert facts.ciphers == (("AES-256-GCM-SIV", 1), ("XChaCha20-Poly1305", 6))
    assert (facts.unwrapped, facts.opened, facts.fitting, facts.bad.count) == (7, 1, 1, 0)
    assert any("XChaCha20" in each.detail for each in facts.why_unanswered)


AT_THE_SERVICE = {"context-swapped": (5, 0, 0), "ciphertext-flipped": (5, 0, 0), "tag-flipped": (5, 0, 0)}


def test_values_that_the_key_service_itself_encrypted(aws: Aws) -> None:
    values = [
        aws.client.encrypt(KeyId=aws.key.arn, Plaintext=mail.encode(), EncryptionContext=context)["CiphertextBlob"]
        for mail, context in zip(MAILS, contexts(6), strict=True)
    ]
    facts = facts_of(opened(table(values), "email", rule(context=BOUND), aws.make, aws.key.arn))
    assert (facts.unwrapped, facts.opened, facts.fitting, facts.lengths, facts.tags) == (6, 6, 6, (), 0)
    assert refusals(facts) == AT_THE_SERVICE
    unknown = facts_of(opened(table(values), "email", rule(), aws.make, aws.key.arn))
    assert (unknown.refused.count, unknown.opened, unknown.calls) == (6, 0, 6)
    unbound = [aws.client.encrypt(KeyId=aws.key.arn, Plaintext=b"a@beispiel.example")["CiphertextBlob"]]
    facts = facts_of(opened(table(unbound), "email", rule(context=BOUND), aws.make, aws.key.arn))
    assert (facts.fitting, facts.refused.count, facts.calls) == (1, 0, 4)
    assert refusals(facts) == {"ciphertext-flipped": (1, 0, 0), "tag-flipped": (1, 0, 0)}
    other = [aws.client.encrypt(KeyId=aws.another(), Plaintext=b"a@beispiel.example")["CiphertextBlob"]]
    facts = facts_of(opened(table(other), "email", rule(context=BOUND), aws.make, aws.key.arn))
    assert (facts.refused.count, facts.calls) == (1, 1)


def test_values_that_cloud_kms_itself_encrypted(gcp: Gcp) -> None:
    values = [
        gcp.client.encrypt(
            request={
                "name": gcp.key,
                "plaintext": mail.encode(),
                "additional_authenticated_data": as_json(row),
            }
        ).ciphertext
        for row, mail in enumerate(MAILS)
    ]
    bound = rule(context=BOUND, associated="context-json")
    facts = facts_of(opened(table(values), "email", bound, gcp.make, gcp.key))
    assert (facts.opened, facts.fitting) == (6, 6)
    assert refusals(facts) == AT_THE_SERVICE
    erring = facts_of(opened(table(values), "email", rule(context=BOUND), gcp.make, gcp.key))
    assert (erring.fitting, erring.refused.count) == (6, 0)
    assert refusals(erring) == AT_THE_SERVICE


def test_the_vendors_own_ciphertext_under_a_right_header_does_not_fit(aws: Aws) -> None:
    nonce = os.urandom(12)
    inner = [nonce + AESGCM(b"v" * 16).encrypt(nonce, mail.encode(), b"") for mail in MAILS]
    inner[3:] = [each.encode() for each in b64(inner[3:])]
    values = [aws.seal(each, context) for each, context in zip(inner, contexts(6), strict=True)]
    facts = facts_of(found := opened(table(values), "email", rule(context=BOUND), aws.make, aws.key.arn))
    assert (facts.tags, facts.opened, facts.fitting, facts.unfitting.count) == (6, 6, 0, 6)
    assert set(facts.unfitting.places) == {f"contacts.parquet[group 0]:row {row}" for row in range(6)}
    assert found.truths == ()
    nested = [aws.seal(aws.seal(b"x", {}), context) for context in contexts(3)]
    for class_ in ("free-text", "own-word"):
        again = opened(table(nested), "email", rule(context=BOUND, class_=class_), aws.make, aws.key.arn)
        assert facts_of(again).unfitting.count == 3


def test_clear_text_with_a_valid_tag_does_not_fit(gcp: Gcp) -> None:
    """The tag holds, and says nothing of encryption."""
    envelope = gcp.envelope()

    def dressed(clear: bytes) -> bytes:
        value: bytes = envelope.encrypt(b"", b"")
        start = 4 + int.from_bytes(value[:4], "big")
        key = gcp.client.decrypt(request={"name": gcp.key, "ciphertext": value[4:start]}).plaintext[-32:]
        return value[: start + 12] + clear + gcm_tag(key, value[start : start + 12], b"", clear)

    values = [dressed(b"1970-01-31"), dressed(b"1980-12-24")]
    facts = facts_of(opened(table(values), "email", rule(class_="date-of-birth"), gcp.make, gcp.key))
    assert (facts.tags, facts.bad_tags.count, facts.fitting) == (2, 0, 0)
    assert facts.unfitting.count == 2
    long = opened(table([dressed(b"anna.with.a.long.name@beispiel.example")]), "email", rule(), gcp.make, gcp.key)
    assert facts_of(long).unanswered + facts_of(long).unfitting.count == 1
    assert facts_of(long).fitting == 0


def test_a_forged_header_over_another_key_is_refused(aws: Aws) -> None:
    other = aws.another()
    value = aws.seal(b"anna@beispiel.example", contexts(1)[0], key=other)
    honest = opened(table([value]), "email", rule(context=BOUND), aws.make, aws.key.arn)
    assert facts_of(honest).why_unanswered[0].reason is Reason.CONFLICTING
    assert aws.calls() == 0
    forged = value.replace(other.encode(), aws.key.arn.encode())
    facts = facts_of(opened(table([forged]), "email", rule(context=BOUND), aws.make, aws.key.arn))
    assert (facts.refused.count, facts.unwrapped, facts.calls) == (1, 0, 1)
    assert facts.refused.places == ("contacts.parquet[group 0]:row 0",)


def test_a_data_key_of_the_vendor_under_the_right_wrapped_key_is_bad(gcp: Gcp) -> None:
    """The wrapped key is the customer's, the payload is under another."""
    values = []
    for mail in MAILS[:3]:
        value = gcp.envelope().encrypt(b"", b"")
        start, nonce = 4 + int.from_bytes(value[:4], "big"), os.urandom(12)
        values.append(value[:start] + nonce + AESGCM(b"v" * 32).encrypt(nonce, mail.encode(), b""))
    facts = facts_of(opened(table(values), "email", rule(), gcp.make, gcp.key))
    assert (facts.unwrapped, facts.bad.count, facts.bad_tags.count, facts.opened) == (3, 3, 3, 0)
    assert "ciphertext-flipped" not in refusals(facts)


def test_a_constant_context_lets_rows_be_swapped(aws: Aws) -> None:
    values = [aws.seal(mail.encode(), {"table": "contacts"}) for mail in MAILS]
    facts = facts_of(opened(table(values), "email", rule(context=BOUND), aws.make, aws.key.arn))
    assert facts.fitting == 6
    assert refusals(facts)["row-swapped"] == (6, 6, 0)
    assert refusals(facts)["context-swapped"] == (5, 0, 0)


def required(aws: Aws, plain: bytes, context: dict[str, str]) -> bytes:
    """A message whose context is authenticated and not stored, as the SDK's newest manager makes them."""
    made = aws.client.generate_data_key(KeyId=aws.key.arn, KeySpec="AES_256", EncryptionContext=context)
    return message_of(made["Plaintext"], made["CiphertextBlob"], aws.key.arn, plain, {}, context)


def test_a_context_that_is_required_and_not_stored_binds(aws: Aws) -> None:
    values = [required(aws, mail.encode(), context) for mail, context in zip(MAILS, contexts(6), strict=True)]
    facts = facts_of(opened(table(values), "email", rule(context=BOUND), aws.make, aws.key.arn))
    assert (facts.unwrapped, facts.headers, facts.fitting, facts.refused.count) == (6, 6, 6, 0)
    assert refusals(facts)["row-swapped"] == (6, 0, 0)
    assert refusals(facts)["context-swapped"] == (5, 0, 0)
    assert facts.calls == 2 * 6 + 5 + 5


def test_canaries_are_known_again_and_missed(aws: Aws) -> None:
    values = messages(aws)
    planted = (
        Canary("a", "email", "email", MAILS[1], (("id", "c-1"),)),
        Canary("b", "email", "email", "somebody.else@beispiel.example", (("id", "c-2"),)),
        Canary("c", "email", "phone", "x", (("id", "c-3"),)),
    )
    bound = rule(context=BOUND)
    facts = facts_of(opened(table(values), "email", bound, aws.make, aws.key.arn, canaries=planted))
    assert (facts.canaries, facts.fitting, facts.unfitting.count) == (1, 5, 1)
    assert facts.unfitting.places == ("contacts.parquet[group 0]:row 2",)


@pytest.mark.parametrize(
    ("class_", "plain", "told"),
    [
        ("email", b"ask the secretary", "unjudged"),
        ("email", b"", "unjudged"),
        pytest.param("email", os.urandom(40), "unfitting", id="random-bytes"),
        ("loyalty-tier", b"gold", "unjudged"),
        ("name", "Zoë Müller".encode(), "fitting"),
        ("iban", b"DE89370400440532013000", "fitting"),
        ("email", b'"anna@beispiel.example"', "fitting"),
    ],
)
def test_what_is_fitting_what_is_not_and_what_nobody_can_say(aws: Aws, class_: str, plain: bytes, told: str) -> None:
    value = aws.seal(plain, contexts(1)[0])
    facts = facts_of(opened(table([value]), "email", rule(class_=class_, context=BOUND), aws.make, aws.key.arn))
    counts = {"fitting": facts.fitting, "unfitting": facts.unfitting.count, "unjudged": facts.unjudged}
    assert counts == {**dict.fromkeys(counts, 0), told: 1}


def test_the_limit_of_calls_is_kept_and_told(aws: Aws) -> None:
    facts = facts_of(opened(table(messages(aws)), "email", rule(context=BOUND), aws.make, aws.key.arn, calls=4))
    assert (aws.calls(), facts.calls, facts.unwrapped, facts.unanswered) == (4, 4, 4, 2)
    assert any("limit of calls" in each.detail for each in facts.why_unanswered)
    assert refusals(facts)["wrapped-flipped"] == (4, 0, 4)


def test_some_calls_are_kept_for_what_must_be_refused(aws: Aws) -> None:
    export = Memory({"id": IDS * 4, "email": b64([each for _ in range(4) for each in messages(aws)])})
    facts = facts_of(opened(export, "email", rule(context=BOUND), aws.make, aws.key.arn, calls=20))
    assert (aws.calls(), facts.calls, facts.unwrapped, facts.unanswered) == (20, 20, 16, 8)
    assert refusals(facts)["wrapped-flipped"] == (5, 0, 3)
    assert refusals(facts)["context-swapped"] == (5, 0, 3)


def test_a_limit_of_calls_cuts_off_a_random_part(aws: Aws) -> None:
    def opened_rows(seed: bytes) -> list[int]:
        plan = ScanPlan(
            (ColumnPlan("email", "sensitive", rule(context=BOUND), aws.key.arn),), (), None, None, Limits(), bytes(32)
        )
        draw = Draw(tuple(Pick("email", export.shard.name, row, "") for row in range(24)), 24, 1)
        shards = {export.shard.name: export.shard}
        found = open_sample(export, {"email": draw}, plan, shards, seed=seed, calls=5, unwrapper=aws.make)
        return [truth.row for truth in found.truths]

    export = Memory({"id": IDS * 4, "email": b64([each for _ in range(4) for each in messages(aws)])})
    first, second = opened_rows(SEED), opened_rows(bytes(32))
    assert len(first) == len(second) == 4
    assert first not in (second, [0, 1, 2, 3])
    assert opened_rows(SEED) == first


def test_denied_is_a_doubt_and_not_asked_for_ever(aws: Aws) -> None:
    values = messages(aws) * 4
    aws.stage.allow(aws.key, {})
    export = Memory({"id": IDS * 4, "email": b64(values)})
    facts = facts_of(opened(export, "email", rule(context=BOUND), aws.make, aws.key.arn))
    assert (facts.unanswered, facts.refused.count, facts.unwrapped, facts.calls) == (24, 0, 0, PATIENCE)
    assert [each.reason for each in facts.why_unanswered] == [Reason.PERMISSION_DENIED]


def test_throttled_once_is_asked_again(aws: Aws) -> None:
    values = messages(aws)
    aws.stage.cloud.faults.throttle("Decrypt", times=2)
    facts = facts_of(opened(table(values), "email", rule(context=BOUND), aws.make, aws.key.arn))
    assert (facts.fitting, facts.unanswered, facts.calls) == (6, 0, 18)


@pytest.mark.parametrize("value", [b"vault:v1:" + b64([os.urandom(44)])[0].encode()], ids=["vault"])
def test_what_cannot_be_opened_says_what_to_ask_for(aws: Aws, value: bytes) -> None:
    found = opened(Memory({"email": [value.decode()] * 3}), "email", rule(), aws.make, aws.key.arn)
    assert found.opened["email"] == Unseen(reason=Reason.UNSUPPORTED, detail=detail(found))
    assert "ask the vendor" in detail(found)
    assert aws.calls() == 0


def test_a_data_key_whose_values_lie_elsewhere_is_measured_and_nothing_more(aws: Aws) -> None:
    made = aws.client.generate_data_key(KeyId=aws.key.arn, KeySpec="AES_256", EncryptionContext={"record": "c-0"})
    described = {
        "x-amz-key-v2": b64([made["CiphertextBlob"]])[0],
        "x-amz-iv": b64([os.urandom(12)])[0],
        "x-amz-cek-alg": "AES/GCM/NoPadding",
        "x-amz-wrap-alg": "kms+context",
        "x-amz-tag-len": "128",
        "x-amz-matdesc": json.dumps({"record": "c-0"}),
    }
    export = Memory({"id": ["c-0"], "email": [json.dumps(described)]})
    facts = facts_of(opened(export, "email", rule(context=BOUND), aws.make, aws.key.arn))
    assert (facts.unwrapped, facts.lengths, facts.opened, facts.unanswered) == (1, ((32, 1),), 0, 0)
    assert "does not read the objects that it belongs to" in facts.why_unanswered[0].detail


def detail(found: Sample) -> str:
    unseen = found.opened["email"]
    assert isinstance(unseen, Unseen)
    return unseen.detail


def test_values_that_are_not_there_any_more_are_counted(aws: Aws) -> None:
    values: list[str | None] = list(b64(messages(aws)))
    values[1], values[2] = None, "not encrypted at all"
    facts = facts_of(opened(Memory({"id": IDS, "email": values}), "email", rule(), aws.make, aws.key.arn))
    assert (facts.unwrapped, facts.unanswered) == (4, 2)
    assert {each.reason for each in facts.why_unanswered} == {Reason.CONFLICTING, Reason.MALFORMED}


@dataclass
class Gone(Memory):
    """An export whose files were taken away."""

    def read(self, shard: Shard) -> Reading:
        raise ProbeError(Reason.CONFLICTING, "the file is no longer the one that was listed")


def test_an_export_that_cannot_be_read_again(aws: Aws) -> None:
    facts = facts_of(opened(Gone({"email": b64(messages(aws))}), "email", rule(), aws.make, aws.key.arn))
    assert (facts.unanswered, facts.calls) == (6, 0)
    assert "no longer" in facts.why_unanswered[0].detail


def test_columns_take_turns_and_one_without_a_key_is_unseen(aws: Aws) -> None:
    export = Memory({"id": IDS, "email": b64(messages(aws)), "phone": b64(messages(aws))})
    shard = export.shard
    columns = (
        ColumnPlan("email", "sensitive", rule(context=BOUND), aws.key.arn),
        ColumnPlan("phone", "sensitive", rule("phone", context=BOUND), aws.key.arn),
        ColumnPlan("name", "sensitive", rule("name"), ""),
        ColumnPlan("iban", "sensitive", rule("iban"), aws.key.arn),
    )
    plan = ScanPlan(columns, (), None, None, Limits(), bytes(32))

    def draw(column: str, rows: Iterator[int]) -> Draw:
        return Draw(tuple(Pick(column, shard.name, row, "") for row in rows), 6, 2)

    draws = {"email": draw("email", iter(range(6))), "phone": draw("phone", iter(range(6)))}
    draws |= {"name": draw("name", iter(range(6))), "iban": Draw((), 0, 0), "other": draw("other", iter(range(1)))}
    found = open_sample(export, draws, plan, {shard.name: shard}, seed=SEED, calls=6, unwrapper=aws.make)
    assert [facts_of(found, name).unwrapped for name in ("email", "phone")] == [3, 2]
    assert sum(facts_of(found, name).calls for name in ("email", "phone")) == 6
    unseen = {name: each.reason for name, each in found.opened.items() if isinstance(each, Unseen)}
    assert unseen == {"name": Reason.UNSUPPORTED, "iban": Reason.NOT_COVERED, "other": Reason.UNSUPPORTED}
    elsewhere = replace(shard, name="another", file=FILE)
    lost = open_sample(export, draws, plan, {"another": elsewhere}, seed=SEED, calls=6, unwrapper=aws.make)
    assert facts_of(lost).unanswered == 6


def test_what_is_handed_to_the_hunt_is_bounded(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("probes.fields.opening.sample.TRUTHS", 4)
    found = opened(table(messages(aws)), "email", rule(context=BOUND), aws.make, aws.key.arn)
    assert (len(found.truths), found.truths_left) == (4, 2)


def test_values_under_one_data_key_cost_one_call(aws: Aws) -> None:
    export = Memory({"id": IDS * 4, "email": b64(messages(aws) * 4)})
    facts = facts_of(opened(export, "email", rule(context=BOUND), aws.make, aws.key.arn))
    negatives = sum(each.tried for each in facts.refusals if each.name in ("context-swapped", "wrapped-flipped"))
    assert (facts.unwrapped, facts.fitting) == (24, 24)
    assert aws.calls() == facts.calls <= 6 + negatives
