"""What a handler gets: who asks what, where, of which estate; and lists in pages."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, TypeVar

from keycheck.lab.aws.seams import Caller
from keycheck.lab.aws_stores.plan import AwsPlan, KeyRef
from keycheck.lab.aws_stores.refusals import RefusedError
from keycheck.lab.aws_stores.serialised import Output

T = TypeVar("T")
_TOKEN: Final = "lab-"


@dataclass(frozen=True, slots=True)
class Ask:
    """One call."""

    operation: str
    parameters: Mapping[str, object]
    caller: Caller
    region: str
    plan: AwsPlan
    now: datetime
    arn_of: Callable[[KeyRef, str], str]
    """ARN of a key as the plan names it, in the Region where it is used."""
    page_size: int | None = None
    """Items a page where the lab makes pages small; None: as the caller wants."""
    permitted: Callable[[str, str], bool] = lambda action, resource: True
    """Whether the caller's policies allow an action on a resource."""

    def text(self, name: str, default: str = "") -> str:
        """A parameter that is text."""
        return str(self.parameters.get(name, default))

    def texts(self, name: str) -> tuple[str, ...]:
        """A parameter that is a list of texts."""
        found = self.parameters.get(name, ())
        return tuple(str(item) for item in found) if isinstance(found, list | tuple) else ()

    def filters(self) -> Mapping[str, tuple[str, ...]]:
        """By name, as EC2 and RDS take them."""
        found = self.parameters.get("Filters", ())
        if not isinstance(found, list | tuple):
            return {}
        return {str(each["Name"]): tuple(str(value) for value in each.get("Values", ())) for each in found}

    def moment(self, name: str) -> datetime | None:
        """A parameter that is a time."""
        found = self.parameters.get(name)
        return found if isinstance(found, datetime) else None

    def key(self, ref: KeyRef | None, region: str | None = None) -> str | None:
        """ARN of a key; None of None."""
        return None if ref is None else self.arn_of(ref, region or self.region)

    def ago(self, days: float) -> datetime:
        """To the second, as most services tell times."""
        return (self.now - timedelta(days=days)).replace(microsecond=0)

    def arn(self, service: str, rest: str, *, region: str | None = None, account: str | None = None) -> str:
        """Of something in the estate."""
        return f"arn:aws:{service}:{self.region if region is None else region}:{account or self.plan.account}:{rest}"

    def page(
        self, items: Sequence[T], *, size: str, given: str, told: str, most: int, wrong: str = "ValidationException"
    ) -> tuple[Sequence[T], Output]:
        """One page of a list, and the members that lead to the next. `size`, `given` and `told` are members' names.
        Raises RefusedError, `wrong`, for a token that was never given out."""
        wanted = self.parameters.get(size)
        length = min(most, wanted if isinstance(wanted, int) and wanted > 0 else most, self.page_size or most)
        token = self.text(given) or f"{_TOKEN}0"
        if not token.startswith(_TOKEN) or not token[len(_TOKEN) :].isdecimal():
            raise RefusedError(wrong, f"The token provided is invalid: {token[:50]}", 400)
        start = int(token[len(_TOKEN) :])
        more: Output = {told: f"{_TOKEN}{start + length}"} if start + length < len(items) else {}
        return items[start : start + length], more


Handler = Callable[[Ask], Output]


def sparse(**members: object) -> dict[str, object]:
    """A structure without the members that are None."""
    return {name: value for name, value in members.items() if value is not None}


def split_at(text: str, region: str) -> tuple[str, str]:
    """`ID@REGION`; the Region given where there is none."""
    name, _, where = text.partition("@")
    return name, where or region
