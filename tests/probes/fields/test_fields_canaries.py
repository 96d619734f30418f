"""The file of canaries and the values in it: like anybody's data, like nobody's else, and shown nowhere."""

from __future__ import annotations

import json
import os
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keycheck.errors import DeploymentError, ProbeError
from keycheck.model.verdict import Reason
from probes.fields.canaries import (
    CanaryFile,
    Record,
    Value,
    create_canaries,
    load_canaries,
    read_canaries,
    save_canaries,
)
from probes.fields.canary_plan import CanaryPlan, load_plan
from probes.fields.canary_values import Shape, make, record_id
from probes.fields.hunt.forms import detectors_for
from probes.fields.hunt.needles import Wanted, dictionary

NOW = datetime(2026, 11, 22, 10, 0, 0, tzinfo=UTC)
CLASSES = (
    "name",
    "email",
    "iban",
    "phone",
    "pan",
    "national-id",
    "date-of-birth",
    "address",
    "free-text",
    "secret",
    "tier",
)


def record(number: int, *, sealed: bool = True, state: str = "planted", write: int = 1000) -> Record:
    values = (Value(id=f"c{number}.mail", class_="email", column="email", value=f"some{number}one@mail.example"),)
    return Record.model_validate(
        {
            "id": f"c{number}",
            "sealed": sealed,
            "state": state,
            "row": [["id", f"row-{number}"]],
            "values": values if sealed else (),
            "began": NOW,
            "planted": NOW,
            "write_us": write,
            "read_us": [write, write + 2, write + 4],
        }
    )


def file(*records: Record) -> CanaryFile:
    return CanaryFile(deployment="crm", dataset="contacts", plan="p", plan_sha256="0" * 64, records=records)


@pytest.mark.parametrize("of", CLASSES)
@given(seed=st.binary(min_size=64, max_size=64))
def test_values_have_the_form_of_their_class_and_no_marker(of: str, seed: bytes) -> None:
    state = iter(seed * 40)
    value = make(of, Shape(), lambda count: bytes(next(state) for _ in range(count)))
    assert detectors_for(of)(value.encode()) in (True, None)
    assert not re.search("canary|keycheck", value, re.IGNORECASE)
    assert value.isprintable()


@pytest.mark.parametrize("of", CLASSES)
def test_values_differ_and_can_be_sought(of: str) -> None:
    made = {make(of, Shape(), os.urandom) for _ in range(20)}
    assert len(made) >= 19
    if of != "date-of-birth":
        assert dictionary([Wanted("canary", of, value.encode(), of) for value in made]).short == 0


def test_the_plan_chooses_domain_and_prefix() -> None:
    assert make("email", Shape(domain="ours.example"), os.urandom).endswith("@ours.example")
    assert re.fullmatch(r"\+3246[0-9]{9}", make("phone", Shape(prefix="+3246"), os.urandom))
    assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", record_id(os.urandom))


def test_a_file_comes_back_as_it_was_written_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "canaries.json"
    written = file(record(1), record(2, sealed=False), record(3, state="removed"))
    create_canaries(path, written)
    assert path.stat().st_mode & 0o777 == 0o600
    assert load_canaries(path) == written
    with pytest.raises(FileExistsError):
        create_canaries(path, written)
    save_canaries(path, file(record(1, state="removing")))
    assert path.stat().st_mode & 0o777 == 0o600
    (only,) = read_canaries(path)
    assert (only.id, only.of, only.column, only.row) == ("c1.mail", "email", "email", (("id", "row-1"),))
    assert only.value == "some1one@mail.example"
    assert list(tmp_path.iterdir()) == [path]


def test_no_value_in_reprs(tmp_path: Path) -> None:
    for shown in (repr(file(record(1))), str(record(1)), repr(file(record(1)).sought())):
        assert "some1one" not in shown


