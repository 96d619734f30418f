"""The control over where a key is kept. Pure."""

from __future__ import annotations

from typing import Annotated, Final, Literal, assert_never

from keycheck.model.control import Tighter
from keycheck.model.facts import Unseen
from keycheck.model.verdict import Reason, Verdict, inconclusive, passed
from probes.keys.aws_facts import AwsKey
from probes.keys.facts import KeyFacts
from probes.keys.gcp_facts import GcpKey
from probes.keys.key_control import KeyControl, settle, solid, undeclared, unread
from probes.keys.origin_controls import EXTERNAL_LEVELS
from probes.places.jurisdictions import Jurisdiction, worded
from probes.places.regions import Countries, Everywhere, UnknownPlace, place

_REGION_OF_ARN: Final = 3


class Location(KeyControl, id="keys.location", version=1):
    """The key, its replicas and an external key manager behind it are in the agreed jurisdiction."""

    proves = (
        "The cloud states the Region or location of the key, and of each related multi-Region key, and every country "
        "that keycheck's table gives for them is in `jurisdiction`. For a key that an external key manager holds, the "
        "country that the deployment declares is too."
    )
    does_not_prove = (
        "That the provider keeps its word about its Regions, where the vendor's own copies of data keys are, or where "
        "people sit who administer. The country of an external key manager is as declared, not observed."
    )
    example = "{control: keys.location@1, for: keys, with: {jurisdiction: [EU]}}"
    sources = (
        "AWS General Reference: Regions; AWS European Sovereign Cloud",
        "AWS KMS Developer Guide: Multi-Region keys in AWS KMS",
        "Cloud KMS locations (`europe` leaves out London and Zürich)",
        "ISO 3166-1",
    )

    jurisdiction: Annotated[Jurisdiction, Tighter("subset")]
    """Countries by ISO 3166; `EU` stands for its member states with their outermost regions."""

    def judge(self, facts: KeyFacts) -> Verdict:
        """Every place at which material of the key is."""
        breaches: list[str] = []
        doubts: list[Verdict] = []
        match facts.key:
            case AwsKey() as key:
                places = self._aws_places(key)
                external = key.description.origin == "EXTERNAL_KEY_STORE"
            case GcpKey() as key:
                places = {key.location: "the key"}
                external = False
                if isinstance(key.versions, Unseen):
                    doubts.append(unread("the key's versions", key.versions))
                else:
                    external = any(version.protection in EXTERNAL_LEVELS for version in solid(key.versions))
            case _:
                assert_never(facts.key)
        for region, what in places.items():
            fault = self._fault(facts.key.provider, region, what)
            if isinstance(fault, str):
                breaches.append(fault)
            elif fault is not None:
                doubts.append(fault)
        held_in = facts.agreed.held_in
        if external and held_in is None:
            why = "is held by an external key manager, and in which country was not declared"
            doubts.append(undeclared(why, "held_in"))
        elif external and held_in not in self.jurisdiction:
            breaches.append(f"the external key manager is in {held_in}, not in {worded(self.jurisdiction)}")
        also = f"; the external key manager is in {held_in}, as declared" if external else ""
        return settle(breaches, doubts, passed(f"is in {', '.join(sorted(places))}: {worded(self.jurisdiction)}{also}"))

    @staticmethod
    def _aws_places(key: AwsKey) -> dict[str, str]:
        """Regions that hold the same material, and what is there."""
        places = {key.region: "the key"}
        if key.description.multi_region is not None:
            for arn in (key.description.multi_region.primary, *key.description.multi_region.replicas):
                parts = arn.split(":")
                region = parts[_REGION_OF_ARN] if len(parts) > _REGION_OF_ARN else arn
                places.setdefault(region, "a related multi-Region key")
        return places

    def _fault(self, provider: Literal["aws", "gcp"], region: str, what: str) -> str | Verdict | None:
        match place(provider, region):
            case Everywhere():
                return f"{what} is in {region}: kept everywhere in the world"
            case UnknownPlace():
                return inconclusive(Reason.NOT_COVERED, f"{what} is in {region}, whose country keycheck does not know")
            case Countries(codes):
                outside = codes - self.jurisdiction
                if not outside:
                    return None
                may_be = "is" if len(codes) == 1 else "may be kept"
                return f"{what} {may_be} in {worded(outside)} ({region}), outside {worded(self.jurisdiction)}"
