"""What Google's logs say of a drill: read with the real clients from the lab, late, reordered, cut and muted."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest
from gcp_company import INSPECTOR, NEEDED, NOW, Company, founded
from hypothesis import given
from hypothesis import strategies as st

from keycheck.errors import ProbeError
from keycheck.lab.gcp.entries import ACTIVITY, Entry
from keycheck.lab.gcp.log_bucket import LogBucket
from keycheck.model.deployment import Authority, GcpIdentity
from keycheck.model.facts import Unseen
from keycheck.model.verdict import Reason
from probes.clouds.gcp.names import key_name
from probes.keys.drill.gcp_binding import binding
from probes.keys.drill.gcp_canary import GcpCanary
from probes.keys.drill.gcp_exports import entries_in
from probes.keys.drill.gcp_log import GcpRawLog, keys_of, recent, with_files
from probes.keys.drill.gcp_revoke import log_of
from probes.keys.drill.gcp_window import markers, window_uses
from probes.keys.drill.muted import gcp_muted
from probes.keys.drill.window import Window
from probes.keys.drill_facts import Markers, Match, WindowUses
from probes.keys.subjects import Key, Roles

APP = "serviceAccount:app@vendor.iam.gserviceaccount.com"
OURS = "serviceAccount:control@acme.iam.gserviceaccount.com"
SPAN = timedelta(hours=3)
WINDOW = Window(
    NOW - timedelta(minutes=40), NOW - timedelta(minutes=39), NOW - timedelta(minutes=20), NOW - timedelta(minutes=19)
)


class Stored(GcpIdentity):
    """An identity that says where Cloud Storage is."""

    storage_endpoint: Authority | None = None


@dataclass
class Scene:
    """A company with a canary's key and a production key, its bucket, and what happened on both."""

    company: Company
    bucket: LogBucket
    identity: Stored

    def happened(self, minutes: float, **given: object) -> None:
        fields: dict[str, object] = {
            "at": NOW - timedelta(minutes=minutes),
            "method": "Decrypt",
            "resource": f"{self.canary}/cryptoKeyVersions/1",
            "principal": APP,
        }
        self.company.cloud.logs.seed(Entry(**{**fields, **given}))  # type: ignore[arg-type]

    @property
    def canary(self) -> str:
        return f"{self.company.ring}/cryptoKeys/crm-keycheck-canary"

    def subject(self, *logs: Mapping[str, object]) -> Key:
        drill = {"canary_key": self.canary, "planted": "2026-11-22T08:00:00Z", "paths": {}, "logs": logs}
        return Key.model_validate(
            {
                "id": "k",
                "provider": "gcp",
                "resource": f"{self.company.ring}/cryptoKeys/byok",
                "model": "direct-kms",
                "identities": {"log": "inspector"},
                "drill": drill,
            }
        )

    def read(self, *logs: Mapping[str, object]) -> list[GcpRawLog]:
        subject, io = self.subject(*logs), self.company.io(self.identity)
        return list(with_files(recent(subject, keys_of(subject), SPAN, io), subject, io))

    def told(self, *logs: Mapping[str, object]) -> tuple[WindowUses, Markers]:
        found = self.read(*logs)
        marks = markers(found, WINDOW, [OURS])
        assert isinstance(marks, Markers)
        return window_uses(found, WINDOW, ()), marks


BUCKET = {"kind": "bucket", "bucket": "audit-logs"}
DAY = "cloudaudit.googleapis.com/data_access/2026/11/22/"
BOMB = gzip.compress(bytes(70 * 2**20))
WHOLE = Markers(before="arrived", during="arrived", after="arrived")


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    with founded(tmp_path) as company:
        company.seed()
        company.seed("crm-keycheck-canary")
        storage = f"{company.organization}/roles/storage"
        company.cloud.iam.role(storage, ("storage.objects.list", "storage.objects.get"))
        company.cloud.iam.bind("projects/acme", storage, f"serviceAccount:{INSPECTOR}")
        company.cloud.iam.audit("projects/acme", "DATA_READ")
        identity = Stored.model_validate(
            {**company.identity.model_dump(), "storage_endpoint": company.cloud.storage_address}
        )
        found = Scene(company, company.cloud.buckets.sink("audit-logs", "projects/acme"), identity)
        found.happened(60)
        found.happened(50, principal=OURS)
        for minutes in (38, 35, 30):
            found.happened(minutes, principal=OURS, code=7, message="denied")
        found.happened(34, code=7)
        found.happened(18, principal=OURS)
        found.happened(17)
        found.happened(30, resource=f"{company.ring}/cryptoKeys/byok")
        yield found