@pytest.mark.parametrize(
    ("content", "mode", "reason"),
    [
        (b"", 0o600, Reason.MALFORMED),
        (b"[" * 100_000, 0o600, Reason.MALFORMED),
        (b'{"canaries": "keycheck.dev/canaries/2"}', 0o600, Reason.MALFORMED),
        (b"\xff\xfe", 0o600, Reason.MALFORMED),
        (b" " * (5 << 20), 0o600, Reason.MALFORMED),
        (b"{}", 0o644, Reason.PERMISSION_DENIED),
        (None, 0o600, Reason.PERMISSION_DENIED),
    ],
)
def test_what_is_no_file_of_canaries_is_refused_in_words(
    tmp_path: Path, content: bytes | None, mode: int, reason: Reason
) -> None:
    path = tmp_path / "canaries.json"
    if content is not None:
        path.write_bytes(content)
        path.chmod(mode)
    with pytest.raises(ProbeError) as caught:
        read_canaries(path)
    assert caught.value.reason is reason


def test_a_refusal_never_repeats_a_value(tmp_path: Path) -> None:
    path = tmp_path / "canaries.json"
    stated = json.loads(file(record(1)).model_dump_json(by_alias=True))
    stated["records"][0]["values"][0]["class"] = "some1one@mail.example IS NO CLASS"
    path.touch(0o600)
    path.write_text(json.dumps(stated))
    with pytest.raises(ProbeError) as caught:
        load_canaries(path)
    assert "some1one" not in str(caught.value)
    assert "records.0" in str(caught.value)


def test_cost_is_the_difference_of_medians() -> None:
    planted = [record(n, write=1000 + n) for n in range(5)]
    plain = [record(10 + n, sealed=False, write=400 + n) for n in range(5)]
    cost = file(*planted, *plain).cost()
    assert cost is not None
    assert (cost.records, cost.write_sealed, cost.write_plain) == (5, 1002, 402)
    assert (cost.read_sealed, cost.read_plain) == (1004, 404)
    assert file(*planted).cost() is None


PLAN = """
canary_plan: crm
dataset: contacts
headers: [[Authorization, "env:TOKEN"]]
values:
  - {name: mail, class: email, column: email}
row: [[id, "${id}"]]
create: {method: POST, url: "https://crm.example/c/${id}", body: '{"email":"${mail}"}'}
read: {method: GET, url: "https://crm.example/c/${id}"}
delete: {method: DELETE, url: "https://crm.example/c/${id}"}
"""


def planned(tmp_path: Path, text: str = PLAN) -> CanaryPlan:
    path = tmp_path / "plan.yaml"
    path.write_text(text, encoding="utf-8")
    return load_plan(path)[0]


def test_placeholders_are_escaped_as_their_place_needs_it(tmp_path: Path) -> None:
    plan = planned(tmp_path)
    url, body = plan.create.filled({"id": "a/b?c#d é", "mail": 'x"\\\n${id}'})
    assert url == "https://crm.example/c/a%2Fb%3Fc%23d%20%C3%A9"
    assert json.loads(body) == {"email": 'x"\\\n${id}'}
    form = plan.create.model_copy(update={"content_type": "application/x-www-form-urlencoded", "body": "m=${mail}"})
    assert form.filled({"id": "1", "mail": "a&b=c"})[1] == b"m=a%26b%3Dc"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('https://crm.example/c/${id}", body', 'http://crm.example/c/${id}", body', "https"),
        ("${mail}", "${male}", "male"),
        ('"email":"${mail}"', '"email":"x"', "does not send"),
        ('[[id, "${id}"]]', '[[id, "${number}"]]', "number"),
        ("name: mail", "name: id", "name of its own"),
        ("read: {method: GET,", "read: {method: GET, body: x,", "GET"),
        ('"env:TOKEN"', '"Bearer abc"', "headers"),
        ("canary_plan: crm\n", "canary_plan: crm\nextra: 1\n", "extra"),
    ],
)
def test_a_plan_that_cannot_work_is_refused_before_anything_is_sent(
    tmp_path: Path, old: str, new: str, words: str
) -> None:
    assert old in PLAN
    with pytest.raises(DeploymentError, match=words):
        planned(tmp_path, PLAN.replace(old, new))
