"""Loading a deployment: sections typed by their areas' models, references resolved, secrets kept out."""

from __future__ import annotations

import ipaddress
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field

from keycheck.errors import DeploymentError
from keycheck.files.catalogue import Catalogue
from keycheck.files.located import DEPLOYMENT_LIMITS, Items, Map, Node, Text, parse, read_bytes, texts
from keycheck.files.problems import Place, Problems, suggestion
from keycheck.files.validate import validate
from keycheck.model.deployment import (
    HERE,
    Deployment,
    Identity,
    Subject,
    SubjectEntry,
    Vantage,
    Witness,
)
from keycheck.model.types import CanonicalJson, Model, Name, Prose


class DeploymentHead(Model):
    """What the vendor runs and how we may look at it. The other sections belong to the areas."""

    deployment: Name
    title: Prose | None = None
    vantages: tuple[Vantage, ...] = ()
    """Where probes run from; without any, this machine, called `here`."""
    identities: tuple[Identity, ...] = ()
    """Cloud credentials by name; the secrets stay in the SDKs' own chains."""
    witnesses: Annotated[tuple[Witness, ...], Field()] = ()
    """Ways to see what the vendor's service can still read."""


HEAD: Final = frozenset(DeploymentHead.model_fields)
_LISTED: Final = ("vantages", "identities", "witnesses")

_SECRET_SHAPES: Final = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----"
    r"|\b(?:AKIA|ASIA)[A-Z2-7]{16}\b"
    r"|^[a-z][a-z0-9+.-]*://[^/@\s:]*:[^/@\s]+@"
    r"|\beyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\."
)
"""Private keys, AWS access key ids, a password in a URL, and JSON Web Tokens. A safety net for what people
paste by mistake, no proof that a file holds no secret."""


@dataclass(frozen=True, slots=True)
class LoadedDeployment:
    """A deployment with the bytes it came from."""

    deployment: Deployment
    text: bytes
    path: Path
    places: Mapping[str, Place]
    """`section/id` -> where the subject is declared."""


def load_deployment(path: Path, catalogue: Catalogue) -> LoadedDeployment:
    """Read and check a deployment file; raises DeploymentError, naming the place of everything wrong."""
    data = read_bytes(path, str(path), DeploymentError, DEPLOYMENT_LIMITS)
    deployment, places = parse_deployment(data, str(path), catalogue)
    return LoadedDeployment(deployment, data, path, places)


def parse_deployment(data: bytes, label: str, catalogue: Catalogue) -> tuple[Deployment, Mapping[str, Place]]:
    """The deployment in these bytes, and where its subjects stand; `label` is shown as the file's name."""
    root = parse(data, label, DeploymentError, DEPLOYMENT_LIMITS)
    problems = Problems(DeploymentError)
    _refuse_secrets(root, problems)
    head = _head(root, problems)
    places: dict[str, Place] = {}
    subjects = tuple(_subjects(root, head, catalogue, problems, places))
    problems.check()
    deployment = Deployment(
        deployment=head.deployment,
        title=head.title,
        vantages=head.vantages or (HERE,),
        identities=head.identities,
        witnesses=head.witnesses,
        subjects=subjects,
    )
    return deployment, places


def _refuse_secrets(root: Map, problems: Problems) -> None:
    for text in texts(root):
        if _SECRET_SHAPES.search(text.text):
            problems.add(
                text.place,
                "a secret stands in the file",
                "replace the secret at its issuer, and write `env:NAME` or `file:PATH` here",
            )


def _head(root: Map, problems: Problems) -> DeploymentHead:
    own = Map(tuple(entry for entry in root.entries if entry.key.text in HEAD), root.place)
    head = validate(own, DeploymentHead, problems)
    for section in _LISTED:
        _check_unique(section, root.get(section), problems)
    if head is None:
        problems.check()
        raise RuntimeError("a model was refused without a problem")
    for vantage, node in zip(head.vantages, _items(root.get("vantages")), strict=True):
        if vantage.egress and not _is_address(vantage.egress):
            problems.add(
                _value_place(node, "egress"),
                "`egress` is not an IP address",
                "write the address that the vendor sees, e.g. 198.51.100.7",
            )
    return head


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _items(node: Node | None) -> tuple[Node, ...]:
    return node.items if isinstance(node, Items) else ()


def _value_place(node: Node, key: str) -> Place:
    value = node.get(key) if isinstance(node, Map) else None
    return value.place if value else node.place


def _id(node: Node) -> Text | None:
    value = node.get("id") if isinstance(node, Map) else None
    return value if isinstance(value, Text) else None


def _check_unique(section: str, node: Node | None, problems: Problems) -> None:
    first: dict[str, Place] = {}
    for item in _items(node):
        name = _id(item)
        if name is None:
            continue
        if name.text in first:
            problems.add(
                name.place,
                f"two of `{section}` have the same id as the one on line {first[name.text].line}",
                "give each an id of its own",
            )
        first.setdefault(name.text, name.place)


def _ids(section: Node) -> frozenset[str]:
    """What the items of a section are called, for what refers to them."""
    items = section.items if isinstance(section, Items) else ()
    ids = (item.get("id") for item in items if isinstance(item, Map))
    return frozenset(each.text for each in ids if isinstance(each, Text))


def _subjects(
    root: Map,
    head: DeploymentHead,
    catalogue: Catalogue,
    problems: Problems,
    places: dict[str, Place],
) -> Iterator[SubjectEntry]:
    vantages = tuple(vantage.id for vantage in head.vantages) or (HERE.id,)
    declared = {
        **{entry.key.text: _ids(entry.value) for entry in root.entries if entry.key.text not in HEAD},
        "vantages": frozenset(vantages),
        "identities": frozenset(identity.id for identity in head.identities),
        "witnesses": frozenset(witness.id for witness in head.witnesses),
    }
    for entry in root.entries:
        section = entry.key.text
        if section in HEAD:
            continue
        model = catalogue.subject(section)
        if model is None:
            known = {*HEAD, *catalogue.sections()}
            problems.add(entry.key.place, f"unknown section `{section[:60]}`", suggestion(section, known, "section"))
        elif not isinstance(model, type):
            problems.add(
                entry.key.place,
                f"the plugin for `{section}` ({model.name} of {model.distribution or 'unknown'}) does not load: "
                f"{model.message}",
                "repair or reinstall the package, or take the section out",
            )
        elif not isinstance(entry.value, Items):
            problems.add(entry.value.place, f"`{section}` must be a list", "write one `- id: name` for each subject")
        else:
            _check_unique(section, entry.value, problems)
            for item in entry.value.items:
                if subject := validate(item, model, problems, declared):
                    name = f"{section}/{subject.id}"
                    places[name] = item.place
                    _check_repeats(subject, item, problems)
                    if body := _body(subject, item, problems):
                        yield SubjectEntry(id=name, vantages=subject.vantages or vantages, body=body)


def _check_repeats(subject: Subject, node: Node, problems: Problems) -> None:
    repeated = [name for name, times in Counter(subject.vantages).items() if times > 1]
    if repeated:
        problems.add(_value_place(node, "vantages"), f"the vantage `{repeated[0]}` stands twice", "write each once")


def _body(subject: Subject, node: Node, problems: Problems) -> CanonicalJson | None:
    try:
        return CanonicalJson.of(subject.model_dump(mode="json", by_alias=True))
    except ValueError as cause:
        problems.add(node.place, f"this subject cannot be recorded ({cause})", "use text and whole numbers")
        return None
