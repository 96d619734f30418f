"""What a revoke drill says of input with which it cannot be done: a clear reason, before anything is changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
import yaml
from drill_stage import Stage, findings

from keycheck.lab.aws.faults import Faults
from keycheck.lab.world import DRILLS, Lab

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    home = tmp_path_factory.mktemp("bad")
    with Lab(home / "lab", ["no-cache"], sections=frozenset({"keys", DRILLS})) as lab:
        yield Stage(lab, home)


@pytest.fixture
def stage(shared: Stage) -> Iterator[Stage]:
    kept = shared.papers.deployment.read_bytes()
    assert shared.lab.clouds is not None
    yield shared
    shared.papers.deployment.write_bytes(kept)
    faults = shared.lab.clouds.aws.cloud.faults
    faults.skew = timedelta(0)
    faults.clear()


def resource(change: Callable[[str], str]) -> Callable[[dict[str, Any]], None]:
    def amend(stated: dict[str, Any]) -> None:
        key = key_in(stated)
        key["resource"] = change(key["resource"])

    return amend


def key_in(stated: dict[str, Any]) -> dict[str, Any]:
    return next(key for key in stated["keys"] if key["id"] == "contacts")  # type: ignore[no-any-return]


def identity(id: str, **changes: object) -> Callable[[dict[str, Any]], None]:
    return lambda stated: next(each for each in stated["identities"] if each["id"] == id).update(changes)


def witness(id: str, **changes: object) -> Callable[[dict[str, Any]], None]:
    return lambda stated: next(each for each in stated["witnesses"] if each["id"] == id).update(changes)


@pytest.mark.parametrize(
    ("amend", "reasons", "says"),
    [
        (resource(lambda arn: arn[:-12] + "0" * 12), {"unreachable", "permission-denied"}, ""),
        (resource(lambda arn: arn.rpartition(":")[0] + ":alias/none"), {"unreachable", "permission-denied"}, ""),
        (resource(lambda arn: arn.replace("eu-central-1", "eu-west-3")), {"unreachable", "permission-denied"}, ""),
        (resource(lambda arn: arn.replace("111122223333", "999988887777")), {"unreachable", "permission-denied"}, ""),
        (identity("drill", external_id="env:NOT_SET"), {"permission-denied"}, ""),
        (identity("control", profile="nobody"), {"permission-denied"}, "nobody"),
        (
            identity("restore", role_arn="arn:aws:iam::111122223333:role/none"),
            {"permission-denied"},
            "",
        ),
        (witness("vendor-warm", readable="never said"), {"no-positive"}, "vendor-warm"),
        (witness("vendor-control", url="http://127.0.0.1:9/"), {"no-positive"}, "vendor-control"),
        (
            lambda stated: key_in(stated)["drill"].update(hold="PT2S"),
            {"unsupported"},
            "nothing could be shown",
        ),
    ],
    ids=[
        "no-such-key", "no-such-alias", "wrong-region", "wrong-account", "no-secret", "no-such-profile", "no-such-role",
        "witness-never-read", "witness-unreachable", "too-short",
    ],
)  # fmt: skip
def test_what_cannot_work_is_said_before_anything_is_changed(
    stage: Stage, amend: Callable[[dict[str, Any]], None], reasons: set[str], says: str
) -> None:
    stated = yaml.safe_load(stage.papers.deployment.read_text("utf-8"))
    amend(stated)
    stage.papers.deployment.write_text(yaml.safe_dump(stated, sort_keys=False), encoding="utf-8")
    refused(stage, reasons, says)


@pytest.mark.parametrize(
    ("trouble", "reasons", "says"),
    [
        (lambda faults: faults.fail("GetKeyPolicy", "AccessDeniedException"), {"permission-denied"}, "GetKeyPolicy"),
        (lambda faults: faults.fail("LookupEvents", "ThrottlingException"), {"throttled", "not-covered"}, ""),
        (lambda faults: setattr(faults, "skew", timedelta(minutes=20)), {"clock-untrusted", "permission-denied"}, ""),
    ],
    ids=["denied", "throttled", "clock"],
)
def test_a_cloud_in_trouble_is_left_alone(
    stage: Stage, trouble: Callable[[Faults], None], reasons: set[str], says: str
) -> None:
    assert stage.lab.clouds is not None
    trouble(stage.lab.clouds.aws.cloud.faults)
    refused(stage, reasons, says)


def refused(stage: Stage, reasons: set[str], says: str) -> None:
    before = stage.policy()
    done = stage.run()
    found = findings(done)["keys.revocation"]
    assert found["verdict"] == "inconclusive", found
    assert set(found["reasons"]) <= reasons, found
    assert says in found["message"], found
    assert done.returncode == 3, done.stderr
    assert stage.policy() == before
    assert not list((stage.home / "state").rglob("journal.jsonl")), "nothing was even planned"


def test_the_lab_itself_is_fit_for_a_drill(stage: Stage) -> None:
    """Otherwise every refusal above would be for another reason."""
    done = stage.run("--dry-run")
    assert "nothing speaks against the drill" in done.stderr
