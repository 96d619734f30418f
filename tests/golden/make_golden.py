"""Makes this release's golden bundles: `python tests/golden/make_golden.py [fields]`. Each made once, and never again.

A bundle that verified once must verify in every later release, and judging it again must give the same verdicts.
"""

from __future__ import annotations

import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event

import yaml

from keycheck import __version__
from keycheck.evidence.keys import SigningKey
from keycheck.lab.matrix import Silent, world
from keycheck.lab.paperwork import write_papers
from keycheck.lab.world import Lab
from keycheck.registry import load_registry
from keycheck.session import Request, prepare, run_contract

HERE = Path(__file__).resolve().parent


def main(area: str = "") -> None:
    """The bundle of an area; without one, of endpoints."""
    name = f"keycheck-{__version__}{f'-{area}' if area else ''}"
    with TemporaryDirectory() as home, _lab(Path(home), area) as lab:
        papers = write_papers(lab, datetime.now(UTC), base="base-saas", names=("right",))
        stated = yaml.safe_load(papers.deployment.read_text())
        if not area:
            stated["endpoints"] = [each for each in stated["endpoints"] if each["id"] in ("portal", "db")]
        papers.deployment.write_text(yaml.safe_dump(stated, sort_keys=False))
        request = Request(papers.deployment, str(papers.profile), authorization=papers.authorization)
        key = SigningKey.load(papers.signer)
        prepared = prepare(request, load_registry())
        outcome = run_contract(prepared, load_registry(), world(), Path(home) / "out", key, Silent(), Event())
        shutil.copy(outcome.bundle.path, HERE / f"{name}.zip")
        (HERE / f"{name}.pub").write_bytes(key.public.to_pem())
        (HERE / f"{name}.assessment.json").write_bytes(outcome.assessment_json)


def _lab(home: Path, area: str) -> Lab:
    if area == "fields":
        return Lab(home, ["mixed-column", "undeclared-context"], sections=frozenset({"datasets"}))
    return Lab(home, ["tls-1.2-accepted@db"])


if __name__ == "__main__":
    main(*sys.argv[1:2])
