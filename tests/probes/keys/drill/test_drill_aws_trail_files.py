"""What CloudTrail says of a drill: the event history and a trail's files, read by the real SDK from the lab."""

from __future__ import annotations

import gzip
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keycheck.errors import ProbeError
from keycheck.lab.aws.cloud import AwsCloud
from keycheck.lab.aws.faults import Damage
from keycheck.lab.aws.seams import ApiEvent, Caller, Document
from keycheck.lab.aws.trail_bucket import TrailBucket
from keycheck.model.deployment import HERE, AwsIdentity
from keycheck.model.once import Once
from keycheck.model.probe import Io
from keycheck.model.verdict import Reason
from keycheck.resolve import system_resolver
from probes.clouds.aws.arns import kms_arn
from probes.keys.drill.aws_calls import hand
from probes.keys.drill.aws_log import RawLog, recent, request_id, with_files
from probes.keys.drill.aws_trail_files import records_in
from probes.keys.drill.aws_window import markers, marking, window_uses
from probes.keys.drill.canary import Canary
from probes.keys.drill.log_sources import Allowance, gunzipped
from probes.keys.drill.muted import aws_muted
from probes.keys.drill.window import Window
from probes.keys.drill_facts import Markers, Match, WindowUses
from probes.keys.subjects import Key

CUSTOMER, VENDOR = "111122223333", "444455556666"
REGION = "eu-central-1"
ARN = f"arn:aws:kms:{REGION}:{CUSTOMER}:key/1234abcd-12ab-34cd-56ef-1234567890ab"
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
WINDOW = Window(
    NOON - timedelta(minutes=40),
    NOON - timedelta(minutes=39),
    NOON - timedelta(minutes=20),
    NOON - timedelta(minutes=19),
)
PAIRS = (("tenant", "acme"), ("record", "c-7"))
CANARY = Canary(pairs=PAIRS, context=PAIRS, planted=NOON, ciphertext="QQ==", sha256="0" * 64)
DRILL = "d-1"
BUCKET = {"kind": "bucket", "bucket": "audit-logs"}
WHOLE = Markers(before="arrived", during="arrived", after="arrived")
DAY = f"AWSLogs/{CUSTOMER}/CloudTrail/{REGION}/2026/11/22/"
NAME = f"{DAY}{CUSTOMER}_CloudTrail_{REGION}_20261122T1155Z_0000000000000000.json.gz"
APP = Caller(VENDOR, f"arn:aws:iam::{VENDOR}:role/crm", f"arn:aws:iam::{VENDOR}:role/crm", "ASIAAPP")
CONTROL = Caller(CUSTOMER, f"arn:aws:iam::{CUSTOMER}:user/control", f"arn:aws:iam::{CUSTOMER}:user/control", "AKIA1")
READS: Document = {
    "Statement": [
        {"Effect": "Allow", "Action": ["cloudtrail:*", "s3:GetObject", "s3:ListBucket"], "Resource": "*"},
    ]
}


@dataclass
class Scene:
    cloud: AwsCloud
    home: Path
    bucket: TrailBucket
    loader: object

    def happened(self, minutes: float, caller: Caller = APP, name: str = "Decrypt", **given: object) -> None:
        context = given.pop("context", dict(PAIRS))
        event = ApiEvent(
            NOON - timedelta(minutes=minutes),
            caller,
            REGION,
            "kms.amazonaws.com",
            name,
            True,
            CUSTOMER,
            resources=(ARN,),
            parameters={"encryptionContext": context} if context else {},  # type: ignore[dict-item]
        )
        self.cloud.ledger.record(replace(event, **given))  # type: ignore[arg-type]

    def io(self) -> Io:
        once = Once()
        once.get(("aws", "loader"), lambda: self.loader)
        return Io(
            once=once,
            vantage=HERE,
            budget=30.0,
            demands=(),
            samples=1,
            authorized=frozenset(),
            base=self.home,
            environment={},
            resolver=system_resolver,
            clock=lambda: NOON,
            entropy=os.urandom,
            identities=(AwsIdentity(id="log", provider="aws", profile="log"),),
        )

    def subject(self, *logs: Mapping[str, object]) -> Key:
        drill = {"context": PAIRS, "planted": "2026-11-22T08:00:00Z", "paths": {}, "logs": logs}
        fields = {"id": "k", "provider": "aws", "resource": ARN, "model": "direct-kms", "identities": {"log": "log"}}
        return Key.model_validate({**fields, "drill": drill})

    def read(self, *logs: Mapping[str, object]) -> RawLog:
        subject, io = self.subject(*logs), self.io()
        return with_files(recent(subject, kms_arn(ARN), timedelta(hours=2), io), subject, io)

    def told(self, *logs: Mapping[str, object]) -> tuple[WindowUses, Markers]:
        log = self.read(*logs)
        marks = markers([log], WINDOW, CANARY, DRILL)
        assert isinstance(marks, Markers)
        return window_uses([log], WINDOW, CANARY, ()), marks


