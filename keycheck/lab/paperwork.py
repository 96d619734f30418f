"""The files that a run on the practice vendor needs: deployment, contract, signed authorization, keys.

Everything is made at start, in the lab's home; nothing of it is a secret worth keeping.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import yaml
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from keycheck.evidence.keys import SigningKey, public_path
from keycheck.evidence.sign import AUTHORIZATION_TYPE, sign_file, signature_path
from keycheck.lab.config import ClientAuth
from keycheck.lab.world import DRILLED, Lab, LabEndpoint

DEPLOYMENT: Final = "practice-crm"
CONTRACT: Final = "practice-contract"
BASE: Final = "eu-sovereign-crm"
_SCHEMES: Final = {"smtp": "smtp", "imap": "imap", "postgres": "postgresql"}


@dataclass(frozen=True, slots=True)
class Papers:
    """Where the files are."""

    deployment: Path
    profile: Path
    authorization: Path
    approver: Path
    """The customer's key: signs authorizations and waivers."""
    signer: Path
    """The key that signs bundles."""

    @property
    def verifier(self) -> Path:
        """The public half of the signer's key."""
        return public_path(self.signer)


def write_papers(lab: Lab, now: datetime, *, base: str = BASE, names: tuple[str, ...] = ()) -> Papers:
    """Write everything into the lab's home. `names` restricts which server names are sent."""
    home = lab.home
    papers = Papers(
        home / "deployment.yaml",
        home / f"{CONTRACT}.yaml",
        home / "authorization.yaml",
        home / "approver.pem",
        home / "signer.pem",
    )
    approver = _key(papers.approver)
    _key(papers.signer)
    _write(papers.deployment, _deployment(lab, names))
    _write(papers.profile, _contract(approver, base))
    _write(papers.authorization, _authorization(now))
    signature_path(papers.authorization).unlink(missing_ok=True)  # of an earlier start in the same home
    sign_file(papers.authorization, approver, AUTHORIZATION_TYPE)
    return papers


def _key(path: Path) -> SigningKey:
    if path.exists():
        return SigningKey.load(path)
    key = SigningKey.generate()
    key.save(path)
    return key


def _write(path: Path, content: dict[str, object]) -> None:
    path.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=110), encoding="utf-8")


def _deployment(lab: Lab, names: tuple[str, ...]) -> dict[str, object]:
    vantage: dict[str, object] = {"id": "here", "place": "loopback", "egress": "127.0.0.1"}
    if lab.interception_ca is not None:
        vantage["interception_cas"] = [_relative(lab, lab.interception_ca)]
    written: dict[str, object] = {
        "deployment": DEPLOYMENT,
        "title": "A practice vendor's CRM on loopback",
        "vantages": [vantage],
    }
    if lab.endpoints:
        written["endpoints"] = [_endpoint(lab, endpoint, names) for endpoint in lab.endpoints]
    if lab.clouds is not None:
        written["identities"] = list(lab.clouds.identities)
        written["keys"] = [dict(key.entry) for key in lab.clouds.keys]
        if lab.vendor is not None and lab.canaries is not None:
            from keycheck.lab.crm.canaries import drill_entry, witnesses

            written["witnesses"] = [dict(witness) for witness in witnesses(lab.vendor, lab.canaries)]
            drill = drill_entry(lab.vendor, lab.canaries, hold="PT12S", quiet="PT1S")
            written["keys"] = [
                {**key.entry, "drill": dict(drill)} if key.id == DRILLED else dict(key.entry) for key in lab.clouds.keys
            ]
    return written


def _relative(lab: Lab, path: Path) -> str:
    """As the deployment file names it: from its own directory, so that a bundle names no place of this machine."""
    return str(path.relative_to(lab.home))


def _endpoint(lab: Lab, endpoint: LabEndpoint, names: tuple[str, ...]) -> dict[str, object]:
    scheme = _SCHEMES.get(endpoint.starttls or "", "https")
    written: dict[str, object] = {
        "id": endpoint.id,
        "url": f"{scheme}://{endpoint.host}:{endpoint.port}",
        "addresses": list(endpoint.addresses),
        "ca": _relative(lab, endpoint.ca),
        "answer_within": "PT1S",
    }
    if endpoint.client_auth is not ClientAuth.NONE and endpoint.client_cert and endpoint.client_key:
        written |= {
            "client_auth": "required",
            "client_certificate": _relative(lab, endpoint.client_cert),
            "client_key": _relative(lab, endpoint.client_key),
        }
    if endpoint.plain:
        written["redirect_url"] = f"http://{endpoint.plain[0]}"
    if names:
        written["names"] = list(names)
    return written


def _contract(approver: SigningKey, base: str) -> dict[str, object]:
    der = load_pem_public_key(approver.public.to_pem()).public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return {
        "profile": CONTRACT,
        "version": 1,
        "title": "The practice vendor's contract",
        "extends": base,
        # A drill of seconds needs a bound of seconds.
        "parameters": {
            "jurisdiction": {"value": ["EU"]},
            "revocation_within": {"value": "PT3S"},
            "recovery_within": {"value": "PT3S"},
        },
        "approvers": [{"name": "Practice customer", "public_key": base64.b64encode(der).decode()}],
    }


def _authorization(now: datetime) -> dict[str, object]:
    start, end = now - timedelta(days=1), now + timedelta(days=30)
    return {
        "authorization": "practice",
        "deployment": DEPLOYMENT,
        "subjects": ["endpoints", "keys"],
        "techniques": ["active-tls", "drill"],
        "sources": ["127.0.0.0/8"],
        "windows": [{"start": f"{start:%Y-%m-%dT%H:%M}", "end": f"{end:%Y-%m-%dT%H:%M}", "zone": "Etc/UTC"}],
        "stop_contacts": [{"name": "You", "reach": "this terminal"}],
    }
