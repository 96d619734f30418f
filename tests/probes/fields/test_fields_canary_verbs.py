"""Planting at a real front door (the practice vendor's), finding in its export, and removing with proof."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from keycheck.cli.root import main
from keycheck.evidence.keys import SigningKey
from keycheck.evidence.sign import AUTHORIZATION_TYPE, sign_file, signature_path
from keycheck.lab.crm.contacts import Store
from keycheck.lab.crm.crm import Crm
from keycheck.lab.crm.envelope import Context
from keycheck.lab.crm.service import Answer, Service, answer, serve
from keycheck.model.deployment import HERE
from probes.fields.canaries import CanaryFile, load_canaries
from probes.fields.canary_front import Front, Outside
from probes.fields.canary_plan import CanaryPlan, load_plan
from probes.fields.canary_plant import plant, remove

TOKEN = "Bearer t0ken-acme"
FIELDS = ("name", "email", "phone", "iban", "notes")
CLASSES = ("name", "email", "phone", "iban", "free-text")


class LocalKey:
    """Envelope encryption without a cloud."""

    def __init__(self) -> None:
        self._key = AESGCM(AESGCM.generate_key(256))

    def seal(self, plaintext: bytes, context: Context) -> bytes:
        nonce = os.urandom(12)
        return nonce + self._key.encrypt(nonce, plaintext, json.dumps(dict(context), sort_keys=True).encode())

    def open(self, sealed: bytes, context: Context) -> bytes:
        return self._key.decrypt(sealed[:12], sealed[12:], json.dumps(dict(context), sort_keys=True).encode())


@dataclass
class Troubled:
    """The practice service, with a switch for each method: a status instead of an answer, or nothing done."""

    service: Service
    refuse: dict[str, int] = field(default_factory=dict)
    """Method to status; the request has no effect."""
    after: dict[str, int] = field(default_factory=dict)
    """Method to status; the request has its effect all the same."""
    asked: list[tuple[str, str]] = field(default_factory=list)

    def respond(self, method: str, path: str, body: bytes = b"", authorization: str = "") -> Answer:
        self.asked.append((method, path))
        if status := self.refuse.get(method):
            return answer(status, {"error": "an echo of " + body.decode("latin-1")})
        said = self.service.respond(method, path, body, authorization)
        return answer(status, {"error": "lost"}) if (status := self.after.get(method)) else said


@dataclass
class Stage:
    url: str
    home: Path
    vendor: Troubled
    store: Store

    @property
    def file(self) -> Path:
        return self.home / "canaries.json"

    def plan(self, **changes: object) -> Path:
        where = f"{self.url}/v1/contacts/${{id}}"
        stated: dict[str, object] = {
            "canary_plan": "crm-contacts",
            "dataset": "contacts",
            "unsafe_plaintext_to_loopback": "true",
            "headers": [["Authorization", "file:token"]],
            "values": [{"name": name, "class": of, "column": name} for name, of in zip(FIELDS, CLASSES, strict=True)],
            "row": [["tenant", "acme"], ["id", "${id}"]],
            "create": {
                "method": "POST",
                "url": where,
                "body": json.dumps({name: f"${{{name}}}" for name in FIELDS}),
            },
            "plain": {"method": "POST", "url": where, "body": json.dumps({"name": "-", "country": "NL"})},
            "read": {"method": "GET", "url": where, "ok": [200]},
            "delete": {"method": "DELETE", "url": where},
        }
        path = self.home / "plan.yaml"
        path.write_text(yaml.safe_dump(stated | changes, sort_keys=False), encoding="utf-8")
        (self.home / "token").write_text(TOKEN)
        return path

    def front(self, plan: CanaryPlan) -> Front:
        outside = Outside(lambda host, seconds: (host,), time.monotonic, {}, self.home, HERE, self.home)
        return Front(plan, outside)

    def planted(self, times: int = 2, **changes: object) -> tuple[CanaryPlan, CanaryFile, tuple[str, ...]]:
        plan, data = load_plan(self.plan(**changes))
        story = plant(
            plan,
            self.front(plan),
            self.file,
            deployment="crm",
            plan_bytes=data,
            times=times,
            clock=lambda: datetime.now(UTC),
            entropy=os.urandom,
        )
        assert load_canaries(self.file) == story.file
        return plan, story.file, story.troubles


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    store = Store(tmp_path / "crm.sqlite")
    vendor = Troubled(Service(Crm(LocalKey(), store), {"t0ken-acme": "acme"}))
    with serve(vendor) as url:
        yield Stage(url, tmp_path, vendor, store)
    store.close()


def test_what_is_planted_is_in_the_vendor_and_its_cost_is_measured(stage: Stage) -> None:
    _, file, troubles = stage.planted(times=3)
    assert troubles == ()
    sealed = [record for record in file.records if record.sealed]
    assert [record.state for record in file.records] == ["planted"] * 6
    assert len(sealed) == 3
    assert all(record.planted and record.began <= record.planted and record.write_us for record in sealed)
    assert all(len(record.read_us) == 3 for record in file.records)
    cost = file.cost()
    assert cost is not None
    assert cost.records == 3
    assert min(cost.write_sealed, cost.write_plain, cost.read_sealed, cost.read_plain) > 0
    ids = {dict(record.row)["id"] for record in sealed}
    assert ids < {row.id for row in stage.store.list("acme")}
    assert stage.file.stat().st_mode & 0o777 == 0o600


def test_removing_deletes_everything_and_proves_it(stage: Stage) -> None:
    plan, file, _ = stage.planted()
    story = remove(plan, stage.front(plan), stage.file, file)
    assert story.troubles == ()
    assert stage.store.list("acme") == ()
    assert {record.state for record in load_canaries(stage.file).records} == {"removed"}
    assert load_canaries(stage.file).sought() == ()
    before = len(stage.vendor.asked)
    assert remove(plan, stage.front(plan), stage.file, load_canaries(stage.file)).troubles == ()
    assert len(stage.vendor.asked) == before


def test_a_vendor_that_only_says_it_deleted_is_not_believed(stage: Stage) -> None:
    plan, file, _ = stage.planted(times=1)
    stage.vendor.refuse["DELETE"] = 204
    story = remove(plan, stage.front(plan), stage.file, file)
    assert len(story.troubles) == 2
    assert "not removed" in story.troubles[0]
    assert {record.state for record in load_canaries(stage.file).records} == {"removing"}
    stage.vendor.refuse.clear()
    assert remove(plan, stage.front(plan), stage.file, load_canaries(stage.file)).troubles == ()


def test_a_record_that_cannot_be_read_back_is_not_proved_gone(stage: Stage) -> None:
    plan, file, _ = stage.planted(times=1)
    stage.vendor.refuse["GET"] = 503
    assert all("HTTP 503" in each for each in remove(plan, stage.front(plan), stage.file, file).troubles)


def test_a_door_that_knows_nobody_proves_nothing(stage: Stage) -> None:
    plan, file, _ = stage.planted(times=1)
    stage.vendor.refuse |= {"GET": 404, "DELETE": 404}  # a token that expired, a path that moved
    story = remove(plan, stage.front(plan), stage.file, file)
    assert len(story.troubles) == 2
    assert "before it was deleted" in story.troubles[0]
    assert {record.state for record in load_canaries(stage.file).records} == {"planted"}


def test_what_was_written_without_an_answer_is_known_and_removed(stage: Stage) -> None:
    stage.vendor.after["POST"] = 500
    plan, file, troubles = stage.planted(times=1)
    assert [record.state for record in file.records] == ["begun", "begun"]
    assert len(troubles) == 2
    assert len(stage.store.list("acme")) == 2
    assert len(file.sought()) == len(FIELDS)
    assert remove(plan, stage.front(plan), stage.file, file).troubles == ()
    assert stage.store.list("acme") == ()


def test_the_file_tells_of_a_record_before_it_is_asked_for(stage: Stage) -> None:
    seen: list[list[str]] = []
    honest = stage.vendor.service.respond

    def respond(method: str, path: str, body: bytes = b"", authorization: str = "") -> Answer:
        if method == "POST":
            seen.append([record.state for record in load_canaries(stage.file).records])
        return honest(method, path, body, authorization)

    stage.vendor.service.respond = respond  # type: ignore[method-assign]
    stage.planted(times=1)
    assert seen == [["begun"], ["planted", "begun"]]


def test_a_reply_that_does_not_show_the_values_is_no_plant(stage: Stage) -> None:
    stage.vendor.after["GET"] = 200
    _, file, troubles = stage.planted(times=1)
    assert "does not show" in troubles[0]
    assert "lost" not in " ".join(troubles)
    assert file.records[0].read_us == ()


def test_no_value_and_no_token_in_messages_and_files_but_the_one(
    stage: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    stage.vendor.refuse["POST"] = 400  # echoes the body
    _, file, troubles = stage.planted(times=1)
    values = [value.value for record in file.records for value in record.values]
    assert len(values) == len(FIELDS)
    shown = " ".join(troubles) + repr(file) + repr(stage.front) + "".join(capsys.readouterr())
    assert not any(value in shown for value in (*values, TOKEN))
    for path in stage.home.rglob("*"):
        if path.is_file() and path != stage.file:
            content = path.read_bytes()
            assert not any(value.encode() in content for value in values), path.name


def test_ids_that_the_vendor_chooses_are_learned(stage: Stage) -> None:
    class Choosing:
        """Answers `POST /people` with an id of its own."""

        def __init__(self, service: Troubled) -> None:
            self.count = 0
            self.inner = service

        def respond(self, method: str, path: str, body: bytes = b"", authorization: str = "") -> Answer:
            if method != "POST":
                return self.inner.respond(method, path, body, authorization)
            self.count += 1
            self.inner.respond(method, f"{path}/made-{self.count}", body, authorization)
            return answer(201, {"data": {"id": f"made-{self.count}"}})

    create = {"method": "POST", "url": "", "body": json.dumps({name: f"${{{name}}}" for name in FIELDS})}
    plain = {"method": "POST", "url": "", "body": '{"name":"-"}'}
    with serve(Choosing(stage.vendor)) as url:
        create["url"] = plain["url"] = f"{url}/v1/contacts"
        plan, file, troubles = stage.planted(times=1, create=create, plain=plain, learn=[["id", "data.id"]])
        assert troubles == ()
        assert dict(file.records[0].row) == {"tenant": "acme", "id": "made-1"}
        assert remove(plan, stage.front(plan), stage.file, file).troubles == ()
    assert stage.store.list("acme") == ()


def test_a_front_door_in_the_clear_is_only_this_machine(stage: Stage) -> None:
    plan, _ = load_plan(stage.plan(read={"method": "GET", "url": "http://198.51.100.1/${id}"}))
    outside = Outside(lambda host, seconds: (host,), time.monotonic, {}, stage.home, HERE, stage.home)
    reply = Front(plan, outside).send(plan.read, {"id": "1"})
    assert "only an address of this machine" in repr(reply)


# The verbs, in this process: papers, signature, exit codes.

Papers = Mapping[str, Path]


def papers(stage: Stage, *techniques: str, subjects: str = "datasets", minutes: int = 30) -> Papers:
    signer = SigningKey.generate()
    der = load_pem_public_key(signer.public.to_pem()).public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    now = datetime.now(UTC)
    start, end = now - timedelta(hours=1), now + timedelta(minutes=minutes)
    written: dict[str, object] = {
        "profile": {
            "profile": "annex",
            "version": 1,
            "title": "Annex",
            "contract": {"ref": "Annex", "text_sha256": "0" * 64, "effective": "2026-01-01"},
            "approvers": [{"name": "Ada", "public_key": base64.b64encode(der).decode()}],
            "clauses": [
                {"id": "A", "text": "a", "ref": "1", "tier": "must-have", "requires": [{"planned": "words"}]},
            ],
        },
        "deployment": {
            "deployment": "crm",
            "vantages": [{"id": "office", "egress": "127.0.0.1"}],
            "datasets": [
                {
                    "id": "contacts",
                    "source": {"kind": "files", "files": ["export.ndjson"]},
                    "beside": ["app.log"],
                    "row": ["tenant", "id"],
                    "origin": {"made_by": "vendor", "method": "its export"},
                    "canaries": "canaries.json",
                }
            ],
        },
        "authorization": {
            "authorization": "plant",
            "deployment": "crm",
            "subjects": [subjects],
            "techniques": list(techniques),
            "sources": ["127.0.0.1/32"],
            "windows": [{"start": f"{start:%Y-%m-%dT%H:%M}", "end": f"{end:%Y-%m-%dT%H:%M}", "zone": "Etc/UTC"}],
            "stop_contacts": [{"name": "Ada", "reach": "here"}],
        },
    }
    paths = {}
    for name, content in written.items():
        paths[name] = stage.home / f"{name}.yaml"
        paths[name].write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    signature_path(paths["authorization"]).unlink(missing_ok=True)
    sign_file(paths["authorization"], signer, AUTHORIZATION_TYPE)
    return paths


def canary(stage: Stage, given: Papers, verb: str, *more: str) -> int:
    words = ["canary", verb, str(given["deployment"]), *more]
    if verb in ("plant", "remove"):
        words += ["--plan", str(stage.home / "plan.yaml"), "-c", str(stage.file)]
    if verb == "plant":
        words += ["-p", str(given["profile"]), "-a", str(given["authorization"])]
    return main(words)


def exported(stage: Stage, log: bytes = b"") -> None:
    with (stage.home / "export.ndjson").open("w", encoding="utf-8") as out:
        stage.store.export_ndjson("acme", out)
    (stage.home / "app.log").write_bytes(log)


def test_the_verbs_from_planting_to_removal(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    given = papers(stage, "canary-write")
    stage.plan()
    assert canary(stage, given, "plant", "-n", "2") == 0
    told = capsys.readouterr()
    assert "cost of encryption" in told.out
    exported(stage)
    assert canary(stage, given, "locate", "contacts", "-o", "json") == 0
    located = json.loads(capsys.readouterr().out)
    assert located["all_there"] is True
    assert len(located["canaries"]) == 2 * len(FIELDS)
    assert all(len(each["rows"]) == 1 and not each["clear"] for each in located["canaries"])
    assert canary(stage, given, "plant") == 2  # never over another file
    values = [value for each in load_canaries(stage.file).sought() for value in (each.value,)]
    mail = next(each.value for each in load_canaries(stage.file).sought() if each.of == "email")
    exported(
        stage, b"2026-11-22 INFO " + hashlib.sha256(mail.encode()).hexdigest().encode() + b" " * 70_000 + mail.encode()
    )
    capsys.readouterr()
    assert canary(stage, given, "locate", "contacts") == 3
    told = capsys.readouterr()
    assert "IN THE CLEAR as sha256-hex in file:app.log" in told.out
    assert "IN THE CLEAR as raw in file:app.log" in told.out
    assert canary(stage, given, "remove") == 0
    exported(stage)
    assert stage.store.list("acme") == ()
    assert not any(value in text for value in values for text in (told.out, told.err))


def test_an_export_without_the_rows_is_told(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    given = papers(stage, "canary-write")
    stage.plan()
    assert canary(stage, given, "plant", "-n", "1") == 0
    (stage.home / "export.ndjson").write_text('{"tenant":"acme","id":"other","email":"x"}\n')
    (stage.home / "app.log").write_text("")
    assert canary(stage, given, "locate", "contacts") == 3
    assert "its row is not in the export" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("techniques", "subjects", "minutes", "words"),
    [
        (("drill",), "datasets", 30, "canary-write is not among"),
        (("canary-write",), "endpoints", 30, "not among the authorized subjects"),
        (("canary-write",), "datasets", -30, "outside the authorized windows"),
    ],
)
def test_nothing_is_planted_without_an_authorization_that_covers_it(
    stage: Stage,
    capsys: pytest.CaptureFixture[str],
    techniques: tuple[str, ...],
    subjects: str,
    minutes: int,
    words: str,
) -> None:
    given = papers(stage, *techniques, subjects=subjects, minutes=minutes)
    stage.plan()
    assert canary(stage, given, "plant") == 2
    assert words in capsys.readouterr().err
    assert stage.vendor.asked == []
    assert not stage.file.exists()


def test_a_changed_authorization_and_another_plan_are_refused(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    given = papers(stage, "canary-write")
    stage.plan()
    given["authorization"].write_text(given["authorization"].read_text() + "# changed\n")
    assert canary(stage, given, "plant") == 2
    assert stage.vendor.asked == []
    stage.planted(times=1)
    stage.plan(gone=[200])
    asked = len(stage.vendor.asked)
    assert canary(stage, papers(stage, "canary-write"), "remove") == 2
    assert "changed since" in capsys.readouterr().err
    assert len(stage.vendor.asked) == asked
    stage.plan(canary_plan="other")
    assert canary(stage, papers(stage, "canary-write"), "remove", "--mended-plan") == 2
    assert len(stage.vendor.asked) == asked
    stage.plan(seconds="30")
    assert canary(stage, papers(stage, "canary-write"), "remove", "--mended-plan") == 0
    assert stage.store.list("acme") == ()


def test_an_interrupt_ends_planting_and_leaves_a_file_that_removes(stage: Stage) -> None:
    plan, data = load_plan(stage.plan())
    stop = threading.Event()
    honest = stage.vendor.service.respond

    def respond(method: str, path: str, body: bytes = b"", authorization: str = "") -> Answer:
        stop.set()
        return honest(method, path, body, authorization)

    stage.vendor.service.respond = respond  # type: ignore[method-assign]
    story = plant(
        plan, stage.front(plan), stage.file, deployment="crm", plan_bytes=data, times=5,
        clock=lambda: datetime.now(UTC), entropy=os.urandom, stopped=stop.is_set,
    )  # fmt: skip
    assert len(story.file.records) == 1
    assert "interrupted" in story.troubles[-1]
    assert remove(plan, stage.front(plan), stage.file, story.file).troubles == ()
    assert stage.store.list("acme") == ()


def test_records_are_planted_apart_by_chance(stage: Stage) -> None:
    plan, data = load_plan(stage.plan())
    waits: list[float] = []
    plant(
        plan, stage.front(plan), stage.file, deployment="crm", plan_bytes=data, times=4,
        clock=lambda: datetime.now(UTC), entropy=os.urandom, apart=30, wait=waits.append,
    )  # fmt: skip
    assert len(set(waits)) == 3
    assert all(30 <= each < 60 for each in waits)
