"""Cloud KMS: where a key is, and whether its material is with Google at all."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from keycheck.errors import ProbeError
from keycheck.model.facts import Unseen
from keycheck.model.types import vendor_text
from keycheck.model.verdict import Reason
from probes.clouds.aws.reading import Answer, MalformedError, child_or_none, parsing, text, text_or_none
from probes.clouds.gcp.names import KeyName, key_name, same_key
from probes.residency.gcp.asking import Asking
from probes.residency.gcp.names import located
from probes.residency.graph import seen_not, unknown
from probes.residency.store_facts import Basis, EdgeKind, Encryption, NodeKind, NodePlace, Unneeded

GOOGLE: Final = Encryption(method="provider-key", algorithm=None, key=None, key_manager="google")
"""Google encrypts everything that no key is named for, under keys of its own
(https://cloud.google.com/docs/security/encryption/default-encryption)."""
SUPPLIED: Final = Encryption(method="client-supplied-key", algorithm=None, key=None)
"""Under a key that clients send along, and that Google forgets."""
_EXTERNAL: Final = ("EXTERNAL", "EXTERNAL_VPC")
_OPERATION: Final = "cloudkms.cryptoKeys.get"


@dataclass(slots=True)
class Keys:
    """The keys of one walk, each asked about once."""

    asking: Asking
    _met: dict[str, str] = field(default_factory=dict)
    """Names by how they were told: a project may be written by its number."""

    def under(self, told: str | None, at: str) -> Encryption | Unseen:
        """How something is encrypted, by the key that is named for it: Google's own where none is. A version counts as
        its key. What is no key's name is an open end at `at`."""
        if told is None:
            return GOOGLE
        try:
            name = key_name(told.partition("/cryptoKeyVersions/")[0])
        except ProbeError as error:
            self.asking.opens(at, error, "encryption", "copies")
            return seen_not(error)
        key = self._met.get(name.full) or self._look(name)
        return Encryption(method="customer-key", algorithm=None, key=vendor_text(key), key_manager="customer")

    def put(
        self,
        id: str,
        kind: NodeKind,
        account: str | None,
        place: NodePlace | Unseen,
        encryption: Encryption | Unneeded | Unseen,
        *,
        created: datetime | None = None,
        note: str | None = None,
    ) -> None:
        """A node, and the edge to its key."""
        self.asking.graph.put(id, kind, account, place, encryption, created=created, note=note)
        self.tie(id, encryption)

    def tie(self, node: str, encryption: object, detail: str = "") -> None:
        """The edge from what is encrypted to its key, where both are there."""
        key = encryption.key if isinstance(encryption, Encryption) else None
        if key is not None and self.asking.graph.node(key) is not None and self.asking.graph.node(node) is not None:
            self.asking.graph.edge(node, key, EdgeKind.KEY, Basis.CONFIGURED, detail)

    def _look(self, told: KeyName) -> str:
        """A key lies where its ring does, says Google, unless its material is kept outside of Google. Whether it is,
        has to be asked; else where it is remains open. Its name, as Cloud KMS writes it."""
        graph, protection, outside, name = self.asking.graph, None, None, told
        try:
            answer = self.asking.ask("cloudkms", _OPERATION, told.full)
            with parsing(_OPERATION):
                protection, outside = _protection(answer, told)
                name = key_name(text(answer, "name"))
        except ProbeError as error:
            self.asking.opens(told.full, error, "copies")
        id = self._met[told.full] = name.full
        note = "its protection level was not told" if protection is None else f"protection level {protection}"
        graph.put(id, NodeKind.KEY, name.project, located(name.location), Unneeded(), note=note)
        if protection in _EXTERNAL:
            self._outside(id, name, outside)
        return id

    def _outside(self, id: str, name: KeyName, uri: str | None) -> None:
        store = f"{id}#external"
        where = uri or "a key manager that is not told"
        why = unknown(f"its material is kept outside of Google, at {where}; observe it as an endpoint")
        self.asking.graph.put(store, NodeKind.KEY_STORE, name.project, why, Unneeded(), note=uri)
        if self.asking.graph.node(store) is not None and self.asking.graph.node(id) is not None:
            self.asking.graph.edge(id, store, EdgeKind.HELD_BY, Basis.CONFIGURED, "external key manager")
        self.asking.opens(store, why, "copies")


def _protection(answer: Answer, name: KeyName) -> tuple[str, str | None]:
    """Protection level and, of a key outside, where it is. Raises MalformedError, ProbeError for contradictions."""
    if not same_key(text(answer, "name"), name):
        raise MalformedError("the answer is about another key than was asked about")
    primary = child_or_none(answer, "primary") or {}
    template = child_or_none(answer, "versionTemplate") or {}
    levels = {told for told in (text_or_none(each, "protectionLevel") for each in (primary, template)) if told}
    if not levels:
        raise MalformedError("no protectionLevel")
    if len(levels) > 1:
        raise ProbeError(Reason.CONFLICTING, f"{_OPERATION}: the key's protection level is told twice, and differs")
    options = child_or_none(primary, "externalProtectionLevelOptions") or {}
    uri = text_or_none(options, "externalKeyUri") or text_or_none(answer, "cryptoKeyBackend")
    return vendor_text(levels.pop(), 40), None if not uri else vendor_text(uri, 300)
