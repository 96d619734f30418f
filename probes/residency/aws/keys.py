"""KMS: whose a key is, where it and its replicas are, and which store holds its material."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal

from keycheck.errors import ProbeError
from keycheck.model.facts import Unseen
from keycheck.model.types import vendor_text
from keycheck.model.verdict import Reason
from probes.clouds.aws.arns import KmsArn, kms_arn
from probes.clouds.aws.reading import MalformedError, child, child_or_none, children, flag, parsing, text, text_or_none
from probes.residency.aws.asking import Asking
from probes.residency.aws.graph import in_region, seen_not, unknown
from probes.residency.store_facts import Basis, EdgeKind, Encryption, NodeKind, Unneeded

Manager = Literal["aws", "customer", "unknown"]

_MANAGERS: Final[dict[str, Manager]] = {"AWS": "aws", "CUSTOMER": "customer"}


@dataclass(frozen=True, slots=True)
class KeySeen:
    """A key as it was told, or that it is not known."""

    name: str
    manager: Manager


@dataclass(slots=True)
class Keys:
    """The keys of one walk, each asked about once."""

    asking: Asking
    _known: dict[tuple[str, str], KeySeen | Unseen] = field(default_factory=dict)

    def under(self, key: str | None, region: str, account: str | None, algorithm: str | None) -> Encryption | Unseen:
        """How something is encrypted under a key of KMS as it was named: an ARN, an id, an alias.

        A key by its ARN that is not described is a customer's with manager `unknown`, beside an open end for the copies
        that it may have; what another name means is not known then.
        """
        if key is None:
            # Every service's own key is used where none is named.
            return Encryption(method="provider-key", algorithm=algorithm, key=None, key_manager="aws")
        seen = self.look(key, region, account)
        if isinstance(seen, Unseen):
            return seen
        return Encryption(
            method="provider-key" if seen.manager == "aws" else "customer-key",
            algorithm=None if algorithm is None else vendor_text(algorithm),
            key=vendor_text(seen.name),
            key_manager=seen.manager,
        )

    def tie(self, node: str, encryption: object, detail: str = "") -> None:
        """The edge from what is encrypted to its key."""
        key = encryption.key if isinstance(encryption, Encryption) else None
        if key is not None and self.asking.graph.node(key) is not None:
            self.asking.graph.edge(node, key, EdgeKind.KEY, Basis.CONFIGURED, detail)

    def look(self, key: str, region: str, account: str | None) -> KeySeen | Unseen:
        """Whose key it is, asked in its own Region. What cannot be asked is an open end."""
        known = self._known.get((key, region))
        if known is None:
            known = self._known[key, region] = self._describe(key, region, account)
            if isinstance(known, KeySeen):
                self._known.setdefault((known.name, region), known)
        return known

    def _describe(self, key: str, region: str, account: str | None) -> KeySeen | Unseen:
        graph = self.asking.graph
        try:
            written = kms_arn(key)
        except ValueError:
            written = None
        if written is None and (account is None or self.asking.of(account) is None):
            # KMS and S3 would take an alias, or an id, for one of whoever asks.
            why = unknown(f"the key {key} is another account's, and named without its ARN")
            graph.ends(key, "encryption", why)
            return why
        where = region if written is None else written.region
        owner = account if written is None else written.account
        operation = "kms:DescribeKey"
        try:
            answer = self.asking.ask(operation, where, self.asking.of(owner) or self.asking.door, KeyId=key)
            with parsing(operation):
                metadata = child(answer, "KeyMetadata")
                found = _arn(text(metadata, "Arn"))
                if written is not None and written.kind == "key" and found != written:
                    raise MalformedError("the answer is about another key than was asked about")
                if found.region != where:
                    raise MalformedError("the answer is about a key in another Region than was asked")
                manager = _MANAGERS.get(text(metadata, "KeyManager"), "unknown")
                store, origin = text_or_none(metadata, "CustomKeyStoreId"), text(metadata, "Origin")
                spread = child_or_none(metadata, "MultiRegionConfiguration")
                if flag(metadata, "MultiRegion", default=False) != (spread is not None):
                    raise MalformedError("the answer contradicts itself about replicas")
                related = set()
                if spread is not None:
                    places = (child(spread, "PrimaryKey"), *children(spread, "ReplicaKeys"))
                    related = {_arn(text(place, "Arn")) for place in places}
        except ProbeError as error:
            if written is None or written.kind == "alias":
                graph.ends(key, "encryption", error)
                return seen_not(error)
            # Which key it is and where, its ARN says; not whether it has replicas, nor where its material is.
            graph.ends(str(written), "copies", error)
            place = in_region(written.region)
            graph.put(str(written), NodeKind.KEY, written.account, place, Unneeded(), note="not described")
            return KeySeen(str(written), "unknown")
        note = f"managed by {manager}, origin {origin}"
        graph.put(str(found), NodeKind.KEY, found.account, in_region(found.region), Unneeded(), note=note)
        for other in sorted(related - {found}, key=str):
            if other.related != found.related:
                graph.ends(str(found), "copies", unknown("a replica that is another key", Reason.MALFORMED))
                continue
            graph.put(str(other), NodeKind.KEY, other.account, in_region(other.region), Unneeded(),
                      note="related multi-Region key")  # fmt: skip
            graph.edge(str(found), str(other), EdgeKind.REPLICATES, Basis.HAPPENED, "multi-Region key")
        if store is not None:
            self._store(found, store, origin)
        return KeySeen(str(found), manager)

    def _store(self, key: KmsArn, store: str, origin: str) -> None:
        """The custom key store behind a key. Of an external one, only where its proxy is asked is told: the material
        is wherever the proxy keeps it."""
        graph = self.asking.graph
        id = f"arn:{key.partition}:kms:{key.region}:{key.account}:custom-key-store/{store}"
        operation = "kms:DescribeCustomKeyStores"
        proxy: str | None = None
        try:
            door = self.asking.of(key.account) or self.asking.door
            answer = self.asking.ask(operation, key.region, door, CustomKeyStoreId=store)
            with parsing(operation):
                found = children(answer, "CustomKeyStores", required=True)
                if len(found) != 1 or text(found[0], "CustomKeyStoreId") != store:
                    raise MalformedError("the answer is not about the store that was asked about")
                configuration = child_or_none(found[0], "XksProxyConfiguration")
                proxy = None if configuration is None else text_or_none(configuration, "UriEndpoint")
        except ProbeError as error:
            graph.ends(id, "stores", error)
        external = origin == "EXTERNAL_KEY_STORE"
        place = (
            unknown(f"external: behind the proxy {proxy or 'that is not told'}; observe it as an endpoint")
            if external
            else in_region(key.region)
        )
        graph.put(id, NodeKind.KEY_STORE, key.account, place, Unneeded(), note=proxy)
        graph.edge(str(key), id, EdgeKind.HELD_BY, Basis.CONFIGURED, origin)
        if external:
            graph.ends(id, "stores", unknown("where an external key store keeps its material is not told by AWS"))


def _arn(told: str) -> KmsArn:
    try:
        return kms_arn(told)
    except ValueError as error:
        raise MalformedError("what is no ARN of a key") from error
