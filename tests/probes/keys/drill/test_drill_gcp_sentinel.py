"""What the sentinel says, and what it never says: only the drill's own withholding is `denied`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from gcp_stage import CONTROL, USE, Stage, staged

from keycheck.lab.gcp.crc import crc32c as labs
from keycheck.lab.gcp.store import State
from keycheck.model.drill import Where
from probes.clouds.gcp.names import key_name
from probes.keys.drill import Sample, Sight
from probes.keys.drill.gcp_calls import GcpError, hand
from probes.keys.drill.gcp_canary import plant
from probes.keys.drill.gcp_crc import crc32c
from probes.keys.drill.gcp_sentinel import Sentinel, Withholding, felt


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    with staged(tmp_path, "gcp-binding") as found:
        yield found


def sentinel(stage: Stage, withholding: Withholding = Withholding.NOT_GRANTED) -> Sentinel:
    return Sentinel(stage.io(), "control", key_name(stage.key), stage.canary, withholding)


def ask(stage: Stage, withholding: Withholding = Withholding.NOT_GRANTED) -> Sample:
    return sentinel(stage, withholding).ask()


def test_the_checksum_is_castagnolis() -> None:
    assert crc32c(b"") == 0
    assert crc32c(b"123456789") == 0xE3069283
    assert all(crc32c(bytes(range(count))) == labs(bytes(range(count))) for count in range(256))


def test_readable(stage: Stage) -> None:
    sample = ask(stage)
    assert (sample.sight, sample.place) == (Sight.READABLE, "europe-west3")
    assert sample.took_us > 0


def test_denied_by_iam_and_by_nothing_else(stage: Stage) -> None:
    stage.cloud.iam.unbind(stage.key, USE, CONTROL)
    assert ask(stage).sight is Sight.DENIED
    assert ask(stage, Withholding.DISABLED).sight is Sight.UNAVAILABLE


def test_disabled_is_denied_where_the_drill_disables(stage: Stage) -> None:
    stage.cloud.kms.version(f"{stage.key}/cryptoKeyVersions/1").state = State.DISABLED
    assert ask(stage, Withholding.DISABLED).sight is Sight.DENIED
    assert ask(stage).sight is Sight.UNAVAILABLE
    stage.cloud.kms.version(f"{stage.key}/cryptoKeyVersions/1").state = State.DESTROY_SCHEDULED
    assert ask(stage, Withholding.DISABLED).sight is Sight.UNAVAILABLE


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (grpc.StatusCode.PERMISSION_DENIED, "Cloud Key Management Service (KMS) API has not been used in project 1"),
        (
            grpc.StatusCode.PERMISSION_DENIED,
            "Request is prohibited by organization's policy. vpcServiceControlsUniqueId",
        ),
        (grpc.StatusCode.PERMISSION_DENIED, "The access reason is not allowed by the Key Access Justifications policy"),
        (grpc.StatusCode.UNAUTHENTICATED, "Request had invalid authentication credentials."),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "Quota exceeded"),
        (grpc.StatusCode.UNAVAILABLE, "unavailable"),
        (grpc.StatusCode.INTERNAL, "internal"),
        (grpc.StatusCode.NOT_FOUND, "CryptoKey not found."),
        (grpc.StatusCode.FAILED_PRECONDITION, "the external key manager cannot be reached."),
    ],
)
def test_other_failures_are_unavailable_and_asked_once(stage: Stage, code: grpc.StatusCode, words: str) -> None:
    stage.cloud.faults.fail("Decrypt", code, words, times=1)
    for withholding in Withholding:
        stage.cloud.faults.fail("Decrypt", code, words, times=1)
        assert ask(stage, withholding).sight is Sight.UNAVAILABLE
        assert ask(stage, withholding).sight is Sight.READABLE


def test_an_answer_that_is_no_message_is_unavailable(stage: Stage) -> None:
    stage.cloud.faults.garbage.add("Decrypt")
    assert ask(stage).sight is Sight.UNAVAILABLE


def test_what_does_not_decrypt_to_our_words_is_not_readable(stage: Stage) -> None:
    other = stage.canary.model_copy(update={"sha256": "0" * 64})
    assert Sentinel(stage.io(), "control", key_name(stage.key), other).ask().sight is Sight.UNAVAILABLE
    elsewhere = stage.canary.model_copy(update={"authenticated": "another"})
    assert Sentinel(stage.io(), "control", key_name(stage.key), elsewhere).ask().sight is Sight.UNAVAILABLE


def test_what_is_felt_is_a_standing(stage: Stage) -> None:
    key = key_name(stage.key)
    assert felt(stage.io(), stage.subject(), key, stage.canary, Withholding.NOT_GRANTED).where is Where.RESTORED
    stage.cloud.iam.unbind(stage.key, USE, CONTROL)
    assert felt(stage.io(), stage.subject(), key, stage.canary, Withholding.NOT_GRANTED).where is Where.CHANGED


def test_a_canary_is_not_planted_by_who_may_not(stage: Stage) -> None:
    with pytest.raises(GcpError):
        plant(hand(stage.io(), "restore"), stage.key, planted=stage.clock(), entropy=lambda count: b"e" * count)
    shown = repr(sentinel(stage)) + stage.canary.model_dump_json()
    assert "nobody's data" not in shown
