"""The files that a run on the practice vendor needs: deployment, contract, signed authorization, keys.

Everything is made at start, in the lab's home; nothing of it is a secret worth keeping.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import yaml
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from keycheck.evidence.keys import SigningKey, public_path
from keycheck.evidence.sign import AUTHORIZATION_TYPE, sign_file, signature_path
from keycheck.lab.config import ClientAuth
from keycheck.lab.data_defects import ESDK
from keycheck.lab.data_sites import DEPLOYMENT
from keycheck.lab.key_sites import DEAD_MAN, G_DEAD_MAN
from keycheck.lab.residency_papers import RESIDENCY_SECTIONS, residency_clauses, with_residency
from keycheck.lab.residency_ranges import RANGES_ENTRY, RANGES_FILE, ranges_file
from keycheck.lab.world import CANARY_KEY, DRILLED, Lab, LabEndpoint

if TYPE_CHECKING:
    from keycheck.lab.clouds import Clouds, LabKey
    from keycheck.lab.crm.canaries import Canaries
    from keycheck.lab.crm.vendor import Vendor

CONTRACT: Final = "practice-contract"
BASE: Final = "eu-sovereign-crm"
CANARY_PLAN: Final = "canary-plan.yaml"
"""How `keycheck canary plant` writes at the practice vendor's front door, under a workspace for test accounts."""
_WORKSPACE: Final = "test-accounts"
_SOWN: Final = {"name": "name", "email": "email", "phone": "phone", "iban": "iban", "notes": "free-text"}
"""Class of each field."""
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
    _write(papers.profile, _contract(approver, base, () if lab.residency is None else residency_clauses(lab.residency)))
    _write(papers.authorization, _authorization(now))
    if lab.residency is None:
        (home / RANGES_FILE).write_text(ranges_file((), now), encoding="utf-8")
    if lab.vendor is not None and lab.data_sets:
        _write(home / CANARY_PLAN, _canary_plan(lab, lab.vendor))
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
        entries = {key.id: dict(key.entry) for key in lab.clouds.keys}
        witnesses: list[Mapping[str, object]] = []
        served = ((lab.vendor, lab.canaries, "vendor"), (lab.vendor_g, lab.canaries_g, "vendor-g"))
        for id, (vendor, canaries, prefix) in zip(DRILLED, served, strict=True):
            if vendor is not None and canaries is not None:
                (key,) = (each for each in lab.clouds.keys if each.id == id)
                seen, entries[id]["drill"] = _drill(lab, vendor, canaries, key, prefix)
                witnesses += seen
        witnesses += _rotations(lab, lab.clouds, entries)
        written["keys"] = list(entries.values())
        if witnesses:
            written["witnesses"] = [dict(witness) for witness in witnesses]
    if lab.endpoints and lab.residency is None:
        written["references"] = [dict(RANGES_ENTRY)]
    if lab.data_sets:
        written["datasets"] = [dict(data.entry) for data in lab.data_sets]
    return written if lab.residency is None else with_residency(written, lab.residency)


def _drill(
    lab: Lab, vendor: Vendor, canaries: Canaries, key: LabKey, prefix: str
) -> tuple[Sequence[Mapping[str, object]], Mapping[str, object]]:
    """Who watches, and the key's `drill:`."""
    from keycheck.lab.crm.canaries import drill_entry, witnesses

    drill = drill_entry(vendor, canaries, hold="PT12S", quiet="PT1S", prefix=prefix, canary_key=key.canary)
    for copied in key.entry.get("availability_keys", ()):  # type: ignore[attr-defined]
        drill["paths"]["copies"] = [{"resource": copied, "witness": f"{prefix}-warm"}]  # type: ignore[index]
    actor = DEAD_MAN if key.entry["provider"] == "aws" else G_DEAD_MAN
    return witnesses(vendor, canaries, prefix=prefix, beside=lab.home), {**drill, "dead_man": {"actor": actor}}


