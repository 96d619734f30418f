"""Writes docs/controls.md from what the installed controls say of themselves.

python docs/generate_controls.py           write the page
python docs/generate_controls.py --check   exit 1 when the page is not what would be written
"""

from __future__ import annotations

import io
import sys
from contextlib import redirect_stdout
from pathlib import Path

from keycheck.cli.root import main
from keycheck.registry import load_registry

PAGE = Path(__file__).with_name("controls.md")
HEAD = """\
# Controls

A control is a named, versioned, pure rule: facts in, verdict and reasons out. It has no clock, no network and no
environment. A profile demands it as `id@version` (see [profiles.md](profiles.md)). Released versions are never deleted.

This page is written by `docs/generate_controls.py` from the controls themselves, and a test holds it to them. The same
text comes from the command line:

```console
$ keycheck control explain tls.protocols
tls.protocols@1
$ keycheck control list
tls.protocols@1 The endpoint speaks only the protocol versions listed in `only`.
```

How the facts behind the `tls.*` controls are got: [tls.md](tls.md). What the verdicts mean: [verdicts.md](verdicts.md).
"An heir may make it subset" and the like say which change by an inheriting profile is a tightening.

"""


def page() -> str:
    """The whole page."""
    refs = load_registry().control_refs()
    index = "".join(f"- [{ref}](#{ref.replace('@', '').replace('.', '')})\n" for ref in refs)
    return HEAD + index + "".join(_section(ref) for ref in refs)


def _section(ref: str) -> str:
    out = io.StringIO()
    with redirect_stdout(out):
        code = main(["control", "explain", ref])
    if code:
        raise SystemExit(f"{ref} cannot be explained")
    body = out.getvalue().partition("\n")[2].strip("\n")
    return f"\n## {ref}\n\n```text\n{body}\n```\n"


if __name__ == "__main__":
    wanted = page()
    if sys.argv[1:] != ["--check"]:
        PAGE.write_text(wanted, encoding="utf-8")
    elif not PAGE.is_file() or PAGE.read_text(encoding="utf-8") != wanted:
        sys.exit("docs/controls.md is not what the controls say: run python docs/generate_controls.py")
