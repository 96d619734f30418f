"""The rules of the house, held over the AST: who may import whom, what may be caught where, what stays light."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCES = sorted([*ROOT.glob("keycheck/**/*.py"), *ROOT.glob("probes/**/*.py"), *ROOT.glob("profiles/**/*.py")])
HEAVY = (
    "boto3", "botocore", "google", "grpc", "tink", "aws_encryption_sdk", "pyarrow", "polars", "numpy", "sslyze",
    "nassl", "sqlalchemy", "fastavro", "distributed", "OpenSSL", "rich", "dns", "maxminddb",
)  # fmt: skip
SHARED = ("clouds", "places", "weighing")
"""Packages beside the areas that several of them use."""
LAYERS = ("errors", "canonical", "model", "boundary", "registry", "plan")
"""What stands below the engine: never imports upwards."""
MAY_CATCH_EVERYTHING = {"keycheck/boundary.py", "keycheck/cli/root.py", "keycheck/executors.py"}
"""Around foreign code, around main(), and where an executor hands an exception to its future."""


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module or ""


def under(module: str, package: str) -> bool:
    return module == package or module.startswith(package + ".")


EDGES = [(module_of(path), imported) for path in SOURCES for imported in imports(path)]


def test_the_sources_were_found() -> None:
    assert len(SOURCES) > 80


def test_the_engine_never_imports_an_area() -> None:
    assert [edge for edge in EDGES if under(edge[0], "keycheck") and under(edge[1], "probes")] == []


def test_the_lab_and_the_probes_never_meet() -> None:
    assert [edge for edge in EDGES if under(edge[0], "probes") and under(edge[1], "keycheck.lab")] == []
    assert [edge for edge in EDGES if under(edge[0], "keycheck.lab") and under(edge[1], "probes")] == []


OFFERED = {
    "probes.fields.permissions",
    "probes.fields.subjects",
    "probes.fields.hunt.detectors",
    "probes.keys.drill.aws_calls",
    "probes.keys.drill.aws_log",
    "probes.keys.drill.gcp_calls",
    "probes.keys.drill.gcp_crc",
    "probes.keys.drill.gcp_log",
    "probes.keys.drill_facts",
    "probes.keys.permissions",
    "probes.keys.principals",
    "probes.keys.subjects",
    "probes.keys.timeline",
    "probes.residency.gcp.permissions",
    "probes.residency.permissions",
    "probes.residency.subjects",
    "probes.tls.chain",
    "probes.tls.chain_facts",
    "probes.tls.materials",
    "probes.tls.subjects",
    "probes.tls.wire",
}
"""What areas offer to the others besides their facts: how their subjects are declared, the calls that open, and the
handshakes: connections, what they need of files and the vantage, and whom a chain leads to."""


def test_areas_import_each_others_facts_and_what_is_offered_at_most() -> None:
    def area(module: str) -> str:
        return module.split(".")[1] if module.count(".") else ""

    among = [(a, b) for a, b in EDGES if under(a, "probes") and under(b, "probes") and not b.endswith(".facts")]
    strays = [(a, b) for a, b in among if area(b) not in ("", area(a), *SHARED)]
    offered = {(a, b) for a, b in strays if any(under(b, each) for each in OFFERED)}
    assert sorted({*strays} - offered) == []


def test_controls_never_load_network_code() -> None:
    touching = ("socket", "ssl", "selectors", "OpenSSL", "http", "urllib.request", "subprocess")
    code = (
        "import sys; import probes.tls.controls; "
        "print([m for m in ('OpenSSL', 'probes.tls.wire.transport', 'probes.tls.wire.handshake') if m in sys.modules])"
    )
    assert run_python(code) == "[]"
    code = (
        "import sys; import probes.keys.controls, probes.keys.facts, probes.fields.controls, probes.fields.subjects; "
        f"print(sorted({{m.split('.')[0] for m in sys.modules}} & set({HEAVY!r})), "
        "[m for m in sys.modules if m.startswith(('probes.keys.aws.', 'probes.keys.gcp.'))])"
    )
    assert run_python(code) == "[] []"
    strays = [(a, b) for a, b in EDGES if "control" in a and under(a, "probes") and b.split(".")[0] in touching]
    assert strays == []


def test_imports_point_down_to_the_model() -> None:
    low = [f"keycheck.{name}" for name in LAYERS]
    strays = []
    for a, b in EDGES:
        if not any(under(a, name) for name in low) or not under(b, "keycheck") or b == "keycheck":
            continue
        if not any(under(b, name) for name in low):
            strays.append((a, b))
    assert strays == []
    assert [(a, b) for a, b in EDGES if under(b, "keycheck.cli") and not under(a, "keycheck.cli")] == [
        ("keycheck.__main__", "keycheck.cli.root")
    ]


def test_model_and_judge_have_no_clock_no_network_no_environment() -> None:
    forbidden = ("os", "socket", "time", "random", "secrets", "subprocess", "pathlib", "requests")
    allowed = {  # types of parameters
        ("keycheck.model.probe", "time"),
        ("keycheck.model.probe", "pathlib"),
        ("keycheck.model.drill", "pathlib"),
    }
    strays = [
        (a, b)
        for a, b in EDGES
        if (under(a, "keycheck.model") or a in ("keycheck.judge", "keycheck.assess"))
        and b.split(".")[0] in forbidden
        and (a, b) not in allowed
    ]
    assert strays == []


def test_everything_is_caught_only_at_the_boundaries() -> None:
    places = set()
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ExceptHandler):
                caught = ast.unparse(node.type) if node.type else "everything"
                reraises = any(isinstance(inner, ast.Raise) and inner.exc is None for inner in ast.walk(node))
                broad = caught == "everything" or {"Exception", "BaseException"} & set(
                    caught.strip("()").replace(" ", "").split(",")
                )
                if broad and not reraises:
                    places.add(str(path.relative_to(ROOT)))
    assert places <= MAY_CATCH_EVERYTHING, places - MAY_CATCH_EVERYTHING


def test_sslyze_is_never_imported() -> None:
    assert [edge for edge in EDGES if edge[1].split(".")[0] in ("sslyze", "nassl")] == []


def run_python(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60, cwd=ROOT.parent
    )
    return done.stdout.strip()


@pytest.mark.parametrize("entry", ["import keycheck", "from keycheck.cli import root"])
def test_importing_keycheck_loads_nothing_heavy(entry: str) -> None:
    code = f"import sys; {entry}; print(sorted({{m.split('.')[0] for m in sys.modules}} & set({HEAVY!r})))"
    assert run_python(code) == "[]"


def test_help_loads_no_area_and_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from keycheck.cli.root import main\n"
        "main(['--help'])\n"
        f"print('LOADED', sorted({{m.split('.')[0] for m in sys.modules}} & {{*{HEAVY!r}, 'probes', 'cryptography'}}))"
    )
    assert run_python(code).splitlines()[-1] == "LOADED []"


def test_no_file_names_a_machine_path() -> None:
    files = subprocess.run(["git", "ls-files"], capture_output=True, text=True, check=False, cwd=ROOT)
    if files.returncode:
        pytest.skip("not a git checkout: nothing lists the files that are published")
    needles = ["/" + name + "/" for name in ("work", "farm", "root", "home")]
    hits = []
    for name in files.stdout.split("\n"):
        path = ROOT / name
        if not path.is_file() or path.suffix in (".png", ".zip"):
            continue
        text = path.read_text(errors="replace")
        hits += [(name, needle) for needle in needles if needle in text]
    assert hits == []