@pytest.mark.parametrize("logs", [(), (BUCKET,)])
def test_an_honest_log_is_whole_and_names_no_use_of_the_canary(
    scene: Scene, logs: tuple[Mapping[str, object], ...]
) -> None:
    uses, marks = scene.told(*logs)
    assert marks == WHOLE
    assert (uses.state, uses.why_not) == ("complete", "")
    assert [(use.principal, use.match, use.count) for use in uses.uses] == [(APP, Match.OTHER, 1)]


def test_a_use_in_the_window_is_seen_once_wherever_it_is_told(scene: Scene) -> None:
    scene.happened(25)
    for logs in ((), (BUCKET,)):
        uses, _ = scene.told(*logs)
        (use,) = [use for use in uses.uses if use.match is Match.CANARY]
        assert (use.operation, use.principal, use.count, use.first) == ("Decrypt", APP, 1, NOW - timedelta(minutes=25))


def test_an_export_may_know_what_the_api_does_not_tell(scene: Scene) -> None:
    scene.happened(25)
    scene.company.cloud.logs.trouble.excluded = frozenset({"Decrypt"})
    uses, marks = scene.told(BUCKET)
    assert sum(use.count for use in uses.uses if use.match is Match.CANARY) == 1
    assert marks == WHOLE  # all of them in the export


def test_late_entries_are_awaited_and_then_complete(scene: Scene) -> None:
    scene.company.cloud.logs.trouble.late = timedelta(minutes=25)
    _, marks = scene.told()
    assert marks == Markers(before="arrived", during="arrived", after="missing")
    scene.company.cloud.logs.trouble.late = timedelta(hours=1)
    assert scene.told()[1] == Markers(before="missing", during="missing", after="missing")
    scene.company.cloud.logs.trouble.clear()
    assert scene.told()[1] == WHOLE


def test_marks_of_two_sources_do_not_add_up(scene: Scene) -> None:
    scene.company.cloud.logs.trouble.late = timedelta(minutes=30)  # before and during
    scene.bucket.trouble.late = timedelta(minutes=45)  # before alone
    _, marks = scene.told(BUCKET)
    assert marks == Markers(before="arrived", during="arrived", after="missing")


def test_order_does_not_matter(scene: Scene) -> None:
    plain = scene.told(BUCKET)
    scene.company.cloud.logs.trouble.reordered = scene.bucket.trouble.reordered = True
    assert scene.told(BUCKET) == plain


def test_pages_that_stop_make_the_log_incomplete(scene: Scene) -> None:
    for _ in range(20):
        scene.happened(33, principal=OURS)
    scene.company.cloud.logs.trouble.truncated = True
    uses, _ = scene.told()
    assert uses.state == "awaiting"
    assert "Cloud Logging" in uses.why_not


@pytest.mark.parametrize(
    ("break_it", "words"),
    [
        (lambda bucket: setattr(bucket.trouble, "truncated", True), "cannot be read"),
        (lambda bucket: setattr(bucket.trouble, "missing", lambda _name: True), "no file of this time"),
        (lambda bucket: bucket.planted.update({DAY + "notes.txt": b"x"}), "not named as exports"),
        (lambda bucket: bucket.planted.update({DAY + "../../../etc/passwd": b"x"}), "not named as exports"),
        (lambda bucket: bucket.planted.update({DAY + "11:00:00_11:59:59_A0.json": b"\xff{"}), "cannot be read"),
        (lambda bucket: bucket.planted.update({DAY + "11:00:00_11:59:59_A0.json": b"[" * 90_000}), "cannot be read"),
        (lambda bucket: bucket.planted.update({DAY + "11:00:00_11:59:59_A0.json.gz": BOMB}), "unpacks to more"),
        (lambda bucket: bucket.planted.update({DAY + "11:00:00_11:59:59_A0.json.gz": BOMB[:-9]}), "cut short|unpacks"),
    ],
)
def test_files_that_cannot_be_read_make_the_log_incomplete(
    scene: Scene, break_it: Callable[[LogBucket], None], words: str
) -> None:
    break_it(scene.bucket)
    uses, marks = scene.told(BUCKET)
    assert uses.state == "awaiting"
    assert re.search(words, uses.why_not), uses.why_not
    assert marks == WHOLE  # of the Logging API


def test_a_denied_or_unknown_bucket_says_so(scene: Scene) -> None:
    uses, _ = scene.told({**BUCKET, "bucket": "elsewhere"})
    assert "permission-denied" in uses.why_not
    assert "storage.objects.list" in uses.why_not
    identity = scene.identity.model_copy(update={"storage_endpoint": "storage.example:80"})
    scene.identity = identity
    assert "unsafe_plaintext_to_loopback" in scene.told(BUCKET)[0].why_not