@pytest.fixture(scope="module")
def loader() -> object:
    from botocore.loaders import create_loader

    return create_loader()


@pytest.fixture
def scene(tmp_path: Path, loader: object, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    for name in list(os.environ):
        if name.startswith("AWS_") or name.lower() in ("http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    with AwsCloud(clock=lambda: NOON) as cloud:
        key = cloud.directory.add_user(f"arn:aws:iam::{CUSTOMER}:user/log", policies=[READS])
        ends = "".join(f"{name} =\n  endpoint_url = {cloud.url}\n" for name in ("kms", "sts", "cloudtrail", "s3"))
        secret = f"aws_access_key_id = {key.access_key_id}\naws_secret_access_key = {key.secret}\n"
        (tmp_path / "config").write_text(f"[services lab]\n{ends}[profile log]\nservices = lab\n{secret}")
        cloud.trails.add(CUSTOMER, REGION, "audit", bucket="audit-logs")
        found = Scene(cloud, tmp_path, cloud.buckets.make("audit-logs", CUSTOMER), loader)
        mark = marking(CANARY, DRILL)
        found.happened(60)
        for minutes in (50, 30, 15):
            found.happened(minutes, CONTROL, "Encrypt", context=mark)
        found.happened(35, error="AccessDenied", message="no")
        found.happened(30, context={"tenant": "acme", "record": "c-8"})
        found.happened(10)
        yield found


@pytest.mark.parametrize("logs", [(), (BUCKET,)])
def test_an_honest_log_is_whole(scene: Scene, logs: tuple[Mapping[str, object], ...]) -> None:
    uses, marks = scene.told(*logs)
    assert marks == WHOLE
    assert (uses.state, uses.why_not) == ("complete", "")
    assert [(use.operation, use.match, use.count) for use in uses.uses] == [
        ("Decrypt", Match.OTHER, 1),
        ("Encrypt", Match.OTHER, 1),
    ]


def test_a_file_may_know_what_the_event_history_does_not_tell(scene: Scene) -> None:
    scene.happened(25)
    scene.cloud.trails.trouble.excluded = frozenset({"Decrypt"})
    assert not [use for use in scene.told()[0].uses if use.match is Match.CANARY]
    uses, _ = scene.told(BUCKET)
    (use,) = [use for use in uses.uses if use.match is Match.CANARY]
    assert (use.principal, use.count) == (VENDOR, 1)
    assert "in files and not in the event history" in uses.why_not


def test_late_events_are_awaited_and_then_complete(scene: Scene) -> None:
    trouble = scene.cloud.trails.trouble
    trouble.late = timedelta(minutes=20)
    assert scene.told()[1] == Markers(before="arrived", during="arrived", after="missing")
    trouble.late, trouble.since = timedelta(hours=1), WINDOW.acted
    assert scene.told()[1] == Markers(before="arrived", during="missing", after="missing")
    trouble.clear()
    assert scene.told()[1] == WHOLE


def test_marks_of_two_sources_do_not_add_up(scene: Scene) -> None:
    scene.cloud.trails.trouble.late = timedelta(minutes=20)
    scene.bucket.trouble.late = timedelta(minutes=45)
    assert scene.told(BUCKET)[1] == Markers(before="arrived", during="arrived", after="missing")


def test_order_does_not_matter(scene: Scene) -> None:
    plain = scene.told(BUCKET)
    scene.cloud.trails.trouble.reordered = scene.bucket.trouble.reordered = True
    scene.bucket.objects.clear()
    scene.bucket.delivered.clear()
    assert scene.told(BUCKET) == plain


def test_pages_that_stop_make_the_log_incomplete(scene: Scene) -> None:
    for minutes in range(11):
        scene.happened(33 + minutes / 60, CONTROL)
    scene.cloud.trails.trouble.truncated = True
    uses, marks = scene.told()
    assert uses.state == "awaiting"
    assert "InvalidNextToken" in uses.why_not
    assert marks != WHOLE


def test_events_that_are_left_out_are_missing_marks(scene: Scene) -> None:
    scene.cloud.trails.trouble.excluded = frozenset({"Encrypt"})
    assert scene.told()[1] == Markers(before="missing", during="missing", after="missing")


BOMB = gzip.compress(bytes(70 * 2**20))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (BOMB, "unpacks to more"),
        (BOMB[:-9], "cut short|unpacks to more"),
        (gzip.compress(b'{"Records":[]}')[:-3], "cut short"),
        (gzip.compress(b'{"Records":[{'), "cut short, or no JSON"),
        (b"", "empty"),
        (b"not gzip", "no gzip"),
        (gzip.compress(b'{"Records":[7]}'), "a record that is none"),
        (gzip.compress(b'{"Records":{}}'), "no list of records"),
        (gzip.compress(b'{"Records":' + b"[" * 100_000), "nested too deeply"),
        (gzip.compress(b'{"Records":[],"Records":[]}'), "no JSON"),
    ],
)
def test_files_that_cannot_be_read_make_the_log_incomplete(scene: Scene, content: bytes, words: str) -> None:
    scene.bucket.objects[NAME] = content
    uses, marks = scene.told(BUCKET)
    assert uses.state == "awaiting"
    assert re.search(words, uses.why_not), uses.why_not
    assert "s3://audit-logs" in uses.why_not
    assert marks == WHOLE  # of the event history


