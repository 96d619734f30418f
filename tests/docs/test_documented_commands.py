"""The commands in README.md and docs/ work as written, and show what the pages say they show.

Lines that begin with `$ ` in ```console blocks are run in order, page by page, in a directory of the page's own;
every other line of the block must be a line of that command's output (`…` stands for anything). Before a block:

    <!-- lab: honest -->      serve the practice vendor until the page ends, files in ./lab; or `<!-- lab: DEFECT … -->`
    <!-- expect: 3 -->        the exit code of the next command, default 0
    <!-- file: NAME -->       the next block is written to NAME; its dates, as of DATED, are moved to today
    <!-- not-run -->          the next block is for the reader's own network
"""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [page for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))) if page.is_file()]
DATED = date(2026, 11, 22)
PART = re.compile(r"^<!-- (lab|expect|file|not-run):? ?(.*?) -->$|^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")


class Page:
    """One page being acted out."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.env = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(home),
            "XDG_CONFIG_HOME": str(home / "config"),
            "NO_COLOR": "1",
        }
        self.lab: subprocess.Popen[str] | None = None

    def serve(self, defects: str) -> None:
        """`keycheck lab up --home lab`, ready when it has printed the command that checks it."""
        chosen = [f"--defect={name}" for name in defects.split() if name != "honest"]
        command = [sys.executable, "-m", "keycheck", "lab", "up", "--home", "lab", *chosen]
        self.lab = subprocess.Popen(
            command, cwd=self.home, env=self.env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert self.lab.stdout is not None
        assert self.lab.stdout.readline().startswith("keycheck run"), "the lab did not come up"

    def close(self) -> None:
        if self.lab is not None:
            self.lab.send_signal(signal.SIGTERM)
            self.lab.wait(10)

    def write(self, name: str, text: str) -> None:
        moved = datetime.now(UTC).date() - DATED
        text = re.sub(r"\b20\d\d-\d\d-\d\d\b", lambda m: str(date.fromisoformat(m[0]) + moved), text)
        (self.home / name).write_text(text, encoding="utf-8")

    def act(self, block: str, expect: int) -> None:
        steps = re.split(r"^\$ ", block, flags=re.MULTILINE)
        assert not steps[0].strip(), "a console block begins with a command"
        for step in steps[1:]:
            match = re.match(r"(?:.*\\\n)*.*\n", step)
            assert match is not None
            command, shown = match[0], step[match.end() :]
            done = subprocess.run(
                ["bash", "-c", command], cwd=self.home, env=self.env, capture_output=True, text=True, timeout=60
            )
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
    expect, file, run = 0, "", True
    for match in PART.finditer(path.read_text(encoding="utf-8")):
        match match[1], match[3]:
            case "lab", _:
                page.serve(match[2])
            case "expect", _:
                expect = int(match[2])
            case "file", _:
                file = match[2]
            case "not-run", _:
                run = False
            case _, kind:
                if file:
                    page.write(file, match[4])
                elif kind == "console" and run:
                    page.act(match[4], expect)
                expect, file, run = 0, "", True


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_links_between_the_pages_resolve(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for target in LINK.findall(re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)):
        if "://" in target or target.startswith("mailto:"):
            continue
        name, _, anchor = target.partition("#")
        there = (path.parent / name).resolve() if name else path
        assert there.exists(), f"{path.name}: {target}"
        if anchor:
            heads = re.findall(r"^#+ (.+)$", there.read_text(encoding="utf-8"), re.MULTILINE)
            slugs = {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}
            assert anchor in slugs, f"{path.name}: {target}"


def test_the_page_of_controls_is_what_the_controls_say() -> None:
    generator = [sys.executable, str(ROOT / "docs" / "generate_controls.py"), "--check"]
    done = subprocess.run(generator, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
