"""The command line as its users meet it: a separate process, real files, real TLS; stdout pure, exit codes meant."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from itertools import product
from pathlib import Path

import pytest
import yaml

from keycheck.cli.lazy import VERBS
from keycheck.lab.paperwork import Papers, write_papers
from keycheck.lab.world import SECTIONS, Lab

pytestmark = pytest.mark.slow

ENVIRONMENT = {**os.environ, "NO_COLOR": "1", "PYTHONDONTWRITEBYTECODE": "1"}
Done = subprocess.CompletedProcess[str]


DRILL_CONTROLS = tuple(f"keys.{name}@1" for name in ("revocation", "recovery", "availability-copy", "rotation"))
"""What only a drill can show."""


def keycheck(
    *arguments: str | Path, cwd: Path, home: Path | None = None, extra: Mapping[str, str] | None = None
) -> Done:
    environment = {**ENVIRONMENT, "XDG_CONFIG_HOME": str(home or cwd / "config"), **(extra or {})}
    return subprocess.run(
        [sys.executable, "-m", "keycheck", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        env=environment,
        timeout=120,
        check=False,
    )


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Papers]:
    with Lab(tmp_path_factory.mktemp("honest"), sections=SECTIONS) as lab:
        yield write_papers(lab, datetime.now(UTC), base="base-saas", names=("right",))


@pytest.fixture(scope="module")
def cheating(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Papers]:
    with Lab(tmp_path_factory.mktemp("cheating"), ["tls-1.2-accepted", "stalls@db"]) as lab:
        yield write_papers(lab, datetime.now(UTC), base="base-saas", names=("right",))


def run(papers: Papers, cwd: Path, *more: str | Path) -> Done:
    return keycheck(
        "run", papers.deployment, "-p", papers.profile, "-a", papers.authorization, "-k", papers.signer, *more, cwd=cwd
    )


def bundle_of(done: Done, cwd: Path) -> Path:
    found = re.search(r"^bundle: (.+)$", done.stderr, re.MULTILINE)
    assert found, done.stderr
    return cwd / found[1]


def test_help_names_every_verb_and_the_exit_codes(tmp_path: Path) -> None:
    done = keycheck("--help", cwd=tmp_path)
    assert done.returncode == 0
    for verb in (*VERBS, "tls"):
        assert re.search(rf"^  {verb} ", done.stdout, re.MULTILINE), verb
    assert "5 evidence does" in done.stdout


def test_version_and_python_dash_m(tmp_path: Path) -> None:
    assert keycheck("--version", cwd=tmp_path).stdout.startswith("keycheck 0.")


def test_a_file_in_the_working_directory_cannot_stand_in_for_a_module(tmp_path: Path) -> None:
    (tmp_path / "yaml.py").write_text("raise SystemExit('hijacked')")
    (tmp_path / "typer.py").write_text("raise SystemExit('hijacked')")
    assert keycheck("profile", "list", cwd=tmp_path).returncode == 0


def test_the_honest_vendor_is_incomplete_only_for_what_is_planned(honest: Papers, tmp_path: Path) -> None:
    done = run(honest, tmp_path, "-o", "json", "-o", "table=seen.txt")
    assert done.returncode == 3, done.stderr
    told = json.loads(done.stdout)
    drilled = {*DRILL_CONTROLS, "fields.revoked@1"}
    drills = {f["verdict"] for f in told["findings"] if f["control"] in drilled}
    assert drills == {"not-tested"}  # nobody asked for one
    looks = [f for f in told["findings"] if f["control"] not in {"planned", *drilled}]
    unnamed = [f for f in looks if f["verdict"] == "not-tested"]  # stores and models are served apart: `--section`
    assert {f["control"].partition(".")[0] for f in unnamed} == {"stores"}
    assert {reason for f in unnamed for reason in f["reasons"]} == {"no-subject"}
    assert {f["verdict"] for f in looks} - {"not-tested"} == {"pass", "not-applicable"}
    assert {f["verdict"] for f in told["findings"] if f["control"] == "planned"} == {"not-tested"}
    assert "never exercised against a real AWS" in (tmp_path / "seen.txt").read_text()
    assert told["exit_code"] == 3
    assert (tmp_path / "seen.txt").read_text().splitlines()[-1].startswith("INCONCLUSIVE")
    assert "subjects" in done.stderr
    assert "\x1b" not in done.stderr
    verified = keycheck("verify", bundle_of(done, tmp_path), "-k", f"{honest.signer}.pub", cwd=tmp_path)
    assert verified.returncode == 0
    assert "No independent timestamp" in verified.stdout
    again = keycheck("judge", bundle_of(done, tmp_path), "-k", f"{honest.signer}.pub", "-o", "json", cwd=tmp_path)
    assert again.stdout == done.stdout
    assert again.returncode == 3


def test_the_cheating_vendor_fails_and_a_hanging_endpoint_stops_nothing(cheating: Papers, tmp_path: Path) -> None:
    done = run(cheating, tmp_path)
    assert done.returncode == 1, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    verdicts = {(line[2], line[3]): line[0] for line in lines if len(line) > 3 and line[2].startswith("tls.")}
    assert verdicts["tls.protocols@1", "endpoints/api"] == "fail"
    assert verdicts["tls.protocols@1", "endpoints/db"] == "inconclusive"
    assert verdicts["tls.protocols@1", "endpoints/portal"] == "pass"
    assert "TLSv1.2" in done.stdout


def test_without_an_authorization_nothing_beyond_an_ordinary_handshake_is_done(honest: Papers, tmp_path: Path) -> None:
    done = keycheck("run", honest.deployment, "-p", honest.profile, "-k", honest.signer, "-o", "json", cwd=tmp_path)
    told = {(f["control"], f["subject"]): f for f in json.loads(done.stdout)["findings"]}
    assert told["tls.protocols@1", "endpoints/api"]["reasons"] == ["not-authorized"]
    assert told["tls.certificate@1", "endpoints/api"]["verdict"] == "pass"
    assert done.returncode == 3


def test_a_plan_touches_nothing(honest: Papers, tmp_path: Path) -> None:
    down = yaml.safe_load(honest.deployment.read_text())
    for endpoint in down["endpoints"]:
        endpoint["url"] = endpoint["url"].replace("crm.example", "keycheck-nowhere.invalid")
        del endpoint["addresses"]
    (tmp_path / "d.yaml").write_text(yaml.safe_dump(down))
    done = keycheck("plan", "d.yaml", "-p", honest.profile, "-o", "json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["schema"] == "keycheck.dev/plan/1"
    assert {touch["subject"] for touch in told["touches"]} >= {"endpoints/api", "endpoints/db"}
    changing = [touch for touch in told["touches"] if touch["changes"]]
    drilled = ("keys/contacts", "keys/contacts-g")
    techniques = ("drill", "rotate-canary")
    assert {(touch["subject"], touch["technique"]) for touch in changing} == set(product(drilled, techniques))
    assert all(f"not-authorized: needs {touch['technique']}" in touch["note"] for touch in changing)
    assert any("not-authorized" in touch["note"] for touch in told["touches"])
    assert list(tmp_path.iterdir()) == [tmp_path / "d.yaml"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_cleanly_with_what_was_seen(number: signal.Signals, cheating: Papers, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "keycheck", "run", str(cheating.deployment), "-p", str(cheating.profile)]
    process = subprocess.Popen(
        [*command, "-a", str(cheating.authorization), "-k", str(cheating.signer), "-o", "json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env=ENVIRONMENT,
    )
    assert process.stderr is not None
    while not process.stderr.readline().startswith("observing"):  # under load it takes a while to get there
        assert process.poll() is None
    time.sleep(1.0)
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=30)
    assert process.returncode == 130, stderr
    told = json.loads(stdout)
    assert any("interrupted" in finding["reasons"] for finding in told["findings"])
    bundle = next((tmp_path / "keycheck-runs").glob("*.zip"))
    assert keycheck("verify", bundle, "-k", f"{cheating.signer}.pub", cwd=tmp_path).returncode == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["run"], "Missing argument"),
        (["run", "d.yaml"], "--profile"),
        (["nonsense"], "nonsense"),
        (["run", "missing.yaml", "-p", "base-saas", "-k", "KEY"], "missing.yaml"),
        (["run", "d.yaml", "-p", "bass-saas", "-k", "KEY"], "base-saas"),
        (["run", "d.yaml", "-p", "eu-sovereign-crm", "-k", "KEY", "-o", "yaml"], "unknown format"),
        (["run", "d.yaml", "-p", "eu-sovereign-crm", "-k", "KEY", "-o", "json", "-o", "table"], "two outputs"),
        (["run", "d.yaml", "-p", "eu-sovereign-crm", "-k", "KEY", "--as-of", "yesterday"], "--as-of"),
        (["run", "d.yaml", "-p", "eu-sovereign-crm", "-k", "KEY", "--fail-on", "must-have"], "nice-to-have"),
        (["run", "d.yaml", "-p", "eu-sovereign-crm"], "keycheck key new"),
        (["run", "bad.yaml", "-p", "eu-sovereign-crm", "-k", "KEY"], r"bad\.yaml:3:\d+"),
        (["control", "explain", "tls.protocol"], "tls.protocols"),
        (["lab", "matrix", "tls-1.2-acepted"], "tls-1.2-accepted"),
        (["sign", "d.yaml", "-k", "KEY"], "neither a waiver nor an authorization"),
        (["verify", "no-such.zip", "-k", "KEY.pub"], "no-such.zip"),
    ],
)
def test_wrong_usage_exits_2_with_one_message_and_the_mend(arguments: list[str], says: str, tmp_path: Path) -> None:
    assert keycheck("key", "new", "KEY", cwd=tmp_path).returncode == 0
    (tmp_path / "d.yaml").write_text("deployment: d\nendpoints: [{id: a, url: 'https://a.invalid'}]\n")
    (tmp_path / "bad.yaml").write_text("deployment: d\nendpoints:\n  - {id: a, ulr: 'https://a.invalid'}\n")
    done = keycheck(*arguments, cwd=tmp_path)
    assert done.returncode == 2, (done.returncode, done.stderr)
    assert re.search(says, done.stderr), done.stderr
    assert "→" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert not (tmp_path / "keycheck-runs").exists()


def test_every_changed_bundle_exits_5_and_writes_nothing(honest: Papers, tmp_path: Path) -> None:
    done = run(honest, tmp_path, "--only", "endpoints/portal")
    bundle = bundle_of(done, tmp_path)
    good = bundle.read_bytes()
    before = sorted(path.name for path in tmp_path.rglob("*"))
    changes = {
        "flipped": good[: len(good) // 2] + bytes([good[len(good) // 2] ^ 1]) + good[len(good) // 2 + 1 :],
        "truncated": good[:-100],
        "empty": b"",
        "appended": good + b"\0",
        "no zip": b"PK\x03\x04" + os.urandom(500),
    }
    for what, damaged in changes.items():
        bundle.write_bytes(damaged)
        for verb in ("verify", "judge"):
            done = keycheck(verb, bundle, "-k", f"{honest.signer}.pub", cwd=tmp_path)
            assert done.returncode == 5, (what, verb, done.stderr)
            assert "Traceback" not in done.stderr
            assert done.stdout == ""
    bundle.write_bytes(good)
    assert sorted(path.name for path in tmp_path.rglob("*")) == before
    assert keycheck("key", "new", "stranger", cwd=tmp_path).returncode == 0
    assert keycheck("verify", bundle, "-k", "stranger.pub", cwd=tmp_path).returncode == 5


def test_keys_are_private_and_never_overwritten(tmp_path: Path) -> None:
    made = keycheck("key", "new", "k.pem", "--kind", "p256", cwd=tmp_path)
    assert made.returncode == 0
    assert (tmp_path / "k.pem").stat().st_mode & 0o777 == 0o600
    before = (tmp_path / "k.pem").read_bytes()
    assert keycheck("key", "new", "k.pem", cwd=tmp_path).returncode != 0
    assert (tmp_path / "k.pem").read_bytes() == before
    secret = {"KC_PASS": "correct horse"}
    assert keycheck("key", "new", "s.pem", "--passphrase", "env:KC_PASS", cwd=tmp_path, extra=secret).returncode == 0
    assert b"ENCRYPTED" in (tmp_path / "s.pem").read_bytes()
    assert "correct horse" not in made.stdout + made.stderr


def test_from_init_to_a_verdict_with_nothing_but_the_printed_steps(tmp_path: Path) -> None:
    """The whole way of a new user, up to a run on a host that does not exist: incomplete, never met."""
    done = keycheck(
        *("init", ".", "--name", "acme", "--url", "https://api.keycheck-nowhere.invalid", "--place", "here"),
        *("--egress", "127.0.0.1", "--contact", "Desk", "--reach", "bell"),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert keycheck("key", "new", cwd=tmp_path).returncode == 0
    shown = keycheck("key", "show", cwd=tmp_path).stdout
    line = next(line for line in shown.splitlines() if line.startswith("public_key:"))
    assert keycheck("profile", "new", "acme-contract", "--extends", "eu-sovereign-crm", cwd=tmp_path).returncode == 0
    profile = tmp_path / "acme-contract.yaml"
    profile.write_text(profile.read_text() + f'\napprovers:\n  - name: "Desk"\n    {line}\n')
    linted = keycheck("profile", "lint", profile, cwd=tmp_path)
    assert linted.returncode == 0, linted.stderr
    assert keycheck("sign", "authorization.yaml", cwd=tmp_path).returncode == 0
    ran = keycheck("run", "deployment.yaml", "-p", profile, "-a", "authorization.yaml", "-o", "json", cwd=tmp_path)
    assert ran.returncode == 3, ran.stderr
    findings = [f for f in json.loads(ran.stdout)["findings"] if f["control"] != "planned"]
    assert findings
    assert {f["verdict"] for f in findings if f["control"].startswith("tls.")} == {"inconclusive"}
    assert {f["verdict"] for f in findings if f["control"].startswith("keys.")} == {"not-tested"}  # none is declared
    assert keycheck("verify", bundle_of(ran, tmp_path), cwd=tmp_path).returncode == 0
    refused = keycheck("init", ".", "--name", "acme", cwd=tmp_path)
    assert refused.returncode == 2


@pytest.mark.parametrize("kind", ["profile", "deployment", "waiver", "authorization", "assessment"])
def test_schemas_are_json_schemas(kind: str, tmp_path: Path) -> None:
    told = json.loads(keycheck("schema", kind, cwd=tmp_path).stdout)
    assert told["$schema"].endswith("2020-12/schema")


def test_the_assessment_validates_against_its_published_schema(honest: Papers, tmp_path: Path) -> None:
    import jsonschema

    schema = json.loads(keycheck("schema", "assessment", cwd=tmp_path).stdout)
    told = json.loads(run(honest, tmp_path, "-o", "json", "--only", "endpoints/portal").stdout)
    jsonschema.validate(told, schema)


def test_every_control_explains_itself(tmp_path: Path) -> None:
    listed = keycheck("control", "list", cwd=tmp_path)
    assert listed.returncode == 0
    ids = [line.split("@")[0] for line in listed.stdout.splitlines()]
    assert len(ids) >= 12
    for control in ids:
        text = keycheck("control", "explain", control, cwd=tmp_path).stdout
        for heading in ("Proves", "Does not prove", "Parameters", "Example", "Sources"):
            assert f"\n{heading}\n" in text, (control, heading)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shell_completion_completes_verbs(shell: str, tmp_path: Path) -> None:
    words = {"bash": ("keycheck ju", "1"), "zsh": ("keycheck ju", ""), "fish": ("keycheck ju", "ju")}[shell]
    extra = {
        "_KEYCHECK_COMPLETE": f"complete_{shell}",
        "COMP_WORDS": words[0],
        "COMP_CWORD": words[1],
        "_TYPER_COMPLETE_ARGS": words[0],
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
    }
    done = keycheck(cwd=tmp_path, extra=extra)
    assert "judge" in done.stdout, (done.stdout, done.stderr)


def test_an_ambient_openssl_configuration_is_neutralised_and_recorded(honest: Papers, tmp_path: Path) -> None:
    conf = tmp_path / "openssl.cnf"
    conf.write_text("openssl_conf = d\n[d]\nssl_conf = s\n[s]\nsystem_default = x\n[x]\nGroups = secp384r1\n")
    arguments = ["run", honest.deployment, "-p", honest.profile, "-a", honest.authorization, "-k", honest.signer]
    done = keycheck(*arguments, "-o", "json", cwd=tmp_path, extra={"OPENSSL_CONF": str(conf)})
    groups = [f for f in json.loads(done.stdout)["findings"] if f["control"].startswith("tls.groups")]
    assert {f["verdict"] for f in groups} == {"pass"}
    assert any("X25519MLKEM768" in f["message"] for f in groups)
    import zipfile

    with zipfile.ZipFile(bundle_of(done, tmp_path)) as bundle:
        start = json.loads(bundle.read("run-start.json"))
    assert [variable["name"] for variable in start["environment"]] == ["OPENSSL_CONF"]


def test_a_verb_that_gives_no_exit_code_is_not_taken_for_success(monkeypatch: pytest.MonkeyPatch) -> None:
    import typer

    from keycheck.cli import lazy
    from keycheck.cli.root import main

    silent = typer.Typer()

    @silent.command()
    def nothing() -> None:
        """Says nothing."""

    module = type(sys)("silent_verb")
    module.app = silent  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "silent_verb", module)
    monkeypatch.setattr(lazy, "VERBS", {"silent": lazy.Verb("silent_verb", "Says nothing.")})
    assert main(["silent"]) == 4
