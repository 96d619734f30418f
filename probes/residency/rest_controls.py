"""The controls over encryption at rest: whether every store is encrypted, and under whose key. Pure."""

from __future__ import annotations

from typing import ClassVar, Final

from keycheck.model.control import Control
from keycheck.model.facts import Facts, Unseen
from keycheck.model.verdict import Reason, Verdict, not_applicable
from probes.residency.closure import KEY_KINDS, Reached, closure
from probes.residency.residency_control import CAVEAT
from probes.residency.store_controls import loose_ends, open_ends
from probes.residency.store_facts import ClosureFacts, Encryption, NodeKind, ObjectsSampled, Unneeded
from probes.weighing import Judgement, counted

_MULTI_REGION: Final = "mrk-"


class RestControl(Control):
    """Base of the controls over encryption at rest. A store that cannot be read is undecided, never not concerned."""

    needs: ClassVar[tuple[type[Facts], ...]] = (ClosureFacts,)
    section: ClassVar[str] = "stores"
    caveat: ClassVar[str] = CAVEAT

    def fault(self, encryption: Encryption, facts: ClosureFacts) -> str | Reason | None:
        """What is wrong with it in words, why it cannot be decided, or None."""
        raise NotImplementedError

    def judge(self, facts: ClosureFacts) -> Verdict:
        """Every node that holds data, and the objects that were looked at."""
        found = Judgement()
        open_ends(facts, ("encryption", "stores", "copies", "backups"), found)
        walked = closure(facts)
        loose_ends(walked, found)
        nodes = {
            reached.node.id: reached
            for reached in (*walked.stores, *walked.copies, *walked.backups)
            if reached.node.kind not in KEY_KINDS
        }
        if not nodes:
            if facts.whole_account and not found.doubts:
                return not_applicable("the cloud says that nothing is stored there")
            found.doubt(f"{facts.asked} was not found", Reason.NO_POSITIVE)
        judged = 0
        for id_ in sorted(nodes):
            judged += self._node(nodes[id_], facts, found)
        return found.verdict(counted(judged, "store, copy or backup", "stores, copies and backups"))

    def _node(self, reached: Reached, facts: ClosureFacts, found: Judgement) -> int:
        node = reached.node
        match node.encryption:
            case Unneeded():
                return 0
            case Unseen() as unseen:
                found.doubt(f"{reached.worded}: {unseen.detail or unseen.reason.value}", unseen.reason)
            case Encryption() as encryption:
                self._told(reached.worded, self.fault(encryption, facts), encryption, found)
        if node.objects is not None:
            self._objects(reached.worded, node.objects, facts, found)
        elif node.kind is NodeKind.BUCKET:
            found.doubt(f"{reached.worded}: no object was looked at: a bucket's default says nothing of older objects")
        return 1

    @staticmethod
    def _told(where: str, fault: str | Reason | None, encryption: Encryption, found: Judgement) -> None:
        match fault:
            case Reason():
                why = "undecided"
                if encryption.key is not None and fault is Reason.NOT_COVERED:
                    why = "an agreed key is named by an alias, which may lead to another tomorrow; declare its ARN"
                found.doubt(f"{where}: under {encryption.key or encryption.method}: {why}", fault)
            case str():
                found.breach(f"{where} {fault}")
            case None:
                pass

    def _objects(self, where: str, sampled: ObjectsSampled, facts: ClosureFacts, found: Judgement) -> None:
        for under in sampled.encrypted_under:
            what = f"{where}: {under.objects} of {sampled.looked} objects that were looked at ({under.example})"
            self._told(what, self.fault(under.encryption, facts), under.encryption, found)
        for unseen in sampled.failed:
            found.doubt(f"{where}: objects could not be looked at: {unseen.detail}", unseen.reason)
        if not sampled.complete and not sampled.looked and sampled.existing != 0:
            found.doubt(f"{where}: no object was looked at")
        elif not sampled.complete:
            of = "of more than were listed, the first ones by name among them"
            if sampled.existing is not None:
                of = f"of {sampled.existing}" + (", oldest and newest among them" if sampled.looked > 1 else "")
            found.lean(f"{where}: {sampled.looked} objects were looked at, {of}")


class Encrypted(RestControl, id="stores.encrypted", version=1):
    """Every store, copy and backup is encrypted at rest."""

    proves = (
        "The cloud says of each store, copy and backup that it is encrypted at rest, and of each object that was "
        "looked "
        "at under which key. The services named use AES-256 for it, by their own documents."
    )
    does_not_prove = (
        "That the cloud's statement is true: no customer can look at the disk. Objects that were not looked at may lie "
        "under another key. Under the cloud's own key, encryption protects from thieves of disks and from nobody else."
    )
    example = "{control: stores.encrypted@1, for: stores, evidence: {assurance: configured}}"
    sources = (
        "Amazon S3, RDS, DynamoDB, EBS, EFS, AWS Backup: encryption at rest",
        "Google Cloud: default encryption at rest",
    )

    def fault(self, encryption: Encryption, facts: ClosureFacts) -> str | Reason | None:
        """Not encrypted at all."""
        return "is not encrypted" if encryption.method == "none" else None


class UnderKey(RestControl, id="stores.key", version=1):
    """Every store, copy and backup is encrypted under a key that the contract names for it."""

    proves = (
        "The cloud names for each store, copy and backup, and for each object that was looked at, a key that is one of "
        "`agreed.keys`, or the replica of one in another Region."
    )
    does_not_prove = (
        "What `stores.encrypted` does not prove, either. That the vendor does not keep data keys: `keys.…` and "
        "`fields.…` ask about that."
    )
    example = "{control: stores.key@1, for: stores, evidence: {assurance: configured}}"
    sources = ("AWS KMS: multi-Region keys share a key id that begins with mrk-", "Cloud KMS: customer-managed keys")

    def judge(self, facts: ClosureFacts) -> Verdict:
        """Nothing passes while nobody says which key it should be."""
        if not facts.agreed_keys:
            found = Judgement()
            found.doubt("no key is agreed for it: declare `agreed.keys` of the store")
            return found.verdict("")
        return super().judge(facts)

    def fault(self, encryption: Encryption, facts: ClosureFacts) -> str | Reason | None:
        """Under another key, or the cloud's own."""
        match encryption.method:
            case "none":
                return "is not encrypted"
            case "provider-key":
                return "is under the cloud's own key, which no customer can take away"
            case "client-supplied-key":
                return Reason.UNSUPPORTED
            case _:
                if encryption.key is None:
                    return Reason.NOT_COVERED
                if encryption.key_manager in ("aws", "google"):
                    return f"is under {encryption.key}, which the cloud manages"
                if any(same_key(encryption.key, agreed) for agreed in facts.agreed_keys):
                    return None
                if any(":alias/" in agreed for agreed in facts.agreed_keys):
                    # An alias can lead to another key tomorrow: declare the key's own ARN.
                    return Reason.NOT_COVERED
                return f"is under {encryption.key}, which is not agreed"


def same_key(used: str, agreed: str) -> bool:
    """Whether a store's key is the agreed one: the same, a version of it, or its replica in another Region."""
    if used == agreed:
        return True
    if agreed.startswith("projects/"):
        return used.partition("/cryptoKeyVersions/")[0] == agreed
    a, b = used.split(":"), agreed.split(":")
    if len(a) != len(b) or len(a) < 6:
        return False
    related = a[5].removeprefix("key/").startswith(_MULTI_REGION)
    return related and (a[1], a[2], a[4], a[5]) == (b[1], b[2], b[4], b[5])
