"""Nothing secret is written by a drill: secrets are planted in every input, things go wrong at several points, and
everything that was written anywhere is searched."""

from __future__ import annotations

import base64
import json
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest
import yaml
from drill_stage import Stage
from secrets_hunt import credentials, leaked, materials, spellings, written_under

from keycheck.lab.aws.faults import Damage
from keycheck.lab.crm.traffic import contact
from keycheck.lab.crm.vendor import TENANT
from keycheck.lab.world import DRILLS, Lab

pytestmark = pytest.mark.slow

SESSION = "IQoJb3JpZ2luX2Vj" + "Zm9v" * 60
SIGNATURE = "5ca1ab1e" * 8
ECHO = (
    f"denied to AWS4-HMAC-SHA256 Credential=ASIAQWERTYUIOPASDFGH/20261122/eu-central-1/kms/aws4_request, "
    f"Signature={SIGNATURE}\nx-amz-security-token: {SESSION}"
)
"""A hostile endpoint sees our headers, and may say them back."""
WITNESS = "witness-header-5ecre7-" + "9d" * 20
ESCROW = b"\x8f\x01escrow\xfe\x00material\x7f of the customer!!"
PLANTED = frozenset({SESSION.encode(), SIGNATURE.encode(), WITNESS.encode(), ESCROW})


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with Lab(tmp_path / "lab", sections=frozenset({"keys", DRILLS})) as lab:
        yield Stage(lab, tmp_path)


def plant(stage: Stage) -> None:
    """Secrets in inputs that no other test gives: a witness's own header, and an escrow that is not even used."""
    home = stage.papers.deployment.parent
    (home / "witness-header").write_text(WITNESS)
    (home / "escrow.bin").write_bytes(ESCROW)
    material = {"material": "ab" * 32, "local": "escrow.bin"}
    stage.amend(lambda key: key["drill"].update(escrow=[material]))
    stated = yaml.safe_load(stage.papers.deployment.read_text("utf-8"))
    for witness in stated["witnesses"]:
        witness["headers"].append(["X-Practice", "file:witness-header"])
    stage.papers.deployment.write_text(yaml.safe_dump(stated, sort_keys=False), encoding="utf-8")


def customers_records(stage: Stage) -> set[bytes]:
    """What the vendor's replies and the log's contexts hold besides the words that the deployment itself declares."""
    assert stage.lab.canaries is not None
    declared = unquote(stage.papers.deployment.read_text("utf-8"))
    others = [contact(number, TENANT) for number in range(1, 4)]
    texts = {each.email for each in stage.lab.canaries.all} | {text for each in others for text in (each.id, each.iban)}
    found = {text.encode() for text in (*texts, "+32 2 555 00 00") if text not in declared}
    assert len(found) > 10
    return found


def searched(stage: Stage) -> tuple[bytes, str]:
    """Everything that one whole drill writes and says, and the phases of its journals."""
    done = stage.run()
    status = stage.keycheck("drill", "status", "--json")
    recovered = stage.keycheck("drill", "recover")
    said = "".join(each.stdout + each.stderr for each in (done, status, recovered)).encode()
    written = said + written_under(stage.home / "runs", stage.home / "state")
    assert b"run-start" in written
    assert b"Traceback" not in said
    return written, status.stdout


def secrets(stage: Stage) -> set[bytes]:
    return {*materials(stage.lab), *credentials(stage.lab), *PLANTED, *customers_records(stage)}


def test_the_hunt_finds_what_is_there(stage: Stage, tmp_path: Path) -> None:
    for number, spelt in enumerate(sorted(spellings(ESCROW))):
        with zipfile.ZipFile(tmp_path / "inner.zip", "w") as inner:
            inner.writestr("blob", b"x" * number + spelt)
        (tmp_path / "place").mkdir(exist_ok=True)
        with zipfile.ZipFile(tmp_path / "place" / "outer.zip", "w") as outer:
            outer.write(tmp_path / "inner.zip", "inner.zip")
        assert leaked([ESCROW], written_under(tmp_path / "place")) == [ESCROW[:8]]
    for shift in range(4):
        assert leaked([ESCROW], base64.b64encode(b"y" * shift + ESCROW + b"zz")) == [ESCROW[:8]]


def test_a_whole_drill_writes_no_secret(stage: Stage) -> None:
    plant(stage)
    written, phases = searched(stage)
    assert '"closed"' in phases
    assert b"caused" in written
    assert leaked(secrets(stage), written) == []


def denied(stage: Stage) -> None:
    faults(stage).fail("PutKeyPolicy", "AccessDeniedException", ECHO)


def denied_undo(stage: Stage) -> None:
    """The second undo that the journal knows of is denied twice, with our own headers in the message."""
    faults(stage).fail("PutKeyPolicy", "AccessDeniedException", ECHO, after=3, times=2)


def unreachable(stage: Stage) -> None:
    faults(stage).damage("Decrypt", Damage.RESET, after=6, times=6)


def malformed(stage: Stage) -> None:
    faults(stage).damage("GetKeyPolicy", Damage.GARBAGE, after=4, times=2)


def unreadable_log(stage: Stage) -> None:
    faults(stage).fail("LookupEvents", "InternalFailure", ECHO, status=500)


def faults(stage: Stage):  # type: ignore[no-untyped-def]
    assert stage.lab.clouds is not None
    return stage.lab.clouds.aws.cloud.faults


@pytest.mark.parametrize(
    ("trouble", "shows"),
    [
        (denied, b"permission-denied"),
        (denied_undo, b"the undo was not accepted"),
        (unreachable, b"unavailable"),
        (malformed, b"malformed"),
        (unreadable_log, b"unreachable"),
    ],
)
def test_a_drill_in_trouble_writes_no_secret(stage: Stage, trouble: Callable[[Stage], None], shows: bytes) -> None:
    plant(stage)
    before = json.loads(stage.policy())
    trouble(stage)
    written, _ = searched(stage)
    assert shows in written
    assert leaked(secrets(stage), written) == []
    assert json.loads(stage.policy()) == before