def test_more_objects_than_are_looked_through(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("probes.keys.drill.log_sources.Allowance.list_one", _after(100))
    scene.bucket.planted.update({f"{DAY}10:00:00_10:59:59_S{number}.json": b"" for number in range(400)})
    assert "more than" in scene.told(BUCKET)[0].why_not


def _after(most: int) -> Callable[[object], None]:
    seen = [0]

    def one(_self: object) -> None:
        seen[0] += 1
        if seen[0] > most:
            raise ProbeError(Reason.NOT_COVERED, f"more than {most} names")

    return one


def test_a_folder_tells_the_same(scene: Scene) -> None:
    folder = {"kind": "folder", "directory": "logs"}
    target = scene.company.home / "logs" / "data_access" / "2026" / "11" / "22"
    target.mkdir(parents=True)
    for name, content in scene.company.cloud.buckets._files(scene.bucket).items():
        hour = name.rpartition("/")[2].replace(":", "_")
        (target / f"{hour}.gz").write_bytes(gzip.compress(content))
    uses, marks = scene.told(folder)
    assert (uses.state, uses.why_not) == ("complete", "")
    assert marks == WHOLE
    (target / "10_00_00_10_59_59_S9.json").symlink_to("/etc/passwd")
    assert "not followed" in scene.told(folder)[0].why_not
    assert "directory" in scene.told({**folder, "directory": "../.."})[0].why_not


def test_a_drills_own_log_is_that_of_every_place_which_the_deployment_names(scene: Scene) -> None:
    folder = {"kind": "folder", "directory": "fetched"}
    canary = GcpCanary(ciphertext="QQ==", sha256="0" * 64, version="1", planted=NOW)
    at = {"intended": WINDOW.began, "acted": WINDOW.acted, "undo-intended": WINDOW.undoing}
    at |= {"found-restored": WINDOW.undone}
    for logs, state in (((), "complete"), ((folder,), "awaiting")):
        subject = scene.subject(*logs)
        subject = subject.model_copy(update={"identities": Roles(log="inspector", control="inspector")})
        change = binding("d-1", subject, scene.canary, canary, NOW)
        uses, _ = log_of(subject, change, ("date 0 0",), NOW - SPAN, at, scene.company.io(scene.identity))
        assert isinstance(uses, WindowUses)
        assert uses.state == state


def test_without_the_right_to_data_access_logs_nothing_is_said(scene: Scene) -> None:
    scene.company.without("logging.privateLogEntries.list")
    with pytest.raises(ProbeError, match="privateLogEntries"):
        scene.read()


def test_the_log_must_be_of_the_canarys_key(scene: Scene) -> None:
    subject = scene.subject()
    logs = recent(subject, [key_name(subject.resource)], SPAN, scene.company.io(scene.identity))
    assert isinstance(markers(logs, WINDOW, [OURS]), Unseen)
    assert window_uses(logs, WINDOW, ()).state == "awaiting"


def test_a_success_that_names_nobody_is_a_gap_and_a_nameless_denial_no_mark(scene: Scene) -> None:
    (canary, _) = scene.read()
    entry = next(one for one in canary.entries() if one.principal == OURS)
    nobody = replace(entry, id="x", principal="", at=WINDOW.acted + timedelta(minutes=1), code=0)
    shown = replace(canary, sources=((*canary.sources[0], nobody),))
    uses = window_uses([shown], WINDOW, ())
    assert (uses.state, uses.uses) == ("awaiting", ())
    hidden = tuple(replace(one, principal="" if one.code else one.principal) for one in canary.sources[0])
    marks = markers([replace(canary, sources=(hidden,))], WINDOW, [OURS])
    assert marks == Markers(before="arrived", during="missing", after="arrived")


def test_entries_without_an_id_are_each_one_of_their_own(scene: Scene) -> None:
    (canary, _) = scene.read()
    use = replace(canary.sources[0][0], id="", principal=APP, code=0, at=WINDOW.acted + timedelta(minutes=1))
    told = window_uses([replace(canary, sources=((use, use), (use,)))], WINDOW, ())
    assert [each.count for each in told.uses] == [3]
    told = window_uses([replace(canary, sources=((replace(use, id="a"),), (replace(use, id="a"),)))], WINDOW, ())
    assert [each.count for each in told.uses] == [1]


def test_admin_reads_and_the_activity_log_are_no_marks(scene: Scene) -> None:
    (canary, _) = scene.read()
    for changed in ({"operation": "GetCryptoKey"}, {"log": ACTIVITY}, {"principal": APP}):
        entries = tuple(replace(one, **changed) for one in canary.sources[0])  # type: ignore[arg-type]
        marks = markers([replace(canary, sources=(entries,))], WINDOW, [OURS])
        assert marks == Markers(before="missing", during="missing", after="missing")


def test_one_id_with_two_stories_is_a_gap(scene: Scene) -> None:
    files = scene.company.cloud.buckets._files(scene.bucket)
    name, content = max(files.items())
    forged = content.replace(b"app@vendor", b"eve@vendor")
    scene.bucket.trouble.missing = lambda each: each == name
    scene.bucket.planted[name] = forged
    assert "tell differently" in scene.told(BUCKET)[0].why_not


def test_exempted_members_and_settings_that_are_off_are_muted(scene: Scene) -> None:
    subject, io = scene.subject(), scene.company.io(scene.identity)
    assert gcp_muted(subject, io) == ()
    scene.company.cloud.iam.audit(scene.company.folder, "DATA_READ", service="allServices", exempted=(APP,))
    (words,) = gcp_muted(subject, scene.company.io(scene.identity))
    assert APP in words
    assert scene.company.folder in words
    scene.company.cloud.iam.audit(scene.company.folder, service="allServices")
    scene.company.cloud.iam.audit("projects/acme", "ADMIN_READ")
    (words,) = gcp_muted(subject, scene.company.io(scene.identity))
    assert "DATA_READ" in words
    scene.company.without("resourcemanager.organizations.getIamPolicy")
    assert any("not known" in words for words in gcp_muted(subject, scene.company.io(scene.identity)))


@pytest.mark.parametrize(
    ("sink", "words"),
    [
        ({}, None),
        ({"disabled": True}, "switched off"),
        ({"filter": 'severity >= "ERROR"'}, "filter of the sink"),
        ({"filter": ""}, None),
        ({"exclusions": (("pods", 'resource.type="k8s_container"', False),)}, None),
        ({"exclusions": (("cheap", 'protoPayload.methodName="Decrypt"', False),)}, "exclusion cheap"),
        ({"exclusions": (("cheap", 'protoPayload.methodName="Decrypt"', True),)}, None),
        ({"exclusions": (("kms", 'resource.type="cloudkms_cryptokeyversion"', False),)}, "exclusion kms"),
        ({"exclusions": (("or", 'resource.type="gce_instance" OR severity="INFO"', False),)}, "exclusion or"),
    ],
)
def test_what_the_projects_sink_leaves_out_is_muted(scene: Scene, sink: dict[str, object], words: str | None) -> None:
    scene.company.cloud.logs.sinks.set("projects/acme", **sink)
    assert gcp_muted(scene.subject(), scene.company.io(scene.identity)) == ()  # sinks may not be listed
    scene.company.allow(*NEEDED, "logging.sinks.list")
    told = gcp_muted(scene.subject(), scene.company.io(scene.identity))
    assert (told == ()) if words is None else (len(told) == 1 and words in told[0])


def test_what_the_sink_excludes_is_in_no_answer(scene: Scene) -> None:
    exclusion = ("cheap", 'protoPayload.methodName="Decrypt"', False)
    scene.company.cloud.logs.sinks.set("projects/acme", exclusions=(exclusion,))
    assert scene.told()[1] == Markers(before="missing", during="missing", after="missing")


LINE = {
    "logName": "projects/acme/logs/cloudaudit.googleapis.com%2Fdata_access",
    "insertId": "a",
    "timestamp": "2026-11-22T11:30:00.123456789Z",
    "protoPayload": {
        "@type": "type.googleapis.com/google.cloud.audit.AuditLog",
        "serviceName": "cloudkms.googleapis.com",
        "methodName": "google.cloud.kms.v1.KeyManagementService.Decrypt",
        "resourceName": "projects/acme/locations/l/keyRings/r/cryptoKeys/k/cryptoKeyVersions/1",
        "authenticationInfo": {"principalEmail": "app@vendor.iam.gserviceaccount.com"},
    },
}
KEY = key_name("projects/acme/locations/l/keyRings/r/cryptoKeys/k")


def test_a_line_of_an_export() -> None:
    (entry,) = entries_in(json.dumps(LINE).encode() + b"\n\n", KEY)
    assert not isinstance(entry, ProbeError)
    assert (entry.operation, entry.principal, entry.code, entry.at.microsecond) == ("Decrypt", APP, 0, 123456)
    forged = {**LINE, "logName": "projects/acme/logs/cloudaudit.googleapis.com%2Fdata_access%2Fx"}
    assert list(entries_in(json.dumps(forged).encode(), KEY)) == []


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@given(st.binary(max_size=200), st.sampled_from(sorted(LINE)), VALUES, st.integers(0, 400))
def test_lines_of_any_kind_are_read_or_told(raw: bytes, name: str, value: object, cut: int) -> None:
    changed = json.dumps({**LINE, name: value}).encode()
    payload = json.dumps({**LINE, "protoPayload": {**LINE["protoPayload"], "status": value}}).encode()  # type: ignore[dict-item]
    for content in (raw, changed, payload, changed[:cut], changed + raw):
        for entry in entries_in(content, KEY):
            assert isinstance(entry, ProbeError) or entry.id.startswith("|") or entry.id == ""
