"""AWS Backup's plans: what they back up, where they keep it, and where they copy it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from keycheck.errors import ProbeError
from probes.clouds.aws.reading import child, child_or_none, children, parsing, text, text_or_none, texts
from probes.residency.aws.asking import Asking, Door
from probes.residency.aws.names import like

_PAGE: Final = 250


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of a plan."""

    plan: str
    name: str
    vault: str
    copies: tuple[str, ...]
    """ARNs of vaults."""
    selections: tuple[Selection, ...] | None
    """None: they are not told."""

    def touches(self, resource: str) -> bool:
        """Whether it backs the resource up, as far as that can be decided; what cannot be decided does."""
        return self.selections is None or any(each.touches(resource) for each in self.selections)


@dataclass(frozen=True, slots=True)
class Selection:
    """What a plan selects."""

    resources: tuple[str, ...]
    not_resources: tuple[str, ...]
    conditional: bool
    """By tags or other conditions: what it touches is not decided here."""

    def touches(self, resource: str) -> bool:
        """Whether it selects the resource, or may."""
        if any(like(pattern, resource) for pattern in self.not_resources):
            return False
        return self.conditional or any(like(pattern, resource) for pattern in self.resources)


@dataclass(slots=True)
class Plans:
    """The plans of one walk, read once for each account and Region."""

    asking: Asking
    _known: dict[tuple[str, str], tuple[Rule, ...]] = field(default_factory=dict)

    def rules(self, region: str, door: Door) -> tuple[Rule, ...]:
        """Every rule of every plan; what is not told is an open end."""
        key = (door.account, region)
        if key not in self._known:
            self._known[key] = self._rules(region, door)
        return self._known[key]

    def _rules(self, region: str, door: Door) -> tuple[Rule, ...]:
        plans = self.asking.listed(
            "backup:ListBackupPlans",
            region,
            "BackupPlansList",
            lambda item: text(item, "BackupPlanId"),
            at=f"backup:ListBackupPlans in {region}",
            matters=("backups",),
            door=door,
            parameters={"MaxResults": _PAGE},
        )
        rules: list[Rule] = []
        for plan in plans:
            with self.asking.graph.opening(f"backup plan {plan} in {region}", "backups"):
                rules += self._plan(plan, region, door)
        return tuple(rules)

    def _plan(self, plan: str, region: str, door: Door) -> tuple[Rule, ...]:
        operation = "backup:GetBackupPlan"
        answer = self.asking.ask(operation, region, door, BackupPlanId=plan)
        with parsing(operation):
            told = child(answer, "BackupPlan")
            written = []
            for rule in children(told, "Rules", required=True):
                copies = [text(copy, "DestinationBackupVaultArn") for copy in children(rule, "CopyActions")]
                gapped = text_or_none(rule, "TargetLogicallyAirGappedBackupVaultArn")
                written.append(
                    (text(rule, "RuleName"), text(rule, "TargetBackupVaultName"), (*copies, *filter(None, [gapped])))
                )
            name = text(told, "BackupPlanName")
        selections = self._selections(plan, region, door)
        return tuple(Rule(name, rule, vault, copies, selections) for rule, vault, copies in written)

    def _selections(self, plan: str, region: str, door: Door) -> tuple[Selection, ...] | None:
        """What a plan backs up; None where that is not told, and then it is everything."""
        listing = "backup:ListBackupSelections"
        made: list[Selection] = []
        try:
            token: str | None = None
            for _ in range(20):
                more: dict[str, object] = {} if token is None else {"NextToken": token}
                answer = self.asking.ask(listing, region, door, BackupPlanId=plan, **more)
                with parsing(listing):
                    ids = [
                        text(item, "SelectionId") for item in children(answer, "BackupSelectionsList", required=True)
                    ]
                    token = text_or_none(answer, "NextToken")
                made += [self._selection(plan, id, region, door) for id in ids]
                if token is None:
                    return tuple(made)
        except ProbeError:
            return None
        return None

    def _selection(self, plan: str, id: str, region: str, door: Door) -> Selection:
        operation = "backup:GetBackupSelection"
        answer = self.asking.ask(operation, region, door, BackupPlanId=plan, SelectionId=id)
        with parsing(operation):
            told = child(answer, "BackupSelection")
            conditions = child_or_none(told, "Conditions") or {}
            tags = children(told, "ListOfTags")
            return Selection(
                texts(told, "Resources"), texts(told, "NotResources"), bool(tags) or any(conditions.values())
            )