@pytest.mark.parametrize(
    ("break_it", "words"),
    [
        (lambda bucket: setattr(bucket.trouble, "truncated", True), "cut short"),
        (lambda bucket: setattr(bucket.trouble, "missing", lambda _name: True), "no file of this time"),
        (lambda bucket: bucket.objects.update({DAY + "9/../../etc/passwd": b"x"}), "not named as CloudTrail"),
        (lambda bucket: bucket.objects.update({DAY + "9\u2028<&>.json.gz": b"x"}), "not named as CloudTrail"),
        (lambda bucket: bucket.objects.update({NAME: b"x" * (33 * 2**20)}), "larger than"),
    ],
)
def test_what_is_missing_or_strange_in_the_bucket_is_told(
    scene: Scene, break_it: Callable[[TrailBucket], None], words: str
) -> None:
    break_it(scene.bucket)
    uses, _ = scene.told(BUCKET)
    assert uses.state == "awaiting"
    assert words in uses.why_not


def test_other_regions_digests_and_older_files_are_left_alone(scene: Scene) -> None:
    name = NAME.rpartition("/")[2]
    scene.bucket.objects[DAY + name.replace(REGION, "eu-west-3")] = b"x"
    scene.bucket.objects[DAY + name.replace("CloudTrail", "CloudTrail-Digest")] = b"x"
    scene.bucket.objects[DAY + name.replace("T1155", "T0155")] = b"x"
    assert scene.told(BUCKET)[0].why_not == ""


def test_a_large_file_comes_in_pieces(scene: Scene) -> None:
    scene.told(BUCKET)
    ((name, content),) = list(scene.bucket.objects.items())
    records = json.loads(gzip.decompress(content))["Records"]
    stuffed = json.dumps({"Records": records, "Padding": os.urandom(900_000).hex()}).encode()
    scene.bucket.objects[name] = gzip.compress(stuffed, 1)
    assert len(scene.bucket.objects[name]) > 2**19
    uses, marks = scene.told(BUCKET)
    assert (uses.state, marks) == ("complete", WHOLE)


def test_more_objects_than_are_looked_through(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "probes.keys.drill.log_sources.Allowance.of", lambda io, _among: Allowance(io.monotonic, 1e12, 1500)
    )
    scene.bucket.objects.update({NAME.replace("0" * 16, f"{number:016}"): b"" for number in range(3_000)})
    uses, _ = scene.told(BUCKET)
    assert "names: the rest is not read" in uses.why_not


