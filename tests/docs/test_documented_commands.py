"""The commands in README.md and docs/ work as written, and show what the pages say they show.

Lines that begin with `$ ` in ```console blocks are run in order, page by page, in a directory of the page's own;
every other line of the block must be a line of that command's output (`…` stands for anything). Before a block:

    <!-- lab: honest -->       serve the practice vendor until the page ends, files in ./lab; or `lab: DEFECT …`
    <!-- expect: 3 -->         the exit code of the next command, default 0
    <!-- file: NAME -->        the next block is written to NAME; its dates, as of DATED, are moved to today
    <!-- needs: jq openssl --> the next block is left out where a program is missing
    <!-- not-run -->           the next block is for the reader's own network
"""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
PAGES = [page for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))) if page.is_file()]
DATED = date(2026, 11, 22)
MARK = r"^<!-- (lab|expect|file|needs|not-run)(?:: ([^\n]+))? -->$"
PART = re.compile(MARK + r"|^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
STEP = re.compile(r"^\$ ((?:[^\n]*\\\n)*[^\n]*\n)((?:(?!\$ )[^\n]*\n)*)", re.MULTILINE)
LINK = re.compile(r"(?<!!)\[[^\]]*\]\((?!\w+:)([^)#\s]*)#?([^)\s]*)\)")


run = partial(subprocess.run, check=False, capture_output=True, text=True, timeout=60)


class Page:
    """One page being acted out."""

    def __init__(self, home: Path) -> None:
        self.home = home
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        own = {"PATH": path, "HOME": str(home), "XDG_CONFIG_HOME": str(home / "config"), "NO_COLOR": "1"}
        self.env = {**os.environ, **own}
        self.lab: subprocess.Popen[str] | None = None

    def serve(self, defects: str) -> None:
        """`keycheck lab up --home lab`, ready when it has printed the command that checks it."""
        chosen = [f"--defect={name}" for name in defects.split() if name != "honest"]
        command = [sys.executable, "-m", "keycheck", "lab", "up", "--home", "lab", *chosen]
        out, err = subprocess.PIPE, subprocess.DEVNULL
        self.lab = subprocess.Popen(command, cwd=self.home, env=self.env, stdout=out, stderr=err, text=True)
        assert self.lab.stdout is not None
        assert self.lab.stdout.readline().startswith("keycheck run"), "the lab did not come up"

    def close(self) -> None:
        if self.lab is not None:
            self.lab.send_signal(signal.SIGTERM)
            self.lab.communicate(timeout=10)

    def write(self, name: str, text: str) -> None:
        moved = datetime.now(UTC).date() - DATED
        text = re.sub(r"\b20\d\d-\d\d-\d\d\b", lambda found: str(date.fromisoformat(found[0]) + moved), text)
        (self.home / name).write_text(text, encoding="utf-8")

    def act(self, block: str, expect: int) -> None:
        for command, shown in STEP.findall(block):
            done = run(["bash", "-c", command], cwd=self.home, env=self.env)
            said = f"$ {command}{done.stdout}{done.stderr}"
            assert done.returncode == expect, f"exit {done.returncode}, not {expect}:\n{said}"
            expect = 0
            lines = {" ".join(line.split()) for line in said.splitlines()}
            for line in filter(None, (" ".join(line.split()) for line in shown.splitlines())):
                pattern = re.compile(".*".join(re.escape(piece.strip()) for piece in line.split("…")))
                assert any(map(pattern.fullmatch, lines)), f"not in the output: {line}\n{said}"


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Page]:
    acting = Page(tmp_path)
    yield acting
    acting.close()


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_the_commands_of_a_page_work_as_written(path: Path, page: Page) -> None:
    marks: dict[str, str] = {}
    for mark, value, kind, block in PART.findall(path.read_text(encoding="utf-8")):
        if mark == "lab":
            page.serve(value)
        elif mark:
            marks[mark] = value
        else:
            there = all(map(shutil.which, marks.get("needs", "").split()))
            if name := marks.get("file"):
                page.write(name, block)
            elif kind == "console" and there and "not-run" not in marks:
                page.act(block, int(marks.get("expect", 0)))
            marks = {}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_links_between_the_pages_resolve(path: Path) -> None:
    for name, anchor in LINK.findall(PART.sub("", path.read_text(encoding="utf-8"))):
        there = path.parent / name if name else path
        assert there.exists(), f"{path.name}: {name}"
        if anchor:
            heads = re.findall(r"^#+ (.+)$", there.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}, anchor


def test_the_page_of_controls_is_what_the_controls_say() -> None:
    generator = [sys.executable, str(ROOT / "docs" / "generate_controls.py"), "--check"]
    done = run(generator)
    assert done.returncode == 0, done.stderr