def _rotations(lab: Lab, clouds: Clouds, entries: Mapping[str, dict[str, object]]) -> Sequence[Mapping[str, object]]:
    """Adds to the keys' `drill:` what a rotation needs; who writes, and who watches."""
    from keycheck.lab.crm.canaries import witnesses
    from keycheck.lab.crm.rotation import rotation_entry, rotation_witnesses

    found: list[Mapping[str, object]] = []
    aws, google = (entries.get(id, {}).get("drill") for id in DRILLED)
    if isinstance(aws, dict) and lab.vendor_r is not None and lab.canaries_r is not None:
        aws |= {"canary_key": clouds.aws.arns[CANARY_KEY], "canary_declared": True}
        aws["rotation"] = [dict(rotation_entry(lab.canaries_r, layout="encryption-sdk", prefix="vendor-r"))]
        for make in (witnesses, rotation_witnesses):
            found += make(lab.vendor_r, lab.canaries_r, prefix="vendor-r", beside=lab.home)
    if isinstance(google, dict) and lab.vendor_g is not None and lab.canaries_g is not None:
        google["rotation"] = [dict(rotation_entry(lab.canaries_g, layout="tink", prefix="vendor-g"))]
        found += rotation_witnesses(lab.vendor_g, lab.canaries_g, prefix="vendor-g", beside=lab.home)
    return found


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
        "answer_within": "PT2S",
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


def _canary_plan(lab: Lab, vendor: Vendor) -> dict[str, object]:
    """For the vendor's export in its first cloud."""
    where = f"{vendor.url}/v1/contacts/${{id}}"
    body = "{" + ",".join(f'"{name}":"${{{name}}}"' for name in _SOWN) + "}"
    return {
        "canary_plan": "practice",
        "dataset": ESDK,
        "unsafe_plaintext_to_loopback": True,
        "headers": [["Authorization", f"file:{_relative(lab, vendor.workspace(_WORKSPACE))}"]],
        "values": [{"name": name, "class": of, "column": name} for name, of in _SOWN.items()],
        "row": [["tenant", _WORKSPACE], ["id", "${id}"]],
        "create": {"method": "POST", "url": where, "body": body},
        "plain": {"method": "POST", "url": where, "body": '{"name":"-","country":"BE"}'},
        "read": {"method": "GET", "url": where},
        "delete": {"method": "DELETE", "url": where},
    }


def _contract(approver: SigningKey, base: str, more: Sequence[Mapping[str, object]]) -> dict[str, object]:
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
            "rotation_within": {"value": "PT3S"},
        },
        "clauses": [
            # A drill in Google Cloud takes away the canary's own key, which says nothing of the one of an export.
            {"id": "KEY-REVOKE", "requires": [_required("fields.revoked@1", "datasets/contacts-export")]},
            {
                "id": "ENC-FIELD",
                "requires": [
                    _required("fields.tag@1", "datasets"),
                    # Tink has no AEAD that commits, and the base contract does not ask for one.
                    _required("fields.commitment@1", "datasets/contacts-export"),
                    _required("fields.context@1", "datasets", {"binds": "row", "entries": "declared"}),
                ],
            },
            *(dict(clause) for clause in more),
        ],
        "approvers": [{"name": "Practice customer", "public_key": base64.b64encode(der).decode()}],
    }


def _required(control: str, of: str, parameters: Mapping[str, object] | None = None) -> dict[str, object]:
    demands = {"assurance": "observed", "max_age": "P30D"}
    return {"control": control, "for": of, **({"with": dict(parameters)} if parameters else {}), "evidence": demands}


def _authorization(now: datetime) -> dict[str, object]:
    start, end = now - timedelta(days=1), now + timedelta(days=30)
    return {
        "authorization": "practice",
        "deployment": DEPLOYMENT,
        "subjects": ["endpoints", "keys", "datasets", *RESIDENCY_SECTIONS],
        "techniques": ["active-tls", "drill", "rotate-canary", "canary-write"],
        "sources": ["127.0.0.0/8"],
        "windows": [{"start": f"{start:%Y-%m-%dT%H:%M}", "end": f"{end:%Y-%m-%dT%H:%M}", "zone": "Etc/UTC"}],
        "stop_contacts": [{"name": "You", "reach": "this terminal"}],
    }