def test_no_file_is_read_when_the_time_is_over(scene: Scene) -> None:
    subject, io = scene.subject(BUCKET), scene.io()
    log = recent(subject, kms_arn(ARN), timedelta(hours=2), io)
    assert "the time for its files was over" in with_files(log, subject, replace(io, budget=0.0)).why_not


@pytest.mark.parametrize("damage", list(Damage))
@pytest.mark.parametrize("operation", ["ListObjectsV2", "GetObject"])
def test_answers_that_are_none_are_told(scene: Scene, operation: str, damage: Damage) -> None:
    scene.cloud.faults.damage(operation, damage)
    uses, marks = scene.told(BUCKET)
    assert uses.state == "awaiting"
    assert "s3://audit-logs" in uses.why_not
    assert marks == WHOLE


def test_a_denied_or_unknown_bucket_says_so(scene: Scene) -> None:
    assert "NoSuchBucket" in scene.told({**BUCKET, "bucket": "elsewhere"})[0].why_not
    scene.cloud.buckets.make("theirs", VENDOR)
    uses, marks = scene.told({**BUCKET, "bucket": "theirs"})
    assert "permission-denied" in uses.why_not
    assert marks == WHOLE


def test_a_folder_tells_the_same(scene: Scene) -> None:
    scene.told(BUCKET)
    for name, content in scene.bucket.objects.items():
        path = scene.home / "fetched" / name
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
    folder = {"kind": "folder", "directory": "fetched"}
    assert scene.told(folder) == scene.told(BUCKET)
    (scene.home / "fetched" / "link.json.gz").symlink_to("/etc/passwd")
    assert "not followed" in scene.told(folder)[0].why_not
    assert "outside" in scene.told({**folder, "directory": "../.."})[0].why_not
    assert "cannot be listed" in scene.told({**folder, "directory": "nowhere"})[0].why_not


def test_one_event_with_two_stories_is_told(scene: Scene) -> None:
    scene.told(BUCKET)
    ((name, content),) = list(scene.bucket.objects.items())
    forged = gzip.decompress(content).replace(b'"c-8"', b'"c-7"')
    scene.bucket.objects[name] = gzip.compress(forged)
    assert "tell differently of 1 event" in scene.told(BUCKET)[0].why_not


def test_marks_by_request_id_where_the_whole_key_is_away(scene: Scene) -> None:
    ids = [f"00000000-0000-4000-8000-00000000000{number}" for number in range(3)]
    for minutes, request in zip((50, 30, 15), ids, strict=True):
        scene.happened(minutes, CONTROL, "DescribeKey", context=None, request_id=request)
    log = scene.read()
    plain = replace(log, entries=tuple(each for each in log.entries if '"Encrypt"' not in each))
    assert markers([plain], WINDOW, CANARY, DRILL) == Markers(before="missing", during="missing", after="missing")
    assert markers([plain], WINDOW, CANARY, DRILL, ids) == WHOLE
    assert markers([plain], WINDOW, CANARY, DRILL, ids[:2]) == Markers(
        before="arrived", during="arrived", after="missing"
    )


def test_nobody_else_can_make_our_marks(scene: Scene) -> None:
    forger = Caller(CUSTOMER, f"arn:aws:iam::{CUSTOMER}:user/forger", f"arn:aws:iam::{CUSTOMER}:user/forger", "AKIA2")
    plain = scene.read()
    for minutes in (50, 30, 15):
        scene.happened(minutes, forger, "Encrypt", context=marking(CANARY, DRILL))
    forged = replace(plain, entries=tuple(each for each in scene.read().entries if "user/forger" in each))
    assert len(forged.entries) == 3
    ours = ["00000000-0000-4000-8000-000000000001"]
    missing = Markers(before="missing", during="missing", after="missing")
    assert markers([forged], WINDOW, CANARY, DRILL, ours) == missing


