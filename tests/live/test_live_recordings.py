"""The scripts for real clouds work and clean up, shown on the lab's fakes; and the fakes are held against what they
recorded of real clouds."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest

from keycheck.lab.aws.faults import Damage

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))  # the scripts import each other by name, as they do when they are run

import aws_cases  # noqa: E402
import gcp_cases  # noqa: E402
from aws_session import AwsSession  # noqa: E402
from live_fakes import (  # noqa: E402
    ACCOUNT,
    ADMIN,
    PROJECT,
    SUBJECT,
    USER,
    WHOLE_AWS,
    WHOLE_GCP,
    Aws,
    Gcp,
    Whole,
    fake_aws,
    fake_gcp,
    stopped_at,
    whole_of,
)
from live_journal import Journal, Stop  # noqa: E402
from live_normal import LeakError, Symbols  # noqa: E402
from live_session import Limits, NotOursError  # noqa: E402
from recording import CaseRecord, Recording, Step, differences, finished, read, write  # noqa: E402

NOW = datetime(2026, 11, 22, tzinfo=UTC)


@pytest.fixture
def aws(tmp_path: Path) -> Iterator[Aws]:
    yield from fake_aws(tmp_path)


@pytest.fixture
def gcp(tmp_path: Path) -> Iterator[Gcp]:
    yield from fake_gcp(tmp_path)


@pytest.fixture(scope="module")
def whole_aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Whole]:
    home = tmp_path_factory.mktemp("aws")
    for aws in fake_aws(home):
        code, told = aws.run(*WHOLE_AWS)
        states = aws.states()
        ids = [arn.rsplit("/", 1)[1] for arn in states]
        yield whole_of(code, told, home / "out", list(states.values()), [ACCOUNT, USER, aws.secret, *ids])


@pytest.fixture(scope="module")
def whole_gcp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Whole]:
    home = tmp_path_factory.mktemp("gcp")
    for gcp in fake_gcp(home):
        code, told = gcp.run(*WHOLE_GCP, "--subject-credentials", str(gcp.subject))
        ids = [name.rsplit("/", 1)[1] for name, states in gcp.held().items() if states]
        yield whole_of(code, told, home / "out", gcp.states(), [PROJECT, ADMIN, SUBJECT, "marker", *ids])


def _unseen(whole: Whole) -> list[str]:
    return [
        f"{case['name']} / {step['name']}"
        for case in whole.recording["cases"]
        for step in case["steps"]
        if step["name"].endswith("(not seen)")
    ]


@pytest.mark.slow
def test_every_case_runs_on_the_fake_aws_and_leaves_nothing(whole_aws: Whole) -> None:
    assert whole_aws.code == 0, whole_aws.told
    assert finished(whole_aws.recording) == {case.name for case in aws_cases.CASES}
    assert _unseen(whole_aws) == []
    assert len(whole_aws.states) > 10
    assert set(whole_aws.states) <= {"PendingDeletion", "PendingReplicaDeletion"}


@pytest.mark.slow
def test_every_case_runs_on_the_fake_gcp_and_leaves_nothing(whole_gcp: Whole) -> None:
    assert whole_gcp.code == 0, whole_gcp.told
    assert finished(whole_gcp.recording) == {case.name for case in gcp_cases.CASES}
    assert _unseen(whole_gcp) == []
    assert len(whole_gcp.states) > 10
    assert set(whole_gcp.states) <= {"DESTROY_SCHEDULED", "IMPORT_FAILED"}


@pytest.mark.slow
def test_a_fake_never_passes_for_a_cloud(whole_aws: Whole, whole_gcp: Whole) -> None:
    assert whole_aws.recording["cloud"] == "fake"
    assert whole_gcp.recording["cloud"] == "fake"


@pytest.mark.slow
@pytest.mark.parametrize("which", ["whole_aws", "whole_gcp"])
def test_nothing_of_the_account_is_in_a_recording(which: str, request: pytest.FixtureRequest) -> None:
    whole: Whole = request.getfixturevalue(which)
    assert [name for name in whole.names if name in whole.text] == []
    assert (
        re.findall(r"[0-9a-f]{32}|[A-Za-z0-9+/]{60}|\b\d{12}\b|@[a-z-]+\.|PRIVATE KEY|\bya29|\beyJ", whole.text) == []
    )


@pytest.mark.slow
@pytest.mark.parametrize("which", ["whole_aws", "whole_gcp"])
def test_every_creation_is_in_the_journal_before_it_is_made(which: str, request: pytest.FixtureRequest) -> None:
    whole: Whole = request.getfixturevalue(which)
    abouts = [line["about"] for line in whole.journal if line["about"] in ("create", "created", "refused")]
    assert abouts[::2] == ["create"] * (len(abouts) // 2)
    assert "create" not in abouts[1::2]


@pytest.mark.slow
def test_two_runs_of_a_fake_do_not_differ(aws: Aws, whole_aws: Whole) -> None:
    some = ["inspection", "encryption-context", "rotation", "grants"]
    code, told = aws.run("--yes", *(part for name in some for part in ("--case", name)))
    assert code == 0, told
    (path,) = (aws.home / "out").glob("aws-*.json")
    assert finished(read(path)) == set(some)
    assert [str(each) for each in differences(read(path), whole_aws.recording)] == []


@pytest.mark.parametrize(
    ("more", "account", "told"),
    [
        ((), ACCOUNT, "add --yes"),
        (("--yes",), "444455556666", "another account"),
        (("--yes",), "", "--account 111122223333"),
        (("--yes", "--case", "absent"), ACCOUNT, "no case absent"),
        (("--clean",), "444455556666", "another account"),
    ],
)
def test_aws_is_refused_before_anything_is_created(aws: Aws, more: tuple[str, ...], account: str, told: str) -> None:
    code, said = aws.run(*more, account=account)
    assert code == 2
    assert told in said
    assert aws.states() == {}


def test_what_will_be_created_is_told_first(aws: Aws) -> None:
    _, said = aws.run("--multi-region")
    assert "key-lifecycle: 1 key" in said
    assert "1 replica" in said
    assert "USD 1 a month" in said
    assert "--clean" in said


@pytest.mark.parametrize(
    ("more", "project", "told"), [((), PROJECT, "add --yes"), (("--yes",), "another-project", "another project")]
)
def test_gcp_is_refused_before_anything_is_created(gcp: Gcp, more: tuple[str, ...], project: str, told: str) -> None:
    code, said = gcp.run(*more, project=project)
    assert code == 2
    assert told in said
    assert gcp.held() == {}


def test_tokens_go_over_plaintext_to_this_machine_only(gcp: Gcp) -> None:
    code, said = gcp.run("--yes", "--unsafe-plaintext-endpoint", "198.51.100.7:443")
    assert code == 2
    assert "127.0.0.1" in said


@pytest.mark.slow
def test_how_long_a_change_takes_is_recorded(aws: Aws) -> None:
    aws.cloud.faults.lags.policy = aws.cloud.faults.lags.grants = timedelta(seconds=0.7)
    code, told = aws.run("--yes", "--case", "grants")
    assert code == 0, told
    (path,) = (aws.home / "out").glob("aws-*.json")
    document: Any = read(path)
    steps = {step["name"]: step for step in document["cases"][0]["steps"]}
    assert 500_000 < steps["without a grant"]["waited_us"] < 3_000_000
    assert 500_000 < steps["without the token"]["waited_us"] < 3_000_000
    assert steps["at once with its token"]["tries"] == 1


@pytest.mark.slow
def test_aws_is_clean_after_sigterm(aws: Aws) -> None:
    code, told = stopped_at(aws.start("--yes"), "deny-by-time")
    assert code == 130, told
    assert set(aws.states().values()) == {"PendingDeletion"}
    (path,) = (aws.home / "out").glob("aws-*.json")
    assert read(path)["complete"] is False
    assert "deny-by-time" not in finished(read(path))


@pytest.mark.slow
def test_gcp_is_clean_after_sigterm(gcp: Gcp) -> None:
    code, told = stopped_at(gcp.start("--yes"), "import")
    assert code == 130, told
    assert set(gcp.states()) <= {"DESTROY_SCHEDULED", "IMPORT_FAILED"}


@pytest.mark.slow
def test_aws_is_clean_after_an_error_and_says_which_case_failed(aws: Aws) -> None:
    aws.cloud.faults.fail("Encrypt", "LimitExceededException", "made to fail", after=3)
    code, told = aws.run("--yes", "--case", "key-lifecycle", "--case", "encryption-context", "--case", "inspection")
    assert code == 4, told
    assert set(aws.states().values()) == {"PendingDeletion"}
    (path,) = (aws.home / "out").glob("aws-*.json")
    outcomes = {case["name"]: case["outcome"] for case in read(path)["cases"]}  # type: ignore[index, union-attr, call-overload]
    assert outcomes == {"key-lifecycle": "done", "encryption-context": "failed", "inspection": "done"}


@pytest.mark.slow
def test_a_key_whose_name_never_arrived_is_found_by_its_tag(aws: Aws) -> None:
    aws.cloud.faults.damage("CreateKey", Damage.TRUNCATED, times=1)
    code, told = aws.run("--yes", "--case", "inspection")
    assert list(aws.states().values()) == ["PendingDeletion"], told
    assert code == 4


@pytest.mark.slow
def test_what_could_not_be_removed_is_told_and_found_later(aws: Aws) -> None:
    aws.cloud.faults.fail("ScheduleKeyDeletion", "AccessDeniedException", "not now")
    code, told = aws.run("--yes", "--case", "inspection")
    assert code == 6
    assert "aws kms schedule-key-deletion" in told
    aws.cloud.faults.clear()
    others = aws.client().create_key(Tags=[{"TagKey": "team", "TagValue": "keycheck-live"}])["KeyMetadata"]["Arn"]
    code, told = aws.run("--clean")
    assert code == 0
    assert "removed 1" in told
    states = dict(aws.states())
    assert states.pop(others) == "Enabled"
    assert set(states.values()) == {"PendingDeletion"}


@pytest.mark.slow
def test_gcp_leftovers_are_found_by_their_label(gcp: Gcp) -> None:
    process = gcp.start("--yes", "--case", "import")
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("import"):
            break
    while not gcp.states():
        time.sleep(0.05)
    process.kill()
    process.wait()
    process.stdout.close()
    assert set(gcp.states()) - {"DESTROY_SCHEDULED", "IMPORT_FAILED"}
    ring = f"projects/{PROJECT}/locations/europe-west3/keyRings/keycheck-live"
    (mine,) = (name for name in gcp.held() if name != ring)
    code, told = gcp.run("--clean")
    assert code == 0, told
    assert "removed 1" in told
    assert mine.startswith(f"{ring}/")
    assert set(gcp.states()) <= {"DESTROY_SCHEDULED", "IMPORT_FAILED"}


def _session(aws: Aws, run: str = "run-of-a-test") -> AwsSession:
    boto = boto3.Session(
        aws_access_key_id=aws.cloud.directory.add_user(f"arn:aws:iam::{ACCOUNT}:root").access_key_id,
        aws_secret_access_key="secret",
    )
    recording = Recording("fake", "eu-central-1", "2026-11-22T00:00:00Z", {})
    journal = Journal(aws.home / "journal.jsonl")
    return AwsSession(
        boto, "eu-central-1", "eu-west-1", run, journal, recording, Symbols(NOW), Stop(), Limits(pause=0.0)
    )


@pytest.mark.parametrize(
    ("operation", "request_"),
    [
        ("DisableKey", {"KeyId": "KEY"}),
        ("ScheduleKeyDeletion", {"KeyId": "KEY", "PendingWindowInDays": 7}),
        ("PutKeyPolicy", {"KeyId": "KEY", "PolicyName": "default", "Policy": "{}"}),
        ("CreateAlias", {"AliasName": "alias/x", "TargetKeyId": "KEY"}),
        ("ReEncrypt", {"DestinationKeyId": "KEY", "CiphertextBlob": b"x"}),
        ("CreateKey", {"BypassPolicyLockoutSafetyCheck": True}),
    ],
)
def test_nothing_is_done_to_a_key_of_somebody_else(
    aws: Aws, monkeypatch: pytest.MonkeyPatch, operation: str, request_: Mapping[str, object]
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws.cloud.url)
    key = aws.client().create_key()["KeyMetadata"]["Arn"]
    before = aws.states()
    with pytest.raises(NotOursError):
        _session(aws).perform(operation, {name: key if value == "KEY" else value for name, value in request_.items()})
    assert aws.states() == before


def test_what_gives_the_account_away_is_not_written(tmp_path: Path) -> None:
    symbols = Symbols(NOW)
    symbols.fixed(ACCOUNT, "<account>")
    symbols.secret(b"thirty-two octets of key material")
    for leak in (ACCOUNT, b"thirty-two octets of key".hex()):
        case = CaseRecord("leak", 1, steps=[Step("step", "Decrypt", None, {"Field": f"x{leak}x"})])
        with pytest.raises(LeakError):
            write(Recording("aws", "r", "t", {}, [case]), tmp_path / "leak.json", symbols)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("said", "written"),
    [
        (f"User: arn:aws:sts::{ACCOUNT}:assumed-role/Admin/jane is not", "User: <principal> is not"),
        (f"arn:aws:iam::{ACCOUNT}:root", "arn:aws:iam::<account>:root"),
        ("from 203.0.113.7, jane@example.com", "from <address>, <principal>"),
        ("from 2001:db8:0:1:2:3:4:5 at 14:27:21", "from <address> at 14:27:21"),
        ("key 1234abcd-12ab-34cd-56ef-1234567890ab", "key <id>"),
        ("projects/123456789/x", "projects/<project>/x"),
        ("Location [nowhere] is not supported.", "Location [nowhere] is not supported."),
    ],
)
def test_words_of_the_cloud_stay_and_names_go(said: str, written: str) -> None:
    assert Symbols(NOW).substituted(said) == written


# --- the comparison ---------------------------------------------------------------------------------------------------


def _doctored(change: Callable[[dict[str, Any]], None]) -> tuple[dict[str, Any], dict[str, Any]]:
    refusal = {"code": "DisabledException", "message": "<key-1> is disabled.", "status": "400"}
    steps = [
        Step("read", "DescribeKey", {"KeyId": "<key-1>"}, {"State": "Enabled", "Dates": ["<time>"]}, latency_us=5),
        Step("use", "Decrypt", {"KeyId": "<key-1>"}, error=refusal, tries=4),
    ]
    plain = Recording("aws", "r", "t", {}, [CaseRecord("states", 1, "done", steps=steps)], complete=True).plain()
    real, fake = json.loads(json.dumps(plain)), json.loads(json.dumps(plain))
    change(real["cases"][0])
    return real, fake


def _set(path: Sequence[str | int], value: object) -> Callable[[dict[str, Any]], None]:
    def change(case: dict[str, Any]) -> None:
        place: Any = case
        for part in path[:-1]:
            place = place[part]
        place[path[-1]] = value

    return change


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        (("steps", 1, "error", "code"), "KMSInvalidStateException", "error.code"),
        (("steps", 1, "error", "message"), "is not enabled", "error.message"),
        (("steps", 1, "error", "status"), "403", "error.status"),
        (("steps", 1, "error"), None, "error"),
        (("steps", 0, "answer", "State"), "Disabled", "answer.State"),
        (("steps", 0, "answer", "State"), True, "answer.State"),
        (("steps", 0, "answer", "More"), "x", "answer.More is missing in the fake"),
        (("steps", 0, "answer", "Dates"), [], "answer.Dates"),
        (("steps", 0, "answer"), {}, "in the fake only"),
        (("steps", 0, "operation"), "GetKeyPolicy", "operation"),
        (("steps", 0, "request", "KeyId"), "<arn>", "request.KeyId"),
        (("steps", 0, "name"), "read (not seen)", "never got here"),
        (("version",), 2, "changed since"),
        (("name",), "another", "no such case"),
    ],
)
def test_a_doctored_recording_differs(path: Sequence[str | int], value: object, told: str) -> None:
    found = [str(each) for each in differences(*_doctored(_set(path, value)))]
    assert any(told in each for each in found), found


@pytest.mark.parametrize("name", ["latency_us", "tries", "waited_us"])
def test_times_are_not_compared(name: str) -> None:
    assert differences(*_doctored(_set(("steps", 1, name), 7))) == []


def test_a_case_that_the_real_cloud_did_not_finish_is_not_compared() -> None:
    real, fake = _doctored(_set(("steps",), []))
    real["cases"][0]["outcome"] = "interrupted"
    assert differences(real, fake) == []


def test_a_case_that_the_fake_cannot_finish_differs() -> None:
    real, fake = _doctored(lambda case: None)
    fake["cases"][0] |= {"outcome": "failed", "why": "it has no such operation"}
    assert [str(each) for each in differences(real, fake)] == [
        "states: not covered by the fake: it has no such operation"
    ]


@pytest.mark.slow
def test_a_doctored_recording_of_a_whole_run_differs_where_it_was_doctored(whole_aws: Whole) -> None:
    real = json.loads(whole_aws.text)
    assert differences(real, whole_aws.recording) == []
    case = next(case for case in real["cases"] if case["name"] == "import")
    step = next(step for step in case["steps"] if step["name"] == "different")
    step["error"]["code"] = "InvalidCiphertextException"
    (found,) = differences(real, whole_aws.recording)
    assert (found.case, found.step) == ("import", "different")


def _recordings(cloud: str) -> Sequence[Path]:
    return [path for path in sorted((HERE / "recordings").glob("*.json")) if read(path)["cloud"] == cloud]


def test_what_was_handed_in_is_of_a_real_cloud() -> None:
    everything = sorted((HERE / "recordings").glob("*.json"))
    assert everything == sorted([*_recordings("aws"), *_recordings("gcp")])


@pytest.mark.slow
@pytest.mark.parametrize("cloud", ["aws", "gcp"])
def test_the_fakes_answer_as_the_real_clouds_did(cloud: str, request: pytest.FixtureRequest) -> None:
    paths = _recordings(cloud)
    if not paths:
        pytest.skip(f"never exercised against a real {cloud.upper()} account: run make live-{cloud}")
    fake: Whole = request.getfixturevalue(f"whole_{cloud}")
    found = [f"{path.name}: {each}" for path in paths for each in differences(read(path), fake.recording)]
    assert found == [], "\n".join(found)
