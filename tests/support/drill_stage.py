"""A lab with a vendor and canaries, and the command line's drills on it."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from keycheck.evidence.keys import SigningKey
from keycheck.evidence.sign import AUTHORIZATION_TYPE, sign_file, signature_path
from keycheck.lab.paperwork import Papers, write_papers
from keycheck.lab.world import Lab


class Stage:
    """A lab with a vendor, the papers, and what a drill leaves in the key policy."""

    def __init__(self, lab: Lab, home: Path) -> None:
        self.lab = lab
        self.home = home
        self.papers: Papers = write_papers(lab, datetime.now(UTC))

    def command(self, *more: str, verb: str = "revoke", subject: str = "contacts") -> list[str]:
        papers = self.papers
        return [
            *(sys.executable, "-m", "keycheck", "drill", verb, str(papers.deployment)),
            *("--profile", str(papers.profile), "--authorization", str(papers.authorization)),
            *("--key", str(papers.signer), "--subject", subject, "--out", str(self.home / "runs"), "-o", "json"),
            *more,
        ]

    def environment(self) -> dict[str, str]:
        return {**os.environ, "XDG_STATE_HOME": str(self.home / "state")}

    def run(self, *more: str, verb: str = "revoke", subject: str = "contacts") -> subprocess.CompletedProcess[str]:
        command = self.command(*more, verb=verb, subject=subject)
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=110, env=self.environment())

    def policy(self) -> str:
        assert self.lab.clouds is not None
        key = self.lab.clouds.aws.cloud.kms.find(self.lab.clouds.aws.arns["contacts"])
        return key.policies.value["default"]

    def arn(self, id: str = "contacts") -> str:
        assert self.lab.clouds is not None
        return self.lab.clouds.aws.arns[id]

    def amend(self, change: Any, id: str = "contacts") -> None:
        stated = yaml.safe_load(self.papers.deployment.read_text("utf-8"))
        change(next(key for key in stated["keys"] if key["id"] == id))
        self.papers.deployment.write_text(yaml.safe_dump(stated, sort_keys=False), encoding="utf-8")

    def authorize(self, *techniques: str, second: bool = False) -> None:
        """A new authorization, signed by the customer's approver, and by a second one where wanted."""
        stated = yaml.safe_load(self.papers.authorization.read_text("utf-8"))
        stated["techniques"] = list(techniques)
        self.papers.authorization.write_text(yaml.safe_dump(stated, sort_keys=False), encoding="utf-8")
        signature_path(self.papers.authorization).unlink()
        signers = [SigningKey.load(self.papers.approver)]
        if second:
            signers.append(SigningKey.generate())
            contract = yaml.safe_load(self.papers.profile.read_text("utf-8"))
            key = load_pem_public_key(signers[-1].public.to_pem())
            der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
            contract["approvers"].append({"name": "Second", "public_key": base64.b64encode(der).decode("ascii")})
            self.papers.profile.write_text(yaml.safe_dump(contract, sort_keys=False), encoding="utf-8")
        for signer in signers:
            sign_file(self.papers.authorization, signer, AUTHORIZATION_TYPE)

    def phases(self) -> list[str]:
        return [each["phase"] for each in json.loads(self.keycheck("drill", "status", "--json").stdout)]

    def keycheck(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "keycheck", *words]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, env=self.environment())


def findings(done: subprocess.CompletedProcess[str]) -> dict[str, dict[str, Any]]:
    told = json.loads(done.stdout)
    return {f["control"].partition("@")[0]: f for f in told["findings"] if f["subject"] == "keys/contacts"}


def wait_for(what: Any, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if what():
            return True
        time.sleep(0.1)
    return False