def test_the_clouds_request_id_is_the_logs(scene: Scene) -> None:
    key = scene.cloud.kms.create(CUSTOMER, REGION)
    arn = kms_arn(key.arn)
    root = scene.cloud.directory.add_user(f"arn:aws:iam::{CUSTOMER}:root")
    config = (scene.home / "config").read_text().replace("[profile log]", "[profile root]").splitlines()[:-2]
    secret = [f"aws_access_key_id = {root.access_key_id}", f"aws_secret_access_key = {root.secret}"]
    (scene.home / "root").write_text("\n".join([*config, *secret]) + "\n")
    identity = AwsIdentity(id="log", provider="aws", profile="root", config_file="root")
    io = replace(scene.io(), identities=(identity,))
    answer = hand(io, "log", arn).ask("kms:DescribeKey", REGION, KeyId=key.arn)
    metadata = answer["ResponseMetadata"]
    assert isinstance(metadata, dict)
    log = recent(scene.subject().model_copy(update={"resource": key.arn}), arn, timedelta(hours=1), io)
    assert metadata["RequestId"] in {request_id(each) for each in log.entries}


def test_an_entry_that_is_too_long_is_no_silence(scene: Scene) -> None:
    log = scene.read()
    uses = window_uses([replace(log, entries=("x" * 600_000,))], WINDOW, CANARY, ())
    assert uses.state == "awaiting"


ADVANCED = [{"FieldSelectors": [{"Field": "eventCategory", "Equals": ["Management"]}]}]


@pytest.mark.parametrize(
    ("trail", "words"),
    [
        ({}, None),
        ({"advanced_event_selectors": ADVANCED}, None),
        ({"event_selectors": [{"ExcludeManagementEventSources": ["kms.amazonaws.com"]}]}, "selectors exclude"),
        (
            {"event_selectors": [{"ReadWriteType": "WriteOnly", "IncludeManagementEvents": True}]},
            "but those that write",
        ),
        (
            {
                "advanced_event_selectors": [
                    {
                        "FieldSelectors": [
                            *ADVANCED[0]["FieldSelectors"],
                            {"Field": "eventName", "NotEquals": ["Decrypt"]},
                        ]
                    }
                ]
            },
            "not known",
        ),
        ({"logging": False}, "switched off"),
        ({"delivery_error": "NoSuchBucket"}, "could not be delivered"),
        ({"bucket": "another"}, "no trail that could be read"),
    ],
)
def test_what_a_trail_leaves_out_is_told(scene: Scene, trail: dict[str, object], words: str | None) -> None:
    scene.cloud.trails.add(CUSTOMER, REGION, "audit", **{"bucket": "audit-logs", **trail})  # type: ignore[arg-type]
    assert aws_muted(scene.subject(), [kms_arn(ARN)], scene.io()) == ()
    told = aws_muted(scene.subject(BUCKET), [kms_arn(ARN)], scene.io())
    assert (told == ()) if words is None else any(words in each for each in told)


def test_what_a_trail_excludes_is_not_in_its_files(scene: Scene) -> None:
    scene.cloud.trails.add(
        CUSTOMER, REGION, "audit", event_selectors=[{"ExcludeManagementEventSources": ["kms.amazonaws.com"]}]
    )
    log = scene.read(BUCKET)
    assert log.sources[1] == ()
    assert log.entries == log.sources[0]


TEXTS = st.text(max_size=8)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
RECORD = {"eventSource": "kms.amazonaws.com", "resources": [{"ARN": ARN}], "eventID": "e"}


@given(st.binary(max_size=200), st.sampled_from(sorted(RECORD)), VALUES, st.integers(0, 300))
def test_files_of_any_kind_are_read_or_refused(raw: bytes, name: str, value: object, cut: int) -> None:
    one = json.dumps({"Records": [{**RECORD, name: value}, value]}).encode()
    for content in (raw, one, one[:cut], json.dumps(value).encode(), one + raw):
        refused = refusal(lambda given: [json.loads(each) for each in records_in(given, kms_arn(ARN))], content)
        assert refused in (None, Reason.MALFORMED)


@given(st.binary(max_size=300), st.integers(0, 40))
def test_gzip_of_any_kind_is_unpacked_or_refused(raw: bytes, cut: int) -> None:
    allowance = Allowance(lambda: 0.0, 1.0)
    assert gunzipped(gzip.compress(raw) + gzip.compress(raw), allowance) == raw + raw
    for content in (raw, gzip.compress(raw)[:-cut] if cut else b"", gzip.compress(raw) + raw[:cut]):
        assert refusal(lambda given: gunzipped(given, allowance), content) in (None, Reason.MALFORMED)


def refusal(read: Callable[[bytes], object], content: bytes) -> Reason | None:
    try:
        read(content)
    except ProbeError as error:
        return error.reason
    return None
